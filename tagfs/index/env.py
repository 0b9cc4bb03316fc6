"""Opens the LMDB environment, and turns its troubles into ours.

Rules (index.md, Settings): `sync=False` (kill -9 loses nothing, a power cut is found by
the `dirty` file and answered by a rebuild); no writemap (a full disk would kill the
process); a full disk is `DiskFull`, never corruption; the map grows on `MapFullError`;
whoever finds another inode under `data.mdb` opens it anew. LMDB allows one environment
a path in a process, so `Index` is that one and is closed before it is opened again.
"""

from __future__ import annotations

import errno
import os
from _thread import RLock, allocate_lock
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lmdb

from tagfs.errors import DiskFull, StoreError
from tagfs.index.schema import INDEX_FORMAT, SUB_DBS
from tagfs.layout import make_folder

MAP_SIZE_BYTES = 64 << 30
MAX_READERS = 512
_READERS_BYTES = (MAX_READERS + 8) * 64  # a slot each, and the table's head
_LITTLE_ROOM_BYTES = 8 << 20
_FORMAT_KEY = b"format"


class IndexCorrupt(StoreError):
    """The index cannot be used and must be built again; the ledgers are not concerned."""


class IndexMissing(IndexCorrupt):
    """There is no index yet, or it is of another layout."""


class Index:
    """An open index: the environment and its sub-databases by name, as attributes of `db`."""

    def __init__(self, path: str, env: Any, dbs: dict[str, Any], inode: int) -> None:
        self.path = path
        self.env = env
        self.db = dbs
        self.inode = inode
        self.writing = RLock()
        """Held by a thread that writes; the map is resized and the index closed only under it."""
        self.term_numbers: dict[bytes, int] = {}
        """Term numbers by `termkey`, as committed; they never change while the index lives."""
        self.hot_names: dict[bytes, tuple[int, Any, Any]] = {}
        """For `View.lookup`: checksum of a name with many holders -> (transaction, ordinals, the same as a set)."""
        self.names_apart: dict[int, tuple[int, list[bytes]]] = {}
        """For `View.name`: number of a block -> (transaction, its names)."""
        self.names_met = -1
        """The block of the name last asked for."""
        self.found_by_words: dict[str, Any] = {}
        """Words of `search/WORDS/` -> ordinals that the full text found for them (`mount.searching`)."""
        self.closed = False
        self.in_use = allocate_lock()
        """Held by a thread that reads beside the one that opened the index: what it reads must not be unmapped."""

    def is_current(self) -> bool:
        """Whether the path still leads to the file that is open."""
        try:
            return os.stat(os.path.join(self.path, "data.mdb")).st_ino == self.inode
        except FileNotFoundError:
            return False

    def resize(self, size_bytes: int) -> None:
        """Another size for the map, 0 for the one that another process gave it. Nobody may be reading."""
        with self.writing, self.in_use:
            self.env.set_mapsize(size_bytes)

    def close(self) -> None:
        with self.writing, self.in_use:
            self.closed = True
            self.env.close()


def open_index(
    path: str, *, create: bool, read_only: bool = False, locking: bool = True, map_size: int = MAP_SIZE_BYTES
) -> Index:
    """Open the index in the folder `path`.

    Args:
        create: make it where there is none, empty.
        read_only: for a process that will not write.
        locking: off only on a read-only medium, where nobody can write either.
    Raises:
        IndexMissing: there is none, or its layout is another one.
        IndexCorrupt: LMDB cannot read it.
        DiskFull: no room to create it.
    """
    data = os.path.join(path, "data.mdb")
    if not create and not os.path.exists(data):
        raise IndexMissing(f"no index in {path}")
    arguments: dict[str, Any] = {
        "map_size": map_size,
        "max_dbs": len(SUB_DBS) + 4,
        "sync": False,
        "writemap": False,
        "metasync": False,
        "max_readers": MAX_READERS,
        "readonly": read_only,
        "lock": locking,
        "create": create,
        "mode": 0o600,
        "readahead": not read_only,
    }
    if create:
        # The binding brings two engines with different file formats; 0 is the stable one.
        arguments["lib_version"] = 0
    try:
        if create:
            make_folder(path)
        if locking:
            _make_room_for_readers(os.path.join(path, "lock.mdb"))
        env = lmdb.open(path, **arguments)
    except (lmdb.Error, OSError) as exc:
        raise translated(exc, path) from exc
    try:
        found_file = os.stat(data)
        inode = found_file.st_ino
        # Reading beyond the end of a map whose file was cut kills the process (SIGBUS).
        if (env.info()["last_pgno"] + 1) * env.stat()["psize"] > found_file.st_size:
            raise IndexCorrupt(f"the index in {path} was cut short")
        # Handles are opened outside of any transaction; one opened inside would end with it.
        meta = _open(env, "meta", create)
        with env.begin(write=create) as tx:
            found = tx.get(_FORMAT_KEY, db=meta)
            if found is None and create:
                tx.put(_FORMAT_KEY, INDEX_FORMAT.encode(), db=meta)
            elif found != INDEX_FORMAT.encode():
                raise IndexMissing(f"the index in {path} has another layout")
        dbs = {name: _open(env, name, create) for name in SUB_DBS}
        if not read_only and locking:
            env.reader_check()
        return Index(path, env, dbs, inode)
    except lmdb.NotFoundError as exc:
        env.close()
        raise IndexMissing(f"the index in {path} has another layout") from exc
    except (lmdb.Error, OSError) as exc:
        env.close()
        raise translated(exc, path) from exc
    except StoreError:
        env.close()
        raise


def _make_room_for_readers(path: str) -> None:
    """See that the table of readers is on disk: LMDB writes it through a map, where a full disk is a SIGBUS."""
    try:
        if os.stat(path).st_size >= _READERS_BYTES:
            return
    except FileNotFoundError:
        pass
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, _READERS_BYTES)
    finally:
        os.close(fd)


def _open(env: Any, name: str, create: bool) -> Any:
    return env.open_db(name.encode(), create=create, **SUB_DBS[name])


def is_full(exc: BaseException, where: str) -> bool:
    """Whether an error says that the disk (or a quota) that holds `where` is full.

    LMDB calls a write that the disk took only in part an input/output error; whether it
    was for want of space the disk itself must tell, before anything is cut back.
    """
    if isinstance(exc, OSError):
        return exc.errno in (errno.ENOSPC, errno.EDQUOT)
    if not isinstance(exc, lmdb.Error):
        return False
    return "No space left" in str(exc) or "quota exceeded" in str(exc) or (_is_write_error(exc) and _little_room(where))


def _is_write_error(exc: lmdb.Error) -> bool:
    """Reading goes through the map and never gives this one."""
    return "Input/output error" in str(exc)


def _little_room(where: str) -> bool:
    while not os.path.exists(where):
        where = os.path.dirname(where) or "."
    disk = os.statvfs(where)
    return disk.f_bavail * disk.f_frsize < _LITTLE_ROOM_BYTES


def translated(exc: BaseException, where: str) -> Exception:
    """Our error for one of LMDB's or the system's."""
    if is_full(exc, where):
        return DiskFull(where)
    if isinstance(exc, lmdb.ReadersFullError):
        return StoreError(
            f"too many programs read the index in {where} at once (at most {MAX_READERS}); end some and try again"
        )
    if isinstance(exc, lmdb.Error) and _is_write_error(exc):
        return StoreError(f"the index in {where} cannot be written ({exc})")
    if isinstance(exc, lmdb.Error) and "already open in this process" in str(exc):
        return StoreError(f"the store of the index in {where} is open in this process already")
    if isinstance(exc, lmdb.Error):
        return IndexCorrupt(f"the index in {where} cannot be read ({exc})")
    if isinstance(exc, FileNotFoundError):
        return IndexMissing(f"no index in {where}")
    if isinstance(exc, OSError):
        return StoreError(f"{where}: {exc.strerror or exc}")
    return StoreError(f"{where}: {exc}")


@contextmanager
def reading(index: Index) -> Iterator[Any]:
    """A short read transaction."""
    try:
        tx = index.env.begin()
    except lmdb.MapResizedError:
        index.resize(0)  # another process grew the map; 0 takes its size over
        tx = index.env.begin()
    except lmdb.Error as exc:
        raise translated(exc, index.path) from exc
    try:
        yield tx
    finally:
        tx.abort()
