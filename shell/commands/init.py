"""`lyts init`: makes a store."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from tagfs.errors import EXIT_DONE

EXAMPLES = """
lyts init                                    in ~/.local/share/lyts
lyts init --alias laptop                     and call this device "laptop"
lyts --store /media/disk/lyts init           somewhere else (or set LYTS_STORE)
"""


@click.command("init", cls=Command, examples=EXAMPLES)
@click.option("--alias", metavar="NAME", help="What to call this device; its host name, if not said.")
@click.pass_context
def command(ctx: click.Context, alias: str | None) -> int:
    """Makes a store.

    A store is the folder in which lyts keeps your files and what you say about them. You
    need not make one by hand: `lyts add` does it when there is none.
    """
    from shell.making import make_store

    app = app_of(ctx)
    name = make_store(app, alias)
    output = app.output
    output.line(output.name(f"Made a store in {app.root} (this device is called {name})."))
    output.line("Next, take some files in:  lyts add -t music ~/Music/*.flac")
    return EXIT_DONE
