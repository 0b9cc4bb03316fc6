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

import errno
import gc
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import lmdb

from tagfs.errors import DiskFull, ReadOnlyStore, StoreError
from tagfs.guid import Guid
from tagfs.index.env import MAP_SIZE_BYTES, Index, IndexCorrupt, IndexMissing, is_full, open_index, reading, translated
from tagfs.index.positions import is_behind, known_segments
from tagfs.index.read import View
from tagfs.layout import Layout, StoreInfo, read_info
from tagfs.lock import Dirty, dirty_boot, hold, try_hold

if TYPE_CHECKING:
    from tagfs.change import Change
    from tagfs.merge import FileState

T = TypeVar("T")

RESERVE_BYTES = 2 << 20
"""Set aside on disk so that removing still works when it is full."""
_CLOCK_KEY = b"clock"
_SEGMENT_KEY = b"open_segment"


@contextmanager
def no_cycle_search() -> Iterator[None]:
    """Facts and states hold no cycles; looking for some among a million of them was a third of a bulk load's time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Machine(NamedTuple):
    """What the core takes from the machine it runs on, as functions."""

    wall_ms: Callable[[], int]
    random_bytes: Callable[[int], bytes]
    boot_id: Callable[[], str]


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        # No boot id: every process is a boot of its own, which is slow but safe.
        return f"pid-{os.getpid()}-{time.time_ns()}"


def this_machine() -> Machine:
    """The real clock, randomness and boot."""
    return Machine(lambda: time.time_ns() // 1_000_000, os.urandom, _boot_id)


class Store:
    """An open store. One per process; not for several threads at once."""

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
        self.info: StoreInfo = read_info(self.layout)
        self.node = Guid(self.info.node)
        self.machine = machine or this_machine()
        self.read_only = not os.access(self.layout.root, os.W_OK) or bool(os.statvfs(self.layout.root).f_flag & os.ST_RDONLY)
        self._map_size = map_size
        self._on_wait = on_wait
        self._on_rebuild = on_rebuild
        self._index: Index | None = None
        self._dirty = Dirty(self.layout.dirty)
        self._temporary: str | None = None
        self._depth = 0

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the store; the last process to leave makes the index durable."""
        index, self._index = self._index, None
        if index is not None:
            if self._dirty._fd is not None:
                with hold(self.layout.lock):
                    self._dirty.clear_if_last(lambda: index.env.sync(True))
            index.close()
        self._dirty.release()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

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
            self.rebuild(str(exc))
            with self.view() as view:
                return look(view)

    def open_index(self) -> Index:
        """The open index, for those who need more than a view."""
        return self._readable()

    def catch_up_if_behind(self) -> bool:
        """Take in what arrived in the ledgers, unless another process holds the lock and will. Says whether it did."""
        index = self._readable()
        with reading(index) as tx:
            known = known_segments(tx, index.db)
        if not is_behind(self.layout.ledgers, known):
            return False
        if self._temporary is not None or self.read_only:
            if self.read_only:
                self._rebuild_aside("the ledgers are newer than the index")
            return True
        with try_hold(self.layout.lock) as held:
            if held:
                self._act_locked(lambda change: None, None, None, durable=True)
        return held

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
            self.layout.index, create=False, read_only=self.read_only, locking=not self.read_only, map_size=self._map_size
        )

    # -- changing

    def act(self, state_facts: Callable[[Change], T], *, action: str | None = None, undoes: str | None = None, durable: bool = True,
            frees_space: bool = False) -> T:
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
            raise ReadOnlyStore(self.layout.root)
        with hold(self.layout.lock, self._on_wait):
            try:
                return self._act_locked(state_facts, action, undoes, durable)
            except DiskFull:
                if not frees_space or not self._spend_reserve():
                    raise
                return self._act_locked(state_facts, action, undoes, durable)

    def _act_locked(self, state_facts: Callable[[Change], T], action: str | None, undoes: str | None, durable: bool) -> T:
        for attempt in range(40):
            index = self._writable()
            try:
                with no_cycle_search():
                    return self._attempt(index, state_facts, action, undoes, durable)
            except lmdb.MapFullError:
                self._map_size = max(self._map_size, index.env.info()["map_size"]) * 2
                index.env.set_mapsize(self._map_size)
            except lmdb.MapResizedError:
                index.env.set_mapsize(0)
            except lmdb.Error as exc:
                error = translated(exc, self.layout.index)
                if not isinstance(error, IndexCorrupt) or attempt:
                    raise error from exc
                self._rebuild_locked(str(error))
        raise StoreError(f"the index in {self.layout.index} cannot grow any further")

    def _writable(self) -> Index:
        """The index, for writing; the lock is held."""
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

    def _attempt(self, index: Index, state_facts: Callable[[Change], T], action: str | None, undoes: str | None, durable: bool) -> T:
        from tagfs.change import Change
        from tagfs.index.apply import Applier
        from tagfs.index.catchup import catch_up
        from tagfs.ledger import Appender
        from tagfs.stamp import Clock, Node8

        own = self.info.ledger_folder
        appender = Appender(self.layout.ledgers, own)
        wall_ms = self.machine.wall_ms()
        tx = index.env.begin(write=True)
        appended = committed = False
        try:
            applier = Applier(index, tx, self.node)
            applier, caught = catch_up(applier, self.layout.ledgers, own, lambda: self._node_guids(applier.view), wall_ms=wall_ms)
            clock = Clock(Node8(self.node[:8]), self._clock_floor(applier, appender))
            clock.observe(applier.newest_when, wall_ms)
            change = Change(applier, clock, wall_ms, self.node, action, undoes)
            result = state_facts(change)
            lines = caught.to_vouch + change.lines
            if lines:
                # A segment is named by a stamp of ours, never by one we vouch for.
                name_stamp = change.lines[0][0] if change.lines else clock.tick(wall_ms)
                self._append(applier, appender, [(name_stamp, line) for _, line in caught.to_vouch] + change.lines, change)
                appended = True
            applier.flush()
            tx.put(_CLOCK_KEY, clock.last.to_bytes(8, "big"), db=index.db["meta"])
            learned = applier.learned_terms()
            try:
                tx.commit()
            except lmdb.Error as exc:
                raise _full_or_same(exc, self.layout.index) from exc
            committed = True
            index.term_numbers.update(learned)
        except BaseException as exc:
            if not committed:
                tx.abort()
                if appended:
                    appender.take_back()
            if isinstance(exc, lmdb.Error) and is_full(exc):
                raise DiskFull(self.layout.root) from exc
            raise
        if appended and durable:
            appender.sync()
        return result

    def _append(self, applier: Any, appender: Any, lines: list[tuple[str, bytes]], change: Change) -> None:
        """Append lines to the ledger and note in the transaction where they stand."""
        from tagfs.fact import parse_fact
        from tagfs.index.blocks import SegmentRead, unpack_segment
        from tagfs.index.catchup import new_segment_number, put_segment
        from zlib import crc32

        tx, db = applier.tx, applier.db
        boot = self.machine.boot_id()
        raw = tx.get(_SEGMENT_KEY, db=db["meta"])
        open_boot, _, name = raw.decode().partition(" ") if raw is not None else ("", "", "")
        reads: dict[str, SegmentRead] = {}
        if open_boot == boot and name:
            known = tx.get(name.encode(), db=db["segment"])
            if known is not None:
                reads[name] = unpack_segment(known)
        at = len(lines) - len(change.facts)  # vouched lines come first
        vouched = at
        done = 0
        for part in appender.append(lines, name if name in reads else None, reads[name].applied_bytes if name in reads else 0):
            read = reads.get(part.name) or SegmentRead(new_segment_number(applier), 0, 0, 0, 0, 0)
            found = os.stat(os.path.join(self.layout.ledgers, part.name))
            read = SegmentRead(
                read.number, crc32(part.data, read.crc32), part.first_byte + len(part.data), found.st_size, found.st_mtime_ns,
                read.lines + part.count,
            )
            put_segment(applier, part.name, read)
            tx.put(_SEGMENT_KEY, f"{boot} {part.name}".encode(), db=db["meta"])
            for k in range(done, done + part.count):
                if k < vouched:
                    applier.add(parse_fact(lines[k][1].rstrip(b"\n")), read.number)
                else:
                    applier.note_mention(change.facts[k - vouched], read.number)
            done += part.count

    def _clock_floor(self, applier: Any, appender: Any) -> int:
        """The newest `when` this node is known to have given."""
        from tagfs.stamp import when_of

        raw = applier.tx.get(_CLOCK_KEY, db=applier.db["meta"])
        newest = appender.newest_name()
        return max(
            int.from_bytes(raw, "big") if raw is not None else 0,
            applier.newest_own_when,
            when_of(newest) if newest else 0,
        )

    def _node_guids(self, view: View) -> dict[str, str]:
        """The GUID of each known node by its first 8 digits."""
        from tagfs.glossary import NODE_THING

        known = {guid[:8]: guid for guid, _ in view.things(NODE_THING)}
        known[self.node[:8]] = self.node
        return known

    # -- building the index again

    def rebuild(self, reason: str) -> None:
        """Build the index again from the ledgers."""
        if self.read_only:
            self._rebuild_aside(reason)
            return
        with hold(self.layout.lock, self._on_wait):
            self._rebuild_locked(reason)

    def _rebuild_anyhow(self, reason: str) -> None:
        if self.read_only:
            self._rebuild_aside(reason)
            return
        with hold(self.layout.lock, self._on_wait):
            # Another process may have done it while we waited.
            boot = dirty_boot(self.layout.dirty)
            if boot is None or boot == self.machine.boot_id():
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
        shutil.rmtree(building, ignore_errors=True)
        try:
            self._build(building, reason)
            old = building + ".old"
            shutil.rmtree(old, ignore_errors=True)
            if os.path.exists(place):
                os.rename(place, old)
            os.rename(building, place)
            shutil.rmtree(old, ignore_errors=True)
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
            shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary = tempfile.mkdtemp(prefix="lyts-")
        path = os.path.join(self._temporary, "index")
        self._build(path, reason)
        self._index = open_index(path, create=False, map_size=self._map_size)

    def _build(self, path: str, reason: str) -> None:
        from tagfs.index.apply import Applier
        from tagfs.index.catchup import catch_up

        progress = self._on_rebuild(reason) if self._on_rebuild is not None else None
        size = self._map_size
        while True:
            shutil.rmtree(path, ignore_errors=True)
            index = open_index(path, create=True, map_size=size)
            try:
                with open(os.path.join(path, "CACHEDIR.TAG"), "wb") as file:
                    from tagfs.layout import CACHE_TAG

                    file.write(CACHE_TAG)

                def commit_and_go_on(applier: Applier) -> Applier:
                    applier.flush()
                    index.term_numbers.update(applier.learned_terms())
                    newest = max(applier.newest_own_when, int.from_bytes(applier.tx.get(_CLOCK_KEY, db=index.db["meta"]) or b"", "big"))
                    applier.tx.put(_CLOCK_KEY, newest.to_bytes(8, "big"), db=index.db["meta"])
                    applier.tx.commit()
                    return Applier(index, index.env.begin(write=True), self.node)

                with no_cycle_search():
                    applier, _ = catch_up(
                        Applier(index, index.env.begin(write=True), self.node), self.layout.ledgers, self.info.ledger_folder,
                        dict, wall_ms=self.machine.wall_ms(), after_flush=commit_and_go_on, progress=progress,
                    )
                    commit_and_go_on(applier).tx.abort()
                index.env.sync(True)
                return
            except lmdb.MapFullError:
                size *= 2
            except lmdb.Error as exc:
                raise translated(exc, path) from exc
            finally:
                index.close()

    # -- the reserve

    def _spend_reserve(self) -> bool:
        try:
            os.unlink(self.layout.reserve)
        except OSError:
            return False
        return True

    def keep_reserve(self) -> None:
        """Set space aside for removing files on a full disk. Harmless where there is none left."""
        try:
            if os.stat(self.layout.reserve).st_size >= RESERVE_BYTES:
                return
        except OSError:
            pass
        try:
            fd = os.open(self.layout.reserve, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, RESERVE_BYTES)
            finally:
                os.close(fd)
        except OSError as exc:
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                self._spend_reserve()


def _full_or_same(exc: lmdb.Error, where: str) -> Exception:
    return DiskFull(where) if is_full(exc) else exc
