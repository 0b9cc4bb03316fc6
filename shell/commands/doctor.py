"""`lyts doctor`: looks whether all is set up well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shell.command import Command, app_of
from shell.targets import json_option
from tagfs.errors import EXIT_DONE, EXIT_NOTHING

if TYPE_CHECKING:
    from shell.app import App
    from tagfs.check.finding import Remark

EXAMPLES = """
lyts doctor      is all set up well, and is there anything to know?
"""
_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "problem": ("PROBLEM", "red")}


@click.command("doctor", cls=Command, examples=EXAMPLES)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> int:
    """Looks whether all is set up well.

    Where the store is, what other devices said, ledger lines that could not be read,
    clocks that are ahead, files with too few copies and moves that wait for long, what lyts
    mount and lyts sync need, and what lyts stands on. It changes nothing. The exit status is 1 when there is a problem.
    """
    from shlex import quote

    from shell.mounting import crashed
    from shell.syncing import managed_of
    from sync.syncthing import checkup
    from sync.verbs import copies
    from tagfs.check.doctor import examine
    from tagfs.check.finding import Remark
    from tagfs.store import this_machine

    app = app_of(ctx)
    output = app.output
    left = [
        Remark("note", "mount", f"{path} was left behind by a mount that crashed", f"lyts mount {quote(path)} mends it")
        for path in crashed(dict(app.environ))
    ]
    left += checkup.examine(app.root, managed_of(app), app.environ)
    # The store is opened anew by each, one after the other.
    left = [*examine(app.root, this_machine()), *left, *copies.examine(app.root, this_machine()), *_nodes(app)]
    found = sorted(left, key=lambda one: list(_MARKS).index(one.level))
    code = EXIT_NOTHING if any(one.level == "problem" for one in found) else EXIT_DONE
    if as_json:
        output.json(one._asdict() for one in found)
        return code
    for one in found:
        word, style = _MARKS.get(one.level, (one.level, "bold"))
        output.line(f"{output.out.styled(word.ljust(7), style)}  {output.name(one.topic)}: {output.name(one.what)}")
        if one.hint:
            output.line(f"         {output.name(one.hint)}")
    return code


def _nodes(app: App) -> list[Remark]:
    """What is wrong between the devices, and what they said that cannot be."""
    from sync.myself import all_nodes
    from sync.roster import problems
    from sync.syncthing.errors import BadSettings
    from sync.syncthing.home import device_id_of
    from tagfs.check.finding import Remark
    from tagfs.errors import LytsError
    from tagfs.layout import Layout
    from tagfs.place import node_sets

    try:
        device = device_id_of(Layout(app.root).syncthing)
    except BadSettings:
        device = ""
    try:
        found = problems(app.store.node, device, all_nodes(app.store))
        found += [
            f"several sets of devices are said to have the folder {one.said!r}; one of them has {one.label!r} now"
            for one in app.store.read(node_sets)
            if one.said and app.store.node in one.nodes
        ]
    except LytsError:
        return []  # said already
    return [Remark("problem", "nodes", what, "") for what in found]
