"""Finding a Syncthing on this machine that is new enough, and how its command line is spoken.

Looked for in this order, the first that is new enough wins: `$LYTS_SYNCTHING` (then nowhere
else), PATH, and `tools/` of a checkout of lyts, where `scripts/syncthing` puts one.

Command lines, as found (1.27 to 1.29 run, 2.x read in its source):

| | 1.27 to 1.29 | 2.x |
|---|---|---|
| no default folder | `--no-default-folder` | there is none, and the option is gone |
| ports as they are | `--skip-port-probing` | `--no-port-probing` |
| one process | `STMONITORED=yes` | the same |
| `--home`, `--no-browser`, `--no-restart`, `--no-upgrade`, `--version` | the same | the same |
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sync.syncthing.errors import OLDEST, NoProgram, TooOld
from sync.syncthing.records import version_number

VARIABLE = "LYTS_SYNCTHING"
ASK_S = 20.0


class Program(NamedTuple):
    """A Syncthing that can be started. `number` is None for one that was built without a version."""

    path: str
    version: str
    number: tuple[int, int] | None

    def is_supported(self) -> bool:
        return self.number is None or self.number >= OLDEST

    def generate(self, home: str) -> list[str]:
        """The command that makes keys and settings in `home`."""
        return [self.path, "generate", f"--home={home}", *self._as_told()]

    def serve(self, home: str) -> list[str]:
        """The command that runs it, as one process that stays in the foreground."""
        return [self.path, "serve", f"--home={home}", "--no-browser", "--no-restart", "--no-upgrade", *self._as_told()]

    def _as_told(self) -> list[str]:
        if self.number is not None and self.number < (2, 0):
            return ["--no-default-folder", "--skip-port-probing"]
        return ["--no-port-probing"]


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What Syncthing is started with: nothing of a person's settings for another one, and no upgrades."""
    # STHOMEDIR, STGUIADDRESS, STGUIAPIKEY, STTRACE, ...: each would count more than our settings.
    kept = {key: value for key, value in environ.items() if not (key.startswith("ST") and key.isalnum())}
    return {**kept, "STNOUPGRADE": "1", "STMONITORED": "yes"}


def candidates(environ: Mapping[str, str]) -> Iterator[str]:
    """Paths at which there is a program, the one to prefer first."""
    given = environ.get(VARIABLE)
    if given:
        yield os.path.abspath(os.path.expanduser(given))
        return
    found = shutil.which("syncthing", path=environ.get("PATH", os.defpath))
    if found is not None:
        yield found
    taken = taken_path()
    if taken is not None and os.access(taken, os.X_OK):
        yield taken


def taken_path() -> str | None:
    """Where `scripts/syncthing` puts one; None where lyts is installed, and not a checkout."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if not os.path.exists(os.path.join(root, "scripts", "syncthing")):
        return None
    return os.path.join(root, "tools", "syncthing", "usr", "bin", "syncthing")


def ask_version(path: str) -> Program:
    """Ask a program what it is. Raises `NoProgram`."""
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=ASK_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise NoProgram(f"{path} does not run: {exc}") from None
    # syncthing v1.29.5 "Gold Grasshopper" (go1.24.2 linux-amd64) ...
    words = done.stdout.split()
    if done.returncode or len(words) < 2 or words[0] != "syncthing":
        raise NoProgram(f"{path} is not Syncthing")
    return Program(path, words[1], version_number(words[1]))


def find(environ: Mapping[str, str]) -> Program:
    """The Syncthing to start.

    Raises:
        NoProgram: there is none.
        TooOld: there is one, or several, and none is new enough.
    """
    first: NoProgram | TooOld | None = None
    for path in candidates(environ):
        try:
            program = ask_version(path)
        except NoProgram as exc:
            first = first or exc
            continue
        if program.is_supported():
            return program
        first = first or TooOld(program.version, path)
    raise first or NoProgram(f"none on PATH, and {VARIABLE} is not set")
