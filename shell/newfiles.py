"""Who keeps what is added from now on, and what is here already: asked at an accept, said by `sync default`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from shell.command import Command, app_of
from shell.targets import NODES
from shell.text import count_text, listed, size_text
from tagfs.errors import EXIT_DONE

if TYPE_CHECKING:
    from shell.app import App
    from shell.placing import Known

DEFAULT_EXAMPLES = """
lyts sync default                 which devices keep what is added here
lyts sync default here,server     the server, too
lyts sync default here            this device alone
"""


@click.command("default", cls=Command, examples=DEFAULT_EXAMPLES)
@click.argument("nodes", type=NODES, required=False, metavar="[A,B]")
@click.pass_context
def default(ctx: click.Context, nodes: str | None) -> int:
    """Says which devices keep what is added on this one.

    It counts for files that are added or made here from now on, and of which no rule speaks
    (lyts sync rule). A mount reads it when it is started. It stands in [placement] in the
    store's sync.toml, for this device alone; files that are here already: lyts restore.
    """
    from shell.placing import known
    from sync.verbs.naming import named_nodes, names_in
    from sync.verbs.newfiles import set_default
    from tagfs.placement import HERE

    app = app_of(ctx)
    around = known(app)
    me = app.store.node
    if nodes is not None:
        names = names_in([nodes])
        found = named_nodes(around.nodes, [name for name in names if name != HERE])
        set_default(app.store.layout, me, [*found, *([me] if HERE in names else [])], around.names)
    app.output.line(f"what is added here is kept by {listed(_keepers(app, around))}")
    return EXIT_DONE


def _keepers(app: App, around: Known) -> list[str]:
    """What those are called that keep a new file, this device first."""
    me = app.store.node
    return [around.names.get(node, node[:8]) for node in sorted(keepers(app), key=lambda one: (one != me, one))]


def keepers(app: App) -> frozenset[str]:
    """The GUIDs of those that keep a new file of which no rule speaks. Raises `StoreError`."""
    from tagfs.index.read import View
    from tagfs.placement import Placing, read_settings

    store, settings = app.store, read_settings(app.store.layout)

    def look(view: View) -> frozenset[str]:
        return Placing(view, store.node, settings.default, store.machine.wall_ms()).usual_holders()

    return store.read(look)


# -- when a device was let in --------------------------------------------------------


def offer(app: App, node: str, name: str, new_files: bool | None, files_here: bool | None, *, ask: bool) -> None:
    """See what a device that was just let in is to keep: asked, unless it was said or nobody is there to answer."""
    from shell.placing import known, tell_placed
    from sync.verbs.newfiles import set_default
    from sync.verbs.placement import also, place

    output, store = app.output, app.store
    around = known(app)
    choice = also([node])

    def answer(said: bool | None, question: Callable[[], str]) -> bool:
        return said if said is not None else ask and output.agree(question())

    if answer(new_files, lambda: f"Shall {name} keep what is added here from now on, beside this device?"):
        set_default(store.layout, store.node, keepers(app) | {node}, around.names)
        output.line(f"{output.name(name)} keeps what is added here from now on")
    elif not ask:
        output.say(f"To have it keep what is added here from now on: lyts sync default here,{name}")
    guids = _held_here(app)
    planned = place(store, guids, choice, around.around, dry_run=True) if files_here is not False and guids else None
    amount = planned.come.get(node) if planned is not None else None
    if amount is None:
        return
    here = f"{count_text(amount.files, 'file')} that {'is' if amount.files == 1 else 'are'} here"
    if answer(files_here, lambda: f"Shall it keep the {here}, too ({size_text(amount.size_bytes)})?"):
        tell_placed(app, around, place(store, guids, choice, around.around), dry_run=False)
    elif not ask:
        output.say(f"To have it keep the {here}: lyts restore --nodes {name} -q holds={around.names[store.node]}")


def _held_here(app: App) -> list[str]:
    """The files that this device keeps, but for those in the trash."""
    from tagfs.guid import guid_of_bytes
    from tagfs.index.read import View
    from tagfs.term import HOLDS

    store = app.store

    def look(view: View) -> list[str]:
        term = view.term(HOLDS, "", store.node)
        return [guid_of_bytes(row.guid) for _, row in view.rows(view.posting(term))] if term is not None else []

    return store.read(look)
