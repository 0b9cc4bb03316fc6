"""Saving: whatever programs do in whatever order, no identity and no acknowledged byte is lost, and no twin is hit."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tagfs.views.names import ImpossibleName
from tagfs.views.saving import (
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    SECOND_NS,
    VACANT_KEPT,
    ActionGroups,
    ContinueIdentity,
    DropBackup,
    Kept,
    Move,
    NewFile,
    RestoreIdentity,
    Saving,
    TakeBytes,
    versions_to_drop,
)
from tests.support.desk import Denied, Desk, long_form

NAMES = [b"doc", b"doc~", b"doc.bak", b"tmp", b".doc.AbC123", b"other"]
DIRS = ["music", "jazz"]
names = st.sampled_from(NAMES)
dirs = st.sampled_from(DIRS)
processes = st.sampled_from([0, 1, 2])
kept_names = st.integers(0, 30)


class AMount(RuleBasedStateMachine):
    """Two directories with namesakes, three processes, changes from beneath."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        for name in (b"doc", b"doc", b"doc~", b"other"):
            self.desk.put(name, b"first %d" % len(self.desk.things), *DIRS[len(self.desk.things) % 2 :])
        self.n = 0

    def name(self, name: bytes, n: int) -> bytes:
        """Mostly a plain name, now and then the long one of some file."""
        thing = self.desk.things.get(n)
        return name if thing is None or thing.scratch else long_form(thing)

    def fresh(self) -> bytes:
        self.n += 1
        return b"content %d" % self.n

    @rule(where=dirs, name=names, long=kept_names, tgid=processes, excl=st.booleans())
    def saves(self, where: str, name: bytes, long: int, tgid: int, excl: bool) -> None:
        name = self.name(name, long)
        data = self.fresh()
        before = {thing.ordinal: thing.data for thing in self.desk.stored()}
        met = self.desk.find(where, name)
        try:
            handle = self.desk.open(where, name, tgid, excl=excl, trunc=True)
        except (Denied, ImpossibleName):
            return
        if met is not None:
            assert handle is met, "what was opened is what the name led to"
        self.desk.write(handle, data)
        self.desk.close(handle)
        assert self.desk.find(where, name) is handle
        for thing in self.desk.stored():
            if thing is not handle and thing.ordinal in before and not thing.trashed:
                # Only a backup whose name was given back may have got other bytes: those of what it backs up.
                assert thing.data == before[thing.ordinal] or thing.data in handle.versions

    @rule(where=dirs, name=names, long=kept_names, tgid=processes)
    def removes(self, where: str, name: bytes, long: int, tgid: int) -> None:
        try:
            self.desk.unlink(where, self.name(name, long), tgid)
        except Denied:
            return
        assert self.desk.find(where, name) is None or long in self.desk.things

    @rule(
        where=dirs,
        to=dirs,
        name=names,
        new=names,
        long=kept_names,
        tgid=processes,
        flags=st.sampled_from([0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE]),
    )
    def renames(self, where: str, to: str, name: bytes, new: bytes, long: int, tgid: int, flags: int) -> None:
        name = self.name(name, long)
        source = self.desk.find(where, name)
        target = self.desk.find(to, new)
        if flags == RENAME_EXCHANGE and (source is None or target is None or source.scratch or target.scratch):
            return  # of scratch: the adapter's own affair
        data = None if source is None else source.data
        try:
            self.desk.rename(where, name, new, tgid, to, flags)
        except Denied:
            return
        found = self.desk.find(to, new)
        assert found is not None
        assert found.data == data, "what is read under the new name is what was renamed to it"

    @rule(n=st.integers(0, 5), where=dirs)
    def enters_from_beneath(self, n: int, where: str) -> None:
        thing = self.desk.things.get(n)
        if thing is not None and not thing.scratch and not thing.gone:
            self.desk.beneath_enter(thing, where)

    @rule(n=st.integers(0, 5), where=dirs)
    def leaves_from_beneath(self, n: int, where: str) -> None:
        thing = self.desk.things.get(n)
        if thing is not None and not thing.scratch and not thing.gone:
            self.desk.beneath_leave(thing, where)

    @rule(seconds=st.sampled_from([1, 4, 6, 700, 4_000]))
    def time_goes_by(self, seconds: int) -> None:
        self.desk.now_ns += seconds * SECOND_NS

    @rule(where=dirs)
    def lists(self, where: str) -> None:
        for name, thing in self.desk.ls(where).items():
            assert self.desk.find(where, name) is thing

    @invariant()
    def every_acknowledged_byte_is_somewhere(self) -> None:
        assert self.desk.acknowledged <= self.desk.bytes_somewhere()

    @invariant()
    def first_files_are_still_files(self) -> None:
        """Only what a program made minutes ago, and saved into something or set aside, ceases to be a file."""
        for n in range(4):
            assert not self.desk.things[n].gone

    @invariant()
    def memory_is_consistent(self) -> None:
        saving = self.desk.saving
        assert {key: vacancy.file for key, vacancy in saving._vacant.items()} == {
            key: file for file, key in saving._left.items()
        }
        assert {vacancy.backup_keeps for vacancy in saving._vacant.values()} - {None} == set(saving._keeps)


TestAMount = AMount.TestCase


events = st.lists(
    st.one_of(
        st.tuples(st.just("create"), dirs, names, processes),
        st.tuples(st.just("unlink"), dirs, names, processes),
        st.tuples(st.just("rename"), dirs, names, names, processes),
        st.tuples(st.just("wait"), st.sampled_from([1, 6, 700])),
    ),
    max_size=40,
)


@given(events)
def test_no_identity_is_given_twice_or_from_nowhere(events: list[tuple[object, ...]]) -> None:
    """Against the plainest model there is: a name leads to one file, and who is nowhere was removed or dissolved."""
    saving: Saving[int] = Saving()
    at: dict[tuple[object, object], int] = {}
    removed: set[int] = set()
    dissolved: set[int] = set()
    count = now = 0

    def place(key: tuple[object, object], file: int) -> None:
        assert file not in at.values(), "one identity under two names"
        assert file not in dissolved
        assert key not in at
        removed.discard(file)
        at[key] = file

    def back(how: object, key: tuple[object, object], tgid: object) -> int:
        nonlocal count
        assert isinstance(how, ContinueIdentity | RestoreIdentity)
        if isinstance(how, RestoreIdentity):
            assert how.file in removed
        else:
            where = next(k for k, file in at.items() if file == how.file)
            assert where == (key[0], how.backup_name), "it still stands where it was set aside"
            del at[where]
            if how.backup_keeps is not None:
                assert how.backup_keeps in removed
                place(where, how.backup_keeps)
            else:
                count += 1
                saving.backup_made(count, how.file, int(str(tgid)), now)
                place(where, count)
        place(key, how.file)
        return int(how.file)

    for event in events:
        now += 1
        match event:
            case ("wait", int(seconds)):
                now += seconds * SECOND_NS
            case ("create", where, bytes(name), int(tgid)):
                if (where, name) in at:
                    continue
                answer = saving.create(where, name, tgid, now)
                if answer == NewFile():
                    count += 1
                    saving.made(count, now)
                    place((where, name), count)
                else:
                    assert tgid != 0
                    back(answer, (where, name), tgid)
            case ("unlink", where, bytes(name), int(tgid)):
                file = at.pop((where, name), None)
                if file is None:
                    continue
                if isinstance(saving.unlink(where, name, file, tgid, now), DropBackup):
                    dissolved.add(file)
                else:
                    removed.add(file)
            case ("rename", where, bytes(name), bytes(new), int(tgid)):
                file = at.get((where, name))
                if file is None:
                    continue
                target = at.get((where, new))
                answer2 = saving.rename(where, name, file, where, new, target, tgid, now)
                match answer2:
                    case Move(to_trash):
                        assert to_trash == target
                        if target is not None:
                            removed.add(at.pop((where, new)))
                        place((where, new), at.pop((where, name)))
                    case TakeBytes(taker, giver, first):
                        assert giver == file
                        dissolved.add(at.pop((where, name)))
                        if first is None:
                            assert taker == target
                        else:
                            assert back(first, (where, new), tgid) == taker
    assert set(range(1, count + 1)) == set(at.values()) | removed | dissolved
    assert len(saving._vacant) <= VACANT_KEPT


@given(
    st.lists(st.builds(Kept, st.sampled_from("ab"), st.text("01", max_size=3), st.integers(0, 9), st.integers(0, 99))),
    st.integers(0, 60),
    st.integers(0, 99),
)
def test_what_is_left_of_the_versions_fits_and_is_the_newest(kept: list[Kept], budget: int, span: int) -> None:
    go = versions_to_drop(kept, 99, budget, span)
    left = list((Counter(kept) - Counter(go)).elements())
    assert Counter(go) + Counter(left) == Counter(kept)
    assert sum(version.size_bytes for version in left) <= budget or not left
    assert all(99 - version.kept_at_ns <= span for version in left)
    if go and left:
        assert max(version.kept_at_ns for version in go) <= min(version.kept_at_ns for version in left)
    if go:  # not one more than needed
        last = go[-1]
        assert 99 - last.kept_at_ns > span or sum(v.size_bytes for v in left) + last.size_bytes > budget


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3 * SECOND_NS)), max_size=30))
def test_actions_part_exactly_where_a_process_paused(steps: list[tuple[int, int]]) -> None:
    groups = ActionGroups()
    now, last, actions = 0, dict[int, int](), dict[int, str]()
    for number, (tgid, wait) in enumerate(steps):
        now += wait
        found = groups.action(tgid, now)
        expected = actions[tgid] if tgid in last and now - last[tgid] < 2 * SECOND_NS else None
        assert found == expected
        actions[tgid] = found or f"action {number}"
        groups.done(tgid, actions[tgid], now)
        last[tgid] = now
