"""Drops the lines of files that were ended for good from this node's own ledger.

A person who empties the trash expects the names to go too. Only a purge line stays of
such a file. It happens after every other node has read the purge: until then a fact they
made without having seen it can still bring the file back, and needs these lines
(facts.md, Merge: purge).

A segment is written anew in scratch, fsynced and renamed over the old one: same owner,
same name, fewer lines. To a reader, this node's own index among them, that is a segment
that changed; what it then misses belongs to ended files, and is let go (`catchup`). So a
crash at any point is met by the next catching-up.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from pyroaring import BitMap

from tagfs.durable import sync_paths
from tagfs.errors import PeerDataError
from tagfs.fact import parse_fact
from tagfs.index.catchup import segments_mentioning
from tagfs.index.positions import known_segments, newest_of
from tagfs.index.read import View
from tagfs.ledger import is_own
from tagfs.place import ledger_labels, node_sets
from tagfs.seen import seen_by_others
from tagfs.store import Store


def drop_lines(store: Store, guids: Collection[str]) -> int:
    """Drop all lines but the purges of these files, which are ended, from our own segments.

    Returns:
        How many lines went; 0 while some other node has not read the purges.
    """
    with store.view(fresh=False) as view:
        if not _all_have_read(store, view):
            return 0
        ordinals = BitMap([o for o in map(view.ordinal, guids) if o is not None])
        names = segments_mentioning(view.tx, view.db, ordinals)
    ended = frozenset(guids)
    dropped = 0
    with store.locked():
        for name in names:
            folder = name.partition("/")[0]
            if is_own(folder, store.info.ledger_folder):
                went = _rewrite(os.path.join(store.layout.ledgers, name), store.layout.scratch, ended)
                if went:
                    sync_paths([os.path.join(store.layout.ledgers, folder)])
                dropped += went
    if dropped:
        store.act(lambda change: None)  # catches up with the segments as they are now
    return dropped


def _all_have_read(store: Store, view: View) -> bool:
    """Whether every other node that is still in the library has read those of our ledgers that it shares to the end."""
    others = view.node_names().keys() - view.nodes_that_left() - {store.node}
    sharing = {"": others, **{label: nodes & others for nodes, label in ledger_labels(node_sets(view)).items()}}
    seen = seen_by_others(store.layout.ledgers, store.info.ledger_folder)
    for label, newest in newest_of(known_segments(view.tx, view.db), store.node).items():
        read = {one.node: one.read.get(store.node[:8], "") for one in seen.get(label, ())}
        if not all(read.get(node, "") >= newest for node in sharing.get(label, ())):
            return False
    return True


def _rewrite(path: str, scratch: str, ended: frozenset[str]) -> int:
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    kept = [line for line in lines if not _goes(line, ended)]
    dropped = len(lines) - len(kept)
    if dropped:
        draft = os.path.join(scratch, f"segment-{os.getpid()}")
        fd = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as out:
            out.write(b"\n".join(kept))
            out.flush()
            os.fsync(out.fileno())
        os.rename(draft, path)
    return dropped


def _goes(line: bytes, ended: frozenset[str]) -> bool:
    at = line.find(b'"file":"')  # own lines name the file so
    if at < 0 or line[at + 8 : at + 44].decode("ascii", "replace") not in ended:
        return False
    try:
        fact = parse_fact(line)
    except PeerDataError:
        return False  # what we cannot read we do not judge
    return fact.file in ended and fact.purge is None
