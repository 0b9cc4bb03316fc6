"""What many tests of the real thing begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mounting import Mounting, mounted


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mounting]:
    """An empty library, mounted."""
    with mounted(tmp_path) as found:
        yield found


@pytest.fixture
def folder(mount: Mounting) -> Path:
    """A result directory to work in."""
    path = mount / "tags/work"
    path.mkdir()
    return path
