"""Takes bytes in: from a file of the person's into `scratch/`, hashed on the way.

A reflink where the file system can (no bytes move, and the copy is a snapshot), else a
copy. A source that changes while it is read is refused, never half taken. Nothing here
decides where bytes end up; that is `verbs.add`.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from tagfs.errors import BadRequest, DiskFull, StoreError

FICLONE = 0x40049409  # linux/fs.h
PIECE_BYTES = 1 << 20


class Taken(NamedTuple):
    """Bytes that stand in scratch now, and what their source said of itself."""

    path: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    mode: int
    xattrs: dict[str, bytes]
    reflinked: bool


class CannotTake(BadRequest):
    """One source that was not taken in; the others go on."""

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        self.why = why
        super().__init__(f"{path}: {why}")


_KINDS = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISLNK, "is a symbolic link"),
)


def why_not_a_file(mode: int) -> str:
    """Empty for a regular file, else what it is instead."""
    return (
        "" if stat.S_ISREG(mode) else next((why for is_kind, why in _KINDS if is_kind(mode)), "is not a regular file")
    )


def take(source: str, into: str, progress: Callable[[int], None] | None = None, *, link: bool = False) -> Taken:
    """Bring the bytes of `source` to the new path `into` (mode 0600, not yet durable).

    Args:
        progress: called with the number of bytes as they are read.
        link: hard-link instead of copying where possible; for moving in. The caller
            removes the source afterwards, and only then.
    Raises:
        CannotTake: this source is not to be had; nothing is left behind.
        DiskFull: no room for it; nothing is left behind.
    """
    try:
        # O_NONBLOCK: opening a pipe must not wait for a writer.
        fd = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise CannotTake(source, _plain(exc)) from None
    try:
        before = os.fstat(fd)
        why = why_not_a_file(before.st_mode)
        if why:
            raise CannotTake(source, why)
        xattrs = _user_xattrs(fd)
        linked = link and before.st_nlink == 1 and _linked(source, into, before)
        try:
            if linked:
                sha256, size, reflinked = _hash(fd, progress, before.st_size), before.st_size, False
            else:
                sha256, size, reflinked = _copy(fd, into, progress, before.st_size)
            after = os.fstat(fd)
            same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
            if not same or (size != after.st_size and not reflinked):
                raise CannotTake(source, "it changed while it was being read; try again when nothing writes to it")
        except BaseException:
            remove(into)
            raise
    finally:
        os.close(fd)
    return Taken(into, sha256, size, before.st_mtime_ns, stat.S_IMODE(before.st_mode), xattrs, reflinked)


def hash_file(path: str, progress: Callable[[int], None] | None = None) -> str:
    """The SHA-256 of a file, as hex."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _hash(fd, progress)
    finally:
        os.close(fd)


def _plain(exc: OSError) -> str:
    if isinstance(exc, FileNotFoundError):
        return "there is no such file"
    if isinstance(exc, PermissionError):
        return "you may not read it"
    if exc.errno == errno.ENXIO:
        return "is a socket or device, not a file"
    return f"cannot be read ({exc.strerror})"


def look(source: str, progress: Callable[[int], None] | None = None) -> Taken:
    """What `take` would say of a source, without a copy (`path` is ""). Raises `CannotTake`."""
    try:
        fd = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise CannotTake(source, _plain(exc)) from None
    try:
        before = os.fstat(fd)
        why = why_not_a_file(before.st_mode)
        if why:
            raise CannotTake(source, why)
        sha256 = _hash(fd, progress, before.st_size)
        after = os.fstat(fd)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise CannotTake(source, "it changed while it was being read; try again when nothing writes to it")
        mode = before.st_mode & 0o7777
        return Taken("", sha256, before.st_size, before.st_mtime_ns, mode, _user_xattrs(fd), False)
    except OSError as exc:
        raise CannotTake(source, _plain(exc)) from None
    finally:
        os.close(fd)


def _user_xattrs(fd: int) -> dict[str, bytes]:
    try:
        return {name: os.getxattr(fd, name) for name in os.listxattr(fd) if name.startswith("user.")}
    except OSError:
        return {}  # the file system has none


def _linked(source: str, into: str, before: os.stat_result) -> bool:
    try:
        os.link(source, into, follow_symlinks=False)
    except OSError:
        return False
    found = os.lstat(into)
    if (found.st_dev, found.st_ino) != (before.st_dev, before.st_ino):
        os.unlink(into)  # the name leads to something else by now, or to a symbolic link
        return False
    return True


def _hash(fd: int, progress: Callable[[int], None] | None, expected_bytes: int | None = None) -> str:
    """SHA-256 of an open file. One that grows as fast as it is read is left once it is longer than expected."""
    digest = hashlib.sha256()
    at = 0
    while (expected_bytes is None or at <= expected_bytes) and (piece := os.pread(fd, PIECE_BYTES, at)):
        digest.update(piece)
        at += len(piece)
        if progress is not None:
            progress(len(piece))
    return digest.hexdigest()


def _copy(fd: int, into: str, progress: Callable[[int], None] | None, expected_bytes: int) -> tuple[str, int, bool]:
    try:
        out = os.open(into, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.ioctl(out, FICLONE, fd)
            except OSError:
                pass  # no reflink between these two; a copy does
            else:
                return _hash(out, progress), os.fstat(out).st_size, True
            digest = hashlib.sha256()
            size = 0
            while size <= expected_bytes and (piece := os.read(fd, PIECE_BYTES)):
                digest.update(piece)
                view = memoryview(piece)
                while view:
                    view = view[os.write(out, view) :]
                size += len(piece)
                if progress is not None:
                    progress(len(piece))
            return digest.hexdigest(), size, False
        finally:
            os.close(out)
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(into) from exc
        if exc.errno in (errno.EIO, errno.EISDIR):
            raise CannotTake(into, _plain(exc)) from None
        raise StoreError(f"{into}: {exc.strerror}") from exc


def copy(source: str, into: str) -> None:
    """The bytes of `source` at the new path `into` as well (mode 0600), with its time and attributes; not hashed.

    A reflink where the file system can, else a copy that leaves holes where there are some.

    Raises:
        CannotTake: the source is not to be had, or was written to meanwhile; nothing is left behind.
        DiskFull: no room for it; nothing is left behind.
    """
    try:
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as exc:
        raise CannotTake(source, _plain(exc)) from None
    try:
        before = os.fstat(fd)
        try:
            _copy_as_it_is(fd, into, before)
            after = os.fstat(fd)
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise CannotTake(source, "it changed while it was being read; try again when nothing writes to it")
        except BaseException:
            remove(into)
            raise
    finally:
        os.close(fd)


def _copy_as_it_is(fd: int, into: str, found: os.stat_result) -> None:
    try:
        out = os.open(into, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.ioctl(out, FICLONE, fd)
            except OSError:
                _copy_data(fd, out, found.st_size)
            for name, value in _user_xattrs(fd).items():
                os.setxattr(out, name, value)
            os.utime(out, ns=(found.st_mtime_ns, found.st_mtime_ns))
        finally:
            os.close(out)
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(into) from exc
        if exc.errno == errno.EIO:
            raise CannotTake(into, _plain(exc)) from None
        raise StoreError(f"{into}: {exc.strerror}") from exc


def _copy_data(fd: int, out: int, size_bytes: int) -> None:
    """Copy between open files, in pieces; what is no data is left out, and is zeros."""
    os.ftruncate(out, size_bytes)
    in_kernel = True
    at = 0
    while at < size_bytes:
        at, end = _data_from(fd, at, size_bytes)
        while at < end:
            length = min(PIECE_BYTES, end - at)
            done = 0
            if in_kernel:
                try:
                    done = os.copy_file_range(fd, out, length, at, at)
                except OSError as exc:
                    if exc.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                        raise
                in_kernel = done > 0
            if not done:
                piece = os.pread(fd, length, at)
                if not piece:
                    return  # shorter than it was; the caller notices
                done = os.pwrite(out, piece, at)
            at += done


def _data_from(fd: int, at: int, size_bytes: int) -> tuple[int, int]:
    """The next stretch of data: (begins, ends); both the size where none is left."""
    try:
        begins = os.lseek(fd, at, os.SEEK_DATA)
        return begins, min(os.lseek(fd, begins, os.SEEK_HOLE), size_bytes)
    except OSError as exc:
        # A file system that knows of no holes has data everywhere.
        return (size_bytes, size_bytes) if exc.errno == errno.ENXIO else (at, size_bytes)


def remove(path: str) -> None:
    """Unlink a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def try_link(path: str, into: str) -> bool:
    """Give a file another name. False where the file system has no (more) hard links for it, and a copy has to do."""
    try:
        os.link(path, into)
    except OSError as exc:
        if exc.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV):
            raise
        return False
    return True
