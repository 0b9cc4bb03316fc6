"""A store as the mount sees it, without FUSE: paths in, and what the views and effects make of them.

`Mounted` does what the adapter does with names and directories, and nothing of the rest:
no inodes, no names kept for twins, no bytes. What an operation is refused with is its value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tagfs.bucket import Clock
from tagfs.change import Change
from tagfs.glossary import SAVED_THING, TAG_THING
from tagfs.guid import new_guid
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.store import Store
from tagfs.views import attributes, effects
from tagfs.views.directory import Directory, root_directory
from tagfs.views.effects import Stated
from tagfs.views.listing import subdirectories
from tagfs.views.matrix import Operation, Refusal
from tagfs.views.tree import directory_at, result
from tests.support.stores import birth


def utc_ms(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    from datetime import UTC, datetime

    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp() * 1000)


class Mounted:
    """See the module. Paths are below the mount; the last part of a file's path is its name."""

    def __init__(self, store: Store, tags_only: bool = False) -> None:
        self.store = store
        self.root = root_directory(tags_only, uid=1000)
        self._known: dict[str, Directory] = {}

    @property
    def clock(self) -> Clock:
        return Clock(self.store.machine.wall_ms(), utc_ms)

    # -- looking

    def directory(self, view: View, path: str) -> Directory:
        """The directory at a path; one that was looked up before stays what it was, as for the kernel."""
        found = self._known.get(path) or directory_at(view, self.root, path, self.clock)
        assert found is not None, f"no directory {path}"
        self._known[path] = found
        return found

    def exists(self, path: str) -> bool:
        return self.store.read(lambda view: directory_at(view, self.root, path, self.clock)) is not None

    def ls(self, path: str) -> list[str]:
        """The directories that a directory lists."""
        return self.store.read(lambda view: subdirectories(view, self.directory(view, path), self.clock))

    def files(self, path: str) -> list[str]:
        """The names of the files of a directory."""
        return self.store.read(
            lambda view: sorted(
                name.decode() for name in view.names(result(view, self.directory(view, path), self.clock))
            )
        )

    def guid(self, path: str) -> str:
        """The file at a path."""
        folder, _, name = path.rpartition("/")

        def look(view: View) -> str:
            files = result(view, self.directory(view, folder), self.clock)
            ordinal = view.lookup(name.encode(), files)
            assert ordinal is not None, f"no file {path}"
            return view.guid(ordinal)

        return self.store.read(look)

    def state(self, guid: str) -> FileState:
        return self.store.states([guid])[0]

    # -- doing

    def _about(self, guid: str, decide: Callable[[Change, FileState], dict[str, Any] | Refusal]) -> Any:
        def state(change: Change) -> Any:
            statements = decide(change, change.state(guid))
            if not isinstance(statements, Refusal) and statements:
                change.about_file(guid, **statements)
            return statements

        return self.store.act(state)

    def _stated(self, decide: Callable[[Change], list[Stated] | Refusal]) -> Any:
        def state(change: Change) -> Any:
            stated = decide(change)
            if not isinstance(stated, Refusal):
                for one in stated:
                    change.about(one.subject, one.kind, one.text, **one.statements)
            return stated

        return self.store.act(state)

    def create(self, path: str) -> str | Refusal:
        """The GUID of a new file."""
        folder, _, name = path.rpartition("/")
        guid = new_guid(self.store.machine.random_bytes(16))

        def state(change: Change) -> str | Refusal:
            tags = effects.on_create(change.view, self.directory(change.view, folder), name.encode())
            if isinstance(tags, Refusal):
                return tags
            change.about_file(guid, **birth(guid, name, change.node, tags=tags))
            return str(guid)

        return self.store.act(state)

    def mv(self, path: str, folder: str, name: str | None = None) -> Any:
        """Move a file into another directory."""
        source, _, _ = path.rpartition("/")
        return self.mv_file(self.guid(path), source, folder, name)

    def mv_file(self, guid: str, source: str, folder: str, name: str | None = None) -> Any:
        def decide(change: Change, known: FileState) -> Any:
            view = change.view
            return effects.on_move(view, known, self.directory(view, source), self.directory(view, folder), name)

        return self._about(guid, decide)

    def rename(self, path: str, name: str) -> Any:
        folder, _, _ = path.rpartition("/")
        return self._about(
            self.guid(path),
            lambda change, known: effects.on_rename(known, self.directory(change.view, folder), name),
        )

    def rm(self, path: str, *, fresh: bool = False) -> Any:
        folder, _, _ = path.rpartition("/")
        return self.rm_file(self.guid(path), folder, fresh=fresh)

    def rm_file(self, guid: str, folder: str, *, fresh: bool = False) -> Any:
        return self._about(
            guid,
            lambda change, known: effects.on_remove(
                change.view, known, self.directory(change.view, folder), fresh=fresh
            ),
        )

    def ln(self, path: str, folder: str, name: str | None = None, operation: Operation = Operation.LINK) -> Any:
        return self._about(
            self.guid(path),
            lambda change, known: effects.on_link(
                change.view,
                known,
                self.directory(change.view, folder),
                name if name is not None else path.rpartition("/")[2],
                operation,
            ),
        )

    def mkdir(self, path: str) -> Any:
        folder, _, name = path.rpartition("/")
        return self._stated(lambda change: effects.on_mkdir(change.view, self.directory(change.view, folder), name))

    def rmdir(self, path: str) -> Any:
        folder = path.rpartition("/")[0]

        def decide(change: Change) -> Any:
            view = change.view
            return effects.on_rmdir(
                view,
                self.directory(view, folder),
                self.directory(view, path),
                lambda tag: change.thing(TAG_THING, tag),
            )

        return self._stated(decide)

    def mv_directory(self, path: str, to: str) -> Any:
        folder, _, name = to.rpartition("/")

        def decide(change: Change) -> Any:
            view = change.view
            return effects.on_rename_directory(
                view,
                self.directory(view, path),
                self.directory(view, folder),
                name,
                lambda tag: change.thing(TAG_THING, tag),
            )

        return self._stated(decide)

    def save(self, name: str, query: str) -> None:
        self.store.act(lambda change: change.about("saved", SAVED_THING, name, query=query))

    def setfattr(self, guid: str, name: str, value: bytes, *, adds: bool = False) -> Any:
        return self._about(guid, lambda change, known: attributes.set_xattr(change.view, known, name, value, adds=adds))

    def rmfattr(self, guid: str, name: str) -> Any:
        return self._about(guid, lambda change, known: attributes.remove_xattr(change.view, known, name))

    def getfattr(self, guid: str, name: str) -> Any:
        known = self.state(guid)
        return self.store.read(lambda view: attributes.get_xattr(view, known, name))
