"""The trash of desktops, as one mount remembers it: which names programs chose, and where files were.

What the names and notes are is decided in `views.desktop`. Remembered is only what makes
them nicer: forgotten, a file has the name made of its GUID, and its way back is `all/`.

Trio thread only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from pyroaring import BitMap

from tagfs.bucket import Clock
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.mount.directories import Directories
from tagfs.views import desktop
from tagfs.views.directory import Directory, Kind

NOTE_BIT = 1 << 59
"""Marks the inode of a file's note, beside the 56 bits of its GUID."""
KEPT = 10_000


class Note(NamedTuple):
    """What a `.trashinfo` shows."""

    data: bytes
    when_ms: int


class Desktop:
    """The names in `.Trash-UID/files/`, and the notes in `info/`."""

    def __init__(self, root: Directory, directories: Directories, clock: Callable[[], Clock]) -> None:
        self._root = root
        self._directories = directories
        self._clock = clock
        self._chosen: dict[bytes, str] = {}
        self._names: OrderedDict[str, bytes] = OrderedDict()
        """GUID -> the name a program chose; the other way round in `_chosen`."""
        self._origins: OrderedDict[str, Directory] = OrderedDict()
        self._notes: dict[int, Note] = {}
        self._notes_at = -1
        """The transaction that `_notes` were made in: a program that reads one asks for it half a dozen times."""

    def came(self, guid: str, origin: Directory, name: bytes | None = None) -> None:
        """A file was moved to the trash. Args: `name`, the one that a program chose in `files/`."""
        self._notes.clear()
        self._origins.pop(guid, None)
        if origin.kind not in (Kind.TRASH, Kind.DESKTOP_FILES):
            self._origins[guid] = origin
            if len(self._origins) > KEPT:
                self._origins.popitem(last=False)
        self._drop_name(guid)
        if name is not None and len(name) <= desktop.MAX_BYTES:
            if name in self._chosen:
                self._drop_name(self._chosen[name])
            self._chosen[name] = guid
            self._names[guid] = name
            if len(self._names) > KEPT:
                self._drop_name(next(iter(self._names)))

    def _drop_name(self, guid: str) -> None:
        name = self._names.pop(guid, None)
        if name is not None:
            del self._chosen[name]

    def resolve(self, view: View, files: BitMap, name: bytes) -> int | None:
        """The file that a name in `files/` leads to. Args: `files`, what is in the trash."""
        guid = self._chosen.get(name)
        if guid is None:
            return desktop.by_trash_name(view, files, name)
        ordinal = view.ordinal(guid)
        return ordinal if ordinal is not None and ordinal in files else None

    def of_note(self, view: View, files: BitMap, name: bytes) -> int | None:
        """The file whose note in `info/` is called so."""
        plain = desktop.named_by_note(name)
        return self.resolve(view, files, plain) if plain is not None else None

    def names(self, view: View, files: BitMap) -> list[tuple[bytes, int]]:
        """(name in `files/`, ordinal) of all that is in the trash."""
        return [(self._names.get(guid, name), ordinal) for guid, name, ordinal in desktop.trash_names(view, files)]

    def _kernel_knows(self, directory: Directory) -> bool:
        return self._directories.with_path(directory.path) is not None

    def forget_notes(self) -> None:
        """Make notes anew: the kernel may have forgotten a directory that one leads to."""
        self._notes.clear()

    def note(self, view: View, ordinal: int, state_of: Callable[[View, int], FileState]) -> Note:
        """The note of a file in the trash."""
        if self._notes_at != view.tx.id() or len(self._notes) >= KEPT:
            self._notes.clear()
            self._notes_at = view.tx.id()
        found = self._notes.get(ordinal)
        if found is None:
            found = self._notes[ordinal] = self._new_note(view, ordinal, state_of(view, ordinal))
        return found

    def _new_note(self, view: View, ordinal: int, state: FileState) -> Note:
        clock = self._clock()
        path = desktop.return_path(
            view, self._root, ordinal, state, self._origins.get(state.guid), clock, self._kernel_knows
        )
        when_ms = desktop.removed_ms(state)
        return Note(desktop.note(path, when_ms, clock), when_ms)
