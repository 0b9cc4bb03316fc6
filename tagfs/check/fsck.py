"""`lyts fsck`: whether the ledgers, the index and the bytes agree.

Looks only; changes nothing. Three passes:

    ledgers   every line parses; what was set aside, torn or rolled back is named
    index     for every file, the join of its facts equals what the index keeps, and its
              row, name, attributes, terms, postings, counts and look-ups follow from it
    bytes     every file held here has its bytes, of the right size (`deep`: of the right
              SHA-256); no bytes without a face

Facts are joined for a portion of the GUIDs at a time, so that memory stays bounded on a
large store; the ledgers are read once for each portion.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from pyroaring import BitMap

from tagfs.bytes import hash_file
from tagfs.check.finding import Finding
from tagfs.errors import PeerDataError
from tagfs.face import Face, face_of, terms_of
from tagfs.fact import parse_fact
from tagfs.guid import guid_of_bytes, short
from tagfs.index.apply import Applier
from tagfs.index.blocks import IN_TRASH, LISTED
from tagfs.index.catchup import QUARANTINE, REPORT
from tagfs.index.read import View
from tagfs.layout import ARRIVING
from tagfs.ledger import segments_below, whole_lines
from tagfs.merge import FileState
from tagfs.place import Places, places
from tagfs.store import Store
from tagfs.term import ALL_FILES, ALL_TERM

PORTION_FILES = 100_000

Progress = Callable[[str, int, int], None]
_REBUILD = "build the index again: lyts reindex"


def fsck(store: Store, deep: bool = False, progress: Progress | None = None) -> list[Finding]:
    """All that does not agree; empty where everything does.

    Args:
        deep: read all bytes and compare their SHA-256.
        progress: called with what is looked at, how much is done, and how much there is.
    """
    found: list[Finding] = []
    with store.view() as view:
        found += _ledgers(store, view)
        held: list[_Held] = []
        others: set[str] = set()
        index = store.open_index()
        total = view.ordinal_total()
        portions = max(1, -(-total // PORTION_FILES))
        expected: dict[tuple[int, str, str | None], list[int]] = {}
        for portion in range(portions):
            # A fresh Applier a portion: it remembers every state it gave.
            applier = Applier(index, view.tx, store.node)
            found += _files(store, view, applier, portion, portions, expected, held, others)
            if progress is not None:
                progress("facts", portion + 1, portions)
        found += _postings(view, expected)
        where = places(store.layout, view, store.node)
    found += _bytes(store, where, held, others, deep, progress)
    return found


class _Held(NamedTuple):
    """A file that this node holds. `elsewhere`: other nodes have its bytes, as facts have it.

    `standing`: size by SHA-256 of what may be in place: more than one where two nodes changed
    the file without knowing of each other, and their bytes have not met yet.
    """

    guid: str
    face: Face
    elsewhere: bool
    standing: dict[str, int]


def _ledgers(store: Store, view: View) -> Iterator[Finding]:
    from msgspec.msgpack import decode

    for _, raw in view.things(QUARANTINE):
        name, start, length, why, _ = decode(raw)
        yield Finding(
            "line-set-aside",
            f"{name} at byte {start}",
            f"a line of {length} bytes is {why}",
            "everything else was read; if the line matters, mend it in the file, which is then read again",
        )
    for name, raw in view.things(REPORT):
        what, _, vouched = decode(raw)
        yield Finding(
            "ledger-" + what.replace(" ", "-"),
            name,
            f"the ledger file was {what}; {vouched} facts it lost were kept",
            "nothing is missing; look at the disk it is on. To forget this message: lyts reindex",
        )
    for file in segments_below(store.layout.ledgers):
        path = os.path.join(store.layout.ledgers, file.name)
        try:
            with open(path, "rb") as segment:
                segment.seek(max(0, file.size_bytes - 1))
                torn = file.size_bytes > 0 and segment.read(1) != b"\n"
        except OSError as exc:
            yield Finding(
                "ledger-unreadable", file.name, f"cannot be read ({exc.strerror})", "look at the disk it is on"
            )
            continue
        if torn:
            yield Finding(
                "ledger-torn",
                file.name,
                "the last line is unfinished",
                "it was never acknowledged, so nothing is missing; the next start begins a new file",
            )


def _portion_of(guid: str, portions: int) -> int:
    return int(guid[:8], 16) % portions


def _files(
    store: Store,
    view: View,
    applier: Applier,
    portion: int,
    portions: int,
    expected: dict[tuple[int, str, str | None], list[int]],
    held: list[_Held],
    others: set[str],
) -> Iterator[Finding]:
    states = _join_all(store.layout.ledgers, portion, portions)
    nodes, gone = applier.nodes(), view.nodes_that_left()
    seen = set()
    for ordinal, row in view.rows(range(view.ordinal_total())):
        guid: str = guid_of_bytes(row.guid)
        if _portion_of(guid, portions) != portion:
            continue
        seen.add(guid)
        kept = applier.entry_at(ordinal).state
        truth = states.get(guid)
        if truth is None:
            yield Finding("index-extra", short(guid), "the index knows a file that no ledger speaks of", _REBUILD)
            continue
        if kept != truth:
            yield Finding(
                "index-differs", short(guid), "the index and the ledgers say different things of this file", _REBUILD
            )
        face = face_of(truth, store.node, nodes)
        for what in _blocks_differ(view, ordinal, guid, face):
            yield Finding("index-blocks", short(guid), what, _REBUILD)
        for term in terms_of(face):
            expected.setdefault(term, []).append(ordinal)
        if face.listed and store.node in face.holds:
            standing = {content.sha256: content.size_bytes for _, content in truth.content_heads()}
            held.append(_Held(guid, face, _is_elsewhere(truth, store.node, gone), standing))
        elif truth.made is not None and not truth.is_purged():
            others.add(face.data)
    for guid in states.keys() - seen:
        yield Finding("index-missing", short(guid), "a ledger speaks of a file that the index does not know", _REBUILD)


def _is_elsewhere(state: FileState, node: str, gone: Collection[str]) -> bool:
    """Whether others hold a file as well, or are to give it to this node. `gone`: those that were forgotten do not."""
    mine = state.holds.get(node, ("", True))[0]
    others = ((at, yes) for other, (at, yes) in state.holds.items() if other != node and other not in gone)
    return any(yes or at == mine for at, yes in others)


def _join_all(ledgers: str, portion: int, portions: int) -> dict[str, FileState]:
    states: dict[str, FileState] = {}
    for file in segments_below(ledgers):
        for piece in whole_lines(os.path.join(ledgers, file.name), 0):
            for line in piece.split(b"\n"):
                if not line:
                    continue
                try:
                    fact = parse_fact(line)
                except PeerDataError:
                    continue
                if fact.file is not None and _portion_of(fact.file, portions) == portion:
                    state = states.get(fact.file)
                    if state is None:
                        state = states[fact.file] = FileState(fact.file)
                    state.add(fact)
    return states


def _blocks_differ(view: View, ordinal: int, guid: str, face: Face) -> Iterator[str]:
    row, attr = view.row(ordinal), view.attr(ordinal)
    assert row is not None
    name = face.name.encode("utf-8", "surrogatepass")
    if view.name(ordinal) != face.name:
        yield f"its name is kept as {view.name(ordinal)!r}, not {face.name!r}"
    if (attr.size_bytes, attr.mode, attr.mtime_ns) != (face.size_bytes, face.mode, face.mtime_ns):
        yield "its size, mode or time are not those of its face"
    if (row.flags & LISTED != 0, row.flags & IN_TRASH != 0) != (face.listed, face.trashed):
        yield "it is marked as listed or trashed wrongly"
    if row.sha256.hex() != (face.sha256 or "0" * 64) or row.born_when != face.born_when:
        yield "its content or birth is kept wrongly"
    if sorted(view.own_tags(ordinal)) != sorted(face.tags) or view.from_folder(ordinal) != face.from_folder:
        yield "its tags are kept wrongly"
    if view.ordinal(guid) != ordinal:
        yield "it is not found by its id"
    if face.sha256 and not view.has_hash(bytes.fromhex(face.sha256), ordinal):
        yield "it is not found by its content"
    held = view.has_holder(name, face.born_when, ordinal)
    if held != face.listed:
        yield "it is not found by its name" if face.listed else "it is found by a name it no longer has"


def _postings(view: View, expected: dict[tuple[int, str, str | None], list[int]]) -> Iterator[Finding]:
    numbers = set()
    for term, ordinals in expected.items():
        number = ALL_TERM if term == ALL_FILES else view.term(*term)
        where = term[1] if term[2] is None else f"{term[1]}={term[2]}"
        if number is None:
            yield Finding("index-term", where, "files have this tag, but the index does not know it", _REBUILD)
            continue
        numbers.add(number)
        members = view.posting(number)
        if members != BitMap(ordinals):
            yield Finding(
                "index-posting",
                where,
                f"the index finds {len(members)} files with it, {len(ordinals)} have it",
                _REBUILD,
            )
        if view.count(number) != len(ordinals):
            yield Finding(
                "index-count",
                where,
                f"the index counts {view.count(number)} files with it, {len(ordinals)} have it",
                _REBUILD,
            )
    for number in range(view.term_total()):
        if number not in numbers and (view.posting(number) or view.count(number)):
            yield Finding("index-posting", f"term {number}", "the index finds files with a tag that none has", _REBUILD)


def _bytes(
    store: Store, where: Places, held: list[_Held], others: set[str], deep: bool, progress: Progress | None
) -> Iterator[Finding]:
    """`others`: the data of files that other nodes hold; what is left of it here goes once that is proven."""
    layout = store.layout
    known = others.union(one.face.data for one in held)
    total = sum(one.face.size_bytes for one in held) if deep else len(held)
    done = 0
    for guid, face, elsewhere, standing in held:
        label = f"{short(guid)} {face.name}"
        path = where.find(face.data, face.holds)
        if path is None and elsewhere:
            yield Finding(
                "bytes-awaited",
                label,
                "its bytes are not on this disk, or not yet",
                "they come from another device while lyts sync is up; lyts where tells which to connect",
            )
            continue
        if path is None:
            yield Finding(
                "bytes-missing",
                label,
                "its bytes are not on this disk",
                "look for them in a backup: lyts add takes them in again",
            )
            continue
        found = os.lstat(path)
        if found.st_size not in {face.size_bytes, *standing.values()}:
            yield Finding(
                "bytes-changed",
                label,
                f"{path} has {found.st_size} bytes, not {face.size_bytes}",
                "restore it from a backup",
            )
        elif deep:
            try:
                if hash_file(path) not in {face.sha256, *standing}:
                    yield Finding(
                        "bytes-changed", label, f"{path} does not have the content it had", "restore it from a backup"
                    )
            except OSError as exc:
                yield Finding(
                    "bytes-unreadable", label, f"{path} cannot be read ({exc.strerror})", "look at the disk it is on"
                )
        done += face.size_bytes if deep else 1
        if progress is not None:
            progress("bytes", done, total)
    for path, data in _data_files(layout.sets):
        if data not in known:
            yield Finding(
                "bytes-without-face",
                path,
                "bytes that no file of the library stands for",
                "to take them in, move them out first: "
                f"mv -i {shlex.quote(path)} ~/ && lyts add --move ~/{shlex.quote(os.path.basename(path))}",
            )


def _data_files(sets: str) -> Iterator[tuple[str, str]]:
    """(path, path below data/) of all data files of all sets, without what Syncthing is still receiving."""
    for label in sorted(os.listdir(sets)) if os.path.isdir(sets) else ():
        data = os.path.join(sets, label, "data")
        for gg in sorted(os.listdir(data)) if os.path.isdir(data) else ():
            folder = os.path.join(data, gg)
            if os.path.isdir(folder):
                for name in sorted(os.listdir(folder)):
                    if not name.startswith(ARRIVING):
                        yield os.path.join(folder, name), f"{gg}/{name}"
            elif not gg.startswith(ARRIVING):
                yield folder, gg
