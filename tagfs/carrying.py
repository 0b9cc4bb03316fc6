"""Where the facts about a file stand, when not every node may know it.

A file that everyone knows has its facts in the open ledgers. One that somebody is kept
from has them in ledgers that only the nodes of its set share (facts.md, Where a face
lives). When `knows` changes, the facts must come to stand in the other folder, whoever
made them, and nothing that is said afterwards may reach who is left out. The rule, found
with a model of thousands of schedules (author-only carrying and a "gone" notice failed):

- A fact is written where the file is known to live by all that its maker has read. Only
  the change of `knows` itself is also written in the folder it leaves, so that who is left
  out reads itself out.
- Whoever is in the new set writes into its own ledger there every fact that still decides
  and that no ledger there has.
- In every ledger, who is left out stands before all else that is said about a file: a reader
  that has read half of it must not take the file for one that more may know. So a change of
  `knows` is written in the folder it enters after all that was read before.
- Who reads itself out writes its own facts that others lack where the notice stands.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from tagfs.fact import Fact
from tagfs.home import Folder, home_of
from tagfs.merge import deciding_facts, join


def to_carry(
    node: str,
    standing: Mapping[Folder, Iterable[Fact]],
    nodes: Collection[str],
    node_guid: dict[str, str],
) -> list[tuple[Folder, Fact]]:
    """The facts about one file that a node writes into its own ledgers, and where.

    Args:
        standing: what the node has read about the file, by the folder it stands in.
        node_guid: the GUID of each node by its first 8 digits.
    """
    by_folder = {folder: list(facts) for folder, facts in standing.items()}
    guid = next((fact.file for facts in by_folder.values() for fact in facts), None)
    if guid is None:
        return []
    state = join(guid, (fact for facts in by_folder.values() for fact in facts))
    if state.made is None:
        return []  # half of it has arrived; what the other half says is not known yet
    home = home_of(state, nodes)
    deciding = deciding_facts(state, node_guid)
    if not home or node in home:
        return [(home, fact) for fact in _lacking(guid, by_folder.get(home, []), deciding)]
    carried: list[tuple[Folder, Fact]] = []
    for folder, facts in by_folder.items():
        if any(fact.knows is not None and fact.knows.get(node) is False for fact in facts):
            own = [fact for fact in deciding if fact.by == node]
            carried.extend((folder, fact) for fact in _lacking(guid, facts, own))
    return carried


def to_enter(folder: Folder, standing: Mapping[Folder, Iterable[Fact]], node_guid: dict[str, str]) -> list[Fact]:
    """What is written in a folder before the change of `knows` by which a file enters it."""
    facts = [fact for found in standing.values() for fact in found]
    if not facts or facts[0].file is None:
        return []
    guid = facts[0].file
    return _lacking(guid, standing.get(folder, []), deciding_facts(join(guid, facts), node_guid))


def _lacking(guid: str, standing: Iterable[Fact], wanted: Iterable[Fact]) -> list[Fact]:
    """Those facts that would add something to what stands in a folder."""
    there = join(guid, standing)
    lacking = []
    for fact in sorted(wanted, key=left_out_first):
        more = there.copy()
        more.add(fact)
        if more != there:
            lacking.append(fact)
            there = more
    return lacking


def left_out_first(fact: Fact) -> tuple[bool, str]:
    """The order in which facts enter ledgers that not everyone reads: who is left out, then all else by stamp."""
    return not (fact.knows and not all(fact.knows.values())), fact.at
