from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.errors import BadTag
from tagfs.tag import (
    BUILT_IN_KEYS,
    check_tag,
    escape,
    escape_tag,
    given_tags,
    parse_tag_list,
    split_tag,
    unescape,
)


def tag_or_none(text: str) -> str | None:
    try:
        return check_tag(text)
    except BadTag:
        return None


tags = st.text(min_size=1, max_size=40).map(tag_or_none).filter(lambda tag: tag is not None)


@pytest.mark.parametrize(
    "text",
    [
        "music",
        "year=1959",
        "artist=AC/DC",
        "a,b",
        "100%",
        "a+b",
        "Ünïcode",
        "日本",
        "two words",
        "x=y=z",
        "x=-1",
        "x=.5",
        "üa" * 66,
        "👨‍👩‍👧",
    ],
)
def test_a_tag_may_be_any_text(text: str) -> None:
    assert check_tag(text) == text


def test_a_tag_is_kept_in_nfc() -> None:
    assert check_tag("Ko\u0308ln") == "Köln"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("=1959", "before the ="),
        ("year=", "after the ="),
        (" music", "blank"),
        ("music ", "blank"),
        ("year =1959", "blank"),
        ("year= 1959", "blank"),
        ("\u00a0music", "blank"),
        ("-live", "begins with '-'"),
        (".hidden", "begins with '.'"),
        ("new\nline", "control"),
        ("nul\0", "control"),
        ("del\x7f", "control"),
        ("c1\x85", "control"),
        ("line\u2028separator", "control"),
        ("lone\ud800surrogate", "control"),
        ("x" * 201, "200 bytes"),
        ("ü" * 101, "200 bytes"),
        ("k=" + "v" * 199, "200 bytes"),
        *[(key, "always there") for key in BUILT_IN_KEYS],
        ("size=5", "always there"),
    ],
)
def test_what_cannot_be_a_tag_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(BadTag, match=why):
        check_tag(text)


def test_a_tag_of_200_bytes_is_the_longest() -> None:
    assert check_tag("x" * 200)
    assert check_tag("ü" * 100)


@given(st.text())
def test_checking_a_tag_is_done_once_for_all(text: str) -> None:
    tag = tag_or_none(text)
    if tag is not None:
        assert check_tag(tag) == tag
        assert unicodedata.is_normalized("NFC", tag)


@given(tags)
def test_a_tag_written_in_a_query_is_read_as_itself(tag: str) -> None:
    written = escape_tag(tag)
    key, eq, value = written.partition("=")
    assert unescape(key) + eq + unescape(value) == tag
    assert "/" not in written
    assert "," not in written
    assert "+" not in written
    assert ".." not in value


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.sampled_from(["", " ", "ü"]))
def test_escaping_is_undone_by_unescaping(text: str, also: str) -> None:
    assert unescape(escape(text, also)) == text


@given(tags)
def test_a_list_of_one_escaped_tag_is_that_tag(tag: str) -> None:
    assert parse_tag_list(escape_tag(tag)) == [tag]


@pytest.mark.parametrize("text", ["%", "%2", "100%", "%zz", "%+1", "% 1", "%2\u0665", "%FF", "%C3"])
def test_a_percent_sign_needs_two_hex_digits_that_spell_utf8(text: str) -> None:
    with pytest.raises(ValueError):
        unescape(text)


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("music,flac", ["music", "flac"]),
        (" music , flac ,", ["music", "flac"]),
        ("music,music", ["music"]),
        ("artist=AC%2FDC", ["artist=AC/DC"]),
        ("a%2Cb", ["a,b"]),
        ("Places/Rome", ["Places", "Rome"]),
        ("Places%2FRome", ["Places/Rome"]),
        ("artist=AC/DC", ["artist=AC/DC"]),
    ],
)
def test_a_list_of_tags_is_read(text: str, tags: list[str]) -> None:
    assert parse_tag_list(text) == tags


@pytest.mark.parametrize("text", ["", ",", " , ", "%", "a,%zz", "-x"])
def test_a_bad_list_of_tags_is_refused(text: str) -> None:
    with pytest.raises(BadTag):
        parse_tag_list(text)


def test_a_path_of_tags_gives_each_of_them() -> None:
    assert given_tags("Places/Italy/Rome") == ["Places", "Italy", "Rome"]
    assert given_tags("/Places//Rome/") == ["Places", "Rome"]
    with pytest.raises(BadTag):
        given_tags("/")
    with pytest.raises(BadTag):
        given_tags("a/b=c")


def test_a_tag_is_split_at_its_first_equals_sign() -> None:
    assert split_tag("a=b=c") == ("a", "b=c")
    assert split_tag("a") == ("a", None)
