"""Large files: what is stated of them is what they hold, and while they are hashed the mount answers.

That SHA-256 and size are right is looked at once more for each at the end (`Mounting.check`).
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from tests.support.mounting import PATIENCE_S, Mounting, eventually, need

MIB = 1 << 20
LONG = 160 * MIB
"""It takes some tenths of a second to hash, and as it is a hole nothing to write."""


def is_stated(mount: Mounting, path: str) -> None:
    """The library knows a file as what can be read."""
    content = mount.read(path)
    [known] = [one for one in mount.facts().values() if one["guid"] == mount.guid(path)]
    assert known["sha256"] == hashlib.sha256(content).hexdigest()
    assert known["size_bytes"] == len(content)


def hole(path: Path, size: int = LONG) -> int:
    """A descriptor of a long new file in which nothing was written but its last byte."""
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
    os.pwrite(fd, b"z", size - 1)
    return fd


def in_thread(do: Callable[..., object], *args: object) -> threading.Thread:
    thread = threading.Thread(target=do, args=args, daemon=True)
    thread.start()
    return thread


def test_files_written_in_a_row_several_at_once(mount: Mounting) -> None:
    with (
        open(mount / "untagged/a", "xb", buffering=0) as a,
        open(mount / "untagged/b", "xb", buffering=0) as b,
        open(mount / "untagged/c", "xb", buffering=0) as c,
    ):
        for number in range(24):
            for file in (a, b, c):
                file.write(bytes([number]) * (200_000 + file.fileno()))
    for name in "abc":
        is_stated(mount, f"untagged/{name}")


def test_a_beginning_that_is_written_last(mount: Mounting) -> None:
    with open(mount / "untagged/film", "xb") as file:
        file.writelines(bytes([number]) * MIB for number in range(6))
        file.seek(4)
        file.write(b"length")
    is_stated(mount, "untagged/film")
    with open(mount / "untagged/film", "r+b") as file:
        file.write(b"again")
    is_stated(mount, "untagged/film")
    with open(mount / "untagged/film", "ab") as file:
        file.write(b"at the end")
        file.flush()
        os.close(os.dup(file.fileno()))
        is_stated(mount, "untagged/film")
        file.write(b"and once more" * MIB)
    is_stated(mount, "untagged/film")


def test_what_is_cut_off_while_it_is_written(mount: Mounting) -> None:
    with open(mount / "untagged/log", "xb", buffering=0) as file:
        file.write(b"a" * 5 * MIB)
        file.truncate(2 * MIB)
        file.seek(0, os.SEEK_END)
        file.write(b"b" * 3 * MIB)
    is_stated(mount, "untagged/log")
    os.truncate(mount / "untagged/log", 4 * MIB + 1)
    is_stated(mount, "untagged/log")
    os.truncate(mount / "untagged/log", 6 * MIB)
    is_stated(mount, "untagged/log")
    with open(mount / "untagged/log", "wb") as file:
        file.write(b"c" * 3 * MIB)
    is_stated(mount, "untagged/log")


def test_what_is_written_through_memory(mount: Mounting) -> None:
    with open(mount / "untagged/mapped", "x+b") as file:
        file.write(b"a" * 4 * MIB)
        file.flush()
        os.close(os.dup(file.fileno()))  # stated so far
        with mmap.mmap(file.fileno(), 4 * MIB) as memory:
            memory[MIB : MIB + 5] = b"mmap!"
            memory[3 * MIB] = 65
    is_stated(mount, "untagged/mapped")
    assert mount.read("untagged/mapped")[MIB : MIB + 5] == b"mmap!"


def test_copies_by_programs_that_rename_them(mount: Mounting) -> None:
    need("rsync")
    source = mount.lyts.home / "source"
    source.write_bytes(os.urandom(5 * MIB))
    for _ in range(2):
        mount.run("rsync", "--inplace", source, mount / "untagged/in-place")
        mount.run("rsync", source, mount / "untagged/copy")
        is_stated(mount, "untagged/copy")
        is_stated(mount, "untagged/in-place")
        source.write_bytes(os.urandom(6 * MIB))
    assert mount.process is not None
    held = f"/proc/{mount.process.pid}/fd"

    def of_files() -> list[str]:
        return [link for fd in os.listdir(held) if "/scratch/" in (link := os.readlink(f"{held}/{fd}"))]

    eventually(lambda: all(link.endswith(("mounts.lock", ".jsonl")) for link in of_files()))


def test_while_a_file_is_hashed_others_are_read_and_written(mount: Mounting) -> None:
    mount.put("untagged/other", "other")
    closing = in_thread(os.close, hole(mount / "untagged/long"))
    answers = 0
    while closing.is_alive():
        assert os.stat(mount / "all/other").st_size == 5
        assert mount.read("untagged/other") == b"other"
        mount.put(f"untagged/{answers}", "new")
        assert mount.ls("tags") == []
        answers += 1
    assert answers > 3
    is_stated(mount, "untagged/long")


def test_what_is_written_while_the_file_is_hashed_for_somebody_else(mount: Mounting) -> None:
    first = hole(mount / "untagged/long")
    second = os.open(mount / "untagged/long", os.O_RDWR)
    closing = in_thread(os.close, first)
    written = 0
    while closing.is_alive():
        os.pwrite(second, b"%d" % written, written * 1000)
        written += 1
    assert written > 3
    os.pwrite(second, b"the last", LONG // 2)
    os.close(second)
    is_stated(mount, "untagged/long")


def test_what_is_renamed_tagged_or_removed_while_it_is_hashed(mount: Mounting) -> None:
    (mount / "tags/film").mkdir()
    closing = in_thread(os.close, hole(mount / "untagged/long"))
    os.rename(mount / "untagged/long", mount / "tags/film/long film")
    closing.join(PATIENCE_S)
    is_stated(mount, "tags/film/long film")
    assert mount.tags("tags/film/long film") == ["film"]
    closing = in_thread(os.close, hole(mount / "untagged/gone"))
    os.unlink(mount / "untagged/gone")
    closing.join(PATIENCE_S)
    assert mount.ls("untagged") == []


def close_or_be_cut_off(fd: int) -> None:
    with contextlib.suppress(ConnectionAbortedError):
        os.close(fd)


def test_a_mount_that_ends_while_a_file_is_hashed_states_it(mount: Mounting) -> None:
    # The kernel may drop the call of who waits as the mount goes; what counts is that the file is stated.
    closing = in_thread(close_or_be_cut_off, hole(mount / "untagged/long"))
    os.stat(mount / "all")
    mount.stop(signal.SIGTERM)
    closing.join(PATIENCE_S)
    [long] = mount.facts().values()
    assert (long["name"], long["size_bytes"]) == ("long", LONG)
