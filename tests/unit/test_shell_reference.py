"""What is written twice says the same twice: version, command reference, JSON keys."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import click

from shell.main import VERSION
from shell.root import TABLE, root

ROOT = Path(__file__).resolve().parents[2]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == VERSION


def test_reference_is_what_the_commands_say() -> None:
    made = generator()
    assert made.PAGE.read_text(encoding="utf-8") == made.reference(), "run: python docs/make_reference.py"


def test_reference_has_every_command() -> None:
    text = generator().reference()
    for name in TABLE:
        assert f"\n## lyts {name}\n" in text


def test_every_command_that_takes_json_is_in_the_json_page() -> None:
    page = (ROOT / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([a-z]+)(?: [^`]*)?`", " ".join(re.findall(r"^## .*$", page, re.MULTILINE))))
    ctx = click.Context(root)
    for name in TABLE:
        command = root.get_command(ctx, name)
        assert command is not None
        parts = [command, *command.commands.values()] if isinstance(command, click.Group) else [command]
        if any(param.name == "as_json" for part in parts for param in part.params):
            assert name in documented or f"`{name}" in page, name
