"""The mount and syncing at every login: units of the user's systemd.

Written to `$XDG_CONFIG_HOME/systemd/user/`, nothing else: `lyts disable` removes exactly
those. Where there is no systemd that answers, nothing is written, and what to do instead
is said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

from tagfs.errors import StoreError

UNIT = "lyts-mount.service"
SYNC_UNIT = "lyts-sync.service"
START_S = 120


class NoSystemd(StoreError):
    """There is no systemd of the user's that answers."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the user's systemd does not answer here ({why}), and lyts has no other way to start at login. "
            "Let your desktop start these at login instead: lyts mount, and lyts sync up"
        )


class UnitFailed(StoreError):
    """systemd was asked and refused."""


def unit_path(environ: dict[str, str], unit: str = UNIT) -> str:
    """Where a unit is."""
    home = environ.get("HOME") or os.path.expanduser("~")
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    return os.path.join(config, "systemd", "user", unit)


def unit_text(program: list[str], path: str, store: str) -> str:
    """The unit. systemd starts it as `lyts mount` in the background, which returns once the mount answers."""
    start = " ".join(map(_quoted, [*program, "--store", store, "mount", path]))
    stop = " ".join(map(_quoted, [*program, "umount", path]))
    return f"""\
# Made by lyts enable; lyts disable removes it.
[Unit]
Description=lyts: the library as a folder

[Service]
Type=forking
ExecStart={start}
# In use: the mount is told to end (SIGTERM) all the same, and ends cleanly.
ExecStop=-{stop}
Restart=on-failure
RestartSec=5

[Install]
WantedBy=default.target
"""


def sync_unit_text(program: list[str], store: str, syncthing: str | None = None) -> str:
    """The unit of the sync daemon, which starts Syncthing, and ends it when it is told to end.

    Args:
        syncthing: the program that `LYTS_SYNCTHING` names, if it does; systemd knows nothing of the variable.
    """
    start = " ".join(map(_quoted, [*program, "--store", store, "sync", "up", "--foreground"]))
    variable = "" if syncthing is None else f"Environment={_quoted(f'LYTS_SYNCTHING={syncthing}')}\n"
    return f"""\
# Made by lyts enable; lyts disable removes it.
[Unit]
Description=lyts: the sync daemon and its Syncthing

[Service]
{variable}ExecStart={start}
# The daemon alone is told to end: it ends Syncthing itself, after its last word.
KillMode=mixed
TimeoutStopSec=120
Restart=on-failure
RestartSec=5

[Install]
WantedBy=default.target
"""


def _quoted(word: str) -> str:
    """A word as systemd reads it: quoted, and nothing in it a specifier or a variable."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def this_program() -> list[str]:
    """How to start this very lyts from elsewhere."""
    called = sys.argv[0]
    if os.path.basename(called) == "lyts":
        found = shutil.which(called) if os.sep not in called else os.path.abspath(called)
        if found is not None and os.access(found, os.X_OK):
            return [found]
    return [sys.executable, "-P", "-m", "shell"]


def ask_systemd(environ: dict[str, str], *words: str) -> str:
    """`systemctl --user WORDS`. Raises `NoSystemd`, `UnitFailed`."""
    try:
        done = subprocess.run(
            ["systemctl", "--user", *words], env=environ, capture_output=True, text=True, timeout=START_S, check=False
        )
    except FileNotFoundError:
        raise NoSystemd("there is no systemctl") from None
    except subprocess.TimeoutExpired:
        raise UnitFailed(f"systemctl --user {' '.join(words)} took longer than {START_S} s") from None
    said = done.stderr.strip()
    if done.returncode:
        if words[0] == "show-environment":
            raise NoSystemd(said.split("\n")[0].rstrip(".") or f"exit status {done.returncode}")
        raise UnitFailed(f"systemctl --user {' '.join(words)} failed: {said or f'exit status {done.returncode}'}")
    return done.stdout


def enable(environ: dict[str, str], units: Mapping[str, str]) -> list[str]:
    """Write units (name -> text), and have them started now and at every login. Returns where they are."""
    ask_systemd(environ, "show-environment")
    written = []
    for unit, text in units.items():
        where = unit_path(environ, unit)
        os.makedirs(os.path.dirname(where), exist_ok=True)
        with open(where + ".new", "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        os.replace(where + ".new", where)
        written.append(where)
    ask_systemd(environ, "daemon-reload")
    for unit in units:
        ask_systemd(environ, "enable", "--now", unit)
    return written


def disable(environ: dict[str, str]) -> list[str]:
    """End what was enabled and take the units away. Returns their names, none where there was none."""
    ask_systemd(environ, "show-environment")
    there = [unit for unit in (UNIT, SYNC_UNIT) if os.path.lexists(unit_path(environ, unit))]
    for unit in there:
        ask_systemd(environ, "disable", "--now", unit)
        os.unlink(unit_path(environ, unit))
    if there:
        ask_systemd(environ, "daemon-reload")
    return there
