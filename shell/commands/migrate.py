"""`lyts migrate`: brings the store to the format of this lyts."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.targets import dry_run_option
from tagfs.errors import EXIT_DONE, EXIT_NOTHING

EXAMPLES = """
lyts migrate --dry-run     what there is to do
lyts migrate               do it; the old ledgers are kept beside the new
"""


@click.command("migrate", cls=Command, examples=EXAMPLES)
@dry_run_option
@click.pass_context
def command(ctx: click.Context, dry_run: bool) -> int:
    """Brings the store to the format of this lyts.

    Needed only when a new version of lyts says so. The store is the old one or the new
    one at any moment, whatever happens; running it again finishes what was interrupted.
    """
    from migrations.runner import run

    app = app_of(ctx)
    shown = app.output.progress("Migrating")
    report = run(
        app.root,
        progress=lambda what, done, total: shown.show(f"{what}, {done:,} of {total:,}"),
        dry_run=dry_run,
        on_wait=app.tell_waiting,
    )
    shown.end()
    app.output.line(app.output.name(report.sentence()))
    return EXIT_NOTHING if dry_run and report.plan.problems else EXIT_DONE
