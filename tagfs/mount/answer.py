"""No exception leaves a handler: the wrapper every handler goes through, and the errno table.

An `OSError` becomes its errno, our errors theirs by one table, anything else is logged
and becomes EIO. pyfuse3 ends the mount on whatever is not `FUSEError`; one
`dd oflag=direct` ends its stock example.
"""

from __future__ import annotations

import errno
import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, ParamSpec, TypeVar

import lmdb
from pyfuse3 import FUSEError

from tagfs.errors import BadName, BadRequest, DiskFull, LytsError, NothingMatched, ReadOnlyStore
from tagfs.views.directory import NameTooLong
from tagfs.views.matrix import Refusal

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

# The first that fits counts.
_ERRNO: tuple[tuple[type[LytsError], int], ...] = (
    (DiskFull, errno.ENOSPC),
    (ReadOnlyStore, errno.EROFS),
    (NameTooLong, errno.ENAMETOOLONG),
    (BadName, errno.EINVAL),
    (NothingMatched, errno.ENOENT),
    (BadRequest, errno.EINVAL),
    (LytsError, errno.EIO),
)


class Refused(Exception):
    """An operation that the matrix or a rule refuses; carries errno and sentence."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.sentence)


def fail(number: int) -> NoReturn:
    """Answer with an errno."""
    raise FUSEError(number)


def errno_of(exc: BaseException) -> int:
    """The errno that an exception becomes. Logs what a person may want to know."""
    if isinstance(exc, Refused):
        log.info("refused (%s): %s", exc.refusal.name, exc.refusal.sentence)
        return exc.refusal.errno
    if isinstance(exc, OSError):
        return exc.errno or errno.EIO
    if isinstance(exc, LytsError):
        number = getattr(exc, "errno_name", None)
        if number is not None:
            return int(getattr(errno, number))
        found = next(number for kind, number in _ERRNO if isinstance(exc, kind))
        if found == errno.EIO:
            log.error("%s", exc)
        return found
    if isinstance(exc, lmdb.Error) and getattr(exc, "code", 0) == errno.ENOSPC:
        return errno.ENOSPC
    log.error("unexpected", exc_info=exc)
    return errno.EIO


class Later(Exception):
    """Raised by a handler that is `at_once` where it cannot be: what is to be waited for."""

    def __init__(self, answer: Callable[[], Awaitable[Any]]) -> None:
        self.answer = answer
        super().__init__()


def answered(handler: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """A handler that raises nothing but `FUSEError`."""

    @functools.wraps(handler)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await handler(*args, **kwargs)
        except FUSEError:
            raise
        except Exception as exc:  # noqa: BLE001 - the one place where all of them are answered
            raise FUSEError(errno_of(exc)) from None

    return wrapped


def at_once(handler: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    """The same for a handler that waits for nothing: one coroutine less, where there are thousands a second."""

    @functools.wraps(handler)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            try:
                return handler(*args, **kwargs)
            except Later as later:
                answer: R = await later.answer()
                return answer
        except FUSEError:
            raise
        except Exception as exc:  # noqa: BLE001 - as above
            raise FUSEError(errno_of(exc)) from None

    return wrapped


def all_answered(operations: type[Any]) -> type[Any]:
    """Class decorator: wraps every handler a class defines, but for those `at_once`."""
    for name, member in list(vars(operations).items()):
        if (
            not name.startswith("_")
            and callable(member)
            and hasattr(member, "__code__")
            and member.__code__.co_flags & 0x80
            and not hasattr(member, "__wrapped__")
        ):
            setattr(operations, name, answered(member))
    return operations
