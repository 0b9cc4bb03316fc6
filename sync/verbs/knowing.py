"""Exclude and include: who may know a file from now on.

Nothing is hidden here. It is stated who may know the file; where its facts are written from
then on follows from that (`tagfs.home`), and so does who may hold its bytes. Who is left out
holds no longer, by the same statement; who is taken in again holds what it held when it was
left out. What would leave a file to nobody is not stated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from sync.verbs.placement import ALREADY, LAST, Around, Placed, over_all, waiting_for
from tagfs.face import face_of, holders
from tagfs.merge import FileState
from tagfs.placement import to_state
from tagfs.store import Store

_LATER_THAN_ALL = "~"


class Word(NamedTuple):
    """What is to be stated about a file: who may know it, and who holds it. `after`: its holders then."""

    knows: dict[str, bool]
    holds: dict[str, bool]
    after: frozenset[str]


class Shown(Placed):
    """As `Placed`; `whom`: per node, how many files it may know no longer, or again."""

    def __init__(self) -> None:
        super().__init__()
        self.whom: dict[str, int] = {}


Choice = Callable[[FileState, Around], Word | str]
"""From a file to what is to be stated about it, or the reason why it stays as it is."""


# -- choosing; pure


def leaving_out(nodes: Collection[str]) -> Choice:
    """These nodes may know files no longer."""

    def choose(state: FileState, around: Around) -> Word | str:
        unknown = _unknown(state)
        out = frozenset(nodes) - unknown
        if not out:
            return ALREADY
        left = frozenset(around.nodes) - unknown - out - around.gone
        if not left:
            return LAST
        before = holders(state, around.nodes)
        after = before - out
        said = dict.fromkeys(sorted(out), False)
        holds: dict[str, bool] = {}
        if before - around.gone and not after - around.gone:
            # Nobody else has its bytes: whoever is at hand gets them, this node first. It is named, else
            # that would be another once more nodes are known.
            heir = min(({around.me} & left) or (around.online & left) or left)
            after |= {heir}
            holds[heir] = True
        holds.update(to_state(_after(state, said), around.nodes, after))
        holds.update(dict.fromkeys(before & out, False))
        return Word(said, holds, after)

    return choose


def taking_in(nodes: Collection[str]) -> Choice:
    """These nodes may know files again."""

    def choose(state: FileState, around: Around) -> Word | str:
        back = frozenset(nodes) & _unknown(state)
        if not back:
            return ALREADY
        said = dict.fromkeys(sorted(back), True)
        held = {node for node in back if state.holds.get(node) == (state.knows[node][0], False)}
        after = holders(state, around.nodes) | held
        return Word(said, to_state(_after(state, said), around.nodes, after), after)

    return choose


def _unknown(state: FileState) -> frozenset[str]:
    return frozenset(node for node, (_, yes) in state.knows.items() if not yes)


def _after(state: FileState, said: dict[str, bool]) -> FileState:
    after = state.copy()
    after.knows.update({node: (_LATER_THAN_ALL, yes) for node, yes in said.items()})
    return after


def decided(state: FileState, choose: Choice, around: Around, shown: Shown) -> Word | None:
    """What is to be stated about a file, None for nothing; counted into `shown`."""
    face = face_of(state, around.me, around.nodes)
    word = choose(state, around)
    if isinstance(word, str):
        shown.stays(word, face.name)
        return None
    before, after = holders(state, around.nodes) - around.gone, word.after - around.gone
    shown.moves(face.name, face.size_bytes, before, after, around.min_copies, waiting_for(before, after, around))
    for node in word.knows:
        shown.whom[node] = shown.whom.get(node, 0) + 1
    return word


# -- stating


def show(store: Store, guids: Sequence[str], choose: Choice, around: Around, *, dry_run: bool = False) -> Shown:
    """State who may know files from now on, in one action; with `dry_run` only count."""

    def say(state: FileState, shown: Shown) -> dict[str, Any] | None:
        if not face_of(state, around.me, around.nodes).listed:
            return None
        word = decided(state, choose, around, shown)
        return {"knows": word.knows, "holds": word.holds or None} if word is not None else None

    return over_all(store, guids, Shown(), say, dry_run=dry_run)
