"""Values of tags: in which order they are kept, and which of them a range means.

`year=1959`, `taken=2019-05`, `artist=Bach`: a value is text, always, and is never
changed to look like something else. `value_key` gives it a place in one order in
which numbers come first, by size, and all other text after them, by its bytes. A
range is then one or two walks through that order (`spans`, never too narrow) and an
exact test of each value met (`matches`, which alone decides).

Numbers are plain decimals (`-3`, `12.50`); `1e5`, `0x10`, `1_000`, `nan` and digits
of other scripts are text. Two numbers are compared as IEEE doubles: beyond 15 digits
neighbours may count as equal.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

NUMBER = b"\x01"
TEXT = b"\x02"
# No byte of UTF-8 is 0xFF: behind a text's bytes it comes after all that begin with them.
AFTER = b"\xff"

Moment = tuple[int, int, int, int, int, int]  # year, month, day, hour, minute, second
Period = tuple[Moment, Moment]  # first and last second, both within
Span = tuple[bytes, bytes | None]  # from this key on, below that one; None: to the end

_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DOUBLE = struct.Struct(">d")
_BITS = struct.Struct(">Q")


def number_of(text: str) -> float | None:
    """The number that `text` spells in plain decimal notation, else None."""
    whole, dot, fraction = text.removeprefix("-").partition(".")
    if not (whole.isascii() and whole.isdigit()):
        return None
    if dot and not (fraction.isascii() and fraction.isdigit()):
        return None
    number = float(text)
    if number in (float("inf"), float("-inf")):
        return None  # hundreds of digits: text, because no double tells them apart
    return number + 0.0  # makes 0.0 of -0.0, so that both stand in one place


def _number_key(number: float) -> bytes:
    # The bits of a double sort like the number once the sign bit is turned over, and
    # all bits of negative ones.
    (bits,) = _BITS.unpack(_DOUBLE.pack(number))
    return NUMBER + _BITS.pack(bits ^ (0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else 1 << 63))


def value_key(text: str) -> bytes:
    """The bytes by which values are kept in order. Different texts have different keys.

    0x01, 8 bytes of a sortable double, the UTF-8 of the text for a number; else 0x02
    and the UTF-8 of the text.
    """
    number = number_of(text)
    raw = text.encode("utf-8")
    return TEXT + raw if number is None else _number_key(number) + raw


def value_of_key(key: bytes) -> str:
    """The value whose `value_key` this is."""
    return (key[9:] if key[:1] == NUMBER else key[1:]).decode("utf-8", "surrogatepass")


def _two(text: str, low: int, high: int) -> int | None:
    if len(text) != 2 or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if low <= number <= high else None


def days_in_month(year: int, month: int) -> int:
    """28 to 31, by the Gregorian calendar."""
    leap = month == 2 and (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))
    return _DAYS[month - 1] + leap


def period_of(text: str) -> Period | None:
    """First and last second of an ISO date: YYYY, YYYY-MM, YYYY-MM-DD, with THH:MM or THH:MM:SS; else None.

    Only dates that exist: `2019-13` and `2019-02-29` are none.
    """
    date, t, clock = text.partition("T")
    fields = date.split("-")
    if len(fields) > 3 or len(fields[0]) != 4 or not (fields[0].isascii() and fields[0].isdigit()):
        return None
    year = int(fields[0])
    if year == 0 or (t and len(fields) != 3):
        return None
    month = _two(fields[1], 1, 12) if len(fields) > 1 else 0
    if month is None:
        return None
    day = _two(fields[2], 1, days_in_month(year, month)) if len(fields) > 2 else 0
    if day is None:
        return None
    if not t:
        last = month or 12
        return (year, month or 1, day or 1, 0, 0, 0), (year, last, day or days_in_month(year, last), 23, 59, 59)
    times = clock.split(":")
    if len(times) not in (2, 3):
        return None
    hour, minute = _two(times[0], 0, 23), _two(times[1], 0, 59)
    second = _two(times[2], 0, 59) if len(times) == 3 else 0
    if hour is None or minute is None or second is None:
        return None
    return (year, month, day, hour, minute, second), (year, month, day, hour, minute, second if len(times) == 3 else 59)


def _shortest(date: str) -> str:
    """The shortest spelling of a date that begins at the same second.

    As text it comes before every other date that begins then or later, since fields have
    one width and a shorter date is the beginning of the longer.
    """
    date = date.removesuffix(":00") if date.count(":") == 2 else date
    date = date.removesuffix("T00:00")
    if "T" in date:
        return date
    if len(date) == 10:
        date = date.removesuffix("-01")
    if len(date) == 7:
        date = date.removesuffix("-01")
    return date


class ValueRange:
    """What `key=low..high` means: `spans` to walk in the order of `value_key`, `matches` to test each value.

    `kind` is "any", "number", "date" or "text"; `backwards` is set when no value could
    ever match because the ends are the wrong way round.
    """

    __slots__ = ("backwards", "kind", "matches", "spans")

    def __init__(self, kind: str, spans: list[Span], matches: Callable[[str], bool], backwards: bool) -> None:
        self.kind = kind
        self.spans = spans
        self.matches = matches
        self.backwards = backwards


def value_range(low: str | None, high: str | None, above: bool = False, below: bool = False) -> ValueRange:
    """The values from `low` to `high`, both within and either absent.

    `above` leaves out `low` itself (`year>1955`), `below` leaves out `high`. If all given
    ends are numbers, numbers are compared; if they all could be years, dates as well, so
    that `taken=2018..2019` finds `2019-05-03`. Else, if they are ISO dates, so are dates: a
    value matches when its own period lies between the beginning of `low` and the end of
    `high`, and four digits are a year. Else text is compared, and what begins with
    `high` lies within too.
    """
    ends = [end for end in (low, high) if end is not None]
    if not ends:
        return ValueRange("any", [(NUMBER, None)], lambda text: True, False)
    if all(number_of(end) is not None for end in ends):
        if all(period_of(end) is not None for end in ends):
            return _years(low, high, above, below)
        return _numbers(low, high, above, below)
    if all(period_of(end) is not None for end in ends):
        return _dates(low, high, above, below)
    return _texts(low, high, above, below)


def _numbers(low: str | None, high: str | None, above: bool, below: bool) -> ValueRange:
    least = number_of(low) if low is not None else None
    most = number_of(high) if high is not None else None

    def matches(text: str) -> bool:
        number = number_of(text)
        if number is None:
            return False
        if least is not None and (number < least or (above and number == least)):
            return False
        return most is None or number < most or (number == most and not below)

    first = NUMBER if least is None else _number_key(least)
    end = TEXT if most is None else _number_key(most) + AFTER
    backwards = least is not None and most is not None and least > most
    return ValueRange("number", [(first, end)], matches, backwards)


def _dates(low: str | None, high: str | None, above: bool, below: bool) -> ValueRange:
    least = period_of(low) if low is not None else None
    most = period_of(high) if high is not None else None

    def matches(text: str) -> bool:
        period = period_of(text)
        if period is None:
            return False
        if least is not None and (period[0] <= least[1] if above else period[0] < least[0]):
            return False
        return most is None or (period[1] < most[0] if below else period[1] <= most[1])

    # A year alone (`2019`) is kept among the numbers, every other date among the text.
    first_year = least[0][0] if least is not None else 0
    last_year = most[1][0] if most is not None else 9999
    texts_from = TEXT + (_shortest(low).encode() if low is not None else b"0")
    texts_below = TEXT + (high.encode() + AFTER if high is not None else b":")  # ":" follows "9"
    spans: list[Span] = [
        (_number_key(float(first_year)), _number_key(float(last_year)) + AFTER),
        (texts_from, texts_below),
    ]
    return ValueRange("date", spans, matches, least is not None and most is not None and least[0] > most[1])


def _years(low: str | None, high: str | None, above: bool, below: bool) -> ValueRange:
    numbers, dates = _numbers(low, high, above, below), _dates(low, high, above, below)

    def matches(text: str) -> bool:
        return numbers.matches(text) if number_of(text) is not None else dates.matches(text)

    return ValueRange("number", [*numbers.spans, dates.spans[1]], matches, numbers.backwards)


def _texts(low: str | None, high: str | None, above: bool, below: bool) -> ValueRange:
    least = low.encode("utf-8") if low is not None else None
    most = high.encode("utf-8") if high is not None else None
    if least is not None and above:
        least += AFTER  # `>a` leaves out what begins with it, as `..a` takes it in
    if most is not None and not below:
        most += AFTER

    def matches(text: str) -> bool:
        raw = text.encode("utf-8")
        return (least is None or raw >= least) and (most is None or raw < most)

    spans: list[Span] = []
    # Numbers are kept by size, so all of them are looked at, unless no text that begins
    # with a digit or a minus can lie within.
    if (least is None or least < b":") and (most is None or most > b"-"):
        spans.append((NUMBER, TEXT))
    spans.append((TEXT + (least or b""), None if most is None else TEXT + most))
    return ValueRange("text", spans, matches, least is not None and most is not None and least >= most)


def prefix_spans(prefix: str) -> Iterator[Span]:
    """Where values that begin with `prefix` may stand; each is still to be tested with `startswith`."""
    if not prefix or prefix == "-" or number_of(prefix) is not None or number_of(prefix + "0") is not None:
        yield NUMBER, TEXT
    raw = TEXT + prefix.encode("utf-8")
    yield raw, raw + AFTER
