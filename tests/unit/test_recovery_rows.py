"""`index.csv`: what is written is read back as it was, and a spreadsheet runs none of it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.errors import BadTag
from tagfs.recovery import rows
from tagfs.recovery.rows import BadRow, Row
from tagfs.tag import check_tag

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
FULL = Row(
    guid="9c0f7be1-0000-4000-8000-000000000000",
    name="Holiday in Rome.jpg",
    path="data/9c/9c0f7be1-0000-4000-8000-000000000000--holiday-in-rome.jpg",
    size_bytes=48213,
    sha256="e3" * 32,
    added="2026-11-22T10:10:56.123Z",
    modified="2026-11-20T09:00:00Z",
    tags=("rome", "year=2026", "artist=AC/DC", "a,b"),
    notes='She said "no",\nthen yes',
    holds=("laptop", "usb, black"),
    from_folder="/home/ada/Pictures/2019",
    type="image/jpeg",
)


def written(*given: Row) -> str:
    return (rows.header() + b"".join(map(rows.line, given))).decode()


def read(text: str) -> list[Row]:
    return list(rows.read(io.StringIO(text, newline="")))


def is_tag(text: str) -> bool:
    try:
        return check_tag(text) == text
    except BadTag:
        return False


@given(
    st.lists(
        st.builds(
            Row,
            guid=st.just("9c"),
            name=TEXT,
            path=TEXT,
            size_bytes=st.none() | st.integers(0, 1 << 60),
            tags=st.lists(TEXT.filter(is_tag), max_size=4).map(tuple),
            notes=TEXT,
            holds=st.lists(TEXT.filter(bool), max_size=3).map(tuple),
            from_folder=TEXT,
            sha256=st.just(""),
            added=st.just(""),
            modified=st.just(""),
            type=st.just(""),
        ),
        max_size=4,
    )
)
def test_a_table_gives_its_rows_back(given: list[Row]) -> None:
    assert read(written(*given)) == given


def test_the_row_of_a_file_reads_as_the_page_says() -> None:
    assert written(FULL) == (
        "guid,name,path,size_bytes,sha256,added,modified,tags,notes,holds,from,type\n"
        "9c0f7be1-0000-4000-8000-000000000000,Holiday in Rome.jpg,"
        "data/9c/9c0f7be1-0000-4000-8000-000000000000--holiday-in-rome.jpg,48213," + "e3" * 32 + ","
        '2026-11-22T10:10:56.123Z,2026-11-20T09:00:00Z,"rome,year=2026,artist=AC%2FDC,a%2Cb",'
        '"She said ""no"",\nthen yes","laptop,usb%2C black",/home/ada/Pictures/2019,image/jpeg\n'
    )
    assert read(written(FULL)) == [FULL]


@pytest.mark.parametrize(
    "name", ["=1+1.txt", "+49 30.vcf", "-x", "@home", "\tx", "\rx", "\nx", "＝1", "'quoted'", "''"]
)
def test_no_cell_is_a_formula_and_each_comes_back(name: str) -> None:
    text = written(Row(name=name, notes=name, from_folder=name))
    (cells,) = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert all(cell == "'" + name for cell in cells if cell)
    assert read(text) == [Row(name=name, notes=name, from_folder=name)]


def test_what_a_spreadsheet_makes_of_a_table_is_read_as_well() -> None:
    assert read("\r\n".join(["Tags,NAME,colour", '"music, jazz",a.flac,blue', ",,"]) + "\r\n") == [
        Row(name="a.flac", tags=("music", "jazz"))
    ]


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 1, "no table of files"),
        ("one,two\n", 1, "no table of files"),
        ("name,tags\na.txt\n", 2, "1 cells"),
        ("name,tags\na.txt,50%\n", 2, "two hex digits"),
        ("name,size_bytes\na.txt,many\n", 2, "no size"),
        ('name,tags\n"a.txt,x\n', 3, "cannot be read"),
    ],
)
def test_a_row_that_is_none_is_named_by_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(BadRow, match=why) as found:
        read(text)
    assert found.value.line in (line, line - 1)


def test_nul_ends_no_table() -> None:
    assert read(written(Row(name="a", notes="one\0two"))) == [Row(name="a", notes="one␀two")]


def test_the_page_on_recovery_names_the_columns_in_order() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "recovery.md").read_text(encoding="utf-8")
    table = page.partition("## index.csv")[2].partition("\n## ")[0]
    named = [
        word for line in table.splitlines() if line.startswith("| `") for word in line.split("|")[1].split("`")[1::2]
    ]
    assert tuple(named) == rows.COLUMNS
