"""`lyts` itself: the table of commands, the options before a command, the help.

A command's module is imported when it is called or its help is asked for, never for
another's sake: that is how a command starts at once. The line about each stands in the
table, so that `lyts help` loads none of them; a test compares it with the command's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import click

from shell.command import SETTINGS, app_of


class Entry(NamedTuple):
    """A command: the heading it stands under in the help, and what it does."""

    heading: str
    summary: str


_BEGIN, _FIND = "Begin", "Find and look"
_TAG, _MIND, _MOUNT = "Tag and tidy", "Change your mind", "In folders, for all programs"
_DEVICES, _CARE, _HELP = "On several devices", "Look after the store", "Help"

TABLE: dict[str, Entry] = {
    "init": Entry(_BEGIN, "Makes a store."),
    "add": Entry(_BEGIN, "Takes files in."),
    "import": Entry(_BEGIN, "Takes files in with the tags they have elsewhere."),
    "export": Entry(_BEGIN, "Copies files out, with their tags and notes."),
    "shell": Entry(_BEGIN, "Opens the shell to live in, or runs lines of it."),
    "find": Entry(_FIND, "Finds files by their tags."),
    "search": Entry(_FIND, "Finds files by the words in them."),
    "tags": Entry(_FIND, "Lists tags, and changes tags themselves."),
    "show": Entry(_FIND, "Shows what is known about a file."),
    "why": Entry(_FIND, "Explains where a file's tags come from, and where its bytes are."),
    "save": Entry(_FIND, "Gives a query a name."),
    "tag": Entry(_TAG, "Puts tags on files."),
    "untag": Entry(_TAG, "Takes tags off files."),
    "notes": Entry(_TAG, "Writes notes to a file."),
    "rename": Entry(_TAG, "Gives a file another name."),
    "merge": Entry(_TAG, "Makes files with the same bytes one."),
    "rm": Entry(_TAG, "Moves files to the trash."),
    "undo": Entry(_MIND, "Takes back what was done last."),
    "redo": Entry(_MIND, "Does again what was undone."),
    "trash": Entry(_MIND, "Lists removed files, brings them back, or deletes them for good."),
    "log": Entry(_MIND, "Tells what was done, when, and on which device."),
    "versions": Entry(_MIND, "Lists the contents a file has had."),
    "mount": Entry(_MOUNT, "Makes the library a folder, in which every query is a directory."),
    "umount": Entry(_MOUNT, "Takes a mount away."),
    "enable": Entry(_MOUNT, "Mounts the library now and at every login, and syncs."),
    "disable": Entry(_MOUNT, "Mounts and syncs the library no longer at every login."),
    "where": Entry(_DEVICES, "Shows where the bytes of a file are."),
    "conflicts": Entry(_DEVICES, "Lists edits of one file on two devices, and settles which is to stay."),
    "reduce": Entry(_DEVICES, "Lets devices keep the bytes of files no longer."),
    "restore": Entry(_DEVICES, "Has devices keep the bytes of files, beside those that do."),
    "exclude": Entry(_DEVICES, "Keeps files from devices, and tells them nothing more."),
    "include": Entry(_DEVICES, "Lets devices know files again that lyts exclude kept from them."),
    "node": Entry(_DEVICES, "Lists your devices, invites new ones, renames and forgets them."),
    "sync": Entry(_DEVICES, "Starts, ends and shows what moves files between your devices."),
    "doctor": Entry(_CARE, "Looks whether all is set up well."),
    "fsck": Entry(_CARE, "Checks the store: ledgers, index, bytes."),
    "readme": Entry(_CARE, "Makes the pages that explain the store."),
    "reindex": Entry(_CARE, "Makes the index again."),
    "recover": Entry(_CARE, "Builds a store out of whatever is left of others."),
    "migrate": Entry(_CARE, "Brings the store to the format of this lyts."),
    "help": Entry(_HELP, "Explains a command."),
    "completion": Entry(_HELP, "Prints what makes Tab complete lyts commands in your shell."),
}

ALIASES = {"ls": "find"}
_MODULES = {"import": "import_"}
"""Where a command is a word of Python's."""


class Root(click.Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(TABLE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in TABLE:
            return None
        command: click.Command = import_module(f"shell.commands.{_MODULES.get(name, name)}").command
        return command

    def known_words(self) -> list[str]:
        """All words that name a command."""
        return [*TABLE, *ALIASES]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None:
            if ctx.resilient_parsing:
                return None, None, args[1:]
            ctx.fail(unknown_command(name, self.known_words()))
        return ALIASES.get(name, name), command, args[1:]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=entry.summary) for name, entry in TABLE.items() if name.startswith(incomplete)
        ]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write("lyts keeps files by what they are: you put tags on them, and find them by any mix of tags.\n")
        formatter.write_paragraph()
        formatter.write("Examples:\n")
        for line in EXAMPLES:
            formatter.write(f"  {line}\n")
        formatter.write_paragraph()
        formatter.write_usage("lyts", "[OPTIONS] COMMAND ...")
        for heading in dict.fromkeys(entry.heading for entry in TABLE.values()):
            with formatter.section(heading):
                # One width for all headings.
                formatter.write_dl([(f"{name:<10}", e.summary) for name, e in TABLE.items() if e.heading == heading])
        self.format_options(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text("lyts help COMMAND explains a command, with examples. `ls` is another name of `find`.")

    # click's own would append the commands again
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        click.Command.format_options(self, ctx, formatter)


EXAMPLES = (
    "lyts add -t music,jazz ~/Music/*.flac     take files in, with two tags",
    "lyts find music+jazz                      files that have both",
    "lyts find music+flac,mp3+-live            music, as flac or mp3, not live",
    "lyts tag favourite 'Blue Kitchen.flac'    one more tag",
    "lyts undo                                 or rather not",
)


def unknown_command(name: str, known: Sequence[str]) -> str:
    """What to say of a command that there is none of."""
    from tagfs.query.suggest import did_you_mean, near

    words = [word for word, _ in near(name, [(one, 0) for one in known], limit=2)]
    hint = did_you_mean(words) or "lyts help lists the commands"
    return f"there is no command {name!r}; {hint}"


@click.group(
    "lyts",
    cls=Root,
    invoke_without_command=True,
    context_settings=SETTINGS,
    add_help_option=True,
)
@click.option("--store", metavar="DIR", help="The store to use; else $LYTS_STORE, else ~/.local/share/lyts.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default=None,
    help="Colour: auto is on a terminal only. NO_COLOR is honoured.",
)
@click.option("--version", is_flag=True, help="Print the version.")
@click.pass_context
def root(ctx: click.Context, store: str | None, color: str | None, version: bool) -> int | None:
    app = app_of(ctx)
    app.settings(store, color)
    if version:
        from shell.main import VERSION

        app.output.line(f"lyts {VERSION}")
        ctx.exit(0)
    if ctx.invoked_subcommand is None:
        if app.output.out.terminal and app.output.can_ask():
            from shell.live.start import interactive

            return interactive(app, color or "auto")
        from shell.overview import show_overview

        return show_overview(app)
    return None
