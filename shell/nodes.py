"""How syncing is on this device, as `lyts sync` and `lyts node` show it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tagfs.errors import BadRequest

if TYPE_CHECKING:
    from shell.app import App
    from shell.output import Output
    from sync.life import Life
    from sync.nodes import NodeInfo
    from sync.roster import Row
    from sync.syncthing.report import Report


class Standing(NamedTuple):
    """The whole. `log` is the daemon's."""

    report: Report
    life: Life | None
    log: str
    nodes: dict[str, NodeInfo]
    rows: list[Row]
    problems: list[str]

    @property
    def runs(self) -> bool:
        return self.report.state == "running" and self.life is not None


def look(app: App) -> Standing:
    """Look at the daemon, Syncthing and the nodes. Raises `NoStore` and its kin."""
    from shell.service import log_path
    from shell.syncing import managed_of
    from sync.life import life
    from sync.myself import all_nodes
    from sync.roster import problems, roster
    from sync.syncthing.report import report
    from tagfs.layout import Layout

    layout = Layout(app.root)
    store = app.store
    found, alive = report(layout, managed_of(app)), life(layout)
    nodes = all_nodes(store)
    runs = found.state == "running"
    peers = {peer.device_id: peer for peer in found.peers} if runs else None
    rows = roster(store.node, found.device_id, nodes, peers)
    wrong = [found.problem] if found.problem else []
    if alive is not None and alive.problem:
        wrong.append(f"the sync daemon: {alive.problem}")
    if runs and alive is None:
        wrong.append("the sync daemon does not run, so nothing is told to Syncthing: lyts sync up")
    wrong += problems(store.node, found.device_id, nodes)
    wrong += [f"{one.label or one.folder_id}: {one.error}" for one in found.folders if one.error]
    return Standing(found, alive, log_path(app), nodes, rows, wrong)


_STATES = {
    "here": "this device",
    "connected": "connected",
    "away": "away",
    "paused": "paused in Syncthing",
    "joining": "not connected yet",
    "apart": "not accepted by a device that this one trusts to introduce others",
    "unknown": "",
}


def node_line(row: Row, output: Output) -> str:
    """A node as a person reads it."""
    how = _STATES[row.state]
    if row.state == "away" and row.last_seen:
        how = f"away, last seen {_time(row.last_seen)}"
    parts = [row.alias, how, "" if row.introduces else "introduces nobody", row.guid[:8]]
    return output.name(", ".join(part for part in parts if part))


def _time(text: str) -> str:
    try:
        at = (
            datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
            if text.endswith("Z")
            else datetime.fromisoformat(text)
        )
    except ValueError:
        return text
    return at.astimezone().strftime("%Y-%m-%d %H:%M")


def node_object(row: Row) -> dict[str, Any]:
    """What `--json` gives."""
    return row._asdict()


def named_node(text: str, nodes: dict[str, NodeInfo]) -> NodeInfo:
    """The node that a person means: by its name, or the beginning of its id. Raises `BadRequest`."""
    standing = [node for node in nodes.values() if not node.gone]
    for fits in (
        [node for node in standing if node.alias == text],
        [node for node in standing if node.alias.casefold() == text.casefold()],
        [node for node in standing if len(text) >= 4 and node.guid.startswith(text.lower())],
    ):
        if len(fits) == 1:
            return fits[0]
        if fits:
            ids = ", ".join(node.guid[:8] for node in fits)
            raise BadRequest(f"several devices are meant by {text!r}; name one by its id: {ids}")
    names = ", ".join(sorted(node.alias for node in standing))
    raise BadRequest(f"there is no device {text!r}; there are: {names}")
