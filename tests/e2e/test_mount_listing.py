"""Long listings: in pieces, while files come and go, and with the attributes that stat would give."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from tagfs.store import Store
from tests.support.mounting import PATIENCE_S, SERVE, Mounting, eventually, mounted
from tests.support.stores import add_empty

MANY = 4_000

_SLOW = """
import os
from tagfs.views import listing
quick = listing.subdirectories
def subdirectories(view, directory, clock):
    found = quick(view, directory, clock)
    if directory.path == "tags/music+":
        os.close(os.open(BEGUN, os.O_CREAT | os.O_WRONLY))
        os.close(os.open(GO_ON, os.O_RDONLY))
    return found
listing.subdirectories = subdirectories
"""


def test_a_listing_goes_on_after_a_long_stretch_of_files_that_left(mount: Mounting) -> None:
    lyts = mount.lyts
    with Store(str(lyts.store)) as store:
        add_empty(store, [f"f{number:04d}" for number in range(MANY)], {"many"})
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


def test_while_what_narrows_a_large_result_is_counted_others_are_answered(tmp_path: Path) -> None:
    begun, go_on = tmp_path / "begun", tmp_path / "go-on"
    os.mkfifo(go_on)
    serve = f"BEGUN, GO_ON = {str(begun)!r}, {str(go_on)!r}\n{_SLOW}\n{SERVE}"
    with mounted(tmp_path, serve=serve) as mount:
        for tag in ("music", "music+jazz"):
            for plain in tag.split("+"):
                (mount / "tags" / plain).mkdir(exist_ok=True)
            (mount / "tags" / tag / f"{tag}.txt").write_bytes(b"some bytes")
        listed: list[str] = []
        thread = threading.Thread(target=lambda: listed.extend(mount.ls("tags/music+")), daemon=True)
        thread.start()
        eventually(begun.exists)
        assert mount.read("tags/music/music.txt") == b"some bytes"
        assert mount.ls("tags/jazz") == ["music+jazz.txt"]
        (mount / "tags/flac").mkdir()
        (mount / "tags/music+flac/new.txt").write_bytes(b"new")  # changes the library meanwhile
        assert thread.is_alive()
        go_on.open("w").close()
        thread.join(PATIENCE_S)
        assert listed == ["jazz"]  # as it was when it was asked for
        begun.unlink()
        thread = threading.Thread(target=lambda: listed.extend(mount.ls("tags/music+")), daemon=True)
        thread.start()
        eventually(begun.exists)
        go_on.open("w").close()
        thread.join(PATIENCE_S)
        assert listed == ["jazz", "flac", "jazz"]


def test_thousands_of_directories_are_listed_in_pieces(mount: Mounting) -> None:
    tags = sorted(f"t{number:03d}" for number in range(300))
    mount.lyts.quick("add", mount.lyts.file("a.txt"), *(word for tag in tags for word in ("-t", tag)))
    eventually(lambda: mount.ls("tags") == tags)
    assert mount.ls("tags/t000+") == []  # nothing narrows it: all are on its only file
    assert all((mount / "tags" / tag / "a.txt").is_file() for tag in tags)


def test_directories_hold_the_same_files_after_the_index_was_built_again(mount: Mounting) -> None:
    lyts = mount.lyts
    for number in range(6):
        lyts.quick("add", "-t", "odd" if number % 2 else "even", lyts.file(f"{number}.txt"))
    lyts.quick("rm", "0.txt")
    lyts.quick("trash", "empty", "--yes")  # so that files are numbered otherwise from then on
    eventually(
        lambda: (mount.ls("tags/odd"), mount.ls("tags/even")) == (["1.txt", "3.txt", "5.txt"], ["2.txt", "4.txt"])
    )
    index = lyts.store / "index/data.mdb"
    before = index.stat().st_ino
    lyts.quick("reindex")
    assert index.stat().st_ino != before
    eventually(lambda: _holds(mount, "odd", 1, 3, 5) and _holds(mount, "even", 2, 4), 5)
    assert all(mount.read(f"all/{number}.txt") == b"%d.txt" % number for number in range(1, 6))


def _holds(mount: Mounting, tag: str, *numbers: int) -> bool:
    try:
        return mount.ls(f"tags/{tag}") == [f"{number}.txt" for number in numbers]
    except OSError:
        return False
