"""From an operation to the statements that carry it out, or to the refusal.

Each function looks up its rule in `tagfs.views.matrix` first. What it returns are keywords
for `Change.about_file(guid, **statements)` (an empty dict: nothing has to be stated), or
for tags and saved queries `Stated` items, to be stated in their order within one action.

Rules:

- Facts name canonical tags; taking a tag off takes every spelling of it, and just the
  additions that this node has seen.
- Never a success that did nothing: a file that would still be shown where it was removed
  from (a tag of its own implies the tag of the path), or not be shown where it was put,
  is refused, and the sentence names what is in the way.
- Files of the trash are not tagged: a tag given later than the removal would bring them back.

`state` is a file's merge state within the change; `view` that change's view. Pure.
"""

from __future__ import annotations

import errno
import unicodedata
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from tagfs.errors import BadName
from tagfs.glossary import SAVED_THING, TAG_THING, Thing
from tagfs.guid import prefix_digits
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.tag import escape_tag, split_tag
from tagfs.term import TAG
from tagfs.verbs.naming import check_name
from tagfs.views.desktop import is_note
from tagfs.views.directory import Directory, Kind, read_tag
from tagfs.views.matrix import NOT_A_NOTE, NOTE_STAYS, Effect, Operation, Refusal, rule

Statements = dict[str, Any]


class Stated(NamedTuple):
    """Something to state about a tag or a saved query: `change.about(subject, kind, text, **statements)`."""

    subject: str
    kind: str
    text: str
    statements: Statements


class Placed(NamedTuple):
    """The nodes that are to know a file, or not, beside those that do anyway; and those that are to hold it."""

    knows: dict[str, bool]
    holds: dict[str, bool]


def about_tag(tag: str, **statements: Any) -> Stated:
    return Stated("tag", TAG_THING, tag, statements)


# -- names ---------------------------------------------------------------------


def name_of(state: FileState) -> str:
    """The name a file has now."""
    named = state.registers.get("name")
    return named[1] if named is not None else state.made_name()


def check_new_name(name: str) -> str | Refusal:
    """The name as the file will have it (NFC), or why it can have none so called."""
    try:
        return check_name(name)
    except BadName as exc:
        text = unicodedata.normalize("NFC", name)
        long = len(text.encode("utf-8", "surrogatepass")) > 255
        bytes_of_no_text = any("\ud800" <= ch <= "\udfff" for ch in text)
        number = errno.ENAMETOOLONG if long else errno.EILSEQ if bytes_of_no_text else errno.EINVAL
        return Refusal(number, f"{exc}.")


# -- creating, linking, renaming -----------------------------------------------


def on_create(view: View, directory: Directory, name: bytes) -> list[str] | Refusal:
    """The tags of a file that is made in a directory under a name."""
    found = rule(directory, Operation.CREATE)
    if isinstance(found, Refusal):
        return found
    if found is Effect.NOTE and not is_note(name):
        return NOT_A_NOTE
    if found is not Effect.NEW_TAGGED:
        return []
    tags = _canonical(view, directory.tags)
    return _not_shown(view, tags, directory) or tags


def on_link(
    view: View, state: FileState, directory: Directory, name: str, operation: Operation = Operation.LINK
) -> Statements | Refusal:
    """`ln FILE directory/name`, or `ln -s` where what it leads to is a file of the mount.

    Args:
        name: the new name, our own `~1a2b3c4d` already taken off.
    """
    found = rule(directory, operation)
    if isinstance(found, Refusal):
        return found
    own_name = name_of(state)
    if unicodedata.normalize("NFC", name) != own_name:
        return Refusal(
            errno.EPERM,
            f"A file has one name, and this one is called {own_name!r}: link it under that name, or rename it with mv.",
        )
    if state.is_trashed():
        return Refusal(errno.EPERM, "The file is in the trash; move it out with mv, which brings it back.")
    own = state.tags()
    missing = _missing(view, own, _canonical(view, directory.tags))
    refusal = _not_shown(view, [*own, *missing], directory)
    if refusal is not None:
        return refusal
    return {"tag": missing} if missing else {}


def on_rename(state: FileState, directory: Directory, name: str) -> Statements | Refusal:
    """A file gets another name in its directory. Args: `name` as for `on_link`."""
    found = rule(directory, Operation.RENAME)
    if isinstance(found, Refusal):
        return found
    return NOTE_STAYS if found is Effect.RENAME_NOTE else _named(state, name)


def _named(state: FileState, name: str) -> Statements | Refusal:
    wanted = check_new_name(name)
    if isinstance(wanted, Refusal):
        return wanted
    return {"name": wanted} if wanted != name_of(state) else {}


# -- moving --------------------------------------------------------------------


def on_move(
    view: View, state: FileState, source: Directory, target: Directory, name: str | None = None
) -> Statements | Refusal:
    """A file is moved from one directory to another.

    Args:
        name: the name it gets there, our own `~1a2b3c4d` already taken off; None: it keeps its own.
            It does so in `.Trash-UID/files/` too, where names are those of the desktop's bookkeeping.
    """
    out = rule(source, Operation.MOVE_OUT)
    into = rule(target, Operation.MOVE_IN)
    if isinstance(out, Refusal):
        return out
    if isinstance(into, Refusal):
        return into
    if out is Effect.AS_TARGET_SAYS_LAST and source.last_tag is None:
        return _no_last_tag(source)
    statements: Statements = {}
    if target.kind is Kind.DESKTOP_FILES:
        name = None
    if name is not None and not (source.kind is Kind.IDS and _is_id(name, state.guid)):
        named = _named(state, name)
        if isinstance(named, Refusal):
            return named
        statements.update(named)
    if into is Effect.TRASH:
        if not state.is_trashed():
            statements["trash"] = True
        return statements
    moved = _retag(view, state, source, target, into)
    if isinstance(moved, Refusal):
        return moved
    statements.update(moved)
    if out is Effect.RESTORE:
        statements["trash"] = False
    return statements


def _retag(
    view: View, state: FileState, source: Directory, target: Directory, into: Effect | Refusal
) -> Statements | Refusal:
    own = state.tags()
    if into is Effect.DROP_ALL_TAGS:
        return _untag(state, own)
    added = _canonical(view, target.tags)
    # What the target's tags imply, the target does not lack.
    going = [tag for tag in _canonical(view, source.tags) if not _keeps(view, tag, added)]
    excluded = _canonical(view, target.excluded)
    leaving = {*going, *excluded}
    off = [tag for tag in own if view.canonical(tag) in leaving]
    left = [tag for tag in own if tag not in off]
    missing = _missing(view, left, added)
    then = [*left, *missing]
    for tag in going:
        keeper = _keeps(view, tag, then)
        if keeper is not None:
            return _still_there(name_of(state), tag, keeper)
    refusal = _not_shown(view, then, target)
    if refusal is not None:
        return refusal
    statements = _untag(state, off)
    if missing:
        statements["tag"] = missing
    return statements


def _is_id(name: str, guid: str) -> bool:
    digits = prefix_digits(name)
    return digits is not None and guid.replace("-", "").startswith(digits)


def placed_like(state: FileState, node: str) -> Placed:
    """Who is to know and to hold a backup or conflict copy of a file: who does of that (mount.md, Saving, rule 6).

    Args:
        node: this one. It has the bytes, and holds them whatever is said of the other file.
    """
    knows = {other: yes for other, (_, yes) in state.knows.items() if other != node}
    holds = {other: True for other, (_, yes) in state.holds.items() if yes and knows.get(other, True)}
    return Placed(knows, {**holds, node: True})


# -- removing ------------------------------------------------------------------


def on_remove(view: View, state: FileState, directory: Directory, *, fresh: bool = False) -> Statements | Refusal:
    """A file is removed from a directory. Where the rule is TRASH_WITH_BRAKE the caller has asked its `Brake`.

    Args:
        fresh: the file was made through the mount within the last hour. If it has no tags
            but those of this path it goes to the trash, not to `untagged/`.
    """
    found = rule(directory, Operation.REMOVE)
    if isinstance(found, Refusal):
        return found
    if found is Effect.DROP_NOTE:
        return NOTE_STAYS
    if found is Effect.TRASH_WITH_BRAKE:
        return {"trash": True}
    own = state.tags()
    if fresh and {view.canonical(tag) for tag in own} <= set(_canonical(view, directory.tags)):
        return {"trash": True}
    last = directory.last_tag
    if last is None:
        return _no_last_tag(directory)
    wanted = view.canonical(last)
    off = [tag for tag in own if view.canonical(tag) == wanted]
    keeper = _keeps(view, wanted, [tag for tag in own if tag not in off])
    if keeper is not None:
        return _still_there(name_of(state), wanted, keeper)
    return _untag(state, off)


def _no_last_tag(directory: Directory) -> Refusal:
    last = directory.slots[-1].text if directory.slots else directory.path
    return Refusal(
        errno.EPERM,
        f"What is removed from a directory loses the tag of the last part of its path, and {last!r} is not a single "
        "tag. Remove it from the directory of a tag, as tags/music, or with: lyts rm NAME",
    )


def _still_there(name: str, tag: str, keeper: str) -> Refusal:
    return Refusal(
        errno.EPERM,
        f"{name!r} would still be found as {escape_tag(tag)}, because its tag {escape_tag(keeper)} implies it. "
        f"Remove it from tags/{escape_tag(keeper)}, or to the trash with: lyts rm NAME "
        "(lyts why NAME says where each tag comes from)",
    )


# -- tags ----------------------------------------------------------------------


def _canonical(view: View, tags: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(map(view.canonical, tags)))


def _missing(view: View, own: Iterable[str], wanted: Iterable[str]) -> list[str]:
    have = {view.canonical(tag) for tag in own}
    return [tag for tag in wanted if tag not in have]


def _keeps(view: View, tag: str, own: Collection[str]) -> str | None:
    """The tag among `own` because of which a file matches `tag`."""
    matching = view.matching_tags(tag)
    return next((one for one in own if one in matching), None)


def _untag(state: FileState, tags: Iterable[str]) -> Statements:
    gone = {tag: state.live_additions(tag) for tag in tags}
    return {"untag": gone} if gone else {}


def _not_shown(view: View, tags: Collection[str], directory: Directory) -> Refusal | None:
    """Why a file with these tags would not be shown in a directory whose tags it has."""
    for tag in _canonical(view, directory.excluded):
        keeper = _keeps(view, tag, tags)
        if keeper is not None:
            because = "it has that tag" if keeper == tag else f"its tag {escape_tag(keeper)} implies it"
            return Refusal(
                errno.EPERM,
                f"This directory leaves out what is {escape_tag(tag)}, and the file would be: {because}.",
            )
    return None


def has_files(view: View, tag: str) -> bool:
    """Whether some living file matches a tag."""
    terms = [view.term(TAG, *split_tag(other)) for other in view.matching_tags(tag)]
    return any(view.count(term) for term in terms if term is not None)


def on_mkdir(view: View, directory: Directory, name: str) -> list[Stated] | Refusal:
    """`mkdir directory/name`: makes a tag."""
    found = rule(directory, Operation.MKDIR)
    if isinstance(found, Refusal):
        return found
    tag = read_tag(name)
    if tag is None:
        return Refusal(
            errno.EPERM,
            f"{name!r} is no single tag: mkdir takes one, as tags/music or tags/year=1959; none begins with a dot.",
        )
    if view.is_tag(tag) or view.canonical(tag) != tag or has_files(view, tag):
        return Refusal(errno.EEXIST, f"There is a tag {escape_tag(tag)} already.")
    return [about_tag(tag, exists=True)]


def on_rmdir(view: View, parent: Directory, child: Directory, thing: Callable[[str], Thing]) -> list[Stated] | Refusal:
    """`rmdir parent/child`: a tag that no file has is forgotten, its other names with it; or a saved query is.

    Args:
        thing: what is known of a tag (`change.thing(TAG_THING, tag)`).
    """
    found = rule(parent, Operation.RMDIR)
    if isinstance(found, Refusal):
        return found
    if found is Effect.FORGET_QUERY:
        return [Stated("saved", SAVED_THING, child.name, {"query": ""})]
    if child.only_tag is None:
        return Refusal(
            errno.EPERM, "Only the directory of one tag can be removed, as tags/music; this one is a question."
        )
    if view.canonical(child.only_tag) != child.only_tag:
        return _other_name(view, child.only_tag, "remove")
    tag = child.only_tag
    if has_files(view, tag):
        return Refusal(
            errno.ENOTEMPTY,
            f"Files have the tag {escape_tag(tag)}. To take it off all of them and forget it: "
            f"lyts tags rm {escape_tag(tag)}",
        )
    stated = []
    for other in view.matching_tags(tag):
        known = thing(other)
        is_it = view.canonical(other) == tag
        gone: Statements = {}
        if is_it and view.is_tag(other):
            gone["exists"] = False
        # What it implies, and that others imply it: either would keep it known.
        implied = {t: known.additions("implies", t) for t in known.live("implies") if is_it or view.canonical(t) == tag}
        if implied:
            gone["unimplies"] = implied
        named = {t: known.additions("alias", t) for t in known.live("alias")} if is_it else {}
        if named:
            gone["unalias"] = named
        if gone:
            stated.append(about_tag(other, **gone))
    return stated


def on_rename_directory(
    view: View, source: Directory, parent: Directory, name: str, thing: Callable[[str], Thing]
) -> list[Stated] | Refusal:
    """`mv tags/a tags/b`: the tag is called something else everywhere; its old name becomes an alias of the new.

    Args:
        parent: the directory in which it gets the name.
        thing: as for `on_rmdir`.
    """
    found = rule(parent, Operation.RENAME_DIRECTORY)
    if isinstance(found, Refusal):
        return found
    old, new = source.only_tag, read_tag(name)
    if old is None or new is None or "/" in source.path.removeprefix(parent.path + "/"):
        return Refusal(
            errno.EPERM, "Only the directory of one tag can be renamed, to one tag (mv tags/calm tags/quiet)."
        )
    if new == old:
        return []
    if view.canonical(old) != old:
        return _other_name(view, old, "rename")
    stated = []
    if view.canonical(new) == old:
        # Back to an earlier name: that one stops being an alias first.
        known = thing(new)
        stated.append(about_tag(new, unalias={t: known.additions("alias", t) for t in known.live("alias")}))
    elif view.is_tag(new) or view.canonical(new) != new or has_files(view, new):
        return Refusal(
            errno.ENOTEMPTY,
            f"There is a tag {escape_tag(new)} already. To make the two one: "
            f"lyts tags merge {escape_tag(old)} {escape_tag(new)}",
        )
    stated.append(about_tag(old, alias=[new]))
    if view.is_tag(old):
        stated.append(about_tag(new, exists=True))  # else an empty tag would be gone from the listing
    return stated


def _other_name(view: View, alias: str, what: str) -> Refusal:
    tag = escape_tag(view.canonical(alias))
    return Refusal(errno.EPERM, f"{escape_tag(alias)} is another name of the tag {tag}; {what} tags/{tag} instead.")
