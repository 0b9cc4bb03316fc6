"""Which device each node is, as this node got to know it: `devices.json` in the store, for this node alone.

Lines of ledgers are vouched for by others and not signed, so a statement about a node's device, and
even its stamp, can be made up by whoever writes a ledger. What this node believed first is
therefore kept outside of all ledgers, and no fact changes it (sync.md, Joining and leaving):
the device of a node that was accepted here or that this one joined, and of every other when
it is first trusted; and whether it may introduce others. Who is not trusted any more by the
facts is not trusted for what stands here. A lost file is made again from the facts.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from tagfs.durable import sync_paths
from tagfs.layout import Layout, open_plain

log = logging.getLogger(__name__)

FILE_NAME = "devices.json"
MAX_BYTES = 16 << 20


class Fixed(NamedTuple):
    """The device of a node, and whether that node may introduce others."""

    device: str
    introduces: bool


_decoder = msgspec.json.Decoder(dict[str, Fixed])


def read_fixed(layout: Layout) -> dict[str, Fixed]:
    """What is fixed, by the GUID of the node."""
    path = os.path.join(layout.root, FILE_NAME)
    try:
        with open_plain(path) as file:
            return _decoder.decode(file.read(MAX_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
        log.warning("%s cannot be read and is made again from what ledgers say: %s", path, exc)
        return {}


def fix(layout: Layout, nodes: Mapping[str, Fixed], *, by_hand: bool = False) -> bool:
    """Remember what nodes are; says whether that was news. Durable before it returns.

    Args:
        by_hand: a person has just said so, which counts more than what was believed before.
    """
    known = read_fixed(layout)
    new = {**known, **nodes} if by_hand else {**nodes, **known}
    if new == known:
        return False
    draft = os.path.join(layout.scratch, f"{FILE_NAME}-{os.getpid()}")
    fd = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(new), indent=1) + b"\n")
    sync_paths([draft])
    os.replace(draft, os.path.join(layout.root, FILE_NAME))
    sync_paths([layout.root])
    return True
