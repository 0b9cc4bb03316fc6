"""Where facts stand, over random schedules (`support.face_schedules`).

Who may know a file learns all of it, and nobody else learns more.

A failure prints the seed and what happened.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from tagfs.carrying import to_carry
from tagfs.fact import Fact
from tagfs.home import OPEN, Folder, knows
from tests.support.face_schedules import Node, World, run

ROUNDS = 200_000 if os.environ.get("LYTS_PROVE") else 2_000
PORTIONS = 8
STEPS = (4, 6, 10, 20, 30)


def schedule(seed: int, **options: Any) -> tuple[str | None, World]:
    return run(seed, 2 + seed % 3, STEPS[seed // 3 % 5], **options)


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_each_node_that_may_know_a_file_learns_all_of_it_and_no_other_more(portion: int) -> None:
    for seed in range(portion, ROUNDS, PORTIONS):
        wrong, world = schedule(seed)
        assert wrong is None, f"seed {seed}: {wrong}\n" + "\n".join(world.log)


def by_authors_alone(node: str, *given: Any) -> list[tuple[Folder, Fact]]:
    return [(folder, fact) for folder, fact in to_carry(node, *given) if fact.by == node]


def to_the_open(node: str, *given: Any) -> list[tuple[Folder, Fact]]:
    return [(OPEN, fact) for _, fact in to_carry(node, *given)]


MISTAKES: dict[str, tuple[dict[str, Any], int]] = {
    "author-only carrying of faces": ({"carry_with": by_authors_alone}, 118),
    "facts are carried where all read": ({"carry_with": to_the_open}, 26),
    "a file enters before its exclusions": ({"enters": False}, 95),
    "last-writer-wins tags": ({"last_writer_wins": True}, 9),
}
"""Each with the seed that catches it."""


@pytest.mark.parametrize("name", MISTAKES)
def test_the_checks_can_fail(name: str) -> None:
    options, seed = MISTAKES[name]
    assert schedule(seed, **options)[0] is not None
    assert schedule(seed)[0] is None


# -- schedules by name


class Told:
    """A world in which a test says what happens. Nodes are called 1, 2, ...; 1 makes the file, and all know of it."""

    def __init__(self, nodes: int) -> None:
        self.world = World(1, nodes)
        self.world.create(self.world.nodes[0])
        self.world.tag(self.world.nodes[0])
        self.calm()

    def node(self, name: str) -> Node:
        return self.world.nodes[int(name) - 1]

    def excludes(self, at: str, whom: str) -> None:
        self.world.state_knows(self.node(at), self.node(whom).guid, False)

    def includes(self, at: str, whom: str) -> None:
        self.world.state_knows(self.node(at), self.node(whom).guid, True)

    def tags(self, at: str) -> None:
        self.world.tag(self.node(at))

    def calm(self, who: str = "") -> None:
        """These (or all) read each other's ledgers and carry facts until there is nothing to do."""
        everybody = self.world.nodes
        if who:
            self.world.nodes = [self.node(name) for name in who]
        assert self.world.settle() is None
        self.world.nodes = everybody
        assert self.world.leaks() is None

    def ends_with(self, who: str, tags: int) -> None:
        """Just these know the file, with all its tags."""
        self.calm()
        assert self.world.outcome() is None
        for name in "1234"[: len(self.world.nodes)]:
            state = self.node(name).state()
            assert knows(self.node(name).guid, state, self.world.names) == (name in who)
            if name in who:
                assert state.tags() == [f"t{number + 1}" for number in range(tags)]


def test_include_then_exclude() -> None:
    told = Told(3)
    told.excludes("1", "3")
    told.calm("12")
    told.tags("2")
    told.includes("1", "3")  # 3 has read neither
    told.tags("1")
    told.excludes("1", "3")
    told.tags("1")
    told.calm("13")
    told.tags("2")  # 2 still takes 3 for left out, and has read nothing of the rest
    told.ends_with("12", tags=5)


def test_include_by_one_while_another_excludes() -> None:
    told = Told(3)
    told.excludes("1", "3")
    told.calm()
    told.includes("2", "3")
    told.calm("23")
    told.tags("3")
    told.includes("1", "3")
    told.excludes("1", "3")
    told.tags("1")
    told.calm("13")
    told.ends_with("12", tags=3)


def test_exclude_the_author_then_include_another() -> None:
    """What the author says before it knows must reach one who can not read it from the author."""
    told = Told(4)
    told.excludes("1", "4")
    told.calm()
    told.excludes("2", "1")  # which made the file
    told.tags("1")
    told.calm("23")
    told.includes("3", "4")
    told.calm("34")
    told.tags("4")
    told.ends_with("234", tags=3)
