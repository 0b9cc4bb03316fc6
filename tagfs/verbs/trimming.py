"""Letting earlier contents go: `lyts versions --trim`, and what a mount does by itself.

Which ones is decided in `views.versions`. Before anything of a file goes, its current
bytes are read in place and have to have the hash that is stated (sync.md, Keep): while
they are missing, damaged, in flux or on another device, its versions are all there is,
and every one stays. Then, with nobody setting bytes aside meanwhile (`tagfs.keep`), it is
looked once more whether all of that still holds, and only then is a version unlinked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import NamedTuple

from tagfs.bytes import hash_file
from tagfs.face import face_of
from tagfs.index.read import View
from tagfs.keep import Standing, emptying, standing
from tagfs.merge import FileState
from tagfs.place import places
from tagfs.store import Store
from tagfs.verbs.history import facts_about
from tagfs.verbs.tagging import chunks
from tagfs.views.saving import Kept
from tagfs.views.versions import DAY_NS, Limits, is_former, kept_since_ns, needed_by_undo, to_drop


class Survey(NamedTuple):
    """What stands in keep. `others` are bytes that no fact about their file names; they are never let go.

    Copies of what is current are neither: it was brought back, or is about to be replaced.
    """

    versions: list[Kept]
    others: int
    other_bytes: int


class Trimmed(NamedTuple):
    """What was let go. `stayed` were due, but the current bytes of their file are not sound on this device."""

    versions: int
    freed_bytes: int
    stayed: int


def survey(store: Store) -> Survey:
    """Look at everything in keep."""
    by_file: dict[str, list[Standing]] = {}
    for one in standing(store.layout):
        by_file.setdefault(one.guid, []).append(one)
    versions, others, other_bytes = [], 0, 0
    for part in chunks(sorted(by_file)):
        for guid, state in zip(part, store.states(part), strict=True):
            for one in by_file[guid]:
                if is_former(state, one.sha256):
                    versions.append(_kept(one, state))
                elif all(head.sha256 != one.sha256 for _, head in state.content_heads()):
                    others += 1
                    other_bytes += one.size_bytes
    return Survey(versions, others, other_bytes)


def _kept(one: Standing, state: FileState) -> Kept:
    return Kept(one.guid, one.sha256, one.size_bytes, kept_since_ns(state, one.sha256, one.since_ns))


def due(store: Store, now_ms: int, limits: Limits, found: Survey | None = None) -> list[Kept]:
    """The versions that are past their time or more than there is room for, the oldest first."""

    def needed(files: set[str]) -> dict[str, str | None]:
        facts = store.read(lambda view: facts_about(store, view, files))
        return {file: needed_by_undo(about) for file, about in facts.items()}

    return to_drop((found or survey(store)).versions, now_ms * 1_000_000, limits, needed)


def trim(
    store: Store, now_ms: int, limits: Limits, *, ends: Callable[[], bool] = lambda: False, dry_run: bool = False
) -> Trimmed:
    """Let go of what is due.

    Args:
        ends: asked between two files; what is left then is for the next time.
        dry_run: only say what would go.
    """
    store.catch_up_if_behind()
    go = due(store, now_ms, limits)
    if dry_run:
        return Trimmed(len(go), sum(one.size_bytes for one in go), 0)
    done, freed, stayed = 0, 0, 0
    for guid, group in groupby(sorted(go), key=lambda one: one.file):
        if ends():
            break
        of_file = list(group)
        gone = _let_go(store, guid, of_file)
        done += len(gone)
        freed += sum(one.size_bytes for one in gone)
        stayed += len(of_file) - len(gone)
    return Trimmed(done, freed, stayed)


class _Current(NamedTuple):
    """The current bytes of a file, read and found sound. `path` is None for a file that was ended."""

    path: str | None
    mark: tuple[int, int, int, int] | None
    sha256: str


def _mark(path: str) -> tuple[int, int, int, int]:
    found = os.lstat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _current(store: Store, guid: str) -> _Current | None:
    """None where the current bytes are not here, or not as stated."""
    state = store.states([guid])[0]

    def look(view: View) -> tuple[bool, str, str | None]:
        face = face_of(state, store.node, list(view.node_names()))
        where = places(store.layout, view, store.node)
        return state.is_purged(), face.sha256, where.find(face.data, face.holds) if face.data else None

    purged, sha256, path = store.read(look)
    if purged:
        return _Current(None, None, "")
    if path is None or os.path.lexists(store.layout.flux_mark(guid)):
        return None
    try:
        mark = _mark(path)
        if hash_file(path) != sha256 or _mark(path) != mark:
            return None
    except OSError:
        return None
    return _Current(path, mark, sha256)


def _let_go(store: Store, guid: str, of_file: Iterable[Kept]) -> list[Kept]:
    current = _current(store, guid)
    if current is None:
        return []
    gone = []
    with emptying(store.layout):
        state = store.states([guid])[0]
        if not (state.is_purged() if current.path is None else _still_so(store, guid, state, current)):
            return []
        folder = ""
        for one in of_file:
            path = os.path.join(store.layout.keep, guid[:2], guid, one.sha256)
            try:
                since_ns = os.lstat(path).st_ctime_ns
            except FileNotFoundError:
                continue
            # Replaced and set aside again since it was looked at, it is a young one.
            if is_former(state, one.sha256) and kept_since_ns(state, one.sha256, since_ns) <= one.kept_at_ns:
                os.unlink(path)
                gone.append(one)
                folder = os.path.dirname(path)
        if folder and not os.listdir(folder):
            os.rmdir(folder)
    return gone


def _still_so(store: Store, guid: str, state: FileState, current: _Current) -> bool:
    heads = state.content_heads()
    if state.is_purged() or not heads or heads[-1][1].sha256 != current.sha256 or current.path is None:
        return False
    try:
        return _mark(current.path) == current.mark and not os.path.lexists(store.layout.flux_mark(guid))
    except OSError:
        return False


def oldest_days(found: Survey, now_ms: int) -> int:
    """How many days ago the oldest version was replaced."""
    return max(((now_ms * 1_000_000 - one.kept_at_ns) // DAY_NS for one in found.versions), default=0)
