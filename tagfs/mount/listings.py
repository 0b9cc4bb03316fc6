"""Listing directories: a snapshot at opendir, given out in pages.

A name appears once in a listing, decided on first meeting it; cookies are positions in the
snapshot. Rules that hold for all of the adapter are in `operations`.
"""

from __future__ import annotations

import errno
import stat
from array import array
from collections.abc import Callable
from itertools import islice
from typing import Any

from pyfuse3 import readdir_reply

from tagfs.bucket import Clock
from tagfs.index.blocks import PLAIN, SHARED, SIZE_MASK
from tagfs.index.read import View
from tagfs.mount.answer import all_answered, fail
from tagfs.mount.desktop import NOTE_BIT
from tagfs.mount.directories import Known, ViewFiles
from tagfs.mount.entries import Entries
from tagfs.mount.newborn import FILE_BIT
from tagfs.mount.searching import Searches
from tagfs.store import Store
from tagfs.views import listing, tree
from tagfs.views.desktop import ENDING
from tagfs.views.directory import BELOW_TAGS, DESKTOP, Kind
from tagfs.views.names import Listing
from tagfs.views.static import static_files

PAGE_FILES = 128
LISTED_AT_ONCE = 8 * PAGE_FILES
"""Files in one answer: the kernel has room for six times as many, and nobody else would be answered for so long."""
NAMES_AT_ONCE = 32
"""The same of directories, each of which is looked up."""


class _Listed:
    """An open directory: a snapshot, and how far it has been read."""

    __slots__ = ("begun", "is_stale", "known", "listing", "names", "ordinals", "page", "page_at")

    def __init__(self, known: Known, names: list[tuple[bytes, int]], ordinals: array[int]) -> None:
        self.known = known
        self.names = names
        """Directories, static files and newborns: (name, inode; 0 for a directory), before the files."""
        self.ordinals = ordinals
        self.listing = Listing(known.sticky)
        self.page: list[bytes] = []
        self.page_at = -1
        self.begun = False
        self.is_stale = False
        """The index was built again meanwhile: its ordinals mean other files."""


@all_answered
class Listings(Entries):
    """opendir, readdir, releasedir."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], Clock],
        monotonic_ns: Callable[[], int],
        *,
        tags_only: bool = False,
        read_only: bool = False,
    ) -> None:
        super().__init__(store, clock, monotonic_ns, tags_only=tags_only, read_only=read_only)
        self._listed: dict[int, _Listed] = {}
        self._searches = Searches(store.layout.root, self._looks, monotonic_ns)
        self._next_handle = 1
        self._looks.on_new_index = self._begin_anew

    def _begin_anew(self) -> None:
        self._directories.forget_files()
        self.changes.live.begin_anew()
        for listed in self._listed.values():
            listed.is_stale = True

    async def opendir(self, inode: int, ctx: Any) -> int:
        known = self._known(inode)
        if known.directory.kind is Kind.SEARCH_RESULT:
            await self._search(known)
        handle = self._next_handle
        self._next_handle += 1
        self._listed[handle] = await self._snapshot(self._known(inode))
        return handle

    async def _search(self, known: Known) -> None:
        """See that what is found by words is not too old."""
        words = known.directory.name
        if self._searches.are_due(self._looks.view(), words):
            await self._searches.look(words)
            known.look_again()

    async def _snapshot(self, known: Known) -> _Listed:
        clock = self._clock()
        directory = known.directory
        if directory.kind in BELOW_TAGS:
            self.changes.view_for(directory, None)
            below = await self._looks.apart(lambda view: listing.subdirectories(view, directory, clock))
        else:
            below = listing.subdirectories(self._looks.view(), directory, clock)
        view = self.changes.view_for(directory, None)
        names: list[tuple[bytes, int]] = [(name.encode("utf-8", "surrogateescape"), 0) for name in below]
        for name, data in static_files(directory).items():
            names.append((name.encode(), self._static_entry(known, name, data).st_ino))
        if directory.kind in (Kind.DESKTOP_FILES, Kind.DESKTOP_INFO):
            ending, bit = (b"", FILE_BIT) if directory.kind is Kind.DESKTOP_FILES else (ENDING, NOTE_BIT)
            for trashed, ordinal in self.changes.desktop.names(view, known.files(view, clock)):
                names.append((trashed + ending, bit | view.attr(ordinal).ident & (NOTE_BIT - 1)))
        for newborn in self._nursery.shown_in(directory.path):
            names.append((newborn.name, newborn.inode))
        ordinals = known.files(view, clock).to_array() if known.holds_files else array("I")
        return _Listed(known, names, ordinals)

    async def readdir(self, fh: int, start_id: int, token: Any) -> None:
        listed = self._listed[fh]
        if start_id == 0 and listed.begun:
            listed = self._listed[fh] = await self._snapshot(listed.known)  # rewinddir(3): the directory as it is now
        listed.begun = True
        self._looks.view()
        if listed.is_stale:
            fail(errno.EIO)  # better than other files, or none
        if start_id < len(listed.names) and not self._list_names(listed, start_id, token):
            return
        self._list_files(listed, max(0, start_id - len(listed.names)), token)

    def _list_names(self, listed: _Listed, start: int, token: Any) -> bool:
        """List what stands before the files; False where there was no more room."""
        view = self._looks.view()
        clock = self._clock()
        directory = listed.known.directory
        told = 0
        for at in range(start, len(listed.names)):
            if told == NAMES_AT_ONCE:
                return False
            name, inode = listed.names[at]
            child: Known | None = None
            if inode == 0:
                found = tree.child_directory(view, directory, name.decode("utf-8", "surrogateescape"), clock)
                if found is None:
                    continue
                child = self._directories.at(found, listed.known.inode, name)
                entry = self._directory_entry(child)
            elif inode in self._statics:
                entry = self._static_entry(listed.known, name.decode(), self._statics[inode])
            else:
                newborn = self._nursery.find(directory.path, name)
                if newborn is not None and newborn.inode == inode:
                    entry = self._newborn_entry(newborn)
                elif directory.kind in DESKTOP:
                    trashed = self._desktop_entry(view, listed.known, name)
                    if trashed is None:
                        continue
                    entry = trashed
                elif (born := self._born_meanwhile(view, listed.known, name, inode)) is not None:
                    entry = self._file_entry(view, born)
                else:
                    continue
            if not readdir_reply(token, name, entry, at + 1):
                if child is not None:
                    self._directories.forget(child.inode, 0)
                return False
            told += 1
            if child is not None:
                child.lookups += 1
        return True

    def _born_meanwhile(self, view: View, known: Known, name: bytes, inode: int) -> int | None:
        """What was a newborn when the directory was opened may be a file since; its snapshot has it in one place."""
        if not known.holds_files:
            return None
        ordinal = self.changes.resolve(view, known, name)
        if ordinal is None or FILE_BIT | view.attr(ordinal).ident & (FILE_BIT - 1) != inode:
            return None
        return ordinal

    def _list_files(self, listed: _Listed, start: int, token: Any) -> None:
        view = self._looks.view()
        ordinals, known = listed.ordinals, listed.known
        current = known.files(view, self._clock())
        files = ViewFiles(view, current)
        written = self.changes.handles.written()
        next_id = len(listed.names) + start + 1
        entry = self._file
        begin = start - start % PAGE_FILES
        fits = False
        for at in range(begin, len(ordinals), PAGE_FILES):
            if fits and at - begin >= LISTED_AT_ONCE:
                return  # never with nothing listed, which would be the end
            page = ordinals[at : at + PAGE_FILES]
            attrs = view.packed_attrs(page)
            if listed.page_at != at:
                shared = [packed >= SHARED for _, packed, _ in attrs]
                names = view.names_at(page)
                files.known = dict(zip(page, names, strict=True))
                listed.page = listed.listing.page(page, names, shared, files)
                listed.page_at = at
            rows = zip(page, listed.page, attrs, view.births(page), strict=True)
            above = -1
            for ordinal, name, (ident, packed, mtime_ns), (born_when, flags) in islice(rows, max(0, start - at), None):
                if ordinal in current:
                    # As in `_file_entry`, which would take twice as long.
                    if flags & PLAIN and FILE_BIT | ident not in written:
                        entry.st_ino = FILE_BIT | ident
                        if packed >> 48 != above:
                            above = packed >> 48
                            entry.st_mode = stat.S_IFREG | above & 0o7777
                        entry.st_size = size_bytes = packed & SIZE_MASK
                        entry.st_blocks = size_bytes + 511 >> 9
                        entry.st_mtime_ns = entry.st_atime_ns = mtime_ns
                        entry.st_ctime_ns = (born_when >> 16) * 1_000_000
                        fits = readdir_reply(token, name, entry, next_id)
                    else:
                        fits = readdir_reply(token, name, self._file_entry(view, ordinal), next_id)
                        above = -1
                    if not fits:
                        return
                next_id += 1

    async def releasedir(self, fh: int) -> None:
        self._listed.pop(fh, None)
