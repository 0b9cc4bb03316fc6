"""Real Syncthings on the loopback interface: one, or several that know each other.

    with Cluster(tmp_path, 3) as cluster:                       # started, connected
        cluster.share("F", [0, 1, 2])                           # a folder on all three
        cluster[0].write("F", "a.txt", b"hello")
        cluster[0].client.scan("F", ["a.txt"])
        cluster[1].wait_file("F", "a.txt", b"hello")
        cluster[2].kill(); cluster[2].start()                   # and so on

Each is made, started and ended by what lyts itself uses (`sync.syncthing.managed`), found by
nobody else (`local_only`), about 0.7 s each. Between two only the one with the smaller device
id dials. All are ended with the block, whatever happens in it; if this whole process is
ended before, by a time-out say, a `Reaper` beside it does it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
import pytest

from sync.life import life
from sync.syncthing import managed, process
from sync.syncthing.client import Syncthing
from sync.syncthing.config import FolderConfig
from sync.syncthing.errors import NoProgram, TooOld
from sync.syncthing.folders import data_folder, device
from sync.syncthing.home import Wishes, device_id_of
from sync.syncthing.managed import Managed
from sync.syncthing.program import Program, find
from tagfs.layout import Layout
from tagfs.store import this_machine

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
LOOK_S = 0.01
LOOK_AT_MOST_S = 0.1

T = TypeVar("T")


def real_program() -> Program:
    """The Syncthing of this machine; skips the test, and says why, where there is none."""
    try:
        return find(os.environ)
    except (NoProgram, TooOld) as exc:
        pytest.skip(f"NOT TESTED with a real Syncthing: {exc}")


def until(look: Callable[[], T], what: str, within_s: float = PATIENCE_S) -> T:
    """The first answer of `look` that is true; fails when none comes."""
    end = time.monotonic() + within_s
    pause_s = LOOK_S
    while not (found := look()):
        assert time.monotonic() < end, f"{what}: not within {within_s:g} s; last seen: {found!r}"
        time.sleep(pause_s)
        # To look costs something, and takes it from those who are waited for.
        pause_s = min(pause_s * 1.3, LOOK_AT_MOST_S)
    return found


class Reaper:
    """Ends every sync daemon and Syncthing of lyts below a folder: at `close`, or when this process ends without."""

    def __init__(self, below: Path) -> None:
        self._below = below
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.support.syncthing", str(below)], stdin=subprocess.PIPE, cwd=ROOT,
            start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        assert self._child.wait(PATIENCE_S) == 0


def reap(below: Path) -> None:
    boot = this_machine().boot_id()
    # Daemons first: one of them would start its Syncthing again.
    for store in [note.parent for note in below.rglob("sync-daemon")]:
        alive = life(Layout(str(store)))
        if alive is not None:
            process.end(alive.process, boot, signal.SIGKILL, 10)
    for note in below.rglob("lyts-process"):
        found = process.read_note(str(note))
        if found is not None:
            process.end(found, boot, signal.SIGKILL, 10)


class Node:
    """One Syncthing, with folders of its own beside its home."""

    def __init__(self, base: Path, name: str) -> None:
        self.name = name
        self.base = base
        self.managed = Managed(str(base / "syncthing"), str(base / "syncthing.log"), this_machine().boot_id())
        self.device_id = ""
        self._client: Syncthing | None = None

    @property
    def client(self) -> Syncthing:
        assert self._client is not None, f"{self.name} does not run"
        return self._client

    @property
    def address(self) -> str:
        """Where the others reach it."""
        return self.client.options().listen_addresses[0]

    # -- starting and ending ---------------------------------------------------------

    def start(self) -> None:
        managed.up(self.managed, os.environ, Wishes(self.name, None, True))
        self.device_id = device_id_of(self.managed.home)
        self._client = managed.client(self.managed)

    def stop(self) -> None:
        self._leave()
        managed.down(self.managed)

    def kill(self) -> None:
        """As a power cut does it."""
        self._leave()
        noted = process.read_note(self.managed.note)
        assert noted is not None
        assert process.end(noted, self.managed.boot, signal.SIGKILL, PATIENCE_S)

    def runs(self) -> bool:
        return managed.state(self.managed)[0] == managed.RUNNING

    def _leave(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    # -- files -------------------------------------------------------------------------

    def folder(self, folder: str) -> Path:
        return self.base / "folders" / folder

    def write(self, folder: str, name: str, data: bytes, *, mtime_ns: int | None = None) -> Path:
        """Write a file; nobody is told."""
        path = self.folder(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if mtime_ns is not None:
            os.utime(path, ns=(mtime_ns, mtime_ns))
        return path

    def read(self, folder: str, name: str) -> bytes | None:
        """What is there. None is no proof that it was deleted: replacing a file leaves a gap for a moment."""
        try:
            return (self.folder(folder) / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self, folder: str) -> list[str]:
        """The files in a folder, without Syncthing's own."""
        root = self.folder(folder)
        return sorted(
            str(path.relative_to(root))
            for path in root.rglob("*")
            if path.is_file() and not path.relative_to(root).parts[0].startswith((".st", ".syncthing."))
        )

    def wait_file(self, folder: str, name: str, data: bytes | None) -> None:
        """Until a file has this content; None: until it is gone."""
        until(lambda: self.read(folder, name) == data, f"{self.name}: {folder}/{name}")

    # -- folders -------------------------------------------------------------------------

    def add_folder(self, folder: str, others: Sequence[Node], **changes: Any) -> FolderConfig:
        """A data folder as lyts makes it, not paused; `changes` as fields of `FolderConfig`."""
        devices = [self.device_id, *(one.device_id for one in others)]
        config = data_folder(folder, str(self.folder(folder)), folder, devices, paused=False)
        config = msgspec.structs.replace(config, **changes)
        self.client.set_folder(config)
        return config


class Cluster:
    """Several. Made and started with the block, connected unless told otherwise."""

    def __init__(self, base: Path, count: int, *, connected: bool = True) -> None:
        real_program()
        self.base = base / "cluster"
        self.base.mkdir(parents=True)
        self.nodes = [Node(self.base / f"n{number}", f"n{number}") for number in range(count)]
        self._connected = connected

    def __getitem__(self, number: int) -> Node:
        return self.nodes[number]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __enter__(self) -> Self:
        self._reaper = Reaper(self.base)
        try:
            with ThreadPoolExecutor(len(self.nodes)) as pool:
                list(pool.map(Node.start, self.nodes))
            if self._connected:
                self.introduce()
                self.wait_connected()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for node in self.nodes:
            node._leave()
        # Nobody looks at their databases again, so they need not be ended in peace.
        self._reaper.close()

    # -- between them ------------------------------------------------------------------------

    def introduce(self) -> None:
        """Each knows all others, at their addresses."""
        addresses = {node.device_id: node.address for node in self.nodes}
        for node in self.nodes:
            others = [
                device(other.device_id, other.name, [addresses[other.device_id]], own_id=node.device_id)
                for other in self.nodes
                if other is not node
            ]
            node.client.set_devices([node.client.device(node.device_id), *others])

    def wait_connected(self, numbers: Sequence[int] | None = None) -> None:
        """Until those that run (or these) are connected with each other."""
        nodes = [node for node in self.nodes if node.runs()] if numbers is None else [self.nodes[n] for n in numbers]

        def all_are() -> bool:
            for node in nodes:
                known = node.client.connections().connections
                if not all(known[other.device_id].connected for other in nodes if other is not node):
                    return False
            return True

        until(all_are, "connected")

    def part(self, one: int, other: int, *, parted: bool = True) -> None:
        """Cut the connection of two, or let them connect again."""
        for at, to in ((one, other), (other, one)):
            self.nodes[at].client.change_device(self.nodes[to].device_id, paused=parted)

    def share(self, folder: str, numbers: Sequence[int] | None = None, **changes: Any) -> None:
        """The same folder on several nodes; returns once they agree on it."""
        nodes = self.nodes if numbers is None else [self.nodes[number] for number in numbers]
        for node in nodes:
            node.add_folder(folder, [one for one in nodes if one is not node], **changes)
        self.settle(folder, [self.nodes.index(node) for node in nodes])

    def settle(self, folder: str, numbers: Sequence[int] | None = None) -> None:
        """Until all (of these) are idle, need nothing, and agree on what the folder holds, three times in a row."""
        nodes = self.nodes if numbers is None else [self.nodes[number] for number in numbers]
        calm = 0

        def agreed() -> bool:
            nonlocal calm
            found = [node.client.folder_status(folder) for node in nodes]
            whole = {(one.global_bytes, one.global_files, one.global_deleted) for one in found}
            calm = calm + 1 if all(one.settled() for one in found) and len(whole) == 1 else 0
            return calm >= 3

        until(agreed, f"{folder} settled", PATIENCE_S * 2)


if __name__ == "__main__":
    sys.stdin.read()
    reap(Path(sys.argv[1]))
