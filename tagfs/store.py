"""A store on this node: opening it, reading from it, and changing it.

Theory of operation (index.md, Order and durability). The ledger is the write-ahead log;
the index only follows. One action, by any process of the node:

    1. take `lock`; whoever finds that `data.mdb` is another inode reopens
    2. begin LMDB's write transaction; apply ledger lines not yet applied; only then stamp
    3. apply the new facts, append them to the ledger, commit (if the commit fails, cut
       the ledger back)
    4. fsync the ledger, release

Reading takes no lock: a read transaction of LMDB sees the last commit. Before it, a stat
of each segment tells whether another node's facts arrived; those are caught up with first,
unless someone else holds the lock, who will do it.

An index that is missing, torn, of another layout, or left by a power cut (`dirty` of
another boot) is built again beside the old one and renamed into place. On a read-only
medium it is built in a temporary folder when the one there cannot be used.

Clock, randomness and boot id come with `Machine`; tests bring their own.
"""

from __future__ import annotations

import os
import time
from _thread import allocate_lock
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import lmdb

from tagfs import reserve
from tagfs.durable import sync_paths
from tagfs.errors import DiskFull, LytsError, MovedStore, ReadOnlyStore, StoreError
from tagfs.guid import Guid
from tagfs.index.env import MAP_SIZE_BYTES, Index, IndexCorrupt, IndexMissing, open_index, reading, translated
from tagfs.index.positions import differs_in_size, is_behind
from tagfs.index.read import View
from tagfs.layout import Layout, StoreInfo, read_info
from tagfs.lock import Dirty, dirty_boot, hold, try_hold

if TYPE_CHECKING:
    from tagfs.action import Place
    from tagfs.change import Change
    from tagfs.merge import FileState

T = TypeVar("T")

_TRY_AGAIN_S = 0.0005


class Machine(NamedTuple):
    """What the core takes from the machine it runs on, as functions."""

    wall_ms: Callable[[], int]
    random_bytes: Callable[[int], bytes]
    boot_id: Callable[[], str]
    machine_id: Callable[[], str] = lambda: ""
    """What tells this machine from others, "" where nothing does."""


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        # No boot id: every process is a boot of its own, which is slow but safe.
        return f"pid-{os.getpid()}-{time.time_ns()}"


def _machine_id() -> str:
    try:
        with open("/etc/machine-id", encoding="ascii", errors="replace") as file:
            return file.read(256).strip()
    except OSError:
        return ""


def is_elsewhere(info: StoreInfo, machine: Machine) -> bool:
    """Whether a store was made on another machine than this: it was moved there, or copied."""
    return bool(info.machine_id) and machine.machine_id() not in ("", info.machine_id)


def _remove_tree(path: str) -> None:
    import shutil  # brings compression modules along: 3 ms that no look at a healthy store should pay

    shutil.rmtree(path, ignore_errors=True)


def this_machine() -> Machine:
    """The real clock, randomness, boot and machine."""
    return Machine(lambda: time.time_ns() // 1_000_000, os.urandom, _boot_id, _machine_id)


class Store:
    """An open store. One per process; not for several threads at once (but see `births`)."""

    def __init__(
        self,
        root: str,
        machine: Machine | None = None,
        *,
        map_size: int = MAP_SIZE_BYTES,
        on_wait: Callable[[], None] | None = None,
        on_rebuild: Callable[[str], Callable[[int, int], None]] | None = None,
    ) -> None:
        """Open the store in the folder `root`. Cheap: the index is opened on first use.

        Args:
            on_wait: called when another process holds the store's lock.
            on_rebuild: called with the reason before the index is built again; returns the
                function that takes progress (bytes read, bytes in all).
        Raises:
            NoStore, NewerFormat, OlderFormat, StoreError.
        """
        self.layout = Layout(root)
        self._toml = self._toml_mark()
        self.info: StoreInfo = read_info(self.layout)
        self.node = Guid(self.info.node)
        self.machine = machine or this_machine()
        # Where nobody can write there is nothing to lock against.
        self._nobody_writes = bool(os.statvfs(self.layout.root).f_flag & os.ST_RDONLY)
        self._is_elsewhere = is_elsewhere(self.info, self.machine)
        self.read_only = self._nobody_writes or self._is_elsewhere or not os.access(self.layout.root, os.W_OK)
        self._map_size = map_size
        self._on_wait = on_wait
        self._on_rebuild = on_rebuild
        self._index: Index | None = None
        self._dirty = Dirty(self.layout.dirty)
        self._temporary: str | None = None
        self._acting = False
        self.has_acted = False
        """Whether something was changed through this store, or tried to."""
        self._unsynced: set[str] = set()
        self._sync_first: set[str] = set()
        self._noting = allocate_lock()
        self._syncing = allocate_lock()
        self._looked_through = 0  # inode of the index for which every segment was looked at

    def _toml_mark(self) -> tuple[int, int]:
        """Tells whether `store.toml` is still the one that was read."""
        try:
            found = os.stat(self.layout.toml)
        except OSError:
            return 0, 0
        return found.st_ino, found.st_mtime_ns

    def refuse_if_migrated(self) -> None:
        """Under the lock: another process may have brought the store to a newer format while we waited."""
        mark = self._toml_mark()
        if mark != self._toml:
            self.info = read_info(self.layout)
            self._toml = mark

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the store; the last process to leave makes the index durable."""
        self.sync_ledger()
        index, self._index = self._index, None
        if index is not None:
            if self._dirty._fd is not None:
                with hold(self.layout.lock):
                    self._dirty.clear_if_last(lambda: index.env.sync(True))
            index.close()
        self._dirty.release()
        if self._temporary is not None:
            _remove_tree(self._temporary)
            self._temporary = None

    def refusal(self) -> ReadOnlyStore:
        """Why a store that is `read_only` cannot be changed."""
        return (MovedStore if self._is_elsewhere else ReadOnlyStore)(self.layout.root)

    # -- reading

    @contextmanager
    def view(self, *, fresh: bool = True) -> Iterator[View]:
        """Look into the index, for one short operation.

        Args:
            fresh: first take in what arrived in the ledgers.
        """
        index = self._readable()
        if fresh:
            self.catch_up_if_behind()
            index = self._readable()
        with reading(index) as tx:
            try:
                yield View(index, tx)
            except lmdb.Error as exc:
                raise translated(exc, index.path) from exc

    def states(self, guids: Sequence[str]) -> list[FileState]:
        """The merge states of files, as of one transaction; empty ones where nothing is known."""
        from tagfs.index.apply import Applier

        index = self._readable()
        with reading(index) as tx:
            applier = Applier(index, tx, self.node)
            return [applier.entry(guid).state for guid in guids]

    def read(self, look: Callable[[View], T]) -> T:
        """Call `look` with a view; where the index turns out torn it is built again and `look` called once more."""
        try:
            with self.view() as view:
                return look(view)
        except IndexCorrupt as exc:
            self._rebuild_anyhow(str(exc), even_if_it_opens=True)
            with self.view() as view:
                return look(view)

    def index_at_hand(self) -> Index | None:
        """The index, where it is open; for a thread beside the one that uses the store."""
        return self._index

    def open_index(self) -> Index:
        """The open index, for those who need more than a view."""
        return self._readable()

    def catch_up_if_behind(self, tries: int = 20, *, but_for_own: bool = False) -> bool:
        """Take in what arrived in the ledgers, unless another process holds the lock and will. Says whether it did.

        Args:
            tries: who states a birth holds the lock for a tenth of a millisecond and takes nothing in;
                a whole action holds it longer, and does. So it is tried for some milliseconds.
            but_for_own: it is not behind if it is so only in what was added to this node's own ledger.
        """
        if not self.is_behind(but_for_own=but_for_own):
            return False
        if self.read_only:
            self._rebuild_aside("the ledgers are newer than the index")
            return True
        for _ in range(tries):
            with try_hold(self.layout.lock) as held:
                if held:
                    try:
                        self._act_locked(lambda change: None, None, None, durable=True)
                    except DiskFull:
                        return False  # what the index has can be looked at all the same
                    return True
            time.sleep(_TRY_AGAIN_S)
        return False

    def is_behind(self, *, but_for_own: bool = False) -> bool:
        """Whether the ledgers have something that the index has not read. `but_for_own`: see `catch_up_if_behind`."""
        index = self._readable()
        with reading(index) as tx:
            if self.read_only:
                return differs_in_size(tx, index.db, self.layout.ledgers)
            return is_behind(tx, index.db, self.layout.ledgers, self.info.ledger_folder, but_for_own=but_for_own)

    def catch_up_beside(self) -> bool:
        """Take in what arrived in the ledgers, from a thread beside the one that uses the store; not yet durable.

        The store's lock is held meanwhile: who changes something waits, as for another process.

        Returns:
            False where another process is at it, or it takes the thread that uses the store (the map has
            to grow, the index is to be built again, the disk is full): `catch_up_if_behind` does it there.
        """
        from tagfs.action import attempt
        from tagfs.cycles import no_cycle_search

        index = self._index
        if index is None or self.read_only:
            return False
        with try_hold(self.layout.lock) as held:
            if not held:
                return False
            with index.writing:
                if index.closed or not index.is_current():
                    return False
                try:
                    self.refuse_if_migrated()
                    self._dirty.mark(self.machine.boot_id())
                    with no_cycle_search():
                        attempt(index, self._place(index), lambda change: None, None, None, self.note_unsynced)
                except (lmdb.Error, LytsError, OSError):
                    return False
                self._looked_through = index.inode
        return True

    def _readable(self) -> Index:
        if self._index is not None and (self._temporary is not None or self._index.is_current()):
            return self._index
        if self._index is not None:
            self._index.close()
            self._index = None
        boot = dirty_boot(self.layout.dirty)
        if boot is not None and boot != self.machine.boot_id():
            self._rebuild_anyhow("the machine was not shut down cleanly")
        if self._index is None:
            try:
                self._index = self._open()
            except IndexCorrupt as exc:
                self._rebuild_anyhow("there is none yet" if isinstance(exc, IndexMissing) else str(exc))
        assert self._index is not None
        return self._index

    def _open(self) -> Index:
        return open_index(
            self.layout.index,
            create=False,
            read_only=self.read_only,
            locking=not self._nobody_writes,
            map_size=self._map_size,
        )

    # -- changing

    def sync_ledger(self) -> None:
        """Make durable what actions that were not `durable` stated. From any thread; whoever comes second waits."""
        with self._syncing:
            with self._noting:
                first, self._sync_first = self._sync_first, set()
                paths, self._unsynced = self._unsynced, set()
            try:
                sync_paths(path for path in (*first, *paths) if os.path.exists(path))
            except OSError as exc:
                with self._noting:
                    self._sync_first |= first
                    self._unsynced |= paths
                raise translated(exc, self.layout.ledgers) from exc

    def sync_first(self, paths: Iterable[str]) -> None:
        """Files and folders to be durable before the facts stated from now on are."""
        with self._noting:
            self._sync_first.update(paths)

    @property
    def has_unsynced(self) -> bool:
        """Whether `sync_ledger` has something to do."""
        return bool(self._unsynced)

    def note_unsynced(self, paths: Iterable[str]) -> None:
        """Ledger segments were appended to without fsync; the next `sync_ledger` sees to it."""
        with self._noting:
            self._unsynced.update(paths)

    def locked(self) -> AbstractContextManager[None]:
        """Hold the store's lock, for work on ledger files themselves; not inside `act`."""
        if self.read_only:
            raise self.refusal()
        return hold(self.layout.lock, self._on_wait)

    def act(
        self,
        state_facts: Callable[[Change], T],
        *,
        action: str | None = None,
        undoes: str | None = None,
        durable: bool = True,
        frees_space: bool = False,
    ) -> T:
        """Run one action: `state_facts` looks and states facts, which are then kept or, on any error, dropped.

        It may be called again from the start (the map grew, a torn index was rebuilt), so
        it must have no effect but through its `Change`.

        Args:
            action: the stamp of the action these facts go on with; None begins one.
            undoes: the action that this one answers.
            durable: fsync before returning. Without it the caller sees to it within a second.
            frees_space: may use the reserve when the disk is full.
        Raises:
            DiskFull, ReadOnlyStore, StoreError, and whatever `state_facts` raises: nothing was changed.
        """
        if self.read_only:
            raise self.refusal()
        if self._acting:
            raise RuntimeError("an action within an action would wait for itself")
        with hold(self.layout.lock, self._on_wait):
            self._acting = True
            try:
                self.has_acted = True
                return self._act_locked(state_facts, action, undoes, durable)
            except DiskFull:
                if not frees_space or not reserve.spend(self.layout.reserve):
                    raise
                return self._act_locked(state_facts, action, undoes, durable)
            finally:
                self._acting = False

    def _act_locked(
        self, state_facts: Callable[[Change], T], action: str | None, undoes: str | None, durable: bool
    ) -> T:
        from tagfs.action import attempt
        from tagfs.cycles import no_cycle_search

        self.refuse_if_migrated()
        for tries in range(40):
            index = self.writable_index()
            try:
                with index.writing, no_cycle_search():
                    result = attempt(
                        index, self._place(index), state_facts, action, undoes, None if durable else self.note_unsynced
                    )
                self._looked_through = index.inode
                return result
            except lmdb.MapFullError:
                self._map_size = max(self._map_size, index.env.info()["map_size"]) * 2
                index.resize(self._map_size)
            except lmdb.MapResizedError:
                index.resize(0)
            except lmdb.Error as exc:
                error = translated(exc, self.layout.index)
                if not isinstance(error, IndexCorrupt) or tries:
                    raise error from exc
                self._rebuild_locked(str(error))
        raise StoreError(f"the index in {self.layout.index} cannot grow any further")

    def note_in_index(self, write: Callable[[Any, dict[str, Any]], None]) -> None:
        """Write what only the index keeps, such as what is still to be done; no facts.

        Args:
            write: given a write transaction and the sub-databases; may be called again from the start.
        Raises:
            DiskFull, ReadOnlyStore, StoreError.
        """
        if self.read_only:
            raise self.refusal()
        with hold(self.layout.lock, self._on_wait):
            while True:
                index = self.writable_index()
                try:
                    with index.writing, index.env.begin(write=True) as tx:
                        write(tx, index.db)
                    return
                except lmdb.MapFullError:
                    self._map_size = max(self._map_size, index.env.info()["map_size"]) * 2
                    index.resize(self._map_size)
                except lmdb.MapResizedError:
                    index.resize(0)
                except lmdb.Error as exc:
                    raise translated(exc, self.layout.index) from exc

    def writable_index(self) -> Index:
        """The index, opened anew where that is needed, and marked as written to; the lock is held."""
        index = self._readable_locked()
        self._dirty.mark(self.machine.boot_id())
        return index

    def _readable_locked(self) -> Index:
        if self._index is not None and not self._index.is_current():
            self._index.close()
            self._index = None
        boot = dirty_boot(self.layout.dirty)
        if boot is not None and boot != self.machine.boot_id():
            self._rebuild_locked("the machine was not shut down cleanly")
        if self._index is None:
            try:
                self._index = self._open()
            except IndexCorrupt as exc:
                self._rebuild_locked("there is none yet" if isinstance(exc, IndexMissing) else str(exc))
        assert self._index is not None
        return self._index

    def _place(self, index: Index) -> Place:
        from tagfs.action import Place

        info = self.info
        return Place(
            self.layout.ledgers,
            info.ledger_folder,
            self.node,
            self.layout.scratch,
            self.machine.boot_id(),
            self.machine.wall_ms(),
            thorough=self._looked_through != index.inode,
        )

    # -- building the index again

    def rebuild(self, reason: str) -> None:
        """Build the index again from the ledgers."""
        if self.read_only:
            self._rebuild_aside(reason)
            return
        with hold(self.layout.lock, self._on_wait):
            self._rescue()
            self._rebuild_locked(reason)

    def _rescue(self) -> None:
        """What the index knows and the ledgers lost is written down before the index is thrown away."""
        boot = dirty_boot(self.layout.dirty)
        if boot is not None and boot != self.machine.boot_id():
            return
        try:
            if self._index is None or not self._index.is_current():
                if self._index is not None:
                    self._index.close()
                self._index = self._open()
            self._looked_through = 0  # nothing may be overlooked now
            self._act_locked(lambda change: None, None, None, durable=True)
        except StoreError:
            pass  # torn, or no room: what the ledgers have is all there is

    def _rebuild_anyhow(self, reason: str, even_if_it_opens: bool = False) -> None:
        if self.read_only:
            self._rebuild_aside(reason)
            return
        with hold(self.layout.lock, self._on_wait):
            # Another process may have done it while we waited.
            boot = dirty_boot(self.layout.dirty)
            if not even_if_it_opens and (boot is None or boot == self.machine.boot_id()):
                try:
                    self._index = self._open()
                    return
                except IndexCorrupt:
                    pass
            self._rebuild_locked(reason)

    def _rebuild_locked(self, reason: str) -> None:
        if self._index is not None:
            self._index.close()
            self._index = None
        building, place = self.layout.index_being_built, self.layout.index
        _remove_tree(building)
        try:
            self._build(building, reason)
            old = building + ".old"
            _remove_tree(old)
            if os.path.exists(place):
                os.rename(place, old)
            os.rename(building, place)
            _remove_tree(old)
            # The new index is durable; a mark left by another boot has been answered.
            boot = dirty_boot(self.layout.dirty)
            if boot is not None and boot != self.machine.boot_id():
                os.unlink(self.layout.dirty)
        except OSError as exc:
            raise translated(exc, self.layout.root) from exc
        self._index = self._open()

    def _rebuild_aside(self, reason: str) -> None:
        """Build an index in a temporary folder, for a store nobody can write to."""
        import tempfile

        if self._index is not None:
            self._index.close()
            self._index = None
        if self._temporary is not None:
            _remove_tree(self._temporary)
        self._temporary = tempfile.mkdtemp(prefix="lyts-")
        path = os.path.join(self._temporary, "index")
        self._build(path, reason)
        self._index = open_index(path, create=False, map_size=self._map_size)

    def _build(self, path: str, reason: str) -> None:
        from tagfs.rebuild import build_index

        build_index(
            path,
            self.layout,
            self.info,
            wall_ms=self.machine.wall_ms(),
            map_size=self._map_size,
            progress=self._on_rebuild(reason) if self._on_rebuild is not None else None,
        )

    def keep_reserve(self) -> None:
        """Set space aside for removing files on a full disk."""
        reserve.keep(self.layout.reserve)
