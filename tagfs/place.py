"""Where a file's bytes are on this node.

The birth fact says the path below `data/`; which set's folder that is follows from who
holds the file. A library of one node has one set.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from tagfs.glossary import SET_THING, Thing
from tagfs.index.read import View
from tagfs.layout import Layout
from tagfs.nodeset import set_id

_unpack = msgspec.msgpack.Decoder().decode


class NodeSet(NamedTuple):
    """A nodeset that has a folder: its id, label and members, and whether it has ledgers of its own."""

    set_id: str
    label: str
    nodes: frozenset[str]
    ledgers: bool = False


def node_sets(view: View) -> list[NodeSet]:
    """All nodesets that facts speak of."""
    out = []
    for stated_id, packed in view.things(SET_THING):
        thing = Thing.unpacked(_unpack(packed))
        value = thing.value("set")
        if value is not None:
            out.append(NodeSet(stated_id, value[0], frozenset(value[1]), thing.value("ledgers", False)))
    return out


def ledger_labels(sets: Iterable[NodeSet]) -> dict[frozenset[str], str]:
    """How the ledgers of sets are called that have some: as the set is.

    Two sets that were given the same label at once, on two nodes, must not share a folder: who
    is in one of them would read what is meant for the other. Then all but one are told apart.
    A set whose id does not follow from its nodes was made up, and has none, for the same reason.
    """
    found: dict[frozenset[str], str] = {}
    taken: set[str] = set()
    for one in sorted(sets):
        if one.ledgers and set_id(one.nodes) == one.set_id:
            label = one.label if one.label.lower() not in taken else f"{one.label}-{one.set_id[4:12]}"
            taken.add(label.lower())
            found[one.nodes] = label
    return found


class Places:
    """Finds data files. Made from one view, good for as long as no new set comes up."""

    def __init__(self, layout: Layout, sets: Iterable[NodeSet], node: str) -> None:
        self._layout = layout
        self._by_nodes = {s.nodes: s.label for s in sets}
        self._here = [s.label for s in sets if node in s.nodes]
        self._node = node

    def own_label(self) -> str:
        """The label of the set that is this node alone."""
        return self._by_nodes[frozenset({self._node})]

    def candidates(self, data: str, holds: frozenset[str]) -> Iterator[str]:
        """Paths where the bytes can be, the likeliest first."""
        label = self._by_nodes.get(holds)
        if label is not None:
            yield self._layout.data(label, data)
        for other in self._here:
            if other != label:
                yield self._layout.data(other, data)

    def find(self, data: str, holds: frozenset[str]) -> str | None:
        """The path of the bytes, None where they are not on this node."""
        for path in self.candidates(data, holds):
            if os.path.lexists(path):
                return path
        return None


def places(layout: Layout, view: View, node: str) -> Places:
    """The `Places` of a store."""
    return Places(layout, node_sets(view), node)


def kept_versions_folder(layout: Layout, guid: str) -> str:
    """The folder in `keep/` for earlier bytes of a file; each is named by its SHA-256."""
    return os.path.join(layout.keep, guid[:2], guid)
