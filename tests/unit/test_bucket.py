"""Buckets of sizes and days, and sizes and times as people write them."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.bucket import (
    MS_PER_DAY,
    Clock,
    day_of_ms,
    parse_size,
    parse_time,
    size_bucket,
    size_bucket_bounds,
    split_sizes,
    split_times,
    utc_ms,
)

NOW_MS = utc_ms(2024, 3, 1, 0, 30, 0)
UTC = Clock(NOW_MS, utc_ms)


@given(st.integers(0, 1 << 63))
def test_a_size_lies_in_its_bucket(size: int) -> None:
    low, high = size_bucket_bounds(size_bucket(size))
    assert low <= size < high
    assert size_bucket(high) == size_bucket(size) + 1


def test_there_are_four_buckets_to_a_power_of_two() -> None:
    assert [size_bucket(size) for size in range(9)] == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert size_bucket(1 << 21) - size_bucket(1 << 20) == 4


def covered(split: tuple[int, int, tuple[int, ...]], bucket: int) -> str:
    first, last, edges = split
    return "inner" if first <= bucket <= last else "edge" if bucket in edges else "out"


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_a_range_of_sizes_is_inner_buckets_and_two_edges(low: int, high: int) -> None:
    split = split_sizes(low, high)
    for size in range(max(low - 3, 0), high + 300, 7):
        bucket = size_bucket(size)
        first, end = size_bucket_bounds(bucket)
        whole = low <= first and end - 1 <= high
        some = first <= high and low < end and low <= high
        assert covered(split, bucket) == ("inner" if whole else "edge" if some else "out")


@given(st.integers(-5 * MS_PER_DAY, 5 * MS_PER_DAY), st.integers(0, 5 * MS_PER_DAY), st.integers(-10, 10))
def test_a_range_of_times_is_inner_days_and_two_edges(low: int, length: int, day: int) -> None:
    high = low + length
    first, last = day * MS_PER_DAY, (day + 1) * MS_PER_DAY - 1
    expected = "inner" if low <= first and last <= high else "edge" if first <= high and low <= last else "out"
    assert covered(split_times(low, high), day) == expected
    assert day_of_ms(first) == day_of_ms(last) == day


def test_sizes_are_read_as_people_write_them() -> None:
    exact = {
        "100": 100, "0": 0, "100MB": 100_000_000, "1.5GB": 1_500_000_000, "20kB": 20_000, "4KiB": 4096,
        "4kib": 4096, "100m": 100_000_000, "2 GB": 2_000_000_000, "7b": 7, "0.5 KiB": 512,
    }  # fmt: skip
    for text, size_bytes in exact.items():
        size = parse_size(text)
        assert size is not None, text
        assert size.at_least == size.at_most == size_bytes, text


@pytest.mark.parametrize(
    "text", ["", "MB", "1,5MB", "-1", "1.MB", ".5MB", "1.5", "1 B B", "٣MB", "1e3", "1MBB", "9" * 50]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    assert parse_size(text) is None


def test_equal_sizes_with_a_unit_are_those_that_round_to_it() -> None:
    size = parse_size("100MB")
    assert size is not None
    assert (size.first, size.last) == (99_500_000, 100_499_999)
    size = parse_size("1.5GB")
    assert size is not None
    assert (size.first, size.last) == (1_450_000_000, 1_549_999_999)
    size = parse_size("100")
    assert size is not None
    assert (size.first, size.last) == (100, 100)


@given(st.dates(), st.times())
def test_utc_ms_counts_as_the_standard_library_does(date: datetime.date, time: datetime.time) -> None:
    moment = datetime.datetime.combine(date, time.replace(microsecond=0), datetime.UTC)
    expected = (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(milliseconds=1)
    assert utc_ms(*moment.timetuple()[:6]) == expected


def test_a_date_spans_its_period_in_local_time() -> None:
    east = Clock(NOW_MS, lambda *moment: utc_ms(*moment) - 2 * 3_600_000)
    time = parse_time("2024-02", east)
    assert time is not None
    assert time.first == utc_ms(2024, 1, 31, 22, 0, 0)
    assert time.last == utc_ms(2024, 2, 29, 22, 0, 0) - 1
    assert not time.relative


@pytest.mark.parametrize(
    ("hours", "today"), [(0, (2024, 3, 1)), (-1, (2024, 2, 29)), (14, (2024, 3, 1)), (-12, (2024, 2, 29))]
)
def test_today_is_the_local_calendar_day(hours: int, today: tuple[int, int, int]) -> None:
    clock = Clock(NOW_MS, lambda *moment: utc_ms(*moment) - hours * 3_600_000)
    time = parse_time("today", clock)
    assert time is not None
    assert time.relative
    assert time.first == clock.local_ms(*today, 0, 0, 0)
    assert time.last == time.first + MS_PER_DAY - 1


def test_days_back_end_ranges_at_that_day_and_reach_until_today_by_themselves() -> None:
    time = parse_time("7d", UTC)
    assert time is not None
    assert time.at_least == utc_ms(2024, 2, 23, 0, 0, 0)
    assert time.at_most == utc_ms(2024, 2, 24, 0, 0, 0) - 1
    assert (time.first, time.last) == (time.at_least, utc_ms(2024, 3, 2, 0, 0, 0) - 1)
    assert parse_time("1w", UTC) == time
    yesterday = parse_time("yesterday", UTC)
    assert yesterday is not None
    assert yesterday.last == utc_ms(2024, 3, 1, 0, 0, 0) - 1


@pytest.mark.parametrize("text", ["", "d", "tomorrow", "2024-13", "7y", "999999999d", "-1d", "٣d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    assert parse_time(text, UTC) is None
