"""Files that are not in the library yet: still being made, or under a name of passing use.

A file made through the mount stands in `scratch/` until it is closed for the first time;
only then is it born, with its bytes, in one line of the ledger. One with a temporary
name (`doc~`, `.doc.swp`, `sedXXXXXX`) stays in scratch: listed where it was made, kept
over a crash, never deleted by us, and an ordinary file once it has stood for an hour.

What is not in its bytes (name, directory, tags, whose backup it is) stands in an extended
attribute of the scratch file, so that a crash loses none of it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator

from tagfs.guid import Guid, bytes_of_guid, is_guid
from tagfs.mount.answer import fail
from tagfs.views.temporary import is_temporary

log = logging.getLogger(__name__)

FILE_BIT = 1 << 60
_ATTRIBUTE = "user.lyts.newborn"
_SUFFIX = ".new"


def inode_of_guid(guid: str) -> int:
    """A file's inode: 56 bits of its GUID and a type bit, the same everywhere."""
    return FILE_BIT | int.from_bytes(bytes_of_guid(guid)[:7], "little")


class Newborn:
    """A file in scratch, shown in one directory under one name."""

    def __init__(self, guid: Guid, path: str, directory: str, name: bytes, tags: list[str]) -> None:
        self.guid = guid
        self.path = path
        self.directory = directory
        """The path of the directory it is shown in, as spelled."""
        self.name = name
        self.tags = tags
        self.inode = inode_of_guid(guid)
        self.handles = 0
        self.removed = False

    @property
    def is_temporary(self) -> bool:
        return is_temporary(self.name)

    def remember(self) -> None:
        """Write down what is not in the bytes."""
        record = {"name": self.name.hex(), "directory": self.directory, "tags": self.tags}
        try:
            os.setxattr(self.path, _ATTRIBUTE, json.dumps(record).encode())
        except OSError as exc:
            # Without it a crash leaves the bytes under their GUID alone, which is no loss of bytes.
            log.debug("no extended attributes in scratch: %s", exc)


class Nursery:
    """All newborns, by inode and by where they are shown."""

    def __init__(self, scratch: str) -> None:
        self.scratch = scratch
        self.by_inode: dict[int, Newborn] = {}
        self._shown: dict[tuple[str, bytes], Newborn] = {}

    def path_for(self, guid: str) -> str:
        return os.path.join(self.scratch, guid + _SUFFIX)

    def add(self, newborn: Newborn) -> None:
        """Show a newborn."""
        if (newborn.directory, newborn.name) in self._shown:
            fail(17)  # EEXIST; the kernel looked before, so this is a race it lost
        self.by_inode[newborn.inode] = newborn
        self._shown[newborn.directory, newborn.name] = newborn
        newborn.remember()

    def find(self, directory: str, name: bytes) -> Newborn | None:
        """The newborn that is shown so."""
        return self._shown.get((directory, name))

    def move(self, newborn: Newborn, directory: str, name: bytes, tags: list[str]) -> None:
        """Show it elsewhere."""
        self._shown.pop((newborn.directory, newborn.name), None)
        newborn.directory, newborn.name, newborn.tags = directory, name, tags
        self._shown[directory, name] = newborn
        newborn.remember()

    def drop(self, newborn: Newborn) -> None:
        """It is shown no more (born, removed, taken for its bytes)."""
        self.by_inode.pop(newborn.inode, None)
        self._shown.pop((newborn.directory, newborn.name), None)

    def shown_in(self, directory: str) -> Iterator[Newborn]:
        """The newborns of a directory."""
        return (newborn for (where, _), newborn in list(self._shown.items()) if where == directory)

    def __iter__(self) -> Iterator[Newborn]:
        return iter(list(self.by_inode.values()))

    def gather(self) -> list[Newborn]:
        """After a start: the newborns that a crash left in scratch."""
        found = []
        for entry in os.scandir(self.scratch):
            guid = entry.name.removesuffix(_SUFFIX)
            if not entry.name.endswith(_SUFFIX) or not is_guid(guid) or not entry.is_file(follow_symlinks=False):
                continue
            try:
                record = json.loads(os.getxattr(entry.path, _ATTRIBUTE))
                name, directory = bytes.fromhex(record["name"]), str(record["directory"])
                tags = [str(tag) for tag in record["tags"]]
            except (OSError, ValueError, KeyError, TypeError):
                name, directory, tags = f"recovered {guid[:8]}".encode(), "untagged", []
            found.append(Newborn(Guid(guid), entry.path, directory, name, tags))
        return found
