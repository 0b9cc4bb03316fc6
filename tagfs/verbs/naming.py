"""Names and notes of files."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from tagfs.change import Change
from tagfs.errors import BadName
from tagfs.fact import name_is_possible
from tagfs.store import Store
from tagfs.verbs.tagging import chunks

MAX_NOTES_BYTES = 256 << 10


def check_name(name: str) -> str:
    """The file name in NFC. Raises `BadName` with the reason."""
    text = unicodedata.normalize("NFC", name)
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadName(name, "it is not valid text") from None
    if not text:
        raise BadName(name, "it is empty")
    if "/" in text:
        raise BadName(name, "a / cannot be part of a name (files here have tags, not folders)")
    if len(raw) > 255:
        raise BadName(name, f"it is {len(raw)} bytes long; 255 is the most a file name can have")
    if not name_is_possible(text):
        raise BadName(name, "no program could open it")
    return text


def rename(store: Store, guid: str, name: str) -> tuple[str, str | None]:
    """Give a file a name. Returns the name it had, and the action (None where nothing changed)."""
    wanted = check_name(name)

    def state(change: Change) -> tuple[str, str | None]:
        known = change.state(guid)
        registers = known.registers
        old = registers["name"][1] if "name" in registers else known.made_name()
        if old != wanted:
            change.about_file(guid, name=wanted)
        return old, change.action

    return store.act(state)


def set_notes(store: Store, guids: Sequence[str], notes: str) -> tuple[int, str | None]:
    """Replace the notes of files; an empty text takes them away. Returns how many changed, and the action."""
    text = notes.replace("\r\n", "\n").rstrip("\n")
    if len(text.encode("utf-8", "surrogatepass")) > MAX_NOTES_BYTES:
        raise BadName(
            text[:20] + "…",
            f"notes can have at most {MAX_NOTES_BYTES >> 10} KiB; put longer texts in a file of their own",
        )
    action: str | None = None
    changed = 0
    for part in chunks(guids):

        def state(change: Change, part: Sequence[str] = part) -> tuple[int, str | None]:
            count = 0
            for guid in part:
                if change.state(guid).registers.get("notes", ("", ""))[1] != text:
                    change.about_file(guid, notes=text)
                    count += 1
            return count, change.action

        count, action = store.act(state, action=action)
        changed += count
    return changed, action
