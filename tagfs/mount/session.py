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

import errno
import gc
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

import pyfuse3
import trio

from tagfs.bucket import Clock
from tagfs.errors import BadRequest, StoreError
from tagfs.mount import loop
from tagfs.mount.operations import Mount
from tagfs.store import Store

log = logging.getLogger(__name__)

FS_TYPE = "fuse.lyts"
READ_AHEAD_KIB = 1024
LOOK_S = 0.25
"""How often it is looked whether another process changed something."""


class Wishes(NamedTuple):
    """How to mount. `tags_only`: the mount point is the tag tree itself."""

    read_only: bool = False
    allow_other: bool = False
    tags_only: bool = False


class MountError(StoreError):
    """Mounting failed, with what to do about it."""


def mounted_type(path: str) -> str | None:
    """The file system type mounted exactly on `path`, None where it is no mount point."""
    wanted = os.path.abspath(path)
    found = None
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            where = left.split(" ")[4].encode("utf-8", "surrogateescape").decode("unicode_escape", "replace")
            if where == wanted or left.split(" ")[4] == wanted:
                found = right.split(" ")[0]
    return found


def unmount(path: str, *, lazy: bool = False) -> None:
    """Unmount what is mounted on `path`. Raises `MountError` in plain words."""
    command = ["fusermount3", "-u", *(["-z"] if lazy else []), "--", path]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        raise MountError("the program fusermount3 is missing; install the package fuse3") from None
    except subprocess.TimeoutExpired:
        raise MountError(f"{path} could not be unmounted within a minute") from None
    if done.returncode:
        words = done.stderr.strip().removeprefix("fusermount3: ")
        if "busy" in words:
            raise MountError(f"{path} is in use; leave it in all shells and close its files, then try again")
        raise MountError(f"{path} could not be unmounted: {words}")


def prepare(path: str) -> int:
    """Make the mount point ready; returns a descriptor of the folder that will be covered.

    Raises:
        BadRequest: it is no empty folder, or something is mounted there.
    """
    try:
        os.stat(path)
    except FileNotFoundError:
        os.makedirs(path, mode=0o700)
    except OSError as exc:
        if exc.errno != errno.ENOTCONN:
            raise MountError(f"{path} cannot be looked at: {exc.strerror}") from exc
        unmount(path, lazy=True)  # what a crashed mount left behind
    kind = mounted_type(path)
    if kind is not None:
        raise BadRequest(f"{path} is mounted already ({kind})")
    try:
        os.chmod(path, 0o700)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except NotADirectoryError:
        raise BadRequest(f"{path} is a file, not a folder") from None
    except OSError as exc:
        raise MountError(f"{path} cannot be used: {exc.strerror}") from exc
    if os.listdir(fd):
        os.close(fd)
        raise BadRequest(f"{path} is not empty; its files would be hidden by the mount")
    return fd


def run(store: Store, path: str, wishes: Wishes, clock: Callable[[], Clock], ready: Callable[[], None]) -> None:
    """Mount the store on the folder `path` and serve until unmounted or told to end.

    Args:
        clock: now, and the local time zone.
        ready: called once the mount answers.
    """
    fd = prepare(path)
    try:
        read_only = wishes.read_only or store.read_only
        mount = Mount(store, clock, time.monotonic_ns, tags_only=wishes.tags_only, read_only=read_only)
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
    finally:
        os.close(fd)
    loop.install(mount.idle)
    # What there is by now stays; the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    clean = False
    try:
        trio.run(_serve, mount, path, ready)
        clean = True
    finally:
        mount.finish()
        pyfuse3.close(unmount=clean)


async def _serve(mount: Mount, path: str, ready: Callable[[], None]) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_end_on_signal)
        nursery.start_soon(_watch, mount)
        nursery.start_soon(_when_it_answers, path, ready)
        await pyfuse3.main(1, 1)
        nursery.cancel_scope.cancel()


async def _end_on_signal() -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async for _ in signals:
            pyfuse3.terminate()
            return


async def _watch(mount: Mount) -> None:
    while True:
        await trio.sleep(LOOK_S)
        mount.look_for_changes()


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
