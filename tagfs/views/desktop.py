"""The trash as desktops know it: `.Trash-UID/files/` and `info/` (freedesktop.org Trash specification 1.0).

A program that moves a file to the trash makes `info/NAME.trashinfo` first, under a NAME of
its choice that is free there, and then renames the file to `files/NAME`. Who lists the
trash pairs the two again: the note says where the file was and when it went. Rules:

- Each file in the trash has one NAME, and a note under it. A NAME is bookkeeping, shown to
  nobody: desktops show the last part of the note's Path. So it may carry the whole GUID,
  and no NAME ever means two files. The one that a program chose leads to its file while
  the mount remembers it.
- A NAME leaves room for `.trashinfo` within 255 bytes.
- The note is made by us whenever it is read. What the program wrote is kept until the file
  is there, and then not needed any more: where the file was and when are known.
- The Path leads to where a file would be found again: the directory it was moved from, as
  long as files can be put there, else `all/`. It is never the name of a file that is there.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote_from_bytes

from pyroaring import BitMap

from tagfs.bucket import MS_PER_DAY, Clock
from tagfs.guid import guid_of_bytes
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.stamp import ms_of
from tagfs.views import tree
from tagfs.views.directory import Directory, Kind, below, spell_tag, top_directory
from tagfs.views.matrix import Operation, Refusal, rule
from tagfs.views.names import MAX_NAME_BYTES, long_name, parse_long, shown_form, split_extension

ENDING = b".trashinfo"
MAX_BYTES = MAX_NAME_BYTES - len(ENDING)
"""The most a NAME can have: its note must be possible too."""

# GLib writes a note beside its place first: `NAME.trashinfo.AbC123`.
_NOTE = re.compile(rb".+\.trashinfo(?:\.[A-Za-z0-9]{6})?", re.DOTALL).fullmatch
_NOTES = re.compile(r"\.Trash-\d+/info").fullmatch


def is_note(name: bytes) -> bool:
    """Whether a program would make a file of this name in `info/`."""
    return _NOTE(name) is not None


def is_for_notes(path: str) -> bool:
    """Whether the directory with this path below a mount is `info/`, whoever mounted."""
    return _NOTES(path) is not None


def notes_beside(path: str) -> str:
    """The path of the `info/` that belongs to the `files/` with this path."""
    return path.removesuffix("files") + "info"


def named_by_note(name: bytes) -> bytes | None:
    """The NAME that `NAME.trashinfo` speaks of; None where a name is none such."""
    return name.removesuffix(ENDING) if name.endswith(ENDING) and len(name) > len(ENDING) else None


def trash_name(name: bytes, guid: str) -> bytes:
    """The NAME of a file in the trash that no program chose one for. Args: `name`, its own."""
    stem, extension = split_extension(shown_form(name))
    tail = b"~" + guid.replace("-", "").encode() + extension
    room = MAX_BYTES - len(tail)
    if len(stem) > room:
        while room and stem[room] & 0xC0 == 0x80:  # within a character
            room -= 1
        stem = stem[:room]
    return stem + tail


def by_trash_name(view: View, files: BitMap, name: bytes) -> int | None:
    """The file of the trash that has this as its `trash_name`. Args: `files`, what is in the trash."""
    for _, digits in parse_long(name):
        if len(digits) == 32:
            guid = guid_of_bytes(bytes.fromhex(digits))
            ordinal = view.ordinal(guid)
            if ordinal is not None and ordinal in files and trash_name(_name(view, ordinal), guid) == name:
                return ordinal
    return None


def trash_names(view: View, files: BitMap) -> list[tuple[str, bytes, int]]:
    """(GUID, `trash_name`, ordinal) of files in the trash."""
    guids = (guid_of_bytes(row.guid) for _, row in view.rows(files))
    return [
        (guid, trash_name(name, guid), ordinal)
        for ordinal, guid, name in zip(files, guids, view.names(files), strict=True)
    ]


def removed_ms(state: FileState) -> int:
    """When a file went to the trash, in milliseconds since 1970 UTC; 0 where it did not."""
    at = state.registers.get("trash", ("", False))[0]
    return ms_of(at) if at else 0


def note(path: str, when_ms: int, clock: Clock) -> bytes:
    """The contents of a `.trashinfo`.

    Args:
        path: of where the file was, below the mount.
        when_ms: it went to the trash.
    """
    raw = path.encode("utf-8", "surrogateescape")
    return b"[Trash Info]\nPath=%s\nDeletionDate=%s\n" % (
        quote_from_bytes(raw, safe="/").encode(),
        _local_text(when_ms, clock).encode(),
    )


def _local_text(ms: int, clock: Clock) -> str:
    """A time as the specification wants it, in local time and without a zone."""
    from datetime import UTC, datetime, timedelta

    second_ms = ms - ms % 1000
    utc = datetime.fromtimestamp(second_ms // 1000, UTC).replace(tzinfo=None)

    def ahead(days: int) -> timedelta:
        """How far local time was ahead of UTC, `days` later."""
        day_ms = days * MS_PER_DAY
        return timedelta(milliseconds=second_ms + day_ms - clock.local_ms(*(utc + timedelta(days)).timetuple()[:6]))

    # Clocks may be put forward or back between the two; an hour that is skipped would fit both.
    for local in (utc + ahead(1), utc + ahead(-1)):
        if clock.local_ms(*local.timetuple()[:6]) == second_ms:
            return local.isoformat()
    return (utc + ahead(1)).isoformat()


def return_path(
    view: View,
    root: Directory,
    ordinal: int,
    state: FileState,
    origin: Directory | None,
    clock: Clock,
    is_known: Callable[[Directory], bool] = lambda directory: False,
) -> str:
    """The path below the mount to which a file of the trash can be moved, to be found there again.

    Args:
        root: the mount itself.
        origin: the directory it was moved to the trash from, where that is remembered.
        is_known: whether a directory can still be used by its path, though looked up anew it would not be
            found: with its last file a tag is gone.
    """
    takes_back = origin is not None and (
        _can_take_back(state, origin)
        and (is_known(origin) or tree.directory_at(view, root, origin.path, clock) is not None)
    )
    target = origin if origin is not None and takes_back else _home(view, root, state, clock)
    name = _name(view, ordinal)
    plain = shown_form(name)
    if view.attr(ordinal).shared and view.lookup(name, tree.result(view, target, clock)) is not None:
        plain = long_name(plain, view.guid(ordinal))
    return below(target, plain.decode("utf-8", "surrogateescape"))


def _can_take_back(state: FileState, origin: Directory) -> bool:
    if isinstance(rule(origin, Operation.MOVE_IN), Refusal) or origin.kind in (Kind.TRASH, Kind.DESKTOP_FILES):
        return False
    # If another device gave it tags meanwhile, it would lose them in `untagged/`.
    return origin.kind is not Kind.UNTAGGED or not state.tags()


def _home(view: View, root: Directory, state: FileState, clock: Clock) -> Directory:
    """Where a file of the trash is found again, wherever it was."""
    if root.kind is Kind.ROOT:
        home = top_directory("all")
        assert home is not None
        return home
    # In the tree of tags alone a file without tags has no place; its note names the top, where nothing can be put.
    names = [spell_tag(tag) for tag in sorted(state.tags())]
    there = (tree.directory_at(view, root, name, clock) for name in names)
    # The tag of a last file is gone with it; who brings the file back makes the directory, and so the tag.
    return next((one for one in there if one is not None), Directory(Kind.RESULT, names[0]) if names else root)


def _name(view: View, ordinal: int) -> bytes:
    return view.name(ordinal).encode("utf-8", "surrogatepass")
