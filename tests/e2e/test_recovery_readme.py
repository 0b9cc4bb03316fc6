"""`lyts readme`, and what a person does who has found a disk and knows nothing but its README.

The commands that it prints are typed as printed, in a world of nothing but busybox: no lyts, no
Python of ours, no network. What only Python can do is typed where there is Python and nothing else.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.mount import point
from tests.support.command import Lyts
from tests.support.library import Library
from tests.support.pages import data_of, generated, manifest_of, open_by_name
from tests.support.recovering import tree
from tests.support.syncthing import real_program, until

SETTINGS = '[readme]\ncontact = "My sister Eva, 030 1234567"\n'


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[Lyts]:
    """A small library, explained."""
    lyts = Lyts(tmp_path / "ada")
    (lyts.home / ".config" / "lyts").mkdir(parents=True)
    (lyts.home / ".config" / "lyts" / "config.toml").write_text(SETTINGS)
    lyts.quick("add", "-t", "rome,year=2019", lyts.file("Holiday in Rome.jpg", "rome " * 300))
    lyts.quick("add", "-t", "music", lyts.file("So What.flac", "what"), lyts.file("Grüße & Küsse.txt", "xx"))
    lyts.quick("readme")
    yield lyts
    lyts.check()


def printed_commands(readme: Path) -> list[str]:
    """The commands that a README prints, each as it is to be typed."""
    return re.findall(r"^ {4}(\S.*)$", readme.read_text(encoding="utf-8"), flags=re.MULTILINE)


CHROOT = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin") or "chroot"


class BareRoot:
    """A file system with busybox and a found disk in it, and nothing else."""

    def __init__(self, folder: Path, found: Path) -> None:
        busybox = shutil.which("busybox")
        if busybox is None or os.geteuid() != 0:
            pytest.skip("NOT TESTED: needs root and busybox (apt-get install busybox-static)")
        linked = subprocess.run(["ldd", busybox], capture_output=True, text=True, check=False).stdout
        self.folder = folder
        for name in ("bin", "root", "tmp", "disk", "dev"):
            (folder / name).mkdir(parents=True)
        shutil.copy(busybox, folder / "bin" / "busybox")
        for library in re.findall(r"(/\S+\.so\S*)", linked):
            target = folder / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
        for applet in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
            if not (folder / "bin" / applet).exists():
                os.symlink("busybox", folder / "bin" / applet)
        (folder / "dev" / "null").touch()
        shutil.copytree(found, folder / "disk", dirs_exist_ok=True, symlinks=True)

    def type(self, command: str) -> str:
        """What a person sees who types this in the folder of the disk."""
        done = subprocess.run(
            [CHROOT, self.folder, "/bin/sh", "-c", f"cd /disk && {command}"],
            capture_output=True, text=True, check=False, timeout=120,
            env={"PATH": "/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert done.returncode == 0, (command, done)
        return done.stdout + done.stderr


@pytest.mark.needs_root
@pytest.mark.parametrize("part", ["", "sets/*"])
def test_each_command_of_the_readme_does_as_printed_in_a_bare_root(ada: Lyts, tmp_path: Path, part: str) -> None:
    (found,) = ada.store.glob(part) if part else [ada.store]
    bare = BareRoot(tmp_path / "bare", found)
    before = tree(bare.folder / "disk")
    commands = printed_commands(found / "README.md")
    assert [command.split()[0] for command in commands] == ["sh", "python3", "sha256sum"]
    for command in commands:
        if command.startswith("python3 "):
            continue  # as the README says: where there is Python; below
        said = bare.type(command)
        if command.startswith("sha256sum"):
            assert said.splitlines() == [f"{path}: OK" for path in manifest_of(found)]
    out = bare.folder / "root" / "recovered-files" / "files"
    assert (out / "rome" / "Holiday in Rome.jpg").read_text() == "rome " * 300
    assert (out / "music" / "Grüße & Küsse.txt").read_text() == "xx"
    assert "Nothing is missing." in (out.parent / "REPORT.txt").read_text()  # which the README says to read first
    assert tree(bare.folder / "disk") == before


@pytest.mark.parametrize("part", ["", "sets/*"])
def test_the_command_for_python_does_as_printed_without_anything_of_ours(ada: Lyts, tmp_path: Path, part: str) -> None:
    (found,) = ada.store.glob(part) if part else [ada.store]
    disk = tmp_path / "disk"
    shutil.copytree(found, disk)
    before = tree(disk)
    (command,) = [one for one in printed_commands(disk / "README.md") if one.startswith("python3 ")]
    programs = tmp_path / "bin"
    programs.mkdir()
    # Isolated: neither this checkout nor anything that was installed.
    (programs / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    (programs / "python3").chmod(0o755)
    env = {"PATH": f"{programs}:{os.defpath}", "HOME": str(tmp_path / "home"), "LC_ALL": "C.UTF-8"}
    subprocess.run(["sh", "-c", command], cwd=disk, env=env, check=True, capture_output=True, timeout=120)
    out = tmp_path / "home" / "recovered-files"
    assert (out / "files" / "rome" / "Holiday in Rome.jpg").read_text() == "rome " * 300
    assert not (out / "nameless").exists()
    assert tree(disk) == before


def test_who_reads_only_the_readme_finds_and_opens_a_named_file(ada: Lyts) -> None:
    """The files that it names are there, and following what it says leads to the file."""
    for found in (ada.store, *ada.store.glob("sets/*")):
        text = (found / "README.md").read_text(encoding="utf-8")
        first_steps = text.partition("## Look at the files")[2].partition("\n## ")[0]
        assert "`index.html` in this folder" in first_steps
        for name in re.findall(r"`([\w.-]+)`", text):
            if name not in ("recovered-files", "OK", "ledgers", "sets", "index", "text", "scratch", "keep"):
                assert (found / name).exists(), name
        assert open_by_name(found, "Grüße & Küsse.txt").read_text() == "xx"
        assert "> My sister Eva, 030 1234567" in text


def test_the_command_says_what_it_made_and_whom_to_ask_is_missing(tmp_path: Path) -> None:
    lyts = Lyts(tmp_path / "bob")
    lyts.quick("add", lyts.file("a.txt"))
    (would, *paths) = lyts.quick("readme", "--dry-run").lines
    assert would == f"{lyts.store}: 8 files would be written, 0 as before"
    assert "  README.md" in paths
    assert not (lyts.store / "README.md").exists()
    made = lyts.quick("readme")
    label = next(lyts.store.glob("sets/*")).name
    assert made.lines == [
        f"{lyts.store}: 8 files written, 0 as before",
        f"{lyts.store}/sets/{label}: 8 files written, 0 as before",
    ]
    assert 'contact = "My sister Eva, 030 1234567"' in made.err
    again = lyts.json("readme")
    assert again == [
        {"folder": f"{lyts.store}/", "written": [], "removed": []},
        {"folder": f"{lyts.store}/sets/{label}", "written": [], "removed": []},
    ]
    (remark,) = [one for one in lyts.json("doctor", code=None) if one["topic"] == "readme"]
    assert remark["level"] == "ok"
    (lyts.store / "index.html").unlink()
    (remark,) = [one for one in lyts.json("doctor", code=None) if one["topic"] == "readme"]
    assert (remark["level"], remark["hint"]) == ("note", "to make them: lyts readme")
    lyts.check()


def test_settings_that_cannot_be_understood_are_said_and_the_pages_made(ada: Lyts) -> None:
    (ada.home / ".config" / "lyts" / "config.toml").write_text("[readme]\ncontact = 3\n")
    found = ada.quick("readme", code=3)
    assert "contact in [readme] is to be a text" in found.err
    assert "Nothing was written down here" in (ada.store / "README.md").read_text()
    (remark,) = [one for one in ada.json("doctor", code=None) if one["topic"] == "readme" and one["level"] == "problem"]
    assert "contact" in remark["what"]


def test_a_command_that_changed_something_has_the_pages_made_behind_it(tmp_path: Path) -> None:
    """A process of its own goes on; it ends when nothing is left to do, or when it is told to."""
    lyts = Lyts(tmp_path / "eve")
    del lyts.env["LYTS_BACKGROUND"]
    lyts("add", "-t", "letters", lyts.file("letter.txt"))
    note = lyts.store / "scratch" / "readme" / ".process"
    until(lambda: (lyts.store / "README.md").exists() and next(lyts.store.glob("sets/*/README.md"), None), "pages")
    pid = int(note.read_text().split()[0])
    try:
        # While it waits nothing of the store is open, so that its disk can be taken away.
        until(lambda: not _open_below(pid, lyts.store), "nothing is open")
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert os.getpriority(os.PRIO_PROCESS, pid) == 19
        # Another change starts no other.
        lyts("tag", "rome", "letter.txt")
        assert int(note.read_text().split()[0]) == pid
    finally:
        end_background(lyts.store)
    lyts("find", "letters")
    assert not note.exists(), "who only looks starts nothing"
    assert open_by_name(lyts.store, "letter.txt").read_text() == "letter.txt"
    lyts.check()


def _open_below(pid: int, folder: Path) -> list[str]:
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            path = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        if path.startswith(str(folder)):
            found.append(path)
    return found


def end_background(store: Path) -> None:
    """End the process that makes the pages of a store, if there is one."""
    note = store / "scratch" / "readme" / ".process"
    try:
        pid = int(note.read_text().split()[0])
        os.kill(pid, 15)
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return
    until(lambda: not note.exists(), "it has ended")


def test_a_mount_has_the_pages_made_behind_it(tmp_path: Path) -> None:
    missing = point.missing()
    if missing:
        pytest.skip(f"NOT TESTED: {missing[0][0]}")
    lyts = Lyts(tmp_path / "eve")
    lyts("init")
    del lyts.env["LYTS_BACKGROUND"]
    where = tmp_path / "mounted"
    lyts("mount", str(where))
    try:
        until((lyts.store / "README.md").exists, "the mount has looked")
        (where / "tags" / "letters").mkdir()
        (where / "tags" / "letters" / "letter.txt").write_text("Dear")
    finally:
        lyts("umount", str(where))
        end_background(lyts.store)
    lyts.check()


def test_recovery_14_pages_made_on_two_nodes_make_no_conflict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of a set travel to its other device; both make what is theirs, again and again."""
    real_program()
    monkeypatch.delenv("LYTS_BACKGROUND")
    with Library(tmp_path, ["laptop", "tablet"]) as library:
        until(lambda: all((node.root / "README.md").exists() for node in library), "the daemons have looked")
        laptop, tablet = library
        guid = laptop.add("song.txt", b"la la", "music")
        laptop.wish(guid, tablet=True)
        library.until_placed(guid, "laptop", "tablet")
        folders = [node.root / "sets" / "laptop+tablet" for node in library]
        for turn in range(2):
            for node in library:
                node.lyts("readme")
            until(lambda: generated(folders[0]) and generated(folders[0]) == generated(folders[1]), "the same pages")
            tablet.lyts("tag", f"turn{turn}", guid)
            until(lambda turn=turn: f"turn{turn}" in laptop.lyts("show", guid), "the tag is there")
        for node in library:
            node.lyts("readme")
        until(
            lambda: (
                all("turn1" in data.get("index.csv", b"").decode() for data in map(generated, folders))
                and generated(folders[0]) == generated(folders[1])
            ),
            "the same pages at last",
        )
        for folder in folders:
            assert not [path for path in folder.rglob("*") if "sync-conflict" in path.name]
            assert manifest_of(folder) == data_of(folder)
            assert open_by_name(folder, "song.txt").read_bytes() == b"la la"
        for node in library:
            node.stop_daemon()
            end_background(node.root)
