"""A real mount for tests: a store, a process that mounts it, and programs run on it with a time limit.

`mounted(tmp_path)` makes the store, mounts it in a process of its own and waits for its
answer. Whatever happens, the process is ended and the mount point cleaned; a watch ends a
mount that no longer answers, so that a test fails with ENOTCONN instead of hanging. At the
end `fsck` finds nothing (SHA-256 of all bytes included), and nothing stands in the
mount's log but what the test said it expects.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tagfs.mount import point
from tests.support.command import Lyts
from tests.support.nursing import Borne, nurse

PATIENCE_S = 30.0
"""So long one program may take, and so long a change is waited for."""
WATCH_S = 120.0
"""So long one test may keep a mount."""
SOON_S = 5
"""Within a second, is the promise; a busy machine is slow, not wrong, and bench/ measures it."""
AT_FDCWD = -100

NOT_SCRAPS = ("reserve", "mounts.lock", "CACHEDIR.TAG")
"""What always stands in scratch."""

SERVE = """
import logging, sys, time
logging.basicConfig(
    filename=sys.argv[3], level=logging.INFO, format="%(levelname)s %(name)s %(message)s"
)
logging.captureWarnings(True)
from tagfs.bucket import Clock, utc_ms
from tagfs.mount.session import Wishes, run
from tagfs.store import Store
options = {"map_size": int(word[4:]) for word in sys.argv[4:] if word.startswith("map=")}
with Store(sys.argv[1], **options) as store:
    run(
        store, sys.argv[2], Wishes(read_only="read-only" in sys.argv[4:], tags_only="tags" in sys.argv[4:]),
        lambda: Clock(time.time_ns() // 1_000_000, utc_ms), lambda: print("ready", flush=True),
    )
print("ended", flush=True)
"""


def need_fuse() -> None:
    """Skip, loudly, where nothing can be mounted."""
    if not os.path.exists("/dev/fuse") or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("NOT TESTED: there is no /dev/fuse that we may use, so nothing can be mounted here")
    if shutil.which("fusermount3") is None:
        pytest.skip("NOT TESTED: fusermount3 is missing (apt-get install fuse3)")
    pytest.importorskip("pyfuse3", reason="NOT TESTED: pyfuse3 is missing (pip install 'lyts[mount]')")


def need(*programs: str) -> None:
    """Skip, loudly, where a program is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"NOT TESTED: the program {program} is missing here")


class Mounting:
    """A store and its mount."""

    def __init__(
        self, home: Path, *how: str, log: Path | None = None, serve: str = SERVE, is_borne: bool = True
    ) -> None:
        """`is_borne`: its process is forked from one that has all imported (`nursing`)."""
        self.lyts = Lyts(home)
        self.is_borne = is_borne
        self.at = home / "mnt"
        self.log = log or home / "mount.log"
        self.how = how
        self.serve = serve
        """What the process runs that mounts."""
        self.expected: list[str] = []
        """Patterns of warnings and errors that the test provokes."""
        self.process: subprocess.Popen[bytes] | Borne | None = None
        self._crashed: list[subprocess.Popen[bytes] | Borne] = []
        if not (self.lyts.store / "store.toml").exists():
            self.lyts.quick("init", "--alias", "laptop")

    # -- life

    def start(self) -> None:
        """Mount, and wait until the mount answers."""
        with suppress(FileExistsError):
            os.mkdir(self.at)
        words = [str(self.lyts.store), str(self.at), str(self.log), *self.how]
        if self.is_borne:
            self.process = nurse().bears(self.serve, words, self.lyts.env, self.log)
        else:
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-P", "-c", self.serve, *words],
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=self.lyts.env,
                    cwd="/",
                )
        assert self.process.stdout is not None
        seen, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        line = self.process.stdout.readline() if seen else b"(nothing)"
        if line != b"ready\n":
            self.kill()
            raise AssertionError(f"the mount did not come up: {line!r}\n{self.log.read_text()}")

    def stop(self, sent: int = signal.SIGTERM) -> None:
        """End the mount as a person would; it must end well."""
        process = self.process
        if process is None:
            return
        process.send_signal(sent)
        try:
            out, _ = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the mount did not end within {PATIENCE_S:.0f} s") from None
        self.process = None
        assert (process.returncode, out) == (0, b"ended\n"), self.log.read_text()
        assert not os.path.ismount(self.at)

    def crash(self) -> None:
        """End the mount as a power cut or the kernel would; the mount point stays as that leaves it."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            self._crashed.append(process)

    def kill(self) -> None:
        """End the mount whatever it does, and clean up."""
        self.crash()
        if point.mounted_type(str(self.at)) is not None:
            point.abort(str(self.at))
        subprocess.run(["fusermount3", "-uzq", "--", self.at], capture_output=True, timeout=PATIENCE_S, check=False)
        while self._crashed:
            process = self._crashed.pop()
            process.wait(PATIENCE_S)
            if process.stdout is not None:
                process.stdout.close()

    def check(self) -> None:
        """Ledgers, index and bytes agree, and the log has nothing that nobody expected."""
        self.lyts.check()
        for line in self.log.read_text().splitlines():
            quiet = line.startswith(("INFO ", "DEBUG "))
            assert quiet or any(re.search(one, line) for one in self.expected), f"in the mount's log: {line}"

    # -- programs

    def run(
        self,
        *argv: str | bytes | os.PathLike[str],
        cwd: Path | None = None,
        stdin: bytes = b"",
        code: int | None = 0,
        env: dict[str, str] | None = None,
        timeout: float = PATIENCE_S,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program with a time limit; `code` None for any."""
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            cwd=cwd or self.at,
            timeout=timeout,
            check=False,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm", "HOME": str(self.lyts.home), **(env or {})},
        )
        said = f"{argv!r} gave {done.returncode}: {done.stdout[-2000:]!r} {done.stderr[-2000:]!r}"
        assert code is None or done.returncode == code, said
        return done

    def sh(self, script: str, *words: str, **options: Any) -> str:
        """Run a shell script; what it printed."""
        return self.run("sh", "-euc", script, "sh", *words, **options).stdout.decode("utf-8", "surrogateescape")

    # -- what is there

    def __truediv__(self, path: str) -> Path:
        return self.at / path

    def ls(self, path: str) -> list[str]:
        """The names a directory lists, sorted."""
        return sorted(os.listdir(self.at / path))

    def put(self, path: str, content: str | bytes = "", **xattrs: str) -> str:
        """Make a file through the mount; its GUID."""
        place = self.at / path
        with open(place, "xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        for name, value in xattrs.items():
            os.setxattr(place, f"user.{name}", value.encode())
        return self.guid(path)

    def guid(self, path: str) -> str:
        return os.getxattr(self.at / path, "user.lyts.id").decode()

    def tags(self, path: str) -> list[str]:
        try:
            return os.getxattr(self.at / path, "user.xdg.tags").decode().split(",")
        except OSError:
            return []

    def read(self, path: str) -> bytes:
        return (self.at / path).read_bytes()

    def facts(self) -> dict[str, dict[str, Any]]:
        """All living files by GUID, as the command tells them."""
        return {one["guid"]: one for one in self.lyts.json("find", code=None)}

    def trash(self) -> list[str]:
        return sorted(os.listdir(self.at / "trash"))

    def scratch(self) -> list[str]:
        """What is left half-made in the store."""
        return sorted(name for name in os.listdir(self.lyts.store / "scratch") if not _is_kept_there(name))

    def kept(self) -> dict[str, bytes]:
        """Every byte the store has, by the path of its file: data, kept versions and what stands in scratch."""
        found = {}
        for place in ("sets", "keep", "scratch"):
            for folder, _, names in os.walk(self.lyts.store / place):
                for name in names:
                    if not _is_kept_there(name):
                        path = Path(folder, name)
                        found[str(path.relative_to(self.lyts.store))] = path.read_bytes()
        return found


def _is_kept_there(name: str) -> bool:
    return name in NOT_SCRAPS or name.startswith("newborns-")


def rename2(old: Path, new: Path, flags: int) -> None:
    """renameat2(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(new))


def refused(number: int, do: object, *args: object) -> None:
    """`do(*args)` fails with this errno."""
    with pytest.raises(OSError, match=r".+") as caught:
        do(*args)  # type: ignore[operator]
    assert errno.errorcode[caught.value.errno or 0] == errno.errorcode[number]


def eventually(what: Any, patience_s: float = PATIENCE_S) -> None:
    """Wait until `what()` holds; looks often, since nothing tells of it."""
    until = time.monotonic() + patience_s
    pause = threading.Event()
    while not what():
        assert time.monotonic() < until, f"did not come to hold within {patience_s} s"
        pause.wait(0.01)


@contextmanager
def mounted(
    home: Path, *how: str, log: Path | None = None, serve: str = SERVE, is_borne: bool = True, tests: int = 1
) -> Iterator[Mounting]:
    """A mounted store below `home`, for so many tests. See the module."""
    need_fuse()
    mounting = Mounting(home, *how, log=log, serve=serve, is_borne=is_borne)
    watch = threading.Timer(WATCH_S * tests, mounting.kill)
    watch.daemon = True
    try:
        mounting.start()
        watch.start()
        yield mounting
        mounting.stop()
    finally:
        watch.cancel()
        mounting.kill()
    mounting.check()


def in_terminal(
    mounting: Mounting, argv: Sequence[str], cwd: Path, typed: Sequence[tuple[str, bytes]], timeout: float = PATIENCE_S
) -> bytes:
    """Run a full-screen program in a pseudo-terminal; `typed`: (what must be seen first, what is typed then)."""
    import pty

    pid, fd = pty.fork()
    if pid == 0:  # pragma: no cover - the other process
        try:
            os.chdir(cwd)
            os.execvpe(argv[0], list(argv), {**os.environ, "TERM": "xterm", "HOME": str(mounting.lyts.home)})
        finally:
            os._exit(127)
    seen = b""
    waiting = list(typed)
    until = time.monotonic() + timeout
    try:
        while True:
            ready, _, _ = select.select([fd], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"{argv!r} said nothing more; seen: {seen[-2000:]!r}")
            try:
                piece = os.read(fd, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            seen += piece
            if waiting and waiting[0][0].encode() in seen:
                os.write(fd, waiting.pop(0)[1])
    finally:
        os.close(fd)
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, seen[-2000:]
    assert not waiting, f"never saw {waiting[0][0]!r} in {seen[-2000:]!r}"
    return seen
