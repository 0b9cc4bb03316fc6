"""Where files are, by command: `restore`, `reduce`, `where`, rules, undo; real stores, daemons and Syncthings."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from tests.support.library import Library, Node
from tests.support.syncthing import until


def where(node: Node, guid: str) -> dict[str, Any]:
    (found,) = json.loads(node.lyts("where", "--json", guid))
    assert isinstance(found, dict)
    return found


def states_here(node: Node, guid: str) -> list[str]:
    return [one["state"] for one in where(node, guid)["here"]]


def known_on(node: Node, *guids: str) -> None:
    until(lambda: set(guids) <= set(node.ids()), f"known on {node.name}")


def test_restore_and_reduce_from_either_side(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "tablet"]) as library:
        laptop, tablet = library
        films = {laptop.add(f"film{n}.mkv", os.urandom(50_000 + n), "video"): n for n in range(3)}
        song = laptop.add("song.flac", b"la la", "music")
        known_on(tablet, *films, song)
        # Wished for where the bytes are not.
        would = tablet.lyts("restore", "-q", "video", "--dry-run")
        assert would == "tablet would get 3 files, 150 kB\neach would then be kept by 2 devices at least\n"
        tablet.lyts("restore", "-q", "video")
        for guid in films:
            library.until_placed(guid, "laptop", "tablet")
        found = where(tablet, next(iter(films)))
        assert (found["holds"], found["connected"], found["waits"]) == (["laptop", "tablet"], ["laptop"], [])
        assert states_here(tablet, next(iter(films))) == ["in place"]
        assert where(tablet, song)["here"] == []
        # Taken away there from here.
        laptop.lyts("reduce", "--nodes", "tablet", "-q", "video")
        for guid in films:
            library.until_placed(guid, "laptop")
        assert where(tablet, next(iter(films)))["placed"]["how"] == "hand"
        # The last one stays.
        laptop.lyts("reduce", "song.flac", code=1)
        library.until_placed(song, "laptop", data=b"la la")


def test_with_the_other_off_nothing_moves_and_undo_takes_it_back_half_way(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "tablet"]) as library:
        laptop, tablet = library
        data = os.urandom(80_000)
        guid = laptop.add("film.mkv", data, "video")
        known_on(tablet, guid)
        laptop.lyts("restore", "--nodes", "tablet", "film.mkv")
        library.until_placed(guid, "laptop", "tablet", data=data)
        tablet.stop()
        until(lambda: where(laptop, guid)["connected"] == [], "the tablet is seen to be away")
        laptop.lyts("reduce", "film.mkv")
        assert where(laptop, guid)["waits"] == [{"why": "proof", "nodes": ["tablet"]}]
        until(lambda: where(laptop, guid)["moving"] == ["laptop"], "the daemon waits for a proof")
        time.sleep(2)
        assert laptop.placed(guid) == {"laptop+tablet": data}
        assert "undone: reduce" in laptop.lyts("undo")
        assert where(laptop, guid)["waits"] == []
        tablet.start()
        library.wait_connected()
        library.until_placed(guid, "laptop", "tablet", data=data)
        # And with both there, in the midst of it.
        files = {laptop.add(f"f{n}", os.urandom(20_000 + n), "many"): n for n in range(12)}
        known_on(tablet, *files)
        laptop.lyts("restore", "--nodes", "tablet", "-q", "many")
        laptop.lyts("reduce", "-q", "many")
        until(lambda: any("tablet" in tablet.placed(one) for one in files), "some have moved", 30)
        laptop.lyts("undo")
        for one in files:
            library.until_placed(one, "laptop", "tablet")
        tablet.lyts("undo", "--yes")  # the redo of nothing: what was undone is passed over, the restore is next
        for one in files:
            library.until_placed(one, "laptop")


def test_a_device_that_is_off_gets_what_it_was_given_when_it_comes_back(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "tablet"]) as library:
        laptop, tablet = library
        guid = laptop.add("film.mkv", b"frames" * 10_000, "video")
        known_on(tablet, guid)
        tablet.stop()
        until(lambda: where(laptop, guid)["connected"] == [], "the tablet is seen to be away")
        laptop.lyts("restore", "--nodes", "tablet", "film.mkv")
        laptop.lyts("reduce", "film.mkv")
        assert {frozenset(one["nodes"]) for one in where(laptop, guid)["waits"]} == {frozenset({"tablet"})}
        assert set(laptop.placed(guid).values()) == {b"frames" * 10_000}
        tablet.start()
        library.until_placed(guid, "tablet", data=b"frames" * 10_000)
        until(lambda: where(laptop, guid)["here"] == [], "gone from the laptop, keep and all")


def test_a_rule_sends_new_files_on_their_way(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "server"]) as library:
        laptop, server = library
        old = laptop.add("old.mkv", b"old frames" * 100, "video")
        server.lyts("sync", "rule", "add", "video", "--holds", "server")
        until(lambda: "video" in laptop.lyts("sync", "rule"), "the rule has come")
        new = laptop.add("new.mkv", b"new frames" * 100, "video")
        library.until_placed(new, "server", data=b"new frames" * 100)
        library.until_placed(old, "laptop", data=b"old frames" * 100)
        known_on(server, new)
        assert "by the rule for video" in server.lyts("why", new)
        laptop.lyts("sync", "apply")
        library.until_placed(old, "server", data=b"old frames" * 100)
        # Back to where a person wants it, and the rule leaves it alone.
        laptop.lyts("restore", old)
        laptop.lyts("reduce", "--nodes", "server", old)
        library.until_placed(old, "laptop", data=b"old frames" * 100)
        laptop.lyts("sync", "apply", code=1)


def test_two_copies_are_proven_where_two_are_asked_for(tmp_path: Path) -> None:
    with Library(tmp_path, ["laptop", "tablet", "server"]) as library:
        laptop, _, server = library
        (laptop.root / "sync.toml").write_text("[placement]\nmin_copies = 2\n")
        guid = laptop.add("film.mkv", b"frames" * 10_000, "video")
        known_on(server, guid)
        laptop.lyts("restore", "--nodes", "tablet,server", "film.mkv")
        library.until_placed(guid, "laptop", "tablet", "server")
        server.stop()
        until(lambda: where(laptop, guid)["connected"] == ["tablet"], "the server is seen to be away")
        laptop.lyts("reduce", "film.mkv")
        until(
            lambda: [one["node"] for one in where(laptop, guid)["proven"] if one["counts"]] == ["tablet"], "one proof"
        )
        time.sleep(2)
        # In place, or in its keep: what the tablet unlinks, Syncthing deletes here.
        assert set(laptop.placed(guid).values()) == {b"frames" * 10_000} or any(guid in path for path in laptop.kept())
        assert where(laptop, guid)["waits"] == [{"why": "proof", "nodes": ["server"]}]
        server.start()
        library.until_placed(guid, "tablet", "server", data=b"frames" * 10_000)
