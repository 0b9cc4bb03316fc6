"""Numbers of a listing: `3`, `3-7`, `2,4`, `5-` (from the fifth on). Pure."""

from __future__ import annotations

import re

from tagfs.errors import BadRequest

_PART = r"[0-9]{1,9}(?:-(?:[0-9]{1,9})?)?"
_NUMBERS = re.compile(rf"{_PART}(?:,{_PART})*", re.ASCII)
ID_DIGITS = 8


class NotListed(BadRequest):
    """A number that the last listing does not have."""

    def __init__(self, text: str, listed: int) -> None:
        self.text = text
        self.listed = listed
        have = f"what was listed last goes from 1 to {listed:,}" if listed else "nothing is listed yet: ls lists"
        super().__init__(f"there is no number {text}; {have} (a file that is called so: '{text}', in quotes)")


def is_numbers(text: str, listed: int) -> bool:
    """Whether a word that is not quoted means numbers of a listing of so many files.

    Eight digits and more are rather an id, unless the listing is that long.
    """
    if not _NUMBERS.fullmatch(text):
        return False
    return not (text.isdigit() and len(text) >= ID_DIGITS and int(text) > listed)


def chosen(text: str, listed: int) -> list[int]:
    """The places (from 0) that `text` means, each once, in the order named. Raises `NotListed`."""
    found: dict[int, None] = {}
    for part in text.split(","):
        low, dash, high = part.partition("-")
        first = int(low)
        last = int(high) if high else listed if dash else first
        if not 1 <= first <= last <= listed:
            raise NotListed(part, listed)
        found.update(dict.fromkeys(range(first - 1, last)))
    return list(found)
