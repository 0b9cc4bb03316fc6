"""`proofs.jsonl`: who waits for bytes to be proven, and who has proven them.

    {"file":GUID,"waits":PLACEMENT}
    {"file":GUID,"sha256":HASH,"nodes":[GUID],"placement":PLACEMENT}

In the prover's own ledger folders, overwritten as a whole, and only for moves under way. It
holds no facts: nothing of it is kept in the index, and what a proof says is only ever
used by a node that stands under the same placement facts (`machine`). Those who wait
say so in theirs, so that a holder knows whom to answer, and read files only for that. A
line that does not parse is passed over. Pure, but for `read` and `write`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from sync.machine import Proof
from tagfs.guid import is_guid
from tagfs.home import home_of
from tagfs.layout import open_plain
from tagfs.merge import FileState
from tagfs.nodeset import set_id

FILE_NAME = "proofs.jsonl"
MAX_BYTES = 64 << 20


class _Line(msgspec.Struct, omit_defaults=True):
    file: str
    waits: str | None = None
    sha256: str | None = None
    nodes: list[str] | None = None
    placement: str | None = None


_decoder = msgspec.json.Decoder(_Line)


class Said(NamedTuple):
    """What one node says: the proofs by file, and for which files it waits."""

    proofs: dict[str, set[Proof]]
    waits: dict[str, str]


def parse(prover: str, text: bytes) -> Said:
    """What stands in a node's `proofs.jsonl`."""
    said = Said({}, {})
    for raw in text.splitlines():
        try:
            line = _decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        if not is_guid(line.file):
            continue
        if line.waits is not None:
            said.waits[line.file] = line.waits
        if line.sha256 is not None and line.nodes is not None and line.placement is not None:
            proof = Proof(prover, line.sha256, frozenset(line.nodes), line.placement)
            said.proofs.setdefault(line.file, set()).add(proof)
    return said


def merged(one: Said, other: Said) -> Said:
    """What a node says in two of its ledgers. Pure."""
    found = {guid: set(proofs) for guid, proofs in one.proofs.items()}
    for guid, proofs in other.proofs.items():
        found[guid] = found.get(guid, set()) | proofs
    return Said(found, {**one.waits, **other.waits})


def text_of(proofs: Iterable[tuple[str, Proof]], waits: Mapping[str, str]) -> bytes:
    """The file for (file GUID, proof) and file GUID -> placement, in a fixed order."""
    lines = [_Line(file, waits=digest) for file, digest in sorted(waits.items())]
    lines += [
        _Line(file, sha256=proof.sha256, nodes=sorted(proof.members), placement=proof.digest)
        for file, proof in sorted(proofs, key=lambda item: (item[0], item[1].sha256, item[1].digest))
    ]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


class Home(NamedTuple):
    """Where what is proven of a file may be said.

    `nodes`: those that may know it, none for all; `set_id`: of their set. `told`: the hashes
    that everybody had been told of before the first was left out.
    """

    nodes: frozenset[str]
    set_id: str
    told: frozenset[str]


def home_for(state: FileState, nodes: Collection[str]) -> Home:
    """The home of a file. Pure.

    Args:
        nodes: all nodes of the library.
    """
    home = home_of(state, nodes)
    out = min((at for at, yes in state.knows.values() if not yes), default="~")
    told = frozenset(content.sha256 for at, content in state.contents.items() if at < out)
    return Home(home, set_id(home) if home else "", told)


def divided(
    proven: Mapping[str, Iterable[Proof]], homes: Mapping[str, Home], waiting: Mapping[str, Collection[str]]
) -> dict[str, list[tuple[str, Proof]]]:
    """Which proofs are said in which ledgers: by the id of their set, "" for the open ones. Pure.

    Of a file that somebody is kept from they are said among those who may know it. Who was
    left out and waits to let go of the bytes it has is answered in the open, about those bytes alone.

    Args:
        homes: of the files that somebody is kept from.
        waiting: by file, the nodes that wait for proofs of it.
    """
    found: dict[str, list[tuple[str, Proof]]] = {}
    for guid, proofs in proven.items():
        home = homes.get(guid)
        for proof in proofs:
            if home is None or not home.nodes:
                found.setdefault("", []).append((guid, proof))
                continue
            found.setdefault(home.set_id, []).append((guid, proof))
            if proof.sha256 in home.told and not home.nodes.issuperset(waiting.get(guid, ())):
                found.setdefault("", []).append((guid, proof))
    return found


def read(prover: str, folder: str) -> Said:
    """What a node says in a ledger folder of its own; nothing where the file is missing just now."""
    try:
        with open_plain(os.path.join(folder, FILE_NAME)) as file:
            return parse(prover, file.read(MAX_BYTES))
    except OSError:
        return Said({}, {})


def write(folder: str, scratch: str, text: bytes) -> bool:
    """Overwrite this node's file, whole or not at all. False where it says so already."""
    path = os.path.join(folder, FILE_NAME)
    try:
        with open(path, "rb") as file:
            if file.read() == text:
                return False
    except FileNotFoundError:
        if not text:
            return False
    draft = os.path.join(scratch, f"proofs-{os.getpid()}")
    fd = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(text)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(draft, path)
    return True
