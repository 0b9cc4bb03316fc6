"""Results to stdout, talk to stderr, progress, questions.

Rules:

- stdout carries results only; everything else goes to stderr.
- Names are written by `name` and `line`: harmless on a terminal, one line a name elsewhere
  (`shell.text`). `raw` writes bytes as they are, for `-0`.
- Colour and progress only on a terminal; nothing is told by colour alone.
- A question needs a terminal at stdin. Without one, what is dangerous is refused.
- Whatever is written is UTF-8, save on a terminal that says it has another encoding.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO

from shell.text import harmless, one_line
from tagfs.errors import BadRequest

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
BUFFER_BYTES = 1 << 16


class NeedsAnswer(BadRequest):
    """Something dangerous was asked for where nobody can be asked."""

    def __init__(self, question: str, option: str = "--yes") -> None:
        super().__init__(
            f"{question} This is not done without being asked, and there is no terminal to ask on. "
            f"To do it anyway: add {option}"
        )


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream leads to a terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


class Stream:
    """One way out. `stream` is None where the process was started with it closed."""

    def __init__(self, stream: TextIO | None, *, color: bool) -> None:
        self.terminal = is_terminal(stream)
        self.color = color
        self._stream = stream
        encoding = getattr(stream, "encoding", None) if self.terminal else None
        self._encoding: str = encoding or "utf-8"
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def name(self, text: str) -> str:
        """A name, or any other text from outside, as it may be written here."""
        return harmless(text) if self.terminal else one_line(text)

    def styled(self, text: str, style: str) -> str:
        """`text` in a style, where there is colour."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.color else text

    def line(self, text: str = "") -> None:
        """A line, as it is: names in it went through `name`."""
        self.raw((text + "\n").encode(self._encoding, "backslashreplace"))

    def lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.line(line)

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if self._stream is None:
            return
        if waiting:
            self._stream.flush()
            buffer = getattr(self._stream, "buffer", None)
            if buffer is None:
                self._stream.write(b"".join(waiting).decode("utf-8", "replace"))
            else:
                buffer.write(b"".join(waiting))
        self._stream.flush()

    def forget(self) -> None:
        """Write nothing any more: whoever read has gone."""
        self._waiting, self._stream = [], None


class Output:
    """Both ways out, and the way in."""

    def __init__(self, environ: Mapping[str, str], color: str = "auto") -> None:
        plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"

        def wanted(stream: TextIO | None) -> bool:
            return color == "always" or (color == "auto" and not plain and is_terminal(stream))

        self.out = Stream(sys.stdout, color=wanted(sys.stdout))
        self.err = Stream(sys.stderr, color=wanted(sys.stderr))
        self._progress: Progress | None = None

    # -- results

    def line(self, text: str = "") -> None:
        """A line of the result."""
        self.out.line(text)

    def json(self, objects: Iterable[Mapping[str, Any]]) -> int:
        """A JSON list, one object a line, written as it comes. Returns how many."""
        from json import dumps

        count = 0
        self.out.raw(b"[")
        for one in objects:
            # On a terminal all but ASCII is \\u-escaped: a name must do no harm there.
            text = dumps(one, ensure_ascii=self.out.terminal)
            self.out.raw((",\n" if count else "\n").encode() + text.encode("utf-8", "backslashreplace"))
            count += 1
        self.out.raw(b"\n]\n")
        return count

    # -- talk

    def say(self, text: str) -> None:
        """A line or more of talk, to stderr; all but the line breaks is made harmless."""
        self._end_progress()
        self.out.flush()
        self.err.line(harmless(text, keep="\n"))
        self.err.flush()

    def name(self, text: str) -> str:
        """A name within a line of the result."""
        return self.out.name(text)

    # -- progress

    def progress(self, what: str) -> Progress:
        """Shows how far something is, on a terminal only."""
        self._end_progress()
        self._progress = Progress(self.err, what)
        return self._progress

    def _end_progress(self) -> None:
        if self._progress is not None:
            self._progress.end()
            self._progress = None

    # -- questions

    def can_ask(self) -> bool:
        """Whether someone sits at a terminal."""
        return is_terminal(sys.stdin) and self.err.terminal

    def confirm(self, question: str, yes: bool, option: str = "--yes") -> bool:
        """Whether to go on with something dangerous. `yes`: it was answered on the command line.

        Raises `NeedsAnswer` where nobody can be asked.
        """
        if yes:
            return True
        if not self.can_ask():
            raise NeedsAnswer(question, option)
        answer = self.ask(f"{question} Go on? [y/N] ").lower()
        if answer in ("y", "yes"):
            return True
        self.say("Nothing was changed.")
        return False

    def agree(self, question: str) -> bool:
        """Whether a person says yes to something that does no harm either way."""
        return self.ask(f"{question} [y/N] ").lower() in ("y", "yes")

    def ask(self, question: str) -> str:
        """What a person types at a question, without blanks around it; "" at the end of input."""
        self._end_progress()
        self.out.flush()
        self.err.raw(harmless(question, keep="\n").encode("utf-8", "backslashreplace"))
        self.err.flush()
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            self.err.line()
        return answer.strip()

    def choose(self, question: str, choices: Sequence[str]) -> list[int]:
        """Which of a numbered list (from 0) are meant; none for an empty answer."""
        rows = [f"  {number}  {harmless(choice)}" for number, choice in enumerate(choices, start=1)]
        self.say("\n".join([question, *rows]))
        while True:
            answer = self.ask("Which? (a number, several as 1,3-5, or all; Enter for none) ")
            if not answer:
                return []
            chosen = read_numbers(answer, len(choices))
            if chosen is not None:
                return chosen
            self.say(f"Please type numbers from 1 to {len(choices)}.")

    def flush(self) -> None:
        self._end_progress()
        self.out.flush()
        self.err.flush()


def read_numbers(text: str, highest: int) -> list[int] | None:
    """The numbers of `1,3-5` (or `all`), from 0, in order; None where the text says something else."""
    if text.strip().lower() == "all":
        return list(range(highest))
    chosen: set[int] = set()
    for part in text.replace(",", " ").split():
        low, dash, high = part.partition("-")
        if not (low.isascii() and low.isdigit()) or (dash and not (high.isascii() and high.isdigit())):
            return None
        first, last = int(low), int(high) if dash else int(low)
        if not 1 <= first <= last <= highest:
            return None
        chosen.update(range(first - 1, last))
    return sorted(chosen) if chosen else None


class Progress:
    """A line on stderr that is written over; nothing at all where stderr is no terminal."""

    EVERY_S = 0.1

    def __init__(self, err: Stream, what: str, now: Callable[[], float] = time.monotonic) -> None:
        self._err = err
        self._what = what
        self._now = now
        # What is done at once shows nothing.
        self._next = now() + 3 * self.EVERY_S
        self._shown = 0

    def show(self, text: str) -> None:
        """How far it is, at most ten times a second."""
        if not self._err.terminal:
            return
        now = self._now()
        if now < self._next:
            return
        self._next = now + self.EVERY_S
        line = harmless(f"{self._what}: {text}")[:78]
        self._err.raw(f"\r{line.ljust(self._shown)}".encode("utf-8", "backslashreplace"))
        self._err.flush()
        self._shown = len(line)

    def of(self, done: int, total: int) -> None:
        """So much of so much."""
        self.show(f"{100 * done // total if total else 100}%")

    def end(self) -> None:
        """Take the line away."""
        if self._shown:
            self._err.raw(("\r" + " " * self._shown + "\r").encode())
            self._err.flush()
            self._shown = 0
