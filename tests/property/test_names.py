"""Names: whatever comes and goes, a listing is a bijection and no name passes from one file to another by itself."""

from __future__ import annotations

import unicodedata
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tagfs.guid import new_guid
from tagfs.views.names import (
    DIGITS,
    MAX_NAME_BYTES,
    ImpossibleName,
    Listing,
    Sticky,
    long_name,
    looks_long,
    lookup_forms,
    new_name,
    parse_long,
    shown_form,
    strip_own_suffix,
)
from tagfs.views.temporary import becomes_ordinary, is_backup_of, is_temporary, origins
from tests.support.desk import Desk, Here, Thing

guids = st.binary(min_size=16, max_size=16).map(new_guid)
texts = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=260)
possible = st.one_of(texts, st.from_regex(r"[a-c]{1,3}(~[0-9a-f]{7,9})?(\.[a-z~]{1,3}){0,2}", fullmatch=True)).map(
    lambda text: text.encode()
)


def is_possible(name: bytes) -> bool:
    try:
        return bool(new_name(name))
    except ImpossibleName:
        return False


names = possible.filter(is_possible).map(new_name)


@given(names, guids, st.sampled_from(DIGITS))
@example(("ü" * 127).encode(), "1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d", 32)
@example(b"a." + b"b" * 32, "1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d", 8)
def test_long_name_is_possible_and_leads_back(name: bytes, guid: str, digits: int) -> None:
    long = long_name(name, guid, digits)
    assert len(long) <= MAX_NAME_BYTES
    assert new_name(long) == long, "NFC, and valid text"
    assert looks_long(long)
    assert any(guid.replace("-", "").startswith(found) and len(found) == digits for _, found in parse_long(long))
    assert strip_own_suffix(long, guid, name) == name
    if len(name) + 1 + digits <= MAX_NAME_BYTES:
        assert strip_own_suffix(long, guid) == name


@given(names, guids)
def test_only_the_files_own_suffix_is_stripped(name: bytes, guid: str) -> None:
    stripped = strip_own_suffix(name, guid)
    assert stripped == name or any(guid.replace("-", "").startswith(digits) for _, digits in parse_long(name))
    assert looks_long(name) == bool(parse_long(name)) or name.startswith(b"~")


@given(st.binary(max_size=300))
def test_any_bytes_can_be_asked_for_and_are_taken_or_refused(name: bytes) -> None:
    parse_long(name)
    shown_form(name)
    is_temporary(name)
    becomes_ordinary(name, 0)
    list(origins(name))
    is_backup_of(name, name[:-1])
    forms = lookup_forms(name)
    try:
        taken = new_name(name)
    except ImpossibleName as error:
        assert error.errno_name in ("ENOENT", "EINVAL", "ENAMETOOLONG", "EILSEQ")
    else:
        assert taken == shown_form(name) == forms[0]
        assert new_name(taken) == taken


@given(texts)
def test_every_spelling_finds_what_is_stored_under_any(text: str) -> None:
    spelled = [unicodedata.normalize(form, text).encode() for form in ("NFC", "NFD")]
    if all(len(name) <= MAX_NAME_BYTES for name in spelled):
        for name in spelled:
            assert set(spelled) <= set(lookup_forms(name))


# Few names and ids that nearly collide, so that everything meets.
NFC, NFD = "é".encode(), "e\u0301".encode()
GUIDS = [
    "11111111-1111-4111-8111-111111111111",
    "11111111-1111-4111-8111-222222222222",
    "11111111-2222-4111-8111-111111111111",
    "22222222-1111-4111-8111-111111111111",
    "33333333-1111-4111-8111-111111111111",
    "44444444-1111-4111-8111-111111111111",
    "55555555-1111-4111-8111-111111111111",
]
STORED = [
    b"a",
    b"b",
    b"a~11111111",
    b"a~111111111111",
    b"a~22222222",
    b"a" * 255,
    NFC,
    NFD,
    long_name(b"a" * 255, GUIDS[0]),
    long_name(NFC, GUIDS[1]),
]
ASKED = STORED + [long_name(name, guid, n) for name in (b"a", b"b", NFD) for guid in GUIDS for n in (8, 12, 32)]
things = st.integers(0, len(GUIDS) - 1)
stored_names = st.sampled_from(STORED)


class ADirectory(RuleBasedStateMachine):
    """One directory, files that come, go and are renamed from beneath, and programs that hold on to names."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(GUIDS)
        for n in range(len(GUIDS)):
            self.desk.put(STORED[n % 3], b"", *(["d"] if n % 2 else []))
        self.here = Here(self.desk, "d")
        self.promised: dict[bytes, int] = {}
        """Name -> the file it led to when last asked, or that took it over: what a program may rely on."""
        self.listing: Listing | None = None
        self.to_list: list[Thing] = []
        self.listed: dict[bytes, int] = {}

    def thing(self, n: int) -> Thing:
        return self.desk.things[n]

    def see(self, name: bytes, ordinal: int | None) -> None:
        plain = shown_form(name)
        if ordinal is None:
            return
        before = self.promised.setdefault(plain, ordinal)
        if before != ordinal:
            assert self.are_alike(before, ordinal, plain), f"{plain!r} passed from {before} to {ordinal}"
            self.promised[plain] = ordinal

    def are_alike(self, one: int, other: int, long: bytes) -> bool:
        """Two files with one name (then) and these common digits: one in four thousand million.

        The long name leads to the one made first, whoever had it before.
        """
        return any(
            all(self.thing(n).guid.replace("-", "").startswith(digits) for n in (one, other))
            for _, digits in parse_long(long)
        )

    @rule(n=things)
    def enters(self, n: int) -> None:
        self.desk.beneath_enter(self.thing(n), "d")

    @rule(n=things, told=st.booleans())
    def leaves(self, n: int, told: bool) -> None:
        if told:
            self.desk.beneath_leave(self.thing(n), "d")
        else:
            self.thing(n).dirs.discard("d")

    def forget_long_names(self, n: int) -> None:
        """A file that is renamed frees its long names."""
        own = shown_form(self.thing(n).name)
        self.promised = {name: to for name, to in self.promised.items() if to != n or name == own}

    @rule(n=things, name=stored_names)
    def renamed_from_beneath(self, n: int, name: bytes) -> None:
        self.forget_long_names(n)
        self.desk.beneath_rename(self.thing(n), name)

    @rule(name=st.sampled_from(ASKED))
    def asks(self, name: bytes) -> None:
        ordinal = self.desk.sticky.setdefault("d", Sticky()).resolve(name, self.here)
        if ordinal is not None:
            assert ordinal in self.here
            thing = self.thing(ordinal)
            assert shown_form(thing.name) == shown_form(name) or any(
                thing.guid.replace("-", "").startswith(digits) for _, digits in parse_long(shown_form(name))
            )
        self.see(name, ordinal)

    @rule(n=things, name=stored_names)
    def takes_over(self, n: int, name: bytes) -> None:
        """A program renames a file of the directory to a name that leads to nothing."""
        sticky = self.desk.sticky.setdefault("d", Sticky())
        thing = self.thing(n)
        if n in self.here and sticky.resolve(name, self.here) is None:
            self.forget_long_names(n)
            self.desk._set_name(thing, name)
            sticky.takes_over(name, n, self.here)
            self.promised[shown_form(name)] = n
            assert sticky.resolve(name, self.here) == n

    @rule()
    def lists(self) -> None:
        for name, thing in self.desk.ls("d").items():
            self.see(name, thing.ordinal)
            assert self.desk.sticky["d"].resolve(name, self.here) == thing.ordinal, "what is listed resolves"

    @rule()
    def begins_to_list(self) -> None:
        self.listing = Listing(self.desk.sticky.setdefault("d", Sticky()))
        self.to_list = [thing for thing in self.desk.stored() if "d" in thing.dirs]
        self.listed = {}

    @precondition(lambda self: self.listing is not None and self.to_list)
    @rule()
    def lists_a_page(self) -> None:
        thing = self.to_list.pop(0)
        if thing.ordinal in self.here:  # the adapter leaves out what has gone meanwhile
            assert self.listing is not None
            (name,) = self.listing.page([thing.ordinal], [thing.name], [self.here.shared(thing.ordinal)], self.here)
            before = self.listed.get(name)
            assert before is None or self.are_alike(before, thing.ordinal, name), "a name appears twice in a listing"
            self.listed[name] = thing.ordinal
            self.see(name, thing.ordinal)

    @invariant()
    def every_file_has_a_name(self) -> None:
        sticky = self.desk.sticky.get("d")
        for thing in self.desk.stored():
            if sticky is not None and thing.ordinal in self.here:
                whole = long_name(shown_form(thing.name), thing.guid, 32)
                assert sticky.resolve(whole, self.here) == thing.ordinal

    @invariant()
    def counts_are_right(self) -> None:
        sticky = self.desk.sticky.get("d")
        if sticky is not None:
            assert sticky._closed == sum(who >= 0 for who in sticky._special.values())


TestADirectory = ADirectory.TestCase


@given(st.lists(st.tuples(names, st.uuids(version=4)), unique_by=lambda pair: pair[1], max_size=12))
def test_listing_of_anything_is_a_bijection(files: list[tuple[bytes, UUID]]) -> None:
    desk = Desk([str(guid) for _, guid in files])
    for name, _ in files:
        desk.put(name, b"", "d")
    shown = desk.ls("d", page=5)
    assert len(shown) == len(files)
    assert all(desk.find("d", name) is thing for name, thing in shown.items())
