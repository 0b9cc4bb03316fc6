"""`lyts versions`: the contents a file has had, and letting the old ones of all files go."""

from __future__ import annotations

import click

from shell.app import App
from shell.command import Command, app_of
from shell.targets import TARGET, dry_run_option, json_option, pick_one
from shell.text import count_text, date_text, size_text, table, utc_text
from tagfs.errors import EXIT_DONE, EXIT_NOTHING, BadRequest

EXAMPLES = """
lyts versions report.odt                         which contents it has had
lyts versions report.odt --bring-back 3f2a91c0   make an earlier one current again
lyts versions --trim                             free the space of those past their time
"""


@click.command("versions", cls=Command, examples=EXAMPLES)
@click.argument("target", type=TARGET, metavar="[TARGET]", required=False)
@click.option("--bring-back", metavar="SHA256", help="Make this content current again; its first digits are enough.")
@click.option("--trim", is_flag=True, help="Let earlier contents of all files go that are past their time.")
@dry_run_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, target: str | None, bring_back: str | None, trim: bool, dry_run: bool, as_json: bool
) -> int:
    """Lists the contents a file has had.

    Each is named by its SHA-256. An earlier one can be brought back while its bytes are
    on this device; the current one is then kept as well.

    Earlier contents stay for 30 days, and as long as they take no more than 10 GiB or a
    tenth of the disk; what the last change of a file replaced stays for the 30 days in any
    case. --trim lets the others go, the oldest first, as a mount does every hour. Lines
    like `versions_days = 90` and `versions_mib = 20480` in store.toml say otherwise.
    """
    from tagfs.verbs import versions as verb

    app = app_of(ctx)
    output = app.output
    if (target is None) != trim or (trim and (bring_back is not None or as_json)) or (dry_run and not trim):
        raise BadRequest("give a file, or --trim alone (with --dry-run, if you like) for all of them")
    if target is None:
        return _trim(app, dry_run)
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
        state = "current" if version.current else "kept here" if version.is_to_be_had else "not on this device"
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


def _trim(app: App, dry_run: bool) -> int:
    from tagfs.keep import limits_of
    from tagfs.verbs.trimming import trim

    output = app.output
    done = trim(app.store, app.clock().now_ms, limits_of(app.store.layout), dry_run=dry_run)
    what = f"{count_text(done.versions, 'earlier content')} ({size_text(done.freed_bytes)})"
    if done.versions:
        output.line(f"would let go of {what}" if dry_run else f"let go of {what}")
    elif not done.stayed:
        output.say("No earlier content is past its time.")
    if done.stayed:
        output.say(
            f"{count_text(done.stayed, 'earlier content')} had to stay: the current bytes of the file are not sound on "
            "this device; lyts fsck --deep tells more"
        )
    return EXIT_DONE if done.versions else EXIT_NOTHING
