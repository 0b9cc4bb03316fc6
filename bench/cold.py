"""What a command does once and then ends, measured from inside the process that does it.

    python -m bench.cold facets STORE TAG        CPU time of the facets of a query alone
    python -m bench.cold command ARGUMENT...     `lyts ARGUMENT...`; its memory, on standard error, as it ends

Started by `bench.run`; prints JSON.
"""

from __future__ import annotations

import json
import sys
import time


def facets(root: str, query: str) -> None:
    """Facets of a query in a process that has done nothing else yet."""
    from tagfs.bucket import Clock, utc_ms
    from tagfs.query.grammar import parse_query
    from tagfs.query.plan import plan
    from tagfs.query.run import result
    from tagfs.store import Store

    started = time.process_time()
    with Store(root) as store, store.view() as view:
        opened = time.process_time()
        found = result(plan(parse_query(query), view, Clock(0, utc_ms), query), view)
        answered = time.process_time()
        counts = view.facet_counts(found)
        done = time.process_time()
        out = {
            "open_ms": (opened - started) * 1000,
            "query_ms": (answered - opened) * 1000,
            "facets_ms": (done - answered) * 1000,
            "files": len(found),
            "terms": len(counts),
        }
    print(json.dumps(out))


def memory() -> dict[str, float]:
    """MB of this process now. Pages of the index that are mapped count as private-clean while nobody else maps them."""
    kib: dict[str, int] = {}
    for path in ("/proc/self/smaps_rollup", "/proc/self/status"):
        with open(path, encoding="ascii") as file:
            for line in file:
                name, _, rest = line.partition(":")
                if rest.endswith("kB\n"):
                    kib[name] = int(rest.split()[0])
    return {
        "rss_mb": kib["Rss"] / 1024,
        "private_mb": (kib["Private_Clean"] + kib["Private_Dirty"]) / 1024,
        "anonymous_mb": kib["Anonymous"] / 1024,
        "peak_rss_mb": kib["VmHWM"] / 1024,
    }


def command(arguments: list[str]) -> None:
    """A command with its memory looked at before the index is closed, which is when it has the most."""
    import tagfs.index.env

    close = tagfs.index.env.Index.close
    at_close: list[dict[str, float]] = []

    def look_and_close(index: tagfs.index.env.Index) -> None:
        at_close.append(memory())
        close(index)

    tagfs.index.env.Index.close = look_and_close  # type: ignore[method-assign,assignment]
    from shell.main import main

    sys.argv = ["lyts", *arguments]
    try:
        main()
    finally:
        sys.stdout.flush()
        print(json.dumps(at_close[-1] if at_close else memory()), file=sys.stderr)


if __name__ == "__main__":
    if sys.argv[1] == "facets":
        facets(*sys.argv[2:])
    else:
        command(sys.argv[2:])
