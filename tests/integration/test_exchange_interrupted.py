"""An export or import that ends in the middle: nothing is lost, and the next run goes on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tagfs.check.fsck import fsck
from tagfs.errors import BadRequest, DiskFull
from tagfs.exchange import sidecar
from tagfs.exchange.bring import Importer
from tagfs.exchange.export import ASIDE, Exporter
from tagfs.store import Store
from tagfs.verbs.add import BATCH_FILES, Options, add
from tagfs.verbs.select import living
from tests.support.stores import Machine, make_store


def _filled(root: Path, files: Path, count: int, size_bytes: int = 3) -> Store:
    files.mkdir()
    for number in range(count):
        (files / f"{number:04}.txt").write_bytes(str(number).encode().ljust(size_bytes, b"."))
    store = make_store(root, Machine())
    add(store, [str(files)], Options(tags=["t"]))
    return store


def _exporter(store: Store, folder: Path, stop_at: int = 0) -> Exporter:
    def progress(done: int, total: int) -> None:
        if done == stop_at:
            raise KeyboardInterrupt

    with store.view() as view:
        among = living(view)
    return Exporter(store, among, str(folder), "flat", progress)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != sidecar.NAME}


def test_an_export_that_was_interrupted_says_in_its_table_what_is_there_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with _filled(tmp_path / "store", tmp_path / "files", 5) as store:
        with pytest.raises(KeyboardInterrupt):
            _exporter(store, out, stop_at=2).run()
        assert len(_contents(out)) == 2
        assert {entry.row.path for entry in sidecar.read(str(out / sidecar.NAME))} <= {*_contents(out)}
        inodes = {path.name: path.stat().st_ino for path in out.glob("*.txt")}
        done = _exporter(store, out).run()
        assert (done.files, done.there) == (3, 2)
        assert _contents(out) == _contents(tmp_path / "files")
        assert {name: (out / name).stat().st_ino for name in inodes} == inodes
        assert len(list(sidecar.read(str(out / sidecar.NAME)))) == 5


def test_what_a_killed_export_left_is_taken_away_and_not_taken_for_a_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with _filled(tmp_path / "store", tmp_path / "files", 2) as store:
        (out / ASIDE).mkdir(parents=True)
        (out / ASIDE / "half").write_bytes(b"half of a file")
        imported = Importer(store, str(out)).run()
        assert imported.report.added == []
        _exporter(store, out).run()
        assert _contents(out) == _contents(tmp_path / "files")


def test_two_exports_into_one_folder_do_not_meet(tmp_path: Path) -> None:
    with _filled(tmp_path / "store", tmp_path / "files", 2) as store:

        def meanwhile(done: int, total: int) -> None:
            with pytest.raises(BadRequest, match="another lyts export"):
                _exporter(store, tmp_path / "out").run()

        with store.view() as view:
            among = living(view)
        Exporter(store, among, str(tmp_path / "out"), "flat", meanwhile).run()
        assert _contents(tmp_path / "out") == _contents(tmp_path / "files")


def test_a_file_that_appears_while_its_namesake_is_copied_is_not_written_over(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with _filled(tmp_path / "store", tmp_path / "files", 1) as store:
        exporter = _exporter(store, out)
        dress = exporter._dress

        def appears(path: str, file: object) -> None:
            (out / "0000.txt").write_bytes(b"a person's")
            dress(path, file)  # type: ignore[arg-type]

        exporter._dress = appears  # type: ignore[method-assign, assignment]
        exporter.run()
        found = _contents(out)
        assert found.pop("0000.txt") == b"a person's"
        assert list(found.values()) == [b"0.."]


@pytest.mark.needs_root
def test_a_disk_that_fills_up_ends_an_export_with_a_message_and_nothing_half_done(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: needs root to mount a small file system")
    out = tmp_path / "small"
    out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(out)], check=True)
    try:
        with _filled(tmp_path / "store", tmp_path / "files", 4, 700_000) as store:
            exporter = _exporter(store, out)
            exporter._refuse_if_too_much = lambda: None  # type: ignore[method-assign]
            done = exporter.run()
            assert isinstance(done.stopped, DiskFull)
            assert _contents(out).items() < _contents(tmp_path / "files").items()
            assert len(_contents(out)) == 2
            assert len(list(sidecar.read(str(out / sidecar.NAME)))) == 2
            assert not (out / ASIDE).exists()
    finally:
        subprocess.run(["umount", str(out)], check=True)


def test_an_import_that_was_interrupted_keeps_what_it_acknowledged_and_goes_on(tmp_path: Path) -> None:
    count = BATCH_FILES + 40
    out = tmp_path / "out"
    with _filled(tmp_path / "one", tmp_path / "files", count) as one, make_store(tmp_path / "two", Machine(2)) as two:
        _exporter(one, out).run()
        seen: set[str] = set()

        def stop(path: str, size: int) -> None:
            seen.add(path)
            if len(seen) == BATCH_FILES + 20:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            Importer(two, str(out), progress=stop).run()
        assert fsck(two, deep=True) == []
        with two.view() as view:
            assert len(living(view)) == BATCH_FILES
        done = Importer(two, str(out)).run()
        assert sum(not added.known for added in done.report.added) == 40
        assert fsck(two, deep=True) == []
        with one.view() as mine, two.view() as theirs:
            assert {mine.guid(o) for o in living(mine)} == {theirs.guid(o) for o in living(theirs)}


def test_two_imports_of_one_export_at_once_make_each_file_once_and_keep_its_bytes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with _filled(tmp_path / "one", tmp_path / "files", 3) as one, make_store(tmp_path / "two", Machine(2)) as two:
        _exporter(one, out).run()
        first = Importer(two, str(out))
        placed = first.adder._placed

        def meanwhile(batch: Any) -> Any:
            found = placed(batch)
            assert sum(not added.known for added in Importer(two, str(out)).run().report.added) == 3
            return found

        first.adder._placed = meanwhile  # type: ignore[method-assign]
        assert all(added.known for added in first.run().report.added)
        assert fsck(two, deep=True) == []
        assert _exporter(two, tmp_path / "again").run().elsewhere == []
        assert _contents(tmp_path / "again") == _contents(out)


def test_an_export_into_a_folder_whose_table_is_damaged_says_so_before_it_copies(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with _filled(tmp_path / "store", tmp_path / "files", 2) as store:
        _exporter(store, out).run()
        table = out / sidecar.NAME
        table.write_bytes(table.read_bytes() + b'"half of a row\n')
        before = table.read_bytes()
        (out / "0000.txt").unlink()
        with pytest.raises(BadRequest, match=r"lyts\.csv cannot be read .line 4: .*[Mm]ove it away"):
            _exporter(store, out).run()
        assert table.read_bytes() == before
        assert not (out / "0000.txt").exists()


def test_a_file_of_which_a_power_cut_left_size_and_time_alone_comes_out_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with _filled(tmp_path / "store", tmp_path / "files", 2) as store:
        _exporter(store, out).run()
        (out / sidecar.NAME).unlink()  # it is written last
        broken = out / "0001.txt"
        found = broken.stat()
        broken.write_bytes(bytes(found.st_size))
        os.utime(broken, ns=(found.st_mtime_ns, found.st_mtime_ns))
        done = _exporter(store, out).run()
        assert (done.files, done.there) == (1, 1)
        rows = {entry.row.name: entry.row.path for entry in sidecar.read(str(out / sidecar.NAME))}
        assert (out / rows["0001.txt"]).read_bytes() == b"1.."
        assert broken.read_bytes() == bytes(found.st_size)
