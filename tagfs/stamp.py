"""Stamps: readings of a hybrid logical clock, written so that they sort as text.

    20261122T101056.123Z-0002-1a2b3c4d
    UTC milliseconds     |    the node's first 8 hex digits
                         counter, 4 hex digits, overflowing into the next millisecond

Fixed width, so comparing the text compares time, then counter, then node. One clock
serves all processes of a node: it is read and advanced under the store's lock, and
its last reading is kept by the index (and found again from the node's own ledger).

A `when` is the time part as one number, `milliseconds << 16 | counter`; the index
keeps it instead of the text. Wall time is an argument everywhere.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import NewType

Stamp = NewType("Stamp", str)
Node8 = str
"""The first 8 hex digits of a node's GUID, as stamps carry them."""

STAMP_LENGTH = 34
MAX_DRAG_MS = 24 * 3600 * 1000
"""How far readings of others may pull a node's clock past its own wall clock."""

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_WHEN_ZERO = "19700101T000000.000Z-0000-"
_MAX_WHEN = (253402300800000 << 16) - 1  # the last millisecond of the year 9999
_FORM = re.compile(r"(\d{8})T([01]\d|2[0-3])([0-5]\d)([0-5]\d)\.(\d{3})Z-([0-9a-f]{4})-[0-9a-f]{8}\Z", re.ASCII)


@lru_cache(maxsize=4096)
def _day_ms(digits: str) -> int:
    """Milliseconds at the start of the day `YYYYMMDD`. ValueError where there is no such day."""
    day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).toordinal()
    if day < _EPOCH_DAY:
        raise ValueError(f"{digits} is before 1970")
    return (day - _EPOCH_DAY) * 86_400_000


@lru_cache(maxsize=4096)
def _day_digits(day: int) -> str:
    return date.fromordinal(day + _EPOCH_DAY).strftime("%Y%m%d").rjust(8, "0")


def is_stamp(text: str) -> bool:
    """Whether `text` is a stamp, its day one of the calendar. Its `when` is never 0: numbers say "none" with that."""
    found = _FORM.match(text)
    if found is None or text.startswith(_WHEN_ZERO):
        return False
    try:
        _day_ms(found.group(1))
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def _ms_text(ms: int) -> str:
    day, rest = divmod(ms, 86_400_000)
    seconds, millis = divmod(rest, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_day_digits(day)}T{hour:02d}{minute:02d}{second:02d}.{millis:03d}Z"


def make_stamp(when: int, node: str) -> Stamp:
    """The stamp of a `when` at the node with these 8 hex digits."""
    return Stamp(f"{_ms_text(when >> 16)}-{when & 0xFFFF:04x}-{node}")


@lru_cache(maxsize=16_384)
def when_of(stamp: str) -> int:
    """The `when` of a stamp. ValueError where the text is none."""
    return (
        _day_ms(stamp[:8])
        + int(stamp[9:11]) * 3_600_000
        + int(stamp[11:13]) * 60_000
        + int(stamp[13:15]) * 1000
        + int(stamp[16:19])
    ) << 16 | int(stamp[21:25], 16)


def ms_of(stamp: str) -> int:
    """Milliseconds since 1970 of a stamp."""
    return when_of(stamp) >> 16


def node_of(stamp: str) -> Node8:
    """The 8 hex digits of the node that made the stamp."""
    return stamp[26:]


class Clock:
    """One node's hybrid logical clock.

    `last` is the newest `when` this node has given or taken note of. Not thread-safe:
    it lives inside the store's lock.
    """

    def __init__(self, node: Node8, last: int = 0) -> None:
        self.node = node
        self.last = last

    def observe(self, when: int, wall_ms: int) -> None:
        """Take note of another node's reading, unless it lies too far ahead of our wall clock."""
        if when > self.last and (when >> 16) <= wall_ms + MAX_DRAG_MS:
            self.last = when

    def tick(self, wall_ms: int, after: int = 0) -> Stamp:
        """A new stamp, later than all this clock gave and than `after`.

        `after` is the newest `when` known about the same file or tag. When it lies
        more than a day ahead of our wall clock the stamp still follows it, but the
        clock itself stays where it is (facts.md, Stamps).
        """
        own = max(wall_ms << 16, self.last + 1)
        if after < own:
            self.last = own
            return make_stamp(own, self.node)
        when = min(after + 1, _MAX_WHEN)
        self.observe(when, wall_ms)
        return make_stamp(when, self.node)
