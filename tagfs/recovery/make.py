"""Makes what a folder explains itself with: for the store's root, and for the folder of a set.

    README.md  index.html  pages/  index.csv  manifest-sha256.txt  FORMAT.md  recover.sh  recover.py

At the root: every file that this node knows, and every data file on its disk. In a set's folder,
written by its leader alone: the files whose bytes lie there and that all of its nodes may know.
What somebody in the set is kept from is on its way out of the folder, and is in no page and not in
the manifest.

Pages first, `index.html` and `README.md` last: whatever they lead to is there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyroaring import BitMap

from tagfs.bytes import hash_file
from tagfs.cycles import no_cycle_search
from tagfs.fact import parse_time_ns
from tagfs.index.blocks import LISTED, ROW, ROWS
from tagfs.index.read import View
from tagfs.index.schema import U32
from tagfs.layout import Layout
from tagfs.ledger import folders_below
from tagfs.place import NodeSet, node_sets
from tagfs.recovery import readme, words
from tagfs.recovery.catalog import Catalog, Device, read
from tagfs.recovery.disk import Disk, Other, Shelf, see
from tagfs.recovery.files import Changed, Writer
from tagfs.recovery.first import Said, first_page
from tagfs.recovery.pages import Names, lay_out
from tagfs.seen import FILE_NAME as SEEN_FILE
from tagfs.seen import read_seen
from tagfs.store import Store
from tagfs.term import ALL_TERM, HOLDS, UNKNOWN

ROOT_NOTE = "root"
TABLE, MANIFEST = "index.csv", "manifest-sha256.txt"


class Ended(Exception):
    """Told to end: what is written so far is whole, and the rest is as before."""


@dataclass
class Maker:
    """What making needs beside a store. `ends` is asked before each page."""

    contact: str = ""
    dry_run: bool = False
    ends: Callable[[], bool] = lambda: False

    # -- the root

    def root(self, store: Store) -> Changed:
        """Everything at the store's root. Raises `Ended`, `DiskFull`, `StoreError`."""
        layout = store.layout
        writer = Writer(layout.root, layout.scratch, ROOT_NOTE, dry_run=self.dry_run)
        try:
            with store.view() as view:
                sets = {one.label: one for one in node_sets(view)}
                devices = devices_of(view, layout)
                labels = _folders(layout.sets)
                shelves = [Shelf(layout.data(label, ""), f"sets/{label}/data/") for label in labels]
                placed = [_placed(view, sets.get(label)) for label in labels]
                disk = see(view, layout.scratch, shelves, placed)
                catalog = self._read(view, view.posting(ALL_TERM), disk, devices, store, writer)
            own = devices.get(str(store.node), Device(store.node, store.info.alias, 0)).name
            said = Said(f"The files on “{own}”", f"What is kept on the device “{own}”.", self._day(store))
            away = {device: len(files) for device, files in catalog.missing.items()}
            others = [one for guid, one in devices.items() if guid != store.node]
            text = readme.of_store(own, catalog.counts, away, others, self.contact, said.day)
            return self._write(writer, catalog, said, text)
        finally:
            writer.close()

    # -- a set

    def set(self, store: Store, one: NodeSet) -> Changed:
        """Everything in the folder of a set."""
        layout = store.layout
        writer = Writer(set_folder(layout, one), layout.scratch, _note_of(one), dry_run=self.dry_run)
        try:
            with store.view() as view:
                devices = devices_of(view, layout)
                shelf = Shelf(layout.data(one.label, ""), "data/")
                hidden = hidden_in(view, one)
                disk = see(view, layout.scratch, [shelf], [_placed(view, one)])
                present = BitMap([ordinal for ordinal, there in enumerate(disk.shelf) if there])
                members = (view.posting(ALL_TERM) & present) - hidden
                catalog = self._read(view, members, disk, devices, store, writer, hidden)
                text = self._set_text(view, one, devices)
            names = words.listed([f"“{name}”" for name in _names(one.nodes, devices)])
            # No day: what says the same is to be the same bytes, which do not travel.
            said = Said(f"Files kept on {names}", f"What is kept in this folder, on {names}.", "")
            return self._write(writer, catalog, said, text)
        finally:
            writer.close()

    def set_readme(self, store: Store, one: NodeSet) -> Changed:
        """Only what says nothing of single files, so that the folder explains itself from the first minute."""
        layout = store.layout
        note = _note_of(one) + "-readme"
        writer = Writer(set_folder(layout, one), layout.scratch, note, dry_run=self.dry_run, removes=False)
        try:
            with store.view() as view:
                text = self._set_text(view, one, devices_of(view, layout))
            self._write_beside(writer)
            writer.put("README.md", text.encode("utf-8", "replace"))
            return writer.finish()
        finally:
            writer.close()

    def _set_text(self, view: View, one: NodeSet, devices: Mapping[str, Device]) -> str:
        gone = view.nodes_that_left()
        others = sorted({device.name for guid, device in devices.items() if guid not in one.nodes | gone})
        return readme.of_set(_names(one.nodes, devices), others, self.contact)

    # -- both

    def _read(
        self,
        view: View,
        members: BitMap,
        disk: Disk,
        devices: Mapping[str, Device],
        store: Store,
        writer: Writer,
        hidden: BitMap | None = None,
    ) -> Catalog:
        hashes = Hashes(writer.folder, os.path.join(store.layout.scratch, "readme", ".hashes"))
        try:
            with no_cycle_search(), writer.stream(TABLE) as table, writer.stream(MANIFEST) as manifest:
                catalog = read(
                    view, members, disk, devices, store.layout.scratch, table, manifest, hashes.of, hidden or BitMap()
                )
        finally:
            disk.close()
        hashes.keep()
        return catalog

    def _write(self, writer: Writer, catalog: Catalog, said: Said, text: str) -> Changed:
        def put(path: str, data: bytes) -> None:
            if self.ends():
                raise Ended
            writer.put(path, data)

        try:
            with no_cycle_search():
                names = Names(catalog)
                laid = lay_out(catalog, names, put)
                self._write_beside(writer)
                page = first_page(catalog, names, laid, said)
        finally:
            catalog.close()
        writer.flush()
        writer.put("index.html", page)
        writer.put("README.md", text.encode("utf-8", "replace"))
        return writer.finish()

    def _write_beside(self, writer: Writer) -> None:
        writer.put(readme.FORMAT, readme.template(readme.FORMAT).encode())
        for name in readme.SCRIPTS:
            data = readme.script(name)
            if data is not None:
                writer.put(name, data, 0o755)

    def _day(self, store: Store) -> str:
        return words.day(store.machine.wall_ms())


class Hashes:
    """The SHA-256 of data files that no fact speaks of: each is read once, for as long as it is not touched."""

    def __init__(self, folder: str, note: str) -> None:
        self._folder = folder
        self._note = note
        self._known: dict[tuple[str, int, int], str] = {}
        self._used: dict[tuple[str, int, int], str] = {}
        try:
            with open(note, encoding="utf-8", errors="surrogateescape") as file:
                for line in file:
                    digest, size, mtime, path = line.rstrip("\n").split(" ", 3)
                    self._known[path, int(size), int(mtime)] = digest
        except (OSError, ValueError):
            pass

    def of(self, other: Other) -> str:
        """The hash of a file below the folder, "" where it cannot be read."""
        path = os.path.join(self._folder, other.path)
        try:
            found = os.stat(path, follow_symlinks=False)
            key = path.replace("\n", "\0"), found.st_size, found.st_mtime_ns
            digest = self._known.get(key) or hash_file(path)
        except OSError:
            return ""
        self._used[key] = digest
        return digest

    def keep(self) -> None:
        """Remember what was read now, and what was read for other folders."""
        mine = os.path.join(self._folder, "")
        rest = {key: digest for key, digest in self._known.items() if not key[0].startswith(mine)}
        wanted = {**rest, **self._used}
        if wanted == self._known:
            return
        draft = f"{self._note}.{os.getpid()}.new"
        with open(draft, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(f"{digest} {size} {mtime} {path}\n" for (path, size, mtime), digest in wanted.items())
        os.replace(draft, self._note)


def set_folder(layout: Layout, one: NodeSet) -> str:
    return os.path.join(layout.sets, one.label)


def _note_of(one: NodeSet) -> str:
    return f"set-{one.set_id[:16]}"


def leads(view: View, one: NodeSet, node: str) -> bool:
    """Whether a node writes the pages of a set: the lowest GUID of those in it that have not left."""
    staying = one.nodes - view.nodes_that_left()
    return node in staying and node == min(staying)


def unlisted(view: View) -> BitMap:
    """The files that exist for nobody here: deleted for good, or kept from this node."""
    found = BitMap()
    for key, raw in view.tx.cursor(view.db["rows"]):
        first = U32.unpack(key)[0] * ROWS
        found.update([first + at for at, row in enumerate(ROW.iter_unpack(raw)) if not row[3] & LISTED and any(row[0])])
    return found


def hidden_in(view: View, one: NodeSet) -> BitMap:
    """The files that are not to be named in a set's folder: some node of it may not know them, or they are gone."""
    hidden = unlisted(view)
    for node in one.nodes:
        term = view.term(UNKNOWN, "", node)
        if term is not None:
            hidden |= view.posting(term)
    return hidden


def devices_of(view: View, layout: Layout) -> dict[str, Device]:
    """All devices that facts speak of, by GUID; those without a name by the beginning of their GUID."""
    seen: dict[str, int] = {}
    for folder in folders_below(layout.ledgers):
        found = read_seen(os.path.join(layout.ledgers, folder, SEEN_FILE)) if "@" not in folder else None
        if found is not None:
            seen[found.node] = max((parse_time_ns(found.here) or 0) // 1_000_000, seen.get(found.node, 0))
    names = view.node_names()
    held = {guid for guid, _ in view.walk(HOLDS, "")}
    return {guid: Device(guid, names.get(guid) or guid[:8], seen.get(guid, 0)) for guid in sorted({*names, *held})}


def _names(nodes: frozenset[str], devices: Mapping[str, Device]) -> list[str]:
    return sorted(devices[node].name if node in devices else node[:8] for node in nodes)


def _placed(view: View, one: NodeSet | None) -> BitMap:
    """The files that just the nodes of a set hold."""
    if one is None:
        return BitMap()
    found = None
    for guid, term in view.walk(HOLDS, ""):
        if guid in one.nodes:
            found = view.posting(term) if found is None else found & view.posting(term)
    if found is None or not one.nodes <= {guid for guid, _ in view.walk(HOLDS, "")}:
        return BitMap()
    for guid, term in view.walk(HOLDS, ""):
        if guid not in one.nodes:
            found -= view.posting(term)
    return found


def _folders(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
