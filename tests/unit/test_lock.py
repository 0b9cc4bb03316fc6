from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tagfs.errors import DiskFull
from tagfs.lock import Dirty, acquire, dirty_boot, hold, try_hold, turn


def test_one_holds_the_lock_and_the_other_hears_of_it(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with hold(path), try_hold(path) as held:
        assert not held
    with try_hold(path) as held:
        assert held


def test_whoever_waits_is_told_once(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import fcntl,os;f=open({path!r},'w');fcntl.flock(f,2);print(flush=True);input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdout.readline()
    told = []

    def let_go() -> None:
        told.append(1)
        holder.communicate(b"\n")

    with hold(path, let_go):
        assert told == [1]


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with pytest.raises(KeyError), hold(path):
        raise KeyError
    with try_hold(path) as held:
        assert held


def test_the_mark_of_a_boot_stands_while_anyone_may_write(tmp_path: Path) -> None:
    path = str(tmp_path / "dirty")
    one, two = Dirty(path), Dirty(path)
    synced: list[str] = []
    assert dirty_boot(path) is None
    one.mark("boot-1")
    two.mark("boot-1")
    assert dirty_boot(path) == "boot-1"
    one.clear_if_last(lambda: synced.append("one"))
    assert dirty_boot(path) == "boot-1"
    two.clear_if_last(lambda: synced.append("two"))
    assert dirty_boot(path) is None
    assert synced == ["two"]


def test_a_mark_is_kept_when_the_process_dies(tmp_path: Path) -> None:
    path = str(tmp_path / "dirty")
    one = Dirty(path)
    one.mark("boot-1")
    one.release()
    assert dirty_boot(path) == "boot-1"
    two = Dirty(path)
    two.mark("boot-1")
    two.clear_if_last(lambda: None)
    assert dirty_boot(path) is None


def test_the_mark_is_made_anew_when_someone_removed_it(tmp_path: Path) -> None:
    path = str(tmp_path / "dirty")
    one = Dirty(path)
    one.mark("boot-1")
    os.unlink(path)
    one.mark("boot-1")
    assert dirty_boot(path) == "boot-1"
    one.clear_if_last(lambda: None)
    assert not os.path.exists(path)


def test_a_mark_of_another_boot_is_written_over_whole(tmp_path: Path) -> None:
    path = tmp_path / "dirty"
    path.write_text("a much longer boot id\n")
    one = Dirty(str(path))
    one.mark("boot-2")
    assert path.read_text() == "boot-2\n"
    one.release()


@pytest.mark.parametrize("left", [b"", b"\xff\xff", b"boo"])
def test_a_torn_mark_is_no_boots(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "dirty"
    path.write_bytes(left)
    assert dirty_boot(str(path)) not in (None, "boot-1")


def test_a_full_disk_leaves_no_mark_of_a_power_cut_that_never_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "dirty")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(DiskFull):
            Dirty(path).mark("boot-1")
    assert dirty_boot(path) is None
    one = Dirty(path)
    one.mark("boot-1")
    one.clear_if_last(lambda: None)


def test_in_a_turn_the_lock_is_ours_for_one_step_after_another(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    fd = acquire(path, wait=False)
    assert fd is not None
    with turn(path, fd):
        with hold(path), try_hold(path) as within:
            assert not within  # a step within a step is no step of the turn
        with try_hold(path) as held:
            assert held
        assert acquire(path, wait=False) is None
    with try_hold(path) as held:
        assert held


def test_a_turn_is_one_thread_s(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    fd = acquire(path, wait=True)
    assert fd is not None
    seen: list[str] = []

    def other() -> None:
        with try_hold(path) as held:
            seen.append("held" if held else "not held")
        with hold(path, lambda: seen.append("waits")):
            seen.append("had it")

    thread = threading.Thread(target=other)
    with turn(path, fd):
        thread.start()
        until = time.monotonic() + 10
        while seen != ["not held", "waits"]:
            assert time.monotonic() < until
        with hold(path):
            assert seen == ["not held", "waits"]
    thread.join(10)
    assert seen == ["not held", "waits", "had it"]
