"""The few files that the mount shows of its own accord: how this works, and who should keep out.

In the tree of tags alone (`lyts mount --tags /tags`) there are none: files and tags never
share a directory.
"""

from __future__ import annotations

from collections.abc import Mapping

from tagfs.views.directory import Directory, Kind

_README = """\
Your library, as directories
============================

  tags/music/               the files with the tag music
  tags/music+flac/          with both; tags/music,jazz has either, tags/music+-live leaves out
  tags/year=1959/           with this value; tags/year=1950..1959 is a range
  tags/music+/              what narrows music further: type cd tags/music+/ and press Tab
  all/  untagged/  recent/  every file; those without a tag; the last ones added or changed
  saved/NAME/               a query kept with: lyts save NAME QUERY
  ids/1a2b3c4d              one file by its identity
  nodes/NODE/               what a device of yours holds
  trash/                    what was removed
  search/WORDS/             the files that answer best: cd "search/red wine -cake"

Copying a file into tags/music+flac adds it to the library with both tags. mv from one tag
to another retags, ln adds a tag, cp makes a second file. rm takes off the last tag of the
path; rm in all/ and untagged/ moves to the trash. lyts undo takes back whatever you did.

Back up the store (lyts doctor says where it is), not this mount.
What every operation does: docs/reference/mount-operations.md of lyts, or: lyts help mount
"""

_CACHEDIR_TAG = """\
Signature: 8a477f597d28d172789f06886806bc55
# This is a view of a lyts library. Backup programs and indexers keep out by this file:
# back up the store instead. https://bford.info/cachedir/
"""

_ROOT_FILES: Mapping[str, bytes] = {"README.md": _README.encode(), "CACHEDIR.TAG": _CACHEDIR_TAG.encode()}
_NONE: Mapping[str, bytes] = {}


def static_files(directory: Directory) -> Mapping[str, bytes]:
    """Name -> contents of what a directory shows besides files of the library."""
    return _ROOT_FILES if directory.kind is Kind.ROOT else _NONE
