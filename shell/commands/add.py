"""`lyts add`: takes files in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from shell.command import Command, app_of
from shell.targets import TAGS, json_option
from tagfs.errors import EXIT_DONE, EXIT_NOTHING, BadRequest, NoStore

if TYPE_CHECKING:
    from shell.app import App
    from tagfs.auto.reader import Unread
    from tagfs.verbs.add import Added, Report

EXAMPLES = """
lyts add photo.jpg                        one file; it is copied, the original stays
lyts add -t music,jazz ~/Music/Jazz       a folder and all below it, with two tags
lyts add --dir-tags ~/Documents           each folder's name becomes a tag
lyts add --auto ~/Music                   artists, albums and years become tags
lyts add --move ~/Downloads/*.pdf         the originals go, once the copies are safe
lyts add --dry-run --dir-tags ~/Pictures  only say what would be done
"""
SHOWN_DUPLICATES = 10
SHOWN_UNREAD = 3


@click.command("add", cls=Command, examples=EXAMPLES)
@click.argument("paths", nargs=-1, required=True, type=click.Path(readable=False), metavar="PATH...")
@click.option("-t", "--tags", multiple=True, type=TAGS, metavar="TAGS", help="Tags for all of them: music,year=1959.")
@click.option("--move", is_flag=True, help="Remove the originals, each once its copy is safe.")
@click.option("--dir-tags", is_flag=True, help="Names of folders become tags.")
@click.option("--auto", is_flag=True, help="Take tags out of music, photographs and PDFs themselves.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[str, ...],
    tags: tuple[str, ...],
    move: bool,
    dir_tags: bool,
    auto: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Takes files in.

    Files are copied into the store (without taking space twice, where the file system
    can do that), and lyts remembers from which folder each came. Tags that other programs
    left in the attribute user.xdg.tags are taken over. Adding the same file again does
    nothing, so a run that was interrupted goes on where it stopped.

    With --auto, what music, photographs and PDFs say of themselves becomes tags: artist, album,
    year and genre; camera and date; author and title. A tag with that key that you give or gave
    counts more, and one that you took off is not put back. Over files that are there already:
    lyts tag --auto.

    Links within a folder, and whatever is no file, are left out and named; the rest goes
    on, and the exit status is 1.

    Where there is no store yet, one is made.
    """
    from tagfs.tag import parse_tag_list
    from tagfs.verbs.add import Options

    app = app_of(ctx)
    given = list(dict.fromkeys(tag for text in tags for tag in parse_tag_list(text)))
    if any(not path for path in paths):
        raise BadRequest("an empty text is no path")
    options = Options(tags=given, move=move, dir_tags=dir_tags, auto=auto, dry_run=dry_run)
    if not store_is_there(app, dry_run):
        return _dry_run_without_store(app, paths, options, as_json)
    if app.store.read_only and not dry_run:
        raise app.store.refusal()
    report, unread = _run(app, paths, options)
    if as_json:
        app.output.json(objects_of(report))
    else:
        _tell(app, report, options)
    tell_problems(app, report)
    tell_unread(app, unread)
    if report.stopped is not None:
        raise report.stopped
    return EXIT_NOTHING if report.problems else EXIT_DONE


def store_is_there(app: App, dry_run: bool) -> bool:
    """Whether there is a store; one is made where there is none, but not for a dry run."""
    try:
        app.store  # noqa: B018 - opening is the question
    except NoStore:
        if dry_run:
            return False
        from shell.making import make_store

        name = make_store(app, None)
        app.output.say(f"Made a store in {app.root} (this device is called {name}).")
    return True


def _run(app: App, paths: Sequence[str], options: Any) -> tuple[Report, Sequence[Unread]]:
    import os

    from shell.text import harmless, size_text
    from tagfs.verbs.add import Adder

    shown = app.output.progress("Adding")
    done = [0]

    def progress(path: str, count: int) -> None:
        done[0] += count
        shown.show(f"{size_text(done[0])}, {harmless(os.path.basename(path))}")

    adder = Adder(app.store, options, progress)
    try:
        return adder.run(paths), adder.auto.unread
    except BaseException:
        # What was taken in so far is safe; a person wants to know that it is.
        taken = sum(not one.known for one in adder.added)
        if taken:
            from shell.text import count_text

            app.output.say(f"{count_text(taken, 'file')} had been added before it stopped; add again to go on.")
        raise
    finally:
        shown.end()


def _dry_run_without_store(app: App, paths: Sequence[str], options: Any, as_json: bool) -> int:
    """What would be taken in, where there is no store to ask."""
    import os

    from tagfs.auto.found import wanted
    from tagfs.auto.reader import AutoReader
    from tagfs.verbs.add import Added, Report, folder_tags, gather, text_of_name

    report = Report([], [], [], None)
    with AutoReader() as reader:
        for source in gather(paths, app.root, report.problems):
            name = text_of_name(source.path)[0]
            tags = [*options.tags, *(folder_tags(source.folders) if options.dir_tags else ())]
            if options.auto:
                tags += wanted(reader.find(source.path, name), tags)
            size = os.stat(source.path).st_size
            report.added.append(Added("", name, source.path, size, list(dict.fromkeys(tags)), False, []))
    if as_json:
        app.output.json(objects_of(report))
    else:
        app.output.say(f"There is no store yet; it would be made in {app.root}.")
        _tell(app, report, options)
    tell_problems(app, report)
    tell_unread(app, reader.unread)
    return EXIT_NOTHING if report.problems else EXIT_DONE


# -- telling -------------------------------------------------------------------


def _tell(app: App, report: Report, options: Any) -> None:
    from shell.text import count_text, size_text

    output = app.output
    new = [one for one in report.added if not one.known]
    known = [one for one in report.added if one.known]
    size = sum(one.size_bytes for one in new)
    if options.dry_run:
        for one in new:
            output.line(output.name(f"{one.path}  {_tags_text(one.tags)}".rstrip()))
        output.line(f"would add {count_text(len(new), 'file')} ({size_text(size)}), less those that are there already")
        return
    parts = []
    if new or not known:
        parts.append(f"added {count_text(len(new), 'file')}" + (f" ({size_text(size)})" if new else ""))
    if known:
        parts.append(f"{count_text(len(known), 'was', 'were')} there already")
        more = sum(bool(one.tags) for one in known)
        if more:
            parts[-1] += f", {more:,} of them tagged anew" if len(known) > 1 else ", and got new tags"
    if report.problems:
        parts.append(f"{count_text(len(report.problems), 'was', 'were')} left out")
    output.line("; ".join(parts))
    tell_duplicates(app, new)


def _tags_text(tags: Sequence[str]) -> str:
    from tagfs.tag import escape_tag

    return ",".join(map(escape_tag, tags))


def tell_duplicates(app: App, new: Sequence[Added]) -> None:
    """Files that were taken in though their bytes were there, under another name or from elsewhere."""
    from shell.text import count_text
    from tagfs.guid import short

    same = [one for one in new if one.same_bytes_as]
    if not same:
        return
    with app.store.view(fresh=False) as view:
        for one in same[:SHOWN_DUPLICATES]:
            twin = one.same_bytes_as[0]
            ordinal = view.ordinal(twin)
            name = view.name(ordinal) if ordinal is not None else twin
            app.output.say(f"{one.name} has the same bytes as {name} ({short(twin)})")
    rest = f" ({len(same) - SHOWN_DUPLICATES:,} more like these)" if len(same) > SHOWN_DUPLICATES else ""
    app.output.say(f"{count_text(len(same), 'duplicate')}{rest}: lyts find --duplicates lists them")


def tell_problems(app: App, report: Report) -> None:
    """Remarks about single files, and what was left out and why."""
    for note in report.notes:
        app.output.say(f"Note: {note.path}: {note.why}")
    for problem in report.problems:
        app.output.say(f"{problem.path}: {problem.why}")


def tell_unread(app: App, unread: Sequence[Unread]) -> None:
    """The files in which could not be looked for tags, in a sentence: it is no error."""
    from shell.text import count_text, listed

    if not unread:
        return
    some = [f"{one.name} ({one.why})" for one in unread[:SHOWN_UNREAD]]
    if len(unread) > SHOWN_UNREAD:
        some.append(f"{len(unread) - SHOWN_UNREAD:,} more")
    app.output.say(f"{count_text(len(unread), 'file')} could not be looked into for tags: {listed(some)}.")


def objects_of(report: Report) -> Iterator[dict[str, Any]]:
    """What `--json` gives: docs/reference/json.md, `add`."""
    return map(_object, report.added)


def _object(one: Added) -> dict[str, Any]:
    return {
        "guid": one.guid or None,
        "name": one.name,
        "source": one.path,
        "size_bytes": one.size_bytes,
        "tags": one.tags,
        "known": one.known,
        "same_bytes_as": one.same_bytes_as,
    }
