"""`search/WORDS/` in a mount: files found by the words in them, for any program."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.mounting import Mounting, eventually


def test_words_are_a_directory_of_the_files_that_have_them(mount: Mounting, folder: Path) -> None:
    (folder / "letter.txt").write_text("dear aunt, the apples are ripe")
    (folder / "list.md").write_text("- apples\n- pears")
    (folder / "other.txt").write_text("nothing")
    assert mount.ls("search/apples") == ["letter.txt", "list.md"]
    assert mount.ls("search/apples -pears") == ["letter.txt"]
    assert mount.ls('search/"the apples"') == ["letter.txt"]
    assert (mount / "search/AUNT/letter.txt").read_text() == "dear aunt, the apples are ripe"  # without listing it
    assert mount.ls("search/zebra") == []
    assert not (mount / "search/pears/letter.txt").exists()


def test_a_directory_of_words_follows_what_is_written_and_removed(mount: Mounting, folder: Path) -> None:
    (folder / "a.txt").write_text("apples")
    assert mount.ls("search/apples") == ["a.txt"]
    (folder / "b.txt").write_text("apples too")
    eventually(lambda: mount.ls("search/apples") == ["a.txt", "b.txt"])
    (mount / "all/a.txt").unlink()
    eventually(lambda: mount.ls("search/apples") == ["b.txt"])
    mount.lyts.quick("undo")
    eventually(lambda: mount.ls("search/apples") == ["a.txt", "b.txt"])


def test_others_are_answered_while_a_search_is_under_way(mount: Mounting, folder: Path) -> None:
    """The process that searches is held by the lock of the full text; what looks elsewhere goes on."""
    import fcntl
    import threading

    (folder / "a.txt").write_text("apples")
    assert mount.ls("search/apples") == ["a.txt"]
    with open(mount.lyts.store / "text.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "b.txt").write_text("pears")
        found: list[list[str]] = []
        looking = threading.Thread(target=lambda: found.append(mount.ls("search/pears")))
        looking.start()
        assert mount.ls("all") == ["a.txt", "b.txt"]
        looking.join()
    # Somebody else was reading what is new, so the answer is from before; the next one has it.
    eventually(lambda: mount.ls("search/pears") == ["b.txt"], 60)


def test_a_full_text_that_is_deleted_under_a_mount_is_made_again(mount: Mounting, folder: Path) -> None:
    import shutil

    (folder / "a.txt").write_text("apples")
    assert mount.ls("search/apples") == ["a.txt"]
    shutil.rmtree(mount.lyts.store / "text")
    (folder / "b.txt").write_text("more apples")
    eventually(lambda: mount.ls("search/apples") == ["a.txt", "b.txt"])


def test_a_query_of_blanks_and_signs_is_an_empty_directory(mount: Mounting) -> None:
    for name in ("---", '"', " ", "x" * 255, "-only"):
        assert os.listdir(mount / "search" / name) == []
