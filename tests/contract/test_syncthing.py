"""The client of Syncthing against the fake and the real one: the same tests, so that the fake is to be believed.

With the real one a second instance stands for "another device". Folders have an id of
their own in each test, so that one pair of instances serves all of them.
"""

from __future__ import annotations

import itertools
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sync.syncthing.address import Key, read_address
from sync.syncthing.client import Syncthing
from sync.syncthing.config import FolderConfig
from sync.syncthing.errors import (
    BadAnswer,
    DeviceNotKnown,
    FolderNotKnown,
    FolderPaused,
    FolderStopped,
    NotReachable,
    Refused,
    TookTooLong,
    TooOld,
    WrongKey,
)
from sync.syncthing.folders import RECEIVE_ONLY, data_folder, device, others_ledger, own_ledger
from sync.syncthing.home import read_config
from sync.syncthing.managed import config_path, free_port
from tests.support.fake_syncthing import FakeSyncthing, a_device_id
from tests.support.syncthing import Cluster, Node, until

NUMBERS = itertools.count(1)
STRANGER = a_device_id("stranger")


class Rig(ABC):
    """A Syncthing, and another device that can do things to it."""

    client: Syncthing
    key: Key
    own_id: str
    other_id: str

    def __init__(self, base: Path) -> None:
        self.base = base

    def new_folder(self, **changes: Any) -> FolderConfig:
        """A folder that both have, with nothing in it; only this one's is changed."""
        name = f"F{next(NUMBERS)}"
        plain = data_folder(name, str(self.base / name), f"the {name}", [self.own_id, self.other_id], paused=False)
        self.other_shares(name)
        config = msgspec.structs.replace(plain, **changes)
        self.client.set_folder(config)
        if not config.paused:
            self.client.scan(config.id)  # which comes after the one that Syncthing does by itself
        return config

    @abstractmethod
    def other_shares(self, folder: str) -> None: ...

    @abstractmethod
    def other_writes(self, folder: str, name: str, data: bytes | None) -> None:
        """The other device makes, changes or (None) deletes a file, and it has arrived."""


class FakeRig(Rig):
    def __init__(self, base: Path, fake: FakeSyncthing) -> None:
        super().__init__(base)
        self.fake = fake
        self.key = fake.key
        self.client = Syncthing(fake.address, fake.key)
        self.own_id, self.other_id = fake.own_id, a_device_id("other")
        self.client.set_device(device(self.other_id, "other"))
        fake.connect(self.other_id)

    def other_shares(self, folder: str) -> None:
        self.fake.offer(self.other_id, folder, f"the {folder}")

    def other_writes(self, folder: str, name: str, data: bytes | None) -> None:
        self.fake.arrive(folder, name, data, self.other_id)


class RealRig(Rig):
    def __init__(self, base: Path, here: Node, other: Node) -> None:
        super().__init__(base)
        self.other = other
        self.key = read_config(config_path(here.managed.home)).key
        self.client = here.client
        self.own_id, self.other_id = here.device_id, other.device_id

    def other_shares(self, folder: str) -> None:
        devices = [self.own_id, self.other_id]
        self.other.client.set_folder(
            data_folder(folder, str(self.other.folder(folder)), f"the {folder}", devices, paused=False)
        )

    def other_writes(self, folder: str, name: str, data: bytes | None) -> None:
        # Both have said what they have before anything is changed, so that the change is the newer one.
        until(lambda: self.other.client.folder_status(folder).settled(), "settled")
        until(lambda: data is not None or self.other.client.file(folder, name), "known there")
        if data is None:
            (self.other.folder(folder) / name).unlink()
        else:
            self.other.write(folder, name, data)
        self.other.client.scan(folder, [name])
        at = self.base / folder / name
        until(lambda: (not at.exists()) if data is None else (at.exists() and at.read_bytes() == data), "arrived")


@pytest.fixture(scope="module", params=["fake", "real"])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    base = tmp_path_factory.mktemp("here")
    if request.param == "fake":
        with FakeSyncthing() as fake:
            one = FakeRig(base, fake)
            yield one
            one.client.close()
    else:
        with Cluster(tmp_path_factory.mktemp("real"), 2) as cluster:
            yield RealRig(base, cluster[0], cluster[1])


def write(config: FolderConfig, name: str, data: bytes = b"hello") -> Path:
    path = Path(config.path) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# -- the instance ------------------------------------------------------------------


def test_it_says_who_and_what_it_is(rig: Rig) -> None:
    rig.client.ping()
    assert (rig.client.check_supported().number() or (0, 0)) >= (1, 27)
    status = rig.client.status()
    assert status.my_id == rig.own_id
    assert status.start_time
    assert all(one.error is None for one in status.listeners.values())


def test_who_is_connected_and_who_is_not(rig: Rig) -> None:
    rig.client.set_device(device(STRANGER, "stranger"))
    connections = rig.client.connections().connections
    assert rig.own_id not in connections
    assert connections[rig.other_id].connected
    assert connections[rig.other_id].address
    assert not connections[STRANGER].connected
    seen = rig.client.last_seen()
    assert seen[rig.other_id] > "2020"
    assert seen[STRANGER] == ""
    rig.client.remove_device(STRANGER)


def test_wrong_key_is_said_and_shown_nowhere(rig: Rig) -> None:
    with Syncthing(rig.client.address, Key("not-the-key")) as stranger, pytest.raises(WrongKey) as caught:
        stranger.ping()
    assert "not-the-key" not in str(caught.value)


def test_without_a_key_nothing_is_answered(rig: Rig) -> None:
    with Syncthing(rig.client.address, Key("")) as stranger, pytest.raises(WrongKey):
        stranger.folders()


def test_the_key_is_in_no_text_log_or_traceback(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    import traceback

    with caplog.at_level(logging.DEBUG):
        rig.client.folders()
        with pytest.raises(FolderNotKnown) as caught:
            rig.client.scan("nosuch")
    shown = [repr(rig.client), repr(rig.key), str(rig.key), caplog.text, repr(vars(rig.client))]
    shown.append("".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()))
    assert rig.key.reveal() not in "".join(shown)


# -- settings ------------------------------------------------------------------------


def test_a_folder_is_as_it_was_asked_for(rig: Rig) -> None:
    wanted = rig.new_folder()
    found = rig.client.folder(wanted.id)
    assert found.device_ids() == {rig.own_id, rig.other_id}
    same = ("id", "path", "label", "type", "paused", "watcher", "watcher_delay_s", "max_conflicts", "rescan_interval_s")
    assert {name: getattr(found, name) for name in same} == {name: getattr(wanted, name) for name in same}
    assert found.max_pending_kib == 16384
    assert found.versioning.params == {"cleanoutDays": "0"}
    assert not found.sync_xattrs
    assert not found.send_xattrs
    assert wanted.id in {one.id for one in rig.client.folders()}


def test_what_lyts_does_not_know_of_a_folder_survives_a_change(rig: Rig) -> None:
    wanted = rig.new_folder()
    rig.client.change_folder(wanted.id, order="oldestFirst", minDiskFree={"value": 7, "unit": "%"})
    found = rig.client.folder(wanted.id)
    rig.client.set_folder(msgspec.structs.replace(found, label="another"))
    after = rig.client.folder(wanted.id)
    assert after.label == "another"
    assert after.rest["order"] == "oldestFirst"
    assert after.rest["minDiskFree"] == {"value": 7, "unit": "%"}
    assert msgspec.structs.replace(after, label=found.label) == found


def test_what_is_read_is_what_would_be_written(rig: Rig) -> None:
    rig.new_folder()
    for one in rig.client.folders():
        rig.client.set_folder(one)
        assert rig.client.folder(one.id) == one
    for each in rig.client.devices():
        rig.client.set_device(each)
        assert rig.client.device(each.device_id) == each


def test_many_folders_are_made_by_one_list_and_no_other_is_touched(rig: Rig) -> None:
    before = rig.client.folders()
    new = [
        data_folder(f"many-{number}", str(rig.base / f"many-{number}"), "", [rig.other_id], paused=True)
        for number in range(40)
    ]
    rig.client.set_folders(new)
    assert {one.id for one in rig.client.folders()} == {one.id for one in [*before, *new]}
    assert [one for one in rig.client.folders() if not one.id.startswith("many-")] == before
    assert rig.client.folder("many-7").device_ids() == {rig.own_id, rig.other_id}
    rig.client.set_folders([msgspec.structs.replace(one, label="again") for one in new[:3]])
    labels = {one.id: one.label for one in rig.client.folders()}
    assert [labels["many-2"], labels["many-3"]] == ["again", ""]
    for one in new:
        rig.client.remove_folder(one.id)
    assert rig.client.folders() == before


def test_one_key_of_a_folder_is_changed_and_no_other(rig: Rig) -> None:
    config = rig.new_folder()
    before = rig.client.folder(config.id)
    rig.client.change_folder(config.id, paused=True)
    assert rig.client.folder(config.id) == msgspec.structs.replace(before, paused=True)


def test_a_removed_folder_is_unknown_and_its_files_stay(rig: Rig) -> None:
    config = rig.new_folder()
    path = write(config, "a.txt")
    rig.client.remove_folder(config.id)
    rig.client.remove_folder(config.id)  # no error: it is as it should be
    assert path.read_bytes() == b"hello"
    with pytest.raises(FolderNotKnown, match=config.id):
        rig.client.folder(config.id)
    with pytest.raises(FolderNotKnown):
        rig.client.change_folder(config.id, paused=True)


def test_a_device_is_added_changed_and_removed(rig: Rig) -> None:
    wanted = device(STRANGER, "tablet", ["tcp://127.0.0.1:9"])
    rig.client.set_device(wanted)
    found = rig.client.device(STRANGER)
    assert (found.name, found.addresses, found.compression) == ("tablet", ("tcp://127.0.0.1:9",), "always")
    assert [found.introducer, found.auto_accept_folders, found.untrusted] == [False] * 3
    rig.client.change_device(STRANGER, paused=True)
    assert rig.client.device(STRANGER).paused
    rig.client.remove_device(STRANGER)
    rig.client.remove_device(STRANGER)
    with pytest.raises(DeviceNotKnown, match=STRANGER):
        rig.client.device(STRANGER)
    with pytest.raises(DeviceNotKnown):
        rig.client.change_device(STRANGER, paused=True)


def test_devices_are_made_by_one_list_and_no_other_is_touched(rig: Rig) -> None:
    before = {one.device_id: one for one in rig.client.devices()}
    rig.client.set_devices([device(STRANGER, "stranger")])
    after = {one.device_id: one for one in rig.client.devices()}
    assert after.pop(STRANGER).name == "stranger"
    assert after == before
    rig.client.remove_device(STRANGER)


def test_a_device_that_is_removed_is_out_of_every_folder(rig: Rig) -> None:
    rig.client.set_device(device(STRANGER, "stranger"))
    config = rig.new_folder()
    shared = data_folder(config.id, config.path, config.label, [rig.other_id, STRANGER], paused=False)
    rig.client.set_folder(shared)
    assert STRANGER in rig.client.folder(config.id).device_ids()
    rig.client.remove_device(STRANGER)
    assert rig.client.folder(config.id).device_ids() == {rig.own_id, rig.other_id}


def test_an_impossible_device_id_is_refused_in_words(rig: Rig) -> None:
    with pytest.raises(Refused, match="incorrect length"):
        rig.client.set_device(device("nonsense", "x"))


def test_a_folder_without_a_path_is_refused_in_words(rig: Rig) -> None:
    with pytest.raises(Refused, match="empty path"):
        rig.client.set_folder(data_folder("nowhere", "", "", [], paused=False))
    assert "nowhere" not in {one.id for one in rig.client.folders()}


def test_options_are_read_and_changed(rig: Rig) -> None:
    before = rig.client.options()
    assert [before.global_announce, before.local_announce, before.relays, before.nat] == [False] * 4
    rig.client.change_options(reconnectionIntervalS=7)
    assert rig.client.options() == msgspec.structs.replace(before, reconnection_interval_s=7)
    rig.client.change_options(reconnectionIntervalS=before.reconnection_interval_s)


# -- scanning --------------------------------------------------------------------------


def test_a_scan_of_one_path_finds_it_and_nothing_else(rig: Rig) -> None:
    config = rig.new_folder(watcher=False)
    write(config, "d/a.txt")
    write(config, "b.txt")
    rig.client.scan(config.id, ["d/a.txt"])
    found = rig.client.file(config.id, "d/a.txt")
    assert found is not None
    assert (found.local.size, found.local.deleted, found.local.modified_by) == (5, False, rig.own_id[:7])
    assert found.is_here()
    assert rig.client.file(config.id, "b.txt") is None
    rig.client.scan(config.id)
    assert rig.client.file(config.id, "b.txt") is not None


def test_a_scan_of_no_path_looks_at_nothing(rig: Rig) -> None:
    config = rig.new_folder(watcher=False)
    write(config, "a.txt")
    rig.client.scan(config.id, [])
    assert rig.client.file(config.id, "a.txt") is None


def test_thousands_of_paths_are_scanned_in_one_call(rig: Rig) -> None:
    config = rig.new_folder(watcher=False)
    names = [f"{number % 50:02}/{number:04} " + "ü" * 40 + ".txt" for number in range(2_000)]
    for name in names:
        write(config, name, b"")
    write(config, "not-asked-for")
    rig.client.scan(config.id, names)
    status = rig.client.folder_status(config.id)
    assert (status.local_files, status.local_directories) == (2_000, 50)


def test_names_with_anything_in_them_are_scanned_and_found(rig: Rig) -> None:
    config = rig.new_folder(watcher=False)
    names = ["a&b=c.txt", "100 %.txt", "a+b.txt", "#?;.txt", "Grüße 音楽.txt", "'\"\\.txt", "line\nbreak"]
    for name in names:
        write(config, name)
    rig.client.scan(config.id, names)
    for name in names:
        found = rig.client.file(config.id, name)
        assert found is not None, name
        assert found.local.name == name


def test_a_deleted_file_is_known_as_deleted(rig: Rig) -> None:
    config = rig.new_folder(watcher=False)
    path = write(config, "a.txt")
    rig.client.scan(config.id, ["a.txt"])
    path.unlink()
    rig.client.scan(config.id, ["a.txt"])
    found = rig.client.file(config.id, "a.txt")
    assert found is not None
    assert found.local.deleted
    assert found.whole.deleted
    assert not found.is_here()


def test_equal_contents_have_equal_block_hashes(rig: Rig) -> None:
    config = rig.new_folder(watcher=False)
    for name, data in (("a", b"x" * 300_000), ("b", b"x" * 300_000), ("c", b"y" * 300_000)):
        write(config, name, data)
    rig.client.scan(config.id)
    files = [rig.client.file(config.id, name) for name in "abc"]
    hashes = [one.local.blocks_hash if one is not None else None for one in files]
    assert hashes[0] == hashes[1] != hashes[2]
    assert None not in hashes


def test_browsing_shows_what_the_index_has(rig: Rig) -> None:
    config = rig.new_folder(watcher=False)
    write(config, "d/e/a.txt")
    write(config, "b.txt", b"12")
    rig.client.scan(config.id)
    by_name = {one.name: one for one in rig.client.browse(config.id)}
    assert set(by_name) == {"b.txt", "d"}
    assert (by_name["b.txt"].size, by_name["b.txt"].is_directory()) == (2, False)
    assert by_name["d"].is_directory()
    (inner,) = by_name["d"].children or []
    assert [one.name for one in inner.children or []] == ["a.txt"]
    (bare,) = rig.client.browse(config.id, "d", levels=0)
    assert (bare.name, bare.children) == ("e", None)


@pytest.mark.parametrize("call", ["scan", "revert", "folder_status", "folder_errors"])
def test_an_unknown_folder_is_said_by_name(rig: Rig, call: str) -> None:
    with pytest.raises(FolderNotKnown, match="'nosuch'"):
        getattr(rig.client, call)("nosuch")


def test_files_of_an_unknown_folder_are_not_known_either(rig: Rig) -> None:
    with pytest.raises(FolderNotKnown):
        rig.client.file("nosuch", "a.txt")
    with pytest.raises(FolderNotKnown):
        rig.client.browse("nosuch")


def test_a_paused_folder_is_told_from_an_unknown_one(rig: Rig) -> None:
    config = rig.new_folder(paused=True)
    with pytest.raises(FolderPaused, match=config.id):
        rig.client.scan(config.id)
    with pytest.raises(FolderPaused):
        rig.client.folder_errors(config.id)
    status = rig.client.folder_status(config.id)
    assert status.state == ""
    assert not status.settled()
    rig.client.change_folder(config.id, paused=False)
    rig.client.scan(config.id)
    until(lambda: rig.client.folder_status(config.id).settled(), "settled")


def test_a_folder_whose_marker_is_gone_stops_and_nothing_is_deleted_for_it(rig: Rig) -> None:
    config = rig.new_folder(watcher=False)
    path = write(config, "a.txt")
    rig.client.scan(config.id)
    path.unlink()
    marker = Path(config.path) / ".stfolder"
    for inside in marker.iterdir():
        inside.unlink()
    marker.rmdir()
    with pytest.raises(FolderStopped, match="marker missing"):
        rig.client.scan(config.id)
    status = rig.client.folder_status(config.id)
    assert status.state == "error"
    assert "marker missing" in status.error
    assert not marker.exists()
    found = rig.client.file(config.id, "a.txt")
    assert found is not None
    assert not found.whole.deleted
    assert rig.client.folder_errors(config.id) == []


# -- from another device ------------------------------------------------------------------


def test_what_another_device_writes_arrives_and_says_who_has_it(rig: Rig) -> None:
    config = rig.new_folder()
    rig.other_writes(config.id, "a.txt", b"from elsewhere")
    assert (Path(config.path) / "a.txt").read_bytes() == b"from elsewhere"

    def known() -> bool:
        found = rig.client.file(config.id, "a.txt")
        return found is not None and found.is_here() and found.held_by() == {rig.other_id}

    until(known, "in the index")
    found = rig.client.file(config.id, "a.txt")
    assert found is not None
    assert found.whole.modified_by == rig.other_id[:7]
    assert found.local.size == 14


def test_what_another_device_deletes_goes_to_the_trashcan(rig: Rig) -> None:
    config = rig.new_folder()
    rig.other_writes(config.id, "d/a.txt", b"precious")
    rig.other_writes(config.id, "d/a.txt", None)
    kept = Path(config.path) / ".stversions" / "d" / "a.txt"
    until(kept.exists, "in the trashcan")
    assert kept.read_bytes() == b"precious"
    until(lambda: (found := rig.client.file(config.id, "d/a.txt")) is not None and found.local.deleted, "known")


def test_what_another_device_replaces_goes_to_the_trashcan(rig: Rig) -> None:
    config = rig.new_folder()
    rig.other_writes(config.id, "a.txt", b"before")
    rig.other_writes(config.id, "a.txt", b"after, and longer")
    assert (Path(config.path) / ".stversions" / "a.txt").read_bytes() == b"before"


def test_a_change_in_a_receive_only_folder_stays_here_and_is_taken_back(rig: Rig) -> None:
    config = rig.new_folder(type=RECEIVE_ONLY, watcher=False)
    rig.other_writes(config.id, "theirs.txt", b"theirs")
    until(lambda: (found := rig.client.file(config.id, "theirs.txt")) is not None and found.is_here(), "known")
    write(config, "theirs.txt", b"spoiled here")
    write(config, "mine.txt", b"mine")
    rig.client.scan(config.id)
    assert rig.client.folder_status(config.id).receive_only_total_items == 2
    found = rig.client.file(config.id, "mine.txt")
    assert found is not None
    assert found.local.invalid
    rig.client.revert(config.id)
    until(lambda: (Path(config.path) / "theirs.txt").read_bytes() == b"theirs", "taken back")
    until(lambda: rig.client.folder_status(config.id).receive_only_total_items == 0, "counted")
    assert not (Path(config.path) / "mine.txt").exists()
    assert (Path(config.path) / ".stversions" / "theirs.txt").read_bytes() == b"spoiled here"


def test_ledger_folders_are_taken_as_they_are_built(rig: Rig) -> None:
    for build in (
        own_ledger("L1", str(rig.base / "L1"), "ledger", [rig.other_id], settled=False),
        own_ledger("L2", str(rig.base / "L2"), "ledger", [rig.other_id], settled=True),
        others_ledger("L3", str(rig.base / "L3"), "ledger", [rig.other_id]),
    ):
        rig.client.set_folder(build)
        found = rig.client.folder(build.id)
        assert (found.type, found.watcher, found.max_conflicts) == (build.type, False, -1)
        rig.client.scan(build.id)
        rig.client.remove_folder(build.id)


# -- events ---------------------------------------------------------------------------------


def last_id(client: Syncthing, types: tuple[str, ...] = ()) -> int:
    found = client.events(0, types, timeout_s=0, limit=1)
    return found[-1].id if found else 0


def test_events_come_in_order_after_the_one_asked_for(rig: Rig) -> None:
    since = last_id(rig.client, ("ConfigSaved",))
    config = rig.new_folder()
    first = rig.client.events(since, ("ConfigSaved",), timeout_s=10)
    assert [one.type for one in first] == ["ConfigSaved"] * len(first)
    assert first[0].id > since
    rig.client.change_folder(config.id, label="x")
    second = rig.client.events(first[-1].id, ("ConfigSaved",), timeout_s=10)
    assert [one.id for one in second] == list(range(first[-1].id + 1, first[-1].id + 1 + len(second)))
    assert second


def test_no_event_within_the_time_is_an_empty_list(rig: Rig) -> None:
    types = ("DeviceRejected",)
    assert rig.client.events(last_id(rig.client, types), types, timeout_s=1) == []


def test_what_arrived_is_told_file_by_file(rig: Rig) -> None:
    config = rig.new_folder()
    types = ("ItemFinished", "RemoteIndexUpdated")
    since, disk = last_id(rig.client, types), 0
    for one in rig.client.disk_events(0, timeout_s=0):
        disk = one.id
    rig.other_writes(config.id, "a.txt", b"new")
    seen = []

    def finished() -> bool:
        seen.extend(rig.client.events(seen[-1].id if seen else since, types, timeout_s=1))
        return any(one.type == "ItemFinished" and one.about("item") == "a.txt" for one in seen)

    until(finished, "ItemFinished")
    one = next(one for one in seen if one.type == "ItemFinished" and one.about("item") == "a.txt")
    assert (one.about("folder"), one.about("action"), one.data["error"]) == (config.id, "update", None)
    assert any(one.type == "RemoteIndexUpdated" and one.about("device") == rig.other_id for one in seen)

    def told() -> bool:
        return any(
            (one.type, one.about("folder"), one.about("path"), one.about("modifiedBy"))
            == ("RemoteChangeDetected", config.id, "a.txt", rig.other_id[:7])
            for one in rig.client.disk_events(disk, timeout_s=1)
        )

    until(told, "RemoteChangeDetected")


def test_own_changes_are_told_after_a_scan(rig: Rig) -> None:
    config = rig.new_folder(watcher=False)
    since = last_id(rig.client, ("LocalIndexUpdated",))
    write(config, "a.txt")
    rig.client.scan(config.id, ["a.txt"])

    def told() -> bool:
        found = rig.client.events(since, ("LocalIndexUpdated",), timeout_s=1)
        return any(one.about("folder") == config.id and one.data["filenames"] == ["a.txt"] for one in found)

    until(told, "LocalIndexUpdated")


# -- who wants what -----------------------------------------------------------------------------


def test_a_folder_that_is_offered_is_pending_until_it_is_made(rig: Rig) -> None:
    name = f"G{next(NUMBERS)}"
    rig.other_shares(name)
    until(lambda: name in rig.client.pending_folders(), "offered")
    offer = rig.client.pending_folders()[name].offered_by[rig.other_id]
    assert offer.label == f"the {name}"
    assert not offer.receive_encrypted
    rig.client.set_folder(data_folder(name, str(rig.base / name), offer.label, [rig.other_id], paused=False))
    until(lambda: name not in rig.client.pending_folders(), "taken")


def test_an_offer_is_dismissed(rig: Rig) -> None:
    name = f"G{next(NUMBERS)}"
    rig.other_shares(name)
    until(lambda: name in rig.client.pending_folders(), "offered")
    rig.client.dismiss_folder(name, rig.other_id)
    assert name not in rig.client.pending_folders()


def test_nobody_is_pending_who_is_known(rig: Rig) -> None:
    assert rig.other_id not in rig.client.pending_devices()


# -- only the real one, or only the fake ---------------------------------------------------------


def test_a_device_that_knocks_is_pending_and_dismissed(tmp_path: Path) -> None:
    with Cluster(tmp_path, 2, connected=False) as cluster:
        one, other = cluster
        # The other knows this one, dials it, and is refused.
        there = device(one.device_id, "one", [one.address])
        other.client.set_devices([other.client.device(other.device_id), there])
        until(lambda: other.device_id in one.client.pending_devices(), "knocked")
        assert one.client.pending_devices()[other.device_id].name == "n1"
        other.stop()

        def is_dismissed() -> bool:  # what it sent before it was ended may be read only now
            one.client.dismiss_device(other.device_id)
            return one.client.pending_devices() == {}

        until(is_dismissed, "dismissed")


def test_the_fake_tells_of_a_device_that_knocks() -> None:
    with FakeSyncthing() as fake, Syncthing(fake.address, fake.key) as client:
        fake.knock(STRANGER, "tablet")
        assert client.pending_devices()[STRANGER].name == "tablet"
        client.dismiss_device(STRANGER)
        assert client.pending_devices() == {}


def test_after_a_restart_event_ids_begin_again(tmp_path: Path) -> None:
    with Cluster(tmp_path, 1, connected=False) as cluster:
        before = cluster[0].client.status().start_time
        since = last_id(cluster[0].client)
        cluster[0].stop()
        cluster[0].start()
        assert cluster[0].client.status().start_time != before
        assert cluster[0].client.events(0, timeout_s=0)[0].id <= since


def test_the_fake_begins_events_again_as_well() -> None:
    with FakeSyncthing() as fake, Syncthing(fake.address, fake.key) as client:
        before = client.status().start_time
        client.set_device(device(STRANGER, "x"))
        assert last_id(client) == 2
        client.restart()
        assert client.status().start_time != before
        assert [one.id for one in client.events(0, timeout_s=0)] == [1]
        assert client.device(STRANGER).name == "x"


# -- trouble -----------------------------------------------------------------------------------------


def test_nobody_there_is_said_with_where() -> None:
    port = free_port()
    with Syncthing(read_address(f"127.0.0.1:{port}"), Key("k")) as client, pytest.raises(NotReachable) as caught:
        client.ping()
    assert f"http://127.0.0.1:{port}" in str(caught.value)
    assert "lyts sync up" in str(caught.value)


def test_an_old_version_is_refused() -> None:
    with FakeSyncthing(version="v1.19.2") as fake, Syncthing(fake.address, fake.key) as client:
        sentence = r"v1\.19\.2, and lyts needs 1\.27"
        with pytest.raises(TooOld, match=sentence):
            client.check_supported()


@pytest.mark.parametrize(
    "version", ["v1.27.0", "v1.27.0-rc.1", "v1.29.5", "v2.0.0", "v2.1.3", "v10.0.0", "unknown-dev"]
)
def test_a_new_version_is_taken(version: str) -> None:
    with FakeSyncthing(version=version) as fake, Syncthing(fake.address, fake.key) as client:
        assert client.check_supported().version == version


def test_no_answer_in_time_is_no_hang() -> None:
    with (
        FakeSyncthing() as fake,
        Syncthing(fake.address, fake.key, answer_s=0.05) as client,
        Syncthing(fake.address, fake.key) as patient,
    ):
        fake.hang.set()
        with pytest.raises(TookTooLong, match="GET config/folders"):
            client.folders()
        with pytest.raises(TookTooLong, match="POST db/scan"):
            client.scan("F", timeout_s=0.05)
        fake.hang.clear()
        patient.ping()


def test_closing_the_client_ends_a_wait_for_events() -> None:
    import threading

    with FakeSyncthing() as fake:
        client = Syncthing(fake.address, fake.key)
        ended: list[BaseException] = []

        def wait() -> None:
            try:
                client.events(10, timeout_s=60)
            except NotReachable as exc:
                ended.append(exc)

        thread = threading.Thread(target=wait)
        thread.start()
        until(lambda: any("events" in target for _, target in fake.asked), "asked")
        fake.close()
        thread.join(30)
        assert not thread.is_alive()
        client.close()
        with pytest.raises(NotReachable, match="closed"):
            client.ping()


def test_a_refusal_carries_syncthings_own_words() -> None:
    with FakeSyncthing() as fake, Syncthing(fake.address, fake.key) as client:
        fake.refuse_next = (500, "the disk is full")
        with pytest.raises(Refused, match="the disk is full") as caught:
            client.status()
        assert caught.value.status == 500


def test_keys_of_a_newer_version_survive_a_change(tmp_path: Path) -> None:
    more = {"futureSwitch": False, "futureThing": {"depth": 3}}
    with FakeSyncthing(more_folder_keys=more) as fake, Syncthing(fake.address, fake.key) as client:
        client.set_folder(data_folder("F", str(tmp_path / "F"), "", [], paused=False))
        client.change_folder("F", futureSwitch=True, futureThing={"depth": 9})
        client.set_folder(msgspec.structs.replace(client.folder("F"), label="x"))
        found = client.folder("F")
        assert (found.rest["futureSwitch"], found.rest["futureThing"]) == (True, {"depth": 9})


def test_another_server_is_not_taken_for_syncthing() -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Web(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Web) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(0.01))
        thread.start()
        try:
            with Syncthing(read_address(f"127.0.0.1:{server.server_port}"), Key("k")) as client:
                asked = pytest.raises(BadAnswer, match="something else")
                with asked:
                    client.status()
        finally:
            server.shutdown()
            thread.join()


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with FakeSyncthing() as fake, Syncthing(fake.address, fake.key) as client:
        client.ping()
    assert "HTTP_PROXY" in os.environ
