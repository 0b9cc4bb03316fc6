"""What the mount is made of, and what it says of files and directories: their attributes.

The lowest part of the adapter (`operations` is the whole); rules are there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from pyfuse3 import EntryAttributes, Operations

from tagfs.bucket import Clock
from tagfs.index.blocks import IN_TRASH, PLAIN, SIZE_MASK
from tagfs.index.read import View
from tagfs.mount.answer import fail
from tagfs.mount.changes import Changes
from tagfs.mount.desktop import NOTE_BIT
from tagfs.mount.directories import Known
from tagfs.mount.newborn import FILE_BIT, Newborn
from tagfs.mount.pages import Pages
from tagfs.store import Store
from tagfs.views.desktop import is_for_notes
from tagfs.views.directory import DESKTOP, Kind, root_directory
from tagfs.views.recent import last_when

STATIC_BIT = 1 << 62
CACHED_S = 86_400.0
DIRECTORY_BLOCK = 1 << 20
"""What directories report as st_blksize: programs size their getdents buffers by it."""


class Entries(Operations):
    """The tables of a mount, and entries made of them. Trio thread only."""

    supports_dot_lookup = False
    enable_writeback_cache = False

    def __init__(
        self,
        store: Store,
        clock: Callable[[], Clock],
        monotonic_ns: Callable[[], int],
        *,
        tags_only: bool = False,
        read_only: bool = False,
    ) -> None:
        super().__init__()
        root = root_directory(tags_only, os.getuid())
        self.changes = Changes(store, root, clock, monotonic_ns, read_only=read_only)
        self.changes.take_up()
        self._store = store
        self._clock = clock
        self._monotonic_ns = monotonic_ns
        self._looks = self.changes.looks
        self._directories = self.changes.directories
        self._nursery = self.changes.nursery
        self._announcer = self.changes.live.announcer
        self._turn = self.changes.turn
        self._following = self.changes.following
        self._copies = self.changes.contents.copies
        self._owner = (os.getuid(), os.getgid())
        self._pages = Pages()
        self._statics: dict[int, bytes] = {}
        self._static_inodes: dict[tuple[str, str], int] = {}
        self._began_ns = clock().now_ms * 1_000_000
        # One object for all files in listings: making one for each was half of a listing's time.
        self._file = self._blank(stat.S_IFREG | 0o644)

    # -- attributes

    def _blank(self, mode: int) -> EntryAttributes:
        entry = EntryAttributes()
        entry.st_mode = mode
        entry.st_nlink = 1
        entry.st_uid, entry.st_gid = self._owner
        entry.entry_timeout = entry.attr_timeout = CACHED_S
        return entry

    def _directory_entry(self, known: Known) -> EntryAttributes:
        mode = 0o700 if known.directory.kind in DESKTOP else 0o755
        entry = self._blank(stat.S_IFDIR | mode)
        entry.st_ino = known.inode
        entry.st_blksize = DIRECTORY_BLOCK
        entry.st_mtime_ns = entry.st_ctime_ns = entry.st_atime_ns = self.changes.changed_ns or self._began_ns
        entry.attr_timeout = 1.0
        return entry

    def _file_entry(self, view: View, ordinal: int) -> EntryAttributes:
        ident, packed, mtime_ns = view.packed_attr(ordinal)
        inode = FILE_BIT | ident
        writer = self.changes.writer_of(inode)
        if writer is not None:
            return self._open_entry(inode, writer.fd, packed >> 48 & 0o7777)
        entry = self._file
        entry.st_ino = inode
        entry.st_mode = stat.S_IFREG | packed >> 48 & 0o7777
        entry.st_size = packed & SIZE_MASK
        entry.st_blocks = (packed & SIZE_MASK) + 511 >> 9
        entry.st_mtime_ns = entry.st_atime_ns = mtime_ns
        entry.st_ctime_ns = self._last_ns(view, ordinal) or mtime_ns
        return entry

    def _last_ns(self, view: View, ordinal: int) -> int:
        """The time of the last fact about a file, 0 where none is known."""
        born_when, flags = view.birth(ordinal)
        if not flags & PLAIN:
            row = view.row(ordinal)
            born_when = last_when(view, ordinal, row) if row is not None else 0
        return (born_when >> 16) * 1_000_000

    def _open_entry(self, inode: int, fd: int | str, mode: int) -> EntryAttributes:
        """Of a file whose bytes are in flux: what the disk says."""
        found = os.stat(fd)
        entry = self._blank(stat.S_IFREG | mode)
        entry.st_ino = inode
        entry.st_size, entry.st_blocks = found.st_size, found.st_blocks
        entry.st_mtime_ns, entry.st_atime_ns, entry.st_ctime_ns = (
            found.st_mtime_ns,
            found.st_atime_ns,
            found.st_ctime_ns,
        )
        return entry

    def _purged_entry(self, inode: int) -> EntryAttributes:
        """Of a file that is no more; who has it open still asks."""
        opened = self.changes.handles.of(self.changes.real_inode(inode))
        if not opened:
            fail(errno.ENOENT)
        entry = self._open_entry(inode, opened[0].fd, 0o644)
        entry.st_nlink = 0
        return entry

    def _newborn_entry(self, newborn: Newborn) -> EntryAttributes:
        opened = self.changes.handles.of(newborn.inode)
        entry = self._open_entry(newborn.inode, opened[0].fd if opened else newborn.path, newborn.mode)
        if newborn.removed:
            entry.st_nlink = 0
        if is_for_notes(newborn.directory):
            entry.entry_timeout = entry.attr_timeout = 0.0  # soon another file stands under its name
        return entry

    def _desktop_entry(self, view: View, known: Known, name: bytes) -> EntryAttributes | None:
        """Of a file in `.Trash-UID/files/`, or its note in `info/`; None where there is none of the name.

        The kernel keeps no names in there: they are asked for seldom, and nobody need be told when they go.
        """
        ordinal = self.changes.resolve(view, known, name)
        if ordinal is None:
            return None
        if known.directory.kind is Kind.DESKTOP_INFO:
            return self._note_entry(view, ordinal)
        found = self._file_entry(view, ordinal)
        entry = self._blank(found.st_mode)
        entry.st_ino, entry.st_size, entry.st_blocks = found.st_ino, found.st_size, found.st_blocks
        entry.st_mtime_ns, entry.st_atime_ns, entry.st_ctime_ns = (
            found.st_mtime_ns,
            found.st_atime_ns,
            found.st_ctime_ns,
        )
        entry.entry_timeout = 0.0
        return entry

    def _note_entry(self, view: View, ordinal: int) -> EntryAttributes:
        note = self.changes.desktop.note(view, ordinal, self.changes.contents.state)
        entry = self._blank(stat.S_IFREG | 0o600)
        entry.st_ino = NOTE_BIT | view.attr(ordinal).ident & (NOTE_BIT - 1)
        entry.st_size = len(note.data)
        entry.st_mtime_ns = entry.st_ctime_ns = entry.st_atime_ns = note.when_ms * 1_000_000
        entry.entry_timeout = entry.attr_timeout = 0.0
        return entry

    def _noted(self, inode: int) -> int | None:
        """The file in the trash whose note has an inode; None where it is the inode of no note."""
        if not inode & NOTE_BIT or inode & ~(2 * NOTE_BIT - 1):
            return None
        view = self._looks.view()
        ordinal = view.by_ident(inode & (NOTE_BIT - 1))
        row = view.row(ordinal) if ordinal is not None else None
        if row is None or not row.flags & IN_TRASH:
            fail(errno.ENOENT)
        return ordinal

    def _static_entry(self, known: Known, name: str, data: bytes) -> EntryAttributes:
        key = (known.directory.path, name)
        inode = self._static_inodes.setdefault(key, STATIC_BIT + len(self._static_inodes) + 1)
        self._statics[inode] = data
        entry = self._blank(stat.S_IFREG | 0o444)
        entry.st_ino = inode
        entry.st_size = len(data)
        entry.st_mtime_ns = entry.st_ctime_ns = entry.st_atime_ns = self._began_ns
        return entry

    def _known(self, inode: int) -> Known:
        known = self._directories.get(inode)
        if known is None:
            fail(errno.ENOENT)
        return known
