"""Where `lyts` begins.

`lyts --version` is answered here, before anything is imported; all else is `shell.run`.
"""

import sys

VERSION = "0.1.0"
"""The same as in `pyproject.toml`, which a test compares: asking the installation for it would cost 40 ms."""


def main(arguments: "list[str] | None" = None) -> int:
    """Run `lyts` with these arguments (`sys.argv` by default). Returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if given == ["--version"]:
            sys.stdout.write(f"lyts {VERSION}\n")
            sys.stdout.flush()
            return 0
        from shell.run import run

        return run(given)
    except KeyboardInterrupt:  # before `run` could see to it
        return 130
