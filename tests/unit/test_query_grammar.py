"""The slot grammar: what is read, how it is written again, and what errors say."""

from __future__ import annotations

import mimetypes
import subprocess
import sys

import pytest

from tagfs.errors import QueryError
from tagfs.mime import types_of_ext
from tagfs.query.grammar import parse_query, slots
from tagfs.query.tree import And, AnyValue, BuiltIn, Not, Or, Range, Tag, TagPrefix, ValuePrefix, format_query


def test_the_example_of_the_design_is_read_as_it_says() -> None:
    assert parse_query("music+flac,mp3+-live+year=1955..1965") == And(
        (Tag("music"), Or((Tag("flac"), Tag("mp3"))), Not(Tag("live")), Range("year", "1955", "1965"))
    )


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("-a,b", Not(Or((Tag("a"), Tag("b"))))),
        ("rock%", TagPrefix("rock")),
        ("ab%25", Tag("ab%")),
        ("ab%25%", TagPrefix("ab%")),
        ("artist=AC%2FDC", Tag("artist=AC/DC")),
        ("artist=AC/DC", Tag("artist=AC/DC")),
        ("a=b=c", Tag("a=b=c")),
        ("a%2Cb", Tag("a,b")),
        ("%2Dlive%", TagPrefix("-live")),
        ("year=..", AnyValue("year")),
        ("year=%", AnyValue("year")),
        ("year=19%", ValuePrefix("year", "19")),
        ("year=1955..", Range("year", "1955", None)),
        ("year=..1955", Range("year", None, "1955")),
        ("year=1955 .. 1965", Range("year", "1955", "1965")),
        ("note=a%2E%2Eb", Tag("note=a..b")),
        ("size=100MB..", Range("size", "100MB", None)),
        ("ext=flac", BuiltIn("ext", "flac")),
        ("from=/home/ann%", ValuePrefix("from", "/home/ann")),
        ("./music", Tag("music")),
        ("cafe\u0301", Tag("caf\u00e9")),
        ("music+music", Tag("music")),
        ("new york", Tag("new york")),
    ],
)
def test_every_form_of_a_term_is_read(text: str, tree: object) -> None:
    assert parse_query(text) == tree


@pytest.mark.parametrize(
    ("text", "at", "why"),
    [
        ("", 0, "empty"),
        ("./", 2, "empty"),
        ("music+", 6, "missing"),
        ("+music", 0, "missing"),
        ("a++b", 2, "missing"),
        ("a,,b", 2, "missing"),
        ("a,", 2, "missing"),
        ("a+-", 3, "missing after the -"),
        ("a+b%zz", 3, "two hex digits"),
        ("a%%", 1, "two hex digits"),
        ("%FF", 0, "UTF-8"),
        ("a+year=", 7, "nothing stands after"),
        ("=5", 0, "nothing stands before"),
        ("year=1..2..3", 9, "only one"),
        ("year=1..2%", 9, "cannot end with %"),
        ("x+Places/Rome", 8, "a / cannot stand"),
        ("size", 0, "every file has it"),
        ("name=", 5, "nothing stands after"),
        (".git", 0, "begins with"),
        ("a+b\x00", 2, "control character"),
        ("a\udcff", 1, "not valid UTF-8"),
        ("a" * 201, 0, "longer than 200 bytes"),
    ],
)
def test_an_error_says_where_and_why(text: str, at: int, why: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(text)
    assert caught.value.at == at
    assert caught.value.query == text
    assert why in caught.value.why


def test_a_query_is_as_long_as_a_directory_name_may_be_unless_a_command_asks() -> None:
    text = "+".join(["ab" * 40] * 20)
    with pytest.raises(QueryError, match="1,024 bytes"):
        parse_query(text)
    assert parse_query(text, max_bytes=None) == Tag("ab" * 40)


def test_slots_tell_single_tags_from_the_rest() -> None:
    found = slots("music+-year=1959+a,b+ext=flac+rock%")
    assert [(slot.tag, slot.excluded) for slot in found] == [
        ("music", False), ("year=1959", True), (None, False), (None, False), (None, False),
    ]  # fmt: skip
    assert [slot.text for slot in found] == ["music", "-year=1959", "a,b", "ext=flac", "rock%"]
    assert [slot.at for slot in found] == [0, 6, 17, 21, 30]


def test_leaves_remember_where_they_stood() -> None:
    tree = parse_query("./music+-b,c")
    assert isinstance(tree, And)
    first, second = tree.parts
    assert isinstance(first, Tag)
    assert isinstance(second, Not)
    assert isinstance(second.part, Or)
    assert [first.at, *(leaf.at for leaf in second.part.parts if isinstance(leaf, Tag))] == [2, 9, 11]


def test_equal_queries_are_written_alike() -> None:
    one = format_query(parse_query("-live+music+mp3,flac+music"))
    other = format_query(parse_query("music+-live+flac,mp3"))
    assert one == other == "flac,mp3+music+-live"


def test_what_the_slots_cannot_say_is_not_written() -> None:
    assert format_query(Or((And((Tag("a"), Tag("b"))), Tag("c")))) is None
    assert format_query(Range("year", "1955", None, above=True)) is None


def test_the_table_of_types_knows_what_python_knows_and_more() -> None:
    table = getattr(mimetypes, "_types_map_default")  # noqa: B009 - private: only to compare with
    assert [ext for ext in table if types_of_ext(ext[1:]) is None] == []
    assert types_of_ext("FLAC") == "audio/flac"
    assert types_of_ext("mkv") == "video/matroska"
    assert types_of_ext("nef") == "image/x-nikon-nef"
    assert types_of_ext("") is None


def test_a_query_is_read_planned_and_run_without_heavy_imports() -> None:
    code = (
        "import sys, tagfs.query.rich, tagfs.query.plan, tagfs.query.run\n"
        "heavy = {'msgspec', 'asyncio', 'numpy', 'mimetypes', 'difflib', 'dataclasses', 'datetime',"
        " 'tagfs.mime', 'tagfs.query.suggest'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert done.returncode == 0
