"""Keeps what explains a store up to date: what is due is made, and it is said when to look again.

One at a time: who makes pages holds a lock in `scratch/readme/`. What was made when, and of what,
stands beside it; without that everything is made anew, and nothing is written that is so already.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from importlib import resources
from typing import NamedTuple

import msgspec
from pyroaring import BitMap

from tagfs.errors import LytsError
from tagfs.guid import guid_of_bytes
from tagfs.index.positions import known_segments
from tagfs.index.read import View
from tagfs.layout import Layout, make_folder
from tagfs.lock import hold, try_hold
from tagfs.place import NodeSet, node_sets
from tagfs.recovery import due
from tagfs.recovery.contact import BadSettings, contact_of
from tagfs.recovery.due import Past
from tagfs.recovery.files import PAGES, Changed
from tagfs.recovery.make import MANIFEST, TABLE, Maker, devices_of, hidden_in, leads, set_folder, unlisted
from tagfs.recovery.readme import FORMAT, SCRIPTS, script
from tagfs.store import Store

ROOT = ""
GENERATED = ("README.md", "index.html", TABLE, MANIFEST, FORMAT, *SCRIPTS)
NAMING_FILES = ("index.html", MANIFEST, TABLE)
"""Those that say something of single files, beside the pages. The table last: it tells which files they name."""
CONFLICT = ".sync-conflict-"


class Kept(NamedTuple):
    """What was done: (path of the folder below the store, what changed in it); and when to look again, None for never.

    `trouble`: what could not be done, in sentences.
    """

    done: list[tuple[str, Changed]]
    next_ms: int | None
    trouble: list[str]


def folder_of(layout: Layout) -> str:
    return os.path.join(layout.scratch, "readme")


@contextmanager
def at_work(layout: Layout, on_wait: Callable[[], None] | None = None) -> Iterator[bool]:
    """Hold the right to make pages. Where another process has it: False; with `on_wait` that is called, and waited."""
    make_folder(folder_of(layout))
    path = os.path.join(folder_of(layout), ".lock")
    if on_wait is not None:
        with hold(path, on_wait):
            yield True
        return
    with try_hold(path) as held:
        yield held


def keep_up(
    store: Store,
    environ: Mapping[str, str],
    *,
    all_now: bool = False,
    dry_run: bool = False,
    ends: Callable[[], bool] = lambda: False,
) -> Kept:
    """Make what is due, or all. The caller is `at_work`.

    Raises:
        Ended: told to; what was made is noted.
    """
    trouble = []
    try:
        contact = contact_of(environ)
    except BadSettings as exc:
        contact = ""
        trouble.append(str(exc))
    layout, clock = store.layout, store.machine.wall_ms
    maker = Maker(contact, dry_run, ends)
    pasts = read_pasts(layout)
    done: list[tuple[str, Changed]] = []
    nexts: list[int] = []
    with store.view() as view:
        sets = [one for one in node_sets(view) if os.path.isdir(set_folder(layout, one))]
        mine = [one for one in sets if leads(view, one, store.node)]
        hidden = {one.set_id: _digest_of_hidden(view, hidden_in(view, one)) for one in mine}
        devices = {one.set_id: _digest_of_devices(view, one, layout, contact) for one in mine}
        state = digest_of(view, layout, contact)
        gone = _digest_of_hidden(view, unlisted(view))
        out_of = {} if dry_run else _left_out(store, view, sets, mine)
    for past in pasts.values():
        due.meet(past, state, clock())
    pasts = {key: pasts.get(key, Past(seen=state, since_ms=clock())) for key in (ROOT, *hidden)}
    for key, folder in ((ROOT, layout.root), *((one.set_id, set_folder(layout, one)) for one in mine)):
        if not is_whole(folder):
            pasts[key].state = ""

    def make(key: str, where: str, when_ms: int | None, hides: str, work: Callable[[], Changed]) -> None:
        past, began_ms = pasts[key], clock()
        if not all_now and (when_ms is None or when_ms > began_ms):
            if when_ms is not None:
                nexts.append(when_ms)
            return
        try:
            done.append((where, work()))
        except LytsError as exc:
            trouble.append(str(exc))
            # Not at once again: a disk that is full stays so for a while.
            past.made_ms, past.took_ms = began_ms, max(0, clock() - began_ms)
            nexts.append(began_ms + due.HOUR_MS)
            return
        due.made(past, hides, began_ms, clock(), state)

    try:
        for one in mine:
            past = pasts[one.set_id]
            if not dry_run:
                tidy(layout, one.label, leads_it=True)
            if past.devices != devices[one.set_id] and not all_now:
                done.append((f"sets/{one.label}", maker.set_readme(store, one)))
                past.devices = devices[one.set_id]
        make(ROOT, "", due.root_due_ms(pasts[ROOT], gone), gone, partial(maker.root, store))
        for one in mine:
            hides, when_ms = hidden[one.set_id], due.set_due_ms(pasts[one.set_id], hidden[one.set_id])
            make(one.set_id, f"sets/{one.label}", when_ms, hides, partial(maker.set, store, one))
            if all_now:
                pasts[one.set_id].devices = devices[one.set_id]
        if not dry_run:
            for one in sets:
                if one not in mine:
                    tidy(layout, one.label, leads_it=False)
                    _drop_pages_naming(set_folder(layout, one), out_of.get(one.set_id, set()))
    finally:
        if not dry_run:
            write_pasts(layout, pasts)
            _write_trouble(layout, trouble)
    return Kept(done, min(nexts, default=None), trouble)


# -- what things stand like


def digest_of(view: View, layout: Layout, contact: str) -> str:
    """Of all that pages are made of: ledgers, data files by the times of their folders, when devices were last here."""
    digest = blake2b(digest_size=16)
    digest.update(_own_digest().encode())
    digest.update(contact.encode("utf-8", "replace"))
    for name, read in sorted(known_segments(view.tx, view.db).items()):
        digest.update(f"{name} {read.applied_bytes} {read.crc32}\n".encode("utf-8", "surrogateescape"))
    for device in devices_of(view, layout).values():
        digest.update(f"{device.guid} {device.seen_ms // 86_400_000}\n".encode())
    for data in _data_folders(layout):
        digest.update(f"{data} {os.stat(data).st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def is_whole(folder: str) -> bool:
    """Whether all is there that explains a folder; a person, or another node, may have thrown something away."""
    names = [name for name in GENERATED if name not in SCRIPTS or script(name) is not None]
    return all(os.path.lexists(os.path.join(folder, name)) for name in names)


def _own_digest() -> str:
    """Of templates and scripts: another lyts says other things."""
    digest = blake2b(digest_size=16)
    for folder in ("templates", "scripts"):
        below = resources.files("tagfs.recovery").joinpath(folder)
        if below.is_dir():
            for entry in sorted(below.iterdir(), key=lambda one: one.name):
                if entry.is_file():
                    digest.update(entry.name.encode() + b"\0" + entry.read_bytes())
    return digest.hexdigest()


def _data_folders(layout: Layout) -> Iterator[str]:
    for label in _names_in(layout.sets):
        data = layout.data(label, "")
        for gg in _names_in(data):
            folder = os.path.join(data, gg)
            if os.path.isdir(folder):
                yield folder


def _names_in(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _digest_of_devices(view: View, one: NodeSet, layout: Layout, contact: str) -> str:
    names = sorted((device.guid, device.name) for device in devices_of(view, layout).values())
    said = repr((names, sorted(view.nodes_that_left()), sorted(one.nodes), contact, _own_digest()))
    return blake2b(said.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _digest_of_hidden(view: View, files: BitMap) -> str:
    """Of files that are not to be named; "" for none."""
    joined = b"".join(sorted(row.guid for _, row in view.rows(files)))
    return blake2b(joined, digest_size=16).hexdigest() if joined else ""


# -- what was thrown away, and what others wrote


def tidy(layout: Layout, label: str, *, leads_it: bool) -> None:
    """Take away what Syncthing keeps of former pages. They can be made again, and may name what is to be forgotten."""
    folder = os.path.join(layout.sets, label)
    thrown_away = os.path.join(folder, ".stversions")
    for name in _names_in(thrown_away):
        if name == PAGES:
            shutil.rmtree(os.path.join(thrown_away, name), ignore_errors=True)
        elif name in GENERATED or _is_copy(name):
            _remove(os.path.join(thrown_away, name))
    if leads_it:
        for below, _, names in os.walk(os.path.join(folder, PAGES)):
            for name in names:
                if CONFLICT in name:
                    _remove(os.path.join(below, name))
        for name in _names_in(folder):
            if _is_copy(name):
                _remove(os.path.join(folder, name))


def _is_copy(name: str) -> bool:
    """Whether a name is that of one of ours that lost against another."""
    stem, found, rest = name.partition(CONFLICT)
    return bool(found) and stem + "." + rest.rpartition(".")[2] in GENERATED


def _left_out(store: Store, view: View, sets: list[NodeSet], mine: list[NodeSet]) -> dict[str, set[str]]:
    """For each set that others lead and that has pages here: files that this node may know no longer."""
    others = [
        one for one in sets if one not in mine and os.path.exists(os.path.join(set_folder(store.layout, one), TABLE))
    ]
    if not others:
        return {}
    files = [guid_of_bytes(row.guid) for _, row in view.rows(unlisted(view))]
    if not files:
        return {}
    kept_from = {state.guid for state in store.states(files) if not state.knows.get(store.node, ("", True))[1]}
    return {one.set_id: kept_from for one in others}


def _drop_pages_naming(folder: str, guids: set[str]) -> None:
    """Pages of another node go where they name a file that this one may not know; that node writes them anew."""
    if not guids:
        return
    try:
        with open(os.path.join(folder, TABLE), "rb") as table:
            named = any(line[:36].decode("ascii", "replace") in guids for line in table)
    except FileNotFoundError:
        return
    if named:
        shutil.rmtree(os.path.join(folder, PAGES), ignore_errors=True)
        for name in NAMING_FILES:
            _remove(os.path.join(folder, name))


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except (FileNotFoundError, IsADirectoryError):
        pass


# -- notes


def read_pasts(layout: Layout) -> dict[str, Past]:
    """What was made when: by set id, "" for the root."""
    try:
        with open(os.path.join(folder_of(layout), ".made.json"), "rb") as file:
            return msgspec.json.decode(file.read(), type=dict[str, Past])
    except (OSError, msgspec.MsgspecError):
        return {}


def write_pasts(layout: Layout, pasts: Mapping[str, Past]) -> None:
    _write(os.path.join(folder_of(layout), ".made.json"), msgspec.json.encode(pasts))


def _write_trouble(layout: Layout, trouble: list[str]) -> None:
    path = os.path.join(folder_of(layout), ".trouble")
    if trouble:
        _write(path, "\n".join(trouble).encode())
    else:
        _remove(path)


def trouble_of(layout: Layout) -> list[str]:
    """What could not be done the last time."""
    try:
        with open(os.path.join(folder_of(layout), ".trouble"), encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def _write(path: str, data: bytes) -> None:
    """These notes can be lost; a full disk is no reason to stop."""
    draft = f"{path}.{os.getpid()}.new"
    try:
        with open(draft, "wb") as file:
            file.write(data)
        os.replace(draft, path)
    except OSError:
        _remove(draft)
