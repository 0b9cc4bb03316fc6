"""What programs change through the mount: all of it together, with attributes, and what is due by time.

`acting` finds files and states facts, `writing` has the bytes, `renaming` the names; the
decisions come from `views.effects` (the table of operations) and `views.saving` (what a
save means). This is what the adapter has in its hands.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from typing import ParamSpec

import pyfuse3

from tagfs import xdg
from tagfs.change import Change
from tagfs.errors import LytsError, StoreError
from tagfs.guid import Guid, new_guid
from tagfs.merge import FileState
from tagfs.mount.acting import Statements
from tagfs.mount.answer import Refused, fail
from tagfs.mount.loop import aside
from tagfs.mount.newborn import FILE_BIT, Newborn, inode_of_guid
from tagfs.mount.renaming import Renaming
from tagfs.views import attributes, saving
from tagfs.views.desktop import is_for_notes
from tagfs.views.matrix import Effect, Refusal
from tagfs.views.temporary import ORDINARY_AFTER_NS, becomes_ordinary, database_of

log = logging.getLogger(__name__)

P = ParamSpec("P")

TAGS_BY_MAKER_NS = 60 * 10**9
"""So long `user.xdg.tags` set by the process that made a file adds to the tags of the path."""
SYNC_TICKS = 3
STUCK_TICKS = 8
ANEW_TICKS = 40
AGE_TICKS = 240


class Changes(Renaming):
    """The changing side of a mount. Trio thread only."""

    # -- starting

    def take_up(self) -> None:
        """What a crash left: newborns in scratch, and files that were being written. Not while another mount runs."""
        if self._read_only or not self.nursery.am_alone():
            return
        try:
            # What was born when the mount ended may be in the ledger only, and must not be born twice.
            self._store.act(lambda change: None, durable=False)
        except StoreError as exc:
            log.error("what stands in scratch is left to the next mount: %s", exc)
            self.nursery.share()
            return
        self.looks.drop()
        self.nursery.sweep()
        for newborn in sorted(self.nursery.gather(), key=_changed_ns):
            if is_for_notes(newborn.directory):
                os.unlink(newborn.path)  # about a file that did not come
                continue
            if self._is_born_already(newborn):
                continue
            self.nursery.add(newborn)
            # A save goes on where the mount ended: what was just written may still be renamed over a file.
            age_ns = self._clock().now_ms * 1_000_000 - _changed_ns(newborn)
            self._saving.made(newborn.guid, self._now() - max(0, age_ns))
            database = database_of(newborn.name)
            newborn.companion = database is not None
            self._try(self._grow_up, newborn)
        for guid, ends_at in self.nursery.left_in_flux():
            self._try(self._look_again, guid, ends_at)
        self.nursery.share()

    def _try(self, do: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do something that nobody waits for; what goes wrong is logged and tried again later."""
        try:
            do(*args, **kwargs)
        except (OSError, LytsError, Refused, pyfuse3.FUSEError) as exc:
            log.error("to be tried again: %s", exc)

    def _is_born_already(self, newborn: Newborn) -> bool:
        """Whether a newborn is a file of the library: the mount ended before it was taken out of scratch."""
        view = self.looks.view()
        ordinal = view.ordinal(newborn.guid)
        if ordinal is None:
            return False
        path = self.contents.path(view, ordinal)
        if path is not None and os.path.samefile(path, newborn.path):
            self.contents.is_born(newborn, path)
            return True
        guid = new_guid(self._store.machine.random_bytes(16))  # other bytes: when in doubt, both
        os.rename(newborn.path, self.nursery.path_for(guid))
        newborn.become(guid, self.nursery.path_for(guid))
        return False

    def _look_again(self, guid: Guid, ends_at: str) -> None:
        """State what the bytes of a file are that was being written when a mount ended."""
        view = self.looks.view()
        ordinal = view.ordinal(guid)
        path = self.contents.path(view, ordinal) if ordinal is not None else None
        state = self._state(guid)
        if state.is_purged():
            if ends_at and os.path.exists(ends_at):
                os.unlink(ends_at)
        elif path is not None:
            self._state_bytes(guid, path, saving.UNKNOWN)
        self.nursery.at_rest(guid)

    # -- attributes

    def _state_about(self, inode: int, pid: int, decide: Callable[[Change, FileState], Statements | Refusal]) -> None:
        view = self.looks.view()
        self._about(pid, view.guid(self.ordinal(view, inode)), decide)

    def chmod(self, inode: int, mode: int, pid: int) -> None:
        """Permissions are kept in the face; those of the bytes stay private."""
        newborn = self.newborn(inode)
        if newborn is not None:
            newborn.mode, newborn.mode_was_set = mode & 0o7777, True
            if not newborn.removed:
                newborn.remember()
            return
        self._state_about(inode, pid, lambda change, state: attributes.on_chmod(state, mode))

    def utimens(self, inode: int, mtime_ns: int, pid: int) -> None:
        """The time is kept in the face, and beside the bytes."""
        newborn = self.newborn(inode)
        if newborn is not None:
            os.utime(self._open_path(newborn), ns=(mtime_ns, mtime_ns))
            return
        view = self.looks.view()
        path = self.contents.path(view, self.ordinal(view, inode))
        if path is not None:
            os.utime(path, ns=(mtime_ns, mtime_ns))
        if not self.handles.any_dirty(self.real_inode(inode)):
            self._state_about(inode, pid, lambda change, state: attributes.on_utimens(state, mtime_ns))

    def get_xattr(self, inode: int, name: str) -> bytes:
        """An extended attribute of a file."""
        newborn = self.newborn(inode)
        view = self.looks.view()
        if newborn is not None:
            if name == attributes.ID:
                return newborn.guid.encode()
            if name == xdg.TAGS and name not in newborn.xattrs and newborn.tags:
                return xdg.tags_as_xattr(newborn.tags)
            return newborn.xattrs[name] if name in newborn.xattrs else fail(errno.ENODATA)
        found = attributes.get_xattr(view, self.contents.state(view, self.ordinal(view, inode)), name)
        return fail(found.errno) if isinstance(found, Refusal) else found

    def list_xattrs(self, inode: int) -> list[str]:
        """The names of the extended attributes of a file."""
        newborn = self.newborn(inode)
        if newborn is not None:
            # Not the tags of the path: what is listed and not in its source, rsync -X takes away.
            return sorted(newborn.xattrs)
        view = self.looks.view()
        return attributes.list_xattrs(self.contents.state(view, self.ordinal(view, inode)))

    def _set_newborn_xattr(self, newborn: Newborn, name: str, value: bytes | None) -> None:
        if value is None:
            if name not in newborn.xattrs:
                fail(errno.ENODATA)
            del newborn.xattrs[name]
        else:
            said = attributes.set_xattr(self.looks.view(), self._state(newborn.guid), name, value, adds=True)
            self._refuse(said if isinstance(said, Refusal) else Effect.ATTRIBUTE)
            newborn.xattrs[name] = value
        if not newborn.removed:
            newborn.remember()

    def set_xattr(self, inode: int, name: str, value: bytes | None, pid: int) -> None:
        """Set an extended attribute, or remove it."""
        if self._read_only:
            fail(errno.EROFS)
        newborn = self.newborn(inode)
        if newborn is not None:
            self._set_newborn_xattr(newborn, name, value)
            return
        if not inode & FILE_BIT:
            fail(errno.EPERM)
        view = self.looks.view()
        guid = view.guid(self.ordinal(view, inode))
        maker, when = self._makers.get(guid, (0, 0))
        adds = maker == self._process(pid) and self._now() - when < TAGS_BY_MAKER_NS

        def decide(change: Change, state: FileState) -> Statements | Refusal:
            if value is None:
                return attributes.remove_xattr(change.view, state, name)
            return attributes.set_xattr(change.view, state, name, value, adds=adds)

        self._about(pid, guid, decide)

    # -- time

    async def take_in_aside(self) -> None:
        """Before `tick`: take in what other nodes stated in a thread, since it may be much; other requests go on."""
        try:
            if not self._read_only and self._store.is_behind(but_for_own=True):
                await aside(self._store.catch_up_beside)
        except Exception as exc:  # noqa: BLE001 - `tick` tries as well, and says what is wrong
            log.debug("what others stated was not taken in aside: %s", exc)

    def tick(self) -> None:
        """A few times a second: what others changed is told to the kernel, facts become durable, temporaries age."""
        self._ticks += 1
        self.desktop.forget_notes()
        self.following.forget_removed()
        try:
            if not self._read_only:
                self._take_in_what_others_stated()
            self.looks.drop()
            while self.gathering.births.transactions:
                self.live.did(self.gathering.births.transactions.popleft())
            self.live.look(self.looks.view(), self._clock())
            self.contents.look_anew(self.looks.view())
            if self._ticks % SYNC_TICKS == 0 and self._store.has_unsynced:
                self.gathering.sync_soon()
        except Exception as exc:  # it must not end the mount; the next tick tries again
            log.error("a look at what changed failed: %s", exc, exc_info=exc)
        if self._ticks % ANEW_TICKS == 0:
            with self.turn.if_free() as free:
                if free:
                    self._state_what_was_not()
        if self._ticks % AGE_TICKS == 1:
            with self.turn.if_free() as free:
                if free:
                    self._age()

    def _take_in_what_others_stated(self) -> None:
        """Take in what other nodes stated. The births of this mount come from the thread, unless it failed."""
        self.looks.drop()
        oldest = self.gathering.oldest
        if oldest != self._oldest[0]:
            self._oldest = oldest, self._ticks
        elif oldest is not None and self._ticks - self._oldest[1] >= STUCK_TICKS:
            self.gathering.failed = True
        thread_does_ours = bool(self.gathering) and not self.gathering.failed
        self._store.catch_up_if_behind(tries=1, but_for_own=thread_does_ours)
        self.looks.view()
        if not self.gathering:
            self.gathering.failed = False

    def _state_what_was_not(self) -> None:
        """What could not be stated when it was closed: there may be room again."""
        for guid, path in list(self._unstated.items()):
            self._try(self._state_if_quick, Guid(guid), path)
        for newborn in self.nursery:
            if not newborn.is_temporary and not newborn.handles:
                self._try(self._give_birth_if_quick, newborn)

    def _state_if_quick(self, guid: Guid, path: str) -> None:
        inode = inode_of_guid(guid)
        if self.following.is_ready(inode, path):
            self._state_bytes(guid, path, saving.UNKNOWN)
            self._is_followed_no_more(inode)

    def _age(self) -> None:
        self._try(lambda: self._upkeep.tick(self.looks.view(), self._now()))
        self._try(lambda: self._pages.tick(self.looks.view().id, self._now()))
        now = self._clock().now_ms * 1_000_000
        for newborn in self.nursery:
            try:
                age = now - os.stat(newborn.path).st_mtime_ns
            except OSError:
                continue
            if is_for_notes(newborn.directory):
                if age >= ORDINARY_AFTER_NS and not newborn.handles:
                    self.nursery.remove(newborn)
                continue
            if newborn.companion and self._database_stands(newborn):
                continue
            if newborn.is_temporary and becomes_ordinary(newborn.name, age, newborn.handles > 0):
                self._try(self._give_birth_if_quick, newborn)

    def _give_birth_if_quick(self, newborn: Newborn) -> None:
        """A newborn becomes a file of the library; a large one when it is hashed, at a later tick."""
        if self.following.is_ready(newborn.inode, newborn.path):
            self._give_birth(newborn, saving.UNKNOWN)
            self._is_followed_no_more(newborn.inode)

    def _database_stands(self, newborn: Newborn) -> bool:
        database = database_of(newborn.name)
        known = self.directories.with_path(newborn.directory)
        # Where nobody looks into that directory, nobody asks either.
        return known is None or database is None or self._found(known, database) is not None

    def finish(self) -> None:
        """State what is still open, and make everything durable."""
        for number in self.handles.numbers():
            self.release(number)
        self._try(self.catch_up)
        self.gathering.end()
        self.nursery.notes.end(any_left=any(True for _ in self.nursery))
        self._upkeep.finish()
        self._pages.finish()
        self.following.finish()
        self.looks.drop()
        self.live.finish()
        self._store.sync_ledger()


def _changed_ns(newborn: Newborn) -> int:
    """When a newborn was last written; not when its program says it was (rsync sets the time of the original)."""
    return os.stat(newborn.path).st_ctime_ns
