"""Directories as the kernel knows them: an inode for each path as it was spelled.

Linux allows one dentry for a directory inode; sharing one between two spellings of a
query moved shells from one to the other and gave ELOOP. An inode is kept as long as the
kernel knows it (it counts look-ups and says when it forgets them), and with it the files
the directory holds and what it promised about names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pyroaring import BitMap

from tagfs.bucket import Clock
from tagfs.index.read import View
from tagfs.views import tree
from tagfs.views.directory import Directory, Kind
from tagfs.views.names import Sticky

DIRECTORY_BIT = 1 << 61


class ViewFiles:
    """The files of one directory in one view, as `names` asks for them (`names.Files`)."""

    __slots__ = ("_files", "_view")

    def __init__(self, view: View, files: BitMap) -> None:
        self._view = view
        self._files = files

    def first(self, name: bytes, among: BitMap | None = None) -> int | None:
        return self._view.lookup(name, self._files if among is None else among)

    def __contains__(self, ordinal: int) -> bool:
        return ordinal in self._files

    def shared(self, ordinal: int) -> bool:
        return self._view.attr(ordinal).shared

    def name(self, ordinal: int) -> bytes:
        return self._view.name(ordinal).encode("utf-8", "surrogatepass")

    def guid(self, ordinal: int) -> str:
        return self._view.guid(ordinal)

    def with_id(self, digits: str, among: BitMap | None = None) -> Iterable[int]:
        files = self._files if among is None else among
        found = [o for o in self._view.any_ids_beginning(digits) if o in files]
        if len(found) < 2:
            return found
        return sorted(found, key=lambda o: (row.born_when, row.guid) if (row := self._view.row(o)) else (0, b""))


class Known:
    """A directory that the kernel knows."""

    __slots__ = (
        *("directory", "files_at", "inode", "left", "lookups", "name", "parent", "query", "sticky", "terms"),
        "_files",
    )

    def __init__(self, inode: int, directory: Directory, parent: int, name: bytes) -> None:
        self.inode = inode
        self.directory = directory
        self.parent = parent
        self.name = name
        self.lookups = 0
        self.sticky = Sticky()
        self.files_at = -1
        """The transaction that `files` are true for."""
        self.left = BitMap()
        """Who left since the kernel was last told: whoever finds the files anew must not be the only one to know."""
        self.terms: frozenset[int] | None = None
        self.query = ""
        self._files = BitMap()

    def files(self, view: View, clock: Clock) -> BitMap:
        """The files it holds, as ordinals; not to be altered. Tells `sticky` who left."""
        now = view.tx.id()
        if self.files_at == now or (self.files_at >= 0 and self._still_true(view, clock)):
            self.files_at = now
            return self._files
        new = tree.result(view, self.directory, clock)
        gone = self._files - new
        for ordinal in gone:
            self.sticky.left(ordinal, view.name(ordinal).encode("utf-8", "surrogatepass"))
        self.left |= gone
        self._files, self.files_at = new, now
        self.terms = tree.depends_on(view, self.directory)
        if self.directory.kind is Kind.SAVED_RESULT:
            self.query = tree.saved_query(view, self.directory.name)
        return new

    def kept_files(self) -> BitMap:
        """The files it held when last asked."""
        return self._files

    def _still_true(self, view: View, clock: Clock) -> bool:
        if self.terms is None or tree.uses_clock(view, self.directory, clock):
            return False
        if self.directory.kind is Kind.SAVED_RESULT and tree.saved_query(view, self.directory.name) != self.query:
            return False
        return all(view.last_change(term) <= self.files_at for term in self.terms)


class Directories:
    """All directories that the kernel knows, by inode."""

    def __init__(self, root: Directory, root_inode: int) -> None:
        self._next = DIRECTORY_BIT
        self._known: dict[int, Known] = {root_inode: Known(root_inode, root, root_inode, b"")}
        self._by_path: dict[str, Known] = {root.path: self._known[root_inode]}
        self._root = root_inode
        self.root = root
        """The mount itself."""
        self.on_new: Callable[[Known], None] = lambda known: None
        """Called with each directory that the kernel gets to know."""

    def get(self, inode: int) -> Known | None:
        """The directory with an inode."""
        return self._known.get(inode)

    def at(self, directory: Directory, parent: int, name: bytes) -> Known:
        """The entry of a directory, made where there is none yet."""
        known = self._by_path.get(directory.path)
        if known is None:
            self._next += 1
            known = Known(self._next, directory, parent, name)
            self._known[known.inode] = known
            self._by_path[directory.path] = known
            self.on_new(known)
        return known

    def with_path(self, path: str) -> Known | None:
        """The directory with a path as spelled, if the kernel knows it."""
        return self._by_path.get(path)

    def forget(self, inode: int, lookups: int) -> None:
        """The kernel forgot so many look-ups."""
        known = self._known.get(inode)
        if known is None or inode == self._root:
            return
        known.lookups -= lookups
        if known.lookups <= 0:
            del self._known[inode]
            self._by_path.pop(known.directory.path, None)

    def __iter__(self) -> Iterator[Known]:
        return iter(list(self._known.values()))
