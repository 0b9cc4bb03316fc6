"""`lyts search`: the files with words in them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from shell.command import Command, app_of
from shell.targets import NUMBER, json_option, query_option
from tagfs.errors import EXIT_DONE, EXIT_NOTHING, BadRequest

if TYPE_CHECKING:
    from pyroaring import BitMap

    from shell.app import App
    from tagfs.text.search import Match, Matches
    from tagfs.text.snippet import Snippet

SHOWN = 20
PATIENCE_S = 5.0
"""For so long a search first reads what is new; the rest is read in the background."""
EXAMPLES = """
lyts search apple strudel             files with both words
lyts search '"red wine"'              the words next to each other
lyts search 'apple or pear -cake'     either, and not with cake in it
lyts search 'photo*'                  words that begin so
lyts search 'notes:aunt' -q recipe    in the notes alone, among files with the tag recipe
lyts search --ids invoice             ids, for other commands
"""


@click.command("search", cls=Command, examples=EXAMPLES)
@click.argument("words", nargs=-1, required=True, metavar="WORDS...")
@query_option
@json_option
@click.option("-0", "--print0", "zero", is_flag=True, help="End each name with a zero byte, as it is.")
@click.option("--ids", is_flag=True, help="Ids instead of names.")
@click.option("-c", "--count", is_flag=True, help="Only how many.")
@click.option("--limit", type=NUMBER, metavar="N", help="At most so many.")
@click.option("--all", "everything", is_flag=True, help="All that are found.")
@click.pass_context
def command(
    ctx: click.Context,
    words: tuple[str, ...],
    query: str | None,
    as_json: bool,
    zero: bool,
    ids: bool,
    count: bool,
    limit: int | None,
    everything: bool,
) -> int:
    """Finds files by the words in them.

    Looks in names, tags, notes, and in the text of the files themselves: plain text,
    Markdown, web pages, PDF, EPUB, Word and OpenDocument files. The best come first, with
    the place where the words stand.

    All words must be there; "words in double quotes" next to each other, either with or
    between two, none of those with - before them, beginnings with * behind them. Only in one
    place: name:word, tags:word, notes:word, text:word. Capitals and accents do not matter.
    Put the whole in single quotes where your shell would read such signs itself.

    New files are read before the answer for some seconds, and the rest in the background.

    Exit status: 0 when something was found, 1 when nothing was.
    """
    from tagfs.text.search import question_of

    app = app_of(ctx)
    if sum((as_json, zero, count)) > 1:
        raise BadRequest("--json, -0 and --count exclude each other: choose one")
    if everything and limit is not None:
        raise BadRequest("--all and --limit exclude each other: choose one")
    question = question_of(" ".join(words))
    unread = _read_what_is_new(app)
    among = _among(app, query)
    if limit is None and not (everything or count or as_json or zero or ids):
        limit = SHOWN
    from tagfs.text.documents import TextIndexBroken
    from tagfs.text.search import search

    try:
        found = search(app.store, question, limit, among)
    except TextIndexBroken as exc:
        raise TextIndexBroken(f"{exc}; lyts reindex --text makes it again") from None
    _print(app, found, as_json=as_json, zero=zero, ids=ids, count=count)
    if found.more:
        app.output.say(f"There are more than these {len(found.files)}; --all shows all, --limit N so many.")
    if unread:
        app.output.say(f"{unread:,} files are still to be read, in the background; ask again in a while.")
    return EXIT_DONE if found.files else EXIT_NOTHING


def _among(app: App, query: str | None) -> BitMap | None:
    if query is None:
        return None
    from shell.commands.find import plan_of
    from shell.targets import query_of
    from tagfs.query.run import result

    asked = query_of(app, [query])
    return app.store.read(lambda view: result(plan_of(view, asked, app), view))


def _read_what_is_new(app: App) -> int:
    """Read queued files for a while. Returns how many are still queued."""
    from tagfs.text.indexing import begin_in_background, index_some, to_do

    store = app.store
    if store.read_only or not to_do(store):
        return 0
    end = time.monotonic() + PATIENCE_S
    progress = app.output.progress("reading new files")
    done = index_some(store, store.machine.random_bytes, told=progress.of, ends=lambda: time.monotonic() > end)
    progress.end()
    left = to_do(store)
    if done is not None:
        for name, why in done.troubles:
            app.output.say(f"{app.output.name(name)}: found by its name only ({why})")
        if left:
            begin_in_background(store)
    return left


def _print(app: App, found: Matches, *, as_json: bool, zero: bool, ids: bool, count: bool) -> None:
    output = app.output
    if as_json:
        from shell.rows import objects

        by_guid = {match.guid: match for match in found.files}
        output.json(
            {**one, "snippet": by_guid[one["guid"]].snippet.text, "score": round(by_guid[one["guid"]].score, 3)}
            for at in range(0, len(found.files), 1_000)
            for one in objects(app.store, [match.guid for match in found.files[at : at + 1_000]])
        )
        return
    if count:
        output.line(str(len(found.files)))
        return
    if not found.files:
        output.say("No file has these words.")
        return
    with app.store.view(fresh=False) as view:
        names = [view.name(match.ordinal) for match in found.files]
    numbered = not zero and not ids and app.listed([match.guid for match in found.files])
    wide = len(str(len(found.files)))
    for number, (match, name) in enumerate(zip(found.files, names, strict=True), start=1):
        if zero:
            output.out.raw((match.guid if ids else name).encode("utf-8", "surrogatepass") + b"\0")
        elif ids:
            output.line(match.guid)
        else:
            _print_match(app, match, name, f"{number:>{wide}}  " if numbered else "")


def _print_match(app: App, match: Match, name: str, lead: str) -> None:
    from tagfs.guid import short

    output = app.output
    output.line(f"{lead}{output.out.styled(short(match.guid), 'dim')}  {output.out.styled(output.name(name), 'bold')}")
    if match.snippet.text:
        output.line("    " + _marked(app, match.snippet))


def _marked(app: App, snippet: Snippet) -> str:
    """The snippet with its words in bold, where there is colour; what could harm a terminal is spelled out."""
    output = app.output
    out, at = [], 0
    for start, end in snippet.marks:
        out.append(output.name(snippet.text[at:start]))
        out.append(output.out.styled(output.name(snippet.text[start:end]), "bold"))
        at = end
    out.append(output.name(snippet.text[at:]))
    return "".join(out)
