"""Who holds a file: statements, rules, settings."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.verbs.newfiles import set_default, with_default
from tagfs.errors import StoreError
from tagfs.face import holders
from tagfs.layout import Layout
from tagfs.merge import FileState, join
from tagfs.placement import Fetch, Settings, is_by_hand, knowing, read_settings, to_state
from tests.support.facts import FILES, NODES, Fact, arbitrary_facts, made, stamp


def born(**more: object) -> FileState:
    first = Fact(at=stamp(1, NODES[0]), by=NODES[0], file=FILES[0], made=made(FILES[0]), holds={NODES[0]: True})
    return join(FILES[0], [first, Fact(at=stamp(2, NODES[1]), by=NODES[1], file=FILES[0], **more)])  # type: ignore[arg-type]


@given(st.lists(arbitrary_facts([FILES[0]]), max_size=8), st.sets(st.sampled_from(NODES)))
def test_what_is_stated_makes_it_so_and_only_what_must_be_said_is(facts: list[Fact], wish: set[str]) -> None:
    state = join(FILES[0], facts)
    wanted = knowing(state, wish)
    said = to_state(state, NODES, wanted)
    if not wanted:
        assert said == {}
        return
    before = holders(state, NODES)
    assert (said == {}) == (before == wanted)
    if said:
        state.add(Fact(at=stamp(4000, NODES[0]), by=NODES[0], file=FILES[0], holds=said))
        assert holders(state, NODES) == wanted
        for node in said:  # without any one of them it would be otherwise, or would rest on nobody's word
            assert node in wanted ^ before or (node in wanted and said[node])


def test_a_holder_that_nobody_named_is_named_before_another_comes() -> None:
    state = born(holds={NODES[0]: False})
    assert holders(state, NODES) == {NODES[0]}
    said = to_state(state, NODES, frozenset({NODES[0], NODES[2]}))
    assert said == {NODES[0]: True, NODES[2]: True}


def test_who_chose_last_is_known() -> None:
    assert not is_by_hand(born())
    assert is_by_hand(born(holds={NODES[1]: True}, placed_by=["hand"]))
    assert not is_by_hand(born(holds={NODES[1]: True}, placed_by=[FILES[1]]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Settings()),
        ("[syncthing]\nurl = 'http://127.0.0.1:1'\n", Settings()),
        ("[placement]\n", Settings()),
        ("[placement]\ndefault = 'here, server'\n", Settings(("here", "server"))),
        ("[placement]\ndefault = ['laptop']\nmin_copies = 2\n", Settings(("laptop",), 2)),
        ("[placement]\nfetch_on_read = true\n", Settings(fetch=Fetch(20, 500 << 20, 60))),
        (
            "[placement]\nfetch_on_read = true\nfetch_files = 3\nfetch_mib = 7\nfetch_wait_s = 5\n",
            Settings(fetch=Fetch(3, 7 << 20, 5)),
        ),
        ("[placement]\nfetch_on_read = false\nfetch_files = 3\n", Settings()),
    ],
)
def test_settings_are_read(tmp_path: Path, text: str, expected: Settings) -> None:
    layout = Layout(str(tmp_path))
    assert read_settings(layout) == Settings()
    Path(layout.sync_settings).write_text(text)
    assert read_settings(layout) == expected


@pytest.mark.parametrize(
    "text",
    [
        "[placement]\ndefault = 3\n",
        "[placement]\nmin_copies = 0\n",
        "[placement]\nmin_copies = true\n",
        "[placement]\nmin_copies = '2'\n",
        "[placement]\ndefault = [\n",
        "[placement]\nfetch_on_read = 1\n",
        "[placement]\nfetch_on_read = true\nfetch_files = 0\n",
        "[placement]\nfetch_wait_s = 100_000\n",
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, text: str) -> None:
    layout = Layout(str(tmp_path))
    Path(layout.sync_settings).write_text(text)
    with pytest.raises(StoreError):
        read_settings(layout)


# -- changing who keeps new files

BEFORE = [
    "",
    "# mine\n",
    "[placement]\n",
    "# mine\n[syncthing]\nurl = 'http://127.0.0.1:1'\n\n[placement]  # here\nmin_copies = 2",
    "[placement]\ndefault = 'server'\nmin_copies = 2\n[other]\ndefault = 1\n",
    "[other]\ndefault = 1\n[placement]\nmin_copies = 2\ndefault = [\n  'x',  # one\n  'y]',\n]\nfetch_on_read = true\n",
    "[placement]\n  default=[]  # nobody\ndefaults = 3\n",
]


@pytest.mark.parametrize("before", BEFORE)
def test_who_keeps_new_files_is_changed_and_all_else_stays(before: str) -> None:
    def rest(text: str) -> dict[str, object]:
        said = tomllib.loads(text)
        said["placement"] = {key: value for key, value in said.get("placement", {}).items() if key != "default"}
        return said

    after = with_default(before, ["here", NODES[1]], {NODES[1]: "tab\nlet"})
    assert tomllib.loads(after)["placement"]["default"] == ["here", NODES[1]]
    assert rest(after) == rest(before)
    assert "# tab?let" in after
    again = with_default(after, ["here", NODES[2]], {})
    assert tomllib.loads(again)["placement"]["default"] == ["here", NODES[2]]
    none = with_default(again, [], {})
    assert "default" not in tomllib.loads(none).get("placement", {})
    assert rest(none) == rest(before)
    assert [line for line in before.splitlines() if line.startswith("#")] == [
        line for line in none.splitlines() if line.startswith("#")
    ]


def test_what_cannot_be_changed_for_certain_is_left_alone(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    path = Path(layout.sync_settings)
    for text in ("placement = {default = ['server']}\n", "[placement\n"):
        path.write_text(text)
        with pytest.raises(StoreError):
            set_default(layout, NODES[0], NODES[:2], {})
        assert path.read_text() == text
    path.unlink()
    set_default(layout, NODES[0], NODES[:2], {})
    assert read_settings(layout).default == ("here", NODES[1])
    assert path.stat().st_mode & 0o777 == 0o600
    set_default(layout, NODES[0], NODES[:1], {})
    assert read_settings(layout).default == ()


def test_settings_are_on_the_disk_before_they_take_the_place_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, done = Layout(str(tmp_path)), []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (fsync(fd), done.append(os.readlink(f"/proc/self/fd/{fd}"))))
    monkeypatch.setattr(os, "replace", lambda a, b: (replace(a, b), done.append(b)))
    set_default(layout, NODES[0], NODES[:2], {})
    assert done == [layout.sync_settings + ".new", layout.sync_settings]
