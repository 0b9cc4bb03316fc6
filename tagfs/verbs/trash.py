"""Removing files, and bringing them back.

`rm` sets a flag and moves no bytes. Emptying the trash is the one thing that ends a
file: the purge is a fact that names all it had seen, durable before the bytes go, so
that whatever it had not seen brings the file back (facts.md, Merge). After 30 days it
happens by itself (`expire`), once every node that knows the file has read of its removal:
before, one of them may be keeping it on purpose.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tagfs.change import Change
from tagfs.compact import drop_lines
from tagfs.fact import Purge
from tagfs.guid import guid_of_bytes
from tagfs.index.read import View
from tagfs.keep import emptying
from tagfs.merge import FileState
from tagfs.place import kept_versions_folder, places
from tagfs.seen import seen_by_others
from tagfs.stamp import ms_of, node_of
from tagfs.store import Store
from tagfs.verbs.select import trashed
from tagfs.verbs.tagging import chunks

EXPIRE_FILES = 1000
"""So many at once, since others wait meanwhile."""


class InTrash(NamedTuple):
    """A removed file."""

    guid: str
    name: str
    size_bytes: int
    removed_ms: int


class Emptied(NamedTuple):
    """What emptying the trash ended. `left` are files whose bytes could not be removed, with the reason."""

    files: int
    freed_bytes: int
    left: list[tuple[str, str]]


def remove(store: Store, guids: Sequence[str]) -> tuple[int, str | None]:
    """Move files to the trash. Returns how many, and the action."""
    return _flag(store, guids, True)


def restore(store: Store, guids: Sequence[str]) -> tuple[int, str | None]:
    """Bring files back from the trash, tags and all."""
    return _flag(store, guids, False)


def _flag(store: Store, guids: Sequence[str], trash: bool) -> tuple[int, str | None]:
    action: str | None = None
    changed = 0
    for part in chunks(guids):

        def state(change: Change, part: Sequence[str] = part) -> tuple[int, str | None]:
            count = 0
            for guid in part:
                if change.state(guid).is_trashed() != trash:
                    change.about_file(guid, trash=trash)
                    count += 1
            return count, change.action

        count, action = store.act(state, action=action, frees_space=True)
        changed += count
    return changed, action


def in_trash(store: Store) -> list[InTrash]:
    """What the trash holds, removed last first."""

    def look(view: View) -> list[tuple[str, str, int]]:
        found = trashed(view)
        return [
            (guid_of_bytes(row.guid), name.decode("utf-8", "replace"), attr.size_bytes)
            for (_, row), name, (_, attr) in zip(view.rows(found), view.names(found), view.attrs(found), strict=True)
        ]

    out = []
    listed = store.read(look)
    for (guid, name, size), state in zip(listed, store.states([item[0] for item in listed]), strict=True):
        at = state.registers.get("trash", ("", True))[0]
        out.append(InTrash(guid, name, size, ms_of(at) if at else 0))
    return sorted(out, key=lambda item: (-item.removed_ms, item.name, item.guid))


def _removed_at(state: FileState) -> str:
    """The stamp of a removal that stands."""
    return str(state.registers["trash"][0])


def expired(store: Store, now_ms: int, days: int) -> list[InTrash]:
    """What was removed so many days ago or earlier, and every other node that knows it has read so."""
    before_ms = now_ms - days * 86_400_000
    old = [one for one in in_trash(store) if 0 < one.removed_ms <= before_ms]
    if not old:
        return []
    others = store.read(lambda view: view.node_names().keys() - view.nodes_that_left()) - {store.node}
    read: dict[str, dict[str, str]] = {}
    for all_of_them in seen_by_others(store.layout.ledgers, store.info.ledger_folder).values():
        for seen in all_of_them:
            of_node = read.setdefault(seen.node, {})
            of_node.update({owner: max(at, of_node.get(owner, "")) for owner, at in seen.read.items()})
    out = []
    for part in chunks([one.guid for one in old]):
        for guid, state in zip(part, store.states(part), strict=True):
            at = _removed_at(state) if state.is_trashed() else ""
            unaware = {node for node, (_, knows) in state.knows.items() if not knows}
            if at and all(
                node_of(at) == node[:8] or read.get(node, {}).get(node_of(at), "") >= at for node in others - unaware
            ):
                out.append(guid)
    wanted = set(out)
    return [one for one in old if one.guid in wanted]


def expire(store: Store, now_ms: int, days: int, *, ends: Callable[[], bool] = lambda: False) -> Emptied:
    """End what has been in the trash for so many days, see `expired`.

    Args:
        ends: asked between two portions; what is left then is for the next time.
    """
    guids = [one.guid for one in expired(store, now_ms, days)]
    done = Emptied(0, 0, [])
    for start in range(0, len(guids), EXPIRE_FILES):
        if ends():
            break
        part = empty(store, guids[start : start + EXPIRE_FILES], now_ms - days * 86_400_000)
        done = Emptied(done.files + part.files, done.freed_bytes + part.freed_bytes, done.left + part.left)
    return done


def empty(store: Store, guids: Sequence[str], removed_before_ms: int | None = None) -> Emptied:
    """End removed files for good, and free their space. This cannot be undone.

    Args:
        guids: files in the trash; any that came back meanwhile are left alone.
        removed_before_ms: they expire, and nobody asks for it; any removed later are left alone too.
    """
    ended: list[tuple[str, str, frozenset[str]]] = []
    action: str | None = None
    for part in chunks(guids):

        def state(
            change: Change, part: Sequence[str] = part
        ) -> tuple[list[tuple[str, str, frozenset[str]]], str | None]:
            done = []
            change.unasked = removed_before_ms is not None
            for guid in part:
                known = change.state(guid)
                if not known.is_trashed() or known.made is None:
                    continue
                if removed_before_ms is not None and ms_of(_removed_at(known)) > removed_before_ms:
                    continue
                holds = frozenset(node for node, (_, yes) in known.holds.items() if yes)
                done.append((guid, known.made.data, holds))
                hashes = sorted({content.sha256 for content in known.contents.values()})
                change.about_file(guid, purge=Purge(content=hashes, seen=dict(known.latest)))
            return done, change.action

        done, action = store.act(state, action=action, frees_space=True)
        ended += done
    with store.view(fresh=False) as view:
        where = places(store.layout, view, store.node)
    freed, left = 0, []
    for guid, data, holds in ended:
        versions = kept_versions_folder(store.layout, guid)
        try:
            for path in where.candidates(data, holds):
                if os.path.lexists(path):
                    freed += os.lstat(path).st_size
                    os.unlink(path)
            if os.path.isdir(versions):
                with emptying(store.layout):
                    freed += sum(entry.stat().st_size for entry in os.scandir(versions))
                    shutil.rmtree(versions)
        except OSError as exc:
            left.append((guid, exc.strerror or str(exc)))
    store.keep_reserve()
    drop_lines(store, [guid for guid, _, _ in ended])
    return Emptied(len(ended), freed, left)
