"""What is known about tags, nodes, saved queries, nodesets and rules: small things, few of them.

The same join as for files, for anything that has registers (last stamp wins) and pairs
(observed-remove): a tag implies others and is an alias of another; a node has an alias;
a saved query has a query; a nodeset has a label and nodes, and perhaps ledgers of its own;
a rule has a query and the nodes that hold what it finds. `compile_tags` turns the
tag facts into the two tables that queries and listings use:

    canonical   an alias -> the tag it stands for
    matching    a tag -> every tag whose files match a question for it
                (itself, its aliases, what implies it, over any number of steps)

The older edge of a cycle stays, so all nodes agree. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from tagfs.fact import Fact
from tagfs.merge import _later
from tagfs.stamp import node_of

TAG_THING = "T"
NODE_THING = "N"
SAVED_THING = "S"
SET_THING = "L"
RULE_THING = "P"

_SUBJECTS = {TAG_THING: "tag", NODE_THING: "node", SAVED_THING: "saved", SET_THING: "set", RULE_THING: "rule"}

Pair = tuple[dict[str, str], dict[str, str]]
"""Newest addition by node, newest addition by node that a removal had seen."""


class Thing:
    """The join of all facts about one tag, node, saved query, nodeset or rule."""

    __slots__ = ("registers", "pairs", "newest")

    def __init__(self) -> None:
        self.registers: dict[str, tuple[str, Any]] = {}
        self.pairs: dict[str, dict[str, Pair]] = {}
        self.newest = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing) and all(getattr(self, s) == getattr(other, s) for s in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def add(self, fact: Fact) -> None:
        """Join one fact about this thing."""
        at = fact.at
        self.newest = max(self.newest, at)
        if fact.tag is not None:
            self._register("exists", at, fact.exists)
            self._pairs("implies", at, fact.implies, fact.unimplies)
            self._pairs("alias", at, fact.alias if isinstance(fact.alias, list) else None, fact.unalias)
        elif fact.node is not None:
            self._register("alias", at, fact.alias)
            self._register("addresses", at, fact.addresses)
            self._register("gone", at, fact.gone)
            # No registers: who says it decides, not who said it last (`sync.nodes`).
            if fact.device is not None:
                added = self._pair("device", fact.device)[0]
                added[node_of(at)] = min(at, added.get(node_of(at), at))
            if fact.introduces is not None:
                added = self._pair("introduces", "yes" if fact.introduces else "no")[0]
                added[node_of(at)] = max(at, added.get(node_of(at), at))
        elif fact.saved is not None:
            self._register("query", at, fact.query)
        elif fact.set is not None and fact.label is not None and fact.nodes is not None:
            # Write-once: a label is fixed when the folder is made; the older statement counts.
            value = [fact.label, sorted(fact.nodes)]
            old = self.registers.get("set")
            if old is None or (at, value) < (old[0], old[1]):
                self.registers["set"] = (at, value)
            self._register("ledgers", at, fact.ledgers)
        elif fact.rule is not None:
            self._register("query", at, fact.query)
            self._register("holds", at, fact.holds)

    def _register(self, register: str, at: str, value: Any) -> None:
        if value is not None:
            old = self.registers.get(register)
            self.registers[register] = (at, value) if old is None else _later((at, value), old)

    def _pairs(
        self, relation: str, at: str, add: list[str] | None, remove: Mapping[str, Mapping[str, str]] | None
    ) -> None:
        node = node_of(at)
        for target in add or ():
            added = self._pair(relation, target)[0]
            added[node] = max(at, added.get(node, ""))
        for target, seen in (remove or {}).items():
            if not seen:
                continue  # removes nothing
            removed = self._pair(relation, target)[1]
            for where, stamp in seen.items():
                removed[where] = max(stamp, removed.get(where, ""))

    def _pair(self, relation: str, target: str) -> Pair:
        return self.pairs.setdefault(relation, {}).setdefault(target, ({}, {}))

    def value(self, register: str, default: Any = None) -> Any:
        """The value of a register that counts."""
        found = self.registers.get(register)
        return default if found is None else found[1]

    def live(self, relation: str) -> dict[str, str]:
        """Target -> stamp of its oldest addition that stands."""
        out = {}
        for target, (added, removed) in self.pairs.get(relation, {}).items():
            standing = [at for node, at in added.items() if at > removed.get(node, "")]
            if standing:
                out[target] = min(standing)
        return out

    def additions(self, relation: str, target: str) -> dict[str, str]:
        """What a removal made now must name."""
        return dict(self.pairs.get(relation, {}).get(target, ({}, {}))[0])

    def copy(self) -> Thing:
        """An independent copy."""
        return deepcopy(self)

    def packed(self) -> list[Any]:
        """Plain values for the index."""
        return [self.registers, self.pairs, self.newest]

    @classmethod
    def unpacked(cls, packed: list[Any]) -> Thing:
        """The inverse of `packed`, also after a round through msgpack."""
        thing = cls()
        thing.registers = {k: (v[0], v[1]) for k, v in packed[0].items()}
        thing.pairs = {r: {t: (p[0], p[1]) for t, p in targets.items()} for r, targets in packed[1].items()}
        thing.newest = packed[2]
        return thing


def subject_of(fact: Fact) -> tuple[str, str] | None:
    """(kind letter, text) of the thing a fact is about; None for files and unknown kinds."""
    if fact.file is not None:
        return None
    if isinstance(fact.tag, str):
        return TAG_THING, fact.tag
    if fact.node is not None:
        return NODE_THING, fact.node
    if fact.saved is not None:
        return SAVED_THING, fact.saved
    if fact.set is not None:
        return SET_THING, fact.set
    if fact.rule is not None:
        return RULE_THING, fact.rule
    return None


def thing_facts(kind: str, text: str, thing: Thing, node_guid: Mapping[str, str]) -> list[Fact]:
    """The facts that make up a thing, each under the stamp it was made at (see `merge.deciding_facts`)."""
    facts: dict[str, Fact] = {}

    def at_stamp(at: str) -> Fact:
        if at not in facts:
            by = node_guid.get(node_of(at), node_of(at) + "-0000-4000-8000-000000000000")
            fact = facts[at] = Fact(at=at, by=by)
            setattr(fact, _SUBJECTS[kind], text)
        return facts[at]

    for register, (at, value) in thing.registers.items():
        if kind == SET_THING:
            at_stamp(at).label, at_stamp(at).nodes = thing.value("set")  # without them it would be no fact
            if register == "ledgers":
                at_stamp(at).ledgers = value
        else:
            setattr(at_stamp(at), register, value)
    for relation, targets in thing.pairs.items():
        for target, (added, removed) in targets.items():
            for at in added.values():
                if relation == "device":
                    at_stamp(at).device = target
                    continue
                if relation == "introduces":
                    at_stamp(at).introduces = target == "yes"
                    continue
                setattr(at_stamp(at), relation, [*(getattr(at_stamp(at), relation) or []), target])
            if removed:
                fact = at_stamp(thing.newest)
                setattr(fact, "un" + relation, {**(getattr(fact, "un" + relation) or {}), target: dict(removed)})
    if thing.newest:
        newest = at_stamp(thing.newest)
        if kind == SET_THING:
            newest.label, newest.nodes = thing.value("set")  # without them it would be no fact
    return [facts[at] for at in sorted(facts)]


class TagTables(NamedTuple):
    canonical: dict[str, str]
    matching: dict[str, list[str]]


def compile_tags(things: Mapping[str, Thing]) -> TagTables:
    """The tables of all tag facts. Only tags with something to say are in them."""
    canonical = _canonical(things)

    def resolve(tag: str) -> str:
        return canonical.get(tag, tag)

    implied_by: dict[str, set[str]] = {}
    edges = sorted((at, tag, target) for tag, thing in things.items() for target, at in thing.live("implies").items())
    for _, tag, target in edges:
        lower, upper = resolve(tag), resolve(target)
        if upper not in _all_below(lower, implied_by):  # else it would close a cycle
            implied_by.setdefault(upper, set()).add(lower)
    spelled: dict[str, set[str]] = {}
    for alias, tag in canonical.items():
        spelled.setdefault(tag, {tag}).add(alias)
    matching: dict[str, list[str]] = {}
    for tag in {*implied_by, *spelled}:
        found: set[str] = set()
        for lower in _all_below(tag, implied_by):
            found |= spelled.get(lower, {lower})
        matching[tag] = sorted(found)
    for alias, tag in canonical.items():
        matching[alias] = matching[tag]
    return TagTables(canonical, matching)


def _canonical(things: Mapping[str, Thing]) -> dict[str, str]:
    edges: Iterable[tuple[str, str, str]] = sorted(
        (at, tag, target) for tag, thing in things.items() for target, at in thing.live("alias").items()
    )
    step: dict[str, str] = {}
    for _, alias, target in edges:
        end = target
        while end in step and end != alias:
            end = step[end]
        if end != alias:  # the older edge of a cycle stays
            step[alias] = target
    canonical = {}
    for alias in step:
        end = alias
        while end in step:
            end = step[end]
        canonical[alias] = end
    return canonical


def _all_below(tag: str, implied_by: Mapping[str, set[str]]) -> set[str]:
    found = {tag}
    todo = [tag]
    while todo:
        for lower in implied_by.get(todo.pop(), ()):
            if lower not in found:
                found.add(lower)
                todo.append(lower)
    return found
