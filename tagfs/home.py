"""Where the facts about a file live: in the open ledgers, or in those of the set of nodes that may know it.

A file that everyone knows has its facts in the open ledgers, which all nodes share. One that
somebody is kept from has them in ledgers that only the nodes of its set share, in folders
`<own ledger folder>@<label of the set>` (facts.md, Where a face lives). Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tagfs.merge import FileState

Folder = frozenset[str]
"""The node GUIDs that share a set's ledgers; the empty one stands for the open ledgers, which all share."""

OPEN: Folder = frozenset()
_LATER_THAN_ALL = "~"


def home_of(state: FileState, nodes: Collection[str]) -> Folder:
    """Where the facts about a file belong: the nodes that know it, `OPEN` where no one is left out.

    Args:
        nodes: all nodes of the library.
    """
    unknown = {node for node, (_, yes) in state.knows.items() if not yes}
    if not unknown:
        return OPEN
    knowing = frozenset(nodes) - unknown
    if knowing:
        return knowing
    # Left to nobody: who was dropped last goes on knowing it (facts.md, Merge).
    return frozenset({max((at, node) for node, (at, yes) in state.knows.items() if not yes)[1]})


def knows(node: str, state: FileState, nodes: Collection[str]) -> bool:
    """Whether a node may know a file."""
    home = home_of(state, nodes)
    return not home or node in home


def folders_for(state: FileState, change: Mapping[str, bool], node: str, nodes: Collection[str]) -> list[Folder]:
    """Where a fact about a file is written, the folder that it leaves first.

    A change of `knows` is written in the folder that the file leaves and in the one that it
    enters, everything else where it lives. A node that was left out itself and still has
    something to say (bytes that it was editing) says it where it lived before.

    Args:
        state: before the fact.
        change: what the fact says about `knows`.
        node: who states it; it writes only where it is a member.
    """
    homes = [home_of(state, nodes)]
    if change:
        if not state.latest:
            homes.clear()  # it is being born, and leaves nothing
        after = state.copy()
        for name, yes in change.items():
            after.knows[name] = (state.newest() + _LATER_THAN_ALL, yes)
        homes.append(home_of(after, nodes))
    found = [home for at, home in enumerate(homes) if home not in homes[:at] and (not home or node in home)]
    if found:
        return found
    before = state.copy()
    before.knows.pop(node, None)
    return [home_of(before, nodes)]
