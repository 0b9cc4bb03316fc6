"""Damage within the index that opens all the same, and bytes that no file stands for: fsck finds them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tagfs.change import Change
from tagfs.check.fsck import fsck
from tagfs.index.schema import U32
from tests.support.stores import add_empty, assert_rebuild_changes_nothing, make_store, say


def test_a_content_that_leads_to_one_file_less_is_found_among_many_of_that_content(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"").digest()
    with make_store(tmp_path / "store") as store:
        add_empty(store, [f"{number}.txt" for number in range(200)], {"empty"})
        assert fsck(store) == []
        with store.view() as view:
            ordinals = sorted(view.with_hash(digest))
            assert all(view.has_hash(digest, ordinal) for ordinal in ordinals)
            assert not view.has_hash(digest, ordinals[-1] + 1)
            assert not view.has_hash(hashlib.sha256(b"other").digest(), ordinals[0])
            guid = view.guid(ordinals[7])
        index = store.open_index()
        with index.env.begin(write=True) as tx:
            assert tx.delete(digest[:2], digest[2:6] + U32.pack(ordinals[7]), db=index.db["hash"])
        (problem,) = fsck(store)
        assert problem.where == guid[:8]
        assert "not found by its content" in problem.what


def test_asking_for_a_file_that_nobody_spoke_of_leaves_nothing_of_it(tmp_path: Path) -> None:
    unknown, later = (f"0badcafe-000{digit}-4000-8000-00000000000{digit}" for digit in "12")
    with make_store(tmp_path / "store") as store:

        def ask(change: Change) -> None:
            for guid in (unknown, later):
                assert change.state(guid).made is None
            change.about_tag("jazz", exists=True)
            change.about_file(later, tag=("jazz",))
            assert change.state(later).tags() == ["jazz"]

        store.act(ask)
        say(store, later, tag=("late",))
        with store.view() as view:
            assert view.ordinal(unknown) is None
            assert view.ordinal_total() == 1
        assert fsck(store) == []
        assert_rebuild_changes_nothing(store)


def test_what_somebody_put_among_the_data_files_is_named_with_how_to_take_it_in(tmp_path: Path) -> None:
    with make_store(tmp_path / "store") as store:
        data = Path(store.layout.data(store.info.ledger_folder, ""))
        (data / "00").mkdir(parents=True)
        put = [data / "00" / "my photo.jpg", data / "photo.jpg"]
        for path in (*put, data / "00" / ".syncthing.half.jpg.tmp"):  # the last is being received
            path.write_bytes(b"light")
        found = fsck(store)
        assert [Path(one.where) for one in found] == put
        assert found[0].hint.endswith(f"mv -i '{put[0]}' ~/ && lyts add --move ~/'my photo.jpg'")
