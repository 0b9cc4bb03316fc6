"""The form with parentheses, comparisons and quotes."""

from __future__ import annotations

import pytest

from tagfs.errors import QueryError
from tagfs.query.grammar import parse_query
from tagfs.query.rich import format_rich, parse_rich
from tagfs.query.tree import And, AnyValue, BuiltIn, Not, Or, Range, Tag, Tree, without

MUSIC, FLAC, MP3, LIVE = Tag("music"), Tag("flac"), Tag("mp3"), Tag("live")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("music and (flac or mp3) not live", And((MUSIC, Or((FLAC, MP3)), Not(LIVE)))),
        ("music (flac OR mp3) AND NOT live", And((MUSIC, Or((FLAC, MP3)), Not(LIVE)))),
        ("music or flac live", Or((MUSIC, And((FLAC, LIVE))))),
        ("not music flac", And((Not(MUSIC), FLAC))),
        ("not (music flac)", Not(And((MUSIC, FLAC)))),
        ("not not music", MUSIC),
        ("not -music", MUSIC),
        ("music+flac mp3,live", And((MUSIC, FLAC, Or((MP3, LIVE))))),
        ("year>=1955", Range("year", "1955", None)),
        ("year > 1955", Range("year", "1955", None, above=True)),
        ("year<=1960", Range("year", None, "1960")),
        ("year<1960 music", And((Range("year", None, "1960", below=True), MUSIC))),
        ("year!=1959", Not(Tag("year=1959"))),
        ("-year!=1959", Tag("year=1959")),
        ("music+year!=1959", And((MUSIC, Not(Tag("year=1959"))))),
        ("year!=..", Not(AnyValue("year"))),
        ("year = 1959", Tag("year=1959")),
        ("music+year>=1955,live", And((MUSIC, Or((Range("year", "1955", None), LIVE))))),
        ("size>100MB", Range("size", "100MB", None, above=True)),
        ('"rock & roll"', Tag("rock & roll")),
        ('"and"', Tag("and")),
        ('"a+b,c%"', Tag("a+b,c%")),
        ('artist="AC/DC, live + loud = 1"', Tag("artist=AC/DC, live + loud = 1")),
        ('"artist=AC/DC, live"', Tag("artist=AC/DC, live")),
        ('"year=1..2"', Tag("year=1..2")),
        ('"name=two words.txt"', BuiltIn("name", "two words.txt")),
        ('name="two words.txt"', BuiltIn("name", "two words.txt")),
        ('-"new york"', Not(Tag("new york"))),
        ('music+"new york",live', And((MUSIC, Or((Tag("new york"), LIVE))))),
        ('title="a".."b c"', Range("title", "a", "b c")),
        ('year>="1955"', Range("year", "1955", None)),
        (r'"say \"hi\" \\ \n"', Tag('say "hi" \\ \\n')),
        ('7"single', Tag('7"single')),
        ("./music", MUSIC),
        ("(((music)))", MUSIC),
    ],
)
def test_every_form_is_read(text: str, tree: Tree) -> None:
    assert parse_rich(text) == tree
    assert parse_rich(format_rich(tree)) == tree


@pytest.mark.parametrize(
    ("text", "at", "why"),
    [
        ("", 0, "empty"),
        ("   ", 0, "empty"),
        ("music and", 9, "missing here after 'and'"),
        ("or music", 0, "missing here"),
        ("music (flac", 6, "never closed"),
        ("music) flac", 5, "closes nothing"),
        ("()", 1, "missing"),
        ('music "flac', 6, "never closed"),
        ('music ""', 6, "nothing stands between the quotes"),
        ("a year>", 7, "nothing stands after the >"),
        ("a year>1<2", 7, "one comparison"),
        ("a year>=1..2", 8, "range cannot follow"),
        ("a b,year!=1", 4, "cannot stand beside"),
        ('a "b/c" d++e', 10, "missing"),
        (">5", 0, "nothing stands before"),
    ],
)
def test_an_error_points_into_what_was_typed(text: str, at: int, why: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_rich(text)
    assert (caught.value.at, caught.value.query) == (at, text)
    assert why in caught.value.why


def test_deep_nesting_is_an_error_and_long_chains_are_none() -> None:
    with pytest.raises(QueryError, match="nested"):
        parse_rich("(" * 100_000)
    assert parse_rich("not " * 10_001 + "a") == without(Tag("a"))
    assert isinstance(parse_rich(" or ".join(f"t{n}" for n in range(5000))), Or)


def test_words_of_the_slot_grammar_mean_the_same() -> None:
    for text in ("music+flac,mp3+-live", "year=1955..1965", "rock%", "artist=AC%2FDC", "-a,b", "from=/home/ann%"):
        assert parse_rich(text) == parse_query(text)
