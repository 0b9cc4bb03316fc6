"""A mount's life: from an empty folder to a mounted one, and back.

- A mount point that a crashed mount left behind ("Transport endpoint is not connected")
  is cleaned up first.
- The covered folder is mode 0300 while and after a mount: seen without the mount it
  would be an empty folder that anyone may list, and `rsync --delete` of it would wipe a
  backup. It is made readable again just before mounting.
- SIGTERM and SIGINT unmount cleanly; open files do not keep it from ending.
- Nothing of the store is opened before the process is where it will stay: LMDB must not
  be carried over a fork.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import stat
import time
from collections.abc import Callable
from typing import NamedTuple

import pyfuse3
import trio

from tagfs.bucket import Clock
from tagfs.errors import BadRequest
from tagfs.mount import loop
from tagfs.mount.fetching import Fetcher, Reach, fetch_settings
from tagfs.mount.operations import Mount
from tagfs.mount.point import MountError, check_unused, clear_crashed
from tagfs.store import Store

log = logging.getLogger(__name__)

READ_AHEAD_KIB = 1024
LOOK_S = 0.25
"""How often it is looked whether another process changed something."""


class Wishes(NamedTuple):
    """How to mount. `tags_only`: the mount point is the tag tree itself."""

    read_only: bool = False
    allow_other: bool = False
    tags_only: bool = False


def prepare(path: str) -> int:
    """Make the mount point ready; returns a descriptor of the folder that will be covered.

    Raises:
        BadRequest: it is no empty folder, or something is mounted there. It is left as it was.
    """
    clear_crashed(path)
    if not os.path.lexists(path):
        os.makedirs(path, mode=0o700)
    check_unused(path)
    before = stat.S_IMODE(os.stat(path).st_mode)
    try:
        if not before & 0o400:
            os.chmod(path, 0o700)  # as a mount leaves it behind, see above
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise MountError(f"{path} cannot be used: {exc.strerror}") from exc
    if os.listdir(fd):
        os.fchmod(fd, before)
        os.close(fd)
        raise BadRequest(f"{path} is not empty; its files would be hidden by the mount")
    return fd


def run(
    store: Store,
    path: str,
    wishes: Wishes,
    clock: Callable[[], Clock],
    ready: Callable[[], None],
    reach: Reach | None = None,
) -> None:
    """Mount the store on the folder `path` and serve until unmounted or told to end.

    Args:
        clock: now, and the local time zone.
        ready: called once the mount answers.
        reach: tells which other nodes are connected; without it no file is brought here by opening it.
    """
    fd = prepare(path)
    try:
        read_only = wishes.read_only or store.read_only
        mount = Mount(store, clock, time.monotonic_ns, tags_only=wishes.tags_only, read_only=read_only)
        limits = fetch_settings(store) if reach is not None and not read_only else None
        if reach is not None and limits is not None:
            mount.fetcher = Fetcher(store, mount.changes, limits, reach, time.monotonic_ns)
        options = {*pyfuse3.default_options, "fsname=lyts", "subtype=lyts", "default_permissions"}
        if wishes.allow_other:
            options.add("allow_other")
        if read_only:
            options.add("ro")
        try:
            pyfuse3.init(mount, path, options)
        except RuntimeError as exc:
            raise MountError(f"{path} could not be mounted ({exc}); lyts doctor tells what is missing") from exc
        os.fchmod(fd, 0o300)
        if not read_only:  # there the kernel refuses what announcing is done by
            mount.changes.live.announcer.begin(path)
    finally:
        os.close(fd)
    steps = loop.install(mount.idle, mount.answered)
    # What there is by now stays; the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    clean = False
    try:
        trio.run(_serve, mount, path, ready, instruments=[steps])
        clean = True
    finally:
        mount.finish()
        pyfuse3.close(unmount=clean)


async def _serve(mount: Mount, path: str, ready: Callable[[], None]) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_end_on_signal, mount)
        nursery.start_soon(_watch, mount)
        nursery.start_soon(_when_it_answers, path, ready)
        await pyfuse3.main(1, loop.MOST_UNDER_WAY)
        nursery.cancel_scope.cancel()


async def _end_on_signal(mount: Mount) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async for _ in signals:
            # A thread that tells the kernel something waits for requests that we have yet to answer.
            mount.changes.live.end()
            if mount.fetcher is not None:
                mount.fetcher.end()
            while mount.changes.live.is_telling():
                await trio.sleep(0.002)
            pyfuse3.terminate()
            return


async def _watch(mount: Mount) -> None:
    while True:
        await trio.sleep(LOOK_S)
        await mount.look_for_changes()


async def _when_it_answers(path: str, ready: Callable[[], None]) -> None:
    # In a thread: the answer to this very question comes from the loop we are in.
    await trio.to_thread.run_sync(_settle, path)
    ready()


def _settle(path: str) -> None:
    """Wait for the mount to answer, and set its read-ahead: cold reads are three times faster. Only root may."""
    device = os.stat(path).st_dev
    try:
        with open(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb", "w", encoding="ascii") as file:
            file.write(str(READ_AHEAD_KIB))
    except OSError:
        pass
