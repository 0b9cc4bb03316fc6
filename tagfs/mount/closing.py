"""Closing what programs wrote: what the bytes are is stated then, and a file that was made is born.

The order is such that a crash at any point loses neither bytes nor facts: bytes are set
aside before they are replaced, in place before they are stated, and unlinked only when a
fact or a version has them. A file whose bytes differ from what is stated is marked as in
flux first (`Nursery.in_flux`), and looked at again when the mount starts after a crash.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from tagfs.births import Line
from tagfs.bytes import CannotTake, Taken, remove, take
from tagfs.conflict import CONFLICT_TAG, copy_guid, copy_name, may_be_copy
from tagfs.guid import Guid, new_guid
from tagfs.merge import FileState
from tagfs.mount.acting import Acting
from tagfs.mount.answer import errno_of
from tagfs.mount.contents import state_content, stated_at
from tagfs.mount.copies import AT_ONCE_BYTES
from tagfs.mount.following import TRIES
from tagfs.mount.handles import Handle
from tagfs.mount.loop import aside
from tagfs.mount.newborn import Newborn, inode_of_guid
from tagfs.views import effects, tree
from tagfs.views.temporary import origins

log = logging.getLogger(__name__)


class Written(NamedTuple):
    """Bytes of a file that are to be stated, and which process wrote them."""

    guid: Guid
    path: str
    process: int


class Closing(Acting):
    """Bytes in flux, until they are stated."""

    # -- bytes in flux

    def _in_flux(self, guid: str, path: str) -> None:
        """Bytes are about to be other than stated: note it, and what they were."""
        if self.nursery.ground_of(guid) is None:
            self.nursery.in_flux(guid, ground=stated_at(self._state(guid), path))

    def _own_bytes(self, guid: str, path: str) -> None:
        """Bytes that are about to be written to must not be those of a version."""
        if self.contents.own_copy(guid, path):
            self.following.forget(inode_of_guid(guid))
            self.handles.go_over(inode_of_guid(guid), path)

    def _digest_of(self, guid: str, path: str) -> str:
        """The SHA-256 of the bytes of a file, as stated or as hashed (`_ahead`)."""
        stated = self.contents.stated_digest(self._state(guid), path)
        return stated or self.following.digest(inode_of_guid(guid), path)

    def _is_written(self, guid: str) -> bool:
        """Whether somebody may write to the bytes of a file."""
        return self.handles.writer_of(inode_of_guid(guid)) is not None

    @asynccontextmanager
    async def _ahead(self, guids: Iterable[str], *, copies: bool = True) -> AsyncIterator[None]:
        """The bytes of files are about to be replaced: what is to be hashed and copied for that is so inside.

        Files that are not here, or no files of the library, are left out.

        Args:
            copies: who has a file open keeps the bytes, and so what somebody may write to is copied.
        """
        copied, hashed = [], []
        view = self.looks.view()
        for guid in guids:
            ordinal = view.ordinal(guid)
            path = self.contents.path(view, ordinal) if ordinal is not None else None
            if path is None or os.stat(path).st_size <= AT_ONCE_BYTES:
                continue
            if copies and self._is_written(guid):
                copied.append(path)
            if self.contents.stated_digest(self._state(guid), path) is None:
                hashed.append((inode_of_guid(guid), path))
        try:
            for inode, path in hashed:
                await self.hash_ahead(inode, path)
            async with self.contents.copies.ahead(copied):
                yield
        finally:
            for inode, _ in hashed:
                self._is_followed_no_more(inode)

    async def hash_ahead(self, inode: int, path: str) -> None:
        """Have the bytes of a file, or of a newborn, hashed in the thread: `following.digest` is quick then."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            await self.following.ready(inode, fd)
        finally:
            os.close(fd)

    async def begin_writing_aside(self, handle: Handle) -> None:
        """`begin_writing`; while bytes that a version shares are copied other requests go on."""
        if handle.guid in self.gathering:
            self.catch_up()  # the name in scratch goes, and they may be its own
        if handle.dirty or handle.behind or not self._is_shared(handle):
            self.begin_writing(handle)
            return
        async with self.contents.copies.ahead([bytes_of(handle) if is_removed(handle) else handle.path]):
            self.begin_writing(handle)

    def _is_shared(self, handle: Handle) -> bool:
        """Whether its bytes have a name that is not its own: a version, or a backup."""
        found = os.fstat(handle.fd)
        return found.st_nlink > (0 if is_removed(handle) else 1) and found.st_size > AT_ONCE_BYTES

    def begin_writing(self, handle: Handle) -> None:
        """Before the first byte is written since a handle was opened, or since what it wrote was stated."""
        if handle.dirty:
            return
        if handle.behind:
            handle.dirty = True
            return
        if handle.guid in self.gathering:
            self.catch_up()
        newborn = handle.newborn
        if newborn is None or os.fstat(handle.fd).st_nlink > 1:
            self._saving.wrote(handle.guid)
        if newborn is None:
            self._in_flux(handle.guid, handle.path)
        if newborn is None or not newborn.removed:
            self._own_bytes(handle.guid, handle.path)
        elif os.fstat(handle.fd).st_nlink:
            self._own_bytes_of_removed(handle)
        handle.dirty = True

    def _own_bytes_of_removed(self, handle: Handle) -> None:
        """The same for a newborn that was removed while it was open, and whose bytes are a version."""
        draft = self.contents.copies.draft()
        self.contents.copies.put(bytes_of(handle), draft)
        try:
            self.following.forget(handle.inode)
            self.handles.go_over(handle.inode, draft)
        finally:
            remove(draft)

    def _replace(self, guid: Guid, path: str, new: str, digest: str) -> None:
        """Other bytes for a file. Who has the old ones open keeps them, and cannot change the version they are."""
        inode = inode_of_guid(guid)
        self.following.forget(inode)
        self.contents.replace(guid, path, new, digest, in_use=self._is_written(guid))
        self.handles.fall_behind(inode)
        self.live.forget_bytes(inode)

    # -- closing

    def is_to_state(self, handle: Handle, *, closing: bool = False) -> bool:
        """Whether something was written that is to be stated now.

        Args:
            closing: a descriptor was closed, perhaps not the last one (a shell opens, copies
                the descriptor, closes it, and only then writes): nothing written yet is nothing to state.
        """
        if not handle.dirty or handle.data is not None:
            return False
        newborn = handle.newborn
        if newborn is not None and (newborn.removed or newborn.is_temporary):
            return False  # its bytes are in scratch
        return not closing or os.fstat(handle.fd).st_size != 0

    def settle(self, handle: Handle, *, closing: bool = False, taken: Taken | None = None) -> None:
        """At close: state what was written. `closing` as in `is_to_state`.

        Args:
            taken: a copy of the bytes, where the file has others by now.
        """
        if not self.is_to_state(handle, closing=closing):
            return
        newborn = handle.newborn
        if newborn is not None:
            self._give_birth(newborn, handle.process)
            return
        if self._has_other_bytes(handle):
            self._take_in_edit(handle, taken)
        else:
            self._state_bytes(Guid(handle.guid), handle.path, handle.process)
            if handle.alias:
                self.live.forget_bytes(handle.inode)
        handle.dirty = False

    def _has_other_bytes(self, handle: Handle) -> bool:
        """Whether what was written is no longer what its file has: it was saved by another, or has come anew."""
        if handle.behind:
            return True
        try:
            return not os.path.samestat(os.stat(handle.path), os.fstat(handle.fd))
        except FileNotFoundError:
            return True

    async def sync(self, handle: Handle) -> None:
        """fsync(2): the bytes are durable, and where they stand is. What they are is stated when they are closed:

        a database would have all of itself hashed at each commit. After a crash the next mount states it.
        """
        await aside(os.fsync, handle.fd)
        if handle.newborn is not None:
            self.nursery.notes.sync()
        self._store.sync_ledger()

    async def settle_aside(self, handle: Handle, *, closing: bool = False) -> None:
        """`settle`; while bytes are hashed, or another process is waited for, other requests go on.

        Where somebody goes on writing all the time it is left to the next close.
        """
        for _ in range(TRIES):
            if not self.is_to_state(handle, closing=closing):
                return
            if handle.newborn is None and self._has_other_bytes(handle):
                if await self._take_in_edit_aside(handle, closing):
                    return
            elif not await self.following.ready(handle.inode, handle.fd):
                break
            elif await self.turn.take(self._settle_if_quick, handle, closing):
                return
        if not closing and not self._is_left_to_another(handle):
            await self.turn.take(self.settle, handle)

    def _is_left_to_another(self, handle: Handle) -> bool:
        """Whether somebody else has a file open to write, and will state what was written when they close it."""
        for other in self.handles.of(handle.inode):
            if other.writable and other is not handle:
                other.dirty, handle.dirty = True, False
                return True
        return False

    async def _take_in_edit_aside(self, handle: Handle, closing: bool) -> bool:
        """Copy and hash what was written, and state it beside its file. False where somebody goes on writing to it."""
        draft, before = self.contents.copies.draft(), handle.writes
        try:
            taken = await aside(take, bytes_of(handle), draft)
            return await self.turn.take(self._settle_if_same, handle, closing, taken, before)
        except CannotTake as exc:
            log.info("%s", exc)
            return False
        finally:
            remove(draft)

    def _settle_if_same(self, handle: Handle, closing: bool, taken: Taken, writes: int) -> bool:
        same = handle.writes == writes and self._has_other_bytes(handle)
        if same:
            self.settle(handle, closing=closing, taken=taken)
        return same

    def _settle_if_quick(self, handle: Handle, closing: bool) -> bool:
        quick = handle.newborn is not None or not self._has_other_bytes(handle)
        quick = quick and self.following.is_quick(handle.inode, handle.fd)
        if quick:
            self.settle(handle, closing=closing)
        return quick

    async def release_aside(self, number: int) -> None:
        """`release`, in the same way."""
        handle = self.handles[number]
        with suppress(Exception):  # `release` tries again, and tells what is wrong
            await self.settle_aside(handle)
        if self.is_to_state(handle):
            await self.turn.take(self.release, number)
        else:
            self.release(number)

    async def state_aside(self, written: Written) -> None:
        """State what was written without a handle that would do it at its close."""
        guid, path, process = written
        inode = inode_of_guid(guid)
        await self.hash_ahead(inode, path)
        await self.turn.take(self._state_bytes, guid, path, process)
        self._is_followed_no_more(inode)

    def _is_followed_no_more(self, inode: int) -> None:
        if self.following.follows_any and not self.handles.of(inode):
            self.following.forget(inode)

    def _state_bytes(self, guid: Guid, path: str, process: int, digest: str | None = None) -> None:
        digest = digest or self.following.digest(inode_of_guid(guid), path)
        ground = self.nursery.ground_of(guid) or ""
        self._act(process, lambda change: state_content(change, guid, path, digest, ground))
        self._is_stated(guid)

    def _is_stated(self, guid: str) -> None:
        """All that was written to a file so far is stated, by whatever handle."""
        for handle in self.handles.of(inode_of_guid(guid)):
            handle.dirty = False
        self.nursery.at_rest(guid)
        self._saving.settled(guid)
        self._unstated.pop(guid, None)

    def _take_in_edit(self, handle: Handle, taken: Taken | None) -> None:
        """What was written to bytes that are no longer those of the file: a concurrent edit, kept beside it.

        Args:
            taken: a copy of it.
        """
        guid = Guid(handle.guid)
        self.catch_up()
        state = self._state(guid)
        if state.made is None or state.is_purged():
            return  # purged meanwhile: it was removed for good while it was open
        if taken is None:
            taken = take(bytes_of(handle), self.contents.copies.draft())
        try:
            if not os.path.exists(handle.path):
                os.rename(taken.path, handle.path)
                self._state_bytes(guid, handle.path, handle.process, taken.sha256)
            elif not self.contents.has_version(guid, taken.sha256):
                self._is_born_beside(state, taken, handle.process)
        finally:
            remove(taken.path)

    def _is_born_beside(self, state: FileState, taken: Taken, process: int) -> None:
        """A concurrent edit is a file of its own, named for this device and the day."""
        name = copy_name(effects.name_of(state), self._store.info.alias, self._date()).encode()
        tags = [*sorted(state.tags()), CONFLICT_TAG]
        number = copy_guid(Guid(state.guid), taken.sha256)
        if self.looks.view().ordinal(number) is not None or self.nursery.by_inode.get(inode_of_guid(number)):
            number = new_guid(self._store.machine.random_bytes(16))  # these very bytes were kept so once before
        copy = self.nursery.new(number, "", name, tags)
        copy.like = state.guid
        os.rename(taken.path, copy.path)
        copy.remember()
        self._give_birth(copy, process, taken.sha256)
        log.info("%s was replaced while it was being written; what was written is %r", state.guid, name)

    def _date(self) -> str:
        from datetime import UTC, datetime

        return datetime.fromtimestamp(self._clock().now_ms / 1000, UTC).strftime("%Y-%m-%d")

    def release(self, number: int) -> None:
        """The last user of a handle is gone."""
        handle = self.handles[number]
        try:
            self.settle(handle)
        except Exception as exc:  # noqa: BLE001 - nobody is told any more; what was written must not be forgotten
            errno_of(exc)
            log.error("what was written to %s is not stated yet: %s", handle.path, exc)
            if handle.newborn is None and not handle.behind:
                self._unstated[handle.guid] = handle.path
        finally:
            self.handles.is_closed(handle)
            self.handles.pop(number)
            newborn = handle.newborn
            if newborn is None or newborn.removed or not newborn.is_temporary:
                self._is_followed_no_more(handle.inode)  # a temporary is about to be renamed, mostly
            if newborn is not None:
                newborn.handles -= 1
                if newborn.removed:
                    self.nursery.drop(newborn)
            if handle.data is None:
                os.close(handle.fd)

    def _give_birth(self, newborn: Newborn, pid: int, digest: str | None = None) -> None:
        """A newborn becomes a file of the library. `digest`: SHA-256 of its bytes, where it is at hand."""
        name = newborn.name.decode()
        newborn.placed = self._placed(newborn)
        digest = digest or self.following.digest(newborn.inode, newborn.path)
        place = self.contents.put_in_place(newborn, name)
        line: Line | None = None
        try:
            inherits = newborn.placed is not None and bool(newborn.placed.knows)
            inherits = inherits or may_be_copy(newborn.guid)  # another node may have made it, too
            if not newborn.xattrs and not self.contents.places_anew and not inherits:
                # Else what is stated, or where it is to stand, takes a look at the index.
                line = self._state_birth(pid, lambda said: self.contents.birth(said, newborn, name, digest, place))
            if line is None:
                self._act(pid, lambda change: self.contents.birth(change, newborn, name, digest, place))
        except BaseException:
            self.contents.not_born(newborn, place)
            raise
        for handle in self.handles.of(newborn.inode):
            handle.newborn, handle.path, handle.dirty = None, place, False
        if line is not None:
            self.gathering.add(newborn, line)
            newborn.path = place
        else:
            self.contents.is_born(newborn, place)
            self._let_go(self.looks.view(), [newborn])

    def _placed(self, newborn: Newborn) -> effects.Placed | None:
        """Rule 6: where a backup or conflict copy is to be known and held; None of what is none."""
        names = list(origins(newborn.name))
        if not newborn.like and not names:
            return None
        self.catch_up()
        view = self.looks.view()
        ordinal = view.ordinal(newborn.like) if newborn.like else None
        if ordinal is None:
            beside = (self._beside(newborn, name) for name in names)
            ordinal = next((found for found in beside if found is not None), None)
        if ordinal is None:
            return None
        return effects.placed_like(self.contents.state(view, ordinal), self._store.node)

    def _beside(self, newborn: Newborn, name: bytes) -> int | None:
        """The file of the library with a name in the directory of a newborn."""
        known = self.directories.with_path(newborn.directory)
        if known is not None:
            found = self._found(known, name)
            return found if isinstance(found, int) else None
        view, clock = self.looks.view(), self._clock()
        directory = tree.directory_at(view, self.directories.root, newborn.directory, clock)
        return view.lookup(name, tree.result(view, directory, clock)) if directory is not None else None

    def _grow_up(self, newborn: Newborn) -> None:
        """A newborn that nobody writes, under a name of its own, becomes a file of the library."""
        if newborn.is_temporary or newborn.handles:
            return
        self._give_birth(newborn, 0)


def is_removed(handle: Handle) -> bool:
    """Whether a handle is open on a newborn that was removed since."""
    return handle.newborn is not None and handle.newborn.removed


def bytes_of(handle: Handle) -> str:
    """A path by which the bytes can be read that a handle is open on, whatever their file has by now."""
    return f"/proc/self/fd/{handle.fd}"
