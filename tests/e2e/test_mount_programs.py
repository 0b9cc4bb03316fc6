"""Real programs on a real mount: whatever way a program saves, the file stays the file it was.

Each way to save is tried on a file that is alone, on one with a younger namesake beside it
(it has the plain name), and on the younger one by its long name `doc~1a2b3c4d.txt`. After
it GUID, tags, notes and extended attributes are what they were, the bytes are the new ones
and the old ones a version, the namesake is untouched, and nothing lies about.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.mounting import Mounting, eventually, in_terminal, mounted, need

BEFORE = b"one\ntwo\n"
AFTER = b"ONE MORE\ntwo\n"
OF_TWIN = b"one of another kind\n"


class Save(NamedTuple):
    """A way to save: programs it needs, what it does to the file at a path, and what it leaves beside it."""

    needs: tuple[str, ...]
    does: Callable[[Mounting, Path, Path], object]
    leaves: tuple[str, ...] = ()
    versions: bool = True
    """Whether the old bytes stay as a version: not where a program writes into the file as it stands."""


def script(text: str, *needs: str, leaves: tuple[str, ...] = (), versions: bool = True) -> Save:
    """A shell script: `$1` is the file, `$2` a folder elsewhere in which a file of its name has the new bytes."""

    def does(mount: Mounting, doc: Path, elsewhere: Path) -> None:
        mount.sh(text, doc.name, str(elsewhere), cwd=doc.parent)

    return Save(needs, does, leaves, versions)


def vim(options: str, leaves: tuple[str, ...] = ()) -> Save:
    return script(
        f"""vim -Nu NONE -i NONE -es -c 'set backupskip= {options}' -c '%s/one/ONE MORE/' -c wq -- "$1" """,
        "vim",
        leaves=leaves,
    )


def nano(*options: str, leaves: tuple[str, ...] = ()) -> Save:
    def does(mount: Mounting, doc: Path, elsewhere: Path) -> None:
        typed = [("Exit", b"\x04\x04\x04ONE MORE\x0f"), ("Write", b"\r"), ("Wrote", b"\x18")]
        in_terminal(mount, ["nano", "--ignorercfiles", *options, doc.name], doc.parent, typed)

    return Save(("nano",), does, leaves)


def office(mount: Mounting, doc: Path, elsewhere: Path) -> None:
    """As LibreOffice saves: a lock, a temporary file beside the document, and a rename over it."""
    lock = doc.with_name(f".~lock.{doc.name}#")
    lock.write_text(",ada,laptop,01.01.2026 10:00,file:///home/ada;")
    draft = doc.with_name("lu4711abcd.tmp")
    draft.write_bytes(AFTER)
    with open(draft, "rb+") as file:
        os.fsync(file.fileno())
    draft.rename(doc)
    lock.unlink()


def gedit(mount: Mounting, doc: Path, elsewhere: Path) -> None:
    """As GLib's g_file_replace saves."""
    draft = doc.with_name(".goutputstream-AB12CD")
    with open(draft, "xb") as file:
        file.write(AFTER)
    draft.rename(doc)


def any_temporary(mount: Mounting, doc: Path, elsewhere: Path) -> None:
    """A temporary file of no known kind of name."""
    draft = doc.with_name("writing 1.xyz")
    draft.write_bytes(AFTER)
    draft.rename(doc)


def remove_and_rename(mount: Mounting, doc: Path, elsewhere: Path) -> None:
    """A program that believes rename does not replace."""
    draft = doc.with_name("new.xyz")
    draft.write_bytes(AFTER)
    doc.unlink()
    draft.rename(doc)


def word(mount: Mounting, doc: Path, elsewhere: Path) -> None:
    """As Word saves over a network: a temporary, the document set aside, the temporary in its place."""
    draft, aside = doc.with_name("~WRD0001.xyz"), doc.with_name(doc.name + ".bak")
    draft.write_bytes(AFTER)
    doc.rename(aside)
    draft.rename(doc)
    aside.unlink()


def truncate(mount: Mounting, doc: Path, elsewhere: Path) -> None:
    fd = os.open(doc, os.O_RDWR)
    os.ftruncate(fd, 0)
    os.write(fd, AFTER)
    os.close(fd)


def in_place(mount: Mounting, doc: Path, elsewhere: Path) -> None:
    with open(doc, "rb+") as file:
        file.write(AFTER)


# By default emacs makes no backups below /tmp.
EMACS = """emacs --batch -Q --eval '(setq backup-enable-predicate (lambda (name) t))' "$1" \\
    --eval '(progn (setq case-fold-search nil) (search-forward "one") (replace-match "ONE MORE" t t) (save-buffer))'"""

SAVES = {
    "vim, backupcopy=auto": vim("backupcopy=auto"),
    "vim, backupcopy=yes": vim("backupcopy=yes"),
    "vim, backupcopy=no": vim("backupcopy=no"),
    "vim, backup, backupcopy=no": vim("backup backupcopy=no", leaves=("{}~",)),
    "vim, backup, backupcopy=yes": vim("backup backupcopy=yes", leaves=("{}~",)),
    "emacs": script(EMACS, "emacs", leaves=("{}~",)),
    "nano": nano(),
    "nano --backup": nano("--backup", leaves=("{}~",)),
    "ed": script("""printf 'g/one/s//ONE MORE/\\nw\\nq\\n' | ed -s -- "$1" """, "ed"),
    "ex": script("""printf 'g/one/s//ONE MORE/\\nwq\\n' | ex -s -- "$1" """, "ex"),
    "sed -i": script("""sed -i 's/one/ONE MORE/' -- "$1" """),
    "sed -i.bak": script("""sed -i.bak 's/one/ONE MORE/' -- "$1" """, leaves=("{}.bak",)),
    "perl -pi": script("""perl -pi -e 's/one/ONE MORE/' "$1" """, "perl"),
    "perl -pi.bak": script("""perl -pi.bak -e 's/one/ONE MORE/' "$1" """, "perl", leaves=("{}.bak",)),
    "rsync": script("""rsync -a "$2/$1" . """, "rsync"),
    "rsync -c": script("""rsync -c "$2/$1" . """, "rsync"),
    "rsync --inplace": script("""rsync -a --inplace "$2/$1" . """, "rsync", versions=False),
    "rsync -aHAX": script("""rsync -aHAX "$2/$1" . """, "rsync"),
    "cp": script("""cp -- "$2/$1" . """),
    "cp --remove-destination": script("""cp --remove-destination -- "$2/$1" . """),
    "cp -b": script("""cp -b -- "$2/$1" . """, leaves=("{}~",)),
    "cp -a": script("""cp -a -- "$2/$1" . """),
    "install": script("""install -m 644 -- "$2/$1" . """),
    "install -b": script("""install -b -m 644 -- "$2/$1" . """, leaves=("{}~",)),
    "tar x": script("""tar -xf "$2/archive.tar" """, "tar"),
    "mv from elsewhere": script("""mv -- "$2/$1" . """),
    "cat >": script("""cat -- "$2/$1" > "$1" """),
    "dd": script("""dd status=none if="$2/$1" of="$1" """),
    "LibreOffice": Save((), office),
    "GLib": Save((), gedit),
    "a temporary of any name": Save((), any_temporary),
    "removed, then renamed": Save((), remove_and_rename),
    "set aside, renamed, removed": Save((), word),
    "truncated": Save((), truncate),
    "written in place": Save((), in_place, versions=False),
}


@pytest.fixture(scope="module")
def one_mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounting]:
    """A mount for all ways to save: they must not get into each other's way either."""
    with mounted(tmp_path_factory.mktemp("saves"), tests=len(SAVES)) as mount:
        yield mount


def elsewhere_of(tmp_path: Path, name: str) -> Path:
    """A folder outside, with the new bytes under this name, as a file and in an archive."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    new = elsewhere / name
    new.write_bytes(AFTER)
    os.setxattr(new, "user.shape", b"round")
    with tarfile.open(elsewhere / "archive.tar", "w") as archive:
        archive.add(new, name)
    return elsewhere


@pytest.mark.parametrize("beside", ["alone", "with a younger namesake", "by its long name"])
@pytest.mark.parametrize("how", SAVES)
def test_a_save_keeps_identity_tags_notes_and_attributes_and_leaves_no_litter(
    one_mount: Mounting, tmp_path: Path, how: str, beside: str
) -> None:
    mount, save = one_mount, SAVES[how]
    need(*save.needs)
    number = list(SAVES).index(how) * 3 + ("alone", "with a younger namesake", "by its long name").index(beside)
    plain, tag = f"doc {number}.txt", f"saving{number}"
    folder = mount / f"tags/{tag}"
    lyts = mount.lyts
    # From beneath, so that no rule about files made through the mount has to do with it.
    first, second = lyts.file(f"{number}/a/{plain}", BEFORE), lyts.file(f"{number}/b/{plain}", OF_TWIN)
    if beside == "by its long name":
        first, second = lyts.file(f"{number}/c/{plain}", OF_TWIN), lyts.file(f"{number}/d/{plain}", BEFORE)
    lyts.quick("add", "-t", f"{tag},other{number}", first)
    if beside != "alone":
        lyts.quick("add", "-t", tag, second)
    eventually(lambda: len(mount.ls(f"tags/{tag}")) == (1 if beside == "alone" else 2))
    names = mount.ls(f"tags/{tag}")
    name = next(one for one in names if mount.read(f"tags/{tag}/{one}") == BEFORE)
    assert (name == plain) == (beside != "by its long name")
    doc = folder / name
    guid = mount.guid(f"tags/{tag}/{name}")
    os.setxattr(doc, "user.xdg.comment", b"a note")
    os.setxattr(doc, "user.colour", b"red")
    inode = doc.stat().st_ino
    facts, trash, scratch = mount.facts(), mount.trash(), mount.scratch()
    untagged, everything = mount.ls("untagged"), len(mount.ls("all"))

    save.does(mount, doc, elsewhere_of(tmp_path, name))

    leaves = {name + left.format("") for left in save.leaves}
    assert doc.read_bytes() == AFTER
    assert mount.guid(f"tags/{tag}/{name}") == guid
    assert os.getxattr(doc, "user.colour") == b"red"
    assert os.getxattr(doc, "user.xdg.comment") == b"a note"
    assert sorted(mount.ls(f"tags/{tag}")) == sorted({*names, *leaves})
    for one in leaves:
        assert mount.read(f"tags/{tag}/{one}") == BEFORE
    eventually(lambda: doc.stat().st_ino == inode)
    now = mount.facts()
    for key in ("name", "tags", "notes"):
        assert now[guid][key] == facts[guid][key]
    twins = {other for other in facts if other != guid}
    assert {other: now[other] for other in twins} == {other: facts[other] for other in twins}
    if beside != "alone":
        twin = next(one for one in names if one != name)
        assert mount.read(f"tags/{tag}/{twin}") == OF_TWIN
    assert mount.trash() == trash
    assert mount.ls("untagged") == untagged
    assert len(mount.ls("all")) == everything + len([one for one in leaves if not one.endswith("~")])
    assert len(mount.scratch()) == len(scratch) + len(mount_scraps(mount, leaves))
    if save.versions:
        assert any(f"/{guid}/" in path and data == BEFORE for path, data in mount.kept().items() if path[:4] == "keep")
    assert mount.lyts.quick("fsck", "--deep", code=None).out.endswith("\n")
    mount.check()


def mount_scraps(mount: Mounting, leaves: set[str]) -> list[str]:
    """Of what a program leaves, what stands in scratch for an hour."""
    return [one for one in leaves if one.endswith("~")]


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ('cp -a -- "$2/$1" .', 1, "preserving permissions"),
        ('rsync -aAX -- "$2/$1" .', 23, "ACL_TYPE_ACCESS"),
        ('tar -C "$2" --acls --xattrs -cf - -- "$1" | tar --acls --xattrs -xf -', 0, "Operation not supported"),
    ],
    ids=["cp -a", "rsync -A", "tar --acls"],
)
def test_an_acl_is_refused_as_on_a_file_system_without_any_and_all_else_arrives(
    mount: Mounting, tmp_path: Path, command: str, code: int, said: str
) -> None:
    need("setfacl", *command.split()[:1])
    elsewhere = elsewhere_of(tmp_path, "doc.txt")
    os.chmod(elsewhere / "doc.txt", 0o640)
    mount.run("setfacl", "-m", "u:1234:r", elsewhere / "doc.txt")
    mount.sh("mkdir tags/papers")
    # A new file, then one that stands. (rsync -X takes away what its source lacks: the second time, the tags.)
    for _ in range(1 if "rsync" in command else 2):
        done = mount.run("sh", "-c", command, "sh", "doc.txt", elsewhere, cwd=mount / "tags/papers", code=code)
        assert said in done.stderr.decode()
        assert mount.read("tags/papers/doc.txt") == AFTER
        assert os.getxattr(mount / "tags/papers/doc.txt", "user.shape") == b"round"
        times = [os.stat(one / "doc.txt").st_mtime_ns for one in (elsewhere, mount / "tags/papers")]
        assert abs(times[0] - times[1]) < 10**9
    assert mount.ls("all") == ["doc.txt"]
    assert mount.trash() == []


def test_no_program_complains_where_there_is_no_acl(mount: Mounting, tmp_path: Path) -> None:
    elsewhere = elsewhere_of(tmp_path, "doc.txt")
    for command in ('cp -a -- "$2/$1" .', 'rsync -aHAX -- "$2/$1" .', 'install -pm 600 -- "$2/$1" .'):
        need(command.split()[0])
        folder = mount / f"tags/{command.split()[0]}"
        folder.mkdir()
        done = mount.run("sh", "-euc", command, "sh", "doc.txt", elsewhere, cwd=folder)
        assert (done.stdout, done.stderr) == (b"", b"")
        assert (folder / "doc.txt").read_bytes() == AFTER
    assert (mount / "tags/install/doc.txt").stat().st_mode & 0o777 == 0o600
    done = mount.run("ls", "-l", cwd=mount / "tags/cp")
    assert b"doc.txt" in done.stdout
    assert done.stderr == b""


# -- one file and another


def test_a_camera_namesake_moved_onto_another_keeps_both(mount: Mounting) -> None:
    mount.sh("mkdir tags/rome tags/paris")
    rome = mount.put("tags/rome/IMG_0001.jpg", "the forum")
    paris = mount.put("tags/paris/IMG_0001.jpg", "the tower")
    mount.sh("mv -f tags/rome/IMG_0001.jpg tags/paris/")
    assert mount.guid("tags/paris/IMG_0001.jpg") == rome
    assert mount.read("tags/paris/IMG_0001.jpg") == b"the forum"
    assert mount.tags("tags/paris/IMG_0001.jpg") == ["paris"]
    assert mount.read("trash/IMG_0001.jpg") == b"the tower"
    assert mount.guid("trash/IMG_0001.jpg") == paris
    mount.lyts.quick("undo")
    eventually(lambda: mount.ls("tags/rome") == ["IMG_0001.jpg"])
    assert mount.read("tags/rome/IMG_0001.jpg") == b"the forum"
    # The plain name was the other's a moment ago; while the directory is remembered it leads to nobody else.
    (name,) = mount.ls("tags/paris")
    assert name in ("IMG_0001.jpg", f"IMG_0001~{paris[:8]}.jpg")
    assert mount.read(f"tags/paris/{name}") == b"the tower"


def test_a_file_removed_and_another_of_its_name_copied_in_are_two(mount: Mounting, tmp_path: Path) -> None:
    first = mount.lyts.file("IMG_0001.jpg", "the forum")
    mount.lyts.quick("add", "-t", "trip", first)
    eventually(lambda: mount.ls("tags/trip") == ["IMG_0001.jpg"])
    old = mount.guid("tags/trip/IMG_0001.jpg")
    mount.sh('rm tags/trip/IMG_0001.jpg; cp "$1/IMG_0001.jpg" tags/trip/', str(elsewhere_of(tmp_path, "IMG_0001.jpg")))
    new = mount.guid("tags/trip/IMG_0001.jpg")
    assert new != old
    assert mount.read("tags/trip/IMG_0001.jpg") == AFTER
    assert mount.read("untagged/IMG_0001.jpg") == b"the forum"
    assert mount.guid("untagged/IMG_0001.jpg") == old
    assert mount.ls("tags/trip") == ["IMG_0001.jpg"]


def test_a_file_moved_out_is_whole_outside_and_stays_in_the_library(mount: Mounting, tmp_path: Path) -> None:
    guid = mount.put("untagged/doc.txt", BEFORE)
    mount.sh("mkdir tags/papers; mv untagged/doc.txt tags/papers/")
    assert mount.guid("tags/papers/doc.txt") == guid
    mount.sh('mv tags/papers/doc.txt "$1/"', str(tmp_path))
    assert (tmp_path / "doc.txt").read_bytes() == BEFORE
    assert mount.ls("tags/papers") == []
    assert mount.guid("trash/doc.txt") == guid  # made a moment ago
    assert mount.read("trash/doc.txt") == BEFORE
    mount.sh('mv "$1/doc.txt" tags/papers/', str(tmp_path))
    assert mount.read("tags/papers/doc.txt") == BEFORE


def test_a_second_save_by_emacs_goes_on_with_the_same_backup(mount: Mounting) -> None:
    need("emacs")
    mount.sh("mkdir tags/papers")
    guid = mount.put("tags/papers/doc.txt", "one\none\n")
    for _ in range(2):
        mount.sh(EMACS, "doc.txt", cwd=mount / "tags/papers")
    assert mount.ls("tags/papers") == ["doc.txt", "doc.txt~"]
    assert mount.read("tags/papers/doc.txt") == b"ONE MORE\nONE MORE\n"
    assert mount.read("tags/papers/doc.txt~") == b"ONE MORE\none\n"
    assert mount.guid("tags/papers/doc.txt") == guid
    assert mount.trash() == []


def test_an_edit_is_a_version_that_can_be_brought_back(mount: Mounting) -> None:
    mount.sh("mkdir tags/papers")
    mount.put("tags/papers/doc.txt", BEFORE)
    mount.sh("sed -i s/one/ONE/ tags/papers/doc.txt")
    old = next(one for one in mount.lyts.json("versions", "doc.txt") if not one["current"])
    assert old["path"] is not None
    mount.lyts.quick("versions", "doc.txt", "--bring-back", old["sha256"][:12])
    eventually(lambda: mount.read("tags/papers/doc.txt") == BEFORE)


# -- programs that remove or read everything


def fill(mount: Mounting) -> dict[str, bytes]:
    """A small library from beneath, with a namesake, sub-tags and something in the trash; GUID -> bytes."""
    lyts = mount.lyts
    for number in range(6):
        lyts.quick("add", "-t", f"music,kind={number % 2}", lyts.file(f"a/song {number}.ogg", f"song {number}"))
    lyts.quick("add", "-t", "papers", lyts.file("b/song 1.ogg", "another song 1"))
    lyts.quick("add", lyts.file("c/inbox.txt", "inbox"))
    lyts.quick("add", "-t", "old", lyts.file("d/gone.txt", "gone"))
    lyts.quick("rm", "gone.txt")
    lyts.quick("save", "songs", "music")
    eventually(lambda: len(mount.ls("all")) == 8 and len(mount.ls("trash")) == 1)
    return {guid: mount.read(f"ids/{guid}") for guid in mount.facts()}


def state_of(mount: Mounting) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {guid: (one["name"], tuple(one["tags"])) for guid, one in mount.facts().items()}


REMOVERS = {
    "rm -rf MOUNT/*": 'rm -rf "$PWD"/*',
    "rm -rf all/*": "rm -rf all/*",
    "rm -r tags/music": "rm -r tags/music",
    "rsync --delete into all/": 'mkdir "$1/empty"; rsync -a --delete "$1/empty/" all/',
    "rsync --delete into a tag": 'mkdir "$1/empty"; rsync -a --delete "$1/empty/" tags/music/',
    "find -delete": "find . -type f -delete",
    "find tags -delete": "find tags -delete",
}


@pytest.mark.parametrize("how", REMOVERS)
def test_whoever_removes_everything_loses_nothing_and_undo_brings_it_back(
    mount: Mounting, tmp_path: Path, how: str
) -> None:
    need("rsync")
    held = fill(mount)
    before = state_of(mount)
    mount.run("sh", "-c", REMOVERS[how], "sh", tmp_path, code=None, timeout=60)
    assert state_of(mount) != before
    kept = list(mount.kept().values())
    assert all(data in kept for data in held.values())
    for _ in range(40):
        if state_of(mount) == before:
            break
        mount.lyts.quick("undo")
    assert state_of(mount) == before
    eventually(lambda: len(mount.ls("all")) == 8)
    assert {guid: mount.read(f"ids/{guid}") for guid in held} == held
    mount.lyts.json("save", "--list")


def test_a_program_that_removes_more_than_fifty_files_from_all_is_stopped(mount: Mounting) -> None:
    paths = [mount.lyts.file(f"many/{number}.txt") for number in range(60)]
    mount.lyts.quick("add", *paths)
    eventually(lambda: len(mount.ls("all")) == 60)
    done = mount.run("sh", "-c", "rm -f all/*", code=1)
    assert done.stderr.count(b"Operation not permitted") == 10
    assert len(mount.ls("all")) == 10
    assert "lyts rm" in mount.log.read_text()
    mount.lyts.quick("undo")
    eventually(lambda: len(mount.ls("all")) == 60)


def test_find_over_the_whole_mount_ends_and_meets_each_file_as_one_inode(mount: Mounting) -> None:
    held = fill(mount)
    listed = mount.sh("find . -type f -printf '%i %p\\n'", timeout=60).splitlines()
    inodes = {line.split(" ", 1)[0] for line in listed if ".md" not in line and ".TAG" not in line}
    assert len(inodes) == len(held) + 1  # and the one in the trash
    assert not any("loop" in line for line in listed)


def test_grep_du_tar_and_rsync_over_the_whole_mount_end_and_count_each_file_once(
    mount: Mounting, tmp_path: Path
) -> None:
    need("rsync")
    held = fill(mount)
    found = mount.sh("grep -rl 'song 3' . || true", timeout=60).splitlines()
    assert found
    assert all(path.endswith("song 3.ogg") for path in found)
    sizes = mount.sh("du -ab --max-depth=0 all; du -sb all tags | tail -n 1", timeout=60)
    assert sizes
    archive = tmp_path / "all.tar"
    mount.sh('tar -cf "$1" .', str(archive), timeout=60)
    with tarfile.open(archive) as tar:
        whole = [member for member in tar.getmembers() if member.isreg() and member.name.endswith((".ogg", "x.txt"))]
    assert len(whole) >= len(held)
    copy = tmp_path / "copy"
    mount.sh('rsync -aHX . "$1"', str(copy), timeout=60)
    tags = {path.name: os.getxattr(path, "user.xdg.tags") for path in (copy / "tags" / "music").iterdir()}
    assert tags["song 3.ogg"] == b"kind=1,music"
    copied = {path.read_bytes() for path in (copy / "all").iterdir()}
    assert copied == set(held.values())


_SAVES_AND_LOOKS = """
import os, sys
folder, rounds = sys.argv[1], int(sys.argv[2])
os.chdir(folder)
for n in range(rounds):
    before = open("doc.txt").read()
    os.rename("doc.txt", "doc.txt.bak")
    with open("new.tmp1", "w") as new:
        new.write(f"round {n}\\n")
    os.rename("new.tmp1", "doc.txt")
    # At once: the kernel has not forgotten yet what it knew the backup's name to lead to.
    with open("doc.txt.bak", "r+") as backup:
        found = backup.read()
        assert found == before, (n, "the backup is not what was there", found, before)
        backup.write("noted in the backup\\n")
    assert open("doc.txt").read() == f"round {n}\\n", (n, "what was written to the backup is in the document")
    os.unlink("doc.txt.bak")
"""


def test_a_backup_that_is_opened_at_once_is_the_backup(mount: Mounting) -> None:
    (mount / "tags/work").mkdir()
    (mount / "tags/work/doc.txt").write_bytes(b"first\n")
    guid = mount.guid("tags/work/doc.txt")
    mount.sh('python3 -c "$1" "$2" 40', _SAVES_AND_LOOKS, str(mount / "tags/work"))
    assert mount.guid("tags/work/doc.txt") == guid
    assert mount.read("tags/work/doc.txt") == b"round 39\n"
