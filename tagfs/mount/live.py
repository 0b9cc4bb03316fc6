"""Keeps the kernel's caches true: what left a directory from beneath is forgotten there.

Names and attributes are cached by the kernel for a day, which makes a warm stat cost no
request at all. So whatever changes by other hands must be told: the `changes` table says
which files and terms each transaction changed; directories whose result depends on them
are computed anew, and the names that left are invalidated, plain and long. Names that
arrive need nothing, since absence is not cached.

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
from queue import SimpleQueue

import pyfuse3
from pyroaring import BitMap

from tagfs.bucket import Clock
from tagfs.guid import guid_of_bytes
from tagfs.index.read import View
from tagfs.mount.directories import Directories, Known
from tagfs.mount.newborn import FILE_BIT
from tagfs.views.directory import HOLDS_FILES

log = logging.getLogger(__name__)


class Live:
    """What was last told to the kernel. Trio thread only, but for the thread that tells."""

    def __init__(self, directories: Directories, transaction: int) -> None:
        self._directories = directories
        self._told = self._noted = transaction
        self._pending: list[tuple[int, bytes | None]] = []
        self._queue: SimpleQueue[tuple[int, bytes | None] | None] = SimpleQueue()
        self._handed_over = 0
        self._told_of = 0
        self._ends = False
        self._renamed: set[tuple[int, bytes]] = set()
        self._thread = threading.Thread(target=self._tell, name="lyts-invalidate", daemon=True)
        self._thread.start()

    def _tell(self) -> None:
        while (item := self._queue.get()) is not None:
            inode, name = item
            try:
                if self._ends:
                    continue
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
            finally:
                self._told_of += 1

    def tell(self) -> None:
        """Hand over what was to be forgotten. Only while no request is being answered."""
        if self._pending:
            pending, self._pending = self._pending, []
            self._handed_over += len(pending)
            for item in pending:
                self._queue.put(item)

    def end(self) -> None:
        """Tell nothing more: the mount is about to end."""
        self._ends = True

    def is_telling(self) -> bool:
        """Whether the kernel is still being told something."""
        return self._told_of < self._handed_over and self._thread.is_alive()

    def renamed(self, ordinal: int, old: bytes) -> None:
        """A file that was called `old` has another name, and every directory knows (`Sticky.left`).

        Told again by the `changes` table, it would be taken to give up the name it has by then.
        To be said before the next view of the index.
        """
        self._renamed.add((ordinal, old))

    def forget_entry(self, inode: int, name: bytes) -> None:
        """Let the kernel look a name up again."""
        self._pending.append((inode, name))

    def forget_attributes(self, inode: int) -> None:
        """Let the kernel ask for the attributes of a file again."""
        self._pending.append((inode, None))

    def forget_bytes(self, inode: int) -> None:
        """Let the kernel read a file again."""
        self._pending.append((inode, b""))

    def note_renames(self, view: View) -> None:
        """Let directories know of renames from beneath, before anyone asks for a name in this view.

        Later would be too late: a name asked for meanwhile would have gone to a namesake, and
        of a file that was given its new name nobody could tell that it had another.
        """
        now = view.tx.id()
        if now == self._noted:
            return
        changes = view.changes_since(self._noted)
        self._noted = now
        for _, _, _, names in changes or ():
            for ordinal, name in names.items():
                if (ordinal, name) not in self._renamed:
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
        changed, old_names = BitMap(), dict[tuple[int, bytes], None]()
        for _, files, _, names in changes or ():
            changed |= files
            for ordinal, name in names.items():
                old_names[ordinal, name] = None
        for known in self._directories:
            if known.directory.kind in HOLDS_FILES and known.files_at >= 0:
                self._look_at(view, clock, known, list(old_names))
        for ordinal in changed:
            self.forget_attributes(FILE_BIT | view.attr(ordinal).ident & (FILE_BIT - 1))

    def _look_at(self, view: View, clock: Clock, known: Known, old_names: list[tuple[int, bytes]]) -> None:
        before = known.kept_files()
        now = known.files(view, clock)
        left, known.left = known.left, BitMap()
        for ordinal, name in old_names:
            if ordinal in before or ordinal in now or ordinal in left:
                self._forget_names(view, known, ordinal, name)
        for ordinal in left:
            self._forget_names(view, known, ordinal, view.name(ordinal).encode("utf-8", "surrogatepass"))

    def _forget_names(self, view: View, known: Known, ordinal: int, name: bytes) -> None:
        row = view.row(ordinal)
        guid = guid_of_bytes(row.guid) if row is not None else ""
        for met in known.sticky.names_met(ordinal, name, guid):
            self.forget_entry(known.inode, met)

    def finish(self) -> None:
        """End the thread."""
        self._queue.put(None)
