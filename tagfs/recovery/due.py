"""When what explains a folder is to be made anew. Pure.

    the store's root      once a minute at most, when something changed
    a set's README        once, and when its devices change
    a set's lists         after ten quiet minutes, and once an hour at most: they travel to every member

However large a library is, making takes no more than a twentieth of the time. Where somebody was
kept from a file, and where one was deleted for good, nothing waits for quiet.
"""

from __future__ import annotations

import msgspec

MINUTE_MS = 60_000
QUIET_MS = 10 * MINUTE_MS
HOUR_MS = 60 * MINUTE_MS
REST = 20
"""For each second of work so many pass from its beginning to the next."""


class Past(msgspec.Struct, omit_defaults=True):
    """What is known of one folder.

    `state`: of what it was made, as a digest. `seen`: the newest one met, and since when. `hidden`: a digest of
    what may be named no more: here, or to somebody in the set. `devices`: that of a set's README.
    """

    state: str = ""
    made_ms: int = 0
    took_ms: int = 0
    seen: str = ""
    since_ms: int = 0
    hidden: str = ""
    devices: str = ""


def meet(past: Past, state: str, now_ms: int) -> None:
    """Note that things stand so now. A clock that was set back begins anew."""
    if past.seen != state or past.since_ms > now_ms:
        past.seen, past.since_ms = state, now_ms
    past.made_ms = min(past.made_ms, now_ms)


def root_due_ms(past: Past, hidden: str) -> int | None:
    """When the root is due, in milliseconds since 1970; None where nothing changed."""
    if past.made_ms and hidden != past.hidden:
        return past.made_ms + REST * past.took_ms
    if past.state == past.seen:
        return None
    return past.made_ms + max(MINUTE_MS, REST * past.took_ms)


def set_due_ms(past: Past, hidden: str) -> int | None:
    """The same for the lists of a set."""
    if past.made_ms and hidden != past.hidden:
        return past.made_ms + MINUTE_MS
    if past.state == past.seen:
        return None
    made = past.made_ms + max(HOUR_MS, REST * past.took_ms) if past.made_ms else 0
    return max(past.since_ms + QUIET_MS, made)


def made(past: Past, hidden: str, began_ms: int, ended_ms: int, state: str) -> None:
    """Note that it was made, of how things stood when that began."""
    past.state, past.hidden = state, hidden
    past.made_ms, past.took_ms = began_ms, max(0, ended_ms - began_ms)
