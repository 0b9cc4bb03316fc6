"""Asks the worker (`tagfs.auto.worker`) what is in a file, and bears with it.

A file on which the worker crashes, hangs or grows beyond its bounds costs that file its
tags, and nothing else: it is noted, and a new worker goes on with the next. The worker is
started for the first file in which there may be something, so that others cost nothing.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tagfs.auto.found import kind_of, tags_of

if TYPE_CHECKING:
    import subprocess

PATIENCE_S = 30.0
_MOST_ANSWER_BYTES = 1 << 20


class Unread(NamedTuple):
    """A file in which could not be looked for tags."""

    name: str
    why: str


class AutoReader:
    """Finds tags in files. `unread` are those that it could not read."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self.unread: list[Unread] = []
        self._patience_s = patience_s
        self._worker: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> AutoReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the worker."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        worker.kill()  # it has nothing to lose
        worker.wait()
        for stream in (worker.stdin, worker.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    pass  # it went before it had read all

    def find(self, path: str, name: str) -> list[str]:
        """The tags in the file at `path`, which is called `name`; [] where there are none."""
        kind = kind_of(name)
        if kind is None:
            return []
        try:
            found = self._ask({"path": os.path.abspath(path), "kind": kind})
        except BaseException:
            self.close()  # Ctrl-C: an answer that comes late would be taken for the next one
            raise
        if "values" not in found:
            self.unread.append(Unread(name, found.get("why", "looking into it failed")))
            return []
        return tags_of(kind, found["values"])

    def _ask(self, question: dict[str, str]) -> dict[str, Any]:
        line = json.dumps(question).encode() + b"\n"
        for worker in (self._running(), None):
            worker = worker or self._started()
            assert worker.stdin is not None
            try:
                worker.stdin.write(line)
                worker.stdin.flush()
                break
            except BrokenPipeError:  # it ended while it had nothing to do
                self.close()
        return self._answer()

    def _running(self) -> subprocess.Popen[bytes] | None:
        if self._worker is not None and self._worker.poll() is not None:
            self.close()
        return self._worker

    def _started(self) -> subprocess.Popen[bytes]:
        import subprocess  # `lyts add` without --auto need not wait for it

        self._worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "tagfs.auto.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is for whoever asks
        )
        return self._worker

    def _answer(self) -> dict[str, Any]:
        import select

        worker = self._worker
        assert worker is not None
        assert worker.stdout is not None
        fd = worker.stdout.fileno()
        until = time.monotonic() + self._patience_s
        said = b""
        while not said.endswith(b"\n"):
            ready, _, _ = select.select([fd], [], [], max(0.0, until - time.monotonic()))
            piece = os.read(fd, 1 << 16) if ready else b""
            said += piece
            if not piece or len(said) > _MOST_ANSWER_BYTES:
                self.close()
                return {"why": "looking into it failed" if ready else "looking into it took too long"}
        found = json.loads(said)
        return found if isinstance(found, dict) else {}
