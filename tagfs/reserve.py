"""Space set aside, so that removing files still works on a full disk.

Removing is a fact, and a fact takes room in the ledger and in the index. The reserve is
given up for it, and set aside again when there is room.
"""

from __future__ import annotations

import errno
import os

RESERVE_BYTES = 2 << 20


def spend(path: str) -> bool:
    """Give the reserve up. Says whether there was one."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def keep(path: str) -> None:
    """Set the reserve aside, if there is room; a disk too full for it is no error."""
    try:
        if os.stat(path).st_size >= RESERVE_BYTES:
            return
    except OSError:
        pass
    try:
        fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        os.posix_fallocate(fd, 0, RESERVE_BYTES)
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            spend(path)
    finally:
        os.close(fd)
