"""`lyts doctor`: the machine and the store, as far as they concern lyts.

Looks only. Each remark is ok, a note, or a problem with what to do. It must work when
little else does, so nothing it looks at may end it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator

from tagfs.check.finding import Remark
from tagfs.errors import LytsError
from tagfs.index.catchup import QUARANTINE, REPORT
from tagfs.index.positions import is_behind, known_segments
from tagfs.index.read import View
from tagfs.layout import Layout, read_info
from tagfs.lock import dirty_boot
from tagfs.stamp import MAX_DRAG_MS, ms_of
from tagfs.store import Machine, Store, is_elsewhere

OK, NOTE, PROBLEM = "ok", "note", "problem"
LOW_SPACE_BYTES = 200 << 20
OLDEST_PYTHON = (3, 11)


def examine(root: str, machine: Machine) -> list[Remark]:
    """All remarks on the store in the folder `root` and the machine it is on, worst last."""
    out: list[Remark] = []
    for look in (_python, _store, _space, _folders, _index, _ledgers, _keep, _pages, _mounting):
        try:
            out.extend(look(root, machine))
        except LytsError as exc:
            out.append(Remark(PROBLEM, look.__name__[1:], str(exc), ""))
        except Exception as exc:  # noqa: BLE001 - a broken store is what doctor is for
            out.append(Remark(PROBLEM, look.__name__[1:], f"could not be looked at: {exc}", "lyts fsck may tell more"))
        if out and out[-1].topic == "store" and out[-1].level == PROBLEM:
            break
    return sorted(out, key=lambda remark: (OK, NOTE, PROBLEM).index(remark.level))


def _python(root: str, machine: Machine) -> Iterator[Remark]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        yield Remark(PROBLEM, "python", f"Python {version} is too old", "lyts needs Python 3.11 or later")
    else:
        import lmdb

        yield Remark(OK, "python", f"Python {version}, LMDB binding {lmdb.__version__}", "")


def _store(root: str, machine: Machine) -> Iterator[Remark]:
    layout = Layout(root)
    info = read_info(layout)
    yield Remark(
        OK, "store", f"{layout.root}, format {info.format}, this device is called {info.alias!r} ({info.node[:8]})", ""
    )
    if is_elsewhere(info, machine):
        yield Remark(
            PROBLEM,
            "machine",
            "the store was made on another machine; it can be looked at and not be changed",
            "if it was moved: lyts node here --moved; if it is a copy: make a new store and lyts node join",
        )


def _space(root: str, machine: Machine) -> Iterator[Remark]:
    usage = shutil.disk_usage(root)
    if usage.free < LOW_SPACE_BYTES:
        yield Remark(
            PROBLEM,
            "space",
            f"only {usage.free >> 20} MiB are free on the disk of the store",
            "free some space; lyts trash empty helps",
        )
    else:
        yield Remark(OK, "space", f"{usage.free >> 30} GiB are free on the disk of the store", "")


def _folders(root: str, machine: Machine) -> Iterator[Remark]:
    layout = Layout(root)
    for path in (layout.ledgers, layout.sets, layout.scratch, layout.keep):
        if not os.path.isdir(path):
            yield Remark(
                PROBLEM,
                "folders",
                f"{path} is missing",
                "restore it from a backup, or make it again empty if you know it held nothing",
            )
    if os.stat(layout.root).st_mode & 0o077:
        yield Remark(
            NOTE,
            "folders",
            f"others on this machine may look into {layout.root}",
            f"to keep it to yourself: chmod 700 {layout.root}",
        )
    left = (
        [name for name in os.listdir(layout.scratch) if not _belongs_in_scratch(name)]
        if os.path.isdir(layout.scratch)
        else []
    )
    if left:
        yield Remark(
            NOTE,
            "scratch",
            f"{len(left)} half-written files are left in {layout.scratch} from something that was interrupted",
            "they are copies of files you were adding; once those are in the library you can delete them",
        )


def _belongs_in_scratch(name: str) -> bool:
    """What the mount has there are files of the person and notes about them; the next mount takes them up."""
    return (
        name in ("reserve", "CACHEDIR.TAG", "mounts.lock", "readme")
        or name.startswith("newborns-")
        or name.endswith((".new", ".written"))
    )


def _index(root: str, machine: Machine) -> Iterator[Remark]:
    boot = dirty_boot(Layout(root).dirty)
    if boot is not None and boot != machine.boot_id():
        yield Remark(
            NOTE, "index", "the machine was not shut down cleanly; the index is built again at the next command", ""
        )
    else:
        yield Remark(
            OK, "index", "was left in order" if boot is None else "in use, or left so by a program that was ended", ""
        )


def _ledgers(root: str, machine: Machine) -> Iterator[Remark]:
    from msgspec.msgpack import decode

    with Store(root, machine) as store, store.view() as view:
        known = known_segments(view.tx, view.db)
        lines = sum(read.lines for read in known.values())
        yield Remark(OK, "ledgers", f"{lines} lines in {len(known)} {'file' if len(known) == 1 else 'files'}", "")
        if is_behind(view.tx, view.db, store.layout.ledgers, store.info.ledger_folder):
            yield Remark(NOTE, "ledgers", "some facts are not in the index yet", "the next command takes them in")
        for _, raw in view.things(QUARANTINE):
            name, start, _, why, excerpt = decode(raw)
            yield Remark(
                PROBLEM,
                "ledgers",
                f"{name}, byte {start}: a line was set aside: {why}. It begins: {excerpt[:60]!r}",
                "everything else was read",
            )
        for name, raw in view.things(REPORT):
            what, _, vouched = decode(raw)
            kept = f"; {vouched} facts it lost were kept" if what == "rolled back" else ""
            yield Remark(PROBLEM, "ledgers", f"{name} was {what}{kept}", "look at the disk it is on")
        yield from _clocks(view, machine.wall_ms())


def _keep(root: str, machine: Machine) -> Iterator[Remark]:
    from tagfs.keep import limits_of
    from tagfs.verbs.trimming import due, survey

    with Store(root, machine) as store:
        limits = limits_of(store.layout)
        found = survey(store)
        over = due(store, machine.wall_ms(), limits, found)
    size = sum(version.size_bytes for version in found.versions)
    until = (
        f"each is kept for {limits.versions_days} days, as long as all take no more than {_mib(limits.versions_bytes)}"
    )
    yield Remark(OK, "versions", f"{len(found.versions)} earlier contents of files take {_mib(size)}; {until}", "")
    if over:
        yield Remark(
            NOTE,
            "versions",
            f"{len(over)} of them ({_mib(sum(version.size_bytes for version in over))}) are past that",
            "a mount lets them go within the hour; so does lyts versions --trim",
        )
    if found.others:
        yield Remark(
            NOTE,
            "keep",
            f"{found.others} files ({_mib(found.other_bytes)}) in {store.layout.keep} are not known to be earlier "
            "contents of a file",
            "lyts leaves them alone; nothing else may have them",
        )


def _pages(root: str, machine: Machine) -> Iterator[Remark]:
    from tagfs.recovery.keeping import ROOT, is_whole, read_pasts, trouble_of
    from tagfs.recovery.words import day

    layout = Layout(root)
    past = read_pasts(layout).get(ROOT)
    for sentence in trouble_of(layout):
        yield Remark(
            PROBLEM, "readme", f"the pages that explain the store could not be made: {sentence}", "lyts readme"
        )
    if is_whole(layout.root):
        when = f", last made on {day(past.made_ms)}" if past is not None else ""
        yield Remark(OK, "readme", f"the pages that explain the store are there{when}", "")
    else:
        yield Remark(NOTE, "readme", "the pages that explain the store are not all there", "to make them: lyts readme")


def _mib(size_bytes: int) -> str:
    return f"{(size_bytes + (1 << 20) - 1) >> 20} MiB" if size_bytes < 10 << 30 else f"{size_bytes >> 30} GiB"


def _mounting(root: str, machine: Machine) -> Iterator[Remark]:
    from tagfs.mount import point  # which does not import pyfuse3

    lacking = point.missing()
    for what, hint in lacking:
        yield Remark(NOTE, "mount", f"{what}, so lyts mount does not work", hint)
    if not lacking:
        alone = (
            "" if point.others_are_allowed() else f"; for --allow-other, user_allow_other is to be in {point.FUSE_CONF}"
        )
        yield Remark(OK, "mount", f"all is there that lyts mount needs{alone}", "")


def _clocks(view: View, wall_ms: int) -> Iterator[Remark]:
    names = {node[:8]: name for node, name in view.node_names().items()}
    newest: dict[str, str] = {}
    from tagfs.verbs.history import actions

    for action in actions(view):
        node = action.action[26:]
        newest.setdefault(node, action.action)
        if ms_of(action.action) <= wall_ms:
            break
    for node, stamp in newest.items():
        if ms_of(stamp) > wall_ms + MAX_DRAG_MS:
            days = (ms_of(stamp) - wall_ms) // MAX_DRAG_MS
            yield Remark(
                PROBLEM,
                "clock",
                f"the clock of {names.get(node, node)!r} was {days} days ahead",
                "set the clock of that device right, or of this one",
            )
