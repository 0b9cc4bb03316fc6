"""The union of ledgers: every line that other folders have and this store's ledgers lack, written into its own.

A ledger that nobody writes any more (its machine is gone, it is a backup) is not taken over as
a folder: nobody would pass on what stands in it. This node vouches for its lines instead, as
for any that another ledger lost: same line, same stamp, same author, and so every other node
gets to know them. Lines are taken byte for byte, with whatever they say that this lyts does not know.

- A file that somebody is kept from has its lines in the ledgers of those who may know it, which
  from now on are one more: this node. If it is this node that is kept from it, they are left out.
- A file that was ended for good stays so: its old lines are not brought back.
- A nodeset called as another one here is left out. Who needs it names it anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

from tagfs.carrying import left_out_first, to_enter
from tagfs.change import Change
from tagfs.errors import PeerDataError
from tagfs.fact import Fact, parse_fact
from tagfs.home import OPEN, Folder, home_of
from tagfs.index.read import View
from tagfs.layout import Layout
from tagfs.ledger import segments_below
from tagfs.merge import FileState
from tagfs.place import node_sets
from tagfs.store import Store

BATCH_LINES = 5_000

Line = tuple[Fact, bytes]
"""A fact, and its line as it stood, LF included."""


class Lines(NamedTuple):
    """What stands in ledgers: the lines about files by GUID, all others, and places of lines that are no facts."""

    files: dict[str, list[Line]]
    others: list[Line]
    bad: list[str]

    def total(self) -> int:
        """How many they are."""
        return len(self.others) + sum(map(len, self.files.values()))


def lines_of(ledgers: Iterable[tuple[str, str]], unreadable: list[str]) -> Lines:
    """Read ledger files, each line once.

    Args:
        ledgers: (path, what to call it).
        unreadable: what cannot be read is added to it.
    """
    found = Lines({}, [], [])
    seen: set[bytes] = set()
    for path, shown in ledgers:
        try:
            with open(path, "rb") as file:
                for number, raw in enumerate(file, 1):
                    _take(raw.rstrip(b"\r\n"), f"{shown}, line {number}", seen, found)
        except OSError as exc:
            unreadable.append(f"{shown} ({exc.strerror})")
    return found


def _take(line: bytes, where: str, seen: set[bytes], found: Lines) -> None:
    mark = _mark(line)
    if not line or mark in seen:
        return
    seen.add(mark)
    try:
        fact = parse_fact(line)
    except PeerDataError:
        found.bad.append(where)
        return
    if fact.file is not None:
        found.files.setdefault(fact.file, []).append((fact, line + b"\n"))
    else:
        found.others.append((fact, line + b"\n"))


def _mark(line: bytes) -> bytes:
    return blake2b(line, digest_size=12).digest()


def lacking(lines: Lines, layout: Layout) -> Lines:
    """Those lines that no ledger of a store has."""
    there: set[bytes] = set()
    for segment in segments_below(layout.ledgers):
        with open(os.path.join(layout.ledgers, segment.name), "rb") as file:
            there.update(_mark(raw.rstrip(b"\r\n")) for raw in file)

    def new(said: list[Line]) -> list[Line]:
        return [line for line in said if _mark(line[1].rstrip(b"\n")) not in there]

    files = {guid: said for guid, all_said in lines.files.items() if (said := new(all_said))}
    return Lines(files, new(lines.others), lines.bad)


class Union(NamedTuple):
    """What became of lines: how many were taken, and the files that this node may not know, or that were ended."""

    taken: int
    kept_from: list[str]
    ended: list[str]


def unite(store: Store, lines: Lines) -> Union:
    """Write lines that a store lacks into its own ledgers. Raises `DiskFull`, `StoreError`; what was taken stays."""
    taken = 0
    kept_from: list[str] = []
    ended: list[str] = []
    # What speaks of nodes first: who may know a file is asked of all of them.
    for batch in _batches([[line] for line in lines.others]):
        taken += store.act(partial(_take_others, said=[one for group in batch for one in group]))
    for batch in _batches(list(lines.files.values())):
        count, kept, over = store.act(partial(_take_files, groups=batch))
        taken += count
        kept_from += kept
        ended += over
    return Union(taken, kept_from, ended)


def _batches(groups: list[list[Line]]) -> Iterator[list[list[Line]]]:
    batch: list[list[Line]] = []
    size = 0
    for group in groups:
        batch.append(group)
        size += len(group)
        if size >= BATCH_LINES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _take_others(change: Change, said: list[Line]) -> int:
    taken = [line for line in said if line[0].set is None or _is_free(change.view, line[0])]
    change.take_in(OPEN, taken)
    return len(taken)


def _is_free(view: View, fact: Fact) -> bool:
    """Whether no other set has the label that a fact gives one."""
    return all(one.set_id == fact.set or one.label.lower() != (fact.label or "").lower() for one in node_sets(view))


def _take_files(change: Change, groups: list[list[Line]]) -> tuple[int, list[str], list[str]]:
    nodes = change.nodes()
    by_folder: dict[Folder, list[Line]] = {}
    kept_from: list[str] = []
    ended: list[str] = []
    entering: list[tuple[str, Folder]] = []
    taken = 0
    for said in groups:
        guid = said[0][0].file
        assert guid is not None
        # Asking about a file that nothing is known of would give it a number, and this one may not get any.
        before = change.state(guid) if change.view.ordinal(guid) is not None else FileState(guid)
        after = before.copy()
        for fact, _ in said:
            after.add(fact)
        home = home_of(after, nodes)
        if before.is_purged() and after.is_purged():
            ended.append(guid)
        elif home and change.node not in home:
            kept_from.append(guid)
        else:
            by_folder.setdefault(home, []).extend(sorted(said, key=lambda line: left_out_first(line[0])))
            taken += len(said)
            if home and before.latest and home_of(before, nodes) != home:
                entering.append((guid, home))
    for folder, lines in by_folder.items():
        change.take_in(folder, lines)
    for guid, home in entering:  # with all that was known of it here before
        standing = change.standing(guid)
        change.carry(home, to_enter(home, standing, change.node_guids(standing)))
    return taken, kept_from, ended
