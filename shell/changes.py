"""What a change of tags did, in lines: what changed, not what was asked for.

tagged 3 files with jazz; 1 had it already
tagged 1 file with music, flac
all 4 files have jazz already
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from shell.text import count_text, listed

if TYPE_CHECKING:
    from shell.app import App
    from tagfs.merge import FileState
    from tagfs.store import Store
    from tagfs.verbs.tagging import Tagged

PORTION_FILES = 2_000


def tagged_lines(app: App, done: Tagged, *, dry_run: bool = False) -> list[str]:
    """What tagging did (or would do)."""
    verb = "would tag" if dry_run else "tagged"

    def one(changed: int, already: int, tags: str, several: bool) -> str:
        them = "them" if several else "it"
        if not changed:
            who = "the file has" if already == 1 else f"all {count_text(already, 'file')} have"
            return f"{who} {tags} already"
        rest = f"; {already:,} had {them} already" if already else ""
        return f"{verb} {count_text(changed, 'file')} with {tags}{rest}"

    return _lines(app, done, one)


def untagged_lines(app: App, done: Tagged, *, dry_run: bool = False) -> list[str]:
    """What untagging did (or would do)."""
    verb = "would take" if dry_run else "took"

    def one(changed: int, already: int, tags: str, several: bool) -> str:
        them = "them" if several else "it"
        if not changed:
            if already == 1:
                return f"the file does not have {tags}"
            return f"none of {count_text(already, 'file')} has {tags}"
        rest = f"; {already:,} did not have {them}" if already else ""
        return f"{verb} {tags} off {count_text(changed, 'file')}{rest}"

    return _lines(app, done, one)


def _lines(app: App, done: Tagged, one: Callable[[int, int, str, bool], str]) -> list[str]:
    from tagfs.tag import escape_tag

    # Tags that fared alike share a line.
    alike: dict[tuple[int, int], list[str]] = {}
    for tag in dict.fromkeys([*done.changed, *done.already]):
        alike.setdefault((done.changed.get(tag, 0), done.already.get(tag, 0)), []).append(escape_tag(tag))
    return [
        one(changed, already, app.output.name(listed(tags)), len(tags) > 1)
        for (changed, already), tags in alike.items()
    ]


# -- what would be done --------------------------------------------------------


def would_tag(store: Store, tags: Sequence[str], guids: Sequence[str]) -> Tagged:
    """What tagging these files would do."""
    with store.view() as view:
        wanted = list(dict.fromkeys(view.canonical(tag) for tag in tags))
    return _would(store, guids, wanted, lambda state, tag: not state.has_tag(tag))


def would_untag(store: Store, tags: Sequence[str], guids: Sequence[str]) -> Tagged:
    """What untagging these files would do."""
    with store.view() as view:
        wanted = list(dict.fromkeys(view.canonical(tag) for tag in tags))
        spellings: dict[str, list[str]] = {tag: [tag] for tag in wanted}
        for alias, canonical in view.aliases().items():
            if canonical in spellings:
                spellings[canonical].append(alias)
    return _would(store, guids, wanted, lambda state, tag: any(map(state.has_tag, spellings[tag])))


def _would(
    store: Store, guids: Sequence[str], wanted: Sequence[str], changes: Callable[[FileState, str], bool]
) -> Tagged:
    from tagfs.verbs.tagging import Tagged

    changed: dict[str, int] = {}
    already: dict[str, int] = {}
    for at in range(0, len(guids), PORTION_FILES):
        for state in store.states(guids[at : at + PORTION_FILES]):
            for tag in wanted:
                side = changed if changes(state, tag) else already
                side[tag] = side.get(tag, 0) + 1
    return Tagged(len(guids), changed, already, None, [])
