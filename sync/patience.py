"""What is better left for a moment: it would be right at once as well, and cost traffic.

A deletion travels faster than what is behind it. So bytes that another device deleted are not put back before
the fact or the proof behind that has had the time to arrive: they would come back everywhere. And a copy
does not go before those who are connected have made their links of it: who hears of the deletion first may
have to fetch all bytes again. Nothing is waited for longer than some seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sync.looking import Looked, Looking
from sync.machine import Action, Proof, Put, Unlink, Wanted

LINK_MS = 10_000


class Patience:
    """Remembers since when something waits. For one node."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._since_ms: dict[str, int] = {}

    def split(
        self,
        actions: Sequence[Action],
        wanted: Wanted,
        looking: Looking,
        looked: Looked,
        data: str,
        proofs: Iterable[Proof],
        connected: Collection[str],
        now_ms: int,
    ) -> tuple[list[Action], bool]:
        """The actions that are to be done now, and whether others are to be looked at again soon.

        Args:
            data: the file's path below `data/`.
            proofs: what nodes have proven about the file.
            connected: the other nodes that are connected with this one.
        """
        yet = self._who_has_yet_to_link(wanted, proofs, connected)
        if not yet:
            self._since_ms.pop(wanted.guid, None)
        now = [
            action
            for action in actions
            if not (
                self._would_bring_back(action, looking, looked, data, self._me in wanted.holds)
                if isinstance(action, Put)
                else isinstance(action, Unlink) and self._would_overtake(action, wanted.guid, yet, now_ms)
            )
        ]
        return now, len(now) < len(actions)

    @staticmethod
    def _would_bring_back(action: Put, looking: Looking, looked: Looked, data: str, is_holder: bool) -> bool:
        if action.source.members is not None or action.replaces is not None:
            return False
        kept = looked.kept.get(action.source.sha256)
        if kept is None:
            return False
        return looking.may_be_explained(action.members, data, kept) if is_holder else looking.came_lately(kept)

    def _who_has_yet_to_link(
        self, wanted: Wanted, proofs: Iterable[Proof], connected: Collection[str]
    ) -> frozenset[str]:
        placed = (wanted.holds, wanted.digest)
        proven = {proof.prover for proof in proofs if (proof.members, proof.digest) == placed}
        return wanted.living.intersection(connected) - proven - {self._me}

    def _would_overtake(self, action: Unlink, guid: str, yet: frozenset[str], now_ms: int) -> bool:
        source = action.source
        if source.is_conflict or source.members is None or not source.members & yet:
            return False
        return now_ms - self._since_ms.setdefault(guid, now_ms) < LINK_MS
