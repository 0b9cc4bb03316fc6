"""Hashing behind a writer: whatever is written while it is read, a digest is that of the bytes, or there is none."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tagfs.mount.hashing import Progress

offsets = st.integers(0, 8)
lengths = st.integers(1, 6)


class AFile(RuleBasedStateMachine):
    """One file. A write happens in steps: some of its bytes, the rest, and that it is noted; reading in three."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = bytearray(b"before")
        self.progress = Progress(len(self.bytes))
        self.writes = 0
        self.writing: tuple[int, bytes, bytes] | None = None
        self.claimed: tuple[int, int] | None = None
        self.read: bytes | None = None

    def put(self, offset: int, piece: bytes) -> None:
        self.bytes.extend(bytes(max(0, offset - len(self.bytes))))
        self.bytes[offset : offset + len(piece)] = piece

    @precondition(lambda self: self.writing is None)
    @rule(offset=offsets, length=lengths, appends=st.booleans(), at=st.integers(0, 6))
    def begin_to_write(self, offset: int, length: int, appends: bool, at: int) -> None:
        self.writes += 1
        piece = bytes([self.writes % 256]) * length  # never what is there already
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
    @rule(most=st.integers(1, 12))
    def claim(self, most: int) -> None:
        if not self.progress.counts and self.writing is None:
            self.progress = Progress(len(self.bytes))
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

    @precondition(lambda self: self.writing is None)
    @invariant()
    def a_digest_is_that_of_the_bytes(self) -> None:
        found = self.progress.digest_of(len(self.bytes))
        assert found in (None, hashlib.sha256(self.bytes).hexdigest())


TestAFile = AFile.TestCase


def do_something(file: AFile, dice: random.Random) -> str:
    """What one of the rules above does that may be done now; said so that a failure can be read."""
    choices = []
    if file.writing is None:
        write = (dice.randint(0, 8), dice.randint(1, 6), dice.random() < 0.5, dice.randint(0, 6))
        choices.append((f"begin_to_write{write}", lambda: file.begin_to_write(*write)))
    else:
        choices.append(("finish_writing", file.finish_writing))
    if file.claimed is None:
        most = dice.randint(1, 12)
        choices.append((f"claim({most})", lambda: file.claim(most)))
    elif file.read is None or dice.random() < 0.2:
        choices.append(("look", file.look))
    if file.read is not None:
        choices.append(("take", file.take))
    if file.writing is None and file.claimed is None:
        choices.append(("hash_to_the_end", file.hash_to_the_end))
    name, do = dice.choice(choices)
    do()
    return name


def test_a_digest_is_that_of_the_bytes_over_thousands_of_schedules(rounds: Callable[[int, int], int]) -> None:
    """The same by dice: a hundred times as many for the time, and no shorter story of a failure."""
    digests = 0
    for seed in range(rounds(4_000, 200_000)):
        file, dice, done = AFile(), random.Random(seed), []
        for _ in range(16):
            done.append(do_something(file, dice))
            if file.writing is None:
                found = file.progress.digest_of(len(file.bytes))
                digests += found is not None
                assert found in (None, hashlib.sha256(file.bytes).hexdigest()), f"seed {seed}: {done}"
    assert digests > 1000
