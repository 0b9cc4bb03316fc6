from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.errors import DiskFull, StoreError
from tagfs.ledger import SEAL_BYTES, Appender, prefix_crc, segments_below, whole_lines
from tests.support.facts import NODES, stamp

FOLDER = "laptop"


def lines(*numbers: int, size_bytes: int = 30) -> list[tuple[str, bytes]]:
    return [(stamp(n, NODES[0]), b"{%d}" % n + b"." * (size_bytes - len(str(n)) - 3) + b"\n") for n in numbers]


def content_of(ledgers: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((ledgers / FOLDER).iterdir())}


def test_a_segment_is_named_by_its_first_stamp(tmp_path: Path) -> None:
    ledger = Appender(str(tmp_path), FOLDER)
    wanted = lines(1, 2, 3)
    (part,) = ledger.append(wanted, None, 0)
    ledger.sync()
    assert part.name == f"{FOLDER}/{wanted[0][0]}.jsonl"
    assert (part.first_byte, part.line_count) == (0, 3)
    assert (tmp_path / part.name).read_bytes() == part.data == b"".join(line for _, line in wanted)
    assert ledger.newest_name() == wanted[0][0]
    assert os.stat(tmp_path / part.name).st_mode & 0o777 == 0o600
    assert os.stat(tmp_path / FOLDER).st_mode & 0o777 == 0o700


def test_the_segment_begun_in_this_boot_is_gone_on_with(tmp_path: Path) -> None:
    ledger = Appender(str(tmp_path), FOLDER)
    (first,) = ledger.append(lines(1), None, 0)
    (second,) = ledger.append(lines(2), first.name, len(first.data))
    assert second.name == first.name
    assert second.first_byte == len(first.data)
    assert len(content_of(tmp_path)) == 1


@pytest.mark.parametrize("length", [-1, 1], ids=["shorter", "longer"])
def test_a_segment_of_another_length_than_it_was_left_with_is_not_gone_on_with(tmp_path: Path, length: int) -> None:
    ledger = Appender(str(tmp_path), FOLDER)
    (first,) = ledger.append(lines(1), None, 0)
    (second,) = ledger.append(lines(2), first.name, len(first.data) - length)
    assert second.name != first.name


def test_a_segment_that_is_gone_is_not_made_again_under_its_name(tmp_path: Path) -> None:
    ledger = Appender(str(tmp_path), FOLDER)
    (first,) = ledger.append(lines(1), None, 0)
    os.unlink(tmp_path / first.name)
    (second,) = ledger.append(lines(2), first.name, len(first.data))
    assert second.name != first.name


def test_a_name_is_never_used_twice(tmp_path: Path) -> None:
    ledger = Appender(str(tmp_path), FOLDER)
    ledger.append(lines(1), None, 0)
    before = content_of(tmp_path)
    with pytest.raises(StoreError):
        ledger.append(lines(1), None, 0)
    assert content_of(tmp_path) == before


def test_an_append_after_a_torn_line_begins_with_a_line_feed(tmp_path: Path) -> None:
    ledger = Appender(str(tmp_path), FOLDER)
    (first,) = ledger.append(lines(1), None, 0)
    with open(tmp_path / first.name, "ab") as file:
        file.write(b'{"at":"torn')
    size = os.path.getsize(tmp_path / first.name)
    (second,) = ledger.append(lines(2), first.name, size)
    whole = (tmp_path / first.name).read_bytes()
    assert whole.split(b"\n") == [lines(1)[0][1][:-1], b'{"at":"torn', lines(2)[0][1][:-1], b""]
    # What the index notes about the segment must be what is in it.
    assert second.first_byte == size
    assert whole[:size] + second.data == whole


def test_a_segment_is_sealed_at_one_mebibyte(tmp_path: Path) -> None:
    ledger = Appender(str(tmp_path), FOLDER)
    wanted = lines(*range(1, 2501), size_bytes=1000)
    parts = ledger.append(wanted, None, 0)
    ledger.sync()
    assert len(parts) == 3
    assert all(SEAL_BYTES <= len(part.data) < SEAL_BYTES + 1000 for part in parts[:-1])
    assert b"".join(part.data for part in parts) == b"".join(line for _, line in wanted)
    assert sum(part.line_count for part in parts) == len(wanted)
    names = [part.name for part in parts]
    assert names == sorted(names)
    assert [f.name for f in segments_below(str(tmp_path))] == names


def test_a_full_segment_is_not_gone_on_with(tmp_path: Path) -> None:
    ledger = Appender(str(tmp_path), FOLDER)
    (first,) = ledger.append(lines(1, size_bytes=SEAL_BYTES), None, 0)
    (second,) = ledger.append(lines(2), first.name, SEAL_BYTES)
    assert second.name != first.name


Writer = Callable[[int, Any], int]


def fails_after(size_bytes: int, code: int) -> Writer:
    """An os.write that takes so many bytes, a few at a time, and then fails."""
    left = size_bytes
    real = os.write

    def write(fd: int, data: Any) -> int:
        nonlocal left
        if left <= 0:
            raise OSError(code, os.strerror(code))
        written = real(fd, bytes(data[: min(left, 7000)]))
        left -= written
        return written

    return write


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("taken", [0, 1, 40_000, SEAL_BYTES + 5])
def test_a_failed_append_is_cut_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int, code: int) -> None:
    ledger = Appender(str(tmp_path), FOLDER)
    (first,) = ledger.append(lines(1), None, 0)
    ledger.sync()
    before = content_of(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fails_after(taken, code))
        with pytest.raises(StoreError) as caught:
            ledger.append(lines(*range(2, 2500), size_bytes=1000), first.name, len(first.data))
    assert isinstance(caught.value, DiskFull) == (code != errno.EIO)
    after = content_of(tmp_path)
    assert {name: data for name, data in after.items() if data} == before
    (again,) = ledger.append(lines(5000), first.name, len(first.data))
    assert again.name == first.name


def test_an_append_can_be_taken_back_whole(tmp_path: Path) -> None:
    ledger = Appender(str(tmp_path), FOLDER)
    (first,) = ledger.append(lines(1), None, 0)
    ledger.sync()
    before = content_of(tmp_path)
    ledger.append(lines(*range(2, 1500), size_bytes=1000), first.name, len(first.data))
    ledger.take_back()
    after = content_of(tmp_path)
    # The segment that was begun stays, empty: its name is used up.
    assert {name: data for name, data in after.items() if data} == before
    assert len(after) == 2
    assert ledger.newest_name() == max(after).removesuffix(".jsonl")


def test_what_is_synced_is_not_taken_back(tmp_path: Path) -> None:
    ledger = Appender(str(tmp_path), FOLDER)
    ledger.append(lines(1), None, 0)
    ledger.sync()
    before = content_of(tmp_path)
    ledger.take_back()
    assert content_of(tmp_path) == before


def test_only_segments_are_seen(tmp_path: Path) -> None:
    place = tmp_path / FOLDER
    place.mkdir()
    (place / "20261122T101056.123Z-0002-1a2b3c4d.jsonl").write_text("{}\n")
    (place / "20261122T101056.123Z-0002-1a2b3c4d.sync-conflict-20261122-101112-ABCDEFG.jsonl").write_text("{}\n")
    (place / "seen.json").write_text("{}")
    (place / ".syncthing.x.jsonl").write_text("half")
    (place / "folder.jsonl").mkdir()
    os.symlink("/dev/zero", place / "endless.jsonl")
    os.mkfifo(place / "fifo.jsonl")
    (tmp_path / "file.jsonl").write_text("{}\n")
    os.symlink(place, tmp_path / "loop")
    assert [f.name.partition("/")[2][:34] for f in segments_below(str(tmp_path))] == [
        "20261122T101056.123Z-0002-1a2b3c4d"
    ] * 2
    assert segments_below(str(tmp_path / "nowhere")) == []


def test_a_reader_takes_whole_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"one\ntwo\nthr")
    assert b"".join(whole_lines(str(path), 0)) == b"one\ntwo\n"
    assert b"".join(whole_lines(str(path), 4)) == b"two\n"
    assert list(whole_lines(str(path), 8)) == []
    assert list(whole_lines(str(path), 99)) == []
    with open(path, "ab") as file:
        file.write(b"ee\n")
    assert b"".join(whole_lines(str(path), 8)) == b"three\n"
    assert list(whole_lines(str(tmp_path / "missing"), 0)) == []


@given(st.lists(st.integers(0, 5_000), max_size=60), st.integers(0, 3_000), st.randoms(use_true_random=False))
def test_lines_are_read_whole_however_long_they_are(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], tail: int, dice: random.Random
) -> None:
    import tagfs.ledger

    path = tmp_path_factory.getbasetemp() / "lines.jsonl"
    wanted = [dice.randbytes(size).replace(b"\n", b" ") + b"\n" for size in sizes]
    path.write_bytes(b"".join(wanted) + b"t" * tail)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tagfs.ledger, "_READ_BYTES", 1000)
        pieces = list(whole_lines(str(path), 0))
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert b"".join(pieces) == b"".join(wanted)


def test_the_checksum_is_of_so_many_bytes_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "x"
    data = random.Random(1).randbytes((1 << 20) + 100)
    path.write_bytes(data)
    for length in (0, 1, 1 << 20, len(data)):
        assert prefix_crc(str(path), length) == crc32(data[:length])
    assert prefix_crc(str(path), len(data) + 1) is None
    assert prefix_crc(str(tmp_path / "missing"), 1) is None
