"""The pieces of the HTML pages: a row, a table, a whole page. Pure; texts come in as a person wrote them.

A page needs no script, no network and no other file: its few lines of style are in it. Landmarks,
one heading of the first rank, tables with captions and headers, and a link past the navigation are
what a screen reader and a keyboard go by. End tags of rows and cells are left out, which HTML
allows and which saves a tenth of a page with a thousand rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import unescape
from importlib import resources
from urllib.parse import quote

from tagfs.recovery.words import html

MOST_NOTES = 600
"""So many characters of notes stand in a page; the whole is in `index.csv`."""
_plain_path = re.compile(r"[A-Za-z0-9/._~-]*\Z")
_NAME = re.compile(rb'<tr><th scope="row">(?:<a href="[^"]*">([^<]*)</a>|([^<]*) <span>)')
_css = ""


def style() -> str:
    """The style, as it stands in each page."""
    global _css
    if not _css:
        text = resources.files("tagfs.recovery").joinpath("templates", "page.css").read_text(encoding="utf-8")
        _css = re.sub(r"\s*\n\s*", "\n", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)).strip()
    return _css


def href(path: str) -> str:
    """A path as a relative link, or a place on the same page."""
    return (
        path if path[:1] == "#" or _plain_path.match(path) else quote(path.encode("utf-8", "surrogateescape"), safe="/")
    )


def link(path: str, text: str) -> str:
    return f'<a href="{href(path)}">{html(text)}</a>'


# -- rows


def short_row(path: str, name: str, day: str, size: str, where: str) -> str:
    """A row with name, day and size. `where`: where its bytes are if they are not here."""
    if path:
        return f'<tr><th scope="row"><a href="{href(path)}">{html(name)}</a><td>{day}<td>{size}'
    return f'<tr><th scope="row">{html(name)} <span>(not on this disk; {html(where)})</span><td>{day}<td>{size}'


def rest_of_row(tags: str, notes: str) -> str:
    """What a full row has beside. `tags` is HTML already."""
    if not notes:
        return f"<td>{tags}<td>"
    if len(notes) > MOST_NOTES:
        notes = notes[:MOST_NOTES] + " … (the whole is in index.csv)"
    lines = notes.strip().splitlines() or [""]
    return f"<td>{tags}<td>{'<br>'.join(map(html, lines))}"


def name_in(row: bytes) -> str:
    """The name of the file that a row is about."""
    found = _NAME.match(row)
    return unescape((found[1] or found[2] or b"").decode()) if found is not None else ""


SHORT = ("Name", "Changed on", "Size")
FULL = (*SHORT, "Tags", "Notes")


def table(caption: str, columns: Sequence[str], rows: Iterable[bytes]) -> bytes:
    """A table of files."""
    head = "".join(f'<th scope="col">{column}' for column in columns)
    return b"".join(
        (
            f'<table class="files"><caption>{html(caption)}</caption>\n<thead><tr>{head}<tbody>\n'.encode(),
            b"\n".join(rows),
            b"\n</table>\n",
        )
    )


# -- pages


def nav(links: Sequence[tuple[str, str]], label: str) -> str:
    """Links (path relative to the page, text) as a landmark; "" for none."""
    if not links:
        return ""
    items = "".join(f"<li>{link(path, text)}" for path, text in links)
    return f'<nav aria-label="{html(label)}"><ul>{items}</ul></nav>\n'


def page(title: str, links: Sequence[tuple[str, str]], body: Iterable[str | bytes], foot: str = "") -> bytes:
    """A whole page. `body` is HTML; `links` lead to where one came from and to what is beside."""
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="generator" content="lyts">\n'
        f"<title>{html(title)}</title>\n<style>\n{style()}\n</style>\n</head>\n<body>\n"
        '<a class="past" href="#main">To the contents of this page</a>\n'
        f"<header>\n{nav(links, 'Pages')}</header>\n"
        f'<main id="main">\n<h1>{html(title)}</h1>\n'
    )
    whole = [head.encode()]
    whole += [part if isinstance(part, bytes) else part.encode() for part in body]
    bottom = nav(links, "Pages, again") if len(links) > 1 else ""
    whole.append(f"</main>\n<footer>\n{bottom}{foot}</footer>\n</body>\n</html>\n".encode())
    return b"".join(whole)


def is_ours(head: bytes) -> bool:
    """Whether what begins so is a page that was made here."""
    return b'<meta name="generator" content="lyts">' in head
