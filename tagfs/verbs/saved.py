"""Saved queries: a name for a query, known on all nodes."""

from __future__ import annotations

import msgspec

from tagfs.change import Change
from tagfs.errors import NothingMatched
from tagfs.glossary import SAVED_THING, Thing
from tagfs.index.read import View
from tagfs.store import Store
from tagfs.verbs.naming import check_name

_unpack = msgspec.msgpack.Decoder().decode


def saved_queries(view: View) -> dict[str, str]:
    """Name -> query, in order of names."""
    found = {name: Thing.unpacked(_unpack(raw)).value("query", "") for name, raw in view.things(SAVED_THING)}
    return {name: query for name, query in sorted(found.items()) if query}


def save(store: Store, name: str, query: str) -> str:
    """Give a query a name; an empty query forgets the name. Returns the query it had, "" for none.

    The caller has checked that the query can be read.
    """
    wanted = check_name(name)

    def state(change: Change) -> str:
        old: str = change.thing(SAVED_THING, wanted).value("query", "")
        if not query and not old:
            raise NothingMatched(f"there is no saved query {wanted!r}")
        if old != query:
            change.about("saved", SAVED_THING, wanted, query=query)
        return old

    return store.act(state)
