"""The three that are compared: a folder of ext4, the same through bindfs, and a mount of lyts.

bindfs is a C passthrough over libfuse3: what it costs is what any file system in a
process of its own costs. All three have the same files under the same names:

    small   10,000 files of 4 KiB, f000000 ..
    many    about 100,000 names: of lyts `all/`, or the result of a tag with so many files;
            of the others empty files of these names in one folder
    large   one file of 1 GiB

The library around them is that of `bench.build`, which states files without bytes: they
can be listed and asked for their attributes, not opened.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench import library
from bench.build import Built
from tagfs.bytes import hash_file
from tagfs.change import Change
from tagfs.fact import Content, Made, time_text
from tagfs.guid import Guid, new_guid
from tagfs.slug import data_path
from tagfs.store import Store
from tagfs.tag import split_tag
from tagfs.term import ALL_TERM, TAG

SMALL_FILES, SMALL_BYTES = 10_000, 4096
MANY_FILES = 100_000
LARGE_MIB = 1024
_IDLE_S = 0.05
_TICK = os.sysconf("SC_CLK_TCK")


class Side(NamedTuple):
    """One of the three. `process` serves it (0: the kernel alone); `beneath` has the bytes of `large`."""

    name: str
    small: str
    many: str
    large: str
    beneath: str
    new: str
    process: int


def prepare(built: Built, folder: str) -> None:
    """Make what is missing, and a fresh copy of the store: what an earlier run created is gone."""
    done = os.path.join(folder, "prepared")
    kept, store, native = (os.path.join(folder, name) for name in ("store.kept", "store", "native"))
    if not os.path.exists(done):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        subprocess.run(["cp", "-a", built.store, kept], check=True)
        for name in ("small", "many", "large"):
            os.makedirs(os.path.join(native, name))
        piece = os.urandom(1 << 20)
        with open(os.path.join(native, "large", "large"), "wb") as file:
            file.writelines(piece for _ in range(LARGE_MIB))
        for number in range(SMALL_FILES):
            Path(native, "small", f"f{number:06d}").write_bytes(os.urandom(SMALL_BYTES))
        with Store(kept) as opened:
            _take_in(opened, native, "small")
            _take_in(opened, native, "large")
        Path(done).touch()
    for fresh in (store, os.path.join(native, "new")):
        shutil.rmtree(fresh, ignore_errors=True)
    os.makedirs(os.path.join(native, "new"))
    subprocess.run(["cp", "-a", kept, store], check=True)
    subprocess.run(["sync", "-f", folder], check=False)


def _take_in(store: Store, native: str, tag: str) -> None:
    """State the files of a folder of the native side, and copy their bytes."""
    label = store.info.ledger_folder
    files = []
    for entry in sorted(os.scandir(os.path.join(native, tag)), key=lambda entry: entry.name):
        guid: Guid = new_guid(os.urandom(16))
        place = store.layout.data(label, data_path(guid, entry.name))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shutil.copyfile(entry.path, place)
        files.append((guid, entry.name, place))

    def state(change: Change) -> None:
        for guid, name, place in files:
            found = os.stat(place)
            change.about_file(
                guid,
                made=Made(name=name, data=data_path(guid, name)),
                content=Content(
                    sha256=hash_file(place), size_bytes=found.st_size, modified=time_text(found.st_mtime_ns)
                ),
                tag=[f"bench-{tag}"],
                holds={change.node: True},
            )

    store.act(state)


def many_of(store: Store) -> str:
    """The directory of the mount with about 100,000 files."""
    with store.view() as view:
        if view.count(ALL_TERM) < 1.5 * MANY_FILES:
            return "all"
        terms = ((tag, view.term(TAG, *split_tag(tag))) for tag in library.TERMS)
        counted = [(abs(view.count(term) - MANY_FILES), tag) for tag, term in terms if term is not None]
        return f"tags/{min(counted)[1]}"


def path_of_large(store: Store) -> str:
    """Where the store has the bytes of the large file."""
    return max(
        (os.path.join(where, name) for where, _, names in os.walk(store.layout.sets) for name in names),
        key=os.path.getsize,
    )


@contextmanager
def served(command: Sequence[str], folder: str, says: bytes = b"") -> Iterator[int]:
    """Run what mounts something on a folder for as long as the block lasts; gives its process."""
    os.makedirs(folder, exist_ok=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            if says:
                assert process.stdout is not None
                if process.stdout.readline().strip() != says:
                    raise SystemExit(f"{' '.join(command)}: did not mount")
            else:
                until = time.monotonic() + 10
                while not os.path.ismount(folder):
                    if time.monotonic() > until or process.poll() is not None:
                        raise SystemExit(f"{' '.join(command)}: did not mount")
                    time.sleep(0.01)
            yield process.pid
        finally:
            subprocess.run(["fusermount3", "-u", "-z", "--", folder], check=False)
            process.terminate()
            process.wait(60)


@contextmanager
def three_sides(folder: str, profile: str | None = None) -> Iterator[list[Side]]:
    """All three, mounted anew."""
    store, native, bound, mount = (os.path.join(folder, name) for name in ("store", "native", "bindfs", "mount"))
    with Store(store) as opened:
        many, large = many_of(opened), path_of_large(opened)

    def plain(name: str, root: str, process: int) -> Side:
        places = [os.path.join(root, part) for part in ("small", "many", "large/large")]
        return Side(name, *places, os.path.join(native, "large", "large"), os.path.join(root, "new"), process)

    serve = [sys.executable, "-m", "bench.mount_serve", store, mount, *(["--profile", profile] if profile else [])]
    with (
        served(["bindfs", "-f", native, bound], bound) as bindfs,
        served(serve, mount, b"ready") as lyts,
    ):
        places = [os.path.join(mount, part) for part in ("tags/bench-small", many, "tags/bench-large/large")]
        yield [
            plain("native", native, 0),
            plain("bindfs", bound, bindfs),
            Side("lyts", *places, large, os.path.join(mount, "tags"), lyts),
        ]


def names_beside(sides: Sequence[Side]) -> int:
    """See that `many` has the same names on all sides; says how many."""
    native, _, lyts = sides
    wanted, there = set(os.listdir(lyts.many)), set(os.listdir(native.many))
    for name in there - wanted:
        os.unlink(os.path.join(native.many, name))
    for name in wanted - there:
        os.close(os.open(os.path.join(native.many, name), os.O_CREAT | os.O_WRONLY, 0o644))
    return len(wanted)


def cpu_s(process: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def settle(sides: Sequence[Side]) -> None:
    """Wait until the mounts have nothing left to do (a kernel that forgets tells them of each name)."""
    for side in sides:
        if side.process:
            before = -1.0
            while (now := cpu_s(side.process)) != before:
                before = now
                time.sleep(_IDLE_S)


def can_cool() -> bool:
    """Whether the kernel's names and inodes can be dropped here: as root."""
    return os.access("/proc/sys/vm/drop_caches", os.W_OK)


def cool(sides: Sequence[Side]) -> None:
    """Drop the kernel's names and inodes, of all file systems."""
    Path("/proc/sys/vm/drop_caches").write_text("2\n", encoding="ascii")
    settle(sides)


def written_bytes(process: int) -> int:
    """Bytes that a process caused to be written to disk, its part of what was taken back left out."""
    found = {}
    for line in Path(f"/proc/{process}/io").read_text(encoding="ascii").splitlines():
        name, _, number = line.partition(": ")
        found[name] = int(number)
    return found["write_bytes"] - found["cancelled_write_bytes"]


def memory_mb(process: int) -> dict[str, float]:
    """What a process holds: private pages in all, those it wrote to, anonymous ones."""
    kib: dict[str, int] = {}
    for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        if rest.endswith("kB"):
            kib[name] = int(rest.split()[0])
    return {
        "private": (kib["Private_Clean"] + kib["Private_Dirty"]) / 1024,
        "dirty": kib["Private_Dirty"] / 1024,
        "anonymous": kib["Anonymous"] / 1024,
    }
