"""`lyts rm`: moves files to the trash."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.targets import dry_run_option, pick, some_names, targets_and_query, tell_many, yes_option
from shell.text import count_text
from tagfs.errors import EXIT_DONE, EXIT_NOTHING

EXAMPLES = """
lyts rm song.flac             one file; lyts undo brings it back
lyts rm -q draft+year=..2010  all files that a query finds
lyts trash list               what was removed
"""
ASK_ABOVE = 20


@click.command("rm", cls=Command, examples=EXAMPLES)
@targets_and_query
@yes_option
@dry_run_option
@click.pass_context
def command(ctx: click.Context, targets: tuple[str, ...], query: str | None, yes: bool, dry_run: bool) -> int:
    """Moves files to the trash.

    Nothing is deleted: `lyts undo` or `lyts trash restore` brings files back, tags and
    all, until the trash is emptied. More than 20 files by a query are asked about first.
    """
    from tagfs.verbs.trash import remove

    app = app_of(ctx)
    output = app.output
    found = pick(app, targets, query)
    if dry_run:
        output.out.lines(output.name(one.name) for one in found)
        output.say(f"would move {count_text(len(found), 'file')} to the trash")
        return EXIT_DONE
    if query is not None and len(found) > ASK_ABOVE:
        if not output.confirm(f"This moves {count_text(len(found), 'file')} to the trash.", yes):
            return EXIT_NOTHING
        if yes:
            tell_many(app, "removes", len(found), query)
    changed, _ = remove(app.store, found.guids)
    output.line(f"moved {some_names(app, [one.name for one in found], changed)} to the trash")
    return EXIT_DONE
