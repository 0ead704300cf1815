"""`completion`: what a shell needs to complete our command lines."""

from __future__ import annotations

import click

from kmsd.cli.errors import CommandFailed
from kmsd.cli.outcome import Outcome
from kmsd.cli.session import Session
from kmsd.cli.tree import Command

_HOW = """Print what makes a shell complete the commands and options.

    eval "$(ckms completion bash)"      in ~/.bashrc
    eval "$(ckms completion zsh)"       in ~/.zshrc
    ckms completion fish > ~/.config/fish/completions/ckms.fish
"""


@click.command(cls=Command, help="\b\n" + _HOW)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
async def completion(session: Session, shell: str) -> Outcome:
    """Print what makes a shell complete the commands and options."""
    from click.shell_completion import get_completion_class

    from kmsd.cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise CommandFailed(f"completion for {shell} is not available")
    name = session.options.program
    variable = f"_{name}_COMPLETE".replace("-", "_").upper()
    return Outcome(stdout=kind(cli(), {}, name, variable).source())
