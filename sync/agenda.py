"""Which files are to be looked at, and when. Pure, but for what it remembers.

A file is due when something about it changed: a fact, its bytes, a proof, somebody who
waits for one. One that was busy, or that waits for somebody else, is due again later, at
growing intervals; nothing is ever given up.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

FIRST_WAIT_MS = 500
LONGEST_WAIT_MS = 300_000


class Agenda:
    """Files that are due, each once."""

    def __init__(self) -> None:
        self._due: dict[str, None] = {}
        self._later: list[tuple[int, str]] = []
        self._at: dict[str, int] = {}
        self._waits: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._due)

    def add(self, guids: Iterable[str]) -> None:
        """Something about these files changed: look at them now, and soon again if need be."""
        for guid in guids:
            self._due[guid] = None
            self._waits.pop(guid, None)

    def again(self, guid: str, now_ms: int) -> None:
        """Look at a file again, later than the last time."""
        wait = min(self._waits.get(guid, FIRST_WAIT_MS // 2) * 2, LONGEST_WAIT_MS)
        self._waits[guid] = wait
        self._at[guid] = now_ms + wait
        heapq.heappush(self._later, (now_ms + wait, guid))

    def settled(self, guid: str) -> None:
        """Nothing is left to do about a file, and nobody is waited for."""
        self._waits.pop(guid, None)
        self._at.pop(guid, None)

    def take(self, now_ms: int, count: int) -> list[str]:
        """Up to so many files that are due, longest first."""
        while self._later and self._later[0][0] <= now_ms:
            at, guid = heapq.heappop(self._later)
            if self._at.get(guid) == at:
                del self._at[guid]
                self._due[guid] = None
        taken = list(self._due)[:count]
        for guid in taken:
            del self._due[guid]
            self._at.pop(guid, None)
        return taken

    def next_at(self) -> int | None:
        """When the next file is due that is not due yet."""
        while self._later and self._at.get(self._later[0][1]) != self._later[0][0]:
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None
