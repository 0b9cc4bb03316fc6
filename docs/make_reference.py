"""Writes docs/reference/commands.md from the help of every command, and FORMAT.md from docs/ledger-format.md.

    python docs/make_reference.py            write it
    python docs/make_reference.py --check    say whether it is current (exit status 1 if not)

The page is what `lyts help` prints, 80 columns wide, so it cannot say anything else. A
test compares it with the committed file. FORMAT.md is laid into every store; it is the page on
the ledger format, word for word.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "commands.md"
LEDGER_FORMAT = ROOT / "docs" / "ledger-format.md"
FORMAT = ROOT / "tagfs" / "recovery" / "templates" / "FORMAT.md"
WIDTH = 80

HEAD = """\
# Commands

Made from the commands' own help by `docs/make_reference.py`; `lyts help COMMAND` prints
the same. What `--json` gives is in [json.md](json.md).

Exit status: 0 done, 1 nothing matched or a check failed, 2 wrong use, 3 trouble with the
store or the system, 130 interrupted, 141 when whoever read the output went away.

- Results go to stdout; what is said beside them, questions and progress go to stderr.
- On a terminal, characters of names that cannot be seen, or that would move or turn the
  text, are spelled out (`\\x1b`, `\\u202e`). Into a pipe or a file one name is one line,
  and only control characters are spelled out (a line break as `\\n`). `-0` writes names as
  they are; `--json` is for programs.
- Colour and progress appear on a terminal only. `--color` and `NO_COLOR` decide.
- What is dangerous asks. `--yes` answers beforehand; without a terminal it is refused.
- `--` ends the options: `lyts find -- -music`, `lyts show -- notes`.
- `LYTS_STORE` says where the store is. What went wrong unexpectedly is written to
  `~/.local/state/lyts/errors.log`; with `LYTS_DEBUG=1` it is shown as well.
"""


def reference() -> str:
    """The page."""
    parts = [HEAD]
    for title, text in _helps():
        heading = "##" if title.count(" ") < 2 else "###"
        parts.append(f"\n{heading} {title}\n\n```text\n{text}\n```\n")
    return "".join(parts)


def _helps() -> Iterator[tuple[str, str]]:
    import click

    from shell.root import TABLE, root

    def context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
        return click.Context(
            command, info_name=name, parent=parent, terminal_width=WIDTH, help_option_names=["-h", "--help"]
        )

    def below(command: click.Command, here: click.Context) -> Iterator[tuple[str, str]]:
        yield here.command_path, _plain(command.get_help(here))
        if isinstance(command, click.Group):
            for name in command.list_commands(here):
                inner = command.get_command(here, name)
                assert inner is not None
                yield from below(inner, context(inner, name, here))

    whole = context(root, "lyts", None)
    yield "lyts", _plain(root.get_help(whole))
    for name in TABLE:
        command = root.get_command(whole, name)
        assert command is not None
        here = context(command, name, whole)
        yield from below(command, here)


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))


def main(arguments: list[str]) -> int:
    sys.path.insert(0, str(ROOT))
    page = reference()
    if arguments == ["--check"]:
        current = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        if current == page and FORMAT.read_bytes() == LEDGER_FORMAT.read_bytes():
            return 0
        print(f"{PAGE} is not what the commands say; run: python docs/make_reference.py", file=sys.stderr)  # noqa: T201
        return 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    FORMAT.write_bytes(LEDGER_FORMAT.read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
