#!/usr/bin/env python3
"""Made `broken/`: a small store for each way in which things go wrong, and what must still come out of it.

    python tests/data/make_broken.py tests/data/broken        into a folder that is not there yet

Kept so that one can see how each came about. What it made is in git and is not made anew in
passing: these are disks that were found, and every later lyts must get the same out of them.
(From the root of the checkout, with the Python of its environment.)

    <number in the checklist>-<what is wrong>/
        disk/ ...           what was found; where there are several, all are to be read together
        wanted.json         `files`: by GUID the name, tags and SHA-256 that must come out with them;
                            `apart`: the SHA-256 of bytes that must come out, whatever they are called;
                            `told`: what the report must name; `shell`: recover.sh can do it, too (there
                            is a table); `whole`: nothing is missing or damaged
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tagfs.conflict import copy_guid
from tagfs.fact import Content, time_text
from tagfs.guid import new_guid
from tagfs.store import Store
from tests.support.facts import NODES
from tests.support.recovering import library, put, rows_of, say, write_table
from tests.support.stores import Machine, make_store, open_store, own_segments

Wanted = dict[str, object]
Files = dict[str, dict[str, object]]

DERIVED = ("index", "lock", "dirty", "scratch/reserve", "scratch/CACHEDIR.TAG")


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def files_of(root: Path, *without: str) -> Files:
    """What the ledgers of a store say, but for some GUIDs."""
    return {
        row.guid: {"name": row.name, "tags": list(row.tags), "sha256": row.sha256}
        for row in rows_of(root)
        if row.guid not in without
    }


class Case:
    """One disk in the making."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = folder / "disk"
        self.machine = Machine(seed=int.from_bytes(sha256(folder.name.encode()).digest()[:4], "big"))
        with make_store(self.disk, self.machine, "laptop") as store:
            self.made = library(store)
        self.wanted = files_of(self.disk)
        self.apart: list[str] = []
        self.told: list[str] = []
        self.shell = False
        self.whole = True

    def open(self) -> Store:
        return open_store(self.disk, self.machine)

    def data(self, name: str) -> Path:
        """The data file of a file that `library` made."""
        guid = self.made[name]
        return next(self.disk.glob(f"sets/*/data/{guid[:2]}/{guid}*"))

    def write(self, path: str, data: bytes) -> Path:
        place = self.disk / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return place

    def lose(self, name: str) -> None:
        """It can no longer come out as it was."""
        del self.wanted[self.made[name]]
        self.whole = False

    def end(self) -> None:
        for disk in self.folder.iterdir():
            for name in DERIVED:
                path = disk / name
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        said: Wanted = {
            "files": self.wanted, "apart": sorted(self.apart), "told": self.told, "shell": self.shell,
            "whole": self.whole,
        }  # fmt: skip
        text = json.dumps(said, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        (self.folder / "wanted.json").write_text(text, encoding="utf-8")


def only_ledgers_and_bytes(case: Case) -> None:
    (case.disk / "store.toml").unlink()
    shutil.rmtree(case.disk / "scratch")


def flipped_bit(case: Case) -> None:
    write_table(case.disk)
    place = case.data("Holiday in Rome.jpg")
    data = bytearray(place.read_bytes())
    data[99] ^= 0x10
    place.write_bytes(data)
    case.lose("Holiday in Rome.jpg")
    case.apart = [digest(data)]
    case.told = ["Holiday in Rome.jpg"]
    case.shell = True


def file_cut_short(case: Case) -> None:
    write_table(case.disk)
    place = case.data("So What.flac")
    place.write_bytes(place.read_bytes()[:333])
    case.lose("So What.flac")
    case.apart = [digest(place.read_bytes())]
    case.told = ["So What.flac"]
    case.shell = True


def two_segments(case: Case) -> tuple[Path, str]:
    """A second segment with one file more; its path and the GUID."""
    case.machine.reboot()
    with case.open() as store:
        guid = put(store, "later.txt", b"added later\n", ["later"])
        return Path(own_segments(store)[-1]), guid


def ledger_missing(case: Case) -> None:
    segment, guid = two_segments(case)
    segment.unlink()
    case.apart = [digest(b"added later\n")]
    case.told = [f"{guid}--later.txt"]


def all_ledgers_missing(case: Case) -> None:
    shutil.rmtree(case.disk / "ledgers")
    case.apart = [str(file["sha256"]) for file in case.wanted.values()]
    case.told = [f"{case.made['So What.flac']}--so-what.flac"]
    case.wanted = {}


def ledgers_missing_with_table(case: Case) -> None:
    write_table(case.disk)
    shutil.rmtree(case.disk / "ledgers")
    case.shell = True


def ledger_truncated(case: Case) -> None:
    segment, guid = two_segments(case)
    segment.write_bytes(segment.read_bytes()[:120])
    case.apart = [digest(b"added later\n")]
    case.told = [segment.name, f"{guid}--later.txt"]
    case.whole = False


def ledger_zeroed(case: Case) -> None:
    segment, guid = two_segments(case)
    segment.write_bytes(bytes(segment.stat().st_size))
    case.apart = [digest(b"added later\n")]
    case.told = [segment.name, f"{guid}--later.txt"]
    case.whole = False


def ledger_torn(case: Case) -> None:
    with case.open() as store:
        segment = Path(own_segments(store)[-1])
    segment.write_bytes(segment.read_bytes() + b'{"at":"20261122T101056.123Z-0002-1a2b3c4d","by":"1a2b')
    case.told = [segment.name]
    case.whole = False


def bytes_elsewhere(case: Case) -> None:
    with case.open() as store:
        store.act(lambda change: change.about("node", "N", NODES[1], alias="black USB disk, study"))
        put(store, "film.mkv", b"film", ["film"], label="", holds={str(store.node): False, NODES[1]: True})
    write_table(case.disk)
    case.told = ["film.mkv", "black USB disk, study"]
    case.shell = True
    case.whole = False


def conflict_copy(case: Case) -> None:
    write_table(case.disk)
    place = case.data("letter.txt")
    place.with_name(place.stem + ".sync-conflict-20261122-101112-ABCDEFG.txt").write_bytes(b"Dear Juergen\n")
    case.apart = [digest(b"Dear Juergen\n")]
    case.told = ["letter.txt"]
    case.shell = True


def settled_conflict(case: Case) -> None:
    letter = case.made["letter.txt"]
    with case.open() as store:
        other = copy_guid(letter, digest(b"Dear Juergen\n"))
        put(store, "letter (server, 2026-11-22).txt", b"Dear Juergen\n", ["conflict"], guid=other)
    write_table(case.disk)
    case.wanted = files_of(case.disk)
    case.shell = True


def two_branches(case: Case) -> None:
    letter = case.made["letter.txt"]
    with case.open() as store:
        say(store, letter, content=Content(digest(b"the other branch"), 16, time_text(5)))
    case.write(f"keep/moved/{letter[:2]}/{letter}/{digest(b'the other branch')}", b"the other branch")
    case.wanted = files_of(case.disk)
    case.apart = [digest("Dear Jürgen\n".encode())]


def two_nodesets(case: Case) -> None:
    write_table(case.disk)
    shutil.copytree(case.disk / "sets/laptop", case.disk / "sets/laptop+server")
    case.shell = True


HOSTILE = (
    "CON", "nul.txt", "a\\b", "a:b*c?d", "x" * 251 + ".txt", "\u202egpj.exe", "line\nbreak", "caf\u00e9", "cafe\u0301",
    "Cafe", "CAFE", "trailing. ", "=cmd|' calc'!A0", '<b>"quoted"', "-rf", "\u0414\u043e\u043c", "\u0434\u043e\u043c",
    "same.txt", "same.txt", " ", "$(id) `id` $HOME", "\u5199\u771f.jpg",
)  # fmt: skip


def hostile_names(case: Case) -> None:
    with case.open() as store:
        for number, name in enumerate(HOSTILE):
            put(store, name, f"{number}".encode(), ["..", "a/b", "CON"][number % 4 : number % 4 + 1])
    write_table(case.disk)
    case.wanted = files_of(case.disk)
    case.shell = True


def two_disks(case: Case) -> None:
    other = case.folder / "disk-2"
    machine = Machine(seed=4711)
    with make_store(other, machine, "server") as store:
        put(store, "on the server.txt", b"server", ["server"])
    for giver, taker in ((case.disk, other), (other, case.disk)):
        name = "laptop" if giver == case.disk else "server"
        shutil.copytree(giver / "ledgers" / name, taker / "ledgers" / name)
    case.wanted = files_of(case.disk)


def unknown_facts(case: Case) -> None:
    with case.open() as store:
        segment, by = Path(own_segments(store)[-1]), str(store.node)
    letter = case.made["letter.txt"]
    segment.write_bytes(
        segment.read_bytes()
        + f'{{"at":"20260101T000000.000Z-0000-{by[:8]}","by":"{by}","dream":"of sheep"}}\n'.encode()
        + f'{{"at":"20260101T000000.000Z-0001-{by[:8]}","by":"{by}","file":"{letter}","mood":["blue"]}}\n'.encode()
    )


def excluded(case: Case) -> None:
    with case.open() as store:
        store.act(lambda change: change.about("node", "N", NODES[1], alias="server"))
        say(store, case.made["letter.txt"], knows={str(store.node): False})
    case.wanted = files_of(case.disk, case.made["letter.txt"])


def one_set_folder(case: Case) -> None:
    write_table(case.disk)
    (case.disk / "index.csv").rename(case.disk / "sets/laptop/index.csv")
    (case.disk / "sets/laptop").rename(case.folder / "set")
    shutil.rmtree(case.disk)
    (case.folder / "set").rename(case.disk)
    case.shell = True


def data_files_alone(case: Case) -> None:
    all_ledgers_missing(case)
    (case.disk / "sets").rename(case.folder / "sets")
    shutil.rmtree(case.disk)
    (case.folder / "sets").rename(case.disk)
    case.shell = True


def lost_and_found(case: Case) -> None:
    write_table(case.disk)
    (case.disk / "lost+found").mkdir()
    for number, name in enumerate(case.made):
        case.data(name).rename(case.disk / "lost+found" / f"#{4711 + number}")
    case.write("lost+found/#9999", b"of something else")
    case.apart = [digest(b"of something else")]
    case.shell = True


def keep_and_trash_can(case: Case) -> None:
    write_table(case.disk)
    letter, rome = case.made["letter.txt"], case.made["Holiday in Rome.jpg"]
    case.write(f"keep/{letter[:2]}/{letter}/{digest(b'earlier')}", b"earlier")
    case.write(f"keep/moved/{rome[:2]}/{rome}/{digest(b'rome ' * 300)}", b"rome " * 300)
    case.write(f"sets/laptop/.stversions/data/{letter[:2]}/{letter}--letter.txt", b"thrown away")
    case.write(f"sets/laptop/.stversions/data/00/{new_guid(bytes(16))}--gone.txt", b"gone")
    case.data("Holiday in Rome.jpg").unlink()
    case.apart = [digest(b"earlier"), digest(b"thrown away"), digest(b"gone")]
    case.told = ["letter"]
    case.shell = True


def half_written(case: Case) -> None:
    write_table(case.disk)
    case.write(f"scratch/{new_guid(b'7' * 16)}", b"half a letter")
    case.apart = [digest(b"half a letter")]
    case.shell = True


def ledger_in_conflict_and_in_the_trash_can(case: Case) -> None:
    segment, _ = two_segments(case)
    case.wanted = files_of(case.disk)
    segment.rename(segment.with_name(segment.stem + ".sync-conflict-20261122-101112-ABCDEFG.jsonl"))
    first = min(path for path in segment.parent.glob("*.jsonl"))
    (segment.parent / ".stversions").mkdir()
    first.rename(segment.parent / ".stversions" / first.name)


def one_copy_damaged(case: Case) -> None:
    write_table(case.disk)
    shutil.copytree(case.disk / "sets/laptop", case.disk / "sets/laptop+server")
    case.data("letter.txt").write_bytes(b"damaged")
    case.apart = [digest(b"damaged")]
    case.shell = True
    case.whole = True


CASES: dict[str, Callable[[Case], None]] = {
    "01-only-ledgers-and-bytes": only_ledgers_and_bytes,
    "07-flipped-bit": flipped_bit,
    "07-file-cut-short": file_cut_short,
    "07-one-of-two-copies-damaged": one_copy_damaged,
    "08-ledger-missing": ledger_missing,
    "08-ledger-truncated": ledger_truncated,
    "08-ledger-zeroed": ledger_zeroed,
    "08-ledger-torn": ledger_torn,
    "08-all-ledgers-missing": all_ledgers_missing,
    "08-all-ledgers-missing-with-table": ledgers_missing_with_table,
    "08-ledgers-set-aside": ledger_in_conflict_and_in_the_trash_can,
    "09-bytes-elsewhere": bytes_elsewhere,
    "10-conflict-copy": conflict_copy,
    "10-settled-conflict": settled_conflict,
    "10-two-branches": two_branches,
    "11-two-nodesets": two_nodesets,
    "12-hostile-names": hostile_names,
    "13-two-disks": two_disks,
    "16-unknown-facts": unknown_facts,
    "18-excluded": excluded,
    "20-one-set-folder": one_set_folder,
    "21-data-files-alone": data_files_alone,
    "22-lost-and-found": lost_and_found,
    "23-keep-and-trash-can": keep_and_trash_can,
    "23-half-written": half_written,
}


def main(target: str) -> None:
    root = Path(target)
    root.mkdir()
    for name, break_it in CASES.items():
        folder = root / name
        folder.mkdir()
        case = Case(folder)
        break_it(case)
        case.end()
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    print(f"{len(CASES)} cases, {size} bytes in {root}")


if __name__ == "__main__":
    main(sys.argv[1])
