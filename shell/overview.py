"""What `lyts` alone says: what to type first, or what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagfs.errors import LytsError

if TYPE_CHECKING:
    from shell.app import App

_NEW = """\
lyts keeps files by what they are, not by where they lie: you put tags on them,
and find them again by any mix of tags. Everything can be undone.

Begin by taking some files in (they are copied; the originals stay):

  lyts add -t music,jazz ~/Music/*.flac
  lyts add --dir-tags ~/Documents           names of folders become tags

Then find them:

  lyts find music+jazz
  lyts tags                                 which tags there are

All commands: lyts help"""

NEW_SHELL = """\
lyts keeps files by what they are, not by where they lie: you put tags on them,
and find them again by any mix of tags. Everything can be undone.

You have no library yet. Begin by taking some files in (they are copied; the
originals stay):

  add -t music,jazz ~/Music/*.flac
  add --dir-tags ~/Documents                names of folders become tags

Then go where you like: cd music+jazz, ls, tag favourite 1-3. help explains the
rest, Tab completes, Ctrl-D leaves."""

EMPTY_SHELL = """\
Your library is empty. Begin by taking some files in (they are copied; the
originals stay):

  add -t music,jazz ~/Music/*.flac
  add --dir-tags ~/Documents                names of folders become tags

Then go where you like: cd music+jazz, ls, tag favourite 1-3. help explains the
rest, Tab completes, Ctrl-D leaves."""

_HERE = """\
  lyts find TAG+TAG           files that have all of these tags
  lyts tags                   which tags there are
  lyts add -t TAG FILE...     take files in
  lyts tag TAG FILE...        put a tag on files
  lyts undo                   take back what was done last

All commands: lyts help. One of them, with examples: lyts help find"""


def show_overview(app: App) -> int:
    """Print it."""
    from tagfs.errors import NoStore

    try:
        line = _numbers(app)
    except NoStore:
        app.output.line(_NEW)
        return 0
    except LytsError as exc:
        app.output.say(f"lyts: {exc}")
        line = ""
    if line:
        app.output.line(line)
        app.output.line()
    app.output.line(_HERE)
    return 0


def _numbers(app: App) -> str:
    from shell.text import count_text
    from tagfs.index.read import View
    from tagfs.term import ALL_TERM
    from tagfs.verbs.tagging import all_tags

    def look(view: View) -> str:
        return f"{count_text(view.count(ALL_TERM), 'file')} and {count_text(len(all_tags(view)), 'tag')} in {app.root}"

    return app.output.name(app.store.read(look))
