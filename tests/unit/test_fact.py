from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tagfs.errors import PeerDataError
from tagfs.fact import (
    MAX_LINE_BYTES,
    Fact,
    Purge,
    data_path_is_safe,
    encode_fact,
    name_is_possible,
    parse_fact,
    parse_time_ns,
    time_text,
    what_is_wrong,
)
from tests.support.facts import FILES, HASHES, NODES, arbitrary_facts, content, made, stamp, thing_facts, through_a_line

AT = stamp(5, NODES[0])
HEAD: dict[str, Any] = {"at": AT, "by": NODES[0]}
FILE: dict[str, Any] = {**HEAD, "file": FILES[0]}


def line(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def refusal(raw: bytes) -> str:
    with pytest.raises(PeerDataError) as caught:
        parse_fact(raw)
    return str(caught.value)


@given(arbitrary_facts() | thing_facts())
def test_a_fact_survives_its_line(fact: Fact) -> None:
    raw = encode_fact(fact)
    assert raw.endswith(b"\n")
    assert raw.count(b"\n") == 1
    assert parse_fact(raw[:-1]) == fact
    assert what_is_wrong(fact) == ""


def test_a_line_leaves_out_what_is_not_said() -> None:
    fact = Fact(**FILE, tag=["music"])
    assert json.loads(encode_fact(fact)) == {"at": AT, "by": NODES[0], "file": FILES[0], "tag": ["music"]}


def test_the_lines_of_the_paper_are_read() -> None:
    birth = parse_fact(
        line(
            **FILE,
            made={"name": "Holiday in Rome.jpg", "data": f"9c/{FILES[0]}--holiday-in-rome.jpg", "from": "/home/ada"},
        )
    )
    assert birth.made is not None
    assert birth.made.from_ == "/home/ada"
    assert parse_fact(line(**FILE, untag={"rome": {AT[26:]: AT}})).untag == {"rome": {AT[26:]: AT}}
    assert parse_fact(line(**HEAD, tag="jazz", implies=["music"])).tag == "jazz"
    assert parse_fact(line(**HEAD, node=NODES[1], alias="laptop", device="SYNCTHING-ID")).alias == "laptop"


def test_unknown_keys_and_kinds_are_no_error() -> None:
    assert parse_fact(line(**FILE, tag=["music"], colour={"deep": [1, None]})).tag == ["music"]
    assert parse_fact(line(**HEAD, planet="venus", mass=4.8e24)) == Fact(**HEAD)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "required"),
        ({"at": AT}, "required"),
        ({**HEAD, "at": "yesterday"}, "no stamp"),
        ({**HEAD, "by": "me"}, "no node"),
        ({**HEAD, "by": NODES[1]}, "of another node"),
        ({**HEAD, "action": "x"}, "no action"),
        ({**HEAD, "undoes": "x"}, "no action"),
        ({**HEAD, "file": "x"}, "no file"),
        ({**HEAD, "file": FILES[0].upper()}, "no file"),
        ({**FILE, "tag": "music"}, "must be a list"),
        ({**FILE, "tag": [""]}, "no possible tag"),
        ({**FILE, "tag": ["=1959"]}, "no possible tag"),
        ({**FILE, "tag": ["nul\0"]}, "no possible tag"),
        ({**FILE, "tag": ["line\nbreak"]}, "no possible tag"),
        ({**FILE, "tag": ["x" * 201]}, "no possible tag"),
        ({**FILE, "tag": ["ü" * 101]}, "no possible tag"),
        ({**FILE, "untag": {"x" * 600: {}}}, "no possible tag"),
        ({**FILE, "untag": {"music": {AT[26:]: "x"}}}, "names no stamp"),
        ({**FILE, "untag": {"music": {"00000000": AT}}}, "names no stamp"),
        ({**FILE, "made": {"name": "a/b", "data": "9c/x"}}, "no possible name"),
        ({**FILE, "made": {"name": "", "data": "9c/x"}}, "no possible name"),
        ({**FILE, "made": {"name": "ü" * 128, "data": "9c/x"}}, "no possible name"),
        ({**FILE, "made": {"name": "a", "data": "../x"}}, "no place for data"),
        ({**FILE, "made": {"name": "a", "data": "/etc/passwd"}}, "no place for data"),
        ({**FILE, "name": ".."}, "no possible name"),
        ({**FILE, "content": {"sha256": "0", "size_bytes": 1, "modified": "2024-05-01T12:00:00Z"}}, "no SHA-256"),
        ({**FILE, "content": {"sha256": "A" * 64, "size_bytes": 1, "modified": "2024-05-01T12:00:00Z"}}, "no SHA-256"),
        (
            {**FILE, "content": {"sha256": "0" * 64, "size_bytes": -1, "modified": "2024-05-01T12:00:00Z"}},
            "impossible size",
        ),
        (
            {**FILE, "content": {"sha256": "0" * 64, "size_bytes": 1 << 47, "modified": "2024-05-01T12:00:00Z"}},
            "impossible size",
        ),
        (
            {**FILE, "content": {"sha256": "0" * 64, "size_bytes": 1, "modified": "yesterday"}},
            "impossible size or time",
        ),
        ({**FILE, "modified": "2024-05-01 12:00:00Z"}, "no time"),
        ({**FILE, "mode": 0o10000}, "no mode"),
        ({**FILE, "mode": -1}, "no mode"),
        ({**FILE, "mode": 10**30}, ""),
        ({**FILE, "holds": {"tablet": True}}, "names no node"),
        ({**FILE, "knows": {"": False}}, "names no node"),
        ({**FILE, "purge": {"content": ["zz"], "seen": {}}}, "no SHA-256"),
        ({**FILE, "purge": {"content": [], "seen": {"00000000": AT}}}, "no stamp"),
        ({**HEAD, "tag": ["music"]}, "about no file"),
        ({**HEAD, "tag": "x" * 201, "exists": True}, "no possible tag"),
        ({**HEAD, "tag": "jazz", "implies": ["x" * 600]}, "no possible tag"),
        ({**HEAD, "tag": "jazz", "alias": ["a\0b"]}, "no possible tag"),
        ({**HEAD, "tag": "jazz", "alias": "music"}, "must be a list"),
        ({**HEAD, "tag": "jazz", "unimplies": {"music": {"00000000": AT}}}, "names no stamp"),
        ({**HEAD, "node": "laptop"}, "no node"),
        ({**HEAD, "node": NODES[0], "alias": ["a"]}, "must be a text"),
        ({**HEAD, "saved": "", "query": "music"}, "cannot name"),
        ({**HEAD, "saved": "x" * 600, "query": "music"}, "cannot name"),
        ({**HEAD, "set": "lsd-0", "label": "laptop"}, "needs"),
        ({**HEAD, "set": "lsd-0", "label": "a/b", "nodes": []}, "no possible label"),
        ({**HEAD, "set": "lsd-0", "label": "..", "nodes": []}, "no possible label"),
        ({**HEAD, "set": "x" * 600, "label": "a", "nodes": []}, "needs"),
    ],
)
def test_a_line_with_impossible_values_is_refused_with_the_reason(fields: dict[str, Any], why: str) -> None:
    assert why in refusal(line(**fields))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"42",
        b'"fact"',
        b"{",
        b"\xff\xfe",
        b"\0" * 100,
        b"[" * 100_000,
        b'{"x":' * 100_000,
        line(**FILE) + b"garbage",
        line(**FILE)[:-1],
        b'{"at":"\\ud800","by":"x"}',
    ],
)
def test_garbage_is_refused(raw: bytes) -> None:
    refusal(raw)


def test_a_line_too_long_is_not_read() -> None:
    assert "more than" in refusal(line(**FILE, notes="x" * MAX_LINE_BYTES))


@given(st.binary(max_size=200))
@example(b'{"at":"\xed\xa0\x80"}')
def test_any_bytes_are_a_fact_or_refused(raw: bytes) -> None:
    try:
        fact = parse_fact(raw)
    except PeerDataError as exc:
        assert str(exc)
    else:
        assert what_is_wrong(fact) == ""


any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([AT, NODES[0], FILES[0], HASHES[0]]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from([AT[26:], NODES[0]]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(arbitrary_facts() | thing_facts(), st.data())
def test_a_valid_line_with_anything_put_in_is_a_fact_or_refused(fact: Fact, data: st.DataObject) -> None:
    fields = json.loads(encode_fact(fact))
    for _ in range(data.draw(st.integers(1, 3))):
        key = data.draw(st.sampled_from(sorted(Fact.__struct_encode_fields__)))
        inside = fields.get(key)
        if isinstance(inside, dict) and inside and data.draw(st.booleans()):
            inside[data.draw(st.sampled_from(sorted(inside)))] = data.draw(any_json)
        else:
            fields[key] = data.draw(any_json)
    try:
        read = parse_fact(json.dumps(fields).encode())
    except PeerDataError as exc:
        assert str(exc)
    else:
        assert through_a_line(read) == read


@given(arbitrary_facts() | thing_facts(), st.data())
def test_a_valid_line_with_bytes_changed_is_a_fact_or_refused(fact: Fact, data: st.DataObject) -> None:
    raw = bytearray(encode_fact(fact)[:-1])
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = parse_fact(bytes(raw))
    except PeerDataError as exc:
        assert str(exc)
    else:
        assert through_a_line(read) == read


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_a_time_is_written_and_read_to_the_nanosecond(ns: int) -> None:
    assert parse_time_ns(time_text(ns)) == ns


def test_times_are_written_without_needless_zeros() -> None:
    assert time_text(0) == "1970-01-01T00:00:00Z"
    assert time_text(1_500_000_000) == "1970-01-01T00:00:01.5Z"
    assert time_text(-1) == "1969-12-31T23:59:59.999999999Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "2024-05-01",
        "2024-05-01T12:00:00",
        "2024-05-01T12:00:00+00:00",
        "2024-05-01T12:00:00.Z",
        "2024-05-01T12:00:00.50Z",
        "2024-05-01T12:00:00.0Z",
        "2024-05-01T12:00:00.1234567891Z",
        "2024-05-01 12:00:00Z",
        "2024-W18-3T12:00:00Z",
        "2024-05-01T24:00:00Z",
        "2024-13-01T12:00:00Z",
        "2024-05-01T12:00:0٣Z",
        "9999-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "2024-05-01T12:00:00Z\n",
    ],
)
def test_a_time_has_one_spelling(text: str) -> None:
    assert parse_time_ns(text) is None


@given(st.text(max_size=30))
def test_any_text_can_be_asked_for_its_time(text: str) -> None:
    ns = parse_time_ns(text)
    assert ns is None or time_text(ns) == text


@pytest.mark.parametrize("path", ["9c/x", "9c/x--y.jpg", "zz/" + "x" * 255])
def test_data_stands_in_one_of_the_small_folders(path: str) -> None:
    assert data_path_is_safe(path)


@pytest.mark.parametrize(
    "path",
    ["", "9c", "9c/", "/x", "../x", "./x", "9c/..", "9c/.", "9c/a/b", "9c/a\0b", "9cc/x", "9c/" + "x" * 256, "9c//x"],
)
def test_data_never_stands_elsewhere(path: str) -> None:
    assert not data_path_is_safe(path)


def test_a_name_is_what_a_directory_can_show() -> None:
    assert name_is_possible("a" * 255)
    assert name_is_possible("new\nline")
    assert not any(map(name_is_possible, ["", ".", "..", "a/b", "a\0b", "a" * 256, "ü" * 128]))


def test_a_birth_is_one_line() -> None:
    fact = Fact(**FILE, made=made(FILES[0]), content=content(), tag=["music"], holds={NODES[0]: True})
    assert encode_fact(fact).count(b"\n") == 1
    assert through_a_line(fact) == fact


def test_a_purge_keeps_what_it_had_seen() -> None:
    fact = Fact(**FILE, purge=Purge(content=[HASHES[0]], seen={AT[26:]: AT}))
    assert through_a_line(fact).purge == fact.purge
