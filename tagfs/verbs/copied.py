"""A copy of a store becomes a device of its own: `lyts node here --copied`.

Two stores with one GUID would be taken for one device, and what is said in one of them would be lost. So the
copy gets a new GUID and a ledger of its own; the ledger that it was copied with stays what it is, that of another
device, which goes on elsewhere. Nothing of it is written to any more.

The bytes that were copied along are this device's now as well: it states that it keeps those files, and puts
them where that has them, under a second name before the first one goes. What it finds no face for, and what
is not in a set's `data/`, is left where it is.

    copied-from     the GUID it had, from just before the change until all of this is done

Interrupted at any point it is gone on with; until `store.toml` is written, in one step, nothing is changed but
that the keys of the Syncthing that was copied along are gone: two devices must never have the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tagfs.bytes import remove, take, try_link
from tagfs.change import Change
from tagfs.durable import sync_paths
from tagfs.errors import BadRequest
from tagfs.face import holders
from tagfs.glossary import NODE_THING, SET_THING
from tagfs.guid import is_guid, new_guid
from tagfs.layout import Layout, make_folder, read_info, write_info, write_private
from tagfs.ledger import folders_below
from tagfs.lock import hold
from tagfs.nodeset import folder_name, label, set_id
from tagfs.place import node_sets, places
from tagfs.store import Machine, Store
from tagfs.verbs.tagging import chunks

_NOTE = "copied-from"
_DEVICES_OWN = (
    "syncthing",
    "sync.db",
    "sync.db-wal",
    "sync.db-shm",
    "sync-daemon",
    "index",
    "index.new",
    "text",
    "dirty",
)


class Copied(NamedTuple):
    """What became of it. `files`: so many are kept by this device as well; `left`: paths of bytes left alone."""

    alias: str
    files: int
    left: list[str]


def is_under_way(layout: Layout) -> bool:
    """Whether it was begun, and is to be gone on with."""
    return os.path.exists(os.path.join(layout.root, _NOTE))


def become_new(
    layout: Layout, machine: Machine, alias: str | None, on_progress: Callable[[int, int], None] = lambda done, of: None
) -> Copied:
    """Do it, or go on with it. Nothing else may work on the store meanwhile.

    Args:
        alias: what this device is to be called; what the other one is called with a number, if None.

    Raises:
        BadRequest: another device is called so.
        StoreError, DiskFull.
    """
    with hold(layout.lock):
        if not is_under_way(layout):
            _begin(layout, machine, alias)
        note = os.path.join(layout.root, _NOTE)
        with open(note, encoding="ascii") as file:
            former = file.read().strip()
        if read_info(layout).node == former:
            _change_identity(layout, machine, alias)
    with Store(layout.root, machine) as store:
        store.act(lambda change: _introduce(change, store))
        files, left = _take_over(store, on_progress)
        os.unlink(note)
        return Copied(store.info.alias, files, left)


def _begin(layout: Layout, machine: Machine, alias: str | None) -> None:
    if alias is not None and folder_name(alias) in folders_below(layout.ledgers):
        raise BadRequest(f"another device is called {alias!r}; choose another name. Nothing was changed")
    note = os.path.join(layout.root, _NOTE)
    write_private(note, read_info(layout).node.encode() + b"\n")
    sync_paths([note, layout.root])


def _change_identity(layout: Layout, machine: Machine, alias: str | None) -> None:
    for name in _DEVICES_OWN:
        path = os.path.join(layout.root, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            remove(path)
    info = read_info(layout)
    taken = {name.partition("@")[0] for name in folders_below(layout.ledgers)}
    called, number = alias or info.alias, 1
    while folder_name(called) in taken:
        number += 1
        called = f"{alias or info.alias}-{number}"
    folder = folder_name(called)
    make_folder(os.path.join(layout.ledgers, folder))
    write_info(
        layout,
        info._replace(
            node=new_guid(machine.random_bytes(16)), alias=called, ledger_folder=folder, machine_id=machine.machine_id()
        ),
    )
    sync_paths([layout.root])


def _introduce(change: Change, store: Store) -> None:
    change.unasked = True
    me = store.node
    if change.thing(NODE_THING, me).value("alias") is None:
        change.about("node", NODE_THING, me, alias=store.info.alias)
    _make_set(change, {me: store.info.alias}, frozenset({me}))


def _make_set(change: Change, names: dict[str, str], members: frozenset[str]) -> None:
    guids = sorted(members)
    if change.thing(SET_THING, set_id(guids)).value("set") is None:
        taken = [one.label for one in node_sets(change.view)]
        wanted = label({guid: names.get(guid, guid[:8]) for guid in guids}, taken)
        change.new_set(set_id(guids), wanted, guids)


# -- bytes


def _take_over(store: Store, on_progress: Callable[[int, int], None]) -> tuple[int, list[str]]:
    with store.view() as view:
        foreign = [one.label for one in node_sets(view) if store.node not in one.nodes]
    found = dict(_data_in(store.layout, foreign))
    done, left = 0, []
    for part in chunks(sorted(found)):
        kept = store.act(lambda change, part=part: _keep(change, part))  # type: ignore[misc]
        with store.view(fresh=False) as view:
            where = places(store.layout, view, store.node)
        for guid in part:
            paths = found[guid]
            if guid in kept:
                data, members = kept[guid]
                place = next(where.candidates(data, members))
                _put(store.layout, paths, place)
                done += 1
            left += [path for path in paths if os.path.lexists(path)]
        on_progress(done, len(found))
    return done, left


def _data_in(layout: Layout, labels: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    by_guid: dict[str, list[str]] = {}
    for one in labels:
        below = layout.data(one, "")
        for folder, _, names in os.walk(below):
            for name in names:
                if is_guid(name[:36]) and name[36:38] == "--" and ".sync-conflict-" not in name:
                    by_guid.setdefault(name[:36], []).append(os.path.join(folder, name))
    yield from by_guid.items()


def _keep(change: Change, guids: list[str]) -> dict[str, tuple[str, frozenset[str]]]:
    """State that this device keeps these files as well. Returns by GUID where that has their bytes."""
    change.unasked = True
    names = change.view.node_names()
    gone = change.view.nodes_that_left()
    kept = {}
    for guid in guids:
        state = change.state(guid)
        if state.made is None or state.is_purged() or not state.knows.get(change.node, ("", True))[1]:
            continue
        members = holders(state, names) | {change.node}
        _make_set(change, names, members)
        if not state.holds.get(change.node, ("", False))[1]:
            # A holder that nobody named holds only as long as no other is named: so it is named as well.
            said = {node: True for node in members - gone if not state.holds.get(node, ("", False))[1]}
            change.about_file(guid, holds={**said, change.node: True})
        kept[guid] = state.made.data, holders(change.state(guid), names)
        _make_set(change, names, kept[guid][1])
    return kept


def _put(layout: Layout, paths: list[str], place: str) -> None:
    """One of these under its new name; the others, which may be other contents, stay."""
    make_folder(os.path.dirname(place))
    newest = max(paths, key=lambda path: os.lstat(path).st_mtime_ns)
    if not os.path.lexists(place):
        draft = os.path.join(layout.scratch, "put-" + os.path.basename(place)[:36])
        remove(draft)
        if not try_link(newest, draft):
            taken = take(newest, draft)
            os.utime(draft, ns=(taken.mtime_ns, taken.mtime_ns))
            sync_paths([draft])
        os.rename(draft, place)
        sync_paths([os.path.dirname(place)])
    if os.path.samefile(newest, place):
        remove(newest)
        remove(os.path.join(layout.scratch, "put-" + os.path.basename(place)[:36]))
