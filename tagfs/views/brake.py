"""The brake: one program may move so many files to the trash within a minute, and no more.

`rm -rf` of a mount, `rsync --delete` into `all/`, `find -delete` are meant for something
else nearly always. Once a program was stopped it stays stopped until it has not tried for
a whole minute: else a long run would still remove fifty a minute, all night.

Pure: the time (of a clock that never goes back) and the number of the process are arguments.
"""

from __future__ import annotations

import errno
from collections import deque

from tagfs.views.matrix import Refusal

MOST_REMOVALS = 50
WINDOW_MS = 60_000
_PROCESSES_KEPT = 256


class Brake:
    """Counts removals by process. Removals by the thread of a process count for the process."""

    def __init__(self, most: int = MOST_REMOVALS, window_ms: int = WINDOW_MS) -> None:
        self._most = most
        self._window_ms = window_ms
        self._removed: dict[int, deque[int]] = {}
        self._stopped: dict[int, int] = {}

    def refuse(self, process: int, now_ms: int) -> Refusal | None:
        """Take note of a removal about to be made; why not to make it, if it is one too many."""
        begin = now_ms - self._window_ms
        stopped = self._stopped.get(process)
        if stopped is not None:
            if stopped > begin:
                self._stopped[process] = now_ms
                return self._refusal(process)
            del self._stopped[process]
            self._removed.pop(process, None)
        times = self._removed.get(process)
        if times is None:
            self._forget_quiet(begin)
            times = self._removed[process] = deque()
        while times and times[0] <= begin:
            times.popleft()
        if len(times) >= self._most:
            self._stopped[process] = now_ms
            return self._refusal(process)
        times.append(now_ms)
        return None

    def _forget_quiet(self, begin: int) -> None:
        if len(self._removed) < _PROCESSES_KEPT:
            return
        for process, times in list(self._removed.items()):
            if (not times or times[-1] <= begin) and self._stopped.get(process, begin) <= begin:
                del self._removed[process]
                self._stopped.pop(process, None)

    def _refusal(self, process: int) -> Refusal:
        return Refusal(
            errno.EPERM,
            f"Process {process} has removed {self._most} files within a minute, so the others stay. To remove many at "
            "once: lyts rm -q QUERY. What was removed is in the trash; lyts undo brings it back.",
        )
