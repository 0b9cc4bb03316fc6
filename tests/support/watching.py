"""inotify, as file managers use it: what the kernel tells a watcher of a directory."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import time
from pathlib import Path
from typing import NamedTuple

IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE = 0x2, 0x4, 0x8
IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x40, 0x80, 0x100, 0x200
IN_DELETE_SELF, IN_MOVE_SELF = 0x400, 0x800
ALL_CHANGES = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
_HEAD = struct.Struct("iIII")


class Event(NamedTuple):
    mask: int
    name: str


class Watch:
    """A watch on a folder, or on one file (whose events have no name). Raises `OSError` where there can be none."""

    def __init__(self, path: Path, mask: int = ALL_CHANGES) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(path), mask) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))

    def events(self, wait_s: float, until: Event | None = None) -> list[Event]:
        """What is told within so many seconds, or until a certain event."""
        found: list[Event] = []
        end = time.monotonic() + wait_s
        while (left := end - time.monotonic()) > 0 and until not in found:
            if select.select([self._fd], [], [], left)[0]:
                data = os.read(self._fd, 1 << 16)
                while data:
                    _, mask, _, length = _HEAD.unpack_from(data)
                    name = data[_HEAD.size : _HEAD.size + length].rstrip(b"\0").decode("utf-8", "replace")
                    found.append(Event(mask, name))
                    data = data[_HEAD.size + length :]
        return found

    def close(self) -> None:
        os.close(self._fd)
