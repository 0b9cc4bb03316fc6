"""When a node that comes up may let its own ledgers go out again. Pure.

Its own ledgers come up receive-only and its data paused (`syncthing.home`), since a power
cut, a restored backup or another accident may have left them older than what others have
seen. What others have of them arrives first. Then:

- they agree with what this node knows and others have seen: they go out
- others have seen more: what differs here is taken back (`db/revert`), the lines that were only
  here are stated again from the index, and it is looked anew. If others still have seen more,
  this store is an older copy of itself and stays quiet; `tagfs.seen` refuses to state anything
- nobody is in reach: they go out after a while, in a new segment where this boot began none

Arrived is what has been in for a moment without more coming: that Syncthing needs nothing is also
true after it has connected and before it has heard what the others have.

Whom this node accepted stands in its own ledger. Until that goes out, whoever shared it stays in Syncthing's
settings, or a node that lost it would leave those from whom it comes back.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

ALONE_MS = 10_000
PATIENCE_MS = 120_000
CALM_MS = 1_000


class Standing(NamedTuple):
    """How things are at the start.

    `waited_ms`: since Syncthing began. `others`: how many nodes this one connects to;
    `connected`: how many of them are. `calm_ms`: for how long their ledgers and what they have of ours have
    been in, and nothing more came. `changed_here`: our ledgers differ from what Syncthing last knew.
    `behind`: others have seen more of our ledger than we know, or we know nothing of it.
    """

    waited_ms: int
    others: int
    connected: int
    calm_ms: int
    changed_here: bool
    behind: bool


Step = Literal["wait", "revert", "go", "refuse"]


def next_step(now: Standing) -> Step:
    """What to do now."""
    if now.others == 0:
        return "go"
    if now.connected == 0:
        # Behind, and nobody to get it from: what others have seen must not be contradicted.
        return "wait" if now.behind or now.waited_ms < ALONE_MS else "go"
    if now.calm_ms < CALM_MS and now.waited_ms < PATIENCE_MS:
        return "wait"
    if not now.behind:
        return "go"
    # Taking back what differs is safe at any time: the index knows the lines that go.
    return "revert" if now.changed_here else "refuse"
