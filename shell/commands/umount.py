"""`lyts umount`: takes a mount away."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from tagfs.errors import EXIT_DONE, BadRequest, NothingMatched

EXAMPLES = """
lyts umount              the one in ~/lyts
lyts umount /tags        another one
"""


@click.command("umount", cls=Command, examples=EXAMPLES)
@click.argument("folder", required=False, type=click.Path(), metavar="[DIR]")
@click.pass_context
def command(ctx: click.Context, folder: str | None) -> int:
    """Takes a mount away.

    DIR is ~/lyts if not given. The files stay in the library. When the command returns
    all is written and the mount's process has ended. While a program is in the folder or
    has a file open there, nothing is done.
    """
    from shell.mounting import END_S, folder_of, wait_for_end, who_serves
    from tagfs.mount.point import FS_TYPE, MountError, mounted_type, unmount

    app = app_of(ctx)
    path = folder_of(app, folder)
    kind = mounted_type(path)
    if kind is None:
        raise NothingMatched(f"nothing is mounted on {path}")
    if kind != FS_TYPE:
        raise BadRequest(f"what is mounted on {path} is not from lyts (it is of type {kind})")
    process = who_serves(dict(app.environ), path)
    unmount(path)
    if process is not None and not wait_for_end(process):
        raise MountError(f"{path} is unmounted, but its process has not ended within {END_S:.0f} s; see mount.log")
    return EXIT_DONE
