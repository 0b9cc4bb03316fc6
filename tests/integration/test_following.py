"""Hashing behind writers, with real files and the real thread."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pyfuse3", reason="NOT TESTED: pyfuse3 is missing (pip install 'lyts[mount]')")

import trio

from tagfs.mount import following
from tagfs.mount.following import AT_ONCE_BYTES, MOST_FOLLOWED, Following

MIB = 1 << 20


class File:
    """A file, and what the mount does when a program writes to it."""

    def __init__(self, follow: Following, path: Path, inode: int) -> None:
        self.follow = follow
        self.path = str(path)
        self.inode = inode
        self.fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def write(self, offset: int, data: bytes) -> None:
        self.follow.wrote(self.inode, self.fd, offset, os.pwrite(self.fd, data, offset))

    def truncate(self, size: int) -> None:
        self.follow.forget(self.inode)
        os.ftruncate(self.fd, size)

    def is_right(self) -> bool:
        return self.follow.digest(self.inode, self.path) == hashlib.sha256(Path(self.path).read_bytes()).hexdigest()


@pytest.fixture
def follow() -> Iterator[Following]:
    found = Following()
    yield found
    found.finish()
    assert "lyts-hash" not in [thread.name for thread in threading.enumerate()]


def never(path: str) -> str:
    raise AssertionError(f"{path} was hashed as a whole")


def test_what_was_written_in_a_row_is_not_read_again_at_close(
    follow: Following, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "hash_file", never)

    async def main() -> None:
        file = File(follow, tmp_path / "file", 1)
        for number in range(20):
            file.write(number * MIB, bytes([number]) * MIB)
        assert await follow.ready(1, file.fd)
        assert file.is_right()
        file.write(20 * MIB, b"a little more")
        assert follow.is_quick(1, file.fd)
        assert file.is_right()
        file.write(5, b"in between")
        assert not follow.is_quick(1, file.fd)
        assert await follow.ready(1, file.fd)
        assert file.is_right()

    trio.run(main)


def test_small_files_are_hashed_where_they_are_asked_for(follow: Following, tmp_path: Path) -> None:
    async def main() -> None:
        file = File(follow, tmp_path / "file", 1)
        file.write(0, b"x" * AT_ONCE_BYTES)
        assert await follow.ready(1, file.fd)
        assert file.is_right()
        assert "lyts-hash" not in [thread.name for thread in threading.enumerate()]

    trio.run(main)


def test_other_bytes_under_the_same_name_are_not_taken_for_those_that_were_hashed(
    follow: Following, tmp_path: Path
) -> None:
    async def main() -> None:
        file = File(follow, tmp_path / "file", 1)
        file.write(0, b"x" * 3 * MIB)
        assert await follow.ready(1, file.fd)
        (tmp_path / "other").write_bytes(b"y" * 3 * MIB)
        os.rename(tmp_path / "other", file.path)
        assert file.is_right()

    trio.run(main)


def test_more_files_at_once_than_are_followed(follow: Following, tmp_path: Path) -> None:
    async def main() -> None:
        files = [File(follow, tmp_path / str(number), number) for number in range(MOST_FOLLOWED + 6)]
        for part in range(2):
            for file in files:
                file.write(part * MIB, bytes([file.inode]) * MIB)
        async with trio.open_nursery() as nursery:
            for file in files:
                nursery.start_soon(follow.ready, file.inode, file.fd)
        assert all(file.is_right() for file in files)
        for file in files:
            os.close(file.fd)
            os.unlink(file.path)
        follow.forget_removed()

    before = len(os.listdir("/proc/self/fd"))
    trio.run(main)
    follow.finish()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("seed", range(4))
def test_writers_that_do_what_they_like_while_others_close(follow: Following, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)

    async def write(file: File) -> None:
        for _ in range(60):
            size = os.fstat(file.fd).st_size
            length = chance.choice([1, 4096, 300_000, MIB])
            what = chance.random()
            if what < 0.8:
                offset = size
            elif what < 0.9:
                offset = chance.randrange(size + 1)
            else:
                offset = size + chance.randrange(5000)
            if chance.random() < 0.03:
                file.truncate(chance.randrange(size + 1))
            else:
                file.write(offset, chance.randbytes(length))
            await trio.sleep(chance.choice([0, 0, 0.001]))

    async def close(file: File) -> None:
        for _ in range(12):
            await follow.ready(file.inode, file.fd)
            assert file.is_right()
            await trio.sleep(0.002)

    async def main() -> None:
        files = [File(follow, tmp_path / str(number), number) for number in range(3)]
        async with trio.open_nursery() as nursery:
            for file in files:
                nursery.start_soon(write, file)
                nursery.start_soon(close, file)
                nursery.start_soon(close, file)
        for file in files:
            assert await follow.ready(file.inode, file.fd)
            assert follow.is_quick(file.inode, file.fd)
            assert file.is_right()

    trio.run(main)
