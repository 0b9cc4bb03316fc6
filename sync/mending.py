"""What others' ledgers lack on this node by an accident here is fetched again.

A copy of another's ledger holds nothing of this node's, and Syncthing has it receive-only: whatever was
changed, added or deleted in it here is a change of this node alone that goes nowhere, and
`db/revert` takes it back. So it is taken back whenever it is found.

Where the folder is gone with its marker, Syncthing stops it. The bytes of files are never
touched then (a disk may just not be mounted, and what is missing would be deleted everywhere). In
a receive-only folder the same cannot happen: the marker is made again, what is missing counts as
deleted here, and is taken back. Removing the folder from Syncthing and adding it anew was
tried as well: for a second or so it then looks complete with nothing in it, which nobody could tell
from all having arrived.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from sync.syncthing.client import Syncthing
from sync.syncthing.errors import FolderNotKnown, FolderPaused, FolderStopped
from sync.syncthing.folders import RECEIVE_ONLY
from tagfs.layout import make_folder

log = logging.getLogger(__name__)

MARKER = ".stfolder"


def mend_copies(syncthing: Syncthing, copies: Mapping[str, str]) -> bool:
    """Take back what differs here in copies of others' ledgers. Says whether anything did.

    Args:
        copies: folder id -> path; one that Syncthing does not have (yet) as receive-only is left alone.
    """
    mended = False
    for folder_id, path in copies.items():
        try:
            mended |= make_marker_again(syncthing, folder_id, path)
            if syncthing.folder_status(folder_id).receive_only_total_items > 0:
                log.warning("%s differs here from what its owner wrote; that is taken back", path)
                syncthing.revert(folder_id)
                mended = True
        except (FolderNotKnown, FolderPaused, FolderStopped) as exc:
            log.info("a copy of another's ledger was not looked at: %s", exc)
    return mended


def make_marker_again(syncthing: Syncthing, folder_id: str, path: str) -> bool:
    """Have a receive-only folder that was lost with its marker looked at again. Says whether it was lost.

    Raises `FolderNotKnown`, `FolderPaused`, `FolderStopped`.
    """
    marker = os.path.join(path, MARKER)
    if os.path.lexists(marker) or syncthing.folder(folder_id).type != RECEIVE_ONLY:
        return False
    log.warning("%s was lost with its marker; it is fetched again", path)
    make_folder(marker)
    syncthing.scan(folder_id)
    return True
