"""The commands that only the shell has, and `ls` and `find` with numbers.

They are click commands like all others, so help, completion and errors are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import click

from shell.command import Command, app_of, write_examples
from shell.commands.find import command as find_command
from shell.live.place import ALL, Place, is_relative, parts_of, steps_up
from shell.root import TABLE, Root
from shell.targets import NUMBER, QUERY, SAVED, query_of, targets_and_query, yes_option
from tagfs.errors import EXIT_DONE, EXIT_NOTHING, BadRequest

if TYPE_CHECKING:
    from shell.app import App
    from shell.live.session import LiveApp, Session
    from tagfs.index.read import View

LISTED_AT_ONCE = 1_000
"""At a terminal `ls` shows so many files at most, unless it is told how many."""
NUMBERED_MOST = 100_000
ASK_TO_OPEN_ABOVE = 20


def session_of(ctx: click.Context) -> Session:
    """The shell in which a command runs."""
    return cast("LiveApp", ctx.obj).session


class Own(Command):
    """A command that is not there outside the shell, so no `lyts` stands before it in its help."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(self.name or "", " ".join(self.collect_usage_pieces(ctx)))


# -- cd, pwd -------------------------------------------------------------------

CD_EXAMPLES = """
cd music+flac     the files that have both tags
cd +jazz          of those, the ones that have this one too; +jazz alone does the same
cd +-live         of those, the ones that have not
cd ..             without the last tag; cd ../.. without two; cd ..+folk another instead
cd -              back to where you were before
cd                all files
cd music and (jazz or folk)
cd --saved evening
"""


@click.command("cd", cls=Own, examples=CD_EXAMPLES)
@click.argument("words", nargs=-1, type=QUERY, metavar="[QUERY]")
@click.option("--saved", type=SAVED, metavar="NAME", help="A query kept with `save`.")
@click.pass_context
def cd(ctx: click.Context, words: tuple[str, ...], saved: str | None) -> int:
    """Goes to the files that match a query.

    What you stand in is what `ls` lists, what * means, and what a query that begins with +
    goes on from. Nothing is changed by going somewhere. Queries: help find.
    """
    from shell.commands.find import plan_of
    from tagfs.query.run import count

    app, session = app_of(ctx), session_of(ctx)
    place = _place_of(app, session, words, saved)

    def look(view: View) -> int:
        return count(plan_of(view, place.query, app), view)

    files = app.store.read(look)
    session.state = session.state.moved(place)
    if not files:
        app.output.say("No file matches here." if place.parts else "There are no files yet: add takes some in.")
    return EXIT_DONE


def _place_of(app: App, session: Session, words: Sequence[str], saved: str | None) -> Place:
    here = session.state.place
    if saved is not None:
        from shell.targets import saved_query

        if words:
            raise BadRequest("a query, or --saved NAME: one of them")
        return Place(tuple(parts_of(saved_query(app, saved))))
    if not words or list(words) == ["/"]:
        return ALL
    if list(words) == ["-"]:
        return session.state.before
    up = steps_up(words[0])
    if up is not None:
        here, words = here.up(up[0]), [f"+{up[1]}" if up[1] else "", *words[1:]]
    if not is_relative(words[0]) and up is None:
        return Place(tuple(parts_of(_right(query_of(app, words)))))
    rest = [word for word in (words[0][1:], *words[1:]) if word]
    return here.into(_right(query_of(app, rest))) if rest else here


def _right(query: str) -> str:
    """A query as it is. What is wrong in it is said about what was typed, before it is joined to others."""
    from tagfs.query.rich import parse_rich

    if query.strip():
        parse_rich(query)
    return query


@click.command("pwd", cls=Own, examples="pwd     prints the query you stand in, / for all files")
@click.pass_context
def pwd(ctx: click.Context) -> int:
    """Prints where you are."""
    app = app_of(ctx)
    app.output.line(app.output.name(session_of(ctx).state.place.query or "/"))
    return EXIT_DONE


# -- ls, find ------------------------------------------------------------------

LS_EXAMPLES = """
ls                     the files where you are, with numbers
ls --long              with id, size, time of last change and tags
ls --sort modified     the newest first
ls +jazz               of the files here, those that are jazz too
ls year=1955..1965     the files that match a query, wherever you are
tag favourite 3-7,9    the numbers are good for all commands, until the next ls
rm 2,4-                the second, and from the fourth to the last
"""
_LS_HELP = """Lists the files where you are, with numbers.

The numbers stand for the files in every command until something else is listed: 3, 3-7,
2,4 or 5- (to the last one). * is all files where you are, listed or not. At a terminal at
most 1,000 are listed, unless --limit says how many. Into a pipe or a file the names are
written without numbers.
"""
_FIND_HELP = (
    (find_command.help or "").rstrip()
    + """

In the shell the files are numbered, as with ls. A query that begins with + goes on from
where you are.
"""
)


def _listing(ctx: click.Context, here: bool, **given: Any) -> int:
    """What `ls` and `find` do in the shell; `here`: without a query, list where one stands."""
    app, session = app_of(ctx), session_of(ctx)
    words = list(given.pop("words"))
    if here and not words and given["saved"] is None:
        words = [session.state.place.query] if session.state.place.parts else []
    given["words"] = tuple(words)
    if any(given[name] for name in ("as_json", "zero", "count", "ids", "duplicates")):
        code: int = ctx.invoke(find_command, **given)
        return code
    return _numbered(app, session, given)


def _numbered(app: App, session: Session, given: dict[str, Any]) -> int:
    from shell.commands.find import ordered, plan_of, whole_query
    from shell.text import count_text
    from tagfs.query.run import count
    from tagfs.verbs.picks import Guids

    output, limit = app.output, given["limit"]
    numbers = output.out.terminal
    most = limit if limit is not None else LISTED_AT_ONCE if session.interactive and numbers else None
    query = whole_query(app, given["words"], given["saved"])
    found = ordered(app, query, given["sort"], given["reverse"], most)
    packed = bytearray()
    wide = len(str(len(found)))
    for at in range(0, len(found), 1_000):
        portion = found[at : at + 1_000]
        with app.store.view(fresh=False) as view:
            if at < NUMBERED_MOST:
                rows = dict(view.rows(sorted(portion)))
                packed += b"".join(rows[ordinal].guid for ordinal in portion)
            lines = _lines(app, view, portion, given["long"])
        if numbers:
            lines = [f"{number:>{wide}}  {line}" for number, line in enumerate(lines, start=at + 1)]
        output.out.lines(lines)
    session.state = session.state._replace(listing=Guids(bytes(packed)))
    if not found:
        output.say("No file matches." if query.strip() else "There are no files yet: add takes some in.")
        return EXIT_NOTHING
    if limit is None and most is not None and len(found) == most:
        total = app.store.read(lambda view: count(plan_of(view, query, app), view))
        if total > most:
            output.say(f"These are the first {most:,} of {count_text(total, 'file')}; ls --limit N lists more.")
    return EXIT_DONE


def _lines(app: App, view: View, portion: Sequence[int], long: bool) -> list[str]:
    if long:
        from shell.rows import long_lines, rows_of

        return long_lines(app.output, rows_of(view, portion))
    return [app.output.name(view.name(ordinal)) for ordinal in portion]


def _list_here(**given: Any) -> int:
    return _listing(click.get_current_context(), True, **given)


def _list_found(**given: Any) -> int:
    return _listing(click.get_current_context(), False, **given)


ls = Own("ls", params=find_command.params, callback=_list_here, help=_LS_HELP, examples=LS_EXAMPLES)
find = Own(
    "find",
    params=find_command.params,
    callback=_list_found,
    help=_FIND_HELP,
    examples=find_command.examples,
)

# -- open ----------------------------------------------------------------------

OPEN_EXAMPLES = """
open 3                  the third file of the last ls
open 'Blue Kitchen.flac'
open -q music+jazz      all that match a query; more than 20 are asked about
!mpv 3-7                with a program of your choice: help !
"""


@click.command("open", cls=Own, examples=OPEN_EXAMPLES)
@targets_and_query
@yes_option
@click.pass_context
def open_(ctx: click.Context, targets: tuple[str, ...], query: str | None, yes: bool) -> int:
    """Opens files with the programs your desktop has for them.

    Where the library is mounted (mount), they open in place, and what you save is saved.
    Else programs get copies that cannot be written to.
    """
    from shell.live.programs import given_paths, open_files
    from shell.targets import pick
    from shell.text import count_text

    app, session = app_of(ctx), session_of(ctx)
    found = pick(app, targets, query)
    if len(found) > ASK_TO_OPEN_ABOVE and not app.output.confirm(
        f"This opens {count_text(len(found), 'file')}, one by one.", yes
    ):
        return EXIT_NOTHING
    given = given_paths(app, found.guids, session.copies)
    app.close()
    app.output.flush()
    if not all(one.mounted for one in given):
        app.output.say("Opening copies, to look at only; after mount the files themselves can be changed.")
    return open_files([one.path for one in given], session.config.opener, session.environ, app.output.say)


# -- the rest ------------------------------------------------------------------


@click.command("history", cls=Own, examples="history jazz     what you typed that had jazz in it")
@click.argument("words", nargs=-1, metavar="[TEXT]...")
@click.option("--limit", type=NUMBER, default=50, metavar="N", help="At most so many, the newest; 50 if not said.")
@click.pass_context
def history(ctx: click.Context, words: tuple[str, ...], limit: int) -> int:
    """Lists what was typed. Ctrl-R looks through it as you type.

    It is kept in ~/.local/state/lyts/shell-history, for you alone to read. A line that
    begins with a blank is not kept.
    """
    from shell.live.history import lines_of, path_of

    app = app_of(ctx)
    wanted = " ".join(words)
    newest = islice((line for line in lines_of(path_of(app.environ)) if wanted in line), limit)
    app.output.out.lines(map(app.output.name, reversed(list(newest))))
    return EXIT_DONE


@click.command("clear", cls=Own, examples="clear     Ctrl-L does the same")
@click.pass_context
def clear(ctx: click.Context) -> int:
    """Clears the screen."""
    app = app_of(ctx)
    if app.output.out.terminal and app.environ.get("TERM", "dumb") != "dumb":
        app.output.out.raw(b"\x1b[H\x1b[2J")
    return EXIT_DONE


@click.command("exit", cls=Own, examples="exit     Ctrl-D does the same, on an empty line")
@click.argument("code", required=False, metavar="[STATUS]")
@click.pass_context
def exit_(ctx: click.Context, code: str | None) -> int:
    """Leaves the shell.

    In a script the exit status is STATUS, a number from 0 to 255.
    """
    if code is not None and not (code.isascii() and code.isdigit() and int(code) < 256):
        raise BadRequest(f"{code!r} is no exit status: a number from 0 to 255")
    session_of(ctx).leaving = int(code or 0)
    return session_of(ctx).leaving or EXIT_DONE


BANG_EXAMPLES = """
!mpv *             all files where you are
!mpv 3-7           numbers of the last ls
!wc -c 2 4 | sort  the rest of the line is for /bin/sh, pipes and all
!head -n '5' 3     a number in quotes is itself
!ls -l             without files: any program
"""


@click.command("!", cls=Own, examples=BANG_EXAMPLES)
def bang() -> None:
    """Runs a program, with files of the library if you like.

    What follows the ! is run by /bin/sh in the folder in which the shell was started. A
    word by itself that is * or numbers of what was listed becomes the paths of those files:
    in the mount, where the library is mounted, so that what a program saves is saved; else
    copies that cannot be written to.
    """


HEADING = "Only in the shell"
OWN: dict[str, tuple[click.Command, str]] = {
    "cd": (cd, "Goes to the files that match a query."),
    "ls": (ls, "Lists the files where you are, with numbers."),
    "pwd": (pwd, "Prints where you are."),
    "open": (open_, "Opens files with the programs your desktop has for them."),
    "!": (bang, "Runs a program, with files of the library if you like."),
    "history": (history, "Lists what was typed."),
    "clear": (clear, "Clears the screen."),
    "exit": (exit_, "Leaves the shell."),
}
_ALSO = {"quit": "exit"}


def summaries() -> dict[str, str]:
    """What each command does, in a line: the shell's own first."""
    own = {name: summary for name, (_, summary) in OWN.items()}
    return own | {name: entry.summary for name, entry in TABLE.items() if name not in (*own, "shell")}


class LiveRoot(Root):
    """All commands of lyts, and the shell's own."""

    def __init__(self) -> None:
        from shell.root import root

        super().__init__("lyts", params=root.params, callback=root.callback, context_settings=root.context_settings)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(summaries())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = _ALSO.get(cmd_name, cmd_name)
        if name in OWN:
            return OWN[name][0]
        if name == "find":
            return find
        return super().get_command(ctx, name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] == "shell":
            raise BadRequest("you are in the shell already; its lines need no word before them")
        if args[0] in OWN or args[0] in _ALSO:
            return args[0], self.get_command(ctx, args[0]), args[1:]
        return super().resolve_command(ctx, args)

    def known_words(self) -> list[str]:
        return [*super().known_words(), *OWN, *_ALSO]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write("You are in the shell of lyts: all commands of lyts, without the word lyts.\n")
        write_examples(formatter, SHELL_EXAMPLES)
        formatter.write_paragraph()
        with formatter.section(HEADING):
            formatter.write_dl([(f"{name:<10}", summary) for name, (_, summary) in OWN.items()])
        for heading in dict.fromkeys(entry.heading for entry in TABLE.values()):
            with formatter.section(heading):
                formatter.write_dl(
                    [
                        (f"{name:<10}", e.summary)
                        for name, e in TABLE.items()
                        if e.heading == heading and name != "shell"
                    ]
                )
        formatter.write_paragraph()
        formatter.write_text(
            "help COMMAND explains one, with examples. Tab completes, Ctrl-R looks through what was typed, Ctrl-C "
            "begins the line anew, Ctrl-D leaves."
        )


SHELL_EXAMPLES = "\n".join(
    (
        "cd music+flac       go to the files that have both tags",
        "+jazz               of those, the ones that are jazz too; cd .. goes back",
        "ls                  list them, with numbers",
        "tag favourite 3-7   by number; * is all of them",
        "!mpv *              play them",
        "undo                or rather not",
    )
)
