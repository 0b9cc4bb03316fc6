"""`lyts reindex`: makes the index again, or the full text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shell.command import Command, app_of
from shell.text import count_text
from tagfs.errors import EXIT_DONE

if TYPE_CHECKING:
    from shell.app import App

EXAMPLES = """
lyts reindex          read all ledgers again; safe at any time
lyts reindex --text   read all files again for lyts search
"""


@click.command("reindex", cls=Command, examples=EXAMPLES)
@click.option("--text", is_flag=True, help="The full text, instead of the index.")
@click.pass_context
def command(ctx: click.Context, text: bool) -> int:
    """Makes the index again.

    The index is what answers queries; everything in it comes from the ledgers, so nothing
    is lost when it is made again. The full text, which answers lyts search, comes from the
    files themselves. lyts makes either again by itself when it must.
    """
    from tagfs.term import ALL_TERM

    app = app_of(ctx)
    if app.store.read_only:
        raise app.store.refusal()
    if text:
        return _read_all(app)
    app.store.rebuild("you asked for it")
    files = app.store.read(lambda view: view.count(ALL_TERM))
    app.output.line(f"made the index again: {count_text(files, 'file')}")
    return EXIT_DONE


def _read_all(app: App) -> int:
    from tagfs.text.indexing import index_all

    progress = app.output.progress("reading files")
    done = index_all(app.store, app.store.machine.random_bytes, told=progress.of)
    progress.end()
    for name, why in done.troubles:
        app.output.say(f"{app.output.name(name)}: found by its name only ({why})")
    app.output.line(f"made the full text again: {count_text(done.files, 'file')}")
    return EXIT_DONE
