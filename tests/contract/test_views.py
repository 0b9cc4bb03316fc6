"""The two tables of the mount, cell by cell, over a real store and without FUSE."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from pyroaring import BitMap

from tagfs.glossary import NODE_THING
from tagfs.store import Store
from tagfs.verbs import naming, tagging, trash
from tagfs.views import attributes
from tagfs.views.brake import Brake
from tagfs.views.directory import HOLDS_FILES, Kind
from tagfs.views.matrix import MATRIX, ON_NAMES, Effect, Operation, Place, Refusal, rule
from tagfs.views.static import static_files
from tagfs.views.tree import child_directory, file_by_id
from tests.support.mounted import Mounted
from tests.support.stores import Machine, add_files, fast_folder, make_store


@pytest.fixture
def store() -> Iterator[Store]:
    with (
        tempfile.TemporaryDirectory(dir=fast_folder()) as folder,
        make_store(os.path.join(folder, "store"), Machine(1)) as store,
    ):
        yield store


@pytest.fixture
def mount(store: Store) -> Mounted:
    """A small library: four files, an alias, an implication, a saved query."""
    add_files(store, "both", tags=["music", "flac", "year=1959"])
    add_files(store, "song", tags=["music", "live", "year=1960"])
    add_files(store, "bare")
    add_files(store, "cool", tags=["jazz", "rome"])
    removed = add_files(store, "gone", tags=["music"])
    tagging.imply(store, "jazz", ["music"])
    tagging.alias(store, "musik", "music")
    trash.remove(store, removed)
    mount = Mounted(store)
    mount.save("evening", "music and not live")
    return mount


def is_refused(found: Any, number: int) -> bool:
    assert isinstance(found, Refusal), found
    assert found.errno == number, found
    assert len(found.sentence) > 20
    assert found.sentence.endswith((".", ")")) or "lyts " in found.sentence
    return True


def tags_of(mount: Mounted, guid: str) -> list[str]:
    return mount.state(guid).tags()


# -- the table "in": create, mv in, rm, mv out -----------------------------------

PLAIN = ("tags/music", "tags/music+flac", "tags/year=1959", "tags/music+-live", "tags/-live+music", "tags/musik")
OTHER = (
    "tags/flac,music", "tags/year=1950..1960", "tags/mus%", "tags/-live", "tags/year=..", "tags/ext=flac",
    "tags/music+year=19%", "tags/size=1MB..",
)  # fmt: skip
SHOWN = ("saved/evening", "search/words", "recent", "nodes/laptop", "ids")
NO_FILES = ("", "tags", "tags/music+", "tags/year=", "tags/music+year=", "search", "saved", "nodes", ".Trash-1000")


@pytest.mark.parametrize(
    ("path", "tags"),
    [
        ("tags/music", ["music"]),
        ("tags/music+flac", ["flac", "music"]),
        ("tags/year=1959", ["year=1959"]),
        ("tags/music+-live", ["music"]),
        ("tags/-live+music", ["music"]),
        ("tags/musik", ["music"]),
        ("tags/music+/flac", ["flac", "music"]),
        ("tags/year=/1959", ["year=1959"]),
        ("tags/music+year=/1959", ["music", "year=1959"]),
        ("all", []),
        ("untagged", []),
    ],
)
def test_create_gives_the_positive_tags_of_the_path(mount: Mounted, path: str, tags: list[str]) -> None:
    guid = mount.create(f"{path}/new")
    assert isinstance(guid, str)
    assert tags_of(mount, guid) == tags
    assert "new" in mount.files(path)


@pytest.mark.parametrize(
    ("path", "number"),
    [
        *((path, errno.EROFS) for path in OTHER),
        *((path, errno.EPERM) for path in (*SHOWN, *NO_FILES, "trash")),
    ],
)
def test_create_is_refused_where_no_tags_follow_from_the_path(mount: Mounted, path: str, number: int) -> None:
    assert is_refused(mount.create(f"{path}/new"), number)


def test_create_is_refused_where_the_file_would_not_be_shown(mount: Mounted) -> None:
    assert is_refused(mount.create("tags/jazz+-music/new"), errno.EPERM)
    assert is_refused(mount.create("tags/music+-music/new"), errno.EPERM)


@pytest.mark.parametrize(
    ("source", "target", "tags"),
    [
        ("tags/music+flac/both", "tags/music+live", ["live", "music", "year=1959"]),
        ("tags/flac/both", "tags/rome", ["music", "rome", "year=1959"]),
        ("tags/music/song", "tags/music+-live", ["music", "year=1960"]),
        ("tags/musik/song", "tags/rome", ["live", "rome", "year=1960"]),
        ("tags/year=1959/both", "tags/year=1960", ["flac", "music", "year=1960"]),
        ("tags/music/both", "tags/jazz", ["flac", "jazz", "music", "year=1959"]),  # jazz implies what it came from
        ("untagged/bare", "tags/music+flac", ["flac", "music"]),
        ("all/song", "tags/rome", ["live", "music", "rome", "year=1960"]),
        ("tags/music+flac/both", "all", ["year=1959"]),
        ("tags/music/both", "untagged", []),
        ("all/both", "untagged", []),
        ("tags/live/song", "trash", ["live", "music", "year=1960"]),
        ("trash/gone", "all", ["music"]),
        ("trash/gone", "tags/rome", ["music", "rome"]),
        ("trash/gone", "untagged", []),
        ("saved/evening/both", "tags/rome", ["flac", "music", "rome", "year=1959"]),
        ("recent/bare", "tags/rome", ["rome"]),
        ("nodes/laptop/bare", "tags/rome", ["rome"]),
        ("tags/year=1950..1960+music/both", "tags/rome", ["flac", "rome", "year=1959"]),
        ("tags/music+-live/both", "tags/rome", ["flac", "rome", "year=1959"]),
    ],
)
def test_mv_retags_and_the_file_stays_the_same(mount: Mounted, source: str, target: str, tags: list[str]) -> None:
    guid = mount.guid(source)
    assert not isinstance(mount.mv(source, target), Refusal)
    state = mount.state(guid)
    assert state.tags() == tags
    assert state.is_trashed() == (target == "trash")
    assert mount.guid(f"{target}/{source.rpartition('/')[2]}") == guid


@pytest.mark.parametrize(
    ("target", "number"),
    [
        *((path, errno.EROFS) for path in OTHER),
        *((path, errno.EPERM) for path in (*SHOWN, *NO_FILES)),
    ],
)
def test_mv_in_is_refused_where_create_is(mount: Mounted, target: str, number: int) -> None:
    for source in ("all/both", "trash/gone", "tags/music/both"):
        assert is_refused(mount.mv(source, target), number)


def test_mv_to_the_trash_keeps_tags_and_mv_out_restores(mount: Mounted) -> None:
    guid = mount.guid("tags/music/both")
    mount.mv("tags/music/both", "trash")
    assert "both" not in mount.files("all")
    assert "both" in mount.files("trash")
    mount.mv("trash/both", "all")
    assert tags_of(mount, guid) == ["flac", "music", "year=1959"]
    assert "both" in mount.files("tags/music+flac")


def test_a_directory_outlives_the_tag_that_its_last_file_lost(mount: Mounted) -> None:
    mount.mv("tags/live/song", "tags/music+-live")
    assert not mount.exists("tags/music+-live")  # for who comes now: there is no tag live
    assert "song" in mount.files("tags/music+-live")  # for who is in there
    mount.rm("tags/flac/both")
    assert mount.files("tags/flac") == []
    mount.create("tags/flac/new")
    assert mount.exists("tags/flac")


def test_mv_gives_another_name_as_well(mount: Mounted) -> None:
    guid = mount.guid("tags/music/both")
    mount.mv("tags/music/both", "tags/rome", "Cafe\u0301")
    assert mount.guid("tags/rome/Café") == guid
    assert is_refused(mount.mv("tags/rome/Café", "tags/music", "x" * 256), errno.ENAMETOOLONG)
    assert is_refused(mount.mv("tags/rome/Café", "tags/music", "\udcff"), errno.EILSEQ)


def test_mv_from_ids_keeps_the_name(mount: Mounted) -> None:
    guid = mount.guid("tags/music/both")
    mount.mv_file(guid, "ids", "tags/rome", guid[:8])
    assert mount.files("tags/rome") == ["both", "cool"]
    mount.mv_file(guid, "ids", "tags/live", "other")
    assert "other" in mount.files("tags/live")


def test_mv_is_refused_where_an_implied_tag_keeps_the_file_or_excludes_it(mount: Mounted) -> None:
    for target in ("tags/rome", "all"):
        found = mount.mv("tags/music/cool", target)
        assert is_refused(found, errno.EPERM)
        assert "jazz" in found.sentence
    assert is_refused(mount.mv("all/cool", "tags/flac+-music"), errno.EPERM)
    assert mount.files("tags/jazz") == ["cool"]


def test_mv_out_of_a_choice_needs_a_single_tag_at_the_end(mount: Mounted) -> None:
    for source in ("tags/flac,rome/both", "tags/music+year=1950../both", "tags/-live/both"):
        assert is_refused(mount.mv(source, "tags/rome"), errno.EPERM)


@pytest.mark.parametrize(
    ("path", "tags"),
    [
        ("tags/music+flac/both", ["music", "year=1959"]),
        ("tags/flac+music/both", ["flac", "year=1959"]),
        ("tags/year=1959/both", ["flac", "music"]),
        ("tags/musik/both", ["flac", "year=1959"]),
        ("tags/-live+music/both", ["flac", "year=1959"]),
        ("tags/flac,live+music/both", ["flac", "year=1959"]),
        ("tags/year=1950..1960+flac/both", ["music", "year=1959"]),
    ],
)
def test_rm_takes_off_the_tag_of_the_last_part(mount: Mounted, path: str, tags: list[str]) -> None:
    guid = mount.guid(path)
    assert not isinstance(mount.rm(path), Refusal)
    assert tags_of(mount, guid) == tags
    assert not mount.state(guid).is_trashed()
    assert "both" not in mount.files(path.rpartition("/")[0])


@pytest.mark.parametrize(
    "path",
    [
        "tags/music+-live/both",
        "tags/flac,live/both",
        "tags/music+year=1950../both",
        "tags/mus%/both",
        "tags/-live/both",
        "tags/name=both/both",
        "saved/evening/both",
        "recent/both",
        "nodes/laptop/both",
        "trash/gone",
    ],
)
def test_rm_is_refused_where_no_tag_could_go(mount: Mounted, path: str) -> None:
    guid = mount.guid(path)
    before = mount.state(guid)
    assert is_refused(mount.rm(path), errno.EPERM)
    assert mount.state(guid) == before


def test_rm_of_a_file_found_by_its_identity_is_refused(mount: Mounted) -> None:
    assert is_refused(mount.rm_file(mount.guid("all/both"), "ids"), errno.EPERM)
    assert is_refused(mount.rm_file(mount.guid("all/both"), "search/words"), errno.EPERM)


def test_rm_of_the_last_tag_leaves_the_file_untagged(mount: Mounted) -> None:
    add_files(mount.store, "one", tags=["lonely"])
    mount.rm("tags/lonely/one")
    assert "one" in mount.files("untagged")
    assert not mount.exists("tags/lonely")


def test_rm_in_all_and_untagged_goes_to_the_trash(mount: Mounted) -> None:
    mount.rm("all/both")
    mount.rm("untagged/bare")
    assert mount.files("trash") == ["bare", "both", "gone"]
    assert tags_of(mount, mount.guid("trash/both")) == ["flac", "music", "year=1959"]


def test_emptying_the_trash_is_a_command(mount: Mounted) -> None:
    """`rm -rf MOUNT/*` visits all/, and then trash/: everything must still be there."""
    names = mount.files("all")
    for name in names:
        mount.rm(f"all/{name}")
    for name in mount.files("trash"):
        assert is_refused(mount.rm(f"trash/{name}"), errno.EPERM)
    assert mount.files("trash") == sorted([*names, "gone"])


def test_rm_of_a_file_that_would_still_match_names_what_keeps_it(mount: Mounted) -> None:
    found = mount.rm("tags/music/cool")
    assert is_refused(found, errno.EPERM)
    assert "its tag jazz implies it" in found.sentence
    assert "lyts why" in found.sentence
    # Its own tag beside the implied one changes nothing about that.
    tagging.tag(mount.store, ["music"], [mount.guid("tags/jazz/cool")])
    assert is_refused(mount.rm("tags/music/cool"), errno.EPERM)
    mount.rm("tags/jazz/cool")
    assert not isinstance(mount.rm("tags/music/cool"), Refusal)


def test_rm_takes_every_spelling_of_the_tag(mount: Mounted) -> None:
    guid = mount.guid("tags/music/both")
    mount.store.act(lambda change: change.about_file(guid, tag=["musik"]))
    mount.rm("tags/music/both")
    assert tags_of(mount, guid) == ["flac", "year=1959"]


def test_a_file_made_and_removed_within_the_hour_goes_to_the_trash(mount: Mounted) -> None:
    for folder in ("tags/music+flac", "tags/music+-live"):
        guid = mount.create(f"{folder}/scratch")
        assert isinstance(guid, str)
        mount.rm(f"{folder}/scratch", fresh=True)
        assert mount.state(guid).is_trashed()
        assert mount.state(guid).tags()
    # One that got a tag from elsewhere is somebody's by now.
    guid = mount.create("tags/music/kept")
    mount.ln("tags/music/kept", "tags/rome")
    mount.rm("tags/music/kept", fresh=True)
    assert "kept" in mount.files("tags/rome")


# -- the brake ----------------------------------------------------------------


def test_more_than_50_removals_in_a_minute_by_one_process_are_refused() -> None:
    brake = Brake()
    assert all(brake.refuse(7, now) is None for now in range(50))
    found = brake.refuse(7, 50)
    assert is_refused(found, errno.EPERM)
    assert found is not None
    assert "lyts rm" in found.sentence
    assert brake.refuse(8, 50) is None


def test_a_process_that_keeps_trying_stays_stopped_and_one_that_pauses_goes_on() -> None:
    brake = Brake()
    now = 0
    for _ in range(50):
        assert brake.refuse(7, now) is None
    for now in range(1_000, 300_000, 1_000):
        assert brake.refuse(7, now) is not None
    assert all(brake.refuse(7, now + 60_000) is None for _ in range(50))
    assert brake.refuse(7, now + 60_000) is not None


def test_slow_removals_never_meet_the_brake() -> None:
    brake = Brake()
    assert all(brake.refuse(7, k * 1_201) is None for k in range(500))


def test_the_brake_forgets_processes_that_are_quiet() -> None:
    brake = Brake()
    for process in range(2_000):
        assert brake.refuse(process, process * 1_000) is None
    assert len(brake._removed) < 400


# -- the table of operations ----------------------------------------------------


def test_mkdir_makes_a_tag(mount: Mounted) -> None:
    for name, tag in (("holiday", "holiday"), ("mood=calm", "mood=calm"), ("a%2Cb", "a,b")):
        assert not isinstance(mount.mkdir(f"tags/{name}"), Refusal)
        assert mount.store.read(lambda view, tag=tag: view.is_tag(tag))
        assert mount.exists(f"tags/{name}")
        assert mount.files(f"tags/{name}") == []
    assert {"holiday", "mood=", "a%2Cb"} <= set(mount.ls("tags"))


def test_mkdir_of_what_is_there_is_eexist(mount: Mounted) -> None:
    mount.mkdir("tags/holiday")
    for name in ("holiday", "music", "musik", "year=1959"):
        assert is_refused(mount.mkdir(f"tags/{name}"), errno.EEXIST)


@pytest.mark.parametrize(
    "path",
    [
        *(f"tags/{name}" for name in ("a+b", "a,b", "-a", ".a", "year=", "year=1..2", "size", "name=x", "%")),
        *(f"{folder}/x" for folder in ("all", "tags/music", "tags/music+", "tags/year=", "saved", "trash")),
        "x",
    ],
)
def test_mkdir_elsewhere_or_of_no_single_tag_is_refused(mount: Mounted, path: str) -> None:
    assert is_refused(mount.mkdir(path), errno.EPERM)


def test_rmdir_of_a_tag_with_files_is_enotempty(mount: Mounted) -> None:
    for name in ("flac", "music", "year=1959"):
        assert is_refused(mount.rmdir(f"tags/{name}"), errno.ENOTEMPTY)


def test_rmdir_of_a_tag_without_files_forgets_it(mount: Mounted) -> None:
    mount.mkdir("tags/holiday")
    mount.rmdir("tags/holiday")
    assert not mount.exists("tags/holiday")
    assert "holiday" not in mount.ls("tags")


def test_rm_r_of_a_tag_untags_and_then_removes_it(mount: Mounted) -> None:
    mount.mkdir("tags/draft")
    mount.ln("all/both", "tags/draft")
    for name in mount.files("tags/draft"):
        mount.rm(f"tags/draft/{name}")
    mount.rmdir("tags/draft")
    assert not mount.exists("tags/draft")
    assert "both" in mount.files("tags/music")


def test_rmdir_forgets_a_tag_that_others_imply_and_its_other_names(mount: Mounted) -> None:
    mount.mkdir("tags/upper")
    mount.mkdir("tags/lower")
    tagging.imply(mount.store, "lower", ["upper"])
    tagging.alias(mount.store, "high", "upper")
    mount.rmdir("tags/upper")
    assert not mount.exists("tags/upper")
    assert not mount.exists("tags/high")
    assert mount.exists("tags/lower")
    mount.rmdir("tags/lower")
    assert not mount.exists("tags/lower")


def test_rmdir_of_a_saved_query_forgets_it(mount: Mounted) -> None:
    mount.rmdir("saved/evening")
    assert mount.ls("saved") == []
    assert not mount.exists("saved/evening")
    assert "both" in mount.files("all")


@pytest.mark.parametrize(
    "path", ["tags", "all", "trash", "tags/music+flac", "tags/music+", "tags/year=", "tags/musik", "nodes/laptop"]
)
def test_rmdir_elsewhere_is_refused(mount: Mounted, path: str) -> None:
    assert is_refused(mount.rmdir(path), errno.EPERM)


def test_rename_of_a_tag_directory_renames_the_tag_everywhere(mount: Mounted) -> None:
    mount.mv_directory("tags/rome", "tags/Roma")
    assert mount.files("tags/Roma") == ["cool"]
    assert "Roma" in mount.ls("tags")
    assert "rome" not in mount.ls("tags")
    mount.mv_directory("tags/Roma", "tags/rome")  # and back
    assert "rome" in mount.ls("tags")
    mount.mv_directory("tags/year=1959", "tags/year=1958")
    assert mount.files("tags/year=1958") == ["both"]


def test_rename_of_an_empty_tag_keeps_it_listed(mount: Mounted) -> None:
    mount.mkdir("tags/holiday")
    mount.mv_directory("tags/holiday", "tags/vacation")
    assert "vacation" in mount.ls("tags")
    assert "holiday" not in mount.ls("tags")


def test_rename_onto_an_existing_tag_is_enotempty(mount: Mounted) -> None:
    mount.mkdir("tags/empty")
    for to in ("tags/music", "tags/musik", "tags/empty"):
        found = mount.mv_directory("tags/rome", to)
        assert is_refused(found, errno.ENOTEMPTY)
        assert "lyts tags merge" in found.sentence


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("tags/rome", "tags/music/rome"),  # what mv tries after ENOTEMPTY
        ("tags/rome", "all/rome"),
        ("tags/music+flac", "tags/x"),
        ("tags/rome", "tags/a+b"),
        ("tags/rome", "tags/.x"),
        ("tags/musik", "tags/x"),
        ("tags/year=", "tags/jahr="),
        ("tags/year=/1959", "tags/year=1958"),
        ("saved/evening", "saved/night"),
        ("all", "everything"),
    ],
)
def test_rename_of_other_directories_is_refused(mount: Mounted, path: str, to: str) -> None:
    assert is_refused(mount.mv_directory(path, to), errno.EPERM)


@pytest.mark.parametrize("operation", [Operation.LINK, Operation.SYMLINK])
def test_ln_into_a_result_adds_its_tags(mount: Mounted, operation: Operation) -> None:
    guid = mount.guid("all/both")
    mount.ln("all/both", "tags/rome+live", operation=operation)
    assert tags_of(mount, guid) == ["flac", "live", "music", "rome", "year=1959"]
    mount.ln("all/both", "tags/musik", operation=operation)
    assert tags_of(mount, guid) == ["flac", "live", "music", "rome", "year=1959"]


@pytest.mark.parametrize("operation", [Operation.LINK, Operation.SYMLINK])
def test_ln_elsewhere_or_under_another_name_is_refused(mount: Mounted, operation: Operation) -> None:
    assert is_refused(mount.ln("all/both", "tags/rome", "other", operation), errno.EPERM)
    assert is_refused(mount.ln("trash/gone", "tags/rome", None, operation), errno.EPERM)
    assert is_refused(mount.ln("all/song", "tags/music+-live", None, operation), errno.EPERM)
    for folder in OTHER:
        assert is_refused(mount.ln("all/both", folder, None, operation), errno.EROFS)
    for folder in (*SHOWN, *NO_FILES, "all", "untagged", "trash"):
        assert is_refused(mount.ln("all/both", folder, None, operation), errno.EPERM)


@pytest.mark.parametrize(
    "folder", ["tags/music", "tags/flac,live", "all", "recent", "saved/evening", "nodes/laptop"]
)  # fmt: skip
def test_rename_in_its_directory_changes_the_name(mount: Mounted, folder: str) -> None:
    guid = mount.guid("all/both")
    assert mount.rename(f"{folder}/both", "Two") == {"name": "Two"}
    assert mount.guid(f"{folder}/Two") == guid
    assert tags_of(mount, guid) == ["flac", "music", "year=1959"]
    assert is_refused(mount.rename(f"{folder}/Two", "x" * 256), errno.ENAMETOOLONG)


def test_rename_in_the_trash_is_refused(mount: Mounted) -> None:
    assert is_refused(mount.rename("trash/gone", "other"), errno.EPERM)


def test_chmod_and_utimens_are_kept_in_the_face(mount: Mounted) -> None:
    state = mount.state(mount.guid("all/both"))
    assert attributes.on_chmod(state, 0o100755) == {"mode": 0o755}
    assert attributes.on_utimens(state, 1_500_000_000) == {"modified": "1970-01-01T00:00:01.5Z"}
    assert attributes.on_utimens(state, None) == {}
    far = attributes.on_utimens(state, 1 << 80)
    assert not isinstance(far, Refusal)
    guid = mount.guid("all/both")
    mount.store.act(lambda change: change.about_file(guid, **far))


def test_chown_to_others_is_refused(mount: Mounted) -> None:
    assert attributes.on_chown(None, None, (1000, 1000)) is None
    assert attributes.on_chown(1000, 1000, (1000, 1000)) is None
    assert is_refused(attributes.on_chown(0, None, (1000, 1000)), errno.EPERM)
    assert is_refused(attributes.on_chown(None, 5, (1000, 1000)), errno.EPERM)


def test_chmod_utimens_and_chown_of_a_directory_are_accepted_and_forgotten() -> None:
    for operation in (Operation.CHMOD, Operation.UTIMENS, Operation.CHOWN):
        assert rule(Place.DIRECTORY, operation) is Effect.FORGET


def test_system_and_security_attributes_are_not_supported_for_reading_and_setting(mount: Mounted) -> None:
    guid = mount.guid("all/both")
    for name in ("system.posix_acl_access", "security.capability", "security.selinux", "trusted.x", "nonsense"):
        assert is_refused(mount.getfattr(guid, name), errno.EOPNOTSUPP)
        assert is_refused(mount.setfattr(guid, name, b"x"), errno.EOPNOTSUPP)
        assert is_refused(mount.rmfattr(guid, name), errno.EOPNOTSUPP)


def test_xdg_tags_are_the_own_tags(mount: Mounted) -> None:
    guid = mount.guid("all/cool")
    assert mount.getfattr(guid, "user.xdg.tags") == b"jazz,rome"  # not music, which is implied
    mount.setfattr(guid, "user.xdg.tags", b" musik , Places/Rome ,,artist=AC/DC, rome")
    assert tags_of(mount, guid) == ["Places", "Rome", "artist=AC/DC", "music", "rome"]
    mount.setfattr(guid, "user.xdg.tags", b"late", adds=True)
    assert "late" in tags_of(mount, guid)
    assert "rome" in tags_of(mount, guid)
    mount.setfattr(guid, "user.xdg.tags", b"")
    assert "cool" in mount.files("untagged")
    assert is_refused(mount.getfattr(guid, "user.xdg.tags"), errno.ENODATA)


def test_xdg_tags_that_can_be_no_tags_are_refused_whole(mount: Mounted) -> None:
    guid = mount.guid("all/cool")
    for value in (b"fine,-bad", b"fine,size", b"\xff", b"a/b=c", b"x" * 201):
        assert is_refused(mount.setfattr(guid, "user.xdg.tags", value), errno.EINVAL)
    assert tags_of(mount, guid) == ["jazz", "rome"]


def test_comment_is_the_notes(mount: Mounted) -> None:
    guid = mount.guid("all/cool")
    assert is_refused(mount.getfattr(guid, "user.xdg.comment"), errno.ENODATA)
    mount.setfattr(guid, "user.xdg.comment", "schön".encode())
    assert mount.getfattr(guid, "user.xdg.comment") == "schön".encode()
    naming.set_notes(mount.store, [guid], "other")
    assert mount.getfattr(guid, "user.xdg.comment") == b"other"
    assert is_refused(mount.setfattr(guid, "user.xdg.comment", bytes(300_000)), errno.E2BIG)
    mount.rmfattr(guid, "user.xdg.comment")
    assert is_refused(mount.getfattr(guid, "user.xdg.comment"), errno.ENODATA)


def test_identity_and_holders_can_be_read_only(mount: Mounted) -> None:
    guid = mount.guid("all/cool")
    assert mount.getfattr(guid, "user.lyts.id") == guid.encode()
    assert mount.getfattr(guid, "user.lyts.holds") == b"laptop"
    for name in ("user.lyts.id", "user.lyts.holds", "user.lyts.other"):
        assert is_refused(mount.setfattr(guid, name, b"x"), errno.EPERM)
        assert is_refused(mount.rmfattr(guid, name), errno.EPERM)


def test_other_user_attributes_are_kept_and_unknown_ones_are_enodata(mount: Mounted) -> None:
    guid = mount.guid("all/cool")
    assert is_refused(mount.getfattr(guid, "user.mime"), errno.ENODATA)
    assert is_refused(mount.rmfattr(guid, "user.mime"), errno.ENODATA)
    mount.setfattr(guid, "user.mime", b"\0\xff binary")
    mount.setfattr(guid, "user.empty", b"")
    assert mount.getfattr(guid, "user.mime") == b"\0\xff binary"
    assert mount.getfattr(guid, "user.empty") == b""
    assert attributes.list_xattrs(mount.state(guid)) == ["user.xdg.tags", "user.empty", "user.mime"]
    mount.rmfattr(guid, "user.mime")
    assert is_refused(mount.getfattr(guid, "user.mime"), errno.ENODATA)
    assert is_refused(mount.setfattr(guid, "user.big", bytes(70_000)), errno.E2BIG)
    for k in range(4):
        mount.setfattr(guid, f"user.n{k}", bytes(64 << 10))
    assert is_refused(mount.setfattr(guid, "user.more", bytes(64 << 10)), errno.ENOSPC)


def test_files_in_the_trash_are_neither_written_nor_tagged(mount: Mounted) -> None:
    guid = mount.guid("trash/gone")
    place = attributes.place_of_file(mount.state(guid))
    assert place is Place.TRASHED_FILE
    assert is_refused(rule(place, Operation.WRITE), errno.EPERM)
    assert is_refused(mount.setfattr(guid, "user.xdg.tags", b"x"), errno.EPERM)
    assert is_refused(mount.rmfattr(guid, "user.xdg.tags"), errno.EPERM)
    assert mount.getfattr(guid, "user.xdg.tags") == b"music"
    assert mount.state(guid).is_trashed()


# -- the tables as data ----------------------------------------------------------


def test_every_directory_has_a_rule_for_every_operation_on_names() -> None:
    for kind in Kind:
        assert set(ON_NAMES) == set(MATRIX[Place[kind.name]])


def test_no_rule_answers_what_the_mount_never_answers() -> None:
    """EXDEV makes mv copy and delete; ENOSYS makes the kernel never ask again."""
    allowed = {errno.EPERM, errno.EROFS, errno.EISDIR}
    found = [one for rules in MATRIX.values() for one in rules.values() if isinstance(one, Refusal)]
    assert {one.errno for one in found} <= allowed
    assert all(one.sentence[0].isupper() for one in found)


def test_what_is_in_no_table_is_eperm() -> None:
    assert is_refused(rule(Place.FILE, Operation.MKDIR), errno.EPERM)


def test_files_and_tags_never_share_a_directory(mount: Mounted) -> None:
    for path in ("", "tags", "all", "untagged", "ids", "tags/music", "trash", *SHOWN, *OTHER, *NO_FILES):
        directory = mount.store.read(lambda view, path=path: mount.directory(view, path))
        takes_files = not isinstance(rule(directory, Operation.CREATE), Refusal)
        shows_files = directory.kind in HOLDS_FILES and bool(mount.files(path))
        assert not ((takes_files or shows_files) and mount.ls(path))


# -- what is where ----------------------------------------------------------------


def test_root_lists_what_the_page_says(mount: Mounted) -> None:
    assert mount.ls("") == ["tags", "all", "untagged", "recent", "search", "saved", "ids", "nodes", "trash"]
    root = mount.root
    assert set(static_files(root)) == {"README.md", "CACHEDIR.TAG"}
    assert static_files(root)["CACHEDIR.TAG"].startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")


def test_the_tree_of_tags_alone_can_be_the_mount(mount: Mounted) -> None:
    alone = Mounted(mount.store, tags_only=True)
    assert alone.ls("") == mount.ls("tags")
    assert alone.files("music+flac") == ["both"]
    assert alone.files("music+/flac") == ["both"]
    assert not alone.exists("all")
    assert static_files(alone.root) == {}
    alone.mv_directory("rome", "Roma")
    assert alone.files("Roma") == ["cool"]
    assert is_refused(alone.create("new"), errno.EPERM)


def test_directories_of_files(mount: Mounted) -> None:
    assert mount.files("all") == ["bare", "both", "cool", "song"]
    assert mount.files("untagged") == ["bare"]
    assert mount.files("recent") == ["bare", "both", "cool", "song"]
    assert mount.files("trash") == ["gone"]
    assert mount.files("nodes/laptop") == ["bare", "both", "cool", "song"]
    assert mount.files("saved/evening") == ["both", "cool"]
    assert mount.files("search/words") == []
    assert mount.ls("nodes") == ["laptop"]
    assert mount.ls("saved") == ["evening"]
    assert mount.ls("search") == mount.ls("ids") == []


def test_search_holds_the_living_files_that_were_found_by_its_words(mount: Mounted) -> None:
    with mount.store.view() as view:
        found = [view.ordinal(mount.guid(path)) for path in ("all/both", "all/song", "trash/gone")]
        view.index.found_by_words["any words"] = BitMap(found)
    assert mount.files("search/any words") == ["both", "song"]
    assert mount.files("search/other words") == []
    assert not mount.exists("search/.git")


def test_ids_resolve_one_living_file(mount: Mounted) -> None:
    guid, gone = mount.guid("all/both"), mount.guid("trash/gone")
    with mount.store.view() as view:
        assert file_by_id(view, guid) == file_by_id(view, guid[:8]) == view.ordinal(guid)
        for name in (guid[:7], gone, "ffffffff", "README.md", ""):
            assert file_by_id(view, name) is None
        root = child_directory(view, mount.root, "ids", mount.clock)
        assert root is not None
        assert child_directory(view, root, guid, mount.clock) is None


def test_a_node_is_found_by_alias_and_vanishes_with_it(mount: Mounted) -> None:
    assert not mount.exists("nodes/tablet")
    other = "0badcafe-0002-4000-8000-000000000002"
    mount.store.act(lambda change: change.about("node", NODE_THING, other, alias="tablet"))
    assert mount.files("nodes/tablet") == []
    assert mount.ls("nodes") == ["laptop", "tablet"]


def test_a_saved_query_that_can_no_longer_be_asked_is_empty(mount: Mounted) -> None:
    for query in ("nothing-called-so", "((", "music"):
        mount.save("evening", query)
        assert mount.exists("saved/evening")
        assert mount.files("saved/evening") == (["both", "cool", "song"] if query == "music" else [])
