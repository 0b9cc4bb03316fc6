"""The process that reads files: `python -m tagfs.text.worker`. It may hang, eat memory or crash; `reading` copes.

On stdin a line of JSON for each file: [path, extension]. On stdout for each: its length in
bytes as four of them, big-endian, then the text in UTF-8; of a file that could not be read
`FAILED` and the reason.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import warnings
from typing import BinaryIO

from tagfs.bounds import allow_more_time, set_bounds
from tagfs.text.extract import extract

LENGTH = struct.Struct(">I")
FAILED = 1 << 31
NICENESS = 10
CPU_SECONDS_A_FILE = 30
"""More than who asks waits for."""


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Answer until nothing more is asked."""
    for line in asked:
        path, extension = json.loads(line)
        allow_more_time(CPU_SECONDS_A_FILE)
        failed = 0
        try:
            text = extract(path, extension)
        except (Exception, RecursionError, MemoryError) as exc:  # noqa: BLE001 - whatever a library makes of a file
            failed, text = FAILED, f"{type(exc).__name__}: {exc}"[:1000]
        data = text.encode("utf-8", "replace")
        answers.write(LENGTH.pack(failed | len(data)) + data)
        answers.flush()


def main() -> None:
    set_bounds(NICENESS)
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
