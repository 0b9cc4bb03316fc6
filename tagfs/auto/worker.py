"""The process that opens files to find tags in them: `python -m tagfs.auto.worker`.

It reads a line of JSON for each file, `{"path": ..., "kind": "audio"}`, and answers with one:
`{"values": {"artist": ["..."]}}` or `{"why": "..."}`. It ends when nothing more comes.

What it opens may be broken or made to do harm, and is read by libraries in Python. So it
stands alone: it writes no file, has bounds for memory and CPU time, and whoever asked ends it
when an answer takes too long. Each library is imported when the first file of its kind comes.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

from tagfs.auto.found import AUDIO, PDF, PHOTO, camera
from tagfs.bounds import allow_more_time, set_bounds

NICENESS = 5
CPU_SECONDS_A_FILE = 20
MOST_BYTES = {AUDIO: 8 << 30, PHOTO: 1 << 30, PDF: 256 << 20}
"""Larger files are not opened. Of music and photographs little more than the beginning is read."""
LONGEST_VALUE = 1_000

Values = dict[str, list[str]]


class TooLarge(Exception):
    """A file that is not opened."""


def _audio(path: str) -> Values:
    from tinytag import TinyTag

    found = TinyTag.get(path, duration=False)
    values: Values = {}
    for key in ("artist", "album", "year", "genre"):
        more: Any = found.other.get(key, [])
        values[key] = [str(one) for one in (getattr(found, key), *more) if one]
    return values


def _photo(path: str) -> Values:
    import exifread

    with open(path, "rb") as file:
        found = exifread.process_file(file, details=False, extract_thumbnail=False)
    text = {name: str(value) for name, value in found.items()}
    name = camera(text.get("Image Make", ""), text.get("Image Model", ""))
    taken = [text.get(key, "") for key in ("EXIF DateTimeOriginal", "EXIF DateTimeDigitized", "Image DateTime")]
    return {"camera": [name], "date": [day for day in taken if day][:1]}


def _pdf(path: str) -> Values:
    from pypdf import PdfReader

    with open(path, "rb") as file:
        found = PdfReader(file).metadata
        if found is None:
            return {}
        return {"author": [str(found.author or "")], "title": [str(found.title or "")]}


_READERS: dict[str, Callable[[str], Values]] = {AUDIO: _audio, PHOTO: _photo, PDF: _pdf}


def answer(path: str, kind: str) -> dict[str, Any]:
    """What is said of a file."""
    try:
        if os.stat(path).st_size > MOST_BYTES[kind]:
            raise TooLarge("it is too large to look into")
        values = _READERS[kind](path)
        return {"values": {key: [one[:LONGEST_VALUE] for one in those] for key, those in values.items()}}
    except MemoryError:
        return {"why": "it takes too much memory to look into"}
    except ImportError as exc:
        return {"why": f"{exc.name} is not installed"}
    except Exception as exc:  # noqa: BLE001 - a broken file may bring a library to anything
        return {"why": " ".join(str(exc).split())[:200] or type(exc).__name__}


def main() -> int:
    """The process. Returns its exit status."""
    set_bounds(NICENESS)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    answers, sys.stdout = sys.stdout, sys.stderr  # a library that prints must not garble an answer
    for line in sys.stdin:
        asked = json.loads(line)
        allow_more_time(CPU_SECONDS_A_FILE)
        answers.write(json.dumps(answer(asked["path"], asked["kind"])) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
