"""A process that was started earlier, perhaps by another lyts: found again, and never taken for another.

A number alone says little: after a while, or a restart of the machine, another process has
it. So with the number stand the moment at which the kernel says that process began, and the
boot. Signals go through a descriptor of the process (pidfd), looked at again once it is
open, so that nothing else can be hit.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tagfs.layout import write_private


class Started(NamedTuple):
    """A process: its number, when it began (clock ticks since boot, as `/proc` has it), and in which boot."""

    pid: int
    began: int
    boot: str


def start_detached(words: Sequence[str], environ: Mapping[str, str], log: str, boot: str) -> Started:
    """Start a program in a session of its own, nothing to read, all it says appended to `log`, umask 077.

    A shell between us and it ends at once, so that it is not our child: whoever started it can go, or stay
    without having to wait for it. Raises OSError.
    """
    fd = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", 'umask 077; "$@" >&2 & echo $!', "sh", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=fd,
            env=dict(environ),
            cwd="/",
            start_new_session=True,
            check=True,
            timeout=60,
        )
    finally:
        os.close(fd)
    pid = int(done.stdout)
    return Started(pid, began(pid) or 0, boot)


def began(pid: int) -> int | None:
    """When a process began, None where there is none (one that has ended and waits for its parent is none)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The second field is the name, in parentheses, and can hold anything.
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def is_alive(process: Started, boot: str) -> bool:
    """Whether it still runs, this very one."""
    return process.boot == boot and process.began > 0 and began(process.pid) == process.began


def end(process: Started, boot: str, sign: signal.Signals | None, wait_s: float) -> bool:
    """Send a signal (None for none) to this very process and wait. Whether it is gone. Raises PermissionError."""
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        if not is_alive(process, boot):
            return True
        if sign is not None:
            signal.pidfd_send_signal(fd, sign)
        return bool(select.select([fd], [], [], wait_s)[0])
    except ProcessLookupError:
        return True
    finally:
        os.close(fd)


def write_note(path: str, process: Started) -> None:
    """Note a process, whole or not at all."""
    write_private(path + ".new", f"{process.pid} {process.began} {process.boot}\n".encode())
    os.replace(path + ".new", path)


def read_note(path: str) -> Started | None:
    """The process that was noted, None where none is, or nothing that makes sense."""
    try:
        with open(path, encoding="ascii") as file:
            pid, when, boot = file.read().split()
        return Started(int(pid), int(when), boot)
    except (OSError, ValueError):
        return None
