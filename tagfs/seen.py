"""`seen.json`: how far a node has read every ledger, in its own ledger folder, for the others.

    {"node": GUID, "format": 1, "here": "2026-11-22T10:10:56Z", "read": {"1a2b3c4d": "<stamp>"}}

`read` names, for each ledger by the first 8 digits of its node, the newest stamp of that
node that was read from it. Others learn from it who has read what (a purge waits for
that), and a node learns from it that its own ledger was once longer: a restored backup
or a copied store must not go on stamping, since what it stamps again would never reach
those who have read further.

The ledgers of a set arrive on their own, sooner or later than the open ones. So each of a
node's ledger folders has a `seen.json` of its own, about the ledgers of its kind alone: one that
has read a later line in the ledger of a set has not read the open one up to there.

Overwritten whole by its owner; a file that does not parse is ignored, since a newer one
will come.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import msgspec

from tagfs.errors import StoreError
from tagfs.layout import open_plain
from tagfs.ledger import folders_below, is_own, label_in
from tagfs.stamp import is_stamp

FILE_NAME = "seen.json"


class Seen(msgspec.Struct):
    """What one node has read."""

    node: str
    format: int
    here: str
    read: dict[str, str]


class BehindOwnLedger(StoreError):
    """Other devices have read more of this node's ledger than this store has."""

    def __init__(self, alias: str, other: str) -> None:
        self.alias = alias
        self.other = other
        super().__init__(
            f"this store is an older copy of {alias!r}: another device ({other}) has seen newer changes from it. "
            "Nothing was changed. If it came from a backup or is a copy, it must join as a new device; "
            "looking (lyts find) works all the same"
        )


_decoder = msgspec.json.Decoder(Seen)


def read_seen(path: str) -> Seen | None:
    """The contents of a `seen.json`, None where it is missing or malformed."""
    try:
        with open_plain(path) as file:
            seen = _decoder.decode(file.read(1 << 20))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return seen if all(is_stamp(at) for at in seen.read.values()) else None


def write_seen(folder: str, scratch: str, seen: Seen) -> None:
    """Overwrite the `seen.json` in a ledger folder, whole or not at all."""
    draft = os.path.join(scratch, f"seen-{os.getpid()}")
    fd = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, msgspec.json.format(msgspec.json.encode(seen), indent=1) + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(draft, os.path.join(folder, FILE_NAME))


SeenIn = dict[str, list[Seen]]
"""What nodes have read by the label of the set, "" for the open ledgers."""


def seen_by_others(ledgers: str, own_folder: str) -> SeenIn:
    """What the other nodes say they have read."""
    found: SeenIn = {}
    for folder in folders_below(ledgers):
        if not is_own(folder, own_folder):
            seen = read_seen(os.path.join(ledgers, folder, FILE_NAME))
            if seen is not None:
                found.setdefault(label_in(folder), []).append(seen)
    return found


def who_saw_more(others: Mapping[str, Iterable[Seen]], node: str, newest: Mapping[str, str]) -> str | None:
    """The node that has read a newer stamp of ours than we have, None where none has. Pure.

    Args:
        newest: our newest stamp in our ledgers, by label.
    """
    for label, all_of_them in others.items():
        for seen in all_of_them:
            if seen.node != node and seen.read.get(node[:8], "") > newest.get(label, ""):
                return seen.node
    return None


def is_news(before: Seen | None, now: Mapping[str, str], own8: str) -> bool:
    """Whether the others would learn something: not of every line of our own, which they can see. Pure."""
    if before is None:
        return True
    return any(before.read.get(node) != at for node, at in now.items() if node != own8)
