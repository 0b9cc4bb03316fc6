"""One attempt at an action: catch up, let facts be stated, append them, commit.

The order is the promise (index.md, Order and durability): facts are stamped only after
all that the ledgers have was applied; they are appended to the ledger before the index
commits; whatever fails after the append cuts the ledger back. The store's lock is held
throughout; `Store.act` decides what to do about errors.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

import lmdb

from tagfs.change import Change
from tagfs.errors import DiskFull
from tagfs.fact import Fact, parse_fact, time_text
from tagfs.glossary import NODE_THING
from tagfs.guid import Guid
from tagfs.home import OPEN, Folder, folders_for
from tagfs.index.apply import Applier
from tagfs.index.blocks import SegmentRead, unpack_segment
from tagfs.index.catchup import catch_up, new_segment_number, note_unvouched, put_segment
from tagfs.index.env import Index, is_full
from tagfs.index.positions import known_segments, newest_of, newest_read
from tagfs.index.read import View
from tagfs.index.schema import CLOCK_KEY, open_segment_key
from tagfs.layout import FORMAT
from tagfs.ledger import Appender, set_folder
from tagfs.seen import FILE_NAME as SEEN_FILE
from tagfs.seen import BehindOwnLedger, Seen, SeenIn, is_news, read_seen, seen_by_others, who_saw_more, write_seen
from tagfs.stamp import MAX_DRAG_MS, Clock, make_stamp, when_of

T = TypeVar("T")


class Place(NamedTuple):
    """Where and as whom the action is done."""

    ledgers: str
    own_folder: str
    node: Guid
    scratch: str
    boot_id: str
    wall_ms: int
    thorough: bool


def attempt(
    index: Index,
    place: Place,
    state_facts: Callable[[Change], T],
    action: str | None,
    undoes: str | None,
    later: Callable[[Iterable[str]], None] | None,
) -> T:
    """Do it. On `lmdb.Error`, `DiskFull`, `StoreError` and whatever `state_facts` raises, nothing was changed.

    Args:
        later: told what is still to be fsynced; None: it is done here.
    """
    appender = Appender(place.ledgers, place.own_folder)
    appenders = [appender]
    tx = index.env.begin(write=True)
    committed = False
    try:
        applier = Applier(index, tx, place.node)
        others = seen_by_others(place.ledgers, place.own_folder)
        newest_before = newest_of(known_segments(tx, index.db), place.node) if others else {}
        applier, caught = catch_up(
            applier,
            place.ledgers,
            place.own_folder,
            lambda: _node_guids(applier.view, place.node),
            wall_ms=place.wall_ms,
            thorough=place.thorough,
        )
        if caught.lines:
            applier.flush()  # so that the change's view sees what has just arrived
        behind = _behind_own_ledger(applier, place, others, newest_before)
        clock = Clock(place.node[:8], _newest_given(applier, appender, place.wall_ms))
        clock.observe(applier.newest_when, place.wall_ms)
        clock_before = make_stamp(clock.last, place.node[:8])
        change = Change(applier, clock, place.wall_ms, place.node, action, undoes, place.ledgers)
        result = state_facts(change)
        if behind is not None and change.has_stated():
            raise behind
        vouched = _by_folder(change, caught.to_vouch) if behind is None else {}
        if caught.lost:
            # An older copy of itself says nothing; once it has got back the rest, this node says them.
            note_unvouched(applier, caught.lost if behind is not None else ())
        for folder in vouched:
            change.name_set(folder)
        for folder in sorted({*vouched, *change.said}, key=sorted):
            if folder:
                name = set_folder(place.own_folder, change.label_of(folder))
                appenders.append(Appender(place.ledgers, name))
            # A segment is named by a stamp of ours, never by one we vouch for; each line may begin one.
            again = [(clock.tick(place.wall_ms), fact, line) for fact, line in vouched.get(folder, ())]
            stated = [
                (fact.at if fact.by == place.node and fact.at > clock_before else clock.tick(place.wall_ms), fact, line)
                for fact, line in change.said.get(folder, ())
            ]
            _append(applier, appenders[-1] if folder else appender, place, again, stated)
        applier.flush()
        tx.put(CLOCK_KEY, clock.last.to_bytes(8, "big"), db=index.db["meta"])
        learned = applier.numbers.learned
        news = _news(applier, place, caught.lines > 0)
        tx.commit()
        committed = True
        index.term_numbers.update(learned)
    except BaseException as exc:
        full = isinstance(exc, lmdb.Error) and is_full(exc, place.ledgers)  # asked before anything is cut back
        if not committed:
            tx.abort()
            for one in appenders:
                one.take_back()
        if full:
            raise DiskFull(place.ledgers) from exc
        raise
    for one in appenders:
        if later is None:
            one.sync()
        else:
            later(one.written())
    for folder_path, told in news.items():
        with suppress(OSError):  # a full disk, say: the facts are safe, and the next action tells it
            write_seen(folder_path, place.scratch, told)
    return result


def _behind_own_ledger(
    applier: Applier, place: Place, others: SeenIn, before: dict[str, str]
) -> BehindOwnLedger | None:
    """The refusal where this store is an older copy of itself: it may read, but not go on stamping (facts.md, Seen).

    `before`: how far the index had read before this catching-up. Own lines that are gone
    from the disk and that the index knows make no older copy; they are vouched for.
    """
    if not others:
        return None
    now = newest_of(known_segments(applier.tx, applier.db), place.node)
    newest = {label: max(before.get(label, ""), now.get(label, "")) for label in {*before, *now}}
    saw_more = who_saw_more(others, place.node, newest)
    if saw_more is None:
        return None
    names = applier.view.node_names()
    return BehindOwnLedger(names.get(place.node, place.node[:8]), names.get(saw_more, saw_more[:8]))


def _news(applier: Applier, place: Place, read_something: bool) -> dict[str, Seen]:
    """What the others should know about how far this node has read, by its ledger folder; only what is new."""
    if not read_something and os.path.exists(os.path.join(place.ledgers, place.own_folder, SEEN_FILE)):
        return {}
    news = {}
    for label, now in newest_read(known_segments(applier.tx, applier.db)).items():
        folder = os.path.join(place.ledgers, set_folder(place.own_folder, label) if label else place.own_folder)
        if (not label or os.path.isdir(folder)) and is_news(
            read_seen(os.path.join(folder, SEEN_FILE)), now, place.node[:8]
        ):
            news[folder] = Seen(place.node, FORMAT, time_text(place.wall_ms * 1_000_000), now)
    return news


def _by_folder(change: Change, to_vouch: list[tuple[str, bytes]]) -> dict[Folder, list[tuple[Fact, bytes]]]:
    """Lines to vouch for, by the folder in which they belong: who is kept from a file must not read them."""
    found: dict[Folder, list[tuple[Fact, bytes]]] = {}
    nodes = change.nodes() if to_vouch else []
    for _, line in to_vouch:
        fact = parse_fact(line.rstrip(b"\n"))
        state = change.state(fact.file) if fact.file is not None else None
        folders = folders_for(state, {}, change.node, nodes) if state is not None and state.knows else [OPEN]
        for folder in folders:
            found.setdefault(folder, []).append((fact, line))
    return found


Said = Sequence[tuple[str, Fact, bytes]]
"""(Stamp under which a segment may begin with it, fact, line)."""


def _append(applier: Applier, appender: Appender, place: Place, again: Said, stated: Said) -> None:
    """Append lines, those that are vouched for first, and note in the transaction where they stand."""
    tx, db = applier.tx, applier.db
    key = open_segment_key("" if appender.folder == place.own_folder else appender.folder)
    raw = tx.get(key, db=db["meta"])
    boot, _, name = raw.decode().partition(" ") if raw is not None else ("", "", "")
    known = tx.get(name.encode(), db=db["segment"]) if boot == place.boot_id and name else None
    going_on = unpack_segment(known) if known is not None else None
    said = [*again, *stated]
    lines = [(stamp, line) for stamp, _, line in said]
    done = 0
    for part in appender.append(lines, name if going_on else None, going_on.applied_bytes if going_on else 0):
        read = (
            going_on if going_on and part.name == name else SegmentRead(new_segment_number(applier), 0, 0, 0, 0, 0, 0)
        )
        found = os.stat(os.path.join(place.ledgers, part.name))
        read = SegmentRead(
            number=read.number,
            crc32=crc32(part.data, read.crc32),
            applied_bytes=part.first_byte + len(part.data),
            size_bytes=found.st_size,
            mtime_ns=found.st_mtime_ns,
            lines=read.lines + part.line_count,
            newest_when=read.newest_when,
        )
        tx.put(key, f"{place.boot_id} {part.name}".encode(), db=db["meta"])
        facts = [fact for _, fact, _ in said[done : done + part.line_count]]
        said_again = facts[: max(len(again) - done, 0)]
        for fact in said_again:
            applier.add(fact, read.number)
        applier.note_mentions(facts[len(said_again) :], read.number)
        limit = (place.wall_ms + MAX_DRAG_MS) << 16
        ours = [fact.at for fact in facts if fact.at[26:] == place.node[:8] and when_of(fact.at) <= limit]
        if ours:
            read = read._replace(newest_when=max(read.newest_when, when_of(max(ours))))
        put_segment(applier, part.name, read)
        done += part.line_count


def _newest_given(applier: Applier, appender: Appender, wall_ms: int) -> int:
    """The newest `when` this node is known to have given, so that no stamp and no segment name comes twice.

    Stamps more than a day ahead do not count: they followed a fact of a node whose clock
    was wrong, or ours was, and must not drag this node's clock along for good. They cannot
    come twice before the day they name is near, and then they count.
    """
    raw = applier.tx.get(CLOCK_KEY, db=applier.db["meta"])
    newest = appender.newest_name()
    given = (int.from_bytes(raw or b"", "big"), applier.newest_own_when, when_of(newest) if newest else 0)
    return max((when for when in given if (when >> 16) <= wall_ms + MAX_DRAG_MS), default=0)


def _node_guids(view: View, node: Guid) -> dict[str, str]:
    """The GUID of each known node by its first 8 digits."""
    known: dict[str, Any] = {}
    for _, raw in view.tx.cursor(view.db["node"]):  # whoever made or holds a file, told about as a node or not
        if len(raw) > 8:
            known[raw[:8].decode()] = raw.decode()
    known.update((guid[:8], guid) for guid, _ in view.things(NODE_THING))
    known[node[:8]] = node
    return known
