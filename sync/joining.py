"""How a device gets into a library: it asks, a person says yes, and one fact lets it in. Pure.

    node invite      old device    prints a code: library, its own device id and addresses
    node join        new device    takes the old one as accepted, dials it, and says in its name who it is
    node accept      old device    shows who asks; a yes is one fact: this node is this device

Syncthing tells a device that it does not know nothing but a name. So a device that asks is
called `Ada's phone [lyts LIBRARY NODE phone]` until it was accepted (its name as it was, and
in brackets what it wants to be called as a node), and all that is needed to let it in is
known before: there is no half accepted device, and an accept that was cut short was either
said or not. What the name says is a claim: whether it is true shows after, since
only the node of that GUID offers that ledger folder, and its device id proves the device.
A device that Syncthing knows already (the person's own use of it) cannot ask like that; it
is known by the ledger folder that it offers. It offers those of all nodes that it knows of,
that of the very node which it asks among them; its own is the one that nobody here knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from sync.nodes import NodeInfo, Trusted, trusted_nodes
from sync.syncthing.records import PendingDevice, PendingFolder
from tagfs.guid import is_guid

_GUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ASKS = re.compile(rf"(?P<name>.*?) \[lyts (?P<library>{_GUID}) (?P<node>{_GUID}) (?P<alias>.*)\]\Z", re.DOTALL)
_OFFER = re.compile(rf"lyts-(?P<library>{_GUID})-(?P<node>{_GUID})\Z")
MAX_ALIAS_CHARACTERS = 60


class Asking(NamedTuple):
    """A device that wants in.

    `address`: where it dialled from, "" where that is not known. `library` and `node` are ""
    where it is no lyts, or none that asks.
    """

    device: str
    alias: str
    address: str
    library: str
    node: str


def asking_name(name: str, library: str, node: str, alias: str) -> str:
    """What a device calls itself while it asks.

    Args:
        name: what it is called otherwise.
        alias: the name that the node is to have.
    """
    return f"{plain_name(name)} [lyts {library} {node} {alias}]"


def plain_name(name: str) -> str:
    """The name without what is said in asking."""
    found = _ASKS.match(name)
    return found["name"] if found is not None else name


def askings(
    devices: Mapping[str, PendingDevice],
    folders: Mapping[str, PendingFolder],
    names: Mapping[str, str],
    me: str,
    library: str,
    nodes: Mapping[str, NodeInfo],
) -> list[Asking]:
    """All that ask, those that ask for a library first.

    Args:
        devices: those that wanted to connect and are not known.
        folders: what known devices offer and is not taken.
        names: of all devices that Syncthing knows.
        me, library, nodes: this node, its library, and the nodes that it knows of.
    """
    found = {}
    for device, said in devices.items():
        asks = _ASKS.match(said.name)
        asked, node, alias = ("", "", said.name) if asks is None else asks.group("library", "node", "alias")
        found[device] = Asking(device, _alias(alias), said.address, asked, node)
    accepted = {one.device for one in trusted_nodes(me, nodes).values()}
    offered: dict[str, list[Asking]] = {}
    for folder, offers in folders.items():
        is_ledger = _OFFER.match(folder)
        if is_ledger is None:
            continue
        for device, offer in offers.offered_by.items():
            if device not in accepted and device in names and device not in found:
                alias = _alias(offer.label.removeprefix("lyts: ") or names[device])
                asking = Asking(device, alias, "", is_ledger["library"], is_ledger["node"])
                offered.setdefault(device, []).append(asking)
    for device, ledgers in offered.items():
        ours = [one for one in ledgers if one.library == library]
        own = _own_of(device, ours or ledgers, me, nodes)
        found[device] = own if own is not None else Asking(device, _alias(names[device]), "", "", "")
    return sorted(found.values(), key=lambda one: (not one.node, one.alias, one.device))


def _own_of(device: str, ledgers: list[Asking], me: str, nodes: Mapping[str, NodeInfo]) -> Asking | None:
    """Which of the ledgers that a device offers is its own; None where that is not certain."""
    said_to_be = [one for one in ledgers if one.node in nodes and device in nodes[one.node].said]
    unknown = [one for one in ledgers if one.node != me and one.node not in nodes]
    for fits in (said_to_be, unknown, ledgers):
        if fits:
            return fits[0] if len(fits) == 1 else None
    return None


def _alias(text: str) -> str:
    shown = "".join(ch if ch.isprintable() else "?" for ch in text).strip()
    return shown[:MAX_ALIAS_CHARACTERS] or "device"


def why_not(asking: Asking, me: str, library: str, nodes: Mapping[str, NodeInfo]) -> str:
    """Why a device cannot be accepted, "" if it can."""
    if not asking.node or not is_guid(asking.node):
        return "it is no lyts that asks to join; on it: lyts node join CODE"
    if asking.library != library:
        return "it asks to join another library"
    if asking.node == me:
        return "it says that it is this very device: its store is a copy of this one"
    node = nodes.get(asking.node)
    if node is not None and node.gone:
        return f"{node.alias} was forgotten; it comes back only as a new device, with a new store"
    found = trusted_nodes(me, nodes).get(asking.node)
    if found is not None and found.device != asking.device:
        return f"{found.node.alias} is another device, and a device's id never changes"
    for other in trusted_nodes(me, nodes).values():
        if other.device == asking.device and other.node.guid != asking.node:
            return f"this device is {other.node.alias} already; forget that first: lyts node forget"
    return ""


def free_alias(wanted: str, node: str, nodes: Mapping[str, NodeInfo]) -> str:
    """The name for a node that no other has: `tablet`, or `tablet-2`."""
    taken = {one.alias.casefold() for one in nodes.values() if one.guid != node and not one.gone}
    alias, number = wanted, 2
    while alias.casefold() in taken:
        alias, number = f"{wanted}-{number}", number + 1
    return alias


def is_accepted(me: str, device: str, nodes: Mapping[str, NodeInfo], trusted: Mapping[str, Trusted]) -> bool:
    """Whether some node that this one connects to has said that this node is this device."""
    said = nodes[me].said.get(device, {}) if me in nodes else {}
    return any(guid[:8] in said for guid in trusted)
