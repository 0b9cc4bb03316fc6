"""Programs beside lyts: `!command`, `open`, what stands after a `|`, the pager, commands as children.

Which paths a program is given:

- Where the library is mounted, those of the mount: real files under their own names; what
  is saved there is saved.
- Else copies in a private folder, under the names people know, that cannot be written to.
  Not the data files themselves: they belong to whoever runs lyts, so a program could
  write over bytes that nothing else keeps, and their permissions are Syncthing's to
  carry. Copies take no space where the file system can share blocks; more than
  `COPIED_MOST_BYTES` without a mount is refused, since `mount` is one word away.

A Ctrl-C reaches every process of the terminal; the shell waits for the program to end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from tagfs.errors import EXIT_NOTHING, EXIT_TROUBLE, BadRequest, NothingMatched, StoreError

if TYPE_CHECKING:
    from shell.app import App

COPIED_MOST_BYTES = 2 << 30


# -- running -------------------------------------------------------------------


@contextmanager
def interrupts_are_the_programs() -> Iterator[None]:
    """Ctrl-C ends the program in the foreground, not the shell that waits for it."""
    try:
        before = signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which programs would inherit
    except ValueError:  # not the main thread: a test
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def run_child(
    words: Sequence[str], environ: Mapping[str, str], stdout: IO[Any] | None = None, stdin: IO[Any] | int | None = None
) -> int:
    """Run a program on this terminal. Returns its exit code as shells count it."""
    with interrupts_are_the_programs():
        try:
            done = subprocess.run(words, env=dict(environ), stdout=stdout, stdin=stdin, check=False)
        except (OSError, ValueError) as exc:
            raise StoreError(f"{words[0]} cannot be started: {getattr(exc, 'strerror', None) or exc}") from None
    return exit_code(done.returncode)


def exit_code(status: int) -> int:
    """A status of `subprocess` as shells count it: 128 and the signal."""
    return 128 - status if status < 0 else status


def run_line(text: str, environ: Mapping[str, str], stdin: IO[Any] | int | None = None) -> int:
    """Run a line in /bin/sh."""
    return run_child(["/bin/sh", "-c", text], environ, stdin=stdin)


@contextmanager
def piped_into(text: str, environ: Mapping[str, str], codes: list[int]) -> Iterator[IO[bytes]]:
    """What a line of /bin/sh reads from; its exit code is put into `codes` when it has ended."""
    with interrupts_are_the_programs():
        process = subprocess.Popen(["/bin/sh", "-c", text], env=dict(environ), stdin=subprocess.PIPE)
    assert process.stdin is not None
    try:
        yield process.stdin
    finally:
        try:
            process.stdin.close()
        except OSError:  # it had enough, and went
            pass
        with interrupts_are_the_programs():
            codes.append(exit_code(process.wait()))


# -- the paths of files --------------------------------------------------------


_SUMS = ".sums"


class Copies:
    """Copies for programs, in a private folder that is made when one is needed and goes with `close`.

    An editor may write to one all the same, or beside it; what is not just what was put there stays.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        home = environ.get("HOME") or os.path.expanduser("~")
        cache = environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
        self._parent = os.path.join(cache, "lyts", "copies")
        self._folder: str | None = None
        self._made: dict[str, str] = {}

    def of(self, guid: str, sha256: str, name: str, source: str) -> str:
        """The copy of a file with these bytes, under its name."""
        from tagfs.bytes import take

        key = f"{guid} {sha256}"
        if key in self._made and os.path.exists(self._made[key]):
            return self._made[key]
        if self._folder is None:
            import tempfile

            os.makedirs(self._parent, mode=0o700, exist_ok=True)
            self._clear_old()
            self._folder = tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=self._parent)
        number = str(len(self._made) + 1)
        os.mkdir(os.path.join(self._folder, number), 0o700)
        path = os.path.join(self._folder, number, name)
        taken = take(source, path)
        os.chmod(path, 0o400)
        with open(os.path.join(self._folder, _SUMS), "a", encoding="ascii") as sums:
            sums.write(f"{number} {_mark(path)} {taken.sha256}\n")
        self._made[key] = path
        return path

    def _clear_old(self) -> None:
        """Remove what shells left behind that were killed."""
        for name in os.listdir(self._parent):
            pid = name.partition("-")[0]
            if not (pid.isdigit() and os.path.exists(f"/proc/{pid}")):
                _clear(os.path.join(self._parent, name))

    def close(self) -> list[str]:
        """Remove them. Programs that have one open go on reading it. Returns what was changed, and stays."""
        folder, self._folder = self._folder, None
        self._made.clear()
        return _clear(folder) if folder is not None else []


def _clear(folder: str) -> list[str]:
    """Remove copies that are as they were made. Returns the paths of what else is there."""
    try:
        with open(os.path.join(folder, _SUMS), encoding="ascii") as file:
            sums = {number: (mark, sha256) for number, mark, sha256 in map(str.split, file)}
        found = {number: os.listdir(os.path.join(folder, number)) for number in sums}
    except (OSError, ValueError):
        return []  # where there are no sums there is no whole copy yet
    changed = []
    for number, names in found.items():
        paths = [os.path.join(folder, number, name) for name in names]
        try:
            as_made = len(paths) <= 1 and all(_is_as_made(path, *sums[number]) for path in paths)
        except OSError:
            as_made = False
        if as_made:
            shutil.rmtree(os.path.join(folder, number), ignore_errors=True)
        else:
            changed += paths
    if not changed:
        shutil.rmtree(folder, ignore_errors=True)
    return changed


def _mark(path: str) -> str:
    """What shows at once that nobody wrote to a file."""
    found = os.lstat(path)
    return f"{found.st_ino}/{found.st_size}/{found.st_mtime_ns}"


def _is_as_made(path: str, mark: str, sha256: str) -> bool:
    from tagfs.bytes import hash_file

    return _mark(path) == mark or hash_file(path) == sha256


class Given(NamedTuple):
    """The path of a file for a program; `mounted` if it is that of the mount."""

    path: str
    mounted: bool


def given_paths(app: App, guids: Sequence[str], copies: Copies) -> list[Given]:
    """The paths of files for a program. Raises `NothingMatched`, `BadRequest`, `StoreError`."""
    from shell.rows import objects
    from tagfs.guid import short

    known = objects(app.store, list(guids))
    if not known:
        raise NothingMatched("none of these files is in your library any more")
    mount = _mount_of_library(known[0]["guid"])
    if mount is not None:
        found = [_in_mount(mount, one["guid"], one["name"]) for one in known]
        if all(found):
            return [Given(path, True) for path in found if path is not None]
    missing = [one["name"] for one in known if one["path"] is None]
    if missing:
        raise StoreError(
            f"the bytes of {missing[0]}{f' and {len(missing) - 1} more' if len(missing) > 1 else ''} are not on this "
            "device; lyts where tells where they are, lyts restore brings them"
        )
    total = sum(os.stat(one["path"]).st_size for one in known)
    if total > COPIED_MOST_BYTES:
        raise BadRequest(
            "your library is not mounted, and these files are too large to be copied for a program: "
            "type mount first, then programs get the files themselves"
        )
    out = []
    for one in known:
        name = one["name"] if _is_name(one["name"]) else short(one["guid"])
        out.append(Given(copies.of(one["guid"], one["sha256"], name, one["path"]), False))
    return out


def _is_name(name: str) -> bool:
    return bool(name) and name not in (".", "..") and "/" not in name and len(os.fsencode(name)) <= 255


def _mount_of_library(guid: str) -> str | None:
    """A mount in which this file is to be found, and so its library."""
    from tagfs.mount.point import FS_TYPE, mount_points

    for where, kind in mount_points():
        if kind == FS_TYPE and _is_that(os.path.join(where, "ids", guid), guid):
            return where
    return None


def _in_mount(mount: str, guid: str, name: str) -> str | None:
    """Where a file shows in a mount: under its own name where that leads to it, else under one that says its id."""
    from tagfs.views.names import long_name

    raw = os.fsencode(name)
    for shown in (raw, long_name(raw, guid)):
        path = os.path.join(mount, "all", os.fsdecode(shown))
        if _is_that(path, guid):
            return path
    path = os.path.join(mount, "ids", guid)
    return path if _is_that(path, guid) else None


def _is_that(path: str, guid: str) -> bool:
    try:
        return os.getxattr(path, "user.lyts.id") == guid.encode("ascii")
    except (OSError, ValueError):
        return False


# -- opening -------------------------------------------------------------------


def open_files(paths: Sequence[str], opener: str, environ: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Open each with the desktop's program for it. Returns the exit code."""
    import shlex

    words = shlex.split(opener)
    if not words or shutil.which(words[0], path=environ.get("PATH")) is None:
        raise BadRequest(
            f"there is no {words[0] if words else 'program to open files with'}: install xdg-utils, name another "
            "program as opener in config.toml, or run one: !PROGRAM FILE"
        )
    for path in paths:
        done = run_child([*words, path], environ)
        if done:
            say(f"lyts: {words[0]} could not open {os.path.basename(path)} (it ended with status {done})")
            return EXIT_NOTHING if done < EXIT_TROUBLE + 2 else EXIT_TROUBLE
    return 0


# -- the pager -----------------------------------------------------------------


class Paged:
    """Stands in for the terminal as stdout: what fits is written when all has come, more goes to a pager at once.

    It says that it is a terminal, so that names in it are made harmless as they are there.
    """

    def __init__(self, terminal: Any, pager: Sequence[str], rows: int, environ: Mapping[str, str]) -> None:
        self.encoding = getattr(terminal, "encoding", None) or "utf-8"
        self.buffer = self
        self._terminal = terminal
        self._pager = pager
        self._rows = rows
        self._environ = environ
        self._waiting: list[bytes] = []
        self._lines = 0
        self._process: subprocess.Popen[bytes] | None = None

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        number: int = self._terminal.fileno()
        return number

    def write(self, data: bytes) -> int:
        if self._process is None:
            self._waiting.append(data)
            self._lines += data.count(b"\n")
            if self._lines >= self._rows:
                self._start()
        else:
            self._to_pager(data)
        return len(data)

    def flush(self) -> None:
        """Nothing goes out before it is known whether it fits."""

    def _start(self) -> None:
        environ = {"LESS": "-RX", **self._environ}
        try:
            with interrupts_are_the_programs():
                self._process = subprocess.Popen(self._pager, env=environ, stdin=subprocess.PIPE)
        except OSError:
            self._pager = ()
            self._rows = 1 << 60
            return
        waiting, self._waiting = self._waiting, []
        self._to_pager(b"".join(waiting))

    def _to_pager(self, data: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
        except BrokenPipeError:
            raise _PagerLeft from None

    def finish(self) -> None:
        """Write what fits, or wait until the person has read enough."""
        if self._process is None:
            self._terminal.flush()
            out = getattr(self._terminal, "buffer", None)
            if out is not None:
                out.write(b"".join(self._waiting))
            self._terminal.flush()
            return
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError:
            pass
        with interrupts_are_the_programs():
            self._process.wait()


class _PagerLeft(BrokenPipeError):
    """The pager was left before all was written."""


def pager_words(setting: str | None, environ: Mapping[str, str]) -> list[str]:
    """The pager to use: what config.toml says, else $PAGER, else less; none where there is none."""
    import shlex

    text = setting if setting is not None else environ.get("LYTS_PAGER", environ.get("PAGER", "less"))
    try:
        words = shlex.split(text)
    except ValueError:
        return []
    if not words or words[0] == "cat" or shutil.which(words[0], path=environ.get("PATH")) is None:
        return []
    return words
