"""The few things a migration does to files, each durable when it returns (but copying: `sync_tree`).

Everything is done with `os` functions, so that a test can make any of them fail, or
kill the process before or after it. Errors are `OSError`; the runner makes sentences
of them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Callable

from tagfs.durable import sync_paths

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_PIECE_BYTES = 1 << 20
CANNOT = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV, errno.EPERM})
"""What a file system answers that has no such operation (exchange, symbolic links)."""


def read_file(path: str) -> bytes:
    """The whole of a small file."""
    pieces = []
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while piece := os.read(fd, _PIECE_BYTES):
            pieces.append(piece)
    finally:
        os.close(fd)
    return b"".join(pieces)


def is_there(path: str) -> bool:
    """Whether a name is taken, be it by a link to nowhere. Unlike `os.path.lexists` an error is none of the answers."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def is_link(path: str) -> bool:
    """Whether a name is a symbolic link; errors as in `is_there`."""
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def write_file(path: str, data: bytes, like: str | None = None) -> None:
    """Write a file that nobody reads yet: its bytes are on disk afterwards, its name may not be.

    Args:
        like: the file whose rights it gets; else it is for this person only.
    """
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if like is not None:
            os.chmod(path, stat.S_IMODE(os.stat(like).st_mode))
        os.fsync(fd)
    finally:
        os.close(fd)


def write_over(path: str, data: bytes) -> None:
    """Put a file in the place of another, or of a link; a reader sees the one or the other. Rights stay as they are."""
    draft = path + ".new"
    write_file(draft, data, like=path if is_there(path) else None)
    os.replace(draft, path)
    sync_paths([os.path.dirname(path)])


def link_over(path: str, target: str) -> None:
    """Put a symbolic link in the place of a file."""
    draft = path + ".new"
    remove(draft)
    os.symlink(target, draft)
    os.replace(draft, path)
    sync_paths([os.path.dirname(path)])


def move(source: str, target: str) -> None:
    """Rename, also into another folder."""
    os.rename(source, target)
    sync_paths([os.path.dirname(target)])
    if os.path.dirname(source) != os.path.dirname(target):
        sync_paths([os.path.dirname(source)])


def exchange(one: str, other: str) -> None:
    """Two names change places at once. OSError with one of `CANNOT` where the file system has no such thing."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), one)
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), one)
    sync_paths([os.path.dirname(one)])
    sync_paths([os.path.dirname(other)])


def remove(path: str) -> None:
    """Remove a file, a link or a whole folder, where there is one."""
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        return
    sync_paths([os.path.dirname(path)])


def make_folder(path: str) -> None:
    """Make a folder of this person's own, with those above it."""
    os.makedirs(path, mode=0o700, exist_ok=True)


class Seen(dict[str, tuple[int, int, int]]):
    """The files below a folder: inode, size in bytes and mtime in ns by path. Equal when nobody wrote in between."""

    def total_bytes(self) -> int:
        """What they take when copied, in blocks of 4 KiB."""
        return sum(-(-size // 4096) * 4096 for _, size, _ in self.values())


def look_through(folder: str, leave_out: str = "") -> Seen:
    """What lies below a folder; files with the name `leave_out` are not counted."""
    seen = Seen()
    todo = [folder]
    while todo:
        for entry in sorted(os.scandir(todo.pop()), key=lambda e: e.name):
            if entry.is_dir(follow_symlinks=False):
                todo.append(entry.path)
            elif entry.name != leave_out:
                found = entry.stat(follow_symlinks=False)
                seen[entry.path] = (found.st_ino, found.st_size, found.st_mtime_ns)
    return seen


def copy_tree(source: str, target: str, leave_out: str, on_bytes: Callable[[int], None]) -> None:
    """Copy a folder with rights and times. Not durable yet: see `sync_tree`.

    Args:
        leave_out: files with this name are not copied.
        on_bytes: called with the number of bytes copied since the last call.
    """
    make_folder(target)
    for entry in sorted(os.scandir(source), key=lambda e: e.name):
        place = os.path.join(target, entry.name)
        if entry.is_dir(follow_symlinks=False):
            copy_tree(entry.path, place, leave_out, on_bytes)
        elif entry.is_symlink():
            os.symlink(os.readlink(entry.path), place)
        elif entry.is_file() and entry.name != leave_out:
            _copy_file(entry.path, place, on_bytes)
    shutil.copystat(source, target)


def _copy_file(source: str, target: str, on_bytes: Callable[[int], None]) -> None:
    from_fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        to_fd = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            while piece := os.read(from_fd, _PIECE_BYTES):
                view = memoryview(piece)
                while view:
                    view = view[os.write(to_fd, view) :]
                on_bytes(len(piece))
        finally:
            os.close(to_fd)
    finally:
        os.close(from_fd)
    shutil.copystat(source, target)


def sync_tree(folder: str) -> None:
    """fsync every file and folder below, and the folder itself."""
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        if entry.is_dir(follow_symlinks=False):
            sync_tree(entry.path)
        elif entry.is_file(follow_symlinks=False):
            fd = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
    sync_paths([folder])
