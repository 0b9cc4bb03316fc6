"""One line after the other: what the words mean here, and who runs them.

A command of lyts gets the words it would get outside: numbers and `*` become ids and
`-q`, a query that begins with + is completed by where one stands. Then it is run

    in this process     as `lyts` itself would: `shell.run`, a store of its own
    as a child          where it starts processes, or takes long and much memory (`CHILDREN`)

The first command of a text that fails ends the text. What would come after may have
been meant for where a failed `cd` did not lead: `cd musik; rm *` must remove nothing.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from shell.app import App
from shell.live import programs, roles, shape
from shell.live.answers import Answers
from shell.live.line import Command, Word, parsed
from shell.live.numbers import chosen, is_numbers
from shell.live.own import LiveRoot, summaries
from shell.live.place import is_relative, resolved
from shell.live.program_words import Selection, replaced, selections
from shell.live.shape import Shapes
from shell.live.state import State
from shell.live.touched import EVERYTHING
from shell.output import Output
from shell.run import EXIT_PIPE, explained, run_in
from tagfs.errors import EXIT_DONE, EXIT_USAGE, BadRequest, LytsError, NoStore, NothingMatched, QueryError
from tagfs.layout import Layout
from tagfs.verbs.picks import Guids

if TYPE_CHECKING:
    from shell.live.roles import Read
    from shell.live.settings import Settings

CHILDREN = frozenset(["mount", "umount", "enable", "disable", "node", "sync", "doctor", "fsck", "reindex", "migrate"])
"""Commands that fork, start others, set up logs or signals for the whole process, or rebuild the index."""
PAGED = frozenset(["ls", "find", "tags", "log", "show", "why", "help", "where", "versions", "search", "trash"])
_MEANS_HERE: dict[str, list[str]] = {"tags": [], "save": [shape.SAVED]}
"""Commands that take where one stands for their query, if nothing but words of these kinds is given."""
_ALL_SHOWN = 1_000
"""Of a query without `-q` (`show *`) at most so many files are named one by one."""


class LiveOutput(Output):
    """While a pager may have the screen, what is said waits until it has gone."""

    def __init__(self, environ: Mapping[str, str], color: str = "auto", *, waits: bool = False) -> None:
        super().__init__(environ, color)
        self._waits = waits
        self._said: list[str] = []

    def say(self, text: str) -> None:
        if self._waits:
            self._said.append(text)
        else:
            super().say(text)

    def say_all(self) -> None:
        """Say what waited."""
        self._waits = False
        said, self._said = self._said, []
        for text in said:
            super().say(text)


class LiveApp(App):
    """One command under way in the shell."""

    def __init__(self, session: Session, *, waits: bool = False) -> None:
        super().__init__(session.environ)
        self.session = session
        self._given_root = session.root
        self.output: LiveOutput = LiveOutput(session.environ, session.color, waits=waits)

    def listed(self, guids: Sequence[str]) -> bool:
        self.session.state = self.session.state._replace(listing=Guids.of(guids))
        return self.output.out.terminal

    def settings(self, store: str | None, color: str | None) -> None:
        if store is not None and os.path.abspath(os.path.expanduser(store)) != self.session.root:
            raise BadRequest("the shell stays with one store; for another one: lyts --store DIR shell")
        if color is not None:
            self.output = LiveOutput(self.environ, color)


class Session:
    """What runs the lines of one shell."""

    def __init__(
        self,
        root: str,
        environ: Mapping[str, str],
        settings: Settings,
        *,
        color: str = "auto",
        interactive: bool = False,
    ) -> None:
        self.root = root
        self.environ = dict(environ)
        self.config = settings
        self.color = color
        self.interactive = interactive
        self.state = State()
        self.leaving: int | None = None
        """The exit code, once the shell is to be left."""
        self.answers = Answers(root, environ)
        self.group = LiveRoot()
        self.shapes = Shapes(self.group, summaries())
        self.copies = programs.Copies(environ)

    def close(self) -> None:
        self.answers.close()
        changed = self.copies.close()
        if changed:
            self._say(
                f"lyts: a program wrote to copies of files, which are not in your library: {', '.join(changed)}; "
                "lyts add takes them in, and after mount programs get the files themselves"
            )

    # -- lines

    def run(self, text: str, *, keep_going: bool = False) -> int:
        """Run all commands of a text. Returns the exit code of the first that failed, 0 if none did."""
        line = parsed(text)
        if line.open in ("'", '"'):
            self._say(f"lyts: the quote that opens at character {line.open_at + 1} is never closed: {line.open}")
            return self._ended(EXIT_USAGE)
        failed = 0
        for number, command in enumerate(line.commands):
            code = self._ended(self._run(command, text))
            failed = failed or code
            if self.leaving is not None:
                break
            if code and not keep_going:
                left = len(line.commands) - number - 1
                if left:
                    which = "the command after it was" if left == 1 else f"the {left} commands after it were"
                    self._say(f"lyts: that failed (exit status {code}), so {which} not run")
                break
        return failed

    def _ended(self, code: int) -> int:
        self.state = self.state._replace(code=code)
        return code

    def _say(self, text: str) -> None:
        Output(self.environ, self.color).say(text)

    def _run(self, command: Command, text: str) -> int:
        try:
            if command.program is not None:
                return self._run_program(command.program)
            words = command.words
            if not words:
                raise BadRequest("a command is missing before the |")
            if is_relative(words[0].text):
                words = (Word("cd", words[0].start, words[0].start), *words)
            arguments = self.arguments(words)
        except LytsError as exc:
            self._say(f"lyts: {exc}")
            return exc.exit_code
        if not arguments:
            arguments = ["help"]
        return self._run_command(arguments, command.into)

    def run_safely(self, text: str) -> int:
        """`run`, where even what nobody foresaw is a sentence and the shell goes on."""
        try:
            return self.run(text)
        except BaseException as exc:  # noqa: BLE001 - a shell that ends amid work would be worse
            app = LiveApp(self)
            code = explained(app, exc, [text])
            app.output.flush()
            return self._ended(code)

    # -- where one stands

    def count_here(self) -> tuple[int | None, str]:
        """How many files are where one stands, as of now; None and a sentence where that cannot be said.

        Raises `NoStore`.
        """
        from shell.commands.find import plan_of
        from tagfs.query.run import count

        query = self.state.place.query
        try:
            with self._looking() as app:
                return app.store.read(lambda view: count(plan_of(view, query, app), view)), ""
        except NoStore:
            raise
        except QueryError:  # the last file lost the tag one stands in
            return 0, ""
        except (LytsError, OSError) as exc:
            return None, str(exc)

    @contextmanager
    def _looking(self) -> Iterator[LiveApp]:
        with self.answers.apart():
            app = LiveApp(self)
            try:
                yield app
            finally:
                app.close()
                app.output.flush()

    # -- words

    def arguments(self, words: Sequence[Word]) -> list[str]:
        """The words for lyts itself. Raises `NotListed`, `BadRequest`."""
        found = roles.read(words, self.shapes.get)
        start = 1 if words[0].text == "lyts" and not words[0].quoted else 0
        name = found.path[0] if found.path else ""
        out: list[str] = []
        everything = False
        first_query = True
        for number, (word, role) in enumerate(zip(words, found.roles, strict=True)):
            if number < start:
                continue
            if role.kind == shape.TARGET and not word.quoted and word.text == "*":
                everything = True
            elif role.kind == shape.TARGET and not word.quoted and is_numbers(word.text, len(self.state.listing)):
                out += [self.state.listing[at] for at in chosen(word.text, len(self.state.listing))]
            elif role.kind == shape.QUERY and name != "cd" and first_query:
                first_query = role.part == roles.VALUE
                text = word.text[role.at :]
                out.append(word.text[: role.at] + self._query(text))
            elif role.kind == shape.PATH and not word.quoted:
                out += _paths(word.text, self.environ)
            else:
                out.append(word.text)
        if everything:
            self._add_everything(out, found, start)
        here = self.state.place.query
        if name in _MEANS_HERE and here and len(found.path) == 1:
            said = [role.kind for role in found.roles if role.part == roles.ARGUMENT]
            if said == _MEANS_HERE[name]:
                out.append(here)
        return out

    def _query(self, text: str) -> str:
        """A query as it means the same everywhere."""
        if not is_relative(text):
            return text
        return resolved(self.state.place, text) or EVERYTHING

    def _add_everything(self, out: list[str], found: Read, start: int) -> None:
        query = self.state.place.query or EVERYTHING
        at = found.head - start
        assert found.shape is not None
        if found.shape.takes_query:
            if any(word == "-q" or word.startswith(("-q", "--query")) for word in out):
                raise BadRequest("* means all files of where you are, and -q those of a query: one of them, please")
            out[at:at] = ["-q", query]
            return
        out += self._guids_of(query)

    def _guids_of(self, query: str) -> list[str]:
        """The files of a query, one by one. Not from `answers`, who answer only what the last key asked."""
        from shell.commands.find import ordered

        with self._looking() as app:
            found = ordered(app, query, None, False, _ALL_SHOWN + 1)
            if len(found) > _ALL_SHOWN:
                raise BadRequest(f"* means more than {_ALL_SHOWN:,} files here, which is too much to name one by one")
            guids = app.store.read(lambda view: [view.guid(ordinal) for ordinal in found])
        if not guids:
            raise NothingMatched("there are no files here")
        return list(guids)

    # -- running

    def _run_command(self, arguments: Sequence[str], into: str | None) -> int:
        if into is not None and not into.strip():
            self._say("lyts: a program is missing after the |")
            return EXIT_USAGE
        codes: list[int] = []
        with ExitStack() as stack:
            pipe = stack.enter_context(programs.piped_into(into, self.environ, codes)) if into is not None else None
            code = self._run_here_or_there(arguments, pipe)
        if into is not None:
            code = codes[0] if code in (EXIT_DONE, EXIT_PIPE) else code
        return code

    def _run_here_or_there(self, arguments: Sequence[str], pipe: Any) -> int:
        name = arguments[0]
        if name in CHILDREN and "--help" not in arguments and "-h" not in arguments:
            return self._run_child(arguments, pipe)
        paged = self._paged(name) if pipe is None else None
        with self.answers.apart(), _stdout(pipe, paged):
            app = LiveApp(self, waits=paged is not None)
            code = run_in(app, arguments, self.group)
            if code == 130:
                let_go_of_locks(self.root)
        if paged is not None:
            paged.finish()
            app.output.say_all()
            if code == EXIT_PIPE:
                code = EXIT_DONE  # the pager was left: enough was seen
        return code

    def _run_child(self, arguments: Sequence[str], pipe: Any) -> int:
        from shell.login import this_program

        color = [] if self.color == "auto" else ["--color", self.color]
        environ = {**self.environ, "LYTS_STORE": self.root}
        stdin = None if self.interactive else _nothing()
        try:
            return programs.run_child([*this_program(), *color, *arguments], environ, stdout=pipe, stdin=stdin)
        except LytsError as exc:
            self._say(f"lyts: {exc}")
            return exc.exit_code

    def _paged(self, name: str) -> programs.Paged | None:
        if not self.interactive or name not in PAGED or not Output(self.environ).out.terminal:
            return None
        words = programs.pager_words(self.config.pager, self.environ)
        if not words:
            return None
        rows = os.get_terminal_size(sys.stdout.fileno()).lines
        return programs.Paged(sys.stdout, words, max(2, rows - 1), self.environ)

    # -- programs

    def _run_program(self, text: str) -> int:
        """Run a line in /bin/sh, with the paths of the files it means."""
        found = selections(text, len(self.state.listing))
        if not text.strip():
            raise BadRequest("a program is missing after the !: for example !mpv 3-7, or !ls *")
        if found:
            text = self._with_paths(text, found)
        if self.interactive:
            code = programs.run_line(text, self.environ)
            if code == 130:
                self._say("")  # the cursor stands behind the terminal's ^C
            return code
        return programs.run_line(text, self.environ, stdin=_nothing())

    def _with_paths(self, text: str, found: list[Selection]) -> str:
        words = []
        guids: list[list[str]] = []
        for one in found:
            if one.everything:
                guids.append(self._guids_of(self.state.place.query or EVERYTHING))
            else:
                guids.append([self.state.listing[at] for at in one.places])
        with self.answers.apart():
            app = LiveApp(self)
            try:
                for one, ids in zip(found, guids, strict=True):
                    paths = [given.path for given in programs.given_paths(app, ids, self.copies)]
                    words.append((one, " ".join(map(_for_sh, paths))))
            finally:
                app.close()
        return replaced(text, words)


def _for_sh(path: str) -> str:
    import shlex

    return shlex.quote(path)


def _nothing() -> int:
    """An empty stdin: in a script the lines to come are not the program's."""
    import subprocess

    return subprocess.DEVNULL


def _paths(text: str, environ: Mapping[str, str]) -> list[str]:
    """A path that was not quoted: `~` is home, and wildcards mean what there is."""
    home = environ.get("HOME") or os.path.expanduser("~")
    if text == "~" or text.startswith("~/"):
        text = home + text[1:]
    if any(ch in text for ch in "*?["):
        from glob import glob

        try:
            return sorted(glob(text)) or [text]
        except (OSError, ValueError):
            return [text]
    return [text]


@contextmanager
def _stdout(pipe: Any, paged: programs.Paged | None) -> Iterator[None]:
    """stdout is a pipe, or the terminal with a pager in between, as long as this lasts."""
    if pipe is None and paged is None:
        yield
        return
    before = sys.stdout
    if paged is not None:
        sys.stdout = paged
        try:
            yield
        finally:
            sys.stdout = before
        return
    # A descriptor of its own: whatever closes this stdout must not close the pipe twice.
    mine = io.TextIOWrapper(os.fdopen(os.dup(pipe.fileno()), "wb"), encoding="utf-8", write_through=True)
    sys.stdout = mine
    try:
        yield
    finally:
        sys.stdout = before
        try:
            mine.close()
        except OSError:
            pass


def let_go_of_locks(root: str) -> None:
    """Close whatever an interrupted command still holds of the store's locks.

    A Ctrl-C may come between taking a lock and the code that gives it back. A process that
    ends lets go of all; the shell goes on, and would lock everybody out.
    """
    gc.collect()
    layout = Layout(root)
    locks = {os.path.realpath(path) for path in (layout.lock, layout.dirty)}
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}") in locks:
                os.close(int(name))
        except OSError:
            continue
