"""Where the words that were asked for stand in a file: a line or two to show beside its name. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from tagfs.text.documents import Kept
from tagfs.text.question import CONTENTS, NOTES, Question, words_of
from tagfs.text.words import spans

AROUND_CHARS = 60
LONGEST_CHARS = 160
MOST_LOOKED_AT = 200_000
_BLANKS = re.compile(r"\s+")


class Snippet(NamedTuple):
    """Text around the first words that were found.

    text    on one line; `…` where something was left out; "" where the words are in name and tags alone
    marks   [start, end) of the words in `text`, in characters, ascending
    field   where the text is from
    """

    text: str
    marks: tuple[tuple[int, int], ...]
    field: str


NOTHING = Snippet("", (), CONTENTS)


def snippet(kept: Kept, question: Question) -> Snippet:
    """The place in a file that shows best why it was found: most of the words, close together."""
    words = words_of(question)
    whole = frozenset(word for word in words if not word.endswith("*"))
    begins = tuple(word[:-1] for word in words if word.endswith("*"))
    for field, text in ((CONTENTS, kept.text[:MOST_LOOKED_AT]), (NOTES, kept.notes)):
        found = [
            (span.start, span.end, span.word)
            for span in spans(text)
            if span.word in whole or (begins and span.word.startswith(begins))
        ]
        if found:
            return _cut(text, found, field)
    return NOTHING


def _cut(text: str, found: list[tuple[int, int, str]], field: str) -> Snippet:
    best, best_words = 0, 0
    for at, (start, _, _) in enumerate(found):
        near = {word for begin, _, word in found[at : at + 24] if begin < start + LONGEST_CHARS - AROUND_CHARS}
        if len(near) > best_words:
            best, best_words = at, len(near)
    first = found[best][0]
    begin = max(0, first - AROUND_CHARS)
    end = min(len(text), begin + LONGEST_CHARS)
    if begin > 0:  # at a word's beginning, where there is a blank on the way
        blank = _BLANKS.search(text, begin, first)
        begin = blank.end() if blank is not None else begin
    if end < len(text):
        cut = text.rfind(" ", first + 1, end)
        end = cut if cut > found[best][1] else end
    # On one line: blanks are joined, and the places of words move with them.
    out: list[str] = ["… " if begin > 0 else ""]
    marks: list[tuple[int, int]] = []
    length, at = len(out[0]), begin
    for start, stop, _ in found[best:]:
        if stop > end:
            break
        piece = _BLANKS.sub(" ", text[at:start])
        word = text[start:stop]
        out += [piece, word]
        length += len(piece)
        if marks and marks[-1][1] == length:
            marks[-1] = (marks[-1][0], length + len(word))
        else:
            marks.append((length, length + len(word)))
        length += len(word)
        at = stop
    out.append(_BLANKS.sub(" ", text[at:end]).rstrip())
    if end < len(text):
        out.append(" …")
    return Snippet("".join(out), tuple(marks), field)
