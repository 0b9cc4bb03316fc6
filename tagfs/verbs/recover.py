"""Builds a store out of whatever is left of others, or adds it to this one: `lyts recover`.

Sources are folders: stores, backups of stores, single folders of one, several disks, in any state.
They are looked through as `recover.py` does it (`tagfs/recovery/scripts/recover.py`), which is
used here as a library, so that both find the same. Nothing is ever written to them.

1. Facts: the union of all ledgers (`tagfs.recovery.union`).
2. Bytes where a data file's name says whose they are: read, hashed, and put in place where
   they are what was stated and are not here yet.
3. All other bytes, and what did not fit: known by their hash where a file misses just these;
   an earlier content goes to `keep/`; the rest becomes files of their own, with the tag
   `recovered`, so that a person sees them. Bytes that the library has already are passed over.

Running it again changes nothing, and goes on where it was interrupted: what is here already is
known by its hash, and what becomes a file of its own has an identity that follows from it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from tagfs.bytes import CannotTake, Taken, hash_file, remove, take
from tagfs.change import Change
from tagfs.conflict import copy_guid
from tagfs.durable import sync_paths
from tagfs.errors import BadRequest, DiskFull, LytsError, StoreError
from tagfs.face import Face, face_of
from tagfs.fact import Content, Made, name_is_possible, time_text
from tagfs.glossary import NODE_THING
from tagfs.guid import Guid, is_guid
from tagfs.index.blocks import LISTED
from tagfs.index.read import View
from tagfs.keep import keeping, make_way
from tagfs.layout import make_folder
from tagfs.merge import FileState
from tagfs.place import Places, kept_versions_folder, places
from tagfs.recovery import union
from tagfs.recovery.safe_names import shortened
from tagfs.recovery.scripts import recover as script
from tagfs.slug import data_path
from tagfs.store import Store

TAG = "recovered"
BATCH_FILES = 256
BATCH_BYTES = 64 << 20

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


class Problem(NamedTuple):
    """Something in a source that could not be used, and why."""

    where: str
    why: str


class Back(NamedTuple):
    """A file that has its bytes again, or that was made of bytes: its GUID, its name, and where they were."""

    guid: str
    name: str
    source: str


class Missing(NamedTuple):
    """A file of which a source knew, whose bytes were not found, and the GUIDs of those that hold it."""

    guid: str
    name: str
    holds: list[str]


class Report(NamedTuple):
    """What came of it.

    `facts` lines were taken; `files` is how many files the sources knew. `placed` have their
    bytes again; `versions` earlier contents were set aside; `made` are files made of bytes that
    nothing was stated about. `kept_from`: files that this device may not know. `ended`: files with
    bytes in a source that were deleted for good here, and are left out. `stopped` is
    what ended it early; what is told here was done all the same.
    """

    facts: int
    files: int
    placed: list[Back]
    versions: int
    made: list[Back]
    missing: list[Missing]
    kept_from: int
    problems: list[Problem]
    ended: list[Back]
    stopped: LytsError | None = None


class Ahead(NamedTuple):
    """What a run would find, without reading bytes: see `look`."""

    facts: int
    files: int
    bytes_for: int
    other_bytes: int
    problems: list[Problem]


class Found:
    """The sources, looked through."""

    def __init__(self, folders: Sequence[str], store_root: str) -> None:
        """Raises `BadRequest` where one is no folder, is in the store or around it, or all have nothing of lyts."""
        root = os.path.realpath(store_root)
        for folder in folders:
            if not os.path.isdir(folder):
                raise BadRequest(f"{folder} is not a folder; nothing was done")
            real = os.path.realpath(folder)
            if script.is_inside(real, root) or script.is_inside(root, real):
                raise BadRequest(
                    f"{folder} and the store in {store_root} lie in each other, and a source is only to be read. "
                    "Choose another folder for the new store: lyts --store DIR recover …"
                )
        self.sources = script.Sources(folders)
        self.unreadable: list[str] = list(self.sources.unreadable)
        if not (self.sources.ledgers or self.sources.tables or self.sources.bytes or self.unreadable):
            raise BadRequest(
                f"nothing of a lyts store was found in {', '.join(folders)}; nothing was done. "
                "Ordinary files are taken in by: lyts add FOLDER"
            )
        self.lines = union.lines_of(self.sources.ledgers, self.unreadable)

    def library_id(self) -> str | None:
        """The library that the sources are of, None where they say nothing, or not all the same."""
        ids = {script.settings_of(path).get("library", "") for path in self.sources.settings} - {""}
        return next(iter(ids)) if len(ids) == 1 and is_guid(next(iter(ids))) else None

    def names_in_use(self) -> set[str]:
        """What devices and sets are called in the sources, in small letters."""
        said = [fact for fact, _ in self.lines.others]
        aliases = [fact.alias for fact in said if fact.node is not None and isinstance(fact.alias, str)]
        return {name.lower() for name in (*aliases, *(fact.label for fact in said if fact.label is not None))}

    def problems(self) -> list[Problem]:
        """What could not be read or understood."""
        return [
            *(Problem(one, "cannot be read") for one in self.unreadable),
            *(Problem(one, "is damaged and was left out") for one in self.lines.bad),
        ]


def look(found: Found, store: Store | None) -> Ahead:
    """What there is, for `--dry-run`; bytes are not read."""
    lines = found.lines if store is None else union.lacking(found.lines, store.layout)
    in_place = {one.guid for one in found.sources.bytes if one.in_place}
    known = {guid for guid in found.lines.files if guid in in_place}
    others = len(found.sources.bytes) - sum(one.in_place and one.guid in known for one in found.sources.bytes)
    return Ahead(lines.total(), len(found.lines.files), len(known), others, found.problems())


class _Ready(NamedTuple):
    state: FileState
    face: Face
    taken: Taken
    source: str


class _Aside(NamedTuple):
    """Bytes of this store that made room for others: where they are now, and where they were."""

    path: str
    shown: str
    sha256: str


class Recoverer:
    """One `lyts recover` under way."""

    def __init__(self, store: Store, found: Found, progress: Progress | None = None) -> None:
        if store.read_only:
            raise store.refusal()
        self._store = store
        self._found = found
        self._progress = progress or (lambda what, done, total: None)
        self._problems = found.problems()
        self._placed: list[Back] = []
        self._made: list[Back] = []
        self._versions = 0
        self._facts = 0
        self._kept_from: set[str] = set()
        self._ended: dict[str, Back] = {}
        self._batch: list[_Ready] = []
        self._batch_bytes = 0
        self._nodes: list[str] = []
        self._places: Places | None = None
        self._scratch = os.path.join(store.layout.scratch, f"recover-{os.getpid()}-")
        self._drafts = 0

    def run(self) -> Report:
        """All of it."""
        stopped: LytsError | None = None
        try:
            self._take_facts()
            self._take_bytes()
        except DiskFull:
            stopped = DiskFull(self._store.layout.root)
        finally:
            self._clean()
        return Report(
            facts=self._facts,
            files=len(self._found.lines.files),
            placed=self._placed,
            versions=self._versions,
            made=self._made,
            missing=self._missing(),
            kept_from=len(self._kept_from),
            problems=self._problems,
            ended=list(self._ended.values()),
            stopped=stopped,
        )

    def _clean(self) -> None:
        folder, prefix = os.path.split(self._scratch)
        with suppress(OSError):
            for name in os.listdir(folder):
                if name.startswith(prefix):
                    remove(os.path.join(folder, name))

    # -- facts

    def _take_facts(self) -> None:
        lines = union.lacking(self._found.lines, self._store.layout)
        self._progress("facts", 0, lines.total())
        done = union.unite(self._store, lines)
        self._facts = done.taken
        self._kept_from.update(done.kept_from)
        self._progress("facts", lines.total(), lines.total())

    # -- bytes

    def _take_bytes(self) -> None:
        """First what is named, then what is left; the batch is put in place in between, so that it counts as here."""
        rest: list[tuple[Any, str]] = []
        named = [one for one in self._found.sources.bytes if one.in_place]
        for number, one in enumerate(named):
            self._progress("files", number, len(named))
            sha256 = self._take_named(one)
            if sha256 is not None:
                rest.append((one, sha256))
        self._put_in_place()
        others = [one for one in self._found.sources.bytes if not one.in_place]
        sizes = self._sizes_missing()
        others += [one for one in self._found.sources.loose if self._size_of(one.path) in sizes]
        for number, one in enumerate(others):
            self._progress("other bytes", number, len(others))
            with suppress(OSError):
                rest.append((one, hash_file(one.path)))
                continue
            self._problems.append(Problem(one.shown, "cannot be read"))
        for number, (one, sha256) in enumerate(rest):
            self._progress("other bytes", number, len(rest))
            self._take_other(one, sha256)
        self._put_in_place()

    def _where(self) -> Places:
        """Where files are here; looked up once all facts are in, since no set comes up after that."""
        if self._places is None:
            with self._store.view() as view:
                self._places = places(self._store.layout, view, self._store.node)
                self._nodes = [node for node, _ in view.things(NODE_THING)]
        return self._places

    def _face(self, guid: str) -> tuple[FileState, Face]:
        self._where()
        state = self._store.states([guid])[0]
        return state, face_of(state, self._store.node, self._nodes)

    def _stands_here(self, face: Face) -> bool:
        """Whether a file has its bytes on this disk, as far as their number tells."""
        path = self._where().find(face.data, face.holds)
        return path is not None and os.lstat(path).st_size == face.size_bytes

    def _take_named(self, one: Any) -> str | None:
        """Bytes whose name says whose they are. Returns their hash where they are something else."""
        state, face = self._face(one.guid)
        if state.is_purged():
            self._ended.setdefault(one.guid, Back(one.guid, face.name, one.path))
        try:
            if not face.listed or self._stands_here(face) or any(ready.state.guid == one.guid for ready in self._batch):
                return hash_file(one.path)
            taken = self._draft(one.path)
        except (OSError, CannotTake) as exc:
            why = exc.why if isinstance(exc, CannotTake) else f"cannot be read ({exc.strerror})"
            self._problems.append(Problem(one.shown, why))
            return None
        if taken.sha256 not in {content.sha256 for _, content in state.content_heads()}:
            remove(taken.path)
            known = any(content.sha256 == taken.sha256 for content in state.contents.values())
            if not known:
                self._problems.append(
                    Problem(one.shown, f"are not the bytes that were written down for {face.name}: damaged, or edited")
                )
            return taken.sha256
        self._add_to_batch(state, face, taken, one.path)
        return None

    def _draft(self, path: str) -> Taken:
        self._drafts += 1
        return take(path, f"{self._scratch}{self._drafts}")

    def _add_to_batch(self, state: FileState, face: Face, taken: Taken, source: str) -> None:
        self._batch.append(_Ready(state, face, taken, source))
        self._batch_bytes += taken.size_bytes
        if len(self._batch) >= BATCH_FILES or self._batch_bytes >= BATCH_BYTES:
            self._put_in_place()

    def _put_in_place(self) -> None:
        """Make a batch durable, put it in place, and say that this device holds it."""
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if not batch:
            return
        store = self._store
        label = self._where().own_label()
        aside: list[tuple[_Ready, _Aside]] = []
        try:
            sync_paths(ready.taken.path for ready in batch)
            folders = set()
            for ready in batch:
                path = store.layout.data(label, ready.face.data)
                make_folder(os.path.dirname(path))
                if os.path.lexists(path):
                    aside.append((ready, self._set_aside(ready.state.guid, path)))
                os.rename(ready.taken.path, path)
                os.chmod(path, 0o600)
                folders.add(os.path.dirname(path))
            sync_paths({*folders, *map(os.path.dirname, folders)})
        except OSError as exc:
            raise self._sentence(exc) from exc

        def say(change: Change) -> None:
            change.unasked = True  # an undo would say that they are not here
            for ready in batch:
                if not change.state(ready.state.guid).holds.get(change.node, ("", False))[1]:
                    change.about_file(ready.state.guid, holds={change.node: True})

        store.act(say)
        self._placed += [Back(ready.state.guid, ready.face.name, ready.source) for ready in batch]
        for ready, one in aside:
            known = {content.sha256 for content in ready.state.contents.values()}
            if one.sha256 not in known and os.path.getsize(one.path):
                # Damaged, or an edit that nothing was stated about yet: as a version it would go after a while.
                self._make_beside(ready.state.guid, ready.face, one, one.sha256)

    def _set_aside(self, guid: str, path: str) -> _Aside:
        """Bytes here that are not what was stated make room for those that are."""
        sha256 = hash_file(path)
        with keeping(self._store.layout):
            changed = make_way(self._store.layout, guid)
            place = os.path.join(kept_versions_folder(self._store.layout, guid), sha256)
            os.rename(path, place)
        sync_paths(changed)  # before others take their place
        return _Aside(place, path, sha256)

    def _sentence(self, exc: OSError) -> LytsError:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFull(self._store.layout.root)
        return StoreError(f"{exc.filename or self._store.layout.root} cannot be written: {exc.strerror}")

    # -- bytes of which the name does not say whose they are

    def _sizes_missing(self) -> set[int]:
        sizes = set()
        for guid in self._found.lines.files:
            _, face = self._face(guid)
            if face.listed and face.sha256 and not self._stands_here(face):
                sizes.add(face.size_bytes)
        return sizes

    @staticmethod
    def _size_of(path: str) -> int:
        try:
            return os.lstat(path).st_size
        except OSError:
            return -1

    def _take_other(self, one: Any, sha256: str) -> None:
        here = False
        for guid in self._with_content(sha256):
            state, face = self._face(guid)
            if self._stands_here(face) or any(ready.state.guid == guid for ready in self._batch):
                here = True
            elif (taken := self._take(one, sha256)) is not None:
                self._add_to_batch(state, face, taken, one.path)
                here = True
        if here or (one.how == "loose" and not one.guid):
            return
        if not one.guid:
            self._make(
                Guid(str(uuid5(UUID(self._store.info.library), sha256))), os.path.basename(one.path), one, sha256
            )
            return
        state, face = self._face(one.guid)
        if state.is_purged() or (state.made is not None and not face.listed) or one.guid in self._kept_from:
            return  # ended, or not for this device to know
        if state.made is None:
            self._make(Guid(one.guid), _name_of(os.path.basename(one.path), one.guid), one, sha256)
        elif any(content.sha256 == sha256 for content in state.contents.values()):
            self._keep(one, sha256)
        else:
            self._make_beside(one.guid, face, one, sha256)

    def _with_content(self, sha256: str) -> list[str]:
        """The files that are to have these bytes."""
        with self._store.view(fresh=False) as view:
            found = [ordinal for ordinal in view.with_hash(bytes.fromhex(sha256)) if _is_listed(view, ordinal)]
            return [view.guid(ordinal) for ordinal in found]

    def _take(self, one: Any, sha256: str) -> Taken | None:
        try:
            taken = self._draft(one.path)
        except CannotTake as exc:
            self._problems.append(Problem(one.shown, exc.why))
            return None
        if taken.sha256 != sha256:
            remove(taken.path)
            self._problems.append(Problem(one.shown, "changed while it was read"))
            return None
        return taken

    def _keep(self, one: Any, sha256: str) -> None:
        """An earlier content of a file; of no bytes none are kept."""
        path = os.path.join(kept_versions_folder(self._store.layout, one.guid), sha256)
        if os.path.exists(path) or (taken := self._take(one, sha256)) is None:
            return
        if not taken.size_bytes:
            remove(taken.path)
            return
        try:
            sync_paths([taken.path])
            with keeping(self._store.layout):
                changed = make_way(self._store.layout, one.guid)
                os.rename(taken.path, path)
            sync_paths(changed)
        except OSError as exc:
            raise self._sentence(exc) from exc
        self._versions += 1

    def _make_beside(self, guid: str, face: Face, one: Any, sha256: str) -> None:
        """A file of its own for bytes of which it is known only whose they were."""
        self._make(copy_guid(guid, sha256), shortened(face.name, 255, " (recovered)"), one, sha256, face)

    def _make(self, guid: Guid, name: str, one: Any, sha256: str, beside: Face | None = None) -> None:
        """A file of its own."""
        store, label = self._store, self._where().own_label()
        if store.states([guid])[0].made is not None:
            return  # it was made once, whatever became of it
        name = name if name_is_possible(name) else f"{guid[:8]}"
        if not _is_free(store.layout.data(label, data_path(guid, name)), sha256):
            guid = copy_guid(guid, sha256)  # bytes here that no fact speaks of stay as they are
            if store.states([guid])[0].made is not None:
                return
        taken = self._take(one, sha256)
        if taken is None:
            return
        data = data_path(guid, name)
        path = store.layout.data(label, data)
        tags = [*(beside.tags if beside is not None else ()), TAG]
        try:
            sync_paths([taken.path])
            make_folder(os.path.dirname(path))
            os.rename(taken.path, path)
            os.chmod(path, 0o600)
            sync_paths([os.path.dirname(path), os.path.dirname(os.path.dirname(path))])
        except OSError as exc:
            raise self._sentence(exc) from exc

        def say(change: Change) -> None:
            change.unasked = True
            change.about_file(
                guid,
                made=Made(name=name, data=data, from_=beside.from_folder if beside is not None else None),
                content=Content(sha256, taken.size_bytes, time_text(taken.mtime_ns)),
                tag=sorted(set(tags)),
                holds={change.node: True},
                knows=dict.fromkeys(beside.unknown_to, False) or None if beside is not None else None,
            )

        store.act(say)
        self._made.append(Back(guid, name, one.path))

    # -- what is left

    def _missing(self) -> list[Missing]:
        missing = []
        for guid in sorted(self._found.lines.files):
            _, face = self._face(guid)
            if face.listed and not face.trashed and not self._stands_here(face):
                missing.append(Missing(guid, face.name, sorted(face.holds)))
        return sorted(missing, key=lambda one: (one.name, one.guid))


def _is_listed(view: View, ordinal: int) -> bool:
    row = view.row(ordinal)
    return row is not None and bool(row.flags & LISTED)


def _is_free(path: str, sha256: str) -> bool:
    """Whether nothing is lost when bytes are put at a path: nothing is there, or these very bytes."""
    return not os.path.lexists(path) or (os.path.isfile(path) and hash_file(path) == sha256)


def _name_of(base: str, guid: str) -> str:
    """A name made of that of a data file, `<guid>--<slug>.<ext>`."""
    rest = base[len(guid) :] if base.startswith(guid) else ""
    name = rest.removeprefix("--")
    return guid[:8] + name if not name or name.startswith(".") else name


def recover(store: Store, found: Found, progress: Progress | None = None) -> Report:
    """Take into a store what sources have. See the module.

    Raises:
        StoreError: it cannot be written.
    """
    return Recoverer(store, found, progress).run()
