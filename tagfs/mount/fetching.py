"""Bringing bytes here because somebody opens a file (`fetch_on_read`), and waiting for them.

The wish is a fact, as that of `lyts restore`; the sync daemons carry it out. The program that
opens waits, at most as long as the settings say, while all other requests go on. It does
not wait in vain: where Syncthing does not run, or nobody who has the bytes is connected, it
is told so at once, and nothing is stated.

Nobody asked for the file to be kept here, so the statement belongs to no action: `undo` takes
back what a person did. Nor is it a choice by hand: rules may act on the file as before.

Trio thread only, but for what `Reach` returns, which is called in another.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from typing import TypeAlias

import trio

from tagfs.change import Change
from tagfs.errors import StoreError
from tagfs.face import face_of
from tagfs.index.read import View
from tagfs.mount.answer import Refused
from tagfs.mount.changes import Changes
from tagfs.mount.loop import aside
from tagfs.mount.writing import NotHere
from tagfs.placement import Fetch, read_settings, to_state
from tagfs.store import Store
from tagfs.views import fetching
from tagfs.views.matrix import Refusal

log = logging.getLogger(__name__)

Reach: TypeAlias = Callable[[View], Callable[[], frozenset[str] | None]]
"""From a view to a question that may take long: the nodes that are connected now, None where Syncthing does not run."""

LOOK_S = 0.05
KNOWN_S = 2.0
"""So long it is believed who is connected: a program may open hundreds of files in a row."""


def fetch_settings(store: Store) -> Fetch | None:
    """`Settings.fetch`; None where the settings are damaged, since a mount works all the same."""
    try:
        return read_settings(store.layout).fetch
    except StoreError as exc:
        log.warning("opening a file brings nothing here: %s", exc)
        return None


class Fetcher:
    """What a mount does about files that are opened and not here."""

    def __init__(self, store: Store, changes: Changes, limits: Fetch, reach: Reach, now_ns: Callable[[], int]) -> None:
        self._store = store
        self._changes = changes
        self._reach = reach
        self._now_ns = now_ns
        self._fetching = fetching.Fetching(limits)
        self._under_way: dict[str, int] = {}
        """GUID -> how many wait for it."""
        self._asking = trio.Lock()
        self._online: frozenset[str] | None = None
        self._known_until = 0.0
        self._ends = False

    def end(self) -> None:
        """Nobody waits any longer: the mount ends."""
        self._ends = True

    async def fetch(self, inode: int, missing: NotHere) -> None:
        """Have the bytes of a file brought here, and wait for them.

        Raises:
            Refused: they may not be, cannot be, or were not here in time (ETIMEDOUT).
        """
        guid = missing.guid
        until = trio.current_time() + self._fetching.limits.wait_s
        async with self._asking:  # who comes second waits with the first, and is not counted
            if guid not in self._under_way:
                await self._ask_for(guid, missing)
            self._under_way[guid] = self._under_way.get(guid, 0) + 1
        try:
            while not self._is_here(inode):
                if self._ends or trio.current_time() >= until:
                    raise Refused(
                        Refusal(
                            errno.ETIMEDOUT,
                            f"The bytes of {missing.name!r} did not come within {self._fetching.limits.wait_s} s. They "
                            "are on their way; try again later (lyts where tells more).",
                        )
                    )
                await trio.sleep(LOOK_S)
        finally:
            self._under_way[guid] -= 1
            if not self._under_way[guid]:
                del self._under_way[guid]

    async def _ask_for(self, guid: str, missing: NotHere) -> None:
        me = self._store.node
        online = await self._who_is_connected()
        if online is None:
            self._no(missing, "Syncthing does not run here, so nothing comes: lyts sync up")
        elif not missing.others & online:
            self._no(missing, "none of them is connected now")
        (state,) = self._store.states([guid])
        nodes = list(self._changes.looks.view().node_names())
        face = face_of(state, me, nodes)
        refusal = self._fetching.begin(missing.name, guid, face.size_bytes, self._now_ns() // 1_000_000)
        if refusal is not None:
            raise Refused(refusal)
        if me not in face.holds:
            await self._changes.turn.take(self._changes.state_unasked, guid, self._wish)
            log.info("%r was opened and is brought here", missing.name)

    async def _who_is_connected(self) -> frozenset[str] | None:
        if trio.current_time() >= self._known_until:
            self._online = await aside(self._reach(self._changes.looks.view()))
            self._known_until = trio.current_time() + KNOWN_S
        return self._online

    def _no(self, missing: NotHere, why: str) -> None:
        raise Refused(missing.refusal._replace(sentence=f"{missing.refusal.sentence} It is not brought here: {why}."))

    def _wish(self, change: Change, guid: str) -> None:
        state, nodes = change.state(guid), change.nodes()
        held = face_of(state, change.node, nodes).holds
        said = to_state(state, nodes, held | {change.node})
        if said:
            change.about_file(guid, holds=said)

    def _is_here(self, inode: int) -> bool:
        view = self._changes.looks.view()
        return self._changes.contents.path(view, self._changes.ordinal(view, inode)) is not None
