"""Names and folders for copies that leave the store: safe on every file system, and each once.

Used wherever lyts lets files out under their own names. The scripts in `scripts/` stand alone and
do the like with what a plain shell can: the same folders; for names without NFC, and of two
files with one name both get digits of their GUID, so that no order matters.

A name (`safe_name`), of a file or of a folder:

1.  It is written in NFC.
2.  Each character that some system forbids, that ends a line, or that hides or turns what
    is shown becomes `_`: `/ \\ : * ? " < > |`, and Unicode's Cc, Cf, Zl, Zp, Cs, Co, Cn.
    The two joiners U+200C and U+200D stay: they shape letters and emoji.
3.  Blanks at both ends and dots at the end are dropped. What is left empty is `_`.
4.  CON, PRN, AUX, NUL, COM0 to COM9, LPT0 to LPT9, in any case and with any extension, get
    a `_` in front.
5.  It has at most 255 bytes in UTF-8. What is too long loses the end of its stem; the
    extension stays (`split_name`: after the last dot, at most 16 bytes, no blank in it).

Where in the tree (`folders_of`), by layout. Each part of a path is a name by the rules above.

    flat    no folder
    date    the year and the month it was last changed, in UTC: `2026/2026-11`; else `undated`
    from    the folder it came from, without the first slash; else `elsewhere`
    tags    a folder for each of its tags, `music` or `year=1959`, and the file in each of them:
            its bytes once, under several names (hard links). Where the file system has no
            hard links: in the first only, in order of text. Without tags: `untagged`

Who gets a name (`Names`): files come in the order in which they were made (the stamp of
their birth, then the GUID). Two names are the same if they are so after NFC and
`str.casefold`: on many systems `A` and `a` are one. The second is called
`stem~1a2b3c4d.ext` by the first 8 hex digits of its GUID, with 12, 16, ... 32 digits where
that is taken, too. Folders come first: no file is called like a folder that stands beside it.

Pure and deterministic: the same files make the same tree, which is how a run that was
interrupted goes on.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import blake2b

LAYOUTS = ("tags", "flat", "date", "from")
MAX_NAME_BYTES = 255
MAX_EXTENSION_BYTES = 16
UNTAGGED, UNDATED, ELSEWHERE = "untagged", "undated", "elsewhere"

_FORBIDDEN = frozenset('/\\:*?"<>|')
_HIDDEN = ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn")
_JOINERS = "\u200c\u200d"
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(10))})

Folder = tuple[str, ...]
"""The names of the folders on the way to a file, all safe."""


def safe_name(text: str) -> str:
    """A name that is safe everywhere. The same for what is safe already."""
    name = unicodedata.normalize("NFC", text)
    if not (name.isascii() and name.isalnum()):
        name = "".join(_safe_character(ch) for ch in name)
        name = unicodedata.normalize("NFC", name).strip().rstrip(". ").strip() or "_"
    if name.split(".", 1)[0].rstrip(" ").casefold() in _DEVICES:
        name = "_" + name
    return shortened(name, MAX_NAME_BYTES)


def _safe_character(ch: str) -> str:
    if ch in _FORBIDDEN or (unicodedata.category(ch) in _HIDDEN and ch not in _JOINERS):
        return "_"
    return ch


def split_name(name: str) -> tuple[str, str]:
    """(stem, extension with its dot); no extension in `.bashrc`, `Mr. Smith` and the like."""
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem.strip(".") or not extension or " " in extension:
        return name, ""
    return (stem, dot + extension) if len(extension.encode("utf-8")) <= MAX_EXTENSION_BYTES else (name, "")


def shortened(name: str, limit_bytes: int, between: str = "") -> str:
    """`name` with `between` before its extension, cut at the end of its stem to so many bytes of UTF-8."""
    stem, extension = split_name(name)
    room = limit_bytes - len((between + extension).encode("utf-8"))
    raw = stem.encode("utf-8")
    if len(raw) > room:
        stem = raw[:room].decode("utf-8", "ignore").rstrip(". ") or "_"
    return stem + between + extension


def folders_of(layout: str, tags: Sequence[str], modified_ns: int | None, from_folder: str | None) -> list[Folder]:
    """The folders in which a file comes out, the one for its bytes first.

    Args:
        layout: one of `LAYOUTS`.
        modified_ns: when it was last changed, nanoseconds since 1970; None where nobody knows.
    """
    if layout == "flat":
        return [()]
    if layout == "date":
        return [_month(modified_ns)]
    if layout == "from":
        parts = [safe_name(part) for part in (from_folder or "").split("/") if part not in ("", ".")]
        return [tuple(parts) or (ELSEWHERE,)]
    found = dict.fromkeys((safe_name(tag),) for tag in sorted(tags))
    return list(found) or [(UNTAGGED,)]


def _month(modified_ns: int | None) -> Folder:
    import time

    if modified_ns is None:
        return (UNDATED,)
    try:
        at = time.gmtime(modified_ns // 1_000_000_000)
    except (OverflowError, ValueError, OSError):
        return (UNDATED,)
    if not 0 < at.tm_year <= 9999:
        return (UNDATED,)
    return (f"{at.tm_year:04d}", f"{at.tm_year:04d}-{at.tm_mon:02d}")


def same_name(name: str) -> str:
    """What two names have in common that some file system takes for one."""
    return unicodedata.normalize("NFC", name.casefold())


class Names:
    """Who is called what, in the folders of one tree. Eight bytes (hashed) for each name given."""

    def __init__(self, folders: Iterable[Folder], reserved: Iterable[str] = ()) -> None:
        """Args:
        folders: all folders that the tree will have.
        reserved: names at the top that no file may get.
        """
        self._given = {_mark((), name) for name in reserved}
        for folder in folders:
            for depth, part in enumerate(folder):
                self._given.add(_mark(folder[:depth], part))

    def give(self, folder: Folder, name: str, guid: str) -> str:
        """The name of the next file in a folder. Files are to come in the order in which they were made."""
        name = safe_name(name)
        digits = guid.replace("-", "")
        for between in ("", *(f"~{digits[:count]}" for count in range(8, 33, 4))):
            tried = shortened(name, MAX_NAME_BYTES, between)
            mark = _mark(folder, tried)
            if mark not in self._given:
                self._given.add(mark)
                return tried
        raise ValueError(f"{guid} came twice")


def _mark(folder: Folder, name: str) -> int:
    text = "/".join(same_name(part) for part in (*folder, name))
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
