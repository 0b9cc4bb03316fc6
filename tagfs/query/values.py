"""What the built-in keys mean: `size=100MB..`, `added=today`, `type=audio`, `holds=tablet`.

Each key is answered by terms where it can be (size, times, type, extension, nodes,
origin), by names or ids else. A way of asking that makes no sense for a key is an
error that says which ways do.

    name      = prefix% ..                 from      = prefix% ..
    size      = ranges > < ..              holds     = ..
    added     = ranges > < ..              knows     = ..
    modified  = ranges > < ..              id        = prefix% ..
    type      = prefix% ..                 ext       = prefix% ..

`..` alone is "any": for `holds` a file whose bytes some node keeps, for `ext` and `type`
a file that has one, for all others every file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NoReturn

from tagfs.bucket import (
    MAX_MS,
    MAX_SIZE_BYTES,
    MIN_MS,
    Size,
    Split,
    Time,
    parse_size,
    parse_time,
    split_sizes,
    split_times,
)
from tagfs.errors import QueryError
from tagfs.query.grammar import EXAMPLES
from tagfs.query.steps import ADDED_MS, MODIFIED_NS, NOTHING, SIZE_BYTES, Step
from tagfs.query.tree import AnyValue, BuiltIn, Range, ValuePrefix
from tagfs.term import ADDED, EXT, FROM, HOLDS, MODIFIED, SIZE, UNKNOWN
from tagfs.value import prefix_spans, value_range

if TYPE_CHECKING:
    from tagfs.query.plan import Planner

Asked = AnyValue | ValuePrefix | Range | BuiltIn

_NS_PER_MS = 1_000_000


def built_in(planner: Planner, leaf: Asked) -> Step:
    """The step for a built-in key. Raises `QueryError`."""
    return _ANSWERS[leaf.key](planner, leaf)


def check_direction(planner: Planner, leaf: Range, backwards: bool) -> None:
    """Refuses a range that ends before it begins."""
    if backwards:
        raise QueryError(
            planner.query,
            leaf.at,
            f"the range {leaf.low}..{leaf.high} runs backwards",
            f"the lower end comes first: {leaf.key}={leaf.high}..{leaf.low}",
        )


def _refuse(planner: Planner, leaf: Asked, why: str, hint: str = "") -> NoReturn:
    raise QueryError(planner.query, leaf.at, why, hint or f"ask like this: {EXAMPLES[leaf.key]}")


def _terms(planner: Planner, kind: int, prefix: str) -> Iterator[int]:
    for low, below in prefix_spans(prefix):
        for value, term in planner.vocabulary.walk(kind, "", low, below):
            if value.startswith(prefix):
                yield term


def _one(planner: Planner, kind: int, value: str) -> Step:
    term = planner.vocabulary.term(kind, "", value)
    return NOTHING if term is None else planner.any_of((term,))


# -- names, ids, origins -------------------------------------------------------


def _name(planner: Planner, leaf: Asked) -> Step:
    if isinstance(leaf, BuiltIn):
        return planner.fixed(planner.vocabulary.named(leaf.value))
    if isinstance(leaf, ValuePrefix):
        return planner.fixed(planner.vocabulary.names_beginning(leaf.prefix))
    if isinstance(leaf, Range):
        _refuse(planner, leaf, "names have no ranges")
    return planner.everything


def _id(planner: Planner, leaf: Asked) -> Step:
    if isinstance(leaf, AnyValue):
        return planner.everything
    if isinstance(leaf, Range):
        _refuse(planner, leaf, "ids have no ranges")
    text = leaf.prefix if isinstance(leaf, ValuePrefix) else leaf.value
    digits = text.replace("-", "").lower()
    if not digits or len(digits) > 32 or not all(ch in "0123456789abcdef" for ch in digits):
        _refuse(planner, leaf, f'"{text}" is no id: it has up to 32 of the digits 0-9 and a-f')
    if isinstance(leaf, BuiltIn) and len(digits) < 8:
        _refuse(planner, leaf, f'"{text}" is too short for an id', f"for ids that begin so write id={text}%")
    return planner.fixed(planner.vocabulary.ids_beginning(digits))


def _from(planner: Planner, leaf: Asked) -> Step:
    if isinstance(leaf, AnyValue):
        return planner.any_of(_terms(planner, FROM, ""))
    if isinstance(leaf, Range):
        _refuse(planner, leaf, "folders have no ranges")
    if isinstance(leaf, ValuePrefix):
        return planner.any_of(_terms(planner, FROM, leaf.prefix))
    # with and without the slash that completion puts behind a folder
    folders = dict.fromkeys((leaf.value, leaf.value.rstrip("/")))
    return planner.any_of_steps([_one(planner, FROM, folder) for folder in folders])


# -- sizes and times -----------------------------------------------------------


def _spanned(planner: Planner, kind: int, split: Split, attribute: str, low: int, high: int) -> Step:
    """The files in the buckets of a split: those within as they are, those at the edges looked at."""
    if split.first > split.last and not split.edges:
        return NOTHING
    buckets = (split.first, split.last, *split.edges) if split.first <= split.last else split.edges
    wanted = value_range(str(min(buckets)), str(max(buckets)))
    inner: list[int] = []
    edges: list[int] = []
    for low_key, below in wanted.spans:
        for value, term in planner.vocabulary.walk(kind, "", low_key, below):
            (edges if int(value) in split.edges else inner).append(term)
    return planner.any_of_steps([planner.any_of(inner), planner.filtered(edges, attribute, low, high)])


def _size(planner: Planner, leaf: Asked) -> Step:
    if isinstance(leaf, AnyValue):
        return planner.everything
    if isinstance(leaf, ValuePrefix):
        _refuse(planner, leaf, "a size has no beginning to go by")
    if isinstance(leaf, BuiltIn):
        size = _read_size(planner, leaf, leaf.value)
        low, high = size.first, size.last
    else:
        low, high = 0, MAX_SIZE_BYTES
        if leaf.low is not None:
            size = _read_size(planner, leaf, leaf.low)
            low = size.at_most + 1 if leaf.above else size.at_least
        if leaf.high is not None:
            size = _read_size(planner, leaf, leaf.high)
            high = size.at_least - 1 if leaf.below else size.at_most
        check_direction(planner, leaf, low > high and leaf.low is not None and leaf.high is not None)
    high = min(high, MAX_SIZE_BYTES)
    return _spanned(planner, SIZE, split_sizes(low, high), SIZE_BYTES, low, high)


def _read_size(planner: Planner, leaf: Asked, text: str) -> Size:
    size = parse_size(text)
    if size is None:
        _refuse(planner, leaf, f'"{text}" is no size', "write bytes, or kB, MB, GB, KiB, MiB, GiB: size=1.5GB..")
    return size


def _added(planner: Planner, leaf: Asked) -> Step:
    return _time(planner, leaf, ADDED, ADDED_MS, 1)


def _modified(planner: Planner, leaf: Asked) -> Step:
    return _time(planner, leaf, MODIFIED, MODIFIED_NS, _NS_PER_MS)


def _time(planner: Planner, leaf: Asked, kind: int, attribute: str, per_ms: int) -> Step:
    if isinstance(leaf, AnyValue):
        return planner.everything
    if isinstance(leaf, ValuePrefix):
        _refuse(planner, leaf, "a date needs no %, a short one spans its whole period")
    if isinstance(leaf, BuiltIn):
        time = _read_time(planner, leaf, leaf.value)
        low, high = time.first, time.last
    else:
        low, high = MIN_MS, MAX_MS
        if leaf.low is not None:
            time = _read_time(planner, leaf, leaf.low)
            low = time.at_most + 1 if leaf.above else time.at_least
        if leaf.high is not None:
            time = _read_time(planner, leaf, leaf.high)
            high = time.at_least - 1 if leaf.below else time.at_most
        check_direction(planner, leaf, low > high and leaf.low is not None and leaf.high is not None)
    return _spanned(planner, kind, split_times(low, high), attribute, low * per_ms, high * per_ms + per_ms - 1)


def _read_time(planner: Planner, leaf: Asked, text: str) -> Time:
    time = parse_time(text, planner.clock)
    if time is None:
        _refuse(
            planner,
            leaf,
            f'"{text}" is no date',
            "write 2024, 2024-05, 2024-05-31, 2024-05-31T18:30, today, yesterday, 7d or 2w",
        )
    planner.uses_clock = planner.uses_clock or time.relative
    return time


# -- kinds of files ------------------------------------------------------------


def _ext(planner: Planner, leaf: Asked) -> Step:
    if isinstance(leaf, AnyValue):
        return planner.any_of(term for value, term in planner.vocabulary.walk(EXT, "") if value)
    if isinstance(leaf, Range):
        _refuse(planner, leaf, "extensions have no ranges")
    if isinstance(leaf, ValuePrefix):
        return planner.any_of(_terms(planner, EXT, leaf.prefix.lower().removeprefix(".")))
    return _one(planner, EXT, leaf.value.lower().removeprefix("."))


def _type(planner: Planner, leaf: Asked) -> Step:
    # imported here: the table is long, and few ask
    from tagfs.mime import known_types, types_of_ext

    if isinstance(leaf, Range):
        _refuse(planner, leaf, "types have no ranges")
    if isinstance(leaf, AnyValue):
        fits: Callable[[str], bool] = bool
    else:
        text = (leaf.prefix if isinstance(leaf, ValuePrefix) else leaf.value).lower()
        if isinstance(leaf, ValuePrefix):
            fits = lambda kind: kind.startswith(text)  # noqa: E731
        elif "/" in text:
            fits = lambda kind: kind == text  # noqa: E731
        else:
            fits = lambda kind: kind.startswith(text + "/")  # noqa: E731
        known = known_types()
        if not any(map(fits, known)):
            _unknown(planner, leaf, f'no type "{text}"', {*known, *(kind.partition("/")[0] for kind in known)}, text)
    found = []
    for value, term in planner.vocabulary.walk(EXT, ""):
        kind = types_of_ext(value)
        if kind is not None and fits(kind):
            found.append(term)
    return planner.any_of(found)


def _unknown(planner: Planner, leaf: Asked, why: str, known: Iterable[str], text: str) -> NoReturn:
    from tagfs.query.suggest import did_you_mean, near

    words = [word for word, _ in near(text, [(one, 0) for one in known], limit=2)]
    _refuse(planner, leaf, why, did_you_mean(words))


# -- nodes ---------------------------------------------------------------------


def _holds(planner: Planner, leaf: Asked) -> Step:
    if isinstance(leaf, AnyValue):
        return planner.any_of(_terms(planner, HOLDS, ""))
    node = _node(planner, leaf)
    found = _one(planner, HOLDS, node)
    gone = planner.vocabulary.nodes_that_left()
    if node not in gone:
        return found
    # Of one that was forgotten: what nobody else is said to have.
    others = [term for guid, term in planner.vocabulary.walk(HOLDS, "") if guid not in gone]
    return planner.all_of([found], [planner.any_of(others)] if others else [])


def _knows(planner: Planner, leaf: Asked) -> Step:
    if isinstance(leaf, AnyValue):
        return planner.everything
    excluded = _one(planner, UNKNOWN, _node(planner, leaf))
    return planner.all_of([], [excluded])


def _node(planner: Planner, leaf: Asked) -> str:
    if not isinstance(leaf, BuiltIn):
        _refuse(planner, leaf, f"{leaf.key} asks for a node by its name")
    guid = planner.vocabulary.node(leaf.value)
    if guid is None:
        aliases = planner.vocabulary.node_aliases()
        why = f'no node is called "{leaf.value}"'
        if aliases and len(aliases) <= 8:
            _refuse(planner, leaf, why, f"there is {', '.join(sorted(aliases))}")
        _unknown(planner, leaf, why, aliases, leaf.value)
    return guid


_ANSWERS: dict[str, Callable[[Planner, Asked], Step]] = {
    "name": _name,
    "size": _size,
    "added": _added,
    "modified": _modified,
    "type": _type,
    "ext": _ext,
    "holds": _holds,
    "knows": _knows,
    "id": _id,
    "from": _from,
}
