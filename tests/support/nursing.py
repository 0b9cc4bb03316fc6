"""Starts processes in a moment: one that has imported what they need forks them off.

A mount takes half a second to start, nearly all of it to import; hundreds of tests begin
with one. The nurse is one process for a test session. What it forks runs the given code
with the given words, surroundings and streams, as `python -c` would; but it does not end
as an interpreter does, so tests about the end of a mount start a process of their own.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.support.command import ROOT

PATIENCE_S = 30.0

_NURSE = r"""
import json, os, signal, socket, sys, traceback
import trio
from tagfs.bucket import Clock, utc_ms
from tagfs.mount import changes, session
from tagfs.store import Store

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
here = socket.socket(fileno=int(sys.argv[1]))
while True:
    asked, fds, _, _ = socket.recv_fds(here, 1 << 16, 3)
    if not asked:
        break
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            here.close()
            for number, fd in enumerate(fds):
                os.dup2(fd, number)
                os.close(fd)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            script, words, environ = json.loads(asked)
            os.environ.clear()
            os.environ.update(environ)
            sys.argv[1:] = words
            exec(script, {"__name__": "__main__"})
            sys.stdout.flush()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    for fd in fds:
        os.close(fd)
    here.sendall(str(pid).encode())
"""


class Borne:
    """A process that a nurse forked, as far as one looks at a `Popen` that one started itself."""

    def __init__(self, pid: int, stdin: int, stdout: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin = os.fdopen(stdin, "wb", buffering=0)
        self.stdout = os.fdopen(stdout, "rb", buffering=0)
        self._end = os.pidfd_open(pid)

    def send_signal(self, sent: int) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._end, sent)

    def kill(self) -> None:
        self.stdin.close()
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float) -> tuple[bytes, bytes]:
        out = b""
        until = time.monotonic() + timeout
        while select.select([self.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
            piece = os.read(self.stdout.fileno(), 4096)
            if not piece:
                self.wait(max(0.0, until - time.monotonic()))
                # Whose child it is sees its exit code; we see whether it came to its last word.
                self.returncode = 0 if out == b"ended\n" else 1
                self.stdin.close()
                self.stdout.close()
                return out, b""
            out += piece
        raise subprocess.TimeoutExpired("the mount", timeout)

    def wait(self, timeout: float) -> None:
        if self._end >= 0:
            if not select.select([self._end], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("the mount", timeout)
            os.close(self._end)
            self._end = -1


class Nurse:
    """See the module. Closed at the end."""

    def __init__(self) -> None:
        here, there = socket.socketpair()
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _NURSE, str(there.fileno())],
                pass_fds=[there.fileno()],
                env={**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                cwd="/",
            )
        self._here = here

    def bears(self, script: str, words: list[str], env: dict[str, str], log: Path) -> Borne:
        """A process that runs this; what it says on stderr goes to the log."""
        stdin, stdin_here = os.pipe()
        stdout_here, stdout = os.pipe()
        stderr = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        socket.send_fds(self._here, [json.dumps([script, words, env]).encode()], [stdin, stdout, stderr])
        pid = int(self._here.recv(64))
        for fd in (stdin, stdout, stderr):
            os.close(fd)
        return Borne(pid, stdin_here, stdout_here)

    def close(self) -> None:
        self._here.close()
        self._process.wait(PATIENCE_S)


_nurse: Nurse | None = None


def nurse() -> Nurse:
    """The nurse of this test session."""
    global _nurse
    if _nurse is None:
        _nurse = Nurse()
        atexit.register(_nurse.close)
    return _nurse
