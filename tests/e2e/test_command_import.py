"""`lyts import`: what an export, TMSU and desktops leave comes in, and nothing is taken twice."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.recovery.rows import Row, header, line
from tests.support.command import Lyts

MTIME_NS = 1_700_000_000_123_456_789


@pytest.fixture
def lyts(tmp_path: Path) -> Iterator[Lyts]:
    made = Lyts(tmp_path / "one")
    yield made
    made.check()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Lyts]:
    """Another library."""
    made = Lyts(tmp_path / "two")
    made.quick("init")
    yield made
    made.check()


@pytest.fixture
def out(lyts: Lyts, tmp_path: Path) -> Path:
    """An export of two files."""
    path = lyts.file("a.txt")
    os.utime(path, ns=(MTIME_NS, MTIME_NS))
    lyts.quick("add", "-t", "x,year=1959", path)
    lyts.quick("add", "-t", "x", lyts.file("sub/b.txt"))
    lyts.quick("notes", "--set", "at the Tiber", "a.txt")
    lyts.quick("export", str(tmp_path / "out"))
    return tmp_path / "out"


def seen(lyts: Lyts, *but: str) -> dict[str, dict[str, object]]:
    """What `find --json` says of each file, by name, without what differs from store to store."""
    found = {str(one["name"]): one for one in lyts.json("find")}
    for one in found.values():
        for key in ("path", "holds", *but):
            del one[key]
    return found


def test_an_export_comes_in_as_it_went_out(lyts: Lyts, other: Lyts, out: Path) -> None:
    done = other("import", str(out))
    assert done.out == "imported 2 files (14 B), as its table of files says\n"
    assert seen(other) == seen(lyts)
    assert other.quick("import", str(out)).out == (
        "imported 0 files (0 B), as its table of files says; 2 were there already\n"
    )
    assert lyts.quick("import", str(out)).out.endswith("2 were there already\n")
    assert seen(lyts) == seen(other)
    told = other.quick("log", "--limit", "1").out
    assert "add (2 files)" in told
    other.quick("reindex")
    assert seen(other) == seen(lyts)
    assert other.quick("log", "--limit", "1").out == told
    other.quick("undo")
    assert other.names() == []
    other.quick("import", str(out))
    assert seen(other) == seen(lyts)


def test_what_was_tagged_since_stays_and_what_is_lacking_comes(lyts: Lyts, out: Path) -> None:
    lyts.quick("untag", "year=1959", "a.txt")
    lyts.quick("tag", "mine", "a.txt")
    lyts.quick("rename", "a.txt", "c.txt")
    lyts.quick("notes", "--set", "by the Tiber", "c.txt")
    lyts.quick("rm", "b.txt")
    done = lyts.quick("import", str(out))
    assert done.out.endswith("2 were there already, 1 of them with fewer tags\n")
    found = seen(lyts)
    assert found["c.txt"]["tags"] == ["mine", "x", "year=1959"]
    assert found["c.txt"]["notes"] == "by the Tiber\n\nat the Tiber"
    assert set(found) == {"b.txt", "c.txt"}


def test_files_that_were_moved_in_the_folder_are_found_by_their_bytes(lyts: Lyts, other: Lyts, out: Path) -> None:
    (out / "elsewhere").mkdir()
    # One name of a file that has two is another one now, and the one that the table speaks of is gone.
    os.rename(out / "year=1959" / "a.txt", out / "elsewhere" / "called otherwise")
    (out / "x" / "a.txt").unlink()
    (out / "new.txt").write_text("no row speaks of it")
    other.quick("import", str(out))
    new = seen(other)
    assert new.pop("new.txt")["tags"] == []
    assert new == seen(lyts)


def test_two_layouts_in_one_folder_are_two_names_of_the_same_files(lyts: Lyts, other: Lyts, out: Path) -> None:
    lyts.quick("export", "--layout", "flat", str(out))
    other.quick("import", str(out))
    assert len(other.json("find")) == 2
    assert seen(other) == seen(lyts)


def test_files_that_are_not_in_the_folder_are_named(lyts: Lyts, other: Lyts, out: Path) -> None:
    for path in out.rglob("a.txt"):
        path.unlink()
    done = other.quick("import", str(out), code=1)
    assert "a.txt: is not in the folder;" in done.err
    assert "had it when the table was made" in done.err
    lyts.quick("untag", "year=1959", "a.txt")
    assert "1 more was known without their bytes" in lyts.quick("import", str(out)).out
    assert seen(lyts)["a.txt"]["tags"] == ["x", "year=1959"]


def test_a_file_that_was_edited_in_the_folder_becomes_one_of_its_own(lyts: Lyts, out: Path) -> None:
    first = next(out.rglob("a.txt"))
    first.write_text("edited")
    done = lyts.quick("import", str(out))
    assert "is not what your library has under its id" in done.err
    assert sorted(one["tags"] for one in lyts.json("find", "name=a.txt")) == [["x", "year=1959"]] * 2  # type: ignore[type-var]
    assert {one["size_bytes"] for one in lyts.json("find", "name=a.txt")} == {5, 6}


def test_what_the_recovery_script_brought_out_comes_in(lyts: Lyts, other: Lyts, out: Path, tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "tagfs" / "recovery" / "scripts" / "recover.py"
    subprocess.run([sys.executable, script, tmp_path / "came out", lyts.store], check=True, capture_output=True)
    other.quick("import", str(tmp_path / "came out"))
    assert seen(other, "added") == seen(lyts, "added")


def test_a_folder_of_a_store_with_its_table_comes_in(lyts: Lyts, other: Lyts, out: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (path,) = (lyts.store / "sets").iterdir()
    shutil.copytree(path, folder)
    lines = [header().rstrip(b"\n")]
    for one in lyts.json("find"):
        place = os.path.relpath(str(one["path"]), path)
        row = Row(guid=one["guid"], name=one["name"], path=place, tags=tuple(one["tags"]), notes=one["notes"],
                  sha256=one["sha256"], size_bytes=one["size_bytes"], added=one["added"], modified=one["modified"],
                  from_folder=one["from"])  # fmt: skip
        lines.append(line(row).rstrip(b"\n"))
    (folder / "index.csv").write_bytes(b"\n".join(lines) + b"\n")
    (folder / "README.md").write_text("made by lyts")
    other.quick("import", str(folder))
    assert seen(other) == seen(lyts)


def test_a_table_that_leads_out_of_the_folder_is_not_followed(other: Lyts, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    folder = tmp_path / "trap"
    folder.mkdir()
    (folder / "link").symlink_to(secret)
    guid = "1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5"
    rows = ["../secret", str(secret), "link"]
    (folder / "lyts.csv").write_text(
        "guid,name,path,sha256\n" + "".join(f"{guid}{n},{n}.txt,{path},\n" for n, path in enumerate(rows))
    )
    done = other.quick("import", str(folder), code=1)
    assert other.names() == []
    assert all(f"{n}.txt: is not in the folder" in done.err for n in range(3))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("guid,name,path,sha256,tags\n,a.txt,a.txt,,50%\n", "line 2"),
        ("guid,name,path,sha256\n,a.txt\n", "line 2"),
        ('guid,name,path,sha256,more\n,a.txt,a.txt,,"[1]"\n', "line 2"),
        ("guid,name,path,sha256\n,\xff,a.txt,\n", "UTF-8"),
    ],
)
def test_a_table_that_is_broken_is_told(other: Lyts, tmp_path: Path, table: str, said: str) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "lyts.csv").write_bytes(table.encode("latin-1"))
    assert said in other.quick("import", str(folder), code=2).err


# -- other programs ----------------------------------------------------------------


def test_a_folder_that_was_tagged_in_dolphin(other: Lyts) -> None:
    paths = [other.file(f"Pictures/{name}") for name in ("a.jpg", "b.jpg")]
    try:
        os.setxattr(paths[0], "user.xdg.tags", b"holiday,Places/Rome")
        os.setxattr(paths[0], "user.xdg.comment", b"at the Tiber")
        os.setxattr(paths[0], "user.baloo.rating", b"8")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    done = other("import", "Pictures")
    assert done.out == "imported 2 files (28 B), with the tags in their attributes\n"
    found = seen(other)
    assert found["a.jpg"]["tags"] == ["Places", "Rome", "holiday", "rating=8"]
    assert found["a.jpg"]["notes"] == "at the Tiber"
    assert other.quick("import", "Pictures").out.endswith("2 were there already\n")
    shutil.copytree(other.files / "Pictures", other.files / "Copy")
    assert other.quick("import", "Copy").out.endswith("2 were there already\n")


TMSU = """
CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE file (
    id INTEGER PRIMARY KEY, directory TEXT NOT NULL, name TEXT NOT NULL, fingerprint TEXT NOT NULL,
    mod_time DATETIME NOT NULL, size INTEGER NOT NULL, is_dir BOOLEAN NOT NULL,
    CONSTRAINT con_file_path UNIQUE (directory, name)
);
CREATE TABLE value (id INTEGER PRIMARY KEY, name TEXT NOT NULL, CONSTRAINT con_value_name UNIQUE (name));
CREATE TABLE file_tag (
    file_id INTEGER NOT NULL, tag_id INTEGER NOT NULL, value_id INTEGER NOT NULL,
    PRIMARY KEY (file_id, tag_id, value_id)
);
CREATE TABLE implication (
    tag_id INTEGER NOT NULL, value_id INTEGER NOT NULL, implied_tag_id INTEGER NOT NULL,
    implied_value_id INTEGER NOT NULL, PRIMARY KEY (tag_id, value_id, implied_tag_id, implied_value_id)
);
CREATE TABLE query (text TEXT PRIMARY KEY);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE version (
    major NUMBER NOT NULL, minor NUMBER NOT NULL, patch NUMBER NOT NULL, revision NUMBER NOT NULL,
    PRIMARY KEY (major, minor, patch, revision)
);
INSERT INTO version VALUES (0, 7, 0, 1);
INSERT INTO tag VALUES (1, 'music'), (2, 'jazz'), (3, 'year'), (4, 'type'), (5, '-odd');
INSERT INTO value VALUES (1, '1959'), (2, 'song');
INSERT INTO implication VALUES (2, 0, 1, 0), (1, 0, 2, 0), (3, 1, 2, 0);
"""


def test_a_database_of_tmsu(other: Lyts, tmp_path: Path) -> None:
    import hashlib

    music = other.files / "Music"
    other.file("Music/a.flac")
    other.file("Music/Live/moved since.flac", "moved")
    other.file("Music/untagged.txt")
    outside = tmp_path / "outside.flac"
    outside.write_text("out")
    (music / ".tmsu").mkdir()
    moved = hashlib.sha256(b"moved").hexdigest()
    with sqlite3.connect(music / ".tmsu" / "db") as db:
        db.executescript(TMSU)
        db.executemany(
            "INSERT INTO file VALUES (?, ?, ?, ?, '2026-01-02 03:04:05', ?, ?)",
            [
                (1, ".", "a.flac", "", 12, 0),
                (2, "./Studio", "moved.flac", moved, 5, 0),
                (3, str(tmp_path), "outside.flac", "", 3, 0),
                (4, ".", "gone.flac", "", 3, 0),
                (5, ".", "Live", "", 3, 1),
            ],
        )
        db.executemany(
            "INSERT INTO file_tag VALUES (?, ?, ?)",
            [(1, 2, 0), (1, 3, 1), (1, 4, 2), (2, 2, 0), (3, 5, 0), (4, 1, 0), (5, 1, 0)],
        )
    db.close()
    before = sorted(path.name for path in (music / ".tmsu").iterdir())
    done = other("import", str(music), code=1)
    assert done.out == (
        "imported 3 files (20 B), with the tags that TMSU keeps of them; 1 was left out\n"
        "2 tags imply others as in TMSU\n"
    )
    found = seen(other)
    assert {name: one["tags"] for name, one in found.items()} == {
        "a.flac": ["jazz", "type_=song", "year=1959"],
        "moved since.flac": ["jazz"],
        "outside.flac": ["_-odd"],
    }
    assert other.names("music") == ["a.flac", "moved since.flac"]
    assert "gone.flac: TMSU knows it, and it is not there" in done.err
    assert "The tag type=song is called type_=song here" in done.err
    assert "Live: is a folder with the tags music" in done.err
    assert "music: implies jazz for TMSU, and not here" in done.err
    assert sorted(path.name for path in (music / ".tmsu").iterdir()) == before
    again = other.quick("import", str(music), code=1)
    assert "3 were there already" in again.out
    assert seen(other) == found


def test_a_database_that_is_none_is_told(other: Lyts) -> None:
    path = other.file("Music/.tmsu/db", b"SQLite format 3\0" + b"nonsense" * 100)
    assert "not a database of TMSU" in other.quick("import", os.path.dirname(os.path.dirname(path)), code=3).err


def test_dry_run_and_json(lyts: Lyts, other: Lyts, out: Path) -> None:
    done = other.quick("import", "--dry-run", str(out))
    assert "would import 2 files (14 B)" in done.out
    assert "x/a.txt  x,year=1959" in done.out
    assert other.names() == []
    assert {one["name"] for one in other.json("import", str(out))} == {"a.txt", "b.txt"}
    assert "there is no folder" in other.quick("import", str(out / "nowhere"), code=2).err
    assert "to take in a file: lyts add" in other.quick("import", str(next(out.rglob("a.txt"))), code=2).err


def test_a_store_is_no_folder_of_files(lyts: Lyts, other: Lyts, out: Path) -> None:
    done = other.quick("import", str(lyts.store), code=2)
    assert f"lyts --store {lyts.store} export DIR" in done.err


def test_what_is_too_long_to_be_kept_is_left_out_and_told(other: Lyts, tmp_path: Path) -> None:
    folder = tmp_path / "long"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    tags = ",".join(f"{number:0150}" for number in range(2_000))
    more = json.dumps({"xattr": {"user.a": "no base64", "user.b": "YQ==", "trusted.c": "YQ=="}, "also": [1, "\ud800"]})
    table = csv.writer(file := io.StringIO())
    table.writerow(["guid", "name", "path", "sha256", "tags", "notes", "from", "more"])
    table.writerow(["", "../a", "a.txt", "", tags, "n" * 300_000, "/f" * 3_000, more])
    (folder / "lyts.csv").write_text(file.getvalue())
    done = other.quick("import", str(folder))
    (one,) = other.json("find")
    assert (one["name"], len(one["tags"]), len(one["notes"])) == ("a.txt", 1_333, 256 << 10)
    for said in ("is no possible name", "too many tags", "notes are longer", "name that is too long"):
        assert said in done.err
