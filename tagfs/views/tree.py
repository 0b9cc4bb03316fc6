"""What the mount holds: names looked up, files of directories, and what makes an answer stale.

Look up wide: every query over tags that exist is a directory, listed or not. List narrow
is `tagfs.views.listing`. All of it runs in one read transaction, the `View` given.

Rules:

- No lookup costs more than the words of its query; `result` costs what the query costs.
- A query with a tag that does not exist is no directory (ENOENT). One that finds nothing
  is an empty directory.
- A directory that was looked up once stays usable: in `tags/music+-live`, moving the last
  live file in ends the tag `live`, and the file must be shown there all the same. So in
  `result` a tag that does not exist is one that no file has. A saved query is read so too,
  and one that cannot be read at all is an empty directory, since its name is listed.
- Nothing found here may be kept longer than `depends_on` allows.
"""

from __future__ import annotations

import msgspec
from pyroaring import BitMap

from tagfs.bucket import Clock
from tagfs.errors import NoSuchTag, QueryError
from tagfs.glossary import SAVED_THING, Thing
from tagfs.guid import prefix_digits
from tagfs.index.blocks import IN_TRASH, LISTED
from tagfs.index.read import View
from tagfs.query import values
from tagfs.query.plan import Planner
from tagfs.query.rich import parse_rich
from tagfs.query.run import result as run
from tagfs.query.steps import Plan, Step
from tagfs.query.tree import And, AnyValue, BuiltIn, Leaf, Not, Or, Range, Tag, TagPrefix, Tree, ValuePrefix
from tagfs.tag import BUILT_IN_KEYS, split_tag
from tagfs.term import ALL_TERM, EXT, FROM, HOLDS, TAG, TRASHED, UNTAGGED
from tagfs.value import value_range
from tagfs.views.directory import (
    BELOW_TAGS,
    Directory,
    Kind,
    below,
    desktop_directory,
    read_below_tags,
    top_directory,
)
from tagfs.views.recent import recent

_unpack = msgspec.msgpack.Decoder().decode
_HEX = frozenset("0123456789abcdef")
_TRASHES = frozenset({Kind.TRASH, Kind.DESKTOP_FILES, Kind.DESKTOP_INFO})
"""What is made of the files in the trash."""


# -- names ---------------------------------------------------------------------


def child_directory(view: View, directory: Directory, name: str, clock: Clock) -> Directory | None:
    """The directory with a name in a directory, None where there is none.

    Args:
        name: as spelled; bytes that are no UTF-8 as lone surrogates.
    Raises:
        NameTooLong: below `tags/`, longer than a query may be.
    """
    kind = directory.kind
    if name[:1] == "." or kind is Kind.DESKTOP_TRASH:
        desktop = desktop_directory(directory, name)
        if desktop is not None:
            return desktop
    if kind in BELOW_TAGS:
        found = read_below_tags(directory, name)
        return found if found is not None and _exists(view, found, clock) else None
    if kind is Kind.ROOT:
        return top_directory(name)
    if kind is Kind.SAVED:
        return Directory(Kind.SAVED_RESULT, below(directory, name), name=name) if saved_query(view, name) else None
    if kind is Kind.NODES:
        return Directory(Kind.NODE, below(directory, name), name=name) if view.node(name) is not None else None
    if kind is Kind.SEARCH and name[:1] != "." and _is_text(name):
        return Directory(Kind.SEARCH_RESULT, below(directory, name), name=name)
    return None


def directory_at(view: View, root: Directory, path: str, clock: Clock) -> Directory | None:
    """The directory at a path below the mount, None where there is none."""
    found: Directory | None = root
    for name in path.split("/"):
        if name and found is not None:
            found = child_directory(view, found, name, clock)
    return found


def file_by_id(view: View, name: str) -> int | None:
    """The living file that a name in `ids/` means: a GUID, or enough of its beginning to mean one file only."""
    digits = prefix_digits(name)
    if digits is None:
        return None
    living = [
        ordinal
        for ordinal, row in view.rows(view.any_ids_beginning(digits))
        if row.flags & (LISTED | IN_TRASH) == LISTED
    ]
    return living[0] if len(living) == 1 else None


def saved_query(view: View, name: str) -> str:
    """The query that was saved under a name, "" where there is none."""
    key = (SAVED_THING + name).encode("utf-8", "surrogateescape")[:500]
    raw = view.tx.get(key, db=view.db["thing"])
    query: str = Thing.unpacked(_unpack(raw)).value("query", "") if raw is not None else ""
    return query


def _is_text(name: str) -> bool:
    return not any("\ud800" <= ch <= "\udfff" for ch in name)


# -- whether a query can be asked ----------------------------------------------


class _Strict(Planner):
    """Refuses what does not exist, without looking for near matches: a path that is mistyped is just not there."""

    __slots__ = ()

    def no_such_tag(self, leaf: Tag) -> NoSuchTag:
        return NoSuchTag(self.query, leaf.at, f'no tag "{leaf.tag}"')

    def check_key(self, key: str, at: int) -> None:
        if next(iter(self.vocabulary.keys(key)), None) != key:
            raise NoSuchTag(self.query, at, f'no tag with a value is called "{key}"')


class _Lenient(Planner):
    """Takes what does not exist for what no file has: when its last file loses a tag, a directory stays as it is."""

    __slots__ = ()

    def tag(self, leaf: Tag) -> Step:
        terms = [self.vocabulary.term(TAG, *split_tag(tag)) for tag in self.vocabulary.matching_tags(leaf.tag)]
        return self.any_of(term for term in terms if term is not None)

    def check_key(self, key: str, at: int) -> None:
        return


def _exists(view: View, directory: Directory, clock: Clock) -> bool:
    if directory.kind is Kind.VALUES and not key_in_use(view, directory.name):
        return False
    if directory.tree is None:
        return True
    planner = _Strict(view, clock, directory.query)
    try:
        for leaf in _leaves(directory.tree):
            _check(planner, leaf)
    except QueryError:
        return False
    return True


def _check(planner: Planner, leaf: Leaf) -> None:
    """Raises where a word cannot be asked, without finding what it asks for where that would be dear."""
    if isinstance(leaf, Tag):
        planner.tag(leaf)
        return
    if isinstance(leaf, TagPrefix):
        return
    assert isinstance(leaf, AnyValue | ValuePrefix | Range | BuiltIn)
    if leaf.key not in BUILT_IN_KEYS:
        planner.check_key(leaf.key, leaf.at)
        if isinstance(leaf, Range):
            values.check_direction(planner, leaf, value_range(leaf.low, leaf.high, leaf.above, leaf.below).backwards)
    elif isinstance(leaf, ValuePrefix) and leaf.key in ("name", "id"):
        # Answered by a walk over all names or ids.
        digits = leaf.prefix.replace("-", "").lower()
        if leaf.key == "id" and not (digits and len(digits) <= 32 and _HEX.issuperset(digits)):
            raise QueryError(planner.query, leaf.at, "this is no id")
    else:
        values.built_in(planner, leaf)


def _leaves(tree: Tree) -> list[Leaf]:
    if isinstance(tree, Leaf):
        return [tree]
    if isinstance(tree, Not):
        return _leaves(tree.part)
    return [leaf for part in tree.parts for leaf in _leaves(part)] if isinstance(tree, And | Or) else []


def key_in_use(view: View, key: str) -> bool:
    """Whether some tag with this key exists."""
    for value, term in view.walk(TAG, key):
        tag = f"{key}={value}"
        if view.count(term) or view.is_tag(tag) or len(view.matching_tags(tag)) > 1:
            return True
    return False


# -- files ---------------------------------------------------------------------


def plan_of(view: View, directory: Directory, clock: Clock) -> Plan | None:
    """How the files of a RESULT or SAVED_RESULT (or those a NARROW or VALUES narrows) are found.

    None where no query stands behind the directory, or it cannot be read.
    """
    tree = _tree_of(view, directory)
    if tree is None:
        return None
    planner = _Lenient(view, clock, directory.query)
    try:
        root: Step = planner.solid(tree)
    except QueryError:
        return None
    return Plan(root, planner.uses_clock, planner.by_terms)


def result(view: View, directory: Directory, clock: Clock) -> BitMap:
    """The files that a directory holds, as ordinals; the caller's own.

    Of a NARROW or VALUES directory: the files it narrows. Of directories without files: none.
    """
    kind = directory.kind
    if directory.tree is not None or kind is Kind.SAVED_RESULT:
        plan = plan_of(view, directory, clock)
        return run(plan, view) if plan is not None else BitMap()
    if kind is Kind.RECENT:
        return recent(view, clock.now_ms)
    if kind is Kind.SEARCH_RESULT:
        found = view.index.found_by_words.get(directory.name)
        return found & view.posting(ALL_TERM) if found else BitMap()
    term = _term_of(view, directory)
    return view.posting(term) if term is not None else BitMap()


def uses_clock(view: View, directory: Directory, clock: Clock) -> bool:
    """Whether time alone changes what a directory holds (`added=today`)."""
    found = plan_of(view, directory, clock)
    return found is not None and found.uses_clock


def depends_on(view: View, directory: Directory) -> frozenset[int] | None:
    """The terms of whose change a kept `result` must be computed anew; None: of any change.

    Changes of saved queries and of nodes' names are not recorded: whoever keeps the
    result of a SAVED_RESULT keeps its `saved_query` beside it, and compares.
    """
    kind = directory.kind
    if directory.tree is not None or kind is Kind.SAVED_RESULT:
        tree = _tree_of(view, directory)
        if tree is None:
            return None
        found: set[int] = set()
        return frozenset(found) if _gather_terms(view, tree, found) else None
    if kind in (Kind.RECENT, Kind.SEARCH_RESULT):
        return None
    if kind in (Kind.ALL, Kind.UNTAGGED, Kind.NODE, Kind.VALUES) or kind in _TRASHES:
        term = _term_of(view, directory)
        return frozenset({term}) if term is not None else None
    return frozenset()


def _tree_of(view: View, directory: Directory) -> Tree | None:
    if directory.kind is not Kind.SAVED_RESULT:
        return directory.tree
    query = saved_query(view, directory.name)
    try:
        return parse_rich(query) if query else None
    except QueryError:
        return None


def _term_of(view: View, directory: Directory) -> int | None:
    kind = directory.kind
    if kind is Kind.ALL or kind is Kind.VALUES:
        return ALL_TERM
    if kind is Kind.UNTAGGED:
        return view.term(UNTAGGED, "", None)
    if kind in _TRASHES:
        return view.term(TRASHED, "", None)
    if kind is Kind.NODE:
        guid = view.node(directory.name)
        return view.term(HOLDS, "", guid) if guid is not None else None
    return None


def _gather_terms(view: View, tree: Tree, found: set[int]) -> bool:
    """Add the terms that a tree depends on; False where terms do not tell, or one may yet come up."""
    if isinstance(tree, Not):
        found.add(ALL_TERM)
        return _gather_terms(view, tree.part, found)
    if isinstance(tree, Leaf):
        terms = _terms_of_leaf(view, tree)
        found.update(term for term in terms if term is not None)
        return bool(terms) and None not in terms
    if not isinstance(tree, And | Or):
        found.add(ALL_TERM)
        return True
    parts = tree.parts
    if isinstance(tree, And) and not all(isinstance(part, Not) for part in parts):
        # What is left out of something asked for: files outside of that do not matter.
        parts = tuple(part.part if isinstance(part, Not) else part for part in parts)
    return all(_gather_terms(view, part, found) for part in parts)


def _terms_of_leaf(view: View, leaf: Leaf) -> list[int | None]:
    if isinstance(leaf, Tag):
        return [view.term(TAG, *split_tag(tag)) for tag in view.matching_tags(leaf.tag)]
    if isinstance(leaf, BuiltIn):
        if leaf.key == "ext":
            return [view.term(EXT, "", leaf.value.lower().removeprefix("."))]
        if leaf.key == "from":
            return [view.term(FROM, "", folder) for folder in dict.fromkeys((leaf.value, leaf.value.rstrip("/")))]
        if leaf.key == "holds":
            guid = view.node(leaf.value)
            return [view.term(HOLDS, "", guid) if guid is not None else None]
    return [None]
