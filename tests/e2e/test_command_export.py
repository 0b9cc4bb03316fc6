"""`lyts export`: files come out with all that is known about them, and nothing is written over."""

from __future__ import annotations

import csv
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import tagfs.exchange.export
from tests.support.command import Lyts

MTIME_NS = 1_700_000_000_123_456_789


@pytest.fixture
def lyts(tmp_path: Path) -> Iterator[Lyts]:
    made = Lyts(tmp_path)
    yield made
    made.check()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def add(lyts: Lyts, name: str, tags: str = "", content: str | None = None) -> str:
    """Add a file; its path."""
    path = lyts.file(name, content)
    os.utime(path, ns=(MTIME_NS, MTIME_NS))
    lyts.quick("add", *(["-t", tags] if tags else []), path)
    return path


def tree(folder: Path) -> dict[str, str]:
    """Path -> content of all files, but for the table."""
    found = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    found.pop("lyts.csv", None)
    return found


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "lyts.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_for_each_tag_and_the_file_in_each(lyts: Lyts, out: Path) -> None:
    add(lyts, "a.flac", "music,year=1959")
    add(lyts, "b.txt")
    done = lyts("export", str(out))
    assert done.out == f"exported 2 files (11 B); see {out}/lyts.csv\n"
    assert tree(out) == {"music/a.flac": "a.flac", "year=1959/a.flac": "a.flac", "untagged/b.txt": "b.txt"}
    assert (out / "music/a.flac").samefile(out / "year=1959/a.flac")
    assert [(row["name"], row["path"], row["tags"]) for row in table(out)] == [
        ("a.flac", "music/a.flac", "music,year=1959"),
        ("b.txt", "untagged/b.txt", ""),
    ]


def test_the_other_layouts(lyts: Lyts, out: Path) -> None:
    add(lyts, "Pictures/a.jpg", "rome")
    lyts.quick("export", "--layout", "flat", "rome", str(out / "flat"))
    lyts.quick("export", "--layout", "date", "rome", str(out / "date"))
    lyts.quick("export", "--layout", "from", "rome", str(out / "from"))
    came_from = str(lyts.files / "Pictures").lstrip("/")
    assert tree(out) == {
        "flat/a.jpg": "Pictures/a.jpg",
        "date/2023/2023-11/a.jpg": "Pictures/a.jpg",
        f"from/{came_from}/a.jpg": "Pictures/a.jpg",
        **{f"{name}/lyts.csv": (out / name / "lyts.csv").read_text() for name in ("flat", "date", "from")},
    }


def test_tags_notes_time_and_permissions_go_along(lyts: Lyts, out: Path) -> None:
    path = lyts.file("a.jpg")
    os.chmod(path, 0o600)
    os.utime(path, ns=(MTIME_NS, MTIME_NS))
    lyts.quick("add", "-t", "Rome,rating=8,a%2Cb", path)
    lyts.quick("notes", "--set", "at the Tiber", "a.jpg")
    lyts.quick("export", "--layout", "flat", str(out))
    made = out / "a.jpg"
    found = made.stat()
    assert (found.st_mtime_ns, found.st_mode & 0o777) == (MTIME_NS, 0o600)
    assert {name: os.getxattr(made, name) for name in os.listxattr(made) if name.startswith("user.")} == {
        "user.xdg.tags": b"Rome,a%2Cb,rating=8",
        "user.xdg.comment": b"at the Tiber",
        "user.baloo.rating": b"8",
    }


def test_nothing_is_written_over_and_a_second_run_adds_what_is_new(lyts: Lyts, out: Path) -> None:
    add(lyts, "a.txt", "x")
    add(lyts, "b.txt", "x")
    out.mkdir()
    (out / "a.txt").write_text("something else")
    lyts.quick("export", "--layout", "flat", "x", str(out))
    guid = next(one["guid"] for one in lyts.json("find") if one["name"] == "a.txt")
    beside = f"a~{guid[:8]}.txt"
    assert tree(out) == {"a.txt": "something else", beside: "a.txt", "b.txt": "b.txt"}
    add(lyts, "c.txt", "x")
    before = {path: path.stat().st_ino for path in out.glob("*.txt")}
    done = lyts.quick("export", "--layout", "flat", "x", str(out))
    assert done.out == f"exported 1 file (5 B); 2 were there already; see {out}/lyts.csv\n"
    assert {path: path.stat().st_ino for path in before} == before
    assert sorted(row["path"] for row in table(out)) == sorted([beside, "b.txt", "c.txt"])


def test_the_table_keeps_what_another_export_put_there(lyts: Lyts, out: Path) -> None:
    add(lyts, "a.txt", "x")
    add(lyts, "b.txt", "y")
    lyts.quick("export", "x", str(out))
    lyts.quick("export", "y", str(out))
    assert sorted(row["path"] for row in table(out)) == ["x/a.txt", "y/b.txt"]


def test_names_that_would_do_harm_come_out_safe_and_each_once(lyts: Lyts, out: Path) -> None:
    for name in ("CON.txt", "a:b.txt", "a?b.txt", "A:B.TXT", "two\nlines.txt", "..."):
        add(lyts, name, "t")
    lyts.quick("export", "--layout", "flat", str(out))
    found = tree(out)
    assert len(found) == 6
    assert {"_CON.txt", "a_b.txt", "two_lines.txt", "_"} <= set(found)
    assert len({name.casefold() for name in found}) == 6
    assert sorted(row["name"] for row in table(out)) == sorted(lyts_name["name"] for lyts_name in lyts.json("find"))


def test_dry_run_writes_nothing(lyts: Lyts, out: Path) -> None:
    add(lyts, "a.txt", "x")
    done = lyts.quick("export", "--dry-run", str(out))
    assert done.out == "x/a.txt\nwould export 1 file (5 B)\n"
    assert not out.exists()


def test_what_cannot_be_meant_is_refused(lyts: Lyts, out: Path) -> None:
    add(lyts, "a.txt", "x")
    assert "a query and a folder are needed" in lyts.quick("export", "x", code=2).err
    assert "is in the store itself" in lyts.quick("export", str(lyts.store / "keep"), code=2).err
    out.mkdir()
    (out / "lyts.csv").write_text("my,own,table\n")
    assert "no table of an export" in lyts.quick("export", str(out), code=2).err
    assert (out / "lyts.csv").read_text() == "my,own,table\n"


def test_a_file_whose_bytes_are_not_here_is_named_and_stands_in_the_table(lyts: Lyts, out: Path) -> None:
    add(lyts, "a.txt", "x")
    add(lyts, "film.mkv", "x")
    (film,) = (one for one in lyts.json("find") if one["name"] == "film.mkv")
    aside = lyts.home / "aside"
    os.rename(film["path"], aside)
    done = lyts.quick("export", str(out), code=1)
    assert f"film.mkv (8 B) is not on this device; {film['holds'][0]} has it" in done.err
    assert tree(out) == {"x/a.txt": "a.txt"}
    assert [(row["name"], row["path"]) for row in table(out)] == [("a.txt", "x/a.txt"), ("film.mkv", "")]
    os.rename(aside, film["path"])


def test_bytes_that_changed_on_the_disk_come_out_and_are_told(lyts: Lyts, out: Path) -> None:
    add(lyts, "a.txt", "x")
    (one,) = lyts.json("find")
    Path(one["path"]).write_text("flip!")
    done = lyts.quick("export", str(out), code=1)
    assert "a.txt: its bytes are not what lyts knows of it" in done.err
    assert tree(out) == {"x/a.txt": "flip!"}
    Path(one["path"]).write_text("a.txt")


def test_notes_that_an_attribute_has_no_room_for_are_told_and_stand_in_the_table(lyts: Lyts, out: Path) -> None:
    add(lyts, "a.txt", "x")
    notes = "long " * 20_000
    lyts.quick("notes", "--set", notes, "a.txt")
    done = lyts.quick("export", str(out))
    assert "has no room for the tags or notes of 1 file; lyts.csv has them" in done.err
    assert [row["notes"] for row in table(out)] == [lyts.json("find")[0]["notes"]]
    assert os.getxattr(out / "x" / "a.txt", "user.xdg.tags") == b"x"


def test_where_there_are_no_hard_links_each_file_comes_out_once(
    lyts: Lyts, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file system without them can be counted on where this runs."""
    add(lyts, "a.txt", "x,y")
    out.mkdir()
    (out / "x").mkdir()
    (out / "x" / "a.txt").write_text("a person's")
    monkeypatch.setattr(tagfs.exchange.export, "try_link", lambda path, into: False)
    lyts.quick("export", str(out))
    found = tree(out)
    assert found.pop("x/a.txt") == "a person's"
    assert list(found.values()) == ["a.txt"]
    assert [row["path"] for row in table(out)] == list(found)
    assert "1 was there already" in lyts.quick("export", str(out)).out


@pytest.mark.needs_root
def test_a_disk_that_is_too_small_is_told_before_anything_is_written(lyts: Lyts, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: needs root to mount a small file system")
    add(lyts, "big.bin", "x", "0" * (8 << 20))
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", str(small)], check=True)
    try:
        done = lyts("export", str(small), code=3)
        assert "has room for" in done.err
        assert "Nothing was written" in done.err
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
