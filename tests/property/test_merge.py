"""The merge: order, grouping and repetition of facts do not matter, and it is what facts.md says."""

from __future__ import annotations

import random

from hypothesis import event, given
from hypothesis import strategies as st

from tagfs.face import Face, face_of
from tagfs.fact import Fact, Purge, parse_time_ns
from tagfs.merge import FileState, deciding_facts, join
from tests.support.facts import (
    FILES,
    HASHES,
    NODE_GUID,
    NODES,
    TIMES,
    arbitrary_facts,
    content,
    expected_face,
    histories,
    made,
    newest_by_node,
    purge_of,
    stamp,
    through_a_line,
)

GUID = FILES[0]
some_facts = st.lists(arbitrary_facts(files=[GUID]), max_size=12) | histories()
dice = st.randoms(use_true_random=False)


def shown(facts: list[Fact], viewer: str = NODES[0]) -> Face:
    return face_of(join(GUID, facts), viewer, NODES)


class Said:
    """Facts about one file, stated one after the other by any node."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.birth = self(NODES[0], made=made(GUID), content=content(), holds={NODES[0]: True})

    def __call__(self, node: str, **said: object) -> Fact:
        fact = Fact(at=stamp(len(self.facts) + 1, node), by=node, file=GUID, **said)  # type: ignore[arg-type]
        self.facts.append(fact)
        return fact

    def face(self, viewer: str = NODES[0]) -> Face:
        return shown(self.facts, viewer)


# -- laws


@given(some_facts, dice)
def test_facts_may_arrive_in_any_order_and_more_than_once(facts: list[Fact], dice: random.Random) -> None:
    other = facts + dice.choices(facts, k=3) if facts else []
    dice.shuffle(other)
    assert join(GUID, other) == join(GUID, facts)


@given(st.lists(some_facts, min_size=2, max_size=4))
def test_what_nodes_merged_in_part_merges_to_the_same_whole(parts: list[list[Fact]]) -> None:
    # What one node vouches for is the deciding facts of what it knows; others join those.
    together = join(GUID, [fact for part in parts for fact in part])
    vouched = [deciding_facts(join(GUID, part), NODE_GUID) for part in parts]
    assert join(GUID, [fact for part in vouched for fact in part]) == together
    left = vouched[0]
    for part in vouched[1:]:
        left = deciding_facts(join(GUID, [*part, *left]), NODE_GUID)
    assert join(GUID, left) == together


@given(some_facts)
def test_the_deciding_facts_of_a_state_give_the_state_again(facts: list[Fact]) -> None:
    state = join(GUID, facts)
    deciding = [through_a_line(fact) for fact in deciding_facts(state, NODE_GUID)]
    assert join(GUID, deciding) == state
    assert deciding_facts(join(GUID, deciding), NODE_GUID) == deciding
    assert [fact.at for fact in deciding if fact.purge is None] == sorted({f.at for f in deciding if f.purge is None})


@given(some_facts)
def test_joining_leaves_the_facts_and_copies_alone(facts: list[Fact]) -> None:
    lines = [through_a_line(fact) for fact in facts]
    state = join(GUID, facts)
    kept = state.copy()
    state.add(Fact(at=stamp(999, NODES[1]), by=NODES[1], file=GUID, tag=["new"], name="new", holds={NODES[1]: False}))
    assert kept == join(GUID, lines)
    assert kept != state
    assert facts == lines


@given(some_facts, st.sampled_from(NODES))
def test_a_face_is_what_the_paper_says(facts: list[Fact], viewer: str) -> None:
    state = join(GUID, facts)
    face = face_of(state, viewer, NODES)
    wanted = expected_face(facts, NODES)
    assert (face.born_when, face.data, face.from_folder) == wanted.birth
    assert face.name == wanted.name
    assert list(face.tags) == wanted.tags
    assert face.notes == wanted.notes
    assert face.mode == wanted.mode
    assert sorted(c.sha256 for _, c in state.content_heads()) == wanted.heads
    assert face.conflict == (len(wanted.heads) > 1)
    assert (face.sha256 in wanted.heads) if wanted.heads else face.sha256 == ""
    assert {face.mtime_ns} == (wanted.times_ns or {0})
    assert face.holds == wanted.holds
    assert face.unknown_to == wanted.unknown_to
    assert face.trashed == wanted.trashed
    assert state.is_purged() == wanted.purged
    assert face.listed == (wanted.born and not wanted.purged and viewer not in wanted.unknown_to)
    for what in ("listed", "trashed", "conflict"):
        if getattr(face, what):
            event(what)


# -- what each rule promises


def test_a_file_is_not_listed_before_its_birth_fact_is_read() -> None:
    said = Said()
    said(NODES[1], tag=["music"], name="new.flac")
    assert not shown(said.facts[1:]).listed
    assert shown(said.facts[1:]).holds == frozenset()
    assert said.face().listed


def test_an_untag_removes_only_additions_it_had_seen() -> None:
    said = Said()
    seen = said(NODES[0], tag=["rome"])
    said(NODES[1], tag=["rome"])  # meanwhile, elsewhere
    said(NODES[2], untag={"rome": newest_by_node([seen])})
    assert said.face().tags == ("rome",)
    said(NODES[2], untag={"rome": join(GUID, said.facts).live_additions("rome")})
    assert said.face().tags == ()


def test_an_untag_may_arrive_before_the_addition_it_had_seen() -> None:
    said = Said()
    seen = said(NODES[0], tag=["rome"])
    said(NODES[1], untag={"rome": newest_by_node([seen])})
    assert shown([said.facts[2], said.facts[0]]).tags == ()
    assert shown([said.facts[2], said.facts[0], said.facts[1]]).tags == ()


def test_a_tag_given_again_after_an_untag_is_there_again() -> None:
    said = Said()
    seen = said(NODES[0], tag=["rome"])
    said(NODES[0], untag={"rome": newest_by_node([seen])})
    said(NODES[0], tag=["rome"])
    assert said.face().tags == ("rome",)


def test_the_last_name_wins_and_a_tie_is_broken_by_the_node() -> None:
    low, high = sorted(NODES[:2], key=lambda node: node[:8])
    facts = [Fact(at=stamp(5, node), by=node, file=GUID, name=name) for node, name in ((high, "high"), (low, "low"))]
    assert shown(facts).name == "high"


def test_edits_one_after_the_other_are_a_chain() -> None:
    said = Said()
    said(NODES[1], content=content(HASHES[1], was=HASHES[0]))
    said(NODES[2], content=content(HASHES[2], was=HASHES[1]))
    assert (said.face().sha256, said.face().conflict) == (HASHES[2], False)


def test_edits_beside_each_other_are_a_fork_until_one_replaces_both() -> None:
    said = Said()
    said(NODES[1], content=content(HASHES[1], was=HASHES[0]))
    said(NODES[2], content=content(HASHES[2], was=HASHES[0]))
    assert said.face().conflict
    assert [c.sha256 for _, c in join(GUID, said.facts).content_heads()] == [HASHES[1], HASHES[2]]
    said(NODES[0], content=content(HASHES[2], was=HASHES[1]))
    assert (said.face().sha256, said.face().conflict) == (HASHES[2], False)


def test_going_back_to_earlier_bytes_is_a_chain_too() -> None:
    said = Said()
    said(NODES[0], content=content(HASHES[1], was=HASHES[0]))
    said(NODES[0], content=content(HASHES[0], was=HASHES[1]))
    assert (said.face().sha256, said.face().conflict) == (HASHES[0], False)


def test_bytes_one_went_back_to_can_be_replaced_again() -> None:
    said = Said()
    for after, before in ((1, 0), (0, 1), (2, 0)):
        said(NODES[0], content=content(HASHES[after], was=HASHES[before]))
    assert (said.face().sha256, said.face().conflict) == (HASHES[2], False)


def test_the_older_of_two_births_counts() -> None:
    said = Said()
    said(NODES[1], made=made(GUID, "forged.exe"))
    assert said.face().name == "song.flac"


def test_a_time_set_by_hand_holds_until_the_next_edit() -> None:
    said = Said()
    said(NODES[0], modified=TIMES[2])
    assert said.face().mtime_ns == parse_time_ns(TIMES[2])
    said(NODES[1], content=content(HASHES[1], modified=TIMES[1], was=HASHES[0]))
    assert said.face().mtime_ns == parse_time_ns(TIMES[1])


def test_the_same_edit_on_two_nodes_is_no_conflict() -> None:
    said = Said()
    said(NODES[1], content=content(HASHES[1], was=HASHES[0]))
    said(NODES[2], content=content(HASHES[1], was=HASHES[0]))
    assert not said.face().conflict


def test_a_later_tag_or_edit_cancels_the_trash() -> None:
    for later in ({"tag": ["rome"]}, {"content": content(HASHES[1], was=HASHES[0])}, {"trash": False}):
        said = Said()
        said(NODES[0], trash=True)
        assert said.face().trashed
        said(NODES[1], **later)
        assert not said.face().trashed
        said(NODES[0], trash=True)
        assert said.face().trashed


def test_an_earlier_tag_or_edit_does_not_cancel_the_trash() -> None:
    said = Said()
    said(NODES[1], tag=["rome"])
    said(NODES[1], content=content(HASHES[1], was=HASHES[0]))
    said(NODES[0], trash=True)
    said(NODES[1], notes="a note is no life")
    assert said.face().trashed


def test_a_purge_takes_what_it_had_seen() -> None:
    said = Said()
    said(NODES[1], tag=["rome"])
    said(NODES[0], purge=purge_of(said.facts))
    assert not said.face().listed
    assert not shown(list(reversed(said.facts))).listed


def test_bytes_a_purge_had_not_seen_bring_the_file_back() -> None:
    said = Said()
    said(NODES[0], purge=purge_of(said.facts))
    said(NODES[1], content=content(HASHES[1], was=HASHES[0]))
    assert said.face().listed


def test_any_fact_a_purge_had_not_seen_brings_the_file_back() -> None:
    for unseen in ({"tag": ["rome"]}, {"name": "x"}, {"notes": "x"}, {"holds": {NODES[1]: True}}, {"trash": True}):
        said = Said()
        late = said(NODES[1], **unseen)
        said(NODES[0], purge=purge_of([said.birth]))
        assert said.face().listed
        assert not shown([fact for fact in said.facts if fact is not late]).listed


def test_a_content_named_by_hash_only_is_not_enough_for_a_purge() -> None:
    said = Said()
    said(NODES[0], purge=Purge(content=[], seen=newest_by_node([said.birth])))
    assert said.face().listed


def test_two_purges_that_each_saw_a_part_do_not_add_up() -> None:
    said = Said()
    one, two = said(NODES[1], tag=["a"]), said(NODES[2], tag=["b"])
    said(NODES[1], purge=purge_of([said.birth, one]))
    said(NODES[2], purge=purge_of([said.birth, two]))
    assert said.face().listed
    said(NODES[2], purge=purge_of(said.facts))
    assert not said.face().listed


def test_whoever_may_not_know_does_not_hold() -> None:
    said = Said()
    said(NODES[1], holds={NODES[1]: True})
    said(NODES[0], knows={NODES[1]: False})
    assert said.face().holds == {NODES[0]}
    assert not said.face(NODES[1]).listed
    assert said.face(NODES[0]).listed
    said(NODES[0], knows={NODES[1]: True})
    assert said.face().holds == set(NODES[:2])


def test_if_nobody_is_left_the_one_dropped_last_holds() -> None:
    said = Said()
    said(NODES[1], holds={NODES[1]: True})
    said(NODES[0], holds={NODES[0]: False})
    said(NODES[1], holds={NODES[1]: False})
    assert said.face().holds == {NODES[1]}


def test_if_nobody_was_ever_named_the_maker_holds_else_the_lowest_that_knows() -> None:
    said = Said()
    said(NODES[1], tag=["x"])
    maker = next(iter(said.face().holds))
    assert maker in NODES
    said(NODES[1], knows={maker: False})
    knowing = sorted(set(NODES) - {maker})
    assert said.face().holds == {knowing[0]}


def test_if_everyone_is_excluded_nobody_holds() -> None:
    said = Said()
    said(NODES[0], knows=dict.fromkeys(NODES, False))
    assert said.face().holds == frozenset()


def test_an_empty_state_has_an_empty_face() -> None:
    assert deciding_facts(FileState(GUID), NODE_GUID) == []
    face = face_of(FileState(GUID), NODES[0], NODES)
    assert (face.name, face.tags, face.listed, face.trashed) == ("", (), False, False)
