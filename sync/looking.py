"""Looks at what of a file is on this node: the I/O before `machine.decide`.

- A hash is taken from the stock while the file has not changed since it was read; bytes in
  place with the size and time that a content fact states are taken to be those.
- A file that is open for writing anywhere on this node, or that changed within the last
  moments, is busy: it is neither hashed nor moved.
- Only a regular file is looked into. lyts makes no symbolic links among data, and follows none.
- ENOENT is never taken for a deletion: where Syncthing still has the file, it is busy
  replacing it, and so is the file.
- Whose hand changed bytes that no fact speaks of, and what they stood on, is told by
  Syncthing's version of the file: `modifiedBy`, and whether only this device's counter has
  risen since a fact last spoke of it. A version that Syncthing has not noted yet, as for up to two
  seconds after it put a file in place, is asked for again at the next look.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from sync.machine import Copy, Here, Members
from sync.shelves import Shelves, data_name
from sync.stock import Known, Stock
from sync.syncthing.client import Syncthing
from sync.syncthing.errors import FolderNotKnown, FolderPaused, FolderStopped
from sync.syncthing.records import FileStatus
from tagfs.bytes import hash_file
from tagfs.fact import time_text
from tagfs.merge import FileState

QUIET_NS = 2 * 10**9
SILENT_MS = 3_600_000
FACT_NS = 10 * 10**9
"""How long the fact or the proof behind a deletion may take longer than the deletion: 7 to 13 s on a full link."""


class Looked(NamedTuple):
    """What is here, and where it is. `again`: it was busy, and is to be looked at again."""

    here: Here
    paths: dict[Members, str]
    conflicts: dict[tuple[Members, str], str]
    kept: dict[str, str]
    edits: dict[str, str]
    again: bool


def is_being_written(path: str) -> bool:
    """Whether some process of this machine has a file open for writing: then no read lease is given."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as exc:
        return exc.errno == errno.EAGAIN
    else:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
    finally:
        os.close(fd)


def only_raised_by(before: str, now: str, device7: str) -> bool:
    """Whether a version of Syncthing follows another by changes of one device alone. Pure.

    Args:
        before, now: counters as `device:count`, separated by blanks.
    """
    counters = [dict(part.rpartition(":")[::2] for part in text.split()) for text in (before, now)]
    return all(
        counters[0].get(device) == counters[1].get(device)
        for device in {*counters[0], *counters[1]}
        if device != device7
    )


class Looking:
    """Looks at one file after the other."""

    def __init__(
        self, shelves: Shelves, stock: Stock, syncthing: Syncthing, set_ids: dict[Members, str], device7: str,
        wall_ns: Callable[[], int],
    ) -> None:  # fmt: skip
        self._shelves = shelves
        self._stock = stock
        self._syncthing = syncthing
        self._set_ids = set_ids
        self._device7 = device7
        self._wall_ns = wall_ns

    def look(self, state: FileState, data: str, *, odd: bool) -> Looked:
        """What of a file is on this node.

        Args:
            data: its path below `data/`.
            odd: there may be conflict copies and kept bytes; else nobody looks for them.
        """
        shelves = self._shelves
        placed: dict[Members, Copy] = {}
        paths: dict[Members, str] = {}
        conflicts: dict[tuple[Members, str], Copy] = {}
        conflict_paths: dict[tuple[Members, str], str] = {}
        again = False
        for members in shelves.labels:
            path = shelves.path(members, data)
            copy = self._copy(state, members, path, data_name(data))
            if copy is not None:
                placed[members], paths[members] = copy, path
                again = again or copy.busy
            for beside in shelves.conflicts(members, state.guid) if odd else ():
                name = data_name(f"{data[:2]}/{os.path.basename(beside)}")
                copy = self._copy(state, members, beside, name)
                if copy is not None and copy.sha256:
                    conflicts[members, copy.sha256], conflict_paths[members, copy.sha256] = copy, beside
                    again = again or copy.busy
        kept = shelves.kept(state.guid) if odd else {}
        edits = shelves.edits(state.guid) if odd else {}
        long_kept = [sha256 for sha256, path in kept.items() if self._is_old(path)]
        here = Here(placed, conflicts, sorted(kept), long_kept, sorted(edits))
        return Looked(here, paths, conflict_paths, kept, edits, again)

    def _is_old(self, path: str) -> bool:
        try:
            return self._wall_ns() - os.stat(path).st_ctime_ns > SILENT_MS * 1_000_000
        except FileNotFoundError:
            return False

    def _copy(self, state: FileState, members: Members, path: str, name: str) -> Copy | None:
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            status = self._status(members, name)
            if status is not None and not status.local.deleted and not status.whole.deleted:
                return Copy("", busy=True)  # Syncthing is putting another in its place, or has not noticed yet
            return None
        if not stat.S_ISREG(found.st_mode):
            return None  # a symbolic link, put there by another device: it may lead out of the store
        known = self._stock.get(path)
        stated = {
            content.sha256
            for content in state.contents.values()
            if (content.size_bytes, content.modified) == (found.st_size, time_text(found.st_mtime_ns))
        }
        if known is not None and known.is_of(found):
            sha256 = known.sha256
        elif len(stated) == 1:
            sha256 = stated.pop()
        else:
            try:
                if self._wall_ns() - found.st_mtime_ns < QUIET_NS or is_being_written(path):
                    return Copy("", busy=True)
                sha256 = hash_file(path)
            except FileNotFoundError:
                return Copy("", busy=True)
        spoken = {content.sha256 for content in state.contents.values()}
        spoken |= {content.was for content in state.contents.values() if content.was is not None}
        now_ms = self._wall_ns() // 1_000_000
        if sha256 in spoken:
            is_as_it_was = known is not None and known.is_of(found) and known.ground == sha256
            if known is None or not is_as_it_was or (not known.version and members in self._set_ids):
                version = self._version_in_place(members, name)
                if known is None or not is_as_it_was or version:
                    self._stock.put(path, Known(*_mark(found), sha256, sha256, version, now_ms))
            return Copy(sha256)
        return self._unspoken(state, members, path, name, found, sha256, known)

    def _unspoken(
        self, state: FileState, members: Members, path: str, name: str, found: os.stat_result, sha256: str,
        known: Known | None,
    ) -> Copy:  # fmt: skip
        """Bytes that no fact which was read speaks of: whose are they, and what did they stand on?"""
        if is_being_written(path):
            return Copy("", busy=True)
        now_ms = self._wall_ns() // 1_000_000
        ground = known.ground if known is not None else None
        version_then = known.version if known is not None else ""
        since_ms = known.since_ms if known is not None and known.sha256 == sha256 else now_ms
        self._stock.put(path, Known(*_mark(found), sha256, ground, version_then, since_ms))
        silent = now_ms - since_ms > SILENT_MS
        if members not in self._set_ids:
            return Copy(sha256, by_me=True, was=ground or _only_content(state))  # nobody else has this folder
        status = self._status(members, name)
        if status is None or status.local.deleted or not status.is_here():
            with suppress(FolderNotKnown, FolderPaused, FolderStopped):  # it looks at all of it when it goes on
                self._syncthing.scan(self._set_ids[members], [name])
            return Copy("", busy=True)
        by_me = status.local.modified_by == self._device7
        was = None
        if only_raised_by(version_then, self._version(status), self._device7):
            was = ground if ground is not None else _only_content(state) if not version_then else None
        return Copy(sha256, by_me=by_me, was=was, silent=silent)

    def may_be_explained(self, members: Members, data: str, kept: str) -> bool:
        """Whether another device deleted a file in a set's folder so lately that the fact behind it may be on its way.

        Args:
            kept: where the bytes went when it was deleted.
        """
        if not self.came_lately(kept):
            return False
        status = self._status(members, data_name(data))
        return status is not None and status.whole.deleted and status.whole.modified_by != self._device7

    def came_lately(self, kept: str) -> bool:
        """Whether bytes went into the keep so lately that what is behind it may be on its way."""
        try:
            return self._wall_ns() - os.stat(kept).st_ctime_ns < FACT_NS
        except FileNotFoundError:
            return False

    def _status(self, members: Members, name: str) -> FileStatus | None:
        if members not in self._set_ids:
            return None
        try:
            return self._syncthing.file(self._set_ids[members], name)
        except (FolderNotKnown, FolderPaused):
            return None

    def _version_in_place(self, members: Members, name: str) -> str:
        """Syncthing's version of what is on the disk; "" while it puts bytes in place and has not noted them yet."""
        status = self._status(members, name)
        return self._version(status) if status is not None and status.is_here() else ""

    @staticmethod
    def _version(status: FileStatus | None) -> str:
        return " ".join(status.local.version or ()) if status is not None else ""


def _mark(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ino


def _only_content(state: FileState) -> str | None:
    spoken = {content.sha256 for content in state.contents.values()}
    return spoken.pop() if len(spoken) == 1 else None
