"""A real mount whose clock stands still until told, and programs of their own pids that work on it step by step.

`Steered` is a `Mounting` (FUSE, store and process are real) in which a test decides what
else would be chance: time goes by when `advance` says so, what others changed is looked at
when `tick` says so, GUIDs come from a seeded generator, and `quiet` waits until the kernel
has been told all there is to tell. So a run of a thousand steps is the same each time, and
can be shortened to the few that matter.

`Program` is a child process that does one system call at a time, as told; what fails is
told by its errno. The rules for saving go by who makes a name again, so there are several.
"""

from __future__ import annotations

import errno
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tagfs.store import Machine, this_machine
from tests.support.command import ROOT
from tests.support.mounting import PATIENCE_S, Mounting

_NURSE = r"""
import json, logging, os, random, signal, socket, sys, time, traceback
from types import SimpleNamespace
import trio
from tagfs.bucket import Clock, utc_ms
from tagfs.mount import changes, session
from tagfs.store import Machine, Store, this_machine

def serve(root, at, log, seed, passed_ns):
    logging.basicConfig(filename=log, level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logging.captureWarnings(True)
    begun_ms = time.time_ns() // 1_000_000
    wall_ms = lambda: begun_ms + passed_ns // 1_000_000

    async def steer(mount):
        "In the place of what looks for changes by itself."
        nonlocal passed_ns
        waiting = b""
        mount.changes._ticks = 1  # the first tick of a mount lets files in scratch grow up; here `age` does
        while True:
            await trio.lowlevel.wait_readable(0)
            waiting += os.read(0, 4096) or b"gone\n"
            *words, waiting = waiting.split(b"\n")
            for word in words:
                if word == b"gone":
                    await trio.sleep_forever()
                elif word == b"tick":
                    mount.look_for_changes()
                elif word == b"age":
                    mount.changes._age()
                elif word != b"quiet":
                    passed_ns += int(word)
                mount.idle()
                live = mount.changes.live
                live.tell()
                while live.is_telling():
                    await trio.sleep(0.0002)
                print("done", flush=True)

    session._watch = steer
    changes.AGE_TICKS = 1 << 62
    session.time = SimpleNamespace(monotonic_ns=lambda: 10**12 + passed_ns)
    machine = Machine(wall_ms, random.Random(seed).randbytes, this_machine().boot_id)
    clock = lambda: Clock(wall_ms(), utc_ms)
    with Store(root, machine) as store:
        session.run(store, at, session.Wishes(), clock, lambda: print("ready", flush=True))
    print("ended", flush=True)

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
            serve(*json.loads(asked))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    for fd in fds:
        os.close(fd)
    here.sendall(str(pid).encode())
"""

_PROGRAM = r"""
import ctypes, json, os, sys, threading
libc = ctypes.CDLL(None, use_errno=True)

def put(path, data, flags):
    fd = os.open(path, os.O_WRONLY | flags, 0o644)
    try:
        if flags & os.O_EXCL == 0 and flags & os.O_CREAT == 0 and flags & (os.O_TRUNC | os.O_APPEND) == 0:
            os.ftruncate(fd, 0)
        os.write(fd, bytes.fromhex(data))
    finally:
        os.close(fd)

def rename(old, new, flags):
    if libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), new)

DOES = dict(put=put, rename=rename, unlink=os.unlink, link=os.link, mkdir=os.mkdir, rmdir=os.rmdir,
            truncate=os.truncate, setxattr=lambda path, name, value: os.setxattr(path, name, bytes.fromhex(value)),
            removexattr=os.removexattr)

def answer(what, words, said):
    try:
        DOES[what](*words)
        said.append(0)
    except OSError as exc:
        said.append(exc.errno)

for line in sys.stdin:
    what, words, elsewhere = json.loads(line)
    said = []
    if elsewhere:  # another thread is the same program
        thread = threading.Thread(target=answer, args=(what, words, said))
        thread.start()
        thread.join()
    else:
        answer(what, words, said)
    print(json.dumps(said[0]), flush=True)
"""


class Program:
    """A process that works on files. Call it with what to do; the errno, 0 where it was done."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/"
        )
        self.pid = self._process.pid

    def __call__(self, what: str, *words: Any, elsewhere: bool = False) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        said = [
            word.hex() if isinstance(word, bytes) else str(word) if isinstance(word, Path) else word for word in words
        ]
        self._process.stdin.write(json.dumps([what, said, elsewhere]).encode() + b"\n")
        self._process.stdin.flush()
        seen, _, _ = select.select([self._process.stdout], [], [], PATIENCE_S)
        assert seen, f"no answer to {what} {words!r} within {PATIENCE_S:.0f} s"
        return int(json.loads(self._process.stdout.readline()))

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(PATIENCE_S)
        self._process.stdout.close()


def called(number: int) -> str:
    """An errno by its name, for people."""
    return errno.errorcode.get(number, str(number)) if number else "done"


class _Mount:
    """The process of a mount, as far as `Mounting` looks at it as one it started itself."""

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
    """A process that has imported what a mount needs, and forks one off in a moment. Closed at the end."""

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

    def bears(self, log: Path, *words: str | int) -> _Mount:
        stdin, stdin_here = os.pipe()
        stdout_here, stdout = os.pipe()
        stderr = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        socket.send_fds(self._here, [json.dumps(words).encode()], [stdin, stdout, stderr])
        pid = int(self._here.recv(64))
        for fd in (stdin, stdout, stderr):
            os.close(fd)
        return _Mount(pid, stdin_here, stdout_here)

    def close(self) -> None:
        self._here.close()
        self._process.wait(PATIENCE_S)


class Steered(Mounting):
    """See the module. GUIDs are drawn from `seed`."""

    def __init__(self, home: Path, nurse: Nurse, seed: int = 0) -> None:
        super().__init__(home)
        self.passed_ns = 0
        self._nurse = nurse
        self._seed = seed

    def start(self) -> None:
        with suppress(FileExistsError):
            os.mkdir(self.at)
        self._seed += 1  # no GUID is drawn twice
        words = (str(self.lyts.store), str(self.at), str(self.log), self._seed, self.passed_ns)
        self.process = self._nurse.bears(self.log, *words)  # type: ignore[assignment]
        self._hears("ready")

    def _hears(self, word: str) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        seen, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        line = self.process.stdout.readline() if seen else b"(nothing)"
        if line != f"{word}\n".encode():
            self.kill()
            raise AssertionError(f"the mount said {line!r} instead of {word}\n{self.log.read_text()}")

    def _says(self, word: str) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(word.encode() + b"\n")
        self._hears("done")

    def tick(self) -> None:
        """What happens four times a second: the mount looks at what others changed."""
        self._says("tick")

    def age(self) -> None:
        """What happens once a minute: files in scratch grow up."""
        self._says("age")

    def quiet(self) -> None:
        """Wait until the kernel has been told all."""
        self._says("quiet")

    def advance(self, seconds: int) -> None:
        """Time goes by."""
        self.passed_ns += seconds * 10**9
        self._says(str(seconds * 10**9))

    @contextmanager
    def commands_are_steered(self) -> Iterator[None]:
        """Commands run within this process have the clock of the mount, and dice of their own."""
        dice = random.Random(self._seed + 1_000_000)
        begun_ms = time.time_ns() // 1_000_000
        machine = Machine(lambda: begun_ms + self.passed_ns // 1_000_000, dice.randbytes, this_machine().boot_id)
        with patch("tagfs.store.this_machine", lambda: machine):
            yield


@contextmanager
def steered(home: Path, nurse: Nurse) -> Iterator[Steered]:
    """A mounted store below `home`, as `mounting.mounted` has it."""
    mount = Steered(home, nurse)
    try:
        mount.start()
        yield mount
        mount.stop()
    finally:
        mount.kill()
    mount.check()
