"""Names of copies that leave the store: safe on every file system, and each once."""

from __future__ import annotations

import pytest

from tagfs.recovery.safe_names import LAYOUTS, Names, folders_of, safe_name, split_name

GUID = "1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d"
OTHER = "1a2b3c4d-9e6f-4a7b-8c9d-0e1f2a3b4c5d"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Blue Kitchen.flac", "Blue Kitchen.flac"),
        ("Café.txt", "Café.txt"),
        ("Cafe\u0301.txt", "Café.txt"),
        ("", "_"),
        (".", "_"),
        ("..", "_"),
        ("a/b\\c:d*e?f\"g<h>i|j", "a_b_c_d_e_f_g_h_i_j"),
        ("two\nlines\tand\0nothing", "two_lines_and_nothing"),
        ("turned\u202egpj.exe", "turned_gpj.exe"),
        ("family 👨‍👩‍👧.jpg", "family 👨‍👩‍👧.jpg"),
        ("می‌خواهم.txt", "می‌خواهم.txt"),
        (" both ends. . ", "both ends"),
        (".bashrc", ".bashrc"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("Com7.tar.gz", "_Com7.tar.gz"),
        ("console.txt", "console.txt"),
        ("x" * 300 + ".jpeg", "x" * 250 + ".jpeg"),
        ("é" * 200, "é" * 127),
    ],
)  # fmt: skip
def test_a_name_is_safe_everywhere_and_stays_as_it_is_when_it_can(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert safe_name(safe) == safe
    assert len(safe.encode()) <= 255


def test_an_extension_is_what_a_person_takes_for_one() -> None:
    assert split_name("a.tar.gz") == ("a.tar", ".gz")
    assert split_name(".bashrc") == (".bashrc", "")
    assert split_name("Mr. Smith") == ("Mr. Smith", "")
    assert split_name("3. a chapter with no extension") == ("3. a chapter with no extension", "")


def test_twins_are_told_apart_by_their_ids_and_the_first_keeps_its_name() -> None:
    names = Names([("a",)])
    assert names.give((), "Song.flac", GUID) == "Song.flac"
    assert names.give((), "song.FLAC", GUID) == "song~1a2b3c4d.FLAC"
    assert names.give((), "SONG.flac", OTHER) == "SONG~1a2b3c4d9e6f.flac"
    assert names.give(("a",), "Song.flac", OTHER) == "Song.flac"
    assert names.give((), "Cafe\u0301", GUID) == "Café"
    assert names.give((), "CAFÉ", GUID) == "CAFÉ~1a2b3c4d"


def test_a_long_name_that_is_told_apart_still_fits() -> None:
    names = Names([])
    first = names.give((), "x" * 300 + ".jpeg", GUID)
    second = names.give((), "x" * 300 + ".jpeg", OTHER)
    assert first != second
    assert second.endswith("~1a2b3c4d.jpeg")
    assert len(second) == 255


def test_no_file_is_called_like_a_folder_or_what_is_reserved() -> None:
    names = Names([("Home", "ada")], reserved=["lyts.csv"])
    assert names.give((), "home", GUID) == "home~1a2b3c4d"
    assert names.give(("Home",), "Ada", GUID) == "Ada~1a2b3c4d"
    assert names.give((), "LYTS.csv", GUID) == "LYTS~1a2b3c4d.csv"


def test_the_folders_of_each_layout() -> None:
    tags, day_ns = ["year=1959", "jazz", "artist=AC/DC"], 1_700_000_000_000_000_000
    assert folders_of("flat", tags, day_ns, "/home/ada") == [()]
    assert folders_of("date", tags, day_ns, "/home/ada") == [("2023", "2023-11")]
    assert folders_of("from", tags, day_ns, "/home/ada/../CON/") == [("home", "ada", "_", "_CON")]
    assert folders_of("tags", tags, day_ns, None) == [("artist=AC_DC",), ("jazz",), ("year=1959",)]
    assert folders_of("tags", ["a:", "a?"], None, None) == [("a_",)]
    assert [folders_of(layout, [], None, None) for layout in LAYOUTS] == [
        [("untagged",)], [()], [("undated",)], [("elsewhere",)]
    ]  # fmt: skip
    assert folders_of("date", [], -(1 << 62), None) == [("1823", "1823-11")]
