"""A full-text index that looks through everything each time (`tagfs.text.documents.TextIndex`).

For the contract suite, and to say what the real one should find. It does not rank as the real
one does: it counts words.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from tagfs.text.documents import (
    MOST_KEPT_CHARS,
    Document,
    Found,
    Hit,
    Kept,
    Writer,
    clean,
    fields_of,
    is_answered,
    words_of_field,
)
from tagfs.text.question import Part, Question


class _Batch:
    def __init__(self, documents: dict[str, Document]) -> None:
        self.documents = documents

    def put(self, document: Document) -> None:
        self.documents[document.guid] = clean(document)

    def drop(self, guid: str, *, wipe: bool = False) -> None:
        self.documents.pop(guid, None)


class PlainIndex:
    """All documents in a dictionary."""

    def __init__(self) -> None:
        self._documents: dict[str, Document] = {}

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        batch = _Batch(dict(self._documents))
        yield batch
        self._documents = batch.documents

    def digests(self, guids: Collection[str]) -> dict[str, bytes]:
        return {guid: self._documents[guid].digest for guid in guids if guid in self._documents}

    def guids(self) -> Iterable[str]:
        return list(self._documents)

    def count(self) -> int:
        return len(self._documents)

    def search(self, question: Question, limit: int | None, among: Callable[[str], bool] | None = None) -> Found:
        hits = []
        for guid, document in self._documents.items():
            kept = Kept(
                document.name,
                document.tags,
                document.notes,
                document.text[:MOST_KEPT_CHARS],
                len(document.text) > MOST_KEPT_CHARS,
            )
            score = _score(document, question)
            if score and is_answered(kept, question) and (among is None or among(guid)):
                hits.append(Hit(guid, float(score), kept))
        hits.sort(key=lambda hit: -hit.score)
        return Found(hits[:limit], limit is not None and len(hits) > limit)

    def close(self) -> None:
        pass


def _score(document: Document, question: Question) -> int:
    fields = {field: words_of_field(field, text) for field, text in fields_of(document).items()}
    if any(_times(fields, part) for part in question.none if not part.asked.whole):
        return 0
    total = 0
    for group in question.all:
        best = max(_times(fields, part) for part in group)
        if not best:
            return 0
        total += best
    return total


def _times(fields: dict[str, dict[str, int]], part: Part) -> int:
    """How often the words of a part stand in a document; 0 where one is missing."""
    piece = part.asked
    found = []
    for number, word in enumerate(piece.words):
        begins = piece.begins and number == len(piece.words) - 1
        found.append(
            sum(
                times
                for field, words in fields.items()
                if part.field in (None, field)
                for other, times in words.items()
                if other == word or (begins and other.startswith(word))
            )
        )
    return sum(found) if all(found) else 0
