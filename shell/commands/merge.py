"""`lyts merge`: makes files with the same bytes one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from shell.command import Command, app_of
from shell.targets import TARGET, dry_run_option, pick, query_of, yes_option
from shell.text import count_text, size_text
from tagfs.errors import EXIT_DONE, EXIT_NOTHING, BadRequest

if TYPE_CHECKING:
    from shell.app import App
    from tagfs.verbs.duplicates import Merged, SameBytes

EXAMPLES = """
lyts merge 9c0f7be1 1a2b3c4d            make these two one
lyts merge --duplicates                 all files that have the same bytes; asks first
lyts merge --duplicates picture --yes   those among the pictures, without asking
lyts find --duplicates                  which ones that would be
"""


@click.command("merge", cls=Command, examples=EXAMPLES)
@click.argument("targets", nargs=-1, type=TARGET, metavar="TARGET TARGET...")
@click.option("--duplicates", is_flag=True, help="All files with the same bytes; the arguments are a query then.")
@yes_option
@dry_run_option
@click.pass_context
def command(ctx: click.Context, targets: tuple[str, ...], duplicates: bool, yes: bool, dry_run: bool) -> int:
    """Makes files with the same bytes one.

    The one that was added first stays, and gets the tags and notes of the others, which
    move to the trash. `lyts undo` takes it all back.
    """
    app = app_of(ctx)
    if duplicates:
        return _merge_all(app, targets, yes, dry_run)
    from tagfs.verbs.duplicates import merge

    found = pick(app, targets, None)
    if len(found) < 2:
        raise BadRequest("merging takes two files or more; their ids tell files of one name apart")
    if dry_run:
        app.output.line(f"would make {count_text(len(found), 'file')} one")
        return EXIT_DONE
    _tell(app, merge(app.store, found.guids))
    return EXIT_DONE


def _tell(app: App, done: Merged) -> None:
    from tagfs.tag import escape_tag

    with app.store.view(fresh=False) as view:
        ordinal = view.ordinal(done.kept)
        name = view.name(ordinal) if ordinal is not None else done.kept
    tags = f"; it got {', '.join(map(escape_tag, done.tags))}" if done.tags else ""
    app.output.line(app.output.name(f"kept {name}, moved {count_text(len(done.removed), 'file')} to the trash{tags}"))


def _merge_all(app: App, words: Sequence[str], yes: bool, dry_run: bool) -> int:
    from shell.commands.find import plan_of
    from tagfs.query.run import result
    from tagfs.verbs.duplicates import duplicates, merge

    output = app.output
    query = query_of(app, words)
    groups: list[SameBytes] = app.store.read(lambda view: duplicates(view, result(plan_of(view, query, app), view)))
    if not groups:
        output.say("No two files have the same bytes.")
        return EXIT_NOTHING
    spare = sum(len(group.files) - 1 for group in groups)
    gain = size_text(sum(group.size_bytes * (len(group.files) - 1) for group in groups))
    what = (
        f"{count_text(len(groups), 'group')} of files with the same bytes: {count_text(spare, 'file')} ({gain}) of them"
    )
    if dry_run:
        output.line(f"{what} would move to the trash")
        return EXIT_DONE
    if not output.confirm(f"{what} would move to the trash.", yes):
        return EXIT_NOTHING
    progress = output.progress("Merging")
    removed = 0
    action: str | None = None  # all groups are one action, and one undo
    for number, group in enumerate(groups):
        done = merge(app.store, [guid for guid, _ in group.files], action)
        action = done.action
        removed += len(done.removed)
        progress.of(number + 1, len(groups))
    output.flush()
    output.line(
        f"moved {count_text(removed, 'file')} to the trash; one of each of {count_text(len(groups), 'group')} stays"
    )
    return EXIT_DONE
