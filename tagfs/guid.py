"""Identities: a random UUID (version 4), never reused.

A `Guid` is the canonical lower-case text, 36 characters. The index keeps its 16
bytes. People see and type the first 8 hex digits, more when those are ambiguous.
The 16 random bytes are an argument: nothing in here draws them.
"""

from __future__ import annotations

import re
from typing import NewType

Guid = NewType("Guid", str)

SHORT_DIGITS = 8
_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_PREFIX = re.compile(r"[0-9a-fA-F-]{8,36}\Z")


def guid_of_bytes(raw: bytes) -> Guid:
    """The Guid written with these 16 bytes."""
    h = raw.hex()
    return Guid(f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}")


def bytes_of_guid(guid: str) -> bytes:
    """The 16 bytes of a Guid. ValueError where it is none."""
    return bytes.fromhex(guid.replace("-", ""))


def new_guid(random16: bytes) -> Guid:
    """A version 4 UUID (RFC 9562) made of 16 random bytes."""
    b = bytearray(random16)
    b[6] = (b[6] & 0x0F) | 0x40
    b[8] = (b[8] & 0x3F) | 0x80
    return guid_of_bytes(bytes(b))


def is_guid(text: str) -> bool:
    """Whether `text` is a Guid in its one canonical spelling."""
    return _CANONICAL.match(text) is not None


def prefix_digits(text: str) -> str | None:
    """The hex digits of a short id or Guid as a person typed it, else None.

    At least 8 digits count as a short id; a dash may stand anywhere.
    """
    if not _PREFIX.match(text):
        return None
    digits = text.replace("-", "").lower()
    return digits if SHORT_DIGITS <= len(digits) <= 32 else None


def short(guid: str) -> str:
    """The form people see."""
    return guid[:SHORT_DIGITS]
