"""Settings of Syncthing as objects: folders, devices, options.

Syncthing's settings have many more keys than lyts cares for, and newer versions have new
ones. A PUT replaces the whole object, so whatever is not known here is kept in `rest` and
sent back as it came:

    FolderConfig.read(what GET gave).written() == what GET gave

(where GET gave all keys that are known here, as every version from 1.27 does).

Change one with `msgspec.structs.replace`; make one with `sync.syncthing.folders`. A key
that is left out of a PUT gets the *person's* default (`defaults` in config.xml), which
for an attached Syncthing can be anything: so what matters is always sent. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Self, TypeVar, get_type_hints

import msgspec

from sync.syncthing.errors import BadAnswer


class Setting(msgspec.Struct, kw_only=True, frozen=True):
    """Base: the keys that are known, as fields, and all others in `rest`."""

    rest: dict[str, Any] = msgspec.field(default_factory=dict)

    @classmethod
    def read(cls, raw: object) -> Self:
        """From what Syncthing gives. Raises `BadAnswer`."""
        if not isinstance(raw, Mapping):
            raise BadAnswer(cls.__name__, f"{type(raw).__name__} instead of an object")
        rest = dict(raw)
        known: dict[str, Any] = {}
        try:
            for name, key, hint in _known_keys(cls):
                if key in rest:
                    known[name] = _read(rest.pop(key), hint)
            return cls(**known, rest=rest)
        except (msgspec.ValidationError, TypeError) as exc:
            raise BadAnswer(cls.__name__, str(exc)) from None

    def written(self) -> dict[str, Any]:
        """As Syncthing takes it."""
        out = dict(self.rest)
        for name, key, _ in _known_keys(type(self)):
            out[key] = _written(getattr(self, name))
        return out


@lru_cache
def _known_keys(kind: type[Setting]) -> list[tuple[str, str, Any]]:
    """(name here, Syncthing's name, type) of each field. To find them anew took most of the time of reading."""
    hints = get_type_hints(kind)
    return [(one.name, one.encode_name, hints[one.name]) for one in msgspec.structs.fields(kind) if one.name != "rest"]


def _read(value: object, hint: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, Setting):
        return hint.read(value)
    inner = getattr(hint, "__args__", (None,))[0]
    if isinstance(inner, type) and issubclass(inner, Setting):
        # Go writes an empty list as null.
        return tuple(inner.read(one) for one in msgspec.convert(value or [], list[Any]))
    if value is None and getattr(hint, "__origin__", None) in (tuple, dict):
        value = hint.__origin__()
    return msgspec.convert(value, hint)


def _written(value: Any) -> Any:
    if isinstance(value, Setting):
        return value.written()
    if isinstance(value, tuple):
        return [_written(one) for one in value]
    return value


class FolderDevice(Setting, frozen=True):
    """One device that a folder is shared with."""

    device_id: str = msgspec.field(name="deviceID")


class Versioning(Setting, frozen=True):
    """What becomes of a file that Syncthing replaces or deletes: `type` "" keeps nothing."""

    type: str = ""
    params: dict[str, str] = msgspec.field(default_factory=dict)
    cleanup_interval_s: int = msgspec.field(name="cleanupIntervalS", default=3600)
    path: str = msgspec.field(name="fsPath", default="")
    """Where; "" is `.stversions` in the folder itself."""
    file_system: str = msgspec.field(name="fsType", default="basic")


class FolderConfig(Setting, frozen=True):
    """A folder: what lyts sets."""

    id: str
    path: str
    label: str = ""
    type: str = "sendreceive"
    devices: tuple[FolderDevice, ...] = ()
    paused: bool = False
    rescan_interval_s: int = msgspec.field(name="rescanIntervalS", default=3600)
    watcher: bool = msgspec.field(name="fsWatcherEnabled", default=True)
    watcher_delay_s: float = msgspec.field(name="fsWatcherDelayS", default=10)
    ignore_perms: bool = msgspec.field(name="ignorePerms", default=False)
    ignore_delete: bool = msgspec.field(name="ignoreDelete", default=False)
    auto_normalize: bool = msgspec.field(name="autoNormalize", default=True)
    max_conflicts: int = msgspec.field(name="maxConflicts", default=10)
    sync_xattrs: bool = msgspec.field(name="syncXattrs", default=False)
    send_xattrs: bool = msgspec.field(name="sendXattrs", default=False)
    sync_ownership: bool = msgspec.field(name="syncOwnership", default=False)
    send_ownership: bool = msgspec.field(name="sendOwnership", default=False)
    max_pending_kib: int = msgspec.field(name="pullerMaxPendingKiB", default=0)
    marker_name: str = msgspec.field(name="markerName", default=".stfolder")
    disable_fsync: bool = msgspec.field(name="disableFsync", default=False)
    versioning: Versioning = msgspec.field(default_factory=Versioning)

    def device_ids(self) -> frozenset[str]:
        """With whom it is shared, this device among them."""
        return frozenset(one.device_id for one in self.devices)


class DeviceConfig(Setting, frozen=True):
    """A device: what lyts sets."""

    device_id: str = msgspec.field(name="deviceID")
    name: str = ""
    addresses: tuple[str, ...] = ("dynamic",)
    compression: str = "metadata"
    introducer: bool = False
    auto_accept_folders: bool = msgspec.field(name="autoAcceptFolders", default=False)
    paused: bool = False
    untrusted: bool = False


class Options(Setting, frozen=True):
    """Settings of the instance as a whole: what lyts looks at."""

    listen_addresses: tuple[str, ...] = msgspec.field(name="listenAddresses", default=("default",))
    global_announce: bool = msgspec.field(name="globalAnnounceEnabled", default=True)
    local_announce: bool = msgspec.field(name="localAnnounceEnabled", default=True)
    relays: bool = msgspec.field(name="relaysEnabled", default=True)
    nat: bool = msgspec.field(name="natEnabled", default=True)
    reconnection_interval_s: int = msgspec.field(name="reconnectionIntervalS", default=60)


S = TypeVar("S", bound=Setting)


def merged(found: S, wanted: S) -> S:
    """`wanted`, and what is only in `found`: the settings that lyts does not know stay as the person has them."""
    return msgspec.structs.replace(wanted, rest={**found.rest, **wanted.rest})
