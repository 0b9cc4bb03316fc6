"""`lyts versions`: the contents a file has had."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.targets import TARGET, json_option, pick_one
from shell.text import date_text, size_text, table, utc_text
from tagfs.errors import EXIT_DONE

EXAMPLES = """
lyts versions report.odt                         which contents it has had
lyts versions report.odt --bring-back 3f2a91c0   make an earlier one current again
"""


@click.command("versions", cls=Command, examples=EXAMPLES)
@click.argument("target", type=TARGET, metavar="TARGET")
@click.option("--bring-back", metavar="SHA256", help="Make this content current again; its first digits are enough.")
@json_option
@click.pass_context
def command(ctx: click.Context, target: str, bring_back: str | None, as_json: bool) -> int:
    """Lists the contents a file has had.

    Each is named by its SHA-256. An earlier one can be brought back while its bytes are
    on this device; the current one is then kept as well.
    """
    from tagfs.verbs import versions as verb

    app = app_of(ctx)
    output = app.output
    one = pick_one(app, target, also_trash=bring_back is None)
    if bring_back is not None:
        verb.bring_back(app.store, one.guid, bring_back)
        current = next(version for version in verb.versions(app.store, one.guid) if version.current)
        output.line(output.name(f"{one.name} has its contents {current.sha256[:8]} again"))
        return EXIT_DONE
    found = verb.versions(app.store, one.guid)
    if as_json:
        output.json(
            {
                "sha256": version.sha256,
                "size_bytes": version.size_bytes,
                "modified": version.modified,
                "stated": utc_text(version.stated_ms * 1_000_000),
                "node": version.node,
                "current": version.current,
                "path": version.path,
            }
            for version in found
        )
        return EXIT_DONE
    rows = []
    for version in found:
        state = "current" if version.current else "kept here" if version.path else "not on this device"
        rows.append(
            [
                version.sha256[:8],
                size_text(version.size_bytes),
                date_text(version.stated_ms),
                output.name(version.node),
                state,
            ]
        )
    output.out.lines(table(rows, right=(1,)))
    return EXIT_DONE
