"""What was found in a file, as tags. Pure.

    music, speech   artist  album  year  genre
    photographs     camera  date (`2019-10-04`)
    PDF             author  title

Values are made to fit the rules for tags (`exchange.fitting`). A person's word counts more:
a key that the file has a tag of already gets none from here, and a tag that was taken off
the file is not put back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tagfs.exchange.fitting import fitted
from tagfs.face import extension
from tagfs.tag import split_tag

AUDIO, PHOTO, PDF = "audio", "photo", "pdf"
KEYS = {AUDIO: ("artist", "album", "year", "genre"), PHOTO: ("camera", "date"), PDF: ("author", "title")}
MOST_VALUES = 8
"""Of one key, in one file: a sampler may name fifty artists."""

_EXTENSIONS = {
    AUDIO: "mp3 m4a m4b aac flac ogg oga opus wav wma aif aiff aifc",
    PHOTO: "jpg jpeg jpe tif tiff heic heif avif webp png nef cr2 cr3 arw dng orf raf rw2",
    PDF: "pdf",
}
_KINDS = {one: kind for kind, those in _EXTENSIONS.items() for one in those.split()}
_YEAR = re.compile(r"(?<!\d)(1[0-9]{3}|20[0-9]{2})(?!\d)")
_DATE = re.compile(r"((?:1[89]|20)\d\d)[:-](0[1-9]|1[0-2])[:-](0[1-9]|[12]\d|3[01])")
_NOTHING = frozenset({"", "unknown", "untitled", "none", "n/a", "unknown artist", "unknown album", "(anonymous)"})


def kind_of(name: str) -> str | None:
    """Which kind of file a name speaks of: AUDIO, PHOTO, PDF; None where nothing is to be found in it."""
    return _KINDS.get(extension(name))


def tags_of(kind: str, values: Mapping[str, Sequence[str]]) -> list[str]:
    """The tags that values found in a file give, by key."""
    tags: list[str] = []
    for key in KEYS[kind]:
        made = (_tag(key, value) for value in values.get(key, ()))
        tags += [tag for tag in dict.fromkeys(made) if tag is not None][:MOST_VALUES]
    return tags


def _tag(key: str, value: str) -> str | None:
    value = value.strip().strip("\0").strip()
    if value.casefold() in _NOTHING:
        return None
    if key == "year":
        found = _YEAR.search(value)
        return f"year={found[1]}" if found else None
    if key == "date":
        day = _DATE.match(value)
        return f"date={day[1]}-{day[2]}-{day[3]}" if day else None
    return fitted(key, value)


def camera(maker: str, model: str) -> str:
    """`Canon EOS 5D`: the maker is named once, although models often begin with it."""
    maker, model = " ".join(maker.split()), " ".join(model.split())
    first = maker.split(" ")[0]
    if not maker or model.casefold().startswith(first.casefold()):
        return model
    return f"{maker} {model}" if model else maker


def wanted(found: Iterable[str], have: Iterable[str], taken_off: Iterable[str] = ()) -> list[str]:
    """Of the tags found in a file those that it is to get, when it has some and others were taken off it."""
    keys, off = {split_tag(tag)[0] for tag in have}, set(taken_off)
    return [tag for tag in found if split_tag(tag)[0] not in keys and tag not in off]
