"""`~/.config/lyts/config.toml`: what a person wants otherwise. Reading it never stops the shell.

    [shell]
    keys = "vi"              # or "emacs"
    theme = "dark"           # auto, dark, light, plain
    completion = "list"      # menu (Tab opens one), typing (it comes by itself), list (printed below)
    pager = "less -RX"       # "" for none; else $PAGER, else less
    opener = "xdg-open"      # what open opens files with
    suggestions = true       # what was typed before, in grey behind the cursor
    preview = true           # the line below the prompt

    [shell.bind]             # a key -> a line to run
    "c-t" = "tags"

    [shell.colors]           # part of the line -> a style
    tag = "bold ansigreen"

What is wrong in it is said with the file and the line, and the default holds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

THEMES = ("auto", "dark", "light", "plain")
COMPLETIONS = ("menu", "typing", "list")
MODES = ("emacs", "vi")


class Settings(NamedTuple):
    """What config.toml says; see the module."""

    keys: str = "emacs"
    theme: str = "auto"
    completion: str = "menu"
    pager: str | None = None
    opener: str = "xdg-open"
    suggestions: bool = True
    preview: bool = True
    bind: Mapping[str, str] = {}
    colors: Mapping[str, str] = {}
    lines: Mapping[str, int] = {}
    """On which line of the file each key of `bind` and `colors` stands."""


DEFAULTS = Settings()


def config_path(environ: Mapping[str, str]) -> str:
    """Where config.toml is."""
    home = environ.get("HOME") or os.path.expanduser("~")
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    return os.path.join(config, "lyts", "config.toml")


def read_settings(path: str) -> tuple[Settings, list[str]]:
    """The settings in a file, and what is wrong in it, a sentence each."""
    try:
        with open(path, "rb") as file:
            raw = file.read(1 << 20)
    except FileNotFoundError:
        return DEFAULTS, []
    except OSError as exc:
        return DEFAULTS, [f"{path} cannot be read ({exc.strerror}); the shell starts as if there were none"]
    return parse_settings(raw, path)


def parse_settings(raw: bytes, path: str) -> tuple[Settings, list[str]]:
    """The same, of the bytes of a file. Pure."""
    import tomllib

    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        return DEFAULTS, [f"{path}, line {line}: this is no UTF-8 text; the shell starts with what is usual"]
    try:
        whole = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as exc:
        found = re.search(r"at line (\d+)", str(exc))
        line = int(found[1]) if found else text.count("\n") + 1
        why = re.sub(r"\s*\(at (line \d+, column \d+|end of document)\)", "", str(exc))
        why = why[:1].lower() + why[1:] if why else "this cannot be read"
        return DEFAULTS, [f"{path}, line {line}: {why}; the shell starts with what is usual"]
    table = whole.get("shell", {})
    if not isinstance(table, dict):
        return DEFAULTS, [f"{path}, line {line_of(text, '', 'shell')}: shell is a table, written as [shell]"]
    return _taken(table, text, path)


def _taken(table: dict[str, Any], text: str, path: str) -> tuple[Settings, list[str]]:
    taken: dict[str, Any] = {}
    wrong = []
    for key, value in table.items():
        check = _CHECKS.get(key)
        at = f"{path}, line {line_of(text, 'shell', key)}"
        if check is None:
            from tagfs.query.suggest import did_you_mean, near

            hint = did_you_mean([word for word, _ in near(key, [(known, 0) for known in _CHECKS], limit=1)])
            wrong.append(f"{at}: there is no setting {key!r}" + (f"; {hint}" if hint else ""))
            continue
        why = check(value)
        if why:
            wrong.append(f"{at}: {key} {why}")
            continue
        taken[key] = value
        if isinstance(value, dict):
            lines = taken.setdefault("lines", {})
            lines.update({one: line_of(text, f"shell.{key}", one) for one in value})
    return Settings(**taken), wrong


def _one_of(*words: str) -> Callable[[Any], str]:
    return lambda value: "" if value in words else f"is one of {', '.join(words)}, and not {value!r}"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) else f"is a text in quotes, and not {value!r}"


def _yes_or_no(value: Any) -> str:
    return "" if isinstance(value, bool) else f"is true or false, and not {value!r}"


def _texts(value: Any) -> str:
    if not isinstance(value, dict):
        return "is a table"
    wrong = [name for name, text in value.items() if not isinstance(text, str)]
    return f"has a text in quotes for each, and {wrong[0]!r} has not" if wrong else ""


_CHECKS: dict[str, Callable[[Any], str]] = {
    "keys": _one_of(*MODES),
    "theme": _one_of(*THEMES),
    "completion": _one_of(*COMPLETIONS),
    "pager": _text,
    "opener": _text,
    "suggestions": _yes_or_no,
    "preview": _yes_or_no,
    "bind": _texts,
    "colors": _texts,
}


def line_of(text: str, table: str, key: str) -> int:
    """The line (from 1) on which a key of a table stands; that of the table where it cannot be found."""
    inside, at_table = not table, 1
    name = re.compile(rf"""\s*(?:{re.escape(table)}\s*\.\s*)?["']?{re.escape(key)}["']?\s*[.=]""")
    header = re.compile(rf"""\s*\[\s*{re.escape(table)}\s*\]""")
    below = re.compile(rf"""\s*\[+\s*(?:{re.escape(table)}\s*\.\s*)?["']?{re.escape(key)}["']?\s*[\].]""")
    for number, line in enumerate(text.split("\n"), start=1):
        if header.match(line):
            inside, at_table = True, number
        elif below.match(line):
            return number
        elif line.lstrip().startswith("["):
            inside = not table
        elif (inside or line.lstrip().startswith(table + ".")) and name.match(line):
            return number
    return at_table
