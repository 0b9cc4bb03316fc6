"""Which bytes of a file count: the branches of its contents, and what they have left behind.

`was` makes the contents of a file a chain, or a fork where two nodes changed the same
bytes without knowing of each other (facts.md, Merge). Moving bytes needs to know for
any hash found on a disk whether it counts (`heads`), whether something newer took its
place (`left`), or whether no fact speaks of it yet. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from tagfs.merge import FileState


class Contents(NamedTuple):
    """Hashes (SHA-256 hex) of a file.

    `heads`: what counts, oldest statement first; two and more are a conflict not settled yet.
    `left`: what a head replaced, however many edits ago.
    """

    heads: tuple[str, ...]
    left: frozenset[str]

    def is_known(self, sha256: str) -> bool:
        """Whether a fact that this node has read speaks of these bytes."""
        return sha256 in self.left or sha256 in self.heads


def contents_of(state: FileState) -> Contents:
    """The branches of a file's contents.

    Bytes that were left behind stay so when they are merely stated once more, late, by a
    node that settled a conflict in which they had won: the chain decides, not the stamp
    alone. Only where two heads each replaced the other does the newer statement count.
    """
    heads = {content.sha256: at for at, content in state.content_heads()}
    if len(heads) == 1 and len(state.contents) == 1:
        return Contents(tuple(heads), frozenset())
    replaced: dict[str, set[str]] = {}
    for content in state.contents.values():
        if content.was is not None and content.was != content.sha256:
            replaced.setdefault(content.sha256, set()).add(content.was)
    behind = {head: _reached_from(head, replaced) for head in heads}
    standing = [
        head
        for head, at in heads.items()
        if not any(
            other != head and head in behind[other] and (other not in behind[head] or heads[other] > at)
            for other in heads
        )
    ]
    known = {content.sha256 for content in state.contents.values()}.union(*replaced.values())
    return Contents(tuple(standing), frozenset(known.difference(standing)))


def _reached_from(head: str, replaced: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [head]
    while waiting:
        for was in replaced.get(waiting.pop(), ()):
            if was not in found:
                found.add(was)
                waiting.append(was)
    return found
