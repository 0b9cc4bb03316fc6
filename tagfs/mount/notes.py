"""What is known of newborns beside their bytes (name, directory, tags), so that a crash loses none of it.

One file in scratch for each mount that runs, `newborns-<8 hex digits>.jsonl`: a line for
every newborn that is shown, and another whenever something about it changes; the last
line counts. Nothing is written when one is born or removed, since then its bytes are no
longer in scratch and nobody asks. (An extended attribute on each scratch file said the
same before, and took a block of the disk for every file made.)

The file is written anew when it has grown far beyond what is still true. A mount that
starts alone reads the files of all that ran before, and removes them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

Record = Mapping[str, Any]

_PREFIX, _SUFFIX = "newborns-", ".jsonl"
FULL_BYTES = 1 << 20
"""From here on it is written anew, once it is more than twice what it was then."""


class Notes:
    """The notes of one mount. Made when there is something to note."""

    def __init__(self, scratch: str, mark: str) -> None:
        """`mark` tells the mounts of one store apart."""
        self._scratch = scratch
        self._path = os.path.join(scratch, _PREFIX + mark + _SUFFIX)
        self._fd = -1
        self._bytes = 0
        self._is_durable = True
        self._full_bytes = FULL_BYTES

    def write(self, guid: str, record: Record) -> None:
        """Note what is true of a newborn now."""
        line = _line(guid, record)
        try:
            if self._fd < 0:
                flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
                self._fd = os.open(self._path, flags, 0o600)
                self._bytes = os.fstat(self._fd).st_size
            written = os.write(self._fd, line)
            if written < len(line):
                os.ftruncate(self._fd, self._bytes)
                raise OSError(28, "no room for the whole line")
            self._bytes += written
            self._is_durable = False
        except OSError as exc:
            # Without it a crash leaves the bytes under their GUID alone, which is no loss of bytes.
            log.debug("no room for a note about %s: %s", guid, exc)

    @property
    def is_full(self) -> bool:
        """Whether it should be written anew."""
        return self._bytes >= self._full_bytes

    def write_anew(self, living: Iterable[tuple[str, Record]]) -> None:
        """Keep the notes about these only."""
        draft = self._path + ".new"
        try:
            data = b"".join(_line(guid, record) for guid, record in living)
            with open(draft, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # some of what it replaces may be durable
            os.rename(draft, self._path)
        except OSError as exc:
            log.debug("the notes about newborns could not be written anew: %s", exc)
            self._full_bytes *= 2
            return
        self._full_bytes = max(FULL_BYTES, 2 * len(data))
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        self._bytes = len(data)

    def sync(self) -> None:
        """Make them durable."""
        if self._fd >= 0 and not self._is_durable:
            os.fsync(self._fd)
        self._is_durable = True

    def end(self, any_left: bool) -> None:
        """The mount ends. What is left of them is for the next one."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if not any_left:
            _remove(self._path)

    def take_over(self) -> dict[str, dict[str, Any]]:
        """What earlier mounts noted, by GUID."""
        found: dict[str, dict[str, Any]] = {}
        for path in self._others():
            try:
                with open(path, "rb") as file:
                    lines = file.read().split(b"\n")
            except OSError as exc:
                log.error("%s cannot be read: %s", path, exc)
                continue
            for line in lines:
                try:
                    record = _decode(line)
                    found[str(record.pop("guid"))] = record
                except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, AttributeError, TypeError):
                    continue  # torn: the last one before a power cut
        return found

    def remove_others(self) -> None:
        """What earlier mounts noted is noted here by now."""
        for path in self._others():
            if path != self._path:
                _remove(path)

    def _others(self) -> list[str]:
        names = sorted(os.listdir(self._scratch), key=lambda name: _changed(os.path.join(self._scratch, name)))
        return [
            os.path.join(self._scratch, name) for name in names if name.startswith(_PREFIX) and name.endswith(_SUFFIX)
        ]


def _line(guid: str, record: Record) -> bytes:
    return _encode({"guid": guid, **record}) + b"\n"


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
