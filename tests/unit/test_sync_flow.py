"""Which data folders are held back at the start."""

from __future__ import annotations

from sync.flow import FIRST_MS, IDLE_MS, LINKING_MS, NEW_MS, Flow


def idle(_: str) -> bool:
    return True


def busy(_: str) -> bool:
    return False


def test_nothing_flows_before_every_file_was_looked_at_and_then_what_was_put_into_first() -> None:
    flow = Flow()
    assert not flow.step(0, all_looked_at=False, is_idle=idle)
    flow.put_into("new")
    assert flow.is_held_back("new")
    assert flow.step(10, all_looked_at=True, is_idle=idle)
    assert (flow.is_held_back("new"), flow.is_held_back("old")) == (False, True)


def test_the_others_flow_once_the_first_have_been_idle_for_a_moment() -> None:
    flow = Flow()
    flow.put_into("new")
    flow.step(0, all_looked_at=True, is_idle=idle)
    assert not flow.step(1, all_looked_at=True, is_idle=idle)
    assert not flow.step(IDLE_MS, all_looked_at=True, is_idle=busy)
    assert not flow.step(IDLE_MS + 1, all_looked_at=True, is_idle=idle)
    assert flow.is_held_back("old")
    assert flow.step(2 * IDLE_MS + 1, all_looked_at=True, is_idle=idle)
    assert not flow.is_held_back("old")


def test_where_nothing_was_put_all_flow_at_once() -> None:
    flow = Flow()
    assert flow.step(0, all_looked_at=True, is_idle=busy)
    assert not flow.is_held_back("old")


def test_a_set_that_is_met_later_waits_until_its_files_were_looked_at() -> None:
    flow = Flow()
    flow.step(0, all_looked_at=True, is_idle=idle)
    flow.met(["later"], 1000)
    assert flow.is_held_back("later")
    assert not flow.step(1001, all_looked_at=False, is_idle=idle)
    assert flow.step(1002, all_looked_at=True, is_idle=idle)
    assert not flow.is_held_back("later")
    assert not flow.step(1003, all_looked_at=True, is_idle=idle)


def test_nothing_is_held_back_for_ever() -> None:
    flow = Flow()
    flow.put_into("new")
    flow.step(0, all_looked_at=False, is_idle=busy)
    assert flow.step(LINKING_MS, all_looked_at=False, is_idle=busy)
    assert flow.step(LINKING_MS + FIRST_MS, all_looked_at=False, is_idle=busy)
    flow.met(["later"], 0)
    assert flow.step(NEW_MS, all_looked_at=False, is_idle=busy)
    assert not any(map(flow.is_held_back, ["new", "old", "later"]))
