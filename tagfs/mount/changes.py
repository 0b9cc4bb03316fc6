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
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import pyfuse3

from tagfs.bucket import Clock
from tagfs.bytes import hash_file, take
from tagfs.change import Change
from tagfs.errors import LytsError
from tagfs.fact import Purge
from tagfs.glossary import TAG_THING
from tagfs.guid import Guid, new_guid
from tagfs.index.blocks import LISTED
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.mount.answer import Refused, errno_of, fail
from tagfs.mount.contents import Contents, state_content
from tagfs.mount.directories import Directories, Known, ViewFiles
from tagfs.mount.handles import Handle, Handles
from tagfs.mount.live import Live
from tagfs.mount.looks import Looks
from tagfs.mount.newborn import FILE_BIT, Newborn, Nursery, inode_of_guid
from tagfs.store import Store
from tagfs.views import attributes, effects, saving, tree
from tagfs.views.brake import Brake
from tagfs.views.directory import HOLDS_FILES, Directory, Kind
from tagfs.views.matrix import Effect, Operation, Refusal, rule
from tagfs.views.names import new_name, shown_form, split_extension, strip_own_suffix
from tagfs.views.temporary import becomes_ordinary, companions, database_of

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Statements = dict[str, Any]

TAGS_BY_MAKER_NS = 60 * 10**9
"""So long `user.xdg.tags` set by the process that made a file adds to the tags of the path."""
ALIASES_KEPT = 4096
PROCESSES_KEPT = 1024
SYNC_TICKS = 3


ANEW_TICKS = 40
AGE_TICKS = 240
CONFLICT_TAG = "conflict"

ComingBack = saving.ContinueIdentity[str] | saving.RestoreIdentity[str]


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
        self.handles = Handles()
        self._saving: saving.Saving[str] = saving.Saving()
        self._groups = saving.ActionGroups()
        self._brake = Brake()
        self._makers: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """GUID -> (process, when) of files made through the mount."""
        self._stand_ins: OrderedDict[int, str] = OrderedDict()
        """Inodes that the kernel may still ask for after a save gave their name to another file."""
        self._processes: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._ticks = 0
        self._unstated: dict[str, str] = {}
        """GUID -> path of files whose bytes could not be stated when they were closed: a full disk."""
        self.changed_ns = 0
        if not read_only and self.nursery.am_alone():
            self._take_up()
            self.nursery.share()

    def _take_up(self) -> None:
        """What a crash left: newborns in scratch, and files that were being written."""
        for newborn in self.nursery.gather():
            place = self.contents.place_for(newborn.guid, newborn.name.decode())
            view = self.looks.view()
            if view.ordinal(newborn.guid) is not None and os.path.exists(place):
                self.contents.is_born(newborn, place)
                continue
            self.nursery.add(newborn)
            database = database_of(newborn.name)
            newborn.companion = database is not None
            self._try(self._grow_up, newborn)
        for guid in self.nursery.left_in_flux():
            self._try(self._look_again, guid)

    def _try(self, do: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do something that nobody waits for; what goes wrong is logged and tried again later."""
        try:
            do(*args, **kwargs)
        except (OSError, LytsError, Refused, pyfuse3.FUSEError) as exc:
            log.error("to be tried again: %s", exc)

    def _look_again(self, guid: Guid) -> None:
        """State what the bytes of a file are that was being written when a mount ended."""
        view = self.looks.view()
        ordinal = view.ordinal(guid)
        path = self.contents.path(view, ordinal) if ordinal is not None else None
        if path is not None:
            self._state_bytes(guid, path, saving.UNKNOWN)
        else:
            self.nursery.at_rest(guid)

    # -- finding

    def resolve(self, view: View, known: Known, name: bytes) -> int | None:
        """The file that a name leads to in a directory of files."""
        return known.sticky.resolve(name, self._files(view, known))

    def _files(self, view: View, known: Known) -> ViewFiles:
        return ViewFiles(view, known.files(view, self._clock()))

    def ordinal(self, view: View, inode: int) -> int:
        """The file with an inode. ENOENT where there is none, or none any more: a fact would bring it back."""
        guid = self._stand_ins.get(inode)
        found = view.ordinal(guid) if guid is not None else view.by_ident(inode & (FILE_BIT - 1))
        row = view.row(found) if found is not None and inode & FILE_BIT else None
        if found is None or row is None or not row.flags & LISTED:
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
        return self.handles.writer_of(inode)

    def real_inode(self, inode: int) -> int:
        """The inode of the file that the kernel knows by this one."""
        guid = self._stand_ins.get(inode)
        return inode_of_guid(guid) if guid is not None else inode

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

    def _act(self, pid: int, state_facts: Callable[[Change], T], *, frees_space: bool = False) -> T:
        """State facts, as part of what the process has been doing for the last seconds.

        Args:
            frees_space: it removes something, and may use the reserve of a full disk.
        """
        if self._read_only:
            fail(errno.EROFS)
        tgid, now = self._process(pid), self._now()
        self.looks.drop()

        def state(change: Change) -> tuple[T, str | None]:
            return state_facts(change), change.action

        result, action = self._store.act(
            state, action=self._groups.action(tgid, now), durable=False, frees_space=frees_space
        )
        if action is not None:
            self._groups.done(tgid, action, now)
            self.changed_ns = self._clock().now_ms * 1_000_000
        return result

    def _about(
        self,
        pid: int,
        guid: str,
        decide: Callable[[Change, FileState], Statements | Refusal],
        *,
        frees_space: bool = False,
    ) -> Statements:
        """State what `decide` says about a file."""

        def state(change: Change) -> Statements:
            said = decide(change, change.state(guid))
            if isinstance(said, Refusal):
                raise Refused(said)
            if said:
                change.about_file(guid, **said)
            return said

        return self._act(pid, state, frees_space=frees_space)

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

    def open_static(self, data: bytes, flags: int) -> int:
        """Open a file that explains."""
        if flags & os.O_ACCMODE != os.O_RDONLY:
            fail(errno.EPERM)
        handle = Handle(-1, "", "", False, saving.UNKNOWN)
        handle.data = data
        return self.handles.add(handle)

    def open(self, inode: int, flags: int, pid: int) -> int:
        """Open a file. ENODATA where its bytes are not on this device."""
        writable = flags & os.O_ACCMODE != os.O_RDONLY
        if writable and self._read_only:
            fail(errno.EROFS)
        # Handles are shared by whoever inherits them, so they can always be read from. Appending is the kernel's,
        # and so is O_DIRECT: our own buffers are not aligned for it.
        flags_here = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC
        empties = bool(flags & os.O_TRUNC) and writable
        newborn = self.nursery.by_inode.get(inode)
        if newborn is not None:
            handle = Handle(
                os.open(self._open_path(newborn), flags_here), newborn.guid, newborn.path, writable, self._process(pid)
            )
            handle.newborn = newborn
            newborn.handles += 1
            number = self.handles.add(handle)
            if empties:
                self._begin_writing(handle)
                os.ftruncate(handle.fd, 0)
            return number
        view = self.looks.view()
        ordinal = self.ordinal(view, inode)
        if writable:
            self._refuse(rule(attributes.place_of_file(self.contents.state(view, ordinal)), Operation.WRITE))
        path = self.contents.path(view, ordinal)
        if path is None:
            fail(errno.ENODATA)
        guid = view.guid(ordinal)
        if empties:
            self._empty(Guid(guid), path)
        handle = Handle(os.open(path, flags_here), guid, path, writable, self._process(pid))
        handle.dirty = empties
        handle.alias = handle.inode != inode
        return self.handles.add(handle)

    def _open_path(self, newborn: Newborn) -> str:
        """Where the bytes of a newborn can be opened; of one that was removed, those of an open handle."""
        if newborn.removed:
            for handle in self.handles.of(newborn.inode):
                return f"/proc/self/fd/{handle.fd}"
        return newborn.path

    def begin_writing(self, handle: Handle) -> None:
        """Before the first byte is written since a handle was opened, or since what it wrote was stated."""
        if not handle.dirty:
            self._begin_writing(handle)

    def _begin_writing(self, handle: Handle) -> None:
        if handle.behind:
            handle.dirty = True
            return
        newborn = handle.newborn
        if newborn is None or os.fstat(handle.fd).st_nlink > 1:
            self._saving.wrote(handle.guid)
        if newborn is None:
            self.nursery.in_flux(handle.guid)
        if newborn is None or not newborn.removed:
            self._own_bytes(handle.guid, handle.path)
        handle.dirty = True

    def _own_bytes(self, guid: str, path: str) -> None:
        """Bytes that are about to be written to must not be those of a version."""
        if self.contents.own_copy(guid, path):
            self.handles.go_over(inode_of_guid(guid), path)

    def _empty(self, guid: Guid, path: str) -> None:
        """Before a file is emptied its bytes are set aside, if they were acknowledged and are not in flux."""
        size = os.stat(path).st_size
        kept = self._saving.truncate(guid, 0, size) is not None and not self.handles.any_dirty(inode_of_guid(guid))
        if size == 0:
            return
        self.nursery.in_flux(guid)
        if kept:
            digest = self.contents.digest_of(self._state(guid), path)
            self.contents.replace(guid, path, self._draft(guid), digest, in_use=False)
            self.handles.go_over(inode_of_guid(guid), path)
        else:
            self._own_bytes(guid, path)
            os.truncate(path, 0)

    def _state(self, guid: str) -> FileState:
        """What is known of a file."""
        return self._store.states([guid])[0]

    def _draft(self, guid: str) -> str:
        """An empty file in scratch."""
        draft = os.path.join(self.nursery.scratch, f"empty-{guid}")
        os.close(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        return draft

    def create(self, known: Known, name: bytes, mode: int, pid: int) -> tuple[int, int]:
        """A program makes a file. Returns (handle, inode)."""
        if self._read_only:
            fail(errno.EROFS)
        tags = effects.on_create(self.looks.view(), known.directory)
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
        fd = os.open(newborn.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self.nursery.add(newborn)
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

    def _is_companion(self, known: Known, name: bytes) -> bool:
        database = database_of(name)
        return database is not None and self._found(known, database) is not None

    # -- coming back

    def _made_again(self, known: Known, name: bytes, outcome: ComingBack, pid: int) -> tuple[int, int] | None:
        """A name is made again that a file had a moment ago: it is that file's, with new bytes."""
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
        digest = self.contents.digest_of(self.contents.state(view, ordinal), path)
        backup: Newborn | None = None
        keeps: tuple[Guid, str] | None = None
        if isinstance(outcome, saving.ContinueIdentity):
            keeps = self._backup_keeps(outcome)
            number = new_guid(self._store.machine.random_bytes(16))
            tags = list(known.directory.tags)
            backup = self.nursery.new(number, known.directory.path, outcome.backup_name, tags)
            self._copy_or_link(path, backup.path, Guid(guid))
        if empty:
            self.nursery.in_flux(guid)
            self._replace(guid, path, self._draft(guid), digest)
        was: Statements = dict(outcome.was) if isinstance(outcome.was, dict) else {}
        if was:
            self._about(pid, guid, lambda change, state: was)
        view = self.looks.view()
        self._has_name(view, known, name, guid)
        if keeps is not None and backup is not None:
            self._is_backup_again(known, keeps, backup, pid)
        elif backup is not None and self.nursery.find(known.directory.path, backup.name) is None:
            self.nursery.add(backup)
            known.sticky.occupy(backup.name)
            self._saving.backup_made(backup.guid, guid, self._process(pid), self._now())
            self.live.forget_entry(known.inode, backup.name)
            if not backup.is_temporary:
                self._give_birth(backup, pid)
        return path

    def _has_name(self, view: View, known: Known, name: bytes, guid: str) -> None:
        """A file stands under a name: if that is its own, and not its long one, it leads to it from now on."""
        ordinal = self._ordinal_of(view, guid)
        if shown_form(view.name(ordinal).encode("utf-8", "surrogatepass")) == shown_form(name):
            known.sticky.takes_over(name, ordinal, self._files(view, known))

    def _copy_or_link(self, path: str, into: str, guid: Guid) -> None:
        """The bytes at `path` under another name as well; a copy where somebody writes to them."""
        if self.handles.writer_of(inode_of_guid(guid)) is None:
            try:
                os.link(path, into)
                return
            except OSError as exc:
                if exc.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                    raise
        take(path, into)

    def _backup_keeps(self, outcome: saving.ContinueIdentity[str]) -> tuple[Guid, str] | None:
        """The file that was the backup before, with the path of its bytes, if it is still to be had."""
        if outcome.backup_keeps is None:
            return None
        view = self.looks.view()
        ordinal = view.ordinal(outcome.backup_keeps)
        path = self.contents.path(view, ordinal) if ordinal is not None else None
        return (Guid(outcome.backup_keeps), path) if path is not None else None

    def _is_backup_again(self, known: Known, keeps: tuple[Guid, str], backup: Newborn, pid: int) -> None:
        """The earlier backup has its name again, and the bytes of the new one."""
        guid, path = keeps
        self.nursery.in_flux(guid)
        self._replace(guid, path, backup.path, self.contents.digest_of(self._state(guid), path))
        digest = hash_file(path)
        name = backup.name.decode()

        def state(change: Change) -> None:
            known_state = change.state(guid)
            own = {change.view.canonical(tag) for tag in known_state.tags()}
            missing = [tag for tag in backup.tags if change.view.canonical(tag) not in own]
            change.about_file(guid, name=name, trash=False, tag=missing or None)
            state_content(change, guid, path, digest)

        self._act(pid, state)
        self.nursery.at_rest(guid)
        self._has_name(self.looks.view(), known, backup.name, guid)
        self.live.forget_bytes(inode_of_guid(guid))
        self.live.forget_entry(known.inode, backup.name)

    def _replace(self, guid: Guid, path: str, new: str, digest: str) -> None:
        """Other bytes for a file. Who has the old ones open keeps them, and cannot change the version they are."""
        inode = inode_of_guid(guid)
        self.contents.replace(guid, path, new, digest, in_use=self.handles.writer_of(inode) is not None)
        self.handles.fall_behind(inode)
        self.live.forget_bytes(inode)

    def _ordinal_of(self, view: View, guid: str) -> int:
        ordinal = view.ordinal(guid)
        if ordinal is None:
            fail(errno.ENOENT)
        return ordinal

    # -- closing

    def settle(self, handle: Handle, *, closing: bool = False) -> None:
        """At close: state what was written.

        Args:
            closing: a descriptor was closed, perhaps not the last one (a shell opens, copies
                the descriptor, closes it, and only then writes): nothing written yet is nothing to state.
        """
        if handle.data is not None or not handle.dirty:
            return
        found = os.fstat(handle.fd)
        if closing and found.st_size == 0:
            return
        newborn = handle.newborn
        if newborn is not None:
            if newborn.removed or newborn.is_temporary:
                return  # nothing to state: its bytes are in scratch
            self._give_birth(newborn, handle.process)
            return
        try:
            there = os.stat(handle.path)
        except FileNotFoundError:
            there = None
        if handle.behind or there is None or (there.st_dev, there.st_ino) != (found.st_dev, found.st_ino):
            self._take_in_edit(handle, there is None)
        else:
            self._state_bytes(Guid(handle.guid), handle.path, handle.process)
            if handle.alias:
                self.live.forget_bytes(handle.inode)
        handle.dirty = False

    def sync(self, handle: Handle) -> None:
        """fsync(2): the bytes are durable, and where they stand is. What they are is stated when they are closed:

        a database would have all of itself hashed at each commit. After a crash the next mount states it.
        """
        os.fsync(handle.fd)
        self._store.sync_ledger()

    def _state_bytes(self, guid: Guid, path: str, process: int) -> None:
        digest = hash_file(path)
        self._act(process, lambda change: state_content(change, guid, path, digest))
        self._is_stated(guid)

    def _is_stated(self, guid: str) -> None:
        """All that was written to a file so far is stated, by whatever handle."""
        for handle in self.handles.of(inode_of_guid(guid)):
            handle.dirty = False
        self.nursery.at_rest(guid)
        self._saving.settled(guid)
        self._unstated.pop(guid, None)

    def _take_in_edit(self, handle: Handle, is_gone: bool) -> None:
        """What was written to bytes that are no longer those of the file: a concurrent edit, kept beside it."""
        guid = Guid(handle.guid)
        state = self._state(guid)
        if state.made is None or state.is_purged():
            return  # purged meanwhile: it was removed for good while it was open
        bytes_here = f"/proc/self/fd/{handle.fd}"
        if is_gone:
            draft = os.path.join(self.nursery.scratch, f"own-{guid}")
            take(bytes_here, draft)
            os.rename(draft, handle.path)
            self._state_bytes(guid, handle.path, handle.process)
            return
        if self.contents.has_version(guid, hash_file(bytes_here)):
            return
        stem, extension = split_extension(effects.name_of(state).encode("utf-8", "surrogatepass"))
        said = f" ({self._store.info.alias}, {self._date()})".encode()
        room = 255 - len(said) - len(extension)
        name = stem[:room].decode("utf-8", "ignore").encode() + said + extension
        tags = [*sorted(state.tags()), CONFLICT_TAG]
        copy = self.nursery.new(new_guid(self._store.machine.random_bytes(16)), "", name, tags)
        take(bytes_here, copy.path)
        copy.remember()
        self._give_birth(copy, handle.process)
        log.info("%s was replaced while it was being written; what was written is %r", guid, name)

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
            self.handles.pop(number)
            newborn = handle.newborn
            if newborn is not None:
                newborn.handles -= 1
                if newborn.removed:
                    self.nursery.drop(newborn)
            if handle.data is None:
                os.close(handle.fd)

    def _give_birth(self, newborn: Newborn, pid: int) -> None:
        """A newborn becomes a file of the library."""
        name = newborn.name.decode()
        digest = hash_file(newborn.path)
        place = self.contents.put_in_place(newborn, name)
        try:
            self._act(pid, lambda change: self.contents.birth(change, newborn, name, digest, place))
        except BaseException:
            self.contents.not_born(newborn, place)
            raise
        self.contents.is_born(newborn, place)
        self.nursery.drop(newborn)
        for handle in self.handles.of(newborn.inode):
            handle.newborn, handle.path, handle.dirty = None, place, False
        view = self.looks.view()
        for known in self.directories:
            if known.directory.path == newborn.directory and known.directory.kind in HOLDS_FILES:
                files = self._files(view, known)
                known.sticky.takes_over(newborn.name, self._ordinal_of(view, newborn.guid), files)

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
                self._keep_as_version(outcome.original, found.path)
            self.nursery.remove(found)
            known.sticky.vacate(found.name, self._files(self.looks.view(), known))
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
        path = self.contents.path(view, found)
        if isinstance(outcome, saving.DropBackup) and path is not None:
            self._keep_as_version(outcome.original, path)
            self._end(Guid(guid), path, pid)
        else:
            self._about(pid, guid, lambda change, state: planned, frees_space=True)
        known.sticky.left(found, effects.name_of(state).encode("utf-8", "surrogatepass"))

    def _keep_as_version(self, guid: str, path: str) -> None:
        """A backup goes: its bytes are a version of what it was a backup of."""
        if not os.path.exists(path) or self.nursery.path_for(guid) == path:
            return
        self.contents.keep_version(guid, path, hash_file(path), link=True)

    def _end(self, guid: Guid, path: str, pid: int) -> None:
        """A file whose bytes stand elsewhere by now leaves no trace."""

        def state(change: Change, known: FileState) -> Statements:
            hashes = sorted({content.sha256 for content in known.contents.values()})
            return {"purge": Purge(content=hashes, seen=dict(known.latest))}

        self._about(pid, guid, state, frees_space=True)
        os.unlink(path)

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
        if standing is newborn:
            return  # the same name, spelled otherwise
        if flags & saving.RENAME_EXCHANGE:
            if standing is None:
                fail(errno.ENOENT)
            old = newborn.name
            self._give_birth(newborn, pid)
            if isinstance(standing, Newborn):
                self._give_birth(standing, pid)
            self.rename(source, old, target, name, flags, pid)
            return
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
        if isinstance(outcome, saving.Refused):
            fail(int(getattr(errno, outcome.errno_name)))
        if isinstance(standing, Newborn):
            self.nursery.remove(standing)
            target.sticky.vacate(standing.name, self._files(self.looks.view(), target))
        if isinstance(outcome, saving.TakeBytes):
            if outcome.first is None or self._come_back(target, name, outcome.first, pid, empty=False) is not None:
                self._take_bytes(target, Guid(outcome.target), newborn, name, pid)
                source.sticky.vacate(old_name, self._files(self.looks.view(), source))
                return
        elif target_guid is not None and isinstance(standing, int):
            self._about(pid, target_guid, lambda change, state: {"trash": True})
            target.sticky.left(standing, name)
        newborn.companion = self._is_companion(target, name)
        self.nursery.move(newborn, target.directory.path, name, list(tags))
        source.sticky.vacate(old_name, self._files(self.looks.view(), source))
        target.sticky.occupy(name)
        self._grow_up(newborn)

    def _take_bytes(self, known: Known, guid: Guid, newborn: Newborn, name: bytes, pid: int) -> None:
        """Rule 1: a file takes the bytes that a program wrote beside it; its old ones are a version."""
        view = self.looks.view()
        ordinal = self._ordinal_of(view, guid)
        path = self.contents.path(view, ordinal)
        if path is None:
            fail(errno.ENODATA)
        digest = hash_file(newborn.path)
        self.nursery.in_flux(guid)
        self._replace(guid, path, newborn.path, self.contents.digest_of(self.contents.state(view, ordinal), path))
        self.nursery.drop(newborn)

        def state(change: Change) -> None:
            state_content(change, guid, path, digest)
            if newborn.mode_was_set and change.state(guid).registers.get("mode", ("", 0o644))[1] != newborn.mode:
                change.about_file(guid, mode=newborn.mode)
            self.contents.state_xattrs(change, guid, newborn.xattrs)

        self._act(pid, state)
        for handle in self.handles.of(newborn.inode):
            self.handles.become(handle, guid, path)
        self._is_stated(guid)
        # The kernel moves the inode of the temporary under the name; it stands for the file until it looks again.
        self._stands_for(newborn.inode, guid)
        self.live.forget_entry(known.inode, name)
        self.live.forget_bytes(inode_of_guid(guid))
        self._has_name(self.looks.view(), known, name, guid)

    def _stands_for(self, inode: int, guid: str) -> None:
        for alias, other in self._stand_ins.items():
            if inode_of_guid(other) == inode:
                self._stand_ins[alias] = guid
        self._stand_ins[inode] = guid
        if len(self._stand_ins) > ALIASES_KEPT:
            self._stand_ins.popitem(last=False)

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
        if flags & saving.RENAME_EXCHANGE and isinstance(standing, Newborn):
            old = standing.name
            self._give_birth(standing, pid)
            self.rename(source, name, target, old, flags, pid)
            return
        plain = strip_own_suffix(to_name, guid, has)
        text = plain.decode("utf-8", "surrogatepass")
        same = source is target
        exchanged = bool(flags & saving.RENAME_EXCHANGE)
        planned: Statements | Refusal = {}
        if same and not exchanged:
            planned = effects.on_rename(state, source.directory, text)
        elif not exchanged:
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
        if isinstance(outcome, saving.ExchangeBytes):
            self._exchange_bytes(source, name, to_name, Guid(outcome.keeps), Guid(outcome.made), pid)
            return
        if isinstance(outcome, saving.ExchangeNames):
            assert isinstance(standing, int)
            self._exchange_names(source, name, ordinal, target, to_name, standing, pid)
            return
        if isinstance(standing, Newborn):
            self.nursery.remove(standing)
            target.sticky.vacate(standing.name, self._files(view, target))
        if isinstance(outcome, saving.TakeBytes):
            if outcome.first is None or self._come_back(target, to_name, outcome.first, pid, empty=False) is not None:
                self._take_bytes_of_file(target, Guid(outcome.target), Guid(outcome.source), to_name, pid)
                source.sticky.left(ordinal, has)
                return
            outcome = saving.Move()
        to_trash = outcome.to_trash

        def state_move(change: Change) -> None:
            if to_trash is not None:
                change.about_file(to_trash, trash=True)
            if planned:
                change.about_file(guid, **planned)

        self._act(pid, state_move)
        source.sticky.left(ordinal, has)
        if isinstance(standing, int):
            target.sticky.left(standing, plain)
        view = self.looks.view()
        if shown_form(plain) == shown_form(to_name):
            target.sticky.takes_over(plain, ordinal, self._files(view, target))
        else:
            self.live.forget_entry(target.inode, to_name)
        self._bring_companions(source, name, target, plain)

    def _bring_companions(self, source: Known, name: bytes, target: Known, to_name: bytes) -> None:
        """What a database keeps beside it goes with it."""
        for old, new in zip(companions(name), companions(to_name), strict=True):
            found = self.nursery.find(source.directory.path, old)
            if found is not None and self._found(target, new) is None:
                self.nursery.move(found, target.directory.path, new, list(target.directory.tags))
                source.sticky.vacate(old, self._files(self.looks.view(), source))
                target.sticky.occupy(new)
                self.live.forget_entry(source.inode, old)

    def _exchange_names(
        self, source: Known, name: bytes, ordinal: int, target: Known, to_name: bytes, standing: int, pid: int
    ) -> None:
        """RENAME_EXCHANGE of two files of one directory: each is called as the other was."""
        view = self.looks.view()
        mine, other = (view.name(o).encode("utf-8", "surrogatepass") for o in (ordinal, standing))
        if source is not target or (shown_form(mine), shown_form(other)) != (new_name(name), new_name(to_name)):
            # A long name belongs to one file, and tags are not exchanged.
            fail(errno.EINVAL)
        guids = view.guid(ordinal), view.guid(standing)

        def state(change: Change) -> None:
            for guid, wanted in zip(guids, (other, mine), strict=True):
                said = effects.on_rename(change.state(guid), source.directory, wanted.decode("utf-8", "surrogatepass"))
                if isinstance(said, Refusal):
                    raise Refused(said)
                change.about_file(guid, **said)

        self._act(pid, state)
        source.sticky.left(ordinal, mine)
        source.sticky.left(standing, other)
        files = self._files(self.looks.view(), source)
        source.sticky.takes_over(other, ordinal, files)
        source.sticky.takes_over(mine, standing, files)

    def _exchange_bytes(self, known: Known, name: bytes, to_name: bytes, keeps: Guid, made: Guid, pid: int) -> None:
        """RENAME_EXCHANGE as a way to save: both stay where they are, and their bytes change places."""
        view = self.looks.view()
        ordinals = [self._ordinal_of(view, guid) for guid in (keeps, made)]
        paths = [self.contents.path(view, ordinal) for ordinal in ordinals]
        mine, other = paths
        if mine is None or other is None:
            fail(errno.ENODATA)
        drafts = [os.path.join(self.nursery.scratch, f"own-{guid}") for guid in (keeps, made)]
        for path, draft in zip((mine, other), drafts, strict=True):
            take(path, draft)
        for guid, ordinal, path, draft in zip((keeps, made), ordinals, (mine, other), reversed(drafts), strict=True):
            self.nursery.in_flux(guid)
            self._replace(guid, path, draft, self.contents.digest_of(self.contents.state(view, ordinal), path))
        for guid, path in ((keeps, mine), (made, other)):
            self._state_bytes(guid, path, self._process(pid))
        # The kernel has exchanged what the two names lead to.
        for one in (name, to_name):
            self.live.forget_entry(known.inode, one)

    def _take_bytes_of_file(self, known: Known, target: Guid, source: Guid, name: bytes, pid: int) -> None:
        """Rule 1 where what was made is a file of the library already: its bytes go over, it leaves no trace."""
        view = self.looks.view()
        ordinal = self._ordinal_of(view, source)
        path = self.contents.path(view, ordinal)
        if path is None:
            fail(errno.ENODATA)
        state = self.contents.state(view, ordinal)
        draft = self.nursery.new(new_guid(self._store.machine.random_bytes(16)), "", name, [])
        mode = state.registers.get("mode")
        if mode is not None:
            draft.mode, draft.mode_was_set = int(mode[1]), True
        for attribute in attributes.list_xattrs(state):
            value = attributes.get_xattr(view, state, attribute)
            if attribute != attributes.TAGS and isinstance(value, bytes):
                draft.xattrs[attribute] = value
        self._copy_or_link(path, draft.path, Guid(target))
        self._take_bytes(known, target, draft, name, pid)
        there = self.contents.path(self.looks.view(), self._ordinal_of(self.looks.view(), target))
        for handle in self.handles.of(inode_of_guid(source)):
            if there is not None:
                self.handles.become(handle, target, there)
        self._end(source, path, pid)
        self._stands_for(inode_of_guid(source), target)

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
        if handle is not None and (handle.behind or not os.path.exists(handle.path)):
            os.ftruncate(handle.fd, size)
            handle.dirty = True
            return
        newborn = self.nursery.by_inode.get(inode)
        if newborn is not None:
            path = self._open_path(newborn)
            if not newborn.removed and os.stat(path).st_nlink > 1:
                self._saving.wrote(newborn.guid)
                self._own_bytes(newborn.guid, path)
            os.truncate(path, size)
            return
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
            self.nursery.in_flux(guid)
            self._own_bytes(guid, path_here)
            os.truncate(path_here, size)
        if writer is not None:
            writer.dirty = True
        else:
            self._state_bytes(guid, path_here, self._process(pid))

    def chmod(self, inode: int, mode: int, pid: int) -> None:
        """Permissions are kept in the face; those of the bytes stay private."""
        newborn = self.nursery.by_inode.get(inode)
        if newborn is not None:
            newborn.mode, newborn.mode_was_set = mode & 0o7777, True
            if not newborn.removed:
                newborn.remember()
            return
        self._state_about(inode, pid, lambda change, state: attributes.on_chmod(state, mode))

    def utimens(self, inode: int, mtime_ns: int, pid: int) -> None:
        """The time is kept in the face, and beside the bytes."""
        newborn = self.nursery.by_inode.get(inode)
        if newborn is not None:
            os.utime(self._open_path(newborn), ns=(mtime_ns, mtime_ns))
            return
        view = self.looks.view()
        path = self.contents.path(view, self.ordinal(view, inode))
        if path is not None:
            os.utime(path, ns=(mtime_ns, mtime_ns))
        if not self.handles.any_dirty(self.real_inode(inode)):
            self._state_about(inode, pid, lambda change, state: attributes.on_utimens(state, mtime_ns))

    def get_xattr(self, inode: int, name: str) -> bytes:
        """An extended attribute of a file."""
        view = self.looks.view()
        newborn = self.nursery.by_inode.get(inode)
        if newborn is not None:
            if name == attributes.ID:
                return newborn.guid.encode()
            if name == attributes.TAGS and name not in newborn.xattrs and newborn.tags:
                return attributes.tags_as_xattr(newborn.tags)
            return newborn.xattrs[name] if name in newborn.xattrs else fail(errno.ENODATA)
        found = attributes.get_xattr(view, self.contents.state(view, self.ordinal(view, inode)), name)
        return fail(found.errno) if isinstance(found, Refusal) else found

    def list_xattrs(self, inode: int) -> list[str]:
        """The names of the extended attributes of a file."""
        newborn = self.nursery.by_inode.get(inode)
        if newborn is not None:
            # Not the tags of the path: what is listed and not in its source, rsync -X takes away.
            return sorted(newborn.xattrs)
        view = self.looks.view()
        return attributes.list_xattrs(self.contents.state(view, self.ordinal(view, inode)))

    def _set_newborn_xattr(self, newborn: Newborn, name: str, value: bytes | None) -> None:
        if value is None:
            if name not in newborn.xattrs:
                fail(errno.ENODATA)
            del newborn.xattrs[name]
        else:
            said = attributes.set_xattr(self.looks.view(), self._state(newborn.guid), name, value, adds=True)
            self._refuse(said if isinstance(said, Refusal) else Effect.ATTRIBUTE)
            newborn.xattrs[name] = value
        if not newborn.removed:
            newborn.remember()

    def set_xattr(self, inode: int, name: str, value: bytes | None, pid: int) -> None:
        """Set an extended attribute, or remove it."""
        if self._read_only:
            fail(errno.EROFS)
        newborn = self.nursery.by_inode.get(inode)
        if newborn is not None:
            self._set_newborn_xattr(newborn, name, value)
            return
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
        except Exception as exc:  # it must not end the mount; the next tick tries again
            log.error("a look at what changed failed: %s", exc, exc_info=exc)
        if not self._read_only and self._ticks % ANEW_TICKS == 0:
            self._state_what_was_not()
        if not self._read_only and self._ticks % AGE_TICKS == 0:
            self._age()

    def _state_what_was_not(self) -> None:
        """What could not be stated when it was closed: there may be room again."""
        for guid, path in list(self._unstated.items()):
            self._try(self._state_bytes, Guid(guid), path, saving.UNKNOWN)
        for newborn in self.nursery:
            if not newborn.is_temporary and not newborn.handles:
                self._try(self._grow_up, newborn)

    def _age(self) -> None:
        now = self._clock().now_ms * 1_000_000
        for newborn in self.nursery:
            try:
                age = now - os.stat(newborn.path).st_mtime_ns
            except OSError:
                continue
            if newborn.companion and self._database_stands(newborn):
                continue
            if newborn.is_temporary and becomes_ordinary(newborn.name, age, newborn.handles > 0):
                self._try(self._give_birth, newborn, saving.UNKNOWN)

    def _database_stands(self, newborn: Newborn) -> bool:
        database = database_of(newborn.name)
        for known in self.directories:
            if database is not None and known.directory.path == newborn.directory:
                return self._found(known, database) is not None
        return True  # nobody looks into that directory

    def finish(self) -> None:
        """State what is still open, and make everything durable."""
        for number in self.handles.numbers():
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
