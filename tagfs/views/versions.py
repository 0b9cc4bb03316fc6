"""Which earlier contents of files go: by age, then by room, and what has to stay whatever it costs.

Replaced bytes stay as a version for 30 days within a size budget, the oldest out first
(mount.md, Saving, rule 4). Three things are no such versions and are never let go here:

- a content that is current, or one side of a conflict, by what is stated;
- bytes that no fact about the file names: nobody knows what they are;
- within the 30 days, what the file had before the last action that changed it: undo
  answers that action first, and a budget must not make it impossible. So one file larger
  than the whole budget can still be undone once.

Whether the current bytes are really here is not asked here; `verbs.trimming` does, before
anything goes. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from tagfs.fact import Fact
from tagfs.merge import FileState
from tagfs.stamp import ms_of
from tagfs.views.saving import Kept, versions_to_drop

DAY_NS = 86_400 * 10**9
DAYS = 30
BUDGET_BYTES = 10 << 30
BUDGET_PART = 10
"""The budget is at most one part in so many of the disk."""


class Limits(NamedTuple):
    """How long and how much is kept."""

    versions_days: int = DAYS
    versions_bytes: int = BUDGET_BYTES
    trash_days: int = DAYS


def limits(values: Mapping[str, object], disk_bytes: int) -> Limits:
    """What `store.toml` says; where it says nothing, 30 days, and 10 GiB or a tenth of the disk.

    Args:
        values: `versions_days`, `versions_mib`, `trash_days`; what is no whole number from 0 on does not count,
            and the trash never expires within the day.
    """

    def number(key: str, otherwise: int) -> int:
        value = values.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise

    usual = min(BUDGET_BYTES, disk_bytes // BUDGET_PART)
    return Limits(
        number("versions_days", DAYS),
        number("versions_mib", usual >> 20) << 20 if "versions_mib" in values else usual,
        max(1, number("trash_days", DAYS)),
    )


def is_former(state: FileState, sha256: str) -> bool:
    """Whether a content is one that a file once had and that something newer replaced, or that was ended with it."""
    if state.is_purged():
        return any(sha256 in purge.content for purge in state.purges.values())
    known = any(content.sha256 == sha256 for content in state.contents.values())
    return state.made is not None and known and all(head.sha256 != sha256 for _, head in state.content_heads())


def kept_since_ns(state: FileState, sha256: str, since_ns: int) -> int:
    """Since when a content is an earlier one: when it was last replaced, and not before `since_ns`."""
    replaced = (ms_of(at) * 1_000_000 for at, content in state.contents.items() if content.was == sha256)
    return max(since_ns, *replaced, 0)


def needed_by_undo(facts: Sequence[Fact]) -> str | None:
    """The content a file had before the last action that changed its content, None where there was none.

    Args:
        facts: all about the file, oldest first.
    """
    contents = [fact for fact in facts if fact.content is not None]
    if not contents:
        return None
    of_last = [fact for fact in contents if fact.action == contents[-1].action]
    first = of_last[0].content
    return first.was if first is not None else None


def to_drop(
    kept: Iterable[Kept], now_ns: int, limits: Limits, needed: Callable[[set[str]], Mapping[str, str | None]]
) -> list[Kept]:
    """Which versions go, the oldest first.

    Args:
        kept: earlier contents only.
        needed: for files, what undo needs of each (`needed_by_undo`). It reads ledgers, so it
            is asked only about files that would lose something young.
    """
    versions = list(kept)
    span_ns = limits.versions_days * DAY_NS
    known: dict[str, str | None] = {}
    while True:
        stays = [v for v in versions if now_ns - v.kept_at_ns <= span_ns and known.get(v.file) == v.sha256]
        may_go = [v for v in versions if v not in stays] if stays else versions
        room = limits.versions_bytes - sum(v.size_bytes for v in stays)
        go = versions_to_drop(may_go, now_ns, room, span_ns)
        ask = {v.file for v in go if now_ns - v.kept_at_ns <= span_ns} - known.keys()
        if not ask:
            return go
        found = needed(ask)
        known.update({file: found.get(file) for file in ask})
