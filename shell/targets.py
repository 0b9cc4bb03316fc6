"""From TARGET... and -q QUERY to files, for every command that works on files.

A name that several files have is asked about on a terminal; elsewhere it is an error
that lists their ids.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from shell.words import joined
from tagfs.errors import BadRequest, NothingMatched

if TYPE_CHECKING:
    from shell.app import App
    from tagfs.index.read import View
    from tagfs.verbs.picks import Picked, Picks
    from tagfs.verbs.select import Ambiguous

    _Type = click.ParamType[Any]
else:
    _Type = click.ParamType  # generic only from click 8.5 on

F = TypeVar("F", bound=Callable[..., Any])

SHOWN_CHOICES = 50
TELL_ABOVE = 100
"""A change of more files than this by a query is announced with its number."""


class NothingChosen(NothingMatched):
    """A person was asked which file was meant, and named none."""

    def __init__(self) -> None:
        super().__init__("no file was chosen; nothing was changed")


class _Completed(_Type):
    """A text that Tab completes from the library."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from shell.complete import items

        return items(self.name, ctx, incomplete)


class _Number(_Type):
    """A number from 1 on."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if not (text.isascii() and text.isdigit() and int(text) > 0) or len(text) > 18:
            self.fail(f"{text!r} is no number from 1 on", param, ctx)
        return int(text)


NUMBER = _Number()
TARGET = _Completed("target")
QUERY = _Completed("query")
QUERY_OR_FOLDER = _Completed("query-or-folder")
TAGS = _Completed("tags")
TAG = _Completed("tag")
SAVED = _Completed("saved")
NODES = _Completed("nodes")


def query_option(function: F) -> F:
    return click.option("-q", "--query", type=QUERY, metavar="QUERY", help="All files that match a query.")(function)


def targets_and_query(function: F) -> F:
    """TARGET... and -q QUERY."""
    argument = click.argument("targets", nargs=-1, type=TARGET, metavar="[TARGET]...")
    return argument(query_option(function))


def dry_run_option(function: F) -> F:
    return click.option("--dry-run", is_flag=True, help="Only say what would be done.")(function)


def yes_option(function: F) -> F:
    return click.option("--yes", is_flag=True, help="Do it without being asked.")(function)


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="A list of objects (docs/reference/json.md).")(function)


# -- picking -------------------------------------------------------------------


def pick(app: App, targets: Sequence[str], query: str | None) -> Picks:
    """The files meant. Raises `NothingMatched` where there are none, and what `select.pick` raises."""
    from tagfs.verbs import select

    if not targets and query is None:
        raise BadRequest("no file is named: give its name, path or id, or take all of a query with -q QUERY")
    found = select.pick(
        app.store,
        targets,
        None if query is None else query_of(app, [query]),
        cwd=current_folder(),
        clock=app.clock(),
        choose=_chooser(app),
    )
    if not found:
        raise NothingMatched("no file matches")
    return found


def pick_in_trash(app: App, targets: Sequence[str]) -> Picks:
    """The removed files meant. Raises `NothingMatched`, `Ambiguous`."""
    from tagfs.verbs import select

    try:
        return select.pick(
            app.store, targets, None, cwd=current_folder(), clock=app.clock(), choose=_chooser(app), in_trash=True
        )
    except select.NoSuchFile as exc:
        raise NothingMatched(f"no file in the trash is called {exc.target!r}") from None
    except select.NotInLibrary as exc:
        raise NothingMatched(f"{exc.path} is not in the trash") from None


def pick_one(app: App, target: str, *, also_trash: bool = False) -> Picked:
    """The one file meant. `also_trash`: a removed one where no other answers to the name."""
    from tagfs.verbs import select

    try:
        found = pick(app, [target], None)
    except (select.NoSuchFile, select.NotInLibrary) as exc:
        if not also_trash:
            raise
        try:
            found = pick_in_trash(app, [target])
        except NothingMatched as other:
            # Living files are what people mean: that there is none says more.
            raise (other if isinstance(other, NothingChosen) else exc) from None
    if len(found) > 1:
        raise BadRequest("one file only, please: this cannot be done to several at once")
    return found[0]


def _chooser(app: App) -> Callable[[Ambiguous], list[str]] | None:
    """Who is asked which file was meant; nobody where there is no terminal."""
    return (lambda question: choose(app, question)) if app.output.can_ask() else None


def current_folder() -> str:
    """Where relative paths begin; the root where the folder one stands in was removed."""
    try:
        return os.getcwd()
    except OSError:
        return "/"


def query_of(app: App, words: Sequence[str]) -> str:
    """The query that words of the command line mean."""
    if not any(ch.isspace() for word in words for ch in word):
        return " ".join(words)

    def look(view: View) -> str:
        from tagfs.verbs.tagging import known

        return joined(words, lambda tag: len(tag) <= 200 and known(view, tag))

    return app.store.read(look)


def choose(app: App, question: Ambiguous) -> list[str]:
    """Ask which of several files was meant. Raises `NothingChosen`."""
    choices = question.choices[:SHOWN_CHOICES]
    more = f" (the first {SHOWN_CHOICES} of them)" if len(question.choices) > SHOWN_CHOICES else ""
    rows = app.output.choose(
        f"{len(question.choices)} files answer to {question.target!r}{more}:", [_choice(*choice) for choice in choices]
    )
    if not rows:
        raise NothingChosen
    return [choices[row][0] for row in rows]


def ambiguous_text(question: Any) -> str:
    """The error where nobody can be asked: the ids to choose from, each on its line."""
    from shell.text import harmless

    choices = question.choices
    lines = [f"{len(choices)} files answer to {question.target!r}; name the one you mean by its id:"]
    lines += [f"  {harmless(_choice(*choice))}" for choice in choices[:20]]
    if len(choices) > 20:
        lines.append(f"  and {len(choices) - 20} more")
    return "\n".join(lines)


def _choice(guid: str, name: str, tags: Sequence[str]) -> str:
    from tagfs.guid import short
    from tagfs.tag import escape_tag

    return f"{short(guid)}  {name}  {','.join(map(escape_tag, tags))}".rstrip()


# -- telling -------------------------------------------------------------------


def tell_many(app: App, verb: str, count: int, query: str | None) -> None:
    """Announce a broad change. `verb` is as in "tags"."""
    if query is not None and count > TELL_ABOVE:
        from shell.text import count_text

        app.output.say(f"This {verb} {count_text(count, 'file')}.")


def some_names(app: App, names: Sequence[str], changed: int) -> str:
    """`a.flac`, or `3 files`: what a change was about, for the line that reports it."""
    from shell.text import count_text

    return app.output.name(names[0]) if len(names) == changed == 1 else count_text(changed, "file")


def saved_query(app: App, name: str) -> str:
    """The query that was kept under a name. Raises `NothingMatched`."""
    from tagfs.verbs.saved import saved_queries

    kept: dict[str, str] = app.store.read(saved_queries)
    if name not in kept:
        from tagfs.query.suggest import did_you_mean, near

        words = [word for word, _ in near(name, [(one, 0) for one in kept])]
        hint = did_you_mean(words) or "lyts save --list lists them"
        raise NothingMatched(f"there is no saved query {name!r}; {hint}")
    return kept[name]
