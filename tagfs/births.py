"""Births stated in a row: the line goes to the ledger at once, the index follows a moment later.

A whole action (`Store.act`) writes and commits the index before it returns: milliseconds,
for every file that a program makes. Here only the ledger is written, under the store's
lock and in one write(2); that is the acknowledgement, and a crash right after it is the
ordinary "the index is behind the ledger". `take_in` lets the index follow, many lines in
one transaction, from another thread if need be.

What makes it sound:

- A file that is born has no past, so its stamp only has to be newer than every line of
  this node's ledger. That is known without looking as long as the open segment is as long
  as we left it and no name came to or left the ledger's folder (`_is_as_left`). Where it is
  not so, it is looked at anew (`_look`); where something is odd (another boot, a sealed or
  changed segment, an older copy of the store), the answer is None, and the caller takes
  the whole action, which knows what to do about it.
- `take_in` reads what stands between the length the index has read and the length after
  our own last line. All of that is there to stay: it is cut back only by who wrote it,
  before giving the lock away. So it needs no lock of the store, just LMDB's own for
  writers, and nobody who appends waits for it.
- Whatever goes wrong in `take_in` (the map or the disk is full, another process built the
  index anew) leaves the index as it was; the next whole action reads the same lines.

`state` is called by one thread only; `take_in` by any, one at a time.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple
from zlib import crc32

import lmdb

from tagfs.cycles import no_cycle_search
from tagfs.errors import BadRequest, DiskFull, PeerDataError, StoreError
from tagfs.fact import MAX_LINE_BYTES, Fact, encode_fact, parse_fact, what_is_wrong_with_statements
from tagfs.index.apply import Applier
from tagfs.index.blocks import SegmentRead, pack_segment, unpack_segment
from tagfs.index.env import Index, reading
from tagfs.index.positions import known_segments, newest_of, segment_key
from tagfs.index.schema import CLOCK_KEY, OPEN_SEGMENT_KEY
from tagfs.ledger import SEAL_BYTES, SUFFIX, newest_segment_stamp, prefix_crc
from tagfs.lock import hold
from tagfs.seen import seen_by_others, who_saw_more
from tagfs.stamp import MAX_DRAG_MS, Clock, when_of
from tagfs.store import Store

TRANSACTIONS_KEPT = 1024
SETTLED_MS = 20
"""A folder changed less than this ago may change again within the same tick of its clock."""
_STAMP = re.compile(rb'"at":"([0-9TZ.\-a-f]{34})"')


class Line(NamedTuple):
    """Where a statement ends in the ledger: the index has it once it has read the segment so far."""

    segment: str
    end_byte: int


class Stated(NamedTuple):
    """What was stated, and as part of which action."""

    line: Line
    action: str


class Stating:
    """States facts about files that are being born; the part of `Change` that needs no index."""

    def __init__(self, clock: Clock, wall_ms: int, node: str, action: str | None) -> None:
        self.wall_ms = wall_ms
        self.node = node
        self.action = action
        self.lines: list[bytes] = []
        self._clock = clock

    def about_file(self, guid: str, **statements: Any) -> Fact:
        """State something about a file: keywords are the fields of `Fact`. Raises `BadRequest`."""
        at = self._clock.tick(self.wall_ms)
        if self.action is None:
            self.action = at
        fact = Fact(at=at, by=self.node, action=self.action, file=guid, **statements)
        line = encode_fact(fact)
        why = what_is_wrong_with_statements(fact) or ("it is too long" if len(line) > MAX_LINE_BYTES else "")
        if why:
            raise BadRequest(f"this cannot be kept: {why}")
        self.lines.append(line)
        return fact


class _Left(NamedTuple):
    """The ledger as we left it. `settled`: the folder's time tells every later change."""

    name: str
    path: str
    inode: int
    size_bytes: int
    folder_ns: int
    settled: bool
    last: int


class Births:
    """Quick statements for one store. See the module."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = os.path.join(store.layout.ledgers, store.info.ledger_folder)
        self._left: _Left | None = None
        self._fd = -1
        self._taking_in = threading.Lock()
        self.transactions: deque[int] = deque(maxlen=TRANSACTIONS_KEPT)
        """Of the index, in which births were taken in; for who wants to know whose doing they were."""

    def close(self) -> None:
        """Give the descriptor of the ledger back."""
        self._forget()

    # -- stating

    def state(self, action: str | None, decide: Callable[[Stating], None]) -> Stated | None:
        """State the birth of a file; once this returns it is acknowledged (`Store.sync_ledger` makes it durable).

        Args:
            action: the stamp of the action it is part of; None begins one.
            decide: states facts, about files that no fact speaks of yet; at least one.
        Returns:
            None where nothing was stated, and a whole action has to do it.
        Raises:
            DiskFull, StoreError, and whatever `decide` raises: nothing was stated.
        """
        store = self._store
        if store.read_only:
            return None
        with hold(store.layout.lock):
            store.refuse_if_migrated()
            left = self._left
            if left is None or not self._is_as_left(left):
                left = self._look()
                if left is None:
                    return None
            if left.size_bytes >= SEAL_BYTES:
                self._forget()
                return None
            clock = Clock(store.node[:8], left.last)
            stating = Stating(clock, store.machine.wall_ms(), store.node, action)
            decide(stating)
            data = b"".join(stating.lines)
            self._write(left, data)
            end = left.size_bytes + len(data)
            self._left = left._replace(size_bytes=end, last=clock.last)
        store.note_unsynced((left.path,))
        assert stating.action is not None
        return Stated(Line(left.name, end), stating.action)

    def _is_as_left(self, left: _Left) -> bool:
        try:
            found = os.stat(left.path)
            return (
                left.settled
                and (found.st_size, found.st_ino) == (left.size_bytes, left.inode)
                and os.stat(self._folder).st_mtime_ns == left.folder_ns
            )
        except OSError:
            return False

    def _write(self, left: _Left, data: bytes) -> None:
        """Append, all or nothing."""
        try:
            written = os.write(self._fd, data)
            while written < len(data):
                written += os.write(self._fd, data[written:])
        except OSError as exc:
            try:
                os.ftruncate(self._fd, left.size_bytes)
            except OSError:
                self._forget()  # a torn line spoils only itself: whoever looks next begins a new segment
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(self._store.layout.ledgers) from exc
            raise StoreError(f"the ledger in {self._folder} cannot be written: {exc.strerror}") from exc

    def _forget(self) -> None:
        self._left = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _look(self) -> _Left | None:
        """Look at the ledger, under the store's lock. None unless it ends in the index's open segment."""
        self._forget()
        store = self._store
        index = store.writable_index()
        with reading(index) as tx:
            raw = tx.get(OPEN_SEGMENT_KEY, db=index.db["meta"])
            boot, _, name = raw.decode("utf-8", "surrogateescape").partition(" ") if raw is not None else ("", "", "")
            known = tx.get(segment_key(name), db=index.db["segment"]) if name else None
            if known is None or boot != store.machine.boot_id():
                return None
            read = unpack_segment(known)
            given = int.from_bytes(tx.get(CLOCK_KEY, db=index.db["meta"]) or b"", "big")
            if self._is_behind(tx, index):
                return None
        path = os.path.join(store.layout.ledgers, name)
        try:
            folder_ns = os.stat(self._folder).st_mtime_ns
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            found = os.fstat(self._fd)
            tail = os.pread(self._fd, found.st_size, read.applied_bytes)
        except OSError:
            return None
        stamp = newest_segment_stamp(self._folder)
        size = found.st_size
        as_read = size == read.applied_bytes or (
            tail.endswith(b"\n") and prefix_crc(path, read.applied_bytes) == read.crc32
        )
        if (
            size >= SEAL_BYTES
            or size != read.applied_bytes + len(tail)
            or not as_read
            or (size and os.pread(self._fd, 1, size - 1) != b"\n")
            or os.path.basename(name) != stamp + SUFFIX
        ):
            self._forget()
            return None
        wall_ms = store.machine.wall_ms()
        stamps = [at.decode() for at in _STAMP.findall(tail) if at[26:] == store.node[:8].encode()]
        gave = (given, read.newest_when, when_of(stamp), when_of(max(stamps)) if stamps else 0)
        self._left = _Left(
            name,
            path,
            found.st_ino,
            size,
            folder_ns,
            folder_ns // 1_000_000 + SETTLED_MS < wall_ms,
            max((when for when in gave if (when >> 16) <= wall_ms + MAX_DRAG_MS), default=0),
        )
        return self._left

    def _is_behind(self, tx: Any, index: Index) -> bool:
        """Whether others have read more of our ledger than we have: an older copy of the store may not go on."""
        store = self._store
        others = seen_by_others(store.layout.ledgers, store.info.ledger_folder)
        if not others:
            return False
        newest = newest_of(known_segments(tx, index.db), store.node)
        return who_saw_more(others, store.node, newest) is not None

    # -- the index follows

    def take_in(self) -> bool:
        """Let the index take in what was stated so far. From any thread, without the store's lock.

        Returns:
            False where it could not, and a whole action has to (it says what is wrong).
        """
        with self._taking_in:
            left, index = self._left, self._store.index_at_hand()
            if left is None or index is None:
                return False
            with index.writing:
                if index.closed or not index.is_current():
                    return False
                try:
                    with no_cycle_search():
                        return self._follow(index, left) and index.is_current()
                except (lmdb.Error, OSError, PeerDataError, KeyError):
                    return False

    def _follow(self, index: Index, left: _Left) -> bool:
        tx = index.env.begin(write=True)
        try:
            known = tx.get(segment_key(left.name), db=index.db["segment"])
            if known is None:
                return False
            read = unpack_segment(known)
            if read.applied_bytes >= left.size_bytes:
                return True
            data, found = _between(left, read)
            if not data.endswith(b"\n"):
                return False
            applier = Applier(index, tx, self._store.node)
            lines = [line for line in data.split(b"\n") if line]
            for line in lines:
                applier.add(parse_fact(line), read.number)
            applier.flush()
            given = int.from_bytes(tx.get(CLOCK_KEY, db=index.db["meta"]) or b"", "big")
            tx.put(CLOCK_KEY, max(given, left.last).to_bytes(8, "big"), db=index.db["meta"])
            now = SegmentRead(
                read.number,
                crc32(data, read.crc32),
                left.size_bytes,
                left.size_bytes,
                found.st_mtime_ns,
                read.lines + len(lines),
                max(read.newest_when, applier.newest_own_when),
            )
            tx.put(segment_key(left.name), pack_segment(now), db=index.db["segment"])
            learned = applier.numbers.learned
            self.transactions.append(tx.id())  # before anybody can see it
            tx.commit()
        finally:
            tx.abort()  # nothing, where it was committed
        index.term_numbers.update(learned)
        return True


def _between(left: _Left, read: SegmentRead) -> tuple[bytes, os.stat_result]:
    """What stands in the segment after what was read of it; nothing where another file has its name."""
    fd = os.open(left.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)  # before reading: longer by then is longer than what is noted
        if found.st_ino != left.inode:
            return b"", found
        data = os.pread(fd, left.size_bytes - read.applied_bytes, read.applied_bytes)
        return (data if len(data) == left.size_bytes - read.applied_bytes else b""), found
    finally:
        os.close(fd)
