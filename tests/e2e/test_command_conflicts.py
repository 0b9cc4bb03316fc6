"""`lyts conflicts` as a person types it, on one real store that has both versions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from sync import machine
from sync.hands import Hands
from sync.looking import Looked
from sync.machine import Copy, Here, Source
from sync.shelves import Shelves
from tagfs.conflict import copy_guid
from tagfs.fact import Content, Fact, time_text
from tagfs.glossary import NODE_THING
from tagfs.place import node_sets
from tagfs.stamp import make_stamp, ms_of
from tagfs.store import Store
from tests.support.command import Lyts
from tests.support.stores import write_ledger

TABLET = "22222222-0000-4000-8000-000000000002"
BY_LAPTOP, BY_TABLET = b"by the laptop\n", b"by the tablet, longer\n"


def hash_of(data: bytes) -> str:
    return sha256(data).hexdigest()


class Library:
    """A store of the node `laptop`, which knows of `tablet`."""

    def __init__(self, lyts: Lyts) -> None:
        self.lyts = lyts
        self.edits = 0

    def add(self, name: str = "doc.txt", tags: str = "paper") -> str:
        self.lyts.quick("add", "-t", tags, self.lyts.file(name, "first\n"))
        guid: str = self.lyts.json("find", f"name={name}")[0]["guid"]
        return guid

    def place(self, guid: str) -> Path:
        (found,) = self.lyts.store.glob(f"sets/laptop/data/{guid[:2]}/{guid}--*")
        return found

    def edit_here(self, guid: str, data: bytes = BY_LAPTOP) -> None:
        """As a save does it: the bytes, and the fact."""
        place = self.place(guid)
        was = hash_of(place.read_bytes())
        place.write_bytes(data)
        found = place.stat()
        with Store(str(self.lyts.store)) as store:
            content = Content(hash_of(data), found.st_size, time_text(found.st_mtime_ns), was)
            store.act(lambda change: change.about_file(guid, content=content))

    def edit_there(self, guid: str, data: bytes = BY_TABLET) -> None:
        """What the tablet says that it did, without knowing of what was done here."""
        with Store(str(self.lyts.store)) as store:
            state = store.states([guid])[0]
        self.edits += 1
        at = make_stamp(ms_of(state.born) + self.edits << 16, TABLET[:8])
        content = Content(hash_of(data), len(data), "2026-11-22T10:10:56Z", state.contents[state.born].sha256)
        fact = Fact(at=at, by=TABLET, file=guid, content=content)
        write_ledger(str(self.lyts.store), "tablet", [fact], f"{at}.jsonl")

    def meet(self, guid: str, data: bytes = BY_TABLET) -> str:
        """The bytes of the tablet come, as Syncthing brings them, and are dealt with. The GUID of their file."""
        digest = hash_of(data)
        with Store(str(self.lyts.store)) as store:
            store.catch_up_if_behind()
            with store.view() as view:
                labels = {one.nodes: one.label for one in node_sets(view)}
            shelves = Shelves(store.layout, labels)
            (alone,) = labels
            names = {str(store.node): "laptop", TABLET: "tablet"}
            hands = Hands(store, shelves, lambda members: None, lambda: names, lambda: "2026-11-27", lambda path: None)
            place = self.place(guid)
            came = place.with_name(f"{guid}--doc.sync-conflict-20261127-101010-ABCDEFG.txt")
            came.write_bytes(data)
            os.utime(came, ns=(10**18, 10**18))
            looked = Looked(
                Here({alone: Copy(hash_of(place.read_bytes()))}, {(alone, digest): Copy(digest)}),
                {alone: str(place)},
                {(alone, digest): str(came)},
                {},
                {},
                False,
            )
            keep = machine.KeepBoth(Source(digest, alone, is_conflict=True), hash_of(place.read_bytes()))
            state = store.states([guid])[0]
            assert state.made is not None
            hands.carry_out(state, state.made.data, looked, [keep])
            came.unlink()
        return copy_guid(guid, digest)

    def conflict(self, name: str = "doc.txt") -> tuple[str, str]:
        """A file that was edited on both, and the one beside it."""
        guid = self.add(name)
        self.edit_here(guid)
        self.edit_there(guid)
        return guid, self.meet(guid)

    def listed(self) -> list[tuple[str, list[str]]]:
        return [(one["state"], [side["name"] for side in one["versions"]]) for one in self.lyts.json("conflicts")]

    def bytes_of(self, guid: str) -> bytes:
        return self.place(guid).read_bytes()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    lyts = Lyts(tmp_path / "home")
    lyts.quick("init", "--alias", "laptop")
    with Store(str(lyts.store)) as store:

        def introduce(change) -> None:  # type: ignore[no-untyped-def]
            change.unasked = True
            change.about("node", NODE_THING, TABLET, alias="tablet")

        store.act(introduce)
    yield Library(lyts)
    lyts.check()


COPY = "doc (tablet, 2026-11-27).txt"


def test_who_edited_what_where_is_listed_and_shown(library: Library) -> None:
    lyts = library.lyts
    assert "No file was edited on two devices" in lyts.quick("conflicts").err
    guid, copy = library.conflict()
    lyts.quick("add", "-t", "conflict", lyts.file("a quarrel.txt"))  # a person's own tag makes no conflict
    done = lyts.quick("conflicts")
    assert [line.split() for line in done.lines] == [
        [guid[:8], "14", "B", *done.lines[0].split()[3:5], "laptop", "doc.txt"],
        [copy[:8], "22", "B", *done.lines[1].split()[3:5], "tablet", *COPY.split()],
    ]
    assert done.lines == lyts.quick("conflicts", "list").lines
    (one,) = lyts.json("conflicts")
    assert one["state"] == "two files"
    here, there = one["versions"]
    assert (here["guid"], here["name"], here["node"], here["size_bytes"]) == (guid, "doc.txt", "laptop", 14)
    assert (there["guid"], there["name"], there["node"], there["size_bytes"]) == (copy, COPY, "tablet", 22)
    assert (here["sha256"], there["sha256"]) == (hash_of(BY_LAPTOP), hash_of(BY_TABLET))
    assert Path(there["path"]).read_bytes() == BY_TABLET
    assert here["holds"] == there["holds"] == ["laptop"]
    for name in ("doc.txt", COPY, copy[:8]):
        assert lyts.json("conflicts", "show", name) == [one]
        shown = lyts.quick("conflicts", "show", name).out
        for side in (here, there):
            for key in ("guid", "name", "sha256", "path", "node"):
                assert str(side[key]) in shown
    lyts.quick("conflicts", "show", "a quarrel.txt", code=1)


def test_keeping_this_moves_the_other_to_the_trash_and_takes_along_what_it_was_given(library: Library) -> None:
    lyts = library.lyts
    guid, copy = library.conflict()
    lyts.quick("tag", "read,signed", copy)
    lyts.quick("untag", "paper", guid)  # it was made with that tag, and must not bring it back
    lyts.quick("notes", "--set", "the one I sent", copy)
    assert "stays as it is" in lyts.quick("conflicts", "settle", guid, "--keep", "this", "--dry-run").out
    assert library.listed() == [("two files", ["doc.txt", COPY])]
    lyts.quick("conflicts", "settle", "doc.txt", "--keep", "this")
    assert library.listed() == []
    assert lyts.names("") == ["doc.txt"]
    (one,) = lyts.json("show", guid)
    assert (one["tags"], one["notes"]) == (["read", "signed"], "the one I sent")
    assert library.bytes_of(guid) == BY_LAPTOP
    assert [gone["guid"] for gone in lyts.json("trash")] == [copy]
    assert library.bytes_of(copy) == BY_TABLET
    lyts.quick("undo")
    assert library.listed() == [("two files", ["doc.txt", COPY])]
    assert lyts.json("show", guid)[0]["tags"] == []
    assert lyts.json("show", guid)[0]["notes"] == ""


@pytest.mark.parametrize("words", [("doc.txt", "--keep", "other"), (COPY, "--keep", "this")])
def test_keeping_the_other_gives_the_file_its_contents_and_keeps_what_it_had(
    library: Library, words: tuple[str, ...]
) -> None:
    lyts = library.lyts
    guid, copy = library.conflict()
    lyts.quick("rename", "doc.txt", "renamed.txt")
    target = "renamed.txt" if words[0] == "doc.txt" else words[0]
    lyts.quick("conflicts", "settle", target, *words[1:])
    assert library.listed() == []
    assert lyts.names("") == ["renamed.txt"]
    assert library.bytes_of(guid) == BY_TABLET
    kept = {one["sha256"]: one["path"] for one in lyts.json("versions", guid)}
    assert Path(kept[hash_of(BY_LAPTOP)]).read_bytes() == BY_LAPTOP
    assert library.bytes_of(copy) == BY_TABLET
    lyts.quick("undo")
    assert library.bytes_of(guid) == BY_LAPTOP
    assert library.listed() == [("two files", ["renamed.txt", COPY])]
    print(lyts.quick("log", "--json").out)
    lyts.quick("redo")
    assert library.bytes_of(guid) == BY_TABLET
    assert library.listed() == []


def test_keeping_both_leaves_two_files(library: Library) -> None:
    lyts = library.lyts
    guid, copy = library.conflict()
    lyts.quick("tags", "rename", "conflict", "double")
    assert library.listed() == [("two files", ["doc.txt", COPY])]
    lyts.quick("conflicts", "settle", "doc.txt", "--keep", "both")
    assert library.listed() == []
    assert lyts.names("paper") == [COPY, "doc.txt"]
    assert lyts.json("show", copy)[0]["tags"] == ["paper"]
    assert (library.bytes_of(guid), library.bytes_of(copy)) == (BY_LAPTOP, BY_TABLET)
    lyts.quick("undo")
    assert library.listed() == [("two files", ["doc.txt", COPY])]


def test_three_edits_are_settled_together_or_one_by_one(library: Library) -> None:
    lyts = library.lyts
    guid, first = library.conflict()
    library.edit_there(guid, b"by the tablet, once more\n")
    second = library.meet(guid, b"by the tablet, once more\n")
    assert library.listed() == [("two files", ["doc.txt", COPY, COPY])]
    refused = lyts.quick("conflicts", "settle", "doc.txt", "--keep", "other", code=2)
    assert first[:8] in refused.err
    assert second[:8] in refused.err
    refused = lyts.quick("conflicts", "settle", first, guid, "--keep", "this", code=2)
    assert "both versions" in refused.err
    lyts.quick("conflicts", "settle", first, second, "--keep", "this", code=2)
    lyts.quick("conflicts", "settle", second, "--keep", "this")
    assert library.bytes_of(guid) == b"by the tablet, once more\n"
    assert library.listed() == [("two files", ["doc.txt", COPY])]
    lyts.quick("conflicts", "settle", "-q", "conflict", "--keep", "other")
    assert library.listed() == []
    assert library.bytes_of(guid) == b"by the tablet, once more\n"
    assert len(lyts.json("trash")) == 2


def test_all_of_a_query_are_settled_by_one_action(library: Library) -> None:
    lyts = library.lyts
    pairs = [library.conflict(f"doc{number}.txt") for number in range(3)]
    lyts.quick("conflicts", "settle", "-q", "conflict", "--keep", "this")
    assert [library.bytes_of(guid) for guid, _ in pairs] == [BY_TABLET] * 3
    lyts.quick("undo")
    assert [library.bytes_of(guid) for guid, _ in pairs] == [BY_LAPTOP] * 3
    assert len(library.listed()) == 3


def test_versions_that_have_not_met_are_listed_and_not_settled(library: Library) -> None:
    lyts = library.lyts
    guid = library.add()
    library.edit_here(guid)
    library.edit_there(guid)
    (one,) = lyts.json("conflicts")
    assert one["state"] == "not met yet"
    sides = {side["node"]: side for side in one["versions"]}
    assert {side["guid"] for side in one["versions"]} == {guid}
    assert sides["laptop"]["path"] is not None
    assert sides["tablet"]["path"] is None
    assert "tablet" in lyts.quick("conflicts", "show", "doc.txt").err
    assert "not met yet" in lyts.quick("conflicts").out
    assert "have not met" in lyts.quick("conflicts", "settle", "doc.txt", "--keep", "this", code=1).err


def test_a_copy_whose_file_is_gone_is_kept_as_a_file_of_its_own(library: Library) -> None:
    lyts = library.lyts
    _, copy = library.conflict()
    lyts.quick("rm", "doc.txt")
    assert library.listed() == [("alone", [COPY])]
    assert "no other version" in lyts.quick("conflicts", "settle", copy, "--keep", "other", code=1).err
    lyts.quick("conflicts", "settle", copy, "--keep", "this")
    assert library.listed() == []
    assert lyts.names("paper") == [COPY]


def test_bytes_that_are_not_here_are_not_chosen(library: Library) -> None:
    lyts = library.lyts
    guid, copy = library.conflict()
    away = library.place(copy)
    away.rename(library.lyts.home / "away")
    assert "must be on this device" in lyts.quick("conflicts", "settle", copy, "--keep", "this", code=3).err
    assert library.bytes_of(guid) == BY_LAPTOP
    assert library.listed() == [("two files", ["doc.txt", COPY])]
    (library.lyts.home / "away").rename(away)
    lyts.quick("conflicts", "settle", "nothing", "--keep", "this", code=1)
    lyts.quick("conflicts", "settle", "doc.txt", code=2)


def test_two_choices_that_did_not_know_of_each_other_bring_the_copy_back(library: Library) -> None:
    guid, copy = library.conflict()
    library.lyts.quick("conflicts", "settle", "doc.txt", "--keep", "this")
    # The tablet had chosen its own version, so the two contents are apart once more.
    assert library.meet(guid) == copy
    assert library.listed() == [("two files", ["doc.txt", COPY])]
