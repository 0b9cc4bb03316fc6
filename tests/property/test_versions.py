"""Which earlier contents go: what undo needs stays, the oldest go first, and what is left fits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tagfs.views.saving import Kept
from tagfs.views.versions import DAY_NS, Limits, limits, to_drop

NOW_NS = 100 * DAY_NS
_kept = st.builds(
    Kept,
    st.sampled_from("abcd"),
    st.sampled_from("0123456789"),
    st.integers(0, 50),
    st.integers(0, 100).map(lambda day: day * DAY_NS),
)
_versions = st.lists(_kept, max_size=20, unique_by=lambda one: (one.file, one.sha256))
_needed = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("0123456789"))


@given(_versions, st.integers(0, 300), _needed)
def test_what_undo_needs_stays_and_the_rest_fits_or_is_gone(
    kept: list[Kept], budget: int, needed: dict[str, str]
) -> None:
    asked: list[str] = []

    def answer(files: set[str]) -> dict[str, str]:
        asked.extend(files)
        return needed

    go = to_drop(kept, NOW_NS, Limits(30, budget, 30), answer)
    left = [one for one in kept if one not in go]

    def is_young(one: Kept) -> bool:
        return NOW_NS - one.kept_at_ns <= 30 * DAY_NS

    def is_needed(one: Kept) -> bool:
        return is_young(one) and needed.get(one.file) == one.sha256

    assert not [one for one in go if is_needed(one)]
    assert not [one for one in left if not is_young(one)]
    others = [one for one in left if not is_needed(one)]
    assert sum(one.size_bytes for one in left) <= budget or not [one for one in others if one.size_bytes]
    assert len(asked) == len(set(asked))  # ledgers are read once for a file
    for one in go:  # nothing older than it stays, but for what undo needs
        assert not [other for other in others if other.kept_at_ns < one.kept_at_ns]


@given(
    st.integers(0, 10**15),
    st.dictionaries(
        st.sampled_from(["versions_days", "versions_mib", "trash_days"]),
        st.one_of(st.integers(-5, 10**6), st.text(max_size=3), st.booleans(), st.none()),
    ),
)
def test_limits_are_what_is_said_where_that_makes_sense(disk_bytes: int, values: dict[str, object]) -> None:
    found = limits(values, disk_bytes)
    assert found.versions_days >= 0
    assert found.trash_days >= 1
    assert found.versions_bytes >= 0
    if "versions_mib" not in values:
        assert found.versions_bytes <= min(10 << 30, disk_bytes / 10)
