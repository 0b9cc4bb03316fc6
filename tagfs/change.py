"""A change under way: what commands and the mount use to state facts.

Made by `Store.act`, alive only inside it: the store's lock is held, the index is caught
up, and `view` sees every fact stated so far in earlier actions. Facts are stamped as
they are stated, each after all that was known about its file or tag; they reach the
ledger together when the function given to `act` returns, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tagfs.carrying import to_enter
from tagfs.errors import BadRequest, StoreError
from tagfs.fact import MAX_LINE_BYTES, Fact, encode_fact, what_is_wrong_with_statements
from tagfs.glossary import NODE_THING, SET_THING, TAG_THING, Thing
from tagfs.guid import Guid
from tagfs.home import OPEN, Folder, folders_for, home_of
from tagfs.index.apply import Applier
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.nodeset import label, set_id
from tagfs.place import ledger_labels, node_sets
from tagfs.stamp import Clock, make_stamp, when_of
from tagfs.standing import Standing


class Change:
    """Statements of one action. See the module."""

    def __init__(
        self,
        applier: Applier,
        clock: Clock,
        wall_ms: int,
        node: Guid,
        action: str | None,
        undoes: str | None,
        ledgers: str,
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
        self._sets: dict[Folder, str] | None = None
        self._ledgers = ledgers
        self._standing: Standing | None = None
        self._noted: dict[Folder, int] = {}
        self._said_about: dict[str, list[tuple[Folder, Fact]]] = {}
        self._applier = applier
        self._clock = clock

    def state(self, guid: str) -> FileState:
        """What is known of a file, with what this change stated so far: nothing of one that nobody spoke of.

        Not to be altered.
        """
        return self._applier.entry(guid).state

    def state_at(self, ordinal: int) -> FileState:
        """The same by ordinal, as results of queries give them."""
        return self._applier.entry_at(ordinal).state

    def thing(self, kind: str, text: str) -> Thing:
        """What is known of a tag, node, saved query or nodeset."""
        return self._applier.thing(kind, text)

    def about_file(self, guid: str, **statements: Any) -> Fact:
        """State something about a file: keywords are the fields of `Fact`.

        A change of `knows` takes along into the ledgers that the file enters what they lack, in front of it.
        """
        entry = self._applier.entry(guid)
        newest = entry.newest()
        said = statements.get("knows") or {}
        folders = [OPEN]
        if entry.state.knows or said:
            nodes = self.nodes()
            folders = folders_for(entry.state, said, self.node, nodes)
            if said and newest:
                home = home_of(entry.state, nodes)
                for folder in folders:
                    if folder != home:
                        standing = self.standing(guid)
                        self.carry(folder, to_enter(folder, standing, self.node_guids(standing)))
        return self._state(when_of(newest) if newest else 0, folders, file=guid, **statements)

    def born_earlier(self, guid: str, when: int, **statements: Any) -> Fact:
        """State the birth of a file that was in a library before, under the stamp of then: its `added`.

        Nothing may be known about the file, and `when` is to lie in the past (BadRequest).
        The action still is of now.
        """
        if self._applier.entry(guid).newest() or not 0 < when < self.wall_ms << 16:
            raise BadRequest(f"{guid} cannot have been added at that time")
        if self.action is None:
            self.action = self._clock.tick(self.wall_ms)
        return self._say(
            make_stamp(when, self.node[:8]), [OPEN], self.action, self.undoes, {"file": guid, **statements}
        )

    def standing(self, guid: str) -> dict[Folder, list[Fact]]:
        """What stands about a file in which ledgers, with what this change stated so far."""
        if self._standing is None:
            self._standing = Standing(self.view, self._ledgers)
        found = self._standing.of(guid)
        for folder, said in self.said.items():
            for fact, _ in said[self._noted.get(folder, 0) :]:
                if fact.file is not None:
                    self._said_about.setdefault(fact.file, []).append((folder, fact))
            self._noted[folder] = len(said)
        for folder, fact in self._said_about.get(guid, ()):
            found.setdefault(folder, []).append(fact)
        return found

    def node_guids(self, standing: Mapping[Folder, Iterable[Fact]]) -> dict[str, str]:
        """The GUID of each node of the library, and of each that made one of these facts, by its first 8 digits."""
        made = {fact.by for facts in standing.values() for fact in facts}
        return {guid[:8]: guid for guid in (*made, *self.nodes())}

    def nodes(self) -> list[str]:
        """All nodes of the library."""
        return sorted({self.node, *(guid for guid, _ in self.view.things(NODE_THING))})

    def carry(self, folder: Folder, facts: list[Fact]) -> None:
        """Write facts that are known already, whoever made them, into this node's ledger in a folder."""
        if not facts:
            return
        self.name_set(folder)
        for fact in facts:
            if fact.file is not None:
                self._applier.entry(fact.file)  # which is noted as mentioned there
            self.said.setdefault(folder, []).append((fact, encode_fact(fact)))

    def take_in(self, folder: Folder, lines: Iterable[tuple[Fact, bytes]]) -> None:
        """Write lines that this node reads here for the first time into its own ledger in a folder, as they are."""
        for fact, line in lines:
            self.name_set(folder)
            if fact.by == self.node:
                # An older copy of this node said it; what it says from now on must come after.
                self._clock.observe(when_of(fact.at), self.wall_ms)
            self._applier.add(fact, None)
            self.said.setdefault(folder, []).append((fact, line))

    def has_stated(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.said)

    def label_of(self, folder: Folder) -> str:
        """The label of the set whose nodes share a folder; `name_set` has named it."""
        return self._named()[folder]

    def name_set(self, folder: Folder) -> None:
        """State, where nobody has, what a set is called, and that it has ledgers of its own.

        Raises:
            StoreError: it was stated to be another set than its id says.
        """
        if folder == OPEN or folder in self._named():
            return
        thing = self._applier.thing(SET_THING, set_id(folder))
        named = thing.value("set")
        if named is None:
            taken = [one.label for one in node_sets(self.view)] + list(self._named().values())
            aliases = self.view.node_names()
            wanted = label({guid: aliases.get(guid, guid[:8]) for guid in folder}, taken)
        elif frozenset(named[1]) != folder:
            raise StoreError(f"what is known of the devices that share {named[0]!r} contradicts itself")
        else:
            wanted = named[0]
        self._named()[folder] = wanted
        after = when_of(thing.newest) if thing.newest else 0
        nodes = sorted(folder)
        self._state(after, [OPEN], asked=False, set=set_id(folder), label=wanted, nodes=nodes, ledgers=True)

    def _named(self) -> dict[Folder, str]:
        if self._sets is None:
            self._sets = ledger_labels(node_sets(self.view))
        return self._sets

    def about_tag(self, tag: str, **statements: Any) -> Fact:
        """State something about a tag."""
        newest = self._applier.thing(TAG_THING, tag).newest
        return self._state(when_of(newest) if newest else 0, [OPEN], tag=tag, **statements)

    def about(self, subject: str, kind: str, text: str, **statements: Any) -> Fact:
        """State something about a node, saved query or set: `subject` is the field of `Fact`, `kind` its thing."""
        thing = self._applier.thing(kind, text)
        newest = thing.newest
        fields: dict[str, Any] = {subject: text, **statements}
        return self._state(when_of(newest) if newest else 0, [OPEN], **fields)

    def new_set(self, set_id: str, label: str, nodes: list[str]) -> Fact:
        """State that a nodeset has its folder under this label."""
        return self.about("set", SET_THING, set_id, label=label, nodes=nodes)

    def _state(self, after: int, folders: list[Folder], *, asked: bool = True, **fields: Any) -> Fact:
        for folder in folders:
            self.name_set(folder)
        if self.action is None and self.undoes is not None:
            after = max(after, when_of(self.undoes))  # what undoes is newer, also where another clock was ahead
        at = self._clock.tick(self.wall_ms, after)
        if self.action is None and asked and not self.unasked:
            self.action = at
        action, undoes = (self.action, self.undoes) if asked else (None, None)
        return self._say(at, folders, action, undoes, fields)

    def _say(
        self, at: str, folders: list[Folder], action: str | None, undoes: str | None, fields: dict[str, Any]
    ) -> Fact:
        fact = Fact(at=at, by=self.node, action=action, undoes=undoes, **fields)
        line = encode_fact(fact)
        why = what_is_wrong_with_statements(fact) or ("it is too long" if len(line) > MAX_LINE_BYTES else "")
        if why:
            # A reader would set it aside: acknowledged today, and gone after the next rebuild.
            raise BadRequest(f"this cannot be kept: {why}")
        self._applier.add(fact, None)
        for folder in folders:
            self.said.setdefault(folder, []).append((fact, line))
        return fact
