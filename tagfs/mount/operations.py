"""FUSE requests, one method each: names, attributes, listings, and handing on of bytes.

Nothing is decided here. What a directory holds and what an operation means comes from
`tagfs.views`; what a save means from `views.saving`, carried out in `mount.changes`;
bytes are `mount.contents`. Rules:

- Nothing slow runs in a handler: what changes the library waits for its `turn` before it
  looks at anything. Between two awaits a handler is alone (see `loop`); no await between
  reading and writing a table, and what was looked up before one is looked up again.
- Names that do not exist are never cached by the kernel, so what is added from beneath is
  seen at once; names that leave are invalidated (`live`), from a thread.
- `flush` is always answered: one ENOSYS and the kernel would never send another, and
  `close` is where the facts of a written file are stated.
- One descriptor an open handle, none an inode.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from array import array
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, ParamSpec, TypeVar

import pyfuse3
import trio
from pyfuse3 import EntryAttributes, FileInfo, Operations, readdir_reply

from tagfs.bucket import Clock
from tagfs.index.blocks import IN_TRASH, PLAIN, SHARED, SIZE_MASK
from tagfs.index.read import View
from tagfs.mount.answer import Refused, all_answered, at_once, fail
from tagfs.mount.changes import Changes
from tagfs.mount.desktop import NOTE_BIT
from tagfs.mount.directories import DIRECTORY_BIT, Known, ViewFiles
from tagfs.mount.newborn import FILE_BIT, Newborn
from tagfs.mount.pages import Pages
from tagfs.store import Store
from tagfs.views import attributes, effects, listing, tree
from tagfs.views.desktop import ENDING, is_for_notes
from tagfs.views.directory import BELOW_TAGS, DESKTOP, Kind, root_directory
from tagfs.views.matrix import Operation, Refusal, rule
from tagfs.views.names import MAX_NAME_BYTES, Listing
from tagfs.views.recent import last_when
from tagfs.views.static import static_files

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

STATIC_BIT = 1 << 62
CACHED_S = 86_400.0
DOUBT_S = 2.0
PAGE_FILES = 128
LISTED_AT_ONCE = 8 * PAGE_FILES
"""Files in one answer: the kernel has room for six times as many, and nobody else would be answered for so long."""
NAMES_AT_ONCE = 32
"""The same of directories, each of which is looked up."""
DIRECTORY_BLOCK = 1 << 20
"""What directories report as st_blksize: programs size their getdents buffers by it."""


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
class Mount(Operations):
    """The file system. Trio thread only."""

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
        self._owner = (os.getuid(), os.getgid())
        self._pages = Pages()
        self._looks.on_new_index = self._begin_anew
        self._listed: dict[int, _Listed] = {}
        self._next_handle = 1
        self._statics: dict[int, bytes] = {}
        self._static_inodes: dict[tuple[str, str], int] = {}
        self._began_ns = clock().now_ms * 1_000_000
        # One object for all files in listings: making one for each was half of a listing's time.
        self._file = self._blank(stat.S_IFREG | 0o644)

    def idle(self) -> None:
        """Before every sleep."""
        self._looks.drop()

    def answered(self) -> None:
        """After every request."""
        self.changes.live.tell()

    def look_for_changes(self) -> None:
        """A few times a second: what others changed, and what is due."""
        self._looks.look_around()
        self.changes.tick()
        self.changes.live.tell()
        self._looks.drop()
        if self._looks.index is not None:
            self._pages.give_back(self._looks.index)

    def _begin_anew(self) -> None:
        self._directories.forget_files()
        self.changes.live.begin_anew()
        for listed in self._listed.values():
            listed.is_stale = True

    def finish(self) -> None:
        """After the last request."""
        self.changes.finish()
        self._looks.drop()

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

    # -- names

    def _known(self, inode: int) -> Known:
        known = self._directories.get(inode)
        if known is None:
            fail(errno.ENOENT)
        return known

    @at_once
    def lookup(self, parent_inode: int, name: bytes, ctx: Any) -> EntryAttributes:
        known = self._known(parent_inode)
        if ctx.pid == self._announcer.thread_id:
            hidden = self._announcer.hidden(parent_inode, name)
            # Met by a program, it may be open: the kernel must not think that it is gone.
            if hidden is not None and not known.sticky.holds(hidden):
                fail(errno.ENOENT)
        view = self.changes.view_for(known.directory, name)
        newborn = self._nursery.find(known.directory.path, name)
        if newborn is not None:
            return self._newborn_entry(newborn)
        if known.holds_files:
            if len(name) > MAX_NAME_BYTES:
                fail(errno.ENAMETOOLONG)
            ordinal = self.changes.resolve(view, known, name)
            if ordinal is not None:
                return self._file_entry(view, ordinal)
        elif known.directory.kind in DESKTOP:
            entry = self._desktop_entry(view, known, name)
            if entry is not None:
                return entry
        elif known.directory.kind is Kind.IDS:
            ordinal = tree.file_by_id(view, name.decode("utf-8", "replace"))
            if ordinal is not None:
                return self._file_entry(view, ordinal)
        text = name.decode("utf-8", "surrogateescape")
        directory = tree.child_directory(view, known.directory, text, self._clock())
        if directory is not None:
            child = self._directories.at(directory, known.inode, name)
            child.lookups += 1
            return self._directory_entry(child)
        data = static_files(known.directory).get(text)
        if data is not None:
            return self._static_entry(known, text, data)
        return fail(errno.ENOENT)

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        for inode, lookups in inode_list:
            if inode & DIRECTORY_BIT and not inode & (FILE_BIT | STATIC_BIT):
                self._directories.forget(inode, lookups)

    @at_once
    def getattr(self, inode: int, ctx: Any) -> EntryAttributes:
        known = self._directories.get(inode)
        if known is not None:
            return self._directory_entry(known)
        newborn = self._nursery.by_inode.get(inode)
        if newborn is not None:
            return self._newborn_entry(newborn)
        if inode in self._statics:
            return next(
                self._static_entry(self._known(pyfuse3.ROOT_INODE), name, self._statics[inode])
                for (_, name), number in self._static_inodes.items()
                if number == inode
            )
        view = self._looks.view()
        noted = self._noted(inode)
        if noted is not None:
            return self._note_entry(view, noted)
        try:
            ordinal = self.changes.ordinal(view, inode)
        except pyfuse3.FUSEError:
            return self._purged_entry(inode)
        entry = self._file_entry(view, ordinal)
        entry.st_ino = inode  # also where a save has put another file under this name
        return entry

    async def setattr(
        self, inode: int, attr: EntryAttributes, fields: Any, fh: int | None, ctx: Any
    ) -> EntryAttributes:
        if ctx.pid == self._announcer.thread_id:
            return await self.getattr(inode, ctx)
        if self._directories.get(inode) is not None:
            return await self.getattr(inode, ctx)  # accepted and forgotten: rsync, tar and cp -a insist on it
        if inode in self._statics or self._noted(inode) is not None:
            fail(errno.EPERM)
        handle = self.changes.handles.get(fh) if fh is not None else None
        uid = attr.st_uid if fields.update_uid else None
        gid = attr.st_gid if fields.update_gid else None
        refusal = attributes.on_chown(uid, gid, self._owner)
        if refusal is not None:
            raise Refused(refusal)
        if fields.update_size:
            if handle is None:
                await self._be_sure(inode, ctx.pid)
            written = await self._in_turn(inode, self.changes.truncate, inode, attr.st_size, handle, ctx.pid)
            if written is not None:
                await self.changes.state_aside(written)
        if fields.update_mode:
            await self._in_turn(inode, self.changes.chmod, inode, stat.S_IMODE(attr.st_mode), ctx.pid)
        if fields.update_mtime:
            await self._in_turn(inode, self.changes.utimens, inode, attr.st_mtime_ns, ctx.pid)
        return await self.getattr(inode, ctx)

    async def _in_turn(self, inode: int, do: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do something about a file in our turn. About one that is not stated yet nothing is, so it need not wait."""
        newborn = self._nursery.by_inode.get(inode)
        if newborn is not None and newborn.line is None:
            return do(*args, **kwargs)
        return await self._turn.take(do, *args, **kwargs)

    async def access(self, inode: int, mode: int, ctx: Any) -> bool:
        return True  # default_permissions: the kernel checks the mode itself

    # -- listings

    async def opendir(self, inode: int, ctx: Any) -> int:
        handle = self._next_handle
        self._next_handle += 1
        self._listed[handle] = await self._snapshot(self._known(inode))
        return handle

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

    # -- bytes

    async def _be_sure(self, inode: int, pid: int) -> None:
        """Refuse what may come by a name that a save has just given to another file: it would reach the wrong bytes.

        The kernel answers ESTALE by asking for every name on the way again, and tries once more.
        """
        live = self.changes.live
        if live.is_doubtful(inode):
            until = trio.current_time() + DOUBT_S
            while live.is_doubtful(inode) and trio.current_time() < until:
                await trio.sleep(0.001)
        if live.is_to_ask_again(inode, pid, self._monotonic_ns()):
            fail(errno.ESTALE)

    async def open(self, inode: int, flags: int, ctx: Any) -> FileInfo:
        await self._be_sure(inode, ctx.pid)
        data = self._statics.get(inode)
        noted = self._noted(inode)
        if noted is not None:
            view = self._looks.view()
            note = self.changes.desktop.note(view, noted, self.changes.contents.state)
            return FileInfo(fh=self.changes.open_static(note.data, flags), keep_cache=False)
        handle = self.changes.open_static(data, flags) if data is not None else self.changes.open(inode, flags, ctx.pid)
        return FileInfo(fh=handle, keep_cache=self.changes.handles.is_cache_true(handle))

    async def create(
        self, parent_inode: int, name: bytes, mode: int, flags: int, ctx: Any
    ) -> tuple[FileInfo, EntryAttributes]:
        known = self._known(parent_inode)
        if self.changes.comes_back(known, name):
            handle, inode = await self._turn.take(self.changes.create, known, name, mode, ctx.pid)
        else:
            handle, inode = self.changes.create(known, name, mode, ctx.pid)
        newborn = self._nursery.by_inode.get(inode)
        if newborn is not None:
            return FileInfo(fh=handle, keep_cache=True), self._newborn_entry(newborn)
        view = self._looks.view()
        return FileInfo(fh=handle, keep_cache=True), self._file_entry(view, self.changes.ordinal(view, inode))

    @at_once
    def read(self, fh: int, offset: int, size: int) -> bytes:
        handle = self.changes.handles[fh]
        if handle.data is not None:
            return handle.data[offset : offset + size]
        if handle.behind:
            self.changes.live.forget_bytes(handle.inode)
        return os.pread(handle.fd, size, offset)

    async def write(self, fh: int, offset: int, data: bytes) -> int:
        handle = self.changes.handles[fh]
        if not handle.dirty:
            self.changes.begin_writing(handle)
        if handle.behind or handle.alias:
            self.changes.live.forget_bytes(handle.inode)
        try:
            written = os.pwrite(handle.fd, data, offset)
        except OSError:
            self._following.doubt(handle.inode)
            raise
        if not handle.behind:
            self._following.wrote(handle.inode, handle.fd, offset, written)
        return written

    async def flush(self, fh: int) -> None:
        handle = self.changes.handles[fh]
        if handle.dirty:
            await self.changes.settle_aside(handle, closing=True)

    async def fsync(self, fh: int, datasync: bool) -> None:
        handle = self.changes.handles[fh]
        if handle.data is None:
            await self.changes.sync(handle)

    async def fsyncdir(self, fh: int, datasync: bool) -> None:
        self._store.sync_ledger()

    async def release(self, fh: int) -> None:
        if self.changes.handles[fh].dirty:
            await self.changes.release_aside(fh)
        else:
            self.changes.release(fh)

    async def statfs(self, ctx: Any) -> pyfuse3.StatvfsData:
        found = os.statvfs(self._store.layout.sets)
        data = pyfuse3.StatvfsData()
        for field in ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail"):
            setattr(data, field, getattr(found, field))
        data.f_namemax = 255
        return data

    # -- changes of names

    async def mknod(self, parent_inode: int, name: bytes, mode: int, rdev: int, ctx: Any) -> EntryAttributes:
        known = self._known(parent_inode)
        if not stat.S_ISREG(mode):
            self._refuse(rule(known.directory, Operation.SPECIAL))
        inode = await self._turn.take(self.changes.make_node, known, name, mode, ctx.pid)
        return await self.getattr(inode, ctx)

    async def unlink(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        await self._turn.take(self.changes.unlink, self._known(parent_inode), name, ctx.pid)

    async def rename(
        self, parent_inode_old: int, name_old: bytes, parent_inode_new: int, name_new: bytes, flags: int, ctx: Any
    ) -> None:
        source, target = self._known(parent_inode_old), self._known(parent_inode_new)
        await self.changes.rename_aside(source, name_old, target, name_new, flags, ctx.pid)

    async def link(self, inode: int, new_parent_inode: int, new_name: bytes, ctx: Any) -> EntryAttributes:
        if ctx.pid == self._announcer.thread_id:
            return self._announced(inode, self._known(new_parent_inode), new_name)
        known = self._known(new_parent_inode)
        await self._turn.take(self.changes.link, inode, known, new_name, Operation.LINK, ctx.pid)
        return await self.getattr(inode, ctx)

    def _announced(self, inode: int, known: Known, name: bytes) -> EntryAttributes:
        """A link that our own thread makes, so that the kernel tells of a file that is there already."""
        view = self._looks.view()
        ordinal = self.changes.resolve(view, known, name)
        if ordinal is None or FILE_BIT | view.attr(ordinal).ident & (FILE_BIT - 1) != inode:
            fail(errno.ENOENT)
        return self._file_entry(view, ordinal)

    async def symlink(self, parent_inode: int, name: bytes, target: bytes, ctx: Any) -> EntryAttributes:
        raise Refused(
            Refusal(errno.EPERM, "There are no symbolic links here. To give a file one more tag use ln without -s.")
        )

    async def mkdir(self, parent_inode: int, name: bytes, mode: int, ctx: Any) -> EntryAttributes:
        known = self._known(parent_inode)
        text = name.decode("utf-8", "surrogateescape")
        await self._turn.take(
            self.changes.about_tags, lambda change: effects.on_mkdir(change.view, known.directory, text), ctx.pid
        )
        return await self.lookup(parent_inode, name, ctx)

    async def rmdir(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        await self._turn.take(self.changes.rmdir, self._known(parent_inode), name, ctx.pid)

    def _refuse(self, found: object) -> None:
        if isinstance(found, Refusal):
            raise Refused(found)
        fail(errno.EPERM)

    # -- extended attributes

    async def getxattr(self, inode: int, name: bytes, ctx: Any) -> bytes:
        text = name.decode("utf-8", "surrogateescape")
        if not text.startswith("user."):
            fail(errno.EOPNOTSUPP)
        if not inode & FILE_BIT:
            fail(errno.ENODATA)
        return self.changes.get_xattr(inode, text)

    async def listxattr(self, inode: int, ctx: Any) -> list[bytes]:
        if not inode & FILE_BIT:
            return []
        return [name.encode("utf-8", "surrogateescape") for name in self.changes.list_xattrs(inode)]

    async def setxattr(self, inode: int, name: bytes, value: bytes, ctx: Any) -> None:
        text = name.decode("utf-8", "surrogateescape")
        if not text.startswith("user."):
            fail(errno.EOPNOTSUPP)
        await self._in_turn(inode, self.changes.set_xattr, inode, text, value, ctx.pid)

    async def removexattr(self, inode: int, name: bytes, ctx: Any) -> None:
        text = name.decode("utf-8", "surrogateescape")
        if not text.startswith("user."):
            fail(errno.EOPNOTSUPP)
        await self._in_turn(inode, self.changes.set_xattr, inode, text, None, ctx.pid)
