"""`lyts sync`: where the store's Syncthing is, and how its report is shown."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from shell.run import state_folder
from shell.text import count_text, size_text

if TYPE_CHECKING:
    from shell.app import App
    from shell.nodes import Standing
    from shell.output import Output
    from sync.syncthing.managed import Managed

WORDS = {
    "none": "not set up",
    "stopped": "not running",
    "crashed": "not running; it ended unexpectedly",
    "starting": "running, but it does not answer yet",
    "running": "running",
}


def store_name(root: str) -> str:
    """A short name for a store: several of one person have logs side by side."""
    return hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:8]


def managed_of(app: App) -> Managed:
    """The instance that belongs to the store of `app`, whether it is set up or not."""
    from sync.syncthing.managed import Managed
    from tagfs.layout import Layout
    from tagfs.store import this_machine

    layout = Layout(app.root)
    log = os.path.join(state_folder(dict(app.environ)), f"syncthing-{store_name(layout.root)}.log")
    return Managed(layout.syncthing, log, this_machine().boot_id())


def status_lines(found: Standing, output: Output) -> Iterator[str]:
    """What a person reads."""
    name, report = output.name, found.report
    life = found.life
    how = "not running" if life is None else f"{'running' if life.ready else 'starting'}, process {life.process.pid}"
    yield _row("daemon", how)
    whose = "lyts' own" if report.mode == "own" else "yours, attached"
    parts = [WORDS[report.state], report.version, whose, "" if report.pid is None else f"process {report.pid}"]
    yield _row("Syncthing", name(", ".join(part for part in parts if part)))
    if report.device_id:
        yield _row("device id", name(report.device_id))
    if report.url:
        yield _row("REST", name(report.url))
    if report.local_only is not None:
        yield _row("discovery", "off: this machine only" if report.local_only else "on: your devices find each other")
    for one in report.listening:
        yield _row("listening", name(one.address + (f" DOES NOT WORK: {one.error}" if one.error else "")))
    if report.home:
        yield _row("home", name(report.home))
        yield _row("log", name(report.log))
    if report.state != "running":
        return
    connected = sum(one.connected for one in report.peers)
    yield _row("devices", f"{connected} of {len(report.peers)} connected" if report.peers else "none yet")
    for peer in report.peers:
        how = f"connected, {peer.address}, {peer.version}" if peer.connected else "paused" if peer.paused else "away"
        yield f"  {name(peer.name or peer.device_id[:7])}: {name(how)}"
    yield _row("folders", count_text(len(report.folders), "folder") if report.folders else "none yet")
    for folder in report.folders:
        rest = f", {size_text(folder.need_bytes)} to fetch" if folder.need_bytes else ""
        wrong = f": {folder.error}" if folder.error else ""
        yield f"  {name(folder.label or folder.folder_id)}: {name(folder.state + rest + wrong)}"


def _row(what: str, text: str) -> str:
    return f"{what:<10}  {text}"


def status_object(found: Standing) -> dict[str, Any]:
    """What `--json` gives."""
    report, life = found.report, found.life
    return {
        "daemon": "stopped" if life is None else "running" if life.ready else "starting",
        "daemon_pid": None if life is None else life.process.pid,
        "daemon_log": found.log,
        "nodes": [row._asdict() for row in found.rows],
        "problems": found.problems,
        "mode": report.mode,
        "state": report.state,
        "problem": report.problem,
        "version": report.version,
        "device_id": report.device_id,
        "url": report.url,
        "pid": report.pid,
        "home": report.home,
        "log": report.log,
        "local_only": report.local_only,
        "started": report.started,
        "listening": [one._asdict() for one in report.listening],
        "devices": [one._asdict() for one in report.peers],
        "folders": [one._asdict() for one in report.folders],
    }
