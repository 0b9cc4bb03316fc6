"""`recover.py` stands alone and so says the merge once more: it must come to the same as `tagfs.merge`."""

from __future__ import annotations

import json
import unicodedata

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tagfs.errors import PeerDataError
from tagfs.face import face_of
from tagfs.fact import Fact, encode_fact, parse_fact, parse_time_ns, time_text
from tagfs.glossary import Thing, compile_tags
from tagfs.merge import join
from tagfs.recovery import rows
from tagfs.tag import escape_tag
from tests.support.facts import FILES, NODES, arbitrary_facts, histories, thing_facts
from tests.support.recovering import script

GUID = FILES[0]
recover = script()
some_facts = st.lists(arbitrary_facts(files=[GUID]), max_size=12) | histories()
dice = st.randoms(use_true_random=False)


def read(lines: list[bytes]) -> recover.Library:  # type: ignore[name-defined]
    library = recover.Library()
    for line in lines:
        assert library.read_line(line), line
    return library


@given(some_facts, dice)
def test_script_joins_facts_about_a_file_as_lyts_does(facts: list[Fact], dice: object) -> None:
    lines = [encode_fact(fact) for fact in facts]
    dice.shuffle(lines)  # type: ignore[attr-defined]
    library = read(lines)
    state = join(GUID, map(parse_fact, (line.rstrip(b"\n") for line in lines)))
    face = face_of(state, NODES[0], NODES)
    file = library.files.get(GUID, recover.File())
    assert (file.made is not None) == (state.made is not None)
    assert file.name() == face.name
    assert file.tags() == list(face.tags)
    assert file.value("notes", "") == face.notes
    assert [head["sha256"] for head in file.heads()] == [content.sha256 for _, content in state.content_heads()]
    assert (parse_time_ns(file.modified()) or 0) == face.mtime_ns
    assert recover.time_ns(file.modified()) == parse_time_ns(file.modified())
    assert file.is_trashed() == (face.trashed or state.is_trashed())
    assert file.is_purged() == state.is_purged()
    assert frozenset(file.holders(NODES)) == face.holds
    assert {node for node in NODES if file.is_kept_from(node)} == face.unknown_to
    if state.made is not None:
        assert file.made["data"] == face.data
        assert file.made.get("from") == face.from_folder
    library.viewers = {NODES[0]}
    assert (GUID in library.listing()) == (face.listed and not face.trashed)


@given(st.lists(thing_facts(), max_size=15), dice)
def test_script_knows_aliases_and_devices_as_lyts_does(facts: list[Fact], dice: object) -> None:
    lines = [encode_fact(fact) for fact in facts]
    dice.shuffle(lines)  # type: ignore[attr-defined]
    library = read(lines)
    things: dict[tuple[str, str], Thing] = {}
    for fact in facts:
        kind = "tag" if fact.tag is not None else "node" if fact.node is not None else ""
        if kind:
            things.setdefault((kind, str(getattr(fact, kind))), Thing()).add(fact)
    tags = {text: thing for (kind, text), thing in things.items() if kind == "tag"}
    assert library.spelling() == compile_tags(tags).canonical
    for (kind, text), thing in things.items():
        if kind == "node":
            assert library.devices[text][1] == thing.value("alias", text[:8])


@given(
    arbitrary_facts(files=[GUID]) | thing_facts(),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_script_takes_the_lines_that_lyts_takes_and_no_damaged_one_hurts_it(
    fact: Fact, damage: list[tuple[int, int]]
) -> None:
    line = bytearray(encode_fact(fact).rstrip(b"\n"))
    for at, byte in damage:
        line[at % len(line)] = byte
    library = recover.Library()
    taken = library.read_line(bytes(line))
    library.listing()
    try:
        parse_fact(bytes(line))
    except PeerDataError:
        return
    # It may take what lyts does not (a tag with a control character); what lyts takes it takes.
    assert taken, bytes(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(arbitrary_facts(files=[GUID]), st.sampled_from(msgspec.structs.fields(Fact)), JSON)
def test_script_survives_any_value_of_any_key(fact: Fact, field: msgspec.structs.FieldInfo, value: object) -> None:
    library = recover.Library()
    line = json.loads(encode_fact(fact))
    line[field.encode_name] = value
    library.read_line(json.dumps(line).encode("utf-8", "surrogatepass"))
    library.listing()


@given(st.integers(-(1 << 62), 1 << 62))
def test_script_reads_times_as_lyts_writes_them(ns: int) -> None:
    assert recover.time_ns(time_text(ns)) == ns


@given(st.text(min_size=1, max_size=8), st.text(max_size=8))
def test_script_spells_tags_as_lyts_does(key: str, value: str) -> None:
    tag = f"{key.replace('=', '')}={value}" if value else key.replace("=", "") or "x"
    spelled = recover.escape_tag(tag)
    assert spelled == escape_tag(tag)
    assert recover.unescape(spelled) == tag


@given(st.text(max_size=12) | st.text(st.sampled_from("=+-@'\t\r\n\"\0,＝aé"), max_size=5))
def test_script_writes_and_reads_cells_as_lyts_does(text: str) -> None:
    assert recover.cell(text) == rows.cell(text)


# -- names

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.text(
    st.sampled_from('aA./ \\:*?"<>|~\n\t\u202e\u00e9e\u0301\u0130\u017fN\u2028コン'), min_size=1, max_size=12
)
FORBIDDEN = set('/\\:*?"<>|')


@given(names)
def test_names_that_come_out_are_safe(name: str) -> None:
    safe = recover.safe_name(name)
    assert safe
    assert not FORBIDDEN & set(safe)
    assert not any(unicodedata.category(ch) in ("Cc", "Zl", "Zp") or ch in "\u202a\u202e\u2066\u200f" for ch in safe)
    assert safe not in (".", "..")
    assert safe[-1] not in ". "
    assert safe.split(".")[0].lower() not in ("con", "nul", "com1", "lpt9")
    assert safe[0] != " "
    assert recover.safe_name(safe) == safe


@given(st.lists(st.tuples(names, st.sampled_from(["", "a", "A", "b"])), min_size=1, max_size=8))
def test_names_that_come_out_are_unique_whatever_they_were(given: list[tuple[str, str]]) -> None:
    rows = {}
    for number, (name, tag) in enumerate(given):
        guid = f"{number % 3:08x}-0000-4000-8000-{number:012x}"
        rows[guid] = recover.Row(guid, name[:120], "", -1, "", [tag] if tag else [], "", "", [], "")
    found = recover.Places(rows, "tags")
    first = [next(choices) for guid in rows for choices in found.of(guid)]
    keys = [recover.clash_key(place) for place in first]
    assert len(set(keys)) == len(keys)
    for place in first:
        assert len(place.rpartition("/")[2].encode()) <= 255
    # The order in which files are met must not matter: another disk may have them in another.
    other = recover.Places(dict(reversed(rows.items())), "tags")
    for guid in rows:
        assert [list(choices) for choices in other.of(guid)] == [list(choices) for choices in found.of(guid)]
