"""`lyts readme`: makes what the store explains itself with."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.targets import json_option
from shell.text import count_text
from tagfs.errors import EXIT_DONE, EXIT_TROUBLE

EXAMPLES = """
lyts readme                  make all pages now
lyts readme --dry-run        only tell which would be other than they are
"""


@click.command("readme", cls=Command, examples=EXAMPLES)
@click.option("--dry-run", is_flag=True, help="Write nothing; tell what would be written.")
@json_option
@click.pass_context
def command(ctx: click.Context, dry_run: bool, as_json: bool) -> int:
    """Makes the pages that explain the store.

    README.md, index.html and its pages, index.csv, manifest-sha256.txt, FORMAT.md and two
    scripts let anybody find and copy your files without lyts: in a browser, a spreadsheet,
    a shell. They stand in the store, and in the folder of each set of devices of which this
    device is the first. lyts makes them by itself when something changes; this does it now.
    Only what is other than before is written.

    The README also says whom to ask. Write that into ~/.config/lyts/config.toml:
    [readme] and below it contact = "My sister Eva, 030 1234567".
    """
    import os

    from tagfs.recovery.contact import contact_of, settings_path
    from tagfs.recovery.keeping import at_work, keep_up

    app = app_of(ctx)
    output, store = app.output, app.store
    if store.read_only:
        raise store.refusal()
    with at_work(store.layout, lambda: output.say("Waiting for another lyts process, which is making pages…")):
        shown = output.progress("Making pages")
        kept = keep_up(store, app.environ, all_now=True, dry_run=dry_run)
        shown.end()
    if as_json:
        output.json(
            {"folder": os.path.join(store.layout.root, where), "written": done.written, "removed": done.removed}
            for where, done in kept.done
        )
    else:
        for where, done in kept.done:
            output.line(_line(output.name(os.path.join(store.layout.root, where).rstrip("/")), done, dry_run))
            for path in (*done.written, *done.removed) if dry_run else ():
                output.line(f"  {output.name(path)}")
    for sentence in kept.trouble:
        output.say(f"lyts: {sentence}")
    if not kept.trouble and not contact_of(app.environ) and not as_json:
        output.say(f"The README does not say whom to ask. To have it say so, write into {settings_path(app.environ)}:")
        output.say('  [readme]\n  contact = "My sister Eva, 030 1234567"')
    return EXIT_TROUBLE if kept.trouble else EXIT_DONE


def _line(where: str, done: object, dry_run: bool) -> str:
    from tagfs.recovery.files import Changed

    assert isinstance(done, Changed)
    if not done.written and not done.removed:
        return f"{where}: {count_text(done.same, 'file')}, all current"
    words = "would be written" if dry_run else "written"
    gone = f", {len(done.removed):,} removed" if done.removed else ""
    return f"{where}: {count_text(len(done.written), 'file')} {words}{gone}, {done.same:,} as before"
