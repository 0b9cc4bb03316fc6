"""Where everything is in a store, and the little file that says whose store it is.

    store.toml            format, library id, this node's GUID and alias, machine id
    lock  dirty           between processes; unclean power-off
    ledgers/<folder>/     facts; one folder per node, this node's is `ledger_folder`
    sets/<label>/data/    bytes
    scratch/  keep/       half-written files; bytes that must not be lost yet
    index/  text/         derived
    syncthing/            settings, keys and database of this store's own Syncthing, where it has one
    sync.toml             which Syncthing moves its bytes, where it is not that one; settings of placement
    sync.db               hashes of bytes in place: derived
    devices.json          which Syncthing device each other node is (`sync.fixed`)

`store.toml` is written once, by `create`, and by migrations.
"""

from __future__ import annotations

import os
from typing import IO, NamedTuple

from tagfs.errors import NewerFormat, NoStore, OlderFormat, StoreError

FORMAT = 1
CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n# Made again from the ledgers by: lyts reindex\n"
ARRIVING = (".syncthing.", "~syncthing~")
"""So begin the names of what Syncthing has not received whole."""


class StoreInfo(NamedTuple):
    """The contents of `store.toml`."""

    format: int
    library: str
    node: str
    alias: str
    ledger_folder: str
    machine_id: str


class Layout:
    """The paths of a store. Paths only; nothing is touched."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self.toml = self._at("store.toml")
        self.lock = self._at("lock")
        self.dirty = self._at("dirty")
        self.ledgers = self._at("ledgers")
        self.sets = self._at("sets")
        self.scratch = self._at("scratch")
        self.keep = self._at("keep")
        self.index = self._at("index")
        self.index_being_built = self._at("index.new")
        self.text = self._at("text")
        self.syncthing = self._at("syncthing")
        self.sync_settings = self._at("sync.toml")
        self.reserve = os.path.join(self.scratch, "reserve")

    def _at(self, name: str) -> str:
        return os.path.join(self.root, name)

    def data(self, label: str, data: str) -> str:
        """The path of a data file in the set with this label."""
        return os.path.join(self.sets, label, "data", data)

    def flux_mark(self, guid: str) -> str:
        """What stands in scratch while the bytes of a file may differ from what is stated; a mount looks at start."""
        return os.path.join(self.scratch, guid + ".written")


def make_folder(path: str) -> None:
    """Make a folder, and those it is in, private to the person (0700, whatever the umask)."""
    if not os.path.isdir(path):
        make_folder(os.path.dirname(path))
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not os.path.isdir(path):
                raise


def write_private(path: str, data: bytes) -> None:
    """Write a small file that only the person may read (0600, whatever the umask)."""
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)


def open_plain(path: str) -> IO[bytes]:
    """Open a file that another device wrote. A symbolic link is not followed, a pipe not waited for. Raises OSError."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def default_root(environ: dict[str, str]) -> str:
    """Where a person's store is unless said otherwise: `$LYTS_STORE`, else below the XDG data folder."""
    given = environ.get("LYTS_STORE")
    if given:
        return os.path.abspath(os.path.expanduser(given))
    data_home = environ.get("XDG_DATA_HOME") or os.path.join(
        environ.get("HOME") or os.path.expanduser("~"), ".local", "share"
    )
    return os.path.join(data_home, "lyts")


_ABOUT_STORE = "# lyts store: the files of a person, by tags. See README.md beside this file."


def write_info(layout: Layout, info: StoreInfo) -> None:
    """Write `store.toml`, whole or not at all. What else a person has put there stays, such as `trash_days`."""
    own = f"{_ABOUT_STORE}\nformat = {info.format}\n" + "".join(
        f"{key} = {_quoted(value)}\n" for key, value in zip(StoreInfo._fields[1:], info[1:], strict=True)
    )
    others = _other_lines(layout)
    text = own + "".join(f"{line}\n" for line in others)
    if others and not _is_toml(text):
        text = own + "".join(f"# {line}\n" for line in others)
    draft = layout.toml + ".new"
    with open(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, layout.toml)


def _other_lines(layout: Layout) -> list[str]:
    """The lines of `store.toml` that do not say what `StoreInfo` does."""
    try:
        with open(layout.toml, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().rstrip("\n").split("\n")
    except OSError:
        return []
    section = next((at for at, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
    own = [line for line in lines[:section] if line.partition("=")[0].strip() not in StoreInfo._fields]
    return [line for line in own if line.strip() not in ("", _ABOUT_STORE)] + lines[section:]


def _is_toml(text: str) -> bool:
    import tomllib

    try:
        tomllib.loads(text)
    except ValueError:
        return False
    return True


def _quoted(text: str) -> str:
    out = "".join(f"\\u{ord(ch):04x}" if ord(ch) < 32 or ch in '"\\\x7f' else ch for ch in text)
    return f'"{out}"'


def read_info(layout: Layout) -> StoreInfo:
    """The `store.toml` of a store that this lyts can use.

    Raises:
        NoStore: there is none.
        NewerFormat, OlderFormat: the store must not be touched, or migrated first.
        StoreError: the file is damaged.
    """
    values = read_toml(layout)
    try:
        if isinstance(values["format"], str):
            # A migration between two of its steps leaves a sentence here that every lyts refuses with.
            raise StoreError(f"{layout.root}: {values['format']}")
        found = int(str(values["format"]))
        if found > FORMAT:
            raise NewerFormat(layout.root, found, FORMAT)
        if found < FORMAT:
            raise OlderFormat(layout.root, found, FORMAT)
        return StoreInfo(found, *(str(values[key]) for key in StoreInfo._fields[1:]))
    except (KeyError, ValueError, TypeError, OverflowError) as exc:
        raise StoreError(
            f"{layout.toml} is damaged ({exc!r}); the ledgers and data files beside it are not concerned"
        ) from None


def read_toml(layout: Layout) -> dict[str, object]:
    """The values of `store.toml`, whatever the format. Raises `NoStore`, `StoreError`."""
    try:
        with open(layout.toml, encoding="utf-8") as file:
            text = file.read()
    except (FileNotFoundError, NotADirectoryError):
        raise NoStore(layout.root) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise StoreError(f"{layout.toml} cannot be read: {exc}") from None
    # As we write it, without the 15 ms that tomllib costs at every start.
    values: dict[str, object] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        key, eq, value = line.partition(" = ")
        if eq and value.isascii() and value.isdigit() and len(value) < 10:
            values[key] = int(value)
        elif eq and len(value) >= 2 and value[0] == value[-1] == '"' and "\\" not in value and '"' not in value[1:-1]:
            values[key] = value[1:-1]
        else:
            return _with_tomllib(layout, text)
    return values


def _with_tomllib(layout: Layout, text: str) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise StoreError(f"{layout.toml} is damaged ({exc})") from None
