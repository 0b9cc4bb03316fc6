"""`lyts completion`: what makes Tab complete lyts commands."""

from __future__ import annotations

import click

from shell.command import Command, app_of
from tagfs.errors import EXIT_DONE

EXAMPLES = """
lyts completion bash > ~/.local/share/bash-completion/completions/lyts
lyts completion zsh > ~/.zfunc/_lyts        (a folder of your fpath)
lyts completion fish > ~/.config/fish/completions/lyts.fish
eval "$(lyts completion bash)"              in ~/.bashrc (or zsh, in ~/.zshrc): also paths
"""


@click.command("completion", cls=Command, examples=EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="bash|zsh|fish")
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Prints what makes Tab complete lyts commands in your shell.

    Tab then completes commands, options, tags (after a + those that go with what stands
    before it), and names of files in the library. After cd, ls, cp and mv it also completes
    paths below a mount: cd ~/lyts/tags/music+ and Tab shows what narrows the music. In bash
    and zsh that works from the first Tab on if your shell reads this at its start; read from
    a folder of completions, it works after the first Tab behind lyts.
    """
    from shell.complete import script

    app_of(ctx).output.out.raw(script(shell).encode())
    return EXIT_DONE
