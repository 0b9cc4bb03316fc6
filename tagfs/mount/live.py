"""Keeps the kernel's caches true: what left a directory from beneath is forgotten there.

Names and attributes are cached by the kernel for a day, which makes a warm stat cost no
request at all. So whatever changes by other hands must be told: the `changes` table says
which files and terms each transaction changed; directories whose result depends on them
are computed anew, and the names that left are invalidated, plain and long. Names that
arrive need nothing, since absence is not cached.

Watchers of a directory are told of what came to it or changed in it, as far as that is
possible (`announce`).

Invalidation goes through a thread, never from a handler: it waits for requests under way
in the same directory, and so is handed over only when the request that caused it is
answered (`tell`). While it waits the kernel lets nobody interrupt it: a mount that would
end then could not, nor could who waits for its answer (`point.clear_crashed` frees them
after a SIGKILL). So before the mount ends it is made quiet first. A directory's own entry
is never invalidated; `pwd` in it would break.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import chain, islice
from queue import SimpleQueue

import pyfuse3
from pyroaring import BitMap

from tagfs.bucket import Clock
from tagfs.index.blocks import PLAIN
from tagfs.index.read import View
from tagfs.mount.announce import A_LOOK, EACH, Announcer, News, in_turn
from tagfs.mount.directories import NONE, Directories, Known
from tagfs.mount.newborn import FILE_BIT
from tagfs.views import tree
from tagfs.views.directory import HOLDS_FILES
from tagfs.views.names import long_name, lookup_forms, shown_form

log = logging.getLogger(__name__)


UNKNOWN = -1
DOUBTS_KEPT = 1024
MET_KEPT = 4096
"""So many names in `ids/` the kernel may know."""
DOUBT_NS = 10**9
"""So long after a name was forgotten a request may still come that had found its inode before."""


class _Doubt:
    """By some name the kernel may mean an inode wrongly. `told`: so many batches told end that."""

    __slots__ = ("sure", "told", "until_ns")

    def __init__(self, told: int) -> None:
        self.told = told
        self.until_ns = 0
        self.sure: set[int] = set()
        """Threads that were made to look anew."""


class Live:
    """What was last told to the kernel. Trio thread only, but for the threads that tell."""

    def __init__(self, directories: Directories, transaction: int) -> None:
        self._directories = directories
        self._told = self._noted = transaction
        self._pending: list[tuple[int, bytes | None]] = []
        self._handed_over = 0
        self._ends = False
        self._renamed: set[tuple[int, bytes]] = set()
        self._by_id: OrderedDict[tuple[int, bytes], int] = OrderedDict()
        """(Directory, name) -> the file that a program met by its identity."""
        self._doubts: OrderedDict[int, _Doubt] = OrderedDict()
        self._sent_back: OrderedDict[int, int] = OrderedDict()
        """Thread -> until when it is expected to come again, having been made to look anew."""
        self.on_renamed: Callable[[str], None] = lambda guid: None
        """Called with the GUID of each file that was renamed from beneath."""
        self.announcer = Announcer()
        self._news: list[News] = []
        self._ours: set[int] = set()
        self._names = _Teller("lyts-invalidate")
        # It waits for writes under way to that file, and those may wait for a copy.
        self._bytes = _Teller("lyts-invalidate-bytes")

    def tell(self) -> None:
        """Hand over what was to be forgotten. Only while no request is being answered."""
        if self._pending:
            pending, self._pending = self._pending, []
            contents = [one for one in pending if one[1] == b""]
            if contents:
                self._bytes.add(contents)
            self._names.add([one for one in pending if one[1] != b""] if contents else pending)
            self._handed_over += 1
        if self._news:
            news, self._news = self._news, []
            self.announcer.add(news)

    def end(self) -> None:
        """Tell nothing more: the mount is about to end."""
        self._ends = True
        self._names.ends = self._bytes.ends = True
        self.announcer.end()

    def is_telling(self) -> bool:
        """Whether the kernel is still being told something."""
        return self._names.is_telling() or self._bytes.is_telling() or self.announcer.is_busy()

    def did(self, transaction: int) -> None:
        """A transaction was a program's doing, through the mount: the kernel has told of it where it was done."""
        self._ours.add(transaction)

    def renamed(self, ordinal: int, old: bytes) -> None:
        """A file that was called `old` has another name, and every directory knows (`Sticky.left`).

        Told again by the `changes` table, it would be taken to give up the name it has by then.
        To be said before the next view of the index.
        """
        self._renamed.add((ordinal, old))

    def begin_anew(self) -> None:
        """The index was built again, and counts its transactions anew."""
        self._told = 0
        self._noted = UNKNOWN
        self._renamed.clear()
        for inode, name in self._by_id:
            self.forget_entry(inode, name)
        self._by_id.clear()

    def forget_entry(self, inode: int, name: bytes) -> None:
        """Let the kernel look a name up again."""
        self._pending.append((inode, name))

    def met_by_id(self, inode: int, name: bytes, ordinal: int) -> None:
        """In the directory with this inode (`ids/`) a program met a file by its identity."""
        self._by_id[inode, name] = ordinal
        if len(self._by_id) > MET_KEPT:
            (old_inode, old_name), _ = self._by_id.popitem(last=False)
            self.forget_entry(old_inode, old_name)

    def names_elsewhere(self, view: View, ordinal: int, but: int) -> list[tuple[int, bytes]]:
        """By which names the kernel may know a file, as (directory, name); but for those in one directory."""
        spelled = _Spelled(view)
        found = []
        for known in self._directories:
            if known.holds_files and known.inode != but and ordinal in known.kept_files():
                long = known.sticky.long_names_met(ordinal, spelled.name(ordinal), spelled.guid(ordinal))
                found += [(known.inode, name) for name in (*spelled.now(ordinal), *long)]
        return found

    def forget_attributes(self, inode: int) -> None:
        """Let the kernel ask for the attributes of a file again."""
        self._pending.append((inode, None))

    def forget_bytes(self, inode: int) -> None:
        """Let the kernel read a file again."""
        self._pending.append((inode, b""))

    def doubt(self, inode: int) -> None:
        """A name leads to this inode in the kernel, and to another file here: until it is told, as asked just now."""
        self._doubts.pop(inode, None)
        self._doubts[inode] = _Doubt(self._handed_over + 1)
        if len(self._doubts) > DOUBTS_KEPT:
            self._doubts.popitem(last=False)

    @property
    def has_doubts(self) -> bool:
        """Whether `is_doubtful` or `is_to_ask_again` could say so of any inode."""
        return bool(self._doubts or self._sent_back)

    def is_doubtful(self, inode: int) -> bool:
        """Whether the kernel is still to forget a name by which it means this inode, and we another file."""
        doubt = self._doubts.get(inode)
        return doubt is not None and self._names.told_of < doubt.told and self._names.is_alive() and not self._ends

    def is_to_ask_again(self, inode: int, pid: int, now_ns: int) -> bool:
        """Whether who asks for this inode must have its names looked up anew: it may have come by an old one.

        It may have done so before the name was forgotten, and ask only now. Whoever did look anew is right.
        """
        comes_again = bool(self._sent_back) and self._sent_back.pop(pid, 0) > now_ns
        doubt = self._doubts.get(inode)
        if doubt is None:
            return False
        if not doubt.until_ns:
            doubt.until_ns = now_ns + DOUBT_NS
        if now_ns > doubt.until_ns:
            del self._doubts[inode]
            return False
        known = comes_again or pid in doubt.sure
        doubt.sure.add(pid)
        if known:
            return False
        self._sent_back[pid] = now_ns + DOUBT_NS
        if len(self._sent_back) > DOUBTS_KEPT:
            self._sent_back.popitem(last=False)
        return True

    def note_renames(self, view: View) -> None:
        """Let directories know of renames from beneath, before anyone asks for a name in this view.

        Later would be too late: a name asked for meanwhile would have gone to a namesake, and
        of a file that was given its new name nobody could tell that it had another.
        """
        now = view.tx.id()
        if now == self._noted:
            return
        changes = view.changes_since(self._noted) if self._noted != UNKNOWN else None
        self._noted = now
        for _, _, _, names in changes or ():
            for ordinal, name in names.items():
                if (ordinal, name) not in self._renamed:
                    self.on_renamed(view.guid(ordinal))
                    for known in self._directories:
                        known.sticky.left(ordinal, name)
        self._renamed.clear()

    def look(self, view: View, clock: Clock) -> None:
        """Tell the kernel what changed since the last look."""
        now = view.tx.id()
        if now == self._told:
            return
        changes = view.changes_since(self._told)
        before, self._told = self._told, now
        if changes is None:
            log.info("more changed than is remembered (since %s); everything is looked at anew", before)
        changed, beneath, old_names = BitMap(), BitMap(), dict[tuple[int, bytes], bool]()
        for transaction, files, _, names in changes or ():
            changed |= files
            if transaction not in self._ours:
                beneath |= files
            for ordinal, name in names.items():
                old_names[ordinal, name] = transaction not in self._ours
        spelled = _Spelled(view)
        news = []
        for known in self._directories:
            if known.directory.kind in HOLDS_FILES and known.files_at >= 0:
                came = self._look_at(view, clock, known, old_names, spelled)
                altered = (beneath & known.kept_files()) - came
                if came or altered:
                    news.append((known, came, altered))
        self._ours = {transaction for transaction in self._ours if transaction > now}
        self._news += self._announced(view, news)
        for (inode, name), ordinal in list(self._by_id.items()):
            if ordinal in changed and tree.file_by_id(view, name.decode()) != ordinal:
                del self._by_id[inode, name]
                self.forget_entry(inode, name)
        for ordinal in changed:
            row = view.row(ordinal)
            if row is None or not row.flags & PLAIN:  # nothing happened to it since its birth
                self.forget_attributes(FILE_BIT | view.attr(ordinal).ident & (FILE_BIT - 1))

    def _look_at(
        self, view: View, clock: Clock, known: Known, old_names: Mapping[tuple[int, bytes], bool], spelled: _Spelled
    ) -> BitMap:
        """Forget what left a directory. Returns what came to it, under a new name or at all.

        Args:
            old_names: (file, former name) -> whether it was renamed from beneath.
        """
        old = known.kept_files() | known.left
        for (ordinal, name), from_beneath in old_names.items():
            if ordinal in old:
                if from_beneath:
                    known.came = known.came | BitMap([ordinal])
                for form in lookup_forms(name):
                    self.forget_entry(known.inode, form)
                self._forget_long(known, spelled, ordinal, name)
        known.files(view, clock, spelled.name)
        left, came = known.left, known.came
        known.left = known.came = NONE
        forget, inode, long = self._pending.append, known.inode, known.sticky.gave_long
        for ordinal in left:  # tens of thousands of times
            for name in spelled.now(ordinal):
                forget((inode, name))
            if long(ordinal):
                self._forget_long(known, spelled, ordinal, spelled.name(ordinal))
        # What a program met already, or made itself, is known to the kernel under its name.
        return (came & known.kept_files()) - known.sticky.holding_among(came)

    def _forget_long(self, known: Known, spelled: _Spelled, ordinal: int, name: bytes) -> None:
        for met in known.sticky.long_names_met(ordinal, name, spelled.guid(ordinal)):
            self.forget_entry(known.inode, met)

    def _announced(self, view: View, news: list[tuple[Known, BitMap, BitMap]]) -> list[News]:
        """What is to be announced, no more than `A_LOOK` of it: working it out keeps programs waiting."""
        if not self.announcer.has_mount():
            return []
        each = max(1, min(EACH, A_LOOK // max(1, len(news))))
        out = []
        for known, came, altered in news[:A_LOOK]:
            path = self._directories.path_of(known)
            if path is not None:
                some = islice(chain(came, altered), each)
                out.append([self._news_of(view, known, path, ordinal, ordinal in came) for ordinal in some])
        return in_turn(out)

    def _news_of(self, view: View, known: Known, path: bytes, ordinal: int, came: bool) -> News:
        name = shown_form(view.name(ordinal).encode("utf-8", "surrogatepass"))
        file_inode = FILE_BIT | view.attr(ordinal).ident & (FILE_BIT - 1)
        return News(known.inode, file_inode, path, name, long_name(name, view.guid(ordinal)), ordinal, came)

    def finish(self) -> None:
        """End the threads."""
        self.end()
        self._names.finish()
        self._bytes.finish()


class _Teller:
    """A thread that tells the kernel what to forget."""

    def __init__(self, name: str) -> None:
        self._queue: SimpleQueue[list[tuple[int, bytes | None]] | None] = SimpleQueue()
        self._handed_over = 0
        self.told_of = 0
        """So many batches were told."""
        self.ends = False
        self._thread = threading.Thread(target=self._tell, name=name, daemon=True)
        self._thread.start()

    def add(self, batch: list[tuple[int, bytes | None]]) -> None:
        """Tell these, after what came before: (inode, name), no name for the attributes, an empty one for the bytes."""
        self._handed_over += 1
        self._queue.put(batch)

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def is_telling(self) -> bool:
        """Whether the kernel is still being told something."""
        return self.told_of < self._handed_over and self._thread.is_alive()

    def finish(self) -> None:
        """End the thread."""
        self._queue.put(None)

    def _tell(self) -> None:
        while (items := self._queue.get()) is not None:
            for inode, name in items:
                try:
                    if self.ends:
                        break
                    if name is None:
                        pyfuse3.invalidate_inode(inode, attr_only=True)
                    elif not name:
                        pyfuse3.invalidate_inode(inode, attr_only=False)
                    else:
                        pyfuse3.invalidate_entry(inode, name)
                except OSError:
                    pass  # the kernel did not know it, which is as good
                except Exception:  # noqa: BLE001 - the session is gone; nothing is left to tell
                    return
            self.told_of += 1


class _Spelled:
    """Under which names the kernel may know files, worked out once for all directories."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._name: dict[int, bytes] = {}
        self._now: dict[int, tuple[bytes, ...]] = {}

    def guid(self, ordinal: int) -> str:
        return self._view.guid(ordinal)

    def name(self, ordinal: int) -> bytes:
        """The name a file has, as stored."""
        name = self._name.get(ordinal)
        if name is None:
            name = self._name[ordinal] = self._view.name(ordinal).encode("utf-8", "surrogatepass")
        return name

    def now(self, ordinal: int) -> tuple[bytes, ...]:
        """Each spelling of the name it has."""
        names = self._now.get(ordinal)
        if names is None:
            names = self._now[ordinal] = lookup_forms(self.name(ordinal))
        return names
