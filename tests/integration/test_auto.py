"""Tags that files carry in themselves: found in real files, and no file can do harm."""

from __future__ import annotations

import io
import os
import random
import re
import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tagfs.auto.found import camera, kind_of, tags_of, wanted
from tagfs.auto.reader import AutoReader, Unread
from tagfs.check.fsck import fsck
from tagfs.store import Store
from tagfs.tag import check_tag
from tagfs.verbs.add import Options, add
from tagfs.verbs.auto import tag_auto
from tagfs.verbs.tagging import tag, untag
from tests.support.stores import Machine, make_store

Rounds = Callable[[int, int], int]
DEMO = Path(__file__).resolve().parents[1] / "data" / "demo"


def id3(**frames: str) -> bytes:
    """The beginning of an MP3 file with ID3v2.3 frames."""
    body = b""
    for name, text in frames.items():
        raw = b"\x01" + text.encode("utf-16")
        body += name.encode() + struct.pack(">I", len(raw)) + b"\0\0" + raw
    size = len(body)
    return b"ID3\x03\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + body


def jpeg(**texts: str) -> bytes:
    """A JPEG with an EXIF block: `make`, `model` and `taken`."""
    numbers = {"make": 0x010F, "model": 0x0110, "taken": 0x0132}
    entries, values = b"", b""
    first = 8 + 2 + 12 * len(texts) + 4
    for name in sorted(texts, key=lambda one: numbers[one]):
        raw = texts[name].encode() + b"\0"
        raw += b"\0" * (5 - len(raw))
        entries += struct.pack("<HHII", numbers[name], 2, len(raw), first + len(values))
        values += raw
    tiff = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(texts)) + entries + b"\0\0\0\0" + values
    exif = b"Exif\0\0" + tiff
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + b"\xff\xd9"


def pdf(**about: str) -> bytes:
    from pypdf import PdfWriter

    writer = PdfWriter()
    writer.add_blank_page(72, 72)
    writer.add_metadata({f"/{key}": text for key, text in about.items()})
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.fixture(scope="module")
def reader() -> Iterator[AutoReader]:
    with AutoReader() as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with make_store(tmp_path / "store", Machine()) as made:
        yield made
        assert fsck(made, deep=True) == []


@pytest.mark.parametrize(
    ("name", "data", "tags"),
    [
        (
            "a.mp3", id3(TPE1="Zoë & the Lamps", TALB="Café, at Midnight", TYER="1962", TCON="Jazz"),
            ["artist=Zoë & the Lamps", "album=Café, at Midnight", "year=1962", "genre=Jazz"],
        ),
        ("b.jpg", jpeg(make="Canon", model="Canon EOS 5D", taken="2019:10:04 18:42:10"),
         ["camera=Canon EOS 5D", "date=2019-10-04"]),
        ("c.JPG", jpeg(make="NIKON CORPORATION", model="NIKON D90", taken="0000:00:00 00:00:00"), ["camera=NIKON D90"]),
        ("d.pdf", pdf(Author="Ada", Title="Household\ninsurance"), ["author=Ada", "title=Household insurance"]),
        ("e.pdf", pdf(Title="Untitled"), []),
        ("f.txt", b"plain", []),
    ],
)  # fmt: skip
def test_what_a_file_says_of_itself(
    reader: AutoReader, tmp_path: Path, name: str, data: bytes, tags: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    before = len(reader.unread)
    assert reader.find(str(path), name) == tags
    assert len(reader.unread) == before


def test_the_demo_files(reader: AutoReader) -> None:
    found = {path.name: reader.find(str(path), path.name) for path in sorted(DEMO.rglob("*")) if path.is_file()}
    assert found["Blue Kitchen.flac"] == ["artist=The Two Spoons", "year=1959"]
    assert found["Grandmother's Waltz.ogg"] == ["artist=Village band", "year=1974"]
    assert found["First tulips.jpg"] == ["camera=Drawn by make_demo.py", "date=2021-04-17"]
    assert found["Insurance 2024.pdf"] == ["author=Ada", "title=Household insurance 2024"]
    assert found["Dear Jürgen.txt"] == []


def test_values_are_made_to_fit_the_rules_for_tags() -> None:
    assert tags_of("audio", {"artist": ["AC/DC", " Unknown ", "a\0b\n c"], "year": ["recorded 1959-03", "19591"]}) == [
        "artist=AC/DC", "artist=a b c", "year=1959"
    ]  # fmt: skip
    (long,) = tags_of("pdf", {"title": ["é" * 300]})
    assert len(long.encode()) <= 200
    assert len(tags_of("audio", {"artist": [str(n) for n in range(50)]})) == 8
    assert camera("SONY", "ILCE-7M3") == "SONY ILCE-7M3"
    assert camera("", "Pixel 8") == "Pixel 8"
    assert kind_of("a.FLAC") == "audio"
    assert kind_of("flac") is None


def test_a_persons_word_counts_more() -> None:
    found = ["artist=A", "year=1959"]
    assert wanted(found, ["year=1960", "jazz"]) == ["artist=A"]
    assert wanted(found, [], ["artist=A"]) == ["year=1959"]


def test_a_broken_file_costs_its_tags_and_nothing_else(store: Store, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "broken.pdf").write_bytes(b"%PDF-1.7 nonsense")
    (files / "broken.jpg").write_bytes(jpeg(make="Canon", model="EOS")[:40])
    (files / "whole.pdf").write_bytes(pdf(Author="Ada"))
    report = add(store, [str(files)], Options())
    done = tag_auto(store, [one.guid for one in report.added])
    assert done.tagged == [("whole.pdf", ["author=Ada"])]
    assert {one.name for one in done.unread} >= {"broken.pdf"}
    assert report.problems == []


def test_a_file_on_which_the_worker_hangs_or_dies_is_left_and_the_next_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hangs.mp3")  # opening it waits for a writer that never comes
    (tmp_path / "good.pdf").write_bytes(pdf(Author="Ada"))
    with AutoReader(patience_s=1.0) as reader:
        assert reader.find(str(tmp_path / "hangs.mp3"), "hangs.mp3") == []
        assert reader.unread == [Unread("hangs.mp3", "looking into it took too long")]
    with AutoReader() as reader:
        assert reader.find(str(tmp_path / "good.pdf"), "good.pdf") == ["author=Ada"]
        assert reader._worker is not None
        os.kill(reader._worker.pid, signal.SIGKILL)
        reader._worker.wait()
        assert reader.find(str(tmp_path / "good.pdf"), "good.pdf") == ["author=Ada"]
        assert reader.unread == []


def test_over_files_that_are_there_a_second_run_changes_nothing(store: Store) -> None:
    guids = [one.guid for one in add(store, [str(DEMO / "Music")], Options()).added]
    tag(store, ["year=1950"], guids[:1])
    planned = tag_auto(store, guids, dry_run=True)
    done = tag_auto(store, guids)
    assert planned.tagged == done.tagged
    assert done.by_key() == {"artist": 5, "year": 4}
    assert tag_auto(store, guids).tagged == []
    untag(store, ["artist=Village band"], guids)
    assert tag_auto(store, guids).tagged == []


def test_add_with_auto_finds_tags_also_of_files_that_are_there(store: Store) -> None:
    folder = str(DEMO / "Music" / "Jazz")
    add(store, [folder], Options())
    again = add(store, [folder], Options(tags=["year=1900"], auto=True))
    assert sorted(again.added[0].tags) == ["artist=The Two Spoons", "year=1900"]
    new = add(store, [str(DEMO / "Music" / "Folk")], Options(tags=["artist=mine"], auto=True))
    assert [sorted(one.tags) for one in new.added] == [["artist=mine", "year=1974"], ["artist=mine", "year=1988"]]


def test_no_bytes_however_broken_end_the_search(reader: AutoReader, tmp_path: Path, rounds: Rounds) -> None:
    whole = {
        "a.mp3": id3(TPE1="Zoë", TALB="Café", TYER="1962", TCON="Jazz") * 2,
        "b.jpg": jpeg(make="Canon", model="Canon EOS 5D", taken="2019:10:04 18:42:10"),
        "c.pdf": pdf(Author="Ada", Title="Insurance"),
        "d.flac": (DEMO / "Music/Jazz/1959/Blue Kitchen.flac").read_bytes()[:4000],
        "e.ogg": (DEMO / "Music/Folk/1974/Grandmother's Waltz.ogg").read_bytes()[:4000],
    }
    dice = random.Random(7)
    for _ in range(rounds(40, 4_000)):
        name, data = dice.choice(list(whole.items()))
        broken = bytearray(data)
        for _ in range(dice.randint(1, 12)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        path = tmp_path / name
        path.write_bytes(broken[: dice.randint(0, len(broken))])
        assert all(check_tag(tag) == tag for tag in reader.find(str(path), name))


def test_only_processes_of_their_own_know_the_libraries() -> None:
    root = Path(__file__).resolve().parents[2]
    knowing = {"tinytag": set(), "exifread": set(), "pypdf": set()}  # type: dict[str, set[str]]
    for package in ("tagfs", "shell", "sync", "migrations"):
        for path in (root / package).rglob("*.py"):
            for name, those in knowing.items():
                if re.search(rf"^\s*(from|import) {name}\b", path.read_text(), re.MULTILINE):
                    those.add(str(path.relative_to(root)))
    worker = "tagfs/auto/worker.py"
    assert knowing == {"tinytag": {worker}, "exifread": {worker}, "pypdf": {worker, "tagfs/text/extract.py"}}
