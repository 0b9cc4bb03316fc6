"""How many copies files have: what `doctor` says of those that have fewer than a person wants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from pyroaring import BitMap

from sync.nodes import NodeInfo, nodes_of
from sync.verbs.naming import aliases
from sync.verbs.where import slow_moves
from tagfs.check.finding import Remark
from tagfs.errors import LytsError
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.placement import read_settings, rules_of
from tagfs.stamp import node_of
from tagfs.standing import files_with_knows
from tagfs.store import Machine, Store
from tagfs.term import ALL_TERM, HOLDS
from tagfs.verbs.tagging import chunks

OK, NOTE, PROBLEM = "ok", "note", "problem"
TOPIC = "copies"
SHOWN = 3
LONG_MS = 24 * 3_600_000


def held_by_fewer(everything: BitMap, holders: Iterable[BitMap], copies: int) -> BitMap:
    """The files that fewer than so many nodes hold. Pure.

    Args:
        holders: the files of each node.
    """
    at_least = [everything, *(BitMap() for _ in range(copies))]
    for files in holders:
        for number in range(copies, 0, -1):
            at_least[number] = at_least[number] | (at_least[number - 1] & files)
    return everything - at_least[copies]


def orphans(view: View, nodes: Mapping[str, NodeInfo]) -> BitMap:
    """The living files that only nodes hold which were forgotten."""
    found = BitMap()
    for guid, node in nodes.items():
        if node.gone and (term := view.term(HOLDS, "", guid)) is not None:
            found |= view.posting(term)
    return found & scarce(view, nodes, 1)


def scarce(view: View, nodes: Mapping[str, NodeInfo], copies: int) -> BitMap:
    """The living files that fewer than so many nodes hold which are still in the library."""
    there = [
        view.posting(term)
        for guid, node in nodes.items()
        if not node.gone and (term := view.term(HOLDS, "", guid)) is not None
    ]
    return held_by_fewer(view.posting(ALL_TERM), there, copies)


def examine(root: str, machine: Machine) -> list[Remark]:
    """What there is to know about copies and moves. Nothing where the library is this device alone, or none."""
    try:
        with Store(root, machine) as store:
            return list(_examine(store, machine.wall_ms()))
    except LytsError:
        return []  # what is wrong with the store, others tell


def _examine(store: Store, now_ms: int) -> Iterator[Remark]:
    nodes = store.read(nodes_of)
    yield from _lost(store, nodes)
    yield from _mutual(store, nodes)
    if sum(not node.gone for node in nodes.values()) < 2:
        return
    try:
        settings = read_settings(store.layout)
    except LytsError as exc:
        yield Remark(PROBLEM, TOPIC, str(exc), "new files go to this device alone until it is set right")
        return
    named = {node.alias for node in nodes.values() if not node.gone} | {"here"}
    for name in settings.default:
        if name not in named and not any(guid.startswith(name) for guid in nodes):
            yield Remark(NOTE, TOPIC, f"sync.toml places new files on {name!r}, and no device is called so", "")
    for rule in store.read(rules_of):
        if not any(guid in nodes and not nodes[guid].gone for guid in rule.holds):
            yield Remark(
                NOTE, TOPIC, f"the rule for {rule.query} names only devices that left", "lyts sync rule list, rule rm"
            )
    wanted = settings.min_copies

    def look(view: View) -> tuple[int, list[str]]:
        found = scarce(view, nodes, wanted) - orphans(view, nodes)
        return len(found), _names(view, found)

    count, names = store.read(look)
    if count:
        yield Remark(
            NOTE,
            TOPIC,
            f"{_files(count)} kept by fewer than {wanted} device{'s' if wanted > 1 else ''}: {_some(names, count)}",
            "lyts restore --nodes DEVICE TARGET has one more device keep a file",
        )
    else:
        yield Remark(OK, TOPIC, f"every file is kept by {wanted} device{'s' if wanted > 1 else ''} or more", "")
    slow = slow_moves(store, list(nodes), now_ms, LONG_MS)
    if slow:
        called = aliases(nodes)
        waiting = sorted({called.get(node, node[:8]) for one in slow for node in one.nodes})
        yield Remark(
            NOTE,
            TOPIC,
            f"{_files(len(slow))} waiting for more than a day to be moved, on {', '.join(waiting)}: "
            f"{_some([one.name for one in slow[:SHOWN]], len(slow))}",
            "lyts where NAME says which device to connect",
        )


def _lost(store: Store, nodes: Mapping[str, NodeInfo]) -> Iterator[Remark]:
    def look(view: View) -> tuple[int, list[str]]:
        found = orphans(view, nodes)
        return len(found), _names(view, found)

    count, names = store.read(look)
    if count:
        yield Remark(
            NOTE,
            TOPIC,
            f"{_files(count)} kept only by devices that were forgotten: {_some(names, count)}",
            "the bytes may be in a backup, or on that device still; lyts rm takes a file out of the library",
        )


def exclude_each_other(state: FileState) -> list[tuple[str, str]]:
    """The pairs of nodes that keep each other from knowing a file, each by a statement of its own. Pure."""
    left_out = {node: node_of(at) for node, (at, yes) in state.knows.items() if not yes}
    pairs = combinations(sorted(left_out), 2)
    return [(one, other) for one, other in pairs if left_out[one] == other[:8] and left_out[other] == one[:8]]


def _mutual(store: Store, nodes: Mapping[str, NodeInfo]) -> Iterator[Remark]:
    pairs: dict[tuple[str, str], int] = {}
    for part in chunks(sorted(files_with_knows(store.layout.ledgers))):
        for state in store.states(part):
            for pair in exclude_each_other(state):
                pairs[pair] = pairs.get(pair, 0) + 1
    called = aliases(nodes)
    for pair, count in pairs.items():
        one, other = (called.get(node, node[:8]) for node in pair)
        files = "1 file" if count == 1 else f"{count:,} files"
        yield Remark(
            NOTE,
            TOPIC,
            f"{one} and {other} each kept the other from {files}, while they were apart",
            "what each said of it before they met may have stayed with the other; nobody can take that back",
        )


def _names(view: View, files: BitMap) -> list[str]:
    return [view.name(ordinal) for ordinal in files[:SHOWN]]


def _files(count: int) -> str:
    return "1 file is" if count == 1 else f"{count:,} files are"


def _some(names: Sequence[str], count: int) -> str:
    return ", ".join(names) + (f" and {count - len(names):,} more" if count > len(names) else "")
