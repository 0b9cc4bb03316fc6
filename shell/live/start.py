"""Starting a shell: one to live in, or one that runs a script and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shell.live.session import Session
from shell.live.settings import config_path, read_settings

if TYPE_CHECKING:
    from shell.app import App


def script(app: App, color: str, text: str, keep_going: bool) -> int:
    """Run lines without a prompt. Returns the exit code of the first that failed."""
    settings, wrong = read_settings(config_path(app.environ))
    for sentence in wrong:
        app.output.say(f"lyts: {sentence}")
    app.output.flush()
    session = Session(app.root, app.environ, settings, color=color)
    try:
        code = session.run(text, keep_going=keep_going)
    finally:
        session.close()
    return code if session.leaving is None else session.leaving or code


def interactive(app: App, color: str) -> int:
    """Open the shell. Returns the exit code."""
    from shell.live.terminal import live

    settings, wrong = read_settings(config_path(app.environ))
    session = Session(app.root, app.environ, settings, color=color, interactive=True)
    try:
        return live(session, wrong)
    finally:
        session.close()
