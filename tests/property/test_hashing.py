"""Hashing behind a writer: whatever is written while it is read, a digest is that of the bytes, or there is none."""

from __future__ import annotations

import hashlib

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tagfs.mount.hashing import Progress

offsets = st.integers(0, 40)
pieces = st.binary(min_size=1, max_size=12)


class AFile(RuleBasedStateMachine):
    """One file. A write happens in steps: some of its bytes, the rest, and that it is noted; reading in three."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = bytearray(b"some that stood before")
        self.progress = Progress(len(self.bytes))
        self.writing: tuple[int, bytes, bytes] | None = None
        self.claimed: tuple[int, int] | None = None
        self.read: bytes | None = None

    def put(self, offset: int, piece: bytes) -> None:
        self.bytes.extend(bytes(max(0, offset - len(self.bytes))))
        self.bytes[offset : offset + len(piece)] = piece

    @precondition(lambda self: self.writing is None)
    @rule(offset=offsets, piece=pieces, appends=st.booleans(), at=st.integers(0, 12))
    def begin_to_write(self, offset: int, piece: bytes, appends: bool, at: int) -> None:
        offset = len(self.bytes) if appends else offset
        self.put(offset, piece[:at])
        self.writing = offset, piece, piece[at:]

    @precondition(lambda self: self.writing is not None)
    @rule()
    def finish_writing(self) -> None:
        assert self.writing is not None
        offset, piece, rest = self.writing
        self.put(offset + len(piece) - len(rest), rest)
        self.progress.wrote(offset, len(piece))
        self.writing = None

    @precondition(lambda self: self.claimed is None)
    @rule(most=st.integers(1, 16))
    def claim(self, most: int) -> None:
        self.claimed = self.progress.claim(most)

    @precondition(lambda self: self.claimed is not None)
    @rule()
    def look(self) -> None:
        assert self.claimed is not None
        offset, length = self.claimed
        self.read = bytes(self.bytes[offset : offset + length])

    @precondition(lambda self: self.read is not None)
    @rule()
    def take(self) -> None:
        assert self.read is not None
        self.progress.take(self.read, len(self.read))
        self.claimed = self.read = None

    @precondition(lambda self: self.writing is None and self.claimed is None)
    @rule()
    def hash_to_the_end(self) -> None:
        while (found := self.progress.claim(1 << 20))[1] and self.progress.counts:
            self.progress.take(bytes(self.bytes[found[0] : sum(found)]), found[1])

    @precondition(lambda self: self.writing is None and self.claimed is None and not self.progress.counts)
    @rule()
    def begin_anew(self) -> None:
        self.progress = Progress(len(self.bytes))

    @precondition(lambda self: self.writing is None)
    @invariant()
    def a_digest_is_that_of_the_bytes(self) -> None:
        found = self.progress.digest_of(len(self.bytes))
        assert found in (None, hashlib.sha256(self.bytes).hexdigest())


TestAFile = AFile.TestCase
