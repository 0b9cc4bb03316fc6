"""How the Syncthing of a store is: what `lyts sync status` shows, as values. The API key is not among them."""

from __future__ import annotations

from typing import NamedTuple

from sync.syncthing import managed as own
from sync.syncthing.attached import connect, read_attached
from sync.syncthing.config import FolderConfig
from sync.syncthing.errors import BadAnswer, FolderNotKnown, NotReachable, SyncthingError
from sync.syncthing.home import device_id_of, read_config
from sync.syncthing.managed import Managed
from sync.syncthing.records import Connection, FolderStatus
from tagfs.layout import Layout

OWN, ATTACHED = "own", "attached"


class Peer(NamedTuple):
    """Another device."""

    device_id: str
    name: str
    connected: bool
    paused: bool
    address: str
    version: str
    in_bytes: int
    out_bytes: int
    last_seen: str = ""
    """RFC 3339; "" for never."""


class Folder(NamedTuple):
    """A folder. The counts are 0 while it is paused."""

    folder_id: str
    label: str
    type: str
    path: str
    paused: bool
    state: str
    need_bytes: int
    global_bytes: int
    error: str


class Listening(NamedTuple):
    """An address on which it listens; `error` is "" where it does."""

    address: str
    error: str


class Report(NamedTuple):
    """The whole. `state` is none, stopped, crashed, starting or running; lists are empty unless it runs."""

    mode: str
    state: str
    problem: str
    """Why it is not running, or what is wrong, in a sentence; "" for nothing."""
    url: str
    version: str
    device_id: str
    pid: int | None
    home: str
    log: str
    local_only: bool | None
    started: str
    listening: tuple[Listening, ...] = ()
    peers: tuple[Peer, ...] = ()
    folders: tuple[Folder, ...] = ()


def report(layout: Layout, managed: Managed) -> Report:
    """Look at the Syncthing of a store, and ask it if it runs. Raises nothing but `LytsError` of damaged settings."""
    attached = read_attached(layout)
    if attached is not None:
        address, _ = attached.target()
        bare = Report(ATTACHED, own.STOPPED, "", str(address), "", "", None, "", "", None, "")
    else:
        how, pid = own.state(managed)
        if how == own.NONE:
            return Report(OWN, how, "", "", "", "", None, managed.home, managed.log, None, "")
        config = read_config(own.config_path(managed.home))
        bare = Report(
            OWN, how, "", str(config.address), "", device_id_of(managed.home), pid, managed.home, managed.log,
            config.local_only, "",
        )  # fmt: skip
    return _asked(layout, bare)


def _asked(layout: Layout, bare: Report) -> Report:
    try:
        with connect(layout) as syncthing:
            status = syncthing.status()
            if bare.mode == OWN and status.my_id != bare.device_id:
                return bare._replace(problem=f"another Syncthing answers at {bare.url}")
            version = syncthing.version()
            connections = syncthing.connections().connections
            seen = syncthing.last_seen()
            options = syncthing.options()
            devices = {one.device_id: one for one in syncthing.devices()}
            folders = []
            for one in syncthing.folders():
                try:
                    now = syncthing.folder_status(one.id)
                except FolderNotKnown:  # removed meanwhile
                    continue
                folders.append(_folder(one, now))
    except NotReachable as exc:
        if bare.mode == ATTACHED:
            return bare._replace(problem=str(exc))
        # Its process is there: it is coming up, or has too much to do to answer.
        return bare._replace(state=own.STARTING if bare.state == own.RUNNING else bare.state)
    except (SyncthingError, BadAnswer) as exc:
        return bare._replace(problem=str(exc))
    return bare._replace(
        state=own.RUNNING,
        version=version.version,
        device_id=status.my_id,
        local_only=not (options.global_announce or options.local_announce or options.relays or options.nat),
        started=status.start_time,
        listening=tuple(Listening(at, how.error or "") for at, how in sorted(status.listeners.items())),
        peers=tuple(
            _peer(device, devices[device].name if device in devices else "", one, seen.get(device, ""))
            for device, one in sorted(connections.items())
            if device != status.my_id
        ),
        folders=tuple(folders),
    )


def _peer(device_id: str, name: str, one: Connection, seen: str) -> Peer:
    return Peer(
        device_id, name, one.connected, one.paused, one.address, one.client_version, one.in_bytes, one.out_bytes, seen
    )


def _folder(one: FolderConfig, now: FolderStatus) -> Folder:
    how = "paused" if one.paused else now.state
    return Folder(one.id, one.label, one.type, one.path, one.paused, how, now.need_bytes, now.global_bytes, now.error)
