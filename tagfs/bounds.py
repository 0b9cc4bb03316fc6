"""Bounds for a process that reads people's files with libraries which a file may bring to anything.

It writes no file, takes only so much memory, and ends by itself when one file takes too long: who
asked it may be gone, and nobody else would end it.
"""

from __future__ import annotations

import os
import resource

MEMORY_BYTES = 1 << 30


def set_bounds(niceness: int) -> None:
    """Bounds for this process, before it opens anything."""
    os.nice(niceness)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def allow_more_time(cpu_s: int) -> None:
    """Let this process compute for so long from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
