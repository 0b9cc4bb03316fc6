"""Whose turn it is to be announced."""

from __future__ import annotations

import pytest

pytest.importorskip("pyfuse3", reason="NOT TESTED: pyfuse3 is missing (pip install 'lyts[mount]')")

from tagfs.mount.announce import Announcer, News, in_turn


def news(inode: int, ordinal: int) -> News:
    return News(inode, ordinal, b"tags/x", b"a", b"a~1a2b3c4d", ordinal, True)


def test_directories_take_turns() -> None:
    ones, twos = [news(1, 10), news(1, 11), news(1, 12)], [news(2, 20)]
    assert [one.ordinal for one in in_turn([ones, twos])] == [10, 20, 11, 12]
    assert in_turn([]) == []


def test_nothing_is_announced_before_there_is_a_mount_and_after_it_ended() -> None:
    announcer = Announcer()
    announcer.add([news(1, 1)])
    assert not announcer.has_mount()
    announcer.begin("/nowhere")
    assert announcer.has_mount()
    announcer.end()
    announcer.add([news(1, 1)])
    assert not announcer.has_mount()
    assert not announcer.is_busy()
    assert announcer.thread_id == -1
