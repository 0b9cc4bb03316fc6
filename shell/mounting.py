"""The mount as a process: started in the background, known by a lock, ended and waited for.

    lyts mount ──fork──> the mount, until it is unmounted or told to end (SIGTERM)
        └─ waits on a pipe until the mount answers, or says why it does not

Rules:

- The fork comes before anything of the store is opened: LMDB must not be carried over it,
  and pyfuse3 is not loaded until after it.
- The mount's stderr stays the person's until it answers, so that "Making the index" is
  seen; then its three streams lead nowhere, and it is in a session of its own.
- Each mount holds the lock of its note (`$XDG_STATE_HOME/lyts/mounts/`) as long as it
  lives; that is how `lyts umount` knows whom to wait for.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import select
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from shell.run import state_folder
from tagfs.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_TROUBLE, BadRequest, LytsError
from tagfs.mount.point import (
    FS_TYPE,
    MountError,
    check_unused,
    clear_crashed,
    missing,
    mount_points,
    others_are_allowed,
)

if TYPE_CHECKING:
    from shell.app import App
    from tagfs.index.read import View

log = logging.getLogger("lyts.mount")

END_S = 60.0
"""How long a mount may take to end once it is unmounted: facts of open files are still written then."""


class Wanted(NamedTuple):
    """What `lyts mount` was asked for."""

    path: str
    tags_only: bool = False
    read_only: bool = False
    allow_other: bool = False


class NotMounted(LytsError):
    """What the mount process said before it ended; `exit_code` is the one it would have ended with."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def folder_of(app: App, given: str | None) -> str:
    """The mount point meant, as the kernel spells it; ~/lyts where none was given."""
    home = app.environ.get("HOME") or os.path.expanduser("~")
    if given is None:
        return os.path.join(os.path.realpath(home), "lyts")
    return os.path.realpath(os.path.expanduser(given))


def check_wanted(app: App, wanted: Wanted) -> None:
    """Say what cannot work before anything is begun. Raises `MountError`, `BadRequest`."""
    lacking = missing()
    if lacking:
        told = "\n".join(f"  {what}\n    {hint}" for what, hint in lacking)
        raise MountError(f"mounting does not work on this machine yet:\n{told}")
    if wanted.allow_other and not others_are_allowed():
        raise MountError(
            "--allow-other must be allowed by the machine first: an administrator adds the line "
            "user_allow_other to /etc/fuse.conf"
        )
    root = os.path.realpath(app.root)
    if wanted.path == root or wanted.path.startswith(root + os.sep):
        raise BadRequest(f"{wanted.path} lies in the store itself; mount it elsewhere, for example on ~/lyts")


def make_way(path: str) -> None:
    """Clean up after a crashed mount, and refuse a place that is in use. Raises `MountError`, `BadRequest`."""
    clear_crashed(path)
    check_unused(path)


# -- who serves what -----------------------------------------------------------


def _note(environ: dict[str, str], path: str) -> str:
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return os.path.join(state_folder(environ), "mounts", name)


def hold_note(environ: dict[str, str], path: str) -> None:
    """Note that this process serves the mount on `path`, until it ends. Its descriptor stays open on purpose."""
    note = _note(environ, path)
    try:
        os.makedirs(os.path.dirname(note), mode=0o700, exist_ok=True)
        fd = os.open(note, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        # Not to be had: another mount is served there, which mounting will find out.
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n{path}\n".encode("utf-8", "surrogateescape"), 0)
    except OSError as exc:
        log.info("no note of this mount could be made: %s", exc)


def who_serves(environ: dict[str, str], path: str) -> int | None:
    """A descriptor of the process that serves the mount on `path` (pidfd), None where none is known."""
    try:
        fd = os.open(_note(environ, path), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        process = os.pidfd_open(int(os.pread(fd, 4096, 0).split(b"\n")[0]))
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return process  # the lock is held, so the number is not that of a later process
        os.close(process)
    except (OSError, ValueError):
        pass
    finally:
        os.close(fd)
    return None


def crashed(environ: dict[str, str]) -> list[str]:
    """Mount points that nobody serves any more. Asks no mount, which might never answer."""
    folder = os.path.join(state_folder(environ), "mounts")
    mounted = {path for path, kind in mount_points() if kind == FS_TYPE}
    found = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        try:
            with open(os.path.join(folder, name), "rb") as file:
                path = os.fsdecode(file.read().partition(b"\n")[2].removesuffix(b"\n"))
        except OSError:
            continue
        process = who_serves(environ, path) if path in mounted else None
        if process is not None:
            os.close(process)
        elif path in mounted:
            found.append(path)
    return found


def wait_for_end(process: int) -> bool:
    """Wait until a process (a pidfd, closed here) is gone. False where it takes too long."""
    try:
        return bool(select.select([process], [], [], END_S)[0])
    finally:
        os.close(process)


# -- serving -------------------------------------------------------------------


def serve(app: App, wanted: Wanted, ready: Callable[[], None], *, to_stderr: bool) -> None:
    """Mount and serve until unmounted or told to end. Raises `LytsError`."""
    make_way(wanted.path)
    path = start_log(app, to_stderr=to_stderr)
    hold_note(dict(app.environ), wanted.path)
    try:
        from tagfs.mount import session
    except ImportError as exc:
        raise MountError(f"pyfuse3 is installed but does not load ({exc}); lyts doctor tells what is missing") from exc
    log.info("mounting %s on %s", app.root, wanted.path)

    def answers() -> None:
        log.info("mounted on %s", wanted.path)
        ready()

    wishes = session.Wishes(read_only=wanted.read_only, allow_other=wanted.allow_other, tags_only=wanted.tags_only)
    try:
        session.run(app.store, wanted.path, wishes, app.clock, answers, _reach_of(app))
    except LytsError as exc:
        log.warning("%s", exc)
        raise
    except OSError as exc:
        log.exception("the mount on %s ended", wanted.path)
        what = f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc)
        raise MountError(f"mounting on {wanted.path} failed: {what}") from exc
    except Exception as exc:
        log.exception("the mount on %s ended", wanted.path)
        where = f" The details are in {path}." if path else ""
        raise MountError(f"the mount on {wanted.path} ended unexpectedly ({type(exc).__name__}).{where}") from exc
    log.info("unmounted %s", wanted.path)


def _reach_of(app: App) -> Callable[[View], Callable[[], frozenset[str] | None]]:
    """What the mount asks to know which devices are connected. The answer may take long."""

    def reach(view: View) -> Callable[[], frozenset[str] | None]:
        from sync.nodes import nodes_of
        from sync.verbs.reach import online

        return partial(online, app.store, nodes_of(view, app.store.layout))

    return reach


def log_path(environ: dict[str, str]) -> str:
    """The log of all mounts of this user."""
    return os.path.join(state_folder(environ), "mount.log")


def start_log(app: App, *, to_stderr: bool) -> str | None:
    """Write what the mount tells down. Returns where, None where it cannot be written."""
    from shell import logs

    return logs.start_log(app, log_path(dict(app.environ)), "the mount", to_stderr=to_stderr)


# -- the background ------------------------------------------------------------


def serve_in_background(app: App, wanted: Wanted) -> None:
    """Start the mount as a process of its own; returns once it answers.

    Raises:
        NotMounted: with the sentence and the exit code of the process that could not.
    """
    app.output.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_the_mount(app, wanted, writing)
    os.close(writing)
    try:
        with open(reading, "rb") as pipe:
            said = pipe.read()
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise
    if said == b"ready\n":
        return
    _, status = os.waitpid(child, 0)
    sentence = said.decode("utf-8", "replace").strip()
    if not sentence:
        sentence = f"the mount process ended without a word; {log_path(dict(app.environ))} may tell more"
    code = os.waitstatus_to_exitcode(status)
    raise NotMounted(sentence, code if code > 0 else EXIT_TROUBLE)


def _be_the_mount(app: App, wanted: Wanted, writing: int) -> NoReturn:
    """The other process. It says "ready", or why not, into the pipe; never returns."""
    code = EXIT_TROUBLE
    try:
        os.setsid()
        os.chdir("/")
        writing = _alone_with(writing)
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(nowhere, 0)

        def ready() -> None:
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            os.write(writing, b"ready\n")
            os.close(writing)

        serve(app, wanted, ready, to_stderr=False)
        code = EXIT_DONE
    except LytsError as exc:
        code = exc.exit_code
        _say(writing, str(exc))
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BaseException as exc:  # the last place where it can be said
        log.exception("the mount could not be started")
        _say(writing, f"the mount could not be started ({type(exc).__name__}: {exc})")
    finally:
        try:
            app.close()
            logging.shutdown()
        finally:
            # Not sys.exit: what the first process has to do at its end is not ours.
            os._exit(code)


def _alone_with(writing: int) -> int:
    """Close what was inherited beside the three streams: a lock of the calling script must not be held for days."""
    sys.stderr.flush()
    os.closerange(3, writing)
    os.closerange(writing + 1, os.sysconf("SC_OPEN_MAX"))
    return writing


def _say(writing: int, text: str) -> None:
    try:
        os.write(writing, text.encode("utf-8", "backslashreplace")[:60_000])
    except OSError:  # it was said that all is well before, or nobody listens any more
        pass
