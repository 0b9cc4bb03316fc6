"""Memory: pages of the index that were looked at are given back.

LMDB maps its file, and every page that was ever looked at stays mapped: after listings in
a library of a million files some 350 MB, which tools count as the mount's own as long as
no other process has them mapped as well. They are pages of the page cache, never written
to, and the kernel takes them away whenever it needs room; but a person who looks at a
task list does not know that, nor does a limit set for a group of processes.

So now and then, where much is mapped, all of it is unmapped (MADV_DONTNEED, which for a
shared mapping of a file loses nothing): the pages stay in the page cache, and the next
look at one costs a fault that reads nothing. 350 MB take 3 to 5 ms to unmap, and some
20 ms to be mapped again, if all of it is looked at again.
"""

from __future__ import annotations

import ctypes
import mmap

from tagfs.index.env import Index

MAPPED_MB = 32
"""So much may stay mapped."""
_EVERY = 8

_madvise = ctypes.CDLL(None, use_errno=True).madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def mapped_mb() -> float:
    """How much of this process is pages of files."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[2]) * mmap.PAGESIZE / (1 << 20)


class Pages:
    """The pages of the index that this process has mapped."""

    def __init__(self) -> None:
        self._beside_mb = mapped_mb()
        """Programs and libraries, and what starting looked at."""
        self._asked = 0

    def give_back(self, index: Index) -> None:
        """A few times a second: unmap the index where much of it is mapped, but only every few times it is asked."""
        self._asked += 1
        if self._asked % _EVERY == 0 and mapped_mb() - self._beside_mb > MAPPED_MB:
            unmap(index)


def unmap(index: Index) -> None:
    """Give back all pages of the index; who reads meanwhile has them mapped again."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            # address range, permissions, offset, device, inode, path
            where, permissions, _, _, inode = line.split(maxsplit=5)[:5]
            if int(inode) == index.inode and permissions[3] == "s" and line.endswith("/data.mdb\n"):
                first, past = (int(number, 16) for number in where.split("-"))
                _madvise(first, past - first, mmap.MADV_DONTNEED)
