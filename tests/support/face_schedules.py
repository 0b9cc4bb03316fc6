"""Random schedules for `tagfs.carrying`: how the facts about one file move between folders of ledgers.

Nodes make the file, tag it, leave each other out and take each other in again; ledgers
arrive when they happen to. Exclusions are made by one node, and never of it: two nodes that
exclude each other while offline can leave a fact with one of them, which is accepted.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from tagfs.carrying import to_carry, to_enter
from tagfs.fact import Content, Fact, Made, encode_fact
from tagfs.home import OPEN, Folder, folders_for, home_of, knows
from tagfs.merge import FileState, join
from tagfs.stamp import Clock, when_of

Carry = Callable[..., list[tuple[Folder, Fact]]]
FILE = "f" * 8 + "-0000-4000-8000-000000000000"


def guid_of_node(number: int) -> str:
    return f"{number + 1:08x}-0000-4000-8000-000000000000"


class Node:
    """One node: its ledgers, and what it has read where."""

    def __init__(self, guid: str) -> None:
        self.guid = guid
        self.clock = Clock(guid[:8], 0)
        self.ledgers: dict[Folder, list[Fact]] = {}
        self.standing: dict[Folder, list[Fact]] = {}
        self.read: dict[tuple[str, Folder], int] = {}

    def state(self) -> FileState:
        return join(FILE, (fact for facts in self.standing.values() for fact in facts))

    def write(self, folder: Folder, fact: Fact) -> None:
        if fact not in self.ledgers.setdefault(folder, []):
            self.ledgers[folder].append(fact)
            self.standing.setdefault(folder, []).append(fact)


class World:
    """The nodes of a library and their ledgers."""

    def __init__(
        self, seed: int, count: int, carry_with: Carry = to_carry, enters: bool = True, last_writer_wins: bool = False
    ) -> None:
        self.carry_with = carry_with
        self.enters = enters
        self.last_writer_wins = last_writer_wins
        """A deliberate mistake: who tags states all the tags, and the last statement counts."""
        self.random = random.Random(seed)
        self.nodes = [Node(guid_of_node(number)) for number in range(count)]
        self.names = [node.guid for node in self.nodes]
        self.by8 = {name[:8]: name for name in self.names}
        self.wall_ms = 1_800_000_000_000
        self.tags = 0
        self.secrets: list[tuple[Fact, set[str]]] = []
        """A fact, and whom its maker knew to be left out when it made it."""
        self.log: list[str] = []

    def say(self, node: Node, folders: Iterable[Folder], **statements: Any) -> None:
        state = node.state()
        newest = state.newest()
        self.wall_ms += 1
        at = node.clock.tick(self.wall_ms, when_of(newest) if newest else 0)
        fact = Fact(at=at, by=node.guid, file=FILE, **statements)
        for folder in folders:
            node.write(folder, fact)
        if statements.keys() == {"tag"}:
            self.secrets.append((fact, {name for name in self.names if not knows(name, state, self.names)}))

    def create(self, node: Node) -> None:
        content = Content(sha256="0" * 64, size_bytes=1, modified="2026-01-01T00:00:00Z")
        self.say(node, [OPEN], made=Made(name="f", data="ff/f"), content=content, holds={node.guid: True})

    def tag(self, node: Node) -> None:
        state = node.state()
        if state.made is not None and knows(node.guid, state, self.names):
            self.tags += 1
            before = self.tags_of(state) if self.last_writer_wins else []
            self.say(node, [home_of(state, self.names)], tag=[*before, f"t{self.tags}"])
            self.log.append(f"{node.guid[7]} tags t{self.tags}")

    def tags_of(self, state: FileState) -> list[str]:
        if not self.last_writer_wins:
            return state.tags()
        added = [(at, tag) for tag, by_node in state.added.items() for at in by_node.values()]
        return sorted(tag for at, tag in added if at == max(added)[0])

    def change(self, node: Node) -> None:
        """Leave a node out, or take it in again."""
        state = node.state()
        if state.made is None or not knows(node.guid, state, self.names):
            return
        whom = self.random.choice(self.names)
        yes = not knows(whom, state, self.names)
        if not yes and (node is not self.nodes[0] or whom == node.guid):
            return
        self.state_knows(node, whom, yes)

    def state_knows(self, node: Node, whom: str, yes: bool) -> None:
        """Leave a node out, or take it in again, as somebody at this node wants it."""
        state = node.state()
        folders = folders_for(state, {whom: yes}, node.guid, self.names)
        for folder in folders[1:] if self.enters else ():
            for fact in to_enter(folder, node.standing, self.by8):
                node.write(folder, fact)
        self.say(node, folders, knows={whom: yes})
        self.log.append(f"{node.guid[7]} {'includes' if yes else 'excludes'} {whom[7]}")

    def carry(self, node: Node) -> bool:
        found = self.carry_with(node.guid, node.standing, self.names, self.by8)
        for folder, fact in found:
            node.write(folder, fact)
            self.log.append(f"{node.guid[7]} carries {encode_fact(fact)[80:]!r} to {_text(folder)}")
        return bool(found)

    def deliver(self, owner: Node, reader: Node, folder: Folder) -> bool:
        if owner is reader or (folder and reader.guid not in folder):
            return False
        facts = owner.ledgers.get(folder, [])
        at = reader.read.get((owner.guid, folder), 0)
        reader.read[owner.guid, folder] = len(facts)
        for fact in facts[at:]:
            reader.standing.setdefault(folder, []).append(fact)
            reader.clock.observe(when_of(fact.at), self.wall_ms)
        return len(facts) > at

    def leaks(self) -> str | None:
        """A fact that somebody reads whom its maker knew to be left out, and nobody took in again."""
        taken_in = {
            name
            for node in self.nodes
            for facts in node.ledgers.values()
            for fact in facts
            for name, yes in (fact.knows or {}).items()
            if yes
        }
        for fact, left_out in self.secrets:
            for node in self.nodes:
                if node.guid in left_out - taken_in and node.guid != fact.by:
                    if any(fact.at == other.at for facts in node.standing.values() for other in facts):
                        return f"{node.guid[7]} reads {fact.tag} of {fact.by[7]}, who knew that it must not"
        return None

    def settle(self) -> str | None:
        for _ in range(60):
            changed = False
            for owner in self.nodes:
                for folder in list(owner.ledgers):
                    for reader in self.nodes:
                        changed |= self.deliver(owner, reader, folder)
            for node in self.nodes:
                changed |= self.carry(node)
            if not changed:
                return None
        return "no rest"

    def outcome(self) -> str | None:
        truth = join(FILE, (f for n in self.nodes for facts in n.ledgers.values() for f in facts))
        gone = {f"t{number + 1}" for number in range(self.tags)} - set(self.tags_of(truth))
        if gone:
            return f"tags {sorted(gone)} were given, taken away by nobody, and are not there"
        for node in self.nodes:
            state = node.state()
            may = knows(node.guid, truth, self.names)
            if (state.made is not None and knows(node.guid, state, self.names)) != may:
                return f"{node.guid[7]} {'does not know' if may else 'goes on knowing'} the file"
            if may and state != truth:
                lost = sorted(set(truth.tags()) - set(state.tags()))
                return f"{node.guid[7]} lacks {lost or 'something that is no tag'}"
        return None


def _text(folder: Folder) -> str:
    return "".join(sorted(name[7] for name in folder)) or "open"


def run(seed: int, count: int, steps: int, **options: Any) -> tuple[str | None, World]:
    """One schedule: what went wrong, None where nothing did, and the world for its log."""
    world = World(seed, count, **options)
    pick = world.random
    world.create(pick.choice(world.nodes[:2]))
    for _ in range(steps):
        what = pick.random()
        node = pick.choice(world.nodes)
        if what < 0.35:
            owner = pick.choice(world.nodes)
            for folder in list(owner.ledgers):
                world.deliver(owner, node, folder)
        elif what < 0.5:
            world.carry(node)
        elif what < 0.7:
            world.tag(node)
        else:
            world.change(node)
        wrong = world.leaks()
        if wrong is not None:
            return wrong, world
    return world.settle() or world.leaks() or world.outcome(), world
