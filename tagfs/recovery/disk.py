"""Which data files lie in the folders of sets, and which file of the library each of them is.

The disk decides what a page may say: a link leads to a name that was seen there, a count
counts what was seen. Names are read folder by folder (`data/<gg>/`, a 256th of all each) and
met with the index by the GUID at their beginning.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tagfs.guid import is_guid
from tagfs.index.read import View
from tagfs.index.schema import U32
from tagfs.layout import ARRIVING
from tagfs.recovery.spool import Spool

CONFLICT = ".sync-conflict-"
"""In the name of what Syncthing put beside a file that won against it."""


class Shelf(NamedTuple):
    """A folder of data files: `folder` on disk, `path` as pages say it, with a slash at the end."""

    folder: str
    path: str


class Other(NamedTuple):
    """A data file that is not the one of a file: a second copy, what lost a conflict, or unknown bytes."""

    path: str
    size_bytes: int
    mtime_ns: int
    guid: str


class Disk:
    """What was seen. By ordinal: the shelf (from 1 on, 0 for none), name and size of its data file."""

    def __init__(self, scratch: str, shelves: Sequence[Shelf], ordinals: int) -> None:
        self.shelves = shelves
        self.shelf = array("H", bytes(2 * ordinals))
        self.size_bytes = array("Q", bytes(8 * ordinals))
        self._name = array("I", bytes(4 * ordinals))
        self._names = Spool(scratch)
        self.others: list[Other] = []

    def path(self, ordinal: int) -> str:
        """Where the bytes of a file are, as pages say it; "" where they were not seen."""
        shelf = self.shelf[ordinal]
        if not shelf:
            return ""
        return self.shelves[shelf - 1].path + os.fsdecode(self._names.piece(self._name[ordinal]))

    def path_of(self, ordinal: int, guid: str) -> str:
        """The same, for who knows the whole GUID. What bears another is one of `others` from now on."""
        path = self.path(ordinal)
        if path and path.rpartition("/")[2][:36] != guid:
            self.others.append(Other(path, self.size_bytes[ordinal], 0, path.rpartition("/")[2][:36]))
            self.shelf[ordinal] = 0
            return ""
        return path

    def note(self, ordinal: int, shelf: int, name: str, size_bytes: int) -> None:
        self.shelf[ordinal] = shelf + 1
        self.size_bytes[ordinal] = size_bytes
        self._name[ordinal] = len(self._names)
        self._names.add(os.fsencode(name))

    def close(self) -> None:
        self._names.close()


def see(view: View, scratch: str, shelves: Sequence[Shelf], placed: Sequence[object]) -> Disk:
    """Look at the data files on shelves.

    Args:
        placed: for each shelf the ordinals that belong there (anything with `in`); a file that lies on two
            shelves is that on the one where it belongs, else on the first.
    """
    disk = Disk(scratch, shelves, view.ordinal_total())
    for number, shelf in enumerate(shelves):
        for gg in _folders(shelf.folder):
            known = _ordinals_of(view, gg)
            for entry in sorted(_files(os.path.join(shelf.folder, gg)), key=lambda one: one.name):
                _see_one(disk, number, placed, known, gg, entry)
    return disk


def _see_one(
    disk: Disk, number: int, placed: Sequence[object], known: dict[str, int], gg: str, entry: os.DirEntry[str]
) -> None:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    name = f"{gg}/{entry.name}"
    guid = entry.name[:36] if is_guid(entry.name[:36]) else ""
    ordinal = known.get(guid[:8] + guid[9:13] + guid[14:18]) if guid and CONFLICT not in entry.name else None
    if ordinal is not None:
        before = disk.shelf[ordinal]
        if not before:
            disk.note(ordinal, number, name, found.st_size)
            return
        if ordinal in placed[number] and ordinal not in placed[before - 1]:  # type: ignore[operator]
            here, there = disk.path(ordinal), disk.size_bytes[ordinal]
            disk.others.append(Other(here, there, 0, guid))
            disk.note(ordinal, number, name, found.st_size)
            return
    path = disk.shelves[number].path + name
    disk.others.append(Other(path, found.st_size, found.st_mtime_ns, guid))


def _ordinals_of(view: View, gg: str) -> dict[str, int]:
    """The first 16 digits of a GUID -> ordinal, of all files whose GUID begins with `gg`.

    That is what the index has at hand, and tells files apart unless somebody forges a GUID; who
    reads the row of a file looks at the rest (`Disk.path_of`).
    """
    if len(gg) != 2 or gg.strip("0123456789abcdef"):
        return {}  # nothing of ours is in folders with other names
    first = int(gg, 16)
    out = {}
    cursor = view.tx.cursor(view.db["guid"])
    if cursor.set_range(bytes((first, 0))):
        for key, value in cursor.iternext():
            if key[0] != first:
                break
            out[(key + value[:6]).hex()] = U32.unpack_from(value, 6)[0]
    return out


def _folders(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(path: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False) and not entry.name.startswith(ARRIVING):
                    yield entry
    except FileNotFoundError:
        return
