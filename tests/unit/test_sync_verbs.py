"""What reduce, restore, where and doctor decide: who is meant, who must be connected, what has too few copies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from shell.placing import left_lines, placed_lines
from sync.nodes import NodeInfo
from sync.verbs import knowing
from sync.verbs.copies import held_by_fewer
from sync.verbs.naming import NoSuchNode, aliases, named_nodes, names_in
from sync.verbs.placement import (
    ALREADY,
    LAST,
    LOST,
    UNKNOWN,
    Around,
    Placed,
    Waiting,
    Wish,
    also,
    by_rules,
    decided,
    without,
)
from sync.verbs.rules import _by_rules, check_query, find_rule, rule_id
from sync.verbs.waiting import BYTES, FREE, PROOF, Wait, something_moves, to_connect, waits_of
from tagfs.errors import BadRequest, NothingMatched, QueryError
from tagfs.face import holders
from tagfs.fact import Fact
from tagfs.merge import FileState, join
from tagfs.placement import Rule
from tests.support.facts import FILES, NODES, arbitrary_facts, made, stamp

LAPTOP, TABLET, SERVER, PHONE = NODES


def info(guid: str, alias: str, *, gone: bool = False) -> NodeInfo:
    return NodeInfo(guid, alias, (), gone, {})


# -- which nodes are meant


def test_nodes_are_named_by_alias_or_id_each_once() -> None:
    nodes = {guid: info(guid, alias) for guid, alias in zip(NODES, ("laptop", "tablet", "server", "old"), strict=True)}
    nodes[PHONE] = info(PHONE, "old", gone=True)
    assert names_in(["tablet, server", "laptop", ",", ""]) == ["tablet", "server", "laptop"]
    assert named_nodes(nodes, ["tablet", TABLET[:8], TABLET, "laptop"]) == [TABLET, LAPTOP]
    for nobody in ("old", PHONE[:8], "Tablet", "", TABLET[:7]):
        with pytest.raises(NoSuchNode, match="laptop, server, tablet"):
            named_nodes(nodes, [nobody])


def test_one_of_two_devices_of_the_same_name_is_named_by_its_id() -> None:
    nodes = {LAPTOP: info(LAPTOP, "phone"), TABLET: info(TABLET, "phone"), SERVER: info(SERVER, "server")}
    with pytest.raises(BadRequest, match=LAPTOP[:8]):
        named_nodes(nodes, ["phone"])
    assert named_nodes(nodes, [TABLET[:8]]) == [TABLET]
    assert aliases(nodes) == {
        LAPTOP: f"phone ({LAPTOP[:8]})", TABLET: f"phone ({TABLET[:8]})", SERVER: "server"
    }  # fmt: skip


# -- who must be connected


@pytest.mark.parametrize(
    ("before", "after", "online", "copies", "expected"),
    [
        # Two nodes, the other off: nothing goes before it has said that it has the bytes.
        ({LAPTOP, TABLET}, {TABLET}, {LAPTOP}, 1, {Wait(PROOF, frozenset({TABLET}))}),
        ({LAPTOP, TABLET}, {LAPTOP}, {LAPTOP}, 1, {Wait(FREE, frozenset({TABLET}))}),
        ({LAPTOP, TABLET}, {TABLET}, {LAPTOP, TABLET}, 1, set()),
        ({LAPTOP}, {TABLET}, {LAPTOP}, 1, {Wait(BYTES, frozenset({TABLET})), Wait(PROOF, frozenset({TABLET}))}),
        ({TABLET, SERVER}, {TABLET, SERVER, LAPTOP}, {LAPTOP}, 1, {Wait(BYTES, frozenset({TABLET, SERVER}))}),
        ({TABLET, SERVER}, {TABLET, SERVER, LAPTOP}, {LAPTOP, SERVER}, 1, set()),
        # One of two is enough, unless two copies are asked for.
        ({LAPTOP, TABLET, SERVER}, {TABLET, SERVER}, {LAPTOP}, 1, {Wait(PROOF, frozenset({TABLET, SERVER}))}),
        ({LAPTOP, TABLET, SERVER}, {TABLET, SERVER}, {LAPTOP, TABLET}, 2, {Wait(PROOF, frozenset({SERVER}))}),
        ({LAPTOP, TABLET, SERVER}, {TABLET}, {LAPTOP, TABLET}, 2, {Wait(FREE, frozenset({SERVER}))}),
        ({LAPTOP}, {LAPTOP}, {LAPTOP}, 3, set()),
    ],
)
def test_who_must_be_connected(
    before: set[str], after: set[str], online: set[str], copies: int, expected: set[Wait]
) -> None:
    assert waits_of(before, after, online, copies) == expected


@pytest.mark.parametrize(
    ("before", "after", "online", "expected"),
    [
        ({LAPTOP}, {LAPTOP, TABLET, SERVER}, {LAPTOP, TABLET}, True),
        ({LAPTOP}, {LAPTOP, TABLET, SERVER}, {LAPTOP}, False),
        ({LAPTOP}, {TABLET}, {LAPTOP}, False),
        ({LAPTOP, TABLET, SERVER}, {LAPTOP}, {LAPTOP, SERVER}, True),
        ({LAPTOP, TABLET}, {TABLET}, {LAPTOP}, False),
        ({LAPTOP, TABLET}, {LAPTOP}, {LAPTOP}, False),
        ({TABLET, SERVER}, {TABLET, SERVER, LAPTOP}, {LAPTOP, SERVER}, True),
    ],
)
def test_whether_a_part_of_a_move_can_be_done(
    before: set[str], after: set[str], online: set[str], expected: bool
) -> None:
    assert something_moves(before, after, online) is expected


_some = st.frozensets(st.sampled_from(NODES), min_size=1)


@given(_some, _some, _some, st.integers(1, 3), st.data())
def test_whoever_connects_what_is_asked_for_is_asked_for_nothing_more(
    before: frozenset[str], after: frozenset[str], online: frozenset[str], copies: int, data: st.DataObject
) -> None:
    for _ in range(len(NODES) + 1):
        waits = waits_of(before, after, online, copies)
        asked = to_connect(waits)
        if not asked:
            assert not waits
            break
        assert all(one and not one & online for one in asked)
        online |= {data.draw(st.sampled_from(sorted(one))) for one in asked}
    else:
        raise AssertionError("there is always one more")
    if before - after:
        assert len(after & online) >= min(copies, len(after))
    assert (after ^ before) <= online


# -- what is stated


@given(
    st.lists(arbitrary_facts([FILES[0]]), max_size=8),
    st.sets(st.sampled_from(NODES), min_size=1),
    st.booleans(),
    st.frozensets(st.sampled_from(NODES[1:])),
)
def test_a_wish_leaves_a_holder_and_does_what_it_says(
    facts: list[Fact], nodes: set[str], reduces: bool, gone: frozenset[str]
) -> None:
    birth = Fact(at=stamp(0, NODES[0]), by=NODES[0], file=FILES[0], made=made(FILES[0]), holds={NODES[0]: True})
    state = join(FILES[0], [birth, *facts])
    around = Around(NODES[0], NODES, gone, frozenset(NODES), 1)
    nodes -= gone
    before = holders(state, NODES) - gone
    placed = Placed()
    said = decided(state, without(nodes) if reduces else also(nodes), around, placed)
    if said is None:
        (why,) = placed.left
        if why == LOST:
            assert not before
        elif why == LAST:
            assert not before - nodes
        elif why == UNKNOWN:
            assert all(not state.knows.get(node, ("", True))[1] for node in nodes)
        else:
            assert why == ALREADY
        return
    assert said[1] == ["hand"]
    state.add(Fact(at=stamp(4000, NODES[0]), by=NODES[0], file=FILES[0], holds=said[0], placed_by=said[1]))
    after = holders(state, NODES)
    unknown = {node for node in NODES if not state.knows.get(node, ("", True))[1]}
    assert after == (before - nodes if reduces else before | (nodes - unknown))
    assert after
    assert placed.fewest == len(after)
    assert set(placed.go) == before - after
    assert set(placed.come) == after - before


def test_a_device_that_left_is_no_last_holder() -> None:
    birth = Fact(at=stamp(0, LAPTOP), by=LAPTOP, file=FILES[0], made=made(FILES[0]), holds={LAPTOP: True, PHONE: True})
    state, placed = join(FILES[0], [birth]), Placed()
    around = Around(LAPTOP, NODES, frozenset({PHONE}), frozenset(), 1)
    assert decided(state, without([LAPTOP]), around, placed) is None
    assert placed.count(LAST) == 1
    assert decided(state, without([LAPTOP]), around._replace(gone=frozenset()), placed) is not None


def test_what_only_devices_had_that_left_is_promised_to_nobody() -> None:
    birth = Fact(at=stamp(0, PHONE), by=PHONE, file=FILES[0], made=made(FILES[0]), holds={PHONE: True})
    state, placed = join(FILES[0], [birth]), Placed()
    around = Around(LAPTOP, NODES, frozenset({PHONE}), frozenset({LAPTOP}), 1)
    for choice in (also([LAPTOP]), without([LAPTOP])):
        assert decided(state, choice, around, placed) is None
    assert placed.count(LOST) == 2
    assert "only devices that were forgotten" in " ".join(left_lines(placed))
    word = knowing.leaving_out([SERVER])(state, around)
    assert isinstance(word, knowing.Word)
    assert word.holds == {}


def test_rules_leave_alone_what_a_person_placed() -> None:
    def born(**more: object) -> FileState:
        birth = Fact(at=stamp(0, LAPTOP), by=LAPTOP, file=FILES[0], made=made(FILES[0]), holds={LAPTOP: True})
        return join(FILES[0], [birth, Fact(at=stamp(1, LAPTOP), by=LAPTOP, file=FILES[0], **more)])  # type: ignore[arg-type]

    around = Around(LAPTOP, NODES, frozenset(), frozenset(), 1)
    rule = "44444444-0000-5000-8000-000000000001"
    choose = by_rules({FILES[0]: Wish(frozenset({SERVER}), [rule])})
    assert decided(born(notes="x"), choose, around, Placed()) == ({SERVER: True, LAPTOP: False}, [rule])
    assert decided(born(holds={TABLET: True}, placed_by=["hand"]), choose, around, Placed()) is None
    again = decided(born(holds={TABLET: True}, placed_by=[rule]), choose, around, Placed())
    assert again == ({SERVER: True, LAPTOP: False, TABLET: False}, [rule])
    # Kept from it, it cannot hold it; a rule for nobody who may is no rule.
    assert decided(born(knows={SERVER: False}), choose, around, Placed()) is None


# -- rules


def test_the_same_question_is_the_same_rule_however_it_is_spelled() -> None:
    assert rule_id("video+size=1GB..") == rule_id("size=1GB.. and video") != rule_id("video")
    rules = [Rule(rule_id(query), query, frozenset({SERVER})) for query in ("video+size=1GB..", "music")]
    for which in ("size=1GB.. video", "video+size=1GB..", rules[0].guid, rules[0].guid[:8]):
        assert find_rule(rules, which) == rules[0]
    for which in ("photo", "12345678", "(("):
        with pytest.raises(NothingMatched):
            find_rule(rules, which)


@pytest.mark.parametrize("query", ["holds=laptop", "video+-holds=..", "a or (b and not holds=tablet)"])
def test_a_rule_cannot_ask_what_it_says(query: str) -> None:
    with pytest.raises(BadRequest, match="holds"):
        check_query(query)


def test_a_rule_needs_a_query_that_can_be_read() -> None:
    with pytest.raises(QueryError):
        check_query("video+(")
    check_query("not video")


@given(st.lists(st.sets(st.integers(0, 12)), max_size=5))
def test_each_file_is_with_the_rules_that_find_it(found: list[set[int]]) -> None:
    rules = [Rule(str(number), str(number), frozenset({SERVER})) for number in range(len(found))]
    groups = _by_rules(zip(rules, map(BitMap, found), strict=True))
    seen = {ordinal: together for together, files in groups.items() for ordinal in files}
    assert sum(map(len, groups.values())) == len(seen)
    expected = {
        ordinal: frozenset(str(n) for n, files in enumerate(found) if ordinal in files)
        for ordinal in set().union(*found)
    }
    assert seen == expected


# -- copies, and how it is told


@given(st.lists(st.sets(st.integers(0, 12)), max_size=5), st.integers(1, 4))
def test_files_with_too_few_copies_are_found(holders_of: list[set[int]], copies: int) -> None:
    everything = BitMap(range(13))
    found = held_by_fewer(everything, map(BitMap, holders_of), copies)
    assert set(found) == {one for one in range(13) if sum(one in files for files in holders_of) < copies}


NOTHING = Waiting(frozenset(), True)


def test_what_was_done_is_told_by_device() -> None:
    placed = Placed()
    placed.moves("film.mkv", 4_000_000, frozenset({LAPTOP, TABLET}), frozenset({LAPTOP}), 1, NOTHING)
    names = {LAPTOP: "laptop", TABLET: "tablet"}
    assert list(placed_lines(names, placed, dry_run=False)) == [
        "tablet lets go of film.mkv; 4.0 MB will be free there", "it is then kept by 1 device",
    ]  # fmt: skip
    placed.moves("b", 1_000_000, frozenset({TABLET}), frozenset({LAPTOP, TABLET}), 1, NOTHING)
    assert list(placed_lines(names, placed, dry_run=True)) == [
        "tablet would let go of 1 file; 4.0 MB would be free there",
        "laptop would get 1 file, 1.0 MB",
        "each would then be kept by 1 device at least",
    ]
    for n in range(12):
        placed.stays(LAST, f"f{n}")
    placed.stays(ALREADY, "g")
    shown = ", ".join(f"f{n}" for n in range(10))
    assert list(left_lines(placed)) == [
        f"12 files are left as they are, since nobody else would keep the bytes: {shown} and 2 more.",
        "1 file is so already.",
    ]
