"""`lyts reduce`: devices keep the bytes of files no longer."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.placing import nodes_option
from shell.targets import dry_run_option, targets_and_query

EXAMPLES = """
lyts reduce film.mkv                             this device keeps it no longer
lyts reduce --nodes tablet -q 'video+size=100MB..'
                                                 free space on the tablet, from any device
lyts reduce --nodes tablet -q video --dry-run    how much that would be
lyts undo                                        take it back, also half-way
"""


@click.command("reduce", cls=Command, examples=EXAMPLES)
@nodes_option
@targets_and_query
@dry_run_option
@click.pass_context
def command(
    ctx: click.Context, nodes: tuple[str, ...], targets: tuple[str, ...], query: str | None, dry_run: bool
) -> int:
    """Lets devices keep the bytes of files no longer.

    The files stay in the library and are listed on all devices as before; lyts restore
    brings their bytes back. Any device can be told, from any other, also while it is away: it
    lets go once another that keeps the file has proven to have it, and not before. The
    last device that keeps a file goes on keeping it.
    """
    from shell.placing import chosen, known, tell_placed
    from shell.targets import pick
    from sync.verbs.placement import place, without

    app = app_of(ctx)
    found = pick(app, targets, query)
    around = known(app)
    choice = without(chosen(app, around, nodes))
    placed = place(app.store, found.guids, choice, around.around, dry_run=dry_run)
    return tell_placed(app, around, placed, dry_run=dry_run)
