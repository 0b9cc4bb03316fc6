"""Words of the command line become one query, with the quotes that the shell took away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shell.complete import bash_words, query_parts
from shell.words import joined, quoted
from tagfs.errors import QueryError
from tagfs.query.rich import parse_rich

TAGS = {"rock & roll", "artist=Miles Davis", "not now"}


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ([], ""),
        (["music"], "music"),
        (["music+flac,mp3+-live"], "music+flac,mp3+-live"),
        (["music", "flac"], "music flac"),
        (["music and (flac or mp3)"], "music and (flac or mp3)"),
        (["music", "(flac or mp3)"], "music (flac or mp3)"),
        (["rock & roll"], '"rock & roll"'),
        (["-rock & roll"], '-"rock & roll"'),
        (["not now"], '"not now"'),
        (["not then"], "not then"),
        (["music", "big band"], 'music "big band"'),
        (["big band"], "big band"),
        (["artist=Miles Davis"], 'artist="Miles Davis"'.replace('artist="Miles', '"artist=Miles')),
        (["artist=John Coltrane"], "artist=John Coltrane"),
        (["name=Blue Kitchen.flac"], 'name="Blue Kitchen.flac"'),
        (["name=Blue Ki%"], 'name="Blue Ki"%'),
        (["from=/home/ada/My Music"], 'from="/home/ada/My Music"'),
        (["name=a b and music"], "name=a b and music"),
        (["year", ">=", "1955"], "year >= 1955"),
        (['"big band"', "music"], '"big band" music'),
        (['name=12" single'], 'name=12" single'),
    ],
)
def test_words_are_joined(words: list[str], query: str) -> None:
    assert joined(words, TAGS.__contains__) == query


@given(st.text(min_size=1, max_size=50).filter(str.strip))
def test_quoted_text_is_one_tag_or_refused(text: str) -> None:
    try:
        tree = parse_rich(quoted(text))
    except QueryError:
        return
    assert type(tree).__name__ in ("Tag", "BuiltIn")


@given(st.lists(st.text(max_size=20), max_size=5))
def test_joining_takes_any_words(words: list[str]) -> None:
    joined(words, lambda tag: False)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("mu", ("", "mu")),
        ("music+fl", ("music+", "fl")),
        ("music+-li", ("music+-", "li")),
        ("music,", ("music,", "")),
        ("music year=19", ("music ", "year=19")),
        ("(mu", ("(", "mu")),
        ("", ("", "")),
    ],
)
def test_query_is_cut_before_the_tag_under_the_cursor(text: str, parts: tuple[str, str]) -> None:
    assert query_parts(text) == parts


@pytest.mark.parametrize(
    ("raw", "words", "before", "quote"),
    [
        (["lyts", "find", "mu"], ["lyts", "find", "mu"], "", False),
        (["lyts", "find", "year", "=", "19"], ["lyts", "find", "year=19"], "year=", False),
        (["lyts", "find", "year", "="], ["lyts", "find", "year="], "year=", False),
        (["lyts", "find", "a+year", "=", "1", ""], ["lyts", "find", "a+year=1", ""], "", False),
        (["lyts", "show", "'a b"], ["lyts", "show", "a b"], "", True),
        (["lyts", "show", "a\\ b"], ["lyts", "show", "a b"], "", False),
        (["lyts", "show", ""], ["lyts", "show", ""], "", False),
    ],
)
def test_words_of_bash_are_put_together(raw: list[str], words: list[str], before: str, quote: bool) -> None:
    assert bash_words(raw, len(raw) - 1) == (words, before, quote)
