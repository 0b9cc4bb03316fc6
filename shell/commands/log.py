"""`lyts log`: what was done, when, and where."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from shell.command import Command, app_of
from shell.targets import NUMBER, TARGET, json_option, pick_one
from shell.text import date_text, table, utc_text
from tagfs.errors import EXIT_DONE

if TYPE_CHECKING:
    from shell.app import App
    from tagfs.index.read import View

EXAMPLES = """
lyts log                    what was done last
lyts log --limit 5          the last five
lyts log song.flac          what was done to one file
lyts log --ids              with the ids that lyts undo takes
"""
DEFAULT_LIMIT = 30


@click.command("log", cls=Command, examples=EXAMPLES)
@click.argument("target", required=False, type=TARGET, metavar="[TARGET]")
@click.option("--limit", type=NUMBER, metavar="N", help=f"At most so many; {DEFAULT_LIMIT}, if not said.")
@click.option("--all", "everything", is_flag=True, help="From the very beginning.")
@click.option("--ids", is_flag=True, help="The id of each action in front.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, target: str | None, limit: int | None, everything: bool, ids: bool, as_json: bool
) -> int:
    """Tells what was done, when, and on which device.

    The newest comes first. What was undone since is marked so.
    """
    app = app_of(ctx)
    most = None if everything else limit or DEFAULT_LIMIT
    if target is not None:
        return _file_log(app, target, most, ids, as_json)
    entries, more = app.store.read(lambda view: _entries(view, most))
    if as_json:
        app.output.json(entry for _, entry in entries)
        return EXIT_DONE
    rows = []
    for at_ms, entry in entries:
        mark = " (undone)" if entry["undone"] else ""
        text = app.output.name(entry["what"] + mark)
        rows.append([*([entry["action"]] if ids else []), date_text(at_ms), app.output.name(entry["node"]), text])
    app.output.out.lines(table(rows))
    if more:
        app.output.say(f"There is more: lyts log --limit {2 * (most or 0)}, or --all")
    return EXIT_DONE


def _entries(view: View, most: int | None) -> tuple[list[tuple[int, dict[str, Any]]], bool]:
    """((milliseconds, object of `--json`) of each action, whether there are more)."""
    from shell.undoing import full_action_text
    from tagfs.verbs.history import actions, told

    out = []
    walk = actions(view)
    for action in islice(walk, most):
        entry = {
            "action": action.action,
            "at": utc_text(action.at_ms * 1_000_000),
            "node": action.node,
            "what": full_action_text(view, action),
            "did": told(view, action)[0],
            "files": action.files,
            "undoes": action.undoes,
            "undone": action.undone,
        }
        out.append((action.at_ms, entry))
    return out, next(walk, None) is not None


def _file_log(app: App, target: str, most: int | None, ids: bool, as_json: bool) -> int:
    from tagfs.verbs.history import file_log

    events = file_log(app.store, pick_one(app, target, also_trash=True).guid)
    shown = events[:most]
    if as_json:
        app.output.json(
            {"at": utc_text(one.at_ms * 1_000_000), "node": one.node, "what": one.did, "action": one.action}
            for one in shown
        )
        return EXIT_DONE
    app.output.out.lines(
        table(
            [
                [
                    *([one.action or one.at] if ids else []),
                    date_text(one.at_ms),
                    *map(app.output.name, (one.node, one.did)),
                ]
                for one in shown
            ]
        )
    )
    if len(events) > len(shown):
        app.output.say(f"There are {len(events) - len(shown):,} more: lyts log --all")
    return EXIT_DONE
