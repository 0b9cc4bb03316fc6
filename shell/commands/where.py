"""`lyts where`: where the bytes of a file are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from shell.command import Command, app_of
from shell.targets import TARGET, json_option, pick_one
from shell.text import date_text, listed, size_text, utc_text
from tagfs.errors import EXIT_DONE

if TYPE_CHECKING:
    from shell.placing import Known
    from sync.verbs.where import Where
    from tagfs.verbs.why import Placed

EXAMPLES = """
lyts where film.mkv          who keeps it, what of it is here, what a move waits for
lyts where film.mkv --json   the same for programs
"""
_HERE = {
    "in place": "",
    "stray": "until others have proven to have it: ",
    "arriving": "on its way, half here: ",
    "conflict": "an edit that lost against another: ",
    "kept": "set aside: ",
    "replaced": "set aside by Syncthing: ",
}


@click.command("where", cls=Command, examples=EXAMPLES)
@click.argument("target", type=TARGET, metavar="TARGET")
@json_option
@click.pass_context
def command(ctx: click.Context, target: str, as_json: bool) -> int:
    """Shows where the bytes of a file are.

    Which devices may know the file, which keep it and who chose them, what of it is on this
    disk now, who has proven lately to have it, and which devices must be connected for a
    move to be finished. Proofs are only asked for while something moves.
    """
    from shell.placing import known
    from sync.verbs.where import where

    app = app_of(ctx)
    guid = pick_one(app, target, also_trash=True).guid
    around = known(app)
    look = around.around
    found = where(app.store, guid, look.nodes, look.gone, look.online, look.min_copies)
    if as_json:
        app.output.json([where_object(found, around)])
        return EXIT_DONE
    app.output.line(app.output.out.styled(app.output.name(found.name), "bold"))
    for what, text in _rows(found, around):
        app.output.line(f"  {what:<9} {app.output.name(text)}")
    return EXIT_DONE


def _rows(found: Where, around: Known) -> Iterator[tuple[str, str]]:
    from shell.placing import connect_text

    def named(nodes: Any) -> str:
        return listed(sorted(around.names.get(node, node[:8]) for node in nodes))

    yield "id", found.guid
    yield "size", size_text(found.size_bytes)
    knowing = [node for node, info in around.nodes.items() if node not in found.unknown_to and not info.gone]
    yield "known to", named(knowing) if found.unknown_to else "every device"
    yield "kept by", f"{named(found.holds) or 'nobody'} ({placed_text(found.placed)})"
    if found.holds and found.holds <= around.around.gone:
        yield "", "forgotten since: nobody who is left is known to have the bytes"
    elif len(found.holds) < around.around.min_copies:
        yield "", f"fewer devices than the {around.around.min_copies} that min_copies asks for"
    for one in found.here:
        yield "here", f"{_HERE[one.state]}{one.path}"
    if not found.here:
        yield "here", "nothing of it is on this disk"
    for proof in found.proven:
        at = date_text(proof.at_ns // 1_000_000)
        yield "proven", f"{named([proof.node])}, {at}" + ("" if proof.counts else " (before it was placed anew)")
    if found.asks:
        yield "moving", f"{named(found.asks)} lets go once it is proven that others have it"
    under_way = found.waits or found.asks or {one.state for one in found.here} != {"in place"}
    if around.online is None and under_way and len(around.nodes) > 1:
        yield "waits", "Syncthing does not run here, so nothing comes or goes: lyts sync up"
    if found.waits:
        yield "waits", connect_text(around, found.waits)


def placed_text(placed: Placed) -> str:
    """Who chose where a file is kept: `chosen by hand on 2026-11-22 10:10 on laptop`."""
    when = f"{date_text(placed.at_ms)} on {placed.node}"
    rules = listed(placed.rules)
    return {
        "born": f"since it was added, {when}",
        "hand": f"chosen by hand, {when}",
        "rule": f"by the rule{'s' * (len(placed.rules) > 1)} for {rules}, {when}",
        "undo": f"as before something was undone, {when}",
        "read": f"brought here when it was opened, {when}",
    }[placed.how]


def placed_object(placed: Placed) -> dict[str, Any]:
    """The same for programs."""
    return {
        "how": placed.how,
        "at": utc_text(placed.at_ms * 1_000_000),
        "node": placed.node,
        "rules": placed.rules,
        "action": placed.action,
    }


def where_object(found: Where, around: Known) -> dict[str, Any]:
    """What `--json` gives."""

    def named(nodes: Any) -> list[str]:
        return sorted(around.names.get(node, node[:8]) for node in nodes)

    return {
        "guid": found.guid,
        "name": found.name,
        "size_bytes": found.size_bytes,
        "sha256": found.sha256,
        "knows": named(node for node, info in around.nodes.items() if node not in found.unknown_to and not info.gone),
        "unknown_to": named(found.unknown_to),
        "holds": named(found.holds),
        "min_copies": around.around.min_copies,
        "placed": placed_object(found.placed),
        "here": [
            {"state": one.state, "path": one.path, "size_bytes": one.size_bytes, "nodes": named(one.nodes)}
            for one in found.here
        ],
        "proven": [
            {"node": named([one.node])[0], "at": utc_text(one.at_ns), "counts": one.counts} for one in found.proven
        ],
        "moving": named(found.asks),
        "connected": named(around.online - {around.around.me}) if around.online is not None else None,
        "waits": [{"why": one.why, "nodes": named(one.nodes)} for one in found.waits],
    }
