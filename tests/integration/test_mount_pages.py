"""Giving back the pages of the index that were looked at."""

from __future__ import annotations

from pathlib import Path

from tagfs.index.read import View
from tagfs.mount.pages import unmap
from tagfs.term import ALL_TERM
from tests.support.stores import add_files, make_store


def mapped_kib(inode: int) -> int:
    """How much of a file this process has mapped."""
    found = 0
    counts = False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if not fields[0].endswith(":"):
            counts = fields[4] == str(inode)
        elif counts and fields[0] == "Rss:":
            found += int(fields[1])
    return found


def names_of_all(view: View) -> list[bytes]:
    return view.names(view.posting(ALL_TERM))


def test_pages_given_back_are_mapped_no_more_and_read_again_also_amid_a_look(tmp_path: Path) -> None:
    with make_store(tmp_path / "store") as store:
        wanted = [f"{number:05d}" + "x" * 200 for number in range(3_000)]
        add_files(store, *wanted)
        with store.view() as view:
            names_of_all(view)
            before = mapped_kib(view.index.inode)
            assert before >= 600  # the names alone
            unmap(view.index)
            assert mapped_kib(view.index.inode) < before // 4
            assert [name.decode() for name in names_of_all(view)] == wanted
        add_files(store, "one more")
        unmap(store.open_index())
        with store.view() as view:
            assert len(names_of_all(view)) == 3_001
