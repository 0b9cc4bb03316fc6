"""`lyts` itself: start-up, help, exit codes, and what it says when something goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from shell.root import ALIASES, TABLE, root
from tests.support.command import ROOT, START, Lyts

HEAVY = "msgspec prompt_toolkit trio pyfuse3 rich httpx whoosh numpy asyncio tomllib importlib.metadata"


@pytest.fixture
def lyts(tmp_path: Path) -> Iterator[Lyts]:
    made = Lyts(tmp_path)
    yield made
    made.check()


def all_commands() -> list[tuple[str, ...]]:
    ctx = click.Context(root)
    out: list[tuple[str, ...]] = []
    for name in TABLE:
        command = root.get_command(ctx, name)
        out.append((name,))
        if isinstance(command, click.Group):
            out += [(name, below) for below in command.list_commands(ctx)]
    return out


# -- start-up --------------------------------------------------------------------


def test_version_is_printed_without_importing_anything(lyts: Lyts) -> None:
    code = (
        "import sys; before = set(sys.modules); sys.argv = ['lyts', '--version']; import shell.main as m; c = m.main();"
        "print(sorted(set(sys.modules) - before)); sys.exit(c)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=lyts.env, capture_output=True, text=True, check=True, timeout=60
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("lyts ")
    assert second == "['shell', 'shell.main']"


def test_counting_imports_nothing_heavy(lyts: Lyts) -> None:
    lyts.file("a.flac")
    lyts.quick("add", "-t", "music,flac", "a.flac")
    code = (
        "import sys; from shell.main import main; c = main(['find', '--count', 'music+flac']);"
        f"print([m for m in {HEAVY.split()!r} if m in sys.modules]); sys.exit(c)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=lyts.env, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "1\n[]\n"


@pytest.mark.parametrize("words", [("find", "music"), ("find", "--long"), ("find", "-0"), ("find", "--ids")])
def test_listing_imports_no_numpy(lyts: Lyts, words: tuple[str, ...]) -> None:
    lyts.file("a.flac")
    lyts.quick("add", "-t", "music", "a.flac")
    code = (
        f"import sys; from shell.main import main; c = main({list(words)!r});"
        "sys.stderr.write(str([m for m in ('numpy', 'asyncio') if m in sys.modules])); sys.exit(c)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=lyts.env, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == "[]"


def test_version_anywhere_before_the_command(lyts: Lyts) -> None:
    assert lyts("--version").out == lyts.quick("--color", "never", "--version").out


# -- what one sees first ---------------------------------------------------------


def test_alone_says_what_to_type_first(lyts: Lyts) -> None:
    new = lyts()
    assert "lyts add -t" in new.out
    assert "lyts help" in new.out
    assert not lyts.store.exists()
    lyts.file("a.flac")
    lyts.quick("add", "-t", "music", "a.flac")
    assert lyts.quick().lines[0].startswith("1 file and 1 tag in ")


def test_help_names_every_command_once() -> None:
    words = subprocess.run([*START, "help"], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    listed = [line.split()[0] for line in words.stdout.splitlines() if line.startswith("  ") and line.strip()]
    assert [word for word in listed if word in TABLE] == list(TABLE)


@pytest.mark.parametrize("words", all_commands(), ids=" ".join)
def test_help_begins_with_examples_then_options(lyts: Lyts, words: tuple[str, ...]) -> None:
    by_option = lyts.quick(*words, "--help")
    assert lyts.quick("help", *words).out == by_option.out
    lines = by_option.lines
    assert lines[0].endswith(".")
    assert lines[2] == "Examples:"
    assert lines[3].startswith("  lyts " + words[0])
    assert by_option.out.index("Examples:") < by_option.out.index("Usage:") < by_option.out.index("Options:")
    assert max(map(len, lines)) <= 96
    assert lyts.quick(*words, "-h").out == by_option.out
    assert by_option.err == ""


def test_examples_in_help_are_commands_there_are(lyts: Lyts) -> None:
    for words in all_commands():
        for line in lyts.quick("help", *words).out.partition("Examples:")[2].partition("Usage:")[0].splitlines():
            if line.startswith("  lyts "):
                word = next(word for word in line.split()[1:] if not word.startswith(("-", "/", "~")))
                assert word in TABLE or word in ALIASES, line


def test_summaries_in_the_table_are_those_of_the_commands() -> None:
    from shell.command import summary_and_details

    ctx = click.Context(root)
    for name, entry in TABLE.items():
        command = root.get_command(ctx, name)
        assert command is not None
        assert summary_and_details(command)[0] == entry.summary


def test_ls_is_find(lyts: Lyts) -> None:
    lyts.file("a.flac")
    lyts.quick("add", "a.flac")
    assert lyts.quick("ls").out == lyts.quick("find").out == "a.flac\n"


# -- exit codes ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("find", "music"), 0, ""),
        (("find", "nosuch"), 1, 'no tag "nosuch"'),
        (("find", "-music"), 2, "no such option"),
        (("find", "--", "-music"), 1, "No file matches"),
        (("find", "music+"), 2, "  music+\n"),
        (("fnid", "music"), 2, "did you mean find?"),
        (("xyzzy",), 2, "lyts help lists the commands"),
        (("find", "--lnog"), 2, "lyts help find"),
        (("tag",), 2, "missing argument 'TAGS'"),
        (("tag", "jazz"), 2, "-q QUERY"),
        (("tag", "jazz", "nosuch"), 1, "no file in your library"),
        (("tag", "-q", "nosuch", "x"), 1, 'no tag "nosuch"'),
        (("tag", "size=3", "a.flac"), 2, "cannot be a tag"),
        (("untag", "", "a.flac"), 2, "no tag is given"),
        (("rename", "a.flac", ""), 2, "it is empty"),
        (("rename", "a.flac", "x" * 256), 2, "255 is the most"),
        (("show",), 2, "missing argument"),
        (("show", "nosuch"), 1, "no file in your library"),
        (("show", "notes"), 2, "lyts show -- notes"),
        (("help", "nosuch"), 2, "there is no command"),
        (("trash", "restore"), 2, "--all"),
        (("trash", "empty", "--older-than", "soon"), 2, "30d"),
        (("trash", "empty", "--yes"), 1, "nothing to delete"),
        (("undo", "nosuch"), 1, "lyts log --ids"),
        (("redo",), 1, "nothing to redo"),
        (("versions", "a.flac", "--bring-back", "0"), 1, "versions"),
        (("save", "x"), 2, "which query"),
        (("save", "x", "music+("), 2, "  music+("),
        (("save", "--forget", "x"), 1, "no saved query"),
        (("find", "--saved", "x"), 1, "lyts save --list"),
        (("tags", "rm", "nosuch"), 1, "there is no tag"),
        (("tags", "rename", "nosuch", "x"), 1, "there is no tag"),
        (("tags", "rename", "music"), 2, "lyts tags -- rename"),
        (("tags", "merge", "music"), 2, "two tags or more"),
        (("tags", "imply", "music", "music"), 2, "cannot imply itself"),
        (("tags", "alias", "x"), 2, "of which tag"),
        (("tags", "make", "a,b"), 2, "one tag"),
        (("merge", "a.flac"), 2, "two files or more"),
        (("merge", "--duplicates"), 1, "No two files"),
        (("find", "--duplicates"), 1, "No two files"),
        (("find", "--limit", "0"), 2, "no number"),
        (("find", "--count", "--json"), 2, "exclude each other"),
        (("notes", "a.flac"), 2, "--set"),
        (("init",), 2, "already"),
        (("init", "--alias", "a\nb"), 2, "name of a device"),
        (("completion", "tcsh"), 2, "bash"),
        (("--store", "/nonexistent/x", "find"), 3, "lyts init"),
        (("--store", "/proc/nowhere", "init"), 3, "cannot be made"),
        (("--color", "pink", "find"), 2, "pink"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_exit_code_and_sentence(lyts: Lyts, words: tuple[str, ...], code: int, says: str) -> None:
    lyts.file("a.flac")
    lyts.quick("add", "-t", "music", "a.flac")
    done = lyts.quick(*words, code=code)
    assert says in done.err
    if code:
        assert done.out == ""
        assert done.err.endswith("\n")


def test_wrong_query_is_shown_with_a_caret_at_the_place(lyts: Lyts) -> None:
    lyts.file("a.flac")
    lyts.quick("add", "-t", "jazz", "a.flac")
    assert lyts("find", "jazz+jaz", code=1).err == (
        'lyts: no tag "jaz"; did you mean jazz (1 file)?\n  jazz+jaz\n       ^\n'
    )
    wide = lyts.quick("find", "音楽+\x1b[31mjaz", code=2).err
    assert "\x1b" not in wide
    assert wide.splitlines()[-2:] == ["  音楽+\\x1b[31mjaz", "       ^"]


def test_store_option_counts_more_than_the_environment(lyts: Lyts) -> None:
    other = str(lyts.home / "other")
    lyts.quick("--store", other, "init")
    lyts.quick("init")
    lyts.file("a.flac")
    lyts.quick("--store", other, "add", "a.flac")
    assert lyts.names() == []
    assert lyts.quick("--store", other, "find").out == "a.flac\n"


# -- streams ---------------------------------------------------------------------


def test_reader_that_goes_away_is_no_error(lyts: Lyts) -> None:
    for number in range(300):
        lyts.file(f"{number:03}-{'x' * 200}.txt")
    lyts.quick("add", ".")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*START, "find"], stdout=write, stderr=subprocess.PIPE, env=lyts.env, check=False, timeout=60)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_output_that_cannot_be_written_is_said(lyts: Lyts) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    lyts.quick("init")
    lyts.file("a.flac")
    lyts.quick("add", "a.flac")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*START, "find"], stdout=full, stderr=subprocess.PIPE, env=lyts.env, check=False, timeout=60
        )
    assert done.returncode == 3
    assert b"cannot be written" in done.stderr
    assert b"Traceback" not in done.stderr


def test_closed_streams_hurt_nobody(lyts: Lyts) -> None:
    lyts.file("a.flac")
    line = " ".join(map(repr, START)).replace("\n", " ")
    for closing in (">&-", "2>&-", "<&-", ">&- 2>&- <&-"):
        done = subprocess.run(
            ["sh", "-c", f"{line} add a.flac {closing}"],
            env=lyts.env,
            cwd=lyts.files,
            check=False,
            timeout=60,
            capture_output=True,
        )
        assert done.returncode == 0, (closing, done)
    assert lyts.names() == ["a.flac"]


def test_interrupt_ends_with_130(lyts: Lyts) -> None:
    lyts.quick("init")
    fifo = lyts.home / "fifo"
    os.mkfifo(fifo)
    # An editor that waits to be read from: the command is surely in the middle of its work.
    lyts.file("a.flac")
    lyts.quick("add", "a.flac")
    child = subprocess.Popen(
        [*START, "notes", "a.flac"], env=lyts.env | {"EDITOR": f"sh -c 'echo there > {fifo}; exec sleep 60'"},
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, cwd=lyts.files,
    )  # fmt: skip
    assert fifo.read_text() == "there\n"
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert b"Traceback" not in err


def test_colour_only_where_wanted(lyts: Lyts) -> None:
    lyts.file("a.flac")
    lyts.quick("add", "a.flac")
    assert "\x1b[" not in lyts.quick("find", "--long").out
    assert "\x1b[" in lyts.quick("--color", "always", "find", "--long").out
    assert "\x1b[" in lyts.terminal("find", "--long").out
    assert "\x1b[" not in lyts.terminal("--color", "never", "find", "--long").out
    lyts.env["NO_COLOR"] = "1"
    assert "\x1b[" not in lyts.terminal("find", "--long").out


# -- what nobody foresaw -----------------------------------------------------------


def test_unforeseen_error_is_a_sentence_and_a_log(lyts: Lyts, monkeypatch: pytest.MonkeyPatch) -> None:
    lyts.quick("init")

    def breaks(*_: object) -> None:
        raise ZeroDivisionError("a secret of ours")

    monkeypatch.setattr("tagfs.verbs.saved.saved_queries", breaks)
    done = lyts.quick("save", "--list", code=3)
    log = lyts.home / "state" / "lyts" / "errors.log"
    assert str(log) in done.err
    assert "something went wrong that should not have" in done.err
    text = log.read_text()
    assert "Traceback" in text
    assert "'save' '--list'" in text
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o700


def test_unforeseen_error_shows_its_details_with_lyts_debug(lyts: Lyts) -> None:
    lyts.quick("init")
    code = (
        "import sys, tagfs.verbs.saved as s; s.saved_queries = lambda v: 1 / 0;"
        "from shell.main import main; sys.exit(main(['save', '--list']))"
    )
    for debug in ("", "1"):
        done = subprocess.run(
            [sys.executable, "-P", "-c", code], env=lyts.env | {"LYTS_DEBUG": debug}, capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 3
        assert ("Traceback" in done.stderr) == bool(debug)


def test_log_that_cannot_be_written_does_not_hide_the_error(lyts: Lyts, monkeypatch: pytest.MonkeyPatch) -> None:
    lyts.quick("init")

    def breaks(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tagfs.verbs.saved.saved_queries", breaks)
    done = lyts.quick("save", "--list", code=3, env={"XDG_STATE_HOME": "/dev/null"})
    assert "ZeroDivisionError" in done.err
