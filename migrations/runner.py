"""Brings a store to the format of this lyts: `plan` looks, `run` does.

Order of a run, all under the store's lock and with no other lyts writing:

    1. what an earlier run left is finished or thrown away (`switch.settle`)
    2. the first step's `check`; room on the disk
    3. the ledgers of this node and `store.toml` are copied to `migration/new`; each step
       works on that copy, each further `check` looks at it; all of it is fsynced
    4. nobody wrote to the originals meanwhile; the index is taken away
    5. the switch; the originals become the backup, `before-format-<N>/`

Up to 5 nothing of the store has changed but the index, which is derived. A store of a
newer format is recognised before anything is opened for writing, `lock` included.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from migrations import disk
from migrations.contract import CannotMigrate, Migration, Progress, Work, chain
from migrations.registry import REGISTRY
from migrations.report import Plan, Report
from migrations.switch import (
    LINKED,
    Place,
    backups,
    coming_format,
    drop_index,
    format_of,
    is_unfinished,
    own_folders,
    settle,
    switch,
    toml_text,
)
from tagfs.errors import DiskFull, LytsError, NewerFormat, ReadOnlyStore, StoreError
from tagfs.layout import FORMAT, Layout, read_info, read_toml
from tagfs.lock import hold

_SLACK_BYTES = 1 << 20


def plan(root: str, steps: tuple[Migration, ...] = REGISTRY, *, target: int = FORMAT) -> Plan:
    """What there is to do for the store in the folder `root`. Touches nothing, takes no lock.

    Raises:
        NoStore, NewerFormat, StoreError: there is no store, it is newer, or no step leads on from its format.
    """
    try:
        return _plan(root, steps, target)
    except OSError as exc:
        raise StoreError(
            f"the store in {os.path.abspath(root)} cannot be looked at: {exc.strerror} ({exc.filename})"
        ) from exc


def _plan(root: str, steps: tuple[Migration, ...], target: int) -> Plan:
    place = Place(root)
    found = format_of(place.store)
    if found is None:
        found = coming_format(place)
    if found > target:
        raise NewerFormat(place.store.root, found, target)
    way = chain(place.store.root, found, target, steps)
    seen = _originals(place.store) if way else disk.Seen()
    room = os.statvfs(place.store.root)
    copy_bytes = seen.total_bytes()
    return Plan(
        root=place.store.root,
        found=found,
        target=target,
        steps=way,
        problems=tuple(way[0].check(place.store.root)) if way else (),
        unfinished=is_unfinished(root),
        segments=len(seen),
        copy_bytes=copy_bytes,
        need_bytes=2 * copy_bytes + _SLACK_BYTES if way else 0,
        free_bytes=room.f_bavail * room.f_frsize,
    )


def run(
    root: str,
    steps: tuple[Migration, ...] = REGISTRY,
    progress: Progress | None = None,
    dry_run: bool = False,
    *,
    target: int = FORMAT,
    on_wait: Callable[[], None] | None = None,
) -> Report:
    """Bring the store in the folder `root` to format `target`. Does nothing where it has it already.

    Args:
        progress: see `contract.Progress`.
        dry_run: look and tell only; `report.plan.problems` says what is in the way.
        on_wait: called when another process holds the store's lock.
    Raises:
        NoStore, NewerFormat, ReadOnlyStore: nothing was touched.
        CannotMigrate, DiskFull, StoreError: the store is as it was, or, as the error then says, already new.
    """
    ahead = plan(root, steps, target=target)
    if ahead.is_idle or dry_run:
        return Report(ahead.root, ahead.found, ahead.found, (), None, 0, 0, False, dry_run, ahead)
    layout = Layout(root)
    if not os.access(layout.root, os.W_OK) or os.statvfs(layout.root).f_flag & os.ST_RDONLY:
        raise ReadOnlyStore(layout.root)
    try:
        with hold(layout.lock, on_wait), _alone(layout):
            return _run_locked(layout.root, steps, target, progress or (lambda what, done, total: None))
    except OSError as exc:
        raise _sentence(layout, target, exc) from exc


def _run_locked(root: str, steps: tuple[Migration, ...], target: int, progress: Progress) -> Report:
    resumed = is_unfinished(root)
    backup = settle(root)
    now = plan(root, steps, target=target)
    if not now.steps:
        kept = backup or next(reversed(backups(root, target)), None)
        return Report(root, now.found, now.found, (), kept, 0, 0, resumed, False, now._replace(unfinished=resumed))
    if now.problems:
        raise CannotMigrate(root, list(now.problems))
    if now.free_bytes < now.need_bytes:
        raise DiskFull(root)
    try:
        _prepare(Place(root, draft=True), now, progress)
        drop_index(Place(root))
        progress("putting the new version in place", 0, 1)
        switch(root)
    except BaseException:
        # Brings the store to one of the two ends, whatever it was that went wrong.
        with suppress(OSError, LytsError):
            settle(root)
        raise
    backup = settle(root)
    progress("putting the new version in place", 1, 1)
    done = tuple(step.name for step in now.steps)
    return Report(root, now.found, target, done, backup, now.segments, now.copy_bytes, resumed, False, now)


def _prepare(place: Place, now: Plan, progress: Progress) -> None:
    """Make `migration/`, by way of a draft: the old `store.toml`, and the new version, complete and on disk."""
    store = place.store
    before = _originals(store)
    disk.make_folder(place.old.ledgers)
    disk.make_folder(place.new.ledgers)
    disk.write_file(os.path.join(place.folder, "README.txt"), _UNDER_WAY.encode())
    disk.write_file(place.old.toml, disk.read_file(store.toml), like=store.toml)
    total = sum(size for _, size, _ in before.values())
    copied = 0

    def count(size_bytes: int) -> None:
        nonlocal copied
        copied += size_bytes
        progress("copying the ledgers", min(copied, total), total)

    folders = own_folders(store)
    for folder in folders:
        disk.copy_tree(os.path.join(store.ledgers, folder), os.path.join(place.new.ledgers, folder), LINKED, count)
    values = dict(read_toml(store))
    name = values["ledger_folder"]
    for number, step in enumerate(now.steps):
        if number:
            problems = step.check(place.new.root)
            if problems:
                raise CannotMigrate(store.root, problems)
        step.apply(Work(place.new.root, store.root, values, progress))
        values["format"] = step.to_format
        if values.get("ledger_folder") != name:
            raise StoreError(
                f"the step {step.name!r} renamed the ledger folder, which no step may do; nothing was changed"
            )
        disk.write_file(place.new.toml, toml_text(values), like=store.toml)
    if own_folders(place.new) != folders:
        raise StoreError("a step made or removed a ledger folder, which no step may do; nothing was changed")
    if now.target == FORMAT:
        read_info(place.new)  # what this lyts will open
    disk.sync_tree(place.drafted)
    if _originals(store) != before:
        raise StoreError(
            f"something wrote to {store.ledgers} while it was being copied; nothing was changed. "
            "End what else runs with this store, then try again"
        )
    disk.move(place.drafted, place.ready)


def _originals(store: Layout) -> disk.Seen:
    """The files of the ledgers that this node writes."""
    seen = disk.Seen()
    for folder in own_folders(store):
        seen.update(disk.look_through(os.path.join(store.ledgers, folder), LINKED))
    return seen


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """No other process may be about to write: an older lyts that has the store open would go on in the old format.

    Each process that wrote holds a share in `dirty` until it leaves (tagfs/lock.py).
    """
    try:
        fd = os.open(layout.dirty, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"something else of lyts has the store in {layout.root} open (a mount, a shell, the sync service). "
                "Nothing was changed. End it, then run: lyts migrate"
            ) from None
        yield
    finally:
        os.close(fd)


def _sentence(layout: Layout, target: int, exc: OSError) -> LytsError:
    """The error for a person, which says whether the store is old or new."""
    now = None
    with suppress(LytsError):
        now = format_of(layout)
    where = f"{exc.strerror} ({exc.filename if isinstance(exc.filename, str) else layout.root})"
    if now is None:
        return StoreError(
            f"the store in {layout.root} is between two formats, and cannot be used until that is finished: {where}. "
            "Nothing is lost. Go on with: lyts migrate"
        )
    if now == target:
        return StoreError(
            f"the store in {layout.root} has format {target} now and can be used; tidying up after it failed: {where}. "
            "Finish it with: lyts migrate"
        )
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(layout.root)
    if exc.errno == errno.EROFS:
        return ReadOnlyStore(layout.root)
    return StoreError(f"the store in {layout.root} is as it was; it could not be brought to format {target}: {where}")


_UNDER_WAY = """\
lyts is bringing the store to another format, or was stopped while doing so.
Please delete nothing here: it may be the only copy. Go on with: lyts migrate
"""
