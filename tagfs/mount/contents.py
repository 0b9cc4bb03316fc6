"""Bytes of files in the mount: where they are, taking them over, keeping what is replaced.

Every change of bytes ends in a fact: `content`, with the SHA-256 of what stands in place.
What is replaced whole (O_TRUNC, a save) is set aside in `keep/` first, under its own
SHA-256, and is a version of the file; nothing is unlinked that a fact still names.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Mapping
from typing import Any

from tagfs.births import Stating
from tagfs.bytes import hash_file, remove, try_link
from tagfs.change import Change
from tagfs.errors import StoreError
from tagfs.face import holders
from tagfs.fact import Content, Made, time_text
from tagfs.guid import Guid
from tagfs.index.apply import Applier
from tagfs.index.blocks import PLAIN
from tagfs.index.read import View
from tagfs.keep import keeping, make_way
from tagfs.layout import make_folder
from tagfs.merge import FileState
from tagfs.mount.copies import Copies
from tagfs.mount.newborn import ORDINARY_MODE, Newborn
from tagfs.place import Places, is_file, kept_versions_folder, places
from tagfs.placement import Placing, read_settings, rules_of
from tagfs.slug import data_path
from tagfs.store import Store
from tagfs.views import attributes
from tagfs.views.matrix import Refusal

log = logging.getLogger(__name__)

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
QUICK_BYTES = 1 << 20
"""Hashed in a handler: half a millisecond."""


def _default_holders(store: Store) -> tuple[str, ...]:
    """`Settings.default`; this node alone where the settings are damaged, since a mount works all the same."""
    try:
        return read_settings(store.layout).default
    except StoreError as exc:
        log.warning("new files are kept on this device alone: %s", exc)
        return ()


class Contents:
    """Paths and facts of bytes, for one mount."""

    def __init__(self, store: Store, view: View) -> None:
        self._store = store
        self._places: Places = places(store.layout, view, store.node)
        self._seen = view.id
        self._own = frozenset({store.node})
        self._label = self._places.own_label()
        self._own_data = store.layout.data(self._label, "")
        self._data_begins = len(store.layout.data(self._label, ""))
        self._default = _default_holders(store)
        self.copies = Copies(store.layout.scratch, store.machine.random_bytes)
        self.places_anew = False
        """Rules or settings say who holds a new file, so that its birth takes a look at the index."""
        self._look_for_rules(view)

    def look_anew(self, view: View) -> None:
        """Sets of nodes and rules may have come up since."""
        if view.id != self._seen:
            self._seen = view.id
            self._places = places(self._store.layout, view, self._store.node)
            self._look_for_rules(view)

    def _look_for_rules(self, view: View) -> None:
        self.places_anew = bool(self._default or rules_of(view))

    def state(self, view: View, ordinal: int) -> FileState:
        """The merge state of a file, in the view's transaction."""
        # Of the view, not of the store: where the index was built again meanwhile, asking would close the view's.
        return Applier(view.index, view.tx, self._store.node).entry_at(ordinal).state

    def path(self, view: View, ordinal: int) -> str | None:
        """Where the bytes of a file are here, None where they are not."""
        if view.birth(ordinal)[1] & PLAIN:
            data = data_path(view.guid(ordinal), view.name(ordinal))
            path = self._own_data + data
            if is_file(path):
                return path
            return self._places.find(data, self._own)
        if view.row(ordinal) is None:
            return None
        state = self.state(view, ordinal)
        holds = frozenset(node for node, (_, yes) in state.holds.items() if yes)
        return self._find(view, state.made.data, holds) if state.made is not None else None

    def _find(self, view: View, data: str, holds: frozenset[str]) -> str | None:
        """Where bytes are, also in the folder of a set that came up since this mount began."""
        found = self._places.find(data, holds)
        if found is None:
            self.look_anew(view)
            found = self._places.find(data, holds)
        return found

    def open_to_read(self, view: View, ordinal: int, guid: str) -> tuple[int, str] | None:
        """Open the bytes of a file where they are here: (descriptor, path). None where they are not."""
        path: str | None
        if view.birth(ordinal)[1] & PLAIN:
            # Opened without a look whether they are there: that would cost as much as the rest.
            path = self._own_data + data_path(guid, view.name(ordinal))
            try:
                return os.open(path, _READ), path
            except OSError as exc:
                if exc.errno not in (errno.ENOENT, errno.ELOOP):  # ELOOP: a symbolic link
                    raise
        path = self.path(view, ordinal)
        return (os.open(path, _READ), path) if path is not None else None

    def place_for(self, guid: str, name: str) -> str:
        """Where the bytes of a new file go."""
        return self._store.layout.data(self._label, data_path(guid, name))

    def put_in_place(self, newborn: Newborn, name: str) -> str:
        """Put the bytes of a newborn where they belong; open handles stay good.

        They stand in scratch as well until the birth is stated (`is_born`): a crash between
        the two leaves a newborn, not bytes that nobody knows.
        """
        place = self.place_for(newborn.guid, name)
        make_folder(os.path.dirname(place))
        try:
            if not try_link(newborn.path, place):
                os.rename(newborn.path, place)
        except FileExistsError:
            if not os.path.samefile(newborn.path, place):
                raise
        return place

    def is_born(self, newborn: Newborn, place: str) -> None:
        """The birth is stated: what stands in scratch is not needed any more."""
        if newborn.path != place:
            remove(newborn.path)
            newborn.path = place

    def not_born(self, newborn: Newborn, place: str) -> None:
        """The birth could not be stated: it stays a newborn."""
        if os.path.exists(newborn.path):
            remove(place)
        else:
            os.rename(place, newborn.path)

    def birth(self, change: Change | Stating, newborn: Newborn, name: str, digest: str, place: str) -> None:
        """State the birth of a file whose bytes are in place, with what was set before."""
        birth: dict[str, Any] = {
            "made": Made(name=name, data=place[self._data_begins :]),
            "content": content_of(digest, os.stat(place)),
            "tag": list(newborn.tags) or None,
        }
        if newborn.placed is not None:
            birth.update(holds=newborn.placed.holds, knows=newborn.placed.knows or None)
        elif isinstance(change, Change):
            placing = Placing(change.view, change.node, self._default, change.wall_ms)
            birth.update(placing.birth(birth, newborn.guid))
        else:
            birth.update(holds={change.node: True})
        change.about_file(newborn.guid, **birth)
        if newborn.mode != ORDINARY_MODE:
            change.about_file(newborn.guid, mode=newborn.mode)
        if newborn.xattrs:
            assert isinstance(change, Change)  # what they mean takes a look at the index
            self.state_xattrs(change, newborn.guid, newborn.xattrs)

    def state_xattrs(self, change: Change, guid: str, xattrs: Mapping[str, bytes]) -> None:
        """State extended attributes that were set on a newborn; tags add to those of the path."""
        for name, value in xattrs.items():
            said = attributes.set_xattr(change.view, change.state(guid), name, value, adds=True)
            if isinstance(said, Refusal):
                log.info("%s was not kept with the file: %s", name, said.sentence)
            elif said:
                change.about_file(guid, **said)

    def stated_digest(self, state: FileState, path: str) -> str | None:
        """The SHA-256 of what stands at `path`: as stated, where size and time say that nobody has written since."""
        heads = state.content_heads()
        if heads:
            known, found = heads[-1][1], os.stat(path)
            if (known.size_bytes, known.modified) == (found.st_size, time_text(found.st_mtime_ns)):
                return known.sha256
        return None

    def is_kept(self, guid: str, path: str) -> bool:
        """Whether the bytes at `path` are those of a version of a file: another name of the same."""
        found = os.stat(path)
        if found.st_nlink == 1:
            return False
        try:
            with os.scandir(kept_versions_folder(self._store.layout, guid)) as entries:
                return any(entry.inode() == found.st_ino for entry in entries)
        except FileNotFoundError:
            return False

    def has_version(self, guid: str, digest: str) -> bool:
        """Whether bytes are kept as a version of a file."""
        return os.path.exists(self._kept(guid, digest))

    def _kept(self, guid: str, digest: str) -> str:
        return os.path.join(kept_versions_folder(self._store.layout, guid), digest)

    def keep_version(self, guid: str, path: str, digest: str, *, link: bool = False) -> None:
        """Set the bytes at `path` aside as a version.

        Args:
            link: nobody will write to them any more.
        """
        with keeping(self._store.layout):
            self._keep_version(guid, path, digest, link)

    def _keep_version(self, guid: str, path: str, digest: str, link: bool) -> None:
        layout, place = self._store.layout, self._kept(guid, digest)
        if os.path.exists(place):
            return
        durable = make_way(layout, guid)
        if not link or not try_link(path, place):
            draft = self.copies.draft()
            self.copies.put(path, draft)
            os.rename(draft, place)
            durable.append(place)
        # Not at once: a save is to cost no fsync. In time for the fact that says these bytes were replaced.
        self._store.sync_first(durable)

    def give_to_backup(self, guid: str, path: str, digest: str, into: str, *, in_use: bool) -> None:
        """Let the bytes at `path`, which are about to be replaced, stand at `into` as well.

        Args:
            digest: SHA-256 of those at `path`.
            in_use: somebody may still write to them; they are a version first then, and one copy does for both.
        """
        with keeping(self._store.layout):
            if in_use:
                self._keep_version(guid, path, digest, link=False)
                path = self._kept(guid, digest)
            if not try_link(path, into):
                self.copies.put(path, into)

    def replace(self, guid: str, path: str, new: str, digest: str, *, in_use: bool) -> None:
        """Put the bytes at `new` in the place of those at `path`, which become a version.

        Args:
            digest: SHA-256 of those at `path`.
            in_use: somebody may still write to the old ones.
        """
        with keeping(self._store.layout):
            self._keep_version(guid, path, digest, not in_use)
            os.replace(new, path)

    def own_copy(self, guid: str, path: str) -> bool:
        """Before bytes are written to: where another name leads to them too (a version), make them ours alone.

        Says whether there are other bytes at `path` now.
        """
        if os.stat(path).st_nlink == 1:
            return False
        draft = self.copies.draft()
        self.copies.put(path, draft)
        os.rename(draft, path)
        return True


def content_of(digest: str, found: os.stat_result, was: str | None = None) -> Content:
    """The content fact of bytes with this SHA-256."""
    return Content(sha256=digest, size_bytes=found.st_size, modified=time_text(found.st_mtime_ns), was=was)


def stated_at(state: FileState, path: str) -> str:
    """The hash of what stands at `path`: as a fact states for bytes of this size and time, else of small ones as read.

    "" where reading would take long, and nobody can tell.
    """
    found = os.stat(path)
    modified = time_text(found.st_mtime_ns)
    hashes = {
        one.sha256 for one in state.contents.values() if (one.size_bytes, one.modified) == (found.st_size, modified)
    }
    if not hashes and state.registers.get("modified", ("", ""))[1] == modified:  # only its time was set
        hashes = {one.sha256 for _, one in state.content_heads() if one.size_bytes == found.st_size}
    if len(hashes) == 1:
        return hashes.pop()
    # Bytes can come before the fact that states them.
    return hash_file(path) if found.st_size <= QUICK_BYTES else ""


def state_content(change: Change, guid: Guid, path: str, digest: str | None = None, ground: str = "") -> bool:
    """State what stands at `path` as the content of a file, unless it is known as such. Says whether it was new.

    Args:
        ground: SHA-256 of what these bytes replaced, "" where nobody can tell. What another node wrote
            meanwhile and nobody here saw must not pass for replaced: then both are kept.
    """
    state = change.state(guid)
    heads = {content.sha256: content for _, content in state.content_heads()}
    now = digest or hash_file(path)
    found = os.stat(path)
    known = heads.get(now)
    if known is not None:
        if time_text(found.st_mtime_ns) != known.modified:
            change.about_file(guid, modified=time_text(found.st_mtime_ns))
        return False
    if now == ground:
        return False  # written anew as they were, and they are not what counts
    if found.st_size >= 1 << 47:
        raise StoreError(f"{path} is larger than any file may be")
    was = ground or None
    if was is None and len(heads) == 1 and holders(state, ()) <= {change.node}:
        was = next(iter(heads))  # nobody else has it
    trashed = state.is_trashed()
    change.about_file(guid, content=content_of(now, found, was))
    if trashed:
        change.about_file(guid, trash=True)  # written to after it was removed: it stays removed
    return True
