"""Names that programs give to what they will not keep (mount.md, Saving, rule 5).

A file made under such a name stands in scratch, is listed where it was made, survives a
crash and is never deleted by us; if it still stands after an hour it becomes an ordinary
file. So a wrong guess here (`sediments` looks like what sed makes) costs an hour's delay
and nothing else, and the patterns may be simple. A file of the store that is renamed to
such a name stays in the store: that is a backup, not a scrap.

Names are bytes as the kernel gives them. Pure; called at every create and rename.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

HOUR_NS = 3_600 * 10**9
ORDINARY_AFTER_NS = HOUR_NS

# mkstemp draws its six characters from these, so `.config.bak-up` is none of rsync's.
_SIX = rb"[A-Za-z0-9]{6}"
_TEMPORARY = re.compile(
    rb"4913"  # vim asks whether it may make files here
    rb"|\.(?:"
    rb"[^/]*\.sw[^/]"  # vim's swap file
    rb"|#[^/]*"  # emacs: lock
    rb"|[^/]+\." + _SIX + rb""  # rsync, mktemp: .name.AbC123
    rb"|~lock\.[^/]*#"  # LibreOffice: lock
    rb"|goutputstream-[^/]*"  # GLib
    rb"|nfs[^/]*"
    rb"|_[^/]*|DS_Store"  # macOS
    rb"|directory"  # Dolphin
    rb")"
    rb"|#[^/]*#"  # emacs: autosave
    rb"|[^/]*~"  # backups by copying: vim, emacs, nano
    rb"|sed" + _SIX + rb""
    rb"|~\$[^/]*"  # Word
    rb"|lu[^/]*\.tmp"  # LibreOffice
    rb"|[^/]*\.part"  # browsers, KIO
    rb"|Thumbs\.db",
    re.DOTALL,
).fullmatch

_COMPANIONS = (b"-wal", b"-shm", b"-journal")
_NUMBERED = re.compile(rb"\.~\d+~").fullmatch
_BACKUP_ENDINGS = (b"~", b".bak", b".orig", b".old", b".backup", b".save")
_CONFLICT = re.compile(rb"(.+)\.sync-conflict-\d{8}-\d{6}-[A-Z0-9]{7}(\.[^.]*)?", re.DOTALL).fullmatch
_SWAP = re.compile(rb"\.(.+)\.sw.", re.DOTALL).fullmatch
_WITH_SIX = re.compile(rb"\.(.+)\." + _SIX, re.DOTALL).fullmatch
_LOCK = re.compile(rb"\.~lock\.(.+)#", re.DOTALL).fullmatch


def is_temporary(name: bytes) -> bool:
    """Whether a file made under this name stands in scratch at first."""
    return _TEMPORARY(name) is not None


def becomes_ordinary(name: bytes, age_ns: int, in_use: bool = False) -> bool:
    """Whether a file in scratch is a file of the store by now.

    Args:
        age_ns: since it was made.
        in_use: a program has it open (the swap file of an editor that runs all day); it waits.
    """
    return not in_use and (age_ns >= ORDINARY_AFTER_NS or not is_temporary(name))


def companions(name: bytes) -> tuple[bytes, ...]:
    """The names SQLite puts beside a database of this name; they live and go with it."""
    return tuple(name + ending for ending in _COMPANIONS)


def database_of(name: bytes) -> bytes | None:
    """The database whose companion a file of this name would be, if one of that name stands beside it."""
    for ending in _COMPANIONS:
        if name.endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return None


def is_backup_of(backup: bytes, name: bytes) -> bool:
    """Whether a program would give the file `name` this name to set it aside: `doc~`, `doc.~3~`, `doc.bak`."""
    if backup.startswith(name):
        rest = backup[len(name) :]
        return rest in _BACKUP_ENDINGS or _NUMBERED(rest) is not None
    stem, dot, _ = name.rpartition(b".")
    return bool(dot and stem) and backup in (stem + b".bak", stem + b".old")


def origins(name: bytes) -> Iterator[bytes]:
    """Names of the file that this one is a backup, conflict copy, lock or swap file of, the likeliest first.

    What stands beside it under one of them says where the new file may be known and
    held: backups and conflict copies inherit knows and holds (rule 6).
    """
    for ending in _BACKUP_ENDINGS:
        if name.endswith(ending) and len(name) > len(ending):
            stem = name[: -len(ending)]
            version, tilde, digits = stem.rpartition(b".~")
            yield version if ending == b"~" and tilde and version and digits.isdigit() else stem
    if found := _CONFLICT(name):
        yield found[1] + (found[2] or b"")
    if len(name) > 2 and name[:1] == name[-1:] == b"#":
        yield name[1:-1]
    if len(name) > 2 and name[:2] in (b".#", b"._", b"~$"):
        yield name[2:]
    for pattern in (_LOCK, _SWAP, _WITH_SIX):
        if found := pattern(name):
            yield found[1]
    if (database := database_of(name)) is not None:
        yield database
