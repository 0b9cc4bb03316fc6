"""Carries out what `machine.decide` says, on the disk and in the ledger, and says what Syncthing must look at.

Each action is done so that a crash in the middle leaves something that the next look makes
sense of, and loses nothing:

- bytes are put under a second name before the first one goes, and the folder is durable
  before anything that relies on it is said
- what stands in the way goes to the keep before it is replaced
- before a copy goes, here or from the keep, what it is let go for is read and has the right
  hash: nothing goes because a size and a time look right. A file that changed meanwhile,
  or that somebody has open for writing, is left alone; the next look decides anew.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection
from typing import NamedTuple

from sync import machine
from sync.looking import Looked, is_being_written
from sync.machine import Members, Proof, Source
from sync.shelves import Shelves, data_name
from tagfs.bytes import hash_file, remove, take, try_link
from tagfs.change import Change
from tagfs.conflict import CONFLICT_TAG, copy_guid, copy_name
from tagfs.durable import sync_paths
from tagfs.errors import StoreError
from tagfs.face import face_of
from tagfs.fact import Content, Made, time_text
from tagfs.keep import keeping, make_way
from tagfs.layout import make_folder
from tagfs.merge import FileState
from tagfs.place import kept_versions_folder
from tagfs.slug import data_path
from tagfs.store import Store

log = logging.getLogger(__name__)


class Done(NamedTuple):
    """What carrying out actions on one file asks for.

    `scans`: (set, name in its folder) that Syncthing must look at. `proofs`: what this node
    can say now. `again`: files to be looked at again at once. `later`: those of which the disk did not
    allow something, to be looked at again at growing intervals: bad bytes do not get better by reading them.
    """

    scans: list[tuple[Members, str]]
    proofs: list[Proof]
    again: set[str]
    later: set[str]


class Hands:
    """Does things, one file at a time."""

    def __init__(
        self,
        store: Store,
        shelves: Shelves,
        shelf_for: Callable[[Members], None],
        names: Callable[[], dict[str, str]],
        date_text: Callable[[], str],
        forget: Callable[[str], None],
    ) -> None:
        """Args:
        shelf_for: makes the folder of a set, and has it shared; then it is on the shelves.
        names: GUID -> alias of all nodes.
        date_text: today, for the name of the other version of a file.
        forget: what stood at a path was taken away or replaced by lyts; whatever a hand makes of what is
            there next does not stand on it.
        """
        self._store = store
        self._shelves = shelves
        self._shelf_for = shelf_for
        self._names = names
        self._date_text = date_text
        self._forget = forget

    def carry_out(self, state: FileState, data: str, looked: Looked, actions: Collection[machine.Action]) -> Done:
        """Do what was decided. What the disk does not allow is left out, and the file looked at again later."""
        done = Done([], [], set(), set())
        for action in actions:
            try:
                if not self._do(state, data, looked, action, done):
                    done.later.add(state.guid)
            except FileNotFoundError as exc:
                log.info("%s: %s went away meanwhile", state.guid, exc.filename)
                done.later.add(state.guid)
        return done

    def _do(self, state: FileState, data: str, looked: Looked, action: machine.Action, done: Done) -> bool:
        if isinstance(action, machine.StateContent):
            return self._state(state, looked.paths[action.members], action, done)
        if isinstance(action, machine.Put):
            return self._put(state, data, looked, action, done)
        if isinstance(action, machine.Prove):
            return self._prove(looked.paths[action.members], action, done)
        if isinstance(action, machine.Unlink):
            return self._unlink(state.guid, data, looked, action.source, done, keep=True)
        if isinstance(action, machine.Remove):
            return self._unlink(state.guid, data, looked, action.source, done, keep=False)
        if isinstance(action, machine.Drop):
            return self._stands_here(looked, action) and self._drop(state.guid, looked.kept[action.sha256], action)
        if isinstance(action, machine.DropEdit):
            remove(looked.edits[action.sha256])
            return True
        if isinstance(action, machine.Hold):
            return self._hold(state.guid, action, done)
        if isinstance(action, machine.HandOver):
            return self._hand_over(state.guid, self._path_of(looked, action.source), action.source.sha256, done)
        return self._keep_both(state, looked, action, done)

    def _path_of(self, looked: Looked, source: Source) -> str:
        if source.members is None:
            return looked.kept.get(source.sha256) or looked.edits[source.sha256]
        if source.is_conflict:
            return looked.conflicts[source.members, source.sha256]
        return looked.paths[source.members]

    # -- facts

    def _state(self, state: FileState, path: str, action: machine.StateContent, done: Done) -> bool:
        found = os.lstat(path)
        if hash_file(path) != action.sha256 or is_being_written(path):
            return False
        if len(face_of(state, self._store.node).holds) > 1 or len(action.members) > 1:
            self._second_copy(path, os.path.join(self._shelves.edits_folder(state.guid), action.sha256))

        def say(change: Change) -> None:
            change.unasked = True
            content = Content(action.sha256, found.st_size, time_text(found.st_mtime_ns), was=action.was)
            change.about_file(state.guid, content=content)

        self._store.act(say)
        done.again.add(state.guid)
        return True

    def _hold(self, guid: str, action: machine.Hold, done: Done) -> bool:
        def say(change: Change) -> None:
            change.unasked = True
            change.about_file(guid, holds={**dict.fromkeys(sorted(action.instead), False), change.node: True})

        self._store.act(say)
        done.again.add(guid)
        return True

    def _second_copy(self, path: str, place: str) -> None:
        if os.path.exists(place):
            return
        make_folder(os.path.dirname(place))
        if not try_link(path, place):
            draft = os.path.join(self._store.layout.scratch, f"keep-{os.path.basename(os.path.dirname(place))}")
            remove(draft)
            take(path, draft)
            os.rename(draft, place)
        sync_paths([os.path.dirname(place)])

    def _keep_both(self, state: FileState, looked: Looked, action: machine.KeepBoth, done: Done) -> bool:
        """What lost becomes a file of its own, the same one whoever finds it."""
        path = self._path_of(looked, action.source)
        sha256 = action.source.sha256
        if hash_file(path) != sha256:
            return False
        names = self._names()
        face = face_of(state, self._store.node, names)
        other = copy_guid(state.guid, sha256)
        name = self._name_beside(state, sha256, names)
        # By the name the file was born with, so that all who find it put it in the same place.
        data = data_path(other, state.made_name())
        members = face.holds if self._store.node in face.holds else face.holds | {self._store.node}
        self._shelf_for(members)
        place = self._shelves.path(members, data)
        if not os.path.exists(place):
            self._place(path, place)
        found = os.lstat(place)
        current = next(content for content in state.contents.values() if content.sha256 == action.current)

        def say(change: Change) -> None:
            change.unasked = True
            known = change.state(other)
            if known.made is None:
                change.about_file(
                    other,
                    made=Made(name=name, data=data),
                    content=Content(sha256, found.st_size, time_text(found.st_mtime_ns)),
                    tag=[*face.tags, CONFLICT_TAG],
                    holds={node: node in face.holds for node in {*face.holds, self._store.node}},
                    knows=dict.fromkeys(face.unknown_to, False) or None,
                )
            elif known.is_trashed() or known.is_purged():
                # It was settled once, and two nodes chose differently without knowing of each other.
                change.about_file(other, tag=[CONFLICT_TAG], trash=False)
            change.about_file(state.guid, content=Content(current.sha256, current.size_bytes, current.modified, sha256))

        self._store.act(say)
        done.scans.append((members, data_name(data)))
        done.again.update((state.guid, other))
        return True

    def _hand_over(self, guid: str, path: str, sha256: str, done: Done) -> bool:
        """What another node made a file of goes into that file's keep, from where it is put in place."""
        other = copy_guid(guid, sha256)
        if is_being_written(path) or hash_file(path) != sha256:
            return False
        self._second_copy(path, os.path.join(self._shelves.moved_folder(other), sha256))
        done.again.update((guid, other))
        return True

    def _name_beside(self, state: FileState, sha256: str, names: dict[str, str]) -> str:
        by8 = {guid[:8]: alias for guid, alias in names.items()}
        maker = next((at[26:] for at, content in state.contents.items() if content.sha256 == sha256), "")
        name = face_of(state, self._store.node).name
        return copy_name(name, by8.get(maker, "other"), self._date_text())

    # -- bytes

    def _put(self, state: FileState, data: str, looked: Looked, action: machine.Put, done: Done) -> bool:
        source = self._path_of(looked, action.source)
        if is_being_written(source):
            return False
        # Of a copy in its place, too: what a bad disk made of it must not pass for an edit where it is put.
        if hash_file(source) != action.source.sha256:
            log.warning(
                "%s does not have the bytes it had, and is not moved. If nobody has just changed it, its disk fails: "
                "lyts fsck --deep tells of which files",
                source,
            )
            return False
        self._shelf_for(action.members)
        place = self._shelves.path(action.members, data)
        if action.replaces is not None:
            if action.members not in looked.paths:
                return False
            before = _mark(place)
            if is_being_written(place) or hash_file(place) != action.replaces:
                return False
            self._second_copy(place, os.path.join(self._shelves.moved_folder(state.guid), action.replaces))
            if _mark(place) != before:
                return False  # somebody saved, or Syncthing put another there while it was read
        elif os.path.islink(place):
            os.unlink(place)  # it has no bytes; and whatever it leads to is nobody's affair
        elif os.path.lexists(place):
            if not os.path.isfile(place):
                raise StoreError(f"{place} is no file, and stands where the bytes of one belong; take it away")
            return False
        self._place(source, place)
        if action.source.members is not None:
            done.scans.append((action.source.members, os.path.relpath(source, self._folder(action.source.members))))
        done.scans.append((action.members, data_name(data)))
        done.again.add(state.guid)
        return True

    def _folder(self, members: Members) -> str:
        return os.path.join(self._store.layout.sets, self._shelves.labels[members])

    def _place(self, source: str, place: str) -> None:
        """The bytes under another name, whole or not at all, with their time."""
        if os.path.islink(os.path.dirname(place)):
            os.unlink(os.path.dirname(place))
        make_folder(os.path.dirname(place))
        draft = os.path.join(self._store.layout.scratch, "put-" + os.path.basename(place)[:36])
        remove(draft)
        if not try_link(source, draft):
            taken = take(source, draft)
            os.utime(draft, ns=(taken.mtime_ns, taken.mtime_ns))
            sync_paths([draft])
        self._forget(place)  # before: after a crash in between nothing false is believed
        os.rename(draft, place)  # of two links to one inode it leaves both: then the draft goes below
        remove(draft)
        sync_paths([os.path.dirname(place)])

    def _prove(self, path: str, action: machine.Prove, done: Done) -> bool:
        if is_being_written(path) or hash_file(path) != action.sha256:
            return False
        done.proofs.append(Proof(self._store.node, action.sha256, action.members, action.digest))
        return True

    def _unlink(self, guid: str, data: str, looked: Looked, source: Source, done: Done, *, keep: bool) -> bool:
        path = self._path_of(looked, source)
        if source.members is None:
            remove(path)
            return True
        before = _mark(path)
        if is_being_written(path) or hash_file(path) != source.sha256 or _mark(path) != before:
            return False  # somebody writes to it, or Syncthing put another in its place while it was read
        if keep:
            self._second_copy(path, os.path.join(self._shelves.moved_folder(guid), source.sha256))
        if _mark(path) != before:
            return False
        self._forget(path)
        os.unlink(path)
        sync_paths([os.path.dirname(path)])
        name = data_name(f"{data[:2]}/{os.path.basename(path)}")
        done.scans.append((source.members, name))
        done.again.add(guid)
        return True

    def _stands_here(self, looked: Looked, action: machine.Drop) -> bool:
        """Whether a copy in place, for which kept bytes go, has them; without one they were proven elsewhere."""
        in_place = [
            path for members, path in looked.paths.items() if looked.here.placed[members].sha256 == action.sha256
        ]
        return action.is_version or not in_place or any(hash_file(path) == action.sha256 for path in in_place)

    def _drop(self, guid: str, path: str, action: machine.Drop) -> bool:
        layout = self._store.layout
        if not action.is_version:
            remove(path)
            return True
        with keeping(layout):  # or a version that stands there already could go just now, and this one after it
            changed = make_way(layout, guid)
            place = os.path.join(kept_versions_folder(layout, guid), action.sha256)
            if not os.path.exists(place):
                os.rename(path, place)
        sync_paths(changed)
        remove(path)
        return True

    # -- the trash can of Syncthing

    def take_out_of_trash_cans(self, guid: str) -> bool:
        """What Syncthing replaced or deleted of a file goes to the keep, by its hash. Says whether there was any."""
        # First away from where Syncthing may put another any moment, then read: a hash names just these bytes.
        arriving = os.path.join(self._shelves.moved_folder(guid), "arriving")
        found = os.path.exists(arriving) and self._has_arrived(arriving)
        for path in self._shelves.thrown_away(guid):
            try:
                if os.path.islink(path):
                    os.unlink(path)
                    continue
                make_folder(os.path.dirname(arriving))
                os.rename(path, arriving)
            except FileNotFoundError:
                continue
            except OSError as exc:
                raise StoreError(f"{path} could not be taken into the keep: {exc.strerror}") from exc
            found = self._has_arrived(arriving) or found
        return found

    def _has_arrived(self, path: str) -> bool:
        """Name what was taken out of a trash can by its hash. False for a file of no bytes: a step of some writing."""
        if not os.stat(path).st_size:
            os.unlink(path)
            return False
        os.rename(path, os.path.join(os.path.dirname(path), hash_file(path)))
        remove(path)  # of two links to one inode, as when it was put in place from the keep, the renaming left both
        return True


def _mark(path: str) -> tuple[int, int, int]:
    found = os.lstat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns
