"""Who may know a file, on real stores: what stands in which ledger, and what each of them finds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.faces import Faces
from sync.verbs.copies import examine
from sync.verbs.knowing import Shown, leaving_out, show, taking_in
from sync.verbs.placement import LAST, Around
from tagfs.compact import drop_lines
from tagfs.create import create_store
from tagfs.errors import QueryError, StoreError
from tagfs.face import Face, face_of
from tagfs.glossary import NODE_THING
from tagfs.ledger import label_in
from tagfs.nodeset import folder_name, set_id
from tagfs.place import node_sets
from tagfs.placement import rule_clock
from tagfs.seen import seen_by_others
from tagfs.store import Store
from tagfs.verbs.history import actions, told
from tagfs.verbs.select import matching
from tagfs.verbs.trash import empty, remove
from tagfs.verbs.undo import next_to_undo, undo
from tests.support.stores import (
    START_MS,
    Machine,
    add_files,
    assert_rebuild_changes_nothing,
    contradictions,
    dump,
    say,
)

NAMES = ("laptop", "server", "tablet")
SECRET = "zanzibarplan"


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[Store]]:
    found: list[Store] = []
    for seed, name in enumerate(NAMES):
        machine = Machine(seed + 1).real()
        shared = found[0].info.library if found else None
        root = str(tmp_path / name)
        create_store(root, alias=name, folder_name=folder_name(name), set_id=set_id, machine=machine, library=shared)
        found.append(Store(root, machine))
    for store in found:
        for other, name in zip(found, NAMES, strict=True):
            store.act(lambda change, g=other.node, n=name: change.about("node", NODE_THING, g, alias=n))  # type: ignore[misc]
    exchange(*found)
    yield found
    for store in found:
        store.close()


def exchange(*stores: Store) -> None:
    """Give each store the ledgers of the others that it shares, as Syncthing does."""
    for giver in stores:
        with giver.view() as view:
            members = {one.label: one.nodes for one in node_sets(view)}
        own = giver.info.ledger_folder
        for folder in os.listdir(giver.layout.ledgers):
            if folder.partition("@")[0] != own:
                continue
            label = label_in(folder)
            for taker in stores:
                if giver is not taker and (not label or taker.node in members[label]):
                    place = os.path.join(taker.layout.ledgers, folder)
                    shutil.copytree(os.path.join(giver.layout.ledgers, folder), place, dirs_exist_ok=True)


def around(store: Store, stores: list[Store]) -> Around:
    everyone = [one.node for one in stores]
    return Around(store.node, everyone, frozenset(), frozenset(everyone), 1)


def settle(stores: list[Store]) -> None:
    """Exchange and carry until nothing changes any more."""
    everyone = [store.node for store in stores]
    for _ in range(10):
        exchange(*stores)
        moved = False
        for store in stores:
            store.catch_up_if_behind()
            faces = Faces(store)
            faces.note_all(everyone, everyone, 0)
            moved |= faces.carry(1 << 50)
        if not moved:
            exchange(*stores)
            return
    raise AssertionError("it is carried for ever")


def exclude(store: Store, stores: list[Store], guid: str, *nodes: Store) -> Shown:
    return show(store, [guid], leaving_out([one.node for one in nodes]), around(store, stores))


def include(store: Store, stores: list[Store], guid: str, *nodes: Store) -> Shown:
    return show(store, [guid], taking_in([one.node for one in nodes]), around(store, stores))


def find(store: Store, query: str) -> list[str]:
    with store.view() as view:
        try:
            found = matching(view, query, rule_clock(START_MS))
        except QueryError:  # a tag that no file has
            return []
        return [view.guid(ordinal) for ordinal in found]


def face(store: Store, guid: str) -> Face:
    store.catch_up_if_behind()
    return face_of(store.states([guid])[0], store.node)


def holding(store: Store, word: str) -> list[Path]:
    return [
        path
        for path in Path(store.layout.root).rglob("*")
        if path.is_file() and path.suffix != ".mdb" and word.encode() in path.read_bytes()
    ]


def test_who_is_left_out_finds_it_no_longer_and_reads_nothing_said_afterwards(stores: list[Store]) -> None:
    laptop, server, tablet = stores
    (guid,) = add_files(laptop, "letter.txt", tags=["post", "year=2026"])
    exchange(*stores)
    assert face(server, guid).listed
    exclude(laptop, stores, guid, server)
    say(laptop, guid, tag=[SECRET])
    settle(stores)
    say(tablet, guid, notes=SECRET, tag=["more"])
    settle(stores)
    assert holding(server, SECRET) == []
    for store in (laptop, tablet):
        assert face(store, guid).listed
        assert face(store, guid).tags == ("more", "post", "year=2026", SECRET)
        assert face(store, guid).notes == SECRET
    assert not face(server, guid).listed
    for query in ("post", "year=2026", "name=letter.txt", f"id={guid[:8]}", "-music", "knows=laptop"):
        assert find(server, query) == []
    with server.view() as view:
        assert [tag for tag, number in view.plain_tags() if view.count(number)] == []
        assert not view.named("letter.txt")
        assert not view.names_beginning("let")
        told_there = [told(view, action) for action in actions(view)]
    assert ({"exclude": 1}, None) in told_there
    assert ({"add": 1}, None) in told_there
    # In again, by another than left it out: all of it, also for an index that is made anew.
    include(tablet, stores, guid, server)
    settle(stores)
    for store in stores:
        assert face(store, guid).listed
        assert set(face(store, guid).tags) == {"more", "post", "year=2026", SECRET}
        assert_rebuild_changes_nothing(store)
        assert contradictions(dump(store)) == []


def test_a_fact_of_one_who_had_not_heard_is_carried_to_those_who_may_know(stores: list[Store]) -> None:
    laptop, server, tablet = stores
    (guid,) = add_files(laptop, "letter.txt")
    exchange(*stores)
    exclude(laptop, stores, guid, server)
    say(tablet, guid, tag=["said meanwhile"])
    say(server, guid, tag=["said by who is left out"])
    settle(stores)
    assert set(face(laptop, guid).tags) == set(face(tablet, guid).tags) == {"said meanwhile", "said by who is left out"}
    assert not face(server, guid).listed
    # What stands in the ledgers of the set is enough to know the whole file.
    for store in (laptop, tablet):
        with store.view() as view:
            from tagfs.standing import Standing

            standing = Standing(view, store.layout.ledgers).of(guid)
        home = frozenset({laptop.node, tablet.node})
        assert {tag for fact in standing[home] for tag in fact.tag or ()} == set(face(laptop, guid).tags)
        assert any(fact.made for fact in standing[home])


def test_bytes_go_with_it_and_come_back_with_it(stores: list[Store]) -> None:
    laptop, server, _ = stores
    (guid,) = add_files(laptop, "letter.txt")
    exchange(*stores)
    say(laptop, guid, holds={server.node: True})
    settle(stores)
    exclude(laptop, stores, guid, server)
    assert face(laptop, guid).holds == {laptop.node}
    include(laptop, stores, guid, server)
    assert face(laptop, guid).holds == {laptop.node, server.node}
    # Only who is left out had them: another that knows the file gets them.
    say(laptop, guid, holds={laptop.node: False})
    assert face(laptop, guid).holds == {server.node}
    exclude(laptop, stores, guid, server)
    assert face(laptop, guid).holds == {laptop.node}
    settle(stores)
    assert face(server, guid).holds == face(laptop, guid).holds


def test_undo_and_redo_of_an_exclusion(stores: list[Store]) -> None:
    laptop, server, tablet = stores
    (guid,) = add_files(laptop, "letter.txt", tags=["post"])
    exchange(*stores)
    say(laptop, guid, holds={server.node: True})
    settle(stores)
    exclude(laptop, stores, guid, server)
    say(laptop, guid, tag=[SECRET])
    settle(stores)
    exclude(laptop, stores, guid, tablet)
    with laptop.view() as view:
        first = next(a for a in list(actions(view))[1:] if "exclude" in a.did)
        assert next_to_undo(view).did == {"exclude": 1}
    # The first of the two: then just the tablet is left out, a set that nobody has named before.
    assert undo(laptop, first).kept == {}
    settle(stores)
    assert face(server, guid).listed
    assert face(server, guid).tags == ("post", SECRET)
    assert face(server, guid).holds == {laptop.node, server.node}
    assert not face(tablet, guid).listed


def test_nobody_is_left_and_oneself(stores: list[Store]) -> None:
    laptop, server, tablet = stores
    (guid,) = add_files(laptop, "letter.txt")
    exchange(*stores)
    assert exclude(laptop, stores, guid, *stores).count(LAST) == 1
    assert exclude(laptop, stores, guid, laptop, server).changed == 1
    settle(stores)
    assert [face(store, guid).listed for store in stores] == [False, False, True]
    assert face(tablet, guid).holds == {tablet.node}
    say(tablet, guid, tag=[SECRET])
    settle(stores)
    assert holding(laptop, SECRET) == holding(server, SECRET) == []
    # Who may not know it cannot take anybody in, itself neither.
    assert include(laptop, stores, guid, laptop).changed == 0


def test_a_node_that_joins_later_may_know_it(stores: list[Store], tmp_path: Path) -> None:
    laptop, server, tablet = stores
    (guid,) = add_files(laptop, "letter.txt")
    exchange(*stores)
    exclude(laptop, stores, guid, server)
    say(laptop, guid, tag=[SECRET])
    settle(stores)
    machine = Machine(9).real()
    root = str(tmp_path / "phone")
    library = laptop.info.library
    create_store(root, alias="phone", folder_name="phone", set_id=set_id, machine=machine, library=library)
    with Store(root, machine) as phone:
        phone.act(lambda change: change.about("node", NODE_THING, change.node, alias="phone"))
        settle([*stores, phone])
        assert face(phone, guid).tags == (SECRET,)
        say(phone, guid, tag=[f"{SECRET}2"])
        settle([*stores, phone])
        assert face(tablet, guid).tags == (SECRET, f"{SECRET}2")
        assert holding(server, SECRET) == []


def test_a_ledger_of_a_set_that_went_is_written_again_and_only_there(stores: list[Store]) -> None:
    laptop, server, tablet = stores
    (guid,) = add_files(laptop, "letter.txt")
    exchange(*stores)
    exclude(laptop, stores, guid, server)
    say(laptop, guid, tag=[SECRET])
    settle(stores)
    shutil.rmtree(os.path.join(laptop.layout.ledgers, "laptop@laptop+tablet"))
    laptop.catch_up_if_behind()
    assert [path.parent.name for path in holding(laptop, SECRET)] == ["laptop@laptop+tablet"]
    settle(stores)
    assert holding(server, SECRET) == []
    assert_rebuild_changes_nothing(laptop)
    assert face(laptop, guid).tags == face(tablet, guid).tags == (SECRET,)


def test_who_has_read_on_in_the_ledger_of_a_set_has_not_read_the_open_one(stores: list[Store]) -> None:
    laptop, server, tablet = stores
    private, ended = add_files(laptop, "letter.txt", "draft.txt")
    exchange(*stores)
    exclude(laptop, stores, private, server)
    os.makedirs(os.path.join(tablet.layout.ledgers, "tablet@laptop+tablet"), exist_ok=True)  # as the daemon does
    settle(stores)
    # It is ended in the open ledger; then something is said in that of the set, which alone arrives.
    remove(laptop, [ended])
    empty(laptop, [ended])
    say(laptop, private, tag=[SECRET])
    place = os.path.join(tablet.layout.ledgers, "laptop@laptop+tablet")
    shutil.copytree(os.path.join(laptop.layout.ledgers, "laptop@laptop+tablet"), place, dirs_exist_ok=True)
    tablet.catch_up_if_behind()
    tablet.act(lambda change: None)
    assert face(tablet, private).tags == (SECRET,)
    exchange(tablet, laptop)
    assert drop_lines(laptop, [ended]) == 0
    own = laptop.node[:8]
    read = {
        label: {seen.node: seen.read.get(own, "") for seen in all_of_them}[tablet.node]
        for label, all_of_them in seen_by_others(laptop.layout.ledgers, "laptop").items()
    }
    assert read["laptop+tablet"] > read[""]
    settle(stores)
    for store in stores:
        store.act(lambda change: None)
    exchange(*stores)
    assert drop_lines(laptop, [ended]) > 0
    assert not any(ended in path.read_text() and "draft" in path.read_text() for path in holding(laptop, ended))
    assert_rebuild_changes_nothing(laptop)


def test_doctor_names_two_that_kept_each_other_from_a_file(stores: list[Store]) -> None:
    laptop, server, _ = stores
    one, other = add_files(laptop, "letter.txt", "list.txt")
    exchange(*stores)
    exclude(laptop, stores, one, server)
    exclude(laptop, stores, other, server)
    exclude(server, stores, one, laptop)
    settle(stores)
    roots = [(store.layout.root, store.machine) for store in stores]
    for store in stores:
        store.close()
    for root, machine in roots:
        told = [remark.what for remark in examine(root, machine) if "each kept" in remark.what]
        assert len(told) == 1
        assert {"laptop", "server"} <= set(told[0].split())
        assert "from 1 file" in told[0]


def test_a_set_that_is_not_what_its_id_says_gets_nothing_written(stores: list[Store]) -> None:
    laptop, server, tablet = stores
    (guid,) = add_files(laptop, "letter.txt")
    forged, everyone = set_id([laptop.node, tablet.node]), sorted(store.node for store in stores)
    server.act(lambda change: change.about("set", "L", forged, label="laptop+tablet", nodes=everyone, ledgers=True))
    exchange(*stores)
    with pytest.raises(StoreError, match="contradicts itself"):
        exclude(laptop, stores, guid, server)
    assert face(laptop, guid).unknown_to == frozenset()
    assert not os.path.exists(os.path.join(laptop.layout.ledgers, "laptop@laptop+tablet"))
