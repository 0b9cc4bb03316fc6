"""Out with `lyts export`, in with `lyts import`: nothing is lost, whatever names, tags and notes are like."""

from __future__ import annotations

import base64
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagfs.check.fsck import fsck
from tagfs.errors import BadTag, LytsError
from tagfs.exchange.bring import Importer
from tagfs.exchange.export import Exporter
from tagfs.exchange.sidecar import xattrs_of
from tagfs.face import face_of
from tagfs.fact import name_is_possible
from tagfs.recovery.safe_names import LAYOUTS
from tagfs.store import Store
from tagfs.tag import check_tag
from tagfs.verbs.add import Adder, Options, Said, Source
from tagfs.verbs.select import living
from tests.support.stores import START_MS, Machine, fast_folder, make_store

ODD = st.sampled_from(
    [
        "CON",
        "..",
        "a:b",
        "a?b",
        "A:B",
        "two\nlines",
        "\u202egpj.exe",
        "Café",
        "Cafe\u0301",
        "x" * 255,
        "'quoted",
        "=1+1",
    ]
)
NAMES = (ODD | st.text(min_size=1, max_size=40)).filter(name_is_possible)


def _possible(text: str) -> bool:
    try:
        return check_tag(text) == text
    except BadTag:
        return False


TAGS = (
    st.sampled_from(["jazz", "year=1959", "artist=AC/DC", "a,b", "50%", "%2C", "a/b", "k=v=w", "x=1..2", "'t", "ﷺ"])
    | st.text(min_size=1, max_size=12).filter(_possible)
)  # fmt: skip
NOTES = st.sampled_from(["", "at the Tiber\nin May", " '=1", "a\0b", "\r\n"]) | st.text(max_size=60)


class Wish(NamedTuple):
    name: str
    tags: list[str]
    notes: str
    content: bytes
    from_folder: str | None
    added_ms: int
    modified_ns: int
    mode: int
    xattr: bytes | None


WISHES = st.builds(
    Wish,
    name=NAMES,
    tags=st.lists(TAGS, max_size=4, unique=True),
    notes=NOTES,
    content=st.sampled_from([b"", b"same", b"other"]),
    from_folder=st.sampled_from([None, "/home/ada", "/home/ada/a:b", "/CON", "/home/Ada"])
    | st.text(min_size=1, max_size=9),
    added_ms=st.integers(START_MS - 10, START_MS - 1),
    modified_ns=st.integers(0, 2_000_000_000_000_000_000),
    mode=st.sampled_from([0o644, 0o600, 0o444]),
    xattr=st.none() | st.binary(max_size=8),
)  # fmt: skip


def fill(store: Store, folder: Path, wishes: list[Wish]) -> None:
    """Make the files that are wished for."""
    folder.mkdir()
    sources = []
    for number, wish in enumerate(wishes):
        path = folder / str(number)
        path.write_bytes(wish.content)
        guid = f"{number:08x}-0000-4000-8000-00000000000{number}"
        xattrs = {} if wish.xattr is None else {"user.test": base64.b64encode(wish.xattr).decode()}
        sha256 = Adder(store, Options())._bring(Source(str(path), ())).taken.sha256  # type: ignore[union-attr]
        said = Said(
            guid, wish.name, None, wish.tags, wish.notes, wish.from_folder, wish.added_ms, wish.modified_ns,
            sha256, wish.mode, xattrs,
        )  # fmt: skip
        sources.append(Source(str(path), (), said))
    for left in os.scandir(store.layout.scratch):
        os.unlink(left.path)
    report = Adder(store, Options(wherever=True, others=[s.said.guid for s in sources])).take_in(sources)  # type: ignore[union-attr, misc]
    assert [one.known for one in report.added] == [False] * len(wishes), report


def faces(store: Store) -> dict[str, Any]:
    """All that a person can see of each file, by GUID."""
    with store.view() as view:
        guids = [view.guid(ordinal) for ordinal in living(view)]
    out = {}
    for state in store.states(guids):
        face = face_of(state, store.node)
        out[state.guid] = (
            face.name, face.tags, face.notes, face.mode, face.size_bytes, face.mtime_ns, face.sha256, face.from_folder,
            face.born_when >> 16, xattrs_of(state),
        )  # fmt: skip
    return out


def export(store: Store, folder: Path, layout: str) -> None:
    with store.view() as view:
        among = living(view)
    done = Exporter(store, among, str(folder), layout).run()
    assert (done.elsewhere, done.trouble, done.stopped) == ([], [], None)


@settings(max_examples=25)
@given(st.lists(WISHES, min_size=1, max_size=6), st.sampled_from(LAYOUTS))
def test_the_round_trip_loses_nothing(wishes: list[Wish], layout: str) -> None:
    with tempfile.TemporaryDirectory(dir=fast_folder()) as name:
        base = Path(name)
        with make_store(base / "one", Machine(1)) as one, make_store(base / "two", Machine(2)) as two:
            fill(one, base / "files", wishes)
            before = faces(one)
            assert len(before) == len(wishes)
            export(one, base / "out", layout)
            done = Importer(two, str(base / "out")).run()
            assert done.report.problems == []
            assert faces(two) == before
            # Again, there and here: nothing changes, no duplicate comes up.
            for store in (one, two):
                again = Importer(store, str(base / "out")).run()
                assert (again.report.action, again.report.problems) == (None, [])
                assert faces(store) == before
                assert fsck(store, deep=True) == []


@settings(max_examples=10)
@given(st.lists(WISHES, min_size=1, max_size=5, unique_by=lambda wish: wish.name.casefold()))
def test_without_its_table_names_tags_and_notes_come_back_from_the_attributes(wishes: list[Wish]) -> None:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        try:
            (base / "probe").touch()
            os.setxattr(base / "probe", "user.test", b"")
        except OSError:
            pytest.skip("this file system has no extended attributes")
        with make_store(base / "one", Machine(1)) as one, make_store(base / "two", Machine(2)) as two:
            # What an attribute of this file system holds is a few kilobytes at most.
            fill(one, base / "files", wishes)
            export(one, base / "out", "flat")
            (base / "out" / "lyts.csv").unlink()
            before = sorted((tuple(tags), notes) for _, tags, notes, *_ in faces(one).values())
            Importer(two, str(base / "out")).run()
            assert sorted((tuple(tags), notes) for _, tags, notes, *_ in faces(two).values()) == before
            assert fsck(two) == []


def test_a_copy_of_the_export_on_a_disk_without_links_and_attributes_is_as_good(tmp_path: Path) -> None:
    wishes = [
        Wish("a.txt", ["x", "y"], "note", b"1", None, START_MS - 5, 10**18, 0o600, b"z"),
        Wish("b.txt", ["x"], "", b"2", None, START_MS - 5, 10**18, 0o644, None),
    ]
    with make_store(tmp_path / "one", Machine(1)) as one, make_store(tmp_path / "two", Machine(2)) as two:
        fill(one, tmp_path / "files", wishes)
        export(one, tmp_path / "out", "tags")
        shutil.copytree(tmp_path / "out", tmp_path / "copy", copy_function=shutil.copyfile)
        for path in (tmp_path / "copy").rglob("*.txt"):
            path.chmod(0o755)
        done = Importer(two, str(tmp_path / "copy")).run()
        assert (len(done.report.added), done.report.problems) == (2, [])
        assert faces(two) == faces(one)


def test_no_table_however_broken_does_harm(rounds: Callable[[int, int], int], tmp_path: Path) -> None:
    wishes = [
        Wish("a.txt", ["x", "y=1"], "a\nnote", b"1", "/home/ada", START_MS - 5, 10**18, 0o600, b"z"),
        Wish("b.txt", [], "", b"22", None, START_MS - 4, 10**18, 0o644, None),
    ]
    with make_store(tmp_path / "one", Machine(1)) as one:
        fill(one, tmp_path / "files", wishes)
        export(one, tmp_path / "out", "tags")
    table = tmp_path / "out" / "lyts.csv"
    whole = table.read_bytes()
    dice = random.Random(3)
    with make_store(tmp_path / "two", Machine(2)) as two:
        for _ in range(rounds(30, 2_000)):
            broken = bytearray(whole)
            for _ in range(dice.randint(1, 5)):
                broken[dice.randrange(len(broken))] = dice.choice(b'",\n\r\0%{}[]/.\xff0=')
            table.write_bytes(broken[: dice.randint(0, len(broken)) if dice.random() < 0.3 else None])
            try:
                Importer(two, str(tmp_path / "out")).run()
            except LytsError:
                pass  # it says what is wrong
        assert fsck(two, deep=True) == []
