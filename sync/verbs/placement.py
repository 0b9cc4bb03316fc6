"""Reduce, restore, and rules applied: who is to hold files from now on.

Nothing is moved here. The wish is stated, for any node, from any node, also offline; the
daemons bring it about (`machine`). What would leave a file without a holder is not stated:
the last holder stays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sync.verbs.waiting import Wait, something_moves, waits_of
from tagfs.change import Change
from tagfs.face import face_of, holders
from tagfs.fact import BY_HAND
from tagfs.merge import FileState
from tagfs.placement import is_by_hand, knowing, to_state
from tagfs.store import Store
from tagfs.verbs.tagging import chunks

NAMES_KEPT = 10

ALREADY, LAST, UNKNOWN, BYHAND, LOST = "already", "last", "unknown", "by hand", "lost"


class Wish(NamedTuple):
    """Who is to hold a file, and who chose it (`placed_by`)."""

    holds: frozenset[str]
    placed_by: list[str]


class Amount(NamedTuple):
    """So many files of so many bytes."""

    files: int = 0
    size_bytes: int = 0

    def plus(self, size_bytes: int) -> Amount:
        return Amount(self.files + 1, self.size_bytes + size_bytes)


class Waiting(NamedTuple):
    """What a move waits for. `partly`: something of it can be done before."""

    waits: frozenset[Wait]
    partly: bool


class Placed:
    """What was stated, or would be; counted file by file.

    `come`, `go`: per node, what it is to get and what it may let go. `fewest`: of the files
    that change, the fewest holders one has afterwards. `scarce`: those that have fewer than
    `min_copies` then. `waits`: how many files wait for what. `left`: per reason, how many
    files stay as they are, and the names of some.
    """

    def __init__(self) -> None:
        self.changed = 0
        self.names: list[str] = []
        self.come: dict[str, Amount] = {}
        self.go: dict[str, Amount] = {}
        self.fewest: int | None = None
        self.scarce = 0
        self.waits: dict[Waiting, int] = {}
        self.left: dict[str, tuple[int, list[str]]] = {}
        self.action: str | None = None

    def stays(self, why: str, name: str) -> None:
        """A file that is left as it is."""
        count, names = self.left.get(why, (0, []))
        self.left[why] = count + 1, [*names, name] if len(names) < NAMES_KEPT else names

    def moves(
        self, name: str, size_bytes: int, before: frozenset[str], after: frozenset[str], min_copies: int,
        waits: Waiting,
    ) -> None:  # fmt: skip
        """A file that others hold from now on."""
        self.changed += 1
        if len(self.names) < NAMES_KEPT:
            self.names.append(name)
        for node in after - before:
            self.come[node] = self.come.get(node, Amount()).plus(size_bytes)
        for node in before - after:
            self.go[node] = self.go.get(node, Amount()).plus(size_bytes)
        self.fewest = min(len(after), self.fewest or len(after))
        self.scarce += len(after) < min_copies
        self.waits[waits] = self.waits.get(waits, 0) + 1

    def count(self, why: str) -> int:
        """How many files stay as they are for a reason."""
        return self.left.get(why, (0, []))[0]


T = TypeVar("T", bound=Placed)


class Around(NamedTuple):
    """What the decision about each file needs to know of the library.

    `nodes`: the GUIDs of all nodes; `gone`: those that left. `online`: those connected with
    this node, itself among them.
    """

    me: str
    nodes: Collection[str]
    gone: frozenset[str]
    online: frozenset[str]
    min_copies: int


Choice = Callable[[FileState, frozenset[str]], Wish | str]
"""From a file and its holders (no forgotten ones) to who is to hold it, or the reason why it stays as it is."""


# -- choosing; pure


def without(nodes: Collection[str]) -> Choice:
    """These nodes hold files no longer."""
    dropped = frozenset(nodes)

    def choose(state: FileState, now: frozenset[str]) -> Wish | str:
        if not now & dropped:
            return ALREADY
        after = now - dropped
        return Wish(after, [BY_HAND]) if after else LAST

    return choose


def also(nodes: Collection[str]) -> Choice:
    """These nodes hold files as well, those among them that may know the file."""
    added = frozenset(nodes)

    def choose(state: FileState, now: frozenset[str]) -> Wish | str:
        able = knowing(state, added)
        if not able:
            return UNKNOWN
        return ALREADY if able <= now else Wish(now | able, [BY_HAND])

    return choose


def by_rules(wanted: Mapping[str, Wish]) -> Choice:
    """What rules want of each file, by GUID, unless a person chose."""

    def choose(state: FileState, now: frozenset[str]) -> Wish | str:
        wish = wanted[state.guid]
        able = knowing(state, wish.holds)
        if not able:
            return UNKNOWN
        if able == now:
            return ALREADY
        return BYHAND if is_by_hand(state) else Wish(able, wish.placed_by)

    return choose


def decided(
    state: FileState, choose: Choice, around: Around, placed: Placed
) -> tuple[dict[str, bool], list[str]] | None:
    """What is to be stated about a file, None for nothing; counted into `placed`."""
    before = holders(state, around.nodes) - around.gone
    face = face_of(state, around.me, around.nodes)
    # Who has bytes of a file that only forgotten nodes held says so by itself; a wish would bring none.
    wish = choose(state, before) if before else LOST
    if isinstance(wish, str):
        placed.stays(wish, face.name)
        return None
    after = wish.holds - around.gone
    said = to_state(state, around.nodes, after)
    if not said:
        placed.stays(ALREADY, face.name)
        return None
    placed.moves(face.name, face.size_bytes, before, after, around.min_copies, waiting_for(before, after, around))
    return said, wish.placed_by


def waiting_for(before: frozenset[str], after: frozenset[str], around: Around) -> Waiting:
    """What a move waits for, none of whose nodes was forgotten."""
    move = before, after, around.online, around.min_copies
    return Waiting(waits_of(*move), something_moves(*move))


# -- stating


def place(store: Store, guids: Sequence[str], choose: Choice, around: Around, *, dry_run: bool = False) -> Placed:
    """State who holds files from now on, in one action; with `dry_run` only count."""

    def say(state: FileState, placed: Placed) -> dict[str, Any] | None:
        said = decided(state, choose, around, placed)
        return {"holds": said[0], "placed_by": said[1]} if said is not None else None

    return over_all(store, guids, Placed(), say, dry_run=dry_run, frees_space=True)


def over_all(
    store: Store,
    guids: Sequence[str],
    tally: T,
    say: Callable[[FileState, T], dict[str, Any] | None],
    *,
    dry_run: bool,
    frees_space: bool = False,
) -> T:
    """State something about each of these files, portion by portion, in one action; with `dry_run` only count.

    Args:
        say: what is to be stated about a file, by fields of `Fact`, None for nothing; counts it.

    Returns:
        The tally, with the action.
    """
    for part in chunks(guids):
        if dry_run:
            for state in store.states(part):
                if state.made is not None:
                    say(state, tally)
            continue
        tally = store.act(partial(_state, part, say, tally), action=tally.action, frees_space=frees_space)
    return tally


def _state(part: Iterable[str], say: Callable[[FileState, T], dict[str, Any] | None], so_far: T, change: Change) -> T:
    tally = deepcopy(so_far)  # an action may be run again from its start
    for guid in part:
        state = change.state(guid)
        fields = say(state, tally) if state.made is not None else None
        if fields is not None:
            change.about_file(guid, **fields)
    tally.action = change.action
    return tally
