"""Lines of the shell from a script: `lyts shell -c`, a file, a pipe."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Lyts


@pytest.fixture
def songs(tmp_path: Path) -> Iterator[Lyts]:
    made = Lyts(tmp_path)
    for name, tags in (
        ("Blue Kitchen.flac", "music,jazz,flac"),
        ("Blue Moon.flac", "music,flac,live"),
        ("Waltz.ogg", "music,folk"),
        ("3", "papers"),
    ):
        made.quick("add", "--move", "-t", tags, made.file(name))
    yield made
    made.check()


def test_lines_from_everywhere_do_the_same(songs: Lyts) -> None:
    expected = ["Blue Kitchen.flac", "Blue Moon.flac"]
    assert songs.quick("shell", "-c", "cd music+flac; ls").lines == expected
    script = songs.file("tidy.lyts", "# to be tidy\ncd music+flac\nls\n")
    assert songs.quick("shell", script).lines == expected
    assert songs("shell", stdin="cd music+flac\nls\n").lines == expected
    assert songs("shell", "-", stdin="cd music+flac\nls\n").lines == expected


def test_a_script_that_cannot_be_read_is_wrong_use(songs: Lyts) -> None:
    done = songs.quick("shell", "tidy.lyts", code=2)
    assert done.err.startswith("lyts: tidy.lyts cannot be read: No such file or directory")
    assert "cannot be read: Is a directory" in songs.quick("shell", ".", code=2).err
    assert not list(songs.home.rglob("errors.log"))  # nothing unforeseen


def test_numbers_go_on_meaning_what_was_listed(songs: Lyts) -> None:
    done = songs.quick("shell", "-c", "cd music; ls; cd papers; tag picked 1-2; ls +nosuch", code=1)
    assert "tagged 2 files with picked" in done.out
    assert songs.names("picked") == ["Blue Kitchen.flac", "Blue Moon.flac"]
    songs.quick("shell", "-c", "cd papers; tag star *; ls music; untag jazz 1; rename 3 'Wiener Walzer.ogg'")
    assert songs.names("star") == ["3"]
    assert songs.names("jazz") == [] or songs.quick("find", "jazz", code=None).code == 1
    assert "Wiener Walzer.ogg" in songs.names()


def test_a_file_that_is_called_like_a_number_is_meant_in_quotes(songs: Lyts) -> None:
    songs.quick("shell", "-c", "cd music; ls; tag quoted '3'; tag number 3")
    assert songs.names("quoted") == ["3"]
    assert songs.names("number") == ["Waltz.ogg"]


def test_the_first_that_fails_ends_it_and_gives_the_exit_code(songs: Lyts) -> None:
    done = songs.quick("shell", "-c", "cd musik; rm *; ls", code=1)
    assert 'no tag "musik"; did you mean music (3 files)?' in done.err
    assert "so the 2 commands after it were not run" in done.err
    assert len(songs.names()) == 4
    assert songs.quick("shell", "-c", "tag", code=2).err.startswith("lyts: missing")
    assert songs.quick("shell", "-c", "tag x 9", code=2).err.startswith("lyts: there is no number 9; nothing is listed")
    assert songs.quick("shell", "-c", "exit 7; ls", code=7).out == ""
    assert songs.quick("shell", "-c", "ls 'music", code=2).err.count("never closed") == 1
    assert songs.quick("shell", "-c", "", code=0).out == ""


def test_keep_going_goes_on(songs: Lyts) -> None:
    done = songs.quick("shell", "--keep-going", "-c", "cd nosuch; tag; ls papers", code=1)
    assert done.lines == ["3"]


def test_queries_that_go_on_from_where_one_stands(songs: Lyts) -> None:
    lines = "cd music; ls +jazz; +flac; pwd; ls --count; tags --limit 1; cd ..+folk; pwd; tag old -q +; cd /; pwd"
    assert songs.quick("shell", "-c", lines).lines == [
        "Blue Kitchen.flac",
        "music+flac",
        "2",
        "2  flac",
        "music+folk",
        "tagged 1 file with old",
        "/",
    ]


def test_places_of_any_query_and_saved_ones(songs: Lyts) -> None:
    songs.quick("tag", "rock & roll", "Waltz.ogg")
    lines = """
    cd music and (jazz or live)
    pwd
    save evening
    cd 'rock & roll'
    pwd
    ls
    cd --saved evening
    ls --count +jazz
    cd 'music and jazz'
    pwd
    """
    assert songs.quick("shell", "-c", lines).lines == [
        "(music and (jazz or live))",
        "saved evening: (music and (jazz or live))",
        '"rock & roll"',
        "Waltz.ogg",
        "1",
        "(music and jazz)",
    ]


@pytest.mark.parametrize("typed", ["music +jazz", "jazz or", "(jazz"])
def test_what_is_wrong_in_a_query_is_shown_as_it_was_typed(songs: Lyts, typed: str) -> None:
    expected = songs.quick("find", typed, code=2).err
    assert typed in expected
    assert songs.quick("shell", "-c", f"cd {typed}", code=2).err == expected
    assert songs.quick("shell", "-c", f"cd music; cd +{typed}", code=2).err == expected


def test_everything_here_is_not_everything(songs: Lyts) -> None:
    songs.quick("shell", "-c", "cd papers; rm *")
    assert len(songs.names()) == 3
    assert songs("shell", "-c", "cd live; show * | head -1").lines == ["Blue Moon.flac"]
    assert "one of them, please" in songs.quick("shell", "-c", "tag x * -q music", code=2).err


def test_pipes_and_programs(songs: Lyts) -> None:
    assert songs("shell", "-c", "cd music; ls | sort -r | head -1").out == "Waltz.ogg\n"
    assert songs("shell", "-c", "ls music | exit 4", code=4).out == ""
    assert songs("shell", "-c", "find music --json | grep -c guid").out == "3\n"
    assert songs("shell", "-c", "cd music; ls jazz\n!cat 1; echo; echo '1' *.x").lines[-2:] == [
        "Blue Kitchen.flac",
        "1 *.x",
    ]
    assert songs("shell", "-c", "!exit 5", code=5).out == ""
    assert "a program is missing" in songs("shell", "-c", "!", code=2).err
    done = songs("shell", "-c", "ls |", code=2)
    assert "a program is missing after the |" in done.err


def test_a_program_in_a_script_does_not_read_the_script(songs: Lyts) -> None:
    assert songs("shell", stdin="!cat\nls papers\n").lines == ["3"]


def test_children_of_the_shell_are_the_same_commands(songs: Lyts) -> None:
    assert songs("shell", "-c", "fsck; reindex; ls papers").lines[-1] == "3"
    assert songs("shell", "-c", "fsck --nosuch", code=2).err == songs("fsck", "--nosuch", code=2).err


def test_a_script_needs_no_prompt_toolkit_and_the_other_commands_no_shell(songs: Lyts) -> None:
    code = (
        "import sys; from shell.main import main; c = main({words!r});"
        "print([m for m in ('prompt_toolkit', 'asyncio', 'numpy', 'shell.live.session') if m in sys.modules])"
    )
    for words, loaded in ((["shell", "-c", "cd music; ls"], "['shell.live.session']"), (["find", "music"], "[]")):
        done = subprocess.run(
            [sys.executable, "-P", "-c", code.format(words=words)],
            env=songs.env,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout.splitlines()[-1] == loaded


def test_a_shell_in_the_shell_is_refused(songs: Lyts) -> None:
    assert "you are in the shell already" in songs.quick("shell", "-c", "shell -c ls", code=2).err


def test_another_store_within_the_shell_is_refused(songs: Lyts) -> None:
    assert "stays with one store" in songs.quick("shell", "-c", "lyts --store /elsewhere ls", code=2).err


def test_a_question_without_a_terminal_is_refused_as_outside(songs: Lyts) -> None:
    done = songs("shell", "-c", "tags rm music", code=2)
    assert "there is no terminal to ask on" in done.err
    assert len(songs.names("music")) == 3
