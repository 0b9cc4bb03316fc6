"""Which folders and devices Syncthing is to have, and what of that is written."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

from sync.nodes import NodeInfo, Trusted
from sync.relabelling import relabel
from sync.shares import Myself, Shares, devices_of_nodes, shares
from sync.sharing import changed_devices, changed_folders, share
from sync.syncthing.client import Syncthing
from sync.syncthing.config import DeviceConfig, FolderConfig
from sync.syncthing.folders import data_folder, device, is_ledger_id, ledger_folder_id, set_ledger_folder_id
from tagfs.layout import Layout
from tagfs.nodeset import set_id
from tagfs.place import NodeSet, told_apart
from tests.support.fake_syncthing import FakeSyncthing, a_device_id

LIBRARY = "11111111-2222-4333-8444-555555555555"
A, B, C = (f"{letter * 8}-0000-4000-8000-000000000000" for letter in "abc")
DEVICE = {guid: a_device_id(guid) for guid in (A, B, C)}
LAYOUT = Layout("/store")
AB = NodeSet(set_id([A, B]), "laptop+tablet", frozenset({A, B}))
ALONE = NodeSet(set_id([A]), "laptop", frozenset({A}))
STRANGE = NodeSet(set_id([B, C]), "phone+tablet", frozenset({B, C}))


def trusted(*guids: str, alias: str = "tablet", addresses: tuple[str, ...] = ()) -> dict[str, Trusted]:
    return {guid: Trusted(NodeInfo(guid, alias, addresses, False, {}), DEVICE[guid], True) for guid in guids}


def wanted(others: dict[str, Trusted], *sets: NodeSet, me: str = DEVICE[A], **changes: Any) -> Shares:
    options: dict[str, Any] = {"standing": {}, "known_devices": [], "settled": True, "data_flows": True, **changes}
    standing, known = options.pop("standing"), options.pop("known_devices")
    return shares(Myself(A, "laptop", LIBRARY, "laptop", me), others, sets, LAYOUT, standing, known, **options)


def by_id(found: Shares) -> dict[str, FolderConfig]:
    return {one.id: one for one in found.folders}


def test_a_node_that_is_alone_shares_nothing() -> None:
    assert wanted({}, ALONE) == ([], [], [])


def test_each_has_a_folder_for_its_ledger_that_all_share_and_only_its_owner_may_write() -> None:
    found = by_id(wanted(trusted(B, C), ALONE))
    own, other = found[ledger_folder_id(LIBRARY, A)], found[ledger_folder_id(LIBRARY, B)]
    assert (own.type, own.path) == ("sendreceive", "/store/ledgers/laptop")
    assert (other.type, other.path) == ("receiveonly", "/store/ledgers/tablet")
    assert found[ledger_folder_id(LIBRARY, C)].path == f"/store/ledgers/tablet-{C[:8]}"
    for one in found.values():
        assert one.device_ids() == frozenset(DEVICE.values())
    assert len(found) == 3


def test_an_own_ledger_that_is_not_settled_sends_nothing() -> None:
    found = by_id(wanted(trusted(B), settled=False, data_flows=False))
    assert found[ledger_folder_id(LIBRARY, A)].type == "receiveonly"


def test_a_ledger_folder_keeps_the_path_it_was_made_with() -> None:
    first = by_id(wanted(trusted(B)))
    renamed = by_id(wanted(trusted(B, alias="old tablet"), standing=first))
    assert {one.id: one.path for one in renamed.values()} == {one.id: one.path for one in first.values()}
    assert renamed[ledger_folder_id(LIBRARY, B)].label == "lyts: old tablet"


def test_ledgers_of_a_set_are_shared_by_its_nodes_alone_each_written_by_its_owner() -> None:
    secret = AB._replace(ledgers=True)
    found = by_id(wanted(trusted(B, C), ALONE, secret, STRANGE._replace(ledgers=True)))
    ledgers = {one: folder for one, folder in found.items() if one.startswith("lsd-") and is_ledger_id(one)}
    own, other = set_ledger_folder_id(AB.set_id, A), set_ledger_folder_id(AB.set_id, B)
    assert set(ledgers) == {own, other}
    assert (found[own].type, found[own].path) == ("sendreceive", "/store/ledgers/laptop@laptop+tablet")
    assert (found[other].type, found[other].path) == ("receiveonly", "/store/ledgers/tablet@laptop+tablet")
    assert all(one.device_ids() == {DEVICE[A], DEVICE[B]} for one in ledgers.values())
    assert by_id(wanted(trusted(B, C), secret, settled=False))[own].type == "receiveonly"
    # Nobody to share them with, and none for a set from whose files nobody is kept.
    assert not any(one.startswith("lsd-") for one in by_id(wanted(trusted(C), secret)))
    forged = NodeSet(AB.set_id, AB.label, frozenset({A, B, C}), True)
    for unshared in (AB, forged):
        assert not any(one.startswith("lsd-") and is_ledger_id(one) for one in by_id(wanted(trusted(B, C), unshared)))


def test_two_sets_that_were_given_one_name_do_not_share_a_folder() -> None:
    twin = NodeSet(set_id([A, C]), AB.label, frozenset({A, C}), True)
    found = by_id(wanted(trusted(B, C), AB._replace(ledgers=True), twin))
    paths = [one.path for one in found.values() if is_ledger_id(one.id)]
    assert len(paths) == len(set(paths)) == 7


def test_no_set_gets_the_folder_of_another_whatever_label_and_stamp_it_is_given() -> None:
    """A label is what some device said: with one of another set it would have that set's bytes sent to itself."""
    before = by_id(wanted(trusted(B, C), ALONE, AB))
    for label in ("laptop", "LAPTOP", AB.label):
        for other in ({A, C}, {A, B, C}):
            made_up = NodeSet(set_id(other), label, frozenset(other))
            sets = told_apart([("1", made_up), ("2", ALONE), ("3", AB)])
            assert next(one.label for one in sets if one.nodes == {A}) == "laptop"
            for standing in ({}, before):
                found = by_id(wanted(trusted(B, C), *sets, standing=standing))
                paths = {one.id: one.path.lower() for one in found.values()}
                assert len(set(paths.values()) | {"/store/sets/laptop"}) == len(paths) + 1
                if standing:  # its bytes are still there
                    assert "/store/sets/laptop+tablet" not in [p for one, p in paths.items() if one != AB.set_id]


def test_what_is_no_address_is_not_dialled() -> None:
    node = NodeInfo(B, "tablet", ("nonsense", "file:///etc/passwd", "tcp://192.0.2.7:22000", "tcp://x y"), False, {})
    (found,) = wanted({B: Trusted(node, DEVICE[B], True)}).devices
    assert found.addresses == ("tcp://192.0.2.7:22000",)


def test_a_set_is_shared_by_those_of_its_nodes_that_are_known() -> None:
    found = by_id(wanted(trusted(B, C), ALONE, AB, STRANGE, data_flows=False))
    assert set(found) >= {AB.set_id}
    assert ALONE.set_id not in found
    assert STRANGE.set_id not in found
    data = found[AB.set_id]
    assert (data.path, data.paused, data.device_ids()) == (
        "/store/sets/laptop+tablet", True, {DEVICE[A], DEVICE[B]}
    )  # fmt: skip
    assert AB.set_id not in by_id(wanted(trusted(C), AB))


def test_a_set_whose_other_node_was_forgotten_keeps_its_folder_and_loses_the_device() -> None:
    before = wanted(trusted(B, C), AB)
    after = wanted(trusted(C), AB, standing=by_id(before), known_devices=[DEVICE[B], DEVICE[C]])
    assert by_id(after)[AB.set_id].device_ids() == {DEVICE[A]}
    assert after.forget == [DEVICE[B]]


def test_who_stays_is_in_every_folder_as_before_and_is_not_forgotten() -> None:
    before = wanted(trusted(B, C), AB)
    devices = [DEVICE[B], DEVICE[C]]
    after = wanted({}, AB, standing=by_id(before), known_devices=devices, stay=devices, settled=False)
    assert after.forget == []
    assert by_id(after)[ledger_folder_id(LIBRARY, A)].device_ids() == set(DEVICE.values())
    assert by_id(after)[AB.set_id].device_ids() == {DEVICE[A], DEVICE[B]}


def test_of_two_that_can_dial_each_other_one_does_and_one_that_cannot_be_dialled_dials() -> None:
    reached = ("tcp://192.0.2.7:22000",)
    low, high = sorted([DEVICE[A], DEVICE[B]])

    def dials(own: str, other: str, **changes: Any) -> bool:
        node = NodeInfo(B, "tablet", reached, False, {})
        (found,) = wanted({B: Trusted(node, other, True)}, me=own, **changes).devices
        return found.addresses == reached

    assert dials(low, high, can_dial_us=[B])
    assert not dials(high, low, can_dial_us=[B])
    assert dials(high, low)


# -- writing ------------------------------------------------------------------------


def test_nothing_is_written_where_nothing_differs_and_unknown_settings_stay() -> None:
    folder = data_folder("lsd-x", "/x", "x", [DEVICE[A], DEVICE[B]], paused=False)
    standing = FolderConfig.read({**folder.written(), "futureKey": 7})
    assert changed_folders({"lsd-x": standing}, [folder], DEVICE[A]) == []
    other = data_folder("lsd-x", "/x", "x", [DEVICE[B]], paused=True)
    (written,) = changed_folders({"lsd-x": standing}, [other], DEVICE[A])
    assert written.paused
    assert written.written()["futureKey"] == 7
    assert written.device_ids() == {DEVICE[A], DEVICE[B]}
    one = device(DEVICE[B], "tablet")
    known = DeviceConfig.read({**one.written(), "futureKey": 7})
    assert changed_devices({DEVICE[B]: known}, [one]) == []
    (again,) = changed_devices({DEVICE[B]: known}, [device(DEVICE[B], "old tablet")])
    assert (again.name, again.written()["futureKey"]) == ("old tablet", 7)


def test_sharing_makes_folders_takes_out_who_left_and_leaves_the_persons_own_alone(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    with FakeSyncthing() as fake, Syncthing(fake.address, fake.key) as client:
        me = Myself(A, "laptop", LIBRARY, "laptop", fake.own_id)
        ours = ledger_folder_id(LIBRARY, "")
        lonely = a_device_id("lonely")
        client.set_devices([device(DEVICE[C], "a friend"), device(lonely, "shares nothing")])
        client.set_folder(data_folder("photos", str(tmp_path / "photos"), "photos", [DEVICE[C]], paused=False))

        def bring(others: dict[str, Trusted]) -> bool:
            standing = {one.id: one for one in client.folders()}
            nodes = [one.node for one in others.values()]
            known = devices_of_nodes(nodes, standing.values(), ours) - {fake.own_id}
            found = shares(me, others, [AB], layout, standing, known, settled=True, data_flows=True)
            return share(client, found, fake.own_id, ours)

        assert bring(trusted(B))
        assert not bring(trusted(B))
        assert os.path.isdir(tmp_path / "sets" / "laptop+tablet" / "data")
        assert {one.device_id for one in client.devices()} == {fake.own_id, DEVICE[B], DEVICE[C], lonely}
        assert bring({})
        assert {one.device_id for one in client.devices()} == {fake.own_id, DEVICE[C], lonely}
        assert client.folder("photos").device_ids() == {fake.own_id, DEVICE[C]}


def test_sets_that_were_given_one_label_at_once_are_told_apart_the_same_way_on_all_nodes() -> None:
    twin = NodeSet(set_id([A, C]), AB.label.upper(), frozenset({A, C}))
    for older, younger in ((AB, twin), (twin, AB)):
        for stated in itertools.permutations([("1", older), ("2", younger), ("3", ALONE)]):
            found = {one.set_id: one for one in told_apart(stated)}
            assert found[older.set_id] == older
            assert found[ALONE.set_id] == ALONE
            assert found[younger.set_id].label == f"{younger.label}-{younger.set_id[4:12]}"
            assert found[younger.set_id].said == younger.label
    # Two devices of one name have no folder in common.
    other = NodeSet(set_id([B]), ALONE.label, frozenset({B}))
    assert sorted(told_apart([("1", ALONE), ("1", other)])) == sorted([ALONE, other])


def test_the_folder_of_a_set_that_lost_its_label_moves_once_with_all_that_is_in_it(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    twin = NodeSet(set_id([A, C]), AB.label, frozenset({A, C}))
    (younger,) = (one for one in told_apart([("1", AB), ("2", twin)]) if one.said)
    before = tmp_path / "sets" / AB.label
    (before / "data").mkdir(parents=True)
    (before / ".stfolder").mkdir()
    standing = {younger.set_id: data_folder(younger.set_id, str(before), "x", [], paused=False)}
    elsewhere = {younger.set_id: data_folder(younger.set_id, "/elsewhere/" + AB.label, "x", [], paused=False)}
    assert relabel(layout, [AB, younger], elsewhere) == []
    assert relabel(layout, [AB, younger], standing) == [younger.set_id]
    assert not before.exists()
    assert sorted(path.name for path in (tmp_path / "sets" / younger.label).iterdir()) == [".stfolder", "data"]
    before.mkdir()  # the other set's
    assert relabel(layout, [AB, younger], standing) == []
    assert before.exists()
