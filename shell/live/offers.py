"""What Tab offers at the end of a text. Pure: the index answers through `Asked`.

What fits is decided by position (`roles`), then by how well it fits what is typed:

    begins so, or a word in it does > has it inside > has its letters in that order

of which only the best that there are is offered, so that typing on narrows and Tab puts
in what is meant; with more files first. Case and accents do not count. After `music+` and at the
begin of a line come the facets: the tags by which what one has can be narrowed, with how
many files that leaves. Nothing is offered that could not be typed: what is put in is
written so that the line reads it back, and a name with characters that cannot be seen
is offered by its id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from typing import NamedTuple

from shell.live import roles, shape
from shell.live.asked import Asked
from shell.live.line import AtEnd, Word, at_end, spelled
from shell.live.numbers import is_numbers
from shell.live.place import is_relative, resolved
from shell.live.roles import Role
from shell.live.shape import Shape
from shell.live.state import State
from shell.text import count_text, harmless
from tagfs.guid import short
from tagfs.query.rich import format_rich
from tagfs.query.suggest import fold
from tagfs.query.tree import AnyValue, Tag
from tagfs.tag import BUILT_IN_KEYS, escape, escape_tag

MOST = 60
FACETS_FIRST = 12
"""How many facets an empty line offers before the commands."""
VALUES_APART = 8
"""A key with more values than this among the facets is offered as `key=`, not value by value."""


class Offer(NamedTuple):
    """Something to put in for what stands from `start` to the end of the text.

    `shown` is for people, harmless on a terminal; `about` says more, "" for nothing.
    `more`: it is likely to go on, so no blank follows. `signs`: typed next, they join what
    comes to it, so a blank that followed goes.
    """

    start: int
    text: str
    shown: str
    about: str = ""
    more: bool = False
    signs: str = ""


class _Fit(NamedTuple):
    """A candidate before it is written: the value of the word, how it is shown and ranked."""

    value: str
    shown: str
    about: str = ""
    more: bool = False
    match: str = ""
    """What the typed text is compared with; `shown` where it is empty."""
    signs: str = ""


_SIGNS = {shape.QUERY: "+,", shape.TAGS: ","}
"""What joins parts of a word, by the kind of the word."""


def offers(
    text: str,
    state: State,
    shape_of: Callable[[str], Shape | None],
    summaries: Mapping[str, str],
    asked: Asked,
) -> list[Offer]:
    """What fits at the end of `text`, best first, at most `MOST`."""
    end = at_end(text)
    if end.command.into is not None:
        return []
    if end.command.program is not None:
        return list(_for_program(text, end, asked))[:MOST]
    found = _fits(end, state, shape_of, summaries, asked)
    return [_written(one, end) for one in found[:MOST]]


def _written(fit: _Fit, end: AtEnd) -> Offer:
    word, quote = end.word, end.quote if end.quote != "\\" else ""
    text = spelled(fit.value, quote)
    if not quote and fit.value and (fit.value == "*" or is_numbers(fit.value, 1 << 30)) and fit.match:
        text = spelled(fit.value, "'")  # a file that is called like a number of the listing
    if fit.more and text[-1:] in "'\"" and text != fit.value:
        text = text[:-1]
    # A part in quotes cannot be joined to others: there its blanks are %20.
    signs = fit.signs if text[-1:] not in ("'", '"') else ""
    return Offer(word.start, text, harmless(fit.shown), harmless(fit.about), fit.more, signs)


def _fits(
    end: AtEnd,
    state: State,
    shape_of: Callable[[str], Shape | None],
    summaries: Mapping[str, str],
    asked: Asked,
) -> list[_Fit]:
    word = end.word
    before = end.before
    named = [one for one in before if not (one == before[0] and one.text == "lyts")]
    if not named:
        return _first_word(word, bool(before), state, summaries, asked)
    found = roles.read(before, shape_of)
    if found.shape is None:
        return []
    role, typed = found.next, word.text
    waits = role is not None and role.part == roles.VALUE
    if typed.startswith("-") and not found.ended and not waits:
        name, equals, rest = typed.partition("=")
        option = found.shape.options.get(name)
        if equals and option is not None and option.kind is not None:
            inner = Role(roles.VALUE, option.kind, option.choices, option=name)
            return _of_kind(inner, rest, name + "=", found, state, summaries, asked)
        options = _options(found.shape, typed)
        if options:
            return options
    out: list[_Fit] = []
    if len(before) == found.head and not waits:
        below = [_Fit(name, name, one.summary) for name, one in found.shape.below.items()]
        out = _best(typed, below)
    if role is None:
        return out
    return out + _of_kind(role, typed, "", found, state, summaries, asked)


def _of_kind(
    role: Role,
    typed: str,
    lead: str,
    found: roles.Read,
    state: State,
    summaries: Mapping[str, str],
    asked: Asked,
) -> list[_Fit]:
    """What fits for a word of a kind; `lead` stands before it in the same word."""
    kind = role.kind
    if kind == shape.QUERY:
        fits = _query(typed, state, asked)
    elif kind in (shape.TAGS, shape.TAG):
        fits = _tag_list(typed, found.path[0] == "untag", kind == shape.TAGS, state, asked)
    elif kind == shape.TARGET:
        fits = _targets(typed, state, asked)
    elif kind == shape.NODES:
        fits = _listed(typed, [(name, "") for name in asked.nodes()])
    elif kind == shape.SAVED:
        fits = _best(typed, [_Fit(name, name, query) for name, query in asked.saved().items()])
    elif kind == shape.CHOICE:
        fits = _best(typed, [_Fit(name, name) for name in role.choices])
    elif kind == shape.PATH:
        fits = _paths(typed, asked)
    elif kind == shape.COMMAND or found.path == ("help",):
        fits = _best(typed, [_Fit(name, name, about) for name, about in summaries.items()])
    else:
        fits = []
    signs = _SIGNS.get(kind, "")
    return [fit._replace(value=lead + fit.value, signs=signs) for fit in fits] if lead or signs else fits


# -- the first word ------------------------------------------------------------


def _first_word(word: Word, after_lyts: bool, state: State, summaries: Mapping[str, str], asked: Asked) -> list[_Fit]:
    if is_relative(word.text) and not after_lyts:
        return [fit._replace(signs=_SIGNS[shape.QUERY]) for fit in _query(word.text, state, asked)]
    commands = _best(word.text, [_Fit(name, name, about) for name, about in summaries.items()])
    if word.text or after_lyts:
        return commands
    return _query("+", state, asked)[:FACETS_FIRST] + commands


def _options(found: Shape, typed: str) -> list[_Fit]:
    out = []
    for name, option in found.options.items():
        if name.startswith(typed) and (len(name) > 2 or typed != "-"):
            out.append(_Fit(name, name, option.help))
    return out


# -- queries -------------------------------------------------------------------


def _query(typed: str, state: State, asked: Asked) -> list[_Fit]:
    """The end of a query."""
    cut = max(typed.rfind(ch) for ch in "+,( ") + 1
    if typed[cut : cut + 1] == "-":
        cut += 1
    head, part = typed[:cut], typed[cut:]
    slot = head.rstrip("-")
    within = ""
    if "(" not in head and " " not in head:
        stem = slot[: slot.rfind("+")] if "+" in slot else ""
        within = resolved(state.place, stem) if stem else state.place.query if is_relative(typed) else ""
    known = asked.tags(within)
    narrows = within != "" and not head.endswith(("-", ","))
    taken = frozenset(re.split(r"[+,]", slot)) - {part}
    best = [_in_query(one, head) for one in _best_tags(part, within, asked, taken, narrows=narrows)]
    keys = [key for key in BUILT_IN_KEYS if part and key.startswith(part)]
    best += [_Fit(f"{head}{key}=", f"{key}=", "always there", True) for key in keys]
    if part and not head.endswith("-") and any(escape_tag(one.tag) == part for one in known):
        # The tag is whole: what comes next is what narrows it.
        whole = resolved(state.place, typed)
        going_on = _best_tags("", whole, asked, frozenset(), narrows=True)
        best = [fit for fit in best if fit.value != typed]
        best += [_in_query(one, typed + "+", "+") for one in going_on]
    return best


class _Tag(NamedTuple):
    """A tag to offer, or a key with so many values that each would be too much (`values` says how many)."""

    text: str
    files: int
    values: int = 0
    rank: int = 0


def _best_tags(part: str, within: str, asked: Asked, taken: frozenset[str], *, narrows: bool = False) -> list[_Tag]:
    """The tags of the files of a query that fit best, at most `MOST`.

    All of them are looked at for each key that is typed, so nothing is made here that is not offered.

    Args:
        taken: tags that are there already.
        narrows: leave out those that all of the files have.
    """
    key = part.partition("=")[0] if "=" in part else None
    values: dict[str, int] = {}
    wanted = fold(part)
    counted = asked.tags(within)
    ranked: list[_Ranked] = []
    for tag, files, _ in counted:
        name, equals, _ = tag.partition("=")
        if equals and key is None:
            values[name] = values.get(name, 0) + 1
            if values[name] > VALUES_APART:
                continue
        elif key is not None and not (equals and escape(name) == key):
            continue
        rank = fits_how(wanted, fold(tag)) if wanted else 0
        if rank is not None:
            ranked.append((rank, -files, tag))
    many = {name for name, number in values.items() if number > VALUES_APART}
    if many and key is None:
        ranked = [one for one in ranked if one[2].partition("=")[0] not in many or "=" not in one[2]]
    total = asked.total(within) if narrows else -1
    if counted and not counted[0].sure:
        ranked = _counted_exactly(ranked, within, asked)
    left = nsmallest(MOST, (one for one in ranked if -one[1] != total))
    best = _TIERS[left[0][0]] if left else 0
    out = [_Tag(tag, -minus, 0, rank) for rank, minus, tag in left if rank <= best]
    keys = [_Tag(f"{name}=", 0, values[name]) for name in sorted(many) if fits_how(wanted, fold(name)) is not None]
    return [one for one in (*out, *keys) if escape_tag_or_key(one.text) not in taken][:MOST]


_Ranked = tuple[int, int, str]
"""How well a tag fits, how many files it has (negative), the tag: the smallest is the best."""
_COUNTED_MOST = 4 * MOST


def _counted_exactly(ranked: list[_Ranked], within: str, asked: Asked) -> list[_Ranked]:
    """The best of those whose numbers say only how many files they have at most.

    They are counted from the one on that can have most, until no other can be among the first `MOST`.
    """
    pool = nsmallest(_COUNTED_MOST, ranked)
    found: list[_Ranked] = []
    for at in range(0, len(pool), MOST):
        portion = pool[at : at + MOST]
        counts = asked.exact(within, [tag for _, _, tag in portion])
        found += [(rank, -files, tag) for (rank, _, tag), files in zip(portion, counts, strict=True) if files]
        found.sort()
        if len(found) >= MOST and at + MOST < len(pool) and found[MOST - 1] <= pool[at + MOST]:
            break
    return found


def escape_tag_or_key(text: str) -> str:
    """A tag, or a key with its `=`, as it is written in a query."""
    return escape(text[:-1]) + "=" if text.endswith("=") else escape_tag(text)


def _in_query(one: _Tag, head: str, shown: str = "") -> _Fit:
    """A tag as the end of a query. Alone it may hold blanks, and is put in quotes; joined to others they are %20."""
    text = escape_tag_or_key(one.text)
    if one.values:
        word = format_rich(AnyValue(one.text[:-1])).removesuffix("..")
    elif not head and text == one.text and " " in text and text.isprintable() and '"' not in text:
        word = text
    else:
        word = format_rich(Tag(one.text))
    return _Fit(head + word, shown + text, _about(one), bool(one.values), match=text)


def _about(one: _Tag) -> str:
    return f"{one.values:,} values" if one.values else count_text(one.files, "file")


def _tag_list(typed: str, only_here: bool, several: bool, state: State, asked: Asked) -> list[_Fit]:
    """Tags with commas between them, to put on files: first those that go with the files here."""
    cut = typed.rfind(",") + 1 if several else 0
    head, part = typed[:cut], typed[cut:]
    taken = frozenset(head.split(",")) - {part}
    here = state.place.query
    best = _best_tags(part, here, asked, taken) if here or only_here else []
    if not only_here:
        known = {one.text for one in best}
        best += [one for one in _best_tags(part, "", asked, taken) if one.text not in known]
    out = []
    worst = _TIERS[min((one.rank for one in best), default=0)]
    for one in best:
        if one.rank > worst:
            continue
        text = escape_tag_or_key(one.text)
        out.append(_Fit(head + text, text, _about(one), bool(one.values), match=text))
    return out


# -- files, paths, words -------------------------------------------------------


def _targets(typed: str, state: State, asked: Asked) -> list[_Fit]:
    if "/" in typed or typed.startswith(("~", "./")):
        return _paths(typed, asked)
    found = asked.names(typed, state.place.query, MOST * 2)
    often: dict[str, int] = {}
    for one in found:
        often[one.name] = often.get(one.name, 0) + 1
    fits = []
    for one in found:
        plain = one.name.isprintable() and often[one.name] == 1 and not one.name.startswith("-")
        value = one.name if plain else short(one.guid)
        fits.append(_Fit(value, one.name, "" if plain else short(one.guid), match=one.name or " "))
    return _best(typed, fits)


def _paths(typed: str, asked: Asked) -> list[_Fit]:
    out = []
    for path in asked.paths(typed):
        name = path.rstrip("/").rpartition("/")[2] + "/" * path.endswith("/")
        if path.isprintable():
            out.append(_Fit(path, name, "", path.endswith("/")))
    return out


def _listed(typed: str, items: Sequence[tuple[str, str]]) -> list[_Fit]:
    """Items with commas between them."""
    cut = typed.rfind(",") + 1
    head, part = typed[:cut], typed[cut:]
    taken = set(head.split(","))
    return _best(part, [_Fit(head + name, name, about) for name, about in items if name not in taken])


def _for_program(text: str, end: AtEnd, asked: Asked) -> Iterator[Offer]:
    """After a `!`: programs, then paths. The rest is another shell's."""
    typed = re.split(r"[\s;|&()]", text[end.command.program_at :])[-1]
    start = len(text) - len(typed)
    first = not text[end.command.program_at : start].strip() or text[:start].rstrip()[-1:] in ";|&("
    if first and "/" not in typed:
        if typed:
            for name in asked.programs(typed):
                yield Offer(start, name, harmless(name))
        return
    for path in asked.paths(typed):
        if path.isprintable():
            name = path.rstrip("/").rpartition("/")[2] + "/" * path.endswith("/")
            yield Offer(start, spelled(path), harmless(name), "", path.endswith("/"))


# -- fitting -------------------------------------------------------------------

_INNER_WORD = re.compile(r"[\s._=/-]")


def _best(typed: str, fits: Iterable[_Fit]) -> list[_Fit]:
    """Those that fit what is typed, the best first; in their order among equals."""
    wanted = fold(typed)
    if not wanted:
        return list(fits)
    ranked: list[tuple[int, int, _Fit]] = []
    for number, fit in enumerate(fits):
        rank = fits_how(wanted, fold(fit.match or fit.shown))
        if rank is not None:
            ranked.append((rank, number, fit))
    ranked.sort(key=lambda one: one[:2])
    best = _TIERS[ranked[0][0]] if ranked else 0
    return [fit for rank, _, fit in ranked if rank <= best]


_TIERS = (1, 1, 2, 3)
"""How well what is offered must fit, by how well the best of it does."""


def fits_how(wanted: str, text: str) -> int | None:
    """How well a folded text fits: 0 begins so, 1 a word in it does, 2 has it inside, 3 has its letters; None not."""
    at = text.find(wanted)
    if at == 0:
        return 0
    if at > 0:
        while at > 0:
            if _INNER_WORD.match(text[at - 1]):
                return 1
            at = text.find(wanted, at + 1)
        return 2
    if len(wanted) < 2:
        return None
    for ch in wanted:  # no regular expression: one of these takes ages for a text of equal letters
        at = text.find(ch, at + 1)
        if at < 0:
            return None
    return 3
