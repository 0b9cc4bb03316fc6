"""Which nodes are connected now, and when the others were last heard of."""

from __future__ import annotations

import os
from collections.abc import Mapping

from sync.nodes import NodeInfo, trusted_nodes
from tagfs.errors import LytsError
from tagfs.seen import seen_by_others
from tagfs.store import Store


def online(store: Store, nodes: Mapping[str, NodeInfo]) -> frozenset[str] | None:
    """The nodes that are connected with this one, itself among them; None where its Syncthing does not answer."""
    layout = store.layout
    if not os.path.exists(layout.syncthing) and not os.path.exists(layout.sync_settings):
        return None
    from sync.syncthing.attached import connect  # takes httpx along, which is needed only here

    try:
        with connect(layout) as syncthing:
            found = syncthing.connections().connections
    except (LytsError, OSError):
        return None
    trusted = trusted_nodes(store.node, nodes)
    there = {guid for guid, one in trusted.items() if one.device in found and found[one.device].connected}
    return frozenset({store.node, *there})


def last_heard(store: Store) -> dict[str, str]:
    """When each other node was last here, as its `seen.json` says: RFC 3339, by GUID."""
    others = seen_by_others(store.layout.ledgers, store.info.ledger_folder)
    return {seen.node: seen.here for seen in others.get("", ())}
