"""Adding files with the same bytes, and files that are in the library already."""

from __future__ import annotations

from pathlib import Path

import pytest

import tagfs.verbs.add
from tagfs.bytes import Taken, take
from tagfs.check.fsck import fsck
from tagfs.store import Store
from tagfs.verbs.add import BATCH_FILES, Adder, Options, add
from tagfs.verbs.naming import rename
from tagfs.verbs.twins import SHARED, SHOWN
from tests.support.stores import Machine, make_store

MANY = 600


def _empty_files(folder: Path, count: int) -> list[str]:
    folder.mkdir()
    paths = [folder / f"{number}.txt" for number in range(count)]
    for path in paths:
        path.touch()
    return list(map(str, paths))


def _added(store: Store, *paths: str) -> list[bool]:
    """Whether each was known."""
    return [one.known for one in add(store, paths, Options()).added]


def test_many_files_with_the_same_bytes_are_looked_at_a_few_times_each(tmp_path: Path) -> None:
    paths = [path for n in range(3) for path in _empty_files(tmp_path / f"files-{n}", MANY // 3)]
    with make_store(tmp_path / "store", Machine()) as store:
        for known in (False, True):
            adder = Adder(store, Options())
            report = adder.run(paths)
            assert [one.known for one in report.added] == [known] * MANY
            assert adder.twins.looks <= 3 * MANY + SHOWN
        assert max(len(one.same_bytes_as) for one in add(store, [str(tmp_path)], Options()).added) <= SHOWN
        assert fsck(store) == []


def test_a_run_keeps_only_what_many_files_share(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    _empty_files(folder, SHARED)
    for number in range(BATCH_FILES * 2):
        (folder / f"other-{number}").write_text(str(number))
    with make_store(tmp_path / "store", Machine()) as store:
        adder = Adder(store, Options())
        for _ in range(2):
            adder.run([str(folder)])
            assert adder.twins.kept <= BATCH_FILES + 1
            adder._seen.clear()
        assert fsck(store) == []


def test_a_file_that_is_here_is_read_and_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song = tmp_path / "song.flac"
    song.write_bytes(b"la la")
    copied: list[str] = []

    def noted(source: str, *rest: object, **more: object) -> Taken:
        copied.append(source)
        return take(source, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(tagfs.verbs.add, "take", noted)
    with make_store(tmp_path / "store", Machine()) as store:
        assert _added(store, str(song)) == [False]
        assert _added(store, str(song)) == [True]
        assert copied == [str(song)]
        song.write_bytes(b"lo lo")
        assert _added(store, str(song)) == [False]
        assert copied == [str(song)] * 2
        assert fsck(store, deep=True) == []


def test_a_file_that_was_renamed_in_the_library_is_known_by_the_name_it_came_with(tmp_path: Path) -> None:
    paths = _empty_files(tmp_path / "files", 3)
    with make_store(tmp_path / "store", Machine()) as store:
        first = add(store, paths, Options()).added[0]
        rename(store, first.guid, "another.txt")
        assert _added(store, *paths) == [True] * 3
        assert fsck(store) == []


def test_what_somebody_else_adds_meanwhile_is_known(tmp_path: Path) -> None:
    one, other = _empty_files(tmp_path / "files", 2)
    with make_store(tmp_path / "store", Machine()) as store:
        adder = Adder(store, Options())
        adder.run([one])
        assert _added(store, other) == [False]
        assert [found.known for found in adder.run([other]).added] == [False, True]
        assert fsck(store) == []


def test_a_file_that_is_removed_between_the_look_and_the_action_is_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = _empty_files(tmp_path / "files", 1)
    with make_store(tmp_path / "store", Machine()) as store:
        (first,) = add(store, [path], Options()).added
        adder = Adder(store, Options())
        placed = adder._placed
        with monkeypatch.context() as patched:

            def removed_first(batch):  # type: ignore[no-untyped-def]
                patched.undo()
                store.act(lambda change: change.about_file(first.guid, trash=True))
                return placed(batch)

            patched.setattr(adder, "_placed", removed_first)
            (again,) = adder.run([path]).added
        assert not again.known
        assert fsck(store, deep=True) == []
