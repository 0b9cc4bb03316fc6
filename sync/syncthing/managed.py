"""The Syncthing of a store's own: made, started, found again, ended.

    <store>/syncthing/        0700, all in it 0600
      config.xml  *.pem       settings, keys: made by `syncthing generate`, then changed by `home.py`
      index-...               Syncthing's database
      gui-password            of its web page, for a person who wants to look
      lyts-process  lyts-lock which process it is; who is starting or ending it

Rules:

- Settings are changed only while it is not running; then over REST alone.
- It is started as one process that does not restart itself (`process.py`); starting it again
  after a crash is the daemon's.
- Its web page has a password of its own: without one every user of this machine could use
  it, API key or not.
- Ended by asking it, then by SIGTERM to that very process. Never by force: what it has not
  written of its database would be read again from all files.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from sync.syncthing import process
from sync.syncthing.address import is_loopback
from sync.syncthing.errors import (
    BadAnswer,
    BadSettings,
    NotReachable,
    NotStarted,
    SyncthingError,
    TookTooLong,
    WrongKey,
)
from sync.syncthing.home import Config, Wishes, changed, device_id_of, read_config
from sync.syncthing.program import Program, environment, find
from tagfs.errors import BadRequest
from tagfs.layout import make_folder, write_private
from tagfs.lock import hold

if TYPE_CHECKING:
    from sync.syncthing.client import Syncthing

GENERATE_S = 120.0
START_S = 120.0
END_S = 60.0
LOOK_S = 0.02
LOG_BYTES = 4 << 20
GUI_USER = "lyts"
TRANSPORTS = frozenset({"tcp", "tcp4", "tcp6", "quic", "quic4", "quic6"})
NOT_OURS = 8384
"""Syncthing's default port: where a person's own one may be any day."""

NONE, STOPPED, CRASHED, STARTING, RUNNING = "none", "stopped", "crashed", "starting", "running"


class StillRunning(SyncthingError):
    """It was asked to end and told to end, and goes on."""


class Managed(NamedTuple):
    """Where an instance lives. `boot` is the boot id, `log` the file all it says is appended to."""

    home: str
    log: str
    boot: str

    @property
    def note(self) -> str:
        return os.path.join(self.home, "lyts-process")

    @property
    def lock(self) -> str:
        return os.path.join(self.home, "lyts-lock")

    @property
    def gui_password(self) -> str:
        return os.path.join(self.home, "gui-password")


class Up(NamedTuple):
    """How `up` ended. `was_running`: there was nothing to do; then nothing is known of the program."""

    was_running: bool
    program: Program | None


def config_path(home: str) -> str:
    return os.path.join(home, "config.xml")


def state(managed: Managed) -> tuple[str, int | None]:
    """How it is, without asking it: `none`, `stopped`, `crashed` or `running` (or starting), and its process."""
    if not os.path.exists(config_path(managed.home)):
        return NONE, None
    noted = process.read_note(managed.note)
    if noted is None:
        return STOPPED, None
    if process.is_alive(noted, managed.boot):
        return RUNNING, noted.pid
    # The machine was shut down: nothing crashed.
    return (CRASHED if noted.boot == managed.boot else STOPPED), None


# -- up --------------------------------------------------------------------------


def up(managed: Managed, environ: Mapping[str, str], wishes: Wishes, *, start_s: float = START_S) -> Up:
    """Make it if there is none, start it if it does not run, and wait until it answers.

    Raises:
        NoProgram, TooOld: there is nothing to start.
        NotStarted: it ended at once, or did not answer in time; with the end of its log.
        BadRequest: it runs, and is wished to be otherwise.
        BadSettings: its home is damaged.
    """
    make_folder(managed.home)
    with hold(managed.lock):
        config = config_path(managed.home)
        if _runs(managed):
            _check_no_other_wish(read_config(config), wishes)
            return Up(True, None)
        program = find(environ)
        if not os.path.exists(config):
            _generate(managed, program, environ)
        _settle(managed, wishes)
        _start(managed, program, environ, start_s)
        return Up(False, program)


def _runs(managed: Managed) -> bool:
    """Whether it runs: by its note, or, where that is lost, because it answers."""
    how, _ = state(managed)
    return how == RUNNING or (how != NONE and _answers(managed))


def _answers(managed: Managed) -> bool:
    try:
        with client(managed, answer_s=5.0) as syncthing:
            return syncthing.status().my_id == device_id_of(managed.home)
    except (SyncthingError, BadAnswer):
        return False


def client(managed: Managed, *, answer_s: float = 30.0) -> Syncthing:
    """A client of it, not asked anything yet. Raises `BadSettings`."""
    from sync.syncthing.client import Syncthing

    config = read_config(config_path(managed.home))
    return Syncthing(config.address, config.key, answer_s=answer_s)


def _check_no_other_wish(config: Config, wishes: Wishes) -> None:
    otherwise = (wishes.local_only is not None and wishes.local_only != config.local_only) or (
        wishes.listen is not None and wishes.listen != config.listen
    )
    if otherwise:
        raise BadRequest("Syncthing runs already, and otherwise than asked. End it first: lyts sync down")


def _generate(managed: Managed, program: Program, environ: Mapping[str, str]) -> None:
    # What an interrupted run left is taken up again: keys that are there stay.
    password = secrets.token_urlsafe(24)
    words = [*program.generate(managed.home), f"--gui-user={GUI_USER}", "--gui-password=-"]
    write_private(managed.gui_password, f"{password}\n".encode())
    try:
        done = subprocess.run(
            words,
            input=password.encode() + b"\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(environ),
            umask=0o077,
            timeout=GENERATE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise NotStarted(f"Syncthing ({program.path}) could not make its keys: {exc}") from None
    if done.returncode or not os.path.exists(config_path(managed.home)):
        said = done.stdout.decode("utf-8", "replace").strip()[-1000:]
        raise NotStarted(f"Syncthing ({program.path}) could not make its keys: {said or done.returncode}")


def _settle(managed: Managed, wishes: Wishes) -> None:
    """Bring the settings to what they must be and what is wished. It does not run."""
    path = config_path(managed.home)
    found = read_config(path)
    # Always said anew, so that it is on loopback again whatever was set on its web page.
    end = found.address.url.rpartition(":")[2]
    port = int(end) if end.isdecimal() else NOT_OURS
    wishes = wishes._replace(gui_port=port if port != NOT_OURS and _is_free(port) else free_port())
    local = found.local_only if wishes.local_only is None else wishes.local_only
    if wishes.listen is None:
        if local and not all(_is_local(one) for one in found.listen):
            wishes = wishes._replace(listen=(f"tcp://127.0.0.1:{free_port()}",))
        elif not local and found.local_only:
            wishes = wishes._replace(listen=("default",))
    elif local and not all(_is_local(one) for one in wishes.listen):
        raise BadRequest("with --local-only it can listen on this machine only: --listen tcp://127.0.0.1:PORT")
    with open(path, "rb") as file:
        text = file.read()
    new = changed(path, text, device_id_of(managed.home), wishes)
    if new != text:
        write_private(path + ".new", new)
        os.replace(path + ".new", path)


def _is_local(listening: str) -> bool:
    kind, _, rest = listening.partition("://")
    return kind in ("tcp", "tcp4", "tcp6", "quic", "quic4", "quic6") and is_loopback(
        rest.rpartition(":")[0].strip("[]")
    )


def check_listen(given: str) -> str:
    """An address to listen on, as a person writes it: `tcp://127.0.0.1:22001`. Raises `BadRequest`."""
    kind, _, rest = given.partition("://")
    port = rest.rpartition(":")[2]
    if given != "default" and not (kind in TRANSPORTS and port.isdecimal() and 0 < int(port) < 65536):
        raise BadRequest(f"{given!r} is no address to listen on; it should look like tcp://127.0.0.1:22001")
    return given


def free_port() -> int:
    """A port of the loopback interface on which nobody listens just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        # As Syncthing does: connections of an earlier run that are not forgotten yet are no hindrance.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _start(managed: Managed, program: Program, environ: Mapping[str, str], start_s: float) -> None:
    os.makedirs(os.path.dirname(managed.log), mode=0o700, exist_ok=True)
    at = _turn_log(managed.log)
    try:
        started = process.start_detached(program.serve(managed.home), environment(environ), managed.log, managed.boot)
    except (OSError, subprocess.SubprocessError) as exc:
        raise NotStarted(f"Syncthing ({program.path}) could not be started: {exc}") from None
    process.write_note(managed.note, started)
    until = time.monotonic() + start_s
    own_id = device_id_of(managed.home)
    with client(managed, answer_s=10.0) as syncthing:
        while True:
            alive = process.is_alive(started, managed.boot)
            try:
                if syncthing.status().my_id == own_id:
                    return
                raise NotStarted(f"another Syncthing answers at {syncthing.address}; start again, and it moves on")
            except (NotReachable, TookTooLong):
                pass
            except (WrongKey, BadAnswer) as exc:
                # Another program was quicker to take the port, or Syncthing is bringing up its database.
                if not alive:
                    raise NotStarted(f"something else answers at {syncthing.address} ({exc}); start again") from None
            if not alive:
                _forget(managed)
                raise NotStarted(f"Syncthing ({program.path}) ended at once. It said:\n{_tail(managed.log, at)}")
            if time.monotonic() > until:
                raise NotStarted(
                    f"Syncthing was started and has not answered within {start_s:g} s; it may have much to do. "
                    f"lyts sync status tells how it is, {managed.log} what it says"
                )
            time.sleep(LOOK_S)


def _turn_log(path: str) -> int:
    """Put a long log aside; its length now, in bytes."""
    try:
        size = os.stat(path).st_size
        if size > LOG_BYTES:
            os.replace(path, path + ".1")
            return 0
    except OSError:
        return 0
    return size


def _tail(path: str, start: int) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(start)
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError as exc:
        return f"  (its log cannot be read: {exc})"
    return "\n".join(f"  {line}" for line in lines[-8:]) or "  (nothing)"


# -- down ------------------------------------------------------------------------


def down(managed: Managed, *, end_s: float = END_S) -> bool:
    """End it and wait until it has. False where it did not run. Raises `StillRunning`, `BadSettings`."""
    if not os.path.exists(config_path(managed.home)):
        return False
    with hold(managed.lock):
        noted = process.read_note(managed.note)
        if noted is None or not process.is_alive(noted, managed.boot):
            if not _answers(managed):
                _forget(managed)
                return False
            # Its note was lost: whoever answers with our key and our device id can only be asked.
            _ask_to_end(managed)
            until = time.monotonic() + end_s
            while _answers(managed):
                if time.monotonic() > until:
                    raise StillRunning(f"Syncthing was asked to end and still answers after {end_s:g} s")
                time.sleep(LOOK_S)
            _forget(managed)
            return True
        asked = _ask_to_end(managed)
        if not (asked and process.end(noted, managed.boot, None, end_s)) and not process.end(
            noted, managed.boot, signal.SIGTERM, end_s
        ):
            raise StillRunning(f"Syncthing (process {noted.pid}) was told to end and has not within {end_s:g} s")
        _forget(managed)
        return True


def _ask_to_end(managed: Managed) -> bool:
    try:
        with client(managed, answer_s=10.0) as syncthing:
            if syncthing.status().my_id != device_id_of(managed.home):
                return False
            syncthing.shutdown()
    except (SyncthingError, BadAnswer, BadSettings):
        return False
    return True


def _forget(managed: Managed) -> None:
    try:
        os.unlink(managed.note)
    except FileNotFoundError:
        pass
