"""A full disk: a clear message, nothing lost, and room to remove."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.errors import DiskFull
from tagfs.fact import Fact
from tagfs.stamp import make_stamp
from tagfs.store import Store
from tests.support.facts import NODES
from tests.support.stores import (
    START_MS,
    Elsewhere,
    Machine,
    acts_until_full,
    add_files,
    contradictions,
    difference,
    dump,
    fill_disk,
    make_store,
    open_store,
    own_segments,
    purge_now,
    say,
    states,
    write_ledger,
)

pytestmark = pytest.mark.needs_root


@pytest.fixture
def small_disk() -> Iterator[str]:
    """A file system of 12 MB."""
    with tempfile.TemporaryDirectory(prefix="lyts-small-") as place:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", place], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip("a small tmpfs needs root and the right to mount")
        try:
            yield place
        finally:
            subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def machine() -> Machine:
    return Machine(5)


@pytest.fixture
def store(small_disk: str, machine: Machine) -> Iterator[Store]:
    with make_store(os.path.join(small_disk, "store"), machine) as store:
        yield store


def whole_again(store: Store, filler: str | None = None) -> None:
    """With room, the index is what the ledgers say, and the ledgers are whole."""
    if filler is not None:
        os.unlink(filler)
    before = dump(store)
    assert contradictions(before) == []
    for path in own_segments(store):
        assert Path(path).read_bytes().endswith(b"\n")
    store.rebuild("a test asks for it")
    assert difference(before, dump(store)) == []


def test_a_full_disk_is_said_clearly_and_loses_nothing(store: Store, small_disk: str) -> None:
    guids = acts_until_full(store, durable=False)
    assert len(guids) > 1000
    with pytest.raises(DiskFull, match=r"no space left.*Nothing was lost") as caught:
        add_files(store, *["one more.jpg"] * 2000)
    assert caught.value.exit_code == 3
    found = states(store)
    assert set(guids) == set(found)
    assert contradictions(dump(store)) == []


def test_another_process_sees_a_full_disk_as_it_is(store: Store) -> None:
    guids = acts_until_full(store, durable=False)
    index = os.stat(os.path.join(store.layout.index, "data.mdb")).st_ino
    with Elsewhere(store.layout.root) as other:
        assert set(other.run("states(store)")) == set(guids)
        with pytest.raises(AssertionError, match="DiskFull"):
            other.run("add_files(store, *['x'] * 5000)")
    assert os.stat(os.path.join(store.layout.index, "data.mdb")).st_ino == index  # a full disk is no torn index


@pytest.mark.parametrize("leave_bytes", [0, 4096, 20_000, 60_000, 200_000])
def test_wherever_the_disk_fills_up_the_action_is_undone_whole(store: Store, small_disk: str, leave_bytes: int) -> None:
    guids = add_files(store, *[f"{n}.jpg" for n in range(500)], tags=["before"])
    before = dump(store)
    filler = fill_disk(small_disk, leave_bytes)
    with pytest.raises(DiskFull):
        add_files(store, *[f"{n} too many.jpg" for n in range(3000)], tags=["after"])
    assert difference(before, dump(store)) == []
    os.unlink(filler)
    (new,) = add_files(store, "now.jpg")
    assert set(states(store)) == {*guids, new}
    whole_again(store)


def test_removing_still_works_when_the_disk_is_full(store: Store, small_disk: str) -> None:
    guids = add_files(store, *[f"{n}.jpg" for n in range(500)])
    filler = fill_disk(small_disk)
    with pytest.raises(DiskFull):
        add_files(store, *[f"{n} too many.jpg" for n in range(3000)])

    def trash(change: object) -> None:
        for guid in guids[:100]:
            change.about_file(guid, trash=True)  # type: ignore[attr-defined]

    def purge(change: object) -> None:
        for guid in guids[:100]:
            purge_now(change, guid)  # type: ignore[arg-type]

    store.act(trash, frees_space=True)
    store.act(purge, frees_space=True)
    with store.view() as view:
        assert len(view.posting(0)) == 400
    whole_again(store, filler)
    store.keep_reserve()
    assert os.path.getsize(store.layout.reserve) >= 1 << 20


def test_removing_works_in_a_process_that_begins_on_a_full_disk(small_disk: str, machine: Machine) -> None:
    with make_store(os.path.join(small_disk, "store"), machine) as store:
        guids = add_files(store, *[f"{n}.jpg" for n in range(500)])
    filler = fill_disk(small_disk)
    with open_store(store.layout.root, machine) as store:
        assert set(states(store)) == set(guids)
        store.act(lambda change: purge_now(change, guids[0]), frees_space=True)
        with store.view() as view:
            assert len(view.posting(0)) == 499
    with open_store(store.layout.root, machine) as store:
        with store.view() as view:
            assert len(view.posting(0)) == 499
        whole_again(store, filler)


def test_a_process_that_cannot_even_begin_to_write_leaves_no_trace(small_disk: str, machine: Machine) -> None:
    with make_store(os.path.join(small_disk, "store"), machine) as store:
        guids = add_files(store, *[f"{n}.jpg" for n in range(500)])
    filler = fill_disk(small_disk)
    for _ in range(2):
        with open_store(store.layout.root, machine) as store:
            with pytest.raises(DiskFull):
                say(store, guids[0], notes="no room")
            assert set(states(store)) == set(guids)  # no rebuild for want of space
    os.unlink(filler)
    with open_store(store.layout.root, machine) as store:
        whole_again(store)


def test_facts_that_arrive_on_a_full_disk_do_not_stop_anyone_from_looking(store: Store, small_disk: str) -> None:
    guids = add_files(store, *[f"{n}.jpg" for n in range(500)])
    facts = [
        Fact(at=make_stamp((START_MS << 16) + 10_000 + k, NODES[1][:8]), by=NODES[1], file=guid, tag=["from afar"])
        for k, guid in enumerate(guids)
    ]
    write_ledger(store.layout.root, "tablet", facts)
    filler = fill_disk(small_disk)
    assert set(states(store)) == set(guids)  # as of before; better than nothing
    os.unlink(filler)
    assert all("from afar" in state["added"] for state in states(store).values())
    whole_again(store)


def test_a_rebuild_without_room_fails_clearly_and_leaves_what_there_was(store: Store, small_disk: str) -> None:
    guids = add_files(store, *[f"{n}.jpg" for n in range(500)])
    for leave_bytes in (0, 4096, 50_000, 150_000):
        filler = fill_disk(small_disk, leave_bytes)
        with pytest.raises(DiskFull):
            store.rebuild("asked for at a bad time")
        assert set(states(store)) == set(guids)
        os.unlink(filler)
    whole_again(store)
