"""Writes what is generated: whole or not at all, and only what is other than before.

A draft is made in `scratch/`, fsynced and renamed: a crash leaves the old file. What was written
is noted by checksum, so that a page which says the same is neither read nor touched, and no
sync program hears of it. The note (`scratch/readme/.<name>`) can be lost: then files are compared. (All
names in there begin with a dot: the scripts that get a person's files out of a store pass over those.)

Pages that are no longer needed are removed last of all, when nothing leads to them.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import NamedTuple

from tagfs.durable import sync_paths
from tagfs.errors import DiskFull, StoreError
from tagfs.layout import make_folder
from tagfs.recovery.html import is_ours

AT_ONCE = 64
"""Drafts that are fsynced and renamed together."""
BUFFER_BYTES = 1 << 18
PAGES = "pages"
_HEAD_BYTES = 400


class Note(NamedTuple):
    """What stands in a file: checksum, and size and time by which it is known to be still so."""

    digest: str
    size_bytes: int
    mtime_ns: int


class Changed(NamedTuple):
    """What was done: paths below the folder."""

    written: list[str]
    removed: list[str]
    same: int


class Draft:
    """A file that is being written. `write` takes bytes."""

    def __init__(self, path: str, mode: int) -> None:
        self.path = path
        self._fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        os.fchmod(self._fd, mode)
        self._digest = blake2b(digest_size=16)
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= BUFFER_BYTES:
            self._write_out()

    def _write_out(self) -> None:
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        self._digest.update(data)
        self.size_bytes += len(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def close(self) -> str:
        """Returns the checksum of what was written."""
        self._write_out()
        os.close(self._fd)
        return self._digest.hexdigest()

    def abandon(self) -> None:
        """Leave nothing behind."""
        try:
            os.close(self._fd)
        except OSError:
            pass  # `close` got as far as that
        _remove(self.path)


class Writer:
    """Writes below one folder. `finish` ends it; without that nothing more than was renamed has happened."""

    def __init__(self, folder: str, scratch: str, note: str, *, dry_run: bool = False, removes: bool = True) -> None:
        """Args:
        note: what the note about this folder is called.
        dry_run: only find out what would be written.
        removes: whether pages that are not put are to go.
        """
        self._removes = removes
        self.folder = folder
        self._scratch = os.path.join(scratch, "readme")
        self._note = os.path.join(self._scratch, "." + note)
        self._dry_run = dry_run
        make_folder(self._scratch)
        self._before = _read_note(self._note)
        self._now: dict[str, Note] = {}
        self._waiting: list[tuple[str, str, str]] = []
        self._folders: set[str] = set()
        self._number = 0
        self.written: list[str] = []
        self.removed: list[str] = []
        self.same = 0

    # -- writing

    def put(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Have a file say this."""
        digest = blake2b(data, digest_size=16).hexdigest()
        if self._is_so(path, digest, len(data)):
            return
        self.written.append(path)
        if self._dry_run:
            return
        with self._room(path):
            draft = Draft(self._new_draft(), mode)
            try:
                draft.write(data)
                draft.close()
            except BaseException:
                draft.abandon()
                raise
        self._later(draft.path, path, digest)

    @contextmanager
    def stream(self, path: str, mode: int = 0o644) -> Iterator[Draft]:
        """Have a file say what is written to this, piece by piece."""
        with self._room(path):
            draft = Draft(self._new_draft(), mode)
            try:
                yield draft
                digest = draft.close()
            except BaseException:
                draft.abandon()
                raise
        if self._is_so(path, digest, draft.size_bytes):
            _remove(draft.path)
            return
        self.written.append(path)
        if self._dry_run:
            _remove(draft.path)
        else:
            self._later(draft.path, path, digest)

    def flush(self) -> None:
        """Let what was written so far take the place of what was there."""
        waiting, self._waiting = self._waiting, []
        try:
            with self._room(self.folder):
                sync_paths(draft for draft, _, _ in waiting)
                for draft, path, digest in waiting:
                    target = os.path.join(self.folder, path)
                    self._make_way(os.path.dirname(path))
                    _put_in_place(draft, target)
                    found = os.stat(target)
                    self._now[path] = Note(digest, found.st_size, found.st_mtime_ns)
        finally:
            for draft, _, _ in waiting:
                _remove(draft)

    def finish(self) -> Changed:
        """Remove pages that are no longer needed, and note what stands."""
        self.flush()
        known = set(self._before) or set(self._pages_there() if self._removes else ())
        put = {*self._now, *self.written}
        for path in sorted(known - put):
            if path.startswith(PAGES + "/"):
                self.removed.append(path)
                if not self._dry_run:
                    _remove(os.path.join(self.folder, path))
                    self._folders.add(os.path.dirname(os.path.join(self.folder, path)))
        if not self._dry_run:
            self._tidy_folders()
            sync_paths(folder for folder in sorted(self._folders) if os.path.isdir(folder))
            if self.written or self.removed or self._now != self._before:
                self._write_note()
        return Changed(self.written, self.removed, self.same)

    def close(self) -> None:
        """Leave no drafts behind, whatever happened."""
        for draft, _, _ in self._waiting:
            _remove(draft)
        self._waiting.clear()

    # -- inside

    def _new_draft(self) -> str:
        self._number += 1
        return os.path.join(self._scratch, f".draft-{os.getpid()}-{self._number}")

    def _make_way(self, folder: str) -> None:
        """Make the folder of a page. A link in its place leads elsewhere, and who put it there is not to say where."""
        whole = os.path.join(self.folder, folder) if folder else self.folder
        if whole in self._folders:
            return
        if folder:
            self._make_way(os.path.dirname(folder))
            if os.path.islink(whole):
                _remove(whole)
        make_folder(whole)
        self._folders.add(whole)

    def _later(self, draft: str, path: str, digest: str) -> None:
        self._waiting.append((draft, path, digest))
        if len(self._waiting) >= AT_ONCE:
            self.flush()

    def _is_so(self, path: str, digest: str, size_bytes: int) -> bool:
        """Whether a file says this already."""
        target = os.path.join(self.folder, path)
        try:
            found = os.lstat(target)
        except OSError:
            return False
        if found.st_size != size_bytes:
            return False
        note = self._before.get(path)
        if note is None or (note.size_bytes, note.mtime_ns) != (found.st_size, found.st_mtime_ns):
            note = Note(_digest_of(target), found.st_size, found.st_mtime_ns)
        if note.digest != digest:
            return False
        self._now[path] = note
        self.same += 1
        return True

    def _pages_there(self) -> Iterator[str]:
        """The pages on disk that were made here, where no note says which they are."""
        for folder, _, names in os.walk(os.path.join(self.folder, PAGES)):
            for name in names:
                path = os.path.join(folder, name)
                try:
                    with open(path, "rb") as file:
                        ours = is_ours(file.read(_HEAD_BYTES))
                except OSError:
                    continue
                if ours:
                    yield os.path.relpath(path, self.folder)

    def _tidy_folders(self) -> None:
        for folder in sorted({os.path.dirname(path) for path in self.removed}, key=len, reverse=True):
            while folder:
                try:
                    os.rmdir(os.path.join(self.folder, folder))
                except OSError:
                    break
                folder = os.path.dirname(folder)

    def _write_note(self) -> None:
        lines = (f"{n.digest} {n.size_bytes} {n.mtime_ns} {path}\n" for path, n in sorted(self._now.items()))
        draft = self._note + ".new"
        with self._room(self._note), open(draft, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(lines)
        os.replace(draft, self._note)

    @contextmanager
    def _room(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(self.folder) from exc
            raise StoreError(f"{os.path.join(self.folder, what)} could not be written: {exc.strerror}") from exc


def _put_in_place(draft: str, target: str) -> None:
    try:
        os.replace(draft, target)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        # The folder of a set may be on a disk of its own. Syncthing passes over names like this one.
        folder, name = os.path.split(target)
        near = os.path.join(folder, f".syncthing.{name}.tmp")
        shutil.copy(draft, near)
        sync_paths([near])
        os.replace(near, target)


def _read_note(path: str) -> dict[str, Note]:
    out: dict[str, Note] = {}
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                digest, size, mtime, name = line.rstrip("\n").split(" ", 3)
                out[name] = Note(digest, int(size), int(mtime))
    except (OSError, ValueError):
        return {}
    return out


def _digest_of(path: str) -> str:
    digest = blake2b(digest_size=16)
    try:
        with open(path, "rb", buffering=0) as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
