"""Answers from the index, in one read transaction.

`View` is what queries, listings and commands look through. It holds a transaction for
one short operation and is thrown away; whoever stays (mount, shell) makes a new one each
time. It implements `query.plan.Vocabulary` and `query.run.Postings`.

On the start-up path of `lyts find`: nothing in here imports msgspec.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal
from zlib import crc32

from pyroaring import BitMap

from tagfs.guid import bytes_of_guid
from tagfs.index.blocks import FWD, NAMES, FwdBlock
from tagfs.index.env import Index
from tagfs.index.rows import Rows
from tagfs.index.schema import CHANGES_KEPT, LONGEST_KEY, POST_KEY, TERM_HEAD, U16, U32, U64, termkey, termkey_prefix
from tagfs.tag import split_tag
from tagfs.term import ALL_TERM, FROM, TAG, TermKey
from tagfs.value import value_of_key

FILES_LIKE_A_TERM = 4
"""To meet one posting with a result costs as much as to count the terms of so many files."""
_NO_NAMES: Mapping[int, bytes] = {}
HOT_NAMES_KEPT = 64
FEW_HOLDERS = 64
"""Up to so many holders of a name are looked at one by one."""


class View(Rows):
    """The index as of one transaction."""

    def __init__(self, index: Index, tx: Any, learned: dict[bytes, int] | None = None) -> None:
        """`learned`: where term numbers are kept by `termkey`, and then nothing is kept for other views.

        For a writer, whose new ones may yet be dropped, and for who reads in a thread of its own.
        """
        super().__init__(index, tx, keeps=learned is None)
        self.known = index.term_numbers
        self._has_rules: bool | None = None
        self.learned = self.known if learned is None else learned

    # -- terms

    def term(self, kind: int, key: str, value: str | None) -> int | None:
        """The number of a term, None where no file ever had it."""
        return self._term(termkey(kind, key, value))

    def _term(self, whole: bytes) -> int | None:
        number = self.known.get(whole)
        if number is None:
            number = self.learned.get(whole)
        if number is None:
            raw = self.tx.get(whole, db=self.db["termkey"])
            if raw is None:
                return None
            number = U32.unpack(raw)[0]
            self.learned[whole] = number
        return number

    def term_text(self, number: int) -> TermKey:
        """(kind, key, value) of a term number."""
        raw = self.tx.get(U32.pack(number), db=self.db["term"])
        kind, has_value, _, _ = TERM_HEAD.unpack_from(raw)
        key, _, value = raw[TERM_HEAD.size :].partition(b"\0")
        return kind, key.decode(), value.decode() if has_value else None

    def count(self, term: int) -> int:
        """How many living files have a term."""
        raw = self.tx.get(U32.pack(term), db=self.db["term"])
        return TERM_HEAD.unpack_from(raw)[2] if raw is not None else 0

    def last_change(self, term: int) -> int:
        """The transaction that last changed which files have a term."""
        raw = self.tx.get(U32.pack(term), db=self.db["term"])
        return TERM_HEAD.unpack_from(raw)[3] if raw is not None else 0

    def walk(self, kind: int, key: str, low: bytes = b"", below: bytes | None = None) -> Iterator[tuple[str, int]]:
        """(value, term) of the valued terms of a key, in the order of `value_key`, from `low` on and before `below`."""
        prefix = termkey_prefix(kind, key)
        cursor = self.tx.cursor(self.db["termkey"])
        found = cursor.set_range(prefix + low)
        while found:
            at = cursor.key()
            if not at.startswith(prefix) or (below is not None and at[len(prefix) :] >= below):
                return
            number = U32.unpack(cursor.value())[0]
            value = value_of_key(at[len(prefix) :]) if len(at) <= LONGEST_KEY else self.term_text(number)[2]
            if value is not None:
                yield value, number
            found = cursor.next()

    def plain_tags(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """(tag, term) of the plain tags that begin with `prefix`, in order of text."""
        start = b"p" + bytes((TAG,))
        whole = start + prefix.encode()
        cursor = self.tx.cursor(self.db["termkey"])
        found = cursor.set_range(whole)
        while found:
            at = cursor.key()
            if not at.startswith(whole):
                return
            yield at[len(start) :].decode(), U32.unpack(cursor.value())[0]
            found = cursor.next()

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys of tags with a value, in order of text."""
        start = b"v" + bytes((TAG,))
        whole = start + prefix.encode()
        cursor = self.tx.cursor(self.db["termkey"])
        found = cursor.set_range(whole)
        while found:
            at = cursor.key()
            if not at.startswith(whole):
                return
            key = at[len(start) : at.index(b"\0", len(start))]
            yield key.decode()
            found = cursor.set_range(start + key + b"\x01")

    # -- tag facts

    def matching_tags(self, tag: str) -> list[str]:
        """Every tag whose files match a question for `tag`: itself, aliases, what implies it."""
        if self._has_rules is None:
            cursor = self.tx.cursor(self.db["match"])
            self._has_rules = bool(cursor.set_range(b"m")) and cursor.key()[:1] == b"m"
        if not self._has_rules:
            return [tag]
        raw = self.tx.get(b"m" + tag.encode(), db=self.db["match"])
        return raw.decode().split("\0") if raw is not None else [tag]

    def canonical(self, tag: str) -> str:
        """The tag that `tag` is an alias of, or itself."""
        raw = self.tx.get(b"c" + tag.encode(), db=self.db["match"])
        return raw.decode() if raw is not None else tag

    def is_tag(self, tag: str) -> bool:
        """Whether the tag was made, even if no file has it."""
        return self.tx.get(b"e" + tag.encode(), db=self.db["match"]) is not None

    def aliases(self) -> dict[str, str]:
        """All aliases -> the tags they stand for."""
        return {k[1:].decode(): v.decode() for k, v in self._prefixed("match", b"c")}

    def rules(self) -> Iterator[tuple[bytes, bytes]]:
        """The entries of `match` behind `matching_tags`, as they are kept."""
        return self._prefixed("match", b"m")

    def tags_with_company(self) -> list[str]:
        """The tags, aliases among them, for which `matching_tags` says more than the tag itself."""
        return [k[1:].decode() for k, _ in self._prefixed("match", b"m")]

    def made_tags(self) -> list[str]:
        """The tags that were made as such."""
        return [k[1:].decode() for k, _ in self._prefixed("match", b"e")]

    def _prefixed(self, sub_db: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        cursor = self.tx.cursor(self.db[sub_db])
        found = cursor.set_range(prefix)
        while found:
            key = cursor.key()
            if not key.startswith(prefix):
                return
            yield key, cursor.value()
            found = cursor.next()

    def things(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """(text, packed merge state) of the things of a kind, see `schema`."""
        for key, value in self._prefixed("thing", kind.encode()):
            yield key[1:].decode("utf-8", "surrogateescape"), value

    def tag_suggestions(self, tag: str) -> Iterator[tuple[str, int]]:
        """(tag, files) of all tags in use, and of all keys: what a mistyped tag could have been."""
        key, value = split_tag(tag)
        made = set(self.made_tags())
        if value is not None:
            for found, term in self.walk(TAG, key):
                if (files := self.count(term)) or f"{key}={found}" in made:
                    yield f"{key}={found}", files
        for found, term in self.plain_tags():
            if (files := self.count(term)) or found in made:
                yield found, files
        for found in self.keys():
            yield f"{found}=..", 0

    def node(self, alias: str) -> str | None:
        """The GUID of a node by its alias or the beginning of its GUID; of several the one that is still there."""
        names = self.node_names()
        called = [guid for guid, name in names.items() if name == alias]
        if len(called) > 1:
            gone = self.nodes_that_left()
            called.sort(key=lambda guid: guid in gone)
        if len(alias) >= 8 and not called:
            called = [guid for guid in names if guid.startswith(alias)][-1:]
        return called[0] if called else None

    def node_names(self) -> dict[str, str]:
        """GUID -> alias of all nodes."""
        return {k[1:].decode(): v.decode() for k, v in self._prefixed("match", b"n")}

    def node_aliases(self) -> list[str]:
        """The aliases of the nodes that are still in the library."""
        gone = self.nodes_that_left()
        return sorted(name for guid, name in self.node_names().items() if guid not in gone)

    def nodes_that_left(self) -> frozenset[str]:
        """The GUIDs of the nodes that were forgotten: none of them counts where something is computed from nodes."""
        import msgspec

        from tagfs.glossary import NODE_THING, Thing

        unpack = msgspec.msgpack.Decoder().decode
        things = ((guid, Thing.unpacked(unpack(packed))) for guid, packed in self.things(NODE_THING))
        return frozenset(guid for guid, thing in things if thing.value("gone", False))

    # -- postings

    def chunk(self, term: int, high: int) -> BitMap | None:
        raw = self.tx.get(POST_KEY.pack(term, high), db=self.db["post"])
        return BitMap.deserialize(raw) if raw is not None else None

    def highs(self, term: int) -> list[int]:
        prefix = U32.pack(term)
        cursor = self.tx.cursor(self.db["post"])
        out = []
        found = cursor.set_range(prefix)
        while found:
            key = cursor.key()
            if key[:4] != prefix:
                break
            out.append(U16.unpack_from(key, 4)[0])
            found = cursor.next()
        return out

    def term_chunks(self, term: int) -> Iterator[tuple[int, BitMap]]:
        """(high, files) of all blocks of a term, in one walk."""
        prefix = U32.pack(term)
        cursor = self.tx.cursor(self.db["post"])
        found = cursor.set_range(prefix)
        while found:
            key, value = cursor.item()
            if key[:4] != prefix:
                return
            yield U16.unpack_from(key, 4)[0], BitMap.deserialize(value)
            found = cursor.next()

    def posting(self, term: int) -> BitMap:
        """All files of a term."""
        return BitMap.union(BitMap(), *(chunk for _, chunk in self.term_chunks(term)))

    def filter(self, bitmap: BitMap, attribute: str, low: int, high: int) -> BitMap:
        """The files whose `size_bytes`, `modified_ns` or `added_ms` lies within [low, high]."""
        if attribute == "added_ms":
            return BitMap([o for o, row in self.rows(bitmap) if low <= row.born_when >> 16 <= high])
        if attribute == "size_bytes":
            return BitMap([o for o, attr in self.attrs(bitmap) if low <= attr.size_bytes <= high])
        return BitMap([o for o, attr in self.attrs(bitmap) if low <= attr.mtime_ns <= high])

    # -- files

    def ordinal(self, guid: str) -> int | None:
        """The ordinal of a file by its GUID."""
        raw = bytes_of_guid(guid)
        for ordinal in self._guid_dups(raw[:2], raw[2:8]):
            row = self.row(ordinal)
            if row is not None and row.guid == raw:
                return ordinal
        return None

    def _guid_dups(self, key: bytes, low: bytes) -> list[int]:
        cursor = self.tx.cursor(self.db["guid"])
        out = []
        found = cursor.set_range_dup(key, low + bytes(10 - len(low)))
        while found:
            value = cursor.value()
            if not value.startswith(low):
                break
            out.append(U32.unpack_from(value, 6)[0])
            found = cursor.next_dup()
        return out

    def ids_beginning(self, hex_digits: str) -> BitMap:
        """The living files whose GUID begins with these digits."""
        return self.any_ids_beginning(hex_digits) & self.posting(ALL_TERM)

    def by_ident(self, ident: int) -> int | None:
        """The file whose GUID begins with these 56 bits, as `attrs` keeps them (low byte first)."""
        raw = ident.to_bytes(7, "little")
        found = self._guid_dups(raw[:2], raw[2:])
        return found[0] if found else None

    def changes_since(self, transaction: int) -> list[tuple[int, BitMap, list[int], dict[int, bytes]]] | None:
        """(transaction, files, terms, former names) of each newer transaction; None where some are no longer known."""
        import msgspec

        newest = self.tx.id()
        if newest - transaction >= CHANGES_KEPT:
            return None
        cursor = self.tx.cursor(self.db["changes"])
        out = []
        found = cursor.set_range(U64.pack(transaction + 1))
        while found:
            files, terms, old_names = msgspec.msgpack.decode(cursor.value())
            out.append((U64.unpack(cursor.key())[0], BitMap.deserialize(files), terms, old_names))
            found = cursor.next()
        return out

    def any_ids_beginning(self, hex_digits: str) -> BitMap:
        """All files, living or not, whose GUID begins with these digits. Quick from 4 digits on."""
        digits = hex_digits.replace("-", "").lower()
        if len(digits) < 4:
            total = range(self.ordinal_total())
            return BitMap([o for o, row in self.rows(total) if row.guid.hex().startswith(digits)])
        whole = bytes.fromhex(digits[: len(digits) & ~1])
        if len(digits) <= 16 and len(digits) % 2 == 0:
            return BitMap(self._guid_dups(whole[:2], whole[2:8]))  # no more than the index has at hand
        out = BitMap()
        for ordinal in self._guid_dups(whole[:2], whole[2:8]):
            row = self.row(ordinal)
            if row is not None and row.guid.hex().startswith(digits):
                out.add(ordinal)
        return out

    def own_tags(self, ordinal: int) -> list[str]:
        """The tags of a file as its facts have them, in order of text."""
        out = []
        for term in self.terms(ordinal):
            kind, key, value = self.term_text(term)
            if kind == TAG:
                out.append(key if value is None else f"{key}={value}")
        return sorted(out)

    def tags(self, ordinal: int) -> list[str]:
        """The tags of a file as people see them, aliases resolved, in order of text."""
        return sorted({self.canonical(tag) for tag in self.own_tags(ordinal)})

    def from_folder(self, ordinal: int) -> str | None:
        """The folder a file came from."""
        for term in self.terms(ordinal):
            kind, _, value = self.term_text(term)
            if kind == FROM:
                return value
        return None

    # -- names

    def holders(self, name: bytes) -> list[tuple[int, int]]:
        """(birth when, ordinal) of the files with a name, the first made first.

        Names with the same checksum may be among them; `named` looks.
        """
        check = U32.pack(crc32(name))
        cursor = self.tx.cursor(self.db["byname"])
        out = []
        found = cursor.set_range_dup(check[:2], check[2:] + bytes(12))
        while found:
            value = cursor.value()
            if value[:2] != check[2:]:
                break
            out.append((U64.unpack_from(value, 2)[0], U32.unpack_from(value, 10)[0]))
            found = cursor.next_dup()
        return out

    def has_holder(self, name: bytes, born_when: int, ordinal: int) -> bool:
        """Whether a file stands under a name, with its birth stamp."""
        check = U32.pack(crc32(name))
        wanted = check[2:] + U64.pack(born_when) + U32.pack(ordinal)
        return bool(self.tx.cursor(self.db["byname"]).set_key_dup(check[:2], wanted))

    def named(self, name: str) -> BitMap:
        """The living files with exactly this name."""
        return self.any_named(name) & self.posting(ALL_TERM)

    def any_named(self, name: str) -> BitMap:
        """The files with exactly this name, living or in the trash."""
        raw = name.encode("utf-8", "surrogatepass")
        return BitMap([o for _, o in self.holders(raw) if self._has_name(o, raw)])

    def names_beginning(self, prefix: str) -> BitMap:
        """The living files whose name begins with `prefix`: a walk over all names, 25 MB for a million."""
        return self.any_names_beginning(prefix) & self.posting(ALL_TERM)

    def any_names_beginning(self, prefix: str) -> BitMap:
        """The files whose name begins with `prefix`, living or not."""
        raw = prefix.encode("utf-8", "surrogatepass")
        inside = b"/" + raw
        out = BitMap()
        for key, block in self._prefixed("names", b""):
            if not block.startswith(raw) and inside not in block:
                continue
            first = U32.unpack(key)[0] * NAMES
            out.update([first + i for i, name in enumerate(block.split(b"/")) if name.startswith(raw)])
        return out

    def first_names_beginning(self, prefix: str, among: BitMap, most: int) -> BitMap:
        """Some files of `among` whose name begins with `prefix`, at most `most`, in order of arrival.

        What many names begin with is found soon, and blocks without it are passed over.
        """
        raw = prefix.encode("utf-8", "surrogatepass")
        inside = b"/" + raw
        out = BitMap()
        for key, block in self._prefixed("names", b""):
            if not block.startswith(raw) and inside not in block:
                continue
            first = U32.unpack(key)[0] * NAMES
            out |= BitMap([first + i for i, name in enumerate(block.split(b"/")) if name.startswith(raw)]) & among
            if len(out) >= most:
                return out if len(out) == most else BitMap(out[:most])
        return out

    def lookup(self, name: bytes, result: BitMap, known: Mapping[int, bytes] = _NO_NAMES) -> int | None:
        """The file of a result that a plain name leads to: of those with the name, the one made first.

        A hot name (cover.jpg) has thousands of holders; those are fetched at once and met
        with the result, never walked (index.md, Layout).

        Args:
            known: names of some files, which need not be looked up.
        """
        check = U32.pack(crc32(name))
        cursor = self.tx.cursor(self.db["byname"])
        found = cursor.set_range_dup(check[:2], check[2:] + bytes(12))
        for _ in range(FEW_HOLDERS):
            if not found:
                return None
            value = cursor.value()
            if value[:2] != check[2:]:
                return None
            ordinal: int = U32.unpack_from(value, 10)[0]
            if ordinal in result:
                has = known.get(ordinal)
                if has == name or (has is None and self._has_name(ordinal, name)):
                    return ordinal
            found = cursor.next_dup()
        return self._lookup_hot(check, name, result)

    def _lookup_hot(self, check: bytes, name: bytes, result: BitMap) -> int | None:
        ordinals, holders = self._hot_holders(check)
        candidates = holders & result
        if not candidates:
            return None
        if len(candidates) <= FEW_HOLDERS:
            held = [(row.born_when, row.guid, o) for o, row in self.rows(candidates) if self._has_name(o, name)]
            return min(held)[2] if held else None
        for ordinal in ordinals:
            if ordinal in candidates and self._has_name(ordinal, name):
                return ordinal
        return None

    def _hot_holders(self, check: bytes) -> tuple[array[int], BitMap]:
        """The files under a checksum of a name, the first made first; kept while the index stays as it is."""
        now = self.tx.id()
        known = self.index.hot_names.get(check)
        if known is not None and known[0] == now:
            return known[1], known[2]
        cursor = self.tx.cursor(self.db["byname"])
        buffer = bytes(cursor.getmulti([check[:2]], dupdata=True, dupfixed_bytes=14, keyfixed=True))
        # Each item is key 2, checksum 2, when 8, ordinal 4. Those of a checksum stand together;
        # other checksums of the same key before and after them.
        first, last = _stretch(buffer, check[2:])
        buffer = buffer[first * 16 : last * 16]
        raw = bytearray(len(buffer) // 4)
        for byte in range(4):
            raw[byte::4] = buffer[12 + byte :: 16]
        ordinals = array("I", raw)
        if sys.byteorder == "little":
            ordinals.byteswap()
        holders = BitMap(ordinals)
        if self._keeps:
            if len(self.index.hot_names) >= HOT_NAMES_KEPT:
                self.index.hot_names.clear()
            self.index.hot_names[check] = (now, ordinals, holders)
        return ordinals, holders

    # -- content

    def has_hash(self, sha256: bytes, ordinal: int) -> bool:
        """Whether a file is among those `with_hash`; that may be very many, of an empty file."""
        row = self.row(ordinal)
        found = self.tx.cursor(self.db["hash"]).set_key_dup(sha256[:2], sha256[2:6] + U32.pack(ordinal))
        return found and row is not None and row.sha256 == sha256

    def with_hash(self, sha256: bytes) -> list[int]:
        """The files whose current content has this SHA-256."""
        cursor = self.tx.cursor(self.db["hash"])
        out = []
        found = cursor.set_range_dup(sha256[:2], sha256[2:6] + bytes(4))
        while found:
            value = cursor.value()
            if value[:4] != sha256[2:6]:
                break
            ordinal = U32.unpack_from(value, 4)[0]
            row = self.row(ordinal)
            if row is not None and row.sha256 == sha256:
                out.append(ordinal)
            found = cursor.next_dup()
        return out

    def files_like(self, sha256: bytes) -> BitMap:
        """The files whose current content has this SHA-256 and a few with one that begins alike, at once.

        For hashes that thousands of files may have; `with_hash` looks at each.
        """
        cursor = self.tx.cursor(self.db["hash"])
        buffer = bytes(cursor.getmulti([sha256[:2]], dupdata=True, dupfixed_bytes=8, keyfixed=True))
        # Each item is key 2, hash 4, ordinal 4; those of a hash stand together.
        size = 10
        low, high = 0, len(buffer) // size
        while low < high:
            middle = (low + high) // 2
            if buffer[middle * size + 2 : middle * size + 6] < sha256[2:6]:
                low = middle + 1
            else:
                high = middle
        ordinals = []
        while buffer[low * size + 2 : low * size + 6] == sha256[2:6]:
            ordinals.append(U32.unpack_from(buffer, low * size + 6)[0])
            low += 1
        return BitMap(ordinals)

    # -- facets

    def facet_counts(self, bitmap: BitMap) -> dict[int, int]:
        """Term -> how many files of a result have it, from `fwd`, for a process that ends soon.

        A process that stays counts in `index.facets` over an array it keeps.
        """
        from collections import Counter

        living = self.posting(ALL_TERM)
        if bitmap == living:
            return {term: self.count(term) for term in range(1, self.term_total())}
        if self.term_total() * FILES_LIKE_A_TERM < len(bitmap) and bitmap.issubset(living):
            return self._counts_by_postings(bitmap)
        counts: Counter[int] = Counter()
        parts: dict[Literal["H", "I"], list[Any]] = {"H": [], "I": []}
        with self._unbuffered() as tx:
            self._gather_terms(tx, bitmap.to_array(), parts)
            joined = {code: b"".join(slices) for code, slices in parts.items()}
        for code, terms in joined.items():
            counts.update(memoryview(terms).cast(code))
        return counts

    def _counts_by_postings(self, bitmap: BitMap) -> dict[int, int]:
        """The same, where the result is large and terms are few: each posting is met with the result."""
        counts: dict[int, int] = {}
        kinds: dict[int, int] = {}
        cursor = self.tx.cursor(self.db["post"])
        for key, chunk in cursor.iternext():
            term, _ = POST_KEY.unpack(key)
            kind = kinds.get(term)
            if kind is None:
                kind = kinds[term] = TERM_HEAD.unpack_from(self.tx.get(key[:4], db=self.db["term"]))[0]
            if kind in (TAG, FROM):
                n = BitMap.deserialize(chunk).intersection_cardinality(bitmap)
                if n:
                    counts[term] = counts.get(term, 0) + n
        return counts

    @contextmanager
    def _unbuffered(self) -> Iterator[Any]:
        """The same state of the index, giving views of its pages instead of copies; those are good only inside."""
        tx = self.index.env.begin(buffers=True)
        try:
            yield tx if tx.id() == self.tx.id() else self.tx
        finally:
            tx.abort()

    def _gather_terms(self, tx: Any, ordinals: array[int], parts: dict[Literal["H", "I"], list[Any]]) -> None:
        at, total = 0, len(ordinals)
        while at < total:
            number = ordinals[at] // FWD
            raw = tx.get(U32.pack(number), db=self.db["fwd"])
            first = number * FWD
            end = bisect_left(ordinals, first + FWD, at)
            if raw is not None:
                block = FwdBlock(raw)
                offsets, terms = block.offsets, block.terms
                keep = parts["H" if terms.format == "H" else "I"]
                for ordinal in ordinals[at:end]:
                    keep.append(terms[offsets[ordinal - first] : offsets[ordinal - first + 1]])
            at = end

    def term_total(self) -> int:
        """One more than the highest term number given."""
        raw = self.tx.get(b"next_term", db=self.db["meta"])
        return U64.unpack(raw)[0] if raw is not None else 1

    def ordinal_total(self) -> int:
        """One more than the highest ordinal given."""
        raw = self.tx.get(b"next_ordinal", db=self.db["meta"])
        return U64.unpack(raw)[0] if raw is not None else 0


def _stretch(buffer: bytes, check: bytes) -> tuple[int, int]:
    """Which 16-byte items of a sorted buffer have `check` in their bytes 2 and 3: first, and one past the last."""
    total = len(buffer) // 16
    ends = []
    for after in (False, True):
        low, high = 0, total
        while low < high:
            middle = (low + high) // 2
            found = buffer[middle * 16 + 2 : middle * 16 + 4]
            if found < check or (after and found == check):
                low = middle + 1
            else:
                high = middle
        ends.append(low)
    return ends[0], ends[1]
