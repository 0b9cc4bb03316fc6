"""Moves the folder of a set that is called otherwise now, because another set has its label (`tagfs.place.told_apart`).

The older statement keeps a label, and a node may have made a folder for the younger one before it read the older.
So before Syncthing is told of the sets, that folder gets the name that all have for it now. Its marker goes with it:
until Syncthing knows where the folder is it stops, and takes nothing for deleted.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping

from sync.syncthing.config import FolderConfig
from tagfs.layout import Layout
from tagfs.place import NodeSet

log = logging.getLogger(__name__)


def relabel(layout: Layout, sets: Iterable[NodeSet], standing: Mapping[str, FolderConfig]) -> list[str]:
    """Move what is to be moved. Returns the ids of the sets whose folder is elsewhere now.

    Args:
        standing: the folders that Syncthing has, by id.
    """
    moved = []
    for one in sets:
        folder = standing.get(one.set_id)
        wanted = os.path.join(layout.sets, one.label)
        if not one.said or folder is None or folder.path != os.path.join(layout.sets, one.said):
            continue
        if os.path.isdir(folder.path) and not os.path.lexists(wanted):
            os.rename(folder.path, wanted)
            log.warning("%s is called %s now: another set has that label", one.said, one.label)
            moved.append(one.set_id)
    return moved
