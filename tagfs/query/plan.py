"""From a tree to set operations over term numbers.

Here words meet what the library knows: aliases, implications, which values there are,
which keys. A tag, key, node or type that is not there is an error with a near match,
never an empty answer; a range or prefix in which nothing lies is an empty answer.

Everything asked of the index goes through `Vocabulary`, in one read of one state of it.
The plan is cheap, its making included: it may be made anew for every question.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from pyroaring import BitMap

from tagfs.bucket import Clock
from tagfs.errors import NoSuchTag
from tagfs.query import values
from tagfs.query.steps import NOTHING, AllOf, AnyOf, Filtered, Fixed, Plan, Step, Term
from tagfs.query.tree import All, And, AnyValue, BuiltIn, Leaf, Not, Or, Range, Tag, TagPrefix, Tree, ValuePrefix
from tagfs.tag import BUILT_IN_KEYS, escape, escape_tag, split_tag
from tagfs.term import ALL_TERM, TAG
from tagfs.value import Span, prefix_spans, value_range

# Beyond so many terms their counts are not looked up one by one: it would cost more
# than a good order saves.
_COUNTED_TERMS = 256


class Vocabulary(Protocol):
    """What a plan asks of the index. Texts are as kept: tags in NFC, without `%XX`."""

    def term(self, kind: int, key: str, value: str | None) -> int | None:
        """The number of a term, None if no file ever had it."""
        ...

    def count(self, term: int) -> int:
        """How many living files a term has now, exactly."""
        ...

    def walk(self, kind: int, key: str, low: bytes = b"", below: bytes | None = None) -> Iterator[tuple[str, int]]:
        """Value and number of the terms with a value under (kind, key), `low <= value_key(value) < below`, in order."""
        ...

    def plain_tags(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Text and number of the plain tags that begin with `prefix`, in order of text."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """The tag keys with values that begin with `prefix`, in order of text."""
        ...

    def matching_tags(self, tag: str) -> list[str]:
        """All tags whose files match a question for `tag`, mostly just itself.

        These are what it is an alias of (or itself), the aliases of that, and whatever
        implies one of them, over any number of steps.
        """
        ...

    def named(self, name: str) -> BitMap:
        """The living files with exactly this name."""
        ...

    def names_beginning(self, prefix: str) -> BitMap:
        """The living files whose names begin so."""
        ...

    def ids_beginning(self, hex_digits: str) -> BitMap:
        """The living files whose GUID begins with these lower-case digits (1 to 32, no dashes)."""
        ...

    def node(self, alias: str) -> str | None:
        """The GUID of the node with this alias or beginning of a GUID."""
        ...

    def node_aliases(self) -> list[str]:
        """The aliases of all nodes that are still in the library."""
        ...

    def nodes_that_left(self) -> frozenset[str]:
        """The GUIDs of those that are not."""
        ...

    def tag_suggestions(self, tag: str) -> Iterable[tuple[str, int]]:
        """Tags (with values or not) and how many files each has, among which a near match for `tag` may be."""
        ...

    def is_tag(self, tag: str) -> bool:
        """Whether a tag was made, though perhaps no file has it."""
        ...


def plan(tree: Tree, vocabulary: Vocabulary, clock: Clock, query: str = "") -> Plan:
    """How to answer `tree`. Raises `NoSuchTag` and `QueryError`.

    `query` is the text the tree was made from, for errors to point into.
    """
    planner = Planner(vocabulary, clock, query)
    root = planner.step(tree)
    if isinstance(root, _Rest):
        root = planner.all_of([], [root.step])
    return Plan(root, planner.uses_clock, planner.by_terms)


# To look for one more term in the blocks costs about as much as to have so many files more.
_FILES_A_TERM = 2000


def _weight(step: Step) -> int:
    """What it costs to begin with a step: its files, and its terms where they are many."""
    if isinstance(step, AnyOf):
        return step.files + _FILES_A_TERM * len(step.terms)
    # An attribute looked at file by file comes last among equals: by then few are left.
    return step.files + isinstance(step, Filtered)


class _Rest(Step):
    """Everything but the files of `step`: no step of a plan, only what `Not` is until it is joined."""

    __slots__ = ("step",)

    def __init__(self, step: Step) -> None:
        self.step = step
        self.files = 0


class Planner:
    """The making of one plan."""

    __slots__ = ("by_terms", "clock", "everything", "query", "uses_clock", "vocabulary")

    def __init__(self, vocabulary: Vocabulary, clock: Clock, query: str) -> None:
        self.vocabulary = vocabulary
        self.clock = clock
        self.query = query
        self.uses_clock = False
        self.by_terms = True
        self.everything = Term(ALL_TERM, vocabulary.count(ALL_TERM))

    def step(self, tree: Tree) -> Step:
        """The step for a part of the tree, or a `_Rest`."""
        if isinstance(tree, Leaf):
            return self.leaf(tree)
        if isinstance(tree, And):
            parts: list[Step] = []
            without: list[Step] = []
            for part in tree.parts:
                step = self.step(part)
                if isinstance(step, _Rest):
                    without.append(step.step)
                else:
                    parts.append(step)
            return self.all_of(parts, without)
        if isinstance(tree, Or):
            return self.any_of_steps([self.solid(part) for part in tree.parts])
        if isinstance(tree, Not):
            step = self.step(tree.part)
            return self.all_of([], [step]) if isinstance(step, _Rest) else _Rest(step)
        if isinstance(tree, All):
            return self.everything
        raise TypeError(f"not a tree: {tree!r}")

    def solid(self, tree: Tree) -> Step:
        step = self.step(tree)
        return self.all_of([], [step.step]) if isinstance(step, _Rest) else step

    # -- joining

    def all_of(self, parts: list[Step], without: list[Step]) -> Step:
        """The files of all parts and of none of `without`, the rarest part first."""
        kept: list[Step] = []
        removed = [step for step in without if step.files]
        for part in parts:
            if isinstance(part, AllOf):
                kept.extend(part.parts)
                removed.extend(part.without)
            elif not (isinstance(part, Term) and part.term == ALL_TERM):
                kept.append(part)
        if any(part.files == 0 for part in kept):
            return NOTHING
        if any(isinstance(step, Term) and step.term == ALL_TERM for step in removed):
            return NOTHING
        if not kept:
            kept.append(self.everything)
        if len(kept) == 1 and not removed:
            return kept[0]
        kept.sort(key=_weight)
        return AllOf(tuple(kept), tuple(removed))

    def any_of(self, terms: Iterable[int]) -> Step:
        """The files of any of these terms."""
        unique = dict.fromkeys(terms)
        if ALL_TERM in unique:
            return self.everything
        if len(unique) > _COUNTED_TERMS:
            return AnyOf(tuple(unique), (), self.everything.files)
        counted = [(term, files) for term in unique if (files := self.vocabulary.count(term))]
        if len(counted) == 1:
            return Term(*counted[0])
        return AnyOf(tuple(term for term, _ in counted), (), self.at_most(sum(files for _, files in counted)))

    def any_of_steps(self, steps: list[Step]) -> Step:
        """The files of any of these steps."""
        terms: dict[int, None] = {}
        parts: list[Step] = []
        files = 0
        for step in steps:
            if isinstance(step, Term):
                if step.term == ALL_TERM:
                    return step
                if step.term not in terms:
                    files += step.files
                    terms[step.term] = None
            elif step.files:
                files += step.files
                if isinstance(step, AnyOf):
                    terms.update(dict.fromkeys(step.terms))
                    parts.extend(step.parts)
                else:
                    parts.append(step)
        if len(terms) == 1 and not parts:
            return next(step for step in steps if isinstance(step, Term) and step.term in terms)
        if len(parts) == 1 and not terms:
            return parts[0]
        return AnyOf(tuple(terms), tuple(parts), self.at_most(files))

    def at_most(self, files: int) -> int:
        """An upper bound, never above the number of all files."""
        return min(files, self.everything.files)

    def filtered(self, terms: list[int], attribute: str, low: int, high: int) -> Step:
        """Those files of the terms whose attribute lies between `low` and `high`, both within."""
        self.by_terms = False
        part = self.any_of(terms)
        return Filtered(part, attribute, low, high) if part.files else NOTHING

    def fixed(self, bitmap: BitMap) -> Step:
        """Files found by something else than a term."""
        self.by_terms = False
        return Fixed(bitmap) if bitmap else NOTHING

    # -- tags

    def leaf(self, leaf: Leaf) -> Step:
        if isinstance(leaf, Tag):
            return self.tag(leaf)
        if isinstance(leaf, TagPrefix):
            return self.any_of(self.matching(self.vocabulary.plain_tags(leaf.prefix), None))
        assert isinstance(leaf, AnyValue | ValuePrefix | Range | BuiltIn)
        if leaf.key in BUILT_IN_KEYS:
            return values.built_in(self, leaf)
        assert not isinstance(leaf, BuiltIn)
        self.check_key(leaf.key, leaf.at)
        if isinstance(leaf, ValuePrefix):
            prefix = leaf.prefix
            found = self.values(leaf.key, prefix_spans(prefix))
            return self.any_of(self.matching((item for item in found if item[0].startswith(prefix)), leaf.key))
        if isinstance(leaf, AnyValue):
            wanted = value_range(None, None)
        else:
            wanted = value_range(leaf.low, leaf.high, leaf.above, leaf.below)
            values.check_direction(self, leaf, wanted.backwards)
        found = self.values(leaf.key, wanted.spans)
        return self.any_of(self.matching((item for item in found if wanted.matches(item[0])), leaf.key))

    def values(self, key: str, spans: Iterable[Span]) -> Iterator[tuple[str, int]]:
        for low, below in spans:
            yield from self.vocabulary.walk(TAG, key, low, below)

    def matching(self, found: Iterable[tuple[str, int]], key: str | None) -> Iterator[int]:
        """The terms of tags that were found, and of what counts as one of them."""
        for text, term in found:
            yield term
            tag = text if key is None else f"{key}={text}"
            for other in self.vocabulary.matching_tags(tag):
                if other != tag:
                    number = self.vocabulary.term(TAG, *split_tag(other))
                    if number is not None:
                        yield number

    def tag(self, leaf: Tag) -> Step:
        tags = self.vocabulary.matching_tags(leaf.tag)
        if len(tags) == 1:  # the usual case, and the quick one
            number = self.vocabulary.term(TAG, *split_tag(tags[0]))
            files = self.vocabulary.count(number) if number is not None else 0
            if number is not None and files:
                return Term(number, files)
        terms = []
        for tag in tags:
            number = self.vocabulary.term(TAG, *split_tag(tag))
            if number is not None:
                terms.append(number)
        step = self.any_of(terms)
        # A term without files is what a tag leaves behind when its last file loses it: by
        # itself it is no tag, or a rebuilt index would answer otherwise.
        if not step.files and all(tag == leaf.tag for tag in tags) and not self.vocabulary.is_tag(leaf.tag):
            raise self.no_such_tag(leaf)
        return step

    # -- errors

    def no_such_tag(self, leaf: Tag) -> NoSuchTag:
        # imported here: only a person who mistyped pays for it
        from tagfs.query.suggest import did_you_mean, files_text, near

        found = near(leaf.tag, self.vocabulary.tag_suggestions(leaf.tag), limit=2)
        words = [f"{escape_tag(tag)} ({files_text(files)})" for tag, files in found]
        return NoSuchTag(self.query, leaf.at, f'no tag "{leaf.tag}"', did_you_mean(words))

    def check_key(self, key: str, at: int) -> None:
        for known in self.vocabulary.keys(key):
            if known == key:
                return
            break  # in order of text a key comes before those that begin with it
        from tagfs.query.suggest import did_you_mean, near

        candidates = [(known, 0) for known in (*self.vocabulary.keys(""), *BUILT_IN_KEYS)]
        words = [escape(word) for word, _ in near(key, candidates, limit=2)]
        raise NoSuchTag(self.query, at, f'no tag with a value is called "{key}"', did_you_mean(words))
