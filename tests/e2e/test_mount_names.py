"""Names on a mount whose ticks are in the test's hands: what a program holds on to stays what it was.

What the long random run (`test_mount_model.py`) and programs under load had found, each in
the few steps that matter.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mounting import eventually, need_fuse
from tests.support.steered import Program, Steered, called, steered


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Steered]:
    need_fuse()
    with steered(tmp_path) as mount:
        yield mount


@pytest.fixture
def program() -> Iterator[Program]:
    program = Program()
    yield program
    program.end()


def add(mount: Steered, folder: str, content: str, *tags: str, name: str = "doc.txt") -> str:
    """Add a file from beneath, with the mount told; its GUID."""
    (added,) = mount.lyts.json("add", "-t", ",".join(tags), mount.lyts.file(f"{folder}/{name}", content))
    mount.tick()
    return str(added["guid"])


@pytest.mark.parametrize("tick_after", [1, 2, 3])
@pytest.mark.parametrize("backup", ["{}.bak", "{}~"])
def test_a_save_by_the_long_name_leaves_the_namesake_its_plain_name_whenever_the_mount_looks(
    mount: Steered, program: Program, backup: str, tick_after: int
) -> None:
    elder, younger = add(mount, "a", "elder", "work"), add(mount, "b", "younger", "work")
    plain, long = mount / "tags/work/doc.txt", mount / f"tags/work/doc~{younger[:8]}.txt"
    aside = long.with_name(backup.format(long.name))
    assert (mount.guid("tags/work/doc.txt"), long.read_bytes()) == (elder, b"younger")
    steps = [
        ("rename", long, aside, 0),
        ("put", long, b"saved", os.O_CREAT | os.O_EXCL),
        ("unlink", aside),
    ]
    for number, step in enumerate(steps, 1):
        assert called(program(*step)) == "done"
        if number == tick_after:
            mount.tick()
    mount.quiet()
    assert plain.read_bytes() == b"elder"
    assert mount.guid("tags/work/doc.txt") == elder
    assert long.read_bytes() == b"saved"
    assert mount.guid(f"tags/work/{long.name}") == younger
    mount.tick()
    assert mount.ls("tags/work") == ["doc.txt", long.name]
    assert plain.read_bytes() == b"elder"


def test_a_tag_is_not_removed_while_something_in_scratch_is_shown_in_its_directory(
    mount: Steered, program: Program
) -> None:
    assert program("mkdir", mount / "tags/work") == 0
    assert program("put", mount / "tags/work/film.part", b"half", os.O_CREAT) == 0
    assert called(program("rmdir", mount / "tags/work")) == "ENOTEMPTY"
    assert mount.read("tags/work/film.part") == b"half"
    assert program("unlink", mount / "tags/work/film.part") == 0
    assert called(program("rmdir", mount / "tags/work")) == "done"


def test_directories_show_what_a_tag_implies_from_the_next_look_on_and_no_longer_when_it_does_not(
    mount: Steered,
) -> None:
    add(mount, "a", "swing", "jazz")
    (mount / "tags/music").mkdir()
    (mount / "tags/quiet").mkdir()
    places = ("tags/music", "tags/music,quiet", "tags/jazz+music")
    assert [mount.ls(place) for place in places] == [[], [], []]
    mount.lyts.quick("tags", "imply", "jazz", "music")
    mount.tick()
    assert [mount.ls(place) for place in places] == [["doc.txt"]] * 3
    mount.lyts.quick("tags", "imply", "jazz", "music", "--remove")
    mount.tick()
    assert [mount.ls(place) for place in places] == [[], [], []]


def test_a_file_taken_out_of_one_directory_can_be_linked_from_another_at_once(mount: Steered, program: Program) -> None:
    add(mount, "a", "doc", "work", "play")
    (mount / "tags/more").mkdir()
    assert (mount / "tags/work/doc.txt").stat().st_nlink == 1  # which the kernel remembers
    assert program("unlink", mount / "tags/work+play/doc.txt") == 0
    mount.quiet()
    assert called(program("link", mount / "tags/work/doc.txt", mount / "tags/more/doc.txt")) == "done"
    assert mount.tags("tags/more/doc.txt") == ["more", "work"]


def test_a_name_that_was_linked_is_forgotten_when_the_file_is_renamed_from_beneath(
    mount: Steered, program: Program
) -> None:
    guid = add(mount, "a", "doc", "work")
    (mount / "tags/more").mkdir()
    assert mount.ls("tags/more") == []
    assert program("link", mount / "tags/work/doc.txt", mount / "tags/more/doc.txt") == 0
    mount.lyts.quick("rename", guid, "new.txt")
    mount.tick()
    assert called(program("put", mount / "tags/more/doc.txt", b"another", os.O_WRONLY)) == "ENOENT"
    assert mount.read("tags/more/new.txt") == b"doc"


def test_a_name_whose_file_left_is_forgotten_also_where_a_program_looked_around_before_the_mount_did(
    mount: Steered,
) -> None:
    guid = add(mount, "a", "doc", "work")
    assert mount.read("tags/work/doc.txt") == b"doc"
    mount.lyts.quick("untag", "work", guid)
    mount.quiet()
    assert not (mount / "tags/work/other.txt").exists()  # which finds the files of the directory anew
    mount.tick()
    with pytest.raises(FileNotFoundError) as caught:
        (mount / "tags/work/doc.txt").stat()
    assert caught.value.errno == errno.ENOENT


def test_a_name_that_its_file_lost_from_beneath_does_not_pass_to_a_namesake_before_the_mount_looks(
    mount: Steered,
) -> None:
    first, second = add(mount, "a", "first", "work"), add(mount, "b", "second", "work")
    assert mount.guid("tags/work/doc.txt") == first
    # In one moment, so that who left has another name than the one it was shown by.
    mount.lyts.quick("rename", first, "other.txt")
    mount.lyts.quick("untag", "work", first)
    mount.quiet()
    assert mount.ls("tags/work") == [f"doc~{second[:8]}.txt"]
    mount.tick()
    assert not (mount / "tags/work/doc.txt").exists()
    assert mount.read(f"tags/work/doc~{second[:8]}.txt") == b"second"


def test_a_rename_from_beneath_and_back_leaves_the_namesake_its_plain_name(mount: Steered) -> None:
    elder, younger = add(mount, "a", "elder", "work"), add(mount, "b", "younger", "work")
    assert mount.guid("tags/work/doc.txt") == elder
    mount.lyts.quick("rename", younger, "new.txt")
    mount.quiet()
    assert mount.guid("tags/work/new.txt") == younger
    mount.lyts.quick("rename", younger, "doc.txt")
    mount.tick()
    assert mount.guid("tags/work/doc.txt") == elder
    assert mount.ls("tags/work") == ["doc.txt", f"doc~{younger[:8]}.txt"]


@pytest.mark.parametrize("moved", [True, False], ids=["a file", "a newborn"])
def test_the_plain_name_of_a_file_replaced_by_its_long_name_does_not_pass_to_a_namesake(
    mount: Steered, program: Program, moved: bool
) -> None:
    replaced = add(mount, "a", "replaced", "work")
    assert mount.guid("tags/work/doc.txt") == replaced
    long = mount / f"tags/work/doc~{replaced[:8]}.txt"
    if moved:
        add(mount, "b", "other", "play", name="other.txt")
        source = mount / "tags/play/other.txt"
    else:
        source = mount / "untagged/.other.txt.AbC123"
        assert program("put", source, b"other", os.O_CREAT) == 0
    assert called(program("rename", source, long, 0)) == "done"
    second = add(mount, "c", "second", "work")
    assert sorted(mount.ls("tags/work")) == sorted([long.name, f"doc~{second[:8]}.txt"])
    assert not (mount / "tags/work/doc.txt").exists()
    assert mount.read("trash/doc.txt") == b"replaced"


@pytest.mark.parametrize("digits", [8, 11, 32])
def test_a_long_name_that_nobody_needed_is_forgotten_too_when_its_file_leaves(mount: Steered, digits: int) -> None:
    guid = add(mount, "a", "doc", "work")
    long = mount / f"tags/work/doc~{guid.replace('-', '')[:digits]}.txt"
    assert long.read_bytes() == b"doc"
    mount.lyts.quick("untag", "work", guid)
    mount.tick()
    assert not long.exists()


def test_a_name_asked_for_in_another_spelling_is_forgotten_too_when_its_file_leaves(mount: Steered) -> None:
    guid = add(mount, "a", "doc", "work", name="caf\u00e9.txt")
    asked = mount / "tags/work/cafe\u0301.txt"
    assert asked.read_bytes() == b"doc"
    mount.lyts.quick("untag", "work", guid)
    mount.tick()
    assert not asked.exists()


@pytest.mark.parametrize("temporary", [".doc.txt.AbC123", "doc.txt.part"])
def test_a_program_that_saves_a_new_file_twice_by_the_same_temporary_name_has_one_file(
    mount: Steered, program: Program, temporary: str
) -> None:
    """By its old name the file that came of the first save would have been meant, and the second lost."""
    assert program("mkdir", mount / "tags/work") == 0
    doc, aside = mount / "tags/work/doc.txt", mount / "tags/work" / temporary
    for content in (b"first", b"second", b"third"):
        assert called(program("put", aside, content, os.O_CREAT | os.O_TRUNC)) == "done"
        assert called(program("rename", aside, doc, 0)) == "done"
        mount.quiet()
        assert mount.ls("tags/work") == mount.ls("all") == ["doc.txt"]
        assert doc.read_bytes() == content
    assert mount.trash() == mount.scratch() == []


@pytest.mark.parametrize("clean", [True, False])
def test_a_temporary_that_outlived_its_mount_is_still_a_save(mount: Steered, program: Program, clean: bool) -> None:
    assert program("mkdir", mount / "tags/work") == 0
    guid = add(mount, "a", "before", "work")
    doc, aside = mount / "tags/work/doc.txt", mount / "tags/work/.doc.txt.AbC123"
    assert program("put", aside, b"half", os.O_CREAT | os.O_EXCL) == 0
    if clean:
        mount.stop()
    else:
        mount.crash()
        mount.kill()
    mount.start()
    assert called(program("rename", aside, doc, 0)) == "done"
    mount.quiet()
    assert (mount.guid("tags/work/doc.txt"), doc.read_bytes()) == (guid, b"half")
    assert mount.trash() == mount.scratch() == []


@pytest.mark.parametrize("flags", [os.O_TRUNC, 0])
def test_a_forgotten_temporary_that_is_written_anew_is_a_save(mount: Steered, program: Program, flags: int) -> None:
    assert program("mkdir", mount / "tags/work") == 0
    guid = add(mount, "a", "before", "work")
    doc, aside = mount / "tags/work/doc.txt", mount / "tags/work/doc.txt.part"
    assert program("put", aside, b"of a program that was killed", os.O_CREAT | os.O_EXCL) == 0
    mount.advance(700)
    assert program("put", aside, b"saved", flags) == 0
    assert called(program("rename", aside, doc, 0)) == "done"
    mount.quiet()
    assert (mount.guid("tags/work/doc.txt"), doc.read_bytes()) == (guid, b"saved")
    assert mount.trash() == mount.scratch() == []


@pytest.mark.parametrize("told", [True, False])
def test_a_backup_that_a_command_renamed_meanwhile_is_not_taken_back_by_the_save(
    mount: Steered, program: Program, told: bool
) -> None:
    assert program("mkdir", mount / "tags/work") == 0
    guid = add(mount, "a", "before", "work")
    doc, aside = mount / "tags/work/doc.txt", mount / "tags/work/doc.txt.bak"
    assert program("rename", doc, aside, 0) == 0
    mount.lyts.quick("rename", guid, "as it was.txt")
    if told:
        mount.tick()
    assert called(program("put", doc, b"new", os.O_CREAT | os.O_EXCL)) == "done"
    mount.tick()
    assert mount.ls("tags/work") == ["as it was.txt", "doc.txt"]
    assert (mount.guid("tags/work/as it was.txt"), mount.read("tags/work/as it was.txt")) == (guid, b"before")
    assert doc.read_bytes() == b"new"


def test_what_a_program_makes_is_not_in_the_trash_because_the_file_of_that_name_was_removed_meanwhile(
    mount: Steered, program: Program
) -> None:
    guid = add(mount, "a", "before", "work")
    assert program("rename", mount / "tags/work/doc.txt", mount / "tags/work/doc.txt.bak", 0) == 0
    mount.lyts.quick("rm", guid)
    mount.tick()
    assert called(program("put", mount / "tags/work/doc.txt", b"after", os.O_CREAT)) == "done"
    assert mount.ls("tags/work") == ["doc.txt"]
    assert mount.read("tags/work/doc.txt") == b"after"
    assert mount.read("trash/doc.txt.bak") == b"before"


def test_a_name_in_ids_that_a_program_met_goes_with_its_file(mount: Steered) -> None:
    guid = mount.put("untagged/doc.txt", "doc")
    names = [f"ids/{guid}", f"ids/{guid[:8]}"]
    for remove in (lambda: os.unlink(mount / "all/doc.txt"), lambda: mount.lyts.quick("rm", guid)):
        assert [mount.read(name) for name in names] == [b"doc", b"doc"]
        remove()
        mount.tick()
        assert not any(os.path.exists(mount / name) for name in names)
        mount.lyts.quick("trash", "restore", guid)
        mount.tick()
    (mount / names[0]).write_text("written by its identity")
    assert mount.read("untagged/doc.txt") == b"written by its identity"


def test_what_a_save_took_the_bytes_of_is_nowhere_to_be_opened(mount: Steered) -> None:
    """Also elsewhere, under a name by which the kernel knew it and now means the file with its bytes."""
    (mount / "tags/a").mkdir()
    doc = mount.put("tags/a/doc.txt", "old")
    mount.put("tags/a/made.txt", "new")
    assert mount.read("all/made.txt") == b"new"
    os.rename(mount / "tags/a/made.txt", mount / "tags/a/doc.txt")
    with pytest.raises(FileNotFoundError):
        open(mount / "all/made.txt", "rb").close()
    with pytest.raises(FileNotFoundError):
        open(mount / "all/made.txt", "r+b").close()
    assert mount.guid("tags/a/doc.txt") == doc
    assert mount.read("tags/a/doc.txt") == mount.read("all/doc.txt") == b"new"


def test_a_large_file_of_passing_use_becomes_an_ordinary_one_once_it_is_hashed(mount: Steered) -> None:
    """In the thread: at the tick itself it is only begun, and nobody waits."""
    content = b"0123456789abcdef" * (1 << 18)
    with open(mount / "untagged/film.part", "xb", buffering=0) as file:
        os.pwrite(file.fileno(), content[-1:], len(content) - 1)  # so it is not hashed behind its writer
        file.write(content[:-1])
    (mount / "untagged/short.part").write_bytes(b"short")
    mount.advance(4_000)
    mount.age()
    assert [one["name"] for one in mount.facts().values()] == ["short.part"]

    def is_born() -> bool:
        mount.age()
        return len(mount.facts()) == 2

    eventually(is_born)
    (film,) = [one for one in mount.facts().values() if one["name"] == "film.part"]
    assert film["sha256"] == hashlib.sha256(content).hexdigest()
    assert mount.read("untagged/film.part") == content
