"""Which Syncthing a store uses: one of its own, or a person's that runs anyhow.

`sync.toml` in the store says it; without that file the store has its own. It may hold an API
key, so it is 0600, and a `config` is preferred to a key: it is read anew each time, so that a
key that was changed there need not be told here.

    [syncthing]
    config = "/home/ada/.local/state/syncthing/config.xml"      or
    url = "http://127.0.0.1:8384"
    api_key = "..."
    remote = true                                                not on this machine

Whatever else stands in the file is a person's (`[placement]`, see `tagfs.placement`), and stays as it is.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from sync.syncthing.address import Address, Key, read_address
from sync.syncthing.errors import BadSettings
from sync.syncthing.home import read_config
from tagfs.layout import Layout, write_private

if TYPE_CHECKING:
    from sync.syncthing.client import Syncthing

HEAD = "# Which Syncthing moves the bytes of this store. Keep it to yourself: it may hold a key.\n"


class Attached(NamedTuple):
    """A person's Syncthing: by its config.xml, or by address and key."""

    config: str = ""
    url: str = ""
    key: Key | None = None
    remote: bool = False

    def target(self) -> tuple[Address, Key]:
        """Where it is asked, and with what. Raises `BadSettings`, `BadAddress`."""
        if self.config:
            found = read_config(self.config, remote_allowed=self.remote)
            return found.address, found.key
        if self.key is None:
            raise BadSettings("sync.toml", "there is neither config nor api_key in it")
        return read_address(self.url, remote_allowed=self.remote), self.key


def read_attached(layout: Layout) -> Attached | None:
    """The Syncthing that a store is attached to, None where it has its own. Raises `BadSettings`."""
    path = layout.sync_settings
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise BadSettings(path, f"cannot be read ({exc})") from None
    import tomllib

    try:
        said = tomllib.loads(text).get("syncthing", {})
    except (ValueError, RecursionError) as exc:
        raise BadSettings(path, f"is damaged ({exc})") from None
    if not isinstance(said, dict):
        raise BadSettings(path, "[syncthing] is to be a section")
    texts = {name: said.get(name, "") for name in ("config", "url", "api_key")}
    if not all(isinstance(one, str) for one in texts.values()):
        raise BadSettings(path, "config, url and api_key are to be texts")
    if not texts["config"] and not texts["url"]:
        return None
    key = Key(texts["api_key"]) if texts["api_key"] else None
    if not texts["config"] and key is None:
        raise BadSettings(path, "with a url there must be an api_key")
    return Attached(texts["config"], texts["url"], key, said.get("remote") is True)


def write_attached(layout: Layout, attached: Attached | None) -> None:
    """Remember it, None for the store's own; whole or not at all, 0600. Other sections of the file stay."""
    rest = _without_syncthing(layout)
    if attached is None and not rest:
        try:
            os.unlink(layout.sync_settings)
        except FileNotFoundError:
            pass
        return
    lines = rest if attached is None else [*rest, *_section(attached)]
    draft = layout.sync_settings + ".new"
    # A draft that was left with other rights would keep them.
    if os.path.lexists(draft):
        os.unlink(draft)
    write_private(draft, "".join(lines).encode("utf-8", "surrogateescape"))
    os.replace(draft, layout.sync_settings)


def _section(attached: Attached) -> list[str]:
    lines = [HEAD, "[syncthing]\n"]
    if attached.config:
        lines.append(f"config = {_quoted(attached.config)}\n")
    else:
        lines.append(f"url = {_quoted(attached.url)}\n")
        if attached.key is not None:
            lines.append(f"api_key = {_quoted(attached.key.reveal())}\n")
    if attached.remote:
        lines.append("remote = true\n")
    return lines


def _without_syncthing(layout: Layout) -> list[str]:
    """The lines of the file but those of the section that is written here."""
    try:
        with open(layout.sync_settings, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.readlines()
    except FileNotFoundError:
        return []
    kept, ours = [], False
    for line in lines:
        if line.lstrip().startswith("["):
            ours = line.strip().startswith("[syncthing]")
        if not ours and line != HEAD:
            kept.append(line if line.endswith("\n") else line + "\n")
    return kept if any(line.strip() for line in kept) else []


def _quoted(text: str) -> str:
    # A JSON string is a TOML string, but for one character.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def connect(layout: Layout) -> Syncthing:
    """A client of the Syncthing that a store uses, not asked anything yet.

    Raises `BadSettings`, `BadAddress`: also where the store has an own one that was never set up.
    """
    from sync.syncthing.client import Syncthing
    from sync.syncthing.managed import config_path

    attached = read_attached(layout)
    if attached is not None:
        address, key = attached.target()
    else:
        own = read_config(config_path(layout.syncthing))
        address, key = own.address, own.key
    return Syncthing(address, key)
