"""Which nodes are meant by what a person typed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sync.nodes import NodeInfo
from tagfs.errors import BadRequest
from tagfs.guid import prefix_digits


class NoSuchNode(BadRequest):
    """A name that no device of the library has."""

    def __init__(self, text: str, aliases: Iterable[str]) -> None:
        known = sorted(aliases)
        self.text = text
        has = f"there {'is' if len(known) == 1 else 'are'} {', '.join(known)}" if len(known) <= 12 else ""
        super().__init__(f"no device is called {text!r}" + (f"; {has}" if has else ""))


def names_in(given: Iterable[str]) -> list[str]:
    """The names in `laptop,tablet` and options given several times."""
    return [name for text in given for part in text.split(",") if (name := part.strip())]


def named_nodes(nodes: Mapping[str, NodeInfo], names: Iterable[str]) -> list[str]:
    """The GUIDs of nodes, each once, by alias or by 8 digits or more of a GUID.

    Raises:
        NoSuchNode: nobody is called so, or has left.
        BadRequest: several are called so.
    """
    there = {guid: node for guid, node in nodes.items() if not node.gone}
    found: dict[str, None] = {}
    for name in names:
        hits = [guid for guid, node in there.items() if node.alias == name]
        digits = prefix_digits(name)
        if not hits and digits is not None:
            hits = [guid for guid in there if guid.replace("-", "").startswith(digits)]
        if not hits:
            raise NoSuchNode(name, (node.alias for node in there.values()))
        if len(hits) > 1:
            ids = ", ".join(guid[:8] for guid in sorted(hits))
            raise BadRequest(f"{len(hits)} devices are called {name!r}; name the one you mean by its id: {ids}")
        found[hits[0]] = None
    return list(found)


def aliases(nodes: Mapping[str, NodeInfo]) -> dict[str, str]:
    """What people call each node, by GUID; the beginning of its GUID where that alone tells it from another."""
    taken: dict[str, int] = {}
    for node in nodes.values():
        taken[node.alias] = taken.get(node.alias, 0) + 1
    return {
        guid: node.alias if taken[node.alias] == 1 else f"{node.alias} ({guid[:8]})" for guid, node in nodes.items()
    }
