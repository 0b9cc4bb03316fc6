"""Conflict copies: how they are called, whose they are, which tags are their own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tagfs.conflict import CONFLICT_TAG, copy_guid, copy_name, is_copy_of, may_be_copy, name_before, tags_since
from tagfs.fact import Fact, name_is_possible
from tagfs.merge import FileState, join
from tests.support.facts import FILES, HASHES, NODES, content, made, stamp

DATE = "2026-11-27"


def copy_of(guid: str, *later: Fact, tags: tuple[str, ...] = ("paper",)) -> FileState:
    copy = copy_guid(guid, HASHES[0])
    births = [
        Fact(at=stamp(when, node), by=node, file=copy, made=made(copy), content=content(), tag=[*tags, CONFLICT_TAG])
        for when, node in ((10, NODES[0]), (12, NODES[1]))  # two nodes found it
    ]
    for fact in later:
        fact.file = copy
    return join(copy, [*births, *later])


def test_a_copy_is_called_after_the_file_the_device_and_the_day() -> None:
    assert copy_name("song.flac", "laptop", DATE) == "song (laptop, 2026-11-27).flac"
    assert copy_name(".bashrc", "laptop", DATE) == ".bashrc (laptop, 2026-11-27)"
    assert copy_name("Mr. Smith", "laptop", DATE) == "Mr. Smith (laptop, 2026-11-27)"


@given(st.text(max_size=80).filter(name_is_possible), st.text(max_size=60))
def test_a_copy_has_a_possible_name_whatever_a_device_is_called(name: str, who: str) -> None:
    assert name_is_possible(copy_name(name, who, DATE))


def test_the_name_before_is_told_from_that_of_a_copy() -> None:
    for name in ("song.flac", "a.tar.gz", "no extension", "(x) [y].txt"):
        assert name_before(copy_name(name, "laptop", DATE)) == name
    assert name_before("song (live, 1959).flac") is None
    again = copy_name(copy_name("song.flac", "laptop", DATE), "tablet", DATE)
    assert name_before(again) in ("song (tablet, 2026-11-27).flac", "song (laptop, 2026-11-27).flac")


def test_whose_copy_a_file_is_follows_from_its_guid_also_when_two_made_it() -> None:
    copy = copy_of(FILES[0])
    assert is_copy_of(copy, FILES[0])
    assert not is_copy_of(copy, FILES[1])
    assert may_be_copy(copy.guid)
    edited = copy_of(FILES[0], Fact(at=stamp(20, NODES[0]), by=NODES[0], content=content(HASHES[1], was=HASHES[0])))
    assert is_copy_of(edited, FILES[0])
    assert not any(map(may_be_copy, FILES))


def test_only_what_a_copy_was_given_since_is_its_own() -> None:
    assert tags_since(copy_of(FILES[0])) == []
    later = [
        Fact(at=stamp(20, NODES[0]), by=NODES[0], tag=["read", "gone"]),
        Fact(at=stamp(21, NODES[0]), by=NODES[0], untag={"gone": {NODES[0][:8]: stamp(20, NODES[0])}}),
        Fact(at=stamp(22, NODES[1]), by=NODES[1], tag=["paper"]),
    ]
    assert tags_since(copy_of(FILES[0], *later)) == ["paper", "read"]
