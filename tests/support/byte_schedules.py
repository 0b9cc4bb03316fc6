"""Random schedules for `sync.machine`: nodes, their facts, and a model of Syncthing with its real faults.

Each node has facts it has read, files in the folders of sets, a keep, and a Syncthing
that scans when it happens to and pulls when it happens to. What the model keeps of
Syncthing, as observed (sync.md):

- a version vector for each file of a folder; a deletion is a newer version
- what a pull replaces or deletes goes to the node's trash can, here: its keep
- two changes at once: the later mtime wins, the loser becomes a conflict copy that is sent
  to all; with three at once one can be lost without a trace
- a change against a deletion: in 1.x the change wins, in 2.x the newer of the two
- a local change that was not scanned is scanned before anything is pulled over it

Facts travel by ledger, each node's in order, each at its own pace. Now and then the end of a
ledger is gone after a power cut; whoever has read it vouches for it. The actions that
`decide` returns are done one at a time, in any order, any of them or none, so that every
crash between two of them is among the schedules.

`World.problem` says what is wrong, after every step: accepted bytes that exist nowhere.
`World.settle` lets everybody talk until nothing changes; `World.unsettled` says where the
outcome is not what the facts ask for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from sync import machine
from sync.contents import contents_of
from sync.machine import Copy, Here, Members, Proof, Source, Wanted
from sync.placing import wanted_of
from tagfs.conflict import copy_guid
from tagfs.fact import Content, Fact, Made, Purge
from tagfs.merge import FileState
from tagfs.stamp import Clock, when_of

FIRST = "f" * 8 + "-0000-4000-8000-000000000000"
LOST_IN_THREE = 0.5
Decide = Callable[..., list[machine.Action]]


def guid_of_node(number: int) -> str:
    return f"{number + 1:08x}-0000-4000-8000-000000000000"


@dataclass
class Entry:
    """What a node's Syncthing knows of a name in a folder."""

    version: dict[str, int]
    sha256: str | None
    mtime: int
    by: str

    def copy(self) -> Entry:
        return Entry(dict(self.version), self.sha256, self.mtime, self.by)


def newer(a: dict[str, int], b: dict[str, int]) -> bool:
    """Whether version a has everything of b."""
    return all(a.get(node, 0) >= count for node, count in b.items())


Name = tuple[str, str]
"""(GUID, "" or the hash of a conflict copy)."""


@dataclass
class Node:
    guid: str
    clock: Clock
    skew_ms: int
    facts: list[Fact] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)
    states: dict[str, FileState] = field(default_factory=dict)
    disk: dict[tuple[Members, Name], tuple[str, int, bool]] = field(default_factory=dict)
    """(hash, mtime, written by a hand)."""
    known: dict[tuple[Members, Name], Entry] = field(default_factory=dict)
    last: dict[tuple[Members, str], str] = field(default_factory=dict)
    kept: dict[str, set[str]] = field(default_factory=dict)
    edits: dict[str, set[str]] = field(default_factory=dict)
    proofs: dict[str, set[Proof]] = field(default_factory=dict)
    """Own proofs, by file."""
    heard: dict[str, dict[str, set[Proof]]] = field(default_factory=dict)
    """Prover -> what was last read of theirs."""
    gone: set[str] = field(default_factory=set)
    """The nodes of which it has read that they were forgotten."""
    durable: int = 0
    """So many of the facts are on the disk for good: what is done after them relies on that."""
    behind: set[str] = field(default_factory=set)
    """Stamps of own facts that others have read and this node's ledger has lost: until they are back it rests."""

    wants: dict[str, Wanted] = field(default_factory=dict)
    """What follows from the facts, by file, until another one comes."""

    def guids(self) -> set[str]:
        """The files of which bytes are on its disk."""
        return {name[0] for _, name in self.disk} | self.kept.keys() | self.edits.keys()

    def add(self, fact: Fact) -> None:
        if fact.node is not None:
            self.gone.add(fact.node)
            self.wants.clear()
            return
        assert fact.file is not None
        self.states.setdefault(fact.file, FileState(fact.file)).add(fact)
        self.wants.pop(fact.file, None)

    def wanted(self, guid: str, names: Sequence[str]) -> Wanted:
        """What its facts say about a file."""
        if guid not in self.wants:
            self.wants[guid] = wanted_of(self.states[guid], names, self.gone)
        return self.wants[guid]


class World:
    """Nodes and what happens between them."""

    def __init__(
        self,
        seed: int,
        nodes: int,
        *,
        newest_wins: bool = False,
        min_copies: int = 1,
        decide: Decide = machine.decide,
        edits_kept: bool = True,
        keeps: bool = True,
        rests: bool = True,
    ) -> None:
        self.random = random.Random(seed)
        self.newest_wins = newest_wins
        self.min_copies = min_copies
        self.decide = decide
        self.edits_kept = edits_kept
        self.keeps = keeps
        self.rests = rests
        self.now_ms = 1_800_000_000_000
        self.nodes = [
            Node(guid_of_node(n), Clock(guid_of_node(n)[:8], 0), self.random.choice((0, 0, -40_000, 90_000)))
            for n in range(nodes)
        ]
        self.names = [node.guid for node in self.nodes]
        self.written = 0
        self.accepted: dict[str, str | None] = {}
        """Every content a hand wrote -> the content it stood on."""
        self.replaced: set[str] = set()
        """What hands replaced, knowing it."""
        self.purged: set[str] = set()
        self.unspoken: set[str] = set()
        """Deleted by a hand before lyts had looked at them: an earlier version is what is left."""
        self.log: list[str] = []
        self.ghosts: list[Node] = []
        """The nodes that were forgotten: what others have of their ledgers goes on being passed on."""
        self.lost: set[str] = set()
        """What was nowhere but on those."""

    # -- facts

    def forget(self, node: Node, lost: Node) -> None:
        """Somebody at this node says that another is out of the library; its disk is gone with it."""
        self.nodes.remove(lost)
        lost.facts = lost.facts[: max(other.read.get(lost.guid, 0) for other in self.nodes)]
        self.ghosts.append(lost)
        self.lost |= set(self.accepted) - self.everywhere()
        at = node.clock.tick(self.now_ms + node.skew_ms, 0)
        fact = Fact(at=at, by=node.guid, node=lost.guid, gone=True)
        node.facts.append(fact)
        node.add(fact)
        self.log.append(f"{node.guid[7]} forgets {lost.guid[7]}")

    def say(self, node: Node, guid: str, **statements: object) -> Fact:
        state = node.states.get(guid)
        newest = state.newest() if state is not None else ""
        after = 0
        if newest:
            after = when_of(newest)
        at = node.clock.tick(self.now_ms + node.skew_ms, after)
        fact = Fact(at=at, by=node.guid, file=guid, **statements)  # type: ignore[arg-type]
        node.facts.append(fact)
        node.add(fact)
        return fact

    def deliver(self, owner: Node, reader: Node, count: int | None = None) -> bool:
        """The reader reads on in the owner's ledger."""
        at = reader.read.get(owner.guid, 0)
        end = len(owner.facts) if count is None else min(len(owner.facts), at + count)
        owner.durable = max(owner.durable, end)
        for fact in owner.facts[at:end]:
            reader.add(fact)
            reader.behind.discard(fact.at)
            reader.clock.observe(when_of(fact.at), self.now_ms + reader.skew_ms)
        reader.read[owner.guid] = end
        return end > at

    def hear(self, prover: Node, reader: Node) -> bool:
        """The reader reads the prover's proofs, as they are now."""
        said = {guid: set(proofs) for guid, proofs in prover.proofs.items()}
        if reader.heard.get(prover.guid, {}) == said:
            return False
        reader.heard[prover.guid] = said
        return True

    def cut_power(self, node: Node, count: int) -> None:
        """The last facts of a node's ledger are gone: those that were not on the disk yet, or (a disk that
        lies) any that others have read. Those vouch for them, and the node does nothing before they are back.
        """
        read = max((other.read.get(node.guid, 0) for other in self.nodes if other is not node), default=0)
        cut = max(len(node.facts) - count, node.durable if node.durable > read else 0)
        if cut >= len(node.facts):
            return
        for reader in self.nodes:
            if reader is not node and reader.read.get(node.guid, 0) > cut:
                there = {fact.at for fact in reader.facts}
                lost = node.facts[cut : reader.read[node.guid]]
                reader.facts.extend(fact for fact in lost if fact.at not in there)
                reader.durable = len(reader.facts)
                reader.read[node.guid] = cut
                node.behind.update(fact.at for fact in lost)
        self.log.append(
            f"{node.guid[7]} loses {len(node.facts) - cut} facts, {len(node.behind)} of them read by others"
        )
        del node.facts[cut:]
        node.durable = min(node.durable, cut)
        node.states.clear()
        node.wants.clear()
        for owner in self.nodes:
            for fact in owner.facts[: len(owner.facts) if owner is node else node.read.get(owner.guid, 0)]:
                node.add(fact)
                node.behind.discard(fact.at)

    # -- bytes: what a hand does

    def create(self, node: Node, holds: Iterable[str]) -> None:
        """A file is made, to be held by these nodes (by its maker first of all where that is not among them)."""
        holders = frozenset(holds)
        sha256 = self._new_bytes(None)
        self._write(node, holders if node.guid in holders else holders | {node.guid}, (FIRST, ""), sha256)
        self.say(
            node,
            FIRST,
            made=Made(name="f", data="ff/f"),
            content=Content(sha256=sha256, size_bytes=1, modified="2026-01-01T00:00:00Z"),
            holds={name: name in holders for name in self.names},
        )
        node.durable = len(node.facts)

    def _new_bytes(self, was: str | None) -> str:
        self.written += 1
        sha256 = f"{self.written:064x}"
        self.accepted[sha256] = was
        if was is not None:
            self.replaced.add(was)
        return sha256

    def _write(self, node: Node, members: Members, name: Name, sha256: str, mtime: int | None = None) -> None:
        self.now_ms += 1
        node.disk[members, name] = (sha256, self.now_ms + node.skew_ms if mtime is None else mtime, mtime is None)

    def edit(self, node: Node, members: Members | None = None) -> None:
        """A hand changes a copy in some folder of the node (in that of this set), in place or not."""
        places = [key for key in node.disk if not key[1][1] and members in (None, key[0])]
        if not places:
            return
        members, name = self.random.choice(places)
        was = node.disk[members, name][0]
        sha256 = self._new_bytes(was)
        self._write(node, members, name, sha256)
        self.log.append(f"{node.guid[7]} edits {_text(members)} {was[-2:]} -> {sha256[-2:]}")

    def touch(self, node: Node) -> None:
        """The mtime of a copy changes, its bytes do not."""
        places = [key for key in node.disk if not key[1][1]]
        if places:
            key = self.random.choice(places)
            self._write(node, *key, node.disk[key][0])
            self.log.append(f"{node.guid[7]} touches {_text(key[0])}")

    def delete_beneath(self, node: Node) -> None:
        """A hand deletes a copy in its place, without a fact, while all other holders have theirs.

        What the only holder deletes beneath after it has proven to have it nobody can bring back.
        """
        state = node.states.get(FIRST)
        if state is None:
            return
        holds = wanted_of(state, self.names).holds
        key = holds, (FIRST, "")
        if key not in node.disk:
            return
        sha256 = node.disk[key][0]
        others = [other for other in self.nodes if other.guid in holds and other is not node]
        if others and all(other.disk.get(key, ("",))[0] == sha256 for other in others):
            del node.disk[key]
            if not any(state.contents and sha256 in contents_of(state).heads for state in self._all_states()):
                self.unspoken.add(sha256)
            self.log.append(f"{node.guid[7]} deletes beneath {_text(holds)}")

    def _all_states(self) -> Iterable[FileState]:
        return (state for node in self.nodes for state in node.states.values())

    def wish(self, node: Node) -> None:
        """Somebody at this node wants a node to hold the file, or not to."""
        state = node.states.get(FIRST)
        if state is None or state.made is None:
            return
        holds = wanted_of(state, self.names).holds
        whom = self.random.choice([name for name in self.names if name not in node.gone])
        yes = whom not in holds
        living = holds - node.gone
        if not living or (not yes and living == {whom}):
            return
        self.say(node, FIRST, holds={whom: yes})
        self.log.append(f"{node.guid[7]} wishes {'restore' if yes else 'reduce'} {whom[7]}")

    def purge(self, node: Node) -> None:
        """Somebody ends the file for good, with all that this node knows of it."""
        state = node.states.get(FIRST)
        if state is None or state.made is None or state.is_purged():
            return
        content = sorted({content.sha256 for content in state.contents.values()})
        self.say(node, FIRST, purge=Purge(content=content, seen=dict(state.latest)))
        self.purged.update(content)
        self.log.append(f"{node.guid[7]} purges")

    # -- Syncthing

    def scan(self, node: Node, key: tuple[Members, Name]) -> bool:
        """Syncthing notices what changed on the disk."""
        on_disk = node.disk.get(key)
        known = node.known.get(key)
        if on_disk is None:
            if known is None or known.sha256 is None:
                return False
            node.known[key] = Entry(_raised(known.version, node.guid), None, self.now_ms + node.skew_ms, node.guid)
            return True
        sha256, mtime, _ = on_disk
        if known is not None and (known.sha256, known.mtime) == (sha256, mtime):
            return False
        version = _raised(known.version if known is not None else {}, node.guid)
        node.known[key] = Entry(version, sha256, mtime, node.guid)
        return True

    def scan_all(self, node: Node) -> bool:
        changed = False
        for key in sorted({*node.disk, *node.known}, key=_sorted):
            changed |= self.scan(node, key)
        return changed

    def pull(self, giver: Node, taker: Node, key: tuple[Members, Name]) -> bool:
        """The taker hears of the giver's version of one name."""
        members, name = key
        theirs = giver.known.get(key)
        if theirs is None or giver.guid not in members or taker.guid not in members:
            return False
        self.scan(taker, key)
        ours = taker.known.get(key)
        if ours is None or newer(theirs.version, ours.version):
            if ours is not None and ours.version == theirs.version:
                return False
            self._take(taker, key, theirs.copy())
            return True
        if newer(ours.version, theirs.version):
            return False
        merged = {n: max(ours.version.get(n, 0), theirs.version.get(n, 0)) for n in {*ours.version, *theirs.version}}
        if ours.sha256 == theirs.sha256:
            ours.version = merged
            return True
        if not self._wins(theirs, ours):
            return False
        conflict = ours.sha256 is not None and (theirs.sha256 is not None or self.newest_wins)
        if conflict and ours.sha256 is not None:
            if not self._loses_one(ours.sha256, {*ours.version, *theirs.version}):
                beside = members, (name[0], ours.sha256)
                taker.disk[beside] = (ours.sha256, ours.mtime, False)
            taker.disk.pop(key, None)
        taken = theirs.copy()
        taken.version = merged
        self._take(taker, key, taken)
        return True

    def _loses_one(self, sha256: str, changed_by: set[str]) -> bool:
        """Whether this conflict is one of those of three that leave no copy of the loser.

        Only of bytes whose maker has had the time to look at them: against the others nothing helps.
        """
        stated = any(sha256 in {c.sha256 for c in s.contents.values()} for n in self.nodes for s in n.states.values())
        return len(changed_by) > 2 and stated and self.random.random() < LOST_IN_THREE

    def _wins(self, theirs: Entry, ours: Entry) -> bool:
        if not self.newest_wins and (theirs.sha256 is None) != (ours.sha256 is None):
            return theirs.sha256 is not None
        return (theirs.mtime, theirs.by, theirs.sha256 or "") > (ours.mtime, ours.by, ours.sha256 or "")

    def _take(self, node: Node, key: tuple[Members, Name], entry: Entry) -> None:
        replaced = node.disk.pop(key, None)
        if entry.sha256 is not None:
            node.last.pop((key[0], key[1][0]), None)  # until lyts has read what came
        if replaced is not None and replaced[0] != entry.sha256 and self.keeps:
            node.kept.setdefault(key[1][0], set()).add(replaced[0])
        if entry.sha256 is not None:
            node.disk[key] = (entry.sha256, entry.mtime, False)
        node.known[key] = entry

    # -- what lyts does

    def here(self, node: Node, guid: str, silent: bool = False) -> Here:
        placed: dict[Members, Copy] = {}
        conflicts: dict[tuple[Members, str], Copy] = {}
        for (members, name), (sha256, _, by_hand) in node.disk.items():
            if name[0] != guid:
                continue
            known = node.known.get((members, name))
            scanned = known is not None and known.sha256 == sha256
            by_me = by_hand if not scanned else known is not None and known.by == node.guid
            was = node.last.get((members, guid))
            if was is None and (known is None or set(known.version) <= {node.guid}):
                # Nothing was ever pulled here: it stood on what the file was born with, if no fact says more.
                stated = {content.sha256 for content in node.states[guid].contents.values()}
                was = min(stated) if len(stated) == 1 else None
            copy = Copy(sha256, by_me, was=was, silent=silent)
            if name[1]:
                conflicts[members, sha256] = copy
            else:
                placed[members] = copy
        kept = node.kept.get(guid, set())
        return Here(placed, conflicts, kept, kept if silent else (), node.edits.get(guid, set()))

    def options(self, node: Node, guid: str, silent: bool = False) -> list[machine.Action]:
        """What the node may do now about a file."""
        state = node.states.get(guid)
        if state is None or (node.behind and self.rests):
            return []
        here = self.here(node, guid, silent)
        wanted = node.wanted(guid, self.names)
        for members, copy in here.placed.items():
            if wanted.contents.is_known(copy.sha256):
                node.last[members, guid] = copy.sha256
        here = here._replace(
            beside=[sha for sha in machine.left_here(wanted, here) if self._is_to_come(node, guid, sha)]
        )
        return self.decide(node.guid, wanted, here, self._proofs(node, guid), self.min_copies)

    def _proofs(self, node: Node, guid: str) -> set[Proof]:
        """What a node has proven of a file, and what it has heard that others have."""
        proofs = set(node.proofs.get(guid, ()))
        for heard in node.heard.values():
            proofs |= heard.get(guid, set())
        return proofs

    def _is_to_come(self, node: Node, guid: str, sha256: str) -> bool:
        other = copy_guid(guid, sha256)
        if other not in node.states:
            return False
        return machine.is_to_come(node.guid, node.wanted(other, self.names), self.here(node, other), sha256)

    def do(self, node: Node, guid: str, action: machine.Action) -> None:
        """Carry out one action, as the daemon would."""
        self.log.append(f"{node.guid[7]} {guid[:2]} {_action(action)}")
        node.durable = len(node.facts)
        state = node.states[guid]
        if isinstance(action, machine.StateContent):
            if self.edits_kept:
                node.edits.setdefault(guid, set()).add(action.sha256)
            content = Content(
                sha256=action.sha256, size_bytes=1, modified="2026-01-01T00:00:00Z", was=action.was or None
            )
            self.say(node, guid, content=content)
        elif isinstance(action, machine.Put):
            standing = node.disk.get((action.members, (guid, "")))
            if (standing[0] if standing else None) != action.replaces:
                return
            if standing is not None:
                node.kept.setdefault(guid, set()).add(standing[0])
            node.disk[action.members, (guid, "")] = (
                action.source.sha256,
                self._mtime(action.source.sha256),
                False,
            )
            node.last.pop((action.members, guid), None)
        elif isinstance(action, machine.Prove):
            # Nodes take proofs back that nobody waits for; here none is, so that old ones turn up late.
            node.proofs.setdefault(guid, set()).add(Proof(node.guid, action.sha256, action.members, action.digest))
        elif isinstance(action, machine.Unlink):
            self._unlink(node, guid, action.source, keep=self.keeps)
        elif isinstance(action, machine.Hold):
            self.say(node, guid, holds={**dict.fromkeys(action.instead, False), node.guid: True})
        elif isinstance(action, machine.HandOver):
            node.kept.setdefault(copy_guid(guid, action.source.sha256), set()).add(action.source.sha256)
        elif isinstance(action, machine.Drop):
            relies = self._relies_on_the_lost(node, guid, action)
            node.kept[guid].discard(action.sha256)
            if relies and action.sha256 not in self.everywhere():
                self.lost.add(action.sha256)
        elif isinstance(action, machine.DropEdit):
            node.edits[guid].discard(action.sha256)
        elif isinstance(action, machine.Remove):
            self._unlink(node, guid, action.source, keep=False)
            if action.source.members is None:
                node.kept.get(guid, set()).discard(action.source.sha256)
                node.edits.get(guid, set()).discard(action.source.sha256)
        else:
            self._keep_both(node, guid, state, action)

    def _relies_on_the_lost(self, node: Node, guid: str, action: machine.Action) -> bool:
        """Whether this is done only on what others have proven whose end the node has not read of yet.

        They proved it while they had it; where one copy is enough, nobody can know that it is gone with them.
        """
        unread = {ghost.guid for ghost in self.ghosts} - node.gone
        if not unread:
            return False
        wanted = node.wanted(guid, self.names)
        knowing = wanted._replace(gone=wanted.gone | unread)
        return action not in self.decide(node.guid, knowing, self.here(node, guid), self._proofs(node, guid), 1)

    @staticmethod
    def _mtime(sha256: str) -> int:
        # A link has the mtime of what it is a link of; in the keep likewise. The model takes the hash's own.
        return 1_700_000_000_000 + int(sha256, 16)

    def _unlink(self, node: Node, guid: str, source: Source, keep: bool) -> None:
        if source.members is None:
            return
        key = source.members, (guid, source.sha256 if source.is_conflict else "")
        found = node.disk.get(key)
        if found is not None and found[0] == source.sha256:
            if keep:
                node.kept.setdefault(guid, set()).add(source.sha256)
            del node.disk[key]
            if not source.is_conflict:
                node.last.pop((source.members, guid), None)

    def _put_new(self, node: Node, members: Members, guid: str, sha256: str) -> None:
        node.disk.setdefault((members, (guid, "")), (sha256, self._mtime(sha256), False))

    def _keep_both(self, node: Node, guid: str, state: FileState, action: machine.KeepBoth) -> None:
        sha256 = action.source.sha256
        other = copy_guid(guid, sha256)
        holds = wanted_of(state, self.names).holds
        members = holds if node.guid in holds else holds | {node.guid}
        self._put_new(node, members, other, sha256)
        old = node.states.get(other)
        if old is None or old.made is None:
            modified = "2026-01-01T00:00:00Z"
            self.say(
                node,
                other,
                made=Made(name="f2", data="ff/f2"),
                content=Content(sha256=sha256, size_bytes=1, modified=modified),
                holds={name: name in holds for name in self.names},
            )
        content = Content(sha256=action.current, size_bytes=1, modified="2026-01-01T00:00:00Z", was=sha256)
        self.say(node, guid, content=content)
        node.durable = len(node.facts)  # before a hand can come to know the new file

    # -- what must hold

    def everywhere(self, guids: Collection[str] | None = None) -> set[str]:
        """The hashes of all bytes (of these files) that there are."""
        found: set[str] = set()
        for node in self.nodes:
            found.update([placed[0] for (_, name), placed in node.disk.items() if guids is None or name[0] in guids])
            for bag in (node.kept, node.edits):
                for guid, hashes in bag.items():
                    if guids is None or guid in guids:
                        found |= hashes
        return found

    def problem(self) -> str | None:
        """Accepted bytes that nothing replaced and that are nowhere."""
        missing = self.accepted.keys() - self.replaced - self.purged - self.unspoken - self.lost - self.everywhere()
        return f"bytes {sorted(sha[-2:] for sha in missing)} are nowhere" if missing else None

    def settle(self, among: Sequence[Node] = ()) -> str | None:
        """Everybody (or these) talks and acts until nothing changes."""
        nodes = among or self.nodes
        silent = False
        for _ in range(120):
            changed = False
            for node in nodes:
                changed |= self.scan_all(node)
            for ghost in self.ghosts:
                for reader in nodes:
                    changed |= self.deliver(ghost, reader)
            for giver in nodes:
                for taker in nodes:
                    if giver is not taker:
                        changed |= self.deliver(giver, taker)
                        for key in sorted(giver.known, key=_sorted):
                            changed |= self.pull(giver, taker, key)
                        changed |= self.hear(giver, taker)
            for node in nodes:
                for guid in sorted(node.states):
                    for action in self.options(node, guid, silent):
                        self.do(node, guid, action)
                        changed = True
            found = self.problem()
            if found is not None or (silent and not changed):
                return found
            silent = silent or not changed
        return "no rest: somebody always finds something to do"

    def unsettled(self) -> str | None:
        """What is not as the facts ask, after everybody talked."""
        guids = {guid for node in self.nodes for guid in node.states}
        if self.ghosts and all(state.made is None for state in self._all_states()):
            return None  # nobody who is left has heard of the file
        contents: set[str] = set()
        born = {state.guid for state in self._all_states() if state.made is not None}
        within_reach = self.everywhere(born)
        for guid in sorted(guids):
            states = [node.states.get(guid) for node in self.nodes]
            if any(state is None or state != states[0] for state in states):
                return f"{guid[:2]}: the nodes know different facts"
            state = states[0]
            assert state is not None
            wanted = wanted_of(state, self.names, self.nodes[0].gone)
            if wanted.purged:
                left = [node.guid[7] for node in self.nodes if any(self.here(node, guid)[:3])]
                if left:
                    return f"{guid[:2]}: it was ended, and is still on {left}"
                continue
            heads = contents_of(state).heads
            contents.update(heads)
            if self.purged.intersection(heads):
                continue  # what somebody added without knowing of its end brought it back, its bytes it cannot
            if self.ghosts and not within_reach.issuperset(heads):
                continue  # what is left of it is older, and stays where it is
            heads = tuple(head for head in heads if head in within_reach or head not in self.replaced)
            if len(heads) != 1:
                return f"{guid[:2]}: {len(heads)} contents count"
            for node in self.nodes:
                here = self.here(node, guid)
                want = {wanted.holds} if node.guid in wanted.holds else set()
                if set(here.placed) != want:
                    return (
                        f"{guid[:2]}: on {node.guid[7]} in {[_text(m) for m in here.placed]}, not {_text(wanted.holds)}"
                    )
                if any(copy.sha256 != heads[0] for copy in here.placed.values()):
                    return f"{guid[:2]}: other bytes on {node.guid[7]}"
                if here.conflicts:
                    return f"{guid[:2]}: conflict copies left on {node.guid[7]}"
                if here.kept:
                    return f"{guid[:2]}: {sorted(k[-2:] for k in here.kept)} left in the keep of {node.guid[7]}"
        lost = self.accepted.keys() - self.replaced - self.purged - self.unspoken - self.lost - contents
        if self.ghosts:
            # Of a file whose maker was forgotten before anybody had read of it the bytes stay, for `fsck` to name.
            lost -= self.everywhere({guid for node in self.nodes for guid in node.guids()} - born)
        return f"{sorted(sha[-2:] for sha in lost)} are no file's content" if lost else None


def _raised(version: dict[str, int], node: str) -> dict[str, int]:
    return {**version, node: version.get(node, 0) + 1}


@lru_cache(maxsize=4096)
def _sorted(key: tuple[Members, Name]) -> tuple[list[str], Name]:
    return sorted(key[0]), key[1]


def _text(members: Members) -> str:
    return "{" + "".join(sorted(name[7] for name in members)) + "}"


def _action(action: machine.Action) -> str:
    parts = []
    for value in action:
        if isinstance(value, frozenset):
            parts.append(_text(value))
        elif isinstance(value, Source):
            where = "keep" if value.members is None else _text(value.members)
            parts.append(f"{value.sha256[-2:]}@{where}{'!' if value.is_conflict else ''}")
        elif isinstance(value, str):
            parts.append(value[-2:])
        else:
            parts.append(str(value))
    return f"{type(action).__name__} {' '.join(parts)}"


def run(seed: int, nodes: int, steps: int, *, forgets: bool = False, **options: object) -> tuple[str | None, World]:
    """One schedule. Returns what went wrong, None where nothing did, and the world for its log.

    Args:
        forgets: at some step one of the nodes, three at least, is forgotten.
    """
    chooser = random.Random(seed * 7 + nodes)
    world = World(seed, nodes, newest_wins=chooser.random() < 0.5, min_copies=chooser.choice((1, 1, 2)), **options)  # type: ignore[arg-type]
    pick = world.random
    count = pick.randint(1, nodes)
    world.create(world.nodes[0], pick.sample(world.names, count))
    purges = chooser.random() < 0.1
    wishes, edits = chooser.choice(((0.25, 0.0), (0.12, 0.0), (0.1, 0.04), (0.02, 0.15)))
    forget_at = chooser.randrange(steps) if forgets else -1
    has_accidents = not forgets and chooser.random() < 0.15
    for step in range(steps):
        if step == forget_at:
            world.forget(*chooser.sample(world.nodes, 2))
        node, other = pick.sample(world.nodes, 2)
        if has_accidents and chooser.random() < 0.04:
            world.cut_power(chooser.choice(world.nodes), chooser.randint(1, 4))
        what = pick.random()
        if what < wishes:
            world.wish(node)
        elif what < wishes + edits:
            world.edit(node)
        elif what < wishes + edits + 0.005:
            world.touch(node)
        elif what < wishes + edits + 0.01:
            if purges:
                world.purge(node)
            else:
                world.delete_beneath(node)
        elif what < wishes + edits + 0.2:
            for owner in world.nodes + world.ghosts:
                if owner is not node and pick.random() < 0.7:
                    world.deliver(owner, node, pick.choice((None, None, None, 1)))
                    if pick.random() < 0.8 and owner not in world.ghosts:
                        world.hear(owner, node)
        elif what < wishes + edits + 0.27:
            for key in sorted({*node.disk, *node.known}, key=_sorted):
                if pick.random() < 0.6:
                    world.scan(node, key)
        elif what < wishes + edits + 0.42:
            for key in sorted(node.known, key=_sorted):
                world.pull(node, other, key)
        elif node.states:
            guid = pick.choice(sorted(node.states))
            choices = world.options(node, guid)
            pick.shuffle(choices)
            for action in choices[: pick.choice((1, 1, 9))]:
                world.do(node, guid, action)
        found = world.problem()
        if found is not None:
            return found, world
    return world.settle() or world.unsettled(), world
