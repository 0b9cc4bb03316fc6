"""What a command takes: its options, its arguments, the commands below it. Values only.

`Shapes` reads them from click when a command is first asked about, so that the shell
starts without loading any. Everything that looks at a line (completion, preview,
colours, numbers) goes by these, so a new command of lyts needs no line in the shell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import click

TEXT, PATH, NUMBER, CHOICE, COMMAND = "text", "path", "number", "choice", "command"
TARGET, QUERY, TAGS, TAG, SAVED, NODES = "target", "query", "tags", "tag", "saved", "nodes"
KINDS = (TEXT, PATH, NUMBER, CHOICE, COMMAND, TARGET, QUERY, TAGS, TAG, SAVED, NODES)


class Option(NamedTuple):
    """An option; `kind` is that of its value, None for one that takes none."""

    kind: str | None
    help: str = ""
    choices: tuple[str, ...] = ()


class Argument(NamedTuple):
    """An argument; `many` if it takes all words that are left."""

    kind: str
    many: bool = False
    choices: tuple[str, ...] = ()


class Shape(NamedTuple):
    """A command."""

    name: str
    summary: str = ""
    options: Mapping[str, Option] = {}
    arguments: tuple[Argument, ...] = ()
    below: Mapping[str, Shape] = {}

    @property
    def takes_query(self) -> bool:
        """Whether `-q QUERY` goes with it."""
        option = self.options.get("-q")
        return option is not None and option.kind == QUERY


_HELP = {"--help": Option(None, "Show this message and exit."), "-h": Option(None)}
_CLICK_KINDS = {"integer": NUMBER, "number": NUMBER, "path": PATH, "filename": PATH, "directory": PATH}


def shape_of(command: click.Command, name: str) -> Shape:
    """The shape of a click command."""
    options: dict[str, Option] = {}
    arguments: list[Argument] = []
    whole = command
    if isinstance(command, click.Group):
        command = command.commands.get("", command)
    for param in command.params:
        kind, choices = _kind(param.type)
        if isinstance(param, click.Option):
            takes = None if param.is_flag or param.count else kind
            for spelled in (*param.opts, *param.secondary_opts):
                options[spelled] = Option(takes, param.help or "", choices)
        else:
            arguments.append(Argument(kind, param.nargs == -1, choices))
    below = {}
    if isinstance(whole, click.Group):
        below = {word: shape_of(whole.commands[word], word) for word in whole.commands if word}
    summary = (whole.help or "").strip().partition("\n")[0]
    return Shape(name, summary, {**options, **_HELP}, tuple(arguments), below)


def _kind(type_: Any) -> tuple[str, tuple[str, ...]]:
    if isinstance(type_, click.Choice):
        return CHOICE, tuple(map(str, type_.choices))
    return (type_.name if type_.name in KINDS else _CLICK_KINDS.get(type_.name, TEXT)), ()


class Shapes:
    """The shapes of all commands of a group, each made when it is asked for."""

    def __init__(self, group: click.Group, summaries: Mapping[str, str]) -> None:
        self._group = group
        self._context = click.Context(group, info_name="lyts")
        self._made: dict[str, Shape | None] = {}
        self.summaries = summaries
        """What each command does, in a line; known without loading it."""

    def get(self, name: str) -> Shape | None:
        """The shape of a command, None where there is none."""
        if name not in self._made:
            command = self._group.get_command(self._context, name)
            self._made[name] = None if command is None else shape_of(command, name)
        return self._made[name]
