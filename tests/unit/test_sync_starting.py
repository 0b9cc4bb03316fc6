"""When a node's own ledgers go out again."""

from __future__ import annotations

import pytest

from sync.starting import ALONE_MS, CALM_MS, PATIENCE_MS, Standing, next_step

CALM = Standing(waited_ms=5_000, others=2, connected=1, calm_ms=CALM_MS, changed_here=False, behind=False)


def test_a_node_that_shares_with_nobody_goes_at_once() -> None:
    assert next_step(CALM._replace(others=0, connected=0, waited_ms=0, calm_ms=0)) == "go"


def test_what_others_have_seen_decides_once_it_has_been_in_for_a_moment() -> None:
    assert next_step(CALM) == "go"
    assert next_step(CALM._replace(changed_here=True)) == "go"
    assert next_step(CALM._replace(calm_ms=CALM_MS - 1)) == "wait"
    assert next_step(CALM._replace(calm_ms=0, behind=True, changed_here=True)) == "wait"


def test_one_that_is_behind_takes_back_what_differs_and_else_stays_quiet_for_ever() -> None:
    assert next_step(CALM._replace(behind=True, changed_here=True)) == "revert"
    assert next_step(CALM._replace(behind=True)) == "refuse"
    assert next_step(CALM._replace(behind=True, waited_ms=PATIENCE_MS * 1000)) == "refuse"


def test_with_nobody_in_reach_it_goes_after_a_while_and_never_where_it_is_behind() -> None:
    alone = CALM._replace(connected=0, calm_ms=0)
    assert next_step(alone._replace(waited_ms=ALONE_MS - 1)) == "wait"
    assert next_step(alone._replace(waited_ms=ALONE_MS)) == "go"
    assert next_step(alone._replace(waited_ms=PATIENCE_MS * 1000, behind=True)) == "wait"


@pytest.mark.parametrize(("behind", "step"), [(False, "go"), (True, "revert")])
def test_it_is_not_kept_waiting_for_ever_by_others_who_never_pause(behind: bool, step: str) -> None:
    busy = CALM._replace(calm_ms=0, behind=behind, changed_here=True)
    assert next_step(busy._replace(waited_ms=PATIENCE_MS - 1)) == "wait"
    assert next_step(busy._replace(waited_ms=PATIENCE_MS)) == step
