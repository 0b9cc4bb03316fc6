"""The shell on a terminal: prompt_toolkit, which nothing else imports. What it shows is decided elsewhere.

Rules:

- The main thread types and runs commands; a second one answers completion and preview.
  Each key makes what was asked before it unwanted (`Worker.touch`), so typing waits for
  nothing.
- Enter takes no completion beside a command that is not harmless: with a candidate
  selected in the menu it only closes the menu, and the line is again what was typed.
- What was pasted is run by Enter alone, however many lines it has.
- The terminal is never asked where its cursor is (CPR): over a slow line the answer
  arrives amid what is typed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app, run_in_terminal
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.buffer import CompletionState
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, get_common_complete_suffix
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition, emacs_insert_mode, is_done, vi_insert_mode
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout.containers import ConditionalContainer, HSplit, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.layout import Layout
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.styles import Style

from shell.live import history, looks
from shell.live.answers import NotWanted
from shell.live.offers import Offer, offers
from shell.live.place import Place
from shell.live.settings import config_path
from shell.live.touched import Preview, is_careful, preview
from shell.output import Output
from shell.text import count_text, cut, harmless, width
from tagfs.errors import EXIT_DONE, NoStore

if TYPE_CHECKING:
    from shell.live.session import Session

T = TypeVar("T")

MENU_ROWS = 8
LIST_MOST = 60
"""Where completions are printed below the line, at most so many."""


class Worker:
    """The thread that answers. One question at a time; those of an earlier key are dropped."""

    def __init__(self, session: Session) -> None:
        self._pool = ThreadPoolExecutor(1, "answers")
        self._key = 0
        self._asked_at = 0
        session.answers.wanted = lambda: self._asked_at == self._key

    def touch(self) -> None:
        """A key was typed."""
        self._key += 1

    async def ask(self, question: Callable[[], T], otherwise: T) -> T:
        """The answer; `otherwise` when another key came first."""
        asked_at = self._key

        def run() -> T:
            self._asked_at = asked_at
            if asked_at != self._key:
                return otherwise
            try:
                return question()
            except NotWanted:
                return otherwise

        return await asyncio.get_running_loop().run_in_executor(self._pool, run)

    def end(self) -> None:
        self.touch()
        self._pool.shutdown(wait=True, cancel_futures=True)


class Terminal:
    """The prompt, its completion, and what is below it."""

    def __init__(self, session: Session, worker: Worker, told: History) -> None:
        self.session = session
        self.worker = worker
        self.preview = Preview()
        config = session.config
        self._wrong: list[str] = []
        self._notice: Preview | None = None
        self._completing = False
        self._enter_waits = False
        self._put = ("", "")
        """The line as a completion left it, with a blank at its end, and the signs that go on from there."""
        self.prompt: PromptSession[str] = _Prompt(
            self,
            history=told,
            completer=_LiveCompleter(self),
            complete_while_typing=config.completion == "typing",
            enable_history_search=config.completion != "typing",
            auto_suggest=AutoSuggestFromHistory() if self._suggests() else None,
            lexer=_LiveLexer(session),
            style=self._style(),
            editing_mode=EditingMode.VI if config.keys == "vi" else EditingMode.EMACS,
            key_bindings=self._keys(),
            enable_open_in_editor=True,
            enable_suspend=True,
            include_default_pygments_style=False,
        )
        self.prompt.default_buffer.on_text_changed += lambda _: self._changed()

    def ask(self, here: str) -> str:
        """What is typed at the prompt; `here` says how many files there are.

        Raises `KeyboardInterrupt` for Ctrl-C, `EOFError` for Ctrl-D.
        """
        self.preview = Preview()
        self._notice = None
        self._completing = self._enter_waits = False

        def begun() -> None:
            get_app().create_background_task(self.warm())

        return self.prompt.prompt(lambda: self.message(here), pre_run=begun)

    def _at(self, key: str) -> str:
        """Where in the settings a key stands, at the head of a sentence about it."""
        return f"{config_path(self.session.environ)}, line {self.session.config.lines.get(key, 1)}: "

    def complaints(self) -> list[str]:
        """What in the settings cannot be done, once."""
        wrong, self._wrong = self._wrong, []
        return wrong

    # -- looks

    def _suggests(self) -> bool:
        """Whether what was typed before appears behind the cursor: not where it would look as if it were typed."""
        config = self.session.config
        theme = looks.THEMES[looks.theme_of(config.theme, self.session.environ)]
        return config.suggestions and ("auto-suggestion" in theme or "auto-suggestion" in config.colors)

    def _style(self) -> Style:
        theme = looks.THEMES[looks.theme_of(self.session.config.theme, self.session.environ)]
        rules = {
            # The terminal's own two colours, turned around; what is selected is not, and bold.
            "completion-menu": "noinherit reverse",
            "completion-menu.completion": "noinherit reverse",
            "completion-menu.completion.current": "noinherit noreverse bold underline",
            "completion-menu.meta.completion": "noinherit reverse",
            "completion-menu.meta.completion.current": "noinherit noreverse bold underline",
            "scrollbar.background": "noinherit reverse",
            "scrollbar.button": "noinherit noreverse",
            **theme,
        }
        for part, style in self.session.config.colors.items():
            if part not in looks.PARTS:
                self._wrong.append(self._at(part) + f"there is no part {part!r}; there are {', '.join(looks.PARTS)}")
                continue
            try:
                Style.from_dict({part: style})
            except ValueError as exc:
                self._wrong.append(self._at(part) + f"the colour of {part} cannot be read: {exc}")
            else:
                rules[part] = style
        return Style.from_dict(rules)

    def message(self, here: str) -> StyleAndTextTuples:
        """The prompt: where one stands, and how many files are there."""
        columns = get_app().output.get_size().columns
        place = shown_place(self.session.state.place, max(12, columns // 2))
        return [
            ("class:prompt.place", place),
            ("class:prompt.count", f" ({here})"),
            ("class:prompt.mark", " > "),
        ]

    def below(self) -> StyleAndTextTuples:
        """The line below the prompt."""
        columns = get_app().output.get_size().columns
        shown = self._notice or self.preview
        text = ("! " if shown.warns else "") + shown.text
        return [("class:preview.warns" if shown.warns else "class:preview", cut(text, columns - 1))]

    def has_below(self) -> bool:
        """Whether there is something to say there."""
        return bool((self._notice or self.preview).text)

    # -- keys

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("tab")
        def _tab(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            if buffer.complete_state:
                buffer.complete_next()
            elif not self._completing:
                self._completing = True
                event.app.create_background_task(self._complete())

        @keys.add("enter", filter=Condition(lambda: self._completing))
        def _enter_while_completing(event: KeyPressEvent) -> None:
            # Tab and Enter in one go: what Tab finds is meant as well. A second Enter does not wait.
            if self._enter_waits:
                self._completing = self._enter_waits = False
                event.current_buffer.validate_and_handle()
            else:
                self._enter_waits = True

        @keys.add("enter", filter=Condition(self._is_selected_beside_danger))
        def _enter(event: KeyPressEvent) -> None:
            event.current_buffer.cancel_completion()
            self._notice = Preview("Enter takes no completion here; to take one: Tab to it, then a blank", True)

        @keys.add("+", filter=Condition(lambda: self._goes_on("+")) & (emacs_insert_mode | vi_insert_mode))
        @keys.add(",", filter=Condition(lambda: self._goes_on(",")) & (emacs_insert_mode | vi_insert_mode))
        def _go_on(event: KeyPressEvent) -> None:
            # `cd mus`, Tab, `+`: the blank that Tab put in was not meant.
            event.current_buffer.delete_before_cursor()
            event.current_buffer.insert_text(event.data)

        for key, line in self.session.config.bind.items():
            try:
                keys.add(*key.split())(_typed(line))
            except ValueError:
                self._wrong.append(self._at(key) + f"there is no key {key!r}; keys are written as c-t, f2, escape t")
        return keys

    def _is_selected_beside_danger(self) -> bool:
        state = self.prompt.default_buffer.complete_state
        if state is None or state.complete_index is None or len(state.completions) < 2:
            return False
        return is_careful(self.prompt.default_buffer.text, self.session.shapes.get)

    def _goes_on(self, sign: str) -> bool:
        """Whether a sign joins what comes to the word that a completion just put in."""
        text, signs = self._put
        return sign in signs and self.prompt.default_buffer.document == Document(text)

    # -- what is asked of the worker

    def _changed(self) -> None:
        self._notice = None
        self.worker.touch()
        if self.session.config.preview:
            get_app().create_background_task(self._preview())

    async def _preview(self) -> None:
        text, session = self.prompt.default_buffer.text, self.session
        old = self.preview

        def look() -> Preview:
            return preview(text, session.state, session.shapes.get, session.answers)

        found = await self.worker.ask(look, None)
        if found is not None and found != old:
            self.preview = found
            get_app().invalidate()

    async def offers(self, text: str) -> list[Offer]:
        """What fits at the end of a text."""
        session = self.session

        def look() -> list[Offer]:
            return offers(text, session.state, session.shapes.get, session.shapes.summaries, session.answers)

        return await self.worker.ask(look, [])

    async def _complete(self) -> None:
        """What Tab does: put in what all candidates have in common, else show them."""
        buffer = self.prompt.default_buffer
        document = buffer.document
        found: list[Offer] = []
        try:
            found = await self.offers(document.text_before_cursor)
            if buffer.document == document:
                await self._put_in(found, document)
        finally:
            enter, self._completing, self._enter_waits = self._enter_waits, False, False
            if enter and found and is_careful(buffer.text, self.session.shapes.get):
                # Nobody has seen yet what was put in.
                self._notice = Preview("Enter takes no completion here; once more, if this is what you mean", True)
                get_app().invalidate()
            elif enter:
                buffer.validate_and_handle()

    async def _put_in(self, found: list[Offer], document: Document) -> None:
        buffer = self.prompt.default_buffer
        completions = list(_completions(found, document))
        if len(completions) == 1:
            buffer.delete_before_cursor(-completions[0].start_position)
            buffer.insert_text(completions[0].text)
            if completions[0].text.endswith(" "):
                self._put = (buffer.text, found[0].signs)
            return
        common = get_common_complete_suffix(document, completions)
        if common == "+":
            common = ""  # what is typed is whole: it may go on, and need not
        if common:
            buffer.insert_text(common)
            completions = [one.new_completion_from_position(len(common)) for one in completions]
        if self._enter_waits:
            return
        if self.session.config.completion == "list" or not found:
            if not common:
                await self._print_offers(found)
            return
        buffer.complete_state = CompletionState(buffer.document, completions)
        buffer.on_completions_changed.fire()

    async def _print_offers(self, found: list[Offer]) -> None:
        lines = [f"  {one.shown}  {one.about}".rstrip() for one in found[:LIST_MOST]]
        if len(found) > LIST_MOST:
            lines.append(f"  and {len(found) - LIST_MOST} more")
        columns = get_app().output.get_size().columns
        text = "\n".join(cut(line, columns - 1) for line in lines or ["  nothing fits here"])
        await run_in_terminal(lambda: _print(text))

    async def warm(self) -> None:
        """Have the next answer made ready while nobody types."""
        await self.worker.ask(self.session.answers.warm, None)
        await self.offers("")


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _typed(line: str) -> Callable[[KeyPressEvent], None]:
    """A key that types a line and Enter."""

    def handle(event: KeyPressEvent) -> None:
        event.current_buffer.document = Document(line)
        event.current_buffer.validate_and_handle()

    return handle


def shown_place(place: Place, columns: int) -> str:
    """Where one stands, in so many columns: the end of it, which `cd ..` drops first, is what stays."""
    if not place.parts:
        return "lyts"
    text = harmless(place.query)
    if width(text) <= columns:
        return text
    kept: list[str] = []
    for part in reversed(place.parts):
        if width("…+" + "+".join([harmless(part), *kept])) > columns and kept:
            break
        kept.insert(0, harmless(part))
    return cut("…+" * (len(kept) < len(place.parts)) + "+".join(kept), columns)


class _Prompt(PromptSession[str]):
    """A prompt with a line below it."""

    def __init__(self, terminal: Terminal, **options: Any) -> None:
        self._terminal = terminal
        super().__init__(**options)
        self.app.before_render += lambda app: self._make_room(app.output.get_size().rows)

    def _make_room(self, rows: int) -> None:
        """A menu takes no more rows than the terminal has beside the prompt and the line below it."""
        self.reserve_space_for_menu = max(1, min(MENU_ROWS, rows - 3))

    def _create_layout(self) -> Layout:
        layout = super()._create_layout()
        terminal = self._terminal
        line = Window(FormattedTextControl(terminal.below), height=1, dont_extend_height=True)
        shown = Condition(terminal.has_below) & ~is_done
        assert isinstance(layout.container, HSplit)
        layout.container.children.insert(1, ConditionalContainer(line, shown))
        return layout


class _LiveCompleter(Completer):
    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        return ()  # only the other one is asked

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        found = await self._terminal.offers(document.text_before_cursor)
        for one in _completions(found, document):
            yield one


def _completions(found: list[Offer], document: Document) -> Iterable[Completion]:
    at = len(document.text_before_cursor)
    for one in found:
        text = one.text
        if len(found) == 1 and not one.more and not document.text_after_cursor:
            text += " "
        yield Completion(text, one.start - at, display=one.shown, display_meta=one.about)


class _LiveLexer(Lexer):
    """Colours; commands are looked up as they are typed."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        session = self._session
        found = looks.spans(document.text, len(session.state.listing), session.shapes.get)
        starts = [0]
        for line in document.lines:
            starts.append(starts[-1] + len(line) + 1)

        def line_of(number: int) -> StyleAndTextTuples:
            if number >= len(document.lines):
                return []
            start, text = starts[number], document.lines[number]
            end, at = start + len(text), start
            out: StyleAndTextTuples = []
            for span in found:
                low, high = max(span.start, at), min(span.end, end)
                if low >= high:
                    continue
                out.append(("", text[at - start : low - start]))
                out.append((f"class:{span.part}" if span.part else "", text[low - start : high - start]))
                at = high
            out.append(("", text[at - start :]))
            return out

        return line_of


class _Told(History):
    """The history file, as prompt_toolkit asks for it."""

    def __init__(self, path: str, say: Callable[[str], None]) -> None:
        super().__init__()
        self._path = path
        self._say = say
        self._last = ""

    def load_history_strings(self) -> Iterable[str]:
        return history.lines_of(self._path)

    def append_string(self, string: str) -> None:
        if history.keeps(string, self._last):
            self._last = string
            super().append_string(string)

    def store_string(self, string: str) -> None:
        try:
            history.append(self._path, string)
        except OSError as exc:
            self._say(f"lyts: what is typed cannot be kept: {self._path}: {exc.strerror}")
            self._path = os.devnull


# -- living --------------------------------------------------------------------


def live(session: Session, wrong: list[str]) -> int:
    """Prompt and run, until the person leaves. Returns the exit code."""
    os.environ["PROMPT_TOOLKIT_NO_CPR"] = "1"
    output = Output(session.environ, session.color)
    path = history.path_of(session.environ)
    try:
        history.trim(path)
    except OSError as exc:
        output.say(f"lyts: {path}: {exc.strerror}; what was typed earlier is not at hand")
    worker = Worker(session)
    try:
        terminal = Terminal(session, worker, _Told(path, output.say))
        for sentence in (*wrong, *terminal.complaints()):
            output.say(f"lyts: {sentence}")
        output.say(greeting(session))
        return _prompt_and_run(session, terminal, worker, output)
    finally:
        worker.end()


def _prompt_and_run(session: Session, terminal: Terminal, worker: Worker, output: Output) -> int:
    told = ""
    while session.leaving is None:
        try:
            worker.touch()
            here, trouble = _how_many(session)
            if trouble and trouble != told:
                output.say(f"lyts: {trouble}")
            told = trouble
            output.flush()
            text = terminal.ask(here)
            worker.touch()
            session.run_safely(text)
        except KeyboardInterrupt:
            continue
        except EOFError:
            return EXIT_DONE
    return session.leaving


def _how_many(session: Session) -> tuple[str, str]:
    """How many files are where one stands, for the prompt; and what is wrong, "" for nothing."""
    try:
        files, trouble = session.count_here()
    except NoStore:
        return "no library yet", ""
    return "?" if files is None else f"{files:,}", trouble


def greeting(session: Session) -> str:
    """What is said first: how many files there are, or what to do where there are none."""
    from shell.overview import EMPTY_SHELL, NEW_SHELL

    try:
        files, trouble = session.count_here()
    except NoStore:
        return NEW_SHELL
    if files is None:
        return f"lyts: {trouble}"
    if not files:
        return EMPTY_SHELL
    return f"{count_text(files, 'file')}. Tab completes, help explains, Ctrl-D leaves."
