"""From a merge state to what the index keeps of it, and back without loss.

Most files were added once and never touched: their state follows from their row, name,
attributes and tags alone (`PLAIN`). For the others `merge` keeps what differs, with
nodes and tags as numbers:

    {1: made, 2: registers, 3: additions, 4: removals, 5: contents, 6: holds, 7: knows,
     8: purges, 9: latest}       a part that is as in a plain file is left out

An addition is [when, node, tags]; tags None means all tags of the file's `fwd` row, so
that tagging a file later costs a dozen bytes.

Pure but for the two intern functions, which give numbers to texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from tagfs.fact import Content, Fact, Made, Purge, parse_time_ns, time_text
from tagfs.guid import guid_of_bytes
from tagfs.index.blocks import PLAIN, Attr, Row
from tagfs.merge import ByTag, FileState, Placement
from tagfs.slug import data_path
from tagfs.stamp import make_stamp, node_of, when_of

_pack = msgspec.msgpack.Encoder().encode
_unpack: Callable[[bytes], Any] = msgspec.msgpack.Decoder().decode


class Numbers(Protocol):
    """Gives numbers to nodes and tags, for good."""

    def node_number(self, text: str) -> int: ...
    def node_text(self, number: int) -> str: ...
    def tag_number(self, tag: str) -> int: ...
    def tag_text(self, number: int) -> str: ...


def is_plain(state: FileState) -> bool:
    """Whether the state is that of a file added by one node and never touched again."""
    made, born = state.made, state.born
    if (
        made is None
        or state.registers
        or state.removed
        or state.knows
        or state.purges
        or len(state.latest) != 1
        or len(state.contents) != 1
        or len(state.holds) != 1
    ):
        return False
    node = born[26:]
    if state.by[:8] != node or state.latest.get(node) != born or state.holds.get(state.by) != (born, True):
        return False
    content = state.contents.get(born)
    if content is None or content.was is not None or made.raw_name is not None:
        return False
    at_birth = {node: born}
    checked = None
    for by_node in state.added.values():
        if by_node is not checked:  # mostly one dict, shared by all tags
            if by_node != at_birth:
                return False
            checked = by_node
    return made.data == data_path(state.guid, made.name)


def is_plain_birth(fact: Fact) -> bool:
    """`is_plain` of the state of a file of which this fact is all there is, without joining it."""
    made, content = fact.made, fact.content
    return (
        made is not None
        and content is not None
        and content.was is None
        and made.raw_name is None
        and fact.holds == {fact.by: True}
        and fact.by[:8] == fact.at[26:]
        and fact.name is None
        and fact.notes is None
        and fact.mode is None
        and fact.modified is None
        and fact.trash is None
        and fact.xattr is None
        and fact.untag is None
        and not fact.knows
        and fact.placed_by is None
        and fact.purge is None
        and made.data == data_path(fact.file or "", made.name)
    )


def pack_merge(state: FileState, name: str, numbers: Numbers) -> bytes | None:
    """The merge record of a state; None where it is plain.

    Args:
        name: the name that `names` keeps for the file.
    """
    if is_plain(state):
        return None
    node = numbers.node_number
    tag = numbers.tag_number
    parts: dict[int, Any] = {}

    def place(at: str) -> list[int]:
        return [when_of(at), node(at[26:])]

    made, born = state.made, state.born
    if made is not None and (
        made.name != name or made.raw_name is not None or made.data != data_path(state.guid, made.name)
    ):
        parts[1] = [made.name, made.data, made.raw_name]
    if state.registers:
        parts[2] = {register: [*place(at), value] for register, (at, value) in state.registers.items()}
    groups: dict[str, list[str]] = {}
    for text, by_node in state.added.items():
        for at in by_node.values():
            groups.setdefault(at, []).append(text)
    live = state.tags()
    if not (len(groups) == 1 and born in groups and len(live) == len(state.added)) and groups:
        parts[3] = [
            [*place(at), None if len(tags) == len(live) and sorted(tags) == live else [tag(t) for t in sorted(tags)]]
            for at, tags in sorted(groups.items())
        ]
    if state.removed:
        parts[4] = [
            [tag(t), [place(at) for _, at in sorted(seen.items())]] for t, seen in sorted(state.removed.items())
        ]
    content = state.contents.get(born)
    if len(state.contents) != 1 or content is None or content.was is not None or "modified" in state.registers:
        parts[5] = [
            [
                *place(at),
                bytes.fromhex(c.sha256),
                c.size_bytes,
                parse_time_ns(c.modified) or 0,
                bytes.fromhex(c.was) if c.was else None,
            ]
            for at, c in sorted(state.contents.items())
        ]
    if state.holds != {state.by: (born, True)}:
        parts[6] = _pack_placement(state.holds, node)
    if state.knows:
        parts[7] = _pack_placement(state.knows, node)
    if state.purges:
        parts[8] = [
            [*place(at), [bytes.fromhex(h) for h in p.content], [place(s) for _, s in sorted(p.seen.items())]]
            for at, p in sorted(state.purges.items())
        ]
    if state.latest != {born[26:]: born}:
        parts[9] = [place(at) for _, at in sorted(state.latest.items())]
    return _pack(parts)


def tells_who_may_know(merge: bytes | None) -> bool:
    """Whether somebody is or was kept from a file, by its merge record."""
    return merge is not None and 7 in _unpack(merge)


def notes_of(merge: bytes | None) -> str:
    """The notes of a file, by its merge record."""
    found = _unpack(merge).get(2, {}).get("notes") if merge is not None else None
    return str(found[2]) if found is not None else ""


def unpack_state(
    row: Row, name: str, attr: Attr, tags: Sequence[str], from_folder: str | None, merge: bytes | None, numbers: Numbers
) -> FileState:
    """The state that `pack_merge` and the blocks keep. `tags` are those of the file's `fwd` row."""
    guid = guid_of_bytes(row.guid)
    state = FileState(guid)
    parts: dict[int, Any] = {} if merge is None or row.flags & PLAIN else _unpack(merge)
    text = numbers.node_text

    def stamp(place: Sequence[Any]) -> str:
        return make_stamp(place[0], text(place[1])[:8])

    born = ""
    if row.born_when:
        by = text(row.node)
        born = make_stamp(row.born_when, by[:8])
        made_name, data, raw_name = parts.get(1) or (name, data_path(guid, name), None)
        state.born, state.by = born, by
        state.made = Made(name=made_name, data=data, from_=from_folder, raw_name=raw_name)
    state.registers = {register: (stamp(v), v[2]) for register, v in parts.get(2, {}).items()}
    if 3 in parts:
        for group in parts[3]:
            at = stamp(group)
            node, alone = node_of(at), {node_of(at): at}
            for tag in tags if group[2] is None else map(numbers.tag_text, group[2]):
                by_node = state.added.setdefault(tag, alone)
                if by_node is not alone:
                    state.added[tag] = {**by_node, node: at}
    elif tags:
        at_birth = {born[26:]: born}
        state.added = {tag: at_birth for tag in tags}  # noqa: C420 - shared on purpose, see merge.ByTag
    state.removed = _unpack_removals(parts.get(4, ()), stamp, numbers)
    if 5 in parts:
        for c in parts[5]:
            state.contents[stamp(c)] = Content(
                sha256=c[2].hex(),
                size_bytes=c[3],
                modified=time_text(c[4]),
                was=c[5].hex() if c[5] is not None else None,
            )
    elif born:
        state.contents = {
            born: Content(sha256=row.sha256.hex(), size_bytes=attr.size_bytes, modified=time_text(attr.mtime_ns))
        }
    if 6 in parts:
        state.holds = _unpack_placement(parts[6], stamp, text)
    elif born:
        state.holds = {state.by: (born, True)}
    state.knows = _unpack_placement(parts.get(7, ()), stamp, text)
    for p in parts.get(8, ()):
        state.purges[stamp(p)] = Purge(content=[h.hex() for h in p[2]], seen={s[26:]: s for s in map(stamp, p[3])})
    if 9 in parts:
        state.latest = {at[26:]: at for at in map(stamp, parts[9])}
    elif born:
        state.latest = {born[26:]: born}
    return state


def _pack_placement(placement: Placement, node: Callable[[str], int]) -> list[list[Any]]:
    return [[when_of(at), node(at[26:]), node(where), yes] for where, (at, yes) in sorted(placement.items())]


def _unpack_placement(
    packed: Sequence[Any], stamp: Callable[[Sequence[Any]], str], text: Callable[[int], str]
) -> Placement:
    return {text(p[2]): (stamp(p), p[3]) for p in packed}


def _unpack_removals(packed: Sequence[Any], stamp: Callable[[Sequence[Any]], str], numbers: Numbers) -> ByTag:
    return {numbers.tag_text(tag): {at[26:]: at for at in map(stamp, seen)} for tag, seen in packed}
