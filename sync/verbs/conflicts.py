"""Edits of one file on two nodes that did not know of each other: which there are, and settling them.

Both contents are kept as files (`tagfs.conflict`); here a person looks at them and says which
one is to be the file's. Whatever is chosen, nothing is destroyed: bytes that lose are a
version of the file, or those of a file in the trash, and the whole is one action that undo
takes back. The file keeps its identity, name and history; tags and notes that the other one
was given meanwhile go along.

A conflict whose two sides have not met on any node yet is none to be settled: once they
do, the daemons make two files of it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from pyroaring import BitMap

from sync.contents import contents_of
from tagfs.change import Change
from tagfs.conflict import CONFLICT_TAG, copied_hash, is_copy_of, may_be_copy, name_before, tags_since
from tagfs.errors import BadRequest, NothingMatched, StoreError
from tagfs.face import Face, face_of
from tagfs.fact import Content, time_text
from tagfs.guid import guid_of_bytes
from tagfs.index.blocks import LISTED, PLAIN
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.place import Places, places
from tagfs.stamp import ms_of, node_of
from tagfs.store import Store
from tagfs.tag import split_tag
from tagfs.term import TAG
from tagfs.verbs.tagging import chunks
from tagfs.verbs.versions import Version, take_over

TWO_FILES, NOT_MET, ALONE = "two files", "not met yet", "alone"
FILE, COPY, BOTH = "file", "copy", "both"


class Side(NamedTuple):
    """One of the contents, and the file that has it.

    `node`: GUID or first digits of who edited; `edited_ms`: when that was stated. `holds`:
    GUIDs. `path`: where the bytes are on this node, None where they are not here.
    """

    guid: str
    name: str
    sha256: str
    size_bytes: int
    modified: str
    edited_ms: int
    node: str
    holds: frozenset[str]
    path: str | None


class Conflict(NamedTuple):
    """Edits of one file that stand beside each other.

    `state`: `two files` (the first of `sides` is the file, each other one a conflict copy);
    `not met yet` (all are contents of one file, whose bytes are apart on different nodes);
    `alone` (a conflict copy, the only side: the file is in the trash, was ended, or may not be known here).
    """

    state: str
    sides: tuple[Side, ...]

    @property
    def guids(self) -> frozenset[str]:
        """The files it is about."""
        return frozenset(side.guid for side in self.sides)


# -- looking


def conflicts(store: Store) -> list[Conflict]:
    """All that a person may want to settle, by name."""
    copies, originals, forked = _candidates(store)
    wanted = sorted({*copies, *originals.values(), *forked})
    states = dict(zip(wanted, store.states(wanted), strict=True))

    def look(view: View) -> list[Conflict]:
        sides = _Sides(store, view)
        of_file: dict[str, list[str]] = {}
        found = []
        for copy in copies:
            original = originals.get(copy)
            if original is not None and sides.is_living(states[original]):
                of_file.setdefault(original, []).append(copy)
            else:
                found.append(Conflict(ALONE, (sides.copy(states[copy], states.get(original or "")),)))
        for guid, its_copies in of_file.items():
            beside = [sides.copy(states[copy], states[guid]) for copy in its_copies]
            beside.sort(key=lambda side: (side.edited_ms, side.guid))
            found.append(Conflict(TWO_FILES, (sides.current(states[guid]), *beside)))
        found += [Conflict(NOT_MET, tuple(sides.heads(states[guid]))) for guid in forked]
        return found

    found = store.read(look)
    return sorted(found, key=lambda one: (one.sides[0].name, one.sides[0].guid, one.state))


def about(found: Iterable[Conflict], guids: Collection[str]) -> list[Conflict]:
    """Those that concern any of these files."""
    return [one for one in found if one.guids.intersection(guids)]


def _candidates(store: Store) -> tuple[list[str], dict[str, str], list[str]]:
    """(conflict copies that were not settled; whose copy each is, where that is known; files with several heads)."""

    def tagged(view: View) -> list[tuple[str, str]]:
        found = BitMap()
        for tag in view.matching_tags(view.canonical(CONFLICT_TAG)):
            term = view.term(TAG, *split_tag(tag))
            if term is not None:
                found |= view.posting(term)
        return [(view.guid(o), view.name(o)) for o in found if may_be_copy(view.guid(o))]

    def edited(view: View) -> list[str]:
        """Every file that anything was stated about since its birth, removed ones among them."""
        rows = view.rows(range(view.ordinal_total()))
        return [guid_of_bytes(row.guid) for _, row in rows if row.flags & LISTED and not row.flags & PLAIN]

    names = dict(store.read(tagged))
    states = {guid: state for guid, state in zip(names, store.states(list(names)), strict=True) if copied_hash(state)}
    originals: dict[str, str] = {}

    def namesakes(view: View) -> dict[str, list[str]]:
        before = {guid: name_before(names[guid]) for guid in states}
        return {g: [view.guid(o) for o in view.any_named(name)] for g, name in before.items() if name is not None}

    for guid, others in store.read(namesakes).items():
        for other in others:
            if is_copy_of(states[guid], other):
                originals[guid] = other
    forked = []
    for part in chunks(store.read(edited)):
        for guid in part:
            for copy in [one for one in states if one not in originals and is_copy_of(states[one], guid)]:
                originals[copy] = guid
        for state in store.states(part):
            if len(state.contents) > 1 and len(contents_of(state).heads) > 1:
                forked.append(state.guid)
    return list(states), originals, forked


class _Sides:
    """Makes sides of states, within one look."""

    def __init__(self, store: Store, view: View) -> None:
        self._me = store.node
        self._nodes = list(view.node_names())
        self._by8 = {guid[:8]: guid for guid in self._nodes}
        self._places: Places = places(store.layout, view, store.node)

    def face(self, state: FileState) -> Face:
        return face_of(state, self._me, self._nodes)

    def is_living(self, state: FileState) -> bool:
        face = self.face(state)
        return face.listed and not face.trashed

    def current(self, state: FileState) -> Side:
        """The content that a file has now."""
        at, content = state.content_heads()[-1]
        return self._side(state, self.face(state), at, content, state)

    def copy(self, state: FileState, original: FileState | None) -> Side:
        """The same of a conflict copy: until it was edited itself, the edit is the one that the file lost."""
        at, content = state.content_heads()[-1]
        edit = original if original is not None and content.sha256 == copied_hash(state) else None
        return self._side(state, self.face(state), at, content, edit or state)

    def heads(self, state: FileState) -> Iterator[Side]:
        """The contents of a file that stand beside each other."""
        face = self.face(state)
        heads = {content.sha256: (at, content) for at, content in state.content_heads()}
        for sha256 in contents_of(state).heads:
            at, content = heads[sha256]
            side = self._side(state, face, at, content, state)
            yield side if _stands_at(side.path, content) else side._replace(path=None)

    def _side(self, state: FileState, face: Face, at: str, content: Content, stated_in: FileState) -> Side:
        # Who settles a conflict states the bytes in place once more; the edit is the first statement.
        first = min((a for a, one in stated_in.contents.items() if one.sha256 == content.sha256), default=at)
        return Side(
            guid=state.guid,
            name=face.name,
            sha256=content.sha256,
            size_bytes=content.size_bytes,
            modified=content.modified,
            edited_ms=ms_of(first),
            node=self._by8.get(node_of(first), node_of(first)),
            holds=face.holds,
            path=self._places.find(face.data, face.holds),
        )


def _stands_at(path: str | None, content: Content) -> bool:
    if path is None:
        return False
    try:
        found = os.stat(path)
    except OSError:
        return False
    return (found.st_size, time_text(found.st_mtime_ns)) == (content.size_bytes, content.modified)


# -- choosing; pure


class Choice(NamedTuple):
    """What becomes of a file (None: it is gone) and one of its copies. `keep`: `file`, `copy` or `both` stay."""

    file: Side | None
    copy: Side
    keep: str


def choices(found: Sequence[Conflict], named: Collection[str], keep: str) -> list[Choice]:
    """What a person means who names files and says `this`, `other` or `both` of them.

    Args:
        found: the conflicts about those files.
        named: their GUIDs. `this` is the content of the one that was named, whichever side it is.
    Raises:
        BadRequest: it can be read in two ways, or cannot be.
        NothingMatched: there is nothing to settle.
    """
    out = []
    why_not = "no version of another edit stands beside it, so there is nothing to settle"
    for one in found:
        name = one.sides[0].name
        if one.state == NOT_MET:
            why_not = (
                f"the versions of {name!r} have not met yet; they become two files, which can be settled, once the "
                "devices that have them are connected: lyts conflicts show tells which"
            )
            continue
        if one.state == ALONE:
            if keep != "other":
                out.append(Choice(None, one.sides[0], BOTH))
            why_not = (
                f"there is no other version of {name!r}: the file that it was made beside is in the trash, was "
                "deleted for good, or is kept from this device"
            )
            continue
        file, *copies = one.sides
        chosen = [side for side in copies if side.guid in named]
        if keep == "both":
            out += [Choice(file, side, BOTH) for side in chosen or copies]
        elif file.guid not in named:
            if len(chosen) > 1 and keep == "this":
                raise BadRequest(f"of {file.name!r} only one version can be kept so; name that one: {_listed(chosen)}")
            out += [Choice(file, side, COPY if keep == "this" else FILE) for side in chosen]
        elif chosen:
            raise BadRequest(f"both versions of {file.name!r} are named; name the one that you mean by 'this'")
        elif keep == "this":
            out += [Choice(file, side, FILE) for side in copies]
        elif len(copies) > 1:
            raise BadRequest(
                f"{file.name!r} was edited on more than two devices; name the version to keep, and --keep this: "
                f"{_listed(copies)}"
            )
        else:
            out.append(Choice(file, copies[0], COPY))
    if not out:
        raise NothingMatched(why_not)
    return out


def _listed(sides: Iterable[Side]) -> str:
    return ", ".join(f"{side.guid[:8]} {side.name!r}" for side in sides)


# -- settling


def settle(store: Store, chosen: Sequence[Choice]) -> str | None:
    """Do what was chosen, as one action. Returns it.

    Raises:
        StoreError: the bytes that this takes are not on this device; nothing was changed.
        InUse: a program is writing to a file. What was settled before that one stays so.
    """
    action: str | None = None
    for choice in chosen:
        if choice.keep == COPY and choice.file is not None:
            lacking = [side.name for side in (choice.file, choice.copy) if side.path is None and side.size_bytes]
            if lacking:
                raise StoreError(
                    f"for that, both versions must be on this device, and {lacking[0]!r} is not. Bring it here with "
                    "lyts restore, or settle this on a device that has both (lyts conflicts show). Nothing was changed"
                )
    for choice in chosen:
        if choice.keep == COPY and choice.file is not None:
            copy = choice.copy
            version = Version(copy.sha256, copy.size_bytes, copy.modified, copy.edited_ms, copy.node, False, copy.path)
            action = take_over(store, choice.file.guid, version, action=action)
        action = store.act(partial(_state, choice), action=action)
    return action


def _state(choice: Choice, change: Change) -> str | None:
    copy = change.state(choice.copy.guid)
    if choice.keep == BOTH or choice.file is None:
        conflict = change.view.canonical(CONFLICT_TAG)
        gone = [tag for tag in copy.tags() if change.view.canonical(tag) == conflict]
        if gone:
            change.about_file(copy.guid, untag={tag: copy.live_additions(tag) for tag in gone})
        return change.action
    file = change.state(choice.file.guid)
    face, other = face_of(file, change.node), face_of(copy, change.node)
    said: dict[str, object] = {}
    tags = [tag for tag in tags_since(copy) if not file.has_tag(tag)]
    if tags:
        said["tag"] = tags
    if other.notes and other.notes not in face.notes:
        said["notes"] = f"{face.notes}\n\n{other.notes}" if face.notes else other.notes
    if said:
        change.about_file(file.guid, **said)
    if not copy.is_trashed():
        change.about_file(copy.guid, trash=True)
    return change.action
