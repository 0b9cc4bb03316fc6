"""Which word of a command is what. Pure; any words will do.

As click reads them: options may stand anywhere before a `--`, `--name=value` is one word,
`-qQUERY` too, and the nameless command of a group runs where no word of the group follows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from shell.live.line import Word
from shell.live.shape import COMMAND, TEXT, Shape

NAME, OPTION, VALUE, ARGUMENT, END = "name", "option", "value", "argument", "end"


class Role(NamedTuple):
    """What a word is: its part in the command, the kind of what it says, what it may be.

    `kind` is one of `shape`'s, "" for names and options. `at` is where in the word what it
    says begins (after the = of `--query=jazz`); `option` the option whose value it is.
    """

    part: str
    kind: str = ""
    choices: tuple[str, ...] = ()
    at: int = 0
    option: str = ""


class Read(NamedTuple):
    """A command read: the role of each word, the shape that was reached, and what the next word may be."""

    roles: tuple[Role, ...]
    shape: Shape | None
    """None where there is no such command."""
    path: tuple[str, ...]
    """The words that name it: `tags`, `rename`."""
    next: Role | None
    """What a further word would be; None where there is no room for one."""
    ended: bool
    """Whether a `--` came: no options any more."""
    head: int = 0
    """How many words name the command; what is put in goes after them."""


def read(words: Sequence[Word], shape_of: Callable[[str], Shape | None]) -> Read:
    """Read the words of a command. A `lyts` before it is what people type elsewhere, and is passed over."""
    roles: list[Role] = []
    left = list(words)
    if left and left[0].text == "lyts" and not left[0].quoted:
        roles.append(Role(NAME, COMMAND))
        left = left[1:]
    if not left:
        return Read(tuple(roles), None, (), Role(NAME, COMMAND), False, len(roles))
    name = left[0].text
    shape = shape_of(name)
    roles.append(Role(NAME, COMMAND))
    if shape is None:
        roles += [Role(ARGUMENT, TEXT)] * (len(left) - 1)
        return Read(tuple(roles), None, (name,), Role(ARGUMENT, TEXT), False, 1)
    return _read_rest(roles, left[1:], shape, (name,))


def _read_rest(roles: list[Role], words: Sequence[Word], shape: Shape, path: tuple[str, ...]) -> Read:
    head, taken, ended = len(roles), 0, False
    waiting: Role | None = None  # an option whose value is the next word
    for number, word in enumerate(words):
        text = word.text
        if waiting is not None:
            roles.append(waiting)
            waiting = None
        elif not ended and text == "--":
            roles.append(Role(END))
            ended = True
        elif not ended and text.startswith("-") and len(text) > 1:
            role, waiting = _option(text, shape)
            roles.append(role)
        elif number == 0 and text in shape.below:
            roles.append(Role(NAME, COMMAND))
            shape, path, head = shape.below[text], (*path, text), len(roles)
        else:
            roles.append(_argument(shape, taken) or Role(ARGUMENT, TEXT))
            taken += 1
    following = waiting or _argument(shape, taken)
    return Read(tuple(roles), shape, path, following, ended, head)


def _argument(shape: Shape, number: int) -> Role | None:
    arguments = shape.arguments
    if number >= len(arguments):
        if not (arguments and arguments[-1].many):
            return None
        number = len(arguments) - 1
    found = arguments[number]
    return Role(ARGUMENT, found.kind, found.choices)


def _option(text: str, shape: Shape) -> tuple[Role, Role | None]:
    """The role of a word that begins with a dash, and that of the next word if it is this one's value."""
    name, equals, _ = text.partition("=")
    option = shape.options.get(name)
    if option is not None and equals and text.startswith("--"):
        return Role(VALUE, option.kind or TEXT, option.choices, len(name) + 1, name), None
    option = shape.options.get(text)
    if option is not None:
        return Role(OPTION), Role(VALUE, option.kind, option.choices, 0, text) if option.kind else None
    if not text.startswith("--"):
        for at in range(1, len(text)):  # `-lq QUERY`, `-qQUERY`
            one = shape.options.get("-" + text[at])
            if one is None:
                break
            if one.kind is not None:
                role = Role(VALUE, one.kind, one.choices, at + 1, "-" + text[at])
                return (role, None) if at + 1 < len(text) else (Role(OPTION), role._replace(at=0))
    return Role(OPTION), None
