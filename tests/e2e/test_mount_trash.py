"""Deleting on a desktop: `gio trash` (GLib: GNOME, Xfce and others) and trash-cli on a real mount.

Both move a file to `.Trash-UID` at the top of the mount, as the freedesktop.org Trash
specification wants it, and know nothing of lyts.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from tagfs.bucket import Clock, utc_ms
from tagfs.views.directory import desktop_directory, root_directory
from tests.support.mounting import NOT_SCRAPS, Mounting, eventually, mounted, need
from tests.support.stores import Machine, make_store

TOP = f".Trash-{os.getuid()}"
FILES, INFO = f"{TOP}/files", f"{TOP}/info"


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mounting]:
    with mounted(tmp_path / "home") as mounting:
        yield mounting


def notes(mount: Mounting) -> dict[str, str]:
    """Name in files/ -> the path its note says it came from; each note read, and found whole."""
    found = {}
    for note in mount.ls(INFO):
        text = mount.read(f"{INFO}/{note}")
        assert os.stat(mount / f"{INFO}/{note}").st_size == len(text)
        match = re.fullmatch(rb"\[Trash Info\]\nPath=(\S+)\nDeletionDate=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\n", text)
        assert match, text
        found[note.removesuffix(".trashinfo")] = unquote_to_bytes(match[1]).decode()
    return found


def gio(mount: Mounting, *paths: str, code: int | None = 0) -> str:
    need("gio")
    done = mount.run("gio", "trash", *(str(mount / path) for path in paths), code=code)
    return done.stderr.decode()


# -- gio trash -------------------------------------------------------------------


def test_gio_trash_moves_to_the_trash_with_tags(mount: Mounting) -> None:
    (mount / "tags/music").mkdir()
    (mount / "tags/flac").mkdir()
    guid = mount.put("tags/music+flac/a song, 50%.txt", "la")
    gio(mount, "tags/music+flac/a song, 50%.txt")
    assert mount.ls("all") == mount.ls("tags/music+flac") == []
    assert mount.trash() == ["a song, 50%.txt"]
    assert mount.ls(FILES) == ["a song, 50%.txt"]
    assert notes(mount) == {"a song, 50%.txt": "tags/music+flac/a song, 50%.txt"}
    assert mount.read(f"{FILES}/a song, 50%.txt") == b"la"
    assert mount.guid(f"{FILES}/a song, 50%.txt") == guid
    assert mount.tags(f"{FILES}/a song, 50%.txt") == ["flac", "music"]
    assert mount.scratch() == []


def test_undo_brings_back_what_gio_trashed(mount: Mounting) -> None:
    (mount / "tags/music").mkdir()
    guid = mount.put("tags/music/song", "la")
    gio(mount, "tags/music/song")
    mount.lyts.quick("undo")
    eventually(lambda: mount.ls("tags/music") == ["song"])
    assert mount.guid("tags/music/song") == guid
    assert mount.ls(FILES) == mount.ls(INFO) == []
    eventually(lambda: not (mount / f"{FILES}/song").exists())
    eventually(lambda: not (mount / f"{INFO}/song.trashinfo").exists())


def test_the_same_name_trashed_twice_is_two_files_with_their_names(mount: Mounting) -> None:
    first = mount.put("all/report.txt", "1")
    gio(mount, "all/report.txt")
    second = mount.put("all/report.txt", "2")
    gio(mount, "all/report.txt")
    assert mount.ls(FILES) == ["report.2.txt", "report.txt"]
    assert notes(mount) == {"report.txt": "all/report.txt", "report.2.txt": "all/report.txt"}
    assert (mount.guid(f"{FILES}/report.txt"), mount.guid(f"{FILES}/report.2.txt")) == (first, second)
    # The number is the desktop's bookkeeping: for lyts both are still called report.txt.
    assert sorted(one["name"] for one in mount.lyts.json("trash", "list")) == ["report.txt", "report.txt"]
    mount.sh('mv "$1/report.2.txt" all/', FILES)
    assert mount.ls("all") == ["report.txt"]
    assert mount.guid("all/report.txt") == second
    # Now that its name is taken, the way back of the other one is a name that is free.
    assert notes(mount) == {"report.txt": f"all/report~{first[:8]}.txt"}


def test_namesakes_in_one_directory_go_and_come_back_one_by_one(mount: Mounting) -> None:
    (mount / "tags/a").mkdir()
    (mount / "tags/b").mkdir()
    (mount / "tags/c").mkdir()
    older, younger = mount.put("tags/a/doc", "1"), mount.put("tags/b/doc", "2")
    long = f"doc~{younger[:8]}"
    assert mount.ls("all") == ["doc", long]
    gio(mount, f"all/{long}")
    assert mount.ls("all") == ["doc"]
    assert mount.guid(f"{FILES}/{long}") == younger
    assert notes(mount) == {long: f"all/{long}"}
    os.rename(mount / f"{FILES}/{long}", mount / f"all/{long}")
    assert mount.guid("all/doc") == older
    assert mount.guid(f"all/{long}") == younger
    assert mount.facts()[younger]["name"] == "doc"
    assert mount.tags(f"all/{long}") == ["b"]


def test_names_of_255_bytes(mount: Mounting) -> None:
    """GLib cannot trash one on any file system: its note would have 265. What else is in the trash has a note."""
    name = "n" * 251 + ".txt"
    guid = mount.put(f"all/{name}", "long")
    assert "File name too long" in gio(mount, f"all/{name}", code=1)
    assert mount.ls("all") == [name]
    os.unlink(mount / f"all/{name}")
    (in_files,) = mount.ls(FILES)
    assert len(in_files) == 245
    assert notes(mount) == {in_files: f"all/{name}"}
    os.rename(mount / f"{FILES}/{in_files}", mount / f"all/{in_files}")
    assert mount.facts()[guid]["name"] == name
    eventually(lambda: mount.ls("all") == [name])


def test_what_was_removed_otherwise_is_there_too(mount: Mounting) -> None:
    guid = mount.put("all/one", "1")
    other = mount.put("untagged/two", "2")
    os.unlink(mount / "untagged/two")
    mount.lyts.quick("rm", guid)
    names = {f"one~{guid.replace('-', '')}": "all/one", f"two~{other.replace('-', '')}": "untagged/two"}
    eventually(lambda: mount.ls(FILES) == sorted(names))
    assert notes(mount) == names
    assert {mount.guid(f"{FILES}/{name}") for name in names} == {guid, other}


def test_a_file_of_passing_use_is_trashed_as_well(mount: Mounting) -> None:
    mount.put("all/doc~", "backup")
    gio(mount, "all/doc~")
    assert mount.ls("all") == []
    assert mount.trash() == ["doc~"]
    assert notes(mount) == {"doc~": "all/doc~"}
    assert mount.scratch() == []


def test_what_a_database_keeps_beside_it_goes_and_comes_back_with_it(mount: Mounting) -> None:
    """A journal left behind would be taken for that of the next database of the name."""
    (mount / "tags/work").mkdir()
    mount.put("tags/work/a.db", "data")
    (mount / "tags/work/a.db-wal").write_bytes(b"more")
    gio(mount, "tags/work/a.db")
    assert mount.ls("tags/work") == []
    assert mount.ls(FILES) == ["a.db", "a.db-wal"]
    assert notes(mount) == {"a.db": "tags/work/a.db"}
    os.rename(mount / f"{FILES}/a.db", mount / "tags/work/a.db")
    assert mount.ls("tags/work") == ["a.db", "a.db-wal"]
    assert mount.read("tags/work/a.db-wal") == b"more"
    assert mount.ls(FILES) == []


def test_a_directory_is_not_trashed(mount: Mounting) -> None:
    mount.sh("mkdir tags/music")
    mount.put("tags/music/song", "la")
    assert "not permitted" in gio(mount, "tags/music", code=1)
    assert mount.ls("tags/music") == ["song"]
    assert mount.ls(INFO) == [], "its note is gone again"
    assert mount.scratch() == []


def test_in_the_tree_of_tags_alone(tmp_path: Path) -> None:
    with mounted(tmp_path / "home", "tags") as mount:
        (mount / "music").mkdir()
        guid = mount.put("music/song", "la")
        gio(mount, "music/song")
        assert mount.ls("music") == []
        assert notes(mount) == {"song": "music/song"}
        os.rename(mount / f"{FILES}/song", mount / "music/song")
        assert mount.guid("music/song") == guid
        assert mount.tags("music/song") == ["music"]


# -- trash-cli -------------------------------------------------------------------


_WITHOUT_OTHERS = r"""
mine=$1
shift
mounts=$(cat /proc/self/mounts)
while read -r _ at kind _; do
    at=$(printf %b "$at")
    [ "$kind" != fuse.lyts ] || [ "$at" = "$mine" ] || umount --lazy --no-canonicalize --internal-only "$at"
done <<END
$mounts
END
exec "$@"
"""
"""Run a program where no other mount of ours is there."""


def trash_cli(
    mount: Mounting, program: str, *argv: str, stdin: bytes = b"", cwd: str = "", code: int | None = 0
) -> str:
    """Run one of the programs of trash-cli. They look at all that is mounted on the machine, and one mount that

    does not answer, of another test or left by one that was killed, would have them wait for ever. So where we
    may, they run where only ours is mounted.
    """
    need("trash-put", "trash-list", "trash-restore", "trash-empty")
    # Newer ones ask for the volumes where the type of the file system is not one they know.
    env = {"TRASH_VOLUMES": str(mount.at)}
    alone = ("unshare", "--mount", "sh", "-euc", _WITHOUT_OTHERS, "sh", str(mount.at)) if os.getuid() == 0 else ()
    done = mount.run(*alone, program, *argv, stdin=stdin, env=env, cwd=mount / cwd, code=code)
    return (done.stdout + done.stderr).decode()


def test_trash_cli_puts_lists_and_restores(mount: Mounting) -> None:
    (mount / "tags/music").mkdir()
    guid = mount.put("tags/music/Grüße.txt", "la")
    trash_cli(mount, "trash-put", str(mount / "tags/music/Grüße.txt"))
    assert mount.ls("tags/music") == []
    assert mount.trash() == ["Grüße.txt"]
    assert str(mount / "tags/music/Grüße.txt") in trash_cli(mount, "trash-list")
    trash_cli(mount, "trash-restore", stdin=b"0\n", cwd="tags/music")
    assert mount.ls("tags/music") == ["Grüße.txt"]
    assert mount.guid("tags/music/Grüße.txt") == guid
    assert mount.tags("tags/music/Grüße.txt") == ["music"]
    assert mount.trash() == mount.ls(FILES) == mount.ls(INFO) == []


def test_trash_cli_empties_nothing(mount: Mounting) -> None:
    """For good is a command of lyts: what empties all trash folders once a week must not end files on all devices."""
    mount.put("all/keep me", "!")
    trash_cli(mount, "trash-put", str(mount / "all/keep me"))
    trash_cli(mount, "trash-empty", stdin=b"y\n", code=None)
    assert mount.read(f"{FILES}/keep me") == b"!"
    assert notes(mount) == {"keep me": "all/keep me"}


# -- walking, mirroring, others ---------------------------------------------------


def test_the_trash_folder_is_found_by_name_only(mount: Mounting) -> None:
    mount.put("all/one", "1")
    mount.put("all/two", "2")
    gio(mount, "all/two")
    assert TOP not in os.listdir(mount.at)
    assert TOP not in mount.sh("find .")
    found = os.lstat(mount / TOP)
    assert (found.st_uid, found.st_mode & 0o777) == (os.getuid(), 0o700)
    assert found.st_dev == os.lstat(mount.at).st_dev
    for other in (".Trash", f".Trash-{os.getuid() + 1}"):
        assert not (mount / other).exists()
        with pytest.raises(PermissionError):
            os.mkdir(mount / other)


def test_removing_everything_and_mirroring_an_empty_folder_lose_nothing(mount: Mounting, tmp_path: Path) -> None:
    need("rsync")
    mount.put("all/one", "1")
    mount.put("all/two", "2")
    gio(mount, "all/two")
    assert len(mount.ls(FILES)) == 1, "programs know the folder by now"
    empty = tmp_path / "empty"
    empty.mkdir()
    mount.run("rsync", "-r", "--delete", f"{empty}/", f"{mount.at}/", code=None)
    mount.run("sh", "-c", f"rm -rf {mount.at}/* {mount.at}/{TOP}", code=None)
    assert sorted(one["name"] for one in mount.lyts.json("trash", "list")) == ["one", "two"]
    assert sorted(path.rpartition("/")[2] for path in notes(mount).values()) == ["one", "two"]


def test_notes_are_made_by_programs_and_kept_until_the_file_comes(mount: Mounting) -> None:
    """What a program writes it reads back; a note that no file follows ends with the mount."""
    note = mount / f"{INFO}/doc.trashinfo"
    note.write_bytes(b"[Trash Info]\nPath=all/doc\nDeletionDate=2026-11-27T11:36:15\n")
    assert note.read_bytes() == b"[Trash Info]\nPath=all/doc\nDeletionDate=2026-11-27T11:36:15\n"
    assert mount.ls(INFO) == ["doc.trashinfo"]
    with pytest.raises(FileExistsError):
        os.open(note, os.O_CREAT | os.O_EXCL)
    with pytest.raises(PermissionError):
        os.rename(note, mount / "all/doc.trashinfo")
    with pytest.raises(PermissionError):
        (mount / f"{INFO}/doc").write_bytes(b"")
    os.unlink(note)
    assert mount.ls(INFO) == []
    note.write_bytes(b"[Trash Info]\n")
    mount.stop()
    mount.start()
    assert mount.ls(INFO) == []
    assert mount.scratch() == []
    assert mount.facts() == {}


def test_a_note_of_a_crash_is_no_file_afterwards(mount: Mounting) -> None:
    mount.put("all/doc", "1")
    (mount / f"{INFO}/doc.trashinfo").write_bytes(b"[Trash Info]\nPath=all/doc\n")
    mount.crash()
    mount.kill()
    mount.start()
    assert mount.ls("all") == ["doc"]
    assert mount.ls(INFO) == mount.ls(FILES) == []
    assert mount.scratch() == []


def test_generated_notes_cannot_be_changed(mount: Mounting) -> None:
    mount.put("all/doc", "1")
    gio(mount, "all/doc")
    note = mount / f"{INFO}/doc.trashinfo"
    for change in (
        lambda: os.unlink(note),
        lambda: os.rename(note, mount / f"{INFO}/other.trashinfo"),
        lambda: os.open(note, os.O_WRONLY),
        lambda: os.truncate(note, 0),
        lambda: os.unlink(mount / f"{FILES}/doc"),
        lambda: os.rename(mount / f"{FILES}/doc", mount / f"{FILES}/other"),
        lambda: os.rename(mount / f"{FILES}/doc", mount / f"{INFO}/doc.trashinfo"),
        lambda: os.link(mount / f"{FILES}/doc", mount / f"{FILES}/other"),
    ):
        with pytest.raises(PermissionError):
            change()
    assert notes(mount) == {"doc": "all/doc"}


def test_what_was_trashed_before_the_mount_ended_can_be_restored(mount: Mounting) -> None:
    (mount / "tags/music").mkdir()
    guid = mount.put("tags/music/song", "la")
    gio(mount, "tags/music/song")
    mount.stop(signal.SIGTERM)
    mount.start()
    (name,) = mount.ls(FILES)
    assert notes(mount) == {name: "all/song"}
    os.rename(mount / f"{FILES}/{name}", mount / "all/song")
    assert mount.guid("all/song") == guid
    assert mount.tags("all/song") == ["music"]


def test_a_mount_for_looking_only_shows_the_trash_and_takes_nothing(tmp_path: Path) -> None:
    with mounted(tmp_path / "home") as mount:
        mount.put("all/one", "1")
        mount.put("all/two", "2")
        gio(mount, "all/one")
    with mounted(tmp_path / "home", "read-only") as mount:
        (name,) = mount.ls(FILES)
        assert notes(mount) == {name: "all/one"}
        assert "Read-only" in gio(mount, "all/two", code=1)
        assert mount.ls("all") == ["two"]


def test_a_note_that_no_file_follows_goes_after_an_hour(tmp_path: Path) -> None:
    pytest.importorskip("pyfuse3", reason="NOT TESTED: pyfuse3 is missing (pip install 'lyts[mount]')")
    from tagfs.mount.changes import AGE_TICKS, Changes

    with make_store(tmp_path / "store", Machine(1)) as store:
        now_ms = [time.time_ns() // 1_000_000]
        root = root_directory(uid=1000)
        changes = Changes(store, root, lambda: Clock(now_ms[0], utc_ms), time.monotonic_ns, read_only=False)
        top = desktop_directory(root, ".Trash-1000")
        assert top is not None
        info = desktop_directory(top, "info")
        assert info is not None
        known = changes.directories.at(info, 1, b"info")
        handle, inode = changes.create(known, b"doc.trashinfo", 0o600, os.getpid())
        for later_ms, stands in ((0, True), (3_600_000, True), (3_600_000, False)):
            now_ms[0] += later_ms
            if not stands:
                changes.release(handle)
            for _ in range(AGE_TICKS):
                changes.tick()
            assert (inode in changes.nursery.by_inode) is stands, "not while it is open"
        changes.finish()
        assert set(os.listdir(store.layout.scratch)) <= set(NOT_SCRAPS)
        assert store.read(lambda view: view.ordinal_total()) == 0
