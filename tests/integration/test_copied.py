"""A copy of a store becomes a device of its own: nothing is lost, and the one that it was copied from goes on."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from tagfs.check.fsck import fsck
from tagfs.errors import BadRequest
from tagfs.face import face_of
from tagfs.fact import Content, Made, time_text
from tagfs.glossary import NODE_THING
from tagfs.guid import new_guid
from tagfs.layout import Layout, read_info, write_info
from tagfs.nodeset import set_id
from tagfs.place import places
from tagfs.slug import data_path
from tagfs.store import Store
from tagfs.verbs import copied
from tagfs.verbs.copied import become_new
from tests.support.stores import Machine, dump, make_store, say

TABLET = "22222222-0000-4000-8000-000000000002"


def add(store: Store, name: str) -> str:
    guid = new_guid(store.machine.random_bytes(16))
    data = data_path(guid, name)
    path = Path(store.layout.data("laptop", data))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(name.encode())
    found = path.stat()
    content = Content(sha256(name.encode()).hexdigest(), found.st_size, time_text(found.st_mtime_ns))
    made = Made(name=name, data=data)
    store.act(lambda change: change.about_file(guid, made=made, content=content, holds={change.node: True}))
    return str(guid)


class Pair:
    """A store that several files are in, and a copy of it on another machine."""

    def __init__(self, base: Path) -> None:
        self.machine = Machine()
        with make_store(base / "store", self.machine) as store:
            self.former = str(store.node)

            def others(change) -> None:  # type: ignore[no-untyped-def]
                change.unasked = True
                change.about("node", NODE_THING, TABLET, alias="tablet")
                both = sorted([self.former, TABLET])
                change.new_set(set_id(both), "laptop+tablet", both)

            store.act(others)
            self.mine, self.shared, self.away = (add(store, f"{name}.txt") for name in ("mine", "shared", "away"))
            self._place(store, self.shared, "laptop+tablet", {TABLET: True})
            self._place(store, self.away, None, {TABLET: True, self.former: False})
            say(store, self.mine, tag=["music"], notes="a note")
        self.root = base / "store"
        self.copy = base / "copy"
        shutil.copytree(self.root, self.copy)
        (self.copy / "syncthing").mkdir()
        (self.copy / "syncthing" / "key.pem").write_text("a secret")
        layout = Layout(str(self.copy))
        write_info(layout, read_info(layout)._replace(machine_id="0" * 32))
        self.before = self.ledgers(self.copy)

    def _place(self, store: Store, guid: str, label: str | None, holds: dict[str, bool]) -> None:
        data = store.states([guid])[0].made.data
        with store.view() as view:
            path = places(store.layout, view, store.node).find(data, frozenset({store.node}))
        assert path is not None
        say(store, guid, holds=holds)
        if label is None:
            os.unlink(path)
            return
        place = store.layout.data(label, data)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.rename(path, place)

    @staticmethod
    def ledgers(root: Path) -> dict[str, bytes]:
        return {str(path.relative_to(root)): path.read_bytes() for path in (root / "ledgers").rglob("*.jsonl")}

    def become_new(self, alias: str | None = None) -> copied.Copied:
        return become_new(Layout(str(self.copy)), self.machine.real(), alias)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_a_copy_gets_a_guid_and_a_ledger_of_its_own_and_keeps_what_it_has(pair: Pair) -> None:
    done = pair.become_new()
    assert (done.alias, done.files, done.left) == ("laptop-2", 2, [])
    now = pair.ledgers(pair.copy)
    assert {name: now[name] for name in pair.before} == pair.before
    assert {name.split("/")[1] for name in now.keys() - pair.before.keys()} == {"laptop-2"}
    assert not (pair.copy / "syncthing").exists()
    with Store(str(pair.copy), pair.machine.real()) as store, Store(str(pair.root), pair.machine.real()) as other:
        assert store.node != other.node == pair.former
        assert not store.read_only
        assert fsck(store) == fsck(other) == []
        wanted = {pair.mine: {pair.former}, pair.shared: {pair.former, TABLET}, pair.away: {TABLET}}
        for guid, holds in wanted.items():
            (state,), (its,) = store.states([guid]), other.states([guid])
            face, same = face_of(state, store.node), face_of(its, other.node)
            assert face._replace(holds=same.holds) == same
            assert face.holds == (holds | {store.node} if guid != pair.away else holds)
            with store.view() as view:
                path = places(store.layout, view, store.node).find(face.data, face.holds)
            assert (path is None) == (guid == pair.away)
        say(store, pair.mine, tag=["by the copy"])
        say(other, pair.mine, tag=["by the other"])
        assert fsck(store) == []


@pytest.mark.parametrize("at", ["_change_identity", "_introduce", "_keep", "_put"])
def test_it_is_gone_on_with_wherever_it_was_interrupted(pair: Pair, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = getattr(copied, at)

    def stop(*arguments: object) -> None:
        if at == "_put":
            real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(copied, at, stop)
    with pytest.raises(KeyboardInterrupt):
        pair.become_new()
    assert copied.is_under_way(Layout(str(pair.copy)))
    monkeypatch.undo()
    done = pair.become_new()
    assert done.alias == "laptop-2"
    assert not copied.is_under_way(Layout(str(pair.copy)))
    with Store(str(pair.copy), pair.machine.real()) as store:
        assert fsck(store, deep=True) == []
        for guid in (pair.mine, pair.shared):
            (state,) = store.states([guid])
            assert store.node in face_of(state, store.node).holds
        rows = dump(store)
        store.rebuild("a test")
        assert dump(store) == rows


def test_a_name_that_is_taken_is_refused_and_a_free_one_taken(pair: Pair) -> None:
    with pytest.raises(BadRequest, match="another device is called"):
        pair.become_new("laptop")
    assert pair.ledgers(pair.copy) == pair.before
    assert read_info(Layout(str(pair.copy))).node == pair.former
    assert pair.become_new("attic").alias == "attic"


def test_bytes_without_a_face_are_left_and_named(pair: Pair) -> None:
    stranger = pair.copy / "sets" / "laptop" / "data" / "99" / "99999999-0000-4000-8000-000000000000--what.txt"
    stranger.parent.mkdir()
    stranger.write_bytes(b"what is this")
    assert pair.become_new().left == [str(stranger)]
    assert stranger.read_bytes() == b"what is this"
