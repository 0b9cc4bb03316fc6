"""The index of the full text: whoosh, behind one class.

Rules:

- Nothing outside of this module knows whoosh. It is imported here alone, and this module
  only by what searches or indexes.
- whoosh is told the words and how often they stand in each field, and nothing of where:
  positions would double the index. Whether words follow each other is looked at in what is
  kept of each file (`documents.is_answered`).
- Files are known by GUID. Their numbers in the other index change when that is rebuilt.
- whoosh keeps its table of segments as a pickle. A store may come from anywhere, so only the
  handful of names are unpickled that it writes itself (`_SafeUnpickler`).
- Whatever goes wrong inside of whoosh is `TextIndexBroken`, and answered by making it again:
  it has errors of every kind for files that were cut or changed.
- One writer at a time: who writes holds a lock of ours (`indexing`).
"""

from __future__ import annotations

import io
import os
import pickle
import shutil
import warnings
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import msgspec

from tagfs.errors import DiskFull
from tagfs.index.env import is_full
from tagfs.layout import CACHE_TAG, make_folder, write_private
from tagfs.text.documents import (
    MOST_KEPT_CHARS,
    Document,
    Found,
    Hit,
    Kept,
    TextIndexBroken,
    Writer,
    clean,
    fields_of,
    is_answered,
    words_of_field,
)
from tagfs.text.question import CONTENTS, FIELDS, NAME, NOTES, TAGS, Part, Question

with warnings.catch_warnings():
    # Written for Python 3.3: escapes in its strings that newer ones warn of.
    warnings.simplefilter("ignore")
    import whoosh.codec.whoosh3
    import whoosh.columns
    import whoosh.filedb.structfile
    import whoosh.index
    from whoosh import fields, formats, query, scoring
    from whoosh.filedb.filestore import FileStorage

FORMAT = "1"
_FORMAT_FILE = "format"
_BOOSTS = {NAME: 4.0, TAGS: 3.0, NOTES: 2.0, CONTENTS: 1.0}
_LIMIT_MB = 256
"""What a batch may gather in memory before whoosh sorts it on disk."""
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[bytes, Kept]).decode


class _SafeUnpickler(pickle.Unpickler):
    _MAY = frozenset(
        {
            ("whoosh.codec.whoosh3", "W3Segment"),
            ("whoosh.codec.whoosh3", "W3Codec"),
            ("collections", "defaultdict"),
            *((module, name) for module in ("builtins", "__builtin__") for name in ("int", "set")),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._MAY:
            return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode"):  # how protocol 2 writes bytes
            return lambda text, _: text.encode("latin-1")
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a full-text index")


def _safe_loads(data: bytes, **_: Any) -> Any:
    return _SafeUnpickler(io.BytesIO(data)).load()


def _safe_load(file: Any, **_: Any) -> Any:
    return _SafeUnpickler(file).load()


# The four places where whoosh unpickles what it reads.
whoosh.filedb.structfile.load_pickle = _safe_load
whoosh.codec.whoosh3.loads = _safe_loads
whoosh.columns.loads = _safe_loads
whoosh.index.pickle = type("_Pickle", (), {"loads": staticmethod(_safe_loads), "dumps": staticmethod(pickle.dumps)})

_frequency = lru_cache(maxsize=None)(formats.pack_uint)


class _Words(fields.FieldType):  # type: ignore[misc] # whoosh has no types
    """A field that is given its words."""

    def __init__(self, field: str) -> None:
        self.field = field
        self.format = formats.Frequency()
        self.scorable = True
        self.stored = False
        self.unique = False

    def index(self, value: str, **_: Any) -> Iterator[tuple[bytes, int, float, bytes]]:
        for word, times in words_of_field(self.field, value).items():
            yield word.encode(), times, float(times), _frequency(times)

    def to_bytes(self, value: str | bytes) -> bytes:
        return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Words) and other.field == self.field

    def __hash__(self) -> int:
        return hash(self.field)


def _schema() -> Any:
    return fields.Schema(
        guid=fields.ID(unique=True, stored=True),
        kept=fields.STORED,
        text=fields.STORED,
        **{field: _Words(field) for field in FIELDS},
    )


class WhooshIndex:
    """The index in a folder (`documents.TextIndex`). Not for several threads at once."""

    def __init__(self, path: str, *, create: bool = False) -> None:
        """Open it.

        Args:
            create: make it where there is none, or none of this format.
        Raises:
            TextIndexBroken: there is none, or it cannot be read.
        """
        self.path = path
        self._searcher: Any = None
        if create and _format_of(path) != FORMAT:
            shutil.rmtree(path, ignore_errors=True)
            with _translated(path):
                make_folder(path)
                write_private(os.path.join(path, "CACHEDIR.TAG"), CACHE_TAG)
                whoosh.index.FileIndex.create(FileStorage(path), _schema(), whoosh.index._DEF_INDEX_NAME)
                write_private(os.path.join(path, _FORMAT_FILE), FORMAT.encode())
        elif _format_of(path) != FORMAT:
            raise TextIndexBroken(f"there is no full text in {path} yet")
        with _translated(path):
            self._index = whoosh.index.FileIndex(FileStorage(path), schema=_schema())

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        with _translated(self.path):
            writer = self._index.writer(limitmb=_LIMIT_MB)
        try:
            with _translated(self.path):
                batch = _Batch(self, writer)
            yield batch
        except BaseException:
            with _translated(self.path):
                writer.cancel()
            raise
        with _translated(self.path):
            try:
                writer.commit(optimize=batch.wipes)
            except BaseException:
                _let_go(writer)
                raise

    def digests(self, guids: Collection[str]) -> dict[str, bytes]:
        with _translated(self.path):
            searcher = self._current()
            found = {}
            for guid in guids:
                number = searcher.document_number(guid=guid)
                if number is not None:
                    found[guid] = _unpack(searcher.stored_fields(number)["kept"])[0]
            return found

    def guids(self) -> Iterable[str]:
        with _translated(self.path):
            return [stored["guid"] for stored in self._current().reader().all_stored_fields()]

    def count(self) -> int:
        with _translated(self.path):
            return int(self._current().doc_count())

    def search(self, question: Question, limit: int | None, among: Callable[[str], bool] | None = None) -> Found:
        with _translated(self.path):
            searcher = self._current()
            parts = (part for group in (*question.all, question.none) for part in group)
            checks = among is not None or any(part.asked.whole for part in parts)
            # Where hits are still looked at, some fall away: those behind them move up.
            wanted = None if limit is None or checks else limit + 1
            results = searcher.search(_query(question), limit=wanted, mask=_excluded(question))
            hits: list[Hit] = []
            for number, score in results.items():
                stored = searcher.stored_fields(number)
                guid = stored["guid"]
                if among is not None and not among(guid):
                    continue
                kept = self._kept(stored)
                if not is_answered(kept, question):
                    continue
                if limit is not None and len(hits) == limit:
                    return Found(hits, True)
                hits.append(Hit(guid, float(score), kept))
            return Found(hits, False)

    def close(self) -> None:
        searcher, self._searcher = self._searcher, None
        if searcher is not None:
            with _translated(self.path):
                searcher.close()

    def _kept(self, stored: dict[str, Any]) -> Kept:
        return _unpack(stored["kept"])[1]._replace(text=zlib.decompress(stored["text"]).decode("utf-8", "replace"))

    def _current(self) -> Any:
        """A searcher of the newest state; the one at hand where that is still so."""
        if self._searcher is None:
            self._searcher = self._index.searcher(weighting=scoring.BM25F())
        else:
            self._searcher = self._searcher.refresh()
        return self._searcher


class _Batch:
    def __init__(self, index: WhooshIndex, writer: Any) -> None:
        self._index = index
        self._writer = writer
        self._searcher = index._current()
        self.wipes = False

    def put(self, document: Document) -> None:
        with _translated(self._index.path):
            self.drop(document.guid)
            document = clean(document)
            text = document.text
            kept = Kept(document.name, document.tags, document.notes, "", len(text) > MOST_KEPT_CHARS)
            self._writer.add_document(
                guid=document.guid,
                kept=_pack((document.digest, kept)),
                text=zlib.compress(text[:MOST_KEPT_CHARS].encode(), 6),
                **fields_of(document),
            )

    def drop(self, guid: str, *, wipe: bool = False) -> None:
        with _translated(self._index.path):
            # `delete_by_term` opens a searcher each time; ours has the same numbers, since nobody else writes.
            number = self._searcher.document_number(guid=guid)
            if number is not None:
                self._writer.delete_document(number)
            # What is deleted stays in its segment until that is written anew; so does what was deleted before.
            if wipe and (number is not None or self._searcher.reader().has_deletions()):
                self.wipes = True


def _query(question: Question) -> Any:
    return query.And([_any([_part(part) for part in group]) for group in question.all])


def _excluded(question: Question) -> Any:
    """Files that a question leaves out, None for none; given apart, since whoosh's AndNot lets some of them pass."""
    # Of words that follow each other only a file where they do is left out: `is_answered`.
    parts = [_part(part) for part in question.none if not part.asked.whole]
    return _any(parts) if parts else None


def _part(part: Part) -> Any:
    piece = part.asked
    last = len(piece.words) - 1
    return query.And(
        [_word(word, piece.begins and number == last, part.field) for number, word in enumerate(piece.words)]
    )


def _word(word: str, begins: bool, field: str | None) -> Any:
    kind = query.Prefix if begins else query.Term
    return _any([kind(name, word, boost=_BOOSTS[name]) for name in ((field,) if field else FIELDS)])


def _any(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else query.Or(parts)


def _format_of(path: str) -> str | None:
    try:
        with open(os.path.join(path, _FORMAT_FILE), encoding="ascii") as file:
            return file.read(16)
    except (OSError, UnicodeDecodeError):
        return None


def _let_go(writer: Any) -> None:
    """A commit that failed leaves whoosh's lock held, and its draft open."""
    lock = getattr(writer, "writelock", None)
    if lock is not None:
        try:
            lock.release()
        except Exception:  # noqa: BLE001 - it is gone already
            pass


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except (TextIndexBroken, MemoryError, DiskFull):
        raise
    except Exception as exc:
        if is_full(exc, path):
            raise DiskFull(path) from exc
        raise TextIndexBroken(f"the full text in {path} cannot be read ({type(exc).__name__}: {exc})") from exc
