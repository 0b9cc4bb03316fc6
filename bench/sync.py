"""Measures what syncing must reach: three devices on this machine, with real daemons and Syncthings.

    python -m bench.sync                                 the sizes of the goals; some ten minutes
    python -m bench.sync --scale 0.1                     a tenth of the files, for a quick look
    python -m bench.sync --only tags,moves

Beside each figure stands what bare Syncthings take that carry the same in the same run: two of them that
know each other, one file or as many in a folder of theirs, each change told to them at once. Time on the
wall, since it is spent between processes. Nothing fails because it is slow; goals are printed beside it.

The devices are those of the tests (`tests.support`): invited, joined and let in by commands, on the
loopback interface only, all ended in the end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from bench.measure import show_timing, timing_of
from sync.life import life
from sync.syncthing import process
from sync.syncthing.attached import connect
from tagfs.change import Change
from tagfs.fact import Content, Made, time_text
from tagfs.guid import new_guid
from tagfs.slug import data_path
from tagfs.store import Store
from tagfs.term import HOLDS, TAG
from tests.support.devices import Device, Devices
from tests.support.syncthing import Cluster

PATIENCE_S = 600.0
LOOK_S = 0.004
TRIES = 50
FILES = 1_000
BIRTHS = 10_000
MOVED, MOVED_BYTES = 60, 24_000_000
MANY = 100_000
CHUNK = 10_000
IDLE_S = 60.0


class Line(NamedTuple):
    """One line: what lyts took, what bare Syncthings took for the same, the goal in words."""

    what: str
    lyts: str
    peer: str
    goal: str


class Bench:
    """The devices, the peer, and what came out."""

    def __init__(self, base: Path, scale: float) -> None:
        self.base = base
        self.scale = scale
        self.lines: list[Line] = []
        self.devices = Devices(base)

    def line(self, what: str, lyts: str, peer: str = "", goal: str = "") -> None:
        self.lines.append(Line(what, lyts, peer, goal))
        print(f"  {what:<46} {lyts:<34} {peer:<34} {'goal ' + goal if goal else ''}".rstrip(), flush=True)

    def some(self, count: int) -> int:
        """So many, on this scale; ten at least."""
        return max(10, int(count * self.scale))


def wait(look: Callable[[], object], what: str) -> float:
    """Until it is so. Returns when, on the monotonic clock."""
    end = time.monotonic() + PATIENCE_S
    while not look():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {PATIENCE_S:g} s")
        time.sleep(LOOK_S)
    return time.monotonic()


def count_of(device: Device, tag: str) -> int:
    """How many files have a tag, as `lyts find --count` looks."""
    with Store(str(device.store)) as store, store.view() as view:
        term = view.term(TAG, tag, None)
        return view.count(term) if term is not None else 0


class Seen:
    """Asks a store again and again, as a process that stays."""

    def __init__(self, device: Device) -> None:
        self._store = Store(str(device.store))

    def count(self, tag: str) -> int:
        with self._store.view() as view:
            term = view.term(TAG, tag, None)
            return view.count(term) if term is not None else 0

    def held(self) -> int:
        with self._store.view() as view:
            term = view.term(HOLDS, "", self._store.node)
            return view.count(term) if term is not None else 0

    def close(self) -> None:
        self._store.close()


@contextmanager
def seen(device: Device) -> Iterator[Seen]:
    one = Seen(device)
    try:
        yield one
    finally:
        one.close()


@contextmanager
def mount(device: Device) -> Iterator[Path]:
    """The device's library, mounted."""
    at = device.home / "mnt"
    at.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.mount_serve", device.store, at], stdout=subprocess.PIPE, env=device.env
    )
    assert child.stdout is not None
    if child.stdout.readline() != b"ready\n":
        raise SystemExit("the mount did not come up")
    try:
        yield at
    finally:
        child.terminate()
        child.wait(60)


def received(device: Device) -> int:
    """The bytes that its Syncthing has received since it was started."""
    with connect(device.layout) as syncthing:
        return syncthing.connections().total.in_bytes


def on_disk(*folders: Path) -> int:
    """The bytes of files below, each inode once."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                stat = path.lstat()
            except FileNotFoundError:
                continue
            if path.is_file():
                found[stat.st_ino] = stat.st_size
    return sum(found.values())


def seconds(found: Sequence[float]) -> str:
    return show_timing(timing_of(found))


def mib(size: float) -> str:
    return f"{size / (1 << 20):,.2f} MiB"


# -- what is measured ------------------------------------------------------------------


def tags(bench: Bench, laptop: Device, tablet: Device, cluster: Cluster) -> None:
    """One tag after the other, each seen before the next."""
    laptop.quick("add", "-t", "one", laptop.file("song.txt"))
    wait(lambda: count_of(tablet, "one"), "known on the tablet")
    tries = bench.some(TRIES)
    with seen(tablet) as there, Store(str(laptop.store)) as store:
        (guid,) = [row["guid"] for row in laptop.json("find", "one")]

        def tag(name: str) -> None:
            store.act(lambda change: change.about_file(guid, tag=[name]))

        found, bare = [], []
        for number in range(tries):
            name = f"find{number}"
            began = time.monotonic()
            tag(name)
            found.append(wait(lambda name=name: there.count(name), name) - began)
            bare.append(carried(cluster, f"tag{number}", b"x" * 200))
        bench.line(f"a tag is found on another device ({tries} tries)", seconds(found), seconds(bare), "2 s")
        with mount(tablet) as at:
            found = []
            for number in range(tries):
                name = f"mount{number}"
                began = time.monotonic()
                tag(name)
                found.append(wait(lambda name=name: os.path.lexists(at / "tags" / name / "song.txt"), name) - began)
            bench.line(f"the same, seen in its mount ({tries} tries)", seconds(found), "", "2 s")


def carried(cluster: Cluster, name: str, data: bytes) -> float:
    """How long bare Syncthings take for one file."""
    began = time.monotonic()
    cluster[0].write("bare", name, data)
    cluster[0].client.scan("bare", [name])
    return wait(lambda: cluster[1].read("bare", name) == data, name) - began


def carried_many(cluster: Cluster, folder: str, files: dict[str, bytes]) -> float:
    """How long they take for many, told of all at once."""
    for name, data in files.items():
        cluster[0].write("bare", f"{folder}/{name}", data)
    there = cluster[1].folder("bare") / folder
    began = time.monotonic()
    cluster[0].client.scan("bare", [folder])

    def all_there() -> bool:
        try:
            return sum(not name.startswith(".") for name in os.listdir(there)) == len(files)
        except FileNotFoundError:
            return False

    return wait(all_there, f"{len(files)} files") - began


def many(bench: Bench, laptop: Device, tablet: Device, cluster: Cluster) -> None:
    """Many files born in one command, then tagged in one."""
    births, files = bench.some(BIRTHS), bench.some(FILES)
    folder = laptop.files / "many"
    folder.mkdir()
    for number in range(births):
        (folder / f"note {number}.txt").write_bytes(b"%d\n" % number)
    with seen(tablet) as there:
        began = time.monotonic()
        laptop("add", "-t", "born", folder)
        added = time.monotonic()
        end = wait(lambda: there.count("born") == births, "births")
        bare = carried_many(cluster, "born", {f"{number}": b"%d\n" % number for number in range(births)})
        bench.line(
            f"{births:,} files added in one command are listed",
            f"{end - added:.2f} s after it, {end - began:.2f} s in all",
            f"{bare:.2f} s",
            "20 s",
        )
        some = [str(folder / f"note {number}.txt") for number in range(files)]
        laptop.quick("tag", "some", *(os.path.basename(path) for path in some))
        wait(lambda: there.count("some") == files, "some")
        began = time.monotonic()
        laptop("tag", "second", "-q", "some")
        tagged = time.monotonic()
        end = wait(lambda: there.count("second") == files, "tagged")
        bare = carried(cluster, "tagged", b"x" * 200 * files)
        bench.line(
            f"{files:,} files tagged in one command arrive",
            f"{end - tagged:.2f} s after it, {end - began:.2f} s in all",
            f"{bare:.2f} s",
            "5 s",
        )


def moves(bench: Bench, laptop: Device, tablet: Device, server: Device, cluster: Cluster) -> None:
    """Films are restored to others, reduced, and restored again."""
    each = MOVED_BYTES // MOVED
    for number in range(MOVED):
        laptop.file(f"film{number}.bin", os.urandom(each))
    laptop.quick("add", "-t", "film", *(f"film{number}.bin" for number in range(MOVED)))
    wait(lambda: count_of(tablet, "film") == MOVED == count_of(server, "film"), "known")

    def placed(device: Device, files: int) -> bool:
        there = list((device.store / "sets").glob("*/data/*/*.bin"))
        return len(there) == files and not any((device.store / "keep").glob("moved/*/*/*"))

    def move(verb: str, *nodes: Device, rest: tuple[tuple[Device, int], ...]) -> tuple[float, int]:
        before = sum(map(received, (laptop, tablet, server)))
        began = time.monotonic()
        laptop.quick(verb, "--nodes", ",".join(node.home.name for node in nodes), "-q", "film")
        end = wait(lambda: all(placed(device, files) for device, files in rest), verb)
        return end - began, sum(map(received, (laptop, tablet, server))) - before

    bare = carried_many(cluster, "films", {f"{n}": os.urandom(each) for n in range(MOVED)})
    took, sent = move("restore", tablet, server, rest=((laptop, MOVED), (tablet, MOVED), (server, MOVED)))
    size = f"{MOVED} files, {MOVED_BYTES / 1e6:.0f} MB"
    bench.line(
        f"restore to two others: {size} each", f"{took:.1f} s, {mib(sent)} in all", f"{bare:.1f} s for one", "once each"
    )
    free_before = on_disk(tablet.store / "sets", tablet.store / "keep")
    took, sent = move("reduce", tablet, rest=((laptop, MOVED), (tablet, 0), (server, MOVED)))
    freed = free_before - on_disk(tablet.store / "sets", tablet.store / "keep")
    bench.line(f"reduce of {size}", f"{took:.1f} s, {mib(sent)} sent", "", "1 MiB")
    bench.line("  freed by that", mib(freed), mib(MOVED_BYTES), "all of it")
    took, sent = move("restore", tablet, rest=((laptop, MOVED), (tablet, MOVED), (server, MOVED)))
    bench.line(
        f"restore to one: {size}", f"{took:.1f} s, {mib(sent)} sent", f"{mib(MOVED_BYTES)}, {bare:.1f} s", "once"
    )
    server.down()
    laptop.quick("reduce", "--nodes", "tablet", "-q", "film")
    wait(lambda: placed(laptop, MOVED) and placed(tablet, 0), "reduced while one is away")
    began = time.monotonic()
    server.up()
    wait(lambda: placed(server, MOVED) and all((server.store / "sets").glob("laptop+server/data/*/*")), "is back")
    took = wait(lambda: len(list((server.store / "sets").glob("laptop+server/data/*/*.bin"))) == MOVED, "in") - began
    bench.line("fetched by one that was away meanwhile", f"{took:.1f} s, {mib(received(server))}", "", "nothing again")


def cpu_s(pid: int) -> float:
    """The CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> tuple[float, float]:
    """Private and anonymous memory of a process."""
    rows = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    kb = {name: int(text.split()[0]) for name, text in rows.items() if text.split()}
    return (kb["Private_Clean"] + kb["Private_Dirty"]) / 1000, kb["Anonymous"] / 1000


def idle(bench: Bench, laptop: Device, tablet: Device) -> None:
    """What daemons and Syncthings use when nothing happens."""
    pids = {}
    for device in (laptop, tablet):
        alive = life(device.layout)
        noted = process.read_note(str(device.store / "syncthing" / "lyts-process"))
        assert alive is not None
        assert noted is not None
        pids[device.home.name] = alive.process.pid, noted.pid
    span_s = IDLE_S * min(1.0, max(0.25, bench.scale))
    time.sleep(span_s / 4)
    before = {name: list(map(cpu_s, both)) for name, both in pids.items()}
    began = time.monotonic()
    time.sleep(span_s)
    took = time.monotonic() - began
    for name, both in pids.items():
        used = [100 * (now - then) / took for now, then in zip(map(cpu_s, both), before[name], strict=True)]
        memory = [memory_mb(pid) for pid in both]
        bench.line(
            f"idle for {took:.0f} s: {name}",
            f"{used[0]:.2f} % of a core, {memory[0][0]:.0f} MB (anonymous {memory[0][1]:.0f})",
            f"{used[1]:.2f} %, {memory[1][0]:.0f} MB",
            "1 %, 80 MB",
        )


def fill(device: Device, files: int) -> None:
    """So many small files, as `lyts add` leaves them, ten thousand an action."""
    with Store(str(device.store)) as store:
        (label,) = [path.name for path in (device.store / "sets").iterdir()]

        def births(first: int, change: Change) -> None:
            for number in range(first, min(files, first + CHUNK)):
                guid, name, data = new_guid(os.urandom(16)), f"{number}.txt", b"%d\n" % number
                place = data_path(guid, name)
                path = store.layout.data(label, place)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                Path(path).write_bytes(data)
                stat = os.stat(path)
                change.about_file(
                    guid,
                    made=Made(name=name, data=place),
                    content=Content(sha256(data).hexdigest(), stat.st_size, time_text(stat.st_mtime_ns)),
                    tag=["many"],
                    holds={change.node: True},
                )

        for first in range(0, files, CHUNK):
            store.act(partial(births, first))


def start(bench: Bench) -> None:
    """A daemon on a store of many files, from the first of its processes to its first round."""
    files = bench.some(MANY)
    device = bench.devices.first("many")
    device.down()
    fill(device, files)
    found = []
    for _ in range(3):
        began = time.monotonic()
        device("sync", "up")

        def is_ready() -> bool:
            alive = life(device.layout)
            return alive is not None and alive.ready

        found.append(wait(is_ready, "ready") - began)
        device.down()
    bench.line(f"{files:,} files: sync up until the daemon is ready", seconds(found), "", "10 s")
    device.up()
    idle_of_one(bench, device, files)
    device.down()


def idle_of_one(bench: Bench, device: Device, files: int) -> None:
    alive = life(device.layout)
    assert alive is not None
    pid = alive.process.pid
    span_s = IDLE_S * min(1.0, max(0.25, bench.scale))
    wait(lambda: _is_calm(pid), "calm")
    before, began = cpu_s(pid), time.monotonic()
    time.sleep(span_s)
    used = 100 * (cpu_s(pid) - before) / (time.monotonic() - began)
    private, anonymous = memory_mb(pid)
    what = f"{used:.2f} % of a core, {private:.0f} MB (anonymous {anonymous:.0f})"
    bench.line(f"idle for {span_s:.0f} s with {files:,} files", what, "", "1 %, 80 MB")


def _is_calm(pid: int) -> bool:
    before = cpu_s(pid)
    time.sleep(2)
    return cpu_s(pid) - before < 0.1


PARTS = ("tags", "many", "moves", "idle", "start")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure syncing.")
    parser.add_argument("--scale", type=float, default=1.0, help="how many of the files of the goals")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--work", metavar="DIR", help="where; removed in the end")
    parser.add_argument("--json", metavar="FILE", help="write the lines to a file as well")
    given = parser.parse_args()
    only = given.only.split(",")
    base = Path(tempfile.mkdtemp(prefix="lyts-bench-sync-", dir=given.work))
    bench = Bench(base, given.scale)
    load = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {platform.system()} {platform.release()}; load {load:.1f} at the start")
    print(f"  {'':<46} {'lyts':<34} {'bare Syncthing':<34}")
    try:
        with bench.devices as devices:
            if set(only) & {"tags", "many", "moves", "idle"}:
                laptop = devices.first("laptop")
                tablet, server = (devices.join(name, laptop) for name in ("tablet", "server"))
                with Cluster(base, 2) as cluster:
                    print(f"  Syncthing {cluster[0].client.version().version}")
                    cluster.share("bare")
                    if "tags" in only:
                        tags(bench, laptop, tablet, cluster)
                    if "many" in only:
                        many(bench, laptop, tablet, cluster)
                    if "moves" in only:
                        moves(bench, laptop, tablet, server, cluster)
                    if "idle" in only:
                        idle(bench, laptop, tablet)
                for device in (laptop, tablet, server):
                    device.down()
            if "start" in only:
                start(bench)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    if given.json:
        Path(given.json).write_text(json.dumps([line._asdict() for line in bench.lines], indent=1) + "\n")


if __name__ == "__main__":
    main()
