"""A rule says of a file that is about to be made what a query finds a moment later."""

from __future__ import annotations

import tempfile
from itertools import count

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tagfs.errors import NoSuchTag, QueryError
from tagfs.face import face_of
from tagfs.fact import Content, Made, time_text
from tagfs.glossary import RULE_THING
from tagfs.guid import new_guid
from tagfs.placement import Placing, rule_clock
from tagfs.query.onefile import files_found, matches
from tagfs.slug import data_path
from tagfs.verbs.select import matching
from tests.support.stores import MTIME_NS, START_MS, Machine, fast_folder, make_store

NAMES = ("a.flac", "b.JPG", "film.mkv", "no extension", "Grüße.txt")
TAGS = ("music", "video", "rome", "year=1959", "year=2026", "artist=AC/DC")
TERMS = (
    *TAGS[:4], "year=1950..1960", "year=..", "vi%", "artist=..", "nothing", "key=..", "key=1",
    "size=1GB..", "size=..5kB", "size=1000", "type=audio", "type=video/x-matroska", "ext=jpg", "ext=fl%",
    "name=a.flac", "name=f%", "modified=2023", "modified=..2020", "added=2025", "added=7d", "from=/home/ada%",
    "modified=2023-11-14T22:13:20..", "modified=..2023-11-14T22:13:19", "added=2025-11-24T16:00:01..",
    "from=/home/ada", "type=nonsense", "size=nonsense", "musics",
)  # fmt: skip
queries = st.lists(st.tuples(st.sampled_from("+,-"), st.sampled_from(TERMS)), min_size=1, max_size=4).map(
    lambda parts: " ".join({"+": "and ", ",": "or ", "-": "and not "}[sign] * bool(n) + term
                           for n, (sign, term) in enumerate(parts))
)  # fmt: skip


@settings(max_examples=60)
@given(
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(TAGS), unique=True, max_size=3),
    st.sampled_from([0, 999, 1000, 4096, 1 << 30, 10**9, 10**12]),
    st.lists(queries, min_size=1, max_size=8),
    st.booleans(),
)
def test_rule_and_query_agree(name: str, tags: list[str], size: int, asked: list[str], implied: bool) -> None:
    numbers = count(1)
    with tempfile.TemporaryDirectory(dir=fast_folder()) as folder, make_store(folder, Machine()) as store:
        guid = new_guid(store.machine.random_bytes(16))
        fields = {
            "made": Made(name=name, data=data_path(guid, name), from_="/home/ada"),
            "content": Content(sha256="a" * 64, size_bytes=size, modified=time_text(MTIME_NS)),
            "tag": tags or None,
        }
        clock = rule_clock(START_MS)
        if implied:
            store.act(lambda change: change.about_tag("rome", implies=["nothing"], exists=True))
        rules = {new_guid(next(numbers).to_bytes(16, "big")): query for query in asked}

        def born(change):  # type: ignore[no-untyped-def]
            for rule, query in rules.items():
                change.about("rule", RULE_THING, rule, query=query, holds={change.node: True})
            placing = Placing(change.view, change.node, (), change.wall_ms)
            said = {**fields, **placing.birth(fields, guid)}
            assert said == {**fields, "holds": {change.node: True}}  # rules of this change stand in no view yet
            change.about_file(guid, **said)

        store.act(born)
        with store.view() as view:
            face = face_of(store.states([guid])[0], store.node)
            foretold = set(Placing(view, store.node, (), START_MS).birth(fields, guid).get("placed_by", ()))
            for rule, query in rules.items():
                found = view.ordinal(guid) in files_found(query, view, clock)
                event(f"finds it: {found}")
                assert matches(query, guid, face, view, clock) == found, query
                assert (rule in foretold) == found, query
                try:
                    assert (view.ordinal(guid) in matching(view, query, clock)) == found, query
                except NoSuchTag:
                    event("a tag that no file has")
                except QueryError:
                    assert not found
