"""Sizes and times as terms: ranges become unions of a few sets and an exact look at the edges.

A file has one term for the bucket of its size and one for the day (UTC) of each time.
Buckets are four to a power of two, so that all sizes up to an exabyte have 236 of
them, and those up to 7 bytes one each. A range is the buckets that lie wholly within,
plus at most two at its edges, whose files are looked at one by one.

Also here: what a person may write for a size (`100MB`) or a day (`2019-05`, `today`,
`7d`). The time and the time zone are arguments (`Clock`); nothing in here reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tagfs.value import Moment, period_of

MS_PER_DAY = 86_400_000
MAX_SIZE_BYTES = (1 << 63) - 1
MIN_MS = -((1 << 63) // 1_000_000) + 1  # so that nanoseconds still fit 64 bits
MAX_MS = ((1 << 63) - 1) // 1_000_000 - 1

_UNITS = {"": 1}
for _power, _letter in enumerate("kmgtpe", start=1):
    _UNITS[_letter] = 1000**_power
    _UNITS[_letter + "i"] = 1024**_power


# -- buckets -------------------------------------------------------------------


def size_bucket(size_bytes: int) -> int:
    """The bucket of a size: four to a power of two, and one each for 0 to 7 bytes. Never falls as sizes grow."""
    if size_bytes < 8:
        return max(size_bytes, 0)
    power = size_bytes.bit_length() - 1
    return 8 + (power - 3) * 4 + ((size_bytes >> (power - 2)) & 3)


def size_bucket_bounds(bucket: int) -> tuple[int, int]:
    """The smallest size in a bucket, and the smallest that is too large for it."""
    if bucket < 8:
        return bucket, bucket + 1
    power, quarter = divmod(bucket - 8, 4)
    return (4 + quarter) << (power + 1), (5 + quarter) << (power + 1)


def day_of_ms(ms: int) -> int:
    """Days since 1970-01-01 UTC; negative before."""
    return ms // MS_PER_DAY


def day_bounds(day: int) -> tuple[int, int]:
    """First millisecond of a day, and first of the next."""
    return day * MS_PER_DAY, (day + 1) * MS_PER_DAY


class Split(NamedTuple):
    """A range in buckets: `first`..`last` lie wholly within (none if `first > last`); `edges` only partly."""

    first: int
    last: int
    edges: tuple[int, ...]


def _split(low: int, high: int, bucket_of: Callable[[int], int], bounds: Callable[[int], tuple[int, int]]) -> Split:
    if low > high:
        return Split(0, -1, ())
    first, last = bucket_of(low), bucket_of(high)
    cut_low = bounds(first)[0] < low
    cut_high = bounds(last)[1] - 1 > high
    if first == last:
        return Split(first + 1, first, (first,)) if cut_low or cut_high else Split(first, last, ())
    edges = ((first,) if cut_low else ()) + ((last,) if cut_high else ())
    return Split(first + cut_low, last - cut_high, edges)


def split_sizes(low_bytes: int, high_bytes: int) -> Split:
    """The buckets of the sizes from `low_bytes` to `high_bytes`, both within."""
    return _split(max(low_bytes, 0), high_bytes, size_bucket, size_bucket_bounds)


def split_times(low_ms: int, high_ms: int) -> Split:
    """The days of the times from `low_ms` to `high_ms`, both within."""
    return _split(low_ms, high_ms, day_of_ms, day_bounds)


# -- sizes as written ----------------------------------------------------------


class Size(NamedTuple):
    """A size as written. As an end of a range it is exact: `at_least` and `at_most` bytes.

    With `=` it means all sizes that would be rounded to it: `first`..`last`.
    """

    at_least: int
    at_most: int
    first: int
    last: int


def parse_size(text: str) -> Size | None:
    """The size that `text` means, else None: `100`, `1.5GB`, `20 kB`, `4KiB`, `100m`; the `B` and case do not count.

    Bytes are exact. With a unit, `=` takes what rounds to the digits written: `100MB`
    is 99.5 MB up to, but without, 100.5 MB, and `1.5GB` is 1.45 to 1.55 GB.
    """
    # casefold would turn the Kelvin sign into a k; and thirty digits are enough for everyone
    text = text.strip()
    if not text.isascii() or len(text) > 40:
        return None
    text = text.lower()
    digits = text.rstrip("bikmgtpe ")
    unit = text[len(digits) :].strip().removesuffix("b")
    whole, dot, fraction = digits.partition(".")
    if not whole.isdigit() or (dot and not fraction.isdigit()) or unit not in _UNITS:
        return None
    factor = _UNITS[unit]
    scale = 10 ** len(fraction)
    exact = int(whole + fraction) * factor  # in parts of a byte: divided by scale
    at_most = exact // scale
    at_least = -(-exact // scale)
    if factor == 1:
        if dot:
            return None  # there is no half byte
        return Size(at_least, at_most, at_least, at_most)
    first = -(-(2 * exact - factor) // (2 * scale))
    last = -(-(2 * exact + factor) // (2 * scale)) - 1
    return Size(at_least, at_most, max(first, 0), last)


# -- times as written ----------------------------------------------------------


class Clock(NamedTuple):
    """The time, and how the local time zone counts: both arguments, so that answers can be repeated.

    `local_ms(year, month, day, hour, minute, second)` is that local time in
    milliseconds since 1970-01-01 UTC.
    """

    now_ms: int
    local_ms: Callable[[int, int, int, int, int, int], int]


def _days_before(year: int, month: int, day: int) -> int:
    # Howard Hinnant, "chrono-compatible low-level date algorithms": days_from_civil
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def _date_of_day(day: int) -> tuple[int, int, int]:
    # the same paper: civil_from_days
    era, day_of_era = divmod(day + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def utc_ms(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    """A `local_ms` for those who live in UTC."""
    return _days_before(year, month, day) * MS_PER_DAY + (hour * 3600 + minute * 60 + second) * 1000


def _today(clock: Clock) -> int:
    """The number of the local calendar day, in days since 1970-01-01."""
    # The local date is the UTC date or a neighbour of it (zones reach from -12 to +14 hours).
    day = day_of_ms(clock.now_ms) + 1
    while clock.local_ms(*_date_of_day(day), 0, 0, 0) > clock.now_ms:
        day -= 1
    return day


class Time(NamedTuple):
    """A time as written: as an end of a range `at_least`..`at_most`, with `=` `first`..`last`; milliseconds.

    `relative` is set when it means another time tomorrow.
    """

    at_least: int
    at_most: int
    first: int
    last: int
    relative: bool


def parse_time(text: str, clock: Clock) -> Time | None:
    """The time that `text` means, else None: an ISO date, `today`, `yesterday`, `7d`, `2w`.

    A date spans its whole period in local time. `7d` is the calendar day a week ago when it
    ends a range (`7d..` the last seven days, `..7d` older), and with `=` all from that
    day until the end of today.
    """
    period = period_of(text)
    if period is not None:
        first, last = _ms(clock, period[0]), _ms(clock, period[1]) + 999
        return Time(first, last, first, last, False)
    word = text.lower()
    if word == "today":
        back = 0
    elif word == "yesterday":
        back = 1
    elif word[-1:] in ("d", "w") and word[:-1].isascii() and word[:-1].isdigit() and len(word) <= 6:
        back = int(word[:-1]) * (7 if word[-1] == "w" else 1)
    else:
        return None
    today = _today(clock)
    if today - back < _days_before(1, 1, 1):
        return None  # before the calendar begins
    date = _date_of_day(today - back)
    first, last = _ms(clock, (*date, 0, 0, 0)), _ms(clock, (*date, 23, 59, 59)) + 999
    until = _ms(clock, (*_date_of_day(today), 23, 59, 59)) + 999
    return Time(first, last, first, last if word.isalpha() else until, True)


def _ms(clock: Clock, moment: Moment) -> int:
    return min(max(clock.local_ms(*moment), MIN_MS), MAX_MS - 999)
