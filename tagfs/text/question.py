"""What a person typed into a search, read. Pure; takes any text.

    red apple          files with both words
    "red apple"        the words next to each other
    red or apple       either; `or` and `OR` alike
    -apple             not with this word
    photo*             words that begin so
    tags:jazz          only among the tags; so name:, notes:, text:

Anything else is a word like any other: what looks odd is looked for, never refused. Only
where nothing is left to look for is there nothing to ask.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tagfs.text.words import Asked, asked

NAME, TAGS, NOTES, CONTENTS = "name", "tags", "notes", "contents"
FIELDS = (NAME, TAGS, NOTES, CONTENTS)
_FIELD_WORDS = {
    "name": NAME, "tag": TAGS, "tags": TAGS, "note": NOTES, "notes": NOTES, "text": CONTENTS, "contents": CONTENTS,
}  # fmt: skip
_PART = re.compile(r'(?P<minus>-?)(?:(?P<field>[A-Za-z]+):)?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')
MOST_PARTS = 64
"""Nobody types more; what is behind them is left out."""


class Part(NamedTuple):
    """One thing that a file has, or has not: in one field, or in any."""

    asked: Asked
    field: str | None = None


class Question(NamedTuple):
    """Files that have something of each of `all`, and nothing of `none`."""

    all: tuple[tuple[Part, ...], ...]
    none: tuple[Part, ...] = ()


def read_question(text: str) -> Question | None:
    """The question in a text; None where there is no word in it that files could have."""
    groups: list[list[Part]] = []
    none: list[Part] = []
    joins = False
    for count, found in enumerate(_PART.finditer(text)):
        if count == MOST_PARTS:
            break
        word = found["word"]
        if word is not None and not found["minus"] and not found["field"] and word.lower() == "or":
            joins = bool(groups)
            continue
        part = _part(found)
        if part is None:
            continue
        if found["minus"]:
            none.append(part)
        elif joins:
            groups[-1].append(part)
        else:
            groups.append([part])
        joins = False
    return Question(tuple(map(tuple, groups)), tuple(none)) if groups else None


def _part(found: re.Match[str]) -> Part | None:
    field = None
    word, phrase = found["word"], found["phrase"]
    if found["field"]:
        field = _FIELD_WORDS.get(found["field"].lower())
        if field is None:  # `https://...`, `12:30`: words like any other
            before = found["field"] + ":"
            word, phrase = (before + word, None) if word is not None else (None, before + (phrase or ""))
    if phrase is not None:
        piece = asked(phrase, phrase=True)
    else:
        begins = word.endswith("*")
        # What punctuation holds together (`2026-11-22`, `a.b`) was meant as one.
        piece = asked(word.rstrip("*"), phrase=True, begins=begins)
    return Part(piece, field) if piece is not None else None


def words_of(question: Question) -> frozenset[str]:
    """The words that are asked for, as `words.spans` spells them; beginnings end in `*`."""
    found: set[str] = set()
    for group in question.all:
        for part in group:
            piece = part.asked
            for number, word in enumerate(piece.whole or piece.words):
                is_last = number == len(piece.whole or piece.words) - 1
                found.add(word + "*" if piece.begins and is_last else word)
    return frozenset(found)
