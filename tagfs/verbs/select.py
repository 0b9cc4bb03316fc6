"""Which files are meant: from what a person typed to files of the library.

A TARGET is a path, a GUID or short id, or a name; a query takes all that match. A path in
a mount is recognised by the identity that its file tells; any other by where the file was
added from, else by its bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from pyroaring import BitMap

from tagfs.bucket import Clock
from tagfs.bytes import hash_file
from tagfs.errors import BadRequest, NothingMatched
from tagfs.guid import prefix_digits, short
from tagfs.index.read import View
from tagfs.query.plan import plan
from tagfs.query.rich import parse_rich
from tagfs.query.run import result
from tagfs.store import Store
from tagfs.term import ALL_TERM, FROM, TRASHED
from tagfs.verbs.picks import NAMES_KEPT, Picks


class NotInLibrary(BadRequest):
    """A path that exists, of a file that was never added."""

    def __init__(self, path: str, namesake: str | None) -> None:
        self.path = path
        self.namesake = namesake
        also = f" (a file of that name is in it: {namesake})" if namesake else ""
        super().__init__(f"{path} is not in your library{also}. Add it with: lyts add {path}")


class NoSuchFile(NothingMatched):
    """A target that is no path, id or name of a file."""

    def __init__(self, target: str, hint: str = "") -> None:
        self.target = target
        super().__init__(f"no file in your library is called {target!r}" + (f"; {hint}" if hint else ""))


class Ambiguous(BadRequest):
    """A target that several files answer to; `choices` are (GUID, name, tags) of each."""

    def __init__(self, target: str, choices: Sequence[tuple[str, str, list[str]]]) -> None:
        self.target = target
        self.choices = list(choices)
        listed = "\n".join(f"  {short(guid)}  {name}  {' '.join(tags)}".rstrip() for guid, name, tags in choices[:20])
        more = f"\n  and {len(choices) - 20} more" if len(choices) > 20 else ""
        super().__init__(f"{len(choices)} files answer to {target!r}; name the one you mean by its id:\n{listed}{more}")


def living(view: View) -> BitMap:
    """All files but those in the trash."""
    return view.posting(ALL_TERM)


def trashed(view: View) -> BitMap:
    """The files in the trash."""
    term = view.term(TRASHED, "", None)
    return view.posting(term) if term is not None else BitMap()


def matching(view: View, query: str, clock: Clock) -> BitMap:
    """The files that match a query, in any of its forms. Raises `QueryError`."""
    return result(plan(parse_rich(query), view, clock, query), view)


def target_files(store: Store, view: View, target: str, among: BitMap, cwd: str) -> BitMap:
    """The files of `among` that a target names: one, or several when a name is ambiguous.

    Args:
        cwd: the folder that relative paths start from.
    Raises:
        NotInLibrary, NoSuchFile.
    """
    path = os.path.join(cwd, os.path.expanduser(target) if target.startswith("~") else target)
    if os.path.lexists(path) and not os.path.isdir(path):
        found = _by_path(store, view, path, among)
        if found:
            return found
        namesakes = view.any_named(os.path.basename(path)) & among
        raise NotInLibrary(target, view.guid(namesakes.min()) if namesakes else None)
    digits = prefix_digits(target)
    if digits is not None:
        found = view.any_ids_beginning(digits) & among
        if found:
            return found
    found = view.any_named(target) & among
    if found:
        return found
    if "/" in target:
        raise NoSuchFile(target, "and there is no file at that path")
    raise NoSuchFile(target, _near_names(view, target, among))


def _near_names(view: View, target: str, among: BitMap) -> str:
    near = view.any_names_beginning(target) & among if target else BitMap()
    if not near:
        return ""
    name = view.name(near.min())
    return f"did you mean {name!r}?" if len(near) == 1 else f"{len(near)} names begin so, for example {name!r}"


def _by_path(store: Store, view: View, path: str, among: BitMap) -> BitMap:
    try:
        # A file of the mount says itself which it is.
        digits = prefix_digits(os.getxattr(path, "user.lyts.id").decode("ascii", "replace"))
    except OSError:
        pass
    else:
        if digits:
            return view.any_ids_beginning(digits) & among
    real = os.path.realpath(path)
    folder, base = os.path.split(real)
    if real.startswith(store.layout.sets + os.sep):
        digits = prefix_digits(base[:36])
        return view.any_ids_beginning(digits) & among if digits else BitMap()
    text = os.fsencode(base).decode("utf-8", "replace")
    term = view.term(FROM, "", os.fsencode(folder).decode("utf-8", "replace"))
    if term is not None:
        found = view.any_named(text) & among & view.posting(term)
        if found:
            return found
    try:
        digest = bytes.fromhex(hash_file(real))
    except OSError:
        return BitMap()
    return BitMap(view.with_hash(digest)) & among


def pick(
    store: Store,
    targets: Sequence[str],
    query: str | None,
    *,
    cwd: str,
    clock: Clock,
    choose: Callable[[Ambiguous], list[str]] | None = None,
    in_trash: bool = False,
) -> Picks:
    """The files that targets and a query mean together, each once, in order of arrival.

    Args:
        choose: asked when a name is ambiguous; returns the GUIDs meant. Without it, that is an error.
        in_trash: look among removed files instead of living ones.
    Raises:
        Ambiguous, NotInLibrary, NoSuchFile, QueryError.
    """

    def look(view: View) -> Picks:
        among = trashed(view) if in_trash else living(view)
        found = BitMap()
        for target in targets:
            hits = target_files(store, view, target, among, cwd)
            if len(hits) > 1:
                question = Ambiguous(target, [(view.guid(o), view.name(o), view.tags(o)) for o in hits])
                if choose is None:
                    raise question
                chosen = {view.ordinal(guid) for guid in choose(question)}
                hits = BitMap([o for o in hits if o in chosen])
            found |= hits
        if query is not None:
            found |= matching(view, query, clock) & among
        packed = b"".join(row.guid for _, row in view.rows(found))
        names = [name.decode("utf-8", "replace") for name in view.names(found)] if len(found) <= NAMES_KEPT else []
        return Picks(packed, names)

    return store.read(look)
