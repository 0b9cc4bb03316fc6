"""A library of several nodes on this machine: real stores, real Syncthings, real daemons.

    with Library(tmp_path, ["laptop", "tablet"]) as library:
        laptop, tablet = library
        guid = laptop.add("song.txt", b"la la", "music")
        tablet.wish(guid, tablet=True)
        library.until_placed(guid, "laptop", "tablet")

Made without `lyts node ...`: each store states who the others are, as accepting them does.
Each daemon is a process of its own, so that it can be killed. All are ended with the block.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from sync.stock import Stock
from sync.syncthing import managed, process
from sync.syncthing.client import Syncthing
from sync.syncthing.home import Wishes, device_id_of
from sync.syncthing.managed import Managed
from tagfs.create import create_store
from tagfs.face import Face, face_of
from tagfs.glossary import NODE_THING
from tagfs.nodeset import folder_name, set_id
from tagfs.store import Store, this_machine
from tests.support.command import run_here
from tests.support.syncthing import Reaper, real_program, until

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


class Node:
    """One node: its store, its Syncthing, its daemon."""

    def __init__(self, library: Library, name: str, shared: str | None) -> None:
        self.library = library
        self.name = name
        self.root = library.base / name
        info = create_store(
            str(self.root),
            alias=name,
            folder_name=folder_name(name),
            set_id=set_id,
            machine=this_machine(),
            library=shared,
        )
        self.guid = info.node
        self.shared = info.library
        self.managed = Managed(str(self.root / "syncthing"), str(library.base / f"{name}-syncthing.log"), _boot())
        self.device = ""
        self.listening: list[str] = []
        self._client: Syncthing | None = None
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> Syncthing:
        assert self._client is not None, f"the Syncthing of {self.name} does not run"
        return self._client

    # -- starting and ending

    def start(self) -> None:
        self.start_syncthing()
        self.start_daemon()

    def start_syncthing(self) -> None:
        managed.up(self.managed, os.environ, Wishes(self.name, None, True))
        self.device = device_id_of(self.managed.home)
        self._client = managed.client(self.managed)
        self.listening = list(self.client.options().listen_addresses)

    def start_daemon(self) -> None:
        log = open(self.library.base / f"{self.name}-daemon.log", "ab")  # noqa: SIM115 - the daemon's from now on
        self._daemon = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.support.library", str(self.root)],
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        log.close()

    def stop(self) -> None:
        self.stop_daemon()
        self.stop_syncthing()

    def stop_daemon(self) -> None:
        self._end_daemon(signal.SIGTERM)

    def stop_syncthing(self) -> None:
        self._leave()
        managed.down(self.managed)

    def kill_daemon(self) -> None:
        self._end_daemon(signal.SIGKILL)

    def kill_syncthing(self) -> None:
        """As a power cut does it."""
        self._leave()
        noted = process.read_note(self.managed.note)
        assert noted is not None
        assert process.end(noted, self.managed.boot, signal.SIGKILL, PATIENCE_S)

    def _end_daemon(self, how: signal.Signals) -> None:
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.send_signal(how)
            daemon.wait(PATIENCE_S)

    def _leave(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    # -- what a person does

    def lyts(self, *arguments: str, code: int | None = 0) -> str:
        """Run the command, within this process; its output."""
        done = run_here(
            arguments,
            {
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "LYTS_STORE": str(self.root),
                "HOME": str(self.library.base),
                "XDG_STATE_HOME": str(self.library.base / f"{self.name}-state"),
            },
            self.library.base,
        )
        assert code is None or done.code == code, f"{arguments}: {done.code}\n{done.out}{done.err}"
        return done.out

    def add(self, name: str, data: bytes, tags: str = "music") -> str:
        """Add a file; its GUID."""
        path = self.library.base / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        before = set(self.ids())
        self.lyts("add", "-t", tags, str(path))
        (new,) = set(self.ids()) - before
        return new

    def ids(self) -> list[str]:
        return [guid for guid in self.lyts_or_nothing("find", "--ids", "").split() if guid != "[]"]

    def lyts_or_nothing(self, *arguments: str) -> str:
        try:
            return self.lyts(*arguments)
        except AssertionError:
            return "[]"

    def wish(self, guid: str, **holds: bool) -> None:
        """Have a file held by nodes, or not, as `lyts restore` and `reduce` do."""
        wanted = {self.library.node(name).guid: yes for name, yes in holds.items()}
        with Store(str(self.root)) as store:
            store.act(lambda change: change.about_file(guid, holds=wanted))

    def face(self, guid: str) -> Face:
        with Store(str(self.root)) as store:
            store.catch_up_if_behind()
            return face_of(store.states([guid])[0], self.guid, [node.guid for node in self.library])

    # -- what is on its disk

    def placed(self, guid: str) -> dict[str, bytes]:
        """Label of a set -> bytes of a file there."""
        found: dict[str, bytes] = {}
        for path in (self.root / "sets").glob(f"*/data/{guid[:2]}/{guid}--*"):
            if ".sync-conflict-" not in path.name:
                try:
                    found[path.relative_to(self.root / "sets").parts[0]] = path.read_bytes()
                except FileNotFoundError:
                    continue  # on its way out
        return found

    def path(self, guid: str, label: str) -> Path:
        (found,) = (self.root / "sets" / label / "data" / guid[:2]).glob(f"{guid}--*")
        return found

    def knows_ground(self, guid: str, label: str) -> bool:
        """Whether its daemon and its Syncthing have noted what is in place: what an edit then replaces is certain."""
        stock = Stock(str(self.root / "sync.db"))
        try:
            known = stock.get(str(self.path(guid, label)))
        finally:
            stock.close()
        return known is not None and known.ground is not None and known.version != ""

    def kept(self) -> list[str]:
        """What is in its keep for moves."""
        kept = self.root / "keep"
        return sorted(str(path.relative_to(kept)) for kind in ("moved", "edits") for path in kept.glob(f"{kind}/*/*/*"))

    def litter(self) -> list[str]:
        """Conflict copies and what else should not be left beside files."""
        sets = self.root / "sets"
        return sorted(str(p.relative_to(sets)) for p in sets.glob("*/data/**/*") if "sync-conflict" in p.name)

    def received_bytes(self) -> int:
        return self.client.connections().total.in_bytes


def _boot() -> str:
    return this_machine().boot_id()


class Library:
    """Several nodes that know each other."""

    def __init__(self, base: Path, names: Sequence[str]) -> None:
        real_program()
        self.base = base / "library"
        self.base.mkdir(parents=True)
        self._names = names
        self.nodes: list[Node] = []

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def __enter__(self) -> Self:
        self._reaper = Reaper(self.base)
        try:
            for name in self._names:
                self.nodes.append(Node(self, name, self.nodes[0].shared if self.nodes else None))
                self.nodes[-1].start_syncthing()
            for node in self.nodes:
                with Store(str(node.root)) as store:
                    store.act(self._introduce)
            for node in self.nodes:
                node.start_daemon()
            self.wait_connected()
        except BaseException:
            self.close()
            raise
        return self

    def _introduce(self, change: object) -> None:
        from tagfs.change import Change

        assert isinstance(change, Change)
        for node in self.nodes:
            change.about(
                "node", NODE_THING, node.guid, alias=node.name, device=node.device, addresses=list(node.listening)
            )

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for node in self.nodes:
            node._end_daemon(signal.SIGKILL)
            node._leave()
        self._reaper.close()

    def wait_connected(self) -> None:
        """Until all whose Syncthing runs are connected with each other."""
        running = [node for node in self.nodes if node._client is not None]

        def all_are() -> bool:
            for node in running:
                known = node.client.connections().connections
                for other in running:
                    if other is not node and not (other.device in known and known[other.device].connected):
                        return False
            return True

        until(all_are, "connected")

    def part(self, one: Node, other: Node, *, parted: bool = True) -> None:
        """Cut the connection of two, or let them connect again."""
        one.client.change_device(other.device, paused=parted)
        other.client.change_device(one.device, paused=parted)

    def until_placed(self, guid: str, *names: str, data: bytes | None = None, within_s: float = PATIENCE_S) -> None:
        """Until a file is in place on exactly these nodes, nothing is left of a move, and the bytes are these."""
        label = "+".join(sorted(names))

        def is_so() -> bool:
            for node in self.nodes:
                placed = node.placed(guid)
                if set(placed) != ({label} if node.name in names else set()):
                    return False
                if data is not None and any(found != data for found in placed.values()):
                    return False
                if any(guid in path for path in node.kept()) or node.litter():
                    return False
            return True

        try:
            until(is_so, f"{guid} on {label}", within_s)
        except AssertionError as exc:
            state = "\n".join(
                f"{node.name}: {sorted(node.placed(guid))} kept {node.kept()} litter {node.litter()}" for node in self
            )
            raise AssertionError(f"{exc}\n{state}") from None


def _serve(root: str) -> None:
    """A daemon, until SIGTERM."""
    import logging
    import threading
    from contextlib import suppress
    from functools import partial

    from sync.daemon import Daemon
    from sync.myself import introduce
    from sync.syncthing.attached import connect
    from tagfs.layout import Layout
    from tagfs.seen import BehindOwnLedger

    logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(name)s %(message)s")
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    while not stop.is_set():
        try:
            with Store(root) as store, connect(Layout(root)) as syncthing:
                device = syncthing.status().my_id
                introduced = partial(introduce, store, syncthing, device)
                with suppress(BehindOwnLedger):
                    introduced()
                daemon = Daemon(store, syncthing, device, when_settled=introduced)
                daemon.run(stop)
                daemon.close()
        except Exception as exc:  # noqa: BLE001 - Syncthing may be down when it starts
            logging.getLogger("daemon").error("not started: %s", exc)
            time.sleep(0.2)


if __name__ == "__main__":
    _serve(sys.argv[1])
