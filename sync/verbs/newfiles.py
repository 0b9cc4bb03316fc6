"""Who keeps a new file of which no rule speaks: `default` below `[placement]` in a store's `sync.toml`, changed.

The file is a person's: whatever else stands in it stays, comments among it. Devices are named by their GUID,
with what they are called as a comment, so that one that is called otherwise is still meant; `here` is
this one. What is read there: `tagfs.placement`. Pure, but for `set_default`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence

from tagfs.durable import sync_paths
from tagfs.errors import StoreError
from tagfs.layout import Layout, write_private
from tagfs.placement import HERE, read_settings

SECTION = "[placement]"
KEY = "default"


def set_default(layout: Layout, me: str, nodes: Iterable[str], names: Mapping[str, str]) -> None:
    """Have new files kept by these nodes (GUIDs); by this one alone where none or just this one is named.

    Args:
        me: this node's GUID.
        names: what the nodes are called.

    Raises:
        StoreError: the file is damaged; nothing was changed.
    """
    read_settings(layout)
    try:
        with open(layout.sync_settings, encoding="utf-8") as file:
            before = file.read()
    except FileNotFoundError:
        before = ""
    wanted = [HERE if node == me else node for node in sorted(set(nodes), key=lambda one: (one != me, one))]
    after = with_default(before, [] if wanted == [HERE] else wanted, names)
    if after == before:
        return
    draft = layout.sync_settings + ".new"
    if os.path.lexists(draft):  # it would keep the rights it was left with
        os.unlink(draft)
    write_private(draft, after.encode())
    sync_paths([draft])  # the file is a person's, and is not to be empty after a power cut
    os.replace(draft, layout.sync_settings)


def with_default(text: str, wanted: Sequence[str], names: Mapping[str, str]) -> str:
    """The text of a `sync.toml` that names these, GUIDs or `here`; () for no such line. Raises `StoreError`."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    lines = _without_key(lines)
    if not wanted:
        return "".join(lines)
    new = [f"{KEY} = [\n", *(f"    {json.dumps(one)},{_comment(one, names)}\n" for one in wanted), "]\n"]
    at = next((number for number, line in enumerate(lines) if line.strip().startswith(SECTION)), None)
    if at is None:
        return "".join([*lines, *(["\n"] if lines else []), f"{SECTION}\n", *new])
    return "".join([*lines[: at + 1], *new, *lines[at + 1 :]])


def _comment(node: str, names: Mapping[str, str]) -> str:
    name = "".join(ch if ch.isprintable() else "?" for ch in names.get(node, ""))
    return f"  # {name}" if name else ""


def _without_key(lines: list[str]) -> list[str]:
    """The lines but for those of the key, which may be several: as many as leave what the rest says as it was."""
    import tomllib

    try:
        before = tomllib.loads("".join(lines))
    except ValueError as exc:
        raise StoreError(f"sync.toml is damaged ({exc})") from None
    section = before.get("placement")
    if not isinstance(section, dict) or KEY not in section:
        return lines
    rest = {**before, "placement": {key: value for key, value in section.items() if key != KEY}}
    for first, line in enumerate(lines):
        if not line.lstrip().startswith(KEY):
            continue
        for last in range(first + 1, len(lines) + 1):
            left = lines[:first] + lines[last:]
            try:
                if tomllib.loads("".join(left)) == rest:
                    return left
            except tomllib.TOMLDecodeError:
                continue
    raise StoreError(f"sync.toml says in an unusual way who keeps new files; change {KEY} below {SECTION} by hand")
