"""What an index of the full text does: whoosh behind our class, and a plain one, find the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tagfs.text import documents, whooshed
from tagfs.text.documents import Document, TextIndex
from tagfs.text.question import read_question
from tagfs.text.whooshed import WhooshIndex
from tests.support.plain_text import PlainIndex


@pytest.fixture(params=["plain", "whoosh"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TextIndex]:
    made: TextIndex = PlainIndex() if request.param == "plain" else WhooshIndex(str(tmp_path / "text"), create=True)
    yield made
    made.close()


def document(
    guid: str, text: str = "", *, name: str = "a.txt", tags: tuple[str, ...] = (), notes: str = ""
) -> Document:
    return Document(guid, b"d" + guid.encode(), name, tags, notes, text)


def put(index: TextIndex, *all_of_them: Document) -> None:
    with index.writing() as writer:
        for one in all_of_them:
            writer.put(one)


def found(index: TextIndex, text: str, limit: int | None = None) -> set[str]:
    question = read_question(text)
    assert question is not None
    return {hit.guid for hit in index.search(question, limit).hits}


LETTERS = (
    document("1", "Red apples and a pear", name="Letter to Jürgen.txt"),
    document("2", "an apple, red wine", tags=("recipe", "year=1959"), notes="from aunt Ömer"),
    document("3", "nothing of the kind", name="apple_pie-final.md"),
    document("4", "東京都に行く getFileName() C++", name="x"),
)


@pytest.mark.parametrize(
    ("asked", "guids"),
    [
        ("apple", {"2", "3"}),
        ("APPLE red", {"2"}),
        ("apple*", {"1", "2", "3"}),
        ("pear or wine", {"1", "2"}),
        ("apple -wine", {"3"}),
        ('"red wine"', {"2"}),
        ('"wine red"', set()),
        ('red -"red wine"', {"1"}),
        ("jurgen", {"1"}),
        ("JÜRGEN", {"1"}),
        ("omer", {"2"}),
        ("notes:aunt", {"2"}),
        ("name:aunt", set()),
        ("tags:recipe", {"2"}),
        ("1959", {"2"}),
        ("pie final", {"3"}),
        ("apple_pie", {"3"}),
        ("東京", {"4"}),
        ("東京都", {"4"}),
        ("京東", set()),
        ("行", {"4"}),
        ("getfilename", {"4"}),
        ("file", {"4"}),
        ("c++", {"4"}),
        ("zebra", set()),
        ("text:apple", {"2"}),
    ],
)
def test_words_are_found(index: TextIndex, asked: str, guids: set[str]) -> None:
    put(index, *LETTERS)
    assert found(index, asked) == guids


def test_what_is_put_again_is_found_by_its_new_words_only(index: TextIndex) -> None:
    put(index, document("1", "old"), document("2", "other"))
    put(index, document("1", "new"))
    assert found(index, "old") == set()
    assert found(index, "new") == {"1"}
    assert index.count() == 2


def test_what_is_dropped_is_found_no_more_and_dropping_the_unknown_does_nothing(index: TextIndex) -> None:
    put(index, document("1", "word"), document("2", "word"))
    with index.writing() as writer:
        writer.drop("1")
        writer.drop("unknown")
    assert found(index, "word") == {"2"}
    assert sorted(index.guids()) == ["2"]
    assert index.digests(["1", "2", "3"]) == {"2": b"d2"}


def test_a_batch_that_fails_changes_nothing_and_the_next_one_works(index: TextIndex) -> None:
    put(index, document("1", "before"))

    def fail() -> None:
        with index.writing() as writer:
            writer.put(document("1", "after"))
            writer.put(document("2", "after"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert found(index, "after") == set()
    assert found(index, "before") == {"1"}
    put(index, document("2", "after"))
    assert found(index, "after") == {"2"}


def test_the_limit_says_whether_there_is_more(index: TextIndex) -> None:
    put(index, *(document(str(n), "word") for n in range(5)))
    question = read_question("word")
    assert question is not None
    assert len(index.search(question, 3).hits) == 3
    assert index.search(question, 3).more
    assert not index.search(question, 5).more
    few = index.search(question, 3, lambda guid: guid in ("1", "4"))
    assert {hit.guid for hit in few.hits} == {"1", "4"}
    assert not few.more


def test_a_word_in_the_name_counts_more_than_one_in_a_long_text(tmp_path: Path) -> None:
    index = WhooshIndex(str(tmp_path / "text"), create=True)
    put(index, document("text", "invoice " + "other words " * 50), document("name", "other", name="invoice.pdf"))
    question = read_question("invoice")
    assert question is not None
    assert [hit.guid for hit in index.search(question, 10).hits] == ["name", "text"]
    index.close()


def test_words_beyond_what_is_kept_are_found_and_phrases_there_are_not_hidden(
    index: TextIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (documents, whooshed):
        monkeypatch.setattr(module, "MOST_KEPT_CHARS", 50)
    put(index, document("1", "word " * 20 + "the very end"))
    assert found(index, "end") == {"1"}
    assert found(index, '"very end"') == {"1"}


def test_odd_texts_are_taken(index: TextIndex) -> None:
    odd = "\ud800 \0 \x1b[31m " + "x" * 5000 + " \U0001f600 \u202e fine"
    put(index, document("1", odd, name=odd, tags=(odd,), notes=odd))
    assert found(index, "fine") == {"1"}


VOCABULARY = ["a", "ab", "abc", "b", "x", "y", "zwei", "drei", "東", "京", "都", "東京", "é", "e", "_", "c++", "1.5"]


@pytest.mark.parametrize("seed", range(3))
def test_whoosh_finds_what_looking_through_everything_finds(
    tmp_path: Path, seed: int, rounds: Callable[[int, int], int]
) -> None:
    dice = random.Random(seed)
    plain, real = PlainIndex(), WhooshIndex(str(tmp_path / "text"), create=True)
    for step in range(rounds(4, 40)):
        batch = [
            document(
                str(dice.randrange(30)),
                " ".join(dice.choices(VOCABULARY, k=dice.randrange(9))),
                name=dice.choice(VOCABULARY),
                tags=tuple(dice.sample(VOCABULARY, dice.randrange(3))),
            )
            for _ in range(12)
        ]
        once = {one.guid: one for one in batch}
        gone = [str(dice.randrange(30)) for _ in range(3)]
        for index in (plain, real):
            with index.writing() as writer:
                for guid in gone:
                    if guid not in once:
                        writer.drop(guid)
                for one in once.values():
                    writer.put(one)
        assert sorted(plain.guids()) == sorted(real.guids())
        for _ in range(25):
            words = dice.choices(VOCABULARY, k=dice.randint(1, 3))
            text = dice.choice(['"{}"', "{}", "{} -b", "{}*", "name:{}", "{} or x"]).format(" ".join(words))
            if read_question(text) is not None:
                assert found(plain, text) == found(real, text), (step, text)
    real.close()
