"""The contents a file has had: `lyts versions`.

Each content is a fact, so all are listed; the bytes of an earlier one are to be had
while `keep/` has them. Bringing one back is a new content that names the one it
replaces, whose bytes then stand in keep: nothing is lost on the way.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from tagfs.bytes import hash_file, take
from tagfs.change import Change
from tagfs.durable import sync_paths
from tagfs.errors import BadRequest, NothingMatched, StoreError
from tagfs.face import face_of
from tagfs.fact import Content
from tagfs.index.read import View
from tagfs.layout import Layout, make_folder
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
    if version.path is None:
        raise NothingMatched("the bytes of that version are not on this device any more")
    current = next((v for v in listed.values() if v.current), None)
    if current is None or current.path is None:
        raise StoreError(
            "the current bytes of the file are not on this device, so they could not be kept; nothing was changed"
        )
    if hash_file(version.path) != version.sha256:
        raise StoreError(f"{version.path} is damaged: its bytes are not those of that version; nothing was changed")
    layout = store.layout
    copy = take(version.path, os.path.join(layout.scratch, f"{guid}-{version.sha256[:16]}")).path
    sync_paths([copy])
    keep = kept_version(layout, guid, current.sha256)
    make_folder(os.path.dirname(keep))
    if not os.path.exists(keep):
        os.link(current.path, keep)  # the inode that is replaced below; nobody writes to it after
        sync_paths([os.path.dirname(keep)])

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
        os.replace(copy, current.path)
        sync_paths([os.path.dirname(current.path)])
        return store.act(state, action=action, undoes=undoes)
    except BaseException:
        os.link(keep, copy)
        os.replace(copy, current.path)
        raise
