"""Whatever is typed: the shell's pure half answers, and what it offers is read back as it was meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from shell.live.asked import Counted, Meant, Named, Touched
from shell.live.line import at_end, parsed, spelled
from shell.live.looks import spans
from shell.live.numbers import NotListed, chosen, is_numbers
from shell.live.offers import offers
from shell.live.own import LiveRoot, summaries
from shell.live.place import Place, parts_of
from shell.live.program_words import selections
from shell.live.settings import DEFAULTS, Settings, parse_settings
from shell.live.shape import Shapes
from shell.live.state import State
from shell.live.touched import is_careful, preview
from shell.text import harmless
from shell.words import joined
from tagfs.errors import BadTag, QueryError
from tagfs.query.rich import format_rich, parse_rich
from tagfs.query.tree import All, Tag, Tree, both, either, without
from tagfs.tag import check_tag
from tagfs.verbs.picks import Guids
from tests.property.test_query import TREES

SHAPES = Shapes(LiveRoot(), summaries())
GUIDS = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(5)]

texts = st.text(max_size=40)
_PIECES = """cd ls tag untag rm lyts -q --query= -- + - , ; | ! # ' " \\ * 1 3-7 2,4 music music+ jazz year= 'rock
 & roll' ( ) tags rename show undo .. / > mpv --long - trash"""
pieces = st.sampled_from([*_PIECES.split(), "\n"])
lines = st.one_of(
    texts,
    st.lists(st.one_of(pieces, texts), max_size=8).map(" ".join),
    st.lists(pieces, max_size=12).map("".join),
)


def valid_tag(text: str) -> str | None:
    try:
        return check_tag(text)
    except BadTag:
        return None


tags = st.one_of(
    st.sampled_from(["music", "jazz", "rock & roll", "a+b", "it's", '7" single', "year=1959", "x=(1)", "100%", "a  b"]),
    st.text(min_size=1, max_size=12).map(valid_tag).filter(lambda tag: tag is not None).map(str),
)
names = st.one_of(
    st.text(max_size=20), st.sampled_from(["3", "*", "a b.flac", "it's", "\x1b[2J", "-x", "2-4", "'", "#1"])
)


class Made:
    """A library that Hypothesis makes up."""

    def __init__(self, tags: list[str], names: list[str], sure: bool = True) -> None:
        self._tags = [Counted(tag, 10 + n, sure) for n, tag in enumerate(dict.fromkeys(tags))]
        self._names = names

    def exact(self, within: str, tags: Sequence[str]) -> Sequence[int]:
        return [5] * len(tags)

    def tags(self, within: str) -> Sequence[Counted]:
        return self._tags

    def total(self, query: str) -> int | str:
        try:
            parse_rich(query)
        except QueryError as exc:
            return str(exc)
        return 3

    def names(self, begin: str, within: str, most: int) -> Sequence[Named]:
        return [Named(guid, name) for guid, name in zip(GUIDS * 4, self._names, strict=False)]

    def saved(self) -> Mapping[str, str]:
        return {"evening": "music+jazz"}

    def nodes(self) -> Sequence[str]:
        return ["laptop", "old tablet"]

    def paths(self, word: str) -> Sequence[str]:
        return [word + name for name in ("a b", "c/")]

    def programs(self, begin: str) -> Sequence[str]:
        return [begin + "x"]

    def touched(self, meant: Meant, tags: Sequence[str]) -> Touched:
        return Touched(3, dict.fromkeys(tags, 1), ("a\x1b[2J",))

    def next_undo(self, redo: bool) -> str:
        return "tag \x1b[2J"


libraries = st.builds(Made, st.lists(tags, max_size=6), st.lists(names, max_size=6), st.booleans())
states = st.builds(
    State,
    st.builds(Place, st.sampled_from([(), ("music",), ("music", "(jazz or live)")])),
    st.just(Place()),
    st.sampled_from([Guids(b""), Guids.of(GUIDS)]),
)


@given(lines)
def test_any_line_is_read_and_its_words_stand_where_they_say(text: str) -> None:
    line = parsed(text)
    at = 0
    for command in line.commands:
        assert at <= command.start <= command.end <= len(text)
        for word in command.words:
            assert at <= word.start < word.end <= len(text)
            at = word.end
            if not word.quoted and "\\" not in text:
                assert text[word.start : word.end] == word.text
        at = command.end
    end = at_end(text)
    assert 0 <= end.word.start <= end.word.end <= len(text)


@given(st.lists(texts, min_size=1, max_size=5), st.sampled_from(["", "'", '"']))
def test_words_that_were_written_are_read_back(words: list[str], quote: str) -> None:
    line = " ".join(spelled(word, quote) for word in words)
    if not line.startswith("!"):
        assert [[word.text for word in one.words] for one in parsed(line).commands] == [words]


@given(st.text(alphabet="0123456789-,", max_size=12), st.integers(0, 200))
def test_numbers_lie_within_the_listing_or_are_refused(text: str, listed: int) -> None:
    if is_numbers(text, listed):
        try:
            found = chosen(text, listed)
        except NotListed:
            return
        assert found
        assert len(set(found)) == len(found)
        assert all(0 <= place < listed for place in found)


@given(lines)
def test_what_a_program_line_means_stands_where_it_says(text: str) -> None:
    try:
        found = selections(text, 9)
    except NotListed:
        return
    at = 0
    for one in found:
        assert at <= one.start < one.end <= len(text)
        at = one.end


@given(lines, states, libraries)
def test_completion_of_any_line_puts_in_what_the_line_reads_back(text: str, state: State, made: Made) -> None:
    for offer in offers(text, state, SHAPES.get, SHAPES.summaries, made):
        assert 0 <= offer.start <= len(text)
        assert (offer.shown, offer.about) == (harmless(offer.shown), harmless(offer.about))
        after = text[: offer.start] + offer.text
        assert len(parsed(after).commands) <= len(parsed(text).commands) + 1


QUERIES = {
    "cd ": lambda tag: tag,
    "ls ": lambda tag: tag,
    "tag x -q ": lambda tag: tag,
    "cd music+": lambda tag: both([Tag("music"), tag]),
    "cd music+-": lambda tag: both([Tag("music"), without(tag)]),
    "find jazz,": lambda tag: either([Tag("jazz"), tag]),
}


@given(tags, st.sampled_from(sorted(QUERIES)))
def test_a_tag_that_is_offered_in_a_query_means_that_tag(tag: str, line: str) -> None:
    found = offers(line, State(), SHAPES.get, SHAPES.summaries, Made([tag], []))
    assert found or tag in ("music", "jazz")
    for offer in found:
        (command,) = parsed(line[: offer.start] + offer.text).commands
        words = [word.text for word in command.words[1:] if word.text not in ("-q", "x")]
        query = joined(words, lambda text: text == tag)
        assert parse_rich(query) == QUERIES[line](Tag(tag))


@given(lines, states, libraries)
def test_any_line_has_a_preview_that_does_no_harm(text: str, state: State, made: Made) -> None:
    found = preview(text, state, SHAPES.get, made)
    assert "\x1b" not in found.text
    is_careful(text, SHAPES.get)


@given(lines, st.integers(0, 9))
def test_colours_of_any_line_do_not_overlap(text: str, listed: int) -> None:
    at = 0
    for span in spans(text, listed, SHAPES.get):
        assert at <= span.start <= span.end <= len(text)
        at = span.end


@given(TREES, TREES)
def test_going_into_a_query_asks_for_both(one: Tree, other: Tree) -> None:
    if isinstance(one, All) or isinstance(other, All):
        return
    place = Place(tuple(parts_of(format_rich(one)))).into(format_rich(other))
    assert parse_rich(place.query) == both([one, other])


@given(texts)
def test_parts_of_any_query_are_queries_where_the_whole_is(query: str) -> None:
    parts = parts_of(query)
    try:
        tree = parse_rich(query)
    except QueryError:
        return
    assert both(parse_rich(part) for part in parts) == tree
    assert parse_rich(Place(tuple(parts)).query) == tree


@given(st.one_of(st.binary(max_size=200), texts.map(str.encode), st.just(b"[shell]\nkeys = 3\n")))
def test_any_config_gives_settings_and_sentences(raw: bytes) -> None:
    settings, wrong = parse_settings(raw, "/config.toml")
    assert isinstance(settings, Settings)
    assert wrong or settings == DEFAULTS or b"shell" in raw
    assert all(sentence.startswith("/config.toml, line ") for sentence in wrong)
