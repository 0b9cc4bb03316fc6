"""Blocks: fixed rows of many files packed into one value, and the small records beside them.

Pure packing and unpacking; nothing in here knows of LMDB. A block that is shorter than
full stands for rows that were never written: they read as zeros, empty names, no terms.
"""

from __future__ import annotations

import struct
from array import array
from typing import Any, Literal, NamedTuple

ROWS = 68
ROW = struct.Struct("<16sQHH32s")  # GUID, birth when, birth node, flags, SHA-256
BIRTH = struct.Struct("<16xQ2xH32x")
"""Of a row only birth when and flags."""
NAMES = 512
ATTRS = 170
ATTR = struct.Struct("<QQq")
"""Inode and size for listings: 56 bits of the GUID; size 48 | permissions 12 << 48 | shared << 63; mtime_ns."""
FWD = 512

PLAIN = 1  # flag: no merge record; the state follows from the blocks
LISTED = 2  # flag: exists for a person (see face.Face.listed)
IN_TRASH = 4  # flag: listed, in the trash

SHARED = 1 << 63
SIZE_MASK = (1 << 48) - 1
_EMPTY_ROW = bytes(ROW.size)
_EMPTY_ATTR = bytes(ATTR.size)


class Row(NamedTuple):
    guid: bytes
    born_when: int
    node: int
    flags: int
    sha256: bytes


class Attr(NamedTuple):
    ident: int
    size_bytes: int
    mode: int
    shared: bool
    mtime_ns: int


def row_at(block: bytes | memoryview | None, ordinal: int) -> Row | None:
    """The row of a file, None where none was written."""
    at = ordinal % ROWS * ROW.size
    if block is None or len(block) < at + ROW.size:
        return None
    return Row(*ROW.unpack_from(block, at))


def attr_at(block: bytes | memoryview | None, ordinal: int) -> Attr:
    """Size, permissions and time of a file."""
    at = ordinal % ATTRS * ATTR.size
    if block is None or len(block) < at + ATTR.size:
        return Attr(0, 0, 0, False, 0)
    ident, packed, mtime_ns = ATTR.unpack_from(block, at)
    return Attr(ident, packed & SIZE_MASK, packed >> 48 & 0o7777, bool(packed & SHARED), mtime_ns)


def rows_of(
    block: bytes | None, layout: struct.Struct, first: int, ordinals: array[int], out: list[tuple[Any, ...]]
) -> None:
    """Append the fixed rows of ascending ordinals of one block to `out`, zeros where none was written.

    Args:
        layout: of one row; it may leave parts of it out.
        first: the ordinal with which the block begins.
    """
    size = layout.size
    low, high = ordinals[0] - first, ordinals[-1] - first
    if block is None or len(block) < (high + 1) * size:
        block = (block or b"").ljust((high + 1) * size, b"\0")
    if low == high:
        out.append(layout.unpack_from(block, low * size))
    elif high - low + 1 == len(ordinals):
        out.extend(layout.iter_unpack(memoryview(block)[low * size : (high + 1) * size]))
    else:
        unpack = layout.unpack_from
        out.extend([unpack(block, (ordinal - first) * size) for ordinal in ordinals])


def pack_attr(guid: bytes, size_bytes: int, mode: int, shared: bool, mtime_ns: int) -> bytes:
    return ATTR.pack(
        int.from_bytes(guid[:7], "little"),
        size_bytes & SIZE_MASK | (mode & 0o7777) << 48 | (SHARED if shared else 0),
        mtime_ns,
    )


def put_fixed(block: bytes, rows: dict[int, bytes], per_block: int, size: int) -> bytes:
    """The block with rows (by ordinal) replaced; it grows as far as its last row."""
    last = max(o % per_block for o in rows)
    out = bytearray(block)
    if len(out) < (last + 1) * size:
        out.extend(bytes((last + 1) * size - len(out)))
    for ordinal, row in rows.items():
        at = ordinal % per_block * size
        out[at : at + size] = row
    return bytes(out)


def names_of(block: bytes | None) -> list[bytes]:
    """The names of a block, as many as were written."""
    return block.split(b"/") if block is not None else []


def name_at(block: bytes | None, ordinal: int) -> bytes:
    """The name of one file, b"" where none was written."""
    if block is None:
        return b""
    k = ordinal % NAMES
    parts = block.split(b"/", k + 1)
    return parts[k] if k < len(parts) else b""


def has_name(block: bytes | None, ordinal: int, name: bytes) -> bool:
    """Whether the name of one file is this one: `name_at(...) == name` without taking the block apart."""
    if block is None:
        return False
    k = ordinal % NAMES
    fenced = b"/%b/" % block
    wanted = b"/%b/" % name
    at = fenced.find(wanted)
    while at >= 0:
        before = fenced.count(b"/", 0, at)
        if before >= k:
            return before == k
        at = fenced.find(wanted, at + 1)
    return False


def put_names(block: bytes | None, names: dict[int, bytes]) -> bytes:
    """The block with names (by ordinal) replaced."""
    out = names_of(block)
    last = max(o % NAMES for o in names)
    if len(out) <= last:
        out.extend([b""] * (last + 1 - len(out)))
    for ordinal, name in names.items():
        out[ordinal % NAMES] = name
    return b"/".join(out)


# fwd: width of a term (2 or 4), width of an offset (2 or 4), 513 offsets into the terms, the terms.
# Native little-endian arrays: the index never leaves its machine.
_CODE: dict[int, Literal["H", "I"]] = {2: "H", 4: "I"}


class FwdBlock:
    """A block of `fwd`, opened: `terms[offsets[i]:offsets[i + 1]]` are the terms of its i-th file."""

    __slots__ = ("offsets", "terms")

    def __init__(self, block: bytes | memoryview) -> None:
        view = memoryview(block)
        start = 2 + (FWD + 1) * view[1]
        self.offsets: memoryview = view[2:start].cast(_CODE[view[1]])
        self.terms: memoryview = view[start:].cast(_CODE[view[0]])

    def row(self, ordinal: int) -> list[int]:
        k = ordinal % FWD
        return self.terms[self.offsets[k] : self.offsets[k + 1]].tolist()


def fwd_at(block: bytes | None, ordinal: int) -> list[int]:
    """The term numbers of one file."""
    return FwdBlock(block).row(ordinal) if block is not None else []


def put_fwd(block: bytes | None, rows: dict[int, list[int]]) -> bytes:
    """The block with rows (by ordinal) replaced."""
    parts: list[list[int]] = [[]] * FWD
    if block is not None:
        old = FwdBlock(block)
        terms, offsets = old.terms.tolist(), old.offsets.tolist()
        parts = [terms[offsets[i] : offsets[i + 1]] for i in range(FWD)]
    for ordinal, row in rows.items():
        parts[ordinal % FWD] = row
    flat: list[int] = []
    ends = [0]
    for part in parts:
        flat += part
        ends.append(len(flat))
    wide = 4 if flat and max(flat) > 0xFFFF else 2
    far = 4 if len(flat) > 0xFFFF else 2
    return bytes((wide, far)) + array(_CODE[far], ends).tobytes() + array(_CODE[wide], flat).tobytes()


SEGMENT = struct.Struct("<IIQQqIQ")


class SegmentRead(NamedTuple):
    """How far a segment has been read.

    `crc32` is of the `applied_bytes` first bytes; `size_bytes` and `mtime_ns` are the
    file's when it was last looked at, so that an untouched one costs a stat. `newest_when`
    is of the newest stamp in it by the node whose ledger it is (see `seen`).
    """

    number: int
    crc32: int
    applied_bytes: int
    size_bytes: int
    mtime_ns: int
    lines: int
    newest_when: int


def pack_segment(read: SegmentRead) -> bytes:
    return SEGMENT.pack(*read)


def unpack_segment(value: bytes | memoryview) -> SegmentRead:
    return SegmentRead(*SEGMENT.unpack(value))
