"""Looking after the store: fsck, doctor, reindex, migrate, versions; and a store that is busy, old or read-only."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command import START, Lyts
from tests.support.watching import IN_CLOSE_WRITE, Event, Watch


@pytest.fixture
def lyts(tmp_path: Path) -> Lyts:
    return Lyts(tmp_path)


@pytest.fixture
def songs(lyts: Lyts) -> Lyts:
    for name in "abc":
        lyts.file(f"{name}.flac")
    lyts.quick("add", "-t", "music", "a.flac", "b.flac", "c.flac")
    return lyts


# -- checks ------------------------------------------------------------------------


def test_fsck_of_a_sound_store(songs: Lyts) -> None:
    assert songs("fsck").out == "all is as it should be (3 files)\n"
    assert songs.quick("fsck", "--deep").out == "every byte was read; all is as it should be (3 files)\n"
    assert songs.json("fsck", "--deep") == []


def test_fsck_names_a_missing_and_a_damaged_file(songs: Lyts) -> None:
    first, second, _ = songs.json("find")
    os.unlink(first["path"])
    done = songs("fsck", code=1)
    assert first["guid"][:8] in done.out or first["path"] in done.out
    assert "not as" in done.err
    os.chmod(second["path"], 0o600)
    size = os.path.getsize(second["path"])
    with open(second["path"], "wb") as file:
        file.write(b"!" * size)
    shallow, deep = songs.json("fsck", code=1), songs.json("fsck", "--deep", code=1)
    assert len(deep) == len(shallow) + 1
    assert list(deep[0]) == ["kind", "where", "what", "hint"]


def test_doctor(songs: Lyts) -> None:
    done = songs("doctor")
    assert str(songs.store) in done.out
    assert list(songs.json("doctor")[0]) == ["level", "topic", "what", "hint"]
    assert {one["level"] for one in songs.json("doctor")} <= {"ok", "note"}


def test_doctor_without_a_store_says_so(lyts: Lyts) -> None:
    done = lyts("doctor", code=1)
    assert "PROBLEM" in done.out
    assert "lyts init" in done.out


def test_doctor_names_a_line_that_cannot_be_read(songs: Lyts) -> None:
    folder = songs.store / "ledgers" / "tablet"
    folder.mkdir()
    (folder / "20260101T000000.000Z-0000-aaaaaaaa.jsonl").write_text("garbage\n")
    assert songs.names("music") == ["a.flac", "b.flac", "c.flac"]
    assert "garbage" in songs.quick("doctor", code=None).out


# -- the index ---------------------------------------------------------------------


def test_reindex(songs: Lyts) -> None:
    before = songs.json("find")
    done = songs("reindex")
    assert done.out == "made the index again: 3 files\n"
    assert songs.json("find") == before
    songs.check()


def test_missing_index_is_made_again_and_said(songs: Lyts) -> None:
    shutil.rmtree(songs.store / "index")
    done = songs("find", "music")
    assert done.lines == ["a.flac", "b.flac", "c.flac"]
    assert "Making the index from the ledgers" in done.err
    assert songs("find", "music").err == ""


def test_torn_index_is_made_again(songs: Lyts) -> None:
    data = songs.store / "index" / "data.mdb"
    data.write_bytes(b"\0" * 4096)
    assert songs("find", "music").lines == ["a.flac", "b.flac", "c.flac"]


# -- busy, read-only, of another format ----------------------------------------------


def _tagging(lyts: Lyts) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen([*START, "tag", "jazz", "a.flac"], env=lyts.env, cwd=lyts.files, stdout=pipe, stderr=pipe)


def test_waiting_for_another_process_is_said(songs: Lyts) -> None:
    with open(songs.store / "lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = _tagging(songs)
        assert child.stderr is not None
        assert child.stderr.readline().startswith(b"Waiting for another lyts process")
        assert songs("find", "music").lines == ["a.flac", "b.flac", "c.flac"]  # looking waits for nobody
    out, _ = child.communicate(timeout=60)
    assert out == b"tagged 1 file with jazz\n"


def test_short_wait_says_nothing(songs: Lyts) -> None:
    watch = Watch(songs.store / "lock", IN_CLOSE_WRITE)
    with open(songs.store / "lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = _tagging(songs)
        refused = Event(IN_CLOSE_WRITE, "")  # it asked for the lock, did not get it, and is about to wait
        assert refused in watch.events(60, refused)
        fcntl.flock(lock, fcntl.LOCK_UN)
    watch.close()
    out, err = child.communicate(timeout=60)
    assert (out, err) == (b"tagged 1 file with jazz\n", b"")


def test_newer_format_is_refused_and_nothing_touched(songs: Lyts) -> None:
    toml = songs.store / "store.toml"
    toml.write_text(toml.read_text().replace("format = 1", "format = 99"))
    before = sorted((path, path.stat().st_mtime_ns) for path in songs.store.rglob("*"))
    for words in (("find",), ("tag", "x", "a.flac"), ("migrate",), ("fsck",), ("add", "a.flac"), ("reindex",)):
        done = songs(*words, code=3)
        assert "format 99" in done.err
        assert "update lyts" in done.err
    assert sorted((path, path.stat().st_mtime_ns) for path in songs.store.rglob("*")) == before


def test_migrate_has_nothing_to_do(songs: Lyts) -> None:
    assert "nothing to do" in songs("migrate").out
    assert "nothing to do" in songs.quick("migrate", "--dry-run").out
    assert "lyts init" in songs("--store", str(songs.home / "none"), "migrate", code=3).err


def test_damaged_store_toml_is_said(songs: Lyts) -> None:
    (songs.store / "store.toml").write_text("format = [\n")
    done = songs("find", code=3)
    assert "store.toml is damaged" in done.err


@pytest.mark.needs_root
def test_store_on_a_read_only_medium_can_be_looked_at(songs: Lyts) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    medium = songs.home / "medium"
    medium.mkdir()
    if subprocess.run(["mount", "--bind", songs.store, medium], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        if subprocess.run(["mount", "-o", "remount,ro,bind", medium], capture_output=True, check=False).returncode:
            pytest.skip("mounting read-only is not allowed here")
        songs.env["LYTS_STORE"] = str(medium)
        assert songs("find", "music").lines == ["a.flac", "b.flac", "c.flac"]
        assert songs("tags").out == "3  music\n"
        for words in (("tag", "x", "a.flac"), ("rm", "a.flac"), ("undo",), ("reindex",), ("add", "a.flac")):
            assert "read-only" in songs(*words, code=3).err
    finally:
        subprocess.run(["umount", medium], check=True)


# -- versions ------------------------------------------------------------------------


def test_versions_of_a_file_with_one_content(songs: Lyts) -> None:
    sha256 = songs.json("find")[0]["sha256"]
    assert songs("versions", "a.flac").lines[0].startswith(sha256[:8])
    (one,) = songs.json("versions", "a.flac")
    assert list(one) == ["sha256", "size_bytes", "modified", "stated", "node", "current", "path"]
    assert one["current"] is True
    assert "current one already" in songs.quick("versions", "a.flac", "--bring-back", sha256[:10], code=2).err


def test_earlier_version_is_brought_back(songs: Lyts) -> None:
    from hashlib import sha256

    from tagfs.fact import Content, time_text
    from tagfs.store import Store
    from tagfs.verbs.versions import kept_version

    one = songs.json("find")[0]
    new = b"other bytes"
    with Store(str(songs.store)) as store:
        # What the mount will do when a program writes: keep the old bytes, put the new in place, say so.
        keep = kept_version(store.layout, one["guid"], one["sha256"])
        os.makedirs(os.path.dirname(keep), mode=0o700)
        os.rename(one["path"], keep)
        Path(one["path"]).write_bytes(new)
        content = Content(
            sha256=sha256(new).hexdigest(), size_bytes=len(new), modified=time_text(10**18), was=one["sha256"]
        )
        store.act(lambda change: change.about_file(one["guid"], content=content) and None)
    assert [version["current"] for version in songs.json("versions", "a.flac")] == [True, False]
    assert songs.quick("versions", "a.flac").lines[1].endswith("kept here")
    assert songs("versions", "a.flac", "--bring-back", one["sha256"][:8]).out == (
        f"a.flac has its contents {one['sha256'][:8]} again\n"
    )
    assert Path(one["path"]).read_bytes() == b"a.flac"
    songs.check()


def test_versions_trim_says_what_it_let_go_and_takes_nothing_else(songs: Lyts) -> None:
    assert "No earlier content is past its time." in songs.quick("versions", "--trim", code=1).err
    for words in (
        (),
        ("a.flac", "--trim"),
        ("a.flac", "--dry-run"),
        ("--trim", "--json"),
        ("--trim", "--bring-back", "1"),
    ):
        assert "give a file, or --trim alone" in songs.quick("versions", *words, code=2).err
