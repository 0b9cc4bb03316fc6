"""What is due by time, done in a process of its own: `python -m tagfs.upkeep STORE`.

A mount starts it every hour (`mount.upkeep`). It reads files to be sure of them and takes
the store's lock like any command; in the mount itself, all programs would wait for that.

    earlier contents past their time or over the budget     verbs.trimming
    files removed more than 30 days ago                     verbs.trash.expire

Prints a line for each thing it did. On SIGTERM it ends after the file it is at.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from tagfs.errors import LytsError
from tagfs.keep import limits_of
from tagfs.store import Machine, Store, this_machine
from tagfs.verbs.trash import expire
from tagfs.verbs.trimming import trim

NICENESS = 10


def keep_up(root: str, machine: Machine, ends: Callable[[], bool]) -> list[str]:
    """Do what is due. Returns what was done, in sentences. Raises `LytsError`, `OSError`."""
    done = []
    with Store(root, machine) as store:
        if store.read_only:
            return []
        limits, now_ms = limits_of(store.layout), machine.wall_ms()
        # The trash first: what ends takes its versions along.
        emptied = expire(store, now_ms, limits.trash_days, ends=ends)
        if emptied.files:
            done.append(
                f"{emptied.files} files that were removed {limits.trash_days} days ago or earlier "
                f"were deleted for good ({emptied.freed_bytes} bytes)"
            )
        done += [f"the bytes of {guid} could not be removed ({why})" for guid, why in emptied.left]
        trimmed = trim(store, now_ms, limits, ends=ends)
        if trimmed.versions:
            done.append(f"{trimmed.versions} earlier contents of files were let go ({trimmed.freed_bytes} bytes)")
    return done


def main(argv: list[str]) -> int:
    """The process. Returns its exit status."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: _note(ended, frame))
    os.nice(NICENESS)
    try:
        for sentence in keep_up(argv[1], this_machine(), lambda: bool(ended)):
            sys.stdout.write(sentence + "\n")
    except (LytsError, OSError) as exc:
        sys.stdout.write(f"{exc}\n")
        return 1
    return 0


def _note(ended: list[int], frame: FrameType | None) -> None:
    ended.append(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
