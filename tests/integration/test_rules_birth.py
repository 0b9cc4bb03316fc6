"""A new file is held where the rules and the settings of this store say."""

from __future__ import annotations

from pathlib import Path

from tagfs.face import Face, face_of
from tagfs.glossary import NODE_THING, RULE_THING
from tagfs.store import Store
from tagfs.verbs.add import Options, add
from tests.support.stores import Machine, assert_rebuild_changes_nothing, make_store

TABLET = "22222222-0000-4000-8000-000000000002"
SERVER = "33333333-0000-4000-8000-000000000003"
RULES = ["44444444-0000-5000-8000-00000000000" + digit for digit in "12"]


def library(folder: Path) -> Store:
    store = make_store(folder / "store", Machine())

    def introduce(change) -> None:  # type: ignore[no-untyped-def]
        for guid, alias in ((TABLET, "tablet"), (SERVER, "server")):
            change.about("node", NODE_THING, guid, alias=alias)

    store.act(introduce)
    return store


def rule(store: Store, number: int, query: str, *nodes: str) -> None:
    store.act(
        lambda change: change.about("rule", RULE_THING, RULES[number], query=query, holds=dict.fromkeys(nodes, True))
    )


def added(store: Store, folder: Path, name: str, *tags: str, size: int = 10) -> Face:
    path = folder / name
    path.write_bytes(name.encode().ljust(size, b"."))
    (one,) = add(store, [str(path)], Options(tags=tags)).added
    return face_of(store.states([one.guid])[0], store.node)


def test_without_rules_it_belongs_to_this_node_alone(tmp_path: Path) -> None:
    with library(tmp_path) as store:
        assert added(store, tmp_path, "song.flac", "music").holds == {store.node}


def test_all_nodes_of_all_rules_that_match_hold_it(tmp_path: Path) -> None:
    with library(tmp_path) as store:
        rule(store, 0, "video+size=1kB..", SERVER)
        rule(store, 1, "type=video", TABLET, store.node)
        assert added(store, tmp_path, "short", "video").holds == {store.node}
        assert added(store, tmp_path, "long", "video", size=2000).holds == {SERVER}
        both = added(store, tmp_path, "long.mkv", "video", size=2001)
        assert both.holds == {SERVER, TABLET, store.node}
        (state,) = store.states([both.data[3:39]])
        assert state.registers["placed_by"][1] == RULES
        assert_rebuild_changes_nothing(store)


def test_a_rule_for_this_node_alone_is_remembered_as_well(tmp_path: Path) -> None:
    with library(tmp_path) as store:
        rule(store, 0, "video", str(store.node))
        face = added(store, tmp_path, "film", "video")
        assert face.holds == {store.node}
        (state,) = store.states([face.data[3:39]])
        assert state.registers["placed_by"][1] == RULES[:1]
        assert_rebuild_changes_nothing(store)


def test_a_rule_that_was_taken_back_and_a_node_that_left_count_for_nothing(tmp_path: Path) -> None:
    with library(tmp_path) as store:
        rule(store, 0, "video", SERVER)
        rule(store, 0, "video")
        assert added(store, tmp_path, "one", "video").holds == {store.node}
        rule(store, 0, "video", SERVER, TABLET)
        store.act(lambda change: change.about("node", NODE_THING, SERVER, gone=True))
        assert added(store, tmp_path, "two", "video").holds == {TABLET}
        store.act(lambda change: change.about("node", NODE_THING, TABLET, gone=True))
        assert added(store, tmp_path, "three", "video").holds == {store.node}


def test_settings_say_where_a_file_goes_that_no_rule_speaks_of(tmp_path: Path) -> None:
    with library(tmp_path) as store:
        Path(store.layout.sync_settings).write_text("[placement]\ndefault = ['here', 'tablet', 'unheard-of']\n")
        rule(store, 0, "video", SERVER)
        assert added(store, tmp_path, "song", "music").holds == {store.node, TABLET}
        assert added(store, tmp_path, "film", "video").holds == {SERVER}
