"""The page about the mount is what the tables say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from tagfs.views.matrix import MATRIX, Effect, Place, Refusal

ROOT = Path(__file__).resolve().parents[2]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_mount_page", ROOT / "docs" / "make_mount_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_is_what_the_tables_say() -> None:
    made = generator()
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "run: python docs/make_mount_page.py"


def test_page_has_every_place_effect_and_refusal() -> None:
    text = generator().page()
    for rules in MATRIX.values():
        for rule in rules.values():
            if isinstance(rule, Refusal):
                assert f"| {rule.name} | {rule.sentence} |" in text
            else:
                assert rule.value in text
    assert all(place.value in text for place in Place)
    assert {rule for rules in MATRIX.values() for rule in rules.values() if isinstance(rule, Effect)} == set(Effect)
