"""Colours of the line: which part of it is what, and how that looks in each theme.

Nothing is told by colour alone: a command that does not exist is underlined and named
when it is run, what is in quotes has its quotes. `auto` takes the theme for the
background that the terminal tells (COLORFGBG), else one whose colours can be read on
black and on white; a test computes the contrast of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from shell.live import roles, shape
from shell.live.line import Command, parsed
from shell.live.numbers import is_numbers
from shell.live.place import is_relative
from shell.live.program_words import selections
from shell.live.shape import Shape
from tagfs.errors import LytsError

PARTS = (
    *("prompt.place", "prompt.count", "prompt.mark", "preview", "preview.warns", "auto-suggestion"),
    *("command", "unknown", "option", "tag", "file", "number", "path", "program"),
)

THEMES: dict[str, dict[str, str]] = {
    "dark": {
        "prompt.place": "bold #8fd7ff",
        "prompt.count": "#b0b0b0",
        "prompt.mark": "bold",
        "command": "bold #ffffff",
        "unknown": "underline",
        "option": "#d7afff",
        "tag": "#8fd7ff",
        "file": "#afd787",
        "number": "bold #ffd787",
        "path": "#afd787",
        "program": "#ffaf87",
        "preview": "#b0b0b0",
        "preview.warns": "bold #ff9f9f",
        "auto-suggestion": "#8a8a8a",
    },
    "light": {
        "prompt.place": "bold #005f87",
        "prompt.count": "#5a5a5a",
        "prompt.mark": "bold",
        "command": "bold #000000",
        "unknown": "underline",
        "option": "#6a2c91",
        "tag": "#005f87",
        "file": "#2f6a00",
        "number": "bold #7a4a00",
        "path": "#2f6a00",
        "program": "#8a3a00",
        "preview": "#5a5a5a",
        "preview.warns": "bold #a00000",
        "auto-suggestion": "#6c6c6c",
    },
    "both": {
        "prompt.place": "bold #147cb5",
        "prompt.count": "#767676",
        "prompt.mark": "bold",
        "command": "bold",
        "unknown": "underline",
        "option": "#9a57c9",
        "tag": "#147cb5",
        "file": "#4f8307",
        "number": "bold #9b6d08",
        "path": "#4f8307",
        "program": "#b85c1e",
        "preview": "#767676",
        "preview.warns": "bold #d34138",
        "auto-suggestion": "#767676",
    },
    "plain": {"unknown": "underline", "preview.warns": "bold"},
}


def theme_of(setting: str, environ: Mapping[str, str]) -> str:
    """The theme to use."""
    if environ.get("NO_COLOR"):
        return "plain"
    if setting != "auto":
        return setting
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    if not background.isdigit():
        return "both"
    return "light" if int(background) in (7, 15) else "dark"


class Span(NamedTuple):
    """A part of the text; `part` is one of `PARTS`, or "" for what is nothing special."""

    start: int
    end: int
    part: str


_KINDS = {
    shape.TARGET: "file",
    shape.QUERY: "tag",
    shape.TAGS: "tag",
    shape.TAG: "tag",
    shape.SAVED: "tag",
    shape.NODES: "tag",
    shape.PATH: "path",
    shape.COMMAND: "command",
}


def spans(text: str, listed: int, shape_of: Callable[[str], Shape | None]) -> list[Span]:
    """The parts of a text that look otherwise than the rest, in order. Pure."""
    out: list[Span] = []
    for command in parsed(text).commands:
        if command.program is not None:
            out += _program(command, listed)
            continue
        out += _words(command, listed, shape_of)
        if command.into is not None:
            out.append(Span(command.program_at - 1, command.end, "program"))
    return out


def _words(command: Command, listed: int, shape_of: Callable[[str], Shape | None]) -> list[Span]:
    words = command.words
    if words and is_relative(words[0].text):
        return [Span(word.start, word.end, "tag") for word in words]
    out = []
    found = roles.read(words, shape_of)
    for word, role in zip(words, found.roles, strict=True):
        part = _KINDS.get(role.kind, "")
        if role.part == roles.NAME:
            part = "command" if found.shape is not None or word.text == "lyts" else "unknown"
        elif role.part in (roles.OPTION, roles.END):
            part = "option"
        elif role.kind == shape.TARGET and not word.quoted and (word.text == "*" or is_numbers(word.text, listed)):
            part = "number"
        if role.at:
            out.append(Span(word.start, min(word.start + role.at, word.end), "option"))
            out.append(Span(min(word.start + role.at, word.end), word.end, part))
        else:
            out.append(Span(word.start, word.end, part))
    return out


def _program(command: Command, listed: int) -> list[Span]:
    out = [Span(command.start, command.program_at, "program")]
    try:
        found = selections(command.program or "", listed)
    except LytsError:
        return out
    return out + [Span(command.program_at + one.start, command.program_at + one.end, "number") for one in found]
