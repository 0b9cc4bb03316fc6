"""A conflict copy: the file that holds the other one of two edits which did not know of each other.

Both contents are kept (sync.md, Bytes edited on two nodes): one stays the content of the
file, the other becomes a file of its own, whoever notices it. Its GUID is made of the
file's and of the hash of its bytes, so that all who find the same bytes make the same file,
and so that it can be told later whose copy it is. Until a person settles the conflict it has
the tag `conflict`. Pure.
"""

from __future__ import annotations

import re
from uuid import UUID, uuid5

from tagfs.guid import Guid
from tagfs.merge import FileState
from tagfs.views.names import MAX_NAME_BYTES, split_extension

CONFLICT_TAG = "conflict"
_SAID = re.compile(r" \([^()]*, \d{4}-\d\d-\d\d\)(?=\.[^.]*\Z|\Z)")


def copy_guid(guid: str, sha256: str) -> Guid:
    """The GUID of the file that keeps these bytes (SHA-256 hex) beside the file `guid`."""
    return Guid(str(uuid5(UUID(guid), sha256)))


def may_be_copy(guid: str) -> bool:
    """Whether a GUID can be that of a conflict copy: all other files have a random one."""
    return guid[14] == "5"


def copy_name(name: str, who: str, date: str) -> str:
    """`song (laptop, 2026-11-22).flac`: how the other one of two edits is called.

    Args:
        who: the node on which it was edited. Nodes may have names that no file can have.
        date: the day, as `2026-11-22`.
    """
    who = who.replace("/", "-").replace("\0", "-")
    stem, extension = split_extension(name.encode("utf-8", "surrogatepass"))
    said = f" ({who}, {date})".encode()
    room = MAX_NAME_BYTES - len(said) - len(extension)
    return (stem[:room].decode("utf-8", "ignore").encode() + said + extension).decode("utf-8", "replace")


def name_before(name: str) -> str | None:
    """The name that a conflict copy was called after, None where the name is none of a copy."""
    return _SAID.sub("", name, count=1) if _SAID.search(name) else None


def copied_hash(state: FileState) -> str:
    """The SHA-256 of the bytes that a copy was made for; "" where it cannot be told."""
    content = state.contents.get(state.born)
    return content.sha256 if content is not None else ""


def is_copy_of(copy: FileState, guid: str) -> bool:
    """Whether a file is the conflict copy of another."""
    sha256 = copied_hash(copy)
    return bool(sha256) and copy.guid == copy_guid(guid, sha256)


def tags_since(copy: FileState) -> list[str]:
    """The tags that somebody gave to a copy after it was made, `conflict` not among them.

    Those that it was made with were the file's: what the file has lost since was taken off on purpose.
    """
    births = {at for at, content in copy.contents.items() if content.sha256 == copied_hash(copy)}
    found = []
    for tag in copy.tags():
        removed = copy.removed.get(tag, {})
        standing = {at for node, at in copy.added[tag].items() if at > removed.get(node, "")}
        if tag != CONFLICT_TAG and standing - births:
            found.append(tag)
    return found
