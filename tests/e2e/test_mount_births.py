"""Many files made in a row: acknowledged one by one, indexed together, whatever comes between."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.mounting import Mounting, eventually, mounted, need_fuse

SOON_S = 5
"""Within a second, is the promise; a busy machine is slow, not wrong."""

_STORM = """
import os, sys
folder, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for number in range(first, first + count):
    fd = os.open(f"{folder}/{number}.txt", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.write(fd, str(number).encode() * 100)
    os.close(fd)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def storm(folder: Path, first: int, count: int) -> subprocess.Popen[str]:
    """A program that makes files and says the number of each once it is closed."""
    return subprocess.Popen(
        [sys.executable, "-c", _STORM, folder, str(first), str(count)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def all_there(mount: Mounting, numbers: range, tag: str = "work") -> None:
    names = {f"{number}.txt" for number in numbers}
    assert names <= set(mount.ls(f"tags/{tag}"))
    for number in numbers:
        assert mount.read(f"tags/{tag}/{number}.txt") == str(number).encode() * 100
    found = {one["name"]: one for one in mount.facts().values()}
    assert names <= set(found)
    assert all(found[name]["tags"] == [tag] for name in names)


def born_twice(mount: Mounting) -> list[str]:
    lines = [
        json.loads(line)
        for path in (mount.lyts.store / "ledgers/laptop").glob("*.jsonl")
        for line in path.read_bytes().splitlines()
    ]
    births = Counter(line["file"] for line in lines if "made" in line)
    return [guid for guid, count in births.items() if count > 1]


def test_every_file_whose_close_returned_is_there_after_the_mount_is_killed_amid_births(
    mount: Mounting, folder: Path, rounds: Callable[[int, int], int]
) -> None:
    first = 0
    for number in range(rounds(3, 60)):
        running = storm(folder, first, 10_000)
        assert running.stdout is not None
        until = first + 5 + number * 37 % 150
        closed = next(int(line) for line in running.stdout if int(line) >= until)
        mount.crash()
        closed = max([closed, *(int(line) for line in running.stdout if line.endswith("\n"))])
        running.wait(30)
        running.stdout.close()
        mount.start()
        all_there(mount, range(closed + 1))
        assert set(mount.ls("tags/work")) <= {f"{n}.txt" for n in range(closed + 2)}
        assert not [name for name in mount.ls("untagged") if name.startswith("recovered")]
        assert born_twice(mount) == []
        first = closed + 2
        (folder / f"{closed + 1}.txt").write_text(str(closed + 1) * 100)  # which was being made
        mount.lyts.check()


def test_commands_see_every_file_as_soon_as_it_is_closed_and_tag_it_amid_a_storm(
    mount: Mounting, folder: Path, rounds: Callable[[int, int], int]
) -> None:
    many = rounds(1200, 3000)
    running = storm(folder, 0, many)
    assert running.stdout is not None
    for line in running.stdout:
        number = int(line)
        if number % 500 == 100:
            names = mount.lyts.names("work", f"name={number}.txt")
            assert names == [f"{number}.txt"]
            mount.lyts.quick("tag", "seen", f"{number}.txt")
            eventually(lambda number=number: mount.tags(f"tags/work/{number}.txt") == ["seen", "work"], SOON_S)
    assert running.wait(60) == 0
    running.stdout.close()
    assert len(mount.ls("tags/work")) == many
    seen = sorted(f"{number}.txt" for number in range(100, many, 500))
    eventually(lambda: len(mount.ls("tags/seen")) == len(seen), SOON_S)
    assert sorted(mount.ls("tags/seen")) == seen


def test_two_mounts_of_one_store_make_files_at_once(
    mount: Mounting, folder: Path, tmp_path: Path, rounds: Callable[[int, int], int]
) -> None:
    many = rounds(200, 600)
    other = Mounting.__new__(Mounting)
    other.__dict__.update(mount.__dict__, at=tmp_path / "second", process=None)
    other.start()
    try:
        firsts = [(0, mount), (10_000, other), (20_000, mount)]
        running = [storm(one / "tags/work", first, many) for first, one in firsts]
        assert [len(one.communicate(timeout=100)[0].split()) for one in running] == [many] * 3
        for first, _ in firsts:
            numbers = range(first, first + many)
            eventually(lambda numbers=numbers: {f"{n}.txt" for n in numbers} <= set(other.ls("tags/work")))
            all_there(mount, numbers)
    finally:
        other.stop()
        other.kill()


def test_undo_takes_back_a_whole_storm(mount: Mounting, folder: Path) -> None:
    mount.put("tags/work/before.txt", "before")
    mount.run("sleep", "2.2")  # another action
    running = storm(folder, 0, 400)
    assert len(running.communicate(timeout=60)[0].split()) == 400
    mount.lyts.quick("undo")
    assert [one["name"] for one in mount.facts().values()] == ["before.txt"]
    eventually(lambda: mount.ls("tags/work") == ["before.txt"])
    mount.lyts.quick("redo")
    all_there(mount, range(400))


def test_a_full_map_amid_births_grows_and_loses_none(tmp_path: Path) -> None:
    with mounted(tmp_path, "map=524288") as mount:
        (mount / "tags/work").mkdir()
        running = storm(mount / "tags/work", 0, 3000)
        assert len(running.communicate(timeout=100)[0].split()) == 3000
        assert os.path.getsize(mount.lyts.store / "index/data.mdb") > 524288
        all_there(mount, range(3000))


@pytest.mark.needs_root
def test_a_full_disk_amid_births_loses_no_file_that_was_closed(tmp_path: Path) -> None:
    need_fuse()
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], check=False).returncode:
        pytest.skip("NOT TESTED: a small tmpfs needs root and the right to mount")
    try:
        with mounted(disk, log=tmp_path / "mount.log") as mount:
            mount.expected = ["ENOSPC", "No space", "disk is full", "not stated yet", "full"]
            (mount / "tags/work").mkdir()
            filler = disk / "filler"
            filler.write_bytes(bytes((os.statvfs(disk).f_bavail - 300) * 4096))
            closed, refused = [], 0
            for number in range(2000):
                try:
                    fd = os.open(mount / f"tags/work/{number}.txt", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                    try:
                        os.write(fd, str(number).encode() * 100)
                    finally:
                        os.close(fd)
                except OSError as exc:
                    assert exc.errno == errno.ENOSPC
                    refused += 1
                    if refused > 20:
                        break
                else:
                    closed.append(number)
            assert refused > 20
            assert closed
            for number in closed[:: len(closed) // 10 or 1]:
                assert mount.read(f"tags/work/{number}.txt") == str(number).encode() * 100
            filler.unlink()
            eventually(
                lambda: {f"{number}.txt" for number in closed} <= {one["name"] for one in mount.facts().values()}
            )
            for number in closed:
                assert mount.read(f"tags/work/{number}.txt") == str(number).encode() * 100
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


# -- a file that was just born is a file like any other


def test_what_was_just_made_can_be_removed_renamed_and_changed_at_once(mount: Mounting, folder: Path) -> None:
    for number in range(30):
        path = folder / f"{number}.txt"
        path.write_text("made")
        if number % 6 == 0:
            path.unlink()
        elif number % 6 == 1:
            path.rename(folder / f"renamed {number}.txt")
        elif number % 6 == 2:
            path.chmod(0o600)
            assert path.stat().st_mode & 0o777 == 0o600
        elif number % 6 == 3:
            os.utime(path, ns=(10**18, 10**18))
            assert path.stat().st_mtime_ns == 10**18
        elif number % 6 == 4:
            with open(path, "a") as file:
                file.write(" and more")
            assert path.read_text() == "made and more"
        else:
            os.setxattr(path, "user.xdg.comment", b"words")
            assert os.getxattr(path, "user.xdg.comment") == b"words"
    left = [n for n in range(30) if n % 6]
    assert set(mount.ls("tags/work")) == {f"renamed {n}.txt" if n % 6 == 1 else f"{n}.txt" for n in left}
    assert len(mount.trash()) == 5


def test_what_was_just_made_is_seen_in_every_directory_it_is_in(mount: Mounting, folder: Path) -> None:
    (mount / "tags/other").mkdir()
    assert mount.ls("all") == []
    for number in range(10):
        (folder / f"{number}.txt").write_text("made")
        assert (mount / f"all/{number}.txt").read_text() == "made"
        (mount / f"tags/work+other/{number}.both").write_text("both")
        assert (folder / f"{number}.both").read_text() == "both"
        assert f"{number}.both" in mount.ls("tags/other")
        guid = mount.guid(f"tags/work/{number}.txt")
        assert (mount / f"tags/work/{number}~{guid[:8]}.txt").read_text() == "made"
        assert (mount / f"ids/{guid}").read_text() == "made"
    listed = mount.ls("tags/work")
    assert len(listed) == len(set(listed)) == 20


def test_a_listing_amid_births_shows_every_file_once(mount: Mounting, folder: Path) -> None:
    done = threading.Event()
    wrong: list[object] = []

    def list_on() -> None:
        while not done.is_set():
            names = os.listdir(folder)
            if len(names) != len(set(names)):
                wrong.append(names)

    lists = threading.Thread(target=list_on)
    lists.start()
    try:
        for number in range(300):
            (folder / f"{number}.txt").write_text("made")
            if number % 50 == 0 and f"{number}.txt" not in os.listdir(folder):
                wrong.append(number)
    finally:
        done.set()
        lists.join()
    assert wrong == []
    assert len(mount.ls("tags/work")) == 300


def test_a_shell_that_writes_on_after_a_copy_of_its_descriptor_was_closed(mount: Mounting, folder: Path) -> None:
    mount.sh('exec 3> "$1/log"; echo one >&3; echo two >&3; sleep 0.1; echo three >&3', str(folder))
    assert mount.read("tags/work/log") == b"one\ntwo\nthree\n"
    assert [one["size_bytes"] for one in mount.facts().values()] == [14]


def test_ending_the_mount_amid_births_leaves_nothing_behind(mount: Mounting, folder: Path) -> None:
    for number in range(100):
        (folder / f"{number}.txt").write_text(str(number) * 100)
    mount.stop(signal.SIGTERM)
    assert mount.scratch() == []
    assert not [name for name in os.listdir(mount.lyts.store / "scratch") if re.match("newborns-", name)]
    mount.start()
    all_there(mount, range(100))


def test_a_removed_file_that_is_closed_takes_no_name_from_the_one_made_after_it(mount: Mounting, folder: Path) -> None:
    for number in range(20):
        fd = os.open(folder / "doc", os.O_CREAT | os.O_RDWR)
        (folder / "doc").unlink()
        (folder / "doc").write_text(f"{number}")
        os.close(fd)
        assert mount.ls("tags/work") == ["doc"]
        assert (folder / "doc").read_text() == f"{number}"
        (folder / "doc").unlink()
