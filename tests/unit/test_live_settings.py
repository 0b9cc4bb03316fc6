"""Settings of the shell, its history, and whether its colours can be read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from shell.live import history, looks
from shell.live.settings import DEFAULTS, parse_settings, read_settings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[shell]\nkeys = 'emacs'\ntheme = \n", "line 3: invalid value; the shell starts with what is usual"),
        ("[shell]\n\nkeys = 'nano'\n", "line 3: keys is one of emacs, vi, and not 'nano'"),
        ("[shell]\npreview = 'no'\n", "line 2: preview is true or false, and not 'no'"),
        ("[shell]\npager = 3\n", "line 2: pager is a text in quotes, and not 3"),
        ("x = 1\n[shell]\nx = 2\n", "line 3: there is no setting 'x'"),
        ("[shell.bind]\nf2 = 3\n", "line 1: bind has a text in quotes for each, and 'f2' has not"),
        ("shell = 3\n", "line 1: shell is a table, written as [shell]"),
        ("[shell]\n[shell]\n", "line 2: "),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_the_rest_holds(text: str, said: str) -> None:
    settings, (wrong,) = parse_settings(text.encode(), "/config.toml")
    assert wrong.startswith(f"/config.toml, {said}")
    assert settings == DEFAULTS


def test_one_wrong_setting_leaves_the_others() -> None:
    settings, wrong = parse_settings(b"[shell]\nkeys = 'vi'\nthme = 'dark'\n", "/c")
    assert settings.keys == "vi"
    assert wrong == ["/c, line 3: there is no setting 'thme'; did you mean theme?"]


def test_bytes_that_are_no_text_are_named_by_line() -> None:
    settings, wrong = parse_settings(b"[shell]\n\xff\n", "/c")
    assert (settings, wrong) == (DEFAULTS, ["/c, line 2: this is no UTF-8 text; the shell starts with what is usual"])


def test_no_file_is_no_trouble_and_an_unreadable_one_is_said(tmp_path: Path) -> None:
    assert read_settings(str(tmp_path / "none.toml")) == (DEFAULTS, [])
    assert read_settings(str(tmp_path))[1][0].startswith(f"{tmp_path} cannot be read")


# -- history -----------------------------------------------------------------------


def test_history_is_its_owners_and_the_newest_comes_first(tmp_path: Path) -> None:
    path = str(tmp_path / "state" / "shell-history")
    for line in ("one", "two\nthree", "\n"):
        history.append(path, line)
    assert list(history.lines_of(path)) == ["three", "two", "one"]
    Path(path).chmod(0o644)
    history.trim(path)
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def test_the_oldest_lines_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT_LINES", 3)
    monkeypatch.setattr(history, "_SLACK", 1)
    path = str(tmp_path / "shell-history")
    for number in range(4):
        history.append(path, str(number))
    history.trim(path)
    assert len(list(history.lines_of(path))) == 4
    history.append(path, "4")
    history.trim(path)
    assert list(history.lines_of(path)) == ["4", "3", "2"]
    assert [one.name for one in tmp_path.iterdir()] == ["shell-history"]


@pytest.mark.parametrize(
    ("line", "last", "kept"), [("ls", "", True), ("ls", "ls", False), (" ls", "", False), ("  ", "", False)]
)
def test_which_lines_are_kept(line: str, last: str, kept: bool) -> None:
    assert history.keeps(line, last) is kept


# -- colours -----------------------------------------------------------------------


def luminance(colour: str) -> float:
    """As WCAG 2 has it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("theme", "papers", "least"),
    [
        ("dark", ["#000000", "#1e1e1e"], 4.5),
        ("light", ["#ffffff", "#f5f5f5"], 4.5),
        ("both", ["#000000", "#ffffff"], 4.5),
    ],
)
def test_colours_can_be_read(theme: str, papers: list[str], least: float) -> None:
    for part, style in looks.THEMES[theme].items():
        for colour in (word for word in style.split() if word.startswith("#")):
            for paper in papers:
                assert contrast(colour, paper) >= least, (part, colour, paper, contrast(colour, paper))


def test_every_theme_speaks_of_parts_there_are() -> None:
    for rules in looks.THEMES.values():
        assert set(rules) <= set(looks.PARTS)


@pytest.mark.parametrize(
    ("setting", "environ", "theme"),
    [
        ("auto", {}, "both"),
        ("auto", {"COLORFGBG": "15;0"}, "dark"),
        ("auto", {"COLORFGBG": "0;default;15"}, "light"),
        ("light", {"COLORFGBG": "15;0"}, "light"),
        ("dark", {"NO_COLOR": "1"}, "plain"),
    ],
)
def test_the_theme_is_that_of_the_background(setting: str, environ: dict[str, str], theme: str) -> None:
    assert looks.theme_of(setting, environ) == theme
