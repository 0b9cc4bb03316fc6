"""`lyts notes`: writes notes to a file."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from shell.command import Command, app_of
from shell.targets import pick, some_names, targets_and_query, tell_many
from tagfs.errors import EXIT_DONE, BadRequest, StoreError

if TYPE_CHECKING:
    from shell.app import App

EXAMPLES = """
lyts notes song.flac                               opens your editor
lyts notes --set 'Played at the wedding' song.flac   without an editor
lyts notes --set '' song.flac                      takes the notes away
lyts show notes song.flac                          prints them
"""


@click.command("notes", cls=Command, examples=EXAMPLES)
@targets_and_query
@click.option("--set", "text", metavar="TEXT", help="The notes, instead of an editor. `-` reads them from stdin.")
@click.pass_context
def command(ctx: click.Context, targets: tuple[str, ...], query: str | None, text: str | None) -> int:
    """Writes notes to a file.

    The editor is $VISUAL or $EDITOR. With --set, several files can get the same notes at
    once; what they had before comes back with `lyts undo`.
    """
    from tagfs.verbs.naming import set_notes

    app = app_of(ctx)
    found = pick(app, targets, query)
    if text is None:
        if len(found) > 1:
            raise BadRequest(
                f"{len(found)} files match, and the editor takes one at a time; or give the text with --set"
            )
        return _edit(app, found[0].guid, found[0].name)
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    tell_many(app, "replaces the notes of", len(found), query)
    changed, _ = set_notes(app.store, found.guids, text)
    _tell(app, [one.name for one in found], changed, bool(text.strip()))
    return EXIT_DONE


def _tell(app: App, names: list[str], changed: int, some: bool) -> None:
    if not changed:
        app.output.line("the notes are the same as before")
    else:
        verb = "wrote notes to" if some else "took the notes off"
        app.output.line(f"{verb} {some_names(app, names, changed)}")


def _edit(app: App, guid: str, name: str) -> int:
    """Let a person write in their editor; a draft that cannot be kept is not thrown away."""
    import shlex
    import subprocess
    import tempfile

    from shell.rows import objects
    from tagfs.verbs.naming import set_notes

    program = app.environ.get("VISUAL") or app.environ.get("EDITOR")
    if not program:
        if not app.output.can_ask():
            raise BadRequest("there is no terminal for an editor; give the text with --set TEXT")
        program = _some_editor()
    before = objects(app.store, [guid])[0]["notes"]
    app.close()  # whatever happens in the editor, the store is free meanwhile
    fd, path = tempfile.mkstemp(prefix="lyts-notes-", suffix=".md")
    with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(before + ("\n" if before else ""))
    try:
        words = shlex.split(program)
        code = subprocess.call([*words, path])
    except (OSError, ValueError) as exc:
        os.unlink(path)
        raise BadRequest(f"the editor {program!r} cannot be started ({exc}); set EDITOR, or use --set TEXT") from None
    if code:
        with open(path, "rb") as draft:
            written = draft.read().decode("utf-8", "replace").rstrip("\n")
        if written == before:
            os.unlink(path)
            raise StoreError(f"the editor {program!r} ended with status {code}; nothing was changed")
        raise StoreError(
            f"the editor {program!r} ended with status {code}; nothing was changed. Your text is in {path}"
        )
    with open(path, encoding="utf-8", errors="replace") as file:
        after = file.read()
    try:
        changed, _ = set_notes(app.store, [guid], after)
    except BaseException:
        app.output.say(f"Your text is in {path}.")
        raise
    os.unlink(path)
    _tell(app, [name], changed, bool(after.strip()))
    return EXIT_DONE


def _some_editor() -> str:
    from shutil import which

    for program in ("editor", "nano", "vi"):
        if which(program):
            return program
    raise BadRequest("there is no editor: set EDITOR, or give the text with --set TEXT")
