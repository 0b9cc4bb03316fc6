"""A step that was made up, from a format that never was, to prove that the machine of `migrations/` works.

`store/` beside this file is a store of two files in that "format 0": the tags of a file
are called `labels` (and `unlabels`), facts about a tag are about a `label`, and
`store.toml` has `device` where format 1 has `alias`. Its ledgers also have a line that is
no fact, keys nobody knows, a torn end, and a ledger of another node that is ahead.
Never made anew.
"""

from __future__ import annotations

import json
from typing import Any

from migrations.contract import Migration, Work
from tagfs.errors import StoreError
from tagfs.layout import Layout
from tagfs.ledger import segments_below, whole_lines

SEPARATORS = (",", ":")


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        fact = json.loads(line)
    except ValueError:
        return None
    return fact if isinstance(fact, dict) else None


def check(store_dir: str) -> list[str]:
    problems = []
    ledgers = Layout(store_dir).ledgers
    for segment in segments_below(ledgers):
        for piece in whole_lines(f"{ledgers}/{segment.name}", 0):
            for line in piece.splitlines():
                fact = _parsed(line)
                if fact is not None and "labels" in fact and "tag" in fact:
                    problems.append(f"a line in {segment.name} has both labels and tags; remove one of them")
    return problems


def changed_line(line: bytes) -> bytes:
    fact = _parsed(line)
    if fact is None or not fact.keys() & {"labels", "unlabels", "label"}:
        return line
    names = {"labels": "tag", "unlabels": "untag"}
    if "set" not in fact:
        names["label"] = "tag"
    renamed = {names.get(key, key): value for key, value in fact.items()}
    return json.dumps(renamed, ensure_ascii=False, separators=SEPARATORS).encode()


def apply(work: Work) -> None:
    if "device" not in work.toml:
        raise StoreError("store.toml names no device")
    device = work.toml.pop("device")
    work.toml["alias"] = device
    work.rewrite_lines(changed_line)


STEP = Migration("labels are called tags", 0, 1, check, apply)
