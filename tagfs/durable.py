"""fsync by path: files, and folders whose names must survive a power cut."""

from __future__ import annotations

import os
from collections.abc import Iterable


def sync_paths(paths: Iterable[str]) -> None:
    """fsync files and folders."""
    for path in paths:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
