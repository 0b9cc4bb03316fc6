"""Tags, nodes, saved queries and nodesets: the same join as for files."""

from __future__ import annotations

import random
from collections import defaultdict

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tagfs.fact import Fact
from tagfs.glossary import Thing, compile_tags, subject_of
from tagfs.glossary import thing_facts as facts_of
from tests.support.facts import NODE_GUID, TAGS, thing_facts, through_a_line

Things = dict[tuple[str, str], Thing]


def join(facts: list[Fact]) -> Things:
    things: defaultdict[tuple[str, str], Thing] = defaultdict(Thing)
    for fact in facts:
        subject = subject_of(fact)
        assert subject is not None
        things[subject].add(fact)
    return dict(things)


def vouched(things: Things) -> list[Fact]:
    return [
        through_a_line(fact)
        for (kind, text), thing in things.items()
        for fact in facts_of(kind, text, thing, NODE_GUID)
    ]


some_facts = st.lists(thing_facts(), max_size=12)


@given(some_facts, st.randoms(use_true_random=False))
def test_facts_may_arrive_in_any_order_and_more_than_once(facts: list[Fact], dice: random.Random) -> None:
    other = facts + dice.choices(facts, k=3) if facts else []
    dice.shuffle(other)
    assert join(other) == join(facts)


@given(st.lists(some_facts, min_size=2, max_size=4))
def test_what_nodes_merged_in_part_merges_to_the_same_whole(parts: list[list[Fact]]) -> None:
    together = join([fact for part in parts for fact in part])
    assert join([fact for part in parts for fact in vouched(join(part))]) == together


@given(some_facts)
def test_a_thing_survives_the_index(facts: list[Fact]) -> None:
    for thing in join(facts).values():
        assert Thing.unpacked(msgspec.msgpack.decode(msgspec.msgpack.encode(thing.packed()))) == thing
        assert thing.copy() == thing


@given(some_facts)
def test_the_tables_of_tags_hold_together(facts: list[Fact]) -> None:
    things = {text: thing for (kind, text), thing in join(facts).items() if kind == "T"}
    tables = compile_tags(things)
    for alias, tag in tables.canonical.items():
        assert alias != tag
        assert tag not in tables.canonical
        assert tables.matching[alias] == tables.matching[tag]
    for tag, matching in tables.matching.items():
        assert tag in matching
        assert matching == sorted(set(matching))
        for other in matching:
            # Whoever matches here brings along all that match it.
            assert set(tables.matching.get(other, [other])) <= set(matching)
    for tag in TAGS:
        upper = [other for other in TAGS if tag in tables.matching.get(other, [other])]
        live = {
            target
            for alias in tables.matching.get(tag, [tag])
            if alias in things
            for target in things[alias].live("implies")
        }
        assert set(upper) >= {tag} - live  # nothing is lost by a cycle but its younger edges
