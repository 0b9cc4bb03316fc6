"""The event loop stand-in: what pyfuse3 asks of trio, without the price of a scheduler.

Nearly all handlers are synchronous inside, so nothing is gained by giving up the processor
between two requests; stock trio does so several times for each, which made a cold stat
five times slower than C. pyfuse3 takes its event loop through one module attribute (as
`pyfuse3.asyncio` does); we put there a lock that does not yield and a `wait_readable` that
looks for the next request for a moment before it goes to sleep.

**Several requests may be under way.** One worker task serves as long as handlers are
synchronous; a second one is parked at the lock and costs nothing, since giving the lock
back wakes nobody. Only where a step of a task ends and nobody has the lock, a handler is
waiting for something (`aside`, or anything of trio), and the parked worker takes over;
pyfuse3 starts another one to be parked. So a handler may await whatever it likes.

Rules:

- What runs between two awaits is alone, as ever. Whoever awaits must look anew at all it
  knew: other requests were answered meanwhile, and the view is given back at every await.
- The idle hook runs wherever a step ends, and so before every real sleep.
- trio gets a turn at least every `TURN_S`, so that its other tasks (signals, looking at
  changes) run under full load too; more often while a thread works for a request. The
  idle hook runs in it, so no request is answered from a view older than that, also where
  the processor was taken from us for a while.
"""

from __future__ import annotations

import logging
import select
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar

import pyfuse3
import trio

log = logging.getLogger(__name__)

SPIN_S = 100e-6
"""How long the next request is looked for before sleeping: a program's next call mostly comes within it."""
TURN_S = 0.02
TURN_ASIDE_S = 0.001
MOST_UNDER_WAY = 256
"""So many requests may wait at once; the next ones stay in the kernel."""

P = ParamSpec("P")
R = TypeVar("R")

_aside = 0


@contextmanager
def thread_at_work() -> Iterator[None]:
    """While a handler waits for a thread: that it is done is to be heard soon, also under full load."""
    global _aside
    _aside += 1
    try:
        yield
    finally:
        _aside -= 1


async def aside(do: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Do something slow in a thread; other requests go on meanwhile. It must not touch the mount's tables."""
    with thread_at_work():
        return await trio.to_thread.run_sync(lambda: do(*args, **kwargs))


class _Lock:
    """Who has it waits for the next request. To give it back wakes nobody: see the module."""

    def __init__(self) -> None:
        self.held = False
        self.parked: deque[trio.lowlevel.Task] = deque()

    async def __aenter__(self) -> _Lock:
        while self.held:
            await self._park()
        self.held = True
        return self

    async def __aexit__(self, *exc: object) -> bool:
        self.held = False
        return False

    async def _park(self) -> None:
        task = trio.lowlevel.current_task()

        def leave(_: Any) -> trio.lowlevel.Abort:
            self.parked.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        self.parked.append(task)
        await trio.lowlevel.wait_task_rescheduled(leave)


class Steps(trio.abc.Instrument):
    """Looks after each step of any task: somebody must be waiting for the next request. For `trio.run`."""

    def __init__(self, lock: _Lock, idle: Callable[[], None], answered: Callable[[], None]) -> None:
        self._lock = lock
        self._idle = idle
        self._answered = answered

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if not self._lock.held and self._lock.parked:
            trio.lowlevel.reschedule(self._lock.parked.popleft())
        try:
            self._answered()
            self._idle()
        except Exception as exc:
            log.error("between two steps: %s", exc, exc_info=exc)


def install(idle: Callable[[], None], answered: Callable[[], None]) -> Steps:
    """Let pyfuse3 run on the stand-in.

    Args:
        idle: called before every sleep and whenever a handler waits for something.
        answered: called after every request.
    Returns the instrument with which trio must run.
    """
    poll = select.poll()
    registered: set[int] = set()
    clock = time.perf_counter
    last_turn = clock()
    ends = False
    lock = _Lock()

    async def wait_readable(fd: int) -> None:
        nonlocal last_turn
        answered()
        if fd not in registered:
            poll.register(fd, select.POLLIN)
            registered.add(fd)
        if not poll.poll(0):
            until = clock() + SPIN_S
            while not poll.poll(0):
                if clock() >= until:
                    await trio.lowlevel.wait_readable(fd)
                    last_turn = clock()
                    return
        # After the request has come and not before: whatever we were kept from running by, what is known from
        # before the last turn is given back in this one.
        if clock() - last_turn > (TURN_ASIDE_S if _aside else TURN_S):
            await trio.lowlevel.checkpoint()
            last_turn = clock()
            if ends:  # told in that turn, while nobody slept who could have been woken
                raise trio.ClosedResourceError

    def notify_closing(fd: int) -> None:
        nonlocal ends
        ends = True
        trio.lowlevel.notify_closing(fd)

    lowlevel = SimpleNamespace(
        wait_readable=wait_readable,
        current_task=trio.lowlevel.current_task,
        current_trio_token=trio.lowlevel.current_trio_token,
        notify_closing=notify_closing,
    )
    stand_in: Any = SimpleNamespace(
        Lock=lambda: lock,
        lowlevel=lowlevel,
        ClosedResourceError=trio.ClosedResourceError,
        open_nursery=trio.open_nursery,
    )
    pyfuse3.trio = stand_in  # type: ignore[attr-defined]
    return Steps(lock, idle, answered)
