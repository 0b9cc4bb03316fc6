"""What `lyts doctor` says of Syncthing: is there one that is new enough, and is a store's own in order.

Looks only, and asks nothing over the network: `lyts sync status` does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from sync.syncthing import managed as own
from sync.syncthing.attached import read_attached
from sync.syncthing.errors import NoProgram, TooOld, oldest_text
from sync.syncthing.managed import Managed
from sync.syncthing.program import VARIABLE, find, taken_path
from tagfs.check.finding import Remark
from tagfs.errors import LytsError
from tagfs.layout import Layout

OK, NOTE, PROBLEM = "ok", "note", "problem"
TOPIC = "syncthing"


def examine(root: str, managed: Managed, environ: Mapping[str, str]) -> list[Remark]:
    """All remarks. A Syncthing that is missing is a note while the store needs none, else a problem."""
    layout = Layout(root)
    try:
        attached = read_attached(layout)
    except LytsError as exc:
        return [Remark(PROBLEM, TOPIC, str(exc), "set it right, or say it again with: lyts sync up --attach CONFIG")]
    out = list(_private(layout.sync_settings))
    how, _ = own.state(managed)
    if attached is not None:
        where = attached.config or attached.url
        out.append(Remark(OK, TOPIC, f"this store uses a Syncthing of yours ({where})", ""))
        return out
    out += _program(environ, needed=how != own.NONE)
    if how == own.NONE:
        return out
    out += _home(managed)
    if how == own.CRASHED:
        out.append(
            Remark(NOTE, TOPIC, "lyts' own Syncthing has ended unexpectedly", f"lyts sync up; it said: {managed.log}")
        )
    return out


def _program(environ: Mapping[str, str], *, needed: bool) -> Iterator[Remark]:
    level = PROBLEM if needed else NOTE
    try:
        program = find(environ)
    except (NoProgram, TooOld) as exc:
        what = (
            f"{exc.where} is Syncthing {exc.found}, and lyts needs {oldest_text()} or newer"
            if isinstance(exc, TooOld)
            else f"there is no Syncthing that could be started: {exc.looked}"
        )
        yield Remark(level, TOPIC, f"{what}; without it this store stays on this device", how_to_get())
    else:
        yield Remark(OK, TOPIC, f"Syncthing {program.version}, {program.path}", "")


def how_to_get() -> str:
    """How a person comes by a Syncthing that is new enough, on this machine."""
    script = (
        "" if taken_path() is None else "scripts/syncthing takes one into this checkout without touching the system; "
    )
    return (
        f"{script}Debian 13 and Ubuntu 24.04 have one that is new enough (apt install syncthing), Debian 12 has not; "
        f"others are on Syncthing's own site. If it is not on PATH: {VARIABLE}=/path/to/syncthing"
    )


def _home(managed: Managed) -> Iterator[Remark]:
    if os.stat(managed.home).st_mode & 0o077:
        yield Remark(
            PROBLEM, TOPIC, f"others on this machine may look into {managed.home}", f"chmod 700 {managed.home}"
        )
    for name in ("config.xml", "key.pem", "gui-password"):
        yield from _private(os.path.join(managed.home, name))


def _private(path: str) -> Iterator[Remark]:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if mode & 0o077:
        yield Remark(PROBLEM, TOPIC, f"others on this machine may read {path}, and it holds a key", f"chmod 600 {path}")
