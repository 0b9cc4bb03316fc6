"""What holds of the mount's views over any library, after any action."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.errors import BadTag
from tagfs.index.read import View
from tagfs.store import Store
from tagfs.tag import check_tag
from tagfs.verbs import tagging
from tagfs.views.directory import BELOW_TAGS, Directory, Kind, NameTooLong, read_below_tags, root_directory
from tagfs.views.listing import subdirectories
from tagfs.views.matrix import Refusal
from tagfs.views.tree import child_directory, depends_on, directory_at, result
from tagfs.xdg import tags_as_xattr, xattr_as_tags
from tests.support.mounted import Mounted
from tests.support.stores import Machine, act_randomly, fast_folder, make_store

TAGS = ("music", "rome", "live", "year=1959", "year=2026", "artist=AC/DC")
PATHS = [
    "all", "untagged", "trash", "recent", "nodes/laptop", "saved/evening",
    *(f"tags/{query}" for query in (
        "music", "rome", "music+rome", "music+-live", "-live", "year=1959", "year=..", "year=1950..2000", "mu%",
        "music,rome", "artist=AC%2FDC", "music+-year=1959,rome", "live+music+rome", "ext=flac", "holds=laptop",
        "size=..1kB", "ext=flac+-music", "name=a.flac",
    )),
]  # fmt: skip


@pytest.fixture
def store() -> Iterator[Store]:
    with (
        tempfile.TemporaryDirectory(dir=fast_folder()) as folder,
        make_store(os.path.join(folder, "store"), Machine(1)) as store,
    ):
        yield store


def look(mount: Mounted, paths: list[str]) -> list[tuple[Directory, frozenset[int], frozenset[int] | None]]:
    """Each directory that is there, its files, and what they depend on."""

    def look_at(view: View) -> Any:
        found = [directory_at(view, mount.root, path, mount.clock) for path in paths]
        return [
            (one, frozenset(result(view, one, mount.clock)), depends_on(view, one)) for one in found if one is not None
        ]

    return mount.store.read(look_at)


def changed_since(view: View, transaction: int) -> tuple[bool, set[int]]:
    """Whether anything changed since a transaction, and which terms."""
    cursor = view.tx.cursor(view.db["changes"])
    found, terms = False, set()
    for key, value in cursor:
        if int.from_bytes(key, "big") > transaction:
            found = True
            terms.update(msgspec.msgpack.decode(value)[1])
    return found, terms


def _kept_results_are_true_until_their_terms_change(mount: Mounted, act: Callable[[], object]) -> None:
    with mount.store.view() as view:
        transaction = view.tx.id()
        saved = [view.tx.get(b"Sevening", db=view.db["thing"])]
    before = look(mount, PATHS)
    act()
    with mount.store.view() as view:
        anything, terms = changed_since(view, transaction)
        saved.append(view.tx.get(b"Sevening", db=view.db["thing"]))
        for directory, files, depends in before:
            if directory.kind is Kind.SAVED_RESULT and saved[0] != saved[1]:
                continue
            now = frozenset(result(view, directory, mount.clock))
            if now != files:
                assert anything
                assert depends is None or depends & terms, (directory.path, files, now, depends, terms)


class _AboutFiles(random.Random):
    """Dice that never make `act_randomly` say something about tags themselves."""

    def randrange(self, *bounds: Any) -> int:
        while True:
            found = super().randrange(*bounds)
            if bounds != (15,) or found not in (12, 13):
                return found


@pytest.mark.parametrize("seed", range(4))
def test_a_kept_result_is_true_until_a_term_of_it_changes(store: Store, seed: int, rounds: Any) -> None:
    mount, dice = Mounted(store), _AboutFiles(seed)
    for _ in range(rounds(40, 400)):
        _kept_results_are_true_until_their_terms_change(mount, lambda: act_randomly(store, dice))


def test_a_kept_result_is_true_until_its_tags_get_another_meaning(store: Store) -> None:
    mount = Mounted(store)
    for seed in range(4):
        dice = random.Random(seed)
        for _ in range(40):
            _kept_results_are_true_until_their_terms_change(mount, lambda dice=dice: act_randomly(store, dice))


@pytest.mark.parametrize("seed", range(4))
def test_every_listed_name_leads_somewhere_and_narrows(store: Store, seed: int) -> None:
    mount, dice = Mounted(store), random.Random(seed)
    for _ in range(30):
        act_randomly(store, dice)
    with store.view() as view:
        todo = [root_directory()]
        while todo:
            directory = todo.pop()
            whole = result(view, directory, mount.clock)
            names = subdirectories(view, directory, mount.clock)
            assert len(names) == len(set(names))
            for name in names:
                child = child_directory(view, directory, name, mount.clock)
                assert child is not None, (directory.path, name)
                assert child.path == f"{directory.path}/{name}".lstrip("/")
                todo.append(child)
                if directory.kind is Kind.NARROW and child.kind is Kind.RESULT:
                    files = result(view, child, mount.clock)
                    assert 0 < len(files) < len(whole)
                    assert files <= whole
                if child.kind is Kind.RESULT and child.query.count("+") < 2:
                    narrow = child_directory(view, mount.directory(view, "tags"), child.query + "+", mount.clock)
                    assert narrow is not None
                    todo.append(narrow)


@pytest.mark.parametrize("seed", range(6))
def test_what_succeeds_is_seen_and_what_is_refused_changes_nothing(store: Store, seed: int) -> None:
    """Never a false success: what was put is there, what was removed is not, and no file is ever lost."""
    mount, dice = Mounted(store), random.Random(seed)
    tagging.imply(store, "live", ["music"])
    tagging.alias(store, "Rom", "rome")
    queries = ["music", "rome", "Rom", "live", "music+rome", "music+-live", "rome+-music", "live+year=1959", "mu%"]
    for query in queries:
        for tag in query.replace("-", "").split("+"):
            if "%" not in tag:
                mount.mkdir(f"tags/{tag}")
    folders = ["all", "untagged", "trash", *(f"tags/{query}" for query in queries)]
    guids: list[str] = []
    for k in range(120):
        folder = dice.choice(folders)
        what = dice.randrange(4)
        held = {path: set(mount.files(path)) for path in folders}
        if what == 0 or not guids:
            made = mount.create(f"{folder}/{k}")
            if not isinstance(made, Refusal):
                guids.append(made)
                assert str(k) in mount.files(folder)
            continue
        sources = [path for path in folders if held[path]]
        source = dice.choice(sources)
        name = dice.choice(sorted(held[source]))
        guid = mount.guid(f"{source}/{name}")
        before = mount.state(guid)
        if what == 1:
            done = mount.rm_file(guid, source)
            if not isinstance(done, Refusal):
                assert name not in mount.files(source)
        elif what == 2:
            done = mount.mv_file(guid, source, folder)
            if not isinstance(done, Refusal) and source != folder:
                assert name in mount.files(folder)
        else:
            done = mount.ln(f"{source}/{name}", folder)
            if not isinstance(done, Refusal):
                assert name in mount.files(folder)
                assert set(before.tags()) <= set(mount.state(guid).tags())
        if isinstance(done, Refusal):
            assert mount.state(guid) == before
        assert len(mount.files("all")) + len(mount.files("trash")) == len(guids)


def _can_be_a_tag(text: str) -> bool:
    try:
        return check_tag(text) == text
    except BadTag:
        return False


TAG_TEXTS = st.text(st.sampled_from("ab/,%25CFf= =ü"), min_size=1, max_size=12).filter(_can_be_a_tag)


@given(st.lists(TAG_TEXTS, unique=True, max_size=4))
def test_tags_survive_the_way_out_and_in_as_an_attribute(tags: list[str]) -> None:
    assert xattr_as_tags(tags_as_xattr(tags)) == tags


@given(st.binary(max_size=40))
def test_any_attribute_is_tags_or_says_why_not(value: bytes) -> None:
    try:
        assert all(map(_can_be_a_tag, xattr_as_tags(value)))
    except BadTag as exc:
        assert exc.why


@given(st.lists(st.text(st.sampled_from("ab+,=-.%25/ü\udcff\0"), min_size=1, max_size=10), min_size=1, max_size=4))
def test_any_path_below_tags_is_a_directory_or_none(names: list[str]) -> None:
    found: Directory | None = root_directory(tags_only=True)
    for name in names:
        if found is None or found.kind not in BELOW_TAGS:
            break
        try:
            found = read_below_tags(found, name)
        except NameTooLong:
            return
        assert found is None or found.path.endswith(name)
