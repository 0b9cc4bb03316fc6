"""A folder of the fake Syncthing: what is on the disk, what is in the index, what others have.

The disk is real: a scan walks it, hashes what is new by size and date as Syncthing does, and
finds what is gone. What other devices have is what a test says has arrived.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

BLOCK_BYTES = 128 << 10
FILE, DIRECTORY = "FILE_INFO_TYPE_FILE", "FILE_INFO_TYPE_DIRECTORY"
MARKER_GONE = (
    "folder marker missing (this indicates potential data loss, "
    "search docs/forum to get information about how to proceed)"
)
RECEIVE_ONLY_FLAG = 8
DIRECTORY_BYTES = 128


def stamp(ns: int) -> str:
    """A time as Go writes it."""
    whole = datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    part = f"{ns % 1_000_000_000:09}".rstrip("0")
    return f"{whole}.{part}Z" if part else f"{whole}Z"


class Known(NamedTuple):
    """One name in one index."""

    name: str
    type: str
    size: int
    mtime_ns: int
    mode: int
    blocks: bytes
    by: str
    version: tuple[tuple[str, int], ...]
    sequence: int
    deleted: bool = False
    local_only: bool = False
    """Changed here in a receive-only folder: the others are not told."""

    def told(self) -> dict[str, Any]:
        return {
            "blocksHash": base64.b64encode(self.blocks).decode() if self.blocks else None,
            "deleted": self.deleted,
            "ignored": False,
            "inodeChange": stamp(self.mtime_ns),
            "invalid": self.local_only,
            "localFlags": RECEIVE_ONLY_FLAG if self.local_only else 0,
            "modified": stamp(self.mtime_ns),
            "modifiedBy": self.by,
            "mustRescan": False,
            "name": self.name,
            "noPermissions": False,
            "numBlocks": -(-self.size // BLOCK_BYTES) if self.type == FILE else 0,
            "permissions": f"0{self.mode:o}",
            "platform": {"Unix": None, "Windows": None, "Linux": None, "Darwin": None, "FreeBSD": None, "NetBSD": None},
            "sequence": self.sequence,
            "size": 0 if self.deleted else self.size,
            "type": self.type,
            "version": [f"{who}:{number}" for who, number in self.version],
        }


NOTHING = Known("", FILE, 0, 0, 0, b"", "", (), 0)


class FakeFolder:
    """One folder. Not locked: the server holds its lock."""

    def __init__(self, config: dict[str, Any], own_id: str) -> None:
        self.config = config
        self.own = own_id[:7]
        self.local: dict[str, Known] = {}
        self.whole: dict[str, Known] = {}
        self.contents: dict[str, bytes] = {}
        """What others have of a file, to fetch it from."""
        self.holders: dict[str, set[str]] = {}
        self.sequence = 0
        self.remote_sequence: dict[str, int] = {}
        self.error = ""
        self.started = False

    @property
    def root(self) -> Path:
        return Path(self.config["path"])

    @property
    def receives_only(self) -> bool:
        return bool(self.config["type"] == "receiveonly")

    # -- starting and scanning -----------------------------------------------------

    def start(self) -> list[tuple[str, str]]:
        """As when a folder is added or goes on: a new one gets its folder and marker, then all is scanned."""
        if not self.started and not self.local:
            self.root.mkdir(parents=True, exist_ok=True)
            (self.root / self.config["markerName"]).mkdir(exist_ok=True)
        self.started = True
        return self.scan([""])

    def is_in_order(self) -> bool:
        there = (self.root / self.config["markerName"]).exists()
        self.error = "" if there else MARKER_GONE
        return there

    def scan(self, subs: list[str]) -> list[tuple[str, str]]:
        """What changed below these paths, as (action, name). The folder is in order."""
        if not self.is_in_order():
            return []
        changes = []
        for sub in subs:
            sub = os.path.normpath(sub).strip("/") if sub.strip("/") else ""
            sub = "" if sub == "." else sub
            if sub.startswith(".."):
                continue
            seen = set()
            for name, path in self._walk(sub):
                seen.add(name)
                if self._look(name, path):
                    changes.append(("modified", name))
            for name, known in list(self.local.items()):
                if known.deleted or name in seen or not (not sub or name == sub or name.startswith(sub + "/")):
                    continue
                gone = known._replace(
                    deleted=True, blocks=b"", by=self.own, version=self._next(known.version), size=0,
                    mtime_ns=time.time_ns(),
                )  # fmt: skip
                self._put(gone)
                changes.append(("deleted", name))
        return changes

    def _walk(self, sub: str) -> Iterator[tuple[str, Path]]:
        at = Path(".")
        # The directories above what was asked for are looked at as well, as Syncthing does.
        for part in Path(sub).parts[:-1]:
            at /= part
            if (self.root / at).is_dir():
                yield str(at), self.root / at
        start = self.root / sub
        if sub and start.exists():
            yield sub, start
        if start.is_dir():
            for folder, folders, files in os.walk(start):
                folders[:] = sorted(one for one in folders if not self._is_internal(one))
                for one in [*folders, *sorted(files)]:
                    if not self._is_internal(one):
                        path = Path(folder) / one
                        yield str(path.relative_to(self.root)), path

    def _is_internal(self, name: str) -> bool:
        return name in (self.config["markerName"], ".stversions", ".stignore") or name.startswith(".syncthing.")

    def _look(self, name: str, path: Path) -> bool:
        stat = path.stat()
        kind = DIRECTORY if path.is_dir() else FILE
        known = self.local.get(name)
        mode = stat.st_mode & 0o777
        if known is not None and not known.deleted and known.type == kind and known.mode == mode:
            if kind == DIRECTORY or (known.size, known.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                return False
        blocks = b"" if kind == DIRECTORY else blocks_hash(path.read_bytes())
        size = DIRECTORY_BYTES if kind == DIRECTORY else stat.st_size
        before = known.version if known is not None else ()
        self._put(Known(name, kind, size, stat.st_mtime_ns, mode, blocks, self.own, self._next(before), self.sequence))
        return True

    def _next(self, version: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        counters = dict(version)
        counters[self.own] = max(counters.get(self.own, 0) + 1, int(time.time()))
        return tuple(sorted(counters.items()))

    def _put(self, known: Known) -> None:
        """What is here now; the others learn of it unless the folder is receive-only."""
        self.sequence += 1
        known = known._replace(sequence=self.sequence, local_only=self.receives_only)
        self.local[known.name] = known
        if not known.local_only:
            self.whole[known.name] = known
            self.holders[known.name] = set()

    # -- from other devices --------------------------------------------------------

    def arrive(self, name: str, data: bytes | None, device: str, mtime_ns: int) -> None:
        """Another device has a newer version (None: deleted it), and it was fetched."""
        before = self.whole.get(name, NOTHING)
        who = device[:7]
        counters = dict(before.version)
        counters[who] = max(counters.get(who, 0) + 1, int(time.time()))
        self.sequence += 1
        self.remote_sequence[device] = self.remote_sequence.get(device, 0) + 1
        known = Known(
            name, FILE, len(data or b""), mtime_ns, 0o644, b"" if data is None else blocks_hash(data), who,
            tuple(sorted(counters.items())), self.sequence, data is None,
        )  # fmt: skip
        self.whole[name] = self.local[name] = known
        self.holders[name] = set() if data is None else {device}
        self._set_aside(name)
        if data is None:
            self.contents.pop(name, None)
            return
        self.contents[name] = data
        self._fetch(name, data, mtime_ns)

    def _fetch(self, name: str, data: bytes, mtime_ns: int) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.parent / f".syncthing.{path.name}.tmp"
        draft.write_bytes(data)
        os.utime(draft, ns=(mtime_ns, mtime_ns))
        draft.chmod(0o644)
        draft.rename(path)
        # A directory that was made for it is in the index as well, as everybody has it.
        for above in reversed(Path(name).parents[:-1]):
            if str(above) not in self.local:
                self.sequence += 1
                here = Known(
                    str(above), DIRECTORY, DIRECTORY_BYTES, time.time_ns(), (self.root / above).stat().st_mode & 0o777,
                    b"", self.whole[name].by, self.whole[name].version, self.sequence,
                )  # fmt: skip
                self.local[str(above)] = self.whole[str(above)] = here

    def _set_aside(self, name: str) -> None:
        """What is on the disk goes the way the folder's versioning says."""
        path = self.root / name
        if not path.exists():
            return
        if self.config["versioning"]["type"] == "trashcan":
            kept = self.root / ".stversions" / name
            kept.parent.mkdir(parents=True, exist_ok=True)
            path.rename(kept)
        else:
            path.unlink()

    def revert(self) -> list[tuple[str, str]]:
        """Take back what was changed here only, as (action, name)."""
        done = []
        for name, known in sorted(self.local.items(), reverse=True):
            if not known.local_only:
                continue
            if name in self.whole and not self.whole[name].deleted and name in self.contents:
                whole = self.whole[name]
                self._set_aside(name)
                self._fetch(name, self.contents[name], whole.mtime_ns)
                self.local[name] = whole
                done.append(("modified", name))
                continue
            if known.type == DIRECTORY:
                if (self.root / name).is_dir() and not any((self.root / name).iterdir()):
                    (self.root / name).rmdir()
            else:
                self._set_aside(name)
            self.sequence += 1
            gone = known._replace(deleted=True, local_only=False, blocks=b"", sequence=self.sequence, version=())
            self.local[name] = gone
            self.whole.setdefault(name, gone)
            done.append(("deleted", name))
        return done

    # -- what is told ----------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        def count(prefix: str, index: dict[str, Known]) -> dict[str, int]:
            there = [one for one in index.values() if not one.deleted]
            return {
                f"{prefix}Files": sum(one.type == FILE for one in there),
                f"{prefix}Directories": sum(one.type == DIRECTORY for one in there),
                f"{prefix}Symlinks": 0,
                f"{prefix}Deleted": sum(one.deleted for one in index.values()),
                f"{prefix}Bytes": sum(one.size for one in there),
                f"{prefix}TotalItems": len(index),
            }

        changed = [one for one in self.local.values() if one.local_only]
        zero = {f"need{what}": 0 for what in ("Files", "Directories", "Symlinks", "Deletes", "Bytes", "TotalItems")}
        return {
            **count("global", self.whole), **count("local", self.local), **zero,
            "receiveOnlyChangedFiles": sum(one.type == FILE and not one.deleted for one in changed),
            "receiveOnlyChangedDeletes": sum(one.deleted for one in changed),
            "receiveOnlyTotalItems": len(changed),
            "errors": 0, "pullErrors": 0, "invalid": "", "error": self.error, "watchError": "",
            "state": "error" if self.error else "idle", "stateChanged": stamp(time.time_ns()),
            "sequence": self.sequence, "version": self.sequence, "remoteSequence": dict(self.remote_sequence),
            "ignorePatterns": False,
        }  # fmt: skip

    def file(self, name: str) -> dict[str, Any] | None:
        if name not in self.local and name not in self.whole:
            return None
        whole = self.whole.get(name) or self.local[name]
        zero = "0001-01-01T00:00:00Z"
        return {
            "availability": [{"id": one, "fromTemporary": False} for one in sorted(self.holders.get(name, ()))] or None,
            "global": whole.told(),
            "local": self.local.get(name, NOTHING).told(),
            "mtime": {"err": None, "value": {"real": zero, "virtual": zero}},
        }

    def browse(self, prefix: str, levels: int) -> list[dict[str, Any]]:
        inside = prefix.strip("/") + "/" if prefix.strip("/") else ""
        out = []
        for name, known in sorted(self.whole.items()):
            rest = name.removeprefix(inside)
            if known.deleted or not name.startswith(inside) or "/" in rest or not rest:
                continue
            entry = {"name": rest, "modTime": stamp(known.mtime_ns), "size": known.size, "type": known.type}
            if known.type == DIRECTORY and levels != 0 and (below := self.browse(name, levels - 1)):
                entry["children"] = below
            out.append(entry)
        return out


def blocks_hash(data: bytes) -> bytes:
    """As 1.29 has it: SHA-256 over SHA-256 and Adler-32 of each block (of 128 KiB, while a file is small)."""
    blocks = [data[at : at + BLOCK_BYTES] for at in range(0, max(len(data), 1), BLOCK_BYTES)]
    return hashlib.sha256(
        b"".join(hashlib.sha256(one).digest() + zlib.adler32(one).to_bytes(4, "big") for one in blocks)
    ).digest()
