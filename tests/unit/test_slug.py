from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tagfs.fact import data_path_is_safe
from tagfs.slug import MAX_EXTENSION_BYTES, MAX_SLUG_BYTES, data_path, slug

GUID = "9c0f7be1-5a3e-4b1f-8c2d-0123456789ab"
# Reserved on NTFS and FAT; `/` and NUL everywhere.
RESERVED = set('<>:"/\\|?*') | {chr(c) for c in range(32)} | {"\x7f"}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Holiday in Rome.jpg", "holiday-in-rome.jpg"),
        ("Blue Kitchen.FLAC", "blue-kitchen.flac"),
        ("archive.tar.gz", "archive-tar.gz"),
        ("Grüße aus Köln.txt", "grüße-aus-köln.txt"),
        ("Gru\u0308\u00dfe.txt", "grüße.txt"),
        ("no extension", "no-extension"),
        (".bashrc", "bashrc"),
        ("..", ""),
        ("a.b c", "a-b-c"),
        ("CON", "con"),
        ("nul.txt", "nul.txt"),
        ("what? *now*: <this>|that.txt", "what-now-this-that.txt"),
        ("trailing dot.", "trailing-dot"),
        ("line\nbreak.md", "line-break.md"),
        ("\u202etxt.exe", "txt.exe"),
        ("日本語.pdf", "日本語.pdf"),
        ("🎈.png", ".png"),
        ("///", ""),
        ("x." + "e" * 17, "x-" + "e" * 17),
    ],
)
def test_a_data_file_is_named_after_its_file(name: str, path: str) -> None:
    stem, dot, ext = path.partition(".")
    wanted = f"9c/{GUID}" + (f"--{stem}" if stem else "") + dot + ext
    assert data_path(GUID, name) == wanted


@given(st.text(max_size=300))
@example("\ud800.txt")
@example("a" * 79 + "é.txt")
@example("̸" * 200)
@example("ẛ̣" * 50 + ".JPG")
@example("İ" * 60)
@example("a.Å")
def test_the_path_is_safe_on_every_file_system(name: str) -> None:
    path = data_path(GUID, name)
    assert data_path_is_safe(path)
    folder, _, file = path.partition("/")
    assert folder == "9c"
    assert not RESERVED & set(file)
    assert not any(unicodedata.category(ch) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs") for ch in file)
    assert file[-1] not in ". "
    assert unicodedata.is_normalized("NFC", file)
    assert len(file.encode()) <= 36 + 2 + MAX_SLUG_BYTES + 1 + MAX_EXTENSION_BYTES
    assert data_path(GUID, name) == path


@given(st.text())
def test_a_slug_is_at_most_80_bytes(name: str) -> None:
    stem, ext = slug(name)
    assert len(stem.encode()) <= MAX_SLUG_BYTES
    assert len(ext.encode()) <= MAX_EXTENSION_BYTES
    assert not stem.startswith("-")
    assert not stem.endswith("-")


def test_a_long_name_is_cut_between_characters() -> None:
    assert slug("ü" * 100 + ".txt") == ("ü" * 40, "txt")
    assert slug("a" + "ü" * 100) == ("a" + "ü" * 39, "")


def test_the_extension_survives_so_that_a_double_click_works() -> None:
    assert data_path(GUID, "x" * 300 + ".Jpeg").endswith(".jpeg")
