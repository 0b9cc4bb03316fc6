"""What was typed, from one shell to the next: `~/.local/state/lyts/shell-history`, mode 0600.

One line a line, the newest last, so that people can read and edit it. Each is appended in
one write, so several shells may be open. A line that begins with a blank is not kept, nor
one that repeats the last. Beyond `KEPT_LINES` the oldest go, when a shell starts.

A history that cannot be read or written is no reason not to work: `Trouble` is said once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from shell.run import state_folder

KEPT_LINES = 10_000
_SLACK = 1_000
MOST_BYTES = 16 << 20


def path_of(environ: Mapping[str, str]) -> str:
    """Where it is kept."""
    return os.path.join(state_folder(dict(environ)), "shell-history")


def lines_of(path: str) -> Iterator[str]:
    """The lines, the newest first; none where there is no history."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - MOST_BYTES))
            raw = file.read()
    except OSError:
        return
    for line in reversed(raw.decode("utf-8", "replace").split("\n")):
        if line:
            yield line


def keeps(line: str, last: str) -> bool:
    """Whether a line is worth keeping."""
    return bool(line.strip()) and not line[0].isspace() and line != last


def append(path: str, text: str) -> None:
    """Keep what was typed, line by line. Raises `OSError`."""
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, "".join(line + "\n" for line in lines).encode("utf-8", "backslashreplace"))
    finally:
        os.close(fd)


def trim(path: str) -> None:
    """Drop the oldest lines where there are too many, and see that only its owner reads it. Raises `OSError`."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if mode & 0o077:
        os.chmod(path, 0o600)
    newest = list(lines_of(path))
    if len(newest) <= KEPT_LINES + _SLACK:
        return
    fresh = f"{path}.{os.getpid()}"
    fd = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            kept = reversed(newest[:KEPT_LINES])
            file.write("".join(line + "\n" for line in kept).encode("utf-8", "backslashreplace"))
        os.rename(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise
