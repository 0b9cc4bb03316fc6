"""The long random run: programs, commands, crashes and time on a real mount, against the tables of the design.

A Hypothesis machine. Two programs (processes of their own, with threads) make, write,
rename, move, link and remove files by plain and by long names, save as editors save, and
set attributes; commands change the library from beneath; time goes by; the mount is
killed. After each step what the mount did and refused is what `tests.support.tables` says,
directories show what they must, no name passed from one file to another by itself, and
every byte that must be somewhere is. Each run ends with `fsck`, which finds nothing.

The mount is real; its clock and its ticks are in the machine's hands
(`tests.support.steered`), so a failing run is the same each time and gets shortened.
"""

from __future__ import annotations

import errno
import os
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from tagfs.views.names import shown_form
from tagfs.views.saving import RENAME_EXCHANGE, RENAME_NOREPLACE, SECOND_NS
from tests.conftest import PROVE
from tests.support.modelled import PLACES, Modelled
from tests.support.mounting import need_fuse
from tests.support.tables import No, Place

NAMES = [b"doc.txt", b"doc.txt", b"doc.txt~", b"doc.txt.bak", b"new.txt", b".doc.txt.AbC123", b"sedABCDEF"]

SHORTEN_S = 120
"""So long a failing run is shortened."""

who = st.integers(0, 1)
elsewhere = st.booleans()
places = st.sampled_from(PLACES)
names = st.sampled_from(NAMES)
which = st.integers(0, 7)
views = st.integers(0, 11)
by_long = st.booleans()
looks = st.sets(st.integers(0, len(PLACES) - 1), max_size=3)
ticks = st.integers(0, 15)


class AMount(Modelled):
    """See the module."""

    @initialize(twins=st.integers(0, 2))
    def begin(self, twins: int) -> None:
        for tag in "abc":
            assert self.programs[0]("mkdir", self.mount / f"tags/{tag}") == 0
            self.tables.mkdir(tag)
        for number in range(twins):
            self.adds(b"doc.txt", ["a", "b"][number:])

    # -- rules: what programs do

    @rule(program=who, where=places, name=names, elsewhere=elsewhere)
    def makes_a_file(self, program: int, where: Place, name: bytes, elsewhere: bool) -> None:
        if self.tables.exists(where):
            self.makes(program, where, name, elsewhere)

    @rule(
        program=who,
        number=which,
        view=views,
        by_long=by_long,
        flags=st.sampled_from([os.O_TRUNC, os.O_APPEND, 0]),
        elsewhere=elsewhere,
    )
    def writes(self, program: int, number: int, view: int, by_long: bool, flags: int, elsewhere: bool) -> None:
        found = self.pick(number, view, by_long)
        if found is None:
            return
        where, name, file = found
        data = self.fresh()
        self.does(
            lambda: self.tables.append(file, data) if flags == os.O_APPEND else self.tables.overwrite(file, data),
            *(program, "put", self.at(where, name), data, flags),
            elsewhere=elsewhere,
        )
        self.reads(where, name, file)

    @rule(program=who, number=which, view=views, by_long=by_long, size=st.integers(0, 6))
    def cuts(self, program: int, number: int, view: int, by_long: bool, size: int) -> None:
        found = self.pick(number, view, by_long)
        if found is not None:
            where, name, file = found
            self.does(lambda: self.tables.cut(file, size), program, "truncate", self.at(where, name), size)
            self.reads(where, name, file)

    @rule(program=who, number=which, view=views, by_long=by_long, elsewhere=elsewhere)
    def removes_a_file(self, program: int, number: int, view: int, by_long: bool, elsewhere: bool) -> None:
        found = self.pick(number, view, by_long)
        if found is not None:
            self.removes(program, *found, elsewhere=elsewhere)

    @rule(
        program=who,
        number=which,
        view=views,
        by_long=by_long,
        to=st.none() | places,
        name=names,
        onto=st.none() | which,
        keeps=st.booleans(),
        flags=st.sampled_from([0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE]),
    )
    def renames_a_file(
        self,
        program: int,
        number: int,
        view: int,
        by_long: bool,
        to: Place | None,
        name: bytes,
        onto: int | None,
        keeps: bool,
        flags: int,
    ) -> None:
        found = self.pick(number, view, by_long)
        if found is None:
            return
        where, spelled, file = found
        to = where if to is None else to
        if not self.tables.exists(to):
            return
        if onto is not None:
            name = self.pick_in(to, onto, by_long) or name
        elif keeps:
            name = spelled
        self.renames(program, where, spelled, file, to, name, flags)

    @rule(program=who, number=which, view=views, to=places, name=st.none() | names)
    def links(self, program: int, number: int, view: int, to: Place, name: bytes | None) -> None:
        found = self.pick(number, view)
        if found is None or not self.tables.exists(to):
            return
        where, spelled, file = found
        name = name or spelled
        if self.untold:
            self.ticked()  # for a link the kernel asks for the name again, whatever it was told before

        def expected() -> None:
            if self.guid(to, name) is not None:
                raise No(errno.EEXIST)
            self.tables.link(file, to, name)

        done = self.does(expected, program, "link", self.at(where, spelled), self.at(to, name))
        if done is not No:
            self.promises.taken(to.path, shown_form(name), file.guid)
        if done is not No and file.data:
            found_now = self.under_now(to, name)
            assert found_now is None or found_now is file

    @rule(program=who, makes=st.booleans())
    def makes_or_removes_a_tag(self, program: int, makes: bool) -> None:
        if makes:
            self.does(lambda: self.tables.mkdir("d"), program, "mkdir", self.mount / "tags/d")
        else:
            done = self.does(lambda: self.tables.rmdir("d"), program, "rmdir", self.mount / "tags/d")
            if done is not No:
                self.promises.forget_place("tags/d")
                if "tags/d" in self.pinned:
                    os.close(self.pinned.pop("tags/d"))

    @rule(program=who, number=which, view=views, tags=st.sampled_from([b"a", b"a,b", b"b", b"c,b", b"d"]))
    def sets_tags(self, program: int, number: int, view: int, tags: bytes) -> None:
        found = self.pick(number, view)
        if found is not None:
            self.does(
                lambda: self.tables.set_tags(found[2], tags, self.pid(program)),
                *(program, "setxattr", self.at(*found[:2]), "user.xdg.tags", tags),
            )

    @rule(program=who, number=which, view=views, by_long=by_long)
    def sets_an_attribute(self, program: int, number: int, view: int, by_long: bool) -> None:
        found = self.pick(number, view, by_long)
        if found is not None:
            value = self.fresh()
            self.does(
                lambda: self.tables.set_xattr(found[2], "user.colour", value),
                *(program, "setxattr", self.at(*found[:2]), "user.colour", value),
            )

    # -- rules: how programs save

    @rule(
        program=who,
        number=which,
        view=views,
        by_long=by_long,
        how=st.sampled_from(
            [
                "vim",
                "emacs",
                "sed",
                "sed -i.bak",
                "perl -i.bak",
                "install",
                "removed, renamed",
                "word",
                "rsync",
                "exchange",
            ]
        ),
        ticks=ticks,
        pause=st.sampled_from([0, 0, 0, 3, 6]),
        interloper=st.booleans(),
    )
    def saves(
        self, program: int, number: int, view: int, by_long: bool, how: str, ticks: int, pause: int, interloper: bool
    ) -> None:
        found = self.pick(number, view, by_long)
        if found is None or found[2].scrap is not None:
            return
        where, name, _ = found
        step = 0

        def between() -> None:
            nonlocal step
            step += 1
            if ticks >> step & 1:
                self.ticked()
            if pause and step == 1:
                self.goes_by(pause)

        def renamed(old: bytes, new: bytes, flags: int = 0) -> bool:
            found = self.under(where, old)
            done = found is not None and self.renames(program, where, old, found, where, new, flags)
            between()
            return done

        def made(name: bytes) -> bool:
            done = self.makes(1 - program if interloper and step == 2 else program, where, name)
            between()
            return done

        def removed(name: bytes) -> bool:
            found = self.under(where, name)
            done = found is not None and self.removes(program, where, name, found)
            between()
            return done

        backup, draft = name + b"~", b"sedABCDEF"
        match how:
            case "vim":
                _ = renamed(name, backup) and made(name) and removed(backup)
            case "emacs":
                _ = renamed(name, backup) and made(name)
            case "sed":
                _ = made(draft) and renamed(draft, name)
            case "sed -i.bak":
                _ = made(draft) and renamed(name, name + b".bak") and renamed(draft, name)
            case "perl -i.bak":
                _ = renamed(name, name + b".bak") and made(name)
            case "install":
                _ = removed(name) and made(name)
            case "removed, renamed":
                _ = made(b"new.txt") and removed(name) and renamed(b"new.txt", name)
            case "word":
                _ = (
                    made(b"draft.xyz")
                    and renamed(name, name + b".bak")
                    and renamed(b"draft.xyz", name)
                    and removed(name + b".bak")
                )
            case "rsync":
                _ = made(b"." + name[:200] + b".AbC123") and renamed(b"." + name[:200] + b".AbC123", name)
            case "exchange":
                _ = made(b"new.txt") and renamed(b"new.txt", name, RENAME_EXCHANGE)

    @rule(
        program=who,
        where=places,
        name=names,
        temporary=st.sampled_from([b".doc.txt.AbC123", b"doc.txt.part", b"draft.xyz"]),
        times=st.integers(1, 3),
        ticks=ticks,
    )
    def saves_by_a_temporary(
        self, program: int, where: Place, name: bytes, temporary: bytes, times: int, ticks: int
    ) -> None:
        """The same one each time, whether there is a file of the name or not."""
        for time in range(times):
            if self.tables.exists(where) and self.makes(program, where, temporary):
                file = self.under(where, temporary)
                if file is not None:
                    self.renames(program, where, temporary, file, where, name)
            if ticks >> time & 1:
                self.ticked()

    # -- rules: what happens beneath

    @rule(
        name=st.sampled_from(NAMES[:5]), tags=st.sampled_from([["a"], ["a", "b"], ["b"], [], ["c"]]), told=st.booleans()
    )
    def adds_from_beneath(self, name: bytes, tags: list[str], told: bool) -> None:
        self.adds(name, tags, told)

    @rule(number=which, tag=st.sampled_from("abcd"), told=st.booleans())
    def tags_from_beneath(self, number: int, tag: str, told: bool) -> None:
        file = self.living(number)
        if file is None:
            return
        if tag in file.tags:
            file.tags.discard(tag)
            self.beneath("untag", tag, file.guid, told=told)
        else:
            file.tags.add(tag)
            self.beneath("tag", tag, file.guid, told=told)

    @rule(number=which, name=st.sampled_from(NAMES[:5]), told=st.booleans())
    def renames_from_beneath(self, number: int, name: bytes, told: bool) -> None:
        file = self.living(number)
        if file is not None and file.name != name:
            self.tables.renamed_from_beneath(file, name)
            self.beneath("rename", file.guid, name.decode(), told=told)

    @rule(number=which, told=st.booleans())
    def trashes_from_beneath(self, number: int, told: bool) -> None:
        file = self.living(number)
        if file is not None:
            file.trashed = True
            self.beneath("rm", file.guid, told=told)

    @precondition(lambda self: any(file.trashed for file in self.tables.living()))
    @rule(number=which, told=st.booleans())
    def restores_from_beneath(self, number: int, told: bool) -> None:
        found = [file for file in self.tables.living() if file.trashed]
        if found:
            file = found[number % len(found)]
            file.trashed = False
            self.beneath("trash", "restore", file.guid, told=told)

    @rule(remove=st.booleans())
    def lets_c_imply_a(self, remove: bool) -> None:
        if remove == bool(self.tables.implies.get("c")):
            self.tables.implies["c"] = set() if remove else {"a"}
            self.beneath("tags", "imply", "c", "a", *(["--remove"] if remove else []))

    @rule(
        program=who,
        number=which,
        view=views,
        by_long=by_long,
        what=st.sampled_from(["rm", "mv", "tags", "write"]),
        redo=st.booleans(),
    )
    def is_undone(self, program: int, number: int, view: int, by_long: bool, what: str, redo: bool) -> None:
        found = self.pick(number, view, by_long)
        if found is None or found[2].scrap is not None:
            return
        where, name, file = found
        self.goes_by(3)  # more than two seconds of quiet: an action of its own
        before = self.facts()
        match what:
            case "rm":
                self.removes(program, where, name, file)
            case "mv":
                self.renames(program, where, name, file, where, b"another.txt")
            case "tags":
                self.does(
                    lambda: self.tables.set_tags(file, b"b", self.pid(program)),
                    *(program, "setxattr", self.at(where, name), "user.xdg.tags", b"b"),
                )
            case "write":
                data = self.fresh()
                self.does(
                    lambda: self.tables.overwrite(file, data), program, "put", self.at(where, name), data, os.O_TRUNC
                )
        after = self.facts()
        changed = [
            one for one in after if before.get(one, after[one]) != after[one]
        ]  # one that stood there goes to the trash
        if file not in changed:
            return
        for command, then in (("undo", before), ("redo", after))[: 1 + redo]:
            for one in changed:
                name, tags, trashed, data = then[one]
                if one.data != data:
                    one.versions.append(one.data)
                if one.name != name:
                    self.tables.renamed_from_beneath(one, name)
                one.tags, one.trashed, one.data = set(tags), trashed, data
            self.beneath(command)
        if not file.trashed:  # in ids/ are living files
            assert self.mount.read(f"ids/{file.guid}") == file.data

    # -- rules: time, and ends

    @rule(seconds=st.sampled_from([1, 4, 6, 61, 700, 4_000]))
    def time_goes_by(self, seconds: int) -> None:
        self.goes_by(seconds)

    @precondition(lambda self: self.tables.now_ns > 3_700 * SECOND_NS)  # the bytes in scratch have the time of the disk
    @rule()
    def scraps_grow_up(self) -> None:
        self.mount.age()
        self.tables.grow_up()
        self.untold = True

    @precondition(lambda self: self.untold)
    @rule()
    def ticks(self) -> None:
        self.ticked()

    @rule(clean=st.booleans())
    def ends_and_begins(self, clean: bool) -> None:
        self.unpin()
        if 500 < self.tables.now_ns // SECOND_NS <= 600:  # so old is what stands in scratch: see `mounted_again`
            self.goes_by(101)
        if clean:
            self.mount.stop()
        else:
            self.mount.crash()
            self.mount.kill()
        self.mount.start()
        self.tables.mounted_again()
        self.promises.forget()
        self.called.clear()
        self.untold = False

    # -- what must hold

    @rule(numbers=looks)
    def another_mount_of_the_store_shows_the_same(self, numbers: set[int]) -> None:
        self.another_mount_shows([PLACES[number] for number in sorted(numbers)])

    @rule(numbers=looks)
    def directories_show_what_they_must(self, numbers: set[int]) -> None:
        self.ticked()
        for number in sorted(numbers):
            self.shows_all(PLACES[number])


@pytest.mark.timeout(0)  # each run has its own watch; shortening a failing one takes minutes
def test_the_mount_does_what_its_tables_say_whatever_is_done_in_whatever_order() -> None:
    need_fuse()
    # Hypothesis has no setting for it; where the name is gone, a failing run is shortened for as long as it likes.
    with patch("hypothesis.internal.conjecture.engine.MAX_SHRINKING_SECONDS", SHORTEN_S, create=True):
        run_state_machine_as_test(
            AMount,
            settings=settings(
                max_examples=60 if PROVE else 8,
                stateful_step_count=200 if PROVE else 100,
                deadline=None,
                print_blob=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
