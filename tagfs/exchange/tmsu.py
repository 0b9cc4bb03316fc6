"""The database of TMSU (`.tmsu/db`): which files have which tags and values, and which tags imply others.

SQLite, tables as of its schema 0.7.0-1, and older ones as far back as 0.5:

    file         id, directory, name, fingerprint, mod_time, size, is_dir
    tag, value   id, name
    file_tag     file_id, tag_id, value_id (0: no value)
    implication  tag_id, value_id, implied_tag_id, implied_value_id (older: without values)

A directory that does not begin with `/` counts from the folder that holds `.tmsu`. It is
opened read-only and nothing is written, neither there nor beside it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple
from urllib.parse import quote

from tagfs.errors import PeerDataError
from tagfs.exchange.fitting import fitted

FOLDER, FILE = ".tmsu", "db"
_WHOLE_HASH_BYTES = 5 << 20
"""Up to this size a fingerprint is the hash of the whole file, as TMSU makes it unless told otherwise."""


class Tagged(NamedTuple):
    """A file or folder that TMSU knows. `sha256` is "" where its fingerprint is none."""

    path: str
    is_folder: bool
    size_bytes: int
    sha256: str
    tags: list[str]


class Database(NamedTuple):
    """What stands in one. `renamed`: how tags are called there -> what they became here, where that differs."""

    files: list[Tagged]
    implications: list[tuple[str, str]]
    renamed: dict[str, str | None]


def find(folder: str) -> str | None:
    """The database of a folder, or the file itself where it is one; None for none."""
    path = os.path.join(folder, FOLDER, FILE) if os.path.isdir(folder) else folder
    try:
        with open(path, "rb") as file:
            return path if file.read(16) == b"SQLite format 3\0" else None
    except OSError:
        return None


def read(path: str) -> Database:
    """Read a database. Raises `PeerDataError` where it cannot be understood."""
    holder = os.path.dirname(os.path.abspath(path))
    root = os.path.dirname(holder) if os.path.basename(holder) == FOLDER else "/"
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as db:
            db.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            return _read(db, root)
    except (sqlite3.Error, TypeError, ValueError) as exc:  # columns of SQLite may hold anything
        raise PeerDataError(
            f"{path} is not a database of TMSU that can be read ({exc}); nothing was taken in"
        ) from None


def _read(db: sqlite3.Connection, root: str) -> Database:
    renamed: dict[str, str | None] = {}

    def tag_of(key: str, value: str | None) -> str | None:
        known = key if not value else f"{key}={value}"
        tag = fitted(key, value or None)
        if tag != known:
            renamed[known] = tag
        return tag

    tags: dict[int, list[str]] = {}
    for file_id, key, value in db.execute(
        "SELECT file_id, tag.name, value.name FROM file_tag JOIN tag ON tag.id = tag_id"
        " LEFT JOIN value ON value.id = value_id ORDER BY file_id, tag.name, value.name"
    ):
        tag = tag_of(key, value)
        if tag is not None:
            tags.setdefault(file_id, []).append(tag)
    files = []
    for file_id, folder, name, fingerprint, size, is_folder in db.execute(
        "SELECT id, directory, name, fingerprint, size, is_dir FROM file ORDER BY directory, name"
    ):
        whole = isinstance(fingerprint, str) and len(fingerprint) == 64 and size <= _WHOLE_HASH_BYTES
        path = os.path.normpath(os.path.join(root, folder, name))
        files.append(
            Tagged(path, bool(is_folder), int(size), fingerprint if whole else "", tags.get(file_id, []))
        )  # fmt: skip
    return Database(files, list(_implications(db, tag_of)), renamed)


def _implications(db: sqlite3.Connection, tag_of: Callable[[str, str | None], str | None]) -> Iterator[tuple[str, str]]:
    columns = {row[1] for row in db.execute("PRAGMA table_info(implication)")}
    if not columns:
        return
    names: dict[int, str] = dict(db.execute("SELECT id, name FROM tag"))
    values: dict[int, str] = dict(db.execute("SELECT id, name FROM value"))
    with_values = "value_id" in columns
    query = "SELECT tag_id, value_id, implied_tag_id, implied_value_id FROM implication"
    if not with_values:
        query = "SELECT tag_id, 0, implied_tag_id, 0 FROM implication"
    for tag_id, value_id, implied_tag_id, implied_value_id in db.execute(query):
        if tag_id not in names or implied_tag_id not in names:
            continue
        one = tag_of(names[tag_id], values.get(value_id))
        other = tag_of(names[implied_tag_id], values.get(implied_value_id))
        if one is not None and other is not None and one != other:
            yield one, other
