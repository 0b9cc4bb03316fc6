"""Nodesets: which nodes keep a file together, and what their folder is called.

The id of a set follows from its members alone, so any node can make the folder without
asking; the label is for people, fixed when the folder is made. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import sha256


def set_id(nodes: Collection[str]) -> str:
    """`lsd-` and the SHA-256 of the sorted node GUIDs, joined by newlines."""
    return "lsd-" + sha256("\n".join(sorted(set(nodes))).encode()).hexdigest()


def folder_name(alias: str) -> str:
    """An alias as a folder name that every file system takes: letters, digits, dashes; at most 40 bytes."""
    kept = "".join(ch if ch.isalnum() else "-" for ch in alias.strip().lower())
    name = "-".join(part for part in kept.split("-") if part)
    return name.encode()[:40].decode("utf-8", "ignore") or "node"


def label(nodes: Mapping[str, str], taken: Collection[str]) -> str:
    """A readable, unused label for a set, `laptop+server`; a short hash is added where two would clash.

    Args:
        nodes: alias by GUID.
        taken: labels in use, compared without regard to case (some file systems have none).
    """
    wanted = "+".join(sorted(folder_name(alias) for alias in nodes.values()))
    if len(wanted.encode()) > 120:
        wanted = f"{len(nodes)}-nodes-{set_id(list(nodes))[4:12]}"
    if wanted.lower() in {other.lower() for other in taken}:
        wanted = f"{wanted}-{set_id(list(nodes))[4:12]}"
    return wanted
