"""What the index says of many files in any order: blocks taken apart, the last few of each kind kept.

`index.rows` reads files by ascending ordinals. Pages want them by birth, which on a node alone is
nearly the same order, and on one of several runs through a few stretches side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tagfs.index.blocks import ATTR, ATTRS, FWD, NAMES, ROW, ROWS, SIZE_MASK, FwdBlock, names_of
from tagfs.index.read import View
from tagfs.index.schema import U32

KEPT = 48
"""Blocks of a kind that are kept: some 60 KB each."""


Found = tuple[bytes, int, bytes, bytes, int, int, list[int]]
"""One file: GUID, when it was born, SHA-256, name, size in bytes, time in ns, the terms of its tags and its folder."""


class Blocks:
    """The blocks as of one view."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._rows: dict[int, list[Any]] = {}
        self._attrs: dict[int, list[Any]] = {}
        self._names: dict[int, list[bytes]] = {}
        self._terms: dict[int, tuple[list[int], list[int]]] = {}

    def at(self, ordinal: int) -> Found:
        """One file. IndexError where the index has none."""
        number, k = divmod(ordinal, ROWS)
        rows = self._rows.get(number) or self._block(self._rows, "rows", number, _rows)
        guid, born_when, _, _, sha256 = rows[k]
        number, k = divmod(ordinal, ATTRS)
        attrs = self._attrs.get(number) or self._block(self._attrs, "attrs", number, _attrs)
        _, packed, mtime_ns = attrs[k]
        number, k = divmod(ordinal, NAMES)
        names = self._names.get(number) or self._block(self._names, "names", number, names_of)
        number = ordinal // FWD
        offsets, terms = self._terms.get(number) or self._block(self._terms, "fwd", number, _terms)
        j = ordinal % FWD
        return guid, born_when, sha256, names[k], packed & SIZE_MASK, mtime_ns, terms[offsets[j] : offsets[j + 1]]

    def _block(self, kept: dict[int, Any], sub_db: str, number: int, apart: Callable[[bytes], Any]) -> Any:
        raw = self._view.tx.get(U32.pack(number), db=self._view.db[sub_db])
        if len(kept) >= KEPT:
            del kept[next(iter(kept))]
        found = kept[number] = apart(raw)
        return found


def _rows(raw: bytes) -> list[Any]:
    return list(ROW.iter_unpack(raw[: len(raw) // ROW.size * ROW.size]))


def _attrs(raw: bytes) -> list[Any]:
    return list(ATTR.iter_unpack(raw[: len(raw) // ATTR.size * ATTR.size]))


def _terms(raw: bytes) -> tuple[list[int], list[int]]:
    block = FwdBlock(raw)
    return block.offsets.tolist(), block.terms.tolist()
