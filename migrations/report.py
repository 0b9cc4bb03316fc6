"""What a migration will do, and what it did: named fields, and a sentence for a person.

Values only; nothing in here looks at a disk.
"""

from __future__ import annotations

from typing import NamedTuple

from migrations.contract import Migration


class Plan(NamedTuple):
    """What `run` would do.

    `problems` (sentences) is what the first step's check found in the way. `unfinished`: an
    earlier run was cut short; `run` finishes it, or begins again. `segments` and `copy_bytes`
    are the ledger files of this node, which are copied; `need_bytes` is the room that takes,
    `free_bytes` what there is.
    """

    root: str
    found: int
    target: int
    steps: tuple[Migration, ...]
    problems: tuple[str, ...]
    unfinished: bool
    segments: int
    copy_bytes: int
    need_bytes: int
    free_bytes: int

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps and not self.unfinished

    def sentence(self) -> str:
        """For a person."""
        if self.is_idle:
            return f"The store in {self.root} has format {self.found}, which is the one this lyts uses: nothing to do."
        parts = []
        if self.unfinished:
            parts.append(
                f"An earlier migration of the store in {self.root} was cut short; it is finished or begun again."
            )
        if self.steps:
            names = "; ".join(f"{step.from_format} to {step.to_format}: {step.name}" for step in self.steps)
            parts.append(
                f"The store in {self.root} goes from format {self.found} to format {self.target} ({names}). "
                f"{self.segments} ledger files ({_size(self.copy_bytes)}) are copied; data files are not touched."
            )
        if self.need_bytes > self.free_bytes:
            parts.append(f"It needs {_size(self.need_bytes)} of disk space, and {_size(self.free_bytes)} are free.")
        if self.problems:
            parts.append("In the way: " + "; ".join(self.problems) + ".")
        return " ".join(parts)


class Report(NamedTuple):
    """What `run` did.

    `done` are the names of the steps that were applied; `backup` is where the old ledgers
    are, None where nothing had to be kept; `resumed` says that an earlier run was finished or
    begun again. With `dry_run` nothing was touched, and `plan` says what would be done.
    """

    root: str
    from_format: int
    to_format: int
    done: tuple[str, ...]
    backup: str | None
    segments: int
    copied_bytes: int
    resumed: bool
    dry_run: bool
    plan: Plan

    def sentence(self) -> str:
        """For a person."""
        if self.dry_run or self.plan.is_idle:
            return self.plan.sentence()
        where = f" The ledgers as they were are in {self.backup}." if self.backup else ""
        if not self.done:
            return f"The store in {self.root} has format {self.to_format}; an earlier migration was finished.{where}"
        return (
            f"The store in {self.root} went from format {self.from_format} to format {self.to_format}.{where} "
            "The index is made again when it is next needed."
        )


def _size(size_bytes: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= size:
            return f"{size_bytes / size:.1f} {unit}"
    return f"{size_bytes} bytes"
