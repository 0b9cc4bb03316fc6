"""What a plan is made of: set operations over term numbers.

    Term(term)              the files of a term
    AnyOf(terms, parts)     files of any of them
    AllOf(parts, without)   files of all parts, rarest first, and of none of `without`
    Fixed(bitmap)           these files (found by name or id)
    Filtered(part, ...)     of those files, the ones with an attribute from `low` to `high`

`files` is how many files a step yields at most, for Term and Fixed exactly: in the
state of the index in which the plan was made, and only there.
"""

from __future__ import annotations

from typing import NamedTuple

from pyroaring import BitMap

# Attributes that a `Filtered` step may name; both ends of its range lie within.
SIZE_BYTES = "size_bytes"
MODIFIED_NS = "modified_ns"
ADDED_MS = "added_ms"


class Step:
    """Base of all; see the module."""

    __slots__ = ("files",)
    files: int


class Term(Step):
    __slots__ = ("term",)

    def __init__(self, term: int, files: int) -> None:
        self.term = term
        self.files = files


class AnyOf(Step):
    __slots__ = ("parts", "terms")

    def __init__(self, terms: tuple[int, ...], parts: tuple[Step, ...], files: int) -> None:
        self.terms = terms
        self.parts = parts
        self.files = files


class AllOf(Step):
    __slots__ = ("parts", "without")

    def __init__(self, parts: tuple[Step, ...], without: tuple[Step, ...]) -> None:
        self.parts = parts
        self.without = without
        self.files = parts[0].files


class Fixed(Step):
    __slots__ = ("bitmap",)

    def __init__(self, bitmap: BitMap) -> None:
        self.bitmap = bitmap
        self.files = len(bitmap)


class Filtered(Step):
    __slots__ = ("attribute", "high", "low", "part")

    def __init__(self, part: Step, attribute: str, low: int, high: int) -> None:
        self.part = part
        self.attribute = attribute
        self.low = low
        self.high = high
        self.files = part.files


NOTHING = AnyOf((), (), 0)


class Plan(NamedTuple):
    """A query made ready to run, true for the state of the index in which it was made.

    `uses_clock`: it means something else tomorrow (`added=today`). `by_terms`: what it
    yields changes only when one of its terms does (`tagfs.query.run.terms`); where it is
    False, names or attributes matter too.
    """

    root: Step
    uses_clock: bool
    by_terms: bool


def fingerprint(plan: Plan) -> str:
    """The same text for plans that do the same: what a cache of results may go by.

    Not the query: between two looks at `year=1955..1965` a file of 1960 may have brought
    a term that the first plan had no reason to name.
    """
    return _print(plan.root)


def _print(step: Step) -> str:
    if isinstance(step, Term):
        return str(step.term)
    if isinstance(step, AnyOf):
        return f"|({','.join([*map(str, step.terms), *map(_print, step.parts)])})"
    if isinstance(step, AllOf):
        return f"&({','.join(map(_print, step.parts))};{','.join(map(_print, step.without))})"
    if isinstance(step, Filtered):
        return f"{step.attribute}({_print(step.part)},{step.low},{step.high})"
    assert isinstance(step, Fixed)
    return f"={step.bitmap.serialize().hex()}"
