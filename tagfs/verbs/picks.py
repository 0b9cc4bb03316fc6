"""Files that were picked: any number of them, in 16 bytes each.

A query can mean a million files; a list of as many texts would be 150 MB. GUIDs are
written out as they are asked for, and names are kept only where they are few enough to
be shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

from tagfs.guid import Guid, bytes_of_guid, guid_of_bytes

NAMES_KEPT = 1000


class Picked(NamedTuple):
    """A file that was meant. `name` is "" where too many were meant to keep their names."""

    guid: Guid
    name: str


class Guids(Sequence[str]):
    """GUIDs, read-only."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    @classmethod
    def of(cls, guids: Sequence[str]) -> Guids:
        return cls(b"".join(map(bytes_of_guid, guids)))

    def __len__(self) -> int:
        return len(self._packed) // 16

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Guids: ...
    def __getitem__(self, at: int | slice) -> str | Guids:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            if step != 1:
                raise ValueError("GUIDs are taken in their order")
            return Guids(self._packed[start * 16 : max(start, stop) * 16])
        place = range(len(self))[at]
        return guid_of_bytes(self._packed[place * 16 : place * 16 + 16])

    def __iter__(self) -> Iterator[str]:
        for place in range(0, len(self._packed), 16):
            yield guid_of_bytes(self._packed[place : place + 16])


class Picks(Sequence[Picked]):
    """Picked files, each once, in order of arrival."""

    def __init__(self, packed: bytes, names: Sequence[str]) -> None:
        """`names` are in the same order, or none at all."""
        self.guids = Guids(packed)
        self._names = names

    def __len__(self) -> int:
        return len(self.guids)

    @overload
    def __getitem__(self, at: int) -> Picked: ...
    @overload
    def __getitem__(self, at: slice) -> list[Picked]: ...
    def __getitem__(self, at: int | slice) -> Picked | list[Picked]:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        return Picked(Guid(self.guids[at]), self._names[at] if self._names else "")
