"""What programs may count on below the mount: as on ext4, and where not, with the errno that says so.

Crashes, full disks and changes from beneath are in here too.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.mounting import Mounting, eventually, mounted, need_fuse

RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
AT_FDCWD = -100
SOON_S = 5
"""Within a second, is the promise; a busy machine is slow, not wrong, and bench/ measures it."""


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mounting]:
    with mounted(tmp_path) as found:
        yield found


@pytest.fixture
def folder(mount: Mounting) -> Path:
    """A result directory to work in."""
    path = mount / "tags/work"
    path.mkdir()
    return path


def rename2(old: Path, new: Path, flags: int) -> None:
    """renameat2(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(new))


def refused(number: int, do: object, *args: object) -> None:
    """`do(*args)` fails with this errno."""
    with pytest.raises(OSError, match=r".+") as caught:
        do(*args)  # type: ignore[operator]
    assert errno.errorcode[caught.value.errno or 0] == errno.errorcode[number]


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


def test_appending_programs_do_not_write_over_each_other(mount: Mounting, folder: Path) -> None:
    log = folder / "log.txt"
    log.touch()
    program = "import sys\nfor n in range(200):\n with open(sys.argv[1],'a') as f: f.write(sys.argv[2] * 9 + '\\n')"
    running = [subprocess.Popen([sys.executable, "-c", program, log, who]) for who in "abc"]
    assert [one.wait(60) for one in running] == [0, 0, 0]
    lines = log.read_text().splitlines()
    assert sorted(lines) == ["aaaaaaaaa"] * 200 + ["bbbbbbbbb"] * 200 + ["ccccccccc"] * 200


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


# -- names


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


# -- ends


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
    for _ in range(rounds(4, 50)):
        saver = subprocess.Popen(
            [sys.executable, "-c", _SAVES, folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert saver.stdout is not None
        saved = next(int(line) for line in saver.stdout if int(line) >= 15)
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


def _close_on_a_full_disk(mount: Mounting, fd: int) -> None:
    """A birth takes a line of the ledger: there is room for it, and then it is stated, or the program is told."""
    try:
        os.close(fd)
    except OSError as exc:
        assert exc.errno == errno.ENOSPC
        return
    ledger = b"".join(path.read_bytes() for path in (mount.lyts.store / "ledgers/laptop").glob("*.jsonl"))
    assert b'"name":"big"' in ledger


def _can_write(path: Path) -> bool:
    try:
        path.write_bytes(b"after")
    except OSError:
        return False
    return True


# -- changes from beneath


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
