"""What a file's facts say about where its bytes belong, for `machine.decide`. Pure."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256

from sync.contents import contents_of
from sync.machine import Wanted
from tagfs.face import holders
from tagfs.merge import FileState


def digest_of(state: FileState) -> str:
    """A short name for all the placement facts of a file that a node has read.

    Two nodes with the same digest stand under the same facts: they know the same holders,
    and neither knows a later wish that the other does not.
    """
    said = [
        f"{kind} {node} {at} {yes}"
        for kind, placement in (("holds", state.holds), ("knows", state.knows))
        for node, (at, yes) in sorted(placement.items())
    ]
    said.append(f"by {state.by}")
    return sha256("\n".join(said).encode()).hexdigest()[:32]


def wanted_of(state: FileState, nodes: Collection[str], gone: Collection[str] = ()) -> Wanted:
    """What `decide` needs of a file's facts.

    Args:
        nodes: all nodes of the library, those that were forgotten (`gone`) among them.
    """
    return Wanted(
        guid=state.guid,
        born=state.made is not None,
        purged=bool(state.purges) and state.is_purged(),
        holds=holders(state, nodes),
        digest=digest_of(state),
        contents=contents_of(state),
        gone=frozenset(gone),
        unknown=frozenset(node for node, (_, yes) in state.knows.items() if not yes),
    )
