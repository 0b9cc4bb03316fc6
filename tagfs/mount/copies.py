"""Copies of bytes, made in a thread before they are needed, so that nobody else has to wait meanwhile.

Bytes that a version or a backup shares are copied before they are written to. Where the
file system has no reflinks that takes seconds for large files, and what needs the copy is
synchronous (`turn`). So who can tell that one will be needed has it made first (`ahead`),
while other requests go on; `put` finds it. Rules:

- A copy counts for the bytes it was made of: those at the path, of this size and time, if
  nobody wrote to them since it was begun (`wrote`).
- One that does not count, or was never made, is no error: `put` copies then and there. So
  nothing but how long others wait depends on what was foreseen.
- What nobody needs any more is removed; what a crash leaves in scratch is swept at the
  next start.

Trio thread only.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

import trio

from tagfs.bytes import CannotTake, copy, remove
from tagfs.guid import new_guid
from tagfs.mount.following import TRIES
from tagfs.mount.loop import aside, thread_at_work

log = logging.getLogger(__name__)

AT_ONCE_BYTES = 256 << 10
"""So much is copied in a handler: less than a millisecond."""


class Mark(NamedTuple):
    """What tells bytes from others."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int


def mark_of(path: str) -> Mark | None:
    """The mark of what stands at a path, None where there is nothing."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return Mark(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class _Copy:
    """A copy that is made, or being made."""

    def __init__(self, mark: Mark, draft: str) -> None:
        self.mark = mark
        self.draft = draft
        self.counts = True
        self.done = trio.Event()

    def is_of(self, mark: Mark | None) -> bool:
        """Whether it is one of bytes with this mark; `done` says whether it is made."""
        return self.counts and self.mark == mark


class Copies:
    """The copies of one mount, by the path of what they are copies of."""

    def __init__(self, scratch: str, random_bytes: Callable[[int], bytes]) -> None:
        self._scratch = scratch
        self._random_bytes = random_bytes
        self._made: dict[str, _Copy] = {}
        self._users: Counter[str] = Counter()

    def draft(self) -> str:
        """A path in scratch for a copy; what a crash leaves there is swept."""
        return os.path.join(self._scratch, f"own-{new_guid(self._random_bytes(16))}")

    def wrote(self, fd: int) -> None:
        """Bytes are written to: a copy of what they were is none any more. After it, and before it is answered."""
        if self._made:
            found = os.fstat(fd)
            for made in self._made.values():
                if made.mark[:2] == (found.st_dev, found.st_ino):
                    made.counts = False

    @asynccontextmanager
    async def ahead(self, paths: Iterable[str]) -> AsyncIterator[None]:
        """Have the bytes at these paths copied; inside, `put` of them is quick, unless somebody goes on writing.

        Raises:
            DiskFull, StoreError: as `put` would.
        """
        paths = list(paths)
        self._users.update(paths)
        try:
            for path in paths:
                await self._ready(path)
            yield
        finally:
            for path in paths:
                self._users[path] -= 1
                if not self._users[path]:
                    del self._users[path]
                    self._drop(path)

    def put(self, path: str, into: str) -> None:
        """A copy of the bytes at `path`, under the name `into`, which is free.

        Raises:
            CannotTake, DiskFull, StoreError: nothing was made.
        """
        made = self._made.get(path)
        if made is not None and made.done.is_set() and made.is_of(mark_of(path)):
            del self._made[path]
            os.rename(made.draft, into)
        else:
            copy(path, into)

    async def _ready(self, path: str) -> None:
        for _ in range(TRIES):
            mark = mark_of(path)
            if mark is None or mark.size_bytes <= AT_ONCE_BYTES:
                return
            made = self._made.get(path)
            if made is None or not made.is_of(mark):
                await self._make(path, mark)
            else:
                with thread_at_work():
                    await made.done.wait()
            made = self._made.get(path)
            if made is not None and made.done.is_set() and made.is_of(mark_of(path)):
                return

    async def _make(self, path: str, mark: Mark) -> None:
        self._drop(path)
        made = self._made[path] = _Copy(mark, self.draft())
        log.info("copying %d MiB of %s", mark.size_bytes >> 20, path)
        try:
            await aside(copy, path, made.draft)
        except BaseException as exc:
            made.counts = False
            if not isinstance(exc, CannotTake):
                raise
            log.info("%s", exc)
        finally:
            made.done.set()
            if self._made.get(path) is not made:
                remove(made.draft)

    def _drop(self, path: str) -> None:
        made = self._made.pop(path, None)
        if made is not None and made.done.is_set():
            remove(made.draft)  # else who makes it does
