"""Open files: one descriptor each, known by the file they are open on.

A file's bytes can be replaced while programs have it open. Emptied (O_TRUNC), all handles
go over to the new bytes, as they would on any file system. Replaced by a save (another
program renames over it), handles stay with the bytes they have; such a handle is *behind*:
what it reads and writes is no longer what the file has, and what it wrote is taken in
beside the file when it is closed.

Trio thread only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from tagfs.mount.newborn import Newborn, inode_of_guid

MARKS_KEPT = 16_384
"""Of a file that was forgotten here the kernel forgets what it has cached, and reads it anew."""


def _mark(fd: int) -> tuple[int, int, int]:
    found = os.fstat(fd)
    return found.st_ino, found.st_size, found.st_mtime_ns


class Handle:
    """An open file."""

    __slots__ = (
        "alias",
        "behind",
        "data",
        "dirty",
        "fd",
        "guid",
        "inode",
        "newborn",
        "path",
        "process",
        "writable",
        "writes",
    )

    def __init__(self, fd: int, guid: str, path: str, writable: bool, process: int, inode: int | None = None) -> None:
        """`inode`: what follows from the GUID, where it is at hand."""
        self.fd = fd
        self.guid = guid
        self.inode = inode if inode is not None else inode_of_guid(guid) if guid else 0
        self.path = path
        self.writable = writable
        self.process = process
        """The thread group that opened it: what is stated at its close is that program's doing."""
        self.dirty = False
        self.writes = 0
        """How often something was written: what was read of the bytes counts as long as that is the same."""
        self.behind = False
        self.alias = False
        """The kernel knows it by another inode than the file has: bytes cached for that one are stale after a write."""
        self.newborn: Newborn | None = None
        self.data: bytes | None = None


class Handles:
    """All open files."""

    def __init__(self) -> None:
        self._next = 1 << 32
        self._by_number: dict[int, Handle] = {}
        self._by_inode: dict[int, list[Handle]] = {}
        self._marks: dict[int, tuple[int, int, int]] = {}
        """Inode -> (inode, size, time) of the bytes that the kernel has cached."""

    def add(self, handle: Handle) -> int:
        number = self._next
        self._next += 1
        self._by_number[number] = handle
        if handle.inode:
            self._by_inode.setdefault(handle.inode, []).append(handle)
        return number

    def __getitem__(self, number: int) -> Handle:
        return self._by_number[number]

    def get(self, number: int | None) -> Handle | None:
        return self._by_number.get(number) if number is not None else None

    def __iter__(self) -> Iterator[Handle]:
        return iter(list(self._by_number.values()))

    def numbers(self) -> list[int]:
        return list(self._by_number)

    def pop(self, number: int) -> Handle:
        handle = self._by_number.pop(number)
        if handle.inode:
            self._leave(handle)
        return handle

    def _leave(self, handle: Handle) -> None:
        beside = self._by_inode[handle.inode]
        beside.remove(handle)
        if not beside:
            del self._by_inode[handle.inode]

    def of(self, inode: int) -> list[Handle]:
        """The handles that are open on a file, but for those behind."""
        found = self._by_inode.get(inode)
        return [handle for handle in found if not handle.behind] if found else []

    def writer_of(self, inode: int) -> Handle | None:
        """A handle that may write a file, if there is one."""
        found = self._by_inode.get(inode)
        if found:
            for handle in found:
                if handle.writable and not handle.behind:
                    return handle
        return None

    def written(self) -> set[int]:
        """The inodes of all files for which `writer_of` finds a handle."""
        return {inode for inode in self._by_inode if self.writer_of(inode) is not None}

    def any_dirty(self, inode: int) -> bool:
        """Whether something written to a file is still to be stated."""
        return any(handle.dirty for handle in self.of(inode))

    def is_cache_true(self, number: int) -> bool:
        """Whether what the kernel has cached of a file that was just opened is what it holds.

        It is not where some open handle is behind, or an alias; nor where the bytes are others than
        when the file was last open here: Syncthing has put them there, or another program beneath.
        """
        handle = self._by_number[number]
        if handle.data is not None:
            return True
        mark = _mark(handle.fd)
        known = self._marks.pop(handle.inode, None)
        self._remember(handle.inode, mark)
        is_same = known == mark
        for other in self._by_inode.get(handle.inode, ()):
            if other.behind or other.alias:
                return False
            if other.writable and other is not handle and _mark(other.fd)[0] == mark[0]:
                is_same = True  # what goes through the mount is in the cache as well
        return is_same

    def is_closed(self, handle: Handle) -> None:
        """The last user of a handle goes: what it wrote is in the kernel's cache as it is on the disk."""
        if handle.writable and not handle.behind and handle.data is None:
            self._remember(handle.inode, _mark(handle.fd))

    def _remember(self, inode: int, mark: tuple[int, int, int]) -> None:
        self._marks[inode] = mark
        if len(self._marks) > MARKS_KEPT:
            del self._marks[next(iter(self._marks))]

    def go_over(self, inode: int, path: str) -> None:
        """What stands at `path` now is what all handles on the file have."""
        for handle in self.of(inode):
            fd = os.open(path, (os.O_RDWR if handle.writable else os.O_RDONLY) | os.O_CLOEXEC)
            try:
                os.dup2(fd, handle.fd, inheritable=False)
            finally:
                os.close(fd)

    def fall_behind(self, inode: int) -> None:
        """The bytes of the file are about to be replaced; the handles keep those they have."""
        for handle in self.of(inode):
            handle.behind = True

    def become(self, handle: Handle, guid: str, path: str) -> None:
        """A handle is open on another file now, which took the bytes."""
        self._leave(handle)
        handle.guid, handle.path, handle.newborn = guid, path, None
        handle.inode = inode_of_guid(guid)
        handle.alias = True
        self._by_inode.setdefault(handle.inode, []).append(handle)
