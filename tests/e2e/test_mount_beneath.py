"""What commands change beneath a mount shows within a second; and many programs at once are all answered."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from tests.support.mounting import SOON_S, Mounting, eventually


def test_what_commands_change_shows_within_a_second_also_under_names_looked_up_before(mount: Mounting) -> None:
    lyts = mount.lyts
    for number in range(30):
        lyts.file(f"{number}.txt", str(number))
    lyts.quick("add", "-t", "music", *(str(lyts.files / f"{number}.txt") for number in range(30)))
    eventually(lambda: len(mount.ls("tags/music")) == 30, SOON_S)
    names = [mount / f"tags/music/{number}.txt" for number in range(30)]
    assert all(name.exists() for name in names)
    assert not (mount / "tags/jazz").exists()

    lyts("tag", "jazz", "0.txt")
    eventually(lambda: mount.ls("tags/jazz") == ["0.txt"] if (mount / "tags/jazz").exists() else False, SOON_S)
    lyts("untag", "music", "1.txt")
    eventually(lambda: not names[1].exists() and "1.txt" not in mount.ls("tags/music"), SOON_S)
    lyts("rename", "2.txt", "two.txt")
    eventually(lambda: not names[2].exists() and mount.read("tags/music/two.txt") == b"2", SOON_S)
    lyts("rm", "3.txt")
    eventually(lambda: not names[3].exists() and (mount / "trash/3.txt").exists(), SOON_S)
    lyts("notes", "--set", "a note", "4.txt")
    eventually(lambda: os.getxattr(names[4], "user.xdg.comment") == b"a note", SOON_S)
    lyts("tag", "live", "-q", "music")
    eventually(lambda: len(mount.ls("tags/music+live")) == 28, SOON_S)
    lyts("untag", "music", "-q", "live")
    eventually(lambda: not any(name.exists() for name in names), SOON_S)
    lyts("undo")
    eventually(lambda: sum(name.exists() for name in names) == 27, SOON_S)
    lyts("tags", "rename", "music", "sound")
    eventually(lambda: len(mount.ls("tags/sound")) == 28, SOON_S)


def test_a_directory_someone_stands_in_stays_usable_while_all_its_files_leave(mount: Mounting) -> None:
    mount.lyts.quick("add", "-t", "music", mount.lyts.file("a.txt", "a"))
    eventually(lambda: mount.ls("tags/music") == ["a.txt"])
    here = os.open(mount / "tags/music", os.O_RDONLY | os.O_DIRECTORY)
    try:
        mount.lyts("untag", "music", "a.txt")
        eventually(lambda: os.listdir(here) == [], SOON_S)
        fd = os.open("b.txt", os.O_CREAT | os.O_WRONLY, dir_fd=here)
        os.write(fd, b"b")
        os.close(fd)
        assert os.listdir(here) == ["b.txt"]
        assert os.readlink(f"/proc/self/fd/{here}") == str(mount / "tags/music")
    finally:
        os.close(here)


def test_a_file_purged_while_it_is_open_can_be_read_to_its_end(mount: Mounting) -> None:
    mount.lyts.quick("add", "-t", "music", mount.lyts.file("a.txt", "a" * 100_000))
    eventually(lambda: mount.ls("tags/music") == ["a.txt"])
    with open(mount / "tags/music/a.txt", "rb", buffering=0) as reader:
        assert reader.read(10) == b"a" * 10
        mount.lyts.quick("rm", "a.txt")
        mount.lyts.quick("trash", "empty", "--yes")
        assert len(reader.read()) > 0
    eventually(lambda: mount.ls("tags/music") == [] if (mount / "tags/music").exists() else True)


# -- many at once


def test_many_threads_reading_and_writing_at_once_are_all_answered(mount: Mounting, folder: Path) -> None:
    wrong: list[object] = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                path = folder / f"{number} {turn}.txt"
                path.write_bytes(f"{number} {turn}".encode() * 50)
                assert path.read_bytes() == f"{number} {turn}".encode() * 50
                os.listdir(folder)
                path.rename(folder / f"{number} {turn} done.txt")
        except (OSError, AssertionError) as exc:
            wrong.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert len(mount.ls("tags/work")) == 160
