"""The pages are true: every command in README and walkthroughs is run, and prints what the page says.

WRITE_DOCS=1 ./test tests/e2e/test_walkthroughs.py     writes what is printed into the pages
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.mount.point import FS_TYPE, mount_points
from tests.support.console import fits, run_step, steps_of, with_output
from tests.support.mounting import need_fuse
from tests.support.syncthing import Reaper, real_program

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "walkthroughs").glob("*.md"))]


def _env(home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LYTS_STORE": str(home / "store"),
        "XDG_STATE_HOME": str(home / "state"),
        "LYTS_BACKGROUND": "no",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "COLUMNS": "100",
    }


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Ada's home. What a page leaves mounted or running in it is taken away."""
    home = tmp_path / "ada"
    shutil.copytree(ROOT / "tests" / "data" / "demo", home)
    with Reaper(tmp_path):
        yield home
    for path, kind in mount_points():
        if kind == FS_TYPE and path.startswith(f"{home}/"):
            subprocess.run(["fusermount3", "-uz", "--", path], check=False, timeout=60)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_on_the_page_prints_what_the_page_says(page: Path, home: Path) -> None:
    text = page.read_text()
    steps = steps_of(text)
    if any(step.command.startswith("lyts mount") for step in steps):
        need_fuse()
    if any(step.command.startswith("lyts sync up") for step in steps):
        real_program()
    assert steps, f"{page.name} has no console block"
    printed = [run_step(step.command, home, _env(home)) for step in steps]
    if os.environ.get("WRITE_DOCS"):
        page.write_text(with_output(text, printed))
        return
    for step, output in zip(steps, printed, strict=True):
        assert fits(step.expected, output), f"$ {step.command}\nprints\n{output}\nbut the page says\n{step.expected}"


def test_a_page_that_is_wrong_is_found() -> None:
    page = "```console\n$ echo one\ntwo\n```\n"
    (step,) = steps_of(page)
    assert not fits(step.expected, run_step(step.command, ROOT, dict(os.environ)))
    assert with_output(page, ["one\n"]) == "```console\n$ echo one\none\n```\n"
    assert fits("a ... c\n...\nend\n", "a b c\n1\n2\nend\n")
    assert not fits("a ... c\n", "a b\nc\n")
