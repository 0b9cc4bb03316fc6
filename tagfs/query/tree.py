"""What both grammars compile to, and how it is written again.

A tree is immutable. Two are equal when they ask the same with the same words: the
order of what is joined by "and" or "or" does not count, nor where in a query a word
stood (`at`, kept for errors only).

    All                         every file
    And(parts) Or(parts) Not(part)
    Tag(tag)                    `music`, `year=1959`
    TagPrefix(prefix)           `rock%`
    AnyValue(key)               `year=..`
    ValuePrefix(key, prefix)    `year=19%`
    Range(key, low, high)       `year=1955..1965`, `size=..1MB`; `year>1955`
    BuiltIn(key, value)         `ext=flac`: equality with a built-in key

AnyValue, ValuePrefix and Range serve tags and built-in keys; the key tells which.
"""

from __future__ import annotations

from collections.abc import Iterable

from tagfs.tag import escape, split_tag


class Tree:
    """Base of all; see the module."""

    __slots__ = ()

    def _means(self) -> object:
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and type(other) is type(self) and self._means() == other._means()

    def __hash__(self) -> int:
        return hash((type(self), self._means()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._means()!r})"


class All(Tree):
    """Every file. No word of a query means it; it is the root of things."""

    __slots__ = ()


class _Joined(Tree):
    __slots__ = ("parts",)

    def __init__(self, parts: tuple[Tree, ...]) -> None:
        self.parts = parts

    def _means(self) -> object:
        return frozenset(self.parts)


class And(_Joined):
    """All of two or more; made by `both`."""

    __slots__ = ()


class Or(_Joined):
    """Any of two or more; made by `either`."""

    __slots__ = ()


class Not(Tree):
    """What the part does not match; made by `without`."""

    __slots__ = ("part",)

    def __init__(self, part: Tree) -> None:
        self.part = part

    def _means(self) -> object:
        return self.part


class Leaf(Tree):
    """One word of a query; `at` is the character of the query at which it begins."""

    __slots__ = ("at",)
    at: int


class Tag(Leaf):
    """Files with this tag, or with one that implies it."""

    __slots__ = ("tag",)

    def __init__(self, tag: str, at: int = 0) -> None:
        self.tag = tag
        self.at = at

    def _means(self) -> object:
        return self.tag


class TagPrefix(Leaf):
    """Files with a plain tag that begins so."""

    __slots__ = ("prefix",)

    def __init__(self, prefix: str, at: int = 0) -> None:
        self.prefix = prefix
        self.at = at

    def _means(self) -> object:
        return self.prefix


class AnyValue(Leaf):
    """Files with any value of this key."""

    __slots__ = ("key",)

    def __init__(self, key: str, at: int = 0) -> None:
        self.key = key
        self.at = at

    def _means(self) -> object:
        return self.key


class ValuePrefix(Leaf):
    """Files with a value of this key that begins so."""

    __slots__ = ("key", "prefix")

    def __init__(self, key: str, prefix: str, at: int = 0) -> None:
        self.key = key
        self.prefix = prefix
        self.at = at

    def _means(self) -> object:
        return self.key, self.prefix


class Range(Leaf):
    """Files with a value from `low` to `high`, both within; at least one is given.

    `above` and `below` leave out the end itself (`year>1955`, `year<1960`); they go with
    one end only, as no query can say more.
    """

    __slots__ = ("above", "below", "high", "key", "low")

    def __init__(
        self, key: str, low: str | None, high: str | None, at: int = 0, above: bool = False, below: bool = False
    ) -> None:
        if (low is None and high is None) or ((above or below) and low is not None and high is not None):
            raise ValueError("a range has an end, and an open end stands alone")
        self.key = key
        self.low = low
        self.high = high
        self.above = above
        self.below = below
        self.at = at

    def _means(self) -> object:
        return self.key, self.low, self.high, self.above, self.below


class BuiltIn(Leaf):
    """Files of which this built-in key says exactly this."""

    __slots__ = ("key", "value")

    def __init__(self, key: str, value: str, at: int = 0) -> None:
        self.key = key
        self.value = value
        self.at = at

    def _means(self) -> object:
        return self.key, self.value


# -- joining -------------------------------------------------------------------


def both(parts: Iterable[Tree]) -> Tree:
    """What matches all of the parts; each counts once, and All does not count."""
    kept: dict[Tree, None] = {}
    for part in parts:
        for one in part.parts if isinstance(part, And) else (part,):
            if not isinstance(one, All):
                kept[one] = None
    if not kept:
        return All()
    return And(tuple(kept)) if len(kept) > 1 else next(iter(kept))


def either(parts: Iterable[Tree]) -> Tree:
    """What matches any of the parts, of which there must be one."""
    kept: dict[Tree, None] = {}
    for part in parts:
        if isinstance(part, All):
            return part
        for one in part.parts if isinstance(part, Or) else (part,):
            kept[one] = None
    if not kept:
        raise ValueError("a choice of nothing")
    return Or(tuple(kept)) if len(kept) > 1 else next(iter(kept))


def without(part: Tree) -> Tree:
    """What the part does not match."""
    return part.part if isinstance(part, Not) else Not(part)


# -- writing -------------------------------------------------------------------


def _spell(text: str, also: str) -> str:
    return escape(text, also).replace("..", "%2E%2E")


def format_leaf(leaf: Leaf, also: str = "") -> str | None:
    """A word as the slot grammar writes it; None for `>` and `<`, which it does not know.

    The characters of `also` are written `%XX` besides those of the grammar.
    """
    if isinstance(leaf, Tag):
        key, value = split_tag(leaf.tag)
        return _lead(escape(key, also)) + ("" if value is None else "=" + _spell(value, also))
    if isinstance(leaf, TagPrefix):
        return _lead(escape(leaf.prefix, also)) + "%"
    if isinstance(leaf, AnyValue):
        return f"{_lead(escape(leaf.key, also))}=.."
    if isinstance(leaf, ValuePrefix):
        return f"{_lead(escape(leaf.key, also))}={_spell(leaf.prefix, also)}%"
    if isinstance(leaf, BuiltIn):
        return f"{leaf.key}={_spell(leaf.value, also)}"
    if isinstance(leaf, Range) and not (leaf.above or leaf.below):
        low = _spell(leaf.low or "", also)
        high = _spell(leaf.high or "", also)
        if low.endswith("."):  # a dot beside the two dots would be taken for one of them
            low = low[:-1] + "%2E"
        if high.startswith("."):
            high = "%2E" + high[1:]
        return f"{_lead(escape(leaf.key, also))}={low}..{high}"
    return None


def _lead(text: str) -> str:
    # `-` would exclude, and `./` at the head of a query is dropped
    if text[:1] == "-":
        return "%2D" + text[1:]
    return "%2E" + text[1:] if text[:1] == "." else text


def format_query(tree: Tree, also: str = "") -> str | None:
    """The tree in the slot grammar, sorted, so that equal trees are written alike.

    None where it cannot say it: an "and" within an "or", `>`, `<`, and All.
    Parsing what it gives yields an equal tree.
    """
    slots = []
    for part in tree.parts if isinstance(tree, And) else (tree,):
        excluded = isinstance(part, Not)
        choice = part.part if isinstance(part, Not) else part
        words = []
        for leaf in choice.parts if isinstance(choice, Or) else (choice,):
            word = format_leaf(leaf, also) if isinstance(leaf, Leaf) else None
            if word is None:
                return None
            words.append(word)
        slots.append(("-" if excluded else "") + ",".join(sorted(words)))
    slots.sort(key=lambda slot: (slot.startswith("-"), slot))
    return "+".join(slots)
