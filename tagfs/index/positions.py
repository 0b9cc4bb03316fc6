"""How far each ledger segment has been read, and whether there is more.

On the start-up path of every command that only looks: nothing in here imports msgspec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tagfs.index.blocks import SegmentRead, unpack_segment
from tagfs.ledger import SUFFIX, SegmentFile, segments_below
from tagfs.stamp import is_stamp, make_stamp


def known_segments(tx: Any, db: dict[str, Any]) -> dict[str, SegmentRead]:
    """How far each segment has been read, by name."""
    return {key.decode("utf-8", "surrogateescape"): unpack_segment(value) for key, value in tx.cursor(db["segment"])}


def owner_of(name: str) -> str:
    """The first 8 digits of the node whose ledger a segment belongs to, "" where its name does not say."""
    stamp = name.rpartition("/")[2][: -len(SUFFIX)]
    return stamp[26:] if is_stamp(stamp) else ""


def newest_read(known: Mapping[str, SegmentRead]) -> dict[str, str]:
    """For each ledger, by the first 8 digits of its node, the newest stamp of that node read from it."""
    newest: dict[str, int] = {}
    for name, read in known.items():
        owner = owner_of(name)
        if owner and read.newest_when > newest.get(owner, 0):
            newest[owner] = read.newest_when
    return {owner: make_stamp(when, owner) for owner, when in newest.items()}


def differs(read: SegmentRead | None, file: SegmentFile) -> bool:
    """Whether a segment on disk is not as it was when it was last read."""
    if read is None:
        return file.size_bytes > 0
    return read.size_bytes != file.size_bytes or read.mtime_ns != file.mtime_ns


def is_behind(ledgers: str, known: dict[str, SegmentRead]) -> bool:
    """Whether the ledgers have what the index has not. Costs a stat for each segment."""
    return any(differs(known.get(file.name), file) for file in segments_below(ledgers))
