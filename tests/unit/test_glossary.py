from __future__ import annotations

from typing import Any

from tagfs.fact import Fact
from tagfs.glossary import Thing, compile_tags, subject_of, thing_facts
from tests.support.facts import NODE_GUID, NODES, stamp, through_a_line


class Tags:
    """Tag facts stated one after the other, each with the next stamp."""

    def __init__(self) -> None:
        self.things: dict[str, Thing] = {}
        self.when = 0

    def say(self, tag: str, at: int | None = None, node: str = NODES[0], **said: Any) -> Fact:
        self.when += 1
        fact = Fact(at=stamp(self.when if at is None else at, node), by=node, tag=tag, **said)
        self.things.setdefault(tag, Thing()).add(through_a_line(fact))
        return fact

    def matching(self, tag: str) -> list[str]:
        return compile_tags(self.things).matching.get(tag, [tag])

    def canonical(self, tag: str) -> str:
        return compile_tags(self.things).canonical.get(tag, tag)


def test_a_question_for_a_tag_finds_what_implies_it_over_any_number_of_steps() -> None:
    tags = Tags()
    tags.say("bebop", implies=["jazz"])
    tags.say("jazz", implies=["music"])
    assert tags.matching("music") == ["bebop", "jazz", "music"]
    assert tags.matching("jazz") == ["bebop", "jazz"]
    assert tags.matching("bebop") == ["bebop"]


def test_the_older_edge_of_a_cycle_of_implications_stays() -> None:
    tags = Tags()
    tags.say("a", implies=["b"])
    tags.say("b", implies=["c"])
    tags.say("c", implies=["a"])
    assert tags.matching("c") == ["a", "b", "c"]
    assert tags.matching("a") == ["a"]


def test_the_older_edge_of_a_cycle_of_aliases_stays_whatever_came_first() -> None:
    for order in ((1, 2), (2, 1)):
        tags = Tags()
        for at in order:
            tags.say(*(("a",) if at == 1 else ("b",)), at=at, alias=["b"] if at == 1 else ["a"])
        assert tags.canonical("a") == "b"
        assert tags.canonical("b") == "b"


def test_the_cycle_opens_when_its_older_edge_is_taken_back() -> None:
    tags = Tags()
    old = tags.say("a", alias=["b"])
    tags.say("b", alias=["a"])
    tags.say("a", unalias={"b": {old.at[26:]: old.at}})
    assert (tags.canonical("a"), tags.canonical("b")) == ("a", "a")


def test_a_tag_that_is_its_own_alias_or_implies_itself_is_just_itself() -> None:
    tags = Tags()
    tags.say("a", alias=["a"], implies=["a"])
    assert tags.canonical("a") == "a"
    assert tags.matching("a") == ["a"]


def test_renaming_a_tag_again_and_again_is_followed_to_the_end() -> None:
    tags = Tags()
    tags.say("jaz", alias=["jazz"])
    tags.say("jazz", alias=["Jazz"])
    assert {tags.canonical(tag) for tag in ("jaz", "jazz", "Jazz")} == {"Jazz"}
    assert tags.matching("Jazz") == ["Jazz", "jaz", "jazz"]


def test_an_offline_use_of_the_old_name_follows_the_renaming() -> None:
    # A file tagged `jaz` on another device, before or after: a question for any of the names finds it.
    tags = Tags()
    tags.say("jaz", alias=["jazz"])
    assert "jaz" in tags.matching("jazz")
    assert tags.matching("jaz") == tags.matching("jazz")


def test_what_an_alias_implies_its_tag_implies() -> None:
    tags = Tags()
    tags.say("jaz", implies=["music"])
    tags.say("jaz", alias=["jazz"])
    assert tags.matching("music") == ["jaz", "jazz", "music"]


def test_a_removal_takes_only_the_additions_it_had_seen() -> None:
    tags = Tags()
    seen = tags.say("jazz", at=1, node=NODES[0], implies=["music"])
    tags.say("jazz", at=1, node=NODES[1], implies=["music"])
    tags.say("jazz", at=2, node=NODES[0], unimplies={"music": {seen.at[26:]: seen.at}})
    assert tags.matching("music") == ["jazz", "music"]
    tags.say("jazz", at=3, node=NODES[0], unimplies={"music": tags.things["jazz"].additions("implies", "music")})
    assert tags.matching("music") == ["music"]


def test_the_first_statement_about_a_set_counts_and_can_be_vouched_for() -> None:
    thing = Thing()
    for when, label in ((2, "b"), (1, "a"), (3, "c")):
        thing.add(Fact(at=stamp(when, NODES[0]), by=NODES[0], set="lsd-0", label=label, nodes=NODES[:1]))
    assert thing.value("set") == ["a", NODES[:1]]
    again = Thing()
    for fact in thing_facts("L", "lsd-0", thing, NODE_GUID):
        again.add(through_a_line(fact))
    assert again == thing


def test_the_last_word_on_a_node_and_a_saved_query_counts() -> None:
    node, query = Thing(), Thing()
    for when, word in ((2, "laptop"), (1, "desk"), (3, "old laptop")):
        node.add(Fact(at=stamp(when, NODES[0]), by=NODES[0], node=NODES[0], alias=word))
        query.add(Fact(at=stamp(when, NODES[0]), by=NODES[0], saved="evening", query=word))
    assert node.value("alias") == query.value("query") == "old laptop"
    assert node.value("device", "none") == "none"


def test_what_a_fact_is_about() -> None:
    head: dict[str, Any] = {"at": stamp(1, NODES[0]), "by": NODES[0]}
    assert subject_of(Fact(**head, tag="jazz")) == ("T", "jazz")
    assert subject_of(Fact(**head, node=NODES[1])) == ("N", NODES[1])
    assert subject_of(Fact(**head, saved="evening")) == ("S", "evening")
    assert subject_of(Fact(**head, set="lsd-0")) == ("L", "lsd-0")
    assert subject_of(Fact(**head, file=NODES[0], tag=["jazz"])) is None
    assert subject_of(Fact(**head)) is None
