"""Mounts a store, for `bench.mount`; says `ready` once the mount answers, and ends on SIGTERM.

python -m bench.mount_serve STORE FOLDER [--profile FILE]
"""

from __future__ import annotations

import argparse
import cProfile
import logging
import time

from tagfs.bucket import Clock, utc_ms
from tagfs.mount.session import Wishes, run
from tagfs.store import Store


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description="Mount a store.")
    parser.add_argument("store")
    parser.add_argument("folder")
    parser.add_argument("--profile", metavar="FILE", help="write what took how long here (pstats)")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    profile = cProfile.Profile() if given.profile else None
    with Store(given.store) as store:
        arguments = (
            store,
            given.folder,
            Wishes(),
            lambda: Clock(time.time_ns() // 1_000_000, utc_ms),
            lambda: print("ready", flush=True),
        )
        try:
            if profile is None:
                run(*arguments)
            else:
                profile.runcall(run, *arguments)
        finally:
            if profile is not None:
                profile.dump_stats(given.profile)


if __name__ == "__main__":
    main()
