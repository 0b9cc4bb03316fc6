"""Mount points, as they look from outside: what is mounted where, what is missing to mount, taking it away.

pyfuse3 is not imported here: `lyts umount` and `lyts doctor` must work where it is
missing or broken.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import subprocess
import threading
import time
from importlib.util import find_spec

from tagfs.errors import BadRequest, StoreError

FS_TYPE = "fuse.lyts"
FUSE_DEVICE = "/dev/fuse"
FUSE_CONF = "/etc/fuse.conf"
UNMOUNT_S = 60
BUSY_TRIES = 8
BUSY_PAUSE_S = 0.05
ANSWER_S = 3
"""So long a mount may take to answer before it is looked whether it is one that cannot any more."""
CONNECTIONS = "/sys/fs/fuse/connections"
MNT_FORCE = 1
_OCTAL = re.compile(rb"\\([0-7]{3})")


class MountError(StoreError):
    """Mounting or unmounting failed, with what to do about it."""


# -- what is mounted -----------------------------------------------------------


def mount_points() -> list[tuple[str, str]]:
    """All mount points and their file system types, in the order they were mounted."""
    found = []
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            left, _, right = line.partition(b" - ")
            # Blanks and the like in a path are written as octal numbers.
            raw = _OCTAL.sub(lambda m: bytes([int(m.group(1), 8)]), left.split(b" ")[4])
            found.append((os.fsdecode(raw), right.split(b" ")[0].decode("ascii", "replace")))
    return found


def mounted_type(path: str) -> str | None:
    """The file system type mounted exactly on `path`, None where it is no mount point."""
    wanted = os.path.abspath(path)
    return next((kind for where, kind in reversed(mount_points()) if where == wanted), None)


def mount_of(path: str) -> str | None:
    """The lyts mount that an absolute path lies in, None for none. Asks no file system."""
    best = ""
    kind_of_best = ""
    for where, kind in mount_points():
        if (path == where or path.startswith(where.rstrip("/") + "/")) and len(where) >= len(best):
            best, kind_of_best = where, kind
    return best if kind_of_best == FS_TYPE else None


def clear_crashed(path: str) -> None:
    """Take away what a crashed mount left on `path` ("Transport endpoint is not connected"), if it did."""
    if mounted_type(path) == FS_TYPE and not _answers(path) and _some_mount_is_stuck():
        abort(path)
    try:
        os.statvfs(path)  # not stat: the kernel may still answer that by itself
    except OSError as exc:
        if exc.errno in (errno.ENOTCONN, errno.ECONNABORTED):
            unmount(path, lazy=True)


def _answers(path: str) -> bool:
    """Whether a mount answers, with anything, before long. Asked from a thread: the answer may never come."""
    asked = threading.Thread(target=_ask, args=(path,), daemon=True)
    asked.start()
    asked.join(ANSWER_S)
    return not asked.is_alive()


def _ask(path: str) -> None:
    try:
        os.statvfs(path)
    except OSError:
        pass


def _some_mount_is_stuck() -> bool:
    """Whether a process was killed that cannot end, because one of its threads waits in the kernel.

    Killed (SIGKILL) while it told the kernel to forget a name, a mount waits for a program
    that waits for its answer, and the kernel interrupts neither.
    """
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if _state(f"/proc/{pid}/stat") == "Z" and any(
                _state(f"/proc/{pid}/task/{thread}/stat") == "D" for thread in os.listdir(f"/proc/{pid}/task")
            ):
                return True
        except OSError:
            continue
    return False


def _state(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]


def abort(path: str) -> None:
    """Cut a mount off from its process: every program that waits for it gets an error at once."""
    with open("/proc/self/mountinfo", "rb") as file:
        devices = [line.split(b" ")[2] for line in file if os.fsencode(os.path.abspath(path)) in line.split(b" ")]
    for device in devices[-1:]:
        connection = f"{CONNECTIONS}/{device.decode().partition(':')[2]}/abort"
        try:
            with open(connection, "w", encoding="ascii") as file_of_ours:
                file_of_ours.write("1")
            return
        except OSError:
            pass  # not mounted in a container, say; root has another way
    libc = ctypes.CDLL(None, use_errno=True)
    libc.umount2(os.fsencode(path), MNT_FORCE)


def check_unused(path: str) -> None:
    """Refuse a folder with something in it before anything is done to it, its mode included. Raises `BadRequest`.

    A folder that may not be listed passes: that is how one is left that was mounted on before.
    """
    if mounted_type(path) is not None:
        raise BadRequest(f"{path} is mounted already ({mounted_type(path)})")
    try:
        names = os.listdir(path)
    except NotADirectoryError:
        raise BadRequest(f"{path} is a file, not a folder") from None
    except OSError:
        return
    if names:
        raise BadRequest(f"{path} is not empty; its files would be hidden by the mount")


def unmount(path: str, *, lazy: bool = False) -> None:
    """Unmount what is mounted on `path`. Raises `MountError` in plain words."""
    command = ["fusermount3", "-u", *(["-z"] if lazy else []), "--", path]
    try:
        for _ in range(BUSY_TRIES):
            done = subprocess.run(command, capture_output=True, text=True, timeout=UNMOUNT_S, check=False)
            if not done.returncode or "busy" not in done.stderr:
                break
            time.sleep(BUSY_PAUSE_S)  # the mount itself may be in it for a moment, see `announce`
    except FileNotFoundError:
        raise MountError("the program fusermount3 is missing; install the package fuse3") from None
    except subprocess.TimeoutExpired:
        raise MountError(f"{path} could not be unmounted within {UNMOUNT_S} s") from None
    if done.returncode:
        words = done.stderr.strip().removeprefix("fusermount3: ")
        if "busy" in words:
            raise MountError(f"{path} is in use; leave it in all shells and close its files, then try again")
        raise MountError(f"{path} could not be unmounted: {words}")


# -- what is missing -----------------------------------------------------------


_GET_PYFUSE3 = (
    "install what it is built with (on Debian: apt-get install fuse3 libfuse3-dev pkg-config gcc python3-dev), "
    "then lyts with its mount (pip install 'lyts[mount]', or pipx inject lyts pyfuse3 trio)"
)
_GET_DEVICE = (
    "load the kernel's fuse (modprobe fuse); a container has to be given it "
    "(docker run --device /dev/fuse --cap-add SYS_ADMIN)"
)


def missing() -> list[tuple[str, str]]:
    """What keeps this machine from mounting, each with what to do about it. Empty where all is there."""
    found = []
    if find_spec("pyfuse3") is None or find_spec("trio") is None:
        found.append(("the Python package pyfuse3 is not installed", _GET_PYFUSE3))
    if shutil.which("fusermount3") is None:
        found.append(("the program fusermount3 is missing", "install the package fuse3 (apt-get install fuse3)"))
    if not os.path.exists(FUSE_DEVICE):
        found.append((f"there is no {FUSE_DEVICE}", _GET_DEVICE))
    elif not os.access(FUSE_DEVICE, os.R_OK | os.W_OK):
        found.append((f"you may not use {FUSE_DEVICE}", f"have an administrator allow it (chmod 666 {FUSE_DEVICE})"))
    return found


def others_are_allowed() -> bool:
    """Whether this user may let others into a mount: root may, the others where /etc/fuse.conf says so."""
    if os.geteuid() == 0:
        return True
    try:
        with open(FUSE_CONF, encoding="utf-8", errors="replace") as file:
            return any(line.strip() == "user_allow_other" for line in file)
    except OSError:
        return False
