"""Why a file is as it is: where each tag comes from, which questions it answers, where its bytes are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tagfs.face import Face, face_of, still_there
from tagfs.fact import BY_HAND
from tagfs.glossary import RULE_THING, Thing
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.place import places
from tagfs.stamp import ms_of, node_of
from tagfs.store import Store
from tagfs.verbs.history import facts_about

_unpack = msgspec.msgpack.Decoder().decode


class TagReason(NamedTuple):
    """A tag of the file: as its facts spell it, as people see it, and each addition that stands (ms, node alias)."""

    spelled: str
    tag: str
    added: list[tuple[int, str]]


class Placed(NamedTuple):
    """Who chose the holders of a file last, and when (ms, node alias).

    `how`: `born` (where it was added, as nobody chose), `hand`, `rule`, `undo` (back to how it
    was), `read` (brought here when it was opened). `rules`: the queries of the rules, those that
    were taken back since among them.
    `action`: as `lyts undo` takes it, None for none.
    """

    how: str
    at_ms: int
    node: str
    rules: list[str]
    action: str | None


class Reasons(NamedTuple):
    """All that speaks for what a person sees. `implied`: tags the file answers to -> own tags that cause it."""

    guid: str
    face: Face
    born_ms: int
    born_on: str
    tags: list[TagReason]
    implied: dict[str, list[str]]
    holds: list[str]
    unknown_to: list[str]
    bytes_at: str | None
    placed: Placed


def placed_by(store: Store, view: View, state: FileState) -> Placed:
    """What is behind the placement of a file."""
    names = {node[:8]: name for node, name in view.node_names().items()}
    at = max((stamp for stamp, _ in state.holds.values()), default=state.born)
    said_at, who = state.registers.get("placed_by", ("", []))
    known = {guid: str(Thing.unpacked(_unpack(raw)).value("query", guid[:8])) for guid, raw in view.things(RULE_THING)}
    queries = [known.get(rule, rule[:8]) for rule in who if rule != BY_HAND]
    said = None
    if at != state.born:
        said = next((fact for fact in facts_about(store, view, [state.guid])[state.guid] if fact.at == at), None)
    action = said.action if said is not None else None
    if said_at == at:
        how = "rule" if queries else "hand" if who else "undo"
    else:
        how = "born" if at == state.born else "hand" if said is None or action is not None else "read"
    return Placed(how, ms_of(at) if at else 0, names.get(node_of(at), node_of(at)) if at else "", queries, action)


def why(store: Store, guid: str) -> Reasons:
    """The reasons for one file."""
    state = store.states([guid])[0]

    def look(view: View) -> Reasons:
        names = view.node_names()
        by8 = {node[:8]: name for node, name in names.items()}
        gone = view.nodes_that_left()
        face = face_of(state, store.node, list(names))
        tags = [
            TagReason(
                spelled,
                view.canonical(spelled),
                sorted(
                    (ms_of(at), by8.get(node, node))
                    for node, at in state.added[spelled].items()
                    if at > state.removed.get(spelled, {}).get(node, "")
                ),
            )
            for spelled in face.tags
        ]
        own = {reason.tag for reason in tags}
        return Reasons(
            guid=guid,
            face=face,
            born_ms=ms_of(state.born),
            born_on=by8.get(node_of(state.born), node_of(state.born)),
            tags=tags,
            implied=_implied(view, own),
            holds=sorted(names.get(n, n) for n in still_there(face.holds, gone)),
            unknown_to=sorted(names.get(n, n) for n in face.unknown_to - gone),
            bytes_at=places(store.layout, view, store.node).find(face.data, face.holds),
            placed=placed_by(store, view, state),
        )

    return store.read(look)


def _implied(view: View, own: set[str]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for tag in _upper_tags(view):
        if tag not in own:
            causes = sorted(own.intersection(view.matching_tags(tag)))
            if causes:
                out[tag] = causes
    return out


def _upper_tags(view: View) -> Sequence[str]:
    """The tags that are more than themselves, under the name people see."""
    return sorted(set(view.tags_with_company()) - set(view.aliases()))
