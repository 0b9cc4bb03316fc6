"""`lyts recover` as a person types it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command import Lyts


@pytest.fixture
def lyts(tmp_path: Path) -> Lyts:
    return Lyts(tmp_path / "home")


@pytest.fixture
def old(lyts: Lyts) -> Path:
    """A store with three files, which then stands somewhere else: the machine is gone."""
    lyts.quick("init", "--alias", "laptop")
    lyts.quick("add", "-t", "rome", lyts.file("a.jpg"), lyts.file("b.jpg"))
    lyts.quick("add", lyts.file("c.txt"))
    place = lyts.home / "old disk"
    lyts.store.rename(place)
    return place


def test_24_recover_makes_a_store_with_all_of_an_old_one(lyts: Lyts, old: Path) -> None:
    done = lyts("recover", str(old))
    assert "took" in done.out
    assert "3 files have bytes here that had none" in done.out
    assert "Made a store" in done.err
    assert lyts.names("rome") == ["a.jpg", "b.jpg"]
    lyts.check()
    again = lyts.quick("recover", str(old))
    assert "took 0 lines" in again.out
    lyts.check()


def test_24_a_store_that_was_moved_goes_on_with_node_here(lyts: Lyts, old: Path) -> None:
    shutil.copytree(old, lyts.store)
    toml = lyts.store / "store.toml"
    lines = [line for line in toml.read_text().splitlines() if not line.startswith("machine_id")]
    toml.write_text("\n".join([*lines, 'machine_id = "another machine"', ""]))
    assert "machine" in lyts.quick("tag", "x", "a.jpg", code=None).err
    lyts.quick("node", "here", "--moved", "--yes")
    lyts.quick("tag", "x", "a.jpg")
    assert lyts.names("x") == ["a.jpg"]
    lyts.check()


def test_recover_names_the_new_device_as_no_other(lyts: Lyts, old: Path) -> None:
    assert "laptop" in lyts.quick("recover", "--alias", "laptop", str(old), code=2).err
    assert not lyts.store.exists()
    lyts.quick("recover", "--alias", "tablet", str(old))
    assert "tablet" in lyts.quick("where", "a.jpg").out
    assert "rename" in lyts.quick("recover", "--alias", "other", str(old), code=2).err


def test_recover_lists_what_is_missing_with_who_has_it(lyts: Lyts, old: Path) -> None:
    next(old.glob("sets/*/data/*/*--a.jpg")).unlink()
    next(old.glob("sets/*/data/*/*--b.jpg")).write_bytes(b"B.jpg")
    found = lyts.quick("recover", "--alias", "new", str(old), code=1)
    assert "2 files are known, but the bytes were not there" in found.out
    assert "a.jpg  kept by laptop" in found.out
    assert "Run it again with a disk or a backup that has them" in found.err
    assert "lyts find recovered" in found.out
    assert "damaged, or edited" in found.err
    assert lyts.names("recovered") == ["b (recovered).jpg"]
    lyts.check()
    listed = {(one["what"], one.get("name")) for one in lyts.json("recover", str(old), code=1)}
    assert {("missing", "a.jpg"), ("missing", "b.jpg")} <= listed


def test_recover_tells_what_was_deleted_for_good_here_and_is_left_out(lyts: Lyts, old: Path) -> None:
    lyts.quick("recover", "--alias", "new", str(old))
    lyts.quick("rm", "a.jpg")
    lyts.quick("trash", "empty", "--yes")
    found = lyts.quick("recover", str(old))
    assert "1 file was deleted for good here, and left out" in found.out
    assert "a.jpg  still in" in found.out
    assert "Nothing is missing" not in found.err
    assert [one["what"] for one in lyts.json("recover", str(old))] == ["ended"]
    lyts.check()


@pytest.mark.needs_root
def test_17_recover_on_a_full_disk_does_not_say_that_nothing_is_missing(lyts: Lyts, old: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: needs root to mount a small file system")
    next(old.glob("sets/*/data/*/*--a.jpg")).write_bytes(b"grown" * 400_000)
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(small)], check=True)
    try:
        found = lyts.quick("--store", str(small / "store"), "recover", str(old), code=3)
        assert "no space left" in found.err
        assert "the same command goes on from here" in found.err
        assert "Nothing is missing" not in found.err
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_recover_dry_run_makes_nothing(lyts: Lyts, old: Path) -> None:
    assert "about 3 files; there are bytes for 3 of them" in lyts.quick("recover", "--dry-run", str(old)).out
    assert not lyts.store.exists()
    assert lyts.json("recover", "--dry-run", str(old))[0]["files"] == 3


def test_recover_refuses_what_is_no_source(lyts: Lyts, old: Path) -> None:
    assert "not a folder" in lyts.quick("recover", str(old / "nowhere"), code=2).err
    inside = lyts.quick("--store", str(old / "new"), "recover", str(old), code=2).err
    assert "only to be read" in inside
    assert not (old / "new").exists()
    plain = old.parent / "plain"
    plain.mkdir()
    (plain / "letter.txt").write_bytes(b"nothing of lyts")
    assert "lyts add FOLDER" in lyts.quick("recover", str(plain), code=2).err
    assert not lyts.store.exists()
