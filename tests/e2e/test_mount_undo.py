"""`lyts undo` takes back what programs did to bytes through the mount."""

from __future__ import annotations

from pathlib import Path

from tests.support.mounting import mounted, need_fuse


def test_undo_and_redo_of_a_save_change_the_bytes_and_keep_the_file(tmp_path: Path) -> None:
    need_fuse()
    with mounted(tmp_path) as mounting:
        lyts = mounting.lyts
        lyts.quick("tags", "make", "draft")
        song = mounting.at / "tags" / "draft" / "song.txt"
        song.write_text("first\n")
        guid = lyts.json("find", "draft")[0]["guid"]
        mounting.run("sleep", "2.2")  # another action
        mounting.run("sed", "-i", "s/first/second/", str(song))
        assert song.read_text() == "second\n"
        lyts.quick("undo")
        assert Path(lyts.json("find", "draft")[0]["path"]).read_text() == "first\n"
        lyts.quick("redo")
        assert Path(lyts.json("find", "draft")[0]["path"]).read_text() == "second\n"
        lyts.quick("undo")
        assert [one["guid"] for one in lyts.json("find", "draft")] == [guid]
        assert Path(lyts.json("find", "draft")[0]["path"]).read_text() == "first\n"
