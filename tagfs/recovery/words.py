"""Numbers, sizes, days and names as a person reads them, and made harmless where they are put. Pure.

Whatever a person wrote (names, tags, notes, names of devices) may hold anything. `html` and
`markdown` make text of it that cannot be taken for markup, and show what would be invisible or
turn the text round.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_UNITS = ("kB", "MB", "GB", "TB", "PB")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def number(n: int) -> str:
    """1234567 as `1,234,567`."""
    return f"{n:,}"


def count(n: int, one: str, many: str = "") -> str:
    """`1 file`, `1,234 files`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def size(size_bytes: int) -> str:
    """`17 bytes`, `4.2 MB`: powers of a thousand, as disks are sold."""
    if size_bytes < 1000:
        return count(size_bytes, "byte")
    value, at = size_bytes / 1000, 0
    while value >= 999.5 and at + 1 < len(_UNITS):
        value, at = value / 1000, at + 1
    return f"{value:.1f} {_UNITS[at]}" if value < 9.95 else f"{value:.0f} {_UNITS[at]}"


def day(ms: int) -> str:
    """A time in milliseconds since 1970 as `27 November 2026` (UTC)."""
    at = _EPOCH + timedelta(milliseconds=min(max(ms, -62_000_000_000_000), 253_000_000_000_000))
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"


def listed(texts: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} {last} {texts[-1]}"


# -- making harmless

# Control characters; marks that turn the text that follows; code points that are no characters.
_ODD = "\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
_odd = re.compile(f"[{_ODD}]")
_in_html = re.compile(f"[&<>\"'{_ODD}]")
_in_markdown = re.compile(rf"[\\`*\[\]<>#|&~{_ODD}]|(?<!\w)_|_(?!\w)")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


def shown(ch: str) -> str:
    """What stands for a character that cannot be shown as it is."""
    code = ord(ch)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code in range(0xD800, 0xE000) or code > 0xF000:
        return "\ufffd"
    return f"⟨U+{code:04X}⟩"


def _as_html(match: re.Match[str]) -> str:
    ch = match[0]
    return _ENTITIES.get(ch) or shown(ch)


def _as_markdown(match: re.Match[str]) -> str:
    ch = match[0]
    return shown(ch) if _odd.match(ch) else "\\" + ch


def html(text: str) -> str:
    """Text within HTML, also within an attribute in quotes."""
    return _in_html.sub(_as_html, text) if _in_html.search(text) else text


def markdown(text: str) -> str:
    """Text within a line of Markdown."""
    return _in_markdown.sub(_as_markdown, text)


def plain(text: str) -> str:
    """Text in one line of plain text."""
    return _odd.sub(lambda match: shown(match[0]), text)


def short(text: str, most: int) -> str:
    """The beginning of a text, with `…` where more follows."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
