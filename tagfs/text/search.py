"""From words to files.

The full text may lag behind the library: what it finds is shown only if the library has it
still, under the name and tags it has now. A file whose words changed a moment ago is found
by its former ones until the queue was worked through.
"""

from __future__ import annotations

from typing import NamedTuple

from pyroaring import BitMap

from tagfs.errors import BadRequest
from tagfs.store import Store
from tagfs.term import ALL_TERM
from tagfs.text.question import Question, read_question
from tagfs.text.snippet import Snippet, snippet
from tagfs.text.whooshed import WhooshIndex


class NothingToLookFor(BadRequest):
    """A search without a word in it."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"there is no word to look for in {text!r}; say at least one that the files have, "
            'as in: lyts search apple "red wine" -cake'
        )


class Match(NamedTuple):
    """A file that was found, the best first."""

    ordinal: int
    guid: str
    score: float
    snippet: Snippet


class Matches(NamedTuple):
    """`more`: there are others beyond the limit."""

    files: list[Match]
    more: bool


def question_of(text: str) -> Question:
    """What a person asks for. Raises `NothingToLookFor`."""
    question = read_question(text)
    if question is None:
        raise NothingToLookFor(text)
    return question


def search(store: Store, question: Question, limit: int | None, among: BitMap | None = None) -> Matches:
    """The files that answer a question, the best first.

    Args:
        among: ordinals of the current index; None for all files.
    Raises:
        TextIndexBroken: there is no full text, or it cannot be read.
    """
    text = WhooshIndex(store.layout.text)
    try:
        with store.view() as view:
            allowed = view.posting(ALL_TERM) if among is None else among
            ordinals: dict[str, int] = {}

            def may(guid: str) -> bool:
                ordinal = view.ordinal(guid)
                if ordinal is None or ordinal not in allowed:
                    return False
                ordinals[guid] = ordinal
                return True

            found = text.search(question, limit, may)
            return Matches(
                [Match(ordinals[hit.guid], hit.guid, hit.score, snippet(hit.kept, question)) for hit in found.hits],
                found.more,
            )
    finally:
        text.close()
