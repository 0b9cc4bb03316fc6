"""`lyts disable`: mounts and syncs no longer at every login."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from tagfs.errors import EXIT_DONE, NothingMatched

EXAMPLES = """
lyts disable             takes back what lyts enable did
"""


@click.command("disable", cls=Command, examples=EXAMPLES)
@click.pass_context
def command(ctx: click.Context) -> int:
    """Mounts and syncs the library no longer at every login.

    The mount and syncing end, and the units that `lyts enable` wrote are removed. The files
    stay in the library; `lyts mount` and `lyts sync up` work as before.
    """
    from shell.login import SYNC_UNIT, UNIT, disable

    app = app_of(ctx)
    gone = disable(dict(app.environ))
    if not gone:
        raise NothingMatched("nothing is started at login; there is nothing to take back")
    if UNIT in gone:
        app.output.line("the library is no longer mounted at login")
    if SYNC_UNIT in gone:
        app.output.line("it is no longer synced at login")
    return EXIT_DONE
