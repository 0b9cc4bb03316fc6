"""A made-up library: N files as a person with many might have, the same on every machine.

It is made in chunks of 10,000 files, each from its own seed, so that a library of 100,000
files is the beginning of one of 10 million and neither has to fit into memory.

    tags      8 of 5,000 a file, Zipf (rank r is drawn r times less often than rank 1): the first
              stands on about 6 files of 10, the last on 2 of 10,000; 2 of the 8 are shared by
              200 files in a row, as when a folder is tagged at once
    values    year=1990..2026 (later ones more often), kind= one of 20, bucket= one of 12
    names     2 in 100 are cover.jpg, 13 in 100 IMG_nnnn, the others word_word_nnn
    the rest  100 bytes to 10 MB, modified within 16 years, one of 2,000 folders

A file's number is its place in the library: in the index its ordinal, in SQLite its id.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tagfs.guid import Guid, new_guid

CHUNK = 10_000
FOLDER_FILES = 200
SEED = 7

TAGS = 5_000
YEARS = range(1990, 2027)
_KINDS = "jpg pdf mp3 png txt mp4 doc flac zip odt epub html csv py raw svg gif webp mkv tar"
KINDS = tuple(_KINDS.split())
BUCKETS = 12
HOT_NAME = "cover.jpg"

_WORD_LIST = """
    acorn amber anchor apple april arrow aspen atlas autumn badge bamboo barley basil beacon berry birch bishop
    blanket bottle bramble breeze brick bridge bronze brook bucket butter button cabin cactus camel candle canyon
    carpet castle cedar cellar chalk cherry chestnut circle clover cobalt comet copper coral cotton cradle crane
    crystal daisy dawn delta desert diamond dolphin dragon dune eagle early ember empire engine evening falcon
    feather fennel fern fiddle field finch flint forest fossil fountain garden garlic ginger glacier glass goose
    granite grape grove hammer harbor hazel heron hollow honey horizon hunter indigo island ivory jacket jasmine
    jelly juniper kettle kingdom kitchen ladder lagoon lake lantern laurel lemon lilac linen lizard lobster lotus
    magnet mango maple marble meadow melon mercury midnight mirror mountain muffin mustard nectar needle north
    oak ocean olive onion orange orchard orchid otter oyster paddle palace paper parrot pebble pepper pillow pine
    planet plum pocket pollen poppy prairie pumpkin quartz quiet rabbit raven reed ribbon river robin rocket rose
    saddle saffron salmon sandal school shadow silver sparrow spring station stone summer sunset swallow table
    temple thistle thunder timber tulip tunnel turtle valley velvet violet walnut willow window winter yellow
"""
_WORDS = tuple(_WORD_LIST.split())

_first_year = TAGS
_first_kind = _first_year + len(YEARS)
_first_bucket = _first_kind + len(KINDS)

TERMS: tuple[str, ...] = (
    "music",
    "flac",
    *(f"{_WORDS[i % len(_WORDS)]}{i:04d}" for i in range(2, TAGS)),
    *(f"year={year}" for year in YEARS),
    *(f"kind={kind}" for kind in KINDS),
    *(f"bucket=b{i:02d}" for i in range(BUCKETS)),
)
"""All tags, plain ones first and by how common they are."""


class File(NamedTuple):
    """One file of the library. `terms` are places in `TERMS`, ascending."""

    guid: Guid
    name: str
    terms: list[int]
    size_bytes: int
    modified_ns: int
    sha256: str
    folder: str


def _cumulated(weights: np.ndarray) -> np.ndarray:
    return np.cumsum(weights / weights.sum())


_TAG_ODDS = _cumulated(1 / np.arange(1, TAGS + 1))
_YEAR_ODDS = _cumulated(np.linspace(1, 6, len(YEARS)))
_KIND_ODDS = _cumulated(1 / np.arange(1, len(KINDS) + 1))


def _draw(rng: np.random.Generator, odds: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.minimum(np.searchsorted(odds, rng.random(shape)), len(odds) - 1)


def chunk(number: int) -> list[File]:
    """The files `number * CHUNK` up to `(number + 1) * CHUNK`."""
    rng = np.random.default_rng([SEED, number])
    folders = CHUNK // FOLDER_FILES
    shared = np.repeat(_draw(rng, _TAG_ODDS, (folders, 2)), FOLDER_FILES, axis=0)
    years = _draw(rng, _YEAR_ODDS, (CHUNK, 1))
    kinds = _draw(rng, _KIND_ODDS, (CHUNK, 1))
    buckets = np.clip(rng.normal(6, 2, (CHUNK, 1)), 0, BUCKETS - 1).astype(np.int64)
    rows = np.concatenate(
        [
            _draw(rng, _TAG_ODDS, (CHUNK, 6)),
            shared,
            years + _first_year,
            kinds + _first_kind,
            buckets + _first_bucket,
        ],
        axis=1,
    )
    sizes = (10 ** rng.uniform(2, 7, CHUNK)).astype(np.int64).tolist()
    times = (np.int64(1_200_000_000) * 10**9 + rng.integers(0, 5 * 10**17, CHUNK)).tolist()
    words = rng.integers(0, len(_WORDS), (CHUNK, 2)).tolist()
    numbers = rng.integers(0, 1000, CHUNK).tolist()
    odds = rng.random(CHUNK).tolist()
    random = rng.bytes(48 * CHUNK)
    files = []
    for i, row in enumerate(rows.tolist()):
        ext = KINDS[row[9] - _first_kind]
        if odds[i] < 0.02:
            name = HOT_NAME
        elif odds[i] < 0.15:
            name = f"IMG_{numbers[i] * 7 % 10_000:04d}.{ext}"
        else:
            name = f"{_WORDS[words[i][0]]}_{_WORDS[words[i][1]]}_{numbers[i]:03d}.{ext}"
        place = (number * folders + i // FOLDER_FILES) % 2000
        at = 48 * i
        files.append(
            File(
                new_guid(random[at : at + 16]),
                name,
                sorted(set(row)),
                sizes[i],
                times[i],
                random[at + 16 : at + 48].hex(),
                f"/home/ada/{_WORDS[place % len(_WORDS)]}/{place:04d}",
            )
        )
    return files


def chunks(total: int) -> Iterator[list[File]]:
    """The first `total` files, a chunk at a time."""
    for number in range(-(-total // CHUNK)):
        yield chunk(number)[: total - number * CHUNK]
