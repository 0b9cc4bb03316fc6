"""What to do next about one file on one node, so that its bytes come to be where its facts want them.

The heart of moving bytes (sync.md, Moving bytes; Bytes edited on two nodes), as a
function without memory: it is given what this node's facts say (`Wanted`), what is on
this node's disk (`Here`) and what others have proven, and returns what can be done now.
It is asked again after every change, so a crash between any two actions costs nothing.

The rules:

- **Link, prove, unlink, and keep.** Bytes are first put where they belong, then proven
  there by a node that read them, and only then taken away elsewhere. A proof counts for
  a node that stands under the same placement facts, and for no other.
- **A deletion never destroys bytes.** What is unlinked, here or by Syncthing, is in this
  node's keep until the placed copy is here, or proven elsewhere where it is not held here.
- There is no coordinator and no time-out. Whoever may act does; doing it twice is harmless.
- Bytes that no fact speaks of are an edit. Who made it says so; others wait, and say it
  in its place only when it stays silent for long.
- Two edits that did not know of each other are both kept: the one in place stays, the
  other becomes a file of its own.
- A node that was forgotten never counts: nothing it has proven, nothing it holds. Folders
  keep their ids, so the folder of a set is where its files stay when a member is forgotten. Where
  all who held a file were, whoever has its bytes says that it holds it from now on.

Facts only grow, so whatever was done under fewer of them is answered under more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from sync.contents import Contents

Members = frozenset[str]
"""The node GUIDs of a nodeset."""


class Wanted(NamedTuple):
    """What the facts that this node has read say about a file.

    `digest` stands for the placement facts as a whole (`sync.placing.digest_of`). `holds` also names
    nodes that were forgotten since (`gone`). `unknown` are those that may not know the file.
    """

    guid: str
    born: bool
    purged: bool
    holds: Members
    digest: str
    contents: Contents
    gone: Members = frozenset()
    unknown: Members = frozenset()

    @property
    def living(self) -> Members:
        """The holders that are still in the library; none where all were forgotten."""
        return self.holds - self.gone


class Copy(NamedTuple):
    """Bytes on this node: in the folder of a set, or a conflict copy beside them.

    `sha256` is "" while they are not hashed. `by_me`: a hand on this node wrote them
    (Syncthing's `modifiedBy`), not the network. `was`: the hash that stood here before.
    `busy`: open for writing, or changed within the last moments. `silent`: no fact spoke of
    them for so long that its maker is not waited for any more.
    """

    sha256: str
    by_me: bool = False
    was: str | None = None
    busy: bool = False
    silent: bool = False


class Here(NamedTuple):
    """What of a file is on this node.

    `conflicts`: Syncthing's conflict copies, by set and hash. `kept`: hashes in the keep,
    where what is unlinked goes, and Syncthing's trash can. `long_kept`: those of them that no
    fact spoke of for so long that none is waited for any more. `edits`: hashes of what hands on
    this node wrote last, kept until another node is known to have them: of three edits at
    once Syncthing can lose one. `beside`: hashes here that became a file of their own (`KeepBoth`)
    which this node is to have, and of which it has nothing.
    """

    placed: Mapping[Members, Copy]
    conflicts: Mapping[tuple[Members, str], Copy] = {}
    kept: Collection[str] = ()
    long_kept: Collection[str] = ()
    edits: Collection[str] = ()
    beside: Collection[str] = ()


class Proof(NamedTuple):
    """A node has read these bytes in the folder of the set, and stood under these placement facts."""

    prover: str
    sha256: str
    members: Members
    digest: str


# -- what can be done


class Source(NamedTuple):
    """Where bytes are: in a set's folder, in a conflict copy there, or (`members` None) in the keep."""

    sha256: str
    members: Members | None = None
    is_conflict: bool = False


class StateContent(NamedTuple):
    """State that these bytes are the file's content from now on."""

    members: Members
    sha256: str
    was: str | None


class Put(NamedTuple):
    """Put bytes into a set's folder. What stands there goes to the keep, and must be `replaces`."""

    source: Source
    members: Members
    replaces: str | None


class Prove(NamedTuple):
    """Say that these bytes are here, where they belong."""

    sha256: str
    members: Members
    digest: str


class Unlink(NamedTuple):
    """Take a copy away, into the keep."""

    source: Source


class Drop(NamedTuple):
    """Let go of kept bytes. `is_version`: they are what an edit replaced, and stay as a version for a while."""

    sha256: str
    is_version: bool


class DropEdit(NamedTuple):
    """Let go of the second copy of what was written here: it is not needed any more."""

    sha256: str


class Remove(NamedTuple):
    """The file has ended: remove its bytes for good."""

    source: Source


class KeepBoth(NamedTuple):
    """Make the bytes a file of their own beside this one, whose content is `current`."""

    source: Source
    current: str


class HandOver(NamedTuple):
    """Put bytes into the keep of the file of their own that they became: who made that may never come to send them."""

    source: Source


class Hold(NamedTuple):
    """State that this node holds the file instead of those who did: they were forgotten, and its bytes are here."""

    instead: Members


Action = StateContent | Put | Prove | Unlink | Drop | DropEdit | Remove | KeepBoth | HandOver | Hold


def decide(me: str, wanted: Wanted, here: Here, proofs: Iterable[Proof], min_copies: int = 1) -> list[Action]:
    """What can be done now about a file. Each action stands for itself and may be left out or done twice.

    Args:
        me: this node's GUID.
        proofs: what nodes have proven about this file, this node among them.
        min_copies: proofs of so many nodes are asked for before bytes are taken away
            (of all that hold it, where they are fewer).
    """
    if not wanted.born or any(copy.busy or not copy.sha256 for copy in here.placed.values()):
        return []
    stated = _edits_to_state(me, wanted, here)
    if stated:
        return list(stated)  # everything else is decided anew under what was stated
    if wanted.purged:
        return _handing_over(here, [*_end(wanted, here)])
    look = _Look(me, wanted, here, proofs, min_copies)
    return [Hold(wanted.holds)] if look.is_heir() else _handing_over(here, look.actions())


def _handing_over(here: Here, actions: list[Action]) -> list[Action]:
    """Bytes that are to be here as another file are handed over to that; this file's do not go before."""
    if not here.beside:
        return actions
    kept = [
        action
        for action in actions
        if not (isinstance(action, Drop | DropEdit) and action.sha256 in here.beside)
        and not (isinstance(action, Remove) and action.source.sha256 in here.beside)
    ]
    found = {sha256: Source(sha256) for sha256 in (*here.kept, *here.edits)}
    found |= {sha256: Source(sha256, members, is_conflict=True) for members, sha256 in here.conflicts}
    found |= {copy.sha256: Source(copy.sha256, members) for members, copy in here.placed.items()}
    return [*(HandOver(found[sha256]) for sha256 in sorted(here.beside) if sha256 in found), *kept]


def left_here(wanted: Wanted, here: Here) -> set[str]:
    """The hashes here of a file with several contents: what of them became a file of its own is to be asked.

    Those that count are among them: of two that each made the other's bytes a file of their own both stand.
    """
    if not wanted.contents.left:
        return set()
    hashes = {copy.sha256 for copy in here.placed.values()}.union(
        (sha256 for _, sha256 in here.conflicts), here.kept, here.edits
    )
    return {sha256 for sha256 in hashes if wanted.contents.is_known(sha256)}


def is_to_come(me: str, other: Wanted, here: Here, sha256: str) -> bool:
    """Whether a file that these bytes became is to be on this node, and nothing of it is."""
    if not other.born or other.purged or sha256 not in other.contents.heads or me in other.unknown:
        return False
    hashes = {copy.sha256 for copy in here.placed.values()}.union(here.kept, here.edits)
    return (me in other.living or not other.living) and sha256 not in hashes


def _edits_to_state(me: str, wanted: Wanted, here: Here) -> list[StateContent]:
    stated = []
    for members, copy in here.placed.items():
        if wanted.contents.is_known(copy.sha256):
            continue
        # For who is silent speaks the lowest of those that have the folder, holders first.
        having = (members & wanted.living) or (members - wanted.gone - wanted.unknown)
        if copy.by_me or (copy.silent and me == min(having, default=me)):
            was = copy.was if copy.was is not None and wanted.contents.is_known(copy.was) else None
            stated.append(StateContent(members, copy.sha256, was))
    return stated


def _end(wanted: Wanted, here: Here) -> Iterable[Remove | Put]:
    """The file has ended: what is known of it goes. Bytes that nobody spoke of are an edit, and bring it back."""
    for members, copy in here.placed.items():
        if wanted.contents.is_known(copy.sha256):
            yield Remove(Source(copy.sha256, members))
    for (members, sha256), copy in here.conflicts.items():
        source = Source(sha256, members, is_conflict=True)
        if wanted.contents.is_known(sha256):
            yield Remove(source)
        elif members not in here.placed and not copy.busy:
            yield Put(source, members, None)
    for sha256 in sorted({*here.kept, *here.edits}):
        if wanted.contents.is_known(sha256) or sha256 in here.long_kept:
            yield Remove(Source(sha256))


class _Look:
    """One look at a file that stands."""

    def __init__(self, me: str, wanted: Wanted, here: Here, proofs: Iterable[Proof], min_copies: int) -> None:
        proofs = [proof for proof in proofs if proof.prover not in wanted.gone]
        self.me = me
        self.wanted = wanted
        self.here = here
        self.heads, self.left = wanted.contents
        self.digest = wanted.digest
        self.target = wanted.holds
        self.living = wanted.living
        self.am_holder = me in wanted.holds
        self.in_place = here.placed.get(wanted.holds)
        self.proven = self._proven_heads(proofs, max(1, min(min_copies, len(self.living))))
        self.held_elsewhere = {proof.sha256 for proof in proofs if proof.prover != me}
        self.proven_by_me = {
            proof.sha256
            for proof in proofs
            if proof.prover == me and proof.members == wanted.holds and proof.digest == wanted.digest
        }

    def _proven_heads(self, proofs: Iterable[Proof], enough: int) -> list[str]:
        """The heads that enough holders have in place, as far as this node may believe them."""
        by_hash: dict[str, set[str]] = {}
        for proof in proofs:
            counts = proof.members == self.target and proof.digest == self.digest and proof.prover in self.target
            if counts and proof.sha256 in self.heads:
                by_hash.setdefault(proof.sha256, set()).add(proof.prover)
        return sorted(sha256 for sha256, provers in by_hash.items() if len(provers) >= enough)

    def is_heir(self) -> bool:
        """Whether nobody is left who holds the file, and its bytes are on this node, which may know it."""
        may = self.me not in self.wanted.gone | self.wanted.unknown
        return may and not self.living and bool(self.target) and any(True for _ in self._sources(self.heads))

    def actions(self) -> list[Action]:
        return [
            *self._put_in_place(),
            *self._prove(),
            *self._settle_conflict_copies(),
            *self._settle_strays(),
            *self._tidy_keep(),
            *self._tidy_edits(),
        ]

    # -- the current content

    def _current(self) -> str | None:
        """The head that counts while there are several: what is in place here, else what is proven in place."""
        if self.in_place is not None and self.in_place.sha256 in self.heads:
            return self.in_place.sha256
        if not self.am_holder and self.proven:
            return self.proven[0]
        return self.heads[0] if len(self.heads) == 1 else None

    def _sources(self, heads: Collection[str]) -> Iterable[Source]:
        """Bytes of these heads on this node, the likeliest first."""
        for members, copy in self.here.placed.items():
            if copy.sha256 in heads:
                yield Source(copy.sha256, members)
        for members, sha256 in self.here.conflicts:
            if sha256 in heads:
                yield Source(sha256, members, is_conflict=True)
        for sha256 in sorted({*self.here.kept, *self.here.edits}):
            if sha256 in heads:
                yield Source(sha256)

    # -- put

    def _put_in_place(self) -> Iterable[Put]:
        if self.am_holder:
            standing = self.in_place
            if standing is None or standing.sha256 in self.left:
                # Of several heads the newest; the others become files of their own once one is in place.
                found = sorted(self._sources(self.heads), key=lambda source: -self.heads.index(source.sha256))
                if found:
                    yield Put(found[0], self.target, standing.sha256 if standing else None)
                elif standing is None:
                    yield from self._put_unspoken(self.target)
            return
        for members, copy in self.here.placed.items():
            union = members | self.target
            asked = copy.sha256 in self.heads and not self._is_safe(copy.sha256)
            standing = self.here.placed.get(union)
            if asked and not members & self.living and (standing is None or standing.sha256 in self.left):
                yield Put(Source(copy.sha256, members), union, standing.sha256 if standing is not None else None)
        union = self.target | {self.me}
        standing = self.here.placed.get(union)
        none_placed = not any(copy.sha256 in self.heads for copy in self.here.placed.values())
        if none_placed and (standing is None or standing.sha256 in self.left):
            # What is in this keep alone would never get to who holds the file: neither where nothing stands
            # here, nor where what stands here is what it replaced.
            for source in self._sources(self.heads):
                if not self._is_safe(source.sha256):
                    yield Put(source, union, standing.sha256 if standing is not None else None)
                    return
        if not self.here.placed and not self.proven:
            yield from self._put_unspoken(union)

    def _put_unspoken(self, members: Members) -> Iterable[Put]:
        """What was kept when somebody deleted it, before whoever wrote it could say so, is better than nothing."""
        if not any(True for _ in self._sources(self.heads)):
            unspoken = set(self.here.long_kept).difference(self.heads, self.left)
            for sha256 in sorted(unspoken)[:1]:
                yield Put(Source(sha256), members, None)

    def _is_safe(self, sha256: str) -> bool:
        """Whether bytes may go from where they do not belong: they, or what replaced them, are proven in place."""
        return sha256 in self.proven or (sha256 in self.left and bool(self.proven))

    def _prove(self) -> Iterable[Prove]:
        standing = self.in_place
        if self.am_holder and standing is not None and standing.sha256 in self.heads:
            if standing.sha256 not in self.proven_by_me:
                yield Prove(standing.sha256, self.target, self.digest)

    # -- strays

    def _settle_strays(self) -> Iterable[Action]:
        current = self._current()
        for members, copy in self.here.placed.items():
            if members == self.target:
                continue
            source = Source(copy.sha256, members)
            if self._is_safe(copy.sha256):
                yield Unlink(source)
            elif copy.sha256 in self.heads and current not in (None, copy.sha256) and self._may_judge():
                yield KeepBoth(source, str(current))

    def _may_judge(self) -> bool:
        """Whether this node knows which branch is in place: it holds it, or it was proven to it."""
        return self.am_holder or bool(self.proven)

    def _settle_conflict_copies(self) -> Iterable[Action]:
        current = self._current()
        for (members, sha256), copy in self.here.conflicts.items():
            source = Source(sha256, members, is_conflict=True)
            beside = self.here.placed.get(members)
            if sha256 in self.left or (beside is not None and beside.sha256 == sha256):
                yield Unlink(source)
            elif beside is None or beside.sha256 in self.left:
                # What Syncthing let win is old, or a deletion: the copy is what counts.
                if sha256 in self.heads or (beside is None and not copy.busy):
                    yield Put(source, members, beside.sha256 if beside is not None else None)
                elif not copy.busy and current is not None:
                    yield KeepBoth(source, current)
            elif current is not None and sha256 != current and not copy.busy:
                yield KeepBoth(source, current)

    # -- the keep

    def _tidy_keep(self) -> Iterable[Action]:
        in_place = self.in_place.sha256 if self.in_place is not None else None
        current = self._current()
        for sha256 in sorted(self.here.kept):
            if self.am_holder:
                if in_place not in self.heads:
                    continue
                if sha256 == in_place or sha256 in self.left:
                    yield Drop(sha256, is_version=sha256 != in_place)
                elif sha256 in self.heads and current is not None:
                    yield KeepBoth(Source(sha256), current)
                elif sha256 in self.here.long_kept:
                    # Whatever took its place had it: a step between two edits that were stated as one.
                    yield Drop(sha256, is_version=True)
            elif self._is_safe(sha256) or (sha256 in self.here.long_kept and self.proven):
                yield Drop(sha256, is_version=sha256 not in self.heads)
            elif sha256 in self.heads and self.proven and current is not None:
                yield KeepBoth(Source(sha256), current)

    def _tidy_edits(self) -> Iterable[Action]:
        current = self._current()
        for sha256 in sorted(self.here.edits):
            if sha256 in self.left or sha256 in self.held_elsewhere:
                yield DropEdit(sha256)
            elif sha256 in self.heads and current not in (None, sha256) and self._may_judge():
                yield KeepBoth(Source(sha256), str(current))
