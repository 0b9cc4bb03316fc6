"""The face of a file: what the merge of its facts means for a person.

Pure. `face_of` reads a `FileState`; `terms_of` lists the terms under which the index
keeps the file. Both are computed, never stored as facts.
"""

from __future__ import annotations

import stat
from collections.abc import Collection
from typing import NamedTuple

from tagfs.bucket import day_of_ms, size_bucket
from tagfs.fact import Made, parse_time_ns
from tagfs.merge import FileState
from tagfs.stamp import when_of
from tagfs.tag import split_tag
from tagfs.term import (
    ADDED,
    ALL_FILES,
    EXT,
    FROM,
    HELD_TRASH,
    HOLDS,
    MODIFIED,
    NOTED,
    SIZE,
    TAG,
    TRASHED,
    UNKNOWN,
    UNTAGGED,
    TermKey,
)

DEFAULT_MODE = 0o644


class Face(NamedTuple):
    """What is known about a file now.

    `listed` says whether it exists for a person: born, not purged, and not kept from
    this node. A trashed file is listed in the trash only. `sha256` is "" while no
    content is known; `conflict` when two nodes' edits stand beside each other.
    """

    name: str
    tags: tuple[str, ...]
    notes: str
    mode: int
    size_bytes: int
    mtime_ns: int
    sha256: str
    conflict: bool
    from_folder: str | None
    data: str
    born_when: int
    listed: bool
    trashed: bool
    holds: frozenset[str]
    unknown_to: frozenset[str]


def extension(name: str) -> str:
    """The extension in lower case without its dot, "" where there is none (`.bashrc` has none)."""
    stem, dot, ext = name.rpartition(".")
    return ext.lower() if dot and stem.strip(".") and len(ext) <= 32 and " " not in ext else ""


def holders(state: FileState, nodes: Collection[str]) -> frozenset[str]:
    """The nodes that keep the bytes (facts.md, Merge: `knows`, `holds`).

    Args:
        nodes: all nodes of the library; needed only where everyone was taken out.
    """
    unknown = {node for node, (_, yes) in state.knows.items() if not yes}
    yes = frozenset(node for node, (_, holds) in state.holds.items() if holds and node not in unknown)
    if yes or state.made is None:
        return yes
    # Nobody is left: the one dropped last keeps them; where nobody ever was named, the
    # maker, whose disk they were on; else the lowest who knows.
    dropped = [(at, node) for node, (at, _) in state.holds.items() if node not in unknown]
    if dropped:
        return frozenset({max(dropped)[1]})
    if state.by not in unknown:
        return frozenset({state.by})
    knowing = sorted(set(nodes) - unknown)
    return frozenset(knowing[:1])


def still_there(holds: frozenset[str], gone: Collection[str]) -> frozenset[str]:
    """Those of the holders of a file that count: a node that was forgotten does not.

    Where none is left, nobody else is said to have what they had; whoever has bytes of it says so (`sync.machine`).
    """
    return holds.difference(gone) or holds


def face_of(state: FileState, node: str, nodes: Collection[str] = ()) -> Face:
    """The face of a file as the node with GUID `node` sees it."""
    made = state.made
    registers = state.registers
    name = made.name if made is not None else ""
    if "name" in registers:
        name = registers["name"][1]
    heads = state.content_heads() if state.contents else []
    size_bytes, mtime_ns, sha256 = 0, 0, ""
    if heads:
        # Which branch is current is decided by the bytes in place; until someone has
        # looked at them the newest is shown.
        at, content = heads[-1]
        size_bytes, sha256 = content.size_bytes, content.sha256
        mtime_ns = parse_time_ns(content.modified) or 0
        touched = registers.get("modified")
        if touched is not None and touched[0] > at:
            mtime_ns = parse_time_ns(touched[1]) or 0
    unknown_to = frozenset(n for n, (_, yes) in state.knows.items() if not yes) if state.knows else frozenset()
    return Face(
        name=name,
        tags=tuple(state.tags()),
        notes=registers["notes"][1] if "notes" in registers else "",
        mode=stat.S_IMODE(registers["mode"][1]) if "mode" in registers else DEFAULT_MODE,
        size_bytes=size_bytes,
        mtime_ns=mtime_ns,
        sha256=sha256,
        conflict=len(heads) > 1,
        from_folder=made.from_ if made is not None else None,
        data=made.data if made is not None else "",
        born_when=when_of(state.born) if made is not None else 0,
        listed=made is not None and node not in unknown_to and not (bool(state.purges) and state.is_purged()),
        trashed="trash" in registers and state.is_trashed(),
        holds=holders(state, nodes),
        unknown_to=unknown_to,
    )


def terms_of(face: Face) -> list[TermKey]:
    """The terms a file stands under. A trashed file has terms of its own, so that no query need leave it out."""
    if not face.listed:
        return []
    if face.trashed:
        return _terms_in_trash(face)
    return [*((TAG, *split_tag(tag)) for tag in face.tags), *terms_beside_tags(face)]


def terms_beside_tags(face: Face) -> list[TermKey]:
    """The terms of a file that are no tags of its own."""
    if not face.listed:
        return []
    if face.trashed:
        return _terms_in_trash(face)
    terms: list[TermKey] = [ALL_FILES]
    if not face.tags:
        terms.append((UNTAGGED, "", None))
    if face.from_folder is not None:
        terms.append((FROM, "", face.from_folder))
    if face.notes:
        terms.append((NOTED, "", None))
    terms.append((EXT, "", extension(face.name)))
    terms.append((SIZE, "", str(size_bucket(face.size_bytes))))
    terms.append((MODIFIED, "", str(day_of_ms(face.mtime_ns // 1_000_000))))
    terms.append((ADDED, "", str(day_of_ms(face.born_when >> 16))))
    terms.extend((HOLDS, "", node) for node in face.holds)
    terms.extend((UNKNOWN, "", node) for node in face.unknown_to)
    return terms


def _terms_in_trash(face: Face) -> list[TermKey]:
    return [(TRASHED, "", None), *((HELD_TRASH, "", node) for node in face.holds)]


def birth_terms(made: Made, size_bytes: int, mtime_ns: int, born_when: int, by: str, untagged: bool) -> list[TermKey]:
    """`terms_beside_tags` of a file that was born and never touched again, without making its face."""
    terms: list[TermKey] = [
        ALL_FILES,
        (EXT, "", extension(made.name)),
        (SIZE, "", str(size_bucket(size_bytes))),
        (MODIFIED, "", str(day_of_ms(mtime_ns // 1_000_000))),
        (ADDED, "", str(day_of_ms(born_when >> 16))),
        (HOLDS, "", by),
    ]
    if made.from_ is not None:
        terms.append((FROM, "", made.from_))
    if untagged:
        terms.append((UNTAGGED, "", None))
    return terms
