"""Files that were just born: in the ledger already, in the index a moment later.

A birth is acknowledged by its line in the ledger (`tagfs.births`). The index takes many
of them in at once, in a thread, when no more have come for a moment, or some have waited
long enough. Until then they are shown from the nursery, as they were before. The rule:

    a file is in the nursery exactly as long as the view at hand has not read its line

so whoever made the index follow (this thread, an action of this mount, another process),
each new view is asked how far it has read (`look`), and what it knows leaves the nursery.

What needs the index to know them first (a removal, another write, a look from another
directory) has the index follow at once (`Acting.catch_up`).

Trio thread only, but for the thread inside.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable

from tagfs.births import Births, Line
from tagfs.index.blocks import unpack_segment
from tagfs.index.positions import segment_key
from tagfs.index.read import View
from tagfs.mount.newborn import Newborn
from tagfs.views.directory import HOLDS_FILES, Directory
from tagfs.views.names import shown_form

log = logging.getLogger(__name__)

PAUSE_S = 0.02
"""The index follows when no file was born for so long,"""
LONGEST_S = 0.2
"""and after so long in any case,"""
MANY = 64
"""and when so many wait: what a view finds known is let go in one request, at 15 to 20 us each."""


class Gathering:
    """The files that were born and that the index does not know yet."""

    def __init__(self, births: Births, let_go: Callable[[View, list[Newborn]], None], sync: Callable[[], None]) -> None:
        """
        Args:
            let_go: called with the files that a view knows, in the order of births.
            sync: makes the ledger durable; called in the thread.
        """
        self._sync = sync
        self.births = births
        self._let_go = let_go
        self._waiting: dict[str, tuple[Newborn, str]] = {}
        """By GUID, the oldest first; with the path in scratch, where another name still leads to the bytes."""
        self._removed: set[str] = set()
        """The names in scratch that the thread took away."""
        self._names: Counter[bytes] = Counter()
        self._directories: Counter[str] = Counter()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._ends = False
        self._is_to_sync = False
        self.followed = False
        """The thread took something in since this was last set to False."""
        self.failed = False
        """The thread could not; a whole action has to."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def oldest(self) -> str | None:
        """The one that has waited longest."""
        return next(iter(self._waiting), None)

    def __contains__(self, guid: str) -> bool:
        return guid in self._waiting

    def add(self, newborn: Newborn, line: Line) -> None:
        """A newborn was born: its bytes are in place, and it is stated by this line."""
        scratch, newborn.line = newborn.path, line
        self._waiting[newborn.guid] = newborn, scratch
        self._names[shown_form(newborn.name)] += 1
        self._directories[newborn.directory] += 1
        self._rouse()
        if len(self._waiting) == MANY:
            self._hurry.set()

    def _rouse(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="lyts-births", daemon=True)
            self._thread.start()
        if not self._wake.is_set():
            self._wake.set()

    def sync_soon(self) -> None:
        """Let the thread make the ledger durable: fsync takes milliseconds."""
        self._is_to_sync = True
        self._rouse()

    # -- whether they matter

    def concerns(self, directory: Directory, name: bytes) -> bool:
        """Whether one of them could be what a name leads to in a directory, other than one that is shown there."""
        if not self._waiting:
            return False
        if directory.kind not in HOLDS_FILES:
            return True
        return b"~" in name or shown_form(name) in self._names

    def concerns_listing(self, directory: Directory) -> bool:
        """Whether one of them could be in a directory, other than one that is shown there."""
        if not self._waiting:
            return False
        return directory.kind not in HOLDS_FILES or self._directories[directory.path] < len(self._waiting)

    # -- the index follows

    def look(self, view: View) -> None:
        """There is a new view: those it knows are files like others."""
        read: dict[str, int] = {}
        known: list[Newborn] = []
        while self._waiting:
            newborn, scratch = next(iter(self._waiting.values()))
            line = newborn.line
            assert line is not None
            if line.segment not in read:
                raw = view.tx.get(segment_key(line.segment), db=view.db["segment"])
                read[line.segment] = unpack_segment(raw).applied_bytes if raw is not None else 0
            if read[line.segment] < line.end_byte and view.ordinal(newborn.guid) is None:
                break
            del self._waiting[newborn.guid]
            _count_down(self._names, shown_form(newborn.name))
            _count_down(self._directories, newborn.directory)
            newborn.line = None
            known.append(newborn)
            if scratch not in self._removed:
                _remove(scratch)
            else:
                self._removed.discard(scratch)
        if known:
            self._let_go(view, known)

    def take_in(self) -> bool:
        """Let the index follow now. False where a whole action has to do it."""
        return self.births.take_in()

    def _follow(self) -> None:
        """The thread."""
        while not self._ends:
            self._wake.wait()
            waited = 0.0
            before = 0
            while waited < LONGEST_S and before != len(self._waiting) < MANY and not self._ends:
                before = len(self._waiting)
                self._hurry.wait(PAUSE_S)
                waited += PAUSE_S
            self._wake.clear()
            self._hurry.clear()
            if self._is_to_sync:
                self._is_to_sync = False
                try:
                    self._sync()
                except Exception as exc:  # noqa: BLE001 - it is tried again, and fsync(2) says it to who asks
                    log.error("what was stated is not durable yet: %s", exc)
            scratch = [path for _, path in list(self._waiting.values())]
            try:
                if not scratch:
                    continue
                self._removed.intersection_update(scratch)
                if not self.births.take_in():
                    self.failed = True
                    continue
                # A new look finds them; a second name costs the trio thread a moment for each.
                for path in scratch:
                    _remove(path)
                    self._removed.add(path)
            except Exception as exc:  # noqa: BLE001 - a whole action says what is wrong
                log.debug("births wait for a whole action: %s", exc)
                self.failed = True
            finally:
                self.followed = True

    def end(self) -> None:
        """End the thread."""
        self._ends = True
        self._wake.set()
        self._hurry.set()
        if self._thread is not None:
            self._thread.join()
        self.births.close()


def _count_down(counter: Counter[bytes] | Counter[str], key: bytes | str) -> None:
    counter[key] -= 1  # type: ignore[index]
    if counter[key] <= 0:  # type: ignore[index]
        del counter[key]


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
