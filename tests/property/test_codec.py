"""What the index keeps of a merge state is the whole of it."""

from __future__ import annotations

from hypothesis import event, example, given
from hypothesis import strategies as st

from tagfs.face import face_of
from tagfs.fact import Fact, parse_time_ns
from tagfs.guid import bytes_of_guid
from tagfs.index.blocks import PLAIN, Attr, Row
from tagfs.index.codec import is_plain, pack_merge, unpack_state
from tagfs.merge import FileState, join
from tests.support.facts import FILES, HASHES, NODES, TIMES, arbitrary_facts, content, histories, made, stamp

GUID = FILES[0]


class Numbers:
    """Numbers for nodes and tags, as the index gives them."""

    def __init__(self) -> None:
        self.nodes: list[str] = []
        self.tags: list[str] = []

    def node_number(self, text: str) -> int:
        if text not in self.nodes:
            self.nodes.append(text)
        return self.nodes.index(text)

    def node_text(self, number: int) -> str:
        return self.nodes[number]

    def tag_number(self, tag: str) -> int:
        if tag not in self.tags:
            self.tags.append(tag)
        return self.tags.index(tag)

    def tag_text(self, number: int) -> str:
        return self.tags[number]


def kept(state: FileState) -> tuple[FileState, bytes | None]:
    """The state as the index gives it back, and its merge record."""
    numbers = Numbers()
    face = face_of(state, NODES[0], NODES)
    merge = pack_merge(state, face.name, numbers)
    row = Row(
        bytes_of_guid(state.guid),
        face.born_when,
        numbers.node_number(state.by) if state.by else 0,
        PLAIN if merge is None else 0,
        bytes.fromhex(face.sha256) if face.sha256 else bytes(32),
    )
    attr = Attr(0, face.size_bytes, face.mode, False, face.mtime_ns)
    return unpack_state(row, face.name, attr, sorted(face.tags), face.from_folder, merge, numbers), merge


BIRTH = {"made": made(GUID), "content": content(), "tag": ["music"], "holds": {NODES[0]: True}}


@given(st.lists(arbitrary_facts(files=[GUID]), max_size=10) | histories())
@example([])
@example([Fact(at=stamp(1, NODES[0]), by=NODES[0], file=GUID, **BIRTH)])
@example(
    [
        Fact(at=stamp(1, NODES[0]), by=NODES[0], file=GUID, **BIRTH),
        Fact(at=stamp(2, NODES[0]), by=NODES[0], file=GUID, tag=["a"]),
    ]
)
@example(
    [
        Fact(at=stamp(1, NODES[0]), by=NODES[0], file=GUID, **BIRTH),
        Fact(at=stamp(2, NODES[0]), by=NODES[0], file=GUID, modified=TIMES[1]),
    ]
)
@example([Fact(at=stamp(1, NODES[0]), by=NODES[0], file=GUID, **{**BIRTH, "content": content(was=HASHES[1])})])
def test_a_state_is_read_as_it_was_kept(facts: list[Fact]) -> None:
    state = join(GUID, facts)
    again, merge = kept(state)
    assert again == state
    assert (merge is None) == is_plain(state)
    event("plain" if merge is None else "with a merge record")


def test_a_file_added_and_never_touched_needs_no_merge_record() -> None:
    state = join(GUID, [Fact(at=stamp(1, NODES[0]), by=NODES[0], file=GUID, **BIRTH)])
    assert kept(state) == (state, None)


def test_tagging_a_file_later_costs_a_few_bytes() -> None:
    first = Fact(at=stamp(1, NODES[0]), by=NODES[0], file=GUID, **{**BIRTH, "tag": None})
    state = join(GUID, [first, Fact(at=stamp(2, NODES[0]), by=NODES[0], file=GUID, tag=["music", "flac", "live"])])
    again, merge = kept(state)
    assert again == state
    assert merge is not None
    assert len(merge) < 40


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_any_time_of_64_bits_is_kept(ns: int) -> None:
    from tagfs.fact import time_text

    text = time_text(ns)
    state = join(
        GUID, [Fact(at=stamp(1, NODES[0]), by=NODES[0], file=GUID, **{**BIRTH, "content": content(modified=text)})]
    )
    assert kept(state)[0] == state
    assert parse_time_ns(text) == ns
