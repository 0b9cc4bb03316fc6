"""What rules find: of a file that is in no index yet, by the query engine over that one file alone; and of all.

    matches("video+size=1GB..", guid, face, view, clock)
    files_found("video+size=1GB..", view, clock)

`OneFile` is what a plan asks of the index (`plan.Vocabulary`, `run.Postings`) for a library
in which there is just this file, as ordinal 0. What tags mean (aliases, implications) and
what nodes are called it takes from the real one. So a rule says of a file that is about to be
made what it would find of it a moment later, by the same code. A tag that no file has is no
error here: a rule may well be older than the first file that it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from pyroaring import BitMap

from tagfs.bucket import Clock
from tagfs.errors import QueryError
from tagfs.face import Face, terms_of
from tagfs.index.read import View
from tagfs.query.plan import plan
from tagfs.query.rich import parse_rich
from tagfs.query.run import contains, result
from tagfs.term import TAG, TermKey
from tagfs.value import value_key

_THIS = 0


class Meanings(Protocol):
    """What tags and nodes mean in the library; `index.read.View` is one."""

    def matching_tags(self, tag: str) -> list[str]:
        """As in `plan.Vocabulary`."""
        ...

    def node(self, alias: str) -> str | None:
        """As in `plan.Vocabulary`."""
        ...

    def node_aliases(self) -> list[str]:
        """As in `plan.Vocabulary`."""
        ...

    def nodes_that_left(self) -> frozenset[str]:
        """As in `plan.Vocabulary`."""
        ...


class OneFile:
    """A library of one file."""

    def __init__(self, guid: str, face: Face, meanings: Meanings) -> None:
        self._digits = guid.replace("-", "")
        self._face = face
        self._meanings = meanings
        # Number 0 is that of all files, as everywhere.
        self._terms: dict[TermKey, int] = {}
        for term in sorted(set(terms_of(face)), key=lambda term: (term[0], term[1], term[2] or "")):
            self._terms[term] = len(self._terms)

    # -- plan.Vocabulary

    def term(self, kind: int, key: str, value: str | None) -> int | None:
        return self._terms.get((kind, key, value))

    def count(self, term: int) -> int:
        return int(term < len(self._terms))

    def walk(self, kind: int, key: str, low: bytes = b"", below: bytes | None = None) -> Iterator[tuple[str, int]]:
        found = [(v, n) for (k, one, v), n in self._terms.items() if (k, one) == (kind, key) and v is not None]
        for value, number in sorted(found, key=lambda item: value_key(item[0])):
            if low <= value_key(value) and (below is None or value_key(value) < below):
                yield value, number

    def plain_tags(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        for (kind, key, value), number in sorted(self._terms.items(), key=lambda item: item[0][1]):
            if kind == TAG and value is None and key.startswith(prefix):
                yield key, number

    def keys(self, prefix: str = "") -> Iterator[str]:
        yield prefix  # every key is one that a file may yet have

    def matching_tags(self, tag: str) -> list[str]:
        return self._meanings.matching_tags(tag)

    def named(self, name: str) -> BitMap:
        return self._if(self._face.name == name)

    def names_beginning(self, prefix: str) -> BitMap:
        return self._if(self._face.name.startswith(prefix))

    def ids_beginning(self, hex_digits: str) -> BitMap:
        return self._if(self._digits.startswith(hex_digits))

    def node(self, alias: str) -> str | None:
        return self._meanings.node(alias)

    def node_aliases(self) -> list[str]:
        return self._meanings.node_aliases()

    def nodes_that_left(self) -> frozenset[str]:
        return self._meanings.nodes_that_left()

    def tag_suggestions(self, tag: str) -> Iterable[tuple[str, int]]:
        return ()

    def is_tag(self, tag: str) -> bool:
        return True

    # -- run.Postings

    def chunk(self, term: int, high: int) -> BitMap | None:
        return BitMap([_THIS]) if high == 0 and term < len(self._terms) else None

    def highs(self, term: int) -> list[int]:
        return [0] if term < len(self._terms) else []

    def term_chunks(self, term: int) -> Iterator[tuple[int, BitMap]]:
        if term < len(self._terms):
            yield 0, BitMap([_THIS])

    def filter(self, bitmap: BitMap, attribute: str, low: int, high: int) -> BitMap:
        face = self._face
        value = {
            "size_bytes": face.size_bytes,
            "modified_ns": face.mtime_ns,
            "added_ms": face.born_when >> 16,
        }[attribute]
        return self._if(low <= value <= high) & bitmap

    @staticmethod
    def _if(is_so: bool) -> BitMap:
        return BitMap([_THIS]) if is_so else BitMap()


def matches(query: str, guid: str, face: Face, meanings: Meanings, clock: Clock) -> bool:
    """Whether a query would find a file with this face. One that cannot be read or answered finds nothing."""
    one = OneFile(guid, face, meanings)
    try:
        return contains(plan(parse_rich(query), one, clock, query), one, _THIS)
    except QueryError:
        return False


class _Lenient:
    """A view for which every tag and key is one that a file may yet have."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def is_tag(self, tag: str) -> bool:
        return True

    def keys(self, prefix: str = "") -> Iterator[str]:
        yield prefix


def files_found(query: str, view: View, clock: Clock) -> BitMap:
    """All living files that a rule's query finds; the caller's own. None for one that cannot be read or answered."""
    try:
        return result(plan(parse_rich(query), _Lenient(view), clock, query), view)
    except QueryError:
        return BitMap()
