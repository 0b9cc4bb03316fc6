"""The long random run without its rules: a mount, the tables it is compared with, and the steps rules are made of.

`Modelled` knows what programs may do (`does`: the tables say what came of it, and the mount
must say the same), by which names files can be met and which of them are promised, what
commands do from beneath, and what must hold after each step. The rules, and what is drawn
for them, are in `tests/e2e/test_mount_model.py`.
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

from hypothesis.stateful import RuleBasedStateMachine

from tagfs.store import Store
from tagfs.views.effects import name_of
from tagfs.views.names import looks_long, shown_form
from tagfs.views.saving import RENAME_EXCHANGE, SECOND_NS
from tests.support.steered import Program, Steered, called
from tests.support.tables import File, No, Place, Promises, Tables, place

PLACES = [
    place(path)
    for path in (
        *("tags/a", "tags/b", "tags/a", "tags/b", "tags/c", "tags/a+b", "tags/b+-a", "tags/a,b"),
        *("tags/d", "all", "untagged", "recent", "trash"),
    )
]
WATCH_S = 600.0
"""A mount that is still there after this no longer answers, and is ended."""


class Modelled(RuleBasedStateMachine):
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

    # -- beneath, and time

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

    def living(self, number: int) -> File | None:
        found = [file for file in self.tables.living() if not file.trashed]
        return found[number % len(found)] if found else None

    def facts(self) -> dict[File, tuple[bytes, frozenset[str], bool, bytes]]:
        """What undo and redo answer."""
        return {file: (file.name, frozenset(file.tags), file.trashed, file.data) for file in self.tables.living()}

    def goes_by(self, seconds: int) -> None:
        self.mount.advance(seconds)
        self.tables.now_ns += seconds * SECOND_NS

    # -- what must hold

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

    def another_mount_shows(self, places: list[Place]) -> None:
        """A second mount of the store comes, shows what this one does but for what stands in its scratch, and goes."""
        self.ticked()
        other = Steered(self.home, seed=1_000_000 + self.count)
        other.at, other.passed_ns = self.home / "another", self.mount.passed_ns
        try:
            other.start()
            for where in places:
                if self.tables.exists(where):
                    at = other.at / where.path
                    found = {os.getxattr(at / name, "user.lyts.id").decode(): at / name for name in os.listdir(at)}
                    expected = {file.guid: file for file in self.tables.shown(where) if file.scrap is None}
                    assert set(found) == set(expected), f"another mount shows {found} in {where.path}"
                    for guid, path in found.items():
                        assert path.read_bytes() == expected[guid].data, f"{path} of {expected[guid]}"
            other.stop()
        finally:
            other.kill()


def file_long_whole(file: File) -> bytes:
    from tagfs.views.names import DIGITS, long_name

    return long_name(shown_form(file.name), file.guid, DIGITS[-1])
