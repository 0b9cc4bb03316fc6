"""Names of data files: `gg/<guid>--<slug>.<ext>` below a set's `data/`.

Made once, from the name the file had first, and never changed: a rename is a fact, not
a move of bytes. Safe on ext4, NTFS, APFS and FAT: NFC, no reserved characters, no
reserved names (the GUID in front sees to that), at most 80 bytes of slug. The extension
stays, so that a double-click works without us. Pure and deterministic: the index relies
on making the same path again from GUID and name.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

MAX_SLUG_BYTES = 80
MAX_EXTENSION_BYTES = 16

_ASCII = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}


def _safe(text: str) -> str:
    """Lower case, letters and digits of any script kept, everything else one dash."""
    if text.isascii():
        kept = text.translate(_ASCII)
    else:
        folded = unicodedata.normalize("NFC", text.lower())
        # Marks are part of letters in many scripts; format characters (RTL marks) and
        # unassigned ones are not, and must not hide in a file name.
        kept = "".join(ch if unicodedata.category(ch)[0] in "LMN" else " " for ch in folded)
    return "-".join(kept.split())


def _cut(text: str, limit_bytes: int) -> str:
    if len(text) * 4 <= limit_bytes:
        return text
    raw = text.encode("utf-8", "ignore")
    if len(raw) <= limit_bytes:
        return text
    # NFC once more: a cut never leaves half a character, but may part a mark from its letter, which is harmless.
    return raw[:limit_bytes].decode("utf-8", "ignore").strip("-")


def slug(name: str) -> tuple[str, str]:
    """(slug, extension) of a file name; either may be empty."""
    stem, dot, ext = name.rpartition(".")
    if not dot or not stem.strip(".") or len(ext) > MAX_EXTENSION_BYTES or not (ext.isascii() and ext.isalnum()):
        stem, ext = name, ""
    return _cut(_safe(stem), MAX_SLUG_BYTES), ext.lower()


@lru_cache(maxsize=16_384)  # made when a file is born, and again when it is looked whether that is all there is
def data_path(guid: str, name: str) -> str:
    """Where the bytes of a new file stand below `data/`."""
    stem, ext = slug(name)
    return f"{guid[:2]}/{guid}" + (f"--{stem}" if stem else "") + (f".{ext}" if ext else "")
