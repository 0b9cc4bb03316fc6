"""What a step from one store format to the next is, and what it may count on.

A step changes `store.toml` and the ledgers that this node writes, nothing else. Rules:

- `check` looks and changes nothing. It returns one sentence for each thing that stands
  in the way, each saying what a person can do about it.
- `apply` gets a copy, never the store. It may leave the copy in any state when it
  fails: the copy is thrown away. It is run once on each copy, but a store may meet it
  twice (the first copy was lost with the power), so it depends on nothing but the copy.
- Ledgers of other nodes are not in the copy: no file has two writers (README.md). The
  version of lyts that brings a format must therefore read the lines of the format
  before it too, for as long as a node may still write them.
- A fact keeps its stamp and its author, and stays in the segment it is in. Other nodes
  take a segment that changed as rolled back, read it again, and vouch for whatever it
  no longer says; same facts under the same stamps means that there is nothing to vouch.
- A line that a step does not understand stays as it is, byte for byte.
- Every format has, under the same names, `store.toml` with `format` and
  `ledger_folder`, the file `lock`, and `ledgers/<folder>/`. The runner relies on that,
  and a lyts that finds another `format` than its own must refuse.
- No clock, no randomness, no network: two runs on one store give the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from migrations import disk
from tagfs.errors import StoreError
from tagfs.ledger import SUFFIX, segments_below, whole_lines
from tagfs.stamp import is_stamp

Progress = Callable[[str, int, int], None]
"""Takes what is being done (for a person), how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Work:
    """The copy a step works on.

    Attributes:
        folder: has `ledgers/<own folder>/`, as a store has; written for this step alone.
        store_dir: the store itself, to look at (ledgers of other nodes); never to change.
        toml: the values of `store.toml`, to be altered in place. Texts, whole numbers and
            yes/no; `format` is set by the runner, `ledger_folder` must stay.
        progress: to be called now and then, may do nothing.
    """

    folder: str
    store_dir: str
    toml: dict[str, object]
    progress: Progress

    @property
    def ledgers(self) -> str:
        """The folder that holds the copied ledgers."""
        return os.path.join(self.folder, "ledgers")

    def segments(self) -> Iterator[str]:
        """The paths of all copied segments, by folder, then oldest first."""
        for segment in segments_below(self.ledgers):
            # Other files end in .jsonl too (proofs.jsonl); a segment is named by a stamp.
            if is_stamp(os.path.basename(segment.name).removesuffix(SUFFIX)):
                yield os.path.join(self.ledgers, segment.name)

    def rewrite_lines(self, change: Callable[[bytes], bytes]) -> int:
        """Give every line (without its LF) of every copied segment to `change`, and keep what it returns.

        What follows the last LF is no line yet and stays as it is. Returns how many lines changed.
        """
        paths = list(self.segments())
        changed = 0
        for number, path in enumerate(paths):
            self.progress("changing the ledgers", number, len(paths))
            new: list[bytes] = []
            before, length = changed, 0
            for piece in whole_lines(path, 0):
                length += len(piece)
                for line in piece[:-1].split(b"\n"):
                    other = change(line)
                    if b"\n" in other:
                        raise ValueError(f"one line became two: {other!r}")
                    changed += other != line
                    new.append(other + b"\n")
            if changed != before:
                torn = disk.read_file(path)[length:]
                disk.write_over(path, b"".join(new) + torn)
        self.progress("changing the ledgers", len(paths), len(paths))
        return changed


class Migration(NamedTuple):
    """One step. `check` takes a folder laid out like a store of `from_format`; `apply` a copy of it.

    `name` says for a person what changes: "labels are called tags".
    """

    name: str
    from_format: int
    to_format: int
    check: Callable[[str], list[str]]
    apply: Callable[[Work], None]


class CannotMigrate(StoreError):
    """A step's `check` found something in the way; the store is as it was. `problems` are sentences."""

    def __init__(self, root: str, problems: list[str]) -> None:
        self.root = root
        self.problems = problems
        super().__init__(
            f"the store in {root} cannot be brought to a newer format yet. Nothing was changed. In the way: "
            + "; ".join(problems)
        )


def chain(root: str, found: int, target: int, steps: tuple[Migration, ...]) -> tuple[Migration, ...]:
    """The steps from format `found` to `target`, in order.

    Raises:
        StoreError: there is no way.
    """
    by_start = {step.from_format: step for step in steps}
    way: list[Migration] = []
    at = found
    while at != target:
        step = by_start.get(at)
        if step is None or not at < step.to_format <= target:
            raise StoreError(
                f"the store in {root} has format {found}, and this lyts knows no way from format {at} to {target}. "
                "Nothing was changed. Another version of lyts may know it; "
                "the change log says which formats each one knows"
            )
        way.append(step)
        at = step.to_format
    return tuple(way)
