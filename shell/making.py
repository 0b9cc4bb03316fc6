"""Makes a store: for `lyts init`, and for `lyts add` where there is none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tagfs.errors import BadRequest

if TYPE_CHECKING:
    from shell.app import App

MAX_ALIAS_CHARACTERS = 60


def default_alias() -> str:
    """What this device is called: the first part of its host name."""
    return os.uname().nodename.partition(".")[0] or "home"


def check_alias(text: str) -> str:
    """The name of a device. Raises `BadRequest`."""
    alias = text.strip()
    if not alias or not alias.isprintable() or len(alias) > MAX_ALIAS_CHARACTERS:
        raise BadRequest(
            f"{text!r} cannot be the name of a device: it needs 1 to {MAX_ALIAS_CHARACTERS} visible characters"
        )
    return alias


def make_store(app: App, alias: str | None, library: str | None = None) -> str:
    """Make the store in `app.root`, of a library that is there already or a new one.

    Returns the name of this device. Raises what `create_store` does.
    """
    from tagfs.create import create_store
    from tagfs.nodeset import folder_name, set_id
    from tagfs.store import this_machine

    name = check_alias(alias if alias is not None else default_alias())
    machine = this_machine()
    create_store(
        app.root,
        alias=name,
        folder_name=folder_name(name),
        set_id=set_id,
        machine=machine,
        machine_id=machine.machine_id(),
        library=library,
    )
    return name
