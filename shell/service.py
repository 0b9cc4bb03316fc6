"""The sync daemon as a process: `lyts sync up` starts it, `lyts sync down` ends it.

    lyts sync up ──starts──> lyts sync up --foreground, in a session of its own
        └─ waits until it is at work, or says why it is not

It is a new program, not a fork of this one: what this command has opened of the store
must not be carried over. Its log is `sync-<store>.log` beside that of Syncthing.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from shell.output import is_terminal
from shell.syncing import managed_of, store_name
from tagfs.errors import LytsError
from tagfs.layout import Layout

if TYPE_CHECKING:
    from shell.app import App
    from sync.syncthing.managed import Managed

START_S = 120.0
END_S = 120.0
LOOK_S = 0.03
TAIL_LINES = 8


class DaemonNotStarted(LytsError):
    """It was started and has ended, or does not get to work."""


def log_path(app: App) -> str:
    """The log of the daemon of this store."""
    from shell.run import state_folder

    return os.path.join(state_folder(dict(app.environ)), f"sync-{store_name(app.root)}.log")


def start(app: App) -> bool:
    """Start the daemon and wait until it is at work. False where it was already. Raises `DaemonNotStarted`."""
    from shell.login import this_program
    from sync.life import life
    from sync.syncthing import process
    from tagfs.store import this_machine

    layout = Layout(app.root)
    found = life(layout)
    if found is not None and found.ready:
        return False
    path, boot = log_path(app), this_machine().boot_id()
    started = None
    if found is None:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        words = [*this_program(), "--store", layout.root, "sync", "up", "--foreground"]
        try:
            started = process.start_detached(words, app.environ, path, boot)
        except OSError as exc:
            raise DaemonNotStarted(f"the sync daemon could not be started: {exc}") from None
    until = time.monotonic() + START_S
    while True:
        found = life(layout)
        if found is not None and found.ready:
            return started is not None
        if found is not None and found.problem:
            raise DaemonNotStarted(f"the sync daemon was started, and cannot work yet: {found.problem}")
        if found is None and (started is None or not process.is_alive(started, boot)):
            # Of two that were started at once one gives way: the other is seen with the next look.
            time.sleep(LOOK_S * 4)
            if life(layout) is None:
                raise DaemonNotStarted(f"the sync daemon ended at once. It said:\n{_tail(path)}")
        if time.monotonic() > until:
            raise DaemonNotStarted(f"the sync daemon was started and is not at work after {START_S:g} s; {path}")
        time.sleep(LOOK_S)


def _tail(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read()[-10_000:].strip().splitlines()
    except OSError as exc:
        return f"  (its log cannot be read: {exc})"
    return "\n".join(f"  {line}" for line in lines[-TAIL_LINES:]) or "  (nothing)"


def end(app: App, managed: Managed) -> bool:
    """End the daemon, and with it the store's own Syncthing. False where it did not run."""
    from sync.life import end as end_daemon

    return end_daemon(Layout(app.root), managed.boot, END_S)


def serve(app: App, alias: str) -> None:
    """Be the daemon, until told to end. Raises `sync.life.AlreadyRuns`."""
    from shell import logs
    from sync.service import Service

    os.chdir("/")
    logs.start_log(app, log_path(app), "the sync daemon", to_stderr=is_terminal(sys.stderr))
    service = Service(Layout(app.root), managed_of(app), app.environ, alias)

    def told(number: int, frame: Any) -> None:
        service.stop()

    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        service.serve()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        logging.shutdown()
