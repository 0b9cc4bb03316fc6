"""Whom to ask, as the person wrote it down: `[readme]` in the settings.

# ~/.config/lyts/config.toml
[readme]
contact = "My sister Eva, 030 1234567. She knows where the disks are."
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from tagfs.errors import BadRequest

MOST_CHARACTERS = 2000


class BadSettings(BadRequest):
    """The settings cannot be understood."""


def settings_path(environ: Mapping[str, str]) -> str:
    """Where a person's settings are."""
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".config")
    return os.path.join(home, "lyts", "config.toml")


def contact_of(environ: Mapping[str, str]) -> str:
    """Whom to ask, "" where nothing is said. Raises `BadSettings`."""
    path = settings_path(environ)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as exc:
        raise BadSettings(f"{path} cannot be read: {exc}") from None
    if "[readme]" not in text:
        return ""
    import tomllib

    try:
        section = tomllib.loads(text).get("readme", {})
    except (ValueError, RecursionError) as exc:
        raise BadSettings(f"{path} is damaged ({exc})") from None
    said = section.get("contact", "") if isinstance(section, dict) else None
    if not isinstance(said, str):
        raise BadSettings(f'{path}: contact in [readme] is to be a text, like "My sister Eva, 030 1234567"')
    return said[:MOST_CHARACTERS]
