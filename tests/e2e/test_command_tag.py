"""Tagging, notes, names, showing, merging, removing: what is printed is what has changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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


def many(lyts: Lyts, count: int, tag: str = "x") -> None:
    """So many files with a tag, made of facts alone, without bytes on this device."""
    from tagfs.store import Store
    from tests.support.stores import add_files

    lyts.quick("init")
    with Store(str(lyts.store)) as store:
        other = "0" * 8 + "-0000-4000-8000-000000000000"
        guids = add_files(store, *(f"{number:05}.txt" for number in range(count)), tags=[tag])
        # Another device keeps the bytes: there are none to be missed here.
        held = {other: True, str(store.node): False}
        store.act(lambda change: [change.about_file(guid, holds=held) for guid in guids] and None)


# -- tags --------------------------------------------------------------------------


def test_tag_says_what_changed(songs: Lyts) -> None:
    assert songs("tag", "jazz", "a.flac").out == "tagged 1 file with jazz\n"
    assert songs.quick("tag", "jazz", "-q", "music").out == "tagged 2 files with jazz; 1 had it already\n"
    assert songs.quick("tag", "jazz", "-q", "music").out == "all 3 files have jazz already\n"
    assert songs.quick("tag", "jazz", "a.flac").out == "the file has jazz already\n"
    assert songs.quick("tag", "live,jazz,year=1959", "a.flac").lines == [
        "tagged 1 file with live and year=1959",
        "the file has jazz already",
    ]
    assert songs.quick("tag", "artist=AC%2FDC", "a.flac").out == "tagged 1 file with artist=AC%2FDC\n"
    assert "artist=AC/DC" in songs.json("find", "live")[0]["tags"]
    assert songs.quick("tag", "Places/Rome", "a.flac").out == "tagged 1 file with Places and Rome\n"


def test_untag_says_what_changed(songs: Lyts) -> None:
    songs.quick("tag", "live", "a.flac", "b.flac")
    assert songs.quick("untag", "live", "--dry-run", "-q", "music").out == (
        "would take live off 2 files; 1 did not have it\n"
    )
    assert songs("untag", "live", "-q", "music").out == "took live off 2 files; 1 did not have it\n"
    assert songs.quick("untag", "live", "a.flac").out == "the file does not have live\n"
    assert songs.quick("untag", "live", "-q", "music").out == "none of 3 files has live\n"


def test_dry_run_says_what_would_change_and_changes_nothing(songs: Lyts) -> None:
    songs.quick("tag", "live", "a.flac")
    before = songs.quick("log").out
    assert songs.quick("tag", "live", "--dry-run", "-q", "music").out == (
        "would tag 2 files with live; 1 had it already\n"
    )
    assert "b.flac" in songs.quick("rm", "--dry-run", "b.flac").out
    assert "would rename music" in songs.quick("tags", "rename", "music", "sound", "--dry-run").out
    assert "would make live" in songs.quick("tags", "merge", "live", "music", "--dry-run").out
    assert songs.quick("tags", "rm", "music", "--dry-run").out == "would take music off 3 files and forget it\n"
    assert songs.quick("undo", "--dry-run").out.startswith("would undo: tag live: a.flac (")
    assert songs.quick("log").out == before


def test_tag_that_differs_by_case_is_remarked(songs: Lyts) -> None:
    assert "there is also 'music'" in songs.quick("tag", "Music", "a.flac").err


def test_targets_are_names_paths_and_ids(songs: Lyts) -> None:
    guid = songs.json("find")[0]["guid"]
    for target in ("a.flac", str(songs.files / "a.flac"), "./a.flac", guid, guid[:8], guid[:13], guid.upper()):
        assert songs.quick("show", "tags", target).out == "music\n", target
    path = songs.json("find")[0]["path"]
    assert songs.quick("show", "tags", path).out == "music\n"
    moved = songs.files / "elsewhere.flac"
    os.rename(songs.files / "a.flac", moved)
    assert songs.quick("show", "tags", str(moved)).out == "music\n"


def test_path_outside_the_library_offers_to_add_it(songs: Lyts) -> None:
    songs.file("new.flac")
    assert songs.quick("tag", "jazz", "new.flac", code=2).err == (
        "lyts: new.flac is not in your library. Add it with: lyts add new.flac\n"
    )


def test_name_that_several_have_is_an_error_with_their_ids(lyts: Lyts) -> None:
    for folder in ("one", "two"):
        lyts.quick("add", "-t", folder, lyts.file(f"{folder}/cover.jpg"))
    done = lyts("tag", "x", "cover.jpg", code=2)
    ids = [one["guid"][:8] for one in lyts.json("find")]
    assert "2 files answer to 'cover.jpg'" in done.err
    assert [line.split() for line in done.err.splitlines()[1:]] == [
        [ids[0], "cover.jpg", "one"],
        [ids[1], "cover.jpg", "two"],
    ]
    assert lyts.quick("tag", "x", ids[1]).out == "tagged 1 file with x\n"


def test_broad_change_by_a_query_tells_its_number(lyts: Lyts) -> None:
    many(lyts, 101)
    done = lyts.quick("tag", "y", "-q", "x")
    assert done.err == "This tags 101 files.\n"
    assert done.out == "tagged 101 files with y\n"


# -- tags themselves -----------------------------------------------------------------


def test_tags_rename_merge_imply_alias_rm_make(songs: Lyts) -> None:
    songs.quick("tag", "Live", "a.flac")
    songs.quick("tag", "concert", "b.flac")
    songs.quick("tag", "jazz", "c.flac")
    assert songs("tags", "rename", "Live", "live").out == "renamed Live to live (1 file)\n"
    assert songs.names("live") == songs.names("Live") == ["a.flac"]
    assert "lyts tags merge" in songs.quick("tags", "rename", "live", "jazz", code=2).err
    assert songs.quick("tags", "merge", "concert", "live").out == "made concert (1 file) into live\n"
    assert songs.names("live") == ["a.flac", "b.flac"]
    assert songs.quick("tags", "imply", "jazz", "swing").out == "jazz implies swing\n"
    assert songs.quick("tags", "imply", "jazz", "swing").out == "jazz already implies swing\n"
    assert songs.names("swing") == ["c.flac"]
    assert songs.quick("tags", "imply", "jazz", "swing", "--remove").out == "jazz no longer implies swing\n"
    assert songs.quick("find", "swing", code=None).out == ""
    assert songs.quick("tags", "alias", "yazz", "jazz").out == "yazz is now another name of jazz\n"
    assert songs.quick("tags", "alias", "yazz", "jazz").out == "yazz is already another name of jazz\n"
    assert songs.names("yazz") == ["c.flac"]
    assert "also yazz" in songs.quick("tags", "--long").out
    assert songs.quick("tags", "alias", "yazz", "--remove").out == "yazz is no longer another name of a tag\n"
    assert songs.quick("tags", "make", "holidays").out == "made the tag holidays\n"
    assert songs.quick("tags", "make", "holidays").out == "there is already a tag holidays\n"
    assert "0  holidays" in songs.quick("tags").lines
    assert songs.quick("tags", "rm", "holidays").out == "took holidays off 0 files and forgot it\n"
    assert songs.quick("tags", "rm", "live", "--yes").out == "took live off 2 files and forgot it\n"
    assert songs.names("music") == ["a.flac", "b.flac", "c.flac"]


# -- notes, names, showing -------------------------------------------------------------


def test_notes_by_option_and_from_stdin(songs: Lyts) -> None:
    assert songs("notes", "--set", "Played twice.\nAnd again.", "a.flac").out == "wrote notes to a.flac\n"
    assert songs("show", "notes", "a.flac").out == "Played twice.\nAnd again.\n"
    assert songs("notes", "--set", "-", "a.flac", stdin="from a pipe\n").out == "wrote notes to a.flac\n"
    assert songs.quick("notes", "--set", "from a pipe", "a.flac").out == "the notes are the same as before\n"
    assert songs.quick("notes", "--set", "all", "-q", "music").out == "wrote notes to 3 files\n"
    assert songs.quick("notes", "--set", "", "a.flac").out == "took the notes off a.flac\n"
    assert songs.quick("show", "notes", "a.flac").err == "a.flac has no notes.\n"
    assert songs.json("show", "notes", "b.flac")[0]["notes"] == "all"


def test_notes_in_an_editor(songs: Lyts) -> None:
    editor = songs.home / "editor"
    editor.write_text('#!/bin/sh\ncat "$2" > "$1"; echo "one more line" >> "$2"\n')
    editor.chmod(0o755)
    seen = songs.home / "seen"
    env = {"EDITOR": f"'{editor}' '{seen}'"}
    songs.quick("notes", "--set", "before", "a.flac")
    assert songs("notes", "a.flac", env=env).out == "wrote notes to a.flac\n"
    assert seen.read_text() == "before\n"
    assert songs.quick("show", "notes", "a.flac").out == "before\none more line\n"
    assert songs("notes", "a.flac", env={"EDITOR": "true"}).out == "the notes are the same as before\n"
    assert "one takes one" not in songs.quick("notes", "-q", "music", code=2, env=env).err


def test_editor_that_fails_changes_nothing_and_keeps_what_was_written(songs: Lyts) -> None:
    failing = songs.home / "failing"
    failing.write_text('#!/bin/sh\necho "much work" > "$1"; exit 1\n')
    failing.chmod(0o755)
    done = songs("notes", "a.flac", env={"EDITOR": str(failing)}, code=3)
    draft = done.err.strip().rpartition(" ")[2]
    assert Path(draft).read_text() == "much work\n"
    os.unlink(draft)
    assert songs.quick("show", "notes", "a.flac").out == ""
    assert "cannot be started" in songs("notes", "a.flac", env={"EDITOR": "/nonexistent"}, code=2).err
    assert "Your text is in" not in songs("notes", "a.flac", env={"EDITOR": "false"}, code=3).err


def test_rename(songs: Lyts) -> None:
    assert songs("rename", "a.flac", "So What.flac").out == "renamed a.flac to So What.flac\n"
    assert songs.quick("rename", "So What.flac", "So What.flac").out == "the file is called So What.flac already\n"
    assert songs.names("music") == ["So What.flac", "b.flac", "c.flac"]
    for bad in ("a/b", ".", "..", "nul\0"):
        assert "cannot be a file name" in songs.quick("rename", "b.flac", bad, code=2).err


def test_show_says_everything(songs: Lyts) -> None:
    songs.quick("notes", "--set", "line one\nline two", "a.flac")
    shown = songs("show", "a.flac").out
    one = songs.json("show", "a.flac")[0]
    for text in (one["guid"], one["sha256"], one["path"], "audio/flac", "music", "    line two", str(songs.files)):
        assert text in shown
    assert [file["name"] for file in songs.json("show", "a.flac", "c.flac")] == ["a.flac", "c.flac"]


def test_file_that_is_called_notes_is_reached(lyts: Lyts) -> None:
    lyts.quick("add", "-t", "x", lyts.file("notes"), lyts.file("tags"))
    for name in ("notes", "tags"):
        assert lyts.quick("show", "--", name).lines[0] == name
        assert lyts.quick("show", "tags", name).out == "x\n"


def test_why_names_tag_and_cause(songs: Lyts) -> None:
    songs.quick("tags", "imply", "music", "sound")
    said = songs("why", "a.flac").out
    assert "music: put on it " in said
    assert "sound: answers to it, because of music" in said
    (one,) = songs.json("why", "a.flac")
    keys = ["guid", "name", "added", "added_on", "tags", "implied", "holds", "unknown_to", "path", "placed"]
    assert list(one) == keys
    assert one["implied"] == {"sound": ["music"]}


# -- merging and removing ----------------------------------------------------------------


def test_merge_makes_files_with_the_same_bytes_one(lyts: Lyts) -> None:
    lyts.quick("add", "-t", "one", lyts.file("a.txt", "same"))
    lyts.quick("add", "-t", "two", lyts.file("b.txt", "same"))
    lyts.file("c.txt", "other")
    lyts.quick("add", "c.txt")
    assert "do not have the same bytes" in lyts.quick("merge", "a.txt", "c.txt", code=2).err
    assert lyts("merge", "b.txt", "a.txt").out == "kept a.txt, moved 1 file to the trash; it got two\n"
    assert lyts.names("one+two") == ["a.txt"]
    assert lyts.names() == ["a.txt", "c.txt"]


def test_merging_all_duplicates_asks(lyts: Lyts) -> None:
    for group in "xy":
        for number in range(3):
            lyts.file(f"{group}{number}.txt", group * 10)
    lyts.quick("add", ".")
    assert "--yes" in lyts("merge", "--duplicates", code=2).err
    assert len(lyts.names()) == 6
    assert "4 files (40 B)" in lyts.quick("merge", "--duplicates", "--dry-run").out
    assert lyts("merge", "--duplicates", "--yes").out.startswith("moved 4 files to the trash")
    assert lyts.names() == ["x0.txt", "y0.txt"]


def test_rm_restore_and_empty(songs: Lyts) -> None:
    assert songs("rm", "a.flac").out == "moved a.flac to the trash\n"
    assert songs.names() == ["b.flac", "c.flac"]
    assert "a.flac" in songs("trash").out
    assert songs.quick("trash", "list").out == songs.quick("trash").out
    (one,) = songs.json("trash")
    assert list(one) == ["guid", "name", "size_bytes", "removed"]
    assert "was removed" in songs.quick("show", "a.flac").out
    assert songs.json("show", "a.flac")[0]["trashed"] is True
    assert songs.quick("trash", "restore", "a.flac").out == "brought back a.flac\n"
    assert songs.names("music") == ["a.flac", "b.flac", "c.flac"]
    songs.quick("rm", "-q", "music")
    assert "would bring back 3 files" in songs.quick("trash", "restore", "--all", "--dry-run").err
    assert songs.quick("trash", "restore", "--all").out == "brought back 3 files\n"
    songs.quick("rm", "a.flac", "b.flac")
    path = songs.json("show", "a.flac")[0]["path"]
    assert "nothing to delete" in songs.quick("trash", "empty", "--older-than", "1d", code=1).err
    assert "cannot be undone" in songs("trash", "empty", code=2).err
    assert os.path.exists(path)
    assert "would delete 2 files" in songs.quick("trash", "empty", "--dry-run").err
    assert songs.quick("trash", "empty", "a.flac", "--yes").out == "deleted 1 file for good, freed 6 B\n"
    assert not os.path.exists(path)
    assert songs.quick("trash", "empty", "--older-than", "0d", "--yes").out == "deleted 1 file for good, freed 6 B\n"
    assert songs.quick("trash").err == "The trash is empty.\n"
    assert "no file in the trash is called" in songs.quick("trash", "restore", "b?.flac", code=1).err


def test_rm_of_many_by_a_query_is_refused_without_a_terminal(lyts: Lyts) -> None:
    many(lyts, 21)
    done = lyts("rm", "-q", "x", code=2)
    assert "21 files" in done.err
    assert "--yes" in done.err
    assert len(lyts.names()) == 21
    assert lyts.quick("rm", "-q", "x", "--yes").out == "moved 21 files to the trash\n"
    assert lyts.names() == []


def test_rm_of_twenty_by_a_query_just_does_it(lyts: Lyts) -> None:
    many(lyts, 20)
    assert lyts.quick("rm", "-q", "x").out == "moved 20 files to the trash\n"


def test_tags_rm_is_refused_without_a_terminal(songs: Lyts) -> None:
    done = songs("tags", "rm", "music", code=2)
    assert "This takes music off 3 files." in done.err
    assert len(songs.names("music")) == 3
