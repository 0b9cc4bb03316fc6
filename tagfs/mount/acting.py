"""What everything that changes the library through the mount stands on: finding a file, and stating facts.

Operations of one program with gaps under two seconds are one action (facts.md, Undo), so
facts are stated as part of what the program has been doing. They are acknowledged by the
append to the ledger; `fsync(2)` makes them durable, and `Changes.tick` does within a second.

Trio thread only, as all of `Changes`.
"""

from __future__ import annotations

import errno
import logging
import os
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import pyfuse3

from tagfs.births import Births, Line, Stating
from tagfs.bucket import Clock
from tagfs.change import Change
from tagfs.errors import StoreError
from tagfs.index.blocks import LISTED
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.mount.answer import Refused, fail
from tagfs.mount.contents import Contents
from tagfs.mount.desktop import Desktop
from tagfs.mount.directories import Directories, Known, ViewFiles
from tagfs.mount.following import Following
from tagfs.mount.gathering import Gathering
from tagfs.mount.handles import Handle, Handles
from tagfs.mount.live import Live
from tagfs.mount.looks import Looks
from tagfs.mount.newborn import FILE_BIT, Newborn, Nursery, inode_of_guid
from tagfs.mount.turn import Turn
from tagfs.mount.upkeep import Upkeep
from tagfs.recovery.background import Attendant
from tagfs.store import Store
from tagfs.views import effects, saving, tree
from tagfs.views.brake import Brake
from tagfs.views.directory import HOLDS_FILES, Directory, Kind
from tagfs.views.matrix import Effect, Refusal

log = logging.getLogger(__name__)

T = TypeVar("T")
Statements = dict[str, Any]

PROCESSES_KEPT = 1024


class Acting:
    """The state of the changing side of a mount, how files are found, and how facts are stated."""

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
        self.turn = Turn(store.layout.lock, monotonic_ns, read_only=read_only)
        self._now = self.turn.now_ns
        self._read_only = read_only
        self.looks = Looks(store)
        self.directories = Directories(root, pyfuse3.ROOT_INODE)
        self.nursery = Nursery(store.layout.scratch, store.machine.random_bytes(4).hex())
        self.gathering = Gathering(Births(store), self._let_go, store.sync_ledger)
        self.directories.on_new = self._occupy
        self.contents = Contents(store, self.looks.view())
        self.live = Live(self.directories, self.looks.view().tx.id())
        self.looks.on_new = self._look_anew
        self.handles = Handles()
        self._sized: Counter[int] = Counter()
        """Inodes whose size is being set by who has no handle."""
        self.live.announcer.is_written = self._is_being_written
        self.desktop = Desktop(root, self.directories, clock)
        self.following = Following()
        self._saving: saving.Saving[str] = saving.Saving()
        self.live.on_renamed = self._saving.forget
        self._groups = saving.ActionGroups()
        self._brake = Brake()
        self._makers: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """GUID -> (process, when) of files made through the mount."""
        self._stand_ins: OrderedDict[int, str] = OrderedDict()
        """Inodes that the kernel may still ask for after a save gave their name to another file."""
        self._processes: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._ticks = 0
        self._upkeep = Upkeep(store.layout)
        self._pages = Attendant(store.layout.root, os.environ)
        self._oldest: tuple[str | None, int] = None, 0
        """The birth that waits longest for the index, and the tick at which that was first seen."""
        self._unstated: dict[str, str] = {}
        """GUID -> path of files whose bytes could not be stated when they were closed: a full disk."""
        self.changed_ns = 0

    def _is_being_written(self, inode: int) -> bool:
        """Whether somebody may write to a file. From any thread."""
        return self.handles.writer_of(inode) is not None or inode in self._sized

    def _look_anew(self, view: View) -> None:
        """There is a new view of the index; nobody has asked it for a name yet."""
        self.live.note_renames(view)
        self.gathering.look(view)

    # -- finding

    def _occupy(self, known: Known) -> None:
        """The names of newborns in a directory are taken, also where it was forgotten meanwhile, or the mount ended."""
        for newborn in self.nursery.shown_in(known.directory.path):
            known.sticky.occupy(newborn.name)

    def _let_go(self, view: View, born: list[Newborn]) -> None:
        """The index knows files that were born: from here on they are shown as ones of the library."""
        known: Known | None = None
        files: ViewFiles | None = None
        directory = ""
        for newborn in born:
            self.nursery.drop(newborn)
            if files is None or newborn.directory != directory:
                directory = newborn.directory
                known = self.directories.with_path(directory)
                if known is None or known.directory.kind not in HOLDS_FILES:
                    known = None
                    continue
                files = self._files(view, known)
            if known is None:
                continue
            ordinal = view.ordinal(newborn.guid)
            if ordinal is None:
                known.sticky.vacate(newborn.name, files)
            else:
                known.sticky.takes_over(newborn.name, ordinal, files)

    def catch_up(self) -> None:
        """Let the index know every file that was born. Raises `DiskFull`, `StoreError`."""
        if not self.gathering:
            return
        self.looks.drop()
        if self.gathering.take_in():
            self.looks.view()
        if self.gathering:
            self.looks.drop()
            self._store.act(lambda change: None, durable=False)
            self.looks.view()

    def view_for(self, directory: Directory, name: bytes | None) -> View:
        """A view that knows what a name could lead to in a directory, or what it lists (None), the nursery aside."""
        view = self.looks.view()
        if not self.gathering:
            return view
        if name is None:
            matters = self.gathering.concerns_listing(directory)
        else:
            matters = self.gathering.concerns(directory, name) and self.nursery.find(directory.path, name) is None
        if matters:
            try:
                self.catch_up()
            except StoreError as exc:
                log.debug("files that were just born are shown where they were made only: %s", exc)
            view = self.looks.view()
        return view

    def newborn(self, inode: int) -> Newborn | None:
        """The file with an inode, if it is not born yet. The index knows it if it is."""
        found = self.nursery.by_inode.get(inode)
        if found is not None and found.line is not None:
            self.catch_up()
            return None
        return found

    def _is_called_otherwise(self, ordinal: int, old: str, new: str) -> None:
        """A file was renamed: wherever it is shown, its old name leads to nobody."""
        if old != new:
            name = old.encode("utf-8", "surrogatepass")
            for known in self.directories:
                known.sticky.left(ordinal, name)
            self.live.renamed(ordinal, name)

    def resolve(self, view: View, known: Known, name: bytes) -> int | None:
        """The file that a name leads to in a directory of files, or whose note it is."""
        kind = known.directory.kind
        if kind is Kind.DESKTOP_FILES:
            return self.desktop.resolve(view, known.files(view, self._clock()), name)
        if kind is Kind.DESKTOP_INFO:
            return self.desktop.of_note(view, known.files(view, self._clock()), name)
        return known.sticky.resolve(name, self._files(view, known))

    def _files(self, view: View, known: Known) -> ViewFiles:
        # Mostly nothing has changed since the last look, and then nobody need know what time it is.
        unchanged = known.files_at == view.id
        return ViewFiles(view, known.kept_files() if unchanged else known.files(view, self._clock()))

    def ordinal(self, view: View, inode: int) -> int:
        """The file with an inode. ENOENT where there is none, or none any more: a fact would bring it back."""
        guid = self._stand_ins.get(inode)
        found = view.ordinal(guid) if guid is not None else view.by_ident(inode & (FILE_BIT - 1))
        if found is None or not inode & FILE_BIT or not view.birth(found)[1] & LISTED:
            fail(errno.ENOENT)
        return found

    def _ordinal_of(self, view: View, guid: str) -> int:
        ordinal = view.ordinal(guid)
        if ordinal is None:
            fail(errno.ENOENT)
        return ordinal

    def _found(self, known: Known, name: bytes) -> Newborn | int | None:
        """What stands under a name: a newborn, the ordinal of a file, or None."""
        newborn = self.nursery.find(known.directory.path, name)
        if newborn is not None and newborn.line is None:
            return newborn
        if newborn is not None or self.gathering.concerns(known.directory, name):
            self.catch_up()
        view = self.looks.view()
        if known.directory.kind is Kind.IDS:
            return tree.file_by_id(view, name.decode("utf-8", "replace"))
        return self.resolve(view, known, name)

    def _state(self, guid: str) -> FileState:
        """What is known of a file."""
        return self._store.states([guid])[0]

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
            self.live.did(self._store.open_index().env.info()["last_txnid"])
            self.changed_ns = self._clock().now_ms * 1_000_000
        return result

    def state_unasked(self, guid: str, say: Callable[[Change, str], None]) -> None:
        """State something about a file that nobody asked for: it is part of no action."""
        self.looks.drop()

        def state(change: Change) -> None:
            change.unasked = True
            say(change, guid)

        self._store.act(state, durable=False)
        self.looks.view()

    def _state_birth(self, pid: int, decide: Callable[[Stating], None]) -> Line | None:
        """The same for a birth, with the index following later. None where `_act` has to do it."""
        tgid, now = self._process(pid), self._now()
        stated = self.gathering.births.state(self._groups.action(tgid, now), decide)
        if stated is None:
            return None
        self._groups.done(tgid, stated.action, now)
        self.changed_ns = self._clock().now_ms * 1_000_000
        if self.gathering.followed:
            self.gathering.followed = False
            self.looks.drop()  # or a view would stay for as long as files are made
        return stated.line

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

    def _refuse(self, found: Effect | Refusal) -> Effect:
        if isinstance(found, Refusal):
            raise Refused(found)
        return found
