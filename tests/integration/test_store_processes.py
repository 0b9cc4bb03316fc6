"""Many processes, one store: writers at once, readers that stay, and deaths at any moment."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.stores import (
    Elsewhere,
    Machine,
    add_files,
    assert_rebuild_changes_nothing,
    difference,
    dump,
    fast_folder,
    make_store,
    own_segments,
    reports,
    states,
)

ROOT = str(Path(__file__).parents[2])
# Read here, before conftest.py takes away whatever begins with LYTS_.
KILL_ROUNDS = int(os.environ.get("LYTS_KILL_ROUNDS", "0"))
PARTS = 10


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_acknowledged_is_lost_when_a_writer_is_killed(part: int, rounds: Callable[[int, int], int]) -> None:
    count = (KILL_ROUNDS or rounds(200, 5_000)) // PARTS
    with tempfile.TemporaryDirectory(dir=fast_folder()) as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.killing", folder, str(count), str(1 + part * 100_000)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) > 0


def test_ten_writers_at_once_and_a_reader_that_stays(tmp_path: Path) -> None:
    with make_store(tmp_path / "store", Machine()) as store, ExitStack() as ends:
        first = add_files(store, "there before.jpg")
        writers = [ends.enter_context(Elsewhere(tmp_path / "store", seed=100 + k)) for k in range(10)]
        with store.view() as view:
            for k, writer in enumerate(writers):
                writer.send(
                    f"[add_files(store, f'{k} {{n}}.jpg', tags=['tag {k}'], durable=False)[0] for n in range(30)]"
                )
            guids = [guid for writer in writers for guid in writer.answer()]
            # The reader sees the moment at which it began to look, whatever the others do.
            assert [view.guid(ordinal) for ordinal in view.posting(0)] == first
        assert len(set(guids)) == 300
        wanted = dump(store)
        assert set(wanted["files"]) == {*first, *guids}
        assert all(wanted["counts"][1, f"tag {k}", None] == 30 for k in range(10))
        assert all(difference(wanted, writer.run("dump(store)")) == [] for writer in writers[:2])
        stamps = [state["born"] for state in states(store).values()]
        assert len(set(stamps)) == len(stamps)
        assert reports(store, "R") == reports(store, "Q") == []
        assert len(own_segments(store)) == 1  # one boot, one segment, whoever writes
        assert_rebuild_changes_nothing(store)


def test_a_reader_killed_while_it_looks_is_in_nobodys_way(tmp_path: Path) -> None:
    with make_store(tmp_path / "store", Machine()) as store:
        add_files(store, "a.jpg")
        for seed in range(3):
            reader = Elsewhere(tmp_path / "store", seed=200 + seed)
            reader.run("globals().update(held=store.view()) or held.__enter__() and None")
            reader.kill()
            add_files(store, f"{seed}.jpg")
        with Elsewhere(tmp_path / "store", seed=300) as other:  # opening clears away the dead
            assert other.run("len(dump(store)['files'])") == 4
            assert other.run("store._index.env.reader_check()") == 0
            assert other.run("store._index.env.info()['num_readers']") <= 3
        assert_rebuild_changes_nothing(store)


def test_a_writer_killed_while_it_holds_the_lock_is_in_nobodys_way(tmp_path: Path) -> None:
    with make_store(tmp_path / "store", Machine()) as store:
        add_files(store, "a.jpg")
        before = dump(store)
        writer = Elsewhere(tmp_path / "store", seed=400)
        guid = next(iter(before["files"]))
        writer.send(f"store.act(lambda change: (change.about_file({guid!r}, tag=['never']), os.kill(os.getpid(), 9)))")
        assert writer.process.wait() == -9
        writer.kill()
        assert difference(before, dump(store)) == []
        add_files(store, "b.jpg")
        assert_rebuild_changes_nothing(store)


def test_someone_who_waits_for_the_lock_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    with make_store(tmp_path / "store", Machine()) as store, Elsewhere(tmp_path / "store", seed=500) as other:

        def let_go() -> None:
            told.append("another process has the lock")
            other.write("go on")
            other.answer()

        store._on_wait = let_go
        add_files(store, "a.jpg")
        assert told == []
        other.send("store.act(hold_until_told)")
        assert other.read() == "held"
        add_files(store, "b.jpg")
        assert len(told) == 1
