"""Rules of placement: adding, listing, taking back, and applying them to files that are there already."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from pyroaring import BitMap

from sync.verbs.placement import Wish
from tagfs.change import Change
from tagfs.errors import BadRequest, NothingMatched
from tagfs.glossary import RULE_THING
from tagfs.guid import guid_of_bytes, prefix_digits
from tagfs.index.read import View
from tagfs.placement import Rule, rule_clock, rules_of
from tagfs.query.onefile import files_found
from tagfs.query.rich import format_rich, parse_rich
from tagfs.query.tree import And, Leaf, Not, Or, Tree
from tagfs.store import Store

_NAMESPACE = uuid.UUID("c1a0b6f2-5f0e-4c53-9b0c-6f1b8f3f7d55")
MAX_QUERY_BYTES = 10_000


class Listed(NamedTuple):
    """A rule, and how many files it finds now."""

    rule: Rule
    files: int


def rule_id(query: str) -> str:
    """The id of the rule with this query: the same wherever it is made, and however the query is spelled.

    Raises `QueryError`.
    """
    return str(uuid.uuid5(_NAMESPACE, format_rich(parse_rich(query))))


def check_query(query: str) -> None:
    """Refuse what no rule can ask. Raises `QueryError`, `BadRequest`."""
    tree = parse_rich(query)
    if len(query.encode()) > MAX_QUERY_BYTES:
        raise BadRequest("this query is too long for a rule")
    if any(getattr(leaf, "key", "") == "holds" for leaf in _leaves(tree)):
        raise BadRequest("a rule says who holds a file, so its query cannot ask for that: leave holds=... out")


def _leaves(tree: Tree) -> Iterable[Leaf]:
    if isinstance(tree, And | Or):
        for part in tree.parts:
            yield from _leaves(part)
    elif isinstance(tree, Not):
        yield from _leaves(tree.part)
    elif isinstance(tree, Leaf):
        yield tree


def add_rule(store: Store, query: str, holds: Collection[str]) -> Rule | None:
    """State a rule; what the same query said before is replaced, and returned.

    Raises `QueryError`, `BadRequest`.
    """
    check_query(query)
    guid = rule_id(query)
    wanted = dict.fromkeys(sorted(holds), True)

    def state(change: Change) -> Rule | None:
        old = next((rule for rule in rules_of(change.view) if rule.guid == guid), None)
        if old is None or old.holds != frozenset(holds):
            change.about("rule", RULE_THING, guid, query=old.query if old else query, holds=wanted)
        return old

    return store.act(state)


def remove_rule(store: Store, which: str) -> Rule:
    """Take a rule back, by its query or the beginning of its id. Files that it placed stay where they are.

    Raises `NothingMatched`, `BadRequest`.
    """

    def state(change: Change) -> Rule:
        found = find_rule(rules_of(change.view), which)
        change.about("rule", RULE_THING, found.guid, query=found.query, holds={})
        return found

    return store.act(state)


def find_rule(rules: Sequence[Rule], which: str) -> Rule:
    """The rule meant by a query or the beginning of an id. Pure. Raises `NothingMatched`, `BadRequest`."""
    digits = prefix_digits(which)
    found = [rule for rule in rules if rule.query == which]
    if not found and digits is not None:
        found = [rule for rule in rules if rule.guid.replace("-", "").startswith(digits)]
    if not found:
        try:
            guid = rule_id(which)
        except BadRequest:
            guid = ""
        found = [rule for rule in rules if rule.guid == guid]
    if not found:
        raise NothingMatched(f"there is no rule {which!r}; lyts sync rule list lists them")
    if len(found) > 1:
        raise BadRequest(f"{len(found)} rules begin with {which!r}; write more of the id")
    return found[0]


def listed(store: Store) -> list[Listed]:
    """All rules that stand."""
    clock = rule_clock(store.machine.wall_ms())

    def look(view: View) -> list[Listed]:
        return [Listed(rule, len(files_found(rule.query, view, clock))) for rule in rules_of(view)]

    return store.read(look)


def wanted_by_rules(store: Store, gone: Collection[str]) -> dict[str, Wish]:
    """What the rules want of every file that one of them speaks of, by GUID; nodes that left are passed over."""
    clock = rule_clock(store.machine.wall_ms())

    def look(view: View) -> dict[str, Wish]:
        rules = [one for rule in rules_of(view) if (one := rule._replace(holds=rule.holds - frozenset(gone))).holds]
        found = [(rule, files_found(rule.query, view, clock)) for rule in rules]
        wishes: dict[str, Wish] = {}
        for together, files in _by_rules(found).items():
            wish = wish_of([rule for rule, _ in found if rule.guid in together])
            wishes.update((guid_of_bytes(row.guid), wish) for _, row in view.rows(files))
        return wishes

    return store.read(look)


def _by_rules(found: Iterable[tuple[Rule, BitMap]]) -> Mapping[frozenset[str], BitMap]:
    """The files of just these rules, by the ids of the rules. Pure."""
    groups: dict[frozenset[str], BitMap] = {}
    for rule, files in found:
        rest = files
        for together, members in list(groups.items()):
            both = members & rest
            if both:
                groups[together] = members - both
                groups[together | {rule.guid}] = both
                rest = rest - both
        if rest:
            groups[frozenset({rule.guid})] = rest
    return {together: files for together, files in groups.items() if files}


def wish_of(rules: Collection[Rule]) -> Wish:
    """What rules want together: all their nodes. Pure."""
    return Wish(frozenset[str]().union(*(rule.holds for rule in rules)), sorted(rule.guid for rule in rules))
