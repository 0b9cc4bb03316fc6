"""`lyts search` as it is typed: what it prints, in which form, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shell.commands import search as command
from tests.support.command import Lyts

HOSTILE = "evil\x1b]0;owned\x07\x1b[31m\nred.txt"


@pytest.fixture
def lyts(tmp_path: Path) -> Iterator[Lyts]:
    made = Lyts(tmp_path)
    yield made
    made.check()


@pytest.fixture
def papers(lyts: Lyts) -> Lyts:
    lyts.quick("add", "-t", "recipe,cake", lyts.file("strudel.md", "Take the sour apples, and butter."))
    lyts.quick("add", "-t", "recipe", lyts.file("jam.txt", "Apples and red wine, boiled slowly."))
    lyts.quick("add", "-t", "letter", lyts.file("aunt.txt", "Dear aunt, the wine was red and the apples were ripe."))
    return lyts


def ids(lyts: Lyts, *query: str) -> dict[str, str]:
    return {one["name"]: one["guid"] for one in lyts.json("find", *query)}


def test_names_come_with_their_id_and_the_place_where_the_words_stand(papers: Lyts) -> None:
    guid = ids(papers)["jam.txt"]
    assert papers.quick("search", "boiled").lines == [
        f"{guid[:8]}  jam.txt",
        "    Apples and red wine, boiled slowly.",
    ]


def test_each_form_says_the_same(papers: Lyts) -> None:
    guids = ids(papers)
    names = [line.split("  ")[1] for line in papers.quick("search", "APPLES").lines if not line.startswith(" ")]
    assert sorted(names) == ["aunt.txt", "jam.txt", "strudel.md"]
    assert papers.quick("search", "--ids", "apples").lines == [guids[name] for name in names]
    assert papers.quick("search", "-0", "apples").out.split("\0") == [*names, ""]
    assert papers.quick("search", "-0", "--ids", "apples").out.split("\0") == [*[guids[name] for name in names], ""]
    assert papers.quick("search", "--count", "apples").out == "3\n"
    found = papers.json("search", "apples")
    assert [one["guid"] for one in found] == [guids[name] for name in names]
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    assert all("pples" in one["snippet"] for one in found)
    assert found[0].keys() - {"snippet", "score"} == papers.json("find", "recipe")[0].keys()


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (['"red wine"'], ["jam.txt"]),
        (["wine", "-boiled"], ["aunt.txt"]),
        (["butter", "or", "ripe"], ["aunt.txt", "strudel.md"]),
        (["appl*"], ["aunt.txt", "jam.txt", "strudel.md"]),
        (["tags:cake"], ["strudel.md"]),
        (["text:cake"], []),
        (["name:aunt", "apples"], ["aunt.txt"]),
        (["notes:aunt"], ["jam.txt"]),
    ],
)
def test_words_mean_what_help_says(papers: Lyts, asked: list[str], names: list[str]) -> None:
    papers.quick("notes", "--set", "from my aunt", "jam.txt")
    done = papers.quick("search", "-0", "--", *asked, code=0 if names else 1)
    assert sorted(done.out.split("\0")[:-1]) == names


def test_among_the_files_of_a_query(papers: Lyts) -> None:
    assert papers.quick("search", "--count", "apples", "-q", "recipe+-cake").out == "1\n"
    assert 'no tag "recip"' in papers.quick("search", "apples", "-q", "recip", code=1).err


def test_nothing_found_is_1_and_says_so(papers: Lyts) -> None:
    assert papers.quick("search", "zebra", code=1) == (1, "", "No file has these words.\n")
    assert papers.quick("search", "--count", "zebra", code=1).out == "0\n"
    assert json.loads(papers.quick("search", "--json", "zebra", code=1).out) == []
    assert papers.quick("search", "-0", "zebra", code=1).out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "missing"),
        (('"!?"',), "there is no word to look for in '\"!?\"'"),
        (("apple", "--json", "--count"), "--json, -0 and --count exclude each other"),
        (("apple", "--all", "--limit", "3"), "--all and --limit exclude each other"),
        (("apple", "--limit", "0"), "'0' is no number from 1 on"),
    ],
)
def test_wrong_use_is_2_and_says_what(papers: Lyts, words: tuple[str, ...], said: str) -> None:
    assert said in papers.quick("search", *words, code=2).err


def test_at_most_so_many_are_shown_and_it_is_said_that_there_are_more(
    papers: Lyts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(*options: str) -> tuple[int, str]:
        done = papers.quick("search", "apples", *options)
        return sum(not line.startswith(" ") for line in done.lines), done.err

    assert shown() == (3, "")
    assert shown("--limit", "3") == (3, "")
    assert shown("--limit", "2") == (2, "There are more than these 2; --all shows all, --limit N so many.\n")
    monkeypatch.setattr(command, "SHOWN", 1)
    assert shown() == (1, "There are more than these 1; --all shows all, --limit N so many.\n")
    assert shown("--all") == (3, "")
    assert papers.quick("search", "--count", "apples").out == "3\n"


def test_what_is_not_read_yet_is_said_and_read_in_the_background(papers: Lyts, monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[object] = []
    monkeypatch.setattr(command, "PATIENCE_S", -1.0)
    monkeypatch.setattr("tagfs.text.indexing.begin_in_background", began.append)
    done = papers.quick("search", "apples", code=1)
    assert "3 files are still to be read, in the background; ask again in a while.\n" in done.err
    assert len(began) == 1
    monkeypatch.undo()
    done = papers.quick("search", "--count", "apples")
    assert (done.out, done.err) == ("3\n", "")


def test_files_that_cannot_be_read_are_named_once_and_found_by_their_names(papers: Lyts) -> None:
    papers.quick("add", papers.file("scan.pdf", b"%PDF-1.7 and then nothing"), papers.file("letter.docx", b"PK no zip"))
    done = papers.quick("search", "scan")
    assert "scan.pdf: found by its name only (" in done.err
    assert "letter.docx: found by its name only (" in done.err
    assert done.lines[0].endswith("  scan.pdf")
    assert papers.quick("search", "scan").err == ""


def test_hostile_names_and_texts_do_no_harm(lyts: Lyts) -> None:
    lyts.quick("add", lyts.file(HOSTILE, "quincunx \x1b[2J\x1b]0;owned\x07 \u202e\x9b31m"))
    done = lyts.quick("search", "quincunx")
    assert len(done.lines) == 2
    assert "evil\\x1b]0;owned\\x07\\x1b[31m\\nred.txt" in done.out
    assert not {"\x1b", "\x07", "\x9b"} & set(done.out)
    assert lyts.quick("search", "-0", "quincunx").out == HOSTILE + "\0"
    seen = lyts.terminal("search", "quincunx").out
    assert "\x1b[2J" not in seen
    assert "\x1b]0" not in seen
    assert "\u202e" not in seen


def test_commands_that_tag_load_nothing_of_the_full_text(papers: Lyts) -> None:
    heavy = ("whoosh", "pypdf", "tagfs.text.whooshed")
    code = (
        "import sys; from shell.main import main\n"
        "for words in (['tag', 'new', 'jam.txt'], ['untag', 'new', 'jam.txt'], ['notes', '--set', 'x', 'jam.txt'],"
        " ['rename', 'jam.txt', 'jelly.txt'], ['add', 'later.txt'], ['rm', '--yes', 'later.txt'], ['undo']):\n"
        "    assert main(words) == 0, words\n"
        f"    assert not [m for m in {heavy!r} if m in sys.modules], words\n"
    )
    papers.file("later.txt")
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=papers.env,
        cwd=papers.files,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
