"""Tagging files, and what is said about tags themselves.

Facts name canonical tags; an alias given by hand is resolved first. Untagging takes
away every spelling of the tag that the file has, and just the additions this node has
seen, so that a tag added elsewhere at the same time survives (facts.md, Merge).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pyroaring import BitMap

from tagfs.change import Change
from tagfs.errors import BadRequest, NothingMatched
from tagfs.glossary import TAG_THING
from tagfs.index.read import View
from tagfs.store import Store
from tagfs.tag import split_tag
from tagfs.term import TAG

CHUNK_FILES = 5_000


class Tagged(NamedTuple):
    """What changed: per tag, how many files got (or lost) it and how many had it (or not) already."""

    files: int
    changed: dict[str, int]
    already: dict[str, int]
    action: str | None
    notes: list[str]


class TagCount(NamedTuple):
    """A tag and how many living files match it (its aliases and what implies it included)."""

    tag: str
    files: int


def chunks(guids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Files in portions that one transaction takes easily."""
    for at in range(0, len(guids), CHUNK_FILES):
        yield guids[at : at + CHUNK_FILES]


def tag(store: Store, tags: Sequence[str], guids: Sequence[str]) -> Tagged:
    """Put tags on files. One action, whatever their number."""

    def state(change: Change, part: Sequence[str], tally: _Tally) -> None:
        wanted = [change.view.canonical(t) for t in tags]
        for guid in part:
            known = change.state(guid)
            missing = [t for t in wanted if not known.has_tag(t)]
            tally.count(wanted, missing)
            if missing:
                change.about_file(guid, tag=missing)

    notes = _case_twins(store, tags)
    return _in_chunks(store, guids, state, notes)


def untag(store: Store, tags: Sequence[str], guids: Sequence[str]) -> Tagged:
    """Take tags off files."""

    def state(change: Change, part: Sequence[str], tally: _Tally) -> None:
        view = change.view
        wanted = [view.canonical(t) for t in tags]
        spellings = _spellings(view)
        for guid in part:
            known = change.state(guid)
            gone: dict[str, dict[str, str]] = {}
            off = []
            for t in wanted:
                for spelling in (t, *spellings.get(t, ())):
                    if known.has_tag(spelling):
                        gone[spelling] = known.live_additions(spelling)
                        off.append(t)
            tally.count(wanted, list(dict.fromkeys(off)))
            if gone:
                change.about_file(guid, untag=gone)

    return _in_chunks(store, guids, state, [])


class _Tally:
    def __init__(self) -> None:
        self.changed: dict[str, int] = {}
        self.already: dict[str, int] = {}

    def count(self, wanted: Sequence[str], done: Sequence[str]) -> None:
        for t in wanted:
            side = self.changed if t in done else self.already
            side[t] = side.get(t, 0) + 1


def _in_chunks(store: Store, guids: Sequence[str], state: object, notes: list[str]) -> Tagged:
    total = _Tally()
    action: str | None = None
    for part in chunks(guids):

        def run(change: Change, part: Sequence[str] = part) -> tuple[_Tally, str | None]:
            tally = _Tally()
            state(change, part, tally)  # type: ignore[operator]
            return tally, change.action

        tally, action = store.act(run, action=action)
        for mine, theirs in ((total.changed, tally.changed), (total.already, tally.already)):
            for t, n in theirs.items():
                mine[t] = mine.get(t, 0) + n
    return Tagged(len(guids), total.changed, total.already, action, notes)


def _spellings(view: View) -> dict[str, list[str]]:
    """Canonical tag -> its aliases."""
    out: dict[str, list[str]] = {}
    for alias, canonical in view.aliases().items():
        out.setdefault(canonical, []).append(alias)
    return out


def _case_twins(store: Store, tags: Sequence[str]) -> list[str]:
    """A remark for each tag that would be new and differs only by case from one there is."""

    def look(view: View) -> list[str]:
        new = [
            t for t in tags if view.term(TAG, *split_tag(t)) is None and not view.is_tag(t) and view.canonical(t) == t
        ]
        if not new:
            return []
        folded: dict[str, str] = {}
        keys = {split_tag(t)[0].casefold() for t in new}
        for text, term in view.plain_tags():
            if view.count(term):
                folded.setdefault(text.casefold(), text)
        for key in view.keys():  # noqa: SIM118 - no dict
            if key.casefold() in keys:
                for value, term in view.walk(TAG, key):
                    if view.count(term):
                        folded.setdefault(f"{key}={value}".casefold(), f"{key}={value}")
        twins = [(t, folded.get(t.casefold())) for t in new]
        return [
            f"{t!r} is a new tag; there is also {twin!r} (lyts tags merge {t} {twin} makes them one)"
            for t, twin in twins
            if twin and twin != t
        ]

    return store.read(look)


# -- tags themselves


def known(view: View, name: str) -> bool:
    """Whether a tag exists: some file has or had it, it was made, or facts speak of it."""
    return view.is_tag(name) or view.canonical(name) != name or view.term(TAG, *split_tag(name)) is not None


def files_with(view: View, name: str) -> int:
    """How many living files match a tag, its aliases and what implies it included."""
    found = [view.term(TAG, *split_tag(t)) for t in view.matching_tags(view.canonical(name))]
    terms = [t for t in found if t is not None]
    if len(terms) == 1:
        return view.count(terms[0])
    return len(BitMap.union(BitMap(), *(view.posting(t) for t in terms)))


def all_tags(view: View) -> list[TagCount]:
    """Every tag that has files or was made, with counts, in order of text. Aliases are not among them."""
    aliases = view.aliases()
    names: dict[str, int] = {}
    for text, term in view.plain_tags():
        names[text] = view.count(term)
    for key in view.keys():  # noqa: SIM118 - no dict
        for value, term in view.walk(TAG, key):
            names[f"{key}={value}"] = view.count(term)
    special = {t for t in [*names, *view.made_tags(), *aliases.values()] if len(view.matching_tags(t)) > 1}
    for name in {*view.made_tags(), *special}:
        names[name] = files_with(view, name)
    made = set(view.made_tags())
    return [TagCount(t, n) for t, n in sorted(names.items()) if t not in aliases and (n or t in made)]


def facets(view: View, bitmap: BitMap) -> list[TagCount]:
    """The tags of the files of a result with how many of them have each, most files first. Aliases are resolved."""
    counts: dict[str, int] = {}
    doubled: dict[str, list[int]] = {}
    canonical = view.aliases()
    for term, files in view.facet_counts(bitmap).items():
        kind, key, value = view.term_text(term)
        if kind != TAG or not files:
            continue
        text = key if value is None else f"{key}={value}"
        name = canonical.get(text, text)
        counts[name] = counts.get(name, 0) + files
        doubled.setdefault(name, []).append(term)
    for name, terms in doubled.items():
        if len(terms) > 1:  # a file with two spellings counts once
            counts[name] = len(BitMap.union(*(view.posting(term) for term in terms)) & bitmap)
    return [TagCount(name, files) for name, files in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _existing(change: Change, name: str) -> None:
    if not known(change.view, name):
        from tagfs.query.suggest import did_you_mean, near

        words = [word for word, _ in near(name, change.view.tag_suggestions(name))]
        raise NothingMatched(f"there is no tag {name!r}" + (f"; {did_you_mean(words)}" if words else ""))


def rename_tag(store: Store, old: str, new: str) -> Tagged:
    """Call a tag something else, everywhere: the old name becomes an alias, so that its use elsewhere follows.

    Raises:
        BadRequest: `new` is in use (merging is `merge_tags`), or is the same.
    """

    def state(change: Change) -> Tagged:
        view = change.view
        _existing(change, old)
        if view.canonical(old) != old:
            raise BadRequest(f"{old!r} is another name of {view.canonical(old)!r}; rename that one")
        files = files_with(view, old)
        if new == old:
            raise BadRequest(f"the tag is called {old!r} already")
        if view.canonical(new) == old:
            # Back to an earlier name: that one stops being an alias first.
            change.about_tag(
                new,
                unalias={
                    t: a
                    for t in change.thing(TAG_THING, new).live("alias")
                    if (a := change.thing(TAG_THING, new).additions("alias", t))
                },
            )
        elif known(view, new) and (files_with(view, new) or view.is_tag(new) or view.canonical(new) != new):
            raise BadRequest(f"there is a tag {new!r} already. To make the two one: lyts tags merge {old} {new}")
        change.about_tag(old, alias=[new])
        return Tagged(files, {new: files}, {}, change.action, [])

    return store.act(state)


def merge_tags(store: Store, olds: Sequence[str], into: str) -> Tagged:
    """Make tags one: the others become aliases of `into`."""

    def state(change: Change) -> Tagged:
        view = change.view
        target = view.canonical(into)
        changed = {}
        for old in olds:
            _existing(change, old)
            if old == target:
                raise BadRequest(f"{old!r} cannot be merged into itself")
            if view.canonical(old) == target:
                raise BadRequest(f"{old!r} is another name of {target!r} already")
            changed[old] = files_with(view, old)
            change.about_tag(view.canonical(old), alias=[target])
        return Tagged(sum(changed.values()), changed, {}, change.action, [])

    return store.act(state)


def imply(store: Store, name: str, implied: Sequence[str], *, remove: bool = False) -> str | None:
    """Files with `name` match questions for the implied tags too; `remove` takes that back. Returns the action."""

    def state(change: Change) -> str | None:
        view = change.view
        lower = view.canonical(name)
        thing = change.thing(TAG_THING, lower)
        there = thing.live("implies")
        uppers = [view.canonical(t) for t in implied]
        if remove:
            gone = {t: thing.additions("implies", t) for t in uppers if t in there}
            if len(gone) < len(set(uppers)):
                raise NothingMatched(f"{lower!r} does not imply {', '.join(repr(t) for t in uppers if t not in there)}")
            change.about_tag(lower, unimplies=gone)
            return change.action
        for upper in uppers:
            if upper == lower:
                raise BadRequest(f"{lower!r} cannot imply itself")
            if upper in view.matching_tags(lower):
                raise BadRequest(
                    f"{upper!r} already implies {lower!r}; both ways round they would be one tag "
                    f"(lyts tags merge {upper} {lower})"
                )
        new = [t for t in uppers if t not in there]
        if new:
            change.about_tag(lower, implies=new)
        return change.action

    return store.act(state)


def alias(store: Store, other: str, name: str | None) -> str | None:
    """Let `other` be read as `name`; without a name, stop reading it so. Returns the action."""

    def state(change: Change) -> str | None:
        view = change.view
        if name is None:
            thing = change.thing(TAG_THING, other)
            there = thing.live("alias")
            if not there:
                raise NothingMatched(f"{other!r} is not another name of any tag")
            change.about_tag(other, unalias={t: thing.additions("alias", t) for t in there})
            return change.action
        target = view.canonical(name)
        if target == other:
            raise BadRequest(
                f"{name!r} is another name of {other!r} already"
                if name != other
                else f"{other!r} cannot be another name of itself"
            )
        if view.canonical(other) == target:
            return None
        if files_with(view, other):
            raise BadRequest(
                f"{files_with(view, other)} files have the tag {other!r} itself. "
                f"To make the two one: lyts tags merge {other} {name}"
            )
        change.about_tag(other, alias=[target])
        return change.action

    return store.act(state)


def make_tag(store: Store, name: str) -> str | None:
    """Make a tag that no file has yet. Returns the action, None where it was there."""

    def state(change: Change) -> str | None:
        if not change.view.is_tag(name):
            change.about_tag(name, exists=True)
        return change.action

    return store.act(state)


def remove_tag(store: Store, name: str, guids: Sequence[str]) -> Tagged:
    """Take a tag off these files (all that have it) and forget the tag itself. One action.

    Args:
        guids: the files, living or in the trash, from `carriers`.
    """
    done = untag(store, [name], guids) if guids else Tagged(0, {}, {}, None, [])

    def forget(change: Change) -> str | None:
        _existing(change, name)
        thing = change.thing(TAG_THING, change.view.canonical(name))
        statements: dict[str, object] = {}
        if change.view.is_tag(name):
            statements["exists"] = False
        implied = {t: thing.additions("implies", t) for t in thing.live("implies")}
        if implied:
            statements["unimplies"] = implied
        if statements:
            change.about_tag(change.view.canonical(name), **statements)
        return change.action

    return done._replace(action=store.act(forget, action=done.action) or done.action)


def carriers(view: View, name: str) -> list[str]:
    """The GUIDs of all living files with a tag of their own accord (not by implication), any spelling."""
    canonical = view.canonical(name)
    found = BitMap()
    for spelling in (canonical, *_spellings(view).get(canonical, ())):
        term = view.term(TAG, *split_tag(spelling))
        if term is not None:
            found |= view.posting(term)
    return [view.guid(o) for o in found]
