"""Paths of the mount, read by their form; and what is looked up and listed over a small library."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest

from tagfs.bucket import MS_PER_DAY
from tagfs.store import Store
from tagfs.verbs import tagging, trash
from tagfs.views.directory import (
    Kind,
    NameTooLong,
    read_below_tags,
    read_tag,
    root_directory,
    spell_key,
    spell_tag,
    spell_value,
)
from tagfs.views.tree import child_directory, depends_on, result, uses_clock
from tests.support.mounted import Mounted
from tests.support.stores import Machine, add_files, fast_folder, make_store, say

TAGS = root_directory(tags_only=True)


@pytest.fixture
def machine() -> Machine:
    return Machine(1)


@pytest.fixture
def store(machine: Machine) -> Iterator[Store]:
    with (
        tempfile.TemporaryDirectory(dir=fast_folder()) as folder,
        make_store(os.path.join(folder, "store"), machine) as store,
    ):
        yield store


@pytest.fixture
def mount(store: Store) -> Mounted:
    return Mounted(store)


# -- by form ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind", "query", "name"),
    [
        ("music", Kind.RESULT, "music", ""),
        ("music+flac,mp3+-live", Kind.RESULT, "music+flac,mp3+-live", ""),
        ("music+", Kind.NARROW, "music", ""),
        ("music+flac+", Kind.NARROW, "music+flac", ""),
        ("music+/flac", Kind.RESULT, "music+flac", ""),
        ("music+/flac+/-live", Kind.RESULT, "music+flac+-live", ""),
        ("year=", Kind.VALUES, "", "year"),
        ("music+year=", Kind.VALUES, "music", "year"),
        ("music+/year=", Kind.VALUES, "music", "year"),
        ("year=/1959", Kind.RESULT, "year=1959", ""),
        ("year=/1959,1960", Kind.RESULT, "year=1959,year=1960", ""),
        ("year=/1950..1960+music", Kind.RESULT, "year=1950..1960+music", ""),
        ("year=/19%", Kind.RESULT, "year=19%", ""),
        ("year=/1959+", Kind.NARROW, "year=1959", ""),
        ("music+year=/1959", Kind.RESULT, "music+year=1959", ""),
        ("year=/1959+mood=", Kind.VALUES, "year=1959", "mood"),
        ("a%2Cb=", Kind.VALUES, "", "a,b"),
        ("x=a=", Kind.RESULT, "x=a=", ""),
        ("year=/-5", Kind.RESULT, "year=-5", ""),
        ("-live", Kind.RESULT, "-live", ""),
    ],
)
def test_what_a_path_below_tags_means(path: str, kind: Kind, query: str, name: str) -> None:
    found = TAGS
    for part in path.split("/"):
        child = read_below_tags(found, part)
        assert child is not None
        found = child
    assert (found.kind, found.query, found.name, found.path) == (kind, query, name, path)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", ".git", "+", "++", "music++", "+music", "a,", "=", "+year=", "a,year=", "-year=",
     "size=", "%zz=", "a/b", "\udcff", "a\udcffb", "-", "size", "a\n"],
)  # fmt: skip
def test_what_is_no_query_is_no_directory(name: str) -> None:
    assert read_below_tags(TAGS, name) is None


def test_a_name_longer_than_a_query_may_be_is_refused() -> None:
    assert read_below_tags(TAGS, "x" * 200) is not None
    assert read_below_tags(TAGS, "+".join(["tag"] * 256)) is not None  # 1,023 bytes
    for name in ("x" * 1_025, "ä" * 513, "+".join(["tag"] * 257)):
        with pytest.raises(NameTooLong):
            read_below_tags(TAGS, name)


def test_one_directory_for_each_path_as_spelled() -> None:
    one = read_below_tags(TAGS, "music+flac")
    narrow = read_below_tags(TAGS, "music+")
    assert narrow is not None
    other = read_below_tags(narrow, "flac")
    assert one is not None
    assert other is not None
    assert one != other
    assert one.slots == other.slots
    assert hash(one) != hash(other)


@pytest.mark.parametrize(
    ("query", "plain", "tags", "excluded", "last"),
    [
        ("music", True, ["music"], [], "music"),
        ("music+flac", True, ["music", "flac"], [], "flac"),
        ("music+-live", True, ["music"], ["live"], None),
        ("-live+music", True, ["music"], ["live"], "music"),
        ("-live", False, [], ["live"], None),
        ("music,flac", False, [], [], None),
        ("music,flac+x=1", False, ["x=1"], [], "x=1"),
        ("x=1..2+music", False, ["music"], [], "music"),
        ("music+mu%", False, ["music"], [], None),
        ("ext=flac", False, [], [], None),
        ("music+-a,b", False, ["music"], [], None),
    ],
)
def test_slots_decide_what_can_be_done(
    query: str, plain: bool, tags: list[str], excluded: list[str], last: str | None
) -> None:
    found = read_below_tags(TAGS, query)
    assert found is not None
    assert (found.is_plain, found.tags, found.excluded, found.last_tag) == (plain, tags, excluded, last)


def test_a_single_tag_is_read_from_a_name() -> None:
    assert [read_tag(name) for name in ("a", "k=v", "a%2Fb")] == ["a", "k=v", "a/b"]
    for name in ("-a", "a+b", "a,b", ".a", "k=1..2", "a%", "ext=x", ""):
        assert read_tag(name) is None


def test_spelled_names_lead_back() -> None:
    assert spell_tag("AC/DC, 100%") == "AC%2FDC%2C 100%25"
    assert spell_key("a=b".replace("=", ",")) == "a%2Cb="
    assert spell_value("k", "1..2") == "1%2E%2E2"
    assert spell_value("k", ".5") == "%2E5"
    values = read_below_tags(TAGS, "k=")
    assert values is not None
    for value in ("1..2", ".5", "-5", "a+b", "a,b", "a=b", "%41", "=", "..", "x%", "ü"):
        child = read_below_tags(values, spell_value("k", value))
        assert child is not None
        assert child.tags == [f"k={value}"]


# -- looking up wide ---------------------------------------------------------------


def test_any_legal_query_over_known_tags_resolves(mount: Mounted) -> None:
    add_files(mount.store, "a.flac", tags=["music", "flac", "year=1959"])
    add_files(mount.store, "b.mp3", tags=["music", "mp3"])
    mount.mkdir("tags/holiday")
    for path in (
        "music+flac", "flac+mp3", "music+-flac", "-music", "holiday", "holiday+music", "mus%", "zzz%", "year=1..2",
        "year=1950..1960", "year=..", "year=19%", "ext=flac", "ext=none", "size=1MB..", "added=today", "type=audio",
        "name=a%", "id=0000%", "holds=laptop", "from=%2Fhome%2Fada%2FPictures", "music+ext=flac+-mp3,holiday",
    ):  # fmt: skip
        assert mount.exists(f"tags/{path}"), path
        assert mount.exists(f"tags/{path}+"), path
        assert mount.exists(f"tags/{path}+year="), path
    assert mount.files("tags/music+flac,mp3+-year=1959") == ["b.mp3"]
    assert mount.files("tags/music+/year=/1959") == ["a.flac"]


def test_a_query_with_an_unknown_tag_is_not_there(mount: Mounted) -> None:
    add_files(mount.store, "a.flac", tags=["music", "year=1959"])
    for path in (
        "jazz", "music+jazz", "music,jazz", "music+-jazz", "jazz+", "year=1960", "mood=", "music+mood=", "mood=..",
        "mood=a%", "jazz+year=", "holds=nobody", "size=big", "year=9..1", "type=nonsense", "id=xyz%", "mus", "musics",
    ):  # fmt: skip
        assert not mount.exists(f"tags/{path}"), path


def test_files_have_no_directories(mount: Mounted) -> None:
    add_files(mount.store, "a", tags=["music"])
    for path in ("tags/music", "all", "untagged", "recent", "saved", "trash", "ids", "nodes/laptop", "search/x"):
        assert not mount.exists(f"{path}/music")
        assert not mount.exists(f"{path}/a")


# -- listing narrow ----------------------------------------------------------------


def test_tags_lists_plain_tags_and_keys(mount: Mounted) -> None:
    add_files(mount.store, "a", tags=["music", "AC/DC", "year=1959", "year=1960", "mood=calm", "year"])
    tagging.alias(mount.store, "musik", "music")
    tagging.imply(mount.store, "music", ["sound"])
    assert mount.ls("tags") == ["AC%2FDC", "mood=", "music", "sound", "year", "year="]


def test_tags_without_files_are_listed_only_if_made(mount: Mounted) -> None:
    (guid,) = add_files(mount.store, "a", tags=["music", "year=1959"])
    mount.mkdir("tags/holiday")
    mount.mkdir("tags/mood=calm")
    trash.remove(mount.store, [guid])
    assert mount.ls("tags") == ["holiday", "mood="]
    assert mount.ls("tags/mood=") == ["calm"]
    assert not mount.exists("tags/year=")


def test_a_plus_directory_lists_what_narrows(mount: Mounted) -> None:
    add_files(mount.store, "a", tags=["music", "flac", "year=1959", "all of them"])
    add_files(mount.store, "b", tags=["music", "mp3", "year=1960", "all of them", "jazz"])
    add_files(mount.store, "c", tags=["rome", "year=1970"])
    tagging.imply(mount.store, "jazz", ["swing"])
    assert mount.ls("tags/music+") == ["flac", "jazz", "mp3", "swing", "year="]
    assert mount.ls("tags/music+flac+") == []
    assert mount.ls("tags/music,rome+") == ["all of them", "flac", "jazz", "mp3", "music", "rome", "swing", "year="]
    assert mount.ls("tags/-music+") == []
    for name in mount.ls("tags/music+"):
        assert mount.exists(f"tags/music+/{name}")
        if not name.endswith("="):
            assert 0 < len(mount.files(f"tags/music+/{name}")) < 2


def test_a_key_lists_its_values_in_their_order(mount: Mounted) -> None:
    add_files(mount.store, "a", tags=["music", "year=1959", "year=9", "year=c. 1900", "year=.5"])
    add_files(mount.store, "b", tags=["rome", "year=1970"])
    assert mount.ls("tags/year=") == ["9", "1959", "1970", "%2E5", "c. 1900"]
    assert mount.ls("tags/music+year=") == ["9", "1959", "%2E5", "c. 1900"]
    assert mount.ls("tags/music+/year=") == ["9", "1959", "%2E5", "c. 1900"]
    assert mount.files("tags/year=/c. 1900") == ["a"]
    assert mount.files("tags/year=/%2E5") == ["a"]


def test_listings_end(mount: Mounted) -> None:
    """What a walk over everything meets is finite: no listed directory lists another below the second."""
    add_files(mount.store, "a", tags=["music", "flac", "year=1959"])
    add_files(mount.store, "b", tags=["music", "year=1960"])
    depth = {path: path.count("/") for path in _walk(mount, "")}
    assert max(depth.values()) == 2
    assert "tags/year=/1959" in depth


def _walk(mount: Mounted, path: str) -> list[str]:
    found = [path]
    for name in mount.ls(path):
        found += _walk(mount, f"{path}/{name}" if path else name)
    return found


def test_what_only_another_node_could_call_a_tag_is_not_listed(mount: Mounted) -> None:
    (guid,) = add_files(mount.store, "a", tags=["music"])
    say(mount.store, guid, tag=["-odd", ".odd", "size", "two  ", "e\u0301", "size=1"])
    assert mount.ls("tags") == ["music"]


# -- recent ------------------------------------------------------------------------


def test_recent_shows_the_last_added_or_changed(mount: Mounted, machine: Machine) -> None:
    old = []
    for day in range(30):
        old += add_files(mount.store, *[f"day {day} file {k}" for k in range(10)])
        machine.advance(MS_PER_DAY)
    shown = mount.files("recent")
    assert len(shown) == 200
    assert "day 10 file 0" in shown
    assert "day 9 file 9" not in shown
    say(mount.store, old[0], notes="changed")
    assert "day 0 file 0" in mount.files("recent")
    assert len(mount.files("recent")) == 200
    trash.remove(mount.store, [old[0], old[-1]])
    shown = mount.files("recent")
    assert "day 0 file 0" not in shown
    assert "day 29 file 9" not in shown


def test_recent_of_one_large_addition_is_its_end(mount: Mounted, machine: Machine) -> None:
    add_files(mount.store, *[f"file {k:04}" for k in range(1_500)])
    machine.advance(400 * MS_PER_DAY)
    assert mount.files("recent") == [f"file {k:04}" for k in range(1_300, 1_500)]
    mount.store.rebuild("a test asks for it")
    assert mount.files("recent") == [f"file {k:04}" for k in range(1_300, 1_500)]


def test_recent_of_an_empty_library_is_empty(mount: Mounted) -> None:
    assert mount.files("recent") == []


# -- staleness ---------------------------------------------------------------------


def test_what_makes_a_result_stale(mount: Mounted) -> None:
    add_files(mount.store, "a.flac", tags=["music", "flac", "year=1959"])
    add_files(mount.store, "b.flac")
    mount.save("evening", "music and not flac")
    mount.save("torn", "((")

    def of(path: str) -> frozenset[int] | None:
        return mount.store.read(lambda view: depends_on(view, mount.directory(view, path)))

    assert len(of("tags/music+flac") or ()) == 2
    assert of("tags/music+-flac") == of("tags/music+flac") == of("saved/evening")
    assert len(of("tags/-flac") or ()) == 2  # all files, and those
    assert of("all") == frozenset({0})
    for path in ("untagged", "nodes/laptop", "tags/ext=flac", "tags/year=1959"):
        assert len(of(path) or ()) == 1
    for path in ("tags/year=..", "tags/mus%", "tags/size=1..", "tags/name=a", "recent", "trash", "saved/torn"):
        assert of(path) is None
    for path in ("", "tags", "ids"):
        assert of(path) == frozenset()


def test_time_alone_changes_some_results(mount: Mounted) -> None:
    add_files(mount.store, "a", tags=["music"])
    with mount.store.view() as view:
        for path, moves in (("tags/added=today", True), ("tags/music+modified=7d", True), ("tags/music", False)):
            assert uses_clock(view, mount.directory(view, path), mount.clock) is moves


def test_a_result_is_the_callers_own(mount: Mounted) -> None:
    add_files(mount.store, "a", tags=["music"])
    with mount.store.view() as view:
        for path in ("tags/music", "all", "nodes/laptop", "recent"):
            directory = mount.directory(view, path)
            result(view, directory, mount.clock).clear()
            assert len(result(view, directory, mount.clock)) == 1


def test_names_of_any_bytes_are_looked_up_without_harm(mount: Mounted) -> None:
    add_files(mount.store, "a", tags=["music"])
    with mount.store.view() as view:
        for path in ("", "tags", "saved", "nodes", "search", "ids", "all", "tags/music+", "tags/music"):
            directory = mount.directory(view, path)
            for name in ("\udcff", "\udcc3", "a\n", "\0", "x" * 255, "..", ".", "", "\u202e", "a" * 600):
                child_directory(view, directory, name, mount.clock)
