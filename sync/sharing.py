"""Brings Syncthing's settings to what `shares` asks for: only what differs is written, in one change of each kind."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import msgspec

from sync.shares import Shares
from sync.syncthing.client import Syncthing
from sync.syncthing.config import DeviceConfig, FolderConfig, merged
from sync.syncthing.folders import is_data_id
from tagfs.layout import make_folder


def changed_folders(found: Mapping[str, FolderConfig], wanted: Iterable[FolderConfig], own: str) -> list[FolderConfig]:
    """The folders to be written. Pure.

    Args:
        found: what Syncthing has, by id. Settings that lyts does not know stay.
        own: this device, which is in every folder whether it is said or not.
    """
    out = []
    for folder in wanted:
        standing = found.get(folder.id)
        if standing is None:
            out.append(folder)
            continue
        by_id = {one.device_id: one for one in standing.devices}
        devices = tuple(by_id.get(one.device_id, one) for one in folder.devices)
        if own in by_id and own not in folder.device_ids():
            devices = (by_id[own], *devices)
        devices = tuple(sorted(devices, key=lambda one: one.device_id))
        versioning = merged(standing.versioning, folder.versioning)
        new = merged(standing, msgspec.structs.replace(folder, devices=devices, versioning=versioning))
        before = msgspec.structs.replace(
            standing, devices=tuple(sorted(standing.devices, key=lambda one: one.device_id))
        )
        if new.written() != before.written():
            out.append(new)
    return out


def changed_devices(found: Mapping[str, DeviceConfig], wanted: Iterable[DeviceConfig]) -> list[DeviceConfig]:
    """The devices to be written. Pure."""
    out = []
    for device in wanted:
        standing = found.get(device.device_id)
        new = device if standing is None else merged(standing, device)
        if standing is None or new.written() != standing.written():
            out.append(new)
    return out


def share(syncthing: Syncthing, shares: Shares, own_device: str, ours: str) -> bool:
    """Write what differs. Says whether anything did.

    Args:
        ours: how the ids of all folders of this library's ledgers begin; folders of the person's own are
            left alone, and so are devices that share one of those.
    """
    folders = {one.id: one for one in syncthing.folders()}
    devices = {one.device_id: one for one in syncthing.devices()}
    new_devices = changed_devices(devices, shares.devices)
    new_folders = changed_folders(folders, shares.folders, own_device)
    for folder in new_folders:
        make_folder(folder.path)
        if is_data_id(folder.id):
            make_folder(os.path.join(folder.path, "data"))
    if new_devices:
        syncthing.set_devices(new_devices)
    if new_folders:
        syncthing.set_folders(new_folders)
    theirs = {
        device for one in folders.values() if not one.id.startswith(("lsd-", ours)) for device in one.device_ids()
    }
    gone = [device for device in shares.forget if device not in theirs and device in devices]
    for device in gone:
        syncthing.remove_device(device)
    return bool(new_devices or new_folders or gone)
