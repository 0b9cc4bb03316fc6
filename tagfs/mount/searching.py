"""What `search/WORDS/` holds: asked of a process beside the mount, and believed for a moment.

The answer stands in `Index.found_by_words`, where `views.tree` takes it from. Rules:

- Nothing in a handler waits for a search; who looks into such a directory does, in a thread,
  while others are answered. One search at a time.
- An answer is asked for again when somebody looks and it is older than `BELIEVED_NS`: what was
  saved a moment ago is read before the answer.
- A process that died or hangs is begun again at the next question; there is no answer then,
  and the directory holds what it held.
"""

from __future__ import annotations

import json
import logging
import select
import subprocess
import sys
import threading
from collections.abc import Callable

from pyroaring import BitMap

from tagfs.index.read import View
from tagfs.mount.looks import Looks
from tagfs.mount.loop import aside

log = logging.getLogger(__name__)

BELIEVED_NS = 2 * 10**9
ANSWER_S = 30.0
WORDS_KEPT = 64


class Searches:
    """The process, and what it said. Trio thread only, but for `_ask`."""

    def __init__(self, root: str, looks: Looks, now_ns: Callable[[], int]) -> None:
        self._root = root
        self._looks = looks
        self._now = now_ns
        self._asked: dict[tuple[int, str], int] = {}
        """(inode of the index, words) -> when they were asked for."""
        self._process: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = threading.Lock()

    def are_due(self, view: View, words: str) -> bool:
        """Whether these words are to be asked for before anybody looks at the files that have them."""
        asked = self._asked.get((view.index.inode, words))
        return asked is None or self._now() - asked > BELIEVED_NS

    async def look(self, words: str) -> None:
        """Ask for words, and put the answer where it is looked for."""
        guids = await aside(self._ask, words)
        view = self._looks.view()
        found, asked = view.index.found_by_words, self._asked
        if guids is not None:
            found.pop(words, None)
            found[words] = BitMap([o for guid in guids if (o := view.ordinal(guid)) is not None])
        asked.pop((view.index.inode, words), None)
        asked[view.index.inode, words] = self._now()
        while len(found) > WORDS_KEPT:
            del found[next(iter(found))]
        while len(asked) > WORDS_KEPT:
            del asked[next(iter(asked))]

    def _ask(self, words: str) -> list[str] | None:
        with self._one_at_a_time:
            for _ in range(2):  # it may have ended for want of questions
                try:
                    answer = self._ask_process(json.dumps(words).encode() + b"\n")
                    if answer:
                        return [str(guid) for guid in json.loads(answer)]
                except (OSError, ValueError) as exc:
                    log.warning("a search was not answered (%s)", exc)
                self._end()
            return None

    def _ask_process(self, line: bytes) -> bytes:
        process = self._process
        if process is None or process.poll() is not None:
            self._end()
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tagfs.text.answering", self._root],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the mount, which ends it in order
            )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line)
        process.stdin.flush()
        if not select.select([process.stdout], [], [], ANSWER_S)[0]:
            raise TimeoutError(f"it took more than {ANSWER_S:g} seconds")
        return process.stdout.readline()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass
        process.wait()

    def finish(self) -> None:
        """The mount ends."""
        with self._one_at_a_time:
            self._end()
