"""A Syncthing within the test's process, for tests of what talks to one: a real HTTP server, real folders.

    with FakeSyncthing(tmp_path) as fake:
        syncthing = Syncthing(fake.address, fake.key)
        ...                                            # folders on the disk are scanned, as asked
        fake.arrive("F", "a.txt", b"...", LAPTOP)      # another device changed a file
        fake.offer(LAPTOP, "G", "photos")              # another device shares a folder
        fake.hang, fake.refuse_next                    # trouble

It passes the same tests as the real one (tests/contract/test_syncthing.py). What it does not do:

- There is no network: other devices are what a test says of them (`arrive`, `offer`, `knock`,
  `connect`). Nothing that changes here reaches anybody; two fakes do not exchange bytes.
- Everything happens at once. A folder is never `scanning` or `syncing`; replacing a file is
  atomic, which it is not in truth: a reader can find no file for a moment.
- It makes no conflict copies, and knows no ignore patterns, symbolic links, encryption or watching:
  a change on the disk is seen by a scan that is asked for, at the start, or never.
- Versions of a file are compared for being equal, not for which is newer.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from sync.syncthing.address import Address, Key, read_address
from sync.syncthing.deviceid import device_id
from tests.support.fake_folder import FakeFolder, stamp

DISK_EVENTS = frozenset({"LocalChangeDetected", "RemoteChangeDetected"})
BUFFERED = 1000


def a_device_id(seed: str) -> str:
    """A device id that is valid and nobody's."""
    return device_id(hashlib.sha256(seed.encode()).digest())


FOLDER_DEFAULTS: dict[str, Any] = {
    "id": "", "label": "", "filesystemType": "basic", "path": "", "type": "sendreceive", "devices": [],
    "rescanIntervalS": 3600, "fsWatcherEnabled": True, "fsWatcherDelayS": 10, "fsWatcherTimeoutS": 0,
    "ignorePerms": False, "autoNormalize": True, "minDiskFree": {"value": 1, "unit": "%"},
    "versioning": {"type": "", "params": {}, "cleanupIntervalS": 3600, "fsPath": "", "fsType": "basic"},
    "copiers": 0, "pullerMaxPendingKiB": 0, "hashers": 0, "order": "random", "ignoreDelete": False,
    "maxConflicts": 10, "disableSparseFiles": False, "disableTempIndexes": False, "paused": False,
    "markerName": ".stfolder", "copyOwnershipFromParent": False, "modTimeWindowS": 0, "maxConcurrentWrites": 2,
    "disableFsync": False, "caseSensitiveFS": False, "syncOwnership": False, "sendOwnership": False,
    "syncXattrs": False, "sendXattrs": False,
}  # fmt: skip
DEVICE_DEFAULTS: dict[str, Any] = {
    "deviceID": "", "name": "", "addresses": ["dynamic"], "compression": "metadata", "certName": "",
    "introducer": False, "skipIntroductionRemovals": False, "introducedBy": "", "paused": False,
    "allowedNetworks": [], "autoAcceptFolders": False, "maxSendKbps": 0, "maxRecvKbps": 0, "ignoredFolders": [],
    "maxRequestKiB": 0, "untrusted": False, "remoteGUIPort": 0, "numConnections": 0,
}  # fmt: skip
OPTION_DEFAULTS: dict[str, Any] = {
    "listenAddresses": ["tcp://127.0.0.1:22000"], "globalAnnounceEnabled": False, "localAnnounceEnabled": False,
    "relaysEnabled": False, "natEnabled": False, "reconnectionIntervalS": 5, "urAccepted": -1, "startBrowser": False,
    "minHomeDiskFree": {"value": 1, "unit": "%"},
}  # fmt: skip


class Answer(Exception):
    """A status and a text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class FakeSyncthing:
    """One Syncthing. Its methods may be called from any thread.

    Args:
        version: what it says it is.
        more_folder_keys: settings of a folder that a newer version has.
    """

    def __init__(self, *, version: str = "v1.29.5", more_folder_keys: dict[str, Any] | None = None) -> None:
        self.version = version
        self.own_id = a_device_id("fake")
        self.key = Key("a-key-that-nothing-may-show")
        self.hang = threading.Event()
        """While it is set, no question is answered; `close` ends that."""
        self.refuse_next: tuple[int, str] | None = None
        self.asked: list[tuple[str, str]] = []
        """Each question: method, and path with parameters."""
        self.shut_down = False
        self._defaults = FOLDER_DEFAULTS | (more_folder_keys or {})
        self._changed = threading.Condition(threading.RLock())
        self._devices = {self.own_id: DEVICE_DEFAULTS | {"deviceID": self.own_id, "name": "fake"}}
        self._options = dict(OPTION_DEFAULTS)
        self._folders: dict[str, FakeFolder] = {}
        self._pending_devices: dict[str, dict[str, str]] = {}
        self._pending_folders: dict[str, dict[str, dict[str, Any]]] = {}
        self._connected: dict[str, str] = {}
        with self._changed:
            self._begin()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.address: Address = read_address(f"http://127.0.0.1:{self._server.server_port}")
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.01), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.hang.clear()
        with self._changed:
            self.shut_down = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _begin(self) -> None:
        self.start_time = stamp(time.time_ns())
        self._event_number = 0
        # One stream for each list of types, from when it is first asked for.
        self._streams: dict[frozenset[str], list[dict[str, Any]]] = {frozenset(): [], DISK_EVENTS: []}
        self._emit("Starting", {"home": "", "myID": self.own_id})

    # -- what other devices do -------------------------------------------------------

    def restart(self) -> None:
        """As after a crash: settings and index are there, event ids begin again."""
        with self._changed:
            self._begin()
            self._changed.notify_all()

    def arrive(
        self, folder: str, name: str, data: bytes | None, device: str, mtime_ns: int = 1_700_000_000_000_000_000
    ) -> None:
        """A device's newer version of a file was announced and fetched; None: it deleted it."""
        with self._changed:
            one = self._running(folder)
            self._emit(
                "RemoteIndexUpdated", {"folder": folder, "device": device, "items": 1, "sequence": 0, "version": 0}
            )
            item = {"folder": folder, "item": name, "type": "file", "action": "delete" if data is None else "update"}
            self._emit("ItemStarted", item)
            one.arrive(name, data, device, mtime_ns)
            self._emit("ItemFinished", item | {"error": None})
            self._emit_disk("RemoteChangeDetected", folder, "deleted" if data is None else "modified", name, device)
            self._emit_local(folder, [name])

    def offer(self, device: str, folder: str, label: str) -> None:
        """A known device shares a folder that is not here."""
        with self._changed:
            told = {"time": stamp(time.time_ns()), "label": label, "receiveEncrypted": False, "remoteEncrypted": False}
            self._pending_folders.setdefault(folder, {})[device] = told
            self._emit(
                "PendingFoldersChanged", {"added": [{"folderID": folder, "deviceID": device, "folderLabel": label}]}
            )

    def knock(self, device: str, name: str, address: str = "127.0.0.1:40000") -> None:
        """A device that is not known wants to connect."""
        with self._changed:
            self._pending_devices[device] = {"time": stamp(time.time_ns()), "name": name, "address": address}
            self._emit("PendingDevicesChanged", {"added": [{"deviceID": device, "name": name, "address": address}]})

    def connect(self, device: str, address: str = "127.0.0.1:40000") -> None:
        with self._changed:
            self._connected[device] = address
            self._emit("DeviceConnected", {"id": device, "addr": address, "deviceName": "", "type": "tcp-client"})

    def disconnect(self, device: str) -> None:
        with self._changed:
            del self._connected[device]
            self._emit("DeviceDisconnected", {"id": device, "error": "closed"})

    # -- events ------------------------------------------------------------------------

    def _emit(self, kind: str, data: dict[str, Any]) -> None:
        self._event_number += 1
        for types, stream in self._streams.items():
            if kind in types or (not types and kind not in DISK_EVENTS):
                number = stream[-1]["id"] + 1 if stream else 1
                stream.append(
                    {
                        "id": number,
                        "globalID": self._event_number,
                        "time": stamp(time.time_ns()),
                        "type": kind,
                        "data": data,
                    }
                )
                del stream[:-BUFFERED]
        self._changed.notify_all()

    def _emit_disk(self, kind: str, folder: str, action: str, name: str, device: str) -> None:
        label = self._folders[folder].config["label"]
        self._emit(
            kind,
            {"action": action, "folder": folder, "folderID": folder, "label": label, "modifiedBy": device[:7],
             "path": name, "type": "file"},
        )  # fmt: skip

    def _emit_local(self, folder: str, names: list[str]) -> None:
        at = self._folders[folder].sequence
        self._emit(
            "LocalIndexUpdated",
            {"folder": folder, "items": len(names), "filenames": names, "sequence": at, "version": at},
        )

    def _events(self, types: frozenset[str], query: dict[str, list[str]]) -> list[dict[str, Any]]:
        since = int(query.get("since", ["0"])[0])
        until = time.monotonic() + int(query.get("timeout", ["60"])[0])
        stream = self._streams.setdefault(types, [])
        while not (found := [one for one in stream if one["id"] > since]):
            left = until - time.monotonic()
            if left <= 0 or self.shut_down:
                break
            self._changed.wait(left)
            stream = self._streams.setdefault(types, [])
        limit = int(query.get("limit", ["0"])[0])
        return found[-limit:] if limit else found

    # -- answering ------------------------------------------------------------------------

    def answer(self, method: str, target: str, key: str | None, body: bytes) -> tuple[int, str, Any]:
        """Status, kind of content, and content of the answer to a question."""
        parts = urlsplit(target)
        self.asked.append((method, target))
        while self.hang.is_set() and not self.shut_down:
            with self._changed:
                self._changed.wait(0.01)
        if key != self.key.reveal():
            return 403, "text/plain; charset=utf-8", "CSRF Error\n" if key else "Not Authorized\n"
        path = [unquote(one) for one in parts.path.removeprefix("/rest/").split("/")]
        try:
            with self._changed:
                if self.refuse_next is not None:
                    refused, self.refuse_next = self.refuse_next, None
                    raise Answer(*refused)
                return 200, "application/json; charset=utf-8", self._answer(method, path, parse_qs(parts.query), body)
        except Answer as exc:
            return exc.status, "text/plain; charset=utf-8", exc.text + "\n"

    def _answer(self, method: str, path: list[str], query: dict[str, list[str]], body: bytes) -> Any:
        where = "/".join(path[:2])
        if where in ("config/folders", "config/devices", "config/options"):
            return self._config(method, path[1], path[2] if len(path) > 2 else None, body)
        calls: dict[tuple[str, str], Callable[[], Any]] = {
            ("GET", "system/ping"): lambda: {"ping": "pong"},
            ("GET", "system/version"): lambda: {
                "version": self.version, "longVersion": f"syncthing {self.version}", "os": "linux", "arch": "amd64"
            },
            ("GET", "system/status"): self._status,
            ("GET", "system/connections"): self._connections,
            ("GET", "stats/device"): self._statistics,
            ("POST", "system/shutdown"): self._shutdown,
            ("POST", "system/restart"): lambda: (self.restart(), {"ok": "restarting"})[1],
            ("GET", "cluster/pending/devices"): lambda: self._pending_devices,
            ("GET", "cluster/pending/folders"): lambda: {
                folder: {"offeredBy": offers} for folder, offers in self._pending_folders.items()
            },
            ("DELETE", "cluster/pending/devices"): lambda: self._pending_devices.pop(query["device"][0], None) and None,
            ("DELETE", "cluster/pending/folders"): lambda: self._dismiss(query),
            ("GET", "events"): lambda: self._events(
                frozenset(one for one in query.get("events", [""])[0].split(",") if one), query
            ),
            ("GET", "events/disk"): lambda: self._events(DISK_EVENTS, query),
            ("POST", "db/scan"): lambda: self._scan(query),
            ("POST", "db/revert"): lambda: self._revert(query["folder"][0]),
            ("GET", "db/status"): lambda: self._folder_status(query["folder"][0]),
            ("GET", "db/file"): lambda: self._file(query["folder"][0], query["file"][0]),
            ("GET", "db/browse"): lambda: self._running(query["folder"][0], 500).browse(
                query.get("prefix", [""])[0], int(query.get("levels", ["-1"])[0])
            ),
            ("GET", "folder/errors"): lambda: self._folder_errors(query["folder"][0]),
        }  # fmt: skip
        call = calls.get((method, "/".join(path)))
        if call is None:
            raise Answer(404, "404 page not found")
        return call()

    def _status(self) -> dict[str, Any]:
        listening = {one: {"error": None, "lanAddresses": [one], "wanAddresses": [one]}
                     for one in self._options["listenAddresses"]}  # fmt: skip
        return {
            "myID": self.own_id, "startTime": self.start_time, "uptime": 1, "goroutines": 40, "alloc": 30_000_000,
            "connectionServiceStatus": listening, "tilde": "/", "pathSeparator": "/",
        }  # fmt: skip

    def _connections(self) -> dict[str, Any]:
        def told(device: str) -> dict[str, Any]:
            address = self._connected.get(device, "")
            return {
                "at": stamp(time.time_ns()), "inBytesTotal": 0, "outBytesTotal": 0, "connected": bool(address),
                "paused": self._devices[device]["paused"], "address": address, "type": "tcp-client" if address else "",
                "clientVersion": self.version if address else "",
            }  # fmt: skip

        return {
            "total": {"at": stamp(time.time_ns()), "inBytesTotal": 0, "outBytesTotal": 0},
            "connections": {one: told(one) for one in self._devices if one != self.own_id},
        }

    def _statistics(self) -> dict[str, Any]:
        return {
            one: {
                "lastSeen": stamp(time.time_ns()) if one in self._connected else "1970-01-01T01:00:00+01:00",
                "lastConnectionDurationS": 0,
            }
            for one in self._devices
        }

    def _shutdown(self) -> dict[str, str]:
        self.shut_down = True
        return {"ok": "shutting down"}

    def _dismiss(self, query: dict[str, list[str]]) -> None:
        offers = self._pending_folders.get(query["folder"][0], {})
        for device in query.get("device", list(offers)):
            offers.pop(device, None)
        if not offers:
            self._pending_folders.pop(query["folder"][0], None)

    # -- settings ----------------------------------------------------------------------------

    def _config(self, method: str, kind: str, one: str | None, body: bytes) -> Any:
        if kind == "options":
            if method == "GET":
                return self._options
            self._options = _filled(OPTION_DEFAULTS if method == "PUT" else self._options, _json(body))
            return self._saved()
        is_folder = kind == "folders"
        objects = {name: folder.config for name, folder in self._folders.items()} if is_folder else self._devices
        template, id_key = (self._defaults, "id") if is_folder else (DEVICE_DEFAULTS, "deviceID")
        if one is None:
            if method == "GET":
                return list(objects.values())
            listed = _json(body)
            if not isinstance(listed, list):
                raise Answer(400, "json: cannot unmarshal object into Go value of type []json.RawMessage")
            wanted = [_filled(template, each) for each in listed]
            # It adds and replaces; what is not in the list stays.
            return self._replace(is_folder, {**objects, **{each[id_key]: each for each in wanted}})
        if not is_folder:
            _check_device_id(one)
        if method == "DELETE":
            return self._replace(is_folder, {name: each for name, each in objects.items() if name != one})
        if method in ("GET", "PATCH") and one not in objects:
            raise Answer(404, f"No {'folder' if is_folder else 'device'} with given ID")
        if method == "GET":
            return objects[one]
        new = _filled(objects[one] if method == "PATCH" else template, _json(body))
        return self._replace(is_folder, {**objects, one: new})

    def _replace(self, is_folder: bool, objects: dict[str, dict[str, Any]]) -> None:
        if not is_folder:
            for each in objects:
                _check_device_id(each)
            self._devices = {self.own_id: self._devices[self.own_id], **objects}
            for folder in self._folders.values():
                shared = [each for each in folder.config["devices"] if each["deviceID"] in self._devices]
                folder.config = folder.config | {"devices": shared}
            return self._saved()
        for name, config in objects.items():
            if not config["path"]:
                raise Answer(500, f'folder "{name}": folder has empty path')
            members = [each for each in config["devices"] if each["deviceID"] in self._devices]
            own = [] if any(each["deviceID"] == self.own_id for each in members) else [{"deviceID": self.own_id}]
            config["devices"] = [
                {"introducedBy": "", "encryptionPassword": ""} | each
                for each in sorted(members + own, key=lambda each: str(each["deviceID"]))
            ]
        before = self._folders
        self._folders = {}
        for name, config in objects.items():
            folder = before.get(name) or FakeFolder(config, self.own_id)
            was_running = name in before and not folder.config["paused"]
            folder.config = config
            self._folders[name] = folder
            self._pending_folders.pop(name, None)
            if not config["paused"] and not was_running:
                self._tell(name, folder.start())
        return self._saved()

    def _saved(self) -> None:
        self._emit("ConfigSaved", {"version": 37})

    # -- folders ---------------------------------------------------------------------------------

    def _running(self, folder: str, status: int = 404) -> FakeFolder:
        one = self._folders.get(folder)
        if one is None or one.config["paused"]:
            raise Answer(status, "no such folder")
        return one

    def _tell(self, folder: str, changes: list[tuple[str, str]]) -> None:
        for action, name in changes:
            self._emit_disk("LocalChangeDetected", folder, action, name, self.own_id)
        if changes:
            self._emit_local(folder, [name for _, name in changes])

    def _scan(self, query: dict[str, list[str]]) -> None:
        folder = query["folder"][0]
        one = self._folders.get(folder)
        if one is None:
            raise Answer(500, "no such folder")
        if one.config["paused"]:
            raise Answer(500, "folder is paused")
        if not one.is_in_order():
            raise Answer(500, one.error)
        self._tell(folder, one.scan(query.get("sub", [""])))

    def _revert(self, folder: str) -> None:
        one = self._folders.get(folder)
        if one is not None and not one.config["paused"] and one.receives_only:
            self._tell(folder, one.revert())

    def _folder_status(self, folder: str) -> dict[str, Any]:
        one = self._folders.get(folder)
        if one is None:
            raise Answer(404, "no such folder")
        if one.config["paused"]:
            empty = FakeFolder(one.config, self.own_id).status()
            return empty | {"state": "", "stateChanged": "0001-01-01T00:00:00Z", "remoteSequence": None}
        return one.status()

    def _file(self, folder: str, name: str) -> dict[str, Any]:
        found = self._running(folder).file(name)
        if found is None:
            raise Answer(404, "No such object in the index")
        return found

    def _folder_errors(self, folder: str) -> dict[str, Any]:
        if folder in self._folders and self._folders[folder].config["paused"]:
            raise Answer(404, "folder is paused")
        self._running(folder)
        return {"errors": None, "folder": folder, "page": 1, "perpage": 65536}


def _filled(template: dict[str, Any], given: Any) -> dict[str, Any]:
    """As Go reads it onto an object that is there: what is not known is dropped, what is left out stays."""
    if not isinstance(given, dict):
        raise Answer(400, "json: cannot unmarshal array into Go value of type config.Configuration")
    return {
        key: _filled(value, given[key]) if isinstance(value, dict) and value and isinstance(given.get(key), dict)
        else given.get(key, value)
        for key, value in template.items()
    }  # fmt: skip


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as exc:
        raise Answer(400, str(exc)) from None


def _check_device_id(text: str) -> None:
    letters = text.replace("-", "")
    if len(letters) != 56:
        raise Answer(400, f'"{text}": device ID invalid: incorrect length')
    bare = "".join(letters[at : at + 13] for at in range(0, 56, 14))
    try:
        digest = base64.b32decode(bare + "====")
    except ValueError:
        raise Answer(400, f'"{text}": illegal base32 data') from None
    if device_id(digest) != "-".join(letters[at : at + 7] for at in range(0, 56, 7)):
        raise Answer(400, f'"{text}": check digit incorrect')


def _handler(fake: FakeSyncthing) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, kind, content = fake.answer(self.command, self.path, self.headers.get("X-API-Key"), body)
            data = b"" if content is None else (content if isinstance(content, str) else json.dumps(content)).encode()
            try:
                self.send_response(status)
                if data:
                    self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except ConnectionError:  # whoever asked has gone
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - the names that http.server calls

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
