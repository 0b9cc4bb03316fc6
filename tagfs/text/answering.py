"""The process that searches for a mount: `python -m tagfs.text.answering STORE`.

The mount must not load whoosh (its memory) nor search itself (its time). On stdin a line of
JSON, the words; on stdout for each a line of JSON: the GUIDs of the best `MOST` files. What is
new is read first, for `PATIENCE_S` at most, and the rest in the background. Ends when its
stdin does, or when nothing was asked for `IDLE_S`.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time

from tagfs.errors import LytsError
from tagfs.store import Store, this_machine
from tagfs.text.documents import TextIndexBroken
from tagfs.text.indexing import begin_in_background, index_some, to_do
from tagfs.text.question import read_question
from tagfs.text.search import search

MOST = 1_000
PATIENCE_S = 2.0
IDLE_S = 120.0


def answer(store: Store, words: str) -> list[str]:
    """The GUIDs of the files with these words, the best first."""
    question = read_question(words)
    if question is None:
        return []
    if not store.read_only and to_do(store):
        end = time.monotonic() + PATIENCE_S
        done = index_some(store, store.machine.random_bytes, ends=lambda: time.monotonic() > end)
        if done is not None and done.left:
            begin_in_background(store)
    try:
        return [match.guid for match in search(store, question, MOST).files]
    except TextIndexBroken:
        return []  # made anew by whoever writes it next


def main(argv: list[str]) -> int:
    """The process. Returns its exit status."""
    os.chdir("/")
    with Store(argv[1], this_machine()) as store:
        while select.select([0], [], [], IDLE_S)[0]:
            line = sys.stdin.buffer.readline()
            if not line:
                break
            try:
                found = answer(store, json.loads(line))
            except (LytsError, OSError):
                found = []
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
