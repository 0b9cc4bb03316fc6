"""Accidents with ledgers, with real daemons and Syncthings: no fact is lost, and nobody's accident spreads."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from tests.support.library import Library, Node
from tests.support.syncthing import until


def tags_of(node: Node, guid: str) -> set[str]:
    return set(node.face(guid).tags)


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("2*.jsonl"))


def both_know(library: Library, guid: str, tags: set[str]) -> None:
    until(lambda: all(tags_of(node, guid) == tags for node in library), f"all know {tags}")


def rolled_back(folder: Path) -> None:
    """As a power cut leaves the last segment: shorter, to the middle of a line."""
    newest = segments(folder)[-1]
    os.truncate(newest, newest.stat().st_size * 2 // 3)


def deleted(folder: Path) -> None:
    for segment in segments(folder):
        segment.unlink()


def emptied(folder: Path) -> None:
    for segment in segments(folder):
        os.truncate(segment, 0)


def stale_with_a_later_time(folder: Path) -> None:
    for segment in segments(folder):
        lines = segment.read_bytes().splitlines(keepends=True)
        segment.write_bytes(b"".join(lines[: len(lines) // 2]))
        later = time.time() + 3600
        os.utime(segment, (later, later))


def lost(folder: Path) -> None:
    shutil.rmtree(folder)


ACCIDENTS = [rolled_back, deleted, emptied, stale_with_a_later_time, lost]


def accidents(tmp_path: Path, whose: str, *, index_too: bool) -> None:
    """All accidents in one library, one after the other: whatever the one before left behind is there."""
    with Library(tmp_path, ["laptop", "tablet"]) as library:
        laptop, tablet = library
        guid = laptop.add("song.txt", b"la la\n", "begun")
        struck, other = (laptop, tablet) if whose == "owner" else (tablet, laptop)
        tags = {"begun"}
        both_know(library, guid, tags)
        for do in ACCIDENTS:
            name = do.__name__
            laptop.lyts("tag", f"{name}=one", guid)
            tablet.lyts("tag", f"{name}=two", guid)
            tags |= {f"{name}=one", f"{name}=two"}
            both_know(library, guid, tags)
            struck.stop()
            do(struck.root / "ledgers" / "laptop")
            if index_too:
                shutil.rmtree(struck.root / "index")
            other.lyts("tag", f"{name}=meanwhile", guid)
            struck.start()
            library.wait_connected()
            tags |= {f"{name}=meanwhile"}
            both_know(library, guid, tags)
            struck.lyts("tag", f"{name}=afterwards", guid)
            tags |= {f"{name}=afterwards"}
            both_know(library, guid, tags)
        for node in library:
            node.lyts("reindex")
            assert tags_of(node, guid) == tags


def test_an_owner_whose_ledger_had_accidents_and_its_index_not(tmp_path: Path) -> None:
    accidents(tmp_path, "owner", index_too=False)


def test_an_owner_that_lost_its_ledger_and_its_index_again_and_again(tmp_path: Path) -> None:
    accidents(tmp_path, "owner", index_too=True)


def test_a_reader_whose_copy_had_accidents(tmp_path: Path) -> None:
    accidents(tmp_path, "reader", index_too=False)


def test_a_store_restored_from_a_backup_gets_back_what_the_others_have_of_it(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "tablet"]) as library:
        laptop, _ = library
        guid = laptop.add("song.txt", b"la la\n", "one")
        both_know(library, guid, {"one"})
        laptop.stop()
        shutil.copytree(laptop.root, tmp_path / "backup", symlinks=True)
        laptop.start()
        library.wait_connected()
        laptop.lyts("tag", "two", guid)
        both_know(library, guid, {"one", "two"})
        laptop.stop()
        shutil.rmtree(laptop.root)
        shutil.copytree(tmp_path / "backup", laptop.root, symlinks=True)
        laptop.start()
        library.wait_connected()
        both_know(library, guid, {"one", "two"})
        laptop.lyts("tag", "three", guid)
        both_know(library, guid, {"one", "two", "three"})


def test_a_reader_whose_copy_had_accidents_and_whose_owner_says_nothing_new(tmp_path: Path) -> None:
    """Nothing comes that would replace the copy, and no index knows what was in it."""
    with Library(tmp_path, ["laptop", "tablet"]) as library:
        laptop, tablet = library
        guid = laptop.add("song.txt", b"la la\n", "one")
        both_know(library, guid, {"one"})
        laptop.lyts("tag", "two", guid)
        both_know(library, guid, {"one", "two"})
        whole = {path.name: path.read_bytes() for path in segments(laptop.root / "ledgers" / "laptop")}
        for do in ACCIDENTS:
            tablet.stop()
            do(tablet.root / "ledgers" / "laptop")
            shutil.rmtree(tablet.root / "index")
            tablet.start()
            library.wait_connected()
            both_know(library, guid, {"one", "two"})
            for node in library:
                found = {path.name: path.read_bytes() for path in segments(node.root / "ledgers" / "laptop")}
                assert found == whole, do.__name__


def test_a_reader_killed_again_and_again_while_it_fetches_a_ledger_has_all_of_it_in_the_end(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "tablet"]) as library:
        laptop, tablet = library
        first = laptop.add("song.txt", b"la la\n", "one")
        both_know(library, first, {"one"})
        tablet.stop()
        files = library.base / "many"
        files.mkdir()
        for number in range(3000):
            (files / f"{number}.txt").write_bytes(b"%d\n" % number)
        laptop.lyts("add", "-t", "many", str(files))
        whole = {path.name: path.read_bytes() for path in segments(laptop.root / "ledgers" / "laptop")}
        for pause_s in (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6):
            tablet.start()
            time.sleep(pause_s)
            tablet.kill_syncthing()
            tablet.kill_daemon()
        tablet.start()
        library.wait_connected()
        until(lambda: len(tablet.ids()) == 3001, "the tablet knows all of them")
        tablet.lyts("tag", "afterwards", first)
        both_know(library, first, {"one", "afterwards"})
        for node in library:
            found = {path.name: path.read_bytes() for path in segments(node.root / "ledgers" / "laptop")}
            assert found == whole
            node.lyts("fsck")
