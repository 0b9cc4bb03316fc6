"""What programs change through the mount, carried out: handles, saves, moves, removals.

The decisions come from `views.effects` (the table of operations) and `views.saving` (what
a save means); here they become facts and movements of bytes, in an order in which a crash
at any point loses neither: bytes are set aside before they are replaced, in place before
they are stated, and unlinked only when a fact or a version has them.

Facts are acknowledged by the append to the ledger; `fsync(2)` makes them durable, and
`tick` does within a second.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import pyfuse3

from tagfs.bucket import Clock
from tagfs.bytes import hash_file
from tagfs.change import Change
from tagfs.errors import LytsError
from tagfs.fact import Purge
from tagfs.glossary import TAG_THING
from tagfs.guid import Guid, new_guid
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.mount.answer import Refused, fail
from tagfs.mount.contents import Contents, state_content
from tagfs.mount.directories import Directories, Known, ViewFiles
from tagfs.mount.live import Live
from tagfs.mount.looks import Looks
from tagfs.mount.newborn import FILE_BIT, Newborn, Nursery, inode_of_guid
from tagfs.store import Store
from tagfs.views import attributes, effects, saving, tree
from tagfs.views.brake import Brake
from tagfs.views.directory import Directory, Kind
from tagfs.views.matrix import Effect, Operation, Refusal, rule
from tagfs.views.names import new_name, strip_own_suffix
from tagfs.views.temporary import becomes_ordinary

log = logging.getLogger(__name__)

T = TypeVar("T")
Statements = dict[str, Any]

TAGS_BY_MAKER_NS = 60 * 10**9
"""So long `user.xdg.tags` set by the process that made a file adds to the tags of the path."""
ALIASES_KEPT = 4096
PROCESSES_KEPT = 1024
SYNC_TICKS = 3


class Handle:
    """An open file."""

    __slots__ = ("data", "dirty", "fd", "guid", "inode", "newborn", "path", "writable")

    def __init__(self, fd: int, inode: int, guid: str, path: str, writable: bool) -> None:
        self.fd = fd
        self.inode = inode
        self.guid = guid
        self.path = path
        self.writable = writable
        self.dirty = False
        self.newborn: Newborn | None = None
        self.data: bytes | None = None


class Changes:
    """The changing side of a mount. Trio thread only."""

    def __init__(
        self,
        store: Store,
        root: Directory,
        clock: Callable[[], Clock],
        monotonic_ns: Callable[[], int],
        *,
        read_only: bool,
    ) -> None:
        self._store = store
        self._clock = clock
        self._now = monotonic_ns
        self._read_only = read_only
        self.looks = Looks(store)
        self.directories = Directories(root, pyfuse3.ROOT_INODE)
        self.nursery = Nursery(store.layout.scratch)
        self.contents = Contents(store, self.looks.view())
        self.live = Live(self.directories, self.looks.view().tx.id())
        self.handles: dict[int, Handle] = {}
        self._writers: dict[int, list[Handle]] = {}
        self._next_handle = 1 << 32
        self._saving: saving.Saving[str] = saving.Saving()
        self._groups = saving.ActionGroups()
        self._brake = Brake()
        self._makers: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """GUID -> (process, when) of files made through the mount."""
        self._stand_ins: OrderedDict[int, str] = OrderedDict()
        """Inodes that the kernel may still ask for after a save gave their name to another file."""
        self._processes: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._ticks = 0
        self.changed_ns = 0
        if not read_only:
            for newborn in self.nursery.gather():
                self.nursery.add(newborn)
                self._grow_up(newborn)

    # -- finding

    def resolve(self, view: View, known: Known, name: bytes) -> int | None:
        """The file that a name leads to in a directory of files."""
        return known.sticky.resolve(name, self._files(view, known))

    def _files(self, view: View, known: Known) -> ViewFiles:
        return ViewFiles(view, known.files(view, self._clock()))

    def ordinal(self, view: View, inode: int) -> int:
        """The file with an inode. ENOENT where there is none."""
        guid = self._stand_ins.get(inode)
        found = view.ordinal(guid) if guid is not None else view.by_ident(inode & (FILE_BIT - 1))
        if found is None or not inode & FILE_BIT:
            fail(errno.ENOENT)
        return found

    def _found(self, known: Known, name: bytes) -> Newborn | int | None:
        """What stands under a name: a newborn, the ordinal of a file, or None."""
        newborn = self.nursery.find(known.directory.path, name)
        if newborn is not None:
            return newborn
        view = self.looks.view()
        if known.directory.kind is Kind.IDS:
            return tree.file_by_id(view, name.decode("utf-8", "replace"))
        return self.resolve(view, known, name)

    def writer_of(self, inode: int) -> Handle | None:
        """A handle that writes a file, if there is one."""
        writers = self._writers.get(inode)
        return writers[-1] if writers else None

    def _process(self, pid: int) -> int:
        """The thread group of a thread, as the kernel told it; remembered for a moment."""
        now = self._now()
        known = self._processes.get(pid)
        if known is not None and now - known[1] < 2 * 10**9:
            return known[0]
        tgid = pid
        try:
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
                for line in file:
                    if line.startswith("Tgid:"):
                        tgid = int(line[5:])
                        break
        except (OSError, ValueError):
            pass
        self._processes[pid] = (tgid, now)
        if len(self._processes) > PROCESSES_KEPT:
            self._processes.popitem(last=False)
        return tgid

    # -- stating

    def _act(self, pid: int, state_facts: Callable[[Change], T]) -> T:
        """State facts, as part of what the process has been doing for the last seconds."""
        if self._read_only:
            fail(errno.EROFS)
        tgid, now = self._process(pid), self._now()
        self.looks.drop()

        def state(change: Change) -> tuple[T, str | None]:
            return state_facts(change), change.action

        result, action = self._store.act(state, action=self._groups.action(tgid, now), durable=False, frees_space=True)
        if action is not None:
            self._groups.done(tgid, action, now)
            self.changed_ns = self._clock().now_ms * 1_000_000
        return result

    def _about(self, pid: int, guid: str, decide: Callable[[Change, FileState], Statements | Refusal]) -> Statements:
        """State what `decide` says about a file."""

        def state(change: Change) -> Statements:
            said = decide(change, change.state(guid))
            if isinstance(said, Refusal):
                raise Refused(said)
            if said:
                change.about_file(guid, **said)
            return said

        return self._act(pid, state)

    def about_tags(self, decide: Callable[[Change], list[effects.Stated] | Refusal], pid: int) -> None:
        """State what `decide` says about tags and saved queries."""

        def state(change: Change) -> None:
            said = decide(change)
            if isinstance(said, Refusal):
                raise Refused(said)
            for item in said:
                change.about(item.subject, item.kind, item.text, **item.statements)

        self._act(pid, state)

    # -- opening, making

    def _add_handle(self, handle: Handle) -> int:
        number = self._next_handle
        self._next_handle += 1
        self.handles[number] = handle
        if handle.writable:
            self._writers.setdefault(handle.inode, []).append(handle)
        return number

    def open_static(self, data: bytes) -> int:
        """Open a file that explains."""
        handle = Handle(-1, 0, "", "", False)
        handle.data = data
        return self._add_handle(handle)

    def open(self, inode: int, flags: int, pid: int) -> int:
        """Open a file. ENODATA where its bytes are not on this device."""
        writable = flags & os.O_ACCMODE != os.O_RDONLY
        if writable and self._read_only:
            fail(errno.EROFS)
        newborn = self.nursery.by_inode.get(inode)
        # Handles are shared by whoever inherits them, so they can always be read from; appending is the kernel's.
        flags_here = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | (flags & os.O_DIRECT)
        if newborn is not None:
            handle = Handle(os.open(newborn.path, flags_here), inode, newborn.guid, newborn.path, writable)
            handle.newborn = newborn
            newborn.handles += 1
            if flags & os.O_TRUNC and writable:
                os.ftruncate(handle.fd, 0)
                handle.dirty = True
            return self._add_handle(handle)
        view = self.looks.view()
        ordinal = self.ordinal(view, inode)
        if writable:
            self._refuse(rule(attributes.place_of_file(self.contents.state(view, ordinal)), Operation.WRITE))
        path = self.contents.path(view, ordinal)
        if path is None:
            fail(errno.ENODATA)
        guid = view.guid(ordinal)
        if flags & os.O_TRUNC and writable:
            self._empty(guid, inode, path)
        handle = Handle(os.open(path, flags_here), inode, guid, path, writable)
        handle.dirty = bool(flags & os.O_TRUNC) and writable
        return self._add_handle(handle)

    def _empty(self, guid: str, inode: int, path: str) -> None:
        """Before a file is emptied its bytes are set aside, if they were acknowledged and are not in flux."""
        size = os.stat(path).st_size
        if self._saving.truncate(guid, 0, size) is not None and self.writer_of(inode) is None:
            digest = self._head(guid)
            if digest:
                draft = self.nursery.path_for(guid) + ".empty"
                os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
                self.contents.replace(guid, path, draft, digest)
                return
        os.truncate(path, 0)

    def _head(self, guid: str) -> str:
        """The SHA-256 of the content a file has by its facts."""
        heads = self._store.states([guid])[0].content_heads()
        return heads[-1][1].sha256 if heads else ""

    def create(self, known: Known, name: bytes, mode: int, flags: int, pid: int) -> tuple[int, int]:
        """A program makes a file. Returns (handle, inode)."""
        if self._read_only:
            fail(errno.EROFS)
        tags = effects.on_create(self.looks.view(), known.directory)
        if isinstance(tags, Refusal):
            raise Refused(tags)
        wanted = new_name(name)
        tgid, now = self._process(pid), self._now()
        outcome = self._saving.create(known.directory.path, wanted, tgid, now)
        if not isinstance(outcome, saving.NewFile):
            back = self._come_back(known, wanted, outcome, pid)
            if back is not None:
                return back
        guid = new_guid(self._store.machine.random_bytes(16))
        path = self.nursery.path_for(guid)
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | (flags & os.O_DIRECT), 0o600)
        newborn = Newborn(guid, path, known.directory.path, wanted, tags)
        self.nursery.add(newborn)
        known.sticky.occupy(wanted)
        self._saving.made(guid, now)
        self._makers[guid] = (tgid, now)
        if len(self._makers) > saving.MADE_KEPT:
            self._makers.popitem(last=False)
        if mode & 0o111:
            os.fchmod(fd, 0o700)
        handle = Handle(fd, newborn.inode, guid, path, True)
        handle.newborn = newborn
        handle.dirty = True
        newborn.handles += 1
        return self._add_handle(handle), newborn.inode

    def _come_back(
        self,
        known: Known,
        name: bytes,
        outcome: saving.ContinueIdentity[str] | saving.RestoreIdentity[str],
        pid: int,
    ) -> tuple[int, int] | None:
        """A name is made again that a file had a moment ago: it is that file's, with new bytes."""
        guid = Guid(outcome.file)
        view = self.looks.view()
        ordinal = view.ordinal(guid)
        path = self.contents.path(view, ordinal) if ordinal is not None else None
        digest = self._head(guid)
        if path is None or not digest:
            return None
        draft = self.nursery.path_for(guid) + ".again"
        os.close(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        backup: Newborn | None = None
        if isinstance(outcome, saving.ContinueIdentity) and outcome.backup_keeps is None:
            backup_guid = new_guid(self._store.machine.random_bytes(16))
            backup = Newborn(
                backup_guid,
                self.nursery.path_for(backup_guid),
                known.directory.path,
                outcome.backup_name,
                known.directory.tags,
            )
            os.link(path, backup.path)
        self.contents.replace(guid, path, draft, digest)
        was: Statements = dict(outcome.was) if isinstance(outcome.was, dict) else {}
        self._about(pid, guid, lambda change, state: {"name": name.decode(), **was})
        view = self.looks.view()
        known.sticky.takes_over(name, self._ordinal_of(view, guid), self._files(view, known))
        if backup is not None:
            # The old bytes are a version too, under the hash that the backup shares with them.
            self.nursery.add(backup)
            known.sticky.occupy(backup.name)
            self._saving.backup_made(backup.guid, guid, self._process(pid), self._now())
            self.live.forget_entry(known.inode, backup.name)
            if not backup.is_temporary:
                self._give_birth(backup, pid)
        handle = Handle(os.open(path, os.O_RDWR | os.O_CLOEXEC), inode_of_guid(guid), guid, path, True)
        handle.dirty = True
        return self._add_handle(handle), handle.inode

    def _ordinal_of(self, view: View, guid: str) -> int:
        ordinal = view.ordinal(guid)
        if ordinal is None:
            fail(errno.ENOENT)
        return ordinal

    # -- closing

    def settle(self, handle: Handle, *, closing: bool = False) -> None:
        """At close and fsync: state what was written.

        Args:
            closing: a descriptor was closed, perhaps not the last one (a shell opens, copies
                the descriptor, closes it, and only then writes): nothing written yet is nothing to state.
        """
        if handle.data is not None or not handle.dirty:
            return
        if closing and os.fstat(handle.fd).st_size == 0:
            return
        newborn = handle.newborn
        if newborn is not None:
            if newborn.removed or newborn.is_temporary:
                return  # nothing to state: its bytes are in scratch
            self._give_birth(newborn, 0)
            handle.dirty = False
            handle.newborn = None
            handle.path = newborn.path
            return
        handle.dirty = False
        self._act(0, lambda change: state_content(change, Guid(handle.guid), handle.path))
        self._saving.settled(handle.guid)

    def release(self, number: int) -> None:
        """The last user of a handle is gone."""
        handle = self.handles.pop(number)
        if handle.data is not None:
            return
        try:
            self.settle(handle)
        except (OSError, LytsError) as exc:
            log.error("what was written to %s could not be stated: %s", handle.path, exc)
        finally:
            if handle.writable:
                writers = self._writers[handle.inode]
                writers.remove(handle)
                if not writers:
                    del self._writers[handle.inode]
            if handle.newborn is not None:
                handle.newborn.handles -= 1
            os.close(handle.fd)

    def _give_birth(self, newborn: Newborn, pid: int) -> None:
        """A newborn becomes a file of the library."""
        name = newborn.name.decode()
        digest = hash_file(newborn.path)
        path = self.contents.put_in_place(newborn, name)
        mode = stat.S_IMODE(os.stat(path).st_mode)

        def state(change: Change) -> None:
            self.contents.birth(change, newborn, name, digest, newborn.tags)
            if mode & 0o100:
                change.about_file(newborn.guid, mode=0o755)

        try:
            self._act(pid, state)
        except BaseException:
            os.rename(path, self.nursery.path_for(newborn.guid))
            newborn.path = self.nursery.path_for(newborn.guid)
            newborn.remember()
            raise
        self.nursery.drop(newborn)
        view = self.looks.view()
        for known in self.directories:
            if known.directory.path == newborn.directory:
                files = self._files(view, known)
                known.sticky.takes_over(newborn.name, self._ordinal_of(view, newborn.guid), files)
        for handle in self.handles.values():
            if handle.newborn is newborn:
                handle.newborn, handle.path = None, path

    # -- names

    def _refuse(self, found: Effect | Refusal) -> Effect:
        if isinstance(found, Refusal):
            raise Refused(found)
        return found

    def _brake_on(self, directory: Directory, pid: int) -> None:
        if rule(directory, Operation.REMOVE) is Effect.TRASH_WITH_BRAKE:
            refusal = self._brake.refuse(self._process(pid), self._now() // 1_000_000)
            if refusal is not None:
                raise Refused(refusal)

    def unlink(self, known: Known, name: bytes, pid: int) -> None:
        """A program removes a name."""
        found = self._found(known, name)
        if found is None:
            fail(errno.ENOENT if known.directory.kind is not Kind.ROOT else errno.EPERM)
        tgid, now = self._process(pid), self._now()
        if isinstance(found, Newborn):
            outcome = self._saving.unlink(known.directory.path, name, found.guid, tgid, now)
            if isinstance(outcome, saving.DropBackup):
                self._drop_backup(found, outcome.original)
            elif os.path.exists(found.path):
                os.unlink(found.path)
            found.removed = True
            self.nursery.drop(found)
            known.sticky.vacate(name, self._files(self.looks.view(), known))
            return
        view = self.looks.view()
        guid = view.guid(found)
        self._brake_on(known.directory, pid)
        state = self.contents.state(view, found)
        fresh = guid in self._makers and now - self._makers[guid][1] < saving.YOUNG_NS
        planned = effects.on_remove(view, state, known.directory, fresh=fresh)
        if isinstance(planned, Refusal):
            raise Refused(planned)
        outcome = self._saving.unlink(known.directory.path, name, guid, tgid, now, _undo_of(planned))
        if isinstance(outcome, saving.DropBackup):
            planned = {"trash": True}
        self._about(pid, guid, lambda change, state: planned)
        known.sticky.left(found, effects.name_of(state).encode("utf-8", "surrogatepass"))

    def _drop_backup(self, backup: Newborn, original: str) -> None:
        """A backup is gone: its bytes are a version of what it was a backup of."""
        digest = hash_file(backup.path)
        self.contents.keep_version(original, backup.path, digest)
        os.unlink(backup.path)

    def rename(self, source: Known, name: bytes, target: Known, to_name: bytes, flags: int, pid: int) -> None:
        """A program renames or moves."""
        if self._read_only:
            fail(errno.EROFS)
        found = self._found(source, name)
        if found is None:
            self._rename_directory(source, name, target, to_name, pid)
            return
        wanted = new_name(to_name)
        standing = self._found(target, wanted)
        if standing is not None and flags & saving.RENAME_NOREPLACE:
            fail(errno.EEXIST)
        if isinstance(found, Newborn):
            self._rename_newborn(source, found, target, wanted, standing, flags, pid)
        else:
            self._rename_file(source, name, found, target, wanted, standing, flags, pid)

    def _rename_newborn(
        self,
        source: Known,
        newborn: Newborn,
        target: Known,
        name: bytes,
        standing: Newborn | int | None,
        flags: int,
        pid: int,
    ) -> None:
        if flags & saving.RENAME_EXCHANGE:
            fail(errno.EINVAL)
        tags: list[str] | Refusal = newborn.tags
        if target is not source:
            tags = effects.on_create(self.looks.view(), target.directory)
            if isinstance(tags, Refusal):
                raise Refused(tags)
        assert not isinstance(tags, Refusal)
        tgid, now = self._process(pid), self._now()
        target_guid = self.looks.view().guid(standing) if isinstance(standing, int) else None
        old_name = newborn.name
        outcome = self._saving.rename(
            source.directory.path, old_name, newborn.guid, target.directory.path, name, target_guid, tgid, now, flags
        )
        if isinstance(outcome, saving.TakeBytes):
            if outcome.first is not None:
                self._return_to_name(target, name, outcome.first, pid)
            self._take_bytes(target, Guid(outcome.target), newborn, name, pid)
            source.sticky.vacate(old_name, self._files(self.looks.view(), source))
            return
        if isinstance(outcome, saving.Refused):
            fail(int(getattr(errno, outcome.errno_name)))
        if isinstance(standing, Newborn):
            standing.removed = True
            self.nursery.drop(standing)
            os.unlink(standing.path)
        elif target_guid is not None:
            self._about(pid, target_guid, lambda change, state: {"trash": True})
            target.sticky.left(int(standing or 0), name)
        self.nursery.move(newborn, target.directory.path, name, list(tags))
        source.sticky.vacate(old_name, self._files(self.looks.view(), source))
        target.sticky.occupy(name)
        self._grow_up(newborn)

    def _return_to_name(
        self, known: Known, name: bytes, first: saving.ContinueIdentity[str] | saving.RestoreIdentity[str], pid: int
    ) -> None:
        """Rule 2 or 3, then 1: the file that had the name has it again before it takes the new bytes."""
        was: Statements = dict(first.was) if isinstance(first.was, dict) else {}
        if isinstance(first, saving.ContinueIdentity) and first.backup_keeps is None:
            view = self.looks.view()
            path = self.contents.path(view, self._ordinal_of(view, first.file))
            if path is not None:
                guid = new_guid(self._store.machine.random_bytes(16))
                backup = Newborn(
                    guid, self.nursery.path_for(guid), known.directory.path, first.backup_name, known.directory.tags
                )
                os.link(path, backup.path)
                self._about(pid, first.file, lambda change, state: {"name": name.decode(), **was})
                self.nursery.add(backup)
                known.sticky.occupy(backup.name)
                self._saving.backup_made(guid, first.file, self._process(pid), self._now())
                self.live.forget_entry(known.inode, backup.name)
                if not backup.is_temporary:
                    self._give_birth(backup, pid)
                return
        self._about(pid, first.file, lambda change, state: {"name": name.decode(), **was})

    def _take_bytes(self, known: Known, guid: Guid, newborn: Newborn, name: bytes, pid: int) -> None:
        """Rule 1: a file takes the bytes that a program wrote beside it; its old ones are a version."""
        view = self.looks.view()
        path = self.contents.path(view, self._ordinal_of(view, guid))
        if path is None:
            fail(errno.ENODATA)
        digest = self._head(guid)
        if digest and hash_file(path) == digest:
            self.contents.replace(guid, path, newborn.path, digest)
        else:
            os.replace(newborn.path, path)
        try:
            os.removexattr(path, "user.lyts.newborn")
        except OSError:
            pass
        self.nursery.drop(newborn)
        for handle in self.handles.values():
            if handle.newborn is newborn:
                handle.newborn, handle.guid, handle.path = None, guid, path
        self._act(pid, lambda change: state_content(change, guid, path))
        self._saving.settled(guid)
        # The kernel moves the inode of the temporary under the name; it stands for the file until it looks again.
        self._stand_ins[newborn.inode] = guid
        if len(self._stand_ins) > ALIASES_KEPT:
            self._stand_ins.popitem(last=False)
        self.live.forget_entry(known.inode, name)
        self.live.forget_bytes(inode_of_guid(guid))
        view = self.looks.view()
        known.sticky.takes_over(name, self._ordinal_of(view, guid), self._files(view, known))

    def _rename_file(
        self,
        source: Known,
        name: bytes,
        ordinal: int,
        target: Known,
        to_name: bytes,
        standing: Newborn | int | None,
        flags: int,
        pid: int,
    ) -> None:
        view = self.looks.view()
        state = self.contents.state(view, ordinal)
        guid = state.guid
        has = effects.name_of(state).encode("utf-8", "surrogatepass")
        plain = strip_own_suffix(to_name, guid, has)
        text = plain.decode("utf-8", "surrogatepass")
        same = source is target
        if same:
            planned = effects.on_rename(state, source.directory, text)
        else:
            planned = effects.on_move(view, state, source.directory, target.directory, text)
        if isinstance(planned, Refusal):
            raise Refused(planned)
        other = view.guid(standing) if isinstance(standing, int) else None
        undo: Statements = {"name": has.decode("utf-8", "surrogatepass")} if same else _undo_of(planned)
        outcome = self._saving.rename(
            source.directory.path,
            name,
            guid,
            target.directory.path,
            to_name,
            other,
            self._process(pid),
            self._now(),
            flags,
            undo,
        )
        if isinstance(outcome, saving.Refused):
            fail(int(getattr(errno, outcome.errno_name)))
        if isinstance(outcome, saving.Nothing):
            return
        if isinstance(outcome, saving.ExchangeNames | saving.ExchangeBytes):
            fail(errno.EINVAL)
        if isinstance(standing, Newborn):
            standing.removed = True
            self.nursery.drop(standing)
            os.unlink(standing.path)
        if isinstance(outcome, saving.TakeBytes):
            self._take_bytes_of_file(target, Guid(outcome.target), Guid(outcome.source), to_name, outcome.first, pid)
            return

        def state_move(change: Change) -> None:
            if outcome.to_trash is not None:
                change.about_file(outcome.to_trash, trash=True)
            if planned:
                change.about_file(guid, **planned)

        self._act(pid, state_move)
        source.sticky.left(ordinal, has)
        if isinstance(standing, int):
            target.sticky.left(standing, plain)
        view = self.looks.view()
        if plain == to_name:
            target.sticky.takes_over(plain, ordinal, self._files(view, target))
        else:
            self.live.forget_entry(target.inode, to_name)

    def _take_bytes_of_file(self, known: Known, target: Guid, source: Guid, name: bytes, first: Any, pid: int) -> None:
        """Rule 1 where what was made is a file of the library already: its bytes go over, it leaves no trace."""
        if first is not None:
            self._return_to_name(known, name, first, pid)
        view = self.looks.view()
        path = self.contents.path(view, self._ordinal_of(view, source))
        if path is None:
            fail(errno.ENODATA)
        guid = new_guid(self._store.machine.random_bytes(16))
        draft = Newborn(guid, self.nursery.path_for(guid), known.directory.path, name + b".lyts~", [])
        os.link(path, draft.path)
        self._take_bytes(known, target, draft, name, pid)

        def end(change: Change, state: FileState) -> Statements:
            hashes = sorted({content.sha256 for content in state.contents.values()})
            return {"purge": Purge(content=hashes, seen=dict(state.latest))}

        self._about(pid, source, end)
        os.unlink(path)  # its bytes stand at the target, and the purge is stated
        self._stand_ins[inode_of_guid(source)] = target

    def _rename_directory(self, source: Known, name: bytes, target: Known, to_name: bytes, pid: int) -> None:
        view = self.looks.view()
        text, wanted = name.decode("utf-8", "surrogateescape"), to_name.decode("utf-8", "surrogateescape")
        directory = tree.child_directory(view, source.directory, text, self._clock())
        if directory is None:
            fail(errno.ENOENT)
        self.about_tags(
            lambda change: effects.on_rename_directory(
                change.view, directory, target.directory, wanted, lambda tag: change.thing(TAG_THING, tag)
            ),
            pid,
        )
        self.live.forget_entry(target.inode, to_name)

    def rmdir(self, known: Known, name: bytes, pid: int) -> None:
        """A program removes a directory: a tag without files, or a saved query."""
        text = name.decode("utf-8", "surrogateescape")
        child = tree.child_directory(self.looks.view(), known.directory, text, self._clock())
        if child is None:
            fail(errno.ENOENT)
        self.about_tags(
            lambda change: effects.on_rmdir(
                change.view, known.directory, child, lambda tag: change.thing(TAG_THING, tag)
            ),
            pid,
        )

    def link(self, inode: int, known: Known, name: bytes, operation: Operation, pid: int) -> None:
        """`ln`: one more tag."""
        newborn = self.nursery.by_inode.get(inode)
        if newborn is not None:
            fail(errno.EPERM)
        view = self.looks.view()
        ordinal = self.ordinal(view, inode)
        guid, has = view.guid(ordinal), view.name(ordinal)
        text = strip_own_suffix(new_name(name), guid, has.encode()).decode()
        self._about(
            pid, guid, lambda change, state: effects.on_link(change.view, state, known.directory, text, operation)
        )

    # -- attributes

    def _state_about(self, inode: int, pid: int, decide: Callable[[Change, FileState], Statements | Refusal]) -> None:
        view = self.looks.view()
        self._about(pid, view.guid(self.ordinal(view, inode)), decide)

    def truncate(self, inode: int, size: int, handle: Handle | None, pid: int) -> None:
        """A program sets the size of a file."""
        newborn = self.nursery.by_inode.get(inode)
        if newborn is not None:
            os.truncate(newborn.path, size)
            return
        view = self.looks.view()
        ordinal = self.ordinal(view, inode)
        self._refuse(rule(attributes.place_of_file(self.contents.state(view, ordinal)), Operation.TRUNCATE))
        path = handle.path if handle is not None and handle.path else self.contents.path(view, ordinal)
        if path is None:
            fail(errno.ENODATA)
        guid = view.guid(ordinal)
        writer = handle or self.writer_of(inode)
        if size == 0 and writer is None:
            self._empty(guid, inode, path)
        else:
            os.truncate(path, size)
        if writer is not None:
            writer.dirty = True
        else:
            self._act(pid, lambda change: state_content(change, Guid(guid), path))

    def chmod(self, inode: int, mode: int, pid: int) -> None:
        """Permissions are kept in the face; those of the bytes stay private."""
        newborn = self.nursery.by_inode.get(inode)
        if newborn is not None:
            os.chmod(newborn.path, 0o700 if mode & 0o100 else 0o600)
            return
        self._state_about(inode, pid, lambda change, state: attributes.on_chmod(state, mode))

    def utimens(self, inode: int, mtime_ns: int, pid: int) -> None:
        """The time is kept in the face, and beside the bytes."""
        newborn = self.nursery.by_inode.get(inode)
        view = self.looks.view()
        path = newborn.path if newborn is not None else self.contents.path(view, self.ordinal(view, inode))
        if path is not None:
            os.utime(path, ns=(mtime_ns, mtime_ns))
        if newborn is None and self.writer_of(inode) is None:
            self._state_about(inode, pid, lambda change, state: attributes.on_utimens(state, mtime_ns))

    def set_xattr(self, inode: int, name: str, value: bytes | None, pid: int) -> None:
        """Set an extended attribute, or remove it."""
        newborn = self.nursery.by_inode.get(inode)
        if newborn is not None:
            if newborn.is_temporary:
                fail(errno.EOPNOTSUPP)
            self._give_birth(newborn, pid)
        if not inode & FILE_BIT:
            fail(errno.EPERM)
        view = self.looks.view()
        guid = view.guid(self.ordinal(view, inode))
        maker, when = self._makers.get(guid, (0, 0))
        adds = maker == self._process(pid) and self._now() - when < TAGS_BY_MAKER_NS

        def decide(change: Change, state: FileState) -> Statements | Refusal:
            if value is None:
                return attributes.remove_xattr(change.view, state, name)
            return attributes.set_xattr(change.view, state, name, value, adds=adds)

        self._about(pid, guid, decide)

    # -- time

    def _grow_up(self, newborn: Newborn) -> None:
        """A newborn that nobody writes, under a name of its own, becomes a file of the library."""
        if newborn.is_temporary or newborn.handles:
            return
        self._give_birth(newborn, 0)

    def tick(self) -> None:
        """A few times a second: what others changed is told to the kernel, facts become durable, temporaries age."""
        self._ticks += 1
        try:
            if not self._read_only:
                self._store.catch_up_if_behind()
            self.looks.drop()
            self.live.look(self.looks.view(), self._clock())
            if self._ticks % SYNC_TICKS == 0:
                self._store.sync_ledger()
            if self._ticks % 240 == 0:
                self._age()
        except (OSError, LytsError) as exc:
            log.error("%s", exc)

    def _age(self) -> None:
        now = self._clock().now_ms * 1_000_000
        for newborn in self.nursery:
            try:
                age = now - os.stat(newborn.path).st_mtime_ns
            except OSError:
                continue
            if newborn.is_temporary and becomes_ordinary(newborn.name, age, newborn.handles > 0):
                self._give_birth(newborn, 0)

    def finish(self) -> None:
        """State what is still open, and make everything durable."""
        for number in list(self.handles):
            self.release(number)
        self.looks.drop()
        self.live.finish()
        self._store.sync_ledger()


def _undo_of(planned: Statements) -> Statements:
    """The statements that take back a removal or move, for a save that turns out to be one."""
    undo: Statements = {}
    if planned.get("untag"):
        undo["tag"] = sorted(planned["untag"])
    if planned.get("trash"):
        undo["trash"] = False
    return undo
