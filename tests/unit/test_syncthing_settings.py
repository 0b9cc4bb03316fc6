"""How lyts sets up folders and devices, and reads addresses and settings: pure."""

from __future__ import annotations

import pickle
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.syncthing.address import Key, dialled, read_address
from sync.syncthing.config import DeviceConfig, FolderConfig, Options, merged
from sync.syncthing.errors import BadAddress, BadAnswer
from sync.syncthing.folders import (
    data_folder,
    device,
    dialled_addresses,
    ledger_folder_id,
    others_ledger,
    own_ledger,
    set_ledger_folder_id,
)
from sync.syncthing.records import version_number
from tagfs.nodeset import set_id

# -- folders -------------------------------------------------------------------

ALL = {
    "own, not settled": own_ledger("i", "/p", "l", ["B", "A", "B"], settled=False),
    "own": own_ledger("i", "/p", "l", ["B", "A", "B"], settled=True),
    "other's": others_ledger("i", "/p", "l", ["B", "A", "B"]),
    "data": data_folder("i", "/p", "l", ["B", "A", "B"], paused=True),
}


def test_each_kind_of_folder_has_its_direction() -> None:
    assert {kind: one.type for kind, one in ALL.items()} == {
        "own, not settled": "receiveonly",
        "own": "sendreceive",
        "other's": "receiveonly",
        "data": "sendreceive",
    }


def test_only_data_is_watched_and_bounded() -> None:
    assert {kind: (one.watcher, one.max_pending_kib) for kind, one in ALL.items()} == {
        "own, not settled": (False, 0),
        "own": (False, 0),
        "other's": (False, 0),
        "data": (True, 16384),
    }


@pytest.mark.parametrize("kind", ALL)
def test_no_folder_loses_anything_by_itself(kind: str) -> None:
    sent = ALL[kind].written()
    assert sent["maxConflicts"] == -1
    assert sent["versioning"] == {
        "type": "trashcan", "params": {"cleanoutDays": "0"}, "cleanupIntervalS": 0, "fsPath": "", "fsType": "basic"
    }  # fmt: skip
    assert sent["autoNormalize"] is True
    assert [sent[key] for key in ("syncXattrs", "sendXattrs", "syncOwnership", "sendOwnership")] == [False] * 4
    assert (sent["rescanIntervalS"], sent["fsWatcherDelayS"], sent["ignoreDelete"]) == (3600, 0.1, False)
    assert sent["devices"] == [{"deviceID": "A"}, {"deviceID": "B"}]


def test_everything_that_matters_is_said_so_that_no_default_of_the_person_counts() -> None:
    sent = set(ALL["data"].written())
    known = {one.encode_name for one in msgspec.structs.fields(FolderConfig)} - {"rest"}
    assert sent == known


def test_ids_of_ledger_folders() -> None:
    node, library = "9c0f7be1-6c1e-4d2a-9a51-2f1d0c3b4a59", "b2d4a1f0-3e57-4c88-8d1b-7a6e5f4c3b2d"
    assert ledger_folder_id(library, node) == f"lyts-{library}-{node}"
    hashed = set_id([node, library])
    assert set_ledger_folder_id(hashed, node) == f"{hashed}-{node}"
    assert hashed.startswith("lsd-")


# -- devices -----------------------------------------------------------------------


def test_devices_neither_introduce_nor_accept_by_themselves_and_ledgers_are_packed() -> None:
    sent = device("ID", "laptop", ["tcp://192.0.2.1:22000"]).written()
    assert sent == {
        "deviceID": "ID", "name": "laptop", "addresses": ["tcp://192.0.2.1:22000"], "compression": "always",
        "introducer": False, "autoAcceptFolders": False, "paused": False, "untrusted": False,
    }  # fmt: skip


@given(st.text("ABC-", min_size=1), st.text("ABC-", min_size=1))
def test_of_two_devices_with_fixed_addresses_exactly_one_dials(one: str, other: str) -> None:
    if one == other:
        return
    at = ["tcp://127.0.0.1:1"]
    dial = [dialled_addresses(one, other, at), dialled_addresses(other, one, at)]
    assert sorted(dial) == [("dynamic",), ("tcp://127.0.0.1:1",)]


def test_without_fixed_addresses_discovery_is_left_to_it() -> None:
    assert dialled_addresses("A", "B", []) == ("dynamic",)
    assert dialled_addresses("A", "B", ["dynamic"]) == ("dynamic",)
    assert dialled_addresses("", "B", ["tcp://x:1", "dynamic"]) == ("tcp://x:1",)


# -- settings that are not known -----------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
UNKNOWN = st.dictionaries(st.text("xyz", min_size=1).map("new_{}".format), JSON, max_size=4)


@given(UNKNOWN, UNKNOWN, UNKNOWN)
def test_whatever_is_not_known_is_written_as_it_was_read(outer: Any, inner: Any, versioning: Any) -> None:
    raw = ALL["data"].written() | outer
    raw["devices"] = [{"deviceID": "A", **inner}]
    raw["versioning"] = raw["versioning"] | versioning
    assert FolderConfig.read(raw).written() == raw
    changed = msgspec.structs.replace(FolderConfig.read(raw), paused=False, label="x")
    assert changed.written() == raw | {"paused": False, "label": "x"}


def test_a_key_that_is_only_there_stays_when_wanted_settings_are_laid_over() -> None:
    found = FolderConfig.read(ALL["own"].written() | {"order": "alphabetic", "paused": True})
    after = merged(found, ALL["data"])
    assert after.written() == ALL["data"].written() | {"order": "alphabetic"}


def test_null_is_an_empty_list() -> None:
    raw = ALL["own"].written() | {"devices": None}
    raw["versioning"] = {"type": "", "params": None, "cleanupIntervalS": 1, "fsPath": "", "fsType": "basic"}
    assert FolderConfig.read(raw).devices == ()
    assert FolderConfig.read(raw).versioning.params == {}
    assert DeviceConfig.read({"deviceID": "A", "addresses": None}).addresses == ()


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (FolderConfig, []),
        (FolderConfig, {"id": 3, "path": ""}),
        (FolderConfig, {"path": "/p"}),
        (FolderConfig, {"id": "i", "path": "/p", "devices": {"deviceID": "A"}}),
        (FolderConfig, {"id": "i", "path": "/p", "devices": ["A"]}),
        (DeviceConfig, {}),
        (Options, {"natEnabled": "yes"}),
    ],
)
def test_what_makes_no_sense_is_an_answer_that_is_not_syncthings(kind: Any, raw: object) -> None:
    with pytest.raises(BadAnswer):
        kind.read(raw)


@pytest.mark.parametrize(
    ("text", "number"),
    [("v1.29.5", (1, 29)), ("v2.0.0-rc.1", (2, 0)), ("1.27", (1, 27)), ("v1.27.0-rc.1+3-gabc", (1, 27)),
     ("unknown-dev", None), ("", None), ("v1", None), ("vx.y", None)],
)  # fmt: skip
def test_versions_are_numbers_or_nothing(text: str, number: tuple[int, int] | None) -> None:
    assert version_number(text) == number


# -- addresses -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("http://127.0.0.1:8384", "http://127.0.0.1:8384"),
        ("127.0.0.1:8384", "http://127.0.0.1:8384"),
        ("http://127.8.9.1:1/", "http://127.8.9.1:1"),
        ("https://localhost:8384", "https://localhost:8384"),
        ("http://[::1]:8384/", "http://[::1]:8384"),
        ("unix:///run/st.sock", "unix:///run/st.sock"),
        ("/run/st.sock", "unix:///run/st.sock"),
        (" http://LOCALHOST:1 ", "http://localhost:1"),
    ],
)
def test_addresses_of_this_machine_are_taken(given_: str, shown: str) -> None:
    found = read_address(given_)
    assert str(found) == shown
    assert not found.remote


@pytest.mark.parametrize(
    "given_",
    [
        "http://10.0.0.1:8384", "https://10.0.0.1:8384", "http://example.org:8384", "http://0.0.0.0:8384",
        "http://localhost.example.org:1", "http://[fe80::1]:1", "http://[::ffff:10.0.0.1]:1", "http://127.0.0.1.nip.io:1",
        "ftp://127.0.0.1", "http://", "http://127.0.0.1:x", "http://127.0.0.1:99999", "unix://run/st.sock",
        "http://me:secret@127.0.0.1:1", "http://127.0.0.1:1/?key=secret", "", "http://127.1:1", "http://2130706433:1",
    ],
)  # fmt: skip
def test_other_addresses_are_refused(given_: str) -> None:
    with pytest.raises(BadAddress) as caught:
        read_address(given_)
    assert "secret" not in str(caught.value)


def test_another_machine_only_when_said_so_and_only_by_https() -> None:
    assert read_address("https://nas.example.org:8384", remote_allowed=True).remote
    with pytest.raises(BadAddress, match="https only"):
        read_address("http://nas.example.org:8384", remote_allowed=True)


@pytest.mark.parametrize(
    ("listening", "tls", "where"),
    [
        ("127.0.0.1:8384", False, "http://127.0.0.1:8384"),
        ("127.0.0.1:8384", True, "https://127.0.0.1:8384"),
        ("0.0.0.0:8384", False, "http://127.0.0.1:8384"),
        (":8384", False, "http://127.0.0.1:8384"),
        ("[::]:8384", False, "http://[::1]:8384"),
        ("[::1]:8384", False, "http://[::1]:8384"),
        ("http://127.0.0.1:8384", False, "http://127.0.0.1:8384"),
        ("192.0.2.1:8384", False, "http://192.0.2.1:8384"),
        ("/run/st.sock", False, "/run/st.sock"),
        ("unix:///run/st.sock", False, "unix:///run/st.sock"),
    ],
)
def test_what_listens_everywhere_is_asked_over_loopback(listening: str, tls: bool, where: str) -> None:
    assert dialled(listening, tls=tls) == where


@pytest.mark.parametrize("listening", ["", "127.0.0.1", "127.0.0.1:", "x"])
def test_an_address_without_a_port_is_none(listening: str) -> None:
    with pytest.raises(BadAddress):
        dialled(listening, tls=False)


def test_a_key_shows_itself_to_nobody() -> None:
    key = Key("verysecret")
    assert key == Key("verysecret") != Key("another")
    assert "verysecret" not in f"{key} {key!r} {[key]} {(key,)!s}"
    with pytest.raises(TypeError):
        pickle.dumps(key)
