"""Which files need a look though no event spoke of them.

Everything is compared now and then: what the facts say is here with what is here. What
is where it belongs costs a name in a listing; the rest is looked at one by one (`looking`).
Files in the trash are compared like the others: somebody may want them back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pyroaring import BitMap

from sync.machine import Members
from sync.shelves import Shelves
from tagfs.guid import guid_of_bytes
from tagfs.index.read import View
from tagfs.term import HELD_TRASH, HOLDS


class Compared(NamedTuple):
    """GUIDs. `amiss`: something is where it need not be, or is not where it should be. `odd`: of those, files with
    more here than what stands in the sets' folders: conflict copies, kept bytes, what Syncthing threw away.
    """

    amiss: set[str]
    odd: set[str]


def compare(view: View, shelves: Shelves, me: str, nodes: Iterable[str]) -> Compared:
    """Compare this node's folders with what the index says of all files.

    Args:
        me: this node's GUID.
        nodes: all nodes of the library.
    """
    odd = set(shelves.guids_kept())
    amiss: set[str] = set()
    held = {node: _held_by(view, node) for node in {*nodes, me}.union(*shelves.labels)}
    anywhere = BitMap()
    for members in shelves.labels:
        here = BitMap()
        for guid, is_odd in shelves.guids_in(members):
            ordinal = view.ordinal(guid)
            if is_odd:
                odd.add(guid)
            elif ordinal is not None:
                here.add(ordinal)
        anywhere |= here
        amiss.update(_guids(view, here - _held_by_just(held, members)))
    amiss.update(_guids(view, held[me] - anywhere))
    return Compared(amiss | odd, odd)


def _held_by(view: View, node: str) -> BitMap:
    terms = [view.term(kind, "", node) for kind in (HOLDS, HELD_TRASH)]
    return BitMap.union(BitMap(), *(view.posting(term) for term in terms if term is not None))


def _held_by_just(held: dict[str, BitMap], members: Members) -> BitMap:
    """The files that all of these hold, and nobody else."""
    found = BitMap.intersection(*(held[node] for node in members))
    for node, files in held.items():
        if node not in members:
            found -= files
    return found


def _guids(view: View, files: BitMap) -> Iterable[str]:
    return (guid_of_bytes(row.guid) for _, row in view.rows(files))
