"""One run of `lyts`: from the words of the command line to the exit code.

Every error a person can meet becomes a sentence on stderr, `lyts: ...`, and an exit code:

    0 done   1 nothing matched, or a check failed   2 wrong use   3 store or peer trouble
    130 interrupted   141 whoever read the output went away (as shells count it)

What nobody foresaw is exit 3, one plain sentence, and the details in a log file; with
LYTS_DEBUG they are shown as well.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

from click import Group
from click.exceptions import Abort, ClickException, Exit, MissingParameter, NoSuchOption, UsageError

from shell.app import App
from tagfs.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_TROUBLE, EXIT_USAGE, LytsError, QueryError

EXIT_PIPE = 141
COMPLETE_VARIABLE = "_LYTS_COMPLETE"


def run(arguments: Sequence[str], environ: dict[str, str] | None = None) -> int:
    """Do what a command line says. Returns the exit code; raises nothing."""
    env = dict(os.environ) if environ is None else environ
    app = App(env)
    if COMPLETE_VARIABLE in env:
        from shell.complete import answer

        return answer(app, env[COMPLETE_VARIABLE])
    return run_in(app, arguments)


def run_in(app: App, arguments: Sequence[str], group: Group | None = None) -> int:
    """Do what the words say with an `App`, which is closed then. Returns the exit code; raises nothing.

    Args:
        group: where the commands are; `shell.root.root` if not given.
    """
    try:
        try:
            code = _invoke(app, arguments, group)
        finally:
            app.close()
        app.output.flush()
    except BaseException as exc:  # noqa: BLE001 - the last place where an error can become a sentence
        code = explained(app, exc, arguments)
        try:
            app.output.flush()
        except (OSError, ValueError):
            pass
    return code


def _invoke(app: App, arguments: Sequence[str], group: Group | None) -> int:
    if group is None:
        from shell.root import root

        group = root
    try:
        with group.make_context("lyts", list(arguments), obj=app) as ctx:
            result = group.invoke(ctx)
    except Exit as exc:
        return exc.exit_code
    return result if isinstance(result, int) else EXIT_DONE


def explained(app: App, exc: BaseException, arguments: Sequence[str]) -> int:
    """Say what went wrong, and how that ends."""
    try:
        return _explain(app, exc, arguments)
    except OSError:  # stderr is gone or full as well
        app.output.err.forget()
        app.output.out.forget()
        return EXIT_TROUBLE


def _explain(app: App, exc: BaseException, arguments: Sequence[str]) -> int:
    output = app.output
    if isinstance(exc, KeyboardInterrupt | Abort):
        output.out.forget()
        output.say("\nInterrupted.")
        return EXIT_INTERRUPTED
    if isinstance(exc, SystemExit):
        return exc.code if isinstance(exc.code, int) else EXIT_TROUBLE
    if isinstance(exc, BrokenPipeError):
        output.out.forget()
        output.err.forget()
        _quiet_streams()
        return EXIT_PIPE
    if app.environ.get("LYTS_DEBUG"):
        _show_details(app, exc)
    if isinstance(exc, QueryError):
        output.say(query_error_text(exc))
        return exc.exit_code
    if isinstance(exc, LytsError):
        output.say(f"lyts: {_sentence(exc)}")
        return exc.exit_code
    if isinstance(exc, ClickException):
        output.say(f"lyts: {_usage_text(exc)}")
        return EXIT_USAGE
    if isinstance(exc, OSError) and _about_output(exc):
        output.out.forget()
        _quiet_streams()
        output.say(f"lyts: the output cannot be written: {exc.strerror or exc}")
        return EXIT_TROUBLE
    if isinstance(exc, OSError) and exc.filename is not None:
        name = os.fsdecode(exc.filename) if isinstance(exc.filename, str | bytes) else str(exc.filename)
        output.say(f"lyts: {name}: {exc.strerror or exc}")
        _keep_details(app, exc, arguments)
        return EXIT_TROUBLE
    where = _keep_details(app, exc, arguments)
    what = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
    output.say(
        f"lyts: something went wrong that should not have ({what}).\n"
        + (f"The details are in {where}; please send them with your report.\n" if where else "")
        + "What was acknowledged before is safe; lyts doctor and lyts fsck tell how the store is."
    )
    return EXIT_TROUBLE


def _about_output(exc: OSError) -> bool:
    return exc.filename is None and exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF, errno.EFBIG)


def _sentence(exc: LytsError) -> str:
    # Of a class that only a module that is not always loaded knows; its own text would not be harmless.
    if type(exc).__name__ == "Ambiguous":
        from shell.targets import ambiguous_text

        return ambiguous_text(exc)
    return str(exc)


def query_error_text(exc: QueryError) -> str:
    """The error, the query, and a caret below the place."""
    from shell.text import harmless, width

    text = f"lyts: {exc}"
    if exc.query and len(exc.query) <= 1000:
        # Each part is made harmless by itself, so that the caret stands where it should.
        before, rest = harmless(exc.query[: exc.at]), harmless(exc.query[exc.at :])
        text += f"\n  {before}{rest}\n  {' ' * width(before)}^"
    return text


def _usage_text(exc: ClickException) -> str:
    message = exc.format_message()
    message = message[:1].lower() + message[1:]
    ctx = exc.ctx if isinstance(exc, UsageError) else None
    if ctx is None:
        return message
    words = ctx.command_path.split()
    if isinstance(exc, NoSuchOption) and words[-1] in ("find", "tags") and not exc.option_name.startswith("--"):
        message += f"\nTo leave a tag out: lyts {words[-1]} music+-live, or put -- first: lyts {words[-1]} -- -live"
    if isinstance(exc, MissingParameter) and ctx.parent is not None and len(words) == 3:
        message += f"\nWhere {words[-1]} is meant, and not the command: {' '.join(words[:-1])} -- {words[-1]}"
    topic = " ".join(["lyts help", *words[1:]])
    return f"{message}\nHow it is used: {topic}"


# -- details -------------------------------------------------------------------


def state_folder(environ: dict[str, str]) -> str:
    """Where what went wrong is written down."""
    home = environ.get("XDG_STATE_HOME") or os.path.join(
        environ.get("HOME") or os.path.expanduser("~"), ".local", "state"
    )
    return os.path.join(home, "lyts")


def _details(exc: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(exc))


def _show_details(app: App, exc: BaseException) -> None:
    if not isinstance(exc, ClickException):
        app.output.say(_details(exc).rstrip())


def _keep_details(app: App, exc: BaseException, arguments: Sequence[str]) -> str | None:
    """Write an error down. Returns where, None where even that failed."""
    import time

    from shell.main import VERSION

    folder = state_folder(dict(app.environ))
    path = os.path.join(folder, "errors.log")
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    words = " ".join(map(repr, arguments))
    text = f"{at} lyts {VERSION}, Python {sys.version.split()[0]}: lyts {words}\n{_details(exc)}\n"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, text.encode("utf-8", "backslashreplace"))
        finally:
            os.close(fd)
    except OSError:
        return None
    return path


def _quiet_streams() -> None:
    """Let Python's own flush at exit go nowhere: the reader of our output has gone."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            try:
                devnull = os.open(os.devnull, os.O_WRONLY)
                os.dup2(devnull, stream.fileno())
                os.close(devnull)
            except (OSError, ValueError, AttributeError):
                pass
