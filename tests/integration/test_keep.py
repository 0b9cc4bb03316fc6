"""What is set aside stays as long as it was promised, and as long as it is all there is; and then it goes."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.check.doctor import examine
from tagfs.errors import BadRequest, LytsError, NothingMatched
from tagfs.fact import Content, Made, time_text
from tagfs.guid import new_guid
from tagfs.keep import limits_of, standing
from tagfs.seen import Seen, write_seen
from tagfs.slug import data_path
from tagfs.store import Store
from tagfs.upkeep import keep_up
from tagfs.verbs.history import actions
from tagfs.verbs.trash import empty, expire, expired, in_trash, remove, restore
from tagfs.verbs.trimming import due, survey, trim
from tagfs.verbs.undo import next_to_undo, undo
from tagfs.verbs.versions import InUse, bring_back, kept_version
from tagfs.views.versions import Limits
from tests.support.facts import NODES
from tests.support.stores import Machine, make_store

DAY_MS = 86_400_000
LIMITS = Limits(30, 1 << 40, 30)
NO_ROOM = Limits(30, 0, 30)


@pytest.fixture
def machine() -> Machine:
    return Machine(1, now_ms=time.time_ns() // 1_000_000)  # the times of inodes are real


@pytest.fixture
def store(tmp_path: Path, machine: Machine) -> Iterator[Store]:
    with make_store(tmp_path / "store", machine) as store:
        yield store


def place_of(store: Store, guid: str) -> str:
    made = store.states([guid])[0].made
    assert made is not None
    return store.layout.data("laptop", made.data)


def add(store: Store, name: str, data: bytes) -> str:
    guid = new_guid(store.machine.random_bytes(16))
    path = store.layout.data("laptop", data_path(guid, name))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).write_bytes(data)
    store.act(
        lambda change: change.about_file(
            guid, made=Made(name=name, data=data_path(guid, name)), content=content_at(path), holds={change.node: True}
        )
    )
    return str(guid)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def content_at(path: str, was: str | None = None) -> Content:
    found = os.stat(path)
    return Content(
        sha256=sha(Path(path).read_bytes()), size_bytes=found.st_size, modified=time_text(found.st_mtime_ns), was=was
    )


def save(store: Store, guid: str, data: bytes, action: str | None = None) -> str | None:
    """What a program's save through the mount comes to: the old bytes in keep, the new ones in place, a fact."""
    path = place_of(store, guid)
    was = sha(Path(path).read_bytes())
    kept = kept_version(store.layout, guid, was)
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    if not os.path.exists(kept):
        os.link(path, kept)
    Path(path + ".new").write_bytes(data)
    os.replace(path + ".new", path)

    def state(change: object) -> str | None:
        change.about_file(guid, content=content_at(path, was))  # type: ignore[attr-defined]
        return change.action  # type: ignore[attr-defined, no-any-return]

    return store.act(state, action=action)


def kept(store: Store) -> set[tuple[str, str]]:
    return {(one.guid, one.sha256) for one in standing(store.layout)}


# -- versions


def test_a_version_stays_for_thirty_days_after_it_was_replaced_and_then_goes(store: Store, machine: Machine) -> None:
    guid = add(store, "a.txt", b"one")
    machine.advance(40 * DAY_MS)  # it is not the age of the bytes that counts
    save(store, guid, b"two")
    machine.advance(29 * DAY_MS)
    assert trim(store, machine.now_ms, LIMITS).versions == 0
    machine.advance(2 * DAY_MS)
    done = trim(store, machine.now_ms, LIMITS)
    assert (done.versions, done.stayed, kept(store)) == (1, 0, set())
    assert Path(place_of(store, guid)).read_bytes() == b"two"
    assert not os.path.exists(os.path.dirname(kept_version(store.layout, guid, "0" * 64)))
    with pytest.raises(NothingMatched, match="not on this device any more"):
        bring_back(store, guid, sha(b"one"))


def test_a_content_that_was_current_again_is_young_from_when_it_was_replaced_last(
    store: Store, machine: Machine
) -> None:
    guid = add(store, "a.txt", b"one")
    save(store, guid, b"two")
    machine.advance(31 * DAY_MS)
    save(store, guid, b"one")
    assert trim(store, machine.now_ms, LIMITS).versions == 0  # `one` is current, `two` was a moment ago
    save(store, guid, b"three")
    assert trim(store, machine.now_ms, LIMITS).versions == 0
    assert kept(store) == {(guid, sha(b"one")), (guid, sha(b"two"))}


def test_the_budget_takes_the_oldest_and_never_what_undo_would_bring_back(store: Store, machine: Machine) -> None:
    first, second = add(store, "a.txt", b"a1" * 5000), add(store, "b.txt", b"b1" * 5000)
    for number in (2, 3, 4):
        save(store, first, b"a%d" % number * 5000)
        machine.advance(60_000)
        save(store, second, b"b%d" % number * 5000)
        machine.advance(60_000)
    size = survey(store).versions[0].size_bytes
    assert len(kept(store)) == 6
    assert trim(store, machine.now_ms, Limits(30, 5 * size, 30)).versions == 1
    assert (first, sha(b"a1" * 5000)) not in kept(store)
    assert trim(store, machine.now_ms, NO_ROOM, dry_run=True).versions == 3
    assert trim(store, machine.now_ms, NO_ROOM).versions == 3
    assert kept(store) == {(first, sha(b"a3" * 5000)), (second, sha(b"b3" * 5000))}
    with store.view() as view:
        newest = next_to_undo(view)
    undo(store, newest)
    assert Path(place_of(store, second)).read_bytes() == b"b3" * 5000
    machine.advance(31 * DAY_MS)
    trim(store, machine.now_ms, NO_ROOM)
    assert kept(store) == {(second, sha(b"b3" * 5000))}  # it is current again, and so no earlier content


def test_of_several_saves_in_one_action_the_budget_spares_what_was_before_all_of_them(
    store: Store, machine: Machine
) -> None:
    guid = add(store, "a.txt", b"one")
    action = save(store, guid, b"two")
    save(store, guid, b"three", action)
    save(store, guid, b"four", action)
    assert trim(store, machine.now_ms, NO_ROOM).versions == 2
    assert kept(store) == {(guid, sha(b"one"))}


@pytest.mark.parametrize("harm", ["missing", "damaged", "being written"])
def test_no_version_goes_while_the_current_bytes_are_not_sound(store: Store, machine: Machine, harm: str) -> None:
    guid = add(store, "a.txt", b"one")
    save(store, guid, b"two")
    place = Path(place_of(store, guid))
    if harm == "missing":
        place.unlink()
    elif harm == "damaged":
        place.write_bytes(b"tw0")
    else:
        Path(store.layout.scratch, f"{guid}.written").touch()
    machine.advance(60 * DAY_MS)
    done = trim(store, machine.now_ms, NO_ROOM)
    assert (done.versions, done.stayed, kept(store)) == (0, 1, {(guid, sha(b"one"))})


def test_what_is_no_version_is_never_touched(store: Store, machine: Machine) -> None:
    guid = add(store, "a.txt", b"one")
    keep = store.layout.keep
    stranger = new_guid(store.machine.random_bytes(16))
    current = kept_version(store.layout, guid, sha(b"one"))
    strange = {
        current: b"one",  # bytes about to be replaced: still what the file has by what is stated
        kept_version(store.layout, guid, sha(b"never stated")): b"never stated",
        kept_version(store.layout, stranger, sha(b"x")): b"x",
        os.path.join(keep, "a loose file"): b"x",
        os.path.join(keep, "moves", guid, sha(b"x")): b"x",
        os.path.join(keep, guid[:2], guid, "note.txt"): b"x",
        os.path.join(keep, "zz", guid, sha(b"y")): b"y",
    }
    for path, data in strange.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).write_bytes(data)
    machine.advance(400 * DAY_MS)
    assert trim(store, machine.now_ms, NO_ROOM).versions == 0
    assert {path: Path(path).read_bytes() for path in strange} == strange
    assert survey(store).others == 2


def test_both_sides_of_a_conflict_stay(store: Store, machine: Machine) -> None:
    guid = add(store, "a.txt", b"one")
    save(store, guid, b"two")
    other = kept_version(store.layout, guid, sha(b"three"))
    Path(other).write_bytes(b"three")
    store.act(lambda change: change.about_file(guid, content=content_at(other, sha(b"one"))))
    machine.advance(60 * DAY_MS)
    trim(store, machine.now_ms, NO_ROOM)
    assert (guid, sha(b"three")) in kept(store)


def test_versions_of_a_file_that_was_ended_go_when_it_is_their_time(store: Store, machine: Machine) -> None:
    guid = add(store, "a.txt", b"one")
    save(store, guid, b"two")
    aside = kept_version(store.layout, guid, sha(b"one"))
    os.link(aside, store.layout.root + "/aside")
    remove(store, [guid])
    empty(store, [guid])
    os.makedirs(os.path.dirname(aside), exist_ok=True)
    os.link(store.layout.root + "/aside", aside)  # as if the machine had gone down before it was removed
    assert trim(store, machine.now_ms, LIMITS).versions == 0
    machine.advance(31 * DAY_MS)
    assert trim(store, machine.now_ms, LIMITS).versions == 1
    assert kept(store) == set()


def test_doctor_tells_what_versions_take_and_what_is_due(store: Store, machine: Machine) -> None:
    guid = add(store, "a.txt", b"one")
    save(store, guid, b"two")
    root, real = store.layout.root, machine.real()
    store.close()
    told = {(one.level, one.topic): one.what for one in examine(root, real)}
    assert told["ok", "versions"].startswith("1 earlier contents of files take 1 MiB; each is kept for 30 days")
    assert ("note", "versions") not in told
    machine.advance(31 * DAY_MS)
    assert ("note", "versions") in {(one.level, one.topic) for one in examine(root, real)}
    (said,) = keep_up(root, real, lambda: False)
    assert said.startswith("1 earlier contents of files were let go (")
    assert ("note", "versions") not in {(one.level, one.topic) for one in examine(root, real)}


def test_how_long_and_how_much_stands_in_store_toml(store: Store) -> None:
    usual = limits_of(store.layout)
    assert (usual.versions_days, usual.trash_days) == (30, 30)
    assert 0 < usual.versions_bytes <= 10 << 30
    with open(store.layout.toml, "a", encoding="utf-8") as file:
        file.write('versions_days = 7\nversions_mib = 5\ntrash_days = "soon"\n')
    assert limits_of(store.layout) == Limits(7, 5 << 20, 30)


def test_trimming_that_is_told_to_end_ends_between_two_files(store: Store, machine: Machine) -> None:
    for name in ("a.txt", "b.txt"):
        save(store, add(store, name, name.encode()), b"two")
    machine.advance(31 * DAY_MS)
    asked: list[int] = []

    def ends() -> bool:
        asked.append(1)
        return len(asked) > 1

    assert trim(store, machine.now_ms, LIMITS, ends=ends).versions == 1
    assert len(due(store, machine.now_ms, LIMITS)) == 1


# -- bringing back


def test_bringing_back_does_not_share_bytes_with_a_program_that_has_the_file_open(store: Store) -> None:
    guid = add(store, "a.txt", b"one")
    save(store, guid, b"two")
    with open(place_of(store, guid), "r+b") as program:
        bring_back(store, guid, sha(b"one"))
        program.write(b"xxx")
    assert Path(place_of(store, guid)).read_bytes() == b"one"
    assert Path(kept_version(store.layout, guid, sha(b"two"))).read_bytes() == b"two"


def test_an_earlier_content_of_no_bytes_is_always_to_be_had(store: Store) -> None:
    guid = add(store, "a.txt", b"")
    save(store, guid, b"one")
    place = place_of(store, guid)
    os.unlink(kept_version(store.layout, guid, sha(b"")))  # a mount sets none aside
    bring_back(store, guid, sha(b""))
    assert Path(place).read_bytes() == b""
    bring_back(store, guid, sha(b"one"))
    assert Path(place).read_bytes() == b"one"


def test_bringing_back_is_refused_while_a_program_writes(store: Store) -> None:
    guid = add(store, "a.txt", b"one")
    save(store, guid, b"two")
    with open(place_of(store, guid), "r+b") as program:
        program.write(b"TWO")
        program.flush()
        with pytest.raises(InUse, match="a program is writing"):
            bring_back(store, guid, sha(b"one"))
    assert Path(place_of(store, guid)).read_bytes() == b"TWO"
    assert sorted(os.listdir(store.layout.scratch)) == ["CACHEDIR.TAG", "reserve"]


def test_bringing_back_that_cannot_be_stated_leaves_the_very_bytes_that_stood_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    guid = add(store, "a.txt", b"one")
    save(store, guid, b"two")
    before = os.stat(place_of(store, guid)).st_ino

    def act(*args: object, **options: object) -> None:
        raise BadRequest("not now")

    monkeypatch.setattr(store, "act", act)
    with pytest.raises(LytsError, match="not now"):
        bring_back(store, guid, sha(b"one"))
    assert os.stat(place_of(store, guid)).st_ino == before
    assert sorted(os.listdir(store.layout.scratch)) == ["CACHEDIR.TAG", "reserve"]


# -- the trash


def test_the_trash_expires_after_thirty_days(store: Store, machine: Machine) -> None:
    old, back, later = (add(store, name, name.encode()) for name in ("old", "back", "later"))
    remove(store, [old, back])
    machine.advance(20 * DAY_MS)
    restore(store, [back])
    remove(store, [later, back])
    machine.advance(11 * DAY_MS)
    assert expire(store, machine.now_ms, 30).files == 1
    assert sorted(one.name for one in in_trash(store)) == ["back", "later"]
    assert not os.path.exists(store.layout.data("laptop", data_path(old, "old")))
    machine.advance(20 * DAY_MS)
    assert expire(store, machine.now_ms, 30).files == 2


def test_what_expires_is_nobodys_action_and_undo_goes_on_as_before(store: Store, machine: Machine) -> None:
    old, song = add(store, "old", b"old"), add(store, "song", b"song")
    remove(store, [old])
    machine.advance(31 * DAY_MS)
    store.act(lambda change: change.about_file(song, tag=["music"]))
    with store.view() as view:
        before = [action.action for action in actions(view)]
    assert expire(store, machine.now_ms, 30).files == 1
    with store.view() as view:
        assert [action.action for action in actions(view)] == before
        newest = next_to_undo(view)
    undo(store, newest)
    assert store.states([song])[0].tags() == []
    assert store.states([old])[0].is_purged()


def test_the_trash_waits_until_every_node_that_knows_the_file_has_read_of_it(store: Store, machine: Machine) -> None:
    guid = add(store, "old", b"old")
    other = NODES[0]
    store.act(lambda change: change.about("node", "N", other, alias="tablet"))
    remove(store, [guid])
    at = store.states([guid])[0].registers["trash"][0]
    machine.advance(31 * DAY_MS)
    assert expired(store, machine.now_ms, 30) == []
    folder = os.path.join(store.layout.ledgers, "tablet")
    os.makedirs(folder)
    for read, names in (("", []), (at, ["old"])):
        write_seen(folder, store.layout.scratch, Seen(other, 1, "2026-01-01T00:00:00Z", {store.node[:8]: read}))
        assert [one.name for one in expired(store, machine.now_ms, 30)] == names
    write_seen(folder, store.layout.scratch, Seen(other, 1, "2026-01-01T00:00:00Z", {}))
    store.act(lambda change: change.about_file(guid, knows={other: False}))
    assert [one.name for one in expired(store, machine.now_ms, 30)] == ["old"]  # who may not know it is not asked


def test_what_is_due_is_done_in_one_go_and_what_it_did_is_told(store: Store, machine: Machine) -> None:
    guid, gone = add(store, "a.txt", b"one"), add(store, "gone.txt", b"gone")
    save(store, guid, b"two")
    save(store, gone, b"gone too")
    remove(store, [gone])
    root, real = store.layout.root, machine.real()
    store.close()
    assert keep_up(root, real, lambda: False) == []
    machine.advance(31 * DAY_MS)
    assert keep_up(root, real, lambda: True) == []  # told to end before it began
    expired_, trimmed = keep_up(root, real, lambda: False)
    assert expired_.startswith("1 files that were removed 30 days ago or earlier were deleted for good")
    assert trimmed.startswith("1 earlier contents of files were let go")
    with Store(root, real) as again:
        assert in_trash(again) == []
        assert kept(again) == set()
        assert Path(place_of(again, guid)).read_bytes() == b"two"
