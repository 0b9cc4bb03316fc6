"""Real stores: what the ledgers say is what the index answers, in whatever way it got there."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tagfs.check.doctor import examine
from tagfs.errors import BadRequest
from tagfs.fact import Fact, encode_fact, parse_fact
from tagfs.ledger import LONGEST_READ_BYTES, SEAL_BYTES
from tagfs.seen import BehindOwnLedger
from tagfs.stamp import MAX_DRAG_MS, make_stamp, ms_of, node_of
from tagfs.store import Store
from tests.support.facts import NODES, content, made
from tests.support.stores import (
    Machine,
    act_randomly,
    add_files,
    assert_rebuild_changes_nothing,
    birth,
    contradictions,
    difference,
    dump,
    exchange,
    fast_folder,
    make_store,
    open_store,
    own_segments,
    purge_now,
    reports,
    say,
    states,
    untag_now,
    write_ledger,
)


@pytest.fixture
def machine() -> Machine:
    return Machine(1)


@pytest.fixture
def store(tmp_path: Path, machine: Machine) -> Iterator[Store]:
    with make_store(tmp_path / "store", machine) as store:
        yield store


def faces(store: Store) -> dict[str, object]:
    """The face of every file, as one and the same node would see it."""
    from tagfs.face import face_of
    from tagfs.merge import FileState

    out = {}
    for guid, state in states(store).items():
        whole = FileState(guid)
        for slot, value in state.items():
            setattr(whole, slot, value)
        out[guid] = face_of(whole, NODES[0], NODES)
    return out


def all_lines(store: Store) -> list[bytes]:
    return [
        line
        for path in sorted(Path(store.layout.ledgers).rglob("*.jsonl"))
        for line in path.read_bytes().splitlines(True)
    ]


# -- incremental is as if built anew


@pytest.mark.parametrize("seed", range(6))
def test_an_index_that_grew_is_the_index_built_anew(tmp_path: Path, seed: int) -> None:
    machine, dice = Machine(seed), random.Random(seed)
    with make_store(tmp_path / "store", machine) as store:
        for round_ in range(120):
            machine.advance(dice.choice((0, 0, 1, 500, -3)))
            act_randomly(store, dice)
            if round_ % 40 == 39:
                assert_rebuild_changes_nothing(store)
    with open_store(tmp_path / "store", machine) as store:
        assert contradictions(dump(store)) == []


@pytest.mark.parametrize("seed", range(4))
def test_nodes_that_exchange_their_ledgers_see_the_same_faces(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    machines = [Machine(seed * 10 + k) for k in range(3)]
    stores = [
        make_store(tmp_path / name, m, name) for name, m in zip(("laptop", "tablet", "server"), machines, strict=True)
    ]
    nodes = [str(store.node) for store in stores]
    exchange(*stores)
    for _ in range(40):
        who = dice.randrange(3)
        machines[who].advance(dice.randrange(5))
        act_randomly(stores[who], dice, nodes)
        if dice.random() < 0.2:
            exchange(*dice.sample(stores, 2))
    exchange(*stores)
    assert all(faces(store) == faces(stores[0]) for store in stores)
    for store in stores:
        assert_rebuild_changes_nothing(store)
        assert reports(store) == []
        store.close()


def test_facts_of_another_node_are_read_where_they_lie(store: Store) -> None:
    (guid,) = add_files(store, "song.flac", tags=["music"])
    at = make_stamp((1_764_000_000_000 << 16) + 999, NODES[1][:8])
    write_ledger(store.layout.root, "tablet", [Fact(at=at, by=NODES[1], file=guid, tag=["from afar"])])
    with store.view() as view:
        ordinal = view.ordinal(guid)
        assert ordinal is not None
        assert view.tags(ordinal) == ["from afar", "music"]
    assert_rebuild_changes_nothing(store)


def test_a_new_fact_is_stamped_after_all_that_was_read_about_its_file(store: Store, machine: Machine) -> None:
    (guid,) = add_files(store, "song.flac")
    at = make_stamp((machine.now_ms + 3_600_000) << 16, NODES[1][:8])
    write_ledger(store.layout.root, "tablet", [Fact(at=at, by=NODES[1], file=guid, name="from the tablet")])
    fact = say(store, guid, name="from here")
    assert fact.at > at
    assert states(store)[guid]["registers"]["name"] == (fact.at, "from here")


@pytest.mark.parametrize("seed", range(3))
def test_order_and_splitting_of_ledgers_do_not_matter(tmp_path: Path, seed: int) -> None:
    dice, machine = random.Random(seed), Machine(seed)
    nodes = [NODES[0], NODES[1]]
    with make_store(tmp_path / "one", machine) as one:
        for _ in range(60):
            act_randomly(one, dice, nodes)
        lines = all_lines(one)
        wanted = dump(one)
    with make_store(tmp_path / "two", Machine(seed)) as two:
        # Same seed, same node: to this store they are its own facts, lost and come back from elsewhere.
        assert two.node == one.node
        for round_ in range(3):
            dice.shuffle(lines)
            shutil.rmtree(os.path.join(two.layout.ledgers, "elsewhere"), ignore_errors=True)
            for number in range(0, len(lines), 25):
                name = make_stamp((number + 1) << 16, NODES[2][:8])
                write_raw(two, "elsewhere", f"{name}.jsonl", b"".join(lines[number : number + 25]))
                if round_ == 1:
                    states(two)  # read while it arrives
            two.rebuild("shuffled") if round_ == 2 else None
            found = dump(two)
            for each in (found, wanted):
                each["things"].pop("L", None)
            assert difference(found, wanted) == []
            assert contradictions(found) == []


def write_raw(store: Store, folder: str, name: str, data: bytes) -> str:
    place = os.path.join(store.layout.ledgers, folder)
    os.makedirs(place, exist_ok=True)
    path = os.path.join(place, name)
    with open(path, "ab") as file:
        file.write(data)
    return path


# -- ledgers that are not as they were


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Machine]:
    """A closed store with some history, its last lines short ones."""
    machine, dice = Machine(7), random.Random(7)
    root = tmp_path_factory.mktemp("worn") / "store"
    with make_store(root, machine) as store:
        for _ in range(12):
            act_randomly(store, dice)
        (guid,) = add_files(store, "the last.jpg")
        say(store, guid, tag=["rome"])
        say(store, guid, notes="last words")
    return root, machine


def copy_of(worn: tuple[Path, Machine], place: Path) -> Store:
    shutil.copytree(worn[0], place)
    return open_store(place, worn[1])


def test_nothing_is_lost_by_a_ledger_cut_at_any_byte_of_its_last_lines(worn: tuple[Path, Machine]) -> None:
    with tempfile.TemporaryDirectory(dir=fast_folder()) as folder:
        check_cuts(worn, Path(folder))


def check_cuts(worn: tuple[Path, Machine], folder: Path) -> None:
    """Cut at every byte of the last lines."""
    with copy_of(worn, folder / "whole") as store:
        wanted, things = states(store), dump(store)["things"]
        (path,) = own_segments(store)
    whole = Path(path).read_bytes()
    last_lines = len(b"".join(whole.splitlines(True)[-2:])) + 40  # and the end of a birth
    begin = len(whole) - last_lines
    for cut in range(begin, len(whole)):
        place = folder / "cut"
        with copy_of(worn, place) as store:
            (path,) = own_segments(store)
            os.truncate(path, cut)
            assert states(store) == wanted, cut
            ((name, report),) = reports(store)
            assert name.endswith(os.path.basename(path))
            assert report[0] == "rolled back"
            assert report[2] >= 1
            say(store, next(iter(wanted)), notes=f"cut at {cut}")  # and it goes on
            before = dump(store)
            store.rebuild("the ledgers alone must tell it all")
            after = dump(store)
            assert difference(before, after) == [], cut
            assert contradictions(after) == []
            assert after["things"] == things
            assert reports(store, "Q") == []  # the torn line was not gone on with
        shutil.rmtree(place)


def lines_of(path: str) -> list[bytes]:
    return Path(path).read_bytes().splitlines(True)


def foreign_fact(guid: str, tag: str = "foreign") -> bytes:
    return encode_fact(
        Fact(at=make_stamp((1_764_000_000_000 << 16) + 5, NODES[1][:8]), by=NODES[1], file=guid, tag=[tag])
    )


def put_directory(path: str) -> None:
    os.unlink(path)
    os.mkdir(path)


DAMAGES: dict[str, Callable[[str], None]] = {
    "shortened by a line": lambda path: os.truncate(path, len(b"".join(lines_of(path)[:-1]))),
    "empty": lambda path: os.truncate(path, 0),
    "its first half": lambda path: os.truncate(path, os.path.getsize(path) // 2),
    "deleted": os.unlink,
    "a line gone from the middle": lambda path: write_over(path, lines_of(path)[:5] + lines_of(path)[6:]),
    "lines in another order": lambda path: write_over(path, list(reversed(lines_of(path)))),
    "a bit turned": lambda path: write_over(path, [Path(path).read_bytes().replace(b"file", b"fi,e", 1)]),
    "zeros at its end, as after a power cut": lambda path: write_over(
        path, [Path(path).read_bytes()[:-700], bytes(700)]
    ),
    "all zeros": lambda path: write_over(path, [bytes(os.path.getsize(path))]),
    "garbage instead": lambda path: write_over(path, [random.Random(3).randbytes(5000)]),
    "a directory in its place": put_directory,
}


def write_over(path: str, lines: list[bytes]) -> None:
    Path(path).write_bytes(b"".join(lines))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ledger_is_reported_and_what_was_read_of_it_stays(
    worn: tuple[Path, Machine], tmp_path: Path, damage: str
) -> None:
    with copy_of(worn, tmp_path / "store") as store:
        wanted, things = states(store), dump(store)["things"]
        (path,) = own_segments(store)
        DAMAGES[damage](path)
        assert states(store) == wanted
        assert [name for name, _ in reports(store)] == [os.path.relpath(path, store.layout.ledgers)]
        (new,) = add_files(store, "life goes on.jpg")
        wanted = {**wanted, new: states(store)[new]}
        after = assert_rebuild_changes_nothing(store)
        assert states(store) == wanted
        assert after["things"] == things


def test_a_whole_ledger_folder_lost_is_written_again(worn: tuple[Path, Machine], tmp_path: Path) -> None:
    with copy_of(worn, tmp_path / "store") as store:
        wanted = states(store)
        shutil.rmtree(store.layout.ledgers)
        assert states(store) == wanted
        assert_rebuild_changes_nothing(store)
        assert states(store) == wanted


def test_a_ledger_of_several_segments_lost_is_written_again(tmp_path: Path) -> None:
    with make_store(tmp_path / "store", Machine(2)) as store:
        tags = [f"{'many words ' * 11}{n}" for n in range(16)]  # long lines: few files fill a segment
        for k in range(3):
            add_files(store, *[f"{n} {k} of a long row of pictures.jpg" for n in range(600)], tags=tags)
        assert sum(map(os.path.getsize, own_segments(store))) > 3 * SEAL_BYTES
        wanted = states(store)
        shutil.rmtree(store.layout.ledgers)
        assert states(store) == wanted
        store.rebuild("from the ledgers alone")
        assert states(store) == wanted


def test_a_ledger_cut_back_is_not_gone_on_with_under_its_name(worn: tuple[Path, Machine], tmp_path: Path) -> None:
    # Other nodes hold the longer version; one line under the old name would replace theirs.
    with copy_of(worn, tmp_path / "store") as store:
        add_files(store, "begins the segment of this boot.jpg")
        path = own_segments(store)[-1]
        write_over(path, lines_of(path)[:-1])
        states(store)
        add_files(store, "goes elsewhere.jpg")
        assert os.path.getsize(path) == len(b"".join(lines_of(path)))
        assert len(own_segments(store)) >= 2
        assert own_segments(store)[-1] != path
        assert b"goes elsewhere" not in Path(path).read_bytes()


def test_facts_another_nodes_ledger_lost_are_vouched_for_in_our_own(store: Store) -> None:
    at = [make_stamp((1_764_000_000_000 << 16) + k, NODES[1][:8]) for k in range(4)]
    guid = NODES[3]  # any GUID will do
    first = Fact(at=at[1], by=NODES[1], file=guid, **birth(guid, "there.jpg", NODES[1]))
    path = write_ledger(store.layout.root, "tablet", [first, Fact(at=at[2], by=NODES[1], file=guid, tag=["lost"])])
    wanted = states(store)
    write_over(path, lines_of(path)[:1])
    assert states(store) == wanted
    ours = [line for own in own_segments(store) for line in lines_of(own)]
    (vouched,) = [parse_fact(line.strip()) for line in ours if b'"lost"' in line]
    assert (vouched.at, vouched.by) == (at[2], NODES[1])  # same stamp, same maker
    assert_rebuild_changes_nothing(store)


def test_another_nodes_ledger_that_is_missing_just_comes_later(store: Store) -> None:
    at = make_stamp(1_764_000_000_000 << 16, NODES[1][:8])
    path = write_ledger(store.layout.root, "tablet", [Fact(at=at, by=NODES[1], file=NODES[3], tag=["x"])])
    wanted = states(store)
    os.rename(path, path + ".tmp")
    assert states(store) == wanted
    assert reports(store) == []
    os.rename(path + ".tmp", path)
    assert states(store) == wanted


def test_a_foreign_line_in_the_middle_is_read_and_the_ledger_reported(
    worn: tuple[Path, Machine], tmp_path: Path
) -> None:
    with copy_of(worn, tmp_path / "store") as store:
        guid = next(iter(states(store)))
        (path,) = own_segments(store)
        lines = lines_of(path)
        write_over(path, [*lines[:4], foreign_fact(guid), b"what is this?\n", *lines[4:]])
        assert "foreign" in states(store)[guid]["added"]
        assert len(reports(store)) == 1
        ((name, aside),) = reports(store, "Q")
        assert aside[0] == os.path.relpath(path, store.layout.ledgers)
        assert aside[1] == len(b"".join(lines[:4])) + len(foreign_fact(guid))
        assert aside[4] == "what is this?"
        assert aside[0] in name
        assert_rebuild_changes_nothing(store)


def test_lines_of_garbage_are_set_aside_and_stop_nothing(store: Store) -> None:
    (guid,) = add_files(store, "song.flac")
    good = foreign_fact(guid)
    garbage = [
        b"{",
        b"\xff\xfe\0",
        b"[" * 3000,
        b"null",
        good.strip() + b"}",
        b'{"at":"x"}',
        b"x" * (2 << 20),
        b'{"a":1}' * 3,
    ]
    write_raw(store, "tablet", "20260101T000000.000Z-0000-0badcafe.jsonl", b"\n".join([*garbage, b"", good]))
    assert "foreign" in states(store)[guid]["added"]
    assert len(reports(store, "Q")) == len(garbage)
    assert reports(store) == []
    assert_rebuild_changes_nothing(store)
    assert len(reports(store, "Q")) == len(garbage)


def test_a_line_longer_than_any_may_be_is_not_taken_into_memory_and_is_named(store: Store, machine: Machine) -> None:
    (guid,) = add_files(store, "song.flac")
    path = write_raw(store, "tablet", "20260101T000000.000Z-0000-0badcafe.jsonl", foreign_fact(guid))
    os.truncate(path, LONGEST_READ_BYTES + (2 << 20))  # of nothing but zeros
    with open(path, "ab") as file:
        file.write(b"\n" + foreign_fact(guid, "behind"))
    write_raw(store, "tablet", "20260102T000000.000Z-0000-0badcafe.jsonl", foreign_fact(guid, "later"))
    tags = states(store)[guid]["added"]
    assert {"foreign", "later"} <= set(tags)
    assert "behind" not in tags
    say(store, guid, tag=["mine"])
    assert contradictions(dump(store)) == []
    store.close()
    (told,) = [one for one in examine(store.layout.root, machine.real()) if "longer than any may be" in one.what]
    assert (told.level, told.topic) == ("problem", "ledgers")
    assert "20260101" in told.what


def test_what_is_set_aside_is_forgotten_when_the_ledger_is_mended(store: Store) -> None:
    path = write_raw(store, "tablet", "20260101T000000.000Z-0000-0badcafe.jsonl", b"garbage\n")
    states(store)
    assert len(reports(store, "Q")) == 1
    os.truncate(path, 0)
    states(store)
    assert reports(store, "Q") == []


def test_impossible_facts_are_set_aside_and_stop_nothing(store: Store) -> None:
    (guid,) = add_files(store, "song.flac")
    head = {"at": make_stamp(1_764_000_000_000 << 16, NODES[1][:8]), "by": NODES[1]}
    impossible = [
        {**head, "file": guid, "tag": ["x" * 600]},
        {**head, "tag": "x" * 600, "exists": True},
        {**head, "tag": "jazz", "implies": ["m\0n"]},
        {**head, "file": guid, "purge": {"content": ["no hash"], "seen": {}}},
        {**head, "file": guid, "made": {"name": "../../x", "data": "9c/x"}},
        {**head, "saved": "x" * 600, "query": ""},
    ]
    write_raw(
        store,
        "tablet",
        "20260101T000000.000Z-0000-0badcafe.jsonl",
        b"".join(json.dumps(f).encode() + b"\n" for f in impossible),
    )
    assert len(states(store)) == 1
    assert len(reports(store, "Q")) == len(impossible)
    assert_rebuild_changes_nothing(store)


def test_a_ledger_folder_whose_name_is_no_text_is_read_too(store: Store) -> None:
    (guid,) = add_files(store, "song.flac")
    place = os.path.join(os.fsencode(store.layout.ledgers), b"tab\xfflet")
    os.mkdir(place)
    with open(os.path.join(place, b"20260101T000000.000Z-0000-0badcafe.jsonl"), "wb") as file:
        file.write(b"garbage\n" + foreign_fact(guid))
    assert "foreign" in states(store)[guid]["added"]
    assert len(reports(store, "Q")) == 1
    os.truncate(os.path.join(place, b"20260101T000000.000Z-0000-0badcafe.jsonl"), 8)
    assert "foreign" in states(store)[guid]["added"]
    assert len(reports(store)) == 1


def test_names_as_long_as_they_can_be_are_read_too(store: Store) -> None:
    (guid,) = add_files(store, "song.flac")
    path = write_raw(store, "f" * 255, "n" * 249 + ".jsonl", b"garbage\nmore\n" + foreign_fact(guid))
    assert "foreign" in states(store)[guid]["added"]
    assert reports(store, "Q")
    os.truncate(path, 8)
    assert "foreign" in states(store)[guid]["added"]
    assert len(reports(store)) == 1


def test_half_a_last_line_is_read_when_its_rest_arrives(store: Store) -> None:
    (guid,) = add_files(store, "song.flac")
    line = foreign_fact(guid)
    name = "20260101T000000.000Z-0000-0badcafe.jsonl"
    for byte in range(len(line)):
        assert "foreign" not in states(store)[guid]["added"]
        write_raw(store, "tablet", name, line[byte : byte + 1])
    assert "foreign" in states(store)[guid]["added"]
    assert reports(store, "Q") == reports(store, "R") == []


def test_unknown_kinds_stay_in_their_ledger(store: Store) -> None:
    head = f'{{"at":"{make_stamp(1_764_000_000_000 << 16, NODES[1][:8])}","by":"{NODES[1]}",'
    path = write_raw(
        store, "tablet", "20260101T000000.000Z-0000-0badcafe.jsonl", (head + '"planet":"venus"}\n').encode()
    )
    before = Path(path).read_bytes()
    states(store)
    assert reports(store, "Q") == []
    assert Path(path).read_bytes() == before


def test_own_lines_lost_after_others_had_read_them_make_no_older_copy(
    worn: tuple[Path, Machine], tmp_path: Path
) -> None:
    # A restored backup must stop (seen.json tells); but here the index still knows every line.
    with copy_of(worn, tmp_path / "store") as store:
        (guid,) = add_files(store, "seen by the tablet.jpg")
        wanted = states(store)
        own8 = store.node[:8]
        newest = max(at for state in wanted.values() for node, at in state["latest"].items() if node == own8)
        seen = {"node": NODES[1], "format": 1, "here": "2026-01-01T00:00:00Z", "read": {own8: newest}}
        write_raw(store, "tablet", "seen.json", json.dumps(seen).encode())
        for path in own_segments(store):
            os.unlink(path)
        assert states(store) == wanted
        say(store, guid, notes="it goes on")
        say(store, guid, notes="and on")
        assert_rebuild_changes_nothing(store)


def test_what_an_older_copy_said_is_said_again_once_it_has_got_back_what_others_have_of_it(
    store: Store, machine: Machine
) -> None:
    (guid,) = add_files(store, "song.flac")
    (first,) = own_segments(store)
    machine.reboot()
    say(store, guid, notes="said by the copy, and by nobody else")
    (_, second) = own_segments(store)
    machine.advance(60_000)
    newest = make_stamp(machine.now_ms << 16, store.node[:8])
    seen = {"node": NODES[1], "format": 1, "here": "2026-01-01T00:00:00Z", "read": {store.node[:8]: newest}}
    write_raw(store, "tablet", "seen.json", json.dumps(seen).encode())
    # What only this copy said is taken back before the rest arrives: nothing may be stated in between.
    os.unlink(second)
    before = faces(store)
    with pytest.raises(BehindOwnLedger):
        say(store, guid, notes="not now")
    late = {"at": newest, "by": store.node, "file": guid, "tag": ["late"]}
    with open(first, "ab") as file:
        file.write(json.dumps(late).encode() + b"\n")
    machine.advance(60_000)
    after = faces(store)
    assert "late" in str(after)
    assert "late" not in str(before)
    assert any(b"said by the copy" in line for line in all_lines(store))
    assert_rebuild_changes_nothing(store)
    count = len(all_lines(store))
    say(store, guid, notes="it goes on")
    assert len(all_lines(store)) == count + 1  # and said only once


# -- actions


def test_an_action_that_fails_leaves_nothing_behind(store: Store) -> None:
    (guid,) = add_files(store, "song.flac")
    before, lines = dump(store), all_lines(store)

    def fails(change: object) -> None:
        change.about_file(guid, tag=["never"])  # type: ignore[attr-defined]
        change.about_tag("never", exists=True)  # type: ignore[attr-defined]
        raise KeyError("the person changed their mind")

    with pytest.raises(KeyError):
        store.act(fails)
    assert difference(dump(store), before) == []
    assert all_lines(store) == lines
    say(store, guid, tag=["now"])
    assert_rebuild_changes_nothing(store)


def test_an_action_sees_what_it_stated_itself(store: Store) -> None:
    (guid,) = add_files(store, "song.flac", tags=["a"])

    def state(change: object) -> list[str]:
        change.about_file(guid, tag=["b"])  # type: ignore[attr-defined]
        untag_now(change, guid, "a")  # type: ignore[arg-type]
        untag_now(change, guid, "b")  # type: ignore[arg-type]
        return change.state(guid).tags()  # type: ignore[attr-defined, no-any-return]

    assert store.act(state) == []
    assert_rebuild_changes_nothing(store)


def test_a_purged_file_is_gone_from_every_answer_and_comes_back_whole(store: Store) -> None:
    (guid,) = add_files(store, "song.flac", tags=["music"])
    store.act(lambda change: purge_now(change, guid))
    with store.view() as view:
        assert len(view.posting(0)) == 0
        assert view.count(view.term(1, "music", None) or -1) == 0
        assert view.holders(b"song.flac") == []
    assert_rebuild_changes_nothing(store)
    at = make_stamp((1_764_000_000_000 << 16) + 1, NODES[1][:8])
    write_ledger(store.layout.root, "tablet", [Fact(at=at, by=NODES[1], file=guid, notes="I still need it")])
    with store.view() as view:
        assert len(view.posting(0)) == 1
        assert len(view.named("song.flac")) == 1
    assert_rebuild_changes_nothing(store)


def test_files_of_the_same_name_are_all_marked_in_whatever_order_they_are_touched(store: Store) -> None:
    # The mount shows twins under longer names; `shared` tells it to look.
    one, two = add_files(store, "a.jpg", "b.jpg")

    def state(change: object) -> None:
        change.about_file(two, name="a.jpg")  # type: ignore[attr-defined]
        change.about_file(one, tag=["touched after its twin came"])  # type: ignore[attr-defined]

    store.act(state)
    assert contradictions(dump(store)) == []


def test_who_holds_a_file_nobody_claims_does_not_change_when_a_node_is_heard_of(store: Store) -> None:
    at = [make_stamp((1_764_000_000_000 << 16) + k, NODES[1][:8]) for k in range(9)]
    guid = NODES[3]
    write_ledger(
        store.layout.root,
        "tablet",
        [
            Fact(at=at[1], by=NODES[1], file=guid, made=made(guid), content=content()),
            Fact(at=at[2], by=NODES[1], node=NODES[2], alias="server"),
        ],
    )
    states(store)
    write_ledger(
        store.layout.root,
        "tablet",
        [Fact(at=at[3], by=NODES[1], node="00000000-0000-4000-8000-000000000000", alias="new")],
    )
    assert_rebuild_changes_nothing(store)


def test_a_fact_the_reader_would_refuse_cannot_be_stated(store: Store) -> None:
    # It would be acknowledged, shown, and gone after a rebuild.
    (guid,) = add_files(store, "song.flac")
    for impossible in ({"notes": "x" * (1 << 20)}, {"tag": ["x" * 300]}, {"name": "a/b"}, {"mode": -1}):
        before = dump(store)
        with pytest.raises(BadRequest, match="cannot be kept"):
            say(store, guid, **impossible)
        assert difference(dump(store), before) == []
    assert_rebuild_changes_nothing(store)


# -- the clock


def test_stamps_rise_over_processes_rebuilds_and_a_clock_set_back(tmp_path: Path) -> None:
    machine = Machine(4)
    stamps: list[str] = []
    with make_store(tmp_path / "store", machine) as store:
        (guid,) = add_files(store, "song.flac")
    for ms in (0, 5, -100_000, 0, -MAX_DRAG_MS // 2):
        machine.advance(ms)
        with open_store(tmp_path / "store", machine) as store:
            stamps.append(say(store, guid, notes="x").at)
            if ms == -100_000:
                store.rebuild("the clock must be found again in the ledgers")
            stamps += [fact.at for fact in (say(store, guid, notes="y"), say(store, guid, tag=["z"]))]
            stamps += [store.act(lambda change: change.about_tag("other", exists=True)).at]
    assert stamps == sorted(set(stamps))


def test_a_node_far_ahead_does_not_drag_our_clock_along(tmp_path: Path) -> None:
    machine = Machine(4)
    with make_store(tmp_path / "store", machine) as store:
        (guid,) = add_files(store, "song.flac")
        ahead = make_stamp((machine.now_ms + 400 * MAX_DRAG_MS) << 16, NODES[1][:8])
        write_ledger(store.layout.root, "tablet", [Fact(at=ahead, by=NODES[1], file=guid, tag=["x"])])
        assert say(store, guid, notes="follows what it knows").at > ahead
        after = store.act(lambda change: change.about_tag("other", exists=True)).at
        assert ms_of(after) <= machine.now_ms + MAX_DRAG_MS
        assert node_of(after) == store.node[:8]


def test_a_node_far_ahead_does_not_drag_our_clock_along_through_our_own_ledger(tmp_path: Path) -> None:
    machine = Machine(4)
    with make_store(tmp_path / "store", machine) as store:
        (guid,) = add_files(store, "song.flac")
        ahead = make_stamp((machine.now_ms + 400 * MAX_DRAG_MS) << 16, NODES[1][:8])
        write_ledger(store.layout.root, "tablet", [Fact(at=ahead, by=NODES[1], file=guid, tag=["x"])])
        machine.reboot()
        store.close()
    with open_store(tmp_path / "store", machine) as store:
        say(store, guid, notes="begins a segment")
        store.rebuild("the clock must be found again in the ledgers")
        machine.advance(1000)
        after = store.act(lambda change: change.about_tag("other", exists=True)).at
        assert ms_of(after) <= machine.now_ms + MAX_DRAG_MS
