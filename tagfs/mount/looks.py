"""Looking at the index from the mount: one read transaction, renewed when it could be old.

A held read transaction costs pages with every commit of others, and shows an old state;
opening one costs as much as a small answer. So one is kept while requests come in a
stream, and given back before the process sleeps and after each change of its own.

What takes longer than a millisecond looks from a thread, in a transaction of its own
(`apart`). Python gives the thread that answers requests its turn every `SWITCH_S` then.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import lmdb

from tagfs.index.env import Index, translated
from tagfs.index.read import View
from tagfs.mount.loop import aside
from tagfs.store import Store

T = TypeVar("T")

SWITCH_S = 0.0005
"""So long each of the few system calls of a request may wait while a thread computes; Python says 5 ms."""


class Looks:
    """The current `View`. Trio thread only."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.index: Index | None = None
        """What was looked at last."""
        self._tx: Any = None
        self._view: View | None = None
        self.on_new_index: Callable[[], None] = lambda: None
        """Called when the index was built again: ordinals and numbers of transactions mean something else now."""
        self._inode = 0
        self._is_sure = False
        """Whether the path was looked at lately: asking at each look costs as much as a small answer."""
        sys.setswitchinterval(SWITCH_S)
        self.on_new: Callable[[View], None] = lambda view: None
        """Called with each new view before anybody else has it."""

    def view(self) -> View:
        """A view that is at most one burst of requests old."""
        if self._view is None:
            index = self.index
            if index is None or index.closed or not self._is_sure:
                index = self.index = self._store.open_index()
                self._is_sure = True
                if index.inode != self._inode:
                    before, self._inode = self._inode, index.inode
                    if before:
                        self.on_new_index()
            try:
                self._tx = index.env.begin()
            except lmdb.MapResizedError:
                index.resize(0)
                self._tx = index.env.begin()
            except lmdb.Error as exc:
                raise translated(exc, index.path) from exc
            self._view = View(index, self._tx)
            self.on_new(self._view)
        return self._view

    def drop(self) -> None:
        """Give the transaction back; the next look is at the newest state."""
        tx, self._tx, self._view = self._tx, None, None
        if tx is not None:
            tx.abort()

    def look_around(self) -> None:
        """A few times a second: another process may have built the index again."""
        self.drop()
        self._is_sure = False

    async def apart(self, look: Callable[[View], T]) -> T:
        """Look from a thread, at the newest state; other requests go on meanwhile.

        What `look` is given and closes over must not be what handlers change.
        """
        while True:
            self.look_around()
            self.view()
            assert self.index is not None
            found = await aside(_look, self.index, look)
            if found is not None:
                return found[0]


def _look(index: Index, look: Callable[[View], T]) -> tuple[T] | None:
    """What `look` says; None where the index was closed before we came to it, or its map has grown."""
    with index.in_use:
        if index.closed:
            return None
        try:
            tx = index.env.begin()
        except lmdb.MapResizedError:
            return None
        try:
            return (look(View(index, tx, {})),)
        finally:
            tx.abort()
