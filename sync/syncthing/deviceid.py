"""Device ids as Syncthing writes them: base32 of a SHA-256, in groups, each with a check letter. Pure.

Syncthing refuses a whole change of its settings for one id whose check letters are wrong, so
what is no id must never get there.
"""

from __future__ import annotations

import base64
import re

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_FORM = re.compile(rf"[{_BASE32}]{{7}}(-[{_BASE32}]{{7}}){{7}}\Z")


def device_id(digest: bytes) -> str:
    """SHA-256 of a certificate as Syncthing writes it: four groups of 13 letters with a check letter, dashes.

    The check letter is Luhn's, in base 32 (docs.syncthing.net, Understanding Device IDs).
    """
    text = base64.b32encode(digest).decode().rstrip("=")
    groups = (text[at : at + 13] for at in range(0, 52, 13))
    whole = "".join(group + _check_letter(group) for group in groups)
    return "-".join(whole[at : at + 7] for at in range(0, 56, 7))


def is_device_id(text: str) -> bool:
    """Whether a text can be a device id: its form, and its check letters."""
    if _FORM.match(text) is None:
        return False
    whole = text.replace("-", "")
    return all(_check_letter(whole[at : at + 13]) == whole[at + 13] for at in range(0, 56, 14))


def _check_letter(group: str) -> str:
    factor, total = 1, 0
    for letter in group:
        addend = factor * _BASE32.index(letter)
        factor = 1 if factor == 2 else 2
        total += addend // 32 + addend % 32
    return _BASE32[-total % 32]
