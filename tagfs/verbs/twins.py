"""Files with the bytes of one that is taken in: is it in the library already, and who else has these bytes?

A library may hold thousands of files with the same bytes (empty ones, licences, covers), and
each new one asks about all of them. So what the index says of a hash is looked up once a
run, and grows by what the run itself adds; it is looked up anew as soon as somebody else has
added files meanwhile. What is found is looked at again before it counts, so that a file that
was renamed, edited or removed since is not taken for the same.

`looks` counts the files that were looked at one by one: it is what a test watches.
"""

from __future__ import annotations

from collections.abc import Container

from pyroaring import BitMap

from tagfs.change import Change
from tagfs.face import face_of
from tagfs.guid import guid_of_bytes
from tagfs.index.blocks import IN_TRASH, LISTED, PLAIN
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.term import ALL_TERM, FROM

SHOWN = 100
"""Of files with the same bytes at most so many are named."""
SHARED = 16
"""Of a hash that so many files have, what was found stays for the next batch."""


class Twins:
    """What is known about equal bytes, during one run."""

    def __init__(self) -> None:
        self.looks = 0
        self._now = self._expected = -1
        self._with_hash: dict[str, BitMap] = {}
        self._by_name: dict[tuple[str, str | None], dict[str, list[str]]] = {}
        """(hash, folder they came from, None for any) -> name they were born with -> GUIDs."""
        self._living: dict[str, list[str]] = {}

    def begin(self, view: View) -> None:
        """Before a batch, in its action: forget all if files came that this run did not add."""
        now = view.ordinal_total()
        changed = now != self._expected
        # What few files share is asked for again as quickly; a run of a million files must not keep it all.
        for sha256 in [one for one in self._with_hash if changed or not self._is_shared(one)]:
            del self._with_hash[sha256]
            self._living.pop(sha256, None)
        for key in [one for one in self._by_name if one[0] not in self._with_hash]:
            del self._by_name[key]
        self._now = self._expected = now

    def _is_shared(self, sha256: str) -> bool:
        return max(len(self._with_hash[sha256]), len(self._living.get(sha256, ()))) >= SHARED

    @property
    def kept(self) -> int:
        """For how many hashes something is kept."""
        return len(self._with_hash)

    def expect(self, births: int) -> None:
        """At the end of the batch: so many files were stated."""
        self._expected = self._now + births

    def note(self, sha256: str, folder: str, name: str, guid: str) -> None:
        """A file was born."""
        for key in ((sha256, folder), (sha256, None)):
            names = self._by_name.get(key)
            if names is not None:
                names.setdefault(name, []).append(guid)
        living = self._living.get(sha256)
        if living is not None and len(living) < SHOWN:
            living.append(guid)

    def same_file(
        self, change: Change, sha256: str, folder: str | None, name: str, but: Container[str] = ()
    ) -> FileState | None:
        """The living file with these bytes that was born under this name, from this folder (None: any).

        Args:
            but: GUIDs of files that are not meant.
        """
        for guid in self._named(change, sha256, folder).get(name, ()):
            if guid in but:
                continue
            self.looks += 1
            state = change.state(guid)
            face = face_of(state, change.node)
            if face.listed and not face.trashed and face.sha256 == sha256 and state.made_name() == name:
                return state
        return None

    def look_up(self, view: View, sha256: str) -> None:
        """Find out which living files have these bytes."""
        if sha256 in self._living:
            return
        found = self._living[sha256] = []
        for ordinal in self._all(view, sha256):
            if len(found) == SHOWN:
                break
            self.looks += 1
            row = view.row(ordinal)
            if row is not None and row.sha256.hex() == sha256 and row.flags & (LISTED | IN_TRASH) == LISTED:
                found.append(view.guid(ordinal))

    def with_bytes(self, sha256: str) -> list[str]:
        """GUIDs of living files with bytes that were looked up, `SHOWN` at most, those of this run among them."""
        return list(self._living.get(sha256, ()))

    def _named(self, change: Change, sha256: str, folder: str | None) -> dict[str, list[str]]:
        known = self._by_name.get((sha256, folder))
        if known is None:
            known = self._by_name[sha256, folder] = {}
            view = change.view
            among = self._all(view, sha256)
            if among and folder is not None:
                term = view.term(FROM, "", folder)
                among = among & view.posting(term) if term is not None else BitMap()
            for ordinal, row in view.rows(among):
                self.looks += 1
                if row.sha256.hex() == sha256:
                    # A file that was never touched is called as it was at its birth.
                    name = view.name(ordinal) if row.flags & PLAIN else change.state_at(ordinal).made_name()
                    known.setdefault(name, []).append(guid_of_bytes(row.guid))
        return known

    def _all(self, view: View, sha256: str) -> BitMap:
        found = self._with_hash.get(sha256)
        if found is None:
            found = self._with_hash[sha256] = view.files_like(bytes.fromhex(sha256)) & view.posting(ALL_TERM)
        return found
