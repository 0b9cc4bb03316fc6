"""Long listings: in pieces, while files come and go, and with the attributes that stat would give."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mounting import Mounting, eventually, mounted

MANY = 4_000


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mounting]:
    with mounted(tmp_path) as found:
        yield found


def test_a_listing_goes_on_after_a_long_stretch_of_files_that_left(mount: Mounting) -> None:
    lyts = mount.lyts
    for number in range(MANY):
        lyts.file(f"many/f{number:04d}")
    lyts.quick("add", "-t", "many", str(lyts.files / "many"))
    eventually(lambda: len(os.listdir(mount / "tags/many")) == MANY)
    with os.scandir(mount / "tags/many") as listing:
        met = [next(listing).name]
        lyts.quick("untag", "many", "-q", "name=f1%,name=f2%")
        eventually(lambda: not (mount / "tags/many/f2999").exists())
        met += [entry.name for entry in listing]
    assert len(met) == len(set(met))
    there = {f"f{number:04d}" for number in range(MANY) if number // 1000 in (0, 3)}
    assert there <= set(met)
    assert "f2999" not in met  # it had left before the listing came so far
    assert set(mount.ls("tags/many")) == there


def test_a_listing_tells_the_kernel_of_each_file_what_stat_would(mount: Mounting) -> None:
    folder = mount / "tags/work"
    folder.mkdir()
    sizes = {f"f{number}": number * 700 for number in range(12)}
    for name, size in sizes.items():
        (folder / name).write_bytes(b"x" * size)
    modes = {"f3": 0o600, "f4": 0o755, "f5": 0o755, "f9": 0o400}
    for name, mode in modes.items():
        os.chmod(folder / name, mode)
    os.utime(folder / "f6", ns=(10**18, 10**18 + 7))
    os.setxattr(folder / "f7", "user.xdg.comment", b"no longer as it was born")
    mount.stop()
    mount.start()  # nothing is known of before, so that what follows is what the listing said
    with open(folder / "f8", "ab", buffering=0) as file:
        file.write(b"y" * 1000)
        found = {entry.name: entry.stat() for entry in os.scandir(folder)}
        listed = {name: (one.st_ino, one.st_mode, one.st_size, one.st_mtime_ns) for name, one in found.items()}
        assert {name: one.st_size for name, one in found.items()} == {**sizes, "f8": sizes["f8"] + 1000}
        assert {name: stat.S_IMODE(one.st_mode) for name, one in found.items()} == {
            name: modes.get(name, 0o644) for name in sizes
        }
        assert found["f6"].st_mtime_ns == 10**18 + 7
        for name, said in listed.items():
            os.setxattr(folder / name, "user.looked", b"")  # attributes are asked for again
            now = os.stat(folder / name)
            assert said == (now.st_ino, now.st_mode, now.st_size, now.st_mtime_ns), name
            assert stat.S_ISREG(now.st_mode)
