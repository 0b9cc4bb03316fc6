"""`lyts tag`: puts tags on files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from shell.command import Command, app_of
from shell.targets import TAGS, dry_run_option, pick, targets_and_query, tell_many
from tagfs.errors import EXIT_DONE

if TYPE_CHECKING:
    from shell.app import App

EXAMPLES = """
lyts tag music,flac song.flac        a file by its name, or by the path it was added from
lyts tag year=1959 9c0f7be1          by its id; a tag with a value
lyts tag favourite -q music+jazz     all files that a query finds
lyts tag --auto -q type=audio        what music files say of themselves: artist, album, year
"""


@click.command("tag", cls=Command, examples=EXAMPLES)
@click.argument("tags", type=TAGS, metavar="TAGS", required=False)
@targets_and_query
@click.option("--auto", is_flag=True, help="Instead of TAGS: those that the files carry in themselves.")
@dry_run_option
@click.pass_context
def command(
    ctx: click.Context, tags: str | None, targets: tuple[str, ...], query: str | None, auto: bool, dry_run: bool
) -> int:
    """Puts tags on files.

    TAGS are tags with commas between them; a comma or another of / + = % within a tag is
    written %2C and so on. A tag that is not there yet is made. What is printed is what
    has changed.

    With --auto there are no TAGS: music gets artist, album, year and genre, photographs
    camera and date, PDFs author and title, as the files say. A tag with that key that the file
    has already stays as it is, and a tag that you took off is not put back.
    """
    from shell.changes import tagged_lines, would_tag
    from tagfs.tag import parse_tag_list
    from tagfs.verbs.tagging import tag

    app = app_of(ctx)
    if auto:
        return _auto(app, targets if tags is None else (tags, *targets), query, dry_run)
    if tags is None:
        raise click.MissingParameter(ctx=ctx, param=ctx.command.params[0])
    wanted = parse_tag_list(tags)
    guids = pick(app, targets, query).guids
    if dry_run:
        app.output.out.lines(tagged_lines(app, would_tag(app.store, wanted, guids), dry_run=True))
        return EXIT_DONE
    tell_many(app, "tags", len(guids), query)
    done = tag(app.store, wanted, guids)
    for note in done.notes:
        app.output.say(f"Note: {note}")
    app.output.out.lines(tagged_lines(app, done))
    return EXIT_DONE


def _auto(app: App, targets: Sequence[str], query: str | None, dry_run: bool) -> int:
    from shell.commands.add import tell_unread
    from shell.text import count_text
    from tagfs.tag import escape_tag
    from tagfs.verbs.auto import tag_auto

    guids = pick(app, targets, query).guids
    shown = app.output.progress("Looking into files")
    try:
        done = tag_auto(app.store, guids, dry_run=dry_run, progress=shown.of)
    finally:
        shown.end()
    if dry_run:
        for name, tags in done.tagged:
            app.output.line(app.output.name(f"{name}  {','.join(map(escape_tag, tags))}"))
    verb = "would tag" if dry_run else "tagged"
    counts = ", ".join(f"{key} {count:,}" for key, count in done.by_key().items())
    rest = f"; looked into {count_text(done.looked, 'file')}" if len(done.tagged) != done.looked else ""
    app.output.line(f"{verb} {count_text(len(done.tagged), 'file')}" + (f" ({counts})" if counts else "") + rest)
    if done.absent:
        app.output.say(f"{count_text(done.absent, 'file')} could not be looked into: the bytes are on another device")
    tell_unread(app, done.unread)
    return EXIT_DONE
