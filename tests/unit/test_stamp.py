from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.stamp import MAX_DRAG_MS, STAMP_LENGTH, Clock, Node8, is_stamp, make_stamp, ms_of, node_of, when_of

NODE = Node8("1a2b3c4d")
NOW_MS = 1_764_000_000_000
LAST_MS = 253_402_300_799_999  # of the year 9999

whens = st.integers(1, (LAST_MS << 16) + 0xFFFF)
nodes = st.integers(0, (1 << 32) - 1).map(lambda n: f"{n:08x}")


@given(whens, nodes)
def test_a_stamp_says_when_and_by_whom(when: int, node: str) -> None:
    stamp = make_stamp(when, node)
    assert is_stamp(stamp)
    assert len(stamp) == STAMP_LENGTH
    assert (when_of(stamp), node_of(stamp), ms_of(stamp)) == (when, node, when >> 16)


@given(st.tuples(whens, nodes), st.tuples(whens, nodes))
def test_stamps_sort_as_text_by_time_then_counter_then_node(one: tuple[int, str], two: tuple[int, str]) -> None:
    assert (make_stamp(*one) < make_stamp(*two)) == (one < two)


def test_a_stamp_reads_as_in_the_paper() -> None:
    at = "20261122T101056.123Z-0002-1a2b3c4d"
    assert make_stamp(when_of(at), "1a2b3c4d") == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20261122T101056.123Z-0002-1a2b3c4",
        "20261122T101056.123Z-0002-1a2b3c4d ",
        "20261122T101056.123Z-0002-1a2b3c4d\n",
        "20261122T101056.123Z-0002-1A2B3C4D",
        "20261122T101056.123Z-00G2-1a2b3c4d",
        "20261122T101056,123Z-0002-1a2b3c4d",
        "20261122T240000.000Z-0000-1a2b3c4d",
        "20261122T101060.123Z-0002-1a2b3c4d",
        "20260229T101056.123Z-0002-1a2b3c4d",
        "20261301T101056.123Z-0002-1a2b3c4d",
        "19691231T235959.999Z-0000-1a2b3c4d",
        "00000101T000000.000Z-0000-1a2b3c4d",
        "٢٠٢٦١١٢٢T101056.123Z-0002-1a2b3c4d",
        # The one moment whose number is 0, which means "none" wherever numbers are kept.
        "19700101T000000.000Z-0000-1a2b3c4d",
    ],
)
def test_what_is_no_stamp_is_not_taken_for_one(text: str) -> None:
    assert not is_stamp(text)


@given(st.text())
def test_any_text_can_be_asked_whether_it_is_a_stamp(text: str) -> None:
    if is_stamp(text):
        assert make_stamp(when_of(text), node_of(text)) == text


def test_the_clock_never_stands_still_or_goes_back() -> None:
    clock = Clock(NODE)
    stamps = [clock.tick(ms) for ms in (NOW_MS, NOW_MS, NOW_MS - 5_000, 0, NOW_MS + 1)]
    assert stamps == sorted(set(stamps))
    assert ms_of(stamps[-1]) == NOW_MS + 1


def test_a_full_counter_runs_over_into_the_next_millisecond() -> None:
    clock = Clock(NODE, (NOW_MS << 16) + 0xFFFE)
    assert clock.tick(NOW_MS)[20:25] == "-ffff"
    after = clock.tick(NOW_MS)
    assert (ms_of(after), after[20:25]) == (NOW_MS + 1, "-0000")
    assert clock.tick(NOW_MS) > after


def test_a_fact_follows_all_that_was_known_about_its_file() -> None:
    clock = Clock(NODE)
    known = (NOW_MS + 3_600_000) << 16
    assert when_of(clock.tick(NOW_MS, known)) == known + 1
    assert when_of(clock.tick(NOW_MS)) == known + 2  # within a day the clock goes along


def test_others_drag_the_clock_by_a_day_at_most() -> None:
    clock = Clock(NODE)
    clock.observe((NOW_MS + MAX_DRAG_MS) << 16, NOW_MS)
    assert clock.last >> 16 == NOW_MS + MAX_DRAG_MS
    clock = Clock(NODE)
    clock.observe((NOW_MS + MAX_DRAG_MS + 1) << 16, NOW_MS)
    assert clock.last == 0


def test_a_fact_from_far_ahead_is_followed_but_does_not_drag_the_clock() -> None:
    clock = Clock(NODE)
    far = (NOW_MS + 400 * MAX_DRAG_MS) << 16
    assert when_of(clock.tick(NOW_MS, far)) == far + 1
    assert ms_of(clock.tick(NOW_MS)) == NOW_MS


def test_a_fact_from_the_end_of_all_time_stops_no_clock() -> None:
    clock = Clock(NODE)
    end = (LAST_MS << 16) + 0xFFFF
    assert is_stamp(clock.tick(NOW_MS, end))
    assert ms_of(clock.tick(NOW_MS)) == NOW_MS


@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 1 << 36)), max_size=30))
def test_every_tick_is_later_than_the_one_before_and_than_what_it_follows(steps: list[tuple[int, int]]) -> None:
    clock, last = Clock(NODE), ""
    for wall_ms, after in steps:
        stamp = clock.tick(wall_ms, after)
        assert when_of(stamp) > after
        if when_of(stamp) == clock.last:
            assert stamp > last
            last = stamp
