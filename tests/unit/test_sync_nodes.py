"""Whom a node connects to, how a device asks to join, what is wrong between nodes: all of it pure."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.fixed import FILE_NAME, Fixed, fix, read_fixed
from sync.invite import Invitation, decode, encode
from sync.joining import asking_name, askings, free_alias, is_accepted, plain_name, why_not
from sync.myself import fixed_addresses
from sync.nodes import NodeInfo, doubts, node_info, to_fix, trusted_nodes
from sync.roster import problems as wrong_between
from sync.roster import roster
from sync.syncthing.config import Options
from sync.syncthing.deviceid import is_device_id
from sync.syncthing.records import Offer, PendingDevice, PendingFolder
from sync.syncthing.report import Peer
from tagfs.errors import BadRequest
from tagfs.fact import Fact
from tagfs.glossary import NODE_THING, Thing, thing_facts
from tagfs.layout import Layout
from tests.support.fake_syncthing import a_device_id

LIBRARY = "11111111-2222-4333-8444-555555555555"
A, B, C, D = (f"{letter * 8}-0000-4000-8000-000000000000" for letter in "abcd")
DEVICE = {guid: a_device_id(guid) for guid in (A, B, C, D)}
OTHER = a_device_id("other")


def at(number: int, by: str) -> str:
    return f"2026112{number // 1000}T10{number // 60 % 60:02}{number % 60:02}.000Z-0000-{by[:8]}"


class Said:
    """Statements about nodes, in the order in which they are made."""

    def __init__(self, *, older: bool = False) -> None:
        self._count = 0 if older else 1000
        self._things: dict[str, Thing] = {}

    def __call__(self, by: str, about: str, **what: object) -> Said:
        self._count += 1
        fact = Fact(at=at(self._count, by), by=by, node=about, **what)  # type: ignore[arg-type]
        self._things.setdefault(about, Thing()).add(fact)
        return self

    def takes_in(self, other: Said) -> Said:
        """What another says is read as well; what is said from here on is newer."""
        for guid, thing in other._things.items():
            mine = self._things.setdefault(guid, Thing())
            for fact in thing_facts(NODE_THING, guid, thing, {one[:8]: one for one in (A, B, C, D)}):
                mine.add(fact)
        self._count = other._count
        return self

    def accepts(self, by: str, about: str, device: str = "", **what: object) -> Said:
        return self(by, about, device=device or DEVICE[about], alias=f"n{about[0]}", **what)

    @property
    def nodes(self) -> dict[str, NodeInfo]:
        return {guid: node_info(guid, thing) for guid, thing in self._things.items()}


def seen_by(me: str, said: Said) -> dict[str, str]:
    return {guid: found.device for guid, found in trusted_nodes(me, said.nodes).items()}


# -- trust -------------------------------------------------------------------------


def test_a_node_connects_to_whom_it_accepted_and_to_whom_those_accepted() -> None:
    # B joined through A, C through B, D through C.
    said = Said().accepts(B, A).accepts(A, B).accepts(C, B).accepts(B, C).accepts(D, C).accepts(C, D)
    for me in (A, B, C, D):
        assert seen_by(me, said) == {guid: DEVICE[guid] for guid in (A, B, C, D) if guid != me}


def test_what_a_stranger_says_connects_nobody() -> None:
    said = Said().accepts(B, A).accepts(A, B).accepts(C, D).accepts(C, C).accepts(D, C)
    assert seen_by(A, said) == {B: DEVICE[B]}
    assert seen_by(C, said) == {D: DEVICE[D]}


def test_a_node_does_not_accept_itself() -> None:
    assert seen_by(A, Said().accepts(B, B)) == {}


def test_one_that_may_not_introduce_brings_nobody_whatever_it_says_of_itself() -> None:
    said = Said().accepts(A, B, introduces=False).accepts(B, C)
    assert seen_by(A, said) == {B: DEVICE[B]}
    said(B, B, introduces=True)(C, B, introduces=True)
    assert seen_by(A, said) == {B: DEVICE[B]}
    said(A, B, introduces=True)
    assert set(seen_by(A, said)) == {B, C}


def test_one_that_was_forgotten_is_out_and_so_is_whom_it_brought() -> None:
    said = Said().accepts(A, B).accepts(B, C)(A, B, gone=True)
    assert seen_by(A, said) == {}


def test_the_device_that_was_accepted_first_counts_and_another_is_a_doubt() -> None:
    said = Said().accepts(A, B).accepts(B, A)
    said(A, B, device=OTHER)(B, B, device=OTHER)
    assert seen_by(A, said) == {B: DEVICE[B]}
    assert [(one.node.guid, one.device) for one in doubts(A, said.nodes)] == [(B, OTHER)]
    (sentence,) = wrong_between(A, DEVICE[A], said.nodes)
    assert OTHER in sentence
    assert "nb" in sentence


def test_what_a_node_was_taken_for_is_changed_by_no_fact_however_old_it_says_it_is(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    os.mkdir(layout.scratch)
    honest = Said().accepts(A, B).accepts(B, A).accepts(A, C, introduces=False)
    assert fix(layout, to_fix(trusted_nodes(A, honest.nodes)))
    assert not fix(layout, to_fix(trusted_nodes(A, honest.nodes)))
    assert os.stat(tmp_path / FILE_NAME).st_mode & 0o777 == 0o600
    # Made up by C, in the name of A and with stamps of before all that was said.
    forged = Said(older=True)(A, B, device=OTHER)(A, C, device=DEVICE[C], introduces=True)
    forged.takes_in(honest)(A, C, introduces=True)
    forged.accepts(C, D)
    assert seen_by(A, forged) == {B: OTHER, C: DEVICE[C], D: DEVICE[D]}
    believed = {guid: one._replace(fixed=read_fixed(layout).get(guid)) for guid, one in forged.nodes.items()}
    assert {guid: one.device for guid, one in trusted_nodes(A, believed).items()} == {B: DEVICE[B], C: DEVICE[C]}
    assert [(one.node.guid, one.device) for one in doubts(A, believed)] == [(B, OTHER)]
    assert OTHER in wrong_between(A, DEVICE[A], believed)[0]
    # Nobody is trusted for what is fixed alone, and a person's word counts more.
    alone = {guid: one._replace(said={}) for guid, one in believed.items()}
    assert trusted_nodes(A, alone) == {}
    assert fix(layout, {B: Fixed(OTHER, True)}, by_hand=True)
    assert read_fixed(layout)[B] == Fixed(OTHER, True)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"x":1}', b"\xff"])
def test_what_is_fixed_and_damaged_is_made_again(tmp_path: Path, damage: bytes) -> None:
    layout = Layout(str(tmp_path))
    os.mkdir(layout.scratch)
    (tmp_path / FILE_NAME).write_bytes(damage)
    assert read_fixed(layout) == {}
    assert fix(layout, {B: Fixed(DEVICE[B], False)})
    assert read_fixed(layout) == {B: Fixed(DEVICE[B], False)}


def test_a_device_id_has_the_form_of_one() -> None:
    assert is_device_id(OTHER)
    assert not is_device_id(OTHER.lower())
    assert not is_device_id(OTHER + "\n")
    wrong = OTHER[:-1] + ("A" if OTHER[-1] != "A" else "B")  # Syncthing would take none of its settings with it
    assert not is_device_id(wrong)
    assert seen_by(A, Said().accepts(A, B, device=wrong)) == {}
    assert seen_by(A, Said().accepts(A, B, device="HELLO")) == {}


@given(st.lists(st.tuples(st.sampled_from([A, B, C, D]), st.sampled_from([A, B, C, D]), st.booleans()), max_size=12))
def test_trust_needs_a_chain_that_begins_here(statements: list[tuple[str, str, bool]]) -> None:
    said = Said()
    for by, about, introduces in statements:
        said.accepts(by, about, introduces=introduces)
    for me in (A, B, C, D):
        found = trusted_nodes(me, said.nodes)
        assert me not in found
        reachable, may = set(), {me}
        for guid, one in found.items():
            assert one.device == DEVICE[guid]
            may |= {guid} if one.introduces else set()
        for guid in found:
            if any(by in may and about == guid and by != guid for by, about, _ in statements):
                reachable.add(guid)
        assert reachable == set(found)


# -- asking ------------------------------------------------------------------------


def pending(alias: str, node: str, library: str = LIBRARY) -> PendingDevice:
    return PendingDevice(
        time="2026-11-27T10:00:00Z", name=asking_name("Ada's", library, node, alias), address="192.0.2.7:22000"
    )


def test_a_device_that_asks_is_known_by_its_name() -> None:
    (one,) = askings({OTHER: pending("my [big] tablet", B)}, {}, {}, A, LIBRARY, {})
    assert one == (OTHER, "my [big] tablet", "192.0.2.7:22000", LIBRARY, B)
    assert why_not(one, A, LIBRARY, {}) == ""


def test_a_device_that_syncthing_knew_is_known_by_the_ledger_it_offers() -> None:
    offers = {
        f"lyts-{LIBRARY}-{B}": PendingFolder({OTHER: Offer(label="lyts: tablet")}),
        f"lyts-{LIBRARY}-{C}": PendingFolder({DEVICE[C]: Offer(label="lyts: phone")}),
        "photos": PendingFolder({OTHER: Offer(label="photos")}),
    }
    names = {OTHER: "Ada's tablet", DEVICE[C]: "phone"}
    found = askings({}, offers, names, A, LIBRARY, Said().accepts(A, C).nodes)
    assert found == [(OTHER, "tablet", "", LIBRARY, B)]


@pytest.mark.parametrize("nodes", list(itertools.permutations([A, B, C])))
def test_of_all_the_ledgers_that_a_device_offers_its_own_is_the_one_that_is_not_known(nodes: tuple[str, ...]) -> None:
    me, known, asks = nodes
    said = Said().accepts(me, me).accepts(me, known)
    labels = {me: "lyts: this one", known: "lyts: phone", asks: "lyts: tablet"}

    def ask(offered: Iterable[str], said: Said, device: str = OTHER) -> list[tuple[str, str, str]]:
        # As Syncthing gives them: in the order of their ids.
        offers = {f"lyts-{LIBRARY}-{guid}": PendingFolder({device: Offer(label=labels[guid])}) for guid in offered}
        found = askings({}, offers, {device: "Ada's tablet"}, me, LIBRARY, said.nodes)
        return [(one.alias, one.library, one.node) for one in found]

    assert ask(sorted([me, asks]), said) == [("tablet", LIBRARY, asks)]
    assert ask(sorted(nodes), said) == [("tablet", LIBRARY, asks)]
    # One that facts speak of already, by another that may not introduce it.
    by_a_server = Said().accepts(me, me).accepts(me, known, introduces=False).accepts(known, asks)
    assert ask(sorted(nodes), by_a_server, DEVICE[asks]) == [("tablet", LIBRARY, asks)]
    # A copy of this very store is named as such; where it is not certain which it is, nobody is let in.
    assert ask([me], said) == [("this one", LIBRARY, me)]
    labels[D] = "lyts: other"
    assert ask(sorted([*nodes, D]), said) == [("Ada's tablet", "", "")]


def test_who_is_no_lyts_stands_last_and_cannot_be_let_in() -> None:
    found = askings(
        {OTHER: PendingDevice(name="a\x1b[2Jphone"), DEVICE[B]: pending("tablet", B)}, {}, {}, A, LIBRARY, {}
    )
    assert [one.alias for one in found] == ["tablet", "a?[2Jphone"]
    assert "no lyts" in why_not(found[1], A, LIBRARY, {})


def test_why_a_device_cannot_be_let_in() -> None:
    said = Said().accepts(A, B).accepts(A, C)(A, C, gone=True)

    def why(device: str, node: str, library: str = LIBRARY) -> str:
        (one,) = askings({device: pending("x", node, library)}, {}, {}, A, LIBRARY, {})
        return why_not(one, A, LIBRARY, said.nodes)

    assert "another library" in why(DEVICE[D], D, D)
    assert "copy" in why(OTHER, A)
    assert "never changes" in why(OTHER, B)
    assert "forgotten" in why(DEVICE[C], C)
    assert "is nb already" in why(DEVICE[B], D)
    assert why(DEVICE[B], B) == ""
    assert why(DEVICE[D], D) == ""


@given(st.text(max_size=60))
def test_any_name_can_ask(alias: str) -> None:
    name = asking_name("x", LIBRARY, B, alias)
    assert plain_name(name) == "x"
    assert asking_name(name, LIBRARY, B, alias) == name
    assert plain_name(alias) == alias
    (one,) = askings({OTHER: PendingDevice(name=name)}, {}, {}, A, LIBRARY, {})
    assert (one.library, one.node) == (LIBRARY, B)
    assert one.alias.isprintable()
    assert one.alias


def test_names_that_are_taken_get_a_number() -> None:
    said = Said()(A, A, alias="Tablet")(A, B, alias="tablet-2")(A, C, alias="phone")(A, C, gone=True)
    assert free_alias("tablet", D, said.nodes) == "tablet-3"
    assert free_alias("tablet", A, said.nodes) == "tablet"
    assert free_alias("phone", D, said.nodes) == "phone"


def test_one_is_accepted_once_somebody_it_trusts_says_its_device() -> None:
    def accepted(said: Said, device: str = DEVICE[B]) -> bool:
        return is_accepted(B, device, said.nodes, trusted_nodes(B, said.nodes))

    said = Said().accepts(B, A).accepts(B, B)
    assert not accepted(said)
    assert not accepted(said.accepts(C, B))
    assert accepted(said.accepts(A, B))
    assert not accepted(said, OTHER)


# -- invitations -------------------------------------------------------------------

INVITATION = Invitation(LIBRARY, A, "läptop", DEVICE[A], ("tcp://127.0.0.1:22001", "tcp://[::1]:22001"))


def test_a_code_is_read_as_it_was_written_or_copied_by_hand() -> None:
    code = encode(INVITATION)
    assert code.startswith("lyts1-")
    for copied in (code, code.upper(), code.lower(), f"  {code[:40]}\n{code[40:]} ", code.replace("-", "")):
        assert decode(copied) == INVITATION


@given(st.data())
def test_a_code_with_a_mistake_in_it_is_refused(data: st.DataObject) -> None:
    code = encode(INVITATION)
    place = data.draw(st.integers(6, len(code) - 1))
    letter = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
    wrong = code[:place] + letter + code[place + 1 :]
    if code[place] == "-" or letter == code[place]:
        wrong = code[:place]
    with pytest.raises(BadRequest):
        decode(wrong)


@given(st.text(max_size=80))
def test_nothing_else_is_a_code(text: str) -> None:
    for one in (text, f"lyts1-{text}"):
        with pytest.raises(BadRequest):
            decode(one)


# -- where a node is reached -----------------------------------------------------------


@pytest.mark.parametrize(
    ("listening", "found", "fixed"),
    [
        (["tcp://127.0.0.1:22001"], False, ["tcp://127.0.0.1:22001"]),
        (["tcp://127.0.0.1:22001"], True, []),
        (["default"], True, []),
        (["tcp://0.0.0.0:22000", "tcp://:22000", "quic://[::]:22000"], True, []),
        (["tcp://192.0.2.7:22000", "quic://[2001:db8::7]:22000", "relay://x.example:443/?id=Y"], True,
         ["tcp://192.0.2.7:22000", "quic://[2001:db8::7]:22000"]),
    ],
)  # fmt: skip
def test_addresses_that_hold_for_certain(listening: list[str], found: bool, fixed: list[str]) -> None:
    options = Options(
        listen_addresses=tuple(listening), global_announce=found, local_announce=found, relays=found, nat=found
    )
    assert list(fixed_addresses(options)) == fixed


# -- how it is shown --------------------------------------------------------------------


def peer(device: str, *, connected: bool = False, seen: str = "", paused: bool = False) -> Peer:
    return Peer(device, "", connected, paused, "", "", 0, 0, seen)


def test_the_roster_says_how_each_is() -> None:
    said = Said().accepts(A, B).accepts(B, A).accepts(A, C).accepts(D, D).accepts(A, A)
    peers = {DEVICE[B]: peer(DEVICE[B], connected=True), DEVICE[C]: peer(DEVICE[C], seen="2026-11-27T10:00:00Z")}

    def states(of: dict[str, Peer] | None) -> dict[str, str]:
        return {row.alias: row.state for row in roster(A, DEVICE[A], said.nodes, of)}

    assert states(peers) == {"na": "here", "nb": "connected", "nc": "away", "nd": "apart"}
    assert states(None) == {"na": "here", "nb": "unknown", "nc": "unknown", "nd": "apart"}
    assert states({}) == {"na": "here", "nb": "joining", "nc": "joining", "nd": "apart"}
    assert states({**peers, DEVICE[C]: peer(DEVICE[C], paused=True)})["nc"] == "paused"
    assert next(iter(states(peers))) == "na"


def test_one_that_was_not_let_in_yet_is_joining_even_where_syncthing_is_connected_for_a_moment() -> None:
    said = Said().accepts(B, A).accepts(B, B)
    rows = roster(B, DEVICE[B], said.nodes, {DEVICE[A]: peer(DEVICE[A], connected=True)})
    assert [row.state for row in rows] == ["here", "joining"]


def test_what_is_wrong_is_said() -> None:
    assert wrong_between(A, DEVICE[A], Said().accepts(A, A).nodes) == []
    twice = Said()(A, A, alias="x")(A, B, alias="x")
    assert wrong_between(A, DEVICE[A], twice.nodes) == ["2 devices are called 'x': lyts node rename"]
    gone = Said().accepts(A, B).accepts(B, A)(B, A, gone=True)
    assert "was forgotten" in wrong_between(A, DEVICE[A], gone.nodes)[0]
    anew = Said().accepts(A, B).accepts(B, A)
    assert "keys were made anew" in wrong_between(A, OTHER, anew.nodes)[0]
