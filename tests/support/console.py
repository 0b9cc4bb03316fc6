"""Runs the console blocks of a page and says what came out.

A block begins with ```console; a line `$ command` is run by sh in one folder that lasts
for the whole page; the lines after it are what it prints, errors among them. In expected
output `...` stands for any text within a line, a line of just `...` for any lines.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    """A command and what the page says it prints."""

    command: str
    expected: str


def steps_of(text: str) -> list[Step]:
    """The commands of a page, in order."""
    steps = []
    for block in _BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            while command.endswith("\\"):
                more, _, output = output.partition("\n")
                command += "\n" + more.removeprefix("> ")
            steps.append(Step(command, output))
    return steps


def run_step(command: str, folder: Path, env: dict[str, str]) -> str:
    """What a command prints, standard output and errors in the order they came."""
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    return done.stdout.decode("utf-8", "replace")


def fits(expected: str, printed: str) -> bool:
    """Whether output is what a page says."""
    lines = [
        "(?s:.*?)" if line == "..." else re.escape(line).replace(r"\.\.\.", "[^\n]*?")
        for line in expected.rstrip("\n").split("\n")
    ]
    pattern = "\n".join(lines)
    return re.fullmatch(pattern, printed.rstrip("\n")) is not None


def with_output(text: str, outputs: list[str]) -> str:
    """The page with the output of each command replaced, unless what stands there fits."""
    pending = iter(zip(steps_of(text), outputs, strict=True))

    def block(found: re.Match[str]) -> str:
        lines = []
        for _ in steps_of(found.group(0)):
            step, printed = next(pending)
            shown = "\n> ".join(step.command.split("\n"))
            kept = step.expected if fits(step.expected, printed) else printed
            lines.append(f"$ {shown}\n{kept}" + ("" if kept.endswith("\n") or not kept else "\n"))
        return "```console\n" + "".join(lines) + "```"

    return _BLOCK.sub(block, text)
