"""How lyts sets up its folders and devices in Syncthing. Pure: names in, settings out.

    own ledger          lyts-<library>-<this node>      ledgers/<alias>            send-receive, once settled
    another's ledger    lyts-<library>-<that node>      ledgers/<alias>            receive-only
    a set's own ledger  lsd-<hash>-<this node>          ledgers/<alias>@<label>    send-receive, once settled
    a set's other one   lsd-<hash>-<that node>          ledgers/<alias>@<label>    receive-only
    data of a set       lsd-<hash>                      sets/<label>               send-receive

Why each setting is as it is:

- **Receive-only ledgers.** No file has two writers. A reader's accident (a crash before its
  database was written, an old copy with a later date) stays with the reader, who reverts.
  Our own ledger also comes up receive-only, until it is known to be no older than what the
  others have; data comes up paused.
- **Watching.** Only lyts writes ledgers, and it asks for a scan of what it wrote (3 to 5 ms), so
  they are not watched. Data lies in ordinary folders in which a person may edit: watched,
  0.1 s after the last change. All are scanned whole every hour.
- **Conflicts.** -1 keeps every conflict copy; the default of ten deletes older ones.
- **Versions.** Whatever Syncthing replaces or deletes goes to its trashcan, `.stversions` in the
  folder, and `cleanoutDays` 0 means that Syncthing never empties it. That is not a folder that
  grows without end: it is part of lyts' keep, from which lyts takes a file out once it is proven to
  be where it should be. Syncthing's own rule, so many days, knows nothing of that.
- **Extended attributes and owners** are not sent: what lyts knows of a file stands in facts.
- **autoNormalize** has Syncthing write names in NFC only, as lyts itself does.
- **pullerMaxPendingKiB** 16384 on data: what is asked for at once. With the default of 32 MiB and more a
  fact waited 4 s behind a film that was arriving; with this 0.7 s.
- **compression** is a setting of a *device*, not of a folder (1.27 to 2.x alike): it says how what we
  send to that device is packed, in all folders, from the next connection on. `metadata`, the default,
  leaves file contents as they are, and ledgers are contents: so our devices have `always`. A ledger
  of 7.7 MB takes 2.4 MB then; films go through LZ4 in vain, which costs no CPU that could be measured.

Everything that matters is said, also where it is Syncthing's default: a key that is left out
would take the value of the person's own default folder.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from sync.syncthing.config import DeviceConfig, FolderConfig, FolderDevice, Versioning

SEND_RECEIVE = "sendreceive"
RECEIVE_ONLY = "receiveonly"

RESCAN_S = 3600
WATCH_DELAY_S = 0.1
DATA_PENDING_KIB = 16_384
RECONNECT_S = 5
"""`reconnectionIntervalS` of the instance: how often it tries to reach who is not connected."""

KEPT = Versioning(type="trashcan", params={"cleanoutDays": "0"}, cleanup_interval_s=0, path="", file_system="basic")


_ADDRESS = re.compile(r"(tcp|quic)[46]?://[^\s/]+\Z|relay://\S+\Z")


def ledger_folder_id(library: str, node: str) -> str:
    """The folder of a node's open ledger."""
    return f"lyts-{library}-{node}"


def set_ledger_folder_id(set_id: str, node: str) -> str:
    """The folder of a node's ledger for the members of a set only; `set_id` is that of `tagfs.nodeset`."""
    return f"{set_id}-{node}"


def is_data_id(folder_id: str) -> bool:
    """Whether a folder is the data of a set."""
    return folder_id.startswith("lsd-") and folder_id.count("-") == 1


def is_ledger_id(folder_id: str) -> bool:
    """Whether a folder is somebody's ledger, the open one or one for a set."""
    return folder_id.startswith("lyts-") or (folder_id.startswith("lsd-") and not is_data_id(folder_id))


def own_ledger(
    folder_id: str, path: str, label: str, devices: Iterable[str], *, settled: bool, paused: bool = False
) -> FolderConfig:
    """The ledger that this node writes: the open one, or one for a set.

    Args:
        devices: ids of all devices that it is shared with; this one may be among them or not.
        settled: whether it is known to be no older than what the others have; until then it is receive-only.
    """
    return _folder(folder_id, path, label, SEND_RECEIVE if settled else RECEIVE_ONLY, devices, paused=paused)


def others_ledger(
    folder_id: str, path: str, label: str, devices: Iterable[str], *, paused: bool = False
) -> FolderConfig:
    """A ledger that another node writes: the open one, or one for a set."""
    return _folder(folder_id, path, label, RECEIVE_ONLY, devices, paused=paused)


def data_folder(folder_id: str, path: str, label: str, devices: Iterable[str], *, paused: bool) -> FolderConfig:
    """The bytes that the nodes of a set hold; paused at start, until the ledgers are in."""
    return _folder(folder_id, path, label, SEND_RECEIVE, devices, paused=paused, data=True)


def _folder(
    folder_id: str, path: str, label: str, kind: str, devices: Iterable[str], *, paused: bool, data: bool = False
) -> FolderConfig:
    return FolderConfig(
        id=folder_id,
        path=path,
        label=label,
        type=kind,
        devices=tuple(FolderDevice(device_id=one) for one in sorted(set(devices))),
        paused=paused,
        rescan_interval_s=RESCAN_S,
        watcher=data,
        watcher_delay_s=WATCH_DELAY_S,
        ignore_perms=False,
        ignore_delete=False,
        auto_normalize=True,
        max_conflicts=-1,
        sync_xattrs=False,
        send_xattrs=False,
        sync_ownership=False,
        send_ownership=False,
        max_pending_kib=DATA_PENDING_KIB if data else 0,
        marker_name=".stfolder",
        disable_fsync=False,
        versioning=KEPT,
    )


def device(
    device_id: str, name: str, addresses: Collection[str] = (), *, own_id: str = "", paused: bool = False
) -> DeviceConfig:
    """Another node's device.

    Args:
        name: its alias.
        addresses: where it can be reached for certain (`tcp://192.0.2.7:22000`); none leaves it to discovery.
        own_id: the device id of this node, which decides who dials; "" dials in any case.

    Introducing and accepting folders by itself are off: who is a node, and which folders there are, follows
    from facts and from what a person accepted.
    """
    return DeviceConfig(
        device_id=device_id,
        name=name,
        addresses=dialled_addresses(own_id, device_id, addresses),
        compression="always",
        introducer=False,
        auto_accept_folders=False,
        paused=paused,
        untrusted=False,
    )


def dialled_addresses(own_id: str, other_id: str, addresses: Collection[str]) -> tuple[str, ...]:
    """Which of a device's fixed addresses this device dials.

    Two devices that dial each other at the same moment can both give up and try again for up to 20 s. So of
    two with fixed addresses only the one with the smaller id dials; the other waits (`dynamic`, which without
    discovery finds nothing to dial). What is no address is left out: others say what their addresses are.
    """
    fixed = tuple(one for one in addresses if _ADDRESS.match(one))
    return fixed if fixed and (not own_id or own_id < other_id) else ("dynamic",)
