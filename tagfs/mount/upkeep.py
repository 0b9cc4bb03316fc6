"""Starts, now and then, the process that does what is due by time (`tagfs.upkeep`), and tells the log what it did.

Nothing waits for it: it is started, and looked at again at a later tick. Where there is
nothing that could be due, none is started.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys

from tagfs.index.read import View
from tagfs.layout import Layout
from tagfs.verbs.select import trashed

log = logging.getLogger(__name__)

EVERY_NS = 3_600 * 10**9
END_S = 10.0


class Upkeep:
    """The process, when there is one. Trio thread only."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._next_ns: int | None = None
        self._process: subprocess.Popen[str] | None = None

    def tick(self, view: View, now_ns: int) -> None:
        """See what became of it, and start it where it is time. `now_ns` is monotonic."""
        self._hear()
        if self._process is not None or (self._next_ns is not None and now_ns < self._next_ns):
            return
        self._next_ns = now_ns + EVERY_NS
        if trashed(view) or self._keeps_something():
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "tagfs.upkeep", self._layout.root],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C is for the mount, which ends it in order
                    text=True,
                    errors="backslashreplace",
                )
            except OSError as exc:
                log.warning("what is due by time was not done (%s); the next try is in an hour", exc)

    def _keeps_something(self) -> bool:
        try:
            with os.scandir(self._layout.keep) as entries:
                return any(entry.is_dir(follow_symlinks=False) for entry in entries)
        except OSError:
            return False

    def _hear(self) -> None:
        process = self._process
        if process is None or process.poll() is None:
            return
        self._process = None
        said = process.communicate()[0].strip()
        # Told to end it does so in order, but for its very first and last moments.
        level = logging.INFO if process.returncode in (0, -signal.SIGTERM) else logging.WARNING
        for line in said.splitlines():
            log.log(level, "%s", line)

    def finish(self) -> None:
        """End it, after the file it is at."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            log.info("what is due by time goes on without the mount, until it is through")
            return
        self._hear()
