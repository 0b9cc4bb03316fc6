"""Broken disks, found or made up: everything that was not touched is recovered, and what is lost is named."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tagfs.check.fsck import fsck
from tagfs.face import face_of
from tagfs.place import places
from tagfs.store import Store
from tagfs.tag import escape_tag
from tagfs.verbs.recover import Found, recover
from tests.support.recovering import SHELLS, TOOLS, library, put, report, run, script, tree
from tests.support.stores import Machine, fast_folder, make_store, own_segments

BROKEN = Path(__file__).resolve().parents[1] / "data" / "broken"
CASES = sorted(path.name for path in BROKEN.iterdir())


def disks(case: str) -> list[Path]:
    return sorted(path for path in (BROKEN / case).iterdir() if path.is_dir())


def wanted_of(case: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((BROKEN / case / "wanted.json").read_text(encoding="utf-8"))
    return found


def digests(root: Path, *tops: str) -> set[str]:
    return {
        sha256(data).hexdigest() for path, data in tree(root).items() if data is not None and path.split("/")[0] in tops
    }


def out_of(root: Path) -> dict[str, dict[str, Any]]:
    """What came out, by GUID, as FILES.csv has it; the bytes are those that stand there."""
    with open(root / "FILES.csv", encoding="utf-8", newline="") as table:
        return {
            row["guid"]: {
                "name": row["name"].removeprefix("'"),
                "tags": row["tags"],
                "sha256": sha256((root / row["path"]).read_bytes()).hexdigest(),
            }
            for row in csv.DictReader(table)
        }


def test_each_way_of_breaking_has_a_disk() -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location("make_broken", BROKEN.parent / "make_broken.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert sorted(module.CASES) == CASES
    assert sum(path.stat().st_size for path in BROKEN.rglob("*") if path.is_file()) < 1_000_000


def runs() -> Iterator[tuple[str, str]]:
    """Each disk with each tool: the shells where there is a table, the old Python (slow to start) for a few."""
    for case in CASES:
        for tool in TOOLS:
            if wanted_of(case)["shell"] if tool in SHELLS else tool == "python" or case[:2] in ("12", "13"):
                yield case, tool


@pytest.mark.parametrize(("case", "tool"), list(runs()))
def test_scripts_get_out_of_a_broken_disk_what_they_must(tmp_path: Path, case: str, tool: str) -> None:
    wanted = wanted_of(case)
    before = tree(BROKEN / case)
    run(tool, tmp_path / "out", *disks(case), code=0 if wanted["whole"] else 1)
    assert tree(BROKEN / case) == before
    found = out_of(tmp_path / "out")
    for guid, file in wanted["files"].items():
        assert guid in found, file
        assert found[guid]["name"] == file["name"]
        assert found[guid]["sha256"] == file["sha256"]
        assert sorted(filter(None, found[guid]["tags"].split(","))) == sorted(map(escape_tag, file["tags"]))
    assert set(wanted["apart"]) <= digests(tmp_path / "out", "other-versions", "nameless")
    for text in wanted["told"]:
        assert text in report(tmp_path / "out")


@pytest.mark.parametrize("case", CASES)
def test_lyts_recover_makes_a_sound_store_of_a_broken_disk(tmp_path: Path, case: str) -> None:
    wanted = wanted_of(case)
    with make_store(tmp_path / "new", Machine(99), "new") as store:
        done = recover(store, Found([str(disk) for disk in disks(case)], store.layout.root))
        assert fsck(store, deep=True) == []
        with store.view() as view:
            nodes = [node for node, _ in view.things("N")]
            where = places(store.layout, view, store.node)
        knows_names = any(path.suffix == ".jsonl" for path in BROKEN.joinpath(case).rglob("*"))
        for guid, file in wanted["files"].items():
            face = face_of(store.states([guid])[0], store.node, nodes)
            path = where.find(face.data, face.holds)
            assert path is not None, file
            assert sha256(Path(path).read_bytes()).hexdigest() == file["sha256"]
            if knows_names:
                assert face.name == file["name"]
        everything = digests(tmp_path / "new", "sets", "keep")
        assert set(wanted["apart"]) <= everything
        told = " ".join([*(one.name for one in done.missing), *(f"{p.where} {p.why}" for p in done.problems)])
        for text in wanted["told"]:
            if any(name in text for name in (".jsonl", ".mkv", ".flac", ".jpg")) and "--" not in text:
                assert text in told
        assert recover(store, Found([str(disk) for disk in disks(case)], store.layout.root)).placed == []


# -- at random


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A store of thirty files in four segments, and the bytes of each file by GUID."""
    root = tmp_path_factory.mktemp("sound") / "store"
    machine = Machine(5)
    dice = random.Random(3)
    made: dict[str, bytes] = {}
    with make_store(root, machine) as store:
        library(store)
    for number in range(4):
        machine.reboot()
        with Store(str(root), machine.real()) as store:
            for index in range(7):
                data = dice.randbytes(dice.randint(1, 900))
                guid = put(store, f"{number} {index}.bin", data, dice.sample(["a", "b", "c=1", "d/e"], 2))
                made[guid] = data
            assert len(own_segments(store)) == number + 2
    return root, made


def corrupt(root: Path, dice: random.Random) -> tuple[set[str], list[str]]:
    """Do harm to a store: the GUIDs whose bytes were touched, and what was done."""
    hurt: set[str] = set()
    done = []
    for _ in range(dice.randint(1, 6)):
        data = sorted(root.glob("sets/*/data/*/*"))
        ledgers = sorted(root.glob("ledgers/*/*.jsonl"))
        is_ledger = bool(ledgers) and (dice.random() < 0.4 or not data)
        if not data and not ledgers:
            break
        victim = dice.choice(ledgers if is_ledger else data)
        if not is_ledger:
            hurt.add(victim.name[:36])
        size = victim.stat().st_size
        how = dice.choice(["flip", "cut", "delete", "zero", "garbage"])
        if how == "delete":
            victim.unlink()
        elif how == "cut":
            os.truncate(victim, dice.randrange(size) if size else 0)
        elif size:
            content = bytearray(victim.read_bytes())
            at = dice.randrange(size)
            if how == "flip":
                content[at] ^= 1 << dice.randrange(8)
            else:
                length = dice.randint(1, 200)
                content[at : at + length] = bytes(length) if how == "zero" else dice.randbytes(length)
            victim.write_bytes(content)
        done.append(f"{how} {victim.relative_to(root)}")
    return hurt, done


def test_whatever_is_corrupted_all_else_comes_out_and_what_is_lost_is_named(
    sound: tuple[Path, dict[str, bytes]], tmp_path: Path, rounds: Callable[[int, int], int]
) -> None:
    root, made = sound
    recover_py = script()
    work = Path(fast_folder() or tmp_path) / f"lyts-corrupt-{os.getpid()}"
    try:
        for seed in range(rounds(40, 1_000)):
            dice = random.Random(seed)
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(root, work / "store", ignore=shutil.ignore_patterns("index", "reserve"))
            hurt, done = corrupt(work / "store", dice)
            before = tree(work / "store")
            recovery = recover_py.Recovery(
                recover_py.Target(str(work / "out")), recover_py.Sources([str(work / "store")]), "tags"
            )
            recovery.run(lambda done, total: None)
            assert tree(work / "store") == before, (seed, done)
            out = tree(work / "out")
            came = {data for path, data in out.items() if data is not None and not path.startswith("ledgers/")}
            told = report(work / "out")
            names = {guid: row.name for guid, row in recovery.rows.items()}
            for guid, data in made.items():
                if guid not in hurt:
                    assert data in came, (seed, done, guid)
                elif guid in names and guid not in recovery.came_out:
                    assert guid in told, (seed, done, guid)
            # What came out as it was is what it was: no damaged byte passes for a sound one.
            for guid, place in recovery.came_out.items():
                if guid in made and recovery.rows[guid].sha256 == sha256(made[guid]).hexdigest():
                    assert out[place] == made[guid], (seed, done, guid)
            # And nothing that is left of what was hurt is thrown away.
            for path, data in before.items():
                if data is not None and path.startswith("sets/"):
                    assert data in came, (seed, done, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def test_a_store_made_of_a_corrupted_one_is_sound(
    sound: tuple[Path, dict[str, bytes]], tmp_path: Path, rounds: Callable[[int, int], int]
) -> None:
    root, made = sound
    work = Path(fast_folder() or tmp_path) / f"lyts-corrupt-store-{os.getpid()}"
    try:
        for seed in range(rounds(8, 200)):
            dice = random.Random(100_000 + seed)
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(root, work / "store", ignore=shutil.ignore_patterns("index", "reserve"))
            hurt, done = corrupt(work / "store", dice)
            with make_store(work / "new", Machine(seed + 1000), "new") as store:
                recover(store, Found([str(work / "store")], store.layout.root))
                assert fsck(store, deep=True) == [], (seed, done)
                there = {
                    data for path, data in tree(work / "new").items() if data and path.split("/")[0] in ("sets", "keep")
                }
                for guid, data in made.items():
                    assert guid in hurt or data in there, (seed, done, guid)
                for path, left in tree(work / "store").items():
                    assert not left or not path.startswith("sets/") or left in there, (seed, done, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)
