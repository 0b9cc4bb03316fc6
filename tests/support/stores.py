"""Stores for tests: a machine whose clock stands still until told, other nodes' ledgers, a dump to compare."""

from __future__ import annotations

import base64
import hashlib
import os
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tagfs.store
from tagfs.change import Change
from tagfs.create import create_store
from tagfs.errors import DiskFull
from tagfs.face import face_of, terms_of
from tagfs.fact import Content, Fact, Made, Purge, encode_fact, time_text
from tagfs.glossary import Thing
from tagfs.guid import bytes_of_guid, new_guid
from tagfs.index.blocks import LISTED, PLAIN
from tagfs.index.codec import unpack_state
from tagfs.index.numbers import Numbers
from tagfs.index.read import View
from tagfs.index.schema import U32
from tagfs.nodeset import folder_name, set_id
from tagfs.slug import data_path
from tagfs.store import Store
from tagfs.term import ALL_FILES, TermKey

_PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START_MS = 1_764_000_000_000
MTIME_NS = 1_700_000_000_000_000_000


class Machine:
    """A machine in the hands of a test: its clock, its dice and its boots."""

    def __init__(self, seed: int = 1, now_ms: int = START_MS, boot: str = "boot-1") -> None:
        self.now_ms = now_ms
        self.boot = boot
        self.dice = random.Random(seed)

    def advance(self, ms: int) -> None:
        self.now_ms += ms

    def reboot(self) -> None:
        """Another boot id from now on, as after a power cut."""
        head, _, number = self.boot.rpartition("-")
        self.boot = f"{head}-{int(number) + 1}"

    def real(self) -> tagfs.store.Machine:
        """As the core takes it."""
        return tagfs.store.Machine(lambda: self.now_ms, self.dice.randbytes, lambda: self.boot)


def fast_folder() -> str | None:
    """Where a test that makes hundreds of stores should make them: in memory, where there is such a place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def make_store(
    root: str | os.PathLike[str], machine: Machine | None = None, alias: str = "laptop", **options: Any
) -> Store:
    """A new store in the folder `root`, open."""
    real = (machine or Machine()).real()
    create_store(str(root), alias=alias, folder_name=folder_name(alias), set_id=set_id, machine=real)
    return Store(str(root), real, **options)


def open_store(root: str | os.PathLike[str], machine: Machine | None = None, **options: Any) -> Store:
    return Store(str(root), (machine or Machine()).real(), **options)


# -- changing


def birth(
    guid: str, name: str, node: str, *, tags: Iterable[str] = (), sha256: str | None = None, size_bytes: int = 1
) -> dict[str, Any]:
    """The statements of a birth fact."""
    return {
        "made": Made(name=name, data=data_path(guid, name), from_="/home/ada/Pictures"),
        "content": Content(
            sha256=sha256 or (bytes_of_guid(guid) * 2).hex(), size_bytes=size_bytes, modified=time_text(MTIME_NS)
        ),
        "tag": sorted(tags) or None,
        "holds": {node: True},
    }


def add_files(store: Store, *names: str, tags: Iterable[str] = (), **options: Any) -> list[str]:
    """Add files with these names in one action; their GUIDs."""
    guids = [new_guid(store.machine.random_bytes(16)) for _ in names]

    def state(change: Change) -> None:
        for guid, name in zip(guids, names, strict=True):
            change.about_file(guid, **birth(guid, name, change.node, tags=tags))

    store.act(state, **options)
    return [str(guid) for guid in guids]


def add_empty(store: Store, names: Sequence[str], tags: set[str]) -> None:
    """Add empty files, as many as there are names, in one action: thousands in a moment."""
    guids = [new_guid(store.machine.random_bytes(16)) for _ in names]
    for guid, name in zip(guids, names, strict=True):
        path = Path(store.layout.data(store.info.alias, data_path(guid, name)))
        path.parent.mkdir(exist_ok=True)
        path.touch()

    def state(change: Change) -> None:
        for guid, name in zip(guids, names, strict=True):
            change.about_file(
                guid, **birth(guid, name, change.node, tags=tags, sha256=hashlib.sha256(b"").hexdigest(), size_bytes=0)
            )

    store.act(state)


def say(store: Store, guid: str, **statements: Any) -> Fact:
    """State one thing about one file."""
    return store.act(lambda change: change.about_file(guid, **statements))


def purge_now(change: Change, guid: str) -> Fact:
    """Purge a file with all that is known of it."""
    state = change.state(guid)
    return change.about_file(
        guid, purge=Purge(content=sorted({c.sha256 for c in state.contents.values()}), seen=dict(state.latest))
    )


def untag_now(change: Change, guid: str, tag: str) -> Fact:
    return change.about_file(guid, untag={tag: change.state(guid).live_additions(tag)})


TAGS = ("music", "rome", "live", "year=1959", "year=2026", "artist=AC/DC")
NAMES = ("a.flac", "b.jpg", "cover.jpg", "cover.jpg", "Grüße.txt", "no extension", ".bashrc")


def act_randomly(store: Store, dice: random.Random, nodes: Iterable[str] = (), durable: bool = False) -> list[Fact]:
    """One action of one to four facts about any file of the store; the facts."""
    others = [*nodes, str(store.node)]

    def state(change: Change) -> list[Fact]:
        living = [change.view.guid(o) for o in change.view.posting(0)] if change.view.ordinal_total() else []
        for _ in range(dice.randint(1, 4)):
            guid = dice.choice(living) if living and dice.random() < 0.7 else None
            if guid is None:
                guid = new_guid(dice.randbytes(16))
                change.about_file(
                    guid, **birth(guid, dice.choice(NAMES), change.node, tags=dice.sample(TAGS, dice.randint(0, 3)))
                )
                living.append(guid)
            else:
                _change_randomly(change, guid, dice, others)
        return [fact for said in change.said.values() for fact, _ in said]

    return store.act(state, durable=durable)


def _change_randomly(change: Change, guid: str, dice: random.Random, nodes: list[str]) -> None:
    tag = dice.choice(TAGS)
    what = dice.randrange(15)
    if what < 3:
        change.about_file(guid, tag=[tag])
    elif what < 5:
        untag_now(change, guid, tag)
    elif what == 5:
        change.about_file(guid, name=dice.choice(NAMES))
    elif what == 6:
        change.about_file(guid, notes=dice.choice(("", "a note")), mode=dice.choice((0o600, 0o644)))
    elif what == 7:
        heads = change.state(guid).content_heads()
        change.about_file(
            guid,
            content=Content(
                sha256=dice.choice("abcd") * 64,
                size_bytes=dice.randrange(1 << 30),
                modified=time_text(MTIME_NS + 5),
                was=heads[-1][1].sha256 if heads else None,
            ),
        )
    elif what == 8:
        change.about_file(guid, trash=dice.random() < 0.7)
    elif what == 9:
        purge_now(change, guid)
    elif what == 10:
        change.about_file(guid, holds={dice.choice(nodes): dice.random() < 0.5})
    elif what == 11:
        change.about_file(
            guid, modified=time_text(MTIME_NS + dice.randrange(5)), xattr={"user.x": dice.choice((None, "y"))}
        )
    elif what == 12:
        change.about_tag(tag, implies=[dice.choice(TAGS)], exists=True)
    elif what == 13:
        change.about_tag(tag, alias=[dice.choice(TAGS)])
    else:
        change.about("saved", "S", "evening", query=tag)


# -- other processes


class Elsewhere:
    """Another process that has a store open, and does there what it is told.

    LMDB takes an index once per process; `run` evaluates an expression over there, with
    `store` and all helpers of this module in reach. Its machine throws dice of its own.
    """

    _PROGRAM = """
import base64, pickle, sys
sys.path.insert(0, {root!r})
from tests.support.stores import *
sys.stdout.reconfigure(line_buffering=True)
with open_store({store!r}, Machine({seed}, boot={boot!r}), **{options!r}) as store:
    print("ready")
    for line in sys.stdin:
        try:
            answer = True, eval(base64.b64decode(line))
        except Exception as exc:
            answer = False, f"{{type(exc).__name__}}: {{exc}}"
        print(base64.b64encode(pickle.dumps(answer)).decode())
"""

    def __init__(self, root: str | os.PathLike[str], boot: str = "boot-1", seed: int = 1000, **options: Any) -> None:
        program = self._PROGRAM.format(root=_PROJECT, store=str(root), seed=seed, boot=boot, options=options)
        self.process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.read() == "ready"

    def read(self) -> str:
        """The next line it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def write(self, line: str) -> None:
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)

    def send(self, expression: str) -> None:
        self.write(base64.b64encode(expression.encode()).decode())

    def answer(self) -> Any:
        fine, value = pickle.loads(base64.b64decode(self.read()))
        assert fine, value
        return value

    def run(self, expression: str) -> Any:
        self.send(expression)
        return self.answer()

    def kill(self) -> None:
        self.process.kill()
        self.__exit__()

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.communicate()


def hold_until_told(change: Change) -> None:
    """An action that lasts until another process says so."""
    print("held")
    sys.stdin.readline()


# -- other nodes


def write_ledger(root: str | os.PathLike[str], folder: str, facts: Iterable[Fact], name: str | None = None) -> str:
    """Put facts into a ledger folder of a store as if they had arrived; the segment's path."""
    facts = list(facts)
    place = os.path.join(root, "ledgers", folder)
    os.makedirs(place, exist_ok=True)
    path = os.path.join(place, name or f"{facts[0].at}.jsonl")
    with open(path, "ab") as file:
        file.write(b"".join(map(encode_fact, facts)))
    return path


def exchange(*stores: Store) -> None:
    """Give each store the ledgers of the others, as Syncthing does."""
    for giver in stores:
        for taker in stores:
            if giver is not taker:
                folder = giver.info.ledger_folder
                shutil.copytree(
                    os.path.join(giver.layout.ledgers, folder),
                    os.path.join(taker.layout.ledgers, folder),
                    dirs_exist_ok=True,
                )


def own_segments(store: Store) -> list[str]:
    """The paths of the own segments that hold something, oldest first."""
    folder = os.path.join(store.layout.ledgers, store.info.ledger_folder)
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".jsonl")]
    return [path for path in paths if os.path.getsize(path)]


# -- looking


def states(store: Store) -> dict[str, dict[str, Any]]:
    """The merge state of every file, by GUID."""
    with store.view() as view:
        return {state.guid: _plain(state) for _, state in _all_states(store, view)}


def _all_states(store: Store, view: View) -> Iterable[tuple[int, Any]]:
    index = store._index
    assert index is not None
    numbers = Numbers(index, view.tx)
    for ordinal in range(view.ordinal_total()):
        row = view.row(ordinal)
        if row is not None and any(row.guid):  # a block has room for more than there are
            tags, from_folder = view.own_tags(ordinal), view.from_folder(ordinal)
            merge = None if row.flags & PLAIN else view.tx.get(U32.pack(ordinal), db=view.db["merge"])
            yield ordinal, unpack_state(row, view.name(ordinal), view.attr(ordinal), tags, from_folder, merge, numbers)


def _plain(state: Any) -> dict[str, Any]:
    return {slot: getattr(state, slot) for slot in state.__slots__ if slot != "guid"}


def reports(store: Store, kind: str = "R") -> list[tuple[str, Any]]:
    """What `lyts doctor` has to tell: reports (R) or lines set aside (Q)."""
    import msgspec

    with store.view() as view:
        return [(text, msgspec.msgpack.decode(raw)) for text, raw in view.things(kind)]


def dump(store: Store) -> dict[str, Any]:
    """All that an index answers, in words that do not depend on how it was built.

    Left out, because they tell of the way and not of the result: numbers of files, terms
    and segments, what changed when, the counts in the log, reports, and the `shared` marks
    (once set they stay).
    """
    import msgspec

    out: dict[str, Any] = {"files": {}, "postings": {}, "counts": {}, "byname": {}, "hashes": {}, "things": {}}
    with store.view() as view:
        nodes = sorted(text for text, _ in view.things("N"))
        guid_of: dict[int, str] = {}
        names: set[str] = set()
        for ordinal, state in _all_states(store, view):
            guid_of[ordinal] = state.guid
            face = face_of(state, store.node, nodes)
            attr = view.attr(ordinal)
            names.add(view.name(ordinal))
            out["files"][state.guid] = {
                "state": _plain(state),
                "face": face,
                "name": view.name(ordinal),
                "attr": (attr.ident, attr.size_bytes, attr.mode, attr.mtime_ns),
                "own tags": view.own_tags(ordinal),
                "tags": view.tags(ordinal),
                "from": view.from_folder(ordinal),
                "flags": view.row(ordinal).flags,  # type: ignore[union-attr]
                "found by guid": view.ordinal(state.guid) == ordinal,
            }
            if face.sha256:
                out["hashes"][face.sha256] = None
        for number in range(view.term_total()):
            term = view.term_text(number) if number else ALL_FILES
            members = sorted(guid_of[o] for o in view.posting(number))
            if members or view.count(number):
                out["postings"][term], out["counts"][term] = members, view.count(number)
        for name in names:
            holders = [(when, guid_of[o]) for when, o in view.holders(name.encode()) if view.name(o) == name]
            out["byname"][name] = sorted(holders)
        for sha256 in out["hashes"]:
            out["hashes"][sha256] = sorted(guid_of[o] for o in view.with_hash(bytes.fromhex(sha256)))
        for kind in "TNSL":
            out["things"][kind] = {text: Thing.unpacked(msgspec.msgpack.decode(raw)) for text, raw in view.things(kind)}
        out["matching"] = {tag: view.matching_tags(tag) for tag in sorted({*TAGS, *out["things"]["T"]})}
        out["aliases"], out["made tags"], out["node names"] = view.aliases(), view.made_tags(), view.node_names()
        out["shared"] = _names_without_mark(view, guid_of)
    return out


def _names_without_mark(view: View, guid_of: dict[int, str]) -> list[str]:
    """Files whose name another has too and that are not marked for it: must be none."""
    listed: dict[str, list[int]] = {}
    for ordinal in guid_of:
        if view.row(ordinal).flags & LISTED:  # type: ignore[union-attr]
            listed.setdefault(view.name(ordinal), []).append(ordinal)
    return [guid_of[o] for twins in listed.values() if len(twins) > 1 for o in twins if not view.attr(o).shared]


def contradictions(found: dict[str, Any]) -> list[str]:
    """What in a dump does not follow from the states in it."""
    out = [f"a twin without its mark: {guid}" for guid in found["shared"]]
    postings: dict[TermKey, list[str]] = {}
    byname: dict[str, list[tuple[int, str]]] = {}
    hashes: dict[str, list[str]] = {}
    for guid, file in sorted(found["files"].items()):
        face = file["face"]
        for term in terms_of(face):
            postings.setdefault(term, []).append(guid)
        if face.listed:
            byname.setdefault(face.name, []).append((face.born_when, guid))
        if face.sha256:
            hashes.setdefault(face.sha256, []).append(guid)
        seen = (file["name"], tuple(file["own tags"]), file["attr"][1:], file["from"])
        if seen != (face.name, face.tags, (face.size_bytes, face.mode, face.mtime_ns), face.from_folder):
            out.append(f"{guid} is shown as {seen}, its face is {face}")
        if not file["found by guid"]:
            out.append(f"{guid} is not found by its GUID")
    out += [f"posting of {term}: {a} instead of {b}" for term, a, b in _differing(found["postings"], postings)]
    out += [
        f"count of {term}: {a} instead of {b}"
        for term, a, b in _differing(found["counts"], {t: len(m) for t, m in postings.items()})
    ]
    out += [
        f"holders of {name!r}: {a} instead of {b}"
        for name, a, b in _differing(found["byname"], {n: sorted(h) for n, h in byname.items()})
    ]
    out += [f"hash {sha}: {a} instead of {b}" for sha, a, b in _differing(found["hashes"], hashes)]
    return out


def _differing(found: dict[Any, Any], wanted: dict[Any, Any]) -> list[tuple[Any, Any, Any]]:
    keys = [*found, *(key for key in wanted if key not in found)]
    return [
        (key, found.get(key), wanted.get(key)) for key in keys if (found.get(key) or None) != (wanted.get(key) or None)
    ]


def difference(one: Any, two: Any, where: str = "") -> list[str]:
    """Where two dumps differ, as short as it can be said."""
    if isinstance(one, dict) and isinstance(two, dict):
        return [
            line
            for key in [*one, *(key for key in two if key not in one)]
            for line in difference(one.get(key), two.get(key), f"{where}/{key}")
        ]
    return [] if one == two else [f"{where}: {one!r} != {two!r}"]


def assert_rebuild_changes_nothing(store: Store) -> dict[str, Any]:
    """What the index answers follows from its states, and is what the ledgers give anew."""
    before = dump(store)
    assert contradictions(before) == []
    store.rebuild("a test asks for it")
    after = dump(store)
    assert contradictions(after) == []
    assert difference(before, after) == []
    return after


def fill_disk(folder: str, leave_bytes: int = 0) -> str:
    """Fill the disk of a folder up to the last block, then give back `leave_bytes`; the file that fills it."""
    path = os.path.join(folder, "filler")
    with open(path, "wb", buffering=0) as file:
        piece = 1 << 20
        while piece:
            try:
                if file.write(b"x" * piece) < piece:
                    piece //= 2
            except OSError:
                piece //= 2
        if leave_bytes:
            file.truncate(max(0, file.tell() - leave_bytes))
    return path


def acts_until_full(store: Store, **options: Any) -> list[str]:
    """Add files, a few at a time, until the disk is full; the GUIDs of those that were acknowledged."""
    guids: list[str] = []
    while True:
        try:
            guids += add_files(
                store, *[f"file {len(guids) + k} of many.jpg" for k in range(200)], tags=["full"], **options
            )
        except DiskFull:
            return guids
