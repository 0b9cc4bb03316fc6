"""Bytes of files in the mount: where they are, taking them over, keeping what is replaced.

Every change of bytes ends in a fact: `content`, with the SHA-256 of what stands in place.
What is replaced whole (O_TRUNC, a save) is set aside in `keep/` first, under its own
SHA-256, and is a version of the file; nothing is unlinked that a fact still names.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from tagfs.bytes import hash_file, take
from tagfs.change import Change
from tagfs.errors import StoreError
from tagfs.fact import Content, Made, time_text
from tagfs.guid import Guid, guid_of_bytes
from tagfs.index.apply import Applier
from tagfs.index.blocks import PLAIN
from tagfs.index.read import View
from tagfs.layout import make_folder
from tagfs.merge import FileState
from tagfs.mount.newborn import Newborn
from tagfs.place import Places, kept_versions_folder, places
from tagfs.slug import data_path
from tagfs.store import Store


class Contents:
    """Paths and facts of bytes, for one mount."""

    def __init__(self, store: Store, view: View) -> None:
        self._store = store
        self._places: Places = places(store.layout, view, store.node)
        self._own = frozenset({store.node})
        self._label = self._places.own_label()

    def state(self, view: View, ordinal: int) -> FileState:
        """The merge state of a file, in the view's transaction."""
        return Applier(self._store.open_index(), view.tx, self._store.node).entry_at(ordinal).state

    def path(self, view: View, ordinal: int) -> str | None:
        """Where the bytes of a file are here, None where they are not."""
        row = view.row(ordinal)
        if row is None:
            return None
        if row.flags & PLAIN:
            data = data_path(guid_of_bytes(row.guid), view.name(ordinal))
            path = self._store.layout.data(self._label, data)
            if os.path.exists(path):
                return path
            return self._places.find(data, self._own)
        state = self.state(view, ordinal)
        holds = frozenset(node for node, (_, yes) in state.holds.items() if yes)
        return self._places.find(state.made.data, holds) if state.made is not None else None

    def place_for(self, guid: str, name: str) -> str:
        """Where the bytes of a new file go."""
        return self._store.layout.data(self._label, data_path(guid, name))

    def put_in_place(self, newborn: Newborn, name: str) -> str:
        """Move the bytes of a newborn from scratch to their place; open handles stay good."""
        place = self.place_for(newborn.guid, name)
        make_folder(os.path.dirname(place))
        os.rename(newborn.path, place)
        try:
            os.removexattr(place, "user.lyts.newborn")
        except OSError:
            pass
        newborn.path = place
        return place

    def birth(self, change: Change, newborn: Newborn, name: str, digest: str, tags: Sequence[str]) -> None:
        """State the birth of a file whose bytes are in place."""
        found = os.stat(newborn.path)
        change.about_file(
            newborn.guid,
            made=Made(name=name, data=data_path(newborn.guid, name)),
            content=content_of(digest, found),
            tag=list(tags) or None,
            holds={change.node: True},
        )

    def keep_version(self, guid: str, path: str, digest: str) -> None:
        """Set the bytes at `path` aside as a version: linked where nobody has them open, else copied."""
        place = os.path.join(kept_versions_folder(self._store.layout, guid), digest)
        if os.path.exists(place):
            return
        make_folder(os.path.dirname(place))
        draft = os.path.join(self._store.layout.scratch, f"keep-{guid}")
        if os.path.exists(draft):
            os.unlink(draft)
        take(path, draft)
        os.rename(draft, place)

    def replace(self, guid: str, path: str, new: str, old_digest: str) -> None:
        """Put the bytes at `new` in the place of those at `path`, which become a version."""
        keep = os.path.join(kept_versions_folder(self._store.layout, guid), old_digest)
        make_folder(os.path.dirname(keep))
        if not os.path.exists(keep):
            os.link(path, keep)
        os.replace(new, path)


def content_of(digest: str, found: os.stat_result, was: str | None = None) -> Content:
    """The content fact of bytes with this SHA-256."""
    return Content(sha256=digest, size_bytes=found.st_size, modified=time_text(found.st_mtime_ns), was=was)


def state_content(change: Change, guid: Guid, path: str, digest: str | None = None) -> bool:
    """State what stands at `path` as the content of a file, unless it is known as such. Says whether it was new."""
    state = change.state(guid)
    heads = state.content_heads()
    now = digest or hash_file(path)
    found = os.stat(path)
    was = heads[-1][1].sha256 if heads else None
    if was == now:
        known = heads[-1][1]
        if time_text(found.st_mtime_ns) != known.modified:
            change.about_file(guid, modified=time_text(found.st_mtime_ns))
        return False
    if found.st_size >= 1 << 47:
        raise StoreError(f"{path} is larger than any file may be")
    trashed = state.is_trashed()
    change.about_file(guid, content=content_of(now, found, was))
    if trashed:
        change.about_file(guid, trash=True)  # written to after it was removed: it stays removed
    return True
