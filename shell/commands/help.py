"""`lyts help`: explains a command."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from tagfs.errors import EXIT_DONE

EXAMPLES = """
lyts help                  all commands
lyts help find             one of them, with examples
lyts help tags rename      a command of a command
"""


@click.command("help", cls=Command, examples=EXAMPLES)
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...]) -> int:
    """Explains a command."""
    app = app_of(ctx)
    root = ctx.find_root().command
    here: click.Command = root
    parent = click.Context(root, info_name="lyts", obj=app, **root.context_settings)
    for word in words:
        if not isinstance(here, click.Group):
            break  # `lyts help find music`: the help of find is what is wanted
        name, found, _ = here.resolve_command(parent, [word])
        assert found is not None  # else resolve_command had failed
        here = found
        parent = click.Context(here, info_name=name, parent=parent, obj=app, **here.context_settings)
    app.output.line(here.get_help(parent))
    return EXIT_DONE
