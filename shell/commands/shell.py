"""`lyts shell`: the shell, and lines of it from a script."""

from __future__ import annotations

import sys

import click

from shell.command import Command, app_of
from tagfs.errors import BadRequest

EXAMPLES = """
lyts shell                                opens it; lyts alone does too, on a terminal
lyts shell -c 'cd music+flac; ls'         lines of it, and no prompt
lyts shell tidy.lyts                      from a file
echo 'cd draft; rm *' | lyts shell        from a pipe
"""


@click.command("shell", cls=Command, examples=EXAMPLES)
@click.argument("file", required=False, type=click.Path(), metavar="[FILE]")
@click.option("-c", "--command", "line", metavar="LINE", help="Run this, and end.")
@click.option("-k", "--keep-going", is_flag=True, help="Go on after a command that failed.")
@click.pass_context
def command(ctx: click.Context, file: str | None, line: str | None, keep_going: bool) -> int:
    """Opens the shell to live in, or runs lines of it.

    At a prompt that shows where you are and how many files are there, all commands work
    without the word lyts; cd goes to a query, ls numbers what is there, and tag jazz 3-7
    uses the numbers. Tab completes; help there explains the rest (docs/shell.md).

    With -c, a FILE or a pipe there is no prompt, and the same lines do the same. The first
    command that fails ends the script, and its exit status is that of the whole; with
    --keep-going the rest is run as well.
    """
    from shell.live.start import interactive, script

    app = app_of(ctx)
    color = ctx.find_root().params.get("color") or "auto"
    if line is not None and file is not None:
        raise BadRequest("lines with -c, or a file of them: one of the two, please")
    if line is not None:
        return script(app, color, line, keep_going)
    if file is not None and file != "-":
        try:
            with open(file, "rb") as script_file:
                text = script_file.read().decode("utf-8", "replace")
        except OSError as exc:
            raise BadRequest(f"{file} cannot be read: {exc.strerror}") from None
        return script(app, color, text, keep_going)
    if file is None and app.output.out.terminal and app.output.can_ask():
        return interactive(app, color)
    return script(app, color, sys.stdin.buffer.read().decode("utf-8", "replace"), keep_going)
