"""Who must be connected before bytes can move. Pure.

What a node sees of the others is only whether they are connected with itself, so an answer
is a hint for a person; what really moves is decided by `machine`, on proofs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

BYTES, PROOF, FREE = "bytes", "proof", "free"


class Wait(NamedTuple):
    """One of these nodes must be connected.

    `why`: `bytes`, it has them or is to have them; `proof`, it must say that it has them
    before they are taken away elsewhere; `free`, it is the one that lets go.
    """

    why: str
    nodes: frozenset[str]


def waits_of(
    before: Collection[str], after: Collection[str], online: Collection[str], min_copies: int = 1
) -> frozenset[Wait]:
    """What a move from the nodes `before` to the nodes `after` waits for.

    Args:
        online: the nodes that are connected with this one, itself among them.
        min_copies: so many of `after` must have proven the bytes, all where they are fewer.
    """
    away = frozenset(after) - frozenset(online)
    added, dropped = frozenset(after) - frozenset(before), frozenset(before) - frozenset(after)
    waits = {Wait(BYTES, frozenset({node})) for node in added & away}
    if added and before and not frozenset(before) & frozenset(online):
        waits.add(Wait(BYTES, frozenset(before)))
    if dropped:
        waits |= {Wait(FREE, frozenset({node})) for node in dropped - frozenset(online)}
        lacking = min(max(1, min_copies), len(after)) - (len(after) - len(away))
        if lacking > 0:
            each = lacking == len(away)
            waits |= {Wait(PROOF, frozenset({node})) for node in away} if each else {Wait(PROOF, away)}
    return frozenset(waits)


def something_moves(
    before: Collection[str], after: Collection[str], online: Collection[str], min_copies: int = 1
) -> bool:
    """Whether a part of a move can be done while others wait: one node gets the bytes, or one lets go of them."""
    first, last = frozenset(before), frozenset(after)
    return any(not waits_of(first, first | {node}, online, min_copies) for node in last - first) or any(
        not waits_of(last | {node}, last, online, min_copies) for node in first - last
    )


def to_connect(waits: Collection[Wait]) -> list[frozenset[str]]:
    """The devices to connect: one of each of these sets, sets that hold another left out."""
    sets = {wait.nodes for wait in waits}
    return sorted((one for one in sets if not any(other < one for other in sets)), key=sorted)
