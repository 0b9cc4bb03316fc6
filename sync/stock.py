"""What this node has read of its disk: the hash of each file that was looked at, and when bytes first turned up.

A table in `sync.db`, derived and disposable: without it files are read again, and edits whose
ground is no longer certain become branches instead of successors, so nothing is lost. A hash
holds as long as size, modification time and inode of its file do.
"""

from __future__ import annotations

import os
import sqlite3
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS stock (
    path TEXT PRIMARY KEY,
    size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    sha256 TEXT NOT NULL, ground TEXT, version TEXT NOT NULL, since_ms INTEGER NOT NULL
) WITHOUT ROWID
"""


class Known(NamedTuple):
    """A file as it was last read.

    `ground`: the last hash of this path that a fact spoke of, None where that is not certain
    any more; `version`: Syncthing's version of the file when that was so, "" while it is not known.
    `since_ms`: when these bytes were first seen here.
    """

    size_bytes: int
    mtime_ns: int
    inode: int
    sha256: str
    ground: str | None
    version: str
    since_ms: int

    def is_of(self, found: os.stat_result) -> bool:
        """Whether the file has not changed since."""
        return (self.size_bytes, self.mtime_ns, self.inode) == (found.st_size, found.st_mtime_ns, found.st_ino)


class Stock:
    """The table. One per process; torn or missing, it begins empty."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm", "-journal"):
                if os.path.exists(self._path + suffix):
                    os.unlink(self._path + suffix)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        fd = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        os.close(fd)
        db = sqlite3.connect(self._path, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(_SCHEMA)
        return db

    def close(self) -> None:
        self._db.close()

    def get(self, path: str) -> Known | None:
        """What is known of the file at a path."""
        row = self._db.execute(
            "SELECT size_bytes, mtime_ns, inode, sha256, ground, version, since_ms FROM stock WHERE path = ?", (path,)
        ).fetchone()
        return Known(*row) if row is not None else None

    def put(self, path: str, known: Known) -> None:
        """Remember what was read."""
        self._db.execute("INSERT OR REPLACE INTO stock VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (path, *known))

    def forget(self, path: str) -> None:
        """Nothing is known of a path any more."""
        self._db.execute("DELETE FROM stock WHERE path = ?", (path,))
