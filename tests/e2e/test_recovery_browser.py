"""What a browser, a screen reader and a keyboard make of the pages: vnu, axe and pa11y (WCAG 2 AA) find nothing.

`scripts/page-checks` takes them into `tools/`; Java and Chromium are the system's. One browser
for all pages, and one Java: starting them is what takes time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tagfs.recovery import pages
from tagfs.recovery.keeping import at_work, keep_up
from tests.support.pages import Page, pages_of
from tests.support.recovering import put
from tests.support.stores import make_store

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "tools" / "page-checks" / "node_modules"
WRONG = (
    '<!DOCTYPE html><html><head><title></title></head><body><p style="color:#aaa;background:#fff">pale</p>'
    '<img src="http://example.invalid/x.png"><a href="x.html"></a><ul><p>no item</p></ul></body></html>'
)
SMALLER = {
    "LEAST": 4,
    "MOST": 12,
    "ONE_IN": 6,
    "INLINE": 10,
    "STRETCHES": 3,
    "TAGS": 12,
    "LIST_LEAST": 3,
    "LIST_MOST": 8,
    "LIST_ONE_IN": 4,
}


def need(*programs: str) -> None:
    """Skip, and say so, where something is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"NOT TESTED: there is no {program}")
    if not (MODULES.parent / "complete").exists():
        pytest.skip("NOT TESTED: the checks are not there; scripts/page-checks takes them")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A page of each kind: of a store with long lists, of a small one, of a set, and of an empty one."""
    base = tmp_path_factory.mktemp("browser")
    chosen = []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALLER.items():
            patch.setattr(pages, name, value)
        with make_store(base / "large") as store:
            other = "00000000-0000-4000-8000-00000000000b"
            store.act(lambda change: change.about("node", "N", other, alias="black USB disk, study"))
            for at in range(50):
                put(store, f"photo {at // 2}.jpg", b"%d" % at, [f"tag {at % 20}", "all", f"year={1990 + at % 5}"])
            put(store, "<b>film & more.mkv", b"", label="", holds={str(store.node): False, other: True})
            put(store, "عربي \u202e.txt", b"rtl", ["日本"], notes="one\ntwo <i>\n" + "long " * 300)
            with at_work(store.layout):
                keep_up(store, {}, all_now=True)
    by_kind: dict[tuple[str, str, bool], Path] = {}
    for page in pages_of(base / "large"):
        lists = "parts" if 'class="parts"' in page.source else "rows"
        kind = page.path.parent.parent.name if page.path.parent.parent.name != "lists" else page.path.parent.name
        by_kind.setdefault((kind, lists, page.title.startswith("all:")), page.path)
    chosen += by_kind.values()
    with make_store(base / "small") as store:
        put(store, "letter.txt", b"Dear", ["letters"])
        with at_work(store.layout):
            keep_up(store, {}, all_now=True)
    chosen.append(base / "small" / "sets" / "laptop" / "index.html")
    with make_store(base / "empty") as store, at_work(store.layout):
        keep_up(store, {}, all_now=True)
    chosen.append(base / "empty" / "index.html")
    wrong = base / "wrong.html"
    wrong.write_text(WRONG)
    return [*chosen, wrong]


def test_the_pages_are_valid_html(found: list[Path]) -> None:
    need("java")
    jar = MODULES / "vnu-jar" / "build" / "dist" / "vnu.jar"
    done = subprocess.run(
        ["java", "-Xshare:auto", "-jar", jar, "--stdout", "--format", "json", *found],
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    said = json.loads(done.stdout)["messages"]
    wrong = found[-1].as_uri().removeprefix("file://")
    of_ours = [f"{one['url']}: {one.get('extract', '')!r}: {one['message']}" for one in said if wrong not in one["url"]]
    assert of_ours == []
    assert len(said) > 2, "vnu finds nothing wrong with a page that is wrong"


def test_axe_and_pa11y_find_nothing_and_every_link_is_reached_by_keyboard(found: list[Path]) -> None:
    need("node", "chromium")
    script = ROOT / "tests" / "pages" / "check.js"
    done = subprocess.run(
        ["node", script, shutil.which("chromium") or "", *found],
        capture_output=True, text=True, check=False, timeout=280, env={**os.environ, "NODE_PATH": str(MODULES)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    of_ours = [one for one in said if one["page"] != str(found[-1])]
    assert of_ours == []
    checked = {one["by"].partition(",")[0] for one in said}
    assert checked >= {"axe", "pa11y", "network"}, f"not all of them find what is wrong: {said}"


def test_all_kinds_of_pages_are_looked_at(found: list[Path]) -> None:
    titles = [Page(path).title for path in found[:-1]]
    for beginning in ("The files on", "Names:", "Tags:", "Not on this disk", "photo", "all:", "Files kept on"):
        assert any(title.startswith(beginning) for title in titles), (beginning, titles)
