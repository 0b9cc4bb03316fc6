"""The text that comes out of files of each kind; the files are made here, as programs make them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tagfs.text import extract as extracting
from tagfs.text.extract import decoded, extract

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
_P = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
_S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_O = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
)
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def packed(path: Path, **members: str) -> str:
    """A zip file; in the names of its members `__` is a slash and `_` a dot."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), text)
    return str(path)


def slide(*words: str) -> str:
    runs = "".join(f"<a:r><a:t>{word}</a:t></a:r>" for word in words)
    return f"{_HEAD}<p:sld {_P} {_A}><p:txBody><a:p>{runs}</a:p></p:txBody></p:sld>"


def test_a_letter_in_docx(tmp_path: Path) -> None:
    body = (
        f"{_HEAD}<w:document {_W}><w:body>"
        '<w:p><w:r><w:rPr><w:b/></w:rPr><w:t>App</w:t></w:r><w:r><w:t xml:space="preserve">le </w:t></w:r>'
        "<w:r><w:t>strudel</w:t></w:r></w:p>"
        "<w:p><w:r><w:t>one</w:t><w:tab/><w:t>two &amp; Schöne</w:t><w:br/><w:t>three</w:t></w:r></w:p>"
        "<w:p><w:r><w:instrText>PAGEREF hidden</w:instrText></w:r></w:p>"
        "</w:body></w:document>"
    )
    path = packed(
        tmp_path / "a.docx",
        word__document_xml=body,
        word__footnotes_xml=f"{_HEAD}<w:footnotes {_W}><w:p><w:r><w:t>a footnote</w:t></w:r></w:p></w:footnotes>",
        word__header1_xml=f"{_HEAD}<w:hdr {_W}><w:p><w:r><w:t>a header</w:t></w:r></w:p></w:hdr>",
        word__styles_xml=f"{_HEAD}<w:styles {_W}><w:p><w:r><w:t>stylename</w:t></w:r></w:p></w:styles>",
    )
    lines = extract(path, "docx").splitlines()
    assert {"Apple strudel", "one two & Schöne three", "a footnote", "a header"} == set(filter(None, lines))


def test_a_text_in_odt(tmp_path: Path) -> None:
    content = (
        f"{_HEAD}<office:document-content {_O}><office:body><office:text>"
        "<text:h>Plum <text:span>jam</text:span></text:h>"
        '<text:p>sugar<text:s text:c="2"/>and<text:tab/>water<text:line-break/>slowly</text:p>'
        "</office:text></office:body></office:document-content>"
    )
    path = packed(tmp_path / "a.odt", mimetype="application/vnd.oasis.opendocument.text", content_xml=content)
    assert extract(path, "odt").splitlines()[:2] == ["Plum jam", "sugar and water slowly"]


def test_cells_of_ods_are_words_of_their_own(tmp_path: Path) -> None:
    row = "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in ("flour", "butter"))
    content = (
        f"{_HEAD}<office:document-content {_O}><office:body><office:spreadsheet><table:table><table:table-row>"
        f"{row}</table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"
    )
    assert extract(packed(tmp_path / "a.ods", content_xml=content), "ods").split() == ["flour", "butter"]
    flat = tmp_path / "a.fods"
    flat.write_text(content, encoding="utf-8")
    assert extract(str(flat), "fods").split() == ["flour", "butter"]


def test_slides_of_pptx_come_in_their_order_with_their_notes(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "a.pptx",
        ppt__slides__slide10_xml=slide("tenth"),
        ppt__slides__slide2_xml=slide("sec", "ond"),
        ppt__slides__slide1_xml=slide("first"),
        ppt__notesSlides__notesSlide1_xml=slide("to be said"),
        ppt__slideLayouts__slideLayout1_xml=slide("Click to edit"),
    )
    words = extract(path, "pptx").split("\n")
    assert [word for word in words if word in ("first", "second", "tenth")] == ["first", "second", "tenth"]
    assert "to be said" in words
    assert "Click to edit" not in words


def test_words_in_cells_of_xlsx(tmp_path: Path) -> None:
    texts = ("<t>Invoice</t>", "<r><t>Rai</t></r><r><t>ffeisen</t></r>", "<t>rent</t>")
    strings = f"{_HEAD}<sst {_S}>{''.join(f'<si>{text}</si>' for text in texts)}</sst>"
    sheet = (
        f"{_HEAD}<worksheet {_S}><sheetData><row><c t='s'><v>0</v></c><c t='inlineStr'><is><t>inlined</t></is></c>"
        "<c><f>SUM(A1:A9)</f><v>12</v></c></row></sheetData></worksheet>"
    )
    path = packed(tmp_path / "a.xlsx", xl__sharedStrings_xml=strings, xl__worksheets__sheet1_xml=sheet)
    assert extract(path, "xlsx").split() == ["Invoice", "Raiffeisen", "rent", "inlined"]


def test_chapters_of_epub_are_pages(tmp_path: Path) -> None:
    chapter = (
        "<html><head><title>Kapitel</title><style>p {color: red}</style></head>"
        "<body><p>Es w&auml;r &#x1F34E; so<b>bald</b></p></body></html>"
    )
    path = packed(
        tmp_path / "a.epub",
        mimetype="application/epub+zip",
        OEBPS__one_xhtml=chapter,
        OEBPS__style_css="p { margin: 0 }",
    )
    assert extract(path, "epub").splitlines() == ["Kapitel", "Es wär 🍎 sobald"]


@pytest.mark.parametrize("extension", ["docx", "odt", "pptx", "xlsx", "epub"])
def test_what_is_no_zip_is_an_error_and_an_empty_one_has_no_text(tmp_path: Path, extension: str) -> None:
    (tmp_path / "torn").write_bytes(b"PK\3\4 and then nothing")
    with pytest.raises(zipfile.BadZipFile):
        extract(str(tmp_path / "torn"), extension)
    assert extract(packed(tmp_path / "empty"), extension) == ""


@pytest.mark.parametrize("extension", ["pdf", "docx", "odt", "fodt", "epub", "html", "txt", ""])
def test_a_file_without_a_byte_has_no_text_and_is_no_trouble(tmp_path: Path, extension: str) -> None:
    (tmp_path / "nothing").touch()
    assert extract(str(tmp_path / "nothing"), extension) == ""


def test_a_document_that_grows_without_end_is_read_as_far_as_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extracting, "MOST_BYTES", 200_000)
    monkeypatch.setattr(extracting, "MOST_CHARS", 1_000)
    body = f"{_HEAD}<w:document {_W}><w:body>" + "<w:p><w:r><w:t>bomb</w:t></w:r></w:p>" * 100_000
    assert len(extract(packed(tmp_path / "a.docx", word__document_xml=body), "docx")) <= 1_000
    monkeypatch.setattr(extracting, "MOST_CHARS", 10_000_000)
    assert 0 < extract(packed(tmp_path / "a.docx", word__document_xml=body), "docx").count("bomb") < 10_000


@pytest.mark.parametrize(
    "data",
    ["Grüße aus Łódź, 東京 🍎".encode(encoding) for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32")]
    + [
        mark + "Grüße aus Łódź, 東京 🍎".encode(name)
        for mark, name in ((b"\xfe\xff", "utf-16-be"), (b"\0\0\xfe\xff", "utf-32-be"))
    ],
)
def test_texts_in_any_encoding_of_unicode(data: bytes) -> None:
    assert decoded(data) == "Grüße aus Łódź, 東京 🍎"


def test_old_texts_of_windows_are_read_and_other_bytes_are_none() -> None:
    assert decoded("„Grüße“ für 5 €".encode("cp1252")) == "„Grüße“ für 5 €"
    assert decoded(b"\x81 left open by the table") == "\ufffd left open by the table"
    assert decoded(b"\x7fELF\2\1\1\0\0\0") == ""
    assert decoded("é".encode()[:1].join([b"caf", b""])) == "caf"  # cut within a letter
    assert decoded(b"") == ""


def test_a_name_that_says_nothing_is_a_text_and_a_picture_has_none(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("read me")
    assert extract(str(tmp_path / "README"), "") == "read me"
    (tmp_path / "picture").write_bytes(b"\xff\xd8 words")
    assert extract(str(tmp_path / "picture"), "jpg") == ""
