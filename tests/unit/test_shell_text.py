"""Text for people: harmless, aligned, readable."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shell.output import read_numbers
from shell.text import (
    count_text,
    cut,
    date_text,
    harmless,
    listed,
    local_ms,
    one_line,
    size_text,
    table,
    utc_text,
    width,
)
from tagfs.bucket import utc_ms

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text())
def test_nothing_that_moves_or_turns_the_text_stays(text: str) -> None:
    shown = harmless(text)
    assert not any(unicodedata.category(ch) in ("Cc", "Zl", "Zp", "Cs") for ch in shown)
    assert not any(ch in BIDI for ch in shown)
    shown.encode("utf-8")


@given(st.text())
def test_a_piped_name_is_one_line(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert "\x1b" not in line
    line.encode("utf-8")


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S", "Zs"))))
def test_visible_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == one_line(text) == text


@given(st.binary())
def test_names_of_any_bytes_can_be_shown(raw: bytes) -> None:
    harmless(raw.decode("utf-8", "surrogateescape")).encode("utf-8")


def test_bytes_that_are_no_text_are_shown_as_bytes() -> None:
    assert harmless(b"caf\xe9".decode("utf-8", "surrogateescape")) == "caf\\xe9"


def test_width_counts_columns() -> None:
    assert width("abc") == 3
    assert width("日本") == 4
    assert width("e\u0301") == 1
    assert cut("abcdef", 4) == "abc…"
    assert cut("日本語", 4) == "日…"
    assert cut("abc", 3) == "abc"


def test_table_aligns_wide_characters() -> None:
    assert table([["日本", "1"], ["a", "22"]], right=(1,)) == ["日本   1", "a     22"]
    assert table([]) == []


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_949, "99.9 kB"), (99_950, "100 kB"), (999_949, "1000 kB"),
     (999_950, "1.0 MB"), (4_213_112, "4.2 MB"), (10**9, "1.0 GB"), (10**21, "1000 EB")],
)  # fmt: skip
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


def test_counts_and_lists() -> None:
    assert count_text(1, "file") == "1 file"
    assert count_text(2140, "file") == "2,140 files"
    assert count_text(2, "was", "were") == "2 were"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize("year", [1, 2, 99, 1582, 1799, 1899, 1900, 1969, 1970, 2026, 2038, 2106, 9999])
def test_local_time_takes_every_year(year: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        for moment in ((year, 1, 1, 0, 0, 0), (year, 7, 1, 2, 30, 0), (year, 12, 31, 23, 59, 59)):
            assert abs(local_ms(*moment) - utc_ms(*moment)) <= 14 * 3_600_000
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def test_local_time_that_the_system_cannot_say_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(_: object) -> float:
        raise OverflowError

    monkeypatch.setattr(time, "mktime", cannot)
    assert local_ms(2026, 1, 1, 0, 0, 0) == utc_ms(2026, 1, 1, 0, 0, 0)


@given(st.integers(-(10**15), 10**15))
def test_dates_never_fail(ms: int) -> None:
    date_text(ms)
    utc_text(ms * 1_000_000)


def test_utc_text_is_what_facts_have() -> None:
    from tagfs.fact import time_text

    for ns in (0, 1, 1_764_000_000_123_000_000, 1_700_000_000_000_000_000, -1):
        assert utc_text(ns) == time_text(ns)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1", [0]), ("1,3", [0, 2]), ("2-4", [1, 2, 3]), ("3 1", [0, 2]), ("all", [0, 1, 2, 3, 4]), ("5,5", [4]),
     ("0", None), ("6", None), ("3-2", None), ("a", None), ("1-", None), ("-1", None), (",", None), ("²", None)],
)  # fmt: skip
def test_numbers_of_a_choice(text: str, numbers: list[int] | None) -> None:
    assert read_numbers(text, 5) == numbers
