"""Directories as the kernel knows them: an inode for each path as it was spelled.

Linux allows one dentry for a directory inode; sharing one between two spellings of a
query moved shells from one to the other and gave ELOOP. An inode is kept as long as the
kernel knows it (it counts look-ups and says when it forgets them), and with it the files
the directory holds and what it promised about names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from pyroaring import BitMap

from tagfs.bucket import Clock
from tagfs.index.blocks import SHARED
from tagfs.index.read import View
from tagfs.views import tree
from tagfs.views.directory import HOLDS_FILES, Directory, Kind
from tagfs.views.names import Sticky

DIRECTORY_BIT = 1 << 61
NONE = BitMap()
"""Shared by all directories that nothing left and nothing came to; never altered."""
FEW = 100
"""Of so many files that left, all names are forgotten; of more, those that were given out."""


class ViewFiles:
    """The files of one directory in one view, as `names` asks for them (`names.Files`)."""

    __slots__ = ("_files", "_view", "known")

    def __init__(self, view: View, files: BitMap) -> None:
        self._view = view
        self._files = files
        self.known: Mapping[int, bytes] = {}
        """Stored names that are at hand."""

    def first(self, name: bytes, among: BitMap | None = None) -> int | None:
        return self._view.lookup(name, self._files if among is None else among, self.known)

    def __contains__(self, ordinal: int) -> bool:
        return ordinal in self._files

    def shared(self, ordinal: int) -> bool:
        return self._view.packed_attr(ordinal)[1] >= SHARED

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
        "came",
        "directory",
        "files_at",
        "holds_files",
        "inode",
        "left",
        "lookups",
        "name",
        "parent",
        "query",
        "terms",
        "_files",
        "_sticky",
    )

    def __init__(self, inode: int, directory: Directory, parent: int, name: bytes) -> None:
        self.inode = inode
        self.directory = directory
        self.holds_files = directory.kind in HOLDS_FILES
        self.parent = parent
        self.name = name
        self.lookups = 0
        self._sticky: Sticky | None = None
        self.files_at = -1
        """The transaction that `files` are true for."""
        self.terms: frozenset[int] | None = None
        self.query = ""
        self._files = BitMap()
        self.left = self.came = NONE
        """Files that left and came, whoever noticed: a look-up may come before `Live.look`, which takes them."""

    @property
    def sticky(self) -> Sticky:
        """What it promised about names; thousands are listed and never looked into."""
        if self._sticky is None:
            self._sticky = Sticky()
        return self._sticky

    def files(self, view: View, clock: Clock, name_of: Callable[[int], bytes] | None = None) -> BitMap:
        """The files it holds, as ordinals; not to be altered. Tells `sticky` who left.

        Args:
            name_of: where the caller has the names of files at hand.
        """
        now = view.id
        if self.files_at == now or (self.files_at >= 0 and self._still_true(view, clock)):
            self.files_at = now
            return self._files
        new = tree.result(view, self.directory, clock)
        if self.files_at >= 0:
            left = self._files - new
            if len(left) > FEW:
                left = self.sticky.given_among(left)  # a name never given out needs no forgetting
            self.left = self.left | left
            self.came = self.came | (new - self._files)
            for ordinal in left:
                self.sticky.left(
                    ordinal, name_of(ordinal) if name_of else view.name(ordinal).encode("utf-8", "surrogatepass")
                )
        self._files, self.files_at = new, now
        self.terms = tree.depends_on(view, self.directory)
        if self.directory.kind is Kind.SAVED_RESULT:
            self.query = tree.saved_query(view, self.directory.name)
        return new

    def look_again(self) -> None:
        """What it holds may be another thing now, though the index is the same."""
        self.files_at = min(self.files_at, 0)

    def forget_files(self) -> None:
        """Ordinals mean other files now."""
        self.files_at = -1
        self.terms = None
        self._files = BitMap()
        self._sticky = None

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

    def forget_files(self) -> None:
        """All begin anew."""
        for known in self:
            known.forget_files()
            self.on_new(known)

    def with_path(self, path: str) -> Known | None:
        """The directory with a path as spelled, if the kernel knows it."""
        return self._by_path.get(path)

    def path_of(self, known: Known) -> bytes | None:
        """Where a directory is below the mount, as it was spelled; None where that is not known any more."""
        names = []
        at: Known | None = known
        while at is not None and at.inode != self._root:
            names.append(at.name)
            at = self._known.get(at.parent)
        return b"/".join(reversed(names)) if at is not None else None

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
