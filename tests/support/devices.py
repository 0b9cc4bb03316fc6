"""Devices of one library, by commands only: each has a home, a store, a daemon and a Syncthing of its own.

with Devices(tmp_path) as devices:
    laptop = devices.first("laptop")
    tablet = devices.join("tablet", laptop)      invite, join, accept
    laptop.quick("add", "-t", "music", laptop.file("song.txt"))
    tablet.until_found("music", ["song.txt"])
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, Self

from sync.life import life
from sync.syncthing import process
from sync.syncthing.process import Started
from tagfs.layout import Layout
from tagfs.store import this_machine
from tests.support.command import Lyts, Result
from tests.support.syncthing import PATIENCE_S, Reaper, real_program, until

BOOT = this_machine().boot_id()


class Device(Lyts):
    """One device."""

    @property
    def layout(self) -> Layout:
        return Layout(str(self.store))

    def code(self) -> str:
        """An invitation."""
        return self.quick("node", "invite", "--no-qr").out.strip()

    def nodes(self) -> dict[str, dict[str, Any]]:
        """What `node list` says, by name."""
        return {row["alias"]: row for row in self.json("node", "list")}

    def states(self) -> dict[str, str]:
        return {alias: row["state"] for alias, row in self.nodes().items()}

    def until_states(self, **states: str) -> None:
        until(lambda: self.states() == states or None, f"{self.home.name}: {states}, {self.states()}")

    def until_found(self, query: str, names: list[str]) -> None:
        """Until a query finds these files."""
        until(lambda: self.found(query) == names, f"{self.home.name}: {query} finds {names}")

    def found(self, query: str) -> list[str]:
        done = self.quick("find", query, code=None)
        return sorted(done.lines) if done.code == 0 else []

    def accept(self, who: str, *words: str) -> Result:
        """Let a device in as soon as it asks."""
        return until(lambda: self._try_accept(who, *words), f"{who} asks")

    def _try_accept(self, who: str, *words: str) -> Result | None:
        done = self.quick("node", "accept", who, "--yes", *words, code=None)
        if done.code == 1 and "asks to join" in done.err:
            return None
        assert done.code == 0, done
        return done

    def daemon(self) -> Started:
        alive = life(self.layout)
        assert alive is not None
        return alive.process

    def syncthing(self) -> Started:
        noted = process.read_note(str(self.store / "syncthing" / "lyts-process"))
        assert noted is not None
        return noted

    def kill(self, one: Started) -> None:
        assert process.end(one, BOOT, signal.SIGKILL, PATIENCE_S)

    def up(self) -> None:
        self.quick("sync", "up")

    def down(self) -> None:
        self.quick("sync", "down")


class Devices:
    """All of them; ended with the block."""

    def __init__(self, base: Path) -> None:
        real_program()
        self.base = base / "devices"
        self.base.mkdir()

    def __enter__(self) -> Self:
        self._reaper = Reaper(self.base)
        return self

    def __exit__(self, *_: object) -> None:
        self._reaper.close()

    def new(self, name: str) -> Device:
        """A device without a store."""
        return Device(self.base / name)

    def first(self, name: str) -> Device:
        """A device with a library of its own, syncing."""
        one = self.new(name)
        one.quick("init", "--alias", name)
        one.quick("sync", "up", "--local-only")
        return one

    def join(self, name: str, inviter: Device, *words: str) -> Device:
        """A new device that `inviter` has let in."""
        one = self.new(name)
        one.quick("node", "join", inviter.code(), "--alias", name, "--local-only")
        inviter.accept(name, *words)
        until(lambda: inviter.states().get(name) == "connected", f"{name} is connected")
        return one
