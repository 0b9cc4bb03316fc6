"""Near matches for a word that nothing is called: `jaz` is near `jazz`.

Used only where an error is made, so what it needs is made then. Fifty thousand tags
must take a blink: whatever differs too much in length or in letters is dropped before
the dear comparison, and that one stops at the first sign of being too far.

Near is, best first: the same but for case and accents; one to three slips of a finger
(a letter too many, too few, another, or two swapped), better with the same first letter;
beginning with the word, and better the less is missing. Between equals the one with
more files.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

# Letters that no Unicode decomposition takes apart, and that people leave out all the same.
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t"}
)


def fold(text: str) -> str:
    """`text` without case and accents: `Dvořák` and `dvorak` are one."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(ch for ch in apart if not unicodedata.combining(ch)).translate(_PLAIN)


def slips(one: str, other: str, most: int) -> int:
    """How many slips lead from one text to the other; `most + 1` when there are more than `most`.

    Optimal string alignment: a slip puts in, leaves out or changes a letter, or swaps two.
    """
    if one == other:
        return 0
    far = most + 1
    if abs(len(one) - len(other)) > most:
        return far
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, ch in enumerate(one, start=1):
        row = [i]
        for j, oh in enumerate(other, start=1):
            cost = min(row[-1] + 1, above[j] + 1, above[j - 1] + (ch != oh))
            if i > 1 and j > 1 and ch == other[j - 2] and one[i - 2] == oh:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        # a swap reaches over one row, so both must be too far before giving up
        if min(row) > most and min(above) > most:
            return far
        before, above = above, row
    return min(above[-1], far)


def near(word: str, candidates: Iterable[tuple[str, int]], limit: int = 3) -> list[tuple[str, int]]:
    """Up to `limit` of the candidates (text, number of files) that are near `word`, best first."""
    wanted = fold(word)
    if not wanted:
        return []
    most = 1 if len(wanted) <= 4 else 2 if len(wanted) <= 8 else 3
    letters = frozenset(wanted)
    found = []
    for text, files in candidates:
        folded = fold(text)
        if folded == wanted:
            found.append((0.0, -files, text))
        elif len(wanted) > 2 and folded.startswith(wanted):
            found.append((min(1.5, 0.5 + (len(folded) - len(wanted)) / 4), -files, text))
        # each slip changes the set of letters by two at most
        elif abs(len(folded) - len(wanted)) <= most and len(letters.symmetric_difference(folded)) <= 2 * most:
            steps = slips(wanted, folded, most)
            # one slip in a word of two letters makes any word of any other
            if steps <= most and steps < len(wanted) - 1:
                # the first letter is seldom the wrong one
                found.append((steps + (folded[0] != wanted[0]) / 4, -files, text))
    found.sort()
    return [(text, -minus) for _, minus, text in found[:limit]]


def files_text(files: int) -> str:
    """`41 files`, `1 file`, `no files yet`."""
    return "1 file" if files == 1 else f"{files:,} files" if files else "no files yet"


def did_you_mean(words: list[str]) -> str:
    """`did you mean jazz or jaw?`, or nothing for no words."""
    if not words:
        return ""
    return f"did you mean {' or '.join([', '.join(words[:-1]), words[-1]] if words[1:] else words)}?"
