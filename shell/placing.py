"""What `lyts reduce`, `restore`, `where` and `sync apply` share: which devices, and how it is told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click

from shell.targets import NODES
from shell.text import count_text, listed, size_text
from tagfs.errors import EXIT_DONE, EXIT_NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from shell.app import App
    from sync.nodes import NodeInfo
    from sync.verbs.knowing import Shown
    from sync.verbs.placement import Around, Placed, Waiting
    from sync.verbs.waiting import Wait

F = TypeVar("F", bound="Callable[..., Any]")
SHOWN_WAITS = 4


def nodes_option(function: F) -> F:
    """--nodes A,B"""
    return click.option(
        "--nodes",
        type=NODES,
        multiple=True,
        metavar="A,B",
        help="Which devices, by name; this one, if none is given.",
    )(function)


class Known(NamedTuple):
    """The library as a verb needs it. `online`: None where this device's Syncthing does not answer."""

    nodes: Mapping[str, NodeInfo]
    names: Mapping[str, str]
    online: frozenset[str] | None
    heard: Mapping[str, str]
    around: Around


def known(app: App) -> Known:
    """Look around. Raises `StoreError` where the settings are damaged."""
    from sync.myself import all_nodes
    from sync.verbs.naming import aliases
    from sync.verbs.placement import Around
    from sync.verbs.reach import last_heard, online
    from tagfs.placement import read_settings

    store = app.store
    nodes = all_nodes(store)
    there = online(store, nodes)
    around = Around(
        me=store.node,
        nodes=list(nodes),
        gone=frozenset(guid for guid, node in nodes.items() if node.gone),
        online=there if there is not None else frozenset({store.node}),
        min_copies=read_settings(store.layout).min_copies,
    )
    return Known(nodes, aliases(nodes), there, last_heard(store), around)


def chosen(app: App, known: Known, given: Iterable[str]) -> list[str]:
    """The GUIDs of the devices that `--nodes` names, this one where it was not given. Raises `NoSuchNode`."""
    from sync.verbs.naming import named_nodes, names_in

    names = names_in(given)
    return named_nodes(known.nodes, names) if names else [app.store.node]


# -- telling -------------------------------------------------------------------


def tell_placed(app: App, known: Known, placed: Placed, *, dry_run: bool, among_knowers: bool = False) -> int:
    """Say what was stated, and what has to be there for the bytes to move. Returns the exit code.

    Args:
        among_knowers: it was about who may know files, and those left are left for that.
    """
    output = app.output
    output.out.lines(map(output.name, placed_lines(known.names, placed, dry_run=dry_run)))
    for line in left_lines(placed, _LEFT_KNOWN if among_knowers else _LEFT):
        output.say(line)
    if placed.changed:
        if placed.scarce:
            copies = count_text(known.around.min_copies, "device")
            output.say(f"{count_text(placed.scarce, 'file')}: fewer copies than the {copies} that min_copies asks for.")
        for line in wait_lines(known, placed.waits):
            output.say(line)
    return EXIT_DONE if placed.changed or not placed.left or set(placed.left) == {"already"} else EXIT_NOTHING


def tell_shown(app: App, known: Known, shown: Shown, *, dry_run: bool, out: bool) -> int:
    """The same where it was stated who may know files. `out`: nodes were left out."""
    output = app.output
    output.out.lines(map(output.name, shown_lines(known.names, shown, dry_run=dry_run, out=out)))
    code = tell_placed(app, known, shown, dry_run=dry_run, among_knowers=out)
    me = known.around.me
    if out and shown.changed and not dry_run:
        output.say("What they have read of it so far may have been copied; nobody can take that back.")
        if me in shown.whom:
            output.say("This device forgets it now. To bring it back: lyts undo here, or lyts include on another.")
    return code


def shown_lines(names: Mapping[str, str], shown: Shown, *, dry_run: bool, out: bool) -> Iterator[str]:
    """Who may know how many files no longer, or again. Pure."""
    for node, files in sorted(shown.whom.items(), key=lambda item: names.get(item[0], item[0])):
        what = shown.names[0] if shown.changed == files == 1 else count_text(files, "file")
        if out:
            verb = "would no longer be told of" if dry_run else "is no longer told of"
        else:
            verb = "would be told of" if dry_run else "is told of"
        yield f"{names.get(node, node[:8])} {verb} {what}{'' if out else ' again'}"


def placed_lines(names: Mapping[str, str], placed: Placed, *, dry_run: bool) -> Iterator[str]:
    """What changed, per device. Pure."""

    def what(files: int) -> str:
        return placed.names[0] if placed.changed == files == 1 else count_text(files, "file")

    for node, amount in sorted(placed.go.items(), key=lambda item: names.get(item[0], item[0])):
        verb = "would let go of" if dry_run else "lets go of"
        free = f"{size_text(amount.size_bytes)} {'would' if dry_run else 'will'} be free there"
        yield f"{names.get(node, node[:8])} {verb} {what(amount.files)}; {free}"
    for node, amount in sorted(placed.come.items(), key=lambda item: names.get(item[0], item[0])):
        verb = "would get" if dry_run else "gets"
        yield f"{names.get(node, node[:8])} {verb} {what(amount.files)}, {size_text(amount.size_bytes)}"
    if placed.fewest is not None:
        kept = "would then be" if dry_run else "is then"
        least = count_text(placed.fewest, "device")
        yield f"{'each' if placed.changed > 1 else 'it'} {kept} kept by {least}{' at least' * (placed.changed > 1)}"


_LEFT = {
    "already": ("{files} so already", "is", "are"),
    "last": ("{files} left as {it}, since nobody else would keep the bytes: {names}", "is", "are"),
    "unknown": ("{files} left as {it}: who was kept from knowing a file cannot keep it ({names})", "is", "are"),
    "by hand": ("{files} left as {it}: a person chose who keeps {them}", "is", "are"),
    "lost": ("{files} left as {it}: only devices that were forgotten kept the bytes ({names})", "is", "are"),
}


_LEFT_KNOWN = {**_LEFT, "last": ("{files} left as {it}, since nobody else would know {them}: {names}", "is", "are")}


def left_lines(placed: Placed, texts: Mapping[str, tuple[str, str, str]] = _LEFT) -> Iterator[str]:
    """What stays as it is, and why. Pure."""
    for why, (count, names) in placed.left.items():
        text, one, many = texts[why]
        shown = ", ".join(names) + (f" and {count - len(names):,} more" if count > len(names) else "")
        files = f"{count_text(count, 'file')} {one if count == 1 else many}"
        it, them = ("it is", "it") if count == 1 else ("they are", "them")
        yield text.format(files=files, it=it, them=them, names=shown) + "."


def wait_lines(known: Known, waits: Mapping[Waiting, int]) -> Iterator[str]:
    """Which devices must be connected for the bytes to move."""
    if known.online is None and any(waiting.waits for waiting in waits):
        yield "Bytes move once Syncthing runs here: lyts sync up"
    told: dict[str, int] = {}
    for waiting, files in waits.items():
        if waiting.waits:
            what = "Not everything moves" if waiting.partly else "Nothing moves"
            text = f"{what} {connect_text(known, waiting.waits)}"
            told[text] = told.get(text, 0) + files
    for text, files in sorted(told.items(), key=lambda item: -item[1])[:SHOWN_WAITS]:
        yield f"{text}." if len(told) == 1 else f"{count_text(files, 'file')}: {text}."


def connect_text(known: Known, waits: Collection[Wait]) -> str:
    """`until server (last here 2026-11-22) is connected`."""
    from sync.verbs.waiting import to_connect

    sets = [listed([_called(known, node) for node in sorted(one)], "or") for one in to_connect(waits)]
    many = len(sets) > 1
    return f"until {listed(sets)} {'are' if many else 'is'} connected"


def _called(known: Known, node: str) -> str:
    name = known.names.get(node, node[:8])
    heard = known.heard.get(node, "")
    return f"{name} (last here {heard[:10]})" if heard else name
