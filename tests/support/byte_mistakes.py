"""Deliberate mistakes in moving bytes: that the random schedules catch each shows that their checks can fail.

Each is what a simpler design would do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from sync import machine
from sync.machine import Here, Proof, Remove, Source, Unlink, Wanted

Decide = Callable[..., list[machine.Action]]


def _any_proof(me: str, wanted: Wanted, here: Here, proofs: Iterable[Proof], min_copies: int) -> list[machine.Action]:
    """A proof made under other placement facts counts, too."""
    return machine.decide(me, wanted, here, [proof._replace(digest=wanted.digest) for proof in proofs], min_copies)


def _no_proof(me: str, wanted: Wanted, here: Here, proofs: Iterable[Proof], min_copies: int) -> list[machine.Action]:
    """A stray goes for good, without anybody's proof: its bytes are known, so somebody will have them in place.

    Merely unlinked it would still be in the keep, and be put back from there.
    """
    actions = machine.decide(me, wanted, here, proofs, min_copies)
    for members, copy in here.placed.items():
        if wanted.born and members != wanted.holds and wanted.contents.is_known(copy.sha256):
            actions.append(Remove(Source(copy.sha256, members)))
    return actions


def _unlink_first(
    me: str, wanted: Wanted, here: Here, proofs: Iterable[Proof], min_copies: int
) -> list[machine.Action]:
    """A holder that leaves takes its copy away and forgets it, since the others hold it."""
    actions = machine.decide(me, wanted, here, proofs, min_copies)
    if wanted.born and not wanted.purged and me not in wanted.holds:
        for members, copy in here.placed.items():
            actions.append(Unlink(Source(copy.sha256, members)))
        actions.extend(machine.Drop(sha256, False) for sha256 in here.kept)
    return actions


def _drop_early(me: str, wanted: Wanted, here: Here, proofs: Iterable[Proof], min_copies: int) -> list[machine.Action]:
    """The keep is emptied as soon as nothing stands where it does not belong."""
    actions = machine.decide(me, wanted, here, proofs, min_copies)
    if wanted.born and not wanted.purged and all(members == wanted.holds for members in here.placed):
        actions.extend(machine.Drop(sha256, False) for sha256 in here.kept)
    return actions


def all_count(me: str, wanted: Wanted, here: Here, proofs: Iterable[Proof], min_copies: int) -> list[machine.Action]:
    """A node that was forgotten counts as before."""
    return machine.decide(me, wanted._replace(gone=frozenset()), here, proofs, min_copies)


def nobody_inherits(
    me: str, wanted: Wanted, here: Here, proofs: Iterable[Proof], min_copies: int
) -> list[machine.Action]:
    """What only forgotten nodes held is left where it happens to be."""
    actions = machine.decide(me, wanted, here, proofs, min_copies)
    return [action for action in actions if not isinstance(action, machine.Hold)]


def _last_edit_wins(
    me: str, wanted: Wanted, here: Here, proofs: Iterable[Proof], min_copies: int
) -> list[machine.Action]:
    """Of two edits the one in place counts, and the conflict copy is tidied away."""
    actions = []
    for action in machine.decide(me, wanted, here, proofs, min_copies):
        if isinstance(action, machine.KeepBoth):
            gone = action.source
            actions.append(machine.Remove(gone))
        else:
            actions.append(action)
    return actions


def _guess_base(me: str, wanted: Wanted, here: Here, proofs: Iterable[Proof], min_copies: int) -> list[machine.Action]:
    """An edit is taken to replace whatever the newest fact says, not what stood on this disk."""
    heads = wanted.contents.heads
    return [
        action._replace(was=heads[-1]) if isinstance(action, machine.StateContent) and heads else action
        for action in machine.decide(me, wanted, here, proofs, min_copies)
    ]


class Mistake(NamedTuple):
    """What to run schedules with instead."""

    name: str
    options: dict[str, Any]


MISTAKES = [
    Mistake("a proof of other placement facts counts", {"decide": _any_proof}),
    Mistake("a stray is unlinked without proof", {"decide": _no_proof}),
    Mistake("unlink before link", {"decide": _unlink_first}),
    Mistake("the keep is emptied unproven", {"decide": _drop_early}),
    Mistake("no keep", {"keeps": False}),
    Mistake("own edits are not kept", {"edits_kept": False}),
    Mistake("of two edits one is tidied away", {"decide": _last_edit_wins}),
    Mistake("an edit replaces what it never saw", {"decide": _guess_base}),
]
