"""`lyts export`: copies files out, with their tags and notes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from shell.command import Command, app_of
from shell.targets import QUERY_OR_FOLDER, current_folder, dry_run_option, query_of
from tagfs.errors import EXIT_DONE, EXIT_NOTHING, BadRequest, NothingMatched

if TYPE_CHECKING:
    from pyroaring import BitMap

    from shell.app import App
    from tagfs.exchange.export import Exported, Exporter

LAYOUTS = ("tags", "flat", "date", "from")
EXAMPLES = """
lyts export music+jazz /media/stick             a folder for each tag
lyts export --layout date type=image ~/Photos   a folder for each year and month
lyts export --layout from ./everything          all files, in the folders they came from
lyts export --dry-run music /media/stick        only say what would be copied
"""
SHOWN = 10


@click.command("export", cls=Command, examples=EXAMPLES)
@click.argument("words", nargs=-1, required=True, type=QUERY_OR_FOLDER, metavar="[QUERY] DIR")
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default="tags",
    show_default=True,
    help="Folders: one for each tag, none, by year and month, or those they came from.",
)
@dry_run_option
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...], layout: str, dry_run: bool) -> int:
    """Copies files out, with their tags and notes.

    DIR gets the files under their names, in plain folders. Tags and notes go along in the
    attributes that desktops show (user.xdg.tags, user.xdg.comment), and everything that is
    known stands in DIR/lyts.csv, which opens in a spreadsheet. `lyts import DIR` reads it
    all back, here or in another library.

    Nothing in DIR is ever written over. Run it again to go on after an interruption, or to
    add what is new. A file with several tags is in several folders and takes its space once,
    where the file system has hard links. Names that other systems could not bear are made safe;
    lyts.csv has the true ones.

    Files whose bytes are not on this device are named, with the device that has them; then,
    and when a file could not be copied, the exit status is 1.
    """
    from tagfs.exchange.export import Exporter

    app = app_of(ctx)
    query, folder = _query_and_folder(app, words)
    shown = app.output.progress("Exporting")
    exporter = Exporter(app.store, _among(app, query), folder, layout, shown.of)
    if dry_run:
        return _would_export(app, exporter)
    try:
        done = exporter.run()
    except KeyboardInterrupt:
        part = exporter.report()
        if part.files:
            app.output.say(f"{part.files:,} files had come out before it stopped; run it again to go on.")
        raise
    finally:
        shown.end()
    _tell(app, done, exporter.folder)
    if done.stopped is not None:
        raise done.stopped
    return EXIT_NOTHING if done.elsewhere or done.trouble else EXIT_DONE


def _query_and_folder(app: App, words: Sequence[str]) -> tuple[str | None, str]:
    *query, last = words
    folder = os.path.join(current_folder(), os.path.expanduser(last))
    if query:
        return query_of(app, query), folder
    if os.sep not in last and last not in (".", "..", "~") and not os.path.isdir(folder):
        raise BadRequest(
            f"a query and a folder are needed: lyts export {last} DIR. "
            f"To export everything into a new folder {last!r}: lyts export ./{last}"
        )
    return None, folder


def _among(app: App, query: str | None) -> BitMap:
    from tagfs.verbs.select import living, matching

    clock = app.clock()
    found = app.store.read(lambda view: living(view) if query is None else matching(view, query, clock) & living(view))
    if not found:
        raise NothingMatched("no file matches")
    return found


def _would_export(app: App, exporter: Exporter) -> int:
    from shell.text import count_text, size_text

    for path, _ in exporter.plan():
        app.output.line(app.output.name(path))
    planned = exporter.report()
    app.output.line(f"would export {count_text(planned.files, 'file')} ({size_text(planned.size_bytes)})")
    _tell_elsewhere(app, planned)
    return EXIT_NOTHING if planned.elsewhere else EXIT_DONE


def _tell(app: App, done: Exported, folder: str) -> None:
    from shell.text import count_text, size_text

    output = app.output
    parts = [f"exported {count_text(done.files, 'file')} ({size_text(done.size_bytes)})"]
    if done.there:
        parts.append(f"{count_text(done.there, 'was', 'were')} there already")
    output.line(output.name("; ".join(parts) + f"; see {os.path.join(folder, 'lyts.csv')}"))
    if done.bare:
        output.say(
            f"The file system there has no room for the tags or notes of {count_text(done.bare, 'file')}; "
            "lyts.csv has them."
        )
    for trouble in done.trouble[:SHOWN]:
        output.say(f"{trouble.name}: {trouble.why}")
    if len(done.trouble) > SHOWN:
        output.say(f"and {len(done.trouble) - SHOWN:,} more files with trouble")
    _tell_elsewhere(app, done)


def _tell_elsewhere(app: App, done: Exported) -> None:
    from shell.text import count_text, size_text
    from tagfs.exchange.export import holders_text

    for one in done.elsewhere[:SHOWN]:
        app.output.say(
            f"{one.name} ({size_text(one.size_bytes)}) is not on this device; {holders_text(one.holders)} has it"
        )
    if done.elsewhere:
        count = count_text(len(done.elsewhere), "file")
        app.output.say(f"{count} could not come along; lyts restore brings files to this device")
