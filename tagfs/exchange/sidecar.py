"""`lyts.csv`: the table that an export lays beside the files, and an import reads.

The columns of `recovery.rows`, and one more, `more`: a JSON object for what a spreadsheet has
no use for, empty for most files:

    mode      permissions, where they are not 0644
    raw_name  base64 of the name the file had first, where that was no UTF-8
    xattr     other attributes: name -> base64
    notes     the notes, where they hold a NUL, which a table does not; `from` likewise
    also      further names of the same file below the folder, which hold no bytes of their own
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tagfs.errors import BadRequest
from tagfs.face import DEFAULT_MODE, Face, extension
from tagfs.fact import time_text
from tagfs.merge import FileState
from tagfs.mime import types_of_ext
from tagfs.recovery import rows

NAME = "lyts.csv"
MORE = "more"
_XATTR = "xattr:"


class Entry(NamedTuple):
    """A row, and what `more` says."""

    row: rows.Row
    more: dict[str, Any]


def header() -> bytes:
    """The first row."""
    return (",".join((*rows.COLUMNS, MORE)) + "\n").encode()


def line(entry: Entry) -> bytes:
    """The row of a file."""
    more = json.dumps(entry.more, ensure_ascii=False, sort_keys=True) if entry.more else ""
    return rows.line(entry.row).rstrip(b"\n") + b"," + rows.cell(more).encode() + b"\n"


def entry_of(
    state: FileState, face: Face, tags: tuple[str, ...], holders: tuple[str, ...], path: str, also: list[str]
) -> Entry:
    """What is known about a file.

    Args:
        tags: canonical ones, sorted.
        holders: names of the nodes that hold it.
        path: where its bytes are, relative to the table; "" where they are not there.
    """
    more: dict[str, Any] = {}
    if face.mode != DEFAULT_MODE:
        more["mode"] = f"{face.mode:04o}"
    if state.made is not None and state.made.raw_name is not None and face.name == state.made.name:
        more["raw_name"] = state.made.raw_name
    xattrs = xattrs_of(state)
    if xattrs:
        more["xattr"] = xattrs
    texts = {"notes": face.notes, "from": face.from_folder or ""}
    more.update({key: text for key, text in texts.items() if "\0" in text})
    if also:
        more["also"] = also
    row = rows.Row(
        guid=state.guid,
        name=face.name,
        path=path,
        size_bytes=face.size_bytes if face.sha256 else None,
        sha256=face.sha256,
        added=time_text((face.born_when >> 16) * 1_000_000),
        modified=time_text(face.mtime_ns) if face.sha256 else "",
        tags=tags,
        notes=face.notes,
        holds=holders,
        from_folder=face.from_folder or "",
        type=types_of_ext(extension(face.name)) or "",
    )
    return Entry(row, more)


def xattrs_of(state: FileState) -> dict[str, str]:
    """The other attributes of a file: name -> base64."""
    return {
        register[len(_XATTR) :]: value
        for register, (_, value) in sorted(state.registers.items())
        if register.startswith(_XATTR) and isinstance(value, str)
    }


def read(path: str) -> Iterator[Entry]:
    """The rows of a table, also of one without `more`. Raises `BadRequest`, OSError."""
    with open(path, encoding="utf-8-sig", newline="") as one, open(path, encoding="utf-8-sig", newline="") as other:
        try:
            for row, more in zip(rows.read(one), _mores(other), strict=False):
                yield Entry(row, more)
        except UnicodeDecodeError:
            raise BadRequest(f"{path} is no UTF-8 text; was it saved by another program?") from None
        except rows.BadRow as exc:
            raise BadRequest(
                f"{path} cannot be read (line {exc.line}: {exc.why}); put it right, or move it away"
            ) from None


def _mores(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """What `more` says, for each row that `rows.read` gives."""
    reader = csv.reader(lines, strict=True)
    names = [name.strip().lower() for name in next(reader, [])]
    at = names.index(MORE) if MORE in names else None
    for cells in reader:
        if not any(cells):
            continue
        text = rows.plain(cells[at]) if at is not None and at < len(cells) else ""
        try:
            found = json.loads(text) if text else {}
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise rows.BadRow(reader.line_num, f"the column {MORE!r} cannot be understood")
        yield found


def is_table(path: str) -> bool:
    """Whether a file is a table of ours: it names files, their paths and their hashes."""
    try:
        with open(path, "rb") as file:
            first = file.readline(4096).decode("utf-8-sig")
        names = [name.strip().lower() for name in next(csv.reader([first]), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return {"guid", "name", "path", "sha256"} <= set(names)
