"""Every operation in every kind of directory: what it does, or why it is refused. As data.

`rule(directory, operation)` is all the mount asks; `docs/reference/mount-operations.md`
is made from the same tables, and a test goes through them cell by cell.

Rules:

- What is not in the tables is EPERM: never EXDEV (mv would copy and delete), never
  ENOSYS, and never a success that did nothing.
- EROFS where a file could not be given the tags that the directory asks for.
- A refusal carries one sentence that a person understands. The kernel hands on only the
  number, so the sentence goes to the mount's log.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from tagfs.views.directory import Directory, Kind


class Refusal(NamedTuple):
    """Why something is not done: a number for the program, a sentence for the person."""

    errno: int
    sentence: str

    @property
    def name(self) -> str:
        """`EPERM`, `EROFS`."""
        return errno.errorcode[self.errno]


class Place(Enum):
    """Where an operation happens: a kind of directory, results told apart by whether files can be put there.

    The last four are what an operation on attributes or bytes is about, wherever it is shown.
    """

    ROOT = "the mount itself"
    TAGS = "`tags/`"
    RESULT = "`tags/QUERY/`, each part a single tag or `key=value`, some perhaps excluded"
    RESULT_OTHER = "`tags/QUERY/` with a choice, a range, a prefix, a built-in key, or only exclusions"
    NARROW = "`tags/QUERY+/`"
    VALUES = "`tags/KEY=/`, `tags/QUERY+KEY=/`"
    ALL = "`all/`"
    UNTAGGED = "`untagged/`"
    RECENT = "`recent/`"
    SEARCH = "`search/`"
    SEARCH_RESULT = "`search/WORDS/`"
    SAVED = "`saved/`"
    SAVED_RESULT = "`saved/NAME/`"
    IDS = "`ids/`"
    NODES = "`nodes/`"
    NODE = "`nodes/NODE/`"
    TRASH = "`trash/`"
    DESKTOP_TRASH = "`.Trash-UID/`"
    DESKTOP_FILES = "`.Trash-UID/files/`"
    DESKTOP_INFO = "`.Trash-UID/info/`"
    FILE = "a file"
    TRASHED_FILE = "a file in the trash"
    DIRECTORY = "a directory"
    STATIC_FILE = "a file that the mount makes (README.md, `.trashinfo`)"


class Operation(Enum):
    """What programs do. The first ones are about a name in a directory, the others about what stands under it."""

    CREATE = "create a file, copy one in"
    MOVE_IN = "move a file of the mount in"
    REMOVE = "remove a file (rm)"
    MOVE_OUT = "move a file to another directory of the mount"
    RENAME = "rename a file where it is"
    LINK = "hard link (ln)"
    SYMLINK = "symbolic link (ln -s)"
    MKDIR = "make a directory (mkdir)"
    RMDIR = "remove a directory (rmdir)"
    RENAME_DIRECTORY = "rename or move a directory"
    SPECIAL = "make a device, a socket, a pipe (mknod)"
    WRITE = "write"
    TRUNCATE = "truncate"
    CHMOD = "permissions (chmod)"
    UTIMENS = "times (touch)"
    CHOWN = "owner (chown)"
    SET_XATTR = "set an extended attribute"
    REMOVE_XATTR = "remove an extended attribute"


ON_NAMES = tuple(Operation)[:11]
ON_CONTENTS = tuple(Operation)[11:]


class Effect(Enum):
    """What an allowed operation does. `tagfs.views.effects` and `attributes` carry it out."""

    NEW_TAGGED = "a new file with the tags of the path"
    NEW_UNTAGGED = "a new file without tags"
    RETAG = (
        "tags of the path it came from that this one lacks go, those of this one are added, those it excludes go; "
        "the file stays the same one"
    )
    DROP_SOURCE_TAGS = "the tags of the path it came from go"
    DROP_ALL_TAGS = "all its tags go"
    TRASH = "to the trash, with its tags"
    TRASH_WITH_BRAKE = (
        "to the trash, with its tags; more than 50 within a minute by one program: EPERM, and the log says how to do it"
    )
    UNTAG_LAST = (
        "the tag of the last part goes, if that is a single tag or `key=value`; else EPERM. "
        "With no tag left the file is in `untagged/`"
    )
    AS_TARGET_SAYS = "what the target says"
    AS_TARGET_SAYS_LAST = "what the target says, if the last part is a single tag or `key=value`; else EPERM"
    STAY = "what the target says; it is still shown here"
    RESTORE = "back from the trash, with its tags, and what the target says"
    RENAME = "the file is called so, everywhere"
    NOTE = (
        "what a desktop notes about a file before it moves it to `files/` (`NAME.trashinfo`): kept until then, at most "
        "an hour; then the mount tells where the file was and when it went"
    )
    DROP_NOTE = "a note whose file never came goes; of a file in the trash: EPERM"
    RENAME_NOTE = "a note whose file did not come yet is called so; of a file in the trash: EPERM"
    ADD_TAGS = "the tags of the path are added; another name than the file has: EPERM"
    ADD_TAGS_BY_SYMLINK = "to a file of the mount: as a hard link; to elsewhere: EPERM"
    MAKE_TAG = "makes the tag (`mkdir tags/x`, `mkdir tags/key=value`)"
    REMOVE_TAG = "the tag goes; ENOTEMPTY while files have it"
    RENAME_TAG = "renames the tag everywhere; onto one that exists: ENOTEMPTY"
    FORGET_QUERY = "forgets the saved query; the files stay"
    CONTENTS = "as on any file system; bytes that are replaced are kept as a version"
    KEEP = "kept with the file, on all devices"
    ATTRIBUTE = "see extended attributes"
    OWNER = "to whom it belongs already: nothing; to others: EPERM"
    FORGET = "accepted and forgotten (rsync, tar and `cp -a` insist on it)"


Rule = Effect | Refusal


def _no(sentence: str, number: int = errno.EPERM) -> Refusal:
    return Refusal(number, sentence)


_ONLY_DIRECTORIES = _no(
    "There are only directories here, since files and tags never share one. Put the file into the directory of a tag, "
    "as tags/music, or into untagged."
)
_NO_FILES_HERE = _no("No file has its place in this directory, so nothing can be done to one here.")
_CANNOT_TAG = _no(
    "Which tags a file would get here is not clear: the path has a choice, a range, a prefix, a built-in key, or only "
    "exclusions. Use a path of single tags, as tags/music+flac.",
    errno.EROFS,
)
_SHOWS = _no("This directory shows files that have their place elsewhere; put files into tags/TAG, or into untagged.")
_SHOWS_RM = _no(
    "This directory only shows the file. Remove it from the directory of a tag, from all, or with: lyts rm NAME"
)
_BY_ID = _no("A name in ids is the identity of a file, which never changes.")
_TRASH_CREATE = _no("Only files of the mount go to the trash, by rm or mv; nothing new begins there.")
_TRASH_RM = _no(
    "Files in the trash stay until they expire, so that rm -rf of the whole mount loses nothing. "
    "To empty it: lyts trash empty"
)
_TRASH_RENAME = _no("A file in the trash keeps its name; move it out first (mv, or: lyts trash restore NAME).")
_NOTE_MOVE = _no(
    "In this directory stands what desktops note about files in the trash; files go to the directory files beside it."
)
NOT_A_NOTE = _no(
    "Only what is called NAME.trashinfo is made in this directory, by programs that move a file to the trash."
)
NOTE_STAYS = _no(
    "This tells about a file in the trash, and stays as long as the file does. To bring the file back, move it out of "
    "files; to empty the trash: lyts trash empty"
)
_NO_LINK = _no("A link adds the tags of a path, and this directory stands for none. Use ln into tags/TAG.")
_NO_LINK_OUT = _no("There are no links here: ln -s into tags/TAG, to a file of the mount, adds the tag.")
_NO_MKDIR = _no(
    "Directories are made for tags only, in tags itself (mkdir tags/x). "
    "Whole folders come in with: lyts add --dir-tags FOLDER"
)
_NO_RMDIR = _no(
    "This directory is always there. Tags are removed as tags/x once no file has them, or with: lyts tags rm x"
)
_NO_RENAME_DIRECTORY = _no("Only the directory of one tag can be renamed, in tags itself (mv tags/a tags/b).")
_NO_SPECIAL = _no("Only regular files are kept here.")
_TRASHED_WRITE = _no("The file is in the trash; move it out first (mv, or: lyts trash restore NAME).")
_STATIC = _no("This file is made by the mount to explain something; it is no file of the library.")
_NO_DIRECTORY_XATTR = _no("A directory of the mount is a query; there is nowhere to keep an attribute of it.")
NOT_IN_TABLE = _no("This cannot be done in the mount.")

_NAMES_REFUSED: Mapping[Operation, Rule] = {
    Operation.CREATE: _ONLY_DIRECTORIES,
    Operation.MOVE_IN: _ONLY_DIRECTORIES,
    Operation.REMOVE: _NO_FILES_HERE,
    Operation.MOVE_OUT: _NO_FILES_HERE,
    Operation.RENAME: _NO_FILES_HERE,
    Operation.LINK: _NO_LINK,
    Operation.SYMLINK: _NO_LINK_OUT,
    Operation.MKDIR: _NO_MKDIR,
    Operation.RMDIR: _NO_RMDIR,
    Operation.RENAME_DIRECTORY: _NO_RENAME_DIRECTORY,
    Operation.SPECIAL: _NO_SPECIAL,
}
"""Any directory, unless its own row says otherwise."""

_SHOWN_ONLY: Mapping[Operation, Rule] = {
    Operation.CREATE: _SHOWS,
    Operation.MOVE_IN: _SHOWS,
    Operation.REMOVE: _SHOWS_RM,
    Operation.MOVE_OUT: Effect.STAY,
    Operation.RENAME: Effect.RENAME,
}
"""Directories that show files which have their place elsewhere."""

_TRASH: Mapping[Operation, Rule] = {
    Operation.CREATE: _TRASH_CREATE,
    Operation.MOVE_IN: Effect.TRASH,
    Operation.REMOVE: _TRASH_RM,
    Operation.MOVE_OUT: Effect.RESTORE,
    Operation.RENAME: _TRASH_RENAME,
}
"""The trash, and what desktops take for theirs."""

_OWN: Mapping[Place, Mapping[Operation, Rule]] = {
    Place.ROOT: {},
    Place.TAGS: {
        Operation.MKDIR: Effect.MAKE_TAG,
        Operation.RMDIR: Effect.REMOVE_TAG,
        Operation.RENAME_DIRECTORY: Effect.RENAME_TAG,
    },
    Place.RESULT: {
        Operation.CREATE: Effect.NEW_TAGGED,
        Operation.MOVE_IN: Effect.RETAG,
        Operation.REMOVE: Effect.UNTAG_LAST,
        Operation.MOVE_OUT: Effect.AS_TARGET_SAYS,
        Operation.RENAME: Effect.RENAME,
        Operation.LINK: Effect.ADD_TAGS,
        Operation.SYMLINK: Effect.ADD_TAGS_BY_SYMLINK,
    },
    Place.RESULT_OTHER: {
        Operation.CREATE: _CANNOT_TAG,
        Operation.MOVE_IN: _CANNOT_TAG,
        Operation.REMOVE: Effect.UNTAG_LAST,
        Operation.MOVE_OUT: Effect.AS_TARGET_SAYS_LAST,
        Operation.RENAME: Effect.RENAME,
        Operation.LINK: _CANNOT_TAG,
        Operation.SYMLINK: _CANNOT_TAG,
    },
    Place.NARROW: {},
    Place.VALUES: {},
    Place.ALL: {
        Operation.CREATE: Effect.NEW_UNTAGGED,
        Operation.MOVE_IN: Effect.DROP_SOURCE_TAGS,
        Operation.REMOVE: Effect.TRASH_WITH_BRAKE,
        Operation.MOVE_OUT: Effect.AS_TARGET_SAYS,
        Operation.RENAME: Effect.RENAME,
    },
    Place.UNTAGGED: {
        Operation.CREATE: Effect.NEW_UNTAGGED,
        Operation.MOVE_IN: Effect.DROP_ALL_TAGS,
        Operation.REMOVE: Effect.TRASH_WITH_BRAKE,
        Operation.MOVE_OUT: Effect.AS_TARGET_SAYS,
        Operation.RENAME: Effect.RENAME,
    },
    Place.RECENT: _SHOWN_ONLY,
    Place.SEARCH: {},
    Place.SEARCH_RESULT: _SHOWN_ONLY,
    Place.SAVED: {Operation.RMDIR: Effect.FORGET_QUERY},
    Place.SAVED_RESULT: _SHOWN_ONLY,
    Place.IDS: {**_SHOWN_ONLY, Operation.RENAME: _BY_ID},
    Place.NODES: {},
    Place.NODE: _SHOWN_ONLY,
    Place.TRASH: _TRASH,
    Place.DESKTOP_TRASH: {},
    Place.DESKTOP_FILES: _TRASH,
    Place.DESKTOP_INFO: {
        Operation.CREATE: Effect.NOTE,
        Operation.MOVE_IN: _NOTE_MOVE,
        Operation.REMOVE: Effect.DROP_NOTE,
        Operation.MOVE_OUT: _NOTE_MOVE,
        Operation.RENAME: Effect.RENAME_NOTE,
    },
}

_ABOUT: Mapping[Place, Mapping[Operation, Rule]] = {
    Place.FILE: {
        Operation.WRITE: Effect.CONTENTS,
        Operation.TRUNCATE: Effect.CONTENTS,
        Operation.CHMOD: Effect.KEEP,
        Operation.UTIMENS: Effect.KEEP,
        Operation.CHOWN: Effect.OWNER,
        Operation.SET_XATTR: Effect.ATTRIBUTE,
        Operation.REMOVE_XATTR: Effect.ATTRIBUTE,
    },
    Place.TRASHED_FILE: {
        Operation.WRITE: _TRASHED_WRITE,
        Operation.TRUNCATE: _TRASHED_WRITE,
        Operation.CHMOD: Effect.KEEP,
        Operation.UTIMENS: Effect.KEEP,
        Operation.CHOWN: Effect.OWNER,
        Operation.SET_XATTR: _TRASHED_WRITE,
        Operation.REMOVE_XATTR: _TRASHED_WRITE,
    },
    Place.DIRECTORY: {
        Operation.WRITE: _no("A directory cannot be written to.", errno.EISDIR),
        Operation.TRUNCATE: _no("A directory cannot be truncated.", errno.EISDIR),
        Operation.CHMOD: Effect.FORGET,
        Operation.UTIMENS: Effect.FORGET,
        Operation.CHOWN: Effect.FORGET,
        Operation.SET_XATTR: _NO_DIRECTORY_XATTR,
        Operation.REMOVE_XATTR: _NO_DIRECTORY_XATTR,
    },
    Place.STATIC_FILE: dict.fromkeys(ON_CONTENTS, _STATIC),
}

MATRIX: Mapping[Place, Mapping[Operation, Rule]] = {
    **{place: {**_NAMES_REFUSED, **own} for place, own in _OWN.items()},
    **_ABOUT,
}
"""(place, operation) -> effect or refusal. Whole: a directory has a rule for each operation on names."""

_PLACE_OF_KIND = {kind: Place[kind.name] for kind in Kind}


def place_of(directory: Directory) -> Place:
    """The row of the tables that a directory stands in."""
    if directory.kind is Kind.RESULT:
        return Place.RESULT if directory.is_plain else Place.RESULT_OTHER
    return _PLACE_OF_KIND[directory.kind]


def rule(where: Directory | Place, operation: Operation) -> Rule:
    """What an operation does in a directory (on names) or to what stands under a name; or why it is refused."""
    place = where if isinstance(where, Place) else place_of(where)
    return MATRIX[place].get(operation, NOT_IN_TABLE)
