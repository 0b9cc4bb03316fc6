"""Runs `lyts` for tests: as a process of its own, within this one, or in a pseudo-terminal.

`Lyts` has a store and a home of its own below a temporary folder. Called, it starts a
real process. `quick` does the same within this process, a hundred times faster; it does
not fake anything but the streams, of which none is a terminal. `terminal` starts a real
process whose three streams are a pseudo-terminal, types, and returns what is seen.
"""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import ANY

ROOT = Path(__file__).resolve().parents[2]
START = [sys.executable, "-P", "-c", "import sys; from shell.main import main; sys.exit(main())"]
PATIENCE_S = 60.0


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Lyts:
    """The command, with a store below `home`. Arguments may be bytes, as the system has them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = home / "store"
        self.files = home / "files"
        self.files.mkdir(parents=True, exist_ok=True)
        self.env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": str(ROOT),
            # Without it every process would compile anew where the checkout is not to be written to.
            # One for the whole session (see `conftest`): to compile it all takes seconds.
            "PYTHONPYCACHEPREFIX": os.path.join(os.environ.get("XDG_CACHE_HOME", home.parent), "pycache"),
            "HOME": str(home),
            "LYTS_STORE": str(self.store),
            "XDG_STATE_HOME": str(home / "state"),
            "LYTS_BACKGROUND": "no",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }

    def file(self, name: str | bytes, content: str | bytes | None = None) -> str:
        """A file of the person's; its path. Its content is its name, if none is given."""
        path = os.path.join(os.fsencode(self.files), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = os.fsencode(name) if content is None else content.encode() if isinstance(content, str) else content
        with open(path, "wb") as file:
            file.write(data)
        return os.fsdecode(path)

    def __call__(
        self,
        *words: str | bytes,
        stdin: str = "",
        env: dict[str, str] | None = None,
        code: int | None = 0,
        prepare: Callable[[], None] | None = None,
    ) -> Result:
        """Run it as a process; `code` is the exit code that is expected, None for any."""
        done = subprocess.run(
            [*START, *words],
            input=stdin.encode(),
            capture_output=True,
            env=self.env | (env or {}),
            cwd=self.files,
            timeout=PATIENCE_S * 4,
            check=False,
            preexec_fn=prepare,
        )
        out, err = (data.decode("utf-8", "surrogateescape") for data in (done.stdout, done.stderr))
        return _expected(Result(done.returncode, out, err), code, words)

    def quick(self, *words: str, env: dict[str, str] | None = None, code: int | None = 0) -> Result:
        """Run it within this process."""
        return _expected(run_here(words, self.env | (env or {}), self.files), code, words)

    def json(self, *words: str, code: int | None = 0) -> list[dict[str, Any]]:
        """What a command gives with `--json`."""
        found: list[dict[str, Any]] = json.loads(self.quick(*words, "--json", code=code).out)
        assert isinstance(found, list)
        return found

    def names(self, *query: str) -> list[str]:
        """The names that a query finds, sorted; `[]` for none."""
        return sorted(self.quick("find", *query, code=None).lines)

    def check(self) -> None:
        """After whatever a test did: ledgers, index and bytes agree."""
        if (self.store / "store.toml").exists():
            assert self.quick("fsck", "--deep", code=None) == Result(0, ANY, "")

    def terminal(self, *words: str | bytes, typed: Sequence[tuple[str, str]] = (), columns: int = 80) -> Result:
        """Run it in a pseudo-terminal. `typed`: (what must be seen first, what is typed then)."""
        pid, fd = pty.fork()
        if pid == 0:  # pragma: no cover - the other process
            try:
                os.chdir(self.files)
                os.execve(sys.executable, [*START, *words], self.env | {"TERM": "xterm", "COLUMNS": str(columns)})
            finally:
                os._exit(127)
        seen = b""
        waiting = list(typed)
        until = time.monotonic() + PATIENCE_S
        try:
            while True:
                ready, _, _ = select.select([fd], [], [], max(0.0, until - time.monotonic()))
                assert ready, f"nothing came any more; seen so far: {seen!r}"
                try:
                    piece = os.read(fd, 1 << 16)
                except OSError:  # EIO: the other end is closed
                    break
                if not piece:
                    break
                seen += piece
                if waiting and waiting[0][0].encode() in seen:
                    os.write(fd, waiting.pop(0)[1].encode())
        finally:
            os.close(fd)
            _, status = os.waitpid(pid, 0)
        assert not waiting, f"never saw {waiting[0][0]!r} in {seen!r}"
        text = seen.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
        return Result(os.waitstatus_to_exitcode(status), text, "")


def run_here(words: Sequence[str], env: dict[str, str], folder: Path) -> Result:
    """Run a command within this process, as if in `folder`."""
    from shell.run import run

    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    before, stdin = os.getcwd(), sys.stdin
    os.chdir(folder)
    sys.stdin = io.StringIO()
    try:
        with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
            found = run(list(words), env)
    finally:
        sys.stdin = stdin
        os.chdir(before)
    out, err = (s.buffer.getvalue().decode("utf-8", "surrogateescape") for s in streams)
    return Result(found, out, err)


def _expected(result: Result, code: int | None, words: Sequence[str | bytes]) -> Result:
    assert code is None or result.code == code, f"lyts {words!r} gave {result}"
    assert "Traceback" not in result.err, result.err
    return result
