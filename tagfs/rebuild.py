"""Builds an index from the ledgers, into a folder of its own.

The caller puts it in place. Transactions are committed on the way, so that memory stays
bounded by what one of them touches; a build that is cut short is simply begun again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import lmdb

from tagfs.cycles import no_cycle_search
from tagfs.index.apply import Applier
from tagfs.index.catchup import catch_up
from tagfs.index.env import Index, open_index, translated
from tagfs.index.schema import CLOCK_KEY
from tagfs.layout import CACHE_TAG, Layout, StoreInfo

Progress = Callable[[int, int], None]
"""Called with bytes read and bytes in all."""


def build_index(
    path: str, layout: Layout, info: StoreInfo, *, wall_ms: int, map_size: int, progress: Progress | None
) -> None:
    """Build the index of a store in the folder `path`, durably. Whatever was there is removed.

    Raises:
        DiskFull, StoreError: nothing usable is left in `path`.
    """
    while True:
        shutil.rmtree(path, ignore_errors=True)
        index = open_index(path, create=True, map_size=map_size)
        try:
            _fill(index, layout, info, wall_ms, progress)
            with open(os.path.join(path, "CACHEDIR.TAG"), "wb") as file:
                file.write(CACHE_TAG)
            index.env.sync(True)
            return
        except lmdb.MapFullError:
            map_size *= 2
        except (lmdb.Error, OSError) as exc:
            raise translated(exc, path) from exc
        finally:
            index.close()


def _fill(index: Index, layout: Layout, info: StoreInfo, wall_ms: int, progress: Progress | None) -> None:
    def begin() -> Applier:
        return Applier(index, index.env.begin(write=True), info.node)

    def commit(applier: Applier) -> None:
        applier.flush()
        raw = applier.tx.get(CLOCK_KEY, db=index.db["meta"])
        newest = max(applier.newest_own_when, int.from_bytes(raw or b"", "big"))
        applier.tx.put(CLOCK_KEY, newest.to_bytes(8, "big"), db=index.db["meta"])
        applier.tx.commit()
        index.term_numbers.update(applier.learned_terms())

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
