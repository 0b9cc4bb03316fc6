"""`lyts why`: where a file's tags come from, and where its bytes are."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.targets import TARGET, json_option, pick_one
from shell.text import date_text, utc_text
from tagfs.errors import EXIT_DONE

EXAMPLES = """
lyts why song.flac      who put each tag on it, and what it answers to because of them
"""


@click.command("why", cls=Command, examples=EXAMPLES)
@click.argument("target", type=TARGET, metavar="TARGET")
@json_option
@click.pass_context
def command(ctx: click.Context, target: str, as_json: bool) -> int:
    """Explains where a file's tags come from, and where its bytes are."""
    from shell.commands.where import placed_object, placed_text
    from tagfs.tag import escape_tag
    from tagfs.verbs.why import why

    app = app_of(ctx)
    output = app.output
    found = why(app.store, pick_one(app, target, also_trash=True).guid)
    if as_json:
        output.json(
            [
                {
                    "guid": found.guid,
                    "name": found.face.name,
                    "added": utc_text(found.born_ms * 1_000_000),
                    "added_on": found.born_on,
                    "tags": [
                        {
                            "tag": one.tag,
                            "spelled": one.spelled,
                            "added": [{"at": utc_text(at_ms * 1_000_000), "node": node} for at_ms, node in one.added],
                        }
                        for one in found.tags
                    ],
                    "implied": found.implied,
                    "holds": found.holds,
                    "unknown_to": found.unknown_to,
                    "path": found.bytes_at,
                    "placed": placed_object(found.placed),
                }
            ]
        )
        return EXIT_DONE
    lines = [output.out.styled(output.name(found.face.name), "bold")]
    came = f" from {found.face.from_folder}" if found.face.from_folder else ""
    lines.append(output.name(f"  added {date_text(found.born_ms)} on {found.born_on}{came}"))
    for one in found.tags:
        given = ", ".join(f"{date_text(at_ms)} on {node}" for at_ms, node in one.added)
        spelled = f", written {escape_tag(one.spelled)}" if one.spelled != one.tag else ""
        lines.append(output.name(f"  {escape_tag(one.tag)}: put on it {given}{spelled}"))
    for tag, causes in found.implied.items():
        lines.append(
            output.name(f"  {escape_tag(tag)}: answers to it, because of {', '.join(map(escape_tag, causes))}")
        )
    if not found.tags:
        lines.append("  no tags")
    if found.face.trashed:
        lines.append("  in the trash: no query finds it")
    kept = ", ".join(found.holds) or "nobody"
    lines.append(output.name(f"  its bytes are kept by {kept}: {placed_text(found.placed)}"))
    if found.placed.action is not None and found.placed.how != "born":
        lines.append(output.name(f"  to take that back: lyts undo {found.placed.action}"))
    if found.unknown_to:
        lines.append(output.name(f"  not known to {', '.join(found.unknown_to)}"))
    lines.append(output.name(f"  {found.bytes_at}") if found.bytes_at else "  they are not on this device")
    if found.face.conflict:
        lines.append("  two devices changed its contents at the same time; both are kept: lyts versions")
    output.out.lines(lines)
    return EXIT_DONE
