"""A change under way: what commands and the mount use to state facts.

Made by `Store.act`, alive only inside it: the store's lock is held, the index is caught
up, and `view` sees every fact stated so far in earlier actions. Facts are stamped as
they are stated, each after all that was known about its file or tag; they reach the
ledger together when the function given to `act` returns, or not at all.
"""

from __future__ import annotations

from typing import Any

from tagfs.errors import BadRequest, StoreError
from tagfs.fact import MAX_LINE_BYTES, Fact, encode_fact, what_is_wrong_with_statements
from tagfs.glossary import NODE_THING, SET_THING, TAG_THING, Thing
from tagfs.guid import Guid
from tagfs.home import OPEN, Folder, folders_for
from tagfs.index.apply import Applier
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.place import node_sets
from tagfs.stamp import Clock, when_of


class Change:
    """Statements of one action. See the module."""

    def __init__(
        self, applier: Applier, clock: Clock, wall_ms: int, node: Guid, action: str | None, undoes: str | None
    ) -> None:
        self.view: View = applier.view
        self.wall_ms = wall_ms
        self.node = node
        self.action = action
        self.undoes = undoes
        self.unasked = False
        """Nobody asked for this: its facts belong to no action, since `undo` answers what a person did."""
        self.said: dict[Folder, list[tuple[Fact, bytes]]] = {}
        """What was stated, with its line, by the folder it is to stand in."""
        self._sets_stated: list[Thing] = []
        self._applier = applier
        self._clock = clock

    def state(self, guid: str) -> FileState:
        """What is known of a file, with what this change stated so far. Not to be altered."""
        return self._applier.entry(guid).state

    def state_at(self, ordinal: int) -> FileState:
        """The same by ordinal, as results of queries give them."""
        return self._applier.entry_at(ordinal).state

    def thing(self, kind: str, text: str) -> Thing:
        """What is known of a tag, node, saved query or nodeset."""
        return self._applier.thing(kind, text)

    def about_file(self, guid: str, **statements: Any) -> Fact:
        """State something about a file: keywords are the fields of `Fact`."""
        entry = self._applier.entry(guid)
        newest = entry.newest()
        said = statements.get("knows") or {}
        folders = [OPEN]
        if entry.state.knows or said:
            folders = folders_for(entry.state, said, self.node, self.nodes())
        return self._state(when_of(newest) if newest else 0, folders, file=guid, **statements)

    def nodes(self) -> list[str]:
        """All nodes of the library."""
        return sorted({self.node, *(guid for guid, _ in self.view.things(NODE_THING))})

    def carry(self, folder: Folder, facts: list[Fact]) -> None:
        """Write facts that are known already, whoever made them, into this node's ledger in a folder."""
        for fact in facts:
            self.said.setdefault(folder, []).append((fact, encode_fact(fact)))

    def has_stated(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.said)

    def label_of(self, folder: Folder) -> str:
        """The label of the set whose nodes share a folder.

        Raises:
            StoreError: nobody has named that set yet, as far as this node has read.
        """
        stated = [thing.value("set") for thing in self._sets_stated]
        for label, nodes in (*((one.label, one.nodes) for one in node_sets(self.view)), *stated):
            if frozenset(nodes) == folder:
                return str(label)
        raise StoreError("what this device has read of the others is not complete yet; try again in a moment")

    def about_tag(self, tag: str, **statements: Any) -> Fact:
        """State something about a tag."""
        newest = self._applier.thing(TAG_THING, tag).newest
        return self._state(when_of(newest) if newest else 0, [OPEN], tag=tag, **statements)

    def about(self, subject: str, kind: str, text: str, **statements: Any) -> Fact:
        """State something about a node, saved query or set: `subject` is the field of `Fact`, `kind` its thing."""
        thing = self._applier.thing(kind, text)
        newest = thing.newest
        if kind == SET_THING:
            self._sets_stated.append(thing)
        return self._state(when_of(newest) if newest else 0, [OPEN], **{subject: text}, **statements)

    def new_set(self, set_id: str, label: str, nodes: list[str]) -> Fact:
        """State that a nodeset has its folder under this label."""
        return self.about("set", SET_THING, set_id, label=label, nodes=nodes)

    def _state(self, after: int, folders: list[Folder], **fields: Any) -> Fact:
        at = self._clock.tick(self.wall_ms, after)
        if self.action is None and not self.unasked:
            self.action = at
        fact = Fact(at=at, by=self.node, action=self.action, undoes=self.undoes, **fields)
        line = encode_fact(fact)
        why = what_is_wrong_with_statements(fact) or ("it is too long" if len(line) > MAX_LINE_BYTES else "")
        if why:
            # A reader would set it aside: acknowledged today, and gone after the next rebuild.
            raise BadRequest(f"this cannot be kept: {why}")
        self._applier.add(fact, None)
        for folder in folders:
            self.said.setdefault(folder, []).append((fact, line))
        return fact
