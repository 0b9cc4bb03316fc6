"""Text for people: names that do no harm, sizes, dates, tables. Pure but for the local time zone.

A file name may hold anything, also what moves the cursor, recolours the terminal or
turns the direction of the line around. Two ways to write one:

    for a terminal   `harmless`: whatever is no visible character is spelled out (`\\n`, `\\x1b`, `\\u202e`)
    into a pipe      `one_line`: only control characters are spelled out, so that a name is one line

Neither can be read back without doubt (a name may hold a backslash and an n): programs
take `-0` or `--json`.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Sequence

from tagfs.bucket import utc_ms

# Joiners shape letters of many scripts and emoji; by themselves they show nothing and turn nothing.
_JOINERS = "\u200c\u200d"
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def harmless(text: str, keep: str = "") -> str:
    """`text` with all that is not visible spelled out; the characters of `keep` stay."""
    if text.isprintable():
        return text
    return "".join(ch if ch.isprintable() or ch in keep or _may_stay(ch) else _spelled(ch) for ch in text)


def one_line(text: str) -> str:
    """`text` with control characters and line separators spelled out."""
    if text.isprintable():
        return text
    return "".join(_spelled(ch) if unicodedata.category(ch) in ("Cc", "Zl", "Zp", "Cs") else ch for ch in text)


def _may_stay(ch: str) -> bool:
    # Blanks of other widths; joiners; what a newer Unicode than Python's may have made a letter or an emoji.
    return ch in _JOINERS or unicodedata.category(ch) in ("Zs", "Cn", "Co")


def _spelled(ch: str) -> str:
    short = _SHORT.get(ch)
    if short is not None:
        return short
    code = ord(ch)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is no UTF-8 (surrogateescape)
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width(text: str) -> int:
    """How many columns a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_columns(ch) for ch in text)


def _columns(ch: str) -> int:
    if unicodedata.category(ch) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(ch) in "WF" else 1


def cut(text: str, columns: int) -> str:
    """`text`, shortened with an ellipsis where it is wider than `columns`."""
    if width(text) <= columns:
        return text
    out, used = [], 0
    for ch in text:
        used += _columns(ch)
        if used > columns - 1:
            break
        out.append(ch)
    return "".join(out) + "…"


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = (), gap: str = "  ") -> list[str]:
    """Rows as aligned lines; the columns in `right` are flush right, the last column is not padded."""
    if not rows:
        return []
    widths = [max(width(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for k, cell in enumerate(row):
            blank = " " * (widths[k] - width(cell))
            cells.append(blank + cell if k in right else cell + blank)
        lines.append(gap.join(cells).rstrip())
    return lines


# -- numbers -------------------------------------------------------------------


def size_text(size_bytes: int) -> str:
    """`812 B`, `4.2 MB`: as queries take them (`size=4MB..`), thousands of thousands."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    value = float(size_bytes)
    for unit in ("kB", "MB", "GB", "TB", "PB", "EB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"
    return f"{value:.0f} EB"


def count_text(number: int, one: str, many: str = "") -> str:
    """`1 file`, `2,140 files`."""
    return f"1 {one}" if number == 1 else f"{number:,} {many or one + 's'}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


# -- times ---------------------------------------------------------------------


def local_ms(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    """A local time in milliseconds since 1970 UTC; in UTC where the system has no local time for it."""
    try:
        return int(time.mktime((year, month, day, hour, minute, second, 0, 0, -1))) * 1000
    except (OverflowError, ValueError):
        return utc_ms(year, month, day, hour, minute, second)


def date_text(ms: int) -> str:
    """A time as people here read it: `2026-11-22 10:10`."""
    try:
        at = time.localtime(ms // 1000)
    except (OverflowError, ValueError, OSError):
        return "?"
    return f"{at.tm_year:04d}-{at.tm_mon:02d}-{at.tm_mday:02d} {at.tm_hour:02d}:{at.tm_min:02d}"


def utc_text(ns: int) -> str:
    """A time as JSON has it: `2026-11-22T10:10:56.123Z`, digits as many as needed."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    try:
        at = time.gmtime(seconds)
    except (OverflowError, ValueError, OSError):
        return ""
    digits = f"{fraction:09d}".rstrip("0")
    text = f"{at.tm_year:04d}-{at.tm_mon:02d}-{at.tm_mday:02d}T{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}"
    return f"{text}.{digits}Z" if digits else f"{text}Z"
