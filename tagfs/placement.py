"""Who holds a file: what a person, a rule or nobody chose, and what must be stated so that it is so.

Placement is a fact about each file (`holds`). Rules are facts, too (`"rule"`): a query, and
the nodes that hold what it finds. They act when a file is made, and when somebody asks for
it (`lyts sync apply`); of several that match, all their nodes hold the file, so that one more
rule never takes a copy away. Where none matches, what this store is set to counts, and
without that the node alone on which the file was made.

`placed_by` says who chose: the ids of the rules, or `hand`. A file whose newest choice was a
person's is left alone by rules. Rules reckon days in UTC, so that they mean the same on
every node. Pure, but for the view and `read_settings`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from tagfs.bucket import Clock, utc_ms
from tagfs.errors import StoreError
from tagfs.face import Face, face_of, holders
from tagfs.fact import BY_HAND, Fact
from tagfs.glossary import RULE_THING, Thing
from tagfs.index.read import View
from tagfs.layout import Layout
from tagfs.merge import FileState, join
from tagfs.stamp import make_stamp

_unpack = msgspec.msgpack.Decoder().decode

MOST_COPIES = 100
MOST_FETCHED = 1_000_000
MOST_WAIT_S = 600
HERE = "here"
"""How a setting names the node that it stands on."""


class Rule(NamedTuple):
    """What a query finds is held by these nodes (GUIDs)."""

    guid: str
    query: str
    holds: frozenset[str]


class Fetch(NamedTuple):
    """How far a mount may bring bytes here because somebody opens a file.

    `files`, `size_bytes`: so many at most are begun within a minute. `wait_s`: so long an
    open waits for them.
    """

    files: int = 20
    size_bytes: int = 500 << 20
    wait_s: int = 60


class Settings(NamedTuple):
    """`[placement]` of a store's `sync.toml`.

    `default`: aliases or GUIDs of the nodes that hold a new file which no rule speaks of,
    `here` for this one; () for this one alone. `min_copies`: bytes leave a node only when so
    many others have them (all, where fewer hold the file). `fetch`: None where opening a
    file brings nothing here.
    """

    default: tuple[str, ...] = ()
    min_copies: int = 1
    fetch: Fetch | None = None


def rules_of(view: View) -> list[Rule]:
    """The rules that stand, in order of their queries."""
    found = []
    for guid, packed in view.things(RULE_THING):
        thing = Thing.unpacked(_unpack(packed))
        holds = frozenset(node for node, yes in thing.value("holds", {}).items() if yes)
        if holds:
            found.append(Rule(guid, thing.value("query", ""), holds))
    return sorted(found, key=lambda rule: (rule.query, rule.guid))


def rule_clock(now_ms: int) -> Clock:
    """The clock by which rules reckon."""
    return Clock(now_ms, utc_ms)


# -- what is stated


def is_by_hand(state: FileState) -> bool:
    """Whether a person chose last who holds a file."""
    return BY_HAND in state.registers.get("placed_by", ("", ()))[1]


def knowing(state: FileState, nodes: Iterable[str]) -> frozenset[str]:
    """Those of the nodes that may know a file."""
    return frozenset(node for node in nodes if state.knows.get(node, ("", True))[1])


def to_state(state: FileState, nodes: Collection[str], wanted: frozenset[str]) -> dict[str, bool]:
    """What `holds` must say so that just `wanted` hold a file; {} where it is so already.

    Args:
        nodes: all nodes of the library.
        wanted: some nodes that may know the file, one at least.
    """
    if not wanted or holders(state, nodes) == wanted:
        return {}
    said = {node: yes for node, (_, yes) in state.holds.items()}
    # A holder that nobody named holds only as long as no other is named: so it is named as well.
    say = {node: True for node in wanted if not said.get(node, False)}
    say.update({node: False for node in knowing(state, said) if said[node] and node not in wanted})
    return say


def answer_to(at: str, state: FileState, facts: Iterable[Fact], decides: Collection[str]) -> dict[str, bool] | None:
    """What `holds` must say so that a statement about it is taken back; None where that would leave no holder.

    Args:
        at: the stamp of the statement.
        facts: all that was stated about the file.
        decides: the nodes for which the statement still decides.
    """
    taken = frozenset(decides)
    before = join(state.guid, (fact for fact in facts if fact.at < at))
    wanted = knowing(state, (holders(state, ()) - taken) | (holders(before, ()) & taken))
    return to_state(state, (), wanted) if wanted else None


# -- what a new file is given


class Placing:
    """Chooses the holders of files that are made on this node, as rules and settings stand now."""

    def __init__(self, view: View, node: str, default: Iterable[str], wall_ms: int) -> None:
        """Args:
        node: this node.
        default: `Settings.default`; names that no node has any more count for nothing.
        """
        self._view = view
        self._node = node
        self._clock = rule_clock(wall_ms)
        self.rules = rules_of(view)
        default = tuple(default)
        gone = view.nodes_that_left() if self.rules or default else frozenset()
        self.rules = [rule for one in self.rules if (rule := one._replace(holds=one.holds - gone)).holds]
        named = (node if name == HERE else view.node(name) for name in default)
        self._default = frozenset(guid for guid in named if guid is not None and guid not in gone)

    def birth(self, fields: Mapping[str, Any], guid: str) -> dict[str, Any]:
        """The placement to be stated with a birth.

        Args:
            fields: what else is stated of it, by fields of `Fact`: `made`, `content`, `tag`, `notes`.
        """
        matching = self._matching(fields, guid) if self.rules else []
        if matching:
            return placed(matching)
        return {"holds": dict.fromkeys(sorted(self.usual_holders()), True)}

    def usual_holders(self) -> frozenset[str]:
        """Those that hold a new file of which no rule speaks."""
        return self._default or frozenset({self._node})

    def _matching(self, fields: Mapping[str, Any], guid: str) -> list[Rule]:
        at = make_stamp(self._clock.now_ms << 16, self._node[:8])
        face = face_of(join(guid, [Fact(at=at, by=self._node, file=guid, **fields)]), self._node)
        return matching_rules(self.rules, guid, face, self._view, self._clock)


def matching_rules(rules: Iterable[Rule], guid: str, face: Face, view: View, clock: Clock) -> list[Rule]:
    """The rules that speak of a file with this face."""
    from tagfs.query.onefile import matches  # few libraries have rules; the others do not load the engine

    return [rule for rule in rules if matches(rule.query, guid, face, view, clock)]


def placed(matching: Collection[Rule]) -> dict[str, Any]:
    """The statements for a new file of which these rules speak, one at least."""
    nodes = frozenset[str]().union(*(rule.holds for rule in matching))
    return {"holds": dict.fromkeys(sorted(nodes), True), "placed_by": sorted(rule.guid for rule in matching)}


# -- settings


def read_settings(layout: Layout) -> Settings:
    """`[placement]` of a store's `sync.toml`. Raises `StoreError` where it cannot be understood."""
    path = layout.sync_settings
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as exc:
        raise StoreError(f"{path} cannot be read: {exc}") from None
    if "[placement]" not in text:
        return Settings()
    import tomllib

    try:
        said = tomllib.loads(text).get("placement", {})
    except (ValueError, RecursionError) as exc:
        raise StoreError(f"{path} is damaged ({exc})") from None
    return settings(said, os.path.basename(path))


def settings(said: Any, where: str) -> Settings:
    """The settings that a section stands for. Raises `StoreError`."""
    if not isinstance(said, dict):
        raise StoreError(f"{where}: [placement] is to be a section")
    default = said.get("default", [])
    if isinstance(default, str):
        default = [name.strip() for name in default.split(",")]
    if not isinstance(default, list) or not all(isinstance(name, str) for name in default):
        raise StoreError(f'{where}: default is to be names of devices, like ["laptop", "server"]')
    copies = _number(said, "min_copies", 1, MOST_COPIES, where)
    fetches = said.get("fetch_on_read", False)
    if not isinstance(fetches, bool):
        raise StoreError(f"{where}: fetch_on_read is to be true or false")
    most = Fetch()
    fetch = Fetch(
        _number(said, "fetch_files", most.files, MOST_FETCHED, where),
        _number(said, "fetch_mib", most.size_bytes >> 20, MOST_FETCHED, where) << 20,
        _number(said, "fetch_wait_s", most.wait_s, MOST_WAIT_S, where),
    )
    return Settings(tuple(name for name in default if name), copies, fetch if fetches else None)


def _number(said: dict[str, Any], key: str, default: int, most: int, where: str) -> int:
    value = said.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise StoreError(f"{where}: {key} is to be a number from 1 on, {most} at most")
    return value
