"""Has the facts about files that somebody is kept from stand where they belong (`tagfs.carrying`).

A file is looked at when something about it was read, and all of them at the start and when
a node came or left, since who may know a file follows from who there is. Of those who
could carry the same facts the one with the lowest GUID does at once; the others look a
minute later, and find nothing to do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tagfs.carrying import to_carry
from tagfs.change import Change
from tagfs.fact import Fact
from tagfs.glossary import NODE_THING
from tagfs.home import Folder, home_of
from tagfs.merge import FileState
from tagfs.standing import Standing, files_with_knows
from tagfs.store import Store

AFTER_MS = 60_000
AT_ONCE = 500


class Faces:
    """Which files are to be looked at when, and the looking."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._due: dict[str, int] = {}

    def note_all(self, nodes: Collection[str], there: Collection[str], now_ms: int) -> None:
        """Look at every file that somebody is or was kept from. Arguments as for `note`."""
        guids = sorted(files_with_knows(self._store.layout.ledgers))
        for at in range(0, len(guids), AT_ONCE):
            for state in self._store.states(guids[at : at + AT_ONCE]):
                self.note(state, nodes, there, now_ms)

    def note(self, state: FileState, nodes: Collection[str], there: Collection[str], now_ms: int) -> None:
        """Something about a file was read; look at it, if somebody is or was kept from it.

        Args:
            nodes: all nodes of the library.
            there: those that take part: this one, and those that it connects to.
        """
        if state.knows:
            due = now_ms if is_first(self._store.node, state, nodes, there) else now_ms + AFTER_MS
            self._due[state.guid] = min(due, self._due.get(state.guid, due))

    def carry(self, now_ms: int) -> bool:
        """Carry what is to be carried by now. Says whether something was stated."""
        due = [guid for guid, at in self._due.items() if at <= now_ms][:AT_ONCE]
        if not due:
            return False
        with self._store.view(fresh=False) as view:
            standing = Standing(view, self._store.layout.ledgers)
            nodes = {self._store.node, *(guid for guid, _ in view.things(NODE_THING))}
            moving = [guid for guid in due if self._is_to_move(standing.of(guid), nodes)]

        def say(change: Change) -> None:
            change.unasked = True
            nodes = change.nodes()
            for guid in moving:  # looked at anew: somebody may have been left out in the meantime
                standing = change.standing(guid)
                for folder, fact in to_carry(change.node, standing, nodes, change.node_guids(standing)):
                    change.carry(folder, [fact])

        if moving:
            self._store.act(say)
        for guid in due:
            del self._due[guid]
        return bool(moving)

    def _is_to_move(self, found: Mapping[Folder, Sequence[Fact]], nodes: Collection[str]) -> bool:
        made = {fact.by[:8]: fact.by for facts in found.values() for fact in facts}
        return bool(to_carry(self._store.node, found, nodes, {**made, **{node[:8]: node for node in nodes}}))


def is_first(me: str, state: FileState, nodes: Collection[str], there: Collection[str]) -> bool:
    """Whether this node carries at once: the lowest of those that may know the file, or one that may not. Pure."""
    home = home_of(state, nodes) or frozenset(nodes)
    return me not in home or me == min(home & frozenset(there), default=me)
