"""From the words of a command line to one query.

A shell takes the quotes away: `lyts find music "rock & roll"` arrives as `music` and
`rock & roll`. Words are joined with blanks, and one that holds blanks gets its quotes
back where that is surely what was meant:

- it is a tag there is, as it stands (`rock & roll`, `artist=Miles Davis`)
- it begins with `name=` or `from=`, whose values have blanks more often than not
- it is one of several words, and nothing in it works as an operator

Everything else stays as it is: `lyts find 'music and (flac or mp3)'`. Pure; which tags
there are is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

_OPERATOR_CHARACTERS = frozenset('()<>="+,')
_OPERATOR_WORDS = frozenset(("and", "or", "not"))
_LONG_VALUES = ("name=", "from=")


def joined(words: Sequence[str], is_tag: Callable[[str], bool]) -> str:
    """The query that the words of a command line mean; "" for none."""
    return " ".join(_requoted(word, len(words) == 1, is_tag) for word in words)


def _requoted(word: str, alone: bool, is_tag: Callable[[str], bool]) -> str:
    if not any(ch.isspace() for ch in word) or '"' in word:
        return word
    lead = "-" if word.startswith("-") else ""
    rest = word[len(lead) :]
    if is_tag(rest):
        return lead + quoted(rest)
    for key in _LONG_VALUES:
        if rest.startswith(key) and not _has_operator(rest[len(key) :]):
            # A % at the end asks for all that begin so; within quotes it would be itself.
            value = rest[len(key) :]
            prefix = "%" if value.endswith("%") else ""
            return f"{lead}{key}{quoted(value.removesuffix('%'))}{prefix}"
    if not alone and not _has_operator(rest):
        return lead + quoted(rest)
    return word


def _has_operator(text: str) -> bool:
    return any(ch in _OPERATOR_CHARACTERS for ch in text) or any(w.lower() in _OPERATOR_WORDS for w in text.split())


def quoted(text: str) -> str:
    """`text` within quotes, as the richer form of queries reads them."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
