"""How a command and its help look: what it does in a line, examples, then all else.

A group has a command that runs when no word of the group's follows: `lyts tags jazz`
beside `lyts tags rename A B`. Where a tag or file is called like such a word, `--` says
that it is not meant: `lyts tags -- rename`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from shell.app import App

HELP_WIDTH = 88
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": HELP_WIDTH}

pass_app: Callable[[Callable[..., Any]], Callable[..., Any]] = click.pass_obj


def app_of(ctx: click.Context) -> App:
    """The `App` of a context."""
    return cast("App", ctx.obj)


class Command(click.Command):
    """A command whose help begins with examples."""

    def __init__(self, *args: Any, examples: str = "", **options: Any) -> None:
        options.setdefault("context_settings", SETTINGS)
        super().__init__(*args, **options)
        self.examples = inspect.cleandoc(examples)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        summary, details = summary_and_details(self)
        formatter.write(f"{summary}\n")
        write_examples(formatter, self.examples)
        formatter.write_paragraph()
        self.format_usage(ctx, formatter)
        write_details(formatter, details)
        self.format_options(ctx, formatter)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # The nameless command of a group is called like the group.
        formatter.write_usage(ctx.command_path.strip(), " ".join(self.collect_usage_pieces(ctx)))


class Group(click.Group):
    """Commands below a command, and the one that runs when none of them is named."""

    command_class = Command

    def __init__(self, *args: Any, examples: str = "", **options: Any) -> None:
        options.setdefault("context_settings", SETTINGS)
        super().__init__(*args, **options)
        self.examples = inspect.cleandoc(examples)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = bool(args) and (args[0] in self.commands or args[0] in ("-h", "--help"))
        if not named and not (ctx.resilient_parsing and not args):
            args = ["", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in self.commands if name]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        summary, details = summary_and_details(self)
        formatter.write(f"{summary}\n")
        write_examples(formatter, self.examples)
        formatter.write_paragraph()
        default = self.commands[""]
        with click.Context(default, info_name="", parent=ctx) as inner:
            formatter.write_usage(ctx.command_path, " ".join(default.collect_usage_pieces(inner)))
            formatter.write_usage(ctx.command_path, "COMMAND ...", prefix=" " * len("Usage: "))
            write_details(formatter, details)
            default.format_options(inner, formatter)
        rows = [(name, summary_and_details(self.commands[name])[0]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        found = super().shell_complete(ctx, incomplete)
        default = self.commands[""]
        with default.make_context("", [], parent=ctx, resilient_parsing=True) as inner:
            for param in default.params:
                if isinstance(param, click.Argument):
                    found += param.shell_complete(inner, incomplete)
        return found


def summary_and_details(command: click.Command) -> tuple[str, str]:
    """The first line of a command's help, and the rest."""
    first, _, rest = inspect.cleandoc(command.help or "").partition("\n")
    return first.strip(), rest.strip()


def write_examples(formatter: click.HelpFormatter, examples: str) -> None:
    """Examples as they stand, not filled."""
    if examples:
        formatter.write_paragraph()
        formatter.write("Examples:\n")
        for line in examples.split("\n"):
            formatter.write(f"  {line}\n" if line else "\n")


def write_details(formatter: click.HelpFormatter, details: str) -> None:
    if details:
        formatter.write_paragraph()
        formatter.write_text(details)
