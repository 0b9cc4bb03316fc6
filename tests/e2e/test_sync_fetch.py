"""`fetch_on_read`: opening a file in a mount brings its bytes here; two real nodes, a real mount."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.library import Library, Node
from tests.support.mounting import need_fuse
from tests.support.syncthing import until

MIB = 1 << 20


@contextmanager
def mounted(node: Node) -> Iterator[Path]:
    need_fuse()
    at = node.library.base / f"{node.name}-mnt"
    node.lyts("mount", str(at))
    try:
        yield at
    finally:
        node.lyts("umount", str(at))


def fetches(node: Node, **settings: int) -> None:
    lines = ["[placement]", "fetch_on_read = true", *(f"{key} = {value}" for key, value in settings.items())]
    (node.root / "sync.toml").write_text("\n".join(lines) + "\n")


def refused(path: Path) -> int:
    with pytest.raises(OSError) as caught:
        path.read_bytes()
    assert caught.value.errno is not None
    return caught.value.errno


def log_of(node: Node) -> str:
    return (node.library.base / f"{node.name}-state" / "lyts" / "mount.log").read_text()


class Opening(threading.Thread):
    """Reads a file in a thread of its own."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.found: bytes | None = None
        self.start()

    def run(self) -> None:
        self.found = self.path.read_bytes()


def test_opening_a_file_brings_it_here_within_limits_and_others_go_on_meanwhile(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "tablet"]) as library:
        laptop, tablet = library
        data = os.urandom(3 * MIB)
        film = laptop.add("film.bin", data, "video")
        small = {name: laptop.add(name, name.encode() * 10, "video") for name in ("a.txt", "b.txt", "c.txt")}
        laptop.add("large.bin", bytes(9 * MIB), "video")
        until(lambda: len(tablet.ids()) == 5, "known on the tablet")
        fetches(tablet, fetch_files=3, fetch_mib=8, fetch_wait_s=600)
        with mounted(tablet) as at:
            folder = at / "tags/video"
            laptop.kill_daemon()  # so that the bytes cannot come yet
            waiting = [Opening(folder / "film.bin"), Opening(folder / "film.bin")]
            until(lambda: "tablet" in tablet.lyts("find", "--json", "name=film.bin"), "the wish is stated")
            # Meanwhile the mount answers: names, attributes, and what is here.
            assert sorted(os.listdir(folder)) == ["a.txt", "b.txt", "c.txt", "film.bin", "large.bin"]
            assert (folder / "film.bin").stat().st_size == 3 * MIB
            (at / "tags/video/new.txt").write_bytes(b"made meanwhile")
            assert (at / "tags/video/new.txt").read_bytes() == b"made meanwhile"
            assert all(one.is_alive() for one in waiting)
            laptop.start_daemon()
            for one in waiting:
                one.join(60)
                assert one.found == data
            library.until_placed(film, "laptop", "tablet", data=data)
            # Both opens were one; two more are allowed within this minute, and no large one ever.
            assert (folder / "a.txt").read_bytes() == b"a.txt" * 10
            assert refused(folder / "large.bin") == errno.ENODATA
            with open(folder / "b.txt", "r+b") as file:  # to write, too: what is there is to be kept
                assert file.read() == b"b.txt" * 10
            assert refused(folder / "c.txt") == errno.ENODATA
            library.until_placed(small["a.txt"], "laptop", "tablet")
            assert tablet.placed(small["c.txt"]) == {}
            log = log_of(tablet)
            assert "larger than the 8 MiB of fetch_mib" in log
            assert f"lyts restore {small['c.txt'][:8]}" in log
        # It was not what a person did: undo goes to the last thing that was.
        assert "brought here when it was opened" in tablet.lyts("where", "film.bin")
        assert "film.bin" not in tablet.lyts("undo", "--dry-run")


def test_what_cannot_come_is_told_at_once_or_in_time(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "tablet"]) as library:
        laptop, tablet = library
        guid = laptop.add("song.txt", b"la la\n", "music")
        laptop.add("other.txt", b"other\n", "music")
        until(lambda: len(tablet.ids()) == 2, "known on the tablet")
        with mounted(tablet) as at:  # without the setting it is said where the file is
            assert refused(at / "tags/music/song.txt") == errno.ENODATA
            assert os.getxattr(at / "tags/music/song.txt", "user.lyts.holds") == b"laptop"
            assert f"laptop has them. To bring them here: lyts restore {guid[:8]}" in log_of(tablet)
        assert tablet.face(guid).holds == {laptop.guid}
        fetches(tablet, fetch_wait_s=1)
        with mounted(tablet) as at:
            song = at / "tags/music/song.txt"
            library.part(laptop, tablet)
            until(lambda: json.loads(tablet.lyts("where", "--json", guid))[0]["connected"] == [], "apart")
            assert refused(song) == errno.ENODATA
            assert "none of them is connected now" in log_of(tablet)
            assert tablet.face(guid).holds == {laptop.guid}  # nothing was stated
            laptop.kill_daemon()
            library.part(laptop, tablet, parted=False)
            library.wait_connected()
            until(lambda: refused(song) == errno.ETIMEDOUT, "begun, and not there in time")
            assert tablet.face(guid).holds == {laptop.guid, tablet.guid}
            laptop.start_daemon()
            library.until_placed(guid, "laptop", "tablet", data=b"la la\n")
            assert song.read_bytes() == b"la la\n"
            tablet.stop()
            until(lambda: refused(at / "tags/music/other.txt") == errno.ENODATA and "sync up" in log_of(tablet), "down")
            assert song.read_bytes() == b"la la\n"
