"""Copies made ahead, with real files and the real thread; and the copying itself."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

pytest.importorskip("pyfuse3", reason="NOT TESTED: pyfuse3 is missing (pip install 'lyts[mount]')")

import trio

from tagfs import bytes as taking
from tagfs.bytes import CannotTake, copy
from tagfs.errors import DiskFull
from tagfs.mount import copies
from tagfs.mount.copies import AT_ONCE_BYTES, Copies

SIZE = AT_ONCE_BYTES * 4


@pytest.fixture
def made(tmp_path: Path) -> Copies:
    (tmp_path / "scratch").mkdir()
    return Copies(str(tmp_path / "scratch"), os.urandom)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(SIZE))
    return path


def scratch(tmp_path: Path) -> list[str]:
    return os.listdir(tmp_path / "scratch")


def never(source: str, into: str) -> None:
    raise AssertionError(f"{source} was copied then and there")


# -- copying


def test_a_copy_has_bytes_time_and_attributes(source: Path, tmp_path: Path) -> None:
    os.utime(source, ns=(1, 1_234_567_890_123_456_789))
    os.setxattr(source, "user.note", b"x")
    copy(str(source), str(tmp_path / "to"))
    assert (tmp_path / "to").read_bytes() == source.read_bytes()
    assert os.stat(tmp_path / "to").st_mtime_ns == 1_234_567_890_123_456_789
    assert os.getxattr(tmp_path / "to", "user.note") == b"x"
    assert os.stat(tmp_path / "to").st_mode & 0o777 == 0o600


@pytest.mark.parametrize("in_kernel", [True, False])
@pytest.mark.parametrize("ends_in_hole", [True, False])
def test_holes_stay_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_kernel: bool, ends_in_hole: bool) -> None:
    if not in_kernel:

        def refuse(*_: object) -> int:
            raise OSError(errno.EXDEV, "not here")

        monkeypatch.setattr(os, "copy_file_range", refuse)
    path, to = tmp_path / "holes", tmp_path / "to"
    with open(path, "wb") as file:
        for at in (0, 10 << 20, 30 << 20):
            file.seek(at)
            file.write(os.urandom(100_000))
        if ends_in_hole:
            file.truncate(64 << 20)
    copy(str(path), str(to))
    assert to.read_bytes() == path.read_bytes()
    assert os.stat(to).st_blocks * 512 < 2 << 20


def test_a_reflink_is_all_there_is_to_do_where_there_are_some(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the file system that has none is told from one that has: what the kernel would do is done by the test."""
    asked = []

    def ioctl(out: int, what: int, fd: int) -> int:
        asked.append(what)
        os.pwrite(out, os.pread(fd, SIZE, 0), 0)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    monkeypatch.setattr(taking, "_copy_data", never)
    copy(str(source), str(tmp_path / "to"))
    assert asked == [taking.FICLONE]
    assert (tmp_path / "to").read_bytes() == source.read_bytes()


def test_a_source_that_is_written_to_meanwhile_is_not_copied(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.copy_file_range

    def copy_file_range(fd: int, out: int, length: int, at: int, to: int) -> int:
        os.utime(source, ns=(0, at + 1))
        return real(fd, out, length, at, to)

    monkeypatch.setattr(os, "copy_file_range", copy_file_range)
    with pytest.raises(CannotTake, match="changed"):
        copy(str(source), str(tmp_path / "to"))
    assert not (tmp_path / "to").exists()


# -- ahead


def test_what_was_copied_ahead_is_not_copied_again(
    made: Copies, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with made.ahead([str(source)]):
            monkeypatch.setattr(copies, "copy", never)
            made.put(str(source), str(tmp_path / "to"))
        assert scratch(tmp_path) == []

    trio.run(run)
    assert (tmp_path / "to").read_bytes() == source.read_bytes()


def test_a_copy_that_nobody_needed_is_removed(made: Copies, source: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with made.ahead([str(source)]):
            async with made.ahead([str(source)]):
                assert len(scratch(tmp_path)) == 1
            assert len(scratch(tmp_path)) == 1  # somebody else may need it
        assert scratch(tmp_path) == []

    trio.run(run)


@pytest.mark.parametrize("how", ["told", "seen", "replaced"])
def test_a_copy_of_what_was_written_since_is_none(made: Copies, source: Path, tmp_path: Path, how: str) -> None:
    async def run() -> None:
        async with made.ahead([str(source)]):
            if how == "replaced":
                (tmp_path / "new").write_bytes(b"n" * SIZE)
                os.rename(tmp_path / "new", source)
            else:
                before = os.stat(source)
                with open(source, "r+b", buffering=0) as file:
                    file.write(b"written")
                    if how == "told":  # also where the clock of the file system does not show it
                        made.wrote(file.fileno())
                        os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
                    else:
                        os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
            made.put(str(source), str(tmp_path / "to"))
        assert scratch(tmp_path) == []

    trio.run(run)
    assert (tmp_path / "to").read_bytes() == source.read_bytes()


def test_what_is_written_while_it_is_copied_is_copied_again(
    made: Copies, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no longer than a few times: then whoever needs it copies for itself."""
    begun = []

    def slowly(path: str, into: str) -> None:
        copy(path, into)
        begun.append(into)
        trio.from_thread.run_sync(write)

    def write() -> None:
        with open(source, "r+b", buffering=0) as file:
            file.write(bytes([len(begun)]))
            made.wrote(file.fileno())

    async def run() -> None:
        monkeypatch.setattr(copies, "copy", slowly)
        async with made.ahead([str(source)]):
            assert len(begun) == copies.TRIES
            monkeypatch.setattr(copies, "copy", copy)
            made.put(str(source), str(tmp_path / "to"))
        assert scratch(tmp_path) == []

    trio.run(run)
    assert (tmp_path / "to").read_bytes() == source.read_bytes()


def test_small_files_and_those_that_are_gone_are_left_to_who_needs_them(
    made: Copies, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small").write_bytes(b"s" * AT_ONCE_BYTES)

    async def run() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(copies, "copy", never)
            async with made.ahead([str(tmp_path / "small"), str(tmp_path / "gone")]):
                pass
        made.put(str(tmp_path / "small"), str(tmp_path / "to"))
        with pytest.raises(CannotTake):
            made.put(str(tmp_path / "gone"), str(tmp_path / "never"))

    trio.run(run)
    assert (tmp_path / "to").stat().st_size == AT_ONCE_BYTES


def test_a_full_disk_is_told_to_all_who_wait_and_leaves_nothing(
    made: Copies, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, into: str) -> None:
        raise DiskFull(into)

    told = []

    async def one() -> None:
        try:
            async with made.ahead([str(source)]):
                raise AssertionError("it went on")
        except DiskFull:
            told.append(True)

    async def run() -> None:
        monkeypatch.setattr(copies, "copy", full)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            nursery.start_soon(one)

    trio.run(run)
    assert told == [True, True]
    assert scratch(tmp_path) == []
