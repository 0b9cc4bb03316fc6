"""How far each ledger segment has been read, and whether there is more.

Before every look at the index someone asks whether the ledgers have grown; with hundreds
of segments a stat of each is dear. So it is remembered for each folder when it last
changed (names that came, went or were replaced change a folder's time) and which segment
is the newest, the only one that is appended to: two stats a folder. A look is *thorough*
once a process, when it first writes; that also finds a sealed segment edited in place.

On the start-up path of every command that only looks: nothing in here imports msgspec.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from tagfs.index.blocks import SegmentRead, unpack_segment
from tagfs.index.schema import FOLDER_KEY, U64
from tagfs.ledger import SUFFIX, SegmentFile, folders_below, is_own, label_in, segments_below, segments_in, set_folder
from tagfs.stamp import is_stamp, make_stamp

SETTLED_MS = 2000
"""A folder changed less than this ago may change again within the same tick of its clock."""


class Looked(NamedTuple):
    """What a look at the ledgers found: segments to read, known ones that are gone, folders to remember."""

    changed: list[SegmentFile]
    missing: list[tuple[str, SegmentRead]]
    folders: dict[str, bytes]


def segment_key(name: str) -> bytes:
    """The key of a segment in `segment`."""
    return name.encode("utf-8", "surrogateescape")


def known_segments(tx: Any, db: dict[str, Any], folder: str = "") -> dict[str, SegmentRead]:
    """How far each segment (of one folder, or of all) has been read, by name."""
    prefix = segment_key(folder + "/") if folder else b""
    cursor = tx.cursor(db["segment"])
    out = {}
    found = cursor.set_range(prefix)
    while found and cursor.key().startswith(prefix):
        out[cursor.key().decode("utf-8", "surrogateescape")] = unpack_segment(cursor.value())
        found = cursor.next()
    return out


def owner_of(name: str) -> str:
    """The first 8 digits of the node whose ledger a segment belongs to, "" where its name does not say."""
    stamp = name.rpartition("/")[2][: -len(SUFFIX)]
    return stamp[26:] if is_stamp(stamp) else ""


def newest_read(known: Mapping[str, SegmentRead]) -> dict[str, dict[str, str]]:
    """For each ledger the newest stamp of its node read from it.

    Returns:
        By the label of the set ("" for the open ledgers), then by the first 8 digits of the node.
    """
    newest: dict[str, dict[str, int]] = {}
    for name, read in known.items():
        owner = owner_of(name)
        found = newest.setdefault(label_in(name.partition("/")[0]), {})
        if owner and read.newest_when > found.get(owner, 0):
            found[owner] = read.newest_when
    return {label: {owner: make_stamp(when, owner) for owner, when in found.items()} for label, found in newest.items()}


def newest_of(known: Mapping[str, SegmentRead], node: str) -> dict[str, str]:
    """A node's newest stamp in its ledgers, by label; nothing for labels where it has none."""
    return {label: found[node[:8]] for label, found in newest_read(known).items() if node[:8] in found}


def differs(read: SegmentRead | None, file: SegmentFile) -> bool:
    """Whether a segment on disk is not as it was when it was last read."""
    if read is None:
        return file.size_bytes > 0
    return read.size_bytes != file.size_bytes or read.mtime_ns != file.mtime_ns


def differs_in_size(tx: Any, db: dict[str, Any], ledgers: str) -> bool:
    """The same for all segments by size alone: a store copied to a read-only medium has other times."""
    known = known_segments(tx, db)
    files = {file.name: file.size_bytes for file in segments_below(ledgers) if file.size_bytes}
    return files != {name: read.size_bytes for name, read in known.items() if read.size_bytes}


def look(tx: Any, db: dict[str, Any], ledgers: str, own_folder: str, *, thorough: bool, wall_ms: int) -> Looked:
    """What the ledgers have and the index has not. Our own folder is looked for even where it is gone."""
    looked = Looked([], [], {})
    for folder in sorted({*folders_below(ledgers), own_folder, *_own_set_folders(tx, db, own_folder)}):
        path = os.path.join(ledgers, folder)
        try:
            mtime_ns = os.stat(path).st_mtime_ns
        except OSError:
            if not is_own(folder, own_folder):
                continue
            mtime_ns = 0
        if not thorough and _unchanged(tx, db, ledgers, folder, mtime_ns):
            continue
        files = segments_in(ledgers, folder)
        known = known_segments(tx, db, folder)
        looked.changed.extend(file for file in files if differs(known.get(file.name), file))
        present = {file.name for file in files}
        looked.missing.extend((name, read) for name, read in known.items() if name not in present)
        if files and mtime_ns // 1_000_000 + SETTLED_MS < wall_ms:
            looked.folders[folder] = U64.pack(mtime_ns) + segment_key(files[-1].name)
    return looked


def _own_set_folders(tx: Any, db: dict[str, Any], own_folder: str) -> set[str]:
    """Our ledger folders for sets that the index knows: looked for even where one is gone."""
    prefix = segment_key(set_folder(own_folder, ""))
    cursor = tx.cursor(db["segment"])
    found = set()
    more = cursor.set_range(prefix)
    while more and cursor.key().startswith(prefix):
        folder = cursor.key().partition(b"/")[0]
        found.add(folder.decode("utf-8", "surrogateescape"))
        more = cursor.set_range(folder + b"0")  # the character after "/"
    return found


def is_behind(tx: Any, db: dict[str, Any], ledgers: str, own_folder: str, *, but_for_own: bool = False) -> bool:
    """Whether the ledgers have what the index has not, or our own lost what it has, as far as a quick look tells.

    Args:
        but_for_own: what was added to our own is none of it; somebody else sees to that.
    """
    looked = look(tx, db, ledgers, own_folder, thorough=False, wall_ms=0)
    return any(not but_for_own or not _is_ours(file.name, own_folder) for file in looked.changed) or any(
        read.lines and _is_ours(name, own_folder) for name, read in looked.missing
    )


def _is_ours(name: str, own_folder: str) -> bool:
    return is_own(name.partition("/")[0], own_folder)


def _unchanged(tx: Any, db: dict[str, Any], ledgers: str, folder: str, mtime_ns: int) -> bool:
    """Whether a folder is as remembered, and so is its newest segment."""
    remembered = tx.get(FOLDER_KEY + segment_key(folder), db=db["meta"])
    if remembered is None or U64.unpack_from(remembered)[0] != mtime_ns:
        return False
    name = remembered[8:]
    raw = tx.get(name, db=db["segment"])
    try:
        found = os.stat(os.path.join(os.fsencode(ledgers), name))
    except OSError:
        return False
    return raw is not None and not differs(
        unpack_segment(raw), SegmentFile(name.decode("utf-8", "surrogateescape"), found.st_size, found.st_mtime_ns)
    )
