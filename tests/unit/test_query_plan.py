"""What a plan refuses, and in which words; what it keeps a cache from getting wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from pyroaring import BitMap

from tagfs import term as kinds
from tagfs.bucket import Clock, utc_ms
from tagfs.errors import EXIT_NOTHING, EXIT_USAGE, NoSuchTag, QueryError
from tagfs.query.plan import plan
from tagfs.query.rich import parse_rich
from tagfs.query.run import terms
from tagfs.query.steps import AllOf, Plan, Term, fingerprint
from tagfs.tag import split_tag
from tagfs.value import value_key

CLOCK = Clock(utc_ms(2024, 3, 1, 12, 0, 0), utc_ms)


class Words:
    """A Vocabulary of tags and their counts; what no test here asks of it is left empty."""

    def __init__(self, counts: dict[str, int]) -> None:
        self.tags = list(counts)
        self.counts = [1000, *counts.values()]

    def term(self, kind: int, key: str, value: str | None) -> int | None:
        tag = key if value is None else f"{key}={value}"
        return self.tags.index(tag) + 1 if kind == kinds.TAG and tag in self.tags else None

    def count(self, term: int) -> int:
        return self.counts[term]

    def walk(self, kind: int, key: str, low: bytes = b"", below: bytes | None = None) -> Iterator[tuple[str, int]]:
        pairs = [(split_tag(tag), number) for number, tag in enumerate(self.tags, start=1) if kind == kinds.TAG]
        found = [(value, number) for (name, value), number in pairs if name == key and value is not None]
        for value, number in sorted(found, key=lambda item: value_key(item[0])):
            if low <= value_key(value) and (below is None or value_key(value) < below):
                yield value, number

    def plain_tags(self, prefix: str) -> Iterator[tuple[str, int]]:
        yield from ((tag, n) for n, tag in enumerate(self.tags, start=1) if "=" not in tag and tag.startswith(prefix))

    def keys(self, prefix: str) -> Iterator[str]:
        yield from sorted({split_tag(tag)[0] for tag in self.tags if "=" in tag and tag.startswith(prefix)})

    def matching_tags(self, tag: str) -> list[str]:
        return [tag]

    def named(self, name: str) -> BitMap:
        return BitMap()

    def names_beginning(self, prefix: str) -> BitMap:
        return BitMap()

    def ids_beginning(self, hex_digits: str) -> BitMap:
        return BitMap()

    def node(self, alias: str) -> str | None:
        return None

    def node_aliases(self) -> list[str]:
        return ["tablet", "laptop"]

    def nodes_that_left(self) -> frozenset[str]:
        return frozenset()

    def tag_suggestions(self, tag: str) -> Iterable[tuple[str, int]]:
        return list(zip(self.tags, self.counts[1:], strict=True))

    def is_tag(self, tag: str) -> bool:
        return tag == "made"


WORDS = Words({"music": 300, "jazz": 41, "rare": 2, "gone": 0, "year=1955": 7, "year=1959": 9})


def planned(text: str, words: Words = WORDS) -> Plan:
    return plan(parse_rich(text), words, CLOCK, text)


def test_an_unknown_tag_is_answered_with_a_near_match() -> None:
    with pytest.raises(NoSuchTag) as caught:
        planned("music+jaz")
    assert str(caught.value) == 'no tag "jaz"; did you mean jazz (41 files)?'
    assert (caught.value.at, caught.value.query) == (6, "music+jaz")
    assert caught.value.exit_code == EXIT_NOTHING


def test_an_unknown_key_is_answered_with_a_near_match() -> None:
    with pytest.raises(NoSuchTag, match="did you mean year"):
        planned("yera=1950..1960")
    with pytest.raises(NoSuchTag, match="did you mean size"):
        planned("siez=100MB..")


def test_a_tag_that_lost_its_last_file_is_unknown_and_a_made_one_is_not() -> None:
    with pytest.raises(NoSuchTag):
        planned("gone")
    assert planned("made").root.files == 0


def test_ranges_and_prefixes_in_which_nothing_lies_are_no_error() -> None:
    for text in ("year=1700..1800", "year=17%", "zz%", "size=1TB..", "ext=xyz", "type=video", "from=/nowhere"):
        assert planned(text).root.files == 0, text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name=a..b", "names have no ranges; ask like this: name=letter.odt"),
        ("size=many", '"many" is no size; write bytes'),
        ("size=1%", "a size has no beginning"),
        ("size=2MB..1MB", "runs backwards; the lower end comes first: size=1MB..2MB"),
        ("year=1960..1950", "runs backwards; the lower end comes first: year=1950..1960"),
        ("added=2024-13", '"2024-13" is no date; write 2024'),
        ("added=2024%", "a short one spans its whole period"),
        ("type=audoi", 'no type "audoi"; did you mean audio'),
        ("type=a..b", "types have no ranges"),
        ("ext=a..b", "extensions have no ranges"),
        ("from=a..b", "folders have no ranges"),
        ("id=xyz", "is no id"),
        ("id=1b9d", "too short for an id; for ids that begin so write id=1b9d%"),
        ("holds=tablte", 'no node is called "tablte"; there is laptop, tablet'),
        ("knows=ta%", "asks for a node by its name; ask like this: knows=laptop"),
    ],
)
def test_what_makes_no_sense_is_told_with_what_does(text: str, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        planned(f"music {text}")
    assert says in str(caught.value)
    assert caught.value.at == 6
    assert caught.value.exit_code == EXIT_USAGE


def test_the_rarest_tag_leads() -> None:
    root = planned("music+jazz+rare").root
    assert isinstance(root, AllOf)
    assert [step.files for step in root.parts] == [2, 41, 300]


def test_only_negatives_leave_all_other_files() -> None:
    root = planned("-music+-jazz").root
    assert isinstance(root, AllOf)
    assert [step.term for step in root.parts if isinstance(step, Term)] == [kinds.ALL_TERM]
    assert len(root.without) == 2


def test_a_new_value_within_a_range_makes_another_plan() -> None:
    before = planned("year=1950..1960")
    after = planned("year=1950..1960", Words({"year=1955": 7, "year=1957": 1, "year=1959": 9}))
    assert fingerprint(before) != fingerprint(after)
    assert terms(before) == {5, 6}


def test_a_plan_knows_what_its_answer_depends_on() -> None:
    assert planned("music+year=1950..").by_terms
    assert not planned("name=a").by_terms
    assert not planned("music").uses_clock
    assert planned("added=7d..").uses_clock
    assert not planned("added=2024").uses_clock
