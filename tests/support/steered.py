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
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tagfs.store import Machine, this_machine
from tests.support.mounting import PATIENCE_S, Mounting

_SERVE = r"""
import logging, os, random, sys, time
from types import SimpleNamespace
import trio
from tagfs.bucket import Clock, utc_ms
from tagfs.mount import changes, session
from tagfs.store import Machine, Store, this_machine

root, at, log, seed, passed_ns = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
logging.basicConfig(filename=log, level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
logging.captureWarnings(True)
begun_ms = time.time_ns() // 1_000_000
wall_ms = lambda: begun_ms + passed_ns // 1_000_000

async def steer(mount):
    "In the place of what looks for changes by itself."
    global passed_ns
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
                await mount.look_for_changes()
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


class Steered(Mounting):
    """See the module. GUIDs are drawn from `seed`."""

    def __init__(self, home: Path, seed: int = 0) -> None:
        super().__init__(home, serve=_SERVE)
        self.passed_ns = 0
        self._seed = seed

    def start(self) -> None:
        self._seed += 1  # no GUID is drawn twice
        self.how = (str(self._seed), str(self.passed_ns))
        super().start()

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
def steered(home: Path) -> Iterator[Steered]:
    """A mounted store below `home`, as `mounting.mounted` has it."""
    mount = Steered(home)
    try:
        mount.start()
        yield mount
        mount.stop()
    finally:
        mount.kill()
    mount.check()
