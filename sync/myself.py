"""What this node says about itself and about those it lets in: facts, and its name in Syncthing.

- Its own device and fixed addresses it states itself, whenever they are otherwise than facts
  have them. Others believe the addresses; the device they know from who accepted it.
- Fixed addresses are those at which it can be reached for certain: listened at in so many
  words (`--listen tcp://192.0.2.7:22000`), or on this machine where nobody finds it otherwise.
  All else is left to discovery, which follows a device that moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sync.fixed import Fixed, fix
from sync.invite import Invitation
from sync.joining import asking_name, is_accepted, plain_name
from sync.nodes import NodeInfo, node_info, nodes_of, trusted_nodes
from sync.syncthing.address import is_loopback
from sync.syncthing.config import Options
from tagfs.change import Change
from tagfs.errors import BadRequest
from tagfs.fact import MAX_ADDRESSES
from tagfs.glossary import NODE_THING
from tagfs.layout import read_info, write_info
from tagfs.store import Store

if TYPE_CHECKING:
    from sync.syncthing.client import Syncthing

_EVERYWHERE = ("", "0.0.0.0", "[::]", "::")


def fixed_addresses(options: Options) -> tuple[str, ...]:
    """Where a Syncthing with these settings can be reached for certain. Pure."""
    is_found = options.global_announce or options.local_announce or options.relays
    found = []
    for one in options.listen_addresses:
        kind, colon, rest = one.partition("://")
        host = rest.rpartition(":")[0]
        if not colon or kind.startswith(("relay", "dynamic")) or host in _EVERYWHERE:
            continue
        if is_loopback(host.strip("[]")) and is_found:
            continue  # nobody else is on this machine
        found.append(one)
    return tuple(found[:MAX_ADDRESSES])


def introduce(store: Store, syncthing: Syncthing, device: str) -> None:
    """State this node's device and addresses where that is news; have Syncthing called so that it can get in."""
    addresses = list(fixed_addresses(syncthing.options()))
    me = store.node
    with store.view() as view:
        nodes = nodes_of(view, store.layout)
    said = nodes.get(me)
    is_news = said is None or me[:8] not in said.said.get(device, {}) or list(said.addresses) != addresses
    if is_news and not store.read_only:

        def state(change: Change) -> None:
            change.unasked = True
            change.about("node", NODE_THING, me, device=device, addresses=addresses)

        store.act(state)
    trusted = trusted_nodes(me, nodes)
    alias = said.alias if said is not None else store.info.alias
    asks = bool(trusted) and not is_accepted(me, device, nodes, trusted)
    called = syncthing.device(device).name
    name = asking_name(called, store.info.library, me, alias) if asks else plain_name(called)
    if name != called:
        syncthing.change_device(device, name=name)


def state_inviter(store: Store, invitation: Invitation, device: str, alias: str) -> None:
    """On the new device: the one that invites is taken as accepted. Raises `BadRequest`."""

    def state(change: Change) -> None:
        me, other = store.node, invitation.node
        known = node_info(other, change.thing(NODE_THING, other))
        if known.gone:
            raise BadRequest(f"{known.alias} was forgotten in this library; take an invitation of another device")
        mine = known.said.get(invitation.device, {})
        if me[:8] not in mine or list(known.addresses) != list(invitation.addresses):
            alone = {} if known.said else {"alias": invitation.alias}
            change.about(
                "node",
                NODE_THING,
                other,
                device=invitation.device,
                addresses=list(invitation.addresses),
                **alone,
            )
        own = node_info(me, change.thing(NODE_THING, me))
        if me[:8] not in own.said.get(device, {}) or own.alias != alias:
            change.about("node", NODE_THING, me, device=device, alias=alias)

    fix(store.layout, {invitation.node: Fixed(invitation.device, True)}, by_hand=True)
    store.act(state)


def let_in(store: Store, node: str, device: str, alias: str, *, introduces: bool) -> None:
    """On an old device: a node is in the library from now on, as this device."""
    fix(store.layout, {node: Fixed(device, introduces)}, by_hand=True)
    store.act(lambda change: change.about("node", NODE_THING, node, device=device, alias=alias, introduces=introduces))


def rename(store: Store, node: str, alias: str) -> None:
    """Call a node otherwise."""
    store.act(lambda change: change.about("node", NODE_THING, node, alias=alias))
    note_alias(store)


def note_alias(store: Store) -> str:
    """Have `store.toml` say what this node is called; any device may have named it. Returns that."""
    me = all_nodes(store).get(store.node)
    with store.locked():
        info = read_info(store.layout)
        alias = me.alias if me is not None else info.alias
        if alias != info.alias and not store.read_only:
            write_info(store.layout, info._replace(alias=alias))
    return alias


def forget(store: Store, node: str) -> None:
    """A node is out of the library from now on, for good."""
    store.act(lambda change: change.about("node", NODE_THING, node, gone=True))


def all_nodes(store: Store) -> dict[str, NodeInfo]:
    """All nodes, with what has just arrived."""
    with store.view() as view:
        return nodes_of(view, store.layout)
