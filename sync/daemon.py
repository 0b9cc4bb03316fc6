"""The daemon: keeps what Syncthing does and what facts want the same, for ever.

Nothing is remembered that the disk and the ledgers do not say, so it may be ended or
killed at any point and started again. A round is short:

1. take in what arrived in the ledgers (the index does, `Store.catch_up_if_behind`)
2. nodes and sets that changed: Syncthing's devices and folders follow (`shares`)
3. own ledgers that grew are made durable, and Syncthing told to look at them
4. each file that something happened to is looked at (`looking`), decided about (`machine`)
   and dealt with (`hands`)
5. who waits for proofs and what was proven here is written down (`proofs`)

Events wake it; everything is looked through once at the start, and again whenever
Syncthing was started anew, since what happened meanwhile is in no event.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from pyroaring import BitMap

from sync import proofs
from sync.agenda import Agenda
from sync.faces import Faces
from sync.fixed import fix
from sync.flow import Flow
from sync.hands import Hands
from sync.looking import Looked, Looking
from sync.machine import HandOver, Here, Members, Proof, Prove, Put, Wanted, decide, is_to_come, left_here
from sync.mending import make_marker_again, mend_copies
from sync.myself import note_alias
from sync.nodes import NodeInfo, Trusted, nodes_of, to_fix, trusted_nodes
from sync.patience import Patience
from sync.placing import wanted_of
from sync.proofs import Home, divided, home_for
from sync.reconciling import compare
from sync.relabelling import relabel
from sync.shares import Myself, devices_of_nodes, shares
from sync.sharing import share
from sync.shelves import Shelves, guid_in
from sync.starting import Standing, next_step
from sync.stock import Stock
from sync.syncthing.client import Syncthing
from sync.syncthing.config import FolderConfig
from sync.syncthing.errors import FolderNotKnown, FolderPaused, FolderStopped, NotReachable, SyncthingError
from sync.syncthing.folders import is_data_id, is_ledger_id, ledger_folder_id
from sync.syncthing.records import Event
from tagfs.change import Change
from tagfs.conflict import copy_guid
from tagfs.durable import sync_paths
from tagfs.errors import LytsError, StoreError
from tagfs.glossary import SET_THING
from tagfs.guid import guid_of_bytes
from tagfs.index.positions import known_segments, newest_of
from tagfs.layout import make_folder
from tagfs.ledger import segments_in
from tagfs.merge import FileState
from tagfs.nodeset import label, set_id
from tagfs.place import NodeSet, node_sets
from tagfs.placement import MOST_COPIES, read_settings
from tagfs.recovery.background import Attendant
from tagfs.seen import FILE_NAME as SEEN_FILE
from tagfs.seen import read_seen, seen_by_others, who_saw_more
from tagfs.store import Store

log = logging.getLogger(__name__)

WATCHED = ("ItemFinished", "LocalIndexUpdated", "RemoteIndexUpdated", "FolderCompletion", "DeviceConnected")
AT_ONCE = 500
LOOK_S = 0.25
RECONCILE_MS = 300_000
GUID_DIGITS = 36
"""The id of a ledger's folder ends with the GUID of the node that writes it."""
EVENTS_WAIT_S = 30.0


class Daemon:
    """One node at work. `run` is the loop; `round` does one turn of it."""

    def __init__(
        self,
        store: Store,
        syncthing: Syncthing,
        device: str,
        wall_ns: Callable[[], int] = time.time_ns,
        *,
        min_copies: int | None = None,
        tell: Callable[[str], None] = lambda problem: None,
        when_settled: Callable[[], None] = lambda: None,
    ) -> None:
        """Args:
        device: the id of this node's own device.
        min_copies: None for what the store's settings say, read anew as they change.
        tell: told after each round what went wrong, "" for nothing.
        when_settled: called whenever this node's own ledgers have turned out to be whole; may state facts.
        """
        self._store = store
        self._syncthing = syncthing
        self._device = device
        self._wall_ns = wall_ns
        self._min_copies = min_copies
        self._stock = Stock(os.path.join(store.layout.root, "sync.db"))
        info = store.info
        self._me = Myself(store.node, info.alias, info.library, info.ledger_folder, device)
        self._agenda = Agenda()
        self._odd: set[str] = set()
        """Files of which more is here than what is in place: conflict copies, kept bytes."""
        self._proofs: dict[str, set[Proof]] = {}
        self._waits: dict[str, str] = {}
        self._heard: dict[str, tuple[tuple[int, int, int], proofs.Said]] = {}
        self._nodes: dict[str, NodeInfo] = {}
        self._gone: frozenset[str] = frozenset()
        """Those of the nodes that were forgotten."""
        self._trusted: dict[str, Trusted] = {}
        self._connected: frozenset[str] = frozenset()
        self._patience = Patience(store.node)
        self._sets: list[NodeSet] = []
        self._shelves = Shelves(store.layout, {})
        self._ledger_paths: dict[str, str] = {}
        """Path -> GUID of the owner of the ledger folders that others have, open ones and those for sets."""
        self._homes: dict[str, Home] = {}
        """Where what is proven of a file may be said, for those that somebody is kept from."""
        self._own_ledgers: dict[str, str] = {}
        """Id -> path of the folders of this node's own ledgers: the open one, and those for sets."""
        self._set_ledgers: dict[str, str] = {}
        """Id -> GUID of the owner of those that others have for a set."""
        self._faces = Faces(store)
        self._told = -1
        self._pushed: dict[str, tuple[int, int]] = {}
        self._reconciled_ms = -RECONCILE_MS
        self._events: queue.SimpleQueue[list[Event] | None] = queue.SimpleQueue()
        self._settled = False
        self._flow = Flow()
        self._began_ms = wall_ns() // 1_000_000
        self._refused = False
        self._calm_since_ms: int | None = None
        self._tell = tell
        self._when_settled = when_settled
        self._problem = ""
        self._stuck: dict[str, str] = {}
        """GUID -> what is wrong, of files that could not be dealt with."""
        self._pages = Attendant(store.layout.root, os.environ)
        self._arrived = 0
        """Events about data, in all: bytes that came or went without a fact."""

    # -- the loop

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""
        listener = threading.Thread(target=self._listen, args=(stop,), name="lyts-events", daemon=True)
        listener.start()
        while not stop.is_set():
            try:
                events = self._wait()
                self.round(events)
                self._went(next(iter(self._stuck.values()), ""))
                self._pages.tick((self._told, self._arrived), time.monotonic_ns())
            except SyncthingError as exc:
                self._went(f"Syncthing: {exc}")
                stop.wait(1.0)
            except (LytsError, OSError) as exc:
                self._went(str(exc), exc)
                stop.wait(1.0)

    def _went(self, problem: str, exc: Exception | None = None) -> None:
        """How a round went; the same problem is logged once."""
        if problem and problem != self._problem:
            log.error("to be tried again: %s", problem, exc_info=exc)
        self._problem = problem
        self._tell(problem)

    def close(self) -> None:
        self._pages.finish()
        self._stock.close()

    def _wait(self) -> list[Event]:
        if len(self._agenda):
            timeout = 0.0
        else:
            timeout = LOOK_S
        found: list[Event] = []
        try:
            got = self._events.get(timeout=timeout) if timeout else self._events.get_nowait()
            while True:
                if got is None:
                    self._begin_anew()
                else:
                    found.extend(got)
                got = self._events.get_nowait()
        except queue.Empty:
            return found

    def _begin_anew(self) -> None:
        """Syncthing was started: events are missing, and its folders came up quiet (`syncthing.home`)."""
        self._reconciled_ms = -RECONCILE_MS
        self._pushed.clear()
        self._settled = self._refused = False
        self._flow = Flow()
        self._calm_since_ms = None
        self._began_ms = self._wall_ns() // 1_000_000
        self._told = -1

    def _listen(self, stop: threading.Event) -> None:
        since, began = 0, ""
        while not stop.is_set():
            try:
                now_began = self._syncthing.status().start_time
                if now_began != began:
                    since, began = 0, now_began
                    self._events.put(None)
                events = self._syncthing.events(since, WATCHED, timeout_s=EVENTS_WAIT_S if since else 1.0)
                if events:
                    since = events[-1].id
                    self._events.put(events)
            except NotReachable:
                stop.wait(0.5)
            except Exception as exc:  # noqa: BLE001 - without this thread the daemon would hear nothing any more
                log.info("no events: %s", exc)
                stop.wait(1.0)

    def round(self, events: Iterable[Event] = ()) -> bool:
        """One turn. Says whether there is more to do at once."""
        self._take_in(events)
        self._store.catch_up_if_behind()
        self._see_what_changed()
        now_ms = self._wall_ns() // 1_000_000
        if not self._settled and not self._settle(now_ms):
            return False
        self._push_ledgers()
        self._hear()
        if now_ms - self._reconciled_ms >= RECONCILE_MS:
            self._reconciled_ms = now_ms
            mend_copies(self._syncthing, self._copies_here())
            self._reconcile()
        due = self._agenda.take(now_ms, AT_ONCE)
        try:
            self._deal_with(due, now_ms)
        except BaseException:
            self._agenda.add(due)
            raise
        self._faces.carry(now_ms)
        self._push_ledgers()
        if self._flow.step(now_ms, all_looked_at=not len(self._agenda), is_idle=self._is_idle):
            self._share()
        return len(self._agenda) > 0

    def _take_in(self, events: Iterable[Event]) -> None:
        for event in events:
            if not is_data_id(event.about("folder")):
                if event.type == "RemoteIndexUpdated":
                    self._calm_since_ms = None  # more of the ledgers is coming
                continue
            self._arrived += 1
            names = [event.about("item")] if event.type == "ItemFinished" else []
            if event.type == "LocalIndexUpdated" and isinstance(event.data, dict):
                names = [name for name in event.data.get("filenames") or () if isinstance(name, str)]
            for name in names:
                guid = guid_in(os.path.basename(name))
                if guid is not None:
                    self._odd.add(guid)
                    self._agenda.add([guid])

    # -- starting

    def _settle(self, now_ms: int) -> bool:
        """Whether this node's own ledgers may go out by now; see `starting`."""
        mended = mend_copies(self._syncthing, self._copies_here()) | self._mend_own()
        step = "wait" if mended else next_step(self._standing(now_ms))
        if step == "go":
            self._when_settled()
            self._settled = True
            try:
                self._share()
            except BaseException:
                self._settled = False  # or the own ledger would stay receive-only
                raise
        elif step == "revert":
            log.warning("others have seen more of this node's ledger than it has; what differs here is taken back")
            for folder_id in sorted({self._own_ledger_id(), *self._own_ledgers}):
                self._syncthing.revert(folder_id)
        elif step == "refuse" and not self._refused:
            self._refused = True
            log.error("this store is an older copy of itself; nothing goes out from it. See: lyts doctor")
        if mended or step == "revert":
            self._calm_since_ms = None
        return self._settled

    def _own_ledger_id(self) -> str:
        return ledger_folder_id(self._me.library, self._me.guid)

    def _copies_here(self) -> dict[str, str]:
        """Folder id -> path of the ledgers of others that Syncthing has, also of those whom facts do not know (yet)."""
        ours, own = ledger_folder_id(self._me.library, ""), self._own_ledger_id()
        return {
            one.id: one.path
            for one in self._syncthing.folders()
            if (one.id.startswith(ours) and one.id != own) or one.id in self._set_ledgers
        }

    def _mend_own(self) -> bool:
        """Have Syncthing look at this node's own ledger where that is gone: still receive-only, so nothing goes out."""
        try:
            path = self._syncthing.folder(self._own_ledger_id()).path
            return make_marker_again(self._syncthing, self._own_ledger_id(), path)
        except (FolderNotKnown, FolderPaused, FolderStopped):
            return False

    def _stay(self, standing: Mapping[str, FolderConfig]) -> set[str]:
        """The devices that shared this node's ledger and are not known to be gone, until that ledger is whole."""
        own = standing.get(self._own_ledger_id())
        if self._settled or own is None:
            return set()
        gone = {device for node in self._nodes.values() if node.gone for device in node.said}
        return set(own.device_ids()) - gone - {self._device}

    def _standing(self, now_ms: int) -> Standing:
        standing = {one.id: one for one in self._syncthing.folders()}
        devices = {found.device for found in self._trusted.values()} | self._stay(standing)
        connections = self._syncthing.connections().connections
        here = {one for one in devices if one in connections and connections[one].connected}
        own_id = self._own_ledger_id()
        changed_here = is_in = False
        try:
            own_ids = [own_id, *(one for one in self._own_ledgers if one != own_id)]
            own = [self._syncthing.folder_status(one) for one in own_ids]
            changed_here = any(one.receive_only_total_items > 0 for one in own)
            theirs = [folder_id for folder_id in self._copies_here() if not self._is_away(folder_id, here)]
            is_in = all(one.settled() for one in own) and all(
                self._syncthing.folder_status(one).settled() for one in theirs
            )
        except FolderNotKnown:
            pass
        if not is_in or not here:
            self._calm_since_ms = None
        elif self._calm_since_ms is None:
            self._calm_since_ms = now_ms
        return Standing(
            waited_ms=now_ms - self._began_ms,
            others=len(devices),
            connected=len(here),
            calm_ms=now_ms - self._calm_since_ms if self._calm_since_ms is not None else 0,
            changed_here=changed_here,
            behind=self._is_behind(),
        )

    def _is_away(self, folder_id: str, here: set[str]) -> bool:
        """Whether a ledger is that of a node of which it is known that it is not connected."""
        guid = folder_id[-GUID_DIGITS:]
        node = self._nodes.get(guid)
        return node is not None and bool(node.said) and not here.intersection(node.said)

    def _is_behind(self) -> bool:
        others = seen_by_others(self._store.layout.ledgers, self._me.ledger_folder)
        with self._store.view(fresh=False) as view:
            newest = newest_of(known_segments(view.tx, view.db), self._me.guid)
        # Each store begins with a fact of its own: one that knows none has lost its ledger and its index.
        return not newest or who_saw_more(others, self._me.guid, newest) is not None

    # -- nodes and sets

    def _see_what_changed(self) -> None:
        with self._store.view(fresh=False) as view:
            now = view.tx.id()
            if now == self._told:
                return
            changes = view.changes_since(self._told) if self._told >= 0 else None
            self._told = now
            nodes, sets = nodes_of(view, self._store.layout), node_sets(view)
            if changes is not None:
                files = BitMap()
                for _, changed, _, _ in changes:
                    files |= changed
                self._agenda.add(guid_of_bytes(row.guid) for _, row in view.rows(files))
            else:
                self._reconciled_ms = -RECONCILE_MS
        if (nodes, sets) != (self._nodes, self._sets):
            if self._store.node in nodes and nodes[self._store.node].alias != self._me.alias:
                self._me = self._me._replace(alias=note_alias(self._store))
            gone = frozenset(guid for guid, node in nodes.items() if node.gone)
            if gone != self._gone:
                self._gone = gone
                self._reconciled_ms = -RECONCILE_MS  # what only they held may be here all the same
            self._nodes, self._sets = nodes, sets
            self._trusted = trusted_nodes(self._store.node, nodes)
            try:
                fix(self._store.layout, to_fix(self._trusted))
            except OSError as exc:  # a full disk: what is to be done there must not wait for this
                log.warning("which devices the nodes are could not be noted: %s", exc)
            self._share()
            self._faces.note_all(nodes, self._there(), self._wall_ns() // 1_000_000)

    def _share(self) -> None:
        standing = {one.id: one for one in self._syncthing.folders()}
        ours = ledger_folder_id(self._me.library, "")
        nodes_devices = devices_of_nodes(self._nodes.values(), standing.values(), ours)
        devices = [one.device_id for one in self._syncthing.devices() if one.device_id in nodes_devices]
        to_make = {set_id for members, set_id in self._set_ids().items() if self._me.guid in members} - set(standing)
        self._flow.met(to_make, self._wall_ns() // 1_000_000)
        relabel(self._store.layout, self._sets, standing)
        wanted = shares(
            self._me,
            self._trusted,
            self._sets,
            self._store.layout,
            standing,
            devices,
            settled=self._settled,
            data_flows=self._flow.stage != "linking",
            held_back={one.set_id for one in self._sets if self._flow.is_held_back(one.set_id)},
            can_dial_us=self._can_dial_us(standing),
            stay=self._stay(standing),
        )
        paths = {one.id: one.path for one in wanted.folders}
        ledgers = {folder_id: folder_id[-GUID_DIGITS:] for folder_id in paths if is_ledger_id(folder_id)}
        self._own_ledgers = {
            folder_id: paths[folder_id] for folder_id, guid in ledgers.items() if guid == self._me.guid
        }
        self._set_ledgers = {
            folder_id: guid
            for folder_id, guid in ledgers.items()
            if guid != self._me.guid and not folder_id.startswith(ours)
        }
        self._ledger_paths = {paths[folder_id]: guid for folder_id, guid in ledgers.items() if guid in self._trusted}
        if share(self._syncthing, wanted, self._device, ours):
            log.info("Syncthing has %d folders and %d other devices", len(wanted.folders), len(wanted.devices))
        labels = {one.nodes: one.label for one in self._sets if self._store.node in one.nodes}
        self._shelves.labels.clear()
        self._shelves.labels.update(labels)

    def _is_idle(self, set_id: str) -> bool:
        try:
            return self._syncthing.folder_status(set_id).state in ("idle", "error")
        except FolderNotKnown:
            return True

    def _can_dial_us(self, standing: Mapping[str, FolderConfig]) -> set[str]:
        """The nodes that have read at which fixed addresses this one is, by what they say of how far they read."""
        me = self._nodes.get(self._store.node)
        if me is None or not me.addresses:
            return set()
        found = set()
        maker = me.addresses_at[26:]
        for guid in self._trusted:
            folder = standing.get(ledger_folder_id(self._me.library, guid))
            seen = read_seen(os.path.join(folder.path, SEEN_FILE)) if folder is not None else None
            if maker == guid[:8] or (seen is not None and seen.read.get(maker, "") >= me.addresses_at):
                found.add(guid)
        return found

    def _shelf_for(self, members: Members) -> None:
        """Make the folder of a set, and have it shared."""
        if members in self._shelves.labels:
            return
        guids = sorted(members)

        def say(change: Change) -> None:
            change.unasked = True
            taken = [one.label for one in node_sets(change.view)]
            wanted = label({guid: self._alias(guid) for guid in guids}, taken)
            if change.thing(SET_THING, set_id(guids)).value("set") is None:
                change.new_set(set_id(guids), wanted, guids)

        self._store.act(say)
        with self._store.view(fresh=False) as view:
            self._sets = node_sets(view)
        self._share()
        make_folder(self._store.layout.data(self._shelves.labels[members], ""))

    def _alias(self, guid: str) -> str:
        node = self._nodes.get(guid)
        return node.alias if node is not None else guid[:8]

    def _set_ids(self) -> dict[Members, str]:
        """The sets that somebody else has, too: those that Syncthing knows of."""
        shared = {*self._trusted, self._store.node}
        return {one.nodes: one.set_id for one in self._sets if len(one.nodes & shared) > 1}

    # -- ledgers

    def _push_ledgers(self) -> None:
        for folder_id, path in self._own_ledgers.items():
            self._push(folder_id, os.path.basename(path))

    def _push(self, folder_id: str, folder: str) -> None:
        """Own ledgers that grew: durable first, then Syncthing looks at just what changed."""
        changed = []
        for segment in segments_in(self._store.layout.ledgers, folder):
            mark = segment.size_bytes, segment.mtime_ns
            if self._pushed.get(segment.name) != mark:
                changed.append((segment.name, mark))
        for beside in ("seen.json", proofs.FILE_NAME):
            name = f"{folder}/{beside}"
            try:
                found = os.stat(os.path.join(self._store.layout.ledgers, name))
            except FileNotFoundError:
                continue
            if self._pushed.get(name) != (found.st_size, found.st_mtime_ns):
                changed.append((name, (found.st_size, found.st_mtime_ns)))
        if not changed or not self._trusted:
            return
        sync_paths(os.path.join(self._store.layout.ledgers, name) for name, _ in changed)
        subs = [os.path.basename(name) for name, _ in changed]
        try:
            self._syncthing.scan(folder_id, subs)
        except (FolderNotKnown, FolderPaused, FolderStopped) as exc:
            log.info("own ledgers were not looked at: %s", exc)
            return
        self._pushed.update(changed)

    def _there(self) -> set[str]:
        return {self._store.node, *self._trusted}

    # -- proofs

    def _hear(self) -> None:
        """What others have proven and wait for."""
        for folder in self._heard.keys() - self._ledger_paths.keys():
            self._agenda.add(self._heard.pop(folder)[1].waits)  # it was forgotten
        for folder, guid in self._ledger_paths.items():
            try:
                found = os.stat(os.path.join(folder, proofs.FILE_NAME))
            except FileNotFoundError:
                continue
            mark = found.st_ino, found.st_size, found.st_mtime_ns
            before = self._heard.get(folder)
            if before is not None and before[0] == mark:
                continue
            said = proofs.read(guid, folder)
            self._heard[folder] = mark, said
            self._agenda.add({*said.proofs, *said.waits, *(before[1].waits if before is not None else ())})

    def _is_waited_for(self, guid: str) -> bool:
        return guid in self._waits or any(guid in said.waits for _, said in self._heard.values())

    def _proofs_of(self, guid: str) -> set[Proof]:
        found = set(self._proofs.get(guid, ()))
        for _, said in self._heard.values():
            found |= said.proofs.get(guid, set())
        return found

    def _say_proofs(self) -> None:
        for guid in [guid for guid in self._proofs if not self._is_waited_for(guid)]:
            del self._proofs[guid]
        waiting: dict[str, set[str]] = {}
        for folder, (_, said) in self._heard.items():
            for guid in said.waits:
                waiting.setdefault(guid, set()).add(self._ledger_paths.get(folder, ""))
        by_folder = divided(self._proofs, self._homes, waiting)
        for folder_id, path in self._own_ledgers.items():
            is_open = folder_id == ledger_folder_id(self._me.library, self._me.guid)
            found = by_folder.get("" if is_open else folder_id[: -len(self._me.guid) - 1], [])
            text = proofs.text_of(found, self._waits if is_open else {})
            proofs.write(path, self._store.layout.scratch, text)

    # -- files

    def _reconcile(self) -> None:
        with self._store.view(fresh=False) as view:
            found = compare(view, self._shelves, self._store.node, self._nodes)
        self._odd |= found.odd
        self._agenda.add(found.amiss)

    def _deal_with(self, guids: list[str], now_ms: int) -> None:
        if not guids:
            return
        looking = Looking(self._shelves, self._stock, self._syncthing, self._set_ids(), self._device[:7], self._wall_ns)
        hands = Hands(self._store, self._shelves, self._shelf_for, self._aliases, self._date_text, self._stock.forget)
        copies = self._copies()
        self._look_who_is_connected()
        scans: dict[Members, set[str]] = {}
        waits_before = dict(self._waits)
        for guid, state in zip(guids, self._store.states(guids), strict=True):
            try:
                self._deal_with_file(guid, state, looking, hands, copies, scans, now_ms)
                self._stuck.pop(guid, None)
            except SyncthingError:
                raise
            except (LytsError, OSError, ValueError) as exc:
                # Whatever is wrong with one file, or with what another device said of it, is nothing to the others.
                if self._stuck.get(guid) != str(exc):
                    log.error("%s, to be tried again: %s", guid, exc, exc_info=exc)
                self._stuck[guid] = str(exc)
                self._agenda.again(guid, now_ms)
        self._scan(scans)
        self._say_proofs()
        for guid in {*waits_before} ^ {*self._waits}:
            self._agenda.add([guid])

    def _deal_with_file(
        self,
        guid: str,
        state: FileState,
        looking: Looking,
        hands: Hands,
        copies: int,
        scans: dict[Members, set[str]],
        now_ms: int,
    ) -> None:
        self._faces.note(state, self._nodes, self._there(), now_ms)
        if state.knows:
            self._homes[guid] = home_for(state, self._nodes)
        else:
            self._homes.pop(guid, None)
        if state.made is None:
            return
        if guid in self._odd:
            hands.take_out_of_trash_cans(guid)
        data = state.made.data
        wanted = wanted_of(state, self._nodes, self._gone)
        looked = self._with_beside(looking, state, wanted, looking.look(state, data, odd=guid in self._odd))
        actions = decide(self._store.node, wanted, looked.here, self._proofs_of(guid), copies)
        self._note_waiting(guid, wanted, looked)
        if not self._is_waited_for(guid):
            actions = [action for action in actions if not isinstance(action, Prove)]
        actions, wait = self._patience.split(
            actions, wanted, looking, looked, data, self._proofs_of(guid), self._connected, now_ms
        )
        if actions:
            log.debug("%s: %s", guid, actions)
        done = hands.carry_out(state, data, looked, actions)
        for action in actions:
            if isinstance(action, Put):
                self._flow.put_into(set_id(action.members))
            elif isinstance(action, HandOver):
                self._odd.add(copy_guid(guid, action.source.sha256))
        for members, name in done.scans:
            scans.setdefault(members, set()).add(name)
            self._odd.add(guid)
        if done.proofs:
            self._proofs[guid] = set(done.proofs)
            done.again.add(guid)
        self._agenda.add(done.again)
        if looked.again or wait or guid in self._waits or done.later:
            self._agenda.again(guid, now_ms)
        elif not actions:
            self._agenda.settled(guid)
            if not (looked.kept or looked.edits or looked.conflicts):
                self._odd.discard(guid)

    def _look_who_is_connected(self) -> None:
        found = self._syncthing.connections().connections
        self._connected = frozenset(
            guid for guid, one in self._trusted.items() if one.device in found and found[one.device].connected
        )

    def _with_beside(self, looking: Looking, state: FileState, wanted: Wanted, looked: Looked) -> Looked:
        """With which of the bytes here are to be here as files of their own."""
        hashes = sorted(left_here(wanted, looked.here))
        if not hashes:
            return looked
        to_come = []
        others = self._store.states([copy_guid(state.guid, sha256) for sha256 in hashes])
        for sha256, other in zip(hashes, others, strict=True):
            if other.made is not None:
                here = looking.look(other, other.made.data, odd=True).here
                if is_to_come(self._store.node, wanted_of(other, self._nodes, self._gone), here, sha256):
                    to_come.append(sha256)
        return looked._replace(here=looked.here._replace(beside=to_come))

    def _copies(self) -> int:
        """How many proofs are asked for before bytes leave; those of all holders while the settings are damaged."""
        if self._min_copies is not None:
            return self._min_copies
        try:
            return read_settings(self._store.layout).min_copies
        except StoreError as exc:
            log.warning("bytes leave only when all who hold them have proven it: %s", exc)
            return MOST_COPIES

    def _note_waiting(self, guid: str, wanted: Wanted, looked: Looked) -> None:
        if not wanted.purged and waits_for_proof(self._store.node, wanted, looked.here):
            self._waits[guid] = wanted.digest
        else:
            self._waits.pop(guid, None)

    def _scan(self, scans: dict[Members, set[str]]) -> None:
        ids = self._set_ids()
        for members, names in scans.items():
            if members in ids:
                try:
                    self._syncthing.scan(ids[members], sorted(names))
                except (FolderNotKnown, FolderPaused, FolderStopped) as exc:
                    log.info("%s was not looked at: %s", ids[members], exc)

    def _aliases(self) -> dict[str, str]:
        return {guid: node.alias for guid, node in self._nodes.items()}

    def _date_text(self) -> str:
        return datetime.fromtimestamp(self._wall_ns() / 1e9, UTC).strftime("%Y-%m-%d")


def waits_for_proof(me: str, wanted: Wanted, here: Here) -> bool:
    """Whether something of a file is here that may only go once it is proven elsewhere, or in place. Pure."""
    strays = any(members != wanted.holds for members in here.placed)
    return strays or bool(here.edits) or (me not in wanted.holds and bool(here.kept))
