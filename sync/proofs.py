"""`proofs.jsonl`: who waits for bytes to be proven, and who has proven them.

    {"file":GUID,"waits":PLACEMENT}
    {"file":GUID,"sha256":HASH,"nodes":[GUID],"placement":PLACEMENT}

In the prover's own ledger folder, overwritten as a whole, and only for moves under way. It
holds no facts: nothing of it is kept in the index, and what a proof says is only ever
used by a node that stands under the same placement facts (`machine`). Those who wait
say so in theirs, so that a holder knows whom to answer, and read files only for that. A
line that does not parse is passed over. Pure, but for `read` and `write`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from sync.machine import Proof
from tagfs.guid import is_guid

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


def text_of(proofs: Iterable[tuple[str, Proof]], waits: Mapping[str, str]) -> bytes:
    """The file for (file GUID, proof) and file GUID -> placement, in a fixed order."""
    lines = [_Line(file, waits=digest) for file, digest in sorted(waits.items())]
    lines += [
        _Line(file, sha256=proof.sha256, nodes=sorted(proof.members), placement=proof.digest)
        for file, proof in sorted(proofs, key=lambda item: (item[0], item[1].sha256, item[1].digest))
    ]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def read(prover: str, folder: str) -> Said:
    """What a node says in a ledger folder of its own; nothing where the file is missing just now."""
    try:
        with open(os.path.join(folder, FILE_NAME), "rb") as file:
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
