"""Which data folders are held back at the start, and for how long. Pure, but for what it remembers.

A delete that comes before the new copy has all bytes fetched again (sync.md, Start). So:

    linking     all are held back, until every file that has something to be done was looked at
    first       those into which something was put flow, until Syncthing has looked through them
    all         all flow

A set that is met later comes up held back, too: what was moved to it is linked from where it was,
before Syncthing would fetch it. Nothing is held back for ever, whatever goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

LINKING_MS = 600_000
FIRST_MS = 600_000
NEW_MS = 60_000
IDLE_MS = 1_000
"""A folder is idle for a moment before it begins to look."""


class Flow:
    """The data folders of one node, by set id."""

    def __init__(self) -> None:
        """Begin with all held back; time is counted from the first `step`."""
        self.stage: Literal["linking", "first", "all"] = "linking"
        self._since_ms: int | None = None
        self._first: set[str] = set()
        self._idle_since_ms: int | None = None
        self._new: dict[str, int] = {}

    def put_into(self, set_id: str) -> None:
        """Something was put into a set's folder."""
        if self.stage == "linking":
            self._first.add(set_id)

    def met(self, set_ids: Iterable[str], now_ms: int) -> None:
        """These sets get a folder now."""
        for set_id in set_ids:
            self._new.setdefault(set_id, now_ms)

    def is_held_back(self, set_id: str) -> bool:
        if self.stage == "linking":
            return True
        if self.stage == "first":
            return set_id not in self._first
        return set_id in self._new

    def step(self, now_ms: int, *, all_looked_at: bool, is_idle: Callable[[str], bool]) -> bool:
        """What time and work have changed. Says whether some folder flows from now on that did not.

        Args:
            all_looked_at: no file is due to be looked at.
            is_idle: whether Syncthing has nothing under way in a set's folder, or cannot work on it.
        """
        if self._since_ms is None:
            self._since_ms = now_ms
        if self.stage == "linking":
            if not all_looked_at and now_ms - self._since_ms < LINKING_MS:
                return False
            self._go_on_to("first" if self._first else "all", now_ms)
            return True
        if self.stage == "first":
            if not all(map(is_idle, self._first)):
                self._idle_since_ms = None
            elif self._idle_since_ms is None:
                self._idle_since_ms = now_ms
            rested = self._idle_since_ms is not None and now_ms - self._idle_since_ms >= IDLE_MS
            if not rested and now_ms - self._since_ms < FIRST_MS:
                return False
            self._go_on_to("all", now_ms)
            return True
        done = [one for one, since_ms in self._new.items() if all_looked_at or now_ms - since_ms >= NEW_MS]
        for one in done:
            del self._new[one]
        return bool(done)

    def _go_on_to(self, stage: Literal["first", "all"], now_ms: int) -> None:
        self.stage, self._since_ms = stage, now_ms
        if stage == "all":
            self._new.clear()
