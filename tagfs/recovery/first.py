"""The first page, `index.html`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tagfs.recovery import html, words
from tagfs.recovery.catalog import DEPTH, Catalog
from tagfs.recovery.pages import Laid, Listed, Names, for_first_page, tag_links

_UP = f'href="{DEPTH}'.encode()


class Said(NamedTuple):
    """What stands above the lists: a title, and what the folder is in a sentence; below them the day, "" for none."""

    title: str
    what: str
    day: str


def first_page(catalog: Catalog, names: Names, laid: Laid, said: Said) -> bytes:
    """`index.html`."""
    counts = catalog.counts
    body: list[str | bytes] = [f"<p>{words.html(said.what)}</p>\n"]
    if not len(catalog):
        body.append("<p>There are no files here yet.</p>\n")
    else:
        body.append(
            f"<p>Here are {words.count(counts.here, 'file')}, {words.size(counts.here_bytes)}. Click on a name to "
            "open the file. Nothing needs to be installed, and no internet is needed.</p>\n"
        )
    if counts.missing:
        body.append(
            f"<p><strong>{words.count(counts.missing, 'more file')} cannot be opened here</strong>, because other "
            'devices keep them: see <a href="#away">what is not on this disk</a>.</p>\n'
        )
    shown = for_first_page(laid.tags)
    sections = [("tags", "By tag")] if shown or laid.untagged else []
    if len(catalog):
        sections.append(("names", "By name"))
    if laid.away:
        sections.append(("away", "Not on this disk"))
    if len(sections) > 1:
        body.append(html.nav([("#" + anchor, text) for anchor, text in sections], "On this page"))
    if shown or laid.untagged:
        body.append(
            '<h2 id="tags">By tag</h2>\n<p>Words that were given to the files, and how many files have each.</p>\n'
        )
        if shown:
            body.append(tag_links(shown, rank=3))
        if laid.more_tags:
            rest = len(laid.tags) - len(shown)
            body.append(f"<h3>All tags</h3>\n<p>{words.count(rest, 'rarer tag')} and those above, in order:</p>\n")
            body.append(_links([(part.path, part.label, part.past - part.first) for part in laid.more_tags]))
        if laid.untagged:
            body.append("<h3>Others</h3>\n")
            body.append(_links([_line(laid.untagged)]))
    if len(catalog):
        body.append('<h2 id="names">By name</h2>\n')
        if laid.names:
            body.append(_links([(part.path, part.label, part.past - part.first) for part in laid.names]))
        else:
            rows = (row.replace(_UP, b'href="') for row in names.rows(range(len(catalog)), full=True))
            body.append(html.table(words.count(len(catalog), "file"), html.FULL, rows))
    if laid.away:
        body.append('<h2 id="away">Not on this disk</h2>\n<p>These files are known here, and kept elsewhere.</p>\n')
        body.append(_links([_line(one) for one in laid.away]))
    written = f"Written on {said.day}. " if said.day else ""
    foot = (
        f'<p>{written}More about this folder: <a href="README.md">README.md</a>. '
        'The same list for a spreadsheet: <a href="index.csv">index.csv</a>.</p>\n'
    )
    return html.page(said.title, [], body, foot)


def _line(listed: Listed) -> tuple[str, str, int]:
    return listed.path, listed.title, listed.files


def _links(lines: Sequence[tuple[str, str, int]]) -> str:
    items = "".join(f"<li>{html.link(path, text)} <span>{words.number(count)}</span>\n" for path, text, count in lines)
    return f'<ul class="parts">\n{items}</ul>\n'
