"""Where a file's bytes are on this node.

The birth fact says the path below `data/`; which set's folder that is follows from who
holds the file. A library of one node has one set.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from tagfs.glossary import SET_THING, Thing
from tagfs.index.read import View
from tagfs.layout import Layout
from tagfs.nodeset import set_id

_unpack = msgspec.msgpack.Decoder().decode


class NodeSet(NamedTuple):
    """A nodeset that has a folder: its id, label and members, and whether it has ledgers of its own.

    `said`: the label that was stated, where another set has that.
    """

    set_id: str
    label: str
    nodes: frozenset[str]
    ledgers: bool = False
    said: str = ""


def node_sets(view: View) -> list[NodeSet]:
    """All nodesets that facts speak of, no two of one node with the same label.

    One whose id does not follow from its nodes was made up, and is none.
    """
    out = []
    for stated_id, packed in view.things(SET_THING):
        thing = Thing.unpacked(_unpack(packed))
        if "set" in thing.registers:
            at, value = thing.registers["set"]
            if set_id(value[1]) != stated_id:
                continue
            out.append((at, NodeSet(stated_id, value[0], frozenset(value[1]), thing.value("ledgers", False))))
    return told_apart(out)


def told_apart(stated: Iterable[tuple[str, NodeSet]]) -> list[NodeSet]:
    """The sets in order of their ids, with labels by which each node can tell its own apart. Pure.

    Two nodes may give two sets the same label at once, and a node that is in both would have one folder for
    both. The set of a node alone keeps it, else the older statement; the other set gets a short hash, on all nodes.
    Whatever stamp it bears, a statement must not give a set of several nodes the folder that one had for itself.
    Sets without a common node may be called the same: two devices with one name have.

    Args:
        stated: (stamp of the statement, the set with the label that was stated).
    """
    by_label: dict[str, list[NodeSet]] = {}
    out = []
    for _, one in sorted(stated, key=lambda item: (len(item[1].nodes) > 1, item[0], item[1].set_id)):
        before = by_label.setdefault(one.label.lower(), [])
        if any(one.nodes & other.nodes for other in before):
            out.append(one._replace(label=f"{one.label}-{one.set_id[4:12]}", said=one.label))
        else:
            out.append(one)
        before.append(one)
    return sorted(out)


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
            said = one.said or one.label
            label = said if said.lower() not in taken else f"{said}-{one.set_id[4:12]}"
            taken.add(label.lower())
            found[one.nodes] = label
    return found


class Places:
    """Finds data files. Made from one view, good for as long as no new set comes up."""

    def __init__(self, layout: Layout, sets: Iterable[NodeSet], node: str) -> None:
        self._layout = layout
        sets = list(sets)
        self._by_nodes = {s.nodes: s.label for s in sets}
        # Last where a set's folder may still be that was given another label (`sync.relabelling`).
        self._here = [s.label for s in sets if node in s.nodes] + [s.said for s in sets if node in s.nodes and s.said]
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
            if is_file(path):
                return path
        return None


def is_file(path: str) -> bool:
    """Whether a file stands there. A symbolic link is none: another device can put one that leads out of the store."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def places(layout: Layout, view: View, node: str) -> Places:
    """The `Places` of a store."""
    return Places(layout, node_sets(view), node)


def kept_versions_folder(layout: Layout, guid: str) -> str:
    """The folder in `keep/` for earlier bytes of a file; each is named by its SHA-256."""
    return os.path.join(layout.keep, guid[:2], guid)
