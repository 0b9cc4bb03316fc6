"""`keep/`: earlier contents of files, by GUID and SHA-256, and who may put there and take away.

    keep/<gg>/<guid>/<sha256>     gg = first two hex digits of the GUID

Whatever else stands there is not ours to touch: bytes of moves under way come here too.

Whoever sets bytes aside holds `keeping` for as long as it takes to find out whether they
stand there already and to put something else in their old place; whoever takes some away
holds `emptying` while it looks a last time and unlinks. So no version goes that was relied
on a moment before. Both are a flock on the folder itself: microseconds, and between processes.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from tagfs.guid import is_guid
from tagfs.layout import Layout, make_folder, read_toml
from tagfs.place import kept_versions_folder
from tagfs.views import versions as views
from tagfs.views.versions import Limits


class Standing(NamedTuple):
    """A version on disk. `since_ns`: the last time its inode was linked or changed; it was not kept later than that."""

    guid: str
    sha256: str
    size_bytes: int
    since_ns: int
    path: str


@contextmanager
def _locked(layout: Layout, how: int) -> Iterator[None]:
    try:
        fd = os.open(layout.keep, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        make_folder(layout.keep)
        fd = os.open(layout.keep, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)


def keeping(layout: Layout) -> AbstractContextManager[None]:
    """While bytes are set aside: nothing is taken away meanwhile. Several may hold it at once."""
    return _locked(layout, fcntl.LOCK_SH)


def emptying(layout: Layout) -> AbstractContextManager[None]:
    """While a version is taken away, after a last look: nobody sets bytes aside meanwhile."""
    return _locked(layout, fcntl.LOCK_EX)


def make_way(layout: Layout, guid: str) -> list[str]:
    """Make the folder for the versions of a file. Returns the folders whose names in it must be durable then."""
    folder = kept_versions_folder(layout, guid)
    changed = [folder]
    while not os.path.isdir(folder) and folder != layout.root:
        folder = os.path.dirname(folder)
        changed.append(folder)
    make_folder(changed[0])
    return changed


def standing(layout: Layout) -> Iterator[Standing]:
    """Every version on disk. Sizes are what they take there."""
    for gg in _folders(layout.keep):
        for guid in _folders(gg.path):
            if len(gg.name) != 2 or not is_guid(guid.name) or guid.name[:2] != gg.name:
                continue
            try:
                entries = list(os.scandir(guid.path))
            except FileNotFoundError:
                continue
            for entry in entries:
                if len(entry.name) == 64 and not entry.name.strip("0123456789abcdef"):
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if entry.is_file(follow_symlinks=False):
                        yield Standing(guid.name, entry.name, found.st_blocks * 512, found.st_ctime_ns, entry.path)


def _folders(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def limits_of(layout: Layout) -> Limits:
    """How long and how much is kept in a store: `versions_days`, `versions_mib`, `trash_days` in its `store.toml`."""
    disk = os.statvfs(layout.root)
    return views.limits(read_toml(layout), disk.f_blocks * disk.f_frsize)
