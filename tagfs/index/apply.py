"""Joins facts into the index, in one write transaction.

`Applier` keeps the state of every file it meets in memory, joins facts to it, and writes
all that changed at `flush`: whole blocks and posting chunks once each, however many
files of them changed. What a file's blocks, terms and merge record are is decided by
`face`, `codec` and `blocks`; here is only the bookkeeping between them.

Rules: one Applier a transaction; nothing it learned is used after an abort; facts come
checked. Memory grows with the files touched until `flush`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from pyroaring import BitMap

from tagfs.face import DEFAULT_MODE, Face, birth_terms, face_of, terms_beside_tags
from tagfs.fact import Fact, parse_time_ns
from tagfs.glossary import NODE_THING, TAG_THING, Thing, compile_tags, subject_of
from tagfs.guid import bytes_of_guid
from tagfs.index import blocks
from tagfs.index.blocks import ATTRS, FWD, IN_TRASH, LISTED, NAMES, PLAIN, ROW, ROWS, Row, pack_attr
from tagfs.index.codec import is_plain_birth, pack_merge, unpack_state
from tagfs.index.env import Index
from tagfs.index.gather import Gathered, grow, note_changes
from tagfs.index.history import join_action
from tagfs.index.numbers import Numbers
from tagfs.index.schema import ACTION_KEY, U32, U64
from tagfs.merge import FileState
from tagfs.stamp import when_of
from tagfs.term import FROM, TAG

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode

NO_ORDINAL = -1


class Entry:
    """One file while it is being changed: its state, and what the index has of it so far.

    Of a file that was just born only the fact is kept until someone asks for the state:
    most births are all there is to a file for now, and its rows follow from the fact.
    """

    __slots__ = (
        "guid",
        "ordinal",
        "is_new",
        "birth",
        "_state",
        "old_name",
        "old_row",
        "shared",
        "touched",
        "old_face",
    )

    def __init__(self, guid: str, ordinal: int, state: FileState | None) -> None:
        """`state`: None for a file the index does not have; its ordinal is `NO_ORDINAL` until there is a fact."""
        self.guid = guid
        self.ordinal = ordinal
        self.is_new = state is None
        self.birth: Fact | None = None
        self._state = state
        self.old_face: Face | None = None
        self.old_name = b""
        self.old_row: Row | None = None
        self.shared = False
        self.touched = False

    @property
    def state(self) -> FileState:
        """What is known of the file."""
        state = self._state
        if state is None:
            state = self._state = FileState(self.guid)
            if self.birth is not None:
                state.add(self.birth)
                self.birth = None
        return state

    @state.setter
    def state(self, state: FileState) -> None:
        self._state, self.birth = state, None

    def add(self, fact: Fact) -> None:
        """Join a fact about the file."""
        if self._state is None and self.birth is None and fact.made is not None:
            self.birth = fact
        else:
            self.state.add(fact)

    def newest(self) -> str:
        """The newest stamp about the file, "" where there is none."""
        if self._state is None:
            return self.birth.at if self.birth is not None else ""
        return self._state.newest()


class Applier:
    """Facts in, index out. See the module's rules."""

    def __init__(self, index: Index, tx: Any, node: str) -> None:
        """`node` is this node's GUID: whether a file is listed depends on who looks."""
        self.tx = tx
        self.db = index.db
        self.node = node
        self.numbers = Numbers(index, tx)
        self.view = self.numbers.view
        # Stamps sort as text: to know the newest costs a comparison a fact, and parsing once.
        self._newest = self._newest_own = ""
        self._own = node[:8]
        self._entries: dict[str, Entry] = {}
        self._touched: list[Entry] = []
        self._things: dict[tuple[str, str], Thing] = {}
        self._touched_things: set[tuple[str, str]] = set()
        self._guids = tx.cursor(index.db["guid"])
        self._mentions: dict[int, list[int]] = {}
        self._actions: dict[str, dict[str, Any]] = {}
        self._next_ordinal = self.view.ordinal_total()
        self._changed_ordinals = BitMap()
        self._changed_terms: set[int] = set()
        self._old_names: dict[int, bytes] = {}
        self._nodes: list[str] | None = None

    @property
    def newest_when(self) -> int:
        """The newest `when` of all facts met, 0 where there was none."""
        return when_of(self._newest) if self._newest else 0

    @property
    def newest_own_when(self) -> int:
        """The newest `when` of this node's facts among them."""
        return when_of(self._newest_own) if self._newest_own else 0

    # -- states

    def nodes(self) -> list[str]:
        """The GUIDs of all nodes that facts speak of."""
        if self._nodes is None:
            known = {text for text, _ in self.view.things(NODE_THING)}
            known.update(text for kind, text in self._touched_things if kind == NODE_THING)
            self._nodes = sorted(known)
        return self._nodes

    def entry(self, guid: str) -> Entry:
        """The entry of a file; where nothing is known of it one without facts, which the index does not get as such."""
        entry = self._entries.get(guid)
        if entry is None:
            raw = bytes_of_guid(guid)
            # Nearly always the file is new, and one look says so.
            found = self._guids.set_range_dup(raw[:2], raw[2:8] + bytes(4)) and self._guids.value().startswith(raw[2:8])
            ordinal = self.view.ordinal(guid) if found else None
            if ordinal is None:
                entry = Entry(guid, NO_ORDINAL, None)
            else:
                entry = self._load(ordinal)
            self._entries[guid] = entry
        return entry

    def entry_at(self, ordinal: int) -> Entry:
        """The entry of a file by its ordinal."""
        entry = self._load(ordinal)
        return self._entries.setdefault(entry.guid, entry)

    def replace(self, entry: Entry, state: FileState) -> None:
        """Let another state stand for a file: less than was joined, since ledgers let go of it on purpose."""
        entry.state = state
        if not entry.touched:
            self._touch(entry)

    def _touch(self, entry: Entry) -> None:
        """It is to be written; what is new gets its ordinal."""
        entry.touched = True
        self._touched.append(entry)
        if entry.ordinal == NO_ORDINAL:
            entry.ordinal = self._next_ordinal
            self._next_ordinal += 1

    def _load(self, ordinal: int) -> Entry:
        view, numbers = self.view, self.numbers
        row = view.row(ordinal)
        if row is None:
            raise KeyError(ordinal)
        raw_name = blocks.name_at(self.tx.get(U32.pack(ordinal // NAMES), db=self.db["names"]), ordinal)
        attr = view.attr(ordinal)
        tags, from_folder = [], None
        for term in view.terms(ordinal):
            kind, _, value = numbers.term_text(term)
            if kind == TAG:
                tags.append(numbers.tag_text(term))
            elif kind == FROM:
                from_folder = value
        merge = None if row.flags & PLAIN else self.tx.get(U32.pack(ordinal), db=self.db["merge"])
        state = unpack_state(
            row, raw_name.decode("utf-8", "surrogatepass"), attr, sorted(tags), from_folder, merge, numbers
        )
        entry = Entry(state.guid, ordinal, state)
        entry.old_face = face_of(state, self.node, self.nodes())
        entry.old_name, entry.old_row, entry.shared = raw_name, row, attr.shared
        return entry

    def _posted(self, face: Face, tags: list[int]) -> list[int]:
        """The terms a file is posted under; `tags` are the numbers of its own tags."""
        others = [self.numbers.term_number(term) for term in terms_beside_tags(face)]
        return tags + others if face.listed and not face.trashed else others

    def thing(self, kind: str, text: str) -> Thing:
        """The merge state of a tag, node, saved query or nodeset."""
        thing = self._things.get((kind, text))
        if thing is None:
            raw = self.tx.get(_thing_key(kind, text), db=self.db["thing"])
            thing = Thing() if raw is None else Thing.unpacked(_unpack(raw))
            self._things[kind, text] = thing
        return thing

    # -- facts

    def add(self, fact: Fact, segment: int | None) -> None:
        """Join one fact that stands in the ledger segment with this number (None: not in one yet)."""
        at = fact.at
        if at > self._newest:
            self._newest = at
        if at > self._newest_own and at[26:] == self._own:
            self._newest_own = at
        if fact.file is not None:
            entry = self.entry(fact.file)
            entry.add(fact)
            if not entry.touched:
                self._touch(entry)
            if segment is not None:
                self._mentions.setdefault(segment, []).append(entry.ordinal)
        else:
            subject = subject_of(fact)
            if subject is not None:
                self.thing(*subject).add(fact)
                self._touched_things.add(subject)
                if subject[0] == NODE_THING:
                    self._nodes = None
        if fact.action is not None:
            join_action(self._action(fact.action), fact, segment)

    def _action(self, action: str) -> dict[str, Any]:
        record = self._actions.get(action)
        if record is None:
            raw = self.tx.get(_action_key(action), db=self.db["action"])
            record = self._actions[action] = _unpack(raw) if raw is not None else {}
        return record

    def note_mentions(self, facts: Sequence[Fact], segment: int) -> None:
        """Record that facts already added now stand in this segment."""
        ordinals = self._mentions.setdefault(segment, [])
        for fact in facts:
            if fact.file is not None:
                ordinals.append(self._entries[fact.file].ordinal)
        for action in {fact.action for fact in facts if fact.action is not None}:
            segments = self._actions[action]["segments"]
            if segment not in segments:
                segments.append(segment)

    def put_thing(self, kind: str, text: str, value: Any) -> None:
        """Keep a plain value (lines set aside, reports)."""
        self.tx.put(_thing_key(kind, text), _pack(value), db=self.db["thing"])

    def waiting(self) -> int:
        """How many files wait to be written."""
        return len(self._touched)

    # -- writing

    def flush(self) -> None:
        """Write all that changed since the last flush, and forget the files."""
        if self._touched_things:
            self._flush_things()
        if self._touched:
            self._flush_files()
        self.numbers.flush()
        for segment, ordinals in self._mentions.items():
            grow(self.tx, self.db["mention"], segment, ordinals)
        for action, record in self._actions.items():
            self.tx.put(_action_key(action), _pack(record), db=self.db["action"])
        self.tx.put(b"next_ordinal", U64.pack(self._next_ordinal), db=self.db["meta"])
        note_changes(self.tx, self.db["changes"], self._changed_ordinals, self._changed_terms, self._old_names)
        self._old_names = {}
        self._changed_ordinals = BitMap()
        self._changed_terms = set()
        self._entries.clear()
        self._touched.clear()
        self._mentions.clear()
        self._actions.clear()

    def _flush_files(self) -> None:
        out = Gathered(self.tx, self.db)
        nodes = self.nodes()
        by_ordinal = {entry.ordinal: entry for entry in self._touched}
        for entry in self._touched:
            entry.touched = False
            if entry.birth is not None and is_plain_birth(entry.birth):
                self._gather_birth(entry, entry.birth, out, by_ordinal)
            else:
                self._gather(entry, nodes, out, by_ordinal)
        self._changed_terms |= out.write(self.numbers)
        self._changed_ordinals.update(by_ordinal)
        self._changed_ordinals.update(out.marked)

    def _gather_birth(self, entry: Entry, fact: Fact, out: Gathered, by_ordinal: dict[int, Entry]) -> None:
        """The rows of a plain birth, straight from its fact: what `_gather` would make by way of state and face.

        A test holds the two against each other; this one takes a third of the time.
        """
        made, content, ordinal = fact.made, fact.content, entry.ordinal
        assert made is not None
        assert content is not None
        numbers = self.numbers
        mtime_ns = parse_time_ns(content.modified) or 0
        born_when = when_of(fact.at)
        own = list(map(numbers.tag_number, dict.fromkeys(fact.tag or ())))
        terms = birth_terms(made, content.size_bytes, mtime_ns, born_when, fact.by, not own)
        for term in terms:
            out.grow[numbers.term_number(term)].append(ordinal)
        for number in own:
            out.grow[number].append(ordinal)
        if made.from_ is not None:
            own.append(numbers.term_number((FROM, "", made.from_)))
        own.sort()
        guid = bytes_of_guid(entry.guid)
        name = made.name.encode("utf-8", "surrogatepass")
        sha = bytes.fromhex(content.sha256)
        self._put_name(entry, born_when, name, out, by_ordinal)
        out.rows[ordinal // ROWS][ordinal] = ROW.pack(
            guid, born_when, numbers.node_number(fact.by), PLAIN | LISTED, sha
        )
        out.names[ordinal // NAMES][ordinal] = name
        out.attrs[ordinal // ATTRS][ordinal] = pack_attr(guid, content.size_bytes, DEFAULT_MODE, entry.shared, mtime_ns)
        out.fwd[ordinal // FWD][ordinal] = own
        tail = U32.pack(ordinal)
        out.guids.append((guid[:2], guid[2:8] + tail))
        out.hashes.append((sha[:2], sha[2:6] + tail))
        out.to_text.append(ordinal)

    def _gather(self, entry: Entry, nodes: list[str], out: Gathered, by_ordinal: dict[int, Entry]) -> None:
        """The rows of any file, new or not."""
        tx, db, numbers = self.tx, self.db, self.numbers
        state, ordinal = entry.state, entry.ordinal
        face = face_of(state, self.node, nodes)
        own = [numbers.tag_number(tag) for tag in face.tags]
        new = set(self._posted(face, own))
        old_face = entry.old_face
        old = set(self._posted(old_face, [numbers.tag_number(tag) for tag in old_face.tags])) if old_face else set()
        for n in new - old:
            out.grow[n].append(ordinal)
        for n in old - new:
            out.shrink[n].append(ordinal)
        guid = bytes_of_guid(state.guid)
        name = face.name.encode("utf-8", "surrogatepass")
        sha = bytes.fromhex(face.sha256) if face.sha256 else bytes(32)
        if face.from_folder is not None:
            own.append(numbers.term_number((FROM, "", face.from_folder)))
        merge = pack_merge(state, face.name, numbers)
        flags = (PLAIN if merge is None else 0) | (LISTED if face.listed else 0) | (IN_TRASH if face.trashed else 0)
        node = numbers.node_number(state.by) if state.by else 0
        old_row = entry.old_row
        self._gather_name(entry, face, name, out, by_ordinal)
        out.rows[ordinal // ROWS][ordinal] = ROW.pack(guid, face.born_when, node, flags, sha)
        if name != entry.old_name or entry.is_new:
            out.names[ordinal // NAMES][ordinal] = name
            if entry.old_name:
                self._old_names[ordinal] = entry.old_name
        out.attrs[ordinal // ATTRS][ordinal] = pack_attr(guid, face.size_bytes, face.mode, entry.shared, face.mtime_ns)
        out.fwd[ordinal // FWD][ordinal] = sorted(own)
        if merge is not None:
            tx.put(U32.pack(ordinal), merge, db=db["merge"])
        elif old_row is not None and not old_row.flags & PLAIN:
            tx.delete(U32.pack(ordinal), db=db["merge"])
        if entry.is_new:
            out.guids.append((guid[:2], guid[2:8] + U32.pack(ordinal)))
        if old_row is None or old_row.sha256 != sha:
            if old_row is not None and any(old_row.sha256):
                tx.delete(old_row.sha256[:2], old_row.sha256[2:6] + U32.pack(ordinal), db=db["hash"])
            if face.sha256:
                out.hashes.append((sha[:2], sha[2:6] + U32.pack(ordinal)))
        if _text_changed(entry.old_face, face):
            out.to_text.append(ordinal)

    def _gather_name(self, entry: Entry, face: Face, name: bytes, out: Gathered, by_ordinal: dict[int, Entry]) -> None:
        """Keep names findable and the `shared` marks true. Only listed files are found by name."""
        old = entry.old_face
        if old is not None and old.listed:
            if face.listed and entry.old_name == name and old.born_when == face.born_when:
                return
            out.drop_name(entry.ordinal, entry.old_name, old.born_when)
        if face.listed:
            self._put_name(entry, face.born_when, name, out, by_ordinal)

    def _put_name(self, entry: Entry, born_when: int, name: bytes, out: Gathered, by_ordinal: dict[int, Entry]) -> None:
        twin = out.put_name(entry.ordinal, name, born_when)
        entry.shared = twin is not None
        if twin is not None:
            if twin in by_ordinal:
                by_ordinal[twin].shared = True  # where its attributes are still to be written
            out.mark_shared(twin)

    def _flush_things(self) -> None:
        for kind, text in self._touched_things:
            self.tx.put(_thing_key(kind, text), _pack(self._things[kind, text].packed()), db=self.db["thing"])
        kinds = {kind for kind, _ in self._touched_things}
        if TAG_THING in kinds:
            things = {text: Thing.unpacked(_unpack(raw)) for text, raw in self.view.things(TAG_THING)}
            tables = compile_tags(things)
            matching = {tag: "\0".join(company) for tag, company in tables.matching.items()}
            before = {key[1:].decode(): value.decode() for key, value in self.view.rules()}
            self._replace("match", b"m", matching)
            self._replace("match", b"c", tables.canonical)
            self._replace("match", b"e", {t: "" for t, thing in things.items() if thing.value("exists")})
            # Whatever a query over these tags had found may be another set now.
            for tag in {*before, *matching, *(text for kind, text in self._touched_things if kind == TAG_THING)}:
                if before.get(tag) != matching.get(tag) or (TAG_THING, tag) in self._touched_things:
                    number = self.numbers.tag_number(tag)
                    self.numbers.count_files(number, 0)  # no file more or less, and yet changed: `last_change` tells
                    self._changed_terms.add(number)
        if NODE_THING in kinds:
            names = {
                text: Thing.unpacked(_unpack(raw)).value("alias", "") for text, raw in self.view.things(NODE_THING)
            }
            self._replace("match", b"n", {guid: name for guid, name in names.items() if name})
        self._touched_things.clear()

    def _replace(self, sub_db: str, prefix: bytes, values: dict[str, str]) -> None:
        """Make the entries under a prefix exactly these."""
        wanted = {prefix + text.encode(): value.encode() for text, value in values.items()}
        cursor = self.tx.cursor(self.db[sub_db])
        found = cursor.set_range(prefix)
        while found and cursor.key().startswith(prefix):
            found = cursor.delete() if cursor.key() not in wanted else cursor.next()
        for key, value in wanted.items():
            self.tx.put(key, value, db=self.db[sub_db])


def _thing_key(kind: str, text: str) -> bytes:
    return (kind + text).encode("utf-8", "surrogateescape")[:500]


def _action_key(action: str) -> bytes:
    return ACTION_KEY.pack(when_of(action), action[26:].encode())


def _text_changed(old: Face | None, new: Face) -> bool:
    """Whether the full text must look at a file again; one that is no longer listed it must forget."""
    if old is None:
        return new.listed
    # What was in the trash is not found already, but its words may still stand on the disk.
    return _found_by(old) != _found_by(new) or (old.listed and not new.listed)


def _found_by(face: Face) -> tuple[object, ...]:
    if not face.listed or face.trashed:
        return ()
    return face.name, face.tags, face.notes, face.sha256, face.holds
