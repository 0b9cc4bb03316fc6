from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tagfs.index.blocks import (
    ATTR,
    ATTRS,
    FWD,
    NAMES,
    ROW,
    ROWS,
    Row,
    SegmentRead,
    attr_at,
    fwd_at,
    name_at,
    names_of,
    pack_attr,
    pack_segment,
    put_fixed,
    put_fwd,
    put_names,
    row_at,
    unpack_segment,
)

ordinals = st.integers(0, 600)
names = st.text(alphabet=st.characters(exclude_characters="/\0"), max_size=20).map(
    lambda s: s.encode("utf-8", "surrogatepass")
)


@given(st.lists(st.dictionaries(ordinals, names, min_size=1), max_size=5))
def test_the_name_last_put_is_read(writes: list[dict[int, bytes]]) -> None:
    blocks: dict[int, bytes] = {}
    wanted: dict[int, bytes] = {}
    for write in writes:
        for number in {o // NAMES for o in write}:
            blocks[number] = put_names(blocks.get(number), {o: n for o, n in write.items() if o // NAMES == number})
        wanted.update(write)
    for ordinal in range(601):
        assert name_at(blocks.get(ordinal // NAMES), ordinal) == wanted.get(ordinal, b"")
    for number, block in blocks.items():
        assert names_of(block) == [name_at(block, number * NAMES + k) for k in range(len(names_of(block)))]


@given(st.lists(st.dictionaries(ordinals, st.lists(st.integers(0, 1 << 20), max_size=12), min_size=1), max_size=5))
def test_the_terms_last_put_are_read(writes: list[dict[int, list[int]]]) -> None:
    blocks: dict[int, bytes] = {}
    wanted: dict[int, list[int]] = {}
    for write in writes:
        for number in {o // FWD for o in write}:
            blocks[number] = put_fwd(blocks.get(number), {o: r for o, r in write.items() if o // FWD == number})
        wanted.update(write)
    for ordinal in range(601):
        assert fwd_at(blocks.get(ordinal // FWD), ordinal) == wanted.get(ordinal, [])


def test_a_block_of_terms_is_as_narrow_as_its_numbers() -> None:
    narrow = put_fwd(None, {0: [1, 2, 0xFFFF]})
    wide = put_fwd(narrow, {1: [0x10000]})
    assert (narrow[0], wide[0]) == (2, 4)
    assert fwd_at(wide, 0) == [1, 2, 0xFFFF]
    assert put_fwd(wide, {1: []})[0] == 2
    far = put_fwd(None, {o: list(range(300)) for o in range(FWD)})
    assert far[1] == 4
    assert fwd_at(far, FWD - 1) == list(range(300))


rows = st.builds(
    Row,
    st.binary(min_size=16, max_size=16),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 0xFFFF),
    st.integers(0, 7),
    st.binary(min_size=32, max_size=32),
)


@given(
    st.dictionaries(st.integers(0, ROWS - 1), rows, min_size=1),
    st.dictionaries(st.integers(0, ROWS - 1), rows, min_size=1),
)
def test_the_row_last_put_is_read(first: dict[int, Row], second: dict[int, Row]) -> None:
    block = put_fixed(b"", {o: ROW.pack(*row) for o, row in first.items()}, ROWS, ROW.size)
    block = put_fixed(block, {o: ROW.pack(*row) for o, row in second.items()}, ROWS, ROW.size)
    wanted = first | second
    for ordinal in range(ROWS):
        row = row_at(block, ordinal)
        if ordinal in wanted:
            assert row == wanted[ordinal]
        else:
            assert row is None or not any(row.guid)
    assert row_at(block, 3 * ROWS + min(wanted)) == wanted[min(wanted)]
    assert row_at(None, 0) is None


@given(
    st.binary(min_size=16, max_size=16),
    st.integers(0, (1 << 47) - 1),
    st.integers(0, 0o7777),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.integers(0, ATTRS - 1),
)
def test_size_mode_time_and_mark_do_not_touch_each_other(
    guid: bytes, size: int, mode: int, shared: bool, mtime_ns: int, ordinal: int
) -> None:
    block = put_fixed(b"", {ordinal: pack_attr(guid, size, mode, shared, mtime_ns)}, ATTRS, ATTR.size)
    attr = attr_at(block, ordinal)
    assert attr == (int.from_bytes(guid[:7], "little"), size, mode, shared, mtime_ns)
    assert attr_at(block, ordinal + 1) == (0, 0, 0, False, 0)
    assert attr_at(None, ordinal) == (0, 0, 0, False, 0)


@given(
    st.builds(
        SegmentRead,
        st.integers(0, (1 << 32) - 1),
        st.integers(0, (1 << 32) - 1),
        st.integers(0, (1 << 64) - 1),
        st.integers(0, (1 << 64) - 1),
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.integers(0, (1 << 32) - 1),
        st.integers(0, (1 << 64) - 1),
    )
)
def test_how_far_a_segment_was_read_is_kept(read: SegmentRead) -> None:
    assert unpack_segment(pack_segment(read)) == read
