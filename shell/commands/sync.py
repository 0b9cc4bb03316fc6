"""`lyts sync`: the daemon and the Syncthing that move files between your devices."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from shell.command import Group, app_of
from shell.newfiles import default
from shell.sync_rules import apply, rule
from shell.targets import json_option
from tagfs.errors import EXIT_DONE, EXIT_NOTHING, BadRequest, MovedStore

if TYPE_CHECKING:
    from shell.app import App
    from sync.syncthing.attached import Attached

KEY_VARIABLE = "LYTS_SYNCTHING_KEY"

EXAMPLES = """
lyts sync up          start syncing; the first time it is set up
lyts sync             how it is, and how your other devices are
lyts sync down        end it
"""


@click.group("sync", cls=Group, examples=EXAMPLES)
def command() -> None:
    """Starts, ends and shows what moves files between your devices.

    That is a small daemon of lyts, and Syncthing. Each store has a Syncthing of its own, apart
    from one you may have already; or it uses yours. While none runs, all of lyts works as
    before, on this device alone. Which devices there are: lyts node.
    """


@command.command("", examples=EXAMPLES, help=command.help)
@json_option
@click.pass_context
def nameless(ctx: click.Context, as_json: bool) -> int:
    return _status(app_of(ctx), as_json)


STATUS_EXAMPLES = """
lyts sync status            does it run, which devices are connected, is anything wrong
lyts sync status --json     the same for programs
"""


@command.command("status", examples=STATUS_EXAMPLES)
@json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> int:
    """Shows how syncing is: the daemon, Syncthing, your devices, and what is wrong.

    The exit status is 1 when it does not run. The API key of Syncthing is never shown.
    """
    return _status(app_of(ctx), as_json)


def _status(app: App, as_json: bool) -> int:
    from shell.nodes import look, node_line
    from shell.syncing import status_lines, status_object

    found = look(app)
    if as_json:
        app.output.json([status_object(found)])
    else:
        app.output.out.lines(status_lines(found, app.output))
        if len(found.rows) > 1:
            app.output.line(f"nodes       {len(found.rows)}")
            app.output.out.lines(f"  {node_line(row, app.output)}" for row in found.rows)
        for problem in found.problems:
            app.output.say(problem)
        if not found.runs and not found.report.problem:
            app.output.say("Start it with: lyts sync up")
    return EXIT_DONE if found.runs else EXIT_NOTHING


UP_EXAMPLES = """
lyts sync up                                 start it; the first time it is set up
lyts sync up --local-only                    found by nobody: to try things on one machine
lyts sync up --listen tcp://0.0.0.0:22001    on a port of your choice
lyts sync up --attach ~/.local/state/syncthing/config.xml
                                             use the Syncthing you run anyhow
lyts sync up --foreground                    stay here and sync until Ctrl-C
"""


@command.command("up", examples=UP_EXAMPLES)
@click.option(
    "--local-only/--discovery",
    default=None,
    help="Found by nobody (only on this machine; no discovery, relays, NAT), or by your devices. As it was "
    "before if not given, at first by your devices.",
)
@click.option("--listen", metavar="ADDRESS", help="Where it listens for your other devices: tcp://127.0.0.1:PORT.")
@click.option("--attach", metavar="CONFIG|URL", help="Use a Syncthing that runs already: its config.xml, or its URL.")
@click.option("--remote", is_flag=True, help="With --attach: it may be on another machine (https only).")
@click.option("--own", is_flag=True, help="No longer use yours, but one of lyts' own.")
@click.option("--foreground", is_flag=True, help="Stay here instead of in the background, for systemd; Ctrl-C ends it.")
@click.pass_context
def up(
    ctx: click.Context,
    local_only: bool | None,
    listen: str | None,
    attach: str | None,
    remote: bool,
    own: bool,
    foreground: bool,
) -> int:
    """Starts syncing: Syncthing, and the daemon that tells it what goes where.

    Both go on in the background; Syncthing is set up the first time, keeps all it has below
    the store, reports no usage, and does not upgrade itself. lyts talks to it over this
    machine's loopback interface. If it ends unexpectedly, the daemon starts it again. With
    --attach URL the API key is asked for, or taken from LYTS_SYNCTHING_KEY.
    """
    app = app_of(ctx)
    code = syncthing_up(app, local_only, listen, attach, remote, own)
    app.output.flush()
    if foreground:
        from shell.service import serve
        from tagfs.layout import Layout, read_info

        serve(app, read_info(Layout(app.root)).alias)
    else:
        from shell.service import start

        start(app)
    return code


def syncthing_up(
    app: App, local_only: bool | None, listen: str | None, attach: str | None, remote: bool, own: bool
) -> int:
    """Start the Syncthing that the options of `lyts sync up` ask for."""
    from shell.syncing import managed_of
    from sync.syncthing.attached import read_attached, write_attached
    from sync.syncthing.home import Wishes, device_id_of
    from sync.syncthing.managed import check_listen
    from sync.syncthing.managed import up as bring_up
    from tagfs.layout import Layout, read_info
    from tagfs.store import is_elsewhere, this_machine

    layout = Layout(app.root)
    info = read_info(layout)
    if is_elsewhere(info, this_machine()):
        raise MovedStore(layout.root)  # two with the same keys would confuse all the others
    if attach is not None:
        if local_only is not None or listen is not None or own:
            raise BadRequest("--attach uses a Syncthing as it is; --local-only, --listen and --own do not go with it")
        return _attach(app, _attached_by(app, attach, remote))
    if remote:
        raise BadRequest("--remote goes with --attach")
    attached = read_attached(layout)
    if attached is not None and not own:
        if local_only is not None or listen is not None:
            raise BadRequest(
                "this store uses a Syncthing of yours, whose settings are yours. "
                "For one of lyts' own instead, add --own"
            )
        return _attach(app, attached)
    wishes = Wishes(info.alias, None, local_only, None if listen is None else (check_listen(listen),))
    managed = managed_of(app)
    done = bring_up(managed, app.environ, wishes)
    if attached is not None:
        write_attached(layout, None)
    device = app.output.name(device_id_of(managed.home))
    if done.was_running or done.program is None:
        app.output.line(f"Syncthing runs already; this device is {device}")
    else:
        app.output.line(f"Syncthing {app.output.name(done.program.version)} runs; this device is {device}")
    return EXIT_DONE


def _attached_by(app: App, given: str, remote: bool) -> Attached:
    """What a person gave with `--attach`."""
    from sync.syncthing.address import Key, read_address
    from sync.syncthing.attached import Attached

    path = os.path.abspath(os.path.expanduser(given))
    if "://" not in given and os.path.isdir(path):
        path = os.path.join(path, "config.xml")
    if "://" not in given and os.path.isfile(path):
        return Attached(config=path, remote=remote)
    if given.endswith(".xml"):
        raise BadRequest(f"{given}: there is no such file")
    address = read_address(given, remote_allowed=remote)
    key = app.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        if not app.output.can_ask():
            raise BadRequest(
                f"its API key is needed as well, and there is no terminal to ask on. Put it into {KEY_VARIABLE}, "
                "or better give its config.xml: lyts sync up --attach PATH"
            )
        key = click.prompt("Its API key (Settings, General)", hide_input=True, err=True, type=str).strip()
    return Attached(url=str(address), key=Key(key), remote=remote)


def _attach(app: App, attached: Attached) -> int:
    """Try it, and remember it once it has answered."""
    from shell.syncing import managed_of
    from sync.syncthing.attached import write_attached
    from sync.syncthing.client import Syncthing
    from sync.syncthing.managed import RUNNING, state
    from tagfs.layout import Layout

    if state(managed_of(app))[0] == RUNNING:
        raise BadRequest("lyts' own Syncthing runs for this store. End it first: lyts sync down")
    address, key = attached.target()
    with Syncthing(address, key) as syncthing:
        version = syncthing.check_supported()
        device = syncthing.status().my_id
    write_attached(Layout(app.root), attached)
    name = app.output.name
    app.output.line(f"this store uses your Syncthing {name(version.version)}; this device is {name(device)}")
    return EXIT_DONE


@command.command("down", examples="lyts sync down       end syncing on this device")
@click.pass_context
def down(ctx: click.Context) -> int:
    """Ends the daemon and the Syncthing of this store, and waits until they have ended.

    Your other devices see what happens here once it runs again. A Syncthing of yours that
    the store only uses is left alone.
    """
    from shell.service import end
    from shell.syncing import managed_of
    from sync.syncthing.attached import read_attached
    from sync.syncthing.managed import down as bring_down
    from tagfs.layout import Layout, read_info

    app = app_of(ctx)
    layout = Layout(app.root)
    read_info(layout)
    managed = managed_of(app)
    is_own = read_attached(layout) is None
    daemon_ended = end(app, managed)
    # Where there was no daemon, or it could not end Syncthing, that is done here.
    if bring_down(managed) or (daemon_ended and is_own):
        app.output.line("Syncthing has ended")
        return EXIT_DONE
    if is_own:
        app.output.say("Syncthing does not run.")
        return EXIT_NOTHING
    if not daemon_ended:
        raise BadRequest("this store uses a Syncthing of yours, which lyts does not end")
    app.output.line("the sync daemon has ended; your Syncthing goes on")
    return EXIT_DONE


command.add_command(default)
command.add_command(rule)
command.add_command(apply)
