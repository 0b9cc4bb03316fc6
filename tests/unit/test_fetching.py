"""How much is brought here because somebody opens files."""

from __future__ import annotations

import errno

from tagfs.placement import Fetch
from tagfs.views.fetching import Fetching, not_here

GUID = "9c0f7be1-0000-4000-8000-000000000000"
MIB = 1 << 20


def begun(fetching: Fetching, size_bytes: int, now_ms: int) -> str:
    refusal = fetching.begin("film.mkv", GUID, size_bytes, now_ms)
    assert refusal is None or refusal.errno == errno.ENODATA
    return refusal.sentence if refusal is not None else ""


def test_so_many_files_within_a_minute_and_no_more() -> None:
    fetching = Fetching(Fetch(files=3, size_bytes=100 * MIB))
    assert [begun(fetching, 1, now) for now in (0, 10_000, 20_000)] == ["", "", ""]
    assert "3 files" in begun(fetching, 1, 59_999)
    assert begun(fetching, 1, 60_000) == ""  # the first is a minute ago
    assert "lyts restore 9c0f7be1" in begun(fetching, 1, 60_001)


def test_so_many_bytes_within_a_minute_and_no_more() -> None:
    fetching = Fetching(Fetch(files=100, size_bytes=10 * MIB))
    assert begun(fetching, 6 * MIB, 0) == ""
    assert "6 MiB" in begun(fetching, 5 * MIB, 1)
    assert begun(fetching, 4 * MIB, 2) == ""
    assert begun(fetching, 6 * MIB, 60_001) == ""
    assert begun(fetching, 4 * MIB, 60_002) == ""


def test_a_file_larger_than_the_limit_is_never_brought_here_and_uses_up_nothing() -> None:
    fetching = Fetching(Fetch(files=1, size_bytes=10 * MIB))
    assert "larger than the 10 MiB" in begun(fetching, 10 * MIB + 1, 0)
    assert begun(fetching, 10 * MIB, 1) == ""


def test_what_is_not_here_is_said_with_where_it_is_and_what_to_do() -> None:
    away = not_here("film.mkv", GUID, ["tablet", "server"], comes=False)
    assert away.errno == errno.ENODATA
    assert "server and tablet have them" in away.sentence
    assert "lyts restore 9c0f7be1" in away.sentence
    assert "come from server" in not_here("film.mkv", GUID, ["server"], comes=True).sentence
    lost = not_here("film.mkv", GUID, [], comes=True)
    assert lost.errno == errno.ENODATA
    assert "lyts add" in lost.sentence
    assert "restore" not in lost.sentence
