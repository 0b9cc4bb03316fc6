"""Facts for tests, and a naive model of the merge.

`arbitrary_facts` have the right form and nothing else: stamps repeat, untags name what
never was. `histories` are what honest nodes make: each stamps after what it has read,
and an untag or purge names what its maker had seen.

`expected_face` is the merge as the paper states it (facts.md, Merge), asked of the whole
set of facts at once. It keeps no state and shares nothing with `tagfs.merge`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import strategies as st

from tagfs.fact import Content, Fact, Made, Purge, encode_fact, parse_fact, parse_time_ns
from tagfs.slug import data_path
from tagfs.stamp import make_stamp, when_of

NODES = [
    "1a2b3c4d-0001-4000-8000-000000000001",
    "0badcafe-0002-4000-8000-000000000002",
    "fedcba98-0003-4000-8000-000000000003",
    "5555aaaa-0004-4000-8000-000000000004",
]
NODE_GUID = {guid[:8]: guid for guid in NODES}
FILES = [
    "9c0f7be1-feed-4bee-8bad-000000000001",
    "00000010-feed-4bee-8bad-000000000002",
    "ffff0000-feed-4bee-8bad-000000000003",
]
TAGS = ["music", "rome", "year=1959", "artist=AC/DC"]
RULE = "22222222-0000-5000-8000-00000000000a"
HASHES = [digit * 64 for digit in "abc"]
TIMES = ["2024-05-01T12:00:00Z", "1969-12-31T23:59:59.5Z", "2031-01-01T00:00:00.123456789Z"]
NAMES = ["Holiday in Rome.jpg", "b", "Grüße 🎈.tar.gz", " .hidden", "line\nbreak"]
BASE_MS = 1_764_000_000_000


def stamp(when: int, node: str) -> str:
    """The stamp of a small number at a node: `when` counts from a fixed day on."""
    return make_stamp((BASE_MS << 16) + when, node[:8])


def made(guid: str, name: str = "song.flac", **more: Any) -> Made:
    return Made(name=name, data=data_path(guid, name), **more)


def content(sha256: str = HASHES[0], size_bytes: int = 5, modified: str = TIMES[0], was: str | None = None) -> Content:
    return Content(sha256=sha256, size_bytes=size_bytes, modified=modified, was=was)


def through_a_line(fact: Fact) -> Fact:
    """The fact as another node reads it."""
    return parse_fact(encode_fact(fact).rstrip(b"\n"))


# -- facts of the right form, without any sense in them

_whens = st.integers(0, 11)
_nodes = st.sampled_from(NODES)
_stamps = st.builds(stamp, _whens, _nodes)
_removals = st.dictionaries(
    st.sampled_from(TAGS),
    st.lists(_stamps, max_size=3).map(lambda stamps: {at[26:]: at for at in stamps}),
    min_size=1,
    max_size=2,
)
_contents = st.builds(
    content,
    st.sampled_from(HASHES),
    st.integers(0, 1 << 40),
    st.sampled_from(TIMES),
    st.none() | st.sampled_from(HASHES),
)
_yes_no = st.dictionaries(_nodes, st.booleans(), min_size=1, max_size=3)


def _made_of(guid: str) -> st.SearchStrategy[Made]:
    return st.builds(
        lambda name, folder, raw, moved: Made(
            name=name,
            data=data_path(guid, name) if not moved else f"{guid[:2]}/{guid}--moved",
            from_=folder,
            raw_name=raw,
        ),
        st.sampled_from(NAMES),
        st.none() | st.sampled_from(["/home/ada", ""]),
        st.none() | st.just("/w=="),
        st.booleans(),
    )


def statements(guid: str) -> dict[str, st.SearchStrategy[Any]]:
    """What can be said about a file, by field of `Fact`."""
    return {
        "made": _made_of(guid),
        "tag": st.lists(st.sampled_from(TAGS), min_size=1, max_size=3, unique=True),
        "untag": _removals,
        "content": _contents,
        "name": st.sampled_from(NAMES),
        "notes": st.sampled_from(["", "a note", "two\nlines"]),
        "mode": st.sampled_from([0o644, 0o600, 0]),
        "modified": st.sampled_from(TIMES),
        "xattr": st.dictionaries(
            st.sampled_from(["user.a", "user.b"]), st.none() | st.sampled_from(["", "x"]), min_size=1
        ),
        "holds": _yes_no,
        "knows": _yes_no,
        "placed_by": st.sampled_from([[], ["hand"], [RULE]]),
        "trash": st.booleans(),
        "purge": st.builds(
            Purge,
            content=st.lists(st.sampled_from(HASHES), unique=True),
            seen=st.lists(_stamps, max_size=4).map(lambda stamps: {at[26:]: at for at in stamps}),
        ),
    }


@st.composite
def arbitrary_facts(draw: st.DrawFn, files: Sequence[str] = FILES, nodes: Sequence[str] = NODES) -> Fact:
    """One fact about a file; nothing in it need fit any other."""
    node = draw(st.sampled_from(list(nodes)))
    guid = draw(st.sampled_from(list(files)))
    said = statements(guid)
    fields = draw(st.lists(st.sampled_from(sorted(said)), min_size=1, max_size=4, unique=True))
    return Fact(at=stamp(draw(_whens), node), by=node, file=guid, **{name: draw(said[name]) for name in fields})


@st.composite
def thing_facts(draw: st.DrawFn) -> Fact:
    """One fact about a tag, node, saved query, nodeset or rule."""
    node = draw(_nodes)
    head = {"at": stamp(draw(_whens), node), "by": node}
    kind = draw(st.sampled_from(["tag", "node", "saved", "set", "rule"]))
    if kind == "tag":
        said: dict[str, st.SearchStrategy[Any]] = {
            "exists": st.booleans(),
            "implies": st.lists(st.sampled_from(TAGS), min_size=1, max_size=2, unique=True),
            "alias": st.lists(st.sampled_from(TAGS), min_size=1, max_size=2, unique=True),
            "unimplies": _removals,
            "unalias": _removals,
        }
        subject = draw(st.sampled_from(TAGS))
    elif kind == "node":
        said = {
            "alias": st.sampled_from(["laptop", "tablet"]),
            "device": st.sampled_from(["DEVICE", "OTHER"]),
            "addresses": st.sampled_from([[], ["tcp://192.0.2.7:22000"]]),
            "introduces": st.booleans(),
            "gone": st.booleans(),
        }
        subject = draw(_nodes)
    elif kind == "saved":
        said, subject = {"query": st.sampled_from(["music", "rome+music", ""])}, "evening"
    elif kind == "rule":
        holds = draw(st.dictionaries(_nodes, st.just(True), max_size=2))
        return Fact(**head, rule=RULE, query=draw(st.sampled_from(["music", "size=1GB.."])), holds=holds)
    else:
        label, nodes = (
            draw(st.sampled_from(["laptop", "laptop+tablet"])),
            draw(st.lists(_nodes, min_size=1, unique=True)),
        )
        ledgers = draw(st.sampled_from([None, True, False]))
        return Fact(**head, set="lsd-00", label=label, nodes=nodes, ledgers=ledgers)
    fields = draw(st.lists(st.sampled_from(sorted(said)), min_size=1, unique=True))
    return Fact(**head, **{kind: subject}, **{name: draw(said[name]) for name in fields})


# -- facts as honest nodes make them


@dataclass
class Writer:
    """A node in a made-up history: what it has read, and a clock that follows it."""

    node: str
    read: list[Fact] = field(default_factory=list)
    last: int = 0

    def say(self, guid: str, **fields: Any) -> Fact:
        self.last += 1
        fact = Fact(at=stamp(self.last, self.node), by=self.node, file=guid, **fields)
        self.read.append(fact)
        return fact

    def reads(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            if fact not in self.read:
                self.read.append(fact)
                self.last = max(self.last, _number(fact.at))

    def about(self, guid: str) -> list[Fact]:
        return [fact for fact in self.read if fact.file == guid]


def _number(at: str) -> int:
    return when_of(at) - (BASE_MS << 16)


_STEPS = st.tuples(
    st.integers(0, 3),
    st.sampled_from(
        ["tag", "untag", "edit", "rename", "notes", "holds", "knows", "trash", "put back", "purge", "read"]
    ),
    st.integers(0, 5),
)


@st.composite
def histories(draw: st.DrawFn, nodes: int = 3, max_steps: int = 25) -> list[Fact]:
    """All facts about one file that honest nodes made, reading from each other now and then."""
    guid = FILES[0]
    writers = [Writer(node) for node in NODES[:nodes]]
    birth = writers[0].say(guid, made=made(guid), content=content(), holds={NODES[0]: True})
    for writer in writers[1:]:
        writer.reads([birth])
    for who, what, number in draw(st.lists(_STEPS, max_size=max_steps)):
        writer, other = writers[who % nodes], writers[number % nodes]
        known = writer.about(guid)
        tag = TAGS[number % len(TAGS)]
        if what == "read":
            writer.reads(other.read)
        elif what == "tag":
            writer.say(guid, tag=[tag])
        elif what == "untag":
            writer.say(guid, untag={tag: newest_by_node(f for f in known if f.tag is not None and tag in f.tag)})
        elif what == "edit":
            current = max((f for f in known if f.content is not None), key=lambda f: f.at).content
            assert current is not None
            writer.say(guid, content=content(HASHES[number % 3], number, was=current.sha256))
        elif what == "rename":
            writer.say(guid, name=NAMES[number % len(NAMES)])
        elif what == "notes":
            writer.say(guid, notes=f"note {number}")
        elif what in ("holds", "knows"):
            writer.say(guid, **{what: {NODES[number % nodes]: number >= nodes}})
        elif what in ("trash", "put back"):
            writer.say(guid, trash=what == "trash")
        else:
            writer.say(guid, purge=purge_of(known))
    return _distinct(writers)


def _distinct(writers: Iterable[Writer]) -> list[Fact]:
    lines = dict.fromkeys(encode_fact(fact) for writer in writers for fact in writer.read)
    return [parse_fact(line.rstrip(b"\n")) for line in lines]


def newest_by_node(facts: Iterable[Fact]) -> dict[str, str]:
    newest: dict[str, str] = {}
    for fact in facts:
        newest[fact.at[26:]] = max(fact.at, newest.get(fact.at[26:], ""))
    return newest


def purge_of(known: Iterable[Fact]) -> Purge:
    """The purge that a node makes which has read these facts."""
    known = [fact for fact in known if fact.purge is None]
    return Purge(content=sorted({f.content.sha256 for f in known if f.content is not None}), seen=newest_by_node(known))


# -- the model


def _text(value: Any) -> str:
    return json.dumps(msgspec.to_builtins(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _last(stated: Iterable[tuple[str, Any]]) -> Any:
    """The value stated last; of forged statements at one stamp, the one with the larger text."""
    return max(stated, key=lambda one: (one[0], _text(one[1]).encode()), default=(None, None))[1]


@dataclass
class Expected:
    """The parts of a face that the model speaks of."""

    birth: tuple[int, str, str | None]
    name: str
    tags: list[str]
    notes: str
    mode: int
    heads: list[str]
    times_ns: set[int]
    born: bool
    purged: bool
    trashed: bool
    holds: set[str]
    unknown_to: set[str]


def expected_face(facts: Collection[Fact], nodes: Collection[str]) -> Expected:
    """What facts.md says about a file of which exactly these facts are known. Purges stand alone."""
    purges = [fact.purge for fact in facts if fact.purge is not None]
    facts = [fact for fact in facts if fact.purge is None]

    def stated(name: str) -> list[tuple[str, Any]]:
        return [(fact.at, getattr(fact, name)) for fact in facts if getattr(fact, name) is not None]

    births = sorted((fact.at, fact.by, _text(fact.made), fact.made) for fact in facts if fact.made is not None)
    birth = births[0][3] if births else None
    knows = {node: _last((at, said[node]) for at, said in stated("knows") if node in said) for node in nodes}
    holds = {node: _last((at, said[node]) for at, said in stated("holds") if node in said) for node in nodes}
    knowers = [node for node in sorted(nodes) if knows[node] is not False]
    holders = {node for node in knowers if holds[node]}
    if not holders and birth is not None:
        dropped = [
            (max(at for at, said in stated("holds") if node in said), node) for node in knowers if holds[node] is False
        ]
        maker = births[0][1]
        fallback = {maker} if maker in knowers or maker not in nodes else set(knowers[:1])
        holders = {max(dropped)[1]} if dropped else fallback
    contents = [(at, value) for at, value in _one_a_stamp(stated("content"))]
    heads = [
        (at, one.sha256)
        for at, one in contents
        if not any(later > at and two.was == one.sha256 for later, two in contents)
    ]
    touched_at, touched = max(stated("modified"), default=("", ""), key=lambda one: (one[0], one[1]))
    # The modification time is that of the newest bytes, unless it was set after them; bytes
    # stated again at another moment may carry another time.
    newest_at, newest = max(
        ((at, one) for at, one in contents if (at, one.sha256) in heads), default=("", None), key=lambda one: one[0]
    )
    times = {touched if touched_at > newest_at else newest.modified} if newest is not None else set()
    trashed_at = max((at for at, _ in stated("trash")), default="")
    later_life = [at for at, _ in stated("tag") + stated("content") if at > trashed_at]
    return Expected(
        birth=(when_of(births[0][0]), birth.data, birth.from_) if birth is not None else (0, "", None),
        name=_last(stated("name")) or (birth.name if birth is not None else ""),
        tags=sorted({tag for at, tags in stated("tag") for tag in tags if not _untagged(tag, at, facts)}),
        notes=_last(stated("notes")) or "",
        mode=0o644 if not stated("mode") else _last(stated("mode")),
        heads=sorted({sha for _, sha in heads}),
        times_ns={parse_time_ns(time) or 0 for time in times},
        born=birth is not None,
        purged=any(_covers(purge, facts, [one for _, one in contents]) for purge in purges),
        trashed=_last(stated("trash")) is True and not later_life,
        holds=holders,
        unknown_to={node for node in nodes if knows[node] is False},
    )


def _one_a_stamp(stated: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(at, _last(pair for pair in stated if pair[0] == at)) for at in sorted({at for at, _ in stated})]


def _untagged(tag: str, at: str, facts: Iterable[Fact]) -> bool:
    node = at[26:]
    return any(fact.untag is not None and fact.untag.get(tag, {}).get(node, "") >= at for fact in facts)


def _covers(purge: Purge, facts: Iterable[Fact], contents: Iterable[Content]) -> bool:
    return all(fact.at <= purge.seen.get(fact.at[26:], "") for fact in facts) and all(
        one.sha256 in purge.content for one in contents
    )
