"""How text becomes words: the same for what is read and for what is asked.

Pure. Rules:

- Case and accents do not matter: `Müßig` and `MUSSIG` are one word. Letters that Unicode
  does not take apart (`ø`, `ł`, `æ`) are spelled as people without them type them.
- A word of code is itself and its parts: `getFileName` is found whole and by `get`, `file`
  and `name`; `my_var_2` likewise. `c++` and `c#` are words.
- Scripts without blanks between words (Chinese, Japanese, Thai, ...; Korean too, whose
  particles cling to words) are cut into pairs of characters, and each character that no
  other follows. Asking for one character is asking for what begins with it.
- A word of more than `LONGEST` characters is no word (numbers of 500 digits, base64).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple
from unicodedata import normalize

LONGEST = 64

# Letters, digits and `_` as Python knows them, and the marks that belong to a word though they are no
# letters: accents that were typed apart, points and vowel signs of Hebrew, Arabic, India and its neighbours.
_IN_WORD = (
    r"\w\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    r"\u0900-\u0963\u0966-\u0dff\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece"
    r"\u0f00-\u0fff\u1000-\u109f\u1780-\u17d3\u200c\u200d"
)
_RUN = re.compile(rf"[{_IN_WORD}]+(?:(?<=[A-Za-z])(?:\+\+|\#(?!\w)))?")
_PAIRED = (
    r"\u0e00-\u0e4e\u0e80-\u0ece\u1000-\u109f\u1100-\u11ff\u1780-\u17d3\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff"
    r"\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9f"
    r"\U00020000-\U0003ffff"
)
_IS_PAIRED = re.compile(rf"[{_PAIRED}]")
_PIECES = re.compile(rf"[{_PAIRED}]+|[^{_PAIRED}]+")
_MARKS = re.compile(r"[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1-\u05c7\u064b-\u065f\u200c\u200d]+")
_SPELLED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t", "’": "'"}
)
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


class Span(NamedTuple):
    """A word where it stands in a text: [start, end), in characters, and how it is spelled in the index."""

    start: int
    end: int
    word: str
    paired: bool
    """One character of a script that is cut into pairs."""


@lru_cache(maxsize=1 << 16)
def fold(text: str) -> str:
    """Text without case and accents."""
    if text.isascii():
        return text.lower()
    apart = _MARKS.sub("", normalize("NFKD", text).casefold())
    return normalize("NFC", apart).translate(_SPELLED)


@lru_cache(maxsize=1 << 16)
def _words_of_run(run: str) -> tuple[str, ...]:
    """What a run of letters is found by; the whole first."""
    if _IS_PAIRED.search(run):
        return tuple(word for piece in _PIECES.findall(run) for word in _words_of_piece(piece))
    whole = fold(run)
    if len(whole) > LONGEST or not whole.strip("_"):
        return ()
    if run.isascii() and not run.isalpha():
        # Digits, `_`, `+` or `#` in it.
        parts = [part.lower() for part in _PARTS.findall(run)]
    elif run.isascii() and not (run.islower() or run[1:].islower() or run.isupper()):
        parts = [part.lower() for part in _PARTS.findall(run)]
    else:
        return (whole,)
    return tuple(dict.fromkeys((whole, *parts))) if parts else (whole,)


def _words_of_piece(piece: str) -> Iterable[str]:
    if not _IS_PAIRED.match(piece):
        return _words_of_run(piece)
    folded = fold(piece)
    return [*(folded[at : at + 2] for at in range(len(folded) - 1)), folded[-1:]]


def counted(text: str) -> Counter[str]:
    """The words of a text as an index keeps them, and how often each stands there."""
    found: Counter[str] = Counter()
    for run, times in Counter(_RUN.findall(text)).items():
        for word in _words_of_run(run):
            found[word] += times
    return found


def spans(text: str) -> Iterator[Span]:
    """The words of a text in order, each whole; characters of paired scripts one by one."""
    for run in _RUN.finditer(text):
        start, found = run.start(), run.group()
        if not _IS_PAIRED.search(found):
            word = fold(found)
            if len(word) <= LONGEST and word.strip("_"):
                yield Span(start, run.end(), word, False)
            continue
        for piece in _PIECES.finditer(found):
            at = start + piece.start()
            if _IS_PAIRED.match(piece.group()):
                for number, ch in enumerate(piece.group()):
                    yield Span(at + number, at + number + 1, fold(ch), True)
            elif len(word := fold(piece.group())) <= LONGEST and word.strip("_"):
                yield Span(at, at + len(piece.group()), word, False)


class Asked(NamedTuple):
    """A piece of what is asked for, as the index keeps words.

    words    all must stand in the file
    begins   the last of them is a beginning
    whole    the words as they follow each other in the text; a file that has them all may still not
             have them so. () where `words` alone say enough.
    """

    words: tuple[str, ...]
    begins: bool = False
    whole: tuple[str, ...] = ()


def asked(text: str, *, phrase: bool = False, begins: bool = False) -> Asked | None:
    """What a word or phrase that a person typed asks for; None where there is no word in it.

    Args:
        phrase: the words follow each other.
        begins: the last word is a beginning (`photo*`).
    """
    found = list(spans(text))
    if not found:
        return None
    words: list[str] = []
    run = ""
    for span in [*found, None]:
        if span is not None and span.paired:
            run += span.word
            continue
        if run:
            words += [run[at : at + 2] for at in range(max(1, len(run) - 1))]
            run = ""
        if span is not None:
            words.append(span.word)
    last_is_single = found[-1].paired and len(words[-1]) == 1
    together = phrase or any(span.paired for span in found)
    whole = tuple(span.word for span in found) if together and len(found) > 1 else ()
    if len(found) == 2 and found[0].paired and found[1].paired:
        whole = ()  # a pair is a word of the index
    return Asked(tuple(dict.fromkeys(words)), begins or last_is_single, whole)


_BEGINS = rf"(?:(?<![{_IN_WORD}])|(?<=[{_PAIRED}]))"
_ENDS = rf"(?:(?![{_IN_WORD}])|(?=[{_PAIRED}]))"
_NO_SIGN = r"(?!\+\+|#(?!\w))"
_LEFT_OUT = rf"(?:[^{_IN_WORD}]|{_BEGINS}(?:_+|[{_IN_WORD}]{{{LONGEST + 1},}}){_ENDS})"


@lru_cache(maxsize=64)
def _pattern(piece: Asked) -> re.Pattern[str]:
    """The words of a piece as they follow each other in a folded text, with what `spans` leaves out between them."""
    out: list[str] = []
    clings = True
    for number, word in enumerate(piece.whole):
        is_paired = _IS_PAIRED.match(word) is not None
        is_sign = word[-1] in "+#"
        if number:
            out.append(_LEFT_OUT + ("*" if is_paired or clings else "+"))
        if is_paired or is_sign or (piece.begins and number == len(piece.whole) - 1):
            ends = r"(?!\w)" if word[-1] == "#" else ""
        else:
            ends = _ENDS + (_NO_SIGN if word[-1].isascii() and word[-1].isalpha() else "")
        out.append(("" if is_paired else _BEGINS) + re.escape(word) + ends)
        clings = is_paired or is_sign
    return re.compile("".join(out))


def follow_each_other(text: str, piece: Asked) -> bool:
    """Whether the `whole` words of a piece follow each other in a text, as `spans` has them."""
    # Run by run: folding makes letters of some signs, which are no words.
    folded = text.lower() if text.isascii() else _RUN.sub(lambda run: fold(run.group()), text)
    return _pattern(piece).search(folded) is not None
