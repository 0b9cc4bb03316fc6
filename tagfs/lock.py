"""Between processes: the store's lock, and the `dirty` file that tells of a power cut.

`lock` is flocked by whoever writes, for one action; it lies in the store's root, not in
`index/`, which may be deleted while others hold it. `dirty` holds the boot id, fsynced
before the first write of a boot to the index; each process that writes holds a shared
flock on it; at exit the one that gets it exclusively syncs the index and removes it. A
`dirty` of another boot means that the index may be torn.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tagfs.errors import DiskFull


@contextmanager
def hold(path: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock file exclusively; `on_wait` is called once when another process has it."""
    turn = _turn_of_this_thread(path)
    if turn is not None:
        with turn.used():
            yield
        return
    fd = acquire(path, wait=False)
    if fd is None:
        if on_wait is not None:
            on_wait()
        fd = _acquire(path)
    try:
        yield
    finally:
        os.close(fd)


@contextmanager
def try_hold(path: str) -> Iterator[bool]:
    """Hold the lock file if nobody else does; says whether it is held."""
    turn = _turn_of_this_thread(path)
    if turn is not None:
        with turn.used():
            yield True
        return
    fd = acquire(path, wait=False)
    try:
        yield fd is not None
    finally:
        if fd is not None:
            os.close(fd)


def acquire(path: str, *, wait: bool) -> int | None:
    """A descriptor that holds the lock file until it is closed; None where another has it and we do not `wait`."""
    if wait:
        return _acquire(path)
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return fd


def _acquire(path: str) -> int:
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except BaseException:
        os.close(fd)
        raise
    return fd


class _Turn:
    """The lock is this thread's for several steps; each step that needs it uses it, one at a time."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.in_use = False

    @contextmanager
    def used(self) -> Iterator[None]:
        self.in_use = True
        try:
            yield
        finally:
            self.in_use = False


_turns: dict[str, _Turn] = {}


def _turn_of_this_thread(path: str) -> _Turn | None:
    turn = _turns.get(path)
    # In use: a step within a step is as without a turn, and finds that the lock is not free.
    return turn if turn is not None and turn.thread == threading.get_ident() and not turn.in_use else None


@contextmanager
def turn(path: str, fd: int) -> Iterator[None]:
    """Until the end `hold` and `try_hold` of this thread find the lock theirs, which `fd` holds; then it is given back.

    For who must know before the first step that none of them will wait.

    Args:
        fd: from `acquire`; closed in the end.
    """
    _turns[path] = _Turn()
    try:
        yield
    finally:
        del _turns[path]
        os.close(fd)


def dirty_boot(path: str) -> str | None:
    """The boot id in the `dirty` file, None where there is none. An empty or torn one is no boot's."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(64).strip()
    except FileNotFoundError:
        return None


class Dirty:
    """This process's share in the `dirty` file. Taken under the store's lock."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd: int | None = None

    def mark(self, boot_id: str) -> None:
        """Before the first write: see that the file stands with this boot's id, and share it."""
        if self._fd is not None and self._stands(self._fd):
            return
        self.release()
        fd = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
            if os.pread(fd, 64, 0).strip() != boot_id.encode():
                self._write(fd, boot_id)
        except OSError as exc:
            os.close(fd)
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(os.path.dirname(self.path)) from exc
            raise
        self._fd = fd

    def _write(self, fd: int, boot_id: str) -> None:
        was_empty = os.fstat(fd).st_size == 0
        try:
            # Over what was there, so that a full disk does not leave less than before.
            os.ftruncate(fd, os.pwrite(fd, boot_id.encode() + b"\n", 0))
            os.fsync(fd)
        except OSError:
            if was_empty:
                os.unlink(self.path)  # an empty one would tell of a power cut that never was
            raise
        folder = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _stands(self, fd: int) -> bool:
        try:
            return os.stat(self.path).st_ino == os.fstat(fd).st_ino
        except FileNotFoundError:
            return False

    def clear_if_last(self, sync: Callable[[], None]) -> None:
        """At exit, under the store's lock: the last one to leave syncs the index and removes the file."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            if self._stands(fd):
                sync()
                os.unlink(self.path)
        finally:
            os.close(fd)

    def release(self) -> None:
        """Give up the share without cleaning."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
