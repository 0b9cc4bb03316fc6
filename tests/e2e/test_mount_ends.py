"""Mounts that end: killed, told to, or with a full disk beneath; nothing that was closed is lost."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.mounting import Mounting, eventually, mounted, need_fuse, refused

_WRITES = """
import os, sys
folder = sys.argv[1]
fd = os.open(folder + "/fsynced.txt", os.O_CREAT | os.O_WRONLY)
os.write(fd, b"safe")
os.fsync(fd)
with open(folder + "/closed.txt", "w") as file:
    file.write("closed")
part = os.open(folder + "/film.part", os.O_CREAT | os.O_WRONLY)
os.write(part, b"half a film")
old = os.open(folder + "/old.txt", os.O_RDWR)
os.write(old, b"changed in place")
os.fsync(old)
print("written", flush=True)
number = 0
while True:
    number += 1
    os.write(part, b"x" * 4096)
    with open(f"{folder}/many {number}.txt", "w") as file:
        file.write(str(number))
    print(number, flush=True)
"""


def test_after_kill_9_while_writing_the_store_is_whole_and_newborns_come_back(mount: Mounting, folder: Path) -> None:
    mount.put("tags/work/old.txt", "old")
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITES, folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert writer.stdout is not None
    closed = 0
    for line in writer.stdout:
        closed = int(line) if line != "written\n" else 0
        if closed == 20:
            break
    mount.crash()
    closed = max([closed, *(int(line) for line in writer.stdout if line.endswith("\n"))])
    writer.wait(30)
    writer.stdout.close()
    mount.start()
    assert mount.read("tags/work/fsynced.txt") == b"safe"
    assert mount.read("tags/work/closed.txt") == b"closed"
    assert mount.read("tags/work/film.part").startswith(b"half a film")
    assert mount.read("tags/work/old.txt") == b"changed in place"
    for number in range(1, closed + 1):
        assert mount.read(f"tags/work/many {number}.txt") == str(number).encode()
    assert not [name for name in mount.ls("untagged") if name.startswith("recovered")]
    mount.lyts.check()


_SAVES = """
import os, sys
folder, number = sys.argv[1], 0
while True:
    number += 1
    with open(f"{folder}/.doc.txt.AbCdEf", "w") as file:
        file.write(f"saved {number}")
    os.rename(f"{folder}/.doc.txt.AbCdEf", f"{folder}/doc.txt")
    print(number, flush=True)
"""


def test_a_mount_killed_amid_saves_can_be_mounted_again_and_frees_who_waited(
    mount: Mounting, folder: Path, rounds: Callable[[int, int], int]
) -> None:
    guid = mount.put("tags/work/doc.txt", "old")
    for _ in range(rounds(2, 50)):
        saver = subprocess.Popen([sys.executable, "-c", _SAVES, folder], stdout=subprocess.PIPE, text=True)
        assert saver.stdout is not None
        saved = next((int(line) for line in saver.stdout if int(line) >= 15), None)
        assert saved is not None, "a save failed while the mount was well; what it said is on stderr"
        mount.crash()
        mount.start()
        saved = max([saved, *(int(line) for line in saver.stdout if line.endswith("\n"))])
        saver.wait(30)
        saver.stdout.close()
        assert mount.guid("tags/work/doc.txt") == guid
        assert int(mount.read("tags/work/doc.txt").removeprefix(b"saved ")) in (saved, saved + 1)
        assert set(mount.ls("tags/work")) <= {"doc.txt", ".doc.txt.AbCdEf"}
        mount.lyts.check()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_mount_cleanly_with_files_open(mount: Mounting, folder: Path, sent: signal.Signals) -> None:
    fd = os.open(folder / "open.txt", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"still open")
    reader = os.open(folder / "open.txt", os.O_RDONLY)
    try:
        mount.stop(sent)
    finally:
        for one in (fd, reader):
            try:
                os.close(one)
            except OSError as exc:
                assert exc.errno in (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO)
    mount.start()
    assert mount.read("tags/work/open.txt") == b"still open"


def test_the_covered_folder_is_closed_while_nothing_is_mounted(mount: Mounting) -> None:
    mount.stop()
    assert mount.at.stat().st_mode & 0o777 == 0o300
    mount.start()
    assert "tags" in mount.ls("")


def test_two_mounts_of_one_store_leave_each_others_newborns_alone(mount: Mounting, tmp_path: Path) -> None:
    (mount / "tags/work").mkdir()
    with open(mount / "tags/work/one.part", "wb") as one:
        one.write(b"half")
        one.flush()
        other = Mounting.__new__(Mounting)
        other.__dict__.update(mount.__dict__, at=tmp_path / "second", process=None)
        other.start()
        try:
            other.put("untagged/two", "2")
            eventually(lambda: mount.read("untagged/two") == b"2")
            one.write(b" and half")
        finally:
            other.stop()
            other.kill()
    assert mount.read("tags/work/one.part") == b"half and half"


@pytest.mark.needs_root
def test_a_full_disk_is_said_and_reading_and_removing_go_on(tmp_path: Path) -> None:
    need_fuse()
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], check=False).returncode:
        pytest.skip("NOT TESTED: a small tmpfs needs root and the right to mount")
    try:
        with mounted(disk, log=tmp_path / "mount.log") as mount:
            mount.expected = ["ENOSPC", "No space", "disk is full", "not stated yet", "full"]
            (mount / "tags/work").mkdir()
            mount.put("tags/work/doc", "before")
            big = os.open(mount / "tags/work/big", os.O_CREAT | os.O_WRONLY)
            refused(errno.ENOSPC, lambda: [os.write(big, bytes(1 << 20)) for _ in range(64)])
            _close_on_a_full_disk(mount, big)
            assert mount.read("tags/work/doc") == b"before"
            assert "doc" in mount.ls("tags/work")
            (mount / "tags/work/doc").unlink()
            assert "doc" not in mount.ls("tags/work")
            assert mount.read("trash/doc") == b"before"
            for name in ("big", "more"):
                if name in mount.ls("tags/work"):
                    (mount / f"tags/work/{name}").unlink()
            # What was written in part is in the trash like anything else; emptying it makes room.
            mount.lyts.quick("trash", "empty", "--yes", code=None)
            eventually(lambda: _can_write(mount / "tags/work/after"))
            assert mount.read("tags/work/after") == b"after"
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def _can_write(path: Path) -> bool:
    try:
        path.write_bytes(b"after")
    except OSError:
        return False
    return True


def _close_on_a_full_disk(mount: Mounting, fd: int) -> None:
    """A birth takes a line of the ledger: there is room for it, and then it is stated, or the program is told."""
    try:
        os.close(fd)
    except OSError as exc:
        assert exc.errno == errno.ENOSPC
        return
    ledger = b"".join(path.read_bytes() for path in (mount.lyts.store / "ledgers/laptop").glob("*.jsonl"))
    assert b'"name":"big"' in ledger
