"""`lyts recover`: builds a store out of whatever is left of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shell.command import Command, app_of
from shell.targets import json_option
from shell.text import count_text
from tagfs.errors import EXIT_DONE, EXIT_NOTHING, BadRequest, NoStore

if TYPE_CHECKING:
    from shell.app import App
    from tagfs.verbs.recover import Ahead, Found, Problem, Report

EXAMPLES = """
lyts recover /media/old-disk/lyts        a new store, or this one, gets all that stands there
lyts recover /media/disk1 /media/disk2   of several disks, also half-broken ones
lyts --store ~/lyts-new recover BACKUP   into a store of its own, to look at first
lyts recover --dry-run /media/old-disk   only say what is there
"""
SHOWN = 50


@click.command("recover", cls=Command, examples=EXAMPLES)
@click.argument("sources", nargs=-1, required=True, type=click.Path(readable=False), metavar="SOURCE...")
@click.option("--alias", metavar="NAME", help="What this device is to be called, where a store is made.")
@click.option("--dry-run", is_flag=True, help="Only say what is there; bytes are not read.")
@json_option
@click.pass_context
def command(ctx: click.Context, sources: tuple[str, ...], alias: str | None, dry_run: bool, as_json: bool) -> int:
    """Builds a store out of whatever is left of others.

    A source is a folder: a store, a backup of one, a single folder of it, a disk with some of
    it, in any state. What is known about files is taken from all ledgers together, and bytes are
    taken where they are those that were written down, each read and checked. Bytes that lost
    their names are known again by their content. Bytes that nothing was written down about, or
    that are not what was written down, become files with the tag recovered. Sources are only read.

    Where there is no store yet, one is made, as a new device of the same library. Else all is
    added to the store there is. Running it again changes nothing, and goes on after an
    interruption. What is still missing is listed with the devices that have it, and the exit
    status is 1.

    A whole store that was moved to this machine needs no recovery: lyts node here --moved.
    """
    from tagfs.verbs.recover import Found, look, recover

    app = app_of(ctx)
    found = Found(sources, app.root)
    is_there = _is_there(app)
    if dry_run:
        _tell_ahead(app, look(found, app.store if is_there else None), as_json)
        return EXIT_DONE
    if is_there and alias is not None:
        raise BadRequest("there is a store already, and its device has a name: lyts node rename changes it")
    if not is_there:
        _make(app, alias, found)
    elif app.store.read_only:
        raise app.store.refusal()
    library = found.library_id()
    if library is not None and library != app.store.info.library:
        app.output.say("What is there is of another library than this store; this one gets all of it.")
    shown = app.output.progress("Recovering")
    try:
        report = recover(app.store, found, lambda what, done, total: shown.show(f"{what}, {done:,} of {total:,}"))
    finally:
        shown.end()
    if as_json:
        app.output.json(_objects(app, report))
    else:
        _tell(app, report)
    if report.stopped is not None:
        raise report.stopped
    return EXIT_NOTHING if report.missing or report.problems else EXIT_DONE


def _is_there(app: App) -> bool:
    try:
        app.store  # noqa: B018 - opening is the question
    except NoStore:
        return False
    return True


def _make(app: App, alias: str | None, found: Found) -> None:
    """Make a store whose device and folders are called as no other in the sources."""
    from shell.making import check_alias, default_alias, make_store
    from tagfs.nodeset import folder_name

    taken = found.names_in_use()
    wanted = name = check_alias(alias if alias is not None else default_alias())
    number = 2
    while name.lower() in taken or folder_name(name).lower() in taken:
        name, number = f"{wanted}-{number}", number + 1
    if alias is not None and name != wanted:
        raise BadRequest(f"another device is called {wanted!r} there; choose another name. Nothing was done")
    made = make_store(app, name, library=found.library_id())
    app.output.say(f"Made a store in {app.root} (this device is called {made}).")


def _tell_ahead(app: App, ahead: Ahead, as_json: bool) -> None:
    if as_json:
        app.output.json([ahead._asdict() | {"problems": [one._asdict() for one in ahead.problems]}])
        return
    app.output.line(
        f"would take {count_text(ahead.facts, 'line')} about {count_text(ahead.files, 'file')}; "
        f"there are bytes for {ahead.bytes_for:,} of them"
    )
    if ahead.other_bytes:
        app.output.line(f"{count_text(ahead.other_bytes, 'other file')} with bytes would be looked at")
    _tell_problems(app, ahead.problems)


def _tell(app: App, report: Report) -> None:
    output = app.output
    name = output.name
    output.line(
        f"took {count_text(report.facts, 'line')} about {count_text(report.files, 'file')}; "
        f"{count_text(len(report.placed), 'file has', 'files have')} bytes here that had none"
    )
    if report.versions:
        output.line(f"{count_text(report.versions, 'earlier version was', 'earlier versions were')} set aside")
    if report.made:
        made = count_text(len(report.made), "file was", "files were")
        output.line(f"{made} made of bytes that nothing was written down about: lyts find recovered")
        for one in report.made[:SHOWN]:
            output.line(name(f"  {one.name}  from {one.source}"))
        _more(app, len(report.made))
    if report.kept_from:
        output.line(f"{count_text(report.kept_from, 'file is', 'files are')} not for this device, and left out")
    if report.ended:
        output.line(f"{count_text(len(report.ended), 'file was', 'files were')} deleted for good here, and left out:")
        for one in report.ended[:SHOWN]:
            output.line(name(f"  {one.name}  still in {one.source}"))
        _more(app, len(report.ended))
        output.say("To have them all the same, copy them out (recover.py in the source does it) and add them.")
    if report.missing:
        aliases = app.store.read(lambda view: view.node_names())
        output.line(f"{count_text(len(report.missing), 'file is', 'files are')} known, but the bytes were not there:")
        for missing in report.missing[:SHOWN]:
            kept_by = ", ".join(aliases.get(node, node[:8]) for node in missing.holds)
            output.line(name(f"  {missing.name}  kept by {kept_by}"))
        _more(app, len(report.missing))
    _tell_problems(app, report.problems)
    if report.stopped is not None:
        output.say("It stopped before everything was looked at. With more room, the same command goes on from here.")
    elif report.missing:
        output.say("Run it again with a disk or a backup that has them; what is here already stays.")
    elif not report.problems and not report.ended:
        output.say("Nothing is missing. Look whether all is well: lyts fsck --deep")


def _more(app: App, total: int) -> None:
    if total > SHOWN:
        app.output.line(f"  and {total - SHOWN:,} more; --json lists all")


def _tell_problems(app: App, problems: list[Problem]) -> None:
    for problem in problems[:SHOWN]:
        app.output.say(f"{problem.where}: {problem.why}")
    if len(problems) > SHOWN:
        app.output.say(f"and {len(problems) - SHOWN:,} more problems; --json lists all")


def _objects(app: App, report: Report) -> list[dict[str, Any]]:
    aliases = app.store.read(lambda view: view.node_names())
    return [
        *({"what": "placed", **one._asdict()} for one in report.placed),
        *({"what": "made", **one._asdict()} for one in report.made),
        *({"what": "ended", **one._asdict()} for one in report.ended),
        *(
            {"what": "missing", "guid": one.guid, "name": one.name, "holds": [aliases.get(n, n[:8]) for n in one.holds]}
            for one in report.missing
        ),
        *({"what": "problem", **one._asdict()} for one in report.problems),
    ]
