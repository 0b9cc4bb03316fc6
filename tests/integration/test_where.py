"""What `lyts where` finds on a disk and in what other nodes say, and which moves `doctor` calls slow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shell.rows import objects
from sync import proofs
from sync.machine import Proof
from sync.placing import digest_of
from sync.verbs.copies import LONG_MS, examine
from sync.verbs.waiting import BYTES, FREE, PROOF, Wait
from sync.verbs.where import Where, slow_moves, where
from tagfs.glossary import NODE_THING
from tagfs.nodeset import set_id
from tagfs.placement import rule_clock
from tagfs.query.onefile import files_found
from tagfs.seen import Seen, write_seen
from tagfs.store import Store
from tagfs.verbs.why import why
from tests.support.stores import START_MS, Machine, add_files, make_store, say

TABLET = "22222222-0000-4000-8000-000000000002"
SERVER = "33333333-0000-4000-8000-000000000003"


class Desk:
    """A store of the laptop in a library of three, and what the others say."""

    def __init__(self, base: Path) -> None:
        self.machine = Machine()
        self.store = make_store(base / "store", self.machine)
        self.me = str(self.store.node)
        self.nodes = [self.me, TABLET, SERVER]

        def introduce(change) -> None:  # type: ignore[no-untyped-def]
            change.unasked = True
            for guid, alias in ((TABLET, "tablet"), (SERVER, "server")):
                change.about("node", NODE_THING, guid, alias=alias)
            both = sorted([self.me, TABLET])
            change.new_set(set_id(both), "laptop+tablet", both)
            change.new_set(set_id([TABLET]), "tablet", [TABLET])

        self.store.act(introduce)
        (self.guid,) = add_files(self.store, "song.flac")
        self.data = self.state().made.data

    def state(self):  # type: ignore[no-untyped-def]
        return self.store.states([self.guid])[0]

    def put(self, *parts: str) -> str:
        path = os.path.join(self.store.layout.root, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).write_bytes(b"la")
        return path

    def says(self, node: str, folder: str, *said: Proof, waits: bool = False) -> None:
        place = os.path.join(self.store.layout.ledgers, folder)
        os.makedirs(place, exist_ok=True)
        if node != self.me:
            write_seen(place, self.store.layout.scratch, Seen(node, 1, "2026-11-22T10:10:56Z", {}))
        text = proofs.text_of([(self.guid, one) for one in said], {self.guid: "x"} if waits else {})
        proofs.write(place, self.store.layout.scratch, text)

    def proof(self, node: str, *members: str, digest: str | None = None, sha256: str | None = None) -> Proof:
        state = self.state()
        (content,) = state.contents.values()
        return Proof(node, sha256 or content.sha256, frozenset(members), digest or digest_of(state))

    def where(self, *online: str, min_copies: int = 1) -> Where:
        gone = self.store.read(lambda view: view.nodes_that_left())
        return where(self.store, self.guid, self.nodes, gone, {self.me, *online}, min_copies)


@pytest.fixture
def desk(tmp_path: Path):  # type: ignore[no-untyped-def]
    one = Desk(tmp_path)
    yield one
    one.store.close()


def test_everything_of_a_file_on_this_disk_is_found(desk: Desk) -> None:
    say(desk.store, desk.guid, holds={TABLET: True})
    folder, name = desk.data.split("/")
    conflict = f"{name[:-5]}.sync-conflict-20261122-101056-ABCDEFG.flac"
    paths = {
        "in place": desk.put("sets", "laptop+tablet", "data", desk.data),
        "stray": desk.put("sets", "laptop", "data", desk.data),
        "arriving": desk.put("sets", "laptop", "data", folder, f".syncthing.{name}.tmp"),
        "conflict": desk.put("sets", "laptop+tablet", "data", folder, conflict),
        "kept": desk.put("keep", "moved", desk.guid[:2], desk.guid, "a" * 64),
        "replaced": desk.put("sets", "laptop+tablet", ".stversions", "data", folder, name),
    }
    found = desk.where()
    assert {one.state: one.path for one in found.here} == paths
    assert {one.state: one.nodes for one in found.here}["in place"] == {desk.me, TABLET}
    assert {one.size_bytes for one in found.here} == {2}
    assert found.holds == {desk.me, TABLET}
    assert found.waits == []


def test_bytes_that_are_to_come_wait_for_one_who_has_them(desk: Desk) -> None:
    say(desk.store, desk.guid, holds={TABLET: True, SERVER: True})
    assert desk.where().waits == [Wait(BYTES, frozenset({TABLET, SERVER}))]
    assert desk.where(SERVER).waits == []
    desk.put("sets", "laptop", "data", desk.data)
    assert Wait(BYTES, frozenset({TABLET, SERVER})) not in desk.where().waits


def test_what_leaves_waits_for_those_who_must_prove_it(desk: Desk) -> None:
    say(desk.store, desk.guid, holds={desk.me: False, TABLET: True, SERVER: True})
    desk.put("sets", "laptop", "data", desk.data)
    assert desk.where().waits == [Wait(PROOF, frozenset({TABLET, SERVER}))]
    assert desk.where(TABLET).waits == []
    assert desk.where(TABLET, min_copies=2).waits == [Wait(PROOF, frozenset({SERVER}))]
    desk.says(TABLET, "tablet", desk.proof(TABLET, TABLET, SERVER))
    assert desk.where().waits == []
    assert desk.where(min_copies=2).waits == [Wait(PROOF, frozenset({SERVER}))]


def test_only_proofs_of_what_is_wanted_now_count(desk: Desk) -> None:
    say(desk.store, desk.guid, holds={TABLET: True})
    both = (desk.me, TABLET)
    for proof in (
        desk.proof(TABLET, TABLET),
        desk.proof(TABLET, *both, digest="of other facts"),
        desk.proof(TABLET, *both, sha256="b" * 64),
    ):
        desk.says(TABLET, "tablet", proof)
        (found,) = desk.where().proven
        assert (found.node, found.counts) == (TABLET, False)
    desk.says(TABLET, "tablet", desk.proof(TABLET, *both))
    desk.says(SERVER, "server", desk.proof(SERVER, *both))  # who does not hold it proves nothing
    assert {one.node: one.counts for one in desk.where().proven} == {TABLET: True, SERVER: False}


def test_who_waits_is_told_and_must_be_connected(desk: Desk) -> None:
    desk.put("sets", "laptop", "data", desk.data)
    say(desk.store, desk.guid, holds={TABLET: True})
    say(desk.store, desk.guid, holds={TABLET: False})
    desk.says(TABLET, "tablet", waits=True)
    assert desk.where().asks == [TABLET]
    assert desk.where().waits == [Wait(FREE, frozenset({TABLET}))]
    assert desk.where(TABLET).waits == []


def test_what_stands_in_the_way_of_reading_is_passed_over(desk: Desk) -> None:
    desk.says(TABLET, "tablet", waits=True)
    Path(desk.store.layout.ledgers, "tablet", "seen.json").write_text("{")
    Path(desk.store.layout.ledgers, "stray file").write_text("")
    os.makedirs(Path(desk.store.layout.ledgers, "empty"))
    assert desk.where().asks == []
    desk.says(TABLET, "tablet", waits=True)
    Path(desk.store.layout.ledgers, "tablet", "proofs.jsonl").write_bytes(b"\xff\n{}\n[")
    assert desk.where().asks == []


def test_doctor_names_moves_that_wait_for_long(desk: Desk) -> None:
    say(desk.store, desk.guid, holds={desk.me: False, TABLET: True})
    desk.says(desk.me, desk.store.info.ledger_folder, waits=True)
    now = START_MS + 2 * LONG_MS
    assert slow_moves(desk.store, desk.nodes, START_MS + 1000, LONG_MS) == []
    (one,) = slow_moves(desk.store, desk.nodes, now, LONG_MS)
    assert (one.guid, one.name, one.nodes) == (desk.guid, "song.flac", [desk.me])
    root = desk.store.layout.root
    desk.store.close()

    def told() -> dict[str, str]:
        return {remark.what: remark.level for remark in examine(root, desk.machine.real()) if remark.topic == "copies"}

    assert told() == {"every file is kept by 1 device or more": "ok"}
    desk.machine.now_ms = now
    assert told() == {
        "every file is kept by 1 device or more": "ok",
        "1 file is waiting for more than a day to be moved, on laptop: song.flac": "note",
    }


def test_a_library_of_one_device_is_told_nothing(tmp_path: Path) -> None:
    machine = Machine()
    with make_store(tmp_path / "store", machine) as store:
        add_files(store, "a")
    assert examine(str(tmp_path / "store"), machine.real()) == []
    assert examine(str(tmp_path / "nowhere"), machine.real()) == []


def test_a_forgotten_device_keeps_and_knows_nothing_any_more(desk: Desk) -> None:
    mine = desk.guid
    (lent,) = add_files(desk.store, "lent.flac")
    say(desk.store, mine, holds={TABLET: True})
    say(desk.store, lent, holds={TABLET: True, desk.me: False}, knows={SERVER: False})
    desk.put("sets", "laptop+tablet", "data", *desk.data.split("/"))
    desk.says(TABLET, "tablet", desk.proof(TABLET, desk.me, TABLET))
    assert [one.counts for one in desk.where().proven] == [True]

    def forget(change) -> None:  # type: ignore[no-untyped-def]
        change.about("node", NODE_THING, TABLET, gone=True)
        change.about("node", NODE_THING, SERVER, gone=True)

    desk.store.act(forget)
    found = desk.where()
    assert (found.holds, found.proven, found.waits) == ({desk.me}, [], [])
    # Its folder is where it was: nothing moves because somebody is gone.
    assert [(one.state, one.nodes) for one in found.here] == [("in place", {desk.me, TABLET})]
    rows = {row["guid"]: row for row in objects(desk.store, [mine, lent])}
    assert [rows[guid]["holds"] for guid in (mine, lent)] == [["laptop"], ["tablet"]]
    reasons = why(desk.store, lent)
    assert (reasons.holds, reasons.unknown_to) == (["tablet"], [])
    with desk.store.view() as view:
        assert view.node_aliases() == ["laptop"]
        clock = rule_clock(START_MS)
        by_name = {name: files_found(f"holds={name}", view, clock) for name in ("laptop", "tablet", "server")}
        assert [view.name(ordinal) for ordinal in by_name["tablet"]] == ["lent.flac"]
        assert [view.name(ordinal) for ordinal in by_name["laptop"]] == ["song.flac"]
        assert not by_name["server"]
    desk.store.close()
    remarks = [(one.level, one.what) for one in examine(desk.store.layout.root, desk.machine.real())]
    assert remarks == [("note", "1 file is kept only by devices that were forgotten: lent.flac")]


def test_rules_and_settings_that_name_nobody_are_told(desk: Desk) -> None:
    store: Store = desk.store
    rule = "44444444-0000-5000-8000-000000000001"
    store.act(lambda change: change.about("rule", "P", rule, query="video", holds={SERVER: True}))
    store.act(lambda change: change.about("node", NODE_THING, SERVER, gone=True))
    Path(store.layout.sync_settings).write_text("[placement]\ndefault = ['server', 'here', 'tablet']\n")
    store.close()
    told = [remark.what for remark in examine(store.layout.root, desk.machine.real()) if remark.level == "note"]
    assert len(told) == 2
    assert "'server'" in told[0]
    assert "video" in told[1]
