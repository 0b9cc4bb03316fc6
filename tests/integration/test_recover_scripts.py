"""What is left when lyts is gone: `recover.py` and `recover.sh`, held to the checklist of recovery.md.

Each test bears the number of its point there. Both scripts run with whatever runs them (see
`tests.support.recovering`); where `index.csv` says what the ledgers say, both must make the same tree.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tagfs.fact import Fact
from tagfs.guid import new_guid
from tests.support.command import Lyts
from tests.support.facts import NODES, stamp
from tests.support.recovering import (
    SHELLS,
    TOOLS,
    command,
    environment,
    files,
    library,
    put,
    report,
    run,
    say,
    script,
    tree,
    write_table,
)
from tests.support.stores import Machine, make_store, own_segments, write_ledger

# The old Python is slow to start: it takes part where all are compared (4, 12, 21) and where it matters most.
every_tool = pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool != "pypy3"])
every_tool_of_all = pytest.mark.parametrize("tool", TOOLS)
every_shell = pytest.mark.parametrize("tool", SHELLS)
FORBIDDEN = set('\\:*?"<>|\n\t\u202e')


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A store with a table, not to be changed; GUIDs by name."""
    root = tmp_path_factory.mktemp("small") / "store"
    with make_store(root) as store:
        made = library(store)
    write_table(root)
    return root, made


@pytest.fixture
def store_dir(small: tuple[Path, dict[str, str]], tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(small[0], tmp_path / "store"))


def look(root: Path) -> dict[str, tuple[int, int, bytes | None]]:
    """All of a folder, with what a write would change."""
    return {
        path: (os.lstat(root / path).st_mtime_ns, os.lstat(root / path).st_mode, data)
        for path, data in tree(root).items()
    }


# -- what everybody gets


@every_tool_of_all
def test_files_come_out_by_tag_with_their_names_and_a_report(
    small: tuple[Path, dict[str, str]], tmp_path: Path, tool: str
) -> None:
    root, made = small
    out = tmp_path / "out"
    said = run(tool, out, root)
    assert files(out) == {
        "rome/Holiday in Rome.jpg": b"rome " * 300,
        "year=2019/Holiday in Rome.jpg": b"rome " * 300,
        "music/So What.flac": b"what " * 200,
        "artist=AC_DC/So What.flac": b"what " * 200,
        "untagged/letter.txt": "Dear Jürgen\n".encode(),
        "rome/empty": b"",
        "music/new name.txt": b"renamed\n",
        "Jazz/new name.txt": b"renamed\n",
    }
    assert os.stat(out / "files/rome/Holiday in Rome.jpg").st_nlink == 2
    assert int(os.stat(out / "files/rome/empty").st_mtime) == 1_700_000_000
    assert "5 files came out as they were" in report(out)
    assert "Nothing is missing." in report(out)
    assert said.out.startswith("5 files came out.")
    table = (out / "FILES.csv").read_text()
    assert f"{made['letter.txt']},letter.txt,files/untagged/letter.txt,13," in table
    assert '"He said ""no"", twice"' in table
    assert '"warm\nsea"' in table
    assert not (out / ".recovering").exists()


@every_tool
def test_1_index_text_and_settings_are_not_needed(store_dir: Path, tmp_path: Path, tool: str) -> None:
    run(tool, tmp_path / "whole", store_dir)
    for name in ("index", "store.toml", "scratch", "lock"):
        path = store_dir / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    run(tool, tmp_path / "less", store_dir)
    assert tree(tmp_path / "less") == tree(tmp_path / "whole")


@every_tool
def test_2_nothing_is_written_to_the_source(store_dir: Path, tmp_path: Path, tool: str) -> None:
    for name in ("recover.py", "recover.sh"):
        shutil.copy(Path(script().__file__ or "").with_name(name), store_dir)
    before = look(store_dir)
    name = "recover.sh" if tool in SHELLS else "recover.py"
    run(tool, tmp_path / "out", script_at=store_dir / name)
    assert look(store_dir) == before
    assert len(files(tmp_path / "out")) == 8


@pytest.mark.needs_root
@every_tool
def test_2_scripts_work_on_a_read_only_medium(store_dir: Path, tmp_path: Path, tool: str) -> None:
    for name in ("recover.py", "recover.sh"):
        shutil.copy(Path(script().__file__ or "").with_name(name), store_dir)
    if subprocess.run(
        ["mount", "--bind", "-o", "ro", store_dir, store_dir], capture_output=True, check=False
    ).returncode:
        pytest.skip("NOT TESTED: a read-only mount needs root and the right to mount")
    try:
        with pytest.raises(OSError, match="Read-only"):
            (store_dir / "x").touch()
        name = "recover.sh" if tool in SHELLS else "recover.py"
        run(tool, tmp_path / "out", script_at=store_dir / name)
    finally:
        subprocess.run(["umount", "-l", store_dir], check=True)
    assert len(files(tmp_path / "out")) == 8


@every_tool
@pytest.mark.parametrize("inside", ["out", "sets/out", "new/far/out", "link/out"])
def test_2_a_target_inside_the_source_is_refused(store_dir: Path, tmp_path: Path, tool: str, inside: str) -> None:
    (tmp_path / "link").symlink_to(store_dir)
    target = tmp_path / "link" / "out" if inside == "link/out" else store_dir / inside
    before = look(store_dir)
    said = run(tool, target, store_dir, code=2)
    assert "inside" in said.err
    assert "Nothing was done" in said.err
    assert look(store_dir) == before


@every_tool
def test_2_a_source_inside_the_target_is_refused(store_dir: Path, tool: str) -> None:
    assert "Nothing was done" in run(tool, store_dir.parent, store_dir, code=2).err
    assert not (store_dir.parent / "files").exists()


def test_4_all_make_the_same_tree_byte_for_byte(small: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    root, _ = small
    trees = {}
    for tool in TOOLS:
        try:
            run(tool, tmp_path / tool, root)
        except pytest.skip.Exception:
            continue
        trees[tool] = tree(tmp_path / tool)
    assert "python" in trees
    assert len(trees) >= 2
    for tool, found in trees.items():
        assert found == trees["python"], tool


def test_4_all_make_the_same_tree_of_a_store_with_the_table_that_lyts_makes(tmp_path: Path) -> None:
    lyts = Lyts(tmp_path / "home")
    lyts.quick("init", "--alias", "laptop")
    lyts.quick("add", "-t", "rome,artist=AC%2FDC", lyts.file("Holiday, in Rome.jpg"), lyts.file("Käse.txt"))
    lyts.quick("add", "-t", "jazz,year=1959", lyts.file("so what.flac"), lyts.file("=1+1.txt"), lyts.file("a b\nc"))
    lyts.quick("add", lyts.file("thrown away.txt"), lyts.file("lost.txt"), lyts.file("changed.txt"))
    lyts.quick("tags", "rename", "jazz", "Jazz music")
    lyts.quick("notes", "--set", "-1 is \"less\"\nthan 0, 'they' say", "so what.flac")
    lyts.quick("rm", "thrown away.txt")
    lyts.quick("readme")
    next(lyts.store.glob("sets/*/data/*/*--lost.txt")).unlink()
    next(lyts.store.glob("sets/*/data/*/*--changed.txt")).write_bytes(b"CHANGED.txt")
    trees = {}
    for tool in TOOLS:
        try:
            run(tool, tmp_path / tool, lyts.store, code=1)
        except pytest.skip.Exception:
            continue
        trees[tool] = tree(tmp_path / tool)
    assert set(files(tmp_path / "python", "files")) >= {"Jazz music/so what.flac", "rome/Käse.txt", "year=1959/a b_c"}
    assert list(files(tmp_path / "python", "nameless").values()) == [b"thrown away.txt"]
    assert "lost.txt" in report(tmp_path / "python")
    for tool, found in trees.items():
        for path in sorted({*found, *trees["python"]}):
            assert found.get(path) == trees["python"].get(path), (tool, path)


def test_4_the_script_is_python_3_6() -> None:
    import ast

    text = Path(script().__file__ or "").read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 6))
    assert "from __future__" not in text


@pytest.mark.parametrize("layout", ["flat", "date", "from"])
def test_other_layouts(small: tuple[Path, dict[str, str]], tmp_path: Path, layout: str) -> None:
    root, _ = small
    run("python", tmp_path / "out", root, "--layout", layout)
    names = {"Holiday in Rome.jpg", "So What.flac", "letter.txt", "empty", "new name.txt"}
    folder = {"flat": "", "date": "2023/2023-11/", "from": "home/ada/Pictures/2019/"}[layout]
    assert set(files(tmp_path / "out")) == {folder + name for name in names}


# -- what is broken


@every_tool
def test_7_a_flipped_bit_is_found_and_the_file_named(store_dir: Path, tmp_path: Path, tool: str) -> None:
    victim = next(store_dir.glob("sets/*/data/*/*holiday-in-rome.jpg"))
    data = bytearray(victim.read_bytes())
    data[100] ^= 4
    victim.write_bytes(data)
    run(tool, tmp_path / "out", store_dir, code=1)
    told = report(tmp_path / "out")
    assert "MISSING" in told
    assert "Holiday in Rome.jpg" in told
    assert len(files(tmp_path / "out")) == 6
    mark = sha256(data).hexdigest()[:8]
    assert files(tmp_path / "out", "other-versions") == {f"Holiday in Rome~{mark}.jpg": bytes(data)}


DAMAGES = ("deleted", "truncated", "zeroed", "torn", "garbage")


def damage_ledger(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "deleted":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "zeroed":
        path.write_bytes(bytes(len(data)))
    elif how == "torn":
        path.write_bytes(data[:-20])
    else:
        path.write_bytes(b"\xff\xfe{" + data[3:])


@pytest.mark.parametrize("how", DAMAGES)
def test_8_whatever_happens_to_a_ledger_all_else_is_recovered(tmp_path: Path, how: str) -> None:
    root = tmp_path / "store"
    machine = Machine()
    with make_store(root, machine) as store:
        before = library(store)
        machine.reboot()
    with make_store_again(root, machine) as store:
        after = put(store, "later.txt", b"later", ["late"])
        segments = own_segments(store)
    assert len(segments) == 2
    damage_ledger(Path(segments[1]), how)
    whole = how == "garbage"
    run("python", tmp_path / "out", root, code=None)
    got = files(tmp_path / "out")
    assert got["rome/Holiday in Rome.jpg"] == b"rome " * 300
    assert len(got) >= 8
    if not whole:
        assert files(tmp_path / "out", "nameless") == {f"{after}--later.txt": b"later"}
        assert "NAMELESS" in report(tmp_path / "out")
    if how != "deleted":
        assert "Lines of ledgers that are damaged" in report(tmp_path / "out")
    assert len(before) == 5


def make_store_again(root: Path, machine: Machine):  # type: ignore[no-untyped-def]
    from tests.support.stores import open_store

    return open_store(root, machine)


@every_tool
def test_8_files_that_nothing_is_known_of_come_out_under_guid_and_slug(
    store_dir: Path, tmp_path: Path, tool: str
) -> None:
    guid = new_guid(bytes(range(16)))
    (store_dir / f"sets/laptop/data/{guid[:2]}").mkdir(exist_ok=True)
    (store_dir / f"sets/laptop/data/{guid[:2]}/{guid}--who-knows.txt").write_bytes(b"who knows")
    run(tool, tmp_path / "out", store_dir)
    assert files(tmp_path / "out", "nameless") == {f"{guid}--who-knows.txt": b"who knows"}
    assert f"{guid}--who-knows.txt" in report(tmp_path / "out")
    assert len(files(tmp_path / "out")) == 8


@every_tool
def test_9_a_file_without_bytes_is_listed_with_the_name_of_its_holder(tmp_path: Path, tool: str) -> None:
    root = tmp_path / "store"
    with make_store(root) as store:
        library(store)
        store.act(lambda change: change.about("node", "N", NODES[1], alias="black USB disk, study"))
        put(store, "far away.mkv", b"film", ["film"], label="", holds={str(store.node): False, NODES[1]: True})
    write_table(root)
    run(tool, tmp_path / "out", root, code=1)
    told = report(tmp_path / "out")
    assert "far away.mkv  [film]" in told
    assert "kept by: black USB disk, study" in told
    assert len(files(tmp_path / "out")) == 8


@every_tool
def test_10_conflict_copies_are_kept_both(store_dir: Path, tmp_path: Path, tool: str) -> None:
    mine = next(store_dir.glob("sets/*/data/*/*--letter.txt"))
    theirs = mine.with_name(mine.stem + ".sync-conflict-20261122-101112-ABCDEFG.txt")
    theirs.write_bytes(b"Dear Juergen\n")
    run(tool, tmp_path / "out", store_dir)
    assert files(tmp_path / "out")["untagged/letter.txt"] == "Dear Jürgen\n".encode()
    assert list(files(tmp_path / "out", "other-versions").values()) == [b"Dear Juergen\n"]
    assert "edited on two devices at once" in report(tmp_path / "out")


@every_tool
def test_11_a_file_in_two_nodesets_comes_out_once(store_dir: Path, tmp_path: Path, tool: str) -> None:
    shutil.copytree(store_dir / "sets/laptop", store_dir / "sets/laptop+server")
    run(tool, tmp_path / "two", store_dir)
    shutil.rmtree(store_dir / "sets/laptop")
    run(tool, tmp_path / "one", store_dir)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert len(files(tmp_path / "one")) == 8


HOSTILE = (
    ".. ", "CON", "nul.txt", "a\\b", "a:b*c?d", "x" * 251 + ".txt", "\u202egpj.exe", "line\nbreak", "tab\there",
    "caf\u00e9", "cafe\u0301", "Cafe", "CAFE", "trailing. ", "=cmd|' calc'!A0", '<b>"quoted", &amp;<b>',
    "'apostrophe", "-rf", "~", "\u0414\u043e\u043c", "\u0434\u043e\u043c", "same.txt", "same.txt", " ", "...a",
    "comma, semicolon; $HOME `id` $(id)", "%2E%2E", "\u5199\u771f.jpg", "\U0001f388", "a\u200fb", "\ufeffbom",
)  # fmt: skip


def test_12_hostile_names_come_out_safe_unique_and_the_same_from_all(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with make_store(root) as store:
        for number, name in enumerate(HOSTILE):
            put(store, name, f"{number}".encode(), ["..", "a/b", "CON", "rome"][number % 5 : number % 5 + 1])
    write_table(root)
    trees = {}
    for tool in TOOLS:
        try:
            run(tool, tmp_path / tool, root)
        except pytest.skip.Exception:
            continue
        trees[tool] = tree(tmp_path / tool)
        got = files(tmp_path / tool)
        assert sorted(got.values()) == sorted(f"{number}".encode() for number in range(len(HOSTILE)))
        folded = set()
        for path in got:
            folder, name = path.split("/")
            assert not FORBIDDEN & set(path), path
            assert name.strip(".")
            assert name[-1] not in ". "
            assert len(name.encode()) <= 255
            folded.add((folder.casefold(), name.casefold()))
        assert len(folded) == len(got)
        assert {path.name for path in (tmp_path / tool).iterdir()} == {"files", "ledgers", "FILES.csv", "REPORT.txt"}
    for tool, found in trees.items():
        assert found == trees["python"], tool
    assert {path.name for path in tmp_path.iterdir()} == {"store", *trees}


@pytest.mark.parametrize("tool", ["python", "dash"])
def test_13_two_stores_together_give_the_full_set(tmp_path: Path, tool: str) -> None:
    roots = []
    for number, alias in enumerate(("laptop", "server")):
        root = tmp_path / alias
        with make_store(root, Machine(seed=number + 1), alias) as store:
            put(store, f"of {alias}.txt", alias.encode(), ["shared"])
            put(store, "same name.txt", alias.encode() * 2, ["shared"])
        roots.append(root)
    for giver, taker in (roots, roots[::-1]):
        for folder in (giver / "ledgers").iterdir():
            if not (taker / "ledgers" / folder.name).exists():
                shutil.copytree(folder, taker / "ledgers" / folder.name)
    for root in roots:
        write_table(root)
    run(tool, tmp_path / "out", roots[0], code=1)
    assert len(files(tmp_path / "out")) == 2
    run(tool, tmp_path / "out", roots[1], code=None)
    assert sorted(files(tmp_path / "out").values()) == [b"laptop", b"laptoplaptop", b"server", b"serverserver"]
    if tool == "python":
        run(tool, tmp_path / "at once", *roots)
        assert files(tmp_path / "at once") == files(tmp_path / "out")
        assert "Nothing is missing." in report(tmp_path / "at once")


@every_tool
def test_16_facts_that_nobody_knows_survive(store_dir: Path, tmp_path: Path, tool: str) -> None:
    segment = next(store_dir.glob("ledgers/laptop/*.jsonl"))
    strange = b'{"at":"20300101T000000.000Z-0000-1a2b3c4d","by":"1a2b3c4d-0001-4000-8000-000000000001","dream":"x"}\n'
    segment.write_bytes(segment.read_bytes() + strange)
    run(tool, tmp_path / "out", store_dir)
    assert (tmp_path / "out/ledgers/laptop" / segment.name).read_bytes() == segment.read_bytes()


@every_tool_of_all
def test_17_running_twice_changes_nothing(store_dir: Path, tmp_path: Path, tool: str) -> None:
    kept = store_dir / "keep/ab" / new_guid(b"k" * 16) / ("0" * 64)
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"kept")
    run(tool, tmp_path / "out", store_dir)
    before = {path: os.lstat(tmp_path / "out" / path) for path in tree(tmp_path / "out") if path != "."}
    content = tree(tmp_path / "out")
    run(tool, tmp_path / "out", store_dir)
    assert tree(tmp_path / "out") == content
    for path, found in before.items():
        now = os.lstat(tmp_path / "out" / path)
        assert (now.st_ino, now.st_mtime_ns) == (found.st_ino, found.st_mtime_ns), path


@every_tool
def test_17_what_a_person_changed_in_the_target_is_left_alone(store_dir: Path, tmp_path: Path, tool: str) -> None:
    (tmp_path / "out/files/rome").mkdir(parents=True)
    (tmp_path / "out/files/rome/empty").write_bytes(b"mine")
    for _ in range(2):
        run(tool, tmp_path / "out", store_dir)
        got = files(tmp_path / "out")
        assert got["rome/empty"] == b"mine"
        assert sorted(data for path, data in got.items() if "empty" in path) == [b"", b"mine"]


@every_tool
def test_17_an_interrupted_run_goes_on(tmp_path: Path, tool: str) -> None:
    root = tmp_path / "store"
    with make_store(root) as store:
        for number in range(60):
            put(store, f"{number:02}.bin", bytes([number]) * 300_000, ["numbers"])
    write_table(root)
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(tool, out, root), env=environment(tool), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    while process.poll() is None and len(list(out.glob("files/*/*"))) < 3:
        pass
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    there = files(out)
    assert all(data == bytes([int(path[-6:-4])]) * 300_000 for path, data in there.items())
    run(tool, out, root)
    assert len(files(out)) == 60
    assert not (out / ".recovering").exists()
    run(tool, tmp_path / "other", root)
    assert tree(out) == tree(tmp_path / "other")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 2 MB."""
    with tempfile.TemporaryDirectory(prefix="lyts-small-") as place:
        mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("NOT TESTED: a small tmpfs needs root and the right to mount")
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.needs_root
@every_tool
def test_17_a_full_disk_gives_a_clear_message_and_going_on_is_possible(
    small_disk: Path, tmp_path: Path, tool: str
) -> None:
    root = tmp_path / "store"
    with make_store(root) as store:
        for number in range(8):
            put(store, f"{number}.bin", bytes([number]) * 400_000, ["numbers"])
    write_table(root)
    said = run(tool, small_disk / "out", root, code=3)
    assert "is full" in said.err
    assert "run the same command again" in said.err
    there = files(small_disk / "out")
    assert 0 < len(there) < 8
    assert all(len(data) == 400_000 for data in there.values())
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    run(tool, small_disk / "out", root)
    assert len(files(small_disk / "out")) == 8


def test_18_what_a_device_may_not_know_is_not_named(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with make_store(root) as store:
        library(store)
        guid = put(store, "secret plan.txt", b"secret", ["secret"])
        me = str(store.node)
        store.act(lambda change: change.about("node", "N", NODES[1], alias="server"))
        say(store, guid, knows={me: False})
    run("python", tmp_path / "out", root)
    assert "secret plan.txt" not in report(tmp_path / "out") + (tmp_path / "out/FILES.csv").read_text()
    # Its bytes are not lost for that: they may be the only ones left.
    assert files(tmp_path / "out", "nameless") == {f"{guid}--secret-plan.txt": b"secret"}


@every_tool
def test_20_one_nodeset_folder_and_nothing_else_gives_names_and_tags_back(
    small: tuple[Path, dict[str, str]], tmp_path: Path, tool: str
) -> None:
    root, _ = small
    run(tool, tmp_path / "whole", root)
    folder = Path(shutil.copytree(root / "sets/laptop", tmp_path / "set"))
    shutil.copy(root / "index.csv", folder)
    run(tool, tmp_path / "out", folder)
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert (tmp_path / "out/FILES.csv").read_bytes() == (tmp_path / "whole/FILES.csv").read_bytes()


def test_21_from_data_files_alone_bytes_slugs_and_extensions_come_back(
    small: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    root, made = small
    trees = []
    for tool in TOOLS:
        try:
            run(tool, tmp_path / tool, root / "sets")
        except pytest.skip.Exception:
            continue
        trees.append(tree(tmp_path / tool))
        assert files(tmp_path / tool, "nameless") == {
            f"{made['Holiday in Rome.jpg']}--holiday-in-rome.jpg": b"rome " * 300,
            f"{made['So What.flac']}--so-what.flac": b"what " * 200,
            f"{made['letter.txt']}--letter.txt": "Dear Jürgen\n".encode(),
            f"{made['empty']}--empty": b"",
            f"{made['old.txt']}--old.txt": b"renamed\n",
        }
    assert all(found == trees[0] for found in trees)


@every_tool
def test_21_a_file_that_is_called_as_files_of_lyts_are_comes_out_like_any_other(tmp_path: Path, tool: str) -> None:
    with make_store(tmp_path / "other", Machine(5), "attic") as store:
        put(store, "stranger.txt", b"strange")
        ledger = Path(own_segments(store)[0]).read_bytes()
    root = tmp_path / "store"
    with make_store(root) as store:
        names = {"talks.jsonl": b"{}\n", "ledger.jsonl": ledger, "letter.written": b"by hand", "index.csv": b"a,b\n"}
        made = {name: put(store, name, data, ["mine"]) for name, data in names.items()}
    write_table(root)
    run(tool, tmp_path / "out", root)
    assert files(tmp_path / "out") == {f"mine/{name}": data for name, data in names.items()}
    assert "known by their content" not in report(tmp_path / "out")
    assert len(files(tmp_path / "out", "ledgers")) == 1
    run(tool, tmp_path / "alone", root / "sets")
    assert files(tmp_path / "alone", "nameless") == {f"{guid}--{name}": names[name] for name, guid in made.items()}


@every_tool
def test_12_a_name_that_the_shell_cannot_bear_among_the_data_files_is_not_passed_over(
    store_dir: Path, tmp_path: Path, tool: str
) -> None:
    (next(store_dir.glob("sets/*/data")) / "new\nline.jpg").write_bytes(b"light")
    run(tool, tmp_path / "out", store_dir, code=0 if tool == "python" else 1)
    if tool == "python":
        assert files(tmp_path / "out", "nameless") == {"new_line.jpg": b"light"}
    else:
        assert "data/new_line.jpg (its name has a line break" in report(tmp_path / "out")


@every_tool
def test_where_no_list_was_found_nobody_is_told_that_nothing_is_missing(
    small: tuple[Path, dict[str, str]], tmp_path: Path, tool: str
) -> None:
    run(tool, tmp_path / "out", small[0] / "sets")
    assert "whether something is missing cannot be told" in report(tmp_path / "out")
    assert "Nothing is missing" not in report(tmp_path / "out")


@every_tool
def test_6_what_somebody_put_among_the_data_files_comes_out_too(store_dir: Path, tmp_path: Path, tool: str) -> None:
    run(tool, tmp_path / "whole", store_dir)
    data = next(store_dir.glob("sets/*/data"))
    for name in ("photo.jpg", "00/README.md", "00/.hidden", "deep/er/talks.jsonl", "00/.syncthing.half.tmp"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(b"put at %b" % name.encode())
    shutil.copytree(data.parent, tmp_path / "alone/sets/laptop")
    for source in (store_dir, tmp_path / "alone"):
        out = tmp_path / f"out-{source.name}"
        run(tool, out, source, code=1 if tool == "python" else 0)  # the line that no ledger has
        strangers = {path: got for path, got in files(out, "nameless").items() if got.startswith(b"put at")}
        assert set(strangers) == {"photo.jpg", "README.md", ".hidden", "talks.jsonl"}
        assert "photo.jpg" in report(out)
    assert files(tmp_path / "out-store") == files(tmp_path / "whole")


@every_tool_of_all
def test_22_bytes_with_no_names_are_known_again_by_their_hash(store_dir: Path, tmp_path: Path, tool: str) -> None:
    run(tool, tmp_path / "whole", store_dir)
    lost = store_dir / "lost+found"
    lost.mkdir()
    for number, path in enumerate(sorted(store_dir.glob("sets/*/data/*/*"))):
        path.rename(lost / f"#{4711 + number}")
    (lost / "#9999").write_bytes(b"of something else")
    run(tool, tmp_path / "out", store_dir)
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert files(tmp_path / "out", "nameless") == {"#9999": b"of something else"}
    assert "known by their content" in report(tmp_path / "out")


@every_tool
def test_23_bytes_set_aside_that_no_placed_copy_has_come_out_apart(
    small: tuple[Path, dict[str, str]], store_dir: Path, tmp_path: Path, tool: str
) -> None:
    _, made = small
    letter, rome = made["letter.txt"], made["Holiday in Rome.jpg"]
    for path, data in {
        f"keep/{letter[:2]}/{letter}/{sha256(b'earlier').hexdigest()}": b"earlier",
        f"keep/moved/{rome[:2]}/{rome}/{sha256(b'rome ' * 300).hexdigest()}": b"rome " * 300,
        f"sets/laptop/.stversions/data/{letter[:2]}/{letter}--letter.txt": b"thrown away",
        f"sets/laptop/.stversions/data/00/{new_guid(bytes(16))}--gone.txt": b"gone",
        f"scratch/{new_guid(b'1' * 16)}": b"half written",
    }.items():
        (store_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (store_dir / path).write_bytes(data)
    placed = next(store_dir.glob("sets/*/data/*/*holiday-in-rome.jpg"))
    placed.unlink()  # only the keep has it now
    run(tool, tmp_path / "out", store_dir)
    got = files(tmp_path / "out")
    assert got["rome/Holiday in Rome.jpg"] == b"rome " * 300
    assert len(got) == 8
    others = files(tmp_path / "out", "other-versions")
    assert sorted(others.values()) == [b"earlier", b"thrown away"]
    assert all(name.startswith("letter~") for name in others)
    assert sorted(files(tmp_path / "out", "nameless").values()) == [b"gone", b"half written"]
    told = report(tmp_path / "out")
    assert "set aside by lyts" in told
    assert "set aside by Syncthing" in told


@every_tool
def test_bytes_are_found_in_another_copy_where_the_first_is_damaged(store_dir: Path, tmp_path: Path, tool: str) -> None:
    shutil.copytree(store_dir / "sets/laptop", store_dir / "sets/laptop+server")
    for label, name in (("laptop", "letter.txt"), ("laptop+server", "so-what.flac")):
        next(store_dir.glob(f"sets/{label}/data/*/*--{name}")).write_bytes(b"damaged")
    run(tool, tmp_path / "out", store_dir)
    got = files(tmp_path / "out")
    assert got["untagged/letter.txt"] == "Dear Jürgen\n".encode()
    assert got["music/So What.flac"] == b"what " * 200
    assert "Nothing is missing." in report(tmp_path / "out")


def test_facts_in_conflict_copies_of_ledgers_and_in_trash_cans_count(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with make_store(root) as store:
        guid = put(store, "a.txt", b"a", ["one"])
        segment = Path(own_segments(store)[-1])
    strange = Fact(at=stamp(1 << 40, NODES[1]), by=NODES[1], file=guid, tag=["two"])
    write_ledger(root, "laptop", [strange], segment.stem + ".sync-conflict-20261122-101112-ABCDEFG.jsonl")
    (root / "ledgers/laptop/.stversions").mkdir()
    segment.rename(root / "ledgers/laptop/.stversions" / segment.name)
    run("python", tmp_path / "out", root)
    assert set(files(tmp_path / "out")) == {"one/a.txt", "two/a.txt"}


@every_tool
def test_a_damaged_table_is_told_and_the_rest_comes_out(store_dir: Path, tmp_path: Path, tool: str) -> None:
    table = store_dir / "index.csv"
    data = table.read_bytes()
    table.write_bytes(data[: len(data) // 2] + b"\xff\x01\x02")
    run(tool, tmp_path / "out", store_dir, code=None)
    got = {**files(tmp_path / "out"), **files(tmp_path / "out", "nameless")}
    assert {b"rome " * 300, b"what " * 200, b"", b"renamed\n"} <= set(got.values())


@every_tool
def test_empty_and_strange_sources_are_no_error(tmp_path: Path, tool: str) -> None:
    (tmp_path / "empty").mkdir()
    run(tool, tmp_path / "out", tmp_path / "empty")
    assert "0 files came out" in report(tmp_path / "out")
    assert "is not a folder" in run(tool, tmp_path / "out", tmp_path / "missing", code=2).err


# -- several processes at once

SEVERAL = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
import recover
recover.MANY_FILES = 5
recover.processors = lambda: 3
{more}
sys.exit(recover.main(sys.argv[1:]))
"""


def run_several(out: Path, root: Path, more: str = "", code: int = 0) -> str:
    """`recover.py` with three processes that copy, however few files there are."""
    folder = str(Path(script().__file__ or "").parent)
    words = [sys.executable, "-I", "-B", "-c", SEVERAL.format(more=more), folder, str(out), str(root)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == code, done
    return done.stderr


@pytest.fixture
def many(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    with make_store(root) as store:
        library(store)
        for number in range(40):
            put(store, f"{number % 7}.bin", bytes([number]) * 100_000, [f"t{number % 3}", f"u{number % 5}"])
    next(root.glob("sets/*/data/*/*--letter.txt")).write_bytes(b"damaged")
    return root


def test_several_processes_make_the_tree_that_one_makes(many: Path, tmp_path: Path) -> None:
    run("python", tmp_path / "one", many, code=1)
    run_several(tmp_path / "several", many, code=1)
    assert tree(tmp_path / "several") == tree(tmp_path / "one")
    run_several(tmp_path / "several", many, code=1)
    assert tree(tmp_path / "several") == tree(tmp_path / "one")


def test_what_an_ended_process_leaves_is_done_by_the_others(many: Path, tmp_path: Path) -> None:
    run("python", tmp_path / "one", many, code=1)
    run_several(tmp_path / "several", many, "recover.Target.work_apart = lambda self: os._exit(9)", code=1)
    assert tree(tmp_path / "several") == tree(tmp_path / "one")


@pytest.mark.needs_root
def test_17_several_processes_on_a_full_disk_stop_with_one_message(many: Path, small_disk: Path) -> None:
    said = run_several(small_disk / "out", many, code=3)
    assert said.count("is full") == 1
    assert not (small_disk / "out/.recovering").exists()
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    run_several(small_disk / "out", many, code=1)
    assert len(set(files(small_disk / "out").values())) == 44
