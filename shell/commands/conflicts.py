"""`lyts conflicts`: edits of one file on two devices that did not know of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from shell.command import Group, app_of
from shell.targets import TARGET, dry_run_option, json_option, targets_and_query
from shell.text import count_text, date_text, listed, size_text, table, utc_text
from tagfs.errors import EXIT_DONE, NothingMatched

if TYPE_CHECKING:
    from shell.app import App
    from shell.placing import Known
    from sync.verbs.conflicts import Choice, Conflict, Side

EXAMPLES = """
lyts conflicts                                  which there are
lyts conflicts show song.flac                   both: where they are, and their hashes
lyts conflicts settle song.flac --keep other    the other one is right
"""


@click.group("conflicts", cls=Group, examples=EXAMPLES)
def command() -> None:
    """Lists edits of one file on two devices, and settles which is to stay.

    Where a file was changed on two devices that did not know of each other, both contents
    are kept: one as the file, the other as a file beside it, called `song (laptop,
    2026-11-22).flac`, with the same tags and the tag `conflict`. Look at both, and say
    which one is to stay, or that both are.
    """


@command.command("", examples=EXAMPLES, help=command.help)
@json_option
@click.pass_context
def nameless(ctx: click.Context, as_json: bool) -> int:
    return _list(ctx, as_json)


@command.command("list", examples="lyts conflicts list       which there are")
@json_option
@click.pass_context
def list_conflicts(ctx: click.Context, as_json: bool) -> int:
    """Lists edits of one file on two devices: who edited what when, and the sizes.

    The file comes first, what stands beside it below.
    """
    return _list(ctx, as_json)


def _list(ctx: click.Context, as_json: bool) -> int:
    from sync.verbs.conflicts import conflicts

    app = app_of(ctx)
    found = conflicts(app.store)
    names = _names(app)
    if as_json:
        app.output.json(conflict_object(one, names) for one in found)
        return EXIT_DONE
    if not found:
        app.output.say("No file was edited on two devices at once.")
        return EXIT_DONE
    app.output.out.lines(table(list(_rows(app, found, names)), right=(1,)))
    app.output.say(f"{count_text(len(found), 'conflict')}. To see and settle one: lyts conflicts show, settle")
    return EXIT_DONE


def _rows(app: App, found: Sequence[Conflict], names: dict[str, str]) -> Iterator[list[str]]:
    from sync.verbs.conflicts import NOT_MET

    for one in found:
        for number, side in enumerate(one.sides):
            lead = "  " if number and one.state != NOT_MET else ""
            mark = " (not met yet)" if one.state == NOT_MET else ""
            yield [
                side.guid[:8],
                size_text(side.size_bytes),
                date_text(side.edited_ms),
                app.output.name(names.get(side.node, side.node)),
                app.output.name(f"{lead}{side.name}{mark}"),
            ]


SHOW_EXAMPLES = """
lyts conflicts show song.flac          both versions: names, hashes, sizes, where they are
lyts conflicts show song.flac --json   the same for programs
"""


@command.command("show", examples=SHOW_EXAMPLES)
@click.argument("target", type=TARGET, metavar="TARGET")
@json_option
@click.pass_context
def show_conflict(ctx: click.Context, target: str, as_json: bool) -> int:
    """Shows the versions of a file in full: names, hashes, sizes, who edited, where the bytes are.

    TARGET is the file or what stands beside it.
    """
    from shell.placing import known
    from shell.targets import pick_one
    from sync.verbs.conflicts import about, conflicts

    app = app_of(ctx)
    one = pick_one(app, target)
    found = about(conflicts(app.store), [one.guid])
    if not found:
        raise NothingMatched(f"{one.name!r} was not edited on two devices at once, or that was settled")
    around = known(app)
    if as_json:
        app.output.json(conflict_object(conflict, dict(around.names)) for conflict in found)
        return EXIT_DONE
    for conflict in found:
        for side in conflict.sides:
            app.output.line(app.output.out.styled(app.output.name(side.name), "bold"))
            for what, text in _in_full(side, around):
                app.output.line(f"  {what:<8} {app.output.name(text)}")
        app.output.say(_what_next(conflict, around))
    return EXIT_DONE


def _in_full(side: Side, around: Known) -> Iterator[tuple[str, str]]:
    names = around.names
    yield "id", side.guid
    yield "edited", f"{date_text(side.edited_ms)} on {names.get(side.node, side.node)}"
    yield "size", size_text(side.size_bytes)
    yield "sha256", side.sha256
    yield "kept by", listed(sorted(names.get(node, node[:8]) for node in side.holds)) or "nobody"
    yield "here", side.path or "its bytes are not on this device"


def _what_next(conflict: Conflict, around: Known) -> str:
    from sync.verbs.conflicts import ALONE, NOT_MET

    if conflict.state == ALONE:
        return "The file that this was made beside is gone. To keep this as a file of its own: --keep this"
    if conflict.state == NOT_MET:
        nodes = {side.node for side in conflict.sides} - {around.around.me}
        who = listed(sorted(around.names.get(node, node) for node in nodes))
        return f"They become two files once the devices that have them are connected: {who}."
    return "To settle it: lyts conflicts settle NAME --keep this, other or both."


SETTLE_EXAMPLES = """
lyts conflicts settle song.flac --keep this       what it has; the other goes to the trash
lyts conflicts settle song.flac --keep other      the other version instead
lyts conflicts settle song.flac --keep both       two files from now on
lyts conflicts settle -q conflict --keep other    of all: what the files have
lyts conflicts settle a.txt --keep this --dry-run    only say what that would do
"""


@command.command("settle", examples=SETTLE_EXAMPLES)
@targets_and_query
@click.option(
    "--keep",
    type=click.Choice(["this", "other", "both"]),
    required=True,
    help="The version of the file named, the other one, or both as two files.",
)
@dry_run_option
@click.pass_context
def settle_conflicts(ctx: click.Context, targets: tuple[str, ...], query: str | None, keep: str, dry_run: bool) -> int:
    """Settles which version of a file is to stay.

    `this` is the version of the file you name: name the file, or what stands beside it.
    Whichever you keep, the file stays the same one, with its name, tags and history; it gets
    the tags and notes that the other was given since, and the other goes to the trash. If
    the file takes the bytes of the other, those it had stay as an earlier version (lyts
    versions). `both` takes the tag `conflict` off, and leaves two files.

    `lyts undo` takes it back. Settled on one device, it is settled on all.
    """
    from shell.targets import pick
    from sync.verbs.conflicts import about, choices, conflicts, settle

    app = app_of(ctx)
    guids = pick(app, targets, query).guids
    chosen = choices(about(conflicts(app.store), set(guids)), set(guids), keep)
    if not dry_run:
        settle(app.store, chosen)
    app.output.out.lines(app.output.name(line) for line in map(settled_line, chosen))
    if dry_run:
        app.output.say("Nothing was changed: this is what would be done.")
    return EXIT_DONE


def settled_line(choice: Choice) -> str:
    """What became of a file and what stood beside it. Pure."""
    from sync.verbs.conflicts import BOTH, COPY

    copy, file = choice.copy, choice.file
    if choice.keep == BOTH or file is None:
        return f"{copy.name}: stays, as a file of its own"
    if choice.keep == COPY:
        return f"{file.name}: has the contents of {copy.name}, which went to the trash; what it had is a version of it"
    return f"{file.name}: stays as it is; {copy.name} went to the trash"


def _names(app: App) -> dict[str, str]:
    from sync.nodes import nodes_of
    from sync.verbs.naming import aliases

    return dict(aliases(app.store.read(nodes_of)))


def conflict_object(conflict: Conflict, names: dict[str, str]) -> dict[str, Any]:
    """What `--json` gives."""
    return {
        "name": conflict.sides[0].name,
        "state": conflict.state,
        "versions": [
            {
                "guid": side.guid,
                "name": side.name,
                "sha256": side.sha256,
                "size_bytes": side.size_bytes,
                "modified": side.modified,
                "edited": utc_text(side.edited_ms * 1_000_000),
                "node": names.get(side.node, side.node),
                "holds": sorted(names.get(node, node) for node in side.holds),
                "path": side.path,
            }
            for side in conflict.sides
        ],
    }
