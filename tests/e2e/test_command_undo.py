"""`lyts undo`, `redo` and `log`: one step back, many steps back, and forward again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_command_tag import many
from tests.support.command import Lyts


@pytest.fixture
def lyts(tmp_path: Path) -> Iterator[Lyts]:
    made = Lyts(tmp_path)
    yield made
    made.check()


@pytest.fixture
def songs(lyts: Lyts) -> Lyts:
    for name in "abc":
        lyts.file(f"{name}.flac")
    lyts.quick("add", "-t", "music", "a.flac", "b.flac", "c.flac")
    return lyts


def state(lyts: Lyts) -> list[tuple[str, list[str], str]]:
    return [(one["name"], one["tags"], one["notes"]) for one in lyts.json("find", code=None)]


CHANGES = [
    ("tag", "jazz", "-q", "music"),
    ("untag", "music", "a.flac"),
    ("rename", "a.flac", "z.flac"),
    ("notes", "--set", "a note", "a.flac"),
    ("rm", "a.flac"),
    ("rm", "-q", "music"),
    ("tags", "rename", "music", "sound"),
    ("tags", "merge", "music", "sound"),
    ("tags", "alias", "musik", "music"),
    ("tags", "imply", "music", "sound"),
    ("tags", "rm", "music", "--yes"),
    ("tags", "make", "later"),
    ("save", "q", "music"),
]


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_every_change_is_undone_and_redone(songs: Lyts, words: tuple[str, ...]) -> None:
    def everything() -> object:
        return state(songs), songs.json("tags", code=None), songs.json("save", "--list")

    songs.quick("tag", "other", "b.flac")
    before = everything()
    songs.quick(*words)
    after = everything()
    assert songs.quick("undo").out.startswith("undone: ")
    assert everything() == before
    assert songs.quick("redo").out.startswith("redone: ")
    assert everything() == after
    assert songs.quick("undo").out.startswith("undone: ")
    assert everything() == before


def test_undo_of_add_takes_the_files_out_and_redo_brings_them_back(songs: Lyts) -> None:
    before = state(songs)
    assert songs("undo").out == "undone: add (3 files)\n"
    assert songs.names() == []
    assert songs("redo").out == "redone: add (3 files)\n"
    assert state(songs) == before


def test_undo_of_a_merge_of_files_brings_all_back(lyts: Lyts) -> None:
    lyts.quick("add", "-t", "one", lyts.file("a.txt", "same"))
    lyts.quick("add", "-t", "two", lyts.file("b.txt", "same"))
    before = state(lyts)
    lyts.quick("merge", "a.txt", "b.txt")
    lyts.quick("undo")
    assert state(lyts) == before


def test_undo_goes_all_the_way_back_and_redo_all_the_way_forward(songs: Lyts) -> None:
    steps = [state(songs)]
    for words in (CHANGES[0], CHANGES[2], CHANGES[3], CHANGES[4]):
        songs.quick(*(word if word != "a.flac" or len(steps) < 3 else "z.flac" for word in words))
        steps.append(state(songs))
    for step in steps[-2::-1]:
        songs.quick("undo")
        assert state(songs) == step
    for step in steps[1:]:
        songs.quick("redo")
        assert state(songs) == step
    assert "nothing to redo" in songs.quick("redo", code=1).err


def test_bulk_tag_of_ten_thousand_files_is_one_step(lyts: Lyts) -> None:
    many(lyts, 10_000)
    assert lyts("tag", "bulk", "-q", "x").out == "tagged 10,000 files with bulk\n"
    assert lyts.quick("log", "--limit", "1").out.endswith("tag bulk (10,000 files)\n")
    assert lyts("undo").out == "undone: tag bulk (10,000 files)\n"
    assert lyts.quick("find", "--count", "bulk", code=None).out in ("0\n", "")
    assert lyts("redo").out == "redone: tag bulk (10,000 files)\n"
    assert lyts.quick("find", "--count", "bulk").out == "10000\n"


def test_one_action_of_the_past_is_undone_by_its_id(songs: Lyts) -> None:
    songs.quick("tag", "first", "a.flac")
    songs.quick("tag", "second", "a.flac")
    log = songs.json("log")
    stamp = next(one["action"] for one in log if "tag first" in one["what"])
    assert songs.quick("undo", stamp).out == "undone: tag first: a.flac\n"
    assert songs.quick("show", "tags", "a.flac").lines == ["music", "second"]
    assert songs.quick("log", "--ids").lines[0].startswith("20")
    assert stamp in songs.quick("log", "--ids").out
    assert "begin with '20'" in songs.quick("undo", "20", code=2).err


def test_what_was_changed_since_stays_and_is_named(songs: Lyts) -> None:
    songs.quick("rename", "a.flac", "one.flac")
    songs.quick("rename", "one.flac", "two.flac")
    stamp = songs.json("log")[1]["action"]
    done = songs.quick("undo", stamp, code=1)
    assert "name was changed again since" in done.err
    assert "two.flac" in songs.names()


def test_purge_cannot_be_undone_and_says_so(songs: Lyts) -> None:
    songs.quick("rm", "a.flac")
    songs.quick("trash", "empty", "--yes")
    done = songs.quick("undo", code=1)
    assert "cannot be brought back" in done.err


def test_nothing_to_undo_in_a_new_store(lyts: Lyts) -> None:
    lyts.quick("init")
    assert lyts("undo", code=1).err == "lyts: there is nothing to undo\n"


def test_log_tells_who_when_and_what(songs: Lyts) -> None:
    songs.quick("tag", "jazz", "a.flac")
    songs.quick("undo")
    songs.quick("redo")
    lines = songs("log").lines
    (node,) = songs.json("find", "--limit", "1")[0]["holds"]
    assert [line.split(f"  {node}  ")[1] for line in lines][:3] == [
        "redo: tag jazz: a.flac",
        "undo: tag jazz: a.flac (undone)",
        "tag jazz: a.flac",
    ]
    entries = songs.json("log", "--limit", "2")
    assert len(entries) == 2
    assert list(entries[0]) == ["action", "at", "node", "what", "did", "files", "undoes", "undone"]
    assert "There is more" in songs.quick("log", "--limit", "2").err
    assert songs.quick("log", "--all").err == ""
    own = songs.json("log", "a.flac")
    assert list(own[0]) == ["at", "node", "what", "action"]
    assert own[-1]["what"] == "add as a.flac, tag music"
    assert songs.quick("log", "a.flac", "--limit", "1").err.startswith("There are 3 more")


def test_action_of_another_device_is_shown_and_asked_about(songs: Lyts) -> None:
    from tagfs.fact import Fact
    from tests.support.stores import write_ledger

    guid = songs.json("find")[0]["guid"]
    other = "aaaaaaaa-0000-4000-8000-000000000000"
    at = songs.json("log")[0]["action"][:-8] + "aaaaaaaa"
    later = f"{at[:21]}ffff{at[25:]}"
    write_ledger(songs.store, "tablet", [
        Fact(at=later, by=other, action=later, file=guid, tag=["from-tablet"]),
    ])  # fmt: skip
    assert songs.names("from-tablet") == ["a.flac"]
    done = songs("undo", code=2)
    assert "The last action was made on another device: tag from-tablet: a.flac" in done.err
    assert "would undo: tag from-tablet: a.flac" in songs.quick("undo", "--dry-run").out
    assert songs.names("from-tablet") == ["a.flac"]
    assert songs("undo", "--yes").out == "undone: tag from-tablet: a.flac\n"
    assert "from-tablet" not in songs.quick("show", "tags", "a.flac").lines
