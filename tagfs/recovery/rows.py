"""`index.csv`: a table with one row a file, for a spreadsheet, for scripts, and for the way back (`lyts import`).

    guid,name,path,size_bytes,sha256,added,modified,tags,notes,holds,from,type
    9c0f7be1-…,Holiday in Rome.jpg,data/9c/9c0f7be1-…--holiday-in-rome.jpg,48213,e3b0…,2026-11-22T10:10:56.123Z,…

UTF-8 without a byte order mark, a header row, RFC 4180 quoting, LF at the end of each row.

- `path` is where the bytes are, relative to the folder that the table lies in, with `/`; empty
  where they are not to be had there.
- `tags` are joined by `,`, each spelled as in a query (`tag.escape_tag`: `rome,year=1959,artist=AC%2FDC`).
- `holds` are the names of the devices that keep the bytes, joined by `,`, spelled likewise.
- Times are ISO 8601, UTC, with as many digits as are known. `type` is the MIME type that the
  extension stands for, empty where it stands for none.
- **What a spreadsheet would take for a formula** (a cell that begins with = + - @, their wide
  forms, a tab or a line break) gets one `'` in front, and so does a cell that begins with `'`
  already. So whoever reads takes one `'` off the front of a cell, if there is one, and has
  the text as it was.
- NUL, which no name contains and notes hardly ever do, is written as the sign `␀`: too many
  programs end a text there.

Pure. Reading takes what a spreadsheet makes of it as well: another order of columns, more of
them or fewer, a byte order mark, CRLF. The scripts in `scripts/` read the same without this module.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tagfs.errors import BadRequest
from tagfs.tag import escape, escape_tag, split_tag, unescape

COLUMNS = (
    *("guid", "name", "path", "size_bytes", "sha256", "added"),
    *("modified", "tags", "notes", "holds", "from", "type"),
)
GUARD = "'"
_GUARDED = re.compile("[=+\\-@\t\r\n'＝＋－＠]")
_QUOTED = re.compile('[",\r\n]')
_ODD = re.compile("^[=+\\-@\t'＝＋－＠]|[\",\r\n\0]")
"""What is not written as it is."""
_LONGEST_CELL = 1 << 30


class Row(NamedTuple):
    """One file. What is not known is "", `()` or None."""

    guid: str = ""
    name: str = ""
    path: str = ""
    size_bytes: int | None = None
    sha256: str = ""
    added: str = ""
    modified: str = ""
    tags: tuple[str, ...] = ()
    notes: str = ""
    holds: tuple[str, ...] = ()
    from_folder: str = ""
    type: str = ""


class BadRow(BadRequest):
    """A row of a table that cannot be understood."""

    def __init__(self, line: int, why: str) -> None:
        self.line = line
        self.why = why
        super().__init__(f"line {line}: {why}")


# -- lists in a cell


def joined_tags(tags: Iterable[str]) -> str:
    """Tags as they stand in a cell."""
    return ",".join(map(escape_tag, tags))


def split_tags(cell: str) -> tuple[str, ...]:
    """The tags in a cell, not yet checked (`tag.check_tag`). Raises ValueError on a wrong `%`."""
    out = []
    for one in filter(None, map(str.strip, cell.split(","))):
        key, value = split_tag(one)
        out.append(unescape(key) if value is None else f"{unescape(key)}={unescape(value)}")
    return tuple(out)


def joined_names(names: Iterable[str]) -> str:
    """Names of devices as they stand in a cell."""
    return ",".join(map(escape, names))


def split_names(cell: str) -> tuple[str, ...]:
    """The names in a cell. Raises ValueError on a wrong `%`."""
    return tuple(map(unescape, filter(None, cell.split(","))))


# -- writing


def cell(text: str) -> str:
    """A text as a cell: guarded against spreadsheets, quoted where it must be."""
    if _ODD.search(text) is None:
        return text
    if _GUARDED.match(text):
        text = GUARD + text
    if "\0" in text:
        text = text.replace("\0", "␀")
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def plain(text: str) -> str:
    """The text of a cell that was read, without the guard."""
    return text[1:] if text.startswith(GUARD) else text


def header() -> bytes:
    """The first row."""
    return (",".join(COLUMNS) + "\n").encode()


def line_of(cells: Iterable[str]) -> bytes:
    """A row of plain texts, in the order of `COLUMNS`."""
    return (",".join(map(cell, cells)) + "\n").encode("utf-8", "replace")


def line(row: Row) -> bytes:
    """The row of a file."""
    return line_of(
        (
            row.guid,
            row.name,
            row.path,
            "" if row.size_bytes is None else str(row.size_bytes),
            row.sha256,
            row.added,
            row.modified,
            joined_tags(row.tags),
            row.notes,
            joined_names(row.holds),
            row.from_folder,
            row.type,
        )
    )


# -- reading


def read(lines: Iterable[str]) -> Iterator[Row]:
    """The rows of a table; columns it does not have are empty, others are passed over.

    Args:
        lines: of a file opened with `encoding="utf-8-sig", newline=""`.
    Raises:
        BadRow: the table has no column of ours, or a row is not a row of it.
    """
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(lines, strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if "name" not in names and "path" not in names:
            raise BadRow(1, f"this is no table of files; its first line is to name the columns: {','.join(COLUMNS)}")
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(names):
                raise BadRow(reader.line_num, f"it has {len(cells)} cells, and the first line names {len(names)}")
            yield _row(dict(zip(names, map(plain, cells), strict=True)), reader.line_num)
    except csv.Error as exc:
        raise BadRow(reader.line_num, f"it cannot be read as a row ({exc})") from None


def _row(cells: dict[str, str], at: int) -> Row:
    size = cells.get("size_bytes", "").strip()
    if size and not (size.isascii() and size.isdigit()):
        raise BadRow(at, f"{size!r} is no size in bytes")
    try:
        tags, holds = split_tags(cells.get("tags", "")), split_names(cells.get("holds", ""))
    except ValueError as exc:
        raise BadRow(at, str(exc)) from None
    return Row(
        guid=cells.get("guid", "").strip().lower(),
        name=cells.get("name", ""),
        path=cells.get("path", ""),
        size_bytes=int(size) if size else None,
        sha256=cells.get("sha256", "").strip().lower(),
        added=cells.get("added", "").strip(),
        modified=cells.get("modified", "").strip(),
        tags=tags,
        notes=cells.get("notes", ""),
        holds=holds,
        from_folder=cells.get("from", ""),
        type=cells.get("type", "").strip(),
    )
