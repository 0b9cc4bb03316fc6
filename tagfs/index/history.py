"""What the index remembers of an action: enough for `lyts log` and to find its facts again.

An action's record is small however many files it touched: who, when, what kinds of
statements how often, one file as an example, and the ledger segments its facts stand in.
The facts themselves stay in the ledgers. Pure.
"""

from __future__ import annotations

from typing import Any

from tagfs.fact import BY_HAND, Fact

SHOWN_PHRASES = 12


def phrases_of(fact: Fact) -> list[str]:
    """What a fact says, in words, without saying about which file."""
    if fact.file is None:
        return _about_things(fact)
    if fact.made is not None:
        return ["add"]
    out = []
    if isinstance(fact.tag, list):
        out.append("tag " + ",".join(fact.tag))
    if fact.untag:
        out.append("untag " + ",".join(fact.untag))
    if fact.name is not None:
        out.append(f"rename to {fact.name}")
    if fact.notes is not None:
        out.append("notes")
    if fact.content is not None:
        out.append("new contents")
    if fact.trash is not None:
        out.append("remove" if fact.trash else "put back")
    if fact.purge is not None:
        out.append("delete for good")
    if fact.knows:
        out.append("exclude" if not any(fact.knows.values()) else "include")  # and what it says of holders follows
    elif fact.holds is not None:
        out.append(_placing(fact.holds, fact.placed_by))
    if fact.mode is not None or fact.modified is not None or fact.xattr is not None:
        out.append("attributes")
    return out or ["other"]


def _placing(holds: dict[str, bool], placed_by: list[str] | None) -> str:
    if placed_by and placed_by != [BY_HAND]:
        return "place by rule"
    said = set(holds.values())
    return "placement" if len(said) != 1 else "restore" if said == {True} else "reduce"


def _about_things(fact: Fact) -> list[str]:
    if isinstance(fact.tag, str):
        out = []
        if fact.alias:
            out.append(f"let {fact.tag} mean {','.join(fact.alias)}")
        if fact.unalias:
            out.append(f"no longer let {fact.tag} mean {','.join(fact.unalias)}")
        if fact.implies:
            out.append(f"let {fact.tag} imply {','.join(fact.implies)}")
        if fact.unimplies:
            out.append(f"stop {fact.tag} implying {','.join(fact.unimplies)}")
        if fact.exists is not None:
            out.append(f"{'make' if fact.exists else 'forget'} tag {fact.tag}")
        return out or ["other"]
    if fact.saved is not None:
        return [f"save query {fact.saved}" if fact.query else f"forget query {fact.saved}"]
    if fact.node is not None:
        return ["node"]
    if fact.set is not None:
        return ["nodeset"]
    if fact.rule is not None:
        return [f"rule for {fact.query}" if fact.holds else f"no rule for {fact.query}"]
    return ["other"]


def join_action(record: dict[str, Any], fact: Fact, segment: int | None) -> None:
    """Count a fact into the record of its action.

    Counts are for people: a fact read a second time (a ledger read again from its start)
    is not counted again. The birth of a file that was in a library before is older than its
    action, and so not newer than what came before it; it always counts.
    """
    if not record:
        record.update(by=fact.by, undoes=fact.undoes, did={}, files=0, example=None, last=None, segments=[], newest="")
    if fact.undoes is not None:
        record["undoes"] = fact.undoes
    earlier = fact.made is not None and fact.action is not None and fact.at < fact.action
    if fact.at > record["newest"] or earlier:
        record["newest"] = max(record["newest"], fact.at)
        if fact.file is not None:
            record["files"] += fact.file != record["last"]
            record["last"] = fact.file
            record["example"] = record["example"] or fact.file
        did: dict[str, int] = record["did"]
        for phrase in phrases_of(fact):
            if phrase in did or len(did) < SHOWN_PHRASES:
                did[phrase] = did.get(phrase, 0) + 1
    if segment is not None and segment not in record["segments"]:
        record["segments"].append(segment)
