"""What stands about a file, and in which ledgers: the open ones, or those of a set.

The index knows what all facts about a file come to, and not where each of them stands. Where
somebody is kept from a file that matters (`carrying`), so the lines about it are read from
the segments that mention it. For one short operation: segments are read once, and kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from pyroaring import BitMap

from tagfs.errors import PeerDataError
from tagfs.fact import Fact, parse_fact
from tagfs.home import OPEN, Folder
from tagfs.index.catchup import segments_mentioning
from tagfs.index.read import View
from tagfs.ledger import label_in, segments_below, whole_lines
from tagfs.place import ledger_labels, node_sets

_FILE = re.compile(rb'"file":"([0-9a-f-]{36})"')
_KNOWS = b'"knows":{'


class Standing:
    """Reads where facts about files stand. See the module."""

    def __init__(self, view: View, ledgers: str) -> None:
        self._view = view
        self._ledgers = ledgers
        self._folders: dict[str, Folder] = {
            "": OPEN,
            **{label: nodes for nodes, label in ledger_labels(node_sets(view)).items()},
        }
        self._lines: dict[str, dict[bytes, list[bytes]]] = {}

    def of(self, guid: str) -> dict[Folder, list[Fact]]:
        """The facts about a file by the folder they stand in. Ledgers of sets that no fact names are passed over."""
        found: dict[Folder, list[Fact]] = {}
        ordinal = self._view.ordinal(guid)
        if ordinal is None:
            return found
        for name in segments_mentioning(self._view.tx, self._view.db, BitMap([ordinal])):
            folder = self._folders.get(label_in(name.partition("/")[0]))
            if folder is None:
                continue
            for line in self._lines_of(name).get(guid.encode(), ()):
                try:
                    fact = parse_fact(line)
                except PeerDataError:
                    continue
                if fact.file == guid:
                    found.setdefault(folder, []).append(fact)
        return found

    def _lines_of(self, name: str) -> dict[bytes, list[bytes]]:
        """The lines of a segment by the file they are about."""
        by_file = self._lines.get(name)
        if by_file is None:
            by_file = self._lines[name] = {}
            for line in _lines(os.path.join(self._ledgers, name)):
                for guid in set(_FILE.findall(line)):
                    by_file.setdefault(guid, []).append(line)
        return by_file


def files_with_knows(ledgers: str) -> set[str]:
    """The files about which some ledger says who may know them; those of a line that does not parse left out."""
    found = set()
    for segment in segments_below(ledgers):
        for line in _lines(os.path.join(ledgers, segment.name), _KNOWS):
            try:
                fact = parse_fact(line)
            except PeerDataError:
                continue
            if fact.file is not None and fact.knows:
                found.add(fact.file)
    return found


def _lines(path: str, having: bytes = b"") -> Iterator[bytes]:
    for piece in whole_lines(path, 0):
        if having in piece:
            yield from (line for line in piece.split(b"\n") if line and having in line)
