#!/usr/bin/env python3
"""Gets a person's files out of a lyts store, as plain files in plain folders. Needs Python 3.6 or newer, nothing else.

You have found a folder (on a disk, in a backup) in which somebody kept files with a program
called lyts. This script copies those files out of it, with the names they had:

    python3 recover.py /where/to/put/them

It only reads the folder that it lies in, or the folders that you name:

    python3 recover.py /where/to/put/them /media/disk1/lyts /media/disk2/lyts

Several disks together give more than each alone. Run it again with the next disk and the
same target: it goes on, and does nothing twice. It changes nothing in the folders it reads.
Afterwards the target contains

    REPORT.txt        what came out, what is missing and who has it, what is damaged: read this first
    files/            the files, one folder for each tag: music/So What.flac. A file with several tags is
                      in the folder of each, and takes its room on the disk only once
    other-versions/   earlier versions, the other version where two people edited at once, and bytes
                      that are not what was written down for a file (damaged, or edited since)
    nameless/         files that are listed nowhere: no name was found, or their owner had thrown them away
    ledgers/          a copy of all notes about the files, unchanged
    FILES.csv         a table of the files in files/, with tags and notes, for a spreadsheet

With --layout the folders are made otherwise: `flat` (no folders), `date` (year and month in
which a file was last changed), `from` (the folders that the files once came from).

HOW A STORE IS BUILT, in case you want to do it by hand or with another program

    sets/<who keeps them>/data/9c/9c0f7be1-...--holiday-in-rome.jpg       the bytes of a file
    ledgers/<device>/20261122T101056.123Z-0002-1a2b3c4d.jsonl             what is known about files

A file is known by an identifier (9c0f7be1-...), with which the name of its bytes begins.
Each line of a ledger is one statement in JSON: that a file was made and had this name, that
it got a tag, that its content has this SHA-256. What is true of a file follows from all
statements about it together; class File below says how. FORMAT.md tells it in full.
"""

# Written so that the oldest Python 3 in use runs it, and so that it can be read on its own. Part of lyts;
# tests hold it against the program itself.

import argparse
import csv
import errno
import gc
import hashlib
import io
import json
import os
import re
import sys
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
STAMP = re.compile(r"\d{8}T([01]\d|2[0-3])[0-5]\d[0-5]\d\.\d{3}Z-[0-9a-f]{4}-[0-9a-f]{8}\Z", re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{0,8}[1-9]))?Z\Z", re.ASCII)
PIECE_BYTES = 1 << 20
NAME_BYTES = 255  # the longest name that file systems take
DERIVED = frozenset(("index", "index.new", "text", "syncthing", "migration", "pages"))
"""Folders of a store with nothing of a person's in them."""
PAGES = frozenset(
    (
        "README.md", "index.html", "index.csv", "manifest-sha256.txt", "recover.sh", "recover.py", "FORMAT.md",
        "store.toml", "sync.toml", "lock", "dirty", "mounts.lock", "seen.json", "proofs.jsonl", "CACHEDIR.TAG",
        "reserve", "sync.db", "devices.json",
    )
)  # fmt: skip
"""Files that lyts made by itself."""
ARRIVING = (".syncthing.", "~syncthing~")
"""So begin the names of what Syncthing has not received whole."""

FILES, OTHERS, NAMELESS, LEDGERS = "files", "other-versions", "nameless", "ledgers"
REPORT, TABLE, PART = "REPORT.txt", "FILES.csv", ".recovering"


# -- statements -----------------------------------------------------------------------------
#
# A statement that is not of the right form is counted and left out; nothing else is
# concerned by it. What it says of things that this script has never heard of is no error.


def is_stamp(value: Any) -> bool:
    """Whether a value is a stamp: when, and by which device (its last 8 digits). They compare as text."""
    return isinstance(value, str) and STAMP.match(value) is not None


def is_text(value: Any, longest: int = 200) -> bool:
    if not isinstance(value, str) or not value:
        return False
    return len(value) * 4 <= longest or len(value.encode("utf-8", "replace")) <= longest


def is_name(value: Any) -> bool:
    return is_text(value, NAME_BYTES) and "/" not in value and "\0" not in value and value not in (".", "..")


_TAGS: Set[str] = set()


def is_tag(value: Any) -> bool:
    if isinstance(value, str) and value in _TAGS:
        return True
    if not is_text(value) or value[0] == "=":
        return False
    _TAGS.add(value)  # the same ones come again and again
    return True


def is_list(value: Any, test: Any) -> bool:
    return isinstance(value, list) and all(map(test, value))


def is_removal(value: Any) -> bool:
    """Tag -> device -> the newest addition that is taken back."""
    return isinstance(value, dict) and all(
        is_tag(tag) and isinstance(seen, dict) and all(is_stamp(at) and at[26:] == who for who, at in seen.items())
        for tag, seen in value.items()
    )


def is_yes_no(value: Any) -> bool:
    return isinstance(value, dict) and all(GUID.match(k) and isinstance(v, bool) for k, v in value.items())


def is_content(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    sha256, was, size = value.get("sha256"), value.get("was"), value.get("size_bytes")
    return (
        isinstance(sha256, str)
        and SHA256.match(sha256) is not None
        and (was is None or (isinstance(was, str) and SHA256.match(was) is not None))
        and isinstance(size, int)
        and not isinstance(size, bool)
        and 0 <= size < 1 << 47
        and isinstance(value.get("modified"), str)
        and TIME.match(value["modified"]) is not None
    )


def is_birth(value: Any) -> bool:
    if not (isinstance(value, dict) and is_name(value.get("name")) and isinstance(value.get("data"), str)):
        return False
    if not all(value.get(key) is None or isinstance(value[key], str) for key in ("from", "raw_name")):
        return False
    folder, slash, name = value["data"].partition("/")
    return len(folder) == 2 and slash == "/" and is_name(name) and folder != ".." and "\0" not in folder


def is_purge(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and is_list(value.get("content"), lambda sha256: isinstance(sha256, str) and SHA256.match(sha256))
        and is_removal({"x": value.get("seen")})
    )


ABOUT_A_FILE = {
    "made": is_birth,
    "content": is_content,
    "tag": lambda value: is_list(value, is_tag),
    "untag": is_removal,
    "name": is_name,
    "notes": lambda value: isinstance(value, str),
    "mode": lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0o7777,
    "modified": lambda value: isinstance(value, str) and TIME.match(value) is not None,
    "holds": is_yes_no,
    "knows": is_yes_no,
    "trash": lambda value: isinstance(value, bool),
    "purge": is_purge,
}
ABOUT_A_TAG = {
    "alias": lambda value: is_list(value, is_tag),
    "unalias": is_removal,
}


def is_statement(said: Any) -> bool:
    """Whether a line of a ledger, already parsed, has the right form."""
    if not isinstance(said, dict) or not is_stamp(said.get("at")):
        return False
    by = said.get("by")
    if not (isinstance(by, str) and GUID.match(by) and said["at"][26:] == by[:8]):
        return False
    tests: Dict[str, Any] = {}
    if said.get("file") is not None:
        if not (isinstance(said["file"], str) and GUID.match(said["file"])):
            return False
        tests = ABOUT_A_FILE
    elif said.get("tag") is not None:
        if not is_tag(said["tag"]):
            return False
        tests = ABOUT_A_TAG
    elif said.get("node") is not None:
        node, alias = said["node"], said.get("alias")
        return isinstance(node, str) and GUID.match(node) is not None and (alias is None or isinstance(alias, str))
    for key, value in said.items():  # noqa: SIM110 - of all that is read in a ledger, a quarter of the time is here
        if value is not None and key in tests and not tests[key](value):
            return False
    return True


# -- what the statements come to --------------------------------------------------------------


def in_order(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def later(one: Tuple[str, Any], other: Tuple[str, Any]) -> Tuple[str, Any]:
    """Of two (stamp, value) the one that counts."""
    if one[0] != other[0]:
        return one if one[0] > other[0] else other
    return one if one[1] == other[1] or in_order(one[1]) > in_order(other[1]) else other


BIRTH = ("data", "from", "name", "raw_name")
CONTENT = ("modified", "sha256", "size_bytes", "was")
REGISTERS = frozenset(("name", "notes", "modified", "trash"))


class File:
    """A file, as all statements about it have it. They may come in any order, and more than once.

    - Of births the oldest counts; a file without one is not listed.
    - Of names, notes and the like the last one said counts.
    - A tag is there if some device added it later than any removal had seen of that device.
    - Of contents all count that no later one replaced (`was`).
    - Who holds the bytes, who may know of the file: for each device the last answer counts.
    - A removal (`trash`) is cancelled by a later tag or content.
    - The end (`purge`) holds unless there is something that it had not seen.
    """

    __slots__ = ("added", "born", "contents", "holds", "knows", "latest", "made", "purges", "removed", "said")

    def __init__(self) -> None:
        self.born = ("", "")
        self.made: Optional[Dict[str, Any]] = None
        self.said: Dict[str, Tuple[str, Any]] = {}
        self.added: Dict[str, Dict[str, str]] = {}
        self.removed: Dict[str, Dict[str, str]] = {}
        self.contents: Dict[str, Dict[str, Any]] = {}
        self.holds: Dict[str, Tuple[str, bool]] = {}
        self.knows: Dict[str, Tuple[str, bool]] = {}
        self.purges: Dict[str, Dict[str, Any]] = {}
        self.latest: Dict[str, str] = {}

    def add(self, said: Dict[str, Any]) -> None:
        """Take in one statement (`is_statement`)."""
        at = said["at"]
        who = at[26:]
        if said.get("purge") is not None:
            end = {key: said["purge"][key] for key in ("content", "seen")}
            self.purges[at] = later((at, end), (at, self.purges.get(at, end)))[1]
            return
        if at > self.latest.get(who, ""):
            self.latest[who] = at
        for key, value in said.items():
            if value is None:
                continue
            if key == "made":
                self._birth(at, said["by"], value)
            elif key == "tag":
                for tag in value:
                    by = self.added.setdefault(tag, {})
                    by[who] = max(at, by.get(who, ""))
            elif key == "content":
                content = {key: value[key] for key in CONTENT if value.get(key) is not None}
                self.contents[at] = later((at, content), (at, self.contents[at]))[1] if at in self.contents else content
            elif key == "holds" or key == "knows":
                answers = self.holds if key == "holds" else self.knows
                for device, yes in value.items():
                    answers[device] = later((at, yes), answers[device]) if device in answers else (at, yes)
            elif key in REGISTERS:
                self.said[key] = later((at, value), self.said[key]) if key in self.said else (at, value)
            elif key == "untag":
                for tag, seen in value.items():
                    by = self.removed.setdefault(tag, {})
                    for device, stamp in seen.items():
                        by[device] = max(stamp, by.get(device, ""))

    def _birth(self, at: str, by: str, made: Dict[str, Any]) -> None:
        made = {key: made[key] for key in BIRTH if made.get(key) is not None}
        born = (at, by)
        if self.made is None or born < self.born or (born == self.born and in_order(made) < in_order(self.made)):
            self.born, self.made = born, made

    def value(self, key: str, otherwise: Any) -> Any:
        return self.said[key][1] if key in self.said else otherwise

    def name(self) -> str:
        return str(self.value("name", self.made["name"] if self.made is not None else ""))

    def tags(self) -> List[str]:
        if not self.removed:
            return sorted(self.added)
        return sorted(
            tag
            for tag, by in self.added.items()
            if any(at > self.removed.get(tag, {}).get(who, "") for who, at in by.items())
        )

    def heads(self) -> List[Dict[str, Any]]:
        """The contents that no later one replaced, oldest first. More than one: edited on two devices at once."""
        if len(self.contents) < 2:
            return list(self.contents.values())
        replaced: Dict[str, str] = {}
        for at, content in sorted(self.contents.items()):
            if "was" in content:
                replaced[content["was"]] = at
        heads: Dict[str, Tuple[str, Dict[str, Any]]] = {}
        for at, content in sorted(self.contents.items()):
            if replaced.get(content["sha256"], "") <= at:
                heads[content["sha256"]] = (at, content)
        return [content for _, content in sorted(heads.values(), key=lambda head: head[0])]

    def modified(self) -> str:
        """When it was last changed, as text; "" where that is not known."""
        heads = self.heads()
        if not heads or (len(heads) == 1 and "modified" not in self.said):
            return str(heads[-1]["modified"]) if heads else ""
        stated = max(at for at, content in self.contents.items() if content == heads[-1])
        touched = self.said.get("modified", ("", ""))
        return str(touched[1] if touched[0] > stated else heads[-1]["modified"])

    def is_trashed(self) -> bool:
        at, yes = self.said.get("trash", ("", False))
        lives = any(added > at for by in self.added.values() for added in by.values())
        return bool(yes) and not lives and not any(edited > at for edited in self.contents)

    def is_purged(self) -> bool:
        return any(
            all(at <= purge["seen"].get(who, "") for who, at in self.latest.items())
            and all(content["sha256"] in purge["content"] for content in self.contents.values())
            for purge in self.purges.values()
        )

    def is_kept_from(self, device: str) -> bool:
        return not self.knows.get(device, ("", True))[1]

    def holders(self, devices: Iterable[str]) -> List[str]:
        """The devices that keep its bytes."""
        found = [device for device, (_, yes) in self.holds.items() if yes and not self.is_kept_from(device)]
        if found or self.made is None:
            return sorted(found)
        # All were taken out: the one taken out last keeps them; else the maker, else the lowest that may know it.
        dropped = [(at, device) for device, (at, _) in self.holds.items() if not self.is_kept_from(device)]
        if dropped:
            return [max(dropped)[1]]
        if not self.is_kept_from(self.born[1]):
            return [self.born[1]]
        return sorted(device for device in devices if not self.is_kept_from(device))[:1]


_parse = json.JSONDecoder().raw_decode


class Library:
    """All that was read in ledgers and tables."""

    def __init__(self) -> None:
        self.files: Dict[str, File] = {}
        self.devices: Dict[str, Tuple[str, str]] = {}
        self.left: Dict[str, Tuple[str, bool]] = {}
        self.others: Dict[str, Dict[str, Tuple[Dict[str, str], Dict[str, str]]]] = {}
        self.bad_lines: List[str] = []
        self.statements = 0
        self.viewers: Set[str] = set()
        self.rows: Dict[str, Row] = {}

    def read_ledger(self, path: str, shown: str) -> None:
        """Take in all lines of one ledger file. OSError where it cannot be read."""
        with open(path, "rb") as ledger:
            for number, line in enumerate(ledger, 1):
                line = line.strip(b"\r\n")
                if line and not self.read_line(line):
                    self.bad_lines.append("{}, line {}".format(shown, number))

    def read_line(self, line: bytes) -> bool:
        """Take in one line; False where it is no statement."""
        try:
            text = line.decode("utf-8", "replace").strip()
            said, end = _parse(text)
            if end != len(text) or not is_statement(said):
                return False
        except (ValueError, RecursionError):
            return False
        self.statements += 1
        guid, tag, node, at = said.get("file"), said.get("tag"), said.get("node"), said["at"]
        if guid is not None:
            if guid not in self.files:
                self.files[guid] = File()
            self.files[guid].add(said)
        elif tag is not None:
            pairs = self.others.setdefault(tag, {})
            for target in said.get("alias") or ():
                added = pairs.setdefault(target, ({}, {}))[0]
                added[at[26:]] = max(at, added.get(at[26:], ""))
            for target, seen in (said.get("unalias") or {}).items():
                removed = pairs.setdefault(target, ({}, {}))[1]
                for who, stamp in seen.items():
                    removed[who] = max(stamp, removed.get(who, ""))
        elif node is not None:
            self.devices.setdefault(node, ("", node[:8]))
            if said.get("alias") is not None:
                self.devices[node] = later((at, said["alias"]), self.devices[node])
            if isinstance(said.get("gone"), bool):
                self.left[node] = later((at, said["gone"]), self.left.get(node, ("", False)))
        return True

    def spelling(self) -> Dict[str, str]:
        """For each tag that is another name of one: that one. Of those that lead round in a circle the older stay."""
        edges = []
        for tag, targets in self.others.items():
            for target, (added, removed) in targets.items():
                standing = [at for who, at in added.items() if at > removed.get(who, "")]
                if standing:
                    edges.append((min(standing), tag, target))
        step: Dict[str, str] = {}
        for _, tag, target in sorted(edges):
            end = target
            while end in step and end != tag:
                end = step[end]
            if end != tag:
                step[tag] = target
        found = {}
        for tag in step:
            end = tag
            while end in step:
                end = step[end]
            found[tag] = end
        return found

    def names_of(self, devices: List[str]) -> List[str]:
        """What devices are called; those that left the library only where there are no others."""
        staying = [one for one in devices if not self.left.get(one, ("", False))[1]]
        return in_bytes(self.devices.get(one, ("", one[:8]))[1] for one in staying or devices)

    def listing(self) -> Dict[str, "Row"]:
        """What is to come out, by identifier: what ledgers say, and where they say nothing, what a table says."""
        spelling = self.spelling()
        rows = {}
        for guid, file in self.files.items():
            kept = bool(self.viewers) and all(file.is_kept_from(device) for device in self.viewers)
            # What was thrown away comes out among the nameless, as it does from a table, which does not list it.
            if kept or file.is_purged() or file.is_trashed():
                self.rows.pop(guid, None)
            elif file.made is not None:
                heads = file.heads()
                rows[guid] = Row(
                    guid=guid,
                    name=file.name(),
                    sha256=heads[-1]["sha256"] if heads else "",
                    size_bytes=heads[-1]["size_bytes"] if heads else -1,
                    modified=file.modified(),
                    tags=in_bytes({spelling.get(tag, tag) for tag in file.tags()}),
                    notes=file.value("notes", ""),
                    from_folder=file.made.get("from", ""),
                    holders=self.names_of(file.holders(self.devices)),
                    data=file.made["data"].partition("/")[2],
                )
        for guid, row in self.rows.items():
            rows.setdefault(guid, row)
        return rows


class Row(NamedTuple):
    """A file that is to come out."""

    guid: str
    name: str
    sha256: str  # "" where it is not known
    size_bytes: int  # -1 where it is not known
    modified: str
    tags: List[str]
    notes: str
    from_folder: str
    holders: List[str]  # names of devices
    data: str  # the name of its data file


_GRAMMAR = re.compile("[/,+=%]")


def in_bytes(texts: Iterable[str]) -> List[str]:
    """Texts in the order of their UTF-8."""
    return sorted(texts, key=lambda text: text.encode("utf-8", "replace"))


def escape(text: str) -> str:
    if not _GRAMMAR.search(text):
        return text
    return "".join("%{:02X}".format(ord(ch)) if ch in "/,+=%" else ch for ch in text)


def unescape(text: str) -> str:
    return re.sub(
        "((?:%[0-9A-Fa-f]{2})+)", lambda m: bytes.fromhex(m.group().replace("%", "")).decode("utf-8", "replace"), text
    )


def escape_tag(tag: str) -> str:
    """A tag with the characters that mean something in queries as %XX."""
    key, eq, value = tag.partition("=")
    return escape(key) + eq + escape(value).replace("..", "%2E%2E")


# -- tables ------------------------------------------------------------------------------------


def read_table(path: str, known: Dict[str, File]) -> List[Row]:
    """The rows of an index.csv, but for files of which more is known. OSError, ValueError, csv.Error where damaged."""
    csv.field_size_limit(1 << 30)
    rows = []
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as table:
        reader = csv.reader(table)
        names = [name.strip().lower() for name in next(reader, [])]
        at = names.index("guid") if "guid" in names else 0
        for cells in reader:
            if len(cells) > at and cells[at] in known and known[cells[at]].made is not None:
                continue
            # A ' in front keeps a spreadsheet from taking a text for a formula; it is not part of the text.
            texts = (cell[1:] if cell.startswith("'") else cell for cell in cells)
            row = dict(zip(names, texts))
            guid = row.get("guid", "").strip().lower()
            if not GUID.match(guid) or not row.get("name"):
                continue
            size = row.get("size_bytes", "").strip()
            rows.append(
                Row(
                    guid=guid,
                    name=row["name"],
                    sha256=row.get("sha256", "").strip().lower(),
                    size_bytes=int(size) if size.isdigit() else -1,
                    modified=row.get("modified", "").strip(),
                    tags=in_bytes({unescape(tag.strip()) for tag in row.get("tags", "").split(",") if tag.strip()}),
                    notes=row.get("notes", ""),
                    from_folder=row.get("from", ""),
                    holders=in_bytes(map(unescape, filter(None, row.get("holds", "").split(",")))),
                    data=row.get("path", "").rpartition("/")[2],
                )
            )
    return rows


_SPECIAL = re.compile("^[-=+@\t\r\n'＝＋－＠]|[\0\",\r\n]")


def cell(text: str) -> str:
    if not text or not _SPECIAL.search(text):
        return text
    if text[:1] in tuple("=+-@\t\r\n'＝＋－＠") and text:
        text = "'" + text
    text = text.replace("\0", "␀")
    return '"' + text.replace('"', '""') + '"' if re.search('[",\r\n]', text) else text


# -- names ---------------------------------------------------------------------------------------
#
# Names come from other people's computers: they may hold what a file system has no room for,
# or what is meant to deceive. And some file systems take Rome and rome, or two ways to write
# an é, for the same name. recover.sh does the very same, so that both make the same folders.

_UNSAFE = re.compile(
    '[\0-\x1f"*/:<>?\\\\|\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]'
)
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9]) *(\.|\Z)", re.IGNORECASE)
_MARKS = re.compile("[\u0300-\u036f]")
_LETTERS = {
    "a": "ÀÁÂÃÄÅàáâãäåĀāĂăĄą", "c": "ÇçĆćĈĉĊċČč", "d": "Ďď", "e": "ÈÉÊËèéêëĒēĔĕĖėĘęĚě", "g": "ĜĝĞğĠġĢģ",
    "h": "Ĥĥ", "i": "ÌÍÎÏìíîïĨĩĪīĬĭĮįİ", "j": "Ĵĵ", "k": "Ķķ", "l": "ĹĺĻļĽľ", "n": "ÑñŃńŅņŇň",
    "o": "ÒÓÔÕÖòóôõöŌōŎŏŐő", "r": "ŔŕŖŗŘř", "s": "ŚśŜŝŞşŠšſ", "t": "ŢţŤť", "u": "ÙÚÛÜùúûüŨũŪūŬŭŮůŰűŲų",
    "w": "Ŵŵ", "y": "ÝýÿŶŷŸ", "z": "ŹźŻżŽž",
}  # fmt: skip
_PAIRS = (
    "ÆæÐðØøÞþĐđĦħĲĳĿŀŁłŊŋŒœŦŧАаБбВвГгДдЕеЖжЗзИиКкЛлМмНнОоПпРрСсТтУуФфХхЦцЧчШшЩщЪъЫыЬьЭэЮюЯяЂђЄєЅѕІіЈјЉљЊњЋћЏџ"
    "ЙиЁеЇіЎуЃгЌкйиёеїіўуѓгќк"
    "ΑαΒβΓγΔδΕεΖζΗηΘθΙιΚκΛλΜμΝνΞξΟοΠπΡρΣσΤτΥυΦφΧχΨψΩωςσΆαΈεΉηΊιΌοΎυΏωάαέεήηίιόούυώωΪιΫυϊιϋυ"
)
_NOT_ASCII = re.compile("[^\0-\x7f]")
_SMALL = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_FOLDED = {letter: plain for plain, letters in _LETTERS.items() for letter in letters}
_FOLDED.update(zip(_PAIRS[::2], _PAIRS[1::2]))


def safe_name(name: str) -> str:
    """A name that every file system takes, and that shows as it is."""
    name = _UNSAFE.sub("_", name).strip(" ").rstrip(". ") or "_"
    return "_" + name if _RESERVED.match(name) else name


def clash_key(path: str) -> str:
    """Equal for two names that some file systems take for one; now and then also for two that none does."""
    if not _NOT_ASCII.search(path):
        return path.lower()
    path = path.translate(_SMALL)
    return "".join(_FOLDED.get(ch, ch) for ch in _MARKS.sub("", path))


def split_name(name: str) -> Tuple[str, str]:
    """(stem, extension with its dot)."""
    stem, dot, ext = name.rpartition(".")
    if dot and stem and len(ext) <= 16 and re.match("[A-Za-z0-9]+\\Z", ext):
        return stem, "." + ext
    return name, ""


def cut(text: str, limit: int) -> str:
    """The beginning of a text that has at most so many bytes of UTF-8."""
    if len(text) * 4 <= limit:
        return text
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= limit else raw[:limit].decode("utf-8", "ignore")


def named(name: str, mark: str) -> str:
    """A safe name with something before its extension that tells it from others."""
    if not mark and len(name) * 4 <= NAME_BYTES:
        return name
    stem, ext = split_name(name)
    mark = "~" + mark if mark else ""
    return cut(stem, NAME_BYTES - len(mark.encode()) - len(ext.encode())) + mark + ext


def folders_of(row: Row, layout: str) -> List[str]:
    """The folders that a file comes to, the one for its bytes first."""
    if layout == "flat":
        return [FILES]
    if layout == "date":
        return [FILES + "/" + (row.modified[:4] + "/" + row.modified[:7] if TIME.match(row.modified) else "undated")]
    if layout == "from":
        parts = [cut(safe_name(part), NAME_BYTES) for part in re.split(r"[/\\]", row.from_folder) if part]
        return ["/".join([FILES] + (parts or ["elsewhere"]))]
    found: Dict[str, None] = {}
    for tag in row.tags or ["untagged"]:
        found[FILES + "/" + cut(safe_name(tag), NAME_BYTES)] = None
    return list(found)


class Places:
    """Where each file comes to. Two files that would have the same name both get their identifier behind it."""

    def __init__(self, rows: Dict[str, Row], layout: str) -> None:
        self._folders = {guid: folders_of(row, layout) for guid, row in rows.items()}
        self._names = {guid: safe_name(row.name) for guid, row in rows.items()}
        self._marks = dict.fromkeys(rows, 0)
        todo = list(rows)
        keys: Dict[str, str] = {}
        taken: Dict[str, Dict[str, int]] = {}
        shared: Set[str] = set()
        while todo:
            for guid in todo:
                mark = self._marks[guid]
                name = clash_key(self._named(guid, mark))
                for folder in self._folders[guid]:
                    if folder not in keys:
                        keys[folder] = clash_key(folder)
                    key = keys[folder] + "/" + name
                    if key in taken:
                        taken[key][guid] = mark
                        shared.add(key)
                    else:
                        taken[key] = {guid: mark}
            # Those that go on to a longer name leave the shorter one to nobody: so the order does not matter.
            again = {
                guid
                for key in shared
                if len(taken[key]) > 1
                for guid, mark in taken[key].items()
                if mark == self._marks[guid] < 2
            }
            todo = sorted(again)
            for guid in todo:
                self._marks[guid] += 1

    def _named(self, guid: str, mark: int) -> str:
        return named(self._names[guid], "" if mark == 0 else guid[:8] if mark == 1 else guid)

    def of(self, guid: str) -> Iterator[Iterator[str]]:
        """For each of its folders the place, and others for where that is taken."""
        return (self._in(folder, guid) for folder in self._folders[guid])

    def _in(self, folder: str, guid: str) -> Iterator[str]:
        return (folder + "/" + self._named(guid, mark) for mark in range(self._marks[guid], 3))


# -- looking through what was found -----------------------------------------------------------------


class Found(NamedTuple):
    """A file with bytes of a person's. `shown`: its path below the folder that was given; `guid`: "" where unknown."""

    path: str
    shown: str
    guid: str
    in_place: bool
    how: str


class Sources:
    """The folders to be read, looked through once."""

    def __init__(self, folders: Iterable[str]) -> None:
        self.ledgers: List[Tuple[str, str]] = []
        self.tables: List[Tuple[str, str]] = []
        self.settings: List[str] = []
        self.bytes: List[Found] = []
        self.loose: List[Found] = []
        self.unreadable: List[str] = []
        for folder in folders:
            before = len(self.bytes)
            self._look(folder, "", "")
            self.bytes[before:] = sorted(self.bytes[before:], key=lambda found: os.fsencode(found.shown))
        self.ledgers.sort(key=lambda ledger: os.fsencode(ledger[1]))

    def _look(self, folder: str, shown: str, kind: str) -> None:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as exc:
            self.unreadable.append("{} ({})".format(shown or folder, exc.strerror))
            return
        # A store, or something in one: what lies there under these names was made by lyts, and is no person's file.
        is_store = any(entry.name in ("ledgers", "sets", "store.toml", "index.html") for entry in entries)
        for entry in entries:
            path, name = entry.path, entry.name
            where = shown + "/" + name if shown else name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if (
                        not (is_store and (name in DERIVED or name.startswith("before-format-")))
                        and name != ".stfolder"
                    ):
                        is_data = name == "data" and kind == "" and (is_store or shown.split("/")[-2:-1] == ["sets"])
                        self._look(path, where, "data" if is_data else _kind_below(kind, name))
                elif entry.is_file(follow_symlinks=False):
                    self._note(path, where, name, kind)
            except OSError as exc:
                self.unreadable.append("{} ({})".format(where, exc.strerror))

    def _note(self, path: str, shown: str, name: str, kind: str) -> None:
        guid = name[:36]
        # Before all else: what a person's file is called (letter.jsonl) does not make it one of lyts.
        if GUID.match(guid) and not (kind == "scratch" and name[36:] == ".written"):
            is_conflict = ".sync-conflict-" in name
            how = "conflict" if is_conflict else kind if kind not in ("lost", "data") else ""
            self.bytes.append(Found(path, shown, guid, how == "" and not is_conflict, how))
        elif name.endswith(".jsonl"):
            if not name.startswith("proofs.") and kind != "scratch":
                self.ledgers.append((path, shown))
                if not STAMP.match(name[: -len(".jsonl")]):  # or a file of a person's, copied out under its name
                    if kind == "data":
                        self.bytes.append(Found(path, shown, "", False, "lost"))
                    else:
                        self.loose.append(Found(path, shown, "", False, "loose"))
        elif name == "index.csv" or name == TABLE:
            self.tables.append((path, shown))
        elif kind == "data" and not name.startswith(ARRIVING):
            # lyts calls none so: somebody put it there, by hand or with a program that syncs.
            self.bytes.append(Found(path, shown, "", False, "lost"))
        elif name == "store.toml":
            self.settings.append(path)
        elif SHA256.match(name) and GUID.match(os.path.basename(os.path.dirname(path))):
            self.bytes.append(Found(path, shown, os.path.basename(os.path.dirname(path)), False, "kept"))
        elif kind in ("lost", "scratch") and name not in PAGES and not name.startswith((".", "seen-", "proofs-")):
            self.bytes.append(Found(path, shown, "", False, kind))
        elif name not in PAGES:
            self.loose.append(Found(path, shown, "", False, "loose"))


def _kind_below(kind: str, name: str) -> str:
    kinds = {"lost+found": "lost", "scratch": "scratch", ".stversions": "replaced", "keep": "kept"}
    return kinds.get(name, kind)


def settings_of(path: str) -> Dict[str, str]:
    """The texts of a store.toml."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = (re.match(r'(\w+) = "(.*)"\Z', line.rstrip()) for line in file)
            return {one.group(1): one.group(2) for one in found if one}
    except OSError:
        return {}


# -- copying ------------------------------------------------------------------------------------------


class Full(Exception):
    """The disk that is written to is full, or cannot be written."""


class Changed(Exception):
    """What was read is not what was expected: its hash."""


def hash_of(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        piece = file.read(PIECE_BYTES)
        while piece:
            digest.update(piece)
            piece = file.read(PIECE_BYTES)
    return digest.hexdigest()


_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class Target:
    """The folder that is written to."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._work = os.path.join(root, PART)
        self._part = os.path.join(self._work, "part")
        self._folders: Set[str] = set()
        self._have: Dict[str, Set[str]] = {}
        self._is_exact = False
        self.without_links = 0

    def begin(self) -> None:
        try:
            os.makedirs(self._work, exist_ok=True)
            # Does it take Rome and rome for one name, or two ways to write an é?
            probe = os.path.join(self._work, "e\u0301")
            os.close(os.open(probe, _WRITE, 0o666))
            others = ("E\u0301", "\u00e9")
            self._is_exact = not any(os.path.lexists(os.path.join(self._work, other)) for other in others)
            os.unlink(probe)
        except OSError as exc:
            raise self._full(exc)

    def work_apart(self) -> None:
        """In another process: what is half done gets a name of its own."""
        self._part = os.path.join(self._work, "part-{}".format(os.getpid()))
        self.without_links = 0

    def look_again(self) -> None:
        """Other processes have put files here."""
        self._have.clear()

    def path(self, place: str) -> str:
        return self.root + os.sep + (place if os.sep == "/" else place.replace("/", os.sep))

    def is_there(self, place: str) -> bool:
        """Whether something stands there. The names in a folder are read once."""
        folder, _, name = place.rpartition("/")
        names = self._have.get(folder)
        if names is None:
            try:
                names = set(os.listdir(self.path(folder)))
            except OSError:
                names = set()
            self._have[folder] = names
        return name in names or (not self._is_exact and bool(names) and os.path.lexists(self.path(place)))

    def put(self, source: str, choices: Iterable[str], sha256: str, modified: str, size_bytes: int = -1) -> str:
        """Copy a file to the first place where nothing else stands, unless it is there. Returns the place.

        Args:
            sha256: what its bytes must have; "" for whatever they have.
            size_bytes: how many they must be; -1 for any number.
        Raises:
            Changed: they have another hash; nothing was written.
            OSError: it cannot be read.
            Full: it cannot be written.
        """
        wanted = sha256
        for place in choices:
            if self.is_there(place):
                wanted = wanted or hash_of(source)
                if self._has(place, wanted):
                    return place
                continue
            self._copy(source, place, sha256, modified, size_bytes)
            return place
        raise OSError(errno.EEXIST, "its name is taken by something else in the target")

    def _has(self, place: str, sha256: str) -> bool:
        try:
            return hash_of(self.path(place)) == sha256
        except OSError:
            return False  # a folder, or unreadable: it is in the way

    def link(self, place: str, choices: Iterable[str]) -> None:
        """Give what stands at a place a further name, unless it has it; where the disk can do that."""
        there = self.path(place)
        for choice in choices:
            path = self.path(choice)
            if self.is_there(choice):
                try:
                    if os.path.samefile(path, there) or self._has(choice, hash_of(there)):
                        return
                except OSError:
                    pass
                continue
            try:
                self._folder(choice)
                os.link(there, path)
                self._note(choice)
            except (OSError, NotImplementedError, AttributeError) as exc:
                if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise self._full(exc)
                self.without_links += 1
            return

    def _copy(self, source: str, place: str, sha256: str, modified: str, size_bytes: int) -> None:
        reading = os.open(source, _READ)
        try:
            size = os.fstat(reading).st_size
            if size_bytes not in (-1, size):
                raise Changed("it has {} bytes".format(size))
            try:
                writing = os.open(self._part, _WRITE, 0o666)
            except OSError as exc:
                raise self._full(exc)
            try:
                digest = hashlib.sha256()
                left = size
                while left > 0:
                    piece = os.read(reading, min(left, PIECE_BYTES))
                    if not piece:
                        break
                    left -= len(piece)
                    digest.update(piece)
                    self._write(writing, piece)
            finally:
                os.close(writing)
        finally:
            os.close(reading)
        found = digest.hexdigest()
        if sha256 and found != sha256:
            raise Changed(found)
        self._name(place, modified)

    def _write(self, fd: int, piece: bytes) -> None:
        try:
            done = os.write(fd, piece)
            while done < len(piece):
                done += os.write(fd, piece[done:])
        except OSError as exc:
            raise self._full(exc)

    def _name(self, place: str, modified: str) -> None:
        try:
            self._folder(place)
            when = time_ns(modified)
            if when is not None:
                os.utime(self._part, ns=(when, when))
            os.rename(self._part, self.path(place))
        except OSError as exc:
            raise self._full(exc)
        self._note(place)

    def _folder(self, place: str) -> None:
        folder = place.rpartition("/")[0]
        if folder not in self._folders:
            os.makedirs(self.path(folder), exist_ok=True)
            self._folders.add(folder)

    def _note(self, place: str) -> None:
        folder, _, name = place.rpartition("/")
        self._have.setdefault(folder, set()).add(name)

    def write(self, place: str, text: str) -> None:
        """Write a page, whole or not at all."""
        data = text.encode("utf-8", "replace")
        try:
            try:
                with open(self.path(place), "rb") as file:
                    if file.read() == data:
                        return
            except OSError:
                pass
            writing = os.open(self._part, _WRITE, 0o666)
            try:
                self._write(writing, data)
            finally:
                os.close(writing)
            os.replace(self._part, self.path(place))
        except OSError as exc:
            raise self._full(exc)

    def end(self) -> None:
        """Leave nothing half done behind."""
        try:
            for name in os.listdir(self._work):
                os.unlink(os.path.join(self._work, name))
            os.rmdir(self._work)
        except OSError:
            pass

    def _full(self, exc: OSError) -> Full:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            return Full("the disk of {} is full".format(self.root))
        return Full("{} cannot be written ({})".format(exc.filename or self.root, exc.strerror))


_days: Dict[str, int] = {}


def days_since_1970(text: str) -> int:
    """Days of a date, 2026-11-22, without a library that knows only some centuries."""
    days = _days.get(text)
    if days is None:
        year, month, day = (int(part) for part in text.split("-"))
        year, month = (year, month) if month > 2 else (year - 1, month + 12)
        days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
        _days[text] = days
    return days


def time_ns(text: str) -> Optional[int]:
    """Nanoseconds since 1970 of a time as ledgers have it."""
    found = TIME.match(text)
    if found is None:
        return None
    hour, minute, second, fraction = found.groups()[3:]
    seconds = days_since_1970(text[:10]) * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second)
    return seconds * 10**9 + (int(fraction.ljust(9, "0")) if fraction else 0)


# -- the whole ------------------------------------------------------------------------------------------


MANY_FILES = 500
Copied = Tuple[str, int, List[Tuple[int, str]]]
"""The place a file came to ("" for none), which of its bytes were used, and which could not be read, and why."""


def processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


class Recovery:
    """One run. What it finds out is told in the report."""

    def __init__(self, target: Target, sources: Sources, layout: str) -> None:
        self.target = target
        self.sources = sources
        self.layout = layout
        self.library = Library()
        self.rows: Dict[str, Row] = {}
        self.came_out: Dict[str, str] = {}
        self.hashes: Dict[str, str] = {}
        self.found_elsewhere: List[Tuple[str, str]] = []
        self.others: List[Tuple[str, str, str]] = []
        self.nameless: List[Tuple[str, str]] = []
        self.unreadable = list(sources.unreadable)
        self.bad_tables: List[str] = []

    def run(self, told: Any) -> None:
        """All of it. Raises `Full`."""
        self.target.begin()
        try:
            self._read()
            where = Places(self.rows, self.layout)
            rest = self._what_is_in_place(where, told)
            self._what_is_left(where, rest, told)
            self._copy_ledgers()
            self.target.write(TABLE, self.table())
            self.target.write(REPORT, self.report())
        finally:
            self.target.end()
        if hasattr(os, "sync"):
            os.sync()

    def _read(self) -> None:
        for path, shown in self.sources.ledgers:
            try:
                self.library.read_ledger(path, shown)
            except OSError as exc:
                self.unreadable.append("{} ({})".format(shown, exc.strerror))
        for path in self.sources.settings:
            node = settings_of(path).get("node", "")
            if GUID.match(node):
                self.library.viewers.add(node)
        for path, shown in sorted(self.sources.tables, key=lambda table: (table[1].count("/"), table[1])):
            try:
                for row in read_table(path, self.library.files):
                    self.library.rows.setdefault(row.guid, row)
            except (OSError, ValueError, csv.Error) as exc:
                self.bad_tables.append("{} ({})".format(shown, exc))
        self.rows = self.library.listing()

    def _what_is_in_place(self, where: Places, told: Any) -> List[Found]:
        """Copy the files whose bytes stand where they belong and are right. Returns all other bytes."""
        jobs: Dict[str, List[Found]] = {}
        for found in self.sources.bytes:
            if found.in_place and found.guid in self.rows:
                jobs.setdefault(found.guid, []).append(found)
        done: Set[str] = set()
        for guid, (place, used, unreadable) in self._copied(jobs, where, told).items():
            for index, why in unreadable:
                done.add(jobs[guid][index].path)
                self.unreadable.append("{} ({})".format(jobs[guid][index].shown, why))
            if place:
                done.add(jobs[guid][used].path)
                self._came_out(self.rows[guid], place, jobs[guid][used].path)
        rest = [found for found in self.sources.bytes if found.path not in done]
        by_name = {row.data: guid for guid, row in self.rows.items() if row.data}
        # A data file need not be called after its file, though all that lyts made are.
        for found in self.sources.loose:
            guid = by_name.get(os.path.basename(found.path), "")
            if guid and guid not in self.came_out:
                rest.append(found._replace(guid=guid))
        return rest

    def _put(self, path: str, row: Row, places: Iterator[Iterator[str]]) -> str:
        place = self.target.put(path, next(places), row.sha256, row.modified, row.size_bytes)
        for choices in places:
            self.target.link(place, choices)
        return place

    def _came_out(self, row: Row, place: str, path: str) -> None:
        self.came_out[row.guid] = place
        if row.sha256:
            self.hashes.setdefault(row.sha256, path)

    def _copy_one(self, guid: str, standing: List[Found], where: Places) -> Copied:
        """Copy the first that has the right bytes."""
        unreadable: List[Tuple[int, str]] = []
        for index, found in enumerate(standing):
            try:
                return self._put(found.path, self.rows[guid], where.of(guid)), index, unreadable
            except Changed:
                continue
            except OSError as exc:
                unreadable.append((index, exc.strerror or "?"))
        return "", -1, unreadable

    def _copied(self, jobs: Dict[str, List[Found]], where: Places, told: Any) -> Dict[str, Copied]:
        """Copy files; on several processors at once, where there are many files."""
        guids = list(jobs)
        workers = min(processors(), 4) if hasattr(os, "fork") and len(guids) >= MANY_FILES else 1
        children = [self._start(guids[number::workers], jobs, where) for number in range(1, workers)]
        copied: Dict[str, Copied] = {}
        stopped = []
        try:
            for number, guid in enumerate(guids[::workers]):
                told(number * workers, len(guids))
                copied[guid] = self._copy_one(guid, jobs[guid], where)
        except Full as exc:
            stopped.append(str(exc))
        finally:
            stopped += filter(None, [self._join(child, copied) for child in children])
        if children:
            self.target.look_again()
        if stopped:
            for guid, (place, used, _) in copied.items():
                if place:
                    self._came_out(self.rows[guid], place, jobs[guid][used].path)
            raise Full(stopped[0])
        # What a process that was ended did not tell of is looked at once more.
        for guid in guids:
            if guid not in copied:
                copied[guid] = self._copy_one(guid, jobs[guid], where)
        return copied

    def _start(self, guids: List[str], jobs: Dict[str, List[Found]], where: Places) -> Tuple[int, int]:
        """Begin to copy files in another process: its number, and where it will tell what it did."""
        reading, writing = os.pipe()
        parent = os.getpid()
        child = os.fork()
        if child:
            os.close(writing)
            return child, reading
        try:
            os.close(reading)
            copied: Dict[str, Copied] = {}
            why = ""
            self.target.work_apart()
            try:
                for guid in guids:
                    if os.getppid() != parent:
                        os._exit(1)  # nobody waits for it any more
                    copied[guid] = self._copy_one(guid, jobs[guid], where)
            except Full as exc:
                why = str(exc)
            said = json.dumps([why, self.target.without_links, copied]).encode("ascii")
            with os.fdopen(writing, "wb") as out:
                out.write(said)
        finally:
            os._exit(0)

    def _join(self, child: Tuple[int, int], copied: Dict[str, Copied]) -> str:
        """Wait for a process, and add what it did. Returns why it stopped early, "" if it did not."""
        with os.fdopen(child[1], "rb") as told:
            said = told.read()
        os.waitpid(child[0], 0)
        try:
            why, without_links, its = json.loads(said.decode("ascii"))
        except ValueError:
            return ""
        self.target.without_links += without_links
        copied.update(its)
        return str(why)

    def _what_is_left(self, where: Places, rest: List[Found], told: Any) -> None:
        """Bytes elsewhere: those of missing files are known by their hash, others come out apart."""
        by_hash: Dict[str, List[Found]] = {}
        wanted = {row.size_bytes for guid, row in self.rows.items() if guid not in self.came_out}
        for number, found in enumerate(rest + self.sources.loose):
            told(number, len(rest))
            try:
                # Files that have nothing to do with lyts are only looked at where one of that size is missing.
                if found.how != "loose" or os.stat(found.path).st_size in wanted:
                    by_hash.setdefault(hash_of(found.path), []).append(found)
            except OSError as exc:
                self.unreadable.append("{} ({})".format(found.shown, exc.strerror))
        for guid, row in sorted(self.rows.items()):
            if guid in self.came_out:
                continue
            paths = [one.path for one in by_hash.get(row.sha256, ())]
            for path in paths or [self.hashes[row.sha256]] if row.sha256 in self.hashes or paths else []:
                try:
                    self._came_out(row, self._put(path, row, where.of(guid)), path)
                except (Changed, OSError):
                    continue
                self.found_elsewhere.append((self.came_out[guid], path))
                break
        left: Dict[str, Tuple[str, Found]] = {}
        for sha256, all_found in sorted(by_hash.items()):
            ours = [found for found in all_found if found.how != "loose" or found.guid]
            if sha256 in self.hashes or not ours:
                continue
            known = [found for found in ours if found.guid in self.rows]
            left[sha256] = (known[0].guid if known else "", (known or ours)[0])
        bare: Dict[str, int] = {}
        for guid, found in left.values():
            if not guid:
                key = clash_key(nameless_name(found))
                bare[key] = bare.get(key, 0) + 1
        for sha256, (guid, found) in left.items():
            if guid:
                name = safe_name(self.rows[guid].name)
                choices = [OTHERS + "/" + named(name, mark) for mark in (sha256[:8], sha256)]
            else:
                name = nameless_name(found)
                marks = ("", sha256[:8], sha256)[1 if bare[clash_key(name)] > 1 else 0 :]
                choices = [NAMELESS + "/" + named(name, mark) for mark in marks]
            try:
                place = self.target.put(found.path, choices, sha256, "")
            except (Changed, OSError):
                self.unreadable.append("{} (it changed while it was read)".format(found.shown))
                continue
            if guid:
                self.others.append((place, guid, found.how))
            else:
                self.nameless.append((place, found.shown))

    def _copy_ledgers(self) -> None:
        for path, shown in self.sources.ledgers:
            parts = shown.split("/")[-2:]
            place = "/".join([LEDGERS] + [safe_name(part) for part in parts])
            try:
                stem = place[: -len(".jsonl")]
                sha256 = hash_of(path)
                self.target.put(path, [place, "{} ({}).jsonl".format(stem, sha256[:8])], sha256, "")
            except (Changed, OSError) as exc:
                self.unreadable.append("{} ({})".format(shown, exc))

    # -- telling

    def missing(self) -> List[Row]:
        return sorted((row for guid, row in self.rows.items() if guid not in self.came_out), key=in_report)

    def is_whole(self) -> bool:
        return not (self.missing() or self.unreadable or self.library.bad_lines or self.bad_tables)

    def table(self) -> str:
        out = io.StringIO()
        out.write("guid,name,path,size_bytes,sha256,modified,tags,notes,from\n")
        for place, guid in sorted((place.encode(), guid) for guid, place in self.came_out.items()):
            row = self.rows[guid]
            size = str(row.size_bytes) if row.size_bytes >= 0 else ""
            tags = ",".join(map(escape_tag, row.tags))
            texts = (row.name, place.decode(), size, row.sha256, row.modified, tags, row.notes, row.from_folder)
            out.write(guid + "," + ",".join(map(cell, texts)) + "\n")
        return out.getvalue()

    def report(self) -> str:
        out = ["What came out of the store\n"]
        missing = self.missing()
        out.append("{} came out as they were, into files/".format(count(len(self.came_out), "file")))
        if self.target.without_links:
            out.append("This disk cannot keep a file under several names, so each is in the folder of its first tag.")
        if not self.rows:
            out.append("No file is listed here, so whether something is missing cannot be told.")
        elif not missing:
            out.append("Nothing is missing.")
        else:
            out.append("{} missing; see below.".format(count(len(missing), "file is", "files are")))
        if self.found_elsewhere:
            out.append("\nThe bytes of these were not in their place, and were known by their content:\n")
            out += ["  " + place for place in sorted(place for place, _ in self.found_elsewhere)]
        if missing:
            out.append("\nMISSING: the right bytes of these are not here. Look on the devices named, and in backups.\n")
            with_others = {guid for _, guid, _ in self.others}
            for row in missing:
                tags = "  [{}]".format(",".join(map(escape_tag, row.tags))) if row.tags else ""
                out.append("  {}{}  ({})".format(safe_name(row.name), tags, row.guid))
                out.append("    kept by: {}".format(", ".join(map(safe_name, row.holders)) or "nobody known"))
                if row.guid in with_others:
                    out.append("    other bytes of it are here; see OTHER VERSIONS")
        if self.others:
            out.append("\nOTHER VERSIONS: earlier versions; the other one where a file was edited on two devices at")
            out.append("once; or bytes that are not what was written down (damaged, or edited since).\n")
            for place, guid, how in sorted(self.others):
                out.append("  {}".format(place))
                out.append("    of {} ({}): {}".format(safe_name(self.rows[guid].name), guid, WHENCE[how]))
        if self.nameless:
            out.append(
                "\nNAMELESS: these are listed nowhere (nothing was noted about them, or their owner had thrown them\n"
                "away); they have the name that their bytes had.\n"
            )
            out += ["  " + place for place, _ in sorted(self.nameless)]
        if self.unreadable:
            out.append("\nCOULD NOT BE READ:\n")
            out += ["  " + one for one in sorted(self.unreadable)]
        if self.bad_tables:
            out.append("\nTables that are damaged, and were left out:\n")
            out += ["  " + one for one in sorted(self.bad_tables)]
        if self.library.bad_lines:
            out.append("\nLines of ledgers that are damaged, and were left out (they are in ledgers/ as they are):\n")
            out += ["  " + one for one in sorted(self.library.bad_lines)]
        return _NEW_LINES.sub("\n", "\n".join(out)) + "\n"


WHENCE = {
    "": "what stood in its place",
    "conflict": "edited on two devices at once",
    "kept": "set aside by lyts",
    "replaced": "set aside by Syncthing",
    "scratch": "was being written",
    "lost": "found without a name",
    "loose": "found without a name",
}
_NEW_LINES = re.compile("\r\n|\r")


def in_report(row: Row) -> Tuple[bytes, str]:
    return safe_name(row.name).encode(), row.guid


def nameless_name(found: Found) -> str:
    """What bytes are called of which no name is known."""
    name = os.path.basename(found.path)
    return safe_name(found.guid + "--" + name[:8] if found.how == "kept" and SHA256.match(name) else name)


def count(number: int, one: str, many: str = "") -> str:
    return "{} {}".format(number, one if number == 1 else many or one + "s")


def is_inside(path: str, folder: str) -> bool:
    try:
        return os.path.commonpath([path, folder]) == folder
    except ValueError:  # on another drive
        return False


def main(words: List[str]) -> int:
    """Exit status: 0 all came out; 1 something is missing or damaged, see the report; 2 not done; 3 stopped."""
    parser = argparse.ArgumentParser(
        description="Copies the files of a lyts store into plain folders. It changes nothing in what it reads.",
        epilog="Run it again with further disks: it goes on, and does nothing twice.",
    )
    parser.add_argument("target", help="the folder to put the files into; it is made if there is none")
    parser.add_argument("source", nargs="*", help="stores, or whatever is left of them (else: where this script lies)")
    parser.add_argument("--layout", choices=("tags", "flat", "date", "from"), default="tags")
    given = parser.parse_args(words)
    sources = given.source or [os.path.dirname(os.path.abspath(__file__))]
    target = os.path.realpath(given.target)
    for source in sources:
        if not os.path.isdir(source):
            sys.stderr.write("{} is not a folder. Nothing was done.\n".format(source))
            return 2
        if is_inside(target, os.path.realpath(source)):
            sys.stderr.write(
                "{} lies inside {}, which is only to be read. Choose a folder elsewhere, best on another disk. "
                "Nothing was done.\n".format(given.target, source)
            )
            return 2
        if is_inside(os.path.realpath(source), target):
            sys.stderr.write(
                "{} lies inside {}. Choose an empty folder to put the files into. Nothing was done.\n".format(
                    source, given.target
                )
            )
            return 2
    shows = sys.stderr.isatty()

    def told(done: int, total: int) -> None:
        if shows and done % 100 == 0:
            sys.stderr.write("\r{} of {}  ".format(done, total))

    gc.disable()  # nothing in here is circular, and looking for it takes a third of the time
    recovery = Recovery(Target(target), Sources(sources), given.layout)
    try:
        recovery.run(told)
    except Full as exc:
        sys.stderr.write(
            "Stopped: {}. {} out so far, each of them whole. Make room, or begin in a folder on a larger disk; "
            "then run the same command again, and it goes on.\n".format(
                exc, count(len(recovery.came_out), "file is", "files are")
            )
        )
        return 3
    if shows:
        sys.stderr.write("\r")
    report = os.path.join(given.target, REPORT)
    sys.stdout.write("{} came out. Read {}\n".format(count(len(recovery.came_out), "file"), report))
    return 0 if recovery.is_whole() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
