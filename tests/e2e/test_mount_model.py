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
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tagfs.store import Store
from tagfs.views.effects import name_of
from tagfs.views.names import looks_long, shown_form
from tagfs.views.saving import RENAME_EXCHANGE, RENAME_NOREPLACE, SECOND_NS
from tests.conftest import PROVE
from tests.support.mounting import need_fuse
from tests.support.steered import Program, Steered, called
from tests.support.tables import File, No, Place, Promises, Tables, place

PLACES = [
    place(path)
    for path in (
        *("tags/a", "tags/b", "tags/a", "tags/b", "tags/c", "tags/a+b", "tags/b+-a", "tags/a,b"),
        *("tags/d", "all", "untagged", "recent", "trash"),
    )
]
NAMES = [b"doc.txt", b"doc.txt", b"doc.txt~", b"doc.txt.bak", b"new.txt", b".doc.txt.AbC123", b"sedABCDEF"]

SHORTEN_S = 120
"""So long a failing run is shortened."""
WATCH_S = 600.0
"""A mount that is still there after this no longer answers, and is ended."""

who = st.integers(0, 1)
elsewhere = st.booleans()
places = st.sampled_from(PLACES)
names = st.sampled_from(NAMES)
which = st.integers(0, 7)
views = st.integers(0, 11)
by_long = st.booleans()
looks = st.sets(st.integers(0, len(PLACES) - 1), max_size=3)
ticks = st.integers(0, 15)


class AMount(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="lyts-model-"))
        self.mount = Steered(self.home)
        self.programs = [Program(), Program()]
        self.tables = Tables()
        self.promises = Promises()
        self.called: dict[tuple[str, bytes], set[str]] = {}
        """Who was called so in a place since the mount began: the mount itself may have told of a name (`announce`)."""
        self.count = 0
        self.untold = False
        """Something was changed from beneath, and the mount has not looked since."""
        self.steered = ExitStack()
        self.steered.enter_context(self.mount.commands_are_steered())
        self.pinned: dict[str, int] = {}
        """A directory that somebody stands in is not forgotten by the kernel, nor is what was promised there."""
        self.watch = threading.Timer(WATCH_S, self.mount.kill)
        self.watch.daemon = True
        self.watch.start()
        self.mount.start()

    def pin(self, where: Place) -> None:
        if where.path not in self.pinned and self.tables.exists(where):
            self.pinned[where.path] = os.open(self.mount.at / where.path, os.O_PATH | os.O_DIRECTORY)

    def unpin(self) -> None:
        for fd in self.pinned.values():
            os.close(fd)
        self.pinned.clear()

    @initialize(twins=st.integers(0, 2))
    def begin(self, twins: int) -> None:
        for tag in "abc":
            assert self.programs[0]("mkdir", self.mount / f"tags/{tag}") == 0
            self.tables.mkdir(tag)
        for number in range(twins):
            self.adds(b"doc.txt", ["a", "b"][number:])

    def teardown(self) -> None:
        try:
            for program in self.programs:
                program.end()
            self.unpin()
            if self.mount.process is not None:
                self.mount.tick()
                self.mount.stop()
            self.mount.check()
        finally:
            self.watch.cancel()
            self.steered.close()
            self.mount.kill()
            shutil.rmtree(self.home, ignore_errors=True)

    # -- words

    def fresh(self) -> bytes:
        self.count += 1
        return b"<%d>" % self.count

    def at(self, where: Place, name: bytes) -> Path:
        return self.mount.at / where.path / os.fsdecode(name)

    def guid(self, where: Place, name: bytes) -> str | None:
        """The file that a name leads to, as a program asks."""
        self.pin(where)
        try:
            found = os.getxattr(self.at(where, name), "user.lyts.id").decode()
        except OSError as exc:
            assert exc.errno == errno.ENOENT, exc
            return None
        file = self.of(found)
        if self.untold and file is not None and not (self.tables.shows(where, file) and file.is_called(name)):
            # Until then the kernel may go by what it was told, also of a file whose bytes another took elsewhere.
            self.ticked()
            return self.guid(where, name)
        self.promises.seen(where.path, shown_form(name), found, lambda before: self.is_over(name, before))
        return found

    def of(self, guid: str) -> File | None:
        return next((file for file in self.tables.files if file.guid == guid), None)

    def is_over(self, name: bytes, guid: str) -> bool:
        """Whether a name is free: of a scrap that a program took away, or a long one of a file called otherwise."""
        file = self.of(guid)
        return file is not None and (file.began_in_scratch or (looks_long(name) and not file.is_called(name)))

    def under(self, where: Place, name: bytes) -> File | None:
        """The same, as the tables know it; of one that left there is nothing left."""
        guid = self.guid(where, name)
        if guid is None:
            return None
        (file,) = (one for one in self.tables.files if one.guid == guid)
        return file

    def pick(self, number: int, view: int, by_long: bool = False) -> tuple[Place, bytes, File] | None:
        """A file, one of the places in which it is shown, and a name that leads to it there."""
        files = [file for file in self.tables.files if not file.gone]
        if not files:
            return None
        file = files[-1 - number % len(files)]
        shown_in = [where for where in PLACES if self.tables.exists(where) and self.tables.shows(where, file)]
        if not shown_in:
            # In scratch, in the directory of a tag that the last file lost: shown nowhere until it is a file.
            assert file.scrap is not None
            return None
        where = shown_in[view % len(shown_in)]
        return where, self.spelled(where, file, by_long), file

    def spelled(self, where: Place, file: File, by_long: bool) -> bytes:
        """A name that leads to a file in a place."""
        if file.scrap is not None:
            return file.name
        plain = shown_form(file.name)
        if not by_long and self.guid(where, plain) == file.guid:
            return plain
        for name in (file.long, file_long_whole(file)):
            if self.guid(where, name) == file.guid:
                return name
        raise AssertionError(f"no name leads to {file} in {where.path}")

    def pick_in(self, where: Place, number: int, by_long: bool) -> bytes | None:
        """A name of one of the files shown in a place."""
        shown = self.tables.shown(where)
        return self.spelled(where, shown[-1 - number % len(shown)], by_long) if shown else None

    def does(self, expected: Callable[[], Any], program: int, what: str, *words: Any, elsewhere: bool = False) -> Any:
        """A program does something, and the tables say what came of it. What they answer; None where it is refused."""
        try:
            answer, number = expected(), 0
        except No as no:
            answer, number = None, no.number
        said = self.programs[program](what, *words, elsewhere=elsewhere)
        self.untold = True  # of what an operation does in other directories the kernel hears at the next tick
        assert said == number, f"{what}: {called(said)} instead of {called(number)}"
        self.mount.quiet()
        return answer if number == 0 else No

    def pid(self, program: int) -> int:
        return self.programs[program].pid

    def ticked(self) -> None:
        self.mount.tick()
        self.untold = False
        self.notes_names()

    def notes_names(self) -> None:
        for where in dict.fromkeys(PLACES):
            for file in self.tables.shown(where):
                self.called.setdefault((where.path, shown_form(file.name)), set()).add(file.guid)

    def may_be_promised(self, where: Place, name: bytes, guid: str) -> bool:
        """Whether somebody other than this file may have been given a name: without having asked we need not know.

        The long name of another is as good as given, also where only an earlier one was met: what was promised
        of long names is kept by file.
        """
        return (
            self.promises.other_than(where.path, name, guid)
            or bool(self.called.get((where.path, name), set()) - {guid})
            or any(
                file.guid not in ("", guid) and looks_long(name) and file.is_called(name) for file in self.tables.files
            )
        )

    # -- steps that rules are made of

    def makes(self, program: int, where: Place, name: bytes, elsewhere: bool = False) -> bool:
        """A program makes a file under a name that leads to nothing."""
        if self.guid(where, name) is not None:
            said = self.programs[program]("put", self.at(where, name), b"!", os.O_CREAT | os.O_EXCL)
            assert said == errno.EEXIST, called(said)
            return False
        data = self.fresh()
        count = len(self.tables.files)
        file = self.does(
            lambda: self.tables.create(where, name, data, self.pid(program)),
            program,
            *("put", self.at(where, name), data, os.O_CREAT | os.O_EXCL),
            elsewhere=elsewhere,
        )
        if file is No:
            return False
        self.is_new(where, count)
        assert file.is_called(name), f"{file} came of making {name!r}"
        self.is_here(where, name, file)
        return True

    def is_new(self, where: Place, count: int) -> None:
        """Get to know the files that the last step has made: the mount says what their GUIDs are."""
        for path, name, file in self.tables.given:
            self.promises.taken(path, shown_form(name), file.guid)
        self.tables.given.clear()
        for file in self.tables.files[count:]:
            if not file.gone and not file.guid:
                found = os.getxattr(self.at(where, file.name), "user.lyts.id").decode()
                assert found not in {one.guid for one in self.tables.files}, f"{found} is not new"
                file.guid = found
                self.promises.taken(where.path, shown_form(file.name), file.guid)

    def is_here(self, where: Place, name: bytes, file: File) -> None:
        """A name leads to a file now, because a program made it so."""
        self.promises.taken(where.path, shown_form(name), file.guid)
        if self.tables.shows(where, file):
            assert self.guid(where, name) == file.guid
            self.reads(where, name, file)

    def reads(self, where: Place, name: bytes, file: File) -> None:
        found = self.at(where, name).read_bytes()
        assert found == file.data, f"{where.path}/{os.fsdecode(name)} of {file} has {found!r}"
        assert self.at(where, name).stat().st_size == len(file.data)

    def removes(self, program: int, where: Place, name: bytes, file: File, elsewhere: bool = False) -> bool:
        return (
            self.does(
                lambda: self.tables.unlink(where, name, file, self.pid(program)),
                *(program, "unlink", self.at(where, name)),
                elsewhere=elsewhere,
            )
            is not No
        )

    def renames(
        self, program: int, where: Place, name: bytes, file: File, to: Place, to_name: bytes, flags: int = 0
    ) -> bool:
        standing = self.under(to, to_name)
        if flags == RENAME_EXCHANGE and (
            file.scrap is not None or (standing is not None and standing.scrap is not None)
        ):
            flags = 0
        data, count = file.data, len(self.tables.files)
        done = self.does(
            lambda: self.tables.rename(where, name, file, to, to_name, standing, self.pid(program), flags),
            *(program, "rename", self.at(where, name), self.at(to, to_name), flags),
        )
        if done is No:
            return False
        self.is_new(to, count)
        if standing is file:
            return True
        for spelled, place_of in ((to_name, to), (name, where)):
            found = self.under_now(place_of, spelled)
            if found is not None:
                self.is_here(place_of, spelled, found)
        if to.kind != "trash":
            assert self.at(to, to_name).read_bytes() == data
        return True

    def under_now(self, where: Place, name: bytes) -> File | None:
        """What a name leads to after a program gave it to someone."""
        try:
            guid = os.getxattr(self.at(where, name), "user.lyts.id").decode()
        except OSError:
            return None
        return self.of(guid)

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

    def beneath(self, *words: str, told: bool = True) -> None:
        self.mount.lyts.quick(*words)
        if told:
            self.ticked()
        else:
            self.mount.quiet()
            self.untold = True

    def adds(self, name: bytes, tags: list[str], told: bool = True) -> None:
        data = self.fresh()
        path = self.mount.lyts.file(b"%d/" % self.count + name, data)
        file = self.tables.new(name, data, tags)
        found = self.mount.lyts.json("add", *(["-t", ",".join(tags)] if tags else []), path)
        file.guid = found[0]["guid"]
        self.beneath("find", told=told)

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

    def living(self, number: int) -> File | None:
        found = [file for file in self.tables.living() if not file.trashed]
        return found[number % len(found)] if found else None

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

    def facts(self) -> dict[File, tuple[bytes, frozenset[str], bool, bytes]]:
        """What undo and redo answer."""
        return {file: (file.name, frozenset(file.tags), file.trashed, file.data) for file in self.tables.living()}

    # -- rules: time, and ends

    def goes_by(self, seconds: int) -> None:
        self.mount.advance(seconds)
        self.tables.now_ns += seconds * SECOND_NS

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
    def directories_show_what_they_must(self, numbers: set[int]) -> None:
        self.ticked()
        for number in sorted(numbers):
            self.shows_all(PLACES[number])

    def shows_all(self, where: Place) -> None:
        if not self.tables.exists(where):
            return
        expected = self.tables.shown(where)
        listed = {os.fsencode(name) for name in os.listdir(self.mount.at / where.path)}
        found: dict[str, bytes] = {}
        for name in sorted(listed):
            guid = self.guid(where, name)
            assert guid is not None, f"{name!r} is listed in {where.path} and leads to nothing"
            assert guid not in found, f"{name!r} and {found[guid]!r} in {where.path} are one file"
            found[guid] = name
        assert set(found) == {file.guid for file in expected}, f"{where.path}: {listed} instead of {expected}"
        for file in expected:
            name = found[file.guid]
            mine = shown_form(file.name)
            if name != mine:
                assert looks_long(name), f"{file} is called {name!r} in {where.path}"
                alike = [other for other in expected if other.is_called(mine)]  # `mine` may be a long name of another
                assert len(alike) > 1 or self.may_be_promised(where, mine, file.guid), (
                    f"{file} shows {name!r} in {where.path} without need"
                )
            self.reads(where, name, file)
            if where.kind != "trash" and file.scrap is None:
                tags = self.mount.tags(f"{where.path}/{os.fsdecode(name)}")
                assert tags == sorted(file.tags), f"{file} has {tags}"

    def library_is_as_the_tables_say(self) -> None:
        files = [file for file in self.tables.files if file.guid]
        with Store(str(self.mount.lyts.store)) as store:
            store.catch_up_if_behind()  # births are in the ledger before the mount's index has them
            states = store.states([file.guid for file in files])
        for file, state in zip(files, states, strict=True):
            is_file = state.made is not None and not state.is_purged()
            assert is_file == (file.scrap is None and not file.gone), f"{file} is {'' if is_file else 'no '}file"
            if is_file:
                found = (name_of(state).encode(), set(state.tags()), state.is_trashed())
                assert found == (file.name, file.tags, file.trashed), f"{file} is {found}"

    def check_invariants(self, *args: Any, **kwargs: Any) -> None:
        super().check_invariants(*args, **kwargs)
        self.notes_names()
        self.library_is_as_the_tables_say()
        lost = self.tables.bytes() - set(self.mount.kept().values())
        assert not lost, f"lost: {lost}"


def file_long_whole(file: File) -> bytes:
    from tagfs.views.names import DIGITS, long_name

    return long_name(shown_form(file.name), file.guid, DIGITS[-1])


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
