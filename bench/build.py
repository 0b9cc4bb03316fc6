"""Builds the two that are compared, from the same library: a lyts store and an SQLite database.

    python -m bench.build --files 100000 --work /tmp/lyts-bench

The store is made through the front door: `Store.act`, one birth (name, content, tags,
holds) a file, 10,000 of them an action, each action durable before the next. The clock
is a made-up one, an hour an action, so that files were added on different days.

SQLite has two tables from term to file and back, WITHOUT ROWID and filled in order (so
dense), an index over names, and statistics (ANALYZE). Its build is not a figure: it is
filled with everything that makes that fast and nothing that makes it safe.

What is there already is used again; `--fresh` begins anew.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from bench.library import TERMS, YEARS, File, chunks
from tagfs.change import Change
from tagfs.create import create_store
from tagfs.fact import Content, Made, time_text
from tagfs.nodeset import set_id
from tagfs.slug import data_path
from tagfs.store import Machine, Store, this_machine
from tagfs.tag import split_tag

SQLITE_CACHE_KIB = 262_144
SQLITE_MMAP_BYTES = 4 << 30
_BEGIN_MS = 1_451_606_400_000  # 2016-01-01
_HOUR_MS = 3_600_000


class Built(NamedTuple):
    """Where the two are, and what making the store took (None: in an earlier run that left no note)."""

    files: int
    store: str
    sqlite: str
    ingest: dict[str, float] | None


def default_work() -> str:
    """Where builds are kept when nothing else is said."""
    return os.path.join(tempfile.gettempdir(), "lyts-bench")


def build(work: str, files: int, fresh: bool = False, *, peer: bool = True) -> Built:
    """Make what is missing; without `peer` the store alone."""
    folder = os.path.join(work, str(files))
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, exist_ok=True)
    store, note, database = (os.path.join(folder, name) for name in ("store", "ingest.json", "peer.sqlite"))
    if not os.path.exists(note):
        shutil.rmtree(store, ignore_errors=True)
        figures = build_store(store, files)
        with open(note, "w", encoding="utf-8") as file:
            json.dump(figures, file)
    if peer and not os.path.exists(database):
        build_sqlite(database + ".new", files)
        os.rename(database + ".new", database)
    with open(note, encoding="utf-8") as file:
        return Built(files, store, database, json.load(file))


def births(batch: list[File]) -> Any:
    """The function that states a batch of births to `Store.act`."""

    def state_facts(change: Change) -> None:
        node = change.node
        for file in batch:
            change.about_file(
                file.guid,
                made=Made(name=file.name, data=data_path(file.guid, file.name), from_=file.folder),
                content=Content(sha256=file.sha256, size_bytes=file.size_bytes, modified=time_text(file.modified_ns)),
                tag=[TERMS[term] for term in file.terms],
                holds={node: True},
            )

    return state_facts


def build_store(root: str, files: int) -> dict[str, float]:
    """Make the store; returns what taking the files in took, generation left out."""
    real = this_machine()
    hours = 0

    def wall_ms() -> int:
        return _BEGIN_MS + hours * _HOUR_MS

    machine = Machine(wall_ms, real.random_bytes, real.boot_id)
    create_store(root, alias="laptop", folder_name="laptop", set_id=set_id, machine=machine)
    wall = cpu = slowest = 0.0
    done = 0
    with Store(root, machine) as store:
        for batch in chunks(files):
            hours += 1
            state_facts = births(batch)
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            store.act(state_facts)
            took = time.perf_counter() - wall_start
            cpu += time.process_time() - cpu_start
            wall += took
            slowest = max(slowest, took)
            done += len(batch)
            if sys.stderr.isatty():
                print(f"\r  store: {done:,} of {files:,} files, {done / wall:,.0f} files/s ", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return {"files": done, "wall_s": wall, "cpu_s": cpu, "slowest_batch_s": slowest}


def connect(database: str) -> sqlite3.Connection:
    """The database, open to be read as fast as it goes."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    connection.execute(f"pragma cache_size = -{SQLITE_CACHE_KIB}")
    connection.execute(f"pragma mmap_size = {SQLITE_MMAP_BYTES}")
    connection.execute("pragma temp_store = memory")
    return connection


def build_sqlite(database: str, files: int) -> None:
    """Make the database."""
    if os.path.exists(database):
        os.unlink(database)
    connection = sqlite3.connect(database)
    connection.executescript(f"""
        pragma page_size = 4096; pragma journal_mode = off; pragma synchronous = off;
        pragma cache_size = -{SQLITE_CACHE_KIB};
        create table term(id integer primary key, key text not null, val text, num real);
        create table file(id integer primary key, guid blob not null, name text not null,
                          size integer not null, modified integer not null, sha256 blob not null);
        create table file_term(file int not null, term int not null, primary key(file, term)) without rowid;
        create table term_file(term int not null, file int not null, primary key(term, file)) without rowid;
    """)
    connection.executemany("insert into term values(?, ?, ?, ?)", _term_rows())
    number = 0
    for batch in chunks(files):
        connection.executemany(
            "insert into file values(?, ?, ?, ?, ?, ?)",
            (
                (
                    number + i,
                    bytes.fromhex(f.guid.replace("-", "")),
                    f.name,
                    f.size_bytes,
                    f.modified_ns,
                    bytes.fromhex(f.sha256),
                )
                for i, f in enumerate(batch)
            ),
        )
        connection.executemany(
            "insert into file_term values(?, ?)", ((number + i, term) for i, f in enumerate(batch) for term in f.terms)
        )
        number += len(batch)
    connection.executescript("""
        insert into term_file select term, file from file_term order by term, file;
        create unique index term_key on term(key, val);
        create index term_number on term(key, num);
        create index file_name on file(name);
        create unique index file_guid on file(guid);
        analyze;
    """)
    connection.commit()
    connection.close()


def _term_rows() -> Iterator[tuple[int, str, str | None, float | None]]:
    for number, tag in enumerate(TERMS):
        key, value = split_tag(tag)
        yield number, key, value, float(value) if key == "year" and value and int(value) in YEARS else None


def main() -> None:
    """Build and say what came out."""
    parser = argparse.ArgumentParser(description="Build a store and its SQLite peer.")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--work", default=default_work(), help="where builds are kept (default: %(default)s)")
    parser.add_argument("--fresh", action="store_true", help="build again what is there")
    given = parser.parse_args()
    built = build(given.work, given.files, given.fresh)
    took = built.ingest
    if took is not None:
        rate = took["files"] / took["wall_s"]
        cpu_us = took["cpu_s"] / took["files"] * 1e6
        print(f"{built.files:,} files taken in at {rate:,.0f} files/s, {cpu_us:.1f} us of CPU a file")
    print(f"store   {built.store}\nSQLite  {built.sqlite}")


if __name__ == "__main__":
    main()
