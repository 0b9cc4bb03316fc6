"""Writes docs/reference/mount-operations.md from the tables by which the mount acts.

    python docs/make_mount_page.py            write it
    python docs/make_mount_page.py --check    say whether it is current (exit status 1 if not)

The page says what `tagfs.views.matrix` says. A test compares it with the committed file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tagfs.views.matrix import Operation, Place, Rule

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "mount-operations.md"

HEAD = """\
# What each operation does in the mount

Made by `docs/make_mount_page.py` from the tables by which the mount acts
(`tagfs/views/matrix.py`).

In short: **mv and ln tag, cp copies.** `cp tags/music/a tags/jazz/` makes a second file;
`lyts find --duplicates` finds such twins and `lyts merge` makes them one.

- Whatever is not in these tables is refused with EPERM ("Operation not permitted"). The
  mount never answers EXDEV, which would make mv copy and delete, and it never says that
  something was done which was not. One thing is out of its hands: a file moved to where it
  is shown already is one inode to the kernel, which answers by itself, and nothing changes.
- A program gets a number; the sentence with the reason is in the mount's log, below
  `~/.local/state/lyts/`.
- Moving a file out of the mount copies it and then removes it, as by rm.
- A file that a tag of its own keeps where it is (`jazz` implies `music`, and it is removed
  from `tags/music`) stays, with EPERM; so does one that would not be shown where it is put.
- A file made through the mount and removed within the hour goes to the trash, not to
  `untagged/`, unless it got other tags than those of the path.
- `rm -r tags/x` takes the tag off each file, and then the tag goes.
- `.Trash-UID` (`.Trash-1000`) at the top is the trash where desktops look for it. It is found by name and not listed;
  `files/` has what `trash/` has, `info/` tells of each where it was and when it went.
- `lyts undo` takes back what was done through the mount as well.
"""

TAIL = """
## Extended attributes

| attribute | what it is | |
|---|---|---|
| `user.xdg.tags` | the file's own tags, `a,b` | setting replaces them; set by the program that made the file, \
within a minute, it adds to the tags of the path. `Places/Rome` gives both parts |
| `user.xdg.comment` | its notes | |
| `user.lyts.id` | its identity | read only, not listed |
| `user.lyts.holds` | the devices that keep its bytes | read only, not listed |
| other `user.*` | whatever programs keep there | kept with the file, on all devices; ENODATA where there is none |
| `system.*`, `security.*`, `trusted.*` | | EOPNOTSUPP, reading and setting |

A comma within a tag is written `%2C` in `user.xdg.tags`, a slash within a plain tag `%2F`.

## Names and errors

| error | when |
|---|---|
| ENOENT | a query with a tag that does not exist |
| ENAMETOOLONG | a name of more than 255 bytes; a query of more than 1,024 |
| EILSEQ | a new name that is not valid UTF-8 |
| EINVAL | an attribute `user.xdg.tags` with something that cannot be a tag |
| E2BIG, ENOSPC | attributes or notes that are too long |
| ENODATA | opening a file whose bytes are not on this device, and are not brought here (`fetch_on_read`) |
| ETIMEDOUT | they are brought here, and were not there in time |
"""


def page() -> str:
    """The page."""
    from tagfs.views.matrix import MATRIX, ON_CONTENTS, ON_NAMES, Effect, Operation, Place, Refusal

    moving = (Operation.CREATE, Operation.MOVE_IN, Operation.REMOVE, Operation.MOVE_OUT)
    parts = [HEAD, "## Files coming and going\n"]
    directories = [place for place in Place if Operation.CREATE in MATRIX[place]]
    parts += _table(
        ["in", *(operation.value for operation in moving)],
        (
            (_places(places), *(_cell(MATRIX[places[0]][operation]) for operation in moving))
            for places in _alike(directories, moving)
        ),
    )
    parts.append("\n## Other operations on names\n")
    for operation in ON_NAMES:
        if operation not in moving:
            parts += _operation(operation, directories)
    parts.append("\n## Contents and attributes\n")
    about = [place for place in Place if Operation.CHMOD in MATRIX[place]]
    parts += _table(
        ["", *(place.value for place in about)],
        ((operation.value, *(_cell(MATRIX[place][operation]) for place in about)) for operation in ON_CONTENTS),
    )
    parts.append("\n## Why something is refused\n")
    refusals = {rule for rules in MATRIX.values() for rule in rules.values() if isinstance(rule, Refusal)}
    assert all(isinstance(rule, Effect | Refusal) for rules in MATRIX.values() for rule in rules.values())
    parts += _table(["error", "reason in the log"], sorted((one.name, one.sentence) for one in refusals))
    return "\n".join(parts) + "\n" + TAIL


def _operation(operation: Operation, directories: list[Place]) -> list[str]:
    """One operation: what it does where, and what happens everywhere else."""
    from tagfs.views.matrix import MATRIX, Refusal

    rows: dict[Rule, list[Place]] = {}
    for place in directories:
        rows.setdefault(MATRIX[place][operation], []).append(place)
    most = max((rule for rule in rows if isinstance(rule, Refusal)), key=lambda rule: len(rows[rule]))
    lines = [f"\n### {operation.value[0].upper()}{operation.value[1:]}\n"]
    lines += [f"- {_places(places)}: {_sentence(rule)}" for rule, places in rows.items() if rule != most]
    lines.append(f"- {'elsewhere' if len(rows) > 1 else 'everywhere'}: {_sentence(most)}")
    return lines


def _sentence(rule: Rule) -> str:
    from tagfs.views.matrix import Refusal

    return f"{rule.name}. {rule.sentence}" if isinstance(rule, Refusal) else rule.value


def _cell(rule: Rule) -> str:
    from tagfs.views.matrix import Refusal

    return rule.name if isinstance(rule, Refusal) else rule.value


def _alike(places: Iterable[Place], operations: tuple[Operation, ...]) -> list[list[Place]]:
    """Places with the same cells, together."""
    from tagfs.views.matrix import MATRIX

    rows: dict[tuple[str, ...], list[Place]] = {}
    for place in places:
        rows.setdefault(tuple(_cell(MATRIX[place][operation]) for operation in operations), []).append(place)
    return list(rows.values())


def _places(places: list[Place]) -> str:
    return "; ".join(place.value for place in places)


def _table(head: list[str], rows: Iterable[Iterable[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def main(arguments: list[str]) -> int:
    sys.path.insert(0, str(ROOT))
    made = page()
    if arguments == ["--check"]:
        current = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        if current == made:
            return 0
        print(f"{PAGE} is not what the tables say; run: python docs/make_mount_page.py", file=sys.stderr)  # noqa: T201
        return 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
