"""Draws docs/shell.svg: the shell as it is, on a terminal in memory.

    python docs/make_shell_picture.py

A real `lyts` runs in a pseudo-terminal with the files of tests/data/demo, the lines below
are typed, and what the screen shows (pyte) is written as text in an SVG: small, sharp at
any size, and readable by who listens.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "shell.svg"
COLUMNS, ROWS = 76, 30
CELL_WIDTH, CELL_HEIGHT, MARGIN = 8.4, 19, 14
INK, PAPER = "#d8dee9", "#16191f"


def played() -> Any:
    """The screen after a person has typed."""
    from tests.support.command import Lyts
    from tests.support.screen import Screen

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "ada"
        lyts = Lyts(home)
        demo = ROOT / "tests" / "data" / "demo"
        shutil.copytree(demo, lyts.files, dirs_exist_ok=True)
        for words in (
            ("-t", "music,jazz,year=1959", "Music/Jazz/1959"),
            ("-t", "music,jazz,year=1962", "Music/Jazz/1962"),
            ("-t", "music,folk", "Music/Folk"),
            ("--dir-tags", "Documents", "Pictures"),
        ):
            lyts.quick("add", *words)
        lyts.quick("tag", "favourite", "Blue Kitchen.flac")
        lyts.quick("tag", "evening", "-q", "year=1959")
        environ = {"COLORTERM": "truecolor", "PROMPT_TOOLKIT_COLOR_DEPTH": "DEPTH_24_BIT", "COLORFGBG": "15;0"}
        with Screen(lyts, columns=COLUMNS, rows=ROWS, env=environ) as screen:
            screen.prompt("lyts (14) >").type("cd music+jazz\r")
            screen.prompt("music+jazz (3) >").type("ls\r").until("3  Café at Midnight.flac")
            screen.prompt("music+jazz (3) >").type("tag quiet 1,3\r").until("tagged 2 files with quiet")
            screen.prompt("music+jazz (3) >").type("+evening\r")
            screen.prompt("music+jazz+evening (2) >").type("ls | sort -r | head -1\r").until("-1\nFerry")
            screen.prompt("music+jazz+evening (2) >").type("cd ..\r")
            screen.prompt("music+jazz (3) >").type("tag quiet -q music\t").until("+folk").until("2 have it already")
            return screen.shown()


def runs(row: Any) -> Iterator[tuple[int, str, Any]]:
    """(column, text, look) of the parts of a row that look alike."""
    start, text, look = 0, "", None
    for column in range(COLUMNS):
        char = row[column]
        now = (char.fg, char.bg, char.bold, char.underscore, char.reverse)
        if now != look:
            if text.strip() or (look is not None and (look[4] or look[1] != "default")):
                yield start, text, look
            start, text, look = column, "", now
        text += char.data
    if text.strip() or (look is not None and (look[4] or look[1] != "default")):
        yield start, text, look


def colour(name: str, otherwise: str) -> str:
    """A colour of pyte's as SVG has it."""
    if name == "default":
        return otherwise
    return f"#{name}" if len(name) == 6 and all(ch in "0123456789abcdef" for ch in name) else name


def drawn(rows: list[Any]) -> str:
    """The picture."""
    while rows and not any(char.data.strip() for char in rows[-1].values()):
        rows.pop()
    width = COLUMNS * CELL_WIDTH + 2 * MARGIN
    height = len(rows) * CELL_HEIGHT + 2 * MARGIN
    out = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" role="img" aria-label="The shell of lyts">'
        ),
        f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>',
        (
            '<g font-family="ui-monospace,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="14" '
            f'fill="{INK}" xml:space="preserve">'
        ),
    ]
    for number, row in enumerate(rows):
        top = MARGIN + number * CELL_HEIGHT
        for column, text, (fg, bg, bold, underscore, reverse) in runs(row):
            ink, paper = colour(fg, INK), colour(bg, PAPER)
            if reverse:
                ink, paper = paper, ink
            left = MARGIN + column * CELL_WIDTH
            length = len(text) * CELL_WIDTH
            if paper != PAPER:
                out.append(f'<rect x="{left:g}" y="{top:g}" width="{length:g}" height="{CELL_HEIGHT}" fill="{paper}"/>')
            look = f' fill="{ink}"' if ink != INK else ""
            look += ' font-weight="bold"' if bold else ""
            look += ' text-decoration="underline"' if underscore else ""
            # Several blanks in a row are not kept everywhere, so what they part stands by itself.
            for words in re.finditer(r"\S+(?: \S+)*", text):
                x, long = left + words.start() * CELL_WIDTH, len(words[0]) * CELL_WIDTH
                out.append(f'<text x="{x:g}" y="{top + 14:g}" textLength="{long:g}"{look}>{escape(words[0])}</text>')
    return "\n".join([*out, "</g>", "</svg>", ""])


def main() -> int:
    sys.path.insert(0, str(ROOT))
    PICTURE.write_text(drawn(played()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
