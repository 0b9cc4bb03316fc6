"""Small parts of syncing: what nodes say of proofs, what is due when, where bytes can be, whether the daemon lives."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import proofs
from sync.agenda import FIRST_WAIT_MS, LONGEST_WAIT_MS, Agenda
from sync.life import AlreadyRuns, Held, life
from sync.machine import Proof
from sync.shelves import Shelves, guid_in, is_conflict_name
from tagfs.layout import Layout
from tagfs.nodeset import folder_name, label, set_id
from tagfs.store import this_machine

A, B, C = (f"{letter * 8}-0000-4000-8000-000000000000" for letter in "abc")
HASH = "ab" * 32


# -- proofs ------------------------------------------------------------------------


def test_proofs_and_waits_are_read_as_they_were_written(tmp_path: Path) -> None:
    one, other = Proof(A, HASH, frozenset({A, B}), "under"), Proof(A, "cd" * 32, frozenset({A}), "under")
    text = proofs.text_of([(B, other), (C, one)], {C: "placement"})
    assert proofs.write(str(tmp_path), str(tmp_path), text)
    assert not proofs.write(str(tmp_path), str(tmp_path), text)
    said = proofs.read(A, str(tmp_path))
    assert said.proofs == {B: {other}, C: {one}}
    assert said.waits == {C: "placement"}
    assert proofs.write(str(tmp_path), str(tmp_path), b"")
    assert proofs.read(A, str(tmp_path)) == ({}, {})


def test_nothing_is_written_where_nothing_was_ever_said(tmp_path: Path) -> None:
    assert not proofs.write(str(tmp_path), str(tmp_path), b"")
    assert os.listdir(tmp_path) == []
    assert proofs.read(A, str(tmp_path)) == ({}, {})


def test_who_proved_is_whose_folder_it_is_whatever_a_line_says() -> None:
    line = b'{"file":"%s","sha256":"%s","nodes":["%s"],"placement":"x","prover":"%s"}\n'
    said = proofs.parse(A, line % (C.encode(), HASH.encode(), B.encode(), B.encode()))
    assert said.proofs == {C: {Proof(A, HASH, frozenset({B}), "x")}}


@given(st.lists(st.binary(max_size=60)))
def test_lines_that_do_not_parse_are_passed_over(lines: list[bytes]) -> None:
    good = proofs.text_of([], {C: "placement"})
    text = b"\n".join(line.replace(b"\n", b"") for line in lines) + b"\n" + good
    assert proofs.parse(A, text).waits[C] == "placement"


# -- the agenda --------------------------------------------------------------------


def test_what_is_due_is_taken_once_and_in_order() -> None:
    agenda = Agenda()
    agenda.add([A, B, A, C])
    assert len(agenda) == 3
    assert agenda.take(0, 2) == [A, B]
    assert agenda.take(0, 2) == [C]
    assert agenda.take(0, 2) == []


def test_what_waits_comes_again_at_growing_intervals_and_at_once_when_something_changes() -> None:
    agenda = Agenda()
    now, waits = 0, []
    for _ in range(14):
        agenda.again(A, now)
        due = agenda.next_at()
        assert due is not None
        assert agenda.take(due - 1, 9) == []
        assert agenda.take(due, 9) == [A]
        waits.append(due - now)
        now = due
    assert waits[:3] == [FIRST_WAIT_MS, FIRST_WAIT_MS * 2, FIRST_WAIT_MS * 4]
    assert waits[-1] == LONGEST_WAIT_MS
    agenda.again(A, now)
    agenda.add([A])
    assert agenda.take(now, 9) == [A]
    assert agenda.next_at() is None
    agenda.again(A, now)
    assert agenda.next_at() == now + FIRST_WAIT_MS


def test_what_is_settled_does_not_come_again() -> None:
    agenda = Agenda()
    agenda.again(A, 0)
    agenda.again(B, 0)
    agenda.settled(A)
    assert agenda.take(10 * LONGEST_WAIT_MS, 9) == [B]


@given(st.lists(st.tuples(st.sampled_from(["add", "again", "settled", "take"]), st.sampled_from([A, B, C]))))
def test_nothing_is_forgotten_that_was_not_settled(steps: list[tuple[str, str]]) -> None:
    agenda, now = Agenda(), 0
    due: set[str] = set()
    later: set[str] = set()
    for what, guid in steps:
        now += 100
        if what == "add":
            agenda.add([guid])
            due.add(guid)
        elif what == "again":
            agenda.again(guid, now)
            later.add(guid)
        elif what == "settled":
            agenda.settled(guid)
            later.discard(guid)
        else:
            taken = set(agenda.take(now, 1))
            due -= taken
            later -= taken
        assert len(agenda) >= len(due)
    # One look too many is no harm.
    assert set(agenda.take(now + 2 * LONGEST_WAIT_MS, 99)) >= due | later


# -- shelves -----------------------------------------------------------------------


def test_names_of_data_files() -> None:
    assert guid_in(f"{A}--song.flac") == A
    assert guid_in("song.flac") is None
    assert is_conflict_name(f"{A}--song.sync-conflict-20261127-101500-ABCDEFG.flac")
    assert not is_conflict_name(f"{A}--sync-conflict.flac")


def test_everything_of_a_file_is_found_wherever_it_is(tmp_path: Path) -> None:
    layout, both = Layout(str(tmp_path)), frozenset({A, B})
    shelves = Shelves(layout, {both: "laptop+tablet"})

    def put(path: str) -> str:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).write_text("x")
        return path

    folder = tmp_path / "sets" / "laptop+tablet"
    place = put(shelves.path(both, f"{C[:2]}/{C}--song.flac"))
    copy = put(str(folder / "data" / C[:2] / f"{C}--song.sync-conflict-20261127-101500-ABCDEFG.flac"))
    thrown = put(str(folder / ".stversions" / "data" / C[:2] / f"{C}--song.flac"))
    kept = put(os.path.join(shelves.moved_folder(C), HASH))
    edit = put(os.path.join(shelves.edits_folder(C), HASH))
    assert place == str(folder / "data" / C[:2] / f"{C}--song.flac")
    assert shelves.conflicts(both, C) == [copy]
    assert shelves.thrown_away(C) == [thrown]
    assert (shelves.kept(C), shelves.edits(C)) == ({HASH: kept}, {HASH: edit})
    assert sorted(shelves.guids_in(both)) == [(C, False), (C, True), (C, True)]
    assert sorted(shelves.guids_kept()) == [C, C]
    assert (shelves.conflicts(both, A), shelves.thrown_away(A), shelves.kept(A)) == ([], [], {})


# -- nodesets ----------------------------------------------------------------------


def test_a_set_has_the_same_id_whoever_makes_it() -> None:
    assert set_id([A, B]) == set_id([B, A, A])
    assert set_id([A, B]) != set_id([A, B, C])
    assert set_id([A]).startswith("lsd-")


@given(st.text(max_size=200))
def test_any_alias_gives_a_folder_name(alias: str) -> None:
    name = folder_name(alias)
    assert 0 < len(name.encode("utf-8", "surrogatepass")) <= 40
    assert not set(name) & set('/\\:*?"<>|. \0')


def test_labels_are_readable_and_never_clash() -> None:
    assert label({A: "Laptop", B: "My Server"}, []) == "laptop+my-server"
    assert label({A: "laptop"}, ["LAPTOP"]) == f"laptop-{set_id([A])[4:12]}"
    many = {f"{number:08}-0000-4000-8000-000000000000": f"device {number}" for number in range(20)}
    assert label(many, []).startswith("20-nodes-")


# -- whether the daemon lives ------------------------------------------------------


def test_a_daemon_lives_as_long_as_it_holds_its_note(tmp_path: Path) -> None:
    layout, boot = Layout(str(tmp_path)), this_machine().boot_id()
    assert life(layout) is None
    held = Held(layout, boot)
    alive = life(layout)
    assert alive is not None
    assert (alive.process.pid, alive.ready, alive.problem) == (os.getpid(), False, "")
    held.tell(ready=True, problem="x" * 100_000)
    alive = life(layout)
    assert alive is not None
    assert alive.ready
    assert alive.problem.startswith("xxx")
    held.tell(problem="")
    alive = life(layout)
    assert alive is not None
    assert alive.problem == ""
    with pytest.raises(AlreadyRuns):
        Held(layout, boot)
    held.release()
    assert life(layout) is None
    assert (tmp_path / "sync-daemon").stat().st_mode & 0o777 == 0o600


def test_one_that_was_killed_does_not_live_though_its_note_stays(tmp_path: Path) -> None:
    code = (
        "import sys; from sync.life import Held; from tagfs.layout import Layout; from tagfs.store import this_machine;"
        "Held(Layout(sys.argv[1]), this_machine().boot_id()); print('held', flush=True); sys.stdin.read()"
    )
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        alive = life(Layout(str(tmp_path)))
        assert alive is not None
        assert alive.process.pid == child.pid
        child.kill()
        child.wait(60)
    assert life(Layout(str(tmp_path))) is None
    assert (tmp_path / "sync-daemon").exists()
    Held(Layout(str(tmp_path)), "boot").release()


def test_those_who_look_do_not_keep_a_daemon_from_starting(tmp_path: Path) -> None:
    layout, stop = Layout(str(tmp_path)), threading.Event()
    Held(layout, "boot").release()

    def look() -> None:
        while not stop.is_set():
            life(layout)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for one in lookers:
        one.start()
    try:
        for _ in range(20):
            Held(layout, "boot").release()
    finally:
        stop.set()
        for one in lookers:
            one.join()
