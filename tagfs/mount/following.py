"""Hashing behind the writer: a thread reads what programs write, from the page cache, and hashes it.

What may be believed of it is decided by `hashing.Progress`; here is the reading. Rules:

- All writes and truncations of files come through the mount, and each is told here before
  it is answered (`wrote`, `forget`); so whatever was done to a file is known when its
  digest is asked for.
- A file is known by its inode in the mount; that the bytes are those that were read is
  looked at again when the digest is asked for (device and inode number beneath).
- The thread reads through a descriptor of its own, which only it closes.
- A digest that is not ready is no error: the file is hashed as a whole then. `ready` sees to
  it that this happens for small files only, or in the thread.

Trio thread only, but for `_work`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from queue import SimpleQueue

import trio

from tagfs.bytes import hash_file
from tagfs.mount.hashing import Progress
from tagfs.mount.loop import thread_at_work

log = logging.getLogger(__name__)

FOLLOWED_FROM_BYTES = 1 << 20
"""A file is followed once it has grown so far."""
PIECE_BYTES = 1 << 20
AT_ONCE_BYTES = 256 << 10
"""So much is hashed in a handler: less than a millisecond."""
MOST_FOLLOWED = 64
TRIES = 3


class _Followed:
    """A file that is being hashed while it is written."""

    def __init__(self, fd: int, found: os.stat_result) -> None:
        self.fd = fd
        self.bytes_are = (found.st_dev, found.st_ino)
        self.progress = Progress(found.st_size)
        self.lock = threading.Lock()
        """Held while a piece is read and hashed."""
        self.in_line = False
        self.ended = False
        self.done: trio.Event | None = None

    def step(self, buffer: memoryview) -> None:
        """Hash the next piece. The lock is held."""
        offset, length = self.progress.claim(len(buffer))
        if length:
            try:
                got = os.preadv(self.fd, [buffer[:length]], offset)
            except OSError as exc:
                log.info("following a writer: %s", exc)
                self.progress.doubt()
                return
            self.progress.take(buffer[:got], got)

    def has_more(self) -> bool:
        """Whether the thread should go on: a whole piece is there, or somebody waits for the end."""
        progress = self.progress
        return progress.counts and progress.left_bytes >= (1 if self.done is not None else PIECE_BYTES)

    def tell(self) -> None:
        """In the trio thread: who waits may look again."""
        done, self.done = self.done, None
        if done is not None:
            done.set()


class Following:
    """The files that are being written, and how far they are hashed."""

    def __init__(self) -> None:
        self._followed: OrderedDict[int, _Followed] = OrderedDict()
        self._queue: SimpleQueue[_Followed | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._here = memoryview(bytearray(AT_ONCE_BYTES))

    # -- what happens to files

    def wrote(self, inode: int, fd: int, offset: int, length: int) -> None:
        """A program wrote to a file, through this descriptor."""
        followed = self._followed.get(inode)
        if followed is None:
            end = offset + length
            if not offset < FOLLOWED_FROM_BYTES <= end:
                return
            found = os.fstat(fd)
            if found.st_size != end:
                return  # not written from its beginning to its end: a database, say
            followed = self._follow(inode, fd, found)
        progress = followed.progress
        progress.wrote(offset, length)
        if not followed.in_line and progress.counts and progress.end_bytes - progress.hashed_bytes >= PIECE_BYTES:
            self._line_up(followed)

    def doubt(self, inode: int) -> None:
        """Something may have been written to a file."""
        followed = self._followed.get(inode)
        if followed is not None:
            followed.progress.doubt()

    @property
    def follows_any(self) -> bool:
        """Whether there is something to `forget`."""
        return bool(self._followed)

    def forget(self, inode: int) -> None:
        """A file is truncated, has other bytes, or is not written any more."""
        followed = self._followed.pop(inode, None)
        if followed is not None:
            self._end(followed)

    def forget_removed(self) -> None:
        """Now and then: bytes without a name are nobody's any more, unless somebody still writes to them."""
        for inode, followed in list(self._followed.items()):
            if followed.done is None and not followed.ended and os.fstat(followed.fd).st_nlink == 0:
                self.forget(inode)

    def finish(self) -> None:
        """End the thread."""
        for inode in list(self._followed):
            self.forget(inode)
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    # -- digests

    def digest(self, inode: int, path: str) -> str:
        """The SHA-256 of what stands at `path`, the bytes of a file, now."""
        found = os.stat(path)
        followed = self._current(inode, found)
        if followed is not None and self._finish_here(followed):
            digest = followed.progress.digest_of(found.st_size)
            if digest is not None:
                return digest
        return hash_file(path)

    def is_quick(self, inode: int, fd: int) -> bool:
        """Whether `digest` of what is open here will be quick."""
        found = os.fstat(fd)
        followed = self._current(inode, found)
        return (found.st_size if followed is None else followed.progress.left_bytes) <= AT_ONCE_BYTES

    def is_ready(self, inode: int, path: str) -> bool:
        """The same of what stands at `path`; else the thread begins, and it is so later: for who does not wait."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if self.is_quick(inode, fd):
                return True
            self._begin(self._followed_anew(inode, fd))
        finally:
            os.close(fd)
        return False

    async def ready(self, inode: int, fd: int) -> bool:
        """Hash what is open here, so that `digest` is quick. False where that is in vain: somebody goes on writing."""
        for _ in range(TRIES):
            if self.is_quick(inode, fd):
                return True
            await self._finish(self._followed_anew(inode, fd))
        return self.is_quick(inode, fd)

    def _followed_anew(self, inode: int, fd: int) -> _Followed:
        found = os.fstat(fd)
        followed = self._current(inode, found)
        if followed is None:
            self.forget(inode)
            followed = self._follow(inode, fd, found)
        return followed

    def _current(self, inode: int, found: os.stat_result) -> _Followed | None:
        """What was hashed of a file, if it counts for bytes that are such."""
        followed = self._followed.get(inode)
        if (
            followed is None
            or not followed.progress.counts
            or followed.bytes_are != (found.st_dev, found.st_ino)
            or followed.progress.end_bytes != found.st_size
        ):
            return None
        return followed

    def _finish_here(self, followed: _Followed) -> bool:
        """Hash the rest at once, if it is short. Says whether all is hashed, and counts."""
        progress = followed.progress
        if progress.left_bytes > AT_ONCE_BYTES:
            return False
        with followed.lock:  # what the thread may be at is no longer than the rest
            while progress.counts and progress.left_bytes:
                followed.step(self._here)
        return progress.counts

    async def _finish(self, followed: _Followed) -> None:
        """Wait until the thread has come to the end, or what was hashed does not count any more."""
        done = self._begin(followed)
        with thread_at_work():
            await done.wait()

    def _begin(self, followed: _Followed) -> trio.Event:
        """Let the thread come to the end, and tell."""
        self._token = trio.lowlevel.current_trio_token()
        if followed.done is None:
            followed.done = trio.Event()
        self._line_up(followed)
        return followed.done

    # -- the thread

    def _follow(self, inode: int, fd: int, found: os.stat_result) -> _Followed:
        followed = self._followed[inode] = _Followed(os.dup(fd), found)
        if len(self._followed) > MOST_FOLLOWED:
            oldest = next((one for one, other in self._followed.items() if other.done is None), inode)
            if oldest != inode:
                self.forget(oldest)
        return followed

    def _end(self, followed: _Followed) -> None:
        followed.progress.doubt()
        followed.ended = True
        self._line_up(followed)

    def _line_up(self, followed: _Followed) -> None:
        followed.in_line = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="lyts-hash", daemon=True)
            self._thread.start()
        self._queue.put(followed)

    def _work(self) -> None:
        buffer = memoryview(bytearray(PIECE_BYTES))
        while (followed := self._queue.get()) is not None:
            if followed.ended:
                # It may stand in line more than once.
                if followed.fd >= 0:
                    with followed.lock:
                        os.close(followed.fd)
                        followed.fd = -1
            else:
                with followed.lock:
                    followed.step(buffer)
                if followed.has_more():
                    self._queue.put(followed)  # behind the others: several files are written at once
                    continue
                followed.in_line = False
                if followed.has_more():  # written meanwhile, by who took it to be in line
                    self._line_up(followed)
                    continue
            if followed.done is not None and self._token is not None:
                self._token.run_sync_soon(followed.tell)
