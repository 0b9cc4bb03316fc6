"""The daemon as a process: one a store, started, found again, ended; and the Syncthing beside it.

Rules:

- `serve` never ends of an error: it is logged, told in the note, and tried again with
  growing pauses. It ends when it is told to (`Service.stop`), and then ends the store's own
  Syncthing, too.
- A Syncthing of the store's own that ended by itself is started again, with growing pauses. A
  person's own one is waited for.
- The store is opened here, in the process that works on it, never before a fork.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from sync.daemon import Daemon
from sync.life import Held
from sync.myself import introduce
from sync.syncthing import managed as own
from sync.syncthing.attached import connect, read_attached
from sync.syncthing.errors import BadAnswer, SyncthingError
from sync.syncthing.home import Wishes, read_config
from sync.syncthing.managed import Managed
from tagfs.errors import LytsError
from tagfs.layout import Layout
from tagfs.seen import BehindOwnLedger
from tagfs.store import Store

log = logging.getLogger(__name__)

LOOK_S = 1.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
GOOD_AFTER_S = 60.0
"""What ran so long before it ended is started again at once."""
END_S = 10.0
"""How long a round may go on after the daemon was told to end, before Syncthing ends under it."""


class Service:
    """The process. `serve` works until `stop` is called, from a signal or another thread."""

    def __init__(self, layout: Layout, managed: Managed, environ: Mapping[str, str], alias: str) -> None:
        """Args:
        alias: what the store's own Syncthing calls itself when it has to be started.
        """
        self._layout = layout
        self._managed = managed
        self._environ = environ
        self._alias = alias
        self._stop = threading.Event()
        self._session = threading.Event()
        self._ended = threading.Event()
        self._held: Held | None = None

    def stop(self) -> None:
        """Tell it to end. May be called from a signal, and again."""
        if not self._stop.is_set():
            self._stop.set()
            self._session.set()
            threading.Thread(target=self._see_to_the_end, name="lyts-end", daemon=True).start()

    def _see_to_the_end(self) -> None:
        """What takes too long is cut short; a daemon may end at any point."""
        if self._ended.wait(END_S):
            return
        log.warning("the round under way takes long; Syncthing ends under it")
        self._end_syncthing()
        if not self._ended.wait(END_S):
            log.warning("ended in the middle of a round")
            logging.shutdown()
            os._exit(0)

    def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Work until told to stop. Raises `AlreadyRuns`; no other error ends it."""
        self._held = Held(self._layout, self._managed.boot)
        keeper = threading.Thread(target=self._keep_syncthing, name="lyts-keeper", daemon=True)
        try:
            log.info("the daemon works on %s", self._layout.root)
            keeper.start()
            pause_s = FIRST_PAUSE_S
            while not self._stop.is_set():
                began = time.monotonic()
                self._session = threading.Event()
                if self._stop.is_set():
                    break
                try:
                    self._one_session(ready)
                except Exception as exc:  # noqa: BLE001 - a daemon that ended of an error would move nothing any more
                    self._problem(exc)
                    pause_s = FIRST_PAUSE_S if time.monotonic() - began > GOOD_AFTER_S else pause_s
                    self._stop.wait(pause_s)
                    pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            log.info("the daemon ends")
            self._ended.set()
            keeper.join(own.END_S)
            self._end_syncthing()
        finally:
            self._ended.set()
            self._held.release()

    def _problem(self, exc: Exception) -> None:
        assert self._held is not None
        if isinstance(exc, LytsError):
            log.error("%s", exc)
            self._held.tell(problem=str(exc))
        else:
            log.error("something went wrong that should not have; it is tried again", exc_info=exc)
            self._held.tell(problem=f"{type(exc).__name__}: {exc}")

    def _tell(self, problem: str) -> None:
        """What the daemon says after each round: what went wrong, "" for nothing."""
        assert self._held is not None
        self._held.tell(ready=True if not problem else None, problem=problem)

    def _one_session(self, ready: Callable[[], None]) -> None:
        """One store and one client, until told to end, or until Syncthing is at another address."""
        with connect(self._layout) as syncthing, Store(self._layout.root) as store:
            while True:
                try:
                    device = syncthing.status().my_id
                    break
                except (SyncthingError, BadAnswer) as exc:
                    self._tell(str(exc))
                    if self._session.wait(LOOK_S):
                        return
            # Before the others have let this device in it has to be called so that it can ask.
            with suppress(BehindOwnLedger):  # said once the daemon has got back what this store lost
                introduce(store, syncthing, device)
            daemon = Daemon(
                store, syncthing, device, tell=self._tell, when_settled=lambda: introduce(store, syncthing, device)
            )
            try:
                daemon.run(self._session)
            finally:
                daemon.close()

    # -- Syncthing

    def _keep_syncthing(self) -> None:
        pause_s = FIRST_PAUSE_S
        ran_since = time.monotonic()
        while not self._stop.wait(LOOK_S):
            try:
                if read_attached(self._layout) is not None or own.state(self._managed)[0] == own.RUNNING:
                    continue
                before = self._address()
                done = own.up(self._managed, self._environ, Wishes(self._alias))
                if not done.was_running:
                    log.warning("Syncthing had ended by itself; it was started again")
                if self._address() != before:
                    self._session.set()
                if time.monotonic() - ran_since > GOOD_AFTER_S and not done.was_running:
                    pause_s = FIRST_PAUSE_S
                ran_since = time.monotonic()
            except Exception as exc:  # noqa: BLE001 - as above
                self._problem(exc)
            self._stop.wait(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _address(self) -> str:
        return str(read_config(own.config_path(self._managed.home)).address)

    def _end_syncthing(self) -> None:
        try:
            if read_attached(self._layout) is None:
                own.down(self._managed)
        except LytsError as exc:
            log.warning("%s", exc)
