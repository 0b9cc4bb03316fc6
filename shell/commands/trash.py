"""`lyts trash`: removed files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from shell.command import Group, app_of
from shell.targets import TARGET, dry_run_option, json_option, pick_in_trash, some_names, yes_option
from shell.text import count_text, date_text, size_text, table, utc_text
from tagfs.errors import EXIT_DONE, EXIT_NOTHING, EXIT_TROUBLE, BadRequest

if TYPE_CHECKING:
    from tagfs.verbs.trash import InTrash

EXAMPLES = """
lyts trash                            what is in the trash
lyts trash restore song.flac          bring a file back, tags and all
lyts trash empty --older-than 30d     delete for good what was removed 30 days ago or earlier
"""


@click.group("trash", cls=Group, examples=EXAMPLES)
def command() -> None:
    """Lists removed files, brings them back, or deletes them for good.

    `lyts rm` moves files here. Here they keep their bytes, names and tags, but no query
    finds them.
    """


@command.command("", examples=EXAMPLES, help=command.help)
@json_option
@click.pass_context
def nameless(ctx: click.Context, as_json: bool) -> int:
    return _list(ctx, as_json)


@command.command("list", examples="lyts trash list       what is in the trash, removed last first")
@json_option
@click.pass_context
def list_trash(ctx: click.Context, as_json: bool) -> int:
    """Lists removed files, removed last first."""
    return _list(ctx, as_json)


def _list(ctx: click.Context, as_json: bool) -> int:
    from tagfs.guid import short
    from tagfs.verbs.trash import in_trash

    app = app_of(ctx)
    output = app.output
    files = in_trash(app.store)
    if as_json:
        output.json(
            {
                "guid": one.guid,
                "name": one.name,
                "size_bytes": one.size_bytes,
                "removed": utc_text(one.removed_ms * 1_000_000),
            }
            for one in files
        )
        return EXIT_DONE
    rows = [
        [short(one.guid), size_text(one.size_bytes), date_text(one.removed_ms), output.name(one.name)] for one in files
    ]
    output.out.lines(table(rows, right=(1,)))
    total = size_text(sum(one.size_bytes for one in files))
    output.say(f"{count_text(len(files), 'file')} in the trash ({total})." if files else "The trash is empty.")
    return EXIT_DONE


RESTORE_EXAMPLES = """
lyts trash restore song.flac      by its name
lyts trash restore 9c0f7be1       by its id
lyts trash restore --all          everything
"""


@command.command("restore", examples=RESTORE_EXAMPLES)
@click.argument("targets", nargs=-1, type=TARGET, metavar="[TARGET]...")
@click.option("--all", "everything", is_flag=True, help="All files in the trash.")
@dry_run_option
@click.pass_context
def restore_files(ctx: click.Context, targets: tuple[str, ...], everything: bool, dry_run: bool) -> int:
    """Brings files back from the trash, with their tags and notes."""
    from tagfs.verbs.trash import in_trash, restore

    app = app_of(ctx)
    output = app.output
    if everything == bool(targets):
        raise BadRequest("say which files to bring back: their names or ids, or --all for everything")
    if everything:
        found = [(one.guid, one.name) for one in in_trash(app.store)]
        if not found:
            output.say("The trash is empty.")
            return EXIT_NOTHING
    else:
        found = [(one.guid, one.name) for one in pick_in_trash(app, targets)]
    if dry_run:
        output.out.lines(output.name(name) for _, name in found)
        output.say(f"would bring back {count_text(len(found), 'file')}")
        return EXIT_DONE
    changed, _ = restore(app.store, [guid for guid, _ in found])
    output.line(f"brought back {some_names(app, [name for _, name in found], changed)}")
    return EXIT_DONE


EMPTY_EXAMPLES = """
lyts trash empty                      delete all removed files for good; asks first
lyts trash empty --older-than 30d     only what was removed 30 days ago or earlier
lyts trash empty song.flac            only this one
"""


@command.command("empty", examples=EMPTY_EXAMPLES)
@click.argument("targets", nargs=-1, type=TARGET, metavar="[TARGET]...")
@click.option(
    "--older-than", metavar="AGE", help="Only files removed so long ago: 30d (days), 4w (weeks), 12h (hours)."
)
@yes_option
@dry_run_option
@click.pass_context
def empty_trash(ctx: click.Context, targets: tuple[str, ...], older_than: str | None, yes: bool, dry_run: bool) -> int:
    """Deletes removed files for good, and frees their space.

    This is the one thing that cannot be undone.
    """
    from tagfs.verbs.trash import empty, in_trash

    app = app_of(ctx)
    output = app.output
    age_ms = None if older_than is None else parse_age_ms(older_than)
    files: list[InTrash] = in_trash(app.store)
    if targets:
        wanted = {one.guid for one in pick_in_trash(app, targets)}
        files = [one for one in files if one.guid in wanted]
    if age_ms is not None:
        latest_ms = app.clock().now_ms - age_ms
        files = [one for one in files if one.removed_ms <= latest_ms]
    if not files:
        output.say("There is nothing to delete.")
        return EXIT_NOTHING
    size = size_text(sum(one.size_bytes for one in files))
    if dry_run:
        output.out.lines(output.name(one.name) for one in files)
        output.say(f"would delete {count_text(len(files), 'file')} for good ({size})")
        return EXIT_DONE
    question = f"This deletes {count_text(len(files), 'file')} ({size}) for good; it cannot be undone."
    if not output.confirm(question, yes):
        return EXIT_NOTHING
    done = empty(app.store, [one.guid for one in files])
    output.line(f"deleted {count_text(done.files, 'file')} for good, freed {size_text(done.freed_bytes)}")
    names = {one.guid: one.name for one in files}
    for guid, why in done.left:
        output.say(f"{names.get(guid, guid)}: its bytes could not be removed ({why}); lyts fsck names them")
    return EXIT_TROUBLE if done.left else EXIT_DONE


_UNITS_MS = {"h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}


def parse_age_ms(text: str) -> int:
    """The milliseconds of `30d`, `4w` or `12h`. Raises `BadRequest`."""
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", text.strip().lower())
    if found is None:
        raise BadRequest(f"{text!r} is no age: write 30d for days, 4w for weeks, 12h for hours")
    return int(found[1]) * _UNITS_MS[found[2]]
