"""The join: what is known about a file is the merge of all facts about it.

In any order, with repeats, from any ledger: `add` is commutative, associative and
idempotent, and nothing in here reads a clock (facts.md, Merge). A `FileState` keeps
just what the join needs; `tagfs.face` says what it means for a person, and
`deciding_facts` writes it out again as facts, so that

    join(deciding_facts(s)) == s

which is how a node vouches for facts that another ledger lost.

    made            write-once; of two births (which cannot happen, and did in tests
                    with forged ledgers) the older counts
    registers       name, notes, mode, modified, trash, placed_by, xattr:<name>: last stamp wins
    added, removed  tags, observed-remove: for each tag and node the newest addition,
                    and the newest addition that an untag had seen
    contents        by stamp; `was` makes them a chain or a fork
    holds, knows    for each node yes or no, last stamp wins
    purges          each names what it had seen; anything else brings the file back
    latest          the newest stamp of each node about this file
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import msgspec

from tagfs.fact import Content, Fact, Made, Purge
from tagfs.stamp import node_of

Registers = dict[str, tuple[str, Any]]
"""Name of the register -> (stamp, value)."""
ByTag = dict[str, dict[str, str]]
"""Tag -> 8 hex digits of a node -> stamp of its newest addition. The inner dicts may be shared between tags."""
Placement = dict[str, tuple[str, bool]]
"""Node GUID -> (stamp, yes or no)."""

_REGISTERS = ("name", "notes", "mode", "modified", "trash", "placed_by")
_order = msgspec.json.Encoder(order="sorted").encode


def _later(a: tuple[str, Any], b: tuple[str, Any]) -> tuple[str, Any]:
    """The one that counts. Equal stamps with other values are forged; then the text decides, the same everywhere."""
    if a[0] != b[0]:
        return a if a[0] > b[0] else b
    return a if a[1] == b[1] or _order(a[1]) > _order(b[1]) else b


class FileState:
    """All that the join of one file's facts needs. Compared by value."""

    __slots__ = (
        "guid",
        "born",
        "by",
        "made",
        "registers",
        "added",
        "removed",
        "contents",
        "holds",
        "knows",
        "purges",
        "latest",
    )

    def __init__(self, guid: str) -> None:
        self.guid = guid
        self.born: str = ""
        self.by: str = ""
        self.made: Made | None = None
        self.registers: Registers = {}
        self.added: ByTag = {}
        self.removed: ByTag = {}
        self.contents: dict[str, Content] = {}
        self.holds: Placement = {}
        self.knows: Placement = {}
        self.purges: dict[str, Purge] = {}
        self.latest: dict[str, str] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileState) and all(getattr(self, s) == getattr(other, s) for s in self.__slots__)

    def __repr__(self) -> str:
        return "FileState(" + ", ".join(f"{s}={getattr(self, s)!r}" for s in self.__slots__ if getattr(self, s)) + ")"

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> FileState:
        """An independent copy."""
        return deepcopy(self)

    def add(self, fact: Fact) -> None:
        """Join one fact about this file. Facts come checked (`fact.parse_fact`)."""
        at = fact.at
        node = node_of(at)
        if fact.purge is not None:
            # A purge stands alone: it is not among the facts that could bring the file back.
            kept = self.purges.get(at)
            self.purges[at] = fact.purge if kept is None else _later((at, kept), (at, fact.purge))[1]
            return
        before = self.latest.get(node)
        if before is None or at > before:
            self.latest[node] = at
        if fact.made is not None:
            self._birth(at, fact.by, fact.made)
        if fact.tag is not None:
            added = self.added
            # The tags of one fact share one dict: most files have all theirs from one, and a
            # dict a tag was a third of the memory and time of a bulk load. So: never altered, replaced.
            alone = {node: at}
            for tag in fact.tag:
                by_node = added.setdefault(tag, alone)
                if by_node is not alone and at > by_node.get(node, ""):
                    added[tag] = {**by_node, node: at}
        if fact.untag is not None:
            for tag, removals in fact.untag.items():
                by_node = self.removed.setdefault(tag, {})
                for where, seen in removals.items():
                    if seen > by_node.get(where, ""):
                        by_node[where] = seen
        if fact.content is not None:
            old = self.contents.get(at)
            self.contents[at] = fact.content if old is None else _later((at, old), (at, fact.content))[1]
        if fact.holds is not None:
            _place(self.holds, at, fact.holds)
        if fact.knows is not None:
            _place(self.knows, at, fact.knows)
        for register in _REGISTERS:
            value = getattr(fact, register)
            if value is not None:
                self._register(register, at, value)
        if fact.xattr is not None:
            for xattr, value in fact.xattr.items():
                self._register("xattr:" + xattr, at, value)

    def _birth(self, at: str, by: str, made: Made) -> None:
        if self.made is None or at < self.born:
            self.born, self.by, self.made = at, by, made
        elif at == self.born and (by, _order(made)) < (self.by, _order(self.made)):
            self.by, self.made = by, made

    def _register(self, register: str, at: str, value: Any) -> None:
        old = self.registers.get(register)
        self.registers[register] = (at, value) if old is None else _later((at, value), old)

    # What the join says. Meaning for a person is in `tagfs.face`.

    def made_name(self) -> str:
        """The name the file was born with, "" before its birth is read."""
        return self.made.name if self.made is not None else ""

    def has_tag(self, tag: str) -> bool:
        """Whether some addition of the tag is one that no untag had seen."""
        removed = self.removed.get(tag)
        added = self.added.get(tag)
        if added is None:
            return False
        return removed is None or any(at > removed.get(node, "") for node, at in added.items())

    def tags(self) -> list[str]:
        """The tags the file has, in order of text."""
        if not self.removed:
            return sorted(self.added)
        return sorted(tag for tag in self.added if self.has_tag(tag))

    def live_additions(self, tag: str) -> dict[str, str]:
        """What an untag made now must name to remove the tag."""
        return dict(self.added.get(tag, {}))

    def content_heads(self) -> list[tuple[str, Content]]:
        """(stamp, content) of each branch that nothing newer replaced, oldest first. More than one is a conflict."""
        if len(self.contents) == 1:
            return list(self.contents.items())
        ordered = sorted(self.contents.items())
        replaced: dict[str, str] = {}  # hash -> stamp of the newest content that replaced it
        for at, content in ordered:
            if content.was is not None:
                replaced[content.was] = at
        heads: dict[str, tuple[str, Content]] = {}
        for at, content in ordered:
            if replaced.get(content.sha256, "") <= at:
                heads[content.sha256] = (at, content)  # the same bytes stated twice are one branch
        return sorted(heads.values(), key=lambda head: head[0])

    def is_trashed(self) -> bool:
        """Whether a removal stands that no later tag or edit cancelled."""
        at, trashed = self.registers.get("trash", ("", False))
        if not trashed:
            return False
        for by_node in self.added.values():
            if any(added > at for added in by_node.values()):
                return False
        return not any(edited > at for edited in self.contents)

    def is_purged(self) -> bool:
        """Whether a purge had seen every content and every fact there is."""
        for purge in self.purges.values():
            seen = purge.seen
            if all(at <= seen.get(node, "") for node, at in self.latest.items()) and all(
                content.sha256 in purge.content for content in self.contents.values()
            ):
                return True
        return False

    def newest(self) -> str:
        """The newest stamp about this file, "" where there is none."""
        return max(max(self.latest.values(), default=""), max(self.purges, default=""))


def _place(placement: Placement, at: str, stated: dict[str, bool]) -> None:
    for node, yes in stated.items():
        old = placement.get(node)
        placement[node] = (at, yes) if old is None else _later((at, yes), old)


def join(guid: str, facts: Iterable[Fact]) -> FileState:
    """The state of one file from facts about it, in any order."""
    state = FileState(guid)
    for fact in facts:
        state.add(fact)
    return state


def deciding_facts(state: FileState, node_guid: dict[str, str]) -> list[Fact]:
    """The facts that make up a state, oldest first, each under the stamp it was made at.

    Args:
        node_guid: the GUID of each node by its first 8 hex digits, for `by`.

    Statements that something newer replaced are not in a state and so not in here;
    they remain in the ledgers that hold them.
    """
    facts: dict[str, Fact] = {}

    def at_stamp(at: str) -> Fact:
        fact = facts.get(at)
        if fact is None:
            by = (
                state.by
                if at == state.born
                else node_guid.get(node_of(at), node_of(at) + "-0000-4000-8000-000000000000")
            )
            fact = facts[at] = Fact(at=at, by=by, file=state.guid)
        return fact

    if state.made is not None:
        at_stamp(state.born).made = state.made
    for register, (at, value) in state.registers.items():
        fact = at_stamp(at)
        if register.startswith("xattr:"):
            fact.xattr = {**(fact.xattr or {}), register[6:]: value}
        else:
            setattr(fact, register, value)
    for tag, by_node in sorted(state.added.items()):
        for at in by_node.values():
            fact = at_stamp(at)
            fact.tag = [*(fact.tag or []), tag]
    for at, content in state.contents.items():
        at_stamp(at).content = content
    for node, (at, yes) in state.holds.items():
        fact = at_stamp(at)
        fact.holds = {**(fact.holds or {}), node: yes}
    for node, (at, yes) in state.knows.items():
        fact = at_stamp(at)
        fact.knows = {**(fact.knows or {}), node: yes}
    for at in state.latest.values():
        at_stamp(at)
    if state.removed:
        # When a removal was made is not part of the state (only what it had seen is),
        # so it rides on the newest fact; the join does not look at its stamp.
        at_stamp(max(state.latest.values())).untag = {tag: dict(seen) for tag, seen in sorted(state.removed.items())}
    result = [facts[at] for at in sorted(facts)]
    for at, purge in sorted(state.purges.items()):
        by = node_guid.get(node_of(at), node_of(at) + "-0000-4000-8000-000000000000")
        result.append(Fact(at=at, by=by, file=state.guid, purge=purge))
    return result
