"""What a mount sets aside: durable in time, let go in time, and not mixed up with what programs write meanwhile."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tagfs.store import Store
from tests.support.mounting import eventually, mounted, need_fuse
from tests.support.stores import add_files, make_store


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_mount_lets_versions_go_that_there_is_no_room_for(tmp_path: Path) -> None:
    with mounted(tmp_path) as mount:
        for name in ("a.txt", "b.txt"):
            mount.put(f"untagged/{name}", "0\n")
            for number in (1, 2):
                mount.sh('sed -i "s/.*/$1/" "untagged/$2"', str(number), name)
        kept = {path for path in mount.kept() if path.startswith("keep/")}
        assert {path.rpartition("/")[2] for path in kept} == {sha(b"0\n"), sha(b"1\n")}
        mount.stop()
        with open(mount.lyts.store / "store.toml", "a", encoding="utf-8") as file:
            file.write("versions_mib = 0\n")
        mount.start()
        left = {path for path in kept if path.endswith(sha(b"1\n"))}
        eventually(lambda: {path for path in mount.kept() if path.startswith("keep/")} == left)
        assert mount.read("untagged/a.txt") == mount.read("untagged/b.txt") == b"2\n"
        mount.lyts.quick("undo")
        eventually(lambda: mount.read("untagged/b.txt") == b"1\n")
        mount.stop()
        assert "2 earlier contents of files were let go" in mount.log.read_text()


def test_what_was_written_to_an_empty_file_can_be_undone_and_done_again(tmp_path: Path) -> None:
    with mounted(tmp_path) as mount:
        (mount / "untagged/doc.txt").touch()
        with open(mount / "untagged/doc.txt", "wb") as file:
            guid = mount.guid("untagged/doc.txt")
            file.write(b"one")
        assert "kept here" in mount.lyts.quick("versions", guid).out
        for command, expected in (("undo", b""), ("redo", b"one")):
            mount.lyts.quick(command)
            eventually(lambda expected=expected: mount.read("untagged/doc.txt") == expected)


def test_bringing_back_a_file_that_a_program_has_open_keeps_both(tmp_path: Path) -> None:
    with mounted(tmp_path) as mount:
        guid = mount.put("untagged/doc.txt", "one\n")
        mount.sh("sed -i s/one/two/ untagged/doc.txt")
        with open(mount / "untagged/doc.txt", "r+b", buffering=0) as program:
            mount.lyts.quick("versions", guid, "--bring-back", sha(b"one\n")[:12])
            program.write(b"six")
        eventually(lambda: len(mount.ls("untagged")) + len(mount.ls("all")) == 3)
        assert mount.read(f"ids/{guid}") == b"one\n"
        (copy,) = set(mount.ls("all")) - {"doc.txt"}
        assert mount.read(f"all/{copy}") == b"six\n"
        assert mount.tags(f"all/{copy}") == ["conflict"]
        assert mount.kept()[f"keep/{guid[:2]}/{guid}/{sha(b'two' + bytes([10]))}"] == b"two\n"
        with open(mount / "untagged/doc.txt", "r+b", buffering=0) as program:
            program.write(b"ONE")
            said = mount.lyts.quick("versions", guid, "--bring-back", sha(b"two\n")[:12], code=3).err
            assert "a program is writing to this file" in said
        assert mount.read(f"ids/{guid}") == b"ONE\n"


def test_a_crash_in_the_midst_of_bringing_back_leaves_what_the_next_mount_puts_right(tmp_path: Path) -> None:
    with mounted(tmp_path) as mount:
        guid = mount.put("untagged/doc.txt", "one\n")
        mount.sh("sed -i s/one/two/ untagged/doc.txt")
        mount.stop()
        crashing = (
            "import os, sys; from tagfs.store import Store; from tagfs.verbs.versions import bring_back\n"
            "store = Store(sys.argv[1]); store.act = lambda *args, **options: os._exit(7)\n"
            "bring_back(store, sys.argv[2], sys.argv[3])"
        )
        words = [sys.executable, "-P", "-c", crashing, str(mount.lyts.store), guid, sha(b"one\n")]
        assert subprocess.run(words, env=mount.lyts.env, check=False).returncode == 7
        mount.start()
        assert mount.read("untagged/doc.txt") == b"one\n"
        found = {one["sha256"]: one for one in mount.lyts.json("versions", guid)}
        assert found[sha(b"one\n")]["current"]
        assert Path(found[sha(b"two\n")]["path"]).read_bytes() == b"two\n"
        for name in mount.scratch():  # the copies it had made
            os.unlink(mount.lyts.store / "scratch" / name)


def test_a_version_is_durable_before_the_fact_that_replaced_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_fuse()
    from tagfs.mount.contents import Contents

    store: Store
    with make_store(tmp_path / "store") as store:
        with store.view() as view:
            contents = Contents(store, view)
        (guid,) = add_files(store, "a.txt")
        path = str(tmp_path / "bytes")
        Path(path).write_bytes(b"one")
        real, synced = os.fsync, []

        def fsync(fd: int) -> None:
            synced.append(os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), store.layout.root))
            real(fd)

        monkeypatch.setattr(os, "fsync", fsync)
        contents.keep_version(guid, path, sha(b"one"), link=True)
        assert synced == []  # a save costs none
        store.act(lambda change: change.about_file(guid, tag=["a"]), durable=False)
        store.sync_ledger()
        folder = f"keep/{guid[:2]}/{guid}"
        assert set(synced[:3]) == {folder, f"keep/{guid[:2]}", "keep"}
        assert synced[3:]
        assert all(one.startswith("ledgers/") for one in synced[3:])
        synced.clear()
        contents.keep_version(guid, path, "a" * 64)  # a copy: somebody may still write to the bytes
        store.act(lambda change: change.about_file(guid, tag=["c"]), durable=False)
        store.sync_ledger()
        assert set(synced[:2]) == {folder, f"{folder}/{'a' * 64}"}
        synced.clear()
        contents.keep_version(guid, path, sha(b"one"))  # it stands there already
        store.act(lambda change: change.about_file(guid, tag=["b"]), durable=False)
        store.sync_ledger()
        assert all(one.startswith("ledgers/") for one in synced)
