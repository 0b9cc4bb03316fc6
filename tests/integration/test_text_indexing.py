"""The full text follows the library: what is queued, what is read, what is forgotten."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.check.fsck import fsck
from tagfs.create import create_store
from tagfs.lock import hold
from tagfs.nodeset import folder_name, set_id
from tagfs.store import Store, this_machine
from tagfs.text import reading
from tagfs.text.documents import TextIndexBroken
from tagfs.text.indexing import Done, begin_in_background, index_some, lock_path, to_do
from tagfs.text.reading import Reader
from tagfs.text.search import question_of, search
from tagfs.verbs.add import Options, add
from tests.support.stores import make_store, open_store, purge_now, say
from tests.support.syncthing import until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with make_store(tmp_path / "store") as made:
        yield made
        assert fsck(made) == []


def put(store: Store, folder: Path, **files: str | bytes) -> dict[str, str]:
    """Files with these names (`_` is a dot) and contents, added; name -> GUID."""
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    report = add(store, [str(folder)], Options())
    return {one.name.replace(".", "_"): str(one.guid) for one in report.added}


def index(store: Store) -> Done:
    done = index_some(store, os.urandom)
    assert done is not None
    return done


def found(store: Store, text: str) -> set[str]:
    return {match.guid for match in search(store, question_of(text), None).files}


def test_new_files_are_queued_read_once_and_found(store: Store, tmp_path: Path) -> None:
    guids = put(store, tmp_path / "in", a_txt="an apple", b_md="# a pear")
    assert to_do(store) == 2
    assert index(store) == Done(2, 0, 0, [])
    assert to_do(store) == 0
    assert found(store, "apple") == {guids["a_txt"]}
    assert found(store, "pear") == {guids["b_md"]}
    assert index(store).files == 0


def test_what_changes_what_a_file_is_found_by_queues_it_again(store: Store, tmp_path: Path) -> None:
    guid = put(store, tmp_path / "in", a_txt="an apple")["a_txt"]
    index(store)
    for statement, word in (
        ({"name": "quince.txt"}, "quince"),
        ({"notes": "a plum"}, "plum"),
        ({"tag": ["cherry=red"]}, "cherry"),
    ):
        say(store, guid, **statement)
        assert to_do(store) == 1
        index(store)
        assert found(store, word) == {guid}
    assert found(store, "apple") == {guid}


def test_what_is_in_the_trash_is_forgotten_and_comes_back(store: Store, tmp_path: Path) -> None:
    guids = put(store, tmp_path / "in", a_txt="secretword", b_txt="other")
    index(store)
    say(store, guids["a_txt"], trash=True)
    assert found(store, "secretword") == set()  # at once, before the full text has heard of it
    index(store)
    say(store, guids["a_txt"], trash=False)
    index(store)
    assert found(store, "secretword") == {guids["a_txt"]}


def test_no_word_of_a_file_that_ended_stays_in_the_full_text(store: Store, tmp_path: Path) -> None:
    guids = put(store, tmp_path / "in", a_txt="zyxwvut secretword", b_txt="other")
    index(store)
    store.act(lambda change: purge_now(change, guids["a_txt"]))
    index(store)
    assert not any(b"secretword" in path.read_bytes() for path in Path(store.layout.text).iterdir())
    os.unlink(store.layout.data("laptop", next(Path(store.layout.sets).rglob("*a.txt")).relative_to(
        Path(store.layout.sets) / "laptop" / "data").as_posix()))  # fmt: skip


def test_nor_of_one_that_was_in_the_trash_before(store: Store, tmp_path: Path) -> None:
    guids = put(store, tmp_path / "in", a_txt="zyxwvut secretword", b_txt="other")
    index(store)
    say(store, guids["a_txt"], trash=True)
    index(store)
    say(store, guids["a_txt"], knows={store.node: False, "99999999-9999-4999-8999-999999999999": True})
    index(store)
    assert not any(b"secretword" in path.read_bytes() for path in Path(store.layout.text).iterdir())
    assert found(store, "other") == {guids["b_txt"]}
    os.unlink(next(Path(store.layout.sets).rglob("*a.txt")))


def test_a_file_that_changed_while_it_was_read_stays_in_the_queue(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guids = put(store, tmp_path / "in", a_txt="an apple", b_txt="a pear")
    read = Reader.read

    def read_late(self: Reader, path: str, extension: str) -> reading.Read:
        monkeypatch.setattr(Reader, "read", read)
        say(store, guids["a_txt"], notes="written meanwhile")
        return read(self, path, extension)

    monkeypatch.setattr(Reader, "read", read_late)
    index(store)
    assert to_do(store) == 0
    assert found(store, "meanwhile") == {guids["a_txt"]}


def test_a_file_whose_bytes_are_to_come_is_found_by_name_and_read_when_they_are_there(
    store: Store, tmp_path: Path
) -> None:
    guid = put(store, tmp_path / "in", letter_txt="an apple")["letter_txt"]
    place = next(Path(store.layout.sets).rglob("*letter.txt"))
    place.rename(tmp_path / "aside")
    assert index(store).waiting == 1
    assert found(store, "letter") == {guid}
    assert found(store, "apple") == set()
    assert index(store) == Done(0, 0, 1, [])
    (tmp_path / "aside").rename(place)
    assert index(store) == Done(1, 0, 0, [])
    assert found(store, "apple") == {guid}


def test_a_rebuilt_index_queues_all_and_nothing_is_read_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guids = put(store, tmp_path / "in", a_txt="an apple", b_txt="a pear")
    index(store)
    store.rebuild("a test")
    assert to_do(store) == 2
    monkeypatch.setattr(Reader, "read", lambda *_: pytest.fail("read again"))
    assert index(store).files == 2
    assert found(store, "pear") == {guids["b_txt"]}


@pytest.mark.parametrize("damage", ["deleted", "cut", "zeroed", "emptied"])
def test_a_full_text_that_is_lost_or_torn_is_made_again(store: Store, tmp_path: Path, damage: str) -> None:
    guids = put(store, tmp_path / "in", a_txt="an apple " * 200, b_txt="a pear")
    index(store)
    for path in list(Path(store.layout.text).iterdir()):
        if damage == "cut":
            os.truncate(path, path.stat().st_size // 2)
        elif damage == "zeroed":
            path.write_bytes(bytes(path.stat().st_size))
        elif damage == "emptied":
            path.write_bytes(b"")
    if damage == "deleted":
        shutil.rmtree(store.layout.text)
    with pytest.raises(TextIndexBroken):
        found(store, "apple")
    say(store, guids["b_txt"], notes="more")
    index(store)
    assert found(store, "apple") == {guids["a_txt"]}
    assert found(store, "more") == {guids["b_txt"]}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # whoosh leaves what it refused open
def test_a_store_from_elsewhere_cannot_run_code_through_its_full_text(store: Store, tmp_path: Path) -> None:
    put(store, tmp_path / "in", a_txt="an apple")
    index(store)
    mark = tmp_path / "ran"
    evil = b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR."
    toc = next(path for path in Path(store.layout.text).iterdir() if path.suffix == ".toc")
    data = toc.read_bytes()
    at = data.rindex(b"\x80")  # where the table of segments begins
    toc.write_bytes(data[:at] + evil)
    with pytest.raises(TextIndexBroken):
        found(store, "apple")
    assert not mark.exists()


def test_one_process_at_a_time_writes(store: Store, tmp_path: Path) -> None:
    put(store, tmp_path / "in", a_txt="an apple")
    with hold(lock_path(store)):
        assert index_some(store, os.urandom) is None
    assert index(store).files == 1


def test_the_process_in_the_background_reads_what_is_queued_and_ends(tmp_path: Path) -> None:
    root = str(tmp_path / "store")
    create_store(root, alias="laptop", folder_name=folder_name("laptop"), set_id=set_id, machine=this_machine())
    with Store(root) as store:
        guids = put(store, tmp_path / "in", a_txt="an apple")
        begin_in_background(store)
        until(lambda: to_do(store) == 0, "the queue is empty")
        assert found(store, "apple") == {guids["a_txt"]}
        with hold(lock_path(store)):  # it has ended, or is about to
            assert fsck(store) == []


def test_a_file_that_brings_its_reader_down_hides_no_other(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is in a file: an endless page, a bomb, a broken PDF. The real reader, with less time."""
    bomb = tmp_path / "bomb.docx"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"<w><t>" + b"a" * (80 << 20) + b"</t></w>")
    entities = "".join(f'<!ENTITY e{n} "&e{n - 1};&e{n - 1};&e{n - 1};&e{n - 1};">' for n in range(1, 30))
    with zipfile.ZipFile(tmp_path / "laughs.odt", "w") as archive:
        archive.writestr("content.xml", f'<!DOCTYPE d [<!ENTITY e0 "ha">{entities}]><d><p>&e29;</p></d>')
    guids = put(
        store,
        tmp_path / "in",
        a_txt="first apple",
        bomb_docx=bomb.read_bytes(),
        laughs_odt=(tmp_path / "laughs.odt").read_bytes(),
        broken_pdf=b"%PDF-1.4\n1 0 obj\n<< /Length 9999999999 >>\nstream",
        noise_epub=bytes(range(256)) * 50,
        z_txt="last apple",
    )
    done = index(store)
    assert found(store, "apple") == {guids["a_txt"], guids["z_txt"]}
    assert found(store, "broken") == {guids["broken_pdf"]}
    assert {name for name, _ in done.troubles} >= {"laughs.odt", "broken.pdf", "noise.epub"}


@pytest.mark.parametrize("fate", ["hangs", "crashes", "eats memory"])
def test_a_reader_that_hangs_or_crashes_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    """A library that does so, in the place of ours: a module of that name is found first."""
    code = {
        "hangs": "import time; time.sleep(600)",
        "crashes": "import os; os.abort()",
        "eats memory": "x = bytearray(2 << 30)",
    }[fate]
    (tmp_path / "pypdf.py").write_text(f"{code}\nPdfReader = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    (tmp_path / "b.txt").write_text("fine")
    with Reader(file_s=2.0) as reader:
        bad = reader.read(str(tmp_path / "a.pdf"), "pdf")
        assert bad.text == ""
        assert bad.trouble
        assert reader.read(str(tmp_path / "b.txt"), "txt").text == "fine"


def test_a_store_that_cannot_be_written_can_be_searched(tmp_path: Path) -> None:
    with make_store(tmp_path / "store") as store:
        guid = put(store, tmp_path / "in", a_txt="an apple")["a_txt"]
        index(store)
    with open_store(tmp_path / "store") as store:
        store.read_only = True
        assert found(store, "apple") == {guid}
