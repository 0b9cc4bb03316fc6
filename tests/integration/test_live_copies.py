"""Copies that the shell makes for programs: they go when it ends, and what a program wrote does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shell.live.programs import Copies


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"as it is")
    return path


def _copies(tmp_path: Path) -> Copies:
    return Copies({"XDG_CACHE_HOME": str(tmp_path / "cache")})


def _left(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "cache" / "lyts" / "copies").rglob("*") if path.is_file()]


def test_copies_that_nobody_wrote_to_go(tmp_path: Path, source: Path) -> None:
    copies = _copies(tmp_path)
    for number in range(3):
        assert Path(copies.of(str(number), "", "a.txt", str(source))).read_bytes() == b"as it is"
    assert copies.close() == []
    assert _left(tmp_path) == []


@pytest.mark.parametrize("how", ["in place", "another in its place", "beside it"])
def test_what_a_program_wrote_stays_and_is_told(tmp_path: Path, source: Path, how: str) -> None:
    copies = _copies(tmp_path)
    untouched, edited = (Path(copies.of(guid, "", "a.txt", str(source))) for guid in ("1", "2"))
    written = edited.with_name("b.txt") if how == "beside it" else edited
    if how == "in place":
        edited.chmod(0o600)
    elif how == "another in its place":
        edited.unlink()
    written.write_bytes(b"hours of work")
    assert str(written) in copies.close()
    assert written.read_bytes() == b"hours of work"
    assert not untouched.exists()
    # Nor does the next shell take it for what one that was killed left behind.
    parent = tmp_path / "cache" / "lyts" / "copies"
    (folder,) = parent.iterdir()
    os.rename(folder, parent / "0-gone")
    after = _copies(tmp_path)
    after.of("3", "", "a.txt", str(source))
    assert after.close() == []
    assert (parent / "0-gone" / "2" / written.name).read_bytes() == b"hours of work"
