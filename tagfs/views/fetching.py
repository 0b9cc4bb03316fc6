"""Opening a file whose bytes are elsewhere: may they be brought here for that, or why not.

A thumbnailer or `grep -r` opens every file it sees, and would refill a small device that
was just freed. So only so many files and bytes are begun within a minute (mount.md); what
is more is refused, as everything is where `fetch_on_read` is off. Pure: the time (of a clock
that never goes back) is an argument.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Collection

from tagfs.placement import Fetch
from tagfs.views.matrix import Refusal

WINDOW_MS = 60_000


def not_here(name: str, guid: str, holders: Collection[str], *, comes: bool) -> Refusal:
    """Why a file cannot be opened.

    Args:
        holders: the other nodes that keep its bytes, by name; none that was forgotten.
        comes: this node is to keep them too, and waits for them.
    """
    if not holders:
        return Refusal(
            errno.ENODATA,
            f"The bytes of {name!r} are not on this device, and no device that is still in the library is known to "
            "have them. Look for them in a backup: lyts add takes them in again.",
        )
    whose = " and ".join(sorted(holders))
    have = "have" if len(holders) > 1 else "has"
    if comes:
        return Refusal(errno.ENODATA, f"The bytes of {name!r} are not here yet; they come from {whose}.")
    return Refusal(
        errno.ENODATA,
        f"The bytes of {name!r} are not on this device; {whose} {have} them. "
        f"To bring them here: lyts restore {guid[:8]}",
    )


class Fetching:
    """Counts what was begun."""

    def __init__(self, limits: Fetch) -> None:
        self.limits = limits
        self._begun: deque[tuple[int, int]] = deque()
        self._size_bytes = 0

    def begin(self, name: str, guid: str, size_bytes: int, now_ms: int) -> Refusal | None:
        """Take note of a file about to be brought here; why not to, if that would be too much."""
        while self._begun and self._begun[0][0] <= now_ms - WINDOW_MS:
            self._size_bytes -= self._begun.popleft()[1]
        most = self.limits
        how = f"To bring it here all the same: lyts restore {guid[:8]}"
        if size_bytes > most.size_bytes:
            return Refusal(
                errno.ENODATA, f"{name!r} is larger than the {most.size_bytes >> 20} MiB of fetch_mib. {how}"
            )
        if len(self._begun) >= most.files or self._size_bytes + size_bytes > most.size_bytes:
            return Refusal(
                errno.ENODATA,
                f"{name!r} is not brought here: {len(self._begun)} files ({self._size_bytes >> 20} MiB) were within "
                f"the last minute, and fetch_files and fetch_mib allow no more. {how}",
            )
        self._begun.append((now_ms, size_bytes))
        self._size_bytes += size_bytes
        return None
