"""A thin typed client of Syncthing's REST interface: the calls that lyts makes, and no others.

    with Syncthing(read_address("http://127.0.0.1:8384"), Key(...)) as syncthing:
        syncthing.check_supported()
        syncthing.scan("lyts-...", ["20261122T101056.123Z.jsonl"])

Rules:

- Synchronous, and safe to use from several threads at once: the loop of the daemon waits for
  events in a thread of its own.
- Every error is one of `sync.syncthing.errors`; nothing of httpx comes out of here.
- The API key goes into the header of a request and nowhere else. Proxies of the environment
  are not used, redirects not followed: both would carry it away.
- PUT of a list is one change of the settings, whatever its length; no restart is needed.

Caveats, as found (1.29.5):

- PUT of a list adds and replaces, and removes nothing.
- `revert` of an unknown folder says yes and does nothing, so the folder is looked up first.
- `scan` returns when the scan has ended. A path that it is asked for and that does not exist is taken for
  deleted, which is right only where it was deleted.
- A folder that was just made scans itself first; nothing is known of its files before.
- Events after a number that is higher than any are waited for in vain, so after a restart
  of Syncthing: compare `SystemStatus.start_time`.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec

from sync.syncthing.address import Address, Key
from sync.syncthing.config import DeviceConfig, FolderConfig, Options
from sync.syncthing.errors import (
    OLDEST,
    BadAnswer,
    DeviceNotKnown,
    FolderNotKnown,
    FolderPaused,
    FolderStopped,
    NotReachable,
    Refused,
    SyncthingError,
    TookTooLong,
    TooOld,
    WrongKey,
)
from sync.syncthing.records import (
    Connections,
    DeviceStatistics,
    Entry,
    Event,
    FileStatus,
    FolderError,
    FolderErrors,
    FolderStatus,
    PendingDevice,
    PendingFolder,
    SystemStatus,
    Version,
)

# One line a request at INFO is nothing that the log of a daemon has a use for.
logging.getLogger("httpx").setLevel(logging.WARNING)

T = TypeVar("T")

ANSWER_S = 30.0
"""How long an answer may take that needs no disk."""
SCAN_S = 3600.0
"""A scan reads all that is new: 4 GB took 25 s, a slow disk full of films takes longer."""
URL_BYTES = 60_000
"""So much of sub paths a request; Go's server takes a megabyte of headers."""

NEVER = ("1970-", "1969-")
"""A device that was never connected was last seen when time began, in whatever time zone."""

_NO_FOLDER = ("no such folder", "No folder with given ID")
_NO_DEVICE = ("No device with given ID",)
_NO_FILE = "No such object in the index"
_PAUSED = "folder is paused"


class Syncthing:
    """One Syncthing."""

    def __init__(self, address: Address, key: Key, *, answer_s: float = ANSWER_S) -> None:
        self.address = address
        self._key = key
        self._answer_s = answer_s
        self._http = httpx.Client(
            base_url=address.url,
            transport=_transport(address),
            auth=_KeyHeader(key),
            timeout=answer_s,
            follow_redirects=False,
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"Syncthing({str(self.address)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. A call that waits in another thread ends with `NotReachable`."""
        self._http.close()

    # -- the instance --------------------------------------------------------------

    def ping(self) -> None:
        """Raises `NotReachable`, `WrongKey`, `BadAnswer`; nothing if all is well."""
        self._get("system/ping", dict[str, str])

    def version(self) -> Version:
        return self._get("system/version", Version)

    def check_supported(self) -> Version:
        """The version. Raises `TooOld`; one that was built without a number is taken as new enough."""
        found = self.version()
        number = found.number()
        if number is not None and number < OLDEST:
            raise TooOld(found.version, str(self.address))
        return found

    def status(self) -> SystemStatus:
        return self._get("system/status", SystemStatus)

    def connections(self) -> Connections:
        return self._get("system/connections", Connections)

    def last_seen(self) -> dict[str, str]:
        """When each device was last connected, by its id; "" for never."""
        found = self._get("stats/device", dict[str, DeviceStatistics])
        return {one: "" if stats.last_seen.startswith(NEVER) else stats.last_seen for one, stats in found.items()}

    def restart(self) -> None:
        """With `--no-restart` (as in a managed instance) the process ends with status 3 instead."""
        self._ask("POST", "system/restart")

    def shutdown(self) -> None:
        """Ask it to end; it answers before it has."""
        self._ask("POST", "system/shutdown")

    # -- settings ------------------------------------------------------------------

    def folders(self) -> list[FolderConfig]:
        return [FolderConfig.read(one) for one in self._get("config/folders", list[Any])]

    def set_folders(self, folders: Sequence[FolderConfig]) -> None:
        """Make or replace many folders by one change. One that is not in the list stays as it is (`remove_folder`)."""
        self._ask("PUT", "config/folders", json=[one.written() for one in folders])

    def folder(self, folder: str) -> FolderConfig:
        """Raises `FolderNotKnown`."""
        return FolderConfig.read(self._get(_path("config/folders", folder), dict[str, Any], folder=folder))

    def set_folder(self, folder: FolderConfig) -> None:
        """Make a folder, or replace its settings."""
        self._ask("PUT", _path("config/folders", folder.id), json=folder.written(), folder=folder.id)

    def change_folder(self, folder: str, **keys: Any) -> None:
        """Set some keys, as Syncthing spells them: `change_folder(id, paused=True)`. Raises `FolderNotKnown`."""
        self._ask("PATCH", _path("config/folders", folder), json=keys, folder=folder)

    def remove_folder(self, folder: str) -> None:
        """Forget a folder; its files stay on the disk. One that is not there is no error."""
        self._ask("DELETE", _path("config/folders", folder), folder=folder)

    def devices(self) -> list[DeviceConfig]:
        """All devices, this one among them."""
        return [DeviceConfig.read(one) for one in self._get("config/devices", list[Any])]

    def set_devices(self, devices: Sequence[DeviceConfig]) -> None:
        """Make or replace many devices by one change. One that is not in the list stays as it is."""
        self._ask("PUT", "config/devices", json=[one.written() for one in devices])

    def device(self, device: str) -> DeviceConfig:
        """Raises `DeviceNotKnown`."""
        return DeviceConfig.read(self._get(_path("config/devices", device), dict[str, Any], device=device))

    def set_device(self, device: DeviceConfig) -> None:
        self._ask("PUT", _path("config/devices", device.device_id), json=device.written(), device=device.device_id)

    def change_device(self, device: str, **keys: Any) -> None:
        """Set some keys, as Syncthing spells them. Raises `DeviceNotKnown`."""
        self._ask("PATCH", _path("config/devices", device), json=keys, device=device)

    def remove_device(self, device: str) -> None:
        """Forget a device, in all folders as well. One that is not there is no error."""
        self._ask("DELETE", _path("config/devices", device), device=device)

    def options(self) -> Options:
        return Options.read(self._get("config/options", dict[str, Any]))

    def change_options(self, **keys: Any) -> None:
        """Set some keys, as Syncthing spells them: `change_options(reconnectionIntervalS=5)`."""
        self._ask("PATCH", "config/options", json=keys)

    # -- folders at work -------------------------------------------------------------

    def scan(self, folder: str, sub: Sequence[str] | None = None, *, timeout_s: float = SCAN_S) -> None:
        """Have a folder looked at, or only these paths in it; returns when that is done.

        Many paths are asked for in portions; a path that is a directory stands for all below it. An empty
        sequence is nothing to look at, not everything.

        Raises:
            FolderNotKnown, FolderPaused, FolderStopped.
            TookTooLong: the scan goes on all the same.
        """
        for some in [()] if sub is None else _portions(sub):
            params = {"folder": folder, **({"sub": list(some)} if some else {})}
            self._ask("POST", "db/scan", params=params, folder=folder, timeout_s=timeout_s)

    def file(self, folder: str, name: str) -> FileStatus | None:
        """What is known of a name; None where the folder never had it. Raises `FolderNotKnown` (also if paused)."""
        try:
            return self._get("db/file", FileStatus, params={"folder": folder, "file": name}, folder=folder)
        except Refused as exc:
            if exc.status == 404 and exc.said.startswith(_NO_FILE):
                return None
            raise

    def folder_status(self, folder: str) -> FolderStatus:
        """Raises `FolderNotKnown`."""
        return self._get("db/status", FolderStatus, params={"folder": folder}, folder=folder)

    def revert(self, folder: str) -> None:
        """Take back what was changed here in a receive-only folder; goes on after this returns.

        What was added is deleted, to the versioning of the folder; what was changed or deleted is fetched again.

        Raises `FolderNotKnown`.
        """
        self.folder_status(folder)
        self._ask("POST", "db/revert", params={"folder": folder}, folder=folder)

    def browse(self, folder: str, prefix: str = "", levels: int | None = None) -> list[Entry]:
        """What the folder has below `prefix`, from the index; `levels` 0 without what is below that."""
        params: dict[str, Any] = {"folder": folder}
        if prefix:
            params["prefix"] = prefix
        if levels is not None:
            params["levels"] = levels
        return self._get("db/browse", list[Entry], params=params, folder=folder)

    def folder_errors(self, folder: str) -> list[FolderError]:
        """Files that could not be scanned or fetched. Raises `FolderNotKnown`, `FolderPaused`."""
        return self._get("folder/errors", FolderErrors, params={"folder": folder}, folder=folder).errors or []

    # -- what happens ----------------------------------------------------------------

    def events(
        self, since: int, types: Sequence[str] = (), *, timeout_s: float = 60.0, limit: int | None = None
    ) -> list[Event]:
        """Events after the id `since`; waits up to `timeout_s` for the first, and gives [] if none comes.

        Args:
            since: 0 for all that Syncthing still has (the last thousand of these types).
            types: `ItemFinished`, ...; () for all that are given without being asked for.
            limit: only so many, the newest.

        Syncthing keeps events for each list of types apart, from the first time it is asked for: ids are
        comparable only between calls with the same types.
        """
        return self._events("events", since, types, timeout_s, limit)

    def disk_events(self, since: int, *, timeout_s: float = 60.0, limit: int | None = None) -> list[Event]:
        """The same for `LocalChangeDetected` and `RemoteChangeDetected`: each file that changed, and who did it."""
        return self._events("events/disk", since, (), timeout_s, limit)

    def _events(self, path: str, since: int, types: Sequence[str], timeout_s: float, limit: int | None) -> list[Event]:
        # Syncthing takes whole seconds, and reads 0 as "do not wait".
        params: dict[str, Any] = {"since": since, "timeout": int(timeout_s)}
        if types:
            params["events"] = ",".join(types)
        if limit is not None:
            params["limit"] = limit
        return self._get(path, list[Event], params=params, timeout_s=timeout_s + self._answer_s)

    # -- who wants what ----------------------------------------------------------------

    def pending_devices(self) -> dict[str, PendingDevice]:
        """Devices that wanted to connect and are not known, by device id."""
        return self._get("cluster/pending/devices", dict[str, PendingDevice])

    def pending_folders(self) -> dict[str, PendingFolder]:
        """Folders that known devices offer and we do not have, by folder id."""
        return self._get("cluster/pending/folders", dict[str, PendingFolder])

    def dismiss_device(self, device: str) -> None:
        """Forget that a device wanted to connect; it comes back when it tries again."""
        self._ask("DELETE", "cluster/pending/devices", params={"device": device}, device=device)

    def dismiss_folder(self, folder: str, device: str | None = None) -> None:
        """Forget the offer of a folder, by one device or all; it comes back when it is offered anew."""
        params = {"folder": folder} | ({} if device is None else {"device": device})
        self._ask("DELETE", "cluster/pending/folders", params=params, folder=folder)

    # -- one question --------------------------------------------------------------------

    def _get(self, path: str, kind: type[T], **options: Any) -> T:
        body = self._ask("GET", path, **options)
        if body.strip() == b"null":  # Go's word for an empty list or object
            body = b"[]" if getattr(kind, "__origin__", None) is list else b"{}"
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as exc:
            raise BadAnswer(f"GET {path}", str(exc)) from None

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        folder: str = "",
        device: str = "",
        timeout_s: float | None = None,
    ) -> bytes:
        what = f"{method} {path}"
        wait_s = self._answer_s if timeout_s is None else timeout_s
        timeout = httpx.Timeout(self._answer_s, read=wait_s)
        content = None if json is None else msgspec.json.encode(json)
        # Raised from None: httpx's errors hold the request, and that the key.
        try:
            answer = self._http.request(
                method,
                f"/rest/{path}",
                params=params,
                content=content,
                headers={"Content-Type": "application/json"} if content is not None else None,
                timeout=timeout,
            )
        except httpx.ConnectTimeout:
            raise NotReachable(str(self.address), f"no connection within {self._answer_s:g} s") from None
        except httpx.TimeoutException:
            raise TookTooLong(what, wait_s) from None
        except httpx.HTTPError as exc:
            raise NotReachable(str(self.address), str(exc) or type(exc).__name__) from None
        except RuntimeError:  # httpx's word for: closed, by another thread
            raise NotReachable(str(self.address), "lyts has closed the connection") from None
        if answer.status_code // 100 == 2:
            return answer.content
        raise _refusal(what, answer.status_code, answer.text.strip()[:500], str(self.address), folder, device)


def _refusal(what: str, status: int, said: str, where: str, folder: str, device: str) -> SyncthingError:
    if status in (401, 403) and not said.startswith("Host check"):
        return WrongKey(where)
    if folder:
        if said.startswith(_NO_FOLDER):
            return FolderNotKnown(folder)
        if said.startswith(_PAUSED):
            return FolderPaused(folder)
        if status == 500 and what.startswith("POST db/scan"):
            return FolderStopped(folder, said)
    if device and said.startswith(_NO_DEVICE):
        return DeviceNotKnown(device)
    return Refused(what, status, said)


class _KeyHeader(httpx.Auth):
    """Puts the key into a request as it leaves, so that no object that could be shown holds it."""

    def __init__(self, key: Key) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["X-API-Key"] = self._key.reveal()
        yield request


def _transport(address: Address) -> httpx.HTTPTransport:
    """On this machine the certificate is one that Syncthing made itself, and proves nothing; elsewhere it counts."""
    if address.socket is not None:
        return httpx.HTTPTransport(uds=address.socket, trust_env=False)
    if address.url.startswith("http:"):
        # Without a context httpx would load all certificates of the machine: 20 ms.
        return httpx.HTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False)
    if address.remote:
        return httpx.HTTPTransport(verify=ssl.create_default_context(), trust_env=False)
    unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    return httpx.HTTPTransport(verify=unchecked, trust_env=False)


def _path(base: str, one: str) -> str:
    from urllib.parse import quote

    return f"{base}/{quote(one, safe='')}"


def _portions(sub: Sequence[str]) -> Iterator[tuple[str, ...]]:
    from urllib.parse import quote

    some: list[str] = []
    size = 0
    for one in sub:
        cost = len(quote(one, safe="")) + 5
        if some and size + cost > URL_BYTES:
            yield tuple(some)
            some, size = [], 0
        some.append(one)
        size += cost
    if some:
        yield tuple(some)
