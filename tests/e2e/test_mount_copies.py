"""Large bytes that are shared, or replaced while they are open, are copied in a thread: only who writes to them waits.

The mount is the real one, but for a copy of more than a MiB: it waits until the test writes to a pipe.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.mounting import PATIENCE_S, SERVE, Mounting, eventually, mounted

_SLOW = """
import os
from tagfs.mount import announce, closing, copies
announce.Announcer.begin = lambda *_: None  # one that was just begun would wait for a write, and hold its directory
def slowly(real):
    def do(source, into):
        if os.stat(source).st_size > 1 << 20:
            pipe = os.open(PIPE, os.O_RDONLY | os.O_NONBLOCK)
            os.set_blocking(pipe, True)
            with open(SEEN, "a") as seen:
                print(source, file=seen)
            os.read(pipe, 1)
            os.close(pipe)
        return real(source, into)
    return do
copies.copy = slowly(copies.copy)
closing.take = slowly(closing.take)
"""

BIG = b"0123456789abcdef" * (1 << 17)


class Slow:
    """Programs that wait for a copy."""

    def __init__(self, mount: Mounting, pipe: Path, seen: Path) -> None:
        self.mount = mount
        self.pipe = os.open(pipe, os.O_RDWR)
        self._seen = seen
        self.programs: list[threading.Thread] = []
        self.errors: list[BaseException] = []

    def begun(self) -> int:
        """How many copies were begun."""
        return len(self._seen.read_text().splitlines()) if self._seen.exists() else 0

    def starts(self, do: Callable[..., object], *args: object) -> None:
        """A program does this."""

        def run() -> None:
            try:
                do(*args)
            except BaseException as exc:  # noqa: BLE001 - told by `let_go`
                self.errors.append(exc)

        self.programs.append(threading.Thread(target=run, daemon=True))
        self.programs[-1].start()

    def waits(self, do: Callable[..., object], *args: object) -> None:
        """The same; returns once a copy has begun for it."""
        before = self.begun()
        self.starts(do, *args)
        eventually(lambda: self.begun() > before or self.errors)
        assert not self.errors

    def let_go(self) -> None:
        """All copies are made."""
        os.write(self.pipe, b"y" * 100)
        for program in self.programs:
            program.join(PATIENCE_S)
            assert not program.is_alive()
        assert not self.errors, self.errors


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mounting, Path, Path]]:
    home = tmp_path_factory.mktemp("copies")
    pipe, seen = home / "pipe", home / "seen"
    os.mkfifo(pipe)
    serve = _SLOW.replace("PIPE", repr(str(pipe))).replace("SEEN", repr(str(seen))) + SERVE
    with mounted(home, serve=serve, tests=9) as mount:
        (mount / "tags/other").mkdir()
        yield mount, pipe, seen


@pytest.fixture
def slow(both: tuple[Mounting, Path, Path], request: pytest.FixtureRequest) -> Iterator[tuple[Slow, Path]]:
    """Copies that wait, and a directory of the test's own."""
    mount, pipe, seen = both
    folder = mount / "tags" / f"t{request.node.nodeid.__hash__() & 0xFFFFFF:x}"
    folder.mkdir()
    found = Slow(mount, pipe, seen)
    try:
        yield found, folder
    finally:
        os.write(found.pipe, b"n" * 100)
        for program in found.programs:
            program.join(PATIENCE_S)
        _drain(found.pipe)
        os.close(found.pipe)


def _drain(pipe: int) -> None:
    os.set_blocking(pipe, False)
    try:
        while os.read(pipe, 1 << 12):
            pass
    except BlockingIOError:
        pass


def others_are_answered(slow: Slow, folder: Path) -> None:
    """What any program does with other files, and looks at this one."""
    mount = slow.mount
    name = f"{folder.name}-{slow.begun()}"
    guid = mount.put(f"tags/other/{name}", "other")
    assert mount.read(f"tags/other/{name}") == b"other"
    (mount / "tags/other" / name).write_text("again")
    os.rename(mount / "tags/other" / name, mount / "untagged" / name)
    os.setxattr(mount / "untagged" / name, "user.xdg.tags", b"other")
    assert mount.guid(f"tags/other/{name}") == guid
    assert name in mount.ls("tags/other")
    os.unlink(mount / "all" / name)
    assert mount.ls(f"tags/{folder.name}")
    assert all(program.is_alive() for program in slow.programs)
    assert not slow.errors


def shared(folder: Path) -> tuple[Path, Path]:
    """A file, and a backup of it whose bytes are a version of it as well."""
    doc, backup = folder / f"{folder.name}.txt", folder / f"{folder.name}.txt.bak"
    doc.write_bytes(BIG)
    os.rename(doc, backup)
    doc.write_bytes(b"new")
    assert backup.read_bytes() == BIG
    return doc, backup


def write_at(path: Path, offset: int, data: bytes) -> None:
    with open(path, "r+b", buffering=0) as file:
        file.seek(offset)
        file.write(data)


def version(slow: Slow, path: Path) -> bytes:
    """The one earlier content that is kept of a file."""
    [found] = [
        one
        for one in slow.mount.lyts.json("versions", os.getxattr(path, "user.lyts.id").decode())
        if not one["current"]
    ]
    return Path(found["path"]).read_bytes()


def test_others_are_answered_while_shared_bytes_are_copied(slow: tuple[Slow, Path]) -> None:
    programs, folder = slow
    doc, backup = shared(folder)
    programs.waits(write_at, backup, 2, b"__")
    others_are_answered(programs, folder)
    assert backup.read_bytes()[4096:] == BIG[4096:]  # reading this very file does not wait
    assert doc.read_bytes() == b"new"
    programs.let_go()
    assert backup.read_bytes() == b"01__" + BIG[4:]
    assert version(programs, doc) == BIG
    assert (
        programs.mount.facts()[os.getxattr(backup, "user.lyts.id").decode()]["sha256"]
        == sha256(b"01__" + BIG[4:]).hexdigest()
    )


def test_a_size_is_set_once_shared_bytes_are_copied(slow: tuple[Slow, Path]) -> None:
    programs, folder = slow
    doc, backup = shared(folder)
    programs.waits(os.truncate, backup, len(BIG) - 1)
    others_are_answered(programs, folder)
    programs.let_go()
    assert backup.read_bytes() == BIG[:-1]
    assert version(programs, doc) == BIG


def test_emptying_shared_bytes_copies_nothing(slow: tuple[Slow, Path]) -> None:
    programs, folder = slow
    doc, backup = shared(folder)
    before = programs.begun()
    with open(backup, "r+b", buffering=0) as opened:
        os.truncate(backup, 0)
        assert opened.read() == b""
        opened.write(b"anew")
    assert programs.begun() == before
    assert backup.read_bytes() == b"anew"
    assert version(programs, doc) == BIG


@pytest.mark.parametrize("how", ["write", "shorten", "empty"])
def test_a_backup_that_was_removed_while_it_is_open_is_written_and_its_version_is_not(
    slow: tuple[Slow, Path], how: str
) -> None:
    """A backup with a passing name stands in scratch; once it is removed its bytes are a version and nothing else."""
    programs, folder = slow
    doc, backup = folder / f"{folder.name}.txt", folder / f"{folder.name}.txt~"
    doc.write_bytes(BIG)
    os.rename(doc, backup)
    doc.write_bytes(b"new")
    with open(backup, "r+b", buffering=0) as opened:
        os.unlink(backup)
        if how == "write":
            programs.waits(opened.write, b"__")
            others_are_answered(programs, folder)
            programs.let_go()
            assert os.pread(opened.fileno(), 4, 0) == b"__23"
        else:
            os.write(programs.pipe, b"y")
            opened.truncate(3 if how == "shorten" else 0)
            assert opened.read() == (b"012" if how == "shorten" else b"")
    assert version(programs, doc) == BIG


def test_two_writers_wait_for_one_copy(slow: tuple[Slow, Path]) -> None:
    programs, folder = slow
    doc, backup = shared(folder)
    before = programs.begun()
    programs.waits(write_at, backup, 0, b"A")
    programs.starts(write_at, backup, 2, b"C")
    others_are_answered(programs, folder)
    programs.let_go()
    assert programs.begun() == before + 1
    assert backup.read_bytes() == b"A1C" + BIG[3:]
    assert version(programs, doc) == BIG


def test_a_file_that_is_open_to_write_is_saved_over_while_others_go_on(slow: tuple[Slow, Path]) -> None:
    programs, folder = slow
    doc = folder / f"{folder.name}.txt"
    doc.write_bytes(BIG)
    guid = os.getxattr(doc, "user.lyts.id")
    with open(doc, "r+b", buffering=0):
        (folder / "tmp").write_bytes(b"saved")
        programs.waits(os.rename, folder / "tmp", doc)
        # Names of a directory in which one is being renamed wait in the kernel; those elsewhere do not.
        assert programs.mount.read(f"all/{doc.name}") == BIG
        programs.let_go()
        assert doc.read_bytes() == b"saved"
    assert os.getxattr(doc, "user.lyts.id") == guid
    assert version(programs, doc) == BIG


def test_what_is_written_while_an_edit_is_taken_in_is_in_it(slow: tuple[Slow, Path]) -> None:
    programs, folder = slow
    doc = folder / f"{folder.name}.txt"
    doc.write_bytes(BIG)
    writer = open(doc, "r+b", buffering=0)  # noqa: SIM115 - closed by a program that waits
    again = os.dup(writer.fileno())
    (folder / "tmp").write_bytes(b"saved")
    programs.starts(os.rename, folder / "tmp", doc)
    os.write(programs.pipe, b"y")  # the version
    programs.programs.pop().join(PATIENCE_S)
    writer.write(b"EDIT")
    programs.waits(writer.close)
    os.pwrite(again, b"MORE", 8)
    others_are_answered(programs, folder)
    programs.let_go()
    os.close(again)
    assert doc.read_bytes() == b"saved"
    assert version(programs, doc) == BIG

    def conflicts() -> list[bytes]:
        found = [
            one for one in programs.mount.facts().values() if folder.name in one["tags"] and "conflict" in one["tags"]
        ]
        return [(programs.mount / "ids" / one["guid"]).read_bytes() for one in found]

    edited = b"EDIT4567MORE" + BIG[12:]
    eventually(lambda: edited in conflicts())
