"""Measures moving in and out, against `cp -a` of the same files in the same run.

    python -m bench.exchange --files 20000
    python -m bench.exchange --files 100000 --size-bytes 100000 --work /mnt/disk

`lyts add`, `add` of what is there already, `export`, `export` of what came out already, and
`import` of that into an empty library, each a whole process. On the wall and in CPU time:
one says what a person waits for, the other disturbs less on a busy machine. Then the same
number of empty files, which all have the same bytes.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile

from bench.measure import Child, run_child
from bench.whole import lyts_command

FOLDERS = 100


def make_files(folder: str, count: int, size_bytes: int, seed: int) -> None:
    """Files of random bytes, spread over a hundred folders."""
    dice = random.Random(seed)
    for number in range(min(FOLDERS, count)):
        os.makedirs(os.path.join(folder, f"folder {number:02}"))
    for number in range(count):
        path = os.path.join(folder, f"folder {number % FOLDERS:02}", f"file {number:06}.dat")
        with open(path, "wb") as file:
            file.write(dice.randbytes(size_bytes))


def run(what: str, command: list[str], store: str, peer: Child | None = None) -> Child:
    """Run a command to its end, and print what it took, and how many times that of the peer."""
    child = run_child(command, {"LYTS_STORE": store})
    if child.status:
        raise SystemExit(f"{' '.join(command)}: exit status {child.status}")
    ratio = f"{child.wall_s / peer.wall_s:6.2f}x" if peer is not None else ""
    print(f"{what:<44}{child.wall_s:8.2f} s{child.cpu_s:8.2f} s CPU{child.peak_rss_mb:7.0f} MB  {ratio}", flush=True)
    return child


def main() -> int:
    """Measure. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--size-bytes", type=int, default=10_000)
    parser.add_argument("--work", default=None, help="the folder to work in (default: that for temporary files)")
    given = parser.parse_args()
    lyts = lyts_command()
    if lyts is None:
        raise SystemExit("there is no lyts command in this environment")
    with tempfile.TemporaryDirectory(prefix="lyts-exchange-", dir=given.work) as work:
        for size_bytes in (given.size_bytes, 0):
            files, copy, out, store = (os.path.join(work, name) for name in ("files", "copy", "out", "store"))
            make_files(files, given.files, size_bytes, seed=1)
            print(f"\n{given.files:,} files of {size_bytes:,} bytes")
            peer = run("cp -a", ["cp", "-a", files, copy], store)
            run("lyts add", [*lyts, "add", "-t", "a,year=1959", files], store, peer)
            run("lyts add, all there already", [*lyts, "add", "-t", "a,year=1959", files], store, peer)
            run("lyts export --layout from", [*lyts, "export", "--layout", "from", out], store, peer)
            run("lyts export again, all there already", [*lyts, "export", "--layout", "from", out], store, peer)
            run("lyts import into an empty library", [*lyts, "import", out], store + "-2", peer)
            run("lyts import, all there already", [*lyts, "import", out], store + "-2", peer)
            for path in (files, copy, out, store, store + "-2"):
                shutil.rmtree(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
