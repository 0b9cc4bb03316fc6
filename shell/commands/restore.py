"""`lyts restore`: devices keep the bytes of files again."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.placing import nodes_option
from shell.targets import dry_run_option, targets_and_query

EXAMPLES = """
lyts restore film.mkv                        bring it to this device
lyts restore --nodes tablet,server film.mkv  have these keep it as well
lyts restore --nodes server -q photo         one more copy of all photographs
lyts restore -q music --dry-run              how much would come here
"""


@click.command("restore", cls=Command, examples=EXAMPLES)
@nodes_option
@targets_and_query
@dry_run_option
@click.pass_context
def command(
    ctx: click.Context, nodes: tuple[str, ...], targets: tuple[str, ...], query: str | None, dry_run: bool
) -> int:
    """Has devices keep the bytes of files, beside those that do.

    Any device can be told, from any other, also while it is away: the bytes come when it is
    connected with one that has them. lyts where tells how far that is, lyts undo takes it
    back. What was removed comes back with lyts trash restore.
    """
    from shell.placing import chosen, known, tell_placed
    from shell.targets import pick
    from sync.verbs.placement import also, place

    app = app_of(ctx)
    found = pick(app, targets, query)
    around = known(app)
    choice = also(chosen(app, around, nodes))
    placed = place(app.store, found.guids, choice, around.around, dry_run=dry_run)
    return tell_placed(app, around, placed, dry_run=dry_run)
