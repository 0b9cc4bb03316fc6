"""Where one stands: a query, part by part, and what `cd` makes of it. Pure.

    cd music+flac   the files with both tags, wherever one stood
    cd +jazz        of those here, the ones with that tag too; also `+jazz` alone
    cd +-live       ... and the ones without
    cd ..           without the last part;  cd ../..  cd ..+jazz
    cd -            where one was before;  cd  or  cd /  all files

A place is written as one types it, and that text is a query in the richer form: parts
are joined with `+`, or with a blank where one has parentheses. So the prompt can be
copied into any other command.
"""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """The parts of a query, each a query by itself; none for all files."""

    parts: tuple[str, ...] = ()

    @property
    def query(self) -> str:
        """The query, "" for all files."""
        out = ""
        for part in self.parts:
            loose = part.startswith("(") or out.endswith(")")
            out += (" " if loose else "+") * bool(out) + part
        return out

    def up(self, steps: int = 1) -> Place:
        """Without the last parts."""
        return Place(self.parts[: max(0, len(self.parts) - steps)])

    def into(self, query: str) -> Place:
        """With more parts; what is there already is not repeated."""
        return Place(tuple(dict.fromkeys((*self.parts, *parts_of(query)))))


ALL = Place()


def parts_of(query: str) -> list[str]:
    """The parts that `cd ..` drops one by one: split at each + where that means "and", else all in parentheses."""
    query = query.strip()
    if not query:
        return []
    parts, at, quoted = [], 0, False
    start = 0
    while at < len(query):
        ch = query[at]
        if quoted:
            if ch == "\\":
                at += 1
            elif ch == '"':
                quoted = False
        elif ch == '"' and (at == start or query[at - 1] in "=+-,<>."):
            quoted = True
        elif ch.isspace() or ch in "()":
            # Words side by side, operators, parentheses: one thing, unless it is in parentheses as it is.
            return [query] if _is_enclosed(query) else [f"({query})"]
        elif ch == "+":
            parts.append(query[start:at])
            start = at + 1
        at += 1
    parts.append(query[start:])
    return parts if all(parts) else [f"({query})"]


def _is_enclosed(query: str) -> bool:
    """Whether the first parenthesis is closed by the last character."""
    if not query.startswith("("):
        return False
    depth, quoted, at = 0, False, 0
    while at < len(query):
        ch = query[at]
        if quoted:
            at += ch == "\\"
            quoted = ch != '"'
        elif ch == '"' and query[at - 1] in "=+-,<>.( ":
            quoted = True
        else:
            depth += (ch == "(") - (ch == ")")
            if not depth:
                return at == len(query) - 1
        at += 1
    return False


def steps_up(text: str) -> tuple[int, str] | None:
    """How many parts `..`, `../..`, `..+jazz` drop, and what follows; None where the text is none of these."""
    head, _, rest = text.partition("+")
    steps = head.rstrip("/").split("/")
    if not steps or any(step != ".." for step in steps):
        return None
    return len(steps), rest


def is_relative(query: str) -> bool:
    """Whether a query goes on from where one stands."""
    return query.startswith("+")


def resolved(place: Place, query: str) -> str:
    """A query that may go on from where one stands, as one that means the same everywhere."""
    if not is_relative(query):
        return query
    rest = query[1:]
    # What is wrong in it must be said about what was typed.
    return place.into(rest).query if rest else place.query
