"""Where a file is: who may know it, who holds it, what is on this disk now, what was proven, what is waited for."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from sync import proofs
from sync.contents import contents_of
from sync.machine import Members, Proof
from sync.placing import digest_of
from sync.shelves import Shelves
from sync.verbs.waiting import BYTES, FREE, PROOF, Wait
from tagfs.face import face_of, holders, still_there
from tagfs.index.read import View
from tagfs.layout import Layout
from tagfs.merge import FileState
from tagfs.place import kept_versions_folder, node_sets
from tagfs.seen import FILE_NAME as SEEN_FILE
from tagfs.seen import read_seen
from tagfs.stamp import ms_of
from tagfs.store import Store
from tagfs.verbs.why import Placed, placed_by

IN_PLACE, STRAY, ARRIVING, CONFLICT, KEPT, THROWN_AWAY = "in place", "stray", "arriving", "conflict", "kept", "replaced"


class Here(NamedTuple):
    """Bytes of a file on this disk.

    `state`: `in place`; `stray` (in the folder of other nodes than those that hold it: to be
    taken away once that is proven to lose nothing); `arriving` (half there); `conflict` (what
    lost against what is in place); `kept` (in this node's keep); `replaced` (in Syncthing's
    trash can). `nodes`: the nodes whose folder it is in, none for the keep.
    """

    state: str
    path: str
    size_bytes: int
    nodes: Members


class Proven(NamedTuple):
    """A node that says it has read the bytes.

    `at_ns`: when it said so last; `counts`: of the content and under the placement there are now.
    """

    node: str
    at_ns: int
    counts: bool


class Where(NamedTuple):
    """All of it. Nodes are GUIDs; `asks` are those that wait for a proof before they let go."""

    guid: str
    name: str
    size_bytes: int
    sha256: str
    unknown_to: frozenset[str]
    holds: frozenset[str]
    placed: Placed
    here: list[Here]
    proven: list[Proven]
    asks: list[str]
    waits: list[Wait]


def where(
    store: Store, guid: str, nodes: Collection[str], gone: Collection[str], online: Collection[str], min_copies: int
) -> Where:
    """Look at one file.

    Args:
        nodes: all nodes of the library, those that were forgotten (`gone`) among them.
        online: those connected with this one, itself among them.
    """
    (state,) = store.states([guid])

    def look(view: View) -> tuple[Placed, dict[Members, str]]:
        labels = {one.nodes: one.label for one in node_sets(view) if store.node in one.nodes}
        return placed_by(store, view, state), labels

    placed, labels = store.read(look)
    face = face_of(state, store.node, nodes)
    here = list(_here(store.layout, labels, state, face.holds))
    said = said_by_all(store)
    found, asks = _proven(state, face.holds, [one for one in said if one.node not in gone])
    return Where(
        guid=guid,
        name=face.name,
        size_bytes=face.size_bytes,
        sha256=face.sha256,
        unknown_to=face.unknown_to.difference(gone),
        holds=still_there(face.holds, gone),
        placed=placed,
        here=here,
        proven=found,
        asks=asks,
        waits=waits_here(
            store.node, state, nodes, gone, here, [one.node for one in found if one.counts], asks, online, min_copies
        ),
    )


# -- on this disk


def _here(layout: Layout, labels: Mapping[Members, str], state: FileState, holds: Members) -> Iterable[Here]:
    if state.made is None:
        return
    shelves, data = Shelves(layout, labels), state.made.data
    for members in sorted(labels, key=lambda one: (one != holds, sorted(one))):
        path = shelves.path(members, data)
        folder, name = os.path.split(path)
        yield from _found(IN_PLACE if members == holds else STRAY, path, members)
        yield from _found(ARRIVING, os.path.join(folder, f".syncthing.{name}.tmp"), members)
        for beside in shelves.conflicts(members, state.guid):
            yield from _found(CONFLICT, beside, members)
    for path in {**shelves.kept(state.guid), **shelves.edits(state.guid)}.values():
        yield from _found(KEPT, path, frozenset())
    versions = kept_versions_folder(layout, state.guid)
    for content in {content.sha256 for content in state.contents.values()}:
        yield from _found(KEPT, os.path.join(versions, content), frozenset())
    for path in shelves.thrown_away(state.guid):
        yield from _found(THROWN_AWAY, path, frozenset())


def _found(state: str, path: str, members: Members) -> Iterable[Here]:
    try:
        yield Here(state, path, os.lstat(path).st_size, members)
    except (FileNotFoundError, NotADirectoryError):
        return


# -- what nodes say


class Said(NamedTuple):
    """A node's `proofs.jsonl`, and when it was written."""

    node: str
    at_ns: int
    said: proofs.Said


def said_by_all(store: Store) -> list[Said]:
    """What each node says that it has proven and waits for, this one among them. Only moves under way are spoken of."""
    ledgers = store.layout.ledgers
    out: dict[str, Said] = {}
    for entry in sorted(os.scandir(ledgers), key=lambda entry: entry.name):
        if not entry.is_dir(follow_symlinks=False):
            continue
        try:
            at_ns = os.stat(os.path.join(entry.path, proofs.FILE_NAME)).st_mtime_ns
        except FileNotFoundError:
            continue
        folder = entry.name.partition("@")[0]  # the ledgers for a set stand beside the open ones
        seen = read_seen(os.path.join(ledgers, folder, SEEN_FILE))
        node = store.node if folder == store.info.ledger_folder else seen.node if seen is not None else None
        if node is None:
            continue
        said = proofs.read(node, entry.path)
        if node in out:
            at_ns = max(at_ns, out[node][1])
            said = proofs.merged(out[node][2], said)
        out[node] = Said(node, at_ns, said)
    return list(out.values())


def _proven(state: FileState, holds: Members, said: Iterable[Said]) -> tuple[list[Proven], list[str]]:
    heads, digest = contents_of(state).heads, digest_of(state)

    def counts(proof: Proof) -> bool:
        return proof.members == holds and proof.digest == digest and proof.prover in holds and proof.sha256 in heads

    found, asks = [], []
    for node, at_ns, one in said:
        if state.guid in one.waits:
            asks.append(node)
        mine = one.proofs.get(state.guid, set())
        if mine:
            found.append(Proven(node, at_ns, any(map(counts, mine))))
    return found, asks


def waits_here(
    me: str, state: FileState, nodes: Collection[str], gone: Collection[str], here: Iterable[Here],
    proven: Collection[str], asks: Collection[str], online: Collection[str], min_copies: int,
) -> list[Wait]:  # fmt: skip
    """Who must be connected for a move to be finished, as far as this node can tell. Pure.

    Args:
        proven: the nodes whose proofs count.
        asks: the nodes that wait for one.
    """
    if state.made is None:
        return []
    holds, away = holders(state, nodes).difference(gone), frozenset(nodes) - frozenset(online)
    kinds = {one.state for one in here}
    waits = []
    if me in holds and IN_PLACE not in kinds and not kinds & {STRAY, KEPT}:
        others = frozenset(node for node in {*state.holds, state.by} if node != me and node not in gone)
        if others and not others & frozenset(online):
            waits.append(Wait(BYTES, others))
    leaves = STRAY in kinds or (me not in holds and KEPT in kinds) or bool(asks)
    lacking = min(max(1, min_copies), len(holds)) - len(holds & frozenset(proven))
    yet = holds - frozenset(proven)
    if leaves and lacking > 0 and yet and len(yet - away) < lacking:
        waits.append(Wait(PROOF, yet & away))
    waits += [Wait(FREE, frozenset({node})) for node in sorted(set(asks) & away)]
    return waits


# -- over all files


class Slow(NamedTuple):
    """A move that began long ago."""

    guid: str
    name: str
    since_ms: int
    nodes: list[str]


def slow_moves(store: Store, nodes: Collection[str], now_ms: int, older_than_ms: int) -> list[Slow]:
    """The moves under way whose wish is older than that, the oldest first. `nodes` of each are those that wait."""
    waiting: dict[str, list[str]] = {}
    for node, _, said in said_by_all(store):
        for guid in said.waits:
            waiting.setdefault(guid, []).append(node)
    out = []
    guids = list(waiting)
    for guid, state in zip(guids, store.states(guids), strict=True):
        at = max((stamp for placed in (state.holds, state.knows) for stamp, _ in placed.values()), default="")
        if at and now_ms - ms_of(at) > older_than_ms:
            out.append(Slow(guid, face_of(state, store.node, nodes).name, ms_of(at), waiting[guid]))
    return sorted(out, key=lambda one: (one.since_ms, one.name))
