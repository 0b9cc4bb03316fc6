"""Whether a store's sync daemon lives: its note, which it holds locked as long as it does.

    <store>/sync-daemon      {"pid": ..., "began": ..., "boot": ..., "ready": true, "problem": ""}

The lock says whether it lives, never the number alone: a killed daemon leaves a note that
nobody holds. Loads nothing of what the daemon needs, so that a quick command may look.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import suppress
from typing import NamedTuple

import msgspec

from sync.syncthing import process
from sync.syncthing.managed import StillRunning
from sync.syncthing.process import Started
from tagfs.errors import LytsError
from tagfs.layout import Layout

NOTE_BYTES = 4096
TAKE_S = 3.0


class AlreadyRuns(LytsError):
    """Another daemon works on this store."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        super().__init__(f"the sync daemon of this store runs already (process {pid})")


class Life(NamedTuple):
    """A daemon that runs. `ready`: it has done its first round; `problem`: what is wrong now, "" for nothing."""

    process: Started
    ready: bool
    problem: str


class _Note(msgspec.Struct):
    pid: int
    began: int
    boot: str
    ready: bool = False
    problem: str = ""


def note_path(layout: Layout) -> str:
    return os.path.join(layout.root, "sync-daemon")


def life(layout: Layout) -> Life | None:
    """The daemon that runs for a store, None where none does."""
    try:
        fd = os.open(note_path(layout), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        for _ in range(100):
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                with suppress(msgspec.MsgspecError):  # it is being written just now
                    found = msgspec.json.decode(os.pread(fd, NOTE_BYTES, 0), type=_Note)
                    return Life(Started(found.pid, found.began, found.boot), found.ready, found.problem)
                time.sleep(0.01)
            else:
                return None
        return None
    finally:
        os.close(fd)


def end(layout: Layout, boot: str, wait_s: float) -> bool:
    """Tell the daemon of a store to end, and wait until it has. False where none ran. Raises `StillRunning`."""
    found = life(layout)
    if found is None:
        return False
    if not process.end(found.process, boot, signal.SIGTERM, wait_s):
        raise StillRunning(
            f"the sync daemon (process {found.process.pid}) was told to end and has not within {wait_s:g} s"
        )
    return True


class Held:
    """The note, locked."""

    def __init__(self, layout: Layout, boot: str) -> None:
        self._fd = os.open(note_path(layout), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + TAKE_S
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # Who only looks holds it for a moment.
                other = life(layout)
                if other is not None or time.monotonic() > until:
                    os.close(self._fd)
                    raise AlreadyRuns(0 if other is None else other.process.pid) from None
                time.sleep(0.01)
        self._note = _Note(os.getpid(), process.began(os.getpid()) or 0, boot)
        self._write()

    def _write(self) -> None:
        note = self._note
        while len(data := msgspec.json.encode(note)) > NOTE_BYTES:
            note.problem = note.problem[: len(note.problem) // 2]
        # Of one length, so that a reader never finds the end of a longer one.
        os.pwrite(self._fd, data.ljust(NOTE_BYTES), 0)

    def tell(self, *, ready: bool | None = None, problem: str | None = None) -> None:
        before = self._note.ready, self._note.problem
        if ready is not None:
            self._note.ready = ready
        if problem is not None:
            self._note.problem = problem
        if (self._note.ready, self._note.problem) != before:
            with suppress(OSError):
                self._write()

    def release(self) -> None:
        os.close(self._fd)
