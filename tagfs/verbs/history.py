"""What happened: the actions of a library, and the facts about one file.

The index remembers a short record of each action and which ledger segments its facts
stand in; the facts are read from there when they are needed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import msgspec
from pyroaring import BitMap

from tagfs.errors import NothingMatched, PeerDataError
from tagfs.fact import Fact, parse_fact
from tagfs.index.blocks import LISTED, PLAIN, unpack_segment
from tagfs.index.catchup import segments_mentioning
from tagfs.index.codec import tells_who_may_know
from tagfs.index.history import phrases_of
from tagfs.index.read import View
from tagfs.index.schema import ACTION_KEY, U32
from tagfs.ledger import whole_lines
from tagfs.stamp import is_stamp, make_stamp, ms_of, when_of
from tagfs.store import Store

_unpack = msgspec.msgpack.Decoder().decode


class Action(NamedTuple):
    """An action of a person. `did` maps what was done, in words, to how many times."""

    action: str
    at_ms: int
    by: str
    node: str
    did: dict[str, int]
    files: int
    example: str | None
    undoes: str | None
    undone: bool
    segments: list[int]


class Event(NamedTuple):
    """A fact about one file, in words."""

    at_ms: int
    at: str
    node: str
    did: str
    action: str | None


def actions(view: View) -> Iterator[Action]:
    """All actions, the newest first."""
    names = view.node_names()
    cursor = view.tx.cursor(view.db["action"])
    found = cursor.last()
    # An action is undone when one that undoes it stands; since what undoes is always
    # newer, walking backwards meets it first.
    undone: set[str] = set()
    while found:
        when, node8 = ACTION_KEY.unpack(cursor.key())
        record: dict[str, Any] = _unpack(cursor.value())
        stamp = make_stamp(when, node8.decode())
        is_undone = stamp in undone
        if record["undoes"] and not is_undone:
            undone.add(record["undoes"])
        yield Action(
            action=stamp,
            at_ms=ms_of(stamp),
            by=record["by"],
            node=names.get(record["by"], record["by"][:8]),
            did=record["did"],
            files=record["files"],
            example=record["example"],
            undoes=record["undoes"],
            undone=is_undone,
            segments=record["segments"],
        )
        found = cursor.prev()


def cancelled(view: View) -> set[str]:
    """The actions that cancel each other out: undone ones, and those that only answer others."""
    return {action.action for action in actions(view) if action.undone or action.undoes is not None}


def find_action(view: View, stamp: str) -> Action:
    """One action. Raises `NothingMatched`."""
    if is_stamp(stamp):
        for action in actions(view):
            if action.action == stamp:
                return action
            if when_of(action.action) < when_of(stamp):
                break
    raise NothingMatched(f"there is no action {stamp!r}; lyts log lists them")


def facts_of(store: Store, view: View, action: Action) -> Iterator[Fact]:
    """The facts of an action, the newest first, as the ledgers have them; one segment in memory at a time.

    A line that another node vouched for may come twice.
    """
    wanted = set(action.segments)
    names = [
        key.decode("utf-8", "surrogateescape")
        for key, value in view.tx.cursor(view.db["segment"])
        if unpack_segment(value).number in wanted
    ]
    mark = action.action.encode()
    # Within a folder the names of segments, and the lines in each, are in order of stamps.
    for name in sorted(names, key=lambda name: name.rpartition("/")[2], reverse=True):
        facts = []
        for piece in whole_lines(os.path.join(store.layout.ledgers, name), 0):
            for line in piece.split(b"\n"):
                if mark not in line:
                    continue
                try:
                    fact = parse_fact(line)
                except PeerDataError:
                    continue
                if fact.action == action.action:
                    facts.append(fact)
        facts.sort(key=lambda fact: fact.at, reverse=True)
        yield from facts


_FILE_MARK = b'"file":"'


def facts_about(store: Store, view: View, guids: Collection[str]) -> dict[str, list[Fact]]:
    """Every fact about these files that any ledger has, oldest first, in one pass over the segments that have some."""
    ordinals = BitMap([o for o in map(view.ordinal, guids) if o is not None])
    facts: dict[str, dict[bytes, Fact]] = {guid: {} for guid in guids}
    raw_guids = {guid.encode() for guid in guids}
    for name in segments_mentioning(view.tx, view.db, ordinals):
        for piece in whole_lines(os.path.join(store.layout.ledgers, name), 0):
            for line in piece.split(b"\n"):
                at = line.find(_FILE_MARK)
                # Lines of ours name the file so; others are parsed to be sure.
                if at >= 0 and line[at + 8 : at + 44] not in raw_guids:
                    continue
                try:
                    fact = parse_fact(line) if line else None
                except PeerDataError:
                    continue
                if fact is not None and fact.file in facts:
                    facts[fact.file][line] = fact
    return {guid: sorted(found.values(), key=lambda fact: fact.at) for guid, found in facts.items()}


def file_log(store: Store, guid: str) -> list[Event]:
    """What was done to a file, the newest first."""

    def look(view: View) -> list[Event]:
        names = view.node_names()
        out = []
        for fact in facts_about(store, view, [guid])[guid]:
            did = f"add as {fact.made.name}" if fact.made is not None else ", ".join(phrases_of(fact))
            if fact.made is not None and isinstance(fact.tag, list):
                did += ", tag " + ",".join(fact.tag)
            out.append(Event(ms_of(fact.at), fact.at, names.get(fact.by, fact.by[:8]), did, fact.action))
        return out[::-1]

    return store.read(look)


def told(view: View, action: Action) -> tuple[dict[str, int], str | None]:
    """What an action did, in words, and the name of one file that it was about.

    Of a file that this node may not know, only of what kind it was: no name, no tag. Of an
    action on several files it is the first that counts.
    """
    ordinal = view.ordinal(action.example) if action.example is not None else None
    if ordinal is None:
        return action.did, None
    if _is_kept_from_us(view, ordinal):
        kinds: dict[str, int] = {}
        for phrase, times in action.did.items():
            kind = phrase.partition(" ")[0]
            kinds[kind] = kinds.get(kind, 0) + times
        return kinds, None
    return action.did, view.name(ordinal)


def _is_kept_from_us(view: View, ordinal: int) -> bool:
    row = view.row(ordinal)
    if row is None or row.flags & (LISTED | PLAIN):
        return False
    return tells_who_may_know(view.tx.get(U32.pack(ordinal), db=view.db["merge"]))


def describe(did: dict[str, int], files: int, example: str | None = None) -> str:
    """An action in a line of words: `tag music,flac on 214 files`."""
    parts = list(did)
    words = ", ".join(parts[:3]) + (f" and {len(parts) - 3} more" if len(parts) > 3 else "")
    if files == 1:
        return f"{words}: {example}" if example else f"{words} (1 file)"
    return f"{words} ({files} files)" if files else words
