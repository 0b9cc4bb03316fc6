"""What changes beneath a mount is true in the mount within a second, whatever the kernel had remembered.

The full figure (10,000 files tagged by a command while 50 directories and 100,000 names
are cached) is run by `./prove`; `./test` runs a part of it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tagfs.store import Store
from tagfs.views.names import long_name
from tests.support import mounting
from tests.support.mounting import Mounting, eventually, mounted
from tests.support.stores import add_empty

FULL = os.environ.get("LYTS_PROVE") == "1"
DIRECTORIES = 50 if FULL else 10
FILES = 20_000 if FULL else 500
SHOWN_IN = 5
"""Of how many of the directories each file is."""
TRUE_AFTER_S = 1.0


def patience_s() -> float:
    """A second, on a machine that has a core for the mount; as much longer as it has to be shared with others."""
    return TRUE_AFTER_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@contextmanager
def asking(opened: Opened, also: bool) -> Iterator[None]:
    """A program that goes on asking for a name that no directory has: each time the mount looks at the newest state."""
    ends = threading.Event()

    def ask() -> None:
        while not ends.is_set():
            for fd in opened.fds.values():
                stands(fd, "no such name")

    thread = threading.Thread(target=ask)
    if also:
        thread.start()
    try:
        yield
    finally:
        ends.set()
        if also:
            thread.join()


def library(store_at: Path) -> tuple[dict[str, set[str]], set[str]]:
    """Files in `SHOWN_IN` of the directories each. Returns the names by directory, and those with the tag `half`."""
    names: dict[str, set[str]] = {}
    half = set()
    with Store(str(store_at)) as store:
        for start in range(DIRECTORIES):
            own = [f"file {number}.txt" for number in range(start, FILES, DIRECTORIES)]
            tags = [f"t{(start + step * 7) % DIRECTORIES}" for step in range(SHOWN_IN)]
            add_empty(store, own, {*tags, "half" if start % 2 else "other"})
            for tag in tags:
                names.setdefault(f"tags/{tag}+-gone", set()).update(own)
            if start % 2:
                half.update(own)
    return names, half


def stands(fd: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=fd)
    except FileNotFoundError:
        return False
    return True


class Opened:
    """Directories held open, as by programs that stand in them."""

    def __init__(self, mount: Mounting, paths: list[str]) -> None:
        self.fds = {path: os.open(mount / path, os.O_RDONLY | os.O_DIRECTORY) for path in paths}

    def warm(self, names: dict[str, set[str]]) -> None:
        for path, fd in self.fds.items():
            for name in names[path]:
                os.stat(name, dir_fd=fd)
            assert set(os.listdir(fd)) == names[path]

    def false_names(self, wanted: dict[str, set[str]], every: dict[str, set[str]]) -> Iterator[str]:
        """What a stat of each name and a listing of each directory say that is not so.

        What changed is asked first, and the last directory before the others: it is told last.
        """
        for path, fd in reversed(self.fds.items()):
            changed_first = sorted(every[path], key=lambda name: (name in wanted[path], name), reverse=False)
            for name in changed_first:
                if stands(fd, name) != (name in wanted[path]):
                    yield f"{path}/{name} {'is missed' if name in wanted[path] else 'is stale'}"
        for path, fd in self.fds.items():
            for name in set(os.listdir(fd)) ^ wanted[path]:
                yield f"{path}/{name} is {'missed' if name in wanted[path] else 'stale'} in a listing"

    def close(self) -> None:
        for fd in self.fds.values():
            os.close(fd)


def true_within(opened: Opened, wanted: dict[str, set[str]], every: dict[str, set[str]]) -> float:
    """Ask one name after the other until it is true; how long the longest took, in seconds from now."""
    begun = time.monotonic()
    longest = 0.0
    for path, fd in reversed(opened.fds.items()):
        for name in sorted(every[path] - wanted[path]):
            first = True
            while stands(fd, name):
                first = False
                assert time.monotonic() - begun < 15, f"{path}/{name} stays stale"
            if not first:
                longest = max(longest, time.monotonic() - begun)
    return longest


@pytest.mark.parametrize("busy", [False, True], ids=["quiet", "busy"])
def test_no_directory_shows_a_stale_name_or_misses_one_a_second_after_a_command(
    tmp_path: Path, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if FULL:
        monkeypatch.setattr(mounting, "WATCH_S", 1200.0)
    with mounting.mounted(tmp_path) as mount:
        lyts = mount.lyts
        mount.stop()
        every, half = library(lyts.store)
        lyts.quick("tags", "make", "gone")
        mount.start()
        opened = Opened(mount, [*every, "tags/gone"])
        every["tags/gone"] = set()
        opened.warm(every)
        assert len(opened.fds) == DIRECTORIES + 1
        tagged = {path: names - half for path, names in every.items()} | {"tags/gone": half}
        every["tags/gone"] = set(half)
        untagged = every | {"tags/gone": set()}
        for words, wanted in ((("tag", "gone", "-q", "half"), tagged), (("untag", "gone", "-q", "gone"), untagged)):
            with asking(opened, busy):
                lyts(*words)
            took = true_within(opened, wanted, every)
            assert list(opened.false_names(wanted, every)) == []
            assert took <= patience_s()
            sys.stderr.write(f"\n{words[0]} of {len(half)} files: the last stale name was gone after {took:.2f} s\n")
        opened.close()


def test_every_spelling_of_a_name_that_left_is_forgotten(tmp_path: Path) -> None:
    """A name may be known to the kernel as NFC, NFD and in its long forms at once; a listing shows one."""
    with mounted(tmp_path) as mount:
        for number, name in enumerate(("Grüße.txt", "plain.txt")):
            mount.lyts.quick("add", "-t", "post", mount.lyts.file(f"{number}/{name}", name))
        guids = {one["name"]: one["guid"] for one in mount.lyts.json("find", "post")}
        spellings = [
            spelled
            for name, guid in guids.items()
            for form in ("NFC", "NFD")
            for plain in [unicodedata.normalize(form, name).encode()]
            for spelled in (plain, *(long_name(plain, guid, digits) for digits in (8, 12, 32)))
        ]
        at = os.fsencode(mount / "tags/post") + b"/"
        for words in (("untag", "post", "-q", "post"), ("rename", "plain.txt", "other.txt")):
            if words[0] == "rename":
                mount.lyts.quick("tag", "post", *guids.values())
            eventually(lambda: all(os.path.exists(at + spelled) for spelled in spellings))
            mount.lyts(*words)
            gone = [s for s in spellings if words[0] == "untag" or s == b"plain.txt"]
            eventually(lambda gone=gone: not any(os.path.exists(at + s) for s in gone), patience_s())  # type: ignore[misc]
