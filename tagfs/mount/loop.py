"""The event loop stand-in: what pyfuse3 asks of trio, without the price of a scheduler.

All handlers are synchronous inside and run one after the other, so nothing is gained by
giving up the processor between two requests; stock trio does so several times for each,
which made a cold stat five times slower than C. pyfuse3 takes its event loop through one
module attribute (as `pyfuse3.asyncio` does); we put there a lock that does not yield and
a `wait_readable` that looks for the next request for a moment before it goes to sleep.

Rules: one worker task (`main(1, 1)`); the idle hook runs before every real sleep, and is
where a read transaction is given back; trio gets a turn at least every `TURN_S`, so that
its other tasks (signals, looking at changes) run under full load too.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pyfuse3
import trio

SPIN_S = 100e-6
"""How long the next request is looked for before sleeping: a program's next call mostly comes within it."""
TURN_S = 0.02


class _Lock:
    """Nobody else could want it: there is one worker."""

    async def __aenter__(self) -> _Lock:
        return self

    async def __aexit__(self, *exc: object) -> bool:
        return False


def install(idle: Callable[[], None], answered: Callable[[], None]) -> None:
    """Let pyfuse3 run on the stand-in. `idle` is called before every sleep, `answered` after every request."""
    poll = select.poll()
    registered: set[int] = set()
    clock = time.perf_counter
    last_turn = clock()

    async def wait_readable(fd: int) -> None:
        nonlocal last_turn
        answered()
        if fd not in registered:
            poll.register(fd, select.POLLIN)
            registered.add(fd)
        if clock() - last_turn > TURN_S:
            await trio.lowlevel.checkpoint()
            last_turn = clock()
        if poll.poll(0):
            return
        until = clock() + SPIN_S
        while clock() < until:
            if poll.poll(0):
                return
        idle()
        await trio.lowlevel.wait_readable(fd)
        last_turn = clock()

    lowlevel = SimpleNamespace(
        wait_readable=wait_readable,
        current_task=trio.lowlevel.current_task,
        current_trio_token=trio.lowlevel.current_trio_token,
        notify_closing=trio.lowlevel.notify_closing,
    )
    stand_in: Any = SimpleNamespace(
        Lock=_Lock, lowlevel=lowlevel, ClosedResourceError=trio.ClosedResourceError, open_nursery=trio.open_nursery
    )
    pyfuse3.trio = stand_in  # type: ignore[attr-defined]
