"""`lyts sync rule` and `lyts sync apply`: which devices keep what a query finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shell.command import Command, Group, app_of
from shell.targets import NODES, QUERY, dry_run_option, json_option, query_of, yes_option
from shell.text import count_text, listed, table
from tagfs.errors import EXIT_DONE, EXIT_NOTHING, BadRequest

if TYPE_CHECKING:
    from shell.app import App

RULE_EXAMPLES = """
lyts sync rule add 'video+size=1GB..' --holds server
                                 new files that it finds are kept by the server
lyts sync rule                   which rules there are
lyts sync rule rm 'video+size=1GB..'
lyts sync apply                  have the rules act on files that are here already
"""


@click.group("rule", cls=Group, examples=RULE_EXAMPLES)
def rule() -> None:
    """Says which devices keep the files that a query finds.

    A rule acts when a file is added or made, on whichever device that is, and on files that
    are there already when you say lyts sync apply. Where several rules speak of a file, all
    their devices keep it; where none does, the device keeps it on which it was added, unless
    [placement] in the store's sync.toml names others. All your devices know the rules. Days
    in a rule's query are those of UTC.
    """


@rule.command("", examples=RULE_EXAMPLES, help=rule.help)
@json_option
@click.pass_context
def nameless(ctx: click.Context, as_json: bool) -> int:
    return _list(app_of(ctx), as_json)


@rule.command("list", examples="lyts sync rule list     which rules there are, and how many files each finds")
@json_option
@click.pass_context
def list_rules(ctx: click.Context, as_json: bool) -> int:
    """Lists the rules, and how many files each finds now."""
    return _list(app_of(ctx), as_json)


def _list(app: App, as_json: bool) -> int:
    from shell.placing import known
    from sync.verbs.rules import listed as rules_listed

    names = known(app).names
    found = rules_listed(app.store)

    def named(nodes: Any) -> list[str]:
        return sorted(names.get(node, node[:8]) for node in nodes)

    if as_json:
        app.output.json(
            {"rule": one.rule.guid, "query": one.rule.query, "holds": named(one.rule.holds), "files": one.files}
            for one in found
        )
        return EXIT_DONE
    rows = [
        [one.rule.guid[:8], app.output.name(one.rule.query), app.output.name(", ".join(named(one.rule.holds))),
         count_text(one.files, "file")]
        for one in found
    ]  # fmt: skip
    app.output.out.lines(table(rows))
    if not rows:
        app.output.say("There is no rule. For example: lyts sync rule add video --holds server")
    return EXIT_DONE


ADD_EXAMPLES = """
lyts sync rule add 'video+size=1GB..' --holds server
lyts sync rule add photo --holds laptop,server        two copies of all photographs
"""


@rule.command("add", examples=ADD_EXAMPLES)
@click.argument("words", nargs=-1, required=True, type=QUERY, metavar="QUERY")
@click.option("--holds", type=NODES, multiple=True, required=True, metavar="A,B", help="The devices that keep them.")
@click.pass_context
def add_rule(ctx: click.Context, words: tuple[str, ...], holds: tuple[str, ...]) -> int:
    """Adds a rule, or says anew which devices a rule names.

    It acts on files that are added or made from now on. For those that are there already:
    lyts sync apply.
    """
    from shell.placing import chosen, known
    from sync.verbs.naming import names_in
    from sync.verbs.rules import add_rule as state_rule

    app = app_of(ctx)
    if not names_in(holds):
        raise BadRequest("which devices shall keep the files? For example: --holds server")
    around = known(app)
    nodes = chosen(app, around, holds)
    query = query_of(app, words)
    old = state_rule(app.store, query, nodes)
    was = ""
    if old is not None and old.holds != frozenset(nodes):
        was = f" (it was {listed(sorted(around.names.get(node, node[:8]) for node in old.holds))})"
    kept = listed([around.names[node] for node in nodes])
    app.output.line(app.output.name(f"new files that {query} finds are kept by {kept}{was}"))
    app.output.say("For those that are there already: lyts sync apply --dry-run")
    return EXIT_DONE


RM_EXAMPLES = """
lyts sync rule rm 'video+size=1GB..'
lyts sync rule rm 3f2a9c01             by the id that lyts sync rule list shows
"""


@rule.command("rm", examples=RM_EXAMPLES)
@click.argument("words", nargs=-1, required=True, metavar="RULE")
@click.pass_context
def remove_rule(ctx: click.Context, words: tuple[str, ...]) -> int:
    """Takes a rule back.

    Files that it placed stay where they are.
    """
    from sync.verbs.rules import remove_rule as take_back

    app = app_of(ctx)
    gone = take_back(app.store, query_of(app, words))
    app.output.line(app.output.name(f"no rule for {gone.query} any more; files stay where they are"))
    return EXIT_DONE


APPLY_EXAMPLES = """
lyts sync apply --dry-run      what the rules would move
lyts sync apply
"""
ASK_ABOVE = 20


@click.command("apply", cls=Command, examples=APPLY_EXAMPLES)
@yes_option
@dry_run_option
@click.pass_context
def apply(ctx: click.Context, yes: bool, dry_run: bool) -> int:
    """Has the rules act on the files that are there already.

    Files whose devices a person chose, with reduce or restore, are left alone, and so are
    those of which no rule speaks. More than 20 files are asked about first. lyts undo
    takes it back.
    """
    from shell.placing import known, placed_lines, tell_placed
    from sync.verbs.placement import by_rules, place
    from sync.verbs.rules import wanted_by_rules
    from tagfs.verbs.picks import Guids

    app = app_of(ctx)
    around = known(app)
    wanted = wanted_by_rules(app.store, around.around.gone)
    if not wanted:
        app.output.say("No rule speaks of any file: lyts sync rule list")
        return EXIT_NOTHING
    guids = Guids.of(sorted(wanted))
    would = place(app.store, guids, by_rules(wanted), around.around, dry_run=True)
    if not dry_run and would.changed > ASK_ABOVE and not yes:
        for line in placed_lines(around.names, would, dry_run=True):
            app.output.say(line)
        if not app.output.confirm(f"This places {count_text(would.changed, 'file')} anew.", yes):
            return EXIT_NOTHING
    placed = would if dry_run else place(app.store, guids, by_rules(wanted), around.around)
    return tell_placed(app, around, placed, dry_run=dry_run)
