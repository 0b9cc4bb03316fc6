"""Takes files in: `lyts add`.

Files are gathered from paths (folders are walked), copied into `scratch/` and hashed,
made durable, put in place below the set's `data/`, and only then born as facts. A crash
in between leaves at worst bytes without a face, which `lyts fsck` names; the person's
own file is removed (`--move`) only after its facts are durable.

What cannot be taken in is a `Problem` with its reason; the rest goes on. A file that is
in the library already (same folder, name and bytes) is not taken twice: adding a folder
again after an interruption goes on where it stopped.
"""

from __future__ import annotations

import base64
import errno
import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from tagfs.bytes import CannotTake, Taken, remove, take, why_not_a_file
from tagfs.change import Change
from tagfs.durable import sync_paths
from tagfs.errors import BadTag, DiskFull, LytsError, StoreError
from tagfs.face import DEFAULT_MODE
from tagfs.fact import Content, Made, time_text
from tagfs.guid import Guid, new_guid
from tagfs.index.blocks import IN_TRASH, LISTED
from tagfs.index.read import View
from tagfs.layout import make_folder
from tagfs.place import places
from tagfs.placement import Placing, read_settings
from tagfs.slug import data_path
from tagfs.store import Store
from tagfs.tag import check_tag, given_tags

BATCH_FILES = 256
BATCH_BYTES = 64 << 20
# Made by other systems beside a person's files, and of no use without them.
JUNK_NAMES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".directory", ".localized"})
MAX_XATTR_BYTES = 64 << 10


class Problem(NamedTuple):
    """A path that was not taken in, and why."""

    path: str
    why: str


class Added(NamedTuple):
    """A file that was taken in, or was in already (`known`)."""

    guid: str
    name: str
    path: str
    size_bytes: int
    tags: list[str]
    known: bool
    same_bytes_as: list[str]
    """GUIDs of living files with the same content."""


class Report(NamedTuple):
    """What an add did.

    `notes` are remarks about single files that were taken in nevertheless; `stopped` is
    what ended it before the last file. What is in `added` is in the library all the same.
    """

    added: list[Added]
    problems: list[Problem]
    notes: list[Problem]
    action: str | None
    stopped: LytsError | None = None


class Options(NamedTuple):
    """How to add. `tags` go on every file; see `lyts add --help` for the others."""

    tags: Sequence[str] = ()
    move: bool = False
    dir_tags: bool = False
    dry_run: bool = False


class Source(NamedTuple):
    """A file to be taken in. `folders` are the names of the folders from the given path down to it."""

    path: str
    folders: tuple[str, ...]


def gather(paths: Sequence[str], store_root: str, problems: list[Problem]) -> Iterator[Source]:
    """The files that paths mean, folders walked in order of names; what is refused goes into `problems`.

    Symbolic links given as such are followed, those met in a folder are left alone (they
    lead elsewhere, where their file is taken in under its own path).
    """
    real_store = os.path.realpath(store_root)
    for path in paths:
        try:
            mode = os.stat(path).st_mode
        except OSError as exc:
            if os.path.islink(path):
                problems.append(Problem(path, "is a symbolic link that leads nowhere"))
            else:
                problems.append(
                    Problem(
                        path, "there is no such file" if exc.errno in (2, 20) else f"cannot be read ({exc.strerror})"
                    )
                )
            continue
        real = os.path.realpath(path)
        if _inside(real, real_store):
            problems.append(Problem(path, "is the lyts store itself; its files are in the library already"))
        elif os.path.isdir(path):
            base = os.path.basename(real)
            yield from _walk(path, (base,) if base else (), real_store, problems)
        elif why := why_not_a_file(mode):
            problems.append(Problem(path, why))
        else:
            yield Source(path, ())


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def _walk(folder: str, names: tuple[str, ...], real_store: str, problems: list[Problem]) -> Iterator[Source]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as exc:
        problems.append(Problem(folder, f"cannot be read ({exc.strerror})"))
        return
    for entry in entries:
        if entry.name in JUNK_NAMES or entry.name.startswith("._"):
            continue
        if entry.is_symlink():
            problems.append(Problem(entry.path, "is a symbolic link; add the file it leads to instead"))
        elif entry.is_dir():
            if _inside(os.path.realpath(entry.path), real_store):
                problems.append(Problem(entry.path, "is the lyts store itself; its files are in the library already"))
            else:
                yield from _walk(entry.path, (*names, entry.name), real_store, problems)
        elif entry.is_file():
            yield Source(entry.path, names)
        else:
            problems.append(Problem(entry.path, why_not_a_file(entry.stat(follow_symlinks=False).st_mode)))


def text_of_name(path: str) -> tuple[str, str | None]:
    """(name, raw name): the last part of a path as NFC text, and base64 of its bytes where they are no UTF-8."""
    raw = os.fsencode(os.path.basename(path))
    try:
        return unicodedata.normalize("NFC", raw.decode("utf-8")), None
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace"), base64.b64encode(raw).decode("ascii")


def folder_tags(folders: Sequence[str]) -> list[str]:
    """The tags that folder names give; a name that can be no tag gives none."""
    tags = []
    for folder in folders:
        try:
            tags.append(check_tag(os.fsencode(folder).decode("utf-8", "replace").strip()))
        except BadTag:
            continue
    return tags


def xattr_tags(value: bytes) -> list[str]:
    """The tags in `user.xdg.tags`: `a,b`, trimmed; what can be no tag is left out."""
    tags = []
    for item in value.decode("utf-8", "replace").split(","):
        try:
            tags.extend(given_tags(item.strip()))
        except BadTag:
            continue
    return tags


class _Ready(NamedTuple):
    source: Source
    taken: Taken
    guid: Guid
    name: str
    raw_name: str | None
    from_folder: str
    tags: list[str]
    place: str


class Adder:
    """One `lyts add` under way."""

    def __init__(self, store: Store, options: Options, progress: Callable[[str, int], None] | None = None) -> None:
        """`progress` is called with the path under way and the bytes just read."""
        if store.read_only and not options.dry_run:
            raise store.refusal()
        self._store = store
        self._options = options
        self._progress = progress
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self.added: list[Added] = []
        self.action: str | None = None
        self._seen: set[str] = set()
        self._by_hash: dict[str, list[str]] = {}
        with store.view() as view:
            self._label = places(store.layout, view, store.node).own_label()
        self._default = read_settings(store.layout).default

    def run(self, paths: Sequence[str]) -> Report:
        """Take in all files that the paths mean."""
        stopped: LytsError | None = None
        batch: list[_Ready] = []
        size = 0
        try:
            for source in gather(paths, self._store.layout.root, self.problems):
                real = os.path.realpath(source.path)
                if real in self._seen:
                    continue
                self._seen.add(real)
                if self._options.dry_run:
                    self._would_add(source)
                    continue
                ready = self._bring(source)
                if ready is None:
                    continue
                batch.append(ready)
                size += ready.taken.size_bytes
                if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
                    whole, batch, size = batch, [], 0
                    self._keep(whole)
        except DiskFull:
            stopped = DiskFull(self._store.layout.root)
        except BaseException:
            for ready in batch:  # an error or Ctrl-C came between
                remove(ready.taken.path)
            raise
        try:
            if batch:  # also on a full disk: what did fit stays
                self._keep(batch)
        except DiskFull:
            stopped = DiskFull(self._store.layout.root)
        return Report(self.added, self.problems, self.notes, self.action, stopped)

    def _would_add(self, source: Source) -> None:
        found = os.stat(source.path)
        name, _ = text_of_name(source.path)
        self.added.append(Added("", name, source.path, found.st_size, self._tags_for(source, {}), False, []))

    def _tags_for(self, source: Source, xattrs: dict[str, bytes]) -> list[str]:
        tags = list(self._options.tags)
        if self._options.dir_tags:
            tags += folder_tags(source.folders)
        if "user.xdg.tags" in xattrs:
            tags += xattr_tags(xattrs["user.xdg.tags"])
        return list(dict.fromkeys(tags))

    def _bring(self, source: Source) -> _Ready | None:
        store, path = self._store, source.path
        guid = new_guid(store.machine.random_bytes(16))
        progress = self._progress
        report = None if progress is None else (lambda count: progress(path, count))
        try:
            taken = take(path, os.path.join(store.layout.scratch, guid), report, link=self._options.move)
        except CannotTake as exc:
            self.problems.append(Problem(exc.path, exc.why))
            return None
        name, raw_name = text_of_name(path)
        if raw_name is not None:
            self.notes.append(
                Problem(path, f"its name is not UTF-8; it is shown as {name!r}, and the original is kept")
            )
        folder = os.fsencode(os.path.dirname(os.path.realpath(path))).decode("utf-8", "replace")
        tags = self._tags_for(source, taken.xattrs)
        place = store.layout.data(self._label, data_path(guid, name))
        return _Ready(source, taken, guid, name, raw_name, folder, tags, place)

    def _keep(self, batch: list[_Ready]) -> None:
        """Make a batch durable and born."""
        sync_paths(ready.taken.path for ready in batch)
        folders = set()
        try:
            for ready in batch:
                folder = os.path.dirname(ready.place)
                make_folder(folder)
                os.rename(ready.taken.path, ready.place)
                os.chmod(ready.place, 0o600)
                folders.add(folder)
            sync_paths({*folders, *map(os.path.dirname, folders)})
            outcome = self._store.act(lambda change: self._all_born(change, batch), action=self.action)
        except BaseException as exc:
            self._take_back(batch)
            if isinstance(exc, OSError):
                if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise DiskFull(self._store.layout.root) from exc
                raise StoreError(
                    f"{exc.filename or self._store.layout.root} cannot be written: {exc.strerror}"
                ) from exc
            raise
        for ready, (added, action) in zip(batch, outcome, strict=True):
            self.action = self.action or action
            if not added.known:
                of_hash = self._by_hash.setdefault(ready.taken.sha256, [])
                added = added._replace(same_bytes_as=list(dict.fromkeys(added.same_bytes_as + of_hash)))
                of_hash.append(added.guid)
            self.added.append(added)
            if added.known:
                remove(ready.place)
            if self._options.move:
                self._remove_source(ready)

    def _take_back(self, batch: list[_Ready]) -> None:
        """After an error: remove the bytes of files that were not born. Their sources are where they were.

        The error alone does not tell: it may have come after the facts were kept (a failing
        fsync, Ctrl-C), and bytes that a fact names stay. So do all where it cannot be known.
        """
        try:
            with self._store.view():
                states = self._store.states([ready.guid for ready in batch])
        except (LytsError, OSError):
            return
        for ready, state in zip(batch, states, strict=True):
            if state.made is None:
                remove(ready.taken.path)
                remove(ready.place)

    def _remove_source(self, ready: _Ready) -> None:
        """Only while it is still what was taken in."""
        try:
            found = os.stat(ready.source.path)
            if (found.st_size, found.st_mtime_ns) != (ready.taken.size_bytes, ready.taken.mtime_ns):
                self.problems.append(
                    Problem(ready.source.path, "was taken in, but changed since, so it was left where it is")
                )
                return
            os.unlink(ready.source.path)
        except OSError as exc:
            _part_from(ready)
            self.problems.append(
                Problem(ready.source.path, f"was taken in, but could not be removed from there ({exc.strerror})")
            )

    def _all_born(self, change: Change, batch: list[_Ready]) -> list[tuple[Added, str | None]]:
        placing = Placing(change.view, change.node, self._default, change.wall_ms)
        return [self._born(change, ready, placing) for ready in batch]

    def _born(self, change: Change, ready: _Ready, placing: Placing) -> tuple[Added, str | None]:
        view, taken = change.view, ready.taken
        twins = [o for o in view.with_hash(bytes.fromhex(taken.sha256)) if _lives(view, o)]
        for ordinal in twins:
            if view.from_folder(ordinal) == ready.from_folder and change.state_at(ordinal).made_name() == ready.name:
                state = change.state_at(ordinal)
                missing = [tag for tag in ready.tags if not state.has_tag(view.canonical(tag))]
                if missing:
                    change.about_file(state.guid, tag=[view.canonical(tag) for tag in missing])
                return Added(
                    state.guid, ready.name, ready.source.path, taken.size_bytes, missing, True, []
                ), change.action
        tags = list(dict.fromkeys(view.canonical(tag) for tag in ready.tags))
        comment = taken.xattrs.get("user.xdg.comment")
        others = {
            name: base64.b64encode(value).decode("ascii")
            for name, value in taken.xattrs.items()
            if name not in ("user.xdg.tags", "user.xdg.comment") and len(value) <= MAX_XATTR_BYTES
        }
        birth: dict[str, Any] = {
            "made": Made(
                name=ready.name,
                data=data_path(ready.guid, ready.name),
                from_=ready.from_folder,
                raw_name=ready.raw_name,
            ),
            "content": Content(sha256=taken.sha256, size_bytes=taken.size_bytes, modified=time_text(taken.mtime_ns)),
            "tag": tags or None,
            "notes": comment.decode("utf-8", "replace") if comment else None,
            "xattr": others or None,
            "mode": taken.mode if taken.mode != DEFAULT_MODE else None,
        }
        change.about_file(ready.guid, **birth, **placing.birth(birth, ready.guid))
        same = [view.guid(o) for o in twins]
        return Added(ready.guid, ready.name, ready.source.path, taken.size_bytes, tags, False, same), change.action


def _lives(view: View, ordinal: int) -> bool:
    row = view.row(ordinal)
    return row is not None and row.flags & (LISTED | IN_TRASH) == LISTED


def _part_from(ready: _Ready) -> None:
    """The source stays where it is, so the bytes here must not be the same inode: an edit there would reach them."""
    if os.stat(ready.place).st_nlink > 1:
        again = take(ready.place, ready.taken.path)
        sync_paths([again.path])
        os.rename(again.path, ready.place)


def add(
    store: Store, paths: Sequence[str], options: Options, progress: Callable[[str, int], None] | None = None
) -> Report:
    """Take files in. See the module.

    A full disk ends it early (`Report.stopped`); what fitted stays, and adding again goes on from there.
    """
    return Adder(store, options, progress).run(paths)
