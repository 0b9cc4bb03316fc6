"""The shell's lines: words and quotes, numbers, places, what a word of a command is."""

from __future__ import annotations

import pytest

from shell.live.line import at_end, parsed, spelled
from shell.live.numbers import NotListed, chosen, is_numbers
from shell.live.own import LiveRoot, summaries
from shell.live.place import ALL, Place, parts_of, resolved, steps_up
from shell.live.program_words import replaced, selections
from shell.live.roles import read
from shell.live.shape import Shapes


def words(text: str) -> list[list[str]]:
    return [[word.text for word in command.words] for command in parsed(text).commands]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ls", [["ls"]]),
        ("  tag  jazz\t3 ", [["tag", "jazz", "3"]]),
        ("cd music; ls", [["cd", "music"], ["ls"]]),
        ("cd music\nls\n", [["cd", "music"], ["ls"]]),
        (";; ;\n", []),
        ("tag 'rock & roll' \"it's\"", [["tag", "rock & roll", "it's"]]),
        (r"tag rock\ roll a\'b", [["tag", "rock roll", "a'b"]]),
        (r'''"a \" b \\ c \n"''', [[r'a " b \ c \n']]),
        ("a'b'\"c\"d", [["abcd"]]),
        ("tag '' x", [["tag", "", "x"]]),
        ("tag 'a;b' c", [["tag", "a;b", "c"]]),
        ("ls # and a remark; ls", [["ls"]]),
        ("tag c#", [["tag", "c#"]]),
        ("tag a \\\n b", [["tag", "a", "b"]]),
        ("cd year>=1955", [["cd", "year>=1955"]]),
        ("cd (music or live) not jazz", [["cd", "(music", "or", "live)", "not", "jazz"]]),
        ("tag R&B 1", [["tag", "R&B", "1"]]),
    ],
)
def test_words_are_those_people_mean(text: str, expected: list[list[str]]) -> None:
    assert words(text) == expected


def test_what_follows_a_bang_is_for_another_shell_to_the_end_of_the_line() -> None:
    first, second = parsed("  !mpv 3-7; echo 'a\nls").commands
    assert first.program == "mpv 3-7; echo 'a"
    assert [word.text for word in second.words] == ["ls"]


def test_what_follows_a_bar_is_for_another_shell_to_the_next_command() -> None:
    first, second = parsed("ls --long | sort -k2 '-t;' | head; pwd").commands
    assert [word.text for word in first.words] == ["ls", "--long"]
    assert first.into == " sort -k2 '-t;' | head"
    assert [word.text for word in second.words] == ["pwd"]


@pytest.mark.parametrize(("text", "open_quote"), [("tag 'a", "'"), ('tag "a', '"'), ("tag a\\", "\\"), ("tag a", "")])
def test_an_open_quote_is_known(text: str, open_quote: str) -> None:
    assert parsed(text).open == open_quote


@pytest.mark.parametrize(
    ("text", "word", "before"),
    [
        ("", "", []),
        ("ls ", "", ["ls"]),
        ("tag ja", "ja", ["tag"]),
        ("ls; tag ja", "ja", ["tag"]),
        ("tag 'rock &", "rock &", ["tag"]),
        ("tag 'rock' ", "", ["tag", "rock"]),
        ("ls;", "", []),
        ("ls # ja", "", ["ls"]),
    ],
)
def test_what_is_being_typed_is_the_last_word_of_the_last_command(text: str, word: str, before: list[str]) -> None:
    end = at_end(text)
    assert end.word.text == word
    assert [one.text for one in end.before] == before


@pytest.mark.parametrize(
    ("text", "written"),
    [("jazz", "jazz"), ("Blue Kitchen.flac", "'Blue Kitchen.flac'"), ("it's", '"it\'s"'), ("#1", "'#1'"), ("", "''")],
)
def test_a_word_is_written_with_quotes_where_it_needs_them(text: str, written: str) -> None:
    assert spelled(text) == written


# -- numbers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "places"),
    [("3", [2]), ("3-5", [2, 3, 4]), ("2,4", [1, 3]), ("4-", [3, 4, 5]), ("1-2,6", [0, 1, 5]), ("5,1,5", [4, 0])],
)
def test_numbers_are_places_of_the_listing(text: str, places: list[int]) -> None:
    assert is_numbers(text, 6)
    assert chosen(text, 6) == places


@pytest.mark.parametrize("text", ["", "a", "1-a", "-3", "1,", ",1", "1-2-3", "١", "1..3", "9c0f7be1"])
def test_other_words_are_no_numbers(text: str) -> None:
    assert not is_numbers(text, 6)


def test_eight_digits_are_an_id_unless_so_many_are_listed() -> None:
    assert not is_numbers("12345678", 6)
    assert is_numbers("12345678", 20_000_000)


@pytest.mark.parametrize("text", ["0", "7", "5-9", "3-2", "1,7"])
def test_a_number_that_is_not_listed_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(NotListed, match="goes from 1 to 6"):
        chosen(text, 6)


# -- places ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("", []),
        ("music", ["music"]),
        ("music+flac,mp3+-live+year=1955..1965", ["music", "flac,mp3", "-live", "year=1955..1965"]),
        ('music+"rock + roll"', ["music", '"rock + roll"']),
        ('artist="a+b"+x', ['artist="a+b"', "x"]),
        ("music and jazz", ["(music and jazz)"]),
        ("(music or live)", ["(music or live)"]),
        ("(music) or (live)", ["((music) or (live))"]),
        ("music+", ["(music+)"]),
    ],
)
def test_a_query_is_parted_where_cd_can_drop_the_parts(query: str, parts: list[str]) -> None:
    assert parts_of(query) == parts


def test_a_place_is_written_as_it_is_typed() -> None:
    assert Place(("music", "flac")).query == "music+flac"
    assert Place(("music", "(live or jazz)", "x")).query == "music (live or jazz) x"
    assert ALL.query == ""


def test_going_into_and_up() -> None:
    place = Place(("music",)).into("flac+jazz")
    assert place.parts == ("music", "flac", "jazz")
    assert place.into("flac") == place
    assert place.up().query == "music+flac"
    assert place.up(9) == ALL


@pytest.mark.parametrize(
    ("text", "found"),
    [("..", (1, "")), ("../..", (2, "")), ("../", (1, "")), ("..+jazz", (1, "jazz")), ("...", None), ("a", None)],
)
def test_steps_up(text: str, found: tuple[int, str] | None) -> None:
    assert steps_up(text) == found


def test_a_query_that_begins_with_plus_goes_on_from_here() -> None:
    here = Place(("music", "flac"))
    assert resolved(here, "+jazz") == "music+flac+jazz"
    assert resolved(here, "jazz") == "jazz"
    assert resolved(ALL, "+jazz") == "jazz"
    assert resolved(here, "+") == "music+flac"


# -- programs ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("mpv 3-5", ["3-5"]),
        ("mpv *", ["*"]),
        ("wc -c 2 4 | sort > 3", ["2", "4", "3"]),
        ("head -n '5' 3", ["3"]),
        ("head -n5 3", ["3"]),
        ("mpv --fs 3", ["3"]),
        ("echo '3' \"4\" \\5 3x *.txt", []),
        ("prog 2>&1 2", ["2"]),
        ("3 4", ["4"]),
        ("a; 3; b 4", ["4"]),
    ],
)
def test_words_by_themselves_mean_files_and_the_rest_is_left_alone(text: str, meant: list[str]) -> None:
    assert [text[one.start : one.end] for one in selections(text, 6)] == meant


def test_without_a_listing_a_number_is_a_number() -> None:
    assert selections("sleep 5", 0) == []


def test_paths_stand_where_the_words_stood() -> None:
    text = "mpv 1 --loop 2 # x"
    found = selections(text, 3)
    assert replaced(text, [(found[0], "'/a b'"), (found[1], "/c")]) == "mpv '/a b' --loop /c # x"


# -- roles -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("tag jazz 3", ["command", "tags", "target"]),
        ("lyts tag jazz 3", ["command", "command", "tags", "target"]),
        ("tag jazz -q music", ["command", "tags", "", "query"]),
        ("tag jazz -qmusic", ["command", "tags", "query"]),
        ("tag --query=music jazz", ["command", "query", "tags"]),
        ("tag -- -x 3", ["command", "", "tags", "target"]),
        ("tags rename a b", ["command", "command", "tag", "text"]),
        ("tags music", ["command", "query"]),
        ("show notes 3", ["command", "command", "target"]),
        ("show 3 4", ["command", "target", "target"]),
        ("reduce --nodes tablet 3", ["command", "", "nodes", "target"]),
        ("cd music jazz", ["command", "query", "query"]),
        ("nosuch a", ["command", "text"]),
    ],
)
def test_the_part_of_each_word_is_known_from_the_command_itself(text: str, kinds: list[str]) -> None:
    shapes = Shapes(LiveRoot(), summaries())
    (command,) = parsed(text).commands
    assert [role.kind for role in read(command.words, shapes.get).roles] == kinds
