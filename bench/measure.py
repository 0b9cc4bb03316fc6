"""Measures CPU time, and lays figures out as a table.

CPU time of this process (user and system), not time on the wall: other programs on the
machine then disturb less. Everything is done once before it is measured, so that pages
and statements are at hand on both sides, and the garbage collector rests.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_SAMPLE_S = 0.01
_LONG_S = 0.5


class Timing(NamedTuple):
    """CPU milliseconds of one call: the median of the repeats, the least and the most."""

    median_ms: float
    min_ms: float
    max_ms: float


def timing_of(seconds: Sequence[float]) -> Timing:
    """The timing of measured seconds."""
    ms = [s * 1000 for s in seconds]
    return Timing(statistics.median(ms), min(ms), max(ms))


def measure(call: Callable[[], Any], repeats: int = 9) -> Timing:
    """The CPU time of a call. Short ones are called many times a repeat, long ones are repeated less."""
    call()
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        call()
        once = max(time.process_time() - start, 1e-7)
        loops = max(1, int(_SAMPLE_S / once))
        if once > _LONG_S:
            repeats = min(repeats, 3)
        seconds = []
        for _ in range(repeats):
            start = time.process_time()
            for _ in range(loops):
                call()
            seconds.append((time.process_time() - start) / loops)
    finally:
        if was_on:
            gc.enable()
    return timing_of(seconds)


class Child(NamedTuple):
    """What a whole process took and said."""

    cpu_s: float
    wall_s: float
    peak_rss_mb: float
    status: int
    output: bytes


def child_environ(more: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of a process to be measured: this one's, but compiled modules are kept, as for a person."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | (more or {})


def run_child(command: Sequence[str], environ: dict[str, str] | None = None, keep_output: bool = False) -> Child:
    """Run a process to its end; its CPU time is what the kernel counted for it alone."""
    read_end, write_end = os.pipe() if keep_output else (-1, os.open(os.devnull, os.O_WRONLY))
    start = time.perf_counter()
    pid = os.posix_spawnp(
        command[0],
        list(command),
        child_environ(environ),
        file_actions=[(os.POSIX_SPAWN_DUP2, write_end, 1)],
    )
    os.close(write_end)
    output = b""
    if keep_output:
        with open(read_end, "rb") as file:
            output = file.read()
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    return Child(
        usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status), output
    )


def measure_child(command: Sequence[str], environ: dict[str, str] | None = None, repeats: int = 15) -> Timing:
    """The CPU time of a whole process. SystemExit where it fails."""
    seconds = []
    for attempt in range(repeats + 1):
        child = run_child(command, environ)
        if child.status:
            raise SystemExit(f"{' '.join(command)}: exit status {child.status}")
        if attempt:
            seconds.append(child.cpu_s)
    return timing_of(seconds)


class Line(NamedTuple):
    """One line of the report. `reached` is None where there is no goal."""

    section: str
    what: str
    lyts: Timing | None
    peer: Timing | None
    ratio: float | None
    note: str
    goal: str
    reached: bool | None


def show_ms(ms: float) -> str:
    """Milliseconds with three digits that mean something."""
    if ms < 0.1:
        return f"{ms * 1000:.1f} us"
    return f"{ms:.2f} ms" if ms < 10 else f"{ms:.1f} ms" if ms < 100 else f"{ms:,.0f} ms"


def show_timing(timing: Timing | None) -> str:
    """Median, and how far it went up and down."""
    if timing is None:
        return ""
    return f"{show_ms(timing.median_ms)} ({_bare(timing.min_ms)}..{_bare(timing.max_ms)})"


def _bare(ms: float) -> str:
    return show_ms(ms).replace(" ms", "").replace(" us", "u")


def show_ratio(ratio: float | None) -> str:
    """How many times."""
    if ratio is None:
        return ""
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.2f}x"


class Report:
    """Collects lines, and prints each as it comes."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._section = ""

    def section(self, title: str, explanation: str = "") -> None:
        """Begin a section."""
        self._section = title
        print(f"\n{title}")
        if explanation:
            print(f"  {explanation}")

    def line(
        self,
        what: str,
        lyts: Timing | None = None,
        peer: Timing | None = None,
        *,
        note: str = "",
        goal: str = "",
        reached: bool | None = None,
    ) -> None:
        """Add and print a line; the ratio is how many times the peer takes what lyts takes."""
        ratio = peer.median_ms / lyts.median_ms if lyts is not None and peer is not None else None
        self.lines.append(Line(self._section, what, lyts, peer, ratio, note, goal, reached))
        mark = "" if reached is None else "  ok" if reached else "  MISSED"
        columns = f"  {what:<38} {show_timing(lyts):<30} {show_timing(peer):<30} {show_ratio(ratio):>9}"
        print(f"{columns.rstrip():<110} {note}{'  goal: ' + goal if goal else ''}{mark}".rstrip())
        sys.stdout.flush()

    def ratio_line(
        self, what: str, lyts: Timing, peer: Timing, *, at_least: float | None = None, note: str = ""
    ) -> None:
        """Add a comparison, with the least ratio it should have."""
        reached = None if at_least is None else peer.median_ms >= at_least * lyts.median_ms
        self.line(what, lyts, peer, note=note, goal=f">= {at_least:g}x" if at_least else "", reached=reached)

    def limit_line(
        self, what: str, lyts: Timing, at_most_ms: float, *, peer: Timing | None = None, note: str = ""
    ) -> None:
        """Add a time, with the most it should be."""
        self.line(what, lyts, peer, note=note, goal=f"<= {show_ms(at_most_ms)}", reached=lyts.median_ms <= at_most_ms)
