"""A mount in memory that does what `views.names` and `views.saving` say, and nothing of its own.

It shows what the adapter has to feed and to do. What it does not fake: errors in the
middle, open handles of removed files, tags beyond "in this directory", several nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from pyroaring import BitMap

from tagfs.guid import new_guid
from tagfs.views.names import Listing, Sticky, long_name, new_name, shown_form, strip_own_suffix
from tagfs.views.saving import (
    ContinueIdentity,
    DropBackup,
    ExchangeBytes,
    ExchangeNames,
    KeepVersion,
    Move,
    NewFile,
    Nothing,
    Refused,
    RestoreIdentity,
    Saving,
    TakeAway,
    TakeBytes,
    ToTrash,
)
from tagfs.views.temporary import is_temporary

MS = 10**6
START_NS = 1_000 * 10**9


@dataclass
class Thing:
    """A file of the store, or one in scratch."""

    ordinal: int
    guid: str
    name: bytes
    data: bytes = b""
    dirs: set[str] = field(default_factory=set)
    trashed: bool = False
    gone: bool = False  # took its bytes elsewhere: no file any more
    scratch: bool = False
    versions: list[bytes] = field(default_factory=list)


class Here:
    """`names.Files` of one directory."""

    def __init__(self, desk: Desk, directory: str) -> None:
        self.desk = desk
        self.directory = directory

    def first(self, name: bytes, among: BitMap | None = None) -> int | None:
        for thing in self.desk.stored():  # in order of birth
            if thing.name == name and (thing.ordinal in self if among is None else thing.ordinal in among):
                return thing.ordinal
        return None

    def __contains__(self, ordinal: int) -> bool:
        thing = self.desk.things.get(ordinal)
        return thing is not None and not thing.scratch and not thing.gone and self.directory in thing.dirs

    def shared(self, ordinal: int) -> bool:
        name = self.desk.things[ordinal].name
        return sum(thing.name == name for thing in self.desk.stored()) > 1

    def name(self, ordinal: int) -> bytes:
        return self.desk.things[ordinal].name

    def guid(self, ordinal: int) -> str:
        return self.desk.things[ordinal].guid

    def with_id(self, digits: str, among: BitMap | None = None) -> Iterable[int]:
        return [
            thing.ordinal
            for thing in self.desk.stored()
            if thing.guid.replace("-", "").startswith(digits)
            and (thing.ordinal in self if among is None else thing.ordinal in among)
        ]


class Denied(Exception):
    """An errno."""


class Desk:
    """The store and its mount."""

    def __init__(self, guids: Iterable[str] = ()) -> None:
        self.things: dict[int, Thing] = {}
        self.saving: Saving[int] = Saving()
        self.sticky: dict[str, Sticky] = {}
        self.now_ns = START_NS
        self.acknowledged: set[bytes] = set()
        """Every content of a file of the store that was there when a handle was closed."""
        self._guids = iter(guids)
        self._opened: dict[int, int] = {}

    # -- the store

    def stored(self) -> list[Thing]:
        return [thing for thing in self.things.values() if not thing.scratch and not thing.gone]

    def put(self, name: bytes, data: bytes, *dirs: str, scratch: bool = False) -> Thing:
        """A file comes into the store from beneath."""
        ordinal = len(self.things)
        guid = next(self._guids, None) or new_guid(sha256(b"%d" % ordinal).digest()[:16])
        thing = self.things[ordinal] = Thing(ordinal, guid, name, data, set(dirs), scratch=scratch)
        if data and not scratch:
            self.acknowledged.add(data)
        return thing

    def beneath_leave(self, thing: Thing, directory: str) -> None:
        thing.dirs.discard(directory)
        self._sticky(directory).left(thing.ordinal, thing.name)
        self.saving.forget(thing.ordinal)

    def beneath_enter(self, thing: Thing, directory: str) -> None:
        thing.dirs.add(directory)
        thing.trashed = False
        self.saving.forget(thing.ordinal)

    def beneath_rename(self, thing: Thing, name: bytes) -> None:
        self._set_name(thing, name)
        self.saving.forget(thing.ordinal)

    def bytes_somewhere(self) -> set[bytes]:
        return {data for thing in self.stored() for data in (thing.data, *thing.versions)}

    # -- what programs call

    def find(self, directory: str, name: bytes) -> Thing | None:
        for thing in self.things.values():
            if thing.scratch and not thing.gone and directory in thing.dirs and thing.name == shown_form(name):
                return thing
        ordinal = self._sticky(directory).resolve(name, Here(self, directory))
        return None if ordinal is None else self.things[ordinal]

    def ls(self, directory: str, page: int = 2) -> dict[bytes, Thing]:
        """What a listing shows."""
        here = Here(self, directory)
        listing = Listing(self._sticky(directory))
        members = [thing for thing in self.stored() if directory in thing.dirs]
        out: dict[bytes, Thing] = {}
        for at in range(0, len(members), page):
            part = members[at : at + page]
            shown = listing.page(
                [t.ordinal for t in part], [t.name for t in part], [here.shared(t.ordinal) for t in part], here
            )
            for name, thing in zip(shown, part, strict=True):
                assert name not in out, "a name appears twice"
                out[name] = thing
        for thing in self.things.values():
            if thing.scratch and not thing.gone and directory in thing.dirs:
                assert thing.name not in out, "a name appears twice"
                out[thing.name] = thing
        return out

    def read(self, directory: str, name: bytes) -> bytes | None:
        thing = self.find(directory, name)
        return None if thing is None else thing.data

    def open(
        self, directory: str, name: bytes, tgid: int, create: bool = True, excl: bool = False, trunc: bool = False
    ) -> Thing:
        """open(2) for writing."""
        self.now_ns += MS
        thing = self.find(directory, name)
        if thing is not None:
            if excl:
                raise Denied("EEXIST")
            if trunc:
                self.truncate(thing)
            return thing
        if not create:
            raise Denied("ENOENT")
        return self._create(directory, name, tgid)

    def truncate(self, thing: Thing) -> None:
        match self.saving.truncate(thing.ordinal, 0, len(thing.data)):
            case KeepVersion(ordinal) if not thing.scratch:
                self.things[ordinal].versions.append(thing.data)
            case _:
                pass
        thing.data = b""

    def write(self, thing: Thing, data: bytes) -> None:
        self.saving.wrote(thing.ordinal)
        thing.data = data

    def close(self, thing: Thing) -> None:
        self.saving.settled(thing.ordinal)
        if not thing.scratch and not thing.gone:
            self.acknowledged.add(thing.data)

    def save(self, directory: str, name: bytes, tgid: int, data: bytes, **how: bool) -> Thing:
        """open, write, close."""
        thing = self.open(directory, name, tgid, **how)
        self.write(thing, data)
        self.close(thing)
        return thing

    def unlink(self, directory: str, name: bytes, tgid: int) -> None:
        self.now_ns += MS
        thing = self.find(directory, name)
        if thing is None:
            raise Denied("ENOENT")
        if thing.scratch:
            thing.gone = True
            self._sticky(directory).vacate(thing.name, Here(self, directory))
            return
        was = (thing.name, frozenset(thing.dirs))
        match self.saving.unlink(directory, name, thing.ordinal, tgid, self.now_ns, was):
            case DropBackup(backup, original):
                assert backup == thing.ordinal
                assert thing.data in self.things[original].versions
                self._retire(thing, self.things[original])
            case ToTrash(_):
                self._trash(thing)
            case TakeAway():
                thing.dirs.discard(directory)
                self._sticky(directory).left(thing.ordinal, thing.name)

    def rename(
        self, directory: str, name: bytes, to_name: bytes, tgid: int, to_directory: str | None = None, flags: int = 0
    ) -> None:
        self.now_ns += MS
        to_directory = directory if to_directory is None else to_directory
        source = self.find(directory, name)
        if source is None:
            raise Denied("ENOENT")
        new_name(to_name)
        target = self.find(to_directory, to_name)
        if flags & 1 and target is not None:
            raise Denied("EEXIST")
        if target is not None and target.scratch and target is not source:
            target.gone = True
            self._sticky(to_directory).vacate(target.name, Here(self, to_directory))
            target = None
        answer = self.saving.rename(
            directory,
            name,
            source.ordinal,
            to_directory,
            to_name,
            None if target is None else target.ordinal,
            tgid,
            self.now_ns,
            flags,
            (source.name, frozenset(source.dirs)),
            in_scratch=source.scratch,
        )
        match answer:
            case Refused(errno_name):
                raise Denied(errno_name)
            case Nothing():
                pass
            case Move(to_trash):
                if to_trash is not None:
                    self._trash(self.things[to_trash])
                self._move(source, directory, to_directory, to_name)
            case TakeBytes(taker, giver, first):
                assert giver == source.ordinal
                taking = self.things[taker]
                if first is not None:
                    self._come_back(directory, to_name, first, tgid)
                else:
                    taking.versions.append(taking.data)
                taking.data = source.data
                self.acknowledged.add(taking.data)
                self._retire(source, taking)
            case ExchangeBytes(keeps, made):
                mine, other = self.things[keeps], self.things[made]
                mine.versions.append(mine.data)
                mine.data, other.data = other.data, mine.data
            case ExchangeNames():
                assert target is not None
                if directory != to_directory or (source.name, target.name) != (new_name(name), new_name(to_name)):
                    raise Denied("EINVAL")  # a long name belongs to one file, and tags are not exchanged here
                mine_name, other_name = source.name, target.name
                self._set_name(source, other_name)
                self._set_name(target, mine_name)
                for thing in (source, target):
                    self._sticky(directory).takes_over(thing.name, thing.ordinal, Here(self, directory))

    # -- inside

    def _sticky(self, directory: str) -> Sticky:
        return self.sticky.setdefault(directory, Sticky())

    def _create(self, directory: str, name: bytes, tgid: int) -> Thing:
        plain = new_name(name)
        answer = self.saving.create(directory, name, tgid, self.now_ns)
        if not isinstance(answer, NewFile):
            thing = self._come_back(directory, name, answer, tgid)
            thing.data = b""
            return thing
        scratch = is_temporary(plain)
        thing = self.put(plain, b"", directory, scratch=scratch)
        self.saving.made(thing.ordinal, self.now_ns)
        if scratch:
            self._sticky(directory).occupy(plain)
        else:
            self._sticky(directory).takes_over(plain, thing.ordinal, Here(self, directory))
        return thing

    def _come_back(
        self, directory: str, name: bytes, how: ContinueIdentity[int] | RestoreIdentity[int], tgid: int
    ) -> Thing:
        thing = self.things[how.file]
        assert isinstance(how.was, tuple)
        real_name, dirs = how.was
        thing.versions.append(thing.data)
        self._set_name(thing, real_name)
        thing.dirs |= dirs
        thing.trashed = False
        if shown_form(real_name) == new_name(name):
            self._sticky(directory).takes_over(real_name, thing.ordinal, Here(self, directory))
        if isinstance(how, ContinueIdentity):
            kept = None if how.backup_keeps is None else self.things[how.backup_keeps]
            if kept is not None and not kept.gone and not kept.dirs:
                kept.versions.append(kept.data)
                kept.trashed = False
                kept.dirs = set(dirs)
                kept.data = thing.data
                self._set_name(kept, how.backup_name)
                backup = kept
            else:
                backup = self.put(how.backup_name, thing.data, *dirs)
                self.saving.backup_made(backup.ordinal, thing.ordinal, tgid, self.now_ns)
            self._sticky(directory).takes_over(how.backup_name, backup.ordinal, Here(self, directory))
        return thing

    def _move(self, thing: Thing, directory: str, to_directory: str, to_name: bytes) -> None:
        plain = strip_own_suffix(new_name(to_name), thing.guid, thing.name)
        if thing.scratch:
            self._sticky(directory).vacate(thing.name, Here(self, directory))
            thing.name, thing.dirs = plain, {to_directory}
            if is_temporary(plain):
                self._sticky(to_directory).occupy(plain)
                return
            thing.scratch = False
            self.acknowledged.add(thing.data)
        else:
            self._set_name(thing, plain)
            if directory != to_directory:
                thing.dirs.discard(directory)
                thing.dirs.add(to_directory)
                self._sticky(directory).left(thing.ordinal, plain)
        if shown_form(plain) == new_name(to_name):
            self._sticky(to_directory).takes_over(plain, thing.ordinal, Here(self, to_directory))

    def _set_name(self, thing: Thing, name: bytes) -> None:
        if name != thing.name:
            old, thing.name = thing.name, name
            for sticky in self.sticky.values():
                sticky.left(thing.ordinal, old)

    def _trash(self, thing: Thing) -> None:
        thing.trashed = True
        self._leave_all(thing)

    def _retire(self, thing: Thing, into: Thing) -> None:
        thing.gone = True
        into.versions += thing.versions
        if thing.scratch:
            for directory in thing.dirs:
                self._sticky(directory).vacate(thing.name, Here(self, directory))
        self._leave_all(thing)

    def _leave_all(self, thing: Thing) -> None:
        for directory in thing.dirs:
            self._sticky(directory).left(thing.ordinal, thing.name)
        thing.dirs = set()


def long_form(thing: Thing) -> bytes:
    return long_name(thing.name, thing.guid)
