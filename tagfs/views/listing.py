"""Which directories a directory lists: few, and never without end.

`tags/` lists the plain tags and one name for each key; `tags/QUERY+/` what narrows its
result further; `tags/KEY=/` the values. What these lead to lists no directories of its
own, so `find` and `grep -r` end. Listings cost what they are long (tags of the library,
or terms of the files of a result); they belong in a thread, not in a handler.

A tag is listed where it exists: a living file matches it, or it was made. Aliases are
not listed, they resolve. A name is listed only if looking it up leads back to its tag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pyroaring import BitMap

from tagfs.bucket import Clock
from tagfs.errors import BadTag
from tagfs.fact import name_is_possible
from tagfs.index.read import View
from tagfs.tag import check_tag, split_tag
from tagfs.term import TAG
from tagfs.value import value_key
from tagfs.verbs.saved import saved_queries
from tagfs.views.directory import (
    TOP,
    Directory,
    Kind,
    desktop_subdirectories,
    spell_key,
    spell_tag,
    spell_value,
)
from tagfs.views.tree import result

Counts = Callable[[BitMap], Mapping[int, int]]
"""Term -> how many files of a result have it: `View.facet_counts`, or `Facets.counts` of a process that stays."""


def subdirectories(view: View, directory: Directory, clock: Clock, counts: Counts | None = None) -> list[str]:
    """The names of the directories that a directory lists, in the order they are shown.

    Args:
        counts: how the terms of a result are counted; `view.facet_counts` if not given.
    """
    kind = directory.kind
    if kind is Kind.ROOT:
        return list(TOP)
    if kind is Kind.TAGS:
        return sorted(_names(_Tags(view).all()))
    if kind is Kind.VALUES:
        tags = (
            _Tags(view).of_key(directory.name)
            if directory.tree is None
            else _found(view, result(view, directory, clock), counts)
        )
        return [spell_value(directory.name, value) for key, value in _parted(tags) if key == directory.name and value]
    if kind is Kind.NARROW:
        files = result(view, directory, clock)
        found = _found(view, files, counts)
        return sorted(_names(tag for tag, n in found.items() if n < len(files)))
    if kind is Kind.SAVED:
        return [name for name in saved_queries(view) if name_is_possible(name)]
    if kind is Kind.DESKTOP_TRASH:
        return desktop_subdirectories()
    if kind is Kind.NODES:
        return sorted({name for name in view.node_aliases() if name_is_possible(name)})
    return []


def _parted(tags: Iterable[str]) -> Iterable[tuple[str, str | None]]:
    return (split_tag(tag) for tag in tags if _can_be_asked(tag))


def _names(tags: Iterable[str]) -> set[str]:
    """Plain tags, and the key alone of those with a value."""
    return {
        spell_tag(key) if value is None else spell_key(key)
        for key, value in dict.fromkeys((key, value and "") for key, value in _parted(tags))
    }


def _can_be_asked(tag: str) -> bool:
    """Facts of another node may speak of what is no tag here; a query cannot."""
    try:
        return check_tag(tag) == tag
    except BadTag:
        return False


class _Tags:
    """The tags of the library that exist."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.aliases = view.aliases()
        self.made = frozenset(view.made_tags())
        self.company = frozenset(view.tags_with_company()).difference(self.aliases)

    def exists(self, tag: str, files: int) -> bool:
        """Whether a tag exists that `files` files have of their own accord."""
        if tag in self.aliases:
            return False
        if files or tag in self.made:
            return True
        if tag not in self.company:
            return False
        terms = [self.view.term(TAG, *split_tag(other)) for other in self.view.matching_tags(tag)]
        return any(self.view.count(term) for term in terms if term is not None)

    def all(self) -> Iterable[str]:
        """Plain tags in full, and of those with a value one for each key."""
        view = self.view
        for tag, term in view.plain_tags():
            if self.exists(tag, view.count(term)):
                yield tag
        for key in view.keys():  # noqa: SIM118 - no dict
            first = next(iter(self.of_key(key)), None)
            if first is not None:
                yield first
        # What is only ever implied may have no term of its own.
        yield from (tag for tag in self.company if self.exists(tag, 0))

    def of_key(self, key: str) -> Iterable[str]:
        """The tags with this key, in order of their values."""
        for value, term in self.view.walk(TAG, key):
            tag = f"{key}={value}"
            if self.exists(tag, self.view.count(term)):
                yield tag


def _found(view: View, files: BitMap, counts: Counts | None) -> dict[str, int]:
    """How many of these files match each tag, aliases resolved and implied tags counted; in order of values."""
    if not files:
        return {}
    canonical = view.aliases()
    found: dict[str, int] = {}
    own: set[str] = set()
    for term, n in (counts or view.facet_counts)(files).items():
        if not n:
            continue
        kind, key, value = view.term_text(term)
        if kind == TAG:
            spelled = key if value is None else f"{key}={value}"
            own.add(spelled)
            tag = canonical.get(spelled, spelled)
            found[tag] = found.get(tag, 0) + n
    for tag in view.tags_with_company():
        matching = own.intersection(view.matching_tags(tag))
        if tag not in canonical and matching and matching != {tag}:
            terms = [view.term(TAG, *split_tag(one)) for one in matching]
            whole = BitMap.union(*(view.posting(term) for term in terms if term is not None))
            found[tag] = whole.intersection_cardinality(files)
    return dict(sorted(found.items(), key=lambda item: _place_in_order(item[0])))


def _place_in_order(tag: str) -> tuple[str, bytes]:
    key, value = split_tag(tag)
    return key, value_key(value or "")
