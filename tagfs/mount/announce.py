"""Lets file managers know of what changed beneath: harmless calls on our own mount, which the kernel tells watchers of.

inotify sees what goes through the mount and nothing else. So for a file that came to a
directory, or changed in it, a thread does something there that changes nothing:

    came        link(2) of the file, under its long name, to the name it is shown as  IN_CREATE
    changed     chmod(2) to the mode it has                                           IN_ATTRIB

A link is the one call after which a watcher hears of a new name without there being a new
file. Our own look-up of that name, by this thread, is answered with "there is none", else
the kernel would refuse the link by itself; the link is answered with the file; the chmod
with its attributes. All three are known by the thread's id, which the kernel sends along,
and state nothing. Were the thread not recognised, the look-up would find the name, the
link fail with EEXIST, and the chmod state the mode that the file has: harmless as well.
That is why there is no such call for a name that went away: an unlink that is not
recognised would be an unlink.

Rules: never from a handler; at most `A_SECOND` calls, the directories in turn, `WAITING`
names in line and the rest left out (a window with thousands of new files is looked at anew
by hand); none for a file as long as somebody may write to it: the kernel lets no other call
at a file during a write, which may have to wait (`copies`), and ours holds the directory
meanwhile; none on a mount that is read-only, where the kernel refuses them itself. A call
under way keeps the mount point busy for its fraction of a millisecond, so `lyts umount`
tries more than once. While the mount ends nothing more is done, and it is waited for the
call under way, which the loop goes on to answer.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections import deque
from collections.abc import Callable
from itertools import zip_longest
from typing import NamedTuple

log = logging.getLogger(__name__)

A_SECOND = 25
AT_ONCE = 10
WAITING = 500
A_LOOK = 100
LATER_S = 1.0
"""When it is looked again whether a file is still being written."""
EACH = 20
"""Of one directory, at one look."""


class News(NamedTuple):
    """A file to be announced in the directory with an inode, which is at `path` below the mount."""

    inode: int
    file_inode: int
    path: bytes
    name: bytes
    long: bytes
    ordinal: int
    came: bool


def in_turn(news: list[list[News]]) -> list[News]:
    """The first of each directory, then the second of each, and so on. Pure."""
    return [one for turn in zip_longest(*news) for one in turn if one is not None]


class Announcer:
    """The thread, and what is in line for it. `add` and `hidden` are for the trio thread."""

    def __init__(self) -> None:
        self._at: bytes | None = None
        self._waiting: deque[News] = deque()
        self._later: list[News] = []
        self.is_written: Callable[[int], bool] = lambda file_inode: False
        """Whether somebody may write to a file; asked in the thread."""
        self._turn = threading.Condition()
        self._ends = threading.Event()
        self._thread: threading.Thread | None = None
        self._busy = False
        self._hidden: News | None = None
        self.thread_id = -1
        """As the kernel tells it with each request; -1 while there is none."""

    def begin(self, mount_point: str) -> None:
        """From now on there is a mount, and what is added is announced."""
        self._at = os.fsencode(mount_point)

    def has_mount(self) -> bool:
        """Whether anything is announced at all."""
        return self._at is not None and not self._ends.is_set()

    def add(self, news: list[News]) -> None:
        """Announce these, as far as there is room in line."""
        if not self.has_mount() or not news:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._announce, name="lyts-announce", daemon=True)
            self._thread.start()
        with self._turn:
            self._waiting.extend(news[: WAITING - len(self._waiting)])
            self._turn.notify()

    def hidden(self, inode: int, name: bytes) -> int | None:
        """The file that is just being announced under a name in the directory with this inode, None for none.

        Ask for requests of our own thread only.
        """
        news = self._hidden
        return news.ordinal if news is not None and (news.inode, news.name) == (inode, name) else None

    def is_busy(self) -> bool:
        """Whether a call is under way."""
        return self._busy and self._thread is not None and self._thread.is_alive()

    def end(self) -> None:
        """Begin no more calls."""
        self._ends.set()
        with self._turn:
            self._turn.notify()

    def _announce(self) -> None:
        self.thread_id = threading.get_native_id()
        done = 0
        while True:
            with self._turn:
                while not self._waiting and not self._ends.is_set():
                    done = 0
                    self._turn.wait(LATER_S if self._later else None)
                    self._waiting.extend(self._later)
                    self._later.clear()
                if self._ends.is_set():
                    return
                news = self._waiting.popleft()
                if self.is_written(news.file_inode):
                    self._later.append(news)
                    continue
                self._busy = True
            try:
                self._call(news)
            except OSError as exc:
                log.debug("%r was not announced: %s", news.name, exc)  # gone by now, or somebody was quicker
            finally:
                self._hidden = None
                self._busy = False
            done += 1
            if done >= AT_ONCE and self._ends.wait(1 / A_SECOND):
                return

    def _call(self, news: News) -> None:
        assert self._at is not None
        directory = os.path.join(self._at, news.path)
        name, long = os.path.join(directory, news.name), os.path.join(directory, news.long)
        if news.came:
            self._hidden = news
            try:
                os.link(long, name, follow_symlinks=False)
                return
            except FileExistsError:
                pass  # some program has met the name meanwhile
            except FileNotFoundError:
                name = long  # a twin has the name
            self._hidden = None
        _touch_mode(name if self._leads_to_it(name, long) else long)

    def _leads_to_it(self, name: bytes, long: bytes) -> bool:
        try:
            return name == long or os.path.samefile(name, long)
        except FileNotFoundError:
            return False


def _touch_mode(path: bytes) -> None:
    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode))
