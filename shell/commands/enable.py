"""`lyts enable`: mounts at every login."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from tagfs.errors import EXIT_DONE

EXAMPLES = """
lyts enable              from now on your library is always in ~/lyts
lyts disable             no longer
"""


@click.command("enable", cls=Command, examples=EXAMPLES)
@click.argument("folder", required=False, type=click.Path(), metavar="[DIR]")
@click.pass_context
def command(ctx: click.Context, folder: str | None) -> int:
    """Mounts the library now and at every login.

    DIR is ~/lyts if not given. This writes a unit for your own systemd
    (~/.config/systemd/user/lyts-mount.service); nothing needs root. How it is:
    systemctl --user status lyts-mount
    """
    from shell.login import enable
    from shell.mounting import Wanted, check_wanted, folder_of
    from tagfs.layout import Layout, read_info

    app = app_of(ctx)
    path = folder_of(app, folder)
    check_wanted(app, Wanted(path))
    read_info(Layout(app.root))  # raises where there is no store: better now than at the next login
    where = enable(dict(app.environ), path, app.root)
    app.output.line(f"your library is in {app.output.name(path)}, now and after every login")
    app.output.say(f"(The unit is {where}; lyts disable takes it away.)")
    return EXIT_DONE
