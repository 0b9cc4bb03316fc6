"""What a file is called in a directory, and what a name leads to."""

from __future__ import annotations

import unicodedata

import pytest

from tagfs.views.names import (
    CLOSED_KEPT,
    ImpossibleName,
    Listing,
    Sticky,
    long_name,
    looks_long,
    lookup_forms,
    new_name,
    parse_long,
    shown_form,
    split_extension,
    strip_own_suffix,
)
from tagfs.views.temporary import (
    HOUR_NS,
    becomes_ordinary,
    companions,
    database_of,
    is_backup_of,
    is_temporary,
    origins,
)
from tests.support.desk import Desk, Here, long_form

GUID = "1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d"
HEX = GUID.replace("-", "").encode()
D = "music"
ME = 100
NFC, NFD = "Füße.txt".encode(), unicodedata.normalize("NFD", "Füße.txt").encode()


# -- the long form


@pytest.mark.parametrize(
    ("name", "long"),
    [
        (b"doc.txt", b"doc~1a2b3c4d.txt"),
        (b"doc", b"doc~1a2b3c4d"),
        (b"photos.tar.gz", b"photos.tar~1a2b3c4d.gz"),
        (b".bashrc", b".bashrc~1a2b3c4d"),
        (b".config.toml", b".config~1a2b3c4d.toml"),
        (b"...x", b"...x~1a2b3c4d"),
        (b"ends.", b"ends.~1a2b3c4d"),
        (b"Letter to Mr. Smith", b"Letter to Mr. Smith~1a2b3c4d"),
        (b"doc.txt~", b"doc~1a2b3c4d.txt~"),
        ("Füße.txt".encode(), "Füße~1a2b3c4d.txt".encode()),
        (b"doc~1a2b3c4d.txt", b"doc~1a2b3c4d~1a2b3c4d.txt"),
    ],
)
def test_long_name_says_which_file_and_keeps_the_extension(name: bytes, long: bytes) -> None:
    assert long_name(name, GUID) == long
    assert looks_long(long)
    assert (name, "1a2b3c4d") in parse_long(long)
    assert strip_own_suffix(long, GUID) == name


def test_long_name_is_cut_between_characters_so_that_it_fits() -> None:
    name = ("ü" * 125 + ".txt").encode()
    long = long_name(name, GUID)
    assert len(long) in (254, 255)
    assert long.decode() == "ü" * 121 + "~1a2b3c4d.txt"
    assert len(long_name(b"a" * 255, GUID)) == 255
    assert len(long_name(b"a" * 255, GUID, 32)) == 255


def test_long_name_shows_more_of_the_guid_where_asked() -> None:
    assert long_name(b"doc.txt", GUID, 12) == b"doc~1a2b3c4d5e6f.txt"
    assert parse_long(b"doc~1a2b3c4d5e6f.txt") == [(b"doc.txt", "1a2b3c4d5e6f")]
    assert parse_long(b"doc~" + HEX) == [(b"doc", HEX.decode())]


@pytest.mark.parametrize(
    "name", [b"doc.txt", b"doc~1a2b3c4.txt", b"doc~1A2B3C4D.txt", b"~1a2b3c4d", b"~1a2b3c4d.txt", b"doc~1a2b3c4d.t xt"]
)
def test_what_is_no_long_name_is_not_read_as_one(name: bytes) -> None:
    assert parse_long(name) == []
    assert strip_own_suffix(name, GUID) == name


def test_suffix_of_another_file_stays() -> None:
    assert strip_own_suffix(b"doc~99999999.txt", GUID) == b"doc~99999999.txt"
    assert strip_own_suffix(b"a~99999999.b~1a2b3c4d", GUID) == b"a~99999999.b"


def test_cut_stem_is_whole_again_when_the_file_arrives_under_its_own_long_name() -> None:
    name = b"a" * 250 + b".txt"
    assert strip_own_suffix(long_name(name, GUID), GUID, name) == name
    assert strip_own_suffix(b"other~1a2b3c4d.txt", GUID, name) == b"other.txt"


def test_extension_is_the_last_one() -> None:
    assert split_extension(b"a.tar.gz") == (b"a.tar", b".gz")
    assert split_extension(b"a." + b"x" * 33) == (b"a." + b"x" * 33, b"")


# -- what cannot be


@pytest.mark.parametrize(
    ("name", "errno_name"),
    [
        (b"", "ENOENT"),
        (b".", "EINVAL"),
        (b"..", "EINVAL"),
        (b"a/b", "EINVAL"),
        (b"a\0b", "EINVAL"),
        (b"a" * 256, "ENAMETOOLONG"),
        (b"\xff\xfe", "EILSEQ"),
        (b"\xed\xa0\x80", "EILSEQ"),
        ("\u0958".encode() * 50, "ENAMETOOLONG"),  # longer in NFC
    ],
)
def test_name_that_cannot_be_is_refused_with_its_errno(name: bytes, errno_name: str) -> None:
    with pytest.raises(ImpossibleName) as caught:
        new_name(name)
    assert caught.value.errno_name == errno_name
    assert lookup_forms(name[:255])  # to ask for it is no error


def test_new_name_is_nfc() -> None:
    assert new_name(NFD) == NFC
    assert new_name(b"a" * 255) == b"a" * 255


def test_both_spellings_are_looked_for_nfc_first() -> None:
    assert lookup_forms(b"doc") == (b"doc",)
    assert lookup_forms(NFC) == (NFC, NFD)
    assert lookup_forms(NFD) == (NFC, NFD)
    assert lookup_forms(b"\xff") == (b"\xff",)
    assert shown_form(NFD) == NFC


def test_both_spellings_resolve_and_nfc_is_listed() -> None:
    desk = Desk()
    new, old = desk.put(NFC, b"", D), desk.put(NFD, b"", "jazz")
    for spelled in (NFC, NFD):
        assert desk.find(D, spelled) is new
        assert desk.find("jazz", spelled) is old
    assert list(desk.ls("jazz")) == [NFC]
    desk.beneath_enter(old, D)
    assert desk.ls(D) == {NFC: new, long_name(NFC, old.guid): old}
    assert desk.find(D, long_name(NFD, old.guid)) is old


def test_name_given_to_a_file_that_is_stored_as_nfd_stays_with_it() -> None:
    desk = Desk()
    new, old = desk.put(NFC, b"", "jazz"), desk.put(NFD, b"", D)
    assert desk.find(D, NFC) is old
    desk.beneath_enter(new, D)
    assert desk.find(D, NFC) is old
    assert desk.ls(D) == {NFC: old, long_form(new): new}


# -- who has a name


def test_first_made_has_the_plain_name_and_others_the_long_one() -> None:
    desk = Desk()
    one, two, three = (desk.put(b"doc.txt", b"", D) for _ in range(3))
    alone = desk.put(b"alone.txt", b"", D)
    assert desk.ls(D) == {b"doc.txt": one, long_form(two): two, long_form(three): three, b"alone.txt": alone}
    for thing in (one, two, three, alone):
        assert desk.find(D, long_form(thing)) is thing, "the long form resolves, listed or not"
    assert desk.find(D, long_form(two)[:-1]) is None


def test_long_form_of_a_file_elsewhere_does_not_resolve() -> None:
    desk = Desk()
    one = desk.put(b"doc.txt", b"", "jazz")
    assert desk.find(D, long_form(one)) is None


def test_long_form_with_a_cut_stem_resolves() -> None:
    desk = Desk()
    name = ("ü" * 125 + ".txt").encode()
    one, two = desk.put(name, b"", D), desk.put(name, b"", D)
    assert desk.ls(D) == {name: one, long_form(two): two}
    assert desk.find(D, long_form(two)) is two


def test_twins_that_share_digits_show_more() -> None:
    guids = [GUID, GUID[:9] + "9999" + GUID[13:], GUID[:24] + "999999999999", "2" + GUID[1:]]
    desk = Desk(guids)
    one, two, three, four = (desk.put(b"doc.txt", b"", D) for _ in range(4))
    shown = desk.ls(D)
    assert shown == {
        b"doc.txt": one,
        long_name(b"doc.txt", two.guid, 12): two,
        long_name(b"doc.txt", three.guid, 24): three,
        long_form(four): four,
    }
    for name, thing in shown.items():
        assert desk.find(D, name) is thing
    assert desk.find(D, long_form(one)) is one


def test_name_given_out_stays_when_an_older_twin_arrives() -> None:
    desk = Desk()
    older, newer = desk.put(b"doc", b"", "jazz"), desk.put(b"doc", b"", D)
    assert desk.find(D, b"doc") is newer
    desk.beneath_enter(older, D)
    assert desk.find(D, b"doc") is newer
    assert desk.ls(D) == {b"doc": newer, long_form(older): older}


def test_name_given_out_by_a_listing_stays() -> None:
    desk = Desk()
    older, newer = desk.put(b"doc", b"", "jazz"), desk.put(b"doc", b"", D)
    assert desk.ls(D) == {b"doc": newer}
    desk.beneath_enter(older, D)
    assert desk.find(D, b"doc") is newer


def test_name_not_yet_given_out_goes_to_the_first_made() -> None:
    desk = Desk()
    older, _ = desk.put(b"doc", b"", "jazz"), desk.put(b"doc", b"", D)
    desk.beneath_enter(older, D)
    assert desk.find(D, b"doc") is older


@pytest.mark.parametrize("told", [True, False])
def test_name_whose_file_left_leads_to_nobody_until_it_comes_back(told: bool) -> None:
    desk = Desk()
    one, two = desk.put(b"doc", b"", D), desk.put(b"doc", b"", D)
    assert desk.find(D, b"doc") is one
    if told:
        desk.beneath_leave(one, D)
    else:
        one.dirs.discard(D)
    desk.now_ns += HOUR_NS
    assert desk.find(D, b"doc") is None
    assert desk.ls(D) == {long_form(two): two}
    assert desk.find(D, long_form(two)) is two
    desk.beneath_enter(one, D)
    assert desk.find(D, b"doc") is one


def test_name_whose_file_was_renamed_leads_to_nobody() -> None:
    desk = Desk()
    one, two = desk.put(b"doc", b"", D), desk.put(b"doc", b"", D)
    assert desk.find(D, b"doc") is one
    desk.beneath_rename(one, b"new")
    assert desk.find(D, b"doc") is None
    assert desk.ls(D) == {b"new": one, long_form(two): two}
    three = desk.put(b"doc", b"", D)
    assert desk.find(D, b"doc") is None, "nor to one that came later"
    assert desk.find(D, long_form(three)) is three


def test_name_whose_file_never_held_it_is_not_closed() -> None:
    desk = Desk()
    one, two = desk.put(b"doc", b"", D), desk.put(b"doc", b"", D)
    desk.ls(D)
    desk.beneath_leave(two, D)
    assert desk.find(D, b"doc") is one


def test_file_made_under_a_closed_name_has_it_at_once() -> None:
    desk = Desk()
    one, two = desk.put(b"doc", b"", D), desk.put(b"doc", b"", D)
    desk.ls(D)
    desk.beneath_leave(one, D)
    new = desk.save(D, b"doc", ME, b"new")
    assert desk.find(D, b"doc") is new
    assert desk.ls(D) == {long_form(two): two, b"doc": new}
    desk.beneath_enter(one, D)
    assert desk.find(D, b"doc") is new


def test_file_moved_to_a_closed_name_has_it_at_once() -> None:
    desk = Desk()
    one, two, other = desk.put(b"doc", b"", D), desk.put(b"doc", b"", D), desk.put(b"other", b"", D)
    desk.ls(D)
    desk.beneath_leave(one, D)
    desk.rename(D, b"other", b"doc", ME)
    assert desk.find(D, b"doc") is other
    assert desk.find(D, long_form(two)) is two


def test_rename_in_one_directory_closes_the_name_in_all() -> None:
    desk = Desk()
    one, two = desk.put(b"doc", b"", D, "jazz"), desk.put(b"doc", b"", "jazz")
    assert desk.find("jazz", b"doc") is one
    desk.rename(D, b"doc", b"new", ME)
    assert desk.find("jazz", b"doc") is None
    assert desk.find("jazz", b"new") is one
    assert desk.find("jazz", long_form(two)) is two


def test_scratch_holds_its_name_and_a_file_of_that_name_shows_the_long_one() -> None:
    desk = Desk()
    desk.save(D, b"doc~", ME, b"scrap")
    store = desk.put(b"doc~", b"precious", D)
    assert desk.read(D, b"doc~") == b"scrap"
    assert desk.ls(D)[long_form(store)] is store
    desk.unlink(D, b"doc~", ME)
    assert desk.find(D, b"doc~") is None, "the program may write there once more"
    assert desk.find(D, long_form(store)) is store
    desk.save(D, b"doc~", ME, b"scrap")
    assert store.data == b"precious"


def test_scratch_that_is_gone_leaves_nothing_behind() -> None:
    desk = Desk()
    desk.save(D, b"doc~", ME, b"scrap")
    desk.unlink(D, b"doc~", ME)
    assert desk.sticky[D]._special == {}


# -- files that are really called like a long name


def test_long_name_leads_to_the_file_it_means_before_one_that_is_called_so() -> None:
    desk = Desk([GUID])
    two = desk.put(b"doc.txt", b"", D)
    literal = desk.put(long_form(two), b"", D)
    assert desk.find(D, long_form(two)) is two
    assert desk.ls(D) == {b"doc.txt": two, long_form(literal): literal}
    desk.beneath_leave(two, D)
    assert desk.find(D, literal.name) is None, "who had it open must not write over the other"


def test_file_called_like_a_long_name_keeps_that_once_given() -> None:
    desk = Desk([GUID])
    two, one = desk.put(b"doc.txt", b"", "jazz"), desk.put(b"doc.txt", b"", D)
    assert desk.find(D, b"doc.txt") is one
    literal = desk.put(long_form(two), b"", D)
    assert desk.find(D, literal.name) is literal
    desk.beneath_enter(two, D)
    assert desk.find(D, literal.name) is literal
    shown = {b"doc.txt": one, literal.name: literal, long_name(b"doc.txt", GUID, 12): two}
    assert desk.ls(D) == shown
    for name, thing in shown.items():
        assert desk.find(D, name) is thing
    assert desk.find(D, long_name(b"doc.txt", GUID, 32)) is two


# -- listings


def test_name_that_changes_hands_during_a_listing_appears_once() -> None:
    desk = Desk()
    one, two = desk.put(b"a", b"", D), desk.put(b"b", b"", D)
    here = Here(desk, D)
    listing = Listing(desk._sticky(D))
    assert listing.page([one.ordinal], [one.name], [False], here) == [b"a"]
    desk.rename(D, b"a", b"c", ME)
    desk.rename(D, b"b", b"a", ME)
    assert listing.page([two.ordinal], [two.name], [False], here) == [long_form(two)]
    assert desk.find(D, b"a") is two
    assert desk.find(D, long_form(two)) is two


def test_listing_asks_nothing_about_names_that_are_not_shared() -> None:
    class Silent(Here):
        def first(self, *_: object) -> int | None:
            raise AssertionError("asked")

    desk = Desk()
    things = [desk.put(name, b"", D) for name in (b"a", b"b.txt", NFC, "Ёлка".encode())]
    listing = Listing(Sticky())
    shown = listing.page([t.ordinal for t in things], [t.name for t in things], [False] * len(things), Silent(desk, D))
    assert shown == [t.name for t in things]


def test_listing_asks_once_a_page_about_a_name_of_many() -> None:
    class Counting(Here):
        asked = 0

        def first(self, *given: object) -> int | None:
            self.asked += 1
            return super().first(*given)  # type: ignore[arg-type]

    desk = Desk()
    things = [desk.put(b"cover.jpg", b"", D) for _ in range(50)]
    here = Counting(desk, D)
    shown = Listing(Sticky()).page([t.ordinal for t in things], [t.name for t in things], [True] * len(things), here)
    assert len(set(shown)) == 50
    assert here.asked <= 2


# -- bounds


def test_names_closed_long_ago_stay_closed_in_little_memory() -> None:
    class Two:
        """Names of digits, each of a file that is in the directory or gone, and of a twin."""

        gone = 0

        def first(self, name: bytes, among: object = None) -> int | None:
            ordinal = int(name)
            if among is not None:
                return ordinal if ordinal in among else None  # type: ignore[operator]
            return ordinal if ordinal >= self.gone else 10**6 + ordinal

        def __contains__(self, ordinal: int) -> bool:
            return ordinal >= self.gone

        def shared(self, ordinal: int) -> bool:
            return True

        def name(self, ordinal: int) -> bytes:
            return b"%d" % (ordinal % 10**6)

        def guid(self, ordinal: int) -> str:
            return GUID

        def with_id(self, digits: str, among: object = None) -> list[int]:
            return []

    files, sticky = Two(), Sticky()
    count = 3 * CLOSED_KEPT
    sticky.given(range(count))
    files.gone = count
    for ordinal in range(count):
        sticky.left(ordinal, b"%d" % ordinal)
    assert len(sticky._special) <= CLOSED_KEPT
    assert all(sticky.resolve(b"%d" % n, files) is None for n in range(count))
    sticky.takes_over(b"7", 10**6 + 7, files)
    assert sticky.resolve(b"7", files) == 10**6 + 7
    assert sticky.resolve(b"8", files) is None
    shown = Listing(sticky).page([10**6 + 8, 10**6 + count], [b"8", b"%d" % count], [False, False], files)
    assert shown[0] != b"8"
    assert shown[1] == b"%d" % count


# -- temporary names


@pytest.mark.parametrize(
    "name",
    [
        "4913",
        ".doc.txt.swp",
        ".doc.swx",
        ".#doc",
        "#doc.txt#",
        "doc.txt~",
        "sedAcZ0Wj",
        "sediments",
        ".doc.txt.s5G2hW",
        ".~lock.doc.odt#",
        "~$doc.docx",
        "lu84731kq2x.tmp",
        "film.mkv.part",
        ".goutputstream-A1B2C3",
        ".nfs000000001",
        ".DS_Store",
        "._doc.txt",
        "Thumbs.db",
        ".directory",
        ".a\nb.swp",
    ],
)
def test_name_of_a_program_is_temporary(name: str) -> None:
    assert is_temporary(name.encode())


@pytest.mark.parametrize(
    "name",
    [
        "doc.txt",
        "49130",
        "sed",
        "sediment",
        "sedimentary",
        "sed-1.txt",
        "used12345",
        ".bashrc",
        ".config.toml",
        ".a.toolong7",
        "doc.swp",
        "#doc",
        "doc#",
        "~doc",
        "luna.jpg",
        "partition",
        "thumbs.db",
        ".directory.txt",
        "lock#",
        "Füße~.txt",
    ],
)
def test_name_of_a_person_is_not_temporary(name: str) -> None:
    assert not is_temporary(name.encode())


def test_real_sediments_is_an_ordinary_file_after_an_hour() -> None:
    assert not becomes_ordinary(b"sediments", HOUR_NS - 1)
    assert becomes_ordinary(b"sediments", HOUR_NS)
    assert not becomes_ordinary(b".doc.swp", 20 * HOUR_NS, in_use=True)
    assert becomes_ordinary(b"renamed.txt", 0)


def test_companions_of_a_database_are_known() -> None:
    assert companions(b"a.db") == (b"a.db-wal", b"a.db-shm", b"a.db-journal")
    assert [database_of(name) for name in companions(b"a.db")] == [b"a.db"] * 3
    assert database_of(b"-wal") is None
    assert database_of(b"a.db") is None


@pytest.mark.parametrize(
    "backup", [b"doc.txt~", b"doc.txt.~12~", b"doc.txt.bak", b"doc.bak", b"doc.txt.orig", b"doc.txt.old"]
)
def test_backup_is_known_by_its_name(backup: bytes) -> None:
    assert is_backup_of(backup, b"doc.txt")
    assert not is_backup_of(b"doc.txt", backup)


def test_what_only_begins_alike_is_no_backup() -> None:
    assert not is_backup_of(b"doc.txt", b"doc")
    assert not is_backup_of(b"doc.txt", b"doc.txt.AbC123")
    assert not is_backup_of(b"doc.txt", b"doc.txt")


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        (b"doc.txt~", b"doc.txt"),
        (b"doc.txt.~3~", b"doc.txt"),
        (b"doc.txt.bak", b"doc.txt"),
        (b"doc.sync-conflict-20261122-101056-ABCDEF7.txt", b"doc.txt"),
        (b"doc.sync-conflict-20261122-101056-ABCDEF7", b"doc"),
        (b"#doc.txt#", b"doc.txt"),
        (b".#doc.txt", b"doc.txt"),
        (b".~lock.doc.odt#", b"doc.odt"),
        (b".doc.txt.swp", b"doc.txt"),
        (b".doc.txt.s5G2hW", b"doc.txt"),
        (b"a.db-wal", b"a.db"),
    ],
)
def test_backup_and_conflict_copy_tell_whose_they_are(name: bytes, origin: bytes) -> None:
    assert origin in list(origins(name))


def test_ordinary_name_is_nobodys_backup() -> None:
    assert list(origins(b"doc.txt")) == []
