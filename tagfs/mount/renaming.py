"""Names that programs take away, give and exchange: removals, moves, links, and the saves among them.

What a removal or move means comes from `views.effects` (the table of operations) and
`views.saving` (what a save means); here it becomes facts and movements of bytes.
"""

from __future__ import annotations

import errno
import os

from tagfs import xdg
from tagfs.bytes import hash_file, try_link
from tagfs.change import Change
from tagfs.fact import Purge
from tagfs.glossary import TAG_THING
from tagfs.guid import Guid, new_guid
from tagfs.index.read import View
from tagfs.merge import FileState
from tagfs.mount.acting import Statements
from tagfs.mount.answer import Refused, fail
from tagfs.mount.contents import state_content
from tagfs.mount.directories import Known
from tagfs.mount.newborn import Newborn, inode_of_guid
from tagfs.mount.writing import Writing
from tagfs.views import attributes, effects, saving, tree
from tagfs.views.desktop import ENDING, is_note, notes_beside
from tagfs.views.directory import HOLDS_FILES, Directory, Kind
from tagfs.views.matrix import NOT_A_NOTE, Effect, Operation, Refusal, rule
from tagfs.views.names import new_name, shown_form, strip_own_suffix
from tagfs.views.temporary import companions

ALIASES_KEPT = 4096


class Renaming(Writing):
    """Removing, renaming, moving and linking."""

    # -- removing

    def _brake_on(self, directory: Directory, pid: int) -> None:
        if rule(directory, Operation.REMOVE) is Effect.TRASH_WITH_BRAKE:
            refusal = self._brake.refuse(self._process(pid), self._now() // 1_000_000)
            if refusal is not None:
                raise Refused(refusal)

    def unlink(self, known: Known, name: bytes, pid: int) -> None:
        """A program removes a name."""
        found = self._found(known, name)
        if found is None:
            fail(errno.ENOENT if known.directory.kind is not Kind.ROOT else errno.EPERM)
        tgid, now = self._process(pid), self._now()
        if isinstance(found, Newborn):
            outcome = self._saving.unlink(known.directory.path, name, found.guid, tgid, now, in_scratch=True)
            if isinstance(outcome, saving.DropBackup):
                self._keep_as_version(outcome.original, found.path)
            self.nursery.remove(found)
            known.sticky.vacate(found.name, self._files(self.looks.view(), known))
            return
        view = self.looks.view()
        guid = view.guid(found)
        self._brake_on(known.directory, pid)
        state = self.contents.state(view, found)
        fresh = guid in self._makers and now - self._makers[guid][1] < saving.YOUNG_NS
        planned = effects.on_remove(view, state, known.directory, fresh=fresh)
        if isinstance(planned, Refusal):
            raise Refused(planned)
        outcome = self._saving.unlink(known.directory.path, name, guid, tgid, now, _undo_of(planned))
        path = self.contents.path(view, found)
        if isinstance(outcome, saving.DropBackup) and path is not None:
            self._keep_as_version(outcome.original, path)
            self._end(Guid(guid), path, pid)
        else:
            self._about(pid, guid, lambda change, state: planned, frees_space=True)
            if planned.get("trash"):
                self.desktop.came(guid, known.directory)
            # To the kernel it was the last link, and `ln` of the same file elsewhere would be ENOENT.
            self.live.forget_attributes(inode_of_guid(guid))
        known.sticky.left(found, effects.name_of(state).encode("utf-8", "surrogatepass"))

    def _keep_as_version(self, guid: str, path: str) -> None:
        """A backup goes: its bytes are a version of what it was a backup of."""
        if not os.path.exists(path) or self.nursery.path_for(guid) == path:
            return
        if not self.contents.is_kept(guid, path):  # as it nearly always is
            self.contents.keep_version(guid, path, hash_file(path), link=True)

    def _end(self, guid: Guid, path: str, pid: int) -> None:
        """A file whose bytes stand elsewhere by now leaves no trace."""

        def state(change: Change, known: FileState) -> Statements:
            hashes = sorted({content.sha256 for content in known.contents.values()})
            return {"purge": Purge(content=hashes, seen=dict(known.latest))}

        self.nursery.in_flux(guid, path)
        self._about(pid, guid, state, frees_space=True)
        os.unlink(path)
        self.nursery.at_rest(guid)

    # -- renaming

    async def rename_aside(
        self, source: Known, name: bytes, target: Known, to_name: bytes, flags: int, pid: int
    ) -> None:
        """`rename`; what is hashed and copied for it (rsync renames all it copies) is so while other requests go on."""
        if self._read_only:
            fail(errno.EROFS)
        newborn = self.nursery.find(source.directory.path, name)
        if newborn is not None:
            await self.hash_ahead(newborn.inode, newborn.path)
        async with self._ahead(self._are_saved_into(source, name, target, new_name(to_name), flags)):
            await self.turn.take(self.rename, source, name, target, to_name, flags, pid)

    def _are_saved_into(self, source: Known, name: bytes, target: Known, to_name: bytes, flags: int) -> list[str]:
        """The files whose bytes may be replaced if this is renamed, since it may be a save."""
        if source is not target:
            return []
        view = self.looks.view()
        mine, other = (self._guid_under(view, source, one) for one in (name, to_name))
        exchanges = bool(flags & saving.RENAME_EXCHANGE)
        if not any(self._saving.may_save(guid, self._now()) for guid in (mine, other if exchanges else None) if guid):
            return []
        return [guid for guid in (mine, other, *self._saving.may_come_back(source.directory.path, to_name)) if guid]

    def _guid_under(self, view: View, known: Known, name: bytes) -> str | None:
        newborn = self.nursery.find(known.directory.path, name)
        if newborn is not None:
            return newborn.guid
        ordinal = self.resolve(view, known, name) if known.directory.kind in HOLDS_FILES else None
        return view.guid(ordinal) if ordinal is not None else None

    def rename(self, source: Known, name: bytes, target: Known, to_name: bytes, flags: int, pid: int) -> None:
        """A program renames or moves."""
        found = self._found(source, name)
        if found is None:
            self._rename_directory(source, name, target, to_name, pid)
            return
        wanted = new_name(to_name)
        standing = self._found(target, wanted)
        if standing is not None and flags & saving.RENAME_NOREPLACE:
            fail(errno.EEXIST)
        if target.directory.kind is Kind.DESKTOP_FILES and source is not target:
            standing = None  # it stays in the trash, and has the name made of its GUID from here on
        if isinstance(found, Newborn):
            self._rename_newborn(source, found, target, wanted, standing, flags, pid)
        else:
            self._rename_file(source, name, found, target, wanted, standing, flags, pid)

    def _rename_newborn(
        self,
        source: Known,
        newborn: Newborn,
        target: Known,
        name: bytes,
        standing: Newborn | int | None,
        flags: int,
        pid: int,
    ) -> None:
        if standing is newborn:
            return  # the same name, spelled otherwise
        if source is not target:
            for directory, operation in ((source, Operation.MOVE_OUT), (target, Operation.MOVE_IN)):
                self._refuse(rule(directory.directory, operation))
        if target.directory.kind is Kind.DESKTOP_INFO and (flags & saving.RENAME_EXCHANGE or not is_note(name)):
            raise Refused(NOT_A_NOTE)
        if rule(target.directory, Operation.MOVE_IN) is Effect.TRASH:
            old = newborn.name
            self._give_birth(newborn, pid)
            self.rename(source, old, target, name, flags, pid)
            return
        if flags & saving.RENAME_EXCHANGE:
            if standing is None:
                fail(errno.ENOENT)
            old = newborn.name
            self._give_birth(newborn, pid)
            if isinstance(standing, Newborn):
                self._give_birth(standing, pid)
            self.rename(source, old, target, name, flags, pid)
            return
        tags: list[str] | Refusal = newborn.tags
        if target is not source:
            tags = effects.on_create(self.looks.view(), target.directory, name)
            if isinstance(tags, Refusal):
                raise Refused(tags)
        assert not isinstance(tags, Refusal)
        tgid, now = self._process(pid), self._now()
        target_guid = self.looks.view().guid(standing) if isinstance(standing, int) else None
        old_name = newborn.name
        outcome = self._saving.rename(
            source.directory.path,
            old_name,
            newborn.guid,
            target.directory.path,
            name,
            target_guid,
            tgid,
            now,
            flags,
            in_scratch=True,
        )
        if isinstance(outcome, saving.Refused):
            fail(int(getattr(errno, outcome.errno_name)))
        if isinstance(standing, Newborn):
            self.nursery.remove(standing)
            target.sticky.vacate(standing.name, self._files(self.looks.view(), target))
        if isinstance(outcome, saving.TakeBytes):
            if outcome.first is None or self._come_back(target, name, outcome.first, pid, empty=False) is not None:
                self._take_bytes(target, Guid(outcome.target), newborn, name, pid)
                source.sticky.vacate(old_name, self._files(self.looks.view(), source))
                return
        elif target_guid is not None and isinstance(standing, int):
            self._about(pid, target_guid, lambda change, state: {"trash": True})
            target.sticky.left(standing, self.looks.view().name(standing).encode("utf-8", "surrogatepass"))
        newborn.companion = self._is_companion(target, name)
        self.nursery.move(newborn, target.directory.path, name, list(tags))
        source.sticky.vacate(old_name, self._files(self.looks.view(), source))
        target.sticky.occupy(name)
        self._grow_up(newborn)

    def _rename_file(
        self,
        source: Known,
        name: bytes,
        ordinal: int,
        target: Known,
        to_name: bytes,
        standing: Newborn | int | None,
        flags: int,
        pid: int,
    ) -> None:
        view = self.looks.view()
        state = self.contents.state(view, ordinal)
        guid = state.guid
        has = effects.name_of(state).encode("utf-8", "surrogatepass")
        if flags & saving.RENAME_EXCHANGE and isinstance(standing, Newborn):
            old = standing.name
            self._give_birth(standing, pid)
            self.rename(source, name, target, old, flags, pid)
            return
        plain = strip_own_suffix(to_name, guid, has)
        if source.directory.kind is Kind.DESKTOP_FILES and to_name == name:
            plain = has  # what it is called there is no name of its own
        text = plain.decode("utf-8", "surrogatepass")
        same = source is target
        exchanged = bool(flags & saving.RENAME_EXCHANGE)
        planned: Statements | Refusal = {}
        if same and not exchanged:
            planned = effects.on_rename(state, source.directory, text)
        elif not exchanged:
            planned = effects.on_move(view, state, source.directory, target.directory, text)
        if isinstance(planned, Refusal):
            raise Refused(planned)
        other = view.guid(standing) if isinstance(standing, int) else None
        undo: Statements = {"name": has.decode("utf-8", "surrogatepass")} if same else _undo_of(planned)
        outcome = self._saving.rename(
            source.directory.path,
            name,
            guid,
            target.directory.path,
            to_name,
            other,
            self._process(pid),
            self._now(),
            flags,
            undo,
        )
        if isinstance(outcome, saving.Refused):
            fail(int(getattr(errno, outcome.errno_name)))
        if isinstance(outcome, saving.Nothing):
            return
        if isinstance(outcome, saving.ExchangeBytes):
            self._exchange_bytes(source, name, to_name, Guid(outcome.keeps), Guid(outcome.made), pid)
            return
        if isinstance(outcome, saving.ExchangeNames):
            assert isinstance(standing, int)
            self._exchange_names(source, name, ordinal, target, to_name, standing, pid)
            return
        if isinstance(standing, Newborn):
            self.nursery.remove(standing)
            target.sticky.vacate(standing.name, self._files(view, target))
        if isinstance(outcome, saving.TakeBytes):
            if outcome.first is None or self._come_back(target, to_name, outcome.first, pid, empty=False) is not None:
                self._take_bytes_of_file(target, Guid(outcome.target), Guid(outcome.source), to_name, pid)
                source.sticky.left(ordinal, has)
                return
            outcome = saving.Move()
        to_trash = outcome.to_trash

        def state_move(change: Change) -> None:
            if to_trash is not None:
                change.about_file(to_trash, trash=True)
            if planned:
                change.about_file(guid, **planned)

        self._act(pid, state_move)
        if "name" in planned:
            self._is_called_otherwise(ordinal, has.decode("utf-8", "surrogatepass"), planned["name"])
        if source is not target:
            source.sticky.left(ordinal, has)
        if isinstance(standing, int):
            # Its own name, which need not be the one it was replaced under.
            target.sticky.left(standing, self.looks.view().name(standing).encode("utf-8", "surrogatepass"))
        if rule(target.directory, Operation.MOVE_IN) is Effect.TRASH:
            self._is_in_trash(source, guid, target, to_name)
        view = self.looks.view()
        if target.directory.kind is Kind.DESKTOP_FILES:
            plain = to_name  # `Desktop` has it
        elif shown_form(plain) == shown_form(to_name):
            target.sticky.takes_over(plain, ordinal, self._files(view, target))
        else:
            self.live.forget_entry(target.inode, to_name)
        self._bring_companions(source, name, target, plain)

    def _is_in_trash(self, source: Known, guid: str, target: Known, name: bytes) -> None:
        """A file was moved to the trash; in `.Trash-UID/files/` it has the name that its mover chose."""
        if target.directory.kind is not Kind.DESKTOP_FILES:
            self.desktop.came(guid, source.directory)
            return
        self.desktop.came(guid, source.directory, name)
        # The kernel has moved what it knew under the other name here, and would keep it whatever becomes of the file.
        self.live.forget_entry(target.inode, name)
        note = self.nursery.find(notes_beside(target.directory.path), name + ENDING)
        if note is not None:
            self.nursery.remove(note)

    def _bring_companions(self, source: Known, name: bytes, target: Known, to_name: bytes) -> None:
        """What a database keeps beside it goes with it."""
        for old, new in zip(companions(name), companions(to_name), strict=True):
            found = self.nursery.find(source.directory.path, old)
            if found is not None and self._found(target, new) is None:
                self.nursery.move(found, target.directory.path, new, list(target.directory.tags))
                source.sticky.vacate(old, self._files(self.looks.view(), source))
                target.sticky.occupy(new)
                self.live.forget_entry(source.inode, old)

    # -- taking bytes

    def _take_bytes(
        self, known: Known, guid: Guid, newborn: Newborn, name: bytes, pid: int, digest: str | None = None
    ) -> None:
        """Rule 1: a file takes the bytes that a program wrote beside it; its old ones are a version.

        Args:
            digest: SHA-256 of the new ones, where it is at hand.
        """
        view = self.looks.view()
        ordinal = self._ordinal_of(view, guid)
        path = self.contents.path(view, ordinal)
        if path is None:
            fail(errno.ENODATA)
        digest = digest or self.following.digest(newborn.inode, newborn.path)
        self.following.forget(newborn.inode)
        old_digest = self._digest_of(guid, path)
        self._in_flux(guid, path)
        ground = self.nursery.ground_of(guid) or ""
        self._replace(guid, path, newborn.path, old_digest)
        self.nursery.drop(newborn)

        def state(change: Change) -> None:
            state_content(change, guid, path, digest, ground)
            if newborn.mode_was_set and change.state(guid).registers.get("mode", ("", 0o644))[1] != newborn.mode:
                change.about_file(guid, mode=newborn.mode)
            self.contents.state_xattrs(change, guid, newborn.xattrs)

        self._act(pid, state)
        for handle in self.handles.of(newborn.inode):
            self.handles.become(handle, guid, path)
        self._is_stated(guid)
        # The kernel moves the inode of the temporary under the name; it stands for the file until it looks again.
        self._stands_for(newborn.inode, guid)
        self.live.forget_entry(known.inode, name)
        self.live.forget_bytes(inode_of_guid(guid))
        self._has_name(self.looks.view(), known, name, guid)

    def _stands_for(self, inode: int, guid: str) -> None:
        for alias, other in self._stand_ins.items():
            if inode_of_guid(other) == inode:
                self._stand_ins[alias] = guid
        self._stand_ins[inode] = guid
        if len(self._stand_ins) > ALIASES_KEPT:
            self._stand_ins.popitem(last=False)

    def _take_bytes_of_file(self, known: Known, target: Guid, source: Guid, name: bytes, pid: int) -> None:
        """Rule 1 where what was made is a file of the library already: its bytes go over, it leaves no trace."""
        view = self.looks.view()
        ordinal = self._ordinal_of(view, source)
        path = self.contents.path(view, ordinal)
        if path is None:
            fail(errno.ENODATA)
        state = self.contents.state(view, ordinal)
        draft = self.nursery.new(new_guid(self._store.machine.random_bytes(16)), "", name, [])
        mode = state.registers.get("mode")
        if mode is not None:
            draft.mode, draft.mode_was_set = int(mode[1]), True
        for attribute in attributes.list_xattrs(state):
            value = attributes.get_xattr(view, state, attribute)
            if attribute != xdg.TAGS and isinstance(value, bytes):
                draft.xattrs[attribute] = value
        digest, elsewhere = self._digest_of(source, path), self.live.names_elsewhere(view, ordinal, but=known.inode)
        if not try_link(path, draft.path):
            self.contents.copies.put(path, draft.path)
        self._take_bytes(known, target, draft, name, pid, digest)
        there = self.contents.path(self.looks.view(), self._ordinal_of(self.looks.view(), target))
        for handle in self.handles.of(inode_of_guid(source)):
            if there is not None:
                self.handles.become(handle, target, there)
        self._end(source, path, pid)
        self._stands_for(inode_of_guid(source), target)
        # Where else the source was shown its name leads to the target, as the kernel knows it, until it is told.
        for entry in elsewhere:
            self.live.forget_entry(*entry)
        self.live.doubt(inode_of_guid(source))

    # -- exchanging

    def _exchange_names(
        self, source: Known, name: bytes, ordinal: int, target: Known, to_name: bytes, standing: int, pid: int
    ) -> None:
        """RENAME_EXCHANGE of two files of one directory: each is called as the other was."""
        view = self.looks.view()
        mine, other = (view.name(o).encode("utf-8", "surrogatepass") for o in (ordinal, standing))
        if source is not target or (shown_form(mine), shown_form(other)) != (new_name(name), new_name(to_name)):
            # A long name belongs to one file, and tags are not exchanged.
            fail(errno.EINVAL)
        guids = view.guid(ordinal), view.guid(standing)

        def state(change: Change) -> None:
            for guid, wanted in zip(guids, (other, mine), strict=True):
                said = effects.on_rename(change.state(guid), source.directory, wanted.decode("utf-8", "surrogatepass"))
                if isinstance(said, Refusal):
                    raise Refused(said)
                change.about_file(guid, **said)

        self._act(pid, state)
        names = [name.decode("utf-8", "surrogatepass") for name in (mine, other)]
        self._is_called_otherwise(ordinal, *names)
        self._is_called_otherwise(standing, *reversed(names))
        files = self._files(self.looks.view(), source)
        source.sticky.takes_over(other, ordinal, files)
        source.sticky.takes_over(mine, standing, files)

    def _exchange_bytes(self, known: Known, name: bytes, to_name: bytes, keeps: Guid, made: Guid, pid: int) -> None:
        """RENAME_EXCHANGE as a way to save: both stay where they are, and their bytes change places."""
        view = self.looks.view()
        ordinals = [self._ordinal_of(view, guid) for guid in (keeps, made)]
        paths = [self.contents.path(view, ordinal) for ordinal in ordinals]
        mine, other = paths
        if mine is None or other is None:
            fail(errno.ENODATA)
        drafts = [self.contents.copies.draft() for _ in paths]
        digests = [self._digest_of(guid, path) for guid, path in ((keeps, mine), (made, other))]
        for guid, path, digest, draft in zip((keeps, made), (mine, other), digests, drafts, strict=True):
            self.contents.give_to_backup(guid, path, digest, draft, in_use=self._is_written(guid))
        for guid, path, digest, draft in zip((keeps, made), (mine, other), digests, reversed(drafts), strict=True):
            self._in_flux(guid, path)
            self._replace(guid, path, draft, digest)
        for guid, path, digest in zip((keeps, made), (mine, other), reversed(digests), strict=True):
            self._state_bytes(guid, path, self._process(pid), digest)
        # The kernel has exchanged what the two names lead to.
        for one, guid in ((name, keeps), (to_name, made)):
            self.live.forget_entry(known.inode, one)
            self.live.doubt(inode_of_guid(guid))

    # -- tags

    def _rename_directory(self, source: Known, name: bytes, target: Known, to_name: bytes, pid: int) -> None:
        view = self.looks.view()
        text, wanted = name.decode("utf-8", "surrogateescape"), to_name.decode("utf-8", "surrogateescape")
        directory = tree.child_directory(view, source.directory, text, self._clock())
        if directory is None:
            fail(errno.ENOENT)
        self.about_tags(
            lambda change: effects.on_rename_directory(
                change.view, directory, target.directory, wanted, lambda tag: change.thing(TAG_THING, tag)
            ),
            pid,
        )
        self.live.forget_entry(target.inode, to_name)

    def rmdir(self, known: Known, name: bytes, pid: int) -> None:
        """A program removes a directory: a tag without files, or a saved query."""
        text = name.decode("utf-8", "surrogateescape")
        child = tree.child_directory(self.looks.view(), known.directory, text, self._clock())
        if child is None:
            fail(errno.ENOENT)
        view = self.looks.view()
        if child.only_tag is not None and any(
            view.canonical(tag) == view.canonical(child.only_tag) for newborn in self.nursery for tag in newborn.tags
        ):
            fail(errno.ENOTEMPTY)  # in scratch, but it is shown here, and would be nowhere
        self.about_tags(
            lambda change: effects.on_rmdir(
                change.view, known.directory, child, lambda tag: change.thing(TAG_THING, tag)
            ),
            pid,
        )

    def link(self, inode: int, known: Known, name: bytes, operation: Operation, pid: int) -> None:
        """`ln`: one more tag."""
        newborn = self.newborn(inode)
        if newborn is not None:
            fail(errno.EPERM)
        view = self.looks.view()
        ordinal = self.ordinal(view, inode)
        guid, has = view.guid(ordinal), view.name(ordinal)
        text = strip_own_suffix(new_name(name), guid, has.encode()).decode()
        self._about(
            pid, guid, lambda change, state: effects.on_link(change.view, state, known.directory, text, operation)
        )
        # The kernel knows the name from now on, without having asked for it: it is given out.
        view = self.looks.view()
        self._files(view, known)
        self._has_name(view, known, name, guid)


def _undo_of(planned: Statements) -> Statements:
    """The statements that take back a removal or move, for a save that turns out to be one."""
    undo: Statements = {}
    if planned.get("untag"):
        undo["tag"] = sorted(planned["untag"])
    if planned.get("trash"):
        undo["trash"] = False
    return undo
