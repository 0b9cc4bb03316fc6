"""Kills writers of a store and looks at what they leave: the program behind test_store_killed.py.

    python -m tests.support.killing FOLDER ROUNDS SEED

A process of its own, with one thread, so that it can fork a warm writer for each round
instead of starting Python. A writer does one random action after the other and reports
each as soon as it is acknowledged. It is killed at a random moment; then whatever it had
reported must be there, and the index must follow from the ledgers.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import sys
from typing import Any

from tagfs.fact import Fact
from tagfs.glossary import Thing, subject_of
from tagfs.store import Store, this_machine
from tests.support.stores import act_randomly, contradictions, difference, dump, make_store, reports, states

ROUNDS_A_STORE = 40
"""A store grows with every round; a fresh one keeps the rounds short."""
ROUNDS_A_REBUILD = 8

Told = tuple[str, str, str, bool]
"""Kind letter (F for a file) and text of what a fact is about, its stamp, whether it is a purge."""


def told(fact: Fact) -> Told:
    kind, text = subject_of(fact) or ("F", str(fact.file))
    return kind, text, fact.at, fact.purge is not None


def write_until_killed(root: str, pipe: int, seed: int) -> None:
    dice = random.Random(seed)
    with Store(root, this_machine()) as store:
        while True:
            facts = act_randomly(store, dice, durable=dice.random() < 0.2)
            os.write(pipe, json.dumps([told(fact) for fact in facts]).encode() + b"\n")


def killed_writer(root: str, seed: int) -> list[Told]:
    """Start a writer, kill it at a random moment; what it had been told is safe."""
    dice = random.Random(seed)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read)
            write_until_killed(root, write, seed)
        finally:
            os._exit(status)
    os.close(write)
    patience, data = dice.randint(0, 5), b""
    while data.count(b"\n") < patience and (piece := os.read(read, 65536)):
        data += piece
    select.select([], [], [], dice.random() * 0.004)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    while piece := os.read(read, 65536):
        data += piece
    os.close(read)
    if not os.WIFSIGNALED(status):
        raise AssertionError(f"the writer of round {seed} ended by itself")
    return [(kind, text, at, purge) for line in data.splitlines() for kind, text, at, purge in json.loads(line)]


def missing(store: Store, safe: list[Told]) -> list[Told]:
    """What was acknowledged and is not known."""
    import msgspec

    known = states(store)
    with store.view() as view:
        things = {
            (kind, text): Thing.unpacked(msgspec.msgpack.decode(raw))
            for kind in "TNSL"
            for text, raw in view.things(kind)
        }

    def is_known(kind: str, text: str, at: str, purge: bool) -> bool:
        if kind != "F":
            return (kind, text) in things and things[kind, text].newest >= at
        state: dict[str, Any] = known.get(text, {"latest": {}, "purges": {}})
        return at in state["purges"] if purge else state["latest"].get(at[26:], "") >= at

    return [one for one in safe if not is_known(*one)]


def main(folder: str, rounds: int, seed: int) -> int:
    """Rounds of killing; prints how much was acknowledged, or what is wrong."""
    total = 0
    safe: list[Told] = []
    root = ""
    for number in range(rounds):
        if number % ROUNDS_A_STORE == 0:
            shutil.rmtree(root, ignore_errors=True)
            root, safe = os.path.join(folder, f"store-{number}"), []
            make_store(root).close()
        fresh = killed_writer(root, seed + number)
        safe += fresh
        total += len(fresh)
        with Store(root, this_machine()) as store:
            trouble: list[Any] = missing(store, safe) + reports(store, "R") + reports(store, "Q")
            if number % ROUNDS_A_REBUILD == ROUNDS_A_REBUILD - 1 or number == rounds - 1:
                before = dump(store)
                trouble += contradictions(before)
                store.rebuild("to compare")
                trouble += difference(before, dump(store)) + missing(store, safe)
        if trouble:
            print(f"after round {number} with seed {seed + number}, in {root}: {trouble[:5]}")
            return 1
    print(total)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
