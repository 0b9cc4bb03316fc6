"""Files with the same bytes, and making them one.

`cp` within a mount makes a second file, and people will think they tagged the first.
Merging keeps the file made first, gives it the tags and notes of the others, and moves
those to the trash: nothing is lost, and undo brings all back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pyroaring import BitMap

from tagfs.change import Change
from tagfs.errors import BadRequest
from tagfs.face import face_of
from tagfs.guid import guid_of_bytes
from tagfs.index.read import View
from tagfs.store import Store


class SameBytes(NamedTuple):
    """Living files with one content: (GUID, name) of each, the one made first in front."""

    sha256: str
    size_bytes: int
    files: list[tuple[str, str]]


class Merged(NamedTuple):
    """What a merge did."""

    kept: str
    removed: list[str]
    tags: list[str]
    action: str | None


def duplicates(view: View, among: BitMap) -> list[SameBytes]:
    """Groups of files with the same content, most space to gain first."""
    by_hash: dict[bytes, list[tuple[int, bytes, int]]] = {}
    for ordinal, row in view.rows(among):
        if any(row.sha256):
            by_hash.setdefault(row.sha256, []).append((row.born_when, row.guid, ordinal))
    out = []
    for sha, files in by_hash.items():
        if len(files) > 1:
            files.sort()
            size = view.attr(files[0][2]).size_bytes
            out.append(SameBytes(sha.hex(), size, [(guid_of_bytes(guid), view.name(o)) for _, guid, o in files]))
    return sorted(out, key=lambda group: (-group.size_bytes * (len(group.files) - 1), group.files[0][1]))


def merge(store: Store, guids: Sequence[str], action: str | None = None) -> Merged:
    """Make files with the same bytes one.

    Args:
        action: the action of other merges that this one goes with.
    Raises:
        BadRequest: fewer than two files, or their bytes differ.
    """
    chosen = list(dict.fromkeys(guids))
    if len(chosen) < 2:
        raise BadRequest("merging takes two files or more that have the same bytes")

    def state(change: Change) -> Merged:
        faces = {guid: face_of(change.state(guid), change.node) for guid in chosen}
        hashes = {face.sha256 for face in faces.values()}
        if len(hashes) > 1 or "" in hashes:
            names = ", ".join(repr(face.name) for face in faces.values())
            raise BadRequest(f"{names} do not have the same bytes, so they stay apart")
        keep = min(chosen, key=lambda guid: (faces[guid].born_when, guid))
        others = [guid for guid in chosen if guid != keep]
        tags = [t for guid in others for t in faces[guid].tags if t not in faces[keep].tags]
        notes = [faces[keep].notes]
        notes += [faces[guid].notes for guid in others if faces[guid].notes not in notes]
        together = "\n\n".join(note for note in notes if note)
        statements: dict[str, object] = {}
        if tags:
            statements["tag"] = list(dict.fromkeys(tags))
        if together != faces[keep].notes:
            statements["notes"] = together
        if statements:
            change.about_file(keep, **statements)
        for guid in others:
            change.about_file(guid, trash=True)
        return Merged(keep, others, list(dict.fromkeys(tags)), change.action)

    return store.act(state, action=action)
