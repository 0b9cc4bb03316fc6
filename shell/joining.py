"""`lyts node invite`, `join` and `accept`: what they do, and what they say. How it works: `sync.joining`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from tagfs.errors import EXIT_DONE, EXIT_NOTHING, BadRequest, NoStore, NothingMatched
from tagfs.layout import Layout, read_info, write_info

if TYPE_CHECKING:
    from shell.app import App
    from sync.invite import Invitation
    from sync.joining import Asking

LOOK_S = 0.3
QUIET_MODULES = 4
"""The white rim that a QR code needs, in its own squares."""


def invitation(app: App) -> Invitation:
    """What a new device must know. Raises `BadRequest` while syncing does not run here."""
    from shell.nodes import look
    from sync.invite import Invitation
    from sync.myself import fixed_addresses
    from sync.syncthing.attached import connect

    layout = Layout(app.root)
    info = read_info(layout)
    found = look(app)
    if not found.runs:
        raise BadRequest("a new device asks this one, so syncing must run here first: lyts sync up")
    with connect(layout) as syncthing:
        addresses = fixed_addresses(syncthing.options())
    return Invitation(info.library, info.node, found.nodes[info.node].alias, found.report.device_id, addresses)


def qr_lines(code: str, *, color: bool = False) -> Iterator[str]:
    """A code as a QR code of text: two squares above each other are one character.

    Without colour what is light is drawn, which is right where text is lighter than its ground.
    """
    import segno

    # Capital letters, digits and dashes take a third less room than any other text.
    matrix = segno.make(code.upper(), error="l", micro=False).matrix
    size = len(matrix) + 2 * QUIET_MODULES

    def is_light(row: int, column: int) -> bool:
        inside = 0 <= row - QUIET_MODULES < len(matrix) and 0 <= column - QUIET_MODULES < len(matrix)
        return not (inside and matrix[row - QUIET_MODULES][column - QUIET_MODULES])

    for row in range(0, size, 2):
        halves = ((is_light(row, column), row + 1 >= size or is_light(row + 1, column)) for column in range(size))
        line = "".join({(1, 1): "█", (1, 0): "▀", (0, 1): "▄", (0, 0): " "}[int(a), int(b)] for a, b in halves)
        yield f"\x1b[97;40m{line}\x1b[0m" if color else line


# -- join --------------------------------------------------------------------------


def join(app: App, code: str, alias: str | None, local_only: bool | None, listen: str | None, wait: bool | None) -> int:
    """Make this device a part of the library of an invitation, and ask to be let in."""
    from shell.commands.sync import syncthing_up
    from shell.making import check_alias
    from shell.service import start
    from sync.invite import decode
    from sync.myself import introduce, state_inviter
    from sync.syncthing.attached import connect
    from sync.syncthing.managed import check_listen

    invited = decode(code)
    wanted = None if alias is None else check_alias(alias)
    if listen is not None:
        check_listen(listen)
    layout = Layout(app.root)
    name = _make_or_take_store(app, layout, invited, wanted)
    syncthing_up(app, local_only, listen, None, False, False)
    with connect(layout) as syncthing:
        device = syncthing.status().my_id
        if device == invited.device:
            raise BadRequest("the invitation is from this very Syncthing; use it on the new device")
        state_inviter(app.store, invited, device, name)
        introduce(app.store, syncthing, device)
    start(app)
    shown = app.output.name
    app.output.line(f"{shown(name)} asks to join the library of {shown(invited.alias)}; its device id is {device}")
    app.output.say(f"On {invited.alias}, compare the device id and say yes: lyts node accept")
    if wait or (wait is None and app.output.can_ask()):
        return _wait_for_yes(app, device, invited)
    return EXIT_DONE


def _make_or_take_store(app: App, layout: Layout, invited: Invitation, wanted: str | None) -> str:
    """See that there is a store of that library, with nothing of another. Returns this device's name."""
    from shell.making import default_alias, make_store
    from shell.text import count_text
    from sync.myself import all_nodes
    from sync.nodes import trusted_nodes

    try:
        info = read_info(layout)
    except NoStore:
        name = make_store(app, wanted if wanted is not None else default_alias(), library=invited.library)
        app.output.say(f"Made a store in {layout.root} (this device is called {name}).")
        return name
    if info.node == invited.node:
        raise BadRequest("this invitation is from this very device; use it on the new one. Nothing was changed")
    nodes = all_nodes(app.store)
    others = [node for node in nodes.values() if node.guid != info.node and not node.gone]
    alias = wanted if wanted is not None else nodes[info.node].alias if info.node in nodes else info.alias
    if info.library == invited.library:
        trusted = trusted_nodes(info.node, nodes)
        own = nodes[info.node].said if info.node in nodes else {}
        if any(guid[:8] in by_node for by_node in own.values() for guid in trusted):
            raise BadRequest("this device is in that library already; nothing was changed")
        return alias  # an earlier try was cut short
    elsewhere = (
        "Nothing was changed. To keep it and join as well, choose another folder for the new store: "
        "lyts --store DIR node join CODE"
    )
    count = _files(app)
    if count:
        raise BadRequest(
            f"{layout.root} is a store of another library, with {count_text(count, 'file')} in it. {elsewhere}"
        )
    if others:
        raise BadRequest(f"{layout.root} belongs to another library, with {others[0].alias}. {elsewhere}")
    _change_library(app, layout, invited.library)
    return alias


def _files(app: App) -> int:
    """How many files this store ever heard of, removed ones among them."""
    with app.store.view() as view:
        return view.ordinal_total()


def _change_library(app: App, layout: Layout, library: str) -> None:
    """An empty store that was made by `lyts init` becomes one of another library: its facts name no library."""
    from shell.service import end
    from shell.syncing import managed_of
    from sync.syncthing.managed import down

    end(app, managed_of(app))
    down(managed_of(app))
    with app.store.locked():
        write_info(layout, read_info(layout)._replace(library=library))
    app.close()


def _wait_for_yes(app: App, device: str, invited: Invitation) -> int:
    from sync.joining import is_accepted
    from sync.myself import all_nodes, introduce
    from sync.nodes import trusted_nodes
    from sync.syncthing.attached import connect

    app.output.say("Waiting to be let in. Ctrl-C ends the waiting only; it goes on in the background.")
    store = app.store
    while True:
        nodes = all_nodes(store)
        if is_accepted(store.node, device, nodes, trusted_nodes(store.node, nodes)):
            with connect(Layout(app.root)) as syncthing:
                introduce(store, syncthing, device)  # it need not ask any more
            app.output.line(f"{app.output.name(nodes[invited.node].alias)} has let this device in")
            return EXIT_DONE
        time.sleep(LOOK_S)


# -- accept ------------------------------------------------------------------------


class ToKeep(NamedTuple):
    """What a device is to keep that is let in: what is added here from now on, what is here. None: to be asked."""

    new_files: bool | None = None
    files_here: bool | None = None


def accept(
    app: App, who: str | None, alias: str | None, keep: ToKeep, *, server: bool, wait: bool | None, yes: bool
) -> int:
    """Let a device in that asks."""
    from shell.making import check_alias
    from shell.newfiles import offer
    from sync.joining import free_alias, why_not
    from sync.myself import all_nodes, let_in

    output, store = app.output, app.store
    asking = _who_asks(app, who, wait=wait or (wait is None and output.can_ask() and not yes))
    if asking is None:
        output.say("Nobody was let in.")
        return EXIT_NOTHING
    nodes = all_nodes(store)
    why = why_not(asking, store.node, store.info.library, nodes)
    if why:
        raise BadRequest(f"{asking.alias} cannot be let in: {why}")
    wanted = check_alias(alias if alias is not None else asking.alias)
    name = free_alias(wanted, asking.node, nodes)
    if alias is not None and name != wanted:
        raise BadRequest(f"another device is called {wanted!r} already; nothing was changed")
    if name != wanted:
        output.say(f"Another device is called {wanted} already, so this one will be {name}.")
    output.line(f"{output.name(name)} asks to join")
    output.line(f"  device id  {asking.device}")
    if asking.address:
        output.line(f"  from       {output.name(asking.address)}")
    if not output.confirm("Is this the device id that the new device shows?", yes):
        return EXIT_NOTHING
    let_in(store, asking.node, asking.device, name, introduces=not server)
    output.line(f"{output.name(name)} is in the library now")
    tell_about_placement(app, name)
    offer(app, asking.node, name, *keep, ask=output.can_ask() and not yes)
    return EXIT_DONE


def tell_about_placement(app: App, name: str) -> None:
    """What a person should know about bytes after a device was let in."""
    app.output.say(
        f"{name} gets to know all files as soon as it is connected; their bytes stay where they are until you say "
        f"otherwise. To have some there as well: lyts restore --nodes {name} -q QUERY"
    )


def _who_asks(app: App, who: str | None, *, wait: bool) -> Asking | None:
    """The one that is meant; None where a person chose none. Raises `BadRequest`, `NothingMatched`."""
    from shell.nodes import look
    from sync.joining import askings
    from sync.syncthing.attached import connect

    found = look(app)
    if not found.runs:
        raise BadRequest("devices ask over Syncthing, so syncing must run here first: lyts sync up")
    told = False
    with connect(Layout(app.root)) as syncthing:
        while True:
            names = {one.device_id: one.name for one in syncthing.devices() if one.device_id != found.report.device_id}
            pending = syncthing.pending_devices(), syncthing.pending_folders()
            all_of_them = askings(*pending, names, app.store.node, app.store.info.library, found.nodes)
            fits = [
                one
                for one in all_of_them
                if (who is None and one.node)
                or (who is not None and (one.alias.casefold() == who.casefold() or _is_device(one.device, who)))
            ]
            if fits or not wait:
                break
            if not told:
                app.output.say("Waiting for a device to ask. On it: lyts node join CODE. Ctrl-C ends this.")
                told = True
            time.sleep(LOOK_S)
    if len(fits) == 1:
        return fits[0]
    if fits:
        choices = [f"{one.alias}, {one.device}" for one in fits]
        if not app.output.can_ask():
            raise BadRequest("several devices ask; name one by its device id:\n  " + "\n  ".join(choices))
        chosen = app.output.choose("Several devices ask to join:", choices)
        if len(chosen) > 1:
            raise BadRequest("one at a time, please; nobody was let in")
        return fits[chosen[0]] if chosen else None
    others = "".join(f"\n  {one.alias}, {one.device}" for one in all_of_them)
    what = "no device asks to join" if who is None else f"no device {who!r} asks to join"
    beside = f". These knocked:{others}" if others else ""
    raise NothingMatched(f"{what}; on the new device: lyts node join CODE (the code: lyts node invite){beside}")


def _is_device(device: str, given: str) -> bool:
    """Whether a device id, or the beginning of one, is meant."""
    bare = given.replace("-", "").upper()
    return len(bare) >= 7 and device.replace("-", "").startswith(bare)
