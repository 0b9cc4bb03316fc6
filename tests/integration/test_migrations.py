"""The machine of migrations, driven by a step that was made up (tests/data/format-0/).

What a crash leaves behind: test_migrations_crash.py.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from migrations import disk, runner
from migrations.contract import CannotMigrate, Migration, Work
from migrations.registry import REGISTRY
from migrations.switch import BARRIER
from tagfs.create import create_store
from tagfs.errors import DiskFull, NewerFormat, NoStore, OlderFormat, ReadOnlyStore, StoreError
from tagfs.layout import FORMAT, Layout, read_info, read_toml
from tagfs.ledger import segments_below, whole_lines
from tagfs.lock import Dirty, hold
from tagfs.nodeset import folder_name, set_id
from tagfs.store import Store, this_machine

FIXTURE = Path(__file__).resolve().parents[1] / "data" / "format-0"
SONG = "9c0f7be1-6c1e-4d2a-9a51-2f1d0c3b4a59"
PHOTO = "b2d4a1f0-3e57-4c88-8d1b-7a6e5f4c3b2d"


def made_up_step() -> ModuleType:
    spec = importlib.util.spec_from_file_location("format_0_step", FIXTURE / "step.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE_UP = made_up_step()
STEPS: tuple[Migration, ...] = (MADE_UP.STEP,)


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A store of format 0, with an index that must not survive."""
    path = tmp_path / "store"
    shutil.copytree(FIXTURE / "store", path)
    (path / "index").mkdir()
    (path / "index" / "data.mdb").write_bytes(b"of the old ledgers")
    (path / "text").mkdir()
    for folder in ("scratch", "keep"):
        (path / folder).mkdir()
    (path / "lock").touch()
    return str(path)


def tree(path: str, *, below: str = "") -> dict[str, str]:
    """Every file and folder with its content's hash, its rights, and its time."""
    out = {}
    for folder, folders, files in os.walk(os.path.join(path, below)):
        for name in folders + files:
            full = os.path.join(folder, name)
            found = os.lstat(full)
            content = hashlib.sha256(Path(full).read_bytes()).hexdigest() if name in files else "folder"
            out[os.path.relpath(full, path)] = f"{content} {found.st_mode:o} {found.st_mtime_ns} {found.st_ino}"
    return out


def faces(root: str) -> dict[str, tuple[str, list[str], list[str]]]:
    """Name, own tags, and all tags of every file, as the store sees them."""
    with Store(root) as store, store.view() as view:
        ordinals = [view.ordinal(guid) for guid in (SONG, PHOTO)]
        return {view.guid(o): (view.name(o), view.own_tags(o), view.tags(o)) for o in ordinals if o is not None}


EXPECTED_NAMES = {SONG: "So What.flac", PHOTO: "Holiday in “Rome”.jpg"}
EXPECTED_TAGS = {SONG: {"jazz", "year=1959", "favourite"}, PHOTO: {"rome", "family"}}


def assert_is_the_new_store(root: str) -> None:
    found = faces(root)
    assert {guid: face[0] for guid, face in found.items()} == EXPECTED_NAMES
    assert {guid: set(face[1]) for guid, face in found.items()} == EXPECTED_TAGS
    with Store(root) as store, store.view() as view:
        assert view.matching_tags("music") == ["jazz", "music"]
        assert view.node_names()[store.node] == "laptop"
    info = read_info(Layout(root))
    assert (info.format, info.alias, info.ledger_folder) == (1, "laptop", "laptop")
    assert "device" not in read_toml(Layout(root))


# -- it works


def test_older_store_is_refused_by_this_lyts_until_it_is_migrated(root: str) -> None:
    with pytest.raises(OlderFormat, match="lyts migrate"):
        Store(root)


def test_migrated_store_opens_and_has_the_same_faces(root: str) -> None:
    report = runner.run(root, STEPS)
    assert (report.from_format, report.to_format, report.done) == (0, 1, ("labels are called tags",))
    assert (report.segments, report.resumed, report.dry_run) == (3, False, False)
    assert report.backup == os.path.join(root, "before-format-1")
    assert report.backup in report.sentence()
    assert_is_the_new_store(root)


def test_migrated_store_takes_new_facts(root: str) -> None:
    runner.run(root, STEPS)
    with Store(root) as store:
        store.act(lambda change: change.about_file(SONG, tag=["modal"]))
    assert "modal" in faces(root)[SONG][1]


def test_data_files_and_ledgers_of_others_are_not_even_touched(root: str) -> None:
    parts = ("sets", "ledgers/server", "keep")
    before = {part: tree(root, below=part) for part in parts}
    runner.run(root, STEPS)
    assert {part: tree(root, below=part) for part in parts} == before


def test_lines_that_are_no_facts_and_keys_nobody_knows_stay_as_they_are(root: str) -> None:
    def lines() -> list[bytes]:
        ledgers = Layout(root).ledgers
        paths = [os.path.join(ledgers, s.name) for s in segments_below(ledgers) if s.name.startswith("laptop/")]
        return [line for path in paths for line in Path(path).read_bytes().split(b"\n")]

    old = lines()
    runner.run(root, STEPS)
    new = lines()
    assert len(new) == len(old)
    assert sum(o == n for o, n in zip(old, new, strict=True)) == 7
    assert new[-1] == old[-1] != b""  # torn
    assert [json.loads(n)["at"] for n in new if n.startswith(b"{") and n.endswith(b"}")] == [
        json.loads(o)["at"] for o in old if o.startswith(b"{") and o.endswith(b"}")
    ]


def test_index_of_the_old_ledgers_is_gone_and_nothing_else_is_left_about(root: str) -> None:
    before = set(os.listdir(root))
    runner.run(root, STEPS)
    assert set(os.listdir(root)) == (before | {"before-format-1"}) - {"index", "text"}
    assert sorted(os.listdir(os.path.join(root, "ledgers"))) == ["laptop", "server"]
    assert sorted(os.listdir(os.path.join(root, "ledgers", "laptop"))) == sorted(
        os.listdir(FIXTURE / "store" / "ledgers" / "laptop")
    )
    assert not os.path.islink(Layout(root).toml)


def test_running_again_does_nothing(root: str) -> None:
    runner.run(root, STEPS)
    faces(root)  # makes the index, which must stay
    before = tree(root)
    report = runner.run(root, STEPS)
    assert (report.done, report.backup, report.resumed) == ((), None, False)
    assert report.sentence().endswith("nothing to do.")
    assert tree(root) == before


def test_store_made_by_this_lyts_has_nothing_to_do(tmp_path: Path) -> None:
    root = str(tmp_path / "s")
    create_store(root, alias="Büro", folder_name=folder_name("Büro"), set_id=set_id, machine=this_machine())
    before = tree(root)
    assert runner.plan(root).is_idle
    assert runner.run(root, REGISTRY).done == ()
    assert tree(root) == before


def test_progress_goes_from_nothing_to_all(root: str) -> None:
    seen: list[tuple[str, int, int]] = []
    runner.run(root, STEPS, progress=lambda *what: seen.append(what))
    assert list(dict.fromkeys(what for what, _, _ in seen)) == [
        "copying the ledgers",
        "changing the ledgers",
        "putting the new version in place",
    ]
    for what in {what for what, _, _ in seen}:
        done = [(d, t) for w, d, t in seen if w == what]
        assert done == sorted(done)
        assert done[-1][0] == done[-1][1]


def test_rights_that_a_person_gave_stay(root: str) -> None:
    segment = next(Path(root, "ledgers", "laptop").glob("2*.jsonl"))
    Path(root, "ledgers", "laptop").chmod(0o750)
    segment.chmod(0o640)
    Path(Layout(root).toml).chmod(0o640)
    runner.run(root, STEPS)
    assert segment.stat().st_mode & 0o777 == 0o640
    assert segment.parent.stat().st_mode & 0o777 == 0o750
    assert os.stat(Layout(root).toml).st_mode & 0o777 == 0o640


def test_several_own_ledger_folders_go_together(root: str) -> None:
    """`laptop@laptop+server` has the facts about files that some node may not know."""
    private = Path(root, "ledgers", "laptop@laptop+server")
    private.mkdir()
    stamp = "20250304T101056.123Z-0000-1a2b3c4d"
    node = read_toml(Layout(root))["node"]
    line = f'{{"at":"{stamp}","by":"{node}","file":"{SONG}","labels":["secret"]}}\n'
    (private / f"{stamp}.jsonl").write_text(line)
    report = runner.run(root, STEPS)
    assert "secret" in faces(root)[SONG][1]
    assert report.backup is not None
    assert Path(report.backup, "ledgers", private.name, f"{stamp}.jsonl").read_text() == line


def test_file_system_that_cannot_exchange_names_will_do_too(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(one: str, other: str) -> None:
        raise OSError(errno.EINVAL, "Invalid argument", one)

    monkeypatch.setattr(disk, "exchange", cannot)
    report = runner.run(root, STEPS)
    assert report.backup is not None
    assert os.listdir(os.path.join(report.backup, "ledgers", "laptop"))
    assert_is_the_new_store(root)
    assert runner.plan(root, STEPS).is_idle


# -- several steps


def second_step(problems: list[str] | None = None, fails: bool = False) -> Migration:
    def check(store_dir: str) -> list[str]:
        assert read_toml(Layout(store_dir))["format"] == 1
        assert read_toml(Layout(store_dir))["alias"] == "laptop"
        return problems or []

    def apply(work: Work) -> None:
        work.rewrite_lines(lambda line: line.replace(b'"tag":["rome"]', b'"tag":["roma"]'))
        if fails:
            raise ValueError("a mistake in the step")

    return Migration("cities in their own language", 1, 2, check, apply)


def test_steps_follow_each_other_on_one_copy_with_one_backup(root: str) -> None:
    report = runner.run(root, (second_step(), *STEPS), target=2)
    assert report.done == ("labels are called tags", "cities in their own language")
    assert read_toml(Layout(root))["format"] == 2
    assert [f for f in os.listdir(root) if f.startswith("before")] == ["before-format-2"]
    assert read_toml(Layout(os.path.join(root, "before-format-2")))["format"] == 0
    text = b"".join(p.read_bytes() for p in Path(root, "ledgers", "laptop").glob("2*.jsonl"))
    assert b'"tag":["roma"]' in text
    assert b'"labels":["rome"]' not in text


@pytest.mark.parametrize("how", ["refuses", "fails"])
def test_trouble_in_a_later_step_leaves_the_first_version(root: str, how: str) -> None:
    before = tree(root)
    if how == "refuses":
        with pytest.raises(CannotMigrate, match="not in this town"):
            runner.run(root, (*STEPS, second_step(["not in this town"])), target=2)
    else:
        with pytest.raises(ValueError, match="a mistake in the step"):
            runner.run(root, (*STEPS, second_step(fails=True)), target=2)
    assert tree(root) == before


@pytest.mark.parametrize(
    ("mistake", "why"),
    [
        (lambda work: work.toml.update(ledger_folder="other"), "renamed the ledger folder"),
        (lambda work: os.mkdir(os.path.join(work.ledgers, "laptop@x")), "made or removed a ledger folder"),
        (lambda work: shutil.rmtree(os.path.join(work.ledgers, "laptop")), "made or removed a ledger folder"),
        (lambda work: work.toml.pop("node"), "damaged"),
    ],
)
def test_step_that_breaks_its_contract_is_stopped_before_the_switch(root: str, mistake: object, why: str) -> None:
    def apply(work: Work) -> None:
        MADE_UP.apply(work)
        mistake(work)  # type: ignore[operator]

    before = tree(root)
    with pytest.raises(StoreError, match=why):
        runner.run(root, (STEPS[0]._replace(apply=apply),))
    assert tree(root) == before


# -- it refuses, and nothing changes


def test_check_that_finds_something_in_the_way_says_it_and_nothing_changes(root: str) -> None:
    segment = next(Path(root, "ledgers", "laptop").glob("2*.jsonl"))
    segment.write_bytes(segment.read_bytes() + b'{"labels":["a"],"tag":["b"]}\n')
    before = tree(root)
    plan = runner.plan(root, STEPS)
    assert len(plan.problems) == 1
    assert plan.problems[0] in plan.sentence()
    with pytest.raises(CannotMigrate, match=re.escape(f"{segment.parent.name}/{segment.name} has both")) as caught:
        runner.run(root, STEPS)
    assert caught.value.problems == list(plan.problems)
    assert tree(root) == before


def test_dry_run_tells_and_touches_nothing(root: str) -> None:
    os.unlink(Layout(root).lock)
    before = tree(root)
    report = runner.run(root, STEPS, dry_run=True)
    assert report.dry_run
    assert report.done == ()
    assert (report.plan.found, report.plan.target, report.plan.segments) == (0, 1, 3)
    assert "labels are called tags" in report.sentence()
    assert tree(root) == before


@pytest.mark.parametrize("also", ["", 'ledger_folder = ["in", "pieces"]\n', "[what]\nwe = 'do not know'\n"])
def test_newer_store_is_told_and_not_touched(root: str, also: str) -> None:
    Path(Layout(root).toml).write_text(f"format = {FORMAT + 1}\n{also}")
    os.unlink(Layout(root).lock)
    before = tree(root)
    for attempt in (runner.plan, runner.run):
        with pytest.raises(NewerFormat, match="update lyts") as caught:
            attempt(root, STEPS)
        assert (caught.value.found, caught.value.known) == (FORMAT + 1, FORMAT)
    assert tree(root) == before


def test_switch_to_a_newer_format_that_was_cut_short_is_left_to_the_newer_lyts(root: str) -> None:
    for part in ("old", "new"):
        Path(root, "migration", part).mkdir(parents=True)
    Path(root, "migration", "new", "store.toml").write_text(f'format = {FORMAT + 1}\nledger_folder = "laptop"\n')
    Path(Layout(root).toml).write_text(f'format = "{BARRIER}"\nledger_folder = "laptop"\n')
    before = tree(root)
    with pytest.raises(NewerFormat):
        runner.run(root, STEPS)
    assert tree(root) == before


def test_format_that_no_step_leads_on_from_is_told(root: str) -> None:
    before = tree(root)
    with pytest.raises(StoreError, match="knows no way from format 0 to 1"):
        runner.run(root)
    assert tree(root) == before


def test_no_store_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(NoStore):
        runner.run(str(tmp_path), STEPS)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "text",
    [
        "garbage",
        "",
        'format = "0"\nledger_folder = "laptop"\n',
        "format = true\n",
        "format = 0\n",
        'format = 0\nledger_folder = "../laptop"\n',
        'format = 0\nledger_folder = ".."\n',
        f'format = "{BARRIER}"\nledger_folder = "laptop"\n',
    ],
)
def test_damaged_store_toml_is_told_and_nothing_changes(root: str, text: str) -> None:
    Path(Layout(root).toml).write_text(text)
    before = tree(root)
    with pytest.raises(StoreError, match=r"store\.toml"):
        runner.run(root, STEPS)
    assert tree(root) == before


def test_store_that_another_lyts_has_open_is_left_alone(root: str) -> None:
    other = Dirty(Layout(root).dirty)
    other.mark("a boot")
    before = tree(root)
    with pytest.raises(StoreError, match=r"has the store in .* open .* End it"):
        runner.run(root, STEPS)
    assert tree(root) == before
    other.release()
    runner.run(root, STEPS)
    assert_is_the_new_store(root)


def test_lock_is_waited_for(root: str) -> None:
    waiting: list[bool] = []
    fd = os.open(Layout(root).lock, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)

    def on_wait() -> None:
        waiting.append(True)
        os.close(fd)

    runner.run(root, STEPS, on_wait=on_wait)
    assert waiting == [True]


def test_lock_is_held_while_it_runs(root: str) -> None:
    from tagfs.lock import try_hold

    held: list[bool] = []

    def look(what: str, done: int, total: int) -> None:
        with try_hold(Layout(root).lock) as free:
            held.append(not free)

    runner.run(root, STEPS, progress=look)
    assert held
    assert all(held)
    with hold(Layout(root).lock):
        pass


def test_ten_at_once_make_one_migration(root: str) -> None:
    code = (
        "import importlib.util as u, sys; s = u.spec_from_file_location('step', sys.argv[1]); "
        "m = u.module_from_spec(s); s.loader.exec_module(m); "
        "from migrations.runner import run; print(len(run(sys.argv[2], (m.STEP,)).done))"
    )
    env = {**os.environ, "PYTHONPATH": str(FIXTURE.parents[2])}

    def one(_: int) -> str:
        argv = [sys.executable, "-c", code, str(FIXTURE / "step.py"), root]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=True, timeout=120).stdout.strip()

    with ThreadPoolExecutor(10) as pool:
        said = sorted(pool.map(one, range(10)))
    assert said == ["0"] * 9 + ["1"]
    assert_is_the_new_store(root)
    assert [f for f in os.listdir(root) if f.startswith("before")] == ["before-format-1"]


def test_ledger_that_is_written_meanwhile_stops_it(root: str) -> None:
    def apply(work: Work) -> None:
        MADE_UP.apply(work)
        with open(os.path.join(work.store_dir, "ledgers", "laptop", "seen.json"), "ab") as file:
            file.write(b"{}\n")

    with pytest.raises(StoreError, match="something wrote to"):
        runner.run(root, (STEPS[0]._replace(apply=apply),))
    assert read_toml(Layout(root))["format"] == 0
    assert not [f for f in os.listdir(root) if f.startswith("migration")]
    assert os.path.exists(os.path.join(root, "index", "data.mdb"))


def test_read_only_store_is_told(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    before = tree(root)
    with pytest.raises(ReadOnlyStore):
        runner.run(root, STEPS)
    assert tree(root) == before


# -- room on the disk


def test_too_little_room_is_told_before_anything_is_written(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    need = runner.plan(root, STEPS).need_bytes
    monkeypatch.setattr(
        os, "statvfs", lambda path: SimpleNamespace(f_bavail=need // 1000 - 1, f_frsize=1000, f_flag=0), raising=True
    )
    before = tree(root)
    with pytest.raises(DiskFull):
        runner.run(root, STEPS)
    assert "of disk space" in runner.plan(root, STEPS).sentence()
    assert tree(root) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    mounted = subprocess.run(argv, capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.needs_root
def test_disk_that_fills_up_underway_leaves_the_old_store_and_works_when_there_is_room(small_disk: Path) -> None:
    root = str(small_disk / "store")
    shutil.copytree(FIXTURE / "store", root)
    Path(root, "ledgers", "laptop", "proofs.jsonl").write_bytes(b"x" * 1_000_000)
    before = tree(root)
    ballast = small_disk / "ballast"

    def fill_up_and_apply(work: Work) -> None:
        with open(ballast, "wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        MADE_UP.apply(work)

    with pytest.raises(DiskFull):
        runner.run(root, (STEPS[0]._replace(apply=fill_up_and_apply),))
    (after := tree(root)).pop("lock")
    assert after == before
    with pytest.raises(DiskFull):
        runner.run(root, STEPS)
    ballast.unlink()
    runner.run(root, STEPS)
    assert read_info(Layout(root)).format == 1


# -- back again


def test_backup_is_put_back_by_what_its_page_says(root: str) -> None:
    old = {k: v.split()[0] for k, v in tree(root).items() if not k.startswith(("index", "text"))}
    report = runner.run(root, STEPS)
    faces(root)
    assert report.backup is not None
    page = Path(report.backup, "README.txt").read_text()
    commands = [line.strip() for line in page.splitlines() if line.startswith("    ")]
    assert len(commands) == 5
    subprocess.run(["sh", "-euc", "\n".join(commands)], cwd=root, check=True, timeout=60)
    ours = ("before-format-1", "set-aside")
    assert {k: v.split()[0] for k, v in tree(root).items() if not k.startswith(ours)} == old
    with pytest.raises(OlderFormat):
        Store(root)
    # and forward once more, with a backup of its own
    report = runner.run(root, STEPS)
    assert report.backup == os.path.join(root, "before-format-1-2")
    assert_is_the_new_store(root)


def test_backup_holds_the_ledgers_byte_for_byte(root: str) -> None:
    report = runner.run(root, STEPS)
    assert report.backup is not None
    backup = Path(report.backup)
    assert (backup / "store.toml").read_bytes() == (FIXTURE / "store" / "store.toml").read_bytes()
    here, there = backup / "ledgers" / "laptop", FIXTURE / "store" / "ledgers" / "laptop"
    assert {p.name: p.read_bytes() for p in here.iterdir()} == {p.name: p.read_bytes() for p in there.iterdir()}
    assert sorted(p.name for p in backup.iterdir()) == ["README.txt", "ledgers", "store.toml"]


def test_lines_of_the_fixture_are_what_the_tests_think() -> None:
    paths = sorted((FIXTURE / "store" / "ledgers" / "laptop").glob("2*.jsonl"))
    assert [sum(piece.count(b"\n") for piece in whole_lines(str(p), 0)) for p in paths] == [5, 5]
