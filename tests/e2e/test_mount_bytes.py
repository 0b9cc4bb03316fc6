"""Bytes below the mount, as on ext4: databases, mappings, locks, sparse files, and those open while another saves."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.mounting import WATCH_S, Mounting, eventually, refused

# -- databases

_WRITER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
db.execute(f"pragma journal_mode={sys.argv[4]}")
for number in range(int(sys.argv[3])):
    db.execute("begin immediate")
    db.execute("insert into words values (?, ?)", (sys.argv[2], number))
    db.execute("commit")
"""


@pytest.mark.parametrize("journal", ["wal", "delete", "persist"])
def test_sqlite_with_three_writers_keeps_every_row(mount: Mounting, folder: Path, journal: str) -> None:
    database = folder / "words.sqlite"
    with sqlite3.connect(database) as db:
        assert db.execute(f"pragma journal_mode={journal}").fetchone() == (journal,)
        db.execute("create table words (who text, number int)")
    db.close()
    guid = mount.guid("tags/work/words.sqlite")
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, database, who, "40", journal], stderr=subprocess.PIPE)
        for who in "abc"
    ]
    said = [writer.communicate(timeout=60)[1] for writer in writers]
    assert said == [b"", b"", b""]
    with sqlite3.connect(database) as db:
        assert db.execute("select count(*), count(distinct who) from words").fetchone() == (120, 3)
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    db.close()
    assert mount.guid("tags/work/words.sqlite") == guid
    beside = ["words.sqlite-journal"] if journal == "persist" else []
    assert mount.ls("tags/work") == ["words.sqlite", *beside]
    assert mount.ls("all") == ["words.sqlite"]
    assert mount.trash() == []


def test_what_a_database_keeps_beside_it_goes_with_it(mount: Mounting, folder: Path) -> None:
    database = folder / "words.sqlite"
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("pragma journal_mode=persist")
    db.execute("create table words (who text)")
    db.close()
    assert mount.ls("tags/work") == ["words.sqlite", "words.sqlite-journal"]
    database.rename(folder / "other.sqlite")
    assert mount.ls("tags/work") == ["other.sqlite", "other.sqlite-journal"]
    (mount / "tags/kept").mkdir()
    (folder / "other.sqlite").rename(mount / "tags/kept/other.sqlite")
    assert mount.ls("tags/kept") == ["other.sqlite", "other.sqlite-journal"]
    assert mount.ls("tags/work") == []


# -- bytes


def test_a_shared_mapping_is_seen_by_all_and_stays(mount: Mounting, folder: Path) -> None:
    doc = folder / "doc.bin"
    doc.write_bytes(bytes(8192))
    fds = [os.open(doc, os.O_RDWR) for _ in range(2)]
    maps = [mmap.mmap(fd, 8192) for fd in fds]
    maps[0][4096:4101] = b"hello"
    assert maps[1][4096:4101] == b"hello"
    maps[0].flush()
    assert os.pread(fds[1], 5, 4096) == b"hello"
    maps[1][:3] = b"end"
    for fd in fds:
        os.close(fd)
    for one in maps:
        one.close()
    assert doc.read_bytes() == b"end" + bytes(4093) + b"hello" + bytes(4091)
    eventually(lambda: mount.lyts.quick("fsck", "--deep", code=None).code == 0)


def test_flock_and_record_locks_keep_others_out(folder: Path) -> None:
    doc = folder / "doc"
    doc.write_text("x")
    with open(doc, "rb+") as one, open(doc, "rb+") as other:
        fcntl.flock(one, fcntl.LOCK_EX)
        refused(errno.EAGAIN, fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(one, fcntl.LOCK_UN)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        child = subprocess.run(
            [sys.executable, "-c", "import fcntl,sys; fcntl.lockf(open(sys.argv[1],'rb+'), fcntl.LOCK_EX|4)", doc],
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert b"BlockingIOError" in child.stderr


def test_appending_programs_do_not_write_over_each_other(
    mount: Mounting, folder: Path, rounds: Callable[[int, int], int]
) -> None:
    log = folder / "log.txt"
    log.touch()
    times = rounds(40, 500)
    program = (
        f"import sys\nfor n in range({times}):\n with open(sys.argv[1],'a') as f: f.write(sys.argv[2] * 9 + '\\n')"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, log, who]) for who in "abc"]
    assert [one.wait(WATCH_S) for one in running] == [0, 0, 0]
    lines = log.read_text().splitlines()
    assert sorted(lines) == ["aaaaaaaaa"] * times + ["bbbbbbbbb"] * times + ["ccccccccc"] * times


def test_a_sparse_file_stays_sparse_and_has_its_size(mount: Mounting, folder: Path) -> None:
    with open(folder / "sparse", "wb") as file:
        file.truncate(1 << 30)
        file.seek(1 << 29)
        file.write(b"here")
        assert os.fstat(file.fileno()).st_size == 1 << 30
        assert os.fstat(file.fileno()).st_blocks < 1000
        file.truncate(1 << 24)
    assert (folder / "sparse").stat().st_size == 1 << 24


def test_truncate_shorter_and_longer(mount: Mounting, folder: Path) -> None:
    doc = folder / "doc"
    doc.write_bytes(b"0123456789")
    os.truncate(doc, 4)
    assert doc.read_bytes() == b"0123"
    os.truncate(doc, 6)
    assert doc.read_bytes() == b"0123\0\0"
    with open(doc, "rb+") as file:
        file.truncate(2)
        file.seek(4)
        file.write(b"x")
    assert doc.read_bytes() == b"01\0\0x"
    assert mount.facts()[mount.guid("tags/work/doc")]["size_bytes"] == 5


@pytest.mark.parametrize("born", [False, True], ids=["never closed", "a file of the library"])
def test_a_file_unlinked_while_open_can_be_written_and_read(mount: Mounting, folder: Path, born: bool) -> None:
    fd = os.open(folder / "doc", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"before")
    if born:
        os.close(fd)
        fd = os.open(folder / "doc", os.O_RDWR)
    (folder / "doc").unlink()
    refused(errno.ENOENT, os.stat, folder / "doc")
    os.pwrite(fd, b"after!", 6)
    assert os.pread(fd, 100, 0) == b"beforeafter!"
    os.ftruncate(fd, 9)
    assert os.fstat(fd).st_size == 9
    os.fsync(fd)
    # Not shorter than the old one: where the name goes to the same file again, the kernel has one size for both.
    (folder / "doc").write_bytes(b"another one")
    assert os.pread(fd, 9, 0) == b"beforeaft"
    os.close(fd)
    assert (folder / "doc").read_bytes() == b"another one"
    assert mount.ls("tags/work") == ["doc"]


def test_a_temporary_file_unlinked_while_open_leaves_nothing(mount: Mounting, folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"scratch")
        file.seek(0)
        assert file.read() == b"scratch"
    assert mount.ls("tags/work") == mount.ls("all") == mount.trash() == []


def test_direct_io_is_answered(mount: Mounting, folder: Path) -> None:
    doc = folder / "doc"
    mount.run("dd", "if=/dev/zero", f"of={doc}", "bs=4096", "count=8", "oflag=direct")
    mount.run("dd", f"if={doc}", "of=/dev/null", "bs=4096", "iflag=direct")
    mount.run("dd", "if=/dev/zero", f"of={doc}", "bs=1000", "count=3", "oflag=direct", "conv=notrunc")
    assert doc.read_bytes() == bytes(8 * 4096)


def test_copy_file_range_copies(mount: Mounting, folder: Path) -> None:
    (folder / "one").write_bytes(b"0123456789" * 1000)
    with open(folder / "one", "rb") as source, open(folder / "two", "wb") as target:
        left = 10_000
        while left:
            left -= os.copy_file_range(source.fileno(), target.fileno(), left)
    assert (folder / "two").read_bytes() == b"0123456789" * 1000


def test_a_reader_keeps_the_bytes_it_opened_while_the_file_is_saved_anew(mount: Mounting, folder: Path) -> None:
    doc = folder / "doc"
    doc.write_bytes(b"a" * 300_000)
    with open(doc, "rb", buffering=0) as reader:
        assert reader.read(10) == b"a" * 10
        (folder / "new").write_bytes(b"b" * 300_000)
        (folder / "new").rename(doc)
        reader.seek(200_000)
        assert set(reader.read()) == {ord("a")}
        eventually(lambda: doc.read_bytes() == b"b" * 300_000)


def test_what_is_written_to_a_file_that_was_saved_anew_meanwhile_is_kept_beside_it(
    mount: Mounting, folder: Path
) -> None:
    doc = folder / "doc.txt"
    doc.write_bytes(b"first")
    with open(doc, "rb+") as writer:
        (folder / "new").write_bytes(b"second")
        (folder / "new").rename(doc)
        writer.write(b"mine!")
    eventually(lambda: len(mount.ls("tags/work")) == 2)
    assert doc.read_bytes() == b"second"
    (other,) = set(mount.ls("tags/work")) - {"doc.txt"}
    assert other.startswith("doc (laptop, ")
    assert mount.read(f"tags/work/{other}") == b"mine!"
    assert mount.tags(f"tags/work/{other}") == ["conflict", "work"]
    assert b"first" in mount.kept().values()


def test_a_backup_that_is_written_to_leaves_the_version_as_it_was(mount: Mounting, folder: Path) -> None:
    (folder / "doc").write_bytes(b"first")
    (folder / "doc").rename(folder / "doc~")
    (folder / "doc").write_bytes(b"second")
    eventually(lambda: mount.read("tags/work/doc~") == b"first")  # the kernel has to be told which file that is now
    with open(folder / "doc~", "rb+") as file:
        file.write(b"WRONG")
    kept = {data for path, data in mount.kept().items() if path.startswith("keep")}
    assert kept == {b"first"}
    assert mount.read("tags/work/doc~") == b"WRONG"
    assert mount.read("tags/work/doc") == b"second"
