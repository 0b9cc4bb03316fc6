"""Measures the shell: until the prompt is there, and each key's completion and preview.

    python -m bench.shell --files 100000
    python -m bench.shell --files 1000000 --runs 5

Until the prompt: CPU time of the whole process, from exec to the moment its prompt is to
be read on a pseudo-terminal, as the kernel counts it. Completion and preview: CPU time of
the question alone, in a process that stays: "first" after the index changed, "then" for
the next key. What is made ready while nobody types (at each prompt) is told apart.
"""

from __future__ import annotations

import argparse
import os
import platform
import pty
import select
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from bench import library
from bench.build import build, default_work
from bench.measure import child_environ

GOAL_PROMPT_MS, GOAL_COMPLETION_MS = 250, 30
PATIENCE_S = 120.0
START = [sys.executable, "-P", "-c", "import sys; from shell.main import main; sys.exit(main())"]


def cpu_ms(pid: int) -> float:
    """The CPU time of a process so far."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        main = int(file.read().split()[0])
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return max(main, total) / 1e6


def until_prompt(environ: dict[str, str]) -> float:
    """CPU milliseconds from exec to the prompt."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(START[0], START, environ)
    seen = b""
    until = time.monotonic() + PATIENCE_S
    while b">" not in seen:
        if not select.select([fd], [], [], max(0.0, until - time.monotonic()))[0]:
            raise SystemExit(f"no prompt came: {seen!r}")
        seen += os.read(fd, 1 << 16)
    took = cpu_ms(pid)
    os.write(fd, b"\x04")
    while True:
        try:
            if not os.read(fd, 1 << 16):
                break
        except OSError:
            break
    os.close(fd)
    os.waitpid(pid, 0)
    return took


def keys(root: str, environ: dict[str, str]) -> list[tuple[str, float, float]]:
    """(what is typed, CPU ms for the first time, CPU ms for the next key) of questions a person asks."""
    from shell.live.offers import offers
    from shell.live.place import Place
    from shell.live.session import Session
    from shell.live.settings import DEFAULTS
    from shell.live.touched import preview

    session = Session(root, environ, DEFAULTS)
    answers = session.answers
    tags = library.TERMS

    def offered(text: str) -> Any:
        return offers(text, session.state, session.shapes.get, session.shapes.summaries, answers)

    def previewed(text: str) -> Any:
        return preview(text, session.state, session.shapes.get, answers)

    def timed(call: Callable[[], Any]) -> float:
        start = time.process_time()
        call()
        return (time.process_time() - start) * 1000

    print(f"making ready, in the background while nobody types: {timed(answers.warm):.0f} ms")
    out = []
    session.state = session.state.moved(Place((tags[1],)))
    for text in ("tag jazz co", "show co", "+"):
        offered(text)  # what is imported once, and modules of commands
    for ask, text in (
        (offered, "cd "),
        (offered, f"cd {tags[0]}+"),
        (offered, f"cd {tags[0]}+a"),
        (offered, f"cd {tags[4]}+{tags[9]}+"),
        (offered, f"cd {tags[99]}+"),
        (offered, "+"),
        (offered, "cd anch"),
        (offered, "tag co"),
        (offered, "show co"),
        (previewed, f"tag {tags[4]} *"),
        (previewed, f"rm -q {tags[0]}+{tags[4]}"),
        (previewed, "cd nosuchtag"),
    ):
        answers._kept.clear()
        answers.warm()
        first = timed(lambda ask=ask, text=text: ask(text))  # type: ignore[misc]
        out.append(
            (("Tab: " if ask is offered else "below: ") + text, first, timed(lambda ask=ask, text=text: ask(text)))
        )  # type: ignore[misc]
    session.close()
    return out


def main() -> None:
    """Build what is missing, measure, print."""
    parser = argparse.ArgumentParser(description="Measure the shell.")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--work", default=default_work(), help="where builds are kept (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    built = build(given.work, given.files, peer=False)
    state = os.path.join(os.path.dirname(built.store), "state")
    names = ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    environ = child_environ({"LYTS_STORE": built.store, "TERM": "xterm-256color", **dict.fromkeys(names, state)})
    print(f"{built.files:,} files; Python {platform.python_version()}; CPU time")
    until_prompt(environ)
    took = [until_prompt(environ) for _ in range(given.runs)]
    print(f"until the prompt: {min(took):.0f} ms ({statistics.median(took):.0f} median); goal {GOAL_PROMPT_MS}")
    print(f"\n{'what is typed':<44}{'first':>8}{'then':>8}   ms; goal {GOAL_COMPLETION_MS}")
    for text, first, then in keys(built.store, environ):
        print(f"{text:<44}{first:>8.1f}{then:>8.1f}")


if __name__ == "__main__":
    main()
