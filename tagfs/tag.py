"""What may be a tag, and how one is written where the grammar's characters mean something.

A tag is plain (`music`) or has a value (`year=1959`): the text up to the first `=`
is the key. Tags are NFC Unicode, at most 200 bytes with the value, case matters.
The characters of the query grammar (`/ , + = %`) are written `%XX` in queries and
directory names; so is any other byte that a person wishes to write so.

Pure text in, text out; used by facts, queries, commands and the mount alike.
"""

from __future__ import annotations

import unicodedata

from tagfs.errors import BadTag

MAX_TAG_BYTES = 200
GRAMMAR_CHARACTERS = "/,+=%"
# Answered by queries from what is known about a file anyway, so they cannot be tags.
BUILT_IN_KEYS = ("name", "size", "added", "modified", "type", "ext", "holds", "knows", "id", "from")

_HEX = "0123456789ABCDEFabcdef"


def split_tag(tag: str) -> tuple[str, str | None]:
    """`("year", "1959")` of `year=1959`, `("music", None)` of `music`."""
    key, eq, value = tag.partition("=")
    return (key, value) if eq else (key, None)


def _is_control(ch: str) -> bool:
    # Cc: C0, DEL, C1. Zl, Zp: line and paragraph separators break a line of output too.
    # Cs: a lone surrogate is no text and cannot be written as UTF-8.
    return unicodedata.category(ch) in ("Cc", "Zl", "Zp", "Cs")


def check_tag(text: str) -> str:
    """The tag that `text` names, in NFC. Raises `BadTag` with the reason.

    `text` is the tag itself, not its `%XX` spelling; the first `=` parts key and value.
    """
    if text.isascii() and text.isalnum():  # the common case, and the fast one
        tag = text
    else:
        tag = unicodedata.normalize("NFC", text)
        for ch in tag:
            if _is_control(ch):
                raise BadTag(text, "it contains a control character")
    if not tag:
        raise BadTag(text, "it is empty")
    key, value = split_tag(tag)
    if not key:
        raise BadTag(text, "nothing stands before the =")
    if value == "":
        raise BadTag(text, f"nothing stands after the = (a plain tag is written {key!r})")
    for part in (key, value):
        if part is not None and part != part.strip():
            raise BadTag(text, "it begins or ends with a blank")
    if key[0] in "-.":
        raise BadTag(text, f"it begins with {key[0]!r}")
    if len(tag.encode("utf-8")) > MAX_TAG_BYTES:
        raise BadTag(text, f"it is longer than {MAX_TAG_BYTES} bytes")
    if key in BUILT_IN_KEYS:
        raise BadTag(text, f"{key!r} is always there by itself (see: lyts help find), so it cannot be a tag")
    return tag


def given_tags(text: str) -> list[str]:
    """The tags that one given tag means, in order: `Places/Rome` gives both parts.

    Photo managers write paths of tags; a value keeps its slash (`artist=AC/DC` is
    one tag). Raises `BadTag`.
    """
    key, eq, _ = text.partition("=")
    if "/" in key:
        if eq:
            raise BadTag(text, "a key cannot contain a slash")
        parts = [part.strip() for part in text.split("/") if part.strip()]
        if not parts:
            raise BadTag(text, "it is empty")
        return [check_tag(part) for part in parts]
    return [check_tag(text)]


def escape(text: str, also: str = "") -> str:
    """`text` with the grammar's characters as `%XX`: what listings and directories show."""
    out = []
    for ch in text:
        if ch in GRAMMAR_CHARACTERS or ch in also:
            out.append("".join(f"%{b:02X}" for b in ch.encode("utf-8")))
        else:
            out.append(ch)
    return "".join(out)


def escape_tag(tag: str) -> str:
    """A tag as it is written in a query: key and value escaped, the `=` between them plain.

    A value that would read as a range or a prefix is escaped too (`..` as `%2E%2E`).
    """
    key, value = split_tag(tag)
    if value is None:
        return escape(key)
    return f"{escape(key)}={escape(value).replace('..', '%2E%2E')}"


def unescape(text: str) -> str:
    """The text that `%XX` spells. Raises ValueError on `%` without two hex digits or on bytes that are no UTF-8."""
    if "%" not in text:
        return text
    out = bytearray()
    i = 0
    while i < len(text):
        if text[i] != "%":
            out += text[i].encode("utf-8", "surrogatepass")
            i += 1
            continue
        digits = text[i + 1 : i + 3]
        if len(digits) < 2 or digits[0] not in _HEX or digits[1] not in _HEX:
            raise ValueError(
                f"a % must be followed by two hex digits, as in %2C; to write % itself use %25 (at {text[i : i + 3]!r})"
            )
        out.append(int(digits, 16))
        i += 3
    return out.decode("utf-8")


def parse_tag_list(text: str) -> list[str]:
    """The tags of a command's comma list, `music,year=1959`, with `%XX` undone. Raises `BadTag`.

    Blanks around commas do not count; an empty list is an error; doubles are dropped.
    """
    tags: list[str] = []
    for item in text.split(","):
        item = item.strip()
        if not item:
            continue
        try:
            key, eq, value = item.partition("=")
            plain = unescape(key) + eq + unescape(value)
        except ValueError as exc:
            raise BadTag(item, str(exc)) from None
        if "/" in key:
            tags.extend(given_tags(plain))
        else:
            tags.append(check_tag(plain))
    if not tags:
        raise BadTag(text, "no tag is given")
    return list(dict.fromkeys(tags))
