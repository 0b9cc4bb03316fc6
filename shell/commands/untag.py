"""`lyts untag`: takes tags off files."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.targets import TAGS, dry_run_option, pick, targets_and_query, tell_many
from tagfs.errors import EXIT_DONE

EXAMPLES = """
lyts untag live song.flac            one tag off one file
lyts untag draft,todo -q report      two tags off all files that a query finds
"""


@click.command("untag", cls=Command, examples=EXAMPLES)
@click.argument("tags", type=TAGS, metavar="TAGS")
@targets_and_query
@dry_run_option
@click.pass_context
def command(ctx: click.Context, tags: str, targets: tuple[str, ...], query: str | None, dry_run: bool) -> int:
    """Takes tags off files.

    A tag that a file has only because another one implies it stays: take away that one,
    or the implication (lyts help tags imply). `lyts why FILE` tells which it is.
    """
    from shell.changes import untagged_lines, would_untag
    from tagfs.tag import parse_tag_list
    from tagfs.verbs.tagging import untag

    app = app_of(ctx)
    wanted = parse_tag_list(tags)
    guids = pick(app, targets, query).guids
    if dry_run:
        app.output.out.lines(untagged_lines(app, would_untag(app.store, wanted, guids), dry_run=True))
        return EXIT_DONE
    tell_many(app, "untags", len(guids), query)
    app.output.out.lines(untagged_lines(app, untag(app.store, wanted, guids)))
    return EXIT_DONE
