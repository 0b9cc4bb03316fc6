"""The real Syncthing is reached wherever its config.xml says: over TLS, by a Unix socket, on all addresses."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.syncthing import process
from sync.syncthing.client import Syncthing
from sync.syncthing.errors import NotReachable
from sync.syncthing.home import Wishes, changed, device_id_of, read_config
from sync.syncthing.managed import config_path, free_port
from sync.syncthing.program import environment
from tests.support.syncthing import Node, Reaper, real_program, until


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Node]:
    """A Syncthing that was set up and does not run."""
    real_program()
    with Reaper(tmp_path):
        node = Node(tmp_path / "one", "one")
        node.start()
        node.stop()
        yield node


# httpcore leaves a Unix socket that could not be connected to the garbage collector, which warns.
@pytest.mark.filterwarnings("ignore:.*<socket.socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["tls", "everywhere", "everywhere, with TLS", "socket"])
def test_it_is_reached_where_its_settings_say(stopped: Node, kind: str) -> None:
    home = stopped.managed.home
    path = Path(config_path(home))
    text = changed(str(path), path.read_bytes(), stopped.device_id, Wishes()).decode()
    gui = read_config(str(path)).address.url.removeprefix("http://")
    with tempfile.TemporaryDirectory(prefix="lyts-st-") as short:  # the path of a socket has 107 bytes at most
        host = "127.0.0.1" if kind == "tls" else "0.0.0.0"
        wanted = f"{host}:{free_port()}" if kind != "socket" else f"{short}/gui.sock"
        text = text.replace(f"<address>{gui}</address>", f"<address>{wanted}</address>")
        if "tls" in kind.lower():
            text = text.replace('tls="false"', 'tls="true"')
        path.write_text(text)
        started = process.start_detached(
            real_program().serve(home), environment(os.environ), stopped.managed.log, stopped.managed.boot
        )
        process.write_note(stopped.managed.note, started)
        config = read_config(str(path))
        assert (config.address.socket is not None) == (kind == "socket")
        with Syncthing(config.address, config.key) as client:

            def answers() -> bool:
                try:
                    return client.status().my_id == device_id_of(home)
                except NotReachable:
                    return False

            until(answers, "answers")
            client.shutdown()
        assert process.end(started, stopped.managed.boot, None, 60)
