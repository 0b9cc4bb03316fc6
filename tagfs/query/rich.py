"""The richer form, for `lyts find` and the shell: words, parentheses, comparisons, quotes.

    music and (flac or mp3) not live        not binds closest, then and, then or
    music flac                              two words side by side: both
    year>=1955  year < 1960  year!=1959     `!=` is "not year=1959": files without a year too
    "rock & roll"  artist="AC/DC, live"     within quotes every character is itself

Rules it lives by:

- Every word that is no operator is a query of the slot grammar, and means the same. So
  all of that grammar works in here, except that blanks, `( ) " < >` and `!=` have a
  meaning of their own: in a tag they are quoted, or written `%XX`.
- A quote opens at the head of a word, or after one of `= + - , < > .`, so that `7"single`
  is a word. Within quotes `\\"` is a quote and `\\\\` a backslash. A whole quoted term is a
  tag, its first `=` parting key and value; after `=` it is a value.
- `and`, `or`, `not` are operators in any case of letters, unless quoted.
- Blanks around `=` and comparisons are dropped.
- Whatever is given, the answer is a tree or a `QueryError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, NoReturn

from tagfs.errors import QueryError
from tagfs.query.grammar import check_text, read_slots
from tagfs.query.tree import All, And, Leaf, Not, Or, Range, Tag, Tree, both, either, format_leaf, without
from tagfs.tag import escape

MAX_DEPTH = 50

_OPERATORS = ("and", "or", "not")
_SPECIAL = '()"<>!'
_BEFORE_QUOTE = "=+-,<>."


class _Token(NamedTuple):
    kind: str  # "(", ")", "and", "or", "not", "word", "end"
    at: int
    text: str = ""
    places: Sequence[int] = ()


@lru_cache(maxsize=256)  # trees are never altered, and who asks once asks again
def parse_rich(text: str) -> Tree:
    """The tree of a query as people type it. Raises `QueryError`."""
    check_text(text)
    return _Parser(text, _Scanner(text).tokens()).whole()


# -- words ---------------------------------------------------------------------


class _Scanner:
    """Cuts a query into words and operators.

    What was quoted is handed on as `%XX`, so that the slot grammar needs no quotes.
    """

    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 2 if text.startswith("./") else 0

    def tokens(self) -> list[_Token]:
        found = []
        text = self.text
        while True:
            self.skip_blanks()
            if self.at >= len(text):
                found.append(_Token("end", len(text)))
                return found
            if text[self.at] in "()":
                found.append(_Token(text[self.at], self.at))
                self.at += 1
            else:
                found.append(self.word())

    def skip_blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def word(self) -> _Token:
        text = self.text
        start = self.at
        out: list[str] = []
        places: list[int] = []
        quoted = False
        while self.at < len(text):
            ch = text[self.at]
            if ch in "()":
                break
            if ch.isspace():
                # `year >= 1955`: the blank belongs to the comparison, not between two words
                end = self.at
                self.skip_blanks()
                if self.sign():
                    continue
                self.at = end
                break
            if ch == '"' and (not out or out[-1] in _BEFORE_QUOTE):
                quoted = True
                self.quoted(out, places)
                continue
            sign = self.sign()
            for one in sign or ch:
                out.append(one)
                places.append(self.at)
                self.at += 1
            if sign:
                self.skip_blanks()
        word = "".join(out)
        places.append(self.at)
        kind = word.lower() if not quoted and word.isascii() and word.lower() in _OPERATORS else "word"
        return _Token(kind, start, word, places)

    def sign(self) -> str:
        """The comparison that begins here, if any; blanks around it do not count."""
        text, at = self.text, self.at
        two = text[at : at + 2]
        return two if two in ("<=", ">=", "!=") else two[:1] if two[:1] in ("<", ">", "=") else ""

    def quoted(self, out: list[str], places: list[int]) -> None:
        text = self.text
        opened = self.at
        # A whole term in quotes is a tag: its first = parts key and value.
        whole = not out or out[-1] in "+-,"
        self.at += 1
        while True:
            if self.at >= len(text):
                raise QueryError(text, opened, "the quote that opens here is never closed", 'put a " at its end')
            at = self.at
            ch = text[at]
            if ch == '"':
                break
            if ch == "\\" and text[at + 1 : at + 2] in ('"', "\\"):
                self.at += 1
                ch = text[self.at]
            self.at += 1
            if ch == "=" and whole:
                whole = False
                spelled = ch
            elif ch.isspace() or ch in _SPECIAL or ch in "-./,+=%":
                spelled = "".join(f"%{byte:02X}" for byte in ch.encode("utf-8"))
            else:
                spelled = ch
            out.extend(spelled)
            places.extend([at] * len(spelled))
        self.at += 1
        if self.at == opened + 2:
            raise QueryError(text, opened, "nothing stands between the quotes")


# -- sentences -----------------------------------------------------------------


class _Parser:
    __slots__ = ("depth", "next", "query", "tokens")

    def __init__(self, query: str, tokens: list[_Token]) -> None:
        self.query = query
        self.tokens = tokens
        self.next = 0
        self.depth = 0

    def fail(self, at: int, why: str, hint: str = "") -> NoReturn:
        raise QueryError(self.query, at, why, hint)

    def whole(self) -> Tree:
        if self.tokens[0].kind == "end":
            self.fail(0, "the query is empty", "write a tag, or several as in music and flac")
        tree = self.any_of()
        token = self.tokens[self.next]
        if token.kind == ")":
            self.fail(token.at, "this ) closes nothing")
        return tree

    def any_of(self) -> Tree:
        parts = [self.all_of()]
        while self.tokens[self.next].kind == "or":
            self.next += 1
            parts.append(self.all_of())
        return either(parts)

    def all_of(self) -> Tree:
        parts = [self.one()]
        while (token := self.tokens[self.next]).kind not in ("or", ")", "end"):
            if token.kind == "and":
                self.next += 1
            parts.append(self.one())
        return both(parts)

    def one(self) -> Tree:
        turned = False
        while (token := self.tokens[self.next]).kind == "not":  # a loop, so that a thousand of them nest nothing
            turned = not turned
            self.next += 1
        tree = self.group(token) if token.kind == "(" else self.word(token)
        return without(tree) if turned else tree

    def group(self, token: _Token) -> Tree:
        if self.depth >= MAX_DEPTH:
            self.fail(token.at, f"parentheses are nested more than {MAX_DEPTH} deep")
        self.depth += 1
        self.next += 1
        tree = self.any_of()
        if self.tokens[self.next].kind != ")":
            self.fail(token.at, "the ( that opens here is never closed")
        self.next += 1
        self.depth -= 1
        return tree

    def word(self, token: _Token) -> Tree:
        if token.kind != "word":
            before = self.tokens[self.next - 1].text if self.next else ""
            after = f" after {before!r}" if before else ""
            hint = f'if {token.text!r} is a tag, put it in quotes: "{token.text}"' if token.text else ""
            self.fail(token.at, f"a tag is missing here{after}", hint)
        self.next += 1
        return both(slot.tree for slot in read_slots(self.query, token.text, token.places, comparisons=True))


# -- writing -------------------------------------------------------------------


def format_rich(tree: Tree) -> str:
    """A tree in this form, sorted, so that equal trees are written alike; parsing it gives an equal tree.

    All is written as nothing, which no parser takes.
    """
    return _format(tree, 0)


def _format(tree: Tree, tightness: int) -> str:
    if isinstance(tree, All):
        return ""
    if isinstance(tree, Leaf):
        return _format_leaf(tree)
    if isinstance(tree, Not):
        return "not " + _format(tree.part, 2)
    if isinstance(tree, And):
        text = " and ".join(sorted(_format(part, 2) for part in tree.parts))
        return f"({text})" if tightness > 1 else text
    if isinstance(tree, Or):
        text = " or ".join(sorted(_format(part, 1) for part in tree.parts))
        return f"({text})" if tightness > 0 else text
    raise TypeError(f"not a tree: {tree!r}")


def _format_leaf(leaf: Leaf) -> str:
    if isinstance(leaf, Range) and (leaf.above or leaf.below):
        sign, end = (">", leaf.low) if leaf.above else ("<", leaf.high)
        also = _also(leaf.key + (end or ""))
        return _word(leaf.key, also) + sign + escape(end or "", also + ".")
    spelled = format_leaf(leaf, _also(_texts(leaf)))
    assert spelled is not None  # only `>` and `<` are beyond it
    if isinstance(leaf, Tag) and spelled.isascii() and spelled.lower() in _OPERATORS:
        return f"%{ord(spelled[0]):02X}{spelled[1:]}"
    return spelled


def _word(key: str, also: str) -> str:
    text = escape(key, also)
    return f"%2D{text[1:]}" if text.startswith("-") else text


def _texts(leaf: Leaf) -> str:
    return "".join(text for name in type(leaf).__slots__ if isinstance(text := getattr(leaf, name), str))


def _also(text: str) -> str:
    return _SPECIAL + "".join({ch for ch in text if ch.isspace()})
