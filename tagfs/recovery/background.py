"""The process that makes pages and reads new files for the full text: `python -m tagfs.recovery.background STORE`.

Whoever changed something starts it (`nudge`): a command as it ends, the mount and the daemon now
and then. It runs at the lowest priority, makes what is due, waits for what will be, with nothing
of the store open meanwhile, and ends when nothing is left to do. One a store: it writes its
number into `scratch/readme/.process`, and who finds it alive starts no other.

LYTS_BACKGROUND=no: none is started.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from types import FrameType

NICENESS = 19
LOOK_S = 60.0
"""While something is to be due, it is looked again whether more changed."""
AGAIN_NS = 20 * 10**9
"""The mount and the daemon start none more often."""


def _note(root: str) -> str:
    return os.path.join(root, "scratch", "readme", ".process")


def _began(pid: int) -> str:
    """When a process began, in ticks since the boot: tells it from a later one with its number. "" for none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""


def is_attended(root: str) -> bool:
    """Whether the process of a store lives."""
    try:
        with open(_note(root), encoding="ascii", errors="replace") as file:
            pid, _, began = file.read(64).partition(" ")
    except OSError:
        return False
    return pid.isdigit() and bool(began) and _began(int(pid)) == began


def nudge(root: str, environ: Mapping[str, str]) -> int | None:
    """See that the process of a store runs. Takes less than a millisecond. Returns its number if it was started now."""
    if environ.get("LYTS_BACKGROUND") == "no" or not hasattr(os, "posix_spawn") or is_attended(root):
        return None
    words = [sys.executable, "-P", "-m", "tagfs.recovery.background", root]
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
    try:
        return os.posix_spawn(sys.executable, words, dict(environ), file_actions=null, setsid=True)
    except (OSError, NotImplementedError):
        return None


class Attendant:
    """For a process that stays: starts the other when something changed, and waits for its end."""

    def __init__(self, root: str, environ: Mapping[str, str]) -> None:
        self._root = root
        self._environ = environ
        self._told: Hashable = None
        self._next_ns = 0
        self._pid: int | None = None

    def tick(self, change: Hashable, now_ns: int) -> None:
        """Called often. `change`: another one means that something changed. `now_ns` is monotonic."""
        self._reap()
        if change == self._told or now_ns < self._next_ns or self._pid is not None:
            return
        self._told, self._next_ns = change, now_ns + AGAIN_NS
        self._pid = nudge(self._root, self._environ)

    def _reap(self) -> None:
        if self._pid is not None:
            try:
                if os.waitpid(self._pid, os.WNOHANG)[0]:
                    self._pid = None
            except ChildProcessError:
                self._pid = None

    def finish(self) -> None:
        """Have it end at the next page; what is left is due at the next start."""
        self._reap()
        if self._pid is not None:
            try:
                os.kill(self._pid, signal.SIGTERM)
            except ProcessLookupError:
                pass


# -- the process


def attend(root: str, environ: Mapping[str, str], ends: Callable[[], bool], wait: Callable[[float], None]) -> None:
    """Make what is due until nothing is. Raises `LytsError`, `OSError`."""
    from tagfs.layout import Layout
    from tagfs.recovery.keeping import at_work, keep_up
    from tagfs.recovery.make import Ended
    from tagfs.store import Store
    from tagfs.text.indexing import index_some, to_do

    layout = Layout(root)
    while not ends():
        with at_work(layout) as held:
            if not held:
                return
            with Store(root) as store:
                if store.read_only:
                    return
                try:
                    kept = keep_up(store, environ, ends=ends)
                except Ended:
                    return
                if to_do(store):
                    index_some(store, store.machine.random_bytes, ends=ends)
                now_ms = store.machine.wall_ms()
        if kept.next_ms is None:
            return
        wait(min(max(kept.next_ms - now_ms, 0) / 1000, LOOK_S))


def main(argv: list[str]) -> int:
    """The process. Returns its exit status."""
    from tagfs.errors import LytsError

    ended: list[int] = []

    def told(number: int, frame: FrameType | None) -> None:
        ended.append(number)

    signal.signal(signal.SIGTERM, told)
    os.nice(NICENESS)
    os.chdir("/")
    root, note = argv[1], _note(argv[1])
    if is_attended(root):
        return 0
    try:
        os.makedirs(os.path.dirname(note), mode=0o700, exist_ok=True)
        with open(note, "w", encoding="ascii") as file:
            file.write(f"{os.getpid()} {_began(os.getpid())}")
        try:
            attend(root, os.environ, lambda: bool(ended), lambda seconds: _wait(seconds, ended))
        finally:
            os.unlink(note)
    except (LytsError, OSError):
        return 1  # what could not be written is noted beside it; `lyts doctor` tells
    return 0


def _wait(seconds: float, ended: list[int]) -> None:
    until = time.monotonic() + seconds
    while not ended and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 1.0))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
