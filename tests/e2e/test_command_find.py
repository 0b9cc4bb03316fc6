"""`lyts find` and `lyts tags`: what they print, and that no name does harm."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Lyts

FILE_KEYS = [
    "guid", "name", "tags", "notes", "size_bytes", "modified", "added", "sha256", "holds", "from", "trashed", "path",
]  # fmt: skip
HOSTILE = {
    "line\nbreak.txt": "line\\nbreak.txt",
    "\x1b[31m\x1b]0;title\x07red.txt": "\\x1b[31m\\x1b]0;title\\x07red.txt",
    "\u202egpj.exe": "\\u202egpj.exe",
    "carriage\rreturn": "carriage\\rreturn",
    "eight\x9bbit": "eight\\x9bbit",
    "isolate\u2066x\u2069": "isolate\\u2066x\\u2069",
    "zero\u200bwidth": "zero\\u200bwidth",
    "line\u2028separator": "line\\u2028separator",
    "family 👩\u200d👧": "family 👩\u200d👧",
    "می\u200cخواهم": "می\u200cخواهم",
    "日本語.txt": "日本語.txt",
    "no\u00a0break": "no\u00a0break",
}


@pytest.fixture
def lyts(tmp_path: Path) -> Iterator[Lyts]:
    made = Lyts(tmp_path)
    yield made
    made.check()


@pytest.fixture
def music(lyts: Lyts) -> Lyts:
    """Five files of different sizes and tags, added in this order."""
    for name, size, tags in (
        ("Track 10.flac", 5000, "music,flac,year=1959,live"),
        ("track 2.mp3", 300, "music,mp3,year=1962"),
        ("Talk.mp3", 40, "voice,mp3"),
        ("Cover.jpg", 6000, "picture,rock & roll"),
        ("notes.txt", 1, "artist=Miles Davis"),
    ):
        lyts.file(name, name * (size // len(name) + 1))
        lyts.quick("add", "-t", tags, name)
    return lyts


# -- forms -------------------------------------------------------------------------


def test_names_come_in_the_order_in_which_they_were_added(music: Lyts) -> None:
    everything = ["Track 10.flac", "track 2.mp3", "Talk.mp3", "Cover.jpg", "notes.txt"]
    assert music("find").lines == everything
    assert music.quick("find", "--reverse").lines == everything[::-1]
    assert music.quick("find", "--limit", "2").lines == everything[:2]
    assert music.quick("find", "--limit", "2", "--reverse").lines == everything[:2:-1]


def test_sorting(music: Lyts) -> None:
    names = ["Cover.jpg", "notes.txt", "Talk.mp3", "track 2.mp3", "Track 10.flac"]
    assert music.quick("find", "--sort", "name").lines == names
    assert music.quick("find", "--sort", "name", "--reverse", "--limit", "1").lines == ["Track 10.flac"]
    assert music.quick("find", "--sort", "size").lines[:2] == ["Cover.jpg", "Track 10.flac"]
    assert music.quick("find", "--sort", "added").lines == music.quick("find", "--reverse").lines
    assert music.quick("find", "--sort", "ext", "--limit", "2").lines == ["Track 10.flac", "Cover.jpg"]
    old = music.file("old.txt")
    os.utime(old, (1, 1))
    music.quick("add", old)
    assert music.quick("find", "--sort", "modified").lines[-1] == "old.txt"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["music"], ["Track 10.flac", "track 2.mp3"]),
        (["music+-live"], ["track 2.mp3"]),
        (["music", "mp3"], ["track 2.mp3"]),
        (["music", "or", "voice"], ["Talk.mp3", "Track 10.flac", "track 2.mp3"]),
        (["music,voice+mp3"], ["Talk.mp3", "track 2.mp3"]),
        (["(music", "or", "voice)", "not", "live"], ["Talk.mp3", "track 2.mp3"]),
        (["music and (flac or mp3) not live"], ["track 2.mp3"]),
        (["year>=1960"], ["track 2.mp3"]),
        (["year", ">=", "1960"], ["track 2.mp3"]),
        (["year=1950..1960"], ["Track 10.flac"]),
        (["rock & roll"], ["Cover.jpg"]),
        (["picture", "rock & roll"], ["Cover.jpg"]),
        (["-rock & roll", "picture"], []),
        (["artist=Miles Davis"], ["notes.txt"]),
        (["name=Track 10.flac"], ["Track 10.flac"]),
        (["name=Track 1%"], ["Track 10.flac"]),
        (["ext=mp3", "music"], ["track 2.mp3"]),
        (["size=4kB.."], ["Cover.jpg", "Track 10.flac"]),
        (["type=audio", "-live"], ["Talk.mp3", "track 2.mp3"]),
        (["added=today"], ["Cover.jpg", "Talk.mp3", "Track 10.flac", "notes.txt", "track 2.mp3"]),
        (["./music"], ["Track 10.flac", "track 2.mp3"]),
    ],
    ids=" ".join,
)
def test_words_of_the_command_line_make_one_query(music: Lyts, words: list[str], names: list[str]) -> None:
    assert music.names("--", *words) == sorted(names)


def test_count_ids_and_zero(music: Lyts) -> None:
    assert music("find", "--count", "music").out == "2\n"
    assert music.quick("find", "--count").out == "5\n"
    assert music.quick("find", "-c", "music+voice", code=1).out == "0\n"
    ids = music.quick("find", "--ids", "music").lines
    assert ids == [one["guid"] for one in music.json("find", "music")]
    assert music.quick("find", "--ids", "-0", "music").out == "".join(one + "\0" for one in ids)
    assert music.quick("find", "-0", "mp3").out == "track 2.mp3\0Talk.mp3\0"
    assert music.quick("find", "-0", "--sort", "name", "mp3").out == "Talk.mp3\0track 2.mp3\0"


def test_long_listing(music: Lyts) -> None:
    lines = music.quick("find", "--long", "--sort", "size").lines
    assert lines[0].split()[1:3] == ["6.0", "kB"]
    assert lines[0].endswith("Cover.jpg      picture,rock & roll")
    assert lines[-1].endswith("notes.txt      artist=Miles Davis")
    (guid,) = music.quick("find", "--ids", "voice").lines
    assert music.quick("find", "--long", "voice").out.startswith(guid[:8] + "  ")
    assert music.quick("find", "--long", "--ids", "voice").out.startswith(guid + "  ")


def test_nothing_found(music: Lyts) -> None:
    for form in ((), ("--long",), ("-0",), ("--ids",), ("--sort", "name")):
        done = music.quick("find", *form, "music+voice", code=1)
        assert (done.out, done.err) == ("", "No file matches.\n")
    assert music.json("find", "music+voice", code=1) == []


# -- JSON --------------------------------------------------------------------------


def test_json_keys_stay_as_they_are(music: Lyts) -> None:
    found = music.json("find")
    for one in found:
        assert list(one) == FILE_KEYS
    first = found[0]
    assert first["name"] == "Track 10.flac"
    assert first["tags"] == ["flac", "live", "music", "year=1959"]
    assert first["notes"] == ""
    assert first["from"] == str(music.files)
    assert first["trashed"] is False
    assert len(first["holds"]) == 1
    assert len(first["sha256"]) == 64
    assert first["added"].endswith("Z")
    assert os.path.getsize(first["path"]) == first["size_bytes"] == 5005
    assert music.json("show", "Track 10.flac") == [first]


def test_json_is_one_object_a_line(music: Lyts) -> None:
    lines = music("find", "--json").lines
    assert (lines[0], lines[-1]) == ("[", "]")
    assert [json.loads(line.rstrip(","))["name"] for line in lines[1:-1]] == music.quick("find").lines


def test_json_of_tags_and_of_duplicates(music: Lyts) -> None:
    music.quick("tags", "imply", "live", "music")
    music.quick("tags", "alias", "concert", "live")
    tags = {one.pop("tag"): one for one in music.json("tags")}
    assert tags["live"] == {"files": 1, "also": ["concert"], "implies": ["music"]}
    assert tags["mp3"] == {"files": 2, "also": [], "implies": []}
    music.file("copy.mp3", (music.files / "Talk.mp3").read_bytes())
    music.quick("add", "copy.mp3")
    (group,) = music.json("find", "--duplicates")
    assert list(group) == ["sha256", "size_bytes", "files"]
    assert [one["name"] for one in group["files"]] == ["Talk.mp3", "copy.mp3"]
    assert music.quick("find", "--duplicates", "--count").out == "1\n"
    text = music.quick("find", "--duplicates").lines
    assert text[0] == f"2 files of {group['size_bytes']} B each:"
    assert [line.split("  ")[-1] for line in text[1:]] == ["Talk.mp3", "copy.mp3"]
    assert music.quick("find", "--duplicates", "music", code=1).out == ""


# -- tags and saved queries ----------------------------------------------------------


def test_tags_and_their_numbers(music: Lyts) -> None:
    assert music("tags").lines[:2] == ["2  mp3", "2  music"]
    assert music.quick("tags", "--sort", "name", "--limit", "2").lines == ["1  artist=Miles Davis", "1  flac"]
    assert music.quick("tags", "mp3").lines == ["2  mp3", "1  music", "1  voice", "1  year=1962"]
    assert "no file matches" in music.quick("tags", "music+voice", code=1).err


def test_tag_that_is_called_like_a_command_is_reached_behind_two_dashes(music: Lyts) -> None:
    music.quick("tag", "rename,rm", "Talk.mp3")
    assert music.quick("tags", "--", "rename").lines == ["1  mp3", "1  rename", "1  rm", "1  voice"]
    music.quick("tags", "rename", "rename", "merge")
    assert music.names("--", "merge") == ["Talk.mp3"]


def test_saved_queries(music: Lyts) -> None:
    assert "No query is saved" in music.quick("save", "--list").err
    assert music.quick("save", "songs", "music", "or", "voice").out == "saved songs: music or voice\n"
    assert music.names("--saved", "songs", "mp3") == ["Talk.mp3", "track 2.mp3"]
    assert music.names("--saved", "songs") == ["Talk.mp3", "Track 10.flac", "track 2.mp3"]
    assert music.quick("save", "songs", "music").out == "saved songs: music (it was music or voice)\n"
    assert music.quick("save", "--list").out == "songs  music\n"
    assert music.json("save", "--list") == [{"name": "songs", "query": "music"}]
    assert "did you mean songs?" in music.quick("find", "--saved", "song", code=1).err
    music.quick("save", "--forget", "songs")
    assert music.json("save", "--list") == []


# -- names that want to do harm ------------------------------------------------------


def test_hostile_names_are_harmless_on_a_terminal(lyts: Lyts) -> None:
    for name in HOSTILE:
        lyts.file(name, name)
    lyts.quick("add", "-t", "x", str(lyts.files))
    shown = sorted(HOSTILE.values())
    assert sorted(lyts.terminal("find").out.splitlines()) == shown
    assert sorted(lyts.terminal("find", "--sort", "size").out.splitlines()) == shown
    long = lyts.terminal("--color", "never", "find", "--long").out
    assert all(name in long for name in shown)
    ids = lyts.quick("find", "--ids").lines
    for words in (("find", "--long"), ("log",), ("find", "--json"), ("trash",), ("show", *ids)):
        out = lyts.terminal("--color", "never", *words).out
        for harm in "\x1b\x07\u202e\u2066\u2069\x9b\u200b\u2028":
            assert harm not in out, (words, harm)
        assert "\r" not in out


def test_piped_names_are_one_line_each_and_zero_gives_them_as_they_are(lyts: Lyts) -> None:
    for name in HOSTILE:
        lyts.file(name, name)
    lyts.quick("add", str(lyts.files))
    lines = lyts("find").out.split("\n")[:-1]
    assert len(lines) == len(HOSTILE)
    assert {"line\\nbreak.txt", "\u202egpj.exe", "carriage\\rreturn"} <= set(lines)
    assert not any(ch in "".join(lines) for ch in "\x1b\x07\r\x9b")
    assert set(lyts("find", "-0").out.split("\0")[:-1]) == set(HOSTILE)
    assert {one["name"] for one in lyts.json("find")} == set(HOSTILE)


def test_messages_about_hostile_names_are_harmless_everywhere(lyts: Lyts) -> None:
    name = "\x1b[31m\u202ered\nline"
    for path in (lyts.file(name, "x"), lyts.file("other/" + name, "y")):
        lyts.quick("add", "--move", path)
    for words in (
        ("tag", "t", name + "?"),
        ("tag", "t", name),
        ("rename", name, "x"),
        ("show", name),
        ("find", name),
        ("find", "--saved", name),
        ("tags", "rename", name, "x"),
        (name,),
        ("find", "--" + name),
        ("help", name),
        ("undo", name),
        ("--store", name, "find"),
        ("add", name + "?"),
        ("merge", name),
    ):
        done = lyts.quick(*words, code=None)
        assert done.code in (1, 2, 3), words
        assert "\x1b" not in done.err + done.out, words
        assert "\u202e" not in done.err + done.out, words


def test_notes_keep_their_lines_and_lose_their_harm_on_a_terminal(lyts: Lyts) -> None:
    lyts.file("a.txt")
    lyts.quick("add", "a.txt")
    lyts.quick("notes", "--set", "one\n\ttwo \x1b[2J", "a.txt")
    assert lyts.terminal("show", "notes", "a.txt").out == "one\n\ttwo \\x1b[2J\n".replace("\t", "\t")
    assert lyts("show", "notes", "a.txt").out == "one\n\ttwo \x1b[2J\n"
