"""What is kept of a file in the full text, and what an index of it can do.

Pure. `TextIndex` is kept by two: `whooshed.WhooshIndex`, and a plain one in the tests that
the same contract suite runs against.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from tagfs.errors import StoreError
from tagfs.text.question import CONTENTS, NAME, NOTES, TAGS, Part, Question
from tagfs.text.words import counted, follow_each_other

MOST_READ_CHARS = 2_000_000
"""So much of a text can be found; a long novel has a million characters."""
MOST_KEPT_CHARS = 256_000
"""So much is kept, for snippets and to see whether words follow each other."""


class TextIndexBroken(StoreError):
    """The full text cannot be read and must be made again; the library is not concerned."""


class Document(NamedTuple):
    """What can be found of a file.

    digest  of everything it was made from: while that stays, nothing need be read again
    text    at most `MOST_READ_CHARS`
    """

    guid: str
    digest: bytes
    name: str
    tags: tuple[str, ...]
    notes: str
    text: str


class Kept(NamedTuple):
    """What is shown of a file that was found.

    text  at most `MOST_KEPT_CHARS`
    cut   whether it was more
    """

    name: str
    tags: tuple[str, ...]
    notes: str
    text: str
    cut: bool


class Hit(NamedTuple):
    """A file that was found; the higher the score the better."""

    guid: str
    score: float
    kept: Kept


class Found(NamedTuple):
    """The best hits, the best first. `more`: there are others."""

    hits: list[Hit]
    more: bool


class Writer(Protocol):
    """One batch of changes; all of them are there when it ends, or none."""

    def put(self, document: Document) -> None:
        """Let a file be found, and no more by what was put before. Each GUID once a batch."""

    def drop(self, guid: str, *, wipe: bool = False) -> None:
        """Forget a file; nothing happens where it is not known.

        Args:
            wipe: no word of it may stay on the disk, which costs writing everything anew.
        """


class TextIndex(Protocol):
    """An index of documents. Any method raises `TextIndexBroken` where it cannot be read."""

    def writing(self) -> AbstractContextManager[Writer]:
        """Change it; on an error nothing is changed."""

    def digests(self, guids: Collection[str]) -> dict[str, bytes]:
        """GUID -> digest of those that are known."""

    def guids(self) -> Iterable[str]:
        """All files that are known."""

    def count(self) -> int:
        """How many files are known."""

    def search(self, question: Question, limit: int | None, among: Callable[[str], bool] | None = None) -> Found:
        """The files that answer a question, the best first; `among` says of a GUID whether it may be shown."""

    def close(self) -> None:
        """Give it back."""


def clean(document: Document) -> Document:
    """A document without halves of characters, which names can have and UTF-8 cannot; its text not too long."""
    return document._replace(
        name=_whole(document.name),
        tags=tuple(map(_whole, document.tags)),
        notes=_whole(document.notes),
        text=_whole(document.text[:MOST_READ_CHARS]),
    )


def _whole(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def fields_of(document: Document) -> dict[str, str]:
    """The fields of a document as text."""
    return {
        NAME: document.name,
        TAGS: " ".join(document.tags),
        NOTES: document.notes,
        CONTENTS: document.text,
    }


def words_of_field(field: str, text: str) -> dict[str, int]:
    """The words of a field and how often each stands there."""
    return counted(text.replace("_", " ") + " " + text if field == NAME and "_" in text else text)


def stands_in(kept: Kept, part: Part) -> bool:
    """Whether the words of a part follow each other in what is kept of a file."""
    texts = {NAME: (kept.name,), TAGS: kept.tags, NOTES: (kept.notes,), CONTENTS: (kept.text,)}
    fields = (part.field,) if part.field is not None else texts
    return any(follow_each_other(text, part.asked) for field in fields for text in texts[field])


def is_answered(kept: Kept, question: Question) -> bool:
    """Whether a file that has the words of a question also has them in the order that is asked for.

    Of a long text only the beginning is kept, and what was cut off may have them so: showing
    one file too many is better than hiding one.
    """
    for group in question.all:
        if all(part.asked.whole for part in group) and not any(
            stands_in(kept, part) or (kept.cut and part.field in (None, CONTENTS)) for part in group
        ):
            return False
    return not any(part.asked.whole and stands_in(kept, part) for part in question.none)
