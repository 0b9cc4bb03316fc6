"""Reads what the ledgers have and the index has not.

For every segment the index keeps how much of it has been applied, with its checksum, in
the same transaction as the facts. A segment that only grew is read on; one that shrank
or changed is read again from its start, reported, and what it no longer says but did
say is vouched for in this node's own ledger (facts.md, Ledger). A line that does not
parse is set aside, named by `lyts doctor`, and stops nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from zlib import crc32

from pyroaring import BitMap

from tagfs.errors import PeerDataError
from tagfs.fact import Fact, encode_fact, parse_fact
from tagfs.glossary import Thing, subject_of, thing_facts
from tagfs.index.apply import Applier
from tagfs.index.blocks import SegmentRead, pack_segment, unpack_segment
from tagfs.index.positions import look, owner_of, segment_key
from tagfs.index.schema import FOLDER_KEY, OPEN_SEGMENT_KEY, POST_KEY, U32, U64, UNVOUCHED_KEY
from tagfs.ledger import LONGEST_READ_BYTES, is_own, prefix_crc, whole_lines
from tagfs.merge import FileState, deciding_facts
from tagfs.stamp import MAX_DRAG_MS, when_of

QUARANTINE = "Q"
REPORT = "R"
FLUSH_FILES = 20_000
EXCERPT_BYTES = 200


class CaughtUp(NamedTuple):
    """What a catching-up did. `to_vouch` are lines (stamp, line) for this node's own ledger.

    `lost` are the numbers of the segments from which they were; who cannot write them now notes those
    (`note_unvouched`), and they are looked through again once more of the own ledger was read.
    """

    lines: int
    set_aside: int
    rolled_back: list[str]
    to_vouch: list[tuple[str, bytes]]
    lost: list[int]


def put_segment(applier: Applier, name: str, read: SegmentRead) -> None:
    """Keep how far a segment has been read."""
    applier.tx.put(segment_key(name), pack_segment(read), db=applier.db["segment"])


def new_segment_number(applier: Applier) -> int:
    """A number for a segment met for the first time."""
    raw = applier.tx.get(b"next_segment", db=applier.db["meta"])
    number: int = U64.unpack(raw)[0] if raw is not None else 0
    applier.tx.put(b"next_segment", U64.pack(number + 1), db=applier.db["meta"])
    return number


def catch_up(
    applier: Applier,
    ledgers: str,
    own_folder: str,
    node_guid: Callable[[], dict[str, str]],
    *,
    wall_ms: int,
    thorough: bool = True,
    after_flush: Callable[[Applier], Applier] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Applier, CaughtUp]:
    """Apply what the ledgers have and the index has not.

    Args:
        own_folder: this node's ledger folder; a segment missing from it is an accident,
            one missing elsewhere just comes later.
        node_guid: gives the GUID of each node by its first 8 digits, asked only when vouching.
        thorough: look at every segment, not just where something is likely to have changed.
        after_flush: in a rebuild, commits and gives the Applier of the next transaction.
        progress: called with bytes read and bytes in all.
    """
    looked = look(applier.tx, applier.db, ledgers, own_folder, thorough=thorough, wall_ms=wall_ms)
    changed = looked.changed
    # A stamp of a wrong clock says nothing about how far a ledger was read.
    limit = (wall_ms + MAX_DRAG_MS) << 16
    total = sum(f.size_bytes for f in changed)
    done = lines = set_aside = 0
    rolled_back: list[str] = []
    lost_mentions: list[int] = []
    for name, read in looked.missing:
        if is_own(name.partition("/")[0], own_folder) and read.lines:
            rolled_back.append(name)
            lost_mentions.append(read.number)
            applier.tx.delete(segment_key(name), db=applier.db["segment"])
    for file in changed:
        path = os.path.join(ledgers, file.name)
        raw = applier.tx.get(segment_key(file.name), db=applier.db["segment"])
        read = unpack_segment(raw) if raw is not None else SegmentRead(new_segment_number(applier), 0, 0, 0, 0, 0, 0)
        if file.size_bytes < read.applied_bytes or not _begins_as_read(path, read):
            rolled_back.append(file.name)
            lost_mentions.append(read.number)
            read = read._replace(crc32=0, applied_bytes=0, lines=0)
            _forget_quarantine(applier, file.name)
        at, crc, count, newest = read.applied_bytes, read.crc32, read.lines, read.newest_when
        owner = owner_of(file.name)
        try:
            for piece in whole_lines(path, at):
                start = at
                for line in piece.split(b"\n"):
                    if line:
                        count += 1
                        lines += 1
                        try:
                            fact = parse_fact(line)
                            applier.add(fact, read.number)
                            if fact.at[26:] == owner and (when := when_of(fact.at)) > newest and when <= limit:
                                newest = when
                        except PeerDataError as exc:
                            set_aside += 1
                            _set_aside(applier, file.name, start, line, str(exc))
                    start += len(line) + 1
                at += len(piece)
                crc = crc32(piece, crc)
                done += len(piece)
                if applier.waiting() >= FLUSH_FILES:
                    if after_flush is not None:
                        # The position goes with the facts, so that a rebuild cut short can tell.
                        put_segment(applier, file.name, SegmentRead(read.number, crc, at, 0, 0, count, newest))
                        applier = after_flush(applier)
                    else:
                        applier.flush()
                if progress is not None:
                    progress(done, total)
        except OSError as exc:
            # A bad disk or wrong rights: the others are read, and this one as soon as it can be.
            applier.put_thing(REPORT, file.name, [f"not readable ({exc.strerror})", wall_ms, 0])
            continue
        if file.size_bytes - at > LONGEST_READ_BYTES:
            applier.put_thing(REPORT, file.name, ["not read beyond a line that is longer than any may be", wall_ms, 0])
        put_segment(
            applier, file.name, SegmentRead(read.number, crc, at, file.size_bytes, file.mtime_ns, count, newest)
        )
    for folder, remembered in looked.folders.items():
        applier.tx.put(FOLDER_KEY + segment_key(folder), remembered, db=applier.db["meta"])
    to_vouch: list[tuple[str, bytes]] = []
    owed = _unvouched(applier)
    if rolled_back:
        # Other nodes may hold more of the segment we were writing: what comes now gets a new name.
        _begin_new_segments(applier)
    if rolled_back or (owed and any(is_own(file.name.partition("/")[0], own_folder) for file in changed)):
        lost_mentions = sorted({*owed, *lost_mentions})
        applier.flush()
        to_vouch, let_go = _lines_to_vouch(applier, ledgers, lost_mentions, node_guid())
        if to_vouch or not let_go:
            for name in rolled_back:
                applier.put_thing(REPORT, name, ["rolled back", wall_ms, len(to_vouch)])
    return applier, CaughtUp(lines, set_aside, rolled_back, to_vouch, lost_mentions)


def _unvouched(applier: Applier) -> list[int]:
    raw = applier.tx.get(UNVOUCHED_KEY, db=applier.db["meta"]) or b""
    return [number for (number,) in U32.iter_unpack(raw)]


def note_unvouched(applier: Applier, lost: Iterable[int]) -> None:
    """Note segments whose lost lines this node still owes its own ledger; none: it has said all of them."""
    raw = b"".join(U32.pack(number) for number in sorted(set(lost)))
    if raw:
        applier.tx.put(UNVOUCHED_KEY, raw, db=applier.db["meta"])
    else:
        applier.tx.delete(UNVOUCHED_KEY, db=applier.db["meta"])


def _begin_new_segments(applier: Applier) -> None:
    cursor = applier.tx.cursor(applier.db["meta"])
    found = cursor.set_range(OPEN_SEGMENT_KEY)
    while found and cursor.key().startswith(OPEN_SEGMENT_KEY):
        found = cursor.delete()


def _begins_as_read(path: str, read: SegmentRead) -> bool:
    """Whether a segment still begins with what was read of it. An unreadable one is taken to."""
    try:
        return not read.applied_bytes or prefix_crc(path, read.applied_bytes) == read.crc32
    except OSError:
        return True


def _set_aside(applier: Applier, name: str, start: int, line: bytes, why: str) -> None:
    excerpt = line[:EXCERPT_BYTES].decode("utf-8", "replace")
    shown = segment_key(name).decode("utf-8", "replace")
    applier.put_thing(QUARANTINE, f"{name}:{start:012d}", [shown, start, len(line), why[:500], excerpt])


def _forget_quarantine(applier: Applier, name: str) -> None:
    prefix = (QUARANTINE + name + ":").encode("utf-8", "surrogateescape")
    cursor = applier.tx.cursor(applier.db["thing"])
    found = cursor.set_range(prefix)
    while found and cursor.key().startswith(prefix):
        found = cursor.delete()


def _lines_to_vouch(
    applier: Applier, ledgers: str, lost: list[int], node_guid: dict[str, str]
) -> tuple[list[tuple[str, bytes]], int]:
    """The facts that the index knows from segments as they were, and that no ledger says any more.

    Of a file that was ended for good only the purges count; its other lines were dropped
    on purpose (`compact`). Returns the lines, and how many ended files were let go so.
    """
    tx, db = applier.tx, applier.db
    ordinals = BitMap()
    for number in lost:
        ordinals |= _mentioned(applier, number)
    entries = {applier.entry_at(o).state.guid: applier.entry_at(o) for o in ordinals}
    found: dict[str, FileState] = {guid: FileState(guid) for guid in entries}
    things: dict[tuple[str, str], Thing] = {}
    for key, value in tx.cursor(db["segment"]):
        name, number = key.decode("utf-8", "surrogateescape"), unpack_segment(value).number
        of_interest = bool(_mentioned(applier, number) & ordinals)
        for piece in whole_lines(os.path.join(ledgers, name), 0):
            for line in piece.split(b"\n"):
                # Lines about other files are most of a ledger; they need no parsing.
                about_file = b'"file":"' in line
                if not line or (about_file and not of_interest):
                    continue
                try:
                    fact = parse_fact(line)
                except PeerDataError:
                    continue
                if fact.file is not None:
                    if fact.file in found:
                        found[fact.file].add(fact)
                else:
                    subject = subject_of(fact)
                    if subject is not None:
                        things.setdefault(subject, Thing()).add(fact)
    missing: list[Fact] = []
    let_go = 0
    for guid, entry in entries.items():
        if found[guid] == entry.state:
            continue
        deciding = deciding_facts(entry.state, node_guid)
        if entry.state.is_purged():
            deciding = [fact for fact in deciding if fact.purge is not None]
        missing.extend(_missing_facts(found[guid], deciding))
        if entry.state.is_purged():
            let_go += 1
            applier.replace(entry, found[guid])
    for kind in "TNSL":
        for text in [text for text, _ in applier.view.things(kind)]:
            have = things.get((kind, text), Thing())
            for fact in thing_facts(kind, text, applier.thing(kind, text), node_guid):
                before = have.copy()
                have.add(fact)
                if have != before:
                    missing.append(fact)
    return [(fact.at, encode_fact(fact)) for fact in sorted(missing, key=lambda f: f.at)], let_go


def _missing_facts(have: FileState, facts: list[Fact]) -> list[Fact]:
    out = []
    for fact in facts:
        before = have.copy()
        have.add(fact)
        if have != before:
            out.append(fact)
    return out


def _mentioned(applier: Applier, segment: int) -> BitMap:
    out = BitMap()
    prefix = U32.pack(segment)
    cursor = applier.tx.cursor(applier.db["mention"])
    found = cursor.set_range(prefix)
    while found and cursor.key().startswith(prefix):
        out |= BitMap.deserialize(cursor.value())
        found = cursor.next()
    return out


def segments_mentioning(view_tx: Any, db: dict[str, Any], ordinals: BitMap) -> list[str]:
    """The names of all segments that speak of any of these files, in the order they were met."""
    highs = sorted({ordinal >> 16 for ordinal in ordinals})
    out = []
    for key, value in view_tx.cursor(db["segment"]):
        number = unpack_segment(value).number
        for high in highs:
            raw = view_tx.get(POST_KEY.pack(number, high), db=db["mention"])
            if raw is not None and BitMap.deserialize(raw).intersect(ordinals):
                out.append((number, key.decode("utf-8", "surrogateescape")))
                break
    return [name for _, name in sorted(out)]
