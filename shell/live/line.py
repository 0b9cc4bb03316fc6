"""From a line of text to commands and their words. Pure; no text raises.

The quotes are those people know from other shells, without the rest of their grammar:

    'as it is'   "as it is, but \\" and \\\\"   \\x is x itself
    ;  or a line break   one command, then the next
    |                    what comes out goes into a program; the rest up to ; is for /bin/sh
    !                    as the first character: the rest of the line is for /bin/sh
    #                    at the head of a word: the rest of the line is a remark

There are no variables, no `>` (a query may hold one) and no wildcards but `*` by itself,
which a word that was quoted is not: so `Word.quoted` is kept.
"""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    """A word without its quotes, and where it stands in the line; `quoted` if any of it was."""

    text: str
    start: int
    end: int
    quoted: bool = False


class Command(NamedTuple):
    """One command of a line.

    `program` is what follows a `!`, as typed, and `program_at` where that begins; `into`
    the same of what follows a `|`.
    """

    words: tuple[Word, ...]
    start: int
    end: int
    program: str | None = None
    program_at: int = 0
    into: str | None = None


class Line(NamedTuple):
    """All commands of a text. `open` is the quote (or backslash) that was not closed, "" for none."""

    commands: tuple[Command, ...]
    open: str = ""
    open_at: int = 0


_BLANK = " \t\r\f\v"
_ENDS = ";\n"
_IN_DOUBLE = '"\\'


def parsed(text: str) -> Line:
    """The commands of a text; empty ones are left out, but see `at_end`."""
    reader = _Reader(text)
    commands = []
    while reader.at < len(text):
        found = reader.command()
        if found.words or found.program is not None or found.into is not None:
            commands.append(found)
    return Line(tuple(commands), reader.open, reader.open_at)


class AtEnd(NamedTuple):
    """The command that is being typed at the end of a text, and its last word (empty where a new one begins)."""

    command: Command
    word: Word
    quote: str
    """The quote that is open in it: `'`, `"`, `\\` or ""."""

    @property
    def before(self) -> tuple[Word, ...]:
        """The words before the last one."""
        words = self.command.words
        return words[:-1] if words and words[-1] == self.word else words


def at_end(text: str) -> AtEnd:
    """What is being typed at the end of a text."""
    reader = _Reader(text)
    found = Command((), 0, 0)
    while reader.at < len(text):
        found = reader.command()
    if text[-1:] in _ENDS and not reader.open and found.end < len(text):
        found = Command((), len(text), len(text))
    last = found.words[-1] if found.words else None
    if last is not None and last.end == len(text) and not reader.remark:
        return AtEnd(found, last, reader.open)
    return AtEnd(found, Word("", len(text), len(text)), "")


class _Reader:
    __slots__ = ("at", "open", "open_at", "remark", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.open = ""
        self.open_at = 0
        self.remark = False

    def command(self) -> Command:
        """The command that begins here, up to its end, which is passed over."""
        text = self.text
        words: list[Word] = []
        self.remark = False
        self.blanks()
        start = self.at
        if text[self.at : self.at + 1] == "!":
            self.at += 1
            end = text.find("\n", self.at)
            end = len(text) if end < 0 else end
            program = text[self.at : end]
            begins, self.at = self.at, min(end + 1, len(text))
            return Command((), start, end, program, begins)
        while self.at < len(text):
            ch = text[self.at]
            if ch in _ENDS:
                end = self.at
                self.at += 1
                return Command(tuple(words), start, end)
            if ch == "#":
                end = text.find("\n", self.at)
                self.remark = True
                self.at = len(text) if end < 0 else end
            elif ch == "|":
                self.at += 1
                begins = self.at
                self.raw()
                end = self.at
                self.at = min(end + 1, len(text))
                return Command(tuple(words), start, end, None, begins, text[begins:end])
            else:
                words.append(self.word())
            self.blanks()
        return Command(tuple(words), start, self.at)

    def blanks(self) -> None:
        text = self.text
        while self.at < len(text):
            if text[self.at] in _BLANK:
                self.at += 1
            elif text.startswith("\\\n", self.at):
                self.at += 2
            else:
                return

    def word(self) -> Word:
        text, start = self.text, self.at
        out: list[str] = []
        quoted = False
        while self.at < len(text):
            ch = text[self.at]
            if ch in _BLANK or ch in _ENDS or ch == "|":
                break
            if ch == "\\":
                if self.at + 1 == len(text):
                    self.open, self.open_at = ch, self.at
                elif text[self.at + 1] != "\n":
                    quoted = True
                    out.append(text[self.at + 1])
                self.at = min(self.at + 2, len(text))
            elif ch in "'\"":
                quoted = True
                self.quoted(ch, out)
            else:
                out.append(ch)
                self.at += 1
        return Word("".join(out), start, self.at, quoted)

    def quoted(self, quote: str, out: list[str]) -> None:
        text, opened = self.text, self.at
        self.at += 1
        while self.at < len(text):
            ch = text[self.at]
            if ch == quote:
                self.at += 1
                return
            if quote == '"' and ch == "\\" and text[self.at + 1 : self.at + 2] in ('"', "\\"):
                self.at += 1
                ch = text[self.at]
            out.append(ch)
            self.at += 1
        self.open, self.open_at = quote, opened

    def raw(self) -> None:
        """Pass over what is for another shell, whose quotes may hold a ;."""
        text = self.text
        quote = ""
        while self.at < len(text):
            ch = text[self.at]
            if quote:
                if ch == "\\" and quote == '"':
                    self.at += 1
                elif ch == quote:
                    quote = ""
            elif ch in "'\"":
                quote = ch
            elif ch == "\\":
                self.at += 1
            elif ch in _ENDS:
                break
            self.at += 1
        self.at = min(self.at, len(text))


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=,.:%/@~^()<>&[]{}?$")
_HEADS = "#!"


def spelled(text: str, quote: str = "") -> str:
    """`text` as a word of a line, so that reading it gives `text` again.

    Args:
        quote: the quote to use where one is open already, or one is wanted.
    """
    if not quote and text and text[0] not in _HEADS and all(ch in _PLAIN or _is_letter(ch) for ch in text):
        return text
    if quote == "'" or (quote != '"' and "'" not in text):
        # A quote cannot stand within its own kind: it is closed, written, and opened again.
        return "'" + text.replace("'", "'\\''") + "'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_letter(ch: str) -> bool:
    return not ch.isascii() and ch.isalnum()
