"""`lyts enable`: mounts and syncs at every login."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shell.command import Command, app_of
from tagfs.errors import EXIT_DONE, BadRequest

if TYPE_CHECKING:
    from shell.app import App
    from tagfs.layout import Layout

EXAMPLES = """
lyts enable              from now on your library is always in ~/lyts
lyts enable --no-mount   only syncing, as on a server
lyts disable             no longer
"""


@click.command("enable", cls=Command, examples=EXAMPLES)
@click.argument("folder", required=False, type=click.Path(), metavar="[DIR]")
@click.option("--no-mount", is_flag=True, help="Only what syncs with your other devices.")
@click.pass_context
def command(ctx: click.Context, folder: str | None, no_mount: bool) -> int:
    """Mounts the library now and at every login, and syncs.

    DIR is ~/lyts if not given. Syncing is started if it was set up before (lyts sync up, or
    lyts node join). This writes units for your own systemd
    (~/.config/systemd/user/lyts-mount.service and lyts-sync.service); nothing needs root.
    How they are: systemctl --user status lyts-mount lyts-sync
    """
    from shell.login import SYNC_UNIT, UNIT, enable, sync_unit_text, this_program, unit_text
    from shell.mounting import Wanted, check_wanted, folder_of
    from tagfs.layout import Layout, read_info

    app = app_of(ctx)
    if no_mount and folder is not None:
        raise BadRequest("with --no-mount there is no folder")
    path = folder_of(app, folder)
    if not no_mount:
        check_wanted(app, Wanted(path))
    layout = Layout(app.root)
    read_info(layout)  # raises where there is no store: better now than at the next login
    units = {} if no_mount else {UNIT: unit_text(this_program(), path, layout.root)}
    syncs = _is_set_up(layout)
    if syncs:
        units[SYNC_UNIT] = sync_unit_text(this_program(), layout.root, app.environ.get("LYTS_SYNCTHING"))
        _leave_it_to_systemd(app)
    elif no_mount:
        raise BadRequest("syncing is not set up for this store: lyts sync up, or lyts node join")
    written = enable(dict(app.environ), units)
    if not no_mount:
        app.output.line(f"your library is in {app.output.name(path)}, now and after every login")
    if syncs:
        app.output.line("it is synced with your other devices, now and after every login")
    app.output.say(f"(Written: {', '.join(written)}; lyts disable takes it away.)")
    return EXIT_DONE


def _is_set_up(layout: Layout) -> bool:
    """Whether this store has a Syncthing."""
    import os

    from sync.syncthing.managed import config_path

    return os.path.exists(config_path(layout.syncthing)) or os.path.exists(layout.sync_settings)


def _leave_it_to_systemd(app: App) -> None:
    """End a daemon that runs in the background: there is one a store, and it is to be systemd's."""
    from shell.login import ask_systemd
    from shell.service import end
    from shell.syncing import managed_of

    ask_systemd(dict(app.environ), "show-environment")  # not before it is known that there is a systemd
    end(app, managed_of(app))
