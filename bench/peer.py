"""How SQLite is asked. For each question several ways to ask; the fastest counts.

SQLite's planner cannot know that one tag has half of all files and another has ten (its
statistics are averages), so the ways with a fixed order name the rarest tag first, as a
program would that keeps counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from bench.measure import Timing, measure
from tagfs.tag import split_tag


class Asked(NamedTuple):
    """A way to ask: SQL and its parameters. It yields the ids of files."""

    sql: str
    parameters: tuple[object, ...] = ()


_TERM = "(select id from term where key = ? and val is ?)"


def of_tag(tag: str) -> tuple[object, ...]:
    """The parameters of a tag."""
    return split_tag(tag)


def all_of(tags: Sequence[str]) -> list[Asked]:
    """Files with all tags; the rarest is given first."""
    parameters = tuple(p for tag in tags for p in of_tag(tag))
    others = range(1, len(tags))
    # `t0.term` stands first in the text, so that parameters come in the order of the tags.
    by_posting = "with " + ", ".join(f"w{i}(id) as {_TERM}" for i in range(len(tags)))
    joined = " ".join(
        f"cross join term_file t{i} on t{i}.term = (select id from w{i}) and t{i}.file = t0.file" for i in others
    )
    backward = " ".join(
        f"cross join file_term t{i} on t{i}.file = t0.file and t{i}.term = (select id from w{i})" for i in others
    )
    head = f"{by_posting} select t0.file from term_file t0"
    tail = "where t0.term = (select id from w0)"
    one = f"select file from term_file where term = {_TERM}"
    return [
        Asked(f"{head} {joined} {tail}", parameters),
        Asked(f"{head} {backward} {tail}", parameters),
        Asked(" intersect ".join([one] * len(tags)), parameters),
    ]


def any_of(tags: Sequence[str]) -> list[Asked]:
    """Files with any of the tags."""
    parameters = tuple(p for tag in tags for p in of_tag(tag))
    one = f"select file from term_file where term = {_TERM}"
    ways = [
        Asked(" union ".join([one] * len(tags)), parameters),
        Asked(f"select distinct file from term_file where term in ({', '.join([_TERM] * len(tags))})", parameters),
    ]
    if len(tags) == 2:
        no_other = f"not exists (select 1 from term_file b where b.term = {_TERM} and b.file = a.file)"
        ways.append(
            Asked(
                f"select file from term_file where term = {_TERM} union all "
                f"select a.file from term_file a where a.term = {_TERM} and {no_other}",
                (*of_tag(tags[0]), *of_tag(tags[1]), *of_tag(tags[0])),
            )
        )
    return ways


def one_without(tag: str, other: str) -> list[Asked]:
    """Files with a tag and without another."""
    parameters = (*of_tag(tag), *of_tag(other))
    return [
        Asked(
            f"select a.file from term_file a where a.term = {_TERM} and not exists "
            f"(select 1 from term_file b where b.term = {_TERM} and b.file = a.file)",
            parameters,
        ),
        Asked(
            f"select file from term_file where term = {_TERM} except select file from term_file where term = {_TERM}",
            parameters,
        ),
    ]


def years_and(low: int, high: int, tag: str) -> list[Asked]:
    """Files with a tag and a year within the range.

    The first two rely on a file having one year only, as it is in this library.
    """
    years = "select id from term where key = 'year' and num between ? and ?"
    parameters = (low, high, *of_tag(tag))
    return [
        Asked(
            f"select y.file from term_file y cross join term_file a on a.term = {_TERM} and a.file = y.file "
            f"where y.term in ({years})",
            (*of_tag(tag), low, high),
        ),
        Asked(
            f"select a.file from term_file a cross join file_term y on y.file = a.file and y.term in ({years}) "
            f"where a.term = {_TERM}",
            parameters,
        ),
        Asked(
            f"select a.file from term_file a where a.file in (select file from term_file where term in ({years})) "
            f"and a.term = {_TERM}",
            parameters,
        ),
    ]


def facets(tag: str) -> list[Asked]:
    """Term and count of all terms on the files with a tag."""
    return [
        Asked(
            "select b.term, count(*) from term_file a cross join file_term b on b.file = a.file "
            f"where a.term = {_TERM} group by b.term",
            of_tag(tag),
        ),
        Asked(
            "select term, count(*) from file_term where file in "
            f"(select file from term_file where term = {_TERM}) group by term",
            of_tag(tag),
        ),
    ]


def names(tag: str) -> list[Asked]:
    """The names of all files with a tag."""
    return [
        Asked(f"select f.name from term_file a cross join file f on f.id = a.file where a.term = {_TERM}", of_tag(tag))
    ]


def named_in(tag: str) -> Asked:
    """The first file with a name and a tag; the name is the last parameter."""
    return Asked(
        "select a.file from file f cross join term_file a "
        f"on a.term = {_TERM} and a.file = f.id where f.name = ? order by f.id limit 1",
        of_tag(tag),
    )


def first(asked: Asked, n: int) -> Asked:
    """The same, the first `n` by id."""
    return Asked(f"select file from ({asked.sql}) order by file limit {n}", asked.parameters)


def counted(asked: Asked) -> Asked:
    """The same, only how many."""
    return Asked(f"select count(*) from ({asked.sql})", asked.parameters)


class Fastest(NamedTuple):
    """The fastest way, what it took, and the rows it gave."""

    asked: Asked
    timing: Timing
    rows: list[Any]


def fastest(connection: sqlite3.Connection, ways: Sequence[Asked], repeats: int = 5) -> Fastest:
    """Ask in all ways, everything fetched; the one with the lowest median counts. All must say the same."""
    best: Fastest | None = None
    for asked in ways:
        rows = connection.execute(*asked).fetchall()
        if best is not None and sorted(rows) != sorted(best.rows):
            raise SystemExit(f"two ways to ask SQLite give different answers:\n{asked.sql}\n{best.asked.sql}")
        timing = measure(lambda asked=asked: connection.execute(*asked).fetchall(), repeats)  # type: ignore[misc]
        if best is None or timing.median_ms < best.timing.median_ms:
            best = Fastest(asked, timing, rows)
    assert best is not None
    return best
