"""Makes a store: the folders, `store.toml`, and the first facts about this node.

Everything is private to the person: folders 0700, files 0600. A store half made (the
machine went down in between) has no `store.toml`, and making it again goes on with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from tagfs.change import Change
from tagfs.errors import BadRequest, DiskFull, StoreError
from tagfs.glossary import NODE_THING
from tagfs.guid import new_guid
from tagfs.layout import CACHE_TAG, FORMAT, Layout, StoreInfo, make_folder, write_info, write_private
from tagfs.store import Machine, Store


def create_store(
    root: str,
    *,
    alias: str,
    folder_name: str,
    set_id: Callable[[list[str]], str],
    machine: Machine,
    machine_id: str = "",
    library: str | None = None,
) -> StoreInfo:
    """Make a store with one node in the folder `root`.

    Args:
        alias: what people call this device.
        folder_name: the alias as a folder name, for its ledgers and its set.
        set_id: the id of a nodeset from the GUIDs of its nodes (`tagfs.nodeset.set_id`).
        machine_id: tells a store that was moved or copied to another machine.
        library: the library that this node joins; None begins one.
    Raises:
        BadRequest: there is a store already, or the folder holds something else.
        DiskFull, StoreError: it cannot be written.
    """
    layout = Layout(root)
    try:
        alias.encode("utf-8")
    except UnicodeEncodeError:
        raise BadRequest(f"{alias!r} cannot be the name of a device: it is not valid text") from None
    if os.path.exists(layout.toml):
        raise BadRequest(f"there is a lyts store in {layout.root} already; nothing was changed")
    known = {
        os.path.basename(p)
        for p in (layout.lock, layout.dirty, layout.ledgers, layout.sets, layout.scratch, layout.keep)
    }
    try:
        if os.path.isdir(layout.root) and set(os.listdir(layout.root)) - known:
            raise BadRequest(
                f"{layout.root} is not empty and is no lyts store; choose another folder with --store or LYTS_STORE"
            )
        make_folder(layout.root)
        os.chmod(layout.root, 0o700)
        for folder in (layout.ledgers, layout.sets, layout.scratch, layout.keep):
            make_folder(folder)
        make_folder(layout.data(folder_name, ""))
        make_folder(os.path.join(layout.ledgers, folder_name))
        write_private(os.path.join(layout.scratch, "CACHEDIR.TAG"), CACHE_TAG)
        info = StoreInfo(
            format=FORMAT,
            library=library or new_guid(machine.random_bytes(16)),
            node=new_guid(machine.random_bytes(16)),
            alias=alias,
            ledger_folder=folder_name,
            machine_id=machine_id,
        )
        write_info(layout, info)
    except OSError as exc:
        if exc.errno == 28:
            raise DiskFull(layout.root) from exc
        raise StoreError(f"a store cannot be made in {layout.root}: {exc.strerror}") from exc

    def first_facts(change: Change) -> None:
        change.about("node", NODE_THING, info.node, alias=alias)
        change.new_set(set_id([info.node]), folder_name, [info.node])

    with Store(layout.root, machine) as store:
        store.act(first_facts)
        store.keep_reserve()
    return info
