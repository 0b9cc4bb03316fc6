"""`lyts fsck`: checks the store."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.targets import json_option
from shell.text import count_text
from tagfs.errors import EXIT_DONE, EXIT_NOTHING

EXAMPLES = """
lyts fsck             do ledgers, index and files agree?
lyts fsck --deep      and is every byte still the one that was put in?
"""


@click.command("fsck", cls=Command, examples=EXAMPLES)
@click.option("--deep", is_flag=True, help="Read all bytes and compare their SHA-256; takes as long as reading them.")
@json_option
@click.pass_context
def command(ctx: click.Context, deep: bool, as_json: bool) -> int:
    """Checks the store: ledgers, index, bytes.

    It only looks, and changes nothing. The exit status is 1 when something is found.
    """
    from tagfs.check.fsck import fsck
    from tagfs.term import ALL_TERM

    app = app_of(ctx)
    output = app.output
    shown = output.progress("Checking")
    found = fsck(app.store, deep, lambda what, done, total: shown.show(f"{what}, {done:,} of {total:,}"))
    shown.end()
    if as_json:
        output.json(one._asdict() for one in found)
        return EXIT_NOTHING if found else EXIT_DONE
    for one in found:
        output.line(f"{one.kind}: {output.name(one.where)}: {output.name(one.what)}")
        if one.hint:
            output.line(f"  {output.name(one.hint)}")
    if found:
        output.say(f"{count_text(len(found), 'thing is not as it should be', 'things are not as they should be')}.")
        return EXIT_NOTHING
    files = app.store.read(lambda view: view.count(ALL_TERM))
    read = "every byte was read; " if deep else ""
    output.line(f"{read}all is as it should be ({count_text(files, 'file')})")
    return EXIT_DONE
