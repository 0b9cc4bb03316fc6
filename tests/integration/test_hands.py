"""What the daemon does on the disk lets nothing go for a belief: what it goes for is read first."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from sync import machine
from sync.hands import Hands
from sync.looking import Looked
from sync.machine import Copy, Here, Source
from sync.shelves import Shelves
from tagfs.store import Store
from tests.support.facts import FILES
from tests.support.stores import add_files, make_store

GUID = FILES[0]


def hands_of(store: Store) -> tuple[Hands, Shelves, frozenset[str]]:
    alone = frozenset({str(store.node)})
    shelves = Shelves(store.layout, {alone: "laptop"})
    return Hands(store, shelves, lambda members: None, dict, lambda: "2026-11-27"), shelves, alone


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
        assert done.again == {guid}
        place.write_bytes(b"the bytes")
        hands.carry_out(state, state.made.data, looked, [machine.Drop(digest, is_version=False)])
        assert not kept.exists()


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
