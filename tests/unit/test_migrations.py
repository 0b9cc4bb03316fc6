"""What a step may count on, the way from format to format, and what people are told. The runner: tests/integration."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from migrations.contract import CannotMigrate, Migration, Work, chain
from migrations.registry import REGISTRY
from migrations.report import Plan, Report
from migrations.switch import toml_text
from tagfs.errors import StoreError
from tagfs.layout import FORMAT, Layout, read_toml

DATA = Path(__file__).resolve().parents[1] / "data"


def step(start: int, end: int) -> Migration:
    return Migration(f"{start} to {end}", start, end, lambda store_dir: [], lambda work: None)


def test_steps_of_the_product_lead_one_by_one_to_the_present_format_and_each_has_its_frozen_store() -> None:
    assert list(REGISTRY) == sorted(REGISTRY, key=lambda s: s.from_format)
    assert len({s.from_format for s in REGISTRY}) == len(REGISTRY)
    for one in REGISTRY:
        assert one.from_format < one.to_format <= FORMAT
        assert (DATA / f"format-{one.from_format}").is_dir(), f"no frozen store of format {one.from_format}"
        assert chain("store", one.from_format, FORMAT, REGISTRY)[-1].to_format == FORMAT
    assert chain("store", FORMAT, FORMAT, REGISTRY) == ()


def test_chain_goes_step_by_step_and_may_skip_a_format_where_a_step_does() -> None:
    steps = (step(2, 4), step(0, 1), step(1, 2), step(4, 5))
    assert [s.name for s in chain("store", 0, 5, steps)] == ["0 to 1", "1 to 2", "2 to 4", "4 to 5"]
    assert [s.name for s in chain("store", 2, 4, steps)] == ["2 to 4"]
    assert chain("store", 5, 5, steps) == ()


@pytest.mark.parametrize(
    ("found", "target", "steps"),
    [(0, 1, ()), (0, 2, (step(0, 1),)), (0, 3, (step(0, 1), step(1, 4))), (0, 1, (step(0, 0),)), (1, 2, (step(1, 0),))],
)
def test_chain_without_a_way_says_between_which_formats(found: int, target: int, steps: tuple[Migration, ...]) -> None:
    with pytest.raises(StoreError, match=rf"no way from format \d to {target}\. Nothing was changed"):
        chain("store", found, target, steps)


def test_store_toml_is_read_as_it_was_written_whatever_the_values(tmp_path: Path) -> None:
    values: dict[str, object] = {
        "format": 7,
        "alias": 'Ada\'s "old" laptop \\ \x7f\t\n é 猫',
        "shared": True,
        "quiet": False,
        "ledger_folder": "laptop",
    }
    layout = Layout(str(tmp_path))
    Path(layout.toml).write_bytes(toml_text(values))
    assert read_toml(layout) == values


def test_store_toml_with_a_value_of_another_kind_is_refused_not_mangled() -> None:
    with pytest.raises(StoreError, match="does not know how to write: nodes"):
        toml_text({"nodes": ["a"]})


STAMP = "20250301T101056.123Z-0000-1a2b3c4d"


def work_on(tmp_path: Path, data: bytes, name: str = STAMP + ".jsonl") -> tuple[Work, Path]:
    folder = tmp_path / "ledgers" / "laptop"
    folder.mkdir(parents=True)
    path = folder / name
    path.write_bytes(data)
    return Work(str(tmp_path), "", {}, lambda what, done, total: None), path


def test_rewriting_keeps_what_is_no_line_and_the_rights_of_the_file(tmp_path: Path) -> None:
    work, path = work_on(tmp_path, b"one\n\ntwo\xff\nthr")
    path.chmod(0o640)
    assert work.rewrite_lines(lambda line: line.replace(b"o", b"0")) == 2
    assert path.read_bytes() == b"0ne\n\ntw0\xff\nthr"
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(path.parent) == [path.name]


def test_rewriting_leaves_a_segment_alone_in_which_nothing_changes(tmp_path: Path) -> None:
    work, path = work_on(tmp_path, b"one\ntwo\n")
    before = path.stat()
    assert work.rewrite_lines(lambda line: line) == 0
    after = path.stat()  # reading may change the time of the last access
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("name", ["proofs.jsonl", "seen.json", f".{STAMP}.jsonl", f"{STAMP}.jsonl.new"])
def test_rewriting_touches_segments_only(tmp_path: Path, name: str) -> None:
    work, path = work_on(tmp_path, b"one\n", name)
    assert work.rewrite_lines(lambda line: b"other") == 0
    assert path.read_bytes() == b"one\n"


def test_rewriting_a_line_into_two_is_a_mistake_of_the_step(tmp_path: Path) -> None:
    work, path = work_on(tmp_path, b"one\n")
    with pytest.raises(ValueError, match="one line became two"):
        work.rewrite_lines(lambda line: b"a\nb")
    assert path.read_bytes() == b"one\n"


PLAN = Plan("/s", 0, 1, (Migration("x is y", 0, 1, lambda d: [], lambda w: None),), (), False, 3, 12_288, 9, 10)
IDLE = PLAN._replace(found=1, steps=())


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (IDLE.sentence(), "The store in /s has format 1, which is the one this lyts uses: nothing to do."),
        (
            PLAN.sentence(),
            (
                "The store in /s goes from format 0 to format 1 (0 to 1: x is y). "
                "3 ledger files (12.3 kB) are copied; data files are not touched."
            ),
        ),
        (
            PLAN._replace(free_bytes=8, problems=("this", "that"), copy_bytes=5).sentence(),
            (
                "The store in /s goes from format 0 to format 1 (0 to 1: x is y). "
                "3 ledger files (5 bytes) are copied; data files are not touched. "
                "It needs 9 bytes of disk space, and 8 bytes are free. In the way: this; that."
            ),
        ),
        (
            IDLE._replace(unfinished=True).sentence(),
            "An earlier migration of the store in /s was cut short; it is finished or begun again.",
        ),
        (
            Report("/s", 0, 1, ("x is y",), "/s/before-format-1", 3, 5, False, False, PLAN).sentence(),
            (
                "The store in /s went from format 0 to format 1. "
                "The ledgers as they were are in /s/before-format-1. The index is made again when it is next needed."
            ),
        ),
        (
            Report("/s", 1, 1, (), "/s/b", 0, 0, True, False, IDLE._replace(unfinished=True)).sentence(),
            "The store in /s has format 1; an earlier migration was finished. The ledgers as they were are in /s/b.",
        ),
        (Report("/s", 0, 0, (), None, 0, 0, False, True, PLAN).sentence(), PLAN.sentence()),
        (Report("/s", 1, 1, (), None, 0, 0, False, False, IDLE).sentence(), IDLE.sentence()),
        (
            str(CannotMigrate("/s", ["this", "that"])),
            "the store in /s cannot be brought to a newer format yet. Nothing was changed. In the way: this; that",
        ),
    ],
)
def test_people_are_told_in_plain_sentences(told: str, sentence: str) -> None:
    assert told == sentence
