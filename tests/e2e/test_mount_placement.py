"""Backups and conflict copies that programs make on a mount are known and held where the file is that they are of.

A file that one device is not to know must not become known there by an editor's backup.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tagfs.change import Change
from tagfs.fact import Made
from tagfs.glossary import NODE_THING
from tagfs.store import Store
from tests.support.facts import content
from tests.support.mounting import Mounting, eventually, mounted, refused

KEEPER = "0badcafe-0001-4000-8000-000000000001"
STRANGER = "0badcafe-0002-4000-8000-000000000002"


class Placement(NamedTuple):
    knows: dict[str, bool]
    holds: dict[str, bool]


def placement(mount: Mounting, guid: str) -> Placement:
    with Store(str(mount.lyts.store)) as store:
        (state,) = store.states([guid])
        knows, holds = ({node: yes for node, (_, yes) in one.items()} for one in (state.knows, state.holds))
        return Placement(knows, {("own" if node == store.node else node): yes for node, yes in holds.items()})


EVERYWHERE = Placement({}, {"own": True})
RESTRICTED = Placement({STRANGER: False}, {"own": True, KEEPER: True})


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mounting]:
    """With `tags/work/doc.txt`, which one device also holds and another is not to know."""
    with mounted(tmp_path / "home") as mounting:
        (mounting / "tags/work").mkdir()
        guid = mounting.put("tags/work/doc.txt", "one\n")
        mounting.put("tags/work/other.txt", "two\n")
        with Store(str(mounting.lyts.store)) as store:
            store.act(lambda change: change.about_file(guid, knows={STRANGER: False}, holds={KEEPER: True}))
        assert placement(mounting, guid) == RESTRICTED
        yield mounting


def of(mount: Mounting, name: str) -> Placement:
    return placement(mount, mount.guid(f"tags/work/{name}"))


@pytest.mark.parametrize("backup", ["doc.txt.bak", "doc.txt.orig", "doc.sync-conflict-20261122-101056-ABCDEF7.txt"])
def test_a_backup_made_by_copying_inherits(mount: Mounting, backup: str) -> None:
    mount.sh('cp doc.txt "$1"', backup, cwd=mount / "tags/work")
    assert of(mount, backup) == RESTRICTED
    mount.sh("cp other.txt other.txt.bak; echo new >new.txt", cwd=mount / "tags/work")
    assert of(mount, "other.txt.bak") == of(mount, "new.txt") == EVERYWHERE


def test_a_backup_made_by_renaming_inherits(mount: Mounting) -> None:
    before = mount.guid("tags/work/doc.txt")
    mount.sh("sed -i.kept s/one/ONE/ doc.txt", cwd=mount / "tags/work")
    assert mount.guid("tags/work/doc.txt") == before
    assert mount.read("tags/work/doc.txt.kept") == b"one\n"
    assert of(mount, "doc.txt") == of(mount, "doc.txt.kept") == RESTRICTED


def test_a_conflict_copy_inherits(mount: Mounting) -> None:
    with open(mount / "tags/work/doc.txt", "rb+") as writer:
        mount.sh("echo second >new; mv new doc.txt", cwd=mount / "tags/work")
        writer.write(b"mine")
    eventually(lambda: len(mount.ls("tags/work")) == 3)
    (copy,) = set(mount.ls("tags/work")) - {"doc.txt", "other.txt"}
    assert copy.startswith("doc (laptop, ")
    assert of(mount, copy) == RESTRICTED


def test_a_backup_that_a_crash_left_in_scratch_inherits(mount: Mounting) -> None:
    (mount / "tags/work/doc.txt~").write_bytes(b"earlier\n")
    assert len(mount.scratch()) > 0
    mount.crash()
    mount.kill()
    mount.start()
    mount.sh("mv doc.txt~ doc.txt.old", cwd=mount / "tags/work")
    assert mount.read("tags/work/doc.txt.old") == b"earlier\n"
    assert of(mount, "doc.txt.old") == RESTRICTED


def test_who_is_named_for_bytes_that_are_not_here_is_still_in_the_library(mount: Mounting) -> None:
    away, lost = (f"0badcafe-000{digit}-4000-8000-00000000000{digit}" for digit in "89")

    def made_elsewhere(change: Change) -> None:
        for node, alias in ((KEEPER, "keeper"), (STRANGER, "stranger")):
            change.about("node", NODE_THING, node, alias=alias)
        for guid, held in ((away, (KEEPER, STRANGER)), (lost, (STRANGER,))):
            holds = {change.node: False, **dict.fromkeys(held, True)}
            made = Made(name=f"{guid[12]}.txt", data=f"{guid[:2]}/{guid}")
            change.about_file(guid, made=made, content=content(), tag=("work",), holds=holds)
        change.about("node", NODE_THING, STRANGER, gone=True)

    with Store(str(mount.lyts.store)) as store:
        store.act(made_elsewhere)
    for name in ("8.txt", "9.txt"):
        eventually(lambda name=name: name in mount.ls("tags/work"))
        refused(errno.ENODATA, mount.read, f"tags/work/{name}")
    told = [line for line in mount.log.read_text().splitlines() if "not on this device" in line]
    assert "keeper has them" in told[0]
    assert "no device that is still in the library" in told[-1]
    assert not any("stranger" in line for line in told)
