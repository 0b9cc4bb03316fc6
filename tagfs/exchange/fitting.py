"""Tags of other programs, made to fit the rules of `tagfs.tag`. Pure.

What can be a tag stays as it is. Else: control characters and blanks at the ends go, several
blanks become one, a key that queries keep for themselves (`type`, `size`, ...) gets a `_`
behind it, a leading `-` or `.` a `_` in front, and what is too long is cut.
"""

from __future__ import annotations

import unicodedata

from tagfs.errors import BadTag
from tagfs.tag import BUILT_IN_KEYS, MAX_TAG_BYTES, check_tag


def fitted(key: str, value: str | None = None) -> str | None:
    """The tag `key`, or `key=value`, made possible; None where nothing is left of it."""
    key = _clean(key).replace("=", "-")
    if not key:
        return None
    if key[0] in "-.":
        key = "_" + key
    if key in BUILT_IN_KEYS:
        key += "_"
    if value is None:
        tag = key
    else:
        value = _clean(value)
        if not value:
            return None
        tag = f"{key}={value}"
    tag = _cut(unicodedata.normalize("NFC", tag))
    try:
        return check_tag(tag)
    except BadTag:
        return None


def _clean(text: str) -> str:
    blank = "".join(" " if unicodedata.category(ch) in ("Cc", "Zl", "Zp", "Cs") else ch for ch in text)
    return " ".join(blank.split())


def _cut(text: str) -> str:
    raw = text.encode("utf-8")
    return text if len(raw) <= MAX_TAG_BYTES else raw[:MAX_TAG_BYTES].decode("utf-8", "ignore").rstrip()
