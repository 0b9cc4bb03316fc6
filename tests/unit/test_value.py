"""The order of values, and what a range of them means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.value import number_of, period_of, prefix_spans, value_key, value_range

VALUES = st.one_of(
    st.integers(-3000, 3000).map(str),
    st.sampled_from(["-0", "0", "0.0", "1.5", "-1.50", "007", "1e5", "nan", "inf", "1_000", "٣", "0x1", "9" * 400]),
    st.sampled_from(
        ["2019", "2019-05", "2019-05-03", "2019-05-03T10:00", "2019-05-03T10:00:00", "2019-13", "2020-02-29"]
    ),
    st.text(alphabet="ab9-:.T", min_size=1, max_size=6),
)


def within(text: str, low: str | None, high: str | None, **open_ends: bool) -> bool:
    return value_range(low, high, **open_ends).matches(text)


def test_numbers_are_plain_decimals_only() -> None:
    assert number_of("-12.50") == -12.5
    for text in ("nan", "inf", "1e5", "0x10", "1_000", "٣", "+1", ".5", "5.", "", "-", " 1", "9" * 400):
        assert number_of(text) is None, text


def test_numbers_come_first_and_by_size() -> None:
    ordered = ["-10", "-2.5", "-0", "0", "0.0", "1", "9", "10", "10.5", "1e3", "Bach", "bach", "é"]
    assert sorted(ordered, key=value_key) == ordered


@given(VALUES, VALUES)
def test_different_values_have_different_keys(one: str, other: str) -> None:
    assert (value_key(one) == value_key(other)) == (one == other)


@pytest.mark.parametrize("text", ["2019-13", "2019-00", "2019-02-29", "0000", "2019-1", "19-01-01", "2019-05-03T24:00"])
def test_what_does_not_exist_is_no_date(text: str) -> None:
    assert period_of(text) is None


def test_a_short_date_spans_its_whole_period() -> None:
    assert period_of("2020-02") == ((2020, 2, 1, 0, 0, 0), (2020, 2, 29, 23, 59, 59))
    assert period_of("2020-02-29T10:30") == ((2020, 2, 29, 10, 30, 0), (2020, 2, 29, 10, 30, 59))
    assert within("2019-05-31", "2019-05", "2019-06-01")
    assert not within("2019", "2019-05", "2019-12")
    assert within("2019", "2019-01", "2019-12")
    assert within("2018", "2017-06", None)


def test_ranges_between_numbers_see_numbers_only() -> None:
    assert within("1960", "1955", "1965")
    assert within("7.0", "7", "7")
    assert not within("1960-05", "19", "21")
    assert not within("many", "1", None)


def test_ranges_between_years_see_dates_too() -> None:
    assert within("1960-05", "1955", "1965")
    assert within("1965-12-31", "1955", "1965")
    assert not within("1966-01", "1955", "1965")
    assert within("2019-05-03", "2019", None)
    assert not within("2019-05-03", "2019", None, above=True)
    assert not within("20190503", "2018", "2019")


def test_text_ranges_take_in_what_begins_with_the_high_end() -> None:
    assert within("Bach", "A", "B")
    assert not within("Chopin", "A", "B")
    assert within("311", None, "B")  # a number is text among texts


def test_comparisons_leave_out_the_end_itself() -> None:
    assert not within("1955", "1955", None, above=True)
    assert within("1956", "1955", None, above=True)
    assert not within("2019-05-03", "2019-05", None, above=True)
    assert not within("Bach", "B", None, above=True)
    assert not within("B", None, "B", below=True)


@pytest.mark.parametrize(("low", "high"), [("9", "1"), ("2019-05", "2019-04"), ("b", "a")])
def test_a_range_the_wrong_way_round_is_known_as_such(low: str, high: str) -> None:
    assert value_range(low, high).backwards
    assert not value_range(high, low).backwards


@given(VALUES, st.none() | VALUES, st.none() | VALUES, st.sampled_from(["", "above", "below"]))
def test_no_value_that_matches_lies_outside_the_spans(value: str, low: str | None, high: str | None, end: str) -> None:
    wanted = value_range(low, high, above=end == "above", below=end == "below")
    if wanted.matches(value):
        key = value_key(value)
        assert any(first <= key and (below is None or key < below) for first, below in wanted.spans)


@given(VALUES, VALUES, st.integers(0, 6))
def test_no_value_that_begins_so_lies_outside_the_spans(value: str, other: str, length: int) -> None:
    for prefix in (value[:length], other[:length]):
        if value.startswith(prefix):
            key = value_key(value)
            assert any(first <= key and (below is None or key < below) for first, below in prefix_spans(prefix))
