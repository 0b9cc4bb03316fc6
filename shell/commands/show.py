"""`lyts show`: what is known about a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from shell.command import Group, app_of
from shell.targets import TARGET, json_option, pick_one
from shell.text import date_text, harmless, size_text
from tagfs.errors import EXIT_DONE

if TYPE_CHECKING:
    from shell.app import App

EXAMPLES = """
lyts show song.flac             everything known about a file
lyts show notes song.flac       only its notes, as they are
lyts show tags song.flac        only its tags, one a line
lyts show -- notes              the file that is called "notes"
"""


@click.group("show", cls=Group, examples=EXAMPLES)
def command() -> None:
    """Shows what is known about a file.

    TARGET is a name, the path a file was added from, or an id or its first 8 digits or
    more. A removed file is shown too, where no other answers to the name.
    """


@command.command("", examples=EXAMPLES, help=command.help)
@click.argument("targets", nargs=-1, required=True, type=TARGET, metavar="TARGET...")
@json_option
@click.pass_context
def show_all(ctx: click.Context, targets: tuple[str, ...], as_json: bool) -> int:
    from shell.rows import objects

    app = app_of(ctx)
    found = [pick_one(app, target, also_trash=True) for target in targets]
    known = objects(app.store, list(dict.fromkeys(one.guid for one in found)))
    if as_json:
        app.output.json(known)
        return EXIT_DONE
    for number, one in enumerate(known):
        if number:
            app.output.line()
        _print_file(app, one)
    return EXIT_DONE


def _print_file(app: App, one: dict[str, Any]) -> None:
    from tagfs.face import extension
    from tagfs.mime import types_of_ext
    from tagfs.tag import escape_tag

    output = app.output
    output.line(output.out.styled(output.name(one["name"]), "bold"))
    kind = types_of_ext(extension(one["name"]))
    came = f", from {one['from']}" if one["from"] else ""
    size = size_text(one["size_bytes"]) + (f" ({one['size_bytes']:,} bytes)" if one["size_bytes"] >= 1000 else "")
    lines = [
        ("id", one["guid"]),
        ("tags", ", ".join(map(escape_tag, one["tags"])) or "(none)"),
        ("size", size),
        ("type", kind or "(unknown)"),
        ("modified", date_text(_ms(one["modified"]))),
        ("added", date_text(_ms(one["added"])) + came),
        ("held by", ", ".join(one["holds"]) or "(nobody)"),
        ("bytes", one["path"] or "(not on this device)"),
        ("sha256", one["sha256"]),
    ]
    if one["trashed"]:
        lines.append(("trash", "this file was removed; lyts trash restore brings it back"))
    for label, text in lines:
        output.line(f"  {label:<9} {output.name(text)}")
    if one["notes"]:
        output.line("  notes")
        for line in one["notes"].split("\n"):
            output.line(f"    {output.name(line)}".rstrip())


def _ms(utc: str) -> int:
    from tagfs.fact import parse_time_ns

    return (parse_time_ns(utc) or 0) // 1_000_000


NOTES_EXAMPLES = """
lyts show notes song.flac       print the notes of a file
lyts show -- notes              the file that is called "notes"
"""


@command.command("notes", examples=NOTES_EXAMPLES)
@click.argument("target", type=TARGET, metavar="TARGET")
@json_option
@click.pass_context
def show_notes(ctx: click.Context, target: str, as_json: bool) -> int:
    """Prints the notes of a file, as they are."""
    app = app_of(ctx)
    one = _known(app, target)
    if as_json:
        app.output.json([{key: one[key] for key in ("guid", "name", "notes")}])
    elif one["notes"]:
        text = one["notes"]
        app.output.line(harmless(text, keep="\n\t") if app.output.out.terminal else text)
    else:
        app.output.say(f"{one['name']} has no notes.")
    return EXIT_DONE


TAGS_EXAMPLES = """
lyts show tags song.flac        print the tags of a file, one a line
lyts show -- tags               the file that is called "tags"
"""


@command.command("tags", examples=TAGS_EXAMPLES)
@click.argument("target", type=TARGET, metavar="TARGET")
@json_option
@click.pass_context
def show_tags(ctx: click.Context, target: str, as_json: bool) -> int:
    """Prints the tags of a file, one a line."""
    from tagfs.tag import escape_tag

    app = app_of(ctx)
    one = _known(app, target)
    tags: Sequence[str] = one["tags"]
    if as_json:
        app.output.json([{key: one[key] for key in ("guid", "name", "tags")}])
    elif tags:
        app.output.out.lines(app.output.name(escape_tag(tag)) for tag in tags)
    else:
        app.output.say(f"{one['name']} has no tags.")
    return EXIT_DONE


def _known(app: App, target: str) -> dict[str, Any]:
    from shell.rows import objects
    from tagfs.errors import NothingMatched

    found = objects(app.store, [pick_one(app, target, also_trash=True).guid])
    if not found:
        raise NothingMatched(f"no file in your library is called {target!r}")
    return found[0]
