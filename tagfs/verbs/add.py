"""Takes files in: `lyts add`.

Files are gathered from paths (folders are walked), copied into `scratch/` and hashed,
made durable, put in place below the set's `data/`, and only then born as facts. A crash
in between leaves at worst bytes without a face, which `lyts fsck` names; the person's
own file is removed (`--move`) only after its facts are durable.

What cannot be taken in is a `Problem` with its reason; the rest goes on. A file that is
in the library already (same folder, name and bytes) is not taken twice: adding a folder
again after an interruption goes on where it stopped. Such a file is read, and not copied.

`lyts import` takes files in the same way; what else it knows of a file comes as `Said`.
"""

from __future__ import annotations

import base64
import errno
import os
import unicodedata
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tagfs.auto.found import wanted
from tagfs.auto.reader import AutoReader
from tagfs.bytes import CannotTake, Taken, look, remove, take, why_not_a_file
from tagfs.change import Change
from tagfs.durable import sync_paths
from tagfs.errors import BadTag, DiskFull, LytsError, StoreError
from tagfs.face import DEFAULT_MODE, face_of
from tagfs.fact import Content, Made, time_text
from tagfs.guid import new_guid
from tagfs.index.read import View
from tagfs.layout import make_folder
from tagfs.merge import FileState
from tagfs.place import places
from tagfs.placement import Placing, read_settings
from tagfs.slug import data_path
from tagfs.store import Store
from tagfs.tag import check_tag
from tagfs.term import FROM
from tagfs.verbs.auto import new_tags
from tagfs.verbs.twins import Twins
from tagfs.xdg import COMMENT, RATING, TAGS, possible_tags, rating_of

BATCH_FILES = 256
BATCH_BYTES = 64 << 20
# Made by other systems beside a person's files, and of no use without them.
JUNK_NAMES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".directory", ".localized"})
MAX_XATTR_BYTES = 64 << 10
MAX_XATTRS_BYTES = 256 << 10
"""All further attributes of a file together: they stand in one line of the ledger."""
FOLDERS_KEPT = 10_000


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
    """GUIDs of living files with the same content, `twins.SHOWN` of them at most."""


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
    """How to add. `tags` go on every file; see `lyts add --help` for the others.

    `auto`: look for tags in the files themselves. `wherever`: a file with this name and these bytes
    is the same wherever it came from. `others`: the GUIDs of all files that are spoken of; each of
    them is one of its own.
    """

    tags: Sequence[str] = ()
    move: bool = False
    dir_tags: bool = False
    dry_run: bool = False
    auto: bool = False
    wherever: bool = False
    others: Container[str] = ()


class Said(NamedTuple):
    """What is known of a file from elsewhere than the file. None or empty: the file tells, or nobody.

    `modified_ns` holds for the bytes with the hash `sha256`.
    """

    guid: str | None = None
    name: str | None = None
    raw_name: str | None = None
    tags: Sequence[str] = ()
    notes: str = ""
    from_folder: str | None = None
    added_ms: int | None = None
    modified_ns: int | None = None
    sha256: str = ""
    mode: int | None = None
    xattrs: Mapping[str, str] = {}


class Source(NamedTuple):
    """A file to be taken in. `folders` are the names of the folders from the given path down to it."""

    path: str
    folders: tuple[str, ...]
    said: Said | None = None


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
            problems.append(
                Problem(
                    path, "is the lyts store itself; its files are in the library already (lyts fsck names what is not)"
                )
            )
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
                problems.append(
                    Problem(
                        entry.path,
                        "is the lyts store itself; its files are in the library already (lyts fsck names what is not)",
                    )
                )
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


class _Ready(NamedTuple):
    source: Source
    taken: Taken
    guid: str
    name: str
    raw_name: str | None
    from_folder: str | None
    tags: list[str]
    place: str
    found: Sequence[str] = ()
    """Tags found in the file itself."""

    @property
    def has_bytes(self) -> bool:
        """Whether its bytes stand in scratch; else they were only read, as of a file that is here already."""
        return bool(self.taken.path)


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
        self._real_folders: dict[str, str] = {}
        self._met: set[str] = set()
        """Files of the library that a source of this run was found to be, or has become."""
        self.twins = Twins()
        self.auto = AutoReader()
        with store.view() as view:
            self._label = places(store.layout, view, store.node).own_label()
        self._default = read_settings(store.layout).default

    def run(self, paths: Sequence[str]) -> Report:
        """Take in all files that the paths mean."""
        return self.take_in(gather(paths, self._store.layout.root, self.problems))

    def take_in(self, sources: Iterable[Source]) -> Report:
        """Take in these files."""
        with self.auto:
            return self._take_in(sources)

    def _take_in(self, sources: Iterable[Source]) -> Report:
        stopped: LytsError | None = None
        batch: list[_Ready] = []
        size = 0
        try:
            for source in sources:
                real = self._real(source.path)
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
                size += ready.taken.size_bytes if ready.has_bytes else 0
                if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
                    whole, batch, size = batch, [], 0
                    self._keep(whole)
        except DiskFull:
            stopped = DiskFull(self._store.layout.root)
        except BaseException:
            for ready in batch:  # an error or Ctrl-C came between
                _drop(ready)
            raise
        try:
            if batch:  # also on a full disk: what did fit stays
                self._keep(batch)
        except DiskFull:
            stopped = DiskFull(self._store.layout.root)
        return Report(self.added, self.problems, self.notes, self.action, stopped)

    def _real(self, path: str) -> str:
        """The path without symbolic links: `realpath`, which asks about each folder once a file, and not again."""
        folder, name = os.path.split(path)
        if name in ("", ".", "..") or os.path.islink(path):
            return os.path.realpath(path)
        if folder not in self._real_folders:
            if len(self._real_folders) >= FOLDERS_KEPT:
                self._real_folders.clear()
            self._real_folders[folder] = os.path.realpath(folder)
        return os.path.join(self._real_folders[folder], name)

    def _would_add(self, source: Source) -> None:
        found = os.stat(source.path)
        name = (source.said.name if source.said else None) or text_of_name(source.path)[0]
        tags = self._tags_for(source, {})
        if self._options.auto:
            tags += wanted(self.auto.find(source.path, name), tags)
        self.added.append(Added("", name, source.path, found.st_size, tags, False, []))

    def _tags_for(self, source: Source, xattrs: Mapping[str, bytes]) -> list[str]:
        tags = list(self._options.tags)
        if self._options.dir_tags:
            tags += folder_tags(source.folders)
        if source.said is not None:
            tags += source.said.tags
        if TAGS in xattrs:
            tags += possible_tags(xattrs[TAGS])
        if RATING in xattrs and (rating := rating_of(xattrs[RATING])) is not None:
            if not any(tag.startswith("rating=") for tag in tags):
                tags.append(rating)
        return list(dict.fromkeys(tags))

    def _bring(self, source: Source, only_by_copy: bool = False) -> _Ready | None:
        """Read a source into scratch, or, where it seems to be here already, just read it."""
        store, path = self._store, source.path
        said = source.said or Said()
        name, raw_name = (said.name, said.raw_name) if said.name is not None else text_of_name(path)
        folder = said.from_folder
        if source.said is None or (folder is None and said.guid is None):
            folder = os.fsencode(os.path.dirname(self._real(path))).decode("utf-8", "replace")
        guid = new_guid(store.machine.random_bytes(16))
        progress = self._progress
        report = None if progress is None else (lambda count: progress(path, count))
        try:
            taken = None if only_by_copy else self._read_known(path, said, folder, name, report)
            if taken is None:
                into = os.path.join(store.layout.scratch, guid)
                taken = take(path, into, report, link=self._options.move)
        except CannotTake as exc:
            self.problems.append(Problem(exc.path, exc.why))
            return None
        if raw_name is not None and said.name is None:
            self.notes.append(
                Problem(path, f"its name is not UTF-8; it is shown as {name!r}, and the original is kept")
            )
        tags = self._tags_for(source, taken.xattrs)
        try:
            found = self.auto.find(taken.path or path, name) if self._options.auto else []
        except BaseException:
            remove(taken.path)
            raise
        return _Ready(source, taken, guid, name, raw_name, folder, tags, "", found)

    def _read_known(
        self, path: str, said: Said, folder: str | None, name: str, report: Callable[[int], None] | None
    ) -> Taken | None:
        """What a source holds, if the library has just that: a copy would be thrown away. Else None."""
        with self._store.view(fresh=False) as view:
            seem = self._seem_the_same(view, said, folder, name)
            hashes = {row.sha256.hex() for ordinal in seem if (row := view.row(ordinal)) is not None}
            sizes = {view.attr(ordinal).size_bytes for ordinal in seem}
        try:
            if not seem or os.stat(path).st_size not in sizes:
                return None
        except OSError:
            return None
        taken = look(path, report)
        return taken if taken.sha256 in hashes else None

    def _seem_the_same(self, view: View, said: Said, folder: str | None, name: str) -> list[int]:
        if said.guid is not None and (ordinal := view.ordinal(said.guid)) is not None:
            return [ordinal]
        term = view.term(FROM, "", folder) if folder is not None else None
        if term is None:
            return []
        found = view.lookup(name.encode("utf-8", "surrogatepass"), view.posting(term))
        return [found] if found is not None else []

    def _keep(self, batch: list[_Ready]) -> None:
        """Make a batch durable and born."""
        sync_paths(ready.taken.path for ready in batch if ready.has_bytes)
        batch = self._placed(batch)  # late: another import may bring files with the same ids
        folders = set()
        try:
            for ready in batch:
                if not ready.has_bytes:
                    continue
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
        again = []
        for ready, (added, action) in zip(batch, outcome, strict=True):
            self.action = self.action or action
            if added is None:  # it was here when it was read, and is no longer
                if (other := self._bring(ready.source, only_by_copy=True)) is not None:
                    again.append(other)
                continue
            if self._options.wherever:
                self._met.add(added.guid)
            if added.known:
                if ready.has_bytes and added.guid != ready.guid:  # else another import just made it: they are its bytes
                    remove(ready.place)
            else:
                sha256 = ready.taken.sha256
                added = added._replace(same_bytes_as=self.twins.with_bytes(sha256))
                self.twins.note(sha256, ready.from_folder or "", ready.name, added.guid)
            self.added.append(added)
            if self._options.move:
                self._remove_source(ready)
        if again:
            self._keep(again)

    def _placed(self, batch: list[_Ready]) -> list[_Ready]:
        """The same, each with its GUID and its place: the GUID that is said of it where nobody has that yet."""
        wanted = [ready.source.said.guid for ready in batch if ready.source.said and ready.source.said.guid]
        free: set[str] = set()
        if wanted:
            with self._store.view():
                states = self._store.states(wanted)
            free = {guid for guid, state in zip(wanted, states, strict=True) if not state.newest()}
        out = []
        for ready in batch:
            said = ready.source.said
            guid = ready.guid
            if said is not None and said.guid in free:
                free.discard(said.guid)
                guid = said.guid
            place = self._store.layout.data(self._label, data_path(guid, ready.name))
            if guid != ready.guid and os.path.lexists(place):
                guid = ready.guid  # bytes without a face, which nobody may write over
                place = self._store.layout.data(self._label, data_path(guid, ready.name))
            out.append(ready._replace(guid=guid, place=place))
        return out

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
                _drop(ready)

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

    def _all_born(self, change: Change, batch: list[_Ready]) -> list[tuple[Added | None, str | None]]:
        placing = Placing(change.view, change.node, self._default, change.wall_ms)
        self.twins.begin(change.view)
        met = set(self._met)
        born_ms: dict[int, int] = {}
        spoken_of: dict[tuple[str, str], str] = {}
        """Hash and name of files whose GUID was said, born in this batch, which the index knows after it."""
        out = []
        for ready in batch:
            added = self._is_known(change, ready, met, spoken_of)
            if added is None and ready.has_bytes:
                added = self._born(change, ready, placing, born_ms)
                if added.guid in self._options.others:
                    spoken_of.setdefault((ready.taken.sha256, ready.name), added.guid)
            if added is not None:
                met.add(added.guid)
            out.append((added, change.action))
        self.twins.expect(sum(added is not None and not added.known for added, _ in out))
        return out

    def _is_known(
        self, change: Change, ready: _Ready, met: Container[str], spoken_of: Mapping[tuple[str, str], str]
    ) -> Added | None:
        """State what a file of the library lacks that this source turns out to be; None where it is none."""
        state = self._same_file(change, ready, met)
        if state is None and self._options.wherever and (ready.source.said is None or ready.source.said.guid is None):
            twin = spoken_of.get((ready.taken.sha256, ready.name))
            state = change.state(twin) if twin is not None else None
        if state is None:
            return None
        # What a person wrote here counts; a file that is added again brings its tags alone.
        notes, xattrs = (_notes_of(ready), _xattrs_of(ready)) if self._options.wherever else ("", {})
        tags = [*ready.tags, *wanted(new_tags(change, state, ready.found), ready.tags)]
        say = what_is_new(change, state, tags, notes, xattrs)
        missing = say.get("tag", [])
        if say:
            change.about_file(state.guid, **say)
        return Added(state.guid, ready.name, ready.source.path, ready.taken.size_bytes, missing, True, [])

    def _same_file(self, change: Change, ready: _Ready, met: Container[str]) -> FileState | None:
        said, sha256 = ready.source.said, ready.taken.sha256
        # To ask for the state of a file that nobody spoke of would make it known to the index.
        if said is not None and said.guid is not None and change.view.ordinal(said.guid) is not None:
            state = change.state(said.guid)
            face = face_of(state, change.node)
            if face.listed and face.sha256 == sha256:
                return state
            if face.listed:
                note = Problem(
                    ready.source.path, "is not what your library has under its id; it became a file of its own"
                )
                if note not in self.notes:  # an action may be tried again
                    self.notes.append(note)
        if self._options.wherever:
            but = _NotMeant(met, self._options.others, said is not None and said.guid is not None)
            found = self.twins.same_file(change, sha256, ready.from_folder or "", ready.name, but)
            return found or self.twins.same_file(change, sha256, None, ready.name, but)
        return self.twins.same_file(change, sha256, ready.from_folder or "", ready.name)

    def _born(self, change: Change, ready: _Ready, placing: Placing, born_ms: dict[int, int]) -> Added:
        view, taken, said = change.view, ready.taken, ready.source.said or Said()
        tags = list(dict.fromkeys(map(view.canonical, (*ready.tags, *wanted(ready.found, ready.tags)))))
        mtime_ns, mode = taken.mtime_ns, taken.mode
        if said.sha256 == taken.sha256:  # what was said is about these bytes
            mtime_ns = mtime_ns if said.modified_ns is None else said.modified_ns
            mode = mode if said.mode is None else said.mode
        birth: dict[str, Any] = {
            "made": Made(
                name=ready.name,
                data=data_path(ready.guid, ready.name),
                from_=ready.from_folder,
                raw_name=ready.raw_name,
            ),
            "content": Content(sha256=taken.sha256, size_bytes=taken.size_bytes, modified=time_text(mtime_ns)),
            "tag": tags or None,
            "notes": _notes_of(ready) or None,
            "xattr": _xattrs_of(ready) or None,
            "mode": mode if mode != DEFAULT_MODE else None,
        }
        birth.update(placing.birth(birth, ready.guid))
        added_ms = said.added_ms
        if added_ms is not None and 0 < added_ms < change.wall_ms:
            # Each a little later than the one before, in the order in which they come.
            count = born_ms[added_ms] = min(born_ms.get(added_ms, -1) + 1, 0xFFFF)
            change.born_earlier(ready.guid, added_ms << 16 | count, **birth)
        else:
            change.about_file(ready.guid, **birth)
        self.twins.look_up(view, taken.sha256)
        return Added(ready.guid, ready.name, ready.source.path, taken.size_bytes, tags, False, [])


class _NotMeant:
    """The files that a source cannot be by its name and bytes alone.

    One whose GUID is known is none of the others that are spoken of, nor any that was met before.
    One of which nobody speaks may be a further copy of one that is spoken of.
    """

    def __init__(self, met: Container[str], others: Container[str], has_guid: bool) -> None:
        self._met, self._others, self._has_guid = met, others, has_guid

    def __contains__(self, guid: object) -> bool:
        return guid in self._met or guid in self._others if self._has_guid else self._is_new(guid)

    def _is_new(self, guid: object) -> bool:
        return guid in self._met and guid not in self._others


def what_is_new(
    change: Change, state: FileState, tags: Iterable[str], notes: str, xattrs: Mapping[str, str]
) -> dict[str, Any]:
    """The statements by which a file of the library gets what it lacks; nothing is replaced or taken away.

    Notes that differ from its own come after them. A file in the trash comes back.
    """
    say: dict[str, Any] = {}
    canonical = change.view.canonical
    have = {canonical(tag) for tag in state.tags()}
    missing = [tag for tag in dict.fromkeys(map(canonical, tags)) if tag not in have]
    if missing:
        say["tag"] = missing
    own = state.registers.get("notes", ("", ""))[1]
    if notes and notes not in own:
        say["notes"] = f"{own}\n\n{notes}" if own else notes
    lacking = {name: value for name, value in xattrs.items() if f"xattr:{name}" not in state.registers}
    if lacking:
        say["xattr"] = lacking
    if state.is_trashed():
        say["trash"] = False
    return say


def _notes_of(ready: _Ready) -> str:
    said = ready.source.said
    if said is not None and said.notes:
        return said.notes
    return ready.taken.xattrs.get(COMMENT, b"").decode("utf-8", "replace")


def _xattrs_of(ready: _Ready) -> dict[str, str]:
    """The other attributes of a file, in base64: those it has, and those that are said of it."""
    own = {
        name: base64.b64encode(value).decode("ascii")
        for name, value in ready.taken.xattrs.items()
        if name not in (TAGS, COMMENT) and len(value) <= MAX_XATTR_BYTES
    }
    room = MAX_XATTRS_BYTES
    kept = {}
    for name, value in {**own, **(ready.source.said.xattrs if ready.source.said else {})}.items():
        room -= len(name) + len(value)
        if room >= 0:
            kept[name] = value
    return kept


def _drop(ready: _Ready) -> None:
    """Remove the bytes that were taken from a source."""
    if ready.has_bytes:
        remove(ready.taken.path)
        remove(ready.place)


def _part_from(ready: _Ready) -> None:
    """The source stays where it is, so the bytes here must not be the same inode: an edit there would reach them."""
    if ready.has_bytes and os.path.exists(ready.place) and os.stat(ready.place).st_nlink > 1:
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
