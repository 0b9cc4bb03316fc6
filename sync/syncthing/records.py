"""What Syncthing answers, as objects: what lyts reads of it. Keys that are not named here are passed over.

Times stay as Syncthing writes them (RFC 3339, nanoseconds); nothing in lyts is decided by
them. `null` stands for an empty list or object wherever Go has none.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import field


class Answer(msgspec.Struct, frozen=True):
    """Base."""


class Version(Answer, frozen=True):
    version: str
    long_version: str = field(name="longVersion", default="")
    os: str = ""
    arch: str = ""

    def number(self) -> tuple[int, int] | None:
        """Major and minor, None for one that was built without a number."""
        return version_number(self.version)


def version_number(text: str) -> tuple[int, int] | None:
    """`v1.29.5`, `v2.0.0-rc.1` -> (1, 29), (2, 0)."""
    parts = text.removeprefix("v").split(".")
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return None
    return int(parts[0]), int(parts[1])


class Listener(Answer, frozen=True):
    """How one of the addresses on which Syncthing listens is."""

    error: str | None = None
    lan_addresses: list[str] | None = field(name="lanAddresses", default=None)


class SystemStatus(Answer, frozen=True):
    my_id: str = field(name="myID")
    start_time: str = field(name="startTime")
    """Event ids begin again when this changes."""
    uptime_s: int = field(name="uptime", default=0)
    listeners: dict[str, Listener] = field(name="connectionServiceStatus", default_factory=dict)
    goroutines: int = 0
    alloc_bytes: int = field(name="alloc", default=0)


class Connection(Answer, frozen=True):
    """One device: connected or not."""

    connected: bool = False
    paused: bool = False
    address: str = ""
    type: str = ""
    client_version: str = field(name="clientVersion", default="")
    in_bytes: int = field(name="inBytesTotal", default=0)
    out_bytes: int = field(name="outBytesTotal", default=0)
    at: str = ""


class DeviceStatistics(Answer, frozen=True):
    """`stats/device`: what it remembers of a device."""

    last_seen: str = field(name="lastSeen", default="")


class Traffic(Answer, frozen=True):
    in_bytes: int = field(name="inBytesTotal", default=0)
    out_bytes: int = field(name="outBytesTotal", default=0)


class Connections(Answer, frozen=True):
    total: Traffic
    """Since Syncthing was started, with all devices."""
    connections: dict[str, Connection] = field(default_factory=dict)
    """By device id; this device is not among them."""


class FolderStatus(Answer, frozen=True):
    """`db/status`. Of a paused folder `state` is "" and all counts are 0: that says nothing of what is in it."""

    state: str
    """idle, scanning, scan-waiting, syncing, sync-waiting, sync-preparing, cleaning, error, "" (paused)."""
    state_changed: str = field(name="stateChanged", default="")
    error: str = ""
    errors: int = 0
    pull_errors: int = field(name="pullErrors", default=0)
    sequence: int = 0
    global_files: int = field(name="globalFiles", default=0)
    global_directories: int = field(name="globalDirectories", default=0)
    global_deleted: int = field(name="globalDeleted", default=0)
    global_bytes: int = field(name="globalBytes", default=0)
    local_files: int = field(name="localFiles", default=0)
    local_directories: int = field(name="localDirectories", default=0)
    local_deleted: int = field(name="localDeleted", default=0)
    local_bytes: int = field(name="localBytes", default=0)
    need_files: int = field(name="needFiles", default=0)
    need_bytes: int = field(name="needBytes", default=0)
    need_deletes: int = field(name="needDeletes", default=0)
    need_total_items: int = field(name="needTotalItems", default=0)
    receive_only_total_items: int = field(name="receiveOnlyTotalItems", default=0)
    """Changes made here in a receive-only folder; `revert` takes them back."""
    watch_error: str = field(name="watchError", default="")

    def settled(self) -> bool:
        """Nothing under way, nothing to fetch. Not a proof of anything on another device."""
        return self.state == "idle" and self.need_total_items == 0


class FileInfo(Answer, frozen=True):
    """What a device's index says of a name."""

    name: str
    deleted: bool = False
    ignored: bool = False
    invalid: bool = False
    """Also set for a local change in a receive-only folder."""
    size: int = 0
    modified: str = ""
    modified_by: str = field(name="modifiedBy", default="")
    """The first seven characters of a device id."""
    type: str = ""
    sequence: int = 0
    version: list[str] | None = None
    blocks_hash: str | None = field(name="blocksHash", default=None)

    def same_as(self, other: FileInfo) -> bool:
        """The same version of the file."""
        return (self.version, self.deleted) == (other.version, other.deleted)


class Available(Answer, frozen=True):
    """A device that has a file, as far as Syncthing knows: a hint, never a proof."""

    device_id: str = field(name="id")
    from_temporary: bool = field(name="fromTemporary", default=False)


class FileStatus(Answer, frozen=True):
    """`db/file`: what the folder says of a name, and what this device has."""

    whole: FileInfo = field(name="global")
    local: FileInfo
    availability: list[Available] | None = None

    def is_here(self) -> bool:
        """The newest version is on this device, and is not a deletion."""
        return not self.whole.deleted and not self.local.deleted and self.whole.same_as(self.local)

    def held_by(self) -> frozenset[str]:
        """Other devices that have all of it, as far as Syncthing knows."""
        return frozenset(one.device_id for one in self.availability or () if not one.from_temporary)


class Entry(Answer, frozen=True):
    """A file or directory of `db/browse`, from the index."""

    name: str
    type: str = ""
    size: int = 0
    mod_time: str = field(name="modTime", default="")
    children: list[Entry] | None = None

    def is_directory(self) -> bool:
        return self.type == "FILE_INFO_TYPE_DIRECTORY"


class FolderError(Answer, frozen=True):
    """A file that Syncthing could not scan or fetch."""

    path: str
    error: str = ""


class FolderErrors(Answer, frozen=True):
    folder: str
    errors: list[FolderError] | None = None


class Event(Answer, frozen=True):
    """Something that happened. Ids count up within one run of Syncthing, and begin again after a restart."""

    id: int
    type: str
    time: str = ""
    global_id: int = field(name="globalID", default=0)
    data: Any = None

    def about(self, key: str) -> str:
        """A text of its data, "" for none: `about("folder")`."""
        found = self.data.get(key) if isinstance(self.data, dict) else None
        return found if isinstance(found, str) else ""


class PendingDevice(Answer, frozen=True):
    """A device that wanted to connect and is not known."""

    time: str = ""
    name: str = ""
    address: str = ""


class Offer(Answer, frozen=True):
    """A folder that a known device shares with us, and we have not."""

    time: str = ""
    label: str = ""
    receive_encrypted: bool = field(name="receiveEncrypted", default=False)
    remote_encrypted: bool = field(name="remoteEncrypted", default=False)


class PendingFolder(Answer, frozen=True):
    offered_by: dict[str, Offer] = field(name="offeredBy", default_factory=dict)
    """By device id."""
