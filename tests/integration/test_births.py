"""Births stated in a row: in the ledger at once, in the index a moment later, whatever comes between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.births import Births, Line, Stating
from tagfs.create import create_store
from tagfs.errors import DiskFull
from tagfs.fact import Fact, parse_fact
from tagfs.guid import Guid, new_guid
from tagfs.index.blocks import IN_TRASH
from tagfs.ledger import SEAL_BYTES
from tagfs.nodeset import set_id
from tagfs.seen import BehindOwnLedger, Seen, write_seen
from tagfs.store import Store, this_machine
from tagfs.verbs.undo import next_to_undo, undo
from tests.support.stores import (
    Machine,
    add_files,
    assert_rebuild_changes_nothing,
    birth,
    contradictions,
    dump,
    fill_disk,
    make_store,
    open_store,
    own_segments,
    reports,
    states,
    write_ledger,
)

ROOT = str(Path(__file__).parents[2])


@pytest.fixture
def machine() -> Machine:
    return Machine(11)


@pytest.fixture
def store(tmp_path: Path, machine: Machine) -> Iterator[Store]:
    with make_store(tmp_path / "store", machine) as store:
        yield store


def born(
    births: Births, store: Store, name: str, action: str | None = None, **more: object
) -> tuple[Guid, Line] | None:
    """State the birth of a file; None where a whole action has to."""
    guid = new_guid(store.machine.random_bytes(16))

    def decide(stating: Stating) -> None:
        stating.about_file(guid, **{**birth(guid, name, stating.node), **more})

    stated = births.state(action, decide)
    return None if stated is None else (guid, stated.line)


def must_be_born(births: Births, store: Store, name: str, action: str | None = None, **more: object) -> Guid:
    found = born(births, store, name, action, **more)
    assert found is not None
    return found[0]


def ledger(store: Store) -> list[bytes]:
    return [line for path in own_segments(store) for line in Path(path).read_bytes().splitlines()]


def known(store: Store) -> set[str]:
    with store.view(fresh=False) as view:
        return {view.guid(o) for o in range(view.ordinal_total())}


def test_a_birth_is_in_the_ledger_when_it_is_stated_and_in_the_index_after_take_in(store: Store) -> None:
    births = Births(store)
    guids = [must_be_born(births, store, f"{n}.txt", tag=["music"]) for n in range(20)]
    assert [parse_fact(line).file for line in ledger(store)[-20:]] == guids
    assert not known(store) & set(guids)
    assert births.take_in()
    assert known(store) >= set(guids)
    assert not store.catch_up_if_behind()  # nothing is left to read, and the segment is known as it is
    assert_rebuild_changes_nothing(store)


def test_what_is_not_taken_in_yet_is_read_by_whoever_acts_next_and_stamps_go_on_rising(
    store: Store, machine: Machine
) -> None:
    births = Births(store)
    guids = [must_be_born(births, store, f"{n}.txt") for n in range(3)]
    (guid,) = add_files(store, "by an action.txt")
    assert known(store) >= {*guids, guid}
    guids.append(must_be_born(births, store, "after it.txt"))
    machine.advance(-60_000)  # the wall clock is set back
    guids.append(must_be_born(births, store, "later.txt"))
    stamps = [parse_fact(line).at for line in ledger(store)]
    assert stamps == sorted(stamps)
    assert len(set(stamps)) == len(stamps)
    assert births.take_in()
    assert known(store) >= set(guids)
    assert_rebuild_changes_nothing(store)


def test_births_of_one_action_are_undone_together(store: Store) -> None:
    add_files(store, "another action.txt")
    births = Births(store)
    guids = [must_be_born(births, store, "1.txt")]
    action = parse_fact(ledger(store)[-1]).at
    guids += [must_be_born(births, store, f"{n}.txt", action=action) for n in (2, 3)]
    with store.view() as view:  # which reads them from the ledger
        todo = next_to_undo(view)
    assert todo.action == action
    undo(store, todo)
    with store.view() as view:
        trashed = {view.guid(o) for o in range(view.ordinal_total()) if (row := view.row(o)) and row.flags & IN_TRASH}
    assert trashed == set(guids)


def test_a_full_segment_leaves_the_next_to_a_whole_action(store: Store) -> None:
    births = Births(store)
    count = 0
    while born(births, store, f"{count} {'long ' * 30}.txt") is not None:
        count += 1
        assert count < SEAL_BYTES // 400
    (segment,) = own_segments(store)
    assert os.path.getsize(segment) >= SEAL_BYTES
    add_files(store, "the first of the next.txt")
    assert len(own_segments(store)) == 2
    must_be_born(births, store, "goes on there.txt")
    assert births.take_in()
    assert len(own_segments(store)) == 2
    assert len(states(store)) == count + 2
    assert_rebuild_changes_nothing(store)


def test_the_map_grows_in_a_whole_action_when_it_is_full_amid_births(tmp_path: Path, machine: Machine) -> None:
    with make_store(tmp_path / "small", machine, map_size=1 << 19) as store:
        births = Births(store)
        guids: list[str] = []
        full = False
        while not full:
            guids += [must_be_born(births, store, f"{len(guids) + n} {'x' * 200}.txt") for n in range(100)]
            full = not births.take_in()
            assert len(guids) < 20_000
        assert not known(store) & set(guids[-100:])
        store.act(lambda change: None)
        assert known(store) >= set(guids)
        guids.append(must_be_born(births, store, "and on.txt"))
        assert births.take_in()
        assert known(store) >= set(guids)
        assert_rebuild_changes_nothing(store)


@pytest.mark.needs_root
def test_a_full_disk_refuses_whole_births_and_keeps_every_one_that_was_stated(machine: Machine) -> None:
    with tempfile.TemporaryDirectory(prefix="lyts-small-") as place:
        options = ["-t", "tmpfs", "-o", "size=12m"]
        if subprocess.run(["mount", *options, "tmpfs", place], capture_output=True, check=False).returncode:
            pytest.skip("a small tmpfs needs root and the right to mount")
        try:
            with make_store(os.path.join(place, "store"), machine) as store:
                births = Births(store)
                guids = [must_be_born(births, store, "first.txt")]
                filler = fill_disk(place)
                told = False
                while not told:
                    try:
                        guids.append(must_be_born(births, store, f"{len(guids)}.txt"))
                    except DiskFull:
                        told = True
                assert all(line.startswith(b"{") and line.endswith(b"}") for line in ledger(store))
                assert not births.take_in()  # the index has no room at all
                with pytest.raises(DiskFull):
                    store.act(lambda change: None)
                os.unlink(filler)
                guids.append(must_be_born(births, store, "there is room again.txt"))
                assert births.take_in()
                assert known(store) >= set(guids)
                assert len(states(store)) == len(guids)
                assert reports(store, "Q") == reports(store, "R") == []
                assert_rebuild_changes_nothing(store)
        finally:
            subprocess.run(["umount", "-l", place], check=True)


def test_another_boot_and_a_changed_ledger_leave_it_to_a_whole_action(store: Store, machine: Machine) -> None:
    births = Births(store)
    must_be_born(births, store, "1.txt")
    assert births.take_in()
    with open(own_segments(store)[-1], "ab") as file:
        file.write(b'{"torn')  # by an accident: nobody goes on after it
    assert born(births, store, "2.txt") is None
    add_files(store, "3.txt")
    assert len(own_segments(store)) == 2
    must_be_born(births, store, "4.txt")
    assert births.take_in()
    machine.reboot()
    assert Births(store).state(None, lambda said: pytest.fail("nothing may be stated")) is None


def test_an_older_copy_of_a_store_states_no_births(store: Store) -> None:
    births = Births(store)
    folder = os.path.join(store.layout.ledgers, "server")
    os.makedirs(folder, exist_ok=True)
    seen = Seen(
        str(new_guid(bytes(16))),
        1,
        "2026-11-22T10:10:56Z",
        {store.node[:8]: f"20991231T000000.000Z-0000-{store.node[:8]}"},
    )
    write_seen(folder, store.layout.scratch, seen)
    assert born(births, store, "1.txt") is None
    with pytest.raises(BehindOwnLedger):
        add_files(store, "1.txt")


def test_an_index_built_anew_by_another_process_is_not_written_to_by_mistake(store: Store, machine: Machine) -> None:
    births = Births(store)
    guids = [must_be_born(births, store, f"{n}.txt") for n in range(5)]
    code = (
        "import sys; from tagfs.store import Store\n"
        "from tests.support.stores import Machine\n"
        "with Store(sys.argv[1], Machine(12).real()) as store: store.rebuild('a test')\n"
    )
    subprocess.run([sys.executable, "-c", code, store.layout.root], check=True, cwd=ROOT)
    assert not births.take_in()  # the index at hand is the old one
    with store.view() as view:
        assert all(view.ordinal(guid) is not None for guid in guids)
    (guid,) = add_files(store, "by an action.txt")
    guids = [*guids, guid, must_be_born(births, store, "after.txt")]
    assert births.take_in()
    assert known(store) >= set(guids)
    assert contradictions(dump(store)) == []


_STORM = """
import json, os, sys
from tagfs.births import Births
from tagfs.guid import new_guid
from tagfs.store import Store, this_machine
from tests.support.stores import birth
with Store(sys.argv[1]) as store:
    births = Births(store)
    for number in range(int(sys.argv[2])):
        guid = new_guid(os.urandom(16))
        say = lambda said: said.about_file(guid, **birth(guid, f"{sys.argv[3]} {number}.txt", said.node)) and None
        if births.state(None, say) is None:
            store.act(lambda change: change.about_file(guid, **birth(guid, f"{sys.argv[3]} {number}.txt", change.node)))
        print(guid, flush=True)
        if number % 7 == 0:
            births.take_in()
"""


def test_births_in_several_processes_at_once_all_stay_and_no_stamp_comes_twice(tmp_path: Path) -> None:
    root = tmp_path / "store"
    create_store(str(root), alias="laptop", folder_name="laptop", set_id=set_id, machine=this_machine())
    running = [
        subprocess.Popen([sys.executable, "-c", _STORM, root, "300", who], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for who in "abc"
    ]
    guids = {line for one in running for line in one.communicate(timeout=120)[0].split()}
    assert [one.returncode for one in running] == [0, 0, 0]
    assert len(guids) == 900
    with Store(str(root)) as store:
        stamps = [json.loads(line)["at"] for line in ledger(store)]
        assert stamps == sorted(set(stamps))
        assert set(states(store)) == guids
        assert reports(store, "R") == reports(store, "Q") == []
        assert_rebuild_changes_nothing(store)


def test_opening_after_a_crash_amid_births_reads_the_rest_from_the_ledger(tmp_path: Path, machine: Machine) -> None:
    root = tmp_path / "store"
    make_store(root, machine).close()
    code = _STORM.replace("births.take_in()", "births.take_in(); os._exit(9) if number == 21 else None")
    done = subprocess.run(
        [sys.executable, "-c", code, root, "99", "x"], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
    )
    assert done.returncode == 9
    guids = set(done.stdout.split())
    assert len(guids) == 22
    with open_store(root, Machine(3, boot=Path("/proc/sys/kernel/random/boot_id").read_text().strip())) as store:
        with store.view() as view:
            assert all(view.ordinal(guid) is not None for guid in guids)
        assert_rebuild_changes_nothing(store)


def test_what_another_node_stated_is_read_amid_births_and_births_alone_are_left_to_whoever_takes_them_in(
    store: Store,
) -> None:
    births = Births(store)
    guid = must_be_born(births, store, "ours.txt")
    assert not store.catch_up_if_behind(but_for_own=True)
    assert guid not in known(store)
    node = str(new_guid(b"another node's id"[:16]))
    theirs = str(new_guid(b"another file's id"[:16]))
    at = f"20251124T160000.000Z-0000-{node[:8]}"
    write_ledger(store.layout.root, "server", [Fact(at=at, by=node, file=theirs, **birth(theirs, "theirs.txt", node))])
    assert store.catch_up_if_behind(but_for_own=True)
    assert known(store) >= {guid, theirs}
    assert births.take_in()
    assert_rebuild_changes_nothing(store)
