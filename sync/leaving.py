"""What the library loses when a node leaves it."""

from __future__ import annotations

from typing import NamedTuple

from pyroaring import BitMap

from sync.nodes import nodes_of
from tagfs.face import face_of
from tagfs.guid import guid_of_bytes
from tagfs.index.read import View
from tagfs.store import Store
from tagfs.term import HOLDS

SHOWN = 10


class HeldOnly(NamedTuple):
    """Files whose bytes are on one node alone: how many, their size, the names of some."""

    files: int
    size_bytes: int
    names: list[str]


def held_only_by(store: Store, node: str) -> HeldOnly:
    """The files that this node holds and no other that is still in the library; what is in the trash does not count."""
    with store.view() as view:
        nodes = nodes_of(view)
        files = _held_by(view, node)
        for other in nodes.values():
            if other.guid != node and not other.gone:
                files -= _held_by(view, other.guid)
        guids = [guid_of_bytes(row.guid) for _, row in view.rows(files)]
    faces = [face_of(state, store.node, list(nodes)) for state in store.states(guids)]
    names = sorted(face.name for face in faces)
    return HeldOnly(len(faces), sum(face.size_bytes for face in faces), names[:SHOWN])


def _held_by(view: View, node: str) -> BitMap:
    term = view.term(HOLDS, "", node)
    return view.posting(term).copy() if term is not None else BitMap()
