"""Bytes that programs write: opening, making and emptying files, and the names that come back to one.

For the order in which bytes and facts are kept see `closing`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tagfs.change import Change
from tagfs.face import face_of
from tagfs.guid import Guid, new_guid
from tagfs.index.read import View
from tagfs.mount.acting import Statements
from tagfs.mount.answer import Refused, fail
from tagfs.mount.closing import Closing, Written, bytes_of, is_removed
from tagfs.mount.contents import state_content
from tagfs.mount.directories import Known
from tagfs.mount.handles import Handle
from tagfs.mount.newborn import Newborn, inode_of_guid
from tagfs.views import attributes, effects, fetching, saving
from tagfs.views.directory import Kind
from tagfs.views.matrix import Operation, Refusal, rule
from tagfs.views.names import new_name, shown_form
from tagfs.views.temporary import database_of

ComingBack = saving.ContinueIdentity[str] | saving.RestoreIdentity[str]


class NotHere(Refused):
    """A file is opened whose bytes are not on this node. `others`: the nodes that may have them (GUIDs)."""

    def __init__(self, guid: str, name: str, others: frozenset[str], refusal: Refusal) -> None:
        self.guid = guid
        self.name = name
        self.others = others
        super().__init__(refusal)


class Writing(Closing):
    """Opening, making and writing files."""

    # -- opening, making

    def open_static(self, data: bytes, flags: int) -> int:
        """Open a file that explains."""
        if flags & os.O_ACCMODE != os.O_RDONLY:
            fail(errno.EPERM)
        handle = Handle(-1, "", "", False, saving.UNKNOWN)
        handle.data = data
        return self.handles.add(handle)

    def open(self, inode: int, flags: int, pid: int) -> int:
        """Open a file. Raises `NotHere` (ENODATA) where its bytes are not on this device."""
        writable = flags & os.O_ACCMODE != os.O_RDONLY
        if writable and self._read_only:
            fail(errno.EROFS)
        # Handles are shared by whoever inherits them, so they can always be read from. Appending is the kernel's,
        # and so is O_DIRECT: our own buffers are not aligned for it.
        flags_here = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC
        empties = bool(flags & os.O_TRUNC) and writable
        newborn = self.nursery.by_inode.get(inode)
        if newborn is not None and newborn.line is not None:
            if not writable:
                path_here = newborn.path
                handle = Handle(os.open(path_here, flags_here), newborn.guid, path_here, False, self._process(pid))
                return self.handles.add(handle)
            newborn = self.newborn(inode)
        if newborn is not None:
            handle = Handle(
                os.open(self._open_path(newborn), flags_here), newborn.guid, newborn.path, writable, self._process(pid)
            )
            handle.newborn = newborn
            newborn.handles += 1
            number = self.handles.add(handle)
            if empties:
                self._empty_newborn(newborn)
                handle.dirty = True
            return number
        view = self.looks.view()
        ordinal = self.ordinal(view, inode)
        guid = view.guid(ordinal)
        if not writable:
            found = self.contents.open_to_read(view, ordinal, guid)
            if found is None:
                raise self._not_here(view, ordinal)
            fd, path_here = found
            handle = Handle(fd, guid, path_here, False, saving.UNKNOWN, self.real_inode(inode))
            handle.alias = handle.inode != inode
            return self.handles.add(handle)
        self._refuse(rule(attributes.place_of_file(self.contents.state(view, ordinal)), Operation.WRITE))
        path = self.contents.path(view, ordinal)
        if path is None:
            raise self._not_here(view, ordinal)
        if empties:
            self._empty(Guid(guid), path)
        handle = Handle(os.open(path, flags_here), guid, path, True, self._process(pid))
        handle.dirty = empties
        handle.alias = handle.inode != inode
        return self.handles.add(handle)

    def _not_here(self, view: View, ordinal: int) -> NotHere:
        state, names = self.contents.state(view, ordinal), view.node_names()
        me, face = self._store.node, face_of(state, self._store.node, list(names))
        gone = view.nodes_that_left()
        # As long as they move, who held them may have them; who was forgotten brings nothing any more.
        others = frozenset({*state.holds, state.by}) - {me} - gone
        holders = [names.get(node, node[:8]) for node in face.holds - {me} - gone or others]
        refusal = fetching.not_here(face.name, state.guid, holders, comes=me in face.holds)
        return NotHere(state.guid, face.name, others, refusal)

    def _open_path(self, newborn: Newborn) -> str:
        """Where the bytes of a newborn can be opened; of one that was removed, those of an open handle."""
        if newborn.removed:
            for handle in self.handles.of(newborn.inode):
                return f"/proc/self/fd/{handle.fd}"
        return newborn.path

    def _empty(self, guid: Guid, path: str) -> None:
        """Before a file is emptied its bytes are set aside, if they were acknowledged and are not in flux."""
        size = os.stat(path).st_size
        kept = self._saving.truncate(guid, 0, size) is not None and not self.handles.any_dirty(inode_of_guid(guid))
        if size == 0:
            return
        digest = self._digest_of(guid, path) if kept else ""
        self.following.forget(inode_of_guid(guid))
        self._in_flux(guid, path)
        if kept:
            self.contents.replace(guid, path, self._draft(guid), digest, in_use=False)
            self.handles.go_over(inode_of_guid(guid), path)
        else:
            self._empty_bytes(guid, path)

    def _empty_bytes(self, guid: str, path: str) -> None:
        """Empty what stands at `path`, and not what a version has."""
        if os.stat(path).st_nlink == 1:
            os.truncate(path, 0)
        else:
            os.rename(self._draft(guid), path)
            self.handles.go_over(inode_of_guid(guid), path)

    def _empty_newborn(self, newborn: Newborn) -> None:
        self.following.forget(newborn.inode)
        if newborn.removed:
            self._truncate_removed(newborn, 0)
        else:
            if os.stat(newborn.path).st_nlink > 1:
                self._saving.wrote(newborn.guid)
            self._empty_bytes(newborn.guid, newborn.path)
        self._saving.made(newborn.guid, self._now())

    def _truncate_removed(self, newborn: Newborn, size: int) -> None:
        for handle in self.handles.of(newborn.inode):
            if handle.writable:
                self.begin_writing(handle)
                os.ftruncate(handle.fd, size)
                return

    @asynccontextmanager
    async def ahead_of_truncate(self, inode: int, size: int, handle: Handle | None) -> AsyncIterator[None]:
        """What takes long before the size of a file is set is done ahead; inside, `open` and `truncate` are quick."""
        real = self.real_inode(inode)
        self._sized[real] += 1
        try:
            async with self._ahead_of_truncate(inode, size, handle):
                yield
        finally:
            self._sized[real] -= 1
            if not self._sized[real]:
                del self._sized[real]

    @asynccontextmanager
    async def _ahead_of_truncate(self, inode: int, size: int, handle: Handle | None) -> AsyncIterator[None]:
        is_gone = handle is not None and (handle.behind or not os.path.exists(handle.path))
        newborn = self.nursery.by_inode.get(inode)
        was_just_born = newborn is not None and newborn.line is not None  # it is stated, and nobody shares it yet
        if handle is not None and is_removed(handle) and not handle.dirty:
            async with self.contents.copies.ahead([bytes_of(handle)] if os.fstat(handle.fd).st_nlink else []):
                yield
        elif self._read_only or is_gone or was_just_born or self.handles.any_dirty(self.real_inode(inode)):
            yield
        elif newborn is not None:
            async with self.contents.copies.ahead([newborn.path] if size and _is_shared(newborn.path) else []):
                yield
        else:
            view = self.looks.view()
            ordinal = self.ordinal(view, inode)
            guid, path = view.guid(ordinal), self.contents.path(view, ordinal)
            if not size:
                async with self._ahead([guid], copies=False):  # all go over to the new ones
                    yield
            else:
                async with self.contents.copies.ahead([path] if path is not None and _is_shared(path) else []):
                    yield

    def _draft(self, guid: str) -> str:
        """An empty file in scratch."""
        draft = os.path.join(self.nursery.scratch, f"empty-{guid}")
        os.close(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        return draft

    def create(self, known: Known, name: bytes, mode: int, pid: int) -> tuple[int, int]:
        """A program makes a file. Returns (handle, inode)."""
        if self._read_only:
            fail(errno.EROFS)
        tags = effects.on_create(self.looks.view(), known.directory, name)
        if isinstance(tags, Refusal):
            raise Refused(tags)
        wanted = new_name(name)
        if self.nursery.find(known.directory.path, wanted) is not None:
            fail(errno.EEXIST)
        tgid, now = self._process(pid), self._now()
        outcome = self._saving.create(known.directory.path, wanted, tgid, now)
        if not isinstance(outcome, saving.NewFile):
            back = self._made_again(known, wanted, outcome, pid)
            if back is not None:
                return back
        guid = new_guid(self._store.machine.random_bytes(16))
        newborn = self.nursery.new(guid, known.directory.path, wanted, tags, mode & 0o7777)
        newborn.companion = self._is_companion(known, wanted)
        self.nursery.add(newborn)  # noted first: a crash leaves no bytes that nobody knows the name of
        try:
            fd = os.open(newborn.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError:
            self.nursery.drop(newborn)
            raise
        known.sticky.occupy(wanted)
        self._saving.made(guid, now)
        self._makers[guid] = (tgid, now)
        if len(self._makers) > saving.MADE_KEPT:
            self._makers.popitem(last=False)
        handle = Handle(fd, guid, newborn.path, True, tgid)
        handle.newborn = newborn
        handle.dirty = True
        newborn.handles += 1
        return self.handles.add(handle), newborn.inode

    def comes_back(self, known: Known, name: bytes) -> list[str]:
        """The files that may have this name again, if it is made now: then that means more than a new file."""
        return self._saving.may_come_back(known.directory.path, new_name(name))

    async def create_again(self, known: Known, name: bytes, mode: int, pid: int) -> tuple[int, int]:
        """`create` where a file may come back; other requests go on meanwhile."""
        async with self._ahead(self.comes_back(known, name)):
            return await self.turn.take(self.create, known, name, mode, pid)

    def make_node(self, known: Known, name: bytes, mode: int, pid: int) -> int:
        """mknod(2): an empty file. Returns its inode."""
        number, inode = self.create(known, name, mode, pid)
        self.settle(self.handles[number])
        self.release(number)
        return inode

    def _is_companion(self, known: Known, name: bytes) -> bool:
        if known.directory.kind is Kind.DESKTOP_INFO:
            return True  # a note, until its file comes
        database = database_of(name)
        return database is not None and self._found(known, database) is not None

    # -- coming back

    def _made_again(self, known: Known, name: bytes, outcome: ComingBack, pid: int) -> tuple[int, int] | None:
        """A name is made again that a file had a moment ago: it is that file's, with new bytes."""
        self.catch_up()
        path = self._come_back(known, name, outcome, pid, empty=True)
        if path is None:
            return None
        handle = Handle(os.open(path, os.O_RDWR | os.O_CLOEXEC), outcome.file, path, True, self._process(pid))
        handle.dirty = True
        return self.handles.add(handle), handle.inode

    def _come_back(self, known: Known, name: bytes, outcome: ComingBack, pid: int, *, empty: bool) -> str | None:
        """Rule 2 or 3: a file has its name and the rest again; what it was set aside as is a file with its old bytes.

        Args:
            empty: its bytes become a version, and it has none; else they are about to be replaced.
        Returns the path of its bytes, None where it is not to be had any more.
        """
        guid = Guid(outcome.file)
        view = self.looks.view()
        ordinal = view.ordinal(guid)
        path = self.contents.path(view, ordinal) if ordinal is not None else None
        if ordinal is None or path is None:
            return None
        known_state = self.contents.state(view, ordinal)
        if known_state.is_trashed() and not (isinstance(outcome.was, dict) and "trash" in outcome.was):
            return None  # somebody else removed it meanwhile; what is made now must not be in the trash
        digest = self._digest_of(guid, path)
        backup: Newborn | None = None
        keeps: tuple[Guid, str] | None = None
        if isinstance(outcome, saving.ContinueIdentity):
            keeps = self._backup_keeps(outcome)
            number = new_guid(self._store.machine.random_bytes(16))
            tags = list(known.directory.tags)
            backup = self.nursery.new(number, known.directory.path, outcome.backup_name, tags)
            backup.like = guid
            self.contents.give_to_backup(guid, path, digest, backup.path, in_use=self._is_written(guid))
        if empty:
            self._in_flux(guid, path)
            self._replace(guid, path, self._draft(guid), digest)
        was: Statements = dict(outcome.was) if isinstance(outcome.was, dict) else {}
        if was:
            old = view.name(ordinal)
            self._about(pid, guid, lambda change, state: was)
            self._is_called_otherwise(ordinal, old, str(was.get("name", old)))
        view = self.looks.view()
        self._has_name(view, known, name, guid)
        if keeps is not None and backup is not None:
            self._is_backup_again(known, keeps, backup, digest, pid)
        elif backup is not None and self.nursery.find(known.directory.path, backup.name) is None:
            self.nursery.add(backup)
            known.sticky.occupy(backup.name)
            self._saving.backup_made(backup.guid, guid, self._process(pid), self._now())
            self.live.forget_entry(known.inode, backup.name)
            if not backup.is_temporary:
                self._give_birth(backup, pid, digest)
        if backup is not None:
            # By the backup's name the kernel still means the file that has just come back.
            self.live.doubt(inode_of_guid(guid))
        return path

    def _has_name(self, view: View, known: Known, name: bytes, guid: str) -> None:
        """A file stands under a name: if that is its own, and not its long one, it leads to it from now on."""
        ordinal = self._ordinal_of(view, guid)
        if shown_form(view.name(ordinal).encode("utf-8", "surrogatepass")) == shown_form(name):
            known.sticky.takes_over(name, ordinal, self._files(view, known))

    def _backup_keeps(self, outcome: saving.ContinueIdentity[str]) -> tuple[Guid, str] | None:
        """The file that was the backup before, with the path of its bytes, if it is still to be had."""
        if outcome.backup_keeps is None:
            return None
        view = self.looks.view()
        ordinal = view.ordinal(outcome.backup_keeps)
        path = self.contents.path(view, ordinal) if ordinal is not None else None
        return (Guid(outcome.backup_keeps), path) if path is not None else None

    def _is_backup_again(self, known: Known, keeps: tuple[Guid, str], backup: Newborn, digest: str, pid: int) -> None:
        """The earlier backup has its name again, and the bytes of the new one, with this SHA-256."""
        guid, path = keeps
        old_digest = self._digest_of(guid, path)
        self._in_flux(guid, path)
        self._replace(guid, path, backup.path, old_digest)
        ground = self.nursery.ground_of(guid) or ""
        name = backup.name.decode()
        view = self.looks.view()
        ordinal = self._ordinal_of(view, guid)
        old = view.name(ordinal)

        def state(change: Change) -> None:
            known_state = change.state(guid)
            own = {change.view.canonical(tag) for tag in known_state.tags()}
            missing = [tag for tag in backup.tags if change.view.canonical(tag) not in own]
            change.about_file(guid, name=name, trash=False, tag=missing or None)
            state_content(change, guid, path, digest, ground)

        self._act(pid, state)
        self._is_called_otherwise(ordinal, old, name)
        self.nursery.at_rest(guid)
        self._has_name(self.looks.view(), known, backup.name, guid)
        self.live.forget_bytes(inode_of_guid(guid))
        self.live.forget_entry(known.inode, backup.name)

    def truncate(self, inode: int, size: int, handle: Handle | None, pid: int) -> Written | None:
        """A program sets the size of a file. Returns what is to be stated now (`state_aside`)."""
        self.following.forget(self.real_inode(inode))
        if handle is not None and is_removed(handle) and handle.newborn is not None:
            self._truncate_removed(handle.newborn, size)
            return None
        if handle is not None and (handle.behind or not os.path.exists(handle.path)):
            os.ftruncate(handle.fd, size)
            handle.writes += 1
            handle.dirty = True
            return None
        newborn = self.newborn(inode)
        if newborn is not None:
            if size == 0:
                self._empty_newborn(newborn)
            elif newborn.removed:
                self._truncate_removed(newborn, size)
            else:
                if _is_shared(newborn.path):
                    self._saving.wrote(newborn.guid)
                    self._own_bytes(newborn.guid, newborn.path)
                os.truncate(newborn.path, size)
            return None
        view = self.looks.view()
        ordinal = self.ordinal(view, inode)
        guid = Guid(view.guid(ordinal))
        writer = handle if handle is not None and handle.writable else self.writer_of(inode_of_guid(guid))
        if writer is None:  # who has it open to write may go on, also once it is in the trash
            self._refuse(rule(attributes.place_of_file(self.contents.state(view, ordinal)), Operation.TRUNCATE))
        path_here = self.contents.path(view, ordinal)
        if path_here is None:
            fail(errno.ENODATA)
        if size == 0:
            self._empty(guid, path_here)
        else:
            self._saving.wrote(guid)
            self._in_flux(guid, path_here)
            self._own_bytes(guid, path_here)
            os.truncate(path_here, size)
        if writer is not None:
            writer.dirty = True
            return None
        return Written(guid, path_here, self._process(pid))


def _is_shared(path: str) -> bool:
    """Whether bytes have another name as well: they are those of a version, or of a backup."""
    try:
        return os.stat(path).st_nlink > 1
    except FileNotFoundError:
        return False
