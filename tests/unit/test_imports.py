"""The packages depend on each other in one direction, and no file says otherwise.

Read from the source (AST), so that an import inside a function or under
`TYPE_CHECKING` counts as well: a circle is a circle at whatever time it closes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# package -> which of the others it may import
MAY_IMPORT: dict[str, frozenset[str]] = {
    "shell": frozenset({"sync", "migrations", "tagfs"}),
    "sync": frozenset({"tagfs"}),
    "migrations": frozenset({"tagfs"}),
    "tagfs": frozenset(),
}
# Beside the checkout's packages: an installed lyts has none of these.
NOT_SHIPPED = frozenset({"tests", "bench", "docs", "scripts"})


def imported_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """`(line, dotted name)` of all that a module imports by statement or by a literal `import_module("...")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            if (
                called in ("import_module", "__import__")
                and isinstance(first, ast.Constant)
                and isinstance(first.value, str)
            ):
                yield node.lineno, first.value


def forbidden_imports(package: str, source: str) -> list[str]:
    """What a module of `package` imports against the rules, as `line 3: sync.node`."""
    wrong = []
    for line, name in imported_names(ast.parse(source)):
        top = name.partition(".")[0]
        own_or_allowed = top == package or top in MAY_IMPORT[package]
        if name.startswith(".") or top in NOT_SHIPPED or (top in MAY_IMPORT and not own_or_allowed):
            wrong.append(f"line {line}: {name}")
    return wrong


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_package_imports_only_what_stands_below_it(package: str) -> None:
    found = modules(package)
    assert found, f"no module in {package}/: was it renamed?"
    wrong = {
        str(path.relative_to(ROOT)): bad
        for path in found
        if (bad := forbidden_imports(package, path.read_text(encoding="utf-8")))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("tagfs", "import shell"),
        ("tagfs", "from sync.node import Node"),
        ("tagfs", "import migrations.runner as runner"),
        ("tagfs", "import os, shell.main"),
        ("tagfs", "def later():\n    from shell import main"),
        ("tagfs", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import sync"),
        ("tagfs", "import importlib\nimportlib.import_module('shell.main')"),
        ("tagfs", "__import__('sync')"),
        ("tagfs", "from . import fact"),
        ("tagfs", "from tests.conftest import rounds"),
        ("sync", "import shell"),
        ("sync", "from migrations import runner"),
        ("migrations", "import sync"),
        ("migrations", "from shell.commands import add"),
        ("shell", "from bench import load"),
    ],
)
def test_check_finds_an_import_in_the_wrong_direction(package: str, source: str) -> None:
    assert len(forbidden_imports(package, source)) == 1


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("tagfs", "import tagfs.fact\nfrom tagfs import errors"),
        ("tagfs", "import shelltools, synchronous"),  # only whole names count
        ("tagfs", "'import shell'  # from shell import main"),
        ("sync", "from tagfs.guid import Guid"),
        ("migrations", "import tagfs"),
        ("shell", "import sync, migrations, tagfs, shell.output"),
        ("shell", "from importlib import import_module\nimport_module(name)"),
    ],
)
def test_check_lets_an_import_in_the_right_direction_pass(package: str, source: str) -> None:
    assert forbidden_imports(package, source) == []


def test_every_package_of_the_wheel_has_its_rule() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(MAY_IMPORT)
