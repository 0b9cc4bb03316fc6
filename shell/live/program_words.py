"""Which files a line for another shell means: `!mpv 3-7`, `!wc -c * | sort`. Pure.

As everywhere in the shell a word by itself that is `*` or numbers of the listing means
files, unless it is quoted. Everything else is /bin/sh's and stays as it is: `*.txt`,
`2>&1`, `-n5`. The first word of a command is a program, whatever it looks like; and as
long as nothing was listed a number is just a number.

Tried and dropped: taking a number after an option for that option's (`head -n 5 3`). It
makes `wc -c 2 4` mean one file. One rule without exceptions can be remembered, and the
line below the prompt names the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from shell.live.numbers import chosen, is_numbers

_APART = ";|&()<>\n"


class Selection(NamedTuple):
    """A word that means files: where it stands, and which (places in the listing, from 0; or all of the query)."""

    start: int
    end: int
    places: tuple[int, ...]
    everything: bool = False


def selections(text: str, listed: int) -> list[Selection]:
    """The words of a line for /bin/sh that mean files. Raises `NotListed`."""
    found = []
    first = True
    for start, end in _words(text):
        if start < 0:
            first = True  # what follows ; | & ( is a program again
            continue
        word = text[start:end]
        if first:
            first = False
        elif word == "*":
            found.append(Selection(start, end, (), True))
        elif listed and is_numbers(word, listed):
            found.append(Selection(start, end, tuple(chosen(word, listed))))
    return found


def _words(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each word that stands free and has no quotes; (-1, -1) where another command begins."""
    at, length = 0, len(text)
    while at < length:
        ch = text[at]
        if ch.isspace() and ch != "\n":
            at += 1
            continue
        if ch in _APART:
            if ch in ";|&(\n":
                yield -1, -1
            at += 1
            continue
        start, quoted = at, False
        while at < length and not text[at].isspace() and text[at] not in _APART:
            if text[at] == "\\":
                quoted = True
                at += 1
            elif text[at] in "'\"":
                quoted = True
                at = _after_quote(text, at)
                continue
            at += 1
        at = min(at, length)
        # `2>&1`: what touches a < or > is a number of another kind.
        touches = (start and text[start - 1] in "<>&") or text[at : at + 1] in ("<", ">")
        if quoted or touches:
            yield start, start
        else:
            yield start, at


def _after_quote(text: str, at: int) -> int:
    quote = text[at]
    at += 1
    while at < len(text) and text[at] != quote:
        at += 1 + (quote == '"' and text[at] == "\\")
    return at + 1


def replaced(text: str, words: list[tuple[Selection, str]]) -> str:
    """The line with each selection replaced by what is to stand there."""
    out, at = [], 0
    for one, new in words:
        out += [text[at : one.start], new]
        at = one.end
    return "".join([*out, text[at:]])
