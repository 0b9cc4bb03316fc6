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
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import pyfuse3
import trio
from pyfuse3 import EntryAttributes, FileInfo

from tagfs.mount.answer import Later, Refused, all_answered, at_once, fail
from tagfs.mount.desktop import NOTE_BIT
from tagfs.mount.directories import DIRECTORY_BIT, Known
from tagfs.mount.entries import STATIC_BIT
from tagfs.mount.fetching import Fetcher
from tagfs.mount.listings import Listings
from tagfs.mount.newborn import FILE_BIT
from tagfs.mount.writing import NotHere
from tagfs.views import attributes, effects, tree
from tagfs.views.directory import DESKTOP, Kind
from tagfs.views.matrix import Operation, Refusal, rule
from tagfs.views.names import MAX_NAME_BYTES
from tagfs.views.static import static_files

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

DOUBT_S = 2.0


@all_answered
class Mount(Listings):
    """The file system. Trio thread only."""

    fetcher: Fetcher | None = None
    """Brings files here that are opened and are not; None where they are not to come."""

    # -- its life

    def idle(self) -> None:
        """Before every sleep."""
        self._looks.drop()

    def answered(self) -> None:
        """After every request."""
        self.changes.live.tell()

    async def look_for_changes(self) -> None:
        """A few times a second: what others changed, and what is due."""
        self._looks.look_around()
        await self.changes.take_in_aside()
        self.changes.tick()
        self.changes.live.tell()
        self._looks.drop()
        if self._looks.index is not None:
            self._pages.give_back(self._looks.index)

    def finish(self) -> None:
        """After the last request."""
        self.changes.finish()
        self._searches.finish()
        self._looks.drop()

    # -- names

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
            if known.directory.kind is Kind.SEARCH_RESULT and self._searches.are_due(view, known.directory.name):
                raise Later(lambda: self._lookup_found(known, name))
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
                self.changes.live.met_by_id(parent_inode, name, ordinal)
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

    async def _lookup_found(self, known: Known, name: bytes) -> EntryAttributes:
        """A file among those found by words, which are asked for first."""
        await self._search(known)
        view = self._looks.view()
        ordinal = self.changes.resolve(view, known, name)
        return self._file_entry(view, ordinal) if ordinal is not None else fail(errno.ENOENT)

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
            async with self.changes.ahead_of_truncate(inode, attr.st_size, handle):
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
        if self.changes.live.has_doubts:
            await self._be_sure(inode, ctx.pid)
        data = self._statics.get(inode)
        if data is not None:
            return FileInfo(fh=self.changes.open_static(data, flags))
        noted = self._noted(inode) if inode & NOTE_BIT else None
        if noted is not None:
            view = self._looks.view()
            note = self.changes.desktop.note(view, noted, self.changes.contents.state)
            return FileInfo(fh=self.changes.open_static(note.data, flags), keep_cache=False)
        try:
            if flags & os.O_TRUNC:
                handle = await self._open_aside(inode, flags, ctx.pid)
            else:
                handle = self.changes.open(inode, flags, ctx.pid)
        except NotHere as missing:
            if self.fetcher is None:
                raise
            await self.fetcher.fetch(inode, missing)
            handle = await self._open_aside(inode, flags, ctx.pid)
        return FileInfo(fh=handle, keep_cache=self.changes.handles.is_cache_true(handle))

    async def _open_aside(self, inode: int, flags: int, pid: int) -> int:
        """Open a file. What is to be set aside before it is emptied is seen to while other requests go on."""
        if not flags & os.O_TRUNC:
            return self.changes.open(inode, flags, pid)
        async with self.changes.ahead_of_truncate(inode, 0, None):
            return self.changes.open(inode, flags, pid)

    async def create(
        self, parent_inode: int, name: bytes, mode: int, flags: int, ctx: Any
    ) -> tuple[FileInfo, EntryAttributes]:
        known = self._known(parent_inode)
        if self.changes.comes_back(known, name):
            handle, inode = await self.changes.create_again(known, name, mode, ctx.pid)
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
            await self.changes.begin_writing_aside(handle)
        if handle.behind or handle.alias:
            self.changes.live.forget_bytes(handle.inode)
        try:
            written = os.pwrite(handle.fd, data, offset)
        except OSError:
            self._following.doubt(handle.inode)
            raise
        handle.writes += 1
        if not handle.behind:
            self._following.wrote(handle.inode, handle.fd, offset, written)
        self._copies.wrote(handle.fd)
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
