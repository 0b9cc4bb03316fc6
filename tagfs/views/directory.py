"""Directories of the mount: which kind a path is, read from the path alone.

A `Directory` stands for one path as it was spelled: `tags/music+/flac` and
`tags/music+flac` show the same files and are two directories, since a program that
walked into one must be able to walk out of it the same way. Nothing in here looks at the
library; whether the tags of a query exist is asked by `tagfs.views.tree`.

Rules:

- Below `tags/` a name is a query, or one with `+` at its end (what narrows it), or one
  with `key=` as its last part (the values of that key).
- Below a `+` directory a name goes on with its query; below `key=` a name is a value, or
  whatever may stand for one (`1950..1959`, `19%`, `1959,1960`), and may go on with `+`.
- A name that begins with a dot is never a query: programs look for such names everywhere.
- Names are text, undecodable bytes as lone surrogates; those are never a query either.
- At the top stands the trash folder that desktops look for, `.Trash-UID`, for the user who
  mounts. It is looked up by name and not listed: what walks the tree finds no file twice.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from tagfs.errors import BadRequest, BadTag, QueryError
from tagfs.query.grammar import MAX_QUERY_BYTES, Slot, slots
from tagfs.query.tree import AnyValue, Tag, Tree, both, format_leaf
from tagfs.tag import check_tag, unescape


class Kind(Enum):
    """The kinds of directories, with the path of each."""

    ROOT = "the top"
    TAGS = "tags/"
    RESULT = "tags/QUERY/"
    NARROW = "tags/QUERY+/"
    VALUES = "tags/KEY=/"
    ALL = "all/"
    UNTAGGED = "untagged/"
    RECENT = "recent/"
    SEARCH = "search/"
    SEARCH_RESULT = "search/WORDS/"
    SAVED = "saved/"
    SAVED_RESULT = "saved/NAME/"
    IDS = "ids/"
    NODES = "nodes/"
    NODE = "nodes/NODE/"
    TRASH = "trash/"
    DESKTOP_TRASH = ".Trash-UID/"
    DESKTOP_FILES = ".Trash-UID/files/"
    DESKTOP_INFO = ".Trash-UID/info/"


DESKTOP = frozenset({Kind.DESKTOP_TRASH, Kind.DESKTOP_FILES, Kind.DESKTOP_INFO})
BELOW_TAGS = frozenset({Kind.TAGS, Kind.NARROW, Kind.VALUES})
HOLDS_FILES = frozenset(
    {
        Kind.RESULT,
        Kind.ALL,
        Kind.UNTAGGED,
        Kind.RECENT,
        Kind.SEARCH_RESULT,
        Kind.SAVED_RESULT,
        Kind.NODE,
        Kind.TRASH,
    }
)
"""Kinds that list files under their own names. `ids/` has files too, but lists none; what
`.Trash-UID/files/` calls them is in `tagfs.views.desktop`."""


class NameTooLong(BadRequest):
    """A name below `tags/` that is longer than any query may be."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"a query can have at most {MAX_QUERY_BYTES:,} bytes as the name of a directory")


class Directory(NamedTuple):
    """A directory of the mount, as it was spelled.

    path     below the mount, without a slash at its ends; "" is the mount itself
    query    RESULT: what it asks; NARROW, VALUES: what is narrowed ("" for all files)
    slots    of `query`, in the order they were written
    tree     of `query`
    name     VALUES: the key; SEARCH_RESULT: the words; SAVED_RESULT, NODE: the name;
             the mount itself: what desktops call their trash folder here, "" where there is none
    """

    kind: Kind
    path: str
    query: str = ""
    slots: tuple[Slot, ...] = ()
    tree: Tree | None = None
    name: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether a file can be put here: each slot a single tag, and not all of them excluded."""
        found = False
        for slot in self.slots:
            if slot.tag is None:
                return False
            found = found or not slot.excluded
        return found

    @property
    def tags(self) -> list[str]:
        """The single tags that files here have by their path, in the order they were written."""
        return list(dict.fromkeys(slot.tag for slot in self.slots if slot.tag is not None and not slot.excluded))

    @property
    def excluded(self) -> list[str]:
        """The single tags that no file here has."""
        return list(dict.fromkeys(slot.tag for slot in self.slots if slot.tag is not None and slot.excluded))

    @property
    def last_tag(self) -> str | None:
        """The tag that `rm` takes off: that of the last slot, if it is a single tag that is asked for."""
        last = self.slots[-1] if self.slots else None
        return last.tag if last is not None and not last.excluded else None

    @property
    def only_tag(self) -> str | None:
        """The tag, where the directory is that of one tag (`tags/music`) and nothing else."""
        return self.last_tag if self.kind is Kind.RESULT and len(self.slots) == 1 else None


TOP = {
    "tags": Kind.TAGS,
    "all": Kind.ALL,
    "untagged": Kind.UNTAGGED,
    "recent": Kind.RECENT,
    "search": Kind.SEARCH,
    "saved": Kind.SAVED,
    "ids": Kind.IDS,
    "nodes": Kind.NODES,
    "trash": Kind.TRASH,
}
"""What the mount itself lists, in this order."""

_TOP_DIRECTORIES = {name: Directory(kind, name) for name, kind in TOP.items()}
_IN_DESKTOP_TRASH = {"files": Kind.DESKTOP_FILES, "info": Kind.DESKTOP_INFO}


def root_directory(tags_only: bool = False, uid: int | None = None) -> Directory:
    """The mount itself.

    Args:
        tags_only: it is the tree of tags (`lyts mount --tags /tags`).
        uid: the user whose desktop finds its trash here; None: nobody's.
    """
    kind = Kind.TAGS if tags_only else Kind.ROOT
    return Directory(kind, "", name=f".Trash-{uid}" if uid is not None else "")


def top_directory(name: str) -> Directory | None:
    """The directory with this name in the root."""
    return _TOP_DIRECTORIES.get(name)


def desktop_directory(parent: Directory, name: str) -> Directory | None:
    """The desktop's trash folder in the mount itself, or one of the two folders in it; None for other names."""
    if parent.kind is Kind.DESKTOP_TRASH:
        kind = _IN_DESKTOP_TRASH.get(name)
        return Directory(kind, below(parent, name)) if kind is not None else None
    is_it = name != "" and name == parent.name and parent.path == ""
    return Directory(Kind.DESKTOP_TRASH, name) if is_it else None


def desktop_subdirectories() -> list[str]:
    """The names of the folders in the desktop's trash folder."""
    return list(_IN_DESKTOP_TRASH)


def below(parent: Directory, name: str) -> str:
    """The path of a name in a directory."""
    return f"{parent.path}/{name}" if parent.path else name


class Parsed(NamedTuple):
    """A query, read."""

    slots: tuple[Slot, ...]
    tree: Tree


@lru_cache(maxsize=4096)  # trees are never altered, and every lookup of a path asks
def read_query(text: str) -> Parsed | None:
    """The slots and the tree of a query; None where it is none."""
    try:
        found = tuple(slots(text, None))
    except QueryError:
        return None
    return Parsed(found, both(slot.tree for slot in found))


def read_below_tags(parent: Directory, name: str) -> Directory | None:
    """The directory that a name means below `tags/`, `tags/QUERY+/` or `tags/KEY=/`, by its form; None for none.

    Raises:
        NameTooLong.
    """
    if len(name) * 4 > MAX_QUERY_BYTES and len(name.encode("utf-8", "surrogateescape")) > MAX_QUERY_BYTES:
        raise NameTooLong(name)
    if not name or name[0] == ".":
        return None
    text = name
    if parent.kind is Kind.VALUES:
        first, plus, rest = name.partition("+")
        key = spell_key(parent.name)
        text = ",".join(key + value for value in first.split(",")) + plus + rest
    if parent.query:
        text = f"{parent.query}+{text}"
    path = below(parent, name)
    if text[-1] == "=":
        found = _values_directory(path, text)
        if found is not None:
            return found
    kind = Kind.RESULT
    if text[-1] == "+":
        kind, text = Kind.NARROW, text[:-1]
    parsed = read_query(text)
    return None if parsed is None else Directory(kind, path, text, *parsed)


def _values_directory(path: str, text: str) -> Directory | None:
    query, _, last = text.rpartition("+")
    raw = last[:-1]
    key = read_key(raw) if "," not in raw and raw[:1] != "-" else None
    if key is None:
        return None
    if not query:
        return None if text[0] == "+" else Directory(Kind.VALUES, path, name=key)
    parsed = read_query(query)
    return None if parsed is None else Directory(Kind.VALUES, path, query, *parsed, key)


def read_key(raw: str) -> str | None:
    """The key that is spelled so; None where there can be no such key."""
    try:
        key = check_tag(unescape(raw))
    except (BadTag, ValueError):
        return None
    return None if "=" in key or "=" in raw else key


def read_tag(name: str) -> str | None:
    """The tag, where a name spells exactly one (`jazz`, `year=1959`); else None."""
    parsed = read_query(name) if name[:1] != "." else None
    if parsed is None or len(parsed.slots) != 1 or parsed.slots[0].excluded:
        return None
    return parsed.slots[0].tag


def spell_tag(tag: str) -> str:
    """A tag as the name of a directory."""
    spelled = format_leaf(Tag(tag))
    assert spelled is not None
    return spelled


def spell_key(key: str) -> str:
    """The name of the directory of a key's values, with its `=`."""
    spelled = format_leaf(AnyValue(key))
    assert spelled is not None
    return spelled[:-2]


def spell_value(key: str, value: str) -> str:
    """A value as a name in the directory of its key."""
    spelled = spell_tag(f"{key}={value}")[len(spell_key(key)) :]
    return "%2E" + spelled[1:] if spelled[0] == "." else spelled
