"""Runs the scripts with which a store is read without lyts, and makes stores with bytes for them to read.

`recover.py` runs on this Python and, as an old one, on Debian's pypy3; `recover.sh` under dash with
coreutils, and in a world of nothing but busybox. Where one of them is missing its tests skip, and say so.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from tagfs.change import Change
from tagfs.fact import Content, Fact, Made, time_text
from tagfs.guid import new_guid
from tagfs.recovery import rows
from tagfs.slug import data_path
from tagfs.store import Store
from tests.support.stores import MTIME_NS

SCRIPTS = Path(__file__).resolve().parents[2] / "tagfs" / "recovery" / "scripts"
TOOLS = ("python", "pypy3", "dash", "busybox")
SHELLS = ("dash", "busybox")


@lru_cache(maxsize=1)
def script() -> ModuleType:
    """`recover.py` as a module."""
    spec = importlib.util.spec_from_file_location("lyts_recover_script", SCRIPTS / "recover.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


def need(tool: str) -> None:
    """Skip where a tool is not installed."""
    if tool != "python" and shutil.which(tool) is None:
        pytest.skip(f"NOT TESTED with {tool}: it is not installed (apt-get install {tool})")


@lru_cache(maxsize=1)
def _busybox_world() -> str:
    """A folder with busybox under the names of all it can do: the whole PATH of a test."""
    import atexit
    import tempfile

    folder = tempfile.mkdtemp(prefix="lyts-busybox-")
    atexit.register(shutil.rmtree, folder, True)
    busybox = shutil.which("busybox")
    assert busybox is not None
    for applet in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            os.symlink(busybox, os.path.join(folder, applet))
    return folder


def command(tool: str, *words: str | os.PathLike[str], script_at: str | os.PathLike[str] | None = None) -> list[str]:
    """The words that run a script with a tool."""
    need(tool)
    name = "recover.sh" if tool in SHELLS else "recover.py"
    path = os.fspath(script_at) if script_at is not None else str(SCRIPTS / name)
    start = {
        "python": [sys.executable, "-I"],
        "pypy3": ["pypy3", "-I"],
        "dash": ["dash"],
        "busybox": [shutil.which("busybox") or "busybox", "sh"],
    }[tool]
    return [*start, path, *map(os.fspath, words)]


def environment(tool: str) -> dict[str, str]:
    path = _busybox_world() if tool == "busybox" else os.defpath
    return {"PATH": path, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}


def run(
    tool: str,
    *words: str | os.PathLike[str],
    code: int | None = 0,
    script_at: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Outcome:
    """Run a script: the target, then sources. `code` is the exit status that is expected, None for any."""
    done = subprocess.run(
        command(tool, *words, script_at=script_at),
        env=environment(tool),
        capture_output=True,
        timeout=240,
        check=False,
        **options,
    )
    found = Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert code is None or found.code == code, found
    assert "Traceback" not in found.err, found.err
    return found


def tree(root: str | os.PathLike[str]) -> dict[str, bytes | None]:
    """All that stands below a folder: path -> bytes, None for a folder. Links count as what they are."""
    found: dict[str, bytes | None] = {}
    for folder, _, names in os.walk(root):
        below = os.path.relpath(folder, root)
        found[below] = None
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.normpath(os.path.join(below, name))] = file.read()
    return found


def files(root: str | os.PathLike[str], top: str = "files") -> dict[str, bytes]:
    """What came out into one of the folders."""
    return {
        path.removeprefix(top + "/"): data
        for path, data in tree(root).items()
        if data is not None and path.startswith(top + "/")
    }


def report(root: str | os.PathLike[str]) -> str:
    return Path(root, "REPORT.txt").read_text(encoding="utf-8")


# -- making stores ------------------------------------------------------------------


def put(
    store: Store,
    name: str,
    data: bytes,
    tags: Iterable[str] = (),
    guid: str | None = None,
    label: str | None = None,
    **more: Any,
) -> str:
    """A file with bytes, as if it had been added; its GUID. `more` are further statements, at its birth.

    Args:
        label: of the set in whose folder the bytes are; None for this node's own, "" for nowhere.
    """
    guid = guid or new_guid(store.machine.random_bytes(16))
    path = data_path(guid, name)
    if label != "":
        place = store.layout.data(label or store.info.ledger_folder, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        Path(place).write_bytes(data)
    statements: dict[str, Any] = {
        "made": Made(name=name, data=path, from_="/home/ada/Pictures/2019"),
        "content": Content(sha256=sha256(data).hexdigest(), size_bytes=len(data), modified=time_text(MTIME_NS)),
        "tag": sorted(tags) or None,
        "holds": {str(store.node): True},
    }
    store.act(lambda change: change.about_file(guid, **(statements | more)))
    return guid


def say(store: Store, guid: str, **statements: Any) -> Fact:
    return store.act(lambda change: change.about_file(guid, **statements))


def bytes_at(store: Store, guid: str) -> str:
    """The path of a file's bytes."""
    found = [str(path) for path in Path(store.layout.sets).glob(f"*/data/{guid[:2]}/{guid}*")]
    assert len(found) == 1, found
    return found[0]


def library(store: Store) -> dict[str, str]:
    """A small library with something of everything; GUIDs by name."""
    made = {
        "Holiday in Rome.jpg": put(
            store, "Holiday in Rome.jpg", b"rome " * 300, ["rome", "year=2019"], notes="warm\nsea"
        ),
        "So What.flac": put(store, "So What.flac", b"what " * 200, ["music", "artist=AC/DC"]),
        "letter.txt": put(store, "letter.txt", b"Dear J\xc3\xbcrgen\n"),
        "empty": put(store, "empty", b"", ["rome"]),
        "old.txt": put(store, "old.txt", b"renamed\n", ["music"]),
    }

    def more(change: Change) -> None:
        change.about_file(made["old.txt"], name="new name.txt", tag=["jazz"])
        change.about_tag("jazz", alias=["Jazz"])
        change.about_file(made["letter.txt"], notes='He said "no", twice')

    store.act(more)
    return made


def write_table(root: str | os.PathLike[str]) -> None:
    """An `index.csv` that says of a store what its ledgers say."""
    Path(root, "index.csv").write_bytes(b"".join([rows.header(), *map(rows.line, rows_of(root))]))


def rows_of(root: str | os.PathLike[str]) -> list[rows.Row]:
    """What the ledgers of a store come to, as rows."""
    recover = script()
    sources = recover.Sources([os.fspath(root)])
    known = recover.Library()
    for path, shown in sources.ledgers:
        known.read_ledger(path, shown)
    paths = {found.guid: found.shown for found in sources.bytes if found.in_place}
    return [
        rows.Row(
            guid=guid,
            name=row.name,
            path=paths.get(guid, ""),
            size_bytes=row.size_bytes if row.size_bytes >= 0 else None,
            sha256=row.sha256,
            modified=row.modified,
            tags=tuple(row.tags),
            notes=row.notes,
            holds=tuple(row.holders),
            from_folder=row.from_folder,
        )
        for guid, row in known.listing().items()
    ]
