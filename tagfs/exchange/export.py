"""Files with all that is known about them, in plain folders: `lyts export`.

Each file comes out under its name (`recovery.safe_names` says how names and folders are
made), with its time of change and permissions, its tags and notes in the attributes that
desktops show (`tagfs.xdg`), and a row in `lyts.csv`, which carries everything.

Nothing is ever written over. What lies where a file is to go and holds its bytes is that
file, exported before, and is left as it is: so a run that was interrupted goes on when it
is begun again. What holds other bytes stays, and the file comes out beside it, told apart
by its id. A file is written aside, in `.lyts-export/`, and gets its name when it is whole.

The table is written anew at the end, also of a run that was interrupted; rows of files that
an earlier export put there, and this one does not speak of, stay in it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from array import array
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

from pyroaring import BitMap

from tagfs.bytes import FICLONE, CannotTake, hash_file, remove, take, try_link
from tagfs.errors import BadRequest, DiskFull, LytsError, StoreError
from tagfs.exchange import sidecar
from tagfs.exchange.sidecar import Entry
from tagfs.face import Face, face_of
from tagfs.guid import guid_of_bytes
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.place import Places, places
from tagfs.recovery.safe_names import MAX_NAME_BYTES, Folder, Names, folders_of, shortened
from tagfs.store import Store
from tagfs.xdg import COMMENT, RATING, TAGS, rating_in, tags_as_xattr

ASIDE = ".lyts-export"
PORTION_FILES = 1_000
SPARE_BYTES = 16 << 20
"""What is to be left on the disk, for the table and the folders themselves."""
BYTES_A_FILE = 4096
_ENDS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Errors after which no other file would come out either."""


class Elsewhere(NamedTuple):
    """A file whose bytes are not on this node, and the names of those that hold it."""

    guid: str
    name: str
    size_bytes: int
    holders: tuple[str, ...]


class Trouble(NamedTuple):
    """A file that did not come out as it should."""

    name: str
    why: str


class Exported(NamedTuple):
    """What an export did, or would do.

    `there`: files that an earlier run brought; `bare`: files that the file system could not give
    their tags or notes; `stopped`: what ended it before the last file.
    """

    files: int
    size_bytes: int
    there: int
    elsewhere: list[Elsewhere]
    trouble: list[Trouble]
    bare: int
    stopped: LytsError | None = None


class NotEnoughRoom(StoreError):
    """The disk is too small, as can be seen beforehand."""

    def __init__(self, folder: str, needed_bytes: int, free_bytes: int) -> None:
        self.folder, self.needed_bytes, self.free_bytes = folder, needed_bytes, free_bytes
        super().__init__(
            f"{folder} has room for {free_bytes:,} bytes more, and these files take {needed_bytes:,}. "
            "Nothing was written. Choose another disk, or a query that finds less"
        )


class _File(NamedTuple):
    """A file on its way out. `paths` are relative to the folder, the one for its bytes first."""

    state: FileState
    face: Face
    tags: tuple[str, ...]
    holders: tuple[str, ...]
    source: str | None
    paths: list[str]


class Exporter:
    """One export under way."""

    def __init__(
        self,
        store: Store,
        among: BitMap,
        folder: str,
        layout: str,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Args:
        among: ordinals of the files.
        folder: where they go; made if it is not there.
        progress: called with how many files are done, and how many there are.
        Raises:
            BadRequest: they cannot go there.
        """
        self._store, self._layout, self._progress = store, layout, progress
        self.folder = os.path.abspath(folder)
        self._aside = os.path.join(self.folder, ASIDE)
        self._table = os.path.join(self.folder, sidecar.NAME)
        self._among = among
        self._files = self._size = self._there = self._bare = 0
        self._elsewhere: list[Elsewhere] = []
        self._trouble: list[Trouble] = []
        self._told: set[bytes] = set()
        """What the table says is there: it stands for bytes that were on the disk before it was."""
        _refuse(self.folder, store.layout.root, self._table)

    # -- what there is

    def plan(self) -> Iterator[tuple[str, Face]]:
        """(path in the folder, face) of each file whose bytes are here; the others are noted. Nothing is written."""
        for file in self._in_order():
            if file.source is None:
                self._note_elsewhere(file)
                continue
            self._files += 1
            self._size += file.face.size_bytes
            yield file.paths[0], file.face

    def report(self, stopped: LytsError | None = None) -> Exported:
        """What was done, or planned, so far."""
        return Exported(
            self._files, self._size, self._there, self._elsewhere, self._trouble, self._bare, stopped
        )  # fmt: skip

    def _in_order(self) -> Iterator[_File]:
        """The files in the order in which they were made, each with its paths."""
        order, folders = self._look_through()
        names = Names(folders, reserved=[sidecar.NAME, ASIDE])
        for at in range(0, len(order), PORTION_FILES):
            guids = [guid_of_bytes(one[8:24]) for one in order[at : at + PORTION_FILES]]
            states = self._store.states(guids)
            with self._store.view(fresh=False) as view:
                nodes = view.node_names()
                where = places(self._store.layout, view, self._store.node)
                portion = [self._file(view, state, nodes, where, names) for state in states]
            yield from (file for file in portion if file is not None)

    def _look_through(self) -> tuple[list[bytes], set[Folder]]:
        """(birth when, GUID) of each file in order, packed; and all folders there will be."""
        with self._store.view() as view:
            order = sorted(row.born_when.to_bytes(8, "big") + row.guid for _, row in view.rows(self._among))
            folders: set[Folder] = set()
            if self._layout == "date":
                for mtime_ns in {mtime_ns for _, _, mtime_ns in view.packed_attrs(array("I", self._among))}:
                    folders.update(folders_of("date", (), mtime_ns, None))
                folders.update(folders_of("date", (), None, None))
            elif self._layout == "from":
                for one in {view.from_folder(ordinal) for ordinal in self._among}:
                    folders.update(folders_of("from", (), None, one))
            elif self._layout == "tags":
                tags = {tag for ordinal in self._among for tag in view.own_tags(ordinal)}
                for tag in {*tags, *map(view.canonical, tags)}:
                    folders.update(folders_of("tags", [tag], None, None))
                folders.update(folders_of("tags", [], None, None))
        return order, folders

    def _file(self, view: View, state: FileState, nodes: dict[str, str], where: Places, names: Names) -> _File | None:
        face = face_of(state, self._store.node, list(nodes))
        if not face.listed or face.trashed:
            return None
        tags = tuple(sorted({view.canonical(tag) for tag in face.tags}))
        holders = tuple(sorted(nodes.get(node, node[:8]) for node in face.holds))
        source = where.find(face.data, face.holds)
        if source is not None and not os.path.isfile(source):
            source = None
        paths = []
        if source is not None:
            modified_ns = face.mtime_ns if face.sha256 else None
            for folder in folders_of(self._layout, tags, modified_ns, face.from_folder):
                paths.append("/".join((*folder, names.give(folder, face.name, state.guid))))
        return _File(state, face, tags, holders, source, paths)

    def _note_elsewhere(self, file: _File) -> None:
        self._elsewhere.append(
            Elsewhere(file.state.guid, file.face.name, file.face.size_bytes, file.holders)
        )  # fmt: skip

    # -- bringing it out

    def run(self) -> Exported:
        """Do it. Ctrl-C comes through once the table says what came out so far; a full disk is in the report.

        Raises:
            NotEnoughRoom: before anything was written.
            BadRequest: another export writes there, or the table of an earlier one is damaged.
        """
        os.makedirs(self.folder, exist_ok=True)
        lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadRequest(
                    f"another lyts export is writing to {self.folder} now; wait until it is done"
                ) from None
            except OSError:
                pass  # a file system without locks
            if os.path.exists(self._table):
                # What cannot be read is to be told now, and not when it is to be carried over.
                for row, more in sidecar.read(self._table):
                    also = more.get("also")
                    for path in (row.path, *(also if isinstance(also, list) else ())):
                        self._told.add(_mark(path, row.guid, row.sha256))
            self._refuse_if_too_much()
            shutil.rmtree(self._aside, ignore_errors=True)  # of a run that was killed
            os.mkdir(self._aside, 0o700)
            try:
                return self._run()
            finally:
                shutil.rmtree(self._aside, ignore_errors=True)
        except OSError as exc:
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(self.folder) from exc
            raise StoreError(f"{exc.filename or self.folder} cannot be written: {exc.strerror}") from exc
        finally:
            os.close(lock)

    def _run(self) -> Exported:
        stopped: LytsError | None = None
        draft = os.path.join(self._aside, "table")
        done: set[bytes] = set()
        has_table = os.path.exists(self._table)
        with open(draft, "wb") as table:
            table.write(sidecar.header())
            try:
                for count, file in enumerate(self._in_order(), start=1):
                    table.write(sidecar.line(self._bring_out(file)))
                    if has_table:
                        done.add(_packed(file.state.guid))
                    if self._progress is not None:
                        self._progress(count, len(self._among))
            except DiskFull:
                stopped = DiskFull(self.folder)
            finally:
                self._end_table(table.fileno(), table.flush, draft, done)
        _sync_disk_of(self.folder)
        return self.report(stopped)

    def _end_table(self, fd: int, flush: Callable[[], None], draft: str, done: set[bytes]) -> None:
        """Add what an earlier table says of other files, and put the new one in its place."""
        flush()
        if os.path.exists(self._table):
            with open(fd, "ab", closefd=False) as more:
                for entry in sidecar.read(self._table):
                    if _packed(entry.row.guid) not in done:
                        more.write(sidecar.line(entry))
        os.fsync(fd)
        _sync_disk_of(self.folder)  # the table is not to speak of bytes that are not there after a power cut
        os.replace(draft, self._table)

    def _bring_out(self, file: _File) -> Entry:
        path, also = "", []
        if file.source is None:
            self._note_elsewhere(file)
        else:
            try:
                try:
                    path = self._copy_out(file, file.source)
                except CannotTake:
                    path = self._copy_out(file, self._moved_to(file))
                if path:
                    also = [found for one in file.paths[1:] if (found := self._name_again(file, path, one))]
            except DiskFull:
                raise
            except (CannotTake, StoreError, OSError) as exc:
                if isinstance(exc, OSError) and exc.errno in _ENDS:
                    raise
                why = exc.why if isinstance(exc, CannotTake) else str(exc)
                self._trouble.append(Trouble(file.face.name, why))
        return sidecar.entry_of(file.state, file.face, file.tags, file.holders, path, also)

    def _moved_to(self, file: _File) -> str:
        """Where the bytes of a file are now: the daemon may have moved them meanwhile."""
        with self._store.view() as view:
            state = self._store.states([file.state.guid])[0]
            face = face_of(state, self._store.node, list(view.node_names()))
            found = places(self._store.layout, view, self._store.node).find(face.data, face.holds)
        return found or file.source or ""

    def _copy_out(self, file: _File, source: str) -> str:
        """Where a file lies in the folder now."""
        face = file.face
        for path in _told_apart(file.paths[0], file.state.guid):
            whole = os.path.join(self.folder, path)
            if not os.path.lexists(whole):
                break
            if self._is_it(path, file):
                self._there += 1
                return path
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        draft = os.path.join(self._aside, file.state.guid)
        taken = take(source, draft)
        if face.sha256 and taken.sha256 != face.sha256:
            why = "its bytes are not what lyts knows of it; they came out as they are (lyts fsck --deep tells more)"
            self._trouble.append(Trouble(face.name, why))
        self._dress(draft, file)
        while not _name_it(draft, whole):  # somebody made a file there meanwhile
            path = next(one for one in _told_apart(path, file.state.guid) if not os.path.lexists(self._at(one)))
            whole = self._at(path)
        self._files += 1
        self._size += face.size_bytes
        return path

    def _at(self, path: str) -> str:
        return os.path.join(self.folder, path)

    def _name_again(self, file: _File, path: str, wanted: str) -> str:
        """Another name for a file that came out; "" where there cannot be one."""
        first = self._at(path)
        for one in _told_apart(wanted, file.state.guid):
            whole = self._at(one)
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            try:
                return one if try_link(first, whole) else ""
            except FileExistsError:
                if os.path.samefile(first, whole) or self._is_it(one, file):
                    return one
        return ""

    def _is_it(self, path: str, file: _File) -> bool:
        """Whether a file that is there was exported before: it holds the bytes.

        One that the table does not speak of is read: after a power cut it may have the size and time alone.
        """
        whole, face = self._at(path), file.face
        try:
            found = os.lstat(whole)
            if not stat.S_ISREG(found.st_mode) or found.st_size != face.size_bytes:
                return False
            told = found.st_mtime_ns == face.mtime_ns and _mark(path, file.state.guid, face.sha256) in self._told
            return told or hash_file(whole) == face.sha256
        except OSError:
            return False

    def _dress(self, path: str, file: _File) -> None:
        """Give a copy its tags, notes, time and permissions."""
        face = file.face
        attributes: dict[str, bytes] = {}
        for name, value in sidecar.xattrs_of(file.state).items():
            if name.startswith("user.") and (raw := _decoded(value)) is not None:
                attributes[name] = raw
        if file.tags:
            attributes[TAGS] = tags_as_xattr(file.tags)
        if face.notes:
            attributes[COMMENT] = face.notes.encode("utf-8", "surrogatepass")
        rating = rating_in(file.tags)
        if rating is not None and RATING not in attributes:
            attributes[RATING] = rating
        complete = True
        for name in sorted(attributes, key=lambda one: one not in (TAGS, COMMENT)):
            try:
                os.setxattr(path, name, attributes[name])
            except OSError as exc:
                if exc.errno not in (errno.ENOTSUP, errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.EPERM):
                    raise
                complete = False
        self._bare += not complete
        os.chmod(path, face.mode)
        os.utime(path, ns=(face.mtime_ns, face.mtime_ns))

    # -- room

    def _refuse_if_too_much(self) -> None:
        """Raise `NotEnoughRoom` unless what is to be copied fits."""
        found = os.statvfs(self.folder)
        free = found.f_bavail * found.f_frsize - SPARE_BYTES
        with self._store.view(fresh=False) as view:
            most = sum(attr.size_bytes + BYTES_A_FILE for _, attr in view.attrs(self._among))
        if most <= free:
            return
        needed = 0
        source = None
        for file in self._in_order():
            if file.source is None or self._is_it(file.paths[0], file):
                continue
            needed += file.face.size_bytes + BYTES_A_FILE
            source = source or (file.source if file.face.size_bytes else None)
        if needed > free and not (source is not None and self._can_share(source)):
            raise NotEnoughRoom(self.folder, needed, max(free, 0))

    def _can_share(self, source: str) -> bool:
        """Whether copies take no room here (reflinks)."""
        probe = os.path.join(self.folder, ASIDE + ".probe")
        try:
            fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
            try:
                out = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.ioctl(out, FICLONE, fd)
                finally:
                    os.close(out)
                    remove(probe)
            finally:
                os.close(fd)
        except OSError:
            return False
        return True


def _refuse(folder: str, root: str, table: str) -> None:
    """Raise `BadRequest` where an export must not go."""
    from tagfs.mount.point import mount_of

    real, real_root = os.path.realpath(folder), os.path.realpath(root)
    if real == real_root or real.startswith(real_root + os.sep):
        raise BadRequest(f"{folder} is in the store itself; choose a folder outside")
    if mount_of(real) is not None:
        raise BadRequest(f"{folder} is in the mounted library, where every file would be added again; choose another")
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise BadRequest(f"{folder} is a file, not a folder")
    if os.path.lexists(table) and not sidecar.is_table(table):
        raise BadRequest(f"{table} is there and no table of an export; move it away, or choose another folder")


def _told_apart(path: str, guid: str) -> Iterator[str]:
    """A path, and others in the same folder by which the file can be told from what lies there."""
    yield path
    folder, slash, name = path.rpartition("/")
    digits = guid.replace("-", "")
    for between in (f"~{digits[:8]}", f"~{digits}", *(f"~{digits}-{n}" for n in range(2, 1_000))):
        yield folder + slash + shortened(name, MAX_NAME_BYTES, between)
    raise BadRequest(f"there are too many other files called {name!r} in {folder or 'the folder'}")


def _name_it(draft: str, path: str) -> bool:
    """Give a file that is whole its name, unless the name is taken."""
    try:
        if not try_link(draft, path):
            # Without hard links the name is claimed by an empty file, which only this run writes over.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            os.replace(draft, path)
            return True
    except FileExistsError:
        return False
    os.unlink(draft)
    return True


def _sync_disk_of(folder: str) -> None:
    """Make durable all that was written: one call, where fsync would be one a file. A stick may be pulled out next."""
    import ctypes

    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), folder)
    finally:
        os.close(fd)


def _decoded(value: str) -> bytes | None:
    import base64

    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return None


def _mark(path: object, guid: str, sha256: str) -> bytes:
    """A row of a table in eight bytes."""
    return blake2b(f"{path}\0{guid}\0{sha256}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _packed(guid: str) -> bytes:
    try:
        return bytes.fromhex(guid.replace("-", ""))
    except ValueError:
        return b""


def holders_text(holders: Sequence[str]) -> str:
    """The devices that have a file, for a person."""
    return ", ".join(holders) or "no device that is known"
