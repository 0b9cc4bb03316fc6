"""What the daemon does on the disk lets nothing go for a belief: what it goes for is read first."""

from __future__ import annotations

import fcntl
import os
import time
from hashlib import sha256
from pathlib import Path

from sync import machine
from sync.hands import Hands
from sync.looking import Looked, Looking
from sync.machine import Copy, Here, Source
from sync.reconciling import compare
from sync.shelves import Shelves, data_name
from sync.stock import Stock
from sync.syncthing.client import Syncthing
from sync.syncthing.folders import data_folder, device
from tagfs.check.fsck import fsck
from tagfs.conflict import copy_guid
from tagfs.fact import Content, time_text
from tagfs.nodeset import set_id
from tagfs.place import kept_versions_folder
from tagfs.store import Store
from tests.support.facts import FILES
from tests.support.fake_syncthing import FakeSyncthing, a_device_id
from tests.support.stores import add_files, make_store, say

GUID = FILES[0]


def hands_of(store: Store) -> tuple[Hands, Shelves, frozenset[str]]:
    alone = frozenset({str(store.node)})
    shelves = Shelves(store.layout, {alone: "laptop"})
    hands = Hands(store, shelves, lambda members: None, dict, lambda: "2026-11-27", lambda path: None)
    return hands, shelves, alone


def test_what_was_thrown_away_is_kept_by_its_hash_also_after_a_crash(tmp_path: Path) -> None:
    with make_store(tmp_path / "store") as store:
        hands, shelves, _ = hands_of(store)
        thrown = Path(store.layout.sets, "laptop", ".stversions", "data", GUID[:2], f"{GUID}--a.txt")
        thrown.parent.mkdir(parents=True)
        thrown.write_bytes(b"thrown away")
        left = Path(shelves.moved_folder(GUID), "arriving")  # as a crash between the two steps leaves it
        left.parent.mkdir(parents=True)
        left.write_bytes(b"on its way")
        assert hands.take_out_of_trash_cans(GUID)
        assert {Path(path).read_bytes() for path in shelves.kept(GUID).values()} == {b"thrown away", b"on its way"}
        assert all(sha256(Path(path).read_bytes()).hexdigest() == name for name, path in shelves.kept(GUID).items())
        thrown.hardlink_to(next(iter(shelves.kept(GUID).values())))  # put in place from the keep, and thrown away again
        assert hands.take_out_of_trash_cans(GUID)
        assert len(list(left.parent.iterdir())) == 2
        thrown.write_bytes(b"")
        assert not hands.take_out_of_trash_cans(GUID)
        assert not thrown.exists()


def test_kept_bytes_go_only_when_the_copy_in_place_was_read(tmp_path: Path) -> None:
    with make_store(tmp_path / "store") as store:
        hands, shelves, alone = hands_of(store)
        (guid,) = add_files(store, "a.txt")
        state = store.states([guid])[0]
        assert state.made is not None
        place = Path(shelves.path(alone, state.made.data))
        place.parent.mkdir(parents=True, exist_ok=True)
        digest = sha256(b"the bytes").hexdigest()
        kept = Path(shelves.moved_folder(guid), digest)
        kept.parent.mkdir(parents=True)
        kept.write_bytes(b"the bytes")
        here = Here({alone: Copy(digest)}, kept=[digest])
        looked = Looked(here, {alone: str(place)}, {}, {digest: str(kept)}, {}, False)
        place.write_bytes(b"THE BYTES")  # same size, other bytes: a bad disk
        done = hands.carry_out(state, state.made.data, looked, [machine.Drop(digest, is_version=False)])
        assert kept.exists()
        assert (done.again, done.later) == (set(), {guid})
        place.write_bytes(b"the bytes")
        hands.carry_out(state, state.made.data, looked, [machine.Drop(digest, is_version=False)])
        assert not kept.exists()


def test_what_a_bad_disk_made_of_a_copy_is_not_put_anywhere_as_if_it_were_an_edit(tmp_path: Path, caplog) -> None:  # type: ignore[no-untyped-def]
    with make_store(tmp_path / "store") as store:
        hands, shelves, alone = hands_of(store)
        (guid,) = add_files(store, "a.txt")
        state = store.states([guid])[0]
        assert state.made is not None
        both = frozenset({*alone, GUID})
        shelves.labels[both] = "laptop+tablet"
        place = Path(shelves.path(alone, state.made.data))
        place.parent.mkdir(parents=True, exist_ok=True)
        digest = sha256(b"the bytes").hexdigest()
        looked = Looked(Here({alone: Copy(digest)}), {alone: str(place)}, {}, {}, {}, False)
        put = machine.Put(Source(digest, alone), both, None)
        place.write_bytes(b"THE BYTES")
        done = hands.carry_out(state, state.made.data, looked, [put])
        assert not Path(shelves.path(both, state.made.data)).exists()
        assert (done.again, done.later) == (set(), {guid})
        assert f"{place} does not have the bytes it had" in caplog.text
        place.write_bytes(b"the bytes")
        done = hands.carry_out(state, state.made.data, looked, [put])
        assert Path(shelves.path(both, state.made.data)).read_bytes() == b"the bytes"
        assert not done.later


def test_a_file_that_was_replaced_while_it_was_read_is_left_alone(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    with make_store(tmp_path / "store") as store:
        hands, shelves, alone = hands_of(store)
        (guid,) = add_files(store, "a.txt")
        state = store.states([guid])[0]
        assert state.made is not None
        place = Path(shelves.path(alone, state.made.data))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"old")
        digest = sha256(b"old").hexdigest()

        def reads(path: str) -> str:
            new = tmp_path / "new"
            new.write_bytes(b"new, by Syncthing")
            os.replace(new, path)
            return digest

        monkeypatch.setattr("sync.hands.hash_file", reads)
        looked = Looked(Here({alone: Copy(digest)}), {alone: str(place)}, {}, {}, {}, False)
        hands.carry_out(state, state.made.data, looked, [machine.Unlink(Source(digest, alone))])
        assert place.read_bytes() == b"new, by Syncthing"
        assert not shelves.kept(guid)  # and its bytes do not pass for the old ones


def test_bytes_that_became_another_file_are_handed_over_to_it(tmp_path: Path) -> None:
    with make_store(tmp_path / "store") as store:
        hands, shelves, alone = hands_of(store)
        (guid,) = add_files(store, "a.txt")
        state = store.states([guid])[0]
        assert state.made is not None
        place = Path(shelves.path(alone, state.made.data))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"the other edit")
        digest = sha256(b"the other edit").hexdigest()
        other = copy_guid(guid, digest)
        looked = Looked(Here({alone: Copy(digest)}, beside=[digest]), {alone: str(place)}, {}, {}, {}, False)
        for _ in range(2):
            done = hands.carry_out(state, state.made.data, looked, [machine.HandOver(Source(digest, alone))])
            assert done.again == {guid, other}
            assert Path(shelves.kept(other)[digest]).read_bytes() == place.read_bytes() == b"the other edit"
        place.write_bytes(b"changed since")
        os.unlink(shelves.kept(other)[digest])
        hands.carry_out(state, state.made.data, looked, [machine.HandOver(Source(digest, alone))])
        assert not shelves.kept(other)


def test_what_becomes_a_version_does_so_while_no_version_can_go(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    with make_store(tmp_path / "store") as store:
        hands, shelves, _ = hands_of(store)
        (guid,) = add_files(store, "a.txt")
        state = store.states([guid])[0]
        assert state.made is not None
        digest = sha256(b"an earlier version").hexdigest()
        moved, version = (
            Path(shelves.moved_folder(guid), digest),
            Path(kept_versions_folder(store.layout, guid), digest),
        )
        moved.parent.mkdir(parents=True)
        was_free = []
        rename = os.rename

        def renames(source: str, target: str) -> None:
            fd = os.open(store.layout.keep, os.O_RDONLY)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                was_free.append(target)
            except BlockingIOError:
                pass
            finally:
                os.close(fd)
            rename(source, target)

        monkeypatch.setattr(os, "rename", renames)
        for _ in range(2):  # the second time it stands there already
            moved.write_bytes(b"an earlier version")
            looked = Looked(Here({}, kept=[digest]), {}, {}, {digest: str(moved)}, {}, False)
            done = hands.carry_out(state, state.made.data, looked, [machine.Drop(digest, is_version=True)])
            assert not done.again
            assert version.read_bytes() == b"an earlier version"
            assert not moved.exists()
        assert not was_free


def test_bytes_that_lyts_put_back_do_not_pass_for_an_edit_of_what_stood_there(tmp_path: Path) -> None:
    """Else what stood there would count as replaced by somebody who never saw it, and go."""
    with make_store(tmp_path / "store") as store, FakeSyncthing() as fake, Syncthing(fake.address, fake.key) as client:
        other_device, other = a_device_id("other"), "fedcba98-0003-4000-8000-000000000003"
        both = frozenset({str(store.node), other})
        shelves = Shelves(store.layout, {both: "laptop+tablet"})
        stock = Stock(os.path.join(store.layout.root, "sync.db"))
        hands = Hands(store, shelves, lambda members: None, dict, lambda: "2026-11-27", stock.forget)
        looking = Looking(shelves, stock, client, {both: set_id(sorted(both))}, fake.own_id[:7], time.time_ns)
        folder = os.path.join(store.layout.sets, "laptop+tablet")
        client.set_device(device(other_device, "other"))
        client.set_folder(data_folder(set_id(sorted(both)), folder, "both", [fake.own_id, other_device], paused=False))
        (guid,) = add_files(store, "a.txt")
        made = store.states([guid])[0].made
        assert made is not None
        name, path = data_name(made.data), Path(shelves.path(both, made.data))

        won, lost = b"what won", b"what lost against it"
        written = 1_700_000_000_000_000_000
        say(store, guid, content=Content(sha256(won).hexdigest(), len(won), time_text(written)))
        fake.arrive(set_id(sorted(both)), name, won, other_device, written)
        beside = path.with_name(f"{path.stem}.sync-conflict-20261127-101010-ABCDEFG{path.suffix}")
        beside.write_bytes(lost)
        os.utime(beside, ns=(written, written))
        client.scan(set_id(sorted(both)))

        def look() -> Looked:
            return looking.look(store.states([guid])[0], made.data, odd=True)

        def do(action: machine.Action) -> None:
            done = hands.carry_out(store.states([guid])[0], made.data, look(), [action])
            for members, changed in done.scans:
                client.scan(set_id(sorted(members)), [changed])

        assert look().here.placed[both].sha256 == sha256(won).hexdigest()
        do(machine.Unlink(Source(sha256(won).hexdigest(), both)))
        do(machine.Put(Source(sha256(lost).hexdigest(), both, is_conflict=True), both, None))
        assert path.read_bytes() == lost
        assert look().here.placed[both] == Copy(sha256(lost).hexdigest(), by_me=True, was=None)
        stock.close()
        assert [found for found in fsck(store) if not found.kind.startswith("bytes")] == []


def test_files_in_the_trash_are_compared_with_the_disk_like_the_others(tmp_path: Path) -> None:
    with make_store(tmp_path / "store") as store:
        _, shelves, alone = hands_of(store)
        here, missing, elsewhere = add_files(store, "here.txt", "missing.txt", "elsewhere.txt")
        other = "fedcba98-0003-4000-8000-000000000003"
        say(store, elsewhere, holds={str(store.node): False, other: True})
        made = store.states([here])[0].made
        assert made is not None
        place = Path(shelves.path(alone, made.data))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"here")

        def amiss() -> set[str]:
            with store.view() as view:
                found = compare(view, shelves, store.node, [str(store.node), other])
            assert not found.odd
            return found.amiss

        assert amiss() == {missing}
        for guid in (here, missing, elsewhere):
            say(store, guid, trash=True)
        assert [found for found in fsck(store) if not found.kind.startswith("bytes")] == []
        assert amiss() == {missing}  # so that `trash restore` finds its bytes
        say(store, here, holds={str(store.node): False, other: True})
        assert amiss() == {here, missing}
        say(store, missing, trash=False)
        assert amiss() == {here, missing}
        assert [found for found in fsck(store) if not found.kind.startswith("bytes")] == []
