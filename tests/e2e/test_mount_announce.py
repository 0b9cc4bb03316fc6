"""Who watches a directory of the mount hears of what a command did, and nothing is done by telling."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tagfs.mount import point
from tests.support.command import START
from tests.support.mounting import Mounting, eventually, mounted
from tests.support.watching import IN_ATTRIB, IN_CREATE, Event, Watch

WITHIN_S = 1.0


def add(mount: Mounting, *names: str, tags: str = "music") -> None:
    mount.lyts.quick("add", "-t", tags, *[mount.lyts.file(name) for name in names])


def ledgers(mount: Mounting) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (mount.lyts.store / "ledgers").rglob("*.jsonl")}


def test_a_watcher_hears_of_a_tag_that_another_process_set_and_nothing_else_happens(tmp_path: Path) -> None:
    with mounted(tmp_path) as mount:
        add(mount, "song.flac", "other.flac")
        add(mount, "old.flac", tags="music,jazz")
        before = os.stat(mount / "tags/music/song.flac")
        os.listdir(mount / "tags/jazz")
        watch = Watch(mount / "tags/jazz")
        mount.lyts("tag", "jazz", "song.flac")
        stated = ledgers(mount)
        wanted = Event(IN_CREATE, "song.flac")
        assert wanted in watch.events(WITHIN_S, wanted)
        assert [event for event in watch.events(WITHIN_S) if event.name == "song.flac"] == []  # once
        after = os.stat(mount / "tags/jazz/song.flac")
        for what in ("st_ino", "st_mode", "st_nlink", "st_size", "st_mtime_ns"):
            assert getattr(after, what) == getattr(before, what), what
        assert ledgers(mount) == stated
        assert mount.ls("tags/jazz") == ["old.flac", "song.flac"]
        assert len(mount.ls("all")) == 3
        watch.close()


def test_a_watcher_hears_of_a_changed_and_of_a_renamed_file(tmp_path: Path) -> None:
    with mounted(tmp_path) as mount:
        add(mount, "song.flac")
        assert mount.ls("tags/music") == ["song.flac"]
        watch = Watch(mount / "tags/music")
        mount.lyts("notes", "song.flac", "--set", "good")
        changed = Event(IN_ATTRIB, "song.flac")
        assert changed in watch.events(WITHIN_S, changed)
        mount.lyts("rename", "song.flac", "tune.flac")
        came = Event(IN_CREATE, "tune.flac")
        assert came in watch.events(WITHIN_S, came)
        watch.close()


def test_a_twin_under_its_long_name_is_announced_too(tmp_path: Path) -> None:
    with mounted(tmp_path) as mount:
        add(mount, "a/song.flac", tags="jazz")
        add(mount, "b/song.flac", tags="music")
        assert mount.ls("tags/jazz") == ["song.flac"]
        watch = Watch(mount / "tags/jazz")
        mount.lyts("tag", "jazz", "-q", "music")
        (long,) = set(mount.ls("tags/jazz")) - {"song.flac"}
        assert any(event.name == long for event in watch.events(WITHIN_S, Event(IN_ATTRIB, long)))
        watch.close()


def test_what_a_program_does_through_the_mount_is_heard_once_where_it_is_done(tmp_path: Path) -> None:
    with mounted(tmp_path) as mount:
        mount.sh("mkdir tags/jazz")
        assert mount.ls("tags/jazz") == mount.ls("all") == []
        here, elsewhere = Watch(mount / "tags/jazz"), Watch(mount / "all")
        mount.put("tags/jazz/song.txt", "one\n")
        there = Event(IN_CREATE, "song.txt")
        assert there in elsewhere.events(WITHIN_S, there)
        heard = here.events(WITHIN_S)
        assert heard.count(there) == 1
        assert not [event for event in heard if event.mask & IN_ATTRIB]
        here.close()
        elsewhere.close()


@pytest.mark.parametrize("how", ["read-only"])
def test_nothing_is_announced_where_the_kernel_would_refuse_it(tmp_path: Path, how: str) -> None:
    with mounted(tmp_path, how) as mount:
        add(mount, "song.flac")
        os.listdir(mount / "all")
        watch = Watch(mount / "all")
        add(mount, "tune.flac")
        assert watch.events(0.7) == []
        assert mount.ls("all") == ["song.flac", "tune.flac"]
        watch.close()


@pytest.mark.parametrize("by", ["signal", "umount"])
def test_a_mount_ends_well_in_the_midst_of_announcing(tmp_path: Path, by: str) -> None:
    """Several times, at moments that differ: commands go on tagging in other processes meanwhile."""
    with mounted(tmp_path) as mount:
        names = [f"song {number}.flac" for number in range(60)]
        add(mount, *names)
        for round_ in range(2):
            mount.lyts.quick("tags", "make", f"jazz{round_}")
            directories = [f"tags/jazz{round_}", f"tags/music+-jazz{round_}", "all", "recent", "tags/music"]
            made = mount / f"tags/jazz{round_}"
            eventually(made.is_dir)  # made by another process: there within a second
            for directory in directories:
                mount.ls(directory)
            watch = Watch(made)
            program = subprocess.Popen(
                [*START, "tag", f"jazz{round_}", "-q", "music"], env=mount.lyts.env, stdout=subprocess.DEVNULL
            )
            eventually(lambda watch=watch: watch.events(0.05) != [])  # type: ignore[misc]
            watch.close()
            if by == "signal":
                mount.stop()
            else:
                point.unmount(str(mount.at))
                assert mount.process is not None
                out, _ = mount.process.communicate(timeout=30)
                assert (mount.process.returncode, out) == (0, b"ended\n")
                mount.process = None
            assert program.wait(30) == 0
            mount.start()
            assert mount.ls(f"tags/jazz{round_}") == sorted(names)
