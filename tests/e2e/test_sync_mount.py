"""The mount of a node in a library of several: what others do shows, and bytes come and go beneath it."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.library import Library, Node
from tests.support.mounting import need_fuse
from tests.support.syncthing import until


@contextmanager
def mounted(node: Node) -> Iterator[Path]:
    need_fuse()
    at = node.library.base / f"{node.name}-mnt"
    node.lyts("mount", str(at))
    try:
        yield at
    finally:
        node.lyts("umount", str(at))


def names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def test_what_another_node_does_shows_in_the_mount(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "tablet"]) as library:
        laptop, tablet = library
        with mounted(tablet) as at:
            guid = laptop.add("song.txt", b"la la\n", "music")
            until(lambda: names(at / "tags/music") == ["song.txt"], "shown on the tablet")
            assert (at / "tags/music/song.txt").stat().st_size == 6
            with pytest.raises(OSError, match="No data") as refused:
                (at / "tags/music/song.txt").read_bytes()
            assert refused.value.errno == errno.ENODATA
            begun = time.monotonic()
            laptop.lyts("tag", "jazz", guid)
            until(lambda: names(at / "tags/jazz") == ["song.txt"], "the new tag")
            assert time.monotonic() - begun < 10
            tablet.wish(guid, tablet=True)
            until(lambda: _read(at / "tags/jazz/song.txt") == b"la la\n", "its bytes can be read")
            laptop.lyts("rm", guid)
            until(lambda: names(at / "all") == [], "removed")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def test_an_edit_in_a_mount_travels_while_the_other_has_the_file_open(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "tablet"]) as library:
        laptop, tablet = library
        guid = laptop.add("doc.txt", b"first\n", "paper")
        laptop.wish(guid, tablet=True)
        library.until_placed(guid, "laptop", "tablet", data=b"first\n")
        with mounted(laptop) as here, mounted(tablet) as there:
            until(lambda: _read(there / "tags/paper/doc.txt") == b"first\n", "shown")
            with open(there / "tags/paper/doc.txt", "rb") as reader:
                assert reader.read() == b"first\n"
                (here / "tags/paper/doc.txt").write_bytes(b"second, by the laptop\n")
                until(lambda: _read(there / "tags/paper/doc.txt") == b"second, by the laptop\n", "the edit travels")
            (there / "tags/paper/doc.txt").write_bytes(b"third, by the tablet\n")
            until(lambda: _read(here / "tags/paper/doc.txt") == b"third, by the tablet\n", "and back")
        library.until_placed(guid, "laptop", "tablet", data=b"third, by the tablet\n")
        assert len(laptop.ids()) == 1
        assert not laptop.face(guid).conflict


def test_saves_in_two_mounts_that_do_not_know_of_each_other_are_both_kept(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "tablet"]) as library:
        laptop, tablet = library
        guid = laptop.add("doc.txt", b"first\n", "paper")
        laptop.wish(guid, tablet=True)
        library.until_placed(guid, "laptop", "tablet", data=b"first\n")
        with mounted(laptop) as here, mounted(tablet) as there:
            until(lambda: _read(there / "tags/paper/doc.txt") == b"first\n", "shown")
            library.part(laptop, tablet)
            (here / "tags/paper/doc.txt").write_bytes(b"by the laptop\n")
            (there / "tags/paper/doc.txt").write_bytes(b"by the tablet\n")
            library.part(laptop, tablet, parted=False)
            until(lambda: len(names(here / "tags/paper")) == 2 == len(names(there / "tags/paper")), "two files")
            for mount in (here, there):
                until(
                    lambda mount=mount: (
                        {_read(mount / "tags/paper" / name) for name in names(mount / "tags/paper")}
                        == {b"by the laptop\n", b"by the tablet\n"}
                    ),
                    "both contents",
                )
