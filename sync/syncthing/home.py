"""The settings of a managed Syncthing: its `config.xml`, read and changed while it is not running.

Pure, but for `read_config` and `device_id_of`, which read a file.

What is set, and why:

- The GUI and REST listen on 127.0.0.1 only, with the API key that Syncthing made.
- No usage report, no crash report, no upgrade, no browser: a program in the background
  tells nobody anything that it was not asked for, and its version is the system's business.
- It tries again every 5 s to reach who is not connected; the default is a minute.
- The library's folders come up quiet: ledgers receive-only, also this node's own, and data paused.
  What happened while this node was away is read before anything is sent or moved (`sync.daemon`
  then lets them go); a power cut may have left a ledger that is older than what the others have.
- Discovery, relays and NAT stay as they are, since they are how two devices of a person find
  each other; `local_only` turns all of that off, for tests and laboratories.
"""

from __future__ import annotations

import base64
import hashlib
import os
import xml.etree.ElementTree as ET
from typing import NamedTuple

from sync.syncthing.address import Address, Key, dialled, read_address
from sync.syncthing.deviceid import device_id
from sync.syncthing.errors import BadAddress, BadSettings
from sync.syncthing.folders import RECEIVE_ONLY, RECONNECT_S, is_data_id, is_ledger_id

ALWAYS = {
    "startBrowser": "false",
    "urAccepted": "-1",
    "urSeen": "3",
    "crashReportingEnabled": "false",
    "autoUpgradeIntervalH": "0",
    "upgradeToPreReleases": "false",
    "reconnectionIntervalS": str(RECONNECT_S),
}
# (key, while others are to find this device, while they are not)
FINDING = (
    ("globalAnnounceEnabled", "true", "false"),
    ("localAnnounceEnabled", "true", "false"),
    ("relaysEnabled", "true", "false"),
    ("natEnabled", "true", "false"),
    ("announceLANAddresses", "true", "false"),
    ("stunKeepaliveStartS", "180", "0"),
    # In a laboratory several of them share a machine with what waits for them.
    ("setLowPriority", "true", "false"),
)


class Wishes(NamedTuple):
    """How a managed instance should be; None leaves a thing as it is."""

    name: str | None = None
    gui_port: int | None = None
    local_only: bool | None = None
    listen: tuple[str, ...] | None = None


class Config(NamedTuple):
    """What lyts reads of a config.xml."""

    address: Address
    key: Key
    listen: tuple[str, ...]
    local_only: bool


def read_config(path: str, *, remote_allowed: bool = False) -> Config:
    """A config.xml: of a managed instance, or of a person's own.

    Raises:
        BadSettings: it cannot be read, or has no API key, or its GUI is off.
        BadAddress: its GUI is not on this machine.
    """
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as exc:
        raise BadSettings(path, f"cannot be read ({exc.strerror or exc})") from None
    root = _root(path, text)
    gui = root.find("gui")
    key = (gui.findtext("apikey") if gui is not None else None) or ""
    if gui is None or gui.get("enabled") == "false" or not key.strip():
        raise BadSettings(path, "its GUI is turned off or has no API key, and lyts talks to Syncthing through that")
    listening = (gui.findtext("address") or "").strip()
    try:
        address = read_address(dialled(listening, tls=gui.get("tls") == "true"), remote_allowed=remote_allowed)
    except BadAddress as exc:
        raise BadAddress(listening, f"{exc.why} (from {path})") from None
    options = root.find("options")
    listen = [(one.text or "").strip() for one in options.findall("listenAddress")] if options is not None else []
    off = options is not None and all(options.findtext(name) == "false" for name, _, no in FINDING[:4] if no)
    return Config(address, Key(key.strip()), tuple(listen), off)


def _root(path: str, text: bytes) -> ET.Element:
    if b"<!ENTITY" in text:  # Syncthing writes none; some would grow without end
        raise BadSettings(path, "it is not one of Syncthing's")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as exc:
        raise BadSettings(path, f"it is damaged ({exc})") from None
    if root.tag != "configuration":
        raise BadSettings(path, "it is not one of Syncthing's")
    return root


def changed(path: str, before: bytes, own_id: str, wishes: Wishes) -> bytes:
    """The text of a managed config.xml, with all that must be so and what is wished. Raises `BadSettings`."""
    root = _root(path, before)
    options, gui = root.find("options"), root.find("gui")
    if options is None or gui is None:
        raise BadSettings(path, "it is damaged (options or gui are missing)")
    gui.set("enabled", "true")
    gui.set("tls", "false")
    if wishes.gui_port is not None:
        _set(gui, "address", f"127.0.0.1:{wishes.gui_port}")
    for name, value in ALWAYS.items():
        _set(options, name, value)
    if wishes.local_only is not None:
        for name, found, hidden in FINDING:
            _set(options, name, hidden if wishes.local_only else found)
    if wishes.listen is not None:
        for old in options.findall("listenAddress"):
            options.remove(old)
        for place, one in enumerate(wishes.listen):
            new = ET.Element("listenAddress")
            new.text = one
            options.insert(place, new)
    if wishes.name is not None:
        for device in root.findall("device"):
            if device.get("id") == own_id:
                device.set("name", wishes.name)
    for folder in root.findall("folder"):
        _quieten(folder)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8")
    return text + b"\n"


def _quieten(folder: ET.Element) -> None:
    folder_id = folder.get("id") or ""
    if is_ledger_id(folder_id):
        folder.set("type", RECEIVE_ONLY)
    elif is_data_id(folder_id):
        _set(folder, "paused", "true")


def _set(parent: ET.Element, name: str, value: str) -> None:
    found = parent.find(name)
    if found is None:
        found = ET.SubElement(parent, name)
    found.text = value


# -- the device id -------------------------------------------------------------


def device_id_of(home: str) -> str:
    """The device id of a home: that of its certificate, whether Syncthing runs or not. Raises `BadSettings`."""
    path = os.path.join(home, "cert.pem")
    try:
        with open(path, encoding="ascii") as file:
            text = file.read()
        body = text.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END CERTIFICATE-----")[0]
        der = base64.b64decode("".join(body.split()), validate=True)
    except (OSError, ValueError) as exc:
        raise BadSettings(path, f"cannot be read ({exc})") from None
    if not der:
        raise BadSettings(path, "there is no certificate in it")
    return device_id(hashlib.sha256(der).digest())
