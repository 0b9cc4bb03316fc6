#!/usr/bin/env python3
"""Made `format-1/`: a small store as lyts wrote it when format 1 was frozen, with every kind of line in it.

    python tests/data/make_format_1.py tests/data/format-1      into a folder that is not there yet

Kept so that one can see how it came about. It was run once; what it made is in git and is never
made anew: a lyts that writes otherwise today must still read what stands there.
(From the root of the checkout, with the Python of its environment.)

    store/          a device called laptop, with the ledger of another (server), bytes, an earlier
                    version, index.csv; a line that nobody knows, and one that is torn
    wanted.json     what it says: see `wanted`
"""

from __future__ import annotations

import base64
import json
import shutil
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tagfs.change import Change
from tagfs.conflict import copy_guid
from tagfs.face import face_of
from tagfs.fact import BY_HAND, Content, Fact, Made, encode_fact, time_text
from tagfs.place import kept_versions_folder
from tagfs.slug import data_path
from tagfs.stamp import make_stamp
from tagfs.store import Store
from tests.support.facts import NODES, RULE
from tests.support.recovering import bytes_at, put, say, write_table
from tests.support.stores import MTIME_NS, START_MS, Machine, make_store, open_store, own_segments, purge_now, untag_now

SERVER = NODES[1]


def wanted(store: Store) -> dict[str, Any]:
    """What a store says: its files by GUID, and all else that facts speak of."""
    with store.view() as view:
        guids = sorted(view.guid(ordinal) for ordinal in range(view.ordinal_total()))
        nodes = [node for node, _ in view.things("N")]
        names = view.node_names()
    files = {}
    for state in store.states(guids):
        face = face_of(state, store.node, nodes)
        files[state.guid] = {
            "name": face.name, "tags": list(face.tags), "notes": face.notes, "mode": face.mode,
            "size_bytes": face.size_bytes, "mtime_ns": face.mtime_ns, "sha256": face.sha256, "conflict": face.conflict,
            "from": face.from_folder, "data": face.data, "listed": face.listed, "trashed": face.trashed,
            "holds": sorted(face.holds), "unknown_to": sorted(face.unknown_to),
            "xattr": {key[6:]: value for key, (_, value) in state.registers.items() if key.startswith("xattr:")},
        }  # fmt: skip
    return {"files": files, "nodes": names}


def work(store: Store, machine: Machine) -> dict[str, str]:
    """What a person might have done. GUIDs by what they stand for."""
    made = {
        "photo": put(store, "Holiday in Rome.jpg", b"rome " * 40, ["rome", "year=2019"]),
        "song": put(store, "So What.flac", b"what " * 40, ["music", "artist=AC/DC"]),
        "letter": put(store, "Dear Jürgen.txt", b"Dear J\xc3\xbcrgen\n"),
        "removed": put(store, "removed.txt", b"removed\n", ["old"]),
        "gone": put(store, "gone for good.txt", b"gone\n", ["old"]),
        "diary": put(store, "diary.txt", b"not for the server\n", ["diary"]),
        "afar": put(store, "film.mkv", b"film", ["film"], label=""),
    }
    data = b"no text \xff\n"
    made["raw"] = put(
        store, "caf\ufffd.txt", data,
        made=Made("caf\ufffd.txt", data_path("00000000-0000-4000-8000-000000000001", "caf\ufffd.txt"),
                  raw_name=base64.b64encode(b"caf\xe9.txt").decode()),
        guid="00000000-0000-4000-8000-000000000001",
    )  # fmt: skip
    machine.advance(1000)

    def about_all_else(change: Change) -> None:
        change.about("node", "N", SERVER, alias="server")
        change.about("node", "N", SERVER, device="P56IOI7-MZJNU2Y-IQGDREY-DM2MGTI-MGL3BXN-PQ6W5BM-TBBZ4TJ-XZWICQ2",
                     addresses=["tcp://192.0.2.7:22000"], introduces=True)  # fmt: skip
        change.about("node", "N", NODES[3], alias="old phone", gone=True)
        change.about("saved", "S", "evening", query="music+-loud")
        change.about("rule", "P", RULE, query="video+size=1GB..", holds={SERVER: True})
        change.about_tag("jazz", implies=["music"])
        change.about_tag("Jazz", alias=["jazz"])
        change.about_tag("empty", exists=True)

    store.act(about_all_else)
    machine.advance(1000)
    say(store, made["song"], name="So What (live).flac", notes="from the cellar", mode=0o600, tag=["Jazz"])
    say(store, made["song"], xattr={"user.rating": base64.b64encode(b"5").decode(), "user.gone": None})
    store.act(lambda change: untag_now(change, made["photo"], "year=2019"))
    say(store, made["photo"], modified=time_text(MTIME_NS + 123_456_789), tag=["year=2020"])
    jazz = store.act(lambda change: change.about_tag("jazz", implies=["loud"]))
    store.act(lambda change: change.about_tag("jazz", unimplies={"loud": {jazz.at[26:]: jazz.at}}), undoes=jazz.at)
    store.act(lambda change: change.about_tag("Jazz", alias=["swing"]))
    store.act(
        lambda change: change.about_tag(
            "Jazz", unalias={"swing": change.thing("T", "Jazz").additions("alias", "swing")}
        )
    )
    say(store, made["removed"], trash=True)
    store.act(lambda change: purge_now(change, made["gone"]))
    Path(bytes_at(store, made["gone"])).unlink()
    say(store, made["diary"], knows={SERVER: False})
    say(store, made["diary"], notes="kept from the server")
    say(store, made["afar"], holds={str(store.node): False, SERVER: True}, placed_by=[BY_HAND])
    machine.advance(1000)
    edit(store, made["letter"], "Dear Jürgen\n".encode(), b"Dear J\xc3\xbcrgen, come over\n")
    other = copy_guid(made["letter"], sha256(b"Dear Juergen\n").hexdigest())
    put(store, "Dear Jürgen (server, 2025-11-24).txt", b"Dear Juergen\n", ["conflict"], guid=other)
    return made


def edit(store: Store, guid: str, old: bytes, new: bytes) -> None:
    """Replace bytes as a save does: those before are a version."""
    place = Path(bytes_at(store, guid))
    kept = Path(kept_versions_folder(store.layout, guid), sha256(old).hexdigest())
    kept.parent.mkdir(parents=True)
    place.rename(kept)
    place.write_bytes(new)
    content = Content(sha256(new).hexdigest(), len(new), time_text(MTIME_NS + 10**9), was=sha256(old).hexdigest())
    say(store, guid, content=content)


def of_the_server(made: dict[str, str]) -> list[Fact]:
    """What the other device stated, an hour later."""

    def at(number: int) -> str:
        return make_stamp(((START_MS + 3_600_000) << 16) + number, SERVER[:8])

    return [
        Fact(at=at(0), by=SERVER, action=at(0), file=made["photo"], tag=["favourite"]),
        Fact(
            at=at(1),
            by=SERVER,
            action=at(1),
            file=made["song"],
            notes="from the cellar, in spring",
            holds={SERVER: True},
        ),
        Fact(at=at(2), by=SERVER, action=at(2), file=made["raw"], name="café.txt", knows={NODES[3]: True}),
    ]


def main(target: str) -> None:
    root = Path(target)
    root.mkdir()
    place = root / "store"
    machine = Machine(seed=1)
    with make_store(place, machine) as store:
        made = work(store, machine)
    machine.reboot()
    machine.advance(1000)
    with open_store(place, machine) as store:
        say(store, made["photo"], notes="the Tiber\nin the evening")
        segment, by = Path(own_segments(store)[-1]), str(store.node)
    server = place / "ledgers" / "server"
    server.mkdir()
    facts = of_the_server(made)
    lines = b"".join(map(encode_fact, facts))
    strange = f'{{"at":"{make_stamp((START_MS + 3_600_009) << 16, SERVER[:8])}","by":"{SERVER}","dream":"of sheep"}}\n'
    (server / f"{facts[0].at}.jsonl").write_bytes(lines + strange.encode() + b'{"at":"20251124T')
    seen = {"node": SERVER, "format": 1, "here": "2025-11-24T17:00:00Z", "read": {by[:8]: segment.name[:34]}}
    (server / "seen.json").write_text(json.dumps(seen, indent=1) + "\n", encoding="utf-8")
    with open_store(place, machine) as store:
        text = json.dumps(wanted(store), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    (root / "wanted.json").write_text(text, encoding="utf-8")
    write_table(place)
    shutil.rmtree(place / "index")
    for name in ("lock", "dirty", "scratch/reserve"):
        (place / name).unlink(missing_ok=True)
    print(sum(path.stat().st_size for path in root.rglob("*") if path.is_file()), "bytes in", root)


if __name__ == "__main__":
    main(sys.argv[1])
