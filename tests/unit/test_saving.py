"""The ways programs save, as traced, replayed: identity stays, the namesake is untouched, no litter is left.

vim, sed, perl, cp, install, tar, Python: strace on Debian 12; emacs, nano, rsync,
LibreOffice, GLib, KDE: mount.md and their sources.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tagfs.views.names import Sticky
from tagfs.views.saving import (
    COMES_BACK_NS,
    MADE_KEPT,
    RECENT_NS,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    SECOND_NS,
    UNKNOWN,
    VACANT_KEPT,
    YOUNG_NS,
    ActionGroups,
    ContinueIdentity,
    DropBackup,
    ExchangeBytes,
    ExchangeNames,
    KeepVersion,
    Kept,
    Move,
    NewFile,
    Nothing,
    Refused,
    RestoreIdentity,
    Saving,
    TakeAway,
    TakeBytes,
    ToTrash,
    versions_to_drop,
)
from tests.support.desk import Denied, Desk, Thing, long_form

ME, OTHER = 100, 200
D = "music"
NEW = b"what was saved"

Save = Callable[[Desk, bytes, bytes], None]


def vim(desk: Desk, doc: bytes, new: bytes, keep_backup: bool = False, copy: bool = False) -> None:
    swap, backup = b"." + doc + b".swp", doc + b"~"
    desk.save(D, swap, ME, b"swap", excl=True)
    if not copy:
        desk.open(D, b"4913", ME, excl=True)
        desk.unlink(D, b"4913", ME)
    if desk.find(D, backup) is not None:
        desk.unlink(D, backup, ME)
    if copy:
        desk.save(D, backup, ME, desk.read(D, doc) or b"", excl=True)
        handle = desk.open(D, doc, ME)
        desk.truncate(handle)
    else:
        desk.rename(D, doc, backup, ME)
        assert desk.find(D, doc) is None, "a twin moved up"
        handle = desk.open(D, doc, ME)
    desk.write(handle, new)
    desk.close(handle)
    if not keep_backup:
        desk.unlink(D, backup, ME)
    desk.unlink(D, swap, ME)


def vim_backup(desk: Desk, doc: bytes, new: bytes) -> None:
    vim(desk, doc, new, keep_backup=True)


def vim_copy(desk: Desk, doc: bytes, new: bytes) -> None:
    vim(desk, doc, new, copy=True)


def vim_copy_backup(desk: Desk, doc: bytes, new: bytes) -> None:
    vim(desk, doc, new, copy=True, keep_backup=True)


def emacs(desk: Desk, doc: bytes, new: bytes) -> None:
    desk.save(D, b"#" + doc + b"#", ME, b"autosave")
    desk.rename(D, doc, doc + b"~", ME)  # the first save of a session; over the backup of the last one
    assert desk.find(D, doc) is None, "a twin moved up"
    desk.save(D, doc, ME, new, trunc=True)
    desk.unlink(D, b"#" + doc + b"#", ME)


def over(temporary: bytes) -> Save:
    def save(desk: Desk, doc: bytes, new: bytes) -> None:
        name = temporary.replace(b"DOC", doc)
        desk.save(D, name, ME, new, excl=True)
        desk.rename(D, name, doc, ME)

    return save


def sed_backup(desk: Desk, doc: bytes, new: bytes) -> None:
    desk.save(D, b"sedzV2v31", ME, new, excl=True)
    desk.rename(D, doc, doc + b".bak", ME)
    desk.rename(D, b"sedzV2v31", doc, ME)


def libreoffice(desk: Desk, doc: bytes, new: bytes) -> None:
    lock = b".~lock." + doc + b"#"
    desk.save(D, lock, ME, b"ada", excl=True)
    over(b"lu84731kq2x.tmp")(desk, doc, new)
    desk.unlink(D, lock, ME)


def unlink_create(desk: Desk, doc: bytes, new: bytes) -> None:
    desk.unlink(D, doc, ME)
    assert desk.find(D, doc) is None, "a twin moved up"
    desk.save(D, doc, ME, new, excl=True)


def tar(desk: Desk, doc: bytes, new: bytes) -> None:
    with pytest.raises(Denied, match="EEXIST"):
        desk.open(D, doc, ME, excl=True)
    unlink_create(desk, doc, new)


def unlink_rename(desk: Desk, doc: bytes, new: bytes) -> None:
    desk.save(D, b"new.tmp", ME, new)
    desk.unlink(D, doc, ME)
    desk.rename(D, b"new.tmp", doc, ME)


def cp_backup(desk: Desk, doc: bytes, new: bytes) -> None:
    desk.rename(D, doc, doc + b"~", ME)
    desk.save(D, doc, ME, new, excl=True)


def two_step_backup(desk: Desk, doc: bytes, new: bytes) -> None:
    desk.rename(D, doc, b"tmp-of-backup", ME)
    desk.rename(D, b"tmp-of-backup", doc + b".bak", ME)
    desk.save(D, doc, ME, new, excl=True)


def backup_removed_first(desk: Desk, doc: bytes, new: bytes) -> None:
    desk.rename(D, doc, doc + b"~", ME)
    desk.unlink(D, doc + b"~", ME)
    desk.save(D, doc, ME, new, excl=True)


def in_place(desk: Desk, doc: bytes, new: bytes) -> None:
    desk.save(D, doc, ME, new, trunc=True)


def nano(desk: Desk, doc: bytes, new: bytes) -> None:
    desk.save(D, b"." + doc + b".swp", ME, b"lock", excl=True)
    in_place(desk, doc, new)
    desk.unlink(D, b"." + doc + b".swp", ME)


def rsync_inplace(desk: Desk, doc: bytes, new: bytes) -> None:
    desk.save(D, doc, ME, new, create=False)


def exchange(desk: Desk, doc: bytes, new: bytes) -> None:
    desk.save(D, b"new.tmp", ME, new)
    desk.rename(D, b"new.tmp", doc, ME, flags=RENAME_EXCHANGE)
    desk.unlink(D, b"new.tmp", ME)


# name -> (how, what is left beside the file)
SAVES: dict[str, tuple[Save, tuple[bytes, ...]]] = {
    "vim": (vim, ()),
    "vim, backup": (vim_backup, (b"DOC~",)),
    "vim, backupcopy=yes": (vim_copy, ()),
    "vim, backupcopy=yes, backup": (vim_copy_backup, (b"DOC~",)),
    "emacs": (emacs, (b"DOC~",)),
    "nano": (nano, ()),
    "sed -i": (over(b"sedAcZ0Wj"), ()),
    "sed -i.bak": (sed_backup, (b"DOC.bak",)),
    "perl -pi": (over(b"XX82qMNi"), ()),
    "rsync": (over(b".DOC.s5G2hW"), ()),
    "rsync --inplace": (rsync_inplace, ()),
    "LibreOffice": (libreoffice, ()),
    "GLib": (over(b".goutputstream-A1B2C3"), ()),
    "KDE": (over(b"DOC.hRtGbz"), ()),
    "Python": (over(b"DOC.tmp"), ()),
    "cp": (in_place, ()),
    "cp --remove-destination": (unlink_create, ()),
    "install": (unlink_create, ()),
    "tar": (tar, ()),
    "cp -b": (cp_backup, (b"DOC~",)),
    "unlink, rename": (unlink_rename, ()),
    "two-step backup": (two_step_backup, (b"DOC.bak",)),
    "backup removed first": (backup_removed_first, ()),
    "exchange": (exchange, ()),
}


def alone(desk: Desk) -> tuple[Thing, Thing | None, bytes]:
    return desk.put(b"doc.txt", b"as it was", D, "jazz"), None, b"doc.txt"


def with_a_younger_namesake(desk: Desk) -> tuple[Thing, Thing | None, bytes]:
    doc = desk.put(b"doc.txt", b"as it was", D, "jazz")
    return doc, desk.put(b"doc.txt", b"the twin's", D), b"doc.txt"


def with_an_older_namesake_that_came_later(desk: Desk) -> tuple[Thing, Thing | None, bytes]:
    twin = desk.put(b"doc.txt", b"the twin's", "elsewhere")
    doc = desk.put(b"doc.txt", b"as it was", D, "jazz")
    assert desk.find(D, b"doc.txt") is doc
    desk.beneath_enter(twin, D)
    return doc, twin, b"doc.txt"


def by_its_long_name(desk: Desk) -> tuple[Thing, Thing | None, bytes]:
    twin = desk.put(b"doc.txt", b"the twin's", D)
    doc = desk.put(b"doc.txt", b"as it was", D, "jazz")
    return doc, twin, long_form(doc)


def young(desk: Desk) -> tuple[Thing, Thing | None, bytes]:
    """Made through the mount just now, by another program: so it might be taken for what is saved into."""
    doc = desk.save(D, b"doc.txt", OTHER, b"as it was")
    desk.beneath_enter(doc, "jazz")
    return doc, desk.put(b"doc.txt", b"the twin's", D), b"doc.txt"


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize(
    "scene", [alone, with_a_younger_namesake, with_an_older_namesake_that_came_later, by_its_long_name, young]
)
@pytest.mark.parametrize("program", SAVES)
def test_saving_keeps_identity_and_touches_no_namesake(
    program: str, scene: Callable[[Desk], tuple[Thing, Thing | None, bytes]], times: int
) -> None:
    save, left = SAVES[program]
    desk = Desk()
    doc, twin, name = scene(desk)
    real_name, guid = doc.name, doc.guid
    before = desk.ls(D)
    assert before[name] is doc

    for n in range(times):
        save(desk, name, NEW + b" %d" % n)
        desk.now_ns += SECOND_NS

    assert desk.find(D, name) is doc
    assert desk.ls(D)[name] is doc
    assert (doc.name, doc.guid, doc.dirs, doc.trashed) == (real_name, guid, {D, "jazz"}, False)
    assert doc.data == NEW + b" %d" % (times - 1)
    if program != "rsync --inplace":
        assert {b"as it was", *(NEW + b" %d" % n for n in range(times - 1))} <= set(doc.versions)
    if twin is not None:
        assert (twin.data, twin.name, twin.versions) == (b"the twin's", real_name, [])
    litter = {shown for shown, thing in desk.ls(D).items() if thing not in before.values()}
    assert litter == {one.replace(b"DOC", name) for one in left}
    assert [thing.name for thing in desk.stored() if thing.trashed or not thing.dirs] == []


@pytest.mark.parametrize(
    "program", ["sed -i", "perl -pi", "GLib", "cp", "install", "tar", "unlink, rename", "exchange"]
)
def test_long_name_whose_stem_is_cut_is_whole_again_after_saving(program: str) -> None:
    desk = Desk()
    name = b"a" * 246 + b".txt"
    twin = desk.put(name, b"the twin's", D)
    doc = desk.put(name, b"as it was", D)
    SAVES[program][0](desk, long_form(doc), NEW)
    assert (doc.data, doc.name) == (NEW, name)
    assert desk.find(D, long_form(doc)) is doc
    assert desk.find(D, name) is twin
    assert twin.data == b"the twin's"


class Interrupted(Desk):
    """A desk on which something else happens before the n-th operation."""

    countdown = 0
    what: Callable[[], None] = staticmethod(lambda: None)

    def find(self, directory: str, name: bytes) -> Thing | None:
        if self.countdown == 0:
            self.what()
        self.countdown -= 1
        return super().find(directory, name)


@pytest.mark.parametrize("program", SAVES)
def test_namesake_that_arrives_in_the_middle_of_saving_is_untouched(program: str) -> None:
    """An older twin is tagged into the directory by a command before any of the lookups."""
    for moment in range(16):
        desk = Interrupted()
        desk.countdown = -1
        twin = desk.put(b"doc.txt", b"the twin's", "elsewhere")
        doc = desk.put(b"doc.txt", b"as it was", D)
        assert desk.find(D, b"doc.txt") is doc
        desk.countdown = moment

        def arrive(desk: Desk = desk, twin: Thing = twin) -> None:
            desk.beneath_enter(twin, D)

        desk.what = arrive
        SAVES[program][0](desk, b"doc.txt", NEW)
        desk.countdown = -1
        assert desk.find(D, b"doc.txt") is doc
        assert (doc.data, twin.data) == (NEW, b"the twin's")


# -- what is no saving


def test_old_file_moved_onto_a_standing_one_keeps_its_own_identity_and_the_other_goes_to_the_trash() -> None:
    desk = Desk()
    one, other = desk.put(b"IMG_0001.JPG", b"rome", D), desk.put(b"IMG_0001.JPG", b"oslo", "jazz")
    desk.rename(D, b"IMG_0001.JPG", b"IMG_0001.JPG", ME, to_directory="jazz")
    assert desk.find("jazz", b"IMG_0001.JPG") is one
    assert (one.data, other.data, other.trashed) == (b"rome", b"oslo", True)


def test_file_just_copied_in_and_moved_onto_a_namesake_elsewhere_keeps_its_own_identity() -> None:
    desk = Desk()
    other = desk.put(b"IMG_0001.JPG", b"oslo", "jazz")
    one = desk.save(D, b"IMG_0001.JPG", ME, b"rome")
    desk.rename(D, b"IMG_0001.JPG", b"IMG_0001.JPG", ME, to_directory="jazz")
    assert desk.find("jazz", b"IMG_0001.JPG") is one
    assert (other.data, other.trashed) == (b"oslo", True)


def test_file_removed_by_one_process_and_copied_in_by_another_is_a_new_one() -> None:
    desk = Desk()
    doc = desk.put(b"doc.txt", b"as it was", D)
    desk.unlink(D, b"doc.txt", ME)
    new = desk.save(D, b"doc.txt", OTHER, b"another")
    assert new is not doc
    assert (doc.data, doc.dirs) == (b"as it was", set())


def test_name_made_again_after_five_seconds_is_a_new_file() -> None:
    saving: Saving[str] = Saving()
    for vacate in (
        lambda: saving.unlink(D, b"doc", "a", ME, 0),
        lambda: saving.rename(D, b"doc", "a", D, b"doc~", None, ME, 0),
    ):
        vacate()
        assert saving.create(D, b"doc", ME, COMES_BACK_NS + 1) == NewFile()
        vacate()
        assert saving.create(D, b"doc", ME, COMES_BACK_NS) != NewFile()


@pytest.mark.parametrize(("tgid", "directory"), [(OTHER, D), (ME, "jazz")])
def test_name_made_again_by_another_process_or_elsewhere_is_a_new_file(tgid: int, directory: str) -> None:
    saving: Saving[str] = Saving()
    saving.unlink(D, b"doc", "a", ME, 0)
    assert saving.create(directory, b"doc", tgid, 1) == NewFile()


def test_process_that_the_kernel_cannot_name_is_never_the_same() -> None:
    saving: Saving[str] = Saving()
    saving.unlink(D, b"doc", "a", UNKNOWN, 0)
    saving.rename(D, b"b", "b", D, b"b~", None, UNKNOWN, 0)
    assert saving.create(D, b"doc", UNKNOWN, 1) == NewFile()
    assert saving.create(D, b"b", UNKNOWN, 1) == NewFile()


def test_file_moved_to_another_directory_is_no_backup() -> None:
    saving: Saving[str] = Saving()
    assert saving.rename(D, b"doc", "a", "jazz", b"doc", None, ME, 0) == Move()
    assert saving.create(D, b"doc", ME, 1) == NewFile()


@pytest.mark.parametrize("temporary", [b"doc.part", b".doc.AbC123", b"doc.tmp"])
def test_temporary_name_used_again_at_once_is_another_save_and_not_the_file_it_became(temporary: bytes) -> None:
    desk = Desk()
    for data in (b"1", b"2", b"3"):
        desk.save(D, temporary, ME, data)
        assert desk.find(D, b"doc") is None or desk.read(D, b"doc") != data
        desk.rename(D, temporary, b"doc", ME)
        (doc,) = desk.stored()
        assert (doc.name, doc.data) == (b"doc", data)
    assert set(doc.versions) == {b"1", b"2"}


def test_what_is_removed_from_scratch_and_made_again_is_new() -> None:
    """A lock file comes and goes many times a second; nobody need look for who it was."""
    saving: Saving[str] = Saving()
    saving.made("lock", 0)
    assert saving.unlink(D, b".~lock.doc#", "lock", ME, 1, in_scratch=True) == TakeAway()
    assert not saving.may_come_back(D, b".~lock.doc#")
    assert saving.create(D, b".~lock.doc#", ME, 2) == NewFile()


def test_file_renamed_back_is_itself_again() -> None:
    saving: Saving[str] = Saving()
    saving.made("a", 0)
    saving.rename(D, b"doc", "a", D, b"doc~", None, ME, 1)
    assert saving.rename(D, b"doc~", "a", D, b"doc", None, ME, 2) == Move()
    assert saving.create(D, b"doc~", ME, 3) == NewFile()


def test_identity_comes_back_once() -> None:
    saving: Saving[str] = Saving()
    saving.rename(D, b"doc", "a", D, b"doc~", None, ME, 0)
    assert saving.create(D, b"doc", ME, 1) == ContinueIdentity("a", b"doc~")
    assert saving.create(D, b"doc", ME, 2) == NewFile()


def test_file_changed_from_beneath_does_not_come_back_by_itself() -> None:
    saving: Saving[str] = Saving()
    saving.unlink(D, b"doc", "a", ME, 0)
    saving.forget("a")
    assert saving.create(D, b"doc", ME, 1) == NewFile()


def test_rule_1_ends_after_ten_minutes() -> None:
    saving: Saving[str] = Saving()
    saving.made("tmp", 0)
    saving.made("old", 0)
    assert saving.rename(D, b"t", "tmp", D, b"doc", "a", ME, RECENT_NS) == TakeBytes("a", "tmp")
    assert saving.rename(D, b"t", "old", D, b"doc", "a", ME, RECENT_NS + 1) == Move("a")


def test_file_renamed_onto_its_own_backup_is_not_swallowed_by_it() -> None:
    saving: Saving[str] = Saving()
    saving.made("doc", 0)
    assert saving.rename(D, b"doc", "doc", D, b"doc~", "backup", ME, 1) == Move("backup")
    assert saving.create(D, b"doc", ME, 2) == ContinueIdentity("doc", b"doc~", "backup")


def test_backup_of_the_last_save_is_the_same_file_after_the_next() -> None:
    desk = Desk()
    doc = desk.put(b"doc", b"one", D)
    emacs(desk, b"doc", b"two")
    backup = desk.find(D, b"doc~")
    desk.now_ns += 2 * YOUNG_NS
    emacs(desk, b"doc", b"three")
    assert desk.find(D, b"doc~") is backup
    assert backup is not None
    assert (doc.data, backup.data, backup.versions) == (b"three", b"two", [b"one"])


@pytest.mark.parametrize(
    ("now_ns", "tgid", "expected"),
    [
        (YOUNG_NS, ME, DropBackup("backup", "doc")),
        (YOUNG_NS, OTHER, ToTrash("backup")),
        (YOUNG_NS + 1, ME, TakeAway()),
    ],
)
def test_backup_is_dropped_only_for_who_made_it_and_within_the_hour(now_ns: int, tgid: int, expected: object) -> None:
    saving: Saving[str] = Saving()
    saving.backup_made("backup", "doc", ME, 0)
    assert saving.unlink(D, b"doc~", "backup", tgid, now_ns) == expected


def test_backup_that_was_renamed_is_a_file_like_any_other() -> None:
    saving: Saving[str] = Saving()
    saving.backup_made("backup", "doc", ME, 0)
    saving.rename(D, b"doc~", "backup", D, b"precious", None, ME, 1)
    assert saving.unlink(D, b"precious", "backup", ME, 2) == ToTrash("backup")


def test_file_made_and_removed_within_the_hour_goes_to_the_trash() -> None:
    saving: Saving[str] = Saving()
    saving.made("a", 0)
    saving.made("b", 1)
    assert saving.unlink(D, b"a", "a", ME, YOUNG_NS) == ToTrash("a")
    assert saving.unlink(D, b"a", "a", ME, YOUNG_NS + 1) == TakeAway()
    assert saving.unlink(D, b"c", "c", ME, 0) == TakeAway()


def test_what_the_caller_wants_to_know_comes_back() -> None:
    saving: Saving[str] = Saving()
    saving.rename(D, b"doc", "a", D, b"tmp", None, ME, 0, was="doc.txt, music")
    saving.rename(D, b"tmp", "a", D, b"doc~", None, ME, 1, was="tmp, music")
    assert saving.create(D, b"doc", ME, 2) == ContinueIdentity("a", b"doc~", None, "doc.txt, music")
    saving.unlink(D, b"doc", "a", ME, 3, was="doc.txt, jazz")
    assert saving.create(D, b"doc", ME, 4) == RestoreIdentity("a", "doc.txt, jazz")
    saving.rename(D, b"doc", "a", D, b"doc~", None, ME, 5, was="doc.txt, jazz")
    saving.unlink(D, b"doc~", "a", ME, 6, was="doc.txt~, jazz")
    assert saving.create(D, b"doc", ME, 7) == RestoreIdentity("a", "doc.txt, jazz")


# -- flags


def test_noreplace_is_honoured() -> None:
    saving: Saving[str] = Saving()
    saving.made("tmp", 0)
    assert saving.rename(D, b"t", "tmp", D, b"doc", "a", ME, 1, RENAME_NOREPLACE) == Refused("EEXIST")
    assert saving.rename(D, b"t", "tmp", D, b"doc", None, ME, 1, RENAME_NOREPLACE) == Move()
    assert saving.rename(D, b"t", "tmp", D, b"doc", "a", ME, 1, 4) == Refused("EINVAL")


def test_exchange_is_honoured() -> None:
    saving: Saving[str] = Saving()
    saving.made("tmp", 0)
    ask = saving.rename
    assert ask(D, b"a", "a", D, b"b", None, ME, 1, RENAME_EXCHANGE) == Refused("ENOENT")
    assert ask(D, b"a", "a", D, b"b", "b", ME, 1, RENAME_EXCHANGE | RENAME_NOREPLACE) == Refused("EINVAL")
    assert ask(D, b"a", "a", D, b"b", "a", ME, 1, RENAME_EXCHANGE) == Nothing()
    assert ask(D, b"a", "a", D, b"b", "b", ME, 1, RENAME_EXCHANGE) == ExchangeNames()
    assert ask(D, b"t", "tmp", D, b"b", "b", ME, 1, RENAME_EXCHANGE) == ExchangeBytes("b", "tmp")
    assert ask(D, b"b", "b", D, b"t", "tmp", ME, 1, RENAME_EXCHANGE) == ExchangeBytes("b", "tmp")
    assert ask(D, b"t", "tmp", "jazz", b"b", "b", ME, 1, RENAME_EXCHANGE) == ExchangeNames()


def test_exchanged_files_have_each_others_names() -> None:
    desk = Desk()
    one, two = desk.put(b"one", b"1", D), desk.put(b"two", b"2", D)
    assert desk.find(D, b"one") is one
    desk.rename(D, b"one", b"two", ME, flags=RENAME_EXCHANGE)
    assert (desk.find(D, b"one"), desk.find(D, b"two")) == (two, one)


def test_rename_to_another_name_of_the_same_file_does_nothing() -> None:
    saving: Saving[str] = Saving()
    saving.made("a", 0)
    assert saving.rename(D, b"doc", "a", D, b"doc~1a2b3c4d", "a", ME, 1) == Nothing()


# -- bytes and versions


def test_bytes_are_kept_once_for_each_time_they_were_acknowledged() -> None:
    saving: Saving[str] = Saving()
    assert saving.truncate("a", 0, 10) == KeepVersion("a")
    assert saving.truncate("a", 0, 3) is None  # what came since is not acknowledged
    saving.wrote("a")
    saving.settled("a")
    assert saving.truncate("a", 5, 10) is None
    assert saving.truncate("a", 0, 0) is None
    assert saving.truncate("a", 0, 5) == KeepVersion("a")


def test_versions_go_oldest_first_within_the_budget_and_all_after_their_time() -> None:
    kept = [Kept("a", "1", 50, 300), Kept("b", "2", 30, 100), Kept("a", "3", 20, 200), Kept("c", "4", 0, 400)]
    by_age = [kept[1], kept[2], kept[0], kept[3]]
    assert versions_to_drop(kept, 400, 100, 1_000) == []
    assert versions_to_drop(kept, 400, 99, 1_000) == by_age[:1]
    assert versions_to_drop(kept, 400, 69, 1_000) == by_age[:2]
    assert versions_to_drop(kept, 400, 0, 1_000) == by_age[:3]
    assert versions_to_drop(kept, 1_200, 100, 1_000) == by_age[:1]
    assert versions_to_drop(kept, 1_200, 60, 1_000) == by_age[:2]
    assert versions_to_drop([], 0, 0) == []


# -- actions


def test_operations_of_one_process_with_small_gaps_are_one_action() -> None:
    groups = ActionGroups()
    assert groups.action(ME, 0) is None
    groups.done(ME, "x", 10)
    assert groups.action(ME, 10 + 2 * SECOND_NS - 1) == "x"
    assert groups.action(OTHER, 11) is None
    groups.done(ME, "x", 10 + 2 * SECOND_NS - 1)
    assert groups.action(ME, 4 * SECOND_NS) == "x"
    assert groups.action(ME, 10 + 4 * SECOND_NS - 1) is None
    groups.done(UNKNOWN, "y", 0)
    assert groups.action(UNKNOWN, 0) is None


# -- bounds


def test_memory_is_bounded() -> None:
    saving: Saving[int] = Saving()
    groups = ActionGroups()
    for n in range(MADE_KEPT + 100):
        saving.made(n, n)
        saving.unlink(D, b"%d" % n, n, ME, n)
        groups.done(n + 1, "x", n)
    assert len(saving._made) == MADE_KEPT
    assert len(saving._vacant) == len(saving._left) == VACANT_KEPT
    assert len(groups._last) <= 1024
    saving.unlink(D, b"x", -1, ME, COMES_BACK_NS * 3)
    assert len(saving._vacant) == len(saving._left) == 1
    assert saving._keeps == {}


def test_directory_forgotten_and_met_again_begins_anew() -> None:
    desk = Desk()
    doc = desk.put(b"doc.txt", b"", D)
    assert desk.find(D, b"doc.txt") is doc
    twin = desk.put(b"doc.txt", b"", D)
    desk.beneath_leave(doc, D)
    assert desk.find(D, b"doc.txt") is None
    desk.sticky[D] = Sticky()
    assert desk.find(D, b"doc.txt") is twin
