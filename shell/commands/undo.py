"""`lyts undo`: takes back what was done."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.targets import dry_run_option, yes_option

EXAMPLES = """
lyts undo                                  take back what was done last
lyts undo --dry-run                        only say what that would be
lyts log --ids                             what was done, with ids
lyts undo 20261122T101056.123Z             take back one thing of the past
"""


@click.command("undo", cls=Command, examples=EXAMPLES)
@click.argument("action", required=False, metavar="[ACTION]")
@yes_option
@dry_run_option
@click.pass_context
def command(ctx: click.Context, action: str | None, yes: bool, dry_run: bool) -> int:
    """Takes back what was done last.

    Called again, it goes back one more step. What was changed once more since then stays
    as it is, and is named. What came last from another device is shown, and asked about.
    `lyts redo` does it again. Only emptying the trash cannot be undone.
    """
    from shell.undoing import undo_or_redo

    return undo_or_redo(app_of(ctx), action, yes, dry_run, redo=False)
