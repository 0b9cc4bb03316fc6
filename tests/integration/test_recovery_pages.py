"""The pages of a store, by the checklist of recovery: the number in a name is that of the point."""

from __future__ import annotations

import csv
import io
import os
import re
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pyroaring import BitMap

from tagfs.change import Change
from tagfs.check.fsck import fsck
from tagfs.errors import DiskFull
from tagfs.guid import new_guid
from tagfs.nodeset import set_id
from tagfs.place import NodeSet, node_sets
from tagfs.recovery import files, keeping, pages, rows
from tagfs.recovery.keeping import CONFLICT, at_work, keep_up, tidy
from tagfs.recovery.make import Ended, Maker
from tagfs.seen import Seen, write_seen
from tagfs.slug import data_path
from tagfs.store import Store
from tests.support.pages import (
    CODE_TAGS,
    Page,
    clicks_to,
    data_of,
    generated,
    manifest_of,
    open_by_name,
    pages_of,
)
from tests.support.recovering import bytes_at, library, put
from tests.support.recovering import run as run_script
from tests.support.recovering import tree as read_tree
from tests.support.stores import Machine, birth, exchange, make_store, open_store, purge_now

HOSTILE = (
    "<script>alert(1)<script>.jpg",
    '"><img src=x onerror=alert(1)>.png',
    "a'b&amp;c.txt",
    "=cmd|' C calc'!A0.csv",
    "CON",
    "x" * 251 + ".txt",
    "gpj\u202eexe.\u2066txt",
    "one\ntwo\rthree.txt",
    "bell\x07\x1b[31m.txt",
    "Gr\u00fc\u00dfe.txt",
    "Gru\u0308\u00dfe.txt",
    "UPPER.txt",
    "upper.txt",
    "# heading ](mailto:x@example.org) `x`.md",
    "100%2F.txt",
    "\ufffe noncharacter.txt",
    "\U0001f600.txt",
)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with make_store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def machine() -> Machine:
    return Machine()


def explain(store: Store, **options: Any) -> Path:
    """Make the pages of a store, and look whether all is well."""
    assert fsck(store) == []
    with at_work(store.layout) as held:
        assert held
        kept = keep_up(store, {"HOME": "/nonexistent"}, all_now=True, **options)
    assert kept.trouble == []
    assert fsck(store) == []
    return Path(store.layout.root)


def own_set(store: Store) -> NodeSet:
    with store.view() as view:
        return next(one for one in node_sets(view) if one.nodes == {store.node})


def table_of(folder: Path) -> list[rows.Row]:
    with open(folder / "index.csv", encoding="utf-8", newline="") as table:
        return list(rows.read(table))


def with_a_server(store: Store, alias: str = "black USB disk, study") -> str:
    """Another device, which this one has heard of; its GUID."""
    guid = "00000000-0000-4000-8000-00000000000b"
    store.act(lambda change: change.about("node", "N", guid, alias=alias))
    folder = os.path.join(store.layout.ledgers, "server")
    os.makedirs(folder, exist_ok=True)
    write_seen(folder, store.layout.scratch, Seen(node=guid, format=1, here="2026-05-03T10:00:00Z", read={}))
    return guid


# -- what a browser shows ---------------------------------------------------------------------


def test_recovery_02_pages_are_read_from_a_medium_that_nobody_can_write_to(store: Store, tmp_path: Path) -> None:
    library(store)
    root = explain(store)
    before = read_tree(root)
    for path in sorted(root.rglob("*"), reverse=True):
        os.chmod(path, stat.S_IMODE(path.stat().st_mode) & ~0o222)
    assert open_by_name(root, "So What.flac").read_bytes() == b"what " * 200
    assert len(clicks_to(root)) > 5
    assert read_tree(root) == before


def test_recovery_03_pages_ask_no_network_and_no_script(store: Store) -> None:
    library(store)
    root = explain(store)
    for folder in (root, root / "sets" / "laptop"):
        for page in pages_of(folder):
            assert not {*page.tags} & {*CODE_TAGS}
            assert page.fetched == []
            assert "://" not in page.source
            assert "@import" not in page.source
            assert "url(" not in page.source


def smaller_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a thousand files were a million."""
    for name, value in {"LEAST": 4, "MOST": 16, "ONE_IN": 6, "INLINE": 10, "STRETCHES": 5, "TAGS": 12}.items():
        monkeypatch.setattr(pages, name, value)
    for name, value in {"LIST_LEAST": 3, "LIST_MOST": 10, "LIST_ONE_IN": 4}.items():
        monkeypatch.setattr(pages, name, value)


def many_files(store: Store, number: int, tags: int = 30) -> None:
    def add_all(change: Change) -> None:
        for at in range(number):
            data, name = b"%d" % at, f"photo {at // 3:04d}.jpg"
            guid = new_guid(store.machine.random_bytes(16))
            place = Path(store.layout.data("laptop", data_path(guid, name)))
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(data)
            own = [f"tag {at % tags}", "all", f"year={1990 + at % 40}"]
            digest = sha256(data).hexdigest()
            change.about_file(guid, **birth(guid, name, change.node, tags=own, sha256=digest, size_bytes=len(data)))

    store.act(add_all)


def test_recovery_05_any_file_is_three_clicks_away_by_name_and_by_tag(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller_pages(monkeypatch)
    many_files(store, 300)
    root = explain(store)
    clicks = clicks_to(root)
    data = {root / path for path in data_of(root)}
    assert {path for path in clicks if path in data} == data
    assert max(clicks[path] for path in data) == 3
    # By tag alone: whatever a tag leads to is as near.
    first = Page(root / "index.html")
    lists = [link for link in first.links if "/tags/" in link.href]
    by_tag: set[Path] = set()
    for link in lists:
        page = Page(first.goes_to(link))
        goals = {page.goes_to(inner) for inner in page.links}
        by_tag |= goals & data
        for part in goals - data - {page.path, first.path}:
            by_tag |= {*map(Page(part).goes_to, Page(part).links)} & data
    assert by_tag == data


def test_recovery_05_every_page_says_where_one_is_and_leads_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    smaller_pages(monkeypatch)
    many_files(store, 120)
    root = explain(store)
    titles = []
    for page in pages_of(root):
        assert page.tags.count("h1") == 1
        assert page.tags.count("main") == 1
        assert page.links[0].href == "#main"
        titles.append(page.title)
        if page.path.name != "index.html":
            assert page.goes_to(page.links[1]) == root / "index.html"
    assert len({*titles}) == len(titles)


def test_recovery_05_a_tag_that_others_imply_leads_to_their_files_and_an_alias_is_the_tag(store: Store) -> None:
    put(store, "so what.flac", b"1", ["jazz"])
    put(store, "kyrie.flac", b"2", ["Musik"])

    def tidy_tags(change: Change) -> None:
        change.about_tag("jazz", implies=["music"])
        change.about_tag("Musik", alias=["music"])

    store.act(tidy_tags)
    first = Page(explain(store) / "index.html")
    (link,) = [link for link in first.links if link.text == "music"]
    assert {one.text for one in Page(first.goes_to(link)).links} >= {"so what.flac", "kyrie.flac"}
    assert not [link for link in first.links if link.text == "Musik"]


def test_recovery_09_a_face_without_bytes_is_listed_with_its_holders_human_name(store: Store) -> None:
    server = with_a_server(store)
    put(store, "here.txt", b"here")
    put(store, "film.mkv", b"x" * 5000, ["film"], label="", holds={str(store.node): False, server: True})
    root = explain(store)
    first = Page(root / "index.html")
    (link,) = [link for link in first.links if link.text == "Not on this disk, but on black USB disk, study"]
    away = Page(first.goes_to(link))
    assert "film.mkv (not on this disk; on black USB disk, study)" in away.text
    assert "film.mkv" not in [link.text for link in away.links]
    assert "1 more file cannot be opened here" in first.text
    text = (root / "README.md").read_text(encoding="utf-8")
    assert "**1 file (5.0 kB)** is known here by name" in text
    assert "- “black USB disk, study”, has 1 of them (last heard of on 3 May 2026)" in text
    (row,) = [row for row in table_of(root) if row.name == "film.mkv"]
    assert (row.path, row.holds, row.size_bytes) == ("", ("black USB disk, study",), 5000)
    assert "film" not in (root / "sets" / "laptop" / "index.csv").read_text(encoding="utf-8")


def test_recovery_12_hostile_names_are_shown_and_do_nothing(store: Store) -> None:
    for at, name in enumerate(HOSTILE):
        put(store, name, b"%d" % at, [f"tag <b>{at}</b>", "all"], notes=f"<i>{name}</i>")
    with_a_server(store, alias="](http://example.org) <b>`x`")
    root = explain(store)
    found = {}
    for page in pages_of(root):
        assert not {*page.tags} & {*CODE_TAGS, "b", "i"}
        assert page.fetched == []
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", page.source)
        found.update({page.goes_to(link): link.text for link in page.links})
    data = {root / path: path for path in data_of(root)}
    assert {*data} <= {*found}
    shown = [found[path] for path in data]
    assert len({*shown}) == len(HOSTILE)
    assert "gpj⟨U+202E⟩exe.⟨U+2066⟩txt" in shown
    assert "one␊two␍three.txt" in shown
    assert {row.name for row in table_of(root)} == {*HOSTILE}
    text = (root / "README.md").read_text(encoding="utf-8")
    assert r"“\]\(http://example.org) \<b\>\`x\`”".replace(r"\(", "(") in text


# -- tables -------------------------------------------------------------------------------------


def test_recovery_06_every_data_file_is_in_the_manifest_and_the_reverse(store: Store) -> None:
    made = library(store)
    store.act(lambda change: change.about_file(made["empty"], trash=True))
    # A second copy that Syncthing put beside a file, and bytes of which nobody knows anything.
    path = Path(bytes_at(store, made["letter.txt"]))
    beside = path.with_name(path.stem + CONFLICT + "20261122-101056-ABCDEFG.txt")
    root = Path(store.layout.root)
    assert fsck(store) == []
    beside.write_bytes(b"the other letter")
    (path.parent / "no GUID \\ at all.bin").write_bytes(b"unknown")
    with at_work(store.layout):
        keep_up(store, {}, all_now=True)
    for folder in (root, root / "sets" / "laptop"):
        text = (folder / "manifest-sha256.txt").read_text(encoding="utf-8")
        escaped = [line for line in text.splitlines() if line.startswith("\\")]
        assert len(escaped) == 1
        plain = {
            path.replace("\\\\", "\\") if digest.startswith("\\") else path: digest.lstrip("\\")
            for digest, _, path in (line.partition("  ") for line in text.splitlines())
        }
        assert plain == data_of(folder)


def test_recovery_07_one_flipped_bit_is_found_and_the_file_named(store: Store) -> None:
    import subprocess

    made = library(store)
    root = explain(store)
    check = ["sha256sum", "-c", "--quiet", "manifest-sha256.txt"]
    assert subprocess.run(check, cwd=root, check=True, capture_output=True).stdout == b""
    path = Path(bytes_at(store, made["So What.flac"]))
    data = bytearray(path.read_bytes())
    data[77] ^= 4
    path.write_bytes(data)
    done = subprocess.run(check, cwd=root, check=False, capture_output=True)
    assert done.returncode != 0
    assert done.stdout.decode().splitlines() == [f"{path.relative_to(root)}: FAILED"]


def test_the_table_says_of_each_file_what_the_library_says(store: Store) -> None:
    made = library(store)
    root = explain(store)
    found = {row.guid: row for row in table_of(root)}
    assert {*found} == {*made.values()}
    row = found[made["old.txt"]]
    assert (row.name, row.tags, row.type, row.holds) == ("new name.txt", ("Jazz", "music"), "text/plain", ("laptop",))
    assert row.from_folder == "/home/ada/Pictures/2019"
    assert (root / row.path).read_bytes() == b"renamed\n"
    assert found[made["letter.txt"]].notes == 'He said "no", twice'
    with open(root / "index.csv", encoding="utf-8", newline="") as table:
        assert next(csv.reader(table)) == list(rows.COLUMNS)


def test_recovery_19_every_number_in_the_readme_equals_the_disk(store: Store) -> None:
    made = library(store)
    server = with_a_server(store)
    put(store, "film.mkv", b"", label="", holds={str(store.node): False, server: True})
    store.act(lambda change: change.about_file(made["So What.flac"], trash=True))
    root = Path(store.layout.root)
    (root / "sets" / "laptop" / "data" / "zz").mkdir()
    (root / "sets" / "laptop" / "data" / "zz" / "stray").write_bytes(b"12345")
    with at_work(store.layout):
        keep_up(store, {}, all_now=True)
    text = " ".join((root / "README.md").read_text(encoding="utf-8").split())
    listed = [root / row.path for row in table_of(root) if row.path]
    assert all(path.is_file() for path in listed)
    size = sum(path.stat().st_size for path in listed)
    assert f"**{len(listed)} files, {size / 1000:.1f} kB.**" in text
    removed, stray = 1000, 5
    room = f"{(size + removed + stray) / 1000:.1f}"
    assert f"You need at least {room} kB of free space" in text
    assert "1 more file (1.0 kB) had been thrown away, or waits to be removed. It is still in `sets`" in text
    assert "1 other piece of data (5 bytes)" in text
    assert "**1 file (0 bytes)** is known here by name" in text
    assert "has 1 of them" in text
    on_disk = data_of(root)
    assert len(on_disk) == len(listed) + 1 + 1
    # And there are no others.
    said = re.sub(r"`[^`]*`|(?m:^ {4}.*$|^\d+\.)", "", (root / "README.md").read_text(encoding="utf-8"))
    said = said.partition("This page was written on")[0]
    numbers = re.findall(r"(?<![\w.])\d[\d.,]*", said)
    kilobytes = f"{size / 1000:.1f}"
    assert [one.strip(".,") for one in numbers] == [
        *("4", kilobytes, "1", "1.0", "1", "5", "1", "0", "1", "3", "2026", room)
    ]


# -- sets ---------------------------------------------------------------------------------------


def shared_set(*stores: Store) -> NodeSet:
    """The set of several nodes, known to all, with a folder on each."""
    nodes = sorted(str(store.node) for store in stores)
    label = "+".join(sorted(store.info.alias for store in stores))
    stores[0].act(lambda change: change.new_set(set_id(nodes), label, nodes))
    exchange(*stores)
    for store in stores:
        os.makedirs(store.layout.data(label, ""), exist_ok=True)
        store.catch_up_if_behind()
    return NodeSet(set_id(nodes), label, frozenset(nodes))


@pytest.fixture
def two(tmp_path: Path) -> Any:
    """Two nodes of one library; the first leads their set."""
    stores = [make_store(tmp_path / name, Machine(seed), alias=name) for seed, name in ((1, "laptop"), (2, "server"))]
    exchange(*stores)
    stores.sort(key=lambda store: str(store.node))
    yield stores
    for store in stores:
        store.close()


def test_recovery_14_only_the_leader_of_a_set_writes_its_pages(two: list[Store]) -> None:
    one = shared_set(*two)
    put(two[0], "song.flac", b"la", label=one.label, holds=dict.fromkeys(one.nodes, True))
    exchange(*two)
    for store in two:
        with at_work(store.layout):
            keep_up(store, {}, all_now=True)
    folders = [Path(store.layout.sets, one.label) for store in two]
    assert generated(folders[0])
    assert not generated(folders[1])
    # Its own set each of them leads.
    assert all(generated(Path(store.layout.sets, store.info.ledger_folder)) for store in two)


def test_recovery_14_the_same_files_give_the_same_bytes_on_every_node(two: list[Store]) -> None:
    one = shared_set(*two)
    for at in range(40):
        store = two[at % 2]
        put(
            store,
            f"song {at % 7}.flac",
            b"%d" % at,
            ["music", f"n={at}"],
            label=one.label,
            holds=dict.fromkeys(one.nodes, True),
        )
    exchange(*two)
    for giver, taker in (two, two[::-1]):
        for path, data in read_tree(Path(giver.layout.sets, one.label)).items():
            if data is not None:
                target = Path(taker.layout.sets, one.label, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
    found = []
    for store in two:
        assert fsck(store) == []
        Maker().set(store, one)
        found.append(generated(Path(store.layout.sets, one.label)))
        store.rebuild("files get other numbers")
        Maker().set(store, one)
        found.append(generated(Path(store.layout.sets, one.label)))
    assert len(found[0]) > 40
    assert all(other == found[0] for other in found)


def test_recovery_18_what_was_excluded_from_a_node_appears_in_none_of_its_pages(
    two: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shared_set(*two)
    holds = dict.fromkeys(one.nodes, True)
    secret = put(two[0], "secret diary.txt", b"dear diary", ["private"], label=one.label, holds=holds, notes="hush")
    put(two[0], "song.flac", b"la", ["music"], label=one.label, holds=holds)
    exchange(*two)
    leader, other = two
    for store in two:
        with at_work(store.layout):
            keep_up(store, {}, all_now=True)
    shelf = Path(leader.layout.sets, one.label)
    assert b"secret diary" in generated(shelf)["index.csv"]
    # As Syncthing carries them: the pages of the leader, and what they replaced there.
    theirs = Path(other.layout.sets, one.label)
    for path, data in {**generated(shelf), ".stversions/index.csv": generated(shelf)["index.csv"]}.items():
        target = theirs / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    leader.act(lambda change: change.about_file(secret, knows={str(other.node): False}))
    exchange(*two)
    remove = keeping._remove

    def dies(path: str) -> None:
        if os.path.basename(path) == "manifest-sha256.txt":
            raise KeyboardInterrupt
        remove(path)

    monkeypatch.setattr(keeping, "_remove", dies)
    with pytest.raises(KeyboardInterrupt), at_work(other.layout):
        keep_up(other, {})
    monkeypatch.undo()
    for store in (leader, other):
        with at_work(store.layout):
            keep_up(store, {}, all_now=store is leader)
    for folder in (shelf, theirs, theirs / ".stversions", Path(other.layout.root)):
        for path, data in generated(folder).items() if folder.exists() else ():
            if folder == Path(other.layout.root) and path == "manifest-sha256.txt":
                continue  # it lists what lies on the disk: the bytes, until they are proven elsewhere
            for word in (b"secret", b"hush", b"private", secret.encode()):
                assert word not in data, (folder, path, word)
    assert b"song.flac" in generated(shelf)["index.csv"]
    assert b"secret diary" in generated(Path(leader.layout.root))["index.csv"]


def test_recovery_18_the_leader_of_a_set_that_is_kept_from_a_file_names_it_no_more(two: list[Store]) -> None:
    leader, other = two
    one = shared_set(*two)
    holds = dict.fromkeys(one.nodes, True)
    secret = put(other, "secret diary.txt", b"dear diary", ["private"], label=one.label, holds=holds)
    song = put(leader, "song.flac", b"la", ["music"], label=one.label, holds=holds)
    exchange(*two)
    path = Path(other.layout.sets, one.label, "data", secret[:2])
    here = Path(leader.layout.sets, one.label, "data", secret[:2])
    here.mkdir(exist_ok=True)
    for file in path.iterdir():
        (here / file.name).write_bytes(file.read_bytes())  # as Syncthing brings it
    shelf = explain(leader) / "sets" / one.label
    assert b"secret diary" in generated(shelf)["index.csv"]
    other.act(lambda change: change.about_file(secret, knows={str(leader.node): False}))
    exchange(*two)
    explain(leader)
    for name, data in generated(shelf).items():
        assert not any(word in data for word in (b"secret", b"private", secret.encode())), name
    assert list(manifest_of(shelf)) == [path for path in data_of(shelf) if song in path]


def test_recovery_20_a_set_folder_alone_explains_itself_and_gives_names_and_tags_back(
    store: Store, tmp_path: Path
) -> None:
    library(store)
    explain(store)
    alone = tmp_path / "found" / "sets-folder"
    alone.parent.mkdir()
    os.rename(Path(store.layout.sets, "laptop"), alone)
    assert "“laptop”" in (alone / "README.md").read_text(encoding="utf-8")
    assert open_by_name(alone, "Holiday in Rome.jpg").read_bytes() == b"rome " * 300
    assert {path for path in clicks_to(alone) if "data" in path.parts} == {alone / path for path in data_of(alone)}
    for tool in ("dash", "python"):
        out = tmp_path / f"out-{tool}"
        script = alone / ("recover.sh" if tool == "dash" else "recover.py")
        run_script(tool, out, script_at=script, cwd=alone)
        found = read_tree(out / "files")
        assert found["rome/Holiday in Rome.jpg"] == b"rome " * 300
        assert found["Jazz/new name.txt"] == b"renamed\n"


def test_what_syncthing_keeps_of_former_pages_is_taken_away_and_nothing_else(store: Store) -> None:
    library(store)
    root = explain(store)
    shelf = root / "sets" / "laptop"
    gone = [
        ".stversions/index.html",
        ".stversions/pages/tags/ab/x.html",
        f".stversions/index{CONFLICT}20261122-101056-ABCDEFG.csv",
        f"README{CONFLICT}20261122-101056-ABCDEFG.md",
        f"pages/tags/ab/x{CONFLICT}20261122-101056-ABCDEFG.html",
    ]
    stay = [
        ".stversions/data/9c/9c0f7be1-0000-4000-8000-000000000000--x.txt",
        ".stversions/a person's.txt",
        f"a person's{CONFLICT}20261122-101056-ABCDEFG.md",
    ]
    for path in (*gone, *stay):
        (shelf / path).parent.mkdir(parents=True, exist_ok=True)
        (shelf / path).write_text(path)
    tidy(store.layout, "laptop", leads_it=True)
    assert [path for path in (*gone, *stay) if (shelf / path).exists()] == stay


# -- writing ------------------------------------------------------------------------------------


def test_recovery_15_a_crash_while_pages_are_made_leaves_the_old_ones_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_files(store, 30)
    root = explain(store)
    before = generated(root)
    put(store, "one more.txt", b"more", ["all", "new"])
    real, left = os.replace, []

    class Crash(BaseException):
        pass

    for after in range(0, 60, 7):
        left[:] = [after]

        def replace(source: Any, target: Any) -> None:
            if left[0] == 0:
                raise Crash
            left[0] -= 1
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)
        try:
            Maker().root(store)
            ended = True
        except Crash:
            ended = False
        monkeypatch.setattr(os, "replace", real)
        now = generated(root)
        if not ended:
            # The first page and the README are the old ones or the new ones, whole, and so is all they lead to.
            assert now["README.md"] in (before["README.md"], b"") or b"31 files" in now["README.md"]
            assert all(data.endswith(b"</html>\n") for path, data in now.items() if path.endswith(".html"))
            clicks_to(root)
        else:
            break
    assert ended
    assert not [name for name in os.listdir(root / "scratch" / "readme") if name.startswith(".draft")]
    assert "31 files" in (root / "README.md").read_text(encoding="utf-8")


def test_recovery_17_what_says_the_same_is_not_touched(store: Store, machine: Machine) -> None:
    many_files(store, 60)
    root = explain(store)

    def marks() -> dict[str, tuple[int, int]]:
        found = {path: os.stat(root / path) for path in generated(root)}
        found |= {
            f"sets/laptop/{path}": os.stat(root / "sets/laptop" / path) for path in generated(root / "sets/laptop")
        }
        return {path: (one.st_ino, one.st_mtime_ns) for path, one in found.items()}

    before = marks()
    explain(store)
    assert marks() == before
    # Also where it is no longer known what was written.
    for name in os.listdir(root / "scratch" / "readme"):
        os.unlink(root / "scratch" / "readme" / name)
    explain(store)
    assert marks() == before


def test_one_more_tag_changes_only_the_pages_that_speak_of_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    smaller_pages(monkeypatch)
    many_files(store, 300)
    explain(store)
    with store.view() as view:
        guid = view.guid(150)
    store.act(lambda change: change.about_file(guid, tag=["new"]))
    done = Maker().root(store)
    # Its own page, that of each of its tags and of its names, the first page, the table; a list of tags or two.
    assert len(done.written) <= 12
    assert len(done.removed) <= 2
    put(store, "photo 0050.jpg", b"another", ["all"])
    done = Maker().root(store)
    assert len(done.written) <= 16


def test_pages_of_what_is_gone_are_removed_and_so_are_their_folders(store: Store) -> None:
    made = library(store)
    root = explain(store)
    (page,) = [path for path in generated(root) if "/rome-" in path]
    for name in ("Holiday in Rome.jpg", "empty"):
        store.act(lambda change, name=name: purge_now(change, made[name]))
        os.unlink(bytes_at(store, made[name]))
    explain(store)
    assert not (root / page).exists()
    assert not (root / page).parent.exists()
    assert not [path for path, data in generated(root).items() if b"holiday-in-rome" in data and path[0] in "ipm"]


def test_a_link_in_the_place_of_a_folder_of_pages_leads_nothing_astray(store: Store, tmp_path: Path) -> None:
    library(store)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.html").write_text('<meta name="generator" content="lyts">')
    os.symlink(elsewhere, Path(store.layout.sets, "laptop", "pages"))
    explain(store)
    assert [path.name for path in elsewhere.iterdir()] == ["mine.html"]
    assert not Path(store.layout.sets, "laptop", "pages").is_symlink()


def test_recovery_17_a_full_disk_gives_a_clear_message_and_leaves_the_old_pages(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    library(store)
    root = explain(store)
    before = generated(root)
    put(store, "one more.txt", b"more", ["new"])

    def full(self: files.Draft, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.Draft, "write", full)
    with pytest.raises(DiskFull, match="no space left"):
        Maker().root(store)
    assert generated(root) == before
    assert not [name for name in os.listdir(root / "scratch" / "readme") if name.startswith(".draft")]


def test_who_is_told_to_end_ends_at_the_next_page(store: Store) -> None:
    library(store)
    asked = iter([False, False, True])
    with pytest.raises(Ended):
        Maker(ends=lambda: next(asked)).root(store)
    assert not (Path(store.layout.root) / "index.html").exists()
    explain(store)


def test_an_empty_store_explains_itself(store: Store) -> None:
    root = explain(store)
    assert "There are no files here yet." in Page(root / "index.html").text
    assert "**0 files, 0 bytes.**" in (root / "README.md").read_text(encoding="utf-8")
    assert (root / "manifest-sha256.txt").read_bytes() == b""


def test_dry_run_writes_nothing_and_says_what_it_would(store: Store) -> None:
    library(store)
    before = read_tree(store.layout.sets)
    with at_work(store.layout):
        kept = keep_up(store, {}, all_now=True, dry_run=True)
    assert [where for where, _ in kept.done] == ["", "sets/laptop"]
    assert {"README.md", "index.html", "index.csv"} <= {*kept.done[0][1].written}
    assert not generated(Path(store.layout.root))
    assert read_tree(store.layout.sets) == before


# -- when ---------------------------------------------------------------------------------------


@pytest.fixture
def timed(tmp_path: Path, machine: Machine) -> Any:
    with make_store(tmp_path / "store", machine) as store:
        yield store


def step(store: Store) -> tuple[list[str], Callable[[], int | None]]:
    with at_work(store.layout):
        kept = keep_up(store, {})
    return [where for where, _ in kept.done], lambda: kept.next_ms


def test_the_root_is_made_once_a_minute_at_most_and_a_set_after_quiet(timed: Store, machine: Machine) -> None:
    put(timed, "a.txt", b"a")
    began = machine.now_ms
    done, next_ms = step(timed)
    assert done == ["sets/laptop", ""]  # of the set only what says nothing of files
    assert not (Path(timed.layout.sets) / "laptop" / "index.html").exists()
    assert next_ms() == began + 600_000
    put(timed, "b.txt", b"b")
    machine.advance(20_000)
    done, next_ms = step(timed)
    assert done == []
    assert next_ms() == began + 60_000
    machine.advance(40_000)
    done, next_ms = step(timed)
    assert done == [""]
    assert next_ms() == began + 20_000 + 600_000
    machine.advance(560_000)
    done, next_ms = step(timed)
    assert done == ["sets/laptop"]
    assert (Path(timed.layout.sets) / "laptop" / "index.html").exists()
    assert next_ms() is None
    assert step(timed)[0] == []
    # Within the hour it waits for the hour.
    made = machine.now_ms
    machine.advance(1000)
    put(timed, "c.txt", b"c")
    done, next_ms = step(timed)
    assert (done, next_ms()) == ([""], made + 3_600_000)


def test_in_the_folder_of_a_set_no_byte_changes_unless_its_files_do(timed: Store, machine: Machine) -> None:
    put(timed, "a.txt", b"a")
    root = explain(timed)
    before = generated(root / "sets" / "laptop"), generated(root)
    machine.advance(3 * 86_400_000)
    timed.act(lambda change: change.about("saved", "S", "evening", query="music"))
    explain(timed)
    after = generated(root / "sets" / "laptop"), generated(root)
    assert after[0] == before[0]
    assert {path for path in after[1] if after[1][path] != before[1][path]} == {"README.md", "index.html"}  # the day


def test_what_was_thrown_away_of_the_pages_comes_back(timed: Store, machine: Machine) -> None:
    put(timed, "a.txt", b"a")
    root = explain(timed)
    machine.advance(61_000)
    assert step(timed)[0] == []
    os.unlink(root / "index.html")
    assert step(timed)[0] == [""]
    assert (root / "index.html").exists()


def test_a_set_from_which_somebody_was_kept_does_not_wait_for_quiet(tmp_path: Path, machine: Machine) -> None:
    stores = [make_store(tmp_path / name, machine, alias=name) for name in ("laptop", "server")]
    exchange(*stores)
    leader, other = sorted(stores, key=lambda store: str(store.node))
    one = shared_set(leader, other)
    guid = put(leader, "secret.txt", b"s", label=one.label, holds=dict.fromkeys(one.nodes, True))
    with at_work(leader.layout):
        keep_up(leader, {}, all_now=True)
    machine.advance(61_000)
    leader.act(lambda change: change.about_file(guid, knows={str(other.node): False}))
    assert f"sets/{one.label}" in step(leader)[0]
    assert b"secret" not in generated(Path(leader.layout.sets, one.label))["index.csv"]
    for store in stores:
        store.close()


def test_where_a_list_is_cut_does_not_depend_on_what_comes_after() -> None:
    edges = [30, 75, 80, 400, 420]
    assert pages.cut(500, edges, 20, 100) == [
        (0, 30),
        (30, 75),
        (75, 175),
        (175, 275),
        (275, 375),
        (375, 400),
        (400, 420),
        (420, 500),
    ]
    assert pages.cut(0, [], 1, 2) == []
    assert pages.cut(5, [], 1, 2) == [(0, 2), (2, 4), (4, 5)]


def test_the_pages_of_a_store_of_another_are_not_made(tmp_path: Path, machine: Machine) -> None:
    with make_store(tmp_path / "store", machine) as store:
        put(store, "a.txt", b"a")
    with open_store(tmp_path / "store", machine) as store:
        assert BitMap([0]) == BitMap(range(store.read(lambda view: view.ordinal_total())))
        explain(store)
    assert io.open is open
