"""The files most lately added or changed: what `recent/` shows.

The index has no order by last change, and keeping one would cost every write. Two short
looks do: at the days on which files were born, newest first, and at the newest entries of
`changes`. Of the files met there the last fact is known, and the newest of them are shown.

What it cannot know: of a file that was born long ago and changed before the index was
last built again, that it changed; `changes` begins anew then. No more than a few hundred
rows are read, whatever the size of the library.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest
from typing import Any

import msgspec
from pyroaring import BitMap

from tagfs.bucket import day_of_ms
from tagfs.index.blocks import IN_TRASH, LISTED, PLAIN, Row
from tagfs.index.read import View
from tagfs.index.schema import U32
from tagfs.term import ADDED
from tagfs.value import value_key

RECENT_FILES = 200
_DAYS_BACK = (1, 7, 31, 366)
_LATEST = 9  # in a merge record: the newest stamps, see `tagfs.index.codec`
_unpack = msgspec.msgpack.Decoder().decode


def recent(view: View, now_ms: int, limit: int = RECENT_FILES) -> BitMap:
    """The `limit` living files most lately added or changed."""
    when: dict[int, int] = {}
    _look_at_births(view, now_ms, limit, when)
    _look_at_changes(view, limit, when)
    return BitMap(nlargest(limit, when, key=lambda ordinal: (when[ordinal], ordinal)))


def last_when(view: View, ordinal: int, row: Row) -> int:
    """The `when` of the last fact about a file."""
    if row.flags & PLAIN:
        return row.born_when
    raw = view.tx.get(U32.pack(ordinal), db=view.db["merge"])
    latest: list[list[int]] = _unpack(raw).get(_LATEST, ()) if raw is not None else []
    return max((at[0] for at in latest), default=row.born_when)


def _note(view: View, ordinals: Iterable[int], when: dict[int, int]) -> None:
    for ordinal, row in view.rows(ordinals):
        if row.flags & (LISTED | IN_TRASH) == LISTED:
            when[ordinal] = last_when(view, ordinal, row)


def _newest(files: BitMap, most: int) -> BitMap:
    """The files that came last."""
    return files if len(files) <= most else files[-most:]


def _look_at_births(view: View, now_ms: int, limit: int, when: dict[int, int]) -> None:
    terms: list[int] = []
    for back in _DAYS_BACK:
        first = value_key(str(day_of_ms(now_ms) - back))
        terms = [term for _, term in view.walk(ADDED, "", first)]
        if sum(map(view.count, terms)) >= limit:
            break
    else:
        terms = [term for _, term in view.walk(ADDED, "")]
    met = 0
    for term in reversed(terms):
        if met >= limit:
            return
        # Of a day with very many files those that came last are the last born, near enough.
        files = _newest(view.posting(term), 2 * limit)
        _note(view, files, when)
        met += len(files)


def _look_at_changes(view: View, limit: int, when: dict[int, int]) -> None:
    cursor: Any = view.tx.cursor(view.db["changes"])
    met = BitMap()
    found = cursor.last()
    while found and len(met) < limit:
        met |= _newest(BitMap.deserialize(_unpack(cursor.value())[0]), limit)
        found = cursor.prev()
    _note(view, met.difference(BitMap(when)), when)
