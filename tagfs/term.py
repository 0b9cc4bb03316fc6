"""Terms: everything a posting list can be kept for.

A term is (kind, key, value). Tags are terms, and so is whatever the built-in keys
need to be answered by set operations alone. `terms_of` in `tagfs.face` says which
terms a file has; the index gives each a number and keeps the set of its files.
"""

from __future__ import annotations

# kind          key         value
ALL = 0  #      ""          None            every living file; its term number is 0
TAG = 1  #      tag key     value or None   `music`; `year`, `1959`
FROM = 2  #     ""          folder          where the file was when it was added
EXT = 3  #      ""          extension       lower case, without the dot; "" for none
SIZE = 4  #     ""          bucket          decimal number of a bucket of `tagfs.bucket`
MODIFIED = 5  # ""          day             decimal days since 1970-01-01 UTC
ADDED = 6  #    ""          day             likewise, of the birth stamp
HOLDS = 7  #    ""          node GUID       the node keeps the bytes
UNKNOWN = 8  #  ""          node GUID       the node may not know the face (excluded)
TRASHED = 9  #  ""          None            removed, bytes kept; such files have only this term and the next
UNTAGGED = 10  # ""          None            living files without a tag
NOTED = 11  #   ""          None            living files with notes
HELD_TRASH = 12  # ""       node GUID       the node keeps the bytes of a file in the trash

TermKey = tuple[int, str, str | None]
ALL_FILES: TermKey = (ALL, "", None)
ALL_TERM = 0
