from __future__ import annotations

import hashlib

from tagfs.mount.hashing import Progress


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read(progress: Progress, data: bytes, most_bytes: int = 4) -> None:
    """Hash what is there by now."""
    while True:
        offset, length = progress.claim(most_bytes)
        if not length:
            return
        progress.take(data[offset : offset + length], length)


def test_a_file_written_from_beginning_to_end_is_hashed_behind_the_writer() -> None:
    progress, data = Progress(0), b""
    for piece in (b"first ", b"second ", b"third"):
        data += piece
        progress.wrote(len(data) - len(piece), len(piece))
        read(progress, data)
        assert progress.left_bytes == 0
        assert progress.digest_of(len(data)) == sha256(data)


def test_what_is_written_again_before_it_is_read_does_no_harm() -> None:
    progress = Progress(0)
    progress.wrote(0, 10)
    progress.wrote(3, 4)
    read(progress, b"0123abc789")
    assert progress.digest_of(10) == sha256(b"0123abc789")


def test_what_is_written_again_after_it_was_read_makes_all_of_it_worthless() -> None:
    progress = Progress(10)
    progress.take(b"0123", progress.claim(4)[1])
    progress.wrote(4, 2)
    assert progress.counts
    progress.wrote(3, 1)
    assert not progress.counts
    read(progress, b"0123456789")
    assert progress.digest_of(10) is None


def test_what_is_written_while_it_is_being_read_is_not_believed() -> None:
    progress = Progress(10)
    length = progress.claim(8)[1]
    progress.wrote(7, 1)
    progress.take(b"01234567", length)
    read(progress, b"0123456789")
    assert progress.digest_of(10) is None


def test_a_gap_is_hashed_as_zeros() -> None:
    progress = Progress(2)
    read(progress, b"ab")
    progress.wrote(5, 1)
    read(progress, b"ab\0\0\0c")
    assert progress.digest_of(6) == sha256(b"ab\0\0\0c")


def test_a_file_that_became_shorter_is_not_believed() -> None:
    progress = Progress(10)
    read(progress, b"0123456789")
    assert progress.digest_of(9) is None
    progress = Progress(10)
    progress.claim(10)
    progress.take(b"0123", 4)
    assert progress.digest_of(10) is None
    assert progress.digest_of(4) is None


def test_a_doubt_stays() -> None:
    progress = Progress(3)
    progress.doubt()
    read(progress, b"abc")
    progress.wrote(3, 1)
    read(progress, b"abcd")
    assert progress.digest_of(4) is None
