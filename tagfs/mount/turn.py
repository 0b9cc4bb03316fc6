"""Who may change something now: whoever changes the library first takes the store's lock.

Another process may hold that lock for seconds (`lyts add` of many files, `lyts reindex`).
A handler that met it in the middle would have to stand still, and the whole mount with it,
since nothing may happen between what it decided and what it does. So it takes the turn
before it looks at anything: where the lock is free that costs nothing (the action would
have taken it anyway), else it waits, in the order of the requests, while reading goes on.

What is done in a turn is synchronous, so a turn is over before anything else can happen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import trio

from tagfs import lock
from tagfs.mount.loop import aside

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Turn:
    """Trio thread only."""

    def __init__(self, path: str, monotonic_ns: Callable[[], int], *, read_only: bool) -> None:
        """
        Args:
            path: of the store's lock.
            read_only: nothing is changed, so nothing needs to be locked, and perhaps nothing can be.
        """
        self._path = path
        self._monotonic_ns = monotonic_ns
        self._read_only = read_only
        self._order = trio.StrictFIFOLock()
        self._waiting = 0
        self._since_ns = 0
        self._waited_ns = 0

    def now_ns(self) -> int:
        """A clock that stands while requests wait: a save of several steps is no less one for having been held up."""
        now = self._since_ns if self._waiting else self._monotonic_ns()
        return now - self._waited_ns

    async def take(self, do: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do something that changes the library, as soon as no other process is at it."""
        if self._read_only:
            return do(*args, **kwargs)
        # Whoever came before and still waits goes first.
        fd = None if self._waiting else lock.acquire(self._path, wait=False)
        if fd is None:
            fd = await self._wait()
        with lock.turn(self._path, fd):
            return do(*args, **kwargs)

    async def _wait(self) -> int:
        if not self._waiting:
            self._since_ns = self._monotonic_ns()
        self._waiting += 1
        log.info("another process changes the library; waiting: %d", self._waiting)
        try:
            async with self._order:
                # In a thread and not by looking again and again: so the kernel gives it to us in our turn,
                # also where another process lets go of it for a moment only.
                fd = await aside(lock.acquire, self._path, wait=True)
                assert fd is not None
                return fd
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._waited_ns += self._monotonic_ns() - self._since_ns

    @contextmanager
    def if_free(self) -> Iterator[bool]:
        """For what nobody waits for: whether the lock could be had at once; it is ours until the end then."""
        fd = None if self._waiting or self._read_only else lock.acquire(self._path, wait=False)
        if fd is None:
            yield False
            return
        with lock.turn(self._path, fd):
            yield True
