"""The code by which a new device finds the library: printed by `node invite`, given to `node join`.

    lyts1-AAEC...          letters and digits, in groups, case and dashes do not matter

It says which library it is, which node invites, its alias, device id and fixed addresses.
Nothing in it is secret: who has it can ask to join, and a person says yes or no on the
inviting device. A checksum tells a mistyped code from a wrong one. Pure.
"""

from __future__ import annotations

import base64
from typing import NamedTuple
from zlib import crc32

import msgspec

from sync.syncthing.deviceid import is_device_id
from tagfs.errors import BadRequest
from tagfs.guid import bytes_of_guid, guid_of_bytes

PREFIX = "lyts1"
GROUP = 6


class Invitation(NamedTuple):
    """What a new device must know of the library and of one node in it."""

    library: str
    node: str
    alias: str
    device: str
    addresses: tuple[str, ...]


def encode(invitation: Invitation) -> str:
    """The code of an invitation."""
    packed = msgspec.msgpack.encode(
        [
            bytes_of_guid(invitation.library),
            bytes_of_guid(invitation.node),
            invitation.alias,
            invitation.device,
            list(invitation.addresses),
        ]
    )
    text = base64.b32encode(packed + crc32(packed).to_bytes(4, "big")).decode().rstrip("=")
    return "-".join([PREFIX, *(text[at : at + GROUP] for at in range(0, len(text), GROUP))])


def decode(code: str) -> Invitation:
    """The invitation in a code, as a person copied it. Raises `BadRequest`."""
    text = "".join(code.split()).replace("-", "").upper()
    if not text.startswith(PREFIX.upper()):
        raise BadRequest(f"this is no invitation; it begins with {PREFIX}- (made by: lyts node invite)")
    text = text[len(PREFIX) :]
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
        packed, check = raw[:-4], raw[-4:]
        if crc32(packed).to_bytes(4, "big") != check:
            raise ValueError("checksum")
        library, node, alias, device, addresses = msgspec.msgpack.decode(packed)
        found = Invitation(
            guid_of_bytes(library), guid_of_bytes(node), str(alias), str(device), tuple(str(one) for one in addresses)
        )
        if len(library) != 16 or len(node) != 16 or not is_device_id(found.device):
            raise ValueError("form")
    except (ValueError, TypeError, AttributeError, msgspec.MsgspecError):
        raise BadRequest("this invitation is not complete or has a typing mistake in it; copy it whole") from None
    return found
