"""`lyts include`: devices may know files again."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.placing import nodes_option
from shell.targets import dry_run_option, targets_and_query

EXAMPLES = """
lyts include --nodes server letter.odt       the server may know it again
lyts include --nodes tablet -q -knows=tablet and the tablet all that was kept from it
"""


@click.command("include", cls=Command, examples=EXAMPLES)
@nodes_option
@targets_and_query
@dry_run_option
@click.pass_context
def command(
    ctx: click.Context, nodes: tuple[str, ...], targets: tuple[str, ...], query: str | None, dry_run: bool
) -> int:
    """Lets devices know files again that lyts exclude kept from them.

    They are told all that is known of the file by now. A device that kept its bytes when it
    was excluded gets them again; to others lyts restore brings them.
    """
    from shell.placing import chosen, known, tell_shown
    from shell.targets import pick
    from sync.verbs.knowing import show, taking_in

    app = app_of(ctx)
    found = pick(app, targets, query)
    around = known(app)
    shown = show(app.store, found.guids, taking_in(chosen(app, around, nodes)), around.around, dry_run=dry_run)
    return tell_shown(app, around, shown, dry_run=dry_run, out=False)
