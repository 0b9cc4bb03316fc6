"""The nodes of the library as `node list` and `sync status` show them, and what is wrong with them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sync.joining import is_accepted
from sync.nodes import NodeInfo, doubts, trusted_nodes
from sync.syncthing.report import Peer

HERE, CONNECTED, AWAY, PAUSED, JOINING, APART = "here", "connected", "away", "paused", "joining", "apart"
UNKNOWN = "unknown"


class Row(NamedTuple):
    """A node.

    `state`: `here` (this one), `connected`, `away`, `paused`, `joining` (this node or the other has not yet
    been let in by the other side), `apart` (no device that may introduce others has accepted it, so this
    one does not talk to it), `unknown` (Syncthing does not run). `last_seen` is RFC 3339, "" for never
    or unknown.
    """

    guid: str
    alias: str
    device: str
    state: str
    last_seen: str
    introduces: bool
    addresses: tuple[str, ...]


def roster(me: str, device: str, nodes: Mapping[str, NodeInfo], peers: Mapping[str, Peer] | None) -> list[Row]:
    """All nodes that were not forgotten, this one first, then by name.

    Args:
        device: this node's own device id, "" where it has none yet.
        peers: how the other devices are, by device id; None where Syncthing does not run.
    """
    trusted = trusted_nodes(me, nodes)
    # Syncthing is connected for a moment with one that refuses it.
    asks = not is_accepted(me, device, nodes, trusted)
    found = []
    for guid, node in nodes.items():
        if node.gone and guid != me:
            continue
        if guid == me:
            found.append(Row(guid, node.alias, device, HERE, "", True, node.addresses))
            continue
        if guid not in trusted:
            said = min(node.said, default="")
            found.append(Row(guid, node.alias, said, APART, "", False, node.addresses))
            continue
        its_device = trusted[guid].device
        peer = peers.get(its_device) if peers is not None else None
        found.append(
            Row(
                guid,
                node.alias,
                its_device,
                JOINING if asks and peers is not None else _state(peers is not None, peer),
                peer.last_seen if peer is not None else "",
                trusted[guid].introduces,
                node.addresses,
            )
        )
    return sorted(found, key=lambda row: (row.state != HERE, row.alias.casefold(), row.guid))


def _state(is_known: bool, peer: Peer | None) -> str:
    if not is_known:
        return UNKNOWN
    if peer is None:
        return JOINING
    if peer.connected:
        return CONNECTED
    if peer.paused:
        return PAUSED
    return AWAY if peer.last_seen else JOINING


def problems(me: str, device: str, nodes: Mapping[str, NodeInfo]) -> list[str]:
    """What is wrong between the nodes, in sentences, worst first."""
    found = []
    own = nodes.get(me)
    trusted = trusted_nodes(me, nodes)
    if own is not None and own.gone:
        found.append(
            "this device was forgotten in the library; nothing that happens here reaches the others. "
            "It comes back only as a new device: lyts node join CODE with a new store"
        )
    for doubt in doubts(me, nodes):
        found.append(
            f"{doubt.said_by} says that {doubt.node.alias} is the device {doubt.device}, and it was accepted as "
            "another; nothing was changed. If that device was set up anew, forget it and let it join again"
        )
    if own is not None and device and trusted:
        others = {
            said for said, by_node in own.said.items() if said != device and any(g[:8] in by_node for g in trusted)
        }
        if others and not is_accepted(me, device, nodes, trusted):
            found.append(
                "the others know this node as another device: its keys were made anew. "
                "It comes back only as a new device: lyts node join CODE with a new store"
            )
    by_name: dict[str, int] = {}
    for node in nodes.values():
        if not node.gone:
            by_name[node.alias] = by_name.get(node.alias, 0) + 1
    found += [
        f"{count} devices are called {alias!r}: lyts node rename"
        for alias, count in sorted(by_name.items())
        if count > 1
    ]
    return found
