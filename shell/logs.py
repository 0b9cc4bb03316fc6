"""The log of a process that stays: the mount's, and the sync daemon's."""

from __future__ import annotations

import logging
import os
import time
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shell.app import App

LOG_BYTES = 1 << 20
LOGS_KEPT = 2


def start_log(app: App, path: str, whose: str, *, to_stderr: bool) -> str | None:
    """Write what this process tells down in the file `path`. Returns where, None where it cannot be written."""
    form = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    written: str | None = path
    handlers: list[logging.Handler] = [logging.StreamHandler()] if to_stderr else []
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        handlers.append(
            RotatingFileHandler(
                path, maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, encoding="utf-8", errors="backslashreplace"
            )
        )
    except OSError as exc:
        app.output.say(f"Note: the log of {whose} cannot be written ({exc}); it goes on without.")
        written = None
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(form)
        root.addHandler(handler)
    # A full disk under the log is no reason to end, nor to write a traceback to nowhere.
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    return written
