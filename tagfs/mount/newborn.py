"""Files that are not in the library yet: still being made, or under a name of passing use.

A file made through the mount stands in `scratch/` until it is closed for the first time;
only then is it born, with its bytes, in one line of the ledger. One with a temporary
name (`doc~`, `.doc.swp`, `sedXXXXXX`) stays in scratch: listed where it was made, kept
over a crash, never deleted by us, and an ordinary file once it has stood for an hour.

What is not in its bytes (name, directory, tags) is noted beside them (`notes`), so that a
crash loses none of it.

One that was just born stays here until the index knows it (`gathering`): it has a line in
the ledger and its bytes are in place, and it is shown from here, not from the index.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
from collections.abc import Iterator

from tagfs.births import Line
from tagfs.guid import Guid, bytes_of_guid, is_guid
from tagfs.mount.answer import fail
from tagfs.mount.notes import Notes, Record
from tagfs.views.effects import Placed
from tagfs.views.names import long_name, shown_form
from tagfs.views.temporary import is_temporary

FILE_BIT = 1 << 60
ORDINARY_MODE = 0o644
_OLD_ATTRIBUTE = "user.lyts.newborn"
"""Where the note stood in the first version."""
_SUFFIX = ".new"
_WRITTEN = ".written"
_GROUND = b"sha256 "
_MOUNTS = "mounts.lock"


def inode_of_guid(guid: str) -> int:
    """A file's inode: 56 bits of its GUID and a type bit, the same everywhere."""
    return FILE_BIT | int.from_bytes(bytes_of_guid(guid)[:7], "little")


class Newborn:
    """A file in scratch, shown in one directory under one name."""

    def __init__(
        self,
        guid: Guid,
        path: str,
        directory: str,
        name: bytes,
        tags: list[str],
        notes: Notes,
        mode: int = ORDINARY_MODE,
    ) -> None:
        self.guid = guid
        self._notes = notes
        self.path = path
        self.directory = directory
        """The path of the directory it is shown in, as spelled."""
        self.name = name
        self.tags = tags
        self.mode = mode
        self.mode_was_set = False
        self.xattrs: dict[str, bytes] = {}
        """What was set before it is born."""
        self.companion = False
        """It is a database's journal, and stays in scratch as long as that stands beside it; or a note
        in `.Trash-UID/info/`, which is never a file of the library."""
        self.like = ""
        """GUID of the file that it is a backup or conflict copy of, where its name does not tell."""
        self.placed: Placed | None = None
        """Where it is to be known and held, if otherwise than any new file; found out when it is born."""
        self.inode = inode_of_guid(guid)
        self.handles = 0
        self.removed = False
        self.line: Line | None = None
        """Where its birth is stated, while the index has not read that."""

    @property
    def is_temporary(self) -> bool:
        return self.companion or is_temporary(self.name)

    def become(self, guid: Guid, path: str) -> None:
        """It is another file: its bytes were moved."""
        self.guid, self.path, self.inode = guid, path, inode_of_guid(guid)

    def remember(self) -> None:
        """Write down what is not in the bytes."""
        self._notes.write(self.guid, self.record())

    def record(self) -> Record:
        """What is not in the bytes."""
        record: dict[str, object] = {"name": self.name.hex(), "directory": self.directory, "tags": self.tags}
        if self.mode != ORDINARY_MODE:
            record["mode"] = self.mode
        if self.xattrs:
            record["xattrs"] = {name: base64.b64encode(value).decode() for name, value in self.xattrs.items()}
        return record


class Nursery:
    """All newborns, by inode and by where they are shown."""

    def __init__(self, scratch: str, mark: str) -> None:
        """`mark` tells the mounts of one store apart."""
        self.scratch = scratch
        self._grounds: dict[str, str] = {}
        self.notes = Notes(scratch, mark)
        self.by_inode: dict[int, Newborn] = {}
        self._shown: dict[tuple[str, bytes], Newborn] = {}
        self._lock: int | None = None

    def path_for(self, guid: str) -> str:
        return os.path.join(self.scratch, guid + _SUFFIX)

    def new(self, guid: Guid, directory: str, name: bytes, tags: list[str], mode: int = ORDINARY_MODE) -> Newborn:
        """A newborn that is not shown yet, and has no bytes."""
        return Newborn(guid, self.path_for(guid), directory, name, tags, self.notes, mode)

    def add(self, newborn: Newborn) -> None:
        """Show a newborn."""
        key = newborn.directory, shown_form(newborn.name)
        if key in self._shown:
            fail(17)  # EEXIST; the kernel looked before, so this is a race it lost
        self.by_inode[newborn.inode] = newborn
        self._shown[key] = newborn
        newborn.remember()
        if self.notes.is_full:
            self.notes.write_anew([(one.guid, one.record()) for one in self])

    def find(self, directory: str, name: bytes) -> Newborn | None:
        """The newborn that is shown so."""
        return self._shown.get((directory, shown_form(name))) if self._shown else None

    def move(self, newborn: Newborn, directory: str, name: bytes, tags: list[str]) -> None:
        """Show it elsewhere."""
        self._hide(newborn)
        newborn.directory, newborn.name, newborn.tags = directory, name, tags
        self._shown[directory, shown_form(name)] = newborn
        newborn.remember()

    def drop(self, newborn: Newborn) -> None:
        """It is shown no more (born, removed, taken for its bytes). Open handles of a removed one keep it known."""
        self._hide(newborn)
        if not newborn.removed or not newborn.handles:
            self.by_inode.pop(newborn.inode, None)

    def _hide(self, newborn: Newborn) -> None:
        """Another may have its name by now, where it was removed while it was open."""
        key = newborn.directory, shown_form(newborn.name)
        if self._shown.get(key) is newborn:
            del self._shown[key]

    def remove(self, newborn: Newborn) -> None:
        """A program removed it, or put something else in its place."""
        newborn.removed = True
        self.drop(newborn)
        try:
            os.unlink(newborn.path)
        except FileNotFoundError:
            pass

    def shown_in(self, directory: str) -> Iterator[Newborn]:
        """The newborns of a directory."""
        return (newborn for (where, _), newborn in list(self._shown.items()) if where == directory)

    def __iter__(self) -> Iterator[Newborn]:
        """Those that are not born yet."""
        return iter([one for one in self.by_inode.values() if not one.removed and one.line is None])

    def am_alone(self) -> bool:
        """Whether no other mount of this store is running. Held for the life of the process."""
        if self._lock is None:
            path = os.path.join(self.scratch, _MOUNTS)
            self._lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            return False
        return True

    def share(self) -> None:
        """Others may come; what is in scratch is no longer ours alone."""
        if self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def sweep(self) -> None:
        """Remove the copies that a crash left half-made; what they are copies of is where it was."""
        for entry in os.scandir(self.scratch):
            prefix, _, guid = entry.name.partition("-")
            if prefix in ("empty", "keep", "own") and is_guid(guid):
                os.unlink(entry.path)

    def gather(self) -> list[Newborn]:
        """After a start: the newborns that a crash left in scratch."""
        found: dict[tuple[str, bytes], Newborn] = {}
        noted = self.notes.take_over()
        for entry in os.scandir(self.scratch):
            guid = entry.name.removesuffix(_SUFFIX)
            if not entry.name.endswith(_SUFFIX) or not is_guid(guid) or not entry.is_file(follow_symlinks=False):
                continue
            newborn = self._read(Guid(guid), entry.path, noted.get(guid))
            if (newborn.directory, shown_form(newborn.name)) in found:
                newborn.name = long_name(newborn.name, guid)
            found[newborn.directory, shown_form(newborn.name)] = newborn
        for newborn in found.values():
            newborn.remember()
            try:
                os.removexattr(newborn.path, _OLD_ATTRIBUTE)
            except OSError:
                pass  # there was none, or the file system has none
        self.notes.sync()
        self.notes.remove_others()
        return list(found.values())

    def _read(self, guid: Guid, path: str, record: Record | None) -> Newborn:
        try:
            if record is None:
                record = json.loads(os.getxattr(path, _OLD_ATTRIBUTE))
            name, directory = bytes.fromhex(record["name"]), str(record["directory"])
            newborn = self.new(guid, directory, name, [str(tag) for tag in record["tags"]])
            newborn.mode = int(record.get("mode", ORDINARY_MODE)) & 0o7777
            newborn.xattrs = {str(key): base64.b64decode(value) for key, value in record.get("xattrs", {}).items()}
            name.decode()
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            newborn = self.new(guid, "untagged", f"recovered {guid[:8]}".encode(), [])
        return newborn

    # -- files of the library whose bytes are in flux

    def in_flux(self, guid: str, ends_at: str = "", ground: str = "") -> None:
        """The bytes of a file are about to differ from what is stated; after a crash they are looked at again.

        Args:
            ends_at: it is about to be purged, and its bytes are there.
            ground: SHA-256 of the bytes that stand there still, "" where nobody can tell.
        """
        self._grounds[guid] = ground
        fd = os.open(os.path.join(self.scratch, guid + _WRITTEN), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            if ends_at or ground:
                os.write(fd, os.fsencode(ends_at) if ends_at else _GROUND + ground.encode())
        finally:
            os.close(fd)

    def ground_of(self, guid: str) -> str | None:
        """The hash of what stood there before a file came in flux, "" where nobody can tell; None: it is at rest."""
        return self._grounds.get(guid)

    def at_rest(self, guid: str) -> None:
        """What a file's bytes are is stated."""
        self._grounds.pop(guid, None)
        try:
            os.unlink(os.path.join(self.scratch, guid + _WRITTEN))
        except FileNotFoundError:
            pass

    def left_in_flux(self) -> list[tuple[Guid, str]]:
        """After a start: the files that a crash left in flux, and where the bytes are of one that was to be purged."""
        found = []
        for name in os.listdir(self.scratch):
            guid = name.removesuffix(_WRITTEN)
            if name.endswith(_WRITTEN) and is_guid(guid):
                with open(os.path.join(self.scratch, name), "rb") as file:
                    said = file.read()
                if said.startswith(_GROUND):
                    self._grounds[guid] = said.removeprefix(_GROUND).decode("ascii", "replace")
                    said = b""
                found.append((Guid(guid), os.fsdecode(said)))
        return found
