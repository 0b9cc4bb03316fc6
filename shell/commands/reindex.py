"""`lyts reindex`: makes the index again."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.text import count_text
from tagfs.errors import EXIT_DONE

EXAMPLES = """
lyts reindex      read all ledgers again; safe at any time
"""


@click.command("reindex", cls=Command, examples=EXAMPLES)
@click.pass_context
def command(ctx: click.Context) -> int:
    """Makes the index again.

    The index is what answers queries; everything in it comes from the ledgers, so nothing
    is lost when it is made again. lyts does it by itself when it must.
    """
    from tagfs.term import ALL_TERM

    app = app_of(ctx)
    if app.store.read_only:
        raise app.store.refusal()
    app.store.rebuild("you asked for it")
    files = app.store.read(lambda view: view.count(ALL_TERM))
    app.output.line(f"made the index again: {count_text(files, 'file')}")
    return EXIT_DONE
