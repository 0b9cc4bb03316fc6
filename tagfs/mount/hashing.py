"""How far the bytes of a file that is being written are hashed, and whether that still counts.

A program writes a file from its beginning to its end, mostly; so it can be hashed behind
the writer, and at close next to nothing is left. What is hashed so is good as long as
nobody wrote again where it was read, or was about to be read:

    0 ........ hashed ........ claimed ........ end
      in the digest    being read      written, not read yet

`claimed` is moved on before bytes are read, and `wrote` is called after they were written
and before the write is answered. So a write that could have been missed, or seen in part,
finds its place claimed, and all that was hashed does not count any more.

Pure: who reads, and in which thread, is `mount.following`. `wrote` and `doubt` may be called
while another thread is between `claim` and `take`; those two only from one thread at a time.
"""

from __future__ import annotations

import hashlib


class Progress:
    """Of one file, read from its beginning."""

    __slots__ = ("_digest", "claimed_bytes", "counts", "end_bytes", "hashed_bytes")

    def __init__(self, size_bytes: int) -> None:
        """Nothing is hashed yet. `size_bytes`: what the file has now."""
        self.end_bytes = size_bytes
        self.claimed_bytes = 0
        self.hashed_bytes = 0
        self.counts = True
        self._digest = hashlib.sha256()

    @property
    def left_bytes(self) -> int:
        """What is still to be hashed."""
        return self.end_bytes - self.hashed_bytes

    def wrote(self, offset: int, length: int) -> None:
        """Bytes were written. A gap before them is read as what the file system makes of it: zeros."""
        if length <= 0:
            return
        if offset < self.claimed_bytes:
            self.counts = False
        self.end_bytes = max(self.end_bytes, offset + length)

    def doubt(self) -> None:
        """Something happened that is not known exactly: what was hashed does not count."""
        self.counts = False

    def claim(self, most_bytes: int) -> tuple[int, int]:
        """What to read next: (offset, length); length 0 where nothing is left."""
        offset = self.claimed_bytes = self.hashed_bytes
        length = min(most_bytes, self.end_bytes - offset)
        self.claimed_bytes += length
        return offset, length

    def take(self, data: bytes | memoryview, length: int) -> None:
        """What was claimed, as it was read; fewer bytes mean that the file is not what was thought."""
        if length != self.claimed_bytes - self.hashed_bytes:
            self.counts = False
            return
        self._digest.update(data)
        self.hashed_bytes += length

    def digest_of(self, size_bytes: int) -> str | None:
        """The SHA-256 of the file, if it has this size and all of it is hashed and counts."""
        if self.counts and self.hashed_bytes == self.end_bytes == size_bytes:
            return self._digest.hexdigest()
        return None
