"""A person at a terminal: `lyts` in a real pseudo-terminal, and what they see of it (pyte).

    with Screen(lyts) as screen:
        screen.until("lyts (3) > ")
        screen.type("cd mus\\t\\r")
        screen.until("music (2) > ")

Nothing sleeps: `until` reads what comes until it is to be seen. What a person types is
typed only when the prompt is there, as people do.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from typing import Self

import pyte

from tests.support.command import PATIENCE_S, START, Lyts


class Screen:
    """A terminal of so many columns and rows, with `lyts WORDS` running in it."""

    def __init__(
        self, lyts: Lyts, *words: str, columns: int = 80, rows: int = 24, env: dict[str, str] | None = None
    ) -> None:
        self.columns, self.rows = columns, rows
        self._screen = pyte.HistoryScreen(columns, rows, history=5_000)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.code: int | None = None
        environ = lyts.env | {"TERM": "xterm-256color"} | (env or {})
        self.pid, self._fd = pty.fork()
        if self.pid == 0:  # pragma: no cover - the other process
            try:
                os.chdir(lyts.files)
                _set_size(0, rows, columns)
                os.execve(sys.executable, [*START, *words], environ)
            finally:
                os._exit(127)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.code is None:
            os.close(self._fd)
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    # -- looking

    @property
    def lines(self) -> list[str]:
        """What is to be seen now, without blanks at the ends of lines and below."""
        shown = [line.rstrip() for line in self._screen.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def shown(self) -> list[dict[int, pyte.screens.Char]]:
        """Each row as cells, with their colours."""
        return [{x: self._screen.buffer[y][x] for x in range(self.columns)} for y in range(self.rows)]

    @property
    def all_text(self) -> str:
        """With what was scrolled away."""
        gone = ["".join(line[x].data for x in range(self.columns)).rstrip() for line in self._screen.history.top]
        return "\n".join([*gone, *self.lines])

    @property
    def line(self) -> str:
        """The line in which the cursor is."""
        return self._screen.display[self._screen.cursor.y].rstrip()

    def until(self, wanted: str | Callable[[Screen], object]) -> Screen:
        """Wait until a text is to be seen, or something is true."""
        found = (lambda screen: wanted in screen.text) if isinstance(wanted, str) else wanted
        until = time.monotonic() + PATIENCE_S
        while not found(self):
            assert self.code is None, f"it ended ({self.code}) before {wanted!r}:\n{self.all_text}"
            assert self._read(until), f"never saw {wanted!r}; what is there:\n{self.text}"
        assert "Traceback" not in self.all_text, self.all_text
        return self

    def prompt(self, text: str) -> Screen:
        """Wait for a prompt with nothing typed yet."""
        return self.until(lambda screen: screen.line == text)

    def _read(self, until: float) -> bool:
        """Take in what comes next. False where nothing comes."""
        if not select.select([self._fd], [], [], max(0.0, until - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:  # EIO: the other end is closed
            data = b""
        if not data:
            _, status = os.waitpid(self.pid, 0)
            self.code = os.waitstatus_to_exitcode(status)
            os.close(self._fd)
            return True
        self.raw += data
        self._stream.feed(data)
        return True

    # -- doing

    def type(self, text: str) -> Screen:
        os.write(self._fd, text.encode())
        return self

    def paste(self, text: str) -> Screen:
        """As a terminal does that marks what is pasted."""
        return self.type(f"\x1b[200~{text}\x1b[201~")

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._screen.resize(rows, columns)
        _set_size(self._fd, rows, columns)

    def end(self) -> int:
        """Wait until it has ended; its exit code."""
        until = time.monotonic() + PATIENCE_S
        while self.code is None:
            assert self._read(until), f"it does not end:\n{self.text}"
        return self.code


def _set_size(fd: int, rows: int, columns: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
