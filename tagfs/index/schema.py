"""The layout of the index: every sub-database, its keys and values, and what is derived from what.

All of it derives from the ledgers. Numbers in keys are big-endian, so that they sort.
An *ordinal* is the number a file got on arrival, never reused; a *term number* likewise
(0 is every living file). `when` is a stamp's time part (`tagfs.stamp`). Blocks hold as
many rows as fill a page: LMDB gives a large value whole pages, and a row of its own in
a leaf costs 14 bytes more.

| sub-db   | key                          | value                                                    |
|----------|------------------------------|----------------------------------------------------------|
| meta     | text                         | format, counters, clock, open segment; "folder:" ledger  |
|          |                              | folder: its mtime and newest segment when last read      |
| node     | u16 number                   | node GUID, or the 8 hex digits where no more is known    |
| guid     | first 2 bytes of a GUID      | DUPFIXED 10: next 6 bytes, u32 ordinal                   |
| rows     | u32 ordinal // 68            | 68 x 60: see `blocks.ROW`                                |
| names    | u32 ordinal // 512           | 512 names joined by "/" (which no name contains)         |
| attrs    | u32 ordinal // 170           | 170 x 24: see `blocks.ATTR`                              |
| fwd      | u32 ordinal // 512           | the term numbers of 512 files: own tags and `from`       |
| merge    | u32 ordinal                  | what the join needs beyond rows, names, attrs and fwd    |
| byname   | first 2 bytes of CRC-32      | DUPFIXED 14: next 2 bytes, birth when u64, u32 ordinal:  |
|          |                              | the first made comes first                               |
| hash     | first 2 bytes of SHA-256     | DUPFIXED 8: next 4 bytes, u32 ordinal                    |
| term     | u32 term                     | kind u8, has-value u8, count u32, last change u64, key, NUL, value |
| termkey  | see `termkey`                | u32 term; a range is a prefix walk                       |
| post     | u32 term, u16 ordinal >> 16  | Roaring bitmap of that 65,536-block, full ordinals       |
| mention  | u32 segment, u16 ordinal >> 16 | Roaring bitmap of the files a segment speaks of        |
| segment  | folder "/" file name         | how far a ledger segment has been read: `blocks.SEGMENT` |
| action   | when u64, 8 hex digits       | msgpack: what an action did, and in which segments       |
| thing    | kind letter, text            | msgpack: merge state of a tag (T), node (N), saved query (S), |
|          |                              | nodeset (L), rule (P); a line set aside (Q); a report (R) |
| match    | letter, text                 | m: NUL-joined tags whose files match a question for a tag, where |
|          |                              | there are more than itself; c: what an alias stands for; |
|          |                              | e: "" for a tag that was made; n: alias of a node GUID   |
| changes  | u64 transaction              | msgpack: ordinals and terms that it changed, names that  |
|          |                              | renamed files had before; the newest 1,000               |
| pending  | queue letter, u16 ordinal >> 16 | Roaring bitmap of files to be worked on (t: text to index) |

Derived from rows + names + attrs + fwd + merge alone: guid, byname, hash, term counts, post.
"""

from __future__ import annotations

import struct
from unicodedata import unidata_version

from tagfs.value import value_key

INDEX_FORMAT = f"2 unicode-{unidata_version}"
"""Another text in `meta` means: throw the index away and build it again. What letters are, and so
which data paths follow from names (`slug`), changes with Unicode."""

SUB_DBS: dict[str, dict[str, bool]] = {
    "meta": {},
    "node": {},
    "guid": {"dupsort": True, "dupfixed": True},
    "rows": {},
    "names": {},
    "attrs": {},
    "fwd": {},
    "merge": {},
    "byname": {"dupsort": True, "dupfixed": True},
    "hash": {"dupsort": True, "dupfixed": True},
    "term": {},
    "termkey": {},
    "post": {},
    "mention": {},
    "segment": {},
    "action": {},
    "thing": {},
    "match": {},
    "changes": {},
    "pending": {},
}

U16 = struct.Struct(">H")
U32 = struct.Struct(">I")
U64 = struct.Struct(">Q")
POST_KEY = struct.Struct(">IH")
ACTION_KEY = struct.Struct(">Q8s")
TERM_HEAD = struct.Struct(">BBIQ")

CLOCK_KEY = b"clock"  # in meta: the newest `when` this node gave, u64
OPEN_SEGMENT_KEY = b"open_segment"  # in meta: boot id, blank, name of the segment begun in that boot


def open_segment_key(folder: str) -> bytes:
    """The key for one of this node's ledger folders, "" for the open one."""
    return OPEN_SEGMENT_KEY + (b":" + folder.encode() if folder else b"")


FOLDER_KEY = b"folder:"  # in meta, before a ledger folder: its mtime u64, name of its newest segment

UNVOUCHED_KEY = b"unvouched"  # in meta: u32 numbers of segments that lost lines which are still to be vouched for

CHANGES_KEPT = 1000
LONGEST_KEY = 440  # LMDB takes 511 bytes; the rest is room for a digest


def termkey_prefix(kind: int, key: str) -> bytes:
    """What all valued terms of a kind and key begin with in `termkey`."""
    return b"v" + bytes((kind,)) + key.encode("utf-8") + b"\0"


def termkey(kind: int, key: str, value: str | None) -> bytes:
    """The key of a term: plain ones by text, valued ones in the order of `value_key`.

    Only folders (`from`) can be too long for a key; those end in a digest.
    """
    if value is None:
        whole = b"p" + bytes((kind,)) + key.encode("utf-8")
    else:
        whole = termkey_prefix(kind, key) + value_key(value)
    if len(whole) <= LONGEST_KEY:
        return whole
    from hashlib import blake2b

    return whole[:LONGEST_KEY] + blake2b(whole, digest_size=16).digest()
