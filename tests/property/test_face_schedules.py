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
from tagfs.home import OPEN, Folder
from tests.support.face_schedules import World, run

ROUNDS = 200_000 if os.environ.get("LYTS_PROVE") else 4_000
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


@pytest.mark.parametrize(
    "options",
    [{"carry_with": by_authors_alone}, {"carry_with": to_the_open}, {"enters": False}],
    ids=["each carries its own facts alone", "facts are carried where all read", "a file enters before its exclusions"],
)
def test_the_checks_can_fail(options: dict[str, Any]) -> None:
    assert any(schedule(seed, **options)[0] is not None for seed in range(3_000))
