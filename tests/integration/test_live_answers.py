"""What the shell's completion and preview are told is what the commands say: real stores, random libraries."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from shell.live import answers as module
from shell.live.answers import Answers, NotWanted
from shell.live.asked import Meant
from shell.live.offers import offers
from shell.live.own import LiveRoot, summaries
from shell.live.place import Place
from shell.live.shape import Shapes
from shell.live.state import State
from tagfs.bucket import Clock, utc_ms
from tagfs.store import Store
from tagfs.verbs.select import matching
from tagfs.verbs.tagging import all_tags, facets, imply, tag
from tests.support.stores import add_files, make_store

TAGS = ["music", "live", "jazz", "folk", "year=1959", "year=1960", "a=b", "rock & roll"]
CLOCK = Clock(0, utc_ms)


def filled(root: Path, seed: int) -> Store:
    dice = random.Random(seed)
    store = make_store(root)
    for number in range(25):
        add_files(
            store, *(f"{number}-{n}.txt" for n in range(dice.randint(1, 9))), tags=dice.sample(TAGS, dice.randint(0, 4))
        )
    add_files(store, "twice.txt", "once.txt", tags=["flak", "flac"])
    store.act(lambda change: change.about_tag("flak", alias=["flac"]))  # as another device says it meanwhile
    imply(store, "jazz", ["music"])
    return store


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("few", [0, 2_000], ids=["kept", "cold"])
def test_tags_and_numbers_are_those_of_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, few: int
) -> None:
    monkeypatch.setattr(module, "FEW_FILES", few)
    with filled(tmp_path / "store", seed) as store, store.view() as view:
        every = [(one.tag, one.files) for one in all_tags(view) if one.files]
        wanted = {
            q: [tuple(one) for one in facets(view, matching(view, q, CLOCK))] for q in ("music", "live,folk", "-jazz")
        }
        totals = {q: len(matching(view, q, CLOCK)) for q in wanted}
    asked = Answers(str(tmp_path / "store"), os.environ)
    assert sorted((one.tag, one.files) for one in asked.tags("")) == sorted(every)
    for query, counts in wanted.items():
        assert [(one.tag, one.files) for one in asked.tags(query)] == counts
        assert asked.total(query) == totals[query]
        assert list(asked.exact(query, [name for name, _ in counts])) == [files for _, files in counts]
    asked.close()


@pytest.mark.parametrize("seed", range(3))
def test_among_many_files_the_same_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    filled(tmp_path / "store", seed).close()
    shapes = Shapes(LiveRoot(), summaries())
    state = State(Place(("music",)))
    lines = ("cd music+", "cd music+j", "+", "tag fl", "untag ", "cd -jazz+l", "ls year=")
    found = []
    for many in (100_000, 1):
        monkeypatch.setattr(module, "MANY_FILES", many)
        asked = Answers(str(tmp_path / "store"), os.environ)
        found.append([sorted(offers(line, state, shapes.get, shapes.summaries, asked)) for line in lines])
        asked.close()
    assert found[0] == found[1]


def test_what_a_command_would_touch(tmp_path: Path) -> None:
    with make_store(tmp_path / "store") as store:
        songs = add_files(store, "a.txt", "b.txt", "c.txt", tags=["music"])
        add_files(store, "twin.txt", tags=["x"])
        add_files(store, "twin.txt", tags=["y"])
        tag(store, ["jazz"], songs[:2])
    asked = Answers(str(tmp_path / "store"), os.environ)
    touched = asked.touched(Meant(("music",), (songs[0],), ("c.txt",)), ["jazz", "nosuch"])
    assert (touched.files, touched.already) == (3, {"jazz": 2, "nosuch": 0})
    assert touched.names == ("a.txt", "b.txt", "c.txt")
    assert asked.touched(Meant(("musik",)), []).trouble == 'no tag "musik"; did you mean music (3 files)?'
    assert asked.touched(Meant((), (), ("twin.txt",)), []).trouble == "2 files are called twin.txt; lyts asks which"
    assert "no file in your library is called" in asked.touched(Meant((), (), ("zzz",)), []).trouble
    asked.close()


def test_names_of_few_and_of_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_store(tmp_path / "store") as store:
        add_files(store, *(f"{word} {n}.txt" for n in range(30) for word in ("song", "Letter")), tags=["all"])
        add_files(store, "song of another tag.txt")
    for few in (2_000, 0):
        monkeypatch.setattr(module, "FEW_FILES", few)
        asked = Answers(str(tmp_path / "store"), os.environ)
        names = [one.name for one in asked.names("song", "all", 10)]
        assert [name for name in names if name.startswith("song")][:10] == [f"song {n}.txt" for n in range(10)]
        assert len(asked.names("song 29", "all", 10)) >= 1
        assert len(asked.names("", "", 5)) >= 5
        asked.close()
    assert "song of another tag.txt" not in names


def test_no_store_no_index_and_no_wish_are_no_errors(tmp_path: Path) -> None:
    nowhere = Answers(str(tmp_path / "none"), os.environ)
    assert (list(nowhere.tags("")), nowhere.total("x"), list(nowhere.names("", "", 5))) == ([], "", [])
    filled(tmp_path / "store", 1).close()
    for path in (tmp_path / "store" / "index").iterdir():
        path.unlink()
    asked = Answers(str(tmp_path / "store"), os.environ)
    assert list(asked.tags("")) == []
    assert not list((tmp_path / "store" / "index").glob("data.mdb"))  # it is not made in passing
    asked.wanted = lambda: False
    with pytest.raises(NotWanted):
        asked.tags("")
    asked.close()


def test_a_command_can_open_the_store_that_was_looked_at(tmp_path: Path) -> None:
    filled(tmp_path / "store", 1).close()
    asked = Answers(str(tmp_path / "store"), os.environ)
    before = asked.total("music")
    assert isinstance(before, int)
    with asked.apart(), Store(str(tmp_path / "store")) as store:
        add_files(store, "new.txt", tags=["music"])
    assert asked.total("music") == before + 1
    asked.close()
