"""`lyts node here --copied`: what it asks, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shell.text import count_text
from tagfs.errors import EXIT_DONE, EXIT_NOTHING

if TYPE_CHECKING:
    from shell.app import App

SHOWN = 10


def become_new(app: App, alias: str | None, yes: bool) -> int:
    """Make a device of its own of a copied store."""
    from shell.making import check_alias
    from shell.service import end
    from shell.syncing import managed_of
    from sync.syncthing.attached import write_attached
    from tagfs.layout import Layout, read_info
    from tagfs.store import this_machine
    from tagfs.verbs import copied

    output, layout, machine = app.output, Layout(app.root), this_machine()
    wanted = None if alias is None else check_alias(alias)
    former = read_info(layout).alias
    if not copied.is_under_way(layout):
        question = f"This becomes a new device, beside {former}, which goes on with the store it has."
        if not output.confirm(question, yes):
            return EXIT_NOTHING
    end(app, managed_of(app))
    app.close()
    write_attached(layout, None)  # that is the Syncthing of the other
    shown = output.progress("Taking over")
    try:
        done = copied.become_new(layout, machine, wanted, shown.of)
    finally:
        shown.end()
    output.line(f"this is a device of its own now, called {output.name(done.alias)}")
    output.line(f"it keeps {count_text(done.files, 'file')}, as the store that it was copied from does")
    if done.left:
        output.say("These are no files of the library, or older contents of some, and were left where they are:")
        output.say("\n".join(f"  {output.name(path)}" for path in done.left[:SHOWN]))
        if len(done.left) > SHOWN:
            output.say(f"  and {len(done.left) - SHOWN:,} more")
    output.say("To connect it with your other devices: lyts node invite on one of them, lyts node join CODE here")
    return EXIT_DONE
