"""Takes files from the queue and lets them be found: in batches, by one process at a time.

    python -m tagfs.text.indexing STORE      in the background, until nothing is left; ends by itself

The queue is `pending` of the index: a file is put into it by whatever changes its name, tags,
notes, contents or holders. Rules:

- Never on the path of a command that tags: the queue is all that one writes.
- A file leaves the queue only after the batch it is in was committed, and only if nothing
  changed it meanwhile. A crash reads a batch twice, which does no harm.
- What was made from the same name, tags, notes and contents is not read again (`digest`): so
  a rebuilt index, which queues every file, costs a look at each.
- A file whose bytes should be here and are not is found by its name, and read when they come
  (queue `w`).
- The queue and the full text belong together by a number in both. Where they do not match,
  one of them was made again: all files are queued, and what the library no longer has is dropped.
- Trashed files are dropped; of files that ended, or that this node may not know any more, no
  word stays on the disk.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from pyroaring import BitMap

from tagfs.errors import LytsError
from tagfs.face import Face, extension, face_of
from tagfs.index.gather import TEXT_QUEUE, by_high
from tagfs.index.schema import U16
from tagfs.lock import hold, try_hold
from tagfs.place import places
from tagfs.store import Machine, Store, this_machine
from tagfs.term import ALL_TERM
from tagfs.text.documents import Document, TextIndexBroken
from tagfs.text.reading import Reader

if TYPE_CHECKING:
    from tagfs.index.read import View
    from tagfs.text.whooshed import WhooshIndex

BATCH_FILES = 1_000
BATCH_CHARS = 24_000_000
WAITING_QUEUE = b"w"
_TEXT_KEY = b"text"  # in meta: which full text the queue is for
_READ_BY = b"1"  # another number here, and everything is read again

_begun: list[int] = []

Told = Callable[[int, int], None]
"""Called with how many files are done and how many there are in all."""


class Done(NamedTuple):
    """What a run did. `left`: files still in the queue; `waiting`: of those done, files whose bytes are to come."""

    files: int
    left: int
    waiting: int
    troubles: list[tuple[str, str]]
    """(name, why) of files whose text could not be read."""


class _Queued(NamedTuple):
    ordinal: int
    guid: str
    face: Face
    path: str | None


def lock_path(store: Store) -> str:
    """The file that the one process holds which writes the full text; beside `text/`, which may be deleted."""
    return os.path.join(store.layout.root, "text.lock")


def waiting_in_queue(view: View) -> int:
    """How many files are to be read."""
    return sum(len(files) for _, files in _queue(view, TEXT_QUEUE))


def to_do(store: Store) -> int:
    """How many files are to be read; all of them where there is no full text yet."""
    with store.view() as view:
        known = view.tx.get(_TEXT_KEY, db=view.db["meta"])
        return waiting_in_queue(view) if known == _known_identity(store.layout.text) else view.count(ALL_TERM)


def begin_in_background(store: Store) -> None:
    """Start the process that reads what is queued, and do not wait for it: it may outlive this one."""
    for pid in list(_begun):
        if os.waitpid(pid, os.WNOHANG)[0]:
            _begun.remove(pid)
    nothing = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    arguments = [sys.executable, "-P", "-m", "tagfs.text.indexing", store.layout.root]
    # A session of its own: Ctrl-C is for who started it.
    _begun.append(os.posix_spawn(sys.executable, arguments, os.environ, file_actions=nothing, setsid=True))


def index_some(
    store: Store,
    random_bytes: Callable[[int], bytes],
    *,
    told: Told | None = None,
    ends: Callable[[], bool] = lambda: False,
) -> Done | None:
    """Work through the queue until it is empty or `ends` says so. None where another process does.

    A full text that cannot be read is made again.

    Raises:
        DiskFull, ReadOnlyStore, StoreError: what was committed before stays.
    """
    if store.read_only:
        raise store.refusal()
    with try_hold(lock_path(store)) as held:
        if not held:
            return None
        try:
            with _opened(store, random_bytes) as text:
                return _work_through(store, text, told, ends)
        except TextIndexBroken:
            shutil.rmtree(store.layout.text, ignore_errors=True)
            with _opened(store, random_bytes) as text:
                return _work_through(store, text, told, ends)


def index_all(store: Store, random_bytes: Callable[[int], bytes], *, told: Told | None = None) -> Done:
    """Throw the full text away and make it again; waits for a process that is at it. Raises as `index_some`."""
    if store.read_only:
        raise store.refusal()
    with hold(lock_path(store)):
        shutil.rmtree(store.layout.text, ignore_errors=True)
        with _opened(store, random_bytes) as text:
            return _work_through(store, text, told, lambda: False)


@contextmanager
def _opened(store: Store, random_bytes: Callable[[int], bytes]) -> Iterator[WhooshIndex]:
    """The full text, with the queue that belongs to it."""
    from tagfs.text.whooshed import WhooshIndex  # dear to load, and mostly there is nothing to do

    text = WhooshIndex(store.layout.text, create=True)
    try:
        ident = _identity(store.layout.text, random_bytes)
        with store.view() as view:
            known = view.tx.get(_TEXT_KEY, db=view.db["meta"])
        if known != ident:
            _begin_anew(store, text, ident)
        yield text
    finally:
        text.close()


def _known_identity(folder: str) -> bytes | None:
    try:
        with open(os.path.join(folder, "identity"), "rb") as file:
            return file.read(64)
    except OSError:
        return None


def _identity(folder: str, random_bytes: Callable[[int], bytes]) -> bytes:
    path = os.path.join(folder, "identity")
    found = _known_identity(folder)
    if found is None or len(found) != 32:
        found = random_bytes(16).hex().encode()
        with open(path + ".new", "wb") as file:
            file.write(found)
        os.replace(path + ".new", path)
    return found


def _begin_anew(store: Store, text: WhooshIndex, ident: bytes) -> None:
    with store.view() as view:
        living = view.posting(ALL_TERM)
        gone = [guid for guid in text.guids() if (o := view.ordinal(guid)) is None or o not in living]
    if gone:
        with text.writing() as writer:
            for guid in gone:
                writer.drop(guid, wipe=True)

    def queue_all(tx: Any, db: Any) -> None:
        _alter(tx, db, TEXT_QUEUE, living, BitMap())
        tx.put(_TEXT_KEY, ident, db=db["meta"])

    store.note_in_index(queue_all)


# -- the queue -----------------------------------------------------------------


def _queue(view: View, letter: bytes) -> Iterator[tuple[int, BitMap]]:
    cursor = view.tx.cursor(view.db["pending"])
    found = cursor.set_range(letter)
    while found:
        key, value = cursor.item()
        if key[:1] != letter:
            return
        yield U16.unpack_from(key, 1)[0], BitMap.deserialize(value)
        found = cursor.next()


def _work_through(store: Store, text: WhooshIndex, told: Told | None, ends: Callable[[], bool]) -> Done:
    done = 0
    troubles: list[tuple[str, str]] = []
    _queue_what_came(store)
    with Reader() as reader:
        while not ends():
            with store.view() as view:
                seen = view.id
                left = waiting_in_queue(view)
                ordinals = list(islice((o for _, files in _queue(view, TEXT_QUEUE) for o in files), BATCH_FILES))
            if not ordinals:
                break
            if told is not None:
                told(done, done + left)
            read, waiting = _index_batch(store, text, reader, ordinals, troubles, ends)
            if not read:
                break
            _leave_queue(store, read, waiting, seen)
            done += len(read)
    with store.view() as view:
        still = sum(len(files) for _, files in _queue(view, WAITING_QUEUE))
        return Done(done, waiting_in_queue(view), still, troubles)


def _queue_what_came(store: Store) -> None:
    """Queue files whose bytes have come since they were looked for."""
    with store.view() as view:
        waiting = [o for _, files in _queue(view, WAITING_QUEUE) for o in files]
        guids = [view.guid(o) for o in waiting]
    came = BitMap([one.ordinal for one in _looked_up(store, waiting, guids) if one.path or not one.face.listed])

    def move(tx: Any, db: Any) -> None:
        _alter(tx, db, TEXT_QUEUE, came, BitMap())
        _alter(tx, db, WAITING_QUEUE, BitMap(), came)

    if came:
        store.note_in_index(move)


def _alter(tx: Any, db: Any, letter: bytes, put: BitMap, take: BitMap) -> None:
    """Put files into a queue and take others out."""
    for high, part in by_high(put | take):
        key = letter + U16.pack(high)
        raw = tx.get(key, db=db["pending"])
        new = ((BitMap.deserialize(raw) if raw else BitMap()) | (put & part)) - (take & part)
        if new:
            tx.put(key, new.serialize(), db=db["pending"])
        elif raw:
            tx.delete(key, db=db["pending"])


def _leave_queue(store: Store, read: BitMap, waiting: BitMap, seen: int) -> None:
    """Take files that were read out of the queue, except those that changed after transaction `seen`."""

    def leave(tx: Any, db: Any) -> None:
        from tagfs.index.read import View

        changes = View(store.open_index(), tx, {}).changes_since(seen)
        stay = BitMap(read) if changes is None else BitMap().union(*(files for _, files, _, _ in changes))
        _alter(tx, db, TEXT_QUEUE, BitMap(), read - stay)
        _alter(tx, db, WAITING_QUEUE, waiting - stay, BitMap())

    store.note_in_index(leave)


# -- a batch -------------------------------------------------------------------


def _looked_up(store: Store, ordinals: list[int], guids: list[str]) -> Iterator[_Queued]:
    states = store.states(guids)
    with store.view(fresh=False) as view:
        where = places(store.layout, view, store.node)
        nodes = list(view.node_names())
        for ordinal, guid, state in zip(ordinals, guids, states, strict=True):
            face = face_of(state, store.node, nodes)
            path = where.find(face.data, face.holds) if face.listed and not face.trashed else None
            yield _Queued(ordinal, guid, face, path)


def _index_batch(
    store: Store,
    text: WhooshIndex,
    reader: Reader,
    ordinals: list[int],
    troubles: list[tuple[str, str]],
    ends: Callable[[], bool],
) -> tuple[BitMap, BitMap]:
    """Read files and commit them. Returns those that were done, and of them those whose bytes are to come."""
    with store.view(fresh=False) as view:
        guids = [view.guid(o) for o in ordinals]
    known = text.digests(guids)
    read, waiting = BitMap(), BitMap()
    puts: list[Document] = []
    drops: list[tuple[str, bool]] = []
    chars = 0
    for one in _looked_up(store, ordinals, guids):
        if ends() or chars > BATCH_CHARS:
            break
        read.add(one.ordinal)
        if not one.face.listed or one.face.trashed:
            if one.guid in known or not one.face.listed:  # it may have been dropped while it was in the trash
                drops.append((one.guid, not one.face.listed))
            continue
        if one.path is None and store.node in one.face.holds:
            waiting.add(one.ordinal)
        digest = _digest(one.face, one.path is not None)
        if known.get(one.guid) == digest:
            continue
        contents = ""
        if one.path is not None:
            contents, trouble = reader.read(one.path, extension(one.face.name))
            if trouble:
                troubles.append((one.face.name, trouble))
        puts.append(Document(one.guid, digest, one.face.name, one.face.tags, one.face.notes, contents))
        chars += len(contents)
    if puts or drops:
        with text.writing() as writer:
            for guid, wipe in drops:
                writer.drop(guid, wipe=wipe)
            for document in puts:
                writer.put(document)
    return read, waiting


def _digest(face: Face, is_here: bool) -> bytes:
    whole = blake2b(_READ_BY, digest_size=16)
    for part in (face.name, *face.tags, "", face.notes, face.sha256 if is_here else ""):
        raw = part.encode("utf-8", "surrogatepass")
        whole.update(len(raw).to_bytes(4, "big") + raw)
    return whole.digest()


# -- the process ---------------------------------------------------------------

NICENESS = 10


def main(argv: list[str], machine: Machine) -> int:
    """The process. Returns its exit status."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    os.nice(NICENESS)
    try:
        with Store(argv[1], machine) as store:
            done = index_some(store, machine.random_bytes, ends=lambda: bool(ended))
    except (LytsError, OSError) as exc:
        sys.stdout.write(f"{exc}\n")
        return 1
    for name, why in done.troubles if done is not None else ():
        sys.stdout.write(f"no text of {name!r} can be found: {why}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv, this_machine()))
