"""Has files read by a process of their own, which is begun again when it crashes, hangs or grows too large.

A file that brings it down has no text, and is named; the files behind it are read all the same.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from typing import NamedTuple

from tagfs.text.extract import READABLE
from tagfs.text.worker import FAILED, LENGTH

FILE_S = 20.0
"""No file is read for longer."""
LARGEST_BYTES = 512 << 20
"""A larger file is a film or an image of a disk, whatever it is called."""


class Read(NamedTuple):
    """What came out of a file. `trouble` says why nothing did, "" where there simply is no text."""

    text: str
    trouble: str = ""


class Reader:
    """The process, when there is one. Not for several threads at once."""

    def __init__(self, file_s: float = FILE_S) -> None:
        self._file_s = file_s
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def read(self, path: str, extension: str) -> Read:
        """The text of a file. Never raises for what is in the file."""
        if extension not in READABLE:
            return Read("")
        try:
            if os.stat(path).st_size > LARGEST_BYTES:
                return Read("", "it is too large to be read")
            answer = self._ask(path, extension)
        except TimeoutError:
            self._kill()
            return Read("", f"reading it took more than {self._file_s:g} seconds")
        except OSError as exc:
            self._kill()
            return Read("", exc.strerror or str(exc))
        if answer is None:
            self._kill()
            return Read("", "the program that reads it crashed")
        return answer

    def _ask(self, path: str, extension: str) -> Read | None:
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tagfs.text.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for who asked
            )
        assert process.stdin is not None
        assert process.stdout is not None
        end = time.monotonic() + self._file_s
        try:
            process.stdin.write(json.dumps([path, extension]).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return None
        head = self._take(process.stdout.fileno(), LENGTH.size, end)
        if head is None:
            return None
        length = LENGTH.unpack(head)[0]
        data = self._take(process.stdout.fileno(), length & ~FAILED, end)
        if data is None:
            return None
        text = data.decode("utf-8", "replace")
        return Read("", text) if length & FAILED else Read(text)

    def _take(self, fd: int, count: int, end: float) -> bytes | None:
        out = bytearray()
        while len(out) < count:
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise TimeoutError
            data = os.read(fd, min(count - len(out), 1 << 20))
            if not data:
                return None
            out += data
        return bytes(out)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self.close()

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
