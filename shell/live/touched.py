"""The line below the prompt: what a line would do, before Enter. Pure; the index answers through `Asked`.

    tag favourite *        tags 214 files; 3 have it already
    rm 3-7                 moves 5 files to the trash: Blue Kitchen.flac, ...
    cd musik               no tag "musik"; did you mean music (5 files)?
    !mpv *                 runs mpv with 214 files: ...

Nothing is said about a line that is neither broad nor dangerous, and never by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from shell.live import roles, shape
from shell.live.asked import Asked, Meant, Touched
from shell.live.line import Command, Word, parsed
from shell.live.numbers import NotListed, chosen, is_numbers
from shell.live.place import is_relative, resolved, steps_up
from shell.live.program_words import selections
from shell.live.roles import Read
from shell.live.shape import Shape
from shell.live.state import State
from shell.text import count_text, harmless, listed
from tagfs.errors import BadTag
from tagfs.tag import escape_tag, parse_tag_list

EVERYTHING = "id=.."
"""A query that every file matches."""
MOST_TARGETS = 200

HARMLESS = frozenset(
    {"cd", "ls", "pwd", "find", "search", "tags", "show", "why", "log", "where", "open", "help", "history"}
    | {"clear", "exit", "quit", "completion", "doctor", "fsck"}
)
"""Commands that change nothing, or nothing that matters; a command that is not here is taken for one that does."""
_LOOKS = {("tags",), ("node",), ("sync",), ("trash", "list"), ("versions",), ("save",)}
"""Commands that only look where nothing more is said."""
_HAPPENS = {
    "rm": "moves {} to the trash",
    "notes": "writes notes to {}",
    "rename": "renames {}",
    "reduce": "has devices give up the bytes of {}",
    "restore": "has devices keep the bytes of {}",
    "exclude": "keeps {} from devices",
    "include": "lets devices know {} again",
    "merge": "makes {} one",
    "trash restore": "brings {} back",
    "open": "opens {}",
    "show": "shows {}",
    "why": "explains {}",
    "where": "tells where {} is",
}


class Preview(NamedTuple):
    """The sentence, and whether it is a warning: the line would fail."""

    text: str = ""
    warns: bool = False


def is_careful(text: str, shape_of: Callable[[str], Shape | None]) -> bool:
    """Whether a line does what one would not like to have happened: Enter completes nothing in it."""
    return any(_is_careful(command, shape_of) for command in parsed(text).commands)


def _is_careful(command: Command, shape_of: Callable[[str], Shape | None]) -> bool:
    if command.program is not None:
        return True
    found = roles.read(command.words, shape_of)
    if not found.path or found.shape is None:
        return False
    if found.path in _LOOKS or (len(found.path) == 1 and found.path[0] in HARMLESS):
        return False
    return not (command.words and is_relative(command.words[0].text))


def preview(text: str, state: State, shape_of: Callable[[str], Shape | None], asked: Asked) -> Preview:
    """What to say below a line that is being typed."""
    line = parsed(text)
    if line.open in ("'", '"'):
        return Preview()
    if len(line.commands) != 1:
        careful = is_careful(text, shape_of)
        return Preview(f"{len(line.commands)} commands; the first that fails ends them" if careful else "")
    command = line.commands[0]
    if command.program is not None:
        return _program(command.program, state, asked)
    if not command.words:
        return Preview()
    found = roles.read(command.words, shape_of)
    if found.shape is None:
        first = command.words[0].text
        if is_relative(first) and not _is_unfinished(first):
            return _found(asked.total(resolved(state.place, first)), moves=True)
        return Preview()
    return _command(command.words, found, state, asked)


def _command(words: Sequence[Word], found: Read, state: State, asked: Asked) -> Preview:
    name = " ".join(found.path)
    if name in ("undo", "redo") and len(words) == found.head:
        what = asked.next_undo(name == "redo")
        return Preview(f"{'does again' if name == 'redo' else 'takes back'}: {harmless(what)}" if what else "")
    if name == "cd":
        return _cd(words, found, state, asked)
    try:
        meant, rest = meant_by(words, found, state)
    except NotListed as exc:
        return Preview(str(exc), True)
    if any(map(_is_unfinished, (*meant.queries, " ".join(rest)))):
        return Preview()
    if name in ("ls", "find"):
        query = " ".join(rest)
        return _found(asked.total(resolved(state.place, query))) if query else Preview()
    if name in ("tags rm", "tags rename", "tags merge"):
        return _tag_itself(name, words, found, asked)
    if not (meant.queries or meant.guids or meant.targets):
        return Preview()
    tags = _tags(words, found)
    if tags is None or len(meant.targets) > MOST_TARGETS:
        return Preview()
    touched = asked.touched(meant, tags)
    if touched.trouble:
        return Preview(harmless(touched.trouble), True)
    return Preview(_sentence(name, tags, touched))


def meant_by(words: Sequence[Word], found: Read, state: State) -> tuple[Meant, list[str]]:
    """Which files the words of a command mean, and the words of a query that is an argument. Raises `NotListed`."""
    queries: list[str] = []
    guids: dict[str, None] = {}
    targets: list[str] = []
    rest: list[str] = []
    for word, role in zip(words, found.roles, strict=True):
        if role.kind == shape.TARGET:
            if not word.quoted and word.text == "*":
                queries.append(state.place.query or EVERYTHING)
            elif not word.quoted and is_numbers(word.text, len(state.listing)):
                guids.update(dict.fromkeys(state.listing[at] for at in chosen(word.text, len(state.listing))))
            else:
                targets.append(word.text)
        elif role.kind == shape.QUERY:
            text = word.text[role.at :]
            if role.part == roles.VALUE:
                queries.append(resolved(state.place, text) or EVERYTHING)
            else:
                rest.append(text)
    return Meant(tuple(queries), tuple(guids), tuple(targets)), rest


def _tags(words: Sequence[Word], found: Read) -> list[str] | None:
    """The tags that `tag` and `untag` speak of; None where they cannot be read (yet)."""
    if found.path[0] not in ("tag", "untag"):
        return []
    for word, role in zip(words, found.roles, strict=True):
        if role.kind == shape.TAGS and role.part == roles.ARGUMENT:
            try:
                return parse_tag_list(word.text)
            except BadTag:
                return None
    return None


def _sentence(name: str, tags: Sequence[str], touched: Touched) -> str:
    files = count_text(touched.files, "file")
    names = [harmless(one) for one in touched.names]
    some = ""
    if names and touched.files == 1:
        files = names[0]
    elif names:
        some = f": {', '.join(names)}{', …' if touched.files > len(names) else ''}"
    if name == "tag":
        return f"tags {files}{_already(tags, touched)}{some if len(tags) < 2 else ''}"
    if name == "untag":
        counts = [f"{harmless(escape_tag(tag))} off {touched.already.get(tag, 0):,}" for tag in tags]
        return f"takes {', '.join(counts)} of {files}"
    pattern = _HAPPENS.get(name)
    return pattern.format(files) + some if pattern else f"{name}: {files}{some}"


def _already(tags: Sequence[str], touched: Touched) -> str:
    if len(tags) == 1:
        have = touched.already.get(tags[0], 0)
        if not have:
            return ""
        if touched.files == 1:
            return "; it has the tag already"
        return f"; {_have(have, touched.files)} it already"
    parts = [
        f"{_have(touched.already[tag], touched.files)} {harmless(escape_tag(tag))}"
        for tag in tags
        if touched.already.get(tag)
    ]
    return f"; {listed(parts)} already" if parts else ""


def _have(files: int, of: int) -> str:
    return "all have" if files == of else "1 has" if files == 1 else f"{files:,} have"


def _tag_itself(name: str, words: Sequence[Word], found: Read, asked: Asked) -> Preview:
    tags = [word.text for word, role in zip(words, found.roles, strict=True) if role.kind == shape.TAG]
    parts = []
    for tag in tags if name != "tags merge" else tags[:-1]:
        total = asked.total(tag)
        if isinstance(total, str):
            return Preview(harmless(total), True)
        parts.append(f"{harmless(tag)} is on {count_text(total, 'file')}")
    return Preview(listed(parts))


def _cd(words: Sequence[Word], found: Read, state: State, asked: Asked) -> Preview:
    texts = [word.text for word, role in zip(words, found.roles, strict=True) if role.kind == shape.QUERY]
    query = " ".join(texts)
    if not query or query in ("-", "/") or _is_unfinished(query):
        return Preview()
    up = steps_up(query)
    if up is not None:
        place = state.place.up(up[0])
        return _found(asked.total((place.into(up[1]) if up[1] else place).query), moves=True)
    return _found(asked.total(resolved(state.place, query)), moves=True)


def _is_unfinished(query: str) -> bool:
    """Whether a person is certainly in the middle of a query: what is wrong with it is no news."""
    return query[-1:] != "" and query[-1] in "+,-=(<>"


def _found(total: int | str, *, moves: bool = False) -> Preview:
    if isinstance(total, str):
        return Preview(harmless(total), True)
    return Preview(("goes to " if moves else "") + count_text(total, "file"))


def _program(text: str, state: State, asked: Asked) -> Preview:
    try:
        guids: dict[str, None] = {}
        queries: list[str] = []
        for one in selections(text, len(state.listing)):
            if one.everything:
                queries.append(state.place.query or EVERYTHING)
            else:
                guids.update(dict.fromkeys(state.listing[at] for at in one.places))
    except NotListed as exc:
        return Preview(str(exc), True)
    program = harmless(text.split(maxsplit=1)[0]) if text.split() else ""
    if not program:
        return Preview()
    if not (guids or queries):
        return Preview(f"runs {program}, with no file of the library")
    touched = asked.touched(Meant(tuple(queries), tuple(guids)), ())
    if touched.trouble:
        return Preview(harmless(touched.trouble), True)
    names = ", ".join(harmless(name) for name in touched.names)
    more = ", …" if touched.files > len(touched.names) else ""
    return Preview(f"runs {program} with {count_text(touched.files, 'file')}: {names}{more}")
