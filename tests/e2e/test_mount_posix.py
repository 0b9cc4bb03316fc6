"""Names below the mount: as on ext4, and where not, with the errno that says so."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tests.support.mounting import Mounting, eventually, refused, rename2

RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2


def test_rename_without_replacing_refuses_and_renames(mount: Mounting, folder: Path) -> None:
    one, two = mount.put("tags/work/one", "1"), mount.put("tags/work/two", "2")
    refused(errno.EEXIST, rename2, folder / "one", folder / "two", RENAME_NOREPLACE)
    rename2(folder / "one", folder / "three", RENAME_NOREPLACE)
    assert mount.ls("tags/work") == ["three", "two"]
    assert (mount.guid("tags/work/three"), mount.guid("tags/work/two")) == (one, two)


def test_exchange_of_two_old_files_exchanges_their_names(mount: Mounting) -> None:
    mount.lyts.quick("add", "-t", "work", mount.lyts.file("one", "1"), mount.lyts.file("two", "2"))
    eventually(lambda: mount.ls("tags/work") == ["one", "two"])
    one, two = mount.guid("tags/work/one"), mount.guid("tags/work/two")
    rename2(mount / "tags/work/one", mount / "tags/work/two", RENAME_EXCHANGE)
    assert (mount.read("tags/work/one"), mount.read("tags/work/two")) == (b"2", b"1")
    assert (mount.guid("tags/work/one"), mount.guid("tags/work/two")) == (two, one)


def test_exchange_with_a_file_just_written_is_a_save(mount: Mounting) -> None:
    mount.lyts.quick("add", "-t", "work", mount.lyts.file("doc", "old"))
    eventually(lambda: mount.ls("tags/work") == ["doc"])
    guid = mount.guid("tags/work/doc")
    mount.put("tags/work/new", "new")
    rename2(mount / "tags/work/new", mount / "tags/work/doc", RENAME_EXCHANGE)
    eventually(lambda: mount.read("tags/work/doc") == b"new")
    assert mount.guid("tags/work/doc") == guid
    assert mount.read("tags/work/new") == b"old"
    (mount / "tags/work/new").unlink()
    assert mount.trash() == []
    assert b"old" in [data for path, data in mount.kept().items() if path.startswith("keep")]


def test_other_flags_and_exchange_with_nothing_are_refused(mount: Mounting, folder: Path) -> None:
    mount.put("tags/work/one", "1")
    refused(errno.ENOENT, rename2, folder / "one", folder / "two", RENAME_EXCHANGE)
    refused(errno.EINVAL, rename2, folder / "one", folder / "two", 4)
    assert mount.ls("tags/work") == ["one"]


def test_the_longest_names_work_and_longer_ones_are_refused(mount: Mounting, folder: Path) -> None:
    for name in ("n" * 255, "ü" * 127 + "x", "n" * 251 + ".txt"):
        guid = mount.put(f"tags/work/{name}", name)
        assert mount.guid(f"tags/work/{name}") == guid
        (mount / "tags/other").mkdir(exist_ok=True)
        twin = mount.put(f"tags/other/{name}", "twin")
        assert sorted(map(len, map(os.fsencode, mount.ls("all")))) <= [255] * 6
        assert mount.read(f"ids/{twin}") == b"twin"
    refused(errno.ENAMETOOLONG, (folder / ("n" * 256)).write_text, "x")
    refused(errno.ENAMETOOLONG, os.rename, folder / ("n" * 255), folder / ("m" * 256))


def test_names_that_cannot_be_are_refused_and_nothing_is_made(mount: Mounting, folder: Path) -> None:
    base = os.fsencode(folder)
    for name, number in ((b"bad \xff utf-8", errno.EILSEQ), (b"\x80", errno.EILSEQ)):
        refused(number, os.open, base + b"/" + name, os.O_CREAT | os.O_WRONLY)
        refused(errno.ENOENT, os.stat, base + b"/" + name)
    (folder / "doc").touch()
    refused(errno.EILSEQ, os.rename, base + b"/doc", base + b"/bad \xff")
    refused(errno.EPERM, os.symlink, "/etc/passwd", folder / "link")
    refused(errno.EPERM, os.mkfifo, folder / "pipe")
    refused(errno.EPERM, os.mkdir, folder / "folder")
    assert mount.ls("tags/work") == ["doc"]
    for name in ("a\\b", "..x", "new\nline", "tab\tbed", "-rf", "~", "%41", " ", "CON"):
        (folder / name).write_text(name)
        assert (folder / name).read_text() == name


def test_queries_that_are_too_long_or_none_end_in_the_right_errno(mount: Mounting, folder: Path) -> None:
    tags = mount / "tags"
    refused(errno.ENAMETOOLONG, os.stat, tags / ("x" * 1025))
    refused(errno.ENOENT, os.stat, tags / ("x" * 1024))
    refused(errno.ENOENT, os.stat, tags / "no such tag")
    refused(errno.ENOENT, os.stat, tags / "work+no such tag")
    refused(errno.ENOENT, os.stat, tags / ".hidden")
    refused(errno.ENOENT, os.stat, os.fsencode(tags) + b"/\xff")
    refused(errno.ENAMETOOLONG, os.stat, folder / ("x" * 256))
    refused(errno.EPERM, os.mkdir, tags / "a,b")
    assert mount.ls("tags/" + "work," * 204 + "work") == []
    (mount / "tags/play").mkdir()
    refused(errno.EROFS, (tags / "work,play/x").write_text, "x")
    refused(errno.EROFS, (tags / "-work/x").write_text, "x")


def test_no_name_leads_out_of_the_store(mount: Mounting, folder: Path) -> None:
    before = {path for path in mount.lyts.home.rglob("*") if mount.at not in path.parents and path != mount.at}
    for name in ("..%2f..%2fescape", "....", "..\\..\\x", "~root", "$(id)"):
        (folder / name).write_text(name)
    (mount / "tags/up=.x").mkdir()
    (mount / "tags/up=.x/doc").write_text("x")
    refused(errno.EPERM, (mount / "ids/x").write_text, "x")
    after = {path for path in mount.lyts.home.rglob("*") if mount.at not in path.parents and path != mount.at}
    assert all(mount.lyts.store in path.parents for path in after - before)
