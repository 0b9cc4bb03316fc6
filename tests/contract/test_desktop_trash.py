"""The trash where desktops look for it: `.Trash-UID`, its names and its notes, without FUSE."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tagfs.bucket import Clock, utc_ms
from tagfs.guid import new_guid
from tagfs.store import Store
from tagfs.verbs import naming, tagging, trash
from tagfs.views import desktop
from tagfs.views.directory import Directory
from tagfs.views.matrix import Refusal
from tagfs.views.names import MAX_NAME_BYTES, ImpossibleName, new_name
from tagfs.views.tree import directory_at, result
from tests.support.mounted import Mounted
from tests.support.stores import Machine, add_files, fast_folder, make_store

FILES, INFO = ".Trash-1000/files", ".Trash-1000/info"


@pytest.fixture
def store() -> Iterator[Store]:
    with (
        tempfile.TemporaryDirectory(dir=fast_folder()) as folder,
        make_store(os.path.join(folder, "store"), Machine(1)) as store,
    ):
        yield store


@pytest.fixture
def mount(store: Store) -> Mounted:
    add_files(store, "both", tags=["music", "flac"])
    add_files(store, "song", tags=["music", "live"])
    add_files(store, "bare")
    trash.remove(store, add_files(store, "gone", tags=["music"]))
    return Mounted(store)


def is_refused(found: object, number: int = errno.EPERM) -> bool:
    return isinstance(found, Refusal) and found.errno == number


def way_back(mount: Mounted, guid: str, origin: str | None = None, *, known: bool = False) -> str:
    """Where the note of a file says that it was."""
    with mount.store.view() as view:
        ordinal = view.ordinal(guid)
        assert ordinal is not None
        directory = None if origin is None else mount.directory(view, origin)
        return desktop.return_path(
            view, mount.root, ordinal, mount.state(guid), directory, mount.clock, lambda directory: known
        )


# -- where it is -----------------------------------------------------------------


@pytest.mark.parametrize("tags_only", [False, True])
def test_the_folder_of_who_mounts_is_found_by_name_and_not_listed(mount: Mounted, tags_only: bool) -> None:
    at = Mounted(mount.store, tags_only)
    assert ".Trash-1000" not in at.ls("")
    assert at.ls(".Trash-1000") == ["files", "info"]
    assert at.ls(FILES) == at.ls(INFO) == []
    assert at.files(FILES) == ["gone"]
    for name in (".Trash", ".Trash-0", ".Trash-01000", ".Trash-1000 ", "files", "info", ".Trash-1000/x", FILES + "/x"):
        assert not at.exists(name), name
    assert not at.exists("all/.Trash-1000")
    assert not at.exists("tags/.Trash-1000")
    assert not at.exists("music/.Trash-1000")


# -- files/ ----------------------------------------------------------------------


def test_mv_into_files_is_the_trash_with_tags_and_the_name_it_had(mount: Mounted) -> None:
    guid = mount.guid("tags/music/both")
    assert mount.mv("tags/music/both", FILES, "both.2") == {"trash": True}
    state = mount.state(guid)
    assert state.is_trashed()
    assert state.tags() == ["flac", "music"]
    assert mount.files("trash") == mount.files(FILES) == ["both", "gone"]


def test_mv_out_of_files_restores(mount: Mounted) -> None:
    guid = mount.guid(f"{FILES}/gone")
    assert mount.mv(f"{FILES}/gone", "tags/music", "gone too") == {"trash": False, "name": "gone too"}
    assert mount.state(guid).tags() == ["music"]
    assert "gone too" in mount.files("tags/music")


def test_mv_from_one_trash_to_the_other_changes_nothing(mount: Mounted) -> None:
    assert mount.mv("trash/gone", FILES, "gone.2") == {}
    assert mount.mv(f"{FILES}/gone", "trash") == {}


def test_nothing_begins_ends_or_is_renamed_in_files(mount: Mounted) -> None:
    """`rm -rf` of the whole mount, and a desktop's "empty trash", lose nothing."""
    assert is_refused(mount.create(f"{FILES}/new"))
    assert is_refused(mount.rm(f"{FILES}/gone"))
    assert is_refused(mount.rename(f"{FILES}/gone", "other"))
    assert is_refused(mount.mkdir(f"{FILES}/folder"))
    assert is_refused(mount.mkdir(".Trash-1000/expunged"))
    assert is_refused(mount.rmdir(FILES))
    assert is_refused(mount.mv_directory("tags/music", f"{FILES}/music"))
    assert mount.files(FILES) == ["gone"]


# -- info/ -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["both.trashinfo", "both.trashinfo.AbC123", "a.trashinfo.trashinfo"])
def test_a_note_may_be_made(mount: Mounted, name: str) -> None:
    # As a statement it would be a file of the library; the adapter keeps it in scratch.
    assert not is_refused(mount.create(f"{INFO}/{name}"))


@pytest.mark.parametrize("name", ["both", ".trashinfo", "both.trashinfo~", "both.trashinfo.AbC1234", "directorysizes"])
def test_nothing_but_notes_is_made_among_notes(mount: Mounted, name: str) -> None:
    assert is_refused(mount.create(f"{INFO}/{name}"))


def test_notes_of_files_in_the_trash_stay(mount: Mounted) -> None:
    guid = mount.guid("trash/gone")
    assert is_refused(mount.rm_file(guid, INFO))
    assert is_refused(mount.rename(f"{INFO}/gone", "x.trashinfo"))
    assert is_refused(mount.mv_file(guid, INFO, "all"))
    assert is_refused(mount.mv("all/song", INFO, "song.trashinfo"))


def test_a_note_leads_back_to_where_the_file_was(mount: Mounted) -> None:
    guid = mount.guid("all/both")
    tagging.tag(mount.store, ["flac"], [mount.guid("all/bare")])
    mount.mv("tags/music/both", FILES)
    for origin in ("tags/music", "tags/music+flac", "tags/music+/flac", "all"):
        assert way_back(mount, guid, origin) == f"{origin}/both"
        folder = way_back(mount, guid, origin).rpartition("/")[0]
        assert not is_refused(mount.mv_file(guid, FILES, folder))
        assert mount.state(guid).tags() == ["flac", "music"]
        assert "both" in mount.files(folder)
        mount.mv_file(guid, folder, FILES)


@pytest.mark.parametrize("origin", [None, "recent", "nodes/laptop", "ids", "tags/flac,music", "trash", FILES])
def test_a_note_leads_to_all_where_no_file_could_be_put_back(mount: Mounted, origin: str | None) -> None:
    guid = mount.guid("trash/gone")
    assert way_back(mount, guid, origin) == "all/gone"


def test_a_directory_that_is_gone_is_no_way_back_unless_it_is_known(mount: Mounted) -> None:
    guid = mount.guid("tags/flac/both")
    mount.mv("tags/flac/both", FILES)
    assert not mount.exists("tags/flac")
    assert way_back(mount, guid, "tags/flac") == "all/both"
    assert way_back(mount, guid, "tags/flac", known=True) == "tags/flac/both"


def test_the_way_back_takes_no_tags_that_came_meanwhile(mount: Mounted) -> None:
    guid = mount.guid("untagged/bare")
    mount.mv("untagged/bare", FILES)
    assert way_back(mount, guid, "untagged") == "untagged/bare"
    tagging.tag(mount.store, ["late"], [guid])
    trash.remove(mount.store, [guid])
    assert way_back(mount, guid, "untagged") == "all/bare"


def test_the_way_back_is_never_the_name_of_a_file_that_is_there(mount: Mounted) -> None:
    (gone,) = add_files(mount.store, "song", tags=["jazz"])
    trash.remove(mount.store, [gone])
    assert way_back(mount, gone, "all") == f"all/song~{gone[:8]}"
    assert way_back(mount, gone) == f"all/song~{gone[:8]}"
    tagging.tag(mount.store, ["jazz"], [mount.guid("all/both")])
    assert way_back(mount, gone, "tags/jazz") == "tags/jazz/song", "its namesake is not there"


def test_in_the_tree_of_tags_alone_a_tag_is_the_way_back(mount: Mounted) -> None:
    alone = Mounted(mount.store, tags_only=True)
    gone = alone.guid(f"{FILES}/gone")
    bare = mount.guid("all/bare")
    mount.mv("all/bare", FILES)
    assert way_back(alone, gone) == "music/gone"
    assert way_back(alone, gone, "music+-live") == "music+-live/gone"
    assert way_back(alone, bare) == "bare", "there is no place for a file without tags"
    (twin,) = add_files(mount.store, "gone", tags=["music"])
    assert way_back(alone, gone) == f"music/gone~{gone[:8]}"
    assert twin != gone


# -- names and notes as text ------------------------------------------------------

guids = st.binary(min_size=16, max_size=16).map(new_guid)
texts = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=260)


@given(texts, guids)
@example("ü" * 127, "1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d")
@example("a" * 251 + ".txt", "1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d")
def test_a_name_in_the_trash_is_possible_and_leaves_room_for_its_note(text: str, guid: str) -> None:
    try:
        name = new_name(text.encode())
    except ImpossibleName:
        return
    found = desktop.trash_name(name, guid)
    assert new_name(found) == found
    note = found + desktop.ENDING
    assert len(note) <= MAX_NAME_BYTES
    assert desktop.is_note(note)
    assert desktop.named_by_note(note) == found


def test_every_file_in_the_trash_has_a_name_that_leads_to_it(store: Store) -> None:
    named = ["report.txt", "report.txt", "r" * 255, "r" * 255, "r" * 254 + "s", "é" * 127, "a~" + "0" * 32, ".hidden"]
    guids = [add_files(store, name)[0] for name in named]
    living = add_files(store, "report.txt")
    trash.remove(store, guids)
    mount = Mounted(store)
    with store.view() as view:
        directory = directory_at(view, mount.root, FILES, mount.clock)
        assert isinstance(directory, Directory)
        files = result(view, directory, mount.clock)
        found = desktop.trash_names(view, files)
        assert sorted(guid for guid, _, _ in found) == sorted(guids)
        assert len({name for _, name, _ in found}) == len(named)
        for guid, name, ordinal in found:
            assert view.ordinal(guid) == ordinal
            assert desktop.by_trash_name(view, files, name) == ordinal
        other = desktop.trash_name(b"report.txt", living[0])
        assert desktop.by_trash_name(view, files, other) is None, "it is not in the trash"
        assert desktop.by_trash_name(view, files, b"report.txt") is None


def test_a_name_in_the_trash_follows_the_name_of_the_file(store: Store) -> None:
    (guid,) = add_files(store, "old")
    naming.rename(store, guid, "new")
    trash.remove(store, [guid])
    with store.view() as view:
        assert view.ordinal(guid) is not None
        assert desktop.trash_name(view.name(0).encode(), guid).startswith(b"new~")


BERLIN = ZoneInfo("Europe/Berlin")


def berlin_ms(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    return int(datetime(year, month, day, hour, minute, second, tzinfo=BERLIN).timestamp() * 1000)


def test_a_note_is_what_the_specification_wants() -> None:
    when_ms = utc_ms(2026, 11, 27, 11, 36, 15) + 999
    found = desktop.note("tags/music/50% Grüße\udcff\n[x]=1", when_ms, Clock(0, utc_ms))
    head, path, date, end = found.split(b"\n")
    assert (head, end) == (b"[Trash Info]", b"")
    assert path == b"Path=tags/music/50%25%20Gr%C3%BC%C3%9Fe%FF%0A%5Bx%5D%3D1"
    assert unquote_to_bytes(path[5:]) == "tags/music/50% Grüße".encode() + b"\xff\n[x]=1"
    assert date == b"DeletionDate=2026-11-27T11:36:15"


@given(st.integers(min_value=0, max_value=4_000_000_000))
@example(int(datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC).timestamp()))
@example(int(datetime(2026, 3, 29, 1, 0, 0, tzinfo=UTC).timestamp()))
@example(int(datetime(2026, 3, 29, 2, 30, 0, tzinfo=UTC).timestamp()))
@example(int(datetime(2026, 10, 25, 0, 30, 0, tzinfo=UTC).timestamp()))
@example(int(datetime(2026, 10, 25, 1, 30, 0, tzinfo=UTC).timestamp()))
def test_the_date_of_a_note_is_local_time(when_s: int) -> None:
    found = desktop.note("x", when_s * 1000, Clock(0, berlin_ms)).decode().split("DeletionDate=")[1].strip()
    expected = datetime.fromtimestamp(when_s, BERLIN).replace(tzinfo=None)
    assert found == expected.replace(fold=0).isoformat()
