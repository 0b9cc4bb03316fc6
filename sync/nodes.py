"""The nodes of a library: what they are called, which device each is, and whom this one connects to.

Facts travel through ledgers that other devices write, so a fact alone must not make this
device talk to another. A node connects to the devices that a person accepted on it, to those
that were accepted on a node it connects to and that may introduce others, and so on. Which
device a node is was said when it was accepted; of several statements that count the oldest
does, until this node has taken one for true: that is fixed (`fixed`), and no fact changes it,
however old it says it is. Pure, but for the view and what is fixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from sync.fixed import Fixed, read_fixed
from sync.syncthing.deviceid import is_device_id
from tagfs.glossary import NODE_THING, Thing
from tagfs.index.read import View
from tagfs.layout import Layout

_unpack = msgspec.msgpack.Decoder().decode


class NodeInfo(NamedTuple):
    """What facts say about a node.

    `said`: device id -> first 8 digits of each node that said so -> stamp. `addresses_at`: the
    stamp of the statement of its addresses, "" for none. `introducing`: first 8 digits of each node that
    said whether it may introduce others -> (stamp, whether). `fixed`: what this node took it for, if it did.
    """

    guid: str
    alias: str
    addresses: tuple[str, ...]
    gone: bool
    said: Mapping[str, Mapping[str, str]]
    addresses_at: str = ""
    introducing: Mapping[str, tuple[str, bool]] = MappingProxyType({})
    fixed: Fixed | None = None


class Trusted(NamedTuple):
    """A node that this one connects to, as which device, and whether that may introduce others."""

    node: NodeInfo
    device: str
    introduces: bool


class Doubt(NamedTuple):
    """A node whose device is stated otherwise than it was accepted."""

    node: NodeInfo
    device: str
    said_by: str


def node_info(guid: str, thing: Thing) -> NodeInfo:
    """A node as its facts have it."""
    return NodeInfo(
        guid=guid,
        alias=str(thing.value("alias", guid[:8])),
        addresses=tuple(thing.value("addresses", ())),
        gone=bool(thing.value("gone", False)),
        said={device: added for device, (added, _) in thing.pairs.get("device", {}).items() if is_device_id(device)},
        addresses_at=thing.registers.get("addresses", ("", None))[0],
        introducing=_introducing(thing),
    )


def _introducing(thing: Thing) -> dict[str, tuple[str, bool]]:
    found: dict[str, tuple[str, bool]] = {}
    for answer, (added, _) in thing.pairs.get("introduces", {}).items():
        for who, at in added.items():
            found[who] = max(found.get(who, ("", False)), (at, answer == "yes"))
    return found


def nodes_of(view: View, layout: Layout | None = None) -> dict[str, NodeInfo]:
    """All nodes that facts speak of, by GUID.

    Args:
        layout: of the store, for what is fixed; without it nothing is to be decided about trust.
    """
    fixed = read_fixed(layout) if layout is not None else {}
    return {
        guid: node_info(guid, Thing.unpacked(_unpack(packed)))._replace(fixed=fixed.get(guid))
        for guid, packed in view.things(NODE_THING)
    }


def to_fix(trusted: Mapping[str, Trusted]) -> dict[str, Fixed]:
    """What this node takes nodes for from now on."""
    return {guid: Fixed(one.device, one.introduces) for guid, one in trusted.items()}


def trusted_nodes(me: str, nodes: Mapping[str, NodeInfo]) -> dict[str, Trusted]:
    """The nodes that this one connects to, by GUID; without itself."""
    trusted: dict[str, Trusted] = {}
    introducers = {me[:8]}
    while True:
        found = [
            (guid, device)
            for guid, node in nodes.items()
            if guid != me and guid not in trusted and not node.gone
            for device in [_oldest(node, introducers)]
            if device is not None
        ]
        if not found:
            return trusted
        # All found in one step are judged by those known before it, so the order does not matter.
        for guid, device in found:
            trusted[guid] = Trusted(nodes[guid], device, _may_introduce(nodes[guid], introducers))
        introducers |= {guid[:8] for guid, _ in found if trusted[guid].introduces}


def _oldest(node: NodeInfo, introducers: Iterable[str]) -> str | None:
    """The device that was first said to be this node by one of these; the fixed one, where any of them said so."""
    if node.fixed is not None:
        return node.fixed.device if set(introducers).intersection(node.said.get(node.fixed.device, ())) else None
    said = [(at, device) for device, by_node in node.said.items() for who, at in by_node.items() if who in introducers]
    return min(said)[1] if said else None


def _may_introduce(node: NodeInfo, introducers: Iterable[str]) -> bool:
    """What was said last by one of these; that it may, where none of them said anything. Not what it says itself."""
    if node.fixed is not None:
        return node.fixed.introduces
    said = [node.introducing[who] for who in introducers if who in node.introducing and who != node.guid[:8]]
    return max(said)[1] if said else True


def doubts(me: str, nodes: Mapping[str, NodeInfo]) -> list[Doubt]:
    """Statements that a trusted node is another device than the one it was accepted as: `doctor` names them."""
    trusted = trusted_nodes(me, nodes)
    by8 = {guid[:8]: node.alias for guid, node in nodes.items()}
    return [
        Doubt(found.node, device, by8.get(min(by_node, key=lambda who: by_node[who]), "?"))
        for found in trusted.values()
        for device, by_node in found.node.said.items()
        if device != found.device
    ]
