"""A device that sends garbage: what is wrong is set aside or refused and named, and nothing else stops.

The tablet's own programs do not write what this test has it write, so its daemon is ended; its Syncthing goes on and
brings all of it to the laptop.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from sync.syncthing.folders import ledger_folder_id
from tagfs.fact import Fact, Made, encode_fact
from tagfs.nodeset import set_id
from tagfs.stamp import make_stamp
from tests.support.fake_syncthing import a_device_id
from tests.support.library import Library, Node
from tests.support.mounting import need_fuse
from tests.support.syncthing import until

GHOST = "0badcafe-0000-4000-8000-000000000000"
SECRET = b"-----BEGIN PRIVATE KEY----- nobody is to have this"
OTHER_DEVICE = a_device_id("another")


class Forger:
    """Writes into a node's ledger folder what no lyts would."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.folder = node.root / "ledgers" / node.name
        self._count = 0

    def stamp(self, node: str = "", ms: int | None = None) -> str:
        self._count += 1
        at_ms = int(time.time() * 1000) if ms is None else ms
        return make_stamp((at_ms << 16) + self._count, (node or self.node.guid)[:8])

    def line(self, *, at: str = "", by: str = "", **said: Any) -> bytes:
        """A line as lyts writes it; `said` may be nonsense."""
        by = by or self.node.guid
        return encode_fact(Fact(at=at or self.stamp(by), by=by, **said))

    def send(self, *lines: bytes, name: str = "") -> None:
        (self.folder / (name or f"{self.stamp()}.jsonl")).write_bytes(b"".join(lines))
        self.node.client.scan(ledger_folder_id(self.node.shared, self.node.guid))


def bytes_below(folder: Path, what: bytes) -> list[Path]:
    """The regular files of a folder that hold these bytes."""
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink() and what in path.read_bytes():
                found.append(path)
        except FileNotFoundError:
            continue  # on its way somewhere
    return found


def test_garbage_from_a_device_is_named_and_stops_nothing_else(tmp_path: Path) -> None:
    need_fuse()
    secret = tmp_path / "id_ed25519"
    secret.write_bytes(SECRET)
    with Library(tmp_path, ["laptop", "tablet"]) as library:
        laptop, tablet = library
        diary = laptop.add("diary.txt", b"only for the laptop\n", "private")
        shared = laptop.add("doc.txt", b"first\n", "paper")
        laptop.wish(shared, tablet=True)
        library.until_placed(shared, "laptop", "tablet", data=b"first\n")
        blocked = laptop.add("blocked.txt", b"blocked\n", "other")
        laptop.wish(blocked, tablet=True)
        library.until_placed(blocked, "laptop", "tablet", data=b"blocked\n")
        tablet.lyts("tag", "kept", shared)
        until(lambda: "kept" in laptop.face(shared).tags, "what the tablet said before")
        tablet.kill_daemon()
        mount = library.base / "mnt"
        laptop.lyts("mount", str(mount))
        try:
            forger = Forger(tablet)
            line = forger.line
            newest = max(forger.folder.glob("2*.jsonl"))
            # Lines that are none, paths that lead elsewhere, a gigantic line, nonsense in every field.
            forger.send(
                b"not json\n",
                b"\xff\xfe\x00\n",
                b"[" * 100_000 + b"\n",
                b'{"at":"yesterday","by":"me"}\n',
                line(by=laptop.guid, at=forger.stamp(), file=shared, tag=["forged"]),
                line(file=GHOST, made=Made(name="evil", data="../../../evil")),
                line(file=GHOST, made=Made(name="../evil", data=f"0b/{GHOST}--evil")),
                line(set=set_id([laptop.guid, tablet.guid, "x"]), label="../evil", nodes=[laptop.guid, tablet.guid]),
                line(file=shared, notes="n" * (2 << 20)),
                line(file=shared, tag=["good"]),
            )
            # A stamp years ahead; other devices; sets that are made up, or want the folder of another.
            ahead = forger.stamp(ms=int(time.time() * 1000) + 70 * 365 * 86_400_000)
            three = sorted([laptop.guid, tablet.guid, GHOST])
            forger.send(
                line(at=ahead, action=ahead, file=shared, tag=["future"]),
                line(node=tablet.guid, device=OTHER_DEVICE),
                # In the laptop's name, and older than what the laptop did say.
                line(by=laptop.guid, at=forger.stamp(laptop.guid, ms=10**12), node=tablet.guid, device=OTHER_DEVICE),
                line(node=GHOST, device="B" * 7 + "-AAAAAAA" * 7, alias="a/../b", addresses=["nonsense", "x://y"]),
                line(set="photos", label="photos", nodes=sorted([laptop.guid, tablet.guid])),
                line(set=set_id(three), label="laptop", nodes=three),
                line(rule="22222222-0000-5000-8000-00000000000a", query="((", holds={tablet.guid: True}),
                line(saved="../x", query="))"),
                line(file=shared, tag=["good2"]),
            )
            # A ledger that got shorter, names that are no segments, links that lead out of the store.
            os.truncate(newest, newest.stat().st_size // 2)
            (forger.folder / "seen.json").unlink(missing_ok=True)
            (forger.folder / "seen.json").symlink_to("/dev/zero")
            (forger.folder / "proofs.jsonl").unlink(missing_ok=True)
            (forger.folder / "proofs.jsonl").symlink_to(secret)
            (forger.folder / f"{forger.stamp()}.jsonl").symlink_to(secret)
            forger.send(line(file=shared, tag=["good3"]), name=f"{forger.stamp(laptop.guid)}.jsonl")
            forger.send(line(file=shared, tag=["good4"]))
            until(
                lambda: {"kept", "good", "good2", "good3", "good4", "future"} <= set(laptop.face(shared).tags),
                "all that can be read has arrived",
            )
            # A folder where the bytes of a file belong, and a link that leads out of the store.
            place = tablet.path(blocked, "laptop+tablet")
            place.unlink()
            place.mkdir()
            (place / "x").write_bytes(b"x")
            tablet.client.scan(set_id([laptop.guid, tablet.guid]))
            log = library.base / "laptop-daemon.log"
            until(lambda: "stands where the bytes of one belong" in log.read_text(), "noticed")
            place = tablet.path(shared, "laptop+tablet")
            place.unlink()
            place.symlink_to(secret)
            tablet.client.scan(set_id([laptop.guid, tablet.guid]))

            # The daemon: its bytes are put back where the link came, and the tablet gets them too.
            until(lambda: place.exists() and not place.is_symlink(), "the link is taken back")
            library.until_placed(shared, "laptop", "tablet", data=b"first\n")
            # What was said here afterwards goes out.
            laptop.lyts("tag", "afterwards", shared)
            heard = tablet.root / "ledgers" / "laptop"
            until(lambda: any(b'"afterwards"' in one.read_bytes() for one in heard.glob("2*.jsonl")), "said and heard")
            # The mount.
            assert sorted(os.listdir(mount / "tags/paper")) == ["doc.txt"]
            assert (mount / "tags/good4/doc.txt").read_bytes() == b"first\n"
            (mount / "tags/paper/new.txt").write_bytes(b"new")
            assert (mount / "tags/paper/new.txt").read_bytes() == b"new"
            for folder in ("nodes", "saved", "all"):
                os.listdir(mount / folder)
            # Commands. What is years ahead can be undone once, and is undone then.
            laptop.add("later.txt", b"later\n", "paper")
            assert "forged" not in laptop.face(shared).tags
            laptop.lyts("undo", "--yes")
            assert "afterwards" not in laptop.face(shared).tags
            laptop.lyts("undo", "--yes")
            assert "future" not in laptop.face(shared).tags
            laptop.lyts("undo", "--yes")
            assert "later.txt" in laptop.lyts("trash")
            # Nothing went where it must not.
            assert not (library.base / "evil").exists()
            assert not bytes_below(laptop.root / "sets", SECRET) + bytes_below(tablet.root, SECRET)
            assert not bytes_below(laptop.root / "keep", SECRET)
            assert not bytes_below(tablet.root, b"only for the laptop")
            assert bytes_below(laptop.root / "keep", b"blocked\n")
            assert laptop.placed(diary) == {"laptop": b"only for the laptop\n"}
            ids = {one.id: one.path for one in laptop.client.folders()}
            assert "photos" not in ids
            assert os.path.basename(ids.get(set_id(three), "")) != "laptop"
            library.wait_connected()
            known = laptop.client.connections().connections
            assert tablet.device in known
            assert OTHER_DEVICE not in known
            assert not any(one.startswith("BBBBBBB") for one in known)
            # And all of it is named.
            told = [one["what"] for one in json.loads(laptop.lyts("doctor", "--json", code=1))]
            for what in (
                "not a fact", "no stamp", "of another node", "no place for data", "no possible name",
                "no possible label", "bytes long", "rolled back", "clock of 'tablet'", OTHER_DEVICE, "folder 'laptop'",
            ):  # fmt: skip
                assert any(what in one for one in told), f"{what!r} in {told}"
            assert laptop.lyts("fsck", "--json", code=None) is not None
        finally:
            laptop.lyts("umount", str(mount))


def test_what_is_read_beside_a_ledger_follows_no_link(tmp_path: Path) -> None:
    from sync.proofs import read
    from tagfs.seen import read_seen

    true = tmp_path / "true"
    true.write_bytes(b'{"node":"%s","format":1,"here":"","read":{}}\n' % GHOST.encode())
    (tmp_path / "seen.json").symlink_to(true)
    assert read_seen(str(true)) is not None
    assert read_seen(str(tmp_path / "seen.json")) is None
    line = b'{"file":"%s","waits":"x"}\n' % GHOST.encode()
    true.write_bytes(line)
    (tmp_path / "proofs.jsonl").symlink_to(true)
    assert read(GHOST, str(tmp_path)).waits == {}
    (tmp_path / "proofs.jsonl").unlink()
    (tmp_path / "proofs.jsonl").write_bytes(line)
    assert read(GHOST, str(tmp_path)).waits == {GHOST: "x"}
