"""A library as the tables of the mount say it must be: a pure model, to be compared with a real mount.

Written from the design (what each operation does; names; saving keeps identity), not from
the code: what is shown where, what an operation does to tags, what it is refused with, and
which bytes must still be somewhere. Of the code it uses only what has a model of its own
in other tests: `views.saving` (which file a save means, `tests/property/test_saving.py`),
`views.temporary` and the form of long names.

What it knows: files and what stands in scratch, own tags, tags that imply others, the
trash, versions, extended attributes, notes, the hour in which a file made through the
mount goes to the trash, the brake, who made what. What it does not: which of several
namesakes shows the plain name. There it only says what may not be (`Promises`).
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tagfs.views.names import DIGITS, long_name, shown_form, strip_own_suffix
from tagfs.views.saving import (
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    SECOND_NS,
    ContinueIdentity,
    DropBackup,
    ExchangeBytes,
    Move,
    NewFile,
    Nothing,
    Refused,
    RestoreIdentity,
    Saving,
    TakeBytes,
)
from tagfs.views.temporary import is_temporary

HOUR_NS = 3_600 * SECOND_NS
MINUTE_NS = 60 * SECOND_NS
BRAKE = 50


class Place(NamedTuple):
    """A directory: `kind` is `result`, or what stands in the root; tags as spelled."""

    path: str
    kind: str
    slots: tuple[tuple[str, ...], ...] = ()
    """What must be had: of each the tags of which one is enough."""
    excluded: tuple[str, ...] = ()
    last_is_excluded: bool = False

    def __repr__(self) -> str:
        return f"place({self.path!r})"

    @property
    def tags(self) -> list[str]:
        return [slot[0] for slot in self.slots if len(slot) == 1]

    @property
    def is_plain(self) -> bool:
        return self.kind == "result" and bool(self.slots) and all(len(slot) == 1 for slot in self.slots)

    @property
    def last(self) -> str | None:
        """The tag that rm takes off."""
        if self.kind != "result" or self.last_is_excluded or len(self.slots[-1]) != 1:
            return None
        return self.slots[-1][0]


def place(path: str) -> Place:
    """The directory at a path."""
    head, _, query = path.partition("/")
    if head != "tags":
        return Place(path, head)
    slots, excluded, last = [], [], False
    for slot in re.split(r"\+", query):
        last = slot.startswith("-")
        if last:
            excluded.append(slot[1:])
        else:
            slots.append(tuple(slot.split(",")))
    return Place(path, "result", tuple(slots), tuple(excluded), last)


@dataclass(eq=False)
class File:
    """A file of the library, or (`scrap`) one that stands in scratch in one directory."""

    number: int
    name: bytes
    data: bytes
    tags: set[str] = field(default_factory=set)
    guid: str = ""
    trashed: bool = False
    gone: bool = False
    scrap: str | None = None
    """The path of the directory it is shown in."""
    began_in_scratch: bool = False
    made_ns: int | None = None
    maker: Hashable = None
    versions: list[bytes] = field(default_factory=list)
    xattrs: dict[str, bytes] = field(default_factory=dict)
    notes: bytes = b""

    @property
    def long(self) -> bytes:
        return long_name(shown_form(self.name), self.guid)

    def is_called(self, name: bytes) -> bool:
        """Whether a name may lead to it: its own, or a long form of that."""
        plain = shown_form(self.name)
        return shown_form(name) in (plain, *(long_name(plain, self.guid, digits) for digits in DIGITS))

    def __repr__(self) -> str:
        return f"<{self.number} {self.name!r} {self.guid[:8]} {sorted(self.tags)} {self.data!r}>"


class No(Exception):
    """Refused, with this errno."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(errno.errorcode[number])


class Tables:
    """See the module. Times in ns of a clock that never goes back; processes by any key but 0."""

    def __init__(self) -> None:
        self.files: list[File] = []
        self.implies: dict[str, set[str]] = {}
        self.made_tags: set[str] = set()
        """Those that stand without a file."""
        self.now_ns = 0
        self.given: list[tuple[str, bytes, File]] = []
        """Names that a save gave back to files beside the one that was saved, lately."""
        self.saving: Saving[int] = Saving()
        self._removed: dict[Hashable, list[int]] = {}
        self._stopped: dict[Hashable, int] = {}

    # -- what is shown

    def living(self) -> Iterator[File]:
        return (file for file in self.files if not file.gone and file.scrap is None)

    def matching(self, tag: str) -> set[str]:
        """The tags that mean this one too."""
        found, more = {tag}, True
        while more:
            more = False
            for lower, uppers in self.implies.items():
                if lower not in found and uppers & found:
                    found.add(lower)
                    more = True
        return found

    def has(self, tags: Iterable[str], tag: str) -> bool:
        return not self.matching(tag).isdisjoint(tags)

    def shows(self, where: Place, file: File) -> bool:
        if file.gone:
            return False
        if file.scrap is not None:
            return file.scrap == where.path
        if where.kind == "trash" or file.trashed:
            return where.kind == "trash" and file.trashed
        if where.kind == "untagged":
            return not file.tags
        if where.kind == "result":
            return all(any(self.has(file.tags, tag) for tag in slot) for slot in where.slots) and not any(
                self.has(file.tags, tag) for tag in where.excluded
            )
        return where.kind in ("all", "recent")

    def shown(self, where: Place) -> list[File]:
        return [file for file in self.files if self.shows(where, file)]

    def exists(self, where: Place) -> bool:
        """Whether a directory can be entered: all its tags are known."""
        tags = [tag for slot in where.slots for tag in slot] + list(where.excluded)
        return all(self.is_known(tag) for tag in tags)

    def is_known(self, tag: str) -> bool:
        related = {tag for lower, uppers in self.implies.items() if uppers for tag in (lower, *uppers)}
        return tag in self.made_tags or tag in related or any(tag in f.tags and not f.trashed for f in self.living())

    def bytes(self) -> set[bytes]:
        """All that must be somewhere."""
        found = set[bytes]()
        for file in self.files:
            if not file.gone:
                found.update((file.data, *file.versions))
            else:
                found.update(file.versions)
        return found - {b""}

    # -- what operations do; each raises `No`, and then has changed nothing

    def new(self, name: bytes, data: bytes, tags: Iterable[str] = (), scrap: str | None = None) -> File:
        file = File(len(self.files), name, data, set(tags), scrap=scrap, began_in_scratch=scrap is not None)
        self.files.append(file)
        return file

    def tags_of_new(self, where: Place) -> list[str]:
        if where.kind in ("all", "untagged"):
            return []
        if where.kind != "result":
            raise No(errno.EPERM)
        if not where.is_plain:
            raise No(errno.EROFS)
        self._must_be_shown(where, where.tags)
        return where.tags

    def _must_be_shown(self, where: Place, tags: Iterable[str]) -> None:
        if any(self.has(tags, tag) for tag in where.excluded):
            raise No(errno.EPERM)

    def create(self, where: Place, name: bytes, data: bytes, who: int) -> File:
        """A program makes a file under a name that leads to nothing, and closes it."""
        tags = self.tags_of_new(where)
        outcome = self.saving.create(where.path, name, who, self.now_ns)
        if not isinstance(outcome, NewFile) and not self._was_removed(outcome):
            file = self._comes_back(where, outcome, who, emptied=True)
            file.data = data
            self._settled(file)
            return file
        file = self.new(name, data, tags, where.path if is_temporary(name) else None)
        file.made_ns, file.maker = self.now_ns, who
        self.saving.made(file.number, self.now_ns)
        return file

    def _was_removed(self, how: ContinueIdentity[int] | RestoreIdentity[int]) -> bool:
        """Whether somebody else put it in the trash meanwhile."""
        return self.files[how.file].trashed and not (isinstance(how.was, dict) and "trashed" in how.was)

    def _settled(self, file: File) -> None:
        self.saving.settled(file.number)

    def _comes_back(
        self, where: Place, how: ContinueIdentity[int] | RestoreIdentity[int], who: int, *, emptied: bool
    ) -> File:
        file = self.files[how.file]
        was: dict[str, Any] = how.was if isinstance(how.was, dict) else {}
        if isinstance(how, ContinueIdentity):
            kept = self.files[how.backup_keeps] if how.backup_keeps is not None else None
            if kept is not None and not kept.gone:
                kept.versions.append(kept.data)
                kept.data, kept.name, kept.trashed = file.data, how.backup_name, False
                kept.tags |= set(where.tags)
                self.given.append((where.path, how.backup_name, kept))
            else:
                scrap = where.path if is_temporary(how.backup_name) else None
                backup = self.new(how.backup_name, file.data, where.tags, scrap)
                # Made by the mount, but not by a program: rules by age of files made through it do not know it.
                self.saving.backup_made(backup.number, file.number, who, self.now_ns)
        if emptied:
            file.versions.append(file.data)
        file.name = was.get("name", file.name)
        file.tags |= was.get("tags", set())
        file.trashed = was.get("trashed", file.trashed)
        return file

    def overwrite(self, file: File, data: bytes) -> None:
        """O_TRUNC, write, close."""
        if file.scrap is None and file.trashed:
            raise No(errno.EPERM)
        if file.data and file.scrap is None:
            file.versions.append(file.data)
        self._write(file, data, emptied=True)

    def append(self, file: File, data: bytes) -> None:
        if file.scrap is None and file.trashed:
            raise No(errno.EPERM)
        self._write(file, file.data + data)

    def cut(self, file: File, size: int) -> None:
        """truncate(2)."""
        if file.scrap is None and file.trashed:
            raise No(errno.EPERM)
        data = file.data[:size] + bytes(max(0, size - len(file.data)))
        if size == 0 and file.data and file.scrap is None:
            file.versions.append(file.data)
        self._write(file, data, emptied=size == 0)

    def _write(self, file: File, data: bytes, *, emptied: bool = False) -> None:
        if emptied and file.scrap is not None:
            self.saving.made(file.number, self.now_ns)
        if emptied:
            self.saving.truncate(file.number, 0, len(file.data))
        if not emptied or data:
            self.saving.wrote(file.number)
        file.data = data
        self._settled(file)

    # -- removing

    def renamed_from_beneath(self, file: File, name: bytes) -> None:
        """By a command, or on another device."""
        file.name = name
        self.saving.forget(file.number)

    def unlink(self, where: Place, name: bytes, file: File, who: int) -> None:
        if file.scrap is not None:
            outcome = self.saving.unlink(where.path, name, file.number, who, self.now_ns, in_scratch=True)
            if isinstance(outcome, DropBackup):
                self.files[outcome.original].versions.append(file.data)
            file.gone = True
            return
        if where.kind in ("all", "untagged"):
            self._brake(who)
        undo = self._removal(where, file)
        outcome = self.saving.unlink(where.path, name, file.number, who, self.now_ns, undo)
        if isinstance(outcome, DropBackup):
            original = self.files[outcome.original]
            original.versions += [file.data, *file.versions]
            file.gone = True
        else:
            self._take_away(file, undo)

    def _removal(self, where: Place, file: File) -> dict[str, Any]:
        """What would take a removal back."""
        if where.kind in ("all", "untagged"):
            return {"trashed": False}
        if where.kind != "result":
            raise No(errno.EPERM)
        young = file.made_ns is not None and self.now_ns - file.made_ns < HOUR_NS
        if young and file.tags <= set(where.tags):
            return {"trashed": False}
        last = where.last
        if last is None or self.has(file.tags - {last}, last):
            raise No(errno.EPERM)
        return {"tags": {last}}

    def _take_away(self, file: File, undo: dict[str, Any]) -> None:
        if "trashed" in undo:
            file.trashed = True
        file.tags -= undo.get("tags", set())

    def _brake(self, who: Hashable) -> None:
        stopped = self._stopped.get(who)
        if stopped is not None and self.now_ns - stopped < MINUTE_NS:
            self._stopped[who] = self.now_ns
            raise No(errno.EPERM)
        if stopped is not None:
            del self._stopped[who]
            self._removed.pop(who, None)
        times = [at for at in self._removed.get(who, []) if self.now_ns - at < MINUTE_NS]
        if len(times) >= BRAKE:
            self._stopped[who] = self.now_ns
            raise No(errno.EPERM)
        self._removed[who] = [*times, self.now_ns]

    # -- renaming

    def rename(
        self,
        where: Place,
        name: bytes,
        file: File,
        to: Place,
        to_name: bytes,
        standing: File | None,
        who: int,
        flags: int,
    ) -> None:
        if flags & RENAME_NOREPLACE and standing is not None:
            raise No(errno.EEXIST)
        if standing is file:
            return  # one inode: the kernel answers by itself
        if flags & RENAME_EXCHANGE and standing is None:
            raise No(errno.ENOENT)
        if flags & RENAME_EXCHANGE:
            self._exchange(where, name, file, to, to_name, standing, who, flags)
            return
        undo: dict[str, Any] = {}
        then: dict[str, Any] = {}
        if file.scrap is not None and to.kind == "trash":
            self._is_born(file)  # there is nothing in scratch that could be in the trash
        if file.scrap is not None:
            if to != where:
                then["tags"] = set(self.tags_of_new(to))
            then["name"] = to_name
        else:
            plain = strip_own_suffix(to_name, file.guid, file.name)
            if to == where:
                if where.kind in ("trash", "ids"):
                    raise No(errno.EPERM)
                undo = {"name": file.name}
                then = {"name": plain}
            else:
                then = self._move(where, file, to, plain)
                undo = {"tags": file.tags - then.get("tags", file.tags)}
                if then.get("trashed"):
                    undo["trashed"] = False
        target = standing.number if standing is not None and standing.scrap is None else None
        outcome = self.saving.rename(
            where.path,
            name,
            file.number,
            to.path,
            to_name,
            target,
            who,
            self.now_ns,
            flags,
            undo,
            in_scratch=file.scrap is not None,
        )
        if isinstance(outcome, Refused):
            raise No(getattr(errno, outcome.errno_name))
        if standing is not None and standing.scrap is not None:
            standing.gone = True
        if isinstance(outcome, TakeBytes) and outcome.first is not None and self._was_removed(outcome.first):
            outcome = Move()
        if isinstance(outcome, TakeBytes):
            taker = self.files[outcome.target]
            if outcome.first is not None:
                self._comes_back(to, outcome.first, who, emptied=False)
            self._takes(taker, file)
            return
        assert isinstance(outcome, Move)
        if outcome.to_trash is not None:
            self.files[outcome.to_trash].trashed = True
        for key, value in then.items():
            setattr(file, key, value)
        if file.scrap is not None:
            file.scrap = to.path if is_temporary(to_name) else None
            if file.scrap is None:
                self._is_born(file)

    def _is_born(self, file: File) -> None:
        """What was set before it was a file of the library counts now."""
        file.scrap = None
        file.tags |= self._tags_of(file.xattrs.pop("user.xdg.tags", b""))

    def grow_up(self) -> None:
        """What has stood in scratch for an hour becomes a file."""
        for file in self.files:
            if file.scrap is not None and not file.gone:
                self._is_born(file)

    def _takes(self, taker: File, giver: File) -> None:
        taker.versions += [taker.data, *giver.versions]
        taker.data = giver.data
        taker.xattrs.update(giver.xattrs)
        taker.notes = giver.notes or taker.notes
        if giver.scrap is not None:
            taker.tags |= self._tags_of(giver.xattrs.get("user.xdg.tags", b""))
            taker.xattrs.pop("user.xdg.tags", None)
        giver.gone, giver.versions = True, []

    @staticmethod
    def _tags_of(value: bytes) -> set[str]:
        return {tag.strip() for tag in value.decode().split(",") if tag.strip()}

    def _move(self, where: Place, file: File, to: Place, plain: bytes) -> dict[str, Any]:
        """What a move to another directory makes of a file."""
        if to.kind == "result" and not to.is_plain:
            raise No(errno.EROFS)
        if to.kind not in ("result", "all", "untagged", "trash"):
            raise No(errno.EPERM)
        if where.kind == "result" and not where.is_plain and where.last is None:
            raise No(errno.EPERM)
        then: dict[str, Any] = {"name": plain}
        if to.kind == "trash":
            return {**then, "trashed": True}
        if to.kind == "untagged":
            then["tags"] = set[str]()
        else:
            added = set(to.tags)
            going = {tag for tag in where.tags if not self.has(added, tag)}
            tags = file.tags - going - set(to.excluded) | added
            if any(self.has(tags, tag) for tag in going):
                raise No(errno.EPERM)
            self._must_be_shown(to, tags)
            then["tags"] = tags
        if where.kind == "trash":
            then["trashed"] = False
        return then

    def _exchange(
        self,
        where: Place,
        name: bytes,
        file: File,
        to: Place,
        to_name: bytes,
        standing: File | None,
        who: int,
        flags: int,
    ) -> None:
        assert standing is not None
        assert file.scrap is None
        assert standing.scrap is None
        outcome = self.saving.rename(
            where.path, name, file.number, to.path, to_name, standing.number, who, self.now_ns, flags, {}
        )
        match outcome:
            case Refused(errno_name):
                raise No(getattr(errno, errno_name))
            case Nothing():
                return
            case ExchangeBytes(keeps, made):
                mine, other = self.files[keeps], self.files[made]
                mine.versions.append(mine.data)
                other.versions.append(other.data)
                mine.data, other.data = other.data, mine.data
            case _:
                if where != to or (shown_form(file.name), shown_form(standing.name)) != (name, to_name):
                    raise No(errno.EINVAL)
                if where.kind in ("trash", "ids"):
                    raise No(errno.EPERM)
                file.name, standing.name = standing.name, file.name

    # -- linking, tags, attributes

    def link(self, file: File, to: Place, name: bytes) -> None:
        if file.scrap is not None or not to.is_plain:
            raise No(errno.EROFS if file.scrap is None and to.kind == "result" else errno.EPERM)
        if strip_own_suffix(name, file.guid, file.name) != file.name or file.trashed:
            raise No(errno.EPERM)
        tags = file.tags | set(to.tags)
        self._must_be_shown(to, tags)
        file.tags = tags

    def mkdir(self, tag: str) -> None:
        if self.is_known(tag):
            raise No(errno.EEXIST)
        self.made_tags.add(tag)

    def rmdir(self, tag: str) -> None:
        if not self.is_known(tag):
            raise No(errno.ENOENT)
        if any(self.has(file.tags, tag) and not file.trashed and not file.gone for file in self.files):
            raise No(errno.ENOTEMPTY)
        self.made_tags.discard(tag)
        self.implies.pop(tag, None)
        for uppers in self.implies.values():
            uppers.discard(tag)

    def set_tags(self, file: File, value: bytes, who: Hashable) -> None:
        wanted = self._tags_of(value)
        if file.scrap is not None:
            file.xattrs["user.xdg.tags"] = value
            return
        if file.trashed:
            raise No(errno.EPERM)
        adds = file.maker == who and file.made_ns is not None and self.now_ns - file.made_ns < MINUTE_NS
        file.tags = file.tags | wanted if adds else wanted

    def set_xattr(self, file: File, name: str, value: bytes) -> None:
        if file.scrap is None and file.trashed:
            raise No(errno.EPERM)
        file.xattrs[name] = value

    # -- the mount ends and begins

    def mounted_again(self) -> None:
        """What is remembered for seconds is forgotten; what stands in scratch still stands.

        Its bytes have the time of the disk, where no time goes by but that of the test itself: all of it is
        as old as the clock (which should not be within moments of a limit, then).
        """
        self.saving = Saving()
        self._removed, self._stopped = {}, {}
        for file in self.files:
            file.made_ns = file.maker = None
            if file.scrap is not None and not file.gone:
                self.saving.made(file.number, 0)


class Promises:
    """What a directory's names may lead to, by what was seen: none passes from one file to another by itself."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, bytes], str] = {}

    def taken(self, where: str, name: bytes, guid: str) -> None:
        """A program gave the name to a file."""
        self._given[where, name] = guid

    def seen(self, where: str, name: bytes, guid: str, is_over: Callable[[str], bool] = lambda guid: False) -> None:
        """A name leads to a file. `is_over`: whether a name is free again that led to this file before."""
        before = self._given.setdefault((where, name), guid)
        if before != guid and is_over(before):
            before = self._given[where, name] = guid
        assert before == guid, f"{where}/{os.fsdecode(name)} led to {before[:8]} and leads to {guid[:8]} now"

    def other_than(self, where: str, name: bytes, guid: str) -> bool:
        """Whether a name was given to someone else."""
        return self._given.get((where, name), guid) != guid

    def forget(self) -> None:
        self._given.clear()

    def forget_place(self, where: str) -> None:
        """The directory is no more."""
        for key in [key for key in self._given if key[0] == where]:
            del self._given[key]
