"""Undoing and redoing who holds a file."""

from __future__ import annotations

from pathlib import Path

from tagfs.face import face_of
from tagfs.glossary import RULE_THING
from tagfs.placement import is_by_hand, rules_of
from tagfs.store import Store
from tagfs.verbs.history import find_action
from tagfs.verbs.undo import Undone, next_to_undo, undo
from tests.support.stores import Machine, add_files, exchange, make_store, say

TABLET = "22222222-0000-4000-8000-000000000002"
SERVER = "33333333-0000-4000-8000-000000000003"


def held(store: Store, guid: str) -> set[str]:
    return set(face_of(store.states([guid])[0], store.node).holds)


def by_hand(store: Store, guid: str) -> bool:
    return is_by_hand(store.states([guid])[0])


def undo_last(store: Store, redo: bool = False) -> Undone:
    return undo(store, store.read(lambda view: next_to_undo(view, redo=redo)))


def test_step_by_step_all_the_way_back_and_forth(tmp_path: Path) -> None:
    with make_store(tmp_path / "a") as store:
        (guid,) = add_files(store, "song")
        me = str(store.node)
        steps = [
            ({TABLET: True}, {me, TABLET}),
            ({me: False}, {TABLET}),
            ({me: True, SERVER: True}, {me, TABLET, SERVER}),
            ({SERVER: False}, {me, TABLET}),
        ]
        seen = [{me}]
        for said, expected in steps:
            say(store, guid, holds=said, placed_by=["hand"])
            assert held(store, guid) == expected
            seen.append(expected)
        for expected in seen[-2::-1]:
            assert undo_last(store).kept == {}
            assert held(store, guid) == expected
        assert not by_hand(store, guid)
        for expected in seen[1:]:
            assert undo_last(store, redo=True).kept == {}
            assert held(store, guid) == expected
        assert by_hand(store, guid)


def test_what_was_placed_again_since_stays(tmp_path: Path) -> None:
    with make_store(tmp_path / "a") as store:
        (guid,) = add_files(store, "song")
        first = say(store, guid, holds={TABLET: True, SERVER: True})
        say(store, guid, holds={TABLET: False})
        say(store, guid, holds={TABLET: True})
        done = undo(store, store.read(lambda view: find_action(view, str(first.action))))
        assert held(store, guid) == {store.node, TABLET}
        assert done.kept == {"its placement was changed again since": 1}


def test_the_last_holder_stays(tmp_path: Path) -> None:
    with make_store(tmp_path / "a") as store:
        (guid,) = add_files(store, "song")
        restored = say(store, guid, holds={TABLET: True})
        say(store, guid, holds={store.node: False})
        done = undo(store, store.read(lambda view: find_action(view, str(restored.action))))
        assert held(store, guid) == {TABLET}
        assert done.kept == {"nobody else would keep its bytes": 1}
        assert done.answered == 0


def test_an_implicit_holder_is_back_after_an_undo(tmp_path: Path) -> None:
    # Two nodes let go at once: the one dropped last holds on, though nobody names it.
    with make_store(tmp_path / "a") as one, make_store(tmp_path / "b", Machine(2), alias="tablet") as two:
        (guid,) = add_files(one, "song")
        say(one, guid, holds={two.node: True})
        exchange(one, two)
        two.catch_up_if_behind()
        say(one, guid, holds={one.node: False})
        say(two, guid, holds={two.node: False})
        exchange(one, two)
        one.catch_up_if_behind()
        (before,) = held(one, guid)
        said = say(one, guid, holds={SERVER: True, before: True})
        assert held(one, guid) == {SERVER, before}
        assert undo(one, one.read(lambda view: find_action(view, str(said.action)))).kept == {}
        assert held(one, guid) == {before}


def test_rules_are_undone(tmp_path: Path) -> None:
    rule = "44444444-0000-5000-8000-000000000001"

    def place(*nodes: str) -> None:
        store.act(
            lambda change: change.about("rule", RULE_THING, rule, query="video", holds=dict.fromkeys(nodes, True))
        )

    def now() -> set[str]:
        return set().union(*(one.holds for one in store.read(rules_of)))

    with make_store(tmp_path / "a") as store:
        place(SERVER)
        place(SERVER, TABLET)
        place()
        assert now() == set()
        undo_last(store)
        assert now() == {SERVER, TABLET}
        undo_last(store)
        assert now() == {SERVER}
        undo_last(store)
        assert now() == set()
        undo_last(store, redo=True)
        assert now() == {SERVER}
