"""Looking at the index from the mount: one read transaction, renewed when it could be old.

A held read transaction costs pages with every commit of others, and shows an old state;
opening one costs as much as a small answer. So one is kept while requests come in a
stream, and given back before the process sleeps and after each change of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lmdb

from tagfs.index.env import Index, translated
from tagfs.index.read import View
from tagfs.store import Store


class Looks:
    """The current `View`. Trio thread only."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._index: Index | None = None
        self._tx: Any = None
        self._view: View | None = None
        self.on_new: Callable[[View], None] = lambda view: None
        """Called with each new view, before anyone looks at it."""

    def view(self) -> View:
        """A view that is at most one burst of requests old."""
        if self._view is None:
            index = self._store.open_index()
            try:
                self._tx = index.env.begin()
            except lmdb.MapResizedError:
                index.env.set_mapsize(0)
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
