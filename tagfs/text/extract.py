"""Text out of files, by what their names say they are. Runs in the worker process only (`worker`).

Whatever a file holds, the answer is a text, "" where there is none in it; what goes wrong
in a library is the caller's to catch. Rules:

- Bounded: at most `MOST_BYTES` of a plain file are read, `MOST_CHARS` of text come out, and
  what is packed is unpacked only as far as that takes.
- A file is asked only for what people read in it: no scripts and styles of a page, no
  formulas' markup, no pictures.
- Names decide (as in `tagfs.mime`), and for names that say nothing the first bytes: a text
  without an extension is a text.
"""

from __future__ import annotations

import codecs
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from typing import IO, NamedTuple
from xml.parsers.expat import ParserCreate

MOST_BYTES = 16 << 20
MOST_CHARS = 2_000_000
_CHUNK_BYTES = 1 << 16

_PLAIN_TABLE = """
    asc asm bas bash bat bib c cc cfg clj cmake conf cpp cs css csv cxx d dart diff eml el erl ex
    f90 fish gmi go gradle groovy h hh hpp hs ics ini ino java jl js json jsonl kt lisp log lua m
    mak markdown md mdx mjs mk ml nfo nim nix opml org patch php pl pm po properties ps1 py r rb rs
    rst sass scala scm scss sh sql srt sub svelte tcl tex text textile toml ts tsv tsx txt typ vb
    vcf vim vtt vue xml yaml yml zig zsh
"""
_PLAIN = frozenset(_PLAIN_TABLE.split())
_PAGES = frozenset(["htm", "html", "mhtml", "shtml", "svg", "xht", "xhtml"])
_DOCX = frozenset(["docm", "docx", "dotx"])
_SHEETS = frozenset(["xlsm", "xlsx"])
_SLIDES = frozenset(["pptm", "pptx"])
_OPEN = frozenset(["odg", "odp", "ods", "odt", "otp", "ots", "ott", "fodt", "fods", "fodp"])
READABLE = _PLAIN | _PAGES | _DOCX | _SHEETS | _SLIDES | _OPEN | frozenset({"pdf", "epub", ""})
"""Extensions of files that may have a text."""


def extract(path: str, extension: str) -> str:
    """The text of a file.

    Args:
        extension: of the file's name as a person knows it, in lower case, without its dot.
    Raises:
        OSError, and whatever the libraries raise for files that are not what they seem.
    """
    parts: Iterable[str]
    if os.path.getsize(path) == 0:
        return ""
    if extension == "pdf":
        parts = _pdf(path)
    elif extension == "epub":
        parts = _epub(path)
    elif extension in _DOCX:
        parts = _packed(path, re.compile(r"word/(document|footnotes|endnotes|header\d*|footer\d*)\.xml"), _WORD)
    elif extension in _SLIDES:
        parts = _packed(path, re.compile(r"ppt/(slides|notesSlides)/[^/]+\.xml"), _DRAWING)
    elif extension in _SHEETS:
        parts = _packed(path, re.compile(r"xl/(sharedStrings|worksheets/[^/]+)\.xml"), _SHEET)
    elif extension in _OPEN and extension[0] != "f":
        parts = _packed(path, re.compile(r"content\.xml"), _OPEN_DOCUMENT)
    elif extension in _OPEN:
        with open(path, "rb") as file:
            parts = list(_xml_text(file, _OPEN_DOCUMENT))
    elif extension in _PAGES:
        parts = _page(_decoded(path))
    elif extension in _PLAIN or extension == "":
        parts = [_decoded(path)]
    else:
        return ""
    return bounded(parts)


def bounded(parts: Iterable[str]) -> str:
    """Parts joined, at most `MOST_CHARS` of them."""
    out: list[str] = []
    room = MOST_CHARS
    for part in parts:
        out.append(part[:room])
        room -= len(out[-1]) + 1
        if room <= 0:
            break
    return "\n".join(out)


# -- plain text ----------------------------------------------------------------


def _decoded(path: str) -> str:
    with open(path, "rb") as file:
        return decoded(file.read(MOST_BYTES))


def decoded(data: bytes) -> str:
    """Bytes as text: by their mark, else UTF-8, else what most old files here are (Windows' Latin letters).

    "" for bytes that are no text: they hold zero bytes.
    """
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(name, "replace")
    if b"\0" in data[:4096]:
        return ""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data)  # the last letter may be cut
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


# -- pages ---------------------------------------------------------------------


class _Page(HTMLParser):
    _SKIPPED = frozenset({"script", "style", "template", "noscript"})
    _WITHIN = frozenset({"a", "abbr", "b", "bdi", "cite", "code", "em", "font", "i", "kbd", "mark", "q", "s", "small",
                         "span", "strong", "sub", "sup", "tspan", "u", "var", "wbr"})  # fmt: skip

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._skipping = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._SKIPPED:
            self._skipping += 1
        elif tag not in self._WITHIN:
            self.parts.append("\n")
        for name, value in attrs:
            if name == "alt" and value:
                self.parts.append(value)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._SKIPPED:
            self._skipping = max(0, self._skipping - 1)
        elif tag not in self._WITHIN:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.parts.append(data)


def _page(text: str) -> list[str]:
    page = _Page()
    page.feed(text)
    page.close()
    return [line.strip() for line in "".join(page.parts).splitlines() if line.strip()]


# -- XML in a zip --------------------------------------------------------------


class _Kind(NamedTuple):
    """Which elements of a kind of document hold letters (None: all), which end a paragraph, and which are a blank."""

    text: frozenset[str] | None
    ends: frozenset[str]
    blanks: frozenset[str]


_WORD = _Kind(frozenset({"t"}), frozenset({"p"}), frozenset({"tab", "br", "cr"}))
_DRAWING = _Kind(frozenset({"t"}), frozenset({"p"}), frozenset({"br"}))
_SHEET = _Kind(frozenset({"t"}), frozenset({"si", "is"}), frozenset())  # texts stand together, or each in its cell
_OPEN_DOCUMENT = _Kind(None, frozenset({"p", "h", "table-cell"}), frozenset({"s", "tab", "line-break"}))


def _xml_text(file: IO[bytes], kind: _Kind) -> Iterator[str]:
    """The paragraphs of a document in XML, as it is read: no tree of it is made."""
    parser = ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    paragraph: list[str] = []
    done: list[str] = []
    within: list[bool] = [kind.text is None]

    def start(name: str, _: object) -> None:
        name = name.rpartition("}")[2]
        within.append(within[-1] or (kind.text is not None and name in kind.text))
        if name in kind.blanks:
            paragraph.append(" ")

    def end(name: str) -> None:
        within.pop()
        if name.rpartition("}")[2] in kind.ends:
            done.append("".join(paragraph).strip())
            paragraph.clear()

    def letters(data: str) -> None:
        if within[-1]:
            paragraph.append(data)

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, letters
    left = MOST_BYTES
    while left > 0 and (data := file.read(_CHUNK_BYTES)):
        left -= len(data)
        parser.Parse(data)
        yield from filter(None, done)
        done.clear()
    yield "".join(paragraph).strip()


def _packed(path: str, wanted: re.Pattern[str], kind: _Kind) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        for name in sorted(filter(wanted.fullmatch, archive.namelist()), key=_by_number):
            with archive.open(name) as file:
                yield from _xml_text(file, kind)


def _by_number(name: str) -> tuple[list[int], str]:
    """`slide2.xml` before `slide10.xml`."""
    return [int(number) for number in re.findall(r"[0-9]+", name)], name


def _epub(path: str) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if os.path.splitext(name)[1].lower() in (".xhtml", ".html", ".htm"):
                with archive.open(name) as file:
                    yield from _page(decoded(file.read(MOST_BYTES)))


# -- PDF -----------------------------------------------------------------------


def _pdf(path: str) -> Iterator[str]:
    import logging

    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it tells of each page that is not as it should be
    reader = PdfReader(path)
    if reader.is_encrypted and not reader.decrypt(""):
        return
    for field in (reader.metadata.title, reader.metadata.author, reader.metadata.subject) if reader.metadata else ():
        if isinstance(field, str):
            yield field
    for page in reader.pages:
        try:
            yield page.extract_text()
        except Exception:  # noqa: BLE001 - one page that cannot be read does not hide the others
            continue
