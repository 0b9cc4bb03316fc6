"""Permissions, times, owner and extended attributes of files: read from the face, stated as facts.

    user.xdg.tags      own tags, `a,b`; what Dolphin, Nemo and others show and set
    user.xdg.comment   notes
    user.lyts.id       the GUID; read only
    user.lyts.holds    the nodes that keep the bytes; read only
    user.*             any other: kept in the face as it is, in base64
    all others         EOPNOTSUPP, reading and setting: `ls -l` asks for two a file, and only
                       by this number remembers the answer for the whole mount

The read-only ones are not listed: rsync and `cp -a` copy what is listed, and a copy would
carry the identity of another file, or complain on its way back.

How tags are spelled in `user.xdg.tags` is told in `tagfs.xdg`.

`state` is a file's merge state; `view` is of the same state of the index. Pure.
"""

from __future__ import annotations

import base64
import errno

from tagfs.errors import BadTag
from tagfs.face import face_of, still_there
from tagfs.fact import time_text
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.verbs.add import MAX_XATTR_BYTES
from tagfs.verbs.naming import MAX_NOTES_BYTES
from tagfs.views.effects import Statements
from tagfs.views.matrix import Effect, Operation, Place, Refusal, rule
from tagfs.xdg import COMMENT, TAGS, tags_as_xattr, xattr_as_tags

ID = "user.lyts.id"
HOLDS = "user.lyts.holds"
MAX_XATTRS_BYTES = 256 << 10
"""All further attributes of a file together: they are part of its state, which each change of it reads."""

_OWN_PREFIX = "user.lyts."
_REGISTER = "xattr:"

NOT_SUPPORTED = Refusal(errno.EOPNOTSUPP, "Only attributes that begin with user. are kept.")
NO_SUCH = Refusal(errno.ENODATA, "The file has no such attribute.")
_READ_ONLY = Refusal(errno.EPERM, "Attributes that begin with user.lyts. are made by lyts and can only be read.")
_TOO_LONG = Refusal(errno.E2BIG, f"An attribute can have at most {MAX_XATTR_BYTES >> 10} KiB; use a file for more.")
_NOTES_TOO_LONG = Refusal(errno.E2BIG, f"Notes can have at most {MAX_NOTES_BYTES >> 10} KiB; use a file for more.")
_TOO_MANY = Refusal(
    errno.ENOSPC, f"All attributes of a file together can have at most {MAX_XATTRS_BYTES >> 10} KiB; use a file."
)
_NO_OTHER_OWNER = Refusal(errno.EPERM, "All files here belong to the person who mounted them.")

_MIN_NS, _MAX_NS = -(1 << 63), (1 << 63) - 1


# -- permissions, times, owner -------------------------------------------------


def place_of_file(state: FileState) -> Place:
    return Place.TRASHED_FILE if state.is_trashed() else Place.FILE


def on_chmod(state: FileState, mode: int) -> Statements | Refusal:
    """Args: `mode` may carry the type of the file as well."""
    found = rule(place_of_file(state), Operation.CHMOD)
    wanted = mode & 0o7777
    if isinstance(found, Refusal):
        return found
    return {} if state.registers.get("mode", ("", None))[1] == wanted else {"mode": wanted}


def on_utimens(state: FileState, mtime_ns: int | None) -> Statements | Refusal:
    """Times are set. Args: `mtime_ns` None: only the time of access, which nobody keeps."""
    found = rule(place_of_file(state), Operation.UTIMENS)
    if isinstance(found, Refusal):
        return found
    return {} if mtime_ns is None else {"modified": time_text(min(max(mtime_ns, _MIN_NS), _MAX_NS))}


def on_chown(uid: int | None, gid: int | None, owner: tuple[int, int]) -> Refusal | None:
    """A file is given to someone. Args: None: unchanged; `owner` are the uid and gid that all files have."""
    if uid in (None, owner[0]) and gid in (None, owner[1]):
        return None
    return _NO_OTHER_OWNER


# -- extended attributes -------------------------------------------------------


def get_xattr(view: View, state: FileState, name: str) -> bytes | Refusal:
    """The value of an attribute of a file."""
    if not name.startswith("user."):
        return NOT_SUPPORTED
    if name == TAGS:
        tags = sorted({view.canonical(tag) for tag in state.tags()})
        return tags_as_xattr(tags) if tags else NO_SUCH
    if name == COMMENT:
        notes = state.registers.get("notes", ("", ""))[1]
        return notes.encode("utf-8", "surrogatepass") if notes else NO_SUCH
    if name == ID:
        return state.guid.encode()
    if name == HOLDS:
        aliases = view.node_names()
        gone = view.nodes_that_left()
        face = face_of(state, "", list(aliases))
        return ",".join(sorted(aliases.get(node, node) for node in still_there(face.holds, gone))).encode()
    value = _kept(state).get(name)
    return value if value is not None else NO_SUCH


def list_xattrs(state: FileState) -> list[str]:
    """The attributes of a file that programs copy along with it."""
    names = [TAGS] if state.tags() else []
    if state.registers.get("notes", ("", ""))[1]:
        names.append(COMMENT)
    return names + sorted(_kept(state))


def set_xattr(view: View, state: FileState, name: str, value: bytes, *, adds: bool = False) -> Statements | Refusal:
    """An attribute is set.

    Args:
        adds: by the process that made the file, within the minute: `user.xdg.tags` then
            adds to the tags of the path; else it replaces all own tags.
    """
    if not name.startswith("user."):
        return NOT_SUPPORTED
    found = rule(place_of_file(state), Operation.SET_XATTR)
    if isinstance(found, Refusal):
        return found
    assert found is Effect.ATTRIBUTE
    if name.startswith(_OWN_PREFIX):
        return _READ_ONLY
    if name == TAGS:
        try:
            wanted = xattr_as_tags(value)
        except BadTag as exc:
            return Refusal(errno.EINVAL, f"{exc}.")
        return _set_tags(view, state, wanted, adds)
    if name == COMMENT:
        if len(value) > MAX_NOTES_BYTES:
            return _NOTES_TOO_LONG
        notes = value.decode("utf-8", "replace")
        return {} if state.registers.get("notes", ("", ""))[1] == notes else {"notes": notes}
    if len(value) > MAX_XATTR_BYTES:
        return _TOO_LONG
    kept = _kept(state)
    if kept.get(name) == value:
        return {}
    if sum(len(one) + len(other) for one, other in kept.items() if one != name) + len(value) > MAX_XATTRS_BYTES:
        return _TOO_MANY
    return {"xattr": {name: base64.b64encode(value).decode("ascii")}}


def remove_xattr(view: View, state: FileState, name: str) -> Statements | Refusal:
    """An attribute is taken away: with `user.xdg.tags` all own tags, with the comment the notes."""
    if not name.startswith("user."):
        return NOT_SUPPORTED
    found = rule(place_of_file(state), Operation.REMOVE_XATTR)
    if isinstance(found, Refusal):
        return found
    if name.startswith(_OWN_PREFIX):
        return _READ_ONLY
    if name not in list_xattrs(state):
        return NO_SUCH
    if name == TAGS:
        return _set_tags(view, state, [], adds=False)
    return {"notes": ""} if name == COMMENT else {"xattr": {name: None}}


def _set_tags(view: View, state: FileState, wanted: list[str], adds: bool) -> Statements:
    canonical = list(dict.fromkeys(map(view.canonical, wanted)))
    own = state.tags()
    have = {view.canonical(tag) for tag in own}
    statements: Statements = {}
    missing = [tag for tag in canonical if tag not in have]
    if missing:
        statements["tag"] = missing
    gone = {} if adds else {tag: state.live_additions(tag) for tag in own if view.canonical(tag) not in canonical}
    if gone:
        statements["untag"] = gone
    return statements


def _kept(state: FileState) -> dict[str, bytes]:
    """The further attributes of a file: name -> value."""
    found = {}
    for register, (_, value) in state.registers.items():
        name = register.removeprefix(_REGISTER)
        if register.startswith(_REGISTER) and isinstance(value, str) and name.startswith("user."):
            try:
                found[name] = base64.b64decode(value, validate=True)
            except ValueError:
                continue  # of another node's ledger, and not as we write it
    return found
