"""What a flush writes: rows gathered block by block, names, postings, and the note of what changed.

`Applier` decides what a file's rows are; here they are put together with those of other
files and written, each block and posting chunk once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any
from zlib import crc32

import msgspec
from pyroaring import BitMap

from tagfs.index import blocks
from tagfs.index.blocks import ATTR, ATTRS, ROW, ROWS
from tagfs.index.numbers import Numbers
from tagfs.index.schema import CHANGES_KEPT, POST_KEY, U16, U32, U64

_pack = msgspec.msgpack.Encoder().encode

TEXT_QUEUE = b"t"
_AttrBlocks = defaultdict[int, dict[int, bytes]]


class Gathered:
    """The rows of the files of one flush."""

    def __init__(self, tx: Any, db: dict[str, Any]) -> None:
        self.tx = tx
        self.db = db
        self.grow: defaultdict[int, list[int]] = defaultdict(list)
        self.shrink: defaultdict[int, list[int]] = defaultdict(list)
        self.rows: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
        self.names: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
        self.attrs: _AttrBlocks = defaultdict(dict)
        self.fwd: defaultdict[int, dict[int, list[int]]] = defaultdict(dict)
        self.guids: list[tuple[bytes, bytes]] = []
        self.hashes: list[tuple[bytes, bytes]] = []
        self.to_text: list[int] = []
        self.marked: list[int] = []
        """Files whose attributes changed only in that their name is shared now."""
        self._byname = tx.cursor(db["byname"])

    def put_name(self, ordinal: int, name: bytes, born_when: int) -> int | None:
        """Let a file be found by a name. Returns another file with that name, if there is one."""
        check = U32.pack(crc32(name))
        twin = None
        if self._byname.set_range_dup(check[:2], check[2:] + bytes(12)):
            value = self._byname.value()
            if value[:2] == check[2:]:
                twin = U32.unpack_from(value, 10)[0]
        self._byname.put(check[:2], check[2:] + U64.pack(born_when) + U32.pack(ordinal))
        return twin

    def drop_name(self, ordinal: int, name: bytes, born_when: int) -> None:
        """Let a file no longer be found by a name."""
        check = U32.pack(crc32(name))
        self.tx.delete(check[:2], check[2:] + U64.pack(born_when) + U32.pack(ordinal), db=self.db["byname"])

    def mark_shared(self, ordinal: int) -> None:
        """The first holder of a name learns that it is no longer alone; the others knew from the start."""
        number = ordinal // ATTRS
        written = self.attrs.get(number, {}).get(ordinal)
        if written is None:
            block = self.tx.get(U32.pack(number), db=self.db["attrs"])
            at = ordinal % ATTRS * ATTR.size
            written = block[at : at + ATTR.size] if block is not None else b""
            if len(written) < ATTR.size:
                return  # it is still to be written, and has been told
        ident, packed, mtime_ns = ATTR.unpack(written)
        if not packed & blocks.SHARED:
            self.attrs[number][ordinal] = ATTR.pack(ident, packed | blocks.SHARED, mtime_ns)
            self.marked.append(ordinal)

    def write(self, numbers: Numbers) -> set[int]:
        """Write everything. Returns the terms whose files changed."""
        tx, db = self.tx, self.db
        self.guids.sort()
        self.hashes.sort()
        tx.cursor(db["guid"]).putmulti(self.guids)
        tx.cursor(db["hash"]).putmulti(self.hashes)
        self._put_blocks("rows", self.rows, lambda old, new: blocks.put_fixed(old or b"", new, ROWS, ROW.size))
        self._put_blocks("attrs", self.attrs, lambda old, new: blocks.put_fixed(old or b"", new, ATTRS, ATTR.size))
        self._put_blocks("names", self.names, blocks.put_names)
        self._put_blocks("fwd", self.fwd, blocks.put_fwd)
        changed = {*self.grow, *self.shrink}
        for term in sorted(changed):
            change = grow(tx, db["post"], term, self.grow[term]) if term in self.grow else 0
            if term in self.shrink:
                change -= shrink(tx, db["post"], term, self.shrink[term])
            numbers.count_files(term, change)
        for high, queued in by_high(self.to_text):
            key = TEXT_QUEUE + U16.pack(high)
            raw = tx.get(key, db=db["pending"])
            if raw is not None:
                queued |= BitMap.deserialize(raw)
            tx.put(key, queued.serialize(), db=db["pending"])
        return changed

    def _put_blocks(self, sub_db: str, changed: dict[int, Any], put: Callable[[bytes | None, Any], bytes]) -> None:
        db = self.db[sub_db]
        for block in sorted(changed):
            key = U32.pack(block)
            self.tx.put(key, put(self.tx.get(key, db=db), changed[block]), db=db)


def grow(tx: Any, db: Any, number: int, members: Iterable[int]) -> int:
    """Add files to a posting; returns how many were not in it."""
    added = 0
    for high, part in by_high(members):
        key = POST_KEY.pack(number, high)
        raw = tx.get(key, db=db)
        if raw is not None:
            old = BitMap.deserialize(raw)
            part |= old
            added -= len(old)
        added += len(part)
        part.run_optimize()
        tx.put(key, part.serialize(), db=db)
    return added


def shrink(tx: Any, db: Any, number: int, members: Iterable[int]) -> int:
    """Take files out of a posting; returns how many were in it."""
    gone = 0
    for high, leaving in by_high(members):
        key = POST_KEY.pack(number, high)
        raw = tx.get(key, db=db)
        if raw is None:
            continue
        part = BitMap.deserialize(raw)
        gone += part.intersection_cardinality(leaving)
        part -= leaving
        if part:
            tx.put(key, part.serialize(), db=db)
        else:
            tx.delete(key, db=db)
    return gone


def by_high(ordinals: Iterable[int]) -> list[tuple[int, BitMap]]:
    """Ordinals by their 65,536-block."""
    whole = BitMap(ordinals)
    if not whole:
        return []
    low, high = whole.min() >> 16, whole.max() >> 16
    if low == high:
        return [(low, whole)]
    parts = [(block, whole & BitMap(range(block << 16, (block + 1) << 16))) for block in range(low, high + 1)]
    return [(block, part) for block, part in parts if part]


def note_changes(tx: Any, db: Any, ordinals: BitMap, terms: set[int], old_names: dict[int, bytes]) -> None:
    """Record what this transaction changed, for those who cache; only the newest are kept.

    `old_names`: what renamed files were called before, by ordinal.
    """
    if not ordinals and not terms:
        return
    ordinals.run_optimize()
    now = tx.id()
    tx.put(U64.pack(now), _pack([ordinals.serialize(), sorted(terms), old_names]), db=db)
    cursor = tx.cursor(db)
    while cursor.first() and U64.unpack(cursor.key())[0] + CHANGES_KEPT <= now:
        cursor.delete()
