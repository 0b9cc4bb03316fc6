"""Many pieces of bytes in one file without a name, found again by number.

What a page is made of (a row a file) is needed in another order than it is read in, and once
for each tag. A million rows are 400 MB: they stand in a file, which the kernel keeps at hand or
not, instead of in memory.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from array import array
from typing import Self


class Spool:
    """Written once, then read."""

    def __init__(self, folder: str) -> None:
        """`folder`: where there is room for it; nothing is left there, whatever happens."""
        self._file = tempfile.TemporaryFile(dir=folder, prefix="readme-", buffering=1 << 20)  # noqa: SIM115 - close()
        self._at = 0
        self.ends = array("Q", [0])
        """Where each piece begins, and the end of the last."""
        self._map: mmap.mmap | None = None

    def add(self, piece: bytes) -> None:
        self._file.write(piece)
        self._at += len(piece)
        self.ends.append(self._at)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def pieces(self) -> mmap.mmap | bytes:
        """All of them in a row; from now on nothing is added."""
        if self._map is None:
            self._file.flush()
            if not self._at:
                return b""
            self._map = mmap.mmap(self._file.fileno(), self._at, access=mmap.ACCESS_READ)
        return self._map

    def piece(self, number: int) -> bytes:
        return self.pieces()[self.ends[number] : self.ends[number + 1]]

    def give_back(self) -> None:
        """Let the kernel have the pages that were looked at; they are read again when they are needed."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None
        try:
            self._file.close()
        except OSError:
            pass  # no room for what was still to be written; nobody wants it any more

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def room_for(folder: str) -> str:
    """The folder, made if it is not there."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder
