"""`lyts mount`: makes the library a folder, in which every query is a directory."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from tagfs.errors import EXIT_DONE

EXAMPLES = """
lyts mount                   your library is in ~/lyts: cd ~/lyts/tags/music+flac
lyts mount /media/library    elsewhere; the folder must be empty, or is made
lyts mount --tags /tags      only the tags, so that it is: cd /tags/music+flac
lyts umount                  takes it away again; the files stay in the library
"""


@click.command("mount", cls=Command, examples=EXAMPLES)
@click.argument("folder", required=False, type=click.Path(), metavar="[DIR]")
@click.option("--tags", "tags_only", is_flag=True, help="DIR itself is the directory of tags.")
@click.option("--read-only", is_flag=True, help="Programs can look at everything and change nothing.")
@click.option("--allow-other", is_flag=True, help="Other users of this machine may use it too.")
@click.option("--foreground", is_flag=True, help="Stay, and tell on stderr what happens, until Ctrl-C or SIGTERM.")
@click.pass_context
def command(
    ctx: click.Context, folder: str | None, tags_only: bool, read_only: bool, allow_other: bool, foreground: bool
) -> int:
    """Makes the library a folder, in which every query is a directory.

    DIR is ~/lyts if not given. Every program can then use the files: tags/music+flac holds
    the files with both tags, and saving, moving, renaming and removing there is understood
    (docs/mount.md). The command returns once the folder can be used; the mount goes on in
    the background and writes to ~/.local/state/lyts/mount.log. `lyts enable` does it at
    every login.
    """
    from shlex import quote

    from shell.mounting import Wanted, check_wanted, folder_of, serve, serve_in_background

    app = app_of(ctx)
    output = app.output
    path = folder_of(app, folder)
    wanted = Wanted(path, tags_only=tags_only, read_only=read_only, allow_other=allow_other)
    check_wanted(app, wanted)

    def tell() -> None:
        again = "lyts umount" if folder is None else f"lyts umount {output.name(quote(folder))}"
        output.line(f"your library is in {output.name(path)} ({again} ends that)")
        output.flush()

    if foreground:
        serve(app, wanted, tell, to_stderr=True)
    else:
        serve_in_background(app, wanted)
        tell()
    return EXIT_DONE
