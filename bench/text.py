"""Measures the full text, against SQLite's FTS5 fed with the same documents in the same run.

    python -m bench.text --documents 20000

Indexing in batches of a thousand, without reading files (which is what the disk and the kinds
of files make of it); what the index takes on disk, with the texts that snippets come from on
both sides; and searches, each the best twenty with their texts. CPU time.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from itertools import accumulate

from tagfs.text.documents import Document
from tagfs.text.question import Question, read_question
from tagfs.text.whooshed import WhooshIndex

BATCH = 1_000
VOCABULARY = 30_000
RUNS = 7
SQL = "select guid, contents from documents where documents match ? order by rank limit 20"


def words(dice: random.Random) -> list[str]:
    """Made-up words as long as those of a language, no two the same."""
    found: dict[str, None] = {}
    while len(found) < VOCABULARY:
        found["".join(dice.choice(("ba", "ke", "ti", "or", "u", "s", "n", "lan", "mo")) for _ in range(dice.randint(1, 4)))] = None  # fmt: skip  # noqa: E501
        found[dice.choice("aeioubdgklmnprst") + "".join(dice.choices("aeioubdgklmnprst", k=dice.randint(2, 8)))] = None
    return list(found)[:VOCABULARY]


def documents(count: int, size_bytes: int, vocabulary: list[str], dice: random.Random) -> list[Document]:
    """Documents whose words are as unevenly common as in a language (Zipf)."""
    weights = list(accumulate(1 / (rank + 1) for rank in range(len(vocabulary))))
    out = []
    for number in range(count):
        text = " ".join(dice.choices(vocabulary, cum_weights=weights, k=size_bytes // 6))
        out.append(Document(f"{number:032x}", b"digest", f"letter {number}.txt", ("post",), "", text[:size_bytes]))
    return out


def cpu_s(do: Callable[[], object], runs: int) -> float:
    """The median CPU time of a call."""
    times = []
    for _ in range(runs):
        begin = time.process_time()
        do()
        times.append(time.process_time() - begin)
    return sorted(times)[runs // 2]


def size_mb(folder: str) -> float:
    return sum(entry.stat().st_size for entry in os.scandir(folder)) / 1e6


def fill(index: WhooshIndex, all_of_them: list[Document]) -> None:
    for at in range(0, len(all_of_them), BATCH):
        with index.writing() as writer:
            for document in all_of_them[at : at + BATCH]:
                writer.put(document)


def fill_sqlite(db: sqlite3.Connection, all_of_them: list[Document]) -> None:
    for at in range(0, len(all_of_them), BATCH):
        with db:
            db.executemany(
                "insert into documents values (?, ?, ?, ?, ?)",
                [(d.guid, d.name, " ".join(d.tags), d.notes, d.text) for d in all_of_them[at : at + BATCH]],
            )


def asked(text: str) -> Question:
    question = read_question(text)
    assert question is not None
    return question


def main() -> int:
    """Measure. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--size-bytes", type=int, default=1_500)
    given = parser.parse_args()
    dice = random.Random(1)
    vocabulary = words(dice)
    made = documents(given.documents, given.size_bytes, vocabulary, dice)
    print(f"{given.documents:,} documents of {given.size_bytes:,} bytes; CPU time; lyts, SQLite FTS5, lyts / SQLite")
    with tempfile.TemporaryDirectory(prefix="lyts-text-") as work:
        ours, theirs = os.path.join(work, "text"), os.path.join(work, "sqlite")
        os.mkdir(theirs)
        index = WhooshIndex(ours, create=True)
        db = sqlite3.connect(os.path.join(theirs, "db"))
        db.execute("create virtual table documents using fts5(guid unindexed, name, tags, notes, contents)")
        one, other = cpu_s(lambda: fill(index, made), 1), cpu_s(lambda: fill_sqlite(db, made), 1)
        rate, peer = given.documents / one, given.documents / other
        print(f"{'documents indexed':<36}{rate:8.0f} /s {peer:10.0f} /s {one / other:8.2f}x   goal 600 /s")
        print(f"{'on disk':<36}{size_mb(ours):8.1f} MB {size_mb(theirs):10.1f} MB   goal 82 MB for 20,000")
        for what, text, sql in (
            ("one common word", vocabulary[3], vocabulary[3]),
            ("two words", f"{vocabulary[20]} {vocabulary[200]}", f"{vocabulary[20]} AND {vocabulary[200]}"),
            ("a rare word", vocabulary[20_000], vocabulary[20_000]),
            ("a phrase", f'"{vocabulary[20]} {vocabulary[30]}"', f'"{vocabulary[20]} {vocabulary[30]}"'),
            ("a beginning", vocabulary[3][:3] + "*", vocabulary[3][:3] + "*"),
            ("one and not another", f"{vocabulary[20]} -{vocabulary[3]}", f"{vocabulary[20]} NOT {vocabulary[3]}"),
        ):
            question = asked(text)
            mine = cpu_s(lambda question=question: index.search(question, 20), RUNS) * 1000  # type: ignore[misc]
            peer = cpu_s(lambda sql=sql: db.execute(SQL, (sql,)).fetchall(), RUNS) * 1000  # type: ignore[misc]
            print(f"{'search: ' + what:<36}{mine:8.1f} ms {peer:10.1f} ms {mine / peer:8.2f}x   goal 100 ms")
        index.close()
        db.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
