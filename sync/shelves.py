"""Where the bytes of a file can be on this node: below each set's folder, in its trash can, in the keep.

    sets/<label>/data/<gg>/<guid>--<slug>                   in place, or a stray
    sets/<label>/data/<gg>/<guid>--...sync-conflict-...     what lost against it, as Syncthing keeps it
    sets/<label>/.stversions/data/<gg>/<guid>--<slug>       what Syncthing replaced or deleted
    keep/moved/<gg>/<guid>/<sha256>                         what was unlinked here, or taken out of the trash can
    keep/edits/<gg>/<guid>/<sha256>                         what a hand on this node wrote last

Paths and listings; nothing is decided or changed here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from sync.machine import Members
from tagfs.guid import is_guid
from tagfs.layout import Layout

_CONFLICT = re.compile(r"\.sync-conflict-\d{8}-\d{6}-[A-Z2-7]{7}(?=\.|\Z)")
_VERSIONS = ".stversions"


def is_conflict_name(name: str) -> bool:
    """Whether Syncthing named a file so, because another won against it."""
    return _CONFLICT.search(name) is not None


def guid_in(name: str) -> str | None:
    """The GUID at the beginning of a data file's name."""
    guid = name[:36]
    return guid if is_guid(guid) else None


def data_name(data: str) -> str:
    """The name that Syncthing has for a data file, below a set's folder."""
    return f"data/{data}"


class Shelves:
    """The folders of the sets on this node, by their members."""

    def __init__(self, layout: Layout, labels: Mapping[Members, str]) -> None:
        self.layout = layout
        self.labels = dict(labels)

    def path(self, members: Members, data: str) -> str:
        """Where a file is, if it is in this set's folder. KeyError where there is none."""
        return self.layout.data(self.labels[members], data)

    def conflicts(self, members: Members, guid: str) -> list[str]:
        """The paths of conflict copies of a file."""
        folder = os.path.dirname(self.path(members, f"{guid[:2]}/x"))
        return [path for path in _beginning_with(folder, guid) if is_conflict_name(os.path.basename(path))]

    def thrown_away(self, guid: str) -> list[str]:
        """The paths of what Syncthing replaced or deleted of a file."""
        found = []
        for label in self.labels.values():
            found += _beginning_with(os.path.join(self.layout.sets, label, _VERSIONS, "data", guid[:2]), guid)
        return found

    def moved_folder(self, guid: str) -> str:
        return os.path.join(self.layout.keep, "moved", guid[:2], guid)

    def edits_folder(self, guid: str) -> str:
        return os.path.join(self.layout.keep, "edits", guid[:2], guid)

    def kept(self, guid: str) -> dict[str, str]:
        """Hash -> path of what is in this node's keep of a file."""
        return _by_hash(self.moved_folder(guid))

    def edits(self, guid: str) -> dict[str, str]:
        """Hash -> path of the second copies of what was written here."""
        return _by_hash(self.edits_folder(guid))

    def guids_in(self, members: Members) -> Iterator[tuple[str, bool]]:
        """(GUID, whether it is anything but the file itself) of all that stands in a set's folder."""
        label = self.labels[members]
        for below, is_other in ((os.path.join(label, "data"), False), (os.path.join(label, _VERSIONS, "data"), True)):
            for folder in _folders(os.path.join(self.layout.sets, below)):
                for entry in os.scandir(folder):
                    guid = guid_in(entry.name)
                    if guid is not None:
                        yield guid, is_other or is_conflict_name(entry.name)

    def guids_kept(self) -> Iterator[str]:
        """The GUIDs of all files of which something is in this node's keep for moves."""
        for kind in ("moved", "edits"):
            for folder in _folders(os.path.join(self.layout.keep, kind)):
                for entry in os.scandir(folder):
                    if is_guid(entry.name):
                        yield entry.name


def _folders(path: str) -> list[str]:
    try:
        return [entry.path for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _beginning_with(folder: str, guid: str) -> list[str]:
    try:
        return [entry.path for entry in os.scandir(folder) if entry.name.startswith(guid)]
    except FileNotFoundError:
        return []


def _by_hash(folder: str) -> dict[str, str]:
    try:
        return {entry.name: entry.path for entry in os.scandir(folder) if len(entry.name) == 64}
    except FileNotFoundError:
        return {}
