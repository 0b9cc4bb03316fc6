"""At a terminal: questions, choices, progress. Real processes in a pseudo-terminal."""

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
def covers(lyts: Lyts) -> Lyts:
    for folder in ("one", "two", "three"):
        lyts.quick("add", "--move", "-t", folder, lyts.file(f"{folder}/cover.jpg"))
    return lyts


@pytest.mark.parametrize(
    ("answer", "tagged"),
    [("2", ["two"]), ("1,3", ["one", "three"]), ("2-3", ["three", "two"]), ("all", ["one", "three", "two"])],
)
def test_name_that_several_have_is_asked_about(covers: Lyts, answer: str, tagged: list[str]) -> None:
    done = covers.terminal("tag", "x", "cover.jpg", typed=[("Which?", f"{answer}\n")])
    assert done.code == 0
    assert "3 files answer to 'cover.jpg':" in done.out
    assert f"tagged {len(tagged)} file{'s' if len(tagged) > 1 else ''} with x" in done.out
    assert sorted(tag for one in covers.json("find", "x") for tag in one["tags"] if tag != "x") == tagged


def test_no_choice_is_no_change(covers: Lyts) -> None:
    typed = [("Which?", "seven\n"), ("numbers from 1 to 3", "9\n"), ("Which?", "\n")]
    done = covers.terminal("rm", "cover.jpg", typed=typed)
    assert done.code == 1
    assert "no file was chosen; nothing was changed" in done.out
    assert len(covers.names()) == 3


def test_end_of_input_is_no_choice(covers: Lyts) -> None:
    assert covers.terminal("rm", "cover.jpg", typed=[("Which?", "\x04")]).code == 1
    assert len(covers.names()) == 3


def test_interrupt_at_a_question_is_130(covers: Lyts) -> None:
    done = covers.terminal("rm", "cover.jpg", typed=[("Which?", "\x03")])
    assert done.code == 130
    assert "Traceback" not in done.out
    assert len(covers.names()) == 3


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("YES\n", 0), ("n\n", 3), ("\n", 3), ("\x04", 3)])
def test_danger_asks_and_only_yes_counts(covers: Lyts, answer: str, left: int) -> None:
    covers.quick("tag", "x", "-q", "name=cover.jpg")
    done = covers.terminal("tags", "rm", "x", typed=[("Go on? [y/N]", answer)])
    assert "This takes x off 3 files. Go on? [y/N]" in done.out
    assert done.code == (0 if left == 0 else 1)
    assert ("Nothing was changed." in done.out) == bool(left)
    assert len(covers.names("x")) == left


def test_rm_of_many_by_a_query_asks(lyts: Lyts) -> None:
    many(lyts, 21)
    assert lyts.terminal("rm", "-q", "x", typed=[("Go on?", "n\n")]).code == 1
    assert len(lyts.names()) == 21
    done = lyts.terminal("rm", "-q", "x", typed=[("This moves 21 files to the trash. Go on?", "y\n")])
    assert "moved 21 files to the trash" in done.out


def test_emptying_the_trash_asks(covers: Lyts) -> None:
    covers.quick("rm", "-q", "one")
    done = covers.terminal("trash", "empty", typed=[("it cannot be undone. Go on?", "y\n")])
    assert "deleted 1 file for good" in done.out


def test_hostile_names_in_a_question_are_harmless(lyts: Lyts) -> None:
    name = "\x1b[2J\u202ecover\n.jpg"
    for folder in ("one", "two"):
        lyts.quick("add", "--move", lyts.file(f"{folder}/{name}"))
    out = lyts.terminal("rm", name, typed=[("Which?", "\n")]).out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "\\x1b[2J\\u202ecover\\n.jpg" in out


def test_dumb_terminal_gets_no_colour(covers: Lyts) -> None:
    covers.env["TERM"] = "dumb"
    # `terminal` says xterm; NO_COLOR is what a person sets who wants none
    covers.env["NO_COLOR"] = "1"
    assert "\x1b" not in covers.terminal("show", covers.json("find")[0]["guid"]).out
