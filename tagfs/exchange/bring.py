"""Takes in what an export, TMSU or a desktop left, with all that is known of it: `lyts import`.

Three kinds of folder:

    with a table   (`lyts.csv` of an export, `index.csv` of a store's folder, `FILES.csv` of the
                   recovery scripts): each row is a file. One that was moved or renamed in the
                   folder is found by its hash. Files that no row speaks of are taken in like those
                   of a folder without a table.
    with `.tmsu`   the files that TMSU knows, and which tags imply others
    any other      all files in it, with the tags, notes and rating in their attributes

What is here already is recognised (by its GUID and bytes, else by name and bytes) and gets
what it lacks: tags, notes, attributes. Nothing is replaced, nothing taken away; a file in the
trash comes back. So an import can be run again, and goes on after an interruption.

A table is trusted with texts, not with paths: one that leads out of the folder is refused.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from tagfs.bytes import hash_file
from tagfs.change import Change
from tagfs.errors import BadRequest, BadTag
from tagfs.exchange import sidecar, tmsu
from tagfs.exchange.export import ASIDE
from tagfs.exchange.sidecar import Entry
from tagfs.face import DEFAULT_MODE
from tagfs.fact import name_is_possible, parse_time_ns
from tagfs.guid import is_guid
from tagfs.layout import Layout
from tagfs.recovery.rows import Row
from tagfs.store import Store
from tagfs.tag import check_tag
from tagfs.verbs.add import MAX_XATTR_BYTES, Adder, Options, Problem, Report, Said, Source, gather, what_is_new
from tagfs.verbs.naming import MAX_NOTES_BYTES
from tagfs.verbs.tagging import chunks, imply

GENERATED = {
    sidecar.NAME: frozenset[str](),
    "index.csv": frozenset[str](),
    "FILES.csv": frozenset({"REPORT.txt", "ledgers"}),
}
"""The tables, in the order in which they are looked for, and what is laid beside the files along with each."""
STORE_TABLE = "index.csv"
STORE_DATA = "data"
"""Where this table lies, only files in this folder are a person's: the others are a store's own."""
MAX_FOLDER_BYTES = 4096
MAX_TAGS_BYTES = 200_000
"""What is kept of a file stands in one line, which must not become too long."""
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class Found(NamedTuple):
    """What a folder turned out to be: `table`, `tmsu` or `folder`; and the file that says so."""

    kind: str
    path: str


class Imported(NamedTuple):
    """What an import did.

    `without_bytes`: rows of files that are in the library, and not in the folder; they got what
    they lacked. `implications`: how many were new. `renamed`: tags of TMSU that are called
    otherwise here (None: they could not be kept).
    """

    report: Report
    without_bytes: int
    implications: int
    renamed: dict[str, str | None]


def look_at(folder: str) -> Found:
    """What kind of folder this is. Raises `BadRequest` where there is nothing to be read."""
    if os.path.isdir(folder):
        for name in GENERATED:
            if sidecar.is_table(os.path.join(folder, name)):
                return Found("table", os.path.join(folder, name))
        table = os.path.join(folder, sidecar.NAME)
        if os.path.lexists(table):
            raise BadRequest(
                f"{table} cannot be read as a table of files, and without it names, times and ids would be lost. "
                "Put it right, or move it away to take in the files with what their attributes say"
            )
        database = tmsu.find(folder)
        if database is None and os.path.exists(Layout(folder).toml):
            raise BadRequest(
                f"{folder} is a store of lyts. Its files come out with: lyts --store {folder} export DIR; "
                "if it is damaged: lyts recover"
            )
        return Found("tmsu", database) if database else Found("folder", folder)
    if not os.path.lexists(folder):
        raise BadRequest(f"there is no folder {folder}")
    if sidecar.is_table(folder):
        return Found("table", folder)
    if tmsu.find(folder):
        return Found("tmsu", folder)
    raise BadRequest(f"{folder} is no folder, no table of files and no database of TMSU; to take in a file: lyts add")


class Importer:
    """One import under way."""

    def __init__(
        self,
        store: Store,
        folder: str,
        tags: Sequence[str] = (),
        dry_run: bool = False,
        progress: Callable[[str, int], None] | None = None,
    ) -> None:
        self._store, self._folder, self._dry_run = store, folder, dry_run
        self.found = look_at(folder)
        self._base = folder if os.path.isdir(folder) else os.path.dirname(os.path.abspath(folder))
        self._given: set[bytes] = set()
        self.adder = Adder(
            store, Options(tags=tags, dry_run=dry_run, wherever=True, others=_Guids(self._given)), progress
        )  # fmt: skip
        # These tables say when it is another; that of the file is a store's own, or of a disk that has none.
        self._usual_mode = DEFAULT_MODE if os.path.basename(self.found.path) in (sidecar.NAME, STORE_TABLE) else None
        self._linked: set[tuple[int, int]] = set()
        """Device and inode of what came already, of files with several names."""
        self._inside: dict[str, bool] = {}
        """Folders of the table that were looked at: whether they lie in the folder."""
        self._bare: list[Entry] = []
        """Rows of files that are not in the folder."""

    def run(self) -> Imported:
        """Do it."""
        if self.found.kind == "tmsu":
            return self._run_tmsu()
        if self.found.kind == "table":
            report = self.adder.take_in(self._each_once(self._of_table()))
            known = 0
            if report.stopped is None and not self._dry_run:
                known, action = self._merge_bare(report.action)
                report = report._replace(action=action)
            return Imported(report, known, 0, {})
        return Imported(self.adder.take_in(self._each_once(self._others(set()))), 0, 0, {})

    def _each_once(self, sources: Iterable[Source]) -> Iterator[Source]:
        """Sources without further names (hard links) of files that came before."""
        for source in sources:
            try:
                found = os.stat(source.path)
            except OSError:
                yield source  # it is met again, and told then
                continue
            if found.st_nlink > 1:
                inode = found.st_dev, found.st_ino
                if inode in self._linked:
                    continue
                self._linked.add(inode)
            yield source._replace(folders=())

    # -- a table

    def _of_table(self) -> Iterator[Source]:
        spoken_of: set[bytes] = {_mark(os.path.relpath(self.found.path, self._base))}
        missing: list[Entry] = []
        for entry in sidecar.read(self.found.path):
            if is_guid(entry.row.guid):
                self._given.add(_packed(entry.row.guid))
            if not self._is_there(entry.row.path):
                missing.append(entry)
            spoken_of.update(_mark(path) for path in (entry.row.path, *_texts(entry.more.get("also"))) if path)
        found = self._found_by_hash(missing, spoken_of)
        for entry in sidecar.read(self.found.path):
            path = entry.row.path
            if not self._is_there(path):
                path = found.get(entry.row.sha256, "")
                if not path:
                    self._bare.append(entry)
                    continue
            yield Source(os.path.join(self._base, path), (), self._said(entry))
        if os.path.isdir(self._folder):
            yield from self._others(spoken_of | {_mark(path) for path in found.values()})

    def _others(self, spoken_of: set[bytes]) -> Iterator[Source]:
        """The files in the folder that no row speaks of."""
        table = os.path.basename(self.found.path)
        top = GENERATED.get(table, frozenset())
        for source in gather([self._folder], self._store.layout.root, self.adder.problems):
            path = os.path.relpath(source.path, self._base)
            first = path.split(os.sep, 1)[0]
            if table == STORE_TABLE and first != STORE_DATA:
                continue
            if _mark(path) not in spoken_of and first != ASIDE and first not in top:
                yield source

    def _is_there(self, path: str) -> bool:
        """Whether a path of the table leads to a file in the folder, and not out of it."""
        if not path or "\0" in path or os.path.isabs(path) or ".." in path.split("/"):
            return False
        whole = os.path.join(self._base, path)
        folder = os.path.dirname(whole)
        inside = self._inside.get(folder)
        if inside is None:
            real, base = os.path.realpath(folder), os.path.realpath(self._base)
            inside = self._inside[folder] = (real + os.sep).startswith(base.rstrip(os.sep) + os.sep)
        return inside and not os.path.islink(whole) and os.path.isfile(whole)

    def _found_by_hash(self, missing: Iterable[Entry], spoken_of: set[bytes]) -> dict[str, str]:
        """SHA-256 -> path in the folder, of files that are not where their rows say. Only sizes that fit are read."""
        wanted: dict[int, set[str]] = {}
        for entry in missing:
            if _SHA256.match(entry.row.sha256) and entry.row.size_bytes is not None:
                wanted.setdefault(entry.row.size_bytes, set()).add(entry.row.sha256)
        found: dict[str, str] = {}
        if not wanted or not os.path.isdir(self._folder):
            return found
        for source in gather([self._folder], self._store.layout.root, []):
            path = os.path.relpath(source.path, self._base)
            try:
                hashes = wanted.get(os.stat(source.path).st_size)
                if not hashes or _mark(path) in spoken_of:
                    continue
                sha256 = hash_file(source.path)
            except OSError:
                continue  # it is met again, and told then
            if sha256 in hashes:
                found.setdefault(sha256, path)
        return found

    def _said(self, entry: Entry) -> Said:
        row, more = entry
        name: str | None = row.name
        if not name_is_possible(row.name):
            self._note(entry, f"{row.name!r} is no possible name; the file keeps the one it has in the folder")
            name = None
        added_ns, modified_ns = parse_time_ns(row.added), parse_time_ns(row.modified)
        mode, raw_name, folder = more.get("mode"), more.get("raw_name"), str(more.get("from") or row.from_folder)
        if len(folder.encode("utf-8", "replace")) > MAX_FOLDER_BYTES:
            self._note(entry, "the folder it came from has a name that is too long, and was left out")
            folder = ""
        return Said(
            guid=row.guid if is_guid(row.guid) else None,
            name=name,
            raw_name=raw_name if isinstance(raw_name, str) and _is_base64(raw_name) else None,
            tags=self._checked(entry),
            notes=self._notes(entry),
            from_folder=folder.encode("utf-8", "replace").decode() or None,
            added_ms=None if added_ns is None else added_ns // 1_000_000,
            modified_ns=modified_ns,
            sha256=row.sha256,
            mode=int(mode, 8) if isinstance(mode, str) and re.fullmatch("[0-7]{1,4}", mode) else self._usual_mode,
            xattrs=_xattrs(more.get("xattr")),
        )

    def _checked(self, entry: Entry) -> list[str]:
        tags: list[str] = []
        size = 0
        for tag in entry.row.tags:
            try:
                checked = check_tag(tag)
            except BadTag as exc:
                self._note(entry, str(exc))
                continue
            size += len(checked.encode("utf-8"))
            if size > MAX_TAGS_BYTES:
                self._note(entry, f"it has too many tags; {len(tags):,} were taken over")
                break
            tags.append(checked)
        return tags

    def _notes(self, entry: Entry) -> str:
        whole = entry.more.get("notes")
        notes = whole if isinstance(whole, str) else entry.row.notes
        raw = notes.encode("utf-8", "replace")
        if len(raw) > MAX_NOTES_BYTES:
            self._note(entry, f"its notes are longer than {MAX_NOTES_BYTES >> 10} KiB; the rest was left out")
            return raw[:MAX_NOTES_BYTES].decode("utf-8", "ignore")
        return raw.decode("utf-8")

    def _note(self, entry: Entry, why: str) -> None:
        self.adder.notes.append(Problem(entry.row.path or entry.row.name, why))

    def _merge_bare(self, action: str | None) -> tuple[int, str | None]:
        """Give files of the library what rows without bytes say of them. How many were known, and the action."""
        said = {entry.row.guid: self._said(entry) for entry in self._bare if is_guid(entry.row.guid)}
        known: set[str] = set()
        for part in chunks(list(said)):

            def state(change: Change, part: Sequence[str] = part) -> str | None:
                known.difference_update(part)
                for guid in part:
                    if change.view.ordinal(guid) is None:
                        continue
                    file = change.state(guid)
                    if file.made is None or file.is_purged():
                        continue
                    known.add(guid)
                    new = what_is_new(change, file, said[guid].tags, said[guid].notes, said[guid].xattrs)
                    new.pop("trash", None)  # its bytes are not what brought it here
                    if new:
                        change.about_file(guid, **new)
                return change.action

            action = self._store.act(state, action=action) or action
        for entry in self._bare:
            if entry.row.guid not in known:
                who = " and ".join(entry.row.holds)
                at = f"; {who} had it when the table was made" if who else ""
                self.adder.problems.append(Problem(entry.row.name or entry.row.path, f"is not in the folder{at}"))
        return len(known), action

    # -- TMSU

    def _run_tmsu(self) -> Imported:
        database = tmsu.read(self.found.path)
        report = self.adder.take_in(self._of_tmsu(database))
        implications = 0
        if report.stopped is None and not self._dry_run:
            for one, other in database.implications:
                implications += self._imply(one, other)
        return Imported(report, 0, implications, database.renamed)

    def _of_tmsu(self, database: tmsu.Database) -> Iterator[Source]:
        missing = []
        for file in database.files:
            if file.is_folder:
                if file.tags:
                    tags = ",".join(file.tags)
                    why = f"is a folder with the tags {tags}; lyts tags files: lyts add -t TAGS takes in those in it"
                    self.adder.notes.append(Problem(file.path, why))
            elif os.path.isfile(file.path):
                yield Source(file.path, (), Said(tags=file.tags))
            else:
                missing.append(file)
        rows = [Entry(Row(name=file.path, sha256=file.sha256, size_bytes=file.size_bytes), {}) for file in missing]
        root = os.path.dirname(os.path.dirname(os.path.abspath(self.found.path)))
        self._base = self._folder if os.path.isdir(self._folder) else root
        found = self._found_by_hash(rows, {_mark(os.path.relpath(file.path, self._base)) for file in database.files})
        for file in missing:
            path = found.get(file.sha256)
            if path is not None:
                yield Source(os.path.join(self._base, path), (), Said(tags=file.tags))
            else:
                self.adder.problems.append(Problem(file.path, "TMSU knows it, and it is not there"))

    def _imply(self, one: str, other: str) -> bool:
        try:
            return imply(self._store, one, [other]) is not None
        except BadRequest as exc:
            self.adder.notes.append(Problem(one, f"implies {other} for TMSU, and not here: {exc}"))
            return False


class _Guids:
    """GUIDs, as a container of texts."""

    def __init__(self, packed: set[bytes]) -> None:
        self._packed = packed

    def __contains__(self, guid: object) -> bool:
        return isinstance(guid, str) and _packed(guid) in self._packed


def _packed(guid: str) -> bytes:
    return bytes.fromhex(guid.replace("-", ""))


def _mark(path: str) -> bytes:
    """A path of any length in eight bytes: a table may have a million."""
    return blake2b(os.path.normpath(path).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _xattrs(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {
        name: one
        for name, one in value.items()
        if isinstance(one, str) and name.startswith("user.") and name.isprintable() and _is_base64(one)
    }


def _is_base64(text: str) -> bool:
    try:
        return len(text) <= 2 * MAX_XATTR_BYTES and bool(base64.b64decode(text, validate=True) or not text)
    except ValueError:
        return False
