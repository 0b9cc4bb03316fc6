"""What the shell remembers from one line to the next. Values only."""

from __future__ import annotations

from typing import NamedTuple

from shell.live.place import ALL, Place
from tagfs.verbs.picks import Guids


class State(NamedTuple):
    """Where one stands, where one was before, what was listed last, how the last command ended."""

    place: Place = ALL
    before: Place = ALL
    listing: Guids = Guids(b"")
    code: int = 0

    def moved(self, place: Place) -> State:
        """Standing elsewhere; the listing stays, its numbers go on meaning the same files."""
        return self._replace(place=place, before=self.place)
