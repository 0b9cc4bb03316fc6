"""What is to be explained: the files of a folder as facts and disk have them, read once, in order of birth.

Two tables are written on the way (`index.csv`, `manifest-sha256.txt`): they grow at their end when
files are added, so that of a large one only the end has to travel. What pages are made of
stays in a spool, a row a file, with the positions of the files of each tag.

Nothing in here depends on this node's numbers for files: the same facts and the same disk give
the same bytes on every node, and after the index was built anew.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from operator import lt
from typing import NamedTuple, Protocol

from pyroaring import BitMap

from tagfs.face import extension
from tagfs.fact import time_text
from tagfs.guid import guid_of_bytes
from tagfs.index.codec import notes_of
from tagfs.index.read import View
from tagfs.index.schema import U32
from tagfs.mime import types_of_ext
from tagfs.recovery import html, rows, words
from tagfs.recovery.blocks import Blocks
from tagfs.recovery.disk import Disk, Other
from tagfs.recovery.spool import Spool
from tagfs.term import FROM, HOLDS, NOTED, TAG

DEPTH = "../../../"
"""From a page below `pages/` to the folder that is explained."""
_NO_HASH = bytes(32)
_AT_ONCE = 1 << 16


class Table(Protocol):
    """What a table is written to."""

    def write(self, data: bytes) -> object: ...


class Counts(NamedTuple):
    """What a README says in numbers. Bytes are what was seen on the disk."""

    here: int
    here_bytes: int
    missing: int
    missing_bytes: int
    removed: int
    removed_bytes: int
    others: int
    others_bytes: int


class Catalog:
    """What was read. Positions are places in order of birth."""

    def __init__(self, scratch: str) -> None:
        self.spool = Spool(scratch)
        self.short_ends = array("Q")
        """Where the short form of each row ends in the spool."""
        self.marks = array("Q")
        """Eight random bytes of each GUID: they name pages, and decide where one ends."""
        self.keys: list[bytes] = []
        """Names as they are put in order; gone once they are (`ranks`)."""
        self.by_tag: dict[str, array[int]] = {}
        self.untagged = array("I")
        self.missing: dict[str, array[int]] = {}
        """Name of a device -> files whose bytes it has, and are not here."""
        self.implied: dict[str, list[str]] = {}
        """Tag -> the tags that mean it as well."""
        self.counts = Counts(0, 0, 0, 0, 0, 0, 0, 0)

    def __len__(self) -> int:
        return len(self.marks)

    def close(self) -> None:
        self.spool.close()


class Device(NamedTuple):
    """A device by its human name. `seen_ms`: when it was last heard of, 0 where that is not known."""

    guid: str
    name: str
    seen_ms: int


def read(
    view: View,
    members: BitMap,
    disk: Disk,
    devices: Mapping[str, Device],
    scratch: str,
    table: Table,
    manifest: Table,
    hash_of: Callable[[Other], str],
    hidden: BitMap,
) -> Catalog:
    """Read the files `members`, and write both tables.

    Args:
        hash_of: the SHA-256 of a data file that no fact speaks of; "" where it cannot be read.
        hidden: files whose data is left out of the manifest, too (`make`).
    """
    catalog = Catalog(scratch)
    try:
        _read(view, catalog, members, disk, devices, table, manifest, hash_of, hidden)
    except BaseException:
        catalog.close()
        raise
    return catalog


def _read(
    view: View,
    catalog: Catalog,
    members: BitMap,
    disk: Disk,
    devices: Mapping[str, Device],
    table: Table,
    manifest: Table,
    hash_of: Callable[[Other], str],
    hidden: BitMap,
) -> None:
    reading = _Reading(view, catalog, disk, devices, members)
    table.write(rows.header())
    for ordinal in _by_birth(view, reading.blocks, members):
        line, summed = reading.file(ordinal)
        table.write(line)
        if summed:
            manifest.write(summed)
    removed, removed_bytes = _removed(reading.blocks, members, disk, hidden, manifest, hash_of)
    others = [other for other in sorted(disk.others) if other.guid not in reading.hidden_guids(hidden)]
    for other in others:
        found = hash_of(other)
        if found:
            manifest.write(manifest_line(found, other.path))
    reading.tags.keep()
    catalog.implied = _implied(view, catalog.by_tag)
    catalog.counts = Counts(
        reading.here,
        reading.here_bytes,
        reading.missing,
        reading.missing_bytes,
        removed,
        removed_bytes,
        len(others),
        sum(other.size_bytes for other in others),
    )


def manifest_line(sha256: str, path: str) -> bytes:
    """A line as `sha256sum` writes it: a name with a backslash or a line break is marked and escaped."""
    if "\\" in path or "\n" in path or "\r" in path:
        path = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        return f"\\{sha256}  {path}\n".encode("utf-8", "surrogateescape")
    return f"{sha256}  {path}\n".encode("utf-8", "surrogateescape")


def _by_birth(view: View, blocks: Blocks, members: BitMap) -> array[int]:
    """The files in order of birth; of those that bear the same stamp, in order of GUIDs."""
    ordinals = members.to_array()
    born = array("Q")
    for at in range(0, len(ordinals), _AT_ONCE):
        born.extend([when for when, _ in view.births(ordinals[at : at + _AT_ONCE])])
    if all(map(lt, born, islice(born, 1, None))):
        return ordinals
    places = sorted(range(len(ordinals)), key=born.__getitem__)
    out = array("I")
    at = 0
    while at < len(places):
        end = at + 1
        while end < len(places) and born[places[end]] == born[places[at]]:
            end += 1
        same = [ordinals[place] for place in places[at:end]]
        out.extend(same if len(same) == 1 else sorted(same, key=lambda one: blocks.at(one)[0]))
        at = end
    return out


def _removed(
    blocks: Blocks,
    members: BitMap,
    disk: Disk,
    hidden: BitMap,
    manifest: Table,
    hash_of: Callable[[Other], str],
) -> tuple[int, int]:
    """Data files of files that are not listed (in the trash, mostly): in the manifest, and nowhere else."""
    files = size = 0
    lines = []
    for ordinal, shelf in enumerate(disk.shelf):
        if not shelf or ordinal in members or ordinal in hidden:
            continue
        guid, _, sha256, *_ = blocks.at(ordinal)
        path = disk.path_of(ordinal, guid_of_bytes(guid))
        if not path:
            continue
        files, size = files + 1, size + disk.size_bytes[ordinal]
        digest = sha256.hex() if sha256 != _NO_HASH else hash_of(Other(path, 0, 0, ""))
        if digest:
            lines.append((path, digest))
    for path, digest in sorted(lines):
        manifest.write(manifest_line(digest, path))
    return files, size


def _implied(view: View, tags: Collection[str]) -> dict[str, list[str]]:
    """Tag -> all tags whose files are its files as well, where there are more than itself."""
    found = {}
    company = set(view.tags_with_company())
    made = {view.canonical(tag) for tag in company}
    for tag in sorted(made):
        meant = {view.canonical(other) for other in view.matching_tags(tag)} & {*tags}
        if meant - {tag}:
            found[tag] = sorted(meant)
    return found


class _Tags:
    """All tags in order of text, each as it is said in three places; terms are looked up by their number.

    A tag and its aliases are one. `place`: number of a term -> place of its tag, or, below zero, of its folder.
    """

    def __init__(self, view: View, by_tag: dict[str, array[int]]) -> None:
        self.place: dict[int, int] = {}
        self.folders: list[str] = []
        found: dict[str, list[int]] = {}
        for number in range(1, view.term_total()):
            kind, key, value = view.term_text(number)
            if kind == TAG:
                found.setdefault(view.canonical(key if value is None else f"{key}={value}"), []).append(number)
            elif kind == FROM:
                self.folders.append(rows.cell(value or ""))
                self.place[number] = -len(self.folders)
        self.tags = sorted(found)
        for place, tag in enumerate(self.tags):
            self.place.update(dict.fromkeys(found[tag], place))
        self.in_table = [rows.joined_tags((tag,)) for tag in self.tags]
        self.in_html = [words.html(tag) for tag in self.tags]
        self.positions = [array("I") for _ in self.tags]
        self._by_tag = by_tag

    def keep(self) -> None:
        """Hand over which files have which tag."""
        self._by_tag.update((tag, found) for tag, found in zip(self.tags, self.positions, strict=True) if found)


_MINUTES = [f"{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440)]
_SECONDS = [f"{second:02d}" for second in range(60)]


class _Reading:
    """File after file."""

    def __init__(
        self, view: View, catalog: Catalog, disk: Disk, devices: Mapping[str, Device], members: BitMap
    ) -> None:
        self._view = view
        self.blocks = Blocks(view)
        self._catalog = catalog
        self._disk = disk
        self._devices = devices
        self.tags = _Tags(view, catalog.by_tag)
        self._days: dict[int, str] = {}
        self._types: dict[str, str] = {}
        noted = view.term(NOTED, "", None)
        self._noted = view.posting(noted) & members if noted is not None else BitMap()
        self._holders, self._groups = _holders(view, members, devices)
        self._held = [
            (rows.cell(rows.joined_names(names)), "on " + words.listed(names) if names else "on no device known", names)
            for names in self._groups
        ]
        self.here = self.here_bytes = self.missing = self.missing_bytes = 0

    def hidden_guids(self, hidden: BitMap) -> set[str]:
        return {guid_of_bytes(self.blocks.at(ordinal)[0]) for ordinal in hidden}

    def file(self, ordinal: int) -> tuple[bytes, bytes]:
        """The row of a file in the table, and its line in the manifest, b"" where its bytes are not here."""
        raw_guid, born_when, raw_sha256, raw_name, size_bytes, mtime_ns, terms = self.blocks.at(ordinal)
        catalog, disk, tags = self._catalog, self._disk, self.tags
        digits = raw_guid.hex()
        guid = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        name = raw_name.decode("utf-8", "replace")
        path = disk.path_of(ordinal, guid) if disk.shelf[ordinal] else ""
        position = len(catalog.marks)
        catalog.marks.append(int(digits[16:], 16))
        catalog.keys.append(name.casefold().encode("utf-8", "replace"))
        place = tags.place
        own = sorted({place[term] for term in terms})
        folder = ""
        while own and own[0] < 0:
            folder = tags.folders[-own.pop(0) - 1]
        for one in own:
            tags.positions[one].append(position)
        if not own:
            catalog.untagged.append(position)
        notes = self._notes(ordinal) if ordinal in self._noted else ""
        in_table, where, names = self._held[self._holders[ordinal]]
        if path:
            self.here += 1
            self.here_bytes += disk.size_bytes[ordinal]
        else:
            self.missing += 1
            self.missing_bytes += size_bytes
            for device in names:
                catalog.missing.setdefault(device, array("I")).append(position)
        modified = self._time(mtime_ns)
        day = modified[:10] if modified[10] == "T" else modified.partition("T")[0]
        first = html.short_row(DEPTH + path if path else "", name, day, words.size(size_bytes), where).encode()
        in_html = tags.in_html
        catalog.short_ends.append(catalog.spool.ends[-1] + len(first))
        catalog.spool.add(first + html.rest_of_row(", ".join([in_html[one] for one in own]), notes).encode())
        sha256 = raw_sha256.hex() if raw_sha256 != _NO_HASH else ""
        cell, in_tags = rows.cell, tags.in_table
        line = (
            f"{guid},{cell(name)},{cell(path)},{size_bytes},{sha256},"
            f"{self._time((born_when >> 16) * 1_000_000)},{modified},"
            f"{cell(','.join([in_tags[one] for one in own]))},{cell(notes) if notes else ''},{in_table},"
            f"{folder},{self._type(name)}\n"
        ).encode("utf-8", "replace")
        return line, manifest_line(sha256, path) if path and sha256 else b""

    def _notes(self, ordinal: int) -> str:
        return notes_of(self._view.tx.get(U32.pack(ordinal), db=self._view.db["merge"]))

    def _time(self, ns: int) -> str:
        """`fact.time_text`, for many times that nobody reads back."""
        seconds, fraction = divmod(ns, 1_000_000_000)
        number, rest = divmod(seconds, 86_400)
        day = self._days.get(number)
        if day is None:
            day = self._days[number] = time_text(seconds * 1_000_000_000).partition("T")[0]
        text = f"{day}T{_MINUTES[rest // 60]}{_SECONDS[rest % 60]}"
        return f"{text}.{fraction:09d}".rstrip("0") + "Z" if fraction else text + "Z"

    def _type(self, name: str) -> str:
        ext = extension(name)
        found = self._types.get(ext)
        if found is None:
            found = self._types[ext] = types_of_ext(ext) or ""
        return found


def _holders(view: View, members: BitMap, devices: Mapping[str, Device]) -> tuple[array[int], list[tuple[str, ...]]]:
    """By ordinal the number of a group of devices, and the names in each group, sorted."""
    holders = array("H", bytes(2 * view.ordinal_total()))
    groups: list[tuple[str, ...]] = [()]
    joined: dict[tuple[int, str], int] = {}
    for guid in sorted(devices, key=lambda one: (devices[one].name, one)):
        term = view.term(HOLDS, "", guid)
        for ordinal in view.posting(term) & members if term is not None else ():
            key = holders[ordinal], guid
            group = joined.get(key)
            if group is None:
                group = joined[key] = len(groups)
                groups.append((*groups[key[0]], devices[guid].name))
            holders[ordinal] = group
    return holders, groups
