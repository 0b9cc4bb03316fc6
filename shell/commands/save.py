"""`lyts save`: gives a query a name."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from shell.targets import QUERY, SAVED, json_option, query_of
from shell.text import table
from tagfs.errors import EXIT_DONE, BadRequest

EXAMPLES = """
lyts save evening music+jazz+-live     give a query a name
lyts find --saved evening              find what it finds now
lyts save --list                       which there are
lyts save --forget evening             take the name away
"""


@click.command("save", cls=Command, examples=EXAMPLES)
@click.argument("name", required=False, type=SAVED, metavar="[NAME]")
@click.argument("words", nargs=-1, type=QUERY, metavar="[QUERY]")
@click.option("--list", "listing", is_flag=True, help="List the saved queries.")
@click.option("--forget", type=SAVED, metavar="NAME", help="Take a name away.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, name: str | None, words: tuple[str, ...], listing: bool, forget: str | None, as_json: bool
) -> int:
    """Gives a query a name.

    The query is kept, not what it finds: a file that fits it later is found later. All
    your devices know the name.
    """
    from tagfs.query.rich import parse_rich
    from tagfs.verbs.saved import save, saved_queries

    app = app_of(ctx)
    output = app.output
    if sum((name is not None, listing or as_json, forget is not None)) > 1:
        raise BadRequest("a name and a query, or --list, or --forget NAME: only one of these at a time")
    if forget is not None:
        save(app.store, forget, "")
        output.line(output.name(f"forgot {forget}"))
        return EXIT_DONE
    if name is None:
        kept = app.store.read(saved_queries)
        if as_json:
            output.json({"name": one, "query": query} for one, query in kept.items())
        else:
            output.out.lines(table([[output.name(one), output.name(query)] for one, query in kept.items()]))
            if not kept:
                output.say("No query is saved. For example: lyts save evening music+jazz")
        return EXIT_DONE
    if not words:
        raise BadRequest(f"which query shall be called {name!r}? For example: lyts save {name} music+jazz")
    query = query_of(app, words)
    parse_rich(query)
    old = save(app.store, name, query)
    was = "" if old in ("", query) else f" (it was {old})"
    output.line(output.name(f"saved {name}: {query}{was}"))
    return EXIT_DONE
