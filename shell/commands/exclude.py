"""`lyts exclude`: devices may know files no longer."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.placing import nodes_option
from shell.targets import dry_run_option, targets_and_query

EXAMPLES = """
lyts exclude --nodes server -q diary             the server is told nothing of these any more
lyts exclude --nodes tablet,phone letter.odt     nor these two of that letter
lyts exclude --nodes server -q diary --dry-run   what that would mean
lyts find -- -knows=server                       what the server may not know
lyts include --nodes server letter.odt           take it back; lyts undo does, too
"""


@click.command("exclude", cls=Command, examples=EXAMPLES)
@nodes_option
@targets_and_query
@dry_run_option
@click.pass_context
def command(
    ctx: click.Context, nodes: tuple[str, ...], targets: tuple[str, ...], query: str | None, dry_run: bool
) -> int:
    """Keeps files from devices, and tells them nothing more.

    An excluded device forgets the file once it hears of it, and gives up its bytes once a
    device that keeps the file has proven to have them. Whatever any device that knows of this
    says about the file from then on, its tags, notes and contents, goes only to the devices
    that may know it.

    It cannot take back what a device has read before: that stands in the ledgers on its
    disk, and may have been copied elsewhere. A device that is away is told things until those
    that make them have heard of this. And every device still knows that there is a file
    with this id that some may not know, and which devices share something with each other;
    tags themselves (which tag implies which), rules and saved queries are known to all.
    """
    from shell.placing import chosen, known, tell_shown
    from shell.targets import pick
    from sync.verbs.knowing import leaving_out, show

    app = app_of(ctx)
    found = pick(app, targets, query)
    around = known(app)
    shown = show(app.store, found.guids, leaving_out(chosen(app, around, nodes)), around.around, dry_run=dry_run)
    return tell_shown(app, around, shown, dry_run=dry_run, out=True)
