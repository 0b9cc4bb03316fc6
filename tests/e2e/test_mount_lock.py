"""Another process holds the store's lock for long: who reads does not notice, who changes something waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.mounting import PATIENCE_S, Mounting, eventually

_HOLD = """
import sys
from tagfs.lock import hold
with hold(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


class Held:
    """The lock is held by another process; programs that wait for it."""

    def __init__(self, mount: Mounting) -> None:
        self.mount = mount
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _HOLD, mount.lyts.store / "lock"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=mount.lyts.env,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"held\n"
        self.programs: list[threading.Thread] = []
        self.errors: list[BaseException] = []

    def waits(self, do: Callable[..., object], *args: object) -> None:
        """A program does this and has to wait; returns once the mount has its request."""

        def run() -> None:
            try:
                do(*args)
            except BaseException as exc:  # noqa: BLE001 - told by `let_go`
                self.errors.append(exc)

        before = self.mount.log.read_text().count("; waiting: ")
        self.programs.append(threading.Thread(target=run, daemon=True))
        self.programs[-1].start()
        eventually(lambda: self.mount.log.read_text().count("; waiting: ") == before + 1)

    def all_wait(self) -> bool:
        return not self.errors and all(program.is_alive() for program in self.programs)

    def let_go(self) -> None:
        self.process.communicate(b"\n", timeout=PATIENCE_S)
        for program in self.programs:
            program.join(PATIENCE_S)
            assert not program.is_alive()
        assert not self.errors, self.errors


@contextmanager
def held(mount: Mounting) -> Iterator[Held]:
    found = Held(mount)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.communicate()


def stated(mount: Mounting) -> str:
    """All that this node stated, in order."""
    return "".join(path.read_text() for path in sorted((mount.lyts.store / "ledgers" / "laptop").glob("*-*.jsonl")))


def test_reading_goes_on_while_changes_wait_in_order(mount: Mounting) -> None:
    for name in ("one", "two", "three", "four"):
        mount.put(f"untagged/{name}", name)
    (mount / "tags/music").mkdir()
    (mount / "tags/jazz").mkdir()
    with held(mount) as lock:
        lock.waits(os.setxattr, mount / "untagged/one", "user.xdg.comment", b"first note")
        lock.waits(os.rename, mount / "untagged/two", mount / "tags/music/two")
        lock.waits(os.setxattr, mount / "untagged/three", "user.xdg.comment", b"third note")
        lock.waits(os.chmod, mount / "untagged/four", 0o600)
        # Names of the two directories of the rename are locked by the kernel; those it knows can be used all the same.
        assert mount.read("untagged/one") == b"one"
        assert mount.read("untagged/four") == b"four"
        assert mount.ls("all") == ["four", "one", "three", "two"]
        assert mount.read("all/three") == b"three"
        assert mount.ls("tags") == ["jazz", "music"]
        assert mount.ls("tags/jazz") == []
        assert os.statvfs(mount.at).f_namemax == 255
        assert len(mount.facts()) == 4
        assert lock.all_wait()
        lock.let_go()
    assert mount.ls("tags/music") == ["two"]
    assert os.stat(mount / "all/four").st_mode & 0o777 == 0o600
    assert os.getxattr(mount / "all/one", "user.xdg.comment") == b"first note"
    ledger = stated(mount)
    places = [ledger.index(said) for said in ("first note", '"tag":["music"]', "third note", '"mode":')]
    assert places == sorted(places)


def test_a_file_can_be_written_while_another_process_is_busy_and_is_stated_after(mount: Mounting) -> None:
    (mount / "tags/music").mkdir()
    with held(mount) as lock, open(mount / "tags/music/song", "wb") as file:
        file.write(b"la")
        file.flush()
        assert mount.ls("tags/music") == ["song"]
        assert mount.read("tags/music/song") == b"la"
        lock.waits(os.close, os.dup(file.fileno()))
        assert mount.read("tags/music/song") == b"la"
        file.write(b"la")
        file.flush()  # while its first bytes wait to be stated
        lock.let_go()
    assert mount.read("tags/music/song") == b"lala"
    [song] = mount.facts().values()
    assert song["size_bytes"] == 4


def test_a_save_of_several_steps_that_is_held_up_keeps_the_file(mount: Mounting) -> None:
    guid = mount.put("untagged/doc", "old")
    with held(mount) as lock:
        lock.waits(os.rename, mount / "untagged/doc", mount / "untagged/doc~")
        lock.let_go()
    with held(mount) as lock:  # emacs: what was renamed is made again
        lock.waits(lambda: (mount / "untagged/doc").write_text("new"))
        assert lock.all_wait()
        lock.let_go()
    assert mount.guid("untagged/doc") == guid
    assert mount.read("untagged/doc") == b"new"
    assert mount.read("untagged/doc~") == b"old"


def test_a_program_that_is_ended_while_it_waits_leaves_the_mount_well(mount: Mounting) -> None:
    mount.put("untagged/one", "one")
    with held(mount) as lock:
        program = subprocess.Popen(["mv", mount / "untagged/one", mount / "untagged/two"])
        eventually(lambda: "; waiting: 1" in mount.log.read_text())
        program.send_signal(signal.SIGKILL)
        assert mount.read("all/one") == b"one"
        lock.let_go()
        program.wait(PATIENCE_S)
    eventually(lambda: mount.ls("untagged") == ["two"])


def test_a_mount_that_is_told_to_end_waits_for_what_it_was_asked(mount: Mounting) -> None:
    mount.put("untagged/one", "one")
    with held(mount) as lock:
        lock.waits(os.rename, mount / "untagged/one", mount / "untagged/two")
        assert mount.process is not None
        mount.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            mount.process.wait(0.3)
        lock.let_go()
        out, _ = mount.process.communicate(timeout=PATIENCE_S)
    assert (mount.process.returncode, out) == (0, b"ended\n"), mount.log.read_text()
    mount.process = None
    assert [one["name"] for one in mount.facts().values()] == ["two"]
