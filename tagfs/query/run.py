"""Runs a plan, one block of 65,536 ordinals after the other.

Only the blocks in which the rarest part of the plan has files are looked at, one at a
time and only when asked for: the first page of a million files costs one block. In a
block, what was found so far is handed on to the next step, so that nothing is made
that would be thrown away, and attributes are looked at for the few files that are
left. A block is counted without being made, where its last step allows.

Bitmaps that `Postings` gives, and those yielded here, may be shared: nobody changes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Protocol

from pyroaring import BitMap

from tagfs.query.steps import AllOf, AnyOf, Filtered, Fixed, Plan, Step, Term

BLOCK_BITS = 16


class Postings(Protocol):
    """The files of terms, by block; a block is the ordinals with the same `ordinal >> 16`."""

    def chunk(self, term: int, high: int) -> BitMap | None:
        """The full ordinals of a term's files in block `high`; None (or empty) if there are none."""
        ...

    def highs(self, term: int) -> list[int]:
        """The blocks in which a term has files, ascending."""
        ...

    def term_chunks(self, term: int) -> Iterator[tuple[int, BitMap]]:
        """(block, files) for each block in which a term has files, ascending."""
        ...

    def filter(self, bitmap: BitMap, attribute: str, low: int, high: int) -> BitMap:
        """Those files of `bitmap` whose attribute lies between `low` and `high`, both within.

        `attribute` is `size_bytes`, `modified_ns` or `added_ms`; all files are of one block.
        """
        ...


def chunks(plan: Plan, postings: Postings) -> Iterator[BitMap]:
    """The files of a plan, block by block, ascending; no block is empty."""
    root = plan.root
    if isinstance(root, AllOf) and isinstance(root.parts[0], Term):
        # The usual question. One walk over the blocks of its rarest term, which settle most of it.
        rest = root.parts[1:]
        for high, left in postings.term_chunks(root.parts[0].term):
            found = _narrow(left, rest, root.without, postings, high)
            if found:
                yield found
        return
    for high in _highs(root, postings):
        found = _run(root, postings, high, None)
        if found:
            yield found


def result(plan: Plan, postings: Postings) -> BitMap:
    """All files of a plan; the caller's own."""
    return BitMap.union(BitMap(), *chunks(plan, postings))


def first(plan: Plan, postings: Postings, n: int) -> list[int]:
    """The first `n` files of a plan, ascending."""
    found: list[int] = []
    if n <= 0:
        return found
    for chunk in chunks(plan, postings):
        found.extend(islice(chunk, n - len(found)))
        if len(found) == n:
            break
    return found


def contains(plan: Plan, postings: Postings, ordinal: int) -> bool:
    """Whether a file is among those of a plan."""
    return _holds(plan.root, postings, ordinal)


def count(plan: Plan, postings: Postings) -> int:
    """How many files a plan has; in the state of the index in which the plan was made."""
    return _count(plan.root, postings)


def terms(plan: Plan) -> frozenset[int]:
    """The terms a plan depends on: while none of them changes, neither does the result (see `Plan.by_terms`)."""
    found: set[int] = set()
    left: list[Step] = [plan.root]
    while left:
        step = left.pop()
        if isinstance(step, Term):
            found.add(step.term)
        elif isinstance(step, AnyOf):
            found.update(step.terms)
            left.extend(step.parts)
        elif isinstance(step, AllOf):
            left.extend(step.parts)
            left.extend(step.without)
        elif isinstance(step, Filtered):
            left.append(step.part)
    return frozenset(found)


# -- one block -----------------------------------------------------------------


def _run(step: Step, postings: Postings, high: int, within: BitMap | None) -> BitMap | None:
    """The files of a step in a block, and in `within` if that is given; None or empty for none."""
    if isinstance(step, Term):
        found = postings.chunk(step.term, high)
        return found if within is None or found is None else found & within
    if isinstance(step, AllOf):
        first = _run(step.parts[0], postings, high, within)
        return _narrow(first, step.parts[1:], step.without, postings, high) if first else None
    if isinstance(step, AnyOf):
        many = [found for term in step.terms if (found := postings.chunk(term, high))]
        many += [found for part in step.parts if (found := _run(part, postings, high, within))]
        if not many:
            return None
        found = many[0] if len(many) == 1 else BitMap.union(*many)
        return found if within is None else found & within
    if isinstance(step, Filtered):
        found = _run(step.part, postings, high, within)
        return postings.filter(found, step.attribute, step.low, step.high) if found else None
    assert isinstance(step, Fixed)
    return step.bitmap & (BitMap(range(high << BLOCK_BITS, (high + 1) << BLOCK_BITS)) if within is None else within)


def _narrow(
    left: BitMap, parts: Sequence[Step], without: Sequence[Step], postings: Postings, high: int
) -> BitMap | None:
    """The files of `left`, all of one block, that are in all parts and in none of `without`."""
    for part in parts:
        if isinstance(part, Term):
            found = postings.chunk(part.term, high)
            if found is None:
                return None
            left = left & found
        else:
            within = _run(part, postings, high, left)
            if within is None:
                return None
            left = within
        if not left:
            return None
    for part in without:
        found = _run(part, postings, high, left)
        if found:
            left = left - found
            if not left:
                return None
    return left


def _holds(step: Step, postings: Postings, ordinal: int) -> bool:
    high = ordinal >> BLOCK_BITS
    if isinstance(step, Term):
        found = postings.chunk(step.term, high)
        return found is not None and ordinal in found
    if isinstance(step, AllOf):
        return all(_holds(part, postings, ordinal) for part in step.parts) and not any(
            _holds(part, postings, ordinal) for part in step.without
        )
    if isinstance(step, AnyOf):
        for term in step.terms:
            found = postings.chunk(term, high)
            if found is not None and ordinal in found:
                return True
        return any(_holds(part, postings, ordinal) for part in step.parts)
    if isinstance(step, Filtered):
        if not _holds(step.part, postings, ordinal):
            return False
        return bool(postings.filter(BitMap([ordinal]), step.attribute, step.low, step.high))
    assert isinstance(step, Fixed)
    return ordinal in step.bitmap


def _highs(step: Step, postings: Postings) -> list[int]:
    """The blocks in which a step may have files, ascending."""
    if isinstance(step, Term):
        return postings.highs(step.term)
    if isinstance(step, AllOf):
        return _highs(step.parts[0], postings)
    if isinstance(step, AnyOf):
        found: set[int] = set()
        for term in step.terms:
            found.update(postings.highs(term))
        for part in step.parts:
            found.update(_highs(part, postings))
        return sorted(found)
    if isinstance(step, Filtered):
        return _highs(step.part, postings)
    assert isinstance(step, Fixed)
    highs = []
    bitmap, place = step.bitmap, 0
    while place < len(bitmap):
        highs.append(bitmap[place] >> BLOCK_BITS)
        place = bitmap.rank((highs[-1] << BLOCK_BITS) | 0xFFFF)  # how many lie in this block and before it
    return highs


# -- counting ------------------------------------------------------------------


def _count(step: Step, postings: Postings) -> int:
    if isinstance(step, Term | Fixed):
        return step.files
    if isinstance(step, AllOf):
        if len(step.parts) == 1 and len(step.without) == 1 and isinstance(step.parts[0], Term):
            # what is left is all of the one but what both have: no difference is ever made
            return step.parts[0].files - _count_both(step.parts[0], step.without[0], postings)
        if len(step.parts) == 2 and not step.without:
            return _count_both(step.parts[0], step.parts[1], postings)
    if isinstance(step, AnyOf) and len(step.terms) == 2 and not step.parts:
        return _count_either(step.terms[0], step.terms[1], postings)
    return sum(len(found) for high in _highs(step, postings) if (found := _run(step, postings, high, None)))


def _count_both(one: Step, other: Step, postings: Postings) -> int:
    """How many files two steps have in common."""
    if other.files < one.files:
        one, other = other, one
    total = 0
    for high in _highs(one, postings):
        found = _run(one, postings, high, None)
        if not found:
            continue
        if isinstance(other, Term):
            chunk = postings.chunk(other.term, high)
            if chunk is not None:
                total += chunk.intersection_cardinality(found)
        else:
            rest = _run(other, postings, high, found)
            total += len(rest) if rest else 0
    return total


def _count_either(one: int, other: int, postings: Postings) -> int:
    """How many files have either of two terms."""
    total = 0
    for high in {*postings.highs(one), *postings.highs(other)}:
        left, right = postings.chunk(one, high), postings.chunk(other, high)
        if left is None or right is None:
            total += len(left or ()) + len(right or ())
        else:
            total += left.union_cardinality(right)
    return total
