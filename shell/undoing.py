"""What `lyts undo` and `lyts redo` share: which action, asking, and telling what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shell.text import count_text, date_text
from tagfs.errors import EXIT_DONE, EXIT_NOTHING, BadRequest

if TYPE_CHECKING:
    from shell.app import App
    from tagfs.index.read import View
    from tagfs.verbs.history import Action
    from tagfs.verbs.undo import Undone


def undo_or_redo(app: App, stamp: str | None, yes: bool, dry_run: bool, *, redo: bool) -> int:
    """Answer the action given, else the one it is the turn of."""
    from tagfs.verbs.undo import next_to_undo, undo

    def look(view: View) -> tuple[Action, str]:
        action = next_to_undo(view, redo=redo) if stamp is None else action_of(view, stamp)
        return action, action_text(view, undone_at_last(view, action)[0])

    output = app.output
    action, what = app.store.read(look)
    verb = "redo" if redo else "undo"
    when = f"{date_text(action.at_ms)} on {action.node}"
    elsewhere = action.by != app.store.node
    if dry_run:
        output.line(output.name(f"would {verb}: {what} ({when})"))
        return EXIT_DONE
    if elsewhere and stamp is None:
        question = f"The last action was made on another device: {what} ({when}). This takes it back."
        if not output.confirm(question, yes):
            return EXIT_NOTHING
    return _tell(app, undo(app.store, action), what, redo)


def _tell(app: App, done: Undone, what: str, redo: bool) -> int:
    output = app.output
    if done.answered:
        output.line(output.name(f"{'redone' if redo else 'undone'}: {what}"))
    else:
        output.say(f"Nothing was left to {'redo' if redo else 'undo'} of: {what}")
    for why, times in done.kept.items():
        output.say(f"Left as it is{f' ({times:,} times)' if times > 1 else ''}: {why}")
    return EXIT_DONE if done.answered else EXIT_NOTHING


def undone_at_last(view: View, action: Action) -> tuple[Action, int]:
    """(what an undo took back in the end, how many steps that is away): even for a redo, 0 for no undo at all."""
    from tagfs.errors import NothingMatched
    from tagfs.verbs.history import find_action

    steps = 0
    while action.undoes is not None:
        try:
            action = find_action(view, action.undoes)
        except NothingMatched:
            break
        steps += 1
    return action, steps


def full_action_text(view: View, action: Action) -> str:
    """An action in a line of words; an undo by what it took back, a redo by what it did again."""
    first, steps = undone_at_last(view, action)
    lead = "" if not steps else "undo: " if steps % 2 else "redo: "
    return lead + action_text(view, first)


def action_text(view: View, action: Action) -> str:
    """An action in a line of words; the file by its name where there is only one."""
    from tagfs.verbs.history import describe, told

    did, name = told(view, action)
    files = action.files
    text = describe(did, files, name)
    return text.replace(f"({files} files)", f"({count_text(files, 'file')})") if files > 999 else text


def action_of(view: View, text: str) -> Action:
    """An action by its stamp or the beginning of it. Raises `NothingMatched`, `BadRequest`."""
    from tagfs.errors import NothingMatched
    from tagfs.verbs.history import actions

    found = [action for action in actions(view) if action.action.startswith(text)] if text else []
    if not found:
        raise NothingMatched(f"there is no action {text!r}; lyts log --ids lists them")
    if len(found) > 1 and found[0].action != text:
        raise BadRequest(f"{len(found)} actions begin with {text!r}; write more of it (lyts log --ids)")
    return found[0]
