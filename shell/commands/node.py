"""`lyts node`: the devices of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shell.command import Group, app_of
from shell.targets import json_option, yes_option
from tagfs.errors import EXIT_DONE, EXIT_NOTHING, BadRequest

if TYPE_CHECKING:
    from shell.app import App

EXAMPLES = """
lyts node                         your devices, and which are connected
lyts node invite                  on this device: a code for a new one
lyts node join CODE --alias tablet
                                  on the new device
lyts node accept                  on this device again: let it in
"""


@click.group("node", cls=Group, examples=EXAMPLES)
def command() -> None:
    """Lists your devices, invites new ones, renames and forgets them.

    All devices of a library know the names, tags and notes of all files (but for those you
    exclude them from), and each file's bytes are on the devices you choose. A new device gets
    in by three commands: invite, join and accept. Those that you have already get to know it
    by themselves.
    """


@command.command("", examples=EXAMPLES, help=command.help)
@json_option
@click.pass_context
def nameless(ctx: click.Context, as_json: bool) -> int:
    return _list(app_of(ctx), as_json)


LIST_EXAMPLES = """
lyts node list              your devices, and which are connected
lyts node list --json       the same for programs
"""


@command.command("list", examples=LIST_EXAMPLES)
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> int:
    """Lists the devices of the library: their names, and whether they are connected."""
    return _list(app_of(ctx), as_json)


def _list(app: App, as_json: bool) -> int:
    from shell.nodes import look, node_line, node_object

    found = look(app)
    if as_json:
        app.output.json(node_object(row) for row in found.rows)
        return EXIT_DONE
    app.output.out.lines(node_line(row, app.output) for row in found.rows)
    if len(found.rows) == 1:
        app.output.say("To add a device: lyts node invite")
    elif not found.runs:
        app.output.say("Syncing does not run here; start it with: lyts sync up")
    for problem in found.problems:
        app.output.say(problem)
    return EXIT_DONE


INVITE_EXAMPLES = """
lyts node invite             a code to copy or to scan
lyts node invite --no-qr     the code alone
"""


@command.command("invite", examples=INVITE_EXAMPLES)
@click.option("--qr/--no-qr", default=None, help="Draw it as a QR code as well; on a terminal, if not given.")
@click.pass_context
def invite(ctx: click.Context, qr: bool | None) -> int:
    """Prints a code by which a new device finds this library.

    Nothing in it is secret: it says where to ask, and nobody gets in by it alone. Who has it
    can ask to join, and you say yes or no here: lyts node accept. It can be used again.
    """
    from shell.joining import invitation, qr_lines
    from sync.invite import encode

    app = app_of(ctx)
    code = encode(invitation(app))
    if qr or (qr is None and app.output.out.terminal):
        lines = qr_lines(code, color=app.output.out.color)
        app.output.out.raw("".join(f"{line}\n" for line in lines).encode())
    app.output.line(code)
    app.output.say("On the new device: lyts node join CODE --alias NAME\nThen here: lyts node accept")
    return EXIT_DONE


JOIN_EXAMPLES = """
lyts node join lyts1-... --alias tablet     make this device a part of that library
lyts node join lyts1-...                    called like the machine
"""


@command.command("join", examples=JOIN_EXAMPLES)
@click.argument("code", nargs=-1, required=True, metavar="CODE")
@click.option("--alias", metavar="NAME", help="What this device is to be called; its host name if not given.")
@click.option(
    "--local-only/--discovery", default=None, help="Whether this device is found by nobody; see lyts sync up."
)
@click.option("--listen", metavar="ADDRESS", help="Where it listens for your other devices; see lyts sync up.")
@click.option("--wait/--no-wait", default=None, help="Stay until you were let in; on a terminal, if not given.")
@click.pass_context
def join(
    ctx: click.Context,
    code: tuple[str, ...],
    alias: str | None,
    local_only: bool | None,
    listen: str | None,
    wait: bool | None,
) -> int:
    """Makes this device a part of the library that a code is from.

    It makes a store here, sets up syncing and asks the inviting device, on which you then say
    yes: lyts node accept. A store with files in it is left alone. If this is interrupted, the
    same command goes on with it.
    """
    from shell.joining import join as do_join

    return do_join(app_of(ctx), " ".join(code), alias, local_only, listen, wait)


ACCEPT_EXAMPLES = """
lyts node accept                    shows who asks, and asks you
lyts node accept tablet             that one
lyts node accept server --server    one that may not let others in
lyts node accept server --new-files --files-here
                                    it keeps all that is added here, and what is here already
"""


@command.command("accept", examples=ACCEPT_EXAMPLES)
@click.argument("who", required=False, metavar="[NAME|DEVICE]")
@click.option("--alias", metavar="NAME", help="Call it otherwise than it calls itself.")
@click.option(
    "--server", is_flag=True, help="It may not introduce other devices: whom it lets in, this one does not know."
)
@click.option(
    "--new-files/--no-new-files",
    default=None,
    help="It keeps what is added on this device from now on; asked on a terminal, if not given.",
)
@click.option(
    "--files-here/--no-files-here",
    default=None,
    help="It keeps the files that this device keeps now; asked on a terminal, if not given.",
)
@click.option("--wait/--no-wait", default=None, help="Wait for one to ask; on a terminal, if not given.")
@yes_option
@click.pass_context
def accept(
    ctx: click.Context,
    who: str | None,
    alias: str | None,
    server: bool,
    new_files: bool | None,
    files_here: bool | None,
    wait: bool | None,
    yes: bool,
) -> int:
    """Lets a device in that asks to join.

    Compare the device id that is shown with the one on the new device. From then on it gets to
    know all files; bytes it gets as you say, and you are asked for those of this device. Later:
    lyts sync default, lyts restore. Your other devices connect with it by themselves.
    """
    from shell.joining import ToKeep
    from shell.joining import accept as do_accept

    return do_accept(app_of(ctx), who, alias, ToKeep(new_files, files_here), server=server, wait=wait, yes=yes)


@command.command("rename", examples="lyts node rename tablet 'old tablet'")
@click.argument("node", metavar="NODE")
@click.argument("name", metavar="NAME")
@click.pass_context
def rename(ctx: click.Context, node: str, name: str) -> int:
    """Calls a device otherwise, on all devices.

    Folders keep the names they were made with.
    """
    from shell.making import check_alias
    from shell.nodes import named_node
    from sync.joining import free_alias
    from sync.myself import all_nodes
    from sync.myself import rename as do_rename

    app = app_of(ctx)
    nodes = all_nodes(app.store)
    found = named_node(node, nodes)
    alias = check_alias(name)
    if alias == found.alias:
        app.output.say(f"It is called {alias} already.")
        return EXIT_NOTHING
    if free_alias(alias, found.guid, nodes) != alias:
        raise BadRequest(f"another device is called {alias!r}; nothing was changed")
    do_rename(app.store, found.guid, alias)
    app.output.line(f"{app.output.name(found.alias)} is now called {app.output.name(alias)}")
    return EXIT_DONE


FORGET_EXAMPLES = """
lyts node forget tablet             asks first, and says what only it has
lyts node forget tablet --yes
"""


@command.command("forget", examples=FORGET_EXAMPLES)
@click.argument("node", metavar="NODE")
@yes_option
@click.pass_context
def forget(ctx: click.Context, node: str, yes: bool) -> int:
    """Takes a device out of the library for good: lost, sold, given away.

    It gets nothing any more, and nothing comes from it. What it has of your files it keeps;
    nobody can take that back from afar. Files whose bytes only it held stay listed. It comes
    back only as a new device, with a new store.
    """
    from shell.nodes import named_node
    from shell.text import count_text, size_text
    from sync.leaving import held_only_by
    from sync.myself import all_nodes
    from sync.myself import forget as do_forget

    app = app_of(ctx)
    store = app.store
    found = named_node(node, all_nodes(store))
    if found.guid == store.node:
        raise BadRequest("this is the device you are at; forget it on another one")
    name = app.output.name(found.alias)
    lost = held_only_by(store, found.guid)
    if lost.files:
        app.output.say(
            f"The bytes of {count_text(lost.files, 'file')} ({size_text(lost.size_bytes)}) are on {found.alias} alone:"
        )
        app.output.say("\n".join(f"  {one}" for one in lost.names))
        if lost.files > len(lost.names):
            more = f"  and {lost.files - len(lost.names)} more; once it is forgotten: lyts find 'holds={found.alias}'"
            app.output.say(more)
        app.output.say("To save them first, connect it and let another device hold them: lyts restore")
    if not app.output.confirm(f"{found.alias} leaves the library for good.", yes):
        return EXIT_NOTHING
    do_forget(store, found.guid)
    app.output.line(f"{name} was forgotten; it comes back only as a new device")
    return EXIT_DONE


HERE_EXAMPLES = """
lyts node here --moved      this store was on another machine, which no longer has it
lyts node here --copied     it is a copy, and the other one is used as well
"""


@command.command("here", examples=HERE_EXAMPLES)
@click.option("--moved", is_flag=True, help="The store was moved here; the other machine no longer has it.")
@click.option("--copied", is_flag=True, help="It is a copy, and the other one goes on: this becomes a new device.")
@click.option("--alias", metavar="NAME", help="With --copied: what the new device is to be called.")
@yes_option
@click.pass_context
def here(ctx: click.Context, moved: bool, copied: bool, alias: str | None, yes: bool) -> int:
    """Says whether a store was moved to this machine, or is a copy.

    A store that was made on another machine can be looked at and not be changed: if it were
    a copy, the two would be taken for one device, and changes would be lost. A copy becomes a
    device of its own, which keeps what the other one kept; to connect the two, let it join
    (lyts node invite on the other, lyts node join here).
    """
    from shell.service import end
    from shell.syncing import managed_of
    from tagfs.layout import Layout, read_info, write_info
    from tagfs.lock import hold
    from tagfs.store import is_elsewhere, this_machine

    if moved == copied:
        raise BadRequest("say --moved if this store was moved here from another machine, --copied if it is a copy")
    app = app_of(ctx)
    if copied:
        from shell.copied import become_new

        return become_new(app, alias, yes)
    layout, machine = Layout(app.root), this_machine()
    if not is_elsewhere(read_info(layout), machine):
        app.output.say("This store belongs to this machine; there is nothing to change.")
        return EXIT_NOTHING
    if not app.output.confirm("From now on changes are made here. The other machine must not use its copy.", yes):
        return EXIT_NOTHING
    end(app, managed_of(app))
    with hold(layout.lock):
        write_info(layout, read_info(layout)._replace(machine_id=machine.machine_id()))
    app.output.line("this store is at home on this machine now")
    return EXIT_DONE
