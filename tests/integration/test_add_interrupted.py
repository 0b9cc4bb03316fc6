"""An error while files are taken in: bytes that a fact names stay, all others go."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import NoReturn

import pytest

from tagfs.check.fsck import fsck
from tagfs.errors import StoreError
from tagfs.ledger import Appender
from tagfs.verbs.add import Options, add
from tests.support.stores import Machine, make_store


def _fails(*args: object) -> NoReturn:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("step", ["sync", "append"])
def test_an_error_after_the_facts_were_kept_removes_no_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    source = tmp_path / "song.flac"
    source.write_bytes(b"la la")
    with make_store(tmp_path / "store", Machine(1)) as store:
        with monkeypatch.context() as patched:
            patched.setattr(Appender, step, _fails)
            with pytest.raises(StoreError):
                add(store, [str(source)], Options())
        assert fsck(store, deep=True) == []  # neither a face without bytes nor bytes without a face
        assert source.read_bytes() == b"la la"
        report = add(store, [str(source)], Options())
        assert [one.known for one in report.added] == [step == "sync"]
        assert fsck(store, deep=True) == []
