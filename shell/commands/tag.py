"""`lyts tag`: puts tags on files."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.targets import TAGS, dry_run_option, pick, targets_and_query, tell_many
from tagfs.errors import EXIT_DONE

EXAMPLES = """
lyts tag music,flac song.flac        a file by its name, or by the path it was added from
lyts tag year=1959 9c0f7be1          by its id; a tag with a value
lyts tag favourite -q music+jazz     all files that a query finds
"""


@click.command("tag", cls=Command, examples=EXAMPLES)
@click.argument("tags", type=TAGS, metavar="TAGS")
@targets_and_query
@dry_run_option
@click.pass_context
def command(ctx: click.Context, tags: str, targets: tuple[str, ...], query: str | None, dry_run: bool) -> int:
    """Puts tags on files.

    TAGS are tags with commas between them; a comma or another of / + = % within a tag is
    written %2C and so on. A tag that is not there yet is made. What is printed is what
    has changed.
    """
    from shell.changes import tagged_lines, would_tag
    from tagfs.tag import parse_tag_list
    from tagfs.verbs.tagging import tag

    app = app_of(ctx)
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
