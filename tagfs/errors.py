"""The one error tree.

Every error a person can meet is a `LytsError`. A subclass takes named fields and
builds its own sentence: what is wrong, where, and what to do. The exit code hangs
on the class, so no command decides it a second time:

    0 done   1 nothing matched, or a check failed   2 wrong use
    3 store or peer trouble                         130 interrupted

`BadRequest` (the caller is wrong) is not `PeerDataError` (a file that came from
elsewhere is malformed): the second never stops a process that serves others.
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_NOTHING = 1
EXIT_USAGE = 2
EXIT_TROUBLE = 3
EXIT_INTERRUPTED = 130


class LytsError(Exception):
    """Base of all errors that carry a sentence for a person."""

    exit_code = EXIT_TROUBLE


class BadRequest(LytsError):
    """What was asked for cannot be done as asked; nothing was changed."""

    exit_code = EXIT_USAGE


class NothingMatched(LytsError):
    """The request was fine, but no file, tag or action fits it."""

    exit_code = EXIT_NOTHING


class StoreError(LytsError):
    """The store on this node cannot do it just now: missing, read-only, busy, newer."""

    exit_code = EXIT_TROUBLE


class PeerDataError(LytsError):
    """A file that another node or another program wrote is malformed.

    It is reported and set aside; it never stops the process that met it.
    """

    exit_code = EXIT_TROUBLE


class BadTag(BadRequest):
    """A tag that breaks the rules of `tagfs.tag`."""

    def __init__(self, text: str, why: str) -> None:
        self.text = text
        self.why = why
        super().__init__(f"{text!r} cannot be a tag: {why}")


class BadName(BadRequest):
    """A file name that no file system could show."""

    def __init__(self, text: str, why: str) -> None:
        self.text = text
        self.why = why
        super().__init__(f"{text!r} cannot be a file name: {why}")


class QueryError(BadRequest):
    """A query that cannot be read or names what does not exist.

    `at` is the character (from 0) of `query` at which the trouble begins.
    """

    def __init__(self, query: str, at: int, why: str, hint: str = "") -> None:
        self.query = query
        self.at = at
        self.why = why
        self.hint = hint
        super().__init__(why + (f"; {hint}" if hint else ""))


class NoSuchTag(QueryError):
    """A query names a tag that no file carries; `hint` holds a near match, if any."""

    exit_code = EXIT_NOTHING


class NoStore(StoreError):
    """There is no store where one was looked for."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"there is no lyts store in {path}. Make one with: lyts init (or add files straight away: lyts add FILE...)"
        )


class NewerFormat(StoreError):
    """A store that a newer lyts has written. Nothing is touched."""

    def __init__(self, path: str, found: int, known: int) -> None:
        self.path = path
        self.found = found
        self.known = known
        super().__init__(
            f"the store in {path} has format {found}, and this lyts knows only up to format {known}. "
            "Nothing was touched. Please update lyts on this device"
        )


class OlderFormat(StoreError):
    """A store that must be migrated before this lyts may use it."""

    def __init__(self, path: str, found: int, known: int) -> None:
        self.path = path
        self.found = found
        self.known = known
        super().__init__(
            f"the store in {path} has format {found}; this lyts uses format {known}. "
            "Nothing was touched. Bring it up to date with: lyts migrate"
        )


class ReadOnlyStore(StoreError):
    """A change was asked of a store that lies on a read-only medium."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"the store in {path} is on a read-only medium: looking works, changing does not")


class MovedStore(ReadOnlyStore):
    """A change was asked of a store that was made on another machine: it may be a copy, and the other one in use."""

    def __init__(self, path: str) -> None:
        StoreError.__init__(
            self,
            f"the store in {path} was made on another machine, so it can be looked at and not be changed. If it was "
            "moved, and the other machine no longer has it: lyts node here --moved. If it is a copy, and the other "
            "one is used as well, it becomes a device of its own: lyts node here --copied",
        )
        self.path = path


class DiskFull(StoreError):
    """No space left. Kept apart from corruption: nothing is thrown away for it."""

    def __init__(self, where: str) -> None:
        self.where = where
        super().__init__(
            f"no space left on the disk that holds {where}. Nothing was lost and nothing was half done. "
            "Free some space (for example: lyts trash empty) and try again"
        )
