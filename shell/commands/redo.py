"""`lyts redo`: does again what was undone."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.targets import dry_run_option, yes_option

EXAMPLES = """
lyts redo                do again what was undone last
lyts redo --dry-run      only say what that would be
"""


@click.command("redo", cls=Command, examples=EXAMPLES)
@yes_option
@dry_run_option
@click.pass_context
def command(ctx: click.Context, yes: bool, dry_run: bool) -> int:
    """Does again what was undone.

    That works as long as nothing else was done after the undo.
    """
    from shell.undoing import undo_or_redo

    return undo_or_redo(app_of(ctx), None, yes, dry_run, redo=True)
