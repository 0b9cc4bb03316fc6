"""A process that reads people's files ends by itself, and writes nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("does", "ends_by"),
    [
        ("allow_more_time(1)\nwhile True: pass", signal.SIGXCPU),
        ("open(sys.argv[1], 'w', buffering=1).write('x\\n')", None),
        ("bytearray(2 << 30)", None),
    ],
)
def test_what_goes_beyond_the_bounds_ends(tmp_path: Path, does: str, ends_by: signal.Signals | None) -> None:
    program = f"import sys\nfrom tagfs.bounds import *\nset_bounds(1)\n{does}\n"
    path = tmp_path / "written"
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False, stderr=subprocess.DEVNULL)
    assert done.returncode == (-ends_by if ends_by is not None else 1)
    assert not path.exists() or path.read_bytes() == b""
