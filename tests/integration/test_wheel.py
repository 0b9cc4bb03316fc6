"""What is installed is what is tested: the wheel holds the four packages and starts.

Builds with the hatchling at hand (no isolation, no network), installs into a fresh
virtual environment that borrows the third-party packages of this one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"tagfs", "sync", "shell", "migrations"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def run(*argv: str | Path, cwd: Path) -> str:
    # None of the checkout's own ways in: the wheel must stand alone.
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")} | {"PYTHONUTF8": "1"}
    done = subprocess.run([*map(str, argv)], cwd=cwd, env=env, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    build = "import hatchling.build, sys; print(hatchling.build.build_wheel(sys.argv[1]))"
    name = run(sys.executable, "-c", build, out, cwd=ROOT).splitlines()[-1]
    return out / name


def top_level_names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name.partition("/")[0] for name in archive.namelist()}


def test_wheel_holds_exactly_the_four_packages(wheel: Path) -> None:
    info = f"lyts-{PROJECT['version']}.dist-info"
    assert top_level_names(wheel) == PACKAGES | {info}


def test_wheel_holds_every_module_of_the_checkout_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    there = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == there


def test_wheel_carries_licence_and_command(wheel: Path) -> None:
    info = f"lyts-{PROJECT['version']}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        metadata = HeaderParser().parsestr(archive.read(f"{info}/METADATA").decode("utf-8"))
        commands = archive.read(f"{info}/entry_points.txt").decode("utf-8")
        assert f"{info}/licenses/LICENSE" in archive.namelist()
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "lyts = shell.main:main" in commands


def test_installed_wheel_starts_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    run(
        sys.executable, "-m", "pip", f"--python={python}", "install", "--no-index", "--no-deps", "--quiet", wheel,
        cwd=tmp_path,
    )  # fmt: skip
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    # A folder named in a .pth file is searched last and its own .pth files (this
    # checkout, editable) are not read: only the third-party packages come from there.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")

    where = run(
        python, "-c", "import tagfs, sync, shell, migrations as m; print(tagfs.__file__, sync.__file__, m.__file__)",
        cwd=tmp_path,
    )  # fmt: skip
    assert all(path.startswith(str(site)) for path in where.split())

    printed = run(tmp_path / "venv" / "bin" / "lyts", "--version", cwd=tmp_path)
    assert printed == f"lyts {PROJECT['version']}\n"
