"""The slot grammar: the form of a query that is also a directory name.

    query   := slot ("+" slot)*              all slots must hold
    slot    := ["-"] choice                  "-": none of them
    choice  := term ("," term)*              any of them
    term    := tag | key=value | prefix% | key=prefix%
             | key=low..high | key=low.. | key=..high | key=..

Rules it lives by:

- Whatever is given, the answer is a tree or a `QueryError` that says what, where, why.
- `+` and `,` always part; `%XX` is the way to write them, or any other byte, in a tag.
- A `%` at the very end of a term means "begins so"; every other `%` must be followed by
  two hex digits. So `ab%` is a prefix and `ab%25` the tag `ab%`.
- The first `=` parts key and value; more of them belong to the value. A `/` is taken
  as it is in a value (`from=/home/ann`), and refused in a plain tag, where it is more
  likely a path of tags.
- The first `..` of a value makes a range; one that is part of a value is `%2E%2E`.
- Tags become NFC, as all tags are; file names and folders are left alone.
- No blanks are dropped, except around the ends of a range.

`read_slots` also serves the richer form (`tagfs.query.rich`), which hands over a word at
a time, says where in the query each of its characters came from, and allows `year>=1955`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, NoReturn

from tagfs.errors import BadTag, QueryError
from tagfs.query.tree import (
    AnyValue,
    BuiltIn,
    Leaf,
    Range,
    Tag,
    TagPrefix,
    Tree,
    ValuePrefix,
    both,
    either,
    without,
)
from tagfs.tag import BUILT_IN_KEYS, check_tag, split_tag, unescape

MAX_QUERY_BYTES = 1024

EXAMPLES = {
    "name": "name=letter.odt or name=letter%",
    "size": "size=100MB..",
    "added": "added=2024-05.. or added=today",
    "modified": "modified=2024-05.. or modified=today",
    "type": "type=audio or type=audio/flac",
    "ext": "ext=flac",
    "holds": "holds=laptop",
    "knows": "knows=laptop",
    "id": "id=1b9d6bcd",
    "from": "from=/home/ann/Music or from=/home/ann%",
}
_HEX = frozenset("0123456789abcdefABCDEF")


class Slot(NamedTuple):
    """One slot of a query: what it holds, and how it stands there."""

    text: str
    at: int
    excluded: bool
    choices: tuple[Leaf, ...]

    @property
    def tag(self) -> str | None:
        """The tag if the slot is a single one, plain or with a value; else None."""
        only = self.choices[0]
        return only.tag if len(self.choices) == 1 and isinstance(only, Tag) else None

    @property
    def tree(self) -> Tree:
        """What the slot asks for."""
        tree = either(self.choices)
        return without(tree) if self.excluded else tree


@lru_cache(maxsize=256)  # trees are never altered, and who asks once asks again
def parse_query(text: str, max_bytes: int | None = MAX_QUERY_BYTES) -> Tree:
    """The tree of a query in the slot grammar. Raises `QueryError`.

    `max_bytes` is the longest a directory name may be; commands pass None.
    """
    return both(slot.tree for slot in slots(text, max_bytes))


def slots(text: str, max_bytes: int | None = MAX_QUERY_BYTES) -> list[Slot]:
    """The slots of a query in the order they are written. Raises `QueryError`."""
    check_text(text)
    if max_bytes is not None and len(text) * 4 > max_bytes and len(text.encode("utf-8")) > max_bytes:
        raise QueryError(
            text, 0, f"the query is longer than {max_bytes:,} bytes", "try fewer tags, or a shorter prefix%"
        )
    start = 2 if text.startswith("./") else 0
    return read_slots(text, text[start:], range(start, len(text) + 1))


def check_text(text: str) -> None:
    """Refuses what is not text at all: bytes that are no UTF-8 arrive as lone surrogates."""
    if not text.isascii():
        for at, ch in enumerate(text):
            if "\ud800" <= ch <= "\udfff":
                raise QueryError(text, at, "the query contains bytes that are not valid UTF-8 text")


def read_slots(query: str, text: str, places: Sequence[int], comparisons: bool = False) -> list[Slot]:
    """The slots of `text`, a part of `query` whose i-th character came from `query[places[i]]`.

    `places` has one more entry than `text`, for its end. `comparisons` allows `key>=value`.
    """
    reader = _Reader(query, text, places, comparisons)
    if not text:
        reader.fail(0, "the query is empty", "write a tag, or several as in music+flac")
    found = []
    start = 0
    while start <= len(text):
        end = text.find("+", start)
        end = len(text) if end < 0 else end
        found.append(reader.slot(start, end))
        start = end + 1
    return found


class _Reader:
    __slots__ = ("comparisons", "places", "query", "text")

    def __init__(self, query: str, text: str, places: Sequence[int], comparisons: bool) -> None:
        self.query = query
        self.text = text
        self.places = places
        self.comparisons = comparisons

    def fail(self, at: int, why: str, hint: str = "") -> NoReturn:
        raise QueryError(self.query, self.places[at], why, hint)

    def slot(self, start: int, end: int) -> Slot:
        text = self.text
        if start == end:
            self.fail(start, "a tag is missing here", "on both sides of a + there must be one")
        excluded = text[start] == "-"
        at = start + excluded
        if at == end:
            self.fail(at, "a tag is missing after the -")
        if self.comparisons and "," not in text[at:end] and _differs(text[at:end]):
            return Slot(text[start:end], self.places[start], not excluded, (self.term(at, end, "!="),))
        choices = []
        while at <= end:
            stop = text.find(",", at, end)
            stop = end if stop < 0 else stop
            if at == stop:
                self.fail(at, "a tag is missing here", "on both sides of a , there must be one")
            choices.append(self.term(at, stop))
            at = stop + 1
        return Slot(text[start:end], self.places[start], excluded, tuple(choices))

    def term(self, start: int, end: int, sign: str = "=") -> Leaf:
        raw = self.text[start:end]
        at = self.places[start]
        if self.comparisons and ("<" in raw or ">" in raw):
            return self.comparison(raw, start, at)
        if self.comparisons and sign == "=" and _differs(raw):
            self.fail(start, "!= cannot stand beside a ,", "write it as: a or not b=c")
        raw_key, eq, raw_value = raw.partition(sign)
        if not eq:
            return self.plain(raw, start, at)
        key = self.key(raw_key, start)
        value_start = start + len(raw_key) + len(sign)
        if not raw_value:
            self.fail(value_start, f"nothing stands after the {sign}", f"for any value write {raw_key}=..")
        low, dots, high = raw_value.partition("..")
        if dots:
            return self.range(key, low, high, value_start, at)
        if raw_value[-1] == "%":
            prefix = self.plain_text(raw_value[:-1], value_start)
            if key not in BUILT_IN_KEYS:
                prefix = self.no_controls(unicodedata.normalize("NFC", prefix), value_start)
            return ValuePrefix(key, prefix, at) if prefix else AnyValue(key, at)
        value = self.plain_text(raw_value, value_start)
        if key in BUILT_IN_KEYS:
            return BuiltIn(key, value, at)
        return Tag(self.checked(f"{key}={value}", start), at)

    def plain(self, raw: str, start: int, at: int) -> Leaf:
        if "/" in raw:
            joined = "+".join(part for part in raw.split("/") if part) or "music+flac"
            self.fail(
                start + raw.index("/"),
                "a / cannot stand in a tag here",
                f"for files with all of them write {joined}; a / that is part of a tag is written %2F",
            )
        if raw[-1] == "%":
            prefix = unicodedata.normalize("NFC", self.plain_text(raw[:-1], start))
            if "=" in prefix:
                self.fail(start, "a tag without a value has no = in it")
            return TagPrefix(self.no_controls(prefix, start), at)
        tag = self.plain_text(raw, start)
        if split_tag(tag)[0] in BUILT_IN_KEYS:
            self.fail(start, f'"{tag}" is no tag: every file has it', f"ask for it like this: {_example(tag)}")
        return Tag(self.checked(tag, start), at)

    def range(self, key: str, raw_low: str, raw_high: str, start: int, at: int) -> Leaf:
        if ".." in raw_high:
            self.fail(
                start + len(raw_low) + 2 + raw_high.index(".."),
                "a range has only one ..",
                "two dots that are part of a value are written %2E%2E",
            )
        low = self.end(key, raw_low, start)
        high = self.end(key, raw_high, start + len(raw_low) + 2)
        if low is None and high is None:
            return AnyValue(key, at)
        return Range(key, low, high, at)

    def end(self, key: str, raw: str, start: int) -> str | None:
        if raw[-1:] == "%":
            self.fail(
                start + len(raw) - 1, "a range cannot end with %", "a high end takes in what begins with it anyway"
            )
        text = self.plain_text(raw, start)
        if key not in BUILT_IN_KEYS:
            text = self.no_controls(unicodedata.normalize("NFC", text), start)
        return text.strip() or None

    def comparison(self, raw: str, start: int, at: int) -> Leaf:
        where = min(i for i in (raw.find("<"), raw.find(">")) if i >= 0)
        sign = raw[where]
        value_at = where + 1
        if raw[value_at : value_at + 1] == "=":
            sign += "="
            value_at += 1
        raw_value = raw[value_at:]
        if any(ch in raw_value for ch in "<>"):
            self.fail(start + value_at, "only one comparison can be made at a time", "write year>=1955 and year<1960")
        if ".." in raw_value:
            self.fail(start + value_at, f"a range cannot follow {sign}", "write year>=1955, or year=1955..1965")
        key = self.key(raw[:where], start)
        value = self.end(key, raw_value, start + value_at)
        if value is None:
            self.fail(start + value_at, f"nothing stands after the {sign}", "write for example year>=1955")
        if sign[0] == ">":
            return Range(key, value, None, at, above=sign == ">")
        return Range(key, None, value, at, below=sign == "<")

    # -- texts

    def key(self, raw: str, start: int) -> str:
        if not raw:
            self.fail(start, "nothing stands before the =", "write for example year=1959")
        if "/" in raw:
            self.fail(start + raw.index("/"), "a key cannot contain a /")
        key = self.plain_text(raw, start)
        if "=" in key:
            self.fail(start, "a key cannot contain a =")
        return key if key in BUILT_IN_KEYS else self.checked(key, start)

    def plain_text(self, raw: str, start: int) -> str:
        """`raw` with its `%XX` undone."""
        at = raw.find("%")
        if at < 0:
            return raw
        while at >= 0:
            if len(raw) < at + 3 or raw[at + 1] not in _HEX or raw[at + 2] not in _HEX:
                self.fail(
                    start + at,
                    "a % must be the end of a term, or be followed by two hex digits as in %2C",
                    "the sign itself is written %25",
                )
            at = raw.find("%", at + 3)
        try:
            return unescape(raw)
        except ValueError:
            self.fail(start + raw.index("%"), "what is written with % here is not valid UTF-8 text")

    def checked(self, tag: str, start: int) -> str:
        try:
            return check_tag(tag)
        except BadTag as exc:
            self.fail(start, f'"{tag}" cannot be a tag: {exc.why}')

    def no_controls(self, text: str, start: int) -> str:
        if not text.isprintable() and any(unicodedata.category(ch) in ("Cc", "Zl", "Zp") for ch in text):
            self.fail(start, "a tag cannot contain a control character")
        return text


def _differs(raw: str) -> bool:
    """Whether the first `=` of a term is that of a `!=`."""
    return "!=" in raw and raw.index("!=") + 1 == raw.index("=")


def _example(tag: str) -> str:
    return EXAMPLES[split_tag(tag)[0]]
