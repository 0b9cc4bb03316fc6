"""The event loop stand-in: who was kept from running does not answer from what it knew before."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import trio

pyfuse3 = pytest.importorskip("pyfuse3", reason="NOT TESTED: pyfuse3 is missing (pip install 'lyts[mount]')")


class Processor:
    """A clock, and a real poll(2) during which the processor may be taken from us."""

    def __init__(self) -> None:
        self.taken_s = 0.0
        self.away: dict[int, float] = {}
        """How long it is away before the poll of this number."""
        self.on_poll: dict[int, Any] = {}
        self.polls = 0

    def perf_counter(self) -> float:
        return time.perf_counter() + self.taken_s

    def poll(self) -> Any:
        real = select.poll()

        def poll(timeout: float) -> Any:
            self.polls += 1
            self.taken_s += self.away.get(self.polls, 0.0)
            self.on_poll.get(self.polls, lambda: None)()
            return real.poll(timeout)

        return SimpleNamespace(register=real.register, poll=poll)


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Processor:
    from tagfs.mount import loop

    processor = Processor()
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=processor.perf_counter))
    monkeypatch.setattr(loop, "select", SimpleNamespace(poll=processor.poll, POLLIN=select.POLLIN))
    monkeypatch.setattr(loop, "SPIN_S", 3_600.0)  # the test says when a request comes
    monkeypatch.setattr(loop, "TURN_S", 60.0)
    monkeypatch.setattr(pyfuse3, "trio", pyfuse3.trio)
    return processor


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        os.close(fd)


@pytest.mark.parametrize("away_at", [1, 2, 3])
def test_a_request_that_comes_after_the_processor_was_away_is_answered_from_a_new_view(
    processor: Processor, pipe: tuple[int, int], away_at: int
) -> None:
    """`away_at`: before the first look for a request, before one of those while spinning."""
    from tagfs.mount import loop

    idle: list[float] = []
    steps = loop.install(lambda: idle.append(processor.taken_s), lambda: None)

    async def serve() -> None:
        wait_readable = pyfuse3.trio.lowlevel.wait_readable
        os.write(pipe[1], b"1")
        await wait_readable(pipe[0])
        os.read(pipe[0], 1)
        before = len(idle)
        assert processor.polls == 1
        processor.on_poll[1 + away_at] = lambda: os.write(pipe[1], b"2")
        await wait_readable(pipe[0])
        assert len(idle) == before, "requests in a stream are answered from one view"
        os.read(pipe[0], 1)
        at = processor.polls + away_at
        processor.away[at], processor.on_poll[at] = 1_000.0, lambda: os.write(pipe[1], b"3")
        await wait_readable(pipe[0])
        assert processor.polls == at
        assert idle[-1] == 1_000.0

    trio.run(serve, instruments=[steps])
