"""Completion of paths below a mount: the last part of a query, after `+`, `,` or `=`.

A query is a directory that nothing lists, so a shell cannot know what may follow
`~/lyts/tags/music+fl`. The mount knows: `tags/music+/` lists what narrows it, and
`tags/music+year=/` the values. `place` is pure and says where to look; `candidates` looks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from tagfs.mount.point import mount_of

SEPARATORS = "+,="
MOST = 1000


class Place(NamedTuple):
    """Where to look for what may follow.

    directory   relative to the folder of the word, "" for that folder itself
    kept        what stands before each name that is found
    part        what a name must begin with
    taken       names that are there already
    """

    directory: str
    kept: str
    part: str
    taken: frozenset[str] = frozenset()


def place(base: str) -> Place | None:
    """Where to look for the end of `base`, the last name of a path; None where it is no query under way.

    >>> place("music+fl")
    Place(directory='music+', kept='music+', part='fl', taken=frozenset())
    """
    at = max(base.rfind(ch) for ch in SEPARATORS)
    if at < 0 or base.startswith("."):
        return None
    kept, part = base[: at + 1], base[at + 1 :]
    slot = base.rfind("+") + 1
    before = base[:slot]
    if base[at] == "=":
        key = base[slot:at].rpartition(",")[2].removeprefix("-")
        return Place(f"{before}{key}=", kept, part)
    if base[at] == ",":
        return Place(before, kept, part, frozenset(base[slot:at].removeprefix("-").split(",")))
    if part.startswith("-"):
        return Place(before, kept + "-", part[1:])
    return Place(before, kept, part)


def candidates(word: str, cwd: str, home: str) -> Iterator[str]:
    """What a word of a command line may become: whole words. Nothing where it does not lie below a mount."""
    head, slash, base = word.rpartition("/")
    found = place(base)
    if found is None:
        return
    folder = os.path.join(cwd, _at_home(head + slash, home))
    if mount_of(os.path.realpath(folder)) is None:
        return
    try:
        names = os.listdir(os.path.join(folder, found.directory))
    except OSError:
        return
    for name in names[: 10 * MOST]:
        if name.startswith(found.part) and name not in found.taken and name.isprintable():
            yield head + slash + found.kept + name


def _at_home(path: str, home: str) -> str:
    return home + path[1:] if path.startswith("~/") else os.path.expanduser(path)
