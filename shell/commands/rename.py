"""`lyts rename`: gives a file another name."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.targets import TARGET, pick_one
from tagfs.errors import EXIT_DONE

EXAMPLES = """
lyts rename 'IMG_2041 (1).jpg' Tiber.jpg     by its name
lyts rename 9c0f7be1 Tiber.jpg               by its id
"""


@click.command("rename", cls=Command, examples=EXAMPLES)
@click.argument("target", type=TARGET, metavar="TARGET")
@click.argument("name", metavar="NAME")
@click.pass_context
def command(ctx: click.Context, target: str, name: str) -> int:
    """Gives a file another name.

    Two files may have the same name: what tells them apart is their tags and their ids.
    """
    from tagfs.verbs.naming import check_name, rename

    app = app_of(ctx)
    output = app.output
    wanted = check_name(name)
    old, action = rename(app.store, pick_one(app, target).guid, wanted)
    if action is None:
        output.line(output.name(f"the file is called {wanted} already"))
    else:
        output.line(output.name(f"renamed {old} to {wanted}"))
    return EXIT_DONE
