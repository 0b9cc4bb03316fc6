"""`lyts find`: the files that a query matches.

The way of `--count` and of plain names imports neither msgspec nor anything else that is
slow to load (style: the start-up budget in design/interface.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from shell.command import Command, app_of
from shell.targets import NUMBER, QUERY, SAVED, json_option, query_of
from tagfs.errors import EXIT_DONE, EXIT_NOTHING, BadRequest

if TYPE_CHECKING:
    from pyroaring import BitMap

    from shell.app import App
    from tagfs.index.read import View
    from tagfs.query.steps import Plan

SORTS = ("name", "size", "added", "modified", "ext")
EXAMPLES = """
lyts find music+flac                     files that have both tags
lyts find music+flac,mp3+-live           music, as flac or mp3, but not live
lyts find year=1955..1965 --long         a range of values; with size, date and tags
lyts find 'music and (jazz or "big band") not year<1950'
lyts find size=100MB.. --sort size       everything from 100 MB on, the largest first
lyts find type=image added=7d            pictures added in the last seven days
lyts find -0 music | xargs -0 -n1 echo   names for other programs
lyts find --duplicates                   files with the same bytes
"""


@click.command("find", cls=Command, examples=EXAMPLES)
@click.argument("words", nargs=-1, type=QUERY, metavar="[QUERY]")
@click.option("-l", "--long", is_flag=True, help="With id, size, time of last change and tags.")
@json_option
@click.option("-0", "--print0", "zero", is_flag=True, help="End each name with a zero byte, as it is.")
@click.option("--ids", is_flag=True, help="Ids instead of names.")
@click.option("-c", "--count", is_flag=True, help="Only how many.")
@click.option("--limit", type=NUMBER, metavar="N", help="At most so many.")
@click.option("--sort", type=click.Choice(SORTS), help="Name: a to z. Size: largest first. Times: newest first.")
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option("--duplicates", is_flag=True, help="Only files with the same bytes as another, in groups.")
@click.option("--saved", type=SAVED, metavar="NAME", help="A query kept with `lyts save`.")
@click.pass_context
def command(
    ctx: click.Context,
    words: tuple[str, ...],
    long: bool,
    as_json: bool,
    zero: bool,
    ids: bool,
    count: bool,
    limit: int | None,
    sort: str | None,
    reverse: bool,
    duplicates: bool,
    saved: str | None,
) -> int:
    """Finds files by their tags.

    Without a query: all files, in the order in which they were added.

    A query is made of tags: + between two means both, a comma means either, - before
    one means not. With a value: key=value, key=low..high (either end may be missing),
    key=.. (any value), and text% for all that begin so. The characters / , + = % within
    a tag are written %2F %2C %2B %3D %25.

    In longer form: and, or, not, parentheses, >= and <=, and "quoted tags". Put the
    whole in single quotes then, for your shell.

    Always there: name, size, added, modified, type, ext, from (the folder a file came
    from), id, holds and knows (devices).

    On a terminal, characters that cannot be seen are spelled out; into a pipe, one line
    is one name, with line breaks in it as \\n. Programs should take -0 or --json.

    Exit status: 0 when something was found, 1 when nothing was.
    """
    app = app_of(ctx)
    if sum((long, as_json, zero, count)) > 1:
        raise BadRequest("--long, --json, -0 and --count exclude each other: choose one")
    if count and (limit is not None or sort is not None or ids):
        raise BadRequest("--count says how many there are; it goes with no --limit, --sort or --ids")
    if duplicates and (long or zero or ids or sort is not None or reverse):
        raise BadRequest("--duplicates lists groups; it goes only with --json, --count and --limit")
    query = whole_query(app, words, saved)
    if duplicates:
        return _list_duplicates(app, query, as_json, count, limit)
    if count:
        return _print_count(app, query)
    if not (long or as_json or ids or sort or reverse):
        return _print_names(app, query, zero, limit)
    ordinals = ordered(app, query, sort, reverse, limit)
    if as_json:
        from shell.rows import objects

        app.output.json(one for guids in _guids(app, ordinals) for one in objects(app.store, guids))
    elif long:
        _print_long(app, ordinals, ids)
    elif ids:
        end = "\0" if zero else "\n"
        for guids in _guids(app, ordinals):
            app.output.out.raw("".join(guid + end for guid in guids).encode())
    else:
        _print_sorted_names(app, ordinals, zero)
    return _found(app, len(ordinals))


def whole_query(app: App, words: Sequence[str], saved: str | None) -> str:
    """The query that words and `--saved` mean together."""
    query = query_of(app, words)
    if saved is None:
        return query
    from shell.targets import saved_query

    kept = saved_query(app, saved)
    return f"({kept}) ({query})" if query.strip() else kept


def plan_of(view: View, query: str, app: App) -> Plan:
    """The plan of a query; an empty one means all files. Raises `QueryError`."""
    from tagfs.query.plan import plan
    from tagfs.query.rich import parse_rich
    from tagfs.query.tree import All

    return plan(parse_rich(query) if query.strip() else All(), view, app.clock(), query)


def _found(app: App, files: int) -> int:
    if files:
        return EXIT_DONE
    app.output.say("No file matches.")
    return EXIT_NOTHING


# -- counting and names --------------------------------------------------------


def _print_count(app: App, query: str) -> int:
    from tagfs.query.run import count

    files = app.store.read(lambda view: count(plan_of(view, query, app), view))
    app.output.line(str(files))
    return EXIT_DONE if files else EXIT_NOTHING


def _print_names(app: App, query: str, zero: bool, limit: int | None) -> int:
    """Names in order of arrival, block by block; gathered as bytes and written when the view is gone."""
    from tagfs.query.run import chunks, first

    write = _zeros if zero else lambda names: _lines(app, names)

    def look(view: View) -> tuple[list[bytes], int]:
        from pyroaring import BitMap

        ready = plan_of(view, query, app)
        blocks: Iterator[BitMap] = chunks(ready, view) if limit is None else iter([BitMap(first(ready, view, limit))])
        out, files = [], 0
        for block in blocks:
            out.append(write(view.names(block)))
            files += len(block)
        return out, files

    written, files = app.store.read(look)
    for data in written:
        app.output.out.raw(data)
    return _found(app, files)


def _zeros(names: Sequence[bytes]) -> bytes:
    return b"".join(name + b"\0" for name in names)


def _lines(app: App, names: Sequence[bytes]) -> bytes:
    whole = b"\n".join(names)
    if not names:
        return b""
    # Nearly always nothing is to be spelled out; then the bytes go as they are.
    text = whole.decode("utf-8", "replace")
    if whole.count(b"\n") == len(names) - 1 and text.replace("\n", "").isprintable():
        return whole + b"\n"
    shown = (app.output.name(name.decode("utf-8", "replace")) for name in names)
    return "".join(line + "\n" for line in shown).encode("utf-8", "backslashreplace")


# -- sorted and long -----------------------------------------------------------


def ordered(app: App, query: str, sort: str | None, reverse: bool, limit: int | None) -> Sequence[int]:
    """The files of a query in an order. Raises `QueryError`."""
    from tagfs.query.run import first, result

    def look(view: View) -> Sequence[int]:
        ready = plan_of(view, query, app)
        if sort is None and not reverse and limit is not None:
            return first(ready, view, limit)
        found = result(ready, view)
        if sort is None:
            array = found.to_array()
            return (array[::-1] if reverse else array)[:limit]
        keys = _KEYS[sort](view, found)
        if limit is None:
            return [ordinal for _, ordinal in sorted(keys, reverse=reverse)]
        from heapq import nlargest, nsmallest

        return [ordinal for _, ordinal in (nlargest if reverse else nsmallest)(limit, keys)]

    return app.store.read(look)


def _by_name(view: View, found: BitMap) -> Iterator[tuple[Any, int]]:
    import re

    numbers = re.compile(r"[0-9]+")

    def with_length(found: re.Match[str]) -> str:
        # A number sorts by how many digits it has, then by them: "Track 2" before "Track 10".
        digits = found.group().lstrip("0")
        return f"0{chr(0x30 + len(digits))}{digits}"

    for ordinal, raw in zip(found, view.names(found), strict=True):
        yield numbers.sub(with_length, raw.decode("utf-8", "replace").casefold()), ordinal


def _by_ext(view: View, found: BitMap) -> Iterator[tuple[Any, int]]:
    from tagfs.face import extension

    for (key, ordinal), raw in zip(_by_name(view, found), view.names(found), strict=True):
        yield (extension(raw.decode("utf-8", "replace")), key), ordinal


_KEYS: dict[str, Callable[[View, BitMap], Iterator[tuple[Any, int]]]] = {
    "name": _by_name,
    "ext": _by_ext,
    "size": lambda view, found: ((-attr.size_bytes, o) for o, attr in view.attrs(found)),
    "modified": lambda view, found: ((-attr.mtime_ns, o) for o, attr in view.attrs(found)),
    "added": lambda view, found: ((-row.born_when, o) for o, row in view.rows(found)),
}


def _guids(app: App, ordinals: Sequence[int]) -> Iterator[list[str]]:
    from shell.rows import portions

    for portion in portions(ordinals):
        with app.store.view(fresh=False) as view:
            guids = [view.guid(ordinal) for ordinal in portion]
        yield guids


def _print_sorted_names(app: App, ordinals: Sequence[int], zero: bool) -> None:
    from shell.rows import portions

    for portion in portions(ordinals):
        with app.store.view(fresh=False) as view:
            names = [view.name(ordinal).encode("utf-8", "surrogatepass") for ordinal in portion]
        app.output.out.raw(_zeros(names) if zero else _lines(app, names))


def _print_long(app: App, ordinals: Sequence[int], ids: bool) -> None:
    from shell.rows import long_lines, portions, rows_of

    for portion in portions(ordinals):
        with app.store.view(fresh=False) as view:
            rows = rows_of(view, portion)
        lines = long_lines(app.output, rows)
        if ids:  # whole ones, in the place of the short
            lines = [
                app.output.out.styled(row.guid, "dim") + "  " + line.partition("  ")[2]
                for row, line in zip(rows, lines, strict=True)
            ]
        app.output.out.lines(lines)


# -- duplicates ----------------------------------------------------------------


def _list_duplicates(app: App, query: str, as_json: bool, count: bool, limit: int | None) -> int:
    from shell.text import count_text, size_text
    from tagfs.guid import short
    from tagfs.query.run import result
    from tagfs.verbs.duplicates import duplicates

    groups = app.store.read(lambda view: duplicates(view, result(plan_of(view, query, app), view)))
    output = app.output
    if count:
        output.line(str(len(groups)))
        return EXIT_DONE if groups else EXIT_NOTHING
    shown = groups[:limit]
    if as_json:
        output.json(
            {
                "sha256": group.sha256,
                "size_bytes": group.size_bytes,
                "files": [{"guid": guid, "name": name} for guid, name in group.files],
            }
            for group in shown
        )
    for number, group in enumerate(() if as_json else shown):
        if number:
            output.line()
        output.line(f"{count_text(len(group.files), 'file')} of {size_text(group.size_bytes)} each:")
        for guid, name in group.files:
            output.line(f"  {output.out.styled(short(guid), 'dim')}  {output.name(name)}")
    if not groups:
        output.say("No two files have the same bytes.")
        return EXIT_NOTHING
    if not as_json:
        gain = sum(group.size_bytes * (len(group.files) - 1) for group in groups)
        output.say(
            f"{count_text(len(groups), 'group')}; making each one file would free {size_text(gain)} "
            "(lyts merge --duplicates)."
        )
    return EXIT_DONE
