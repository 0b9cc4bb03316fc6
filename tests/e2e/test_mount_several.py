"""A request that waits for something keeps nobody else waiting, and does not keep the mount from ending.

The mount is the real one with one handler more: reading the attribute `user.wait` of a
file waits in a thread until the test writes to a pipe.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tagfs.fact import Fact
from tests.support.facts import NODES, stamp
from tests.support.mounting import PATIENCE_S, SERVE, Mounting, eventually, mounted
from tests.support.stores import write_ledger

_WAITING = """
import os
from tagfs.mount import session
from tagfs.mount.answer import all_answered
from tagfs.mount.loop import aside
from tagfs.mount.operations import Mount
class Waiting(Mount):
    async def getxattr(self, inode, name, ctx):
        if not name.startswith(b"user.wait."):
            return await super().getxattr(inode, name, ctx)
        pipe = os.open(PIPE, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(pipe, True)
        with open(SEEN, "a") as seen:
            print(name.decode(), file=seen)
        answer = await aside(os.read, pipe, 1)
        os.close(pipe)
        return answer
session.Mount = all_answered(Waiting)
"""


class Waiters:
    """Programs that wait for an answer of the mount."""

    def __init__(self, mount: Mounting, pipe: Path, seen: Path) -> None:
        self.mount = mount
        self.pipe = os.open(pipe, os.O_RDWR)
        self.seen = seen
        self.answers: list[bytes | int] = []
        self.threads: list[threading.Thread] = []

    def wait(self, path: str) -> None:
        """One more waits; returns once the mount has its request."""
        name = f"user.wait.{len(self.threads)}"

        def ask() -> None:
            try:
                self.answers.append(os.getxattr(self.mount / path, name))
            except OSError as exc:
                self.answers.append(exc.errno or 0)

        self.threads.append(threading.Thread(target=ask, daemon=True))
        self.threads[-1].start()
        pause = threading.Event()
        while not self.seen.exists() or name not in self.seen.read_text().split():
            assert self.threads[-1].is_alive(), self.answers
            pause.wait(0.01)

    def answer(self) -> list[bytes | int]:
        """Let all go on; what they got."""
        os.write(self.pipe, b"y" * len(self.threads))
        for thread in self.threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        self.threads.clear()
        return self.answers


@contextmanager
def waiting(tmp_path: Path) -> Iterator[tuple[Mounting, Waiters]]:
    pipe, seen = tmp_path / "pipe", tmp_path / "seen"
    os.mkfifo(pipe)
    serve = _WAITING.replace("PIPE", repr(str(pipe))).replace("SEEN", repr(str(seen))) + SERVE
    with mounted(tmp_path, serve=serve) as mount:
        waiters = Waiters(mount, pipe, seen)
        try:
            yield mount, waiters
        finally:
            os.write(waiters.pipe, b"n" * 100)  # whatever still waits must not keep the test from ending
            os.close(waiters.pipe)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Mounting, Waiters]]:
    with waiting(tmp_path) as found:
        yield found


def test_while_one_request_waits_others_are_answered(both: tuple[Mounting, Waiters]) -> None:
    mount, waiters = both
    mount.put("untagged/slow", "slow")
    mount.put("untagged/other", "other")
    waiters.wait("untagged/slow")
    assert os.stat(mount / "untagged/other").st_size == 5
    assert os.stat(mount / "untagged/slow").st_size == 4
    assert mount.read("untagged/other") == b"other"
    assert mount.ls("untagged") == ["other", "slow"]
    mount.put("untagged/new", "new")
    os.rename(mount / "untagged/new", mount / "untagged/newer")
    mount.lyts("tag", "music", "--", "other")
    assert mount.ls("tags/music") == ["other"]
    assert not waiters.answers
    assert waiters.answer() == [b"y"]


def test_more_requests_may_wait_than_there_are_threads(both: tuple[Mounting, Waiters]) -> None:
    mount, waiters = both
    mount.put("untagged/slow", "slow")
    for number in range(50):
        mount.put(f"untagged/{number}", str(number))
        waiters.wait("untagged/slow")
        assert mount.read(f"untagged/{number}") == str(number).encode()
    assert not waiters.answers
    assert waiters.answer() == [b"y"] * 50
    assert len(mount.ls("untagged")) == 51


def test_a_removed_file_may_still_be_waited_for(both: tuple[Mounting, Waiters]) -> None:
    mount, waiters = both
    mount.put("untagged/slow", "slow")
    waiters.wait("untagged/slow")
    mount.put("untagged/slower", "slower")
    # The kernel lets no one unlink a name while it is being looked up, but asking for an attribute needs only the file.
    os.unlink(mount / "untagged/slow")
    assert mount.ls("untagged") == ["slower"]
    assert waiters.answer() == [b"y"]


def test_a_mount_that_is_told_to_end_answers_what_it_was_asked(both: tuple[Mounting, Waiters]) -> None:
    mount, waiters = both
    mount.put("untagged/slow", "slow")
    waiters.wait("untagged/slow")
    waiters.wait("untagged/slow")
    assert mount.process is not None
    mount.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        mount.process.wait(0.3)  # it waits for both
    assert waiters.answer() == [b"y", b"y"]
    out, _ = mount.process.communicate(timeout=PATIENCE_S)
    assert (mount.process.returncode, out) == (0, b"ended\n"), mount.log.read_text()
    mount.process = None
    assert not os.path.ismount(mount.at)


def test_unmounting_while_a_request_waits(both: tuple[Mounting, Waiters]) -> None:
    mount, waiters = both
    mount.put("untagged/slow", "slow")
    waiters.wait("untagged/slow")
    busy = mount.run("fusermount3", "-u", mount.at, code=None, cwd=Path("/"))
    assert busy.returncode != 0  # it is in use
    assert mount.read("untagged/slow") == b"slow"
    mount.run("fusermount3", "-uz", mount.at, cwd=Path("/"))
    assert waiters.answer() == [b"y"]
    assert mount.process is not None
    out, _ = mount.process.communicate(timeout=PATIENCE_S)
    assert (mount.process.returncode, out) == (0, b"ended\n"), mount.log.read_text()
    mount.process = None


_READS_LONG = """
import threading
from tagfs import action
reads = action.catch_up
def catch_up(*args, **options):
    if threading.current_thread() is not threading.main_thread():
        open(BEGUN, "w").close()
        open(GO_ON).close()
    return reads(*args, **options)
action.catch_up = catch_up
"""


def test_while_what_another_node_stated_is_taken_in_others_are_answered(tmp_path: Path) -> None:
    begun, go_on = tmp_path / "begun", tmp_path / "go-on"
    os.mkfifo(go_on)
    serve = f"BEGUN, GO_ON = {str(begun)!r}, {str(go_on)!r}\n{_READS_LONG}\n{SERVE}"
    with mounted(tmp_path, serve=serve) as mount:
        guid = mount.put("untagged/one", "one")
        mount.put("untagged/two", "two")
        stated = Fact(at=stamp(time.time_ns() // 1_000_000 << 16, NODES[1]), by=NODES[1], file=guid, tag=["foreign"])
        write_ledger(mount.lyts.store, "phone", [stated])
        eventually(begun.exists)
        assert mount.ls("untagged") == ["one", "two"]
        assert mount.read("all/two") == b"two"
        renamed = threading.Thread(target=os.rename, args=(mount / "untagged/two", mount / "untagged/three"))
        renamed.start()  # waits, as for another process
        eventually(lambda: "; waiting: 1" in mount.log.read_text())
        assert mount.read("all/one") == b"one"
        begun.unlink()
        go_on.write_text("")
        renamed.join(PATIENCE_S)
        eventually(lambda: mount.ls("tags/foreign") == ["one"] if (mount / "tags/foreign").exists() else False)
        assert mount.ls("untagged") == ["three"]
        assert not begun.exists()  # once was enough
