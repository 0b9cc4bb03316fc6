"""Queries against a model: a list of files, each looked at by itself.

The model keeps no terms, no buckets and no blocks: it asks each file whether the tree
fits it, straight from the sentences of the design. What it shares with the code under
test is the reading of values, sizes and dates, which have tests of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hypothesis import event, example, given
from hypothesis import strategies as st
from pyroaring import BitMap

from tagfs import term as kinds
from tagfs.bucket import MS_PER_DAY, Clock, day_of_ms, parse_size, parse_time, size_bucket, utc_ms
from tagfs.errors import NoSuchTag, QueryError
from tagfs.mime import types_of_ext
from tagfs.query.grammar import parse_query, slots
from tagfs.query.plan import plan
from tagfs.query.rich import format_rich, parse_rich
from tagfs.query.run import chunks, contains, count, first, result, terms
from tagfs.query.steps import fingerprint
from tagfs.query.tree import (
    All,
    And,
    AnyValue,
    BuiltIn,
    Leaf,
    Not,
    Or,
    Range,
    Tag,
    TagPrefix,
    Tree,
    ValuePrefix,
    both,
    either,
    format_query,
    without,
)
from tagfs.tag import split_tag
from tagfs.value import value_key, value_range

NOW_MS = utc_ms(2024, 3, 1, 12, 0, 0)
CLOCK = Clock(NOW_MS, lambda *moment: utc_ms(*moment) - 3_600_000)
NODES = {"laptop": "11111111-1111-4111-8111-111111111111", "tablet": "22222222-2222-4222-8222-222222222222"}


class File(NamedTuple):
    ordinal: int
    name: str
    guid: str
    tags: frozenset[str]
    ext: str
    folder: str
    size_bytes: int
    modified_ns: int
    added_ms: int
    holds: frozenset[str]
    unknown: frozenset[str]

    def terms(self) -> Iterator[kinds.TermKey]:
        yield kinds.ALL_FILES
        for tag in self.tags:
            yield (kinds.TAG, *split_tag(tag))
        yield kinds.FROM, "", self.folder
        yield kinds.EXT, "", self.ext
        yield kinds.SIZE, "", str(size_bucket(self.size_bytes))
        yield kinds.MODIFIED, "", str(day_of_ms(self.modified_ns // 1_000_000))
        yield kinds.ADDED, "", str(day_of_ms(self.added_ms))
        for node in self.holds:
            yield kinds.HOLDS, "", NODES[node]
        for node in self.unknown:
            yield kinds.UNKNOWN, "", NODES[node]


class Library:
    """Vocabulary and Postings over a list of files, kept in dicts."""

    def __init__(
        self, files: list[File], implied: dict[str, list[str]], aliases: dict[str, str], more: Iterable[str] = ()
    ) -> None:
        self.files = {file.ordinal: file for file in files}
        self.implied = implied  # tag -> the tags that imply it, directly
        self.aliases = aliases  # alias -> tag
        self.numbers: dict[kinds.TermKey, int] = {kinds.ALL_FILES: kinds.ALL_TERM}
        self.posts: dict[int, dict[int, BitMap]] = defaultdict(dict)
        made = [*more, *implied, *(tag for tags in implied.values() for tag in tags), *aliases, *aliases.values()]
        for tag in made:  # a made tag has a number, though perhaps no file has it
            self.numbers.setdefault((kinds.TAG, *split_tag(tag)), len(self.numbers))
        self.made = set(made)
        for file in files:
            for key in file.terms():
                number = self.numbers.setdefault(key, len(self.numbers))
                self.posts[number].setdefault(file.ordinal >> 16, BitMap()).add(file.ordinal)

    # Vocabulary

    def term(self, kind: int, key: str, value: str | None) -> int | None:
        return self.numbers.get((kind, key, value))

    def count(self, term: int) -> int:
        return sum(len(chunk) for chunk in self.posts.get(term, {}).values())

    def walk(self, kind: int, key: str, low: bytes = b"", below: bytes | None = None) -> Iterator[tuple[str, int]]:
        found = [
            (value, n) for (k, name, value), n in self.numbers.items() if (k, name) == (kind, key) and value is not None
        ]
        for value, number in sorted(found, key=lambda item: value_key(item[0])):
            if low <= value_key(value) and (below is None or value_key(value) < below):
                yield value, number

    def plain_tags(self, prefix: str) -> Iterator[tuple[str, int]]:
        yield from sorted(
            (key, n)
            for (k, key, v), n in self.numbers.items()
            if k == kinds.TAG and v is None and key.startswith(prefix)
        )

    def keys(self, prefix: str) -> Iterator[str]:
        yield from sorted(
            {k for kind, k, v in self.numbers if kind == kinds.TAG and v is not None and k.startswith(prefix)}
        )

    def matching_tags(self, tag: str) -> list[str]:
        found = {self.aliases.get(tag, tag): None}
        left = list(found)
        while left:
            one = left.pop()
            more = [*self.implied.get(one, ()), *(alias for alias, target in self.aliases.items() if target == one)]
            more.append(self.aliases.get(one, one))  # what implies may be written as an alias itself
            for other in more:
                if other not in found:
                    found[other] = None
                    left.append(other)
        return list(found)

    def named(self, name: str) -> BitMap:
        return BitMap(n for n, file in self.files.items() if file.name == name)

    def names_beginning(self, prefix: str) -> BitMap:
        return BitMap(n for n, file in self.files.items() if file.name.startswith(prefix))

    def ids_beginning(self, hex_digits: str) -> BitMap:
        return BitMap(n for n, file in self.files.items() if file.guid.replace("-", "").startswith(hex_digits))

    def node(self, alias: str) -> str | None:
        return NODES.get(alias)

    def node_aliases(self) -> list[str]:
        return list(NODES)

    def nodes_that_left(self) -> frozenset[str]:
        return frozenset()

    def tag_suggestions(self, tag: str) -> Iterable[tuple[str, int]]:
        for (kind, key, value), number in self.numbers.items():
            if kind == kinds.TAG and self.count(number):
                yield key if value is None else f"{key}={value}", self.count(number)

    def is_tag(self, tag: str) -> bool:
        return tag in self.made

    # Postings

    def chunk(self, term: int, high: int) -> BitMap | None:
        return self.posts.get(term, {}).get(high)

    def highs(self, term: int) -> list[int]:
        return sorted(self.posts.get(term, {}))

    def term_chunks(self, term: int) -> Iterator[tuple[int, BitMap]]:
        yield from sorted(self.posts.get(term, {}).items())

    def filter(self, bitmap: BitMap, attribute: str, low: int, high: int) -> BitMap:
        assert len({ordinal >> 16 for ordinal in bitmap}) == 1
        return BitMap(n for n in bitmap if low <= getattr(self.files[n], attribute) <= high)


# -- the model -----------------------------------------------------------------


def effective(library: Library, file: File) -> set[str]:
    """All tags a file answers to: its own, what they stand for, what they imply, and the aliases of those."""
    implies = [(by, tag) for tag, many in library.implied.items() for by in many]
    found = set(file.tags)
    while True:
        more = {library.aliases[tag] for tag in found if tag in library.aliases}
        more |= {alias for alias, tag in library.aliases.items() if tag in found}
        more |= {tag for by, tag in implies if by in found}
        if more <= found:
            return found
        found |= more


def fits(tree: Tree, library: Library, file: File) -> bool:
    if isinstance(tree, All):
        return True
    if isinstance(tree, And):
        return all(fits(part, library, file) for part in tree.parts)
    if isinstance(tree, Or):
        return any(fits(part, library, file) for part in tree.parts)
    if isinstance(tree, Not):
        return not fits(tree.part, library, file)
    assert isinstance(tree, Leaf)
    tags = effective(library, file)
    if isinstance(tree, Tag):
        return tree.tag in tags
    if isinstance(tree, TagPrefix):
        return any("=" not in tag and tag.startswith(tree.prefix) for tag in tags)
    assert isinstance(tree, AnyValue | ValuePrefix | Range | BuiltIn)
    key = tree.key
    if key in ("size", "added", "modified"):
        return fits_number(tree, file)
    mime = types_of_ext(file.ext) or ""
    if isinstance(tree, BuiltIn):
        return {
            "name": file.name == tree.value,
            "ext": file.ext == tree.value.lower(),
            "from": file.folder == tree.value,
            "id": file.guid.replace("-", "").startswith(tree.value.replace("-", "")),
            "holds": tree.value in file.holds,
            "knows": tree.value not in file.unknown,
            "type": mime == tree.value or mime.startswith(tree.value + "/"),
        }[key]
    texts = {
        "name": [file.name], "ext": [file.ext] if file.ext else [], "from": [file.folder], "id": [file.guid],
        "holds": list(file.holds), "knows": ["all"], "type": [mime] if mime else [],
    }.get(key)  # fmt: skip
    if texts is None:
        texts = [value for tag in tags for k, value in [split_tag(tag)] if k == key and value is not None]
    if isinstance(tree, AnyValue):
        return bool(texts)
    if isinstance(tree, ValuePrefix):
        return any(text.startswith(tree.prefix) for text in texts)
    return any(map(value_range(tree.low, tree.high, tree.above, tree.below).matches, texts))


def fits_number(tree: Tree, file: File) -> bool:
    if isinstance(tree, AnyValue):
        return True
    assert isinstance(tree, Range | BuiltIn)
    of_size = tree.key == "size"
    own = {"size": file.size_bytes, "added": file.added_ms, "modified": file.modified_ns // 1_000_000}[tree.key]

    def read(text: str) -> tuple[int, int, int, int]:
        found = parse_size(text) if of_size else parse_time(text, CLOCK)
        assert found is not None
        return found.at_least, found.at_most, found.first, found.last

    if isinstance(tree, BuiltIn):
        return read(tree.value)[2] <= own <= read(tree.value)[3]
    if tree.low is not None and (own <= read(tree.low)[1] if tree.above else own < read(tree.low)[0]):
        return False
    return tree.high is None or (own < read(tree.high)[0] if tree.below else own <= read(tree.high)[1])


# -- strategies ----------------------------------------------------------------

PLAIN = ["music", "jazz", "bebop", "rock", "rock & roll", "live", "Live", "tunes", "and"]
VALUED = ["year=1955", "year=1959", "year=1965.5", "year=1959-05", "taken=2019-05-03", "taken=2019", "artist=AC/DC",
          "artist=a..b", "genre=jazz", "genre=folk"]  # fmt: skip
TAGS = PLAIN + VALUED
ORDINALS = st.one_of(st.integers(0, 40), st.integers(65_530, 65_545), st.just(3 << 16), st.just(2**32 - 1))
SIZES = st.one_of(st.integers(0, 40), st.sampled_from([99_499_999, 99_500_000, 100_000_000, 100_499_999, 1 << 40]))
TIMES_MS = st.one_of(
    st.integers(NOW_MS - 9 * MS_PER_DAY, NOW_MS + MS_PER_DAY),
    st.sampled_from([-1, 0, utc_ms(2023, 12, 31, 22, 59, 59) + 999, utc_ms(2023, 12, 31, 23, 0, 0)]),
)


def files() -> st.SearchStrategy[list[File]]:
    def build(ordinal: int, n: int, tags: frozenset[str], ext: str, size: int, modified: int, added: int,
              holds: frozenset[str], unknown: frozenset[str]) -> File:  # fmt: skip
        guid = f"{n:08x}-0000-4000-8000-{ordinal:012x}"
        return File(ordinal, f"file{n}.{ext}", guid, tags, ext, f"/home/{n}", size, modified * 1_000_000 + n, added,
                    holds, unknown)  # fmt: skip

    nodes = st.frozensets(st.sampled_from(sorted(NODES)))
    one = st.builds(
        build, ORDINALS, st.integers(0, 5), st.frozensets(st.sampled_from(TAGS), max_size=4),
        st.sampled_from(["flac", "mp3", "jpg", "", "xyz"]), SIZES, TIMES_MS, TIMES_MS, nodes, nodes,
    )  # fmt: skip
    return st.lists(one, max_size=12, unique_by=lambda file: file.ordinal)


LIBRARIES = st.builds(
    Library,
    files(),
    st.dictionaries(st.sampled_from(TAGS), st.lists(st.sampled_from(TAGS), max_size=2), max_size=3),
    st.sampled_from([{}, {"tunes": "music"}, {"genre=jazz": "jazz", "tunes": "music"}]),
    st.sampled_from([(), TAGS, TAGS]),  # mostly all are known, or most trees would end in an error
)

ENDS = {
    "year": ["1950", "1955", "1959", "1966", "1959-05"],
    "taken": ["2019", "2019-05", "2018-12"],
    "artist": ["A", "AC", "b"],
    "size": ["0", "7", "20", "100MB", "99.6MB", "1TiB"],
    "added": ["2024", "2024-02-28", "2023-12-31T23:59", "yesterday", "today", "7d"],
    "modified": ["2024-02-28", "2024-02", "today", "1w", "1970"],
}
WORDS = [("name", "file3.mp3"), ("ext", "FLAC"), ("ext", "none"), ("from", "/home/2"), ("id", "00000003"),
         ("type", "audio"), ("type", "image/jpeg"), ("holds", "laptop"), ("knows", "tablet"),
         ("size", "100MB"), ("size", "7"), ("added", "2024-02-28"), ("modified", "7d"), ("added", "today")]  # fmt: skip


@st.composite
def ranges(draw: st.DrawFn) -> Tree:
    key = draw(st.sampled_from(sorted(ENDS)))
    low, high = (draw(st.none() | st.sampled_from(ENDS[key])) for _ in range(2))
    if low is None and high is None:
        return AnyValue(key)
    open_end = draw(st.booleans()) and (low is None or high is None)
    return Range(key, low, high, above=open_end and low is not None, below=open_end and high is not None)


LEAVES: st.SearchStrategy[Tree] = st.one_of(
    st.sampled_from(TAGS).map(Tag),
    st.sampled_from(["", "ro", "j", "Li", "zz"]).map(TagPrefix),
    st.sampled_from(["year", "genre", *ENDS, "ext", "type", "holds", "knows", "name", "id", "from"]).map(AnyValue),
    st.sampled_from(
        [("year", "19"), ("year", "1959-"), ("genre", "ja"), ("artist", "AC"), ("name", "file"), ("ext", "m")]
    ).map(lambda pair: ValuePrefix(*pair)),
    st.sampled_from([("from", "/home/"), ("id", "0000000"), ("type", "image/")]).map(lambda pair: ValuePrefix(*pair)),
    st.sampled_from(WORDS).map(lambda pair: BuiltIn(*pair)),
    ranges(),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map(both),
        st.lists(inner, min_size=1, max_size=3).map(either),
        inner.map(without),
    ),
    max_leaves=7,
)
SLOTS = st.tuples(st.booleans(), st.lists(LEAVES, min_size=1, max_size=3).map(either)).map(
    lambda pair: without(pair[1]) if pair[0] else pair[1]
)
GRAMMAR = st.text(alphabet=st.sampled_from('ab1+,-=%.25CF/"() <>!\\\u00e9\u0301\ud800\x00'), max_size=30)


# -- promises ------------------------------------------------------------------


@given(LIBRARIES, st.one_of(TREES, st.lists(SLOTS, min_size=1, max_size=4).map(both)))
def test_a_query_finds_what_fits_file_by_file(library: Library, tree: Tree) -> None:
    try:
        made = plan(tree, library, CLOCK, "query")
    except NoSuchTag:
        event("no such tag")  # when that is right is the next promise
        return
    except QueryError as exc:
        event("a range that runs backwards")
        if "backwards" not in exc.why:
            raise
        return
    expected = sorted(n for n, file in library.files.items() if fits(tree, library, file))
    assert list(result(made, library)) == expected
    assert count(made, library) == len(expected)
    assert made.root.files >= len(expected)
    assert first(made, library, 3) == expected[:3]
    assert [n for n in library.files if contains(made, library, n)] == [n for n in library.files if n in expected]
    blocks = list(chunks(made, library))
    assert [{n >> 16 for n in block} for block in blocks] == [{high} for high in sorted({n >> 16 for n in expected})]
    assert terms(made) <= set(library.numbers.values())
    assert fingerprint(made) == fingerprint(plan(tree, library, CLOCK, "query"))


@given(LIBRARIES, st.sampled_from(TAGS))
def test_a_tag_is_unknown_only_when_nothing_has_or_means_it(library: Library, tag: str) -> None:
    known = library.is_tag(tag) or any(tag in file.tags for file in library.files.values())
    try:
        plan(Tag(tag), library, CLOCK)
        assert known
    except NoSuchTag:
        assert not known


@given(st.text(max_size=40) | GRAMMAR)
@example("%")
@example("a%\ud8002")
def test_any_text_is_a_query_or_an_error(text: str) -> None:
    for parse in (parse_query, parse_rich, slots):
        try:
            parse(text)
        except QueryError as exc:
            error = exc
        else:
            continue
        assert 0 <= error.at <= len(text)
        assert error.query == text
        assert error.why


@given(st.lists(SLOTS, min_size=1, max_size=4).map(both))
def test_what_the_slots_can_say_is_read_back(tree: Tree) -> None:
    text = format_query(tree)
    if text is not None:
        assert parse_query(text, max_bytes=None) == tree
        assert format_query(parse_query(text, max_bytes=None)) == text


@given(TREES)
def test_every_tree_is_read_back_from_the_richer_form(tree: Tree) -> None:
    if not isinstance(tree, All):
        assert parse_rich(format_rich(tree)) == tree
        assert format_rich(parse_rich(format_rich(tree))) == format_rich(tree)


@given(GRAMMAR)
def test_what_was_read_is_read_back(text: str) -> None:
    for parse in (parse_query, parse_rich):
        try:
            tree = parse(text)
        except QueryError:
            continue
        assert parse_rich(format_rich(tree)) == tree
        spelled = format_query(tree)
        assert spelled is None or parse_query(spelled, max_bytes=None) == tree


@given(st.text(alphabet="abn+,-=%.25CF/d", max_size=24))
def test_every_slot_query_means_the_same_in_the_richer_form(text: str) -> None:
    if text.lower() in ("and", "or", "not"):
        return
    read: list[Tree | tuple[int, str]] = []
    for parse in (parse_query, parse_rich):
        try:
            read.append(parse(text))
        except QueryError as exc:
            read.append((exc.at, exc.why))
    assert read[0] == read[1] or text == "./"
