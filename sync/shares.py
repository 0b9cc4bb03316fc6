"""Which folders and devices this node's Syncthing has, as facts and the way a node starts want it. Pure.

Everything about a folder follows from facts, but for three things that this node's own
start and life decide: whether its own ledgers are known to be no older than what others
have seen (`settled`), whether data may flow (`data_flows`), and which sets already have a
folder here. A folder keeps the path it was made with, and is never made again under its id by
itself (sync.md, Parts).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from sync.nodes import NodeInfo, Trusted
from sync.syncthing.config import DeviceConfig, FolderConfig
from sync.syncthing.folders import (
    data_folder,
    device,
    is_data_id,
    ledger_folder_id,
    others_ledger,
    own_ledger,
    set_ledger_folder_id,
)
from tagfs.layout import Layout
from tagfs.ledger import set_folder
from tagfs.nodeset import folder_name
from tagfs.place import NodeSet, ledger_labels


class Myself(NamedTuple):
    """This node: GUID, alias, library id, its own ledger folder below `ledgers/`, its device id."""

    guid: str
    alias: str
    library: str
    ledger_folder: str
    device: str


class Shares(NamedTuple):
    """What Syncthing is to have. `forget`: device ids that left, to be taken out of everything."""

    devices: list[DeviceConfig]
    folders: list[FolderConfig]
    forget: list[str]


def ledger_path(layout: Layout, node: str, alias: str, taken: Mapping[str, str]) -> str:
    """Where another node's ledgers stand here.

    Args:
        taken: folder id or GUID -> path of the ledger folders that are there.
    """
    wanted = os.path.join(layout.ledgers, folder_name(alias))
    if any(path == wanted for path in taken.values()):
        wanted = f"{wanted}-{node[:8]}"
    return wanted


def shares(
    me: Myself,
    trusted: Mapping[str, Trusted],
    sets: Iterable[NodeSet],
    layout: Layout,
    standing: Mapping[str, FolderConfig],
    known_devices: Iterable[str],
    *,
    settled: bool,
    data_flows: bool,
    can_dial_us: Collection[str] = (),
    stay: Collection[str] = (),
    held_back: Collection[str] = (),
) -> Shares:
    """What Syncthing is to have now. A node that is alone shares nothing.

    Args:
        trusted: the nodes that this one connects to (`nodes.trusted_nodes`).
        standing: the folders that it has, by id.
        known_devices: the devices that it has and that are nodes', or were (`devices_of_nodes`); those
            that are no longer are forgotten.
        can_dial_us: the nodes that are known to have read where this one is; of two that can dial each
            other only one does (`folders.dialled_addresses`), and of all others this one must.
        stay: devices that are left where they are, whatever facts say of them (`starting`).
        held_back: the sets whose data does not flow even so (`flow`).
    """
    devices = [
        device(found.device, found.node.alias, found.node.addresses, own_id=me.device if guid in can_dial_us else "")
        for guid, found in trusted.items()
    ]
    everyone = [me.device, *(found.device for found in trusted.values()), *sorted(stay)]
    by_node = {me.guid: me.device, **{guid: found.device for guid, found in trusted.items()}}
    own_id = ledger_folder_id(me.library, me.guid)
    own_path = os.path.join(layout.ledgers, me.ledger_folder)
    folders = []
    if trusted or own_id in standing:
        folders.append(own_ledger(own_id, own_path, f"lyts: {me.alias}", everyone, settled=settled))
    taken = {own_id: own_path, **{folder_id: folder.path for folder_id, folder in standing.items()}}
    for guid, found in sorted(trusted.items()):
        folder_id = ledger_folder_id(me.library, guid)
        path = taken.get(folder_id) or ledger_path(layout, guid, found.node.alias, taken)
        taken[folder_id] = path
        folders.append(others_ledger(folder_id, path, f"lyts: {found.node.alias}", everyone))
    sets = list(sets)
    labels = ledger_labels(sets)
    standing_at = {folder.path.lower(): folder_id for folder_id, folder in standing.items() if is_data_id(folder_id)}
    for one in sets:
        members = [by_node[node] for node in sorted(one.nodes) if node in by_node]
        if me.guid not in one.nodes or (len(members) < 2 and one.set_id not in standing):
            continue
        if one.set_id in standing:
            members += sorted(standing[one.set_id].device_ids() & set(stay))
        path = os.path.join(layout.sets, one.label)
        if standing_at.get(path.lower(), one.set_id) != one.set_id:
            continue  # where the bytes of another set are, until those have moved (`relabelling`)
        paused = not data_flows or one.set_id in held_back
        folders.append(data_folder(one.set_id, path, f"lyts: {one.label}", members, paused=paused))
        if one.nodes not in labels:
            continue
        for guid in sorted(one.nodes & by_node.keys()):
            folder_id = set_ledger_folder_id(one.set_id, guid)
            wanted = set_folder(taken[ledger_folder_id(me.library, guid)], labels[one.nodes])
            path = taken.get(folder_id) or wanted
            if guid == me.guid:
                name = f"lyts: {me.alias} for {one.label}"
                folders.append(own_ledger(folder_id, path, name, members, settled=settled))
            else:
                name = f"lyts: {trusted[guid].node.alias} for {one.label}"
                folders.append(others_ledger(folder_id, path, name, members))
    gone = sorted(set(known_devices) - set(everyone))
    return Shares(devices, folders, gone)


def devices_of_nodes(nodes: Iterable[NodeInfo], standing: Iterable[FolderConfig], ours: str) -> set[str]:
    """The devices that are or were nodes' of this library. All others are the person's own affair.

    Args:
        standing: the folders that Syncthing has.
        ours: how the ids of all folders of this library's open ledgers begin.
    """
    said = {device_id for node in nodes for device_id in node.said}
    return said.union(*(one.device_ids() for one in standing if one.id.startswith((ours, "lsd-"))))
