"""Lays a catalog out into pages: by tag, by name, and what is not on this disk.

    index.html                        tags, and the first step to any name
    pages/tags/<hh>/<tag>.html        the files of a tag, or its parts
    pages/names/<hh>/<mark>.html      files in order of names
    pages/away/<hh>/<device>.html     files whose bytes are elsewhere
    pages/lists/tags/<mark>.html      all tags, where they are too many for the first page
    pages/lists/names/<mark>.html     stretches of names, likewise

Any file is three clicks away: a stretch of names, a shorter one, the file; or a tag, a stretch,
the file. Every page lies three folders deep, so that a row reads the same on each.

Where a list ends a page is decided by the files themselves (eight random bytes of a GUID), not by
counting: one more file changes the page that it is on and no other. So little is written again,
and little travels.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

from pyroaring import BitMap

from tagfs.recovery import html, words
from tagfs.recovery.catalog import DEPTH, Catalog
from tagfs.slug import slug
from tagfs.tag import split_tag

LEAST, MOST, ONE_IN = 250, 1000, 400
"""Rows of a page; between the two one file in so many begins a new one."""
FULL_ROWS = 200_000
"""Up to so many rows in all lists of tags each says all there is to say; beyond, name, day and size."""
INLINE = 200
"""Up to so many files stand on the first page."""
STRETCHES = 48
"""Up to so many stretches of names stand on the first page."""
TAGS = 1500
LIST_LEAST, LIST_MOST, LIST_ONE_IN = 150, 500, 150
LABEL = 32

Put = Callable[[str, bytes], None]
_HOME = (DEPTH + "index.html", "All files")


class Listed(NamedTuple):
    """A list of files that has a page: its title, how many there are, where, and in how many parts."""

    title: str
    files: int
    path: str
    parts: int


class Part(NamedTuple):
    """A stretch of a list: `first` and `past` are places in it."""

    first: int
    past: int
    path: str
    label: str


class Names:
    """A catalog in order of names. `order`: rank -> position; `rank`: position -> rank."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        keys, spool = catalog.keys, catalog.spool
        places = sorted(range(len(keys)), key=keys.__getitem__)
        at = 0
        while at < len(places):
            end = at + 1
            while end < len(places) and keys[places[end]] == keys[places[at]]:
                end += 1
            if end - at > 1:
                same = [(html.name_in(spool.piece(place)), catalog.marks[place], place) for place in places[at:end]]
                places[at:end] = [place for _, _, place in sorted(same)]
            at = end
        catalog.keys = []
        self.order = array("I", places)
        self.rank = array("I", bytes(4 * len(places)))
        for rank, place in enumerate(self.order):
            self.rank[place] = rank
        self.edges = BitMap([rank for rank, place in enumerate(self.order) if _is_edge(catalog.marks[place], ONE_IN)])

    def ranked(self, positions: array[int]) -> BitMap:
        return BitMap(map(self.rank.__getitem__, positions))

    def mark(self, rank: int) -> str:
        """What a page is called that begins with this file."""
        return f"{self._catalog.marks[self.order[rank]]:016x}"

    def name(self, rank: int) -> str:
        return html.name_in(self._catalog.spool.piece(self.order[rank]))

    def rows(self, ranks: Iterable[int], *, full: bool) -> list[bytes]:
        """The rows of files."""
        whole, begins = self._catalog.spool.pieces(), self._catalog.spool.ends
        places = [*map(self.order.__getitem__, ranks)]
        if full:
            return [whole[begins[place] : begins[place + 1]] for place in places]
        ends = self._catalog.short_ends
        return [whole[begins[place] : ends[place]] for place in places]


def _is_edge(mark: int, one_in: int) -> bool:
    return (mark >> 16) % one_in == 0


def cut(total: int, edges: Sequence[int], least: int, most: int) -> list[tuple[int, int]]:
    """Where a list is cut: at edges (ascending places in it), in stretches of `least` to `most`. Pure."""
    out, first, at = [], 0, 0
    while first < total:
        past = min(first + most, total)
        while at < len(edges) and edges[at] < first + least:
            at += 1
        if at < len(edges) and edges[at] < past:
            past = edges[at]
        out.append((first, past))
        first = past
    return out


def label(first: str, last: str) -> str:
    """What a stretch is called."""
    first, last = words.short(first, LABEL), words.short(last, LABEL)
    return first if first == last else f"{first} … {last}"


def _told_apart(labels: Sequence[str]) -> list[str]:
    """Labels of stretches that say the same get a number."""
    out, before, count = [], "", 1
    for at, one in enumerate(labels):
        count = count + 1 if one == before else 1
        more = count > 1 or labels[at + 1 : at + 2] == [one]
        before = one
        out.append(f"{one} (part {count})" if more else one)
    return out


def parts_of(names: Names, ranks: BitMap, path_of: Callable[[str], str]) -> tuple[array[int], list[Part]]:
    """The ranks of a list in order, and its parts."""
    ordered = ranks.to_array()
    edges = [ranks.rank(edge) - 1 for edge in ranks & names.edges]
    stretches = cut(len(ordered), edges, LEAST, MOST)
    labels = _told_apart([label(names.name(ordered[a]), names.name(ordered[b - 1])) for a, b in stretches])
    parts = [
        Part(first, past, path_of(names.mark(ordered[first])), said)
        for (first, past), said in zip(stretches, labels, strict=True)
    ]
    return ordered, parts


def safe(text: str, also: str = "") -> tuple[str, str]:
    """(two hex digits, file name without its ending) for a page about a text."""
    digest = blake2b(f"{also}{text}".encode(), digest_size=5).hexdigest()
    stem = slug(text.replace("=", " ") + ".")[0][:40]
    return digest[:2], f"{stem}-{digest}" if stem else digest


# -- lists of files


def write_list(
    names: Names, put: Put, kind: str, key: str, title: str, intro: str, ranks: BitMap, *, full: bool
) -> Listed:
    """The page of a list of files, and those of its parts."""
    folder, stem = safe(key, kind)
    below = f"pages/{kind}/{folder}/"
    path = f"{below}{stem}.html"
    said = words.count(len(ranks), "file")
    if len(ranks) <= MOST:
        body = html.table(said, html.FULL if full else html.SHORT, names.rows(ranks.to_array(), full=full))
        put(path, html.page(title, [_HOME], [intro, body]))
        return Listed(title, len(ranks), path, 1)
    ordered, parts = parts_of(names, ranks, lambda mark: f"{stem}-{mark}.html")
    put(path, html.page(title, [_HOME], [intro, f"<p>{said}, in order of their names.</p>\n", links_to(parts)]))
    for at, part in enumerate(parts):
        links = [_HOME, (f"{stem}.html", title), *_beside(parts, at)]
        rows = names.rows(ordered[part.first : part.past], full=full)
        table = html.table(words.count(part.past - part.first, "file"), html.FULL if full else html.SHORT, rows)
        put(below + part.path, html.page(f"{title}: {part.label}", links, [table]))
    return Listed(title, len(ranks), path, len(parts))


def links_to(parts: Sequence[Part]) -> str:
    items = "".join(
        f"<li>{html.link(part.path, part.label)} <span>{words.number(part.past - part.first)}</span>\n"
        for part in parts
    )
    return f'<ul class="parts">\n{items}</ul>\n'


def _beside(parts: Sequence[Part], at: int, up: str = "") -> list[tuple[str, str]]:
    out = []
    if at:
        out.append((up + parts[at - 1].path, "Previous"))
    if at + 1 < len(parts):
        out.append((up + parts[at + 1].path, "Next"))
    return out


# -- all lists


class Laid(NamedTuple):
    """What the first page leads to."""

    tags: list[tuple[str, Listed]]
    """(tag, its page), in order."""
    untagged: Listed | None
    away: list[Listed]
    names: list[Part]
    """Stretches of names, paths from the first page; none where all rows stand there."""
    more_tags: list[Part]
    """Pages with all tags, where the first has not all of them."""


def lay_out(catalog: Catalog, names: Names, put: Put) -> Laid:
    """Write all pages but the first."""
    total = sum(map(len, catalog.by_tag.values()))
    full = total <= FULL_ROWS
    tags = []
    for tag in sorted(catalog.by_tag, key=lambda one: (one.casefold(), one)):
        tags.append((tag, _tag_page(catalog, names, put, tag, full=full)))
    for tag in sorted(catalog.implied.keys() - catalog.by_tag.keys()):
        tags.append((tag, _tag_page(catalog, names, put, tag, full=full)))
    tags.sort(key=lambda one: (one[0].casefold(), one[0]))
    untagged = None
    if catalog.untagged:
        ranks = names.ranked(catalog.untagged)
        untagged = write_list(names, put, "tags", "", "Files without a tag", "", ranks, full=full)
    away = []
    for device in sorted(catalog.missing):
        ranks = names.ranked(catalog.missing[device])
        title = f"Not on this disk, but on {device}"
        away.append(write_list(names, put, "away", device, title, "", ranks, full=full))
    return Laid(tags, untagged, away, _name_pages(catalog, names, put), _tag_lists(tags, put))


def _tag_page(catalog: Catalog, names: Names, put: Put, tag: str, *, full: bool) -> Listed:
    ranks = BitMap()
    meant = catalog.implied.get(tag, [tag])
    for one in meant:
        if one in catalog.by_tag:
            ranks |= names.ranked(catalog.by_tag[one])
    others = [one for one in meant if one != tag]
    intro = f"<p>With what has the tag {words.html(words.listed(others, 'or'))}.</p>\n" if others else ""
    return write_list(names, put, "tags", tag, tag, intro, ranks, full=full)


def _name_pages(catalog: Catalog, names: Names, put: Put) -> list[Part]:
    if len(catalog) <= INLINE:
        return []
    everything = BitMap(range(len(catalog)))
    ordered, parts = parts_of(names, everything, lambda mark: f"{mark[-2:]}/{mark}.html")
    grouped = len(parts) > STRETCHES
    groups = _grouped(names, ordered, parts) if grouped else []
    home = {at: group for group in groups for at in range(group.first, group.past)}
    for at, part in enumerate(parts):
        links = [_HOME]
        if grouped:
            links.append((DEPTH + home[at].path, "These names"))
        rows = names.rows(ordered[part.first : part.past], full=True)
        table = html.table(words.count(part.past - part.first, "file"), html.FULL, rows)
        put("pages/names/" + part.path, html.page(part.label, [*links, *_beside(parts, at, "../")], [table]))
    for at, group in enumerate(groups):
        here = [one._replace(path="../../names/" + one.path) for one in parts[group.first : group.past]]
        links = [_HOME, *_beside(groups, at, DEPTH)]
        put(group.path, html.page(f"Names: {group.label}", links, [links_to(here)]))
    if grouped:
        files = [sum(part.past - part.first for part in parts[group.first : group.past]) for group in groups]
        return [group._replace(first=0, past=count) for group, count in zip(groups, files, strict=True)]
    return [part._replace(path="pages/names/" + part.path) for part in parts]


def _grouped(names: Names, ordered: array[int], parts: Sequence[Part]) -> list[Part]:
    """Stretches of stretches, as many as there are stretches in each."""
    many = max(12, round(len(parts) ** 0.5))
    # By powers of two, so that a few parts more do not cut all of it anew.
    many = 1 << (many - 1).bit_length()
    marks = [names.mark(ordered[part.first]) for part in parts]
    edges = [at for at, mark in enumerate(marks) if _is_edge(int(mark, 16) >> 20, many)]
    stretches = cut(len(parts), edges, many // 2, many * 2)
    labels = _told_apart(
        [label(names.name(ordered[parts[a].first]), names.name(ordered[parts[b - 1].past - 1])) for a, b in stretches]
    )
    return [
        Part(first, past, f"pages/lists/names/{marks[first]}.html", said)
        for (first, past), said in zip(stretches, labels, strict=True)
    ]


# -- tags


def _tag_lists(tags: Sequence[tuple[str, Listed]], put: Put) -> list[Part]:
    """Pages with all tags, where they are too many for the first page."""
    if len(tags) <= TAGS:
        return []
    digests = [safe(tag, "list")[1].rpartition("-")[2] for tag, _ in tags]
    edges = [at for at, digest in enumerate(digests) if int(digest, 16) % LIST_ONE_IN == 0]
    stretches = cut(len(tags), edges, LIST_LEAST, LIST_MOST)
    labels = _told_apart([label(tags[a][0], tags[b - 1][0]) for a, b in stretches])
    parts = [
        Part(first, past, f"pages/lists/tags/{digests[first]}.html", said)
        for (first, past), said in zip(stretches, labels, strict=True)
    ]
    for at, part in enumerate(parts):
        links = [_HOME, *_beside(parts, at, DEPTH)]
        put(part.path, html.page(f"Tags: {part.label}", links, [tag_links(tags[part.first : part.past], DEPTH)]))
    return parts


def for_first_page(tags: Sequence[tuple[str, Listed]]) -> list[tuple[str, Listed]]:
    """The tags on the first page: all, or those with most files and all that have more than one page."""
    if len(tags) <= TAGS:
        return list(tags)
    rare = sorted((-listed.files, tag) for tag, listed in tags if listed.parts == 1)
    room = max(0, TAGS // 4 - (len(tags) - len(rare)))
    left_out = {tag for _, tag in rare[room:]}
    return [one for one in tags if one[0] not in left_out]


def tag_links(tags: Sequence[tuple[str, Listed]], up: str = "", rank: int = 2) -> str:
    """Lists of links: plain tags, then values by their key."""
    plain = [(tag, listed) for tag, listed in tags if split_tag(tag)[1] is None]
    by_key: dict[str, list[tuple[str, Listed]]] = {}
    for tag, listed in tags:
        key, value = split_tag(tag)
        if value is not None:
            by_key.setdefault(key, []).append((value, listed))
    out = [_tag_list(plain, up)] if plain else []
    for key, values in by_key.items():
        out.append(f"<h{rank}>{words.html(key)}</h{rank}>\n{_tag_list(values, up)}")
    return "".join(out)


def _tag_list(items: Sequence[tuple[str, Listed]], up: str) -> str:
    lines = "".join(
        f"<li>{html.link(up + listed.path, text)} <span>{words.number(listed.files)}</span>\n" for text, listed in items
    )
    return f'<ul class="tags">\n{lines}</ul>\n'
