"""`lyts tags`: lists tags, and changes tags themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from shell.command import Group, app_of
from shell.targets import NUMBER, QUERY, TAG, dry_run_option, json_option, query_of, yes_option
from shell.text import count_text, listed, table
from tagfs.errors import EXIT_DONE, EXIT_NOTHING, BadRequest, BadTag, NothingMatched

if TYPE_CHECKING:
    from shell.app import App
    from tagfs.index.read import View
    from tagfs.verbs.tagging import TagCount

EXAMPLES = """
lyts tags                          all tags, with how many files each has
lyts tags music+flac               the tags of the files that a query finds
lyts tags rename quiet calm        call a tag something else, everywhere
lyts tags merge Live concert live  make tags one: the last
lyts tags imply jazz music         whatever is jazz is music
lyts tags alias flak flac          read one tag as another
lyts tags -- rename                the tags that go with the tag "rename"
"""


@click.group("tags", cls=Group, examples=EXAMPLES)
def command() -> None:
    """Lists tags, and changes tags themselves.

    The number is how many files a question for the tag finds: those with its other names,
    and with tags that imply it, among them. The most used come first.
    """


@command.command("", examples=EXAMPLES, help=command.help)
@click.argument("words", nargs=-1, type=QUERY, metavar="[QUERY]")
@click.option("-l", "--long", is_flag=True, help="With the other names of each tag, and what it implies.")
@click.option("--sort", type=click.Choice(["files", "name"]), default="files", help="Most files first, or a to z.")
@click.option("--limit", type=NUMBER, metavar="N", help="At most so many.")
@json_option
@click.pass_context
def list_tags(
    ctx: click.Context, words: tuple[str, ...], long: bool, sort: str, limit: int | None, as_json: bool
) -> int:
    from tagfs.tag import escape_tag

    app = app_of(ctx)
    output = app.output
    query = query_of(app, words)
    found = list(app.store.read(lambda view: _counted(app, view, query)))
    found.sort(key=lambda one: one.tag if sort == "name" else (-one.files, one.tag))
    found = found[:limit]
    also, implies = app.store.read(_relations) if long or as_json else ({}, {})
    if as_json:
        output.json(
            {"tag": one.tag, "files": one.files, "also": also.get(one.tag, []), "implies": implies.get(one.tag, [])}
            for one in found
        )
    else:
        rows = []
        for one in found:
            about = [f"also {', '.join(map(escape_tag, also[one.tag]))}"] if also.get(one.tag) else []
            about += [f"implies {', '.join(map(escape_tag, implies[one.tag]))}"] if implies.get(one.tag) else []
            rows.append([f"{one.files:,}", output.name(escape_tag(one.tag)), output.name("; ".join(about))])
        output.out.lines(table(rows if long else [row[:2] for row in rows], right=(0,)))
    if not found:
        output.say("These files have no tags." if words else "There are no tags yet. For example: lyts tag music FILE")
        return EXIT_NOTHING
    return EXIT_DONE


def _counted(app: App, view: View, query: str) -> Sequence[TagCount]:
    from tagfs.verbs import tagging

    if not query.strip():
        return tagging.all_tags(view)
    from shell.commands.find import plan_of
    from tagfs.query.run import result

    matching = result(plan_of(view, query, app), view)
    if not matching:
        raise NothingMatched("no file matches")
    return tagging.facets(view, matching)


def _relations(view: View) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """(tag -> its other names, tag -> what it implies in so many words)."""
    import msgspec

    from tagfs.glossary import TAG_THING, Thing

    also: dict[str, list[str]] = {}
    implies: dict[str, set[str]] = {}
    for other, tag in view.aliases().items():
        also.setdefault(tag, []).append(other)
    for tag, packed in view.things(TAG_THING):
        for upper in Thing.unpacked(msgspec.msgpack.decode(packed)).live("implies"):
            if view.canonical(upper) != view.canonical(tag):
                implies.setdefault(view.canonical(tag), set()).add(view.canonical(upper))
    return also, {tag: sorted(uppers) for tag, uppers in implies.items()}


# -- changing tags -------------------------------------------------------------


def one_tag(text: str) -> str:
    """The one tag that a text names, `%XX` undone. Raises `BadTag`."""
    from tagfs.tag import parse_tag_list

    found = parse_tag_list(text)
    if len(found) != 1:
        raise BadTag(text, "one tag is wanted here, and this is more than one (a comma within a tag is written %2C)")
    return found[0]


def _shown(app: App, *tags: str) -> list[str]:
    from tagfs.tag import escape_tag

    return [app.output.name(escape_tag(tag)) for tag in tags]


@command.command("rename", examples="lyts tags rename quiet calm      all files that were quiet are calm now")
@click.argument("old", type=TAG, metavar="OLD")
@click.argument("new", metavar="NEW")
@dry_run_option
@click.pass_context
def rename(ctx: click.Context, old: str, new: str, dry_run: bool) -> int:
    """Calls a tag something else, everywhere.

    The old name goes on working: a question for it is read as one for the new name, also
    on devices that have not heard of the change yet.
    """
    from tagfs.verbs.tagging import rename_tag

    app = app_of(ctx)
    before, after = one_tag(old), one_tag(new)
    shown = _shown(app, before, after)
    if dry_run:
        files = _files_with(app, before)
        app.output.line(f"would rename {shown[0]} to {shown[1]} ({count_text(files, 'file')})")
        return EXIT_DONE
    done = rename_tag(app.store, before, after)
    app.output.line(f"renamed {shown[0]} to {shown[1]} ({count_text(done.files, 'file')})")
    return EXIT_DONE


@command.command("merge", examples="lyts tags merge Live concert live      Live and concert become live")
@click.argument("tags", nargs=-1, required=True, type=TAG, metavar="TAG... INTO")
@dry_run_option
@click.pass_context
def merge(ctx: click.Context, tags: tuple[str, ...], dry_run: bool) -> int:
    """Makes tags one: the last one named.

    The others become other names of it.
    """
    from tagfs.verbs.tagging import merge_tags

    app = app_of(ctx)
    if len(tags) < 2:
        raise BadRequest("merging takes two tags or more: lyts tags merge TAG... INTO")
    *olds, into = dict.fromkeys(map(one_tag, tags))
    if not olds:
        raise BadRequest("a tag cannot be merged into itself")
    shown = _shown(app, *olds, into)
    if dry_run:
        parts = [
            f"{name} ({count_text(_files_with(app, tag), 'file')})" for name, tag in zip(shown, olds, strict=False)
        ]
        app.output.line(f"would make {listed(parts)} into {shown[-1]}")
        return EXIT_DONE
    done = merge_tags(app.store, olds, into)
    parts = [f"{name} ({count_text(done.changed[tag], 'file')})" for name, tag in zip(shown, olds, strict=False)]
    app.output.line(f"made {listed(parts)} into {shown[-1]}")
    return EXIT_DONE


IMPLY_EXAMPLES = """
lyts tags imply jazz music             whatever is jazz is found as music too
lyts tags imply jazz music --remove    not any more
"""


@command.command("imply", examples=IMPLY_EXAMPLES)
@click.argument("tag", type=TAG, metavar="TAG")
@click.argument("implied", nargs=-1, required=True, type=TAG, metavar="IMPLIED...")
@click.option("--remove", is_flag=True, help="Take it back.")
@click.pass_context
def imply(ctx: click.Context, tag: str, implied: tuple[str, ...], remove: bool) -> int:
    """Lets a tag imply others: files with it are found by those as well."""
    from tagfs.verbs.tagging import imply as state_imply

    app = app_of(ctx)
    lower, uppers = one_tag(tag), [one_tag(text) for text in implied]
    action = state_imply(app.store, lower, uppers, remove=remove)
    name, *others = _shown(app, lower, *uppers)
    verb = "no longer implies" if remove else "implies" if action is not None else "already implies"
    app.output.line(f"{name} {verb} {listed(others)}")
    return EXIT_DONE


ALIAS_EXAMPLES = """
lyts tags alias flak flac       a question for flak is one for flac, and so is tagging with it
lyts tags alias flak --remove   not any more
"""


@command.command("alias", examples=ALIAS_EXAMPLES)
@click.argument("other", type=TAG, metavar="OTHER")
@click.argument("tag", required=False, type=TAG, metavar="[TAG]")
@click.option("--remove", is_flag=True, help="Take it back.")
@click.pass_context
def alias(ctx: click.Context, other: str, tag: str | None, remove: bool) -> int:
    """Gives a tag another name."""
    from tagfs.verbs.tagging import alias as state_alias

    app = app_of(ctx)
    name = one_tag(other)
    if remove:
        state_alias(app.store, name, None)
        app.output.line(f"{_shown(app, name)[0]} is no longer another name of a tag")
        return EXIT_DONE
    if tag is None:
        raise BadRequest(f"of which tag shall {name!r} be another name? lyts tags alias {name} TAG")
    wanted = one_tag(tag)
    action = state_alias(app.store, name, wanted)
    shown = _shown(app, name, wanted)
    app.output.line(f"{shown[0]} is {'now ' if action is not None else 'already '}another name of {shown[1]}")
    return EXIT_DONE


RM_EXAMPLES = """
lyts tags rm draft           take a tag off all files, and forget it; asks first
lyts tags rm draft --yes     without asking
"""


@command.command("rm", examples=RM_EXAMPLES)
@click.argument("tag", type=TAG, metavar="TAG")
@yes_option
@dry_run_option
@click.pass_context
def remove(ctx: click.Context, tag: str, yes: bool, dry_run: bool) -> int:
    """Takes a tag off all files, and forgets it.

    The files stay. Tags that imply this one stay as well, and files that have it only
    because of them still answer to it.
    """
    from tagfs.verbs.tagging import carriers, known, remove_tag

    app = app_of(ctx)
    name = one_tag(tag)
    shown = _shown(app, name)[0]

    def look(view: View) -> list[str] | None:
        return carriers(view, name) if known(view, name) else None

    guids = app.store.read(look)
    if guids is None:
        raise NothingMatched(f"there is no tag {name!r}{_near_tag(app, name)}")
    if dry_run:
        app.output.line(f"would take {shown} off {count_text(len(guids), 'file')} and forget it")
        return EXIT_DONE
    if guids and not app.output.confirm(f"This takes {shown} off {count_text(len(guids), 'file')}.", yes):
        return EXIT_NOTHING
    remove_tag(app.store, name, guids)
    app.output.line(f"took {shown} off {count_text(len(guids), 'file')} and forgot it")
    return EXIT_DONE


@command.command("make", examples="lyts tags make holidays      a tag that no file has yet")
@click.argument("tag", metavar="TAG")
@click.pass_context
def make(ctx: click.Context, tag: str) -> int:
    """Makes a tag that no file has yet.

    Rarely needed: tagging a file makes the tag.
    """
    from tagfs.verbs.tagging import make_tag

    app = app_of(ctx)
    name = one_tag(tag)
    action = make_tag(app.store, name)
    app.output.line(f"{'made the tag' if action is not None else 'there is already a tag'} {_shown(app, name)[0]}")
    return EXIT_DONE


def _files_with(app: App, name: str) -> int:
    from tagfs.verbs.tagging import files_with, known

    def look(view: View) -> int | None:
        return files_with(view, name) if known(view, name) else None

    files: int | None = app.store.read(look)
    if files is None:
        raise NothingMatched(f"there is no tag {name!r}{_near_tag(app, name)}")
    return files


def _near_tag(app: App, name: str) -> str:
    from tagfs.query.suggest import did_you_mean, near

    def look(view: View) -> list[Any]:
        return near(name, view.tag_suggestions(name))

    hint = did_you_mean([word for word, _ in app.store.read(look)])
    return f"; {hint}" if hint else ""
