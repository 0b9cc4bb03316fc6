"""Saving keeps identity: what programs do when they save, and what it means (mount.md, Saving).

No program says "save". It renames, removes and makes files, each in its own way, and a
file system of identities must see through it: after any of these, doc is still doc, with
its tags, and the bytes it had are a version of it. Traced, with the rule that answers:

    vim, emacs, cp -b, install -b   rename doc to doc~; make doc            2
    vim                             ... remove doc~ at the end              its bytes are a version
    sed -i, perl -pi, rsync, ...    make a temporary; rename it over doc    1
    sed -i.bak                      rename doc to doc.bak; rename the
                                    temporary to doc                        2, then 1
    cp --remove-destination,
    install, tar                    remove doc; make doc                    3
    (many a small program)          remove doc; rename a temporary to doc   3, then 1
    cp, nano, vim backupcopy=yes    open with O_TRUNC, or truncate to 0     4
    rsync --inplace                 write                                   no rule: nothing is lost track of

`Saving` is told of each such operation before it is done and answers with what to do, as
data. It knows files by an id of the caller's choice, names as the program spelled them
(so a long name is as good as a plain one), directories by any key, processes by their
thread group. It forgets after seconds: nothing in here needs to survive a restart. The
clock is an argument, in ns, and must not go back.

What has no rule in here is done as the table of operations says.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from tagfs.views.temporary import is_backup_of

F = TypeVar("F", bound=Hashable)

SECOND_NS = 10**9
COMES_BACK_NS = 5 * SECOND_NS
"""So long the same process may make a name again that it had vacated (rules 2 and 3)."""
RECENT_NS = 600 * SECOND_NS
"""So long a file made through the mount may be what a program saves into (rule 1)."""
YOUNG_NS = 3_600 * SECOND_NS
"""So long a file made through the mount goes to the trash when it is removed, not to `untagged/`."""
ACTION_GAP_NS = 2 * SECOND_NS
VERSIONS_KEPT_NS = 30 * 86_400 * SECOND_NS

MADE_KEPT = 32_768
VACANT_KEPT = 16_384
PROCESSES_KEPT = 1_024

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2

UNKNOWN = 0
"""The thread group of a process in another pid namespace, as the kernel tells it: never the same as any."""


# -- what to do


@dataclass(frozen=True, slots=True)
class NewFile:
    """Make a new file."""


@dataclass(frozen=True, slots=True)
class ContinueIdentity(Generic[F]):
    """Rule 2: `file` had the name a moment ago and was set aside as a backup; the name is its again.

    The new handle writes `file`, which gets its name and all else back. Its old bytes are a
    version of it, and stand under `backup_name`, in the same directory, as a new file with
    the placement of `file`: announce it with `Saving.backup_made`. Or, where `backup_keeps`
    is still to be had, as that file: it stood there before and was removed or replaced in
    the same save (then nothing is announced).
    """

    file: F
    backup_name: bytes
    backup_keeps: F | None = None
    was: object = None


@dataclass(frozen=True, slots=True)
class RestoreIdentity(Generic[F]):
    """Rule 3: `file` had the name a moment ago and was removed; undo the removal. Its bytes stay as a version."""

    file: F
    was: object = None


@dataclass(frozen=True, slots=True)
class Move(Generic[F]):
    """Rename as the table says; the source keeps its identity. `to_trash` stood under the name and goes there."""

    to_trash: F | None = None


@dataclass(frozen=True, slots=True)
class TakeBytes(Generic[F]):
    """Rule 1: `target` keeps GUID, tags, notes, placement and birth, and takes the bytes of `source`.

    The bytes it had stay as a version. `source` is no file any more; it leaves no trace in
    the trash, and the versions it has itself, if any, become the target's. `first`: the
    target has left the name a moment ago and comes back first.
    """

    target: F
    source: F
    first: ContinueIdentity[F] | RestoreIdentity[F] | None = None


@dataclass(frozen=True, slots=True)
class ExchangeNames:
    """RENAME_EXCHANGE of two files: each goes where the other was."""


@dataclass(frozen=True, slots=True)
class ExchangeBytes(Generic[F]):
    """RENAME_EXCHANGE as a way to save: both stay what and where they are, and their bytes change places.

    The bytes `keeps` had stay as a version of it; `made` is what the program wrote, and as
    good as a backup now.
    """

    keeps: F
    made: F


@dataclass(frozen=True, slots=True)
class Nothing:
    """Source and target are one file: POSIX has rename(2) do nothing."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Answer with this errno."""

    errno_name: str


@dataclass(frozen=True, slots=True)
class TakeAway:
    """Remove as the table says."""


@dataclass(frozen=True, slots=True)
class ToTrash(Generic[F]):
    """Made through the mount less than an hour ago: to the trash, not to `untagged/`."""

    file: F


@dataclass(frozen=True, slots=True)
class DropBackup(Generic[F]):
    """A backup made while saving `original` is removed by who made it, and no file is left.

    Its bytes are a version of `original` already; the versions it has itself, if any, become those of `original`.
    """

    backup: F
    original: F


@dataclass(frozen=True, slots=True)
class KeepVersion(Generic[F]):
    """Rule 4: the bytes of `file` are about to go; keep them as a version first."""

    file: F


OnCreate = NewFile | ContinueIdentity[F] | RestoreIdentity[F]
OnRename = Move[F] | TakeBytes[F] | ExchangeNames | ExchangeBytes[F] | Nothing | Refused
OnUnlink = TakeAway | ToTrash[F] | DropBackup[F]


# -- what was done


@dataclass(slots=True)
class _Vacancy(Generic[F]):
    """A name that a process has just vacated."""

    file: F
    tgid: int
    at_ns: int
    was: object
    removed: bool = True
    backup_name: bytes = b""
    backup_keeps: F | None = None


class _Backup(NamedTuple, Generic[F]):
    original: F
    tgid: int
    at_ns: int


class Saving(Generic[F]):
    """The few seconds of memory that the rules need. One for a mount.

    Call `create`, `rename` and `unlink` before the operation is done and do what they
    answer; operations that fail afterwards need no word. Tell it of files in scratch as
    of others where they are made (`made`) and renamed, so that rule 1 knows them.
    """

    def __init__(self) -> None:
        self._made: OrderedDict[F, int] = OrderedDict()
        self._vacant: OrderedDict[tuple[Hashable, bytes], _Vacancy[F]] = OrderedDict()
        self._left: dict[F, tuple[Hashable, bytes]] = {}
        """Which name a file has vacated: at most one each, so that no identity comes back under two."""
        self._keeps: dict[F, _Vacancy[F]] = {}
        """The `backup_keeps` of vacancies."""
        self._backups: OrderedDict[F, _Backup[F]] = OrderedDict()
        self._dirty: set[F] = set()

    # -- told

    def made(self, file: F, now_ns: int) -> None:
        """A file was made through the mount: a new one, or one in scratch (also one there that is written anew)."""
        self._made[file] = now_ns
        self._made.move_to_end(file)
        _trim(self._made, MADE_KEPT)

    def backup_made(self, backup: F, original: F, tgid: int, now_ns: int) -> None:
        """The new file that stands under a backup's name after `ContinueIdentity` of `original`."""
        self.made(backup, now_ns)
        self._backups[backup] = _Backup(original, tgid, now_ns)
        _trim(self._backups, VACANT_KEPT)

    def forget(self, file: F) -> None:
        """The file was renamed from beneath, or is no more: it does not come back to a name by itself.

        That it got a tag, or another node holds it now, is no reason: a save goes on meanwhile.
        """
        self._stays(file)
        self._backups.pop(file, None)
        vacancy = self._keeps.pop(file, None)
        if vacancy is not None:
            vacancy.backup_keeps = None

    # -- asked

    def may_come_back(self, directory: Hashable, name: bytes) -> list[F]:
        """The file that left this name, and may have it again if it is made now; with what its backup may be again."""
        vacancy = self._vacant.get((directory, name))
        if vacancy is None:
            return []
        return [vacancy.file, *([vacancy.backup_keeps] if vacancy.backup_keeps is not None else [])]

    def may_save(self, source: F, now_ns: int) -> bool:
        """Whether renaming this file within its directory may be a save (rule 1, or an exchange)."""
        return self._made_within(source, RECENT_NS, now_ns) is not None

    def create(self, directory: Hashable, name: bytes, tgid: int, now_ns: int) -> OnCreate[F]:
        """A program makes a file under a name that leads to nothing."""
        vacancy = self._claim(directory, name, tgid, now_ns)
        return NewFile() if vacancy is None else _coming_back(vacancy)

    def rename(
        self,
        directory: Hashable,
        name: bytes,
        source: F,
        to_directory: Hashable,
        to_name: bytes,
        target: F | None,
        tgid: int,
        now_ns: int,
        flags: int = 0,
        was: object = None,
        *,
        in_scratch: bool = False,
    ) -> OnRename[F]:
        """A program renames `source`.

        Args:
            target: the file of the store that stands under the new name. (Something in scratch
                that stands there is replaced, and not mentioned here.)
            flags: of renameat2(2).
            was: what the caller will want to know if the source comes back, e.g. its name and tags
                before. Where more than one step took it away, the first one's is given back.
            in_scratch: the source is no file of the store yet. The name it had was for passing use: who
                makes it again (the next save, within seconds) makes something new, not this file.
        """
        if flags & RENAME_EXCHANGE:
            return self._exchange(source, target, directory == to_directory, tgid, now_ns, flags)
        if flags & ~RENAME_NOREPLACE:
            return Refused("EINVAL")
        if target is not None and flags & RENAME_NOREPLACE:
            return Refused("EEXIST")
        if target == source:
            return Nothing()
        same = directory == to_directory
        saves = (
            same
            and self._made_within(source, RECENT_NS, now_ns) is not None
            and not is_backup_of(to_name, name)
            and not (self._vacancy_of(source, tgid, now_ns) and is_backup_of(to_name, self._left[source][1]))
        )
        vacancy = self._claim(to_directory, to_name, tgid, now_ns)
        if target is not None:
            self._stays(target)
            if saves:
                self._is_gone(source)
                self._backups.pop(target, None)
                return TakeBytes(target, source)
            self._goes(directory, name, same and not in_scratch, to_name, target, _Vacancy(source, tgid, now_ns, was))
            return Move(target)
        if vacancy is not None and vacancy.file == source:
            return Move()  # it goes back itself
        if vacancy is not None and saves:
            self._is_gone(source)
            return TakeBytes(vacancy.file, source, _coming_back(vacancy))
        keeps = vacancy.file if vacancy is not None and vacancy.removed else None
        self._goes(directory, name, same and not in_scratch, to_name, keeps, _Vacancy(source, tgid, now_ns, was))
        return Move()

    def unlink(
        self,
        directory: Hashable,
        name: bytes,
        file: F,
        tgid: int,
        now_ns: int,
        was: object = None,
        *,
        in_scratch: bool = False,
    ) -> OnUnlink[F]:
        """A program removes a file. `was`, `in_scratch`: as for `rename`."""
        backup = self._backups.get(file)
        if backup is not None and backup.tgid == tgid and now_ns - backup.at_ns <= YOUNG_NS:
            self._is_gone(file)
            return DropBackup(file, backup.original)
        self._backups.pop(file, None)
        if in_scratch:
            self._is_gone(file)
            return TakeAway()
        vacancy = self._vacancy_of(file, tgid, now_ns)
        if vacancy is not None and self._left[file][0] == directory:
            vacancy.removed = True  # doc to doc~, then doc~ removed, then doc made
        else:
            self._vacates(directory, name, _Vacancy(file, tgid, now_ns, was))
        return TakeAway() if self._made_within(file, YOUNG_NS, now_ns) is None else ToTrash(file)

    # -- bytes

    def truncate(self, file: F, to_bytes: int, size_bytes: int) -> KeepVersion[F] | None:
        """A program opens a file with O_TRUNC, or sets its size. None: there is nothing to keep.

        Only what was acknowledged is a version: the bytes since the last `settled` are not.
        """
        self._backups.pop(file, None)
        if to_bytes == 0 and size_bytes > 0 and file not in self._dirty:
            self._dirty.add(file)
            return KeepVersion(file)
        return None

    def wrote(self, file: F) -> None:
        """A program wrote to a file: its bytes are in flux. If it was a backup, it is no longer."""
        self._backups.pop(file, None)
        self._dirty.add(file)

    def settled(self, file: F) -> None:
        """The content of a file was acknowledged: at the last release of a written handle, and at fsync."""
        self._dirty.discard(file)

    # -- inside

    def _exchange(
        self, source: F, target: F | None, same: bool, tgid: int, now_ns: int, flags: int
    ) -> Refused | Nothing | ExchangeBytes[F] | ExchangeNames:
        if flags != RENAME_EXCHANGE:
            return Refused("EINVAL")
        if target is None:
            return Refused("ENOENT")
        if target == source:
            return Nothing()
        self.forget(source)
        self.forget(target)
        if same:
            ages = [self._made_within(file, RECENT_NS, now_ns) for file in (source, target)]
            if ages != [None, None]:  # the one made last is what the program wrote
                of_source, of_target = (RECENT_NS + 1 if age is None else age for age in ages)
                keeps, made = (target, source) if of_source <= of_target else (source, target)
                self._backups[made] = _Backup(keeps, tgid, now_ns)
                _trim(self._backups, VACANT_KEPT)
                return ExchangeBytes(keeps, made)
        return ExchangeNames()

    def _made_within(self, file: F, span_ns: int, now_ns: int) -> int | None:
        """How long ago a file was made through the mount, None where that is longer than `span_ns` or never."""
        while self._made and now_ns - next(iter(self._made.values())) > YOUNG_NS:
            self._made.popitem(last=False)
        at = self._made.get(file)
        return now_ns - at if at is not None and now_ns - at <= span_ns else None

    def _goes(
        self, directory: Hashable, name: bytes, is_backup: bool, to_name: bytes, keeps: F | None, vacancy: _Vacancy[F]
    ) -> None:
        """A file is renamed. To another directory is a matter of tags, and no backup."""
        self._backups.pop(vacancy.file, None)
        if not is_backup:
            self._stays(vacancy.file)
            return
        earlier = self._vacancy_of(vacancy.file, vacancy.tgid, vacancy.at_ns)
        if earlier is None or earlier.removed:
            self._vacates(directory, name, vacancy)
        else:  # doc, tmp, doc~: doc is what it comes back to
            vacancy = earlier
        vacancy.removed = False
        vacancy.backup_name = to_name
        self._set_keeps(vacancy, keeps)

    def _set_keeps(self, vacancy: _Vacancy[F], keeps: F | None) -> None:
        if vacancy.backup_keeps is not None:
            self._keeps.pop(vacancy.backup_keeps, None)
        vacancy.backup_keeps = keeps
        if keeps is not None and vacancy.file in self._left:
            earlier = self._keeps.get(keeps)
            if earlier is not None:
                earlier.backup_keeps = None
            self._keeps[keeps] = vacancy

    def _vacates(self, directory: Hashable, name: bytes, vacancy: _Vacancy[F]) -> None:
        self._stays(vacancy.file)
        if vacancy.tgid == UNKNOWN:
            return
        key = (directory, name)
        self._drop(key)
        self._vacant[key] = vacancy
        self._left[vacancy.file] = key
        while self._vacant:
            oldest, first = next(iter(self._vacant.items()))
            if vacancy.at_ns - first.at_ns <= COMES_BACK_NS and len(self._vacant) <= VACANT_KEPT:
                return
            self._drop(oldest)

    def _vacancy_of(self, file: F, tgid: int, now_ns: int) -> _Vacancy[F] | None:
        key = self._left.get(file)
        vacancy = self._vacant[key] if key is not None else None
        if vacancy is None or vacancy.tgid != tgid or now_ns - vacancy.at_ns > COMES_BACK_NS:
            return None
        return vacancy

    def _claim(self, directory: Hashable, name: bytes, tgid: int, now_ns: int) -> _Vacancy[F] | None:
        """Whoever takes a name, its vacancy is over. It is theirs if they made it, and lately."""
        vacancy = self._drop((directory, name))
        if vacancy is None or vacancy.tgid != tgid or now_ns - vacancy.at_ns > COMES_BACK_NS:
            return None
        return vacancy

    def _drop(self, key: tuple[Hashable, bytes]) -> _Vacancy[F] | None:
        vacancy = self._vacant.pop(key, None)
        if vacancy is not None:
            del self._left[vacancy.file]
            if vacancy.backup_keeps is not None:
                self._keeps.pop(vacancy.backup_keeps, None)
        return vacancy

    def _stays(self, file: F) -> None:
        """A file does not come back to a name it left."""
        key = self._left.get(file)
        if key is not None:
            self._drop(key)

    def _is_gone(self, file: F) -> None:
        """A file is no file any more."""
        self.forget(file)
        self._made.pop(file, None)
        self._dirty.discard(file)


def _coming_back(vacancy: _Vacancy[F]) -> ContinueIdentity[F] | RestoreIdentity[F]:
    if vacancy.removed:
        return RestoreIdentity(vacancy.file, vacancy.was)
    return ContinueIdentity(vacancy.file, vacancy.backup_name, vacancy.backup_keeps, vacancy.was)


def _trim(kept: OrderedDict[F, object] | OrderedDict[F, int] | OrderedDict[F, _Backup[F]], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)


# -- versions


class Kept(NamedTuple):
    """Bytes that a file had."""

    file: str
    sha256: str
    size_bytes: int
    kept_at_ns: int


def versions_to_drop(
    kept: Iterable[Kept], now_ns: int, budget_bytes: int, span_ns: int = VERSIONS_KEPT_NS
) -> list[Kept]:
    """Which versions go, the oldest first: all past their time, then as many as the budget asks for."""
    in_order = sorted(kept, key=lambda version: (version.kept_at_ns, version.file, version.sha256))
    total = sum(version.size_bytes for version in in_order)
    gone = 0
    for version in in_order:
        if now_ns - version.kept_at_ns <= span_ns and total <= budget_bytes:
            break
        total -= version.size_bytes
        gone += 1
    return in_order[:gone]


# -- actions


class ActionGroups:
    """Operations of one process with gaps under two seconds are one action (facts.md, Undo)."""

    def __init__(self) -> None:
        self._last: OrderedDict[int, tuple[str, int]] = OrderedDict()

    def action(self, tgid: int, now_ns: int) -> str | None:
        """The action that an operation of this process belongs to, None where it begins one."""
        last = self._last.get(tgid)
        return last[0] if last is not None and now_ns - last[1] < ACTION_GAP_NS else None

    def done(self, tgid: int, action: str, now_ns: int) -> None:
        """An operation of this process stated facts under this action, and ended now."""
        if tgid == UNKNOWN:
            return
        self._last[tgid] = (action, now_ns)
        self._last.move_to_end(tgid)
        while len(self._last) > PROCESSES_KEPT:
            self._last.popitem(last=False)
