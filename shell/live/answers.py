"""Answers the questions of completion and preview from the index, in whatever thread asks.

Rules:

- Looking never builds the index, never waits for another process and never raises for
  what is in the store: whoever types is in the middle of a line.
- One at a time: `turn` is held while the store is looked at. `apart` closes the store and
  keeps it closed, for a command of this process that opens it itself.
- Before each look `wanted` is asked: when another key came, nobody waits for the answer,
  and `NotWanted` is raised.
- What was found is kept as long as the index is as it was (its inode and transaction).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from shell.live.asked import Counted, Meant, Named, Touched
from shell.text import count_text, local_ms
from tagfs.errors import LytsError

if TYPE_CHECKING:
    from pyroaring import BitMap

    from tagfs.index.read import View
    from tagfs.query.steps import Plan
    from tagfs.store import Store

T = TypeVar("T")

FEW_FILES = 2_000
"""Of up to so many files all names are read, and facets are counted without numpy."""
MANY_FILES = 100_000
"""Of more files only the tags that are offered are counted, one by one: each costs 50 us for a million files."""
NAMES_SHOWN = 3
KEPT = 64


class NotWanted(Exception):
    """Another key was typed: nobody waits for this answer any more."""


class _NotNow(LytsError):
    """The index would have to be built, or another process has it."""


class Answers:
    """See `asked.Asked`."""

    def __init__(self, root: str, environ: Mapping[str, str], wanted: Callable[[], bool] = lambda: True) -> None:
        self.root = root
        self.wanted = wanted
        self._environ = environ
        self._turn = threading.RLock()
        self._store: Store | None = None
        self._state: tuple[int, int] = (0, 0)
        self._kept: dict[tuple[str, str], Any] = {}
        self._texts: dict[int, str | None] = {}
        self._facets: Any = None
        self._programs: tuple[str, list[str]] = ("", [])

    # -- the store

    @contextmanager
    def apart(self) -> Iterator[None]:
        """The store stays closed here, so that a command can have it."""
        with self._turn:
            self._close()
            yield

    def close(self) -> None:
        with self._turn:
            self._close()

    def _close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()

    def _look(self, look: Callable[[View], T], otherwise: T) -> T:
        """What `look` finds; `otherwise` where the store cannot be looked at just now."""
        if not self.wanted():
            raise NotWanted
        with self._turn:
            if not self.wanted():
                raise NotWanted
            try:
                with self._opened().view(fresh=False) as view:
                    self._forget_old(view)
                    return look(view)
            except (LytsError, OSError):
                return otherwise

    def _opened(self) -> Store:
        from tagfs.store import Store

        if self._store is None:
            self._store = Store(self.root, on_wait=_not_now, on_rebuild=_not_now)
        return self._store

    def _forget_old(self, view: View) -> None:
        state = (view.index.inode, view.tx.id())
        if state[0] != self._state[0]:
            self._texts.clear()
        if state != self._state:
            self._state = state
            self._kept.clear()
        if len(self._kept) > KEPT:
            self._kept.clear()

    def _keep(self, what: str, of: str, make: Callable[[], T]) -> T:
        """What was made for this state of the index, or what `make` makes; sentences and bitmaps alike."""
        key = (what, of)
        if key not in self._kept:
            made = make()
            self._kept[key] = made
        found: T = self._kept[key]
        return found

    # -- queries

    def _plan(self, view: View, query: str) -> Plan:
        from tagfs.bucket import Clock
        from tagfs.query.plan import plan
        from tagfs.query.rich import parse_rich
        from tagfs.query.tree import All

        clock = Clock(time.time_ns() // 1_000_000, local_ms)
        return plan(parse_rich(query) if query.strip() else All(), view, clock, query)

    def _result(self, view: View, query: str) -> BitMap:
        """Raises `QueryError`."""
        from tagfs.query.run import result

        return self._keep("result", query, lambda: result(self._plan(view, query), view))

    def total(self, query: str) -> int | str:
        def look(view: View) -> int | str:
            return self._keep("total", query, lambda: self._total(view, query))

        nothing: int | str = ""
        return self._look(look, nothing)

    def _total(self, view: View, query: str) -> int | str:
        from tagfs.query.run import count

        try:
            return count(self._plan(view, query), view)
        except LytsError as exc:
            return str(exc)

    # -- tags

    def tags(self, within: str) -> Sequence[Counted]:
        return self._look(lambda view: self._keep("tags", within, lambda: self._tags(view, within)), ())

    def _tags(self, view: View, within: str) -> Sequence[Counted]:
        if not within.strip():
            return self._all_tags(view)
        try:
            files = self._result(view, within)
        except LytsError:
            return ()
        if len(files) > MANY_FILES:
            return [Counted(tag, min(number, len(files)), False) for tag, number, _ in self.tags("")]
        return self._by_use(view, files, self._counts(view, files))

    def _all_tags(self, view: View) -> Sequence[Counted]:
        """As `lyts tags` lists them, but for those that no file has."""
        from tagfs.term import ALL_TERM
        from tagfs.verbs.tagging import files_with

        counts = {
            term: view.count(term) for term in range(1, view.term_total()) if self._texts.get(term, "") is not None
        }
        found = self._by_use(view, view.posting(ALL_TERM), counts)
        company = set(view.tags_with_company()) - set(view.aliases())
        if company:  # what implies a tag counts as well
            rest = [one for one in found if one.tag not in company]
            found = rest + [Counted(tag, files) for tag in company if (files := files_with(view, tag))]
            found.sort(key=lambda one: (-one.files, one.tag))
        return found

    def exact(self, within: str, tags: Sequence[str]) -> Sequence[int]:
        def look(view: View) -> Sequence[int]:
            known: dict[str, int] = self._keep("exact", within, dict)
            files = self._result(view, within)
            for tag in tags:
                if tag not in known:
                    known[tag] = self._how_many(view, tag, files)
            return [known[tag] for tag in tags]

        return self._look(look, [0] * len(tags))

    def _counts(self, view: View, files: BitMap) -> Mapping[int, int]:
        """How often each term is among these files."""
        facets = self._array(view) if len(files) > FEW_FILES else None
        return view.facet_counts(files) if facets is None else facets.counts(files)

    def _by_use(self, view: View, files: BitMap, counts: Mapping[int, int]) -> list[Counted]:
        """The tags of counted terms, most files first. `verbs.tagging.facets`, five times as quick: thousands of tags
        are looked at for each key that is typed, their texts are kept, and few of them have other names.
        """
        from pyroaring import BitMap

        from tagfs.term import TAG

        texts, found = self._texts, []
        aliases = view.aliases()
        special = {*aliases, *aliases.values()}
        doubled: dict[str, list[int]] = {}
        for term, number in counts.items():
            text = texts.get(term, "")
            if text == "":
                kind, key, value = view.term_text(term)
                text = texts[term] = None if kind != TAG else key if value is None else f"{key}={value}"
            if text is None or not number:
                continue
            if text in special:
                doubled.setdefault(aliases.get(text, text), []).append(term)
            else:
                found.append((-number, text))
        for name, terms in doubled.items():  # a file with two spellings counts once
            together = BitMap.union(BitMap(), *(view.posting(term) for term in terms)) & files
            found.append((-len(together), name))
        found.sort()
        return [Counted(text, -minus) for minus, text in found]

    def _array(self, view: View) -> Any:
        try:
            from tagfs.index.facets import Facets
        except ImportError:
            return None
        if self._facets is None or not self._facets.is_current(view):
            self._facets = Facets(view)
        return self._facets

    def warm(self) -> None:
        """Make ready what the next question may need; while nobody types."""
        from tagfs.term import ALL_TERM

        def look(view: View) -> None:
            if view.count(ALL_TERM) > FEW_FILES:
                self._array(view)

        self._look(look, None)
        self.tags("")

    # -- files

    def names(self, begin: str, within: str, most: int) -> Sequence[Named]:
        def look(view: View) -> Sequence[Named]:
            files = self._result(view, within)
            if len(files) > FEW_FILES:
                files = view.first_names_beginning(begin, files, most) if begin else _first(files, most)
            return self._named(view, files)

        return self._look(look, ())

    def _named(self, view: View, files: BitMap) -> list[Named]:
        from tagfs.guid import guid_of_bytes

        guids = [guid_of_bytes(row.guid) for _, row in view.rows(files)]
        names = [raw.decode("utf-8", "replace") for raw in view.names(files)]
        return [Named(guid, name) for guid, name in zip(guids, names, strict=True)]

    def saved(self) -> Mapping[str, str]:
        from tagfs.verbs.saved import saved_queries

        return self._look(saved_queries, {})

    def nodes(self) -> Sequence[str]:
        return self._look(lambda view: view.node_aliases(), [])

    # -- what a command would touch

    def touched(self, meant: Meant, tags: Sequence[str]) -> Touched:
        return self._look(lambda view: self._touched(view, meant, tags), Touched())

    def _touched(self, view: View, meant: Meant, tags: Sequence[str]) -> Touched:
        from pyroaring import BitMap

        from tagfs.verbs.select import living, target_files

        store = self._opened()
        among = self._keep("living", "", lambda: living(view))
        found = BitMap()
        try:
            for query in meant.queries:
                found |= self._result(view, query)
            found |= BitMap([o for guid in meant.guids if (o := view.ordinal(guid)) is not None]) & among
            for target in meant.targets:
                hits = target_files(store, view, target, among, _here())
                if len(hits) > 1:
                    return Touched(trouble=f"{count_text(len(hits), 'file')} are called {target}; lyts asks which")
                found |= hits
        except LytsError as exc:
            return Touched(trouble=str(exc))
        already = {tag: found.intersection_cardinality(self._own(view, tag)) for tag in tags}
        few = [raw.decode("utf-8", "replace") for raw in view.names(_first(found, NAMES_SHOWN))]
        return Touched(len(found), already, tuple(few))

    def _how_many(self, view: View, tag: str, files: BitMap) -> int:
        """How many of these files have a tag themselves; most tags are one term, of which nothing is put together."""
        terms = self._terms(view, tag)
        if len(terms) != 1:
            return files.intersection_cardinality(self._own(view, tag))
        return sum(chunk.intersection_cardinality(files) for _, chunk in view.term_chunks(terms[0]))

    def _own(self, view: View, tag: str) -> BitMap:
        """The files that have a tag themselves, under any of its names."""
        from pyroaring import BitMap

        return BitMap.union(BitMap(), *(view.posting(term) for term in self._terms(view, tag)))

    def _terms(self, view: View, tag: str) -> list[int]:
        """The terms of a tag: itself, and its other names."""
        from tagfs.tag import split_tag
        from tagfs.term import TAG

        aliases = self._keep("aliases", "", view.aliases)
        wanted = aliases.get(tag, tag)
        spellings = [wanted, *(alias for alias, canonical in aliases.items() if canonical == wanted)]
        terms = [view.term(TAG, *split_tag(one)) for one in spellings]
        return [term for term in terms if term is not None]

    def next_undo(self, redo: bool) -> str:
        def look(view: View) -> str:
            from shell.undoing import action_text, undone_at_last
            from tagfs.verbs.undo import next_to_undo

            return action_text(view, undone_at_last(view, next_to_undo(view, redo=redo))[0])

        return self._look(lambda view: self._keep("undo", str(redo), lambda: look(view)), "")

    # -- outside the library

    def paths(self, word: str) -> Sequence[str]:
        folder, slash, begin = word.rpartition("/")
        home = self._environ.get("HOME") or os.path.expanduser("~")
        where = folder + slash
        if where.startswith("~/"):
            where = home + where[1:]
        found = []
        try:
            with os.scandir(where or ".") as entries:
                for entry in islice(entries, 10_000):
                    if entry.name.startswith(begin) and (begin or not entry.name.startswith(".")):
                        found.append(folder + slash + entry.name + "/" * entry.is_dir())
        except (OSError, ValueError):
            return ()
        return sorted(found)

    def programs(self, begin: str) -> Sequence[str]:
        path = self._environ.get("PATH", os.defpath)
        if self._programs[0] != path:
            names = set()
            for folder in path.split(os.pathsep):
                try:
                    names.update(os.listdir(folder or "."))
                except OSError:
                    continue
            self._programs = (path, sorted(name for name in names if name.isprintable()))
        return [name for name in self._programs[1] if name.startswith(begin)][:200]


def _not_now(*_: object) -> NoReturn:
    raise _NotNow


def _first(files: BitMap, most: int) -> BitMap:
    from pyroaring import BitMap

    return files if len(files) <= most else BitMap(islice(files, most))


def _here() -> str:
    from shell.targets import current_folder

    return current_folder()
