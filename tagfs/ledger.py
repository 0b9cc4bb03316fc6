"""Ledger segments on disk: reading what others and we appended, and appending.

A segment is `ledgers/<folder>/<first stamp>.jsonl`: UTF-8, one fact a line, LF. Rules
(facts.md, Ledger):

- it is appended to only in the boot that began it, and a name is never used twice: one
  line written under an old name replaced twenty on every node;
- an append writes LF first if the file does not end in one, so that a torn line spoils
  only itself; a failed append is cut back, under the store's lock;
- sealed at 1 MiB: the next line begins a new segment;
- a reader opens the file anew each time and reads up to the last LF. A missing name
  means "later". Length and checksum of what was read tell a rolled-back segment.

Facts are acknowledged once appended and fsynced; the index only follows.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from tagfs.durable import sync_paths
from tagfs.errors import DiskFull, StoreError
from tagfs.layout import make_folder
from tagfs.stamp import is_stamp

SEAL_BYTES = 1 << 20
SUFFIX = ".jsonl"
PROOFS = "proofs.jsonl"  # lies beside the segments, and holds no facts
_READ_BYTES = 1 << 20
_LONGEST_LINE_READS = 64
LONGEST_READ_BYTES = _LONGEST_LINE_READS * _READ_BYTES
"""What follows a longer line is not read, else another device could take all memory here."""


class SegmentFile(NamedTuple):
    """A segment as it lies on disk now. `name` is `<folder>/<file name>` below `ledgers/`."""

    name: str
    size_bytes: int
    mtime_ns: int


class Appended(NamedTuple):
    """What one append wrote into one segment: `first` is where it began, `line_count` how many lines it took."""

    name: str
    first_byte: int
    data: bytes
    line_count: int


def set_folder(own_folder: str, label: str) -> str:
    """The folder of a node's ledger for a set."""
    return f"{own_folder}@{label}"


def label_in(folder: str) -> str:
    """The label of the set whose ledger a folder is, "" for an open one."""
    return folder.partition("@")[2]


def is_own(folder: str, own_folder: str) -> bool:
    """Whether a ledger folder is one that this node writes."""
    return folder == own_folder or folder.startswith(own_folder + "@")


def folders_below(ledgers: str) -> list[str]:
    """The ledger folders, in order of names."""
    try:
        return sorted(entry.name for entry in os.scandir(ledgers) if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def segments_in(ledgers: str, folder: str) -> list[SegmentFile]:
    """The segments of a folder, oldest first."""
    try:
        entries = sorted(os.scandir(os.path.join(ledgers, folder)), key=lambda entry: entry.name)
    except (FileNotFoundError, PermissionError):
        return []
    out = []
    for entry in entries:
        if not entry.name.endswith(SUFFIX) or entry.name.startswith(".") or entry.name == PROOFS:
            continue
        try:
            if not entry.is_file(follow_symlinks=False):
                continue
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        out.append(SegmentFile(f"{folder}/{entry.name}", found.st_size, found.st_mtime_ns))
    return out


def segments_below(ledgers: str) -> list[SegmentFile]:
    """All segments below `ledgers`, by folder, oldest first within a folder."""
    return [file for folder in folders_below(ledgers) for file in segments_in(ledgers, folder)]


def prefix_crc(path: str, length: int) -> int | None:
    """CRC-32 of the first `length` bytes; None where the file is shorter or gone."""
    crc, left = 0, length
    try:
        with open(path, "rb", buffering=0) as file:
            while left > 0:
                data = file.read(min(left, _READ_BYTES))
                if not data:
                    return None
                crc = crc32(data, crc)
                left -= len(data)
    except FileNotFoundError:
        return None
    return crc


def whole_lines(path: str, start: int) -> Iterator[bytes]:
    """Pieces of the file from `start` on, each ending in LF; what follows the last LF is left for later.

    A line longer than a piece is given whole. A missing file gives nothing.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(start)
            rest: list[bytes] = []
            while data := file.read(_READ_BYTES):
                cut = data.rfind(b"\n") + 1
                if cut:
                    yield b"".join(rest) + data[:cut]
                    rest = [data[cut:]]
                elif len(rest) < _LONGEST_LINE_READS:
                    rest.append(data)
                else:
                    return  # no line of ours is so long; whoever mends the file has it read from here
    except FileNotFoundError:
        return


def newest_segment_stamp(folder: str) -> str:
    """The newest stamp in the name of any segment of the folder at a path, "" where there is none."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return ""
    names.sort(reverse=True)  # a look at each costs as much as a birth, where there are hundreds
    return next((n[: -len(SUFFIX)] for n in names if n.endswith(SUFFIX) and is_stamp(n[: -len(SUFFIX)])), "")


class Appender:
    """Appends to the segments of this node's own ledger folder. Used under the store's lock only."""

    def __init__(self, ledgers: str, folder: str) -> None:
        self.ledgers = ledgers
        self.folder = folder
        self._undo: list[tuple[str, int]] = []  # (path, length before), newest last; -1: made by us
        self._written: list[str] = []

    def newest_name(self) -> str:
        """The newest stamp in the name of any own segment, "" where there is none; names must keep rising."""
        return newest_segment_stamp(os.path.join(self.ledgers, self.folder))

    def append(self, lines: Sequence[tuple[str, bytes]], open_segment: str | None, open_bytes: int) -> list[Appended]:
        """Append (stamp, line) pairs, in order.

        Args:
            open_segment: name below `ledgers` of the segment begun in this boot, if any.
            open_bytes: its length as we left it; another length is a doubtful start.
        Returns:
            What was written, segment by segment; the last one is the open segment now.
        Raises:
            DiskFull, StoreError: nothing was appended.
        """
        self._undo.clear()
        self._written.clear()
        out = []
        try:
            at = 0
            while at < len(lines):
                name, size = self._begin_or_go_on(open_segment, open_bytes, lines[at][0])
                room = max(SEAL_BYTES - size, 1)
                count, total = 0, 0
                while at + count < len(lines) and total < room:
                    total += len(lines[at + count][1])
                    count += 1
                data = b"".join(line for _, line in lines[at : at + count])
                out.append(Appended(name, size, self._write(name, size, data), count))
                at += count
                open_segment = None
        except OSError as exc:
            self.take_back()
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(self.ledgers) from exc
            raise StoreError(f"the ledger in {self.ledgers} cannot be written: {exc.strerror}") from exc
        return out

    def _begin_or_go_on(self, open_segment: str | None, open_bytes: int, stamp: str) -> tuple[str, int]:
        if open_segment is not None and open_bytes < SEAL_BYTES:
            try:
                size = os.stat(os.path.join(self.ledgers, open_segment)).st_size
            except FileNotFoundError:
                size = -1
            if size == open_bytes:
                return open_segment, size
        name = f"{self.folder}/{stamp}{SUFFIX}"
        path = os.path.join(self.ledgers, name)
        make_folder(os.path.dirname(path))
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        self._undo.append((path, 0))
        return name, 0

    def _write(self, name: str, size: int, data: bytes) -> bytes:
        """Append to a segment of `size` bytes; returns what was written, an LF before it included."""
        path = os.path.join(self.ledgers, name)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            if size:
                self._undo.append((path, size))
            if size and os.pread(fd, 1, size - 1) != b"\n":
                data = b"\n" + data
            self._written.append(path)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)
        return data

    def take_back(self) -> None:
        """Undo the last `append`: cut segments back. A segment it began stays, empty, so that its name is used up."""
        for path, size in reversed(self._undo):
            try:
                os.truncate(path, size)
            except OSError as exc:
                raise StoreError(
                    f"{path} could not be cut back to {size} bytes ({exc.strerror}); run: lyts fsck"
                ) from exc
        self._undo.clear()

    def written(self) -> list[str]:
        """The segments of the last `append` and the folders of new ones: what `sync_paths` must make durable."""
        return [*self._written, *{os.path.dirname(path) for path, size in self._undo if size == 0}]

    def sync(self) -> None:
        """Make the last `append` durable: the lines, and the names of new segments."""
        sync_paths(self.written())
        self._undo.clear()
        self._written.clear()
