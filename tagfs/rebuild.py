"""Builds an index from the ledgers, into a folder of its own.

The caller puts it in place. Transactions are committed on the way, so that memory stays
bounded by what one of them touches; a build that is cut short is simply begun again.

LMDB never alters a page that a reader may see, so a build leaves a third of its file
empty, and pages filled in random order half full. The finished index is therefore copied
entry by entry, in order, into a file without gaps. (LMDB's own compacting copy crashes on
names with many holders, seen with engine 0.9.36.)
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import lmdb

from tagfs.cycles import no_cycle_search
from tagfs.errors import DiskFull
from tagfs.index.apply import Applier
from tagfs.index.catchup import catch_up
from tagfs.index.env import Index, open_index, translated
from tagfs.index.schema import CLOCK_KEY
from tagfs.layout import CACHE_TAG, Layout, StoreInfo, write_private

Progress = Callable[[int, int], None]
"""Called with bytes read and bytes in all."""


def build_index(
    path: str, layout: Layout, info: StoreInfo, *, wall_ms: int, map_size: int, progress: Progress | None
) -> None:
    """Build the index of a store in the folder `path`, durably. Whatever was there is removed.

    Raises:
        DiskFull, StoreError: nothing usable is left in `path`.
    """
    draft = path + ".draft"
    try:
        while not _fill_anew(draft, layout, info, wall_ms, map_size, progress):
            map_size *= 2
        shutil.rmtree(path, ignore_errors=True)
        try:
            _copy_in_order(draft, path, map_size)
        except (lmdb.Error, OSError, DiskFull):
            # No room for a second one: the draft is as good, only larger.
            shutil.rmtree(path, ignore_errors=True)
            os.rename(draft, path)
        write_private(os.path.join(path, "CACHEDIR.TAG"), CACHE_TAG)
    except OSError as exc:
        raise translated(exc, path) from exc
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fill_anew(
    path: str, layout: Layout, info: StoreInfo, wall_ms: int, map_size: int, progress: Progress | None
) -> bool:
    """Build in `path`; False where the map was too small."""
    shutil.rmtree(path, ignore_errors=True)
    index = open_index(path, create=True, map_size=map_size)
    try:
        _fill(index, layout, info, wall_ms, progress)
        index.env.sync(True)
        return True
    except lmdb.MapFullError:
        return False
    except lmdb.Error as exc:
        raise translated(exc, path) from exc
    finally:
        index.close()


def _copy_in_order(source: str, path: str, map_size: int) -> None:
    old = open_index(source, create=False, map_size=map_size)
    try:
        new = open_index(path, create=True, map_size=map_size)
        try:
            with old.env.begin() as reading:
                for name, database in old.db.items():
                    # A transaction each: what one has written need not stay in memory.
                    with new.env.begin(write=True) as writing:
                        entries = reading.cursor(database).iternext(keys=True, values=True)
                        writing.cursor(new.db[name]).putmulti(entries, dupdata=True, append=name != "meta")
            new.env.sync(True)
        finally:
            new.close()
    finally:
        old.close()


def _fill(index: Index, layout: Layout, info: StoreInfo, wall_ms: int, progress: Progress | None) -> None:
    def begin() -> Applier:
        return Applier(index, index.env.begin(write=True), info.node)

    def commit(applier: Applier) -> None:
        applier.flush()
        raw = applier.tx.get(CLOCK_KEY, db=index.db["meta"])
        newest = max(applier.newest_own_when, int.from_bytes(raw or b"", "big"))
        applier.tx.put(CLOCK_KEY, newest.to_bytes(8, "big"), db=index.db["meta"])
        applier.tx.commit()
        index.term_numbers.update(applier.numbers.learned)

    def commit_and_go_on(applier: Applier) -> Applier:
        commit(applier)
        return begin()

    with no_cycle_search():
        applier, _ = catch_up(
            begin(),
            layout.ledgers,
            info.ledger_folder,
            dict,  # an index that starts empty has nothing to vouch for
            wall_ms=wall_ms,
            after_flush=commit_and_go_on,
            progress=progress,
        )
        commit(applier)
