"""What a check found."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that is not as it should be.

    `kind` is a short stable word for programs; `where` the file, ledger or setting;
    `what` a sentence; `hint` what to do.
    """

    kind: str
    where: str
    what: str
    hint: str


class Remark(NamedTuple):
    """One thing `doctor` looked at. `level` is ok, note or problem."""

    level: str
    topic: str
    what: str
    hint: str
