"""Which name a file shows in a directory, and which file a name leads to (mount.md, Names).

Of files with one name, the one made first keeps it; the others show as
`name~1a2b3c4d.ext`. Three things make this safe for programs that hold on to a name:

- A name once given out in a directory stays with its file while the directory is
  remembered, also when an older twin arrives.
- When its file leaves or is renamed, the name leads to nobody, until a program makes a
  file of that name here or moves one to it (`takes_over`), or its file comes back.
- A file is listed under the first of its names that leads to it, so no name is listed
  twice and every listed name resolves.

Else an editor that renames doc to doc~ and then writes doc would write over the twin
that had moved up. The five seconds of the rule are in `saving`: within them the name
goes back to the file that had it. To a lookup, "nothing" and "nobody" are one: ENOENT.

What is remembered is small: which files hold their own plain name (a Roaring bitmap of
ordinals), and the names that are closed. A dict of all names given out was rejected: it
takes some 150 bytes for every file looked up.

Names are bytes at this edge. NFC is what is listed; NFC and NFD both resolve. Pure: what
the index knows comes in through `Files`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import Protocol
from weakref import WeakSet

from pyroaring import BitMap

from tagfs.errors import BadName

MAX_NAME_BYTES = 255
DIGITS = (8, 12, 16, 20, 24, 28, 32)
"""How much of a GUID a long name shows: the first that tells it from its twins."""

CLOSED_KEPT = 10_000
"""Names of one directory that are closed and known as such; of older ones a checksum is kept."""

_EXTENSION = re.compile(rb"[^.\s]{1,32}").fullmatch
_HEX_END = re.compile(rb"~([0-9a-f]{8,32})\Z")
_LONG = re.compile(rb"~[0-9a-f]{8,32}(?:\.[^.\s]{1,32})?\Z")

# Values of Sticky._special beside an ordinal: the one file that the name may still lead to.
_OCCUPIED = -1
_UNUSUAL = -2
_NOBODY = (1 << 32) - 1
"""An ordinal that no file gets: a name closed to everyone."""


class ImpossibleName(BadName):
    """A name that no file can get, with the errno a program is told."""

    def __init__(self, name: bytes, errno_name: str, why: str) -> None:
        self.name = name
        self.errno_name = errno_name
        super().__init__(name.decode("utf-8", "replace"), why)


def new_name(name: bytes) -> bytes:
    """The name, in NFC, of a file that a program makes or renames.

    Raises:
        ImpossibleName: with ENAMETOOLONG, EILSEQ (no UTF-8), ENOENT (empty) or EINVAL.
    """
    if not name:
        raise ImpossibleName(name, "ENOENT", "it is empty")
    if name in (b".", b"..") or b"/" in name or b"\0" in name:
        raise ImpossibleName(name, "EINVAL", "no program could open it")
    if len(name) > MAX_NAME_BYTES:
        raise ImpossibleName(
            name, "ENAMETOOLONG", f"it is {len(name)} bytes long; {MAX_NAME_BYTES} is the most a file name can have"
        )
    if name.isascii():
        return name
    try:
        nfc = unicodedata.normalize("NFC", name.decode()).encode()
    except UnicodeDecodeError:
        raise ImpossibleName(name, "EILSEQ", "it is not valid UTF-8 text") from None
    if len(nfc) > MAX_NAME_BYTES:
        raise ImpossibleName(name, "ENAMETOOLONG", f"in its usual spelling (NFC) it is {len(nfc)} bytes long")
    return nfc


def shown_form(name: bytes) -> bytes:
    """The spelling of a stored name that is listed: NFC, unless that is impossible."""
    if name.isascii():
        return name
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return name
    if unicodedata.is_normalized("NFC", text):
        return name
    nfc = unicodedata.normalize("NFC", text).encode()
    return nfc if len(nfc) <= MAX_NAME_BYTES else name


def lookup_forms(name: bytes) -> tuple[bytes, ...]:
    """The stored names that a name asked for may mean, in the order in which they are tried: NFC first."""
    if name.isascii():
        return (name,)
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return (name,)
    forms = (unicodedata.normalize("NFC", text).encode(), name, unicodedata.normalize("NFD", text).encode())
    return tuple(dict.fromkeys(form for form in forms if len(form) <= MAX_NAME_BYTES))


# -- the long form


def split_extension(name: bytes) -> tuple[bytes, bytes]:
    """(stem, extension with its dot). The last extension only: `a.tar` and `.gz`; none in `.bashrc` or `Mr. Smith`.

    The last one decides what opens a file; `photos.2024.01.zip` shows why no list of double ones would do.
    """
    stem, dot, extension = name.rpartition(b".")
    if not stem.strip(b".") or not _EXTENSION(extension):
        return name, b""
    return stem, dot + extension


def long_name(name: bytes, guid: str, digits: int = DIGITS[0]) -> bytes:
    """`name~1a2b3c4d.ext`: a name that says which of several files it is.

    Args:
        name: the plain name; its stem is cut, between characters, where the whole would not fit 255 bytes.
        guid: canonical, or hex digits alone.
        digits: how much of the GUID is shown.
    """
    stem, extension = split_extension(name)
    tail = b"~" + guid.replace("-", "")[:digits].encode() + extension
    room = MAX_NAME_BYTES - len(tail)
    if len(stem) > room:
        while room and stem[room] & 0xC0 == 0x80:  # within a character
            room -= 1
        stem = stem[:room]
    return stem + tail


def looks_long(name: bytes) -> bool:
    """Whether a name may be a long one."""
    return b"~" in name and _LONG.search(name) is not None


def parse_long(name: bytes) -> list[tuple[bytes, str]]:
    """The ways to read a name as a long one: (plain name, hex digits).

    The plain name is as far as it is shown; the real one is longer where its stem was
    cut. So a file is the one meant where its GUID begins with the digits and
    `long_name(its name, its GUID, len(digits))` is the name.
    """
    found = []
    stem, extension = split_extension(name)
    for part, rest in dict.fromkeys(((stem, extension), (name, b""))):
        match = _HEX_END.search(part)
        if match and match.start():
            found.append((part[: match.start()] + rest, match[1].decode()))
    return found


def strip_own_suffix(name: bytes, guid: str, has: bytes | None = None) -> bytes:
    """A name on arrival without our own `~1a2b3c4d`, which is taken away only if it is this file's own id.

    Args:
        has: the name the file has. Where the new one is its long form, this is the answer: a
            stem that was cut to make room for the id is whole again.
    """
    whole = guid.replace("-", "")
    for plain, digits in parse_long(name):
        if whole.startswith(digits):
            if has is not None and long_name(shown_form(has), guid, len(digits)) == shown_form(name):
                return has
            return plain
    return name


# -- which file a name leads to


class Files(Protocol):
    """The files of one directory, as the index has them now. Ordinals stand for files."""

    def first(self, name: bytes, among: BitMap | None = None) -> int | None:
        """Of the directory's files (or of `among`, members or not) with exactly this name, the one made first."""
        ...

    def __contains__(self, ordinal: int, /) -> bool:
        """Whether a file is in the directory."""
        ...

    def shared(self, ordinal: int) -> bool:
        """False only where no other file of the library has the name of this one."""
        ...

    def name(self, ordinal: int) -> bytes:
        """The stored name of a file."""
        ...

    def guid(self, ordinal: int) -> str:
        """Its GUID."""
        ...

    def with_id(self, digits: str, among: BitMap | None = None) -> Iterable[int]:
        """The directory's files (or those of `among`) whose GUID begins with these digits, the one made first first."""
        ...


def by_long_name(name: bytes, files: Files, among: BitMap | None = None) -> int | None:
    """The file of a directory (or of `among`) that a long name means, listed so or not."""
    for _, digits in parse_long(name):
        for ordinal in files.with_id(digits, among):
            if long_name(shown_form(files.name(ordinal)), files.guid(ordinal), len(digits)) == name:
                return ordinal
    return None


class Sticky:
    """What one directory has promised about names. Forget the object when the directory is forgotten.

    It must be told of every file that leaves the directory and of every rename of a
    member: through this directory, through another one, or from beneath. A leaving that
    it missed is noticed when the name is asked for; a rename is not. Of a rename of a file
    that showed its long name nothing is remembered: that name is free.
    """

    __slots__ = ("_given", "_given_long", "_longer", "_special", "_closed", "_long_closed", "_listings")

    def __init__(self) -> None:
        self._given = BitMap()
        """The files that hold the plain name which they have."""
        self._given_long = BitMap()
        """The files that were ever met under a long name."""
        self._longer: dict[int, set[bytes]] = {}
        """Of these, long names other than those with the fewest digits."""
        self._special: dict[bytes, int] = {}
        """Names to look at twice: those that lead to one file (by ordinal) or to nobody, those
        `_OCCUPIED`, and those `_UNUSUAL`: given, but `Files.shared` would not tell of a twin."""
        self._closed = 0
        self._long_closed: _Remembered | None = None
        self._listings: WeakSet[Listing] = WeakSet()

    def resolve(self, name: bytes, files: Files) -> int | None:
        """The file a name leads to, None where there is none (or something else stands there, see `occupy`).

        What it answers is given out from then on.
        """
        plain = shown_form(name)
        who = self.special(plain)
        if looks_long(plain):
            found = by_long_name(plain, files)
            # The whole GUID is beyond doubt; fewer digits may be what another file is really
            # called, and has been given.
            if found is not None and (who is None or _shows_whole_guid(plain)):
                if shown_form(files.name(found)) == plain:  # a name so long that it is its own long name
                    self._give(plain, found, files)
                else:
                    self._give_long(plain, found, files)
                return found
            if who is None and self._given_long and by_long_name(plain, files, self._given_long) is not None:
                return None  # whom it meant has left; it is not for a file that is really called so
        if who is None or who == _UNUSUAL:
            return self._holder(plain, files)
        return self._back(plain, who, files)

    def _holder(self, plain: bytes, files: Files) -> int | None:
        """Whom an open name leads to: whoever was given it, else the file made first."""
        holder = _first(plain, files)
        if holder is None:
            return None
        if holder in self._given:
            return holder  # a name is given to one file at a time
        if plain in self._special or files.shared(holder) or _is_odd(holder, plain, files):
            given = _first(plain, files, self._given)
            if given is not None and given not in files:
                self.left(given, plain)
                return None
            holder = holder if given is None else given
        self._give(plain, holder, files)
        return holder

    def _back(self, plain: bytes, who: int, files: Files) -> int | None:
        """A closed name opens again for the file that had it."""
        if who < 0 or who not in files or shown_form(files.name(who)) != plain:
            return None
        self._open(plain)
        self._give(plain, who, files)
        return who

    def _give(self, plain: bytes, ordinal: int, files: Files) -> None:
        self._given.add(ordinal)
        if plain not in self._special and (looks_long(plain) or _is_odd(ordinal, plain, files)):
            self._special[plain] = _UNUSUAL

    def _give_long(self, long: bytes, ordinal: int, files: Files) -> None:
        self._given_long.add(ordinal)
        if long != long_name(shown_form(files.name(ordinal)), files.guid(ordinal)):
            self._longer.setdefault(ordinal, set()).add(long)

    def names_met(self, ordinal: int, name: bytes, guid: str) -> Iterator[bytes]:
        """The names under which a file called `name` may have been met here, in every spelling."""
        yield from lookup_forms(shown_form(name))
        yield from self.long_names_met(ordinal, name, guid)

    def long_names_met(self, ordinal: int, name: bytes, guid: str) -> Iterator[bytes]:
        """The long ones of these."""
        if ordinal in self._given_long:
            for long in {long_name(shown_form(name), guid), *self._longer.get(ordinal, ())}:
                yield from lookup_forms(long)

    def special(self, plain: bytes) -> int | None:
        """None of a name (in NFC) that is free or simply given; else see `_special`."""
        who = self._special.get(plain)
        if who is None and self._long_closed is not None and plain in self._long_closed:
            return _NOBODY
        return who

    def given(self, ordinals: Iterable[int]) -> None:
        """Files that were shown under their plain names."""
        self._given.update(ordinals)

    def holds(self, ordinal: int) -> bool:
        """Whether a file was given its plain name here."""
        return ordinal in self._given

    def gave_long(self, ordinal: int) -> bool:
        """Whether some long name of a file was given out here."""
        return ordinal in self._given_long

    def holding_among(self, files: BitMap) -> BitMap:
        """Those of some files that were given their plain names here."""
        return files & self._given

    def given_among(self, files: BitMap) -> BitMap:
        """Those of some files to which a name was given out here, plain or long: what the kernel may know."""
        return files & (self._given | self._given_long)

    def left(self, ordinal: int, name: bytes) -> None:
        """A file is no longer in the directory, or has another name than `name` now.

        Where it held the name, that leads to nobody from here on.
        """
        if ordinal not in self._given:
            return
        self._given.discard(ordinal)
        plain = shown_form(name)
        for listing in self._listings:
            listing.name_is_free(ordinal, plain)
        if self._special.get(plain) != _OCCUPIED:
            self._close(plain, ordinal)

    def takes_over(self, name: bytes, ordinal: int, files: Files) -> None:
        """A program made a file of this name here, or moved one to it: the name is that file's from now on.

        Not for a rename to the file's own long name, which claims no plain name. The
        file is in the index already; until then `occupy` holds the name.
        """
        plain = shown_form(name)
        self._open(plain)
        while (other := _first(plain, files, self._given)) is not None and other != ordinal:
            self._given.discard(other)
        self._give(plain, ordinal, files)

    def renamed(self, ordinal: int, old: bytes, new: bytes, files: Files) -> None:
        """A program renamed a file within the directory."""
        self.left(ordinal, old)
        self.takes_over(new, ordinal, files)

    def occupy(self, name: bytes) -> None:
        """Something that is no file of the index has this name here: a file in scratch, or one still being made."""
        plain = shown_form(name)
        self._open(plain)
        self._special[plain] = _OCCUPIED

    def vacate(self, name: bytes, files: Files) -> None:
        """What `occupy` announced is gone. If a file of this name has come meanwhile, the name is not for it."""
        plain = shown_form(name)
        if self._special.get(plain) == _OCCUPIED:
            del self._special[plain]
            if _first(plain, files) is not None:
                self._close(plain, _NOBODY)

    def _close(self, plain: bytes, who: int) -> None:
        self._open(plain)  # also so that it stands last
        self._special[plain] = who
        self._closed += 1
        if self._closed > CLOSED_KEPT:
            if self._long_closed is None:
                self._long_closed = _Remembered()
            oldest = [name for name, who in self._special.items() if who >= 0][: CLOSED_KEPT // 2]
            for name in oldest:
                self._long_closed.add(name)
                del self._special[name]
            self._closed -= len(oldest)

    def _open(self, plain: bytes) -> None:
        if self._special.pop(plain, -1) >= 0:
            self._closed -= 1
        elif self._long_closed is not None:
            self._long_closed.discard(plain)


_28_BITS = (1 << 28) - 1


class _Remembered:
    """A set of names in some ten bytes each, by two hashes of 28 bits.

    It never misses a name; it takes one in seven million for one of 100,000 it has, and
    then a file shows its long name.
    """

    __slots__ = ("_high", "_low")

    def __init__(self) -> None:
        self._low = BitMap()
        self._high = BitMap()

    def add(self, name: bytes) -> None:
        value = hash(name)
        self._low.add(value & _28_BITS)
        self._high.add(value >> 32 & _28_BITS)

    def discard(self, name: bytes) -> None:
        if name in self:
            self._low.discard(hash(name) & _28_BITS)

    def __contains__(self, name: bytes) -> bool:
        value = hash(name)
        return value & _28_BITS in self._low and value >> 32 & _28_BITS in self._high


def _first(plain: bytes, files: Files, among: BitMap | None = None) -> int | None:
    if among is not None and not among:
        return None
    if plain.isascii():
        return files.first(plain, among)
    for form in lookup_forms(plain):
        found = files.first(form, among)
        if found is not None:
            return found
    return None


def _is_odd(ordinal: int, plain: bytes, files: Files) -> bool:
    """Whether a file is stored under another spelling than it shows: `shared` knows nothing of twins in NFC."""
    return not plain.isascii() and files.name(ordinal) != plain


def _shows_whole_guid(name: bytes) -> bool:
    return any(len(digits) == DIGITS[-1] for _, digits in parse_long(name))


# -- listings


class Listing:
    """The names that one listing of a directory shows.

    Names are decided page by page, on first meeting a file, and a name that no other
    file of the library has (`shared` is False) costs almost nothing. Files may come and
    go between pages: a name that was shown is not shown again.
    """

    __slots__ = ("_sticky", "_shown", "_taken", "__weakref__")

    def __init__(self, sticky: Sticky) -> None:
        self._sticky = sticky
        self._shown = BitMap()
        self._taken: set[bytes] = set()
        """Names shown on an earlier page, of files that have given them up since."""
        sticky._listings.add(self)

    def name_is_free(self, ordinal: int, plain: bytes) -> None:
        """A file gave up its plain name."""
        if ordinal in self._shown:
            self._taken.add(plain)

    def page(self, ordinals: Sequence[int], names: list[bytes], shared: list[bool], files: Files) -> list[bytes]:
        """The names of the next files, in the same order.

        Args:
            names: as stored.
            shared: what `Files.shared` says of each.
        """
        every = range(len(names))
        owners: dict[bytes, int | None] = {}
        out = list(names)
        decided = []
        # One by one and in order: what is decided of one can make the next a name to look at.
        for at in compress(every, shared) if self._are_usual(names) else every:
            if shared[at] or self._is_unclear(names[at]):
                out[at] = self._decide(ordinals[at], shown_form(names[at]), files, owners)
                decided.append(ordinals[at])
        page = BitMap(ordinals)
        self._shown |= page
        self._sticky.given(page.difference(BitMap(decided)))
        self._sticky._given_long.update(decided)
        return out

    def _are_usual(self, names: list[bytes]) -> bool:
        """Whether names can be shown as they are, but for those that several files of the library have."""
        sticky = self._sticky
        text = b"/".join(names)
        return (
            text.isascii()
            and b"~" not in text
            and sticky._long_closed is None
            and (not sticky._special or sticky._special.keys().isdisjoint(names))
            and (not self._taken or self._taken.isdisjoint(names))
        )

    def _is_unclear(self, name: bytes) -> bool:
        return (
            b"~" in name
            or not (name.isascii() or _is_nfc(name))
            or name in self._taken
            or self._sticky.special(name) is not None
        )

    def _decide(self, ordinal: int, plain: bytes, files: Files, owners: dict[bytes, int | None]) -> bytes:
        if plain not in owners:
            owners[plain] = None if plain in self._taken else self._sticky.resolve(plain, files)
        if owners[plain] == ordinal:
            return plain
        long = next(self._long_names(ordinal, plain, files))
        self._sticky._give_long(long, ordinal, files)
        return long

    def _long_names(self, ordinal: int, plain: bytes, files: Files) -> Iterator[bytes]:
        guid = files.guid(ordinal)
        hexed = guid.replace("-", "")
        for digits in DIGITS[:-1]:
            name = long_name(plain, guid, digits)
            if self._sticky.special(name) is not None or name in self._taken:
                continue
            alike = list(files.with_id(hexed[:digits]))
            if alike == [ordinal] or by_long_name(name, files) == ordinal:
                yield name
        yield long_name(plain, guid, DIGITS[-1])


def _is_nfc(name: bytes) -> bool:
    try:
        return unicodedata.is_normalized("NFC", name.decode())
    except UnicodeDecodeError:
        return False
