"""What a migration leaves behind when it is stopped: the old store or the new one, and a next run that finishes.

Every call to the system that the runner makes is met in turn (all of them in ./prove; for
./test see `Ends.places`), in five ways: the process dies just before it, or just after it;
it fails once; the disk is full from there on; and, in a child process, kill -9. This for
the switch in one call (`once`), the switch on a file system that has no such call
(`no exchange`), and one with two ledger folders of this node's own (`two folders`).

In `once` the store is whole at every single moment: byte for byte the old or the new one
for whoever reads it. In the others there is a moment in which it is neither; then no lyts
opens it, old or new, and both versions are there in full.

This file is also the child process: `python test_migrations_crash.py STORE HOW`.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from migrations import disk, runner
from migrations.contract import Migration
from migrations.switch import BARRIER
from tagfs.errors import DiskFull, LytsError, OlderFormat, StoreError
from tagfs.layout import Layout, read_info, read_toml
from tagfs.ledger import segments_below
from tagfs.store import Store
from tests.support.stores import fast_folder

ROOT = Path(__file__).resolve().parents[2]
FIXTURE = ROOT / "tests" / "data" / "format-0"
KINDS = ("once", "no exchange", "two folders")
MAKES = ("write", "mkdir", "symlink", "fsync")
CHANGES = ("rename", "replace", "exchange", "symlink", "unlink")
WAYS = 5
CALLS = (
    *("open", "read", "write", "fsync", "rename", "replace", "symlink", "readlink", "unlink", "mkdir", "rmdir"),
    *("scandir", "listdir", "stat", "lstat", "chmod", "utime"),
)


def made_up_steps() -> tuple[Migration, ...]:
    spec = importlib.util.spec_from_file_location("format_0_step", FIXTURE / "step.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return (module.STEP,)


STEPS = made_up_steps()


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory, where that can be: thousands of small files are made and removed."""
    with tempfile.TemporaryDirectory(prefix="lyts-migrations-", dir=fast_folder()) as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What dies here is a process, not the machine: fsync is called and counted, but has nothing to prove."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


class Dead(BaseException):
    """The process is no more: whatever it still tries does nothing."""


class Machine:
    """Counts the runner's calls to the system, and does at the `at`th of them what `how` says.

    `how`: "count", "before", "after" (it dies), "error" (one EIO), "full" (ENOSPC for all
    that needs room), "kill" (SIGKILL before the call; odd calls: after it).
    """

    def __init__(self, kind: str, how: str, at: int = 0) -> None:
        self.kind = kind
        self.how = how
        self.at = at
        self.count = 0
        self.dead = False
        self.log: list[tuple[str, tuple[Any, ...]]] = []

    def needs_room(self, name: str, args: tuple[Any, ...]) -> bool:
        return name in MAKES or (name == "open" and len(args) > 1 and bool(args[1] & os.O_CREAT))

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.dead:
                raise Dead
            number = self.count
            self.count += 1
            self.log.append((name, args))
            if self.how == "full" and number >= self.at and self.needs_room(name, args):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(args[0]))
            if number != self.at or self.how in ("count", "full"):
                return real(*args, **kwargs)
            if self.how == "error":
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(args[0]) if args else None)
            if self.how == "after" or (self.how == "kill" and self.at % 2):
                with suppress(OSError):
                    result = real(*args, **kwargs)
                    if name == "scandir":
                        result.close()
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            self.dead = True
            raise Dead

        return call

    @contextmanager
    def running(self) -> Iterator[None]:
        def cannot(one: str, other: str) -> None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), one)

        exchange = cannot if self.kind == "no exchange" else disk.exchange
        patches = [patch.object(os, name, self.wrap(name, getattr(os, name))) for name in CALLS]
        # Room is looked at before; here it runs out all the same.
        patches.append(patch.object(disk, "exchange", self.wrap("exchange", exchange)))
        for one in patches:
            one.start()
        try:
            yield
        finally:
            for one in reversed(patches):
                one.stop()

    def run(self, root: str) -> str:
        """Run a migration on this machine; what came of it."""
        try:
            with self.running():
                runner.run(root, STEPS)
        except Dead:
            return "dead"
        except LytsError as exc:
            return f"{type(exc).__name__}: {exc}"
        return "done"


def new_store(path: Path, kind: str) -> str:
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(FIXTURE / "store", path)
    (path / "index").mkdir()
    (path / "index" / "data.mdb").write_bytes(b"of the old ledgers")
    if kind == "two folders":
        private = path / "ledgers" / "laptop@laptop+server"
        private.mkdir()
        stamp = "20250304T101056.123Z-0000-1a2b3c4d"
        line = '{"at":"%s","by":"%s","file":"9c0f7be1-6c1e-4d2a-9a51-2f1d0c3b4a59","labels":["secret"]}\n'
        (private / f"{stamp}.jsonl").write_text(line % (stamp, read_toml(Layout(str(path)))["node"]))
    return str(path)


View = tuple[dict[str, object], dict[str, bytes]]


def seen_by_a_reader(root: str) -> View:
    """All that a lyts reads of a store besides data files: the values of `store.toml`, and the segments."""
    layout = Layout(root)
    segments = {s.name: Path(layout.ledgers, s.name).read_bytes() for s in segments_below(layout.ledgers)}
    return read_toml(layout), segments


def data_files(root: str) -> dict[str, tuple[bytes, int]]:
    return {str(p): (p.read_bytes(), p.stat().st_ino) for p in Path(root, "sets").rglob("*") if p.is_file()}


def skip_where_names_cannot_be_exchanged(folder: Path) -> None:
    one, other = folder / "one", folder / "other"
    one.mkdir()
    other.mkdir()
    try:
        disk.exchange(str(one), str(other))
    except OSError as exc:
        pytest.skip(f"the file system of {folder} cannot exchange two names: {exc.strerror}")


class Ends:
    """The two stores that are whole, and how many calls lie between them."""

    def __init__(self, tmp_path: Path, kind: str) -> None:
        self.kind = kind
        if kind == "once":
            skip_where_names_cannot_be_exchanged(tmp_path)
        root = new_store(tmp_path / "ends", kind)
        self.old = seen_by_a_reader(root)
        machine = Machine(kind, "count")
        assert machine.run(root) == "done"
        self.calls = machine.count
        self.log = machine.log
        self.new = seen_by_a_reader(root)
        with Store(root) as store, store.view() as view:
            assert "jazz" in list(dict(view.plain_tags()))
            assert view.ordinal("9c0f7be1-6c1e-4d2a-9a51-2f1d0c3b4a59") is not None

    def places(self, rounds: Callable[[int, int], int], way: int) -> list[int]:
        """The calls to strike at: all of them in ./prove.

        In ./test, where the copy is made and the old is thrown away the first call of each kind
        and some others; and from where the copy is ready to where the backup is made each call
        that changes what is there, and a part of the rest, so that all `ways` together meet
        every one. `way`: which of them this is.
        """
        if rounds(0, 1):
            return list(range(self.calls))
        names = [name for name, _ in self.log]
        renames = [i for i, name in enumerate(names) if name == "rename"]
        switch = range(renames[0] - 3, renames[-2] + 3)  # the last rename begins the throwing away
        changing = [i for i in switch if names[i] in CHANGES]
        return sorted(
            {*map(names.index, names), *range(way, self.calls, 32), *changing, *switch[way::WAYS], self.calls - 1}
        )

    def end_of(self, root: str) -> str:
        """Which of the two a store is: "old", "new", or "between" (nobody opens it, all is there)."""
        toml, segments = seen_by_a_reader(root)
        if (toml, segments) == self.old:
            with pytest.raises(OlderFormat):
                read_info(Layout(root))
            return "old"
        if (toml, segments) == self.new:
            read_info(Layout(root))
            return "new"
        assert self.kind != "once", "neither old nor new"
        assert toml == {**self.old[0], "format": BARRIER}
        with pytest.raises(StoreError, match="lyts migrate"):
            read_info(Layout(root))
        for version, where in ((self.old, "old"), (self.new, "new")):
            for name, data in version[1].items():
                places = (Path(root, "ledgers", name), Path(root, "migration", where, "ledgers", name))
                assert any(p.exists() and p.read_bytes() == data for p in places), f"{where} {name} is lost"
        return "between"

    def finish(self, root: str, then: str) -> None:
        """A next run gets to the end, keeps the old ledgers, and leaves nothing about."""
        runner.run(root, STEPS)
        assert self.end_of(root) == "new", then
        backups = [f for f in os.listdir(root) if f.startswith("before-format-")]
        assert backups == ["before-format-1"], then
        kept = seen_by_a_reader(os.path.join(root, backups[0]))
        own = {name: data for name, data in self.old[1].items() if not name.startswith("server/")}
        assert kept == (self.old[0], own), then
        assert set(os.listdir(root)) == {"before-format-1", "ledgers", "lock", "sets", "store.toml"}, then
        assert not os.path.islink(Layout(root).toml)
        assert not list(Path(root).rglob(".store.toml")), then
        assert runner.plan(root, STEPS).is_idle


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["before", "after"])
def test_crash_at_any_call_leaves_old_or_new_and_the_next_run_finishes(
    tmp_path: Path, kind: str, how: str, rounds: Callable[[int, int], int]
) -> None:
    ends = Ends(tmp_path, kind)
    met = set()
    for at in ends.places(rounds, ["before", "after"].index(how)):
        root = new_store(tmp_path / "store", kind)
        data = data_files(root)
        assert Machine(kind, how, at).run(root) == "dead", at
        end = ends.end_of(root)
        met.add(end)
        ends.finish(root, f"{how} call {at}, {end}")
        assert data_files(root) == data
    assert met == ({"old", "new"} if kind == "once" else {"old", "between", "new"})


@pytest.mark.parametrize("kind", KINDS)
def test_crash_in_the_run_that_finishes_is_finished_by_the_one_after(
    tmp_path: Path, kind: str, rounds: Callable[[int, int], int]
) -> None:
    """Where the first run died: a few places, the second: everywhere (in ./test, now and then)."""
    ends = Ends(tmp_path, kind)
    for first in range(ends.calls - 60, ends.calls, 9):
        root = new_store(tmp_path / "store", kind)
        Machine(kind, "after", first).run(root)
        again = tmp_path / "again"
        at = 0
        while True:
            shutil.rmtree(again, ignore_errors=True)
            shutil.copytree(root, again, symlinks=True)
            if Machine(kind, "before", at).run(str(again)) != "dead":
                break
            ends.end_of(str(again))
            ends.finish(str(again), f"after call {first}, then before call {at}")
            at += rounds(7, 1)
        assert at


@pytest.mark.parametrize("kind", KINDS)
def test_error_at_any_call_is_told_and_leaves_a_store_that_opens(
    tmp_path: Path, kind: str, rounds: Callable[[int, int], int]
) -> None:
    ends = Ends(tmp_path, kind)
    for at in ends.places(rounds, 2):
        root = new_store(tmp_path / "store", kind)
        machine = Machine(kind, "error", at)
        said = machine.run(root)
        end = ends.end_of(root)
        where = f"call {at} {machine.log[at]}: {said}"
        assert end != "between", where
        if said != "done":
            assert said.startswith("StoreError: "), where
            assert ("has format 1 now" in said) == (end == "new"), where
        ends.finish(root, where)


@pytest.mark.parametrize("kind", KINDS)
def test_full_disk_at_any_call_is_told_and_leaves_a_store_that_opens(
    tmp_path: Path, kind: str, rounds: Callable[[int, int], int]
) -> None:
    ends = Ends(tmp_path, kind)
    met = set()
    for at in ends.places(rounds, 3):
        root = new_store(tmp_path / "store", kind)
        (Path(root) / "lock").touch()
        machine = Machine(kind, "full", at)
        said = machine.run(root)
        end = ends.end_of(root)
        where = f"from call {at} on: {said}"
        assert end != "between", where
        if said != "done":
            met.add(said.partition(":")[0])
            assert said.startswith(DiskFull.__name__) == (end == "old"), where
        ends.finish(root, where)
    assert "DiskFull" in met


def test_old_store_that_was_used_after_a_crash_keeps_what_was_added(tmp_path: Path) -> None:
    """A half-made copy is made anew: the older lyts may have written in the meantime."""
    ends = Ends(tmp_path, "once")
    stamp = "20250305T101056.123Z-0000-1a2b3c4d"
    for at in range(0, ends.calls, 7):
        root = new_store(tmp_path / "store", "once")
        Machine("once", "after", at).run(root)
        if ends.end_of(root) == "new":
            break
        line = f'{{"at":"{stamp}","by":"{ends.old[0]["node"]}","labels":["late"]}}\n'
        Path(root, "ledgers", "laptop", f"{stamp}.jsonl").write_text(line)
        report = runner.run(root, STEPS)
        added = Path(root, "ledgers", "laptop", f"{stamp}.jsonl").read_text()
        assert added == line.replace("labels", "tag"), at
        assert report.backup is not None
        assert Path(report.backup, "ledgers", "laptop", f"{stamp}.jsonl").read_text() == line
    else:
        pytest.fail("never got to the new store")


@pytest.mark.parametrize("kind", KINDS)
def test_power_cut_finds_everything_on_disk_that_the_switch_relies_on(tmp_path: Path, kind: str) -> None:
    """Read from the log of calls: what is written is fsynced before the switch, each rename before the next."""
    ends = Ends(tmp_path, kind)
    first = next(
        i for i, (name, args) in enumerate(ends.log) if name == "replace" and os.path.basename(args[1]) == "store.toml"
        and os.path.basename(os.path.dirname(args[1])) == "ends"
    )  # fmt: skip
    written: set[str] = set()
    synced: set[str] = set()
    opened = ""
    for name, args in ends.log[:first]:
        if name == "open":
            opened = str(args[0])
            if args[1] & os.O_CREAT and "/migration.draft/" in opened:
                written.add(opened)
                synced.discard(opened)
        elif name == "fsync":
            synced.add(opened)
        elif name in ("rename", "replace") and args[0] in written:
            written.remove(args[0])
            if args[0] in synced:
                synced.add(args[1])
            written.add(args[1])
    assert len(written) >= 6
    assert written - synced == set()
    # every rename in the store itself is followed by an fsync of the folder before the next call that changes anything
    changing = [(n, a) for n, a in ends.log[first:] if n in ("replace", "rename", "exchange", "unlink", "fsync")]
    for (name, _), (following, _) in pairwise(changing):
        assert name not in ("replace", "rename", "exchange") or following == "fsync"


@pytest.mark.parametrize("kind", KINDS)
def test_kill_9_at_any_call_leaves_old_or_new_and_the_next_run_finishes(
    tmp_path: Path, kind: str, rounds: Callable[[int, int], int]
) -> None:
    ends = Ends(tmp_path, kind)
    places = ends.places(rounds, 4)
    argv = [sys.executable, __file__, str(tmp_path / "killed"), kind, *map(str, places)]
    done = subprocess.run(
        argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr
    statuses = json.loads(done.stdout)
    assert statuses == [-signal.SIGKILL] * len(places)
    met = set()
    for at in places:
        root = str(tmp_path / "killed" / str(at))
        met.add(ends.end_of(root))
        ends.finish(root, f"killed at call {at}")
    assert {"old", "new"} <= met


def _kill_children(folder: str, kind: str, places: list[int]) -> None:
    """Fork a child for each call, let it kill itself there; print how each of them ended."""
    statuses = []
    os.fsync = lambda fd: None
    for at in places:
        root = new_store(Path(folder, str(at)), kind)
        pid = os.fork()
        if pid == 0:
            try:
                Machine(kind, "kill", at).run(root)
            finally:
                os._exit(1)  # it should not have lived this long
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print(json.dumps(statuses))


if __name__ == "__main__":
    _kill_children(sys.argv[1], sys.argv[2], [int(at) for at in sys.argv[3:]])
