"""Reads the pages of a store as a person with a browser does: from file to file, along the links."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

CODE_TAGS = ("script", "iframe", "object", "embed", "link", "img", "form", "base")


class Link(NamedTuple):
    href: str
    text: str


class Page(HTMLParser):
    """A page: its links, its text, its tags, what it would fetch."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: list[Link] = []
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.text = ""
        self.title = ""
        self.source = path.read_text(encoding="utf-8")
        self._open: list[str] | None = None
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        said = dict(attrs)
        if tag == "a":
            self._open = [said["href"] or "", ""]
        self.fetched += [value or "" for name, value in attrs if name in ("src", "srcset", "data", "action", "style")]
        self.fetched += [name for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open is not None:
            self.links.append(Link(*self._open))
            self._open = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open is not None:
            self._open[1] += data
        if self.tags[-1:] == ["title"]:
            self.title += data

    def goes_to(self, link: Link) -> Path:
        """The file that a link leads to, as a browser finds it on a disk."""
        url = urlsplit(link.href)
        assert not url.scheme, link
        assert not url.netloc, link
        if not url.path:
            assert f'id="{url.fragment}"' in self.source, link
            return self.path
        return Path(os.path.normpath(os.path.join(self.path.parent, unquote(url.path))))


def pages_of(folder: Path) -> Iterator[Page]:
    """All pages of a folder."""
    yield Page(folder / "index.html")
    for path in sorted((folder / "pages").rglob("*.html")):
        yield Page(path)


def clicks_to(folder: Path) -> dict[Path, int]:
    """File -> how many clicks from `index.html` lead to it, at the least. Every link on the way leads somewhere."""
    first = folder / "index.html"
    found = {first: 0}
    pages = [first]
    while pages:
        after = []
        for path in pages:
            page = Page(path)
            for link in page.links:
                goal = page.goes_to(link)
                assert goal.is_file(), f"{path}: {link} leads nowhere"
                if goal not in found:
                    found[goal] = found[path] + 1
                    if goal.suffix == ".html" and folder / "pages" in goal.parents:
                        after.append(goal)
        pages = after
    return found


def open_by_name(folder: Path, name: str) -> Path:
    """What opens for somebody who looks for a name in the pages."""
    for page in pages_of(folder):
        for link in page.links:
            if link.text == name:
                return page.goes_to(link)
    raise AssertionError(f"no page of {folder} names {name!r}")


def manifest_of(folder: Path) -> dict[str, str]:
    """Path -> hash, as `manifest-sha256.txt` has it."""
    lines = (folder / "manifest-sha256.txt").read_text(encoding="utf-8").splitlines()
    return {line[66:]: line[:64] for line in lines}


def data_of(folder: Path) -> dict[str, str]:
    """Path -> hash of every data file on the disk, below a store or below the folder of a set."""
    below = [folder / "data"] if (folder / "data").is_dir() else sorted(folder.glob("sets/*/data"))
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for data in below
        for path in data.rglob("*")
        if path.is_file()
    }


def generated(folder: Path) -> dict[str, bytes]:
    """What was generated in a folder: path -> bytes. What Syncthing is replacing just now is not there."""
    names = ["README.md", "index.html", "index.csv", "manifest-sha256.txt", "FORMAT.md", "recover.sh", "recover.py"]
    found = {}
    pages = [Path(below, name) for below, _, names_in in os.walk(folder / "pages") for name in names_in]
    for path in (*(folder / name for name in names), *pages):
        try:
            found[str(path.relative_to(folder))] = path.read_bytes()
        except FileNotFoundError:
            continue
    return found
