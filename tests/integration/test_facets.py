"""How many files of a result have each term: three ways of counting, one answer."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from pyroaring import BitMap

from tagfs.index import read
from tagfs.index.facets import Facets
from tagfs.term import ALL_TERM
from tests.support.stores import act_randomly, add_files, make_store


@pytest.mark.parametrize("seed", range(4))
def test_terms_of_a_result_are_counted_alike_in_every_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    with make_store(tmp_path / "store") as store:
        for number in range(40):
            tags = dice.sample(["music", "live", "year=1959", "year=1960", "jazz", "a=b"], dice.randint(0, 4))
            add_files(store, *(f"{number}-{n}" for n in range(dice.randint(1, 30))), tags=tags)
        for _ in range(60):
            act_randomly(store, dice)
        with store.view() as view:
            living = view.posting(ALL_TERM)
            ways = Facets(view)
            for share in (0.02, 0.3, 0.9):
                files = BitMap([ordinal for ordinal in living if dice.random() < share])
                assert len(files) < len(living)
                monkeypatch.setattr(read, "FILES_LIKE_A_TERM", 10**9)
                by_files = view.facet_counts(files)
                assert by_files
                monkeypatch.setattr(read, "FILES_LIKE_A_TERM", 0)
                assert view.facet_counts(files) == by_files
                assert ways.counts(files) == by_files


def test_files_in_the_trash_are_counted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "FILES_LIKE_A_TERM", 0)  # as for large results
    with make_store(tmp_path / "store") as store:
        kept, gone = add_files(store, "a", "b", tags=["music"])
        store.act(lambda change: change.about_file(gone, trash=True))
        with store.view() as view:
            both = BitMap([o for guid in (kept, gone) if (o := view.ordinal(guid)) is not None])
            term = view.term(read.TAG, "music", None)
            assert term is not None
            assert view.facet_counts(both)[term] == 2
