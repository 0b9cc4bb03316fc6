"""The contents a file has had: `lyts versions`.

Each content is a fact, so all are listed; the bytes of an earlier one are to be had
while `keep/` has them. Bringing one back is a new content that names the one it
replaces, whose bytes then stand in keep: nothing is lost on the way. While a program is in the
middle of writing the file it is refused; one that only has it open may go on, and what it
writes later is kept beside the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from tagfs.bytes import remove, take, try_link
from tagfs.change import Change
from tagfs.durable import sync_paths
from tagfs.errors import BadRequest, NothingMatched, StoreError
from tagfs.face import face_of
from tagfs.fact import Content, parse_time_ns
from tagfs.index.read import View
from tagfs.keep import emptying, keeping, make_way
from tagfs.layout import Layout
from tagfs.place import kept_versions_folder, places
from tagfs.stamp import ms_of
from tagfs.store import Store


class Version(NamedTuple):
    """One content. `path` is where its bytes are on this node, None where they are not here."""

    sha256: str
    size_bytes: int
    modified: str
    stated_ms: int
    node: str
    current: bool
    path: str | None

    @property
    def is_to_be_had(self) -> bool:
        """Whether it can be brought back. Of no bytes none are kept, and none are needed."""
        return self.path is not None or not self.size_bytes


class InUse(StoreError):
    """The current bytes are not those that were stated last: a program is writing to them."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            "a program is writing to this file just now, or it was changed beneath lyts; close it there and try "
            "again. Nothing was changed"
        )


def versions(store: Store, guid: str) -> list[Version]:
    """The contents of a file, the newest first."""
    state = store.states([guid])[0]

    def look(view: View) -> list[Version]:
        names = {node[:8]: name for node, name in view.node_names().items()}
        face = face_of(state, store.node, list(view.node_names()))
        placed = places(store.layout, view, store.node).find(face.data, face.holds)
        out = []
        for at, content in sorted(state.contents.items(), reverse=True):
            current = content.sha256 == face.sha256
            kept = kept_version(store.layout, guid, content.sha256)
            path = placed if current else (kept if os.path.exists(kept) else None)
            out.append(
                Version(
                    content.sha256,
                    content.size_bytes,
                    content.modified,
                    ms_of(at),
                    names.get(at[26:], at[26:]),
                    current,
                    path,
                )
            )
        return out

    return store.read(look)


def kept_version(layout: Layout, guid: str, sha256: str) -> str:
    """Where the bytes of an earlier content stand."""
    return os.path.join(kept_versions_folder(layout, guid), sha256)


def bring_back(
    store: Store, guid: str, sha256: str, *, action: str | None = None, undoes: str | None = None
) -> str | None:
    """Make an earlier content (by the beginning of its SHA-256) the current one. Returns the action.

    Args:
        action, undoes: as for `Store.act`.
    Raises:
        NothingMatched: there is no such version, or its bytes are not here.
        BadRequest: it is the current one, or more than one begins so.
        InUse: a program is writing to the file.
    """
    listed = {version.sha256: version for version in versions(store, guid)}
    fitting = [version for version in listed.values() if version.sha256.startswith(sha256.lower())]
    if len(fitting) != 1:
        raise (BadRequest if fitting else NothingMatched)(
            f"{len(fitting)} versions begin with {sha256!r}; lyts versions lists them"
        )
    version = fitting[0]
    if version.current:
        raise BadRequest("that version is the current one already")
    if not version.is_to_be_had:
        raise NothingMatched("the bytes of that version are not on this device any more")
    return _make_current(store, guid, version, listed.values(), action, undoes)


def take_over(store: Store, guid: str, version: Version, *, action: str | None = None) -> str | None:
    """Make bytes that another file has the content of this one; what it has stays as a version. Returns the action.

    Args:
        version: those bytes; `path` is where they stand.
        action: as for `Store.act`.
    Raises:
        NothingMatched: they are not here.
        StoreError: those of this file are not here, so they could not be kept.
        InUse: a program is writing to the file.
    """
    listed = versions(store, guid)
    if any(one.current and one.sha256 == version.sha256 for one in listed):
        return action
    if not version.is_to_be_had:
        raise NothingMatched("the bytes that are to be kept are not on this device")
    return _make_current(store, guid, version, listed, action, None)


def _make_current(
    store: Store, guid: str, version: Version, listed: Iterable[Version], action: str | None, undoes: str | None
) -> str | None:
    current = next((one for one in listed if one.current), None)
    if current is None or current.path is None:
        raise StoreError(
            "the current bytes of the file are not on this device, so they could not be kept; nothing was changed"
        )
    return _put_in_place(store, guid, version, version.path, current, current.path, action, undoes)


def _put_in_place(
    store: Store,
    guid: str,
    version: Version,
    kept: str | None,
    current: Version,
    place: str,
    action: str | None,
    undoes: str | None,
) -> str | None:
    """The bytes at `kept` (None: no bytes) for those at `place`, which are copied into keep first.

    Copied and not linked, because a program may have them open for writing and would write
    into the version. What it writes then is no longer what the file has: its mount keeps it
    beside the file when it is closed.
    """
    layout = store.layout
    copy = os.path.join(layout.scratch, f"{guid}-{version.sha256[:16]}")
    own = os.path.join(layout.scratch, f"{guid}-{current.sha256[:16]}")
    before = own + "-before"
    for draft in (copy, own, before):
        remove(draft)
    try:
        if kept is None:
            os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        elif take(kept, copy).sha256 != version.sha256:
            raise StoreError(f"{kept} is damaged: its bytes are not those of that version; nothing was changed")
        modified_ns = parse_time_ns(version.modified)
        if modified_ns is not None:
            os.utime(copy, ns=(modified_ns, modified_ns))
        looked = os.stat(place)
        if take(place, own).sha256 != current.sha256:
            raise InUse(place)
        sync_paths([copy, own])
        with keeping(layout):
            folders = make_way(layout, guid)
            os.replace(own, kept_version(layout, guid, current.sha256))
        sync_paths(folders)
        with emptying(layout):  # a mount sets nothing aside now, and so puts nothing in place
            if _written_since(looked, os.stat(place)):
                raise InUse(place)
            linked = try_link(place, before)
            marked = _mark(layout.flux_mark(guid))
            os.replace(copy, place)

        def state(change: Change) -> str | None:
            if change.state(guid).content_heads()[-1][1].sha256 != current.sha256:
                raise StoreError("the file was changed meanwhile; nothing was brought back")
            change.about_file(
                guid,
                content=Content(
                    sha256=version.sha256, size_bytes=version.size_bytes, modified=version.modified, was=current.sha256
                ),
            )
            return change.action

        try:
            sync_paths([os.path.dirname(place)])
            return store.act(state, action=action, undoes=undoes)
        except BaseException:
            if not linked:
                take(kept_version(layout, guid, current.sha256), before)
            os.replace(before, place)
            raise
        finally:
            if marked:
                remove(layout.flux_mark(guid))
    finally:
        for draft in (copy, own, before):
            remove(draft)


def _mark(path: str) -> bool:
    """Note that the bytes differ from what is stated. False where a mount noted so before."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    return True


def _written_since(looked: os.stat_result, found: os.stat_result) -> bool:
    return (looked.st_ino, looked.st_size, looked.st_mtime_ns) != (found.st_ino, found.st_size, found.st_mtime_ns)
