"""What completion and preview ask of the index, as a protocol: `answers.Answers` looks, tests make it up.

Nothing here raises: who does not know, or was asked a query that cannot be read, says
so with nothing, or with a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Counted(NamedTuple):
    """A tag, and how many of the files in question have it; if not `sure`, at most so many, and perhaps none."""

    tag: str
    files: int
    sure: bool = True


class Named(NamedTuple):
    """A file by its id and name."""

    guid: str
    name: str


class Meant(NamedTuple):
    """Which files a command is about: those of queries, those of GUIDs, those that targets name."""

    queries: tuple[str, ...] = ()
    guids: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


class Touched(NamedTuple):
    """What a command would touch. `trouble` is a sentence where that cannot be said."""

    files: int = 0
    already: Mapping[str, int] = {}
    """How many of them have each tag that was asked about."""
    names: tuple[str, ...] = ()
    """Of a few of them."""
    trouble: str = ""


class Asked(Protocol):
    """Answers about the library as it is now."""

    def tags(self, within: str) -> Sequence[Counted]:
        """The tags of the files that match a query ("" for all files), most files first. All are sure, or none is."""
        ...

    def exact(self, within: str, tags: Sequence[str]) -> Sequence[int]:
        """How many of the files that match a query have each of these tags."""
        ...

    def total(self, query: str) -> int | str:
        """How many files match, or why that cannot be said."""
        ...

    def names(self, begin: str, within: str, most: int) -> Sequence[Named]:
        """Files whose name begins so, case and accents aside, of those that match a query; where few match, all."""
        ...

    def saved(self) -> Mapping[str, str]:
        """Saved queries by name."""
        ...

    def nodes(self) -> Sequence[str]:
        """The aliases of all devices."""
        ...

    def paths(self, word: str) -> Sequence[str]:
        """Paths that begin so; a folder ends with a slash."""
        ...

    def programs(self, begin: str) -> Sequence[str]:
        """Programs whose name begins so."""
        ...

    def touched(self, meant: Meant, tags: Sequence[str]) -> Touched:
        """Which files are meant, and how many of them have each of these tags."""
        ...

    def next_undo(self, redo: bool) -> str:
        """What `undo` (or `redo`) would take back, "" for nothing."""
        ...
