"""Near matches for words that nothing is called."""

from __future__ import annotations

from tagfs.query.suggest import did_you_mean, files_text, fold, near, slips


def test_slips_count_what_fingers_do() -> None:
    assert slips("jazz", "jazz", 2) == 0
    assert slips("jaz", "jazz", 2) == 1
    assert slips("jzaz", "jazz", 2) == 1
    assert slips("jazz", "rock", 2) == 3  # too many: most + 1


def test_case_and_accents_do_not_count() -> None:
    assert fold("Dvořák") == fold("dvorak")
    assert near("dvorak", [("Dvořák", 3), ("dvorik", 90)])[0] == ("Dvořák", 3)
    assert near("STRASSE", [("Straße", 1)]) == [("Straße", 1)]


def test_closeness_goes_before_the_number_of_files() -> None:
    found = near("jaz", [("jar", 2), ("jazz", 41), ("haz", 900), ("rock", 5000)])
    assert found == [("jazz", 41), ("jar", 2), ("haz", 900)]


def test_a_beginning_finds_the_whole() -> None:
    assert near("favou", [("favourite", 7), ("flavour", 1)])[0] == ("favourite", 7)


def test_nothing_near_is_nothing() -> None:
    assert near("xyzzy", [("jazz", 41)]) == []
    assert near("", [("jazz", 41)]) == []
    assert near("a", [("b", 1)]) == []
    assert did_you_mean([]) == ""


def test_sentences_are_plain() -> None:
    assert did_you_mean(["jazz"]) == "did you mean jazz?"
    assert did_you_mean(["jazz", "jaw"]) == "did you mean jazz or jaw?"
    assert [files_text(n) for n in (0, 1, 41_000)] == ["no files yet", "1 file", "41,000 files"]
