"""Joins facts into the index, in one write transaction.

`Applier` keeps the state of every file it meets in memory, joins facts to it, and writes
all that changed at `flush`: whole blocks and posting chunks once each, however many
files of them changed. What a file's blocks, terms and merge record are is decided by
`face`, `codec` and `blocks`; here is only the bookkeeping between them.

Rules: one Applier a transaction; nothing it learned is used after an abort; facts come
checked. Memory grows with the files touched until `flush`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from zlib import crc32

import msgspec
from pyroaring import BitMap

from tagfs.face import Face, face_of, terms_beside_tags
from tagfs.fact import Fact
from tagfs.glossary import NODE_THING, TAG_THING, Thing, compile_tags, subject_of
from tagfs.guid import bytes_of_guid
from tagfs.index import blocks
from tagfs.index.blocks import FWD, IN_TRASH, LISTED, NAMES, PLAIN, ROW, ROWS, Row, pack_attr
from tagfs.index.codec import pack_merge, unpack_state
from tagfs.index.env import Index
from tagfs.index.history import join_action
from tagfs.index.read import View
from tagfs.index.schema import ACTION_KEY, CHANGES_KEPT, POST_KEY, TERM_HEAD, U16, U32, U64, termkey
from tagfs.merge import FileState
from tagfs.stamp import when_of
from tagfs.tag import split_tag
from tagfs.term import ALL_FILES, ALL_TERM, FROM, TAG, TermKey

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode

TEXT_QUEUE = b"t"


class Entry:
    """One file while it is being changed: its state, and what the index has of it so far."""

    __slots__ = ("state", "ordinal", "is_new", "old_terms", "old_name", "old_row", "shared", "touched", "old_face")

    def __init__(self, state: FileState, ordinal: int, is_new: bool) -> None:
        self.state = state
        self.ordinal = ordinal
        self.is_new = is_new
        self.old_terms: set[int] = set()
        self.old_face: Face | None = None
        self.old_name = b""
        self.old_row: Row | None = None
        self.shared = False
        self.touched = False


class Applier:
    """Facts in, index out. See the module's rules."""

    def __init__(self, index: Index, tx: Any, node: str) -> None:
        """`node` is this node's GUID: whether a file is listed depends on who looks."""
        self.tx = tx
        self.db = index.db
        self.node = node
        self._learned: dict[bytes, int] = {}
        self.view = View(index, tx, self._learned)
        self.newest_when = 0
        self.newest_own_when = 0
        self._entries: dict[str, Entry] = {}
        self._touched: list[Entry] = []
        self._things: dict[tuple[str, str], Thing] = {}
        self._touched_things: set[tuple[str, str]] = set()
        self._terms: dict[TermKey, int] = {}
        self._tag_numbers: dict[str, int] = {}
        self._tag_texts: dict[int, str] = {}
        self._new_terms: dict[int, TermKey] = {}
        self._node_numbers: dict[str, int] = {}
        self._node_texts: dict[int, str] = {}
        self._mentions: dict[int, list[int]] = {}
        self._actions: dict[bytes, dict[str, Any]] = {}
        self._next_ordinal = self.view.ordinal_total()
        self._next_term = self.view.term_total()
        self._changed_ordinals = BitMap()
        self._changed_terms: set[int] = set()
        self._nodes: list[str] | None = None

    # -- numbers (codec.Numbers)

    def node_number(self, text: str) -> int:
        number = self._node_numbers.get(text)
        if number is None:
            self._load_nodes()
            number = self._node_numbers.get(text)
            if number is None:
                number = len(self._node_texts)
                self.tx.put(U16.pack(number), text.encode(), db=self.db["node"])
                self._node_numbers[text], self._node_texts[number] = number, text
        return number

    def node_text(self, number: int) -> str:
        if number not in self._node_texts:
            self._load_nodes()
        return self._node_texts[number]

    def _load_nodes(self) -> None:
        for key, value in self.tx.cursor(self.db["node"]):
            number, text = U16.unpack(key)[0], value.decode()
            self._node_numbers[text], self._node_texts[number] = number, text

    def tag_number(self, tag: str) -> int:
        number = self._tag_numbers.get(tag)
        if number is None:
            number = self._tag_numbers[tag] = self._term_number((TAG, *split_tag(tag)))
        return number

    def tag_text(self, number: int) -> str:
        text = self._tag_texts.get(number)
        if text is None:
            _, key, value = self._new_terms.get(number) or self.view.term_text(number)
            text = self._tag_texts[number] = key if value is None else f"{key}={value}"
        return text

    def _term_number(self, term: TermKey) -> int:
        number = self._terms.get(term)
        if number is None:
            if term == ALL_FILES:
                number = ALL_TERM
                if self.tx.get(U32.pack(number), db=self.db["term"]) is None:
                    self._new_terms[number] = term
            else:
                found = self.view.term(*term)
                if found is None:
                    number = self._next_term
                    self._next_term += 1
                    whole = termkey(*term)
                    self._learned[whole] = number
                    self.tx.put(whole, U32.pack(number), db=self.db["termkey"])
                    self._new_terms[number] = term
                else:
                    number = found
            self._terms[term] = number
        return number

    def learned_terms(self) -> dict[bytes, int]:
        """Term numbers met or given, for the process to remember once this transaction is committed."""
        return self._learned

    # -- states

    def nodes(self) -> list[str]:
        """The GUIDs of all nodes that facts speak of."""
        if self._nodes is None:
            known = {text for text, _ in self.view.things(NODE_THING)}
            known.update(text for kind, text in self._touched_things if kind == NODE_THING)
            self._nodes = sorted(known)
        return self._nodes

    def entry(self, guid: str) -> Entry:
        """The entry of a file; one without facts where nothing is known of it."""
        entry = self._entries.get(guid)
        if entry is None:
            ordinal = self.view.ordinal(guid)
            if ordinal is None:
                entry = Entry(FileState(guid), self._next_ordinal, True)
                self._next_ordinal += 1
            else:
                entry = self._load(ordinal)
            self._entries[guid] = entry
        return entry

    def entry_at(self, ordinal: int) -> Entry:
        """The entry of a file by its ordinal."""
        entry = self._load(ordinal)
        return self._entries.setdefault(entry.state.guid, entry)

    def replace(self, entry: Entry, state: FileState) -> None:
        """Let another state stand for a file: less than was joined, since ledgers let go of it on purpose."""
        entry.state = state
        if not entry.touched:
            entry.touched = True
            self._touched.append(entry)

    def _load(self, ordinal: int) -> Entry:
        view = self.view
        row = view.row(ordinal)
        if row is None:
            raise KeyError(ordinal)
        raw_name = blocks.name_at(self.tx.get(U32.pack(ordinal // NAMES), db=self.db["names"]), ordinal)
        attr = view.attr(ordinal)
        tags, from_folder = [], None
        for term in view.terms(ordinal):
            kind, _, value = self._new_terms.get(term) or view.term_text(term)
            if kind == TAG:
                tags.append(self.tag_text(term))
            elif kind == FROM:
                from_folder = value
        merge = None if row.flags & PLAIN else self.tx.get(U32.pack(ordinal), db=self.db["merge"])
        state = unpack_state(
            row, raw_name.decode("utf-8", "surrogatepass"), attr, sorted(tags), from_folder, merge, self
        )
        entry = Entry(state, ordinal, False)
        entry.old_face = face_of(state, self.node, self.nodes())
        entry.old_terms = set(self._posted(entry.old_face, [self.tag_number(tag) for tag in entry.old_face.tags]))
        entry.old_name, entry.old_row, entry.shared = raw_name, row, attr.shared
        return entry

    def _posted(self, face: Face, tags: list[int]) -> list[int]:
        """The terms a file is posted under; `tags` are the numbers of its own tags."""
        others = [self._term_number(term) for term in terms_beside_tags(face)]
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
        when = when_of(fact.at)
        if when > self.newest_when:
            self.newest_when = when
        if when > self.newest_own_when and fact.at[26:] == self.node[:8]:
            self.newest_own_when = when
        if fact.file is not None:
            entry = self.entry(fact.file)
            entry.state.add(fact)
            if not entry.touched:
                entry.touched = True
                self._touched.append(entry)
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
            key = ACTION_KEY.pack(when_of(fact.action), fact.action[26:].encode())
            record = self._actions.get(key)
            if record is None:
                raw = self.tx.get(key, db=self.db["action"])
                record = self._actions[key] = _unpack(raw) if raw is not None else {}
            join_action(record, fact, segment)

    def note_mention(self, fact: Fact, segment: int) -> None:
        """Record that a fact already added now stands in this segment."""
        if fact.file is not None:
            self._mentions.setdefault(segment, []).append(self.entry(fact.file).ordinal)
        if fact.action is not None:
            record = self._actions[ACTION_KEY.pack(when_of(fact.action), fact.action[26:].encode())]
            if segment not in record["segments"]:
                record["segments"].append(segment)

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
        for number, term in self._new_terms.items():
            if self.tx.get(U32.pack(number), db=self.db["term"]) is None:
                self._put_term(number, term, 0, 0)
        self._new_terms.clear()
        for segment, ordinals in self._mentions.items():
            self._grow("mention", segment, ordinals)
        for key, record in self._actions.items():
            self.tx.put(key, _pack(record), db=self.db["action"])
        self.tx.put(b"next_ordinal", U64.pack(self._next_ordinal), db=self.db["meta"])
        self.tx.put(b"next_term", U64.pack(self._next_term), db=self.db["meta"])
        self._note_changes()
        self._entries.clear()
        self._touched.clear()
        self._mentions.clear()
        self._actions.clear()

    def _note_changes(self) -> None:
        if not self._changed_ordinals and not self._changed_terms:
            return
        self._changed_ordinals.run_optimize()
        now = self.tx.id()
        self.tx.put(
            U64.pack(now),
            _pack([self._changed_ordinals.serialize(), sorted(self._changed_terms)]),
            db=self.db["changes"],
        )
        cursor = self.tx.cursor(self.db["changes"])
        while cursor.first() and U64.unpack(cursor.key())[0] + CHANGES_KEPT <= now:
            cursor.delete()
        self._changed_ordinals = BitMap()
        self._changed_terms = set()

    def _flush_files(self) -> None:
        grow: defaultdict[int, list[int]] = defaultdict(list)
        shrink: defaultdict[int, list[int]] = defaultdict(list)
        rows: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
        names: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
        attrs: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
        fwd: defaultdict[int, dict[int, list[int]]] = defaultdict(dict)
        guids: list[tuple[bytes, bytes]] = []
        hashes: list[tuple[bytes, bytes]] = []
        to_text: list[int] = []
        changed: list[int] = []
        number = self._term_number
        tx, db = self.tx, self.db
        nodes = self.nodes()
        byname = tx.cursor(db["byname"])
        by_ordinal = {entry.ordinal: entry for entry in self._touched}
        for entry in self._touched:
            entry.touched = False
            state, ordinal = entry.state, entry.ordinal
            face = face_of(state, self.node, nodes)
            own = [self.tag_number(tag) for tag in face.tags]
            terms = self._posted(face, own)
            if entry.old_terms:
                new = set(terms)
                for n in new - entry.old_terms:
                    grow[n].append(ordinal)
                for n in entry.old_terms - new:
                    shrink[n].append(ordinal)
            else:
                for n in terms:
                    grow[n].append(ordinal)
            guid = bytes_of_guid(state.guid)
            name = face.name.encode("utf-8", "surrogatepass")
            sha = bytes.fromhex(face.sha256) if face.sha256 else bytes(32)
            if face.from_folder is not None:
                own.append(number((FROM, "", face.from_folder)))
            merge = pack_merge(state, face.name, self)
            flags = (PLAIN if merge is None else 0) | (LISTED if face.listed else 0) | (IN_TRASH if face.trashed else 0)
            node = self.node_number(state.by) if state.by else 0
            old_row = entry.old_row
            self._flush_name(byname, entry, face, name, attrs, by_ordinal)
            rows[ordinal // ROWS][ordinal] = ROW.pack(guid, face.born_when, node, flags, sha)
            if name != entry.old_name or entry.is_new:
                names[ordinal // NAMES][ordinal] = name
            attrs[ordinal // blocks.ATTRS][ordinal] = pack_attr(
                guid, face.size_bytes, face.mode, entry.shared, face.mtime_ns
            )
            fwd[ordinal // FWD][ordinal] = sorted(own)
            if merge is not None:
                tx.put(U32.pack(ordinal), merge, db=db["merge"])
            elif old_row is not None and not old_row.flags & PLAIN:
                tx.delete(U32.pack(ordinal), db=db["merge"])
            if entry.is_new:
                guids.append((guid[:2], guid[2:8] + U32.pack(ordinal)))
            if old_row is None or old_row.sha256 != sha:
                if old_row is not None and any(old_row.sha256):
                    tx.delete(old_row.sha256[:2], old_row.sha256[2:6] + U32.pack(ordinal), db=db["hash"])
                if face.sha256:
                    hashes.append((sha[:2], sha[2:6] + U32.pack(ordinal)))
            if face.listed and _text_changed(entry.old_face, face):
                to_text.append(ordinal)
            changed.append(ordinal)
        self._changed_ordinals.update(changed)
        guids.sort()
        hashes.sort()
        tx.cursor(db["guid"]).putmulti(guids)
        tx.cursor(db["hash"]).putmulti(hashes)
        self._put_blocks("rows", rows, lambda old, new: blocks.put_fixed(old or b"", new, ROWS, ROW.size))
        self._put_blocks(
            "attrs", attrs, lambda old, new: blocks.put_fixed(old or b"", new, blocks.ATTRS, blocks.ATTR.size)
        )
        self._put_blocks("names", names, blocks.put_names)
        self._put_blocks("fwd", fwd, blocks.put_fwd)
        self._flush_postings(grow, shrink)
        if to_text:
            for high, queued in _by_high(to_text):
                key = TEXT_QUEUE + U16.pack(high)
                raw = tx.get(key, db=db["pending"])
                if raw is not None:
                    queued |= BitMap.deserialize(raw)
                tx.put(key, queued.serialize(), db=db["pending"])

    def _put_blocks(self, sub_db: str, changed: dict[int, Any], put: Any) -> None:
        db = self.db[sub_db]
        for block in sorted(changed):
            key = U32.pack(block)
            self.tx.put(key, put(self.tx.get(key, db=db), changed[block]), db=db)

    def _flush_name(
        self,
        byname: Any,
        entry: Entry,
        face: Face,
        name: bytes,
        attrs: dict[int, dict[int, bytes]],
        by_ordinal: dict[int, Entry],
    ) -> None:
        """Keep `byname` and the `shared` marks true. Only born files are found by name."""
        old_face = entry.old_face
        was_in = old_face is not None and old_face.listed
        if (
            was_in
            and old_face is not None
            and face.listed
            and entry.old_name == name
            and old_face.born_when == face.born_when
        ):
            return
        if was_in and old_face is not None:
            check = U32.pack(crc32(entry.old_name))
            self.tx.delete(
                check[:2], check[2:] + U64.pack(old_face.born_when) + U32.pack(entry.ordinal), db=self.db["byname"]
            )
        if not face.listed:
            return
        check = U32.pack(crc32(name))
        twin = None
        if byname.set_range_dup(check[:2], check[2:] + bytes(12)):
            value = byname.value()
            if value[:2] == check[2:]:
                twin = U32.unpack_from(value, 10)[0]
        byname.put(check[:2], check[2:] + U64.pack(face.born_when) + U32.pack(entry.ordinal))
        entry.shared = twin is not None
        if twin is not None:
            if twin in by_ordinal:
                by_ordinal[twin].shared = True  # where its attributes are still to be written
            self._mark_shared(twin, attrs)

    def _mark_shared(self, ordinal: int, attrs: dict[int, dict[int, bytes]]) -> None:
        """The first holder of a name learns that it is no longer alone; the others knew from the start."""
        number = ordinal // blocks.ATTRS
        written = attrs.get(number, {}).get(ordinal)
        if written is None:
            block = self.tx.get(U32.pack(number), db=self.db["attrs"])
            at = ordinal % blocks.ATTRS * blocks.ATTR.size
            written = block[at : at + blocks.ATTR.size] if block is not None else b""
            if len(written) < blocks.ATTR.size:
                return
        ident, packed, mtime_ns = blocks.ATTR.unpack(written)
        if not packed & blocks.SHARED:
            attrs[number][ordinal] = blocks.ATTR.pack(ident, packed | blocks.SHARED, mtime_ns)
            self._changed_ordinals.add(ordinal)

    def _flush_postings(self, grow: dict[int, list[int]], shrink: dict[int, list[int]]) -> None:
        tx, db, now = self.tx, self.db, self.tx.id()
        for term in sorted({*grow, *shrink}):
            change = 0
            if term in grow:
                change += self._grow("post", term, grow[term])
            for high, leaving in _by_high(shrink.get(term, ())):
                key = POST_KEY.pack(term, high)
                raw = tx.get(key, db=db["post"])
                if raw is None:
                    continue
                members = BitMap.deserialize(raw)
                before = len(members)
                members -= leaving
                change += len(members) - before
                if members:
                    tx.put(key, members.serialize(), db=db["post"])
                else:
                    tx.delete(key, db=db["post"])
            text = self._new_terms.pop(term, None)
            if text is not None:
                self._put_term(term, text, change, now)
            else:
                raw = tx.get(U32.pack(term), db=db["term"])
                kind, has_value, count, _ = TERM_HEAD.unpack_from(raw)
                tx.put(
                    U32.pack(term),
                    TERM_HEAD.pack(kind, has_value, count + change, now) + raw[TERM_HEAD.size :],
                    db=db["term"],
                )
            self._changed_terms.add(term)

    def _put_term(self, number: int, term: TermKey, count: int, now: int) -> None:
        kind, key, value = term
        text = key.encode() + b"\0" + (value or "").encode("utf-8", "surrogatepass")
        self.tx.put(U32.pack(number), TERM_HEAD.pack(kind, value is not None, count, now) + text, db=self.db["term"])

    def _grow(self, sub_db: str, number: int, members: Iterable[int]) -> int:
        """Add files to a posting; returns how many were not in it."""
        added = 0
        db = self.db[sub_db]
        for high, part in _by_high(members):
            key = POST_KEY.pack(number, high)
            raw = self.tx.get(key, db=db)
            if raw is not None:
                old = BitMap.deserialize(raw)
                part |= old
                added -= len(old)
            added += len(part)
            part.run_optimize()
            self.tx.put(key, part.serialize(), db=db)
        return added

    def _flush_things(self) -> None:
        for kind, text in self._touched_things:
            self.tx.put(_thing_key(kind, text), _pack(self._things[kind, text].packed()), db=self.db["thing"])
        kinds = {kind for kind, _ in self._touched_things}
        if TAG_THING in kinds:
            things = {text: Thing.unpacked(_unpack(raw)) for text, raw in self.view.things(TAG_THING)}
            tables = compile_tags(things)
            self._replace("match", b"m", {t: "\0".join(m) for t, m in tables.matching.items()})
            self._replace("match", b"c", tables.canonical)
            self._replace("match", b"e", {t: "" for t, thing in things.items() if thing.value("exists")})
            # Whatever a query over these tags had found may be another set now.
            for tag in [text for kind, text in self._touched_things if kind == TAG_THING]:
                for matching in tables.matching.get(tag, [tag]):
                    self._changed_terms.add(self.tag_number(matching))
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


def _text_changed(old: Face | None, new: Face) -> bool:
    return old is None or (old.name, old.tags, old.notes, old.sha256) != (new.name, new.tags, new.notes, new.sha256)


def _by_high(ordinals: Iterable[int]) -> list[tuple[int, BitMap]]:
    """Ordinals by their 65,536-block."""
    whole = BitMap(ordinals)
    if not whole:
        return []
    low, high = whole.min() >> 16, whole.max() >> 16
    if low == high:
        return [(low, whole)]
    parts = [(block, whole & BitMap(range(block << 16, (block + 1) << 16))) for block in range(low, high + 1)]
    return [(block, part) for block, part in parts if part]
