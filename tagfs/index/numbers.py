"""Numbers for texts: nodes, tags and all other terms get theirs once and for good.

A number given in a transaction that is dropped was never given, so a process remembers
only those of committed ones (`learned`).
"""

from __future__ import annotations

from typing import Any

from tagfs.index.env import Index
from tagfs.index.read import View
from tagfs.index.schema import TERM_HEAD, U16, U32, U64, termkey
from tagfs.tag import split_tag
from tagfs.term import ALL_FILES, ALL_TERM, TAG, TermKey


class Numbers:
    """Gives and finds numbers within one write transaction (see `codec.Numbers`)."""

    def __init__(self, index: Index, tx: Any) -> None:
        self.tx = tx
        self.db = index.db
        self.learned: dict[bytes, int] = {}
        """Term numbers by `termkey`, for the process to remember once this transaction is committed."""
        self.view = View(index, tx, self.learned)
        self._terms: dict[TermKey, int] = {}
        self._tag_numbers: dict[str, int] = {}
        self._tag_texts: dict[int, str] = {}
        self._new_terms: dict[int, TermKey] = {}
        self._next_term = self.view.term_total()
        self._node_numbers: dict[str, int] = {}
        self._node_texts: dict[int, str] = {}

    def node_number(self, text: str) -> int:
        """The number of a node, by its GUID or the first 8 digits of it (two numbers)."""
        number = self._node_numbers.get(text)
        if number is None:
            self._load_nodes()
            number = self._node_numbers.get(text)
            if number is None:
                number = len(self._node_texts)
                self.tx.put(U16.pack(number), text.encode(), db=self.db["node"])
                self._node_numbers[text], self._node_texts[number] = number, text
        return number

    def node_text(self, number: int) -> str:
        """The text that was given this number."""
        if number not in self._node_texts:
            self._load_nodes()
        return self._node_texts[number]

    def _load_nodes(self) -> None:
        for key, value in self.tx.cursor(self.db["node"]):
            number, text = U16.unpack(key)[0], value.decode()
            self._node_numbers[text], self._node_texts[number] = number, text

    def tag_number(self, tag: str) -> int:
        """The term number of a tag."""
        number = self._tag_numbers.get(tag)
        if number is None:
            number = self._tag_numbers[tag] = self.term_number((TAG, *split_tag(tag)))
        return number

    def tag_text(self, number: int) -> str:
        """The tag of a term number."""
        text = self._tag_texts.get(number)
        if text is None:
            _, key, value = self.term_text(number)
            text = self._tag_texts[number] = key if value is None else f"{key}={value}"
        return text

    def term_text(self, number: int) -> TermKey:
        """The term of a number, also of one just given."""
        return self._new_terms.get(number) or self.view.term_text(number)

    def term_number(self, term: TermKey) -> int:
        """The number of a term, given now if it had none."""
        number = self._terms.get(term)
        if number is None:
            if term == ALL_FILES:
                number = ALL_TERM
                if self.tx.get(U32.pack(number), db=self.db["term"]) is None:
                    self._new_terms[number] = term
            else:
                found = self.view.term(*term)
                if found is None:
                    number = self._next_term
                    self._next_term += 1
                    whole = termkey(*term)
                    self.learned[whole] = number
                    self.tx.put(whole, U32.pack(number), db=self.db["termkey"])
                    self._new_terms[number] = term
                else:
                    number = found
            self._terms[term] = number
        return number

    def count_files(self, number: int, change: int) -> None:
        """Note that the files of a term changed, and by how many."""
        now = self.tx.id()
        term = self._new_terms.pop(number, None)
        if term is not None:
            self._put_term(number, term, change, now)
            return
        raw = self.tx.get(U32.pack(number), db=self.db["term"])
        kind, has_value, count, _ = TERM_HEAD.unpack_from(raw)
        head = TERM_HEAD.pack(kind, has_value, count + change, now)
        self.tx.put(U32.pack(number), head + raw[TERM_HEAD.size :], db=self.db["term"])

    def flush(self) -> None:
        """Write the terms that got a number and no file (tags that only facts about tags name)."""
        for number, term in self._new_terms.items():
            self._put_term(number, term, 0, 0)
        self._new_terms.clear()
        self.tx.put(b"next_term", U64.pack(self._next_term), db=self.db["meta"])

    def _put_term(self, number: int, term: TermKey, count: int, now: int) -> None:
        kind, key, value = term
        text = key.encode() + b"\0" + (value or "").encode("utf-8", "surrogatepass")
        self.tx.put(U32.pack(number), TERM_HEAD.pack(kind, value is not None, count, now) + text, db=self.db["term"])
