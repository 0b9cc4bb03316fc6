"""Moving bytes, over random schedules (`support.byte_schedules`): nothing is lost, and in the end all is as asked.

A failure prints the seed and what happened. `./prove` runs a million.
"""

from __future__ import annotations

import os

import pytest

from sync import machine
from sync.contents import contents_of
from sync.machine import KeepBoth, Prove, Put, StateContent, Unlink
from tagfs.conflict import copy_guid
from tests.support.byte_mistakes import MISTAKES, Decide, Mistake, all_count, nobody_inherits
from tests.support.byte_schedules import FIRST, World, run

ROUNDS = 1_000_000 if os.environ.get("LYTS_PROVE") else 10_000
PORTIONS = 20
STEPS = (10, 20, 40, 80)


def schedule(seed: int, **options: object) -> tuple[str | None, World]:
    return run(seed, 2 + seed % 3, STEPS[seed // 3 % 4], **options)


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_no_schedule_loses_bytes_and_each_ends_as_asked(portion: int) -> None:
    for seed in range(portion, ROUNDS, PORTIONS):
        wrong, world = schedule(seed)
        assert wrong is None, f"seed {seed}: {wrong}\n" + "\n".join(world.log)


def forgetting(seed: int, decide: Decide = machine.decide) -> tuple[str | None, World]:
    return run(seed, 3 + seed % 2, STEPS[seed // 3 % 4], forgets=True, decide=decide)


@pytest.mark.parametrize("portion", range(4))
def test_who_is_forgotten_takes_along_only_what_nobody_else_had(portion: int) -> None:
    for seed in range(portion, ROUNDS // 10, 4):
        wrong, world = forgetting(seed)
        assert wrong is None, f"seed {seed}: {wrong}\n" + "\n".join(world.log)


def test_a_conflict_copy_whose_maker_is_forgotten_gets_its_bytes_from_who_has_them() -> None:
    """What the forgetting schedule 21102 found: they were there, as older bytes of the file that it was made of."""
    told = Told(3, "13")
    one, two, three = told.world.nodes
    members = frozenset((one.guid, three.guid))
    told.world.edit(one, members)
    told.does("1", StateContent)
    told.tells("1", "3")
    lost = three.disk[members, (FIRST, "")][0]
    told.world.edit(one, members)  # lyts has not read its last edit there again, so this is a branch
    told.does("1", StateContent)
    told.does("1", KeepBoth)
    told.world.deliver(one, two)
    told.world.deliver(one, three)
    told.world.forget(two, one)
    told.calm()
    assert told.world.unsettled() is None
    assert three.disk[members, (copy_guid(FIRST, lost), "")][0] == lost


def test_an_edit_of_a_forgotten_node_is_stated_by_one_that_has_it() -> None:
    """What the forgetting schedule 41926 found: the lowest holder was to speak, to which the bytes had never come."""
    told = Told(3, "13")
    one, two, three = told.world.nodes
    members = frozenset((one.guid, three.guid))
    told.world.edit(one, members)
    told.world.scan_all(one)
    told.world.pull(one, three, (members, (FIRST, "")))
    edited = three.disk[members, (FIRST, "")][0]
    told.holds("3", n2=True)
    told.world.forget(three, one)
    told.calm()
    assert told.world.unsettled() is None
    assert edited in {sha256 for state in two.states.values() for sha256 in contents_of(state).heads}


@pytest.mark.parametrize(("seed", "decide"), [(30, all_count), (70, nobody_inherits)])
def test_the_checks_catch_forgotten_nodes_that_count(seed: int, decide: Decide) -> None:
    assert forgetting(seed, decide)[0] is not None
    assert forgetting(seed)[0] is None


CAUGHT_BY = {  # the seed of a schedule for each; last-writer-wins tags and the carrying of faces: test_face_schedules
    "a proof of other placement facts counts": 5025,
    "a stray is unlinked without proof": 3,
    "unlink before link": 76,
    "the keep is emptied unproven": 3429,
    "no keep": 930,
    "own edits are not kept": 2866,
    "of two edits one is tidied away": 222,
    "an edit replaces what it never saw": 585,
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_the_checks_can_fail(mistake: Mistake) -> None:
    seed = CAUGHT_BY[mistake.name]
    wrong, _ = schedule(seed, **mistake.options)
    assert wrong is not None
    assert schedule(seed)[0] is None


# -- schedules by name


class Told:
    """A world in which a test says what happens."""

    def __init__(self, nodes: int, holds: str, **options: object) -> None:
        self.world = World(1, nodes, **options)  # type: ignore[arg-type]
        self.by_name = {node.guid[7]: node for node in self.world.nodes}
        self.world.create(self.world.nodes[0], [self.by_name[name].guid for name in holds])
        self.everybody = "".join(self.by_name)
        self.calm()

    def calm(self, who: str = "") -> None:
        """These (or all) talk and act until there is nothing to do."""
        assert self.world.settle([self.by_name[name] for name in who]) is None

    def does(self, who: str, *kinds: type) -> None:
        """One looks at the file and does of what it could do only these kinds of things."""
        node = self.by_name[who]
        chosen = [action for action in self.world.options(node, FIRST) if isinstance(action, kinds)]
        assert chosen
        for action in chosen:
            self.world.do(node, FIRST, action)

    def tells(self, one: str, other: str) -> None:
        """What one knows, has proven and has on its disk reaches the other."""
        giver, taker = self.by_name[one], self.by_name[other]
        self.world.scan_all(giver)
        self.world.deliver(giver, taker)
        self.world.hear(giver, taker)
        for key in list(giver.known):
            self.world.pull(giver, taker, key)

    def holds(self, at: str, **wishes: bool) -> None:
        said = {self.by_name[name[1]].guid: yes for name, yes in wishes.items()}
        self.world.say(self.by_name[at], FIRST, holds=said)

    def ends_as(self, holds: str) -> None:
        self.calm()
        assert self.world.unsettled() is None
        members = frozenset(self.by_name[name].guid for name in holds)
        for node in self.world.nodes:
            placed = set(self.world.here(node, FIRST).placed)
            assert placed == ({members} if node.guid in members else set())


def test_reduce_then_undo_with_a_stale_peer() -> None:
    told = Told(3, "123")
    told.holds("1", n2=False)
    told.calm("12")
    told.holds("1", n2=True)
    told.calm("12")
    told.calm("13")
    told.ends_as("123")


def test_a_peer_that_was_away_for_a_reduce_and_its_undo_and_a_reduce() -> None:
    told = Told(3, "123")
    for yes in (False, True, False):
        told.holds("2", n2=yes)
        told.calm("12")
    told.ends_as("13")


def test_restore_and_reduce_crossing_to_disjoint_sets() -> None:
    told = Told(4, "12")
    told.holds("1", n1=False, n3=True)
    told.holds("2", n2=False, n4=True)
    told.calm("13")
    told.calm("24")
    told.ends_as("34")


def test_a_move_to_who_never_had_any_of_it_while_the_old_holder_leaves_soon() -> None:
    told = Told(3, "1")
    told.holds("1", n1=False, n3=True)
    told.calm("12")
    assert told.world.here(told.by_name["1"], FIRST).placed
    told.ends_as("3")


def test_the_rename_with_a_touch_elsewhere() -> None:
    """What broke the first of all designs: a touch brings back what was moved away."""
    told = Told(3, "123")
    told.holds("1", n3=False)
    told.world.touch(told.by_name["2"])
    told.calm("13")
    told.world.touch(told.by_name["2"])
    told.ends_as("12")


def test_opposite_wishes_at_once() -> None:
    told = Told(2, "1")
    told.holds("1", n1=False, n2=True)
    told.holds("2", n1=True, n2=False)
    told.calm("1")
    told.calm("2")
    told.calm()
    assert told.world.unsettled() is None


def test_an_edit_that_was_deleted_beneath_before_lyts_had_looked_is_put_back() -> None:
    """What schedule 464637 found: it stayed in a keep, where nobody could get at it, and nothing else was left."""
    world = World(1, 2)
    one, two = world.nodes
    both = frozenset(world.names)
    world.create(one, both)
    world.edit(one, both)
    edited = one.disk[both, (FIRST, "")][0]
    world.scan_all(one)
    world.pull(one, two, (both, (FIRST, "")))
    world.delete_beneath(one)
    assert not one.disk
    assert world.settle() is None
    assert world.unsettled() is None
    assert {node.disk[both, (FIRST, "")][0] for node in world.nodes} == {edited}


def test_a_ledger_shortened_by_a_power_cut() -> None:
    told = Told(3, "123")
    one = told.by_name["1"]
    told.holds("1", n3=False)
    told.calm("12")
    placed = dict(one.disk)
    told.world.cut_power(one, 1)
    told.calm("13")  # neither knows of the wish any more, and 1 knows that it does not know all
    assert one.disk.items() >= placed.items()
    told.ends_as("12")


@pytest.mark.parametrize("rests", [True, False], ids=["rests", "goes on"])
def test_a_node_that_lost_facts_that_others_have_read_must_not_go_on(rests: bool) -> None:
    """Under its older facts old proofs would count again: those of a node that let go since."""
    told = Told(2, "12", rests=rests)
    one = told.by_name["1"]
    told.holds("1", n1=False)
    told.ends_as("2")
    told.holds("1", n1=True, n2=False)
    told.ends_as("1")
    told.world.cut_power(one, 1)
    found = told.world.settle([one])
    if rests:
        assert found is None
        told.ends_as("1")
    else:
        assert found is not None
        assert "nowhere" in found


def test_an_edit_whose_fact_went_in_a_power_cut_is_stated_again() -> None:
    told = Told(2, "12")
    one = told.by_name["1"]
    told.world.edit(one)
    edited = next(iter(one.disk.values()))[0]
    told.does("1", StateContent)
    told.world.cut_power(one, 1)
    assert edited not in contents_of(one.states[FIRST]).heads
    told.ends_as("12")
    assert contents_of(told.by_name["2"].states[FIRST]).heads == (edited,)


def test_three_edits_at_once_are_three_files() -> None:
    told = Told(3, "123")
    for node in told.world.nodes:
        told.world.edit(node)
    for name in told.everybody:
        told.calm(name)
    told.calm()
    assert told.world.unsettled() is None
    guids = {guid for node in told.world.nodes for guid in node.states}
    assert len(guids) == 3


ONCE_FAILED = (85413, 239841, 240429, 257373, 464637)


@pytest.mark.parametrize("seed", [21102, 41926, 106725, 112521, 120118, 151175])
def test_forgetting_schedules_that_once_failed(seed: int) -> None:
    wrong, world = forgetting(seed)
    assert wrong is None, f"{wrong}\n" + "\n".join(world.log)


@pytest.mark.parametrize("seed", ONCE_FAILED)
def test_schedules_that_once_failed(seed: int) -> None:
    wrong, world = schedule(seed)
    assert wrong is None, f"{wrong}\n" + "\n".join(world.log)


def test_the_only_copy_in_the_keep_of_who_leaves_gets_out_past_older_bytes_that_stand_there() -> None:
    """What schedules 85413 and 240429 found: neither node had anything to do, and the newest bytes reached nobody."""
    told = Told(2, "12")
    leaving, staying = told.world.nodes
    both = frozenset(told.world.names)
    told.holds("1", n1=False)
    told.tells("1", "2")
    told.does("2", Put)
    told.world.edit(leaving, both)
    told.world.scan_all(leaving)
    told.world.pull(leaving, staying, (both, (FIRST, "")))
    told.world.edit(staying, both)  # on bytes that lyts has not read there: a branch
    told.does("2", StateContent)
    told.does("2", KeepBoth)
    told.does("1", StateContent)  # it had seen none of this
    told.tells("2", "1")
    assert told.world.here(leaving, FIRST).kept
    told.ends_as("2")


@pytest.mark.parametrize("newest_wins", [False, True], ids=["Syncthing 1", "Syncthing 2"])
def test_an_edit_that_lost_and_is_put_back_does_not_pass_for_one_of_what_had_won(newest_wins: bool) -> None:
    """What schedules 239841 and 257373 found: bytes that no hand had replaced were taken for replaced, and went."""
    told = Told(2, "12", newest_wins=newest_wins)
    leaving, staying = told.world.nodes
    both = frozenset(told.world.names)
    leaving.skew_ms = staying.skew_ms = 0
    told.holds("2", n1=False)
    told.world.edit(leaving, both)
    told.world.edit(staying, both)
    won = staying.disk[both, (FIRST, "")][0]
    told.does("2", StateContent)
    told.does("2", Put)
    told.does("2", Prove)
    told.tells("2", "1")
    told.does("1", Unlink)  # what won is proven where it belongs; beside it is what lost
    told.does("1", Put)
    told.world.scan_all(leaving)
    told.does("1", StateContent)
    assert contents_of(leaving.states[FIRST]).heads.count(won) == 1
    told.ends_as("2")
    guids = {guid for node in told.world.nodes for guid in node.states}
    assert len(guids) == 2
