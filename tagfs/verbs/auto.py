"""Tags that files carry in themselves, over files that are in the library: `lyts tag --auto`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tagfs.auto.found import kind_of, wanted
from tagfs.auto.reader import AutoReader, Unread
from tagfs.change import Change
from tagfs.face import face_of
from tagfs.merge import FileState
from tagfs.place import places
from tagfs.store import Store
from tagfs.tag import split_tag

PORTION_FILES = 200


class AutoTagged(NamedTuple):
    """What was done, or would be.

    `tagged`: (name, new tags) of each file that got some; `looked`: in how many was looked;
    `absent`: how many others are not on this node; `unread`: those that could not be read.
    """

    tagged: list[tuple[str, list[str]]]
    looked: int
    absent: int
    unread: list[Unread]
    action: str | None

    def by_key(self) -> dict[str, int]:
        """Key -> how many files got a tag of it."""
        counts: dict[str, int] = {}
        for _, tags in self.tagged:
            for key in dict.fromkeys(split_tag(tag)[0] for tag in tags):
                counts[key] = counts.get(key, 0) + 1
        return counts


def new_tags(change: Change, state: FileState, found: Sequence[str]) -> list[str]:
    """Of the tags found in a file those that it is to get now."""
    canonical = change.view.canonical
    return wanted(map(canonical, found), map(canonical, state.tags()), map(canonical, state.removed))


def tag_auto(
    store: Store,
    guids: Sequence[str],
    *,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
    reader: AutoReader | None = None,
) -> AutoTagged:
    """Look into files and give them the tags found there. One action; files already done stay so after Ctrl-C.

    Args:
        progress: called with how many files are done, and how many there are.
    """
    tagged: list[tuple[str, list[str]]] = []
    looked = absent = 0
    action: str | None = None
    with reader or AutoReader() as asked:
        for at in range(0, len(guids), PORTION_FILES):
            part = guids[at : at + PORTION_FILES]
            with store.view() as view:
                states = store.states(part)
                where = places(store.layout, view, store.node)
                nodes = list(view.node_names())
            found: dict[str, tuple[str, list[str]]] = {}
            for number, state in enumerate(states, start=1):
                face = face_of(state, store.node, nodes)
                if kind_of(face.name) is not None:
                    path = where.find(face.data, face.holds)
                    absent += path is None
                    if path is not None:
                        looked += 1
                        tags = asked.find(path, face.name)
                        if tags:
                            found[state.guid] = face.name, tags
                if progress is not None:
                    progress(at + number, len(guids))

            def state_tags(
                change: Change, found: dict[str, tuple[str, list[str]]] = found
            ) -> tuple[list[tuple[str, list[str]]], str | None]:
                done = []
                for guid, (name, tags) in found.items():
                    new = new_tags(change, change.state(guid), tags)
                    if new:
                        done.append((name, new))
                        if not dry_run:
                            change.about_file(guid, tag=new)
                return done, change.action

            if found:
                done, action = store.act(state_tags, action=action)
                tagged += done
        return AutoTagged(tagged, looked, absent, asked.unread, action)
