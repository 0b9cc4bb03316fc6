"""`lyts import`: takes files in with the tags they have elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shell.command import Command, app_of
from shell.commands.add import objects_of, store_is_there, tell_duplicates, tell_problems
from shell.targets import TAGS, dry_run_option, json_option
from tagfs.errors import EXIT_DONE, EXIT_NOTHING

if TYPE_CHECKING:
    from shell.app import App
    from tagfs.exchange.bring import Imported

EXAMPLES = """
lyts import /media/stick               what `lyts export` wrote, here or elsewhere
lyts import ~/Pictures                 a folder whose files were tagged in Dolphin
lyts import ~/Music                    a folder that TMSU keeps tags of (.tmsu)
lyts import --dry-run ~/Pictures       only say what would be taken in
"""
KINDS = {
    "table": "as its table of files says",
    "tmsu": "with the tags that TMSU keeps of them",
    "folder": "with the tags in their attributes",
}


@click.command("import", cls=Command, examples=EXAMPLES)
@click.argument("folder", type=click.Path(readable=False), metavar="DIR")
@click.option("-t", "--tags", multiple=True, type=TAGS, metavar="TAGS", help="Tags for all of them besides.")
@dry_run_option
@json_option
@click.pass_context
def command(ctx: click.Context, folder: str, tags: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """Takes files in with the tags they have elsewhere.

    Reads what `lyts export` wrote (lyts.csv; of files that it does not name, the attributes)
    and what the recovery scripts brought out (FILES.csv), a database of TMSU (tags, values,
    and which tags imply others), and folders whose files were tagged in Dolphin or another
    program that uses user.xdg.tags, user.xdg.comment and KDE's rating, which becomes the tag
    rating=1 to rating=10.

    Names, tags, notes, ids, the folders files came from and all times are as they were. A
    file that was moved or renamed in DIR is found by its bytes. What your library has
    already is not taken in twice: it gets the tags and notes that it lacks, and nothing of
    yours is replaced. So a run that was interrupted goes on where it stopped.

    The files in DIR stay where they are.
    """
    from tagfs.exchange.bring import Importer, look_at
    from tagfs.tag import parse_tag_list

    app = app_of(ctx)
    given = list(dict.fromkeys(tag for text in tags for tag in parse_tag_list(text)))
    found = look_at(folder)
    if not store_is_there(app, dry_run):
        app.output.say(
            f"There is no store yet; it would be made in {app.root}, and files taken in {KINDS[found.kind]}."
        )
        return EXIT_DONE
    if app.store.read_only and not dry_run:
        raise app.store.refusal()
    shown = app.output.progress("Importing")
    done = [0]

    def progress(path: str, count: int) -> None:
        from os.path import basename

        from shell.text import harmless, size_text

        done[0] += count
        shown.show(f"{size_text(done[0])}, {harmless(basename(path))}")

    importer = Importer(app.store, folder, given, dry_run, progress)
    try:
        imported = importer.run()
    except BaseException:
        taken = sum(not one.known for one in importer.adder.added)
        if taken:
            app.output.say(f"{taken:,} files had been taken in before it stopped; import again to go on.")
        raise
    finally:
        shown.end()
    if as_json:
        app.output.json(objects_of(imported.report))
    else:
        _tell(app, imported, found.kind, dry_run)
    tell_problems(app, imported.report)
    if imported.report.stopped is not None:
        raise imported.report.stopped
    return EXIT_NOTHING if imported.report.problems else EXIT_DONE


def _tell(app: App, imported: Imported, kind: str, dry_run: bool) -> None:
    from shell.text import count_text, size_text
    from tagfs.tag import escape_tag

    report, output = imported.report, app.output
    new = [one for one in report.added if not one.known]
    known = [one for one in report.added if one.known]
    size = size_text(sum(one.size_bytes for one in new))
    if dry_run:
        for one in new:
            output.line(output.name(f"{one.path}  {','.join(map(escape_tag, one.tags))}".rstrip()))
        output.line(f"would import {count_text(len(new), 'file')} ({size}), less those that are there already")
        return
    parts = [f"imported {count_text(len(new), 'file')} ({size}), {KINDS[kind]}"]
    if known:
        more = sum(bool(one.tags) for one in known)
        text = f"{count_text(len(known), 'was', 'were')} there already"
        parts.append(text + (f", {more:,} of them with fewer tags" if more else ""))
    if imported.without_bytes:
        parts.append(f"{count_text(imported.without_bytes, 'more was', 'more were')} known without their bytes")
    if report.problems:
        parts.append(f"{count_text(len(report.problems), 'was', 'were')} left out")
    output.line("; ".join(parts))
    if imported.implications:
        output.line(f"{count_text(imported.implications, 'tag implies another', 'tags imply others')} as in TMSU")
    for there, here in imported.renamed.items():
        output.say(
            f"The tag {there} is called {escape_tag(here)} here, because of the rules for tags"
            if here is not None
            else f"The tag {there} was left out: it cannot be one here"
        )
    tell_duplicates(app, new)
