"""Files as lines and as JSON objects.

Listings of a million files are written portion by portion, each looked at in a view of
its own: a slow reader of the output must not hold a transaction open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from shell.text import date_text, size_text, table, utc_text, width

if TYPE_CHECKING:
    from shell.output import Output
    from tagfs.index.read import View
    from tagfs.store import Store

PORTION_FILES = 1_000
MAX_NAME_COLUMNS = 48


class Row(NamedTuple):
    """What a line of a long listing shows."""

    guid: str
    name: str
    size_bytes: int
    mtime_ns: int
    tags: list[str]


def portions(ordinals: Sequence[int]) -> Iterator[Sequence[int]]:
    """Files in portions for one view each."""
    for at in range(0, len(ordinals), PORTION_FILES):
        yield ordinals[at : at + PORTION_FILES]


def rows_of(view: View, ordinals: Sequence[int]) -> list[Row]:
    """The rows of files, in the order given."""
    from tagfs.guid import guid_of_bytes

    ascending = sorted(ordinals)
    guids = {ordinal: guid_of_bytes(row.guid) for ordinal, row in view.rows(ascending)}
    attrs = dict(view.attrs(ascending))
    texts: dict[int, str | None] = {}
    return [
        Row(guids[o], view.name(o), attrs[o].size_bytes, attrs[o].mtime_ns, _tags(view, o, texts))
        for o in ordinals
        if o in guids
    ]


def _tags(view: View, ordinal: int, texts: dict[int, str | None]) -> list[str]:
    """`View.tags`, with the texts of terms kept from one file to the next: most files share theirs."""
    from tagfs.term import TAG

    tags = set()
    for term in view.terms(ordinal):
        if term not in texts:
            kind, key, value = view.term_text(term)
            texts[term] = view.canonical(key if value is None else f"{key}={value}") if kind == TAG else None
        text = texts[term]
        if text is not None:
            tags.add(text)
    return sorted(tags)


def long_lines(output: Output, rows: Sequence[Row]) -> list[str]:
    """A long listing: id, size, time of change, name, tags."""
    from tagfs.guid import short
    from tagfs.tag import escape_tag

    names = [output.name(row.name) for row in rows]
    # One very long name must not push the tags of all others off the screen.
    column = max((columns for name in names if (columns := width(name)) <= MAX_NAME_COLUMNS), default=0)
    cells = []
    for row, name in zip(rows, names, strict=True):
        tags = output.name(",".join(map(escape_tag, row.tags)))
        last = name + " " * (column - width(name)) + f"  {tags}" if tags else name
        cells.append([short(row.guid), size_text(row.size_bytes), date_text(row.mtime_ns // 1_000_000), last])
    lines = table(cells, right=(1,))
    if output.out.color:
        lines = [output.out.styled(line[:8], "dim") + line[8:] for line in lines]
    return lines


def objects(store: Store, guids: Sequence[str]) -> list[dict[str, Any]]:
    """Files as the objects of `--json`, in the order given; what was deleted for good meanwhile is left out.

    docs/reference/json.md says what each key means.
    """
    from tagfs.face import face_of, still_there
    from tagfs.place import places

    states = store.states(guids)
    with store.view(fresh=False) as view:
        names, gone = view.node_names(), view.nodes_that_left()
        where = places(store.layout, view, store.node)
        out = []
        for guid, state in zip(guids, states, strict=True):
            face = face_of(state, store.node, list(names))
            if not face.listed:
                continue
            out.append(
                {
                    "guid": guid,
                    "name": face.name,
                    "tags": sorted({view.canonical(tag) for tag in face.tags}),
                    "notes": face.notes,
                    "size_bytes": face.size_bytes,
                    "modified": utc_text(face.mtime_ns),
                    "added": utc_text((face.born_when >> 16) * 1_000_000),
                    "sha256": face.sha256,
                    "holds": sorted(names.get(node, node) for node in still_there(face.holds, gone)),
                    "from": face.from_folder,
                    "trashed": face.trashed,
                    "path": where.find(face.data, face.holds),
                }
            )
        return out
