"""What the blocks of the index say of files, by ordinal, in one read transaction.

One at a time, or many in ascending order, each block read once. Those who ask for one
after the other (the mount) get the last block again without asking LMDB, and names of a
block that was asked for twice in a row from a list.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Any

from pyroaring import BitMap

from tagfs.guid import guid_of_bytes
from tagfs.index.blocks import (
    ATTR,
    ATTRS,
    BIRTH,
    FWD,
    NAMES,
    ROWS,
    Attr,
    Row,
    attr_at,
    fwd_at,
    has_name,
    name_at,
    names_of,
    row_at,
    rows_of,
)
from tagfs.index.env import Index
from tagfs.index.schema import U32

NAMES_APART = 16
"""Blocks of names that are kept taken apart: some 40 KB each."""


class Rows:
    """The blocks as of one transaction."""

    def __init__(self, index: Index, tx: Any, *, keeps: bool) -> None:
        """`keeps`: what was looked at is still so at the next look, and others may know of it."""
        self.tx = tx
        self.id: int = tx.id()
        """The transaction: what was true for it is true for every view of the same."""
        self.index = index
        self.db = index.db
        self._keeps = keeps
        self._kept: dict[str, tuple[int, bytes | None]] = {}
        """Sub-database of blocks -> the one last looked at."""
        self._names_last: tuple[int, list[bytes]] = (-1, [])

    def row(self, ordinal: int) -> Row | None:
        return row_at(self.tx.get(U32.pack(ordinal // ROWS), db=self.db["rows"]), ordinal)

    def rows(self, ordinals: Iterable[int]) -> Iterator[tuple[int, Row]]:
        """(ordinal, row) of ascending ordinals, a block read once."""
        number, block = -1, None
        for ordinal in ordinals:
            if ordinal // ROWS != number:
                number = ordinal // ROWS
                block = self.tx.get(U32.pack(number), db=self.db["rows"])
            row = row_at(block, ordinal)
            if row is not None:
                yield ordinal, row

    def births(self, ordinals: array[int]) -> list[tuple[int, int]]:
        """(birth when, flags) of ascending ordinals; zeros where there is no row."""
        return self._fixed_rows("rows", ROWS, BIRTH, ordinals)

    def packed_attrs(self, ordinals: array[int]) -> list[tuple[int, int, int]]:
        """What `blocks.ATTR` says of ascending ordinals; zeros where nothing was written."""
        return self._fixed_rows("attrs", ATTRS, ATTR, ordinals)

    def birth(self, ordinal: int) -> tuple[int, int]:
        """(birth when, flags) of a file; zeros where there is no row."""
        return self._fixed_row("rows", ROWS, BIRTH, ordinal)

    def packed_attr(self, ordinal: int) -> tuple[int, int, int]:
        """What `blocks.ATTR` says of a file; zeros where nothing was written."""
        return self._fixed_row("attrs", ATTRS, ATTR, ordinal)

    def _fixed_row(self, sub_db: str, per_block: int, layout: Struct, ordinal: int) -> tuple[Any, ...]:
        number, at = divmod(ordinal, per_block)
        kept = self._kept.get(sub_db)
        if kept is not None and kept[0] == number:
            block = kept[1]
        else:
            block = self.tx.get(U32.pack(number), db=self.db[sub_db])
            if self._keeps:
                self._kept[sub_db] = number, block
        at *= layout.size
        if block is None or len(block) < at + layout.size:
            block, at = bytes(layout.size), 0
        return layout.unpack_from(block, at)

    def _fixed_rows(self, sub_db: str, per_block: int, layout: Struct, ordinals: array[int]) -> list[Any]:
        get, db = self.tx.get, self.db[sub_db]
        out: list[Any] = []
        at, total = 0, len(ordinals)
        while at < total:
            number = ordinals[at] // per_block
            first = number * per_block
            end = at + 1
            if end < total and ordinals[end] < first + per_block:
                end = bisect_left(ordinals, first + per_block, end, min(at + per_block, total))
            rows_of(get(U32.pack(number), db=db), layout, first, ordinals[at:end], out)
            at = end
        return out

    def guid(self, ordinal: int) -> str:
        row = self.row(ordinal)
        return guid_of_bytes(row.guid) if row is not None else ""

    def attr(self, ordinal: int) -> Attr:
        return attr_at(self.tx.get(U32.pack(ordinal // ATTRS), db=self.db["attrs"]), ordinal)

    def attrs(self, ordinals: Iterable[int]) -> Iterator[tuple[int, Attr]]:
        """(ordinal, attributes) of ascending ordinals, a block read once."""
        number, block = -1, None
        for ordinal in ordinals:
            if ordinal // ATTRS != number:
                number = ordinal // ATTRS
                block = self.tx.get(U32.pack(number), db=self.db["attrs"])
            yield ordinal, attr_at(block, ordinal)

    def name(self, ordinal: int) -> str:
        return self.name_bytes(ordinal).decode()

    def name_bytes(self, ordinal: int) -> bytes:
        """The name of a file as it is kept."""
        number = ordinal // NAMES
        names = self._names_apart(number)
        if names is None:
            return name_at(self.tx.get(U32.pack(number), db=self.db["names"]), ordinal)
        return names[ordinal % NAMES] if ordinal % NAMES < len(names) else b""

    def _names_apart(self, number: int) -> list[bytes] | None:
        """The names of a block, taken apart, where they are asked for one after the other; else None.

        Taking a block apart costs twice as much as finding one name in it, and then a name costs nothing.
        """
        kept = self.index.names_apart
        known = kept.get(number)
        if known is not None and known[0] == self.id:
            return known[1]
        if not self._keeps:
            return None
        if number != self.index.names_met:
            self.index.names_met = number
            return None
        names = names_of(self.tx.get(U32.pack(number), db=self.db["names"]))
        if len(kept) >= NAMES_APART and number not in kept:
            del kept[next(iter(kept))]
        kept[number] = self.id, names
        return names

    def names(self, bitmap: BitMap) -> list[bytes]:
        """The names of a result in order of ordinals, UTF-8."""
        return self.names_at(bitmap.to_array())

    def names_at(self, ordinals: array[int]) -> list[bytes]:
        """The names of files by ascending ordinals, UTF-8."""
        out: list[bytes] = []
        get, names_db = self.tx.get, self.db["names"]
        at, total = 0, len(ordinals)
        while at < total:
            number = ordinals[at] // NAMES
            if self._names_last[0] == number:
                block = self._names_last[1]
            else:
                block = names_of(get(U32.pack(number), db=names_db))
                if self._keeps:
                    self._names_last = number, block
            first = number * NAMES
            end = bisect_left(ordinals, first + NAMES, at, min(at + NAMES, total))
            low, high = ordinals[at] - first, ordinals[end - 1] - first
            if high - low == end - at - 1:
                out += block[low : high + 1]
            else:
                out += [block[ordinal - first] for ordinal in ordinals[at:end]]
            at = end
        return out

    def terms(self, ordinal: int) -> list[int]:
        """The terms of a file that `fwd` keeps: own tags and `from`."""
        return fwd_at(self.tx.get(U32.pack(ordinal // FWD), db=self.db["fwd"]), ordinal)

    def _has_name(self, ordinal: int, raw: bytes) -> bool:
        names = self._names_apart(ordinal // NAMES)
        if names is None:
            return has_name(self.tx.get(U32.pack(ordinal // NAMES), db=self.db["names"]), ordinal, raw)
        return ordinal % NAMES < len(names) and names[ordinal % NAMES] == raw
