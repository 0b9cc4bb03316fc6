"""What every command is given: where the store is, the streams, the clock.

The store is opened when a command first asks for it, and closed when the command has
ended; waiting for another process and building the index again are told on stderr.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from shell.output import Output

if TYPE_CHECKING:
    from tagfs.bucket import Clock
    from tagfs.store import Store

WAIT_S = 1.0
"""How long another process may hold the store before a person is told."""


class App:
    """One command under way."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.output = Output(environ)
        self._given_root: str | None = None
        self._store: Store | None = None

    def settings(self, store: str | None, color: str | None) -> None:
        """What the options before the command say."""
        if store is not None:
            self._given_root = os.path.abspath(os.path.expanduser(store))
        if color is not None:
            self.output = Output(self.environ, color)

    @property
    def root(self) -> str:
        """The store's folder, whether there is one or not."""
        if self._given_root is not None:
            return self._given_root
        from tagfs.layout import default_root

        return default_root(dict(self.environ))

    @property
    def store(self) -> Store:
        """The open store. Raises `NoStore` and its kin."""
        if self._store is None:
            from tagfs.store import Store

            self._store = Store(self.root, on_wait=self.tell_waiting, on_rebuild=self._tell_rebuild)
        return self._store

    def close(self) -> None:
        """Leave the store. If it was changed, what explains it follows, in a process of its own."""
        store, self._store = self._store, None
        if store is not None:
            store.close()
            if store.has_acted:
                from tagfs.recovery.background import nudge

                nudge(store.layout.root, self.environ)

    def listed(self, guids: Sequence[str]) -> bool:
        """Tell the shell which files were listed, in what order. Returns whether to show their numbers, from 1."""
        return False

    def clock(self) -> Clock:
        """Now, and the local time zone."""
        from shell.text import local_ms
        from tagfs.bucket import Clock

        return Clock(time.time_ns() // 1_000_000, local_ms)

    def tell_waiting(self) -> None:
        """Another process has the store's lock: say so, but only when it takes long."""
        from tagfs.layout import Layout
        from tagfs.lock import try_hold

        path = Layout(self.root).lock
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            time.sleep(0.02)
            with try_hold(path) as free:
                if free:
                    return
        self.output.say("Waiting for another lyts process, which is changing the store…")

    def _tell_rebuild(self, reason: str) -> Callable[[int, int], None]:
        self.output.say(f"Making the index from the ledgers ({reason}). Nothing is lost; this happens once.")
        return self.output.progress("Making the index").of
