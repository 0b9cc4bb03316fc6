"""`lyts disable`: mounts no longer at every login."""

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
    """Mounts the library no longer at every login.

    The mount ends, and the unit that `lyts enable` wrote is removed. The files stay in the
    library; `lyts mount` works as before.
    """
    from shell.login import disable

    app = app_of(ctx)
    if not disable(dict(app.environ)):
        raise NothingMatched("nothing is started at login; there is nothing to take back")
    app.output.line("the library is no longer mounted at login")
    return EXIT_DONE
