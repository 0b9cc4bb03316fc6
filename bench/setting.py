"""What every measurement needs: the store, its peer, which tags to ask for."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any

from bench import library
from bench.build import Built
from bench.measure import Report
from bench.peer import Asked
from tagfs.bucket import Clock, utc_ms
from tagfs.index.read import View
from tagfs.query.grammar import parse_query
from tagfs.query.plan import plan
from tagfs.query.run import result
from tagfs.store import Store
from tagfs.tag import split_tag
from tagfs.term import TAG

CLOCK = Clock(0, utc_ms)

MUSIC, FLAC = library.TERMS[0], library.TERMS[1]
SECOND, THIRD = library.TERMS[4], library.TERMS[9]
MIDDLE, MIDDLE_TOO = library.TERMS[99], library.TERMS[119]
RARE, RARE_TOO = library.TERMS[2499], library.TERMS[2599]


class Bench:
    """An open store and its peer, and where figures go."""

    def __init__(self, built: Built, store: Store, connection: sqlite3.Connection, report: Report) -> None:
        self.built = built
        self.store = store
        self.sqlite = connection
        self.report = report

    def environ(self) -> dict[str, str]:
        """What commands are told: which store, and to keep their own notes (errors, what was seen) beside it."""
        state = os.path.join(os.path.dirname(self.built.store), "state")
        return {
            "LYTS_STORE": self.built.store,
            "XDG_STATE_HOME": state,
            "XDG_CACHE_HOME": state,
            "LYTS_BACKGROUND": "no",
        }

    def ask(self, query: str, run: Callable[..., Any] = result) -> Any:
        """A whole question to lyts: read transaction, parse, plan, run."""
        with self.store.view(fresh=False) as view:
            return run(plan(parse_query(query), view, CLOCK, query), view)

    def with_view(self, look: Callable[[View], Any]) -> Any:
        """Look once."""
        with self.store.view(fresh=False) as view:
            return look(view)

    def fetch(self, asked: Asked) -> list[Any]:
        """A whole question to SQLite."""
        return self.sqlite.execute(*asked).fetchall()

    def tag_of_about(self, files: int) -> str:
        """The tag, plain or with a value, whose files are nearest to so many."""

        def look(view: View) -> str:
            best = (1 << 62, "")
            for tag in library.TERMS:
                term = view.term(TAG, *split_tag(tag))
                if term is not None:
                    best = min(best, (abs(view.count(term) - files), tag))
            return best[1]

        found: str = self.with_view(look)
        return found
