"""Who may know a file, by command: real stores, daemons and Syncthings."""

from __future__ import annotations

import os
import shutil
import time
from itertools import product
from pathlib import Path

from tests.support.library import Library, Node
from tests.support.syncthing import until

SECRET = "zanzibarplan"


def knows(node: Node, guid: str) -> bool:
    return node.face(guid).listed


def tags_of(node: Node, guid: str) -> set[str]:
    return set(node.face(guid).tags)


def until_tags(nodes: list[Node], guid: str, *tags: str) -> None:
    try:
        until(lambda: all(knows(node, guid) and tags_of(node, guid) == set(tags) for node in nodes), f"{tags}")
    except AssertionError as exc:
        found = {node.name: (knows(node, guid), tags_of(node, guid)) for node in nodes}
        raise AssertionError(f"{exc}: {found}") from None


def holding(root: Path, word: str) -> list[str]:
    """The files below a store in which a word stands, in their name or in their bytes."""
    found = []
    for path in root.rglob("*"):
        if word in path.name:
            found.append(str(path))
        elif path.is_file():
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue
            if word.encode() in data:
                found.append(str(path))
    return found


def settled(library: Library) -> None:
    """Until no ledger has grown on any node for a second and a half."""
    quiet = 0
    before = None
    while quiet < 3:
        now = [
            (node.name, str(path), path.stat().st_size)
            for node in library
            for path in sorted((node.root / "ledgers").rglob("2*.jsonl"))
        ]
        quiet = quiet + 1 if now == before else 0
        before = now
        time.sleep(0.5)


def test_an_excluded_node_forgets_and_is_told_nothing_more_and_include_tells_it_all(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "server", "tablet"]) as library:
        laptop, server, tablet = library
        data = b"quincejelly " + os.urandom(30_000).hex().encode()
        guid = laptop.add("letter.txt", data, "post")
        other = laptop.add("song.txt", b"la la", "music")
        until_tags([laptop, server, tablet], guid, "post")
        laptop.lyts("restore", "--nodes", "server,tablet", "letter.txt")
        library.until_placed(guid, "laptop", "server", "tablet", data=data)
        assert "letter.txt" in server.lyts("search", "quincejelly")
        assert any(b"quincejelly" in path.read_bytes() for path in (Path(server.root) / "text").iterdir())
        said = laptop.lyts("exclude", "--nodes", "server", "letter.txt")
        assert "server is no longer told of letter.txt" in said
        until(lambda: not knows(server, guid), "the server forgets")
        # Its bytes go once they are proven elsewhere, and those who know it keep theirs.
        library.until_placed(guid, "laptop", "tablet", data=data)
        assert guid not in server.ids()
        assert server.ids() == [other]
        server.lyts("find", "post", code=1)
        server.lyts("show", "letter.txt", code=1)
        assert "post" not in server.lyts("tags")
        server.lyts("search", "quincejelly", code=1)
        assert not any(b"quincejelly" in path.read_bytes() for path in (Path(server.root) / "text").iterdir())
        # What is said from now on goes to those who may know it, whoever says it.
        laptop.lyts("tag", SECRET, guid)
        until_tags([laptop, tablet], guid, "post", SECRET)
        tablet.lyts("tag", f"by={SECRET}", guid)
        until_tags([laptop, tablet], guid, "post", SECRET, f"by={SECRET}")
        laptop.lyts("tag", "shanty", other)
        until_tags([laptop, server, tablet], other, "music", "shanty")
        settled(library)
        assert holding(server.root, SECRET) == []
        assert holding(tablet.root, SECRET) != []
        # And in again, from the other side: all of it, and its bytes.
        assert "server is told of letter.txt again" in tablet.lyts("include", "--nodes", "server", "letter.txt")
        until_tags([laptop, server, tablet], guid, "post", SECRET, f"by={SECRET}")
        library.until_placed(guid, "laptop", "server", "tablet", data=data)
        for node in library:
            node.lyts("reindex")
            assert tags_of(node, guid) == {"post", SECRET, f"by={SECRET}"}
            node.lyts("fsck", "--deep")


def test_a_member_that_was_away_learns_all_and_the_excluded_nothing(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "server", "tablet"]) as library:
        laptop, server, tablet = library
        guid = laptop.add("letter.txt", b"dear all", "post")
        until_tags([laptop, server, tablet], guid, "post")
        tablet.stop()
        laptop.lyts("exclude", "--nodes", "server", guid)
        laptop.lyts("tag", SECRET, guid)
        # It has not heard of it, and says something as everybody may know it.
        tablet.lyts("tag", "offline", guid)
        until(lambda: not knows(server, guid), "the server forgets")
        tablet.start()
        library.wait_connected()
        until_tags([laptop, tablet], guid, "post", SECRET, "offline")
        tablet.lyts("tag", f"{SECRET}2", guid)
        until_tags([laptop, tablet], guid, "post", SECRET, "offline", f"{SECRET}2")
        settled(library)
        assert holding(server.root, SECRET) == []
        assert not knows(server, guid)


def test_an_exclusion_by_a_device_whose_daemon_is_killed_and_that_is_alone(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "server", "tablet"]) as library:
        laptop, server, tablet = library
        data = os.urandom(30_000)
        guid = server.add("letter.txt", data, "post")
        until_tags([laptop, server, tablet], guid, "post")
        laptop.kill_daemon()
        laptop.kill_syncthing()
        # The server alone has the bytes; who excludes it is to get them.
        laptop.lyts("exclude", "--nodes", "server", guid)
        laptop.lyts("tag", SECRET, guid)
        server.lyts("tag", "meanwhile", guid)
        laptop.start()
        library.wait_connected()
        until_tags([laptop, tablet], guid, "post", SECRET, "meanwhile")
        until(lambda: not knows(server, guid), "the server forgets")
        library.until_placed(guid, "laptop", data=data)
        server.stop()
        server.start()
        library.wait_connected()
        tablet.lyts("tag", f"{SECRET}2", guid)
        until_tags([laptop, tablet], guid, "post", SECRET, "meanwhile", f"{SECRET}2")
        settled(library)
        assert holding(server.root, SECRET) == []


def test_undo_takes_an_exclusion_back_and_redo_makes_it_again(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "server", "tablet"]) as library:
        laptop, server, tablet = library
        guid = laptop.add("letter.txt", b"dear all", "post")
        until_tags([laptop, server, tablet], guid, "post")
        laptop.lyts("restore", "--nodes", "server", guid)
        library.until_placed(guid, "laptop", "server", data=b"dear all")
        laptop.lyts("exclude", "--nodes", "server", guid)
        until(lambda: not knows(server, guid), "the server forgets")
        library.until_placed(guid, "laptop", data=b"dear all")
        assert "undone: exclude" in laptop.lyts("undo")
        until_tags([laptop, server, tablet], guid, "post")
        library.until_placed(guid, "laptop", "server", data=b"dear all")
        laptop.lyts("redo")
        until(lambda: not knows(server, guid), "the server forgets again")
        library.until_placed(guid, "laptop", data=b"dear all")
        # The only one that has the bytes, and this device itself.
        alone = server.add("bill.txt", b"ten crowns", "bills")
        until_tags([laptop, server, tablet], alone, "bills")
        said = server.lyts("exclude", alone)
        assert "server is no longer told of bill.txt" in said
        until(lambda: knows(laptop, alone) and not knows(server, alone), "the server forgot what it made")
        until(lambda: not server.placed(alone) and not server.kept(), "and its bytes")
        assert sum(len(node.placed(alone)) for node in (laptop, tablet)) == 1
        laptop.lyts("exclude", "--nodes", "laptop,tablet", alone, code=1)


def rolled_back(folder: Path) -> None:
    newest = max(folder.glob("2*.jsonl"))
    os.truncate(newest, newest.stat().st_size * 2 // 3)


def emptied(folder: Path) -> None:
    for segment in folder.glob("2*.jsonl"):
        os.truncate(segment, 0)


def test_ledgers_of_a_set_that_were_rolled_back_lose_nothing(tmp_path: Path) -> None:
    """Each accident in turn to the same ledgers: what was saved from one must outlast the next."""
    with Library(tmp_path, ["laptop", "server", "tablet"]) as library:
        laptop, server, tablet = library
        letters: dict[str, set[str]] = {}
        for do, index_too in product((rolled_back, emptied), (False, True)):
            guid = laptop.add(f"letter {len(letters)}.txt", f"dear all {len(letters)}".encode(), "post")
            until_tags([laptop, server, tablet], guid, "post")
            laptop.lyts("exclude", "--nodes", "server", guid)
            laptop.lyts("tag", SECRET, guid)
            until_tags([laptop, tablet], guid, "post", SECRET)
            laptop.stop()
            do(laptop.root / "ledgers" / "laptop@laptop+tablet")
            if index_too:
                shutil.rmtree(laptop.root / "index")
            tablet.lyts("tag", f"{SECRET}2", guid)
            laptop.start()
            library.wait_connected()
            until_tags([laptop, tablet], guid, "post", SECRET, f"{SECRET}2")
            laptop.lyts("tag", f"{SECRET}3", guid)
            letters[guid] = {"post", SECRET, f"{SECRET}2", f"{SECRET}3"}
            for each, tags in letters.items():
                until_tags([laptop, tablet], each, *tags)
        settled(library)
        assert holding(server.root, SECRET) == []
