"""`lyts add` with real files: what it takes in, and what it refuses and why."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import START, Lyts, Result

ROOT = Path(__file__).resolve().parents[2]
ADD_KEYS = {"guid", "name", "source", "size_bytes", "tags", "known", "same_bytes_as"}


@pytest.fixture
def lyts(tmp_path: Path) -> Iterator[Lyts]:
    made = Lyts(tmp_path)
    yield made
    made.check()


def test_add_makes_a_store_and_says_so(lyts: Lyts) -> None:
    path = lyts.file("Blue Kitchen.flac", "la la")
    done = lyts("add", "-t", "music,year=1959", "-t", "jazz", path)
    assert done.out == "added 1 file (5 B)\n"
    assert f"Made a store in {lyts.store}" in done.err
    assert lyts.quick("show", "tags", "Blue Kitchen.flac").lines == ["jazz", "music", "year=1959"]
    assert Path(path).read_text() == "la la"
    (one,) = lyts.json("find")
    assert Path(one["path"]).read_text() == "la la"
    assert one["from"] == str(lyts.files)
    for folder, names, files in os.walk(lyts.store):
        for name in [*names, *files]:
            mode = os.lstat(os.path.join(folder, name)).st_mode
            assert not mode & 0o077, (folder, name, oct(mode))


def test_init_says_where_and_what_next(lyts: Lyts) -> None:
    done = lyts("init", "--alias", "Ada's laptop")
    assert str(lyts.store) in done.out
    assert "Ada's laptop" in done.out
    assert "lyts add" in done.out
    assert not lyts.store.stat().st_mode & 0o077


def test_adding_again_changes_nothing(lyts: Lyts) -> None:
    lyts.file("a.flac")
    lyts.quick("add", "-t", "music", "a.flac")
    assert lyts.quick("add", "-t", "music", "a.flac").out == "1 was there already\n"
    assert lyts.quick("add", "-t", "jazz", "a.flac").out == "1 was there already, and got new tags\n"
    assert lyts.names("music+jazz") == ["a.flac"]


def test_duplicates_by_content_are_reported(lyts: Lyts) -> None:
    lyts.file("one.txt", "same")
    lyts.file("two.txt", "same")
    done = lyts.quick("add", "one.txt", "two.txt")
    assert done.out == "added 2 files (8 B)\n"
    assert "two.txt has the same bytes as one.txt" in done.err
    assert "lyts find --duplicates" in done.err


def test_folder_names_become_tags(lyts: Lyts) -> None:
    lyts.file("Music/Jazz/1959/a.flac")
    lyts.file("Music/b.flac")
    done = lyts.quick("add", "--dir-tags", "Music")
    assert done.out == "added 2 files (34 B)\n"
    assert lyts.names("Music+Jazz+1959") == ["a.flac"]
    assert lyts.names("Music") == ["a.flac", "b.flac"]


def test_move_removes_the_original_once_it_is_safe(lyts: Lyts) -> None:
    path = lyts.file("a.flac", "bytes")
    lyts.quick("add", "--move", path)
    assert not os.path.exists(path)
    (one,) = lyts.json("find")
    assert Path(one["path"]).read_text() == "bytes"


def test_dry_run_touches_nothing(lyts: Lyts) -> None:
    lyts.file("Music/a.flac", "12345")
    done = lyts.quick("add", "--dry-run", "--dir-tags", "-t", "x", "Music")
    assert "Music/a.flac  x,Music" in done.out
    assert "would add 1 file (5 B)" in done.out
    assert str(lyts.store) in done.err
    assert not lyts.store.exists()
    lyts.quick("init")
    assert "would add 1 file (5 B)" in lyts.quick("add", "--dry-run", "--move", "Music").out
    assert os.path.exists(lyts.files / "Music" / "a.flac")
    assert lyts.names() == []


def test_json_of_add(lyts: Lyts) -> None:
    path = lyts.file("a.flac", "12")
    lyts.file("b.flac", "12")
    (planned,) = lyts.json("add", "--dry-run", path)
    assert planned["guid"] is None
    first, second = lyts.json("add", path, "b.flac", "-t", "artist=AC%2FDC")
    assert set(first) == set(second) == set(planned) == ADD_KEYS
    assert first["tags"] == ["artist=AC/DC"]
    assert first["source"] == path
    assert second["same_bytes_as"] == [first["guid"]]
    (again,) = lyts.json("add", path)
    assert again["known"] is True
    assert again["guid"] == first["guid"]


def test_tags_of_other_programs_are_taken_over(lyts: Lyts) -> None:
    path = lyts.file("a.jpg")
    try:
        os.setxattr(path, "user.xdg.tags", b"holiday,Rome")
        os.setxattr(path, "user.xdg.comment", b"at the Tiber")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    lyts.quick("add", path)
    assert lyts.quick("show", "tags", "a.jpg").lines == ["Rome", "holiday"]
    assert lyts.quick("show", "notes", "a.jpg").out == "at the Tiber\n"


# -- what is refused ---------------------------------------------------------------


def problems(lyts: Lyts, *words: str | bytes, **options: object) -> dict[str, str]:
    """Add, with a good file besides; what was said of each path. The good one must have gone in."""
    lyts.file("good.txt", "good")
    done = lyts("add", *words, "good.txt", code=1, **options)  # type: ignore[arg-type]
    assert "added 1 file" in done.out
    assert "left out" in done.out
    assert lyts.names() == ["good.txt"]
    lines = [line for line in done.err.splitlines() if ": " in line and not line.startswith("Made a store")]
    return dict(line.split(": ", 1) for line in lines)


def test_what_is_no_file_is_named_and_the_rest_goes_on(lyts: Lyts) -> None:
    os.mkfifo(lyts.files / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        # Addresses of sockets are short: the way there is relative.
        before = os.getcwd()
        os.chdir(lyts.files)
        try:
            server.bind("socket")
        finally:
            os.chdir(before)
        (lyts.files / "dangling").symlink_to("nowhere")
        said = problems(lyts, "pipe", "socket", "dangling", "missing", "/dev/null", "good.txt/below")
    assert said == {
        "pipe": "is a pipe, not a file",
        "socket": "is a socket, not a file",
        "dangling": "is a symbolic link that leads nowhere",
        "missing": "there is no such file",
        "/dev/null": "is a device, not a file",
        "good.txt/below": "there is no such file",
    }


def test_what_is_no_file_within_a_folder_is_named_too(lyts: Lyts) -> None:
    lyts.file("Folder/inside.txt")
    os.mkfifo(lyts.files / "Folder" / "pipe")
    (lyts.files / "Folder" / "link").symlink_to("inside.txt")
    (lyts.files / "Folder" / "loop").symlink_to(".")
    done = lyts("add", "Folder", code=1)
    assert done.out == "added 1 file (17 B); 3 were left out\n"
    assert "Folder/pipe: is a pipe, not a file" in done.err
    assert "Folder/link: is a symbolic link; add the file it leads to instead" in done.err
    assert "Folder/loop: is a symbolic link" in done.err


def test_store_itself_and_what_is_in_it_are_refused(lyts: Lyts) -> None:
    lyts.quick("init")
    said = problems(lyts, str(lyts.store), str(lyts.store / "sets"), str(lyts.store / "store.toml"))
    assert set(said) == {str(lyts.store), str(lyts.store / "sets"), str(lyts.store / "store.toml")}
    assert set(said.values()) == {
        "is the lyts store itself; its files are in the library already (lyts fsck names what is not)"
    }


def test_store_is_left_out_when_a_folder_around_it_is_added(lyts: Lyts) -> None:
    lyts.quick("init")
    lyts.file("a.txt")
    (lyts.files / "shortcut").symlink_to(lyts.store)
    done = lyts.quick("add", str(lyts.home / "files"), str(lyts.store.parent), code=1)
    assert f"{lyts.store}: is the lyts store itself" in done.err
    assert not [one for one in lyts.json("find") if one["from"].startswith(str(lyts.store))]


@pytest.mark.needs_root
def test_unreadable_file_and_folder_are_named() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become someone else")
    nobody = 65534
    with tempfile.TemporaryDirectory(prefix="lyts-nobody-") as folder:
        lyts = Lyts(Path(folder))
        lyts.file("secret.txt")
        lyts.file("closed/inside.txt")
        lyts.file("good.txt", "good")
        lyts.quick("--store", f"{folder}/other", "add", "good.txt", "missing", code=1)  # imports what that needs
        for path in (lyts.home, lyts.files, *lyts.files.iterdir()):
            os.chown(path, nobody, nobody)
        os.chmod(lyts.files / "secret.txt", 0)
        os.chmod(lyts.files / "closed", 0)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:  # pragma: no cover - the other process
            # Not a new program: nobody might not even be allowed to start this Python.
            try:
                os.setgroups([])
                os.setgid(nobody)
                os.setuid(nobody)
                os.write(write, repr(tuple(lyts.quick("add", "secret.txt", "closed", "good.txt", code=None))).encode())
            finally:
                os._exit(0)
        os.close(write)
        with open(read, "rb") as file:
            done = Result(*ast.literal_eval(file.read().decode()))
        os.waitpid(pid, 0)
        assert done.code == 1, done
        assert "secret.txt: you may not read it" in done.err
        assert "closed: cannot be read (Permission denied)" in done.err
        assert done.out == "added 1 file (4 B); 2 were left out\n"
        lyts.check()


def test_file_that_changes_while_it_is_read_is_refused(lyts: Lyts, monkeypatch: pytest.MonkeyPatch) -> None:
    lyts.quick("init")
    path = lyts.file("growing.log", b"x" * (4 << 20))
    lyts.file("good.txt", "good")

    writes = iter(range(50))  # an end, so that a reader that never gives up fails this test instead of hanging

    def another_program_writes(progress: object, text: str) -> None:
        if text.endswith("growing.log") and next(writes, None) is not None:
            with open(path, "ab") as file:
                file.write(b"more")

    # Called after each piece that is read: the write surely falls between.
    monkeypatch.setattr("shell.output.Progress.show", another_program_writes)
    done = lyts.quick("add", "growing.log", "good.txt", code=1)
    assert "growing.log: it changed while it was being read" in done.err
    assert done.out == "added 1 file (4 B); 1 was left out\n"
    assert lyts.names() == ["good.txt"]
    assert set(os.listdir(lyts.store / "scratch")) <= {"CACHEDIR.TAG", "reserve"}


def test_name_that_is_no_utf8_is_taken_in_and_remarked(lyts: Lyts) -> None:
    raw = lyts.file(b"caf\xe9.txt", b"1")
    done = lyts("add", os.fsencode(raw))
    assert done.out == "added 1 file (1 B)\n"
    assert "caf\\xe9.txt: its name is not UTF-8" in done.err
    assert lyts.names() == ["caf\N{REPLACEMENT CHARACTER}.txt"]
    # The path it was added from still leads to it.
    assert lyts("tag", "x", os.fsencode(raw)).out == "tagged 1 file with x\n"


def test_unusual_names_are_taken_in(lyts: Lyts) -> None:
    names = [
        "n" * 251 + ".txt",
        "line\nbreak.txt",
        "tab\there.txt",
        "\u202egpj.exe",
        "-rf",
        " leading blank",
        "e\u0301.txt",
        "\x1b[31mred.txt",
        "back\\slash",
        '"quoted"',
        "日本語.txt",
    ]
    for number, name in enumerate(names):
        lyts.file(name, str(number))
    lyts("add", str(lyts.files))
    found = {one["name"] for one in lyts.json("find")}
    assert found == {name.replace("e\u0301", "\N{LATIN SMALL LETTER E WITH ACUTE}") for name in names}
    assert len(lyts("find").lines) == len(names)
    assert lyts("find", "-0").out.split("\0")[:-1] == [one["name"] for one in lyts.json("find")]


def test_option_like_name_needs_two_dashes_or_a_path(lyts: Lyts) -> None:
    lyts.file("-t")
    lyts("add", "--", "-t")
    assert lyts.names() == ["-t"]


def test_empty_path_is_refused(lyts: Lyts) -> None:
    assert "empty text" in lyts.quick("add", "", code=2).err
    assert not lyts.store.exists()


def test_bad_tag_stops_before_anything_is_taken_in(lyts: Lyts) -> None:
    lyts.file("a.txt")
    assert "cannot be a tag" in lyts.quick("add", "-t", "ok,size=3", "a.txt", code=2).err
    assert not lyts.store.exists()


def test_two_at_once_take_every_file_in_once(lyts: Lyts) -> None:
    lyts.quick("init")
    for number in range(40):
        lyts.file(f"{number:02}.txt", str(number))
    pipe = subprocess.PIPE
    runs = [
        subprocess.Popen([*START, "add", "."], env=lyts.env, cwd=lyts.files, stdout=pipe, stderr=pipe) for _ in "123"
    ]
    for one in runs:
        _, err = one.communicate(timeout=120)
        assert one.returncode == 0, err
    assert lyts.names() == [f"{number:02}.txt" for number in range(40)]


def test_progress_is_shown_on_a_terminal_only(lyts: Lyts) -> None:
    lyts.quick("init")
    lyts.file("big.bin", os.urandom(1 << 16) * 1600)
    seen = lyts.terminal("add", "big.bin")
    assert seen.code == 0
    assert seen.out.endswith("added 1 file (105 MB)\n")
    lyts.file("big2.bin", os.urandom(1 << 16) * 1600)
    assert lyts("add", "big2.bin").err == ""


@pytest.mark.needs_root
def test_add_on_a_disk_that_fills_up_keeps_what_fitted_and_says_so(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=14m", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        for number in range(9):
            (tmp_path / f"{number}.bin").write_bytes(bytes([number]) * 1_500_000)
        command = [sys.executable, "-m", "shell"]
        env = {**os.environ, "LYTS_STORE": str(disk / "store"), "PYTHONPATH": str(ROOT)}

        def lyts(*words: object) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*command, *map(str, words)], env=env, capture_output=True, text=True, check=False, cwd=tmp_path
            )

        done = lyts("add", "-t", "big", *sorted(tmp_path.glob("*.bin")))
        assert done.returncode == 3
        assert "no space left" in done.stderr
        kept = int(lyts("find", "--count", "big").stdout)
        assert f"added {kept} files" in done.stderr + done.stdout
        assert kept >= 4
        assert lyts("fsck", "--deep").returncode == 0
        assert lyts("rm", "-q", "big", "--yes").returncode == 0
        assert lyts("trash", "empty", "--yes").returncode == 0
        assert lyts("add", "-t", "big", *sorted(tmp_path.glob("[0-3].bin"))).returncode == 0
        assert lyts("fsck", "--deep").returncode == 0
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


# -- tags out of the files themselves ----------------------------------------------

DEMO = ROOT / "tests" / "data" / "demo"


def test_auto_takes_tags_out_of_files_as_they_come_in_and_names_what_is_broken(lyts: Lyts) -> None:
    broken = lyts.file("broken.pdf", "%PDF-1.7 nonsense")
    tulips = str(DEMO / "Pictures" / "2021 Garden" / "First tulips.jpg")
    planned = lyts("add", "--auto", "--dry-run", "-t", "date=2000", tulips)
    assert "First tulips.jpg  date=2000,camera=Drawn by make_demo.py\n" in planned.out
    done = lyts("add", "--auto", "-t", "date=2000", tulips, broken)
    assert done.out.startswith("added 2 files")
    assert "1 file could not be looked into for tags: broken.pdf (" in done.err
    assert lyts.quick("show", "tags", "First tulips.jpg").lines == ["camera=Drawn by make_demo.py", "date=2000"]


def test_auto_over_what_is_there(lyts: Lyts) -> None:
    lyts.quick("add", "-t", "music", str(DEMO / "Music"))
    assert "year=1959" in lyts.quick("tag", "--auto", "--dry-run", "Blue Kitchen.flac").out
    assert lyts.names("year=1959") == []
    assert lyts.quick("tag", "--auto", "-q", "music").out == "tagged 5 files (artist 5, year 5)\n"
    assert lyts.quick("tag", "--auto", "-q", "music").out == "tagged 0 files; looked into 5 files\n"
    assert lyts.names("year=1959") == ["Blue Kitchen.flac", "Ferry in the Rain.mp3"]
    lyts.quick("undo")
    assert "no tag" in lyts.quick("find", "year=1959", code=1).err
    assert "missing" in lyts.quick("tag", code=2).err
