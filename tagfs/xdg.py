"""Tags and notes in the attributes that desktops agree on.

    user.xdg.tags       own tags, `a,b`; what Dolphin, Nemo and others show and set
    user.xdg.comment    notes
    user.baloo.rating   0 to 10, as KDE counts (two a star); here the tag `rating=8`

In `user.xdg.tags` a comma within a tag is written `%2C`, a slash within a plain one `%2F`
(and the `%` of what would read as one of these `%25`), so that tags survive the way out
and in. A plain slash parts a path of tags, as photo managers write it (`Places/Rome`: both).
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tagfs.errors import BadTag
from tagfs.tag import check_tag

TAGS = "user.xdg.tags"
COMMENT = "user.xdg.comment"
RATING = "user.baloo.rating"
MOST_RATING = 10

_SPELLED = re.compile(r"%(25|2C|2F)", re.IGNORECASE)
_PLAIN = {"25": "%", "2C": ",", "2F": "/"}


def tags_as_xattr(tags: Iterable[str]) -> bytes:
    """Tags as the value of `user.xdg.tags`."""
    return ",".join(map(_spell, tags)).encode("utf-8", "surrogatepass")


def xattr_as_tags(value: bytes) -> list[str]:
    """The tags that a value of `user.xdg.tags` gives. Raises `BadTag`; bytes that are no UTF-8 are none."""
    try:
        text = value.rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError:
        raise BadTag(value.decode("utf-8", "replace"), "it is not valid text") from None
    tags = [tag for item in filter(None, map(str.strip, text.split(","))) for tag in _item_as_tags(item)]
    return list(dict.fromkeys(tags))


def possible_tags(value: bytes) -> list[str]:
    """The same, but what can be no tag is left out: for files that other programs tagged."""
    tags = []
    for item in filter(None, map(str.strip, value.rstrip(b"\0").decode("utf-8", "replace").split(","))):
        try:
            tags += _item_as_tags(item)
        except BadTag:
            continue
    return list(dict.fromkeys(tags))


def rating_of(value: bytes) -> str | None:
    """The tag for a value of `user.baloo.rating`; None for 0 (no rating) and for what is none."""
    text = value.rstrip(b"\0").decode("ascii", "replace").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 2 or not 0 < int(text) <= MOST_RATING:
        return None
    return f"rating={int(text)}"


def rating_in(tags: Iterable[str]) -> bytes | None:
    """The value of `user.baloo.rating` for a file with these tags, where they say one rating."""
    values = [tag.removeprefix("rating=") for tag in tags if tag.startswith("rating=")]
    if len(values) != 1 or rating_of(values[0].encode()) != f"rating={values[0]}":
        return None
    return values[0].encode()


def _item_as_tags(item: str) -> list[str]:
    key, eq, _ = item.partition("=")
    if "/" not in key:
        return [check_tag(_unspell(item))]
    if eq:
        raise BadTag(item, "a key cannot contain a slash")
    return [check_tag(_unspell(part)) for part in filter(None, map(str.strip, key.split("/")))]


def _spell(tag: str) -> str:
    key, eq, value = _SPELLED.sub(r"%25\1", tag).replace(",", "%2C").partition("=")
    return key.replace("/", "%2F") + eq + value


def _unspell(text: str) -> str:
    return _SPELLED.sub(lambda found: _PLAIN[found[1].upper()], text)
