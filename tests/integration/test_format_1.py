"""Format 1 is frozen: what lyts wrote when it was is read today, by lyts and by the scripts.

`tests/data/format-1/` was made once (`make_format_1.py`) and is never made anew. Where a test in
here fails, the format was changed: that takes another number and a migration, not another fixture.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from migrations import runner
from tagfs.check.fsck import fsck
from tagfs.errors import PeerDataError
from tagfs.fact import Content, Fact, Made, Purge, encode_fact, parse_fact
from tagfs.glossary import Thing
from tagfs.layout import FORMAT, Layout, StoreInfo, read_info
from tagfs.seen import Seen, read_seen
from tagfs.store import Store
from tagfs.verbs.recover import Found, recover
from tests.support.facts import NODES, RULE
from tests.support.recovering import TOOLS, files, report, run, say, tree
from tests.support.stores import START_MS, Machine, make_store, open_store

DATA = Path(__file__).resolve().parents[1] / "data"
FROZEN = DATA / "format-1" / "store"
PAGE = DATA.parents[1] / "docs" / "ledger-format.md"
OF_EVERYTHING = "9563b55a8ccc69307531174eb5d1dcd779c88e39db263aad5868edace13e1a1e"


def machine() -> Machine:
    """One on which it is later than when the store was made."""
    return Machine(seed=8, now_ms=START_MS + 10 * 3_600_000, boot="boot-9")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FROZEN, tmp_path / "store"))


def script_of(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DATA / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wanted() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FROZEN.parent / "wanted.json").read_text(encoding="utf-8"))
    return found


def lines() -> list[bytes]:
    found = []
    for path in sorted(FROZEN.glob("ledgers/*/*.jsonl")):
        found += path.read_bytes().split(b"\n")[:-1]
    return found


def test_the_frozen_store_is_the_one_that_was_frozen() -> None:
    digest = sha256()
    for path, data in sorted(tree(FROZEN.parent).items()):
        if data is not None:
            digest.update(f"{path}\0{len(data)}\0".encode() + data)
    assert digest.hexdigest() == OF_EVERYTHING


def test_this_lyts_has_format_1_and_the_frozen_store_says_so() -> None:
    assert FORMAT == 1
    assert read_info(Layout(str(FROZEN))).format == 1
    assert StoreInfo._fields == ("format", "library", "node", "alias", "ledger_folder", "machine_id")


def test_the_frozen_store_opens_and_says_what_it_said(root: Path) -> None:
    before = {path: data for path, data in tree(root).items() if path.startswith("ledgers/") and path.endswith("jsonl")}
    with open_store(root, machine()) as store:
        assert script_of("make_format_1").wanted(store) == wanted()
        with store.view() as view:
            assert (
                Thing.unpacked(msgspec.msgpack.decode(dict(view.things("S"))["evening"])).value("query")
                == "music+-loud"
            )
            rule = Thing.unpacked(msgspec.msgpack.decode(dict(view.things("P"))[RULE]))
            assert (rule.value("query"), rule.value("holds")) == ("video+size=1GB..", {NODES[1]: True})
            assert view.canonical("Jazz") == "jazz"
        assert [one.kind for one in fsck(store, deep=True)] == ["ledger-torn"]
        # What is stated from now on stands beside it; nothing that stood there changes.
        photo = next(guid for guid, file in wanted()["files"].items() if file["name"] == "Holiday in Rome.jpg")
        assert say(store, photo, tag=["seen again"]).at > max(
            re.findall(r"\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{4}-\w{8}", str(before))
        )
    after = tree(root)
    assert {path: after[path] for path in before} == before


def test_every_line_of_it_is_written_the_same_today() -> None:
    known = 0
    for line in lines():
        fact = parse_fact(line)
        if b'"dream"' in line:
            assert all(getattr(fact, field) is None for field in ("file", "tag", "node", "saved", "set", "rule"))
            continue
        assert encode_fact(fact) == line + b"\n"
        known += 1
    assert known >= 40


def test_every_key_there_is_stands_in_it_and_in_the_page() -> None:
    text = b"\n".join(lines()).decode()
    page = PAGE.read_text(encoding="utf-8")
    for struct in (Fact, Made, Content, Purge):
        for field in msgspec.structs.fields(struct):
            assert f'"{field.encode_name}":' in text, f"{field.encode_name} is in no line of the frozen store"
            assert re.search(rf'[`"]{field.encode_name}[`"]', page), f"{field.encode_name} is not in {PAGE.name}"
    for name in (*Seen.__struct_fields__, *StoreInfo._fields, "versions_days", "versions_mib", "trash_days"):
        assert re.search(rf"\b{name}\b", page), f"{name} is not in {PAGE.name}"


def test_what_others_wrote_beside_facts_is_read() -> None:
    seen = read_seen(str(FROZEN / "ledgers/server/seen.json"))
    assert seen is not None
    assert (seen.node, seen.format) == (NODES[1], 1)
    assert len(seen.read) == 1
    with pytest.raises(PeerDataError):
        parse_fact((FROZEN / "ledgers/server").glob("*.jsonl").__next__().read_bytes().split(b"\n")[-1])


@pytest.mark.parametrize("tool", TOOLS)
def test_the_scripts_get_its_files_out(tmp_path: Path, tool: str) -> None:
    run(tool, tmp_path / "out", FROZEN, code=1)
    assert files(tmp_path / "out") == {
        "rome/Holiday in Rome.jpg": b"rome " * 40,
        "favourite/Holiday in Rome.jpg": b"rome " * 40,
        "year=2020/Holiday in Rome.jpg": b"rome " * 40,
        "jazz/So What (live).flac": b"what " * 40,
        "artist=AC_DC/So What (live).flac": b"what " * 40,
        "music/So What (live).flac": b"what " * 40,
        "untagged/Dear Jürgen.txt": "Dear Jürgen, come over\n".encode(),
        "untagged/café.txt": b"no text \xff\n",
        "conflict/Dear Jürgen (server, 2025-11-24).txt": b"Dear Juergen\n",
        "diary/diary.txt": b"not for the server\n",
    }
    assert list(files(tmp_path / "out", "other-versions").values()) == ["Dear Jürgen\n".encode()]
    assert list(files(tmp_path / "out", "nameless").values()) == [b"removed\n"]
    told = report(tmp_path / "out")
    assert "film.mkv  [film]" in told
    assert "kept by: server" in told
    assert "gone for good" not in told


def test_lyts_recover_makes_a_store_of_it(tmp_path: Path) -> None:
    with make_store(tmp_path / "new", machine(), "tablet") as store:
        done = recover(store, Found([str(FROZEN)], store.layout.root))
        assert [one.name for one in done.missing] == ["film.mkv"]
        assert fsck(store, deep=True) == []
        found = script_of("make_format_1").wanted(store)
    for guid, file in wanted()["files"].items():
        same = ("name", "tags", "notes", "mode", "sha256", "mtime_ns", "trashed", "listed", "xattr", "from")
        assert {key: found["files"][guid][key] for key in same} == {key: file[key] for key in same}


def test_a_store_of_the_format_before_comes_to_it_and_out_of_it(tmp_path: Path) -> None:
    """Format 0 was made up to prove that migrating works; so far no other came before."""
    spec = importlib.util.spec_from_file_location("format_0_step", DATA / "format-0" / "step.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    root = shutil.copytree(DATA / "format-0" / "store", tmp_path / "store")
    assert runner.run(str(root), (module.STEP,)).done == ("labels are called tags",)
    assert read_info(Layout(str(root))).format == FORMAT
    with Store(str(root), machine().real()) as store:
        assert {one.kind for one in fsck(store, deep=True)} <= {"ledger-torn", "line-set-aside"}
    run("python", tmp_path / "out", root, code=1)
    assert set(files(tmp_path / "out")) == {
        "family/Holiday in “Rome”.jpg",
        "rome/Holiday in “Rome”.jpg",
        "favourite/So What.flac",
        "jazz/So What.flac",
        "year=1959/So What.flac",
    }
