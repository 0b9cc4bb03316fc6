"""Facts: one line of a ledger, as text and as a value.

A line is a JSON object. `at` and `by` say when and by whom; `action` names the action
of a person it belongs to; one more key says what it is about, and the others state
something about that:

    {"at":…,"by":…,"action":…,"file":GUID,"made":{…},"content":{…},"tag":[…],"holds":{…}}
    {"at":…,"by":…,"tag":"jazz","implies":["music"]}
    {"at":…,"by":…,"node":GUID,"alias":"laptop"}
    {"at":…,"by":…,"saved":"evening","query":"music+-loud"}
    {"at":…,"by":…,"set":"lsd-…","label":"laptop","nodes":[GUID],"ledgers":true}
    {"at":…,"by":…,"rule":GUID,"query":"video+size=1GB..","holds":{NODE:true}}

Several statements about one subject at one stamp may share a line (the birth of a file
does: its name, content, tags and placement are one line, half the size of four).
Unknown keys and unknown subjects are no error: the line stays in its ledger, is passed
on as it is, and an older lyts simply does not act on it.

`parse_fact` trusts nothing: what it returns has the right shapes throughout.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from functools import lru_cache

import msgspec

from tagfs.errors import PeerDataError
from tagfs.guid import is_guid
from tagfs.stamp import is_stamp

MAX_LINE_BYTES = 1 << 20
"""A longer line is set aside unread; the longest we write (notes) is far shorter."""
MAX_ADDRESSES = 16
BY_HAND = "hand"
"""What `placed_by` names where a person chose the nodes, and no rule did."""
MAX_TEXT_BYTES = 200
"""What names a tag, a saved query or a set is no longer: these texts become keys of the index."""


class Made(msgspec.Struct, frozen=True, omit_defaults=True, rename={"from_": "from"}):
    """Birth of a file: the name it had, where its bytes stand below `data/`, whence it came.

    `raw_name` is base64 of the original name where that was not UTF-8.
    """

    name: str
    data: str
    from_: str | None = None
    raw_name: str | None = None


class Content(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file's bytes from this stamp on. `was` is the SHA-256 they replace, if any.

    `modified` is `time_text` of the modification time.
    """

    sha256: str
    size_bytes: int
    modified: str
    was: str | None = None


class Purge(msgspec.Struct, frozen=True):
    """The end of a file: the contents it may take along, and the newest stamp of each node it had seen."""

    content: list[str]
    seen: dict[str, str]


class Fact(msgspec.Struct, omit_defaults=True):
    """A parsed line. Exactly one of the subjects is set, or none when the kind is unknown."""

    at: str
    by: str
    action: str | None = None
    undoes: str | None = None
    # subjects
    file: str | None = None
    node: str | None = None
    saved: str | None = None
    set: str | None = None
    rule: str | None = None
    # `tag` is a subject (text) beside tag statements and a statement (list) beside `file`
    tag: str | list[str] | None = None
    # statements about a file
    made: Made | None = None
    content: Content | None = None
    untag: dict[str, dict[str, str]] | None = None
    name: str | None = None
    notes: str | None = None
    mode: int | None = None
    modified: str | None = None
    xattr: dict[str, str | None] | None = None
    holds: dict[str, bool] | None = None
    knows: dict[str, bool] | None = None
    placed_by: list[str] | None = None
    trash: bool | None = None
    purge: Purge | None = None
    # statements about a tag
    exists: bool | None = None
    implies: list[str] | None = None
    unimplies: dict[str, dict[str, str]] | None = None
    alias: str | list[str] | None = None
    unalias: dict[str, dict[str, str]] | None = None
    # statements about a node (with `alias`), a saved query, a nodeset; a rule has `query` and `holds`
    device: str | None = None
    addresses: list[str] | None = None
    introduces: bool | None = None
    gone: bool | None = None
    query: str | None = None
    label: str | None = None
    nodes: list[str] | None = None
    ledgers: bool | None = None


_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{0,8}[1-9]))?Z\Z", re.ASCII)
_decoder = msgspec.json.Decoder(Fact)
_encoder = msgspec.json.Encoder()


def encode_fact(fact: Fact) -> bytes:
    """The line of a fact, with its LF."""
    return _encoder.encode(fact) + b"\n"


def parse_fact(line: bytes) -> Fact:
    """The fact in a line (without LF). Raises `PeerDataError` that says what is wrong with it."""
    if len(line) > MAX_LINE_BYTES:
        raise PeerDataError(f"the line is {len(line)} bytes long; more than {MAX_LINE_BYTES} is not read")
    try:
        fact = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise PeerDataError(f"not a fact: {exc}") from None
    why = what_is_wrong(fact)
    if why:
        raise PeerDataError(f"not a fact: {why}")
    return fact


def _bad_hash(text: str) -> bool:
    return _SHA256.match(text) is None


def _bad_text(text: str) -> bool:
    """Whether a text cannot name a thing: empty, too long, or with control characters.

    Less strict than `tag.check_tag`: what another lyts may one day allow as a tag is no
    reason to refuse its facts.
    """
    if text.isascii() and text.isprintable():
        return not 0 < len(text) <= MAX_TEXT_BYTES
    return (
        len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES
        or not text
        or any(unicodedata.category(ch) in ("Cc", "Zl", "Zp", "Cs") for ch in text)
    )


@lru_cache(maxsize=65_536)
def _bad_tag(tag: str) -> bool:
    return _bad_text(tag) or tag[0] == "="


def _bad_removals(removals: dict[str, dict[str, str]]) -> bool:
    return any(not is_stamp(at) or at[26:] != node for seen in removals.values() for node, at in seen.items())


def data_path_is_safe(path: str) -> bool:
    """Whether a `data` path stays below its folder: `gg/<file name>`, nothing else."""
    folder, slash, name = path.partition("/")
    return (
        len(folder) == 2
        and slash == "/"
        and 0 < len(name) <= 255
        and "/" not in name
        and "\0" not in path
        and name not in (".", "..")
        and folder not in (".", "..")
    )


def name_is_possible(name: str) -> bool:
    """Whether a name can stand in a directory: not empty, no slash, no NUL, at most 255 bytes."""
    return (
        0 < len(name.encode("utf-8", "surrogatepass")) <= 255
        and "/" not in name
        and "\0" not in name
        and name not in (".", "..")
    )


def what_is_wrong(fact: Fact) -> str:
    """Empty when the fact's values have the right form, else the reason it is refused."""
    if not is_stamp(fact.at):
        return f"{fact.at!r} is no stamp"
    if not is_guid(fact.by):
        return f"{fact.by!r} is no node"
    if fact.at[26:] != fact.by[:8]:
        return f"its stamp {fact.at!r} is of another node than {fact.by!r}"
    if fact.action is not None and not is_stamp(fact.action):
        return f"{fact.action!r} is no action"
    if fact.undoes is not None and not is_stamp(fact.undoes):
        return f"{fact.undoes!r} is no action"
    return what_is_wrong_with_statements(fact)


def what_is_wrong_with_statements(fact: Fact) -> str:
    """The same for what it states alone: a fact this node just stamped needs no more."""
    if fact.file is not None:
        return _wrong_with_file(fact)
    if fact.tag is not None:
        if not isinstance(fact.tag, str):
            return "tags are stated, but about no file"
        if fact.alias is not None and not isinstance(fact.alias, list):
            return "an alias of a tag must be a list"
        for removals in (fact.unimplies, fact.unalias):
            if removals is not None and _bad_removals(removals):
                return "a removal names no stamp"
        for tags in ((fact.tag,), fact.implies, fact.alias, fact.unimplies, fact.unalias):
            if tags is not None and any(map(_bad_tag, tags)):
                return f"{next(filter(_bad_tag, tags))!r} is no possible tag"
    elif fact.node is not None:
        if not is_guid(fact.node):
            return f"{fact.node!r} is no node"
        if fact.alias is not None and not isinstance(fact.alias, str):
            return "an alias of a node must be a text"
        for texts in ([fact.device] if fact.device is not None else (), fact.addresses or ()):
            if any(map(_bad_text, texts)):
                return f"{next(filter(_bad_text, texts))!r} is no device or address"
        if fact.addresses is not None and len(fact.addresses) > MAX_ADDRESSES:
            return f"more than {MAX_ADDRESSES} addresses"
    elif fact.saved is not None:
        if _bad_text(fact.saved):
            return f"{fact.saved!r} cannot name a saved query"
    elif fact.set is not None:
        if _bad_text(fact.set) or fact.label is None or fact.nodes is None:
            return "a set needs an id, a label and nodes"
        if _bad_text(fact.label) or "/" in fact.label or fact.label in (".", ".."):
            return f"{fact.label!r} is no possible label"
    elif fact.rule is not None:
        if not is_guid(fact.rule) or not fact.query or fact.holds is None:
            return "a rule needs an id, a query and holders"
        if not all(map(is_guid, fact.holds)):
            return "a rule names no node"
    return ""


def _wrong_with_file(fact: Fact) -> str:
    if not is_guid(fact.file or ""):
        return f"{fact.file!r} is no file"
    if isinstance(fact.tag, str):
        return "the tags of a file must be a list"
    for tags in (fact.tag, fact.untag):
        if tags is not None and any(map(_bad_tag, tags)):
            return f"{next(filter(_bad_tag, tags))!r} is no possible tag"
    made = fact.made
    if made is not None:
        if not name_is_possible(made.name):
            return f"{made.name!r} is no possible name"
        if not data_path_is_safe(made.data):
            return f"{made.data!r} is no place for data"
    if fact.name is not None and not name_is_possible(fact.name):
        return f"{fact.name!r} is no possible name"
    content = fact.content
    if content is not None:
        if _bad_hash(content.sha256) or (content.was is not None and _bad_hash(content.was)):
            return "a content has no SHA-256"
        if not 0 <= content.size_bytes < 1 << 47 or parse_time_ns(content.modified) is None:
            return "a content has an impossible size or time"
    if fact.modified is not None and parse_time_ns(fact.modified) is None:
        return f"{fact.modified!r} is no time"
    if fact.mode is not None and not 0 <= fact.mode <= 0o7777:
        return f"{fact.mode!r} is no mode"
    if fact.untag is not None and _bad_removals(fact.untag):
        return "an untag names no stamp"
    for placed in (fact.holds, fact.knows):
        if placed is not None and not all(map(is_guid, placed)):
            return "a placement names no node"
    if fact.placed_by is not None and not all(by == BY_HAND or is_guid(by) for by in fact.placed_by):
        return "a placement was made by no rule"
    if fact.purge is not None and (_bad_removals({"": fact.purge.seen}) or any(map(_bad_hash, fact.purge.content))):
        return "a purge names no stamp or no SHA-256"
    return ""


_EPOCH_DAY = date(1970, 1, 1).toordinal()


@lru_cache(maxsize=4096)
def _day_of(text: str) -> int | None:
    """Days since 1970 of `YYYY-MM-DD`, None where there is no such day."""
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH_DAY
    except ValueError:
        return None


_times: dict[str, int | None] = {}
_TIMES_KEPT = 65_536


def time_text(ns: int) -> str:
    """A time as ledgers write it: `2026-11-22T10:10:56.123456789Z`, zeros at the end of the fraction left out.

    `ns` is nanoseconds since 1970, within 64 bits.
    """
    seconds, fraction = divmod(ns, 1_000_000_000)
    day, rest = divmod(seconds, 86_400)
    text = f"{_day_text(day)}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    text = f"{text}.{fraction:09d}".rstrip("0") + "Z" if fraction else text + "Z"
    _remember_time(text, ns)  # it will be read again in a moment
    return text


@lru_cache(maxsize=4096)
def _day_text(day: int) -> str:
    return date.fromordinal(day + _EPOCH_DAY).isoformat()


def _remember_time(text: str, ns: int | None) -> None:
    if len(_times) >= _TIMES_KEPT:
        _times.clear()
    _times[text] = ns


def parse_time_ns(text: str) -> int | None:
    """Nanoseconds since 1970 of `time_text`, None where the text is no such time or beyond 64 bits."""
    try:
        return _times[text]
    except KeyError:
        ns = _parse_time_ns(text)
        _remember_time(text, ns)
        return ns


def _parse_time_ns(text: str) -> int | None:
    found = _TIME.match(text)
    if found is None:
        return None
    day_text, hour, minute, second, fraction = found.groups()
    day = _day_of(day_text)
    if day is None:
        return None
    seconds = day * 86_400 + int(hour) * 3600 + int(minute) * 60 + int(second)
    ns = seconds * 1_000_000_000 + (int(fraction.ljust(9, "0")) if fraction else 0)
    return ns if -(1 << 63) <= ns < 1 << 63 else None
