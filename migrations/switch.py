"""Old and new change places.

Theory of operation. A migration that is ready lies in `migration/`, in the store; while it
is being made or thrown away, the folder is called `migration.draft`:

    old/    store.toml, README.txt, later ledgers/<own folder>     becomes the backup
    new/    store.toml, ledgers/<own folder>                       made, checked, fsynced

`store.toml` and the ledgers are two places, and no rename changes both. So, where this
node has one ledger folder and the file system can exchange two names (ext4, xfs, btrfs,
f2fs, tmpfs, newer ZFS), the switch is one system call:

    1. `store.toml` becomes a link to `ledgers/<folder>/.store.toml`, which says the same
    2. that folder and its new version, with a `.store.toml` of its own, are exchanged
    3. `store.toml` becomes a file again, which says what the link says

Before 2 everything reads as old, after it as new. Elsewhere, or with several own folders
(`laptop@laptop+server`), they are renamed one by one behind a `store.toml` whose format
is a sentence: no lyts, old or new, opens that, and the sentence names the command that
goes on. Rejected: `store.toml` first or last without such a barrier, because for a moment
an older lyts would open ledgers that it cannot read, and take them for damaged.

`settle` brings whatever a crash left to one of the two ends; what was only begun is
thrown away and made again, since the old store may have been used in the meantime.
All under the store's lock.
"""

from __future__ import annotations

import json
import os
import shlex
from contextlib import suppress

from migrations import disk
from tagfs.durable import sync_paths
from tagfs.errors import NoStore, StoreError
from tagfs.layout import Layout, read_toml

BARRIER = "this store is being brought to another format; go on with: lyts migrate"
LINKED = ".store.toml"
BACKUP_PREFIX = "before-format-"


class Place:
    """The paths of a migration in a store. Paths only; nothing is touched."""

    def __init__(self, root: str, *, draft: bool = False) -> None:
        self.store = Layout(root)
        self.drafted = os.path.join(self.store.root, "migration.draft")
        self.ready = os.path.join(self.store.root, "migration")
        self.folder = self.drafted if draft else self.ready
        self.old = Layout(os.path.join(self.folder, "old"))
        self.new = Layout(os.path.join(self.folder, "new"))
        self.forward = os.path.join(self.folder, "forward.toml")
        self.back = os.path.join(self.folder, "back.toml")
        self.derived = os.path.join(self.folder, "derived")


def toml_text(values: dict[str, object]) -> bytes:
    """A `store.toml` with these values. StoreError for a value that is no text, whole number or yes/no."""
    lines = ["# lyts store: the files of a person, by tags. See README.md beside this file."]
    for key, value in values.items():
        if isinstance(value, bool):
            text = "true" if value else "false"
        elif isinstance(value, int):
            text = str(value)
        elif isinstance(value, str):
            # TOML's strings are JSON's, but for one control character.
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        else:
            raise StoreError(f"store.toml has a value that lyts does not know how to write: {key} = {value!r}")
        lines.append(f"{key} = {text}")
    return ("\n".join(lines) + "\n").encode()


def format_of(layout: Layout) -> int | None:
    """The format a `store.toml` states; None while the barrier stands in its place. NoStore, StoreError."""
    found = read_toml(layout).get("format")
    if found == BARRIER:
        return None
    if not isinstance(found, int) or isinstance(found, bool):
        raise StoreError(
            f"{layout.toml} is damaged (it names no format); the ledgers and data files beside it are not concerned"
        )
    return found


def coming_format(place: Place) -> int:
    """The format of a store that has a barrier in it, once it is settled."""
    for layout in (place.new, place.old):
        with suppress(NoStore):
            found = format_of(layout)
            if found is not None:
                return found
    raise StoreError(
        f"{place.store.toml} says that a migration was under way, but {place.folder} is gone. "
        "The data files are not concerned; to make a store of them and of the ledgers there are: lyts recover"
    )


def own_folders(layout: Layout) -> list[str]:
    """The ledger folders that this node writes: its own, and those it shares with a part of the nodes only."""
    name = read_toml(layout).get("ledger_folder")
    if not isinstance(name, str) or not name or name in (".", "..") or "/" in name or "\0" in name:
        raise StoreError(
            f"{layout.toml} is damaged (it names no ledger folder); the ledgers beside it are not concerned"
        )
    return sorted(f for f in _folders(layout.ledgers) if f == name or f.startswith(name + "@"))


def _folders(path: str) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def is_unfinished(root: str) -> bool:
    """Whether an earlier run left something to finish or to tidy up."""
    place = Place(root)
    if disk.is_there(place.ready) or disk.is_there(place.drafted) or disk.is_link(place.store.toml):
        return True
    return any(disk.is_there(os.path.join(place.store.ledgers, f, LINKED)) for f in own_folders(place.store))


def backups(root: str, target: int) -> list[str]:
    """The folders that migrations to format `target` kept, oldest first."""
    name = f"{BACKUP_PREFIX}{target}"
    found = [f for f in _folders(root) if f == name or f.startswith(name + "-")]
    return [os.path.join(root, f) for f in sorted(found, key=lambda f: (len(f), f))]


def drop_index(place: Place) -> None:
    """Take the index and the full text away: they tell of the old ledgers, and are made again from the new.

    Before the switch, not after: an index that met other ledgers than its own would take
    them for rolled back.
    """
    disk.make_folder(place.derived)
    store = place.store
    for path in (store.index, store.index_being_built, store.index_being_built + ".old", store.text):
        if disk.is_there(path):
            disk.move(path, os.path.join(place.derived, os.path.basename(path)))


def switch(root: str) -> None:
    """Put `migration/new` in the place of the store's ledgers and `store.toml`.

    On an error the store is brought back to the old version if that can be done, else on
    to the new one; the error is raised in either case. The caller then calls `settle`.
    """
    place = Place(root)
    folders = _folders(place.new.ledgers)
    if len(folders) == 1 and _at_once(place, folders[0]):
        return
    # Written beforehand: on a disk that fills up, renaming still works, in both directions.
    for path, toml in ((place.forward, place.new.toml), (place.back, place.old.toml)):
        disk.write_file(path, disk.read_file(toml), like=toml)
    sync_paths([place.folder])
    disk.write_over(place.store.toml, toml_text({**read_toml(place.old), "format": BARRIER}))
    _one_by_one(place)


def _at_once(place: Place, folder: str) -> bool:
    """The switch in one call; False where the file system has none, and everything is as it was."""
    here, there = (os.path.join(ledgers, folder) for ledgers in (place.store.ledgers, place.new.ledgers))
    try:
        for folder_path, toml in ((here, place.old.toml), (there, place.new.toml)):
            disk.write_file(os.path.join(folder_path, LINKED), disk.read_file(toml), like=toml)
            sync_paths([folder_path])
        disk.link_over(place.store.toml, os.path.join("ledgers", folder, LINKED))
        disk.exchange(here, there)
    except OSError as exc:
        _make_toml_a_file(place)
        if exc.errno not in disk.CANNOT or format_of(place.store) != format_of(place.old):
            raise
        disk.remove(os.path.join(here, LINKED))
        disk.remove(os.path.join(there, LINKED))
        return False
    _make_toml_a_file(place)
    return True


def _make_toml_a_file(place: Place) -> None:
    if disk.is_link(place.store.toml):
        disk.write_over(place.store.toml, disk.read_file(place.store.toml))


def _one_by_one(place: Place) -> None:
    """The switch behind the barrier; goes on with one that was cut short. Takes everything back on an error."""
    try:
        disk.make_folder(place.old.ledgers)
        for folder in sorted(_folders(place.new.ledgers)):
            here, old = os.path.join(place.store.ledgers, folder), os.path.join(place.old.ledgers, folder)
            if disk.is_there(here):
                disk.move(here, old)
            disk.move(os.path.join(place.new.ledgers, folder), here)
        disk.move(place.forward, place.store.toml)
    except OSError:
        if format_of(place.store) is None:
            _take_back(place)
        raise


def _take_back(place: Place) -> None:
    """Undo a switch behind the barrier. Every rename is done whether or not fsync works: that may be what failed."""
    for folder in _folders(place.old.ledgers):
        here = os.path.join(place.store.ledgers, folder)
        if disk.is_there(here):
            os.rename(here, os.path.join(place.new.ledgers, folder))
        os.rename(os.path.join(place.old.ledgers, folder), here)
    # The barrier must not fall before the ledgers are back, after a power cut either.
    for path in (place.store.ledgers, place.old.ledgers, place.new.ledgers):
        with suppress(OSError):
            sync_paths([path])
    os.rename(place.back, place.store.toml)
    with suppress(OSError):
        sync_paths([place.store.root])


def settle(root: str) -> str | None:
    """Finish a switch, or tidy up after one that was not made. Returns the path of the backup it made.

    Does nothing where there is nothing to do.
    """
    place = Place(root)
    _make_toml_a_file(place)
    if format_of(place.store) is None:
        coming_format(place)
        _one_by_one(place)
    backup = None
    if _is_switched(place):
        backup = _keep_old(place)
    for folder in own_folders(place.store):
        disk.remove(os.path.join(place.store.ledgers, folder, LINKED))
    disk.remove(place.store.toml + ".new")
    disk.remove(place.drafted)
    if disk.is_there(place.ready):
        disk.move(place.ready, place.drafted)
        disk.remove(place.drafted)
    return backup


def _is_switched(place: Place) -> bool:
    """Whether the new ledgers are in the store and the old ones in `migration/`; puts an exchanged one into `old/`."""
    try:
        old, new = format_of(place.old), format_of(place.new)
    except NoStore:
        return False  # there is no migration, or its old version has become the backup already
    if format_of(place.store) != new or old == new:
        return False
    disk.make_folder(place.old.ledgers)
    drafts = 0
    for folder in _folders(place.new.ledgers):
        path = os.path.join(place.new.ledgers, folder)
        linked = os.path.join(path, LINKED)
        if disk.is_there(linked) and disk.read_file(linked) == disk.read_file(place.old.toml):
            disk.move(path, os.path.join(place.old.ledgers, folder))
        else:
            drafts += 1
    return not drafts


def _keep_old(place: Place) -> str:
    """`migration/old` becomes the backup. Its path."""
    wanted = f"{BACKUP_PREFIX}{format_of(place.new)}"
    name, number = wanted, 1
    while disk.is_there(os.path.join(place.store.root, name)):
        number += 1
        name = f"{wanted}-{number}"
    folders = sorted(_folders(place.old.ledgers))
    for folder in folders:
        disk.remove(os.path.join(place.old.ledgers, folder, LINKED))
    page = _BACKUP_PAGE.format(
        old=format_of(place.old),
        new=format_of(place.new),
        name=name,
        folders=" ".join(shlex.quote("ledgers/" + folder) for folder in folders),
    )
    disk.write_over(os.path.join(place.old.root, "README.txt"), page.encode("utf-8", "surrogateescape"))
    path = os.path.join(place.store.root, name)
    disk.move(place.old.root, path)
    return path


_BACKUP_PAGE = """\
This is what lyts kept when it brought the store from format {old} to format {new}:
the ledgers of this device and store.toml as they were. They hold no data files;
those were not touched, and are where they always were.

When all is well with the new format, you can delete this folder.

To go back: end everything of lyts that runs on this device, open a terminal in
the folder of the store (the one that has this folder in it), and type

    mkdir set-aside
    mv store.toml {folders} set-aside/
    cp -a {name}/ledgers/. ledgers/
    cp -a {name}/store.toml store.toml
    rm -rf index text

Then use the older lyts again, which makes its index anew. What was changed in the
meantime is in set-aside/, in the newer format; the older lyts does not see it.
"""
