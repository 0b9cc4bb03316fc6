"""The index is derived: lost, torn, too small or on a medium nobody can write to, it is made again or made do with."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.errors import ReadOnlyStore, StoreError
from tagfs.index.schema import INDEX_FORMAT
from tagfs.lock import dirty_boot
from tagfs.store import Store
from tests.support.stores import (
    Elsewhere,
    Machine,
    act_randomly,
    add_files,
    assert_rebuild_changes_nothing,
    contradictions,
    difference,
    dump,
    make_store,
    open_store,
    say,
    states,
)

ROOT = str(Path(__file__).parents[2])


@pytest.fixture
def machine() -> Machine:
    return Machine(3)


@pytest.fixture
def store(tmp_path: Path, machine: Machine) -> Iterator[Store]:
    dice = random.Random(3)
    with make_store(tmp_path / "store", machine) as store:
        for _ in range(20):
            act_randomly(store, dice)
        yield store


@pytest.fixture
def closed(store: Store) -> Store:
    """The same, closed: its paths and facts are of interest, no process has it open."""
    states(store)
    store.close()
    return store


def rebuilt(machine: Machine, store: Store) -> list[str]:
    """Open a store, look at it, and say for which reasons its index was built again."""
    reasons: list[str] = []

    def on_rebuild(reason: str) -> object:
        reasons.append(reason)
        return lambda done, total: None

    with open_store(store.layout.root, machine, on_rebuild=on_rebuild) as again:
        assert_rebuild_changes_nothing(again)
        say(again, next(iter(states(again))), notes="and it goes on")
    return reasons[:-1]  # the last one was asked for


def test_an_index_that_is_there_and_whole_is_used(closed: Store, machine: Machine) -> None:
    assert rebuilt(machine, closed) == []


def test_an_index_that_is_gone_is_made_again(closed: Store, machine: Machine) -> None:
    shutil.rmtree(closed.layout.index)
    assert rebuilt(machine, closed) == ["there is none yet"]


def test_an_index_of_another_layout_is_made_again(
    closed: Store, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tagfs.index.env

    monkeypatch.setattr(tagfs.index.env, "INDEX_FORMAT", INDEX_FORMAT + "+")
    assert len(rebuilt(machine, closed)) == 1


@pytest.mark.parametrize(
    "data",
    [b"", b"x", bytes(4096), bytes(1 << 16), random.Random(1).randbytes(1 << 16)],
    ids=["empty", "one byte", "a page of zeros", "zeros", "garbage"],
)
def test_an_index_of_garbage_is_made_again(closed: Store, machine: Machine, data: bytes) -> None:
    Path(closed.layout.index, "data.mdb").write_bytes(data)
    assert len(rebuilt(machine, closed)) == 1


def test_a_directory_in_the_place_of_the_index_file_is_made_again(closed: Store, machine: Machine) -> None:
    data = Path(closed.layout.index, "data.mdb")
    data.unlink()
    data.mkdir()
    assert len(rebuilt(machine, closed)) == 1


LOOKS = """
import sys
sys.path.insert(0, {root!r})
from tests.support.stores import Machine, open_store, dump, contradictions
with open_store({store!r}, Machine(3)) as store:
    found = store.read(lambda view: len(view.posting(0)))
    assert contradictions(dump(store)) == []
    print(found)
"""


def look_from_outside(store: Store) -> subprocess.CompletedProcess[str]:
    """Open a store in a process of its own, whose death would be no surprise."""
    program = LOOKS.format(root=ROOT, store=store.layout.root)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("pages", [1, 2, 3, 5, 9, 20])
def test_an_index_cut_short_is_made_again_and_kills_nobody(closed: Store, machine: Machine, pages: int) -> None:
    # LMDB reads through a map of the file: what lies beyond its end is a SIGBUS, not an error.
    os.truncate(os.path.join(closed.layout.index, "data.mdb"), pages * 4096)
    done = look_from_outside(closed)
    assert (done.returncode, done.stderr) == (0, "")
    with open_store(closed.layout.root, machine) as again:
        assert_rebuild_changes_nothing(again)


def test_a_draft_left_by_a_rebuild_that_was_cut_short_is_in_nobodys_way(closed: Store, machine: Machine) -> None:
    draft = Path(closed.layout.index_being_built)
    draft.mkdir()
    (draft / "data.mdb").write_bytes(b"half")
    (Path(str(draft) + ".old")).mkdir()
    shutil.rmtree(closed.layout.index)
    assert rebuilt(machine, closed) == ["there is none yet"]
    assert not draft.exists()


def test_the_index_may_be_deleted_while_others_have_it_open(store: Store) -> None:
    before = dump(store)
    with Elsewhere(store.layout.root) as other, store.view() as view:
        assert difference(before, other.run("dump(store)")) == []
        shutil.rmtree(store.layout.index)
        assert len(view.posting(0)) == len(before["postings"][0, "", None])  # whoever looks goes on looking
    assert difference(before, dump(store)) == []


@pytest.mark.parametrize("who_makes_it_again", ["here", "there"])
def test_one_makes_a_deleted_index_again_and_all_use_it(store: Store, who_makes_it_again: str) -> None:
    with Elsewhere(store.layout.root) as other:
        for name in ("one.jpg", "two.jpg"):
            before = dump(store)
            assert difference(before, other.run("dump(store)")) == []
            shutil.rmtree(store.layout.index)
            if who_makes_it_again == "here":
                (guid,) = add_files(store, name)
                assert guid in other.run("states(store)")
            else:
                (guid,) = other.run(f"add_files(store, {name!r})")
                assert guid in states(store)
            assert difference(dump(store), other.run("dump(store)")) == []
    assert_rebuild_changes_nothing(store)


def test_a_rebuild_by_one_is_noticed_by_the_others(store: Store) -> None:
    guid = next(iter(states(store)))
    with Elsewhere(store.layout.root) as other:
        before = other.run("dump(store)")
        store.rebuild("asked for")
        assert difference(before, other.run("dump(store)")) == []
        say(store, guid, tag=["news"])
        assert difference(other.run("dump(store)"), dump(store)) == []


def test_a_store_opened_twice_in_one_process_is_an_error_and_costs_no_index(store: Store, machine: Machine) -> None:
    before = os.stat(os.path.join(store.layout.index, "data.mdb")).st_ino
    with open_store(store.layout.root, machine) as again, pytest.raises(StoreError, match="already"):
        states(again)
    assert os.stat(os.path.join(store.layout.index, "data.mdb")).st_ino == before
    assert contradictions(dump(store)) == []


# -- power cuts


def power_cut(store: Store, machine: Machine) -> None:
    """As if the power had gone: the mark stays, the process is no more."""
    store._dirty.release()
    store.close()
    machine.reboot()


def test_a_boot_that_ended_without_goodbye_makes_the_next_one_rebuild(store: Store, machine: Machine) -> None:
    assert dirty_boot(store.layout.dirty) == machine.boot
    power_cut(store, machine)
    assert rebuilt(machine, store) == ["the machine was not shut down cleanly"]
    assert dirty_boot(store.layout.dirty) is None
    assert rebuilt(machine, store) == []


def test_after_a_power_cut_a_reader_rebuilds_too(store: Store, machine: Machine) -> None:
    wanted = dump(store)
    power_cut(store, machine)
    # What a power cut may leave of an index that was never synced.
    Path(store.layout.index, "data.mdb").write_bytes(bytes(1 << 15))
    with open_store(store.layout.root, machine) as again:
        assert difference(dump(again), wanted) == []
        assert dirty_boot(again.layout.dirty) is None


def test_a_process_killed_in_the_same_boot_costs_no_rebuild(closed: Store, machine: Machine) -> None:
    other = Elsewhere(closed.layout.root)
    other.run("add_files(store, 'x')")
    other.kill()
    assert dirty_boot(closed.layout.dirty) == machine.boot
    assert rebuilt(machine, closed) == []


def test_the_last_one_to_leave_takes_the_mark_away(store: Store, machine: Machine) -> None:
    with Elsewhere(store.layout.root) as other:
        other.run("add_files(store, 'x')")
        store.close()
        assert dirty_boot(store.layout.dirty) == machine.boot
    assert dirty_boot(store.layout.dirty) is None


# -- the map


def test_the_map_grows_as_needed(tmp_path: Path, machine: Machine) -> None:
    with make_store(tmp_path / "store", machine, map_size=1 << 17) as store:
        for k in range(4):
            add_files(store, *[f"{k} {n}.jpg" for n in range(800)], tags=[f"tag {k}"], durable=False)
        with store.view() as view:
            assert len(view.posting(0)) == 3200
        assert_rebuild_changes_nothing(store)
    assert os.path.getsize(os.path.join(store.layout.index, "data.mdb")) > 1 << 17


def test_a_map_grown_by_one_process_is_taken_over_by_the_others(tmp_path: Path, machine: Machine) -> None:
    with (
        make_store(tmp_path / "store", machine, map_size=1 << 17) as store,
        Elsewhere(tmp_path / "store", map_size=1 << 17) as other,
    ):
        total = 0
        for k in range(4):
            other.run(f"add_files(store, *[f'{k} {{n}}.jpg' for n in range(400)], durable=False)")
            total += 400
            with store.view() as view:
                assert len(view.posting(0)) == total
            add_files(store, *[f"here {k} {n}.jpg" for n in range(100)], durable=False)
            total += 100
            assert other.run("len(dump(store)['files'])") == total
        assert_rebuild_changes_nothing(store)


# -- a medium nobody can write to


@pytest.fixture
def read_only(closed: Store) -> Iterator[str]:
    """The store once more, on a mount that cannot be written to."""
    with tempfile.TemporaryDirectory(prefix="lyts-ro-") as place:
        bound = subprocess.run(["mount", "--bind", closed.layout.root, place], capture_output=True, check=False)
        if bound.returncode:
            pytest.skip("a read-only bind mount needs root and the right to mount")
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
            yield place
        finally:
            subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.needs_root
def test_a_store_on_a_read_only_medium_can_be_looked_at(closed: Store, read_only: str, machine: Machine) -> None:
    with open_store(closed.layout.root, machine) as store:
        wanted = dump(store)
    with open_store(read_only, machine) as store:
        assert store.read_only
        assert difference(dump(store), wanted) == []
        assert store._temporary is None  # the index there does
        with pytest.raises(ReadOnlyStore, match="read-only"):
            add_files(store, "no")
        store.rebuild("asked for")
        assert difference(dump(store), wanted) == []


@pytest.mark.needs_root
@pytest.mark.parametrize("index", ["missing", "garbage", "cut short", "behind", "of a power cut"])
def test_a_read_only_store_whose_index_will_not_do_is_looked_at_all_the_same(
    closed: Store, read_only: str, machine: Machine, index: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_store(closed.layout.root, machine) as store:
        old = tmp_path / "old index"
        shutil.copytree(store.layout.index, old)
        add_files(store, "the last.jpg")
        wanted = dump(store)
    if index in ("missing", "behind"):
        shutil.rmtree(closed.layout.index)
    if index == "behind":
        shutil.copytree(old, closed.layout.index)
    if index == "garbage":
        Path(closed.layout.index, "data.mdb").write_bytes(b"garbage" * 1000)
    if index == "cut short":
        Path(closed.layout.index, "data.mdb").write_bytes(b"")
    if index == "of a power cut":
        Path(closed.layout.dirty).write_text("another boot\n")
    with open_store(read_only, machine) as store:
        assert difference(dump(store), wanted) == []
        assert difference(dump(store), wanted) == []
        with pytest.raises(ReadOnlyStore):
            add_files(store, "no")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("lyts-")] == []
